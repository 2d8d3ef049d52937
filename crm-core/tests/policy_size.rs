//! Large configurations on the small stack that a thread has: nothing depends on how deep constraints go.
#![allow(clippy::unwrap_used)]

use cib::Cib;
use crm_core::policy::{Situation, plan};

const MEMBERS: usize = 2000;

fn document(resources: &str, constraints: &str) -> Cib {
    Cib::parse(&format!(
        "<cib validate-with='pacemaker-3.9' crm_feature_set='3.16.1' admin_epoch='0' epoch='1' num_updates='0' \
         have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='o1' name='stonith-enabled' value='false'/></cluster_property_set></crm_config>\
         <nodes><node id='1' uname='n1'/></nodes><resources>{resources}</resources>\
         <constraints>{constraints}</constraints></configuration><status>\
         <node_state id='1' uname='n1' in_ccm='true' crmd='online' join='member' expected='member'/></status></cib>"
    ))
    .unwrap()
}

fn members() -> String {
    let member = |i| format!("<primitive id='m{i}' class='ocf' provider='heartbeat' type='Dummy'/>");
    (0..MEMBERS).map(member).collect()
}

/// How many starts a plan has.
fn starts(cib: &Cib) -> usize {
    let plan = plan(cib, &Situation::default());
    let kinds = plan.graph.synapses.iter().map(|synapse| &synapse.action);
    kinds.filter(|action| action.operation == "start" && action.resource.is_some()).count()
}

#[test]
fn a_group_of_two_thousand_starts() {
    assert_eq!(starts(&document(&format!("<group id='g'>{}</group>", members()), "")), MEMBERS);
}

#[test]
fn a_chain_of_two_thousand_colocations_starts() {
    let with = |i| format!("<rsc_colocation id='c{i}' rsc='m{}' with-rsc='m{i}' score='INFINITY'/>", i + 1);
    let chain: String = (0..MEMBERS - 1).map(with).collect();
    assert_eq!(starts(&document(&members(), &chain)), MEMBERS);
}

#[test]
fn a_chain_of_two_thousand_orders_starts() {
    let before = |i| format!("<rsc_order id='o{i}' first='m{i}' then='m{}'/>", i + 1);
    let chain: String = (0..MEMBERS - 1).map(before).collect();
    assert_eq!(starts(&document(&members(), &chain)), MEMBERS);
}
