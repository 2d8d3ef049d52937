//! Explanations of situations: a CIB of ours each, the questions in its first comment, the answers in the
//! text file beside it. `EVERBEAT_BLESS=1 cargo test -p crm-core --test explain` writes the answers anew;
//! read the difference before it is committed.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use crm_core::explain::{self, text};
use crm_core::policy::Situation;

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

/// The questions of a case: the lines of its first comment.
fn questions(xml: &str) -> Vec<&str> {
    let comment = xml.split_once("<!--").and_then(|(_, rest)| rest.split_once("-->")).unwrap().0;
    comment.lines().map(str::trim).filter(|l| !l.is_empty()).collect()
}

fn answer(cib: &cib::Cib, situation: &Situation, question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    match words.as_slice() {
        ["explain", resource] => text::all(&explain::explain(cib, situation, Some(resource), None).unwrap()),
        ["explain", resource, node] => {
            text::all(&explain::explain(cib, situation, Some(resource), Some(node)).unwrap())
        }
        ["json", resource] => {
            text::tree(&explain::explain(cib, situation, Some(resource), None).unwrap()).to_json()
        }
        ["xml", resource] => text::tree(&explain::explain(cib, situation, Some(resource), None).unwrap())
            .to_tag("explanations")
            .to_xml(),
        ["actions"] => text::causes(&explain::causes(cib, situation)),
        _ => panic!("what is {question:?}?"),
    }
}

#[test]
fn situations_are_explained() {
    let bless = std::env::var_os("EVERBEAT_BLESS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let xml = std::fs::read_to_string(file).unwrap();
        let cib = cib::Cib::parse(&xml).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let now = cib.root().attr("execution-date").unwrap().parse().unwrap();
        let situation = Situation { now, ..Situation::default() };
        let got: Vec<String> =
            questions(&xml).iter().map(|q| format!("? {q}\n{}", answer(&cib, &situation, q))).collect();
        let got = got.join("\n");
        let expected = file.with_extension("txt");
        if bless {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            wrong.push(format!("{}:\n{got}", expected.display()));
        }
    }
    assert!(files.len() >= 30, "{} cases", files.len());
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
