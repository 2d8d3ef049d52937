//! What constraints name: resources, templates, tags, and sets of them.

use crate::policy::ix::ResourceIx;
use crate::policy::state::{Role, State, rules};
use cib::Element;

/// One `resource_set` with its references resolved.
#[derive(Debug, Clone)]
pub struct Set {
    pub id: String,
    pub xml: Element,
    /// Absent means true.
    pub sequential: bool,
    /// The attribute as written.
    pub sequential_text: Option<String>,
    pub role: Option<String>,
    pub score: Option<String>,
    pub members: Vec<ResourceIx>,
}

/// What a single name stands for.
#[derive(Debug, Clone)]
pub enum Named {
    Resource(ResourceIx),
    /// The resources made from a template, or with a tag.
    Many(Vec<String>),
    Nothing,
}

impl State {
    /// Resolves a name of a constraint.
    pub fn named(&self, name: &str) -> Named {
        if let Some(r) = self.find_for_constraint(name) {
            return Named::Resource(r);
        }
        if let Some(users) = self.templates.get(name) {
            return if users.is_empty() { Named::Nothing } else { Named::Many(users.clone()) };
        }
        match self.tags.get(name) {
            Some(refs) => Named::Many(refs.clone()),
            None => Named::Nothing,
        }
    }

    /// The complaint about a name that stands for nothing.
    pub fn unknown_name(&mut self, constraint: &str, name: &str) {
        self.complaints.error(
            "constraint-resource",
            constraint,
            format!("Ignoring constraint '{constraint}' because '{name}' is not a valid resource or tag"),
        );
    }

    /// The sets of a constraint, tags and templates in them expanded; `None`, with a complaint, where a
    /// reference stands for nothing.
    pub fn resource_sets(&mut self, constraint: &Element) -> Option<Vec<Set>> {
        let id = constraint.id().unwrap_or("").to_owned();
        let mut sets = Vec::new();
        let mut notes = rules::Notes::default();
        let root = self.root.clone();
        for e in constraint.children_named("resource_set") {
            let Some(set) = rules::expand(&root, e, &mut notes) else { continue };
            let mut members = Vec::new();
            for reference in set.children_named("resource_ref") {
                let name = reference.id().unwrap_or("");
                match self.named(name) {
                    Named::Resource(r) => members.push(r),
                    Named::Many(names) => {
                        for n in names {
                            match self.find_for_constraint(&n) {
                                Some(r) => members.push(r),
                                None => {
                                    self.no_resource(set.id().unwrap_or(""), &n);
                                    return None;
                                }
                            }
                        }
                    }
                    Named::Nothing => {
                        self.unknown_name(&id, name);
                        return None;
                    }
                }
            }
            sets.push(Set {
                id: set.id().unwrap_or("").to_owned(),
                xml: set.clone(),
                sequential: set.attr("sequential").is_none_or(|v| crate::policy::values::is_true(Some(v))),
                sequential_text: set.attr("sequential").map(str::to_owned),
                role: set.attr("role").map(str::to_owned),
                score: set.attr("score").map(str::to_owned),
                members,
            });
        }
        self.absorb(notes);
        Some(sets)
    }

    /// The complaint about a reference in a set that is no resource.
    pub fn no_resource(&mut self, set: &str, name: &str) {
        self.complaints.error("set-resource", set, format!("{set}: No resource found for {name}"));
    }

    /// Whether a constraint's `lifetime` lets it count now.
    pub fn in_lifetime(&mut self, constraint: &Element) -> bool {
        let Some(lifetime) = constraint.child("lifetime").cloned() else { return true };
        let id = constraint.id().unwrap_or("").to_owned();
        self.complaints.warning(
            "lifetime",
            &id,
            format!(
                "Support for 'lifetime' attribute (in {id}) is deprecated (the rules therein should instead be direct \
                 descendants of the constraint object)"
            ),
        );
        let mut notes = rules::Notes::default();
        let root = self.root.clone();
        let input = rules::Input::new(&root, self.moment());
        let applies = rules::applies(&lifetime, &input, &mut notes);
        self.absorb(notes);
        applies
    }
}

/// The role of a constraint's attribute; Started and absent are any role.
pub fn any_role(text: Option<&str>) -> Role {
    match text.map_or(Role::Unknown, Role::parse) {
        Role::Started => Role::Unknown,
        role => role,
    }
}
