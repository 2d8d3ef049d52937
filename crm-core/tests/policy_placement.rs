//! Placement by small examples: each was worked by hand and agrees with what `crm_simulate -s` prints.

#![allow(clippy::unwrap_used)]

use crm_core::policy::Situation;
use crm_core::policy::placement::lines::ScoreLine;
use crm_core::policy::plan::plan;
use crm_core::policy::values::ShowScore;

/// Three nodes, all online; fencing off, quorum ignored.
fn cluster(
    options: &str,
    nodes: [&str; 3],
    resources: &str,
    constraints: &str,
    history: [&str; 3],
) -> String {
    let mut text = String::from(
        "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.8' epoch='1' num_updates='0' admin_epoch='0' \
         have-quorum='1' dc-uuid='1'><configuration><crm_config><cluster_property_set id='o'><nvpair id='o1' \
         name='stonith-enabled' value='false'/><nvpair id='o2' name='no-quorum-policy' value='ignore'/>",
    );
    text.push_str(options);
    text.push_str("</cluster_property_set></crm_config><nodes>");
    for (i, extra) in nodes.iter().enumerate() {
        let n = i + 1;
        text.push_str(&format!("<node id='{n}' uname='n{n}'>{extra}</node>"));
    }
    text.push_str(&format!(
        "</nodes><resources>{resources}</resources><constraints>{constraints}</constraints>"
    ));
    text.push_str("</configuration><status>");
    for (i, history) in history.iter().enumerate() {
        let n = i + 1;
        text.push_str(&format!(
            "<node_state id='{n}' uname='n{n}' in_ccm='true' crmd='online' join='member' expected='member'>{history}\
             </node_state>"
        ));
    }
    text.push_str("</status></cib>");
    text
}

fn dummy(id: &str, meta: &[(&str, &str)]) -> String {
    let pairs: String =
        meta.iter().map(|(n, v)| format!("<nvpair id='{id}-{n}' name='{n}' value='{v}'/>")).collect();
    format!(
        "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes \
         id='{id}-meta'>{pairs}</meta_attributes></primitive>"
    )
}

/// History of resources that run on the node.
fn running(ids: &[&str]) -> String {
    let entries: String = ids
        .iter()
        .map(|id| {
            format!(
                "<lrm_resource id='{id}' class='ocf' provider='pacemaker' type='Dummy'><lrm_rsc_op id='{id}_last_0' \
                 operation='start' call-id='1' rc-code='0' op-status='0' interval='0' \
                 transition-key='1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa' \
                 op-digest='f2317cad3d54cec5d7d7aa7d0bf35cf8'/></lrm_resource>"
            )
        })
        .collect();
    format!("<lrm><lrm_resources>{entries}</lrm_resources></lrm>")
}

fn location(rsc: &str, node: &str, score: &str) -> String {
    format!("<rsc_location id='l-{rsc}-{node}' rsc='{rsc}' node='{node}' score='{score}'/>")
}

fn colocation(rsc: &str, with: &str, score: &str) -> String {
    format!("<rsc_colocation id='c-{rsc}-{with}' rsc='{rsc}' with-rsc='{with}' score='{score}'/>")
}

/// `RESOURCE: score score score`, in the order in which primitives were assigned, and promotion scores.
fn assigned(text: &str) -> Vec<String> {
    let cib = cib::Cib::parse(text).unwrap();
    let plan = plan(&cib, &Situation { now: 1_700_000_000, scores: true, ..Situation::default() });
    let mut out: Vec<String> = Vec::new();
    let mut last = None;
    for line in &plan.scores {
        match line {
            ScoreLine::Allocation { function: "pcmk__primitive_assign", resource, node, score } => {
                // Nodes come in their order: a lower one starts another block.
                if last.is_none_or(|(r, n)| r != *resource || n >= *node) {
                    out.push(format!("{}:", plan.state[*resource].id));
                }
                last = Some((*resource, *node));
                if let Some(block) = out.last_mut() {
                    block.push_str(&format!(" {}", ShowScore(*score)));
                }
            }
            ScoreLine::Promotion { resource, node, score } => {
                last = None;
                let node = node.map_or("none", |n| plan.state[n].name.as_str());
                out.push(format!("{} promotion on {node}: {}", plan.state[*resource].id, ShowScore(*score)));
            }
            _ => last = None,
        }
    }
    out
}

fn places(text: &str) -> Vec<String> {
    let cib = cib::Cib::parse(text).unwrap();
    let state = plan(&cib, &Situation { now: 1_700_000_000, ..Situation::default() }).state;
    let place = |r: &crm_core::policy::state::Resource| {
        let node = r.assigned_node().map_or("nowhere", |n| state[n].name.as_str());
        format!("{} {node}", r.id)
    };
    state.resources.iter().filter(|r| r.is_primitive()).map(place).collect()
}

const PLAIN: [&str; 3] = ["", "", ""];

#[test]
fn a_chain_of_small_factors_moves_its_tail_only() {
    let resources = [dummy("A", &[]), dummy("B", &[]), dummy("C", &[])].concat();
    let constraints = [
        location("A", "n1", "100"),
        location("C", "n2", "300"),
        location("B", "n3", "-10"),
        colocation("B", "A", "INFINITY"),
        colocation("C", "B", "50"),
    ]
    .concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    assert_eq!(assigned(&text), ["A: 100 1 -10", "B: 0 -INFINITY -INFINITY", "C: 50 300 0"]);
    assert_eq!(places(&text), ["A n1", "B n1", "C n2"]);
}

#[test]
fn a_large_factor_lets_the_tail_move_the_head() {
    let resources = [dummy("A", &[]), dummy("B", &[]), dummy("C", &[])].concat();
    let constraints = [
        location("A", "n1", "100"),
        location("C", "n2", "300"),
        colocation("B", "A", "INFINITY"),
        colocation("C", "B", "500000"),
    ]
    .concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    assert_eq!(places(&text), ["A n2", "B n2", "C n2"]);
    assert!(assigned(&text).contains(&"C: 0 500300 0".to_owned()));
}

#[test]
fn an_optional_ban_that_leaves_nothing_is_taken_back() {
    let resources = [dummy("A", &[]), dummy("B", &[])].concat();
    let constraints = [
        location("A", "n1", "100"),
        location("B", "n1", "100"),
        location("B", "n2", "-INFINITY"),
        location("B", "n3", "-INFINITY"),
        colocation("B", "A", "-5000"),
    ]
    .concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    assert_eq!(assigned(&text), ["A: 99 0 0", "B: 100 -INFINITY -INFINITY"]);
}

#[test]
fn a_dependent_with_a_stronger_wish_displaces_its_primary() {
    let resources = [dummy("A", &[]), dummy("B", &[])].concat();
    let constraints =
        [location("A", "n1", "100"), location("B", "n1", "300"), colocation("B", "A", "-INFINITY")].concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    assert_eq!(places(&text), ["A n2", "B n1"]);
}

#[test]
fn a_group_adds_up_its_members_stickiness() {
    let sticky = [("resource-stickiness", "100")];
    let resources =
        format!("<group id='g'>{}{}</group>{}", dummy("a", &sticky), dummy("b", &sticky), dummy("z", &[]));
    let constraints = colocation("g", "z", "500000");
    let history = running(&["a", "b"]);
    let text = cluster("", PLAIN, &resources, &constraints, ["", history.as_str(), ""]);
    assert_eq!(assigned(&text)[..2], ["z: 0 150 0", "a: 0 500200 0"]);
}

#[test]
fn a_location_of_a_group_counts_once() {
    let resources = format!(
        "<group id='g'>{}{}</group>",
        dummy("a", &[("resource-stickiness", "5")]),
        dummy("b", &[("resource-stickiness", "7")])
    );
    let history = running(&["a", "b"]);
    let text = cluster("", PLAIN, &resources, &location("g", "n3", "20"), ["", history.as_str(), ""]);
    assert_eq!(assigned(&text), ["a: 0 12 20", "b: -INFINITY -INFINITY 0"]);
}

#[test]
fn a_second_try_applies_the_clones_colocation_twice() {
    let resources = format!(
        "<clone id='cl'><meta_attributes id='m'><nvpair id='mx' name='clone-max' value='1'/></meta_attributes>{}\
         </clone>{}",
        dummy("p", &[]),
        dummy("A", &[])
    );
    let constraints =
        [colocation("cl", "A", "30"), location("A", "n1", "10"), location("cl", "n3", "200")].concat();
    let history = running(&["p"]);
    let text = cluster("", PLAIN, &resources, &constraints, ["", history.as_str(), ""]);
    let blocks = assigned(&text);
    assert!(blocks.contains(&"p:0: 30 1 200".to_owned()), "{blocks:?}");
    assert!(blocks.contains(&"p:0: 60 1 200".to_owned()), "{blocks:?}");
}

#[test]
fn unique_instances_stay_up_to_their_share_and_then_spread() {
    let resources = format!(
        "<clone id='cl'><meta_attributes id='m'><nvpair id='m1' name='clone-max' value='4'/><nvpair id='m2' \
         name='clone-node-max' value='2'/><nvpair id='m3' name='globally-unique' value='true'/></meta_attributes>{}\
         </clone>",
        dummy("a", &[])
    );
    let (one, two) = (running(&["a:0", "a:1"]), running(&["a:2"]));
    let text = cluster("", PLAIN, &resources, "", [one.as_str(), two.as_str(), ""]);
    assert_eq!(places(&text), ["a:0 n1", "a:1 n1", "a:2 n2", "a:3 n3"]);
}

#[test]
fn capacity_counts_for_all_that_goes_together() {
    let need = |id: &str, cpu: u32| {
        format!(
            "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><utilization id='{id}-u'><nvpair \
             id='{id}-c' name='cpu' value='{cpu}'/></utilization></primitive>"
        )
    };
    let has = |n: u32, cpu: u32| {
        format!("<utilization id='u{n}'><nvpair id='c{n}' name='cpu' value='{cpu}'/></utilization>")
    };
    let (a, b, c) = (has(1, 4), has(2, 5), has(3, 6));
    let resources = [need("r1", 2), need("r2", 3), need("r3", 1)].concat();
    let constraints = [location("r3", "n2", "10"), colocation("r2", "r1", "INFINITY")].concat();
    let option = "<nvpair id='p' name='placement-strategy' value='utilization'/>";
    let text = cluster(option, [&a, &b, &c], &resources, &constraints, PLAIN);
    assert_eq!(assigned(&text)[0], "r3: 0 10 0", "the wish on the second node sorts first");
    assert_eq!(places(&text), ["r1 n3", "r2 n3", "r3 n2"]);
}

#[test]
fn where_no_node_holds_all_the_one_with_most_room_is_tried() {
    let need = |id: &str, cpu: u32| {
        format!(
            "<primitive id='{id}' class='ocf' provider='pacemaker' type='Dummy'><utilization id='{id}-u'><nvpair \
             id='{id}-c' name='cpu' value='{cpu}'/></utilization></primitive>"
        )
    };
    let has = |n: u32, cpu: u32| {
        format!("<utilization id='u{n}'><nvpair id='c{n}' name='cpu' value='{cpu}'/></utilization>")
    };
    let (a, b, c) = (has(1, 3), has(2, 4), has(3, 4));
    let resources = [need("r1", 2), need("r2", 3)].concat();
    let option = "<nvpair id='p' name='placement-strategy' value='utilization'/>";
    let text = cluster(option, [&a, &b, &c], &resources, &colocation("r2", "r1", "INFINITY"), PLAIN);
    assert_eq!(places(&text), ["r1 n3", "r2 nowhere"]);
}

#[test]
fn absent_attributes_are_equal() {
    let resources = [dummy("A", &[]), dummy("B", &[])].concat();
    let constraints = [
        location("A", "n1", "10"),
        location("B", "n3", "5"),
        "<rsc_colocation id='c' rsc='B' with-rsc='A' score='INFINITY' node-attribute='rack'/>".to_owned(),
    ]
    .concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    assert_eq!(assigned(&text), ["A: 15 5 5", "B: 0 0 5"]);
}

#[test]
fn without_symmetry_nothing_runs_where_nothing_allows_it() {
    let resources = [dummy("A", &[]), dummy("B", &[])].concat();
    let option = "<nvpair id='p' name='symmetric-cluster' value='false'/>";
    let text = cluster(option, PLAIN, &resources, &location("A", "n2", "0"), PLAIN);
    assert_eq!(places(&text), ["A n2", "B nowhere"]);
}

#[test]
fn a_colocation_circle_ends() {
    let resources = [dummy("A", &[]), dummy("B", &[]), dummy("C", &[])].concat();
    let constraints = [
        colocation("A", "B", "INFINITY"),
        colocation("B", "C", "INFINITY"),
        colocation("C", "A", "INFINITY"),
    ]
    .concat();
    let text = cluster("", PLAIN, &resources, &constraints, PLAIN);
    let nodes: std::collections::BTreeSet<String> =
        places(&text).iter().map(|p| p.split_once(' ').unwrap().1.to_owned()).collect();
    assert_eq!(nodes.len(), 1, "all on one node: {nodes:?}");
}
