//! Rules and the expressions in them.

use cib::Element;

use super::draw::{Draw, el};

/// What a rule is for: what may stand in it, and whether it has a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    Location,
    Lifetime,
    /// Sets of cluster options and node attributes: only dates make sense.
    Options,
    /// Sets of parameters.
    Parameters,
    /// Meta attributes of resources and their defaults.
    Meta,
    /// Defaults of operations and meta attributes of one.
    Operation,
}

/// A rule with one to three conditions, sometimes nested.
pub fn rule(d: &mut Draw, purpose: Use, depth: u32) -> Element {
    let id = d.id("rule");
    let mut rule = el("rule", &[("id", &id)]);
    if d.percent(60) {
        let op = d.pick(&["and", "or"]);
        rule.set_attr("boolean-op", op);
    }
    if depth == 0 && purpose == Use::Location {
        if d.percent(15) {
            let name = d.pick(&["weight", "cpu", "zone", "missing"]);
            rule.set_attr("score-attribute", name);
        } else {
            let score = d.score();
            rule.set_attr("score", score);
        }
        if d.percent(20) {
            let role = d.pick(&["Started", "Promoted", "Unpromoted", "Stopped", "Master", "Slave"]);
            rule.set_attr("role", role);
        }
        d.rules.push(id);
    } else if purpose == Use::Location {
        rule.set_attr("score", "0");
    }
    for _ in 0..d.between(1, 3) {
        let child = condition(d, purpose, depth);
        rule.push(child);
    }
    rule
}

fn condition(d: &mut Draw, purpose: Use, depth: u32) -> Element {
    if depth < 2 && d.percent(15) {
        return self::rule(d, purpose, depth + 1);
    }
    match (purpose, d.chance.below(10)) {
        (Use::Options, 0..=7) | (Use::Lifetime, 0..=6) => date(d),
        (Use::Meta | Use::Operation, 0..=4) => resource(d),
        (Use::Operation, 5..=8) => operation(d),
        (_, 0 | 1) => date(d),
        _ => attribute(d, purpose),
    }
}

/// A condition on a node attribute.
fn attribute(d: &mut Draw, purpose: Use) -> Element {
    let id = d.id("expr");
    let mut names =
        vec!["#uname", "#kind", "#id", "zone", "cpu", "weight", "missing", "#is_dc", "#site-name"];
    if purpose == Use::Location {
        names.push("#role");
    }
    let name = d.pick(&names);
    let operation =
        d.pick(&["eq", "ne", "lt", "gt", "lte", "gte", "defined", "not_defined", "eq", "ne", "eq"]);
    let mut e = el("expression", &[("id", &id), ("attribute", name), ("operation", operation)]);
    if !operation.contains("defined") {
        let value = match name {
            "#uname" => d.node_name(),
            "#kind" => d.pick(&["cluster", "remote", "container"]).into(),
            "#role" => d.pick(&["Promoted", "Started", "Unpromoted", "Master"]).into(),
            "#is_dc" => d.pick(&["true", "false"]).into(),
            _ => d.pick(&["1", "2", "9", "10", "1.5", "a", "b", "A", "10a", "1.10"]).into(),
        };
        e.set_attr("value", value);
        if d.percent(35) {
            let kind = d.pick(&["string", "number", "integer", "version"]);
            e.set_attr("type", kind);
        }
        if purpose == Use::Location && d.percent(10) {
            let (source, value) = match d.chance.below(3) {
                0 => ("literal", "1"),
                1 => ("param", "state"),
                _ => ("meta", "priority"),
            };
            e.set_attr("value-source", source);
            e.set_attr("value", value);
        }
    }
    e
}

fn moment(d: &mut Draw) -> &'static str {
    d.pick(&[
        "2023-11-14T22:13:20Z",
        "2023-11-14 22:13:19Z",
        "2023-11-14T22:13:21Z",
        "2020-01-01",
        "2023-318",
        "2024-W01-1",
        "2023-11-15T00:00:00 +02:00",
        "20231114T221320Z",
        "2030-06-01T12:00:00Z",
        "epoch",
    ])
}

/// A condition on the time.
fn date(d: &mut Draw) -> Element {
    let id = d.id("date");
    let mut e = el("date_expression", &[("id", &id)]);
    match d.chance.below(6) {
        0 => {
            let at = moment(d);
            e.set_attr("operation", "gt");
            e.set_attr("start", at);
        }
        1 => {
            let at = moment(d);
            e.set_attr("operation", "lt");
            e.set_attr("end", at);
        }
        2 | 3 => {
            e.set_attr("operation", "in_range");
            let (from, to) = (moment(d), moment(d));
            match d.chance.below(4) {
                0 => e.set_attr("end", to),
                1 => e.set_attr("start", from),
                2 => {
                    e.set_attr("start", from);
                    e.set_attr("end", to);
                }
                _ => {
                    e.set_attr("start", from);
                    let duration = duration(d);
                    e.push(duration);
                }
            }
        }
        _ => {
            e.set_attr("operation", "date_spec");
            let spec = date_spec(d);
            e.push(spec);
        }
    }
    e
}

fn duration(d: &mut Draw) -> Element {
    let id = d.id("dur");
    let mut e = el("duration", &[("id", &id)]);
    for field in ["years", "months", "weeks", "days", "hours", "minutes", "seconds"] {
        if d.percent(25) {
            let n = d.between(0, 40).to_string();
            e.set_attr(field, n);
        }
    }
    e
}

fn date_spec(d: &mut Draw) -> Element {
    let id = d.id("spec");
    let mut e = el("date_spec", &[("id", &id)]);
    let fields: [(&str, &[&str]); 11] = [
        ("years", &["2023", "2023-", "-2022", "2020-2030"]),
        ("months", &["11", "1-6", "11-12", "x"]),
        ("monthdays", &["14", "1-13", "14-"]),
        ("hours", &["22", "9-17", "22-23", "23-5"]),
        ("minutes", &["13", "0-12"]),
        ("seconds", &["20", "0-19"]),
        ("yeardays", &["318", "1-100"]),
        ("weekyears", &["2023", "2022"]),
        ("weeks", &["46", "1-45"]),
        ("weekdays", &["2", "6-7", "1-5", "3-"]),
        ("moon", &["0", "4", "0-7"]),
    ];
    for (field, values) in fields {
        if d.percent(15) {
            let value = d.pick(values);
            e.set_attr(field, value);
        }
    }
    e
}

fn resource(d: &mut Draw) -> Element {
    let id = d.id("rexpr");
    let mut e = el("rsc_expression", &[("id", &id)]);
    if d.percent(60) {
        let class = d.pick(&["ocf", "stonith", "lsb"]);
        e.set_attr("class", class);
    }
    if d.percent(60) {
        let provider = d.pick(&["heartbeat", "pacemaker"]);
        e.set_attr("provider", provider);
    }
    if d.percent(50) {
        let agent = d.pick(&["Dummy", "Stateful", "IPaddr2"]);
        e.set_attr("type", agent);
    }
    e
}

fn operation(d: &mut Draw) -> Element {
    let id = d.id("oexpr");
    let name = d.pick(&["monitor", "start", "stop", "promote"]);
    let mut e = el("op_expression", &[("id", &id), ("name", name)]);
    if d.percent(40) {
        let interval = d.pick(&["10s", "0", "10000ms", "20s"]);
        e.set_attr("interval", interval);
    }
    e
}
