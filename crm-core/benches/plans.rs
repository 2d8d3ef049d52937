//! How long plans take: `cargo bench -p crm-core --bench plans`.
//!
//! `plan` reads a parsed CIB and decides; `read` is the part of it that reads, `simulate` executes the plan
//! on paper.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod clusters;

use std::hint::black_box;

use cib::{Cib, Element};
use clusters::{Cluster, Kind, Status};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use crm_core::policy::incremental::{How, Planner};
use crm_core::policy::ledger::NoLedger;
use crm_core::policy::state::build::build;
use crm_core::policy::{Situation, plan, simulate};

const SITUATION: Situation =
    Situation { now: 1_700_100_000, utc_offset: 0, quorum: None, scores: false, sanitized: false };

fn cib(nodes: usize, resources: usize, kind: Kind, status: Status) -> Cib {
    let cluster = Cluster { nodes, resources, kind, status, probed: false, seed: 1 };
    Cib::parse(&clusters::cib(cluster)).unwrap()
}

fn sizes(c: &mut Criterion) {
    let mut group = c.benchmark_group("plan");
    group.sample_size(20);
    for (nodes, resources) in [(3, 10), (3, 100), (3, 1000), (16, 1000), (32, 2500), (64, 5000)] {
        for (name, status) in [("running", Status::Running), ("node lost", Status::NodeLost)] {
            let cib = cib(nodes, resources, Kind::Mixed, status);
            group.bench_with_input(BenchmarkId::new(name, format!("{nodes}x{resources}")), &cib, |b, cib| {
                b.iter(|| black_box(plan(cib, &SITUATION)));
            });
        }
    }
    group.finish();
}

fn parts(c: &mut Criterion) {
    let mut group = c.benchmark_group("16x1000");
    group.sample_size(20);
    let running = cib(16, 1000, Kind::Mixed, Status::Running);
    group.bench_function("read", |b| b.iter(|| black_box(build(&running, &SITUATION, &mut NoLedger))));
    let fresh = cib(16, 1000, Kind::Primitives, Status::Fresh);
    group.bench_function("plan every probe", |b| b.iter(|| black_box(plan(&fresh, &SITUATION))));
    let planned = plan(&fresh, &SITUATION);
    group.bench_function("simulate every probe", |b| {
        b.iter(|| black_box(simulate::run(&fresh, &planned, &[], SITUATION.now)));
    });
    group.finish();
}

/// The recurring monitor of a resource fails where it runs.
fn fail_monitor(root: &mut Element, id: &str) -> Option<()> {
    let states = root.child_mut("status")?.children_mut();
    let histories = states.filter_map(|state| state.child_mut("lrm")?.child_mut("lrm_resources"));
    let mut histories = histories.flat_map(Element::children_mut).filter(|e| e.id() == Some(id));
    let monitor = histories.find_map(|e| e.children_mut().find(|op| op.attr("interval") != Some("0")))?;
    monitor.set_attr("rc-code", "7");
    Some(())
}

/// A monitor fails and works again, by turns; each plan goes on from the one before.
fn changes(c: &mut Criterion) {
    let mut group = c.benchmark_group("16x1000, one result");
    group.sample_size(20);
    let quiet = cib(16, 1000, Kind::Mixed, Status::Running);
    let mut root = quiet.root().clone();
    let list = root.path(&["configuration", "resources"]).unwrap();
    let primitive =
        list.children().find(|e| e.name() == "primitive").and_then(Element::id).unwrap().to_owned();
    fail_monitor(&mut root, &primitive).unwrap();
    let failed = Cib::from_root(root).unwrap();
    group.bench_function("from nothing", |b| b.iter(|| black_box(plan(&failed, &SITUATION))));
    let mut planner = Planner::default();
    planner.decide(&quiet, &SITUATION);
    group.bench_function("from the last plan", |b| {
        let mut turn = [&failed, &quiet].into_iter().cycle();
        b.iter(|| {
            let decision = planner.decide(turn.next().unwrap(), &SITUATION);
            assert!(matches!(decision.how, How::Part(_)), "{}", decision.how);
            black_box(decision)
        });
    });
    group.finish();
}

criterion_group!(benches, sizes, parts, changes);
criterion_main!(benches);
