//! Orders that follow only from the reference's data structures.
//!
//! Where two candidates are equal by every rule, Pacemaker takes the one its hash table or its list sort
//! happens to meet first. Both are reproduced here and nowhere else.

use std::cmp::Ordering;

/// Order of node names: digit runs as numbers (equal numbers: the shorter run first), other characters
/// without case; a prefix sorts first.
pub fn compare_names(a: &str, b: &str) -> Ordering {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let (mut i, mut j) = (0, 0);
    loop {
        match (a.get(i), b.get(j)) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) if x.is_ascii_digit() && y.is_ascii_digit() => {
                let run = |s: &[u8], from: usize| {
                    from + s.iter().skip(from).take_while(|c| c.is_ascii_digit()).count()
                };
                let (ie, je) = (run(a, i), run(b, j));
                let strip = |s: &[u8], from: usize, to: usize| {
                    from + s.iter().take(to).skip(from).take_while(|c| **c == b'0').count()
                };
                let (iv, jv) = (strip(a, i, ie), strip(b, j, je));
                let by_number = (ie - iv).cmp(&(je - jv)).then_with(|| a.get(iv..ie).cmp(&b.get(jv..je)));
                let by_length = by_number.then((ie - i).cmp(&(je - j)));
                if by_length != Ordering::Equal {
                    return by_length;
                }
                (i, j) = (ie, je);
            }
            (Some(x), Some(y)) => {
                let by_char = x.to_ascii_lowercase().cmp(&y.to_ascii_lowercase());
                if by_char != Ordering::Equal {
                    return by_char;
                }
                (i, j) = (i + 1, j + 1);
            }
        }
    }
}

/// The list sort of the reference: a stable merge sort that halves the list rounding down. With a
/// comparison that is not transitive the result depends on exactly this.
pub fn merge_sort<T: Copy>(list: &mut [T], compare: &mut impl FnMut(&T, &T) -> Ordering) {
    let mut spare = if list.len() > 2 { list.to_vec() } else { Vec::new() };
    sort_halves(list, &mut spare, compare);
}

/// `spare` is as long as `list`, where that has more than two entries; what it holds does not matter.
fn sort_halves<T: Copy>(list: &mut [T], spare: &mut [T], compare: &mut impl FnMut(&T, &T) -> Ordering) {
    match list {
        [] | [_] => return,
        [a, b] => {
            if compare(a, b) == Ordering::Greater {
                std::mem::swap(a, b);
            }
            return;
        }
        _ => {}
    }
    let half = list.len() / 2;
    let (first, second) = list.split_at_mut(half);
    let (spare_first, spare_second) = spare.split_at_mut(half);
    sort_halves(first, spare_first, compare);
    sort_halves(second, spare_second, compare);
    let (mut i, mut j) = (first.iter(), second.iter());
    let (mut a, mut b) = (i.next(), j.next());
    for slot in spare.iter_mut() {
        match (a, b) {
            (Some(x), Some(y)) if compare(x, y) != Ordering::Greater => (*slot, a) = (*x, i.next()),
            (_, Some(y)) => (*slot, b) = (*y, j.next()),
            (Some(x), None) => (*slot, a) = (*x, i.next()),
            (None, None) => {}
        }
    }
    list.copy_from_slice(spare);
}

/// Primes that a table of `1 << index` slots divides by.
const PRIMES: [u32; 20] = [
    1, 2, 3, 7, 13, 31, 61, 127, 251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071, 262_139,
    524_287,
];

/// Positions (into `keys`) in the order in which a GLib 2.74 hash table iterates over them, when they were
/// inserted in the order given. Equal keys after the first are left out.
pub fn hash_order<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<usize> {
    let mut table = HashTable::new();
    let mut seen = std::collections::HashSet::new();
    for (at, key) in keys.into_iter().enumerate() {
        if seen.insert(key) {
            table.insert(hash(key), at);
        }
    }
    table.slots.into_iter().flatten().map(|(_, at)| at).collect()
}

/// The reference's string hash: over signed bytes; 0 and 1 are reserved.
fn hash(key: &str) -> u32 {
    let h = key.bytes().fold(0u32, |h, b| h.wrapping_mul(31).wrapping_add_signed(i32::from(b.cast_signed())));
    if h < 2 { 2 } else { h }
}

struct HashTable {
    shift: usize,
    slots: Vec<Option<(u32, usize)>>,
    live: usize,
}

impl HashTable {
    fn new() -> HashTable {
        HashTable { shift: 3, slots: vec![None; 8], live: 0 }
    }

    fn first_slot(&self, hash: u32) -> usize {
        let prime = PRIMES.get(self.shift).copied().unwrap_or(524_287);
        (hash.wrapping_mul(11) % prime) as usize
    }

    fn insert(&mut self, hash: u32, at: usize) {
        let mask = self.slots.len() - 1;
        let mut slot = self.first_slot(hash);
        let mut step = 0;
        while self.slots.get(slot).is_some_and(Option::is_some) {
            step += 1;
            slot = (slot + step) & mask;
        }
        if let Some(s) = self.slots.get_mut(slot) {
            *s = Some((hash, at));
        }
        self.live += 1;
        let size = self.slots.len();
        if size <= self.live + self.live / 16 {
            self.grow();
        }
    }

    /// Rehashes in place, as the reference does: an entry put where another still waits takes its place,
    /// and the other is placed next.
    fn grow(&mut self) {
        let wanted = self.live * 1333 / 1000;
        let shift = ((usize::BITS - wanted.leading_zeros()) as usize).clamp(3, PRIMES.len() - 1);
        let old_size = self.slots.len();
        self.shift = shift;
        let size = 1usize << shift;
        self.slots.resize(size.max(old_size), None);
        let mask = size - 1;
        let mut marked = vec![false; size];
        for i in 0..old_size {
            if marked.get(i) == Some(&true) {
                continue;
            }
            let mut carried = self.slots.get_mut(i).and_then(Option::take);
            while let Some(entry) = carried {
                let mut slot = self.first_slot(entry.0);
                let mut step = 0;
                while marked.get(slot) == Some(&true) {
                    step += 1;
                    slot = (slot + step) & mask;
                }
                if let Some(m) = marked.get_mut(slot) {
                    *m = true;
                }
                carried = self.slots.get_mut(slot).and_then(|s| s.replace(entry));
            }
        }
        self.slots.truncate(size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_number() {
        let mut names = ["node10", "node9", "Node1", "node007", "node7", "node"];
        names.sort_by(|a, b| compare_names(a, b));
        assert_eq!(names, ["node", "Node1", "node7", "node007", "node9", "node10"]);
    }

    #[test]
    fn tables_iterate_as_the_reference_does() {
        assert_eq!(hash_order(["1", "2", "3", "4", "5"]), [0, 2, 4, 1, 3]);
        assert_eq!(hash_order(["node1", "node2", "node3"]), [1, 0, 2]);
    }

    #[test]
    fn the_sort_is_stable_and_sorts() {
        let mut list = vec![(3, 'a'), (1, 'b'), (3, 'c'), (2, 'd'), (1, 'e')];
        merge_sort(&mut list, &mut |a, b| a.0.cmp(&b.0));
        assert_eq!(list, [(1, 'b'), (1, 'e'), (2, 'd'), (3, 'a'), (3, 'c')]);
    }
}
