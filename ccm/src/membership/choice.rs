//! The largest fully connected set: which candidates become members (R8.1, R8.2).

/// A graph of at most 64 nodes; `adjacent[i]` has bit `j` iff i and j hear each other.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    pub adjacent: Vec<u64>,
}

/// Most nodes a view can have.
pub const NODE_LIMIT: usize = 64;
/// Steps of the search before the best so far is taken (R8.2).
const BUDGET: u32 = 100_000;
/// Maximal sets valued before the best so far is taken: each costs a ranking of histories.
const VALUED_LIMIT: u32 = 256;

impl Graph {
    pub fn new(nodes: usize) -> Self {
        Self { adjacent: vec![0; nodes.min(NODE_LIMIT)] }
    }

    /// Of what each node says whom it hears: an edge is where both say so.
    pub fn mutual(says: &[u64]) -> Self {
        let mut graph = Self::new(says.len());
        for (a, heard) in says.iter().enumerate().take(NODE_LIMIT) {
            for b in bits(*heard).take_while(|b| *b < a) {
                if says.get(b).is_some_and(|back| back & (1 << a) != 0) {
                    graph.connect(a, b);
                }
            }
        }
        graph
    }

    /// Marks that `a` and `b` hear each other.
    pub fn connect(&mut self, a: usize, b: usize) {
        if a != b && a < self.adjacent.len() && b < self.adjacent.len() {
            if let Some(row) = self.adjacent.get_mut(a) {
                *row |= 1 << b;
            }
            if let Some(row) = self.adjacent.get_mut(b) {
                *row |= 1 << a;
            }
        }
    }

    fn row(&self, i: usize) -> u64 {
        self.adjacent.get(i).copied().unwrap_or(0)
    }

    /// The best maximal clique that contains `root`, by `value`; ties go to the one found first,
    /// and the search is the same for the same graph.
    pub fn best<V: Ord>(&self, root: usize, value: impl FnMut(u64) -> V) -> u64 {
        let mut search = Search { graph: self, value, best: None, steps: 0, valued: 0 };
        // The greedy solution first: highest degree, then lowest index.
        let mut greedy: u64 = 1 << root;
        let mut open = self.row(root);
        while let Some(next) =
            bits(open).max_by_key(|&i| ((self.row(i) & open).count_ones(), std::cmp::Reverse(i)))
        {
            greedy |= 1 << next;
            open &= self.row(next);
        }
        search.found(greedy);
        search.expand(1 << root, self.row(root), 0);
        search.best.map_or(1 << root, |(_, set)| set)
    }
}

/// Indices of the bits set, lowest first.
pub fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        if mask == 0 {
            return None;
        }
        let lowest = mask.trailing_zeros();
        mask &= mask - 1;
        usize::try_from(lowest).ok()
    })
}

struct Search<'a, V, F> {
    graph: &'a Graph,
    value: F,
    best: Option<(V, u64)>,
    steps: u32,
    valued: u32,
}

impl<V: Ord, F: FnMut(u64) -> V> Search<'_, V, F> {
    fn found(&mut self, set: u64) {
        if self.best.as_ref().is_some_and(|(_, b)| *b == set) {
            return;
        }
        self.valued += 1;
        let value = (self.value)(set);
        if self.best.as_ref().is_none_or(|(best, _)| value > *best) {
            self.best = Some((value, set));
        }
    }

    /// Bron–Kerbosch with pivot: `r` is the clique, `p` may join it, `x` was tried.
    fn expand(&mut self, r: u64, mut p: u64, mut x: u64) {
        self.steps += 1;
        if self.steps > BUDGET || self.valued > VALUED_LIMIT {
            return;
        }
        if p == 0 && x == 0 {
            self.found(r);
            return;
        }
        let pivot = bits(p | x).max_by_key(|&i| (self.graph.row(i) & p).count_ones());
        let skip = pivot.map_or(0, |i| self.graph.row(i));
        for i in bits(p & !skip) {
            let row = self.graph.row(i);
            self.expand(r | 1 << i, p & row, x & row);
            p &= !(1 << i);
            x |= 1 << i;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a chain the middle one may go either way, the ends only with the middle.
    #[test]
    fn chain() {
        let mut g = Graph::new(3);
        g.connect(0, 1);
        g.connect(1, 2);
        assert_eq!(g.best(0, u64::count_ones), 0b011);
        assert_eq!(g.best(2, u64::count_ones), 0b110);
    }

    /// The exact answer equals the one by trying every set, on all graphs of five nodes.
    #[test]
    fn exact_on_small_graphs() {
        let pairs: Vec<(usize, usize)> = (0..5).flat_map(|a| (0..a).map(move |b| (a, b))).collect();
        for mask in 0..1_u32 << pairs.len() {
            let mut g = Graph::new(5);
            for (i, (a, b)) in pairs.iter().enumerate() {
                if mask & (1 << i) != 0 {
                    g.connect(*a, *b);
                }
            }
            let clique = |set: u64| bits(set).all(|i| bits(set).all(|j| i == j || g.row(i) & (1 << j) != 0));
            let most = (1..32_u64).filter(|s| s & 1 != 0 && clique(*s)).map(u64::count_ones).max();
            let best = g.best(0, u64::count_ones);
            assert!(clique(best) && best & 1 != 0);
            assert_eq!(Some(best.count_ones()), most);
        }
    }

    /// 64 nodes in full, and 64 with a hostile pattern, end within the budget.
    #[test]
    fn large_graphs_end() {
        let mut full = Graph::new(64);
        let mut odd = Graph::new(64);
        for a in 0..64 {
            for b in 0..a {
                full.connect(a, b);
                if a % 3 != b % 3 {
                    odd.connect(a, b);
                }
            }
        }
        assert_eq!(full.best(5, u64::count_ones), u64::MAX);
        assert_eq!(odd.best(0, u64::count_ones).count_ones(), 3);
    }
}
