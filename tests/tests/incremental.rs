//! A plan that goes on from the last one is the plan that is made from nothing.
#![allow(clippy::unwrap_used)]

#[path = "../../crm-core/benches/clusters/mod.rs"]
mod clusters;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use cib::{Cib, Element};
use clusters::{Cluster, Kind, Status};
use crm_core::policy::graph::Graph;
use crm_core::policy::incremental::{Decision, How, Planner};
use crm_core::policy::{Plan, Situation, plan, simulate};
use everbeat_tests::differ::draw::NOW;
use everbeat_tests::differ::generate_plain;
use everbeat_tests::drift;
use everbeat_tests::sim::chance::Chance;

/// The first of the fresh seeds: another one each time, unless `EVERBEAT_SEED` says which.
fn base() -> u64 {
    let asked = std::env::var("EVERBEAT_SEED").ok().and_then(|text| text.parse().ok());
    let fresh = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() * 1000;
    asked.unwrap_or_else(fresh)
}

fn seeds(usual: u64) -> std::ops::Range<u64> {
    let count = std::env::var("EVERBEAT_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let base = base();
    println!("seeds {base}..{} (EVERBEAT_SEED={base} EVERBEAT_SEEDS={count} repeats them)", base + count);
    base..base + count
}

/// The first thing that two graphs do not share.
fn difference(whole: &Graph, part: &Graph) -> String {
    let (whole, part) = (whole.renumbered(), part.renumbered());
    for (a, b) in whole.synapses.iter().zip(&part.synapses) {
        if a != b {
            return format!("whole {a:#?}\npart {b:#?}");
        }
    }
    let keys =
        |graph: &Graph| graph.synapses.iter().map(|s| s.action.operation_key.to_string()).collect::<Vec<_>>();
    let times = (whole.recheck_by, part.recheck_by);
    format!("whole {:?}\npart {:?}\nlook again {times:?}", keys(&whole), keys(&part))
}

fn check(whole: &Plan, decision: &Decision) -> Result<(), String> {
    if whole.graph.renumbered() != decision.graph.renumbered() {
        return Err(difference(&whole.graph, &decision.graph));
    }
    let sorted = |list: &[crm_core::policy::Complaint]| {
        // What is said once for many names the first one that was looked at.
        let mut list: Vec<String> =
            list.iter().map(|c| format!("{:?} {}: {c}", c.severity, c.code)).collect();
        list.sort();
        list
    };
    let (expected, found) = (sorted(&whole.complaints), sorted(&decision.complaints));
    if expected != found {
        return Err(format!("complaints\nwhole {expected:#?}\npart {found:#?}"));
    }
    Ok(())
}

#[derive(Default)]
struct Seen {
    parts: usize,
    parts_with_actions: usize,
    whole: BTreeMap<String, usize>,
}

impl Seen {
    fn note(&mut self, decision: &Decision) {
        match &decision.how {
            How::Part(_) => {
                self.parts += 1;
                self.parts_with_actions += usize::from(!decision.graph.synapses.is_empty());
            }
            How::Whole(why) => {
                let kind = format!("{why:?}");
                let kind = kind.split(['(', '"']).next().unwrap_or_default().to_owned();
                let detail = match why {
                    crm_core::policy::incremental::Why::Differs(what) => format!("{kind}: {what}"),
                    crm_core::policy::incremental::Why::Unclear(what) => format!("{kind}: {what}"),
                    _ => kind,
                };
                *self.whole.entry(detail).or_default() += 1;
            }
        }
    }
}

/// Lets a cluster drift, and plans it in both ways after every change.
fn drift_along(
    seed: u64,
    mut root: Element,
    share: usize,
    steps: usize,
    seen: &mut Seen,
) -> Result<(), String> {
    let mut chance = Chance::new(seed ^ 0x5eed);
    let mut situation = Situation { now: i64::try_from(NOW).unwrap(), ..Situation::default() };
    let mut planner = Planner::with_share(share);
    let mut story = Vec::new();
    for step in 0..steps {
        let cib = Cib::from_root(root.clone()).unwrap();
        let whole = plan(&cib, &situation);
        let decision = planner.decide(&cib, &situation);
        seen.note(&decision);
        story.push(format!("{:?}", decision.how));
        check(&whole, &decision).map_err(|what| {
            if let Some(dir) = std::env::var_os("EVERBEAT_KEEP") {
                std::fs::write(std::path::Path::new(&dir).join(format!("{seed}.xml")), root.to_xml())
                    .unwrap();
            }
            format!("seed {seed} step {step}: {story:#?}\n{what}")
        })?;
        if chance.percent(30) {
            planner.prepare();
        }
        // The cluster does what it has to do, most of the time: it is at rest then.
        if step < 3 || chance.percent(50) {
            let after = simulate::run(&cib, &whole, &[], situation.now).cib.into_root();
            story.push("the plan is carried out".to_owned());
            root = after;
        }
        if step >= 2 {
            for _ in 0..=chance.below(2) {
                let number = story.len();
                story.push(drift::change(&mut root, &mut chance, number));
            }
        }
        if chance.percent(20) {
            situation.now += i64::try_from(chance.below(40)).unwrap();
        }
    }
    Ok(())
}

fn report(failures: &[String], seen: &Seen) {
    println!("{} plans of a part, {} of them with actions; whole ones:", seen.parts, seen.parts_with_actions);
    for (why, count) in &seen.whole {
        println!("{count:6} {why}");
    }
    for failure in failures.iter().take(3) {
        println!("{failure}");
    }
    assert!(failures.is_empty(), "{} seeds differ", failures.len());
}

#[test]
fn small_clusters_of_every_kind() {
    let mut seen = Seen::default();
    let failures: Vec<String> = seeds(300)
        .filter_map(|seed| drift_along(seed, generate_plain(seed), 1, 14, &mut seen).err())
        .collect();
    report(&failures, &seen);
    assert!(seen.parts_with_actions > 0);
}

#[test]
fn a_larger_cluster() {
    let mut seen = Seen::default();
    let drift = |seed: u64| {
        let nodes = 3 + usize::try_from(seed % 3).unwrap();
        let cluster = Cluster {
            nodes,
            // More than 128 are kept in pieces, which versions share.
            resources: if seed % 4 < 2 { 80 } else { 200 },
            kind: Kind::Mixed,
            status: Status::Running,
            probed: seed.is_multiple_of(2),
            seed,
        };
        drift_along(seed, Element::parse(&clusters::cib(cluster)).unwrap(), 4, 30, &mut seen).err()
    };
    let failures: Vec<String> = seeds(24).filter_map(drift).collect();
    report(&failures, &seen);
    assert!(seen.parts_with_actions > 0);
}
