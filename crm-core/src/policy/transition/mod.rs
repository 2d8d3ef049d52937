//! From decisions about roles and nodes to a graph of actions.
//!
//! A [`Work`] joins the working state and the actions of one plan. Its steps follow the order in which
//! the reference numbers actions: what the history called for, constraints, internal orderings, changed
//! definitions; then, when every resource has its node, probes, each resource's actions, remote
//! connections, fencing and shutdown; then all orderings are applied and the graph is written.

pub mod apply;
pub mod arena;
pub mod collective;
pub mod computed;
pub mod constraints;
pub mod create;
pub mod dot;
pub mod fencing;
pub mod flags;
pub mod history;
pub mod instances;
pub mod internal;
pub mod notify;
pub mod primitive;
pub mod probes;
pub mod recurring;
pub mod remote;
pub mod summary;
pub mod task;
pub mod update;
pub mod write;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::ix::{ActionIx, NodeIx, ResourceIx};
use super::state::operation::has_parameters;
use super::state::rules::Notes;
use super::state::{EffectPhase, State, Table};
use super::words;
use arena::Actions;
use cib::{Element, Text};
use flags::ActionFlags;
use notify::{NotifyOps, Operation};
use task::{Key, Task};

/// Meta-attributes of configured operations, made once for each resource and key.
type Operations = FxHashMap<(ResourceIx, Key, Option<NodeIx>), Arc<Table>>;

/// Class, provider and type of an agent.
type Agent = (Option<Text>, Option<Text>, Option<Text>);

/// A working state and the actions of its plan.
#[derive(Debug)]
pub struct Work<'s> {
    pub st: &'s mut State,
    pub actions: Actions,
    pub notifications: BTreeMap<(ResourceIx, Operation), NotifyOps>,
    operations: Operations,
    /// Those of operations that no resource of an agent configures: they are the same for all.
    defaults: FxHashMap<(Option<Agent>, Key), Arc<Table>>,
    deferred: Vec<history::Deferred>,
    written: write::Written,
    /// Flags of actions of collectives, limited to a node, and the version of the actions that they hold for.
    computed: FxHashMap<(ActionIx, Option<NodeIx>), (u64, ActionFlags)>,
    /// Room for the text of a key.
    key_text: String,
}

impl<'s> Work<'s> {
    pub fn new(st: &'s mut State) -> Self {
        Work {
            // Where nothing is probed, somewhat more than three for each.
            actions: Actions::with_capacity(7 * st.resources.len() / 2),
            st,
            notifications: BTreeMap::new(),
            operations: Operations::default(),
            defaults: FxHashMap::default(),
            deferred: Vec::new(),
            written: write::Written::default(),
            computed: FxHashMap::default(),
            key_text: String::new(),
        }
    }

    /// What is made before resources are assigned to nodes.
    pub fn before_assignment(&mut self) {
        self.replay_effects(|phase| phase == EffectPhase::Status);
        self.constraint_orderings();
        self.replay_effects(|_| true);
        self.internal_orderings();
        self.check_history();
    }

    /// What is made once every resource has its node.
    pub fn after_assignment(&mut self) {
        self.replay_effects(|_| true);
        self.check_deferred_parameters();
        self.schedule_probes();
        self.clear_orphan_failures();
        for r in self.st.top.clone() {
            self.resource_actions(r);
        }
        self.order_remote_connections();
        self.fencing_and_shutdown();
        self.apply_orderings();
    }

    /// The meta-attributes of the operation that a key names.
    fn operation_meta(&mut self, r: ResourceIx, key: &Key, node: Option<NodeIx>) -> Arc<Table> {
        let shared = self.default_of(r, key);
        if let Some(found) = shared.as_ref().and_then(|shared| self.defaults.get(shared)) {
            return found.clone();
        }
        // Only the time-outs of fence devices depend on the node.
        let node = node.filter(|_| self.st[r].flags.fence_device);
        let entry = (r, key.clone(), node);
        if let Some(found) = self.operations.get(&entry) {
            return found.clone();
        }
        self.write_key(r, key);
        let mut notes = Notes::default();
        let task = match key {
            Key::Op(task, _) => Cow::Borrowed(task.as_str()),
            Key::Notify(point, task) => Cow::Owned(format!("{}_notify_{task}", point.as_str())),
            Key::Free(text) => Cow::Borrowed(&**text),
        };
        let config = self.st.op_config(r, &task, &self.key_text, key.interval(), node, &mut notes);
        self.st.absorb(notes);
        // What is said about failures is looked at for each resource.
        let shared = shared.filter(|_| !config.meta.contains_key("on-fail"));
        let meta = Arc::new(config.meta);
        match shared {
            Some(shared) => {
                self.defaults.insert(shared, meta.clone());
            }
            None => {
                self.operations.insert(entry, meta.clone());
            }
        }
        meta
    }

    /// Makes `key_text` the text of a key.
    fn write_key(&mut self, r: ResourceIx, key: &Key) {
        self.key_text.clear();
        key.write(&self.st[r].id, &mut self.key_text);
    }

    /// Under what the operation of a key is shared with other resources, if it is: it has no element, and nothing else
    /// about the resource counts.
    fn default_of(&mut self, r: ResourceIx, key: &Key) -> Option<(Option<Agent>, Key)> {
        let Key::Op(task, 0) = key else { return None };
        // Probes and demotions look at other operations, fence devices at parameters.
        if matches!(task, Task::Monitor | Task::Demote) || self.st[r].flags.fence_device {
            return None;
        }
        if self.st.find_op(r, task.as_str(), 0, true).is_some() {
            return None;
        }
        // These stand for others, which the text tells.
        let general = |op: &Element| matches!(op.value(words::NAME), Some(name) if ["migrate", "notify"].iter().any(|g| name.eq_ignore_ascii_case(g)));
        if self.st[r].ops.iter().any(general) {
            self.write_key(r, key);
            if self.st.find_op_for(r, task.as_str(), &self.key_text, 0).is_some() {
                return None;
            }
        }
        let agent = self.st.op_defaults.as_ref().map(|_| {
            let xml = &self.st[r].xml;
            let [class, provider, kind] = ["class", "provider", "type"].map(|name| xml.attr_text(name));
            (class, provider, kind)
        });
        Some((agent, key.clone()))
    }

    /// Evaluates the parameters of an action's operation for its node.
    fn operation_parameters(&mut self, ix: ActionIx, r: ResourceIx) {
        let action = &self.actions[ix];
        if action.node.is_none() || action.is(ActionFlags::HAVE_EXTRA) {
            return;
        }
        if !self.st[r].ops.iter().any(has_parameters) {
            self.actions[ix].flags.set(ActionFlags::HAVE_EXTRA);
            return;
        }
        let (key, node) = (action.key.clone(), action.node);
        self.actions[ix].flags.set(ActionFlags::HAVE_EXTRA);
        let (task, interval) = match &key {
            Key::Op(task, interval) => (task.as_str().to_owned(), *interval),
            Key::Notify(point, task) => (format!("{}_notify_{task}", point.as_str()), 0),
            Key::Free(_) => return,
        };
        let text = key.text(&self.st[r].id);
        if self.st.find_op_for(r, &task, &text, interval).is_some_and(has_parameters) {
            let mut notes = Notes::default();
            let config = self.st.op_config(r, &task, &text, interval, node, &mut notes);
            self.actions[ix].extra = config.extra;
        }
    }
}
