//! How long the survivors of a power failure are without a view, and how long a healed cluster takes to be
//! one again: real daemons on namespace hosts, times from their own logs.
//!
//! `cargo build --release -p tools && sudo EVERBEAT_BIN=target/release/everbeat
//! cargo run --release -p everbeat-tests --bin view-figures [loss|parts NODES RUNS]`

use std::time::{Duration, SystemTime};

use everbeat_tests::fleet::{Fleet, seconds_of_day, view_of};
use everbeat_tests::hosts::LabError;
use everbeat_tests::need;

/// One machine runs all hosts: the start is given time.
const TIMES: &str = "keepalive 100ms\ndeadtime 1\ninitdead 20";
const DEADTIME: f64 = 1.0;
const LIMIT: Duration = Duration::from_secs(120);

fn main() -> Result<(), LabError> {
    if !need::root_and("view-figures", &["ip", "bridge", "nft", "unshare", "nsenter", "setpriv"]) {
        return Ok(());
    }
    let words: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| words.get(at).and_then(|word| word.parse::<usize>().ok());
    match (words.first().map(String::as_str), number(1), number(2)) {
        (None, ..) => {
            loss(3, 7)?;
            parts(3, 5)?;
            loss(16, 5)
        }
        (Some("loss"), Some(nodes @ 2..=64), Some(runs @ 1..)) => loss(nodes, runs),
        (Some("parts"), Some(nodes @ 3..=64), Some(runs @ 1..)) => parts(nodes, runs),
        _ => {
            eprintln!("usage: view-figures [loss|parts NODES RUNS], 2 (parts: 3) to 64 nodes");
            std::process::exit(64);
        }
    }
}

/// Power failures: from "not heard any more" at the first survivor to the view at the last.
fn loss(nodes: usize, runs: usize) -> Result<(), LabError> {
    let names: Vec<String> = (1..=nodes).map(|number| format!("n{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut fleet = up(&names)?;
    let mut took = Vec::new();
    for run in 1..=runs {
        // In turn the DC, the node that proposes first without it, and others.
        let victim = names.get((run - 1) % names.len()).copied().unwrap_or_default();
        let dc = fleet.everbeat(victim, "crmadmin -q -D 2>&1")?;
        let left: Vec<&str> = names.iter().copied().filter(|name| *name != victim).collect();
        let from = seconds_of_day(SystemTime::now());
        fleet.lab.power_off(victim)?;
        let (mut first, mut last) = (f64::MAX, 0.0f64);
        let mut each = Vec::new();
        for host in &left {
            let view = fleet.will_say(host, from, LIMIT, |line| view_of(line, &left))?;
            last = last.max(view);
            let lost = [format!("{victim} is not heard both ways"), format!("node {victim}: is dead")];
            let dead = fleet.said(host, from, |line| lost.iter().any(|words| line.contains(words)));
            first = first.min(dead.unwrap_or(f64::MAX));
            each.push((*host, dead, view));
        }
        let after = (last - first) * 1000.0;
        println!(
            "loss, {nodes} nodes, run {run}: {victim}{} given up {:.0} ms after the power failure; view at all {after:.1} ms later",
            if dc.trim() == victim { " (DC)" } else { "" },
            (first - from) * 1000.0
        );
        if after > 50.0 {
            for (host, dead, view) in each {
                let ms = |at: f64| (at - first) * 1000.0;
                let dead = dead.map_or("never".to_owned(), |at| format!("after {:.1} ms", ms(at)));
                println!("  {host}: given up {dead}, view after {:.1} ms", ms(view));
            }
        }
        took.push(after);
        fleet.reboot(victim)?;
        all_in(&fleet, &names)?;
    }
    summary(&format!("node dead at the first → view at all {} survivors", nodes - 1), took, "ms");
    Ok(())
}

/// Three parts and back: from the cable to the one view at all.
fn parts(nodes: usize, runs: usize) -> Result<(), LabError> {
    let names: Vec<String> = (1..=nodes).map(|number| format!("n{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let third = nodes.div_ceil(3);
    let thirds: Vec<&[&str]> = names.chunks(third).collect();
    let fleet = up(&names)?;
    let mut took = Vec::new();
    for run in 1..=runs {
        let from = seconds_of_day(SystemTime::now());
        fleet.lab.part(&thirds)?;
        for part in &thirds {
            for host in *part {
                fleet.will_say(host, from, LIMIT, |line| view_of(line, part))?;
            }
        }
        // Long enough for them to be settled, and not to count as flapping.
        std::thread::sleep(Duration::from_secs(5));
        let from = seconds_of_day(SystemTime::now());
        fleet.lab.cut(&[])?;
        let mut last = 0.0f64;
        for host in &names {
            last = last.max(fleet.will_say(host, from, LIMIT, |line| view_of(line, &names))?);
        }
        println!(
            "parts, {nodes} nodes, run {run}: one view {:.2} dead times after healing",
            (last - from) / DEADTIME
        );
        took.push((last - from) / DEADTIME);
        std::thread::sleep(Duration::from_secs(5));
    }
    summary("three parts healed → one view at all", took, "dead times");
    Ok(())
}

fn up(names: &[&str]) -> Result<Fleet, LabError> {
    let fleet = Fleet::start(names, TIMES)?;
    all_in(&fleet, names)?;
    Ok(fleet)
}

/// All are in one view, and a dead time has passed in it.
fn all_in(fleet: &Fleet, names: &[&str]) -> Result<(), LabError> {
    for host in names {
        fleet.members(host, names, LIMIT)?;
    }
    std::thread::sleep(Duration::from_secs(3));
    Ok(())
}

fn summary(what: &str, mut values: Vec<f64>, unit: &str) {
    values.sort_by(f64::total_cmp);
    let at = |index: usize| values.get(index).copied().unwrap_or_default();
    println!(
        "{what}: median {:.1} {unit} ({:.1} to {:.1}, {} runs, deadtime {DEADTIME} s)",
        at(values.len() / 2),
        at(0),
        at(values.len().saturating_sub(1)),
        values.len()
    );
}
