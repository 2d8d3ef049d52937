//! Recorded documents of the older languages upgrade to ones that the peer accepts.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use cib::dialect::{self, UpgradeError};
use cib::{Cib, Element};

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

/// Why a recorded document is not upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It is not well-formed: it cannot even be loaded.
    NotXml,
    /// It loads and is kept, and is not valid in its own language.
    Invalid,
}

/// Every exception, with its reason and words of what is said about it.
const EXCEPTIONS: &[(&str, Fault, &str, &str)] = &[
    ("bad2", Fault::Invalid, "a constraint names a resource that does not exist", "\"rsc3\" refers to an id"),
    (
        "bad3",
        Fault::Invalid,
        "a resource without class",
        "<primitive id=\"rsc1\">: something that must be there",
    ),
    (
        "bad4",
        Fault::Invalid,
        "a resource without class",
        "<primitive id=\"rsc1\">: something that must be there",
    ),
    (
        "notify-4",
        Fault::NotXml,
        "an attribute stands twice",
        "line 72 column 366: the attribute \"op_digest\"",
    ),
    ("params-1", Fault::NotXml, "an attribute without a name", "line 29 column 37: \"\" is not a name"),
    ("params-4", Fault::NotXml, "an attribute without a name", "line 29 column 37: \"\" is not a name"),
    ("rsc_location1", Fault::Invalid, "an operation that the language never had", "operation=\"#colocated\""),
    ("rsc_location2", Fault::Invalid, "an operation that the language never had", "operation=\"#colocated\""),
    ("rsc_location4", Fault::Invalid, "an operation that the language never had", "operation=\"#colocated\""),
];

#[test]
fn heartbeat_2_documents_load_and_upgrade() {
    let Some(files) = recorded("cib-2x") else { return };
    let peer = peer_is_there();
    let scratch = tempfile::tempdir().unwrap();
    let mut problems = Vec::new();
    let mut found = Vec::new();
    let mut loaded = 0;
    for path in &files {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let (fault, said) = match Cib::parse(&std::fs::read_to_string(path).unwrap()) {
            Err(error) => (Fault::NotXml, error.to_string()),
            Ok(cib) => {
                loaded += 1;
                // Kept as it is, whatever is wrong with it.
                assert_eq!(Element::parse(&cib.root().to_xml()).as_ref(), Ok(cib.root()), "{name}");
                match dialect::upgrade(cib.root()) {
                    Ok(done) => {
                        let said = if peer { peer_says(&done.root, scratch.path()) } else { String::new() };
                        if !said.is_empty() {
                            problems.push(format!("{name}: the peer: {said}"));
                        }
                        continue;
                    }
                    Err(UpgradeError::Invalid { complaints, .. }) => {
                        assert!(
                            complaints.iter().all(|complaint| complaint.position.is_some()),
                            "{name}: {complaints:?}"
                        );
                        let said: Vec<_> = complaints.iter().map(ToString::to_string).collect();
                        (Fault::Invalid, said.join("; "))
                    }
                    Err(error) => {
                        problems.push(format!("{name}: {error}"));
                        continue;
                    }
                }
            }
        };
        let known = EXCEPTIONS.iter().find(|(known, ..)| *known == name);
        let reason = known.map_or("NOT KNOWN", |(_, _, reason, _)| reason);
        println!("{name}: {fault:?}: {reason}: {said}");
        if !known.is_some_and(|(_, known, _, words)| *known == fault && said.contains(words)) {
            problems.push(format!("{name}: {fault:?}: {said}"));
        }
        found.push(name);
    }
    println!("{} documents, {loaded} loaded, {} upgraded", files.len(), files.len() - found.len());
    assert_eq!((files.len(), loaded), (145, 142));
    assert!(problems.is_empty(), "{} problems:\n{}", problems.len(), problems.join("\n"));
    let known: Vec<_> = EXCEPTIONS.iter().map(|(name, ..)| *name).collect();
    assert_eq!(found, known);
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
