//! Parts of one document, planned by themselves as often as somebody wants, as they are or changed.

use std::collections::BTreeSet;
use std::sync::Arc;

use cib::Element;

use super::Why;
use super::map::Map;
use super::others::is_of;
use super::piece::{plain_cluster, special, turns_of};
use crate::policy::Situation;
use crate::policy::placement::turns::{Placed, Rank, Turn};
use crate::policy::plan::Plan;

/// A document that falls into parts: what is done to the constraints of a part is seen in a plan of that part, as long
/// as the part still puts the same load on the nodes; and where it does not, the part's own plan is another one.
pub struct Parts {
    root: Element,
    situation: Situation,
    map: Map,
    turns: Vec<Arc<Turn>>,
    ranks: Arc<[Rank]>,
    always: BTreeSet<String>,
}

impl Parts {
    /// From a whole plan that noted its turns.
    ///
    /// # Errors
    /// Resources of this cluster touch each other by more than constraints and loads.
    pub fn of(root: &Element, situation: &Situation, plan: &Plan) -> Result<Parts, Why> {
        plain_cluster(&plan.state)?;
        let turns = turns_of(&plan.state)?;
        let map = Map::of(root)?;
        let ranks = map.ranks(&turns);
        if !ranks.is_sorted() {
            return Err(Why::Differs("the order of resources"));
        }
        let always = special(&plan.state);
        Ok(Parts { root: root.clone(), situation: situation.clone(), map, turns, ranks, always })
    }

    /// The resources that these constraints are about, with all that constraints join with them.
    ///
    /// # Errors
    /// A constraint is about something that is not there.
    pub fn around<'a>(
        &self,
        constraints: impl IntoIterator<Item = &'a Element>,
    ) -> Result<BTreeSet<String>, Why> {
        let mut ids = BTreeSet::new();
        for constraint in constraints {
            ids.extend(self.map.ends(&self.root, constraint)?);
        }
        while self.map.join(&mut ids) {}
        Ok(ids)
    }

    /// How many resources there are, those within others not counted.
    pub fn count(&self) -> usize {
        self.map.count()
    }

    /// The plan of these resources among all others, with the document of the part edited before.
    ///
    /// # Errors
    /// The document is none any more.
    pub fn plan(&self, ids: &BTreeSet<String>, edit: impl FnOnce(&mut Element)) -> Result<Plan, Why> {
        let mut ids = ids.clone();
        ids.extend(self.always.iter().cloned());
        while self.map.join(&mut ids) {}
        let turns = self.ranks.iter().zip(&self.turns).filter(|(_, turn)| !is_of(turn, &ids));
        let others: Vec<Placed> = turns.map(|(rank, turn)| (*rank, Arc::clone(turn))).collect();
        self.map.plan(&self.root, &ids, others, &self.situation, edit)
    }
}
