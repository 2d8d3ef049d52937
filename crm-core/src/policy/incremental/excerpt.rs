//! A part of a document: some resources with all that is said about them, and everything that is not about resources.

use std::collections::BTreeSet;

use cib::Element;

use super::histories::{self, Histories};
use super::links::Links;
use super::names::{Names, Top, plain};

/// The document with these resources alone. `strangers` are names that only histories know.
pub(super) fn excerpt(
    root: &Element,
    names: &Names,
    links: &Links,
    known: &[impl AsRef<Histories>],
    tops: &BTreeSet<Top>,
    strangers: &BTreeSet<String>,
) -> Element {
    let mut out = root.clone();
    if let Some(configuration) = out.child_mut("configuration") {
        let places = tops.iter().filter_map(|top| names.tops.get(*top as usize)).map(|top| top.place);
        let places: BTreeSet<usize> = places.chain(names.templates.iter().copied()).collect();
        keep(configuration, "resources", &places);
        keep(configuration, "constraints", &links.constraints_on(tops));
    }
    let Some(status) = out.child_mut("status") else { return out };
    let wanted: Vec<&str> = tops
        .iter()
        .filter_map(|top| names.tops.get(*top as usize))
        .flat_map(|top| top.names.iter().map(String::as_str))
        .chain(strangers.iter().map(String::as_str))
        .collect();
    let count = status.nodes().len();
    for (number, known) in (0..count).zip(known) {
        let Some(state) = status.node_at_mut(number) else { continue };
        let Some(list) = histories::list(state) else { continue };
        let mut places: Vec<usize> = Vec::new();
        for name in &wanted {
            let is_it = |place: &usize| {
                list.node_at(*place).and_then(Element::id).is_some_and(|id| plain(id) == *name)
            };
            places.extend(known.as_ref().places(name).filter(is_it));
        }
        places.sort_unstable();
        places.dedup();
        let kept = only(list, places.iter().copied());
        if let Some(lrm) = state.child_mut("lrm")
            && let Some(list) = lrm.child_mut("lrm_resources")
        {
            *list = kept;
        }
    }
    out
}

fn keep(configuration: &mut Element, section: &str, places: &BTreeSet<usize>) {
    if let Some(list) = configuration.child_mut(section) {
        *list = only(list, places.iter().copied());
    }
}

/// The list with what stands in these places.
fn only(list: &Element, places: impl Iterator<Item = usize>) -> Element {
    let mut out = Element::new(list.name());
    for (name, value) in list.attrs() {
        out.set_attr(name, value);
    }
    for place in places {
        if let Some(e) = list.node_at(place) {
            out.push(e.clone());
        }
    }
    out
}
