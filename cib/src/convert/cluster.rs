//! What is made of the files of version 1, before it is written: the same for every language.

use std::collections::BTreeSet;

/// What both writers print.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    pub(super) items: Vec<Item>,
    pub(super) constraints: Vec<Constraint>,
    /// Resources stay where they are.
    pub(super) stay: bool,
    pub(super) stonith: bool,
    /// Number of nodes in `ha.cf`.
    pub(super) nodes: usize,
    pub(super) ids: Ids,
}

#[derive(Debug)]
pub(super) enum Item {
    Primitive(Primitive),
    Group {
        id: String,
        members: Vec<Primitive>,
    },
    /// Of one primitive, or of a group with the id `inner`.
    Clone {
        id: String,
        inner: String,
        members: Vec<Primitive>,
    },
}

#[derive(Debug)]
pub(super) struct Primitive {
    pub(super) id: String,
    pub(super) class: &'static str,
    pub(super) provider: Option<&'static str>,
    pub(super) kind: String,
    pub(super) parameters: Vec<Parameter>,
    pub(super) operations: Vec<Operation>,
}

/// A parameter and the number in its nvpair's id.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) number: usize,
    pub(super) name: String,
    pub(super) value: String,
}

#[derive(Debug)]
pub(super) struct Operation {
    /// Ending of the id.
    pub(super) suffix: &'static str,
    pub(super) name: &'static str,
    pub(super) interval: Option<&'static str>,
    pub(super) timeout: &'static str,
    /// Runs without any prerequisite (`prereq="nothing"`).
    pub(super) unconditional: bool,
}

#[derive(Debug)]
pub(super) enum Constraint {
    Location { rsc: String, node: String },
    Order { from: String, action: String, before: bool, to: String },
    Colocation { from: String, to: String, score: String },
}

/// Ids already given out; every element of the document gets its id here.
#[derive(Debug, Default, Clone)]
pub(super) struct Ids(BTreeSet<String>);

impl Ids {
    /// `base`, made an XML name; if taken, with `_2`, `_3`, ... appended.
    pub(super) fn take(&mut self, base: &str) -> String {
        let mut name: String = base
            .chars()
            .map(|c| if c.is_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' })
            .collect();
        if !name.starts_with(|c: char| c.is_alphabetic() || c == '_') {
            name.insert(0, '_');
        }
        let mut id = name.clone();
        let mut count = 2u32;
        while !self.0.insert(id.clone()) {
            id = format!("{name}_{count}");
            count += 1;
        }
        id
    }
}
