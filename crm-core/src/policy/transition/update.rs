//! What an edge does to the two actions it joins, repeated until nothing changes.
//!
//! Flags only move one way (optional to required, runnable to not, edges to none), save for barriers,
//! so the walk ends.

use super::Work;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, NotifyPoint, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Role, Variant};

/// Which ends of an edge changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changed {
    pub first: bool,
    pub then: bool,
}

impl std::ops::BitOrAssign for Changed {
    fn bitor_assign(&mut self, other: Self) {
        self.first |= other.first;
        self.then |= other.then;
    }
}

const NOTHING: Changed = Changed { first: false, then: false };

/// The edge whose effect is worked out.
#[derive(Clone, Copy)]
struct Effect {
    first: ActionIx,
    then: ActionIx,
    /// Limits collectives to the instances there.
    node: Option<NodeIx>,
    /// The first action's flags, computed over its instances.
    flags: ActionFlags,
    /// Which of the action flags are in question.
    filter: ActionFlags,
    kind: EdgeFlags,
}

impl Work<'_> {
    /// Applies every edge into `then`, and follows up what that changes.
    pub fn update(&mut self, then: ActionIx) {
        let entry_flags = self.actions[then].flags;
        let barrier = entry_flags.has(ActionFlags::REQUIRES_ANY);
        let mut changed = NOTHING;
        if barrier {
            let action = &mut self.actions[then];
            action.runnable_before = 0;
            if action.required_runnable_before == 0 {
                action.required_runnable_before = 1;
            }
            action.flags.clear(ActionFlags::RUNNABLE);
        }
        for at in (0..self.actions[then].before.len()).rev() {
            let one = self.update_from(then, at);
            changed.then |= one.then;
            if one.first {
                let first = self.actions[then].before[at].other;
                self.update_after(first);
                self.update(first);
            }
        }
        if barrier {
            changed.then = self.actions[then].flags != entry_flags;
        }
        if changed.then {
            if entry_flags.has(ActionFlags::RUNNABLE) && !self.actions[then].runnable() {
                self.block_colocation_dependents(then);
            }
            self.update(then);
            self.update_after(then);
        }
    }

    /// Updates every action that follows `action`.
    pub fn update_after(&mut self, action: ActionIx) {
        for at in (0..self.actions[action].after.len()).rev() {
            let later = self.actions[action].after[at].other;
            self.update(later);
        }
    }

    /// The effect of the `at`-th edge into `then`.
    fn update_from(&mut self, then: ActionIx, at: usize) -> Changed {
        let input = self.actions[then].before[at];
        let given = input.other;
        let flags = input.flags;
        let first_node = self.node_for_ordering(given);
        let then_node = self.node_for_ordering(then);
        if flags.any(EdgeFlags::SAME_NODE)
            && first_node.is_some()
            && then_node.is_some()
            && first_node != then_node
        {
            self.actions[then].before[at].flags = EdgeFlags::NONE;
            return NOTHING;
        }
        if flags.any(EdgeFlags::CANCELS) && self.actions[then].required() {
            if let Some(resource) = self.actions[given].resource {
                self.actions[given].flags.set(ActionFlags::OPTIONAL);
                if self.actions[given].task == Task::Reload {
                    self.st[resource].flags.reload = false;
                }
            }
        }
        let mut first = given;
        if let (Some(a), Some(b)) = (self.actions[given].resource, self.actions[then].resource) {
            if a != b && !self.is_ancestor(a, b) {
                first = self.remapped(given);
            }
        }
        let first_flags = self.flags_for_ordering(first, then_node);
        let then_flags = self.flags_for_ordering(then, first_node);
        if first == given {
            return self.apply_edge(then, at, first_flags, then_flags);
        }
        let mut changed = NOTHING;
        if self.actions.edge(first, then, flags) {
            self.actions[then].before[at].flags = EdgeFlags::NONE;
            changed.then = true;
        }
        changed
    }

    /// The node that decides whether two actions share one; a group's start is where the group will be.
    fn node_for_ordering(&self, action: ActionIx) -> Option<NodeIx> {
        let a = &self.actions[action];
        match a.resource {
            Some(r) if a.task == Task::Start && self.st[r].variant() == Variant::Group => {
                self.single_next_node(r)
            }
            _ => a.node,
        }
    }

    /// True if `ancestor` is above `resource`.
    pub fn is_ancestor(&self, ancestor: ResourceIx, resource: ResourceIx) -> bool {
        let mut at = self.st[resource].parent;
        while let Some(parent) = at {
            if parent == ancestor {
                return true;
            }
            at = self.st[parent].parent;
        }
        false
    }

    /// For an action of a collective, the action that says all of it is done.
    fn remapped(&self, action: ActionIx) -> ActionIx {
        let a = &self.actions[action];
        let Some(r) = a.resource else { return action };
        let rsc = &self.st[r];
        if rsc.variant() == Variant::Primitive {
            return action;
        }
        let Key::Op(task, 0) = &a.key else { return action };
        let done = match task {
            Task::Start | Task::Stop | Task::Promote | Task::Demote | Task::Notify => {
                task.done().unwrap_or(Task::Notified)
            }
            Task::Running | Task::Stopped | Task::Promoted | Task::Demoted | Task::Notified => task.clone(),
            _ => return action,
        };
        let in_bundle = rsc
            .parent
            .is_some_and(|p| rsc.variant() == Variant::Clone && self.st[p].variant() == Variant::Bundle);
        let key = if rsc.flags.notify && (rsc.parent.is_none() || in_bundle) {
            Key::Notify(NotifyPoint::ConfirmedPost, done)
        } else {
            Key::once(done)
        };
        self.actions.newest_with_key(r, &key).unwrap_or(action)
    }

    fn apply_edge(
        &mut self,
        then: ActionIx,
        at: usize,
        first_flags: ActionFlags,
        then_flags: ActionFlags,
    ) -> Changed {
        let first = self.actions[then].before[at].other;
        let mut kind = self.actions[then].before[at].flags;
        let mut node = self.actions[then].node;
        let mut changed = NOTHING;
        let first_rsc = self.actions[first].resource;
        let then_rsc = self.actions[then].resource;
        if kind.any(EdgeFlags::I_THEN_NODE) {
            kind = kind.without(EdgeFlags::I_THEN_NODE).with(EdgeFlags::I_THEN);
            self.actions[then].before[at].flags = kind;
            node = self.actions[first].node;
        }
        let optional = ActionFlags::OPTIONAL;
        let runnable = ActionFlags::RUNNABLE;
        let only_optional = if first_flags.has(optional) { optional } else { ActionFlags::NONE };
        let effect = |flags, filter, kind| Effect { first, then, node, flags, filter, kind };

        if kind.any(EdgeFlags::I_THEN) {
            if let Some(r) = then_rsc {
                changed |= self.ordered(r, effect(only_optional, optional, EdgeFlags::I_THEN));
            } else if !first_flags.has(optional) && self.actions[then].optional() {
                self.actions[then].flags.clear(optional);
                changed.then = true;
            }
        }
        if kind.any(EdgeFlags::RESTART) {
            if let Some(r) = then_rsc {
                let filter = optional | runnable;
                changed |= self.ordered(r, effect(first_flags, filter, EdgeFlags::RESTART));
            }
        }
        if kind.any(EdgeFlags::I_FIRST) {
            if let Some(r) = first_rsc {
                changed |= self.ordered(r, effect(first_flags, optional, EdgeFlags::I_FIRST));
            } else if !first_flags.has(optional) && self.actions[first].runnable() {
                self.actions[first].flags.clear(runnable);
                changed.first = true;
            }
        }
        if kind.any(EdgeFlags::PROM_I_FIRST) {
            if let Some(r) = then_rsc {
                changed |= self.ordered(r, effect(only_optional, optional, EdgeFlags::PROM_I_FIRST));
            }
        }
        if kind.any(EdgeFlags::ONE_OR_MORE) {
            if let Some(r) = then_rsc {
                changed |= self.ordered(r, effect(first_flags, runnable, EdgeFlags::ONE_OR_MORE));
            } else if first_flags.has(runnable) {
                let action = &mut self.actions[then];
                action.runnable_before += 1;
                if action.runnable_before >= action.required_runnable_before && !action.runnable() {
                    action.flags.set(runnable);
                    changed.then = true;
                }
            }
        }
        if kind.any(EdgeFlags::PROBE) {
            if let (Some(f), Some(r)) = (first_rsc, then_rsc) {
                if !first_flags.has(runnable) && !self.st[f].running_on.is_empty() {
                    self.actions[then].before[at].flags = EdgeFlags::NONE;
                } else {
                    changed |= self.ordered(r, effect(first_flags, runnable, EdgeFlags::RUN_LEFT));
                }
            }
        }
        if kind.any(EdgeFlags::RUN_LEFT) {
            if let Some(r) = then_rsc {
                changed |= self.ordered(r, effect(first_flags, runnable, EdgeFlags::RUN_LEFT));
            } else if !first_flags.has(runnable) && self.actions[then].runnable() {
                self.actions[then].flags.clear(runnable);
                changed.then = true;
            }
        }
        if let Some(r) = then_rsc {
            for flag in [EdgeFlags::MIG_FIRST, EdgeFlags::PSEUDO_LEFT] {
                if kind.any(flag) {
                    changed |= self.ordered(r, effect(first_flags, optional, flag));
                }
            }
            for flag in [EdgeFlags::OPT, EdgeFlags::ASYM] {
                if kind.any(flag) {
                    changed |= self.ordered(r, effect(first_flags, runnable, flag));
                }
            }
        }
        if kind.any(EdgeFlags::THEN_PRINTED) && self.actions[first].runnable() && !first_flags.has(optional) {
            self.actions[then].flags.set(ActionFlags::PRINT_ALWAYS);
        }
        if kind.any(EdgeFlags::FIRST_PRINTED) && !then_flags.has(optional) {
            self.actions[first].flags.set(ActionFlags::PRINT_ALWAYS);
        }
        if kind.any(EdgeFlags::I_THEN | EdgeFlags::I_FIRST | EdgeFlags::RESTART) {
            if let Some(f) = first_rsc {
                let held = !self.st[f].flags.managed && self.st[f].flags.blocked;
                let stuck = self.actions[first].task == Task::Stop && !self.actions[first].runnable();
                if held && stuck && self.actions[then].runnable() {
                    self.actions[then].flags.clear(runnable);
                    changed.then = true;
                }
            }
        }
        changed
    }

    /// Applies one flag of an edge, in the way of `resource`'s kind.
    fn ordered(&mut self, resource: ResourceIx, effect: Effect) -> Changed {
        match self.st[resource].variant() {
            Variant::Primitive => self.ordered_single(effect),
            Variant::Group => self.ordered_group(effect),
            Variant::Clone | Variant::Bundle => self.ordered_collective(effect),
        }
    }

    fn ordered_group(&mut self, effect: Effect) -> Changed {
        let mut changed = self.ordered_single(effect);
        let Some(group) = self.actions[effect.then].resource else { return changed };
        let task = self.actions[effect.then].task.clone();
        for at in 0..self.st[group].children.len() {
            let member = self.st[group].children[at];
            if let Some(action) = self.actions.newest_of(member, &task, effect.node) {
                changed |= self.ordered(member, Effect { then: action, ..effect });
            }
        }
        changed
    }

    fn ordered_collective(&mut self, effect: Effect) -> Changed {
        let Some(collective) = self.actions[effect.then].resource else { return NOTHING };
        if self.can_interleave(effect.first, effect.then) {
            return self.ordered_interleaved(collective, effect);
        }
        let mut changed = self.ordered_single(effect);
        let task = self.actions[effect.then].task.clone();
        for instance in self.instances(collective) {
            let Some(action) = self.actions.newest_of(instance, &task, effect.node) else {
                continue;
            };
            if !self.computed_flags(action, effect.node).has(ActionFlags::RUNNABLE) {
                continue;
            }
            let one = self.ordered(instance, Effect { then: action, ..effect });
            changed |= one;
            if one.then {
                self.update_after(action);
            }
        }
        changed
    }

    /// The parts of a clone or bundle that orderings and actions are counted over: instances, or
    /// containers.
    pub fn instances(&self, collective: ResourceIx) -> Vec<ResourceIx> {
        match self.st[collective].bundle_info() {
            Some(bundle) => bundle.replicas.iter().map(|r| r.container).collect(),
            None => self.st[collective].children.clone(),
        }
    }

    fn can_interleave(&self, first: ActionIx, then: ActionIx) -> bool {
        let (Some(a), Some(b)) = (self.actions[first].resource, self.actions[then].resource) else {
            return false;
        };
        if a == b || self.st[a].variant() < Variant::Clone || self.st[b].variant() < Variant::Clone {
            return false;
        }
        let down = matches!(
            &self.actions[then].key,
            Key::Op(Task::Stop | Task::Demote, 0) | Key::Notify(_, Task::Stop | Task::Demote)
        );
        let decides = if down { a } else { b };
        self.st[decides].meta("interleave").is_some_and(|v| crate::policy::values::is_true(Some(v)))
    }

    fn ordered_interleaved(&mut self, collective: ResourceIx, effect: Effect) -> Changed {
        let mut changed = NOTHING;
        let Effect { first, then, node, kind, .. } = effect;
        let Some(primary) = self.actions[first].resource else { return changed };
        let current = matches!(
            &self.actions[first].key,
            Key::Op(Task::Stopped | Task::Demoted, 0) | Key::Notify(_, Task::Stopped | Task::Demoted)
        );
        let first_task = self.original_task(&self.actions[first], primary);
        let then_task = self.actions[then].task.clone();
        for instance in self.instances(collective) {
            let Some(partner) = self.compatible_instance(instance, primary, Role::Unknown, current) else {
                if !current && kind.any(EdgeFlags::RUN_LEFT | EdgeFlags::I_THEN) {
                    changed.then |= self.inhibit(instance);
                }
                continue;
            };
            let Some(a) = self.instance_action(first, partner, &first_task, node) else {
                continue;
            };
            let Some(b) = self.instance_action(then, instance, &then_task, node) else {
                continue;
            };
            if self.actions.edge(a, b, kind) {
                changed.first = true;
                changed.then = true;
            }
            let flags = self.computed_flags(a, node);
            let Some(owner) = self.actions[b].resource else { continue };
            changed |= self.ordered(owner, Effect { first: a, then: b, flags, ..effect });
        }
        changed
    }

    /// The action of an instance that stands for a collective's action: of a bundle's replica that of the child where
    /// roles are changed, else that of the container.
    fn instance_action(
        &self,
        action: ActionIx,
        instance: ResourceIx,
        task: &Task,
        node: Option<NodeIx>,
    ) -> Option<ActionIx> {
        let mut holder = instance;
        if let Some(parent) = self.st[instance].parent {
            if let Some(bundle) = self.st[parent].bundle_info() {
                let text = match &self.actions[action].key {
                    Key::Op(task, _) | Key::Notify(_, task) => task,
                    Key::Free(_) => task,
                };
                let inner = matches!(text, Task::Promote | Task::Promoted | Task::Demote | Task::Demoted);
                let replica = bundle.replicas.iter().find(|r| r.container == instance);
                if let Some(child) = replica.and_then(|r| r.child).filter(|_| inner) {
                    holder = child;
                }
            }
        }
        self.actions.newest_of(holder, task, node)
    }

    /// The table of single actions.
    fn ordered_single(&mut self, effect: Effect) -> Changed {
        let Effect { first, then, flags, filter, kind, .. } = effect;
        let then_before = self.actions[then].flags;
        let first_before = self.actions[first].flags;
        let by_optional = filter.has(ActionFlags::OPTIONAL);
        let by_runnable = filter.has(ActionFlags::RUNNABLE);
        if kind.any(EdgeFlags::ASYM) {
            self.asymmetric(first, then);
        }
        if kind.any(EdgeFlags::I_FIRST) && !then_before.has(ActionFlags::OPTIONAL) {
            if by_optional && !flags.has(ActionFlags::OPTIONAL) {
                self.clear_because(first, ActionFlags::OPTIONAL, then);
            }
            self.unmigratable_with(first, then);
        }
        if kind.any(EdgeFlags::PROM_I_FIRST) && by_optional && self.actions[then].required() {
            let promoted = self.actions[then].resource;
            if promoted.is_some_and(|r| self.st[r].role == Role::Promoted) {
                self.clear_because(first, ActionFlags::OPTIONAL, then);
                self.unmigratable_with(first, then);
            }
        }
        if kind.any(EdgeFlags::MIG_FIRST) && by_optional {
            let both = ActionFlags::MIGRATE_RUNNABLE | ActionFlags::RUNNABLE;
            if !self.actions[then].is(both) {
                self.clear_because(first, ActionFlags::RUNNABLE, then);
            }
            if self.actions[then].required() {
                self.clear_because(first, ActionFlags::OPTIONAL, then);
            }
        }
        if kind.any(EdgeFlags::PSEUDO_LEFT) && by_optional && !self.actions[first].runnable() {
            self.clear_because(then, ActionFlags::MIGRATE_RUNNABLE, first);
            self.actions[then].flags.clear(ActionFlags::PSEUDO);
        }
        if kind.any(EdgeFlags::RUN_LEFT)
            && by_runnable
            && self.actions[then].runnable()
            && !flags.has(ActionFlags::RUNNABLE)
        {
            self.clear_because(then, ActionFlags::RUNNABLE, first);
            self.clear_because(then, ActionFlags::MIGRATE_RUNNABLE, first);
        }
        if kind.any(EdgeFlags::I_THEN)
            && by_optional
            && self.actions[then].optional()
            && !flags.has(ActionFlags::OPTIONAL)
            && !self.actions[first].is(ActionFlags::MIGRATE_RUNNABLE)
        {
            self.clear_because(then, ActionFlags::OPTIONAL, first);
        }
        if kind.any(EdgeFlags::RESTART) {
            self.restart(first, then, filter);
        }
        let mut changed = NOTHING;
        if self.actions[then].flags != then_before {
            changed.then = true;
            if self.actions[then].resource.is_some_and(|r| self.st[r].parent.is_some()) {
                self.update(then);
            }
        }
        changed.first = self.actions[first].flags != first_before;
        changed
    }

    fn unmigratable_with(&mut self, first: ActionIx, then: ActionIx) {
        if self.actions[first].is(ActionFlags::MIGRATE_RUNNABLE)
            && !self.actions[then].is(ActionFlags::MIGRATE_RUNNABLE)
        {
            self.clear_because(first, ActionFlags::MIGRATE_RUNNABLE, then);
        }
    }

    fn restart(&mut self, first: ActionIx, then: ActionIx, filter: ActionFlags) {
        let by_required = filter.has(ActionFlags::OPTIONAL) && self.actions[then].required();
        let then_rsc = self.actions[then].resource;
        let by_unrunnable = filter.has(ActionFlags::RUNNABLE)
            && !self.actions[then].runnable()
            && then_rsc.is_some_and(|r| self.st[r].flags.managed)
            && then_rsc == self.actions[first].resource;
        if !by_required && !by_unrunnable {
            return;
        }
        if self.actions[first].runnable() {
            self.clear_because(first, ActionFlags::OPTIONAL, then);
        }
        if self.actions[then].required() {
            self.clear_because(first, ActionFlags::OPTIONAL, then);
        }
        if !self.actions[then].is(ActionFlags::MIGRATE_RUNNABLE) {
            self.clear_because(first, ActionFlags::MIGRATE_RUNNABLE, then);
        }
        if self.actions[first].required() && !self.actions[first].runnable() {
            self.clear_because(then, ActionFlags::RUNNABLE, first);
        }
    }

    fn asymmetric(&mut self, first: ActionIx, then: ActionIx) {
        let Some(r) = self.actions[then].resource else { return };
        let role = self.role_of(r, true);
        let action = &self.actions[then];
        if action.task == Task::Stop && role == Role::Stopped {
            return;
        }
        if action.task == Task::Start && role >= Role::Started && action.optional() {
            let on = &self.st[r].running_on;
            if let (Some(node), [only]) = (action.node, on.as_slice()) {
                if *only == node {
                    return;
                }
            }
        }
        if !self.actions[first].runnable() {
            self.clear_because(then, ActionFlags::OPTIONAL, first);
            self.clear_because(then, ActionFlags::RUNNABLE, first);
        }
    }

    /// Clears a flag of `action` because of another action, and says so in its reason.
    pub fn clear_because(&mut self, action: ActionIx, flag: ActionFlags, because: ActionIx) {
        if !self.actions[action].flags.any(flag) {
            return;
        }
        self.actions[action].flags.clear(flag);
        let owner = self.actions[because].resource;
        if self.actions[action].resource == owner {
            return;
        }
        let change = if flag == ActionFlags::OPTIONAL { "required" } else { "unrunnable" };
        let task = &self.actions[because].task;
        let reason = match owner {
            Some(owner) => format!("{change} {} {task}", self.st[owner].id),
            None => format!("{change} {task}"),
        };
        let overwrite = flag == ActionFlags::MIGRATE_RUNNABLE;
        let new = overwrite || self.actions[action].reason.is_none();
        self.set_reason(action, &reason, overwrite);
        if new {
            self.actions[action].because = Some(because);
        }
    }

    /// Gives an action a reason; a second one only replaces the first if asked to.
    pub fn set_reason(&mut self, action: ActionIx, reason: &str, overwrite: bool) {
        let action = &mut self.actions[action];
        if overwrite || action.reason.is_none() {
            action.reason = Some(reason.to_owned());
            action.because = None;
        }
    }
}
