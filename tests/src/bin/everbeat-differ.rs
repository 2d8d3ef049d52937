//! Plans seeded CIBs with ours and with Debian's crm_simulate, and says where they differ.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cib::Element;
use everbeat_tests::differ::compare::{Verdict, compare};
use everbeat_tests::differ::coverage::ENOUGH;
use everbeat_tests::differ::reference::Reference;
use everbeat_tests::differ::session::{Report, Session};
use everbeat_tests::differ::{generate, shrink};

const USAGE: &str = "usage: everbeat-differ --seeds A..B [--keep DIR] [--no-shrink] [--coverage]
       everbeat-differ --file CIB [--keep DIR]
       everbeat-differ --print SEED

  --seeds A..B  seeds to run, B not included
  --keep DIR    where CIBs that differ go, whole and shrunk
  --no-shrink   do not make them smaller
  --coverage    count all that was met, not only what is wanted
  --file CIB    compare this one
  --print SEED  the CIB of a seed";

#[derive(Default)]
struct Arguments {
    seeds: Option<std::ops::Range<u64>>,
    keep: Option<PathBuf>,
    no_shrink: bool,
    coverage: bool,
    file: Option<PathBuf>,
    print: Option<u64>,
}

fn parse() -> Result<Arguments, String> {
    let mut a = Arguments::default();
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--help" | "-h" => {
                println!("{USAGE}");
                std::process::exit(0);
            }
            "--no-shrink" => a.no_shrink = true,
            "--coverage" => a.coverage = true,
            "--seeds" | "--keep" | "--file" | "--print" => {
                let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
                let number =
                    |text: &str| text.parse().map_err(|_| format!("{word}: \"{text}\" is not a number"));
                match word.as_str() {
                    "--seeds" => {
                        let parts = value.split_once("..");
                        let (from, to) =
                            parts.ok_or(format!("--seeds: \"{value}\" is not a range like 0..100"))?;
                        a.seeds = Some(number(from)?..number(to)?);
                    }
                    "--keep" => a.keep = Some(value.into()),
                    "--file" => a.file = Some(value.into()),
                    _ => a.print = Some(number(&value)?),
                }
            }
            _ => return Err(format!("{word} is not an option")),
        }
    }
    Ok(a)
}

fn main() -> ExitCode {
    let arguments = match parse() {
        Ok(a) => a,
        Err(error) => {
            eprintln!("everbeat-differ: {error}\n{USAGE}");
            return ExitCode::from(64);
        }
    };
    if let Some(seed) = arguments.print {
        println!("{}", generate(seed).to_xml());
        return ExitCode::SUCCESS;
    }
    if let Some(file) = &arguments.file {
        return one_file(file, arguments.keep.as_ref()).unwrap_or_else(|error| {
            eprintln!("everbeat-differ: {error}");
            ExitCode::FAILURE
        });
    }
    let Some(seeds) = arguments.seeds else {
        eprintln!("{USAGE}");
        return ExitCode::from(64);
    };
    let session = Session {
        seeds: seeds.clone(),
        keep: arguments.keep,
        shrink: !arguments.no_shrink,
        shrink_at_most: 60,
    };
    let began = Instant::now();
    let report = session.run();
    show(&report, arguments.coverage);
    let missing = report.coverage.missing();
    println!(
        "{} seeds in {:.0} s: {} agree, {} differ, {} not planned by the reference",
        seeds.end - seeds.start,
        began.elapsed().as_secs_f64(),
        report.agreed,
        report.differences.len(),
        report.not_planned.values().map(Vec::len).sum::<usize>(),
    );
    for what in &missing {
        println!("never reached: {what}");
    }
    let covered = missing.is_empty() || seeds.end - seeds.start < ENOUGH;
    let fine = report.differences.is_empty() && report.errors.is_empty() && covered;
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn show(report: &Report, all: bool) {
    for difference in report.differences.values() {
        println!("seed {} differs\n{}", difference.seed, difference.text);
    }
    for (why, seeds) in &report.not_planned {
        println!("{why}: {} seeds, such as {:?}", seeds.len(), seeds.iter().take(5).collect::<Vec<_>>());
    }
    for error in &report.errors {
        println!("error: {error}");
    }
    if all {
        report.coverage.seen().for_each(|(what, n)| println!("{n:7} {what}"));
    } else {
        report.coverage.counts().into_iter().for_each(|(what, n)| println!("{n:7} {what}"));
    }
}

fn one_file(file: &PathBuf, keep: Option<&PathBuf>) -> Result<ExitCode, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let root = Element::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?;
    let reference = Reference::new().map_err(|error| error.to_string())?;
    let verdict = compare(&reference, &root)?;
    match &verdict {
        Verdict::Agree(_) => {
            println!("agree");
            return Ok(ExitCode::SUCCESS);
        }
        Verdict::NotPlanned(why, text) => println!("{why}: {text}"),
        Verdict::Differ(levels, _) => {
            for (level, lines) in levels {
                println!("{}:\n{lines}", level.name());
            }
            if let Some(folder) = keep {
                let small = shrink::shrink(&reference, &root, levels);
                let name = folder.join("small.xml");
                std::fs::write(&name, small.to_xml())
                    .map_err(|error| format!("{}: {error}", name.display()))?;
            }
        }
    }
    Ok(ExitCode::FAILURE)
}
