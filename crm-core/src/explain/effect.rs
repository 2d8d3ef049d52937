//! Which constraints a plan would be different without, found with fewer plans than there are constraints.
//!
//! Constraints tie resources into neighbourhoods. Within one plan, neighbourhoods have to do with each other in two ways
//! only: what was assigned so far decides where the next resource goes, and what is done to nodes is done for all. So many
//! constraints are left out at once, but of those that place resources only one of each set of resources that colocations
//! tie together, and of those that order only one of each pair of resources.
//!
//! If then all resources are assigned in the same order to the same nodes as before, each constraint alone would leave
//! that order as it is too: a resource whose own constraint is left out finds what it found without all of them, every
//! other one finds what it found with all. And what orderings do to actions only ever grows with them: where nothing is
//! different without all of them, nothing is without one. So a neighbourhood that comes to the same shows that all its
//! constraints that were left out are idle, and one that does not, that the one is not, if it was one.
//!
//! Where resources touch each other by constraints and loads alone ([`Alone`]), a constraint is left out by itself, of a
//! plan of nothing but its neighbourhood: many small plans instead of a few large ones. The rest is for clusters of other
//! kinds, and for neighbourhoods that are a large part of their cluster.
//!
//! If the assignment differs, the first resource that goes elsewhere is the doing of its own constraint, for until then
//! nothing was different; that one is put aside, and the others are left out again. Where more than that binds
//! neighbourhoods (guests, capacities), each constraint is left out by itself.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};

use cib::{Cib, Element};

use super::alone::Alone;
use super::constraints::OrderPair;
use super::outcome::{self, Outcome};
use super::scene::Scene;
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::placement::turns::Turns;
use crate::policy::plan::{plan_state, plan_state_if};
use crate::policy::state::build::build;
use crate::policy::state::{Placement, State};
use crate::policy::{Plan, Situation};

/// Notes who was assigned where, in order.
#[derive(Debug, Default)]
struct Course(Assigned);

impl Ledger for Course {
    const KEEPS: bool = false;

    fn note(&mut self, _: ResourceIx, _: NodeIx, _: Change, _: Source<'_>) {}

    fn assigned(&mut self, resource: ResourceIx, node: Option<NodeIx>) {
        self.0.push((resource, node));
    }
}

/// Resources in sets: by resource, the one that stands for its set.
struct Sets(Vec<ResourceIx>);

impl Sets {
    fn of(&self, r: ResourceIx) -> Option<ResourceIx> {
        let mut at = r;
        while let Some(up) = self.0.get(at.at()).copied().filter(|up| *up != at) {
            at = up;
        }
        (r.at() < self.0.len()).then_some(at)
    }

    fn tie(&mut self, a: ResourceIx, b: ResourceIx) {
        let (Some(a), Some(b)) = (self.of(a), self.of(b)) else { return };
        if let Some(entry) = self.0.get_mut(a.at()) {
            *entry = b;
        }
    }

    /// Straight to the end, so that no later look-up has a long way.
    fn flatten(&mut self) {
        for at in 0..self.0.len() {
            if let (Some(end), Some(entry)) = (self.of(ResourceIx::new(at)), self.0.get_mut(at)) {
                *entry = end;
            }
        }
    }
}

/// Of constraints with the same key, one at a time is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// It can place what is colocated with this.
    Places(ResourceIx),
    /// It orders these two.
    Orders(ResourceIx, ResourceIx),
    /// It is about nothing.
    Nothing,
}

/// Which resources constraints tie together, and which constraints can be left out together.
pub(super) struct Neighbourhoods {
    /// What constraints of any kind tie together.
    all: Sets,
    /// What colocations tie together, and constraints of several resources.
    placed: Sets,
    /// By constraint id: the neighbourhood it is about, none for one that is about nothing; and its turn.
    by_constraint: BTreeMap<String, (Option<ResourceIx>, Turn)>,
    /// Constraints that may reach beyond their neighbourhood.
    alone: BTreeSet<String>,
}

impl Neighbourhoods {
    /// Reads them from a plan's state, with the pairs of each of all orderings.
    pub(super) fn new(scene: &Scene, all: &[Element], orders: &BTreeMap<String, Vec<OrderPair>>) -> Self {
        let st = scene.st();
        let tops: Vec<ResourceIx> = outcome::all(st).map(|r| st.top_with_bundle(r)).collect();
        let mut sets = Neighbourhoods {
            all: Sets(tops.clone()),
            placed: Sets(tops),
            by_constraint: BTreeMap::new(),
            alone: BTreeSet::new(),
        };
        let mut about: BTreeMap<&str, Vec<ResourceIx>> = BTreeMap::new();
        for l in st.locations.iter().filter(|l| !l.health) {
            about.entry(&l.id).or_default().push(l.resource);
        }
        for u in &st.ticket_uses {
            about.entry(&u.constraint).or_default().push(u.resource);
        }
        // Those that the planner makes itself (of containers and what is in them) bind as well.
        for c in &st.colocations {
            about.entry(&c.id).or_default().extend([c.dependent, c.primary]);
            sets.tie_placed(c.dependent, c.primary);
        }
        for tied in about.values() {
            tied.windows(2).for_each(|pair| {
                if let [a, b] = pair {
                    sets.tie_placed(*a, *b);
                }
            });
        }
        for (id, pairs) in orders {
            let both: Vec<ResourceIx> =
                pairs.iter().flat_map(|p| p.first.into_iter().chain(p.then)).collect();
            for r in &both {
                sets.all.tie(*r, both.first().copied().unwrap_or(*r));
            }
            about.entry(id).or_default().extend(both);
        }
        sets.all.flatten();
        sets.placed.flatten();
        sets.take_turns(scene, all, &about);
        sets
    }

    fn tie_placed(&mut self, a: ResourceIx, b: ResourceIx) {
        self.all.tie(a, b);
        self.placed.tie(a, b);
    }

    fn take_turns(&mut self, scene: &Scene, all: &[Element], about: &BTreeMap<&str, Vec<ResourceIx>>) {
        let st = scene.st();
        let binds = |r: &ResourceIx| {
            let rsc = &st[*r];
            rsc.flags.is_connection || !rsc.fillers.is_empty() || rsc.container.is_some()
        };
        let hosts: BTreeSet<_> = outcome::all(st).filter(binds).filter_map(|r| self.all.of(r)).collect();
        let capacities = st.options.placement != Placement::Default;
        for e in all {
            let id = e.id().unwrap_or_default();
            let tied = about.get(id).map_or(&[][..], Vec::as_slice);
            let first = tied.first().copied();
            let home = first.and_then(|r| self.all.of(r));
            if capacities || e.name() == "rsc_ticket" || home.is_some_and(|home| hosts.contains(&home)) {
                self.alone.insert(id.to_owned());
            }
            let tops: BTreeSet<ResourceIx> = tied.iter().map(|r| st.top_with_bundle(*r)).collect();
            let turn = match (e.name(), tops.first(), tops.last()) {
                ("rsc_order", Some(a), Some(b)) if tops.len() <= 2 => Turn::Orders(*a, *b),
                // Of sets, which make barriers: with whatever is near.
                ("rsc_order", Some(_), _) => home.map_or(Turn::Nothing, Turn::Places),
                _ => first.and_then(|r| self.placed.of(r)).map_or(Turn::Nothing, Turn::Places),
            };
            self.by_constraint.insert(id.to_owned(), (home, turn));
        }
    }

    pub(super) fn home(&self, id: &str) -> Option<ResourceIx> {
        self.by_constraint.get(id).and_then(|(home, _)| *home)
    }

    fn turn(&self, id: &str) -> Turn {
        self.by_constraint.get(id).map_or(Turn::Nothing, |(_, turn)| *turn)
    }

    pub(super) fn of(&self, r: ResourceIx) -> Option<ResourceIx> {
        self.all.of(r)
    }

    /// Whether a constraint can have to do with any of some neighbourhoods.
    pub(super) fn reaches(&self, id: &str, homes: &BTreeSet<ResourceIx>) -> bool {
        self.alone.contains(id) || self.home(id).is_some_and(|home| homes.contains(&home))
    }

    /// Sets of constraints that can be left out together: where they come to the same, each is idle.
    fn layers<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
        self.layers_by(ids, |id| self.turn(id))
    }

    /// Sets of constraints, at most one of each neighbourhood in each.
    pub(super) fn one_of_each<'a>(&self, ids: impl IntoIterator<Item = &'a str>) -> Vec<Vec<&'a str>> {
        self.layers_by(ids, |id| self.home(id).map_or(Turn::Nothing, Turn::Places))
    }

    fn layers_by<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        turn: impl Fn(&str) -> Turn,
    ) -> Vec<Vec<&'a str>> {
        let mut layers: Vec<Vec<&str>> = Vec::new();
        let mut depth: BTreeMap<Turn, usize> = BTreeMap::new();
        let mut single = Vec::new();
        for id in ids {
            if self.alone.contains(id) {
                single.push(vec![id]);
                continue;
            }
            let at = match turn(id) {
                Turn::Nothing => 0,
                turn => {
                    let next = depth.entry(turn).or_default();
                    *next += 1;
                    *next - 1
                }
            };
            if layers.len() <= at {
                layers.resize(at + 1, Vec::new());
            }
            if let Some(layer) = layers.get_mut(at) {
                layer.push(id);
            }
        }
        layers.extend(single);
        layers
    }
}

/// Who was assigned where, in order.
type Assigned = Vec<(ResourceIx, Option<NodeIx>)>;

/// What a plan comes to, neighbourhood by neighbourhood: two digests of each line, sorted.
pub(super) type Shares = BTreeMap<Option<ResourceIx>, Vec<(u64, u64)>>;

fn digest(thing: &impl Hash) -> (u64, u64) {
    let (mut a, mut b) = (DefaultHasher::new(), DefaultHasher::new());
    1_u8.hash(&mut b);
    thing.hash(&mut a);
    thing.hash(&mut b);
    (a.finish(), b.finish())
}

/// The plan's outcome and its canonical graph ([`outcome::same`]), by neighbourhood.
fn parts(plan: &Plan, homes: &Neighbourhoods) -> Shares {
    shares(plan, |r| homes.of(r))
}

pub(super) fn shares(plan: &Plan, home_of: impl Fn(ResourceIx) -> Option<ResourceIx>) -> Shares {
    let mut parts = Shares::new();
    let st = &plan.state;
    let shown: BTreeMap<&str, ResourceIx> =
        outcome::all(st).filter(|r| st[*r].is_primitive()).map(|r| (outcome::printed(st, r), r)).collect();
    for (id, places) in &Outcome::of(plan).places {
        let places: Vec<_> = places.iter().map(|(node, role)| (node, *role as u8)).collect();
        let home = shown.get(id.as_str()).and_then(|r| home_of(*r));
        parts.entry(home).or_default().push(digest(&(id, places)));
    }
    let synapses = &plan.graph.synapses;
    let names: BTreeMap<u32, (u64, u64)> = synapses
        .iter()
        .map(|s| {
            let a = &s.action;
            (a.id.0, digest(&(a.kind, &a.operation_key, &a.on_node)))
        })
        .collect();
    for synapse in synapses {
        let mut inputs: Vec<_> = synapse.inputs.iter().filter_map(|id| names.get(&id.0)).collect();
        inputs.sort_unstable();
        inputs.dedup();
        let action = &synapse.action;
        let ix = ActionIx(action.id.0.saturating_sub(1));
        let home = plan.actions[ix].resource.and_then(&home_of);
        let line = digest(&(names.get(&action.id.0), &action.attributes, inputs));
        parts.entry(home).or_default().push(line);
    }
    parts.values_mut().for_each(|lines| lines.sort_unstable());
    parts
}

/// Takes constraints out of a document.
fn remove(document: &mut Element, ids: &[&str]) {
    let list = document.child_mut("configuration").and_then(|c| c.child_mut("constraints"));
    if let Some(list) = list {
        let gone: BTreeSet<&str> = ids.iter().copied().collect();
        list.retain_children(|e| !e.id().is_some_and(|id| gone.contains(id)));
    }
}

/// A situation of the cluster, read once, and its plan.
pub(super) struct Trial<'a> {
    pub cib: Cib,
    start: State,
    pub plan: Plan,
    homes: &'a Neighbourhoods,
    course: Assigned,
    parts: Shares,
    /// The parts that the cluster falls into, where it does.
    alone: Option<Alone>,
    /// Nodes are chosen without regard to what they have already.
    by_name: bool,
    /// Plans made.
    pub plans: usize,
}

impl<'a> Trial<'a> {
    pub(super) fn new(document: Element, situation: &Situation, homes: &'a Neighbourhoods) -> Option<Self> {
        let cib = Cib::from_root(document).ok()?;
        let mut course = Course::default();
        let mut start = build(&cib, situation, &mut course);
        start.turns = Some(Turns::default());
        let plan = plan_state(start.clone(), &mut course);
        let parts = parts(&plan, homes);
        let by_name = start.options.placement == Placement::Minimal;
        let alone = Alone::new(&cib, situation, &plan);
        Some(Trial { cib, start, plan, homes, course: course.0, parts, alone, by_name, plans: 1 })
    }

    /// The plan without some constraints, and in which order it assigned what.
    pub(super) fn without(&mut self, ids: &[&str]) -> (Plan, Assigned) {
        let document = self.document_without(ids);
        self.of(document)
    }

    fn document_without(&self, ids: &[&str]) -> Element {
        let mut document = self.cib.root().clone();
        remove(&mut document, ids);
        document
    }

    /// The plan with other constraints, or in another order.
    fn of(&mut self, document: Element) -> (Plan, Assigned) {
        let state = self.state_of(document);
        let mut course = Course::default();
        (plan_state(state, &mut course), course.0)
    }

    fn state_of(&mut self, document: Element) -> State {
        // Constraints are not read before the state is made: what was read is the same with others.
        let mut state = self.start.clone();
        state.root = document;
        self.plans += 1;
        state
    }

    /// [`Trial::without`] for several constraints: without a plan where the assignment says all there is to know, which
    /// is where it differs and nodes are chosen for what they have already.
    fn without_several(&mut self, ids: &[&str]) -> (Option<Plan>, Assigned) {
        let state = self.state_of(self.document_without(ids));
        let mut course = Course::default();
        let (by_name, before) = (self.by_name, &self.course);
        let plan = plan_state_if(state, &mut course, |now| by_name || now.0 == *before);
        (plan, course.0)
    }

    /// Of each constraint that can be looked at in a plan of its neighbourhood alone: whether the plan is the same when
    /// this is done to it. And the others.
    fn alone<'b>(
        &mut self,
        ids: &[&'b str],
        edit: &dyn Fn(&mut Element, &[&str]),
    ) -> (Vec<(&'b str, bool)>, Vec<&'b str>) {
        let (mut told, mut left) = (Vec::new(), Vec::new());
        for id in ids {
            match self.alone.as_mut().and_then(|alone| alone.same(&[id], &|part| edit(part, &[id]))) {
                Some(same) => told.push((*id, same)),
                None => left.push(*id),
            }
        }
        (told, left)
    }

    /// Those of some constraints, each of another neighbourhood, with which `edit` does something that matters.
    pub(super) fn differing<'b>(
        &mut self,
        ids: &[&'b str],
        edit: &dyn Fn(&mut Element, &[&str]),
    ) -> BTreeSet<&'b str> {
        let (told, left) = self.alone(ids, edit);
        let mut found: BTreeSet<&str> =
            told.into_iter().filter(|(_, same)| !same).map(|(id, _)| id).collect();
        if !left.is_empty() {
            found.extend(self.differing_together(&left, edit));
        }
        found
    }

    fn differing_together<'b>(
        &mut self,
        ids: &[&'b str],
        edit: &dyn Fn(&mut Element, &[&str]),
    ) -> BTreeSet<&'b str> {
        let mut document = self.cib.root().clone();
        edit(&mut document, ids);
        let (plan, course) = self.of(document);
        let now = parts(&plan, self.homes);
        if now == self.parts {
            return BTreeSet::new();
        }
        if ids.len() <= 1 {
            return ids.iter().copied().collect();
        }
        let changed = |home: &Option<ResourceIx>| now.get(home) != self.parts.get(home);
        let theirs: BTreeSet<_> = ids.iter().map(|id| self.homes.home(id)).collect();
        let leaks = now
            .keys()
            .chain(self.parts.keys())
            .any(|home| (home.is_none() || !theirs.contains(home)) && changed(home));
        if leaks || !(self.by_name || course == self.course) {
            let (one, other) = ids.split_at(ids.len() / 2);
            let mut found = self.differing_together(one, edit);
            found.extend(self.differing_together(other, edit));
            return found;
        }
        ids.iter().copied().filter(|id| changed(&self.homes.home(id))).collect()
    }

    /// Whether nothing is different without all of them.
    pub(super) fn same_without(&mut self, ids: &[&str]) -> bool {
        if let Some(same) = self.alone.as_mut().and_then(|alone| alone.same(ids, &|part| remove(part, ids))) {
            return same;
        }
        let (plan, _) = self.without(ids);
        parts(&plan, self.homes) == self.parts
    }

    /// Those of the constraints without which, each by itself, the plan would be the same.
    pub(super) fn idle<'b>(&mut self, ids: &[&'b str]) -> BTreeSet<&'b str> {
        let (told, left) = self.alone(ids, &remove);
        let mut idle = told.into_iter().filter(|(_, same)| *same).map(|(id, _)| id).collect();
        for layer in self.homes.layers(left) {
            self.idle_of_layer(layer, &mut idle);
        }
        idle
    }

    fn idle_of_layer<'b>(&mut self, mut layer: Vec<&'b str>, idle: &mut BTreeSet<&'b str>) {
        while let [first, rest @ ..] = layer.as_slice() {
            if rest.is_empty() {
                if self.same_without(&layer) {
                    idle.insert(first);
                }
                return;
            }
            let (plan, course) = self.without_several(&layer);
            let now = plan.map(|plan| parts(&plan, self.homes));
            if let Some(parts) = now
                && let Some(doubtful) = self.settled(&layer, &parts, idle)
            {
                doubtful.into_iter().for_each(|some| self.idle_of_layer(some, idle));
                return;
            }
            let parting = self.course.iter().zip(&course).find(|(a, b)| a != b).map(|(a, b)| (a.0, b.0));
            let culprit = parting
                .filter(|(a, b)| a == b && !self.by_name)
                .and_then(|(r, _)| self.homes.placed.of(r))
                .map(Turn::Places);
            let before = layer.len();
            layer.retain(|id| Some(self.homes.turn(id)) != culprit);
            if layer.len() == before {
                let second = layer.split_off(before / 2);
                self.idle_of_layer(second, idle);
            }
        }
    }

    /// Where nothing is different but in the neighbourhoods of a layer: those whose neighbourhood is the same are idle, the
    /// others are left to ask again, of several in one neighbourhood a half each time.
    fn settled<'b>(
        &self,
        layer: &[&'b str],
        now: &Shares,
        idle: &mut BTreeSet<&'b str>,
    ) -> Option<[Vec<&'b str>; 2]> {
        let mut by_home: BTreeMap<Option<ResourceIx>, Vec<&'b str>> = BTreeMap::new();
        layer.iter().for_each(|id| by_home.entry(self.homes.home(id)).or_default().push(id));
        let changed = |home: &Option<ResourceIx>| now.get(home) != self.parts.get(home);
        let leaks = now
            .keys()
            .chain(self.parts.keys())
            .any(|home| (home.is_none() || !by_home.contains_key(home)) && changed(home));
        if leaks {
            return None;
        }
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for (home, ids) in by_home {
            if !changed(&home) {
                idle.extend(ids);
            } else if ids.len() > 1 {
                let (a, b) = ids.split_at(ids.len() / 2);
                one.extend_from_slice(a);
                other.extend_from_slice(b);
            }
        }
        Some([one, other])
    }
}

#[cfg(test)]
#[path = "../../benches/clusters/mod.rs"]
mod clusters;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::edit;
    use super::clusters::{self, Cluster, Kind, Status};
    use super::*;

    /// What is found by leaving out many at once is what is found by leaving out each by itself.
    #[test]
    fn together_is_as_each_by_itself() {
        let mut saved = 0;
        let cases = [Status::Running, Status::NodeLost, Status::Fresh].map(|s| [(s, false), (s, true)]);
        for (seed, (status, by_name)) in (1..).zip(cases.into_iter().flatten()) {
            let cluster = Cluster { nodes: 4, resources: 60, kind: Kind::Mixed, status, probed: false, seed };
            let mut cib = Cib::parse(&clusters::cib(cluster)).unwrap();
            if by_name {
                edit::set_option(cib.root_mut(), "placement-strategy", "minimal");
            }
            let situation = Situation { now: 1_700_100_000, ..Situation::default() };
            let scene = Scene::new(&cib, &situation);
            let all = scene.constraint_elements();
            let orders = scene.order_pairs(&all);
            let homes = Neighbourhoods::new(&scene, &all, &orders);
            let ids: Vec<&str> = all.iter().filter_map(Element::id).collect();
            assert!(ids.len() > 15);
            let mut trial = Trial::new(cib.root().clone(), &situation, &homes).unwrap();
            let parts = trial.alone.is_some();
            assert_eq!(parts, status != Status::NodeLost, "{status:?}");
            let in_parts = trial.idle(&ids);
            trial.alone = None;
            let before = trial.plans;
            let together = trial.idle(&ids);
            saved += ids.len().saturating_sub(trial.plans - before);
            assert_eq!(in_parts, together, "{status:?}");
            for id in &ids {
                // As the plan of a document that never had it.
                let mut root = cib.root().clone();
                assert!(edit::remove_constraint(&mut root, id));
                let plan = crate::policy::plan(&Cib::from_root(root).unwrap(), &situation);
                let same = outcome::same(&plan, &trial.plan);
                assert_eq!(together.contains(id), same, "{status:?}, {id}");
            }
        }
        assert!(saved > 0, "no plan was saved");
    }
}
