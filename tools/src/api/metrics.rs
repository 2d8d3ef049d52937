//! Metrics for monitoring systems, in the OpenMetrics text format: what the redacted status says, and
//! the state of every link. Served as `/metrics` on TCP of the loopback. No parameters, no secrets.
//!
//! The values are those of the status at the moment of asking; nothing is counted for it beside.

use crm_core::node::NodeHandle;
use crm_core::status::{NodeStatus, PeerState};
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::status;

/// What a scraper is told the text is.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Labels = Vec<(&'static str, String)>;

/// One family of gauges, and its place in the registry.
fn gauges(registry: &mut Registry, name: &str, help: &str, values: impl IntoIterator<Item = (Labels, i64)>) {
    let family = Family::<Labels, Gauge>::default();
    registry.register(name, help, family.clone());
    for (labels, value) in values {
        family.get_or_create(&labels).set(value);
    }
}

fn counters(
    registry: &mut Registry,
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels, u64)>,
) {
    let family = Family::<Labels, Counter>::default();
    registry.register(name, help, family.clone());
    for (labels, value) in values {
        family.get_or_create(&labels).inc_by(value);
    }
}

/// A gauge of the node as a whole.
fn gauge(registry: &mut Registry, name: &str, help: &str, value: impl Into<i64>) {
    let gauge = Gauge::<i64>::default();
    gauge.set(value.into());
    registry.register(name, help, gauge);
}

fn labels<const N: usize>(pairs: [(&'static str, &str); N]) -> Labels {
    pairs.map(|(name, value)| (name, value.to_owned())).to_vec()
}

/// The metrics of this node now.
pub fn of(node: &NodeHandle) -> String {
    text(&node.status())
}

fn text(now: &NodeStatus) -> String {
    let mut registry = Registry::with_prefix("everbeat");
    let r = &mut registry;
    let status = status::reply(now);
    let version = labels([("node", &now.name), ("version", &status.version)]);
    gauges(r, "build", "This node and its version", [(version, 1)]);
    gauge(r, "quorate", "Whether the present view may decide", now.quorate);
    gauge(r, "dc", "Whether this node is the DC", now.dc.as_ref() == Some(&now.name));
    gauge(r, "idle", "Whether nothing is planned or under way here", now.is_idle());
    gauge(r, "carrier", "Whether any medium has carrier", now.carrier);
    let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    gauge(r, "warnings", "Warnings an operator should read", count(now.warnings.len()));
    gauge(r, "conflicts", "Merged histories whose losing side is kept", count(now.conflicts.len()));
    let epoch = now.view.as_ref().map_or(0, |view| view.id.epoch);
    gauge(r, "view_epoch", "Number of the present view, 0 without", epoch as i64);
    links(r, now);
    let on_node = |name: &str| labels([("node", name)]);
    let nodes = || status.nodes.iter();
    let each = |f: fn(&super::proto::NodeStatus) -> bool| {
        nodes().map(move |n| (labels([("node", &n.name)]), i64::from(f(n))))
    };
    gauges(r, "node_online", "Whether the node takes part", each(|n| n.online));
    gauges(r, "node_standby", "Whether the node is to run nothing", each(|n| n.standby));
    gauges(r, "node_maintenance", "Whether the node is left alone", each(|n| n.maintenance));
    gauges(r, "node_unclean", "Whether the node must be fenced", each(|n| n.unclean));
    let pings = now.pings.iter().map(|(name, reached)| (on_node(name), i64::from(*reached)));
    gauges(r, "ping_reachable", "Whether the ping node answers", pings);
    let active = status.resources.iter().flat_map(|resource| {
        resource.nodes.iter().map(|node| {
            let pairs = [("resource", &*resource.id), ("node", node), ("role", &resource.role)];
            (labels(pairs), 1)
        })
    });
    gauges(r, "resource_active", "Where a resource runs, and in which role", active);
    let failed = status.resources.iter().map(|res| (labels([("resource", &res.id)]), i64::from(res.failed)));
    gauges(r, "resource_failed", "Whether the resource is in a failed state", failed);
    let mut out = String::new();
    match encode(&mut out, &registry) {
        Ok(()) => out,
        Err(error) => {
            tracing::error!("metrics cannot be written: {error}");
            String::new()
        }
    }
}

/// Nodes, links and refused packets, as the link machine sees them.
fn links(r: &mut Registry, now: &NodeStatus) {
    let peers = || now.peers.iter();
    let member = peers().map(|peer| (labels([("node", &peer.name)]), i64::from(peer.member)));
    gauges(r, "node_member", "Whether the node is in the present view", member);
    let state = peers().map(|peer| (labels([("node", &peer.name), ("state", peer.state.as_str())]), 1));
    gauges(r, "node_state", "What is heard of the node", state);
    let foreign = peers().filter(|peer| peer.state == PeerState::Foreign).count();
    gauge(r, "foreign_nodes", "Nodes that speak Heartbeat but no views", foreign as i64);
    let up = peers().flat_map(|peer| {
        peer.links
            .iter()
            .map(|link| (labels([("node", &peer.name), ("medium", &link.medium)]), i64::from(link.up)))
    });
    gauges(r, "link_up", "Whether the node is heard on the medium; this node: whether it is open", up);
    let refused = now.refused.iter().map(|(what, count)| {
        let (source, cause) = what.split_once(": ").unwrap_or(("", what));
        (labels([("source", source), ("cause", cause)]), *count)
    });
    counters(r, "packets_refused", "Packets that changed nothing, by source and cause", refused);
}
