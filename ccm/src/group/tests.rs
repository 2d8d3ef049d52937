//! Groups among each other: the plain paths of views, updates, merges.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use super::harness::{Net, id, node_state, option, value};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

/// One node of one is a majority and writes at once.
#[test]
fn one_node() {
    let mut net = Net::new(1);
    net.start_all();
    net.form(&[0]);
    let v = net.view(0).unwrap();
    assert!(v.exclusive && v.writable && v.dc == id(0));
    net.done(0, option("a", "1"));
    assert_eq!(value(net.group(0).visible(), "a").as_deref(), Some("1"));
    // It survives a power failure.
    net.crash(0);
    net.start(0);
    net.form(&[0]);
    assert_eq!(value(net.group(0).visible(), "a").as_deref(), Some("1"));
}

/// Three nodes form one view with one DC and equal documents; a change asked anywhere is at all.
#[test]
fn three_nodes() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    for i in 0..3 {
        net.done(i, option(&format!("o{i}"), "x"));
        net.done(i, node_state(i, "online"));
    }
    net.run(MINUTE);
    for i in 0..3 {
        let cib = net.group(i).visible();
        assert_eq!(cib, net.group(0).visible());
        assert_eq!(value(cib, "o2").as_deref(), Some("x"));
        assert_eq!(cib.status().unwrap().children().count(), 3);
        assert_eq!(net.view(i).unwrap().dc, net.view(0).unwrap().dc);
    }
}

/// A dead member is left out after its dead time, keeps its disk, and gets what it missed.
#[test]
fn death_and_return() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    net.done(1, option("a", "1"));
    net.crash(0);
    net.form(&[1, 2]);
    let v = net.view(1).unwrap();
    assert!(v.exclusive);
    assert_eq!(v.out[0].reason, OutReason::Silent);
    net.done(2, option("a", "2"));
    net.start(0);
    net.form(&[0, 1, 2]);
    assert_eq!(value(net.group(0).visible(), "a").as_deref(), Some("2"));
    assert!(net.view(0).unwrap().announce);
    assert!(!net.view(1).unwrap().announce);
}

/// A restarted node is a member again as soon as its edges may be up (R5.4: 2 B, and 2 B more for the
/// one death by silence), one beat and one round later: its floor costs no lost round (R4.3, R7.1).
#[test]
fn a_restart_costs_no_lost_round() {
    for (nodes, left) in [(2, vec![1]), (3, vec![1, 2])] {
        let mut net = Net::new(nodes);
        net.start_all();
        let all: Vec<usize> = (0..nodes).collect();
        net.form(&all);
        for _ in 0..3 {
            net.crash(0);
            net.form(&left);
            net.run(MINUTE);
            let before = net.now;
            net.start(0);
            net.form(&all);
            let beat = net.group(1).config().beat();
            let limit = beat * 5 + Duration::from_millis(100);
            assert!(net.now - before <= limit, "took {:?}:\n{}", net.now - before, net.describe());
            net.run(MINUTE * 4);
        }
    }
}

/// The side without quorum refuses durable changes and carries volatile ones.
#[test]
fn a_minority_does_not_write() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    net.cut_off(&[0]);
    net.form(&[1, 2]);
    net.form(&[0]);
    let token = net.request(0, option("a", "lost"));
    net.run(Duration::from_secs(1));
    assert!(matches!(net.outcome(0, token), Some(Outcome::NoQuorum { .. })), "{:?}", net.outcome(0, token));
    net.done(0, node_state(0, "alone"));
    net.done(1, option("a", "kept"));
    net.heal();
    net.form(&[0, 1, 2]);
    assert_eq!(value(net.group(0).visible(), "a").as_deref(), Some("kept"));
    assert!(net.nodes[0].disk.backups.is_empty());
}

/// Of two nodes the survivor goes on; after both were down, the one that was not the last waits.
#[test]
fn two_nodes() {
    let mut net = Net::new(2);
    net.start_all();
    net.form(&[0, 1]);
    assert!(net.view(0).unwrap().exclusive);
    net.crash(0);
    net.form(&[1]);
    assert!(net.view(1).unwrap().writable && !net.view(1).unwrap().exclusive);
    net.done(1, option("a", "after"));
    net.crash(1);
    net.start(0);
    net.form(&[0]);
    assert!(!net.view(0).unwrap().writable, "wait for all");
    net.start(1);
    net.form(&[0, 1]);
    assert_eq!(value(net.group(0).visible(), "a").as_deref(), Some("after"));
    net.crash(0);
    net.form(&[1]);
    net.crash(1);
    net.run(MINUTE);
    net.start(1);
    net.form(&[1]);
    assert!(net.view(1).unwrap().writable, "the last survivor goes on");
}

/// An active node all of whose media are down has no quorum within the dead time and a little.
#[test]
fn two_nodes_without_carrier() {
    let mut net = Net::new(2);
    net.start_all();
    net.form(&[0, 1]);
    net.cut_off(&[0]);
    net.input(0, GroupInput::Link(LinkEvent::Carrier { any: false }));
    net.form(&[0]);
    net.form(&[1]);
    assert!(!net.view(0).unwrap().writable);
    assert!(net.view(1).unwrap().writable);
    net.input(0, GroupInput::Link(LinkEvent::Carrier { any: true }));
    net.heal();
    net.form(&[0, 1]);
}

/// Both halves of two nodes went on (no fencing, the link cut): one history wins, the other is
/// kept in a backup and reported to everybody.
#[test]
fn conflict_is_kept_and_reported() {
    let mut net = Net::new(2);
    net.start_all();
    net.form(&[0, 1]);
    net.cut_off(&[0]);
    net.form(&[0]);
    net.form(&[1]);
    net.done(0, option("a", "left"));
    net.done(1, option("a", "right"));
    net.done(1, option("b", "right"));
    net.heal();
    net.form(&[0, 1]);
    net.run(MINUTE);
    assert_eq!(net.group(0).visible(), net.group(1).visible());
    let backups = net.nodes[0].disk.backups.len() + net.nodes[1].disk.backups.len();
    assert_eq!(backups, 1);
    assert_eq!(net.group(0).history().conflicts.len(), 1);
    assert_eq!(net.group(1).history().conflicts.len(), 1);
    net.done(0, Change::DismissConflict { tip: None });
    net.run(MINUTE);
    assert!(net.group(1).history().conflicts.is_empty());
}

/// A node that leaves cleanly is missed at once, and said to have left.
#[test]
fn clean_leave() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    let at = net.now;
    net.input(2, GroupInput::Leave);
    net.form(&[0, 1]);
    assert!(net.now - at < Duration::from_secs(5), "took {:?}", net.now - at);
    assert_eq!(
        net.view(0).unwrap().out.first().map(|o| o.reason),
        Some(OutReason::Left),
        "{}",
        net.describe()
    );
    assert!(net.nodes[2].seen.contains(&GroupAction::Left));
}

/// A node that is heard but does not hear is left out; it suspends before the others go on.
#[test]
fn one_way() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    net.cut.insert((1, 0));
    net.cut.insert((2, 0));
    net.form(&[1, 2]);
    let suspended = net.nodes[0].seen.iter().any(|a| matches!(a, GroupAction::Event(GroupEvent::Suspended)));
    assert!(suspended);
    net.run(MINUTE);
    let views = net.nodes[1]
        .seen
        .iter()
        .filter(|a| matches!(a, GroupAction::Event(GroupEvent::ViewChanged(_))))
        .count();
    assert_eq!(views, 2, "no flapping");
    net.heal();
    net.form(&[0, 1, 2]);
}

/// Bus messages reach every member in order, in their view; a silent view end is reported.
#[test]
fn bus() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    for i in 0..10 {
        net.input(0, GroupInput::Bus { to: crate::bus::BusAddress::All, payload: vec![i] });
    }
    net.run(Duration::from_secs(1));
    for n in &net.nodes {
        let got: Vec<u8> = n
            .seen
            .iter()
            .filter_map(|a| match a {
                GroupAction::Event(GroupEvent::Deliver { payload, .. }) => Some(payload[0]),
                _ => None,
            })
            .collect();
        assert_eq!(got, (0..10).collect::<Vec<u8>>());
    }
    net.cut_off(&[2]);
    net.input(0, GroupInput::Bus { to: crate::bus::BusAddress::Node(id(2)), payload: vec![99] });
    net.form(&[0, 1]);
    let dropped = net.nodes[0].seen.iter().any(
        |a| matches!(a, GroupAction::Event(GroupEvent::Dropped { payload, .. }) if payload == &vec![99]),
    );
    assert!(dropped);
}

/// A chain A–B–C settles and does not move B back and forth.
#[test]
fn chain_settles() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    net.cut.insert((0, 2));
    net.cut.insert((2, 0));
    net.run(MINUTE * 3);
    let before = net.group(1).active();
    net.run(MINUTE * 10);
    assert!(before.is_some());
    assert_eq!(net.group(1).active(), before);
    net.heal();
    net.form(&[0, 1, 2]);
}

/// A large document reaches a fresh node whole, in chunks.
#[test]
fn large_transfer() {
    let mut net = Net::new(3);
    net.start(0);
    net.start(1);
    net.form(&[0, 1]);
    for i in 0..40 {
        net.done(0, option(&format!("big{i}"), &"x".repeat(50_000)));
    }
    net.start(2);
    net.form(&[0, 1, 2]);
    assert_eq!(value(net.group(2).visible(), "big39").unwrap().len(), 50_000);
    assert_eq!(net.group(2).history().digest(), net.group(0).history().digest());
}

/// A member whose disk does not answer is left out; the others go on.
#[test]
fn slow_disk_is_left_out() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    let dc = net.view(0).unwrap().dc;
    let slow = (0..3).find(|i| id(*i) != dc).unwrap();
    net.nodes[slow].write_time = Duration::from_secs(600);
    let asker = (0..3).find(|i| *i != slow).unwrap();
    let token = net.request(asker, option("a", "1"));
    let rest: Vec<usize> = (0..3).filter(|i| *i != slow).collect();
    net.form(&rest);
    net.run(Duration::from_secs(1));
    assert!(matches!(net.outcome(asker, token), Some(Outcome::Done { .. })));
    assert_eq!(net.view(asker).unwrap().out[0].reason, OutReason::Ejected);
}

/// Heartbeat stopped at 16 nodes; 64 form one view in one round, write, and lose one without falling apart.
#[test]
fn sixteen_and_sixty_four_nodes() {
    for n in [16, 64] {
        let mut net = Net::tuned(n, |c| c.deadtime = Duration::from_secs(16));
        net.start_all();
        let all: Vec<usize> = (0..n).collect();
        net.form(&all);
        let epoch = net.view(0).unwrap().id.epoch;
        assert!(epoch <= 3, "{epoch} numbers for the first view of {n}");
        net.done(n - 1, option("a", "1"));
        net.run(Duration::from_secs(1));
        assert!(net.nodes.iter().all(|x| {
            let cib = x.group.as_ref().unwrap().visible();
            value(cib, "a").as_deref() == Some("1")
        }));
        let dead = net.nodes.iter().position(|x| x.id == net.view(0).unwrap().dc).unwrap();
        net.crash(dead);
        let before = net.now;
        let rest: Vec<usize> = (0..n).filter(|i| *i != dead).collect();
        net.form(&rest);
        let config = net.group(rest[0]).config();
        let limit = config.deadtime + config.beat() * 3;
        assert!(net.now - before < limit, "{n} nodes: {:?}", net.now - before);
    }
}

/// A long log is folded into the document; a restart finds everything, and nothing changes for the
/// others.
#[test]
fn a_long_log_is_folded() {
    let mut net = Net::new(3);
    net.start_all();
    net.form(&[0, 1, 2]);
    for i in 0..150 {
        net.done(i % 3, option(&format!("o{i}"), "x"));
    }
    for n in &net.nodes {
        assert!(n.disk.loaded.entries.len() < 64, "{} entries", n.disk.loaded.entries.len());
    }
    let views = |n: &Net| {
        let all = n.nodes.iter().flat_map(|n| &n.seen);
        all.filter(|a| matches!(a, GroupAction::Event(GroupEvent::ViewChanged(_)))).count()
    };
    assert_eq!(views(&net), 3);
    let before = net.group(0).history().digest();
    for i in 0..3 {
        net.crash(i);
    }
    net.start_all();
    net.form(&[0, 1, 2]);
    assert_eq!(net.group(1).history().digest(), before);
    assert_eq!(value(net.group(2).visible(), "o149").as_deref(), Some("x"));
}
