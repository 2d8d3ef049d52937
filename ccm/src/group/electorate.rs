//! Who votes, and how that changes at run time (R15.1, R15.8, R15.9, R3.4).

use super::*;
use crate::replication::entry::Op;

impl Group {
    /// Who votes: that of the history, or before there is one the nodes of ha.cf (R15.1).
    pub(super) fn electorate(&self) -> Electorate {
        if self.state.durable.electorate.voters.is_empty() {
            self.configured_electorate()
        } else {
            self.state.durable.electorate.clone()
        }
    }

    pub(super) fn configured_electorate(&self) -> Electorate {
        let mut voters: Vec<Voter> = self
            .config
            .nodes
            .iter()
            .map(|n| {
                let id = if n.name.eq_ignore_ascii_case(&self.config.name) {
                    Some(self.config.id)
                } else {
                    self.edges.peers().find(|p| p.name.eq_ignore_ascii_case(&n.name)).map(|p| p.id)
                };
                Voter { name: n.name.clone(), id, votes: u64::from(n.votes) }
            })
            .collect();
        voters.sort();
        Electorate { voters, number: 0 }
    }

    /// Nodes of the electorate, of ha.cf, or any with `autojoin` (R15.1).
    pub(super) fn may_join(&self, id: NodeId, name: &str) -> bool {
        self.config.autojoin
            || self.config.nodes.iter().any(|n| n.name.eq_ignore_ascii_case(name))
            || self.state.durable.electorate.voter(id, name).is_some()
    }

    /// R15.1: the electorate is born in the first writable view; identities are filled in as nodes
    /// are seen, autojoin nodes get their vote.
    pub(super) fn bind_electorate(&mut self) {
        let Some(view) = self.view.as_ref().filter(|v| v.writable) else { return };
        let present = &self.state.durable.electorate;
        let mut next = self.electorate();
        let mut changed = present.voters.is_empty();
        let mut renewed: Vec<String> = Vec::new();
        for m in &view.members {
            // R15.9: the node behind this name has lost its identity, and the old one is not here.
            if !next.voters.iter().any(|v| v.is(m.id, &m.name))
                && let Some(v) = next.voters.iter_mut().find(|v| replaces(v, m, &view.members))
            {
                v.id = Some(m.id);
                renewed.push(m.name.clone());
                changed = true;
            }
            match next.voters.iter_mut().find(|v| v.is(m.id, &m.name)) {
                Some(v) if v.id.is_none() => {
                    v.id = Some(m.id);
                    changed = true;
                }
                Some(_) => {}
                None if self.config.autojoin => {
                    next.voters.push(Voter { name: m.name.clone(), id: Some(m.id), votes: 1 });
                    changed = true;
                }
                None => {}
            }
        }
        if changed && view.held == 0 {
            next.voters.sort();
            next.number += 1;
            self.append(Op::Electorate(next), None);
            for name in renewed {
                let text = format!("node {name} has a new identity: it votes under this one from now on");
                self.log(Level::Warning, &text);
            }
        }
    }

    /// R15.8: one change at a time.
    pub(super) fn changeable_electorate(&self) -> Result<Electorate, (i32, String)> {
        let view = self.view.as_ref();
        if view.is_some_and(|v| v.committed_electorate.as_ref() != Some(&self.electorate())) {
            return Err((16, "another change of the nodes is not finished".into()));
        }
        Ok(self.electorate())
    }

    /// R15.8: only when the view has quorum in the new electorate too.
    pub(super) fn electorate_op(&self, mut next: Electorate) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        next.voters.sort();
        next.number += 1;
        let Some(view) = &self.view else { return Err((16, "no view".into())) };
        let votes: u64 = view.members.iter().filter_map(|m| next.voter(m.id, &m.name)).map(|v| v.votes).sum();
        if votes * 2 <= next.votes() {
            return Err((16, "the members present would have no majority among those nodes".into()));
        }
        Ok((Some(Op::Electorate(next)), None))
    }
}

/// Whether `member` is this voter under a new identity: of its name, and the old identity is not here. (The link lets
/// nobody in under the name of a node that is alive: R3.4.)
pub(super) fn replaces(voter: &Voter, member: &Member, members: &[Member]) -> bool {
    let old = voter.id.filter(|old| *old != member.id);
    old.is_some_and(|old| members.iter().all(|m| m.id != old))
        && voter.name.eq_ignore_ascii_case(&member.name)
}
