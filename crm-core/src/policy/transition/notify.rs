//! Clone notifications: the pseudo actions that frame them, and the real ones of each instance.

use std::collections::BTreeMap;
use std::sync::Arc;

use cib::Text;

use super::Work;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, NotifyPoint, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Role, Variant};
use crate::policy::values::INFINITY;

/// An operation that instances are notified of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    Start,
    Stop,
    Promote,
    Demote,
}

impl Operation {
    pub fn task(self) -> Task {
        match self {
            Operation::Start => Task::Start,
            Operation::Stop => Task::Stop,
            Operation::Promote => Task::Promote,
            Operation::Demote => Task::Demote,
        }
    }
}

/// The pseudo actions around the notifications of one operation of a clone.
#[derive(Debug, Clone, Copy)]
pub struct NotifyOps {
    pub pre: ActionIx,
    pub pre_done: ActionIx,
    pub post: ActionIx,
    pub post_done: ActionIx,
}

/// The points between which one instance's notifications run; fencing has no "before".
#[derive(Debug, Clone, Copy)]
struct Points {
    pre: Option<(ActionIx, ActionIx)>,
    post: (ActionIx, ActionIx),
}

type Keys = BTreeMap<&'static str, Arc<str>>;

/// Who does what: instance and node, sorted by instance id, then node id.
#[derive(Debug, Default)]
struct Entries(Vec<(ResourceIx, Option<NodeIx>)>);

#[derive(Debug, Default)]
struct Lists {
    active: Entries,
    inactive: Entries,
    start: Entries,
    stop: Entries,
    promote: Entries,
    demote: Entries,
    promoted: Entries,
    unpromoted: Entries,
}

impl Work<'_> {
    /// Makes the pseudo actions of an operation's notifications.
    pub fn notify_ops(&mut self, r: ResourceIx, op: Operation, action: ActionIx, done: ActionIx) {
        let pre = self.notify_pseudo(r, action, Task::Notify, NotifyPoint::Pre);
        self.notify_type(pre, "pre", op);
        let pre_done = self.notify_pseudo(r, action, Task::Notified, NotifyPoint::ConfirmedPre);
        self.notify_type(pre_done, "pre", op);
        for ix in [pre, pre_done] {
            self.actions[ix].flags.set(ActionFlags::RUNNABLE);
        }
        self.actions.edge(pre, pre_done, EdgeFlags::OPT);
        self.actions.edge(pre_done, action, EdgeFlags::OPT);

        let (post, post_done) = self.notify_post(r, done, op);
        self.actions.edge(pre_done, post, EdgeFlags::OPT);
        self.notifications.insert((r, op), NotifyOps { pre, pre_done, post, post_done });
    }

    /// The pseudo actions around what instances are told after an action: they run when it can run.
    fn notify_post(&mut self, r: ResourceIx, about: ActionIx, op: Operation) -> (ActionIx, ActionIx) {
        let post = self.notify_pseudo(r, about, Task::Notify, NotifyPoint::Post);
        self.notify_type(post, "post", op);
        let post_done = self.notify_pseudo(r, about, Task::Notified, NotifyPoint::ConfirmedPost);
        self.notify_type(post_done, "post", op);
        let runnable = self.actions[about].runnable();
        for ix in [post, post_done] {
            let action = &mut self.actions[ix];
            action.priority = INFINITY;
            if runnable {
                action.flags.set(ActionFlags::RUNNABLE);
            } else {
                action.flags.clear(ActionFlags::RUNNABLE);
            }
        }
        self.actions.edge(about, post, EdgeFlags::I_THEN);
        self.actions.edge(post, post_done, EdgeFlags::I_THEN);
        (post, post_done)
    }

    fn notify_type(&mut self, ix: ActionIx, kind: &'static str, op: Operation) {
        let meta = &mut self.actions[ix].meta;
        meta.set("notify_type", kind);
        meta.set("notify_operation", op.task().as_str());
    }

    fn notify_pseudo(&mut self, r: ResourceIx, about: ActionIx, task: Task, point: NotifyPoint) -> ActionIx {
        let about_task = self.actions[about].task.clone();
        let optional = self.actions[about].optional();
        let key = Key::Notify(point, about_task.clone());
        let ix = self.action(Some(r), key, task, None, optional);
        let action = &mut self.actions[ix];
        action.flags.set(ActionFlags::PSEUDO);
        action.meta.set("notify_key_type", point.as_str());
        action.meta.set("notify_key_operation", about_task.as_str());
        ix
    }

    /// Makes the notifications of a clone, just before it is written to the graph.
    pub fn clone_notifications(&mut self, clone: ResourceIx) {
        for op in [Operation::Start, Operation::Stop, Operation::Promote, Operation::Demote] {
            let Some(ops) = self.notifications.get(&(clone, op)).copied() else { continue };
            let lists = self.notify_lists(clone);
            let keys = self.notify_keys(clone, &lists);
            let own = match op {
                Operation::Start => &lists.start,
                Operation::Stop => &lists.stop,
                Operation::Promote => &lists.promote,
                Operation::Demote => &lists.demote,
            };
            let idle = own.0.is_empty();
            if !idle {
                for ix in [ops.pre, ops.pre_done, ops.post, ops.post_done] {
                    self.actions[ix].flags.clear(ActionFlags::OPTIONAL);
                }
            }
            let points = Points { pre: Some((ops.pre, ops.pre_done)), post: (ops.post, ops.post_done) };
            for instance in self.st[clone].children.clone() {
                self.instance_notifications(instance, op, points, &keys, idle);
            }
        }
    }

    fn add_keys(&mut self, ix: ActionIx, keys: &Keys) {
        for (&name, value) in keys {
            self.actions[ix].meta.set_default(name, value.clone());
        }
    }

    fn leaves(&self, r: ResourceIx, leaves: &mut Vec<ResourceIx>) {
        if self.st[r].children.is_empty() {
            leaves.push(r);
        }
        for &child in &self.st[r].children {
            self.leaves(child, leaves);
        }
    }

    fn notify_lists(&self, clone: ResourceIx) -> Lists {
        let mut lists = Lists::default();
        let mut leaves = Vec::new();
        for &child in &self.st[clone].children {
            self.leaves(child, &mut leaves);
        }
        for r in leaves {
            let rsc = &self.st[r];
            let node = rsc.running_on.first().copied();
            match rsc.role {
                Role::Unknown => {}
                Role::Stopped => lists.inactive.0.push((r, None)),
                Role::Started => lists.active.0.push((r, node)),
                Role::Unpromoted => {
                    lists.unpromoted.0.push((r, node));
                    lists.active.0.push((r, node));
                }
                Role::Promoted => {
                    lists.promoted.0.push((r, node));
                    lists.active.0.push((r, node));
                }
            }
            for &ix in self.actions.of(r).iter().rev() {
                let action = &self.actions[ix];
                if action.optional() {
                    continue;
                }
                let Some(node) = action.node else { continue };
                let entry = (r, Some(node));
                match action.task {
                    Task::Start if action.runnable() => lists.start.0.push(entry),
                    Task::Stop if action.runnable() || self.st[node].unclean => {
                        lists.stop.0.push(entry);
                    }
                    Task::Promote if action.runnable() => lists.promote.0.push(entry),
                    Task::Demote if action.runnable() => lists.demote.0.push(entry),
                    _ => {}
                }
            }
        }
        for list in [
            &mut lists.active,
            &mut lists.inactive,
            &mut lists.start,
            &mut lists.stop,
            &mut lists.promote,
            &mut lists.demote,
            &mut lists.promoted,
            &mut lists.unpromoted,
        ] {
            list.0.sort_by(|a, b| {
                let id = |n: Option<NodeIx>| n.map(|n| self.st[n].id.as_str());
                self.st[a.0].id.cmp(&self.st[b.0].id).then_with(|| id(a.1).cmp(&id(b.1)))
            });
        }
        lists
    }

    /// The two texts of a list: resources and node names; an empty list is one blank.
    fn texts(&self, list: &Entries) -> (Arc<str>, Arc<str>) {
        let mut resources = String::new();
        let mut nodes = String::new();
        let mut last: Option<&str> = None;
        for &(r, node) in &list.0 {
            let rsc = &self.st[r];
            if last == Some(rsc.id.as_str()) {
                continue;
            }
            last = Some(&rsc.id);
            if !resources.is_empty() {
                resources.push(' ');
            }
            resources.push_str(&rsc.id);
            if let Some(node) = node {
                if !nodes.is_empty() {
                    nodes.push(' ');
                }
                nodes.push_str(&self.st[node].name);
            }
        }
        let or_blank = |text: String| if text.is_empty() { " ".to_owned() } else { text };
        (Arc::from(or_blank(resources)), Arc::from(or_blank(nodes)))
    }

    fn notify_keys(&self, clone: ResourceIx, lists: &Lists) -> Keys {
        let mut keys = BTreeMap::new();
        let mut add = |resource: &'static [&'static str], uname: &'static [&'static str], list| {
            let (resources, nodes) = self.texts(list);
            for name in resource {
                keys.insert(*name, resources.clone());
            }
            for name in uname {
                keys.insert(*name, nodes.clone());
            }
        };
        add(&["notify_stop_resource"], &["notify_stop_uname"], &lists.stop);
        add(&["notify_start_resource"], &["notify_start_uname"], &lists.start);
        add(&["notify_demote_resource"], &["notify_demote_uname"], &lists.demote);
        add(&["notify_promote_resource"], &["notify_promote_uname"], &lists.promote);
        add(&["notify_active_resource"], &["notify_active_uname"], &lists.active);
        add(
            &["notify_unpromoted_resource", "notify_slave_resource"],
            &["notify_unpromoted_uname", "notify_slave_uname"],
            &lists.unpromoted,
        );
        add(
            &["notify_promoted_resource", "notify_master_resource"],
            &["notify_promoted_uname", "notify_master_uname"],
            &lists.promoted,
        );
        add(&["notify_inactive_resource"], &[], &lists.inactive);
        let on_host = self.st[clone].meta("container-attribute-target") == Some("host");
        let table = &self.st[clone].table;
        let by_name = || self.st.node_order.iter().copied();
        let names = |nodes: &mut dyn Iterator<Item = NodeIx>| -> Arc<str> {
            let names: Vec<&str> = nodes.map(|n| self.st[n].name.as_str()).collect();
            if names.is_empty() { Arc::from(" ") } else { Arc::from(names.join(" ")) }
        };
        keys.insert("notify_available_uname", names(&mut by_name().filter(|&n| table.contains(n))));
        keys.insert("notify_all_uname", names(&mut by_name()));
        if on_host {
            let host = |n: NodeIx| {
                let container = self.st.container_of_node(n)?;
                self.st[container].running_on.first().copied()
            };
            keys.insert("notify_all_hosts", names(&mut by_name().map(|n| host(n).unwrap_or(n))));
        }
        keys
    }

    fn instance_notifications(
        &mut self,
        r: ResourceIx,
        op: Operation,
        points: Points,
        keys: &Keys,
        idle: bool,
    ) {
        for child in self.st[r].children.clone() {
            self.instance_notifications(child, op, points, keys, idle);
        }
        if self.st[r].variant() != Variant::Primitive {
            return;
        }
        for at in (0..self.actions.of(r).len()).rev() {
            let ix = self.actions.of(r)[at];
            let action = &self.actions[ix];
            let told = action.required()
                && action.node.is_some()
                && matches!(action.task, Task::Start | Task::Stop | Task::Promote | Task::Demote);
            if told {
                self.add_keys(ix, keys);
            }
        }
        if idle && op != Operation::Stop {
            return;
        }
        match op {
            Operation::Stop | Operation::Demote => self.notify_going(r, op, points, keys),
            Operation::Start | Operation::Promote => self.notify_coming(r, op, points, keys),
        }
    }

    fn notify_going(&mut self, r: ResourceIx, op: Operation, points: Points, keys: &Keys) {
        if self.st[r].role == Role::Stopped {
            return;
        }
        for node in self.st[r].running_on.clone() {
            let stop = self.actions.newest_of(r, &Task::Stop, None);
            if let Some(stop) = stop {
                let state = &self.st[node];
                if self.actions[stop].pseudo() && (state.unclean || state.requires_reset) {
                    continue;
                }
            }
            self.notify_before(r, node, points, keys);
            if op == Operation::Demote || stop.is_none_or(|s| self.actions[s].optional()) {
                self.notify_after(r, node, points, keys);
            }
        }
    }

    fn notify_coming(&mut self, r: ResourceIx, op: Operation, points: Points, keys: &Keys) {
        if self.st[r].next_role == Role::Stopped {
            return;
        }
        let start = self.actions.newest_of(r, &Task::Start, None);
        if let Some(start) = start {
            let connection = self.actions[start].node.and_then(|n| self.st[n].connection);
            let unreachable = connection
                .and_then(|c| self.actions.newest_of(c, &Task::Start, None))
                .is_some_and(|s| !self.actions[s].runnable());
            if unreachable {
                return;
            }
        }
        let Some(node) = self.st[r].assigned_node() else { return };
        let starts = start.is_some_and(|s| self.actions[s].required());
        if op != Operation::Start || !starts {
            self.notify_before(r, node, points, keys);
        }
        self.notify_after(r, node, points, keys);
    }

    fn notify_before(&mut self, r: ResourceIx, node: NodeIx, points: Points, keys: &Keys) {
        if let Some((point, done)) = points.pre {
            self.notify_action(r, node, (point, done), NotifyPoint::Pre, keys);
        }
    }

    /// A notification after the fact; what recurs waits until every instance has it.
    fn notify_after(&mut self, r: ResourceIx, node: NodeIx, points: Points, keys: &Keys) {
        if let Some(ix) = self.notify_action(r, node, points.post, NotifyPoint::Post, keys) {
            self.actions[ix].priority = INFINITY;
        }
        for at in (0..self.actions.of(r).len()).rev() {
            let ix = self.actions.of(r)[at];
            let action = &self.actions[ix];
            let recurs = action.meta.get("interval").is_some_and(|i| i != "0");
            if recurs && action.task != Task::Cancel {
                self.actions.edge(points.post.1, ix, EdgeFlags::OPT);
            }
        }
    }

    fn notify_action(
        &mut self,
        r: ResourceIx,
        node: NodeIx,
        (point, done): (ActionIx, ActionIx),
        kind: NotifyPoint,
        keys: &Keys,
    ) -> Option<ActionIx> {
        if !self.st[node].online || !self.actions[point].runnable() {
            return None;
        }
        let about = Task::parse(self.actions[point].meta.get("notify_operation")?);
        let optional = self.actions[point].optional();
        let ix = self.action(Some(r), Key::Notify(kind, about), Task::Notify, Some(node), optional);
        let copied: Vec<(String, Text)> =
            self.actions[point].meta.iter().map(|(n, v)| (n.to_owned(), v.clone())).collect();
        for (name, value) in copied {
            self.actions[ix].meta.set_default(name, value);
        }
        self.add_keys(ix, keys);
        self.actions.edge(point, ix, EdgeFlags::OPT);
        self.actions.edge(ix, done, EdgeFlags::OPT);
        Some(ix)
    }

    /// Tells the surviving instances of a stop that fencing implies.
    pub fn notify_fencing(&mut self, r: ResourceIx, stop: ActionIx, fence: ActionIx) {
        let Some(node) = self.actions[stop].node else { return };
        let (post, post_done) = self.notify_post(r, fence, Operation::Stop);
        let keys = Keys::from([
            ("notify_stop_resource", Arc::from(self.st[r].id.as_str())),
            ("notify_stop_uname", Arc::from(self.st[node].name.as_str())),
        ]);
        let points = Points { pre: None, post: (post, post_done) };
        self.instance_notifications(self.st.top_of(r), Operation::Stop, points, &keys, false);
    }
}
