//! What decided between two nodes that may both run a resource.

use super::fact::Fact;
use super::scene::Scene;
use super::words;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Reason, Step};

impl Scene {
    /// What decided for the node that a leaf got and against another one that it may run on.
    pub fn lost(&self, r: ResourceIx, n: NodeIx) -> Option<Fact> {
        let (chosen, step) = self.book.decided(r, n)?;
        if step == Step::Unavailable {
            return self.node_trouble(n);
        }
        let (winner, loser) = (self.node(chosen), self.node(n));
        let (code, text) = match step {
            Step::Score { chosen: a, other: b } => (
                "lower-score",
                format!(
                    "it scores {} against {} on {winner}{}",
                    words::score(b),
                    words::score(a),
                    self.because(r, chosen, n)
                ),
            ),
            Step::Load { chosen: a, other: b } => (
                "load",
                format!(
                    "{winner} scores the same and had fewer resources when its turn came ({a}, {loser} {b})"
                ),
            ),
            Step::Capacity => (
                "capacity",
                format!("{winner} scores the same and has more free capacity (placement-strategy=balanced)"),
            ),
            Step::Active => ("active-there", format!("{winner} scores the same, and it is active there")),
            Step::Name => {
                ("name", format!("{winner} scores the same and had the same load; it comes first by name"))
            }
            _ => ("preferred", format!("{winner} was preferred (a migration under way, or the most room)")),
        };
        Some(Fact::new(code, text).with("winner", winner))
    }

    /// The same, said of the node that won.
    pub fn won(&self, r: ResourceIx, n: NodeIx) -> Option<Fact> {
        let (chosen, step) = self.book.decided(r, n)?;
        let (winner, loser) = (self.node(chosen), self.node(n));
        let (code, text) = match step {
            Step::Unavailable => return None,
            Step::Score { other, .. } => (
                "lower-score",
                format!("the runner-up {loser} scores {}{}", words::score(other), self.because(r, chosen, n)),
            ),
            Step::Load { chosen: a, other: b } => (
                "load",
                format!(
                    "{loser} scores the same, and {winner} had fewer resources when its turn came ({a}, {loser} {b})"
                ),
            ),
            Step::Capacity => (
                "capacity",
                format!(
                    "{loser} scores the same, and {winner} has more free capacity (placement-strategy=balanced)"
                ),
            ),
            Step::Active => ("active-there", format!("{loser} scores the same, and it is active here")),
            Step::Name => (
                "name",
                format!("{loser} scores the same and had the same load; {winner} comes first by name"),
            ),
            Step::Preferred => (
                "preferred",
                format!("{winner} was preferred to {loser} (a migration under way, or the most room)"),
            ),
        };
        Some(Fact::new(code, text).with("runner-up", loser))
    }

    fn because(&self, r: ResourceIx, winner: NodeIx, loser: NodeIx) -> String {
        let why = self.difference(r, winner, loser);
        if why.is_empty() { String::new() } else { format!(": {}", words::list(&why)) }
    }

    /// What makes the difference between two nodes: sources whose sums differ, the greatest first.
    pub fn difference(&self, r: ResourceIx, winner: NodeIx, loser: NodeIx) -> Vec<String> {
        let mut sources: Vec<(&Reason, i64, i64)> = Vec::new();
        for (n, side) in [(winner, 0), (loser, 1)] {
            for addend in self.book.addends(r, n) {
                let at = sources.iter().position(|(reason, ..)| *reason == &addend.reason);
                let at = at.unwrap_or_else(|| {
                    sources.push((&addend.reason, 0, 0));
                    sources.len() - 1
                });
                if let Some((_, a, b)) = sources.get_mut(at) {
                    *(if side == 0 { a } else { b }) += i64::from(addend.score);
                }
            }
        }
        let mut differing: Vec<_> = sources.into_iter().filter(|(_, a, b)| a != b).collect();
        differing.sort_by_key(|(_, a, b)| std::cmp::Reverse((a - b).abs()));
        let clamp = |v: i64| i32::try_from(v.clamp(-1_000_000, 1_000_000)).unwrap_or(0);
        let mut words_of = Vec::new();
        for (reason, a, b) in differing {
            let source = self.source(r, reason);
            for (score, n) in [(a, winner), (b, loser)] {
                if score != 0 {
                    words_of.push(format!("{} on {} {source}", words::signed(clamp(score)), self.node(n)));
                }
            }
        }
        words_of
    }
}
