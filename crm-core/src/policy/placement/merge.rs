//! Indirect scores: what a resource, and everything colocated with it, would like (section 10).

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::state::{Row, State, Variant};
use crate::policy::values::{INFINITY, add_scores};

/// Marks a node that must not be chosen, while scores are being merged.
const UNUSABLE: i32 = -100 * INFINITY;

/// How scores are merged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// Follow what the resource depends on, rather than what depends on it.
    pub this_with: bool,
    /// A score does not fall below zero.
    pub nonneg: bool,
    /// Roll back where nothing is left.
    pub active: bool,
}

/// A colocation's factor: single precision, as in the reference.
pub fn factor(score: i32) -> f32 {
    let (a, b) = (score as f32, INFINITY as f32);
    a / b
}

/// A score times a factor, rounded half away from zero; never 0 where the score is not.
fn scaled(factor: f32, score: i32) -> i32 {
    let product = f64::from(factor * score as f32);
    let half = if product < 0.0 { product - 0.5 } else { product + 0.5 };
    let rounded = half.trunc() as i32;
    if rounded == 0 && score != 0 {
        return if factor > 0.0 {
            1
        } else if factor < 0.0 {
            -1
        } else {
            0
        };
    }
    rounded
}

impl State {
    /// The best score of a resource on nodes that agree with `n` in an attribute.
    fn best_matching(&self, r: ResourceIx, n: NodeIx, attribute: Option<&str>) -> i32 {
        let name = attribute.unwrap_or("#uname");
        let row = &self[r].table;
        if attribute.is_none() && self[n].attributes.contains_key(name) {
            // Names are unique: only the node itself can match.
            return match row.score(n) {
                Some(s) if self[n].available() => s,
                _ => -INFINITY,
            };
        }
        let value = self[n].attribute(name);
        row.iter()
            .filter(|(m, _)| self[*m].available() && self.same_value(*m, name, value))
            .map(|(_, e)| e.score)
            .max()
            .unwrap_or(-INFINITY)
    }

    /// A node has this value (any case) of an attribute; two absent values are the same.
    pub fn same_value(&self, n: NodeIx, name: &str, value: Option<&str>) -> bool {
        match (self[n].attribute(name), value) {
            (Some(a), Some(b)) => a.eq_ignore_ascii_case(b),
            (None, None) => true,
            _ => false,
        }
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// Adds to a table what `r`, and all that hangs on it, would like; no table starts from its own.
    pub fn merge(
        &mut self,
        r: ResourceIx,
        table: Option<Row>,
        attribute: Option<&str>,
        factor_in: f32,
        flags: Flags,
    ) -> Option<Row> {
        if self.s[r].flags.merging {
            return table;
        }
        self.s[r].flags.merging = true;
        let result = self.merge_marked(r, table, attribute, factor_in, flags);
        self.s[r].flags.merging = false;
        result
    }

    fn merge_marked(
        &mut self,
        r: ResourceIx,
        table: Option<Row>,
        attribute: Option<&str>,
        factor_in: f32,
        flags: Flags,
    ) -> Option<Row> {
        // What it comes back to.
        let before = if flags.active { table.clone() } else { None };
        let mut work;
        let group = self.s[r].variant() == Variant::Group;
        if group {
            let member = if table.is_none() { self.s[r].children.last() } else { self.s[r].children.first() };
            let Some(member) = member.copied() else { return table };
            work = self.merge(member, table, attribute, factor_in, flags)?;
        } else {
            match table {
                None => work = self.s[r].table.clone(),
                Some(given) => {
                    work = given;
                    self.match_step(r, &mut work, attribute, factor_in, flags.nonneg);
                }
            }
        }
        if self.s.any_available(&work) {
            // Merging changes no list.
            let owner = if group && !flags.this_with { self.s[r].children.last().copied() } else { Some(r) };
            for at in 0.. {
                let list =
                    owner.map(|o| if flags.this_with { &self.s[o].this_with } else { &self.s[o].with_this });
                let Some(ix) = list.and_then(|list| list.get(at)).copied() else { break };
                let (primary, dependent) = (self.s[ix].primary, self.s[ix].dependent);
                let other = if flags.this_with {
                    primary
                } else {
                    if !self.s.has_influence(ix, primary) {
                        continue;
                    }
                    dependent
                };
                let c = &self.s[ix];
                let f = if factor_in < 0.0 { -factor(c.score) } else { factor(c.score) };
                let attribute = c.attribute.clone();
                let flags = Flags { active: true, ..flags };
                // A table that goes in comes back.
                work = self.merge(other, Some(work), attribute.as_deref(), f, flags).unwrap_or_default();
            }
        } else if flags.active {
            return before;
        }
        if flags.nonneg {
            for (_, e) in work.iter_mut() {
                if e.score == UNUSABLE {
                    e.score = 1;
                }
            }
        }
        Some(work)
    }

    fn match_step(
        &mut self,
        r: ResourceIx,
        work: &mut Row,
        attribute: Option<&str>,
        factor: f32,
        nonneg: bool,
    ) {
        for n in self.s.node_indices() {
            if !work.contains(n) {
                continue;
            }
            let best = self.s.best_matching(r, n, attribute);
            if factor < 0.0 && best < 0 {
                continue;
            }
            let Some(e) = work.get_mut(n) else { continue };
            if e.score == UNUSABLE {
                continue;
            }
            let new = add_scores(e.score, scaled(factor, best));
            if nonneg && new < 0 {
                if e.score > 0 {
                    e.score = UNUSABLE;
                    continue;
                }
                if e.score == 0 {
                    continue;
                }
            }
            e.score = new;
        }
    }

    /// Adds to the table of `r` the wishes of `other`.
    pub fn adopt_wishes(
        &mut self,
        r: ResourceIx,
        other: ResourceIx,
        ix: crate::policy::ix::ColocationIx,
        flags: Flags,
    ) {
        let c = &self.s[ix];
        let (attribute, f) = (c.attribute.clone(), factor(c.score));
        let before = self.s[r].table.clone();
        let Some(after) = self.merge(other, Some(before), attribute.as_deref(), f, flags) else {
            return;
        };
        let id = if L::KEEPS { self.s[ix].id.clone() } else { String::new() };
        self.replace_table(r, after, Source::ColocationWish { constraint: &id, other });
    }

    /// Puts an earlier table back.
    pub fn restore_table(&mut self, r: ResourceIx, earlier: Row, source: Source<'_>) {
        let now = std::mem::replace(&mut self.s[r].table, earlier);
        if L::KEEPS {
            for (n, e) in self.s[r].table.iter() {
                if now.score(n) != Some(e.score) {
                    self.ledger.note(r, n, Change::Restore(e.score), source);
                }
            }
            for (n, _) in now.iter() {
                if !self.s[r].table.contains(n) {
                    self.ledger.note(r, n, Change::Leave, source);
                }
            }
        }
    }

    /// Puts a changed table in place, telling the ledger what changed.
    pub fn replace_table(&mut self, r: ResourceIx, after: Row, source: Source<'_>) {
        if L::KEEPS {
            for (n, e) in after.iter() {
                match self.s[r].table.score(n) {
                    Some(s) if s == e.score => {}
                    Some(s) if s > -INFINITY && e.score > -INFINITY && s < INFINITY && e.score < INFINITY => {
                        self.ledger.note(r, n, Change::Add(e.score - s), source);
                    }
                    Some(_) => self.ledger.note(r, n, Change::Set(e.score), source),
                    None => self.ledger.note(r, n, Change::Enter(e.score), source),
                }
            }
        }
        self.s[r].table = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_round_away_from_zero_and_never_vanish() {
        assert_eq!(scaled(factor(50), 300), 1);
        assert_eq!(scaled(factor(-5000), 100), -1);
        assert_eq!(scaled(factor(500_000), 300), 150);
        assert_eq!(scaled(factor(INFINITY), -INFINITY), -INFINITY);
        assert_eq!(scaled(factor(1), 0), 0);
    }
}
