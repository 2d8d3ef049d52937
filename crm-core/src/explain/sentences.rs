//! Constraints as plain sentences.

use cib::Element;

use super::words;
use crate::policy::values::{self, HealthScores, INFINITY};

/// The score of a constraint or rule as a number.
pub fn score_of(text: Option<&str>) -> i32 {
    values::parse_score(text, &HealthScores::default())
}

/// One constraint as a sentence, without a full stop. `stands_for_sets`: one of its ends is a tag or a template.
pub fn sentence(e: &Element, stands_for_sets: bool) -> String {
    match e.name() {
        "rsc_location" => location(e),
        "rsc_colocation" => colocation(e),
        "rsc_order" => order(e, stands_for_sets),
        "rsc_ticket" => ticket(e),
        other => format!("{other} is no kind of constraint that the planner knows"),
    }
}

fn role(name: Option<&str>) -> Option<&'static str> {
    match name.map(crate::policy::state::Role::parse)? {
        crate::policy::state::Role::Promoted => Some("promoted"),
        crate::policy::state::Role::Unpromoted => Some("unpromoted"),
        crate::policy::state::Role::Stopped => Some("stopped"),
        _ => None,
    }
}

fn members(set: &Element) -> Vec<&str> {
    set.children_named("resource_ref").filter_map(Element::id).collect()
}

/// `a, b and c`, with what is particular about the set.
fn set(set: &Element) -> String {
    let names = words::list(&members(set));
    match role(set.attr("role")) {
        Some(role) => format!("{names} ({role})"),
        None => names,
    }
}

fn location(e: &Element) -> String {
    let subject = if let Some(rsc) = e.attr("rsc") {
        rsc.to_owned()
    } else if let Some(pattern) = e.attr("rsc-pattern") {
        match pattern.strip_prefix('!') {
            Some(rest) => format!("every resource whose id does not match {rest}"),
            None => format!("every resource whose id matches {pattern}"),
        }
    } else {
        let sets: Vec<String> = e.children_named("resource_set").map(set).collect();
        format!("each of {}", words::list(&sets))
    };
    let promoted = role(e.attr("role")) == Some("promoted");
    let what = |score: i32| match (score, promoted) {
        (s, false) if s <= -INFINITY => "must not run".to_owned(),
        (s, true) if s <= -INFINITY => "must not be promoted".to_owned(),
        (s, false) if s >= INFINITY => "prefers above all to run".to_owned(),
        (s, true) if s >= INFINITY => "prefers above all to be promoted".to_owned(),
        (0, _) => "may run".to_owned(),
        (s, false) if s > 0 => format!("prefers to run (score {s})"),
        (s, true) if s > 0 => format!("prefers to be promoted (score {s})"),
        (s, false) => format!("avoids running (score {s})"),
        (s, true) => format!("avoids being promoted (score {s})"),
    };
    let mut text = if let (Some(node), Some(score)) = (e.attr("node"), e.attr("score")) {
        format!("{subject} {} on {node}", what(score_of(Some(score))))
    } else {
        let rules: Vec<String> = e
            .children_named("rule")
            .map(|rule| match (rule.attr("score"), rule.attr("score-attribute")) {
                (None, Some(attribute)) => {
                    format!("scores each node by its attribute {attribute} where {}", condition(rule))
                }
                (score, _) => format!("{} where {}", what(score_of(score)), condition(rule)),
            })
            .collect();
        match rules.is_empty() {
            true => format!("{subject}: no node and no rule is given"),
            false => format!("{subject} {}", rules.join("; and ")),
        }
    };
    match e.attr("resource-discovery") {
        Some("never") => text.push_str("; it is never probed there"),
        Some("exclusive") => text.push_str("; it may run, and is probed, nowhere else"),
        _ => {}
    }
    text + &lifetime(e)
}

fn lifetime(e: &Element) -> String {
    match e.child("lifetime") {
        Some(lifetime) => {
            let rules: Vec<String> = lifetime.children_named("rule").map(condition).collect();
            format!(" (only while {})", words::list(&rules))
        }
        None => String::new(),
    }
}

/// A rule's expressions in words.
pub fn condition(rule: &Element) -> String {
    if let Some(id) = rule.attr("id-ref") {
        return format!("rule {id} holds");
    }
    let or = rule.attr("boolean-op").is_some_and(|b| b.eq_ignore_ascii_case("or"));
    let parts: Vec<String> = rule.children().map(expression).collect();
    match parts.as_slice() {
        [] => "nothing is asked".to_owned(),
        [one] => one.clone(),
        _ => parts.join(if or { " or " } else { " and " }),
    }
}

fn expression(e: &Element) -> String {
    let get = |name: &str| e.attr(name).unwrap_or("?");
    match e.name() {
        "rule" => format!("({})", condition(e)),
        "expression" => {
            let attribute = match get("attribute") {
                "#uname" => "the node".to_owned(),
                "#kind" => "the kind of node".to_owned(),
                other => format!("attribute {other}"),
            };
            let value = get("value");
            match get("operation") {
                "eq" => format!("{attribute} is {value}"),
                "ne" => format!("{attribute} is not {value}"),
                "lt" => format!("{attribute} is below {value}"),
                "lte" => format!("{attribute} is at most {value}"),
                "gt" => format!("{attribute} is above {value}"),
                "gte" => format!("{attribute} is at least {value}"),
                "defined" => format!("{attribute} is set"),
                "not_defined" => format!("{attribute} is not set"),
                other => format!("{attribute} {other} {value}"),
            }
        }
        "date_expression" => match (get("operation"), e.attr("start"), e.attr("end")) {
            ("lt", _, Some(end)) => format!("it is before {end}"),
            ("gt", Some(start), _) => format!("it is after {start}"),
            ("in_range", Some(start), Some(end)) => format!("it is between {start} and {end}"),
            ("in_range", Some(start), None) => {
                let duration = e.child("duration").map_or_else(String::new, spec);
                format!("it is within {duration} of {start}")
            }
            ("in_range", None, Some(end)) => format!("it is no later than {end}"),
            ("date_spec", ..) => {
                format!("the date fits {}", e.child("date_spec").map_or_else(String::new, spec))
            }
            (other, ..) => format!("the date is {other}"),
        },
        other => format!("{other} holds"),
    }
}

fn spec(e: &Element) -> String {
    let parts: Vec<String> =
        e.attrs().filter(|(name, _)| *name != "id").map(|(name, value)| format!("{name}={value}")).collect();
    parts.join(" ")
}

fn colocation(e: &Element) -> String {
    let score = score_of(e.attr("score"));
    let sets: Vec<&Element> = e.children_named("resource_set").collect();
    if !sets.is_empty() {
        let chain: Vec<String> = sets
            .iter()
            .map(|s| {
                let sequential = s.attr("sequential").is_none_or(|v| values::is_true(Some(v)));
                let many = members(s).len() > 1;
                let how = match (sequential, many) {
                    (true, true) => ", each with the one before it",
                    (false, true) => ", independent of each other",
                    _ => "",
                };
                format!("{}{how}", set(s))
            })
            .collect();
        let with = match score {
            s if s >= INFINITY => "must run with".to_owned(),
            s if s <= -INFINITY => "must not run with".to_owned(),
            s if s >= 0 => format!("prefers to run with (score {s})"),
            s => format!("avoids running with (score {s})"),
        };
        return match chain.as_slice() {
            [one] if score > 0 => {
                format!("one set that stays together: {one} (score {})", words::score(score))
            }
            [one] => format!("one set that stays apart: {one} (score {})", words::score(score)),
            _ => format!("sets: {{{}}}", chain.join(&format!("}} {with} {{"))),
        };
    }
    let (Some(rsc), Some(with)) = (e.attr("rsc"), e.attr("with-rsc")) else {
        return "it does not name two resources".to_owned();
    };
    let place = match e.attr("node-attribute") {
        Some(attribute) => format!("on a node with the same {attribute} as that of {with}"),
        None => match role(e.attr("with-rsc-role")) {
            Some(role) => format!("where {with} is {role}"),
            None => format!("where {with} runs"),
        },
    };
    let be = match role(e.attr("rsc-role")) {
        Some(role) => format!("be {role}"),
        None => "run".to_owned(),
    };
    let influence = match e.attr("influence").map(|v| values::is_true(Some(v))) {
        Some(false) => format!("; {with} takes no notice of it"),
        _ => String::new(),
    };
    let text = match score {
        s if s >= INFINITY => {
            format!("{rsc} must {be} {place}; while {with} can run nowhere, neither can {rsc}")
        }
        s if s <= -INFINITY => format!("{rsc} must not {be} {place}"),
        0 => format!("{rsc} and {with}: a score of 0 says nothing"),
        s if s > 0 => format!("{rsc} prefers to {be} {place} (score {s})"),
        s => format!(
            "{rsc} avoids {} {place} (score {s})",
            be.replacen("run", "running", 1).replacen("be ", "being ", 1)
        ),
    };
    text + &influence + &lifetime(e)
}

fn past(action: &str) -> &str {
    match action {
        "start" => "started",
        "stop" => "stopped",
        "promote" => "promoted",
        "demote" => "demoted",
        other => other,
    }
}

fn order(e: &Element, stands_for_sets: bool) -> String {
    let kind = match e.attr("kind") {
        Some(kind) => kind.to_ascii_lowercase(),
        None if e.attr("score").is_some_and(|s| score_of(Some(s)) == 0) => "optional".to_owned(),
        None => "mandatory".to_owned(),
    };
    let sets: Vec<&Element> = e.children_named("resource_set").collect();
    let inverse = match e.attr("symmetrical").map(|v| values::is_true(Some(v))) {
        Some(false) => "; stopping has no order".to_owned(),
        _ if kind == "serialize" => String::new(),
        _ => "; stopping goes the other way round".to_owned(),
    };
    let (text, condition) = if sets.is_empty() {
        let (Some(first), Some(then)) = (e.attr("first"), e.attr("then")) else {
            return "it does not name two resources".to_owned();
        };
        let a = e.attr("first-action").unwrap_or("start");
        let b = e.attr("then-action").unwrap_or(if stands_for_sets { "start" } else { a });
        match kind.as_str() {
            "serialize" => return format!("{first} and {then} never {a} and {b} at the same time"),
            "optional" => (
                format!("where both are to happen, {first} is {} before {then} is {}", past(a), past(b)),
                String::new(),
            ),
            _ => (
                format!("{first} must be {} before {then} is {}", past(a), past(b)),
                match (inverse.contains("no order"), a, b) {
                    (true, ..) => format!("; if {first} cannot {a}, {then} does not {b}"),
                    (_, "start", "start") => format!(
                        "; if {first} cannot start, {then} does not, and {then} stops before {first} stops"
                    ),
                    _ => format!(
                        "; if {first} cannot {a}, {then} does not {b}; the way back goes the other way round"
                    ),
                },
            ),
        }
    } else {
        let chain: Vec<String> = sets
            .iter()
            .map(|s| {
                let sequential = s.attr("sequential").is_none_or(|v| values::is_true(Some(v)));
                let all = s.attr("require-all").is_none_or(|v| values::is_true(Some(v)));
                let action = s.attr("action").unwrap_or("start");
                let how = match (members(s).len() > 1, sequential) {
                    (true, true) => ", one after the other",
                    (true, false) => ", in any order",
                    _ => "",
                };
                let any = if all { "" } else { ", one of them is enough" };
                format!("{action} {}{how}{any}", set(s))
            })
            .collect();
        if kind == "serialize" {
            return format!("never two of these at the same time: {}", chain.join("; "));
        }
        let only = if kind == "optional" { "where they happen together: " } else { "" };
        (format!("{only}{}", chain.join("; then ")), String::new())
    };
    let keep = condition.is_empty() || inverse.contains("no order");
    let inverse = if keep { inverse } else { String::new() };
    text + &condition + &inverse + &lifetime(e)
}

fn ticket(e: &Element) -> String {
    let ticket = e.attr("ticket").unwrap_or("?");
    let subject = match e.attr("rsc") {
        Some(rsc) => rsc.to_owned(),
        None => {
            let sets: Vec<String> = e.children_named("resource_set").map(set).collect();
            format!("each of {}", words::list(&sets))
        }
    };
    let be = match role(e.attr("rsc-role")) {
        Some(role) => format!("be {role}"),
        None => "run".to_owned(),
    };
    let loss = match e.attr("loss-policy") {
        Some("fence") => "the nodes that run it are fenced",
        Some("freeze") => "it stays as it is and is left alone",
        Some("demote") => "it is demoted",
        None if be == "be promoted" => "it is demoted",
        _ => "it is stopped",
    };
    format!("{subject} may {be} only while ticket {ticket} is granted; when the ticket is lost, {loss}")
}
