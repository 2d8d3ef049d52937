//! `crm_simulate` (and `ptest`, its old name): what would the cluster do?

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::Instant;

use cib::Cib;
use clap::Parser;
use crm_core::policy::render::xml;
use crm_core::policy::simulator::{self, Injections, Options};

use crate::exit;
use crate::source::{Source, replace_file};

/// Show what the cluster would do: now, or after changes that you name.
#[derive(Parser)]
#[command(name = "crm_simulate", disable_version_flag = true)]
struct Arguments {
    /// Plan, without pretending to execute.
    #[arg(short = 'R', long)]
    run: bool,
    /// Plan, pretend to execute, show the state that follows.
    #[arg(short = 'S', long)]
    simulate: bool,
    /// Like --simulate, and write the state that follows to --xml-file.
    #[arg(short = 'X', long)]
    in_place: bool,
    /// Allocation scores.
    #[arg(short = 's', long)]
    show_scores: bool,
    /// Utilization.
    #[arg(short = 'U', long)]
    show_utilization: bool,
    /// Node attributes.
    #[arg(short = 'A', long)]
    show_attrs: bool,
    /// Fail counts.
    #[arg(short = 'c', long)]
    show_failcounts: bool,
    /// Only what was asked for.
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// The running cluster's configuration (the default).
    #[arg(short = 'L', long)]
    live_check: bool,
    /// The configuration in this file.
    #[arg(short = 'x', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// The configuration on standard input.
    #[arg(short = 'p', long)]
    xml_pipe: bool,
    /// Time and plan every file of this directory.
    #[arg(short = 'P', long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// With --profile: how often each file is planned.
    #[arg(short = 'N', long, default_value_t = 1)]
    repeat: u32,
    /// Pretend that it is this moment.
    #[arg(short = 't', long, value_name = "ISO8601")]
    set_datetime: Option<String>,
    /// Bring a node online.
    #[arg(short = 'u', long)]
    node_up: Vec<String>,
    /// Take a node offline.
    #[arg(short = 'd', long)]
    node_down: Vec<String>,
    /// Mark a node as failed.
    #[arg(short = 'f', long)]
    node_fail: Vec<String>,
    /// Inject RSC_TASK_INTERVALMS@NODE=RC[,EXECUTION] into the input.
    #[arg(short = 'i', long)]
    op_inject: Vec<String>,
    /// Let this action fail: RSC_TASK_INTERVALMS[@NODE]=RC.
    #[arg(short = 'F', long)]
    op_fail: Vec<String>,
    /// Quorum: true or false.
    #[arg(short = 'q', long)]
    quorum: Option<String>,
    /// Watchdog: true or false.
    #[arg(short = 'w', long)]
    watchdog: Option<String>,
    /// Grant a ticket.
    #[arg(short = 'g', long)]
    ticket_grant: Vec<String>,
    /// Revoke a ticket.
    #[arg(short = 'r', long)]
    ticket_revoke: Vec<String>,
    /// Put a ticket in standby.
    #[arg(short = 'b', long)]
    ticket_standby: Vec<String>,
    /// Activate a ticket.
    #[arg(short = 'e', long)]
    ticket_activate: Vec<String>,
    /// Write the input, after injections, to this file.
    #[arg(short = 'I', long, value_name = "FILE")]
    save_input: Option<PathBuf>,
    /// Write the configuration that follows to this file.
    #[arg(short = 'O', long, value_name = "FILE")]
    save_output: Option<PathBuf>,
    /// Write the transition graph to this file.
    #[arg(short = 'G', long, value_name = "FILE")]
    save_graph: Option<PathBuf>,
    /// Write the transition graph in the language of Graphviz to this file.
    #[arg(short = 'D', long, value_name = "FILE")]
    save_dotfile: Option<PathBuf>,
    /// In the drawing: actions that are not needed, too.
    #[arg(short = 'a', long)]
    all_actions: bool,
    /// The form of what is printed: text or xml.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_as: String,
    /// Print to this file; - is standard output.
    #[arg(long, value_name = "DEST", default_value = "-")]
    output_to: PathBuf,
    /// More; with --save-dotfile the numbers of actions.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Message and exit status.
type Failure = (String, u8);

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let request = request(name, &arguments);
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if !matches!(arguments.output_as.as_str(), "text" | "xml") {
        eprintln!("{name}: \"{}\" is no output format here: expected text or xml", arguments.output_as);
        return exit::NOSUCH;
    }
    let result = match &arguments.profile {
        Some(dir) => profile(dir, arguments.repeat),
        None => simulate(&arguments, &request),
    };
    result.unwrap_or_else(|(text, status)| {
        eprintln!("{name}: {text}");
        status
    })
}

/// The command line as it was typed.
fn request(name: &str, arguments: &[OsString]) -> String {
    let words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name.to_owned()).chain(words).collect::<Vec<_>>().join(" ")
}

fn print(arguments: &Arguments, text: &str) -> Result<(), Failure> {
    if arguments.output_to.as_os_str() == "-" {
        print!("{text}");
        return Ok(());
    }
    let file = &arguments.output_to;
    fs::write(file, text).map_err(|error| (format!("{}: {error}", file.display()), exit::CANTCREATE))
}

fn simulate(arguments: &Arguments, request: &str) -> Result<u8, Failure> {
    let cib = read(arguments)?;
    let situation = crate::view::situation();
    let out = simulator::run(&cib, &options(arguments), situation.now, situation.utc_offset);
    eprint!("{}", out.notes);
    if arguments.output_as == "xml" {
        let message = if out.code == 0 { "OK" } else { "Error occurred" };
        print(arguments, &xml::document(request, out.sections, out.code, message, &out.stderr))?;
    } else {
        print(arguments, &out.stdout)?;
        eprint!("{}", out.stderr);
    }
    let in_place = arguments.xml_file.as_ref().filter(|_| arguments.in_place);
    let xml = |cib: &Option<Cib>| cib.as_ref().map(|cib| cib.root().to_xml());
    for (file, text) in [
        (arguments.save_dotfile.as_ref(), out.dot.clone()),
        (arguments.save_graph.as_ref(), out.graph.clone()),
        (arguments.save_input.as_ref(), xml(&out.input)),
        (arguments.save_output.as_ref(), xml(&out.cib)),
        (in_place, xml(&out.cib)),
    ] {
        if let (Some(file), Some(text)) = (file, text) {
            replace_file(file, text.as_bytes())
                .map_err(|error| (format!("{}: {error}", file.display()), exit::CANTCREATE))?;
        }
    }
    Ok(u8::try_from(out.code).unwrap_or(exit::ERROR))
}

fn read(arguments: &Arguments) -> Result<Cib, Failure> {
    let (place, text) = if let Some(file) = &arguments.xml_file {
        let place = file.display().to_string();
        let text = fs::read_to_string(file).map_err(|error| (format!("{place}: {error}"), exit::NOSUCH))?;
        (place, text)
    } else if arguments.xml_pipe {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|error| (format!("standard input: {error}"), exit::IO))?;
        ("(standard input)".into(), text)
    } else {
        let found = Source::open("crm_simulate").and_then(|mut source| source.cib());
        return found.map_err(|error| (error.to_string(), error.exit()));
    };
    let cib = Cib::parse(&text).map_err(|error| (format!("{place}:{error}"), exit::DATA))?;
    Ok(upgraded(cib))
}

/// A document in the Heartbeat 2.x dialect is planned in the modern one.
fn upgraded(cib: Cib) -> Cib {
    if !cib::dialect::is_heartbeat_2(cib.root()) {
        return cib;
    }
    let modern = cib::dialect::upgrade(cib.root()).ok().and_then(|done| Cib::from_root(done.root).ok());
    modern.unwrap_or(cib)
}

fn options(arguments: &Arguments) -> Options {
    let words = |list: &[String]| list.to_vec();
    Options {
        run: arguments.run,
        simulate: arguments.simulate || arguments.in_place,
        show_attributes: arguments.show_attrs,
        show_fail_counts: arguments.show_failcounts,
        scores: arguments.show_scores,
        utilization: arguments.show_utilization,
        quiet: arguments.quiet,
        xml: arguments.output_as == "xml",
        date: arguments.set_datetime.clone(),
        injections: Injections {
            operations: words(&arguments.op_inject),
            up: words(&arguments.node_up),
            down: words(&arguments.node_down),
            fail: words(&arguments.node_fail),
            quorum: arguments.quorum.clone(),
            watchdog: arguments.watchdog.clone(),
            grant: words(&arguments.ticket_grant),
            revoke: words(&arguments.ticket_revoke),
            standby: words(&arguments.ticket_standby),
            activate: words(&arguments.ticket_activate),
        },
        failures: words(&arguments.op_fail),
        dot: arguments.save_dotfile.is_some(),
        dot_all: arguments.all_actions,
        dot_ids: arguments.verbose > 0,
        graph: arguments.save_graph.is_some(),
    }
}

/// Plans every CIB of a directory and says how long it took.
fn profile(dir: &PathBuf, repeat: u32) -> Result<u8, Failure> {
    let failed = |error: std::io::Error| (format!("{}: {error}", dir.display()), exit::NOSUCH);
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
    }
    files.sort();
    let situation = crate::view::situation();
    let options = Options { run: true, quiet: true, ..Options::default() };
    for file in files {
        let text = fs::read_to_string(&file).map_err(failed)?;
        let cib = match Cib::parse(&text) {
            Ok(cib) => upgraded(cib),
            Err(error) => {
                eprintln!("crm_simulate: {}:{error}", file.display());
                continue;
            }
        };
        let began = Instant::now();
        for _ in 0..repeat {
            simulator::run(&cib, &options, situation.now, situation.utc_offset);
        }
        println!("* Testing {} ... {:.2} secs", file.display(), began.elapsed().as_secs_f64());
    }
    Ok(exit::OK)
}
