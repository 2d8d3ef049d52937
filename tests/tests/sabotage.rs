//! A check that cannot fail is no check: each rule taken out of the protocol is missed by the simulator,
//! within 200 seeds of a simulated minute each, in the setting of every run.
//!
//! `cargo xtask simulate --seeds 0..200 --seconds 60 --sabotage all` tells of all rules. Those that are not
//! here are kept by argument, or because what they guard against is kept off by another rule as well.

use std::time::Duration;

use ccm::sabotage::{ALL, Rule, take_out};
use everbeat_tests::sim::campaign::Campaign;

/// Rules whose absence must be seen.
const MISSED: [Rule; 10] = [
    Rule::ExclusiveFirst,
    Rule::ActivateWithAll,
    Rule::AckAfterPersist,
    Rule::CommitWithAll,
    Rule::RequestTable,
    Rule::Backup,
    Rule::BestBase,
    Rule::Void,
    Rule::MoreThanHalf,
    Rule::InheritedWithQuorum,
];

/// One after the other: a rule is taken out of the whole process.
#[test]
fn every_rule_is_missed() {
    let mut unnoticed = Vec::new();
    for rule in MISSED {
        let name = ALL.iter().find(|(r, _)| *r == rule).map_or("a rule", |(_, name)| name);
        let campaign = Campaign { span: Duration::from_secs(60), shrink: false, ..Campaign::new(0, 200) };
        take_out(Some(rule));
        let result = campaign.run(&|_| {});
        take_out(None);
        match result {
            Err(failure) => println!("{name}: seed {}: {}", failure.settings.seed, failure.violation),
            Ok(_) => unnoticed.push(name),
        }
    }
    assert!(unnoticed.is_empty(), "taken out, and no violation seen: {}", unnoticed.join(", "));
}
