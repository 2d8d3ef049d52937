//! Capacities: what nodes have, what resources need (section 12).

use super::Placer;
use super::apply::Affects;
use super::lines::ScoreLine;
use crate::policy::ix::{ColocationIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::reference_order::hash_order;
use crate::policy::state::{Placement, State, Table, Variant};
use crate::policy::values::{INFINITY, Scan, scan};
use cib::Text;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Needs by name.
type Needs = BTreeMap<String, i64>;

/// A capacity or need; anything unreadable is 0.
fn amount(text: Option<&Text>) -> i64 {
    match text.map(|t| scan(t)) {
        Some(Scan::Clean(v) | Scan::Rest(v, _)) => v,
        _ => 0,
    }
}

fn add(needs: &mut Needs, table: &Table) {
    for (name, value) in table {
        *needs.entry(name.to_string()).or_default() += amount(Some(value));
    }
}

impl State {
    /// Which of two nodes has more free capacity (12.6): that one first.
    pub fn compare_capacity(&self, a: NodeIx, b: NodeIx) -> Ordering {
        let (x, y) = (&self[a].utilization, &self[b].utilization);
        let mut sum = 0i32;
        for name in x.keys().chain(y.keys().filter(|k| !x.contains_key(k))) {
            match amount(x.get(name)).cmp(&amount(y.get(name))) {
                Ordering::Greater => sum -= 1,
                Ordering::Less => sum += 1,
                Ordering::Equal => {}
            }
        }
        sum.cmp(&0)
    }

    fn can_hold(&self, n: NodeIx, needs: &Needs) -> bool {
        needs.iter().all(|(name, need)| *need <= amount(self[n].utilization.get(name)))
    }

    /// Names and values as the reference prints them.
    fn utilization_values(table: &Table) -> Vec<(String, String)> {
        hash_order(table.keys().map(Text::as_str))
            .into_iter()
            .filter_map(|i| table.get_index(i))
            .map(|(n, v)| (n.to_string(), v.to_string()))
            .collect()
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// Complains about capacities and needs that are no numbers, where they count.
    pub fn check_utilization(&mut self) {
        if self.s.options.placement == Placement::Default {
            return;
        }
        let nodes = self.s.nodes.iter().map(|n| (&n.id, &n.utilization));
        let resources = self.s.resources.iter().map(|r| (&r.id, &r.utilization));
        let wrong: Vec<(String, String)> = nodes
            .chain(resources)
            .flat_map(|(id, table)| table.values().map(move |v| (id.clone(), v.to_string())))
            .filter(|(_, v)| !matches!(scan(v), Scan::Clean(_) | Scan::Rest(..)))
            .collect();
        for (id, value) in wrong {
            let text = format!("Using 0 for utilization instead of invalid value '{value}'");
            self.s.complaints.warning("utilization-invalid", &id, text);
        }
    }

    /// Capacities of all cluster nodes, for `crm_simulate -U`.
    pub fn capacities(&mut self, comment: &'static str) {
        if !self.s.collect_scores {
            return;
        }
        for n in self.s.node_order.clone() {
            let values = State::utilization_values(&self.s[n].utilization);
            self.line(ScoreLine::Capacity { comment, node: n, values });
        }
    }

    /// A resource takes its share of a node.
    pub fn consume(&mut self, r: ResourceIx, n: NodeIx) {
        self.shift(r, n, |value, need| value.map_or(0, |v| v - need));
        if self.s.collect_scores {
            let values = State::utilization_values(&self.s[r].utilization);
            self.line(ScoreLine::Utilization { resource: r, node: n, values });
        }
    }

    /// And gives it back.
    pub fn release(&mut self, r: ResourceIx, n: NodeIx) {
        self.shift(r, n, |value, need| value.unwrap_or(0) + need);
    }

    fn shift(&mut self, r: ResourceIx, n: NodeIx, f: impl Fn(Option<i64>, i64) -> i64) {
        for i in 0..self.s[r].utilization.len() {
            let Some((name, need)) =
                self.s[r].utilization.get_index(i).map(|(k, v)| (k.clone(), amount(Some(v))))
            else {
                continue;
            };
            let node = &mut self.s[n].utilization;
            let value = node.get(&name).map(|v| amount(Some(v)));
            node.insert(name, f(value, need).to_string());
        }
    }

    /// 12.3: bans nodes without room; the node with most room where no node has enough for all that goes
    /// with the resource.
    pub fn utilization_filter(&mut self, r: ResourceIx) -> Option<NodeIx> {
        if self.s.options.placement == Placement::Default {
            return None;
        }
        let mut set = Vec::new();
        self.colocated_set(r, r, &mut set);
        let mut needs = Needs::new();
        for x in set.clone() {
            if self.s[x].flags.provisional {
                self.add_needs(x, &set, &mut needs);
            }
        }
        let nodes: Vec<NodeIx> = {
            let in_table: Vec<NodeIx> =
                self.s.node_order.iter().copied().filter(|n| self.s[r].table.contains(*n)).collect();
            let order = hash_order(in_table.iter().map(|n| self.s[*n].id.as_str()));
            order.into_iter().filter_map(|i| in_table.get(i).copied()).collect()
        };
        let usable =
            |s: &State, n: NodeIx| s[r].table.score(n).is_some_and(|score| s.available_with(n, score));
        let mut most: Option<NodeIx> = None;
        let mut any = false;
        for n in nodes.iter().copied().filter(|n| usable(self.s, *n)) {
            any |= self.s.can_hold(n, &needs);
            if most.is_none_or(|m| self.s.compare_capacity(n, m) == Ordering::Less) {
                most = Some(n);
            }
        }
        let (needs, result) = if any {
            (needs, None)
        } else {
            let mut own = Needs::new();
            add(&mut own, &self.s[r].utilization);
            (own, most)
        };
        for n in nodes {
            if usable(self.s, n) && !self.s.can_hold(n, &needs) {
                self.s.nudge(self.ledger, r, n, -INFINITY, Source::Utilization);
            }
        }
        result
    }

    /// 12.2: everything that must be where `r` is.
    fn colocated_set(&self, r: ResourceIx, origin: ResourceIx, out: &mut Vec<ResourceIx>) {
        if out.contains(&r) {
            return;
        }
        if self.s[r].variant() == Variant::Group {
            let in_clone = self.s[r].parent.is_some_and(|p| self.s[p].variant() == Variant::Clone);
            let members = &self.s[r].children;
            let count = if self.s.is_colocated_group(r) || in_clone { members.len() } else { 1 };
            for m in members.iter().take(count) {
                self.colocated_set(*m, origin, out);
            }
        }
        if !out.contains(&r) {
            out.push(r);
        }
        let ties = |ix: ColocationIx| {
            let c = &self.s[ix];
            c.score >= INFINITY
                && self.s.colocation_affects(c.dependent, c.primary, ix, true) == Affects::Location
        };
        for ix in self.s[r].this_with.iter().copied() {
            let primary = self.s[ix].primary;
            if primary != origin && ties(ix) {
                self.colocated_set(primary, origin, out);
            }
        }
        let is_clone = self.s[r].variant() == Variant::Clone;
        for ix in self.s[r].with_this.iter().copied() {
            let dependent = self.s[ix].dependent;
            if dependent == origin || (is_clone && self.s[dependent].variant() != Variant::Clone) {
                continue;
            }
            if ties(ix) {
                self.colocated_set(dependent, origin, out);
            }
        }
    }

    /// What a member of a colocated set adds to the needs.
    fn add_needs(&self, r: ResourceIx, set: &[ResourceIx], needs: &mut Needs) {
        let s = &*self.s;
        if !s[r].flags.provisional {
            return;
        }
        match s[r].variant() {
            Variant::Primitive => add(needs, &s[r].utilization),
            Variant::Group => {
                let in_clone = s[r].parent.is_some_and(|p| s[p].variant() == Variant::Clone);
                let all = s.is_colocated_group(r) || in_clone;
                for m in s[r].children.iter().take(if all { usize::MAX } else { 1 }) {
                    if s[*m].flags.provisional && !set.contains(m) {
                        add(needs, &s[*m].utilization);
                    }
                }
            }
            Variant::Clone => {
                for c in &s[r].children {
                    if set.contains(c) {
                        return;
                    }
                    if s[*c].children.iter().any(|m| set.contains(m)) {
                        self.add_needs(*c, set, needs);
                        return;
                    }
                }
                if let Some(first) = s[r].children.first() {
                    self.add_needs(*first, set, needs);
                }
            }
            Variant::Bundle => {
                if let Some(x) = s[r].bundle_info().and_then(|b| b.replicas.first()) {
                    self.add_needs(x.container, set, needs);
                }
            }
        }
    }
}
