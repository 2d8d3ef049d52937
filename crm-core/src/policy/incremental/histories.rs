//! Where in a node's status the history of a resource is.

use std::hash::{Hash, Hasher};

use cib::Element;
use rustc_hash::FxHasher;

use super::names::plain;

/// The histories of one node: hashes of their names (without the number of an instance) and their places, sorted.
#[derive(Debug, Default)]
pub(super) struct Histories(Vec<(u32, u32)>);

/// The list of histories of a `node_state`.
pub(super) fn list(state: &Element) -> Option<&Element> {
    state.path(&["lrm", "lrm_resources"])
}

impl Histories {
    pub fn of(state: &Element) -> Histories {
        let all = list(state).into_iter().flat_map(Element::nodes).enumerate();
        let named = all.filter_map(|(place, e)| Some((hash(plain(e.id()?)), u32::try_from(place).ok()?)));
        let mut sorted: Vec<(u32, u32)> = named.collect();
        sorted.sort_unstable();
        Histories(sorted)
    }

    /// Places at which a history of this resource may be; none is missing.
    pub fn places<'a>(&'a self, name: &str) -> impl Iterator<Item = usize> + 'a {
        let hash = hash(name);
        let from = self.0.partition_point(|(other, _)| *other < hash);
        self.0
            .iter()
            .skip(from)
            .take_while(move |(other, _)| *other == hash)
            .map(|(_, place)| *place as usize)
    }
}

fn hash(name: &str) -> u32 {
    let mut hasher = FxHasher::default();
    name.hash(&mut hasher);
    (hasher.finish() >> 16) as u32
}
