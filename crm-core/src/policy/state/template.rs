//! Expands a resource that is made from a template.

use super::build::Builder;
use super::rules::{self, Notes};
use crate::policy::ledger::Ledger;
use cib::Element;

impl<L: Ledger> Builder<'_, L> {
    /// The element with its template filled in; `None`, with a complaint, where that is impossible.
    pub fn expand_template(&mut self, e: &Element) -> Option<Element> {
        let Some(name) = e.attr("template") else { return Some(e.clone()) };
        let id = e.id().unwrap_or("");
        if id.is_empty() {
            self.s.complaints.error(
                "template-user-without-id",
                name,
                format!("'{}' object must have a id", e.name()),
            );
            return None;
        }
        if name == id {
            self.s.complaints.error(
                "template-self",
                id,
                format!("The resource object '{id}' should not reference itself"),
            );
            return None;
        }
        let resources = self.s.root.path(&["configuration", "resources"])?;
        let Some(template) = resources.children_named("template").find(|t| t.id() == Some(name)).cloned()
        else {
            self.s.complaints.error("template-unknown", id, format!("No template named '{name}'"));
            return None;
        };
        let mut out = Element::new(e.name());
        for (n, v) in template.attrs() {
            out.set_attr(n, v);
        }
        out.set_attr("id", id);
        if let Some(number) = e.attr("clone") {
            out.set_attr("clone", number);
        }
        let own = e.child("operations").cloned();
        let merge = own.is_some();
        let mut inherited = None;
        for child in template.children() {
            if merge && child.name() == "operations" {
                inherited = Some(child.clone());
            } else {
                out.push(child.clone());
            }
        }
        for child in e.children() {
            match (&inherited, child.name()) {
                (Some(from), "operations") => out.push(merge_operations(child, from)),
                _ => out.push(child.clone()),
            }
        }
        self.s.templates.entry(name.to_owned()).or_default();
        let users = self.s.templates.entry(name.to_owned()).or_default();
        if !users.iter().any(|u| u == id) {
            users.push(id.to_owned());
        }
        Some(out)
    }

    /// The `op` elements of a resource's `operations`.
    pub fn operations_of(&mut self, e: &Element) -> Vec<Element> {
        let mut notes = Notes::default();
        let ops = e.child("operations").and_then(|o| rules::expand(&self.s.root, o, &mut notes));
        let list = ops.map(|o| o.children_named("op").cloned().collect()).unwrap_or_default();
        self.s.absorb(notes);
        list
    }
}

/// The resource's operations, and those of the template that it has no like of: the interval does not count.
fn merge_operations(own: &Element, from: &Element) -> Element {
    let key = |op: &Element| {
        let role = match op.attr("role").map(super::Role::parse) {
            None | Some(super::Role::Started | super::Role::Unpromoted) => String::new(),
            Some(_) => op.attr("role").unwrap_or("").to_owned(),
        };
        (op.attr("name").unwrap_or("").to_owned(), role)
    };
    let mine: Vec<_> = own.children_named("op").map(key).collect();
    let mut merged = own.clone();
    for op in from.children_named("op") {
        if !mine.contains(&key(op)) {
            merged.push(op.clone());
        }
    }
    merged
}
