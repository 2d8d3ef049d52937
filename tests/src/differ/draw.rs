//! What a generated CIB is drawn from: one source of chance, names, and what exists so far.

use cib::Element;

use crate::sim::chance::Chance;

/// An element with attributes.
pub fn el(name: &str, attributes: &[(&str, &str)]) -> Element {
    let mut element = Element::new(name);
    for (attribute, value) in attributes {
        element.set_attr(attribute, *value);
    }
    element
}

/// Which families of features a CIB may use: a small CIB that uses few of them at once is nastier, and
/// easier to read, than one that uses all.
#[derive(Debug, Clone, Default)]
pub struct Themes {
    pub fencing: bool,
    pub opt_in: bool,
    pub rules: bool,
    pub sets: bool,
    pub remotes: bool,
    pub guests: bool,
    pub bundles: bool,
    pub utilization: bool,
    pub tickets: bool,
    pub health: bool,
    pub locks: bool,
    pub unfencing: bool,
    pub failures: bool,
    pub pending: bool,
    pub migration: bool,
    pub notify: bool,
    pub templates: bool,
    pub tags: bool,
    pub promotable: bool,
    pub orphans: bool,
    pub changes: bool,
    pub node_trouble: bool,
    pub meta: bool,
    pub defaults: bool,
    /// Promoted instances whose monitor failed and says `on-fail=demote`.
    pub demotes: bool,
}

/// A node of the configuration, or a remote one.
#[derive(Debug, Clone)]
pub struct Node {
    pub id: String,
    pub name: String,
    pub kind: NodeKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Member,
    Ping,
    /// Behind a connection that is a resource of its own.
    Remote,
    /// Inside a resource.
    Guest,
    /// Inside a bundle's container.
    Bundled,
}

/// What a resource is to constraints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Primitive,
    Group,
    Clone,
    Promotable,
    Bundle,
    PromotableBundle,
}

/// Something that a constraint may name.
#[derive(Debug, Clone)]
pub struct Named {
    pub id: String,
    pub kind: Kind,
    /// Fence devices, connections and members are named less often.
    pub rare: bool,
}

/// How instances of a primitive appear in history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Single,
    Anonymous,
    Unique(u64),
    /// Inside a bundle: only on the bundle's own nodes, by number.
    Bundled,
}

/// A monitor (or another recurring operation).
#[derive(Debug, Clone)]
pub struct Recurring {
    pub name: String,
    pub ms: u64,
    pub role: Option<String>,
    pub timeout_ms: u64,
}

/// A primitive, as far as history cares.
#[derive(Debug, Clone)]
pub struct Leaf {
    pub id: String,
    pub class: String,
    pub provider: Option<String>,
    pub agent: String,
    pub parameters: Vec<(String, String)>,
    pub recurring: Vec<Recurring>,
    pub shape: Shape,
    pub promotable: bool,
    /// Leaves with the same number live together (a group, a cloned group).
    pub family: usize,
    /// Inside this bundle, if any.
    pub bundle: Option<String>,
}

/// The state of a generation.
#[derive(Debug)]
pub struct Draw {
    pub chance: Chance,
    /// The cluster has quorum.
    pub quorum: bool,
    pub themes: Themes,
    pub nodes: Vec<Node>,
    pub named: Vec<Named>,
    pub leaves: Vec<Leaf>,
    pub tags: Vec<String>,
    pub tickets: Vec<String>,
    pub sets: Vec<String>,
    pub rules: Vec<String>,
    pub templates: Vec<(String, Leaf)>,
    /// Sets of name-value pairs that others may refer to: element, id.
    pub pair_sets: Vec<(String, String)>,
    /// Pairs that others may refer to: name, id.
    pub pairs: Vec<(String, String)>,
    /// Lists of operations that others may refer to.
    pub operations: Vec<(String, Vec<Recurring>)>,
    pub families: usize,
    numbers: usize,
}

/// Epoch second that counts as now in every generated CIB: 2023-11-14T22:13:20Z, a Tuesday.
pub const NOW: u64 = 1_700_000_000;

impl Draw {
    pub fn new(seed: u64) -> Self {
        let mut chance = Chance::new(seed);
        let mut on = |percent: u64| chance.percent(percent);
        let mut themes = Themes {
            fencing: on(50),
            opt_in: on(14),
            rules: on(30),
            sets: on(25),
            remotes: on(14),
            guests: on(12),
            bundles: on(13),
            utilization: on(18),
            tickets: on(13),
            health: on(10),
            locks: on(9),
            unfencing: on(9),
            failures: on(45),
            pending: on(20),
            migration: on(25),
            notify: on(25),
            templates: on(12),
            tags: on(12),
            promotable: on(35),
            orphans: on(15),
            changes: on(20),
            node_trouble: on(40),
            meta: on(40),
            defaults: on(25),
            // Too rare by chance; by number, so that it draws nothing.
            demotes: seed % 16 == 7,
        };
        themes.promotable |= themes.demotes;
        themes.failures |= themes.demotes;
        Self {
            chance,
            quorum: true,
            themes,
            nodes: Vec::new(),
            named: Vec::new(),
            leaves: Vec::new(),
            tags: Vec::new(),
            tickets: Vec::new(),
            sets: Vec::new(),
            rules: Vec::new(),
            templates: Vec::new(),
            pair_sets: Vec::new(),
            pairs: Vec::new(),
            operations: Vec::new(),
            families: 0,
            numbers: 0,
        }
    }

    pub fn percent(&mut self, percent: u64) -> bool {
        self.chance.percent(percent)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.chance.below(high.saturating_sub(low) + 1)
    }

    pub fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words.get(self.chance.index(words.len())).copied().unwrap_or_default()
    }

    pub fn one_of<T: Clone>(&mut self, list: &[T]) -> Option<T> {
        list.get(self.chance.index(list.len())).cloned()
    }

    /// An id that nothing else has.
    pub fn id(&mut self, stem: &str) -> String {
        self.numbers += 1;
        format!("{stem}-{}", self.numbers)
    }

    pub fn nvpair(&mut self, name: &str, value: &str) -> Element {
        let earlier: Vec<String> =
            self.pairs.iter().filter(|(n, _)| n == name).map(|(_, id)| id.clone()).collect();
        if self.percent(2)
            && let Some(id) = self.one_of(&earlier)
        {
            return el("nvpair", &[("id-ref", &id), ("name", name)]);
        }
        let id = self.id("nv");
        self.pairs.push((name.to_owned(), id.clone()));
        el("nvpair", &[("id", &id), ("name", name), ("value", value)])
    }

    /// A set of name-value pairs; none for no pairs.
    pub fn set(&mut self, element: &str, pairs: &[(String, String)]) -> Option<Element> {
        if pairs.is_empty() {
            return None;
        }
        let id = self.id("set");
        let mut set = el(element, &[("id", &id)]);
        for (name, value) in pairs {
            let pair = self.nvpair(name, value);
            set.push(pair);
        }
        self.pair_sets.push((element.to_owned(), id));
        Some(set)
    }

    /// Sometimes lets an element have a set that an earlier one has.
    pub fn shared_set(&mut self, e: &mut Element, element: &str) {
        let earlier: Vec<String> =
            self.pair_sets.iter().filter(|(name, _)| name == element).map(|(_, id)| id.clone()).collect();
        if self.percent(3)
            && let Some(id) = self.one_of(&earlier)
        {
            e.push(el(element, &[("id-ref", &id)]));
        }
    }

    /// A score as people write them, with the odd strange one.
    pub fn score(&mut self) -> String {
        match self.chance.below(14) {
            0..=3 => "INFINITY".into(),
            4 | 5 => "-INFINITY".into(),
            6 => "0".into(),
            7 => format!("-{}", self.between(1, 200)),
            8 => self.pick(&["+INFINITY", "1000000", "-1000000", "+5", "999999", "1"]).into(),
            _ => self.between(1, 300).to_string(),
        }
    }

    /// A name of a node, also of one that is not there.
    pub fn node_name(&mut self) -> String {
        if self.percent(2) {
            return "nowhere".into();
        }
        let nodes = self.nodes.clone();
        let Some(node) = self.one_of(&nodes) else { return "nowhere".into() };
        if self.percent(3) { node.name.to_uppercase() } else { node.name }
    }

    /// Something that constraints name.
    pub fn target(&mut self) -> Option<Named> {
        let common: Vec<Named> = self.named.iter().filter(|n| !n.rare).cloned().collect();
        if common.is_empty() || self.percent(12) {
            let all = self.named.clone();
            return self.one_of(&all);
        }
        self.one_of(&common)
    }
}
