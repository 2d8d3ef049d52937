//! `crm_mon` on files: beside Pacemaker's own on a sample of the recorded cases, and what is ours alone.
#![allow(clippy::unwrap_used)]

mod recorded;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PEER: &str = "/usr/sbin/crm_mon";
const OURS: &str = env!("CARGO_BIN_EXE_everbeat");
/// Of the cases in order of their names, each so-many-th is compared.
const STEP: usize = 9;

/// What is asked of each case; the argument to `-1`.
const QUESTIONS: &[&[&str]] = &[
    &[],
    &["-n", "-r"],
    &["-b", "-r"],
    &["-r", "-R", "-A", "-t", "-f", "-c", "-L"],
    &["-o", "-n", "-R"],
    &["--output-as=xml"],
    &["--output-as=xml", "-n"],
    &["--exclude=all", "--include=dc,counts,options,nodes,bans"],
];

fn run(program: &str, first: &[&str], file: &Path, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(first)
        .arg("-1")
        .args(arguments)
        .env("CIB_file", file)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .unwrap()
}

/// The page without what differs between two moments or two command lines.
fn page(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let fixed = |line: &str| {
        let moment = line.contains("Last updated:") || line.contains("<last_update ");
        let request = line.starts_with("<pacemaker-result ");
        // Without a DC the peer says so even where the section is left out.
        !moment && !request
    };
    let lines: Vec<&str> = text.lines().filter(|line| fixed(line)).collect();
    lines.join("\n").replace("Cluster Summary:\n  * Current DC: NONE\n\n", "")
}

#[test]
fn pages_are_the_peers() {
    let Some(files) = recorded::inputs() else {
        return recorded::missing("the recorded cases", "pages of crm_mon are NOT compared");
    };
    if !Path::new(PEER).exists() {
        return recorded::missing(PEER, "pages of crm_mon are NOT compared");
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    // Each case gets three of the questions, so that every question meets many cases.
    for (i, file) in files.iter().step_by(STEP).enumerate() {
        for k in 0..3 {
            let question = QUESTIONS[(3 * i + k) % QUESTIONS.len()];
            let theirs = run(PEER, &[], file, question);
            let ours = run(OURS, &["crm_mon"], file, question);
            compared += 1;
            if theirs.status.code() != ours.status.code() || page(&theirs) != page(&ours) {
                let pair: Vec<(String, String)> = page(&theirs)
                    .lines()
                    .zip(page(&ours).lines())
                    .filter(|(a, b)| a != b)
                    .take(3)
                    .map(|(a, b)| (a.to_owned(), b.to_owned()))
                    .collect();
                wrong.push(format!("{} {question:?}: {pair:#?}", file.display()));
            }
        }
    }
    assert!(compared >= 150, "only {compared} pages");
    assert!(wrong.is_empty(), "{} of {compared} pages differ:\n{}", wrong.len(), wrong.join("\n"));
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clusters/three-nodes/cib.xml")
}

fn said(arguments: &[&str]) -> (i32, String, String) {
    let output = run(OURS, &["crm_mon"], &example(), arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn html_is_a_whole_document() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("status.html");
    let (status, out, _) = said(&["-h", path.to_str().unwrap(), "-r"]);
    assert_eq!((status, out.as_str()), (0, ""));
    let page = std::fs::read_to_string(&path).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">"), "{page}");
    assert!(
        page.contains("<span class=\"bold\">gamma: </span><span class=\"standby\">standby</span>"),
        "{page}"
    );
    assert!(page.contains("<h3>Resource Group: shop</h3>"), "{page}");
    for tag in ["ul", "li", "span", "h2", "h3", "body", "html"] {
        let opened = page.matches(&format!("<{tag}>")).count() + page.matches(&format!("<{tag} ")).count();
        assert_eq!(opened, page.matches(&format!("</{tag}>")).count(), "{tag} in\n{page}");
    }
    assert!(said(&["-w"]).1.starts_with("Content-Type: text/html\n\n<!DOCTYPE html>"));
}

#[test]
fn a_page_of_one_node_or_resource() {
    let (_, page, _) = said(&["--node=beta", "-D"]);
    assert!(page.starts_with("Node List:\n  * Online: [ beta ]\n") && page.contains("web\t"), "{page}");
    let (_, page, _) = said(&["--node=alpha", "-D"]);
    assert!(page.starts_with("Node List:\n  * Online: [ alpha ]\n") && !page.contains("web\t"), "{page}");
    let (_, page, _) = said(&["--resource=fs", "-r", "--exclude=all", "--include=resources"]);
    assert!(page.contains("Resource Group: shop") && !page.contains("web"), "{page}");
    let (status, page, _) = said(&["--resource=nothing", "--exclude=all", "--include=resources"]);
    assert_eq!((status, page.as_str()), (0, "Active Resources:\n  * No active resources\n"));
}

#[test]
fn wrong_words_are_named() {
    for (arguments, part) in [
        (["--include=nodes,bogus"], "--include=bogus: no such section; there are all, attributes, bans"),
        (["--exclude=list"], "sections for --exclude: all, attributes"),
        (["--output-as=pdf"], "\"pdf\" is no output format: expected console, text, html, xml or none"),
    ] {
        let (status, out, error) = said(&arguments);
        assert_eq!((status, out.as_str()), (64, ""));
        assert!(error.contains(part), "{error}");
    }
}
