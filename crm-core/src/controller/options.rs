//! Cluster options the controller itself reads.

use std::time::Duration;

use cib::{Cib, Element};

use crate::policy::values;

/// A cluster option by its modern name; the underscores of Heartbeat 2 are accepted.
pub fn option<'a>(cib: &'a Cib, name: &str) -> Option<&'a str> {
    let sets = cib.crm_config()?.children_named("cluster_property_set");
    sets.flat_map(Element::descendants)
        .filter(|e| e.name() == "nvpair")
        .find(|e| e.attr("name").is_some_and(|n| n == name || n.replace('_', "-") == name))
        .and_then(|e| e.attr("value"))
}

/// A cluster option that is a time.
pub fn duration(cib: &Cib, name: &str, default: Duration) -> Duration {
    option(cib, name).and_then(values::parse_duration_ms).map_or(default, Duration::from_millis)
}

/// A cluster option that is yes or no.
pub fn flag(cib: &Cib, name: &str, default: bool) -> bool {
    option(cib, name).and_then(values::parse_bool).unwrap_or(default)
}

/// The id under which a node stands in the CIB: that of its `node` entry, else its identity.
pub fn node_id(cib: &Cib, name: &str, identity: &str) -> String {
    cib.nodes()
        .and_then(|nodes| {
            nodes
                .children_named("node")
                .find(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(name)))
        })
        .and_then(Element::id)
        .unwrap_or(identity)
        .to_owned()
}

/// The time-out of an operation of a resource as it is configured, without rules: for what a node
/// does on its own.
pub fn operation_timeout(cib: &Cib, resource: &str, operation: &str) -> Option<Duration> {
    let base = resource.split(':').next().unwrap_or(resource);
    let primitive =
        cib.resources()?.descendants().find(|e| e.name() == "primitive" && e.id() == Some(base))?;
    let op =
        primitive.child("operations")?.children_named("op").find(|o| o.attr("name") == Some(operation))?;
    op.attr("timeout").and_then(values::parse_duration_ms).map(Duration::from_millis)
}
