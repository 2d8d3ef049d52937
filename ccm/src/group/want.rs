//! Which view this node wants, and whose turn it is to propose it (R7.3, R7.4, §8).

use std::cmp::{Ordering, Reverse};
use std::time::Duration;

use super::{Group, Member, Phase};
use crate::election::{self, compare_features};
use crate::membership::choice::{Graph, NODE_LIMIT, bits};
use crate::membership::info::{BeatInfo, PROTO_MAX, PROTO_MIN, PhaseName, Score};
use crate::membership::quorum::{Candidate, Electorate, Facts, Verdict, verdict};
use crate::seam::{Incarnation, NodeId};

/// A wish for another view.
#[derive(Debug, Clone, PartialEq)]
pub struct Want {
    pub since: Duration,
    /// Place of this node in the order of those who may propose it.
    pub rank: u32,
    /// Only if it is still wanted after this long.
    pub settle: Duration,
    pub members: Vec<(NodeId, Incarnation)>,
    pub score: Score,
    pub reason: String,
}

/// Proposers after the eighth wait as long as the eighth (R7.4).
const RANK_LIMIT: u32 = 8;

/// A node as it appears in its beats.
#[derive(Clone, Copy)]
struct Seen<'a> {
    id: NodeId,
    inc: Incarnation,
    name: &'a str,
    info: &'a BeatInfo,
}

impl Group {
    /// Candidates (R8.7), in the order of their identities. `own`: what this node says of itself; `all`: also those
    /// that would make the others wait.
    fn seen_nodes<'a>(&'a self, own: &'a BeatInfo, all: bool) -> Vec<Seen<'a>> {
        let learning = self.learning.busy();
        let mut nodes = vec![Seen {
            id: self.config.id,
            inc: self.config.incarnation,
            name: &self.config.name,
            info: own,
        }];
        for peer in self.edges.up_peers() {
            let fits = peer.info.proto_min <= PROTO_MAX && peer.info.proto_max >= PROTO_MIN;
            let well =
                !matches!(peer.info.phase, PhaseName::Leaving | PhaseName::Gone | PhaseName::DiskFailed);
            // R8.7: whose disk does not answer would hold up the installation. Who is a member stays one.
            let member =
                |v: &super::Active| v.broken.is_none() && !v.frozen && v.is_member(peer.id, peer.inc);
            let stranger = !self.view.as_ref().is_some_and(member);
            let slow = stranger && if all { peer.info.stuck } else { peer.info.impaired };
            // R10.4: who lacks much is not invited before it has it, and does not ask before.
            let far = stranger && !all && self.waits_for_learner(peer.id);
            let learns = learning && peer.info.whole && peer.info.score.writable;
            // R11.3, on either side.
            let old = self.below_floor(&peer.info.feature)
                || compare_features(&self.config.feature, &peer.info.floor) == Ordering::Less;
            let held = self.held_down.get(&peer.id).is_some_and(|h| self.now < h.until);
            if fits
                && well
                && !held
                && !slow
                && !far
                && !learns
                && !old
                && !self.foreign.contains(&peer.name)
                && self.may_join(peer.id, &peer.name)
            {
                nodes.push(Seen { id: peer.id, inc: peer.inc, name: &peer.name, info: &peer.info });
            }
        }
        nodes.sort_by_key(|n| n.id);
        if nodes.len() > NODE_LIMIT {
            let me = self.config.id;
            while nodes.len() > NODE_LIMIT {
                let last = nodes.iter().rposition(|n| n.id != me).unwrap_or(0);
                nodes.remove(last);
            }
        }
        nodes
    }

    /// Recomputes the wish when something changed, and acts on it when its time has come.
    pub(super) fn poll_want(&mut self) {
        // A node that was held down may be asked again: nothing else needs to happen for that.
        self.dirty |= self.hold_ends.is_some_and(|at| at <= self.now);
        self.hold_ends = self.held_down.values().map(|h| h.until).filter(|t| *t > self.now).min();
        self.want_stale |= std::mem::take(&mut self.dirty);
        if self.want_stale && self.may_be_due() {
            self.want_stale = false;
            let since = self.want.as_ref().map(|w| w.since);
            self.want = self.wanted().map(|mut w| {
                w.since = since.unwrap_or(self.now);
                w
            });
        }
        if self.want_due().is_some_and(|at| self.now >= at)
            && let Some(want) = self.want.clone()
        {
            self.propose(&want);
        }
    }

    pub(super) fn want_deadline(&self) -> Option<Duration> {
        let held = self.held_down.values().map(|h| h.until).filter(|t| *t > self.now).min();
        let stale = self.want_stale.then(|| self.boot_ends()).flatten();
        self.want_due().into_iter().chain(held).chain(stale).min()
    }

    /// Whether looking for the best set can lead to anything now. A start with many nodes changes what is
    /// known with every beat of each, long before all are there.
    fn may_be_due(&self) -> bool {
        let Some(ends) = self.boot_ends() else { return true };
        let expected = self.expected();
        let there = self.edges.up_peers().filter(|p| p.info.edges.len() + 1 >= expected.len()).count();
        self.now >= ends
            || self.heard_active.is_some()
            || (there + 1 >= expected.len()
                && expected.iter().all(|name| {
                    name.eq_ignore_ascii_case(&self.config.name)
                        || self.edges.up_peers().any(|p| p.name.eq_ignore_ascii_case(name))
                }))
    }

    fn boot_ends(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Boot { until } => Some(*until),
            _ => None,
        }
    }

    fn want_due(&self) -> Option<Duration> {
        if !matches!(self.phase, Phase::Boot { .. } | Phase::Seeking | Phase::Active) || self.disk.switching()
        {
            return None;
        }
        let want = self.want.as_ref()?;
        let turn = want.since + want.settle + self.config.beat() * 2 * want.rank;
        let gate = self.boot_gate();
        Some(turn.max(self.backoff_until).max(gate))
    }

    /// R7.17: not before everybody configured is heard, or initdead has passed; where an active
    /// view is heard, its turn-taker has 2 D.
    fn boot_gate(&self) -> Duration {
        let Phase::Boot { until } = &self.phase else { return Duration::ZERO };
        let wanted = self.want.as_ref().map(|w| w.members.as_slice()).unwrap_or_default();
        let all = self.expected().iter().all(|n| {
            n.eq_ignore_ascii_case(&self.config.name)
                || self.edges.up_peers().any(|p| {
                    // Heard here and by the others: a smaller first view would be replaced at once.
                    p.name.eq_ignore_ascii_case(n) && wanted.iter().any(|(id, _)| *id == p.id)
                })
        });
        let active = self.heard_active.map(|t| t + self.config.deadtime * 2);
        match active {
            Some(at) => at,
            None if all => Duration::ZERO,
            None => *until,
        }
    }

    fn wanted(&self) -> Option<Want> {
        if !matches!(self.phase, Phase::Boot { .. } | Phase::Seeking | Phase::Active) {
            return None;
        }
        if matches!(self.phase, Phase::Boot { .. }) && self.learning.busy() {
            return None;
        }
        let own = self.make_info();
        let want = self.wanted_among(self.seen_nodes(&own, false));
        // Without quorum nobody is spared the waiting for a learner or a slow disk.
        let poor = match &want {
            Some(want) => !want.score.writable,
            None => self.view.as_ref().is_some_and(|v| !v.writable),
        };
        if poor { self.wanted_among(self.seen_nodes(&own, true)) } else { want }
    }

    fn wanted_among(&self, mut nodes: Vec<Seen<'_>>) -> Option<Want> {
        let me = self.config.id;
        let electorate = self.electorate();
        loop {
            let root = nodes.iter().position(|n| n.id == me)?;
            // Edges to members as they are, all others as both ends say (R5.3): a newcomer whose own hold
            // has not passed would refuse, and the view would have ended for nothing, again and again.
            let own = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active));
            let says: Vec<u64> = nodes
                .iter()
                .map(|n| match own {
                    _ if n.id == me => u64::MAX,
                    Some(v) if !v.is_member(n.id, n.inc) => mask_of(n.info.edges.iter().copied(), &nodes),
                    _ => mask_of(n.info.edges.iter().copied(), &nodes) | 1 << root,
                })
                .collect();
            let graph = Graph::mutual(&says);
            let members = self.view.as_ref().map(|v| v.members.as_slice()).unwrap_or_default();
            let mine = mask_of(members.iter().map(|m| m.id), &nodes);
            let leads = mask_where(&nodes, |n| n.info.dc && n.info.whole);
            // Its edge is up and will fall: a node that has just died is no reason to leave one that lives.
            let heard = self.edges.heard(self.now);
            let silent = mask_where(&nodes, |n| n.id != me && !heard.contains(&n.id));
            let set = graph.best(root, |mask| {
                let score = score_of(&nodes, mask, &electorate, &self.config.quorum).0;
                // Last, the set with the lowest identities: of two sets as large as each other, the one with the
                // lowest bit that is not in both.
                let alive = Reverse((mask & silent).count_ones());
                (score, alive, (mask & mine).count_ones(), mask & leads != 0, mask.reverse_bits())
            });
            let (score, flags) = score_of(&nodes, set, &electorate, &self.config.quorum);
            let ids: Vec<NodeId> = bits(set).filter_map(|i| nodes.get(i).map(|n| n.id)).collect();
            // R8.4: nobody is asked out of a view that is better for him. Who is in the view of this
            // node has none that is better: it ends as soon as this node promises another.
            let own = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active)).map(|v| v.id);
            let suffers = bits(set).find(|i| {
                nodes.get(*i).is_some_and(|n| {
                    n.id != me
                        && n.info.whole
                        && Some(n.info.view) != own
                        && score <= n.info.score
                        && !n.info.members.iter().all(|m| ids.contains(m))
                })
            });
            if let Some(i) = suffers {
                nodes.remove(i);
                continue;
            }
            let (reason, settle) = self.reason_to_change(&nodes, &ids, score, &flags)?;
            return Some(Want {
                since: self.now,
                rank: self.turn(&nodes, set),
                settle,
                members: bits(set).filter_map(|i| nodes.get(i).map(|n| (n.id, n.inc))).collect(),
                score,
                reason,
            });
        }
    }

    fn reason_to_change(
        &self,
        nodes: &[Seen<'_>],
        ids: &[NodeId],
        score: Score,
        flags: &Verdict,
    ) -> Option<(String, Duration)> {
        let Some(view) = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active)) else {
            return Some(("no view".into(), Duration::ZERO));
        };
        if let Some(broken) = &view.broken {
            return Some((broken.clone(), Duration::ZERO));
        }
        if view.frozen {
            return Some(("the last view ended".into(), Duration::ZERO));
        }
        let same = ids.len() == view.members.len()
            && view
                .members
                .iter()
                .all(|m| nodes.iter().any(|n| n.id == m.id && n.inc == m.inc) && ids.contains(&m.id));
        if same {
            // R15.3: flags are constant for the life of a view; another answer is another view. Beats
            // lag behind promises: a difference counts when it has lasted for two beats.
            let now = (flags.exclusive, flags.writable);
            let then = (view.exclusive, view.writable);
            // R15.7e is about beginning to write past a peer. One that comes back while this side
            // already writes is about to join: no reason to stop everything for a moment.
            let lasting = || now > then || self.without_heard(nodes, ids) != then;
            if view.dc == self.config.id && now != then && lasting() {
                return Some((format!("quorum: {}", flags.why), self.config.beat() * 2));
            }
            return None;
        }
        let superset = view.members.iter().all(|m| ids.contains(&m.id));
        (superset || score > view.score).then(|| {
            let new: Vec<&str> = nodes
                .iter()
                .filter(|n| ids.contains(&n.id) && !view.members.iter().any(|m| m.id == n.id))
                .map(|n| n.name)
                .collect();
            (format!("joining: {}", new.join(", ")), Duration::ZERO)
        })
    }

    /// What quorum would say if no absent node were heard.
    fn without_heard(&self, nodes: &[Seen<'_>], ids: &[NodeId]) -> (bool, bool) {
        let there = || nodes.iter().filter(|n| ids.contains(&n.id));
        let deaf: Vec<Facts> = there().map(|n| Facts { heard: Vec::new(), ..n.info.facts.clone() }).collect();
        let members: Vec<Candidate<'_>> =
            there().zip(&deaf).map(|(n, facts)| Candidate { facts, ..n.candidate() }).collect();
        let (_, v) = value_of(&members, &self.electorate(), &self.config.quorum);
        (v.exclusive, v.writable)
    }

    /// R7.4: the present DC of the better side first, then the order of §11.
    fn turn(&self, nodes: &[Seen<'_>], set: u64) -> u32 {
        let best_dc = bits(set)
            .filter_map(|i| nodes.get(i))
            .filter(|n| n.info.dc && n.info.view != Default::default())
            .max_by_key(|n| (n.info.whole, n.info.score, n.info.view, Reverse(n.id)))
            .map(|n| n.id);
        let mut order: Vec<Member> = bits(set)
            .filter_map(|i| nodes.get(i))
            .map(|n| Member {
                id: n.id,
                name: n.name.to_owned(),
                inc: n.inc,
                // Who has no view yet proposes after those who have.
                born: if n.info.born == Default::default() {
                    crate::seam::ViewId { epoch: u64::MAX, ..Default::default() }
                } else {
                    n.info.born
                },
                feature: String::new(),
                impaired: n.info.impaired,
            })
            .collect();
        order.sort_by(|a, b| {
            (Some(a.id) != best_dc).cmp(&(Some(b.id) != best_dc)).then_with(|| election::order(a, b, None))
        });
        let rank = order.iter().position(|m| m.id == self.config.id).unwrap_or(0);
        u32::try_from(rank).unwrap_or(RANK_LIMIT).min(RANK_LIMIT)
    }
}

impl<'a> Seen<'a> {
    fn candidate(&self) -> Candidate<'a> {
        Candidate {
            id: self.id,
            name: self.name,
            verified: self.info.verified,
            regressed: self.info.regressed,
            facts: &self.info.facts,
        }
    }
}

/// The nodes named, as bits; `nodes` are ordered by identity. `ids` mostly are too, so that the next one is looked for
/// where the last one was found first.
fn mask_of(ids: impl Iterator<Item = NodeId>, nodes: &[Seen<'_>]) -> u64 {
    let mut next = 0;
    let mut mask = 0;
    for id in ids {
        let place = match nodes.get(next) {
            Some(n) if n.id == id => Ok(next),
            _ => nodes.binary_search_by_key(&id, |n| n.id),
        };
        if let Ok(i) = place {
            mask |= 1 << i;
            next = i + 1;
        }
    }
    mask
}

fn mask_where(nodes: &[Seen<'_>], holds: impl Fn(&Seen<'_>) -> bool) -> u64 {
    nodes.iter().enumerate().filter(|(_, n)| holds(n)).fold(0, |mask, (i, _)| mask | 1 << i)
}

/// The value of a set as far as beats tell (R8.3).
fn score_of(
    nodes: &[Seen<'_>],
    set: u64,
    electorate: &Electorate,
    chain: &[super::Policy],
) -> (Score, Verdict) {
    let members: Vec<Candidate<'_>> = bits(set).filter_map(|i| nodes.get(i)).map(Seen::candidate).collect();
    value_of(&members, electorate, chain)
}

fn value_of(members: &[Candidate<'_>], electorate: &Electorate, chain: &[super::Policy]) -> (Score, Verdict) {
    let any_verified = members.iter().any(|m| m.verified);
    let all = electorate.voters.iter().all(|v| members.iter().any(|m| v.is(m.id, m.name)));
    let v = verdict(chain, electorate, members, any_verified, all);
    let score =
        Score { exclusive: v.exclusive, writable: v.writable, votes: v.votes, count: members.len() as u64 };
    (score, v)
}
