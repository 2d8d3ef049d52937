//! Recorded documents of the older languages upgrade to ones that the peer accepts.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use cib::Element;
use cib::dialect::{self, UpgradeError};

fn recorded(folder: &str) -> Option<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let found = std::env::var_os("EVERBEAT_CONFORMANCE").map_or(beside, PathBuf::from).join(folder);
    if !found.is_dir() {
        let missing = format!("no recorded cases at {}; set EVERBEAT_CONFORMANCE", found.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("LEFT OUT: {missing}");
        return None;
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(found).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

fn peer_is_there() -> bool {
    let there = Path::new("/usr/sbin/crm_verify").exists();
    if !there {
        let missing = "crm_verify is not installed (Debian: pacemaker-cli-utils)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("LEFT OUT: {missing}");
    }
    there
}

/// What the peer's schema check says of a document; empty if it is accepted.
fn peer_says(root: &Element, scratch: &Path) -> String {
    let file = scratch.join("upgraded.xml");
    std::fs::write(&file, root.to_xml()).unwrap();
    let output = Command::new("/usr/sbin/crm_verify").arg("-VVx").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("did not pass schema validation") { said } else { String::new() }
}

/// Documents that are wrong in their own language, each for the reason given.
const WRONG: &[(&str, &str)] = &[
    ("bad2", "wrong on purpose: a constraint names a resource that does not exist"),
    ("bad3", "wrong on purpose: a resource without class"),
    ("bad4", "wrong on purpose: a resource without class"),
    ("notify-4", "not XML: an attribute stands twice"),
    ("params-1", "not XML: an attribute without a name"),
    ("params-4", "not XML: an attribute without a name"),
    ("rsc_location1", "an operation that the language never had (#colocated)"),
    ("rsc_location2", "an operation that the language never had (#colocated)"),
    ("rsc_location4", "an operation that the language never had (#colocated)"),
];

#[test]
fn heartbeat_2_documents_upgrade() {
    let Some(files) = recorded("cib-2x") else { return };
    let peer = peer_is_there();
    let scratch = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    let mut refused = BTreeSet::new();
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let root = match Element::parse(&std::fs::read_to_string(path).unwrap()) {
            Ok(root) => root,
            Err(error) => {
                refused.insert(name.clone());
                if !WRONG.iter().any(|(known, _)| *known == name) {
                    problems.push(format!("{name}: {error}"));
                }
                continue;
            }
        };
        match dialect::upgrade(&root) {
            Ok(done) => {
                let said = if peer { peer_says(&done.root, scratch.path()) } else { String::new() };
                if !said.is_empty() {
                    problems.push(format!("{name}: the peer: {said}"));
                }
            }
            Err(UpgradeError::Invalid { complaints, .. }) => {
                refused.insert(name.clone());
                if !WRONG.iter().any(|(known, _)| *known == name) {
                    problems.push(format!("{name}: refused: {}", complaints[0]));
                }
            }
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    assert!(files.len() > 100, "{} documents", files.len());
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    let known: BTreeSet<String> = WRONG.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(refused, known);
}

#[test]
fn every_recorded_modern_document_upgrades_to_the_newest() {
    let Some(files) = recorded("scheduler/xml") else { return };
    let peer = peer_is_there();
    let scratch = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    for (index, path) in files.iter().enumerate() {
        let root = Element::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        match dialect::upgrade(&root) {
            // The peer is asked about every fourth: a process for each takes its time.
            Ok(done) if peer && index % 4 == 0 => {
                let said = peer_says(&done.root, scratch.path());
                if !said.is_empty() {
                    problems.push(format!("{}: the peer: {said}", path.display()));
                }
            }
            Ok(_) => {}
            Err(error) => problems.push(format!("{}: {error}", path.display())),
        }
    }
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
}
