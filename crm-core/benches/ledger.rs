//! What the ledger costs: a plan without one, with one that is called and does nothing, with one that keeps
//! everything. `cargo bench -p crm-core --bench ledger`.
//!
//! The three take turns, and the least time of each counts: a busy machine makes runs slower, never faster.
//! The second is the upper bound for what the calls cost a plan that nobody asks about; there they are
//! inlined into nothing.
//!
//! Times of runs differ by more than that. `tests/ledger-cost.sh` counts instructions instead: it runs
//! `ledger --count none|called|book ROUNDS` under valgrind.

#![allow(clippy::unwrap_used)]

mod clusters;

use std::hint::black_box;
use std::time::{Duration, Instant};

use clusters::{Cluster, Kind, Status};
use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::ledger::{Book, Change, Ledger, Source};
use crm_core::policy::plan::plan_with;
use crm_core::policy::{NoLedger, Situation};

/// Is really called each time, and forgets.
#[derive(Default)]
struct Called;

impl Ledger for Called {
    const KEEPS: bool = false;
    #[inline(never)]
    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>) {
        black_box((resource, node, change, source));
    }
}

fn cluster(nodes: usize, resources: usize) -> cib::Cib {
    let cluster =
        Cluster { nodes, resources, kind: Kind::Mixed, status: Status::NodeLost, probed: false, seed: 1 };
    cib::Cib::parse(&clusters::cib(cluster)).unwrap()
}

fn timed<L: Ledger>(cib: &cib::Cib) -> Duration {
    let situation = Situation { now: 1_700_000_000, ..Situation::default() };
    let mut ledger = L::default();
    let began = Instant::now();
    black_box(plan_with(black_box(cib), &situation, &mut ledger));
    began.elapsed()
}

/// Plans the same cluster so many times, for whoever counts instructions.
fn count(ledger: &str, rounds: usize) {
    let cib = cluster(16, 400);
    for _ in 0..rounds {
        match ledger {
            "none" => timed::<NoLedger>(&cib),
            "called" => timed::<Called>(&cib),
            "book" => timed::<Book>(&cib),
            other => panic!("which ledger is {other}?"),
        };
    }
}

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if let [_, what, ledger, rounds] = words.as_slice()
        && what == "--count"
    {
        return count(ledger, rounds.parse().unwrap());
    }
    // `cargo bench` says so; anything else only wants to know that it runs.
    let rounds = if std::env::args().any(|a| a == "--bench") { 40 } else { 1 };
    for (nodes, resources) in [(4, 100), (16, 400)] {
        let cib = cluster(nodes, resources);
        let mut least = [Duration::MAX; 3];
        for _ in 0..rounds {
            for (at, time) in
                [timed::<NoLedger>(&cib), timed::<Called>(&cib), timed::<Book>(&cib)].into_iter().enumerate()
            {
                least[at] = least[at].min(time);
            }
        }
        let ratio = |at: usize| (least[at].as_secs_f64() / least[0].as_secs_f64() - 1.0) * 100.0;
        println!(
            "{nodes:3} x {resources}: without a ledger {:8.3} ms, called for nothing {:+.2} %, keeping all {:+.2} %",
            least[0].as_secs_f64() * 1e3,
            ratio(1),
            ratio(2)
        );
    }
}
