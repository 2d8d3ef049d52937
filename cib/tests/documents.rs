//! Real documents: the recorded CIBs of both dialects parse, print, differ and patch.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use cib::patch::{Format, Making};
use cib::{Element, digest, patch};

/// Recorded files that are not XML: an attribute stands twice, or has no name.
const NOT_XML: [&str; 3] = ["notify-4.xml", "params-1.xml", "params-4.xml"];

fn is_xml(path: &Path) -> bool {
    // Files of the same name in the other collection are sound.
    !(path.parent().is_some_and(|parent| parent.ends_with("cib-2x"))
        && NOT_XML.iter().any(|name| path.ends_with(name)))
}

/// Where the recorded cases lie; `None`, said loudly, where they are absent.
fn recorded() -> Option<Vec<(PathBuf, Element)>> {
    let base = std::env::var_os("EVERBEAT_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let mut files = Vec::new();
    for directory in ["scheduler/xml", "cib-2x"] {
        let Ok(entries) = std::fs::read_dir(base.join(directory)) else { continue };
        files.extend(
            entries
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|e| e == "xml")),
        );
    }
    if files.is_empty() {
        eprintln!("SKIPPED: no recorded documents at {} (set EVERBEAT_CONFORMANCE)", base.display());
        return None;
    }
    files.sort();
    let parse = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        if !is_xml(&path) {
            assert!(Element::parse_bytes(&bytes).is_err());
            return (path, Element::new("cib"));
        }
        let root = Element::parse_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, root)
    };
    Some(files.into_iter().map(parse).collect())
}

#[test]
fn they_survive_printing_and_lead_to_each_other_by_patches() {
    let Some(documents) = recorded() else { return };
    assert!(documents.len() > 700, "{} documents", documents.len());
    for (path, root) in &documents {
        let printed = root.to_xml();
        let again = Element::parse(&printed).unwrap();
        assert_eq!(&again, root, "{}", path.display());
        assert_eq!(again.to_xml(), printed, "{}", path.display());
    }
    let making = Making { format: Format::Two, versions: false, digest: true, exact: true };
    for (one, two) in documents.iter().zip(documents.iter().skip(1)) {
        let (old, mut new) = (&one.1, two.1.clone());
        for name in ["admin_epoch", "epoch", "num_updates"] {
            // A patch without versions keeps those of the old document.
            match old.attr(name) {
                Some(value) => new.set_attr(name, value),
                None => new.remove_attr(name),
            }
        }
        if let Some(change) = patch::make(old, &new, making) {
            let change = Element::parse(&change.to_xml()).unwrap();
            let result = patch::apply_to(old, &change);
            assert!(
                result.as_ref() == Ok(&new),
                "{} -> {}: {:?}",
                one.0.display(),
                two.0.display(),
                result.err()
            );
        }
    }
}

#[test]
fn their_digests_are_those_of_the_peer() {
    let Some(documents) = recorded() else { return };
    let program = "/usr/sbin/cibadmin";
    if !Path::new(program).exists() {
        eprintln!("SKIPPED: no {program} (package pacemaker-cli-utils) to compare with");
        return;
    }
    for (path, root) in documents.iter().filter(|(path, _)| is_xml(path)).step_by(12) {
        for (option, own) in [("-5", digest::file(root)), ("-6", digest::versioned(root))] {
            let done = Command::new(program).args([option, "-x"]).arg(path).output().unwrap();
            assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), own, "{option} {}", path.display());
        }
    }
}
