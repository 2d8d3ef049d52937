//! Why a resource is where it is, and why not elsewhere.

use std::collections::BTreeSet;

use super::cause::Cause;
use super::fact::Fact;
use super::outcome::leaves;
use super::remedy::Remedy;
use super::scene::Scene;
use super::words;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::options::QuorumPolicy;
use crate::policy::state::{Role, Variant};

/// Where nothing more is known about an instance that is not promoted.
const NO_REASON: &str = "its planned role does not allow it";

/// A resource on a node: the node's name and the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    pub node: String,
    pub role: Role,
}

/// Why a resource is not on a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotThere {
    pub node: String,
    /// The first thing that forbids it, or what the node lost by.
    pub fact: Fact,
    /// The node would be possible.
    pub possible: bool,
    /// The score there; none where the node is not in the resource's table.
    pub score: Option<i32>,
    /// The addends of the score, in order.
    pub addends: Vec<Fact>,
}

/// Why a leaf is on its node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct There {
    pub node: String,
    pub score: Option<i32>,
    pub addends: Vec<Fact>,
    /// The best of the other possible nodes, and what decided against it.
    pub against: Option<(String, Fact)>,
}

/// Everything there is to say about one resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub resource: String,
    pub kind: &'static str,
    /// Where it is now.
    pub now: Vec<Spot>,
    /// Where it is once the present plan is carried out.
    pub after: Vec<Spot>,
    /// One sentence.
    pub headline: String,
    /// What concerns it whatever the node.
    pub general: Vec<Fact>,
    pub there: Vec<There>,
    pub elsewhere: Vec<NotThere>,
    /// Members of a group or instances that have something of their own to say.
    pub parts: Vec<Explanation>,
    /// What the plan does about it, and why.
    pub actions: Vec<Cause>,
    /// What would let it run, where it does not.
    pub remedy: Option<Remedy>,
    /// The node that was asked about.
    pub asked: Option<String>,
}

impl Scene {
    /// Explains one resource; with a node, for that node alone. Without the search for a remedy.
    pub(super) fn explain(&self, r: ResourceIx, node: Option<NodeIx>) -> Explanation {
        let st = self.st();
        let mut out = Explanation {
            resource: match st[r].is_primitive() && st[r].parent.is_some() {
                true => st[r].id.clone(),
                false => self.id(r).to_owned(),
            },
            kind: self.kind(r),
            now: self.spots(&self.now(r)),
            after: self.spots(&self.after(r)),
            headline: String::new(),
            general: Vec::new(),
            there: Vec::new(),
            elsewhere: Vec::new(),
            parts: Vec::new(),
            actions: Vec::new(),
            remedy: None,
            asked: node.map(|n| self.node(n).to_owned()),
        };
        out.headline = self.headline(r);
        match st[r].variant() {
            Variant::Primitive => self.explain_leaf(r, node, &mut out),
            Variant::Group => self.explain_group(r, node, &mut out),
            Variant::Clone | Variant::Bundle => self.explain_clone(r, node, &mut out),
        }
        out
    }

    fn spots(&self, places: &[(NodeIx, Role)]) -> Vec<Spot> {
        places.iter().map(|(n, role)| Spot { node: self.node(*n).to_owned(), role: *role }).collect()
    }

    fn headline(&self, r: ResourceIx) -> String {
        let st = self.st();
        let id = match st[r].is_primitive() && st[r].parent.is_some() {
            true => st[r].id.as_str(),
            false => self.id(r),
        };
        let (now, after) = (self.now(r), self.after(r));
        let places = |list: &[(NodeIx, Role)]| {
            let promoted: Vec<&str> = Self::promoted(list).into_iter().map(|n| self.node(n)).collect();
            let plain: Vec<(NodeIx, Role)> =
                list.iter().copied().filter(|(_, role)| *role != Role::Promoted).collect();
            let plain = self.names(&plain);
            match (promoted.is_empty(), plain.is_empty()) {
                (true, _) => words::list(&plain),
                (false, true) => format!("{} (promoted)", words::list(&promoted)),
                (false, false) => {
                    format!("{} (promoted) and {}", words::list(&promoted), words::list(&plain))
                }
            }
        };
        let count = match st[r].variant() {
            Variant::Clone => {
                let max = st[r].clone_info().map_or(0, |c| c.max);
                format!(", {} of {max} instances", after.len().min(self.instances_up(r)))
            }
            Variant::Bundle => st[r].bundle_info().map_or_else(String::new, |info| {
                let up = info.replicas.iter().filter(|x| !self.after(x.container).is_empty()).count();
                format!(", {up} of {} replicas", info.replicas_max)
            }),
            _ => String::new(),
        };
        let unmanaged = match leaves(st, r).first().map(|l| self.unmanaged(*l)).unwrap_or_default().first() {
            Some(fact) if fact.code == "blocked" => " (blocked)",
            Some(fact) if fact.code == "no-fencing" => "",
            Some(_) => " (unmanaged)",
            None => "",
        };
        let gone = |n: &NodeIx| !st[*n].online && !st.is_guest_node(*n);
        if !now.is_empty() && now == after && now.iter().all(|(n, _)| gone(n)) {
            let names = self.names(&now);
            return format!(
                "{id} was last known to run on {}, which is gone and was not fenced",
                words::list(&names)
            );
        }
        match (now.is_empty(), after.is_empty()) {
            (true, true) => format!("{id} runs nowhere{unmanaged}"),
            (true, false) => format!("{id} is to start on {}{count}", places(&after)),
            (false, true) => format!("{id} runs on {} and is to stop", places(&now)),
            _ if now == after => format!("{id} runs on {}{count}{unmanaged}", places(&now)),
            _ if self.names(&now) == self.names(&after) => {
                format!("{id} runs on {} and is to become: {}", places(&now), places(&after))
            }
            _ => format!("{id} runs on {} and is to be on {}{count}", places(&now), places(&after)),
        }
    }

    fn instances_up(&self, clone: ResourceIx) -> usize {
        self.st()[clone].children.iter().filter(|c| !self.after(**c).is_empty()).count()
    }

    fn explain_leaf(&self, r: ResourceIx, node: Option<NodeIx>, out: &mut Explanation) {
        let st = self.st();
        out.general = self.general(r);
        let settled = !out.general.is_empty();
        out.general.extend(self.waits(r, &mut Vec::new()));
        let at = st[r].assigned_node();
        if !settled && !out.general.is_empty() && node.is_none() {
            // It has its place and waits for something else: other nodes would not help.
            return;
        }
        if let Some(at) = at
            && st[r].flags.managed
            && node.is_none_or(|n| n == at)
        {
            out.there.push(self.there(r, at));
        }
        // Where the plan gives it no node, each node says why; where nothing may run it, that was said.
        if settled && (at.is_none() || !st[r].flags.managed) {
            if let Some(n) = node {
                out.elsewhere.extend(self.node_trouble(n).map(|fact| self.not_there(r, n, fact, false)));
            }
            return;
        }
        for n in st.node_order.iter().copied().filter(|n| Some(*n) != at && node.is_none_or(|x| x == *n)) {
            if self.beside_the_point(r, n) && node.is_none() {
                continue;
            }
            let (fact, possible) = match self.forbids_deeply(r, n, &mut vec![r]) {
                Some(fact) => (fact, false),
                None => match self.lost(r, n) {
                    Some(fact) => (fact, true),
                    None => (Fact::new("not-chosen", "nothing forbids it there"), true),
                },
            };
            out.elsewhere.push(self.not_there(r, n, fact, possible));
        }
    }

    /// Nodes that a resource could never be on are not worth a line: the nodes that bundles are, but for what
    /// a bundle contains; for that, all other nodes.
    pub(super) fn beside_the_point(&self, r: ResourceIx, n: NodeIx) -> bool {
        let st = self.st();
        let contained = |b: ResourceIx| st[b].bundle_info().and_then(|info| info.child);
        if st[r].flags.is_connection && st[n].is_remote_kind() {
            // Connections are made by full members.
            return true;
        }
        let inside = st[st.top_of(r)].parent.is_some_and(|b| contained(b) == Some(st.top_of(r)));
        st.is_bundle_node(n) != inside
    }

    fn not_there(&self, r: ResourceIx, n: NodeIx, fact: Fact, possible: bool) -> NotThere {
        NotThere {
            node: self.node(n).to_owned(),
            fact,
            possible,
            score: self.book.score(r, n),
            addends: self.addends(r, n),
        }
    }

    fn addends(&self, r: ResourceIx, n: NodeIx) -> Vec<Fact> {
        self.book.addends(r, n).iter().map(|a| self.addend(r, n, a)).collect()
    }

    fn there(&self, r: ResourceIx, at: NodeIx) -> There {
        let st = self.st();
        let mut rivals: Vec<NodeIx> = st
            .node_order
            .iter()
            .copied()
            .filter(|n| *n != at && self.forbids(r, *n).is_none() && self.book.decided(r, *n).is_some())
            .collect();
        rivals.sort_by_key(|n| std::cmp::Reverse(self.book.score(r, *n)));
        let against = rivals.first().and_then(|n| Some((self.node(*n).to_owned(), self.won(r, *n)?)));
        There {
            node: self.node(at).to_owned(),
            score: self.book.score(r, at),
            addends: self.addends(r, at),
            against,
        }
    }

    fn explain_group(&self, r: ResourceIx, node: Option<NodeIx>, out: &mut Explanation) {
        let st = self.st();
        let members = st[r].children.clone();
        for (at, m) in members.iter().enumerate() {
            let down = self.after(*m).is_empty();
            let apart = self.after(*m) != self.after(r) || self.now(*m) != self.now(r);
            // The first member decides for all; the others speak where they differ.
            if at == 0 || down || apart {
                let part = self.explain(*m, node);
                if at > 0 && down && out.parts.last().is_some_and(|p| p.after.is_empty()) {
                    // What comes after the first member that is down follows it.
                    continue;
                }
                out.parts.push(part);
            }
        }
    }

    fn explain_clone(&self, r: ResourceIx, node: Option<NodeIx>, out: &mut Explanation) {
        let st = self.st();
        let instances = match st[r].bundle_info() {
            Some(b) => b.replicas.iter().map(|x| x.container).collect(),
            None => st[r].children.clone(),
        };
        let first = |i: ResourceIx| leaves(st, i).first().copied();
        let Some(sample) = instances.first().copied().and_then(first) else {
            out.general.push(Fact::new("clone-max", format!("{} has no instances", st[r].config_id())));
            return;
        };
        let up = |i: ResourceIx| !self.after(i).is_empty();
        let idle = instances.iter().copied().find(|i| !up(*i) && !st[*i].flags.orphan);
        let speaker = idle.and_then(first).unwrap_or(sample);
        out.general = self.general(speaker);
        let settled = !out.general.is_empty();
        for i in instances.iter().copied().filter(|i| !up(*i) && !st[*i].flags.orphan) {
            for leaf in leaves(st, i) {
                for fact in self.waits(leaf, &mut Vec::new()) {
                    if !out.general.iter().any(|f| f.text == fact.text) {
                        out.general.push(fact);
                    }
                }
            }
        }
        if st[r].flags.promotable {
            out.general.extend(self.promotions(r));
        }
        if settled && idle.is_some() && !instances.iter().any(|i| up(*i)) {
            return;
        }
        let after = self.after(r);
        for n in st.node_order.iter().copied().filter(|n| node.is_none_or(|x| x == *n)) {
            if after.iter().any(|(m, _)| *m == n) || (self.beside_the_point(speaker, n) && node.is_none()) {
                continue;
            }
            let own = self.node_trouble(n).or_else(|| {
                let ban =
                    self.book.addends(r, n).iter().find(|a| a.score <= -crate::policy::values::INFINITY)?;
                Some(self.addend(r, n, ban))
            });
            let fact = own.or_else(|| {
                // Members of a cloned group may each have a ban of their own.
                leaves(st, idle.unwrap_or(r)).into_iter().find_map(|l| {
                    let fact = self.forbids(l, n)?;
                    let member = st[l].parent.is_some_and(|p| st[p].is_group());
                    Some(if member { self.named(l, fact) } else { fact })
                })
            });
            let (fact, possible) = match fact {
                Some(fact) => (fact, false),
                None => match self.all_elsewhere(r, idle.is_none()) {
                    Some(fact) => (fact, true),
                    None => match self.lost(speaker, n) {
                        Some(fact) => (fact, true),
                        None => (Fact::new("not-chosen", "no instance was left for it"), true),
                    },
                },
            };
            out.elsewhere.push(self.not_there(speaker, n, fact, possible));
        }
    }

    fn all_elsewhere(&self, clone: ResourceIx, full: bool) -> Option<Fact> {
        let st = self.st();
        if !full {
            return None;
        }
        let id = st[clone].config_id();
        if let Some(b) = st[clone].bundle_info() {
            return Some(Fact::new(
                "replicas",
                format!("all {} of {id} run elsewhere", words::count(b.replicas_max, "replica", "replicas")),
            ));
        }
        let max = st[clone].clone_info()?.max;
        Some(
            Fact::new(
                "clone-max",
                format!(
                    "{id} has {} and all run elsewhere (clone-max={max})",
                    words::count(max, "instance", "instances")
                ),
            )
            .with("clone-max", max),
        )
    }

    /// Who is promoted and why, instance by instance.
    fn promotions(&self, clone: ResourceIx) -> Vec<Fact> {
        let st = self.st();
        let max = st[clone].clone_info().map_or(0, |c| c.promoted_max);
        let mut facts = Vec::new();
        let becomes = |i: ResourceIx| self.after(i).iter().any(|(_, role)| *role == Role::Promoted);
        let chosen = i32::try_from(st[clone].children.iter().filter(|i| becomes(**i)).count());
        for i in st[clone].children.iter().copied() {
            let Some(a) = st.planned_node(i) else { continue };
            let node = self.node(a.node);
            let score = st[i].sort_index;
            let promoted = becomes(i);
            let text = if promoted {
                format!(
                    "the instance on {node} is promoted, its promotion score is {}{}",
                    words::score(score),
                    self.wished_promoted(i, a.node)
                )
            } else if score < 0 {
                let own = st.promotion_score(i, a.node);
                match own {
                    None => format!(
                        "the instance on {node} cannot be promoted: its agent has given it no promotion score"
                    ),
                    Some(s) if s < 0 => format!(
                        "the instance on {node} cannot be promoted: its agent says {}",
                        words::score(s)
                    ),
                    Some(_) => format!(
                        "the instance on {node} cannot be promoted: {}",
                        self.why_not_promoted(i, a.node)
                    ),
                }
            } else if max > 0 && chosen.is_ok_and(|chosen| chosen >= max) {
                format!(
                    "the instance on {node} is not promoted: its promotion score is {}, and only {max} may be (promoted-max)",
                    words::score(score)
                )
            } else {
                match self.why_not_promoted(i, a.node) {
                    why if why == NO_REASON => format!(
                        "the instance on {node} is not promoted (promotion score {})",
                        words::score(score)
                    ),
                    why => format!(
                        "the instance on {node} is not promoted (promotion score {}): {why}",
                        words::score(score)
                    ),
                }
            };
            let code = if promoted { "promoted" } else { "not-promoted" };
            facts.push(Fact::new(code, text).with("node", node).with("promotion-score", words::score(score)));
        }
        facts
    }

    /// The constraints that wish an instance to be promoted on a node.
    fn wished_promoted(&self, i: ResourceIx, n: NodeIx) -> String {
        let st = self.st();
        let own = st[i].locations.iter().chain(&st[st.top_of(i)].locations).map(|ix| &st[*ix]);
        let mut wishes: Vec<String> = own
            .filter(|l| l.role == Role::Promoted && !l.health)
            .flat_map(|l| l.nodes.iter().filter(|(m, s)| *m == n && *s > 0).map(move |(_, s)| (l, *s)))
            .map(|(l, score)| format!("{} from constraint {}", words::signed(score), l.id))
            .collect();
        let mut seen = BTreeSet::new();
        wishes.retain(|wish| seen.insert(wish.clone()));
        if wishes.is_empty() { String::new() } else { format!(" ({})", words::list(&wishes)) }
    }

    /// What pushes a promotion score below 0.
    pub(super) fn why_not_promoted(&self, i: ResourceIx, n: NodeIx) -> String {
        let st = self.st();
        let clone = st.top_of(i);
        if !st.quorum && st.options.no_quorum_policy == QuorumPolicy::Demote {
            return "this part of the cluster has no quorum, and no-quorum-policy=demote lets nobody be promoted"
                .to_owned();
        }
        for u in &st.ticket_uses {
            let lost = st.tickets.get(&u.ticket).is_some_and(|t| !t.granted || t.standby);
            if u.resource == clone && u.role == Role::Promoted && lost {
                return format!("ticket {} is not granted (constraint {})", u.ticket, u.constraint);
            }
        }
        for ix in st[i].locations.iter().chain(&st[clone].locations) {
            let l = &st[*ix];
            if l.role == Role::Promoted && l.nodes.iter().any(|(m, s)| *m == n && *s < 0) {
                return format!("location constraint {} forbids or avoids it in that role", l.id);
            }
        }
        if st[i].meta("target-role").map(Role::parse) == Some(Role::Unpromoted) {
            return "target-role=Unpromoted".to_owned();
        }
        if let Some(ban) =
            self.book.addends(clone, n).iter().find(|a| a.score <= -crate::policy::values::INFINITY)
        {
            return self.addend(clone, n, ban).text;
        }
        let with = st[i].this_with.iter().map(|c| &st[*c]).find(|c| c.dependent_role == Role::Promoted);
        match with {
            Some(c) => format!("the promoted role must be with {} (constraint {})", self.id(c.primary), c.id),
            None => NO_REASON.to_owned(),
        }
    }
}
