//! A run over many seeds.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use super::compare::{self, Verdict, compare};
use super::coverage::Coverage;
use super::reference::Reference;
use super::{generate, shrink};

/// Deep orderings make deep calls.
const STACK: usize = 64 << 20;

/// What to run.
#[derive(Debug, Clone)]
pub struct Session {
    pub seeds: Range<u64>,
    /// Where failing CIBs go, as `seed-N.xml` and shrunk as `seed-N.small.xml`.
    pub keep: Option<PathBuf>,
    /// Shrink what differs.
    pub shrink: bool,
    /// After so many differences nothing is shrunk any more.
    pub shrink_at_most: usize,
}

/// One seed that both plan differently.
#[derive(Debug, Clone)]
pub struct Difference {
    pub seed: u64,
    /// Lines by level.
    pub text: String,
    /// The shrunk document.
    pub small: Option<String>,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Report {
    pub agreed: u64,
    pub differences: BTreeMap<u64, Difference>,
    /// Seeds that the reference did not plan, by why.
    pub not_planned: BTreeMap<&'static str, Vec<(u64, String)>>,
    pub errors: Vec<String>,
    pub coverage: Coverage,
}

impl Report {
    fn add(&mut self, other: Report) {
        self.agreed += other.agreed;
        self.differences.extend(other.differences);
        for (why, seeds) in other.not_planned {
            self.not_planned.entry(why).or_default().extend(seeds);
        }
        self.errors.extend(other.errors);
        self.coverage.add(&other.coverage);
    }
}

/// Plans seeds without the reference until everything wanted was met, or there are no more: what was met, and
/// how many seeds it took.
pub fn cover(seeds: Range<u64>) -> (Coverage, u64) {
    /// Seeds between two looks at what is missing.
    const STEP: u64 = 200;
    let total = Mutex::new(Coverage::default());
    let mut from = seeds.start;
    while from < seeds.end {
        let to = (from + STEP).min(seeds.end);
        let next = AtomicU64::new(from);
        on_all_processors(|| {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                if seed >= to {
                    return;
                }
                let root = generate(seed);
                let planned = compare::ours(&root);
                if let (Ok(output), Ok(mut total)) = (planned, total.lock()) {
                    total.note(&root, &output);
                }
            }
        });
        from = to;
        if total.lock().is_ok_and(|total| total.missing().is_empty()) {
            break;
        }
    }
    (total.into_inner().unwrap_or_default(), from - seeds.start)
}

/// Runs the same work in a thread for each processor.
fn on_all_processors(work: impl Fn() + Sync) {
    let work = &work;
    std::thread::scope(|scope| {
        let count = std::thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..count {
            let started = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work);
            if let Err(error) = started {
                eprintln!("no thread: {error}");
            }
        }
    });
}

impl Session {
    /// Compares all seeds on all processors.
    pub fn run(&self) -> Report {
        let next = AtomicU64::new(self.seeds.start);
        let total = Mutex::new(Report::default());
        let shrunk = AtomicU64::new(0);
        on_all_processors(|| {
            let report = self.work(&next, &shrunk);
            if let Ok(mut total) = total.lock() {
                total.add(report);
            }
        });
        total.into_inner().unwrap_or_default()
    }

    fn work(&self, next: &AtomicU64, shrunk: &AtomicU64) -> Report {
        let mut report = Report::default();
        let reference = match Reference::new() {
            Ok(reference) => reference,
            Err(error) => {
                report.errors.push(format!("no scratch folder: {error}"));
                return report;
            }
        };
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= self.seeds.end {
                return report;
            }
            self.one(seed, &reference, shrunk, &mut report);
        }
    }

    fn one(&self, seed: u64, reference: &Reference, shrunk: &AtomicU64, report: &mut Report) {
        let root = generate(seed);
        let verdict = match compare(reference, &root) {
            Ok(verdict) => verdict,
            Err(error) => {
                report.errors.push(format!("seed {seed}: {error}"));
                return;
            }
        };
        match &verdict {
            Verdict::Agree(output) => {
                report.agreed += 1;
                report.coverage.note(&root, output);
            }
            Verdict::NotPlanned(why, text) => {
                let first = text.lines().next().unwrap_or_default().to_owned();
                report.not_planned.entry(why).or_default().push((seed, first));
            }
            Verdict::Differ(levels, output) => {
                report.coverage.note(&root, output);
                let mut text = String::new();
                for (level, lines) in levels {
                    text.push_str(&format!("{}:\n{lines}", level.name()));
                }
                self.save(&format!("seed-{seed}.xml"), &root.to_xml());
                let nth = shrunk.fetch_add(1, Ordering::Relaxed);
                let mut small = None;
                if self.shrink && usize::try_from(nth).is_ok_and(|nth| nth < self.shrink_at_most) {
                    let root = shrink::shrink(reference, &root, levels);
                    self.save(&format!("seed-{seed}.small.xml"), &root.to_xml());
                    small = Some(root.to_xml());
                }
                report.differences.insert(seed, Difference { seed, text, small });
            }
        }
    }

    fn save(&self, name: &str, text: &str) {
        let Some(folder) = &self.keep else { return };
        let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(folder.join(name), text));
        if let Err(error) = written {
            eprintln!("{}: {error}", folder.join(name).display());
        }
    }
}
