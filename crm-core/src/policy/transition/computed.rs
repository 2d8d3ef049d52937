//! Flags of an action as the parts of its resource make them.

use super::Work;
use super::arena::Action;
use super::flags::ActionFlags;
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::Variant;

/// What the flags of a collective's action are summed up over.
#[derive(Clone, Copy)]
enum Parts {
    /// Of this resource.
    Children(ResourceIx),
    /// Of this bundle.
    Containers(ResourceIx),
}

impl Work<'_> {
    fn part(&self, parts: Parts, at: usize) -> Option<ResourceIx> {
        match parts {
            Parts::Children(of) => self.st[of].children.get(at).copied(),
            Parts::Containers(bundle) => {
                self.st[bundle].bundle_info()?.replicas.get(at).map(|replica| replica.container)
            }
        }
    }

    /// The task that a collective's action stands for in one of its parts.
    pub fn original_task(&self, action: &Action, collective: ResourceIx) -> Task {
        let task = match &action.key {
            Key::Notify(_, task) => task,
            _ => &action.task,
        };
        let part = self.instances(collective).first().copied();
        match part {
            Some(part) => self.task_for(part, task),
            None => task.clone(),
        }
    }

    /// The task for one part of a collective: a primitive has no "done" tasks of its own.
    pub fn task_for(&self, part: ResourceIx, task: &Task) -> Task {
        if self.st[part].variant() == Variant::Primitive && *task != Task::Notified {
            task.undone()
        } else {
            task.clone()
        }
    }

    /// Flags of an action as orderings see them, limited to a node for clones; what a bundle does counts for every node.
    pub fn flags_for_ordering(&mut self, action: ActionIx, node: Option<NodeIx>) -> ActionFlags {
        let mut flags = self.computed_flags(action, None);
        let Some(r) = self.actions[action].resource else { return flags };
        if node.is_none() || self.st[r].variant() != Variant::Clone {
            return flags;
        }
        let runnable = flags.has(ActionFlags::RUNNABLE);
        flags = self.computed_flags(action, node);
        if runnable {
            flags.set(ActionFlags::RUNNABLE);
        }
        flags
    }

    /// Flags of an action, computed over the parts of its resource.
    pub fn computed_flags(&mut self, action: ActionIx, node: Option<NodeIx>) -> ActionFlags {
        let Some(r) = self.actions[action].resource else { return self.actions[action].flags };
        if self.st[r].variant() == Variant::Primitive {
            return self.actions[action].flags;
        }
        // Every ordering asks for them anew, and in between hardly anything changes. What the computation itself clears
        // is flags of collectives, which it does not read: done once, it would change nothing done again.
        match self.computed.get(&(action, node)) {
            Some(&(version, flags)) if version == self.actions.version() => flags,
            _ => {
                let flags = self.flags_of_parts(action, r, node);
                self.computed.insert((action, node), (self.actions.version(), flags));
                flags
            }
        }
    }

    fn flags_of_parts(&mut self, action: ActionIx, r: ResourceIx, node: Option<NodeIx>) -> ActionFlags {
        match self.st[r].variant() {
            Variant::Primitive => self.actions[action].flags,
            Variant::Group => self.group_flags(action, r, node),
            Variant::Clone => self.summary_flags(action, r, Parts::Children(r), node),
            Variant::Bundle => {
                let child = self.st[r].bundle_info().and_then(|b| b.child);
                let inner = matches!(
                    self.actions[action].task,
                    Task::Notify
                        | Task::Notified
                        | Task::Promote
                        | Task::Promoted
                        | Task::Demote
                        | Task::Demoted
                );
                let parts = child.filter(|_| inner).map_or(Parts::Containers(r), Parts::Children);
                self.summary_flags(action, r, parts, node)
            }
        }
    }

    /// The action of a part that stands for that of its collective. Migrations are of primitives alone: those of a
    /// collective, which orderings make, have none (Pacemaker 2.1.5 behaviour).
    fn part_of(&self, part: ResourceIx, task: &Task, node: Option<NodeIx>) -> Option<ActionIx> {
        let moves = matches!(task, Task::MigrateTo | Task::MigrateFrom);
        if moves { None } else { self.actions.newest_of(part, task, node) }
    }

    /// Clears a flag that is set; else nothing is touched.
    fn clear(&mut self, action: ActionIx, flag: ActionFlags) {
        if self.actions[action].flags.any(flag) {
            self.actions[action].flags.clear(flag);
        }
    }

    fn group_flags(&mut self, action: ActionIx, r: ResourceIx, node: Option<NodeIx>) -> ActionFlags {
        let mut flags = ActionFlags::OPTIONAL | ActionFlags::RUNNABLE | ActionFlags::PSEUDO;
        let task = self.actions[action].task.clone();
        for at in 0..self.st[r].children.len() {
            let member = self.st[r].children[at];
            let member_task = self.task_for(member, &task);
            match self.part_of(member, &member_task, node) {
                Some(found) => {
                    let found = self.computed_flags(found, node);
                    if !found.has(ActionFlags::OPTIONAL) {
                        flags.clear(ActionFlags::OPTIONAL);
                        self.clear(action, ActionFlags::OPTIONAL);
                    }
                    if member_task != task && !found.has(ActionFlags::RUNNABLE) {
                        flags.clear(ActionFlags::RUNNABLE);
                        self.clear(action, ActionFlags::RUNNABLE);
                    }
                }
                None if member_task != Task::Stop && member_task != Task::Demote => {
                    flags.clear(ActionFlags::RUNNABLE);
                }
                None => {}
            }
        }
        flags
    }

    fn summary_flags(
        &mut self,
        action: ActionIx,
        r: ResourceIx,
        parts: Parts,
        node: Option<NodeIx>,
    ) -> ActionFlags {
        let mut flags = ActionFlags::OPTIONAL | ActionFlags::RUNNABLE | ActionFlags::PSEUDO;
        let task = match &self.actions[action].key {
            Key::Notify(_, task) => task.clone(),
            _ => self.actions[action].task.clone(),
        };
        let task = match self.part(parts, 0).or_else(|| self.instances(r).first().copied()) {
            Some(part) => self.task_for(part, &task),
            None => task,
        };
        let mut any_runnable = false;
        let mut at = 0;
        while let Some(part) = self.part(parts, at) {
            at += 1;
            let primitive = self.st[part].variant() == Variant::Primitive;
            let part_node = if primitive { node } else { None };
            let Some(found) = self.part_of(part, &task, part_node) else { continue };
            let found = self.computed_flags(found, node);
            if !found.has(ActionFlags::OPTIONAL) {
                flags.clear(ActionFlags::OPTIONAL);
                self.clear(action, ActionFlags::OPTIONAL);
            }
            any_runnable |= found.has(ActionFlags::RUNNABLE);
        }
        if !any_runnable {
            flags.clear(ActionFlags::RUNNABLE);
            if node.is_none() {
                self.clear(action, ActionFlags::RUNNABLE);
            }
        }
        flags
    }
}
