//! Constraints and rules of the Heartbeat 2.x dialect.

use super::change::{Change, Level, place};
use super::ids::Renamed;
use super::names::{attributes_only, capital, score};
use crate::Element;

pub(super) fn convert(old: &Element, renamed: &Renamed, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("constraints");
    for constraint in old.children() {
        match constraint.name() {
            "rsc_order" => order(constraint, renamed, changes).into_iter().for_each(|c| new.push(c)),
            "rsc_colocation" => {
                colocation(constraint, renamed, changes).into_iter().for_each(|c| new.push(c))
            }
            "rsc_location" => location(constraint, renamed, changes).into_iter().for_each(|c| new.push(c)),
            _ => {}
        }
    }
    new
}

/// The resource's modern id. The old language could name one instance of a clone; the modern one
/// names the resource.
fn resource(id: &str, renamed: &Renamed) -> String {
    let base = id.split_once(':').map_or(id, |(base, _)| base);
    renamed.get(id).or_else(|| renamed.get(base)).cloned().unwrap_or_else(|| base.to_owned())
}

/// The rules of a `lifetime`, which has no id today.
fn lifetime(old: &Element, new: &mut Element) {
    if let Some(lifetime) = old.child("lifetime") {
        let mut kept = Element::new("lifetime");
        lifetime.children_named("rule").for_each(|one| kept.push(rule(one)));
        new.push(kept);
    }
}

/// `FROM after TO` reads "start FROM after start TO"; `before` the other way.
fn order(old: &Element, renamed: &Renamed, changes: &mut Vec<Change>) -> Option<Element> {
    let end = |name: &str| resource(old.attr(name).unwrap_or_default(), renamed);
    let mut new = Element::new("rsc_order").with_attr("id", old.id().unwrap_or_default());
    let (action, to_action) = (old.attr("action"), old.attr("to_action"));
    let unknown = [action, to_action].into_iter().flatten().find(|action| !ACTIONS.contains(action));
    if let Some(unknown) = unknown {
        let text = format!("dropping it: an order is between {}, not \"{unknown}\"", ACTIONS.join(", "));
        changes.push(Change { level: Level::Warning, place: place(old), text });
        return None;
    }
    if old.attr("type") == Some("before") {
        new.set_attr("first", end("from"));
        new.set_attr("then", end("to"));
        if let Some(action) = action {
            new.set_attr("first-action", action);
        }
        if let Some(action) = to_action {
            new.set_attr("then-action", action);
        }
    } else {
        new.set_attr("first", end("to"));
        new.set_attr("then", end("from"));
        new.set_attr("first-action", to_action.or(action).unwrap_or("start"));
        new.set_attr("then-action", action.unwrap_or("start"));
    }
    if let Some(text) = old.attr("score") {
        new.set_attr("score", score(text));
    }
    if let Some(symmetrical) = old.attr("symmetrical") {
        new.set_attr("symmetrical", truth(symmetrical));
    }
    lifetime(old, &mut new);
    Some(new)
}

const ACTIONS: &[&str] = &["start", "promote", "demote", "stop"];

fn truth(word: &str) -> &'static str {
    if matches!(word, "true" | "1" | "yes" | "on" | "y") { "true" } else { "false" }
}

/// One constraint, or two where it was symmetrical.
fn colocation(old: &Element, renamed: &Renamed, changes: &mut Vec<Change>) -> Vec<Element> {
    let id = old.id().unwrap_or_default();
    let (from, to) = (old.attr("from").unwrap_or_default(), old.attr("to").unwrap_or_default());
    let (from_role, to_role) = (old.attr("from_role"), old.attr("to_role"));
    let one = |id: String, from: &str, to: &str, from_role: Option<&str>, to_role: Option<&str>| {
        let mut new = Element::new("rsc_colocation").with_attr("id", id);
        new.set_attr("rsc", resource(from, renamed));
        new.set_attr("with-rsc", resource(to, renamed));
        new.set_attr("score", score(old.attr("score").unwrap_or("INFINITY")));
        if let Some(role) = from_role {
            new.set_attr("rsc-role", capital(role));
        }
        if let Some(role) = to_role {
            new.set_attr("with-rsc-role", capital(role));
        }
        if let Some(attribute) = old.attr("node_attribute") {
            new.set_attr("node-attribute", attribute);
        }
        new
    };
    let mut first = one(id.to_owned(), from, to, from_role, to_role);
    lifetime(old, &mut first);
    let mut all = vec![first];
    if old.attr("symmetrical").is_some_and(|word| truth(word) == "true") {
        changes.push(Change {
            level: Level::Info,
            place: place(old),
            text: format!("symmetrical: adding the reverse as {id}-sym"),
        });
        let mut reverse = one(format!("{id}-sym"), to, from, to_role, from_role);
        lifetime(old, &mut reverse);
        all.push(reverse);
    }
    all
}

fn location(old: &Element, renamed: &Renamed, changes: &mut Vec<Change>) -> Option<Element> {
    let mut new = Element::new("rsc_location").with_attr("id", old.id().unwrap_or_default());
    new.set_attr("rsc", resource(old.attr("rsc").unwrap_or_default(), renamed));
    let rules: Vec<&Element> = old.children_named("rule").collect();
    let mut note = |text: &str| {
        changes.push(Change { level: Level::Warning, place: place(old), text: text.to_owned() });
    };
    match (old.attr("node"), rules.is_empty()) {
        (Some(node), true) => {
            new.set_attr("score", score(old.attr("score").unwrap_or("0")));
            new.set_attr("node", node);
        }
        (node, false) => {
            if node.is_some() {
                note("dropping its node and score: its rules say where");
            }
            rules.iter().for_each(|one| new.push(rule(one)));
        }
        (None, true) => {
            note("dropping it: it names neither a node nor a rule and had no effect");
            return None;
        }
    }
    lifetime(old, &mut new);
    Some(new)
}

/// A rule with what is in it.
pub(super) fn rule(old: &Element) -> Element {
    let mut new = attributes_only(old, "rule", |name, value| match name {
        "id" => Some((name.to_owned(), value.to_owned())),
        "score" => Some((name.to_owned(), score(value))),
        "role" => Some((name.to_owned(), capital(value))),
        "score_attribute" | "score-attribute" => Some(("score-attribute".into(), value.to_owned())),
        "boolean_op" | "boolean-op" => Some(("boolean-op".into(), value.to_owned())),
        _ => None,
    });
    if new.attr("score-attribute").is_some() {
        new.remove_attr("score");
    } else if new.attr("score").is_none() {
        new.set_attr("score", "0");
    }
    for child in old.children() {
        match child.name() {
            "rule" => new.push(rule(child)),
            "expression" => new.push(attributes_only(child, "expression", |name, value| {
                let kept = matches!(name, "id" | "attribute" | "operation" | "value" | "type");
                kept.then(|| (name.to_owned(), value.to_owned()))
            })),
            "date_expression" => new.push(date(child)),
            _ => {}
        }
    }
    if new.children().next().is_none() {
        // A rule without conditions always held.
        let id = format!("{}-always", old.id().unwrap_or("rule"));
        let always = Element::new("expression").with_attr("id", id).with_attr("attribute", "#uname");
        new.push(always.with_attr("operation", "defined"));
    }
    new
}

fn date(old: &Element) -> Element {
    let mut new = attributes_only(old, "date_expression", |name, value| {
        matches!(name, "id" | "operation" | "start" | "end").then(|| (name.to_owned(), value.to_owned()))
    });
    let fields = |child: &Element| {
        attributes_only(child, child.name(), |name, value| {
            // The schemas before 3.9 know the field only under this name.
            let name = if name == "yeardays" { "yearsdays" } else { name };
            Some((name.to_owned(), value.to_owned()))
        })
    };
    let operation = old.attr("operation").unwrap_or("in_range").to_owned();
    let (start, end) = (old.attr("start").is_some(), old.attr("end").is_some());
    let duration = old.child("duration").filter(|_| !end && start);
    let operation = match operation.as_str() {
        "in_range" if end || duration.is_some() => "in_range",
        // Open at its end: everything after the start.
        "in_range" if start => "gt",
        other => other,
    };
    new.set_attr("operation", operation);
    match operation {
        "date_spec" => {
            new.remove_attr("start");
            new.remove_attr("end");
            old.child("date_spec").into_iter().for_each(|child| new.push(fields(child)));
        }
        "gt" => new.remove_attr("end"),
        "lt" => new.remove_attr("start"),
        _ => duration.into_iter().for_each(|child| new.push(fields(child))),
    }
    new
}
