#![allow(clippy::unwrap_used)]
use super::*;
use crate::AgentRef;

/// A queue with a clock moved by hand, and processes that end when told.
struct Desk {
    queue: Queue,
    mono: Duration,
    /// What is to be done, in words; processes by resource and action.
    log: Vec<String>,
    running: Vec<(ExecId, OpRequest)>,
    reports: Vec<OpResult>,
}

impl Desk {
    fn new(limit: usize) -> Desk {
        Desk {
            queue: Queue::new(Roots::system(), limit, 1),
            mono: Duration::ZERO,
            log: Vec::new(),
            running: Vec::new(),
            reports: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        let now = Now { mono: self.mono, wall_s: 1000 + self.mono.as_secs() as i64 };
        self.queue.handle(now, event, &mut out);
        for action in out {
            match action {
                Action::Spawn { exec, op, .. } => {
                    assert!(
                        !self.running.iter().any(|(_, other)| other.rsc == op.rsc),
                        "two operations of {} at once",
                        op.rsc
                    );
                    self.log.push(format!("run {}", op.operation_key()));
                    self.running.push((exec, op));
                }
                Action::Kill { exec } => {
                    let (_, op) = self.running.iter().find(|(e, _)| *e == exec).unwrap();
                    self.log.push(format!("kill {}", op.operation_key()));
                }
                Action::Report(r) => {
                    self.log.push(format!("report {} {} {}", r.operation_key(), r.rc, r.status));
                    self.reports.push(r);
                }
                Action::Confirm(_) => {}
                Action::NotCancelled { why, .. } => self.log.push(format!("not cancelled: {why:?}")),
                Action::Flushed { rsc } => self.log.push(format!("flushed {rsc}")),
            }
        }
    }

    fn submit(&mut self, rsc: &str, action: &str, interval_ms: u64) {
        self.event(Event::Submit(op(rsc, action, interval_ms)));
    }

    fn exit(&mut self, rsc: &str, end: End) {
        let at = self.running.iter().position(|(_, op)| op.rsc == rsc).unwrap();
        let (exec, _) = self.running.remove(at);
        self.event(Event::Exited { exec, outcome: Outcome::of(end, Duration::from_millis(5)) });
    }

    /// Moves the clock to the next deadline.
    fn wake(&mut self) {
        self.mono = self.queue.deadline().unwrap();
        self.event(Event::Wake);
    }

    fn said(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }
}

fn op(rsc: &str, action: &str, interval_ms: u64) -> OpRequest {
    OpRequest {
        rsc: rsc.into(),
        agent: "ocf:heartbeat:Dummy".parse::<AgentRef>().unwrap(),
        action: action.into(),
        interval_ms,
        timeout_ms: 20_000,
        start_delay_ms: 0,
        params: BTreeMap::new(),
        key: "1:2:0:uuid".into(),
        expected_rc: 0,
    }
}

#[test]
fn operations_of_one_resource_run_one_after_the_other() {
    let mut d = Desk::new(4);
    d.submit("a", "start", 0);
    d.submit("a", "monitor", 10_000);
    d.submit("b", "start", 0);
    assert_eq!(d.said(), ["run a_start_0", "run b_start_0"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_start_0 0 complete", "run a_monitor_10000"]);
}

#[test]
fn a_recurring_operation_is_reported_when_its_result_changes_and_runs_after_its_interval() {
    let mut d = Desk::new(4);
    d.submit("a", "monitor", 10_000);
    d.mono = Duration::from_secs(3);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["run a_monitor_10000", "report a_monitor_10000 0 complete"]);
    assert_eq!(
        d.queue.deadline(),
        Some(Duration::from_secs(13)),
        "the interval counts from the end of a run"
    );
    d.wake();
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["run a_monitor_10000"]);
    d.wake();
    d.exit("a", End::Code(7));
    d.wake();
    d.exit("a", End::Code(7));
    d.wake();
    d.exit("a", End::Timeout);
    assert_eq!(
        d.said(),
        [
            "run a_monitor_10000",
            "report a_monitor_10000 7 complete",
            "run a_monitor_10000",
            "run a_monitor_10000",
            "report a_monitor_10000 1 Timed Out",
        ]
    );
}

#[test]
fn the_same_recurring_request_again_takes_over_and_is_answered() {
    let mut d = Desk::new(4);
    d.submit("a", "monitor", 10_000);
    d.exit("a", End::Code(0));
    d.said();
    let again = OpRequest { key: "new".into(), ..op("a", "monitor", 10_000) };
    d.event(Event::Submit(again));
    assert_eq!(d.said(), ["run a_monitor_10000"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_monitor_10000 0 complete"]);
    assert_eq!(d.reports.last().unwrap().key, "new");
    assert_eq!(d.reports.last().unwrap().changed_wall_s, 1000);
    assert_eq!(d.queue.recurring("a"), [("monitor".to_owned(), 10_000)]);
}

#[test]
fn a_stop_ends_the_recurring_operations_even_while_they_run() {
    let mut d = Desk::new(4);
    d.submit("a", "monitor", 10_000);
    d.submit("a", "monitor", 20_000);
    assert_eq!(d.said(), ["run a_monitor_10000"]);
    d.submit("a", "stop", 0);
    assert_eq!(d.said(), ["kill a_monitor_10000", "report a_monitor_20000 0 Cancelled"]);
    d.exit("a", End::Killed);
    assert_eq!(d.said(), ["report a_monitor_10000 0 Cancelled", "run a_stop_0"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_stop_0 0 complete"]);
    assert_eq!(d.queue.deadline(), None);
    assert!(d.queue.is_idle());
}

#[test]
fn a_notification_leaves_the_recurring_operations_alone() {
    let mut d = Desk::new(4);
    d.submit("a", "monitor", 10_000);
    d.exit("a", End::Code(0));
    d.submit("a", "notify", 0);
    d.exit("a", End::Code(0));
    assert_eq!(d.queue.recurring("a").len(), 1);
}

#[test]
fn cancelling_says_what_came_of_it() {
    let mut d = Desk::new(4);
    let cancel =
        |action: &str, interval_ms| Event::Cancel { rsc: "a".into(), action: action.into(), interval_ms };
    d.event(cancel("monitor", 10_000));
    assert_eq!(d.said(), ["not cancelled: Unknown"]);
    d.submit("a", "start", 0);
    d.submit("a", "promote", 0);
    d.event(cancel("start", 0));
    d.event(cancel("promote", 0));
    assert_eq!(d.said(), ["run a_start_0", "not cancelled: Running", "report a_promote_0 0 Cancelled"]);
    d.exit("a", End::Code(0));
    d.submit("a", "monitor", 10_000);
    d.exit("a", End::Code(0));
    d.said();
    d.event(cancel("monitor", 10_000));
    assert_eq!(d.said(), ["report a_monitor_10000 0 Cancelled"]);
    assert_eq!(d.queue.deadline(), None);
}

#[test]
fn a_request_after_a_cancel_is_a_new_operation() {
    let mut d = Desk::new(4);
    d.submit("a", "monitor", 10_000);
    d.event(Event::Cancel { rsc: "a".into(), action: "monitor".into(), interval_ms: 10_000 });
    d.submit("a", "monitor", 10_000);
    assert_eq!(d.said(), ["run a_monitor_10000", "kill a_monitor_10000"]);
    d.exit("a", End::Killed);
    assert_eq!(d.said(), ["report a_monitor_10000 0 Cancelled", "run a_monitor_10000"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_monitor_10000 0 complete"]);
}

#[test]
fn the_limit_holds_and_starts_go_before_monitors_that_have_not_waited_long() {
    let mut d = Desk::new(1);
    d.submit("a", "start", 0);
    d.submit("b", "monitor", 10_000);
    d.submit("c", "start", 0);
    assert_eq!(d.said(), ["run a_start_0"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_start_0 0 complete", "run c_start_0"]);
    d.mono = Duration::from_secs(11);
    d.submit("d", "start", 0);
    d.exit("c", End::Code(0));
    assert_eq!(d.said(), ["report c_start_0 0 complete", "run b_monitor_10000"]);
}

#[test]
fn a_stop_has_the_parameters_the_start_had() {
    let mut d = Desk::new(4);
    let with = |action: &str, ip: &str, meta: &str| {
        let mut op = op("a", action, 0);
        op.params = [("ip", ip), ("CRM_meta_x", meta)].map(|(n, v)| (n.to_owned(), v.to_owned())).into();
        Event::Submit(op)
    };
    d.event(with("start", "1", "s"));
    d.exit("a", End::Code(0));
    d.event(with("stop", "2", "t"));
    let (_, stop) = d.running.last().unwrap();
    assert_eq!((stop.params["ip"].as_str(), stop.params["CRM_meta_x"].as_str()), ("1", "t"));
    d.exit("a", End::Code(0));
    assert_eq!(d.reports.last().unwrap().params["ip"], "1");
    d.event(with("stop", "2", "t"));
    assert_eq!(d.running.last().unwrap().1.params["ip"], "2", "after a stop nothing is remembered");
}

#[test]
fn flushing_forgets_a_resource_once_what_runs_has_ended() {
    let mut d = Desk::new(4);
    d.submit("a", "start", 0);
    d.submit("a", "monitor", 10_000);
    d.event(Event::Flush { rsc: "a".into() });
    assert_eq!(d.said(), ["run a_start_0", "report a_monitor_10000 0 Cancelled"]);
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_start_0 0 complete", "flushed a"]);
    assert_eq!(d.queue.remembered("a"), None);
    d.event(Event::Flush { rsc: "a".into() });
    assert_eq!(d.said(), ["flushed a"]);
}

#[test]
fn a_start_delay_lets_other_operations_pass() {
    let mut d = Desk::new(4);
    d.event(Event::Submit(OpRequest { start_delay_ms: 5000, ..op("a", "monitor", 10_000) }));
    assert!(d.said().is_empty());
    d.submit("a", "monitor", 0);
    assert_eq!(d.said(), ["run a_monitor_0"]);
    d.exit("a", End::Code(0));
    d.said();
    d.wake();
    assert_eq!(d.mono, Duration::from_secs(5));
    assert_eq!(d.said(), ["run a_monitor_10000"]);
}

#[test]
fn a_new_life_of_the_core_waits_for_what_the_former_one_started() {
    let mut d = Desk::new(4);
    let start = op("a", "start", 0);
    let start = OpRequest::from_note(&start.to_note()).unwrap();
    d.running.push((ExecId(7), start.clone()));
    d.event(Event::Adopt { exec: ExecId(7), op: start });
    d.submit("a", "monitor", 0);
    assert!(d.said().is_empty());
    d.exit("a", End::Code(0));
    assert_eq!(d.said(), ["report a_start_0 0 complete", "run a_monitor_0"]);
    assert_eq!(d.reports[0].key, "1:2:0:uuid");
}

#[test]
fn a_fence_device_is_active_where_it_was_started_and_does_not_count_against_the_limit() {
    let mut d = Desk::new(1);
    let fence = |action: &str, interval_ms| {
        let agent = "stonith:fence_dummy".parse::<AgentRef>().unwrap();
        Event::Submit(OpRequest { agent, ..op("f", action, interval_ms) })
    };
    d.submit("a", "start", 0);
    d.event(fence("monitor", 0));
    assert_eq!(d.said(), ["run a_start_0", "report f_monitor_0 7 complete"]);
    d.event(fence("start", 0));
    assert_eq!(d.said(), ["run f_start_0"]);
    d.exit("f", End::Code(0));
    d.event(fence("stop", 0));
    d.event(fence("monitor", 0));
    assert_eq!(
        d.said(),
        ["report f_start_0 0 complete", "report f_stop_0 0 complete", "report f_monitor_0 7 complete"]
    );
}

#[test]
fn a_unit_on_its_way_is_looked_at_again_until_the_limit() {
    let mut d = Desk::new(4);
    let agent = "systemd:x".parse::<AgentRef>().unwrap();
    d.event(Event::Submit(OpRequest { agent, ..op("u", "monitor", 0) }));
    for _ in 0..9 {
        let (exec, _) = d.running.pop().unwrap();
        let mut outcome = Outcome::of(End::Code(0), Duration::ZERO);
        outcome.stdout = b"LoadState=loaded\nActiveState=activating\n".to_vec();
        d.event(Event::Exited { exec, outcome });
        d.wake();
    }
    let (exec, _) = d.running.pop().unwrap();
    let mut outcome = Outcome::of(End::Code(0), Duration::ZERO);
    outcome.stdout = b"LoadState=loaded\nActiveState=activating\n".to_vec();
    d.event(Event::Exited { exec, outcome });
    assert_eq!(d.log.last().unwrap(), "report u_monitor_0 1 Timed Out");
    assert_eq!(d.mono, Duration::from_secs(18));
}

proptest::proptest! {
    /// Whatever is asked in whatever order: never two operations of a resource at once (checked by the
    /// desk), never more than the limit, and once all have ended nothing is stuck.
    #[test]
    fn nothing_is_lost_and_no_rule_broken(steps in proptest::collection::vec((0u8..8, 0u8..3, 0u8..4), 1..200)) {
        let mut d = Desk::new(2);
        for (what, rsc, kind) in steps {
            let rsc = ["a", "b", "c"][usize::from(rsc)];
            let (action, interval_ms) = [("start", 0), ("stop", 0), ("monitor", 0), ("monitor", 5000)][usize::from(kind)];
            match what {
                0..=2 => d.submit(rsc, action, interval_ms),
                3 => d.event(Event::Cancel { rsc: rsc.into(), action: action.into(), interval_ms }),
                4 => d.event(Event::Flush { rsc: rsc.into() }),
                5 | 6 if d.running.iter().any(|(_, op)| op.rsc == rsc) => d.exit(rsc, End::Code(i32::from(kind))),
                _ => {
                    d.mono += Duration::from_millis(1700);
                    d.event(Event::Wake);
                }
            }
            assert!(d.running.len() <= 2);
        }
        for rsc in ["a", "b", "c"] {
            d.event(Event::Flush { rsc: rsc.into() });
        }
        while let Some((_, op)) = d.running.first().cloned() {
            d.exit(&op.rsc, End::Code(0));
        }
        assert!(d.queue.is_idle());
        assert_eq!(d.queue.deadline(), None);
        assert_eq!(d.queue.busy, 0);
        assert!(d.queue.ops.is_empty() && d.queue.execs.is_empty() && d.queue.resources.is_empty());
    }
}

/// What was ordered and has not begun is not begun once its order is void; stops and looks are.
#[test]
fn void_orders_are_reported_and_stops_stay() {
    let mut desk = Desk::new(1);
    desk.submit("a", "start", 0);
    desk.submit("a", "start", 0);
    desk.submit("a", "stop", 0);
    desk.submit("b", "promote", 0);
    desk.submit("c", "monitor", 0);
    desk.log.clear();
    desk.event(Event::Void);
    assert_eq!(
        desk.log,
        ["report a_start_0 1 Cannot execute now", "report b_promote_0 1 Cannot execute now"],
        "what runs runs on"
    );
    desk.log.clear();
    desk.exit("a", End::Code(0));
    desk.exit("a", End::Code(0));
    desk.exit("c", End::Code(0));
    assert_eq!(desk.log.iter().filter(|l| l.starts_with("run")).count(), 2, "{:?}", desk.log);
    assert!(desk.queue.is_idle());
}
