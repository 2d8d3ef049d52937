//! The policy engine against Debian's `crm_simulate`, over generated CIBs.
#![allow(clippy::unwrap_used)]

use everbeat_tests::differ::coverage::ENOUGH;
use everbeat_tests::differ::reference;
use everbeat_tests::differ::session::{Session, cover};
use everbeat_tests::need;

/// Seeds a run.
const SEEDS: u64 = 200;

/// So many of them may differ. Of the first ones none does, of seeds 0..1000 about twenty, which are still to be
/// repaired; the test names those of its range. An engine that parts from the reference differs in far more.
const MAY_DIFFER: usize = 10;

/// So many of them the reference may die of, refuse, or never finish.
const MAY_BE_REFUSED: usize = 40;

/// The first seed: `EVERBEAT_SEED`, else always the same ones, until so few differ that fresh ones cannot
/// fail a run in which nothing changed.
fn base() -> u64 {
    std::env::var("EVERBEAT_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn seeds_are_planned_as_the_reference_does() {
    const NAME: &str = "seeds_are_planned_as_the_reference_does";
    if !need::programs_are_there(NAME, &[reference::PROGRAM]) {
        return;
    }
    let base = base();
    println!("seeds {base}..{} (EVERBEAT_SEED={base} repeats them)", base + SEEDS);
    let session = Session { seeds: base..base + SEEDS, keep: None, shrink: false, shrink_at_most: 0 };
    let report = session.run();
    for difference in report.differences.values() {
        println!("seed {} differs:\n{}", difference.seed, difference.text);
    }
    for (why, seeds) in &report.not_planned {
        println!("{why}: {} seeds: {seeds:?}", seeds.len());
    }
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    let differ: Vec<u64> = report.differences.keys().copied().collect();
    println!("{} of {SEEDS} seeds agree, these differ: {differ:?}", report.agreed);
    assert!(
        differ.len() <= MAY_DIFFER,
        "{} of {SEEDS} seeds differ; `everbeat-differ --seeds {base}..{} --keep DIR` shrinks them: {differ:?}",
        differ.len(),
        base + SEEDS
    );
    let refused: usize = report.not_planned.values().map(Vec::len).sum();
    assert!(refused <= MAY_BE_REFUSED, "the reference did not plan {refused} of {SEEDS}");
}

/// The reference has no part in this: it asks whether the generator still draws everything, and whether
/// everything that can be decided still is.
#[test]
fn every_feature_and_decision_is_reached() {
    let base = base();
    let (coverage, seeds) = cover(base..base + ENOUGH);
    println!("all was met within {seeds} seeds, or never (EVERBEAT_SEED={base} repeats them)");
    let mut counts = coverage.counts();
    counts.sort_by_key(|(_, n)| *n);
    println!("the rarest: {:?}", counts.iter().take(20).collect::<Vec<_>>());
    let missing = coverage.missing();
    assert!(missing.is_empty(), "in {seeds} seeds from {base} on, never met: {missing:#?}");
}
