//! What a round comes to: the best set among those who promised, its base and quorum, and the Install
//! that says so (§8, R9.7, R11.1, §15).

use std::collections::BTreeMap;

use super::message::{Install, Promise, StatusBase};
use super::{Group, Member};
use crate::election;
use crate::membership::choice::{Graph, bits};
use crate::membership::info::Score;
use crate::membership::quorum::{Candidate, Verdict, verdict};
use crate::replication::merge::{self, Base, Exclusive, Holder};
use crate::sabotage::{self, Rule};
use crate::seam::{NodeId, Stamp, ViewId};

/// What the chosen members agree on.
pub(super) struct Choice {
    pub members: Vec<NodeId>,
    base: Base,
    verdict: Verdict,
    score: Score,
}

impl Group {
    pub(super) fn choose(&self, promises: &BTreeMap<NodeId, Promise>) -> Option<Choice> {
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
        let candidates: Vec<Candidate<'_>> = members
            .iter()
            .zip(&holders)
            .map(|(q, holder)| Candidate {
                id: q.member.id,
                name: &q.member.name,
                verified: holder.verified,
                regressed: holder.regressed,
                facts: &q.facts,
            })
            .collect();
        let verified = candidates.iter().any(|c| c.verified);
        // R15.8: the old electorate and every one of the uncommitted tail must be satisfied.
        let mut v = source
            .electorates
            .iter()
            .map(|e| {
                let all = e.voters.iter().all(|v| candidates.iter().any(|c| v.is(c.id, c.name)));
                verdict(&self.config.quorum, e, &candidates, verified, all)
            })
            .min_by_key(|v| (v.exclusive, v.writable, v.votes))?;
        // Half of the votes may fence the other half for quorum, but not those that say it has no vote any more (R15.8).
        v.tie &= self.taken_out_by.is_empty();
        let score = Score {
            exclusive: v.exclusive,
            writable: v.writable,
            votes: v.votes,
            count: members.len() as u64,
        };
        Some((base, v, score))
    }
}

pub(super) fn make_install(
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
