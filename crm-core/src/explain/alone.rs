//! What a change does to the neighbourhood that it is about, seen in a plan of nothing else.

use std::collections::{BTreeMap, BTreeSet};

use cib::{Cib, Element};

use super::effect::{Shares, shares};
use crate::policy::incremental::Parts;
use crate::policy::{Plan, Situation};

/// The parts of a cluster, and what the plan of each comes to as it is.
pub(super) struct Alone {
    parts: Parts,
    constraints: BTreeMap<String, Element>,
    known: BTreeMap<BTreeSet<String>, Shares>,
}

/// A part of more than one of so many resources is planned with everything else.
const SHARE: usize = 8;

impl Alone {
    pub fn new(cib: &Cib, situation: &Situation, plan: &Plan) -> Option<Alone> {
        let parts = Parts::of(cib.root(), situation, plan).ok()?;
        let all = cib.constraints().into_iter().flat_map(Element::children);
        let constraints = all.filter_map(|e| Some((e.id()?.to_owned(), e.clone()))).collect();
        Some(Alone { parts, constraints, known: BTreeMap::new() })
    }

    /// Whether the plan of what some constraints are about is the same when this is done to it; none where that has to be
    /// seen in the whole.
    pub fn same(&mut self, ids: &[&str], edit: &dyn Fn(&mut Element)) -> Option<bool> {
        let constraints: Option<Vec<&Element>> = ids.iter().map(|id| self.constraints.get(*id)).collect();
        let around = self.parts.around(constraints?).ok()?;
        if around.len().saturating_mul(SHARE) > self.parts.count() {
            return None;
        }
        let all = |plan: &Plan| shares(plan, |_| None);
        let after = all(&self.parts.plan(&around, edit).ok()?);
        if !self.known.contains_key(&around) {
            let before = all(&self.parts.plan(&around, |_| {}).ok()?);
            self.known.insert(around.clone(), before);
        }
        Some(self.known.get(&around)? == &after)
    }
}
