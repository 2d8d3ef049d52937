//! Pacemaker's own crm_simulate beside ours, on the same documents and command lines: exit status, what is printed, and
//! every file that is written.
#![allow(clippy::unwrap_used)]

#[path = "simulate_table/rows.rs"]
mod rows;

use std::path::Path;
use std::process::Command;

use cib::Element;

const PEER: &str = "/usr/sbin/crm_simulate";
/// Names of files that command lines write to.
const FILES: &[&str] = &["cib.xml", "in", "out", "graph", "dot", "text", "shadow.try"];

#[derive(Debug, PartialEq)]
struct Outcome {
    code: Option<i32>,
    /// Name and lines of standard output, standard error, and the files.
    texts: Vec<(&'static str, Vec<String>)>,
}

fn run(program: &str, first: &[&str], document: &str, arguments: &[&str]) -> Outcome {
    let with_file: Vec<&str> = ["-x", "cib.xml"].iter().chain(arguments).copied().collect();
    run_in(program, first, document, &[], &with_file)
}

/// With the document as file, as shadow `try`, and on standard input; and with these variables.
fn run_in(
    program: &str,
    first: &[&str],
    document: &str,
    variables: &[(&str, &str)],
    arguments: &[&str],
) -> Outcome {
    let directory = tempfile::tempdir().unwrap();
    for name in ["cib.xml", "shadow.try", "input"] {
        std::fs::write(directory.path().join(name), document).unwrap();
    }
    let done = Command::new(program)
        .args(first)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env_remove("CIB_file")
        .env_remove("CIB_shadow")
        .env("CIB_shadow_dir", directory.path())
        .envs(variables.iter().copied())
        .current_dir(directory.path())
        .stdin(std::fs::File::open(directory.path().join("input")).unwrap())
        .output()
        .unwrap();
    let code = done.status.code();
    let mut texts = vec![("output", lines(&String::from_utf8_lossy(&done.stdout)))];
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    let sentences = errors.lines().filter(|line| is_sentence(line)).map(str::to_owned).collect();
    texts.push(("errors", if wording_counts(code) { sentences } else { Vec::new() }));
    for name in FILES {
        let text = std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
        texts.push((*name, lines(&text)));
    }
    Outcome { code, texts }
}

/// Refusals are told in our own words.
fn wording_counts(code: Option<i32>) -> bool {
    matches!(code, Some(0 | 1))
}

/// What the peer says itself, without what its XML library says and the log of a style sheet.
fn is_sentence(line: &str) -> bool {
    !line.starts_with("Entity:") && !line.starts_with("DEBUG:") && !line.contains("validity error")
}

/// A document with its attributes in order of name, a drawing in order of its lines, other text as it is; without the
/// times of the clock.
fn lines(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    match Element::parse(text) {
        Ok(root) => walk(&root, 0, &mut out),
        Err(_) => out.extend(text.lines().map(without_times)),
    }
    if text.contains("digraph") {
        out.sort();
        out.dedup();
    }
    out
}

fn without_times(line: &str) -> String {
    let until = ["last-rc-change='", "last-failure='"].into_iter().filter_map(|mark| line.find(mark)).min();
    let line = until.map_or(line, |at| &line[..at]);
    match line.find("last-failure-") {
        Some(at) => line[at..].find('=').map_or(line, |end| &line[..at + end]).to_owned(),
        None => line.to_owned(),
    }
}

fn walk(element: &Element, depth: usize, out: &mut Vec<String>) {
    let timed = element.attr("name").is_some_and(|name| name.starts_with("last-failure-"));
    let mut attributes: Vec<String> = element
        .attrs()
        .filter(|(name, _)| !matches!(*name, "last-rc-change" | "last-failure" | "request"))
        // Marks that the peer leaves in failed entries while it reads them.
        .filter(|(name, _)| !(element.name() == "lrm_rsc_op" && matches!(*name, "rsc-id" | "uname")))
        .filter(|(name, _)| !(timed && *name == "value"))
        .map(|(name, value)| format!("{name}={value:?}"))
        .collect();
    attributes.sort();
    out.push(format!("{:depth$}{} {}", "", element.name(), attributes.join(" ")));
    for child in element.children() {
        walk(child, depth + 1, out);
    }
}

/// The first thing that differs.
fn explain(ours: &Outcome, peer: &Outcome) -> String {
    if ours.code != peer.code {
        return format!("exit {:?}, the peer {:?}; {:?}", ours.code, peer.code, ours.texts.get(1));
    }
    for ((name, a), (_, b)) in ours.texts.iter().zip(&peer.texts) {
        if a != b {
            let at = a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()));
            return format!("{name}:\n    ours: {:?}\n    peer: {:?}", a.get(at), b.get(at));
        }
    }
    String::new()
}

/// Whether there is a peer to ask; on the build machine there must be.
fn peer_is_there() -> bool {
    let there = Path::new(PEER).exists();
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(there || !strict, "{PEER} is missing, and CI=true");
    if !there {
        eprintln!("SKIPPED: no {PEER} (package pacemaker-cli-utils) to compare with");
    }
    there
}

#[test]
fn crm_simulate_does_what_the_peer_does() {
    assert!(rows::COMMANDS.len() >= 110, "{} command lines", rows::COMMANDS.len());
    if !peer_is_there() {
        return;
    }
    let everywhere = rows::COMMANDS.iter().map(|arguments| (rows::CLUSTER, *arguments));
    let documents = rows::DOCUMENTS.iter().map(|document| (*document, "-S"));
    let (mut wrong, mut done) = (Vec::new(), 0);
    for (document, arguments) in everywhere.chain(documents) {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let ours = run(env!("CARGO_BIN_EXE_everbeat"), &["crm_simulate"], document, &words);
        let peer = run(PEER, &[], document, &words);
        done += usize::from(peer.code == Some(0));
        if ours != peer {
            let head = document.lines().next().unwrap_or_default();
            wrong.push(format!("{arguments} ({head}): {}", explain(&ours, &peer)));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
    // A document that the peer refuses compares nothing.
    assert!(done >= 110, "the peer did {done} of them");
}

/// The cluster's own document, a shadow and standard input; with a file or a shadow in the cluster's place.
#[test]
fn every_source_is_read_and_written_as_the_peer_does() {
    if !peer_is_there() {
        return;
    }
    let mut wrong = Vec::new();
    for (variables, arguments) in rows::SOURCES {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let program = env!("CARGO_BIN_EXE_everbeat");
        let mut ours = run_in(program, &["crm_simulate"], rows::CLUSTER, variables, &words);
        let mut peer = run_in(PEER, &[], rows::CLUSTER, variables, &words);
        // The peer writes to an active shadow whatever is asked (DIFFERENCES.md).
        if variables.iter().any(|(name, _)| *name == "CIB_shadow") {
            ours.texts.retain(|(name, _)| matches!(*name, "output" | "errors"));
            peer.texts.retain(|(name, _)| matches!(*name, "output" | "errors"));
        }
        if ours != peer {
            wrong.push(format!("{variables:?} {arguments}: {}", explain(&ours, &peer)));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// A document for each feature of the scheduler's: what is decided, in every detail of the graph, and why.
#[test]
fn every_feature_is_the_peers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/simulate_table/features");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 110, "{} documents", files.len());
    if !peer_is_there() {
        return;
    }
    let mut wrong = Vec::new();
    for file in files {
        let document = std::fs::read_to_string(&file).unwrap();
        for arguments in [&["-S", "-O", "out"][..], &["-s", "-U", "-A", "-c", "-G", "graph"]] {
            let ours = run(env!("CARGO_BIN_EXE_everbeat"), &["crm_simulate"], &document, arguments);
            let peer = run(PEER, &[], &document, arguments);
            if ours != peer {
                wrong.push(format!("{} {arguments:?}: {}", file.display(), explain(&ours, &peer)));
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
