//! Bundles: containers, addresses, connections and the clone inside, made from one element.

use super::build::Builder;
use super::clones::MAX_INSTANCES;
use super::remote::{Connection, connection_xml};
use super::resource::{BundleInfo, Replica};
use super::resources::BUNDLE_NODE;
use super::{Discovery, Kind, NodeIx, NodeKind, ResourceIx, Row};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::values::{INFINITY, is_true, parse_bool, scan_min_int};
use cib::Element;

/// One mapping of a directory into the container.
struct Mount {
    source: String,
    /// The source is a root below which each replica has its own directory.
    per_replica: bool,
    target: String,
    options: Option<String>,
}

/// The element, read.
struct Spec {
    id: String,
    agent: &'static str,
    image: String,
    replicas: i32,
    per_host: i32,
    promoted_max: i32,
    run_command: Option<String>,
    options: Option<String>,
    network: Option<String>,
    ip_start: Option<String>,
    netmask: Option<String>,
    interface: Option<String>,
    control_port: Option<String>,
    add_host: bool,
    ports: Vec<(String, String)>,
    mounts: Vec<Mount>,
    child: Option<Element>,
}

impl<L: Ledger> Builder<'_, L> {
    /// Reads a bundle and makes its parts.
    pub fn bundle(&mut self, r: ResourceIx) -> bool {
        let xml = self.s[r].xml.clone();
        let Some(mut spec) = self.bundle_spec(r, &xml) else { return false };
        self.s[r].kind = Kind::Bundle(Box::new(BundleInfo {
            agent: spec.agent.to_owned(),
            image: spec.image.clone(),
            replicas_max: spec.replicas,
            per_host: spec.per_host,
            promoted_max: spec.promoted_max,
            ..BundleInfo::default()
        }));
        let mut instances = Vec::new();
        let mut inner = None;
        if let Some(child) = spec.child.clone() {
            let clone = inner_clone(&spec, &child);
            let Some(c) = self.resource(&clone, Some(r)) else {
                let id = clone.id().unwrap_or("").to_owned();
                self.s.complaints.error("resource-unusable", &id, format!("Failed unpacking resource {id}"));
                return false;
            };
            inner = Some(c);
            // The agent's daemon inside is reached over its port, logs and keys from outside.
            spec.mounts.push(Mount {
                source: "/etc/pacemaker/authkey".to_owned(),
                per_replica: false,
                target: "/etc/pacemaker/authkey".to_owned(),
                options: None,
            });
            if !spec.mounts.iter().any(|m| m.target == "/var/log") {
                spec.mounts.push(Mount {
                    source: "/var/log/pacemaker/bundles".to_owned(),
                    per_replica: true,
                    target: "/var/log".to_owned(),
                    options: None,
                });
            }
            let port = spec.control_port.clone().unwrap_or_else(|| "3121".to_owned());
            spec.ports.push((port.clone(), port));
            instances = self.s[c].children.clone();
        }
        let mut addresses = Vec::new();
        let mut next = spec.ip_start.clone();
        for _ in 0..spec.replicas {
            addresses.push(next.clone());
            next = next.as_deref().and_then(next_address);
        }
        let hosts = host_entries(&spec, &addresses);
        for number in 0..u32::try_from(spec.replicas).unwrap_or(0) {
            let address = addresses.get(number as usize).cloned().flatten();
            let child = instances.get(number as usize).copied();
            if !self.replica(r, &spec, number, address, child, &hosts) {
                return false;
            }
        }
        if let Some(c) = inner {
            self.s[r].children.push(c);
            if let Some(b) = self.s[r].bundle_info_mut() {
                b.child = Some(c);
            }
            let target =
                self.s[c].children.first().and_then(|i| self.s[*i].meta("container-attribute-target"));
            let target = target.map(str::to_owned);
            // Instances that want to be notified make the whole clone notify.
            if self.s[c].children.iter().any(|i| self.s[*i].flags.notify) {
                self.s[c].flags.notify = true;
            }
            if let Some(v) = target {
                let implied = self.s[r].children.clone();
                for x in implied.into_iter().chain([r, c]) {
                    self.s[x].meta.insert("container-attribute-target".to_owned(), v.clone());
                }
            }
        }
        true
    }

    fn bundle_spec(&mut self, r: ResourceIx, xml: &Element) -> Option<Spec> {
        let id = self.s[r].id.clone();
        let (agent, e) =
            ["docker", "rkt", "podman"].iter().find_map(|n| xml.child(n).map(|e| (*n, e.clone())))?;
        let promoted_max = scan_min_int(e.attr("promoted-max").or_else(|| e.attr("masters")), 0);
        let replicas = match e.attr("replicas") {
            None if promoted_max > 0 => promoted_max,
            other => scan_min_int(other, 1),
        };
        let wanted = replicas;
        let replicas = replicas.min(MAX_INSTANCES);
        if wanted > replicas {
            self.s.complaints.error(
                "bundle-replicas",
                &id,
                format!("Using {replicas} for replicas of {id} instead of {wanted}, which is more than can be planned"),
            );
        }
        let mut per_host = scan_min_int(e.attr("replicas-per-host"), 1);
        if per_host == 1 {
            self.s[r].flags.unique = false;
        }
        let mut spec = Spec {
            id: id.clone(),
            agent,
            image: e.attr("image").unwrap_or("").to_owned(),
            replicas,
            per_host,
            promoted_max,
            run_command: e.attr("run-command").map(str::to_owned),
            options: e.attr("options").map(str::to_owned),
            network: e.attr("network").map(str::to_owned),
            ip_start: None,
            netmask: None,
            interface: None,
            control_port: None,
            add_host: true,
            ports: Vec::new(),
            mounts: Vec::new(),
            child: xml.child("primitive").cloned(),
        };
        if let Some(n) = xml.child("network") {
            spec.ip_start = n.attr("ip-range-start").map(str::to_owned);
            spec.netmask = n.attr("host-netmask").map(str::to_owned);
            spec.interface = n.attr("host-interface").map(str::to_owned);
            spec.control_port = n.attr("control-port").map(str::to_owned);
            spec.add_host = n.attr("add-host").is_none_or(|v| is_true(Some(v)) || parse_bool(v).is_none());
            for p in n.children_named("port-mapping") {
                match (p.attr("port"), p.attr("range")) {
                    (Some(port), _) => {
                        spec.ports
                            .push((port.to_owned(), p.attr("internal-port").unwrap_or(port).to_owned()));
                    }
                    (None, Some(range)) => spec.ports.push((range.to_owned(), range.to_owned())),
                    (None, None) => {
                        let id = p.id().unwrap_or("").to_owned();
                        self.s.complaints.error("bundle-port", &id, format!("Invalid port directive {id}"));
                    }
                }
            }
        }
        for m in xml.child("storage").iter().flat_map(|s| s.children_named("storage-mapping")) {
            let (source, per_replica) = match (m.attr("source-dir"), m.attr("source-dir-root")) {
                (Some(s), _) => (Some(s), false),
                (None, root) => (root, true),
            };
            match (source, m.attr("target-dir")) {
                (Some(s), Some(t)) => spec.mounts.push(Mount {
                    source: s.to_owned(),
                    per_replica,
                    target: t.to_owned(),
                    options: m.attr("options").map(str::to_owned),
                }),
                _ => {
                    let id = m.id().unwrap_or("").to_owned();
                    self.s.complaints.error("bundle-mount", &id, format!("Invalid mount directive {id}"));
                }
            }
        }
        if let Some(c) = &spec.child {
            if spec.ip_start.is_none() && spec.control_port.is_none() {
                let child = c.id().unwrap_or("").to_owned();
                self.s.complaints.error(
                    "bundle-uncontrolled",
                    &id,
                    format!(
                        "Cannot control {child} inside {id} without either ip-range-start or control-port"
                    ),
                );
                return None;
            }
            if spec.ip_start.is_none() && per_host > 1 {
                self.s.complaints.error(
                    "bundle-per-host",
                    &id,
                    format!("Specifying the 'control-port' for {id} requires 'replicas-per-host=1'"),
                );
                per_host = 1;
                spec.per_host = per_host;
            }
        }
        Some(spec)
    }

    /// One replica: container, address, connection and node.
    fn replica(
        &mut self,
        r: ResourceIx,
        spec: &Spec,
        number: u32,
        address: Option<String>,
        child: Option<ResourceIx>,
        hosts: &str,
    ) -> bool {
        let container_xml = container(spec, number, address.as_deref(), hosts);
        let container_id = container_xml.id().unwrap_or("").to_owned();
        let Some(container) = self.resource(&container_xml, Some(r)) else { return false };
        self.s[r].children.push(container);
        let mut replica =
            Replica { number, container, ip: None, child, remote: None, node: None, ipaddr: address.clone() };
        if let Some(a) = &address {
            let Some(ip) = self.resource(&address_xml(spec, a), Some(r)) else { return false };
            self.s[r].children.push(ip);
            replica.ip = Some(ip);
        }
        if let (Some(child), true) = (child, spec.ip_start.is_some() || spec.control_port.is_some()) {
            let name = format!("{}-{number}", spec.id);
            let taken = self.s.root.path(&["configuration", "resources"]).is_some_and(|l| {
                l.descendants().any(|e| {
                    e.id() == Some(name.as_str())
                        && matches!(e.name(), "primitive" | "group" | "clone" | "master" | "bundle")
                })
            });
            let name =
                if taken { format!("pcmk-internal-{}-remote-{number}", self.s[child].id) } else { name };
            let port = spec.control_port.clone().unwrap_or_else(|| "3121".to_owned());
            let xml = connection_xml(
                &name,
                &Connection {
                    container: &container_id,
                    addr: Some(address.as_deref().unwrap_or("#uname")),
                    port: Some(&port),
                    ..Connection::default()
                },
            );
            let node = self.bundle_node(&name);
            let Some(remote) = self.resource(&xml, Some(r)) else { return false };
            self.s[r].children.push(remote);
            self.s[remote].flags.allow_remote_remotes = true;
            self.confine(spec, child, remote, node);
            replica.remote = Some(remote);
            replica.node = Some(node);
            if let Some(a) = &address {
                self.s[child].meta.insert("external-ip".to_owned(), a.clone());
            }
        }
        if let Some(c) = child {
            let taken = std::mem::take(&mut self.s[c].utilization);
            self.s[container].utilization = taken;
        }
        if let Some(b) = self.s[r].bundle_info_mut() {
            b.replicas.push(replica);
        }
        true
    }

    /// The bundle's node of this name: nothing but the instance inside may run there.
    fn bundle_node(&mut self, name: &str) -> NodeIx {
        self.s.have_remote_nodes = true;
        let n = match self.s.node_by_name(name) {
            Some(n) => n,
            None => self.add_node(name, name, NodeKind::Remote, BUNDLE_NODE.0),
        };
        self.s[n].score = BUNDLE_NODE.0;
        self.s[n].discovery = BUNDLE_NODE.1;
        // Only resources that are complete: parts of the bundle at hand keep what they have.
        let mut walk = self.s.top.clone();
        while let Some(r) = walk.pop() {
            walk.extend(&self.s[r].children);
            if let Some(e) = self.s[r].table.get_mut(n) {
                e.score = BUNDLE_NODE.0;
                e.discovery = BUNDLE_NODE.1;
                self.ledger.note(r, n, Change::Set(BUNDLE_NODE.0), Source::Nesting);
            }
        }
        n
    }

    /// Ties the instance inside to its node, and keeps the connection off remote nodes.
    fn confine(&mut self, _spec: &Spec, child: ResourceIx, remote: ResourceIx, node: NodeIx) {
        self.set_alone(child, node, 500);
        if let Some(clone) = self.s[child].parent {
            self.s[clone].table.insert(node, -INFINITY, Discovery::Exclusive);
            self.ledger.note(clone, node, Change::Set(-INFINITY), Source::Nesting);
        }
        let remotes: Vec<NodeIx> = self.s.node_indices().filter(|n| self.s[*n].is_remote_kind()).collect();
        for n in remotes {
            if let Some(e) = self.s[remote].table.get_mut(n) {
                e.score = -INFINITY;
                self.ledger.note(remote, n, Change::Set(-INFINITY), Source::Nesting);
            }
        }
    }

    fn set_alone(&mut self, r: ResourceIx, node: NodeIx, score: i32) {
        self.s[r].flags.exclusive_discovery = true;
        self.s[r].table = Row::default();
        self.s[r].table.insert(node, score, Discovery::Exclusive);
        self.ledger.note(r, node, Change::Set(score), Source::Nesting);
    }
}

fn pair(set: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with_attr("id", format!("{set}-{name}"))
        .with_attr("name", name)
        .with_attr("value", value)
}

fn primitive(id: &str, provider: &str, agent: &str, attributes: &[(&str, &str)]) -> Element {
    let set = format!("{id}-attributes-{id}");
    let mut attrs = Element::new("instance_attributes").with_attr("id", set.clone());
    for (name, value) in attributes {
        attrs.push(pair(&set, name, value));
    }
    let op = Element::new("op")
        .with_attr("id", format!("{id}-monitor-60s"))
        .with_attr("interval", "60s")
        .with_attr("name", "monitor");
    Element::new("primitive")
        .with_attr("id", id)
        .with_attr("class", "ocf")
        .with_attr("provider", provider)
        .with_attr("type", agent)
        .with_child(attrs)
        .with_child(Element::new("operations").with_child(op))
}

fn inner_clone(spec: &Spec, child: &Element) -> Element {
    let (kind, suffix) =
        if spec.promoted_max > 0 { ("promotable", "master") } else { ("anonymous", "clone") };
    let id = format!("{}-{suffix}", spec.id);
    let meta_id = format!("{id}-meta");
    let mut meta = Element::new("meta_attributes")
        .with_attr("id", meta_id.clone())
        .with_child(pair(&meta_id, "ordered", "true"))
        .with_child(pair(&meta_id, "clone-max", &spec.replicas.to_string()))
        .with_child(pair(&meta_id, "clone-node-max", &spec.per_host.to_string()))
        .with_child(pair(&meta_id, "globally-unique", if spec.per_host > 1 { "true" } else { "false" }));
    if kind == "promotable" {
        meta.push(pair(&meta_id, "promotable", "true"));
        meta.push(pair(&meta_id, "promoted-max", &spec.promoted_max.to_string()));
    }
    Element::new("clone").with_attr("id", id).with_child(meta).with_child(child.clone())
}

fn address_xml(spec: &Spec, address: &str) -> Element {
    let id = format!("{}-ip-{}", spec.id, address.replace([':', '#'], "."));
    let mut attributes = vec![("ip", address)];
    if let Some(i) = &spec.interface {
        attributes.push(("nic", i));
    }
    attributes.push(("cidr_netmask", spec.netmask.as_deref().unwrap_or("32")));
    primitive(&id, "heartbeat", "IPaddr2", &attributes)
}

/// Host entries of all replicas, for each container's command line.
fn host_entries(spec: &Spec, addresses: &[Option<String>]) -> String {
    let mut out = String::new();
    for (i, a) in addresses.iter().enumerate() {
        let Some(a) = a else { continue };
        if spec.add_host && spec.agent != "rkt" {
            out.push_str(&format!(" --add-host={}-{i}:{a}", spec.id));
        } else {
            out.push_str(&format!(" --hosts-entry={a}={}-{i}", spec.id));
        }
    }
    out
}

fn container(spec: &Spec, number: u32, address: Option<&str>, hosts: &str) -> Element {
    let id = format!("{}-{}-{number}", spec.id, spec.agent);
    let mut opts = String::new();
    if spec.agent == "docker" {
        opts.push_str(" --restart=no");
    }
    let rkt = spec.agent == "rkt";
    let (host, environment) = if rkt { ("--hostname=", "--environment=") } else { ("-h ", "-e ") };
    if spec.ip_start.is_some() {
        opts.push_str(&format!(" {host}{}-{number}", spec.id));
    }
    opts.push_str(&format!(" {environment}PCMK_stderr=1"));
    if let Some(n) = &spec.network {
        opts.push_str(&format!(" --net={n}"));
    }
    let port = spec.control_port.as_deref().unwrap_or("3121");
    opts.push_str(&format!(" {environment}PCMK_remote_port={port}"));
    let mut sources = Vec::new();
    for (volume, m) in spec.mounts.iter().enumerate() {
        let source = if m.per_replica {
            let s = format!("{}/{}-{number}", m.source, spec.id);
            sources.push(s.clone());
            s
        } else {
            m.source.clone()
        };
        let options = |sign: &str| m.options.as_ref().map(|o| format!("{sign}{o}")).unwrap_or_default();
        if rkt {
            opts.push_str(&format!(" --volume vol{volume},kind=host,source={source}{}", options(",")));
            opts.push_str(&format!(" --mount volume=vol{volume},target={}", m.target));
        } else {
            opts.push_str(&format!(" -v {source}:{}{}", m.target, options(":")));
        }
    }
    for (port, inside) in &spec.ports {
        match address {
            Some(a) if rkt => opts.push_str(&format!(" --port={inside}:{a}:{port}")),
            None if rkt => opts.push_str(&format!(" --port={inside}:{port}")),
            Some(a) => opts.push_str(&format!(" -p {a}:{port}:{inside}")),
            None if spec.network.as_deref() != Some("host") => opts.push_str(&format!(" -p {port}:{inside}")),
            None => {}
        }
    }
    if let Some(o) = &spec.options {
        opts.push_str(&format!(" {o}"));
    }
    opts.push(' ');
    opts.push_str(hosts);
    let mounts = sources.join(",");
    let mut attributes = vec![
        ("image", spec.image.as_str()),
        ("allow_pull", "true"),
        ("force_kill", "false"),
        ("reuse", "false"),
        ("run_opts", opts.as_str()),
        ("mount_points", mounts.as_str()),
    ];
    match &spec.run_command {
        Some(c) => attributes.push(("run_cmd", c)),
        None if spec.child.is_some() => attributes.push(("run_cmd", "/usr/sbin/pacemaker-remoted")),
        None => {}
    }
    attributes.push(("monitor_cmd", "/bin/true"));
    primitive(&id, "heartbeat", spec.agent, &attributes)
}

/// The address after this one, as the reference counts: the last part up to 254, then the third.
fn next_address(address: &str) -> Option<String> {
    let parts: Vec<u32> = address.split('.').map(|p| p.parse().ok()).collect::<Option<_>>()?;
    let [a, b, c, d] = parts.as_slice() else { return None };
    if *c > 253 {
        return None;
    }
    if *d > 253 { Some(format!("{a}.{b}.{}.1", c + 1)) } else { Some(format!("{a}.{b}.{c}.{}", d + 1)) }
}
