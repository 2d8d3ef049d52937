//! Constraints of all four kinds, with sets.

use cib::Element;

use super::draw::{Draw, Kind, el};
use super::rules::{self, Use};

const ROLES: &[&str] = &["Started", "Promoted", "Unpromoted", "Master", "Slave", "Stopped"];

/// The `constraints` section.
pub fn constraints(d: &mut Draw) -> Element {
    let mut section = Element::new("constraints");
    let most = if d.named.len() > 1 { 6 } else { 2 };
    for _ in 0..d.between(0, most) {
        let constraint = match d.chance.below(10) {
            0..=3 => location(d),
            4..=6 => colocation(d),
            _ => order(d),
        };
        if let Some(constraint) = constraint {
            section.push(constraint);
        }
    }
    if d.themes.opt_in {
        for named in d.named.clone() {
            for node in d.nodes.clone() {
                if d.percent(45) {
                    let id = d.id("loc");
                    let score = d.pick(&["0", "10", "100", "INFINITY"]);
                    let pairs = [("id", &*id), ("rsc", &named.id), ("node", &node.name), ("score", score)];
                    section.push(el("rsc_location", &pairs));
                }
            }
        }
    }
    if d.themes.tickets {
        for _ in 0..d.between(1, 2) {
            if let Some(ticket) = ticket(d) {
                section.push(ticket);
            }
        }
    }
    section
}

/// A resource, or a tag or template in its place.
fn subject(d: &mut Draw) -> Option<(String, bool)> {
    let mut groups: Vec<String> = d.tags.clone();
    groups.extend(d.templates.iter().map(|(id, _)| id.clone()));
    if !groups.is_empty() && d.percent(25) {
        return d.one_of(&groups).map(|id| (id, false));
    }
    let named = d.target()?;
    let promotable = matches!(named.kind, Kind::Promotable | Kind::PromotableBundle);
    Some((named.id, promotable))
}

fn lifetime(d: &mut Draw, e: &mut Element) {
    if d.themes.rules && d.percent(8) {
        let rule = rules::rule(d, Use::Lifetime, 0);
        let lifetime = Element::new("lifetime").with_child(rule);
        // The language wants it before the sets, except in a location.
        match e.name() {
            "rsc_location" => e.push(lifetime),
            _ => e.insert_node(0, lifetime),
        }
    }
}

/// A set of resources.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Location,
    Colocation,
    Order,
    Ticket,
}

fn set(d: &mut Draw, purpose: For) -> Option<Element> {
    let id = d.id("rs");
    let mut set = el("resource_set", &[("id", &id)]);
    if d.percent(35) {
        let value = d.pick(&["true", "false"]);
        set.set_attr("sequential", value);
    }
    match purpose {
        For::Order => {
            if d.percent(25) {
                let value = d.pick(&["false", "false", "true"]);
                set.set_attr("require-all", value);
            }
            if d.percent(20) {
                let action = d.pick(&["start", "stop", "promote", "demote"]);
                set.set_attr("action", action);
            }
            if d.percent(20) {
                let kind = d.pick(&["Optional", "Mandatory", "Serialize"]);
                set.set_attr("kind", kind);
            }
        }
        For::Colocation | For::Location => {
            if d.percent(20) {
                let role = d.pick(ROLES);
                set.set_attr("role", role);
            }
            if d.percent(20) {
                let score = d.score();
                set.set_attr("score", score);
            }
            if purpose == For::Colocation && d.percent(15) {
                let value = d.pick(&["group", "listed"]);
                set.set_attr("ordering", value);
            }
        }
        For::Ticket => {
            if d.percent(30) {
                let role = d.pick(ROLES);
                set.set_attr("role", role);
            }
        }
    }
    for _ in 0..d.between(1, 3) {
        let (id, _) = subject(d)?;
        if !set.children().any(|c| c.id() == Some(id.as_str())) {
            set.push(el("resource_ref", &[("id", &id)]));
        }
    }
    if purpose == For::Order {
        d.sets.push(id);
    }
    Some(set)
}

/// One to three sets; none if there is nothing to put into one.
fn sets(d: &mut Draw, e: &mut Element, purpose: For) -> Option<()> {
    let earlier = d.sets.clone();
    for _ in 0..d.between(1, 3) {
        if purpose == For::Order && d.percent(12) {
            if let Some(id) = d.one_of(&earlier) {
                e.push(el("resource_set", &[("id-ref", &id)]));
                continue;
            }
        }
        let mut set = set(d, purpose)?;
        if d.percent(95) {
            // The reference dies of an action that is ordered after itself.
            let there = |id: &str| e.descendants().any(|r| r.name() == "resource_ref" && r.id() == Some(id));
            set.retain_children(|r| !r.id().is_some_and(there));
            if set.is_leaf() {
                continue;
            }
        }
        e.push(set);
    }
    e.children().next().map(|_| ())
}

fn location(d: &mut Draw) -> Option<Element> {
    let id = d.id("loc");
    let mut e = el("rsc_location", &[("id", &id)]);
    let by_rule = d.themes.rules && d.percent(60);
    let with_sets = d.themes.sets && d.percent(30);
    if with_sets {
        // The language wants sets before rules, and at least one.
        let first = set(d, For::Location)?;
        e.push(first);
    } else if d.percent(6) {
        let pattern = d.pick(&["p-.*", "^c", "!^p", "(g|c)-([0-9]+)", "-1"]);
        e.set_attr("rsc-pattern", pattern);
    } else {
        let (rsc, promotable) = subject(d)?;
        e.set_attr("rsc", rsc);
        let percent = if promotable { 40 } else { 6 };
        if d.percent(percent) {
            let role = d.pick(ROLES);
            e.set_attr("role", role);
        }
    }
    if by_rule {
        let earlier = d.rules.clone();
        for _ in 0..d.between(1, 2) {
            if d.percent(6) {
                if let Some(id) = d.one_of(&earlier) {
                    e.push(el("rule", &[("id-ref", &id)]));
                    continue;
                }
            }
            let rule = rules::rule(d, Use::Location, 0);
            e.push(rule);
        }
    } else {
        let (node, score) = (d.node_name(), d.score());
        e.set_attr("node", node);
        e.set_attr("score", score);
    }
    if d.percent(10) {
        let value = d.pick(&["always", "never", "exclusive"]);
        e.set_attr("resource-discovery", value);
    }
    lifetime(d, &mut e);
    Some(e)
}

fn colocation(d: &mut Draw) -> Option<Element> {
    let id = d.id("col");
    let mut e = el("rsc_colocation", &[("id", &id)]);
    if d.percent(95) {
        let score = d.score();
        e.set_attr("score", score);
    }
    if d.percent(12) {
        let value = d.pick(&["true", "false"]);
        e.set_attr("influence", value);
    }
    if d.themes.sets && d.percent(50) {
        sets(d, &mut e, For::Colocation)?;
    } else {
        let ((rsc, a), (with, b)) = (subject(d)?, subject(d)?);
        if rsc == with && d.percent(95) {
            return None;
        }
        e.set_attr("rsc", rsc);
        e.set_attr("with-rsc", with);
        for (attribute, promotable) in [("rsc-role", a), ("with-rsc-role", b)] {
            let percent = if promotable { 55 } else { 5 };
            if d.percent(percent) {
                let role = d.pick(&ROLES[..5]);
                e.set_attr(attribute, role);
            }
        }
        if d.percent(10) {
            let name = d.pick(&["zone", "#uname", "missing", "cpu"]);
            e.set_attr("node-attribute", name);
        }
    }
    lifetime(d, &mut e);
    Some(e)
}

fn order(d: &mut Draw) -> Option<Element> {
    let id = d.id("ord");
    let mut e = el("rsc_order", &[("id", &id)]);
    if d.percent(50) {
        let kind = d.pick(&["Mandatory", "Optional", "Serialize"]);
        e.set_attr("kind", kind);
    } else if d.percent(10) {
        let score = d.score();
        e.set_attr("score", score);
    }
    if d.percent(20) {
        let value = d.pick(&["false", "false", "true"]);
        e.set_attr("symmetrical", value);
    }
    if d.themes.sets && d.percent(50) {
        sets(d, &mut e, For::Order)?;
    } else {
        let ((first, a), (then, b)) = (subject(d)?, subject(d)?);
        if first == then {
            return None;
        }
        e.set_attr("first", first);
        e.set_attr("then", then);
        for (attribute, promotable) in [("first-action", a), ("then-action", b)] {
            let percent = if promotable { 50 } else { 10 };
            if d.percent(percent) {
                let action = if promotable {
                    d.pick(&["promote", "promote", "demote", "start", "stop"])
                } else {
                    d.pick(&["start", "stop"])
                };
                e.set_attr(attribute, action);
            }
        }
        if d.percent(6) {
            let value = d.pick(&["false", "true"]);
            e.set_attr("require-all", value);
        }
    }
    lifetime(d, &mut e);
    Some(e)
}

fn ticket(d: &mut Draw) -> Option<Element> {
    let id = d.id("tick");
    let name = d.pick(&["ticketA", "ticketB"]);
    if !d.tickets.iter().any(|t| t == name) {
        d.tickets.push(name.to_owned());
    }
    let mut e = el("rsc_ticket", &[("id", &id), ("ticket", name)]);
    if d.percent(80) {
        let policy = d.pick(&["stop", "demote", "fence", "freeze"]);
        e.set_attr("loss-policy", policy);
    }
    if d.themes.sets && d.percent(40) {
        let set = set(d, For::Ticket)?;
        e.push(set);
    } else {
        let (rsc, promotable) = subject(d)?;
        e.set_attr("rsc", rsc);
        let percent = if promotable { 60 } else { 6 };
        if d.percent(percent) {
            let role = d.pick(&ROLES[..5]);
            e.set_attr("rsc-role", role);
        }
    }
    Some(e)
}
