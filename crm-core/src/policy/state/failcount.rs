//! Fail counts: node attributes that say how often, and when last, an operation failed.

use super::{EffectPhase, NodeIx, ResourceIx, State, Variant};
use crate::policy::values::{self, add_scores};
use cib::Element;

/// How often a resource failed on a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FailCount {
    pub count: i32,
    /// Epoch seconds of the latest failure, 0 if unknown.
    pub last: i64,
}

impl State {
    /// The fail count of a resource on a node.
    ///
    /// `effective`: 0 where the failures have expired. `fillers`: with those of the resources inside.
    /// `entry`: the history entry at hand, which decides whether an on-fail=block failure keeps the count.
    pub fn fail_count(
        &mut self,
        node: NodeIx,
        r: ResourceIx,
        effective: bool,
        fillers: bool,
        entry: Option<&Element>,
    ) -> FailCount {
        let mut out = self.raw_fail_count(node, r);
        if out.count > 0 && self[r].failure_timeout > 0 && self.is_failure_blocking(node, r, entry) {
            let id = self[r].id.clone();
            let timeout = self[r].failure_timeout;
            self.complaints.warning(
                "failure-timeout-block",
                &id,
                format!(
                    "Ignoring failure timeout {timeout} for {id} because it conflicts with on-fail=block"
                ),
            );
            self[r].failure_timeout = 0;
        }
        let timeout = self[r].failure_timeout;
        if out.count > 0 && timeout > 0 {
            self[r].flags.timed = true;
        }
        if effective && out.count > 0 && out.last > 0 && timeout > 0 && self.now > out.last + timeout {
            out.count = 0;
        }
        let bundled =
            self.is_bundled(r) || self[r].parent.is_some_and(|p| self[p].variant() == Variant::Bundle);
        if fillers && !bundled {
            for i in 0..self[r].fillers.len() {
                let f = self[r].fillers[i];
                let inside = self.fail_count(node, f, effective, true, entry);
                out.count = out.count.saturating_add(inside.count);
                out.last = out.last.max(inside.last);
            }
        }
        out
    }

    fn raw_fail_count(&self, node: NodeIx, r: ResourceIx) -> FailCount {
        let rsc = &self[r];
        let mut name = rsc.name_in_history();
        if !rsc.flags.unique {
            name = base_name(name);
        }
        let with_operation =
            values::compare_versions(&self.feature_set, "3.0.13").is_ge() && !self.feature_set.is_empty();
        let mut out = FailCount::default();
        for (attribute, value) in &self[node].attributes {
            let (rest, is_count) = match attribute.strip_prefix("fail-count-") {
                Some(rest) => (rest, true),
                None => match attribute.strip_prefix("last-failure-") {
                    Some(rest) => (rest, false),
                    None => continue,
                },
            };
            let Some(tail) = rest.strip_prefix(name) else { continue };
            if !matches_tail(tail, rsc.flags.unique, with_operation) {
                continue;
            }
            if is_count {
                out.count = add_scores(out.count, self.score(Some(value)));
            } else {
                out.last = out.last.max(values::scan_or(value, 0));
            }
        }
        out
    }

    /// Whether a failure that would expire has on-fail=block, by the operation's own attribute.
    fn is_failure_blocking(&self, node: NodeIx, r: ResourceIx, entry: Option<&Element>) -> bool {
        let rsc = &self[r];
        let blocking: Vec<(&str, u32)> = rsc
            .ops
            .iter()
            .filter(|op| op.attr("on-fail") == Some("block"))
            .filter_map(|op| Some((op.attr("name")?, values::interval_ms(op.attr("interval")))))
            .collect();
        if blocking.is_empty() {
            return false;
        }
        let name = rsc.name_in_history().to_owned();
        let is_failure = |e: &Element| {
            let Some(task) = e.attr("operation") else { return false };
            let interval = values::history_ms(e.attr("interval"));
            if !blocking.iter().any(|(n, i)| *n == task && *i == interval) {
                return false;
            }
            let id = e.id().unwrap_or("");
            if id == format!("{name}_last_failure_0") {
                return true;
            }
            let rc = e.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
            id == format!("{name}_{task}_{interval}") && rc != super::history_op::expected_rc(e)
        };
        match entry {
            Some(e) => is_failure(e),
            None => {
                self.history_of(node, &name).is_some_and(|h| h.children_named("lrm_rsc_op").any(is_failure))
            }
        }
    }

    /// The `lrm_resource` of this id on a node.
    pub fn history_of(&self, node: NodeIx, id: &str) -> Option<&Element> {
        let state = self[node].state_xml.as_ref()?;
        let list = state.path(&["lrm", "lrm_resources"])?;
        list.children_named("lrm_resource").find(|e| e.id() == Some(id))
    }

    /// Whether an operation that needs nothing could run on a node as it is known now.
    fn can_act_on(&self, node: NodeIx) -> bool {
        let guest = self.is_guest_node(node);
        let n = &self[node];
        let there = n.online || guest && !n.requires_reset;
        there && !n.pending && (!guest || self.can_fence(Some(node)))
    }

    /// Asks for a fail count to be cleared, once.
    pub fn clear_fail_count(&mut self, r: ResourceIx, node: NodeIx, reason: &'static str) {
        let (id, name) = (self[r].id.clone(), self[node].name.clone());
        if self.clear_requested.insert((r, node)) {
            self.complaints.notice(
                "fail-count-cleared",
                &id,
                format!("Clearing failure of {id} on {name} because {reason}"),
            );
        }
        if self.phase == EffectPhase::Status {
            let waits = self.options.stonith_enabled && self[r].remote_reconnect_ms > 0;
            let after_fencing = self[r].remote_node.filter(|_| waits);
            if let Some(remote) = after_fencing {
                self.compare_unfencing(remote);
            }
            let runnable = self.can_act_on(node);
            self.effect(super::Effect::ClearFailCount { resource: r, node, reason, after_fencing, runnable });
        }
    }
}

/// A name without its instance number.
pub fn base_name(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((base, n)) if !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()) => base,
        _ => name,
    }
}

/// What may follow the resource's name: an instance number, and the operation.
fn matches_tail(tail: &str, unique: bool, with_operation: bool) -> bool {
    let tail = match tail.strip_prefix(':') {
        Some(rest) if !unique => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            if end == 0 {
                return false;
            }
            rest.get(end..).unwrap_or("")
        }
        _ => tail,
    };
    if !with_operation {
        return tail.is_empty();
    }
    let Some(op) = tail.strip_prefix('#') else { return false };
    match op.rsplit_once('_') {
        Some((task, ms)) => !task.is_empty() && !ms.is_empty() && ms.bytes().all(|b| b.is_ascii_digit()),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_of_fail_count_names() {
        assert!(matches_tail("#monitor_10000", true, true));
        assert!(matches_tail(":12#start_0", false, true));
        assert!(!matches_tail(":12#start_0", true, true));
        assert!(!matches_tail("", false, true));
        assert!(matches_tail("", false, false));
        assert!(!matches_tail("-other#start_0", false, true));
    }
}
