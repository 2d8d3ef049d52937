//! Pacemaker's own crm_simulate beside ours with `--output-as=xml`, on a sample of the recorded cases.
#![allow(clippy::unwrap_used)]

mod recorded;

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use cib::Element;

const PEER: &str = "/usr/sbin/crm_simulate";
/// Of the cases in order of their names, each so-many-th is compared.
const STEP: usize = 5;

const LEFT_OUT: &str = "documents of crm_simulate --output-as=xml are NOT compared";

/// Elements with their attributes in order of name; the document that it is not tells what was printed.
fn canonical(text: &str) -> Vec<String> {
    fn walk(element: &Element, depth: usize, out: &mut Vec<String>) {
        let mut attributes: Vec<String> = element.attrs().map(|(n, v)| format!("{n}={v:?}")).collect();
        // Times of failures that are pretended are those of the clock.
        if element.attr("name").is_some_and(|name| name.starts_with("last-failure-")) {
            attributes.retain(|attribute| !attribute.starts_with("value="));
        }
        attributes.sort();
        out.push(format!("{:depth$}{} {}", "", element.name(), attributes.join(" ")));
        for child in element.children() {
            walk(child, depth + 1, out);
        }
    }
    let mut out = Vec::new();
    match Element::parse(text) {
        Ok(root) => walk(&root, 0, &mut out),
        Err(error) => out.push(format!("no document ({error}): {text}")),
    }
    out
}

/// Exit status and document.
fn run(program: &str, first: &[&str], file: &Path, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let done = Command::new(program)
        .arg0(if first.is_empty() { "crm_simulate" } else { "everbeat" }) // the document repeats it
        .args(first)
        .arg("--output-as=xml")
        .arg("-x")
        .arg(file)
        .args(arguments)
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    (done.status.code(), canonical(&String::from_utf8_lossy(&done.stdout)))
}

fn compare(file: &Path, arguments: &[&str], wrong: &mut Vec<String>) {
    let theirs = run(PEER, &[], file, arguments);
    let ours = run(env!("CARGO_BIN_EXE_everbeat"), &["crm_simulate"], file, arguments);
    if theirs == ours {
        return;
    }
    let at = theirs.1.iter().zip(&ours.1).position(|(a, b)| a != b).unwrap_or(0);
    wrong.push(format!(
        "{} {arguments:?}: exit {:?} and {:?}, {} and {} elements\n  peer: {:?}\n  ours: {:?}",
        file.display(),
        theirs.0,
        ours.0,
        theirs.1.len(),
        ours.1.len(),
        theirs.1.get(at),
        ours.1.get(at)
    ));
}

#[test]
fn documents_are_the_peers() {
    let Some(files) = recorded::inputs() else { return recorded::missing("the recorded cases", LEFT_OUT) };
    if !Path::new(PEER).exists() {
        return recorded::missing(PEER, LEFT_OUT);
    }
    let (mut compared, mut wrong) = (0, Vec::new());
    for file in files.iter().step_by(STEP) {
        compare(file, &["-S", "-s"], &mut wrong);
        compared += 1;
    }
    assert!(compared >= 100, "only {compared} cases");
    assert!(wrong.is_empty(), "{} of {compared} documents differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn changes_are_the_peers() {
    let Some(files) = recorded::inputs() else { return recorded::missing("the recorded cases", LEFT_OUT) };
    if !Path::new(PEER).exists() {
        return recorded::missing(PEER, LEFT_OUT);
    }
    let mut wrong = Vec::new();
    let changes = ["-f", "node1", "-d", "node3", "-u", "node4", "-q", "true", "-w", "true"];
    let tickets = ["-g", "t1", "-r", "t1", "-b", "t1", "-e", "t1"];
    let results = ["-i", "rsc1_monitor_1000@node2=0", "-F", "rsc1_start_0@node2=1"];
    let file = files.iter().find(|file| file.ends_with("coloc-loop.xml")).unwrap();
    for arguments in [&changes[..], &tickets, &results, &[], &["-R"], &["-Q"]] {
        compare(file, arguments, &mut wrong);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
