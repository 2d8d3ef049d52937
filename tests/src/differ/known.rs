//! What the reference makes of a document where ours differs on purpose (`crm-core/DIFFERENCES.md`): the document
//! that says in full what the reference reads, for the comparison to go on.

use cib::Element;

/// Where one of several sets refers to another by `id-ref`, the reference goes on with the sets that follow the
/// referenced one, where that is written: the sets after the reference are lost.
pub fn as_the_reference_reads(root: &Element) -> Element {
    let mut read = root.clone();
    let Some(constraints) = root.path(&["configuration", "constraints"]) else { return read };
    let sequences: Vec<Option<Vec<Element>>> =
        constraints.children().map(|constraint| sequence(constraints, constraint)).collect();
    let list = read.child_mut("configuration").and_then(|c| c.child_mut("constraints"));
    let Some(list) = list else { return read };
    for (constraint, sequence) in list.children_mut().zip(sequences) {
        let Some(sequence) = sequence else { continue };
        constraint.retain_children(|child| child.name() != "resource_set");
        sequence.into_iter().for_each(|set| constraint.push(set));
    }
    read
}

/// The sets that the reference takes for a constraint's, written out, if one of its own refers to another.
fn sequence(constraints: &Element, constraint: &Element) -> Option<Vec<Element>> {
    let own: Vec<&Element> = constraint.children_named("resource_set").collect();
    if !own.iter().any(|set| set.attr("id-ref").is_some()) {
        return None;
    }
    let mut taken: Vec<Element> = Vec::new();
    let (mut list, mut at) = (own, 0);
    while let Some(set) = list.get(at) {
        if let Some(target) = set.attr("id-ref") {
            let holder = constraints.children().find_map(|holder| {
                let sets: Vec<&Element> = holder.children_named("resource_set").collect();
                let at = sets.iter().position(|set| set.id() == Some(target))?;
                Some((sets, at))
            });
            (list, at) = holder?;
        }
        let set = *list.get(at)?;
        // References in a circle: the reference never ends, and there is nothing to compare with.
        if taken.iter().any(|known| known.id() == set.id()) {
            return None;
        }
        taken.push(set.clone());
        at += 1;
    }
    Some(taken)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(constraints: &str) -> Vec<Vec<String>> {
        let text = format!(
            "<cib><configuration><constraints>{constraints}</constraints></configuration><status/></cib>"
        );
        let read = as_the_reference_reads(&Element::parse(&text).unwrap());
        let names = |constraint: &Element| {
            let sets = constraint.children_named("resource_set");
            sets.map(|set| set.id().or_else(|| set.attr("id-ref")).unwrap().to_owned()).collect()
        };
        read.path(&["configuration", "constraints"]).unwrap().children().map(names).collect()
    }

    #[test]
    fn after_a_referenced_set_come_those_that_follow_it_where_it_is_written() {
        let first = "<rsc_order id='a'><resource_set id='1'/><resource_set id='2'/></rsc_order>";
        let last = "<rsc_order id='b'><resource_set id-ref='2'/><resource_set id='3'/></rsc_order>";
        let middle = "<rsc_ticket id='c'><resource_set id='4'/><resource_set id-ref='1'/></rsc_ticket>";
        assert_eq!(read(&format!("{first}{last}{middle}")), [vec!["1", "2"], vec!["2"], vec!["4", "1", "2"]]);
    }

    #[test]
    fn what_refers_to_nothing_stays() {
        let text = "<rsc_order id='a'><resource_set id='1'/></rsc_order><rsc_order id='b'><resource_set \
                    id-ref='nowhere'/></rsc_order><rsc_location id='l' rsc='r' node='n' score='1'/>";
        assert_eq!(read(text), [vec!["1"], vec!["nowhere"], vec![]]);
    }
}
