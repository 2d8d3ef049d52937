//! Learning first: a node that lacks much gets it before it is invited, so that nobody waits for the
//! transfer with the view frozen (R10.4).
//!
//! The node asks a member of the view that may write, keeps what it gets aside, asks again until it is
//! near, and says in its beats how far it is. Its own history stays its history until the Switch. The
//! members do not invite it before it is near, unless it does not get on.

use super::message::What;
use super::*;
use crate::membership::quorum::Electorate;
use crate::replication::entry::Durable;

/// Lacking no more than this, a node is invited at once.
pub const NEAR_ENTRIES: usize = if cfg!(test) { 16 } else { 64 };
pub const NEAR_BYTES: usize = 64 * 1024;

/// What a learner is doing.
#[derive(Debug, Clone)]
struct Lesson {
    teacher: NodeId,
    inc: Incarnation,
    /// Head that was asked from.
    progress: Duration,
    /// The teacher says that what is here is near, or nobody could teach.
    near: bool,
}

impl Lesson {
    /// When to ask again.
    fn due(&self, deadtime: Duration) -> Duration {
        self.progress + if self.near { deadtime * 2 } else { deadtime }
    }
}

/// Learning, at the learner and as seen by the members.
#[derive(Debug, Clone, Default)]
pub struct Learning {
    lesson: Option<Lesson>,
    /// Obtained so far, and not in force.
    pub staged: Option<Box<Durable>>,
    /// Who votes by the history of a view that may write. Says whom to hear and to let in, never who has quorum: a
    /// node that was away while others were added would not hear them, and with those it could never be in one view.
    voters: Option<Electorate>,
    /// Counts what came: a node whose count stands still is not waited for.
    pub steps: u64,
    /// Teachers that did not get on.
    failures: u32,
    /// Nodes not invited because they lack much, with their steps and since when.
    far: BTreeMap<NodeId, (u64, Duration)>,
    /// Length of the document at this head.
    size: (Stamp, usize),
}

impl Learning {
    /// Whether this node should not ask for a view with those who can teach it.
    pub fn busy(&self) -> bool {
        self.lesson.as_ref().is_some_and(|l| !l.near)
    }
}

impl Group {
    /// Learner and members, after anything changed.
    pub(super) fn poll_learning(&mut self) {
        self.poll_lesson();
        self.poll_far();
    }

    /// A view that may write, of which this node is no member, and which holds something else.
    fn teachers(&self) -> Vec<(NodeId, Incarnation, bool)> {
        let me = self.config.id;
        let head = self.state.durable.lineage.head();
        let own = self.view.as_ref().filter(|v| v.writable && matches!(self.phase, Phase::Active));
        if own.is_some() || !matches!(self.phase, Phase::Boot { .. } | Phase::Seeking | Phase::Active) {
            return Vec::new();
        }
        self.edges
            .up_peers()
            .filter(|p| {
                p.info.whole && p.info.score.writable && !p.info.members.contains(&me) && p.info.dhead != head
            })
            .map(|p| (p.id, p.inc, p.info.dc))
            .collect()
    }

    fn poll_lesson(&mut self) {
        let teachers = self.teachers();
        if teachers.is_empty() {
            if self.learning.lesson.take().is_some() {
                self.dirty = true;
            }
            return;
        }
        let now = self.now;
        if let Some(lesson) = &mut self.learning.lesson
            && teachers.iter().any(|(id, inc, _)| *id == lesson.teacher && *inc == lesson.inc)
        {
            if now < lesson.due(self.config.deadtime) {
                return;
            }
            if lesson.near {
                // Still no member: the others may have let somebody in meanwhile.
                lesson.progress = now;
                self.ask_teacher();
                return;
            }
            self.learning.failures += 1;
            if self.learning.failures >= 2 {
                // Nobody can teach: then all at once, with the others waiting.
                lesson.near = true;
                self.dirty = true;
                return;
            }
        }
        // Not the DC where another can serve; and not all learners the same.
        let others: Vec<_> = teachers.iter().filter(|(_, _, dc)| !dc).collect();
        let choice = if others.is_empty() { teachers.iter().collect() } else { others };
        let turn = usize::from(self.config.id.0[0]) + self.learning.failures as usize;
        let Some((teacher, inc, _)) = choice.get(turn % choice.len().max(1)).map(|t| **t) else { return };
        self.learning.lesson = Some(Lesson { teacher, inc, progress: now, near: false });
        self.ask_teacher();
    }

    fn ask_teacher(&mut self) {
        let Some(lesson) = &self.learning.lesson else { return };
        let held = self.learning.staged.as_deref().unwrap_or(&self.state.durable);
        let (have, have_h) = (held.lineage.head(), held.lineage.h());
        let teacher = lesson.teacher;
        self.transfers.expect(What::Learn);
        self.send(teacher, Message::Fetch { p: ViewId::default(), what: What::Learn, have, have_h });
    }

    /// A piece came.
    pub(super) fn lesson_progress(&mut self, from: NodeId) -> bool {
        let now = self.now;
        let Some(lesson) = self.learning.lesson.as_mut().filter(|l| l.teacher == from) else {
            return false;
        };
        lesson.progress = now;
        self.learning.steps += 1;
        true
    }

    /// An answer: what is here is near, and who votes there.
    pub(super) fn near(&mut self, voters: Electorate) {
        self.learned_something(voters);
        let now = self.now;
        if let Some(lesson) = &mut self.learning.lesson {
            lesson.near = true;
            lesson.progress = now;
        }
    }

    /// All of an answer came.
    pub(super) fn learned(&mut self, durable: Durable) {
        self.learned_something(durable.electorate.clone());
        self.learning.staged = Some(Box::new(durable));
        self.ask_teacher();
    }

    fn learned_something(&mut self, voters: Electorate) {
        self.dirty = true;
        self.learning.failures = 0;
        self.learning.voters = Some(voters);
    }

    /// This node has a new history: what it learned beside the old one is over.
    pub(super) fn forget_lessons(&mut self) {
        self.learning.staged = None;
        self.learning.voters = None;
    }

    /// Who may be heard and let in: by those with quorum, as long as this node is outside. Its own history may end with
    /// a change of the voters that nobody agreed to.
    pub(super) fn admitted(&self) -> &Electorate {
        self.learning.voters.as_ref().unwrap_or(&self.state.durable.electorate)
    }

    /// What came cannot be used: all of it again.
    pub(super) fn not_learned(&mut self) {
        self.learning.staged = None;
        if let Some(lesson) = &mut self.learning.lesson {
            // The next teacher, at once.
            lesson.progress = Duration::ZERO;
        }
    }

    /// Which nodes lack too much to be invited.
    fn poll_far(&mut self) {
        let teach = matches!(self.phase, Phase::Active) && self.view.as_ref().is_some_and(|v| v.writable);
        if !teach {
            self.learning.far.clear();
            return;
        }
        let Some(view) = &self.view else { return };
        let mine = self.state.durable.lineage.head();
        let strangers: Vec<(NodeId, u64, Stamp, Stamp)> = self
            .edges
            .up_peers()
            .filter(|p| !view.is_member(p.id, p.inc))
            // A side that writes too is not taught, it is merged with.
            .filter(|p| !(p.info.whole && p.info.score.writable))
            .map(|p| (p.id, p.info.steps, p.info.dhead, p.info.staged))
            .collect();
        self.learning.far.retain(|id, _| strangers.iter().any(|(other, ..)| other == id));
        for (id, steps, dhead, staged) in strangers {
            let near = dhead == mine
                || staged == mine
                || self.transfers.near(dhead, NEAR_ENTRIES, NEAR_BYTES)
                || self.transfers.near(staged, NEAR_ENTRIES, NEAR_BYTES)
                || self.document_size() <= NEAR_BYTES;
            let now = self.now;
            if near {
                self.dirty |= self.learning.far.remove(&id).is_some();
                continue;
            }
            let (seen, since) = self.learning.far.entry(id).or_insert((steps, now));
            if *seen != steps && *since > Duration::ZERO {
                (*seen, *since) = (steps, now);
            }
        }
        let limit = self.config.deadtime * 3;
        let now = self.now;
        let stuck: Vec<NodeId> = self
            .learning
            .far
            .iter()
            .filter(|(_, (_, since))| now >= *since + limit && *since > Duration::ZERO)
            .map(|(id, _)| *id)
            .collect();
        for id in stuck {
            // Far and not getting on: it is invited as it is. Marked by a time that is never over.
            if let Some((_, since)) = self.learning.far.get_mut(&id) {
                *since = Duration::ZERO;
            }
            self.dirty = true;
            let text = format!(
                "{} lacks much and does not get it in the background: inviting it now",
                self.name_of(id)
            );
            self.log(Level::Warning, text);
        }
    }

    /// Whether to wait with an invitation of this node.
    pub(super) fn waits_for_learner(&self, id: NodeId) -> bool {
        self.learning.far.get(&id).is_some_and(|(_, since)| *since > Duration::ZERO)
    }

    pub(super) fn learning_deadline(&self) -> Option<Duration> {
        let lesson = self.learning.lesson.as_ref().map(|l| l.due(self.config.deadtime));
        let far = self.learning.far.values().map(|(_, since)| *since).filter(|s| *s > Duration::ZERO).min();
        lesson.into_iter().chain(far.map(|s| s + self.config.deadtime * 3)).min()
    }

    /// Bytes of the whole document, made anew only when it has changed.
    fn document_size(&mut self) -> usize {
        let head = self.state.durable.lineage.head();
        if self.learning.size.0 != head {
            self.learning.size = (head, self.state.durable.document.to_xml_compact().len());
        }
        self.learning.size.1
    }
}
