//! Fuzz body from CIB text to plan, over the recorded documents and seeded mutations of them: whatever
//! parses is planned, without panic and without end.
//!
//! `EVERBEAT_FUZZ=100000 cargo test --release -p crm-core --test policy_fuzz` for longer runs.
#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use cib::Element;

#[path = "../fuzz/bodies.rs"]
mod bodies;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (sides.max(1) as u64)).unwrap()
    }
}

const VALUES: &[&str] = &[
    "",
    "0",
    "-1",
    "true",
    "false",
    "INFINITY",
    "-INFINITY",
    "99999999999999999999",
    "Started",
    "Stopped",
    "Promoted",
    "10s",
    "P1D",
    "no-such-thing",
    "\u{1f980}",
    "start",
    "stop",
    "monitor",
    "fence",
    "block",
    "7",
    "9",
    "190",
];

/// Changes, removes, repeats or moves something anywhere, status included.
fn mutate(root: &mut Element, dice: &mut Dice) {
    let mut element = root;
    for _ in 0..=dice.roll(7) {
        let children = element.children().count();
        if children == 0 {
            break;
        }
        let chosen = dice.roll(children);
        element = element.children_mut().nth(chosen).unwrap();
    }
    let names: Vec<String> = element.attrs().map(|(name, _)| name.to_owned()).collect();
    let name = names.get(dice.roll(names.len())).cloned().unwrap_or_else(|| "id".to_owned());
    match dice.roll(5) {
        0 => element.remove_attr(&name),
        1 | 2 => element.set_attr(&name, VALUES[dice.roll(VALUES.len())]),
        3 => {
            let count = element.children().count();
            let child = element.children().nth(dice.roll(count)).cloned();
            if let Some(child) = child {
                element.push(child);
            }
        }
        _ => {
            let count = element.children().count();
            let gone = dice.roll(count);
            let mut index = 0;
            element.retain_children(|_| {
                index += 1;
                index - 1 != gone
            });
        }
    }
}

fn corpus() -> Option<Vec<PathBuf>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let root = std::env::var_os("EVERBEAT_CONFORMANCE").map_or(beside, PathBuf::from);
    let folder = root.join("scheduler/xml");
    if !folder.is_dir() {
        let missing = format!("no recorded cases at {}; set EVERBEAT_CONFORMANCE", folder.display());
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("LEFT OUT: {missing}");
        return None;
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

#[test]
fn whatever_parses_is_planned() {
    let Some(files) = corpus() else { return };
    let rounds: u64 = std::env::var("EVERBEAT_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(400);
    for seed in 0..rounds {
        let mut dice = Dice(seed);
        let file = &files[dice.roll(files.len())];
        let mut root = Element::parse(&std::fs::read_to_string(file).unwrap()).unwrap();
        for _ in 0..=dice.roll(6) {
            mutate(&mut root, &mut dice);
        }
        let text = root.to_xml();
        let done = std::panic::catch_unwind(|| bodies::plan_text(&text));
        assert!(done.is_ok(), "seed {seed}, {}", file.display());
    }
}
