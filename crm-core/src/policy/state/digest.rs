//! Digests of an operation's parameters, and what a difference to history means.
//!
//! The controller writes the digests of [`State::digests`] into history; the planner compares them with what
//! the configuration gives now (§9 of the state page).

use super::operation::{self, key};
use super::rules::Notes;
use super::{NodeIx, ResourceIx, State, Table};
use crate::policy::graph::Attributes;
use crate::policy::{values, words};
use cib::digest::{Sum, sorted_parameters, sorted_parameters_in};
use cib::{Element, Text};

/// Digests of one operation on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    /// Over all parameters.
    pub all: Sum,
    /// Over those whose change needs a restart, by the list that history names.
    pub restart: Option<Sum>,
    /// Over those that are not secret.
    pub secure: Option<Sum>,
    /// The operation has instance attributes of its own.
    pub extra: bool,
}

/// What a comparison with history says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestMatch {
    Match,
    /// History has no digest.
    Unknown,
    /// Something changed; the agent may be able to reload.
    All,
    /// Something changed that needs a restart.
    Restart,
    /// Only secret parameters differ, in an input that may have lost them.
    PrivateOnly,
}

/// Digests of all unfencing devices, as an action of fencing carries them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnfencingDigests {
    /// `DEVICE:AGENT:DIGEST,` of each, over all parameters.
    pub all: String,
    /// The same over those that are not secret.
    pub secure: String,
    /// The node was unfenced with another definition of one of them.
    pub changed: bool,
}

/// Names, each once, and values.
type Parameters<'a> = Vec<(&'a str, &'a str)>;

/// Adds a value, unless the name has one: the first counts.
fn add<'a>(parameters: &mut Parameters<'a>, name: &'a str, value: &'a str) {
    if !parameters.iter().any(|(known, _)| *known == name) {
        parameters.push((name, value));
    }
}

/// Whether ` NAME ` occurs in a space-delimited list.
fn listed(list: &str, name: &str) -> bool {
    list.split(' ').any(|n| n == name && !n.is_empty())
}

/// Takes out what never counts.
fn filter(parameters: &mut Parameters<'_>) {
    parameters.retain(|(name, _)| {
        !name.starts_with("CRM_meta_")
            && !matches!(
                *name,
                "id" | "crm_feature_set" | "op-digest" | "on_node" | "on_node_uuid" | "pcmk_external_ip"
            )
    });
}

/// The digest of the parameters that an action of a graph has; the time-out of a recurring operation counts as one.
pub fn of_action(attributes: &Attributes, interval_ms: &str) -> String {
    let mut parameters: Parameters<'_> = attributes.iter().collect();
    let timeout = parameters.iter().copied().find(|(name, _)| *name == "CRM_meta_timeout");
    filter(&mut parameters);
    parameters.extend(timeout.filter(|_| interval_ms != "0"));
    parameters.sort_unstable();
    sorted_parameters(parameters.into_iter()).to_string()
}

impl State {
    /// The host's name for a bundle connection whose address is `#uname`.
    pub fn bundle_address(&self, r: ResourceIx) -> Option<&str> {
        let rsc = &self[r];
        if !rsc.flags.is_connection || rsc.parameters.get("addr").map(Text::as_str) != Some("#uname") {
            return None;
        }
        let container = rsc.container?;
        let host = self[container].assigned_node().or_else(|| self[container].running_on.first().copied())?;
        Some(&self[host].name)
    }

    /// A bundle connection without an address of its own.
    pub fn needs_bundle_address(&self, r: ResourceIx) -> bool {
        let rsc = &self[r];
        rsc.flags.is_connection
            && rsc.container.is_some()
            && rsc.parameters.get("addr").map(Text::as_str) == Some("#uname")
    }

    /// The digests of an operation; `entry` is the history entry that names the lists of parameters.
    pub fn digests(
        &self,
        r: ResourceIx,
        task: &str,
        interval_ms: u32,
        node: Option<NodeIx>,
        entry: Option<&Element>,
        overrides: &Table,
    ) -> Digests {
        self.digests_with((r, task, interval_ms), node, entry, overrides, true)
    }

    /// [`State::digests`]; without `secret` the digest over what is not secret is not made.
    fn digests_with(
        &self,
        (r, task, interval_ms): (ResourceIx, &str, u32),
        node: Option<NodeIx>,
        entry: Option<&Element>,
        overrides: &Table,
        secret: bool,
    ) -> Digests {
        // The rest of what is configured for an operation is not in its digests.
        let extra_counts = self[r].ops.iter().any(operation::has_parameters);
        let extra = if extra_counts {
            let key = key(&self[r].id, task, interval_ms);
            self.op_tables(r, task, &key, interval_ms, node, &mut Notes::default()).extra
        } else {
            Table::default()
        };
        let timeout = (interval_ms > 0).then(|| Text::from(self.op_timeout(r, task, interval_ms, node)));
        let own = self.parameters(r, node);
        let mut all = Parameters::with_capacity(own.len() + extra.len() + 2);
        if let Some(host) = self.bundle_address(r) {
            add(&mut all, "addr", host);
        }
        for (name, value) in overrides.iter().chain(own.iter()).chain(extra.iter()) {
            add(&mut all, name, value);
        }
        filter(&mut all);
        if let Some(timeout) = &timeout {
            all.push(("CRM_meta_timeout", timeout));
        }
        all.sort_unstable();
        let mut bytes = Vec::with_capacity(256);
        let restart = entry.filter(|e| e.value(words::OP_RESTART_DIGEST).is_some()).map(|e| {
            let list = e.value(words::OP_FORCE_RESTART);
            let counts = |(name, _): &(&str, &str)| list.is_none_or(|list| listed(list, name));
            sorted_parameters_in(all.iter().copied().filter(counts), &mut bytes)
        });
        let list = match entry {
            _ if !secret => None,
            Some(e) => e.value(words::OP_SECURE_PARAMS),
            None => Some(" passwd password user "),
        };
        let secure = list.map(|list| {
            // Without history it is computed as of today.
            let version = entry.map(|e| e.value(words::CRM_FEATURE_SET).unwrap_or(""));
            let new = version.is_none_or(|v| !v.is_empty() && values::compare_versions(v, "3.16.0").is_ge());
            let mut old = Parameters::new();
            let some = if new {
                &all
            } else {
                old.extend(own.iter().map(|(n, v)| (n.as_str(), v.as_str())));
                filter(&mut old);
                old.sort_unstable();
                &old
            };
            let device = self[r].flags.fence_device;
            let counts = |(name, _): &(&str, &str)| {
                // Recorded histories have one digest for the start and for the monitors: the time-out is none of it.
                *name != "CRM_meta_timeout"
                    && !listed(list, name)
                    && (new || !(device && name.starts_with("pcmk_")))
            };
            sorted_parameters_in(some.iter().copied().filter(counts), &mut bytes)
        });
        let all = sorted_parameters_in(all.into_iter(), &mut bytes);
        Digests { all, restart, secure, extra: !extra.is_empty() }
    }

    /// Compares a history entry with the configuration of today.
    pub fn compare_digest(&mut self, r: ResourceIx, node: NodeIx, entry: &Element) -> DigestMatch {
        let interval = values::history_ms(entry.value(words::INTERVAL));
        self.compare_digest_of(r, node, entry, interval)
    }

    /// [`State::compare_digest`] of an entry whose interval has been read.
    pub fn compare_digest_of(
        &mut self,
        r: ResourceIx,
        node: NodeIx,
        entry: &Element,
        interval: u32,
    ) -> DigestMatch {
        let task = entry.value_text(words::OPERATION).unwrap_or_default();
        let cache_key = (r, node, task, interval);
        if let Some(known) = self.digest_cache.get(&cache_key) {
            return self.compare_with(known, interval, entry);
        }
        let what = (r, cache_key.2.as_str(), interval);
        let made = self.digests_with(what, Some(node), Some(entry), &Table::default(), self.sanitized);
        let outcome = self.compare_with(&made, interval, entry);
        if self.digest_cache.is_empty() {
            // A start and a monitor of each.
            self.digest_cache.reserve(2 * self.resources.len());
        }
        self.digest_cache.insert(cache_key, made);
        outcome
    }

    fn compare_with(&self, digests: &Digests, interval: u32, entry: &Element) -> DigestMatch {
        let all = entry.value(words::OP_DIGEST);
        if let Some(now) = &digests.restart
            && entry.value(words::OP_RESTART_DIGEST).is_some_and(|then| !now.is(then))
        {
            return DigestMatch::Restart;
        }
        let Some(all) = all else { return DigestMatch::Unknown };
        if digests.all.is(all) {
            return DigestMatch::Match;
        }
        if self.sanitized
            && let (Some(then), Some(now)) = (entry.value(words::OP_SECURE_DIGEST), &digests.secure)
            && now.is(then)
        {
            return DigestMatch::PrivateOnly;
        }
        if interval == 0 && digests.extra {
            return DigestMatch::Restart;
        }
        DigestMatch::All
    }

    /// The digests of every unfencing device for the action `op` (`on`, or a way of fencing) of a node,
    /// compared with those the node was unfenced with; what follows is remarked once for each action.
    pub fn unfencing_digests(&mut self, node: NodeIx, op: &str) -> UnfencingDigests {
        let mut devices = Vec::new();
        for &r in &self.top {
            self.unfencing_devices(r, &mut devices);
        }
        let mut found = UnfencingDigests::default();
        let mut remarks = Vec::new();
        // The reference lists them last found first.
        for device in devices.into_iter().rev() {
            let digests = self.digests(device, "stonith-on", 0, Some(node), None, &Table::default());
            let secure = digests.secure.map(|sum| sum.to_string()).unwrap_or_default();
            let (id, agent, name) = (&self[device].id, self[device].agent(), &self[node].name);
            let all = format!("{id}:{agent}:{},", digests.all);
            let knows = |name: &str, item: &str| self[node].attribute(name).map(|known| known.contains(item));
            if knows("#digests-all", &all) == Some(false) {
                if knows("#digests-secure", &format!("{id}:{agent}:{secure},")) == Some(true) {
                    remarks.push(format!("Only 'private' parameters to {id} for unfencing {name} changed"));
                } else {
                    found.changed = true;
                    if self.sanitized {
                        remarks.push(format!(
                            "Parameters to {id} for unfencing {name} changed, try '{id}:{agent}:{secure}'"
                        ));
                    }
                    // Whatever kind of node it is.
                    remarks.push(format!(
                        "notice: Unfencing Pacemaker Remote node {name} because the definition of {id} changed"
                    ));
                }
            }
            found.all.push_str(&all);
            found.secure.push_str(&format!("{id}:{agent}:{secure},"));
        }
        if self.compared_unfencing.insert((node, op.to_owned())) {
            self.remarks.append(&mut remarks);
        }
        found
    }

    fn unfencing_devices(&self, r: ResourceIx, devices: &mut Vec<ResourceIx>) {
        let rsc = &self[r];
        if rsc.flags.fence_device && rsc.meta("provides").is_some_and(|v| v.eq_ignore_ascii_case("unfencing"))
        {
            devices.push(r);
        }
        for &child in &rsc.children {
            self.unfencing_devices(child, devices);
        }
    }
}
