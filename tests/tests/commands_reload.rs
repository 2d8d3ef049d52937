//! A changed parameter of a running resource: a reload where the agent can, a restart where it must.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::time::Duration;

use everbeat_tests::roots::Site;

/// For waiting, on a machine that does ten other things.
const LONG: Duration = Duration::from_secs(120);

/// An agent that writes down what it is asked; words with `@@` stand for what it says about reloading.
const AGENT: &str = r#"#!/bin/sh
log=$OCF_RESKEY_log
case $1 in
meta-data)
    cat <<EOF
<?xml version="1.0"?>
<resource-agent name="Told"><version>@@VERSION</version><parameters>
<parameter name="log" unique="1"><content type="string"/></parameter>
<parameter name="place" unique="1"><content type="string"/></parameter>
<parameter name="greeting" reloadable="1"><content type="string"/></parameter>
</parameters><actions><action name="start" timeout="20s"/><action name="@@ACTION" timeout="20s"/></actions>
</resource-agent>
EOF
    exit 0 ;;
monitor) [ -e "$log.on" ] && exit 0; exit 7 ;;
start) : > "$log.on" ;;
stop) rm -f "$log.on" ;;
esac
echo "$1 $OCF_RESKEY_place $OCF_RESKEY_greeting" >> "$log"
"#;

struct Told {
    site: Site,
    log: std::path::PathBuf,
}

impl Told {
    fn set(&self, place: &str, greeting: &str) {
        let pair = |name: &str, value: &str| format!("<nvpair id='t-{name}' name='{name}' value='{value}'/>");
        let xml = format!(
            "<primitive id='t' class='ocf' provider='test' type='Told'><instance_attributes id='t-p'>{}{}</instance_attributes></primitive>",
            pair("place", place),
            pair("greeting", greeting)
        );
        self.change("-M", "resources", &xml);
    }

    fn change(&self, operation: &str, section: &str, xml: &str) {
        let file = self.site.write("n1", "change.xml", xml, 0o600).unwrap();
        let line = format!("cibadmin {operation} -c -o {section} -x {}", file.display());
        let output = self.site.everbeat("n1", &line).unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits for the last line of what the agent was asked; all of it.
    fn told(&self, last: &str) -> Vec<String> {
        let end = std::time::Instant::now() + LONG;
        loop {
            let text = fs::read_to_string(&self.log).unwrap_or_default();
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            if lines.last().is_some_and(|line| line == last) {
                return lines;
            }
            assert!(std::time::Instant::now() < end, "{lines:?}, not {last}\n{}", self.site.report());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn reloads(version: &str, action: &str) {
    let site = Site::new(&["n1"]).unwrap();
    let text = AGENT.replace("@@VERSION", version).replace("@@ACTION", action);
    site.write("n1", "usr/lib/ocf/resource.d/test/Told", &text, 0o755).unwrap();
    let _daemon = site.start("n1").unwrap();
    site.wait_until("n1", "crm_mon -1", LONG, |text| text.contains("Online: [ n1 ]"));
    let log = site.root("n1").join("told");
    let told = Told { site, log };
    let options = "<cluster_property_set id='o'><nvpair id='o-s' name='stonith-enabled' value='false'/>\
                   </cluster_property_set>";
    told.change("-M", "crm_config", options);
    let service = format!(
        "<primitive id='t' class='ocf' provider='test' type='Told'><instance_attributes id='t-p'>\
         <nvpair id='t-log' name='log' value='{}'/><nvpair id='t-place' name='place' value='1'/>\
         <nvpair id='t-greeting' name='greeting' value='a'/></instance_attributes></primitive>",
        told.log.display()
    );
    told.change("-C", "resources", &service);
    assert_eq!(told.told("start 1 a"), ["start 1 a"]);
    told.set("1", "b");
    told.told(&format!("{action} 1 b"));
    told.set("1", "c");
    told.told(&format!("{action} 1 c"));
    // What it was started with is what it is stopped with.
    told.set("2", "c");
    let lines = told.told("start 2 c");
    let wanted = ["start 1 a", &format!("{action} 1 b"), &format!("{action} 1 c"), "stop 1 c", "start 2 c"];
    assert_eq!(lines, wanted, "{}", told.site.report());
}

#[test]
fn an_agent_of_the_new_standard_reloads_what_it_says_it_can() {
    reloads("1.1", "reload-agent");
}

#[test]
fn an_agent_of_the_old_standard_reloads_what_is_not_unique() {
    reloads("1.0", "reload");
}
