//! What the planner says about wrong configurations: its verdict, and the code of its complaint.
//!
//! The verdicts are those of `crm_verify` 2.1.5. Where it is installed, it is asked
//! again about every case; with `CI=true` it must be.

#![allow(clippy::unwrap_used)]

#[path = "policy_complaints/cases.rs"]
mod cases;

use cases::{CASES, document};
use crm_core::policy::plan::plan;
use crm_core::policy::{Severity, Situation};

#[test]
fn a_circle_is_reported_with_its_members_in_order() {
    let find = |name: &str, code: &str| {
        let case = CASES.iter().find(|case| case.name == name).unwrap();
        let plan = plan(&cib::Cib::parse(&document(case, "none")).unwrap(), &Situation::default());
        let found: Vec<_> = plan.complaints.into_iter().filter(|c| c.code == code).collect();
        found.into_iter().map(|c| (c.text, c.ids)).collect::<Vec<_>>()
    };
    let found = find("order-circle", "order-circular");
    assert_eq!(found[0].0, "Orderings form a circle: start r -> start s -> start r");
    assert_eq!(found[0].1, ["r", "s"]);
    let found = find("colocation-circle", "colocation-circular");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, "Colocations form a circle: r -> s -> x -> r");
    assert!(find("order-no-circle", "order-circular").is_empty());
}

/// What the installed peer says, if it survives the question.
fn peer(text: &str) -> Option<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let out =
        std::process::Command::new("/usr/sbin/crm_verify").arg("-VVx").arg(file.path()).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    // Without a status it was killed by one of its own assertions.
    out.status.code()?;
    let verdict = if said.contains("Errors found") {
        "error"
    } else if said.contains("Warnings found") {
        "warning"
    } else {
        "clean"
    };
    assert_eq!(out.status.code() == Some(0), verdict == "clean", "{said}");
    Some(verdict.to_owned())
}

#[test]
fn wrong_configurations_get_the_verdict_of_the_peer() {
    let ask = std::path::Path::new("/usr/sbin/crm_verify").exists();
    if !ask {
        let missing = "crm_verify is not installed (Debian: pacemaker-cli-utils)";
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("LEFT OUT: the peer's verdicts: {missing}");
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let text = document(case, "none");
        let cib = cib::Cib::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let complaints = plan(&cib, &Situation { now: 1_700_000_000, ..Situation::default() }).complaints;
        let verdict = match complaints.iter().map(|c| c.severity).max() {
            Some(Severity::Error) => "error",
            Some(Severity::Warning) => "warning",
            _ => "clean",
        };
        let all: Vec<_> = complaints.iter().map(|c| format!("{}: {}", c.code, c.text)).collect();
        if verdict != case.verdict {
            wrong.push(format!("{}: {verdict} for {}: {all:?}", case.name, case.verdict));
        }
        for complaint in complaints.iter().filter(|c| c.severity.counts() && c.remedy.is_empty()) {
            // Some sentences of the reference end with it.
            if !complaint.text.ends_with(" instead)") && complaint.code != "lifetime" {
                wrong.push(format!("{}: no remedy for {}: {}", case.name, complaint.code, complaint.text));
            }
        }
        if !case.code.is_empty() && !complaints.iter().any(|c| c.code == case.code) {
            wrong.push(format!("{}: nothing with code {}: {all:?}", case.name, case.code));
        }
        if ask {
            let said = peer(&text).unwrap_or_else(|| case.verdict.to_owned());
            if said != case.verdict {
                wrong.push(format!("{}: the peer says {said}, not {}", case.name, case.verdict));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
