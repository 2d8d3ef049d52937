//! `everbeat explain`, `constraints`, `what-if` and `crm_resource --why` asked of a running cluster: the same
//! answers as from its configuration in a file, about what really happens there, and nothing is touched.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use everbeat_tests::roots::{Daemon, Site};

/// For waiting, on a machine that does ten other things.
const LONG: Duration = Duration::from_secs(120);

/// An agent whose state is a file, and which fails as long as another one is there.
const AGENT: &str = r#"#!/bin/sh
state=$OCF_RESKEY_dir/$OCF_RESOURCE_INSTANCE
case $1 in
meta-data)
    cat <<EOF
<?xml version="1.0"?>
<resource-agent name="Flag"><version>1.0</version><parameters>
<parameter name="dir"><content type="string"/></parameter></parameters>
<actions><action name="start" timeout="20s"/></actions></resource-agent>
EOF
    exit 0 ;;
monitor) [ -e "$state.broken" ] && exit 1; [ -e "$state" ] && exit 0; exit 7 ;;
start) [ -e "$state.broken" ] && exit 1; : > "$state" ;;
stop) rm -f "$state" ;;
esac
"#;

struct Asked {
    site: Site,
}

impl Asked {
    /// Types a line; output and exit status.
    fn typed(&self, line: &str) -> (String, Option<i32>) {
        let output = self.site.everbeat("n1", line).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text + &String::from_utf8_lossy(&output.stderr), output.status.code())
    }

    fn good(&self, line: &str) -> String {
        let (text, status) = self.typed(line);
        assert_eq!(status, Some(0), "{line}: {text}\n{}", self.site.report());
        text
    }

    fn change(&self, operation: &str, section: &str, xml: &str) {
        let file = self.site.write("n1", "change.xml", xml, 0o600).unwrap();
        self.good(&format!("cibadmin {operation} -c -o {section} -x {}", file.display()));
    }

    /// Waits until an answer has all these words.
    fn until(&self, line: &str, words: &[&str]) -> String {
        self.site.wait_until("n1", line, LONG, |text| words.iter().all(|word| text.contains(word)))
    }

    /// Waits until resources run on these nodes, and the cluster has nothing more to do.
    fn settled(&self, places: &[(&str, &str)]) {
        for (resource, node) in places {
            let wanted = format!("is running on: {node}");
            self.until(&format!("crm_resource --locate -r {resource}"), &[&wanted]);
        }
        let dc = self.good("crmadmin -D");
        let dc = dc.split_whitespace().last().unwrap().to_owned();
        self.until(&format!("crmadmin -S {dc}"), &["S_IDLE"]);
    }

    /// The answer, after checking that the cluster's own configuration in a file gives the same.
    fn same_as_from_a_file(&self, line: &str) -> String {
        // What happens between the questions makes them differ: then all are asked again.
        for _ in 0..20 {
            let live = self.good(line);
            let cib = self.good("cibadmin -Q");
            let file = self.site.write("n1", "asked.xml", &cib, 0o600).unwrap();
            let from_file = self.good(&format!("{line} -x {}", file.display()));
            if live == from_file && self.good("cibadmin -Q") == cib {
                return live;
            }
        }
        panic!("{line} never gave the same of the cluster and of its file\n{}", self.site.report());
    }
}

/// Starts two nodes with two services on the first.
fn cluster() -> (Asked, Vec<Daemon>) {
    let site = Site::new(&["n1", "n2"]).unwrap();
    for node in ["n1", "n2"] {
        site.write(node, "usr/lib/ocf/resource.d/test/Flag", AGENT, 0o755).unwrap();
        std::fs::create_dir_all(site.root(node).join("flags")).unwrap();
    }
    let daemons = vec![site.start("n1").unwrap(), site.start("n2").unwrap()];
    site.wait_until("n1", "crm_mon -1", LONG, |text| text.contains("Online: [ n1 n2 ]"));
    let asked = Asked { site };
    asked.change(
        "-M",
        "crm_config",
        "<cluster_property_set id='o'><nvpair id='o-s' name='stonith-enabled' value='false'/></cluster_property_set>",
    );
    // A directory for each node, by rules; what is broken is broken on the node that has the file.
    let primitive = |id: &str| {
        let dir = |node: &str| {
            format!(
                "<instance_attributes id='{id}-{node}'><rule id='{id}-{node}-r' score='INFINITY'><expression \
                 id='{id}-{node}-e' attribute='#uname' operation='eq' value='{node}'/></rule><nvpair \
                 id='{id}-{node}-d' name='dir' value='{}'/></instance_attributes>",
                asked.site.root(node).join("flags").display()
            )
        };
        format!(
            "<primitive id='{id}' class='ocf' provider='test' type='Flag'>{}{}<operations><op id='{id}-m' \
             name='monitor' interval='1s'/></operations></primitive>",
            dir("n1"),
            dir("n2")
        )
    };
    let (db, web) = (primitive("db"), primitive("web"));
    asked.change("-M", "resources", &format!("<resources>{db}{web}</resources>"));
    asked.change(
        "-M",
        "constraints",
        "<constraints><rsc_location id='db-likes-n1' rsc='db' node='n1' score='50'/>\
         <rsc_colocation id='web-with-db' rsc='web' with-rsc='db' score='INFINITY'/></constraints>",
    );
    asked.settled(&[("db", "n1"), ("web", "n1")]);
    (asked, daemons)
}

#[test]
fn a_running_cluster_explains_itself() {
    let (asked, _daemons) = cluster();
    where_it_is(&asked);
    before_it_happens(&asked);
    banned_from_both(&asked);
    failed(&asked);
}

fn where_it_is(asked: &Asked) {
    let db = asked.same_as_from_a_file("explain db");
    assert!(db.starts_with("db runs on n1.\n"), "{db}");
    assert!(db.contains("+50 on n1 from constraint db-likes-n1"), "{db}");
    let web = asked.same_as_from_a_file("explain web --node n2");
    assert!(web.contains("it must run where db is (constraint web-with-db), and db runs on n1"), "{web}");
    let why = asked.good("crm_resource --why -r db");
    assert!(why.starts_with("Resource db is running\n") && why.contains("db-likes-n1"), "{why}");
    let read = asked.same_as_from_a_file("constraints");
    assert!(read.contains("db-likes-n1 (location)") && read.contains("web-with-db (colocation)"), "{read}");
    let json = asked.good("explain db --output-as json");
    assert!(json.contains("\"db-likes-n1\""), "{json}");
    let (said, status) = asked.typed("explain nothing");
    assert_eq!(status, Some(105), "{said}");
    let idle = asked.good("explain --actions");
    assert!(!idle.contains("because"), "{idle}");
}

/// A what-if touches nothing, and what it foretells is what comes.
fn before_it_happens(asked: &Asked) {
    let before = asked.good("cibadmin -Q -o configuration");
    let told = asked.good("what-if --standby n1");
    for words in ["move db from n1 to n2 because n1 is in standby", "web would move from n1 to n2"] {
        assert!(told.contains(words), "{told}");
    }
    assert_eq!(asked.good("cibadmin -Q -o configuration"), before);
    asked.good("crm_standby -N n1 -v on");
    asked.settled(&[("db", "n2"), ("web", "n2")]);
    let db = asked.same_as_from_a_file("explain db");
    assert!(db.contains("Not on n1: n1 is in standby."), "{db}");
    asked.good("crm_standby -N n1 -D");
    asked.settled(&[("db", "n1"), ("web", "n1")]);
}

/// Two bans and a colocation that leave nothing; the change that is proposed helps.
fn banned_from_both(asked: &Asked) {
    for (id, rsc, node) in [("ban-web", "web", "n2"), ("ban-db", "db", "n1")] {
        let xml = format!("<rsc_location id='{id}' rsc='{rsc}' node='{node}' score='-INFINITY'/>");
        asked.change("-C", "constraints", &xml);
    }
    asked.until("explain web", &["web runs nowhere."]);
    asked.settled(&[("db", "n2")]);
    let why = asked.good("crm_resource --why -r web");
    assert!(why.starts_with("Resource web is not running\n"), "{why}");
    let web = asked.same_as_from_a_file("explain web");
    let line = "# cibadmin --delete --xml-text '<rsc_location id=\"ban-web\"/>'";
    for words in ["Smallest change that would let it run:", line] {
        assert!(web.contains(words), "{web}");
    }
    asked.change("-D", "constraints", "<rsc_location id='ban-web'/>");
    asked.settled(&[("db", "n2"), ("web", "n2")]);
    asked.change("-D", "constraints", "<rsc_location id='ban-db'/>");
    asked.settled(&[("db", "n1"), ("web", "n1")]);
}

/// It breaks and cannot be started anywhere; mended, the clean-up that is proposed brings it back.
fn failed(asked: &Asked) {
    let broken = |node: &str| asked.site.root(node).join("flags/web.broken");
    for node in ["n1", "n2"] {
        std::fs::write(broken(node), "").unwrap();
    }
    let web = asked.until("explain web", &["web runs nowhere.", "Smallest change"]);
    for words in ["Not on n1: its start failed on n1 (rc 1: error) at ", "crm_resource --cleanup -r web"] {
        assert!(web.contains(words), "{web}");
    }
    for node in ["n1", "n2"] {
        std::fs::remove_file(broken(node)).unwrap();
    }
    asked.good("crm_resource --cleanup -r web");
    asked.settled(&[("db", "n1"), ("web", "n1")]);
}
