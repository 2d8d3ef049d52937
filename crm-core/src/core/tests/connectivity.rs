//! The score of ping nodes as an attribute, and what a rule on it does.

use super::*;

const RULE: &str = "<rsc_location id='l' rsc='ip'><rule id='r' score='-INFINITY' boolean-op='or'>\
    <expression id='e1' attribute='pingd' operation='not_defined'/>\
    <expression id='e2' attribute='pingd' operation='lt' value='100'/></rule></rsc_location></constraints>";

fn how() -> ccm::config::Connectivity {
    let text = "bcast eth0\nnode n1 n2\nping 10.0.0.1 10.0.0.2\ncrm yes\n\
                respawn root /usr/lib/heartbeat/pingd -m 100 -d 1s\n";
    ccm::config::Config::parse(text, "ha.cf").unwrap().connectivity().unwrap()
}

fn ping(cluster: &mut Cluster, i: usize, name: &str, reachable: bool) {
    cluster.event(i, CoreEvent::Link(LinkEvent::PingNode { name: name.into(), reachable }));
}

fn score(cluster: &Cluster, i: usize) -> Option<String> {
    let text = cluster.core(0).cib().root().to_xml();
    let id = format!("0{0}0{0}0{0}0{0}-0{0}0{0}-0{0}0{0}-0{0}0{0}-0{0}0{0}0{0}0{0}0{0}0{0}-pingd", i + 1);
    let (_, rest) = text.split_once(&format!("status-{id}\" name=\"pingd\" value=\""))?;
    rest.split_once('"').map(|(value, _)| value.to_owned())
}

/// Both see a ping node: the score is one multiplier; the node that loses it loses the resource.
#[test]
fn the_score_is_an_attribute_and_moves_what_a_rule_binds_to_it() {
    let config = PLAIN.replace("<constraints/>", &format!("<constraints>{RULE}"));
    let mut cluster = Cluster::new(2, &config);
    cluster.start_all();
    for i in 0..2 {
        cluster.keep_connectivity(i, how());
        ping(&mut cluster, i, "10.0.0.1", true);
        ping(&mut cluster, i, "10.0.0.2", false);
    }
    cluster.until(MINUTE, "started where the score is", |c| c.settled(&[0, 1]) && c.places("ip").len() == 1);
    assert_eq!([score(&cluster, 0), score(&cluster, 1)], [Some("100".into()), Some("100".into())]);
    let active = cluster.places("ip")[0];
    // Back within the dampening: nobody has seen it.
    let before = cluster.core(0).cib();
    ping(&mut cluster, active, "10.0.0.1", false);
    ping(&mut cluster, active, "10.0.0.1", true);
    cluster.seconds(3);
    assert_eq!(cluster.core(0).cib(), before);
    ping(&mut cluster, active, "10.0.0.1", false);
    cluster.until(MINUTE, "moved", |c| c.places("ip") == [1 - active]);
    assert_eq!(score(&cluster, active), Some("0".into()));
    ping(&mut cluster, 1 - active, "10.0.0.2", true);
    cluster.until(MINUTE, "two reached", |c| score(c, 1 - active) == Some("200".into()));
}

/// A ping resource that keeps the same attribute is not disturbed.
#[test]
fn a_ping_resource_keeps_its_own_score() {
    let resource =
        "<clone id='c'><primitive id='p' class='ocf' provider='pacemaker' type='ping'/></clone></resources>";
    let config = PLAIN.replace("</resources>", resource);
    let mut cluster = up(2, &config);
    cluster.keep_connectivity(0, how());
    ping(&mut cluster, 0, "10.0.0.1", true);
    cluster.seconds(5);
    assert_eq!(score(&cluster, 0), None);
}
