//! Runs the deterministic simulator over a range of seeds.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use ccm::sabotage;
use everbeat_tests::sim::{Profile, Settings, Summary, run, run_shrunk};

const USAGE: &str = "usage: everbeat-simulate --seeds A..B [--nodes N] [--profile calm|stormy|hostile] \
[--minutes M | --seconds S] [--sabotage RULE] [--no-shrink]

  --seeds A..B    seeds to run, B not included
  --nodes N       machines in the cluster; default: 3 to 7 by the seed
  --profile P     weather; default: by the seed
  --minutes M     simulated time with faults; default 2
  --sabotage RULE take one rule of the protocol out; the run then succeeds when a violation is found";

struct Arguments {
    from: u64,
    to: u64,
    nodes: Option<usize>,
    profile: Option<Profile>,
    span: Duration,
    sabotage: Option<sabotage::Rule>,
    shrink: bool,
}

fn parse() -> Result<Arguments, String> {
    let mut a = Arguments {
        from: 0,
        to: 0,
        nodes: None,
        profile: None,
        span: Duration::from_secs(120),
        sabotage: None,
        shrink: true,
    };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        if word == "--no-shrink" {
            a.shrink = false;
            continue;
        }
        let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
        let number = || value.parse::<u64>().map_err(|_| format!("{word}: \"{value}\" is not a number"));
        match word.as_str() {
            "--seeds" => {
                let bad = || format!("--seeds: \"{value}\" is not a range like 0..100");
                let (from, to) = value.split_once("..").ok_or_else(bad)?;
                (a.from, a.to) = (from.parse().map_err(|_| bad())?, to.parse().map_err(|_| bad())?);
            }
            "--nodes" => {
                let n = usize::try_from(number()?).unwrap_or(0);
                if !(1..=64).contains(&n) {
                    return Err(format!("--nodes: {n} is not between 1 and 64"));
                }
                a.nodes = Some(n);
            }
            "--profile" => a.profile = Some(value.parse()?),
            "--minutes" => a.span = Duration::from_secs(number()? * 60),
            "--seconds" => a.span = Duration::from_secs(number()?),
            "--sabotage" => {
                let rule = sabotage::ALL.iter().find(|(_, name)| *name == value).map(|(rule, _)| *rule);
                let names: Vec<&str> = sabotage::ALL.iter().map(|(_, n)| *n).collect();
                a.sabotage = Some(rule.ok_or_else(|| format!("--sabotage: one of {}", names.join(", ")))?);
            }
            _ => return Err(format!("{word} is not an option")),
        }
    }
    if a.to <= a.from {
        return Err("--seeds A..B is needed, with A below B".into());
    }
    Ok(a)
}

#[cfg(feature = "sabotage")]
fn take_out(rule: Option<sabotage::Rule>) -> Result<(), String> {
    sabotage::take_out(rule);
    Ok(())
}

#[cfg(not(feature = "sabotage"))]
fn take_out(rule: Option<sabotage::Rule>) -> Result<(), String> {
    match rule {
        None => Ok(()),
        Some(_) => Err("built without the feature \"sabotage\"".into()),
    }
}

fn main() -> ExitCode {
    let arguments = match parse().and_then(|a| take_out(a.sabotage).map(|()| a)) {
        Ok(a) => a,
        Err(error) => {
            eprintln!("everbeat-simulate: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    let mut total = Summary::default();
    let started = Instant::now();
    for seed in arguments.from..arguments.to {
        let settings = Settings {
            seed,
            nodes: arguments.nodes.unwrap_or(3 + usize::try_from(seed % 5).unwrap_or(0)),
            profile: arguments.profile.unwrap_or(Profile::ALL[usize::try_from(seed / 5 % 3).unwrap_or(0)]),
            span: arguments.span,
        };
        let result = if arguments.shrink && arguments.sabotage.is_none() {
            run_shrunk(settings)
        } else {
            run(settings)
        };
        match result {
            Ok(summary) => total.add(&summary),
            Err(failure) => {
                eprintln!();
                if arguments.sabotage.is_some() {
                    println!(
                        "caught at seed {seed}, {} of {}: {}",
                        seed - arguments.from + 1,
                        arguments.to - arguments.from,
                        failure.violation
                    );
                    return ExitCode::SUCCESS;
                }
                println!("{failure}");
                return ExitCode::FAILURE;
            }
        }
        if std::io::stderr().is_terminal() {
            let done = seed + 1 - arguments.from;
            let all = arguments.to - arguments.from;
            let bar = "#".repeat(usize::try_from(done * 40 / all).unwrap_or(40));
            eprint!("\r[{bar:40}] {done}/{all}");
            // Progress is not worth a failure.
            let _ = std::io::stderr().flush();
        }
    }
    eprintln!();
    let real = started.elapsed();
    println!(
        "{} seeds, {:.0} simulated seconds in {:.1} s ({:.0} times real time), {} events, no violation",
        arguments.to - arguments.from,
        total.time.as_secs_f64(),
        real.as_secs_f64(),
        total.time.as_secs_f64() / real.as_secs_f64().max(0.001),
        total.events
    );
    for (what, n) in &total.reached {
        println!("  {n:9} {what}");
    }
    if arguments.sabotage.is_some() {
        println!("not caught");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
