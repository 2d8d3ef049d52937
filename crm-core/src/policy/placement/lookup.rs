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
    pub role: Option<String>,
    pub score: Option<String>,
    /// Tags and templates expanded; without a resource where there is none of this name.
    pub references: Vec<Reference>,
}

/// A name in a set and its resource.
#[derive(Debug, Clone)]
pub struct Reference {
    pub name: String,
    pub resource: Option<ResourceIx>,
}

impl Set {
    /// The resources before the first reference to nothing: with that one the reference leaves a set.
    pub fn members(&self) -> Vec<ResourceIx> {
        self.references.iter().map_while(|x| x.resource).collect()
    }

    /// The first reference that stands for nothing.
    pub fn missing(&self) -> Option<&str> {
        self.references.iter().find(|x| x.resource.is_none()).map(|x| x.name.as_str())
    }
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

    /// The sets of a constraint, tags and templates in them expanded.
    pub fn resource_sets(&mut self, constraint: &Element) -> Vec<Set> {
        let mut notes = rules::Notes::default();
        let root = self.root.clone();
        let sets: Vec<&Element> = constraint
            .children_named("resource_set")
            .filter_map(|set| rules::expand(&root, set, &mut notes))
            .collect();
        self.absorb(notes);
        self.expand_sets(constraint.id().unwrap_or(""), &sets)
    }

    /// Sets with tags and templates expanded. With one reference to nothing, wherever it is, and a complaint,
    /// none is expanded (Pacemaker 2.1.5 behaviour).
    pub fn expand_sets(&mut self, id: &str, sets: &[&Element]) -> Vec<Set> {
        let references = sets.iter().flat_map(|set| names_in(set));
        let invalid = references.into_iter().find_map(|name| self.invalid_name(&name));
        if let Some(name) = &invalid {
            let text = format!(
                "Ignoring resource sets for constraint '{id}' because '{name}' is not a valid resource or tag"
            );
            self.complaints.error("constraint-resource", id, text);
        }
        let expand = |name: String| match self.named(&name) {
            Named::Many(names) if invalid.is_none() => names,
            _ => vec![name],
        };
        sets.iter().map(|set| self.set(set, names_in(set).into_iter().flat_map(expand))).collect()
    }

    /// A set of these references.
    pub fn set(&self, set: &Element, names: impl IntoIterator<Item = String>) -> Set {
        let references =
            names.into_iter().map(|name| Reference { resource: self.find_for_constraint(&name), name });
        Set {
            id: set.id().unwrap_or("").to_owned(),
            xml: set.clone(),
            sequential: set.attr("sequential").is_none_or(|v| crate::policy::values::is_true(Some(v))),
            role: set.attr("role").map(str::to_owned),
            score: set.attr("score").map(str::to_owned),
            references: references.collect(),
        }
    }

    /// What a reference names that is neither resource nor tag nor template: itself, or one that it stands for.
    fn invalid_name(&self, name: &str) -> Option<String> {
        match self.named(name) {
            Named::Resource(_) => None,
            Named::Many(names) => names.into_iter().find(|name| matches!(self.named(name), Named::Nothing)),
            Named::Nothing => Some(name.to_owned()),
        }
    }

    /// The members of a set, with a complaint where they end at a reference to nothing.
    pub fn members_or_complaint(&mut self, set: &Set) -> Vec<ResourceIx> {
        if let Some(name) = set.missing() {
            self.no_resource(&set.id, name);
        }
        set.members()
    }

    /// What a tag or template names, up to the first that is no resource: with that one, and a complaint, the
    /// reference leaves the constraint (Pacemaker 2.1.5 behaviour). An instance counts under its plain name
    /// only once history has given it that.
    pub fn members_of(&mut self, set: &str, names: &[String]) -> Vec<ResourceIx> {
        let mut members = Vec::new();
        for name in names {
            let Some(r) = self.find_for_constraint(name) else {
                self.no_resource(set, name);
                break;
            };
            members.push(r);
        }
        members
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

/// What a set refers to.
pub fn names_in(set: &Element) -> Vec<String> {
    set.children_named("resource_ref").map(|x| x.id().unwrap_or("").to_owned()).collect()
}

/// The role of a constraint's attribute; Started and absent are any role.
pub fn any_role(text: Option<&str>) -> Role {
    match text.map_or(Role::Unknown, Role::parse) {
        Role::Started => Role::Unknown,
        role => role,
    }
}
