//! The smallest change that would let a resource run, found by trying changes with the planner itself.

use std::collections::BTreeSet;

use cib::Cib;

use super::candidates::{self, Candidate};
use super::outcome::{self, Outcome};
use super::scene::Scene;
use super::tree::Tree;
use super::words;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::Variant;
use crate::policy::{Plan, plan};

/// Changes of the same size that are shown.
const SHOWN: usize = 3;
/// Plans made in the search for one change, and for two at once, at most.
const SINGLES: usize = 400;
const PAIRS: usize = 300;
/// A plan takes the longer, the more resources and nodes there are: of these pairs all plans of one question
/// may have this many (400 plans of 1000 resources on 16 nodes), but a few plans are always made.
const PAIRS_PLANNED: usize = 400 * 16 * 1000;
const FEW: usize = 40;

/// How many plans may still be made for one question.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn of(scene: &Scene) -> Budget {
        let st = scene.st();
        let size = st.resources.len() * st.nodes.len();
        Budget((PAIRS_PLANNED / size.max(1)).max(FEW))
    }

    /// One more plan, if there may be one.
    fn spend(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

/// One change, or two together, that the planner confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// What to do, in words.
    pub changes: Vec<String>,
    /// How to do it.
    pub commands: Vec<String>,
    /// Where the resource would then run.
    pub nodes: Vec<String>,
    /// What else would change: `web would move from node1 to node2`.
    pub also: Vec<String>,
    /// What tells changes apart for programs.
    pub codes: Vec<&'static str>,
    /// What they are about: ids of constraints, nodes, ….
    pub subjects: Vec<String>,
}

impl Suggestion {
    pub fn tree(&self) -> Tree {
        Tree::map()
            .with("changes", Tree::texts("change", &self.changes))
            .with("codes", Tree::texts("code", &self.codes))
            .with_list("commands", "command", self.commands.iter().map(Into::into).collect())
            .with("nodes", Tree::texts("node", &self.nodes))
            .with_list("also", "effect", self.also.iter().map(Into::into).collect())
    }
}

/// The result of the search.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remedy {
    /// The smallest first; empty where neither one change nor two together were enough.
    pub suggestions: Vec<Suggestion>,
    /// How many changes were tried, each with a plan of its own.
    pub tried: usize,
    /// Single changes that were left out, because plans of a cluster of this size take too long.
    pub untried: usize,
}

impl Remedy {
    pub fn tree(&self) -> Tree {
        Tree::map().with("tried", self.tried).with("untried", self.untried).with(
            "suggestions",
            Tree::List("suggestion", self.suggestions.iter().map(Suggestion::tree).collect()),
        )
    }
}

/// What has to hold after a change.
struct Goal {
    /// The configured id of the resource.
    id: String,
    variant: Variant,
    /// The node that is asked for.
    node: Option<String>,
    /// Instances that run without any change.
    before: usize,
}

impl Goal {
    /// Names of the nodes where the resource is after a plan that meets the goal; none where it does not.
    fn met(&self, plan: &Plan) -> Vec<String> {
        let state = &plan.state;
        let found =
            outcome::all(state).filter(|r| state[*r].config_id() == self.id || state[*r].id == self.id);
        let bundle = self.variant == Variant::Bundle;
        let mut nodes = BTreeSet::new();
        let mut up = 0;
        for r in found {
            let leaves = outcome::leaves(state, r);
            let units: Vec<Vec<ResourceIx>> = match self.variant {
                Variant::Clone | Variant::Bundle => {
                    state[r].children.iter().map(|c| outcome::leaves(state, *c)).collect()
                }
                _ => vec![leaves],
            };
            for unit in units {
                let places: Vec<_> = unit.iter().map(|l| outcome::after(plan, *l)).collect();
                if !places.is_empty() && places.iter().all(|p| !p.is_empty()) {
                    up += 1;
                    let places = places.iter().flatten().map(|(n, _)| *n);
                    // The nodes that a bundle is do not say where it is.
                    let places = places.filter(|n| !(bundle && state.is_bundle_node(*n)));
                    nodes.extend(places.map(|n| state[n].name.clone()));
                }
            }
        }
        let enough = match &self.node {
            Some(node) => nodes.iter().any(|n| n.eq_ignore_ascii_case(node)),
            None => up > self.before,
        };
        if enough { nodes.into_iter().collect() } else { Vec::new() }
    }
}

impl Scene {
    /// The smallest change that lets a resource run, or that lets it run on a node.
    pub(super) fn remedy(&self, r: ResourceIx, node: Option<NodeIx>, budget: &mut Budget) -> Remedy {
        let st = self.st();
        let whole = matches!(st[r].variant(), Variant::Clone | Variant::Bundle);
        let before =
            if whole { st[r].children.iter().filter(|c| !self.after(**c).is_empty()).count() } else { 0 };
        let goal = Goal {
            id: if st[r].flags.unique { st[r].id.clone() } else { st[r].config_id().to_owned() },
            variant: st[r].variant(),
            node: node.map(|n| self.node(n).to_owned()),
            before,
        };
        let base = Outcome::of(&self.plan);
        let candidates = candidates::all(self, r, node);
        let mut tried = 0;
        let mut found: Vec<(u32, Suggestion)> = Vec::new();
        for candidate in candidates.iter().take(SINGLES) {
            if !budget.spend() {
                break;
            }
            tried += 1;
            if let Some(suggestion) = self.attempt(&[candidate], &goal, &base) {
                found.push((candidate.cost + harm(&suggestion), suggestion));
            }
        }
        let untried = candidates.len() - tried;
        if found.is_empty() {
            'pairs: for (at, a) in candidates.iter().enumerate() {
                for b in candidates.iter().skip(at + 1) {
                    if tried >= SINGLES + PAIRS || tried >= candidates.len() + PAIRS {
                        break 'pairs;
                    }
                    if a.subject == b.subject {
                        continue;
                    }
                    if !budget.spend() {
                        break 'pairs;
                    }
                    tried += 1;
                    if let Some(suggestion) = self.attempt(&[a, b], &goal, &base) {
                        found.push((a.cost + b.cost + harm(&suggestion), suggestion));
                    }
                }
            }
        }
        found.sort_by_key(|(cost, _)| *cost);
        let least = found.first().map_or(0, |(cost, _)| *cost);
        let mut subjects = BTreeSet::new();
        found.retain(|(_, s)| subjects.insert(s.subjects.clone()));
        let suggestions =
            found.into_iter().filter(|(cost, _)| *cost <= least + 3).take(SHOWN).map(|(_, s)| s).collect();
        Remedy { suggestions, tried, untried }
    }

    /// Makes the changes on a copy and asks the planner.
    fn attempt(&self, changes: &[&Candidate], goal: &Goal, base: &Outcome) -> Option<Suggestion> {
        let mut root = self.cib.root().clone();
        for change in changes {
            if !(change.edit)(&mut root) {
                return None;
            }
        }
        let changed = Cib::from_root(root).ok()?;
        let mut situation = self.situation.clone();
        if changes.iter().any(|c| c.code == "quorum") {
            situation.quorum = Some(true);
        }
        let plan = plan(&changed, &situation);
        let nodes = goal.met(&plan);
        if nodes.is_empty() {
            return None;
        }
        let mine: BTreeSet<String> = goal_leaves(&plan, &goal.id);
        let after = Outcome::of(&plan);
        Some(Suggestion {
            changes: changes.iter().map(|c| c.text.clone()).collect(),
            commands: changes.iter().flat_map(|c| c.command.clone()).collect(),
            nodes,
            also: differences(base, &after, &mine),
            codes: changes.iter().map(|c| c.code).collect(),
            subjects: changes.iter().map(|c| c.subject.clone()).collect(),
        })
    }
}

fn goal_leaves(plan: &Plan, id: &str) -> BTreeSet<String> {
    let state = &plan.state;
    outcome::all(state)
        .filter(|r| state[*r].config_id() == id || state[*r].id == id)
        .flat_map(|r| outcome::leaves(state, r))
        .map(|l| outcome::printed(state, l).to_owned())
        .collect()
}

/// How much worse a change is for what else it does.
fn harm(suggestion: &Suggestion) -> u32 {
    let weight =
        |text: &String| if text.contains("would stop") { 6 } else { u32::from(text.contains("move")) };
    suggestion.also.iter().map(weight).sum()
}

/// What differs between two outcomes, apart from some resources.
pub fn differences(base: &Outcome, after: &Outcome, apart: &BTreeSet<String>) -> Vec<String> {
    let mut out = Vec::new();
    for (id, places) in &after.places {
        if apart.contains(id) || id == super::candidates::DEVICE {
            continue;
        }
        let before = base.places.get(id).cloned().unwrap_or_default();
        if &before == places {
            continue;
        }
        let names = |list: &[(String, crate::policy::state::Role)]| {
            words::list(&list.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>())
        };
        let (was, is) = (names(&before), names(places));
        let apart = |list: &[(String, _)], from: &[(String, _)]| -> Vec<String> {
            let out = list.iter().filter(|(n, _)| from.iter().all(|(m, _)| m != n));
            out.map(|(n, _)| n.clone()).collect()
        };
        let (left, joined) = (apart(&before, places), apart(places, &before));
        if before.len() > places.len() && !places.is_empty() && joined.is_empty() && !left.is_empty() {
            out.push(format!("{id} would stop on {}", words::list(&left)));
            continue;
        }
        if before.len() < places.len() && !before.is_empty() && left.is_empty() && !joined.is_empty() {
            out.push(format!("{id} would also start on {}", words::list(&joined)));
            continue;
        }
        out.push(match (before.is_empty(), places.is_empty()) {
            (true, _) => format!("{id} would start on {is}"),
            (_, true) => format!("{id} would stop on {was}"),
            _ if was == is => format!("{id} would change its role on {is}"),
            _ => format!("{id} would move from {was} to {is}"),
        });
    }
    out
}
