//! A CIB as the policy engine reads it: which resources there are and where they run.

use cib::{Cib, Element};
use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::state::{Role, State, Variant, build};
use crm_core::policy::{NoLedger, Situation};

/// The working state of a document.
pub struct View {
    pub state: State,
    pub cib: Cib,
}

/// The situation of this moment on this machine.
pub fn situation() -> Situation {
    let now = jiff::Timestamp::now();
    let offset = jiff::tz::TimeZone::system().to_offset(now).seconds();
    Situation { now: now.as_second(), utc_offset: offset, ..Situation::default() }
}

impl View {
    /// Reads a document; one in an older language is upgraded first, where it can be.
    pub fn new(cib: &Cib) -> Self {
        let cib = crate::planned::modern(cib.clone());
        Self { state: build::build(&cib, &situation(), &mut NoLedger), cib }
    }

    /// The resource with this id: as it is in this plan, or as it is configured.
    pub fn resource(&self, id: &str) -> Option<ResourceIx> {
        let all = || (0..self.state.resources.len()).filter_map(|n| u32::try_from(n).ok()).map(ResourceIx);
        all().find(|r| self.state[*r].id == id).or_else(|| all().find(|r| self.state[*r].config_id() == id))
    }

    /// A node by name.
    pub fn node(&self, name: &str) -> Option<NodeIx> {
        self.state.node_indices().find(|n| self.state[*n].name.eq_ignore_ascii_case(name))
    }

    /// Where a resource is active, with the role: of a collective, where its instances or members are.
    pub fn active(&self, r: ResourceIx) -> Vec<(String, Role)> {
        let resource = &self.state[r];
        let mut found: Vec<(String, Role)> = match resource.variant() {
            Variant::Primitive => {
                resource.running_on.iter().map(|n| (self.state[*n].name.clone(), resource.role)).collect()
            }
            _ => resource.children.iter().flat_map(|child| self.active(*child)).collect(),
        };
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|(name, _)| seen.insert(name.clone()));
        found
    }

    /// The ids of all primitives, instances numbered, in configuration order.
    pub fn leaves(&self) -> Vec<String> {
        fn walk(state: &State, r: ResourceIx, into: &mut Vec<String>) {
            let resource = &state[r];
            if resource.variant() == Variant::Primitive {
                into.push(resource.id.clone());
            }
            resource.children.iter().for_each(|child| walk(state, *child, into));
        }
        let mut into = Vec::new();
        self.state.top.iter().for_each(|r| walk(&self.state, *r, &mut into));
        into
    }

    /// The configured element of a resource.
    pub fn element(&self, id: &str) -> Option<&Element> {
        let base = id.split_once(':').map_or(id, |(base, _)| base);
        let resources = self.cib.root().path(&["configuration", "resources"])?;
        let kinds = ["primitive", "group", "clone", "master", "bundle", "template"];
        resources.descendants().find(|e| e.id() == Some(base) && kinds.contains(&e.name()))
    }

    /// The resource that a constraint for this one names: the clone or bundle around an instance.
    pub fn constrained(&self, r: ResourceIx) -> ResourceIx {
        let mut at = r;
        while let Some(parent) = self.state[at].parent {
            if matches!(self.state[parent].variant(), Variant::Clone | Variant::Bundle) {
                return self.state.top_with_bundle(parent);
            }
            at = parent;
        }
        r
    }
}
