//! What the controller itself reads of the configuration.

use std::time::Duration;

use cib::model::Options;
use cib::{Cib, Element};

use crate::policy::values;

/// The cluster options in force; a value that is none is the default.
pub fn of(cib: &Cib) -> Options<'_> {
    Options::read(cib).0
}

/// How many operations of resources an executor has under way at one time: `node-action-limit`, or else `own`.
pub fn operations(cib: &Cib, own: usize) -> usize {
    usize::try_from(of(cib).node_action_limit).ok().filter(|limit| *limit > 0).unwrap_or(own)
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
