//! Who votes, and how that changes at run time (R15.1, R15.8, R15.9, R3.4).

use std::borrow::Cow;
use std::cmp::Ordering;

use super::*;
use crate::election::{compare_features, lowest_feature};
use crate::membership::choice::NODE_LIMIT;
use crate::replication::entry::Op;

impl Group {
    /// Who votes: that of the history, or before there is one the nodes of ha.cf (R15.1).
    pub(super) fn electorate(&self) -> Cow<'_, Electorate> {
        if self.state.durable.electorate.voters.is_empty() {
            Cow::Owned(self.configured_electorate())
        } else {
            Cow::Borrowed(&self.state.durable.electorate)
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
        Electorate { voters, ..Electorate::default() }
    }

    /// Nodes of the electorate, of ha.cf, or any with `autojoin` (R15.1).
    pub(super) fn may_join(&self, id: NodeId, name: &str) -> bool {
        let electorate = self.admitted();
        if electorate.voter(id, name).is_some() {
            return true;
        }
        // A node that was taken out stays out until it is added again.
        !electorate.removed.iter().any(|n| n.eq_ignore_ascii_case(name))
            && (self.config.autojoin || self.config.nodes.iter().any(|n| n.name.eq_ignore_ascii_case(name)))
    }

    /// Whom a start waits for (R7.17): the voters of the history, else the nodes of ha.cf.
    pub(super) fn expected(&self) -> Vec<&str> {
        let voters = &self.state.durable.electorate.voters;
        if voters.is_empty() {
            self.config.nodes.iter().map(|n| n.name.as_str()).collect()
        } else {
            voters.iter().map(|v| v.name.as_str()).collect()
        }
    }

    /// Whether a node that speaks this feature set has fallen behind the cluster (R11.3).
    pub(super) fn below_floor(&self, feature: &str) -> bool {
        compare_features(feature, &self.state.durable.electorate.floor) == Ordering::Less
    }

    /// Tells the link who may speak: the names of ha.cf and the voters, without those taken out.
    pub(super) fn tell_nodes(&mut self) {
        let electorate = self.admitted();
        if self.told_nodes.as_ref() == Some(electorate) {
            return;
        }
        let configured = self.config.nodes.iter().map(|n| &n.name).filter(|n| {
            !electorate.removed.iter().any(|r| r.eq_ignore_ascii_case(n))
                || electorate.voters.iter().any(|v| v.name.eq_ignore_ascii_case(n))
        });
        let mut names: Vec<String> = Vec::new();
        for name in configured.chain(electorate.voters.iter().map(|v| &v.name)) {
            if !names.iter().any(|n| n.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        self.told_nodes = Some(electorate.clone());
        self.out.push(GroupAction::Link(LinkCommand::Nodes(names)));
    }

    /// R15.1: the electorate is born in the first writable view; identities are filled in as nodes
    /// are seen, autojoin nodes get their vote.
    pub(super) fn bind_electorate(&mut self) {
        let Some(view) = self.view.as_ref().filter(|v| v.writable) else { return };
        let present = &self.state.durable.electorate;
        let mut next = self.electorate().into_owned();
        let mut changed = present.voters.is_empty();
        let mut renewed: Vec<String> = Vec::new();
        let mut voteless: Vec<String> = Vec::new();
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
                // R17.5: the lists of the nodes differ; what the cluster agreed on counts.
                None => voteless.push(m.name.clone()),
            }
        }
        // R11.3: every voter has been seen at the level of this view or above: nobody falls back below it.
        let level = lowest_feature(view.members.iter()).to_owned();
        let reached = |v: &Voter| {
            view.members.iter().any(|m| v.is(m.id, &m.name))
                || self.edges.peers().any(|p| {
                    v.is(p.id, &p.name) && compare_features(&p.info.feature, &level) != Ordering::Less
                })
        };
        let raised =
            compare_features(&level, &next.floor) == Ordering::Greater && next.voters.iter().all(reached);
        if raised {
            next.floor.clone_from(&level);
            changed = true;
        }
        let idle = view.held == 0;
        for name in voteless {
            let text = format!("node {name} is a member without a vote: hb_addnode {name} gives it one");
            self.log(Level::Warning, text);
        }
        if changed && idle {
            next.voters.sort();
            next.number += 1;
            self.append(Op::Electorate(next), None);
            if raised {
                let text =
                    format!("every node speaks feature set {level}: older software cannot join any more");
                self.log(Level::Info, text);
            }
            for name in renewed {
                let text = format!("node {name} has a new identity: it votes under this one from now on");
                self.log(Level::Warning, &text);
            }
        }
    }

    /// `hb_addnode` and `hb_delnode`.
    /// # Errors
    /// Exit code and sentence; nothing changed.
    pub(super) fn evaluate_nodes(&self, change: &Change) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        let mut next = self.changeable_electorate()?;
        match change {
            Change::AddNode { name, votes } => {
                if name.is_empty() || name.len() > 64 || name.contains(char::is_whitespace) {
                    return Err((64, format!("\"{name}\" is no name of a node")));
                }
                next.removed.retain(|n| !n.eq_ignore_ascii_case(name));
                let full = next.voters.len() >= NODE_LIMIT;
                match next.voters.iter_mut().find(|v| v.name.eq_ignore_ascii_case(name)) {
                    Some(v) => v.votes = u64::from(*votes),
                    None if full => {
                        return Err((16, format!("a cluster has at most {NODE_LIMIT} nodes")));
                    }
                    None => {
                        let id = self.edges.peers().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.id);
                        next.voters.push(Voter { name: name.clone(), id, votes: u64::from(*votes) });
                    }
                }
            }
            Change::RemoveNode { name } => {
                let member = self
                    .view
                    .as_ref()
                    .is_some_and(|v| v.members.iter().any(|m| m.name.eq_ignore_ascii_case(name)));
                if member {
                    return Err((16, format!("node {name} is a member: stop the cluster there first")));
                }
                let before = next.voters.len();
                next.voters.retain(|v| !v.name.eq_ignore_ascii_case(name));
                if next.voters.len() == before {
                    return Err((6, format!("no node is called {name}")));
                }
                next.removed.push(name.clone());
                // Names nobody uses any more: the oldest is forgotten.
                if next.removed.len() > NODE_LIMIT {
                    next.removed.remove(0);
                }
            }
            Change::Cib(_) | Change::DismissConflict { .. } | Change::Conflict(_) => {}
        }
        self.electorate_op(next)
    }

    /// R15.8: one change at a time.
    pub(super) fn changeable_electorate(&self) -> Result<Electorate, (i32, String)> {
        let view = self.view.as_ref();
        if view.is_some_and(|v| v.committed_electorate.as_ref() != Some(&self.electorate())) {
            return Err((16, "another change of the nodes is not finished".into()));
        }
        Ok(self.electorate().into_owned())
    }

    /// R15.8: only when the view has quorum in the new electorate too.
    pub(super) fn electorate_op(
        &self,
        mut next: Electorate,
    ) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        next.voters.sort();
        next.number += 1;
        let Some(view) = &self.view else { return Err((16, "no view".into())) };
        let votes: u64 = view.members.iter().filter_map(|m| next.voter(m.id, &m.name)).map(|v| v.votes).sum();
        // Half suffices for the second voter of a cluster of one: no majority of the new set can go without this
        // side, and it waits for the other before it writes again. Nodes without a vote do not count.
        let two = next.voters.iter().filter(|v| v.votes > 0).count() == 2;
        let enough = votes * 2 > next.votes() || (two && votes * 2 == next.votes());
        if !enough {
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
