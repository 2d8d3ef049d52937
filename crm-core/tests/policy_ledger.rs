//! The addends that a ledger is told of make up the scores of the plan, in every recorded case.

#![allow(clippy::unwrap_used)]

use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::ledger::{Change, Ledger, Source};
use crm_core::policy::plan::{plan, plan_with};
use crm_core::policy::values::add_scores;
use crm_core::policy::{NoLedger, Situation};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Adds up what it is told.
#[derive(Default)]
struct Sums {
    scores: BTreeMap<(ResourceIx, NodeIx), i32>,
    sources: BTreeMap<(ResourceIx, NodeIx), Vec<String>>,
}

impl Ledger for Sums {
    const KEEPS: bool = true;
    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>) {
        let at = (resource, node);
        self.sources.entry(at).or_default().push(format!("{change:?} {source:?}"));
        match change {
            Change::Enter(s) | Change::Set(s) | Change::Restore(s) => {
                self.scores.insert(at, s);
            }
            Change::Add(s) => {
                let old = self.scores.get(&at).copied().unwrap_or_else(|| panic!("{at:?} was never entered"));
                self.scores.insert(at, add_scores(old, s));
            }
            Change::Leave => {
                self.scores.remove(&at);
            }
        }
    }
}

/// The recorded inputs, where they are.
fn inputs() -> Vec<PathBuf> {
    let root = std::env::var_os("EVERBEAT_CONFORMANCE").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let Ok(list) = std::fs::read_dir(root.join("scheduler/xml")) else {
        eprintln!("SKIPPED: no recorded cases at {} (set EVERBEAT_CONFORMANCE)", root.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = list.map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn addends_make_up_the_scores() {
    let mut wrong = Vec::new();
    for file in inputs() {
        let cib = cib::Cib::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        let now = cib.root().attr("execution-date").map_or(1_700_000_000, |t| t.parse().unwrap());
        let situation = Situation { now, scores: true, ..Situation::default() };
        let mut sums = Sums::default();
        let told = plan_with(&cib, &situation, &mut sums);
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let count = u32::try_from(told.state.resources.len()).unwrap();
        for r in (0..count).map(ResourceIx) {
            for (n, entry) in told.state[r].table.iter() {
                let sum = sums.scores.get(&(r, n)).copied();
                if sum != Some(entry.score) {
                    wrong.push(format!(
                        "{name}: {} on {}: {} but the addends make {sum:?}: {:?}",
                        told.state[r].id,
                        told.state[n].name,
                        entry.score,
                        sums.sources.get(&(r, n))
                    ));
                }
            }
        }
        let untold = plan(&cib, &situation);
        assert_eq!(told.scores, untold.scores, "{name}: the ledger changed the plan");
        assert_eq!(told.graph, untold.graph, "{name}: the ledger changed the plan");
    }
    assert!(
        wrong.is_empty(),
        "{} scores, such as\n{}",
        wrong.len(),
        wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
    );
    assert_eq!(size_of::<NoLedger>(), 0, "a plan without a ledger carries none");
}
