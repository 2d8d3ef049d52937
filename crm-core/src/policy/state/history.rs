//! Reads resource histories: which resource an entry belongs to, and the state its operations add up to.

use super::build::Builder;
use super::failcount::base_name;
use super::history_op::{Failure, call_order};
use super::resource::{MultipleActive, OnFail};
use super::{Effect, NodeIx, NodeKind, ResourceIx, Role, State, Variant};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::reference_order::merge_sort;
use crate::policy::values::{self, INFINITY};
use crate::policy::words;
use cib::Element;

/// The part of a sorted history since the resource was last started there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveWindow {
    /// Positions in the sorted list; −1 for none.
    pub start: isize,
    pub stop: isize,
}

/// Operations of a history, oldest first.
pub fn sorted_ops(resource: &Element) -> Vec<&Element> {
    let mut ops: Vec<&Element> = resource.children_of(words::LRM_RSC_OP).collect();
    ops.reverse();
    merge_sort(&mut ops, &mut |a, b| call_order(a, b, true));
    ops
}

/// Where in a sorted history the resource was last started and stopped.
pub fn active_window(ops: &[&Element]) -> ActiveWindow {
    let (mut start, mut stop, mut by_monitor, mut by_role) = (-1, -1, -1, -1);
    for (i, op) in ops.iter().enumerate() {
        let i = i.cast_signed();
        match op.value(words::OPERATION).unwrap_or("") {
            "stop" if op.value(words::OP_STATUS).map(|s| values::scan_or(s, -1)) == Some(0) => stop = i,
            "start" | "migrate_from" => start = i,
            "monitor" if by_monitor <= stop => {
                if matches!(op.value(words::RC_CODE), Some("0" | "8")) {
                    by_monitor = i;
                }
            }
            "promote" | "demote" => by_role = i,
            _ => {}
        }
    }
    if start == -1 {
        start = if by_role != -1 { by_role } else { by_monitor };
    }
    ActiveWindow { start, stop }
}

impl State {
    /// Started, or Unpromoted inside a promotable clone.
    pub fn active_role(&self, r: ResourceIx) -> Role {
        if self[self.top_of(r)].flags.promotable { Role::Unpromoted } else { Role::Started }
    }
}

impl<L: Ledger> Builder<'_, L> {
    /// Every `lrm_resource` of one node.
    pub fn resource_histories(&mut self, n: NodeIx, list: &Element) {
        let mut fillers = Vec::new();
        for e in list.children_of(words::LRM_RESOURCE) {
            let Some(id) = e.id() else {
                self.s.complaints.log_warning(
                    "lrm-resource-malformed",
                    "",
                    "Ignoring malformed lrm_resource entry without id".to_owned(),
                );
                continue;
            };
            let lock = self.s.options.shutdown_lock;
            let no_ops = e.child("lrm_rsc_op").is_none();
            if no_ops && !lock {
                continue;
            }
            let r = match self.resource_of_history(n, id) {
                Some(r) => r,
                None if no_ops => continue,
                None => match self.orphan(e) {
                    Some(r) => r,
                    None => continue,
                },
            };
            if lock {
                self.shutdown_lock(n, r, e);
            }
            self.apply_history(n, r, e);
            if self.s[r].flags.orphan_container_filler {
                fillers.push(r);
            }
        }
        for r in fillers {
            let Some(name) = self.s[r].xml.value(words::CONTAINER).map(str::to_owned) else { continue };
            let Some(host) = self.s.find(&name) else { continue };
            if self.s[r].container.is_none() {
                self.s[r].container = Some(host);
                self.s[host].fillers.push(r);
            }
        }
    }

    /// §8.3: the resource a history entry of this id belongs to, on this node; `None` for an orphan.
    fn resource_of_history(&mut self, n: NodeIx, id: &str) -> Option<ResourceIx> {
        let (found, top) = match self.s.find(id) {
            Some(r) if !self.s[r].is_primitive() => return None,
            Some(r) => (Some(r), Some(self.s.top_of(r))),
            None => {
                let zero = format!("{}:0", base_name(id));
                match self.s.find(&zero) {
                    Some(r) if !self.s[r].flags.unique => (Some(r), Some(self.s.top_of(r))),
                    _ => (None, None),
                }
            }
        };
        let mut found = found;
        if let Some(clone) =
            top.filter(|t| self.s[*t].variant() == Variant::Clone && !self.s[*t].flags.unique)
        {
            found = match self.s[clone].parent {
                Some(bundle) => self.s[bundle]
                    .bundle_info()
                    .and_then(|b| b.replicas.iter().find(|x| x.node == Some(n)))
                    .and_then(|x| x.child),
                None => self.anonymous_instance(n, clone, base_name(id)),
            };
        }
        if let Some(r) = found
            && !self.s[r].id.eq_ignore_ascii_case(id)
            && !self.s[r].history_name.as_deref().is_some_and(|h| h.eq_ignore_ascii_case(id))
        {
            self.s[r].history_name = Some(id.to_owned());
            self.s.by_id.entry(id.to_owned()).or_default().push(r);
        }
        found
    }

    /// Nodes a resource is active or pending on, all below it included.
    fn locations(&self, r: ResourceIx, out: &mut Vec<NodeIx>) {
        let rsc = &self.s[r];
        if rsc.children.is_empty() {
            for n in rsc.running_on.iter().chain(rsc.pending_node.iter()) {
                if !out.contains(n) {
                    out.push(*n);
                }
            }
        }
        for c in &rsc.children {
            self.locations(*c, out);
        }
    }

    /// The resource with this configured id in an instance.
    fn member(&self, instance: ResourceIx, base: &str) -> Option<ResourceIx> {
        if self.s[instance].xml.id() == Some(base) {
            return Some(instance);
        }
        self.s[instance].children.iter().find_map(|c| self.member(*c, base))
    }

    /// The instance of an anonymous clone that history of `base` on a node is given to.
    fn anonymous_instance(&mut self, n: NodeIx, clone: ResourceIx, base: &str) -> Option<ResourceIx> {
        let mut found = None;
        let mut inactive = None;
        let mut only_orphan = false;
        for i in 0..self.s[clone].children.len() {
            let child = self.s[clone].children[i];
            let mut on = Vec::new();
            self.locations(child, &mut on);
            if let Some(first) = on.first() {
                if *first == n
                    && let Some(m) = self.member(child, base)
                {
                    if self.s[m].running_on.is_empty() {
                        found = Some(m);
                        break;
                    }
                    only_orphan = true;
                    let (clone, node) = (self.s[clone].id.clone(), self.s[n].name.clone());
                    self.s.complaints.notice(
                            "clone-two-histories",
                            &clone,
                            format!("Active (now-)anonymous clone {clone} has multiple (orphan) instance histories on {node}"),
                        );
                }
            } else if !only_orphan && inactive.is_none() && !self.s[child].flags.blocked {
                inactive = self.member(child, base);
                if inactive.is_some_and(|m| self.s[m].pending_node.is_some_and(|p| p != n)) {
                    inactive = None;
                }
            }
        }
        if found.is_none() && !only_orphan {
            found = inactive;
        }
        if let Some(r) = found {
            let node = &self.s[n];
            if !self.s[r].flags.needs_fencing
                && (!node.online || node.unclean)
                && !self.s.is_guest_node(n)
                && !self.is_universal(clone)
            {
                found = None;
            }
        }
        found.or_else(|| {
            let instance = self.new_instance(clone)?;
            self.remember(instance);
            self.member(instance, base)
        })
    }

    /// Makes new resources known by id.
    fn remember(&mut self, r: ResourceIx) {
        self.s.by_id.entry(self.s[r].id.clone()).or_default().push(r);
        for i in 0..self.s[r].children.len() {
            let c = self.s[r].children[i];
            self.remember(c);
        }
    }

    /// A resource that only history knows.
    fn orphan(&mut self, e: &Element) -> Option<ResourceIx> {
        let id = e.id()?.to_owned();
        let mut xml = Element::new("primitive");
        for (n, v) in
            e.attrs().filter(|(n, _)| matches!(*n, "id" | "class" | "provider" | "type" | "container"))
        {
            xml.set_attr(n, v);
        }
        let r = self.resource(&xml, None)?;
        self.s.top.push(r);
        self.s[r].flags.orphan = true;
        self.remember(r);
        if self.s[r].flags.is_connection {
            self.s.have_remote_nodes = true;
            let n = match self.s.node_by_name(&id) {
                Some(n) => n,
                None => self.add_node(&id, &id, NodeKind::Remote, 0),
            };
            self.link_connection(r);
            self.s[n].shutdown = true;
        }
        if xml.value(words::CONTAINER).is_some() {
            self.s[r].flags.orphan_container_filler = true;
        }
        if self.s.options.stop_orphan_resources {
            self.s.nudge_all(self.ledger, r, -INFINITY, Source::Orphan);
        } else {
            self.s[r].flags.managed = false;
        }
        Some(r)
    }

    fn shutdown_lock(&mut self, n: NodeIx, r: ResourceIx, e: &Element) {
        let Some(time) = e.attr("shutdown-lock").map(|t| values::scan_or(t, 0)).filter(|t| *t != 0) else {
            return;
        };
        let limit = self.s.options.shutdown_lock_limit;
        if limit > 0 && self.s.now > time + limit {
            self.s.effect(Effect::DeleteHistory { resource: r, node: n });
        } else {
            self.s[r].lock_node = Some(n);
            self.s[r].lock_time = time;
        }
    }

    /// Entries of one id are equal to the order of histories, so that they stand side by side.
    fn complain_of_duplicates(&mut self, ops: &[&Element]) {
        for pair in ops.windows(2) {
            if let [a, b] = pair
                && let (Some(id), true) = (a.value(words::ID), a.value(words::ID) == b.value(words::ID))
            {
                let text = format!("Duplicate lrm_rsc_op entries named {id}");
                self.s.complaints.error("history-duplicate", id, text);
            }
        }
    }

    /// §8.4: one resource's history on one node.
    fn apply_history(&mut self, n: NodeIx, r: ResourceIx, e: &Element) {
        let saved = self.s[r].role;
        self.s[r].role = Role::Unknown;
        let ops = sorted_ops(e);
        self.complain_of_duplicates(&ops);
        let mut failure = Failure::default();
        for op in &ops {
            self.entry(n, r, op, &mut failure);
        }
        let window = active_window(&ops);
        self.recurring(n, r, &ops, window);
        self.apply_state(n, r, failure.response);
        if let Some(role) = self.s.target_role_silently(r) {
            let next = self.s[r].next_role;
            if next == Role::Unknown || next > role {
                self.s[r].next_role = role;
            }
        }
        if saved > self.s[r].role {
            self.s[r].role = saved;
        }
    }

    /// Recurring operations that run there already.
    fn recurring(&mut self, n: NodeIx, r: ResourceIx, ops: &[&Element], window: ActiveWindow) {
        if !self.s[n].online {
            return;
        }
        for (i, op) in ops.iter().enumerate() {
            let i = i.cast_signed();
            if (window.start < window.stop && i <= window.stop) || i < window.start {
                continue;
            }
            let interval_ms = values::history_ms(op.value(words::INTERVAL));
            if interval_ms == 0 || op.value(words::OP_STATUS).map(|s| values::scan_or(s, -1)) == Some(-1) {
                continue;
            }
            let task = op.value_text(words::OPERATION).unwrap_or_default();
            self.s.effect(Effect::Recurring { resource: r, node: n, task, interval_ms });
        }
    }

    /// §8.6: what the entries of one node add up to.
    fn apply_state(&mut self, n: NodeIx, r: ResourceIx, response: OnFail) {
        if self.s[r].role != Role::Unknown {
            let mut at = Some(r);
            while let Some(ix) = at {
                if !self.s[ix].known_on.contains(&n) {
                    self.s[ix].known_on.push(n);
                }
                at = if self.s[ix].flags.unique { None } else { self.s[ix].parent };
            }
        }
        if self.s[r].role > Role::Stopped
            && !self.s[n].online
            && !self.s[n].maintenance
            && self.s[r].flags.managed
        {
            let id = self.s[r].id.clone();
            let mut reason = format!("{id} is thought to be active there");
            let mut fence = false;
            if self.s.is_guest_node(n) {
                self.s[r].flags.failed = true;
                self.s[r].flags.stop = true;
                fence = true;
            } else if self.s.options.stonith_enabled {
                let connection_failed = self.s[n].connection.is_some_and(|c| self.s[c].flags.failed);
                if self.s.is_remote_node(n) && self.s[n].connection.is_some() && !connection_failed {
                    self.s[n].unseen = true;
                    reason = format!(
                        "{id} is active there (fencing will be revoked if remote connection can be re-established \
                         elsewhere)"
                    );
                }
                fence = true;
            }
            if fence {
                self.s.fence_node(n, &reason, false);
            }
        }
        let original = response;
        let response = if self.s[n].unclean { OnFail::Ignore } else { response };
        self.respond(n, r, response);
        if self.s[r].flags.failed
            && self.s[r].flags.is_connection
            && let Some(m) = self.s[r].remote_node.filter(|m| self.s[*m].unclean)
        {
            self.s[m].unseen = false;
        }
        let role = self.s[r].role;
        if role > Role::Stopped {
            if self.s[r].flags.orphan {
                let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
                let text = if self.s[r].flags.managed {
                    format!("Detected active orphan {id} running on {node}")
                } else {
                    format!(
                        "Resource '{id}' must be stopped manually on {node} because cluster is configured not to stop \
                         active orphans"
                    )
                };
                self.s.complaints.warning("orphan-active", &id, text);
            }
            self.add_running(n, r, original != OnFail::Ignore);
            match response {
                OnFail::Ignore => {}
                OnFail::Demote | OnFail::Block => self.s[r].flags.failed = true,
                _ => {
                    self.s[r].flags.failed = true;
                    self.s[r].flags.stop = true;
                }
            }
        } else if self.s[r].history_name.as_deref().is_some_and(|h| h.contains(':')) {
            self.s[r].history_name = None;
        } else {
            self.s.effect(Effect::StopsOptional { resource: r, node: n });
        }
        let rsc = &mut self.s[r];
        if rsc.role == Role::Stopped
            && rsc.partial_migration_source == Some(n)
            && rsc.partial_migration_target.is_some()
            && !rsc.running_on.is_empty()
        {
            rsc.role = Role::Started;
        }
    }

    /// What the response to failures does to resource and node.
    fn respond(&mut self, n: NodeIx, r: ResourceIx, response: OnFail) {
        let active = self.s[r].role > Role::Stopped;
        let fail = |b: &mut Self, r: ResourceIx| {
            b.s[r].flags.failed = true;
            b.s[r].flags.stop = true;
        };
        match response {
            OnFail::Ignore => {}
            OnFail::Demote => {
                self.s[r].flags.failed = true;
                self.s.effect(Effect::Demote { resource: r, node: n });
            }
            OnFail::Fence => {
                let reason = format!("{} failed there", self.s[r].id);
                self.s.fence_node(n, &reason, false);
            }
            OnFail::Standby => {
                self.s[n].standby = true;
                self.s[n].standby_onfail = true;
            }
            OnFail::Block => {
                self.s[r].flags.managed = false;
                self.s[r].flags.blocked = true;
            }
            OnFail::Migrate => {
                let source = Source::History { tag: "__action_migration_auto__" };
                self.s.nudge(self.ledger, r, n, -INFINITY, source);
            }
            OnFail::Stop => self.s[r].next_role = Role::Stopped,
            OnFail::Recover => {
                if active {
                    fail(self, r);
                    self.require_stop(r, n);
                }
            }
            OnFail::RestartContainer => {
                fail(self, r);
                match self.s[r].container {
                    Some(k) if self.s.is_bundled(r) => self.stop_needed.push(k),
                    Some(k) => self.require_stop(k, n),
                    None if active => self.require_stop(r, n),
                    None => {}
                }
            }
            OnFail::ResetRemote => {
                fail(self, r);
                if self.s.options.stonith_enabled {
                    let node = self.s[r].remote_node;
                    if let Some(m) =
                        node.filter(|m| self.s.is_remote_node(*m) && !self.s[*m].remote_was_fenced)
                    {
                        self.s.fence_node(m, "remote connection is unrecoverable", false);
                    }
                }
                if active {
                    self.require_stop(r, n);
                }
                if self.s[r].remote_reconnect_ms > 0 {
                    self.s[r].next_role = Role::Stopped;
                }
            }
        }
    }

    /// A required stop; a managed resource's stop on a node that is down but not unclean makes it unclean.
    pub fn require_stop(&mut self, r: ResourceIx, n: NodeIx) {
        let managed = self.s[r].flags.managed;
        self.s.effect(Effect::Stop { resource: r, node: n, managed });
        let node = &self.s[n];
        let guest = self.s.is_guest_node(n) && !node.requires_reset;
        if !node.online && !node.unclean && !guest && self.s[r].flags.managed {
            self.s.fence_node(n, "stop is unrunnable", false);
        }
    }

    /// Stops a container wherever it is.
    pub fn stop_everywhere(&mut self, r: ResourceIx) {
        for i in 0..self.s[r].running_on.len() {
            let n = self.s[r].running_on[i];
            self.require_stop(r, n);
        }
    }

    /// The resource is active on one more node.
    pub fn add_running(&mut self, n: NodeIx, r: ResourceIx, failed: bool) {
        if self.s[r].running_on.contains(&n) {
            return;
        }
        self.s[r].running_on.push(n);
        if self.s[r].is_primitive() {
            self.s[n].running.push(r);
            self.add_node_priority(n, r, failed);
            if self.s[n].maintenance {
                self.s[r].flags.managed = false;
            }
        }
        if !self.s[r].flags.managed {
            self.s.nudge(self.ledger, r, n, INFINITY, Source::Unmanaged);
            let mut at = self.s[r].parent;
            while let Some(p) = at.filter(|_| self.s[n].online) {
                // Once for each part that is there: the reference counts these entries.
                self.s[p].running_on.push(n);
                at = self.s[p].parent;
            }
            return;
        }
        self.check_multiply_active(r);
        if let Some(p) = self.s[r].parent {
            self.add_running(n, p, false);
        }
    }

    fn check_multiply_active(&mut self, r: ResourceIx) {
        if !self.s[r].is_primitive() {
            return;
        }
        let (all, clean) = self.s.active_counts(r);
        let count = if self.s[r].flags.needs_fencing { all } else { clean };
        if count < 2 {
            return;
        }
        match self.s[r].multiple_active {
            MultipleActive::StopStart | MultipleActive::StopUnexpected => {}
            MultipleActive::StopOnly => self.ban_everywhere(r, Source::MultiplyActive),
            MultipleActive::Block => {
                let block = |b: &mut Self, r: ResourceIx| {
                    b.s[r].flags.managed = false;
                    b.s[r].flags.blocked = true;
                };
                block(self, r);
                if let Some(p) = self.s[r].parent {
                    let collective = matches!(self.s[p].variant(), Variant::Group | Variant::Bundle);
                    if collective && self.s[p].multiple_active == MultipleActive::Block {
                        for i in 0..self.s[p].children.len() {
                            let c = self.s[p].children[i];
                            block(self, c);
                        }
                    }
                }
            }
        }
    }

    /// Replaces a table by every node at −INFINITY.
    pub fn ban_everywhere(&mut self, r: ResourceIx, source: Source<'_>) {
        self.s[r].table.clear();
        for i in 0..self.s.node_order.len() {
            let n = self.s.node_order[i];
            let discovery = self.s[n].discovery;
            let n = self.s.entry_for(r, n);
            self.s[r].table.insert(n, -INFINITY, discovery);
            self.ledger.note(r, n, Change::Set(-INFINITY), source);
        }
    }

    fn add_node_priority(&mut self, n: NodeIx, r: ResourceIx, failed: bool) {
        let rsc = &self.s[r];
        if rsc.priority == 0 || failed {
            return;
        }
        let add = rsc.priority.saturating_add(i32::from(rsc.role == Role::Promoted));
        self.s[n].priority = self.s[n].priority.saturating_add(add);
        if let Some(k) = self.s.container_of_node(n) {
            for i in 0..self.s[k].running_on.len() {
                let h = self.s[k].running_on[i];
                self.s[h].priority = self.s[h].priority.saturating_add(add);
            }
        }
    }

    /// P: the resource itself where it is unique, else the topmost clone: what a hard failure bans.
    pub fn banned_as(&self, r: ResourceIx) -> ResourceIx {
        if self.s[r].flags.unique { r } else { self.s.top_of(r) }
    }
}

impl State {
    /// `target-role` again, its complaints given before.
    pub fn target_role_silently(&self, r: ResourceIx) -> Option<Role> {
        let rsc = &self[r];
        match (Role::parse(rsc.meta("target-role")?), rsc.flags.promotable) {
            (Role::Stopped, _) => Some(Role::Stopped),
            (Role::Unpromoted, true) => Some(Role::Unpromoted),
            _ => None,
        }
    }
}
