//! What both programs say about a CIB, side by side.

use std::collections::{BTreeMap, BTreeSet};

use cib::{Cib, Element};
use crm_core::policy::simulator::{self, Options, Output};

use super::draw::NOW;
use super::known;
use super::reference::{Answer, Planned, Reference};

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// States before and after, the summary, what was executed, in order; and the exit status.
    Summary,
    /// The drawing: every action that is in the graph and every ordering between them.
    Graph,
    /// Scores, promotion scores, capacities.
    Scores,
    /// The graph as the controller would execute it: attributes, timeouts, inputs.
    Actions,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Level::Summary => "summary",
            Level::Graph => "graph",
            Level::Scores => "scores",
            Level::Actions => "actions",
        }
    }
}

/// What came of one comparison.
#[derive(Debug)]
pub enum Verdict {
    /// Both say this.
    Agree(Box<Output>),
    /// By level: lines that only one of them has; and what ours says.
    Differ(BTreeMap<Level, String>, Box<Output>),
    /// The reference did not plan it: not valid, or it died of it.
    NotPlanned(&'static str, String),
}

/// What our planner says.
pub fn ours(root: &Element) -> Result<Output, String> {
    let cib = Cib::from_root(root.clone()).map_err(|error| error.to_string())?;
    let options = Options {
        simulate: true,
        scores: true,
        utilization: true,
        dot: true,
        graph: true,
        ..Options::default()
    };
    Ok(simulator::run(&cib, &options, i64::try_from(NOW).unwrap_or(0), 0))
}

/// Asks both.
///
/// # Errors
/// If the reference cannot be run at all, or our parser refuses what the reference takes.
pub fn compare(reference: &Reference, root: &Element) -> Result<Verdict, String> {
    let answer = reference.ask(root).map_err(|error| format!("{}: {error}", super::reference::PROGRAM))?;
    let planned = match answer {
        Answer::Planned(planned) => planned,
        Answer::Invalid(why) => return Ok(Verdict::NotPlanned("invalid", why)),
        Answer::Died(why) => return Ok(Verdict::NotPlanned("died", why)),
        Answer::Slow => return Ok(Verdict::NotPlanned("slow", String::new())),
    };
    let ours = Box::new(ours(&known::as_the_reference_reads(root))?);
    let levels = differences(&planned, &ours);
    Ok(if levels.is_empty() { Verdict::Agree(ours) } else { Verdict::Differ(levels, ours) })
}

fn is_score(line: &str) -> bool {
    line.contains(" allocation score on ")
        || line.contains(" promotion score on ")
        || line.contains(" utilization on ")
        || line.contains(" capacity: ")
}

/// The drawing without the order of its lines.
fn sorted(text: &str) -> Vec<String> {
    let lines: BTreeSet<&str> = text.lines().collect();
    lines.into_iter().map(str::to_owned).collect()
}

fn differences(wanted: &Planned, got: &Output) -> BTreeMap<Level, String> {
    let mut levels = BTreeMap::new();
    let split = |text: &str| -> (Vec<String>, Vec<String>) {
        let (mut scores, text): (Vec<String>, Vec<String>) =
            text.lines().map(str::to_owned).partition(|line| is_score(line));
        scores.sort();
        (scores, text)
    };
    let ((wanted_scores, mut wanted_text), (got_scores, mut got_text)) =
        (split(&wanted.stdout), split(&got.stdout));
    wanted_text.push(format!("exit {}", wanted.code));
    got_text.push(format!("exit {}", got.code));
    let mut note = |level, wanted: Vec<String>, got: Vec<String>| {
        if wanted != got {
            levels.insert(level, only(&wanted, &got));
        }
    };
    note(Level::Summary, wanted_text, got_text);
    note(Level::Scores, wanted_scores, got_scores);
    note(Level::Graph, sorted(&wanted.dot), sorted(got.dot.as_deref().unwrap_or_default()));
    note(Level::Actions, actions(&wanted.graph), actions(got.graph.as_deref().unwrap_or_default()));
    levels
}

/// Lines that one side has more often than the other, or, where only the order differs, all.
fn only(wanted: &[String], got: &[String]) -> String {
    let mut balance: BTreeMap<&str, i64> = BTreeMap::new();
    wanted.iter().for_each(|line| *balance.entry(line).or_default() += 1);
    got.iter().for_each(|line| *balance.entry(line).or_default() -= 1);
    let mut text = String::new();
    let show = |sign: &str, line: &str| format!("  {sign} {line}\n");
    for line in wanted.iter().filter(|line| balance.get(line.as_str()).is_some_and(|n| *n > 0)) {
        text.push_str(&show("reference", line));
    }
    for line in got.iter().filter(|line| balance.get(line.as_str()).is_some_and(|n| *n < 0)) {
        text.push_str(&show("everbeat ", line));
    }
    if text.is_empty() {
        let pairs = wanted.iter().zip(got).skip_while(|(a, b)| a == b);
        for (a, b) in pairs.take_while(|(a, b)| a != b) {
            text.push_str(&format!("  order: reference {a}\n         everbeat  {b}\n"));
        }
    }
    text
}

/// A graph without numbers: a line for each attribute of each action, and for each thing it waits for.
fn actions(graph: &str) -> Vec<String> {
    let Ok(root) = Element::parse(graph) else { return vec!["no graph".into()] };
    let mut lines: Vec<String> = root.attrs().map(|(name, value)| format!("graph {name}={value}")).collect();
    for synapse in root.children() {
        let Some(action) = synapse.child("action_set").and_then(|set| set.children().next()) else {
            continue;
        };
        let key = name(action);
        lines.push(format!("{key} priority={}", synapse.attr("priority").unwrap_or("0")));
        for part in action.children() {
            let part_name = part.name();
            lines.extend(part.attrs().map(|(name, value)| format!("{key} {part_name} {name}={value}")));
            let inner = part.children().map(|inner| attributes(inner, &[]));
            lines.extend(inner.map(|inner| format!("{key} {part_name} [{inner}]")));
        }
        let inputs = synapse.children_named("inputs").flat_map(Element::children).flat_map(Element::children);
        lines.extend(inputs.map(|input| format!("{key} AFTER {}", name(input))));
    }
    lines.sort();
    lines
}

fn name(action: &Element) -> String {
    format!("{} {}", action.name(), attributes(action, &["id"]))
}

/// Attributes by name.
fn attributes(e: &Element, without: &[&str]) -> String {
    let mut list: Vec<String> = e
        .attrs()
        .filter(|(name, _)| !without.contains(name))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    list.sort();
    list.join(" ")
}
