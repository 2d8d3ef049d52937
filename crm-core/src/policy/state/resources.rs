//! Reads `<resources>`: primitives, groups and what they inherit.

use super::build::Builder;
use super::nvpairs::{self, Mode};
use super::rules::{Input, Notes};
use super::{
    Discovery, Flags, Kind, MultipleActive, NodeKind, Resource, ResourceIx, Role, Row, State, Table, Variant,
};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::values::{self, INFINITY};
use crate::policy::words;
use cib::{Element, Text};

/// What the class of an agent can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    pub providers: bool,
    pub parameters: bool,
    /// Can be a globally unique clone.
    pub unique: bool,
    pub promotable: bool,
}

impl Class {
    pub fn of(class: &str) -> Class {
        let is = |c: &str| class.eq_ignore_ascii_case(c);
        Class {
            providers: is("ocf"),
            parameters: is("ocf") || is("stonith") || is("nagios"),
            unique: is("ocf") || is("stonith"),
            promotable: is("ocf"),
        }
    }
}

/// `ocf:pacemaker:remote`: the connection to a remote executor.
pub fn is_connection_agent(e: &Element) -> bool {
    let is = |a: &str, w: &str| e.attr(a).is_some_and(|v| v.eq_ignore_ascii_case(w));
    is("type", "remote") && is("class", "ocf") && is("provider", "pacemaker")
}

impl State {
    /// Instance attributes of a resource for a node (or for none), rules evaluated.
    pub fn parameters(&self, r: ResourceIx, node: Option<super::NodeIx>) -> std::borrow::Cow<'_, Table> {
        let rsc = &self[r];
        match node {
            Some(n) if rsc.parameters_vary => {
                let attributes = &self[n].attributes;
                std::borrow::Cow::Owned(self.evaluate_parameters(r, Some(attributes), &mut Notes::default()))
            }
            _ => std::borrow::Cow::Borrowed(&rsc.parameters),
        }
    }

    /// Takes up when the parameters of a resource change on a node by time alone: to be called where the
    /// reference evaluates them for a plan.
    pub fn note_parameters(&mut self, r: ResourceIx, node: Option<super::NodeIx>) {
        if !self[r].parameters_vary {
            return;
        }
        let mut notes = Notes::default();
        self.evaluate_parameters(r, node.map(|n| &self[n].attributes), &mut notes);
        if let Some(at) = notes.next_change {
            self.recheck_at(at);
        }
    }

    /// Own sets, then each ancestor's, then the defaults.
    pub fn evaluate_parameters(&self, r: ResourceIx, node: Option<&Table>, notes: &mut Notes) -> Table {
        let mut table = Table::default();
        let mut input = Input::new(&self.root, self.moment());
        input.node = node;
        let health = &self.options.health;
        let mut at = Some(r);
        while let Some(ix) = at {
            let xml = &self[ix].xml;
            nvpairs::unpack(xml, words::INSTANCE_ATTRIBUTES, &input, health, Mode::Keep, &mut table, notes);
            at = self[ix].parent;
        }
        if let Some(d) = &self.rsc_defaults {
            nvpairs::unpack(d, words::INSTANCE_ATTRIBUTES, &input, health, Mode::Keep, &mut table, notes);
        }
        table
    }

    pub(super) fn parameters_can_vary(&self, r: ResourceIx) -> bool {
        let sets_vary = |e: &Element| {
            e.children_named("instance_attributes")
                .any(|s| s.value(words::ID_REF).is_some() || s.child("rule").is_some())
        };
        let mut at = Some(r);
        while let Some(ix) = at {
            if sets_vary(&self[ix].xml) {
                return true;
            }
            at = self[ix].parent;
        }
        self.rsc_defaults.as_ref().is_some_and(sets_vary)
    }
}

impl<L: Ledger> Builder<'_, L> {
    /// `<resources>` and the implicit connections.
    pub fn resources(&mut self, resources: &Element) {
        let implicit = std::mem::take(&mut self.implicit);
        // Each is large: growing step by step would move all of them again and again.
        let named = |e: &&Element| matches!(e.name(), "primitive" | "group" | "clone" | "master" | "bundle");
        self.s.resources.reserve(resources.descendants().filter(named).count());
        for e in resources.children().chain(implicit.iter()) {
            if e.name() == "template" {
                match e.id() {
                    Some(id) => {
                        self.s.templates.entry(id.to_owned()).or_default();
                    }
                    None => self.s.complaints.error(
                        "resource-without-id",
                        "",
                        format!("Ignoring <{}> resource without ID", e.name()),
                    ),
                }
                continue;
            }
            match self.resource(e, None) {
                Some(r) => self.s.top.push(r),
                None => {
                    let id = e.id().unwrap_or("");
                    if !id.is_empty() {
                        self.s.complaints.error(
                            "resource-invalid",
                            id,
                            format!(
                                "Ignoring <{}> resource '{id}' because configuration is invalid",
                                e.name()
                            ),
                        );
                    }
                }
            }
        }
        self.index_ids();
        self.link_containers();
        self.link_connections();
        let s = &mut self.s;
        let resources = &s.resources;
        s.top.sort_by_key(|r| std::cmp::Reverse(resources.get(r.at()).map_or(0, |r| r.priority)));
    }

    /// One resource and all below it; `None`, with complaints, where it is unusable.
    pub fn resource(&mut self, e: &Element, parent: Option<ResourceIx>) -> Option<ResourceIx> {
        let variant = match e.name() {
            "primitive" => Variant::Primitive,
            "group" => Variant::Group,
            "clone" | "master" => Variant::Clone,
            "bundle" => Variant::Bundle,
            other => {
                let id = e.id().unwrap_or("");
                self.s.complaints.error(
                    "resource-type",
                    id,
                    format!("Ignoring resource '{id}' of unknown type '{other}'"),
                );
                return None;
            }
        };
        let Some(base) = e.id() else {
            self.s.complaints.error(
                "resource-without-id",
                "",
                format!("Ignoring <{}> resource without ID", e.name()),
            );
            return None;
        };
        let _ = base;
        let xml = self.expand_template(e)?;
        let base = xml.id().unwrap_or("").to_owned();
        let id = match xml.value(words::CLONE) {
            Some(number) => format!("{base}:{number}"),
            None => base,
        };
        let before = self.s.resources.len();
        let r = ResourceIx::new(before);
        let ops = self.operations_of(&xml);
        let kind = match variant {
            Variant::Primitive => Kind::Primitive,
            Variant::Group => Kind::Group { colocated: true, ordered: true },
            Variant::Clone => Kind::Clone(Default::default()),
            Variant::Bundle => Kind::Bundle(Default::default()),
        };
        self.s.resources.push(blank(id, kind, xml, ops, parent));
        self.meta_attributes(r);
        self.common(r);
        let usable = match variant {
            Variant::Primitive => self.primitive(r),
            Variant::Group => self.group(r),
            Variant::Clone => self.clone_content(r),
            Variant::Bundle => self.bundle(r),
        };
        if !usable {
            self.s.resources.truncate(before);
            return None;
        }
        let connection_of_guest = self.s[r].flags.is_connection && self.s[r].meta("container").is_some();
        if self.s.options.symmetric {
            self.s.nudge_all(self.ledger, r, 0, Source::Symmetric);
        } else if connection_of_guest {
            self.s.nudge_all(self.ledger, r, 0, Source::NodeDefault);
        }
        self.utilization(r);
        Some(r)
    }

    fn utilization(&mut self, r: ResourceIx) {
        let mut notes = Notes::default();
        let mut table = Table::default();
        let input = Input::new(&self.s.root, self.s.moment());
        let health = &self.s.options.health;
        nvpairs::unpack(
            &self.s[r].xml,
            words::UTILIZATION,
            &input,
            health,
            Mode::Keep,
            &mut table,
            &mut notes,
        );
        self.s.absorb(notes);
        self.s[r].utilization = table;
    }

    /// Checks a primitive's class against the clone it is in.
    fn primitive(&mut self, r: ResourceIx) -> bool {
        let rsc = &self.s[r];
        let Some(parent) = rsc.parent else { return true };
        let class = Class::of(rsc.class());
        let names = |rsc: &Resource| (rsc.id.clone(), rsc.class().to_owned());
        if rsc.flags.unique && !class.unique && self.s[self.s.top_of(r)].variant() == Variant::Clone {
            let (id, name) = names(rsc);
            let top = self.s.top_of(r);
            let top_id = self.s[top].id.clone();
            self.s.complaints.warning(
                "clone-unique-class",
                &top_id,
                format!(
                    "Ignoring globally-unique for {id} because {name} resources such as {id} can be used only as \
                     anonymous clones"
                ),
            );
            let nodes = i32::try_from(self.s.nodes.len()).unwrap_or(i32::MAX);
            self.clear_unique(top);
            self.s[r].flags.unique = false;
            self.s[parent].flags.unique = false;
            if let Some(c) = self.s[top].clone_info_mut() {
                c.node_max = 1;
                c.max = c.max.min(nodes);
            }
        }
        if self.s[r].flags.promotable && !class.promotable {
            let (id, name) = names(&self.s[r]);
            let what = format!(
                "Resource {id} is of type {name} and therefore cannot be used as a promotable clone resource"
            );
            self.s.complaints.error("clone-promotable-class", &id, what);
            return false;
        }
        true
    }

    fn clear_unique(&mut self, r: ResourceIx) {
        self.s[r].flags.unique = false;
        self.s[r].meta.insert(Text::fixed("globally-unique"), Text::fixed("false"));
        for i in 0..self.s[r].children.len() {
            let c = self.s[r].children[i];
            self.clear_unique(c);
        }
    }

    fn group(&mut self, r: ResourceIx) -> bool {
        let off = |b: &mut Self, name: &'static str, code: &'static str| {
            let set = b.s[r].meta(name).and_then(values::parse_bool) == Some(false);
            if set {
                let id = b.s[r].id.clone();
                b.s.complaints.warning_once(
                    code,
                    &id,
                    format!("Support for the '{name}' group meta-attribute is deprecated and will be removed in a future release (use a resource set instead)"),
                );
            }
            set
        };
        let ordered = !off(self, "ordered", "group-ordered");
        let colocated = !off(self, "collocated", "group-collocated");
        self.s[r].kind = Kind::Group { colocated, ordered };
        let xml = self.s[r].xml.clone();
        let number = xml.value(words::CLONE);
        for member in xml.children_named("primitive") {
            let member = match number {
                Some(n) => member.clone().with_attr("clone", n),
                None => member.clone(),
            };
            match self.resource(&member, Some(r)) {
                Some(c) => self.s[r].children.push(c),
                None => {
                    let id = member.id().unwrap_or("").to_owned();
                    self.s.complaints.error("group-member", &id, format!("Failed unpacking resource {id}"));
                }
            }
        }
        if self.s[r].children.is_empty() {
            let id = self.s[r].id.clone();
            self.s.complaints.warning(
                "group-empty",
                &id,
                format!("Group {id} will be ignored because it does not have any members"),
            );
        }
        true
    }

    /// `container` meta-attributes: links hosts and hosted.
    fn link_containers(&mut self) {
        for i in 0..self.s.resources.len() {
            let r = ResourceIx::new(i);
            let rsc = &self.s[r];
            if !rsc.children.is_empty() {
                continue;
            }
            let Some(name) = rsc.meta("container").filter(|n| *n != rsc.id).map(str::to_owned) else {
                continue;
            };
            match self.s.find(&name) {
                Some(host) if host != r => {
                    self.s[r].container = Some(host);
                    self.s[host].flags.is_container = true;
                    self.s[host].fillers.push(r);
                }
                _ => {
                    let id = self.s[r].id.clone();
                    self.s.complaints.error(
                        "container-unknown",
                        &id,
                        format!("Resource {id}: Unknown resource container ({name})"),
                    );
                }
            }
        }
    }

    /// Links connection resources to the nodes of their names.
    fn link_connections(&mut self) {
        for i in 0..self.s.resources.len() {
            self.link_connection(ResourceIx::new(i));
        }
    }

    /// Links one connection resource to its node.
    pub fn link_connection(&mut self, r: ResourceIx) {
        if !self.s[r].flags.is_connection || self.s[r].remote_node.is_some() {
            return;
        }
        let id = self.s[r].id.clone();
        let Some(n) = self.s.node_by_name(&id) else { return };
        if self.s[n].kind != NodeKind::Remote {
            return;
        }
        self.s[n].connection = Some(r);
        self.s[r].remote_node = Some(n);
        if self.s[r].container.is_some() {
            self.s[n].attributes.insert(Text::fixed("#kind"), Text::fixed("container"));
        } else {
            self.startup_state(n);
        }
    }

    /// Rebuilds the table of ids.
    pub fn index_ids(&mut self) {
        self.s.by_id.clear();
        self.s.by_id.reserve(self.s.resources.len());
        for i in 0..self.s.resources.len() {
            let r = ResourceIx::new(i);
            self.s.by_id.entry(self.s[r].id.clone()).or_default().push(r);
        }
    }
}

/// A resource before anything about it is known.
pub fn blank(
    id: String,
    kind: Kind,
    xml: Element,
    ops: Vec<Element>,
    parent: Option<ResourceIx>,
) -> Resource {
    Resource {
        id,
        history_name: None,
        kind,
        xml,
        ops,
        parent,
        children: Vec::new(),
        meta: Table::default(),
        parameters: Table::default(),
        parameters_vary: false,
        utilization: Table::default(),
        flags: Flags::default(),
        role: Role::Stopped,
        next_role: Role::Unknown,
        running_on: Vec::new(),
        known_on: Vec::new(),
        table: Row::default(),
        assigned: None,
        pending_task: None,
        pending_node: None,
        partial_migration_source: None,
        partial_migration_target: None,
        dangling_migrations: Vec::new(),
        lock_node: None,
        lock_time: 0,
        container: None,
        fillers: Vec::new(),
        remote_node: None,
        priority: 0,
        stickiness: 0,
        migration_threshold: INFINITY,
        failure_timeout: 0,
        remote_reconnect_ms: 0,
        multiple_active: MultipleActive::StopStart,
        sort_index: 0,
        this_with: Vec::new(),
        with_this: Vec::new(),
        locations: Vec::new(),
        group_colocations_expanded: false,
    }
}

/// How a node made for a bundle enters tables.
pub const BUNDLE_NODE: (i32, Discovery) = (-INFINITY, Discovery::Never);
