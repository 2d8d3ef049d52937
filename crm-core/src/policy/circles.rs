//! Orderings and colocations that run in a circle: no action of such an ordering can ever be first.
//!
//! The reference says nothing about them when it checks a configuration, so neither changes a verdict.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The shortest circle through each group of names that depend on each other, in the order of the arrows,
/// beginning with the name that was mentioned first. Calls itself nowhere: any number of arrows is fine.
pub fn circles<T: Ord + Clone>(arrows: &[(T, T)]) -> Vec<Vec<T>> {
    let mut numbers = BTreeMap::new();
    let mut graph = petgraph::Graph::<T, ()>::new();
    for (from, to) in arrows {
        let [from, to] = [from, to]
            .map(|name| *numbers.entry(name.clone()).or_insert_with(|| graph.add_node(name.clone())));
        graph.update_edge(from, to, ());
    }
    let mut found = Vec::new();
    for group in petgraph::algo::kosaraju_scc(&graph) {
        let group: BTreeSet<_> = group.into_iter().collect();
        let Some(&start) = group.first() else { continue };
        if group.len() == 1 && !graph.contains_edge(start, start) {
            continue;
        }
        // Breadth first back to the start; what was reached first is on a shortest way.
        let mut from = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for next in graph.neighbors(at).filter(|next| group.contains(next)) {
                if let std::collections::btree_map::Entry::Vacant(entry) = from.entry(next) {
                    entry.insert(at);
                    queue.push_back(next);
                }
            }
        }
        let mut way = Vec::new();
        let mut at = start;
        while let Some(&before) = from.get(&at) {
            way.push(before);
            at = before;
            if at == start {
                break;
            }
        }
        way.reverse();
        found.push((start, way.into_iter().map(|at| graph[at].clone()).collect()));
    }
    found.sort_by_key(|(start, _)| *start);
    found.into_iter().map(|(_, circle)| circle).collect()
}

#[cfg(test)]
mod tests {
    use super::circles;

    #[test]
    fn circles_are_found_in_order() {
        assert!(circles(&[("a", "b"), ("b", "c"), ("a", "c")]).is_empty());
        assert_eq!(circles(&[("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")]), [["a", "b", "c"]]);
        assert_eq!(circles(&[("a", "a")]), [["a"]]);
        let two = circles(&[("a", "b"), ("b", "a"), ("c", "d"), ("d", "c")]);
        assert_eq!(two, [["a", "b"], ["c", "d"]]);
    }

    #[test]
    fn a_long_circle_ends() {
        let arrows: Vec<(u32, u32)> = (0..100_000).map(|at| (at, (at + 1) % 100_000)).collect();
        assert_eq!(circles(&arrows).first().map(Vec::len), Some(100_000));
    }
}
