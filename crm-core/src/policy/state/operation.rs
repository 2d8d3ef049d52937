//! What the configuration says about an operation: its `op` element, meta-attributes, time-out, on-fail.

use super::nvpairs::{self, Mode};
use super::resource::{OnFail, Role};
use super::rules::{Input, Notes};
use super::{NodeIx, ResourceIx, State, Table};
use crate::policy::{dates, values, words};
use cib::{Element, Text};

/// Time-out of an operation that names none, in milliseconds.
pub const DEFAULT_TIMEOUT_MS: i64 = 20_000;

/// Configuration of one operation of one resource.
#[derive(Debug, Clone)]
pub struct OpConfig {
    /// The `op` element it comes from.
    pub op: Option<Element>,
    /// Becomes `CRM_meta_…`; `timeout` and `start-delay` in milliseconds.
    pub meta: Table,
    /// The operation's own instance attributes: they override the resource's when it is executed.
    pub extra: Table,
    pub on_fail: OnFail,
    /// The highest role the resource may have after a failure; [`Role::Started`] for no limit.
    pub fail_role: Role,
}

/// The part of [`OpConfig`] that only reads.
pub(super) struct Tables {
    op: Option<Element>,
    pub(super) meta: Table,
    pub(super) extra: Table,
}

/// An operation key taken apart: `RSC_TASK_INTERVAL`.
pub fn parse_key(key: &str) -> Option<(&str, &str, u32)> {
    let (head, interval) = key.rsplit_once('_')?;
    if interval.is_empty() || !interval.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let interval: u32 = interval.parse().ok()?;
    for task in ["_migrate_to", "_migrate_from"] {
        if let Some(rsc) = head.strip_suffix(task) {
            for notify in ["_pre_notify", "_post_notify"] {
                if let Some(r) = rsc.strip_suffix(notify) {
                    return Some((r, head.get(r.len() + 1..)?, interval));
                }
            }
            return Some((rsc, task.get(1..)?, interval));
        }
    }
    let (rsc, task) = head.rsplit_once('_')?;
    if task.bytes().all(|b| b.is_ascii_lowercase()) {
        for notify in ["_pre_notify", "_post_notify"] {
            if let Some(r) = rsc.strip_suffix(notify) {
                return Some((r, head.get(r.len() + 1..)?, interval));
            }
        }
    }
    Some((rsc, task, interval))
}

/// `RSC_TASK_INTERVAL`.
pub fn key(resource: &str, task: &str, interval_ms: u32) -> String {
    format!("{resource}_{task}_{interval_ms}")
}

/// It has instance attributes of its own.
pub fn has_parameters(op: &Element) -> bool {
    op.child("instance_attributes").is_some()
}

/// What a configured time-out comes to, in milliseconds.
fn timeout_ms(text: Option<&Text>) -> i64 {
    text.and_then(|text| values::parse_msec(text)).filter(|ms| *ms >= 0).unwrap_or(DEFAULT_TIMEOUT_MS)
}

/// `enabled` is not a false word.
pub fn is_enabled(op: &Element) -> bool {
    op.value(words::ENABLED).and_then(values::parse_bool) != Some(false)
}

impl State {
    /// The first `op` of this name and interval.
    pub fn find_op(
        &self,
        r: ResourceIx,
        name: &str,
        interval_ms: u32,
        disabled_too: bool,
    ) -> Option<&Element> {
        self[r].ops.iter().find(|op| {
            op.value(words::NAME).is_some_and(|n| n.eq_ignore_ascii_case(name))
                && values::interval_ms(op.value(words::INTERVAL)) == interval_ms
                && (disabled_too || is_enabled(op))
        })
    }

    /// The `op` for a task: migrations fall back to `migrate`, notifications use `notify`.
    pub fn find_op_for(&self, r: ResourceIx, task: &str, key: &str, interval_ms: u32) -> Option<&Element> {
        self.find_op(r, task, interval_ms, true).or_else(|| {
            if key.contains("migrate_to") || key.contains("migrate_from") {
                self.find_op(r, "migrate", 0, true)
            } else if key.contains("_notify_") {
                self.find_op(r, "notify", 0, true)
            } else {
                None
            }
        })
    }

    /// Configuration of the operation with this task and key; `node` is where it is to run.
    pub fn op_config(
        &self,
        r: ResourceIx,
        task: &str,
        key: &str,
        interval_ms: u32,
        node: Option<NodeIx>,
        notes: &mut Notes,
    ) -> OpConfig {
        let Tables { op, mut meta, extra } = self.op_tables(r, task, key, interval_ms, node, notes);
        let (on_fail, stop_role) = self.on_fail(r, task, key, interval_ms, &mut meta, notes);
        let fail_role = self.fail_role(r, task, op.as_ref(), &meta, stop_role, notes);
        self.start_delay(&mut meta, interval_ms, key, notes);
        OpConfig { op, meta, extra, on_fail, fail_role }
    }

    /// The values alone that are configured for an operation.
    pub(super) fn op_tables(
        &self,
        r: ResourceIx,
        task: &str,
        key: &str,
        interval_ms: u32,
        node: Option<NodeIx>,
        notes: &mut Notes,
    ) -> Tables {
        let rsc = &self[r];
        let op = self.find_op_for(r, task, key, interval_ms).cloned();
        let mut meta = Table::default();
        meta.reserve(op.as_ref().map_or(1, |op| op.attr_count() + 1));
        let mut input = Input::new(&self.root, self.moment());
        input.agent = Some((rsc.class(), rsc.provider(), rsc.agent()));
        input.operation = Some((task, interval_ms));
        let health = &self.options.health;
        if let Some(d) = &self.op_defaults {
            nvpairs::unpack(d, words::META_ATTRIBUTES, &input, health, Mode::Keep, &mut meta, notes);
        }
        let probe = task == "monitor" && interval_ms == 0;
        if probe {
            let timeout = self.shortest_monitor(r).and_then(|m| m.attr_text("timeout"));
            if let Some(timeout) = timeout {
                meta.insert(Text::fixed("timeout"), timeout);
            }
        }
        let mut extra = Table::default();
        if let Some(op) = &op {
            nvpairs::unpack(op, words::META_ATTRIBUTES, &input, health, Mode::Overwrite, &mut meta, notes);
            if let Some(n) = node {
                let mut input = Input::new(&self.root, self.moment());
                input.node = Some(&self[n].attributes);
                nvpairs::unpack(
                    op,
                    words::INSTANCE_ATTRIBUTES,
                    &input,
                    health,
                    Mode::Keep,
                    &mut extra,
                    notes,
                );
            }
            // A set may say "id" too: its value goes, as the operation's own does.
            meta.shift_remove("id");
            for (name, value) in op.attr_texts().filter(|(name, _)| name.as_str() != "id") {
                meta.insert(name, value);
            }
        }
        if interval_ms > 0 {
            meta.insert(Text::fixed("interval"), i64::from(interval_ms));
        } else {
            meta.shift_remove("interval");
        }
        if rsc.flags.fence_device
            && (task == "start" || probe)
            && let Some(t) = self.parameters(r, node).get("pcmk_monitor_timeout")
        {
            meta.insert(Text::fixed("timeout"), t);
        }
        let timeout = timeout_ms(meta.get("timeout"));
        meta.insert(Text::fixed("timeout"), timeout);
        Tables { op, meta, extra }
    }

    /// The time-out that [`State::op_tables`] gives a recurring operation, in milliseconds.
    pub(super) fn op_timeout(
        &self,
        r: ResourceIx,
        task: &str,
        interval_ms: u32,
        node: Option<NodeIx>,
    ) -> i64 {
        // What stands in the element itself comes last, and so it counts.
        let own = self.find_op(r, task, interval_ms, true).and_then(|op| op.value_text(words::TIMEOUT));
        let from_device = self[r].flags.fence_device && task == "start";
        if let Some(own) = own.filter(|_| !from_device) {
            return timeout_ms(Some(&own));
        }
        let key = key(&self[r].id, task, interval_ms);
        let tables = self.op_tables(r, task, &key, interval_ms, node, &mut Notes::default());
        tables.meta.get("timeout").and_then(|ms| ms.parse().ok()).unwrap_or(DEFAULT_TIMEOUT_MS)
    }

    /// The enabled recurring monitor with the smallest interval.
    fn shortest_monitor(&self, r: ResourceIx) -> Option<&Element> {
        let mut best: Option<(u32, &Element)> = None;
        for op in &self[r].ops {
            let interval = values::interval_ms(op.value(words::INTERVAL));
            if op.value(words::NAME) == Some("monitor")
                && interval > 0
                && is_enabled(op)
                && best.is_none_or(|(b, _)| interval < b)
            {
                best = Some((interval, op));
            }
        }
        best.map(|(_, op)| op)
    }

    /// What a failure leads to, and whether the resource is to stay stopped after it.
    fn on_fail(
        &self,
        r: ResourceIx,
        task: &str,
        key: &str,
        interval_ms: u32,
        meta: &mut Table,
        notes: &mut Notes,
    ) -> (OnFail, bool) {
        let rsc = &self[r];
        let id = rsc.id.as_str();
        if task == "lrm_delete" {
            return (OnFail::Ignore, false);
        }
        let mut value = meta.get("on-fail").cloned();
        let is = |v: &Option<Text>, w: &str| v.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(w));
        if task == "stop" && ["standby", "demote", "stop"].iter().any(|w| is(&value, w)) {
            let v = value.take().unwrap_or_default();
            notes.complaints.error(
                "on-fail-stop",
                id,
                format!(
                    "Resetting 'on-fail' for {id} stop action to default value because '{v}' is not allowed for stop"
                ),
            );
        } else if task == "demote" && value.is_none() {
            value = rsc
                .ops
                .iter()
                .filter(|op| {
                    is_enabled(op)
                        && op.value(words::NAME) == Some("monitor")
                        && op.value(words::ROLE).is_some_and(|x| Role::parse(x) == Role::Promoted)
                        && values::interval_ms(op.value(words::INTERVAL)) > 0
                })
                .filter_map(|op| op.attr_text("on-fail"))
                .find(|v| !v.eq_ignore_ascii_case("demote"));
        } else if is(&value, "demote") {
            let role = meta.get("role").map_or(Role::Unknown, |v| Role::parse(v));
            let allowed =
                task == "promote" || (task == "monitor" && interval_ms > 0 && role == Role::Promoted);
            if !allowed {
                notes.complaints.error(
                    "on-fail-demote",
                    id,
                    format!(
                        "Resetting 'on-fail' for {id} {task} action to default value because 'demote' is not allowed \
                         for it"
                    ),
                );
                value = None;
            }
        }
        let fencing = self.options.stonith_enabled;
        let mut chosen = None;
        if let Some(v) = &value {
            let is = |w: &str| v.eq_ignore_ascii_case(w);
            if is("block") {
                meta.insert(Text::fixed("on-fail"), Text::fixed("block"));
                chosen = Some((OnFail::Block, false));
            } else if is("fence") {
                chosen = Some(if fencing {
                    (OnFail::Fence, false)
                } else {
                    notes.complaints.error(
                        "on-fail-fence",
                        key,
                        format!(
                            "Resetting 'on-fail' for operation '{key}' to 'stop' because 'fence' is not valid when \
                             fencing is disabled"
                        ),
                    );
                    (OnFail::Stop, true)
                });
            } else if is("standby") {
                chosen = Some((OnFail::Standby, false));
            } else if is("ignore") || is("nothing") {
                chosen = Some((OnFail::Ignore, false));
            } else if is("migrate") {
                chosen = Some((OnFail::Migrate, false));
            } else if is("stop") {
                chosen = Some((OnFail::Stop, true));
            } else if is("restart") {
                chosen = Some((OnFail::Recover, false));
            } else if is("restart-container") {
                chosen = rsc.container.map(|_| (OnFail::RestartContainer, false));
            } else if is("demote") {
                chosen = Some((OnFail::Demote, false));
            } else {
                notes.complaints.error(
                    "on-fail-unknown",
                    id,
                    format!("Resource {id}: Unknown failure type ({v})"),
                );
            }
        }
        let probe = task == "monitor" && interval_ms == 0;
        let remote_connection = rsc.flags.is_connection
            && rsc.container.is_none()
            && rsc.remote_node.is_some_and(|n| self.is_remote_node(n));
        if chosen.is_none() && rsc.container.is_some() {
            (OnFail::RestartContainer, false)
        } else if remote_connection && !probe && task != "start" && (chosen.is_none() || !rsc.flags.managed) {
            if !rsc.flags.managed {
                (OnFail::Stop, true)
            } else {
                (OnFail::ResetRemote, rsc.remote_reconnect_ms > 0)
            }
        } else if let Some(c) = chosen {
            c
        } else if task == "stop" {
            (if fencing { OnFail::Fence } else { OnFail::Block }, false)
        } else {
            (OnFail::Recover, false)
        }
    }

    fn fail_role(
        &self,
        r: ResourceIx,
        task: &str,
        op: Option<&Element>,
        meta: &Table,
        stopped: bool,
        notes: &mut Notes,
    ) -> Role {
        if stopped {
            return Role::Stopped;
        }
        if let (Some(_), Some(word)) = (op, meta.get("role_after_failure")) {
            notes.complaints.warning_once(
                "role-after-failure",
                &self[r].id,
                "Support for role_after_failure is deprecated and will be removed in a future release"
                    .to_owned(),
            );
            let role = Role::parse(word);
            if role != Role::Unknown {
                return role;
            }
        }
        if task == "promote" { Role::Unpromoted } else { Role::Started }
    }

    /// `start-delay` in milliseconds, or the delay that `interval-origin` asks for.
    fn start_delay(&self, meta: &mut Table, interval_ms: u32, key: &str, notes: &mut Notes) {
        if let Some(text) = meta.get("start-delay") {
            let ms = values::parse_msec(text).unwrap_or(0).max(0);
            meta.insert(Text::fixed("start-delay"), ms);
        } else if interval_ms >= 1000 {
            let Some(text) = meta.get("interval-origin") else { return };
            let Some(origin) = dates::parse(text, self.moment()) else {
                let text = text.clone();
                notes.complaints.error(
                    "interval-origin",
                    key,
                    format!("Ignoring 'interval-origin' for operation '{key}' because '{text}' is not valid"),
                );
                return;
            };
            let interval = i64::from(interval_ms / 1000);
            let rest = (self.now - origin.epoch) % interval;
            let delay = if rest <= 0 { -rest } else { interval - rest };
            meta.insert(Text::fixed("start-delay"), delay * 1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_apart() {
        for (key, parts) in [
            ("a_b_monitor_10000", Some(("a_b", "monitor", 10_000))),
            ("r_migrate_to_0", Some(("r", "migrate_to", 0))),
            ("r_pre_notify_start_0", Some(("r", "pre_notify_start", 0))),
            ("r_post_notify_migrate_from_0", Some(("r", "post_notify_migrate_from", 0))),
            ("plain", None),
        ] {
            assert_eq!(parse_key(key), parts, "{key}");
        }
    }
}
