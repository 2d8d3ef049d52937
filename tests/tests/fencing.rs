//! Fencing on running nodes: what is lost is fenced before anything of it starts elsewhere, an administrator
//! fences by hand, and the tools show what is under way, what succeeded and what failed.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use everbeat_tests::need;
use everbeat_tests::roots::{Daemon, Site};

/// For waiting, on a machine that does ten other things.
const LONG: Duration = Duration::from_secs(120);
const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// A power switch whose state is a directory: `hold` delays it, `broken` makes it fail, `cut-NODE` asks the test
/// to take the power away.
const SWITCH: &str = r#"#!/bin/sh
action=reboot
while read line; do
    case $line in
    action=*) action=${line#action=} ;;
    port=*) port=${line#port=} ;;
    dir=*) dir=${line#dir=} ;;
    esac
done
case $action in
metadata)
    cat <<EOF
<?xml version="1.0"?>
<resource-agent name="fence_switch" shortdesc="a switch"><longdesc>A switch.</longdesc><parameters>
<parameter name="action"><content type="string" default="reboot"/></parameter>
<parameter name="port"><content type="string"/></parameter>
<parameter name="dir"><content type="string"/></parameter></parameters>
<actions><action name="on"/><action name="off"/><action name="reboot"/><action name="monitor"/>
<action name="list"/><action name="metadata"/></actions></resource-agent>
EOF
    exit 0 ;;
monitor | status) exit 0 ;;
list) printf 'n1,\nn2,\nn3,\n'; exit 0 ;;
esac
echo "$action $port" >> "$dir/asked"
if [ -e "$dir/broken" ]; then
    echo "the switch does not answer" >&2
    exit 1
fi
while [ -e "$dir/hold" ]; do sleep 0.05; done
: > "$dir/cut-$port"
while [ -e "$dir/cut-$port" ]; do sleep 0.05; done
exit 0
"#;

/// A service whose state is a file in the node's directory.
const SERVICE: &str = r#"#!/bin/sh
case $1 in
meta-data)
    cat <<EOF
<?xml version="1.0"?>
<resource-agent name="Flag"><version>1.0</version><parameters/>
<actions><action name="start" timeout="20s"/></actions></resource-agent>
EOF
    exit 0 ;;
monitor) [ -e "$0.runs" ] && exit 0; exit 7 ;;
start) : > "$0.runs" ;;
stop) rm -f "$0.runs" ;;
esac
"#;

/// What `crm_mon -E` runs.
const TOLD: &str = "#!/bin/sh\n\
    echo \"$CRM_notify_recipient $CRM_notify_node $CRM_notify_rsc $CRM_notify_task $CRM_notify_rc\" >> \"$0.told\"\n";

type Daemons = Arc<Mutex<Vec<Option<Daemon>>>>;

struct Lab {
    site: Site,
    daemons: Daemons,
    ends: Arc<AtomicBool>,
    switch: Option<JoinHandle<()>>,
    dir: PathBuf,
}

impl Lab {
    fn new() -> Self {
        let site = Site::new(&NODES).unwrap();
        let dir = site.root("n1").parent().unwrap().join("switch");
        fs::create_dir_all(&dir).unwrap();
        for node in NODES {
            site.write(node, "usr/sbin/fence_switch", SWITCH, 0o755).unwrap();
            site.write(node, "usr/lib/ocf/resource.d/test/Flag", SERVICE, 0o755).unwrap();
        }
        let daemons: Daemons =
            Arc::new(Mutex::new(NODES.iter().map(|n| Some(site.start(n).unwrap())).collect()));
        let ends = Arc::new(AtomicBool::new(false));
        let switch = std::thread::spawn({
            let (daemons, ends, dir) = (Arc::clone(&daemons), Arc::clone(&ends), dir.clone());
            move || switch(&daemons, &ends, &dir)
        });
        Self { site, daemons, ends, switch: Some(switch), dir }
    }

    fn typed(&self, node: &str, line: &str) -> (String, Option<i32>) {
        let output = self.site.everbeat(node, line).unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (text + &String::from_utf8_lossy(&output.stderr), output.status.code())
    }

    fn good(&self, node: &str, line: &str) -> String {
        let (text, status) = self.typed(node, line);
        assert_eq!(status, Some(0), "{line}: {text}\n{}", self.site.report());
        text
    }

    fn until(&self, node: &str, line: &str, words: &[&str]) -> String {
        self.site.wait_until(node, line, LONG, |text| words.iter().all(|word| text.contains(word)))
    }

    /// Waits until the service runs on another node than this; on which.
    fn runs_elsewhere(&self, asked: &str, than: &str) -> &'static str {
        let others = || NODES.into_iter().filter(|node| *node != than);
        let line = |node: &str| format!("is running on: {node}");
        let there = |text: &str| others().find(|node| text.contains(&line(node)));
        let alone = |text: &str| there(text).is_some() && !text.contains(&line(than));
        there(&self.site.wait_until(asked, "crm_resource --locate -r db", LONG, alone)).unwrap()
    }

    fn flag(&self, name: &str, there: bool) {
        let path = self.dir.join(name);
        if there { fs::write(path, "").unwrap() } else { fs::remove_file(path).unwrap() }
    }

    /// What the switch was asked for.
    fn asked(&self) -> Vec<String> {
        let text = fs::read_to_string(self.dir.join("asked")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn power_off(&self, node: &str) {
        cut(&self.daemons, node);
    }

    fn boot(&self, node: &str) {
        // What ran there ended with its machine.
        let _ = fs::remove_file(self.flag_of(node));
        let n = NODES.iter().position(|name| *name == node).unwrap();
        self.daemons.lock().unwrap()[n] = Some(self.site.start(node).unwrap());
    }

    fn runs(&self, node: &str) -> bool {
        self.flag_of(node).exists()
    }

    fn flag_of(&self, node: &str) -> PathBuf {
        self.site.root(node).join("usr/lib/ocf/resource.d/test/Flag.runs")
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        if let Some(switch) = self.switch.take() {
            let _ = switch.join();
        }
    }
}

fn cut(daemons: &Daemons, node: &str) {
    let n = NODES.iter().position(|name| *name == node).unwrap();
    if let Some(mut daemon) = daemons.lock().unwrap()[n].take() {
        daemon.power_off();
    }
}

/// Takes the power away from whom the agent says.
fn switch(daemons: &Daemons, ends: &AtomicBool, dir: &Path) {
    while !ends.load(Ordering::SeqCst) {
        for node in NODES {
            let file = dir.join(format!("cut-{node}"));
            if file.exists() {
                cut(daemons, node);
                fs::remove_file(file).unwrap();
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Three nodes with a switch and a service that likes the first.
fn cluster() -> Lab {
    let lab = Lab::new();
    lab.until("n1", "crm_mon -1", &["Online: [ n1 n2 n3 ]"]);
    let dir = lab.dir.display();
    let resources = format!(
        "<resources><primitive id='power' class='stonith' type='fence_switch'><instance_attributes id='p-i'>\
         <nvpair id='p-d' name='dir' value='{dir}'/><nvpair id='p-l' name='pcmk_host_list' value='n1 n2 n3'/>\
         </instance_attributes></primitive><primitive id='db' class='ocf' provider='test' type='Flag'/></resources>"
    );
    let likes = "<constraints><rsc_location id='db-likes-n1' rsc='db' node='n1' score='50'/></constraints>"
        .to_owned();
    for (section, xml) in [("resources", resources), ("constraints", likes)] {
        let file = lab.site.write("n1", "change.xml", &xml, 0o600).unwrap();
        lab.good("n1", &format!("cibadmin -M -c -o {section} -x {}", file.display()));
    }
    lab.until("n1", "crm_resource --locate -r db", &["is running on: n1"]);
    lab.until("n1", "crm_mon -1", &["power", "Started"]);
    lab
}

#[test]
fn who_is_lost_is_fenced_first_and_everybody_sees_it() {
    let lab = cluster();
    told_in_the_background(&lab);
    lost(&lab);
    by_hand(&lab);
    failing(&lab);
    vouched_for(&lab);
}

/// `crm_mon -d` keeps a page and tells a program, until it is ended.
fn told_in_the_background(lab: &Lab) {
    let told = lab.site.write("n2", "tell", TOLD, 0o755).unwrap();
    let root = lab.site.root("n2");
    let (page, pid) = (root.join("page.html"), root.join("mon.pid"));
    let line =
        format!("crm_mon -d -W -p {} -h {} -E {} -e me", pid.display(), page.display(), told.display());
    lab.good("n2", &line);
    let end = Instant::now() + LONG;
    while !fs::read_to_string(&page).is_ok_and(|text| text.contains("Current DC")) {
        assert!(Instant::now() < end, "no page\n{}", lab.site.report());
        std::thread::sleep(Duration::from_millis(20));
    }
    let (text, status) = lab.typed("n2", &line);
    assert!(status != Some(0) && text.contains("is a crm_mon that is running"), "{text}");
    let (text, status) = lab.typed("n2", "crm_mon -d");
    assert!(status == Some(64) && text.contains("at least one of --output-to"), "{text}");
}

fn told(lab: &Lab, wanted: &str) {
    let file = lab.site.root("n2").join("tell.told");
    let end = Instant::now() + LONG;
    loop {
        let text = fs::read_to_string(&file).unwrap_or_default();
        if text.lines().any(|line| line == wanted) {
            return;
        }
        assert!(Instant::now() < end, "not told: {wanted}; but:\n{text}\n{}", lab.site.report());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn lost(lab: &Lab) {
    lab.flag("hold", true);
    lab.power_off("n1");
    for node in ["n2", "n3"] {
        let page =
            lab.until(node, "crm_mon -1", &["Pending Fencing Actions:", "reboot of n1 for controller@"]);
        assert!(page.contains("n1: UNCLEAN (offline)"), "{page}");
    }
    let history = lab.good("n3", "stonith_admin -H n1");
    assert!(history.contains("reboot of n1 for controller@") && history.contains(" pending\n"), "{history}");
    assert!(!lab.runs("n2") && !lab.runs("n3"), "started before the fencing ended\n{}", lab.site.report());
    assert_eq!(lab.asked(), ["reboot n1"]);
    lab.flag("hold", false);
    let place = lab.runs_elsewhere("n2", "n1");
    for node in ["n2", "n3"] {
        let page = lab.good(node, "crm_mon -1 -m");
        assert!(page.contains("Fencing History:\n  * reboot of n1 by n"), "{page}");
        assert!(page.contains(" last successful at ") && !page.contains("Pending"), "{page}");
        assert!(lab.good(node, "stonith_admin -h n1").starts_with("Node n1 last fenced at: "));
    }
    let page = lab.good("n2", "crm_mon -1");
    assert!(!page.contains("Fencing"), "what succeeded is no news: {page}");
    let xml = lab.good("n2", "crm_mon -1 --output-as=xml");
    assert!(xml.contains("<fence_event action=\"reboot\" target=\"n1\" client=\"controller\""), "{xml}");
    told(lab, &format!("me {place} db start 0"));
    told(lab, "me n1  st_notify_fence 0");
    lab.boot("n1");
    lab.until("n2", "crm_mon -1", &["Online: [ n1 n2 n3 ]"]);
}

fn by_hand(lab: &Lab) {
    assert_eq!(lab.good("n2", "stonith_admin -L"), " power\n1 fence device found\n");
    assert_eq!(lab.good("n2", "stonith_admin -l n3"), " power\n1 fence device found\n");
    assert_eq!(lab.good("n2", "stonith_admin -s power"), " n1\n n2\n n3\n3 fence targets found\n");
    let (text, status) = lab.typed("n2", "stonith_admin -B n9");
    assert!(status != Some(0) && text.contains("there is no node n9; there are: n1 n2 n3"), "{text}");
    assert_eq!(lab.good("n2", "stonith_admin -B n3"), "");
    assert_eq!(lab.asked().last().map(String::as_str), Some("reboot n3"));
    lab.until("n2", "crm_mon -1", &["OFFLINE: [ n3 ]"]);
    let history = lab.good("n1", "stonith_admin -H n3");
    assert!(history.contains("reboot of n3 by n") && history.contains(" for stonith_admin@"), "{history}");
    assert!(history.ends_with("1 event found\n"), "{history}");
    lab.boot("n3");
    lab.until("n2", "crm_mon -1", &["Online: [ n1 n2 n3 ]"]);
}

fn failing(lab: &Lab) {
    lab.flag("broken", true);
    let (text, status) = lab.typed("n2", "stonith_admin -F n3 -t 20");
    assert!(status != Some(0), "{text}");
    assert!(text.contains("Couldn't fence n3: ") && text.contains("the switch does not answer"), "{text}");
    let page = lab.until("n1", "crm_mon -1", &["Failed Fencing Actions:"]);
    assert!(page.contains("  * turning off of n3 by n"), "{page}");
    assert!(page.contains("the switch does not answer"), "{page}");
    assert!(page.contains("Online: [ n1 n2 n3 ]"), "a failed fencing takes nobody for dead: {page}");
}

/// The switch is broken, the node is lost, and an administrator who has looked says so.
fn vouched_for(lab: &Lab) {
    let holder = lab.good("n2", "crm_resource --locate -r db");
    let holder = NODES.into_iter().find(|node| holder.contains(&format!("is running on: {node}"))).unwrap();
    let witness = NODES.into_iter().find(|node| *node != holder).unwrap();
    lab.power_off(holder);
    lab.until(witness, "crm_mon -1", &["UNCLEAN (offline)"]);
    let asked = lab.asked().len();
    let end = Instant::now() + LONG;
    while lab.asked().len() == asked {
        assert!(Instant::now() < end, "nobody asked the switch\n{}", lab.site.report());
        std::thread::sleep(Duration::from_millis(20));
    }
    let started = NODES.into_iter().filter(|node| *node != holder && lab.runs(node)).count();
    assert_eq!(started, 0, "started although the fencing failed\n{}", lab.site.report());
    lab.good(witness, &format!("stonith_admin -C {holder}"));
    lab.runs_elsewhere(witness, holder);
    let history = lab.good(witness, &format!("stonith_admin -H {holder}"));
    assert!(history.contains(&format!("turning off of {holder} by a human for stonith_admin@")), "{history}");
}

/// A fence agent as Debian has it, that has no list and knows no port: its status says that it can, and the node
/// that hears of its own fencing stays down.
#[test]
fn an_agent_of_the_distribution_fences() {
    const AGENT: &str = "/usr/sbin/fence_dummy";
    if !need::programs_are_there("an_agent_of_the_distribution_fences", &[AGENT]) {
        return;
    }
    let site = Site::new(&["n1", "n2"]).unwrap();
    for node in ["n1", "n2"] {
        let calls = format!("#!/bin/sh\nexec {AGENT} \"$@\"\n");
        site.write(node, "usr/sbin/fence_dummy", &calls, 0o755).unwrap();
    }
    let (_n1, mut n2) = (site.start("n1").unwrap(), site.start("n2").unwrap());
    site.wait_until("n1", "crm_mon -1", LONG, |text| text.contains("Online: [ n1 n2 ]"));
    let state = site.root("n1").join("power");
    let resources = format!(
        "<resources><primitive id='dummy' class='stonith' type='fence_dummy'><instance_attributes id='d-i'>\
         <nvpair id='d-t' name='type' value='file'/><nvpair id='d-f' name='status_file' value='{}'/>\
         </instance_attributes><operations><op id='d-m' name='monitor' interval='30s'/></operations></primitive>\
         </resources>",
        state.display()
    );
    fs::write(&state, "on").unwrap();
    let file = site.write("n1", "change.xml", &resources, 0o600).unwrap();
    let typed = |line: &str| {
        let output = site.everbeat("n1", line).unwrap();
        assert!(output.status.success(), "{line}: {output:?}\n{}", site.report());
    };
    typed(&format!("cibadmin -M -c -o resources -x {}", file.display()));
    site.wait_until("n1", "crm_mon -1", LONG, |text| text.contains("(stonith:fence_dummy):\t Started n"));
    typed("stonith_admin -F n2");
    assert_eq!(fs::read_to_string(&state).unwrap(), "off");
    site.wait_until("n1", "crm_mon -1 -m", LONG, |text| {
        text.contains("turning off of n2 by n1 for stonith_admin@") && text.contains("OFFLINE: [ n2 ]")
    });
    assert!(!n2.status(LONG).success());
    assert!(site.log("n2").contains("We were allegedly just fenced by n1!"), "{}", site.report());
}
