//! Who runs where.
//!
//! [`prepare`] reads location, colocation and ticket constraints and makes every edit of the tables that
//! comes before assignment; [`assign`] then gives each resource its node. In between, the transition half
//! compares history with the configuration.

mod apply;
mod bans;
mod bundle;
mod clone;
mod colocation;
mod group;
mod instances;
mod internal;
pub mod lines;
mod location;
pub mod lookup;
mod merge;
mod nodes;
mod pattern;
mod primitive;
mod promote;
mod tickets;
pub mod turns;
mod utilization;

use super::ix::{NodeIx, ResourceIx};
use super::ledger::{Ledger, NoLedger};
use super::state::{EffectPhase, Placement, State};
use lines::ScoreLine;

/// Placement at work: the state, and the ledger that every change of a score goes to.
pub(crate) struct Placer<'a, L: Ledger> {
    pub s: &'a mut State,
    pub ledger: &'a mut L,
}

/// Constraints, locks, health, stickiness, thresholds and internal colocations.
pub fn prepare<L: Ledger>(state: &mut State, ledger: &mut L) {
    let mut p = Placer { s: state, ledger };
    p.health();
    p.constraints();
    p.s.phase = EffectPhase::ShutdownLock;
    p.shutdown_locks();
    p.apply_locations();
    p.stickiness();
    p.node_bans();
    p.internal_colocations();
}

/// Reads the constraints alone, for who shows them: locations and tickets are in the state then, and what a
/// lost ticket does to its resources.
pub fn read_constraints(state: &mut State) {
    Placer { s: state, ledger: &mut NoLedger }.constraints();
}

/// Takes a leaf's node away again, with the load and capacity it took there.
pub fn unassign(state: &mut State, r: ResourceIx) {
    Placer { s: state, ledger: &mut NoLedger }.unassign(r);
}

/// Assigns every resource.
pub fn assign<L: Ledger>(state: &mut State, ledger: &mut L) {
    let mut p = Placer { s: state, ledger };
    p.check_utilization();
    p.capacities("Original");
    if p.s.options.placement != Placement::Default {
        p.sort_resources();
    }
    let top = p.s.top.clone();
    if p.s.have_remote_nodes {
        for r in &top {
            if p.s[*r].flags.is_connection {
                let prefer = p.s[*r].partial_migration_target;
                p.assign(*r, prefer);
            }
        }
    }
    let others = top.into_iter().filter(|r| !p.s[*r].flags.is_connection || !p.s.have_remote_nodes);
    p.turns(&others.collect::<Vec<_>>());
    p.capacities("Remaining");
}

impl<L: Ledger> Placer<'_, L> {
    /// Assigns a resource of any kind; the node, where the kind has one.
    pub fn assign(&mut self, r: ResourceIx, prefer: Option<NodeIx>) -> Option<NodeIx> {
        use super::state::Variant;
        match self.s[r].variant() {
            Variant::Primitive => self.assign_primitive(r, prefer),
            Variant::Group => self.assign_group(r, prefer),
            Variant::Clone => self.assign_clone(r, prefer),
            Variant::Bundle => self.assign_bundle(r),
        }
    }

    /// `<constraints>` in document order, but for orderings.
    fn constraints(&mut self) {
        let Some(list) = self.s.root.path(&["configuration", "constraints"]).cloned() else { return };
        for (i, e) in list.children().enumerate() {
            self.s.phase = EffectPhase::Constraint(u32::try_from(i).unwrap_or(u32::MAX));
            let Some(id) = e.id() else {
                self.s.complaints.error(
                    "constraint-without-id",
                    "",
                    format!("Ignoring <{}> constraint without id", e.name()),
                );
                continue;
            };
            let id = id.to_owned();
            if !matches!(e.name(), "rsc_location" | "rsc_colocation" | "rsc_order" | "rsc_ticket") {
                self.s.complaints.error(
                    "constraint-type",
                    &id,
                    format!("Unsupported constraint type: {}", e.name()),
                );
                continue;
            }
            if e.name() == "rsc_order" || !self.s.in_lifetime(e) {
                continue;
            }
            match e.name() {
                "rsc_location" => self.location(e),
                "rsc_colocation" => self.colocation(e),
                _ => self.ticket(e),
            }
        }
    }

    /// Collects one line of output.
    pub fn line(&mut self, line: ScoreLine) {
        if self.s.collect_scores {
            self.s.score_lines.push(line);
        }
    }

    /// Prints one table, and those of everything below where `deep`.
    pub fn show(&mut self, r: ResourceIx, function: &'static str, deep: bool) {
        if !self.s.collect_scores || self.s[r].flags.orphan {
            return;
        }
        for i in 0..self.s.node_order.len() {
            let node = self.s.node_order[i];
            if let Some(score) = self.s[r].table.score(node) {
                self.ledger.shown(r, node, score);
                self.line(ScoreLine::Allocation { function, resource: r, node, score });
            }
        }
        if deep {
            for i in 0..self.s[r].children.len() {
                let c = self.s[r].children[i];
                self.show(c, function, true);
            }
        }
    }
}
