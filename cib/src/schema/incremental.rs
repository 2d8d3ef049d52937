//! Checking a change instead of the whole document.
//!
//! Of the documents checked last, the ids and references are remembered, as numbers of bearers. A change of such a
//! document is right when the changed elements fit the grammar in their place and the counts still agree: ids once,
//! references to something. Whatever is not certain here is left to the full check.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::grammar::{self, Dialect};
use super::{adapter, references};
use crate::Element;

/// Documents remembered: a simulated cluster has several at a time.
const REMEMBERED: usize = 8;

struct Checked {
    configuration: Element,
    dialect: Dialect,
    counts: HashMap<u64, Counts>,
    /// For an id, where to look first: the section and the object in it. A hint: it may be out of date.
    places: HashMap<u64, (u32, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    bearers: u32,
    references: u32,
}

static RECENT: Mutex<Vec<Checked>> = Mutex::new(Vec::new());

fn recent() -> MutexGuard<'static, Vec<Checked>> {
    RECENT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether `after` is certain to be valid because `before` was found so and the difference is right.
pub(crate) fn accepts(before: &Element, after: &Element) -> bool {
    let (Some(old), Some(new)) = (before.child("configuration"), after.child("configuration")) else {
        return false;
    };
    let (Ok(was), Ok(is)) = (grammar::dialect_of(before), grammar::dialect_of(after)) else { return false };
    if was != is || !matches!(is, Dialect::Modern(_)) || !only_known_sections(after) {
        return false;
    }
    let mut recent = recent();
    // What was checked is not always the very tree that is in force: members, and the DC too, come to it by applying
    // the difference. Such trees share what did not change, so that comparing them costs little.
    let Some(index) =
        recent.iter().rposition(|checked| checked.dialect == is && checked.configuration == *old)
    else {
        return false;
    };
    let fits = grammar::compiled(is).is_ok_and(|grammar| adapter::fits(&excerpt(old, new, after), &grammar));
    if !fits {
        return false;
    }
    let mut checked = recent.remove(index);
    checked.configuration = old.clone();
    let accepted = checked.move_to(new);
    recent.push(checked);
    accepted
}

/// Remember a document that the full check found valid.
pub(crate) fn remember(root: &Element) {
    let Some(configuration) = root.child("configuration") else { return };
    let Ok(dialect @ Dialect::Modern(_)) = grammar::dialect_of(root) else { return };
    if !only_known_sections(root) {
        return;
    }
    let mut checked = Checked {
        configuration: configuration.clone(),
        dialect,
        counts: HashMap::new(),
        places: HashMap::new(),
    };
    let mut touched = Vec::new();
    checked.count_below(configuration, true, &mut touched);
    checked.place_all();
    let mut recent = recent();
    recent.retain(|other| other.configuration != *configuration || other.dialect != checked.dialect);
    if recent.len() >= REMEMBERED {
        recent.remove(0);
    }
    recent.push(checked);
}

/// Where the object with this id most likely is: the way from the root to the child of a section that is it or holds it.
pub(crate) fn place(root: &Element, id: &str) -> Option<Vec<usize>> {
    let index = root.nodes().position(|node| node.name() == "configuration")?;
    let configuration = root.node_at(index)?;
    let recent = recent();
    let checked = recent.iter().rev().find(|checked| checked.configuration == *configuration)?;
    let (section, object) = *checked.places.get(&hash(id))?;
    Some(vec![index, section as usize, object as usize])
}

/// Ids outside the configuration, apart from status, would have to be counted too.
fn only_known_sections(root: &Element) -> bool {
    root.children().all(|child| matches!(child.name(), "configuration" | "status"))
}

/// The document with only those objects of each section that are not in the old one. Every section is a list of
/// independent objects, so that what is left out neither asks for nor forbids anything.
fn excerpt(old: &Element, new: &Element, root: &Element) -> Element {
    let mut configuration = new.clone();
    configuration.clear_nodes();
    for section in new.children() {
        let mut part = section.clone();
        part.clear_nodes();
        match old.child(section.name()) {
            Some(before) if before.ptr_eq(section) => {}
            Some(before) => {
                let (_, added) = before.changed_nodes(section);
                added.into_iter().filter(|node| !node.is_comment()).for_each(|node| part.push(node.clone()));
            }
            None => part = section.clone(),
        }
        configuration.push(part);
    }
    let mut out = root.clone();
    out.clear_nodes();
    out.push(configuration);
    if root.child("status").is_some() {
        out.push(Element::new("status"));
    }
    out
}

impl Checked {
    /// Count what changed; whether ids are still unique and references known. If not, nothing was changed.
    fn move_to(&mut self, new: &Element) -> bool {
        let old = self.configuration.clone();
        let mut touched = Vec::new();
        self.count_difference(&old, new, &mut touched);
        let right = touched.iter().all(|key| {
            let counts = self.counts.get(key).copied().unwrap_or_default();
            counts.bearers <= 1 && (counts.references == 0 || counts.bearers == 1)
        });
        if !right {
            self.count_difference(new, &old, &mut touched);
            return false;
        }
        for key in touched {
            if self.counts.get(&key).is_some_and(|counts| counts.bearers == 0 && counts.references == 0) {
                self.counts.remove(&key);
            }
        }
        self.configuration = new.clone();
        true
    }

    fn count_difference(&mut self, old: &Element, new: &Element, touched: &mut Vec<u64>) {
        if old.ptr_eq(new) {
            return;
        }
        self.count_own(old, false, touched);
        self.count_own(new, true, touched);
        let (removed, added) = old.changed_nodes(new);
        let paired = removed.len() == added.len()
            && removed.iter().zip(&added).all(|(a, b)| a.name() == b.name() && a.id() == b.id());
        if paired {
            for (a, b) in removed.into_iter().zip(added) {
                self.count_difference(a, b, touched);
            }
            return;
        }
        for (nodes, more) in [(removed, false), (added, true)] {
            for node in nodes {
                self.count_below(node, more, touched);
            }
        }
    }

    fn count_below(&mut self, element: &Element, more: bool, touched: &mut Vec<u64>) {
        self.count_own(element, more, touched);
        for child in element.children() {
            self.count_below(child, more, touched);
        }
    }

    fn count_own(&mut self, element: &Element, more: bool, touched: &mut Vec<u64>) {
        let step = |number: &mut u32| *number = if more { *number + 1 } else { number.saturating_sub(1) };
        for (name, value) in element.attrs() {
            let bears = name == "id" && references::defines(self.dialect, element);
            let refers = references::refers(self.dialect, element.name(), name);
            if bears || refers {
                let key = hash(value);
                let counts = self.counts.entry(key).or_default();
                if bears {
                    step(&mut counts.bearers);
                }
                if refers {
                    step(&mut counts.references);
                }
                touched.push(key);
            }
        }
    }

    fn place_all(&mut self) {
        let configuration = self.configuration.clone();
        for (section_index, section) in (0..).zip(configuration.nodes()) {
            for (index, object) in (0..).zip(section.nodes()) {
                for element in object.descendants() {
                    if let Some(id) = element.id().filter(|_| references::defines(self.dialect, element)) {
                        self.places.insert(hash(id), (section_index, index));
                    }
                }
            }
        }
    }
}

fn hash(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::schema;

    const BASE: &str = "<cib validate-with='pacemaker-3.9' admin_epoch='0' epoch='0' num_updates='0'><configuration>\
         <crm_config/><nodes><node id='1' uname='n1'/></nodes><resources><primitive id='a' class='lsb' type='x'/>\
         <group id='g'><primitive id='b' class='lsb' type='x'/></group></resources><constraints>\
         <rsc_location id='l' rsc='a' node='n1' score='1'/></constraints></configuration><status/></cib>";

    /// Whatever edit is made, the quick check never accepts what the full one refuses, and accepts the harmless ones.
    #[test]
    fn it_agrees_with_the_full_check() {
        let before = Element::parse(BASE).unwrap();
        assert!(schema::validate(&before).unwrap().is_empty());
        let edits = [
            ("type='x'/>\\", "", true),
            ("score='1'", "score='2'", true),
            ("rsc='a'", "rsc='g'", true),
            ("rsc='a'", "rsc='nope'", false),
            ("id='b'", "id='a'", false),
            ("id='b'", "id='c'", true),
            ("id='a'", "id='c'", false),
            ("<primitive id='a' class='lsb' type='x'/>", "", false),
            ("<rsc_location id='l' rsc='a' node='n1' score='1'/>", "", true),
            ("<group id='g'>", "<group id='g' bogus='1'>", false),
            ("<primitive id='b' class='lsb' type='x'/>", "", false),
            ("<crm_config/>", "", false),
            ("<crm_config/>", "<crm_config/><tags><tag id='t'><obj_ref id='a'/></tag></tags>", true),
            ("<resources>", "<resources><primitive id='z' class='lsb' type='x'/>", true),
            ("<resources>", "<resources><primitive id='l' class='lsb' type='x'/>", false),
            ("<resources>", "<resources><primitive id='z' type='x'/>", false),
            ("epoch='0' num", "epoch='x' num", false),
        ];
        for (from, to, good) in edits {
            let target = Element::parse(&BASE.replacen(from, to, 1)).unwrap();
            // The same edit made on the tree, sharing what stays.
            let patch = crate::patch::make(
                &before,
                &target,
                crate::patch::Making {
                    format: crate::patch::Format::Two,
                    versions: false,
                    digest: false,
                    exact: true,
                },
            );
            let after = match patch {
                Some(patch) => crate::patch::apply_to(&before, &patch).unwrap(),
                None => before.clone(),
            };
            let full = schema::validate(&after).unwrap().is_empty();
            remember(&before);
            let quick = accepts(&before, &after);
            // Version attributes are not carried by the patch without versions.
            if !from.starts_with("epoch") {
                assert_eq!(full, good, "{from} -> {to}");
            }
            assert!(!quick || full, "{from} -> {to}: accepted what is wrong");
            assert_eq!(quick, full, "{from} -> {to}");
            if quick {
                assert!(accepts(&after, &after), "and goes on from there");
            }
        }
    }

    /// A member comes to a tree by the difference, not by the one that was checked: it goes on from its own.
    #[test]
    fn an_equal_tree_will_do() {
        // Other tests are at work on the base itself.
        let base = BASE.replacen("id='l'", "id='own'", 1);
        let (before, again) = (Element::parse(&base).unwrap(), Element::parse(&base).unwrap());
        remember(&before);
        for score in ["5", "6", "x y"] {
            let mut after = again.clone();
            let text = base.replacen("score='1'", &format!("score='{score}'"), 1);
            let changed = Element::parse(&text).unwrap();
            after.clear_nodes();
            changed.children().for_each(|child| after.push(child.clone()));
            let good = schema::validate(&after).unwrap().is_empty();
            assert_eq!(good, score != "x y");
            assert_eq!(accepts(&again, &after), good, "{score}");
            remember(&before);
        }
    }

    #[test]
    fn a_place_is_found() {
        let root = Element::parse(BASE).unwrap();
        remember(&root);
        let path = place(&root, "b").unwrap();
        assert_eq!(root.at(&path).unwrap().id(), Some("g"));
        assert_eq!(place(&root, "nope"), None);
    }
}
