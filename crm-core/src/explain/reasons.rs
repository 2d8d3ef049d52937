//! The ledger read aloud: what an addend of a score means, and what forbids a node.

use super::fact::Fact;
use super::scene::Scene;
use super::words;
use crate::policy::ix::{ColocationIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Addend, Origin, Reason};
use crate::policy::state::{Colocation, Role};
use crate::policy::values::INFINITY;

impl Scene {
    /// Why nothing can run on a node now; `None` where something can.
    pub fn node_trouble(&self, n: NodeIx) -> Option<Fact> {
        let node = &self.st()[n];
        if node.available() {
            return None;
        }
        let name = &node.name;
        let fact = if node.unclean {
            let why = node.fence_reason.as_ref().map_or_else(String::new, |r| format!(" ({r})"));
            let fenced = self.plan.summary.nodes.iter().any(|c| c.node == n && c.what.starts_with("Fence"));
            let then = if fenced { "it is to be fenced" } else { "it should be fenced and cannot be" };
            Fact::new("node-unclean", format!("{name} is unclean{why}; {then}"))
        } else if !node.online && (node.pending || joining(node)) {
            Fact::new("node-pending", format!("{name} is still joining the cluster"))
        } else if !node.online {
            Fact::new("node-offline", format!("{name} is offline"))
        } else if node.shutdown {
            Fact::new("node-shutdown", format!("{name} is shutting down"))
        } else if node.standby_onfail {
            let why = self.standby_failure(n).unwrap_or_else(|| "a failure".to_owned());
            Fact::new("node-standby", format!("{name} is in standby after {why} (on-fail=standby)"))
        } else if node.standby {
            Fact::new("node-standby", format!("{name} is in standby"))
        } else {
            Fact::new("node-maintenance", format!("{name} is in maintenance mode"))
        };
        Some(fact.with("node", name))
    }

    /// The first thing that forbids a node to a leaf; `None` where nothing does.
    pub fn forbids(&self, r: ResourceIx, n: NodeIx) -> Option<Fact> {
        if let Some(trouble) = self.node_trouble(n) {
            return Some(trouble);
        }
        let addends = self.book.addends(r, n);
        if self.book.score(r, n).is_none() {
            return Some(self.not_in_table(r, n));
        }
        if let Some(first) = addends.iter().find(|a| a.score <= -INFINITY) {
            return Some(self.addend(r, n, first));
        }
        let sum = self.book.score(r, n)?;
        if sum >= 0 {
            return None;
        }
        let parts = self.parts(r, n);
        let text = format!("its score there is {sum}, below 0: {parts}");
        Some(Fact::new("negative-score", text).with("score", sum))
    }

    fn not_in_table(&self, r: ResourceIx, n: NodeIx) -> Fact {
        let node = self.node(n);
        if !self.st().options.symmetric {
            let text = format!(
                "no location constraint allows it on {node}, and the cluster is opt-in (symmetric-cluster=false)"
            );
            return Fact::new("opt-in", text).with("node", node);
        }
        let kind = if self.st().is_guest_node(n) { "guest" } else { "remote" };
        Fact::new("not-for-node", format!("{} cannot run on {kind} node {node}", self.id(r)))
            .with("node", node)
    }

    /// The addends of a score other than 0, as one clause: `+100 from constraint c1, -50 …`.
    pub fn parts(&self, r: ResourceIx, n: NodeIx) -> String {
        let parts: Vec<String> = self
            .book
            .addends(r, n)
            .iter()
            .filter(|a| a.score != 0)
            .map(|a| format!("{} {}", words::signed(a.score), self.source(r, &a.reason)))
            .collect();
        if parts.is_empty() { "nothing speaks for or against it".to_owned() } else { words::list(&parts) }
    }

    /// Where an addend came from, in few words: `from constraint c1`, `by stickiness`.
    pub fn source(&self, r: ResourceIx, reason: &Reason) -> String {
        match reason {
            Origin::NodeDefault => "by the node's own score".to_owned(),
            Origin::Symmetric => "by default".to_owned(),
            Origin::Location { constraint, rule: Some(rule) } => {
                format!("from constraint {constraint} (rule {rule})")
            }
            Origin::Location { constraint, rule: None } => format!("from constraint {constraint}"),
            Origin::Health { strategy } => format!("from node health ({strategy})"),
            Origin::Stickiness => "from resource-stickiness".to_owned(),
            Origin::Unmanaged => "from being active there unmanaged".to_owned(),
            Origin::History { .. } | Origin::FailureThreshold { .. } => "from failures".to_owned(),
            Origin::ExclusiveDiscovery => "from resource-discovery=exclusive".to_owned(),
            Origin::Ticket { ticket, constraint } => {
                format!("from ticket {ticket} (constraint {constraint})")
            }
            Origin::ShutdownLock => "from a shutdown lock".to_owned(),
            Origin::MultiplyActive => "from being active more than once".to_owned(),
            Origin::Orphan => "from being no longer configured".to_owned(),
            Origin::StopRequested => "from being asked to stop".to_owned(),
            Origin::ColocatedWith { constraint, primary } => match internal(constraint) {
                true => format!("from being with {}", self.id(*primary)),
                false => format!("from constraint {constraint} with {}", self.id(*primary)),
            },
            Origin::ColocationWish { constraint, other } => match internal(constraint) {
                true => format!("from the wishes of {}, which goes with it", self.id(*other)),
                false => format!("from the wishes of {} (constraint {constraint})", self.id(*other)),
            },
            Origin::Utilization => "from lack of capacity".to_owned(),
            Origin::CloneLimit => format!("from the limits of clone {}", self.clone_name(r)),
            Origin::PromotionScore => "from its promotion score".to_owned(),
            Origin::Nesting => "from what it contains or is contained in".to_owned(),
        }
    }

    /// The configured id of the clone or bundle a resource is in, or its own.
    pub fn clone_name(&self, r: ResourceIx) -> &str {
        let st = self.st();
        st[st.top_of(r)].config_id()
    }

    /// A colocation that an addend of `r` names: dependent, primary and score as they were planned with.
    fn colocation(
        &self,
        r: ResourceIx,
        constraint: &str,
        other: ResourceIx,
        wish: bool,
    ) -> Option<&Colocation> {
        let st = self.st();
        let own = |ix: &ColocationIx| {
            let c = &st[*ix];
            let there = if wish { c.dependent } else { c.primary };
            c.id == constraint && (there == other || st.top_of(there) == st.top_of(other))
        };
        let list = if wish { &st[r].with_this } else { &st[r].this_with };
        list.iter()
            .find(|ix| own(ix))
            .map(|ix| &st[*ix])
            .or_else(|| st.colocations.iter().find(|c| c.id == constraint))
    }

    /// One addend as a sentence about `r` on `n`.
    pub fn addend(&self, r: ResourceIx, n: NodeIx, addend: &Addend) -> Fact {
        let fact = self.addend_text(r, n, addend);
        let mut fields =
            vec![("score", words::score(addend.score).into()), ("source", addend.reason.id().into())];
        fields.append(&mut { fact.fields });
        Fact { code: fact.code, text: fact.text, fields }
    }

    fn addend_text(&self, r: ResourceIx, n: NodeIx, addend: &Addend) -> Fact {
        let st = self.st();
        let node = self.node(n);
        let ban = addend.score <= -INFINITY;
        match &addend.reason {
            Origin::Location { constraint, rule } => {
                let by = match rule {
                    Some(rule) => format!("rule {rule} of location constraint {constraint}"),
                    None => format!("location constraint {constraint}"),
                };
                let text = match addend.score {
                    s if s <= -INFINITY => format!("{by} forbids {node}"),
                    s if s < 0 => format!("{by} avoids {node} ({s})"),
                    s => format!("{by} prefers {node} ({})", words::signed(s)),
                };
                Fact::new("location", text + leftover(constraint)).with("constraint", constraint)
            }
            Origin::Health { strategy } => {
                let bad: Vec<String> = st[n]
                    .attributes
                    .iter()
                    .filter(|(name, _)| name.starts_with("#health"))
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let text = format!(
                    "the health of {node} {} it ({}, node-health-strategy={strategy})",
                    if ban { "forbids" } else { "weighs against" },
                    words::list(&bad)
                );
                Fact::new("health", text).with("strategy", strategy)
            }
            Origin::History { tag } => self.failed_there(r, n, tag),
            Origin::FailureThreshold { fail_count, threshold } => {
                self.threshold(r, n, *fail_count, *threshold)
            }
            Origin::ExclusiveDiscovery => Fact::new(
                "exclusive-discovery",
                format!(
                    "a constraint with resource-discovery=exclusive limits it to other nodes than {node}"
                ),
            ),
            Origin::Ticket { ticket, constraint } => {
                let state = st.tickets.get(ticket);
                let how = match state {
                    Some(t) if t.granted && t.standby => "in standby",
                    Some(t) if t.last_granted > 0 => "revoked",
                    _ => "not granted",
                };
                Fact::new("ticket", format!("ticket {ticket} is {how} (constraint {constraint})"))
                    .with("ticket", ticket)
                    .with("constraint", constraint)
            }
            Origin::ShutdownLock => {
                let lock = st[r].lock_node.map_or("its node", |l| self.node(l));
                Fact::new(
                    "shutdown-lock",
                    format!("it is locked to {lock}, which was shut down cleanly (shutdown-lock=true)"),
                )
                .with("lock", lock)
            }
            Origin::MultiplyActive => {
                let on = self.names(&self.now(r)).join(", ");
                Fact::new(
                    "multiple-active",
                    format!(
                        "it was active on several nodes ({on}), and multiple-active=stop_only keeps it stopped"
                    ),
                )
            }
            Origin::Orphan => Fact::new("orphan", "it is not in the configuration any more"),
            Origin::StopRequested => Fact::new("stop-requested", "it is to be stopped"),
            Origin::ColocatedWith { constraint, primary } => {
                self.together(r, constraint, *primary, addend.score)
            }
            Origin::ColocationWish { constraint, other } => self.wish(r, n, constraint, *other, addend.score),
            Origin::Utilization => self.no_room(r, n),
            Origin::CloneLimit => self.clone_limit(r, n),
            Origin::Unmanaged => Fact::new("unmanaged", format!("it is active on {node} and unmanaged")),
            Origin::Stickiness => Fact::new(
                "stickiness",
                format!("it is active on {node} and sticks there ({})", words::signed(addend.score)),
            ),
            Origin::PromotionScore => Fact::new(
                "promotion-score",
                format!("its agent gave it a promotion score of {} on {node}", words::score(addend.score)),
            ),
            Origin::Nesting if st.container_of_node(n) == Some(r) => {
                Fact::new("nesting", format!("{node} is a guest inside it"))
            }
            Origin::Nesting => {
                Fact::new("nesting", format!("what it is, or what it runs in, does not allow {node}"))
            }
            Origin::NodeDefault | Origin::Symmetric => {
                Fact::new("default", format!("the score of {node} itself is {}", words::score(addend.score)))
            }
        }
    }

    /// A colocation in which `r` is the dependent.
    fn together(&self, r: ResourceIx, constraint: &str, primary: ResourceIx, score: i32) -> Fact {
        let st = self.st();
        let other = self.id(primary);
        let at = self.whereabouts(primary);
        let fact =
            |text: String| Fact::new("colocation", text).with("constraint", constraint).with("with", other);
        if constraint == "group:internal_colocation" {
            let group = st[r].parent.map_or("", |p| st[p].config_id());
            return fact(format!(
                "it goes where {other} is, the member before it in group {group}, and {other} {at}"
            ));
        }
        if internal(constraint) {
            return fact(format!("it goes where {other} is, and {other} {at}"));
        }
        let c = self.colocation(r, constraint, primary, false);
        let wanted = c.map_or(score, |c| c.score);
        let role = match c.map(|c| c.primary_role) {
            Some(role @ (Role::Promoted | Role::Unpromoted)) => format!(" {}", role.word().to_lowercase()),
            _ => String::new(),
        };
        let promoted = Self::promoted(&self.after(primary));
        let at = match (role.as_str(), promoted.is_empty()) {
            (" promoted", true) => "is promoted nowhere".to_owned(),
            (" promoted", false) => {
                let names: Vec<&str> = promoted.iter().map(|n| self.node(*n)).collect();
                format!("is promoted on {}", words::list(&names))
            }
            _ => at,
        };
        let attribute = c.and_then(|c| c.attribute.as_deref());
        let place = attribute.map_or_else(String::new, |a| format!(" (same {a})"));
        fact(match wanted {
            s if s >= INFINITY => {
                format!(
                    "it must run where {other} is{role}{place} (constraint {constraint}), and {other} {at}"
                )
            }
            s if s <= -INFINITY => {
                format!(
                    "it must not run where {other} is{role}{place} (constraint {constraint}), and {other} {at}"
                )
            }
            s => format!(
                "it {} where {other} is{role}{place} ({}, constraint {constraint}), and {other} {at}",
                if s > 0 { "prefers to be" } else { "avoids to be" },
                words::signed(score)
            ),
        })
    }

    /// A colocation in which `r` is the primary: what its dependent wishes.
    fn wish(&self, r: ResourceIx, n: NodeIx, constraint: &str, other: ResourceIx, score: i32) -> Fact {
        let node = self.node(n);
        let name = self.id(other);
        let fact = |text: String| {
            Fact::new("colocation-wish", text).with("constraint", constraint).with("other", name)
        };
        let by = if internal(constraint) { String::new() } else { format!(" (constraint {constraint})") };
        if score > -INFINITY {
            let how = if score > 0 { "prefers" } else { "avoids" };
            return fact(format!("{name}, which goes with it{by}, {how} {node} ({})", words::signed(score)));
        }
        let c = self.colocation(r, constraint, other, true);
        if c.is_some_and(|c| c.score < 0) {
            return fact(format!("{name} must not be where it is{by}, and wants {node} more than anything"));
        }
        let leaf = super::outcome::leaves(self.st(), other);
        let why = leaf.iter().find_map(|l| {
            let first = self.book.addends(*l, n).iter().find(|a| a.score <= -INFINITY)?;
            // Its own ban, not the echo of this one.
            let echo = matches!(first.reason, Origin::ColocatedWith { .. } | Origin::ColocationWish { .. });
            (!echo).then(|| self.addend(*l, n, first).text)
        });
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        fact(format!("{name}, which must run with it{by}, cannot run on {node}{why}"))
    }

    /// The latest known failure of a resource on a node.
    pub fn failed_op(&self, r: ResourceIx, n: Option<NodeIx>) -> Option<(&cib::Element, NodeIx)> {
        let st = self.st();
        let base = crate::policy::state::failcount::base_name;
        let names: Vec<String> = super::outcome::leaves(st, r)
            .iter()
            .flat_map(|l| [base(&st[*l].id).to_owned(), base(st[*l].name_in_history()).to_owned()])
            .collect();
        let mut found: Vec<_> = st
            .failed_ops
            .iter()
            .filter(|f| n.is_none_or(|n| f.node == n) && names.iter().any(|x| x == base(&f.resource)))
            .collect();
        let at =
            |op: &cib::Element| op.attr("last-rc-change").map_or(0, |t| crate::policy::values::scan_or(t, 0));
        found.sort_by_key(|f| at(&f.op));
        found.last().map(|f| (&f.op, f.node))
    }

    /// The latest failure of a resource on a node as a clause.
    pub fn last_failure(&self, r: ResourceIx, n: NodeIx) -> Option<String> {
        self.failed_op(r, Some(n)).map(|(op, n)| words::failure(self.st(), op, self.node(n)))
    }

    fn failed_there(&self, r: ResourceIx, n: NodeIx, tag: &str) -> Fact {
        let node = self.node(n);
        let failure = self.last_failure(r, n);
        let or = |other: String| failure.clone().unwrap_or(other);
        let text = match tag {
            "fatal-error" => {
                let anywhere =
                    self.failed_op(r, None).map(|(op, n)| words::failure(self.st(), op, self.node(n)));
                let what = anywhere.unwrap_or_else(|| "it failed".to_owned());
                format!("{what}, which forbids it on every node until it is cleaned up")
            }
            "hard-error" => format!(
                "{}, which forbids it there until it is cleaned up",
                or(format!("it failed on {node} in a way that trying again cannot cure"))
            ),
            "__stop_fail__" => or(format!("its stop failed on {node}")),
            "masked-probe-failure" => or(format!("its probe says that it cannot run on {node}")),
            "__action_migration_auto__" => {
                format!("{}, and on-fail asks to leave the node", or(format!("it failed on {node}")))
            }
            "fail-role" => {
                let anywhere =
                    self.failed_op(r, None).map(|(op, n)| words::failure(self.st(), op, self.node(n)));
                let what = anywhere.unwrap_or_else(|| "it failed".to_owned());
                format!("{what}, and on-fail=stop keeps it stopped everywhere")
            }
            _ => or(format!("it failed on {node}")),
        };
        Fact::new("failure", text).with("tag", tag)
    }

    /// The failure that asks for the standby of a node.
    fn standby_failure(&self, n: NodeIx) -> Option<String> {
        let st = self.st();
        let primitives = super::outcome::all(st).filter(|r| st[*r].is_primitive());
        primitives.into_iter().find_map(|r| {
            let (op, _) = self.failed_op(r, Some(n))?;
            let asks = |o: &cib::Element| {
                o.attr("name") == op.attr("operation") && o.attr("on-fail") == Some("standby")
            };
            st[r].ops.iter().any(asks).then(|| {
                let failure = words::failure(st, op, self.node(n));
                failure.replacen("its", &format!("{}'s", self.id(r)), 1)
            })
        })
    }

    fn no_room(&self, r: ResourceIx, n: NodeIx) -> Fact {
        let st = self.st();
        let node = self.node(n);
        let number = |t: Option<&cib::Text>| t.map_or(0, |t| crate::policy::values::scan_or(t, 0));
        let mut short = Vec::new();
        for (name, need) in &st[r].utilization {
            let (need, left) = (number(Some(need)), number(st[n].utilization.get(name)));
            if need > left {
                let taken = self.taken(r, n, name);
                short.push(format!("it needs {need} {name} and {node} has {left} left{taken}"));
            }
        }
        if short.is_empty() {
            let with = "it and what must run with it need more than";
            let all: Vec<String> = st[n].utilization.iter().map(|(k, v)| format!("{v} {k}")).collect();
            short.push(format!("{with} {node} has left ({})", words::list(&all)));
        }
        Fact::new("utilization", format!("not enough capacity: {}", short.join("; ")))
            .with("strategy", format!("{:?}", st.options.placement).to_lowercase())
    }

    /// Who has what a node offers: those that take most.
    fn taken(&self, r: ResourceIx, n: NodeIx, name: &str) -> String {
        const SHOWN: usize = 3;
        let st = self.st();
        let need = |o: ResourceIx| {
            st[o].utilization.get(name).map_or(0, |text| crate::policy::values::scan_or(text, 0))
        };
        let mut takers: Vec<(i64, ResourceIx)> = super::outcome::all(st)
            .filter(|o| *o != r && st[*o].is_primitive() && st[*o].assigned_node() == Some(n))
            .map(|o| (need(o), o))
            .filter(|(need, _)| *need > 0)
            .collect();
        takers.sort_by_key(|(need, _)| std::cmp::Reverse(*need));
        let mut texts: Vec<String> = takers
            .iter()
            .take(SHOWN)
            .enumerate()
            .map(|(at, (need, o))| match at {
                0 => format!("{} takes {need}", self.id(*o)),
                _ => format!("{} {need}", self.id(*o)),
            })
            .collect();
        let rest = takers.iter().skip(SHOWN).map(|(need, _)| *need);
        let others = takers.len().saturating_sub(SHOWN);
        if others > 0 {
            let others = i64::try_from(others).unwrap_or(i64::MAX);
            texts.push(format!("{} {}", words::count(others, "other", "others"), rest.sum::<i64>()));
        }
        if texts.is_empty() { String::new() } else { format!(" ({})", words::list(&texts)) }
    }

    fn clone_limit(&self, r: ResourceIx, n: NodeIx) -> Fact {
        let st = self.st();
        let node = self.node(n);
        if st[r].parent.is_none() {
            return Fact::new("clone-limit", format!("the limits of its clone leave no place on {node}"));
        }
        let top = st.top_of(r);
        if let Some(bundle) = st[top].parent {
            return self.replica_limit(bundle, n);
        }
        let id = st[top].config_id();
        let (max, per_node) = st[top].clone_info().map_or((0, 1), |c| (c.max, c.node_max));
        let here =
            st[top].children.iter().filter(|c| st.planned_nodes(**c).iter().any(|a| a.node == n)).count();
        if i32::try_from(here).unwrap_or(i32::MAX) >= per_node {
            return Fact::new(
                "clone-node-max",
                format!(
                    "{node} has {} of {id} already (clone-node-max={per_node})",
                    words::count(here as i64, "instance", "instances")
                ),
            )
            .with("clone", id);
        }
        // A ban of the clone itself, not the echo of a limit.
        let ban = |a: &&Addend| a.score <= -INFINITY && !matches!(a.reason, Origin::CloneLimit);
        if let Some(ban) = self.book.addends(top, n).iter().find(ban) {
            return self.addend(top, n, ban);
        }
        Fact::new(
            "clone-max",
            format!(
                "{id} has its {} elsewhere (clone-max={max})",
                words::count(max, "instance", "instances")
            ),
        )
        .with("clone", id)
    }

    /// The same for the containers of a bundle.
    fn replica_limit(&self, bundle: ResourceIx, n: NodeIx) -> Fact {
        let st = self.st();
        let (node, id) = (self.node(n), st[bundle].config_id());
        let Some(info) = st[bundle].bundle_info() else {
            return Fact::new("clone-limit", format!("the limits of {id} leave no place on {node}"));
        };
        let here = info.replicas.iter().filter(|x| st.planned_node(x.container).is_some_and(|a| a.node == n));
        let here = i64::try_from(here.count()).unwrap_or(i64::MAX);
        let fact = if here >= i64::from(info.per_host) {
            let text = format!(
                "{node} has {} of {id} already (replicas-per-host={})",
                words::count(here, "replica", "replicas"),
                info.per_host
            );
            Fact::new("replicas-per-host", text)
        } else {
            let all = words::count(info.replicas_max, "replica", "replicas");
            Fact::new("replicas", format!("{id} has its {all} elsewhere (replicas={})", info.replicas_max))
        };
        fact.with("bundle", id)
    }

    /// Too many failures on a node.
    fn threshold(&self, r: ResourceIx, n: NodeIx, count: i32, threshold: i32) -> Fact {
        let node = self.node(n);
        let st = self.st();
        // A failed instance bans its whole clone: then it was another one, or another member, that failed.
        let near = super::outcome::leaves(st, r).into_iter();
        let far = super::outcome::leaves(st, st.top_of(r)).into_iter();
        let failed = near.chain(far).find_map(|l| self.failed_op(l, Some(n)).map(|(op, _)| (l, op)));
        let op = failed.map(|(_, op)| op);
        let last = failed.map(|(l, op)| {
            let text = words::failure(st, op, node);
            match self.id(l) == self.id(r) {
                true => text,
                false => text.replacen("its", &format!("{}'s", self.id(l)), 1),
            }
        });
        let start = op.and_then(|op| op.attr("operation")) == Some("start");
        let why = if count >= INFINITY && start && self.st().options.start_failure_fatal {
            ", which is fatal (start-failure-is-fatal=true)".to_owned()
        } else if count >= INFINITY {
            ", which is fatal (fail count INFINITY)".to_owned()
        } else {
            format!(
                "; {} there, migration-threshold is {threshold}",
                words::count(count, "failure", "failures")
            )
        };
        let forgotten = failed.and_then(|(l, op)| {
            let at = crate::policy::values::scan_or(op.attr("last-rc-change")?, 0);
            let end = at.checked_add(st[l].failure_timeout)?;
            (at > 0 && st[l].failure_timeout > 0 && end > st.now)
                .then(|| format!(", forgotten at {} (failure-timeout)", words::time(st, end)))
        });
        let why = why + &forgotten.unwrap_or_default();
        let text = match last {
            Some(last) => format!("{last}{why}"),
            None => format!("it failed on {node}{why}"),
        };
        Fact::new("threshold", text)
            .with("fail-count", words::score(count))
            .with("threshold", words::score(threshold))
    }
}

/// A member whose controller is there, and which has not been let in yet.
pub(super) fn joining(node: &crate::policy::state::Node) -> bool {
    let is = |name: &str, value: &str| node.state_xml.as_ref().and_then(|s| s.attr(name)) == Some(value);
    is("in_ccm", "true") && is("crmd", "online") && !is("join", "member")
}

/// A colocation that no constraint wrote.
pub fn internal(constraint: &str) -> bool {
    constraint.starts_with('#')
        || matches!(
            constraint,
            "group:internal_colocation" | "ip-with-docker" | "child-remote-with-docker-remote"
        )
}

/// What to add about a constraint that a command left behind.
pub fn leftover(constraint: &str) -> &'static str {
    if constraint.starts_with("cli-ban-") {
        ", left by crm_resource --ban or --move"
    } else if constraint.starts_with("cli-prefer-") {
        ", left by crm_resource --move"
    } else {
        ""
    }
}
