//! Makes a CIB that both programs plan differently as small as it gets.

use std::collections::{BTreeMap, BTreeSet};

use cib::Element;

use super::compare::{Level, Verdict, compare};
use super::reference::Reference;

/// How many CIBs are tried at most; each takes the reference some 30 ms.
const TRIES: usize = 2500;

struct Shrinker<'a> {
    reference: &'a Reference,
    /// What one side said more.
    shapes: BTreeSet<String>,
    tries: usize,
}

impl Shrinker<'_> {
    /// Whether a smaller CIB is valid and differs in something that differed first, and in nothing else:
    /// any difference would do for a search, but leads away from what was to be explained.
    fn still(&mut self, root: &Element) -> bool {
        if self.tries >= TRIES {
            return false;
        }
        self.tries += 1;
        match compare(self.reference, root) {
            Ok(Verdict::Differ(levels, _)) => shapes(&levels).is_subset(&self.shapes),
            _ => false,
        }
    }

    /// Removes elements below `path`, big ones first, then inside what stays.
    fn elements(&mut self, root: &mut Element, path: &mut Vec<usize>) -> bool {
        let mut changed = false;
        let mut at = root.at(path).map_or(0, |e| e.nodes().len());
        while at > 0 {
            at -= 1;
            let mut smaller = root.clone();
            let removed = smaller.at_mut(path).and_then(|parent| parent.remove_node(at));
            if removed.is_some() && self.still(&smaller) {
                *root = smaller;
                changed = true;
                continue;
            }
            path.push(at);
            changed |= self.elements(root, path);
            path.pop();
        }
        changed
    }

    fn attributes(&mut self, root: &mut Element, path: &mut Vec<usize>) -> bool {
        let mut changed = false;
        // A history entry without its attributes is nothing that was ever written.
        if root.at(path).is_some_and(|e| e.name().starts_with("lrm_")) {
            return false;
        }
        let names: Vec<String> =
            root.at(path).map(|e| e.attrs().map(|(name, _)| name.to_owned()).collect()).unwrap_or_default();
        for name in names {
            if matches!(
                name.as_str(),
                "id" | "uname" | "execution-date" | "crm_feature_set" | "validate-with"
            ) {
                continue;
            }
            let mut smaller = root.clone();
            if let Some(e) = smaller.at_mut(path) {
                e.remove_attr(&name);
            }
            if self.still(&smaller) {
                *root = smaller;
                changed = true;
            }
        }
        for at in 0..root.at(path).map_or(0, |e| e.nodes().len()) {
            path.push(at);
            changed |= self.attributes(root, path);
            path.pop();
        }
        changed
    }
}

/// What differs, without the numbers and widths that change as a CIB gets smaller.
fn shapes(levels: &BTreeMap<Level, String>) -> BTreeSet<String> {
    let shape = |line: &str| -> String {
        let words = line.split_whitespace().map(|word| word.replace(|c: char| c.is_ascii_digit(), ""));
        words.collect::<Vec<_>>().join(" ")
    };
    levels.values().flat_map(|text| text.lines()).map(shape).collect()
}

/// A smaller CIB that differs in some of the same lines.
pub fn shrink(reference: &Reference, root: &Element, levels: &BTreeMap<Level, String>) -> Element {
    let mut root = root.clone();
    let mut shrinker = Shrinker { reference, shapes: shapes(levels), tries: 0 };
    loop {
        let fewer = shrinker.elements(&mut root, &mut Vec::new());
        let shorter = shrinker.attributes(&mut root, &mut Vec::new());
        if !fewer && !shorter || shrinker.tries >= TRIES {
            return root;
        }
    }
}
