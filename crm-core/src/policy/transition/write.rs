//! The transition graph: which actions go into it, in which order, with which inputs and attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use cib::Text;
use rustc_hash::FxHashMap;

use super::Work;
use super::arena::{Action, Input, Meta};
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::graph::{ActionId, ActionKind, Attributes, Graph, GraphAction, GraphResource, Synapse};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Node, Variant};
use crate::policy::values;

/// What the action written last had: the next one may have the same.
#[derive(Debug, Default)]
pub struct Written {
    resource: Option<(ResourceIx, Arc<GraphResource>)>,
    attributes: Option<LastAttributes>,
    /// By a node, its name and id as attributes.
    nodes: FxHashMap<NodeIx, Arc<[(Text, Text)]>>,
}

#[derive(Debug)]
struct LastAttributes {
    resource: Option<ResourceIx>,
    task: Task,
    meta: Meta,
    made: Arc<[(Text, Text)]>,
}

const ON_NODE: Text = Text::fixed("CRM_meta_on_node");
const ON_NODE_UUID: Text = Text::fixed("CRM_meta_on_node_uuid");

/// The name under which a graph carries a meta-attribute.
fn meta_name(name: &str) -> Text {
    let mut text = String::with_capacity("CRM_meta_".len() + name.len());
    text.push_str("CRM_meta_");
    text.extend(name.chars().map(|c| if c == '-' { '_' } else { c }));
    text.into()
}

impl Work<'_> {
    /// Writes the graph; clones make their notifications on the way.
    pub fn graph(&mut self) -> Graph {
        let options = &self.st.options;
        let limit = values::scan_or(&options.migration_limit, -1);
        let mut graph = Graph {
            cluster_delay: options.cluster_delay.clone(),
            stonith_timeout: options.stonith_timeout.clone(),
            failed_stop_offset: "INFINITY".to_owned(),
            failed_start_offset: if options.start_failure_fatal { "INFINITY" } else { "1" }.to_owned(),
            batch_limit: options.batch_limit.clone(),
            migration_limit: (limit > 0).then(|| options.migration_limit.clone()),
            recheck_by: None,
            synapses: Vec::new(),
            absent: Vec::new(),
        };
        for r in self.st.top.clone() {
            self.write_resource(r, &mut graph);
        }
        self.maintenance_action();
        for ix in self.actions.newest() {
            self.write_action(ix, &mut graph);
        }
        let inputs = graph.synapses.iter().flat_map(|s| s.inputs.iter().copied());
        let dumped = |id: &ActionId| self.actions[ActionIx(id.0 - 1)].is(ActionFlags::DUMPED);
        let absent: BTreeSet<ActionId> = inputs.filter(|id| !dumped(id)).collect();
        graph.absent = absent.into_iter().map(|id| self.graph_action(ActionIx(id.0 - 1))).collect();
        graph.recheck_by = self.st.recheck_by.and_then(|t| u64::try_from(t).ok());
        graph
    }

    fn write_resource(&mut self, r: ResourceIx, graph: &mut Graph) {
        match self.st[r].variant() {
            Variant::Primitive | Variant::Group => {
                self.write_own(r, graph);
                for child in self.st[r].children.clone() {
                    self.write_resource(child, graph);
                }
            }
            Variant::Clone => {
                // What instances need since the last look is needed of the clone too.
                for at in (0..self.actions.of(r).len()).rev() {
                    let ix = self.actions.of(r)[at];
                    self.computed_flags(ix, None);
                }
                self.clone_notifications(r);
                for child in self.st[r].children.clone() {
                    self.write_resource(child, graph);
                }
                self.write_own(r, graph);
            }
            Variant::Bundle => {
                let Some(bundle) = self.st[r].bundle_info() else { return };
                let child = bundle.child;
                let replicas = bundle.replicas.clone();
                if let Some(child) = child {
                    self.write_resource(child, graph);
                }
                for x in replicas {
                    for part in [x.ip, Some(x.container), x.remote].into_iter().flatten() {
                        self.write_resource(part, graph);
                    }
                }
            }
        }
    }

    fn write_own(&mut self, r: ResourceIx, graph: &mut Graph) {
        for at in (0..self.actions.of(r).len()).rev() {
            let ix = self.actions.of(r)[at];
            self.write_action(ix, graph);
        }
    }

    fn write_action(&mut self, ix: ActionIx, graph: &mut Graph) {
        if self.actions[ix].is(ActionFlags::DUMPED) || !self.should_write(ix) {
            return;
        }
        self.merge_inputs(ix);
        self.actions[ix].flags.set(ActionFlags::DUMPED);
        let mut inputs = Vec::new();
        for at in 0..self.actions[ix].before.len() {
            if self.is_input(ix, at) {
                let input = &mut self.actions[ix].before[at];
                input.used = true;
                inputs.push(ActionId(input.other.0 + 1));
            }
        }
        let priority = {
            let action = &self.actions[ix];
            let of_resource = action.resource.map_or(0, |r| self.st[r].priority);
            of_resource.max(action.priority).max(0)
        };
        let action = Arc::new(self.graph_action(ix));
        let id = u32::try_from(graph.synapses.len()).unwrap_or(u32::MAX);
        graph.synapses.push(Synapse { id, priority, action, inputs });
    }

    /// Whether an action belongs into the graph.
    pub fn should_write(&self, ix: ActionIx) -> bool {
        let action = &self.actions[ix];
        if !action.runnable() {
            return false;
        }
        if action.optional() && !action.is(ActionFlags::PRINT_ALWAYS) {
            return false;
        }
        let unmanaged = action.resource.is_some_and(|r| !self.st[r].flags.managed);
        if unmanaged && action.task != Task::Monitor {
            let recurs = action.meta.get("interval").is_some_and(|i| i != "0");
            if !recurs {
                return false;
            }
        }
        if action.pseudo() || matches!(action.task, Task::Stonith | Task::Shutdown) {
            return true;
        }
        let Some(node) = action.node else { return false };
        let state = &self.st[node];
        if action.is(ActionFlags::ON_DC) {
            return true;
        }
        if self.st.is_guest_node(node) && !state.requires_reset {
            return true;
        }
        state.online && !state.unclean
    }

    /// Merges edges from the same action, and sorts inputs by number.
    fn merge_inputs(&mut self, ix: ActionIx) {
        if self.actions[ix].is(ActionFlags::DEDUP) {
            return;
        }
        let action = &mut self.actions[ix];
        action.flags.set(ActionFlags::DEDUP);
        action.before.sort_by_key(|input| input.other);
        let mut merged: Vec<Input> = Vec::with_capacity(action.before.len());
        for input in action.before.drain(..) {
            match merged.last_mut() {
                Some(last) if last.other == input.other => last.flags |= input.flags,
                _ => merged.push(input),
            }
        }
        action.before = merged;
    }

    /// Whether the `at`-th edge into `then` is an input of the graph.
    pub fn is_input(&mut self, then: ActionIx, at: usize) -> bool {
        let input = self.actions[then].before[at];
        let flags = input.flags;
        if input.used {
            return true;
        }
        if flags.is_none() {
            return false;
        }
        let first = &self.actions[input.other];
        if !first.runnable() {
            let weak = EdgeFlags::OPT | EdgeFlags::FIRST_PRINTED | EdgeFlags::THEN_PRINTED;
            if flags.without(weak).is_none()
                || flags.any(EdgeFlags::ONE_OR_MORE)
                || flags.any(EdgeFlags::MIG_FIRST)
            {
                return false;
            }
        }
        let migrates = first.is(ActionFlags::MIGRATE_RUNNABLE);
        if flags.any(EdgeFlags::NON_MIG) && migrates {
            return false;
        }
        if flags == EdgeFlags::OPT && migrates && first.key == Key::once(Task::Stop) {
            return false;
        }
        if flags == EdgeFlags::LOAD {
            let a = &self.actions[then];
            let wanted = match (&a.task, a.resource) {
                (Task::MigrateTo, Some(r)) => self.st[r].assigned_node(),
                _ => a.node,
            };
            if first.node.is_none() || wanted != first.node {
                self.actions[then].before[at].flags = EdgeFlags::NONE;
                return false;
            }
            if a.task != Task::MigrateTo && first.optional() {
                self.actions[then].before[at].flags = EdgeFlags::NONE;
                return false;
            }
        } else if flags == EdgeFlags::ANTI_COLOC {
            let a = &self.actions[then];
            let apart = first.node.is_some() && a.node.is_some() && first.node != a.node;
            if apart || first.optional() {
                self.actions[then].before[at].flags = EdgeFlags::NONE;
                return false;
            }
        } else if let (Some(f), Some(t)) = (first.resource, self.actions[then].resource) {
            if f != t
                && self.st[f].flags.failed
                && !self.st[f].flags.managed
                && first.key == Key::once(Task::Stop)
                && self.st[self.st.top_of(t)].variant() == Variant::Clone
            {
                return false;
            }
        }
        if first.optional()
            && !first.flags.any(ActionFlags::PRINT_ALWAYS | ActionFlags::DUMPED)
            && !self.should_write(input.other)
        {
            return false;
        }
        true
    }

    /// The number an action has in the graph.
    pub fn id_of(&self, ix: ActionIx) -> ActionId {
        ActionId(ix.0 + 1)
    }

    fn graph_action(&mut self, ix: ActionIx) -> GraphAction {
        let action = &self.actions[ix];
        let kind = match action.task {
            Task::Stonith if action.pseudo() => ActionKind::Pseudo,
            Task::Stonith | Task::Shutdown | Task::ClearFailcount | Task::LrmDelete => ActionKind::Cluster,
            _ if action.pseudo() => ActionKind::Pseudo,
            _ => ActionKind::Resource,
        };
        let names_node = kind != ActionKind::Pseudo || action.task == Task::Stonith;
        let node = action.node.filter(|_| names_node);
        let router = if names_node { self.router_node(action) } else { None };
        let key = Text::from(self.key_text(action));
        let (operation_key, internal_key) = match self.history_key(action) {
            Some(shown) => (shown.into(), Some(key)),
            None => (key, None),
        };
        let on_node = node.map(|n| Text::from(self.st[n].name.as_str()));
        let on_node_uuid = node.map(|n| Text::from(self.st[n].id.as_str()));
        let locked = action.resource.filter(|_| names_node).and_then(|r| {
            let rsc = &self.st[r];
            let lock = rsc.lock_node?;
            let here = action.node == Some(lock);
            let shown = here && (!self.st[lock].shutdown || action.task == Task::Stop);
            (shown && kind != ActionKind::Pseudo).then_some(rsc.lock_time)
        });
        let mut out = GraphAction {
            id: self.id_of(ix),
            kind,
            operation: action.task.as_str().into(),
            operation_key,
            internal_key,
            on_node,
            on_node_uuid,
            router_node: router.map(|n| self.st[n].name.as_str().into()),
            resource: None,
            attributes: Attributes::default(),
            downed: self.downed(action),
            maintenance: Vec::new(),
            shutdown_lock: locked.and_then(|t| u64::try_from(t).ok()),
        };
        if action.task == Task::MaintenanceNodes {
            out.maintenance = self.maintenance_states();
        }
        if let (Some(r), false) = (action.resource, action.pseudo()) {
            out.resource = Some(self.shared_graph_resource(r));
        }
        out.attributes = self.graph_attributes(ix, node);
        out
    }

    /// The same resource is that of many actions, one after the other.
    fn shared_graph_resource(&mut self, r: ResourceIx) -> Arc<GraphResource> {
        if let Some((known, made)) = &self.written.resource
            && *known == r
        {
            return Arc::clone(made);
        }
        let made = Arc::new(self.graph_resource(r));
        self.written.resource = Some((r, Arc::clone(&made)));
        made
    }

    /// The operation key under the resource's own id.
    pub fn key_text(&self, action: &Action) -> String {
        action.key.text(action.resource.map_or("", |r| self.st[r].id.as_str()))
    }

    /// The operation key under the name the history knows, where that differs.
    fn history_key(&self, action: &Action) -> Option<String> {
        let rsc = &self.st[action.resource?];
        let name = rsc.history_name.as_deref()?;
        let task = match &action.task {
            Task::Notify => {
                let kind = action.meta.get("notify_type")?;
                let op = action.meta.get("notify_operation")?;
                return Some(format!("{name}_{kind}_notify_{op}_0"));
            }
            Task::Cancel => action.cancel_task.as_ref().unwrap_or(&Task::Cancel),
            task => task,
        };
        let interval = action.meta.get("interval").unwrap_or("0");
        Some(format!("{name}_{task}_{interval}"))
    }

    fn graph_resource(&self, r: ResourceIx) -> GraphResource {
        let rsc = &self.st[r];
        let (id, long_id) = if rsc.flags.orphan && rsc.history_name.is_some() {
            (rsc.name_in_history().to_owned(), Some(rsc.id.clone()))
        } else if !rsc.flags.unique {
            let id = rsc.config_id().to_owned();
            let long = match rsc.history_name.as_deref() {
                Some(name) if name != id => name.to_owned(),
                _ => rsc.id.clone(),
            };
            (id, Some(long))
        } else {
            (rsc.id.clone(), None)
        };
        GraphResource {
            id,
            long_id,
            class: rsc.class().to_owned(),
            provider: rsc.provider().map(str::to_owned),
            agent: rsc.agent().to_owned(),
        }
    }

    fn downed(&self, action: &Action) -> Vec<String> {
        let Some(node) = action.node else { return Vec::new() };
        let id = |n: NodeIx| self.st[n].id.clone();
        match &action.task {
            Task::Shutdown => vec![id(node)],
            Task::Stonith => {
                let kind = action.meta.get("stonith_action").unwrap_or_default();
                if kind != "off" && kind != "reboot" {
                    return Vec::new();
                }
                let mut downed = vec![id(node)];
                for &r in &self.st[node].running {
                    let rsc = &self.st[r];
                    let guest = rsc.remote_node.filter(|_| rsc.container.is_some());
                    downed.extend(guest.map(id));
                }
                downed
            }
            Task::Stop => {
                let Some(r) = action.resource.filter(|&r| self.st[r].flags.is_connection) else {
                    return Vec::new();
                };
                let migrates = self.actions.of(r).iter().any(|&a| {
                    let other = &self.actions[a];
                    other.task == Task::MigrateFrom && other.required()
                });
                if migrates || action.pseudo() { Vec::new() } else { vec![self.st[r].id.clone()] }
            }
            _ => Vec::new(),
        }
    }

    /// Parameters and meta-attributes of an action; `node` is the node it is for.
    fn graph_attributes(&mut self, ix: ActionIx, node: Option<NodeIx>) -> Attributes {
        let own: Arc<[(Text, Text)]> = match node {
            Some(n) => {
                let names = || {
                    let Node { name, id, .. } = &self.st[n];
                    [(ON_NODE, name.as_str().into()), (ON_NODE_UUID, id.as_str().into())].into()
                };
                Arc::clone(self.written.nodes.entry(n).or_insert_with(names))
            }
            None => Arc::default(),
        };
        if !self.shares_attributes(ix) {
            return self.collect_attributes(ix, &own).into_iter().collect();
        }
        let action = &self.actions[ix];
        if let Some(last) = &self.written.attributes
            && last.resource == action.resource
            && last.task == action.task
            && last.meta.same(&action.meta)
        {
            return Attributes::new(Arc::clone(&last.made), own);
        }
        let made: Arc<[(Text, Text)]> = self.collect_attributes(ix, &[]).into_iter().collect();
        let action = &self.actions[ix];
        self.written.attributes = Some(LastAttributes {
            resource: action.resource,
            task: action.task.clone(),
            meta: action.meta.clone(),
            made: Arc::clone(&made),
        });
        Attributes::new(made, own)
    }

    /// Whether the attributes of an action do not depend on its node, beyond its name.
    fn shares_attributes(&self, ix: ActionIx) -> bool {
        let action = &self.actions[ix];
        let Some(r) = action.resource else { return false };
        let rsc = &self.st[r];
        let guest = action.node.is_some_and(|n| self.st.container_of_node(n).is_some());
        action.extra.is_empty()
            && !rsc.parameters_vary
            && !rsc.flags.is_connection
            && !guest
            && action.task != Task::Stonith
            // Who says so himself is heard, or not, in the order of collecting.
            && [ON_NODE, ON_NODE_UUID].iter().all(|name| !rsc.parameters.contains_key(name))
            && ["on_node", "on_node_uuid"].iter().all(|name| action.meta.get(name).is_none())
    }

    fn collect_attributes(&self, ix: ActionIx, node: &[(Text, Text)]) -> BTreeMap<Text, Text> {
        let action = &self.actions[ix];
        let mut out: BTreeMap<Text, Text> = BTreeMap::new();
        // The first value of a name counts.
        let mut put = |name: Text, value: Text| {
            out.entry(name).or_insert(value);
        };
        put(Text::fixed("crm_feature_set"), Text::fixed(cib::FEATURE_SET));
        for (name, value) in &action.extra {
            put(name.clone(), value.clone());
        }
        let leaf = action.resource.filter(|&r| self.st[r].variant() == Variant::Primitive);
        if let Some(r) = leaf {
            let parameters = self.st.parameters(r, action.node);
            if let Some(address) = self.st.bundle_address(r) {
                put(Text::fixed("addr"), address.into());
            }
            for (name, value) in parameters.iter() {
                put(name.clone(), value.clone());
            }
        }
        for (name, value) in node {
            put(name.clone(), value.clone());
        }
        for (name, value) in action.meta.iter() {
            if !name.contains('#') && !name.contains(':') {
                put(meta_name(name), value.clone());
            }
        }
        let mut above = action.resource;
        while let Some(r) = above {
            self.variant_attributes(r, &mut put);
            above = self.st[r].parent;
        }
        if let (Some(_), Some(node)) = (leaf, action.node) {
            self.host_attributes(action, node, &mut put);
        }
        if let (Task::Stonith, Some(node)) = (&action.task, action.node) {
            for (name, value) in &self.st[node].attributes {
                if !name.contains('#') && !name.contains(':') {
                    put(meta_name(name), value.clone());
                }
            }
        }
        out
    }

    fn variant_attributes(&self, r: ResourceIx, put: &mut impl FnMut(Text, Text)) {
        let rsc = &self.st[r];
        if rsc.is_primitive() {
            for (meta, name) in [
                ("clone", "CRM_meta_clone"),
                ("remote-node", "CRM_meta_remote_node"),
                ("external-ip", "pcmk_external_ip"),
            ] {
                if let Some(value) = rsc.meta.get(meta) {
                    put(Text::fixed(name), value.clone());
                }
            }
        }
        if let Some(container) = rsc.container {
            put(Text::fixed("CRM_meta_container"), self.st[container].id.as_str().into());
        }
        if let Some(clone) = rsc.clone_info() {
            let yes = |flag: bool| if flag { "true" } else { "false" };
            let number = |number: i32| Text::from(i64::from(number));
            put(Text::fixed("CRM_meta_globally_unique"), Text::fixed(yes(rsc.flags.unique)));
            put(Text::fixed("CRM_meta_notify"), Text::fixed(yes(rsc.flags.notify)));
            put(Text::fixed("CRM_meta_clone_max"), number(clone.max));
            put(Text::fixed("CRM_meta_clone_node_max"), number(clone.node_max));
            if rsc.flags.promotable {
                for name in ["CRM_meta_promoted_max", "CRM_meta_master_max"] {
                    put(Text::fixed(name), number(clone.promoted_max));
                }
                for name in ["CRM_meta_promoted_node_max", "CRM_meta_master_node_max"] {
                    put(Text::fixed(name), number(clone.promoted_node_max));
                }
            }
        }
    }

    fn host_attributes(&self, action: &Action, node: NodeIx, put: &mut impl FnMut(Text, Text)) {
        let Some(container) = self.st.container_of_node(node) else { return };
        let task = match &action.task {
            Task::Notify | Task::Notified => {
                Task::parse(action.meta.get("notify_operation").unwrap_or_default())
            }
            task => task.clone(),
        };
        let host = match task {
            Task::Stop | Task::Stopped | Task::Demote | Task::Demoted => self.st.current(container),
            Task::Start | Task::Running | Task::Monitor | Task::Promote | Task::Promoted => {
                self.st[container].assigned_node()
            }
            _ => None,
        };
        if let Some(host) = host {
            put(Text::fixed("CRM_meta_physical_host"), self.st[host].name.as_str().into());
            let target = action.resource.and_then(|r| self.st[r].meta("container-attribute-target"));
            if let Some(target) = target {
                put(Text::fixed("CRM_meta_container_attribute_target"), target.into());
            }
        }
    }

    /// Remote and guest nodes whose maintenance state differs from what they were told.
    fn maintenance_states(&self) -> Vec<(String, bool)> {
        let nodes = self.st.node_order.iter().copied().filter(|&n| self.st[n].is_remote_kind());
        nodes
            .filter(|&n| self.st[n].maintenance != self.st[n].remote_maintenance)
            .map(|n| (self.st[n].id.clone(), self.st[n].maintenance))
            .collect()
    }

    fn maintenance_action(&mut self) {
        if self.st.have_remote_nodes && !self.maintenance_states().is_empty() {
            let key = Key::free("maintenance_nodes");
            self.pseudo(None, key, Task::MaintenanceNodes, false);
        }
    }
}
