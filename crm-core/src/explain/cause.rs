//! Why a plan does what it does: for each change the chain of causes in words.

use super::fact::Fact;
use super::outcome::leaves;
use super::scene::Scene;
use super::tree::Tree;
use super::words;
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Origin, Step};
use crate::policy::state::Role;
use crate::policy::transition::summary::{NodeChange, ResourceChange};
use crate::policy::transition::task::Task;
use crate::policy::values::INFINITY;

/// One change and why it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// `stop`, `start`, `move`, `fence`, …
    pub what: String,
    /// `stop db on node1`.
    pub change: String,
    pub resource: Option<String>,
    pub from: Option<String>,
    pub to: Option<String>,
    /// The causes, the nearest first.
    pub because: Vec<Fact>,
    /// Why it cannot happen, where it cannot.
    pub blocked: Option<Fact>,
}

impl Cause {
    /// The whole chain as one sentence.
    pub fn text(&self) -> String {
        let mut text = self.change.clone();
        for (at, fact) in self.because.iter().enumerate() {
            text.push_str(if at == 0 { " because " } else { ", because " });
            text.push_str(&fact.text);
        }
        if let Some(blocked) = &self.blocked {
            text.push_str("; but this cannot happen now: ");
            text.push_str(&blocked.text);
        }
        text
    }

    pub fn tree(&self) -> Tree {
        Tree::map()
            .with("what", &self.what)
            .with_some("resource", self.resource.as_ref())
            .with_some("from", self.from.as_ref())
            .with_some("to", self.to.as_ref())
            .with("text", self.text())
            .with_list("because", "reason", self.because.iter().map(Fact::tree).collect())
            .with_some("blocked", self.blocked.as_ref().map(Fact::tree))
    }
}

/// The reference's reason for fencing a node where something runs without its ticket.
const LOST_TICKET: &str = "deadman ticket was lost";

/// The reference's reason for a restart with other parameters.
const OTHER_PARAMETERS: &str = "resource definition change";

impl Scene {
    /// Every change of the plan with its causes; only those of a resource (and what is in it), if one is given.
    pub fn causes(&self, of: Option<ResourceIx>) -> Vec<Cause> {
        let st = self.st();
        let mine = of.map(|r| leaves(st, r));
        let mut out = Vec::new();
        let here = of.map(|r| self.now(r));
        let near = |n: NodeIx| here.as_ref().is_none_or(|here| here.iter().any(|(m, _)| *m == n));
        out.extend(self.plan.summary.nodes.iter().filter(|c| near(c.node)).map(|n| self.node_cause(n)));
        for change in &self.plan.summary.resources {
            if mine.as_ref().is_none_or(|mine| mine.contains(&change.resource)) {
                out.push(self.cause(change));
            }
        }
        out
    }

    fn node_cause(&self, change: &NodeChange) -> Cause {
        let node = self.node(change.node);
        let fence = change.what.starts_with("Fence");
        let how = change.what.strip_prefix("Fence (").and_then(|w| w.strip_suffix(')'));
        let text = match how {
            Some("on") => format!("unfence {node}"),
            Some(how) => format!("fence {node} ({how})"),
            None => format!("shut down {node}"),
        };
        let mut because = Vec::new();
        if let Some(reason) = &change.reason {
            because.push(self.fence_reason(change.node, reason));
        }
        Cause {
            what: if fence { "fence" } else { "shutdown" }.to_owned(),
            change: text,
            resource: None,
            from: Some(node.to_owned()),
            to: None,
            because,
            blocked: None,
        }
    }

    /// The reference's reason for fencing, with what is known about the failure behind it.
    fn fence_reason(&self, n: NodeIx, reason: &str) -> Fact {
        let st = self.st();
        let failed = reason.strip_suffix(" failed there").and_then(|name| {
            let name = name.split(' ').next().unwrap_or(name);
            let r = self.find(name)?;
            self.failed_op(r, Some(n)).map(|(op, n)| {
                words::failure(st, op, self.node(n)).replacen("its", &format!("{}'s", self.id(r)), 1)
            })
        });
        let text = match failed {
            Some(failed) => failed,
            None if reason == "peer is no longer part of the cluster" => {
                format!("{} is no longer part of the cluster and did not leave it cleanly", self.node(n))
            }
            None if reason == LOST_TICKET => self.ticket_that_fences(n).unwrap_or_else(|| reason.to_owned()),
            None => reason.to_owned(),
        };
        Fact::new("fencing", text).with("reason", reason)
    }

    /// The ticket that something on this node would need.
    fn ticket_that_fences(&self, n: NodeIx) -> Option<String> {
        let st = self.st();
        let constraints = self.constraint_elements();
        st.ticket_uses.iter().find_map(|u| {
            let lost = st.tickets.get(&u.ticket).is_none_or(|t| !t.granted);
            let here = leaves(st, u.resource).into_iter().any(|l| st[l].running_on.contains(&n));
            let e = constraints.iter().find(|e| e.id() == Some(&u.constraint))?;
            let fences = e.attr("loss-policy") == Some("fence");
            (lost && here && fences).then(|| {
                format!(
                    "{} runs there, which may run only with ticket {}, and that is not granted (loss-policy=fence, constraint {})",
                    self.id(u.resource),
                    u.ticket,
                    u.constraint
                )
            })
        })
    }

    pub(super) fn cause(&self, change: &ResourceChange) -> Cause {
        let r = change.resource;
        let id = self.called(r);
        let from = change.from.map(|n| self.node(n));
        let to = change.to.map(|n| self.node(n));
        let both = format!("from {} to {}", from.unwrap_or("?"), to.unwrap_or("?"));
        let on = to.or(from).map_or_else(String::new, |n| format!(" on {n}"));
        let text = match change.what {
            "Start" if change.next_role == Role::Promoted => format!("start and promote {id}{on}"),
            "Move" => format!("move {id} {both}"),
            "Migrate" => format!("migrate {id} live {both}"),
            "Recover" if from.is_some() && to.is_some() && from != to => {
                format!("recover {id} by moving it {both}")
            }
            "Stop" => format!("stop {id}{}", from.map_or_else(String::new, |n| format!(" on {n}"))),
            other => format!("{} {id}{on}", other.to_lowercase()),
        };
        let because = self.chain(change, &mut Vec::new());
        let blocked = change.blocked.then(|| self.why_blocked(change)).flatten();
        let blocked = blocked.filter(|b| because.iter().all(|f| f.text != b.text));
        Cause {
            what: change.what.to_lowercase(),
            change: text,
            resource: Some(self.id(r).to_owned()),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
            because,
            blocked,
        }
    }

    fn why_blocked(&self, change: &ResourceChange) -> Option<Fact> {
        let r = change.resource;
        let task = match change.what {
            "Stop" => Task::Stop,
            "Promote" => Task::Promote,
            "Demote" => Task::Demote,
            _ => Task::Start,
        };
        let find = |task: Task| {
            self.plan.actions.of(r).iter().copied().find(|a| {
                let a = &self.plan.actions[*a];
                a.task == task && !a.runnable()
            })
        };
        let ix = find(task).or_else(|| find(Task::Stop))?;
        let action = &self.plan.actions[ix];
        if action.task == Task::Stop
            && let Some(n) = action.node
            && !self.st()[n].online
        {
            return self.node_trouble(n);
        }
        Some(self.held(r, ix, &mut vec![r]))
    }

    /// The change of a resource in this plan, if there is one.
    fn change_of(&self, r: ResourceIx) -> Option<&ResourceChange> {
        let mine = leaves(self.st(), r);
        self.plan.summary.resources.iter().find(|c| mine.contains(&c.resource))
    }

    /// Why a change happens; the chain goes on as long as another resource's change is the cause.
    fn chain(&self, change: &ResourceChange, seen: &mut Vec<ResourceIx>) -> Vec<Fact> {
        let st = self.st();
        let r = change.resource;
        if seen.contains(&r) || seen.len() > super::general::DEPTH {
            return Vec::new();
        }
        seen.push(r);
        let rsc = &st[r];
        if let Some(failed) = self.failure_behind(change) {
            return vec![failed];
        }
        if matches!(change.what, "Promote" | "Demote" | "Re-promote") {
            return self.role_cause(change);
        }
        if change.what == "Start" && change.from.is_none() {
            return self.start_cause(change, seen);
        }
        if let Some(first) = self.general(r).into_iter().next() {
            return vec![first];
        }
        if let Some(first) = self.waits(r, &mut seen.clone()).into_iter().next() {
            return vec![first];
        }
        if rsc.running_on.len() > 1 && !matches!(change.what, "Migrate") {
            let on: Vec<&str> = rsc.running_on.iter().map(|n| self.node(*n)).collect();
            let mut text = format!("it is active on several nodes ({})", on.join(", "));
            if let Some((op, n)) = self.failed_op(r, None) {
                text.push_str(&format!(": {}", words::failure(st, op, self.node(n))));
            }
            return vec![Fact::new("multiple-active", text)];
        }
        if let Some(from) = change.from
            && change.to != Some(from)
        {
            if let Some(trouble) = self.node_trouble(from) {
                return vec![trouble];
            }
            let facts = self.leaves_node(r, from, seen);
            if !facts.is_empty() {
                return facts;
            }
        }
        if let Some(facts) = self.by_another(r, seen).or_else(|| self.by_its_node(change, seen)) {
            return facts;
        }
        let reason = change.reason.iter().map(|reason| {
            Fact::new(
                "reason",
                match reason.as_str() {
                    OTHER_PARAMETERS => "its parameters are no longer those it was started with".to_owned(),
                    reason => reason.to_owned(),
                },
            )
        });
        reason.collect()
    }

    /// A failure of the resource itself on the node where it is.
    fn failure_behind(&self, change: &ResourceChange) -> Option<Fact> {
        let st = self.st();
        let rsc = &st[change.resource];
        if !rsc.flags.failed && change.what != "Recover" {
            return None;
        }
        let (op, n) = self.failed_op(change.resource, change.from)?;
        let mut text = words::failure(st, op, self.node(n));
        let ban = self.book.addends(change.resource, n).iter().find_map(|a| match &a.reason {
            Origin::FailureThreshold { fail_count, threshold } => Some((*fail_count, *threshold)),
            _ => None,
        });
        let at_threshold = ban.or_else(|| {
            let top = st.top_of(change.resource);
            self.book.addends(top, n).iter().find_map(|a| match &a.reason {
                Origin::FailureThreshold { fail_count, threshold } => Some((*fail_count, *threshold)),
                _ => None,
            })
        });
        if let Some((count, threshold)) = at_threshold {
            let times = words::count(count, "failure", "failures");
            text.push_str(&match count >= INFINITY {
                true => "; this failure is fatal there".to_owned(),
                false => format!("; {times}, threshold {}", words::score(threshold)),
            });
        }
        let rc = op.attr("rc-code").unwrap_or_default();
        Some(
            Fact::new("failure", text)
                .with("operation", op.attr("operation").unwrap_or_default())
                .with("rc", rc)
                .with("node", self.node(n)),
        )
    }

    fn role_cause(&self, change: &ResourceChange) -> Vec<Fact> {
        let st = self.st();
        let r = change.resource;
        let mut instance = r;
        while let Some(p) = st[instance].parent {
            if st[p].clone_info().is_some() {
                break;
            }
            instance = p;
        }
        let score = st[instance].sort_index;
        let text = match change.what {
            "Demote" => {
                let better = st[st.top_of(r)].children.iter().copied().find(|c| {
                    *c != instance && self.after(*c).iter().any(|(_, role)| *role == Role::Promoted)
                });
                match better {
                    Some(b) => {
                        let on = self.after(b);
                        let on = self.names(&on).join(", ");
                        format!(
                            "the instance on {on} is promoted instead (promotion score {} against {})",
                            words::score(st[b].sort_index),
                            words::score(score)
                        )
                    }
                    None if st[r].flags.failed => "it failed".to_owned(),
                    None => {
                        let at = change.from.unwrap_or(NodeIx(0));
                        format!("it may not be promoted: {}", self.why_not_promoted(instance, at))
                    }
                }
            }
            _ => format!("it has the best promotion score ({})", words::score(score)),
        };
        vec![Fact::new("promotion", text).with("promotion-score", words::score(score))]
    }

    fn start_cause(&self, change: &ResourceChange, _seen: &mut Vec<ResourceIx>) -> Vec<Fact> {
        let r = change.resource;
        let st = self.st();
        let failed = self.failed_op(r, None).filter(|(_, n)| Some(*n) != change.to);
        let recent = failed.map(|(op, n)| words::failure(st, op, self.node(n)));
        let text = match recent {
            Some(recent) => format!("it runs nowhere ({recent})"),
            None => "it runs nowhere".to_owned(),
        };
        vec![Fact::new("not-running", text)]
    }

    /// Why a resource leaves a node that could run something.
    fn leaves_node(&self, r: ResourceIx, from: NodeIx, seen: &mut Vec<ResourceIx>) -> Vec<Fact> {
        let first = self.book.addends(r, from).iter().find(|a| a.score <= -INFINITY);
        let Some(first) = first else {
            if let Some((chosen, step)) = self.book.decided(r, from) {
                let why = self.difference(r, chosen, from);
                let text = match step {
                    Step::Score { chosen: a, other: b } => format!(
                        "it scores {} on {} and {} on {}{}",
                        words::score(a),
                        self.node(chosen),
                        words::score(b),
                        self.node(from),
                        if why.is_empty() { String::new() } else { format!(" ({})", words::list(&why)) }
                    ),
                    _ => match self.lost(r, from) {
                        Some(fact) => fact.text,
                        None => return Vec::new(),
                    },
                };
                return vec![Fact::new("better-node", text)];
            }
            return self.forbids(r, from).into_iter().collect();
        };
        let mut facts = vec![self.addend(r, from, first)];
        let other = match &first.reason {
            Origin::ColocatedWith { primary, .. } => Some(*primary),
            Origin::ColocationWish { other, .. } => Some(*other),
            _ => None,
        };
        if let Some(next) = other.and_then(|o| self.change_of(o)) {
            facts.extend(self.chain(next, seen).into_iter().map(|f| self.named(next.resource, f)));
        } else if let Some(o) = other
            && matches!(first.reason, Origin::ColocatedWith { .. })
            && self.after(o).is_empty()
            && let Some(why) = self.why_down(o, seen)
        {
            facts.push(self.named(o, why));
        }
        facts
    }

    /// A fact about another resource: `it` becomes its name.
    pub(super) fn named(&self, r: ResourceIx, fact: Fact) -> Fact {
        let name = self.id(r);
        let text = match fact.text.split_once(' ') {
            Some(("it", rest)) => format!("{name} {rest}"),
            Some(("its", rest)) => format!("{name}'s {rest}"),
            // What is so of a node is so for whatever runs there.
            _ if fact.text.contains(name) || fact.code.starts_with("node-") => fact.text.clone(),
            _ => format!("for {name}, {}", fact.text),
        };
        Fact { text, ..fact }
    }

    /// The guest node where it runs does not stay as it is.
    fn by_its_node(&self, change: &ResourceChange, seen: &mut Vec<ResourceIx>) -> Option<Vec<Fact>> {
        let n = change.from?;
        let container = self.st().container_of_node(n)?;
        let next = self.change_of(container)?;
        let text = format!("its node {} goes down with {}", self.node(n), self.called(container));
        let mut facts = vec![Fact::new("guest-node", text).with("with", self.id(container))];
        facts.extend(self.chain(next, seen).into_iter().map(|f| self.named(next.resource, f)));
        Some(facts)
    }

    /// The action of another resource that makes this one stop or restart.
    fn by_another(&self, r: ResourceIx, seen: &mut Vec<ResourceIx>) -> Option<Vec<Fact>> {
        let mine = self.plan.actions.of(r).iter().copied();
        let mut required: Vec<ActionIx> = mine
            .filter(|a| !self.plan.actions[*a].optional() && self.plan.actions[*a].because.is_some())
            .collect();
        // What stops it says more than what starts it again.
        required.sort_by_key(|a| self.plan.actions[*a].task != Task::Stop);
        for ix in required {
            let action = &self.plan.actions[ix];
            let Some(because) = action.because else { continue };
            let first = &self.plan.actions[because];
            let Some(other) = first.resource else {
                if let (Task::Stonith, Some(n)) = (&first.task, first.node) {
                    return Some(vec![Fact::new("fencing", format!("{} is fenced", self.node(n)))]);
                }
                continue;
            };
            if seen.contains(&other) {
                continue;
            }
            let name = self.called(other);
            let verb = match first.task {
                Task::Stop | Task::Stopped => "is stopped",
                Task::Start | Task::Running => "is started anew",
                Task::Promote | Task::Promoted => "is promoted",
                Task::Demote | Task::Demoted => "is demoted",
                _ => "changes",
            };
            let cannot = if first.runnable() { "" } else { " (which cannot happen)" };
            let by = self.order_between(other, r);
            let mut facts = vec![
                Fact::new("order", format!("{name}, which it depends on{by}, {verb}{cannot}"))
                    .with("with", self.id(other)),
            ];
            if let Some(next) = self.change_of(other) {
                facts.extend(self.chain(next, seen).into_iter().map(|f| self.named(next.resource, f)));
            } else if let Some(why) = self.why_down(other, seen) {
                facts.push(self.named(other, why));
            }
            return Some(facts);
        }
        None
    }
}
