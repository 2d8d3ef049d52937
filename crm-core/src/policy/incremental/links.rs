//! Which resources constraints join, directly or by others.

use std::collections::BTreeSet;

use cib::Element;

use super::Why;
use super::names::{Names, Top};

/// The parts that a cluster falls into.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// For each top-level resource its part.
    part: Vec<Top>,
    /// The resources of each part, by the part's number.
    members: Vec<Vec<Top>>,
    /// Places of the constraints of each part in their list, comments counted.
    constraints: Vec<Vec<usize>>,
}

impl Links {
    pub fn of(names: &Names, constraints: Option<&Element>, tags: Option<&Element>) -> Result<Links, Why> {
        let count = names.tops.len();
        let mut parent: Vec<Top> = (0..count).map(|n| Top::try_from(n).unwrap_or(Top::MAX)).collect();
        let mut places = Vec::new();
        for (place, e) in
            constraints.into_iter().flat_map(Element::nodes).enumerate().filter(|(_, e)| !e.is_comment())
        {
            let tops = resources_of(names, e, tags)?;
            let Some((&first, others)) = tops.split_first() else {
                return Err(Why::Unclear(format!("a constraint on nothing: {}", e.id().unwrap_or_default())));
            };
            for &other in others {
                let (a, b) = (root(&mut parent, first), root(&mut parent, other));
                set(&mut parent, a.max(b), a.min(b));
            }
            places.push((place, first));
        }
        let mut links = Links {
            part: Vec::new(),
            members: vec![Vec::new(); count],
            constraints: vec![Vec::new(); count],
        };
        for number in 0..count {
            let top = Top::try_from(number).unwrap_or(Top::MAX);
            let part = root(&mut parent, top);
            links.part.push(part);
            if let Some(members) = links.members.get_mut(part as usize) {
                members.push(top);
            }
        }
        for (place, top) in places {
            let part = links.part.get(top as usize).copied().unwrap_or_default();
            if let Some(list) = links.constraints.get_mut(part as usize) {
                list.push(place);
            }
        }
        Ok(links)
    }

    /// All that constraints join with this one.
    pub fn with(&self, top: Top) -> &[Top] {
        let part = self.part.get(top as usize).copied().unwrap_or(Top::MAX);
        self.members.get(part as usize).map_or(&[], Vec::as_slice)
    }

    /// Places of the constraints on any of these, in order.
    pub fn constraints_on(&self, tops: &BTreeSet<Top>) -> BTreeSet<usize> {
        let parts: BTreeSet<Top> =
            tops.iter().filter_map(|top| self.part.get(*top as usize).copied()).collect();
        parts.iter().filter_map(|part| self.constraints.get(*part as usize)).flatten().copied().collect()
    }
}

/// The top-level resources that a constraint names.
pub(super) fn resources_of(
    names: &Names,
    constraint: &Element,
    tags: Option<&Element>,
) -> Result<Vec<Top>, Why> {
    let mut found = Vec::new();
    let mut name = |word: Option<&str>| match word {
        Some(word) if !names.meant(word, tags, &mut found) => {
            Err(Why::Unclear(format!("constraint {} on {word}", constraint.id().unwrap_or_default())))
        }
        _ => Ok(()),
    };
    if constraint.attr("rsc-pattern").is_some() {
        return Err(Why::Unclear("a constraint on a pattern of names".to_owned()));
    }
    for end in ["rsc", "with-rsc", "first", "then"] {
        name(constraint.attr(end))?;
    }
    for e in constraint.descendants().filter(|e| e.name() == "resource_ref") {
        name(e.id())?;
    }
    Ok(found)
}

fn root(parent: &mut [Top], mut top: Top) -> Top {
    while let Some(&above) = parent.get(top as usize)
        && above != top
    {
        let next = parent.get(above as usize).copied().unwrap_or(above);
        set(parent, top, next);
        top = next;
    }
    top
}

fn set(parent: &mut [Top], top: Top, above: Top) {
    if let Some(place) = parent.get_mut(top as usize) {
        *place = above;
    }
}
