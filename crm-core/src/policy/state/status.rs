//! Reads `<status>`: tickets, node states, and whose history is read when.

use super::build::Builder;
use super::{Discovery, EffectPhase, NodeIx, NodeKind, QuorumPolicy, Role, Table, Ticket};
use crate::policy::ledger::Ledger;
use crate::policy::values::{INFINITY, is_true, scan_or};
use cib::Element;

impl<L: Ledger> Builder<'_, L> {
    pub fn status(&mut self, status: &Element) {
        self.s.phase = EffectPhase::Status;
        for e in status.children() {
            match e.name() {
                "tickets" => self.tickets(e),
                "node_state" => self.node_state(e),
                _ => {}
            }
        }
        // Orphaned connections make nodes while history is read: each pass looks nodes up anew.
        let states: Vec<Element> = status.children_named("node_state").cloned().collect();
        while self.histories(&states, self.s.options.stonith_enabled) {}
        if self.s.options.stonith_enabled {
            self.remaining_histories(&states);
        }
        let stops = std::mem::take(&mut self.stop_needed);
        for container in stops {
            self.stop_everywhere(container);
        }
        self.finish_remote_nodes();
    }

    fn tickets(&mut self, e: &Element) {
        for t in e.children_named("ticket_state") {
            let Some(id) = t.id().filter(|i| !i.is_empty()) else { continue };
            let attributes: Table = t.attr_texts().filter(|(name, _)| name.as_str() != "id").collect();
            let get = |n: &str| attributes.get(n).map(|text| text.as_str());
            let ticket = Ticket {
                granted: is_true(get("granted")),
                standby: is_true(get("standby")),
                last_granted: get("last-granted").map_or(-1, |t| scan_or(t, -1)),
                attributes,
            };
            self.s.tickets.insert(id.to_owned(), ticket);
        }
    }

    /// The node a `node_state` is about: by id, else by name.
    pub fn node_of(&self, e: &Element) -> Option<NodeIx> {
        let (id, name) = (e.id()?, e.attr("uname")?);
        let by_id = self.s.node_order.iter().copied().find(|n| self.s[*n].id.eq_ignore_ascii_case(id));
        by_id.or_else(|| self.s.node_by_name(name))
    }

    fn node_state(&mut self, e: &Element) {
        for name in ["id", "uname"] {
            if e.attr(name).is_none() {
                self.s.complaints.log_warning(
                    "node-state-malformed",
                    e.attr("uname").or_else(|| e.id()).unwrap_or(""),
                    format!("Ignoring malformed node_state entry without {name}"),
                );
                return;
            }
        }
        let Some(n) = self.node_of(e) else {
            let name = e.attr("uname").unwrap_or("");
            self.s.complaints.warning(
                "node-state-unknown",
                name,
                format!(
                    "Ignoring recorded node state for '{name}' because it is no longer in the configuration"
                ),
            );
            return;
        };
        self.s[n].state_xml = Some(e.clone());
        if self.s[n].is_remote_kind() {
            self.s[n].remote_was_fenced = e.attr("node_fenced").is_some_and(|t| scan_or(t, 0) != 0);
            return;
        }
        for t in e.children_named("transient_attributes") {
            self.node_attributes(n, t, true);
        }
        if e.child("transient_attributes").is_none() {
            self.node_attributes(n, &Element::new("transient_attributes"), true);
        }
        let node = &mut self.s[n];
        node.unclean = false;
        node.unseen = false;
        if is_true(node.attribute("standby")) {
            node.standby = true;
        }
        if is_true(node.attribute("maintenance")) {
            node.maintenance = true;
        }
        if let Some(v) = node.attribute("resource-discovery-enabled")
            && !is_true(Some(v))
        {
            let name = node.name.clone();
            self.s.complaints.log_warning(
                "discovery-attribute",
                &name,
                format!(
                    "Ignoring resource-discovery-enabled attribute for {name} because it is not allowed for \
                         cluster nodes"
                ),
            );
        }
        self.online(n, e);
        if self.s.options.no_quorum_policy == QuorumPolicy::Suicide && !self.s.quorum && self.s[n].online {
            self.s.fence_node(n, "cluster does not have quorum", false);
        }
    }

    /// A shutdown is asked for: the attribute is there and is not `0`.
    fn shutdown_requested(&self, n: NodeIx) -> bool {
        self.s[n].attribute("shutdown").is_some_and(|v| v != "0")
    }

    /// §3.5: online, pending, unclean. Of several states of one node, one that finds it online is enough.
    fn online(&mut self, n: NodeIx, e: &Element) {
        let shutdown = self.shutdown_requested(n);
        let in_ccm = is_true(e.attr("in_ccm"));
        let crmd = e.attr("crmd").is_some_and(|v| v.eq_ignore_ascii_case("online"));
        let join = e.attr("join").unwrap_or_default().to_owned();
        let joined = |w: &str| join.eq_ignore_ascii_case(w);
        let expected = e.attr("expected").unwrap_or("down");
        let member_expected = expected.eq_ignore_ascii_case("member");
        let node = &mut self.s[n];
        node.shutdown = shutdown;
        node.expected_up = !shutdown && member_expected;
        if node.kind == NodeKind::Ping {
            node.online = false;
            node.unclean = false;
            node.score = -INFINITY;
            return;
        }
        if !self.s.options.stonith_enabled {
            let expected_up = self.s[n].expected_up;
            let online = if !in_ccm {
                false
            } else if crmd && joined("member") {
                true
            } else {
                if !crmd && expected_up {
                    self.s.fence_node(n, "peer is unexpectedly down", false);
                }
                false
            };
            self.s[n].online |= online;
        } else {
            let mut online = in_ccm;
            let terminate = self.s[n].attribute("terminate").is_some_and(|v| {
                is_true(Some(v)) || v.as_bytes().first().is_some_and(|b| (b'1'..=b'9').contains(b))
            });
            let mut fence = None;
            let mut pending = false;
            if shutdown {
                online = crmd;
            } else if e.attr("in_ccm").is_none() {
                fence = Some(("peer has not been seen by the cluster", false));
            } else if joined("banned") {
                fence = Some(("peer failed Pacemaker membership criteria", false));
            } else if !terminate && expected.eq_ignore_ascii_case("down") {
                pending = in_ccm || crmd;
            } else if terminate && joined("down") && !in_ccm && !crmd {
                // Just shot.
            } else if !in_ccm {
                fence = Some(("peer is no longer part of the cluster", true));
            } else if !crmd {
                fence = Some(("peer process is no longer available", false));
            } else if terminate {
                fence = Some(("termination was requested", false));
            } else if joined("member") {
                // Healthy.
            } else if joined("pending") || joined("down") {
                pending = true;
            } else {
                fence = Some(("peer was in an unknown state", false));
            }
            self.s[n].online |= online;
            if pending {
                self.s[n].pending = true;
                self.s[n].standby = true;
            }
            if let Some((reason, delay)) = fence {
                self.s.fence_node(n, reason, delay);
            }
        }
        let node = &mut self.s[n];
        if !node.online || node.shutdown {
            node.score = -INFINITY;
        }
        if node.unclean {
            let name = node.name.clone();
            self.s.complaints.log_warning("node-unclean", &name, format!("{name} is unclean"));
        }
    }

    /// One pass over the node states; whether any history was read.
    fn histories(&mut self, states: &[Element], fencing: bool) -> bool {
        let lock = self.s.options.shutdown_lock;
        let mut any = false;
        for e in states {
            let Some(n) = self.node_of(e).filter(|n| !self.s[*n].unpacked) else { continue };
            let started = |r: Option<super::ResourceIx>| r.is_some_and(|r| self.s[r].role == Role::Started);
            let take = if self.s.is_guest_node(n) {
                started(self.s[n].connection) && started(self.s.container_of_node(n))
            } else if self.s[n].is_remote_kind() {
                started(self.s[n].connection) || (self.s[n].connection.is_some() && lock)
            } else {
                self.s[n].online || fencing || lock
            };
            if take {
                self.node_history(n, e);
                any = true;
            }
        }
        any
    }

    fn remaining_histories(&mut self, states: &[Element]) {
        for e in states {
            if let Some(n) = self.node_of(e).filter(|n| !self.s[*n].unpacked) {
                self.node_history(n, e);
            }
        }
    }

    fn node_history(&mut self, n: NodeIx, e: &Element) {
        self.s[n].unpacked = true;
        if self.s[n].state_xml.is_none() {
            self.s[n].state_xml = Some(e.clone());
        }
        if self.s[n].is_remote_kind() {
            self.remote_status(n);
            self.remote_attributes(n, e);
        }
        if let Some(list) = e.path(&["lrm", "lrm_resources"]) {
            self.resource_histories(n, list);
        }
    }

    /// §3.7: whether a remote or guest node is online.
    fn remote_status(&mut self, n: NodeIx) {
        let Some(c) = self.s[n].connection else {
            self.s[n].online = false;
            return;
        };
        let container = self.s[c].container;
        let host = container.and_then(|_| match self.s[c].running_on.as_slice() {
            [one] => Some(*one),
            _ => None,
        });
        if self.s[c].role == Role::Started {
            self.s[n].online = true;
            if self.s[c].next_role == Role::Stopped {
                self.s[n].shutdown = true;
            }
        }
        let container_failed = container.is_some_and(|k| self.s[k].flags.failed);
        let container_stopped = container.is_some_and(|k| self.s[k].role == Role::Stopped);
        if container_failed {
            self.s[n].online = false;
            self.s[n].requires_reset = true;
        } else if self.s[c].flags.failed {
            self.s[n].online = false;
        } else if self.s[c].role == Role::Stopped || container_stopped {
            self.s[n].online = false;
            self.s[n].requires_reset = false;
        } else if host.is_some_and(|h| !self.s[h].online && self.s[h].unclean) {
            self.s[n].online = false;
            self.s[n].requires_reset = true;
        }
    }

    fn remote_attributes(&mut self, n: NodeIx, e: &Element) {
        self.s[n].remote_maintenance = e.attr("node_in_maintenance").is_some_and(|t| scan_or(t, 0) != 0);
        if !self.s[n].requires_reset {
            self.s[n].unclean = false;
            self.s[n].unseen = false;
        }
        let empty = Element::new("transient_attributes");
        self.node_attributes(n, e.child("transient_attributes").unwrap_or(&empty), true);
        if self.shutdown_requested(n) {
            self.s[n].shutdown = true;
        }
        if is_true(self.s[n].attribute("standby")) {
            self.s[n].standby = true;
        }
        let unmanaged = self.s[n].connection.is_some_and(|c| !self.s[c].flags.managed);
        if is_true(self.s[n].attribute("maintenance")) || unmanaged {
            self.s[n].maintenance = true;
        }
        let Some(v) = self.s[n].attribute("resource-discovery-enabled").map(str::to_owned) else { return };
        if is_true(Some(&v)) {
            return;
        }
        if self.s.is_remote_node(n) && !self.s.options.stonith_enabled {
            let name = self.s[n].name.clone();
            self.s.complaints.log_warning(
                "discovery-attribute",
                &name,
                format!(
                    "Ignoring resource-discovery-enabled attribute on Pacemaker Remote node {name} because fencing is \
                     disabled"
                ),
            );
        } else {
            self.s[n].discovery_enabled = false;
        }
    }

    fn finish_remote_nodes(&mut self) {
        for i in 0..self.s.nodes.len() {
            let n = NodeIx::new(i);
            if !self.s[n].is_remote_kind() {
                continue;
            }
            if self.s[n].shutdown
                && let Some(c) = self.s[n].connection
            {
                self.s[c].next_role = Role::Stopped;
            }
            if !self.s[n].unpacked {
                self.remote_status(n);
            }
        }
    }
}

/// Discovery mode of a word of `resource-discovery`; `None` for a word it is not.
pub fn discovery_word(word: &str) -> Option<Discovery> {
    let is = |w: &str| word.eq_ignore_ascii_case(w);
    if is("always") {
        Some(Discovery::Always)
    } else if is("never") {
        Some(Discovery::Never)
    } else if is("exclusive") {
        Some(Discovery::Exclusive)
    } else {
        None
    }
}
