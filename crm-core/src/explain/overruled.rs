//! Orderings whose place another one has, which says less and is written before them.
//!
//! Of several orderings of the same two actions the planner keeps the first one of the document, whatever their ids are,
//! however kind or score are spelled, and with or without sets (Pacemaker 2.1.5 behaviour).

use std::collections::{BTreeMap, BTreeSet};

use cib::Element;

use super::constraints::{OrderPair, order_text};
use super::edit;
use super::effect::{Neighbourhoods, Trial};
use super::fact::Fact;
use super::outcome;
use super::scene::Scene;
use super::tree::Tree;
use super::words;
use crate::policy::ix::ResourceIx;
use crate::policy::simulate;
use crate::policy::state::Role;
use crate::policy::transition::task::Task;

/// Plans made for this lint, at most, before no further situation is tried.
const PLANS: usize = 300;

/// What a monitor says of a resource that is gone.
const NOT_RUNNING: i32 = 7;

/// A constraint that others overrule.
struct Overruled<'a> {
    id: &'a str,
    /// Whose place in the document it would need.
    by: Vec<&'a str>,
    pairs: Vec<&'a OrderPair>,
}

/// Overruled constraints that would say something in their right place.
#[derive(Default)]
pub(super) struct Found {
    /// By what each is overruled, in what, and what helps.
    pub facts: BTreeMap<String, Fact>,
    /// The constraints that overrule some of them.
    pub by: BTreeSet<String>,
}

/// Those of the constraints `ids` that others overrule. `situations` are the documents that are tried besides those in
/// which the first of two resources is stopped, or fails.
pub(super) fn overruled(
    scene: &Scene,
    homes: &Neighbourhoods,
    all: &[Element],
    ids: &[&str],
    orders: &BTreeMap<String, Vec<OrderPair>>,
    situations: impl FnOnce() -> Vec<Element>,
) -> Found {
    let mut found = Found::default();
    let open = candidates(all, ids, orders);
    if open.is_empty() {
        return found;
    }
    let mut search = Search { scene, homes, open, proved: Vec::new(), plans: 0 };
    search.firsts(firsts_stopped);
    if !search.over() {
        let started = simulate::run(&scene.cib, &scene.plan, &[], scene.situation.now).cib;
        let started = Scene::new(&started, &scene.situation);
        search.firsts(|scene, overruled| firsts_failed(scene, &started, overruled));
    }
    if !search.over() {
        situations().into_iter().for_each(|document| search.situation(document));
    }
    for overruled in &search.proved {
        found.facts.insert(overruled.id.to_owned(), fact(scene, all, orders, overruled));
        found.by.extend(overruled.by.iter().map(|by| (*by).to_owned()));
    }
    found
}

/// The search for situations in which the place of a constraint matters.
struct Search<'a> {
    scene: &'a Scene,
    homes: &'a Neighbourhoods,
    open: Vec<Overruled<'a>>,
    proved: Vec<Overruled<'a>>,
    plans: usize,
}

impl<'a> Search<'a> {
    fn over(&self) -> bool {
        self.open.is_empty() || self.plans >= PLANS
    }

    /// Of each neighbourhood one constraint at a time.
    fn layers(&self) -> Vec<Vec<&'a str>> {
        self.homes.one_of_each(self.open.iter().map(|c| c.id))
    }

    /// A situation for each layer, made of its constraints.
    fn firsts(&mut self, document: impl Fn(&Scene, &[&Overruled]) -> Element) {
        for layer in self.layers() {
            if self.over() {
                return;
            }
            let of_it: Vec<&Overruled> = self.open.iter().filter(|c| layer.contains(&c.id)).collect();
            let document = document(self.scene, &of_it);
            let trial = Trial::new(document, &self.scene.situation, self.homes);
            trial.into_iter().for_each(|trial| self.attempt(trial, std::slice::from_ref(&layer)));
        }
    }

    /// The same situation for all.
    fn situation(&mut self, document: Element) {
        if self.over() {
            return;
        }
        let trial = Trial::new(document, &self.scene.situation, self.homes);
        let layers = self.layers();
        trial.into_iter().for_each(|trial| self.attempt(trial, &layers));
    }

    /// Plans again with the constraints of a layer in their right places.
    fn attempt(&mut self, mut trial: Trial, layers: &[Vec<&'a str>]) {
        for layer in layers {
            let found = trial.differing(layer, &|document, ids| {
                for overruled in self.open.iter().filter(|c| ids.contains(&c.id)) {
                    if let Some(before) = overruled.by.first() {
                        edit::move_constraint(document, overruled.id, before);
                    }
                }
            });
            let (yes, no): (Vec<_>, Vec<_>) =
                std::mem::take(&mut self.open).into_iter().partition(|c| found.contains(c.id));
            self.open = no;
            self.proved.extend(yes);
        }
        self.plans += trial.plans;
    }
}

/// Those that order the same two actions as one written before them, and more strictly.
fn candidates<'a>(
    all: &'a [Element],
    ids: &[&str],
    orders: &'a BTreeMap<String, Vec<OrderPair>>,
) -> Vec<Overruled<'a>> {
    type Ends<'a> = (ResourceIx, &'a Task, ResourceIx, &'a Task);
    let mut kept: BTreeMap<Ends, (&str, &OrderPair)> = BTreeMap::new();
    let mut found = Vec::new();
    for id in all.iter().filter_map(Element::id) {
        let mut own = Overruled { id, by: Vec::new(), pairs: Vec::new() };
        for pair in orders.get(id).into_iter().flatten() {
            // The barrier of a set is an action of its own.
            let (Some(first), Some(then)) = (pair.first, pair.then) else { continue };
            let ends = (first, &pair.first_task, then, &pair.then_task);
            let (by, other) = *kept.entry(ends).or_insert((id, pair));
            if by != id && !other.demands.has(pair.demands) {
                own.pairs.push(pair);
                if !own.by.contains(&by) {
                    own.by.push(by);
                }
            }
        }
        own.by.sort_by_key(|by| all.iter().position(|e| e.id() == Some(by)));
        if !own.pairs.is_empty() && ids.contains(&id) {
            found.push(own);
        }
    }
    found
}

/// Whose action the other one's waits for or follows: the first, and where things go the other way round, the second.
fn firsts<'a>(overruled: &'a [&Overruled]) -> impl Iterator<Item = (ResourceIx, &'a Task)> {
    overruled.iter().flat_map(|c| &c.pairs).filter_map(|p| match p.inverse {
        true => Some((p.then?, &p.then_task)),
        false => Some((p.first?, &p.first_task)),
    })
}

/// The present state, and each resource that comes first told to be stopped, or not to be promoted where that comes first.
fn firsts_stopped(scene: &Scene, overruled: &[&Overruled]) -> Element {
    let mut document = scene.cib.root().clone();
    let st = scene.st();
    for (first, task) in firsts(overruled) {
        let role = match task {
            Task::Promote | Task::Demote => Role::Unpromoted,
            _ => Role::Stopped,
        };
        edit::set_meta(&mut document, st[first].config_id(), "target-role", role.word());
    }
    document
}

/// Everything as far as the present plan takes it, and then the monitor of each resource that comes first fails.
fn firsts_failed(scene: &Scene, started: &Scene, overruled: &[&Overruled]) -> Element {
    let mut cib = started.cib.clone();
    let st = started.st();
    let firsts: BTreeSet<ResourceIx> =
        firsts(overruled).filter_map(|(first, _)| started.find(&scene.st()[first].id)).collect();
    for leaf in firsts.into_iter().flat_map(|first| outcome::leaves(st, first)) {
        for node in &st[leaf].running_on {
            started.fail_monitor(&mut cib, leaf, *node, NOT_RUNNING);
        }
    }
    cib.into_root()
}

fn fact(
    scene: &Scene,
    all: &[Element],
    orders: &BTreeMap<String, Vec<OrderPair>>,
    found: &Overruled,
) -> Fact {
    // What is lost by removing the others, if anything.
    let ends = |p: &OrderPair| (p.first, p.first_task.clone(), p.then, p.then_task.clone());
    let own: Vec<_> = orders.get(found.id).into_iter().flatten().map(ends).collect();
    let superfluous =
        found.by.iter().all(|by| orders.get(*by).into_iter().flatten().all(|p| own.contains(&ends(p))));
    let commands: Vec<String> = all
        .iter()
        .filter(|e| e.id().is_some_and(|id| found.by.contains(&id)))
        .map(|e| {
            format!("cibadmin --delete --xml-text '<{} id=\"{}\"/>'", e.name(), e.id().unwrap_or_default())
        })
        .collect();
    let by = words::list(&found.by);
    let remedy = match superfluous {
        true => format!("remove {by} ({})", commands.join("; ")),
        false => format!("write this one before {by}"),
    };
    let pairs: Vec<String> = found.pairs.iter().map(|p| order_text(scene, p)).collect();
    let verbs = match found.by.len() {
        1 => "stands before it and orders",
        _ => "stand before it and order",
    };
    let quoted: Vec<String> = pairs.iter().map(|pair| format!("\"{pair}\"")).collect();
    let text = format!(
        "{by} {verbs} the same less strictly: of two orderings of the same actions only the first counts, so this one has no effect on {}; {remedy}",
        words::list(&quoted),
    );
    Fact::new("overruled", text)
        .with("by", Tree::texts("constraint", &found.by))
        .with("pairs", Tree::texts("pair", pairs))
}
