//! Pacemaker's own cibadmin and crm_diff beside ours, on the same files: equal documents, output and exit status.
//!
//! Rows in which the peer is wrong stand in `cib/DIFFERENCES.md`; the table checks that they still differ.
#![allow(clippy::unwrap_used)]

#[path = "peer_table/rows.rs"]
mod rows;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use cib::Element;
use rows::Row;

#[derive(Debug, PartialEq)]
struct Outcome {
    code: Option<i32>,
    document: String,
    output: String,
}

fn peer(name: &str) -> Option<&'static str> {
    let path = match name {
        "cibadmin" => "/usr/sbin/cibadmin",
        _ => "/usr/sbin/crm_diff",
    };
    Path::new(path).exists().then_some(path)
}

/// XML as our parser reads it, so that the form of printing does not matter; other text as it is.
fn canonical(text: &str) -> String {
    Element::parse(text).map_or_else(|_| text.to_string(), |root| root.to_xml())
}

fn run(program: &str, first: &[&str], base: &str, arguments: &[&str]) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cib.xml");
    std::fs::write(&file, base).unwrap();
    let done = Command::new(program)
        .args(first)
        .args(arguments)
        .env("CIB_file", &file)
        .env_remove("CIB_shadow")
        .current_dir(directory.path())
        .output()
        .unwrap();
    let document = std::fs::read_to_string(&file).unwrap();
    let mut output = String::from_utf8_lossy(&done.stdout).into_owned();
    // Help texts are each one's own.
    if done.status.code() == Some(64) {
        output.clear();
    }
    Outcome { code: done.status.code(), document: canonical(&document), output: canonical(&output) }
}

fn differences() -> BTreeMap<String, String> {
    let text = include_str!("../../cib/DIFFERENCES.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|line| {
        let mut cells = line.split('|').map(str::trim).skip(1);
        Some((cells.next()?.trim_matches('`').to_string(), cells.collect::<Vec<_>>().join(" | ")))
    })
    .collect()
}

fn ours() -> &'static str {
    env!("CARGO_BIN_EXE_everbeat")
}

#[test]
fn cibadmin_gives_what_the_peer_gives() {
    assert!(rows::CIBADMIN.len() >= 150, "{} rows", rows::CIBADMIN.len());
    let Some(peer) = peer("cibadmin") else {
        eprintln!("SKIPPED: no /usr/sbin/cibadmin (package pacemaker-cli-utils) to compare with");
        return;
    };
    let known = differences();
    let mut wrong = Vec::new();
    for Row { name, base, args } in rows::CIBADMIN {
        let (a, b) = (run(ours(), &["cibadmin"], base, args), run(peer, &[], base, args));
        match (a == b, known.contains_key(*name)) {
            (true, false) | (false, true) => {}
            (true, true) => wrong.push(format!("{name}: no longer differs")),
            (false, false) => wrong.push(format!("{name}: {}", explain(&a, &b))),
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// The first thing that differs.
fn explain(ours: &Outcome, peer: &Outcome) -> String {
    let mut out = format!("exit {:?}, the peer {:?}", ours.code, peer.code);
    for (what, a, b) in [("document", &ours.document, &peer.document), ("output", &ours.output, &peer.output)]
    {
        let (mut a, mut b) = (a.lines(), b.lines());
        loop {
            match (a.next(), b.next()) {
                (None, None) => break,
                (a, b) if a == b => {}
                (a, b) => {
                    out.push_str(&format!(
                        "\n    {what}: {}\n        peer: {}",
                        a.unwrap_or("-"),
                        b.unwrap_or("-")
                    ));
                    break;
                }
            }
        }
    }
    out
}

#[test]
fn crm_diff_gives_what_the_peer_gives_and_each_applies_the_others_patches() {
    let Some(peer) = peer("crm_diff") else {
        eprintln!("SKIPPED: no /usr/sbin/crm_diff (package pacemaker-cli-utils) to compare with");
        return;
    };
    let known = differences();
    let mut wrong = Vec::new();
    let mut compared = 0;
    for (name, from, to) in rows::PAIRS {
        assert!(rows::BASE.contains(from), "{name}");
        let changed = rows::BASE.replacen(from, to, 1);
        for format in [2, 1] {
            let set = |text: &str| match format {
                1 => text.replace("crm_feature_set=\"3.16.1\"", "crm_feature_set=\"3.0.7\""),
                _ => text.to_string(),
            };
            let (old, new) = (set(rows::BASE), set(&changed));
            for (way, old, new) in [("there", &old, &new), ("back", &new, &old)] {
                for flag in [None, Some("-c"), Some("-u")] {
                    let row = format!("diff-{name}-v{format}-{way}{}", flag.unwrap_or(""));
                    compared += 1;
                    if let Err(text) = compare_diff(peer, old, new, flag) {
                        if !is_known(&known, &row) {
                            wrong.push(format!("{row}: {text}"));
                        }
                    } else if known.contains_key(&row) {
                        wrong.push(format!("{row}: no longer differs"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {compared} comparisons differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Whether the row or a family of rows it belongs to (`diff-NAME-*`) is a known difference.
fn is_known(known: &BTreeMap<String, String>, row: &str) -> bool {
    known.keys().any(|key| match key.strip_suffix('*') {
        Some(family) => row.starts_with(family),
        None => key == row,
    })
}

fn compare_diff(peer: &str, old: &str, new: &str, flag: Option<&str>) -> Result<(), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("old"), old).unwrap();
    std::fs::write(path("new"), new).unwrap();
    let diff = |program: &str, first: &[&str]| {
        let mut command = Command::new(program);
        command.args(first).args(flag).args(["-o", &path("old"), "-n", &path("new")]);
        let done = command.output().unwrap();
        (done.status.code(), canonical(&String::from_utf8_lossy(&done.stdout)))
    };
    let (a, b) = (diff(ours(), &["crm_diff"]), diff(peer, &[]));
    // Format 1 leaves much open in its skeleton: there the patches count by what they do.
    let format_1 = b.1.contains("format=\"1\"");
    if a.0 != b.0 || (!format_1 && a != b) {
        let as_outcome =
            |(code, output): (Option<i32>, String)| Outcome { code, output, document: String::new() };
        return Err(explain(&as_outcome(a), &as_outcome(b)));
    }
    if b.0 != Some(1) {
        return Ok(());
    }
    let patched = |program: &str, first: &[&str], patch: &str| {
        std::fs::write(path("patch"), patch).unwrap();
        let mut command = Command::new(program);
        command.args(first).args(["-o", &path("old"), "-p", &path("patch")]);
        let done = command.output().unwrap();
        let output = canonical(&String::from_utf8_lossy(&done.stdout));
        Outcome { code: done.status.code(), output: sorted(&output, format_1), document: String::new() }
    };
    // The peer's own patches of format 1 fail on its own digest as soon as an attribute changes its place; what counts
    // is that either patch leads us to the new document.
    for (whose, patch) in [("our patch", &a.1), ("the peer's patch", &b.1)] {
        if format_1 {
            let x = patched(ours(), &["crm_diff"], patch);
            let goal =
                Outcome { code: Some(0), output: sorted(&canonical(new), true), document: String::new() };
            // Without versions the patch keeps those of the old document, and it never tells who wrote it.
            if x != goal && flag != Some("-u") {
                return Err(format!("{whose} applied: {}", explain(&x, &goal)));
            }
            continue;
        }
        let (x, y) = (patched(ours(), &["crm_diff"], patch), patched(peer, &[], patch));
        if x != y {
            return Err(format!("{whose} applied: {}", explain(&x, &y)));
        }
    }
    Ok(())
}

/// With attributes in the order of their names and children in that of their text, if asked for: format 1 knows no
/// order.
fn sorted(text: &str, sort: bool) -> String {
    fn sort_element(element: &mut Element) {
        let mut attributes: Vec<(String, String)> =
            element.attrs().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        attributes.sort();
        element.clear_attrs();
        for (name, value) in attributes {
            element.set_attr(&name, value);
        }
        element.children_mut().for_each(sort_element);
        let mut children: Vec<Element> = element.nodes().cloned().collect();
        children.sort_by_key(Element::to_xml_compact);
        element.clear_nodes();
        children.into_iter().for_each(|child| element.push(child));
    }
    match Element::parse(text) {
        Ok(mut root) if sort => {
            sort_element(&mut root);
            root.to_xml()
        }
        _ => text.to_string(),
    }
}
