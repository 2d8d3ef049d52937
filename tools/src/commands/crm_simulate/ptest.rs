//! `ptest`, as Heartbeat 2.1.3 and Pacemaker 1.0 had it: other letters for the same.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;

use crate::exit;

/// Show what the cluster would do (the old name of crm_simulate).
#[derive(Parser)]
#[command(name = "ptest", disable_version_flag = true)]
struct Ptest {
    /// The running cluster's configuration.
    #[arg(short = 'L', long)]
    live_check: bool,
    /// The configuration on standard input.
    #[arg(short = 'x', long)]
    xml_stream: bool,
    /// The configuration in this file, which may be compressed with bzip2.
    #[arg(short = 'X', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// Pretend to execute, and show the state that follows.
    #[arg(short = 'S', long)]
    simulate: bool,
    /// Allocation scores.
    #[arg(short = 's', long)]
    show_scores: bool,
    /// Write the transition graph to this file; - is standard output.
    #[arg(short = 'G', long, value_name = "FILE")]
    save_graph: Option<PathBuf>,
    /// Write the transition graph in the language of Graphviz to this file; - is standard output.
    #[arg(short = 'D', long, value_name = "FILE")]
    save_dotfile: Option<PathBuf>,
    /// Write the input to this file; - is standard output.
    #[arg(short = 'I', long, value_name = "FILE")]
    save_input: Option<PathBuf>,
    /// In the drawing: actions that are not needed, too.
    #[arg(short = 'a')]
    all_actions: bool,
    /// Pretend that it is this moment.
    #[arg(short = 'd', value_name = "ISO8601")]
    date: Option<String>,
    /// Accepted for old scripts; nothing waits.
    #[arg(short = 'w')]
    wait: bool,
    /// More.
    #[arg(short = 'V', action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Runs `ptest`: its options as those of `crm_simulate`, and its exit statuses.
pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let request = super::request(name, &arguments);
    let asked = match crate::commands::parse::<Ptest>(name, arguments) {
        Ok(asked) => asked,
        Err(status) if status == exit::OK => return status,
        Err(_) => return 1,
    };
    let mut words: Vec<OsString> = vec!["--run".into()];
    match (&asked.xml_file, asked.xml_stream, asked.live_check) {
        (Some(file), _, _) => words.extend(["--xml-file".into(), file.into()]),
        (None, true, _) => words.push("--xml-pipe".into()),
        (None, false, true) => words.push("--live-check".into()),
        (None, false, false) => {
            eprintln!("Not configuration specified");
            eprintln!("{name}: expected one of -L, -x and -X FILE");
            return 1;
        }
    }
    for (wanted, word) in [
        (asked.simulate, "-S"),
        (asked.show_scores, "-s"),
        (asked.all_actions, "-a"),
        (asked.verbose > 0, "-V"),
    ] {
        if wanted {
            words.push(word.into());
        }
    }
    for (file, word) in [
        (&asked.save_graph, "--save-graph"),
        (&asked.save_dotfile, "--save-dotfile"),
        (&asked.save_input, "--save-input"),
    ] {
        if let Some(file) = file {
            words.extend([word.into(), file.into()]);
        }
    }
    if let Some(date) = asked.date {
        words.extend(["--set-datetime".into(), date.into()]);
    }
    match super::super::parse::<super::Arguments>("crm_simulate", words) {
        Ok(arguments) => status(super::act(name, &arguments, &request)),
        Err(status) => status,
    }
}

/// What `ptest` answered for each of our exit statuses.
fn status(status: u8) -> u8 {
    match status {
        exit::ERROR => 5,
        exit::NOINPUT | exit::DISCONNECT => 3,
        exit::DATA | exit::BAD_CONFIG => 4,
        other => other,
    }
}
