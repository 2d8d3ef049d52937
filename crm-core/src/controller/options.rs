//! What the controller itself reads of the configuration.

use std::time::Duration;

use cib::model::Options;
use cib::{Cib, Element};

use crate::policy::values;

/// The cluster options that a controller lives by. They are looked at with every event, and read once for each
/// configuration.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What they were read from.
    source: Option<Element>,
    pub stonith_enabled: bool,
    pub stonith_max_attempts: i64,
    pub recheck_interval: Duration,
    pub shutdown_escalation: Duration,
    /// Whether a node stops its resources without quorum.
    pub stops_without_quorum: bool,
    /// `node-action-limit`, where it is set.
    action_limit: Option<usize>,
}

impl Settings {
    /// Of this configuration; a value that is none is the default.
    pub fn of(cib: &Cib) -> Self {
        let options = Options::read(cib).0;
        Self {
            source: cib.crm_config().cloned(),
            stonith_enabled: options.stonith_enabled,
            stonith_max_attempts: options.stonith_max_attempts,
            recheck_interval: options.cluster_recheck_interval,
            shutdown_escalation: options.shutdown_escalation,
            stops_without_quorum: !matches!(options.no_quorum_policy, "ignore" | "freeze" | "demote"),
            action_limit: usize::try_from(options.node_action_limit).ok().filter(|limit| *limit > 0),
        }
    }

    /// Another document is in force.
    pub fn look(&mut self, cib: &Cib) {
        let same = match (&self.source, cib.crm_config()) {
            (None, None) => true,
            (Some(old), Some(new)) => old.ptr_eq(new),
            _ => false,
        };
        if !same {
            *self = Self::of(cib);
        }
    }

    /// How many operations of resources an executor has under way at one time, where `own` is its own limit.
    pub fn operations(&self, own: usize) -> usize {
        self.action_limit.unwrap_or(own)
    }
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
