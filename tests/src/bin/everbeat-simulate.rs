//! Runs the deterministic simulator over a range of seeds, on all processors.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ccm::sabotage;
use everbeat_tests::sim::Summary;
use everbeat_tests::sim::campaign::Campaign;

const USAGE: &str = "usage: everbeat-simulate --seeds A..B [--nodes N] [--profile calm|stormy|hostile] \
[--world agreement|whole] [--minutes M | --seconds S] [--threads T] [--no-shrink] [--no-coverage] \
[--sabotage RULE|all]

  --seeds A..B    seeds to run, B not included
  --nodes N       machines in the cluster; default: 3 to 7 by the seed
  --profile P     weather; default: by the seed
  --world W       agreement: link and group; whole: the core of each node, agents, a fencing device;
                  default: agreement
  --minutes M     simulated time with faults; default 2
  --threads T     seeds at a time; default: one for each processor
  --no-shrink     do not look for the shortest prefix of faults that still fails
  --no-coverage   do not fail because something was never tried
  --sabotage RULE take one rule of the protocol out; the run then succeeds when a violation is found;
                  all: each of them in turn, with a table at the end";

struct Arguments {
    campaign: Campaign,
    sabotage: Vec<(sabotage::Rule, &'static str)>,
    all: bool,
    coverage: bool,
}

fn parse() -> Result<Arguments, String> {
    let mut a = Arguments { campaign: Campaign::new(0, 0), sabotage: Vec::new(), all: false, coverage: true };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--no-shrink" => {
                a.campaign.shrink = false;
                continue;
            }
            "--no-coverage" => {
                a.coverage = false;
                continue;
            }
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            _ => {}
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: \"{value}\" is not a number"));
        match word.as_str() {
            "--seeds" => {
                let bad = || format!("--seeds: \"{value}\" is not a range like 0..100");
                let (from, to) = value.split_once("..").ok_or_else(bad)?;
                a.campaign.from = from.parse().map_err(|_| bad())?;
                a.campaign.to = to.parse().map_err(|_| bad())?;
            }
            "--nodes" => {
                let n = usize::try_from(number()?).unwrap_or(0);
                if !(1..=64).contains(&n) {
                    return Err(format!("--nodes: {n} is not between 1 and 64"));
                }
                a.campaign.nodes = Some(n);
            }
            "--threads" => a.campaign.threads = usize::try_from(number()?).unwrap_or(1),
            "--profile" => a.campaign.profile = Some(value.parse()?),
            "--world" => a.campaign.world = Some(value.parse()?),
            "--minutes" => a.campaign.span = Duration::from_secs(number()? * 60),
            "--seconds" => a.campaign.span = Duration::from_secs(number()?),
            "--sabotage" if value == "all" => {
                a.sabotage = sabotage::ALL.to_vec();
                a.all = true;
            }
            "--sabotage" => {
                let rule = sabotage::ALL.iter().find(|(_, name)| *name == value).copied();
                let names: Vec<&str> = sabotage::ALL.iter().map(|(_, n)| *n).collect();
                a.sabotage =
                    vec![rule.ok_or_else(|| format!("--sabotage: all or one of {}", names.join(", ")))?];
            }
            _ => return Err(format!("{word} is not an option")),
        }
    }
    if a.campaign.to <= a.campaign.from {
        return Err("--seeds A..B is needed, with A below B".into());
    }
    if !a.sabotage.is_empty() && cfg!(not(feature = "sabotage")) {
        return Err("built without the feature \"sabotage\"".into());
    }
    Ok(a)
}

#[cfg(feature = "sabotage")]
fn take_out(rule: Option<sabotage::Rule>) {
    sabotage::take_out(rule);
}

#[cfg(not(feature = "sabotage"))]
fn take_out(_: Option<sabotage::Rule>) {}

fn bar(campaign: &Campaign) -> impl Fn(u64) + Sync + use<> {
    let all = (campaign.to - campaign.from).max(1);
    let shown = std::io::stderr().is_terminal();
    let began = Instant::now();
    let said = AtomicU64::new(0);
    move |done| {
        let minutes = began.elapsed().as_secs() / 60;
        if !shown {
            // In a log, a line a minute.
            if said.fetch_max(minutes, Ordering::Relaxed) < minutes {
                eprintln!("{done} of {all} seeds after {minutes} min");
            }
        } else {
            let bar = "#".repeat(usize::try_from(done * 40 / all).unwrap_or(40));
            eprint!("\r[{bar:40}] {done}/{all} {:.0} s ", began.elapsed().as_secs_f64());
            // Progress is not worth a failure.
            let _ = std::io::stderr().flush();
        }
    }
}

/// Each rule taken out in turn: whether its absence is noticed, by what, and after how many seeds.
fn without(arguments: &Arguments) -> ExitCode {
    let mut campaign = arguments.campaign.clone();
    campaign.shrink = false;
    let mut caught = 0;
    for (rule, name) in &arguments.sabotage {
        take_out(Some(*rule));
        let began = Instant::now();
        let result = campaign.run(&|_| {});
        let took = began.elapsed().as_secs_f64();
        match result {
            Err(failure) => {
                caught += 1;
                let seeds = failure.settings.seed - campaign.from + 1;
                println!("{name:20} caught after {seeds:3} seeds ({took:.1} s): {}", failure.violation);
            }
            Ok(summary) => println!("{name:20} not caught in {} seeds ({took:.1} s)", summary.runs),
        }
    }
    take_out(None);
    let all = arguments.sabotage.len();
    println!("{caught} of {all} caught");
    // Some rules are kept by argument: nobody has found a history that needs them.
    let needed = if arguments.all { NEEDED } else { 1 };
    if caught >= needed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// So many rules must be missed when they are taken out.
const NEEDED: usize = 8;

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(a) => a,
        Err(error) => {
            eprintln!("everbeat-simulate: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    if !arguments.sabotage.is_empty() {
        return without(&arguments);
    }
    let campaign = &arguments.campaign;
    let began = Instant::now();
    let result = campaign.run(&bar(campaign));
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    match result {
        Ok(total) => {
            let missing = if arguments.coverage { campaign.untried(&total) } else { Vec::new() };
            let mut text = report(campaign, &total, began.elapsed());
            for what in &missing {
                text += &format!("never tried: {what}\n");
            }
            // Who closes the pipe has read enough.
            let _ = std::io::stdout().write_all(text.as_bytes());
            if missing.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(failure) => {
            println!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn report(campaign: &Campaign, total: &Summary, real: Duration) -> String {
    let times = total.time.as_secs_f64() / real.as_secs_f64().max(0.001);
    let mut text = format!(
        "{} seeds, {:.0} simulated seconds in {:.1} s on {} threads ({times:.0} times real time, {:.0} per thread), \
         {} events, no violation\n",
        total.runs,
        total.time.as_secs_f64(),
        real.as_secs_f64(),
        campaign.threads,
        times / campaign.threads.max(1) as f64,
        total.events
    );
    for (what, n) in &total.reached {
        text += &format!("  {n:9} {what}\n");
    }
    text
}
