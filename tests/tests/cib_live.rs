//! The configuration of a running node, its file while the node is down, and the answers of cibadmin that need a daemon.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use everbeat_tests::binary;
use everbeat_tests::roots::Site;

const SOON: Duration = Duration::from_secs(30);
const LIVE: &str = "var/lib/heartbeat/crm/cib.xml";

/// A command against the node with this environment: what it printed and its status.
fn typed(site: &Site, line: &str, environment: &[(&str, &str)]) -> (String, i32) {
    let output = Command::new("sh")
        .args(["-c", &line.replacen("everbeat ", "exec \"$EVERBEAT_BINARY\" ", 1)])
        .env("EVERBEAT_BINARY", binary::everbeat())
        .env("EVERBEAT_ROOT", site.root("n1"))
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (text.into_owned(), output.status.code().unwrap_or(-1))
}

fn good(site: &Site, line: &str) -> String {
    let (text, status) = typed(site, line, &[]);
    assert_eq!(status, 0, "{line}: {text}\n{}", site.report());
    text
}

fn up(site: &Site) -> everbeat_tests::roots::Daemon {
    let daemon = site.start("n1").unwrap();
    site.wait_until("n1", "crm_mon -1", SOON, |text| text.contains("Online: [ n1 ]"));
    daemon
}

fn set(site: &Site, name: &str, value: &str) {
    good(site, &format!("everbeat crm_attribute -t crm_config -n {name} -v {value}"));
}

fn stop(site: &Site, mut daemon: everbeat_tests::roots::Daemon) {
    good(site, "everbeat stop");
    assert!(daemon.status(SOON).success());
}

#[test]
fn a_cib_xml_put_there_by_hand_is_honoured_unless_the_cluster_is_newer() {
    let site = Site::new(&["n1"]).unwrap();
    let file = site.root("n1").join(LIVE);
    let daemon = up(&site);
    set(&site, "cluster-name", "before");
    let directory = file.parent().unwrap().to_owned();
    let shown = |wanted: &str| fs::read_to_string(&file).is_ok_and(|text| text.contains(wanted));
    for _ in 0..600 {
        if shown("before") {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let old = fs::read_to_string(&file).unwrap();
    assert!(old.contains("before"), "{old}");
    // While the node runs its file is its own.
    let in_file = [("CIB_file", file.to_str().unwrap())];
    let change = "everbeat cibadmin -M -o crm_config -X '<cluster_property_set id=\"cib-bootstrap-options\">\
                  <nvpair id=\"cib-bootstrap-options-cluster-name\" name=\"cluster-name\" value=\"by-tool\"/>\
                  </cluster_property_set>'";
    let (text, status) = typed(&site, change, &in_file);
    assert!(status == 107 && text.contains("is the cluster running already?"), "{status}: {text}");
    stop(&site, daemon);

    // An editor, and the digest removed.
    fs::write(&file, old.replace("before", "by-hand")).unwrap();
    fs::remove_file(directory.join("cib.xml.sig")).unwrap();
    let daemon = up(&site);
    site.wait_until("n1", "cibadmin -Q", SOON, |text| text.contains("by-hand"));
    assert!(site.log("n1").contains("put there by hand is the configuration now"), "{}", site.report());
    set(&site, "cluster-name", "after");
    stop(&site, daemon);

    // What the tools write while it is down is taken as well, with a backup of what was there.
    let backups = || {
        fs::read_dir(&directory)
            .unwrap()
            .filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|e| e == "raw"))
            .count()
    };
    let before = backups();
    let (text, status) = typed(&site, change, &in_file);
    assert_eq!((status, backups()), (0, before + 1), "{text}");
    let daemon = up(&site);
    site.wait_until("n1", "cibadmin -Q", SOON, |text| text.contains("by-tool"));
    set(&site, "cluster-name", "newest");
    stop(&site, daemon);

    // A file from before stays a file.
    fs::write(&file, &old).unwrap();
    let _ = fs::remove_file(directory.join("cib.xml.sig"));
    let _daemon = up(&site);
    site.wait_until("n1", "cibadmin -Q", SOON, |text| text.contains("newest"));
    let end = std::time::Instant::now() + SOON;
    while !site.log("n1").contains("put there by hand is not taken: it is of version") {
        assert!(std::time::Instant::now() < end, "{}", site.report());
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(good(&site, "everbeat cibadmin -Q").contains("newest"));
}

#[test]
fn a_running_node_answers_what_only_a_daemon_can() {
    let site = Site::new(&["n1"]).unwrap();
    let daemon = up(&site);
    good(&site, "everbeat cibadmin --cib_sync");
    assert!(good(&site, "everbeat cibadmin --cib_ismaster").contains("CIB on n1 _is_ the master instance"));
    for refused in ["--cib_master", "--cib_slave", "-w", "-r"] {
        let (text, status) = typed(&site, &format!("everbeat cibadmin {refused}"), &[]);
        assert!(status == 3 && text.contains("elects"), "{status}: {text}");
    }
    let (text, status) = typed(&site, "everbeat cibadmin -Q", &[("CIB_port", "9999")]);
    assert!(status == 102 && text.contains("CIB_port=9999 names a cluster elsewhere"), "{status}: {text}");
    let (text, status) = typed(&site, "everbeat cibadmin -Q -t soon", &[]);
    assert!(status == 64 && text.contains("is no time"), "{status}: {text}");

    // An older schema, and what the upgrade did to it.
    let older = good(&site, "everbeat cibadmin -Q")
        .replace("validate-with=\"pacemaker-3.9\"", "validate-with=\"pacemaker-2.10\"")
        .replace("<crm_config/>", "<crm_config><cluster_property_set id=\"old\"><nvpair id=\"o\" name=\"default-resource-stickiness\" value=\"7\"/></cluster_property_set></crm_config>")
        .replace("admin_epoch=\"0\"", "admin_epoch=\"1\"");
    assert!(older.contains("pacemaker-2.10"), "{older}");
    fs::write(site.root("n1").join("older.xml"), older).unwrap();
    let file = site.root("n1").join("older.xml").display().to_string();
    good(&site, &format!("everbeat cibadmin -R -x {file}"));
    let said = good(&site, "everbeat cibadmin --upgrade --force");
    assert!(said.contains("upgraded from pacemaker-2.10 to pacemaker-3.9"), "{said}");
    assert!(said.contains("default-resource-stickiness"), "each change is told: {said}");
    let again = good(&site, "everbeat cibadmin --upgrade --force");
    assert!(again.contains("Upgrade unnecessary: Schema is already the latest available"), "{again}");

    // Access lists judge attributes of either lifetime.
    let lists = "<acls><acl_target id=\"joe\"><role id=\"operator\"/></acl_target><acl_role id=\"operator\">\
                 <acl_permission id=\"read\" kind=\"read\" xpath=\"/cib\"/>\
                 <acl_permission id=\"maintenance\" kind=\"write\" xpath=\"//node_state\"/></acl_role></acls>";
    good(&site, &format!("everbeat cibadmin -M -c -o configuration -X '{lists}'"));
    set(&site, "enable-acl", "true");
    let joe = [("CIB_user", "joe")];
    let (text, status) = typed(&site, "everbeat crm_attribute -N n1 -l forever -n standby -v on", &joe);
    assert_eq!(status, 4, "{text}");
    let (text, status) = typed(&site, "everbeat crm_attribute -N n1 -l reboot -n load -v 1", &joe);
    assert_eq!(status, 0, "joe may write status: {text}");
    let jane = [("CIB_user", "jane")];
    for line in [
        "everbeat crm_attribute -N n1 -l reboot -n load -v 2",
        "everbeat crm_attribute -N n1 -l reboot -n load -D",
        "everbeat cibadmin -D -o resources -X '<primitive id=\"x\"/>'",
    ] {
        let (text, status) = typed(&site, line, &jane);
        let denied = status == 4 || (line.contains("-D -o") && status == 0);
        assert!(denied, "{line}: {status}: {text}");
    }
    let (text, status) = typed(&site, "everbeat cibadmin -U jane -Q", &[]);
    assert_eq!(status, 4, "{text}");
    site.wait_until("n1", "cibadmin -Q -o status", SOON, |text| text.contains("name=\"load\" value=\"1\""));

    // A daemon that does not answer: the command ends when it was told to.
    let core = daemon.core().unwrap();
    let signal = |name: &str| Command::new("kill").arg(name).arg(core.to_string()).status().unwrap();
    assert!(signal("-STOP").success());
    let (text, status) = typed(&site, "everbeat cibadmin -Q -t 1", &[]);
    assert!(signal("-CONT").success());
    assert_eq!(status, 124, "{text}");
    assert!(text.contains("No messages received in 1 seconds.. aborting"), "{text}");
}
