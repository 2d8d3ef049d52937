//! Explanations of situations: a CIB of ours each, the questions in its first comment, the answers in the
//! text file beside it. `EVERBEAT_BLESS=1 cargo test -p crm-core --test explain` writes the answers anew;
//! read the difference before it is committed.

#![allow(clippy::unwrap_used)]

use std::path::PathBuf;

use crm_core::explain::{self, Change, Fate, constraints, text};
use crm_core::policy::Situation;

/// Situations that every reader of an explanation knows, and the case of each.
const SITUATIONS: &[(&str, &str)] = &[
    ("two bans and a colocation that leave nothing", "two-bans-and-a-colocation"),
    ("a threshold reached", "threshold-reached"),
    ("an opt-in cluster without a rule", "opt-in-without-a-rule"),
    ("utilization full", "utilization-full"),
    ("a ticket revoked", "ticket-revoked"),
    ("unmanaged", "unmanaged"),
    ("a clone limit", "clone-limit"),
    ("anti-colocation", "anti-colocation"),
    ("an ordering whose first cannot start", "order-first-cannot-start"),
    ("standby", "standby"),
    ("health red", "health-red"),
    ("quorum lost", "quorum-lost"),
    ("a group whose third member is banned", "group-third-member-banned"),
    ("a promoted role that moves", "promoted-role-moves"),
    ("a stickiness that holds", "stickiness-holds"),
    ("a shutdown lock", "shutdown-lock"),
    ("a failed stop without fencing", "stop-failed-without-fencing"),
    ("a failed stop with fencing", "stop-failed-with-fencing"),
    ("a lost node that is fenced", "node-lost-and-fenced"),
    ("a replica of a bundle without a node", "bundle-replica-without-a-node"),
    ("a bundle whose container fails", "bundle-running"),
    ("a guest node whose host resource is stopped", "guest-node-whose-host-resource-is-stopped"),
    ("a remote node whose connection failed", "remote-node-whose-connection-failed"),
    ("a live migration", "migration-live"),
    ("a migration that cannot be live", "migration-needs-a-restart"),
    ("a migration that failed", "migration-failed"),
    ("a bundle with a banned host", "bundle-banned-from-one-host"),
    ("a guest node whose host is in standby", "guest-node-whose-host-is-in-standby"),
    ("a promoted role that moves because of a failed monitor", "promoted-role-moves-after-a-failure"),
    ("a rule whose date has passed", "rule-whose-date-has-passed"),
    ("a full node whose room another one takes", "utilization-takes-the-place-of-another"),
    ("a ticket lost with loss-policy=fence", "ticket-lost-with-fencing"),
    ("quorum lost with no-quorum-policy=demote", "quorum-lost-and-demoted"),
    ("a failure with on-fail=standby", "failure-that-puts-a-node-in-standby"),
    ("a failure with on-fail=fence", "failure-that-fences-a-node"),
    ("a failure with on-fail=block", "failure-that-blocks"),
    ("a failure with a failure-timeout", "failure-that-is-forgotten-in-time"),
    ("an ordering without effect because of its place", "lint-overruled"),
];

fn dir() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

/// The questions of a case: the lines of its first comment.
fn questions(xml: &str) -> Vec<&str> {
    let comment = xml.split_once("<!--").and_then(|(_, rest)| rest.split_once("-->")).unwrap().0;
    comment.lines().map(str::trim).filter(|l| !l.is_empty()).collect()
}

/// `lost node1 fail db@node1=1 …`
fn assumptions(cib: &cib::Cib, words: &[&str]) -> Vec<Change> {
    let spec = |text: &str, default: i32| {
        let (rest, rc) = text.split_once('=').map_or((text, default), |(a, b)| (a, b.parse().unwrap()));
        let (resource, node) = rest.split_once('@').map_or((rest, None), |(a, b)| (a, Some(b.to_owned())));
        (resource.to_owned(), node, rc)
    };
    words
        .chunks(2)
        .map(|pair| {
            let (what, name) = (pair[0], pair[1]);
            let node = |fate| Change::Node { name: name.to_owned(), fate };
            let task = |task| {
                let (resource, node, rc) = spec(name, 1);
                Change::ActionFails { task, resource, node, rc }
            };
            match what {
                "lost" => node(Fate::Lost),
                "stopped" => node(Fate::Stopped),
                "standby" => node(Fate::Standby),
                "active" => node(Fate::Active),
                "fail" => {
                    let (resource, node, rc) = spec(name, 7);
                    Change::Fails { resource, node, rc }
                }
                "failstop" => task("stop"),
                "failstart" => task("start"),
                "revoke" => Change::Ticket { name: name.to_owned(), granted: false },
                "patch" => {
                    // A patch that takes the last constraint away.
                    let mut after = cib.clone();
                    let list = after.root_mut().child_mut("configuration").unwrap();
                    let list = list.child_mut("constraints").unwrap();
                    let last = list.children().last().unwrap().id().unwrap().to_owned();
                    list.retain_children(|e| e.id() != Some(&last));
                    Change::Patch(Box::new(cib::patch::diff(cib, &after, cib::patch::Format::Two)))
                }
                other => panic!("what is {other:?}?"),
            }
        })
        .collect()
}

fn answer(cib: &cib::Cib, situation: &Situation, question: &str) -> String {
    let words: Vec<&str> = question.split_whitespace().collect();
    match words.as_slice() {
        ["explain", resource] => text::all(&explain::explain(cib, situation, Some(resource), None).unwrap()),
        ["explain", resource, node] => {
            text::all(&explain::explain(cib, situation, Some(resource), Some(node)).unwrap())
        }
        ["json", resource] => {
            text::tree(&explain::explain(cib, situation, Some(resource), None).unwrap()).to_json()
        }
        ["xml", resource] => text::tree(&explain::explain(cib, situation, Some(resource), None).unwrap())
            .to_tag("explanations")
            .to_xml(),
        ["constraints", resource @ ..] => {
            constraints::text(&explain::constraints(cib, situation, resource.first().copied()).unwrap())
        }
        ["what-if", rest @ ..] => {
            let answer = explain::what_if(cib, situation, &assumptions(cib, rest)).unwrap();
            answer.text()
        }
        ["what-if-json", rest @ ..] => {
            explain::what_if(cib, situation, &assumptions(cib, rest)).unwrap().tree().to_json()
        }
        ["actions"] => text::causes(&explain::causes(cib, situation)),
        _ => panic!("what is {question:?}?"),
    }
}

#[test]
fn situations_are_explained() {
    let bless = std::env::var_os("EVERBEAT_BLESS").is_some();
    let mut files: Vec<PathBuf> = std::fs::read_dir(dir())
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.extension().is_some_and(|e| e == "xml"))
        .collect();
    files.sort();
    let mut wrong = Vec::new();
    for file in &files {
        let xml = std::fs::read_to_string(file).unwrap();
        let cib = cib::Cib::parse(&xml).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let now = cib.root().attr("execution-date").unwrap().parse().unwrap();
        let situation = Situation { now, ..Situation::default() };
        let got: Vec<String> =
            questions(&xml).iter().map(|q| format!("? {q}\n{}", answer(&cib, &situation, q))).collect();
        let got = got.join("\n");
        let expected = file.with_extension("txt");
        if bless {
            std::fs::write(&expected, &got).unwrap();
        } else if std::fs::read_to_string(&expected).unwrap_or_default() != got {
            wrong.push(format!("{}:\n{got}", expected.display()));
        }
    }
    assert!(files.len() >= 92, "{} cases", files.len());
    for (situation, case) in SITUATIONS {
        assert!(dir().join(case).with_extension("xml").is_file(), "no case for {situation}");
    }
    assert!(wrong.is_empty(), "{} answers differ:\n{}", wrong.len(), wrong.join("\n"));
}
