//! Bad input: each case ends with one clear line that names file, line and cure; nothing is damaged, nobody crashes,
//! no machine is restarted.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use everbeat_tests::alone::{Alone, PROGRAMS};
use everbeat_tests::need;
use everbeat_tests::roots::{Listing, Site, listing};

const SOON: Duration = Duration::from_secs(120);

/// What a case does to a node's good files.
type Spoil = fn(&Site);

struct Case {
    name: &'static str,
    spoil: Spoil,
    status: i32,
    /// Words of the one line: place, what is wrong, what to do.
    words: &'static [&'static str],
}

fn ha_cf(site: &Site, change: impl Fn(String) -> String) {
    site.write("n1", "etc/ha.d/ha.cf", &change(site.ha_cf("n1")), 0o644).unwrap();
}

fn authkeys(site: &Site, text: &str, mode: u32) {
    site.write("n1", "etc/ha.d/authkeys", text, mode).unwrap();
}

const CASES: &[Case] = &[
    Case {
        name: "no ha.cf",
        spoil: |site| fs::remove_file(site.root("n1").join("etc/ha.d/ha.cf")).unwrap(),
        status: 6,
        words: &["/n1/etc/ha.d/ha.cf: ", "not there", "copy it from another node"],
    },
    Case {
        name: "a misspelt directive",
        spoil: |site| ha_cf(site, |text| text.replacen("initdead", "initdaed", 1)),
        status: 6,
        words: &["/n1/etc/ha.d/ha.cf:3: ", "Illegal directive", "initdaed", "\"initdead\""],
    },
    Case {
        name: "a value that is no number",
        spoil: |site| ha_cf(site, |text| text.replacen("udpport 17694", "udpport many", 1)),
        status: 6,
        words: &["/n1/etc/ha.d/ha.cf:4: ", "udpport", "many", "expected"],
    },
    Case {
        name: "a node name that is not in ha.cf",
        spoil: |site| ha_cf(site, |text| text.replacen("nodename n1", "nodename n9", 1)),
        status: 6,
        words: &["/n1/etc/ha.d/ha.cf:", "[n9] not in configuration", "node n9"],
    },
    Case {
        name: "no authkeys",
        spoil: |site| fs::remove_file(site.root("n1").join("etc/ha.d/authkeys")).unwrap(),
        status: 6,
        words: &["/n1/etc/ha.d/authkeys: ", "not there", "copy it from another node"],
    },
    Case {
        name: "authkeys that others can read",
        spoil: |site| authkeys(site, "auth 1\n1 sha1 abcdefgh\n", 0o644),
        status: 4,
        words: &["/n1/etc/ha.d/authkeys: ", "Bad permissions", "644", "chmod 600"],
    },
    Case {
        name: "a key that is not there",
        spoil: |site| authkeys(site, "auth 2\n1 sha1 abcdefgh\n", 0o600),
        status: 6,
        words: &["/n1/etc/ha.d/authkeys:1: ", "2"],
    },
    Case {
        name: "a method that nobody knows",
        spoil: |site| authkeys(site, "auth 1\n1 rot13 abcdefgh\n", 0o600),
        status: 6,
        words: &["/n1/etc/ha.d/authkeys:2: ", "Invalid authtype", "sha1"],
    },
];

/// A start may make directories and its own files; what was there stays as it was.
fn unchanged(before: &Listing, after: &Listing, case: &str) {
    for (path, was) in before {
        let is = after.get(path);
        // Making a directory's entries is no change of the directory.
        assert_eq!(Some(was), is, "{case}: {} has changed", path.display());
    }
    for (path, (_, _, _, bytes)) in after {
        let made = !before.contains_key(path) && bytes.is_some();
        let own = ["/ha-log", "/var/run/heartbeat.pid", "/resource.d/everbeat/"];
        let text = path.display().to_string();
        assert!(!made || own.iter().any(|part| text.contains(part)), "{case}: {text} was made");
    }
}

#[test]
fn a_wrong_file_is_named_with_line_and_cure_and_nothing_is_changed() {
    for case in CASES {
        let site = Site::new(&["n1", "n2"]).unwrap();
        site.write("n1", "var/lib/heartbeat/crm/cib.xml", "<cib/>\n", 0o600).unwrap();
        site.write("n1", "var/lib/heartbeat/hb_uuid", "0123456789abcdef", 0o600).unwrap();
        for dir in ["var/lib/heartbeat", "var/lib/heartbeat/crm"] {
            let mode = if dir.ends_with("crm") { 0o750 } else { 0o1775 };
            let permissions = std::os::unix::fs::PermissionsExt::from_mode(mode);
            fs::set_permissions(site.root("n1").join(dir), permissions).unwrap();
        }
        (case.spoil)(&site);
        let before = listing(&site.root("n1")).unwrap();
        let mut daemon = site.start("n1").unwrap();
        let status = daemon.status(SOON);
        let said = daemon.said();
        assert_eq!(status.code(), Some(case.status), "{}: {said}", case.name);
        let errors: Vec<&str> =
            said.lines().filter(|line| line.contains("rror") && !line.contains("info:")).collect();
        let [line] = errors.as_slice() else { panic!("{}: not one line: {said}", case.name) };
        for word in case.words {
            assert!(line.contains(word), "{}: {word:?} is not in {line:?}", case.name);
        }
        unchanged(&before, &listing(&site.root("n1")).unwrap(), case.name);
    }
}

/// The files of a directory that begin so, with their bytes.
fn files_like(dir: &Path, prefix: &str) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(prefix) && entry.path().is_file() {
            found.push((name, fs::read(entry.path()).unwrap()));
        }
    }
    found
}

fn online(text: &str, names: &str) -> bool {
    text.contains(&format!("Online: [ {names} ]"))
}

#[test]
fn a_cib_that_does_not_parse_is_kept_aside_and_reported_and_no_machine_restarts_for_it() {
    let site = Site::new(&["n1"]).unwrap();
    let bad = "<cib epoch=\"3\">\n  <configuration>\n    <resources></configuration>\n</cib>\n";
    let crm = site.root("n1").join("var/lib/heartbeat/crm");
    site.write("n1", "var/lib/heartbeat/crm/cib.xml", bad, 0o600).unwrap();
    let mut daemon = site.start("n1").unwrap();
    site.wait_until("n1", "crm_mon -1", SOON, |text| online(text, "n1"));
    let kept = files_like(&crm, "cib.xml.auto.");
    assert!(kept.iter().any(|(_, bytes)| bytes == bad.as_bytes()), "{kept:?}");
    let log = site.log("n1");
    let line =
        log.lines().find(|line| line.contains("cib.xml is not usable")).unwrap_or_else(|| panic!("{log}"));
    for word in ["line 3", "kept as", "cib.xml.auto.", crm.to_str().unwrap(), "cibadmin --replace"] {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    assert!(!log.contains("restart this machine") && !daemon.said().contains("restart this machine"));
    assert!(daemon.runs());
}

#[test]
fn a_wrong_key_on_one_node_is_counted_and_reported_by_the_others_which_go_on() {
    let site = Site::new(&["n1", "n2", "n3"]).unwrap();
    site.write("n3", "etc/ha.d/authkeys", "auth 1\n1 sha1 another-key-here\n", 0o600).unwrap();
    let mut daemons = ["n1", "n2", "n3"].map(|node| site.start(node).unwrap());
    for node in ["n1", "n2"] {
        let refused = |text: &str| {
            online(text, "n1 n2")
                && text.contains("with quorum")
                && text.contains(&format!("packets refused: {}", site.address("n3")))
        };
        let text = site.wait_until(node, "crm_mon -1", SOON, refused);
        assert!(!text.contains("foreign"), "{text}");
    }
    // The one that is wrong is alone, has no quorum, and says the same of the others.
    let n1 = site.address("n1");
    site.wait_until("n3", "crm_mon -1", SOON, |text| {
        text.contains(&format!("packets refused: {n1}")) && text.contains("WITHOUT quorum")
    });
    // The first refusal is logged at once, those of other sources with the next report.
    for (node, from) in [("n1", &["n3"][..]), ("n3", &["n1", "n2"])] {
        let log = site.log(node);
        let of = |line: &str| from.iter().any(|from| line.contains(&site.address(from)));
        let line = log.lines().find(|line| line.contains("refused packets: ") && of(line));
        assert!(line.is_some_and(|line| line.contains("key") || line.contains("signature")), "{log}");
        assert!(!log.contains("CRIT") && !log.contains("panicked"), "{log}");
    }
    assert!(
        daemons
            .iter_mut()
            .all(|daemon| daemon.runs() && daemon.said().matches("started the core").count() == 1)
    );
}

#[test]
fn what_a_reboot_removed_is_made_again() {
    let site = Site::new(&["n1"]).unwrap();
    for round in 0..2 {
        let mut daemon = site.start("n1").unwrap();
        site.wait_until("n1", "crm_mon -1", SOON, |text| online(text, "n1"));
        for dir in ["ccm", "crm"] {
            assert!(site.root("n1").join("var/run/heartbeat").join(dir).is_dir(), "round {round}");
        }
        assert!(daemon.said().contains("after a reboot: usual"), "round {round}: {}", daemon.said());
        daemon.power_off();
        drop(daemon);
        fs::remove_dir_all(site.root("n1").join("var/run")).unwrap();
    }
}

#[test]
fn a_second_apiauth_line_for_mgmtd_is_a_warning() {
    let site = Site::new(&["n1"]).unwrap();
    ha_cf(&site, |text| text + "apiauth mgmtd uid=root\napiauth mgmtd uid=root\n");
    let mut daemon = site.start("n1").unwrap();
    site.wait_until("n1", "crm_mon -1", SOON, |text| online(text, "n1"));
    let log = site.log("n1");
    assert!(!log.contains("ERROR"), "a good start has no errors: {log}");
    let line = log.lines().find(|line| line.contains("mgmtd") && line.contains("WARN"));
    let last = site.ha_cf("n1").lines().count() + 2;
    assert!(line.is_some_and(|line| line.contains(&format!("ha.cf:{last}"))), "{log}");
    assert!(daemon.runs());
}

#[test]
fn two_machines_with_one_hb_uuid_are_named_with_the_cure_and_neither_crashes() {
    let site = Site::new(&["n1", "n2", "n3"]).unwrap();
    let uuid = "0123456789abcdef";
    for node in ["n1", "n2"] {
        site.write(node, "var/lib/heartbeat/hb_uuid", uuid, 0o600).unwrap();
    }
    let mut daemons = ["n1", "n2", "n3"].map(|node| site.start(node).unwrap());
    let end = Instant::now() + SOON;
    let named = |node: &str| {
        let log = site.log(node);
        log.lines().any(|line| {
            // A node that is one of the two knows the other's address, and calls itself "this node".
            let at = |other: &str| line.contains(&site.address(other)) || other == node;
            at("n1") && at("n2") && line.contains("same hb_uuid") && line.contains("remove its hb_uuid")
        })
    };
    while !["n1", "n2", "n3"].iter().all(|node| named(node)) {
        assert!(Instant::now() < end, "{}", site.report());
        std::thread::sleep(Duration::from_millis(50));
    }
    for daemon in &mut daemons {
        assert!(daemon.runs() && daemon.said().matches("started the core").count() == 1, "{}", daemon.said());
    }
}

#[test]
fn a_lost_hb_uuid_is_named_with_the_cure_and_the_node_joins_again() {
    let site = Site::new(&["n1", "n2", "n3"]).unwrap();
    let mut daemons = ["n1", "n2", "n3"].map(|node| site.start(node).unwrap());
    let all = |text: &str| online(text, "n1 n2 n3") && text.contains("with quorum");
    site.wait_until("n1", "crm_mon -1", SOON, all);
    let old = site.everbeat("n2", "crm_node -i").unwrap().stdout;
    daemons[1].power_off();
    fs::remove_file(site.root("n2").join("var/lib/heartbeat/hb_uuid")).unwrap();
    daemons[1] = site.start("n2").unwrap();
    for node in ["n1", "n2", "n3"] {
        let text = site.wait_until(node, "crm_mon -1", SOON, all);
        assert!(text.contains("3 nodes configured"), "{text}");
    }
    let log = site.log("n2");
    let line = log.lines().find(|line| line.contains("/hb_uuid")).unwrap_or_else(|| panic!("{log}"));
    for word in ["/n2/var/lib/heartbeat/hb_uuid", "was lost", "put it back"] {
        assert!(line.contains(word), "{word:?} is not in {line:?}");
    }
    assert_ne!(site.everbeat("n2", "crm_node -i").unwrap().stdout, old);
    let told = |node: &str| site.log(node).contains("node n2 has a new identity");
    assert!(["n1", "n2", "n3"].iter().any(|node| told(node)), "{}", site.report());
    // It votes: with the third gone, the two are a majority.
    daemons[2].power_off();
    for node in ["n1", "n2"] {
        site.wait_until(node, "crm_mon -1", SOON, |text| {
            online(text, "n1 n2") && text.contains("with quorum")
        });
    }
}

/// An old image of a disk: the others know a later start. The core begins anew above it, and joins.
#[test]
fn a_generation_that_was_set_back_is_reported_and_raised_and_the_node_joins() {
    let site = Site::new(&["n1", "n2"]).unwrap();
    let mut daemons = ["n1", "n2"].map(|node| site.start(node).unwrap());
    for node in ["n1", "n2"] {
        site.wait_until(node, "crm_mon -1", SOON, |text| online(text, "n1 n2"));
    }
    daemons[1].power_off();
    let file = site.root("n2").join("var/lib/heartbeat/hb_generation");
    let known: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    fs::write(&file, format!("{:>15}\n", known - 10)).unwrap();
    daemons[1] = site.start("n2").unwrap();
    for node in ["n1", "n2"] {
        site.wait_until(node, "crm_mon -1", SOON, |text| {
            online(text, "n1 n2") && text.contains("with quorum")
        });
    }
    assert!(
        site.log("n2").contains(&format!("the others know generation {known} of this node")),
        "{}",
        site.report()
    );
    assert!(daemons[1].said().matches("started the core").count() == 2, "{}", site.report());
    let now: u64 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    assert!(now > known, "{now}");
}

/// `crm yes` asks for a restart of the machine when the core fails, and never for a bad configuration. Below a root
/// directory, and in tests, nobody can carry it out: the core is started again instead. (That the request is carried
/// out where it may be, with paper in place of a machine, is a test of the executor.)
#[test]
fn crm_yes_asks_for_a_restart_only_when_the_core_fails_and_tests_cannot_reach_it() {
    let site = Site::new(&["n1"]).unwrap();
    ha_cf(&site, |text| text.replace("crm respawn", "crm yes"));
    site.write("n1", "var/lib/heartbeat/crm/cib.xml", "<cib><nonsense", 0o600).unwrap();
    let mut daemon = site.start("n1").unwrap();
    site.wait_until("n1", "crm_mon -1", SOON, |text| online(text, "n1"));
    assert!(!daemon.said().contains("crm yes"), "{}", daemon.said());
    let core = nix::unistd::Pid::from_raw(i32::try_from(daemon.core().unwrap()).unwrap());
    nix::sys::signal::kill(core, nix::sys::signal::Signal::SIGKILL).unwrap();
    let end = Instant::now() + SOON;
    while daemon.said().matches("started the core").count() < 2 {
        assert!(Instant::now() < end, "{}", site.report());
        std::thread::sleep(Duration::from_millis(20));
    }
    let said = daemon.said();
    let line = said.lines().find(|line| line.contains("crm yes")).unwrap_or_else(|| panic!("{said}"));
    assert!(line.contains("killed by signal 9") && line.contains("nothing was done"), "{line}");
    site.wait_until("n1", "crm_mon -1", SOON, |text| online(text, "n1"));
    assert!(daemon.runs());
    // A configuration that is wrong ends it, and asks for nothing.
    daemon.power_off();
    ha_cf(&site, |text| text.replace("crm respawn", "crm yes").replace("initdead", "initdaed"));
    let mut daemon = site.start("n1").unwrap();
    assert_eq!(daemon.status(SOON).code(), Some(6));
    assert!(!daemon.said().contains("crm yes"), "{}", daemon.said());
}

/// As installed, where the core is hacluster and the keys are root's.
#[test]
fn on_an_installed_host_keys_are_checked_as_well() {
    if !need::root_and("on_an_installed_host_keys_are_checked_as_well", PROGRAMS) {
        return;
    }
    let mut host = Alone::new().unwrap();
    let keys = "/etc/ha.d/authkeys";
    let cases: [(&str, i32, &[&str]); 4] = [
        ("chmod 640 K", 4, &["Bad permissions", "chmod 600"]),
        ("chmod 600 K; chown nobody K", 4, &["own", "chown root"]),
        ("chown root K; echo 'auth 7' > K", 6, &["authkeys:1: ", "7"]),
        ("rm K", 6, &["not there", "copy it from another node"]),
    ];
    for (spoil, status, words) in cases {
        host.inside().sh(&spoil.replace('K', keys)).unwrap();
        host.start().unwrap();
        assert_eq!(host.status(SOON).code(), Some(status), "{spoil}: {}", host.said());
        let said = host.said();
        let line = said.lines().find(|line| line.contains("error: ") && line.contains(keys));
        let line = line.unwrap_or_else(|| panic!("{spoil}: {said}"));
        for word in words {
            assert!(line.contains(word), "{spoil}: {word:?} is not in {line:?}");
        }
    }
}

/// `hacluster` was made anew with another number, or a backup was put back as root: repaired and reported.
#[test]
fn files_of_a_former_hacluster_and_directories_of_others_are_given_to_the_present_one() {
    if !need::root_and(
        "files_of_a_former_hacluster_and_directories_of_others_are_given_to_the_present_one",
        PROGRAMS,
    ) {
        return;
    }
    let mut host = Alone::new().unwrap();
    host.start().unwrap();
    host.wait_online(SOON);
    let set = "everbeat crm_attribute --type crm_config --name stonith-enabled --update false";
    assert!(host.typed(set).unwrap().status.success());
    assert!(host.typed("everbeat stop").unwrap().status.success());
    assert_eq!(host.status(SOON).code(), Some(0));
    let spoil = "chown -R 12345:12345 /var/lib/heartbeat/crm /var/lib/heartbeat/hb_uuid /var/lib/heartbeat/hb_generation; \
                 mkdir -p /var/run/heartbeat/ccm /var/run/heartbeat/crm; \
                 chown 12345:12345 /var/run/heartbeat/ccm /var/run/heartbeat/crm";
    host.inside().sh(spoil).unwrap();
    host.start().unwrap();
    host.wait_online(SOON);
    let said = host.said();
    for words in [
        "/var/run/heartbeat/ccm belonged to 12345:12345",
        "/var/run/heartbeat/crm belonged to 12345:12345",
        "/var/lib/heartbeat/crm belonged to user 12345, perhaps a former hacluster",
        "/var/lib/heartbeat/hb_uuid belonged to 12345",
    ] {
        assert!(said.contains(words), "{words:?} is not in\n{said}");
    }
    let kept = host.typed("everbeat cibadmin -Q -o crm_config").unwrap();
    assert!(String::from_utf8_lossy(&kept.stdout).contains("stonith-enabled"), "{kept:?}\n{}", host.report());
    assert!(!host.log().contains("new identity") && !host.log().contains("was lost"), "{}", host.log());
    let left = host.typed("find /var/lib/heartbeat /var/run/heartbeat -user 12345").unwrap();
    assert!(left.stdout.is_empty(), "{left:?}");
}
