#![allow(clippy::unwrap_used)]

use cib::{Cib, Element};

use super::*;
use crate::policy::plan;

const NOW: i64 = 1_700_000_000;

fn situation(now: i64) -> Situation {
    Situation { now, ..Situation::default() }
}

/// A start, or a probe that found nothing, and a monitor.
fn history(id: &str, runs: bool) -> String {
    // Those of an agent without parameters.
    let digest = |interval: u32| match interval {
        0 => "f2317cad3d54cec5d7d7aa7d0bf35cf8",
        _ => "4811cef7f7f94e3a35a70be7916cb2fd",
    };
    let op = |task: &str, interval: u32, call: u32, rc: u32| {
        let digest = digest(interval);
        format!(
            "<lrm_rsc_op id='{id}_{task}_{interval}' operation='{task}' interval='{interval}' call-id='{call}' \
             rc-code='{rc}' op-status='0' transition-key='1:1:{rc}:u' last-rc-change='1699999900' op-digest='{digest}'/>"
        )
    };
    let ops = if runs { op("start", 0, 1, 0) + &op("monitor", 10000, 2, 0) } else { op("monitor", 0, 1, 7) };
    format!("<lrm_resource id='{id}' class='ocf' provider='heartbeat' type='Dummy'>{ops}</lrm_resource>")
}

fn primitive(id: &str, meta: &str) -> String {
    format!(
        "<primitive id='{id}' class='ocf' provider='heartbeat' type='Dummy'><meta_attributes id='{id}-m'>{meta}\
         </meta_attributes><operations><op id='{id}-o' name='monitor' interval='10s'/></operations></primitive>"
    )
}

/// Two nodes, and `a`, `b`, `c`, `d`, which run on the first, the second, and so on by turns.
fn cluster(meta: &str, constraints: &str) -> Cib {
    let ids = ["a", "b", "c", "d"];
    let resources: String = ids.iter().map(|id| primitive(id, meta)).collect();
    let state = |number: usize| {
        let histories: String =
            ids.iter().enumerate().map(|(at, id)| history(id, at % 2 == number)).collect();
        format!(
            "<node_state id='{number}' uname='n{number}' in_ccm='true' crmd='online' join='member' \
             expected='member'><lrm id='{number}'><lrm_resources>{histories}</lrm_resources></lrm></node_state>"
        )
    };
    Cib::parse(&format!(
        "<cib validate-with='pacemaker-3.9' crm_feature_set='3.16.1' epoch='1' num_updates='0' admin_epoch='0' \
         have-quorum='1' dc-uuid='0'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='o1' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes><node id='0' uname='n0'/><node id='1' uname='n1'/></nodes><resources>{resources}</resources>\
         <constraints>{constraints}</constraints></configuration><status>{}{}</status></cib>",
        state(0),
        state(1)
    ))
    .unwrap()
}

fn edited(cib: &Cib, path: &[&str], edit: impl FnOnce(&mut Element)) -> Cib {
    let mut root = cib.root().clone();
    let at = path.iter().try_fold(&mut root, |e, name| e.child_mut(name)).unwrap();
    edit(at);
    Cib::from_root(root).unwrap()
}

/// The monitor of a resource failed on a node.
fn failed(cib: &Cib, node: usize, id: &str) -> Cib {
    edited(cib, &["status"], |status| {
        let list =
            status.node_at_mut(node).unwrap().child_mut("lrm").unwrap().child_mut("lrm_resources").unwrap();
        let history = list.children_mut().find(|e| e.id() == Some(id)).unwrap();
        let op = history.children_mut().find(|op| op.attr("interval") == Some("10000")).unwrap();
        op.set_attr("rc-code", "7");
    })
}

/// Plans both, the second from the first; it is the plan that is made from nothing.
fn after(one: &Cib, two: &Cib) -> Decision {
    later(one, two, NOW)
}

fn later(one: &Cib, two: &Cib, now: i64) -> Decision {
    let mut planner = Planner::with_share(1);
    assert_eq!(planner.decide(one, &situation(NOW)).how, How::Whole(Why::First));
    let decision = planner.decide(two, &situation(now));
    let whole = plan(two, &situation(now));
    assert_eq!(decision.graph.renumbered(), whole.graph.renumbered());
    decision
}

fn keys(decision: &Decision) -> Vec<String> {
    decision.graph.synapses.iter().map(|s| s.action.operation_key.to_string()).collect()
}

const STICKY: &str = "<nvpair id='s' name='resource-stickiness' value='10'/>";

#[test]
fn only_what_failed_is_planned() {
    let cib = cluster("", "");
    let decision = after(&cib, &failed(&cib, 0, "a"));
    assert_eq!(decision.how, How::Part(1));
    assert_eq!(keys(&decision), ["a_start_0", "a_stop_0", "a_monitor_10000"]);
}

#[test]
fn what_constraints_join_is_planned_with_it() {
    let order = "<rsc_order id='o1' first='a' then='c'/><rsc_order id='o2' first='c' then='d'/>";
    let cib = cluster("", order);
    let decision = after(&cib, &failed(&cib, 0, "a"));
    assert_eq!(decision.how, How::Part(3));
    assert!(keys(&decision).contains(&"d_stop_0".to_owned()), "{:?}", keys(&decision));
}

#[test]
fn a_new_constraint_joins_and_a_removed_one_still_does() {
    let (apart, joined) = (
        cluster(STICKY, ""),
        cluster(STICKY, "<rsc_colocation id='x' rsc='b' with-rsc='a' score='INFINITY'/>"),
    );
    let there = edited(&apart, &["configuration", "constraints"], |list| {
        list.push(joined.constraints().unwrap().children().next().unwrap().clone());
    });
    let decision = after(&apart, &there);
    assert_eq!(decision.how, How::Part(2));
    assert!(keys(&decision).contains(&"b_stop_0".to_owned()));
    let gone = edited(&there, &["configuration", "constraints"], Element::clear_nodes);
    assert_eq!(after(&there, &gone).how, How::Part(2));
}

#[test]
fn a_load_that_changes_others_is_planned_as_a_whole() {
    let without_a = |cib: &Cib| {
        edited(cib, &["configuration", "resources"], |list| {
            list.remove_node(0);
        })
    };
    // Of nodes with equal scores the one with less is taken.
    let cib = cluster("", "");
    assert_eq!(after(&cib, &without_a(&cib)).how, How::Whole(Why::Loads));
    // Whoever likes to stay does not look.
    let cib = cluster(STICKY, "");
    let decision = after(&cib, &without_a(&cib));
    assert_eq!(decision.how, How::Part(1));
    assert!(keys(&decision).contains(&"a_stop_0".to_owned()));
}

#[test]
fn what_concerns_everybody_is_planned_as_a_whole() {
    let cib = cluster("", "");
    let option = edited(&cib, &["configuration", "crm_config"], Element::clear_nodes);
    assert!(matches!(after(&cib, &option).how, How::Whole(Why::Section(_))));
    let standby = edited(&cib, &["configuration", "nodes"], |nodes| {
        let pair = Element::of("nvpair", &[("id", "p"), ("name", "standby"), ("value", "on")]);
        let set = Element::of("instance_attributes", &[("id", "i")]).with_child(pair);
        nodes.node_at_mut(0).unwrap().push(set);
    });
    assert!(matches!(after(&cib, &standby).how, How::Whole(Why::Section(_))));
    let gone = edited(&cib, &["status"], |status| {
        status.node_at_mut(1).unwrap().set_attr("crmd", "offline");
    });
    assert!(matches!(after(&cib, &gone).how, How::Whole(Why::Section(_))));
}

/// A failed operation whose reaction is about its node.
#[test]
fn a_node_that_a_resource_takes_down_is_noticed() {
    let standby = |cib: &Cib| {
        edited(cib, &["configuration", "resources"], |list| {
            let op = list.node_at_mut(0).unwrap().child_mut("operations").unwrap().node_at_mut(0).unwrap();
            op.set_attr("on-fail", "standby");
        })
    };
    let cib = standby(&cluster("", ""));
    let decision = after(&cib, &failed(&cib, 0, "a"));
    assert_eq!(decision.how, How::Whole(Why::Nodes));
    assert!(keys(&decision).contains(&"c_stop_0".to_owned()), "{:?}", keys(&decision));
}

#[test]
fn time_is_noticed() {
    let timeout = "<nvpair id='t' name='failure-timeout' value='60'/>";
    let cib = edited(&failed(&cluster(timeout, ""), 0, "a"), &["status"], |status| {
        let pair = |name: &str, value: &str| {
            Element::of("nvpair", &[("id", name), ("name", name), ("value", value)])
        };
        let set = Element::of("instance_attributes", &[("id", "i")])
            .with_child(pair("fail-count-a#monitor_10000", "INFINITY"))
            .with_child(pair("last-failure-a#monitor_10000", "1699999990"));
        let attributes = Element::of("transient_attributes", &[("id", "0")]).with_child(set);
        status.node_at_mut(0).unwrap().push(attributes);
    });
    let other = edited(&cib, &["configuration", "resources"], |list| {
        list.node_at_mut(1).unwrap().set_attr("description", "another");
    });
    // What failed is looked at again with everything else until its failure has ended.
    assert_eq!(later(&cib, &other, NOW + 5).how, How::Part(2));
    assert_eq!(later(&cib, &other, NOW + 60).how, How::Whole(Why::Time));
}

/// Fence devices are in every part: without any, nothing would be started.
#[test]
fn fence_devices_are_never_left_out() {
    let device = "<primitive id='f' class='stonith' type='fence_dummy'/>";
    let device = Element::parse(device).unwrap();
    let fenced = |cib: &Cib| {
        let with = edited(cib, &["configuration", "resources"], |list| list.push(device.clone()));
        let with = edited(&with, &["configuration", "crm_config"], Element::clear_nodes);
        edited(&with, &["status"], |status| {
            for (number, state) in status.children_mut().enumerate() {
                let list = state.child_mut("lrm").unwrap().child_mut("lrm_resources").unwrap();
                let text = history("f", number == 0)
                    .replace("ocf' provider='heartbeat' type='Dummy", "stonith' type='fence_dummy");
                list.push(Element::parse(&text).unwrap());
            }
        })
    };
    let cib = fenced(&cluster(STICKY, ""));
    let decision = after(&cib, &failed(&cib, 0, "a"));
    assert_eq!(decision.how, How::Part(2));
    assert!(keys(&decision).contains(&"a_start_0".to_owned()), "{:?}", keys(&decision));
}

/// It joins with whoever has that history, and means something else once the history is gone.
#[test]
fn a_constraint_on_what_only_a_history_knows_is_unclear() {
    let constraint = "<rsc_colocation id='x' rsc='t' with-rsc='b' score='INFINITY'/>";
    let tags = "<tags><tag id='t'><obj_ref id='a'/><obj_ref id='ghost'/></tag></tags>";
    let cib = edited(&cluster(STICKY, constraint), &["configuration"], |configuration| {
        configuration.push(Element::parse(tags).unwrap());
    });
    let cib = edited(&cib, &["status"], |status| {
        let list =
            status.node_at_mut(0).unwrap().child_mut("lrm").unwrap().child_mut("lrm_resources").unwrap();
        list.push(Element::parse(&history("ghost", false)).unwrap());
    });
    assert!(matches!(after(&cib, &failed(&cib, 0, "a")).how, How::Whole(Why::Unclear(_))));
}

#[test]
fn nothing_but_a_version_costs_nothing() {
    let cib = failed(&cluster("", ""), 0, "a");
    let again = edited(&cib, &[], |root| root.set_attr("num_updates", "1"));
    let decision = after(&cib, &again);
    assert_eq!(decision.how, How::Part(0));
    assert_eq!(keys(&decision).len(), 3);
}
