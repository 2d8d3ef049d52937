//! What this node asks of its disk, one record at a time (protocol §4).

use std::collections::VecDeque;
use std::time::Duration;

use cib::Element;

use super::record::{CEILING_STEP, RECORD_VERSION, ViewRecord, rest_of};
use super::{Group, GroupAction, GroupEvent, Level, Message, Phase};
use crate::codec::Wire;
use crate::replication::entry::State;
use crate::seam::{Record, Stamp};

/// Entries and bytes of one Append (R12.9).
const BATCH_ENTRIES: usize = 256;
const BATCH_BYTES: usize = 1 << 20;

/// Entries and bytes in the log beyond which it is folded into the document (R18.1).
const LOG_ENTRIES: usize = if cfg!(test) { 32 } else { 10_000 };
const LOG_BYTES: usize = 16 << 20;

/// Length of a test write (R16.6).
const TEST_BYTES: usize = 4096;

/// A record to be written.
#[derive(Debug, Clone)]
pub enum Job {
    Append {
        entries: Vec<Vec<u8>>,
        upto: Stamp,
    },
    /// The view record alone, with at least this ceiling.
    Meta {
        ceiling: u64,
    },
    /// The view record again, 4 KiB long: is the disk quick enough by now (R16.6)?
    Test,
    Switch(Box<SwitchJob>),
}

/// A base on its way to the disk.
#[derive(Debug, Clone)]
pub struct SwitchJob {
    pub state: State,
    pub record: ViewRecord,
    pub backup: Option<(Element, String)>,
    /// `None`: the view stays as it is (a blank disk's first write, a log folded into the document).
    pub install: Option<super::Install>,
}

#[derive(Debug, Clone)]
struct Outstanding {
    token: u64,
    job: Job,
    since: Duration,
}

/// The queue to the disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    token: u64,
    outstanding: Option<Outstanding>,
    queue: VecDeque<Job>,
    /// Entries and bytes appended since the last Switch.
    log: (usize, usize),
    /// A write took longer than a quarter of a dead time, and no test since was quick (R16.6).
    slow: bool,
    /// End of the last test.
    tested: Duration,
}

impl Disk {
    pub fn push(&mut self, job: Job) {
        self.queue.push_back(job);
    }

    /// A base is being written, or is next: nothing may be promised (R7.7).
    pub fn switching(&self) -> bool {
        let is = |j: &Job| matches!(j, Job::Switch(_));
        self.outstanding.as_ref().is_some_and(|o| is(&o.job)) || self.queue.iter().any(is)
    }

    /// A raise of the ceiling is under way.
    pub fn raising(&self, ceiling: u64) -> bool {
        let is = |j: &Job| matches!(j, Job::Meta { ceiling: c } if *c >= ceiling);
        self.outstanding.as_ref().is_some_and(|o| is(&o.job)) || self.queue.iter().any(is)
    }

    pub fn idle(&self) -> bool {
        self.outstanding.is_none() && self.queue.is_empty()
    }

    /// The disk has not answered for a quarter of a dead time.
    pub fn stuck(&self, now: Duration, deadtime: Duration) -> bool {
        self.outstanding.as_ref().is_some_and(|o| now > o.since + deadtime / 4)
    }

    /// It does not answer, or was slow lately (R16.6).
    pub fn impaired(&self, now: Duration, deadtime: Duration) -> bool {
        self.slow || self.stuck(now, deadtime)
    }

    /// When a slow disk is to be tested again.
    pub fn test_at(&self, deadtime: Duration) -> Option<Duration> {
        (self.slow && self.idle()).then_some(self.tested + deadtime / 4)
    }

    /// How long a write took: it makes a disk slow, or well again.
    fn judge(&mut self, took: Duration, test: bool, now: Duration, deadtime: Duration) {
        if test {
            self.tested = now;
        }
        if took > deadtime / 4 {
            self.slow = true;
            self.tested = now;
        } else if test && took <= deadtime / 8 {
            self.slow = false;
        }
    }

    pub fn impaired_at(&self, deadtime: Duration) -> Option<Duration> {
        self.outstanding.as_ref().map(|o| o.since + deadtime / 4)
    }
}

impl Group {
    /// The first write of a start: a ceiling that covers the first promises (R4.3).
    pub(super) fn start_record(&mut self) {
        let ceiling = self.record.ceiling + CEILING_STEP;
        if self.record.rest.is_empty() {
            let record = ViewRecord { ceiling, ..self.record.clone() };
            let state = self.state.clone();
            self.disk.push(Job::Switch(Box::new(SwitchJob { state, record, backup: None, install: None })));
        } else {
            self.disk.push(Job::Meta { ceiling });
        }
    }

    /// Makes sure that a promise of `epoch` survives a restart. True: it does already.
    pub(super) fn ceiling_covers(&mut self, epoch: u64) -> bool {
        if epoch <= self.record.ceiling {
            return true;
        }
        let ceiling = epoch + CEILING_STEP;
        if !self.disk.raising(epoch) {
            self.disk.push(Job::Meta { ceiling });
        }
        false
    }

    /// Raises the ceiling before a promise needs it, off every critical path: epochs jump when a node
    /// restarts, and a round should not wait for that write (R4.3).
    fn keep_ceiling_ahead(&mut self) {
        let epoch = self.seen + CEILING_STEP / 4;
        if self.disk.idle() && epoch > self.record.ceiling && epoch < u64::MAX / 2 {
            self.disk.push(Job::Meta { ceiling: self.seen + CEILING_STEP });
        }
    }

    pub(super) fn pump_disk(&mut self) {
        if self.disk.outstanding.is_some() || matches!(self.phase, Phase::DiskFailed | Phase::Gone) {
            return;
        }
        self.keep_ceiling_ahead();
        if self.disk.test_at(self.config.deadtime).is_some_and(|at| self.now >= at) {
            self.disk.push(Job::Test);
        }
        let Some(mut job) = self.disk.queue.pop_front() else { return };
        if let Job::Append { entries, upto } = &mut job {
            // R12.9: what gathered while the last batch was written is the next batch.
            let mut bytes: usize = entries.iter().map(Vec::len).sum();
            while let Some(Job::Append { entries: more, upto: last }) = self.disk.queue.front_mut() {
                bytes += more.iter().map(Vec::len).sum::<usize>();
                if entries.len() + more.len() > BATCH_ENTRIES || bytes > BATCH_BYTES {
                    break;
                }
                entries.append(more);
                *upto = *last;
                self.disk.queue.pop_front();
            }
        }
        let record = match &job {
            Job::Append { entries, .. } => Record::Append(entries.clone()),
            Job::Meta { ceiling } => {
                let view_record =
                    ViewRecord { ceiling: self.record.ceiling.max(*ceiling), ..self.record.clone() };
                Record::Meta(view_record.record(RECORD_VERSION))
            }
            Job::Test => {
                let padding = vec![0; TEST_BYTES];
                Record::Meta(ViewRecord { padding, ..self.record.clone() }.record(RECORD_VERSION))
            }
            Job::Switch(switch) => {
                let mut view_record = match &switch.install {
                    Some(_) => switch.record.clone(),
                    None => ViewRecord {
                        ceiling: self.record.ceiling.max(switch.record.ceiling),
                        ..self.record.clone()
                    },
                };
                view_record.rest = rest_of(&switch.state.durable);
                Record::Switch {
                    document: switch.state.durable.document.clone(),
                    meta: view_record.record(RECORD_VERSION),
                    backup: switch.backup.clone(),
                }
            }
        };
        self.disk.token += 1;
        let token = self.disk.token;
        self.disk.outstanding = Some(Outstanding { token, job, since: self.now });
        self.out.push(GroupAction::Persist { token, record });
    }

    pub(super) fn on_persisted(&mut self, token: u64) {
        let Some(done) = self.disk.outstanding.take_if(|o| o.token == token) else {
            return;
        };
        self.dirty = true;
        let was_slow = self.disk.slow;
        let test = matches!(done.job, Job::Test);
        self.disk.judge(self.now.saturating_sub(done.since), test, self.now, self.config.deadtime);
        if was_slow != self.disk.slow {
            let text = if was_slow { "the disk is quick enough again" } else { "the disk is too slow" };
            self.log(Level::Warning, text);
        }
        match done.job {
            Job::Test => {}
            Job::Append { entries, upto } => {
                self.disk.log.0 += entries.len();
                self.disk.log.1 += entries.iter().map(Vec::len).sum::<usize>();
                self.on_appended(upto);
                self.fold_log();
            }
            Job::Meta { ceiling } => self.record.ceiling = self.record.ceiling.max(ceiling),
            Job::Switch(switch) => {
                let SwitchJob { state, mut record, backup, install } = *switch;
                record.rest = rest_of(&state.durable);
                // Facts of the time before this start stay facts.
                record.ceiling = record.ceiling.max(self.record.ceiling);
                self.disk.log = (0, 0);
                if install.is_none() {
                    let (rest, ceiling) = (record.rest, record.ceiling);
                    record = ViewRecord { rest, ceiling, ..self.record.clone() };
                }
                self.record = record;
                if let (Some(_), Some(conflict)) = (&backup, &self.report) {
                    self.record.kept.push(conflict.tip);
                }
                if let Some((_, text)) = &backup {
                    let line = text.lines().next().unwrap_or_default().to_owned();
                    self.log(
                        Level::Warning,
                        format!("the document here lost a merge and is kept as a backup: {line}"),
                    );
                }
                if let Some(install) = install {
                    self.on_switched(state, install);
                }
            }
        }
        if let Some((from, propose)) = self.deferred.take() {
            self.on_propose(from, propose);
        }
    }

    /// A long log becomes part of the document, with everything that is held: what is on its way to
    /// the disk comes before it in the queue.
    fn fold_log(&mut self) {
        let (entries, bytes) = self.disk.log;
        if (entries >= LOG_ENTRIES || bytes >= LOG_BYTES) && !self.disk.switching() {
            let (state, record) = (self.state.clone(), self.record.clone());
            self.disk.push(Job::Switch(Box::new(SwitchJob { state, record, backup: None, install: None })));
        }
    }

    pub(super) fn on_persist_failed(&mut self, token: u64, error: &str) {
        if self.disk.outstanding.as_ref().is_none_or(|o| o.token != token) {
            return;
        }
        // R4.6: nothing is known about what is on the disk; it is not asked again.
        self.lose_storage(error);
    }

    /// R16.7.
    pub(super) fn lose_storage(&mut self, error: &str) {
        self.log(Level::Error, format!("the disk failed: {error}; this node leaves the cluster's decisions"));
        self.give_up_view();
        self.phase = Phase::DiskFailed;
        // The beat first: whoever hears the goodbye must know already what kind it is.
        self.beat_now = true;
        self.poll_beat();
        for peer in self.edges.peers().filter(|p| p.session).map(|p| p.id).collect::<Vec<_>>() {
            self.send(peer, Message::Bye { reason: "its disk failed".into() });
        }
        self.event(GroupEvent::StorageLost { error: error.to_owned() });
        self.dirty = true;
    }
}
