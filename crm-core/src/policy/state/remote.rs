//! Remote and guest nodes that the resource configuration makes.

use super::build::Builder;
use super::resources::is_connection_agent;
use super::{NodeIx, NodeKind};
use crate::policy::ledger::Ledger;
use cib::Element;

/// What an implicit connection is made from.
#[derive(Debug, Clone, Default)]
pub struct Connection<'a> {
    pub container: &'a str,
    pub allow_migrate: Option<&'a str>,
    pub is_managed: Option<&'a str>,
    pub start_timeout: Option<&'a str>,
    pub addr: Option<&'a str>,
    pub port: Option<&'a str>,
}

/// The primitive of an implicit connection.
pub fn connection_xml(id: &str, c: &Connection<'_>) -> Element {
    let pair = |set: &str, name: &str, value: &str| {
        Element::new("nvpair")
            .with_attr("id", format!("{set}-{name}"))
            .with_attr("name", name)
            .with_attr("value", value)
    };
    let meta_id = format!("{id}-meta_attributes");
    let mut meta = Element::new("meta_attributes")
        .with_attr("id", meta_id.clone())
        .with_child(pair(&meta_id, "internal_rsc", "true"))
        .with_child(pair(&meta_id, "container", c.container));
    if let Some(v) = c.allow_migrate {
        meta.push(pair(&meta_id, "allow-migrate", v));
    }
    if let Some(v) = c.is_managed {
        meta.push(pair(&meta_id, "is-managed", v));
    }
    let mut out = Element::new("primitive")
        .with_attr("id", id)
        .with_attr("class", "ocf")
        .with_attr("provider", "pacemaker")
        .with_attr("type", "remote")
        .with_child(meta);
    if c.addr.is_some() || c.port.is_some() {
        let set = format!("{id}-instance_attributes");
        let mut attrs = Element::new("instance_attributes").with_attr("id", set.clone());
        if let Some(v) = c.addr {
            attrs.push(pair(&set, "addr", v));
        }
        if let Some(v) = c.port {
            attrs.push(pair(&set, "port", v));
        }
        out.push(attrs);
    }
    let op = |name: &str, interval: &str, timeout: &str| {
        Element::new("op")
            .with_attr("id", format!("{id}-{name}-{interval}"))
            .with_attr("interval", interval)
            .with_attr("name", name)
            .with_attr("timeout", timeout)
    };
    let mut ops = Element::new("operations").with_child(op("monitor", "30s", "30s"));
    if let Some(timeout) = c.start_timeout {
        ops.push(op("start", "0", timeout));
    }
    out.push(ops);
    out
}

impl<L: Ledger> Builder<'_, L> {
    /// Nodes from connection resources and from `remote-node` meta-attributes.
    pub fn remote_nodes(&mut self, resources: &Element) {
        for e in resources.children() {
            if is_connection_agent(e) {
                if let Some(id) = e.id() {
                    self.ensure_remote_node(id);
                }
                continue;
            }
            match e.name() {
                "primitive" => self.guest_node(e),
                "group" => {
                    for member in e.children_named("primitive") {
                        self.guest_node(member);
                    }
                }
                _ => {}
            }
        }
    }

    /// The node of this name, made where it is not there yet.
    pub fn ensure_remote_node(&mut self, id: &str) -> NodeIx {
        self.s.have_remote_nodes = true;
        match self.s.node_by_name(id) {
            Some(n) => n,
            None => self.add_node(id, id, NodeKind::Remote, 0),
        }
    }

    fn guest_node(&mut self, primitive: &Element) {
        let Some(container) = primitive.id() else { return };
        let mut c = Connection { container, start_timeout: Some("60s"), ..Connection::default() };
        let mut node = None;
        for set in primitive.children_named("meta_attributes") {
            for pair in set.children_named("nvpair") {
                let (Some(name), value) = (pair.attr("name"), pair.attr("value")) else { continue };
                match name.to_ascii_lowercase().as_str() {
                    "remote-node" => node = value,
                    "remote-addr" => c.addr = value,
                    "remote-port" => c.port = value,
                    "remote-connect-timeout" => c.start_timeout = value,
                    "remote-allow-migrate" => c.allow_migrate = value,
                    "is-managed" => c.is_managed = value,
                    _ => {}
                }
            }
        }
        let Some(name) = node else { return };
        self.implicit.push(connection_xml(name, &c));
        self.ensure_remote_node(name);
    }
}
