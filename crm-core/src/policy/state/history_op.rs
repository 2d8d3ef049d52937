//! One entry of a resource's history: how old it is, what its result means, what it says of the resource.

use super::build::Builder;
use super::resource::OnFail;
use super::rules::Notes;
use super::{FailedOp, NodeIx, ResourceIx, Role};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::values::{self, INFINITY};
use crate::policy::words;
use cib::{Element, Word};
use std::cmp::Ordering;

/// Failures found so far in one history.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// The most severe response asked for.
    pub response: OnFail,
    /// Operation key of the last failure.
    pub last: Option<String>,
}

/// Results of the executor (`op-status`).
pub mod status {
    pub const PENDING: i64 = -1;
    pub const DONE: i64 = 0;
    pub const CANCELLED: i64 = 1;
    pub const NOT_SUPPORTED: i64 = 3;
    pub const ERROR: i64 = 4;
    pub const ERROR_HARD: i64 = 5;
    pub const ERROR_FATAL: i64 = 6;
    pub const NOT_INSTALLED: i64 = 7;
    pub const NOT_CONNECTED: i64 = 8;
    pub const NO_FENCE_DEVICE: i64 = 10;
    pub const NO_SECRETS: i64 = 11;
}

/// Results of agents (`rc-code`).
pub mod rc {
    pub const OK: i64 = 0;
    pub const INVALID_PARAM: i64 = 2;
    pub const UNIMPLEMENTED: i64 = 3;
    pub const INSUFFICIENT_PRIV: i64 = 4;
    pub const NOT_INSTALLED: i64 = 5;
    pub const NOT_CONFIGURED: i64 = 6;
    pub const NOT_RUNNING: i64 = 7;
    pub const PROMOTED: i64 = 8;
    pub const FAILED_PROMOTED: i64 = 9;
    pub const DEGRADED: i64 = 190;
    pub const DEGRADED_PROMOTED: i64 = 191;
    /// Of an operation that has not ended.
    pub const PENDING: i64 = 193;
}

/// The words of an agent's result.
pub fn rc_text(code: i64) -> &'static str {
    match code {
        0 => "ok",
        1 => "error",
        2 => "invalid parameter",
        3 => "unimplemented feature",
        4 => "insufficient privileges",
        5 => "not installed",
        6 => "not configured",
        7 => "not running",
        8 => "promoted",
        9 => "promoted (failed)",
        190 => "OCF_DEGRADED",
        191 => "promoted (degraded)",
        _ => "unknown",
    }
}

/// A transition key taken apart: action, transition, expected result, who made it.
///
/// The reference scans the key as C's `scanf` does: blanks may stand before each field, and of the last one
/// the first word counts, 36 bytes at most.
pub fn parse_transition_key(key: &str) -> Option<(i64, i64, i64, &str)> {
    let mut rest = key;
    let mut number = || {
        let (field, after) = rest.split_at_checked(rest.bytes().position(|byte| byte == b':')?)?;
        rest = after.get(1..)?;
        after_blanks(field).parse::<i32>().ok().map(i64::from)
    };
    let (action, transition, expected) = (number()?, number()?, number()?);
    let uuid = after_blanks(rest);
    let uuid = uuid.get(..uuid.bytes().position(is_blank).unwrap_or(uuid.len()))?;
    let end = (0..=uuid.len().min(36)).rev().find(|at| uuid.is_char_boundary(*at))?;
    let uuid = uuid.get(..end)?;
    (!uuid.is_empty()).then_some((action, transition, expected, uuid))
}

/// What C calls white space.
fn is_blank(byte: u8) -> bool {
    byte <= b' ' && matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0xb | 0xc)
}

fn after_blanks(text: &str) -> &str {
    let blanks = text.bytes().take_while(|byte| is_blank(*byte)).count();
    text.get(blanks..).unwrap_or_default()
}

/// The result an entry was expected to have; −1 where that is not recorded.
pub fn expected_rc(op: &Element) -> i64 {
    op.value(words::TRANSITION_KEY).and_then(parse_transition_key).map_or(-1, |k| k.2)
}

fn int(op: &Element, name: Word) -> Option<i64> {
    op.value(name).map(|t| i64::from(values::scan_int_attr(t)))
}

/// Which of two entries is older (§8.2). `same_node`: they are of one node unless they say otherwise.
pub fn call_order(a: &Element, b: &Element, same_node: bool) -> Ordering {
    if a.value(words::ID) == b.value(words::ID) && same_node {
        return Ordering::Equal;
    }
    let same_node = match (a.value(words::ON_NODE), b.value(words::ON_NODE)) {
        (Some(x), Some(y)) => x.eq_ignore_ascii_case(y),
        _ => same_node,
    };
    let (ca, cb) = (int(a, words::CALL_ID).unwrap_or(-1), int(b, words::CALL_ID).unwrap_or(-1));
    if ca == -1 && cb == -1 {
        return Ordering::Equal;
    }
    if same_node && ca >= 0 && ca < cb {
        return Ordering::Less;
    }
    if same_node && cb >= 0 && ca > cb {
        return Ordering::Greater;
    }
    if ca >= 0 && cb >= 0 {
        let time = |e: &Element| e.value(words::LAST_RC_CHANGE).map_or(-1, |t| values::scan_or(t, -1));
        let (ta, tb) = (time(a), time(b));
        return if ta < 0 || tb < 0 { Ordering::Equal } else { ta.cmp(&tb) };
    }
    let decode = |e: &Element| -> Option<(i64, String)> {
        let magic = e.value(words::TRANSITION_MAGIC)?;
        let (_, key) = magic.split_once(';')?;
        let (_, transition, _, uuid) = parse_transition_key(key)?;
        Some((transition, uuid.to_owned()))
    };
    let (Some((ka, ua)), Some((kb, ub))) = (decode(a), decode(b)) else { return Ordering::Equal };
    if ua != ub || ka == kb {
        return if ca == -1 { Ordering::Greater } else { Ordering::Less };
    }
    if (ka >= 0 && ka < kb) || kb == -1 {
        Ordering::Less
    } else if (kb >= 0 && ka > kb) || ka == -1 {
        Ordering::Greater
    } else {
        Ordering::Equal
    }
}

/// An entry, read.
pub(super) struct Entry<'a> {
    pub op: &'a Element,
    pub id: &'a str,
    pub task: &'a str,
    pub interval_ms: u32,
    /// Operation key as recorded.
    pub key: &'a str,
    pub status: i64,
    pub rc: i64,
    pub expected: i64,
}

impl Entry<'_> {
    pub fn is_probe(&self) -> bool {
        self.task == "monitor" && self.interval_ms == 0
    }

    fn exit_reason(&self) -> &str {
        self.op.value(words::EXIT_REASON).unwrap_or("")
    }
}

impl<L: Ledger> Builder<'_, L> {
    /// §8.5: takes one entry into account.
    pub fn entry(&mut self, n: NodeIx, r: ResourceIx, op: &Element, failure: &mut Failure) {
        let (Some(task), Some(code)) = (op.value(words::OPERATION), int(op, words::OP_STATUS)) else {
            return;
        };
        if !(-1..=11).contains(&code) || matches!(task, "notify" | "meta-data") {
            return;
        }
        let mut e = Entry {
            op,
            id: op.id().unwrap_or(""),
            task,
            interval_ms: values::history_ms(op.value(words::INTERVAL)),
            key: op.value(words::OPERATION_KEY).or_else(|| op.id()).unwrap_or(""),
            status: code,
            rc: int(op, words::RC_CODE).unwrap_or(0),
            expected: expected_rc(op),
        };
        if e.expected < 0
            && let Some(k) = op.value(words::TRANSITION_KEY)
        {
            self.s.complaints.log_error("transition-key", e.id, format!("Invalid transition key '{k}'"));
        }
        let expired = e.status != status::NOT_INSTALLED && self.expired(n, r, &e);
        let original_unexpected = e.rc != e.expected;
        let masked = self.masks(r, &e);
        if masked {
            e.status = status::DONE;
        }
        let recorded_rc = e.rc;
        if masked {
            e.rc = rc::NOT_RUNNING;
        }
        self.remap(n, r, &mut e, failure);
        if expired && masked && original_unexpected {
            if self.s[r].role <= Role::Stopped {
                self.s[r].role = Role::Unknown;
            }
            return;
        }
        if expired && e.rc != e.expected {
            let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
            if e.interval_ms == 0 {
                self.s.complaints.notice(
                    "failure-expired",
                    &id,
                    format!("Ignoring expired {} failure on {node}", e.id),
                );
                return;
            }
            if self.s[n].online && !self.s[n].unclean {
                self.s.complaints.notice(
                    "failure-expired-reschedule",
                    &id,
                    format!("Rescheduling {} after failure expired on {node}", e.key),
                );
                self.replace_restart_digest(n, r, e.id);
                return;
            }
        }
        if masked && original_unexpected {
            let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
            self.s.complaints.notice(
                "probe-masked",
                &id,
                format!(
                    "Treating probe result '{}' for {id} on {node} as 'not running'",
                    rc_text(recorded_rc)
                ),
            );
            self.success(n, r, &e, e.rc, true, failure);
            self.record_failed(n, r, op);
            let p = self.banned_as(r);
            let source = Source::History { tag: "masked-probe-failure" };
            self.s.nudge(self.ledger, p, n, -INFINITY, source);
            return;
        }
        self.by_status(n, r, &e, failure);
    }

    fn by_status(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>, failure: &mut Failure) {
        match e.status {
            status::CANCELLED => {
                let id = self.s[r].id.clone();
                self.s.complaints.error(
                    "history-cancelled",
                    &id,
                    format!("Resource history contains cancellation '{}'", e.id),
                );
            }
            status::PENDING => self.pending(n, r, e),
            status::DONE => self.success(n, r, e, e.rc, false, failure),
            status::NOT_INSTALLED => {
                let on_fail = self.on_fail_of(r, e).0;
                if on_fail == OnFail::Ignore {
                    let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
                    self.s.complaints.log_warning(
                        "failure-not-ignorable",
                        &id,
                        format!(
                            "Cannot ignore failed {} of {id} on {node}: Resource agent doesn't exist",
                            e.task
                        ),
                    );
                    failure.response = OnFail::Migrate;
                }
                let p = self.banned_as(r);
                self.s.nudge(self.ledger, p, n, -INFINITY, Source::History { tag: "hard-error" });
                self.failed(n, r, e, failure);
            }
            status::NOT_CONNECTED => {
                if let Some(c) = self.s[n].connection.filter(|_| self.s[n].is_remote_kind())
                    && self.s[c].flags.managed
                {
                    self.s[c].flags.failed = true;
                    self.s[c].flags.stop = true;
                }
                self.error(n, r, e, failure);
            }
            _ => self.error(n, r, e, failure),
        }
    }

    fn pending(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>) {
        match e.task {
            "start" => {
                self.s[r].flags.start_pending = true;
                self.s[r].role = self.s.active_role(r);
            }
            "promote" => self.s[r].role = Role::Promoted,
            "migrate_to" if self.s[n].unclean => {
                let target = e.op.value(words::MIGRATE_TARGET).and_then(|t| self.s.node_by_name(t));
                if let Some(t) = target {
                    self.require_stop(r, t);
                }
            }
            _ => {}
        }
        if self.s[r].pending_task.is_none() && !e.is_probe() {
            self.s[r].pending_task = Some(e.task.to_owned());
            self.s[r].pending_node = Some(n);
        }
    }

    /// A failed result, unless on-fail has it ignored.
    fn error(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>, failure: &mut Failure) {
        let (on_fail, _) = self.on_fail_of(r, e);
        if on_fail == OnFail::Ignore || (on_fail == OnFail::RestartContainer && e.task == "stop") {
            let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
            let reason = e.exit_reason();
            let sep = if reason.is_empty() { "" } else { ": " };
            self.s.complaints.log_warning(
                "failure-ignored",
                &id,
                format!(
                    "Pretending failed {} ({}{sep}{reason}) of {id} on {node} at {} succeeded",
                    e.task,
                    rc_text(e.rc),
                    e.op.value(words::LAST_RC_CHANGE).unwrap_or("unknown time"),
                ),
            );
            self.success(n, r, e, e.expected, false, failure);
            self.s[r].flags.failure_ignored = true;
            self.record_failed(n, r, e.op);
            if on_fail == OnFail::RestartContainer && failure.response <= OnFail::Recover {
                failure.response = on_fail;
            }
            return;
        }
        self.failed(n, r, e, failure);
        let p = self.banned_as(r);
        let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
        match e.status {
            status::ERROR_HARD | status::NO_FENCE_DEVICE | status::NO_SECRETS => {
                let text = format!(
                    "Preventing {id} from restarting on {node} because of hard failure ({})",
                    rc_text(e.rc)
                );
                if e.rc == rc::NOT_INSTALLED {
                    self.s.complaints.notice("hard-failure", &id, text);
                } else {
                    self.s.complaints.log_error("hard-failure", &id, text);
                }
                self.s.nudge(self.ledger, p, n, -INFINITY, Source::History { tag: "hard-error" });
            }
            status::ERROR_FATAL => {
                self.s.complaints.log_error(
                    "fatal-failure",
                    &id,
                    format!(
                        "Preventing {id} from restarting anywhere because of fatal failure ({})",
                        rc_text(e.rc)
                    ),
                );
                self.s.nudge_all(self.ledger, p, -INFINITY, Source::History { tag: "fatal-error" });
            }
            _ => {}
        }
    }

    /// On-fail and after-failure role of the operation an entry is of.
    fn on_fail_of(&mut self, r: ResourceIx, e: &Entry<'_>) -> (OnFail, Role) {
        let mut notes = Notes::default();
        let config = self.s.op_config(r, e.task, e.key, e.interval_ms, None, &mut notes);
        self.s.absorb(notes);
        (config.on_fail, config.fail_role)
    }

    /// A probe that found the agent missing or unusable says no more than "not running".
    fn masks(&self, r: ResourceIx, e: &Entry<'_>) -> bool {
        let fits = matches!(e.rc, rc::NOT_INSTALLED | rc::INVALID_PARAM) || e.status == status::NOT_INSTALLED;
        e.is_probe() && fits && !self.s.is_bundled(r)
    }

    /// Step 2: what the result means.
    fn remap(&mut self, n: NodeIx, r: ResourceIx, e: &mut Entry<'_>, failure: &mut Failure) {
        if e.task == "monitor" && matches!(e.rc, rc::DEGRADED | rc::DEGRADED_PROMOTED) {
            e.rc = if e.rc == rc::DEGRADED { rc::OK } else { rc::PROMOTED };
            if !self.s[n].shutdown || self.s[n].online {
                self.record_failed(n, r, e.op);
            }
        }
        if e.status != status::DONE && e.status != status::ERROR {
            return;
        }
        e.status = status::DONE;
        if e.expected < 0 {
            e.status = status::ERROR;
            let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
            self.s.complaints.log_warning(
                "result-not-expected",
                &id,
                format!("Expected result not found for {} on {node} (corrupt or obsolete CIB?)", e.key),
            );
        } else if e.expected != e.rc {
            e.status = status::ERROR;
        }
        let probe = e.is_probe();
        match e.rc {
            rc::OK => {
                if probe && e.expected == rc::NOT_RUNNING {
                    e.status = status::DONE;
                }
            }
            rc::NOT_RUNNING => {
                if probe || e.expected == e.rc || !self.s[r].flags.managed {
                    e.status = status::DONE;
                    self.s[r].role = Role::Stopped;
                    failure.response = OnFail::Ignore;
                    self.s[r].next_role = Role::Unknown;
                }
            }
            rc::PROMOTED => {
                if probe && e.rc != e.expected {
                    e.status = status::DONE;
                }
                self.s[r].role = Role::Promoted;
            }
            rc::FAILED_PROMOTED | rc::DEGRADED_PROMOTED => {
                self.s[r].role = Role::Promoted;
                e.status = status::ERROR;
            }
            rc::NOT_CONFIGURED => e.status = status::ERROR_FATAL,
            rc::UNIMPLEMENTED if e.interval_ms > 0 => e.status = status::NOT_SUPPORTED,
            rc::UNIMPLEMENTED | rc::NOT_INSTALLED | rc::INVALID_PARAM | rc::INSUFFICIENT_PRIV => {
                self.check_recoverable(n, r, e);
                e.status = status::ERROR_HARD;
            }
            _ => {
                if e.status == status::DONE {
                    e.status = status::ERROR;
                }
            }
        }
    }

    fn check_recoverable(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>) {
        if e.task != "stop" || self.s.can_fence(Some(n)) {
            return;
        }
        let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
        self.s.complaints.log_error(
            "no-recovery",
            &id,
            format!("No further recovery can be attempted for {id} because stop on {node} failed"),
        );
        self.s[r].flags.managed = false;
        self.s[r].flags.blocked = true;
    }

    /// Success: the role an operation leaves, and whether it makes an earlier failure good.
    fn success(
        &mut self,
        n: NodeIx,
        r: ResourceIx,
        e: &Entry<'_>,
        code: i64,
        masked: bool,
        failure: &mut Failure,
    ) {
        let mut clears = false;
        if code == rc::NOT_INSTALLED || masked {
            self.s[r].role = Role::Stopped;
        } else if code == rc::NOT_RUNNING {
            clears = true;
        } else {
            match e.task {
                "monitor" => {
                    clears = failure.last.as_deref() == Some(e.key);
                    if self.s[r].role < Role::Started {
                        self.s[r].role = self.s.active_role(r);
                    }
                }
                "start" => {
                    self.s[r].role = Role::Started;
                    clears = true;
                }
                "stop" => {
                    self.s[r].role = Role::Stopped;
                    clears = true;
                }
                "promote" => {
                    self.s[r].role = Role::Promoted;
                    clears = true;
                }
                "demote" => {
                    clears = failure.response == OnFail::Demote;
                    self.s[r].role = Role::Unpromoted;
                }
                "migrate_from" => {
                    self.s[r].role = Role::Started;
                    clears = true;
                }
                "migrate_to" => self.migrated_to(n, r, e.op),
                _ => {
                    if self.s[r].role < Role::Started {
                        self.s[r].role = self.s.active_role(r);
                    }
                }
            }
        }
        if clears {
            match failure.response {
                OnFail::Stop | OnFail::Fence | OnFail::Migrate | OnFail::Standby => {}
                OnFail::Ignore
                | OnFail::Block
                | OnFail::Demote
                | OnFail::Recover
                | OnFail::RestartContainer => {
                    failure.response = OnFail::Ignore;
                    self.s[r].next_role = Role::Unknown;
                }
                OnFail::ResetRemote => {
                    if self.s[r].remote_reconnect_ms == 0 {
                        failure.response = OnFail::Ignore;
                        self.s[r].next_role = Role::Unknown;
                    }
                }
            }
        }
    }

    /// Failure: report, response, role.
    fn failed(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>, failure: &mut Failure) {
        failure.last = Some(e.key.to_owned());
        let (id, node) = (self.s[r].id.clone(), self.s[n].name.clone());
        if self.s.options.symmetric || e.rc != rc::NOT_INSTALLED {
            let reason = e.exit_reason();
            let sep = if reason.is_empty() { "" } else { ": " };
            let what = if e.is_probe() { "probe" } else { e.task };
            self.s.complaints.log_warning(
                "failure",
                &id,
                format!(
                    "Unexpected result ({}{sep}{reason}) was recorded for {what} of {id} on {node} at {}",
                    rc_text(e.rc),
                    e.op.value(words::LAST_RC_CHANGE).unwrap_or("unknown time"),
                ),
            );
            self.record_failed(n, r, e.op);
        }
        let (on_fail, fail_role) = self.on_fail_of(r, e);
        if on_fail > failure.response {
            failure.response = on_fail;
        }
        match e.task {
            "stop" => {
                let source = Source::History { tag: "__stop_fail__" };
                self.s.nudge(self.ledger, r, n, -INFINITY, source);
            }
            "migrate_to" => self.migrate_to_failed(n, r, e.op),
            "migrate_from" => self.migrate_from_failed(n, r, e.op),
            "promote" => self.s[r].role = Role::Promoted,
            "demote" => {
                if on_fail == OnFail::Block {
                    self.s[r].role = Role::Promoted;
                    self.s[r].next_role = Role::Stopped;
                } else if e.rc == rc::NOT_RUNNING {
                    self.s[r].role = Role::Stopped;
                } else {
                    self.s[r].role = Role::Unpromoted;
                }
            }
            _ => {}
        }
        if e.is_probe() && e.rc == rc::NOT_INSTALLED {
            self.s[r].role = Role::Stopped;
        } else if self.s[r].role < Role::Started {
            self.s[r].role = self.s.active_role(r);
        }
        if fail_role != Role::Started && self.s[r].next_role < fail_role {
            self.s[r].next_role = fail_role;
        }
        if fail_role == Role::Stopped {
            self.s.complaints.notice(
                "not-started",
                &id,
                format!("{id} will not be started under current conditions"),
            );
            let p = self.banned_as(r);
            self.ban_everywhere(p, Source::History { tag: "fail-role" });
        }
    }

    /// Adds to the failed operations, once for each key and node, for online nodes. Entries without a key
    /// (before Heartbeat 2.1) count as one, as in the reference.
    fn record_failed(&mut self, n: NodeIx, r: ResourceIx, op: &Element) {
        if !self.s[n].online {
            return;
        }
        let key = op.value(words::OPERATION_KEY);
        if self.s.failed_ops.iter().any(|f| f.node == n && f.op.value(words::OPERATION_KEY) == key) {
            return;
        }
        let resource = self.s[r].id.clone();
        self.s.failed_ops.push(FailedOp { node: n, op: op.clone(), resource });
    }
}
