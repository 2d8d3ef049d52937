#![allow(clippy::unwrap_used)]

mod cluster;
mod connectivity;

use cluster::{AGENT, Cluster, DEADTIME};

use super::*;
use crate::client::RequestError;

const PLAIN: &str = "<crm_config><cluster_property_set id='o'><nvpair id='o1' name='stonith-enabled' value='false'/>\
    </cluster_property_set></crm_config><nodes/><resources>\
    <primitive id='ip' class='ocf' provider='heartbeat' type='IPaddr2'/>\
    <primitive id='web' class='ocf' provider='heartbeat' type='Dummy'><operations>\
    <op id='w1' name='monitor' interval='10s' timeout='20s'/></operations></primitive></resources><constraints/>\
    <rsc_defaults><meta_attributes id='d'><nvpair id='d1' name='resource-stickiness' value='100'/></meta_attributes>\
    </rsc_defaults>";

const FENCED: &str = "<crm_config><cluster_property_set id='o'><nvpair id='o1' name='stonith-enabled' value='true'/>\
    </cluster_property_set></crm_config><nodes/><resources>\
    <primitive id='f' class='stonith' type='fence_dummy'><instance_attributes id='fi'>\
    <nvpair id='fi1' name='pcmk_host_list' value='n1 n2 n3'/></instance_attributes></primitive>\
    <primitive id='ip' class='ocf' provider='heartbeat' type='IPaddr2'/></resources><constraints/>";

const MINUTE: Duration = Duration::from_secs(60);

fn up(n: usize, config: &str) -> Cluster {
    let mut cluster = Cluster::new(n, config);
    cluster.start_all();
    let all: Vec<usize> = (0..n).collect();
    cluster.until(MINUTE, "one view and nothing to do", |c| c.settled(&all) && c.places("ip").len() == 1);
    cluster
}

/// A cluster forms, probes, starts each resource once, monitors it, and writes who belongs to it.
#[test]
fn a_cluster_forms_and_starts_its_resources_once() {
    let mut cluster = up(3, PLAIN);
    cluster.seconds(30);
    assert_eq!(cluster.places("web").len(), 1);
    let count = |op: &str, interval: u64| {
        cluster.calls.iter().filter(|c| c.2 == "web" && c.3 == op && c.4 == interval).count()
    };
    assert_eq!((count("monitor", 0), count("start", 0), count("stop", 0)), (3, 1, 0));
    assert!(count("monitor", 10_000) >= 2);
    let status = cluster.core(0).status();
    assert!(status.quorate && status.is_idle());
    let cib = cluster.core(1).cib();
    assert_eq!(cib.nodes().unwrap().children().count(), 3);
    assert_eq!(cib.root().attr("have-quorum"), Some("1"));
    assert!(cib.root().attr("dc-uuid").is_some());
    for i in 0..3 {
        assert_eq!(cluster.core(i).cib(), cib, "everybody sees the same");
    }
}

/// The node that runs the service loses power: another one takes over after the dead time, and all
/// that is added to the agents' time is a few milliseconds.
#[test]
fn a_survivor_takes_over_when_the_active_node_loses_power() {
    for n in [2, 3] {
        let mut cluster = up(n, PLAIN);
        let active = cluster.places("ip")[0];
        cluster.crash(active);
        let at = cluster.now;
        cluster.until(MINUTE, "taken over", |c| !c.places("ip").is_empty());
        let took = cluster.now - at;
        assert!(
            took > DEADTIME / 2 && took < DEADTIME + AGENT * 3 + Duration::from_millis(700),
            "{n}: {took:?}"
        );
        let rest: Vec<usize> = (0..n).filter(|i| *i != active).collect();
        cluster.until(MINUTE, "quiet again", |c| c.settled(&rest));
        cluster.start(active);
        let all: Vec<usize> = (0..n).collect();
        cluster.until(MINUTE, "together again", |c| c.settled(&all));
        assert_eq!(cluster.places("ip").len(), 1);
    }
}

/// All cables of the active node are pulled: it lets go within the dead time, the other takes over, and
/// when the cables are back there is one view and one active node.
#[test]
fn a_node_that_is_cut_off_lets_go_before_the_other_takes_over() {
    let mut cluster = up(2, PLAIN);
    let active = cluster.places("ip")[0];
    let other = 1 - active;
    cluster.pull(active);
    let at = cluster.now;
    cluster.until(DEADTIME, "let go within the dead time", |c| c.nodes[active].running.is_empty());
    assert!(cluster.now - at < DEADTIME);
    cluster.until(MINUTE, "taken over", |c| c.places("ip") == [other]);
    cluster.seconds(20);
    assert_eq!(cluster.places("ip"), [other]);
    cluster.plug(active);
    cluster.until(MINUTE, "one view", |c| c.settled(&[0, 1]));
    cluster.seconds(10);
    assert_eq!(cluster.places("ip"), [other]);
    assert_eq!(cluster.core(0).cib(), cluster.core(1).cib());
}

/// A cable that is out for less than half of the dead time harms nothing.
#[test]
fn a_short_break_moves_nothing() {
    let mut cluster = up(2, PLAIN);
    let active = cluster.places("ip")[0];
    let calls = cluster.calls.iter().filter(|c| c.3 != "monitor").count();
    cluster.pull(active);
    cluster.run(DEADTIME / 4);
    cluster.plug(active);
    cluster.seconds(30);
    assert_eq!(cluster.places("ip"), [active]);
    assert_eq!(cluster.calls.iter().filter(|c| c.3 != "monitor").count(), calls);
}

/// A clean stop takes the resources away first, and nobody is surprised.
#[test]
fn a_clean_stop_moves_the_resources_and_leaves() {
    let mut cluster = up(3, PLAIN);
    let active = cluster.places("ip")[0];
    cluster.ask(active, ClientRequest::Shutdown);
    cluster.until(MINUTE, "left", |c| c.nodes[active].exit.is_some());
    assert_eq!(cluster.nodes[active].exit, Some(0));
    assert!(cluster.nodes[active].running.is_empty());
    let rest: Vec<usize> = (0..3).filter(|i| *i != active).collect();
    cluster.until(MINUTE, "quiet again", |c| c.settled(&rest));
    assert_eq!(cluster.places("ip").len(), 1);
    let name = cluster.nodes[active].name.clone();
    let cib = cluster.core(rest[0]).cib();
    let state = cib.status().unwrap().children().find(|s| s.attr("uname") == Some(name.as_str())).unwrap();
    assert_eq!(state.attr("expected"), Some("down"));
    assert_eq!(state.attr("in_ccm"), Some("false"));
}

/// The last node stops too.
#[test]
fn the_whole_cluster_stops_cleanly() {
    let mut cluster = up(2, PLAIN);
    for i in 0..2 {
        cluster.ask(i, ClientRequest::Shutdown);
    }
    cluster.until(MINUTE, "both left", |c| c.nodes.iter().all(|n| n.exit == Some(0)));
    assert!(cluster.nodes.iter().all(|n| n.running.is_empty()));
}

/// A failing monitor restarts the resource and is counted; a failing start sends it elsewhere.
#[test]
fn failures_are_counted_and_acted_upon() {
    let mut cluster = up(2, PLAIN);
    let active = cluster.places("web")[0];
    cluster.nodes[active].running.remove("web");
    cluster.until(MINUTE, "noticed and restarted", |c| c.places("web") == [active]);
    cluster.seconds(1);
    let text = cluster.core(active).cib().root().to_xml();
    assert!(text.contains("fail-count-web#monitor_10000"), "{text}");
    assert!(text.contains("web_last_failure_0"));

    cluster.nodes[active].broken.insert("web_start".into());
    cluster.nodes[active].running.remove("web");
    cluster.until(MINUTE, "moved", |c| c.places("web") == [1 - active]);
    cluster.until(MINUTE, "quiet", |c| c.settled(&[0, 1]));

    cluster.nodes[active].broken.clear();
    let what = crate::client::Cleanup { resource: Some("web".into()), ..Default::default() };
    let id = cluster.ask(1 - active, ClientRequest::Cleanup(what));
    cluster.until(MINUTE, "answered", |c| c.nodes[1 - active].replies.contains_key(&id));
    let outcome = cluster.nodes[1 - active].replies[&id].clone().unwrap();
    assert_eq!(outcome.count, 2);
    cluster.until(MINUTE, "quiet", |c| c.settled(&[0, 1]));
    cluster.seconds(1);
    assert!(!cluster.core(active).cib().root().to_xml().contains("fail-count-web"));
    assert_eq!(cluster.places("web").len(), 1);
}

/// With fencing on, the dead node is shot before anything of it is started elsewhere.
#[test]
fn a_lost_node_is_fenced_before_its_resources_start_elsewhere() {
    let mut cluster = up(3, FENCED);
    let active = cluster.places("ip")[0];
    let name = cluster.nodes[active].name.clone();
    cluster.crash(active);
    cluster.until(MINUTE, "taken over", |c| !c.places("ip").is_empty());
    assert_eq!(cluster.shot, std::slice::from_ref(&name));
    let survivor = cluster.places("ip")[0];
    assert!(cluster.core(survivor).status().fencing.iter().any(|r| r.target == name && r.rc == 0));
}

/// Without a working device nothing of a lost node is started.
#[test]
fn nothing_is_started_while_fencing_fails() {
    let mut cluster = up(3, FENCED);
    let active = cluster.places("ip")[0];
    cluster.fencing_works = false;
    cluster.crash(active);
    cluster.seconds(60);
    assert!(cluster.places("ip").is_empty());
    let rest: Vec<usize> = (0..3).filter(|i| *i != active).collect();
    let id =
        cluster.ask(rest[0], ClientRequest::ConfirmFenced { target: cluster.nodes[active].name.clone() });
    cluster.until(MINUTE, "taken over on an administrator's word", |c| !c.places("ip").is_empty());
    assert!(cluster.nodes[rest[0]].replies[&id].is_ok());
}

/// Where access is withheld, every node is given it once, before anything that needs it starts there, and again
/// when the device is defined anew.
#[test]
fn a_node_is_given_access_before_it_starts_what_needs_it() {
    let provides = "<meta_attributes id='fm'><nvpair id='fm1' name='provides' value='unfencing'/></meta_attributes>\
                    </primitive><primitive id='ip'";
    let mut cluster = up(2, &FENCED.replacen("</primitive><primitive id='ip'", provides, 1));
    cluster.given_access.sort();
    assert_eq!(cluster.given_access, ["n1", "n2"]);
    let cib = cluster.core(0).cib();
    let said: Vec<&str> = cib
        .status()
        .unwrap()
        .descendants()
        .filter(|e| e.attr("name") == Some("#digests-all"))
        .filter_map(|e| e.attr("value"))
        .collect();
    assert!(said.len() == 2 && said.iter().all(|value| value.starts_with("f:fence_dummy:")), "{said:?}");
    cluster.seconds(30);
    assert_eq!(cluster.given_access.len(), 2, "asked again without a reason");
    assert!(cluster.shot.is_empty());
}

/// A controller's state is its own word, and it can be stopped from another node.
#[test]
fn a_member_is_asked_for_its_state_and_stopped_from_elsewhere() {
    let mut cluster = up(3, PLAIN);
    let dc = (0..3).find(|i| cluster.core(*i).controller().state() == "S_IDLE").unwrap();
    let asked = (dc + 1) % 3;
    let name = |i: usize, cluster: &Cluster| cluster.nodes[i].name.clone();
    let of_dc = cluster.ask(asked, ClientRequest::StateOf { node: name(dc, &cluster) });
    let of_other = cluster.ask(dc, ClientRequest::StateOf { node: name(asked, &cluster) });
    let of_nobody = cluster.ask(dc, ClientRequest::StateOf { node: "n9".into() });
    cluster.seconds(1);
    let said = |cluster: &Cluster, i: usize, id: u64| cluster.nodes[i].replies[&id].clone().map(|o| o.said);
    assert_eq!(said(&cluster, asked, of_dc), Ok("S_IDLE".to_owned()));
    assert_eq!(said(&cluster, dc, of_other), Ok("S_NOT_DC".to_owned()));
    assert!(matches!(said(&cluster, dc, of_nobody), Err(RequestError::NotFound(_))));
    let stopped = cluster.ask(asked, ClientRequest::ShutdownOf { node: name(dc, &cluster) });
    cluster.until(MINUTE, "left", |c| c.nodes[dc].exit.is_some());
    assert_eq!((cluster.nodes[dc].exit, said(&cluster, asked, stopped).is_ok()), (Some(0), true));
}

/// What clients ask at any node is done and answered.
#[test]
fn clients_change_the_configuration_and_attributes() {
    let mut cluster = up(2, PLAIN);
    for i in 0..2 {
        let request = cib::Request::new(cib::Operation::Modify).section("crm_config").input(
            cib::Element::parse(
                "<cluster_property_set id='o'><nvpair id='o9' name='x' value='1'/></cluster_property_set>",
            )
            .unwrap(),
        );
        let id =
            cluster.ask(i, ClientRequest::Cib { request: Box::new(request), options: Default::default() });
        let change = crate::client::AttributeChange {
            node: "n2".into(),
            name: "pingd".into(),
            value: Some("100".into()),
            lifetime: crate::client::Lifetime::Reboot,
            set: None,
            delay: None,
            user: None,
            groups: Vec::new(),
            client: None,
        };
        let transient = cluster.ask(i, ClientRequest::SetAttribute(change.clone()));
        let forever = cluster.ask(
            i,
            ClientRequest::SetAttribute(crate::client::AttributeChange {
                name: "standby".into(),
                value: Some("on".into()),
                lifetime: crate::client::Lifetime::Forever,
                ..change.clone()
            }),
        );
        let unknown = cluster.ask(
            i,
            ClientRequest::SetAttribute(crate::client::AttributeChange { node: "n7".into(), ..change }),
        );
        cluster.until(MINUTE, "answered", |c| c.nodes[i].replies.len() >= 4);
        let replies = &cluster.nodes[i].replies;
        assert!(
            replies[&id].is_ok() && replies[&transient].is_ok() && replies[&forever].is_ok(),
            "{replies:?}"
        );
        assert!(matches!(replies[&unknown], Err(RequestError::NotFound(_))));
    }
    cluster.seconds(1);
    let text = cluster.core(0).cib().root().to_xml();
    assert!(
        text.contains("name=\"x\"") && text.contains("status-02020202-0202-0202-0202-020202020202-pingd"),
        "{text}"
    );
    assert!(text.contains("name=\"standby\""));
}

/// A part without quorum stops what it runs, before the others take over.
#[test]
fn a_minority_lets_go_before_the_majority_takes_over() {
    let mut cluster = up(3, PLAIN);
    let active = cluster.places("ip")[0];
    for other in (0..3).filter(|i| *i != active) {
        cluster.cut.insert((active, other));
        cluster.cut.insert((other, active));
    }
    let mut both = false;
    for _ in 0..600 {
        cluster.run(Duration::from_millis(10));
        both |= cluster.places("ip").len() > 1;
    }
    assert!(!both, "active on two nodes at one time\n{}", cluster.describe());
    assert_eq!(cluster.places("ip").len(), 1);
    assert_ne!(cluster.places("ip"), [active]);
    cluster.heal();
    cluster.until(MINUTE, "one view", |c| c.settled(&[0, 1, 2]));
    assert_eq!(cluster.places("ip").len(), 1);
}

/// The DC dies while a plan is in execution: the next one goes on.
#[test]
fn the_dc_may_die_in_the_middle_of_a_transition() {
    for millis in [0, 5, 15, 25, 40, 60, 90] {
        let mut cluster = up(5, PLAIN);
        let active = cluster.places("ip")[0];
        cluster.ask(active, ClientRequest::Shutdown);
        cluster.run(Duration::from_millis(millis));
        let dc = (0..5).find(|i| cluster.nodes[*i].core.as_ref().is_some_and(|c| c.controller().is_dc()));
        let Some(dc) = dc else { continue };
        cluster.crash(dc);
        let rest: Vec<usize> = (0..5).filter(|i| *i != dc && *i != active).collect();
        cluster.until(MINUTE, "settled", |c| c.settled(&rest));
        cluster.until(MINUTE, "one place", |c| c.places("ip").len() == 1);
    }
}

/// The machine of the active node stands still for longer than the dead time. When it comes back it
/// starts nothing, and the double is resolved.
#[test]
fn a_paused_node_gives_way_when_it_wakes() {
    let mut cluster = up(3, PLAIN);
    let active = cluster.places("ip")[0];
    cluster.pause(active);
    cluster.until(MINUTE, "taken over", |c| c.places("ip").len() == 2);
    cluster.seconds(5);
    cluster.resume(active);
    cluster.until(MINUTE, "one view", |c| c.settled(&[0, 1, 2]));
    cluster.until(MINUTE, "one place", |c| c.places("ip").len() == 1);
}

/// The lease is looked at again right before an operation begins (R6.4). What was not begun is no failure: it
/// leaves no trace, and is done once the node is well.
#[test]
fn what_was_ordered_too_late_is_not_begun_and_is_no_failure() {
    let mut cluster = Cluster::new(2, PLAIN);
    (cluster.nodes[0].stalled, cluster.nodes[1].stalled) = (true, true);
    cluster.start_all();
    cluster.seconds(20);
    assert!(cluster.places("ip").is_empty());
    for i in 0..2 {
        assert!(cluster.nodes[i].log.iter().any(|(_, l)| l.contains("Cannot execute now")));
        let text = cluster.core(i).cib().root().to_xml();
        assert!(!text.contains("fail-count") && !text.contains("last_failure"), "{text}");
        assert!(!text.contains("operation=\"start\""), "{text}");
    }
    (cluster.nodes[0].stalled, cluster.nodes[1].stalled) = (false, false);
    cluster.until(MINUTE, "started", |c| c.settled(&[0, 1]) && c.places("ip").len() == 1);
}

/// A node that hears the others go on without it lets go before they take over, without any fencing (R7.18).
#[test]
fn a_node_that_is_put_out_lets_go_before_the_others_take_over() {
    for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)] {
        let mut cluster = up(3, PLAIN);
        cluster.never_twice = true;
        cluster.cut.extend([(from, to), (to, from)]);
        cluster.seconds(60);
        assert_eq!(cluster.places("ip").len(), 1, "{from} {to}\n{}", cluster.describe());
        cluster.heal();
        cluster.until(MINUTE, "one view", |c| c.settled(&[0, 1, 2]) && c.places("ip").len() == 1);
    }
}

/// The core is started again by its executor: what runs is found, and not started a second time.
#[test]
fn a_new_core_finds_what_still_runs() {
    for n in [1, 2, 3] {
        let mut cluster = up(n, PLAIN);
        let active = cluster.places("ip")[0];
        let all: Vec<usize> = (0..n).collect();
        cluster.seconds(1);
        let starts = cluster.calls.iter().filter(|c| c.3 == "start" && c.2 == "ip").count();
        cluster.restart_core(active);
        cluster.until(MINUTE, "settled", |c| c.settled(&all));
        cluster.seconds(1);
        assert_eq!(cluster.places("ip"), [active], "{n} nodes\n{}", cluster.describe());
        assert_eq!(
            cluster.calls.iter().filter(|c| c.3 == "start" && c.2 == "ip").count(),
            starts,
            "{n} nodes"
        );
    }
}

/// Everything loses power and comes back: the configuration is there, and the services run again.
#[test]
fn a_power_cut_of_everything_is_survived() {
    let mut cluster = up(3, PLAIN);
    let request = cib::Request::new(cib::Operation::Modify).section("crm_config").input(
        cib::Element::parse(
            "<cluster_property_set id='o'><nvpair id='o9' name='x' value='1'/></cluster_property_set>",
        )
        .unwrap(),
    );
    let id = cluster.ask(1, ClientRequest::Cib { request: Box::new(request), options: Default::default() });
    cluster.until(MINUTE, "acknowledged", |c| c.nodes[1].replies.contains_key(&id));
    assert!(cluster.nodes[1].replies[&id].is_ok());
    for i in 0..3 {
        cluster.crash(i);
    }
    cluster.seconds(3);
    cluster.start_all();
    cluster.until(MINUTE, "running again", |c| c.settled(&[0, 1, 2]) && c.places("ip").len() == 1);
    assert!(cluster.core(2).cib().root().to_xml().contains("o9"));
}

/// Two nodes with fencing: the survivor shoots the other, and only then takes over.
#[test]
fn of_two_nodes_the_survivor_fences_and_takes_over() {
    let mut cluster = up(2, FENCED);
    let active = cluster.places("ip")[0];
    cluster.crash(active);
    cluster.until(MINUTE, "taken over", |c| c.places("ip") == [1 - active]);
    assert_eq!(cluster.shot, [cluster.nodes[active].name.clone()]);
    cluster.start(active);
    cluster.until(MINUTE, "together again", |c| c.settled(&[0, 1]));
    assert_eq!(cluster.places("ip").len(), 1);
}

/// A node that is not configured alone stops at once when nothing runs yet.
#[test]
fn a_node_that_waits_for_others_can_be_stopped() {
    let mut cluster = Cluster::new(3, PLAIN);
    cluster.start(0);
    cluster.run(Duration::from_millis(500));
    cluster.ask(0, ClientRequest::Shutdown);
    cluster.until(MINUTE, "stopped", |c| c.nodes[0].exit == Some(0));
    // Long after it went on alone, in a view that never wrote which nodes there are.
    let mut cluster = Cluster::new(3, PLAIN);
    cluster.start(0);
    cluster.seconds(60);
    assert!(!cluster.core(0).status().quorate && cluster.core(0).controller().view().is_some());
    cluster.ask(0, ClientRequest::Shutdown);
    cluster.until(MINUTE, "stopped", |c| c.nodes[0].exit == Some(0));
}

/// A failed stop blocks the resource without fencing; nothing is started elsewhere.
#[test]
fn what_cannot_be_stopped_is_not_started_elsewhere() {
    let mut cluster = up(2, PLAIN);
    let active = cluster.places("web")[0];
    cluster.nodes[active].broken.insert("web_stop".into());
    let change = crate::client::AttributeChange {
        node: cluster.nodes[active].name.clone(),
        name: "standby".into(),
        value: Some("on".into()),
        lifetime: crate::client::Lifetime::Forever,
        set: None,
        delay: None,
        user: None,
        groups: Vec::new(),
        client: None,
    };
    cluster.ask(active, ClientRequest::SetAttribute(change));
    cluster.seconds(20);
    assert_eq!(cluster.places("web"), [active]);
    let starts = cluster.calls.iter().filter(|c| c.2 == "web" && c.3 == "stop").count();
    assert!(starts < 5, "{starts} stops");
}

/// splitmix64: what the storm below is drawn from.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// The disk of the active node fails: it leaves, stops what it runs, and only then is it taken over.
#[test]
fn a_node_whose_disk_fails_lets_go_before_it_is_taken_over() {
    let mut cluster = up(3, PLAIN);
    cluster.never_twice = true;
    let active = cluster.places("ip")[0];
    cluster.nodes[active].broken_disk = true;
    let request = cib::Request::new(cib::Operation::Modify).section("crm_config").input(
        cib::Element::parse(
            "<cluster_property_set id='o'><nvpair id='o9' name='x' value='1'/></cluster_property_set>",
        )
        .unwrap(),
    );
    cluster.ask(1, ClientRequest::Cib { request: Box::new(request), options: Default::default() });
    cluster.until(MINUTE, "let go", |c| c.nodes[active].running.is_empty());
    cluster.until(MINUTE, "taken over", |c| c.places("ip").len() == 1 && c.places("web").len() == 1);
    assert_ne!(cluster.places("ip"), [active]);
    let warnings = cluster.core(active).status().warnings;
    assert!(warnings.iter().any(|w| w.contains("disk")), "{warnings:?}");
}

/// One storm of crashes, cuts, pauses and changes, then calm: one view, one place for each resource, one
/// and the same CIB everywhere with every acknowledged change in it.
fn storm(seed: u64, n: usize, config: &str) {
    let mut dice = Dice(seed);
    let fenced = config == FENCED;
    let mut cluster = up(n, config);
    cluster.never_twice = fenced;
    let mut asked: Vec<(usize, u64, String)> = Vec::new();
    for step in 0..20 {
        let i = usize::try_from(dice.below(n as u64)).unwrap();
        match dice.below(9) {
            0 => cluster.crash(i),
            1 | 2 if cluster.nodes[i].core.is_none() => cluster.start(i),
            1 if cluster.nodes[i].waiting().is_none() => cluster.restart_core(i),
            3 => {
                let j = usize::try_from(dice.below(n as u64)).unwrap();
                if i != j {
                    cluster.cut.insert((i, j));
                    if dice.below(3) > 0 {
                        cluster.cut.insert((j, i));
                    }
                }
            }
            4 => cluster.heal(),
            5 if cluster.nodes[i].core.is_some() && cluster.nodes[i].waiting().is_none() => cluster.pause(i),
            6 if cluster.nodes[i].waiting().is_some() => cluster.resume(i),
            7 if cluster.nodes[i].core.is_some() => {
                let name = format!("s{step}");
                let input = format!(
                    "<cluster_property_set id='o'><nvpair id='o{name}' name='{name}' value='1'/></cluster_property_set>"
                );
                let request = cib::Request::new(cib::Operation::Modify)
                    .section("crm_config")
                    .input(cib::Element::parse(&input).unwrap());
                let request = ClientRequest::Cib { request: Box::new(request), options: Default::default() };
                asked.push((i, cluster.ask(i, request), name));
            }
            _ => {}
        }
        let span = Duration::from_millis(dice.below(3000));
        cluster.run(span);
    }
    for i in 0..n {
        if cluster.nodes[i].waiting().is_some() {
            cluster.resume(i);
        }
        if cluster.nodes[i].core.is_none() {
            cluster.start(i);
        }
    }
    cluster.heal();
    let all: Vec<usize> = (0..n).collect();
    // Who is shot for what happened before is started again, as a reboot does.
    let end = cluster.now + DEADTIME * 10;
    while cluster.now < end && !cluster.settled(&all) {
        cluster.run(Duration::from_millis(100));
        for i in 0..n {
            if fenced && cluster.nodes[i].core.is_none() {
                cluster.start(i);
            }
        }
    }
    assert!(cluster.settled(&all), "seed {seed}: one view after the storm\n{}", cluster.describe());
    cluster.until(MINUTE, &format!("seed {seed}: one place each"), |c| {
        c.places("ip").len() == 1 && (fenced || c.places("web").len() == 1) && c.settled(&all)
    });
    cluster.until(MINUTE, &format!("seed {seed}: one CIB"), |c| {
        (1..n).all(|i| c.core(i).cib() == c.core(0).cib())
    });
    let text = cluster.core(0).cib().root().to_xml();
    if n > 2 {
        for (node, id, name) in asked {
            if matches!(cluster.nodes[node].replies.get(&id), Some(Ok(_))) {
                assert!(text.contains(&format!("\"o{name}\"")), "seed {seed}: acknowledged {name} is gone");
            }
        }
    }
}

#[test]
fn storms_end_in_one_view_and_one_place() {
    let from: u64 = std::env::var("STORM").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::var("STORMS").ok().and_then(|s| s.parse().ok()).unwrap_or(6);
    for seed in from..from + count {
        storm(seed, if seed % 3 == 0 { 2 } else { 3 }, PLAIN);
    }
}

/// With fencing on, nothing is ever active on two nodes, whatever happens.
#[test]
fn storms_with_fencing_never_run_anything_twice() {
    let from: u64 = std::env::var("STORM").ok().and_then(|s| s.parse().ok()).unwrap_or(1);
    let count: u64 = std::env::var("STORMS").ok().and_then(|s| s.parse().ok()).unwrap_or(6);
    for seed in from..from + count {
        storm(seed, if seed % 3 == 0 { 2 } else { 3 }, FENCED);
    }
}
