#![allow(clippy::unwrap_used)]
//! Real files, and the rules around them.

use super::*;
use std::time::Duration;

fn good(text: &str) -> Config {
    Config::parse(text, "ha.cf").unwrap_or_else(|p| panic!("{}", show(&p)))
}

fn show(problems: &[ConfigProblem]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

const TUTORIAL: &str = "keepalive 2\ndeadtime 30\ninitdead 30\nudpport 694\nbcast eth0 eth1 # Linux\n\
    auto_failback off\nnode hatest3\nnode hatest4\nuse_logd yes\nping 192.168.228.153\n\
    crm respawn\ncompression bz2\ncompression_threshold 2\n";

#[test]
fn tutorial_file() {
    let config = good(TUTORIAL);
    assert_eq!(config.keepalive, Setting::at(Duration::from_secs(2), 1));
    assert_eq!(config.warntime, Setting::default_of(Duration::from_secs(15)));
    assert_eq!(config.media.len(), 2);
    assert_eq!(config.media[1].spec, MediumSpec::Bcast { iface: "eth1".into(), port: 694, bind: None });
    assert_eq!(config.nodes.iter().map(|n| n.value.as_str()).collect::<Vec<_>>(), ["hatest3", "hatest4"]);
    assert_eq!(*config.crm, CrmMode::Respawn);
    assert_eq!(*config.compression, Compression::Bz2);
    assert_eq!(config.parameter("keepalive"), Some("2"));
    assert!(config.warnings.is_empty(), "{}", show(&config.warnings));
}

#[test]
fn own_directives_put_nodes_on_loopback() {
    let config = good(
        "nodename A\nbindaddr 127.0.0.11\nudpport 1694\nucast lo 127.0.0.11\nucast lo 127.0.0.12\nnode a b\n\
         crm yes\nweight a=2 b=1\n",
    );
    assert_eq!(config.nodename.as_ref().unwrap().value, "a");
    let MediumSpec::Ucast { peer, port, bind, .. } = &config.media[1].spec else { panic!() };
    assert_eq!((peer.to_string().as_str(), *port), ("127.0.0.12", 1694));
    assert_eq!(bind.unwrap().to_string(), "127.0.0.11");
    assert_eq!((config.votes("a"), config.votes("b"), config.votes("c")), (2, 1, 1));
}

#[test]
fn initdead_follows_deadtime() {
    for (dead, expect) in [("5", 12), ("6", 12), ("8", 16), ("11", 11), ("30", 30)] {
        let config = good(&format!("deadtime {dead}\nbcast eth0\nnode a\ncrm yes\n"));
        assert_eq!(config.initdead.value, Duration::from_secs(expect), "deadtime {dead}");
    }
}

#[test]
fn all_errors_at_once() {
    let problems = Config::parse("keepalvie 2\ndeadtime 2s\nbaud 1\nnode\n", "ha.cf").unwrap_err();
    let codes: Vec<_> = problems.iter().map(|p| p.code).collect();
    assert_eq!(
        codes,
        [
            "unknown-directive",
            "bad-value",
            "bad-value",
            "no-value",
            "no-media",
            "no-nodes",
            "legacy-failback"
        ]
    );
    assert!(
        problems[0]
            .to_string()
            .starts_with("ha.cf:1: error: Illegal directive: found \"keepalvie\"; expected \"keepalive\"?")
    );
}

#[test]
fn built_in_helpers_need_not_exist() {
    let config = good(
        "bcast eth0\nnode a\ncrm yes\napiauth mgmtd uid=root\nrespawn root /usr/lib/heartbeat/mgmtd -v\n\
         apiauth mgmtd uid=root\nrespawn hacluster /opt/own -x\n",
    );
    assert_eq!(config.clients[0].builtin, Some("mgmtd"));
    assert_eq!(config.clients[1].builtin, None);
    assert_eq!(config.warnings.iter().filter(|p| p.code == "repeated-apiauth").count(), 1);
    assert_eq!(config.api_auth("mgmtd").unwrap().uids, ["root"]);
    assert_eq!(config.api_auth("other"), None);
}

#[test]
fn keys() {
    let keys =
        AuthKeys::parse("1 crc\nauth 2\n2 sha1 HI!\n3 md5 Hello!\n4 hmac-sha256 0123456789abcdef\n", "k")
            .unwrap();
    assert_eq!(keys.active, 2);
    assert_eq!(keys.active_key().unwrap().secret.expose(), b"HI!");
    assert_eq!(keys.keys.len(), 4);
    assert!(!format!("{keys:?}").contains("HI!"));
    for (text, expect) in [
        ("1 sha1 x\n", "Missing auth directive in keyfile"),
        ("auth 1\n", "Auth Key [1] not found in keyfile"),
        ("auth 16\n", "Invalid authnum [16]"),
        ("auth 1\n1 sha1\n", "Auth method [sha1] requires a key"),
        ("auth 1\n1 crc x\n", "Auth method [crc] doesn't use a key"),
        ("auth 1\n1 sha2 x\n", "Invalid authtype [sha2]"),
    ] {
        let problems = AuthKeys::parse(text, "k").unwrap_err();
        assert!(show(&problems).contains(expect), "{text:?}: {}", show(&problems));
    }
}

#[test]
fn key_file_rules() {
    assert_eq!(AuthKeys::check_permissions("k", 0o600, 0, 102), None);
    assert_eq!(AuthKeys::check_permissions("k", 0o400, 102, 102), None);
    let bad = AuthKeys::check_permissions("k", 0o644, 0, 0).unwrap();
    assert!(bad.to_string().contains("Bad permissions on keyfile [k], 600 recommended."));
    assert_eq!(exit_status(&[bad]), EXIT_PERMISSION);
    assert_eq!(AuthKeys::check_permissions("k", 0o600, 1000, 0).unwrap().code, "bad-owner");
}

/// Who may write is never decided by another rule than the one that was asked for.
#[test]
fn quorum_rules_are_the_ones_written() {
    use crate::membership::quorum::Policy;
    let file = |line: &str| format!("bcast eth0\nnode a b\ncrm yes\n{line}\n");
    let rules = good(&file("env quorum=majority:tie-node:B")).quorum_rules();
    assert_eq!(rules, Ok(vec![Policy::Majority, Policy::TieNode("B".to_owned())]));
    assert_eq!(good(&file("")).quorum_rules(), Ok(Policy::default_chain()));
    let pinged = good(&file("ping 10.0.0.1")).quorum_rules();
    assert_eq!(pinged, Ok(vec![Policy::Majority, Policy::Fenced, Policy::Ping]));
    let said = show(&good(&file("env quorum=majority:tie-node:c")).warnings);
    assert!(said.contains("ha.cf:4") && said.contains("\"c\""), "{said}");
    for (rule, words) in [
        ("majority:quorumd:twonodes", "asks a quorum server"),
        ("quorumd", "majority:tie-node:NAME"),
        ("majorty", "\"majorty\" is no quorum rule"),
        ("majority:tie-node", "names no node"),
        ("", "is no quorum rule"),
    ] {
        let problems = Config::parse(&file(&format!("env quorum={rule}")), "ha.cf").unwrap_err();
        let said = show(&problems);
        assert_eq!(problems.len(), 1, "{said}");
        assert!(said.contains("ha.cf:4") && said.contains(words), "{rule}: {said}");
    }
    let said = show(&good(&file("quorum_server 10.0.0.9")).warnings);
    assert!(said.contains("quorum_server") && said.contains("no say"), "{said}");
}
