//! Simulated clusters in bad weather: real machines, virtual time, faults from a seed.

use std::time::Duration;

use everbeat_tests::sim::campaign::Campaign;
use everbeat_tests::sim::{Profile, Settings, World, run, run_shrunk};

/// Seeds of every run, unless `EVERBEAT_SEEDS` says how many.
const SEEDS: u64 = 30;

/// Seeds that once showed something, with what it was.
const KEPT: &[(u64, usize, Profile, u64, &str)] = &[
    (149, 7, Profile::Hostile, 60, "a crash while a torn log was repaired lost what was acknowledged"),
    (7, 3, Profile::Calm, 120, "a wiped voter and one that is never there leave no quorum, and say so"),
];

fn settings(seed: u64, nodes: usize, profile: Profile, seconds: u64) -> Settings {
    Settings { seed, nodes, profile, world: World::Agreement, span: Duration::from_secs(seconds) }
}

fn must_hold(settings: Settings) {
    if let Err(failure) = run_shrunk(settings) {
        panic!("{failure}");
    }
}

/// A number from the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Every seed keeps every promise: 3 to 7 machines, all kinds of weather.
#[test]
fn every_kind_of_weather() {
    // The first of them: the same each time, unless `EVERBEAT_SEED` says which.
    let (base, seeds) = (number("EVERBEAT_SEED").unwrap_or(0), number("EVERBEAT_SEEDS").unwrap_or(SEEDS));
    println!("{seeds} seeds from {base}; EVERBEAT_SEED={base} EVERBEAT_SEEDS={seeds} repeats them");
    let campaign = Campaign { span: Duration::from_secs(60), ..Campaign::new(base, base + seeds) };
    match campaign.run(&|_| {}) {
        Ok(total) => {
            let missing = campaign.untried(&total);
            assert!(missing.is_empty(), "seeds from {base} never tried: {}", missing.join(", "));
        }
        Err(failure) => panic!("{failure}"),
    }
}

/// What was found once stays found.
#[test]
fn kept_seeds() {
    for (seed, nodes, profile, seconds, what) in KEPT {
        println!("seed {seed}: {what}");
        must_hold(settings(*seed, *nodes, *profile, *seconds));
    }
}

/// Two nodes: both sides may go on; what loses is kept in a backup.
#[test]
fn two_nodes() {
    for seed in 300..306 {
        must_hold(settings(seed, 2, Profile::Stormy, 60));
    }
}

/// One seed gives one history.
#[test]
fn deterministic() {
    let settings = settings(7, 3, Profile::Hostile, 30);
    let summaries: Vec<_> = (0..2).map(|_| run(settings).map_err(|failure| failure.to_string())).collect();
    assert_eq!(summaries[0], summaries[1]);
}
