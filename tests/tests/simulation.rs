//! Simulated clusters in bad weather: real machines, virtual time, faults from a seed.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use everbeat_tests::sim::campaign::Campaign;
use everbeat_tests::sim::{Profile, Settings, World, run, run_shrunk};

/// Fresh seeds of every run, unless `EVERBEAT_SEEDS` says how many; of whole cores, which are slower, two for each
/// fifteen of these.
const SEEDS: u64 = 300;
/// The first seed of whole cores, unless `EVERBEAT_SEED` says which: fixed ones, until thousands of fresh ones have held.
const WHOLE_BASE: u64 = 970_000;

/// Seeds that once showed something, with what it was. What a seed stands for changes with the generator:
/// the fault itself has a test of its own where it can have one, and the seeds go on as what they are.
const KEPT: &[(u64, usize, Profile, World, u64, &str)] = &[
    (
        149,
        7,
        Profile::Hostile,
        World::Agreement,
        60,
        "a crash while a torn log was repaired lost what was acknowledged",
    ),
    (
        7,
        3,
        Profile::Calm,
        World::Agreement,
        120,
        "a wiped voter and one that is never there leave no quorum, and say so",
    ),
    (
        21835,
        3,
        Profile::Hostile,
        World::Agreement,
        120,
        "a start about to enter a view whose disk was set back (the check forgot it)",
    ),
    (
        2,
        5,
        Profile::Calm,
        World::Whole,
        60,
        "a monitor was cancelled before its first result, and the DC waited",
    ),
    (5, 3, Profile::Stormy, World::Whole, 60, "an answer to the DC was lost with the view it belonged to"),
    (
        10,
        3,
        Profile::Hostile,
        World::Whole,
        60,
        "what was ordered in a view that is over was begun all the same",
    ),
    (
        920_141,
        4,
        Profile::Hostile,
        World::Whole,
        60,
        "a plan was made before a member had written what it started while there was no view",
    ),
    (
        930_220,
        3,
        Profile::Hostile,
        World::Whole,
        60,
        "a node that was taken out fenced the others for ever, and a node without a vote kept it from being added again",
    ),
    (
        940_003,
        6,
        Profile::Hostile,
        World::Whole,
        60,
        "what failed where it was promoted is promoted there again without quorum (the check took it for another)",
    ),
    (
        950_016,
        4,
        Profile::Stormy,
        World::Whole,
        60,
        "a fence attempt was repeated although the node had become a member again",
    ),
    (
        960_057,
        5,
        Profile::Hostile,
        World::Whole,
        60,
        "an answer to the DC was given in a view without it, to another",
    ),
    (
        1_795_951_515_185,
        3,
        Profile::Stormy,
        World::Agreement,
        60,
        "a voter that is never there kept a machine out (the administrator did not take it out first)",
    ),
    (
        1_795_951_515_037,
        5,
        Profile::Stormy,
        World::Whole,
        60,
        "failures were not cleared (the administrator asked a node that had just been fenced)",
    ),
    (
        980_213,
        6,
        Profile::Stormy,
        World::Whole,
        60,
        "a half that had been fenced came back, was answered by the ping nodes too, and ran what the other half ran",
    ),
    (
        980_921,
        4,
        Profile::Hostile,
        World::Whole,
        60,
        "what was let go took the place of a result that nobody had seen, and the plan waited for it",
    ),
    (
        983_218,
        6,
        Profile::Hostile,
        World::Whole,
        60,
        "two DCs ordered the same, and what became of the first order was taken for the answer to the second",
    ),
];

fn settings(seed: u64, nodes: usize, profile: Profile, seconds: u64) -> Settings {
    Settings { seed, nodes, profile, world: World::Agreement, span: Duration::from_secs(seconds) }
}

/// The first of the fresh seeds: another one each time, unless `EVERBEAT_SEED` says which.
fn base() -> u64 {
    number("EVERBEAT_SEED").unwrap_or_else(|| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs() * 1000
    })
}

/// Runs seeds from `base`; how to run them again is said first.
fn campaign(base: u64, seeds: u64, world: World) {
    let all = number("EVERBEAT_SEEDS").unwrap_or(SEEDS);
    println!("{seeds} seeds from {base}: EVERBEAT_SEED={base} EVERBEAT_SEEDS={all} repeats them");
    let span = Duration::from_secs(60);
    let runs = Campaign { span, world: Some(world), ..Campaign::new(base, base + seeds) };
    match runs.run(&|_| {}) {
        Ok(total) => {
            let missing = runs.untried(&total);
            assert!(missing.is_empty(), "seeds from {base} never tried: {}", missing.join(", "));
            let parts = total.reached.contains_key("plan: of a part");
            assert!(parts || world == World::Agreement, "no plan went on from the one before");
        }
        Err(failure) => panic!("{failure}"),
    }
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
    campaign(base(), number("EVERBEAT_SEEDS").unwrap_or(SEEDS), World::Agreement);
}

/// Whole cores: nothing runs twice, nobody healthy is fenced, and everything comes to rest.
#[test]
fn whole_cores() {
    let seeds = (number("EVERBEAT_SEEDS").unwrap_or(SEEDS) * 2 / 15).max(1);
    campaign(number("EVERBEAT_SEED").unwrap_or(WHOLE_BASE), seeds, World::Whole);
}

/// What was found once stays found.
#[test]
fn kept_seeds() {
    for (seed, nodes, profile, world, seconds, what) in KEPT {
        println!("seed {seed}: {what}");
        must_hold(Settings { world: *world, ..settings(*seed, *nodes, *profile, *seconds) });
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
