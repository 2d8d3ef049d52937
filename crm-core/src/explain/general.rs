//! Why a resource does not run, whatever the node: what it is told, what the cluster is told, what it waits
//! for.

use cib::Element;

use super::fact::Fact;
use super::outcome::{self, leaves};
use super::scene::Scene;
use super::words;
use crate::policy::ix::{ActionIx, ResourceIx};
use crate::policy::state::{Role, Variant};
use crate::policy::transition::task::Task;

/// How far a chain of resources that wait for each other is followed.
pub const DEPTH: usize = 6;

impl Scene {
    /// Reasons that do not depend on a node, for a leaf.
    pub fn general(&self, r: ResourceIx) -> Vec<Fact> {
        let st = self.st();
        let rsc = &st[r];
        let mut facts = Vec::new();
        if rsc.flags.orphan {
            facts.push(Fact::new(
                "orphan",
                format!("{} is not in the configuration any more (an orphan)", self.id(r)),
            ));
        }
        if st.options.stop_all_resources {
            facts.push(Fact::new(
                "stop-all",
                "the cluster is told to stop everything (stop-all-resources=true)",
            ));
        }
        if let Some(fact) = self.disabled(r) {
            facts.push(fact);
        }
        facts.extend(self.unmanaged(r));
        if let Some(p) = self.over_limit(r) {
            facts.push(p);
        }

        facts
    }

    /// `target-role` keeps it down.
    fn disabled(&self, r: ResourceIx) -> Option<Fact> {
        let st = self.st();
        let role = st[r].meta("target-role").map(Role::parse)?;
        if !matches!(role, Role::Stopped | Role::Unpromoted) {
            return None;
        }
        if role == Role::Unpromoted && !st[r].flags.promotable {
            return None;
        }
        let place = self.meta_place(r, "target-role");
        let word = st[r].meta("target-role").unwrap_or_default();
        let what = if role == Role::Stopped { "stay stopped" } else { "stay unpromoted" };
        Some(
            Fact::new("target-role", format!("it is told to {what} (target-role={word}{place})"))
                .with("target-role", word),
        )
    }

    /// Where a meta attribute is set, if not on the resource itself: ` set on group g`.
    pub fn meta_place(&self, r: ResourceIx, name: &str) -> String {
        let st = self.st();
        let has = |e: &Element| {
            e.children_named("meta_attributes")
                .any(|s| s.children_named("nvpair").any(|p| p.attr("name") == Some(name)))
        };
        let mut at = Some(r);
        while let Some(x) = at {
            if has(&st[x].xml) {
                return match x == r {
                    true => String::new(),
                    false => format!(" set on {} {}", self.kind(x), st[x].config_id()),
                };
            }
            at = st[x].parent;
        }
        match &st.rsc_defaults {
            Some(defaults) if has(defaults) => " set in rsc_defaults".to_owned(),
            _ => String::new(),
        }
    }

    /// Why the cluster keeps its hands off.
    pub fn unmanaged(&self, r: ResourceIx) -> Vec<Fact> {
        let st = self.st();
        let rsc = &st[r];
        if rsc.flags.managed {
            return Vec::new();
        }
        let mut facts = Vec::new();
        if st.options.maintenance_mode {
            facts.push(Fact::new(
                "maintenance-mode",
                "the cluster is in maintenance mode (maintenance-mode=true): nothing is started or stopped",
            ));
        } else if rsc.flags.blocked {
            let lost = st.ticket_uses.iter().find(|u| {
                let lost = st.tickets.get(&u.ticket).is_some_and(|t| !t.granted);
                lost && (u.resource == r || leaves(st, u.resource).contains(&r))
            });
            let failed = self.failed_op(r, None).map(|(op, n)| words::failure(st, op, self.node(n)));
            let text = match (failed, lost, rsc.running_on.len()) {
                (Some(failed), ..) => {
                    let stop = failed.contains("its stop failed");
                    let fencing = match (stop, st.options.stonith_enabled) {
                        (true, false) => {
                            ", and without fencing (stonith-enabled=false) nobody can make sure that it is stopped"
                        }
                        _ => "",
                    };
                    format!("it is blocked until it is cleaned up: {failed}{fencing}")
                }
                (None, Some(u), _) => format!(
                    "it is frozen: ticket {} is not granted (loss-policy=freeze, constraint {})",
                    u.ticket, u.constraint
                ),
                (None, None, n) if n > 1 => {
                    let on = self.now(r);
                    format!(
                        "it is active on several nodes ({}), and multiple-active=block leaves it alone",
                        self.names(&on).join(", ")
                    )
                }
                _ => "it is blocked".to_owned(),
            };
            facts.push(Fact::new("blocked", text));
        } else if rsc.meta("is-managed").is_some_and(|v| !crate::policy::values::is_true(Some(v))) {
            let place = self.meta_place(r, "is-managed");
            facts.push(Fact::new(
                "unmanaged",
                format!("it is unmanaged (is-managed=false{place}): the cluster neither starts nor stops it"),
            ));
        } else if rsc.flags.maintenance {
            let place = self.meta_place(r, "maintenance");
            facts.push(Fact::new(
                "maintenance",
                format!(
                    "it is in maintenance (maintenance=true{place}): the cluster neither starts nor stops it"
                ),
            ));
        } else if st.options.stonith_enabled && !st.have_fence_device {
            facts.push(Fact::new("no-fencing", "fencing is required (stonith-enabled is true) and no fencing device is configured: nothing is started or stopped until one is"));
        } else if let Some(n) = rsc.running_on.iter().find(|n| st[**n].maintenance) {
            facts.push(Fact::new(
                "node-maintenance",
                format!("it is left alone: {} is in maintenance mode", self.node(*n)),
            ));
        } else {
            facts.push(Fact::new("unmanaged", "the cluster neither starts nor stops it (unmanaged)"));
        }
        facts
    }

    fn over_limit(&self, r: ResourceIx) -> Option<Fact> {
        let st = self.st();
        let top = st.top_of(r);
        let info = st[top].clone_info()?;
        (info.max == 0).then(|| {
            Fact::new("clone-max", format!("{} may have no instances (clone-max=0)", st[top].config_id()))
        })
    }

    /// What keeps a leaf's planned start from happening; nothing where it will happen.
    pub fn waits(&self, r: ResourceIx, seen: &mut Vec<ResourceIx>) -> Vec<Fact> {
        let st = self.st();
        seen.push(r);
        if st[r].assigned.is_none() || !st[r].flags.managed {
            return Vec::new();
        }
        let starts = self.plan.actions.of(r).iter().copied();
        let blocked = starts.filter(|a| {
            let a = &self.plan.actions[*a];
            a.task == Task::Start && !a.runnable()
        });
        let down = super::outcome::after(&self.plan, r).is_empty();
        if down {
            return blocked.take(1).map(|a| self.held(r, a, seen)).collect();
        }
        self.waits_for_itself(r).into_iter().collect()
    }

    /// A start that waits in a circle of orderings, and so for itself.
    fn waits_for_itself(&self, r: ResourceIx) -> Option<Fact> {
        if self.stuck.is_empty() {
            return None;
        }
        let st = self.st();
        let stuck = |r: ResourceIx| {
            let key = format!("{}_start_0", st[r].id);
            self.stuck.contains(&key)
        };
        if !stuck(r) {
            return None;
        }
        let others: Vec<&str> = outcome::all(st)
            .filter(|x| *x != r && st[*x].is_primitive() && stuck(*x))
            .map(|x| self.id(x))
            .collect();
        let text = format!(
            "its start never comes: it waits in a circle of order constraints, together with {} (everbeat constraints {} names them)",
            words::list(&others),
            self.id(r)
        );
        Some(Fact::new("circular-order", text))
    }

    /// Why an action cannot happen.
    pub fn held(&self, r: ResourceIx, ix: ActionIx, seen: &mut Vec<ResourceIx>) -> Fact {
        let st = self.st();
        let action = &self.plan.actions[ix];
        let reason = action.reason.as_deref().unwrap_or_default();
        let task = action.task.as_str();
        if reason == "no quorum" || reason == "quorum freeze" {
            let policy = st.options.raw.get("no-quorum-policy").map_or("stop", |text| text.as_str());
            return Fact::new(
                "no-quorum",
                match policy {
                "freeze" => "this part of the cluster has no quorum, and no-quorum-policy=freeze starts nothing that does not run already".to_owned(),
                policy => format!("this part of the cluster has no quorum, and no-quorum-policy={policy} lets nothing run"),
            },
            );
        }
        if let Some(because) = action.because
            && let Some(other) = self.plan.actions[because].resource
        {
            return self.held_by(r, task, because, other, reason.starts_with("colocation"), seen);
        }
        if let Some(n) = action.node {
            let node = &st[n];
            if node.pending {
                return Fact::new("node-pending", format!("{} is still joining the cluster", node.name))
                    .with("node", &node.name);
            }
            if let Some(trouble) = self.node_trouble(n) {
                return trouble;
            }
        }
        // A fencing that cannot be done holds everything that must not run twice.
        for input in &action.before {
            let first = &self.plan.actions[input.other];
            if first.task == Task::Stonith
                && !first.runnable()
                && let Some(n) = first.node
            {
                return self.unfenceable(n);
            }
        }
        if let Some(n) = st.node_indices().find(|n| st[*n].unclean && !st.can_fence(Some(*n))) {
            return self.unfenceable(n);
        }
        let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Fact::new("blocked", format!("it cannot {task} now{reason}"))
    }

    fn unfenceable(&self, n: crate::policy::ix::NodeIx) -> Fact {
        let st = self.st();
        let why = if !st.options.stonith_enabled {
            "fencing is off (stonith-enabled=false)"
        } else if !st.have_fence_device {
            "no fencing device is configured"
        } else {
            "there is no quorum to decide it"
        };
        Fact::new(
            "unfenceable",
            format!("{} would have to be fenced first, and cannot be: {why}", self.node(n)),
        )
        .with("node", self.node(n))
    }

    fn held_by(
        &self,
        r: ResourceIx,
        task: &str,
        because: ActionIx,
        other: ResourceIx,
        colocation: bool,
        seen: &mut Vec<ResourceIx>,
    ) -> Fact {
        let st = self.st();
        let first = &self.plan.actions[because];
        let name = self.called(other);
        let base = if colocation {
            let by = self.colocation_between(r, other);
            format!("it must run with {name}{by}")
        } else {
            let group = st[r].parent.filter(|p| st[*p].is_group() && st[other].parent == Some(*p));
            match group {
                Some(g) => format!("group {} starts {name} before it", st[g].config_id()),
                None => format!(
                    "{name} must {} before it can {task}{}",
                    first.task.as_str(),
                    self.order_between(other, r)
                ),
            }
        };
        let fact = |text: String| {
            Fact::new(if colocation { "colocation" } else { "order" }, text).with("with", self.id(other))
        };
        if seen.contains(&other) || seen.len() > DEPTH {
            return fact(format!("{base}, and that cannot happen"));
        }
        let why = self.why_down(other, seen);
        match why {
            Some(why) => fact(format!("{base}, and {} cannot: {}", self.id(other), why.text)),
            None => {
                // Where it is, nothing may be done to it.
                let blocked = leaves(st, other).into_iter().find(|l| st[*l].flags.blocked);
                match blocked.and_then(|l| self.general(l).into_iter().next()) {
                    Some(why) => fact(format!("{base}, and {}", self.named(other, why).text)),
                    None => fact(format!("{base}, and that cannot happen now")),
                }
            }
        }
    }

    /// The first reason why a resource (of any kind) does not run.
    pub fn why_down(&self, r: ResourceIx, seen: &mut Vec<ResourceIx>) -> Option<Fact> {
        let st = self.st();
        let all = leaves(st, r);
        let leaf = all.iter().copied().find(|l| super::outcome::after(&self.plan, *l).is_empty())?;
        if let Some(first) = self.general(leaf).into_iter().next() {
            return Some(first);
        }
        if let Some(first) = self.waits(leaf, seen).into_iter().next() {
            return Some(first);
        }
        let mut facts = Vec::new();
        for n in st.node_order.iter().copied().filter(|n| !self.beside_the_point(leaf, *n)) {
            facts.extend(self.forbids_deeply(leaf, n, seen));
        }
        let mut facts = facts.into_iter();
        let first = facts.next()?;
        let rest: Vec<Fact> = facts.collect();
        if rest.is_empty() || rest.iter().all(|f| f.text == first.text) {
            return Some(first);
        }
        let mut texts = vec![first.text.clone()];
        for f in rest {
            // With less to say about the same thing, too.
            if !texts.iter().any(|said| said.starts_with(&f.text)) {
                texts.push(f.text);
            }
        }
        Some(Fact { text: format!("no node is left for it ({})", texts.join("; ")), ..first })
    }

    /// What forbids a node; where that is a colocation with something that runs nowhere, also why.
    pub fn forbids_deeply(
        &self,
        r: ResourceIx,
        n: crate::policy::ix::NodeIx,
        seen: &mut Vec<ResourceIx>,
    ) -> Option<Fact> {
        let mut fact = self.forbids(r, n)?;
        if fact.code != "colocation" || seen.len() > DEPTH {
            return Some(fact);
        }
        let first = self.book.addends(r, n).iter().find(|a| a.score <= -crate::policy::values::INFINITY)?;
        if let crate::policy::ledger::Origin::ColocatedWith { primary, .. } = &first.reason
            && !seen.contains(primary)
            && self.after(*primary).is_empty()
        {
            seen.push(*primary);
            if let Some(why) = self.why_down(*primary, seen) {
                let why = self.named(*primary, why);
                fact.text = format!("{}: {}", fact.text, why.text);
            }
        }
        Some(fact)
    }

    /// ` (constraint ID)` of an ordering of two resources, or of what they are in.
    pub fn order_between(&self, first: ResourceIx, then: ResourceIx) -> String {
        let find = |ids: &dyn Fn(&Element) -> bool| self.constraint("rsc_order", ids);
        let (a, b) = (self.family(first), self.family(then));
        let has = |list: &[String], name: Option<&str>| name.is_some_and(|n| list.iter().any(|x| x == n));
        let found = find(&|e: &Element| {
            if e.child("resource_set").is_some() {
                let refs: Vec<&str> =
                    e.descendants().filter(|d| d.name() == "resource_ref").filter_map(Element::id).collect();
                return refs.iter().any(|id| has(&a, Some(id))) && refs.iter().any(|id| has(&b, Some(id)));
            }
            has(&a, e.attr("first")) && has(&b, e.attr("then"))
        });
        found.map_or_else(String::new, |id| format!(" (constraint {id})"))
    }

    fn colocation_between(&self, dependent: ResourceIx, primary: ResourceIx) -> String {
        let st = self.st();
        let (a, b) = (self.family(dependent), self.family(primary));
        let own =
            |list: &[String], r: ResourceIx| list.iter().any(|x| x == &st[r].id || x == st[r].config_id());
        let found = st
            .colocations
            .iter()
            .find(|c| own(&a, c.dependent) && own(&b, c.primary) && !super::reasons::internal(&c.id));
        found.map_or_else(String::new, |c| format!(" (constraint {})", c.id))
    }

    /// Ids of a resource and of everything around it.
    pub fn family(&self, r: ResourceIx) -> Vec<String> {
        let st = self.st();
        let mut ids = Vec::new();
        let mut at = Some(r);
        while let Some(x) = at {
            for id in [st[x].id.as_str(), st[x].config_id()] {
                if !ids.iter().any(|known| known == id) {
                    ids.push(id.to_owned());
                }
            }
            at = st[x].parent;
        }
        ids
    }

    fn constraint(&self, kind: &str, fits: &dyn Fn(&Element) -> bool) -> Option<String> {
        let list = self.cib.root().path(&["configuration", "constraints"])?;
        list.children_named(kind).find(|e| fits(e)).and_then(|e| e.id().map(str::to_owned))
    }

    /// Whether a leaf belongs to an anonymous clone whose instances are interchangeable.
    pub fn in_clone(&self, r: ResourceIx) -> bool {
        let st = self.st();
        st[st.top_of(r)].variant() == Variant::Clone
    }
}
