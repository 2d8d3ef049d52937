//! Simulated clusters in bad weather: real machines, virtual time, faults from a seed.

use std::time::Duration;

use everbeat_tests::sim::{Profile, Settings, World, run_shrunk};

fn seeds(range: std::ops::Range<u64>, nodes: usize, profile: Profile, seconds: u64) {
    for seed in range {
        let settings =
            Settings { seed, nodes, profile, world: World::Agreement, span: Duration::from_secs(seconds) };
        if let Err(failure) = run_shrunk(settings) {
            panic!("{failure}");
        }
    }
}

/// Three nodes in calm weather keep every promise.
#[test]
fn three_nodes_calm() {
    seeds(0..6, 3, Profile::Calm, 60);
}

/// Crashes and partitions follow each other.
#[test]
fn three_nodes_stormy() {
    seeds(100..106, 3, Profile::Stormy, 60);
}

/// Faults on top of faults.
#[test]
fn three_nodes_hostile() {
    seeds(200..206, 3, Profile::Hostile, 60);
}

/// Two nodes without fencing: both sides may go on; what loses is kept in a backup.
#[test]
fn two_nodes() {
    seeds(300..306, 2, Profile::Stormy, 60);
}

/// One seed gives one history.
#[test]
fn deterministic() {
    let settings = Settings {
        seed: 7,
        nodes: 3,
        profile: Profile::Hostile,
        world: World::Agreement,
        span: Duration::from_secs(30),
    };
    let counts: Vec<Option<u64>> =
        (0..2).map(|_| run_shrunk(settings).ok().map(|summary| summary.events)).collect();
    assert_eq!(counts[0], counts[1]);
}
