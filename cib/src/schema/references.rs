//! Ids are unique, and what refers to an id finds it: the two things a grammar cannot say.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap, HashSet};

use super::complaint::{Complaint, Severity};
use super::grammar::SchemaVersion;
use super::{Dialect, remedy};
use crate::Element;

/// Complaints about ids of the configuration. In the modern language an id is unique in the whole
/// document; in the Heartbeat 2.x dialect among elements of one name.
pub(super) fn check(root: &Element, dialect: Dialect) -> Vec<Complaint> {
    let mut ids = Ids {
        dialect,
        first: HashMap::new(),
        all: HashSet::new(),
        sorted: OnceCell::new(),
        complaints: Vec::new(),
    };
    let parts: Vec<&Element> = root.children().filter(|child| child.name() != "status").collect();
    for part in &parts {
        ids.collect(part);
    }
    for part in &parts {
        ids.resolve(part, None);
    }
    ids.complaints
}

struct Ids<'a> {
    dialect: Dialect,
    /// (element name where ids are unique per name, id) → where it was first seen.
    first: HashMap<(&'a str, &'a str), &'a Element>,
    all: HashSet<&'a str>,
    /// All of them in order, for remedies.
    sorted: OnceCell<BTreeSet<&'a str>>,
    complaints: Vec<Complaint>,
}

impl<'a> Ids<'a> {
    fn collect(&mut self, element: &'a Element) {
        if let Some(id) = element.id()
            && defines(self.dialect, element)
        {
            self.all.insert(id);
            let scope = if self.dialect == Dialect::Heartbeat2 { element.name() } else { "" };
            match self.first.get(&(scope, id)) {
                None => {
                    self.first.insert((scope, id), element);
                }
                Some(first) => {
                    let other = first.position().map(|at| format!(" in {at}")).unwrap_or_default();
                    let text = format!("id \"{id}\" was used before, by <{}>{other}", first.name());
                    self.complain(
                        "duplicate-id",
                        element,
                        Some(id),
                        text,
                        "give this element another id".into(),
                    );
                    let severity = self.duplicate_severity(element);
                    if let Some(complaint) = self.complaints.last_mut() {
                        complaint.severity = severity;
                    }
                }
            }
        }
        for child in element.children() {
            self.collect(child);
        }
    }

    /// The old language's own tools gave ids twice to what nothing refers to: such are repaired.
    fn duplicate_severity(&self, element: &Element) -> Severity {
        let referred = matches!(element.name(), "primitive" | "group" | "clone" | "master_slave" | "node");
        if self.dialect == Dialect::Heartbeat2 && !referred { Severity::Warning } else { Severity::Error }
    }

    fn resolve(&mut self, element: &'a Element, above: Option<&'a str>) {
        let id = element.id().or(above);
        for (name, value) in element.attrs() {
            if refers(self.dialect, element.name(), name) && !self.is_known(value) {
                let text = format!("attribute {name}=\"{value}\" refers to an id that does not exist");
                let sorted = self.sorted.get_or_init(|| self.all.iter().copied().collect());
                let remedy = remedy::reference(value, sorted);
                self.complain("unknown-reference", element, id, text, remedy);
            }
        }
        for child in element.children() {
            self.resolve(child, id);
        }
    }

    fn is_known(&self, value: &str) -> bool {
        // The old language could name one instance of a clone.
        let base =
            value.split_once(':').map(|(base, _)| base).filter(|_| self.dialect == Dialect::Heartbeat2);
        self.all.contains(value) || base.is_some_and(|base| self.all.contains(base))
    }

    fn complain(
        &mut self,
        code: &'static str,
        element: &Element,
        id: Option<&str>,
        text: String,
        remedy: String,
    ) {
        self.complaints.push(Complaint {
            code,
            severity: Severity::Error,
            position: element.position(),
            element: element.name().to_owned(),
            id: id.map(str::to_owned),
            text,
            remedy,
        });
    }
}

/// Whether the `id` of this element is its own, not a reference or a free text.
pub(super) fn defines(dialect: Dialect, element: &Element) -> bool {
    match element.name() {
        "resource_ref" | "role" | "role_ref" | "obj_ref" => false,
        "node" | "acl_target" | "acl_group" => dialect == Dialect::Heartbeat2,
        _ => true,
    }
}

/// Whether the value of this attribute is the id of another element.
pub(super) fn refers(dialect: Dialect, element: &str, attribute: &str) -> bool {
    let Dialect::Modern(version) = dialect else {
        return matches!(
            (element, attribute),
            ("rsc_location", "rsc") | ("rsc_order" | "rsc_colocation", "from" | "to")
        );
    };
    match attribute {
        "id-ref" | "rsc" | "with-rsc" | "first" | "then" | "template" => element != "lrm_resource",
        "reference" => element == "acl_permission",
        "ref" => matches!(element, "read" | "write" | "deny"),
        "id" => match element {
            "resource_ref" | "role" | "role_ref" => true,
            "obj_ref" => version < SchemaVersion(3, 3),
            _ => false,
        },
        _ => false,
    }
}
