//! `crm_simulate` (and `ptest`, its old name): what would the cluster do?

mod input;
mod profile;
mod ptest;

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use cib::Cib;
use clap::Parser;
use crm_core::policy::dates;
use crm_core::policy::render::xml;
use crm_core::policy::simulator::{self, Injections, Options};

use crate::exit;
use crate::source::{replace_file, shadow_from_environment};

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
    /// Like --simulate, and write the state that follows to --xml-file, or to the active shadow.
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
    /// The running cluster's configuration.
    #[arg(short = 'L', long, overrides_with_all = ["xml_file", "xml_pipe"])]
    live_check: bool,
    /// The configuration in this file.
    #[arg(short = 'x', long, value_name = "FILE", overrides_with_all = ["live_check", "xml_pipe"])]
    xml_file: Option<PathBuf>,
    /// The configuration on standard input (the default).
    #[arg(short = 'p', long, overrides_with_all = ["live_check", "xml_file"])]
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
    /// The form of what is printed: text, xml, or none.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_as: String,
    /// Titles and bullets also where scores are shown.
    #[arg(long)]
    text_fancy: bool,
    /// Print to this file; - is standard output.
    #[arg(long, value_name = "DEST", default_value = "-")]
    output_to: PathBuf,
    /// More; with --save-dotfile the numbers of actions.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Why nothing was planned: the exit status, and what is said about it.
struct Failure {
    status: u8,
    /// The last one is said in the name of the program.
    lines: Vec<String>,
}

impl Failure {
    fn new(status: u8, text: String) -> Self {
        Failure { status, lines: vec![text] }
    }

    fn tell(&self, name: &str) {
        if let Some((last, before)) = self.lines.split_last() {
            before.iter().for_each(|line| eprintln!("{line}"));
            eprintln!("{name}: {last}");
        }
    }
}

pub use ptest::run as run_ptest;

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let request = request(name, &arguments);
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    act(name, &arguments, &request)
}

fn act(name: &str, arguments: &Arguments, request: &str) -> u8 {
    if !matches!(arguments.output_as.as_str(), "text" | "xml" | "none") {
        eprintln!("{name}: \"{}\" is no output format here: expected text, xml or none", arguments.output_as);
        return exit::NOSUCH;
    }
    let result = match &arguments.profile {
        Some(dir) => profile::run(arguments, dir, request),
        None => simulate(arguments, request),
    };
    result.unwrap_or_else(|failure| {
        if arguments.output_as == "xml" {
            let code = failure.status.into();
            let document = xml::document(request, Vec::new(), code, exit::text(failure.status), "");
            let _ = print(arguments, &document);
        }
        failure.tell(name);
        failure.status
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
    fs::write(file, text).map_err(|error| cannot_create(file, &error))
}

fn cannot_create(file: &std::path::Path, error: &std::io::Error) -> Failure {
    Failure::new(exit::CANTCREATE, format!("{}: {error}", file.display()))
}

fn simulate(arguments: &Arguments, request: &str) -> Result<u8, Failure> {
    if arguments.in_place && arguments.xml_pipe && input_file(arguments).is_none() {
        let text =
            "--in-place: standard input cannot be written to; --save-output=FILE writes to a file".to_owned();
        return Err(Failure::new(exit::NOINPUT, text));
    }
    let cib = input::read(arguments)?;
    let situation = crate::view::situation();
    if let Some(text) = &arguments.set_datetime {
        let now = dates::Moment { epoch: situation.now, offset: situation.utc_offset };
        if dates::parse(text, now).is_none() {
            let text = format!("\"{text}\" is no moment like 2026-11-20 12:00:00Z");
            return Err(Failure::new(exit::USAGE, text));
        }
    }
    if let Some(text) = &arguments.quorum
        && crm_core::policy::values::parse_bool(text).is_none()
    {
        return Err(Failure::new(exit::USAGE, format!("--quorum: \"{text}\" is neither true nor false")));
    }
    let out = simulator::run(&cib, &options(arguments), situation.now, situation.utc_offset);
    eprint!("{}", out.notes);
    if arguments.output_as == "xml" {
        let message = exit::text(u8::try_from(out.code).unwrap_or(exit::ERROR));
        print(arguments, &xml::document(request, out.sections, out.code, message, &out.stderr))?;
    } else {
        if arguments.output_as == "text" {
            print(arguments, &out.stdout)?;
        }
        eprint!("{}", out.stderr);
    }
    let in_place = arguments.in_place.then(|| input_file(arguments)).flatten();
    for (file, what) in [
        (arguments.save_dotfile.as_ref(), out.dot.map(Saved::Text)),
        (arguments.save_graph.as_ref(), out.graph.map(Saved::Text)),
        (arguments.save_input.as_ref(), out.input.map(Saved::Document)),
        (arguments.save_output.as_ref(), out.cib.clone().map(Saved::Document)),
        (in_place.as_ref(), out.cib.map(Saved::Document)),
    ] {
        if let (Some(file), Some(what)) = (file, what) {
            let text = match what {
                Saved::Text(text) => text,
                Saved::Document(cib) => cib.root().to_xml(),
            };
            if file.as_os_str() == "-" {
                print!("{text}");
                continue;
            }
            replace_file(file, text.as_bytes()).map_err(|error| cannot_create(file, &error))?;
        }
    }
    Ok(u8::try_from(out.code).unwrap_or(exit::ERROR))
}

/// What may be wanted in a file; a document is printed only if it is.
enum Saved {
    Text(String),
    Document(Cib),
}

/// What --in-place writes to: the file that was given, else the shadow that is active.
fn input_file(arguments: &Arguments) -> Option<PathBuf> {
    arguments.xml_file.clone().or_else(shadow_from_environment)
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
        fancy: arguments.text_fancy,
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
