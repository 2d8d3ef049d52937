//! From entries to a [`Cluster`]: types, classes, parameters, ids. No XML here.

use std::collections::BTreeSet;

use super::agents::{KnownAgent, known_agent};
use super::cluster::{Cluster, Constraint, Item, Operation, Parameter, Primitive};
use super::haresources::{Entry, Haresources, Word};
use super::{Dialect, Failback, Found, HaCf, Input, Problem, Severity, StonithDevice, address};

pub(super) struct Built {
    pub(super) cluster: Cluster,
    pub(super) problems: Vec<Problem>,
}

struct Builder<'a> {
    input: &'a Input<'a>,
    cluster: Cluster,
    problems: Vec<Problem>,
    /// Counters of the original: they appear in ids.
    id_index: usize,
    group_index: usize,
}

pub(super) fn build(input: &Input<'_>, parsed: &Haresources) -> Built {
    let mut builder = Builder {
        input,
        cluster: Cluster {
            nodes: input.ha_cf.nodes.len(),
            stay: input.ha_cf.failback == Failback::Stay,
            ..Cluster::default()
        },
        problems: Vec::new(),
        id_index: 1,
        group_index: 1,
    };
    for reserved in super::write::RESERVED_IDS {
        builder.cluster.ids.take(reserved);
    }
    let chosen = builder.chosen_ids(parsed);
    for (entry, chosen) in parsed.entries.iter().zip(chosen) {
        builder.entry(entry, chosen);
    }
    for device in &input.ha_cf.stonith {
        builder.stonith(device);
    }
    builder.connectivity();
    builder.references(parsed);
    builder.unused_nodes(parsed);
    builder.about_ha_cf(parsed);
    Built { cluster: builder.cluster, problems: builder.problems }
}

impl Builder<'_> {
    fn say(&mut self, severity: Severity, code: &'static str, line: u32, text: String) {
        let file = self.input.file.to_string();
        self.problems.push(Problem { severity, code, file, line: Some(line), text });
    }

    fn say_ha_cf(&mut self, severity: Severity, code: &'static str, line: Option<u32>, text: String) {
        let file = self.input.ha_cf.file.clone();
        self.problems.push(Problem { severity, code, file, line, text });
    }

    /// Ids written by the administrator are taken before any other, so that no automatic id can
    /// have one of them.
    fn chosen_ids(&mut self, parsed: &Haresources) -> Vec<Option<String>> {
        let mut chosen = Vec::new();
        for entry in &parsed.entries {
            let (line, id) = match entry {
                Entry::Resources { line, id: Some(id), .. } => (*line, id.as_str()),
                Entry::Clone { line, name, .. } if !name.is_empty() => (*line, name.as_str()),
                _ => {
                    chosen.push(None);
                    continue;
                }
            };
            let taken = self.cluster.ids.take(id);
            if taken != id {
                let text = format!("id \"{id}\" is taken or no XML name; \"{taken}\" is used");
                self.say(Severity::Warning, "id-changed", line, text);
            }
            chosen.push(Some(taken));
        }
        chosen
    }

    fn entry(&mut self, entry: &Entry, chosen: Option<String>) {
        match entry {
            Entry::Resources { node, words, .. } => {
                let id = if let [word] = words.as_slice() {
                    let index = self.id_index;
                    self.id_index += 1;
                    let Some(primitive) = self.primitive(word, index, chosen) else { return };
                    let id = primitive.id.clone();
                    self.cluster.items.push(Item::Primitive(primitive));
                    id
                } else {
                    let index = self.group_index;
                    self.group_index += 10;
                    self.id_index += words.len() + 1;
                    let id = chosen.unwrap_or_else(|| self.cluster.ids.take(&format!("group_{index}")));
                    let members = self.members(words, index);
                    self.cluster.items.push(Item::Group { id: id.clone(), members });
                    id
                };
                self.cluster
                    .constraints
                    .push(Constraint::Location { rsc: id, node: node.to_ascii_lowercase() });
            }
            Entry::Clone { words, .. } => {
                let index = self.group_index;
                self.group_index += 10;
                self.id_index += 1;
                let id = chosen.unwrap_or_else(|| self.cluster.ids.take(&format!("clone_{index}")));
                let inner = if words.len() > 1 {
                    self.cluster.ids.take(&format!("group_{index}"))
                } else {
                    String::new()
                };
                let members = self.members(words, index);
                self.cluster.items.push(Item::Clone { id, inner, members });
            }
            // The references are looked at when every resource is known.
            Entry::Order { from, action, before, to, .. } => {
                self.cluster.constraints.push(Constraint::Order {
                    from: from.clone(),
                    action: action.clone(),
                    before: *before,
                    to: to.clone(),
                })
            }
            Entry::Colocation { from, to, score, .. } => self
                .cluster
                .constraints
                .push(Constraint::Colocation { from: from.clone(), to: to.clone(), score: score.clone() }),
        }
    }

    fn members(&mut self, words: &[Word], first: usize) -> Vec<Primitive> {
        words.iter().enumerate().filter_map(|(i, word)| self.primitive(word, first + i, None)).collect()
    }

    /// One resource word; `None` when it was refused.
    fn primitive(&mut self, word: &Word, index: usize, chosen: Option<String>) -> Option<Primitive> {
        let text = word.text.as_str();
        let refuse = |builder: &mut Self, code, text: String| {
            builder.say(Severity::Error, code, word.line, text);
            None
        };
        let bare4 = !text.contains("::") && address::looks_like_ipv4(text);
        let bare6 = address::looks_like_ipv6(text);
        let (kind, arguments): (&str, Vec<&str>) = if bare4 {
            ("IPaddr", vec![text])
        } else if bare6 {
            ("IPv6addr", vec![text])
        } else {
            let mut fields = text.split("::");
            (fields.next().unwrap_or(""), fields.collect())
        };
        if !is_agent_name(kind) {
            let what =
                format!("\"{kind}\" is no script name; expected letters, digits, dots, dashes, underscores");
            return refuse(self, "bad-name", what);
        }
        let is_ipv4_agent = matches!(kind, "IPaddr" | "IPaddr2");
        let joined;
        let arguments = if kind == "IPv6addr" && arguments.len() > 1 {
            joined = arguments.join("::");
            vec![joined.as_str()]
        } else {
            arguments
        };
        if is_ipv4_agent && arguments.len() > 1 {
            let what = format!("\"{text}\": {kind} takes one argument, ADDRESS/MASK/INTERFACE/BROADCAST");
            return refuse(self, "extra-argument", what);
        }
        if (is_ipv4_agent || kind == "IPv6addr") && arguments.iter().all(|a| a.is_empty()) {
            return refuse(
                self,
                "no-address",
                format!("{kind} without an address; expected {kind}::ADDRESS"),
            );
        }
        let place = if is_ipv4_agent || kind == "IPv6addr" {
            match address::parse(arguments.first().copied().unwrap_or("")) {
                Ok(place) => Some(place),
                Err(what) => return refuse(self, "bad-address", what),
            }
        } else {
            None
        };
        let known = known_agent(kind).filter(|_| self.input.options.ocf);
        let (class, provider) = match known {
            Some(_) => ("ocf", Some("heartbeat")),
            None => (self.script_class(kind, word.line)?, None),
        };
        let id = chosen.unwrap_or_else(|| {
            let base = match &place {
                Some(place) if kind == "IPaddr" => {
                    format!("IPaddr_{}", place.ip.to_string().replace('.', "_"))
                }
                _ => format!("{kind}_{index}"),
            };
            self.cluster.ids.take(&base)
        });
        let mut kind_written = kind;
        let parameters = match (known, place) {
            (Some(agent), Some(place)) => {
                let modern = self.input.options.dialect == Dialect::Modern;
                if modern && matches!(kind, "IPaddr" | "IPv6addr") {
                    kind_written = "IPaddr2";
                }
                if kind_written == "IPv6addr" {
                    let value = arguments.first().copied().unwrap_or("").to_string();
                    vec![Parameter { number: 0, name: "ipv6addr".to_string(), value }]
                } else {
                    address_parameters(known_agent(kind_written).unwrap_or(agent), &place)
                }
            }
            (Some(agent), None) => self.named_parameters(agent, &arguments, word.line)?,
            (None, _) => positional(&arguments),
        };
        Some(Primitive {
            id,
            class,
            provider,
            kind: kind_written.to_string(),
            parameters,
            operations: self.monitor(known),
        })
    }

    /// Class of a script that is no known OCF agent; `None` when it is nowhere and that is refused.
    fn script_class(&mut self, kind: &str, line: u32) -> Option<&'static str> {
        match (self.input.lookup)(kind) {
            Found::ResourceD => Some("heartbeat"),
            Found::InitD => Some("lsb"),
            Found::Nowhere(places) => {
                let places = places.join(", ");
                let text = format!(
                    "{kind} is an unknown Resource Agent: no OCF agent of that name is known and there is no \
                     executable file {places}"
                );
                if self.input.options.force {
                    self.say(
                        Severity::Warning,
                        "unknown-agent",
                        line,
                        format!("{text}; written as class lsb"),
                    );
                    Some("lsb")
                } else {
                    let text = format!("{text}; install it, or use --force to write it as class lsb");
                    self.say(Severity::Error, "unknown-agent", line, text);
                    None
                }
            }
        }
    }

    fn named_parameters(
        &mut self,
        agent: &KnownAgent,
        arguments: &[&str],
        line: u32,
    ) -> Option<Vec<Parameter>> {
        let mut parameters = Vec::new();
        let Some(last) = agent.parameters.len().checked_sub(1) else {
            if arguments.iter().any(|a| !a.is_empty()) {
                let text =
                    format!("{} takes no positional parameter; set its parameters in the CIB", agent.kind);
                self.say(Severity::Error, "extra-argument", line, text);
                return None;
            }
            return Some(parameters);
        };
        for (number, name) in agent.parameters.iter().enumerate() {
            let value = match arguments.get(number..) {
                Some(rest) if number == last => rest.join(" "),
                _ => arguments.get(number).copied().unwrap_or("").to_string(),
            };
            // An empty argument leaves the agent's default.
            if !value.trim().is_empty() {
                parameters.push(Parameter {
                    number,
                    name: (*name).to_string(),
                    value: value.trim_end().to_string(),
                });
            }
        }
        Some(parameters)
    }

    fn monitor(&self, known: Option<&KnownAgent>) -> Vec<Operation> {
        if !self.input.options.monitor {
            return Vec::new();
        }
        let (interval, timeout) =
            match (known.is_some_and(KnownAgent::is_address), self.input.options.dialect) {
                (true, Dialect::Modern) => ("10s", "20s"),
                (true, Dialect::Heartbeat2) => ("5s", "5s"),
                (false, _) => ("120s", "60s"),
            };
        let monitor = Operation {
            suffix: "mon",
            name: "monitor",
            interval: Some(interval),
            timeout,
            unconditional: false,
        };
        vec![monitor]
    }

    fn stonith(&mut self, device: &StonithDevice) {
        let index = self.id_index;
        self.id_index += 1;
        let names = match (self.input.stonith_names)(&device.kind) {
            Some(names) => names,
            None => {
                let text = format!(
                    "fencing device type \"{}\" is not installed here, so the names of its parameters are unknown",
                    device.kind
                );
                if !self.input.options.force {
                    self.say_ha_cf(Severity::Error, "unknown-device", Some(device.line), text);
                    return;
                }
                let text = format!("{text}; they are called param1, param2, ...");
                self.say_ha_cf(Severity::Warning, "unknown-device", Some(device.line), text);
                (1..=device.parameters.len()).map(|i| format!("param{i}")).collect()
            }
        };
        // As the stonith command reads them: the last name takes the rest of the line.
        let mut values = device.parameters.clone();
        if values.len() > names.len() && !names.is_empty() {
            let rest = values.split_off(names.len() - 1).join(" ");
            values.push(rest);
        }
        if values.len() != names.len() {
            let text = format!(
                "{} takes {} parameters ({}), found {}",
                device.kind,
                names.len(),
                names.join(" "),
                values.len()
            );
            let severity = if values.len() > names.len() { Severity::Error } else { Severity::Warning };
            self.say_ha_cf(severity, "device-parameters", Some(device.line), text);
        }
        let id = self.cluster.ids.take(&format!("stonith_{index}"));
        let parameters = names
            .into_iter()
            .zip(values)
            .enumerate()
            .map(|(i, (name, value))| Parameter { number: i + 2, name, value })
            .collect();
        let operation = |suffix, name, interval| Operation {
            suffix,
            name,
            interval,
            timeout: "20s",
            unconditional: true,
        };
        let operations = if self.input.options.monitor {
            vec![operation("mon", "monitor", Some("5s")), operation("start", "start", None)]
        } else {
            Vec::new()
        };
        let primitive = Primitive {
            id: id.clone(),
            class: "stonith",
            provider: None,
            kind: device.kind.clone(),
            parameters,
            operations,
        };
        self.cluster.stonith = true;
        if device.node == "*" {
            let clone = self.cluster.ids.take(&format!("clone_{index}"));
            self.cluster.items.push(Item::Clone {
                id: clone,
                inner: String::new(),
                members: vec![primitive],
            });
        } else {
            self.cluster.items.push(Item::Primitive(primitive));
            let node = device.node.to_ascii_lowercase();
            self.cluster.constraints.push(Constraint::Location { rsc: id, node });
        }
    }

    /// `ping` with ipfail or pingd: a cloned agent that keeps the attribute `pingd`.
    fn connectivity(&mut self) {
        let HaCf { ping, connectivity, .. } = self.input.ha_cf;
        let (Some(line), false) = (*connectivity, ping.is_empty()) else { return };
        let modern = self.input.options.dialect == Dialect::Modern;
        let hosts = ping.join(" ");
        let pair = |number, name: &str, value: &str| Parameter {
            number,
            name: name.to_string(),
            value: value.to_string(),
        };
        let (kind, provider) = if modern { ("ping", "pacemaker") } else { ("pingd", "heartbeat") };
        let parameters =
            vec![pair(1, "host_list", &hosts), pair(2, "multiplier", "100"), pair(3, "dampen", "5s")];
        let id = self.cluster.ids.take(kind);
        let clone = self.cluster.ids.take(&format!("{id}_clone"));
        let operations = if self.input.options.monitor {
            vec![Operation {
                suffix: "mon",
                name: "monitor",
                interval: Some("10s"),
                timeout: "60s",
                unconditional: false,
            }]
        } else {
            Vec::new()
        };
        let members = vec![Primitive {
            id,
            class: "ocf",
            provider: Some(provider),
            kind: kind.to_string(),
            parameters,
            operations,
        }];
        self.cluster.items.push(Item::Clone { id: clone.clone(), inner: String::new(), members });
        let text = format!(
            "ipfail becomes the clone \"{clone}\", which keeps the node attribute pingd; add a location rule on \
             pingd to each resource that needs the network, as this cannot be told from ha.cf"
        );
        self.say_ha_cf(Severity::Note, "connectivity", Some(line), text);
    }

    /// Constraints must name resources that exist.
    fn references(&mut self, parsed: &Haresources) {
        let mut names: BTreeSet<String> = BTreeSet::new();
        for item in &self.cluster.items {
            let (id, inner, members) = match item {
                Item::Primitive(p) => (&p.id, None, std::slice::from_ref(p)),
                Item::Group { id, members } => (id, None, members.as_slice()),
                Item::Clone { id, inner, members } => (id, Some(inner), members.as_slice()),
            };
            names.insert(id.clone());
            names.extend(inner.cloned());
            names.extend(members.iter().map(|m| m.id.clone()));
        }
        let refused = self.problems.iter().any(|p| p.severity == Severity::Error);
        for entry in &parsed.entries {
            let (line, from, to) = match entry {
                Entry::Order { line, from, to, .. } | Entry::Colocation { line, from, to, .. } => {
                    (*line, from, to)
                }
                _ => continue,
            };
            for name in [from, to] {
                if !names.contains(name) && !refused {
                    let text = format!(
                        "constraint names \"{name}\", which is no resource of this file; give the resource's line the id: #{name}"
                    );
                    self.say(Severity::Error, "unknown-resource", line, text);
                }
            }
        }
    }

    fn unused_nodes(&mut self, parsed: &Haresources) {
        let unknown: Vec<(u32, String)> =
            parsed.unknown_nodes(&self.input.ha_cf.nodes).map(|(l, n)| (l, n.to_string())).collect();
        for (line, node) in unknown {
            let text = format!("node \"{node}\" is not in {}", self.input.ha_cf.file);
            self.say(Severity::Warning, "unknown-node", line, text);
        }
    }

    fn about_ha_cf(&mut self, parsed: &Haresources) {
        if parsed.entries.is_empty() && parsed.problems.is_empty() {
            let text = "no resources: the file is empty".to_string();
            let file = self.input.file.to_string();
            self.problems.push(Problem {
                severity: Severity::Warning,
                code: "empty",
                file,
                line: None,
                text,
            });
        }
        if self.input.ha_cf.failback == Failback::Unset {
            let text =
                "auto_failback is not set; resources go back to their node, as Heartbeat's default did";
            self.say_ha_cf(Severity::Warning, "no-failback", None, text.to_string());
        }
        if !self.cluster.stonith && self.cluster.nodes >= 2 {
            let text = "no fencing device: stonith-enabled is false, and shared data is not protected";
            self.say_ha_cf(Severity::Warning, "no-fencing", None, text.to_string());
        }
    }
}

fn positional(arguments: &[&str]) -> Vec<Parameter> {
    // Trailing empty arguments were lost in Heartbeat, too.
    let used = arguments.iter().rposition(|a| !a.is_empty()).map_or(0, |i| i + 1);
    arguments
        .iter()
        .take(used)
        .enumerate()
        .map(|(i, a)| Parameter { number: i + 1, name: (i + 1).to_string(), value: (*a).to_string() })
        .collect()
}

fn address_parameters(agent: &KnownAgent, place: &address::Address) -> Vec<Parameter> {
    let values = [
        ("ip", Some(place.ip.to_string())),
        ("nic", place.nic.clone()),
        ("cidr_netmask", place.prefix.map(|p| p.to_string())),
        ("broadcast", place.broadcast.map(|b| b.to_string())),
        ("iflabel", place.label.clone()),
    ];
    let number = |name: &str| agent.parameters.iter().position(|p| *p == name).unwrap_or(0);
    values
        .into_iter()
        .filter_map(|(name, value)| {
            Some(Parameter { number: number(name), name: name.to_string(), value: value? })
        })
        .collect()
}

fn is_agent_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}
