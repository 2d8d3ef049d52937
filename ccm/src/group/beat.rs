//! What this node says of itself in every beat (protocol §5).

use super::*;

impl Group {
    pub(super) fn poll_beat(&mut self) {
        if matches!(self.phase, Phase::Gone) {
            return;
        }
        let info = self.make_info();
        let changed = relevant(&info) != relevant(&self.last_info);
        if self.now >= self.next_beat || changed || self.beat_now {
            self.edges.take_tick(self.now);
            self.out.push(GroupAction::Link(LinkCommand::SetBeat(BeatBody(info.record(BEAT_VERSION)))));
            if changed || self.beat_now {
                self.out.push(GroupAction::Link(LinkCommand::BeatNow));
            }
            if self.now >= self.next_beat {
                self.next_beat = self.now + self.config.beat();
            }
            self.beat_now = false;
            self.last_info = info;
        }
    }

    pub(super) fn make_info(&self) -> BeatInfo {
        let view = self.view.as_ref();
        let whole = self.view_whole();
        BeatInfo {
            seen: self.seen.max(self.promised.epoch),
            phase: match &self.phase {
                Phase::Boot { .. } => PhaseName::Boot,
                Phase::Seeking => PhaseName::Seeking,
                Phase::Proposing(_) => PhaseName::Proposing,
                Phase::Promised { .. } => PhaseName::Promised,
                Phase::Installing(_) => PhaseName::Installing,
                Phase::Active => PhaseName::Active,
                Phase::Leaving { .. } => PhaseName::Leaving,
                Phase::Gone => PhaseName::Gone,
                Phase::DiskFailed => PhaseName::DiskFailed,
            },
            view: view.map(|v| v.id).unwrap_or_default(),
            whole,
            promised: self.promised_here(),
            score: if whole { view.map(|v| v.score).unwrap_or_default() } else { Score::default() },
            members: view.map(|v| v.members.iter().map(|m| m.id).collect()).unwrap_or_default(),
            dc: view.is_some_and(|v| v.dc == self.config.id),
            born: self.born,
            dhead: self.state.durable.lineage.head(),
            commit: view.map_or(0, |v| v.committed),
            verified: self.record.verified,
            regressed: self.record.regressed,
            impaired: self.disk.impaired(self.now, self.config.deadtime),
            stuck: self.disk.stuck(self.now, self.config.deadtime),
            staged: self.learning.staged.as_ref().map(|s| s.lineage.head()).unwrap_or_default(),
            steps: self.learning.steps,
            floor: self.state.durable.electorate.floor.clone(),
            edges: self.edges.up_peers().map(|p| p.id).collect(),
            facts: self.facts(),
            feature: self.config.feature.clone(),
            proto_min: PROTO_MIN,
            proto_max: PROTO_MAX,
        }
    }

    /// What this incarnation promised; the floor of a dead one is nobody's business.
    pub(super) fn promised_here(&self) -> ViewId {
        if self.promised.proposer == NodeId([0xff; 16]) { ViewId::default() } else { self.promised }
    }

    pub(super) fn view_whole(&self) -> bool {
        matches!(self.phase, Phase::Active)
            && self.view.as_ref().is_some_and(|v| v.broken.is_none() && !v.frozen)
    }

    pub(super) fn facts(&self) -> Facts {
        let reached = self.witnesses.pings(&self.config.pings);
        Facts {
            carrier: self.witnesses.carrier(),
            pings: self.config.pings.len() as u64,
            pings_reached: reached as u64,
            fencing: self.config.fencing,
            was_alone: self.record.was_alone,
            together: self.together.iter().copied().collect(),
            fenced: self.fenced.keys().copied().collect(),
            left: self.edges.peers().filter(|p| p.left).map(|p| p.id).collect(),
            assume_alone: self.config.assume_alone || crate::sabotage::out(crate::sabotage::Rule::WaitForAll),
            heard: self.heard(),
        }
    }

    /// Nodes that are there, members or not (R15.7e).
    fn heard(&self) -> Vec<NodeId> {
        let mut heard = self.edges.heard(self.now);
        heard.extend(self.taken_out_by.keys());
        heard.sort_unstable();
        heard.dedup();
        heard
    }
}

/// The part of a beat on which the wanted set depends.
pub(super) fn relevant(info: &BeatInfo) -> impl PartialEq + use<'_> {
    (
        (info.phase, info.view, info.whole, info.promised, info.score),
        (&info.members, info.dc, info.born, info.impaired, info.verified, info.regressed),
        (&info.edges, &info.facts, info.stuck, &info.staged, &info.floor),
    )
}
