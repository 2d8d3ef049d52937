//! One attempt to form a view: propose, promise, choose (R7.5–7.9, §8, R9.7, R11.1, §15).

use std::collections::BTreeMap;
use std::time::Duration;

use super::message::{Install, Message, Promise, Propose, Refusal, StatusBase};
use super::want::Want;
use super::{Group, GroupEvent, Level, Member, Phase};
use crate::election;
use crate::membership::choice::{Graph, bits};
use crate::membership::info::Score;
use crate::membership::quorum::{Candidate, Verdict, verdict};
use crate::replication::merge::{self, Base, Exclusive, Holder};
use crate::sabotage::{self, Rule};
use crate::seam::{Incarnation, NodeId, Stamp, ViewId};

/// What became of an invitation.
#[derive(Debug, Clone)]
pub enum Invited {
    Waiting {
        inc: Incarnation,
        until: Duration,
    },
    Promised(Box<Promise>),
    /// Refused, silent, or gone.
    Out,
}

/// A proposal of this node on its way.
#[derive(Debug, Clone)]
pub struct Round {
    pub p: ViewId,
    pub invited: BTreeMap<NodeId, Invited>,
}

/// A node that is not invited for a while (R16.6, R7.11, R9.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub until: Duration,
    /// How often before.
    pub times: u32,
    pub why: String,
}

/// What the chosen members agree on.
struct Choice {
    members: Vec<NodeId>,
    base: Base,
    verdict: Verdict,
    score: Score,
}

impl Group {
    /// R7.5. Does nothing while the own disk is not ready for a promise.
    pub(super) fn propose(&mut self, want: &Want) {
        let epoch = self.seen + 1; // R7.1
        if !self.ceiling_covers(epoch) {
            return;
        }
        self.seen = epoch;
        let p = ViewId { epoch, proposer: self.config.id, boot: self.config.incarnation.boot };
        let view = self.view.as_ref().map(|v| v.id).unwrap_or_default();
        self.log(
            Level::Info,
            format!("proposing view {epoch} of {} nodes: {}", want.members.len(), want.reason),
        );
        let own = self.promise(p);
        let me = self.config.id;
        let deadtime = self.config.deadtime;
        let mut invited = BTreeMap::new();
        for (id, inc) in &want.members {
            let state = if *id == me {
                Invited::Promised(Box::new(own.clone()))
            } else {
                // R7.6 gives newcomers 2 B only. But this view has been given up for theirs, and beside a
                // peer that is heard the rest may not even write (R15.7e): worth waiting for.
                Invited::Waiting { inc: *inc, until: self.now + deadtime / 2 }
            };
            invited.insert(*id, state);
        }
        self.phase = Phase::Proposing(Box::new(Round { p, invited }));
        self.want = None;
        for (id, _) in want.members.iter().filter(|(id, _)| *id != me) {
            let propose = Propose {
                p,
                invited: want.members.clone(),
                view,
                aim: want.score,
                reason: want.reason.clone(),
            };
            self.send(*id, Message::Propose(Box::new(propose)));
        }
        self.poll_round();
    }

    /// R7.7.
    pub(super) fn on_propose(&mut self, from: NodeId, m: Box<Propose>) {
        self.seen = self.seen.max(m.p.epoch);
        let me = (self.config.id, self.config.incarnation);
        let why = if matches!(self.phase, Phase::Leaving { .. } | Phase::Gone | Phase::DiskFailed) {
            Some(Refusal::Leaving)
        } else if m.p <= self.promised && !sabotage::out(Rule::PromiseUpwards) {
            Some(Refusal::Lower)
        } else if !m.invited.contains(&me) || !self.edges.up(from) || m.p.proposer != from {
            Some(Refusal::NotConnected)
        } else if !self.may_join(from, &self.name_of(from)) {
            Some(Refusal::Removed)
        } else if self.edges.peer(from).is_some_and(|p| self.below_floor(&p.info.feature)) {
            Some(Refusal::Version) // R11.3
        } else if self.view_whole()
            && !self.view.as_ref().is_some_and(|v| {
                // (b) of my own view, or (c) better than it.
                v.members.iter().any(|n| n.id == from) || (m.aim > v.score && !self.not_yet(from))
            })
        {
            Some(Refusal::Content)
        } else {
            None
        };
        if let Some(why) = why {
            let promised = self.promised;
            self.send(from, Message::Refuse { p: m.p, why, seen: self.seen.max(promised.epoch), promised });
            return;
        }
        // A promise must report the history the disk will really have.
        if self.disk.switching() || !self.ceiling_covers(m.p.epoch) {
            if self.deferred.as_ref().is_none_or(|(_, d)| d.p < m.p) {
                self.deferred = Some((from, m));
            }
            return;
        }
        // R7.13: a proposer that sees a higher one it can accept drops its own.
        self.release_round(m.p);
        let rank = m.invited.iter().position(|(id, _)| *id == me.0).unwrap_or(0);
        let rank = u32::try_from(rank).unwrap_or(8).min(8);
        let until = self.now + self.config.deadtime / 2 + self.config.beat() * 2 * rank; // R7.12
        let promise = self.promise(m.p);
        self.phase = Phase::Promised { p: m.p, until };
        self.send(from, Message::Promise(Box::new(promise)));
    }

    /// A stranger that is asked when its time has come, and does not ask (R8.7, R10.4, R16.6).
    fn not_yet(&self, from: NodeId) -> bool {
        let writable = self.view.as_ref().is_some_and(|v| v.writable);
        writable && (self.waits_for_learner(from) || self.edges.peer(from).is_some_and(|p| p.info.impaired))
    }

    /// Ends an own round in favour of a higher one or of nobody.
    fn release_round(&mut self, _for: ViewId) {
        if let Phase::Proposing(round) = &self.phase {
            let p = round.p;
            let others: Vec<NodeId> =
                round.invited.keys().copied().filter(|id| *id != self.config.id).collect();
            self.phase = Phase::Seeking;
            for id in others {
                self.send(id, Message::Release { p });
            }
        }
    }

    /// R7.8: from now on the old view decides nothing here. Returns what the proposer must know.
    fn promise(&mut self, p: ViewId) -> Promise {
        let whole = self.view_whole();
        let score =
            if whole { self.view.as_ref().map(|v| v.score).unwrap_or_default() } else { Score::default() };
        self.promised = p;
        self.want = None;
        self.give_up_view();
        self.installed = None;
        self.activation = None;
        self.transfers.freeze(p, &self.state);
        let view = self.view.as_ref();
        let version = self.state.cib().version();
        let holder = Holder {
            id: self.config.id,
            lineage: self.state.durable.lineage.clone(),
            lq: self.record.lq.clone(),
            switched: self.record.switched.clone(),
            cut: self.record.cut,
            verified: self.record.verified,
            regressed: self.record.regressed,
            commit: self.record.commit,
            admin_epoch: self.record.admin_epoch,
            version: (version.epoch, version.num_updates),
            votes: view.map_or(0, |v| v.score.votes),
        };
        let mut electorates = vec![match view.and_then(|v| v.committed_electorate.clone()) {
            Some(e) => e,
            None => self.electorate(),
        }];
        if electorates.first() != Some(&self.electorate()) {
            electorates.push(self.electorate()); // R15.8: every one of the tail; one change at a time
        }
        Promise {
            p,
            member: Member {
                id: self.config.id,
                name: self.config.name.clone(),
                inc: self.config.incarnation,
                born: self.born,
                feature: self.config.feature.clone(),
                impaired: self.disk.impaired(self.now, self.config.deadtime),
            },
            view: view.map(|v| v.id),
            members: view.map(|v| v.members.iter().map(|m| m.id).collect()).unwrap_or_default(),
            recorded: self.record.view,
            whole,
            score,
            was_dc: view.is_some_and(|v| v.dc == self.config.id),
            edges: self.edges.up_peers().map(|p| p.id).collect(),
            holder,
            vhead: self.state.last,
            electorates,
            facts: self.facts(),
            suspects: self.suspects.keys().copied().collect(),
        }
    }

    /// R16.10: views that break within a dead time, again and again, make a node slow to be up again.
    fn judge_the_view(&mut self) {
        let Some(view) = self.view.as_ref().filter(|v| v.broken.is_some()) else { return };
        let why = view.broken.clone().unwrap_or_default();
        if self.now >= self.active_since + self.config.deadtime {
            self.short_views = 0;
        } else {
            self.short_views = self.short_views.saturating_add(1);
        }
        self.edges.set_storm(self.short_views.saturating_sub(2));
        if self.short_views > 2 {
            let text = format!(
                "{} views in a row broke within a dead time, the last because {why}: waiting longer before the next",
                self.short_views
            );
            self.log(Level::Warning, text);
        }
    }

    /// The last view is over for this node: it acknowledges, appends, sequences, commits nothing.
    pub(super) fn give_up_view(&mut self) {
        if let Some(view) = &mut self.view
            && !view.frozen
        {
            view.frozen = true;
            self.event(GroupEvent::Frozen);
            self.parts.clear();
            self.judge_the_view();
            let out = self.bus.close();
            self.on_bus_out(out);
        }
    }

    pub(super) fn on_promise(&mut self, from: NodeId, promise: Promise) {
        let Phase::Proposing(round) = &mut self.phase else { return };
        if promise.p != round.p || promise.member.id != from || promise.holder.id != from {
            return;
        }
        if let Some(state @ Invited::Waiting { .. }) = round.invited.get_mut(&from) {
            let expected = matches!(state, Invited::Waiting { inc, .. } if *inc == promise.member.inc);
            *state = if expected { Invited::Promised(Box::new(promise)) } else { Invited::Out };
        }
        self.poll_round();
    }

    pub(super) fn on_refuse(&mut self, from: NodeId, p: ViewId, why: Refusal, seen: u64, promised: ViewId) {
        self.seen = self.seen.max(seen).max(if promised.epoch < u64::MAX { promised.epoch } else { 0 });
        let Phase::Proposing(round) = &mut self.phase else { return };
        if round.p != p {
            return;
        }
        match why {
            // R7.6: a smaller view is never the answer to a collision.
            Refusal::Lower | Refusal::Busy if self.edges.up(from) => {
                self.failures = self.failures.saturating_add(1);
                self.release_round(p);
                self.back_off();
            }
            _ => {
                if let Some(state) = round.invited.get_mut(&from) {
                    *state = Invited::Out;
                }
                if why == Refusal::Content {
                    self.back_off();
                }
                if let Some((held, text)) = for_good(why) {
                    let text = format!("{} {text}", self.name_of(from));
                    self.log(Level::Error, text);
                    self.hold_for_good(from, held);
                }
                self.poll_round();
            }
        }
    }

    /// R7.13: random in [1, 2) · 2 B · 2^k, at most D.
    fn back_off(&mut self) {
        let base = self.config.beat() * 2 * (1 << self.failures.saturating_sub(1).min(5));
        let wait = base.mul_f64(1.0 + self.rng.fraction()).min(self.config.deadtime);
        self.backoff_until = self.now + wait;
        self.dirty = true;
    }

    pub(super) fn on_release(&mut self, p: ViewId) {
        if matches!(&self.phase, Phase::Promised { p: mine, .. } if *mine == p) {
            // R7.14: at once; the old view is gone.
            self.phase = Phase::Seeking;
            self.backoff_until = self.now;
            self.dirty = true;
        }
    }

    /// R7.6: ends the collecting when all have answered or their time is over.
    pub(super) fn poll_round(&mut self) {
        let now = self.now;
        let Phase::Proposing(round) = &mut self.phase else { return };
        let mut silent = Vec::new();
        for (id, state) in &mut round.invited {
            if let Invited::Waiting { until, .. } = state {
                let up = self.edges.up(*id);
                if now >= *until && up {
                    silent.push(*id);
                }
                if now >= *until || !up {
                    *state = Invited::Out;
                }
            }
        }
        if round.invited.values().any(|s| matches!(s, Invited::Waiting { .. })) {
            return;
        }
        // Heard and silent: its core or its disk is stuck. Asking again at once would stop the others
        // for nothing each time.
        for id in silent {
            self.hold_down(id, "it does not answer");
        }
        let Phase::Proposing(round) = std::mem::replace(&mut self.phase, Phase::Seeking) else { return };
        self.conclude(*round);
    }

    pub(super) fn round_deadline(&self) -> Option<Duration> {
        let Phase::Proposing(round) = &self.phase else { return None };
        round
            .invited
            .values()
            .filter_map(|s| match s {
                Invited::Waiting { until, .. } => Some(*until),
                Invited::Promised(_) | Invited::Out => None,
            })
            .min()
    }

    /// §8 on promises only; then the Install, to each member and to this node.
    fn conclude(&mut self, round: Round) {
        let p = round.p;
        let mut promises: BTreeMap<NodeId, Promise> = round
            .invited
            .into_iter()
            .filter_map(|(id, s)| match s {
                Invited::Promised(promise) => Some((id, *promise)),
                Invited::Waiting { .. } | Invited::Out => None,
            })
            .collect();
        self.refuse_foreign(p, &mut promises);
        let Some(choice) = self.choose(&promises) else {
            self.failures = self.failures.saturating_add(1);
            self.back_off();
            return;
        };
        for id in promises.keys().filter(|id| !choice.members.contains(id)) {
            self.send(*id, Message::Release { p });
        }
        let install = make_install(p, &choice, &promises, &self.held_names());
        let Some(install) = install else { return };
        self.phase = Phase::Promised { p, until: self.now + self.config.deadtime / 2 };
        for id in &choice.members {
            self.send(*id, Message::Install(Box::new(install.clone())));
        }
    }

    /// R16.6: not invited for D · 2^k; k ≤ 2, or the bound of L1 (ten dead times) could not be kept.
    pub(super) fn hold_down(&mut self, id: NodeId, why: &'static str) {
        let times = self.held_down.get(&id).map_or(0, |h| (h.times + 1).min(2));
        let until = self.now + self.config.deadtime * (1 << times);
        self.held_down.insert(id, Held { until, times, why: why.to_owned() });
    }

    /// What no attempt changes: not invited before it has started again.
    fn hold_for_good(&mut self, id: NodeId, why: &'static str) {
        let until = self.now + self.config.deadtime * 10_000;
        self.held_down.insert(id, Held { until, times: 0, why: why.to_owned() });
    }

    fn held_names(&self) -> Vec<(NodeId, String)> {
        self.held_down
            .iter()
            .filter(|(_, held)| self.now < held.until)
            .map(|(id, held)| (*id, held.why.clone()))
            .collect()
    }

    /// R9.4: whoever comes from another cluster of the same name is not merged with. Two histories with
    /// different beginnings are halves of one cluster only where each votes in the other's.
    fn refuse_foreign(&mut self, p: ViewId, promises: &mut BTreeMap<NodeId, Promise>) {
        let me = self.config.id;
        let Some(own) = promises.get(&me).cloned() else { return };
        let foreign: Vec<NodeId> =
            promises.values().filter(|q| is_foreign(&own, q)).map(|q| q.member.id).collect();
        for id in foreign {
            promises.remove(&id);
            let seen = self.seen;
            self.send(id, Message::Refuse { p, why: Refusal::Foreign, seen, promised: p });
            self.send(id, Message::Release { p });
            let text =
                format!("{} belongs to another cluster of the same name: it is not let in", self.name_of(id));
            self.log(Level::Error, text);
            self.hold_for_good(id, "it belongs to another cluster");
        }
    }

    fn choose(&self, promises: &BTreeMap<NodeId, Promise>) -> Option<Choice> {
        let me = self.config.id;
        let mut left: Vec<&Promise> = promises.values().collect();
        loop {
            let root = left.iter().position(|q| q.member.id == me)?;
            let mut graph = Graph::new(left.len());
            for (i, a) in left.iter().enumerate() {
                for (j, b) in left.iter().enumerate().take(i) {
                    if a.edges.contains(&b.member.id) && b.edges.contains(&a.member.id) {
                        graph.connect(i, j);
                    }
                }
            }
            let mine: &[NodeId] = promises.get(&me).map(|q| q.members.as_slice()).unwrap_or_default();
            let pick =
                |mask: u64| -> Vec<&Promise> { bits(mask).filter_map(|i| left.get(i).copied()).collect() };
            let set = graph.best(root, |mask| {
                let members = pick(mask);
                let value = self.value(&members);
                let kept = members.iter().filter(|q| mine.contains(&q.member.id)).count();
                let dc = members.iter().any(|q| q.was_dc && q.whole);
                let ids: Vec<NodeId> = members.iter().map(|q| q.member.id).collect();
                // R8.3: equal scores: the best tip, most of the present view, the present DC.
                (value.map(|(b, _, s)| (s, b.tip)), kept, dc, std::cmp::Reverse(ids))
            });
            let members = pick(set);
            let (base, verdict, score) = self.value(&members)?;
            let ids: Vec<NodeId> = members.iter().map(|q| q.member.id).collect();
            // R8.4: again on promises; the view of this node itself ended with its own promise.
            let own = promises.get(&me).and_then(|q| q.view);
            let suffers = members.iter().find(|q| {
                q.member.id != me
                    && q.whole
                    && q.view != own
                    && score <= q.score
                    && !q.members.iter().all(|m| ids.contains(m))
            });
            if let Some(q) = suffers {
                let id = q.member.id;
                left.retain(|q| q.member.id != id);
                continue;
            }
            return Some(Choice { members: ids, base, verdict, score });
        }
    }

    /// Base and quorum of a set: computed for exactly these members (R15.3).
    fn value(&self, members: &[&Promise]) -> Option<(Base, Verdict, Score)> {
        // R16.5c: a disk that knows nothing of a view in which its node was active was set back.
        let set_back = |q: &Promise| {
            members.iter().any(|r| r.members.contains(&q.member.id) && r.view.is_some_and(|v| q.recorded < v))
        };
        let holders: Vec<Holder> = members
            .iter()
            .map(|q| {
                let mut holder = q.holder.clone();
                if set_back(q) {
                    (holder.regressed, holder.verified) = (true, false);
                }
                holder
            })
            .collect();
        let holders: Vec<&Holder> = holders.iter().collect();
        let mut base = merge::base(&holders)?;
        if sabotage::out(Rule::BestBase) {
            let own = members.iter().find(|q| q.member.id == self.config.id)?;
            base.lineage = own.holder.lineage.clone();
            base.tip = base.lineage.head();
            base.h = base.lineage.h();
            base.holders = vec![self.config.id];
        }
        let source = members.iter().find(|q| base.holders.first() == Some(&q.member.id))?;
        let candidates: Vec<Candidate> = members
            .iter()
            .zip(&holders)
            .map(|(q, holder)| Candidate {
                id: q.member.id,
                name: q.member.name.clone(),
                verified: holder.verified,
                regressed: holder.regressed,
                facts: q.facts.clone(),
            })
            .collect();
        let verified = candidates.iter().any(|c| c.verified);
        // R15.8: the old electorate and every one of the uncommitted tail must be satisfied.
        let v = source
            .electorates
            .iter()
            .map(|e| {
                let all = e.voters.iter().all(|v| candidates.iter().any(|c| v.is(c.id, &c.name)));
                verdict(&self.config.quorum, e, &candidates, verified, all)
            })
            .min_by_key(|v| (v.exclusive, v.writable, v.votes))?;
        let score = Score {
            exclusive: v.exclusive,
            writable: v.writable,
            votes: v.votes,
            count: members.len() as u64,
        };
        Some((base, v, score))
    }
}

fn is_foreign(a: &Promise, b: &Promise) -> bool {
    let votes = |of: &Promise, who: &Promise| {
        of.electorates.iter().any(|e| e.voter(who.member.id, &who.member.name).is_some())
    };
    match (a.holder.lineage.root(), b.holder.lineage.root()) {
        (Some(x), Some(y)) => x != y && !(votes(a, b) && votes(b, a)),
        _ => false,
    }
}

/// Refusals that another attempt does not change: why the node is not asked for a while, and what to say.
fn for_good(why: Refusal) -> Option<(&'static str, &'static str)> {
    match why {
        Refusal::Version => {
            Some(("it speaks a later feature set", "refuses this node: upgrade the software here"))
        }
        Refusal::Removed => Some((
            "it does not let this node in",
            "refuses this node: it is not among the nodes of the cluster; hb_addnode there adds it",
        )),
        Refusal::Foreign => Some((
            "it belongs to another cluster",
            "refuses this node: it comes from another cluster of the same name; to give it up, empty \
             /var/lib/heartbeat here",
        )),
        Refusal::Lower | Refusal::Busy | Refusal::Content | Refusal::NotConnected | Refusal::Leaving => None,
    }
}

fn make_install(
    p: ViewId,
    choice: &Choice,
    promises: &BTreeMap<NodeId, Promise>,
    held: &[(NodeId, String)],
) -> Option<Install> {
    let chosen: Vec<&Promise> = choice.members.iter().filter_map(|id| promises.get(id)).collect();
    // R7.11: whose document was found to differ takes the whole from one that is not suspected.
    let suspected = |id: &NodeId| chosen.iter().any(|q| q.suspects.contains(id));
    let source =
        choice.base.holders.iter().find(|id| !suspected(id)).or(choice.base.holders.first()).copied()?;
    let full = choice.members.iter().copied().filter(|id| *id != source && suspected(id)).collect();
    let status = status_base(&chosen, &choice.base.holders);
    let mut members: Vec<Member> = chosen
        .iter()
        .map(|q| {
            let mut m = q.member.clone();
            if q.view.is_none() {
                m.born = p; // R11.1: it enters with this view
            }
            m
        })
        .collect();
    members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let former = chosen.iter().find(|q| q.was_dc && q.view == Some(status.view)).map(|q| q.member.id);
    let dc = election::elect(&members, former)?;
    let mut lq = choice.base.lq.clone();
    if choice.verdict.exclusive {
        lq.push(Exclusive { view: p, members: choice.members.clone() });
    }
    Some(Install {
        p,
        members,
        dc,
        source,
        lineage: choice.base.lineage.clone(),
        status,
        losers: choice.base.losers.clone(),
        lq,
        exclusive: choice.verdict.exclusive,
        writable: choice.verdict.writable,
        tie: choice.verdict.tie,
        why: choice.verdict.why.clone(),
        score: choice.score,
        ejected: held.to_vec(),
        full,
    })
}

/// R9.12: the status section of the best last view among the base's holders, or, if they have none
/// since their start, of the best among all; it is complete in itself.
fn status_base(chosen: &[&Promise], holders: &[NodeId]) -> StatusBase {
    let best = |of: &dyn Fn(&Promise) -> bool| {
        chosen
            .iter()
            .filter(|q| of(q))
            .filter_map(|q| q.view.map(|v| (q.score, q.members.len(), v)))
            .max()
            .map(|(_, _, v)| v)
    };
    let view = best(&|q| holders.contains(&q.member.id)).or_else(|| best(&|_| true));
    let Some(view) = view else {
        return StatusBase {
            source: None,
            view: ViewId::default(),
            head: Stamp::default(),
            not_carried: chosen.iter().map(|q| q.member.id).collect(),
        };
    };
    let from = chosen
        .iter()
        .filter(|q| q.view == Some(view))
        .max_by_key(|q| (q.vhead, std::cmp::Reverse(q.member.id)));
    StatusBase {
        source: from.map(|q| q.member.id),
        view,
        head: from.map(|q| q.vhead).unwrap_or_default(),
        not_carried: chosen.iter().filter(|q| q.view != Some(view)).map(|q| q.member.id).collect(),
    }
}
