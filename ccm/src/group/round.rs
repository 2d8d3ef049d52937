//! One attempt to form a view: propose, promise, refuse, collect, send the Install (R7.5–7.9, R7.13).

use std::collections::BTreeMap;
use std::time::Duration;

use super::conclude::make_install;
use super::message::{Message, Promise, Propose, Refusal};
use super::want::Want;
use super::{Group, GroupEvent, Level, Member, Phase};
use crate::membership::info::Score;
use crate::replication::merge::Holder;
use crate::sabotage::{self, Rule};
use crate::seam::{Incarnation, NodeId, ViewId};

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

/// The view that a node is on its way to.
#[derive(Debug, Clone, Default)]
pub struct Pursuit {
    pub p: ViewId,
    /// What its proposer expects of it.
    pub aim: Score,
    pub among: Vec<NodeId>,
}

/// A node that is not invited for a while (R16.6, R7.11, R9.4).
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    pub until: Duration,
    /// How often before.
    pub times: u32,
    pub why: String,
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
        self.pursuit = Pursuit { p, aim: want.score, among: invited.keys().copied().collect() };
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
        } else if self.pulls_back(from, m.aim) {
            Some(Refusal::Busy)
        } else {
            None
        };
        if let Some(why) = why {
            let promised = self.promised;
            self.send(from, Message::Refuse { p: m.p, why, seen: self.seen.max(promised.epoch), promised });
            return;
        }
        // A promise must report the history the disk will really have.
        let switching = self.disk.switching() && !sabotage::out(Rule::NoPromiseWhileSwitching);
        if switching || !self.ceiling_covers(m.p.epoch) {
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
        self.pursuit = Pursuit { p: m.p, aim: m.aim, among: m.invited.iter().map(|(id, _)| *id).collect() };
        self.phase = Phase::Promised { p: m.p, until };
        self.send(from, Message::Promise(Box::new(promise)));
    }

    /// Whether a proposal would take this node from a view that is being formed into a worse one, for somebody who has
    /// no part in the better. Two proposers that do not hear each other would take turns for ever at who needs to be
    /// in both.
    fn pulls_back(&self, from: NodeId, aim: Score) -> bool {
        let Pursuit { p, aim: better, among } = &self.pursuit;
        let forming =
            matches!(self.phase, Phase::Proposing(_) | Phase::Promised { .. } | Phase::Installing(_));
        let alive = p.proposer == self.config.id || self.edges.up(p.proposer);
        forming && *p == self.promised && alive && aim < *better && !among.contains(&from)
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
            None => self.electorate().into_owned(),
        }];
        if electorates.first() != Some(&self.electorate()) {
            electorates.push(self.electorate().into_owned()); // R15.8: every one of the tail; one change at a time
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
