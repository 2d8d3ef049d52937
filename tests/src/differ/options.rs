//! Cluster options, defaults of resources and operations, tags and tickets.

use cib::Element;

use super::draw::{Draw, el};
use super::rules::{self, Use};

/// Options with the values that are drawn for them, and how often of a hundred.
const OPTIONS: &[(&str, u64, &[&str])] = &[
    ("no-quorum-policy", 35, &["stop", "freeze", "ignore", "demote", "suicide"]),
    ("maintenance-mode", 4, &["true", "false"]),
    ("start-failure-is-fatal", 8, &["true", "false"]),
    ("enable-startup-probes", 8, &["true", "false"]),
    ("stonith-action", 12, &["reboot", "off", "poweroff"]),
    ("stonith-timeout", 4, &["60s", "2min"]),
    ("have-watchdog", 5, &["true", "false"]),
    ("concurrent-fencing", 20, &["true", "false"]),
    ("startup-fencing", 15, &["true", "false"]),
    ("priority-fencing-delay", 8, &["10s", "0", "1min"]),
    ("cluster-delay", 4, &["60s", "5s"]),
    ("batch-limit", 4, &["0", "3"]),
    ("migration-limit", 4, &["1", "-1"]),
    ("stop-all-resources", 3, &["true", "false"]),
    ("stop-orphan-resources", 10, &["true", "false"]),
    ("stop-orphan-actions", 8, &["true", "false"]),
    ("remove-after-stop", 4, &["true", "false"]),
    ("cluster-name", 10, &["site-a"]),
];

fn options(d: &mut Draw) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, percent, values) in OPTIONS {
        if d.percent(*percent) {
            pairs.push(((*name).into(), d.pick(values).into()));
        }
    }
    if !d.quorum && d.percent(20) {
        // What makes a partition without quorum do the most.
        d.themes.fencing = true;
        pairs.retain(|(name, _)| name != "no-quorum-policy");
        pairs.push(("no-quorum-policy".into(), "suicide".into()));
    }
    let fencing = if d.themes.fencing { "true" } else { "false" };
    pairs.push(("stonith-enabled".into(), fencing.into()));
    if d.themes.opt_in {
        pairs.push(("symmetric-cluster".into(), "false".into()));
    }
    if d.themes.utilization {
        let value = d.pick(&["utilization", "minimal", "balanced", "default", "balanced"]);
        pairs.push(("placement-strategy".into(), value.into()));
    }
    if d.themes.health {
        let value = d.pick(&["migrate-on-red", "only-green", "progressive", "custom", "none"]);
        pairs.push(("node-health-strategy".into(), value.into()));
        for name in ["node-health-base", "node-health-green", "node-health-yellow", "node-health-red"] {
            if d.percent(40) {
                let value = d.pick(&["10", "-10", "0", "-INFINITY", "100"]);
                pairs.push((name.into(), value.into()));
            }
        }
    }
    if d.themes.locks {
        pairs.push(("shutdown-lock".into(), "true".into()));
        if d.percent(50) {
            let value = d.pick(&["5min", "1h", "0"]);
            pairs.push(("shutdown-lock-limit".into(), value.into()));
        }
    }
    pairs
}

/// `crm_config`.
pub fn config(d: &mut Draw) -> Element {
    let pairs = options(d);
    let mut config = Element::new("crm_config");
    let mut set = el("cluster_property_set", &[("id", "cib-bootstrap-options")]);
    for (name, value) in &pairs {
        let pair = d.nvpair(name, value);
        set.push(pair);
    }
    config.push(set);
    if d.themes.rules && d.percent(25) {
        let id = d.id("props");
        let mut extra = el("cluster_property_set", &[("id", &id)]);
        if d.percent(50) {
            let score = d.score();
            extra.set_attr("score", score);
        }
        let rule = rules::rule(d, Use::Options, 0);
        extra.push(rule);
        let policy = d.pick(&["freeze", "ignore"]);
        let pair = d.nvpair("no-quorum-policy", policy);
        extra.push(pair);
        let pair = d.nvpair("batch-limit", "7");
        extra.push(pair);
        config.push(extra);
    }
    config
}

/// `rsc_defaults` and `op_defaults`.
pub fn defaults(d: &mut Draw) -> Vec<Element> {
    let mut sections = Vec::new();
    if d.themes.defaults || d.percent(15) {
        let mut section = Element::new("rsc_defaults");
        for _ in 0..d.between(1, 2) {
            let mut pairs: Vec<(String, String)> = Vec::new();
            if d.percent(60) {
                let n = d.pick(&["0", "1", "100", "INFINITY", "-5"]);
                pairs.push(("resource-stickiness".into(), n.into()));
            }
            for (name, percent, values) in [
                ("migration-threshold", 20, &["1", "2", "INFINITY"][..]),
                ("failure-timeout", 15, &["60s", "10min", "1d"][..]),
                ("priority", 10, &["5", "-1"][..]),
                ("target-role", 4, &["Started", "Stopped"][..]),
                ("is-managed", 3, &["true", "false"][..]),
                ("multiple-active", 6, &["block", "stop_only", "stop_start", "stop_unexpected"][..]),
                ("allow-migrate", 10, &["true"][..]),
            ] {
                if d.percent(percent) {
                    pairs.push((name.into(), d.pick(values).into()));
                }
            }
            let Some(mut set) = d.set("meta_attributes", &pairs) else { continue };
            if d.percent(30) {
                let score = d.score();
                set.set_attr("score", score);
            }
            if d.themes.rules && d.percent(50) {
                let rule = rules::rule(d, Use::Meta, 0);
                set.insert_node(0, rule);
            }
            section.push(set);
        }
        sections.push(section);
    }
    if d.themes.defaults {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, percent, values) in [
            ("timeout", 60, &["30s", "5min"][..]),
            ("on-fail", 15, &["restart", "ignore", "block", "standby", "stop", "fence"][..]),
            ("record-pending", 15, &["true", "false"][..]),
            ("enabled", 4, &["true", "false"][..]),
        ] {
            if d.percent(percent) {
                pairs.push((name.into(), d.pick(values).into()));
            }
        }
        if let Some(mut set) = d.set("meta_attributes", &pairs) {
            if d.themes.rules && d.percent(50) {
                let rule = rules::rule(d, Use::Operation, 0);
                set.insert_node(0, rule);
            }
            sections.push(Element::new("op_defaults").with_child(set));
        }
    }
    sections
}

/// `tags`: names for a few resources each.
pub fn tags(d: &mut Draw) -> Option<Element> {
    if !d.themes.tags || d.named.is_empty() {
        return None;
    }
    let mut tags = Element::new("tags");
    for _ in 0..d.between(1, 2) {
        let id = d.id("tag");
        let mut tag = el("tag", &[("id", &id)]);
        for _ in 0..d.between(1, 3) {
            if let Some(named) = d.target() {
                if !tag.children().any(|c| c.id() == Some(named.id.as_str())) {
                    tag.push(el("obj_ref", &[("id", &named.id)]));
                }
            }
        }
        d.tags.push(id);
        tags.push(tag);
    }
    Some(tags)
}

/// The `tickets` of the status section.
pub fn tickets(d: &mut Draw) -> Option<Element> {
    if d.tickets.is_empty() {
        return None;
    }
    let mut tickets = Element::new("tickets");
    for ticket in d.tickets.clone() {
        if d.percent(15) {
            continue;
        }
        let granted = d.pick(&["true", "true", "false"]);
        let mut state = el("ticket_state", &[("id", &ticket), ("granted", granted)]);
        if d.percent(25) {
            let standby = d.pick(&["true", "false"]);
            state.set_attr("standby", standby);
        }
        if d.percent(40) {
            state.set_attr("last-granted", "1699990000");
        }
        tickets.push(state);
    }
    Some(tickets)
}
