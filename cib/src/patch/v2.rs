//! Format 2: deletions, then a walk of the new tree with creations, modifications and moves.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{self, Level};
use super::failed;
use crate::Element;
use crate::ops::{Code, OpError};

/// The last level of the address of a comment.
const COMMENT_LEVEL: &str = "comment";

/// The changes from `old` to `new`, `None` when there are none.
pub(super) fn changes(old: &Element, new: &Element, exact: bool) -> Option<Vec<Element>> {
    let mut maker = Maker { deletes: Vec::new(), others: Vec::new(), exact };
    maker.element(old, new, &address::extend("", new));
    let mut changes = maker.deletes;
    changes.extend(maker.others);
    (!changes.is_empty()).then_some(changes)
}

struct Maker {
    deletes: Vec<Element>,
    others: Vec<Element>,
    exact: bool,
}

impl Maker {
    fn element(&mut self, old: &Element, new: &Element, address: &str) {
        if old.ptr_eq(new) {
            return;
        }
        self.attributes(old, new, address);
        let pairs = pair(old, new);
        // Comments by position, from the last, while everything before them is in place; then what has an id, so that
        // an address by name alone finds the right ones.
        let mut gone: Vec<_> =
            old.nodes().enumerate().filter(|(index, _)| !pairs.old_paired.contains(index)).collect();
        gone.reverse();
        gone.sort_by_key(|(_, node)| (!node.is_comment(), !address::has_id(node)));
        for (index, node) in gone {
            self.delete(node, address, index);
        }
        for (index, node) in new.nodes().enumerate() {
            match pairs.old_of_new.get(&index).and_then(|&old_index| old.node_at(old_index)) {
                None => {
                    let create = change("create", address).with_attr("position", index.to_string());
                    self.others.push(create.with_child(node.clone()));
                }
                Some(before) => {
                    if !node.is_comment() {
                        self.element(before, node, &address::extend(address, node));
                    }
                    if pairs.moved.contains(&index) {
                        let address = address::extend(address, node);
                        self.others.push(change("move", &address).with_attr("position", index.to_string()));
                    }
                }
            }
        }
    }

    fn attributes(&mut self, old: &Element, new: &Element, address: &str) {
        let mut list = Element::new("change-list");
        let item = |name: &str, operation| {
            Element::new("change-attr").with_attr("name", name).with_attr("operation", operation)
        };
        for (name, value) in new.attrs() {
            if old.attr(name) != Some(value) {
                list.push(item(name, "set").with_attr("value", value));
            }
        }
        for (name, _) in old.attrs() {
            if new.attr(name).is_none() {
                list.push(item(name, "unset"));
            }
        }
        if list.is_leaf() && !(self.exact && old.attrs().ne(new.attrs())) {
            return;
        }
        let mut bare = new.clone();
        bare.clear_nodes();
        let result = Element::new("change-result").with_child(bare);
        self.others.push(change("modify", address).with_child(list).with_child(result));
    }

    fn delete(&mut self, node: &Element, address: &str, index: usize) {
        self.deletes.push(if node.is_comment() {
            change("delete", &format!("{address}/{COMMENT_LEVEL}")).with_attr("position", index.to_string())
        } else {
            change("delete", &address::extend(address, node))
        });
    }
}

fn change(operation: &str, path: &str) -> Element {
    Element::new("change").with_attr("operation", operation).with_attr("path", path)
}

/// Which nodes of two lists are the same ones.
struct Pairs {
    old_paired: BTreeSet<usize>,
    old_of_new: BTreeMap<usize, usize>,
    /// Indices in the new list of paired nodes that changed place among the paired ones.
    moved: BTreeSet<usize>,
}

impl Pairs {
    fn of(pairs: Vec<(usize, usize)>, moved: BTreeSet<usize>) -> Pairs {
        Pairs {
            old_paired: pairs.iter().map(|&(old, _)| old).collect(),
            old_of_new: pairs.iter().map(|&(old, new)| (new, old)).collect(),
            moved,
        }
    }
}

fn pair(old: &Element, new: &Element) -> Pairs {
    // The common case, and the cheap one: the same nodes in the same order.
    let aligned = old.nodes().len() == new.nodes().len()
        && old
            .nodes()
            .zip(new.nodes())
            .all(|(a, b)| a.ptr_eq(b) || (a.name() == b.name() && a.id() == b.id() && !a.is_comment()));
    if aligned && !has_ambiguous(old) {
        return Pairs::of((0..old.nodes().len()).map(|index| (index, index)).collect(), BTreeSet::new());
    }
    let mut ambiguous = ambiguous_names(old);
    ambiguous.extend(ambiguous_names(new));
    let mut keyed: BTreeMap<(&str, Option<&str>), usize> = BTreeMap::new();
    for (index, node) in old.nodes().enumerate() {
        if !node.is_comment() && !ambiguous.contains(node.name()) {
            keyed.insert((node.name(), node.id()), index);
        }
    }
    // Nodes an address cannot tell apart are the same only as long as nothing about them changes.
    let mut unchanged: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for name in ambiguous.iter().copied() {
        let of = |element: &Element| -> Vec<Element> { element.children_named(name).cloned().collect() };
        if of(old) == of(new) {
            let indices =
                old.nodes().enumerate().filter(|(_, node)| node.name() == name).map(|(index, _)| index);
            unchanged.insert(name, indices.rev().collect());
        }
    }
    let mut pairs = Vec::new();
    for (index, node) in new.nodes().enumerate() {
        if node.is_comment() {
            continue;
        }
        let before = match unchanged.get_mut(node.name()) {
            Some(indices) => indices.pop(),
            None => keyed.get(&(node.name(), node.id())).copied(),
        };
        if let Some(before) = before {
            pairs.push((before, index));
        }
    }
    let mut stay = longest_increasing(&pairs);
    // What cannot be addressed cannot be moved: delete and create all of that name instead.
    let stuck: BTreeSet<&str> = pairs
        .iter()
        .filter(|(_, index)| !stay.contains(index))
        .filter_map(|&(_, index)| new.node_at(index).map(Element::name))
        .filter(|name| ambiguous.contains(name))
        .collect();
    if !stuck.is_empty() {
        pairs.retain(|&(_, index)| new.node_at(index).is_some_and(|node| !stuck.contains(node.name())));
        stay = longest_increasing(&pairs);
    }
    pair_comments(old, new, &mut pairs, &stay);
    let moved = pairs.iter().map(|&(_, index)| index);
    let moved = moved
        .filter(|index| !stay.contains(index) && new.node_at(*index).is_some_and(|node| !node.is_comment()));
    let moved = moved.collect();
    Pairs::of(pairs, moved)
}

/// Comments have no names: one is the same as long as the text is the same and so is its neighbourhood, that is, it lies
/// between the same two nodes that stay.
fn pair_comments(old: &Element, new: &Element, pairs: &mut Vec<(usize, usize)>, stay: &BTreeSet<usize>) {
    if !old.nodes().any(Element::is_comment) || !new.nodes().any(Element::is_comment) {
        return;
    }
    let mut staying: Vec<(usize, usize)> =
        pairs.iter().copied().filter(|(_, index)| stay.contains(index)).collect();
    staying.sort_unstable();
    staying.push((old.nodes().len(), new.nodes().len()));
    let (mut old_from, mut new_from) = (0, 0);
    for (old_to, new_to) in staying {
        let mut next = new_from;
        for (index, node) in old.nodes().enumerate().take(old_to).skip(old_from) {
            if !node.is_comment() {
                continue;
            }
            let found = (next..new_to).find(|&at| new.node_at(at).is_some_and(|other| other == node));
            if let Some(at) = found {
                pairs.push((index, at));
                next = at + 1;
            }
        }
        (old_from, new_from) = (old_to + 1, new_to + 1);
    }
}

fn has_ambiguous(element: &Element) -> bool {
    !ambiguous_names(element).is_empty()
}

/// Names whose bearers among the children cannot all be told apart by an address.
fn ambiguous_names(element: &Element) -> BTreeSet<&str> {
    let mut ids: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
    let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    let mut out = BTreeSet::new();
    for node in element.children() {
        if !ids.insert((node.name(), node.id())) {
            out.insert(node.name());
        }
        let unaddressable = !address::has_id(node);
        let count = counts.entry(node.name()).or_default();
        count.0 += 1;
        count.1 += usize::from(unaddressable);
    }
    out.extend(counts.iter().filter(|(_, (all, without))| *without > 0 && *all > 1).map(|(name, _)| *name));
    out
}

/// Of (old, new) pairs ordered by new: the new indices of a longest sequence whose old indices rise too. They stay.
fn longest_increasing(pairs: &[(usize, usize)]) -> BTreeSet<usize> {
    // tails[k]: the pair that ends the sequence of length k + 1 with the smallest old index.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    let old_of = |index: usize| pairs.get(index).map_or(usize::MAX, |&(old, _)| old);
    for (index, &(old, _)) in pairs.iter().enumerate() {
        let slot = tails.partition_point(|&tail| old_of(tail) < old);
        before.push(slot.checked_sub(1).and_then(|slot| tails.get(slot).copied()));
        match tails.get_mut(slot) {
            Some(tail) => *tail = index,
            None => tails.push(index),
        }
    }
    let mut out = BTreeSet::new();
    let mut at = tails.last().copied();
    while let Some(index) = at {
        out.extend(pairs.get(index).map(|&(_, new)| new));
        at = before.get(index).copied().flatten();
    }
    out
}

/// A creation or move waiting for the deletions and modifications to be done.
struct Waiting<'a> {
    position: usize,
    /// Where: the parent for a creation, the element for a move.
    levels: Vec<Level<'a>>,
    /// What to create; `None` moves.
    create: Option<&'a Element>,
}

pub(super) fn apply(root: &Element, patch: &Element) -> Result<Element, OpError> {
    let mut root = root.clone();
    let mut waiting: Vec<Waiting<'_>> = Vec::new();
    for change in patch.children().filter(|child| child.name() != "version") {
        if change.name() != "change" {
            return Err(failed(format!("<{}> is no part of a patch", change.name())));
        }
        let path = change.attr("path").unwrap_or("");
        let operation = change.attr("operation").unwrap_or("");
        let misfit = || failed(format!("{operation} of \"{path}\": there is no such element"));
        let position = change.attr("position").map(|text| text.parse::<usize>());
        let position = match position {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(_)) => {
                return Err(failed(format!("{operation} of \"{path}\": the position is no number")));
            }
        };
        let Some(levels) = address::parse(path) else {
            return Err(failed(format!("{operation}: \"{path}\" is no address")));
        };
        match operation {
            "delete" => delete(&mut root, &levels, position),
            "modify" => {
                let Some(result) =
                    change.path(&["change-result"]).and_then(|result| result.children().next())
                else {
                    return Err(OpError::new(
                        Code::NoMessage,
                        format!("modify of \"{path}\" without a result"),
                    ));
                };
                let target =
                    address::locate(&root, &levels).and_then(|path| root.at_mut(&path)).ok_or_else(misfit)?;
                if target.name() != result.name() {
                    return Err(failed(format!("modify of \"{path}\": its result is a <{}>", result.name())));
                }
                target.clear_attrs();
                for (name, value) in result.attrs() {
                    target.set_attr(name, value);
                }
            }
            "create" => {
                let Some(element) = change.nodes().next() else {
                    return Err(failed(format!("create in \"{path}\": nothing is given")));
                };
                waiting.push(Waiting {
                    position: position.unwrap_or(usize::MAX),
                    levels,
                    create: Some(element),
                });
            }
            "move" => {
                let target = address::locate(&root, &levels).ok_or_else(misfit)?;
                let (&last, parent) = target.split_last().ok_or_else(misfit)?;
                let parent = root.at_mut(parent).ok_or_else(misfit)?;
                if let Some(node) = parent.remove_node(last) {
                    parent.push(node);
                }
                waiting.push(Waiting { position: position.unwrap_or(usize::MAX), levels, create: None });
            }
            other => return Err(failed(format!("unknown operation \"{other}\" on \"{path}\""))),
        }
    }
    waiting.sort_by_key(|waiting| waiting.position);
    for waiting in waiting {
        perform(&mut root, waiting)?;
    }
    Ok(root)
}

/// What is not there need not be deleted; a wrong result is found by the digest.
fn delete(root: &mut Element, levels: &[Level<'_>], position: Option<usize>) {
    if let (Some(position), Some((last, parent))) = (position, levels.split_last())
        && last.name == COMMENT_LEVEL
    {
        let parent = address::locate(root, parent).and_then(|path| root.at_mut(&path));
        if let Some(parent) = parent
            && parent.node_at(position).is_some_and(Element::is_comment)
        {
            parent.remove_node(position);
        }
        return;
    }
    if let Some(path) = address::locate(root, levels)
        && let Some((&last, parent)) = path.split_last()
        && let Some(parent) = root.at_mut(parent)
    {
        parent.remove_node(last);
    }
}

fn perform(root: &mut Element, waiting: Waiting<'_>) -> Result<(), OpError> {
    let show = || waiting.levels.iter().fold(String::new(), |text, level| format!("{text}/{}", level.name));
    let path =
        address::locate(root, &waiting.levels).ok_or_else(|| failed(format!("there is no {}", show())))?;
    match waiting.create {
        Some(element) => {
            if let Some(parent) = root.at_mut(&path) {
                parent.insert_node(waiting.position, element.clone());
            }
        }
        None => {
            let (&last, above) =
                path.split_last().ok_or_else(|| failed("the root cannot move".to_string()))?;
            let Some(parent) = root.at_mut(above) else { return Ok(()) };
            if let Some(node) = parent.remove_node(last) {
                if waiting.position > parent.nodes().len() {
                    return Err(failed(format!("{} cannot move to {}", show(), waiting.position)));
                }
                parent.insert_node(waiting.position, node);
            }
        }
    }
    Ok(())
}
