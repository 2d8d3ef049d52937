//! What is wrong with constraints, proved by planning without them.
//!
//! A constraint that changes nothing now may matter tomorrow; so each is also left out of plans for other
//! situations of the same cluster: everything stopped, each node in standby, each ticket revoked in turn.

use std::collections::BTreeMap;

use cib::{Cib, Element};

use super::edit;
use super::fact::Fact;
use super::outcome::{self, Outcome};
use super::scene::Scene;
use super::words;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::transition::task::Task;
use crate::policy::values::INFINITY;
use crate::policy::{Plan, Situation, dates, plan, simulate};

/// Plans made for one lint, at most; beyond that fewer situations are tried.
const PLANS: usize = 600;

/// One situation of the cluster and its plan.
struct Try {
    cib: Cib,
    plan: Plan,
}

/// What there is to say about each of some constraints, in their order.
pub(super) fn lint(scene: &Scene, constraints: &[&Element]) -> Vec<Vec<Fact>> {
    let mut out: Vec<Vec<Fact>> = constraints.iter().map(|_| Vec::new()).collect();
    let tries = situations(scene, constraints.len());
    let everything = scene.constraint_elements();
    let cycles = cycles(scene, &everything);
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
        facts.extend(leftover(scene, e));
        facts.extend(cycles.get(id).cloned());
        let idle: Vec<bool> = tries.iter().map(|t| without(scene, t, id)).collect();
        match (idle.first().copied().unwrap_or(false), idle.iter().all(|same| *same)) {
            _ if facts.iter().any(|f| matches!(f.code, "ignored" | "circular")) => {}
            (_, true) => facts.extend(useless(scene, e, &everything, &tries)),
            (true, false) => facts.push(Fact::new(
                "no-effect-now",
                "removing it would change nothing in the present plan (it would in other situations)",
            )),
            _ => {}
        }
    }
    contradictions(scene, constraints, tries.get(1), &mut out);
    out
}

/// The present situation, then everything stopped on all nodes, then each node in standby.
fn situations(scene: &Scene, constraints: usize) -> Vec<Try> {
    let st = scene.st();
    let mut roots = vec![scene.cib.root().clone(), fresh(scene)];
    for n in st.node_order.iter().copied().filter(|n| st[*n].available()) {
        if (roots.len() + 1) * (constraints + 1) > PLANS || roots.len() >= 10 {
            break;
        }
        let mut root = scene.cib.root().clone();
        edit::set_node_attribute(&mut root, &st[n].name, "standby", "on");
        roots.push(root);
    }
    for (ticket, state) in &st.tickets {
        if state.granted && (roots.len() + 1) * (constraints + 1) <= PLANS {
            let mut root = scene.cib.root().clone();
            edit::revoke(&mut root, ticket);
            roots.push(root);
        }
    }
    roots
        .into_iter()
        .filter_map(|root| {
            let cib = Cib::from_root(root).ok()?;
            let plan = plan(&cib, &situation(scene));
            Some(Try { cib, plan })
        })
        .collect()
}

fn situation(scene: &Scene) -> Situation {
    scene.situation.clone()
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

/// Without the constraint and those that say the same more weakly, so that none stands in for another.
fn without_all(scene: &Scene, tries: &[Try], e: &Element, all: &[Element]) -> bool {
    let weaker = all.iter().filter(|other| stronger(scene, other, e).is_some());
    let ids: Vec<&str> = weaker.filter_map(Element::id).chain(e.id()).collect();
    if ids.len() == 1 {
        return true;
    }
    tries.iter().all(|t| {
        let mut root = t.cib.root().clone();
        for id in &ids {
            edit::remove_constraint(&mut root, id);
        }
        let Ok(cib) = Cib::from_root(root) else { return false };
        outcome::same(&plan(&cib, &situation(scene)), &t.plan)
    })
}

fn removed(t: &Try, id: &str) -> Option<Cib> {
    let mut root = t.cib.root().clone();
    edit::remove_constraint(&mut root, id);
    Cib::from_root(root).ok()
}

/// Whether a situation's plan is the same without the constraint.
fn without(scene: &Scene, t: &Try, id: &str) -> bool {
    removed(t, id).is_some_and(|cib| outcome::same(&plan(&cib, &situation(scene)), &t.plan))
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

/// A constraint without effect: shadowed by a stronger one, or simply without.
fn useless(scene: &Scene, e: &Element, all: &[Element], tries: &[Try]) -> Option<Fact> {
    if let Some((by, why)) = all.iter().find_map(|other| stronger(scene, e, other)) {
        let text = format!("{by} is stronger: {why}; removing this one changes nothing");
        return Some(Fact::new("shadowed", text).with("by", by));
    }
    if !without_all(scene, tries, e, all) {
        // What makes it superfluous is a weaker constraint that says a part of the same.
        return None;
    }
    let others = tries.len().saturating_sub(1);
    let fact = Fact::new(
        "no-effect",
        format!(
            "removing it changes nothing: not in the present plan, and not in the plans for {} (everything stopped, each node in standby, each ticket revoked)",
            words::count(i64::try_from(others).unwrap_or(0), "other situation", "other situations")
        ),
    );
    Some(fact.with("situations", tries.len()))
}

/// Whether `other` says as much as `e`, and more strongly (or says the same and comes first).
fn stronger(scene: &Scene, e: &Element, other: &Element) -> Option<(String, String)> {
    let st = scene.st();
    let (id, by) = (e.id()?, other.id()?);
    if id == by || e.name() != other.name() {
        return None;
    }
    match e.name() {
        "rsc_location" => {
            // Leaf by leaf and node by node: banned, or at least as strongly wished.
            let cells = |id: &str| -> BTreeMap<(ResourceIx, NodeIx), i32> {
                let mut map = BTreeMap::new();
                for l in st.locations.iter().filter(|l| l.id == id && !l.health) {
                    for leaf in outcome::leaves(st, l.resource) {
                        for (n, score) in &l.nodes {
                            map.insert((leaf, *n), *score);
                        }
                    }
                }
                map
            };
            let (mine, theirs) = (cells(id), cells(by));
            let covers = !mine.is_empty()
                && mine.iter().all(|(at, score)| {
                    theirs.get(at).is_some_and(|s| {
                        *s <= -INFINITY || (s.abs() >= INFINITY && s.signum() == score.signum()) || s == score
                    })
                });
            if !covers {
                return None;
            }
            let same = mine == theirs;
            let ban = theirs.values().any(|s| *s <= -INFINITY);
            if same && later(scene, id, by) {
                return None;
            }
            let why = match (same, ban) {
                (true, _) => "it says the same",
                (_, true) => "it forbids the same nodes to the same resource",
                _ => "it wishes the same with INFINITY",
            };
            Some((by.to_owned(), why.to_owned()))
        }
        "rsc_colocation" => {
            let pairs = |id: &str| -> Vec<_> {
                let own = st.colocations.iter().filter(|c| c.id == id);
                own.map(|c| {
                    (c.dependent, c.primary, c.dependent_role, c.primary_role, c.attribute.clone(), c.score)
                })
                .collect()
            };
            let (mine, theirs) = (pairs(id), pairs(by));
            let covers = !mine.is_empty()
                && mine.iter().all(|m| {
                    theirs.iter().any(|t| {
                        (&t.0, &t.1, &t.2, &t.3, &t.4) == (&m.0, &m.1, &m.2, &m.3, &m.4)
                            && (t.5.abs() >= INFINITY || t.5 == m.5)
                    })
                });
            if !covers || (mine == theirs && later(scene, id, by)) {
                return None;
            }
            let why = if mine == theirs {
                "it says the same"
            } else {
                "it says it of the same resources with INFINITY"
            };
            Some((by.to_owned(), why.to_owned()))
        }
        "rsc_order" => {
            let (mine, theirs) = (scene.order_pairs(e), scene.order_pairs(other));
            let covers = !mine.is_empty()
                && mine.iter().all(|m| {
                    theirs.iter().any(|t| {
                        (t.first, &t.first_task, t.then, &t.then_task)
                            == (m.first, &m.first_task, m.then, &m.then_task)
                            && (m.optional || !t.optional)
                    })
                });
            if !covers || (mine == theirs && later(scene, id, by)) {
                return None;
            }
            let why = if mine == theirs {
                "it says the same"
            } else {
                "it orders the same resources, and as strictly"
            };
            Some((by.to_owned(), why.to_owned()))
        }
        "rsc_ticket" => {
            let uses = |id: &str| -> Vec<_> {
                let own = st.ticket_uses.iter().filter(|u| u.constraint == id);
                own.map(|u| (u.resource, u.ticket.clone(), u.role)).collect()
            };
            let (mine, theirs) = (uses(id), uses(by));
            let covers = !mine.is_empty() && mine.iter().all(|m| theirs.contains(m));
            (covers && !(mine == theirs && later(scene, id, by)))
                .then(|| (by.to_owned(), "it asks for the same ticket".to_owned()))
        }
        _ => None,
    }
}

/// Of two that say the same, the later one is the superfluous one.
fn later(scene: &Scene, id: &str, by: &str) -> bool {
    let all = scene.constraint_elements();
    let at = |x: &str| all.iter().position(|e| e.id() == Some(x));
    at(by) > at(id)
}

/// Constraints that together leave a resource no node in a cluster where nothing else stands in the way.
fn contradictions(scene: &Scene, constraints: &[&Element], fresh: Option<&Try>, out: &mut [Vec<Fact>]) {
    let Some(fresh) = fresh else { return };
    let base = Outcome::of(&fresh.plan);
    let view = Scene::new(&fresh.cib, &situation(scene));
    let st = view.st();
    // Each with the name to show for it: the parts of a bundle are the bundle's.
    let idle: Vec<(String, String)> = base
        .places
        .iter()
        .filter(|(_, places)| places.is_empty())
        .filter_map(|(id, _)| {
            let leaf = outcome::all(st).find(|r| st[*r].is_primitive() && outcome::printed(st, *r) == id)?;
            // What is told to be stopped contradicts nothing.
            let meant = view.general(leaf).is_empty() && !st[leaf].flags.orphan;
            let shown = st[st.top_of(leaf)].parent.map_or(id.as_str(), |bundle| st[bundle].config_id());
            meant.then(|| (id.clone(), shown.to_owned()))
        })
        .collect();
    if idle.is_empty() {
        return;
    }
    // Whatever helps when it is left out has a share in it, constraints that were not asked about too.
    let everything = scene.constraint_elements();
    let mut guilty: BTreeMap<&String, Vec<String>> = BTreeMap::new();
    for e in &everything {
        let id = e.id().unwrap_or_default();
        let Some(cib) = removed(fresh, id) else { continue };
        let after = Outcome::of(&plan(&cib, &situation(scene)));
        for (resource, shown) in &idle {
            let ids = guilty.entry(shown).or_default();
            if !after.nodes(resource).is_empty() && ids.last().is_none_or(|last| last != id) {
                ids.push(id.to_owned());
            }
        }
    }
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
fn cycles(scene: &Scene, all: &[Element]) -> BTreeMap<String, Fact> {
    let mut found = BTreeMap::new();
    order_cycles(scene, all, &mut found);
    colocation_cycles(scene, all, &mut found);
    found
}

fn order_cycles(scene: &Scene, all: &[Element], found: &mut BTreeMap<String, Fact>) {
    let st = scene.st();
    let up = |task: &Task| matches!(task, Task::Start | Task::Promote);
    let mut edges: Vec<(String, ResourceIx, ResourceIx)> = Vec::new();
    for e in all.iter().filter(|e| e.name() == "rsc_order") {
        for p in scene.order_pairs(e) {
            if let (Some(first), Some(then)) = (p.first, p.then)
                && !p.optional
                && !p.inverse
                && up(&p.first_task)
                && up(&p.then_task)
            {
                edges.push((e.id().unwrap_or_default().to_owned(), first, then));
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
    let whole = plan(&cib, &situation(scene));
    let ends = |cib: &Cib, plan: &Plan| simulate::run(cib, plan, &[], scene.situation.now).complete;
    let with = ends(&cib, &whole);
    let down = |plan: &Plan| Outcome::of(plan).places.values().filter(|p| p.is_empty()).count();
    let mut root = cib.root().clone();
    edit::remove_constraint(&mut root, id);
    let Ok(other) = Cib::from_root(root) else { return String::new() };
    let changed = plan(&other, &situation(scene));
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
