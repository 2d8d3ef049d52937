#![allow(clippy::unwrap_used)]
use super::*;
use crate::policy::graph::ActionId;
use lrm::class::stonith::FenceAction;
use lrm::{End, Outcome};

const CIB: &str = "<cib><configuration><nodes/><resources>\
    <primitive id='f1' class='stonith' type='fence_dummy'><instance_attributes id='i1'>\
    <nvpair id='n1' name='pcmk_host_list' value='n1 n2 n3'/></instance_attributes></primitive>\
    <primitive id='f2' class='stonith' type='fence_dummy'><instance_attributes id='i2'>\
    <nvpair id='n2' name='priority' value='-1'/></instance_attributes></primitive>\
    </resources><constraints/></configuration><status/></cib>";

fn id(n: u8) -> NodeId {
    NodeId([n; 16])
}

/// Three nodes' fencing machines with a bus that delivers at once, and agents that the test answers.
struct Cluster {
    nodes: Vec<Fencing>,
    now: Duration,
    runs: Vec<(usize, u64, Call)>,
    ended: Vec<FenceRecord>,
    down: Vec<String>,
    fenced_myself: Vec<usize>,
    deaf: Option<usize>,
}

impl Cluster {
    fn new() -> Self {
        let mut cluster = Self {
            nodes: (1..=3u8)
                .map(|n| Fencing::new(id(n), Incarnation::default(), &format!("n{n}"), n.into()))
                .collect(),
            now: Duration::ZERO,
            runs: vec![],
            ended: vec![],
            down: vec![],
            fenced_myself: vec![],
            deaf: None,
        };
        let incs =
            (1..=3u8).map(|n| (format!("n{n}"), Incarnation { generation: 1, boot: n.into() })).collect();
        let nodes = (1..=3u8).map(|n| (format!("n{n}"), id(n))).collect();
        let members = Members { nodes, incs, dc: id(1) };
        for n in 0..3 {
            cluster.step(n, FencingEvent::Visible(Cib::parse(CIB).unwrap()));
            cluster.step(n, FencingEvent::View(Some(members.clone())));
        }
        cluster
    }

    /// All but `away` have a view of those; numbers from 1.
    fn view(&mut self, away: Option<u8>) {
        let numbers: Vec<u8> = (1..=3u8).filter(|n| Some(*n) != away).collect();
        let inc = |n: u8| Incarnation { generation: 1, boot: n.into() };
        let members = Members {
            nodes: numbers.iter().map(|n| (format!("n{n}"), id(*n))).collect(),
            incs: numbers.iter().map(|n| (format!("n{n}"), inc(*n))).collect(),
            dc: id(1),
        };
        for n in numbers {
            self.step(usize::from(n) - 1, FencingEvent::View(None));
            self.step(usize::from(n) - 1, FencingEvent::View(Some(members.clone())));
        }
    }

    fn step(&mut self, node: usize, event: FencingEvent) {
        let mut queue = VecDeque::from([(node, event)]);
        while let Some((node, event)) = queue.pop_front() {
            let mut out = vec![];
            self.nodes[node].handle(Now::utc(self.now, 0), event, &mut out);
            for action in out {
                match action {
                    FencingAction::Send { to, message } => {
                        for n in 0..self.nodes.len() {
                            if self.deaf == Some(n) {
                                continue;
                            }
                            if to == BusAddress::All || to == BusAddress::Node(id(n as u8 + 1)) {
                                let from = id(node as u8 + 1);
                                queue
                                    .push_back((n, FencingEvent::Message { from, message: message.clone() }));
                            }
                        }
                    }
                    FencingAction::Run { job, call } => self.runs.push((node, job, *call)),
                    FencingAction::Ended { record, .. } => self.ended.push(record),
                    FencingAction::Down { target } => self.down.push(target),
                    FencingAction::FencedMyself { .. } => self.fenced_myself.push(node),
                    FencingAction::Log { .. } => {}
                }
            }
        }
    }

    fn fence(&mut self, target: &str) {
        self.order(target, "reboot");
    }

    fn order(&mut self, target: &str, action: &str) {
        let requester = Requester::Plan(ActionId(1));
        let event = FencingEvent::Fence {
            requester,
            target: target.into(),
            action: action.into(),
            timeout: Duration::from_secs(60),
            delay: Duration::ZERO,
        };
        self.step(0, event);
    }

    fn exit(&mut self, code: i32, stdout: &str) -> (usize, Call) {
        let (node, job, call) = self.runs.remove(0);
        let outcome =
            Outcome { stdout: stdout.into(), ..Outcome::of(End::Code(code), Duration::from_millis(5)) };
        self.step(node, FencingEvent::Exited { job, outcome });
        (node, call)
    }
}

#[test]
fn the_dc_has_a_device_used_and_everybody_knows_the_result() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    let (node, call) = cluster.exit(0, "");
    assert_eq!((node, call.action), (0, FenceAction::Reboot), "the DC itself is the nearest");
    assert_eq!(call.target, Some(("n3".into(), Some("port".into()), "n3".into())));
    assert_eq!(cluster.down, ["n3"]);
    assert_eq!(cluster.ended[0].rc, 0);
    assert!(cluster.nodes.iter().all(|n| n.history().len() == 1));
}

/// What is under way is known to everybody while it is, and after a view in which the DC stays the DC.
#[test]
fn everybody_knows_what_is_pending() {
    let mut cluster = Cluster::new();
    let known = |cluster: &Cluster| -> Vec<Vec<String>> {
        let of =
            |n: &Fencing| n.pending().iter().map(|r| format!("{} by {}", r.target, r.delegate)).collect();
        cluster.nodes.iter().map(of).collect()
    };
    cluster.fence("n3");
    assert_eq!(known(&cluster), vec![vec!["n3 by n1"]; 3]);
    for n in [1, 2, 0] {
        cluster.step(n, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 1]))));
    }
    assert_eq!(known(&cluster), vec![vec!["n3 by n1"]; 3]);
    cluster.exit(0, "");
    assert_eq!(known(&cluster), vec![Vec::<String>::new(); 3]);
}

#[test]
fn a_failing_device_is_tried_again_then_elsewhere_then_the_next_device() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    cluster.exit(1, "");
    cluster.now += PAUSE;
    cluster.step(0, FencingEvent::Wake);
    cluster.exit(1, "");
    assert_eq!(cluster.runs[0].0, 1, "the other node that is not the target");
    cluster.exit(1, "");
    cluster.now += PAUSE;
    cluster.step(1, FencingEvent::Wake);
    cluster.exit(1, "");
    assert_eq!(cluster.runs[0].2.action, FenceAction::List, "the second device has to be asked first");
    cluster.exit(0, "n3\n");
    cluster.exit(0, "");
    assert_eq!(cluster.ended[0].rc, 0);
}

const PAUSE: Duration = Duration::from_secs(1);

/// The device answers one question at a time: the second node waits, and is not shot when its time is over.
#[test]
fn a_device_that_is_busy_is_waited_for_but_not_for_ever() {
    let mut cluster = Cluster::new();
    for node in 1..3 {
        cluster.nodes[node].handle(Now::utc(cluster.now, 0), FencingEvent::View(None), &mut vec![]);
    }
    cluster.step(0, FencingEvent::View(Some(members(&[1], &[1]))));
    cluster.fence("n3");
    cluster.fence("n2");
    assert_eq!(cluster.runs.len(), 1);
    let (_, call) = cluster.exit(0, "");
    assert_eq!(call.target.map(|t| t.0), Some("n3".into()));
    assert_eq!(cluster.runs.len(), 1, "the second begins when the first has ended");
    cluster.fence("n3");
    let until = cluster.nodes[0].deadline().unwrap();
    cluster.now = until;
    cluster.step(0, FencingEvent::Wake);
    let acts: Vec<&Call> =
        cluster.runs.iter().map(|run| &run.2).filter(|c| c.action != FenceAction::List).collect();
    assert_eq!(acts.len(), 1, "nobody is shot late: {acts:?}");
    assert_eq!(acts[0].target.as_ref().map(|t| t.0.as_str()), Some("n2"));
}

/// The device is free again, but too late for the order that waited for it.
#[test]
fn who_waited_too_long_is_not_shot_when_the_device_is_free() {
    let mut cluster = Cluster::new();
    let from = id(1);
    cluster.step(1, FencingEvent::Message { from, message: order(0) });
    cluster.step(1, FencingEvent::Message { from, message: order(0) });
    assert_eq!(cluster.runs.len(), 1);
    cluster.now = Duration::from_secs(1000);
    cluster.exit(0, "");
    assert!(cluster.runs.is_empty(), "{:?}", cluster.runs);
}

/// The DC does not wait for a node that may have been left behind: another one is asked at once.
#[test]
fn a_node_that_lost_its_lease_says_so() {
    let mut cluster = Cluster::new();
    // Not the target, which is the DC.
    cluster.fence("n1");
    assert_eq!(cluster.runs.remove(0).0, 1);
    // A device of one call at a time keeps the second order waiting.
    cluster.order("n1", "off");
    assert!(cluster.runs.is_empty());
    cluster.step(1, FencingEvent::Suspended(true));
    let asked: Vec<(usize, FenceAction)> = cluster.runs.iter().map(|run| (run.0, run.2.action)).collect();
    assert_eq!(asked, [(2, FenceAction::Off)]);
}

/// An answer to an earlier start of the DC is none to the present one: their numbers differ.
#[test]
fn numbers_begin_anew_in_every_start() {
    let number = |boot| {
        let mut dc = Fencing::new(id(1), Incarnation { generation: 1, boot }, "n1", 1);
        let mut out = vec![];
        let event = FencingEvent::Visible(Cib::parse(CIB).unwrap());
        dc.handle(Now::utc(Duration::ZERO, 0), event, &mut out);
        dc.handle(
            Now::utc(Duration::ZERO, 0),
            FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 1]))),
            &mut out,
        );
        let event = FencingEvent::Fence {
            requester: Requester::Plan(ActionId(1)),
            target: "n3".into(),
            action: "off".into(),
            timeout: Duration::from_secs(60),
            delay: Duration::ZERO,
        };
        dc.handle(Now::utc(Duration::ZERO, 0), event, &mut out);
        out.into_iter().find_map(|action| match action {
            FencingAction::Send { message: Message::Fence { id, .. }, .. } => Some(id),
            _ => None,
        })
    };
    assert!(number(77).is_some());
    assert_ne!(number(77), number(999));
}

/// An agent without a list is asked about the node itself.
#[test]
fn where_the_list_fails_the_status_decides() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    for _ in 0..2 {
        cluster.exit(1, "");
        cluster.now += PAUSE;
        cluster.step(0, FencingEvent::Wake);
        cluster.step(1, FencingEvent::Wake);
        cluster.exit(1, "");
    }
    let (_, call) = cluster.exit(1, "");
    assert_eq!(call.action, FenceAction::List);
    let (_, call) = cluster.exit(2, "");
    assert_eq!(call.action, FenceAction::Status);
    let (_, call) = cluster.exit(0, "");
    assert_eq!(call.action, FenceAction::Reboot);
    assert_eq!(cluster.ended[0].rc, 0);
}

/// What was ordered by a DC that is none any more, or waits while the lease is lost, is not begun.
#[test]
fn an_order_that_waits_ends_with_who_gave_it() {
    for event in [
        FencingEvent::Suspended(true),
        FencingEvent::View(Some(Members { dc: id(2), ..members(&[1, 2], &[1, 1]) })),
    ] {
        let mut cluster = Cluster::new();
        let order = order(5000);
        cluster.step(1, FencingEvent::Message { from: id(1), message: order });
        assert_eq!(cluster.nodes[1].deadline(), Some(Duration::from_secs(5)));
        cluster.step(1, event);
        cluster.now = Duration::from_secs(6);
        cluster.step(1, FencingEvent::Wake);
        assert!(cluster.runs.is_empty());
    }
}

#[test]
fn without_a_success_nobody_is_down() {
    let mut cluster = Cluster::new();
    cluster.fence("n9");
    cluster.exit(0, "n1\nn2\n");
    cluster.exit(0, "n1\nn2\n");
    assert!(cluster.runs.is_empty() || cluster.runs[0].2.action == FenceAction::List);
    while !cluster.runs.is_empty() {
        cluster.exit(0, "n1");
    }
    assert_eq!(cluster.ended[0].rc, NO_DEVICE);
    assert!(cluster.down.is_empty());
}

#[test]
fn a_device_that_never_answers_is_a_failure_and_not_a_success() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    cluster.now = cluster.nodes[0].deadline().unwrap();
    cluster.step(0, FencingEvent::Wake);
    assert_eq!(cluster.ended[0].rc, TIMED_OUT);
    assert!(cluster.down.is_empty());
}

#[test]
fn a_second_request_for_the_same_joins_the_first() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    cluster.fence("n3");
    assert_eq!(cluster.runs.len(), 1);
    cluster.exit(0, "");
    assert_eq!(cluster.ended.len(), 2);
}

/// Turn off the third, with the first device.
fn order(delay_ms: u64) -> Message {
    let (device, target, action) = ("f1".into(), "n3".into(), "off".into());
    Message::Fence { id: 7, device, target, action, timeout_ms: 60_000, delay_ms }
}

#[test]
fn only_the_dc_is_obeyed_and_nobody_without_a_lease_fences() {
    let mut cluster = Cluster::new();
    let order = order(0);
    cluster.step(1, FencingEvent::Message { from: id(3), message: order.clone() });
    assert!(cluster.runs.is_empty());
    cluster.step(1, FencingEvent::Suspended(true));
    cluster.step(1, FencingEvent::Message { from: id(1), message: order });
    assert!(cluster.runs.is_empty());
}

fn members(names: &[u8], starts: &[u64]) -> Members {
    let name = |n: &u8| format!("n{n}");
    let incs = names.iter().zip(starts);
    Members {
        nodes: names.iter().map(|n| (name(n), id(*n))).collect(),
        incs: incs.map(|(n, s)| (name(n), Incarnation { generation: *s, boot: (*n).into() })).collect(),
        dc: id(1),
    }
}

fn news(cluster: &Cluster, node: usize) -> usize {
    cluster.nodes[node].history().len()
}

/// What the end of a view swallowed is told in the next one; and who was not there is told too. A node that was
/// fenced and has started anew does not take the news for its own.
#[test]
fn news_that_were_lost_are_told_later_and_to_those_who_were_not_there() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    let (_, job, _) = cluster.runs.remove(0);
    let mut out = vec![];
    let outcome = Outcome::of(End::Code(0), Duration::ZERO);
    cluster.nodes[0].handle(Now::utc(cluster.now, 0), FencingEvent::Exited { job, outcome }, &mut out);
    let lost = out.into_iter().find_map(|a| match a {
        FencingAction::Send { message: message @ Message::FenceNews(_), .. } => Some(message),
        _ => None,
    });
    cluster.step(0, FencingEvent::Dropped { message: lost.unwrap() });
    assert_eq!(news(&cluster, 0), 0);
    // The third one is another start of that node; the bus of the test reaches all three.
    cluster.nodes[2] = Fencing::new(id(3), Incarnation { generation: 9, boot: 3 }, "n3", 3);
    cluster.step(2, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 9]))));
    cluster.step(1, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 9]))));
    cluster.step(0, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 9]))));
    assert_eq!([news(&cluster, 0), news(&cluster, 1), news(&cluster, 2)], [1, 1, 1]);
    assert!(cluster.fenced_myself.is_empty());
    // The second one is started anew and is told by the first.
    cluster.nodes[1] = Fencing::new(id(2), Incarnation { generation: 2, boot: 2 }, "n2", 2);
    for n in [1, 2, 0] {
        cluster.step(n, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 2, 9]))));
    }
    assert_eq!([news(&cluster, 0), news(&cluster, 1), news(&cluster, 2)], [1, 1, 1]);
}

/// A device lied: the node that was said to be fenced lives and hears of it when the parts merge.
#[test]
fn whoever_was_fenced_in_this_very_start_finds_out_at_the_merge() {
    let mut cluster = Cluster::new();
    cluster.nodes[2] = Fencing::new(id(3), Incarnation { generation: 1, boot: 3 }, "n3", 3);
    let both = || Some(members(&[1, 2], &[1, 1]));
    cluster.step(0, FencingEvent::View(both()));
    cluster.step(1, FencingEvent::View(both()));
    cluster.deaf = Some(2);
    cluster.fence("n3");
    cluster.exit(0, "");
    cluster.deaf = None;
    for n in [2, 1, 0] {
        cluster.step(n, FencingEvent::View(Some(members(&[1, 2, 3], &[1, 1, 1]))));
    }
    assert_eq!(cluster.fenced_myself, [2]);
}

/// Who was shot at in vain while it was away, and is a member again before the next attempt, is left alone; one that was
/// a member all the time is not.
#[test]
fn who_comes_back_before_the_next_attempt_is_spared() {
    for away in [true, false] {
        let mut cluster = Cluster::new();
        cluster.view(away.then_some(3));
        cluster.fence("n3");
        let (node, _) = cluster.exit(1, "");
        assert_eq!(node, 0);
        cluster.view(None);
        assert_eq!(cluster.ended.len(), usize::from(away), "{:?}", cluster.ended);
        if let Some(record) = cluster.ended.first() {
            assert_eq!((record.rc, record.reason.as_str()), (FAILED, "n3 is a member again"));
        }
        cluster.now += Duration::from_secs(5);
        for node in 0..3 {
            cluster.step(node, FencingEvent::Wake);
        }
        assert_eq!(cluster.runs.is_empty(), away, "{:?}", cluster.runs);
    }
}

/// The same while the agent is at work: what it does at this moment cannot be taken back, but nothing follows.
#[test]
fn who_comes_back_during_an_attempt_is_not_shot_at_again() {
    let mut cluster = Cluster::new();
    cluster.view(Some(3));
    cluster.fence("n3");
    cluster.view(None);
    cluster.exit(1, "");
    cluster.now += Duration::from_secs(5);
    for node in 0..3 {
        cluster.step(node, FencingEvent::Wake);
    }
    assert!(cluster.runs.is_empty(), "{:?}", cluster.runs);
}

/// A node that joins while its access is given back still needs it.
#[test]
fn access_is_given_back_to_a_node_that_has_joined_meanwhile() {
    let mut cluster = Cluster::new();
    cluster.view(Some(3));
    cluster.order("n3", "on");
    cluster.view(None);
    assert!(cluster.ended.is_empty(), "{:?}", cluster.ended);
    cluster.exit(0, "");
    assert_eq!(cluster.ended.iter().map(|record| record.rc).collect::<Vec<_>>(), [0]);
}

/// A DC that was left behind asks nobody else: those who hear it no more may have another.
#[test]
fn who_was_left_behind_orders_nothing() {
    let mut cluster = Cluster::new();
    cluster.fence("n3");
    let (node, ..) = cluster.runs[0];
    assert_eq!(node, 0);
    cluster.step(0, FencingEvent::Suspended(true));
    cluster.exit(1, "");
    assert!(cluster.runs.is_empty(), "{:?}", cluster.runs);
    assert_eq!(cluster.ended.iter().map(|record| record.rc).collect::<Vec<_>>(), [FAILED]);
}

/// What was ordered in a view and has to wait begins in a view, or not at all.
#[test]
fn nothing_begins_between_two_views() {
    let mut cluster = Cluster::new();
    let device = "f1".to_owned();
    let message = Message::Fence {
        id: 9,
        device,
        target: "n3".into(),
        action: "reboot".into(),
        timeout_ms: 60_000,
        delay_ms: 1000,
    };
    cluster.step(1, FencingEvent::Message { from: id(1), message });
    cluster.step(1, FencingEvent::View(None));
    cluster.now += Duration::from_secs(2);
    cluster.step(1, FencingEvent::Wake);
    assert!(cluster.runs.is_empty(), "{:?}", cluster.runs);
    cluster.view(None);
    cluster.step(1, FencingEvent::Wake);
    assert_eq!(cluster.runs.len(), 1);
}
