//! The commands and the names they answer to.

mod cib;
mod cibadmin;
mod cl_status;
mod classic_paths;
mod clients;
mod config;
mod constraints;
mod core;
mod crm_attribute;
mod crm_diff;
mod crm_mon;
mod crm_node;
mod crm_resource;
mod crm_shadow;
mod crm_simulate;
mod crm_verify;
mod crmadmin;
mod demo;
mod demo_web;
mod doctor;
mod explain;
mod files;
mod ha_logger;
mod ha_propagate;
mod haresources2cib;
mod heartbeat;
mod install_links;
mod keygen;
mod log_files;
mod nodes;
mod options;
mod start;
mod stonith_admin;
mod stonith_names;
mod stop;
mod what_if;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::exit;

/// What `main` calls: the arguments after the command's name; the result is the exit status.
type Run = fn(&str, Vec<OsString>) -> u8;

/// One command of the binary.
pub struct Command {
    /// The name typed after `everbeat`, or the name of the link.
    pub name: &'static str,
    /// Whether administrators know it as a program of its own: such a name gets a link.
    pub classic: bool,
    /// One line for `everbeat help`.
    pub about: &'static str,
    run: Run,
}

const fn ours(name: &'static str, about: &'static str, run: Run) -> Command {
    Command { name, classic: false, about, run }
}

const fn classic(name: &'static str, about: &'static str, run: Run) -> Command {
    Command { name, classic: true, about, run }
}

/// Every command, in the order `everbeat help` lists them. A new command is one file and one line.
#[rustfmt::skip]
pub const COMMANDS: &[Command] = &[
    ours("demo-web", "the server behind the agent ocf:everbeat:Web", demo_web::run),
    classic("cibadmin", "query and edit the configuration", cibadmin::run),
    classic("ha_logger", "write lines to the cluster's log", ha_logger::run),
    ours("cib", "documents that lost a merge; putting a document in force", cib::run),
    classic("cl_status", "heartbeat's view of nodes and links", cl_status::run),
    ours("config", "show or check the configuration files of this node", config::run),
    ours("demo", "three nodes on this machine, a service, a takeover", demo::run),
    ours("start", "start the cluster software on this node", start::run),
    ours("core", "the part that meets the network; started by `everbeat start`", core::run),
    ours("prepare-log", "make the log files; run by `everbeat start`", log_files::run),
    ours("stop", "stop it, resources first", stop::run),
    ours("options", "the cluster options: purpose, default, values", options::run),
    classic("crm_attribute", "query and change cluster options and node attributes", crm_attribute::run),
    classic("crm_diff", "compare configurations, or apply a difference", crm_diff::run),
    classic("crm_shadow", "try changes on a copy of the configuration", crm_shadow::run),
    classic("crm_simulate", "what would the cluster do?", crm_simulate::run),
    classic("ptest", "the old name of crm_simulate", crm_simulate::run_ptest),
    classic("crm_standby", "put a node in standby, or end that", crm_attribute::run_standby),
    classic("crm_resource", "where resources are; moving, cleaning and changing them", crm_resource::run),
    classic("crm_mon", "the state of the cluster, once or as it changes", crm_mon::run),
    classic("crm_node", "members, quorum, ids and names", crm_node::run),
    classic("crmadmin", "who is the DC, and what the controller does", crmadmin::run),
    classic("stonith_admin", "fence a node by hand; fencing devices and history", stonith_admin::run),
    classic("crm_verify", "check a configuration", crm_verify::run),
    ours("explain", "why is my resource (not) there?", explain::run),
    ours("constraints", "every constraint in words, and what is wrong with it", constraints::run),
    ours("what-if", "what would the cluster do if …?", what_if::run),
    ours("doctor", "examine this node and name what is wrong, with the remedy", doctor::run),
    classic("ha_propagate", "copy ha.cf and authkeys to every other node", ha_propagate::run),
    classic("hb_addnode", "add nodes to the running cluster", nodes::run_add),
    classic("hb_delnode", "take nodes out of the cluster", nodes::run_remove),
    classic("heartbeat", "the classic daemon's name: start, -k stop, -s status", heartbeat::run),
    classic("haresources2cib", "convert haresources into a CIB", haresources2cib::run),
    ours("install-links", "make links to this binary under the classic names", install_links::run),
    ours("keygen", "make a key for authkeys", keygen::run),
];

/// Finds the command by the name of the link or the first word and runs it.
pub fn dispatch(called_as: &OsStr, mut arguments: Vec<OsString>) -> u8 {
    let link = Path::new(called_as).file_name().and_then(OsStr::to_str).unwrap_or_default();
    // haresources2cib.py and such: an old runbook's name for the same command.
    let link = link.strip_suffix(".py").unwrap_or(link);
    if let Some(command) = COMMANDS.iter().find(|c| c.classic && c.name == link) {
        return (command.run)(command.name, arguments);
    }
    if arguments.is_empty() {
        print_help();
        return exit::USAGE;
    }
    let word = arguments.remove(0);
    let word = word.to_string_lossy();
    match word.as_ref() {
        "help" | "--help" | "-h" => {
            print_help();
            exit::OK
        }
        "version" | "--version" | "-V" => {
            println!("everbeat {}", env!("CARGO_PKG_VERSION"));
            exit::OK
        }
        _ => match COMMANDS.iter().find(|c| c.name == word) {
            Some(command) => (command.run)(command.name, arguments),
            None => {
                eprintln!("everbeat: unknown command {word:?}{}; see everbeat help", suggestion(&word));
                exit::USAGE
            }
        },
    }
}

fn suggestion(word: &str) -> String {
    let near = |c: &&Command| {
        let (a, b) = (c.name.replace('-', "_"), word.replace('-', "_"));
        a == b || a.starts_with(&b) || b.starts_with(&a)
    };
    COMMANDS.iter().find(near).map_or_else(String::new, |c| format!(" (did you mean {}?)", c.name))
}

fn print_help() {
    println!("Everbeat, a cluster resource manager.\n\nUsage: everbeat COMMAND [ARGUMENT...]\n\nCommands:");
    for command in COMMANDS {
        println!("  {:16} {}", command.name, command.about);
    }
    println!("\nClassic names also work as links to this binary: everbeat install-links DIR");
}

/// Parses the arguments of a command by its clap definition. `Err` is the exit status: help and
/// version have been printed and are 0, wrong usage has been explained and is 64.
pub fn parse<A: clap::Parser>(name: &str, arguments: Vec<OsString>) -> Result<A, u8> {
    let words = std::iter::once(OsString::from(name)).chain(arguments);
    let mut command = with_version(A::command(), name);
    let parsed = command.try_get_matches_from_mut(words).and_then(|mut matches| {
        A::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
    });
    parsed.map_err(|error| {
        let status = if error.use_stderr() { exit::USAGE } else { exit::OK };
        // A reader that has gone away is no failure of ours.
        let _ = error.print();
        status
    })
}

/// A classic command has `-$` and `--version`, unless it has words of its own for that.
fn with_version(command: clap::Command, name: &str) -> clap::Command {
    let classic = COMMANDS.iter().any(|known| known.classic && known.name == name);
    let own = command.get_arguments().any(|argument| argument.get_long() == Some("version"));
    if !classic || own {
        return command;
    }
    let argument = clap::Arg::new("software-version")
        .short('$')
        .long("version")
        .action(clap::ArgAction::Version)
        .help("Show the version");
    command
        .disable_version_flag(true)
        .version(concat!("(everbeat) ", env!("CARGO_PKG_VERSION")))
        .arg(argument)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[derive(Debug, clap::Parser)]
    #[command(name = "crm_simulate", disable_version_flag = true)]
    struct Plain {
        #[arg(short = 'S', long)]
        simulate: bool,
    }

    #[test]
    fn classic_commands_tell_their_version_under_both_names() {
        let words = |list: &[&str]| list.iter().map(OsString::from).collect::<Vec<_>>();
        let shown = with_version(<Plain as clap::CommandFactory>::command(), "crm_simulate").render_version();
        assert_eq!(shown, concat!("crm_simulate (everbeat) ", env!("CARGO_PKG_VERSION"), "\n"));
        for word in ["-$", "--version"] {
            assert_eq!(parse::<Plain>("crm_simulate", words(&[word])).unwrap_err(), exit::OK);
            assert_eq!(parse::<Plain>("crm_simulate", words(&["-S", word])).unwrap_err(), exit::OK);
            assert_eq!(parse::<Plain>("explain", words(&[word])).unwrap_err(), exit::USAGE);
        }
        assert!(parse::<Plain>("crm_simulate", words(&["-S"])).unwrap().simulate);
    }
}
