//! Rules: conditions on node attributes, resources, operations and time.
//!
//! Source: Pacemaker 2.1.5, "Rules" in Pacemaker Explained; the answers to what it leaves open were asked
//! of `crm_simulate` and `crm_rule`.

use super::resource::Role;
use super::{Complaints, Table};
use crate::policy::dates::{self, Moment};
use crate::policy::{values, words};
use cib::{Element, Text};
use std::cmp::Ordering;

/// What a rule can look at. An expression that needs what is absent is false.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The document, for `id-ref`.
    pub root: &'a Element,
    pub now: Moment,
    pub node: Option<&'a Table>,
    pub role: Role,
    /// Class, provider and type.
    pub agent: Option<(&'a str, Option<&'a str>, &'a str)>,
    /// Name and interval in milliseconds.
    pub operation: Option<(&'a str, u32)>,
    /// Sub-matches of an `rsc-pattern`, the whole match first.
    pub matches: &'a [String],
    pub params: Option<&'a Table>,
    pub meta: Option<&'a Table>,
}

impl<'a> Input<'a> {
    /// Sees the time only.
    pub fn new(root: &'a Element, now: Moment) -> Input<'a> {
        Input {
            root,
            now,
            node: None,
            role: Role::Unknown,
            agent: None,
            operation: None,
            matches: &[],
            params: None,
            meta: None,
        }
    }
}

/// What evaluating left behind: when the answer may change, and what is wrong with the rules.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Epoch seconds.
    pub next_change: Option<i64>,
    pub complaints: Complaints,
}

impl Notes {
    fn change_at(&mut self, now: i64, at: i64) {
        if at > now && self.next_change.is_none_or(|c| at < c) {
            self.next_change = Some(at);
        }
    }
}

/// The element that `id-ref` names, or the element itself. `None`, with a complaint, where it names none
/// or more than one.
pub fn expand<'a>(root: &'a Element, element: &'a Element, notes: &mut Notes) -> Option<&'a Element> {
    let Some(id) = element.value(words::ID_REF) else { return Some(element) };
    let mut found = root.descendants().filter(|e| e.name() == element.name() && e.id() == Some(id));
    let name = element.name();
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one),
        (None, _) => {
            let text = format!("No match for //{name}[@id='{id}'] found in /cib: Invalid configuration");
            notes.complaints.log_error("reference-unknown", id, text);
            None
        }
        (Some(_), Some(_)) => {
            let text = format!("Too many matches for //{name}[@id='{id}'] in /cib");
            notes.complaints.log_error("reference-ambiguous", id, text);
            None
        }
    }
}

/// Whether an element with `rule` children applies: it has none, or one of them passes.
pub fn applies(element: &Element, input: &Input<'_>, notes: &mut Notes) -> bool {
    let mut any = false;
    for rule in element.children_of(words::RULE) {
        any = true;
        if evaluate(rule, input, notes) {
            return true;
        }
    }
    !any
}

/// Whether a rule passes.
pub fn evaluate(rule: &Element, input: &Input<'_>, notes: &mut Notes) -> bool {
    evaluate_nested(rule, input, notes, 0)
}

fn evaluate_nested(rule: &Element, input: &Input<'_>, notes: &mut Notes, depth: u32) -> bool {
    if depth > 64 {
        return false; // a rule that refers to itself
    }
    let Some(rule) = expand(input.root, rule, notes) else { return true };
    let or = rule.value(words::BOOLEAN_OP).is_some_and(|b| b.eq_ignore_ascii_case("or"));
    let mut empty = true;
    for e in rule.children() {
        empty = false;
        let passes = match e.name() {
            "rule" => evaluate_nested(e, input, notes, depth + 1),
            "expression" => expression(e, input, notes),
            "date_expression" => date_expression(e, input, notes),
            "rsc_expression" => rsc_expression(e, input),
            "op_expression" => op_expression(e, input),
            _ => false,
        };
        if passes == or {
            return or;
        }
    }
    if empty {
        let id = rule.id().unwrap_or("");
        notes.complaints.log_error(
            "rule-empty",
            id,
            format!("Invalid Rule {id}: rules must contain at least one expression"),
        );
    }
    !or
}

fn rsc_expression(e: &Element, input: &Input<'_>) -> bool {
    let Some((class, provider, agent)) = input.agent else { return false };
    e.value(words::CLASS).is_none_or(|c| c == class)
        && e.value(words::PROVIDER) == provider
        && e.value(words::TYPE).is_none_or(|t| t == agent)
}

fn op_expression(e: &Element, input: &Input<'_>) -> bool {
    let Some((name, interval)) = input.operation else { return false };
    if e.value(words::NAME) != Some(name) {
        return false;
    }
    match e.value(words::INTERVAL) {
        None => true,
        Some(text) => match values::parse_duration_ms(text) {
            Some(ms) => ms == u64::from(interval),
            None => false,
        },
    }
}

fn expression(e: &Element, input: &Input<'_>, notes: &mut Notes) -> bool {
    let id = e.id().unwrap_or("");
    let operation = e.value(words::OPERATION);
    let Some(attribute) = e.value(words::ATTRIBUTE) else {
        notes.complaints.error(
            "expression-attribute",
            id,
            format!("Expression {id} invalid: attribute not specified"),
        );
        return false;
    };
    let Some(operation) = operation else {
        notes.complaints.error(
            "expression-operation",
            id,
            format!("Expression {id} invalid: operation not specified"),
        );
        return false;
    };
    if attribute == "#role" {
        return role_expression(operation, e.value(words::VALUE), input.role);
    }
    let Some(node) = input.node else { return false };
    let attribute = expand_matches(attribute, input.matches);
    let left = node.get(attribute.as_ref()).map(Text::as_str);
    let right = e.value(words::VALUE).filter(|v| !v.is_empty());
    let right = match (e.value(words::VALUE_SOURCE), right) {
        (Some(s), Some(v)) if s.eq_ignore_ascii_case("param") => match input.params {
            Some(table) => table.get(v).map(Text::as_str),
            None => Some(v),
        },
        (Some(s), Some(v)) if s.eq_ignore_ascii_case("meta") => match input.meta {
            Some(table) => table.get(v).map(Text::as_str),
            None => Some(v),
        },
        (_, v) => v,
    };
    match operation {
        "defined" => return left.is_some(),
        "not_defined" => return left.is_none(),
        _ => {}
    }
    let equality = matches!(operation, "eq" | "ne");
    let order = match (left, right) {
        (Some(l), Some(r)) => Some(compare(l, r, e.value(words::TYPE), equality)),
        (None, None) if equality => Some(Ordering::Equal),
        _ => None,
    };
    match (operation, order) {
        ("eq", o) => o == Some(Ordering::Equal),
        ("ne", o) => o != Some(Ordering::Equal),
        ("lt", Some(o)) => o.is_lt(),
        ("lte", Some(o)) => o.is_le(),
        ("gt", Some(o)) => o.is_gt(),
        ("gte", Some(o)) => o.is_ge(),
        _ => false,
    }
}

/// `%0` to `%9` become what the resource pattern matched; nothing where that is empty.
pub fn expand_matches<'t>(text: &'t str, matches: &[String]) -> std::borrow::Cow<'t, str> {
    if matches.is_empty() || !text.contains('%') {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (c, chars.peek().and_then(|d| d.to_digit(10))) {
            ('%', Some(d)) => {
                chars.next();
                if let Some(m) = matches.get(d as usize) {
                    out.push_str(m);
                }
            }
            _ => out.push(c),
        }
    }
    out.into()
}

fn role_expression(operation: &str, value: Option<&str>, role: Role) -> bool {
    if role == Role::Unknown {
        return false;
    }
    let wanted = value.map_or(Role::Unknown, Role::parse);
    match operation {
        "defined" => role > Role::Started,
        "not_defined" => role <= Role::Started,
        "eq" => role == wanted,
        "ne" => role > Role::Started && role != wanted,
        _ => false,
    }
}

fn compare(left: &str, right: &str, kind: Option<&str>, equality: bool) -> Ordering {
    let is = |w: &str| kind.is_some_and(|k| k.eq_ignore_ascii_case(w));
    let text = || left.to_ascii_lowercase().cmp(&right.to_ascii_lowercase());
    let numbers = || match (double(left), double(right)) {
        (Some(l), Some(r)) => l.partial_cmp(&r).unwrap_or(Ordering::Equal),
        _ => text(),
    };
    let integers = || match (integer(left), integer(right)) {
        (Some(l), Some(r)) => l.cmp(&r),
        _ => text(),
    };
    match kind {
        None if equality => text(),
        None if left.contains('.') || right.contains('.') => numbers(),
        None => integers(),
        Some(_) if is("string") => text(),
        Some(_) if is("integer") => integers(),
        Some(_) if is("number") => numbers(),
        Some(_) if is("version") => values::compare_versions(left, right),
        Some(_) => Ordering::Equal,
    }
}

fn integer(text: &str) -> Option<i64> {
    match values::scan(text) {
        values::Scan::Clean(v) | values::Scan::Rest(v, _) => Some(v),
        _ => None,
    }
}

/// The leading number of a text, as C's `strtod` reads it.
fn double(text: &str) -> Option<f64> {
    let t = text.trim_start();
    (1..=t.len()).rev().filter(|n| t.is_char_boundary(*n)).find_map(|n| t.get(..n)?.parse::<f64>().ok())
}

fn date_expression(e: &Element, input: &Input<'_>, notes: &mut Notes) -> bool {
    let now = input.now;
    let mut read = |name: &str| -> Option<Moment> {
        let text = e.attr(name)?;
        let moment = dates::parse(text, now);
        if moment.is_none() {
            notes.complaints.log_error(
                "date-invalid",
                e.id().unwrap_or(""),
                format!("'{text}' is not a valid ISO 8601 date/time specification"),
            );
        }
        moment
    };
    let start = read("start");
    let mut end = read("end");
    if let (Some(s), None, Some(d)) = (start, end, e.child("duration")) {
        end = Some(plus_duration(s, d));
    }
    let t = now.epoch;
    match e.value(words::OPERATION).unwrap_or("in_range") {
        op if op.eq_ignore_ascii_case("in_range") => {
            if start.is_none() && end.is_none() {
                return false;
            }
            if let Some(s) = start
                && t < s.epoch
            {
                notes.change_at(t, s.epoch);
                return false;
            }
            match end {
                Some(x) if t > x.epoch => false,
                Some(x) => {
                    notes.change_at(t, x.epoch + 1);
                    true
                }
                None => true,
            }
        }
        op if op.eq_ignore_ascii_case("gt") => match start {
            Some(s) if t > s.epoch => true,
            Some(s) => {
                notes.change_at(t, s.epoch + 1);
                false
            }
            None => false,
        },
        op if op.eq_ignore_ascii_case("lt") => match end {
            Some(x) if t < x.epoch => {
                notes.change_at(t, x.epoch);
                true
            }
            _ => false,
        },
        op if op.eq_ignore_ascii_case("date_spec") => {
            e.child("date_spec").is_none_or(|spec| date_spec(spec, now))
        }
        _ => false,
    }
}

/// A moment plus a `<duration>`: years, months, weeks, days, hours, minutes, seconds, in this order.
fn plus_duration(start: Moment, d: &Element) -> Moment {
    let read = |name: &str| -> i64 {
        d.attr(name).map_or(0, |text| match values::scan(text) {
            values::Scan::Clean(v) if i32::try_from(v).is_ok() => v,
            _ => 0,
        })
    };
    start
        .plus_years(read("years"))
        .plus_months(read("months"))
        .plus_seconds(read("weeks") * 7 * 86_400)
        .plus_seconds(read("days") * 86_400)
        .plus_seconds(read("hours") * 3600)
        .plus_seconds(read("minutes") * 60)
        .plus_seconds(read("seconds"))
}

fn date_spec(spec: &Element, now: Moment) -> bool {
    let f = now.fields();
    let golden = f.year.rem_euclid(19) + 1;
    let mut epact = (11 * golden + 18) % 30;
    if (epact == 25 && golden > 11) || epact == 24 {
        epact += 1;
    }
    let moon = (((((f.yearday + epact) * 6) + 11) % 177) / 22) & 7;
    let fields = [
        ("years", f.year),
        ("months", f.month),
        ("monthdays", f.day),
        ("hours", f.hour),
        ("minutes", f.minute),
        ("seconds", f.second),
        ("yeardays", f.yearday),
        ("weekyears", f.weekyear),
        ("weeks", f.week),
        ("weekdays", f.weekday),
        ("moon", moon),
    ];
    fields.iter().all(|(name, value)| spec.attr(name).is_none_or(|range| in_range(range, *value)))
}

/// `N`, `N-M`, `-M` or `N-`; anything else passes, as in the reference.
fn in_range(range: &str, value: i64) -> bool {
    let number = |t: &str| -> Option<i64> {
        (!t.is_empty() && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse().ok()).flatten()
    };
    match range.split_once('-') {
        None => number(range).is_none_or(|n| n == value),
        Some(("", high)) => number(high).is_none_or(|h| value <= h),
        Some((low, "")) => number(low).is_none_or(|l| value >= l),
        Some((low, high)) => match (number(low), number(high)) {
            (Some(l), Some(h)) => l <= value && value <= h,
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn passes(rule: &str, attrs: &[(&str, &str)]) -> bool {
        let root = Element::parse(rule).unwrap();
        let table: Table = attrs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        let mut input = Input::new(&root, Moment::utc(1_700_000_000));
        input.node = Some(&table);
        evaluate(&root, &input, &mut Notes::default())
    }

    #[test]
    fn expressions_compare_by_type() {
        let one = |op: &str, value: &str, kind: &str| {
            let kind = if kind.is_empty() { String::new() } else { format!("type='{kind}'") };
            let rule = format!(
                "<rule id='r'><expression id='e' attribute='a' operation='{op}' value='{value}' {kind}/></rule>"
            );
            passes(&rule, &[("a", "9")])
        };
        assert!(one("lt", "10", ""));
        assert!(!one("eq", "9.0", ""));
        assert!(!one("lt", "10", "string"));
        assert!(one("eq", "9.0", "number"));
        assert!(!passes(
            "<rule id='r'><expression id='e' attribute='b' operation='lt' value='1'/></rule>",
            &[]
        ));
    }

    #[test]
    fn ranges_of_a_date_spec() {
        assert!(in_range("1-5", 5));
        assert!(!in_range("23-5", 3));
        assert!(in_range("1,12", 7));
        assert!(in_range("-5", 5));
        assert!(!in_range("6-", 5));
    }
}
