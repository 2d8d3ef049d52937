//! What a colocation does to its dependent once the primary has its node (section 9), and the parts of it
//! that are about clones, promotable clones and bundles (14.9, 15.7, 15.8, 16.7).

use super::Placer;
use crate::policy::ix::{ColocationIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::state::{Assigned, Discovery, Role, Row, State, Variant};
use crate::policy::values::{INFINITY, add_scores, is_true};

/// What a colocation touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Affects {
    Nothing,
    Role,
    Location,
}

impl State {
    /// 9.3. `preview`: as if neither side were assigned.
    pub fn colocation_affects(
        &self,
        dep: ResourceIx,
        prim: ResourceIx,
        ix: ColocationIx,
        preview: bool,
    ) -> Affects {
        let c = &self[ix];
        let (d, p) = (&self[dep], &self[prim]);
        if !preview && p.flags.provisional {
            return Affects::Nothing;
        }
        if c.dependent_role >= Role::Unpromoted
            && d.parent.is_some_and(|x| self[x].flags.promotable)
            && !d.flags.provisional
        {
            return Affects::Role;
        }
        if !preview && !d.flags.provisional {
            return Affects::Nothing;
        }
        let differs = |wanted: Role, is: Role| wanted != Role::Unknown && wanted != is;
        let equals = |wanted: Role, is: Role| wanted != Role::Unknown && wanted == is;
        let (dr, pr) = (c.dependent_role, c.primary_role);
        if c.score > 0 && (differs(dr, d.next_role) || differs(pr, p.next_role)) {
            return Affects::Nothing;
        }
        if c.score < 0 && (equals(dr, d.next_role) || equals(pr, p.next_role)) {
            return Affects::Nothing;
        }
        Affects::Location
    }

    /// The distinct nodes of all leaves below a resource, as planned.
    pub fn planned_nodes(&self, r: ResourceIx) -> Vec<Assigned> {
        let mut out = Vec::new();
        self.collect_planned(r, &mut out);
        out
    }

    fn collect_planned(&self, r: ResourceIx, out: &mut Vec<Assigned>) {
        let rsc = &self[r];
        if rsc.children.is_empty()
            && let Some(a) = rsc.assigned.filter(|a| !out.iter().any(|x| x.node == a.node))
        {
            out.push(a);
        }
        for c in &rsc.children {
            self.collect_planned(*c, out);
        }
    }

    /// The one node of a resource, as planned.
    pub fn planned_node(&self, r: ResourceIx) -> Option<Assigned> {
        match self.planned_nodes(r).as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }

    /// The next role of a leaf, or the highest of those below.
    pub fn next_state(&self, r: ResourceIx) -> Role {
        let rsc = &self[r];
        match rsc.children.is_empty() {
            true => rsc.next_role,
            false => rsc.children.iter().map(|c| self.next_state(*c)).max().unwrap_or(Role::Unknown),
        }
    }

    /// The present role of a leaf, or the highest of those below.
    pub fn current_state(&self, r: ResourceIx) -> Role {
        let rsc = &self[r];
        match rsc.children.is_empty() {
            true => rsc.role,
            false => rsc.children.iter().map(|c| self.current_state(*c)).max().unwrap_or(Role::Unknown),
        }
    }

    /// A leaf's flag, or whether any below has it.
    pub fn any_flag(&self, r: ResourceIx, flag: fn(&crate::policy::state::Flags) -> bool) -> bool {
        let rsc = &self[r];
        flag(&rsc.flags) || rsc.children.iter().any(|c| self.any_flag(*c, flag))
    }

    fn copies_per_node(&self, r: ResourceIx) -> i32 {
        if let Some(c) = self[r].clone_info() {
            return c.node_max;
        }
        self[r].bundle_info().map_or(1, |b| b.per_host)
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// A colocation's effect on `dep`, which is its dependent or stands for it.
    pub fn apply_for_dependent(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        match self.s[dep].variant() {
            Variant::Primitive => self.apply_primary(dep, prim, ix),
            Variant::Group => {
                let members = self.s[dep].children.clone();
                if self.s.is_colocated_group(dep) {
                    if let Some(first) = members.first() {
                        self.apply_for_dependent(*first, prim, ix);
                    }
                } else if self.s[ix].score >= INFINITY {
                    self.impossible(dep, prim);
                } else {
                    for m in members {
                        self.apply_for_dependent(m, prim, ix);
                    }
                }
            }
            Variant::Clone | Variant::Bundle => {}
        }
    }

    fn impossible(&mut self, dep: ResourceIx, prim: ResourceIx) {
        let (d, p) = (self.s[dep].id.clone(), self.s[prim].id.clone());
        self.s.complaints.error(
            "colocation-impossible",
            &d,
            format!("Cannot perform mandatory colocation of non-colocated group with {p}"),
        );
    }

    /// Dispatch on the primary's kind (9.2).
    pub fn apply_primary(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        match self.s[prim].variant() {
            Variant::Primitive => match self.s.colocation_affects(dep, prim, ix, false) {
                Affects::Nothing => {}
                Affects::Role => self.apply_role(dep, prim, ix),
                Affects::Location => self.apply_location_effect(dep, prim, ix),
            },
            Variant::Group => {
                if self.s[prim].flags.provisional {
                    return;
                }
                let members = self.s[prim].children.clone();
                if self.s.is_colocated_group(prim) {
                    let member = if self.s[ix].score >= INFINITY { members.last() } else { members.first() };
                    if let Some(m) = member {
                        self.apply_primary(dep, *m, ix);
                    }
                } else if self.s[ix].score >= INFINITY {
                    self.impossible(prim, prim);
                } else {
                    for m in members {
                        self.apply_primary(dep, m, ix);
                    }
                }
            }
            Variant::Clone => self.apply_clone(dep, prim, ix),
            Variant::Bundle => self.apply_bundle(dep, prim, ix),
        }
    }

    /// 9.4.
    fn apply_location_effect(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        let c = &self.s[ix];
        let score = c.score;
        let attribute = c.attribute.as_deref().unwrap_or("#id");
        let at = self.s[prim].assigned_node();
        if at.is_none() && score < 0 {
            return;
        }
        let mut after = self.s[dep].table.clone();
        let value = at.and_then(|p| self.s[p].attribute(attribute));
        for (n, e) in after.iter_mut() {
            if at.is_none() {
                e.score = add_scores(e.score, -score);
            } else if self.s.same_value(n, attribute, value) {
                if score < INFINITY {
                    e.score = add_scores(e.score, score);
                }
            } else if score >= INFINITY {
                e.score = -INFINITY;
            }
        }
        if score.abs() >= INFINITY || self.s.any_available(&after) {
            let id = if L::KEEPS { self.s[ix].id.clone() } else { String::new() };
            self.replace_table(dep, after, Source::ColocatedWith { constraint: &id, primary: prim });
        }
    }

    /// 9.5.
    fn apply_role(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        let (Some(d), Some(p)) = (self.s[dep].assigned_node(), self.s[prim].assigned_node()) else { return };
        let c = &self.s[ix];
        let attribute = c.attribute.as_deref().unwrap_or("#id");
        let (score, dr, pr) = (c.score, c.dependent_role, c.primary_role);
        if !self.s.same_value(d, attribute, self.s[p].attribute(attribute)) {
            if score >= INFINITY && dr == Role::Promoted {
                self.s[dep].priority = -INFINITY;
            }
            return;
        }
        if pr != Role::Unknown && pr != self.s[prim].next_role {
            return;
        }
        let score = if dr == Role::Unpromoted { -score } else { score };
        self.s[dep].priority = add_scores(score, self.s[dep].priority);
    }

    /// The child of a collective that is on the dependent's node, planned or wished for.
    pub fn partner(&self, dep: ResourceIx, children: &[ResourceIx], role: Role) -> Option<ResourceIx> {
        let on = |n: NodeIx| {
            children.iter().copied().find(|c| {
                !self.s.any_flag(*c, |f| f.blocked)
                    && (role == Role::Unknown || self.s.next_state(*c) == role)
                    && self.s.planned_node(*c).is_some_and(|a| a.node == n)
            })
        };
        match self.s.planned_node(dep) {
            Some(a) => on(a.node),
            None => self.s.sorted_nodes(&self.s[dep].table, None).into_iter().find_map(on),
        }
    }

    /// 14.9, with 15.7 and 15.8 first.
    fn apply_clone(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        let c = self.s[ix].clone();
        if self.s[prim].flags.promotable && self.s[prim].flags.provisional {
            return;
        }
        if self.s[prim].flags.promotable && c.primary_role != Role::Unknown {
            if self.s[dep].flags.provisional {
                self.apply_promoted(dep, prim, ix);
                return;
            }
            if c.dependent_role == Role::Promoted {
                let children = self.s[prim].children.clone();
                match self.partner(dep, &children, c.primary_role) {
                    Some(_) => self.s[dep].priority = add_scores(self.s[dep].priority, c.score),
                    None if c.score >= INFINITY => self.s[dep].priority = -INFINITY,
                    None => {}
                }
                return;
            }
        }
        let collective = matches!(self.s[c.dependent].variant(), Variant::Clone | Variant::Bundle);
        let mut interleave = false;
        if collective && is_true(self.s[c.dependent].meta("interleave")) {
            interleave = self.s.copies_per_node(c.dependent) == self.s.copies_per_node(prim);
            if !interleave {
                let (d, p) = (self.s[c.dependent].id.clone(), self.s[prim].id.clone());
                self.s.complaints.error(
                    "colocation-interleave",
                    &c.id,
                    format!(
                        "Cannot interleave {d} and {p} because they do not support the same number of instances per \
                         node"
                    ),
                );
            }
        }
        if self.s[prim].flags.provisional {
            return;
        }
        let children = self.s[prim].children.clone();
        if interleave {
            self.apply_partner(dep, &children, ix);
        } else if c.score >= INFINITY {
            let mut nodes = Vec::new();
            for child in children {
                if let Some(a) = self.s.planned_node(child).filter(|_| !self.s.any_flag(child, |f| f.blocked))
                {
                    nodes.push(a);
                }
            }
            self.restrict(dep, prim, &c.id, &nodes, false);
        } else {
            for child in children {
                self.apply_primary(dep, child, ix);
            }
        }
    }

    /// With the child on the same node; where none is and the colocation is mandatory: nowhere.
    fn apply_partner(&mut self, dep: ResourceIx, children: &[ResourceIx], ix: ColocationIx) {
        match self.partner(dep, children, Role::Unknown) {
            Some(p) => self.apply_for_dependent(dep, p, ix),
            None if self.s[ix].score >= INFINITY => {
                self.finalize(dep, None, true);
            }
            None => {}
        }
    }

    /// Bans every node that is not listed; `merge` adds the listed nodes' own scores.
    fn restrict(&mut self, dep: ResourceIx, prim: ResourceIx, id: &str, nodes: &[Assigned], merge: bool) {
        let mut after = self.s[dep].table.clone();
        for (n, e) in after.iter_mut() {
            match nodes.iter().find(|a| a.node == n) {
                None => e.score = -INFINITY,
                Some(a) if merge => e.score = add_scores(e.score, a.score),
                Some(_) => {}
            }
        }
        for a in nodes {
            if !after.contains(a.node) {
                after.insert(a.node, -INFINITY, Discovery::Always);
            }
        }
        self.replace_table(dep, after, Source::ColocatedWith { constraint: id, primary: prim });
    }

    /// 15.7, for a dependent that has no node yet.
    fn apply_promoted(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        let c = self.s[ix].clone();
        let mut nodes: Vec<Assigned> = Vec::new();
        for child in self.s[prim].children.clone() {
            if self.s.next_state(child) != c.primary_role {
                continue;
            }
            let Some(a) = self.s.planned_node(child) else { continue };
            if c.score < INFINITY {
                let attribute = c.attribute.as_deref().unwrap_or("#uname");
                let value = self.s[a.node].attribute(attribute).map(str::to_owned);
                let mut after: Row = self.s[dep].table.clone();
                for (n, e) in after.iter_mut() {
                    if self.s.same_value(n, attribute, value.as_deref()) {
                        e.score = add_scores(e.score, c.score);
                    }
                }
                let source = Source::ColocatedWith { constraint: &c.id, primary: child };
                self.replace_table(dep, after, source);
            }
            nodes.push(a);
        }
        let both = c.dependent_role == Role::Promoted && c.primary_role == Role::Promoted;
        if c.score >= INFINITY && !both {
            self.restrict(dep, prim, &c.id, &nodes, true);
        }
    }

    /// 16.7.
    fn apply_bundle(&mut self, dep: ResourceIx, prim: ResourceIx, ix: ColocationIx) {
        if self.s[prim].flags.provisional {
            return;
        }
        let c = self.s[ix].clone();
        let Some(b) = self.s[prim].bundle_info() else { return };
        let replicas = b.replicas.clone();
        let containers: Vec<ResourceIx> = replicas.iter().map(|r| r.container).collect();
        if matches!(self.s[c.dependent].variant(), Variant::Clone | Variant::Bundle) {
            self.apply_partner(dep, &containers, ix);
            return;
        }
        if c.score < INFINITY {
            for k in containers {
                self.apply_primary(dep, k, ix);
            }
            return;
        }
        let mut nodes = Vec::new();
        for r in &replicas {
            let Some(a) = self.s[r.container].assigned else { continue };
            if self.s.any_flag(r.container, |f| f.blocked) {
                continue;
            }
            if c.primary_role >= Role::Promoted
                && r.child.is_none_or(|k| self.s[k].next_role < Role::Promoted)
            {
                continue;
            }
            nodes.push(a);
        }
        self.restrict(dep, prim, &c.id, &nodes, false);
    }
}
