//! The arena of actions, the list of ordering constraints, and the edges between actions.
//!
//! Orderings come in two layers. An [`Ordering`] names its two ends by resource and key and may refer
//! to actions that do not exist yet; applying one makes edges between the actions that then exist.
//! Lists of actions and edges are walked newest first, because that order decides which of two reasons
//! is kept and which of two edges is dropped.

use std::borrow::Cow;

use cib::Text;
use rustc_hash::FxHashMap;
use std::sync::Arc;

use super::super::ix::{ActionIx, NodeIx, ResourceIx};
use super::super::state::Table;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};

/// What an action needs before it may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Needs {
    #[default]
    Nothing,
    Quorum,
    Fencing,
}

/// Meta-attributes of an action: those of its configured operation, shared, and its own over them.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    base: Option<Arc<Table>>,
    own: Vec<(Cow<'static, str>, Text)>,
}

impl Meta {
    /// Meta-attributes that start as those of a configured operation.
    pub fn of(base: Arc<Table>) -> Self {
        Meta { base: Some(base), own: Vec::new() }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        match self.own.iter().find(|(n, _)| n == name) {
            Some((_, value)) => Some(value.as_str()),
            None => self.base.as_ref()?.get(name).map(Text::as_str),
        }
    }

    pub fn set(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Text>) {
        let name = name.into();
        let value = value.into();
        match self.own.iter_mut().find(|(n, _)| *n == name) {
            Some(entry) => entry.1 = value,
            None => {
                if self.own.is_empty() {
                    self.own.reserve_exact(1);
                }
                self.own.push((name, value));
            }
        }
    }

    /// Whether both come from the same operation, with the same values of their own.
    pub fn same(&self, other: &Meta) -> bool {
        let base = match (&self.base, &other.base) {
            (Some(a), Some(b)) => Arc::ptr_eq(a, b),
            (None, None) => true,
            _ => false,
        };
        base && self.own == other.own
    }

    /// Sets what has no value yet.
    pub fn set_default(&mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Text>) {
        let name = name.into();
        if self.get(&name).is_none() {
            self.own.push((name, value.into()));
        }
    }

    /// Every name and value; own values hide those of the operation. In no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Text)> {
        let own = self.own.iter().map(|(n, v)| (n.as_ref(), v));
        let base = self.base.iter().flat_map(|base| base.iter());
        let base = base.filter(|(n, _)| !self.own.iter().any(|(own, _)| own == n.as_str()));
        own.chain(base.map(|(n, v)| (n.as_str(), v)))
    }
}

/// One end of an edge, as the other end's list holds it.
#[derive(Debug, Clone, Copy)]
pub struct Edge {
    pub other: ActionIx,
    pub flags: EdgeFlags,
}

/// An edge in the list of the action that comes later.
#[derive(Debug, Clone, Copy)]
pub struct Input {
    pub other: ActionIx,
    /// What the edge does now; orderings found void are set to none.
    pub flags: EdgeFlags,
    /// What the edge was made with.
    pub made: EdgeFlags,
    /// Used as an input of the written graph.
    pub used: bool,
}

#[derive(Debug, Clone)]
pub struct Action {
    pub resource: Option<ResourceIx>,
    pub node: Option<NodeIx>,
    pub task: Task,
    pub key: Key,
    /// The task that a cancellation ends.
    pub cancel_task: Option<Task>,
    pub reason: Option<String>,
    /// The action that `reason` speaks of, where it speaks of one.
    pub because: Option<ActionIx>,
    pub priority: i32,
    pub needs: Needs,
    pub flags: ActionFlags,
    pub meta: Meta,
    /// Parameters of the operation itself, evaluated for the node.
    pub extra: Table,
    pub runnable_before: u32,
    pub required_runnable_before: u32,
    /// Edges from earlier actions, oldest first: walk it reversed.
    pub before: Vec<Input>,
    /// Edges to later actions, oldest first: walk it reversed.
    pub after: Vec<Edge>,
}

impl Action {
    pub fn is(&self, flags: ActionFlags) -> bool {
        self.flags.has(flags)
    }

    pub fn optional(&self) -> bool {
        self.flags.has(ActionFlags::OPTIONAL)
    }

    pub fn required(&self) -> bool {
        !self.flags.has(ActionFlags::OPTIONAL)
    }

    pub fn runnable(&self) -> bool {
        self.flags.has(ActionFlags::RUNNABLE)
    }

    pub fn pseudo(&self) -> bool {
        self.flags.has(ActionFlags::PSEUDO)
    }
}

/// One end of an ordering constraint.
#[derive(Debug, Clone, Default)]
pub struct End {
    pub resource: Option<ResourceIx>,
    pub key: Option<Key>,
    pub action: Option<ActionIx>,
}

impl End {
    /// Every action of `resource` with the key of a non-recurring task.
    pub fn task(resource: ResourceIx, task: Task) -> End {
        End { resource: Some(resource), key: Some(Key::once(task)), action: None }
    }

    pub fn action(resource: Option<ResourceIx>, action: ActionIx) -> End {
        End { resource, key: None, action: Some(action) }
    }
}

/// An ordering constraint: layer one.
#[derive(Debug, Clone)]
pub struct Ordering {
    pub first: End,
    pub then: End,
    pub flags: EdgeFlags,
}

/// Every action of a plan.
#[derive(Debug, Default)]
pub struct Actions {
    all: Vec<Action>,
    by_resource: Vec<Vec<ActionIx>>,
    /// Actions of no resource, by key.
    singletons: FxHashMap<Key, ActionIx>,
    /// Ordering constraints in the order of their making.
    pub orderings: Vec<Ordering>,
    version: u64,
}

impl std::ops::Index<ActionIx> for Actions {
    type Output = Action;
    fn index(&self, ix: ActionIx) -> &Action {
        &self.all[ix.at()]
    }
}

impl std::ops::IndexMut<ActionIx> for Actions {
    fn index_mut(&mut self, ix: ActionIx) -> &mut Action {
        self.version += 1;
        &mut self.all[ix.at()]
    }
}

impl Actions {
    /// Room for so many actions; more may come.
    pub fn with_capacity(actions: usize) -> Self {
        Actions {
            all: Vec::with_capacity(actions),
            orderings: Vec::with_capacity(2 * actions),
            ..Actions::default()
        }
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Another number whenever there may be another action, or an action may have changed in more than its edges.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Every action, newest first.
    pub fn newest(&self) -> impl DoubleEndedIterator<Item = ActionIx> + use<> {
        (0..self.all.len()).rev().map(ActionIx::new)
    }

    /// The actions of a resource, oldest first.
    pub fn of(&self, resource: ResourceIx) -> &[ActionIx] {
        self.by_resource.get(resource.at()).map_or(&[], Vec::as_slice)
    }

    /// Adds an action; runnable, with no edges.
    pub fn push(
        &mut self,
        resource: Option<ResourceIx>,
        node: Option<NodeIx>,
        task: Task,
        key: Key,
    ) -> ActionIx {
        let ix = ActionIx::new(self.all.len());
        self.version += 1;
        match resource {
            Some(resource) => {
                if self.by_resource.len() <= resource.at() {
                    self.by_resource.resize_with(resource.at() + 1, Vec::new);
                }
                let own = &mut self.by_resource[resource.at()];
                if own.is_empty() {
                    // A start, a stop, a monitor, and what moving it takes.
                    own.reserve(6);
                }
                own.push(ix);
            }
            None => {
                self.singletons.insert(key.clone(), ix);
            }
        }
        self.all.push(Action {
            resource,
            node,
            task,
            key,
            cancel_task: None,
            reason: None,
            because: None,
            priority: 0,
            needs: Needs::Nothing,
            flags: ActionFlags::RUNNABLE,
            meta: Meta::default(),
            extra: Table::default(),
            runnable_before: 0,
            required_runnable_before: 0,
            before: Vec::new(),
            after: Vec::new(),
        });
        ix
    }

    /// The action of no resource that has this key.
    pub fn singleton(&self, key: &Key) -> Option<ActionIx> {
        self.singletons.get(key).copied()
    }

    /// The oldest action of `resource` with this key; with a node, only those there or on no node yet.
    pub fn find(&self, resource: ResourceIx, key: &Key, node: Option<NodeIx>) -> Option<ActionIx> {
        self.of(resource).iter().copied().find(|&ix| {
            let action = &self[ix];
            action.key == *key && (node.is_none() || action.node.is_none() || action.node == node)
        })
    }

    /// Actions of `resource` with this key, oldest first; with a node, only those on it.
    pub fn matching(&self, resource: ResourceIx, key: &Key, node: Option<NodeIx>) -> Vec<ActionIx> {
        let matching = self.of(resource).iter().copied().filter(|&ix| {
            let action = &self[ix];
            action.key == *key && (node.is_none() || action.node == node)
        });
        matching.collect()
    }

    /// The newest action of `resource` with this task, on `node` if one is wanted.
    pub fn newest_of(&self, resource: ResourceIx, task: &Task, node: Option<NodeIx>) -> Option<ActionIx> {
        self.of(resource).iter().rev().copied().find(|&ix| {
            let action = &self[ix];
            action.task == *task && (node.is_none() || action.node == node)
        })
    }

    /// The newest action of `resource` with this key.
    pub fn newest_with_key(&self, resource: ResourceIx, key: &Key) -> Option<ActionIx> {
        self.of(resource).iter().rev().copied().find(|&ix| self[ix].key == *key)
    }

    /// Adds an ordering constraint; an end that names an action takes resource and key from it.
    pub fn order(&mut self, mut first: End, mut then: End, flags: EdgeFlags) {
        for end in [&mut first, &mut then] {
            if let Some(action) = end.action {
                end.resource = end.resource.or(self[action].resource);
                end.key.get_or_insert_with(|| self[action].key.clone());
            }
        }
        self.orderings.push(Ordering { first, then, flags });
    }

    /// Adds an ordering between the non-recurring tasks of two resources.
    pub fn order_tasks(&mut self, first: (ResourceIx, Task), then: (ResourceIx, Task), flags: EdgeFlags) {
        self.order(End::task(first.0, first.1), End::task(then.0, then.1), flags);
    }

    /// Adds an edge between two actions; false if there is one that shares a flag, or no flag is given.
    pub fn edge(&mut self, first: ActionIx, then: ActionIx, flags: EdgeFlags) -> bool {
        if flags.is_none() || first == then {
            return false;
        }
        let after = &self[first].after;
        let before = &self[then].before;
        let known = if after.len() <= before.len() {
            after.iter().any(|edge| edge.other == then && edge.flags.any(flags))
        } else {
            before.iter().any(|edge| edge.other == first && edge.made.any(flags))
        };
        if known {
            return false;
        }
        self.all[first.at()].after.push(Edge { other: then, flags });
        self.all[then.at()].before.push(Input { other: first, flags, made: flags, used: false });
        true
    }
}
