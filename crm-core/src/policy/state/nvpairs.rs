//! Sets of name-value pairs: which sets count, in which order, and whose value wins.

use super::Table;
use super::rules::{self, Input, Notes};
use crate::policy::values::{HealthScores, parse_score};
use crate::policy::words;
use cib::{Element, Word};

/// How values of several sets are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode<'a> {
    /// The first value of a name wins: highest score, then last in the document.
    Keep,
    /// The same, with the set of this id before all others whatever its score.
    KeepFrom(&'a str),
    /// The last value wins.
    Overwrite,
}

/// Reads the sets named `tag` among the children of `parent` into `table`.
pub fn unpack(
    parent: &Element,
    tag: Word,
    input: &Input<'_>,
    health: &HealthScores,
    mode: Mode<'_>,
    table: &mut Table,
    notes: &mut Notes,
) {
    let mut only = None;
    let mut sets: Vec<(bool, i32, &Element)> = Vec::new();
    for set in parent.children_of(tag) {
        let Some(set) = rules::expand(input.root, set, notes) else { continue };
        let is_first = match mode {
            Mode::KeepFrom(f) => set.id().is_some_and(|id| id.eq_ignore_ascii_case(f)),
            _ => false,
        };
        let set = (is_first, parse_score(set.value(words::SCORE), health), set);
        // Nearly always there is one: that needs no list.
        match only.take() {
            None if sets.is_empty() => only = Some(set),
            first => sets.extend(first.into_iter().chain([set])),
        }
    }
    sets.reverse();
    sets.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)));
    for (_, _, set) in only.into_iter().chain(sets) {
        if !rules::applies(set, input, notes) {
            continue;
        }
        pairs(set, input, mode, table, notes);
    }
}

fn pairs(set: &Element, input: &Input<'_>, mode: Mode<'_>, table: &mut Table, notes: &mut Notes) {
    let list = match set.children().next() {
        Some(wrapper) if wrapper.is(words::ATTRIBUTES) => wrapper,
        _ => set,
    };
    table.reserve(list.nodes().len());
    for pair in list.children_of(words::NVPAIR) {
        let Some(named) = rules::expand(input.root, pair, notes) else { continue };
        let name = pair.value_text(words::NAME).or_else(|| named.value_text(words::NAME));
        let value = pair.value_text(words::VALUE).or_else(|| named.value_text(words::VALUE));
        let (Some(name), Some(value)) = (name, value) else { continue };
        if value.eq_ignore_ascii_case("#default") {
            table.shift_remove(&name);
        } else if mode == Mode::Overwrite {
            table.insert(name, value);
        } else {
            table.insert_new(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::policy::dates::Moment;

    fn value(xml: &str, mode: Mode<'_>) -> Option<String> {
        let root = Element::parse(xml).unwrap();
        let mut table = Table::default();
        let input = Input::new(&root, Moment::utc(0));
        let health = HealthScores::default();
        unpack(&root, words::UTILIZATION, &input, &health, mode, &mut table, &mut Notes::default());
        table.get("n").map(ToString::to_string)
    }

    #[test]
    fn scores_then_the_last_in_the_document_win() {
        let two = |a: &str, b: &str| {
            format!(
                "<r><utilization id='1' {a}><nvpair id='x' name='n' value='one'/></utilization><utilization id='2' {b}><nvpair id='y' name='n' value='two'/></utilization></r>"
            )
        };
        assert_eq!(value(&two("", ""), Mode::Keep).as_deref(), Some("two"));
        assert_eq!(value(&two("score='1'", ""), Mode::Keep).as_deref(), Some("one"));
        assert_eq!(value(&two("", ""), Mode::Overwrite).as_deref(), Some("one"));
        let boot = "<r><utilization id='boot'><nvpair id='x' name='n' value='one'/></utilization><utilization id='2' score='1000'><nvpair id='y' name='n' value='two'/></utilization></r>";
        assert_eq!(value(boot, Mode::KeepFrom("boot")).as_deref(), Some("one"));
    }
}
