//! Format 1: what was removed and what was added, as two trees.

use super::failed;
use crate::Element;
use crate::digest::BOOKKEEPING;
use crate::ops::OpError;

const MARKER: &str = "__crm_diff_marker__";
const REMOVED: &str = "removed:top";
const ADDED: &str = "added:top";
const COUNTERS: [&str; 3] = ["admin_epoch", "epoch", "num_updates"];

/// The two halves, `None` when nothing changed that this format can express.
pub(super) fn changes(old: &Element, new: &Element, versions: bool) -> Option<Vec<Element>> {
    let removed = half(old, new, Half::Removed);
    let added = half(new, old, Half::Added);
    if removed.is_none() && added.is_none() {
        return None;
    }
    // The root is written whole in what was added, as the peer does.
    let added = added.map(|mut added| {
        for (name, value) in new.attrs() {
            added.set_attr(name, value);
        }
        added
    });
    let wrap = |name: &str, tree: Option<Element>, from: &Element| {
        let mut tree = tree.unwrap_or_else(|| skeleton(from));
        let mut half = Element::new(name);
        for counter in COUNTERS {
            match from.attr(counter) {
                Some(value) if versions => {
                    half.set_attr(counter, value);
                    if tree.attr(counter).is_none() {
                        tree.set_attr(counter, value);
                    }
                }
                _ => tree.remove_attr(counter),
            }
        }
        half.with_child(tree)
    };
    Some(vec![wrap("diff-removed", removed, old), wrap("diff-added", added, new)])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    Removed,
    Added,
}

/// The name and the id alone.
fn skeleton(element: &Element) -> Element {
    let bare = Element::new(element.name());
    match element.id() {
        Some(id) => bare.with_attr("id", id),
        None => bare,
    }
}

/// What `one` has and `other` has not or has otherwise; `None` when nothing.
fn half(one: &Element, other: &Element, half_of: Half) -> Option<Element> {
    if one.ptr_eq(other) {
        return None;
    }
    let differs = |name: &str, value: &str| !BOOKKEEPING.contains(&name) && other.attr(name) != Some(value);
    let changed = one.attrs().any(|(name, value)| differs(name, value));
    // A vanished attribute shows in the other half alone.
    let mut out = skeleton(one);
    if changed {
        out = Element::new(one.name());
        for (name, value) in one.attrs() {
            if half_of == Half::Added || name == "id" || differs(name, value) {
                out.set_attr(name, value);
            }
        }
    }
    let mut any = changed;
    for child in one.children() {
        match partner(other, child) {
            Some(found) => {
                if let Some(part) = half(child, found, half_of) {
                    any = true;
                    out.push(part);
                }
            }
            None => {
                any = true;
                let marker = if half_of == Half::Added { ADDED } else { REMOVED };
                out.push(child.clone().with_attr(MARKER, marker));
            }
        }
    }
    any.then_some(out)
}

fn partner<'a>(parent: &'a Element, child: &Element) -> Option<&'a Element> {
    parent.children().find(|other| other.name() == child.name() && other.id() == child.id())
}

pub(super) fn apply(root: &Element, patch: &Element) -> Result<Element, OpError> {
    let tree = |name: &str| -> Result<Option<&Element>, OpError> {
        let Some(half) = patch.child(name) else { return Ok(None) };
        let mut trees = half.children();
        let first = trees.next();
        if trees.next().is_some() {
            return Err(failed(format!("{name} holds more than one document")));
        }
        Ok(first)
    };
    let (removed, added) = (tree("diff-removed")?, tree("diff-added")?);
    let mut root = root.clone();
    for tree in [removed, added].into_iter().flatten() {
        if tree.name() != root.name() {
            return Err(failed(format!("the patch is for a <{}>, this is a <{}>", tree.name(), root.name())));
        }
    }
    if let Some(removed) = removed {
        subtract(&mut root, removed, added)?;
    }
    if let Some(added) = added {
        add(&mut root, added)?;
    }
    Ok(root)
}

/// Take out what `removed` lists. Attributes that come back with `added` stay for now, so that they keep their place.
fn subtract(target: &mut Element, removed: &Element, added: Option<&Element>) -> Result<(), OpError> {
    for (name, _) in removed.attrs() {
        let returns = added.is_some_and(|added| added.attr(name).is_some());
        if name != "id" && name != MARKER && !returns {
            target.remove_attr(name);
        }
    }
    for child in removed.children() {
        let index = target.nodes().position(|node| node.name() == child.name() && node.id() == child.id());
        let Some(index) = index else {
            let id = child.id().unwrap_or("");
            return Err(failed(format!(
                "there is no <{}> \"{id}\" in <{}> to remove from",
                child.name(),
                target.name()
            )));
        };
        if child.attr(MARKER) == Some(REMOVED) {
            target.remove_node(index);
        } else if let Some(node) = target.node_at_mut(index) {
            subtract(node, child, added.and_then(|added| partner(added, child)))?;
        }
    }
    Ok(())
}

fn add(target: &mut Element, added: &Element) -> Result<(), OpError> {
    for (name, value) in added.attrs() {
        if name != MARKER {
            target.set_attr(name, value);
        }
    }
    for child in added.children() {
        let index = target.nodes().position(|node| node.name() == child.name() && node.id() == child.id());
        match index.and_then(|index| target.node_at_mut(index)) {
            Some(node) if child.attr(MARKER) == Some(ADDED) => {
                let id = node.id().unwrap_or("");
                return Err(failed(format!("<{}> \"{id}\" is there already", child.name())));
            }
            Some(node) => add(node, child)?,
            None => {
                let mut node = child.clone();
                node.remove_attr(MARKER);
                target.push(node);
            }
        }
    }
    Ok(())
}
