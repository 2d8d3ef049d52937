//! What interrupted and complete live migrations say about where a resource is.

use super::build::Builder;
use super::history_op::{call_order, rc, status};
use super::{NodeIx, ResourceIx, Role};
use crate::policy::ledger::Ledger;
use crate::policy::values::scan_or;
use cib::Element;

fn number(e: &Element, name: &str) -> i64 {
    e.attr(name).map_or(-1, |t| scan_or(t, -1))
}

/// Entries are looked up by the id of the resource in the plan. An instance of an anonymous clone has a number
/// there that history does not know: nothing is found of it (Pacemaker 2.1.5 behaviour).
impl<L: Ledger> Builder<'_, L> {
    /// History of a resource on the node of this name, if there is exactly one.
    fn history_at(&self, resource: &str, node: &str) -> Vec<Element> {
        let Some(status) = self.s.root.child("status") else { return Vec::new() };
        let mut found = status
            .children_named("node_state")
            .filter(|s| s.attr("uname") == Some(node))
            .filter_map(|s| s.path(&["lrm", "lrm_resources"]))
            .flat_map(|l| l.children_named("lrm_resource"))
            .filter(|e| e.id() == Some(resource));
        match (found.next(), found.next()) {
            (Some(one), None) => one.children_named("lrm_rsc_op").cloned().collect(),
            _ => Vec::new(),
        }
    }

    /// The only entry of an operation; for migrations, with this peer.
    fn find_entry(&self, resource: &str, task: &str, node: &str, peer: Option<&str>) -> Option<Element> {
        let mut found = self.history_at(resource, node).into_iter().filter(|e| {
            e.attr("operation") == Some(task)
                && match task {
                    "migrate_to" => e.attr("migrate_target") == peer,
                    "migrate_from" => e.attr("migrate_source") == peer,
                    _ => true,
                }
        });
        match (found.next(), found.next()) {
            (Some(one), None) => Some(one),
            _ => None,
        }
    }

    /// Anything but a monitor happened on the node after the entry.
    fn non_monitor_after(&self, resource: &str, node: &str, entry: &Element, same_node: bool) -> bool {
        self.history_at(resource, node).iter().any(|e| {
            matches!(e.attr("operation"), Some("start" | "stop" | "migrate_to" | "migrate_from"))
                && call_order(e, entry, same_node).is_gt()
        })
    }

    /// The node's history says something newer than the migration.
    fn newer_state(
        &self,
        resource: &str,
        node: &str,
        migrate_to: Option<&Element>,
        migrate_from: Option<&Element>,
        source: &str,
        target: &str,
    ) -> bool {
        let (entry, same_node) = if node.eq_ignore_ascii_case(target) && migrate_from.is_some() {
            (migrate_from, true)
        } else if node.eq_ignore_ascii_case(source) && migrate_to.is_some() {
            (migrate_to, true)
        } else {
            (migrate_to.or(migrate_from), false)
        };
        let Some(entry) = entry else { return false };
        if self.non_monitor_after(resource, node, entry, same_node) {
            return true;
        }
        self.find_entry(resource, "monitor", node, None).is_some_and(|m| {
            number(&m, "rc-code") == rc::NOT_RUNNING
                && number(&m, "op-status") == status::DONE
                && call_order(&m, entry, same_node).is_gt()
        })
    }

    fn names(&self, op: &Element) -> Option<(String, String)> {
        Some((op.attr("migrate_source")?.to_owned(), op.attr("migrate_target")?.to_owned()))
    }

    /// A migrate_to that succeeded.
    pub fn migrated_to(&mut self, n: NodeIx, r: ResourceIx, op: &Element) {
        let Some((source, target)) = self.names(op) else { return };
        let id = self.s[r].id.clone();
        let source_newer = self.non_monitor_after(&id, &source, op, true);
        let from = self.find_entry(&id, "migrate_from", &target, Some(&source));
        if from.is_some() && source_newer {
            return;
        }
        let target_newer = self.newer_state(&id, &target, Some(op), from.as_ref(), &source, &target);
        if source_newer && target_newer {
            return;
        }
        let (from_rc, from_status) = match &from {
            Some(f) => (number(f, "rc-code"), number(f, "op-status")),
            None => (0, status::PENDING),
        };
        if from_status == status::DONE && from_rc == rc::OK {
            self.s[r].role = Role::Stopped;
            self.s[r].dangling_migrations.insert(0, n);
            return;
        }
        self.s[r].role = Role::Started;
        let target_node = self.s.node_by_name(&target);
        if target_node.is_some_and(|t| self.s[t].online) && self.unknown_at(&id, &target) {
            // Nothing is known of it there: the probe that will come first says where it is.
            return;
        }
        let on_target = target_node.filter(|t| !target_newer && self.s[*t].online);
        if from_status != status::PENDING {
            match on_target {
                Some(t) => self.add_running(t, r, true),
                None => self.migration_lost(r),
            }
            return;
        }
        if let Some(t) = on_target {
            let source_node = self.s.node_by_name(&source);
            self.add_running(t, r, false);
            if let Some(s) = source_node.filter(|s| self.s[*s].online) {
                self.s[r].partial_migration_source = Some(s);
                self.s[r].partial_migration_target = Some(t);
            }
        } else if !source_newer {
            self.migration_lost(r);
        }
    }

    /// The resource may be anywhere: it is recovered without another migration.
    fn migration_lost(&mut self, r: ResourceIx) {
        let f = &mut self.s[r].flags;
        f.failed = true;
        f.stop = true;
        f.allow_migrate = false;
    }

    /// No operation of the resource has ended on the node.
    fn unknown_at(&self, resource: &str, node: &str) -> bool {
        self.history_at(resource, node).iter().all(|e| number(e, "rc-code") == rc::PENDING)
    }

    /// A migrate_to that failed.
    pub fn migrate_to_failed(&mut self, n: NodeIx, r: ResourceIx, op: &Element) {
        let Some((source, target)) = self.names(op) else { return };
        let id = self.s[r].id.clone();
        self.s[r].role = Role::Started;
        let from = self.find_entry(&id, "migrate_from", &target, Some(&source));
        if !self.unknown_at(&id, &target)
            && !self.newer_state(&id, &target, Some(op), from.as_ref(), &source, &target)
        {
            if let Some(t) = self.s.node_by_name(&target).filter(|t| self.s[*t].online) {
                self.add_running(t, r, false);
            }
        } else if !self.non_monitor_after(&id, &source, op, true) {
            self.s[r].dangling_migrations.insert(0, n);
        }
    }

    /// A migrate_from that failed.
    pub fn migrate_from_failed(&mut self, _n: NodeIx, r: ResourceIx, op: &Element) {
        let Some((source, target)) = self.names(op) else { return };
        let id = self.s[r].id.clone();
        self.s[r].role = Role::Started;
        let to = self.find_entry(&id, "migrate_to", &source, Some(&target));
        if !self.unknown_at(&id, &source)
            && !self.newer_state(&id, &source, to.as_ref(), Some(op), &source, &target)
            && let Some(s) = self.s.node_by_name(&source).filter(|s| self.s[*s].online)
        {
            self.add_running(s, r, true);
        }
    }
}
