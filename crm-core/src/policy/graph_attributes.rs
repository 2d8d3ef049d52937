//! The attributes of an action: a probe of one resource on each of many nodes has the same on all, but for the node.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use cib::Text;

type Pair = (Text, Text);

/// Names, each once, and values, sorted bytewise by name.
#[derive(Clone, Default)]
pub struct Attributes {
    /// What several actions have.
    shared: Arc<[Pair]>,
    /// What this one has besides: mostly the node, as others there.
    own: Arc<[Pair]>,
}

impl Attributes {
    /// Attributes that are shared, and others; both sorted, no name in both.
    pub fn new(shared: Arc<[Pair]>, own: Arc<[Pair]>) -> Self {
        Attributes { shared, own }
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let lists = [&*self.shared, &*self.own];
        lists.into_iter().find_map(|list| {
            let at = list.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
            list.get(at).map(|(_, value)| value.as_str())
        })
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { shared: &self.shared, own: &self.own }
    }
}

/// Names and values of [`Attributes`], by name.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    shared: &'a [Pair],
    own: &'a [Pair],
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        let from_own = match (self.shared.first(), self.own.first()) {
            (Some(shared), Some(own)) => own.0 < shared.0,
            (None, Some(_)) => true,
            _ => false,
        };
        let list = if from_own { &mut self.own } else { &mut self.shared };
        let (next, rest) = list.split_first()?;
        *list = rest;
        Some((&next.0, &next.1))
    }
}

impl<'a> IntoIterator for &'a Attributes {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl<N: Into<Text>, V: Into<Text>> FromIterator<(N, V)> for Attributes {
    /// Of a name that comes twice the first counts.
    fn from_iter<I: IntoIterator<Item = (N, V)>>(pairs: I) -> Self {
        let mut all: Vec<Pair> = pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.dedup_by(|later, earlier| later.0 == earlier.0);
        Attributes { shared: all.into(), own: Arc::default() }
    }
}

impl PartialEq for Attributes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Attributes {}

/// As they are compared: by what they are, however it is shared.
impl Hash for Attributes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.iter().for_each(|pair| pair.hash(state));
    }
}

impl fmt::Debug for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_does_not_show() {
        let all = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4")];
        let pairs = |wanted: &[usize]| -> Vec<Pair> {
            all.iter()
                .enumerate()
                .filter(|(at, _)| wanted.contains(at))
                .map(|(_, (n, v))| ((*n).into(), (*v).into()))
                .collect()
        };
        let plain: Attributes = all.into_iter().rev().collect();
        for (shared, own) in [(vec![0, 1, 2, 3], vec![]), (vec![1, 3], vec![0, 2]), (vec![0], vec![1, 2, 3])]
        {
            let split = Attributes::new(pairs(&shared).into(), pairs(&own).into());
            assert_eq!(split, plain);
            assert_eq!(split.iter().collect::<Vec<_>>(), all);
            assert_eq!((split.get("c"), split.get("x")), (Some("3"), None));
        }
    }
}
