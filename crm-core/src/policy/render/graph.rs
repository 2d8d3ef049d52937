//! The transition graph as the reference's XML document.

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::policy::graph::{ActionId, ActionKind, Graph, GraphAction};

/// The document of a graph that is the `transition`-th of its process.
pub fn xml(graph: &Graph, transition: u32) -> String {
    let mut out = String::from("<transition_graph");
    let mut attr = |name: &str, value: &str| put(&mut out, name, value);
    attr("cluster-delay", &graph.cluster_delay);
    attr("stonith-timeout", &graph.stonith_timeout);
    attr("failed-stop-offset", &graph.failed_stop_offset);
    attr("failed-start-offset", &graph.failed_start_offset);
    attr("batch-limit", &graph.batch_limit);
    attr("transition_id", &transition.to_string());
    if let Some(limit) = &graph.migration_limit {
        attr("migration-limit", limit);
    }
    if let Some(at) = graph.recheck_by {
        attr("recheck-by", &at.to_string());
    }
    if graph.synapses.is_empty() {
        out.push_str("/>\n");
        return out;
    }
    out.push_str(">\n");
    let all = graph.synapses.iter().map(|synapse| &*synapse.action).chain(&graph.absent);
    let by_id: HashMap<ActionId, &GraphAction> = all.map(|action| (action.id, action)).collect();
    for synapse in &graph.synapses {
        let _ = write!(out, "  <synapse id=\"{}\"", synapse.id);
        if synapse.priority > 0 {
            put(&mut out, "priority", &synapse.priority.to_string());
        }
        out.push_str(">\n    <action_set>\n");
        full(&mut out, &synapse.action);
        out.push_str("    </action_set>\n");
        if synapse.inputs.is_empty() {
            out.push_str("    <inputs/>\n");
        } else {
            out.push_str("    <inputs>\n");
            for input in &synapse.inputs {
                if let Some(found) = by_id.get(input) {
                    out.push_str("      <trigger>\n        ");
                    head(&mut out, found);
                    out.push_str("/>\n      </trigger>\n");
                }
            }
            out.push_str("    </inputs>\n");
        }
        out.push_str("  </synapse>\n");
    }
    out.push_str("</transition_graph>\n");
    out
}

fn put(out: &mut String, name: &str, value: &str) {
    let _ = write!(out, " {name}=\"");
    for c in value.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            c => out.push(c),
        }
    }
    out.push('"');
}

fn tag(action: &GraphAction) -> &'static str {
    match action.kind {
        ActionKind::Resource => "rsc_op",
        ActionKind::Pseudo => "pseudo_event",
        ActionKind::Cluster => "crm_event",
    }
}

/// The element of an action without what is inside it, and without its end.
fn head(out: &mut String, action: &GraphAction) {
    let _ = write!(out, "<{}", tag(action));
    if action.operation == "lrm_delete" {
        put(out, "mode", "cib");
    }
    put(out, "id", &action.id.0.to_string());
    put(out, "operation", &action.operation);
    put(out, "operation_key", &action.operation_key);
    let optional = [
        ("internal_operation_key", &action.internal_key),
        ("on_node", &action.on_node),
        ("on_node_uuid", &action.on_node_uuid),
        ("router_node", &action.router_node),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            put(out, name, value);
        }
    }
}

fn full(out: &mut String, action: &GraphAction) {
    out.push_str("      ");
    head(out, action);
    if let Some(lock) = action.shutdown_lock {
        put(out, "shutdown-lock", &lock.to_string());
    }
    out.push_str(">\n");
    if let Some(resource) = &action.resource {
        out.push_str("        <primitive");
        put(out, "id", &resource.id);
        if let Some(long) = &resource.long_id {
            put(out, "long-id", long);
        }
        // What only history knows may lack both.
        if !resource.class.is_empty() {
            put(out, "class", &resource.class);
        }
        if let Some(provider) = &resource.provider {
            put(out, "provider", provider);
        }
        if !resource.agent.is_empty() {
            put(out, "type", &resource.agent);
        }
        out.push_str("/>\n");
    }
    let digit = |name: &str| name.starts_with(|c: char| c.is_ascii_digit());
    out.push_str("        <attributes");
    for (name, value) in action.attributes.iter().filter(|(n, _)| !digit(n)) {
        put(out, name, value);
    }
    let params: Vec<_> = action.attributes.iter().filter(|(n, _)| digit(n)).collect();
    if params.is_empty() {
        out.push_str("/>\n");
    } else {
        out.push_str(">\n");
        for (name, value) in params {
            out.push_str("          <param");
            put(out, "name", name);
            put(out, "value", value);
            out.push_str("/>\n");
        }
        out.push_str("        </attributes>\n");
    }
    if !action.downed.is_empty() {
        out.push_str("        <downed>\n");
        for id in &action.downed {
            out.push_str("          <node");
            put(out, "id", id);
            out.push_str("/>\n");
        }
        out.push_str("        </downed>\n");
    }
    if !action.maintenance.is_empty() {
        out.push_str("        <maintenance>\n");
        for (id, on) in &action.maintenance {
            out.push_str("          <node");
            put(out, "id", id);
            put(out, "node_in_maintenance", if *on { "1" } else { "0" });
            out.push_str("/>\n");
        }
        out.push_str("        </maintenance>\n");
    }
    let _ = writeln!(out, "      </{}>", tag(action));
}
