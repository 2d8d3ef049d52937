//! The list of what lies in an element: a plain list while it is short, pieces that versions share when it is long.
//!
//! Writing to one of ten thousand children would copy ten thousand pointers and touch as many reference counts; in
//! pieces it copies one piece and the list of pieces.

use std::slice;
use std::sync::Arc;

use super::Element;

/// Elements of a piece when it is made; it is split at twice as many.
const PIECE: usize = 64;

/// A list longer than this is kept in pieces.
const FLAT_MAX: usize = 128;

#[derive(Clone)]
pub(super) enum Nodes {
    Flat(Vec<Element>),
    /// The only one: a history mostly has one result, and needs no list for it.
    One(Element),
    Pieces(Box<Pieces>),
}

#[derive(Clone)]
pub(super) struct Pieces {
    pieces: Vec<Arc<Vec<Element>>>,
    /// Elements of all pieces.
    len: usize,
}

impl Nodes {
    pub(super) const fn new() -> Nodes {
        Nodes::Flat(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Nodes::Flat(nodes) => nodes.len(),
            Nodes::One(_) => 1,
            Nodes::Pieces(all) => all.len,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn iter(&self) -> Iter<'_> {
        match self {
            Nodes::Flat(nodes) => {
                Iter { front: nodes.iter(), middle: [].iter(), back: [].iter(), left: nodes.len() }
            }
            Nodes::One(node) => {
                Iter { front: slice::from_ref(node).iter(), middle: [].iter(), back: [].iter(), left: 1 }
            }
            Nodes::Pieces(all) => {
                Iter { front: [].iter(), middle: all.pieces.iter(), back: [].iter(), left: all.len }
            }
        }
    }

    pub(super) fn iter_mut(&mut self) -> Box<dyn Iterator<Item = &mut Element> + '_> {
        match self {
            Nodes::Flat(nodes) => Box::new(nodes.iter_mut()),
            Nodes::One(node) => Box::new(std::iter::once(node)),
            Nodes::Pieces(all) => {
                Box::new(all.pieces.iter_mut().flat_map(|piece| Arc::make_mut(piece).iter_mut()))
            }
        }
    }

    /// The piece that holds `index`, and the index within it; one past the end belongs to the last piece.
    fn locate(pieces: &[Arc<Vec<Element>>], mut index: usize) -> Option<(usize, usize)> {
        let last = pieces.len().checked_sub(1)?;
        for (number, piece) in pieces.iter().enumerate() {
            if index < piece.len() || number == last {
                return Some((number, index));
            }
            index -= piece.len();
        }
        None
    }

    pub(super) fn get(&self, index: usize) -> Option<&Element> {
        match self {
            Nodes::Flat(nodes) => nodes.get(index),
            Nodes::One(node) => (index == 0).then_some(node),
            Nodes::Pieces(all) => {
                let (piece, index) = Nodes::locate(&all.pieces, index)?;
                all.pieces.get(piece)?.get(index)
            }
        }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Element> {
        match self {
            Nodes::Flat(nodes) => nodes.get_mut(index),
            Nodes::One(node) => (index == 0).then_some(node),
            Nodes::Pieces(all) => {
                let (piece, index) = Nodes::locate(&all.pieces, index)?;
                Arc::make_mut(all.pieces.get_mut(piece)?).get_mut(index)
            }
        }
    }

    pub(super) fn push(&mut self, node: Element) {
        self.insert(self.len(), node);
    }

    /// Put before the one at `index`, at the end when there is none.
    pub(super) fn insert(&mut self, index: usize, node: Element) {
        match self {
            Nodes::Flat(nodes) if nodes.is_empty() => *self = Nodes::One(node),
            Nodes::One(only) => {
                let only = only.clone();
                *self = Nodes::Flat(if index == 0 { vec![node, only] } else { vec![only, node] });
            }
            Nodes::Flat(nodes) => {
                nodes.insert(index.min(nodes.len()), node);
                if nodes.len() > FLAT_MAX {
                    *self = Nodes::pieces(std::mem::take(nodes));
                }
            }
            Nodes::Pieces(all) => {
                let Pieces { pieces, len } = &mut **all;
                let Some((number, within)) = Nodes::locate(pieces, index) else { return };
                let Some(shared) = pieces.get_mut(number) else { return };
                let piece = Arc::make_mut(shared);
                piece.insert(within.min(piece.len()), node);
                *len += 1;
                if piece.len() >= 2 * PIECE {
                    let rest = piece.split_off(PIECE);
                    pieces.insert(number + 1, Arc::new(rest));
                }
            }
        }
    }

    pub(super) fn remove(&mut self, index: usize) -> Option<Element> {
        match self {
            Nodes::Flat(nodes) => (index < nodes.len()).then(|| nodes.remove(index)),
            Nodes::One(only) => {
                let removed = (index == 0).then(|| only.clone())?;
                *self = Nodes::new();
                Some(removed)
            }
            Nodes::Pieces(all) => {
                let Pieces { pieces, len } = &mut **all;
                let (number, within) = Nodes::locate(pieces, index)?;
                let piece = Arc::make_mut(pieces.get_mut(number)?);
                if within >= piece.len() {
                    return None;
                }
                let removed = piece.remove(within);
                let empty = piece.is_empty();
                *len -= 1;
                if empty && pieces.len() > 1 {
                    pieces.remove(number);
                }
                Some(removed)
            }
        }
    }

    /// Keep what `keep` says; the order of calls is that of the list.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        match self {
            Nodes::Flat(nodes) => nodes.retain(keep),
            Nodes::One(only) => {
                if !keep(only) {
                    *self = Nodes::new();
                }
            }
            Nodes::Pieces(_) => {
                *self = self.iter().filter(|node| keep(node)).cloned().collect::<Vec<_>>().into()
            }
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Nodes::new();
    }

    pub(super) fn shrink_to_fit(&mut self) {
        if let Nodes::Flat(nodes) = self {
            nodes.shrink_to_fit();
        }
    }

    fn pieces(nodes: Vec<Element>) -> Nodes {
        let len = nodes.len();
        let pieces = nodes.chunks(PIECE).map(|piece| Arc::new(piece.to_vec())).collect();
        Nodes::Pieces(Box::new(Pieces { pieces, len }))
    }

    /// Whether what [`Nodes::difference`] tells of both lists stands in the same places, one for one.
    pub(super) fn same_places(&self, other: &Nodes) -> bool {
        if let (Nodes::Pieces(one), Nodes::Pieces(two)) = (self, other)
            && one.pieces.len() == two.pieces.len()
        {
            return one.pieces.iter().zip(&two.pieces).all(|(a, b)| a.len() == b.len());
        }
        self.len() == other.len()
    }

    /// What the one list has and the other has not, apart from a common beginning and end, as far as it costs little:
    /// pieces that both share are not looked at.
    pub(super) fn difference<'a>(&'a self, other: &'a Nodes) -> (Vec<&'a Element>, Vec<&'a Element>) {
        if let (Nodes::Pieces(one), Nodes::Pieces(two)) = (self, other)
            && one.pieces.len() == two.pieces.len()
        {
            let (one, two) = (&one.pieces, &two.pieces);
            let (mut removed, mut added) = (Vec::new(), Vec::new());
            for (a, b) in one.iter().zip(two).filter(|(a, b)| !Arc::ptr_eq(a, b)) {
                let (gone, come) = trimmed(a.iter(), b.iter());
                removed.extend(gone);
                added.extend(come);
            }
            return (removed, added);
        }
        trimmed(self.iter(), other.iter())
    }
}

/// Without what is the same element at the beginning and at the end of both.
fn trimmed<'a, I>(one: I, two: I) -> (Vec<&'a Element>, Vec<&'a Element>)
where
    I: Iterator<Item = &'a Element>,
{
    let (one, two): (Vec<_>, Vec<_>) = (one.collect(), two.collect());
    let same = |(a, b): &(&&Element, &&Element)| a.ptr_eq(b);
    let start = one.iter().zip(&two).take_while(same).count();
    let (one, two) = (one.get(start..).unwrap_or_default(), two.get(start..).unwrap_or_default());
    let end = one.iter().rev().zip(two.iter().rev()).take_while(same).count();
    let cut = |list: &[&'a Element]| list.get(..list.len() - end).unwrap_or_default().to_vec();
    (cut(one), cut(two))
}

impl From<Vec<Element>> for Nodes {
    fn from(nodes: Vec<Element>) -> Nodes {
        if nodes.len() > FLAT_MAX { Nodes::pieces(nodes) } else { Nodes::Flat(nodes) }
    }
}

impl PartialEq for Nodes {
    fn eq(&self, other: &Nodes) -> bool {
        if self.len() != other.len() {
            return false;
        }
        if let (Nodes::Pieces(one), Nodes::Pieces(two)) = (self, other)
            && one.pieces.len() == two.pieces.len()
            && one.pieces.iter().zip(&two.pieces).all(|(a, b)| a.len() == b.len())
        {
            return one.pieces.iter().zip(&two.pieces).all(|(a, b)| Arc::ptr_eq(a, b) || a == b);
        }
        self.iter().zip(other.iter()).all(|(a, b)| a == b)
    }
}

/// Nodes in order.
pub(super) struct Iter<'a> {
    front: slice::Iter<'a, Element>,
    middle: slice::Iter<'a, Arc<Vec<Element>>>,
    back: slice::Iter<'a, Element>,
    left: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = &'a Element;

    #[inline]
    fn next(&mut self) -> Option<&'a Element> {
        loop {
            if let Some(node) = self.front.next() {
                self.left -= 1;
                return Some(node);
            }
            match self.middle.next() {
                Some(piece) => self.front = piece.iter(),
                None => {
                    let node = self.back.next()?;
                    self.left -= 1;
                    return Some(node);
                }
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<'a> DoubleEndedIterator for Iter<'a> {
    fn next_back(&mut self) -> Option<&'a Element> {
        loop {
            if let Some(node) = self.back.next_back() {
                self.left -= 1;
                return Some(node);
            }
            match self.middle.next_back() {
                Some(piece) => self.back = piece.iter(),
                None => {
                    let node = self.front.next_back()?;
                    self.left -= 1;
                    return Some(node);
                }
            }
        }
    }
}

impl ExactSizeIterator for Iter<'_> {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Long lists behave like a plain vector under any sequence of writes.
    #[test]
    fn pieces_behave_like_a_list() {
        let mut seed = 7u64;
        let mut chance = move |limit: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as usize % limit
        };
        let mut model: Vec<String> = Vec::new();
        let mut nodes = Nodes::new();
        for step in 0..6000 {
            let name = format!("n{step}");
            match chance(if model.len() < 400 { 4 } else { 7 }) {
                0..=2 => {
                    let at = chance(model.len() + 1);
                    model.insert(at, name.clone());
                    nodes.insert(at, Element::new(&name));
                }
                3 => {
                    model.push(name.clone());
                    nodes.push(Element::new(&name));
                }
                _ if !model.is_empty() => {
                    let at = chance(model.len());
                    assert_eq!(nodes.remove(at).unwrap().name(), model.remove(at));
                }
                _ => {}
            }
            if step % 97 == 0 {
                let before = nodes.clone();
                let names =
                    |nodes: &Nodes| nodes.iter().map(|node| node.name().to_string()).collect::<Vec<_>>();
                assert_eq!(names(&nodes), model);
                let mut backwards: Vec<_> = nodes.iter().rev().map(|node| node.name().to_string()).collect();
                backwards.reverse();
                assert_eq!(backwards, model);
                assert_eq!(nodes.iter().len(), model.len());
                if !model.is_empty() {
                    let at = chance(model.len());
                    nodes.get_mut(at).unwrap().set_attr("x", "1");
                    assert!(before != nodes);
                    let (gone, come) = before.difference(&nodes);
                    assert_eq!((gone.len(), come.len()), (1, 1));
                    assert!(before.same_places(&nodes));
                    nodes.get_mut(at).unwrap().remove_attr("x");
                    assert!(before == nodes);
                }
            }
        }
        assert!(matches!(nodes, Nodes::Pieces(_)), "the list grew long enough to be in pieces");
        // One that goes from one piece to another.
        let before = nodes.clone();
        let moved = nodes.remove(0).unwrap();
        nodes.push(moved);
        assert_eq!(before.len(), nodes.len());
        assert!(!before.same_places(&nodes));
        let last = nodes.len() - 1;
        let moved = nodes.remove(last).unwrap();
        nodes.insert(0, moved);
        assert!(before.same_places(&nodes));
        assert_eq!(nodes.remove(nodes.len()), None);
        nodes.retain(|node| node.name().ends_with('7'));
        assert!(nodes.iter().all(|node| node.name().ends_with('7')));
    }
}
