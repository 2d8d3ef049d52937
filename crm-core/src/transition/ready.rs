//! Which steps of a plan could start now, by the node whose executor they need.
//!
//! Plans have tens of thousands of steps, and one of them ends every few milliseconds: what could start is kept,
//! not searched for, and of a node whose jobs are all taken nothing is looked at.

use std::collections::{BTreeMap, BTreeSet};

use crate::policy::graph::{ActionKind, GraphAction};

/// What one executor has to do.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Steps whose inputs are confirmed and that have not begun, in the order of the graph.
    ready: BTreeSet<usize>,
    /// Jobs that run.
    jobs: usize,
}

/// The steps that could start, and what runs of them.
#[derive(Debug, Clone)]
pub(super) struct Ready {
    /// Where each step is done. The first place has no limit: pseudo actions, fencing, cancellations and everything
    /// else that takes no executor's time.
    place_of: Vec<usize>,
    places: Vec<Place>,
    /// Pseudo actions: nothing holds them back.
    pseudo: BTreeSet<usize>,
    /// Migrations that run, by the node where they are done.
    migrations: BTreeMap<String, usize>,
    /// Jobs of one executor at one time; 0 is without a limit.
    limit: usize,
}

impl Ready {
    /// For the actions of a plan in their order.
    pub(super) fn new<'a>(actions: impl Iterator<Item = &'a GraphAction>, limit: usize) -> Self {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let place_of: Vec<usize> = actions
            .map(|action| match action.router_node.as_deref().or(action.on_node.as_deref()) {
                Some(node) if is_job(action) => {
                    let next = names.len() + 1;
                    *names.entry(node).or_insert(next)
                }
                _ => 0,
            })
            .collect();
        let places = vec![Place::default(); names.len() + 1];
        Self { place_of, places, pseudo: BTreeSet::new(), migrations: BTreeMap::new(), limit }
    }

    fn place(&mut self, at: usize) -> Option<&mut Place> {
        self.places.get_mut(self.place_of.get(at).copied()?)
    }

    /// The inputs of this step are confirmed.
    pub(super) fn add(&mut self, at: usize, action: &GraphAction) {
        if action.kind == ActionKind::Pseudo {
            self.pseudo.insert(at);
        } else if let Some(place) = self.place(at) {
            place.ready.insert(at);
        }
    }

    /// This step begins.
    pub(super) fn begin(&mut self, at: usize, action: &GraphAction) {
        self.pseudo.remove(&at);
        if let Some(place) = self.place(at) {
            place.ready.remove(&at);
            place.jobs += 1;
        }
        if is_migration(action) {
            *self.migrations.entry(node(action)).or_default() += 1;
        }
    }

    /// This step has ended.
    pub(super) fn end(&mut self, at: usize, action: &GraphAction) {
        if let Some(place) = self.place(at) {
            place.jobs = place.jobs.saturating_sub(1);
        }
        if is_migration(action)
            && let Some(running) = self.migrations.get_mut(&node(action))
        {
            *running = running.saturating_sub(1);
        }
    }

    /// Forgets what will not be started any more; pseudo actions stay.
    pub(super) fn keep(&mut self, mut wanted: impl FnMut(usize) -> bool) {
        for place in &mut self.places {
            place.ready.retain(|&at| wanted(at));
        }
    }

    /// Whether anything waits for its turn.
    pub(super) fn is_empty(&self) -> bool {
        self.pseudo.is_empty() && self.places.iter().all(|p| p.ready.is_empty())
    }

    /// Migrations that run on the node of this one.
    pub(super) fn migrations(&self, action: &GraphAction) -> usize {
        self.migrations.get(action.on_node.as_deref().unwrap_or_default()).copied().unwrap_or(0)
    }

    /// The first step from `cursor` on that may start; of those that are no pseudo actions only what `allowed` says.
    pub(super) fn next(&self, cursor: usize, allowed: impl Fn(usize) -> bool) -> Option<usize> {
        let mut best = self.pseudo.range(cursor..).next().copied();
        for (i, place) in self.places.iter().enumerate() {
            if i > 0 && self.limit > 0 && place.jobs >= self.limit {
                continue;
            }
            let end = best.unwrap_or(usize::MAX).max(cursor);
            if let Some(&at) = place.ready.range(cursor..end).find(|&&at| allowed(at)) {
                best = Some(at);
            }
        }
        best
    }
}

fn node(action: &GraphAction) -> String {
    action.on_node.as_deref().unwrap_or_default().to_owned()
}

/// Whether an executor has work with it. Source: Pacemaker 2.1.5 behaviour: all operations of resources count, but
/// cancellations do not.
fn is_job(action: &GraphAction) -> bool {
    action.kind == ActionKind::Resource && action.operation != "cancel"
}

/// Whether `migration-limit` counts it.
pub(super) fn is_migration(action: &GraphAction) -> bool {
    matches!(action.operation.as_str(), "migrate_to" | "migrate_from")
}
