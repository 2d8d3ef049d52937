//! May this set of members write? A pure function of the electorate and of facts (protocol §15).

use std::collections::BTreeSet;

use crate::codec::{CodecError, Reader, Wire, Writer, wire_struct};
use crate::sabotage::{self, Rule};
use crate::seam::NodeId;

/// One link of the quorum chain (R15.2). Asked in order; the first that does not say "tie" or
/// "not me" decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// More than half of the votes; exactly half is a tie.
    Majority,
    /// On a tie, the half with the named node.
    TieNode(String),
    /// On a tie, the half that reaches more than half of the ping nodes. Not exclusive.
    Ping,
    /// Exactly two voters: one alone goes on, under the rules of R15.7. Not exclusive.
    TwoNodes,
    /// Every voter needed for a majority is confirmed fenced. Exclusive where at least half of the votes are there and
    /// each of these nodes has shared a view with every absent one since its start.
    Fenced,
    /// Always. Not exclusive.
    Ignore,
}

/// What is wrong with the words of `env quorum=`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    #[error("\"{0}\" is no quorum rule")]
    Unknown(String),
    #[error("\"tie-node\" names no node")]
    NoTieNode,
    /// Heartbeat asked a quorum server over TLS; there is none here.
    #[error("\"quorumd\" asks a quorum server, and everbeat has no client for one")]
    QuorumServer,
}

impl ChainError {
    /// What to write instead.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Unknown(_) => {
                "majority, weight, tie-node:NAME, ping, twonodes, fenced or ignore, joined by colons"
            }
            Self::NoTieNode => "\"tie-node:NAME\", the node whose half goes on when the votes are equal",
            Self::QuorumServer => {
                "another tie-breaker, such as \"env quorum=majority:tie-node:NAME\", or \"majority:ping\" with a ping line"
            }
        }
    }
}

impl Policy {
    /// The rules that `env quorum=` names (specification `membership.md` §2.1), and `tie-node:NAME`, `ping`,
    /// `fenced`, `ignore` of our own. Confirmed fencing counts before a rule that only trusts, and ping
    /// nodes where there are any (`pings`).
    pub fn chain(text: &str, pings: bool) -> Result<Vec<Self>, ChainError> {
        let mut chain = Vec::new();
        let mut words = text.split(':').map(str::trim);
        while let Some(word) = words.next() {
            match word {
                // Both count the votes that `weight` lines give, one each without.
                "majority" | "weight" => chain.push(Self::Majority),
                "twonodes" => {
                    chain.push(Self::Fenced);
                    chain.push(if pings { Self::Ping } else { Self::TwoNodes });
                }
                "ping" => chain.push(Self::Ping),
                "fenced" => chain.push(Self::Fenced),
                "ignore" => chain.push(Self::Ignore),
                "tie-node" => match words.next() {
                    Some(node) if !node.is_empty() => chain.push(Self::TieNode(node.to_owned())),
                    _ => return Err(ChainError::NoTieNode),
                },
                "quorumd" => return Err(ChainError::QuorumServer),
                other => return Err(ChainError::Unknown(other.to_owned())),
            }
        }
        Ok(chain)
    }

    /// `majority:fenced:ping:twonodes`: Heartbeat's default, with evidence asked before trust.
    pub fn default_chain() -> Vec<Self> {
        vec![Self::Majority, Self::Fenced, Self::TwoNodes]
    }
}

/// A voter. The identity is unknown until the node was first seen in a writable view.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Voter {
    pub name: String,
    pub id: Option<NodeId>,
    pub votes: u64,
}
wire_struct!(Voter { name, id, votes });

impl Voter {
    pub fn is(&self, id: NodeId, name: &str) -> bool {
        match self.id {
            Some(own) => own == id,
            None => self.name.eq_ignore_ascii_case(name),
        }
    }
}

/// Who votes (R15.1); part of the replicated state.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Electorate {
    /// Ordered by name.
    pub voters: Vec<Voter>,
    /// How often it changed.
    pub number: u64,
    /// Names taken out by an administrator: such a node does not come back by being in ha.cf, or by
    /// `autojoin`, until it is added again.
    pub removed: Vec<String>,
    /// Lowest feature set a member may speak (R11.3); empty before the first view that may write.
    pub floor: String,
}

impl Wire for Electorate {
    fn write(&self, w: &mut Writer) {
        w.put(&self.voters).u64(self.number).put(&self.removed).put(&self.floor);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { voters: r.get()?, number: r.u64()?, removed: r.get()?, floor: r.get()? })
    }
}

impl Electorate {
    pub fn votes(&self) -> u64 {
        self.voters.iter().map(|v| v.votes).sum()
    }

    pub fn voter(&self, id: NodeId, name: &str) -> Option<&Voter> {
        self.voters.iter().find(|v| v.is(id, name))
    }
}

/// A candidate as the quorum rules see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    pub id: NodeId,
    pub name: &'a str,
    pub verified: bool,
    pub regressed: bool,
    pub facts: &'a Facts,
}

/// What one node knows that may break a tie; carried in its beats and promises.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// At least one medium has carrier.
    pub carrier: bool,
    /// Ping nodes configured and reached.
    pub pings: u64,
    pub pings_reached: u64,
    /// Must fence before going on alone.
    pub fencing: bool,
    /// Last view record was `alone` and writable (R15.7a).
    pub was_alone: bool,
    /// Nodes it has shared a view with since its start (R15.7b).
    pub together: Vec<NodeId>,
    /// Nodes confirmed fenced since they were last heard (R15.5, R15.7c).
    pub fenced: Vec<NodeId>,
    /// Nodes that said goodbye and were not heard since: everything there is stopped (R15.7e).
    pub left: Vec<NodeId>,
    /// The administrator's word (R15.7d).
    pub assume_alone: bool,
    /// Nodes heard in at least one direction.
    pub heard: Vec<NodeId>,
}
wire_struct!(Facts {
    carrier,
    pings,
    pings_reached,
    fencing,
    was_alone,
    together,
    fenced,
    left,
    assume_alone,
    heard
});

/// The answer of the chain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Verdict {
    pub exclusive: bool,
    pub writable: bool,
    /// Votes counted.
    pub votes: u64,
    /// Half of the votes, undecided.
    pub tie: bool,
    pub why: String,
}

/// Whether this node has shared a view with all of these since it started. Then it knows what any of them wrote with
/// quorum and without it: such a set was gone before they met, or has to fence this node first, which ends its start.
fn has_met(c: &Candidate<'_>, others: &[&Voter]) -> bool {
    others.iter().all(|v| v.id.is_some_and(|id| c.facts.together.contains(&id)))
}

/// Whether the other half may write by itself, because a node that breaks ties is there.
fn tie_is_away(chain: &[Policy], members: &[Candidate<'_>]) -> bool {
    let away = |name: &str| !members.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    chain.iter().any(|policy| matches!(policy, Policy::TieNode(name) if away(name)))
}

/// Applies the chain to `members` under `electorate`. `all_promised`: every voter is among those
/// who promised, so nobody is missing who could know more (R15.10a). `promisers_verified`: some
/// promiser is verified.
pub fn verdict(
    chain: &[Policy],
    electorate: &Electorate,
    members: &[Candidate<'_>],
    promisers_verified: bool,
    all_promised: bool,
) -> Verdict {
    let every = all_promised || !promisers_verified || sabotage::out(Rule::VerifiedVotes);
    let question = Question::new(chain, electorate, members, every);
    let mut answer = Verdict { votes: question.votes, ..Verdict::default() };
    for policy in chain {
        let yes = match policy {
            Policy::Majority => question.majority(&mut answer),
            Policy::TieNode(name) => question.tie_node(name),
            Policy::Fenced => question.fenced(),
            Policy::Ping => question.ping(&mut answer),
            Policy::TwoNodes => question.two_nodes(&mut answer),
            Policy::Ignore => question.ignore(&mut answer),
        };
        if let Some(Yes { exclusive, why }) = yes {
            return Verdict { exclusive, writable: true, why, ..answer };
        }
    }
    answer
}

/// A policy says that the members may write.
struct Yes {
    exclusive: bool,
    why: String,
}

/// What the policies are asked about: a set of members, and who is missing.
struct Question<'a> {
    chain: &'a [Policy],
    electorate: &'a Electorate,
    members: &'a [Candidate<'a>],
    /// Every vote counts; else those of verified nodes (R15.10).
    every: bool,
    votes: u64,
    total: u64,
    absent: Vec<&'a Voter>,
    absent_heard: bool,
    /// Confirmed by any of the members.
    dead: BTreeSet<NodeId>,
}

impl<'a> Question<'a> {
    fn new(
        chain: &'a [Policy],
        electorate: &'a Electorate,
        members: &'a [Candidate<'a>],
        every: bool,
    ) -> Self {
        let is_absent = |v: &&Voter| v.votes > 0 && !members.iter().any(|c| v.is(c.id, c.name));
        let absent: Vec<&Voter> = electorate.voters.iter().filter(is_absent).collect();
        let hears = |id: NodeId| members.iter().any(|c| c.facts.heard.contains(&id));
        let absent_heard = absent.iter().any(|v| v.id.is_some_and(hears));
        let dead = members.iter().flat_map(|c| c.facts.fenced.iter().copied()).collect();
        let total = electorate.votes();
        let mut question =
            Self { chain, electorate, members, every, votes: 0, total, absent, absent_heard, dead };
        let counted = members.iter().filter(|c| question.counts(c));
        question.votes = counted.filter_map(|c| electorate.voter(c.id, c.name)).map(|v| v.votes).sum();
        question
    }

    /// R15.10: where anybody is verified, only the verified count, unless nobody is missing.
    fn counts(&self, c: &Candidate<'_>) -> bool {
        self.every || c.verified
    }

    fn half(&self) -> bool {
        self.total > 0 && self.votes * 2 == self.total
    }

    fn majority(&self, answer: &mut Verdict) -> Option<Yes> {
        let (votes, total) = (self.votes, self.total);
        if votes * 2 > total || (self.half() && sabotage::out(Rule::MoreThanHalf)) {
            return Some(Yes { exclusive: true, why: format!("{votes} of {total} votes") });
        }
        answer.why = format!("{votes} of {total} votes are no majority");
        let voter = |c: &&Candidate<'_>| self.electorate.voter(c.id, c.name).is_some();
        let silent = self.members.iter().filter(|c| !self.counts(c)).filter(voter);
        let silent: Vec<&str> = silent.map(|c| c.name).collect();
        if !silent.is_empty() {
            answer.why += &forgot(&silent, &self.absent);
        }
        answer.tie = self.half();
        None
    }

    fn tie_node(&self, name: &str) -> Option<Yes> {
        let there = self.members.iter().any(|c| c.name.eq_ignore_ascii_case(name));
        (self.half() && there)
            .then(|| Yes { exclusive: true, why: format!("half of the votes and the tie node {name}") })
    }

    fn fenced(&self) -> Option<Yes> {
        if self.absent_heard {
            return None;
        }
        let votes = |c: &&Candidate<'_>| {
            self.counts(c) && self.electorate.voter(c.id, c.name).is_some_and(|v| v.votes > 0)
        };
        let current = self.members.iter().filter(votes).all(|c| has_met(c, &self.absent));
        let linked = self.votes * 2 >= self.total && current && !tie_is_away(self.chain, self.members);
        by_fencing((self.votes, self.total), &self.absent, &self.dead, linked)
            .map(|why| Yes { exclusive: linked, why })
    }

    fn ping(&self, answer: &mut Verdict) -> Option<Yes> {
        let reached = self.members.iter().any(|c| c.facts.pings_reached * 2 > c.facts.pings);
        if !self.half() || self.absent_heard || !reached {
            return None;
        }
        // Whatever answers: who has not met the others since its start does not go on without them (R15.7).
        // They may have fenced it, for quorum of their own.
        if !may_know(self.members, &self.absent, &self.dead) {
            answer.why = wait_for_all(&self.absent);
            return None;
        }
        Some(Yes { exclusive: false, why: "half of the votes and most ping nodes".into() })
    }

    fn two_nodes(&self, answer: &mut Verdict) -> Option<Yes> {
        let two = self.electorate.voters.iter().filter(|v| v.votes > 0).count() == 2;
        if !two || self.absent.len() != 1 || self.votes == 0 {
            return None;
        }
        match two_nodes(self.members, &self.absent, self.absent_heard, &self.dead) {
            Ok(why) => Some(Yes { exclusive: false, why: why.into() }),
            Err(why) => {
                (answer.why, answer.tie) = (why, true);
                None
            }
        }
    }

    fn ignore(&self, answer: &mut Verdict) -> Option<Yes> {
        if self.absent_heard {
            answer.why = "an absent voter is still heard".into();
            return None;
        }
        Some(Yes { exclusive: false, why: "quorum is not asked for by policy".into() })
    }
}

/// R15.5: votes of absent voters confirmed dead are not needed any more; why a set with so many votes of so many may
/// write, if that suffices. Fewer than half, or those that have not met the absent since, may lack what others wrote
/// with quorum: such a view is not one of the line that nothing is lost from (R15.6, `linked`).
fn by_fencing(
    (votes, total): (u64, u64),
    absent: &[&Voter],
    fenced: &BTreeSet<NodeId>,
    linked: bool,
) -> Option<String> {
    let dead: u64 =
        absent.iter().filter(|v| v.id.is_some_and(|id| fenced.contains(&id))).map(|v| v.votes).sum();
    let unlinked = if linked { "" } else { "; the others may hold what is not here" };
    (dead > 0 && votes > 0 && (votes + dead) * 2 > total)
        .then(|| format!("{votes} of {total} votes, {dead} more confirmed fenced{unlinked}"))
}

/// R15.10 for people: whose votes do not count, and what to do about it.
fn forgot(silent: &[&str], absent: &[&Voter]) -> String {
    let absent: Vec<&str> = absent.iter().map(|v| v.name.as_str()).collect();
    let (silent, absent) = (silent.join(", "), absent.join(", "));
    format!(
        "; the vote of {silent} does not count, for the disk there is new, wiped or set back, and {absent} may know \
         more: start {absent}, or if surely down say so with stonith_admin --confirm"
    )
}

/// R15.7 and design.md "Two nodes": may the half that is left go on?
fn two_nodes(
    members: &[Candidate<'_>],
    absent: &[&Voter],
    absent_heard: bool,
    fenced: &BTreeSet<NodeId>,
) -> Result<&'static str, String> {
    if absent_heard {
        return Err("the other node is heard and not a member: not writing past it".into()); // R15.7e
    }
    let other = absent.first().and_then(|v| v.id);
    let dead = other.is_some_and(|id| fenced.contains(&id));
    if dead {
        return Ok("the other of two nodes is confirmed fenced");
    }
    let any = |f: &dyn Fn(&Candidate<'_>) -> bool| members.iter().any(f);
    if !may_know(members, absent, fenced) {
        return Err(wait_for_all(absent));
    }
    if other.is_some_and(|id| any(&|c| c.facts.left.contains(&id))) {
        return Ok("the other of two nodes has left");
    }
    if any(&|c| c.facts.fencing) && !any(&|c| c.facts.pings_reached > 0) {
        return Err("the other of two nodes is not confirmed fenced".into());
    }
    if any(&|c| c.facts.pings > 0) {
        return if any(&|c| c.facts.pings_reached > 0) {
            Ok("one of two nodes, a ping node is reached")
        } else {
            Err("no ping node is reached: this node may be the one that is cut off".into())
        };
    }
    if any(&|c| c.facts.carrier) {
        Ok("one of two nodes, with carrier")
    } else {
        Err("no medium has carrier: this node is cut off".into())
    }
}

/// R15.7 for people.
fn wait_for_all(absent: &[&Voter]) -> String {
    let names: Vec<&str> = absent.iter().map(|v| v.name.as_str()).collect();
    format!("waiting for {}, who may know more (wait for all)", names.join(", "))
}

/// R15.7 (a) to (d): nobody absent can know of more than these members do, or an administrator says so.
fn may_know(members: &[Candidate<'_>], absent: &[&Voter], fenced: &BTreeSet<NodeId>) -> bool {
    let any = |f: &dyn Fn(&Candidate<'_>) -> bool| members.iter().any(f);
    let met =
        |v: &&Voter| v.id.is_some_and(|id| fenced.contains(&id) || any(&|c| c.facts.together.contains(&id)));
    absent.iter().all(met) || any(&|c| c.facts.was_alone && !c.regressed) || any(&|c| c.facts.assume_alone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn electorate(n: u8) -> Electorate {
        Electorate {
            voters: (0..n)
                .map(|i| Voter { name: format!("n{i}"), id: Some(NodeId([i; 16])), votes: 1 })
                .collect(),
            ..Electorate::default()
        }
    }

    struct Someone {
        id: NodeId,
        name: String,
        verified: bool,
        facts: Facts,
    }

    fn candidate(i: u8, facts: Facts) -> Someone {
        Someone { id: NodeId([i; 16]), name: format!("n{i}"), verified: true, facts }
    }

    fn all(members: &[Someone]) -> Vec<Candidate<'_>> {
        members
            .iter()
            .map(|m| Candidate {
                id: m.id,
                name: &m.name,
                verified: m.verified,
                regressed: false,
                facts: &m.facts,
            })
            .collect()
    }

    fn decide(n: u8, members: &[Someone]) -> Verdict {
        verdict(&Policy::default_chain(), &electorate(n), &all(members), true, false)
    }

    /// Two of three are a majority, one of three is not and no two-node rule helps it.
    #[test]
    fn majority() {
        let two = [candidate(0, Facts::default()), candidate(1, Facts::default())];
        assert!(decide(3, &two).exclusive);
        assert!(!decide(3, &two[..1]).writable);
        assert!(decide(1, &two[..1]).exclusive);
    }

    /// One of two goes on only if it has shared a view with the other since its start, has
    /// carrier, and does not hear it.
    #[test]
    fn one_of_two() {
        let with = |f: Facts| decide(2, &[candidate(0, f)]);
        let other = NodeId([1; 16]);
        let good = Facts { carrier: true, together: vec![other], ..Facts::default() };
        let v = with(good.clone());
        assert!(v.writable && !v.exclusive, "{v:?}");
        assert!(!with(Facts { together: vec![], ..good.clone() }).writable);
        assert!(!with(Facts { carrier: false, ..good.clone() }).writable);
        assert!(!with(Facts { heard: vec![other], ..good.clone() }).writable);
        assert!(!with(Facts { fencing: true, ..good.clone() }).writable);
        assert!(with(Facts { fencing: true, fenced: vec![other], ..good.clone() }).exclusive);
        assert!(with(Facts { fencing: true, left: vec![other], ..good.clone() }).writable);
        assert!(!with(Facts { pings: 1, ..good.clone() }).writable);
        assert!(with(Facts { pings: 1, pings_reached: 1, carrier: false, ..good }).writable);
    }

    /// Fencing gives the right to write; only who must know what the others wrote is of the line from which nothing is
    /// lost: a minority that shoots one of a majority is not.
    #[test]
    fn who_fences_may_lack_what_a_majority_wrote() {
        let facts = |together: &[u8], fenced: &[u8]| Facts {
            together: together.iter().map(|i| NodeId([*i; 16])).collect(),
            fenced: fenced.iter().map(|i| NodeId([*i; 16])).collect(),
            ..Facts::default()
        };
        let says = |n: u8, members: &[Someone]| {
            let v = decide(n, members);
            (v.writable, v.exclusive)
        };
        let everyone = [0, 1, 2, 3];
        assert_eq!(
            says(3, &[candidate(0, facts(&everyone, &[1]))]),
            (true, false),
            "one of three, against one"
        );
        assert_eq!(says(3, &[candidate(0, facts(&everyone, &[1, 2]))]), (true, false), "the last of three");
        assert_eq!(says(2, &[candidate(0, facts(&everyone, &[1]))]), (true, true));
        assert_eq!(says(2, &[candidate(0, facts(&[0], &[1]))]), (true, false), "it has not met the other");
        let half = |b: Facts| [candidate(0, facts(&everyone, &[2])), candidate(1, b)];
        assert_eq!(says(4, &half(facts(&everyone, &[]))), (true, true));
        assert_eq!(says(4, &half(facts(&[0, 1, 3], &[]))), (true, false), "one has not met who is fenced");
        let chain = [Policy::Majority, Policy::TieNode("n3".into()), Policy::Fenced];
        let v = verdict(&chain, &electorate(4), &all(&half(facts(&everyone, &[]))), true, false);
        assert_eq!(
            (v.writable, v.exclusive),
            (true, false),
            "the half with the tie node may write by itself"
        );
    }

    /// A blank disk's vote does not count beside a verified one.
    #[test]
    fn only_verified_votes_count() {
        let mut members = [candidate(0, Facts::default()), candidate(1, Facts::default())];
        members[1].verified = false;
        let chain = Policy::default_chain();
        assert!(!verdict(&chain, &electorate(3), &all(&members), true, false).writable);
        assert!(verdict(&chain, &electorate(3), &all(&members), true, true).writable);
        assert!(verdict(&chain, &electorate(3), &all(&members), false, false).writable);
    }
}
