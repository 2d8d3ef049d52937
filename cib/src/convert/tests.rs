#![allow(clippy::unwrap_used)]
//! The examples of haresources2cib.md, and what must be refused.

use super::*;

fn ha_cf(nodes: &[&str]) -> HaCf {
    HaCf {
        file: "ha.cf".into(),
        nodes: nodes.iter().map(|n| n.to_string()).collect(),
        failback: Failback::Back,
        ..HaCf::default()
    }
}

/// `httpd` and `mon` are init scripts, `jdmail` and `IPaddr` v1 scripts, nothing else is there.
fn lookup(kind: &str) -> Found {
    match kind {
        "httpd" | "mon" => Found::InitD,
        "jdmail" | "IPaddr" | "Filesystem" => Found::ResourceD,
        _ => Found::Nowhere(vec![format!("/etc/ha.d/resource.d/{kind}"), format!("/etc/init.d/{kind}")]),
    }
}

fn stonith_names(kind: &str) -> Option<Vec<String>> {
    match kind {
        "external/ssh" => Some(vec!["hostlist".into()]),
        "apcmaster" => Some(vec!["ipaddr".into(), "login".into(), "password".into()]),
        _ => None,
    }
}

fn run(text: &str, ha_cf: &HaCf, options: Options) -> Result<Converted, Vec<Problem>> {
    convert(&Input {
        text,
        file: "haresources",
        ha_cf,
        options,
        lookup: &lookup,
        stonith_names: &stonith_names,
    })
}

fn old() -> Options {
    Options { dialect: Dialect::Heartbeat2, ..Options::default() }
}

fn text(problems: &[Problem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

/// One line an element: enough to see structure and attributes at a glance.
fn part(converted: &Converted, name: &str) -> String {
    let configuration = converted.document.child("configuration").unwrap();
    configuration.child(name).unwrap().to_xml()
}

#[test]
fn original_form_is_the_same_to_the_byte() {
    // haresources2cib.md 7.1, where no defect of the original shows.
    let converted =
        run("node1 10.0.0.170 Filesystem::/dev/sda1::/data1::ext2\n", &ha_cf(&["node1", "node2"]), old())
            .unwrap();
    let expect = include_str!("../../tests/golden/convert/7.1-original.xml");
    assert_eq!(converted.to_text(), expect);
}

#[test]
fn mask_and_interface_go_where_they_belong() {
    for options in [Options::default(), old()] {
        let converted =
            run("a 135.9.216.3/28/eth0/135.9.216.12 httpd\n", &ha_cf(&["a", "b"]), options).unwrap();
        let resources = part(&converted, "resources");
        for expect in [
            r#"name="cidr_netmask" value="28""#,
            r#"name="nic" value="eth0""#,
            r#"name="broadcast" value="135.9.216.12""#,
            r#"name="ip" value="135.9.216.3""#,
        ] {
            assert!(resources.contains(expect), "{resources}");
        }
    }
}

#[test]
fn ids_order_colocation_clone() {
    let input = "node1 httpd #web\nnode2 IPaddr2::10.0.0.1/24/eth1 #vip\n#rsc_order web start after vip\n\
                 #rsc_colocation web vip INFINITY\nnode1 pingd::/run/p #clone:cl\n";
    let converted = run(input, &ha_cf(&["node1", "node2"]), Options::default()).unwrap();
    let constraints = part(&converted, "constraints");
    assert!(
        constraints.contains(
            r#"<rsc_order id="rsc_order_web_vip" first="vip" then="web" first-action="start" then-action="start" symmetrical="true"/>"#
        ),
        "{constraints}"
    );
    assert!(constraints.contains(r#"rsc="web" with-rsc="vip" score="INFINITY""#), "{constraints}");
    let resources = part(&converted, "resources");
    assert!(
        resources.contains(r#"<clone id="cl">"#) && resources.contains(r#"name="clone-max" value="2""#),
        "{resources}"
    );
    let old = run(input, &ha_cf(&["node1", "node2"]), old()).unwrap().to_text();
    assert!(
        old.contains(
            r#"<rsc_order action="start" from="web" id="rsc_order_web_vip" symmetrical="true" to="vip" type="after"/>"#
        ),
        "{old}"
    );
}

#[test]
fn continuation_comments_and_the_end_of_the_file() {
    let input = "n1 10.0.0.1 \\\n# c\n\nFilesystem::/dev/sdb1::/mnt::ext3::rw,acl \\\nhttpd # the server\nn2 jdmail \\";
    let converted = run(input, &ha_cf(&["n1", "n2"]), Options::default()).unwrap();
    let resources = part(&converted, "resources");
    for id in ["IPaddr_10_0_0_1", "Filesystem_2", "httpd_3", "jdmail_5"] {
        assert!(resources.contains(&format!("id=\"{id}\"")), "{id}: {resources}");
    }
    assert!(text(&converted.problems).contains("ends inside a continued line"));
}

#[test]
fn stonith_devices() {
    let mut ha_cf = ha_cf(&["n1", "n2"]);
    ha_cf.stonith = vec![
        StonithDevice {
            line: 3,
            node: "*".into(),
            kind: "external/ssh".into(),
            parameters: vec!["n1,n2".into()],
        },
        StonithDevice {
            line: 4,
            node: "n1".into(),
            kind: "apcmaster".into(),
            parameters: vec!["10.0.0.9".into(), "apc".into(), "secret".into()],
        },
    ];
    let old = run("n1 10.0.0.1\n", &ha_cf, old()).unwrap().to_text();
    assert!(old.contains(r#"name="stonith-enabled" value="true""#));
    assert!(old.contains(r#"<clone id="clone_2">"#));
    assert!(
        old.contains(
            r#"<op id="stonith_2_mon" interval="5s" name="monitor" prereq="nothing" timeout="20s"/>"#
        )
    );
    assert!(old.contains(r#"<nvpair id="stonith_3_attr_4" name="password" value="secret"/>"#));
    let modern = run("n1 10.0.0.1\n", &ha_cf, Options::default()).unwrap();
    assert!(part(&modern, "constraints").contains(r#"rsc="stonith_3" node="n1" score="100""#));
}

#[test]
fn failback_quorum_and_node_names() {
    let mut ha_cf = ha_cf(&["Linux187", "linux142"]);
    ha_cf.failback = Failback::Stay;
    let converted = run("Linux187 10.144.43.185 mon\n", &ha_cf, Options::default()).unwrap();
    assert!(part(&converted, "rsc_defaults").contains(r#"name="resource-stickiness" value="INFINITY""#));
    assert!(part(&converted, "crm_config").contains(r#"name="no-quorum-policy" value="ignore""#));
    assert!(part(&converted, "constraints").contains(r#"node="linux187""#));
}

#[test]
fn ids_never_collide() {
    let mut input = String::from("a httpd\n");
    input.push_str("a httpd httpd httpd httpd httpd httpd httpd httpd httpd httpd httpd httpd\n");
    input.push_str("a httpd 10.0.0.1\na httpd 10.0.0.1\na httpd #group_1\na httpd #9lives\n");
    let converted = run(&input, &ha_cf(&["a"]), Options::default()).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for element in converted.document.descendants() {
        if let Some(id) = element.id() {
            assert!(seen.insert(id.to_string()), "id {id} twice");
        }
    }
    assert!(seen.contains("_9lives"));
}

#[test]
fn no_ocf_makes_arguments_positional() {
    let options = Options { ocf: false, ..Options::default() };
    let converted = run("a Filesystem::/dev/sdb1::/mnt::ext3\n", &ha_cf(&["a"]), options).unwrap();
    let resources = part(&converted, "resources");
    assert!(resources.contains(r#"class="heartbeat" type="Filesystem""#), "{resources}");
    assert!(resources.contains(r#"name="3" value="ext3""#), "{resources}");
}

#[test]
fn parameters_beyond_the_last_name_are_joined() {
    let converted =
        run("a MailTo::a@b::subj::more IPv6addr::fe80::1\n", &ha_cf(&["a"]), Options::default()).unwrap();
    let resources = part(&converted, "resources");
    assert!(resources.contains(r#"name="subject" value="subj more""#), "{resources}");
    assert!(resources.contains(r#"name="ip" value="fe80::1""#), "{resources}");
}

#[test]
fn refused_with_line_and_remedy() {
    for (input, expect) in [
        ("a cluster services\n", "haresources:1: error: cluster is an unknown Resource Agent"),
        ("a cluster\n", "/etc/ha.d/resource.d/cluster, /etc/init.d/cluster"),
        ("# c\na IPaddr\n", "haresources:2: error: IPaddr without an address"),
        ("a Evmsd::x\n", "Evmsd takes no positional parameter"),
        ("#rsc_order\n", "#rsc_order with 0 words"),
        ("#rsc_colocation a\n", "#rsc_colocation with 1 words"),
        ("#rsc_order a b c d\n", "\"b\" is no action"),
        ("#rsc_order a start c d\n", "\"c\" is neither before nor after"),
        ("#rsc_colocation a b lots\n", "\"lots\" is no score"),
        ("a httpd #web\n#rsc_order web start after vip\n", "\"vip\", which is no resource"),
        ("a #clone:\n", "can not parse this line: \"a\" alone"),
        ("a 10.0.0.256\n", "\"10.0.0.256\" is no IP address"),
        ("a IPaddr::10.0.0.1/24::eth0\n", "takes one argument"),
        ("a ../etc/passwd\n", "is no script name"),
        ("a 10.0.0.1/24/eth0/10.0.0.255/extra\n", "out of place"),
    ] {
        let problems = run(input, &ha_cf(&["a"]), Options::default()).unwrap_err();
        assert!(text(&problems).contains(expect), "{input:?}: {}", text(&problems));
    }
    let force = Options { force: true, ..Options::default() };
    let forced = run("a cluster services\n", &ha_cf(&["a"]), force).unwrap();
    assert!(part(&forced, "resources").contains(r#"class="lsb" type="services""#));
}

#[test]
fn a_node_that_is_not_in_ha_cf_is_named() {
    let converted = run("b httpd\n", &ha_cf(&["a"]), Options::default()).unwrap();
    assert!(text(&converted.problems).contains("haresources:1: warning: node \"b\" is not in ha.cf"));
}

#[test]
fn connectivity_becomes_a_ping_clone() {
    let mut ha_cf = ha_cf(&["a", "b"]);
    ha_cf.ping = vec!["192.168.228.153".into()];
    ha_cf.connectivity = Some(9);
    let converted = run("a httpd\n", &ha_cf, Options::default()).unwrap();
    let resources = part(&converted, "resources");
    assert!(resources.contains(r#"provider="pacemaker" type="ping""#), "{resources}");
    assert!(text(&converted.problems).contains("ha.cf:9: note: ipfail becomes the clone"));
}
