//! Elements of one name and id side by side, which no schema allows in the configuration and nothing forbids in the
//! status section: what becomes of them when the reference writes a node's state back.

use std::collections::HashSet;

use cib::Element;

/// Whether any two children of one element share name and id.
pub(super) fn has_twins(element: &Element) -> bool {
    // What has one child, as most histories of a node have, needs no table.
    let mut seen = HashSet::new();
    let several = element.nodes().len() > 1;
    several && element.children().any(|child| child.id().is_some_and(|id| !seen.insert((child.name(), id))))
        || element.children().any(has_twins)
}

/// Takes over what an update has, as a modification of the CIB does: each of its elements goes into the first one of
/// its name and id, so of twins the first ends up with what the last one has.
pub(super) fn merge(target: &mut Element, update: &Element) {
    update.attrs().for_each(|(name, value)| target.set_attr(name, value));
    for child in update.children() {
        let fits =
            |own: &Element| own.name() == child.name() && (child.id().is_none() || own.id() == child.id());
        if !target.children().any(fits) {
            target.push(child.clone());
        } else if let Some(own) = target.children_mut().find(|own| fits(own)) {
            merge(own, child);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_first_of_twins_gets_what_the_last_has() {
        let text =
            "<set><pair id='a' name='x' value='1'/><pair id='a' name='y'/><pair id='b' name='z'/></set>";
        let old = Element::parse(text).unwrap();
        assert!(has_twins(&old));
        let mut update = old.clone();
        update.push(Element::new("pair").with_attr("id", "c"));
        let mut target = old.clone();
        merge(&mut target, &update);
        let expected = Element::parse(
            "<set><pair id='a' name='y' value='1'/><pair id='a' name='y'/><pair id='b' name='z'/><pair id='c'/></set>",
        );
        assert_eq!(target.to_xml(), expected.unwrap().to_xml());
    }

    #[test]
    fn equal_ids_of_different_names_are_no_twins() {
        assert!(!has_twins(
            &Element::parse("<s><a id='1'><b id='1'/><b id='2'/></a><b id='1'/></s>").unwrap()
        ));
    }
}
