//! `crm_resource --why` and `--constraints`: the reference's lines first, where scripts look for them, ours
//! after.

use crm_core::explain::{self, text};
use crm_core::policy::ix::ResourceIx;
use crm_core::policy::render::xml::{self, Tag};
use crm_core::policy::state::{HealthStrategy, Role};
use crm_core::policy::values::INFINITY;

use super::{Arguments, Failure, unknown};
use crate::exit;
use crate::view::{View, situation};

/// Why a resource (or every one) is, or is not, where it is.
pub(super) fn why(view: &View, arguments: &Arguments, form: Form) -> Result<(), Failure> {
    let chosen = match &arguments.resource {
        Some(id) => vec![view.resource(id).ok_or_else(|| unknown(id))?],
        None => view.state.top.clone(),
    };
    if let Some(node) = &arguments.node
        && view.node(node).is_none()
    {
        let text = format!("Node '{node}' not found\nError performing operation: No such object");
        return Err(Failure::new(exit::NOSUCH, text));
    }
    let node = arguments.node.as_deref();
    let asked = arguments.resource.as_deref();
    let told = explain::explain(&view.cib, &situation(), asked, node).unwrap_or_default();
    if form == Form::Xml {
        let mut reason = Tag::new("reason");
        let mut list = Tag::new("resources");
        for r in &chosen {
            let subject = outermost(view, *r);
            let checks = checks(view, *r, node).into_iter().map(|check| check.tag(&subject));
            if asked.is_some() {
                if node.is_none() {
                    reason = reason.with_flag("running", !view.active(*r).is_empty());
                }
                reason = reason.with_children(checks);
            } else {
                let tag = Tag::new("resource").with("id", view.state[*r].id.as_str());
                let running = !view.active(*r).is_empty();
                list.push(tag.with_flag("running", running).with_children(checks));
            }
        }
        if asked.is_none() {
            reason.push(list);
        }
        reason.push(text::tree(&told).to_tag("explanations"));
        print!("{}", xml::document("crm_resource --why", vec![reason], 0, "OK", ""));
        return Ok(());
    }
    if form == Form::Json {
        print!("{}", text::tree(&told).to_json());
        return Ok(());
    }
    for r in &chosen {
        classic(view, *r, node);
    }
    if !told.is_empty() && !arguments.quiet {
        println!("\n{}", text::all(&told).trim_end());
    }
    Ok(())
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Json,
    Xml,
}

/// The reference's answer.
fn classic(view: &View, r: ResourceIx, node: Option<&str>) {
    let state = &view.state;
    let id = &state[r].id;
    let subject = outermost(view, r);
    let active = view.active(r);
    match node {
        Some(node) => {
            let there = active.iter().any(|(n, _)| n.eq_ignore_ascii_case(node));
            let is = if there { "is running" } else { "is not running" };
            println!("Resource {id} {is} on host {node}");
        }
        None if active.is_empty() => println!("Resource {id} is not running"),
        None => println!("Resource {id} is running"),
    }
    checks(view, r, node).iter().for_each(|c| println!("{}", c.text(&subject)));
}

/// What the reference looks at.
enum Check {
    RemainStopped,
    NotPromoted,
    Unmanaged,
    Locked(String),
    Unhealthy(&'static str),
}

impl Check {
    fn text(&self, id: &str) -> String {
        match self {
            Check::RemainStopped => format!("Configuration specifies '{id}' should remain stopped"),
            Check::NotPromoted => format!("Configuration specifies '{id}' should not be promoted"),
            Check::Unmanaged => {
                format!("Configuration prevents cluster from stopping or starting unmanaged '{id}'")
            }
            Check::Locked(node) => format!("'{id}' is locked to node {node} due to shutdown"),
            Check::Unhealthy(strategy) => {
                format!("'{id}' cannot run on unhealthy nodes due to node-health-strategy='{strategy}'")
            }
        }
    }

    fn tag(&self, id: &str) -> Tag {
        let tag = Tag::new("check").with("id", id);
        match self {
            Check::RemainStopped => tag.with_flag("remain_stopped", true),
            Check::NotPromoted => tag.with_flag("promotable", false),
            Check::Unmanaged => tag.with_flag("unmanaged", true),
            Check::Locked(node) => tag.with("locked-to", node.as_str()),
            Check::Unhealthy(_) => tag.with_flag("unhealthy", true),
        }
    }
}

/// The id that the reference's checks speak of: that of the outermost resource.
fn outermost(view: &View, r: ResourceIx) -> String {
    let mut at = r;
    while let Some(parent) = view.state[at].parent {
        at = parent;
    }
    view.state[at].id.clone()
}

fn checks(view: &View, r: ResourceIx, node: Option<&str>) -> Vec<Check> {
    let state = &view.state;
    let mut out = Vec::new();
    match state[r].meta("target-role").map(Role::parse) {
        Some(Role::Stopped) => out.push(Check::RemainStopped),
        Some(Role::Unpromoted) if state[r].flags.promotable => out.push(Check::NotPromoted),
        _ => {}
    }
    let managed = state[r].flags.managed;
    if !managed {
        out.push(Check::Unmanaged);
    }
    if let Some(lock) = state[r].lock_node {
        out.push(Check::Locked(state[lock].name.clone()));
    }
    // Health is only looked at for a node.
    let unhealthy = node.and_then(|name| view.node(name)).into_iter().any(|n| {
        state[n].attributes.iter().any(|(k, v)| k.starts_with("#health") && state.score(Some(v)) < 0)
    });
    let strategy = state.options.health_strategy;
    if strategy != HealthStrategy::None && unhealthy {
        out.push(Check::Unhealthy(strategy.word()));
    }
    out
}

/// Locations and colocations of a resource, as the reference lists them; then ours, with what they mean.
pub(super) fn constraints(view: &View, id: &str, recursive: bool, form: Form) -> Result<(), Failure> {
    let r = view.resource(id).ok_or_else(|| unknown(id))?;
    let target = view.constrained(r);
    let name = view.state[target].config_id().to_owned();
    let read = explain::constraints(&view.cib, &situation(), Some(&name)).unwrap_or_default();
    let plan = crm_core::policy::plan(&view.cib, &situation());
    let list = List { view, plan: &plan, recursive };
    match form {
        Form::Json => print!("{}", explain::constraints::tree(&read).to_json()),
        Form::Xml => {
            let mut tag = Tag::new("constraints");
            list.tags(target, &mut tag);
            tag.push(explain::constraints::tree(&read).to_tag("readings"));
            print!("{}", xml::document("crm_resource --constraints", vec![tag], 0, "OK", ""));
        }
        Form::Text => {
            list.locations(target, 0);
            for with in [false, true] {
                list.colocations(target, with, 0, &mut vec![target]);
            }
            if !read.is_empty() {
                println!("\n{}", explain::constraints::text(&read).trim_end());
            }
        }
    }
    Ok(())
}

struct List<'a> {
    view: &'a View,
    plan: &'a crm_core::policy::Plan,
    recursive: bool,
}

fn score(score: i32) -> String {
    match score {
        s if s >= INFINITY => "INFINITY".to_owned(),
        s if s <= -INFINITY => "-INFINITY".to_owned(),
        s => s.to_string(),
    }
}

impl List<'_> {
    /// The plan's name for a resource of the view: both were read from the same document.
    fn found(&self, r: ResourceIx) -> Vec<(String, String, String, String)> {
        let state = &self.plan.state;
        let id = self.view.state[r].id.as_str();
        let mut out = Vec::new();
        for location in state.locations.iter().rev().filter(|l| state[l.resource].id == id && !l.health) {
            for (n, s) in &location.nodes {
                // What a rule gives goes by the rule's id.
                let by = location.rule.as_ref().unwrap_or(&location.id);
                let row = (state[*n].name.clone(), score(*s), by.clone(), id.to_owned());
                out.push(row);
            }
        }
        out
    }

    fn locations(&self, r: ResourceIx, depth: usize) {
        let found = self.found(r);
        if found.is_empty() {
            return;
        }
        let (head, pad) = match depth {
            0 => (String::new(), "  ".to_owned()),
            _ => (format!("{}* ", "  ".repeat(depth)), "  ".repeat(depth + 1)),
        };
        println!("{head}Locations:");
        for (node, score, id, rsc) in found {
            println!("{pad}* Node {node} (score={score}, id={id}, rsc={rsc})");
        }
    }

    /// What a resource is colocated with, or what is colocated with it; a stack goes on in that direction.
    fn colocations(&self, r: ResourceIx, with: bool, depth: usize, seen: &mut Vec<ResourceIx>) {
        let state = &self.plan.state;
        let id = self.view.state[r].id.clone();
        let of = |with: bool| -> Vec<_> {
            let Some(r) = state.find(&id) else { return Vec::new() };
            let list = if with { &state[r].this_with } else { &state[r].with_this };
            let own = |c: &&crm_core::policy::state::Colocation| {
                let side = if with { c.dependent } else { c.primary };
                state[side].id == id && !explain::is_internal(&c.id)
            };
            list.iter().map(|ix| &state[*ix]).filter(own).cloned().collect()
        };
        let list = of(with);
        if list.is_empty() {
            return;
        }
        let (head, pad) = match depth {
            0 => (String::new(), "  ".to_owned()),
            _ => (format!("{}* ", "  ".repeat(depth)), "  ".repeat(depth + 1)),
        };
        match with {
            true => println!("{head}Resources {id} is colocated with:"),
            false => println!("{head}Resources colocated with {id}:"),
        }
        for c in list {
            let other = if with { c.primary } else { c.dependent };
            let role = |name: &str, role: Role| match role {
                Role::Promoted | Role::Unpromoted => format!("{name}={}, ", role.word()),
                _ => String::new(),
            };
            let (mine, theirs) = match with {
                true => (c.dependent_role, c.primary_role),
                false => (c.primary_role, c.dependent_role),
            };
            let roles = format!("{}{}", role("needs role", mine), role("with role", theirs));
            let name = &state[other].id;
            let there = self.view.resource(name);
            if self.recursive && there.is_some_and(|there| seen.contains(&there)) {
                println!("{pad}* {name} (id={} - loop)", c.id);
                continue;
            }
            println!("{pad}* {name} ({roles}score={}, id={})", score(c.score), c.id);
            let Some(there) = there else { continue };
            seen.push(there);
            self.locations(there, depth + 2);
            if self.recursive {
                self.colocations(there, with, depth + 2, seen);
            }
        }
    }

    fn tags(&self, r: ResourceIx, tag: &mut Tag) {
        for (node, score, id, rsc) in self.found(r) {
            tag.push(
                Tag::new("rsc_location")
                    .with("node", node)
                    .with("rsc", rsc)
                    .with("id", id)
                    .with("score", score),
            );
        }
        let state = &self.plan.state;
        let id = self.view.state[r].id.as_str();
        for c in state.colocations.iter().filter(|c| !explain::is_internal(&c.id)) {
            if state[c.dependent].id == id || state[c.primary].id == id {
                tag.push(
                    Tag::new("rsc_colocation")
                        .with("id", c.id.as_str())
                        .with("rsc", state[c.dependent].id.as_str())
                        .with("with-rsc", state[c.primary].id.as_str())
                        .with("score", score(c.score)),
                );
            }
        }
    }
}
