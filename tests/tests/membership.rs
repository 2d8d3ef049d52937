//! Nodes that come and go, and documents that lose a merge, on real daemons and by the commands.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::roots::{Daemon, Site};

const SOON: Duration = Duration::from_secs(90);

/// Long dead times: what is tested here does not depend on them.
fn patient(site: &Site, node: &str, without: Option<&str>) {
    let mut text = site.ha_cf(node).replace("deadtime 1\ninitdead 2\n", "deadtime 5\ninitdead 10\n");
    if let Some(name) = without {
        text = text.replace(&format!("node {name}\n"), "");
    }
    site.write(node, "etc/ha.d/ha.cf", &text, 0o644).unwrap();
}

fn typed(site: &Site, node: &str, line: &str) -> (String, i32) {
    let output = site.everbeat(node, line).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text + &String::from_utf8_lossy(&output.stderr), output.status.code().unwrap_or(-1))
}

fn good(site: &Site, node: &str, line: &str) -> String {
    let (text, status) = typed(site, node, line);
    assert_eq!(status, 0, "{node}: {line}: {text}\n{}", site.report());
    text
}

fn members(site: &Site, node: &str, wanted: &[&str]) {
    site.wait_until(node, "crm_node -p", SOON, |text| {
        let mut found: Vec<&str> = text.split_whitespace().collect();
        found.sort_unstable();
        found == wanted
    });
}

fn logged(site: &Site, node: &str, words: &str) {
    let end = Instant::now() + SOON;
    while !site.log(node).contains(words) {
        assert!(Instant::now() < end, "no \"{words}\" at {node}\n{}", site.report());
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn stop(site: &Site, node: &str, mut daemon: Daemon) {
    good(site, node, "stop");
    assert!(daemon.status(SOON).success(), "{}", site.report());
}

/// `hb_addnode` lets a node in that is in no other ha.cf, with a vote; `hb_delnode` takes it out once it
/// has left, and it does not come back by itself.
#[test]
fn nodes_are_added_and_taken_out_at_run_time() {
    let site = Site::new(&["alpha", "beta", "gamma"]).unwrap();
    for node in ["alpha", "beta"] {
        patient(&site, node, Some("gamma"));
    }
    patient(&site, "gamma", None);
    let _alpha = site.start("alpha").unwrap();
    let _beta = site.start("beta").unwrap();
    members(&site, "alpha", &["alpha", "beta"]);
    members(&site, "beta", &["alpha", "beta"]);
    let dc = good(&site, "beta", "crmadmin -D");
    let dc = dc.trim().strip_prefix("Designated Controller is: ").unwrap_or_default().to_owned();
    assert_eq!(good(&site, "alpha", "crmadmin -q -E").trim(), dc);
    site.wait_until("alpha", &format!("crmadmin -S {dc}"), SOON, |text| text.contains("S_IDLE"));
    for node in ["alpha", "beta"] {
        assert!(site.log(node).contains(&format!("Set DC to {dc} (3.")), "{}", site.report());
    }
    let mut gamma = site.start("gamma").unwrap();
    good(&site, "beta", "hb_addnode gamma");
    members(&site, "alpha", &["alpha", "beta", "gamma"]);
    let (text, status) = typed(&site, "alpha", "hb_delnode gamma");
    assert_eq!(status, 16, "{text}");
    assert!(text.contains("is a member"), "{text}");
    members(&site, "gamma", &["alpha", "beta", "gamma"]);
    logged(&site, "alpha", "of alpha, beta, gamma (may write): 3 of 3 votes");
    good(&site, "gamma", "crmadmin -K gamma");
    assert!(gamma.status(SOON).success(), "{}", site.report());
    members(&site, "alpha", &["alpha", "beta"]);
    logged(&site, "alpha", "of alpha, beta (may write): 2 of 3 votes");
    good(&site, "alpha", "hb_delnode gamma");
    let (text, status) = typed(&site, "alpha", "hb_delnode delta");
    assert_eq!(status, 6, "{text}");
    assert!(text.contains("no node is called delta"), "{text}");
    assert_eq!(good(&site, "alpha", "crm_node -q").trim(), "1");
    assert!(!good(&site, "alpha", "cibadmin -Q -o nodes").contains("gamma"));
    // It is told so by those it still takes for its cluster, until it is added again.
    let _gamma = site.start("gamma").unwrap();
    logged(&site, "gamma", "taken out");
    members(&site, "alpha", &["alpha", "beta"]);
    good(&site, "alpha", "hb_addnode gamma");
    members(&site, "gamma", &["alpha", "beta", "gamma"]);
    members(&site, "alpha", &["alpha", "beta", "gamma"]);
}

/// A document put in force on a stopped node wins when it comes back; what the others had is kept, shown,
/// compared and dismissed.
#[test]
fn a_lost_document_is_kept_shown_and_dismissed() {
    let site = Site::new(&["alpha", "beta"]).unwrap();
    for node in ["alpha", "beta"] {
        patient(&site, node, None);
    }
    let _alpha = site.start("alpha").unwrap();
    let beta = site.start("beta").unwrap();
    members(&site, "alpha", &["alpha", "beta"]);
    members(&site, "beta", &["alpha", "beta"]);
    good(&site, "alpha", "crm_attribute -t crm_config -n cluster-name -v one");
    let file = site.root("beta").join("edited.xml");
    std::fs::write(&file, good(&site, "beta", "cibadmin -Q").replace("\"one\"", "\"three\"")).unwrap();
    let import = format!("cib import {}", file.display());
    // Neither without the word nor on a running node.
    assert_eq!(typed(&site, "beta", &import).1, 107);
    assert_eq!(typed(&site, "beta", &format!("{import} --force")).1, 107);
    stop(&site, "beta", beta);
    members(&site, "alpha", &["alpha"]);
    good(&site, "alpha", "crm_attribute -t crm_config -n cluster-name -v two");
    assert_eq!(good(&site, "alpha", "cib conflicts"), "no conflicts\n");
    good(&site, "beta", &format!("{import} --force"));
    let _beta = site.start("beta").unwrap();
    members(&site, "alpha", &["alpha", "beta"]);
    let query = "crm_attribute -t crm_config -n cluster-name -G -q";
    site.wait_until("alpha", query, SOON, |text| text.trim() == "three");
    let list = site.wait_until("beta", "cib conflicts list", SOON, |text| text.contains("kept on alpha"));
    let name = list.split_whitespace().next().unwrap();
    let (text, status) = typed(&site, "beta", &format!("cib conflicts show {name}"));
    assert_eq!(status, 105, "{text}");
    assert!(text.contains("kept on alpha"), "{text}");
    let shown = good(&site, "alpha", &format!("cib conflicts show {name}"));
    assert!(shown.contains("value=\"two\"") && shown.contains("losing history of alpha"), "{shown}");
    assert!(cib::Cib::parse(&shown).is_ok(), "{shown}");
    let difference = good(&site, "alpha", &format!("cib conflicts diff {name}"));
    assert!(difference.contains("two"), "{difference}");
    assert_eq!(typed(&site, "alpha", "cib conflicts dismiss 1.2/3").1, 105);
    good(&site, "beta", &format!("cib conflicts dismiss {name}"));
    site.wait_until("alpha", "cib conflicts", SOON, |text| text == "no conflicts\n");
    // As of now, and as it is here.
    assert!(good(&site, "beta", "cibadmin -Q --confirmed").contains("three"));
    assert!(good(&site, "beta", "cibadmin -Q --local").contains("three"));
}

/// A machine with the name or the hb_uuid of another is refused, and whoever is told knows both addresses; one
/// with a name of its own is let in by `autojoin` and has a vote.
#[test]
fn a_second_of_a_name_or_uuid_is_refused_and_a_new_one_joins_by_itself() {
    let site = Site::new(&["alpha", "beta", "gamma"]).unwrap();
    let files = |node: &str, name: &str| {
        patient(&site, node, Some("gamma"));
        let path = site.root(node).join("etc/ha.d/ha.cf");
        let text = std::fs::read_to_string(path)
            .unwrap()
            .replace(&format!("nodename {node}\n"), &format!("nodename {name}\nautojoin any\n"));
        site.write(node, "etc/ha.d/ha.cf", &text, 0o644).unwrap();
    };
    for (node, name) in [("alpha", "alpha"), ("beta", "beta"), ("gamma", "alpha")] {
        files(node, name);
    }
    let _alpha = site.start("alpha").unwrap();
    let _beta = site.start("beta").unwrap();
    members(&site, "alpha", &["alpha", "beta"]);
    members(&site, "beta", &["alpha", "beta"]);
    let both = |text: &str, line: &str| {
        let named = |line: &&str| {
            [site.address("alpha"), site.address("gamma")].iter().all(|a| line.contains(a.as_str()))
        };
        text.lines().filter(|l| l.contains(line)).any(|l| named(&l))
    };
    let refused = |words: &str| {
        logged(&site, "beta", words);
        assert!(both(&site.log("beta"), words), "{}", site.report());
        for node in ["alpha", "gamma"] {
            logged(&site, node, words);
        }
        std::thread::sleep(Duration::from_secs(2));
        members(&site, "alpha", &["alpha", "beta"]);
        good(&site, "beta", "crm_attribute -t crm_config -n cluster-name -v goes-on");
    };
    let clone = site.start("gamma").unwrap();
    refused("two machines are named alpha");
    drop(clone);

    files("gamma", "gamma");
    let uuid = "var/lib/heartbeat/hb_uuid";
    std::fs::remove_dir_all(site.root("gamma").join("var/lib/heartbeat")).unwrap();
    site.write("gamma", "var/lib/heartbeat/ignored", "", 0o644).unwrap();
    std::fs::copy(site.root("alpha").join(uuid), site.root("gamma").join(uuid)).unwrap();
    let clone = site.start("gamma").unwrap();
    refused("two machines have the same hb_uuid");
    drop(clone);

    std::fs::remove_dir_all(site.root("gamma").join("var/lib/heartbeat")).unwrap();
    let gamma = site.start("gamma").unwrap();
    members(&site, "alpha", &["alpha", "beta", "gamma"]);
    // It is missed as a voter.
    drop(gamma);
    logged(&site, "beta", "of alpha, beta (may write): 2 of 3 votes");
}
