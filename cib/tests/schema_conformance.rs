//! Every recorded CIB gets the verdict that the reference's schemas give it.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

fn recorded(folder: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let root = std::env::var_os("EVERBEAT_CONFORMANCE").map_or(beside, PathBuf::from);
    let found = root.join(folder);
    if found.is_dir() {
        return Some(found);
    }
    let missing = format!("no recorded cases at {}; set EVERBEAT_CONFORMANCE", found.display());
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
    eprintln!("LEFT OUT: {missing}");
    None
}

/// Whether crm_verify is there to be asked.
fn peer_is_there() -> bool {
    let there = Path::new(PEER).exists();
    if !there {
        let missing = "crm_verify is not installed (Debian: pacemaker-cli-utils)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("LEFT OUT: {missing}");
    }
    there
}

const PEER: &str = "/usr/sbin/crm_verify";

/// What the peer says of a file, and whether it conforms to its schema.
fn peer_accepts(file: &Path) -> (bool, String) {
    let peer = std::process::Command::new(PEER).arg("-VVx").arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&peer.stderr).into_owned();
    (!said.contains("did not pass schema validation"), said)
}

/// What is wrong with a recorded CIB, with us and with the peer; nothing is.
fn complaints(path: &Path, peer: bool) -> Vec<String> {
    let root = cib::Element::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut complaints: Vec<String> = match cib::schema::validate(&root) {
        Ok(found) => found.iter().map(|c| format!("{}: {c}", path.display())).collect(),
        Err(error) => vec![format!("{}: {error}", path.display())],
    };
    if peer && let (false, said) = peer_accepts(path) {
        complaints.push(format!("{}: the peer: {said}", path.display()));
    }
    complaints
}

#[test]
fn recorded_cibs_validate() {
    let Some(folder) = recorded("scheduler/xml") else { return };
    let peer = peer_is_there();
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    // A process for each takes its time: several at once.
    let complaints: Vec<String> = std::thread::scope(|scope| {
        let parts: Vec<_> = files
            .chunks(files.len().div_ceil(4))
            .map(|part| {
                scope.spawn(move || part.iter().flat_map(|path| complaints(path, peer)).collect::<Vec<_>>())
            })
            .collect();
        parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
    });
    assert_eq!(files.len(), 583);
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// A small generator of its own, so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (sides as u64)).unwrap()
    }
}

/// Changes one thing about one random element of the configuration.
fn mutate(root: &mut cib::Element, dice: &mut Dice) {
    let mut element = root.child_mut("configuration").unwrap();
    let stop = 1 + dice.roll(5);
    for _ in 0..stop {
        let children = element.children().count();
        if children == 0 {
            break;
        }
        let chosen = dice.roll(children);
        element = element.children_mut().nth(chosen).unwrap();
    }
    let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
    let attribute = if names.is_empty() { "id".to_owned() } else { names[dice.roll(names.len())].clone() };
    match dice.roll(8) {
        0 => element.remove_attr(&attribute),
        1 => element.set_attr("bogus", "1"),
        2 => element.set_attr(
            &attribute,
            ["", "0", "true", "yes", "INFINITY", "1 a", "no-such-thing", "Started"][dice.roll(8)],
        ),
        3 => {
            let value = element.attr(&attribute).unwrap_or("x").to_owned();
            element.remove_attr(&attribute);
            element.set_attr(&format!("{attribute}s"), value);
        }
        4 => element.push(cib::Element::new("bogus")),
        5 => {
            let tags =
                ["primitive", "group", "meta_attributes", "op", "rule", "nvpair", "rsc_location", "node"];
            element.push(cib::Element::new(tags[dice.roll(tags.len())]).with_attr("id", "new-id"));
        }
        6 => {
            let first = element.children().next().cloned();
            if let Some(child) = first {
                element.push(child);
            }
        }
        _ => {
            let all = element.children().count();
            if all > 0 {
                let gone = dice.roll(all);
                let mut index = 0;
                element.retain_children(|_| {
                    index += 1;
                    index - 1 != gone
                });
            }
        }
    }
}

#[test]
fn three_hundred_mutations_get_the_same_verdict_from_the_peer() {
    let Some(folder) = recorded("scheduler/xml") else { return };
    if !peer_is_there() {
        return;
    }
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    let scratch = tempfile::tempdir().unwrap();
    let mut differences = Vec::new();
    let mut accepted = 0;
    for seed in 0..300u64 {
        let mut dice = Dice(seed);
        let case = &cases[dice.roll(cases.len())];
        let mut root = cib::Element::parse(&std::fs::read_to_string(case).unwrap()).unwrap();
        mutate(&mut root, &mut dice);
        let text = root.to_xml();
        let file = scratch.path().join("mutated.xml");
        std::fs::write(&file, &text).unwrap();
        let (theirs, said) = peer_accepts(&file);
        let complaints = cib::schema::validate(&cib::Element::parse(&text).unwrap());
        let ours = complaints.as_ref().is_ok_and(Vec::is_empty);
        accepted += usize::from(ours);
        if ours != theirs {
            differences.push(format!("seed {seed}, {}: ours {complaints:?}, peer {said}", case.display()));
        }
    }
    assert!((30..270).contains(&accepted), "{accepted} of 300 accepted: the mutations say little");
    assert!(differences.is_empty(), "{} of 300 differ:\n{}", differences.len(), differences.join("\n"));
}

/// Line, column, element, id, what is wrong, and what would be right.
#[test]
fn complaints_name_the_place_and_the_nearest_name() {
    let text = "<cib validate-with=\"pacemaker-3.9\" admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\">\n\
                <configuration><crm_config/><nodes/>\n\
                <resources><primitve id=\"a\" class=\"lsb\" type=\"t\"/>\n\
                <primitive id=\"b\" clas=\"lsb\" type=\"t\"/>\n\
                <primitive id=\"c\" class=\"lsp\" type=\"t\"/></resources>\n\
                <constraints><rsc_location id=\"l\" rsc=\"bb\" node=\"n\" score=\"1\"/></constraints>\n\
                </configuration><status/></cib>";
    let complaints = cib::schema::validate(&cib::Element::parse(text).unwrap()).unwrap();
    let said: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    for wanted in [
        "3:12: <primitve id=\"a\">: element <primitve> is not allowed here; did you mean <primitive>?",
        "4:1: <primitive id=\"b\">: attribute \"clas\" is not allowed here; did you mean \"class\"?",
        "5:1: <primitive id=\"c\">: attribute class=\"lsp\" has no valid value; did you mean \"lsb\"?",
        "6:14: <rsc_location id=\"l\">: attribute rsc=\"bb\" refers to an id that does not exist; did you mean \"b\"?",
    ] {
        assert!(said.iter().any(|text| text == wanted), "{wanted}\nis not among\n{}", said.join("\n"));
    }
}
