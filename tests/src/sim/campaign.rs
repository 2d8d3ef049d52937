//! Many seeds on all processors, and what they came to.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::plan::{TRIED, TRIED_WHOLE};
use super::{Failure, Profile, Settings, Summary, World, run, run_shrunk};

/// Which seeds to run, and what is not decided by the seed.
#[derive(Debug, Clone)]
pub struct Campaign {
    pub from: u64,
    pub to: u64,
    pub nodes: Option<usize>,
    pub profile: Option<Profile>,
    pub world: Option<World>,
    pub span: Duration,
    pub threads: usize,
    /// Shorten a failure and tell its story.
    pub shrink: bool,
}

impl Campaign {
    /// Seeds from `from` up to `to`, two simulated minutes each, everything else by the seed.
    pub fn new(from: u64, to: u64) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            from,
            to,
            nodes: None,
            profile: None,
            world: None,
            span: Duration::from_secs(120),
            threads,
            shrink: true,
        }
    }

    /// What a seed stands for: 3 to 7 machines, every profile.
    pub fn settings(&self, seed: u64) -> Settings {
        let by = |n: u64, of: u64| usize::try_from(n % of).unwrap_or(0);
        Settings {
            seed,
            nodes: self.nodes.unwrap_or(3 + by(seed, 5)),
            profile: self.profile.unwrap_or(Profile::ALL[by(seed / 5, 3)]),
            world: self.world.unwrap_or(World::Agreement),
            span: self.span,
        }
    }

    /// Runs all seeds, one per thread at a time; `progress` is told how many are done. After a failure
    /// no new seed is begun, and the failure of the lowest seed is the result.
    ///
    /// # Errors
    /// The failure.
    pub fn run(&self, progress: &(dyn Fn(u64) + Sync)) -> Result<Summary, Box<Failure>> {
        let (next, done, stop) = (AtomicU64::new(self.from), AtomicU64::new(0), AtomicBool::new(false));
        let total = Mutex::new(Summary::default());
        let failed: Mutex<Option<Box<Failure>>> = Mutex::new(None);
        std::thread::scope(|scope| {
            for _ in 0..self.threads.max(1) {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed >= self.to {
                            return;
                        }
                        let settings = self.settings(seed);
                        match if self.shrink { run_shrunk(settings) } else { run(settings) } {
                            Ok(summary) => lock(&total).add(&summary),
                            Err(failure) => {
                                stop.store(true, Ordering::Relaxed);
                                let mut failed = lock(&failed);
                                if failed.as_ref().is_none_or(|f| f.settings.seed > seed) {
                                    *failed = Some(failure);
                                }
                            }
                        }
                        progress(done.fetch_add(1, Ordering::Relaxed) + 1);
                    }
                });
            }
        });
        let failure = lock(&failed).take();
        match failure {
            Some(failure) => Err(failure),
            None => Ok(std::mem::take(&mut *lock(&total))),
        }
    }

    /// What this many seeds should have tried and have not. Nothing is asked of a short run.
    pub fn untried(&self, summary: &Summary) -> Vec<&'static str> {
        if summary.runs < 200 || self.span < Duration::from_secs(60) {
            return Vec::new();
        }
        let whole = self.world == Some(World::Whole);
        let tried = |what: &&&str| !summary.reached.contains_key(**what);
        let mut missing: Vec<&'static str> = TRIED.iter().filter(tried).copied().collect();
        if whole {
            missing.extend(TRIED_WHOLE.iter().filter(tried));
        }
        missing
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
