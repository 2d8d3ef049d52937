//! A plan with its ledger: what every explanation is read from.

use cib::Cib;

use super::outcome::{self, Place};
use super::words;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::plan::plan_with;
use crate::policy::state::{Role, State, Variant};
use crate::policy::{Book, Plan, Situation};

/// A CIB, its plan, and where each score came from.
pub struct Scene {
    pub cib: Cib,
    pub situation: Situation,
    pub plan: Plan,
    pub book: Book,
    /// Keys of the actions that can never run, because they wait for each other.
    pub(super) stuck: Vec<String>,
}

impl Scene {
    pub fn new(cib: &Cib, situation: &Situation) -> Scene {
        let mut book = Book::default();
        let plan = plan_with(cib, situation, &mut book);
        let stuck = outcome::stuck(&plan.graph);
        Scene { cib: cib.clone(), situation: situation.clone(), plan, book, stuck }
    }

    pub fn st(&self) -> &State {
        &self.plan.state
    }

    /// The id to show for a resource.
    pub fn id(&self, r: ResourceIx) -> &str {
        outcome::printed(self.st(), r)
    }

    pub fn node(&self, n: NodeIx) -> &str {
        &self.st()[n].name
    }

    /// Where a resource of any kind is now.
    pub fn now(&self, r: ResourceIx) -> Vec<Place> {
        let places = outcome::leaves(self.st(), r).into_iter().flat_map(|l| outcome::now(self.st(), l));
        self.sorted(r, places.collect())
    }

    /// Where it is after the plan.
    pub fn after(&self, r: ResourceIx) -> Vec<Place> {
        let places = outcome::leaves(self.st(), r).into_iter().flat_map(|l| outcome::after(&self.plan, l));
        self.sorted(r, places.collect())
    }

    fn sorted(&self, r: ResourceIx, mut places: Vec<Place>) -> Vec<Place> {
        if self.st()[r].variant() == Variant::Bundle {
            // The nodes that it is do not say where it is.
            places.retain(|(n, _)| !self.st().is_bundle_node(*n));
        }
        let order = |n: NodeIx| self.st().node_order.iter().position(|m| *m == n);
        places.sort_by_key(|(n, role)| (order(*n), std::cmp::Reverse(*role)));
        places.dedup();
        places
    }

    /// Names of the nodes of some places, each once.
    pub fn names(&self, places: &[Place]) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (n, _) in places {
            let name = self.node(*n);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The resource of an id: as it is in this plan, else as it is configured (then its first instance's
    /// outermost clone).
    pub fn find(&self, id: &str) -> Option<ResourceIx> {
        let st = self.st();
        if let Some(r) = outcome::all(st).find(|r| st[*r].id == id) {
            return Some(r);
        }
        let instance = outcome::all(st).find(|r| st[*r].config_id() == id)?;
        let mut at = instance;
        while let Some(p) = st[at].parent {
            at = p;
            if matches!(st[p].variant(), Variant::Clone) {
                break;
            }
        }
        Some(at)
    }

    /// `is on node1`, `moves from node1 to node2`, `is stopped`, … as a clause about another resource.
    pub fn whereabouts(&self, r: ResourceIx) -> String {
        let (now, after) = (self.now(r), self.after(r));
        let (now, after) = (self.names(&now), self.names(&after));
        match (now.is_empty(), after.is_empty()) {
            (true, true) => "runs nowhere".to_owned(),
            (true, false) => format!("is to start on {}", words::list(&after)),
            (false, true) => format!("is being stopped on {}", words::list(&now)),
            _ if now == after => format!("runs on {}", words::list(&now)),
            _ => format!("goes from {} to {}", words::list(&now), words::list(&after)),
        }
    }

    /// `group g`, `member fs of group g`, `db`: a resource with what it belongs to.
    pub fn called(&self, r: ResourceIx) -> String {
        let st = self.st();
        let id = self.id(r);
        match st[r].parent {
            Some(p) if st[p].is_group() => format!("{id} (member of group {})", st[p].config_id()),
            _ => id.to_owned(),
        }
    }

    pub fn kind(&self, r: ResourceIx) -> &'static str {
        match self.st()[r].variant() {
            Variant::Primitive => "primitive",
            Variant::Group => "group",
            Variant::Clone => "clone",
            Variant::Bundle => "bundle",
        }
    }

    /// Whether a role is one above plain running.
    pub fn promoted(places: &[Place]) -> Vec<NodeIx> {
        places.iter().filter(|(_, role)| *role == Role::Promoted).map(|(n, _)| *n).collect()
    }
}
