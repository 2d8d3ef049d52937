//! From ordering constraints to edges, and the whole step that settles which actions are needed.

use super::Work;
use super::arena::{End, Ordering};
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, ResourceIx};
use crate::policy::state::{Role, Variant};

impl Work<'_> {
    /// Adds an ordering constraint, and the ones a live migration needs in its place.
    pub fn order(&mut self, first: End, then: End, flags: EdgeFlags) {
        self.actions.order(first, then, flags);
        self.order_migration();
    }

    /// Orders the non-recurring tasks of two resources.
    pub fn order_tasks(&mut self, first: (ResourceIx, Task), then: (ResourceIx, Task), flags: EdgeFlags) {
        self.order(End::task(first.0, first.1), End::task(then.0, then.1), flags);
    }

    /// What the ordering that was made last comes to while one of its resources migrates.
    fn order_migration(&mut self) {
        let Some(made) = self.actions.orderings.last() else { return };
        let (Some(a), Some(b)) = (made.first.resource, made.then.resource) else { return };
        let a_moves = self.st[a].flags.allow_migrate;
        let b_moves = self.st[b].flags.allow_migrate;
        if !a_moves && !b_moves || a == b || self.is_ancestor(a, b) || self.is_ancestor(b, a) {
            return;
        }
        let made = made.clone();
        let (Some(Key::Op(a_task, 0)), Some(Key::Op(b_task, 0))) = (&made.first.key, &made.then.key) else {
            return;
        };
        let non_mig = if a_moves { EdgeFlags::OPT | EdgeFlags::NON_MIG } else { EdgeFlags::OPT };
        let mut add = |first: Task, then: Task, flags| {
            self.actions.order(End::task(a, first), End::task(b, then), flags);
        };
        match (a_task, b_task) {
            (Task::Start, Task::Start) => {
                if a_moves && b_moves {
                    add(Task::MigrateFrom, Task::MigrateTo, EdgeFlags::OPT);
                }
                if b_moves {
                    add(Task::Start, Task::MigrateTo, non_mig);
                }
            }
            (Task::Stop, Task::Stop) if b_moves => {
                add(Task::Stop, Task::MigrateTo, non_mig);
                if self.st[b].partial_migration_source.is_some() {
                    self.actions.order(End::task(a, Task::Stop), End::task(b, Task::MigrateFrom), non_mig);
                }
            }
            (Task::Promote, Task::Start) if b_moves => {
                add(Task::Promote, Task::MigrateTo, EdgeFlags::OPT);
            }
            (Task::Demote, Task::Stop) if b_moves => {
                add(Task::Demote, Task::MigrateTo, EdgeFlags::OPT);
                if self.st[b].partial_migration_source.is_some() {
                    self.actions.order(
                        End::task(a, Task::Demote),
                        End::task(b, Task::MigrateFrom),
                        EdgeFlags::OPT,
                    );
                }
            }
            _ => {}
        }
    }

    /// Applies every ordering and settles all flags.
    pub fn apply_orderings(&mut self) {
        let mut done = Vec::new();
        while !self.actions.orderings.is_empty() {
            let mut next = std::mem::take(&mut self.actions.orderings);
            for ordering in &next {
                self.apply_ordering(ordering);
            }
            if done.is_empty() { done = next } else { done.append(&mut next) }
        }
        self.actions.orderings = done;
        for action in self.actions.newest() {
            self.block_colocation_dependents(action);
        }
        self.order_probes();
        for action in self.actions.newest() {
            self.update(action);
        }
        self.disable_invalid_edges();
        // Nobody asks for them any more, and where everything is probed there are two for each action.
        self.actions.orderings = Vec::new();
    }

    fn apply_ordering(&mut self, ordering: &Ordering) {
        if let Some(r) = ordering.first.resource {
            self.apply_from_resource(r, ordering);
        } else if let Some(r) = ordering.then.resource {
            self.apply_to_resource(ordering.first.action, r, ordering);
        } else if let (Some(a), Some(b)) = (ordering.first.action, ordering.then.action) {
            self.actions.edge(a, b, ordering.flags);
        }
    }

    fn apply_from_resource(&mut self, r: ResourceIx, ordering: &Ordering) {
        if let Some(first) = ordering.first.action {
            return self.apply_from(first, ordering);
        }
        let Some(key) = &ordering.first.key else { return };
        let mut found = false;
        // Edges make no actions.
        for at in 0..self.actions.of(r).len() {
            let first = self.actions.of(r)[at];
            if self.actions[first].key == *key {
                found = true;
                self.apply_from(first, ordering);
            }
        }
        if found || ordering.then.resource == Some(r) {
            return;
        }
        let Key::Op(task, _) = key else { return };
        let role = self.role_of(r, true);
        if role == Role::Stopped && *task == Task::Stop || role == Role::Unpromoted && *task == Task::Demote {
            return;
        }
        let first = self.action(Some(r), key.clone(), task.clone(), None, true);
        self.apply_from(first, ordering);
    }

    fn apply_from(&mut self, first: ActionIx, ordering: &Ordering) {
        let then = ordering.then.action;
        match (ordering.then.resource.or_else(|| self.actions[then?].resource), then) {
            (Some(resource), _) => self.apply_to_resource(Some(first), resource, ordering),
            (None, Some(then)) => {
                self.actions.edge(first, then, ordering.flags);
            }
            (None, None) => {}
        }
    }

    fn apply_to_resource(&mut self, first: Option<ActionIx>, r: ResourceIx, ordering: &Ordering) {
        let mut flags = ordering.flags;
        if let Some(first) = first {
            let a = &self.actions[first];
            if a.resource == Some(r) && a.is(ActionFlags::DANGLE) {
                flags.clear(EdgeFlags::I_THEN);
            }
        }
        match (ordering.then.action, &ordering.then.key) {
            (Some(then), _) => self.apply_between(first, then, flags),
            (None, Some(key)) => {
                for at in 0..self.actions.of(r).len() {
                    let then = self.actions.of(r)[at];
                    if self.actions[then].key == *key {
                        self.apply_between(first, then, flags);
                    }
                }
            }
            (None, None) => {}
        }
    }

    /// An ordering between two actions; without the first, the other one cannot run if it has to follow.
    fn apply_between(&mut self, first: Option<ActionIx>, then: ActionIx, flags: EdgeFlags) {
        match first {
            Some(first) => {
                self.actions.edge(first, then, flags);
            }
            None if flags.any(EdgeFlags::I_THEN) => {
                self.actions[then].flags.clear(ActionFlags::RUNNABLE);
            }
            None => {}
        }
    }

    /// A start or promote that cannot happen keeps those down that must be where it would have been.
    pub fn block_colocation_dependents(&mut self, action: ActionIx) {
        let a = &self.actions[action];
        if a.runnable() || !matches!(a.task, Task::Start | Task::Promote) {
            return;
        }
        let task = a.task.clone();
        let Some(resource) = a.resource else { return };
        let primary = self.st.top_with_bundle(resource);
        for &child in &self.st[primary].children {
            match self.actions.newest_of(child, &task, None) {
                Some(found) if !self.actions[found].runnable() => {}
                _ => return,
            }
        }
        let dependents: Vec<_> = self.st[primary]
            .with_this
            .iter()
            .map(|&c| &self.st[c])
            .filter(|c| {
                c.score >= crate::policy::values::INFINITY
                    && (task == Task::Start || c.primary_role == Role::Promoted)
            })
            .map(|c| (c.dependent, c.dependent_role))
            .collect();
        let reason = format!("colocation with {}", self.st[resource].id);
        for (dependent, role) in dependents {
            let task = if role == Role::Promoted { Task::Promote } else { Task::Start };
            self.block(dependent, &task, &reason, action);
        }
    }

    fn block(&mut self, resource: ResourceIx, task: &Task, reason: &str, because: ActionIx) {
        for at in (0..self.actions.of(resource).len()).rev() {
            let action = self.actions.of(resource)[at];
            if self.actions[action].runnable() && self.actions[action].task == *task {
                self.actions[action].flags.clear(ActionFlags::RUNNABLE);
                if self.actions[action].reason.is_none() {
                    self.set_reason(action, reason, false);
                    self.actions[action].because = Some(because);
                }
                self.block_colocation_dependents(action);
                self.update(action);
            }
        }
        for at in 0..self.st[resource].children.len() {
            let child = self.st[resource].children[at];
            self.block(child, task, reason, because);
        }
    }

    /// Voids the edges that would tie a guest's content to its own container, and the utilization
    /// barriers of two resources that swap places.
    fn disable_invalid_edges(&mut self) {
        for then in self.actions.newest() {
            for at in (0..self.actions[then].before.len()).rev() {
                let input = self.actions[then].before[at];
                if self.content_before_container(input.other, then, input.flags) || self.swaps_load(then, at)
                {
                    self.actions[then].before[at].flags = EdgeFlags::NONE;
                }
            }
        }
    }

    fn content_before_container(&self, first: ActionIx, then: ActionIx, flags: EdgeFlags) -> bool {
        if flags.any(EdgeFlags::PRESERVE) || self.actions[first].resource.is_none() {
            return false;
        }
        let container = self.actions[first].node.and_then(|n| self.st.container_of_node(n));
        container.is_some() && container == self.actions[then].resource
    }

    fn swaps_load(&mut self, then: ActionIx, at: usize) -> bool {
        let input = self.actions[then].before[at];
        if input.flags != EdgeFlags::LOAD || self.actions[then].task != Task::MigrateTo {
            return false;
        }
        self.leads_to(then, then, input.other)
    }

    /// True if following graph inputs from `from` leads back to `target`.
    fn leads_to(&mut self, target: ActionIx, _via: ActionIx, from: ActionIx) -> bool {
        let mut seen = vec![false; self.actions.len()];
        let mut stack = vec![from];
        while let Some(action) = stack.pop() {
            if action == target {
                return true;
            }
            if std::mem::replace(&mut seen[action.at()], true) {
                continue;
            }
            for at in 0..self.actions[action].before.len() {
                let input = self.actions[action].before[at];
                if input.flags.is_none() || !self.is_input(action, at) {
                    continue;
                }
                stack.push(input.other);
            }
        }
        false
    }

    /// The role of a resource now or next; of a collective, the highest of its parts.
    pub fn role_of(&self, r: ResourceIx, current: bool) -> Role {
        let rsc = &self.st[r];
        if rsc.variant() == Variant::Primitive {
            return if current { rsc.role } else { rsc.next_role };
        }
        let parts = match rsc.bundle_info() {
            Some(bundle) => bundle.replicas.iter().map(|x| x.container).collect(),
            None => rsc.children.clone(),
        };
        let highest = parts.into_iter().map(|part| self.role_of(part, current)).max();
        highest.unwrap_or_default()
    }
}
