//! Promotable clones: who is promoted (section 15).

use super::Placer;
use super::lines::ScoreLine;
use super::merge::Flags;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::reference_order::merge_sort;
use crate::policy::state::failcount::base_name;
use crate::policy::state::{QuorumPolicy, Role, State};
use crate::policy::values::{INFINITY, add_scores};

impl State {
    /// The promotion score of an instance on a node; `None` where there is none to speak of (15.2).
    pub fn promotion_score(&self, r: ResourceIx, n: NodeIx) -> Option<i32> {
        let rsc = &self[r];
        if !rsc.children.is_empty() {
            let scores: Vec<i32> = rsc.children.iter().filter_map(|c| self.promotion_score(*c, n)).collect();
            return if scores.is_empty() {
                None
            } else {
                Some(scores.into_iter().fold(0, i32::saturating_add))
            };
        }
        if !self.promotion_score_applies(r, n) {
            return None;
        }
        let name = rsc.name_in_history();
        let text = self.attribute_for(n, &format!("master-{name}"), r).or_else(|| {
            if rsc.flags.unique {
                return None;
            }
            let base = base_name(&rsc.id);
            if base == name { None } else { self.attribute_for(n, &format!("master-{base}"), r) }
        })?;
        Some(self.score(Some(text)))
    }

    fn promotion_score_applies(&self, r: ResourceIx, n: NodeIx) -> bool {
        let rsc = &self[r];
        let allowed = rsc.table.score(n).is_some_and(|s| s >= 0);
        if !allowed {
            return false;
        }
        if !rsc.flags.unique {
            let clone = self.top_of(r);
            let base = base_name(&rsc.id);
            let mut active = None;
            let mut known = false;
            for c in &self[clone].children {
                self.anonymous_on(*c, base, n, &mut active, &mut known);
            }
            if active == Some(r) || (active.is_none() && known) {
                return true;
            }
        }
        if rsc.running_on.is_empty() && rsc.known_on.is_empty() {
            return true;
        }
        rsc.known_on.contains(&n) || rsc.running_on.contains(&n)
    }

    /// The instance of a configured id that is active on a node, and whether any is known there.
    fn anonymous_on(
        &self,
        r: ResourceIx,
        base: &str,
        n: NodeIx,
        active: &mut Option<ResourceIx>,
        known: &mut bool,
    ) {
        let rsc = &self[r];
        if rsc.children.is_empty() && rsc.config_id() == base {
            if active.is_none() && rsc.running_on.contains(&n) {
                *active = Some(r);
            }
            *known |= rsc.known_on.contains(&n);
        }
        for c in &rsc.children {
            self.anonymous_on(*c, base, n, active, known);
        }
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// 15.1: promotion scores draw instances to their nodes.
    pub fn add_promotion_scores(&mut self, r: ResourceIx) {
        if self.s[r].clone_info().is_none_or(|c| c.promotion_scores_added) {
            return;
        }
        if let Some(c) = self.s[r].clone_info_mut() {
            c.promotion_scores_added = true;
        }
        for child in self.s[r].children.clone() {
            let nodes: Vec<NodeIx> = self.s[child].table.iter().map(|(n, _)| n).collect();
            for n in nodes {
                if !self.s[n].available() {
                    continue;
                }
                let score = self.s.promotion_score(child, n).unwrap_or(0);
                if score > 0 {
                    if let Some(e) = self.s[child].table.get_mut(n) {
                        e.score = add_scores(e.score, score);
                    }
                    self.ledger.note(child, n, Change::Add(score), Source::PromotionScore);
                }
                if score > self.s[child].priority {
                    self.s[child].priority = score;
                }
            }
        }
    }

    /// 15.3 to 15.7.
    pub fn promote(&mut self, r: ResourceIx) {
        for (_, e) in self.s[r].table.iter_mut() {
            e.count = 0;
        }
        for child in self.s[r].children.clone() {
            self.promotion_priority(r, child);
        }
        self.sort_for_promotion(r);
        self.choose_promoted(r);
    }

    fn set_unpromoted(&mut self, r: ResourceIx) {
        if self.s[r].role == Role::Started {
            self.s[r].role = Role::Unpromoted;
        }
        for c in self.s[r].children.clone() {
            self.set_unpromoted(c);
        }
    }

    /// 15.4 and 15.5: how much an instance is worth promoting.
    fn promotion_priority(&mut self, clone: ResourceIx, child: ResourceIx) {
        if self.s.current_state(child) == Role::Started {
            self.set_unpromoted(child);
        }
        let Some(at) = self.s.planned_node(child) else { return };
        let n = at.node;
        match self.s.next_state(child) {
            Role::Started | Role::Unknown => {
                self.s[child].priority = self.s.promotion_score(child, n).unwrap_or(-1);
            }
            Role::Unpromoted | Role::Stopped => self.s[child].priority = -INFINITY,
            Role::Promoted => {}
        }
        let records: Vec<_> =
            self.s[child].locations.iter().chain(self.s[clone].locations.iter()).copied().collect();
        for ix in records {
            let location = &self.s[ix];
            if location.role != Role::Promoted {
                continue;
            }
            if let Some((_, score)) = location.nodes.iter().find(|(m, _)| *m == n) {
                let score = *score;
                self.s[child].priority = add_scores(self.s[child].priority, score);
            }
        }
        for ix in self.s[child].this_with.clone() {
            let primary = self.s[ix].primary;
            self.apply_for_dependent(child, primary, ix);
        }
        self.s[child].sort_index =
            if self.s.next_state(child) == Role::Promoted { INFINITY } else { self.s[child].priority };
    }

    /// 15.6.
    fn sort_for_promotion(&mut self, r: ResourceIx) {
        if self.s[r].clone_info().is_none_or(|c| c.sorted_for_promotion) {
            return;
        }
        if let Some(c) = self.s[r].clone_info_mut() {
            c.sorted_for_promotion = true;
        }
        self.s[r].flags.merging = true;
        for child in self.s[r].children.clone() {
            let index = self.s[child].sort_index;
            let Some(at) = self.s.planned_node(child).filter(|_| index >= 0) else { continue };
            if let Some(e) = self.s[r].table.get_mut(at.node) {
                e.score = add_scores(e.score, index);
                self.ledger.note(r, at.node, Change::Add(index), Source::PromotionScore);
            }
        }
        for ix in self.s[r].this_with.clone() {
            let c = &self.s[ix];
            if c.dependent_role == Role::Promoted {
                let (primary, active) = (c.primary, c.score < INFINITY);
                self.adopt_wishes(r, primary, ix, Flags { active, ..Flags::default() });
            }
        }
        for ix in self.s[r].with_this.clone() {
            let c = &self.s[ix];
            if c.primary_role == Role::Promoted && self.s.has_influence(ix, r) {
                let dependent = self.s[ix].dependent;
                self.adopt_wishes(r, dependent, ix, Flags { active: true, nonneg: true, ..Flags::default() });
            }
        }
        for u in self.s.ticket_uses.clone() {
            let lost = self.s.tickets.get(&u.ticket).is_some_and(|t| !t.granted || t.standby);
            if u.resource == r && u.role == Role::Promoted && lost {
                let source = Source::Ticket { ticket: &u.ticket, constraint: &u.constraint };
                self.s.nudge_all(self.ledger, r, -INFINITY, source);
            }
        }
        for child in self.s[r].children.clone() {
            let rsc = &self.s[child];
            if !rsc.flags.managed && rsc.next_role == Role::Promoted {
                self.s[child].sort_index = INFINITY;
            } else if rsc.sort_index >= 0
                && let Some(score) = self.s.planned_node(child).and_then(|a| self.s[r].table.score(a.node))
            {
                self.s[child].sort_index = score;
            }
        }
        let mut kids = self.s[r].children.clone();
        merge_sort(&mut kids, &mut |a, b| {
            let by_index = self.s[*b].sort_index.cmp(&self.s[*a].sort_index);
            by_index
                .then_with(|| self.s.current_state(*b).cmp(&self.s.current_state(*a)))
                .then_with(|| self.compare_instances(*a, *b))
        });
        self.s[r].children = kids;
        self.s[r].flags.merging = false;
    }

    /// 15.7: the first ones that can, up to the limit.
    fn choose_promoted(&mut self, r: ResourceIx) {
        let (max, node_max) =
            self.s[r].clone_info().map_or((0, 1), |c| (c.promoted_max, c.promoted_node_max));
        let mut promoted = 0;
        for child in self.s[r].children.clone() {
            let node = self.s.planned_node(child).map(|a| a.node);
            let score = self.s[child].sort_index;
            self.line(ScoreLine::Promotion { resource: child, node, score });
            let mut eligible = None;
            if score >= 0 && (promoted < max || !self.s[r].flags.managed) {
                eligible = self.promotable_on(r, child, node_max);
            }
            let frozen = !self.s.quorum
                && self.s.options.no_quorum_policy == QuorumPolicy::Freeze
                && self.s.current_state(child) < Role::Promoted;
            match eligible.filter(|_| !frozen) {
                None => self.next_unpromoted(child),
                Some(n) => {
                    if let Some(e) = self.s[r].table.get_mut(n) {
                        e.count += 1;
                    }
                    promoted += 1;
                    self.next_promoted(child);
                }
            }
        }
    }

    fn promotable_on(&self, clone: ResourceIx, r: ResourceIx, node_max: i32) -> Option<NodeIx> {
        for c in &self.s[r].children {
            self.promotable_on(clone, *c, node_max)?;
        }
        let n = self.s.planned_node(r)?.node;
        let managed = self.s[r].flags.managed;
        if managed {
            if self.s[r].priority < 0 || !self.s.available_as_guest(n) {
                return None;
            }
        } else if self.s.current_state(r) != Role::Promoted {
            return None;
        }
        let record = self.s[clone].table.get(n)?;
        (record.count < node_max || !managed).then_some(n)
    }

    fn next_unpromoted(&mut self, r: ResourceIx) {
        let placed = !self.s.planned_nodes(r).is_empty();
        self.s[r].next_role = if placed { Role::Unpromoted } else { Role::Stopped };
        for c in self.s[r].children.clone() {
            self.next_unpromoted(c);
        }
    }

    fn next_promoted(&mut self, r: ResourceIx) {
        if self.s[r].next_role == Role::Unknown {
            self.s[r].next_role = Role::Promoted;
        }
        for c in self.s[r].children.clone() {
            self.next_promoted(c);
        }
    }
}
