//! Create, modify, replace and delete by name and id.

use std::collections::HashMap;

use super::section::{self, of_input};
use super::{Code, OpError, Operation, Request, no_input};
use crate::schema::incremental;
use crate::{Element, Version};

/// Sums of `NAME+=N` end here, as scores do.
const SCORE_MAX: i64 = 1_000_000;

pub(super) fn edit(root: &mut Element, request: &Request) -> Result<(), OpError> {
    let input = request.input.as_ref().ok_or_else(no_input)?;
    let section = request.section.as_deref().filter(|section| !matches!(*section, "cib" | "all"));
    let Some(input) = of_input(input, section) else {
        // A whole `cib` was given that lacks the section in question.
        return Err(OpError::new(Code::Invalid, "the input has nothing for that section".to_string()));
    };
    match request.op {
        Operation::Create => create(root, section, &input, request),
        Operation::Modify => modify_section(root, section, &input, request),
        Operation::Replace if input.name() == "cib" => replace_all(root, input),
        Operation::Replace => replace(root, section, &input, request.options.allow_create),
        _ => {
            delete(root, section, &input);
            Ok(())
        }
    }
}

fn create(
    root: &mut Element,
    section: Option<&str>,
    input: &Element,
    request: &Request,
) -> Result<(), OpError> {
    let Some(section) = section.filter(|_| input.name() != "cib") else {
        return modify_section(root, None, input, request);
    };
    let objects: Vec<Element> =
        if input.name() == section { input.children().cloned().collect() } else { vec![input.clone()] };
    let path = section::locate(root, section);
    let mut failed = Element::new("failed");
    let mut first: Option<Code> = None;
    for object in objects {
        let code = match path.as_ref().and_then(|path| root.at_mut(path)) {
            None => Code::Invalid,
            Some(parent) if parent.children().any(|child| same(child, &object)) => Code::Exists,
            Some(parent) => {
                parent.push(object);
                continue;
            }
        };
        first.get_or_insert(code);
        failed.push(failure(object, code));
    }
    match first {
        None => Ok(()),
        Some(code) => {
            let text = match code {
                Code::Exists => format!("in section \"{section}\" there is such an object already"),
                _ => format!("the configuration has no section \"{section}\""),
            };
            Err(OpError::new(code, text).with_output(failed))
        }
    }
}

fn failure(object: Element, code: Code) -> Element {
    let mut failure = Element::new("failed_update");
    if let Some(id) = object.id() {
        failure.set_attr("id", id);
    }
    failure
        .with_attr("object_type", object.name())
        .with_attr("operation", Operation::Create.name())
        .with_attr("reason", code.text())
        .with_child(object)
}

fn modify_section(
    root: &mut Element,
    section: Option<&str>,
    input: &Element,
    request: &Request,
) -> Result<(), OpError> {
    let path = match section {
        None => Vec::new(),
        Some(section) => match section::locate(root, section) {
            Some(path) => path,
            None => {
                let names = section::section_path(section).unwrap_or_default();
                names.iter().fold(&mut *root, |element, name| element.child_or_insert(name));
                section::locate(root, section).unwrap_or_default()
            }
        },
    };
    modify_below(root, &path, input, request.options.allow_create)?;
    if request.options.mixed_update {
        drop_marked(root);
    }
    Ok(())
}

/// Merge `input` into the first element with its name and id at or below `path`.
pub(super) fn modify_below(
    root: &mut Element,
    path: &[usize],
    input: &Element,
    allow_create: bool,
) -> Result<(), OpError> {
    let top = root.at(path).ok_or_else(|| not_found(input))?;
    let fits = |element: &Element| element.name() == input.name() && element.id() == input.id();
    let found = match known_place(root, path, input) {
        Some(found) => Some(found),
        None => find(top, &fits, true).map(|below| [path, &below].concat()),
    };
    match found {
        Some(path) => {
            if let Some(target) = root.at_mut(&path) {
                merge(target, input);
            }
            Ok(())
        }
        None if allow_create => {
            if let Some(top) = root.at_mut(path) {
                top.push(input.clone());
            }
            Ok(())
        }
        None => Err(not_found(input)),
    }
}

pub(super) fn not_found(input: &Element) -> OpError {
    let id = input.id().map(|id| format!(" with id \"{id}\"")).unwrap_or_default();
    OpError::new(Code::NotFound, format!("there is no <{}>{id} there", input.name()))
}

/// Set the attributes of `update` on `target`, then the same for children; those not there are appended.
fn merge(target: &mut Element, update: &Element) {
    for (name, value) in update.attrs() {
        let value = increment(target.attr(name), name, value);
        target.set_attr(name, value);
    }
    let mut places = Places::of(target, update);
    for child in update.nodes() {
        if child.is_comment() {
            continue;
        }
        let index = match &places {
            Some(places) if child.id().is_some() => places.find(child),
            _ => target.nodes().position(|node| same(node, child)),
        };
        match index.and_then(|index| target.node_at_mut(index)) {
            Some(found) => merge(found, child),
            None => {
                if let Some(places) = &mut places {
                    places.add(target.nodes().len(), child);
                }
                target.push(child.clone());
            }
        }
    }
}

/// Where the children with an id stand, when so many are looked for that a search for each would take long.
struct Places(HashMap<String, Vec<(String, usize)>>);

impl Places {
    /// Below this many comparisons there is nothing to gain.
    const WORTH: usize = 1000;

    fn of(target: &Element, update: &Element) -> Option<Self> {
        let news = update.nodes().len();
        if news < 2 || (target.nodes().len() + news).saturating_mul(news) < Self::WORTH {
            return None;
        }
        let mut places = Self(HashMap::new());
        for (index, node) in target.nodes().enumerate() {
            places.add(index, node);
        }
        Some(places)
    }

    /// The first one of a name and id is the one that counts.
    fn add(&mut self, index: usize, node: &Element) {
        let Some(id) = node.id().filter(|_| !node.is_comment()) else { return };
        let known = self.0.entry(id.to_owned()).or_default();
        if !known.iter().any(|(name, _)| name == node.name()) {
            known.push((node.name().to_owned(), index));
        }
    }

    fn find(&self, child: &Element) -> Option<usize> {
        let known = self.0.get(child.id()?)?;
        known.iter().find(|(name, _)| name == child.name()).map(|(_, index)| *index)
    }
}

/// `NAME++` and `NAME+=N` add to the attribute, 0 if it is not there; every other value stands for itself.
fn increment(old: Option<&str>, name: &str, value: &str) -> String {
    let Some(change) = value.strip_prefix(name) else { return value.to_string() };
    let old = old.unwrap_or("0");
    let by = match change {
        "++" => Some(1),
        _ => change.strip_prefix("+=").map(score),
    };
    match by {
        Some(by) => score(old).saturating_add(by).min(SCORE_MAX).to_string(),
        None => value.to_string(),
    }
}

/// A score as a number: clamped, words for infinity, what is not a number counts 0.
fn score(text: &str) -> i64 {
    match text.trim() {
        "INFINITY" | "+INFINITY" => SCORE_MAX,
        "-INFINITY" => -SCORE_MAX,
        text => {
            let (sign, digits) = match text.strip_prefix('-') {
                Some(digits) => (-1, digits),
                None => (1, text.strip_prefix('+').unwrap_or(text)),
            };
            let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
            let digits = digits.get(..end).unwrap_or("");
            let value = if digits.is_empty() { 0 } else { digits.parse().unwrap_or(SCORE_MAX) };
            (sign * value.min(SCORE_MAX)).clamp(-SCORE_MAX, SCORE_MAX)
        }
    }
}

fn drop_marked(element: &mut Element) {
    let marked = element.descendants().skip(1).any(|child| child.attr("__delete__").is_some());
    if !marked {
        return;
    }
    element.retain_children(|child| child.attr("__delete__").is_none());
    element.children_mut().for_each(drop_marked);
}

fn replace_all(root: &mut Element, mut input: Element) -> Result<(), OpError> {
    let (theirs, ours) = (Version::of(&input), Version::of(root));
    if theirs < ours {
        let text = format!("the input is {theirs}, the configuration is at {ours}");
        return Err(OpError::new(Code::OldData, text));
    }
    if input.child("status").is_none() {
        input.push(Element::new("status"));
    }
    *root = input;
    Ok(())
}

fn replace(
    root: &mut Element,
    section: Option<&str>,
    input: &Element,
    allow_create: bool,
) -> Result<(), OpError> {
    let path = match section {
        Some(section) if section != input.name() => {
            section::locate(root, section).ok_or_else(|| not_found(input))?
        }
        _ => Vec::new(),
    };
    let top = root.at(&path).ok_or_else(|| not_found(input))?;
    let fits = |element: &Element| {
        element.name() == input.name() && (input.id().is_none() || element.id() == input.id())
    };
    match find(top, &fits, false) {
        Some(below) => {
            if let Some(target) = root.at_mut(&[path, below].concat()) {
                *target = input.clone();
            }
            Ok(())
        }
        None if allow_create => {
            if let Some(top) = root.at_mut(&path) {
                top.push(input.clone());
            }
            Ok(())
        }
        None => Err(not_found(input)),
    }
}

fn delete(root: &mut Element, section: Option<&str>, input: &Element) {
    let path = match section {
        Some(section) => match section::locate(root, section) {
            Some(path) => path,
            None => return,
        },
        None => Vec::new(),
    };
    if section == Some(input.name()) {
        for child in input.children() {
            delete_first(root, &path, child);
        }
    } else {
        delete_first(root, &path, input);
    }
}

fn delete_first(root: &mut Element, path: &[usize], spec: &Element) {
    let fits = |element: &Element| {
        element.name() == spec.name() && spec.attrs().all(|(name, value)| element.attr(name) == Some(value))
    };
    let Some(below) = root.at(path).and_then(|top| find(top, &fits, false)) else { return };
    remove(root, &[path, &below].concat());
}

/// Take the element at `path` out; the root stays.
pub(super) fn remove(root: &mut Element, path: &[usize]) {
    if let Some((&last, parent)) = path.split_last()
        && let Some(parent) = root.at_mut(parent)
    {
        parent.remove_node(last);
    }
}

/// Whether `update` speaks of this element: the same name and id; without id the same `id-ref`; without both the name.
pub(super) fn same(element: &Element, update: &Element) -> bool {
    element.name() == update.name()
        && match (update.id(), update.attr("id-ref")) {
            (Some(id), _) => element.id() == Some(id),
            (None, Some(reference)) => element.attr("id-ref") == Some(reference),
            (None, None) => true,
        }
}

/// The way to the one element with the name and id of `input` at or below `path`, if the last schema check remembers
/// where it is: there ids are unique, so that it is also the first.
fn known_place(root: &Element, path: &[usize], input: &Element) -> Option<Vec<usize>> {
    let id = input.id()?;
    // Names whose id may stand more than once.
    if matches!(
        input.name(),
        "resource_ref" | "role" | "role_ref" | "obj_ref" | "node" | "acl_target" | "acl_group"
    ) {
        return None;
    }
    let place = incremental::place(root, id)?;
    if !place.starts_with(path) {
        return None;
    }
    let fits = |element: &Element| element.name() == input.name() && element.id() == Some(id);
    let below = find(root.at(&place)?, &fits, true)?;
    Some([place, below].concat())
}

/// The first element that fits, in document order, as indices from `top`.
fn find(top: &Element, fits: &dyn Fn(&Element) -> bool, with_top: bool) -> Option<Vec<usize>> {
    if with_top && fits(top) {
        return Some(Vec::new());
    }
    let mut path = Vec::new();
    find_below(top, fits, &mut path).then_some(path)
}

fn find_below(parent: &Element, fits: &dyn Fn(&Element) -> bool, path: &mut Vec<usize>) -> bool {
    for (index, node) in parent.nodes().enumerate() {
        path.push(index);
        if fits(node) || find_below(node, fits, path) {
            return true;
        }
        path.pop();
    }
    false
}
