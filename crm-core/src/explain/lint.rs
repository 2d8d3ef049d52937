//! What is wrong with constraints, proved by planning without them.
//!
//! A constraint that changes nothing now may matter tomorrow; so each is also left out of plans for other
//! situations of the same cluster: everything stopped, each node in standby, each ticket revoked in turn.

use std::collections::{BTreeMap, BTreeSet};

use cib::{Cib, Element};

use super::constraints::OrderPair;
use super::edit;
use super::effect::{Neighbourhoods, Trial};
use super::fact::Fact;
use super::outcome::{self, Outcome};
use super::overruled::overruled;
use super::scene::Scene;
use super::strength::Strength;
use super::words;
use crate::policy::ix::ResourceIx;
use crate::policy::transition::task::Task;
use crate::policy::values::INFINITY;
use crate::policy::{Plan, dates, plan, simulate};

/// Plans made for one lint, at most, before no further situation is tried.
const PLANS: usize = 600;

/// So many constraints are first left out of plans that fill nodes by their names: there, unlike where the load of nodes
/// counts, they can be left out together whatever becomes of them.
const MANY: usize = 100;

/// So many situations are enough before each further node is put in standby.
const SITUATIONS: usize = 10;

/// What there is to say about each of some constraints, in their order; `all` are the configured ones, `orders` the pairs
/// of those that order. `tell` hears what is being done.
pub(super) fn lint(
    scene: &Scene,
    all: &[Element],
    constraints: &[&Element],
    orders: &BTreeMap<String, Vec<OrderPair>>,
    tell: &mut dyn FnMut(&str),
) -> Vec<Vec<Fact>> {
    let mut out: Vec<Vec<Fact>> = constraints.iter().map(|_| Vec::new()).collect();
    let homes = Neighbourhoods::new(scene, all, orders);
    let strength = Strength::new(scene, all, orders);
    let cycles = cycles(scene, all, orders);
    for (e, facts) in constraints.iter().zip(&mut out) {
        let id = e.id().unwrap_or_default();
        facts.extend(ignored(scene, id));
        if let Some(node) = e.attr("node")
            && scene.st().node_by_name(node).is_none()
        {
            facts.push(
                Fact::new("ignored", format!("there is no node {node}, so it says nothing"))
                    .with("node", node),
            );
        }
        facts.extend(leftover(scene, e).or_else(|| expired(scene, e)));
        facts.extend(cycles.get(id).cloned());
    }
    let said = |facts: &[Fact]| facts.iter().any(|f| matches!(f.code, "ignored" | "circular"));
    let open: Vec<&str> =
        constraints.iter().zip(&out).filter(|(_, facts)| !said(facts)).filter_map(|(e, _)| e.id()).collect();
    let found = effects(scene, &homes, &open, all.len(), tell);
    tell("constraints without effect that others prop up");
    let propped = propped(scene, &homes, &strength, &found.never);
    tell("orderings in whose place another one stands");
    let overruled = overruled(scene, &homes, all, &open, orders, || situations(scene, all.len()));
    for (e, facts) in constraints.iter().zip(&mut out) {
        let id = e.id().unwrap_or_default();
        if let Some(fact) = overruled.facts.get(id) {
            facts.push(fact.clone());
        } else if found.never.contains(id) {
            if facts.iter().all(|f| f.code != "expired")
                && !propped.contains(id)
                && !overruled.by.contains(id)
            {
                facts.push(useless(id, &strength, found.situations));
            }
        } else if found.now.contains(id) {
            facts.push(Fact::new(
                "no-effect-now",
                "removing it would change nothing in the present plan (it would in other situations)",
            ));
        }
    }
    tell("constraints that contradict each other");
    contradictions(scene, all, constraints, &homes, &mut out);
    out
}

/// Constraints without effect.
struct Effects {
    /// On the present plan.
    now: BTreeSet<String>,
    /// In any situation.
    never: BTreeSet<String>,
    /// How many situations that were.
    situations: usize,
}

/// Leaves constraints out of the plan of one situation after the other, as long as there are any without effect so far.
fn effects(
    scene: &Scene,
    homes: &Neighbourhoods,
    ids: &[&str],
    all: usize,
    tell: &mut dyn FnMut(&str),
) -> Effects {
    let situations = situations(scene, all);
    let mut found = Effects { now: BTreeSet::new(), never: BTreeSet::new(), situations: situations.len() };
    let mut idle: BTreeSet<&str> = ids.iter().copied().collect();
    let (mut plans, mut tried) = (0, 0);
    for document in situations {
        if idle.is_empty() || (tried >= 2 && plans >= PLANS) {
            break;
        }
        tried += 1;
        tell(&format!(
            "situation {tried} of {}: {} without effect so far",
            found.situations,
            words::count(i64::try_from(idle.len()).unwrap_or(0), "constraint", "constraints")
        ));
        let Some(mut trial) = Trial::new(document, &scene.situation, homes) else { continue };
        let asked: Vec<&str> = ids.iter().copied().filter(|id| idle.contains(id)).collect();
        idle = trial.idle(&asked);
        plans += trial.plans;
        if tried == 1 {
            found.now = idle.iter().map(|id| (*id).to_owned()).collect();
        }
    }
    found.situations = tried;
    found.never = idle.into_iter().map(str::to_owned).collect();
    found
}

/// The present situation, then everything stopped on all nodes, then each node in standby, each ticket revoked.
fn situations(scene: &Scene, constraints: usize) -> Vec<Element> {
    let st = scene.st();
    let many = constraints > MANY;
    let mut roots = vec![scene.cib.root().clone()];
    if many {
        roots.extend((0..3).map(|standby| by_name(scene, standby)));
    }
    roots.push(if many { known(scene) } else { fresh(scene) });
    let room = |roots: &[Element]| many || (roots.len() + 1) * (constraints + 1) <= PLANS;
    for n in st.node_order.iter().copied().filter(|n| st[*n].available()) {
        if roots.len() >= SITUATIONS || !room(&roots) {
            break;
        }
        let mut root = scene.cib.root().clone();
        edit::set_node_attribute(&mut root, &st[n].name, "standby", "on");
        roots.push(root);
    }
    for (ticket, state) in &st.tickets {
        if state.granted && room(&roots) {
            let mut root = scene.cib.root().clone();
            edit::revoke(&mut root, ticket);
            roots.push(root);
        }
    }
    roots
}

/// Everything stopped, the first nodes in standby, and the others filled in the order of their names.
fn by_name(scene: &Scene, standby: usize) -> Element {
    let mut root = known(scene);
    let st = scene.st();
    for n in st.node_order.iter().copied().filter(|n| !st[*n].is_remote_kind()).take(standby) {
        edit::set_node_attribute(&mut root, &st[n].name, "standby", "on");
    }
    edit::set_option(&mut root, "placement-strategy", "minimal");
    root
}

/// [`fresh`], and that nothing runs is known, unless some constraint says where that has to be asked.
fn known(scene: &Scene) -> Element {
    let mut root = fresh(scene);
    if !root.descendants().any(|e| e.attr("resource-discovery").is_some()) {
        edit::set_option(&mut root, "enable-startup-probes", "false");
    }
    root
}

/// All nodes up, nothing running, no failures, quorum, every ticket granted, nothing told to be stopped.
fn fresh(scene: &Scene) -> Element {
    let st = scene.st();
    let mut root = scene.cib.root().clone();
    root.set_attr("have-quorum", "1");
    for n in st.node_order.iter().copied().filter(|n| !st[*n].is_remote_kind()) {
        let name = st[n].name.clone();
        edit::bring_up(&mut root, &name);
        for attribute in ["standby", "maintenance"] {
            edit::drop_node_attribute(&mut root, &name, attribute);
        }
        if let Some(state) = edit::state_mut(&mut root, &name) {
            if let Some(lrm) = state.child_mut("lrm") {
                lrm.clear_nodes();
            }
            if let Some(transient) = state.child_mut("transient_attributes") {
                for set in transient.children_mut() {
                    set.retain_children(|p| {
                        !p.attr("name")
                            .is_some_and(|n| n.starts_with("fail-count-") || n.starts_with("last-failure-"))
                    });
                }
            }
        }
    }
    for ticket in st.tickets.keys() {
        edit::grant(&mut root, ticket);
    }
    root
}

/// Those that are without effect only because weaker constraints say a part of the same: with all of these left out,
/// something is different.
fn propped(
    scene: &Scene,
    homes: &Neighbourhoods,
    strength: &Strength,
    never: &BTreeSet<String>,
) -> BTreeSet<String> {
    let mut propped = BTreeSet::new();
    let mut open: Vec<(&str, Vec<&str>)> = Vec::new();
    for id in never.iter().filter(|id| strength.stronger(id).is_none()) {
        let mut ids = strength.weaker(id);
        if !ids.is_empty() {
            ids.push(id);
            open.push((id, ids));
        }
    }
    for document in situations(scene, strength.len()) {
        if open.is_empty() {
            break;
        }
        let Some(mut trial) = Trial::new(document, &scene.situation, homes) else { continue };
        open.retain(|(id, ids)| {
            let same = trial.same_without(ids);
            if !same {
                propped.insert((*id).to_owned());
            }
            same
        });
    }
    propped
}

/// The planner's own complaints about a constraint.
fn ignored(scene: &Scene, id: &str) -> Vec<Fact> {
    let said = scene.plan.complaints.iter().filter(|c| c.ids.iter().any(|i| i == id));
    let mut texts: Vec<String> = said.map(|c| c.text.clone()).collect();
    texts.dedup();
    texts
        .into_iter()
        .map(|text| Fact::new(if text.contains("gnoring") { "ignored" } else { "complaint" }, text))
        .collect()
}

/// Left behind by `crm_resource --move` or `--ban`; expired, perhaps.
fn leftover(scene: &Scene, e: &Element) -> Option<Fact> {
    let id = e.id()?;
    let by = if id.starts_with("cli-ban-") {
        "--ban or --move"
    } else if id.starts_with("cli-prefer-") {
        "--move"
    } else if id.starts_with("cli-standby-") {
        "an old --migrate"
    } else {
        return None;
    };
    let rsc = e.attr("rsc").unwrap_or_default();
    let end = e.descendants().filter(|d| d.name() == "date_expression").find_map(|d| d.attr("end"));
    let st = scene.st();
    let moment = end.and_then(|end| dates::parse(end, st.moment()));
    let (when, expired) = match (end, moment) {
        (Some(end), Some(at)) if at.epoch <= st.now => {
            (format!("; it expired at {end} and does nothing any more"), true)
        }
        (Some(end), _) => (format!("; it holds until {end}"), false),
        _ => ("; it holds until it is cleared".to_owned(), false),
    };
    let option = if expired { " --expired" } else { "" };
    Some(
        Fact::new(
            "leftover",
            format!("left over from crm_resource {by}{when} (crm_resource --clear{option} -r {rsc})"),
        )
        .with("expired", expired),
    )
}

/// Every rule of it is bound to a time that is over.
fn expired(scene: &Scene, e: &Element) -> Option<Fact> {
    let ends: Option<Vec<&str>> = e.children_named("rule").map(|rule| over(scene, rule)).collect();
    let end = ends?.into_iter().next_back()?;
    let id = e.id().unwrap_or_default();
    let command = format!("cibadmin --delete --xml-text '<{} id=\"{id}\"/>'", e.name());
    let text =
        format!("its time is over: it ended at {end}, and it will never say anything again ({command})");
    Some(Fact::new("expired", text).with("end", end))
}

/// When the time of a rule ended, if it can never be true again.
fn over<'a>(scene: &Scene, rule: &'a Element) -> Option<&'a str> {
    let st = scene.st();
    let past = |e: &'a Element| match e.name() {
        "rule" => over(scene, e),
        "date_expression" if matches!(e.attr("operation"), Some("lt" | "in_range")) => {
            let end = e.attr("end")?;
            let at = dates::parse(end, st.moment())?;
            (at.epoch <= st.now).then_some(end)
        }
        _ => None,
    };
    let mut parts = rule.children().map(past);
    match rule.attr("boolean-op") {
        Some("or") => parts.collect::<Option<Vec<_>>>()?.into_iter().next_back(),
        _ => parts.find_map(|end| end),
    }
}

/// A constraint without effect: shadowed by a stronger one, or simply without.
fn useless(id: &str, strength: &Strength, situations: usize) -> Fact {
    if let Some((by, why)) = strength.stronger(id) {
        let text = format!("{by} is stronger: {why}; removing this one changes nothing");
        return Fact::new("shadowed", text).with("by", by);
    }
    let others = situations.saturating_sub(1);
    let fact = Fact::new(
        "no-effect",
        format!(
            "removing it changes nothing: not in the present plan, and not in the plans for {} (everything stopped, each node in standby, each ticket revoked)",
            words::count(i64::try_from(others).unwrap_or(0), "other situation", "other situations")
        ),
    );
    fact.with("situations", situations)
}

/// Constraints that together leave a resource no node in a cluster where nothing else stands in the way.
fn contradictions(
    scene: &Scene,
    all: &[Element],
    constraints: &[&Element],
    homes: &Neighbourhoods,
    out: &mut [Vec<Fact>],
) {
    let document = if all.len() > MANY { known(scene) } else { fresh(scene) };
    let Some(mut fresh) = Trial::new(document, &scene.situation, homes) else { return };
    let base = Outcome::of(&fresh.plan);
    if !base.places.values().any(Vec::is_empty) {
        return;
    }
    let view = Scene::new(&fresh.cib, &scene.situation);
    let st = view.st();
    // Each with the name to show for it (the parts of a bundle are the bundle's) and its neighbourhood.
    let idle: Vec<(String, String, ResourceIx)> = base
        .places
        .iter()
        .filter(|(_, places)| places.is_empty())
        .filter_map(|(id, _)| {
            let leaf = outcome::all(st).find(|r| st[*r].is_primitive() && outcome::printed(st, *r) == id)?;
            // What is told to be stopped contradicts nothing.
            let meant = view.general(leaf).is_empty() && !st[leaf].flags.orphan;
            let shown = st[st.top_of(leaf)].parent.map_or(id.as_str(), |bundle| st[bundle].config_id());
            let home = homes.of(leaf)?;
            meant.then(|| (id.clone(), shown.to_owned(), home))
        })
        .collect();
    if idle.is_empty() {
        return;
    }
    // Whatever helps when it is left out has a share in it, constraints that were not asked about too. What is not of the
    // resource's neighbourhood cannot help it to a node.
    let near: BTreeSet<ResourceIx> = idle.iter().map(|(_, _, home)| *home).collect();
    let asked = all.iter().filter_map(Element::id).filter(|id| homes.reaches(id, &near));
    let mut guilty: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for layer in homes.one_of_each(asked) {
        let (without, _) = fresh.without(&layer);
        let after = Outcome::of(&without);
        for (resource, shown, home) in &idle {
            if after.nodes(resource).is_empty() {
                continue;
            }
            let of_it = layer.iter().find(|id| layer.len() == 1 || homes.home(id) == Some(*home));
            let ids = guilty.entry(shown).or_default();
            if let Some(id) = of_it.filter(|id| !ids.iter().any(|x| x == *id)) {
                ids.push((*id).to_owned());
            }
        }
    }
    let place = |id: &String| all.iter().position(|e| e.id() == Some(id));
    guilty.values_mut().for_each(|ids| ids.sort_by_key(place));
    for (resource, ids) in guilty {
        for (e, facts) in constraints.iter().zip(out.iter_mut()) {
            let id = e.id().unwrap_or_default();
            if !ids.iter().any(|x| x == id) || facts.iter().any(|f| f.code == "circular") {
                continue;
            }
            let others: Vec<&str> = ids.iter().map(String::as_str).filter(|x| *x != id).collect();
            let text = match others.is_empty() {
                true => {
                    format!("it alone leaves {resource} no node, even with all nodes up and nothing failed")
                }
                false => format!(
                    "together with {} it leaves {resource} no node, even with all nodes up and nothing failed; without any one of them {resource} can run",
                    words::list(&others)
                ),
            };
            facts.push(
                Fact::new("contradictory", text)
                    .with("resource", resource)
                    .with("with", super::tree::Tree::texts("constraint", others)),
            );
        }
    }
}

/// For each constraint that takes part in a circle: what the circle is.
fn cycles(
    scene: &Scene,
    all: &[Element],
    orders: &BTreeMap<String, Vec<OrderPair>>,
) -> BTreeMap<String, Fact> {
    let mut found = BTreeMap::new();
    order_cycles(scene, orders, &mut found);
    colocation_cycles(scene, all, &mut found);
    found
}

fn order_cycles(
    scene: &Scene,
    orders: &BTreeMap<String, Vec<OrderPair>>,
    found: &mut BTreeMap<String, Fact>,
) {
    let st = scene.st();
    let up = |task: &Task| matches!(task, Task::Start | Task::Promote);
    let mut edges: Vec<(String, ResourceIx, ResourceIx)> = Vec::new();
    for (id, pairs) in orders {
        for p in pairs {
            if let (Some(first), Some(then)) = (p.first, p.then)
                && !p.optional
                && !p.inverse
                && up(&p.first_task)
                && up(&p.then_task)
            {
                edges.push((id.clone(), first, then));
            }
        }
    }
    // Members of a group start in order; what concerns the group concerns them.
    let mut inner: Vec<(ResourceIx, ResourceIx)> = Vec::new();
    for g in outcome::all(st) {
        if let crate::policy::state::Kind::Group { ordered: true, .. } = st[g].kind {
            for pair in st[g].children.windows(2) {
                if let [a, b] = pair {
                    inner.push((*a, *b));
                }
            }
            inner.extend(st[g].children.first().map(|first| (g, *first)));
            inner.extend(st[g].children.last().map(|last| (*last, g)));
        }
    }
    for (id, first, then) in &edges {
        let Some(path) = path(&edges, &inner, *then, *first) else { continue };
        let mut names: Vec<&str> = vec![scene.id(*first)];
        for r in &path {
            if names.last() != Some(&scene.id(*r)) {
                names.push(scene.id(*r));
            }
        }
        let proof = stuck(scene, id);
        let text = format!("{}: each waits for the one before it{proof}", names.join(" → "));
        found.entry(id.clone()).or_insert_with(|| Fact::new("circular", text));
    }
}

/// The way from one resource to another along mandatory orderings.
fn path(
    edges: &[(String, ResourceIx, ResourceIx)],
    inner: &[(ResourceIx, ResourceIx)],
    from: ResourceIx,
    to: ResourceIx,
) -> Option<Vec<ResourceIx>> {
    let mut queue = std::collections::VecDeque::from([vec![from]]);
    let mut seen = vec![from];
    while let Some(way) = queue.pop_front() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        let next = edges.iter().map(|(_, a, b)| (*a, *b)).chain(inner.iter().copied());
        for (a, b) in next {
            if a == last && !seen.contains(&b) {
                seen.push(b);
                let mut longer = way.clone();
                longer.push(b);
                queue.push_back(longer);
            }
        }
    }
    None
}

/// What the planner says of a circle: a start of everything does not come to its end.
fn stuck(scene: &Scene, id: &str) -> String {
    let root = fresh(scene);
    let Ok(cib) = Cib::from_root(root) else { return String::new() };
    let whole = plan(&cib, &scene.situation);
    let ends = |cib: &Cib, plan: &Plan| simulate::run(cib, plan, &[], scene.situation.now).complete;
    let with = ends(&cib, &whole);
    let down = |plan: &Plan| Outcome::of(plan).places.values().filter(|p| p.is_empty()).count();
    let mut root = cib.root().clone();
    edit::remove_constraint(&mut root, id);
    let Ok(other) = Cib::from_root(root) else { return String::new() };
    let changed = plan(&other, &scene.situation);
    match (with, ends(&other, &changed)) {
        (false, true) => "; a start of everything never ends with it, and does without it".to_owned(),
        (false, false) => "; a start of everything never ends".to_owned(),
        (true, _) if down(&changed) < down(&whole) => {
            "; nothing in it can start, and it can without this constraint".to_owned()
        }
        _ => "; the planner breaks the circle somewhere, so the order is not kept".to_owned(),
    }
}

fn colocation_cycles(scene: &Scene, all: &[Element], found: &mut BTreeMap<String, Fact>) {
    let st = scene.st();
    let edges: Vec<(String, ResourceIx, ResourceIx)> = st
        .colocations
        .iter()
        .filter(|c| c.score >= INFINITY && all.iter().any(|e| e.id() == Some(&c.id)))
        .map(|c| (c.id.clone(), c.dependent, c.primary))
        .collect();
    for (id, dependent, primary) in &edges {
        if let Some(way) = path(&edges, &[], *primary, *dependent) {
            let mut names = vec![scene.id(*dependent)];
            names.extend(way.iter().map(|r| scene.id(*r)));
            let text = format!(
                "{}: each must be where the next one is; whichever is placed first decides",
                names.join(" → ")
            );
            found.entry(id.clone()).or_insert_with(|| Fact::new("circular", text));
        }
    }
}
