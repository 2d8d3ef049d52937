//! What the ledger costs: a plan without one, with one that is called and does nothing, with one that keeps
//! everything. `cargo bench -p crm-core --bench ledger`.
//!
//! The three take turns, and the least time of each counts: a busy machine makes runs slower, never faster.
//! The second is the upper bound for what the calls cost a plan that nobody asks about; there they are
//! inlined into nothing.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

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

/// 16 nodes, many primitives, a location constraint for each, every fifth with the one before it.
fn cluster(nodes: usize, resources: usize) -> cib::Cib {
    let mut x = String::from(
        "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"1\" num_updates=\"0\" \
         admin_epoch=\"0\" have-quorum=\"1\" dc-uuid=\"1\"><configuration><crm_config><cluster_property_set id=\"o\">\
         <nvpair id=\"o1\" name=\"stonith-enabled\" value=\"false\"/></cluster_property_set></crm_config><nodes>",
    );
    for n in 1..=nodes {
        let _ = write!(x, "<node id=\"{n}\" uname=\"n{n}\"/>");
    }
    x.push_str("</nodes><resources>");
    for r in 0..resources {
        let _ = write!(x, "<primitive id=\"r{r}\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"/>");
    }
    x.push_str("</resources><constraints>");
    for r in 0..resources {
        let node = 1 + r * 7 % nodes;
        let _ =
            write!(x, "<rsc_location id=\"l{r}\" rsc=\"r{r}\" node=\"n{node}\" score=\"{}\"/>", 10 + r % 90);
        if r % 5 == 4 {
            let with = r - 1;
            let _ = write!(
                x,
                "<rsc_colocation id=\"c{r}\" rsc=\"r{r}\" with-rsc=\"r{with}\" score=\"INFINITY\"/>"
            );
        }
    }
    x.push_str("</constraints></configuration><status>");
    for n in 1..=nodes {
        let _ = write!(
            x,
            "<node_state id=\"{n}\" uname=\"n{n}\" in_ccm=\"true\" crmd=\"online\" join=\"member\" expected=\"member\"/>"
        );
    }
    x.push_str("</status></cib>");
    cib::Cib::parse(&x).unwrap()
}

fn timed<L: Ledger>(cib: &cib::Cib) -> Duration {
    let situation = Situation { now: 1_700_000_000, ..Situation::default() };
    let mut ledger = L::default();
    let began = Instant::now();
    black_box(plan_with(black_box(cib), &situation, &mut ledger));
    began.elapsed()
}

fn main() {
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
