//! `everbeat what-if`: what would the cluster do if …?

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cib::Element;
use clap::Parser;
use crm_core::explain::{self, Change, Fate};

use crate::exit;
use crate::planned::{Failure, Input, answer, modern, read_file};

/// Say what the cluster would do if something happened, or if its configuration were another: which nodes it
/// would fence, what it would move, restart, stop, and why, transition by transition until it comes to rest.
/// Several assumptions hold at once. A snapshot is looked at; nothing is touched.
#[derive(Parser)]
#[command(
    name = "everbeat what-if",
    disable_version_flag = true,
    after_help = "Example: everbeat what-if --node-lost node1 --fail-stop db@node2\n\
                  Exit status: 0 answered, 1 the assumption cannot hold (a resource that does not run cannot fail, a patch \
                  that does not fit), 64 wrong usage, 65 not a configuration, 102 no cluster here, 105 no such file, \
                  resource or node."
)]
struct Arguments {
    /// The node vanishes without a word.
    #[arg(short = 'l', long, value_name = "NODE")]
    node_lost: Vec<String>,
    /// The node is shut down cleanly.
    #[arg(short = 'd', long, value_name = "NODE")]
    node_stopped: Vec<String>,
    /// The node is put in standby.
    #[arg(short = 's', long, value_name = "NODE")]
    standby: Vec<String>,
    /// The node is put in maintenance mode.
    #[arg(short = 'm', long, value_name = "NODE")]
    maintenance: Vec<String>,
    /// The node is back: online, without standby and maintenance.
    #[arg(short = 'u', long, value_name = "NODE")]
    active: Vec<String>,
    /// The monitor of a running resource fails (rc 7 if none is given).
    #[arg(short = 'f', long, value_name = "RSC[@NODE][=RC]")]
    fail: Vec<String>,
    /// Every stop of the resource fails (rc 1 if none is given).
    #[arg(long, value_name = "RSC[@NODE][=RC]")]
    fail_stop: Vec<String>,
    /// Every start of the resource fails (rc 1 if none is given).
    #[arg(long, value_name = "RSC[@NODE][=RC]")]
    fail_start: Vec<String>,
    /// The ticket is granted.
    #[arg(short = 'g', long, value_name = "TICKET")]
    grant: Vec<String>,
    /// The ticket is revoked.
    #[arg(short = 'r', long, value_name = "TICKET")]
    revoke: Vec<String>,
    /// Whether the cluster has quorum; else the majority of its nodes decides.
    #[arg(short = 'q', long, value_name = "true|false")]
    quorum: Option<bool>,
    /// The configuration is changed by this patch (as crm_diff writes it).
    #[arg(short = 'p', long, value_name = "FILE")]
    patch: Vec<PathBuf>,
    /// The configuration is this one; it keeps the present status unless it has one.
    #[arg(short = 'c', long, value_name = "FILE")]
    cib: Option<PathBuf>,
    #[command(flatten)]
    input: Input,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    answer("what-if", name, arguments, act)
}

fn act(arguments: &Arguments, typed: &str) -> Result<u8, Failure> {
    let changes = changes(arguments)?;
    if changes.is_empty() {
        return Err((
            "what if what? Name an assumption; see everbeat what-if --help".to_owned(),
            exit::USAGE,
        ));
    }
    let (cib, situation) = arguments.input.read("what-if")?;
    let answer = explain::what_if(&cib, &situation, &changes).map_err(|error| {
        let status = match error {
            explain::WhatIfError::Unknown(_) => exit::NOSUCH,
            _ => exit::ERROR,
        };
        (error.to_string(), status)
    })?;
    let printed = arguments.input.print(typed, "what-if", &answer.text(), &answer.tree());
    Ok(printed.err().unwrap_or(exit::OK))
}

fn changes(arguments: &Arguments) -> Result<Vec<Change>, Failure> {
    let mut changes = Vec::new();
    if let Some(file) = &arguments.cib {
        changes.push(Change::Configuration(Box::new(modern(read_file(file)?))));
    }
    for file in &arguments.patch {
        changes.push(Change::Patch(Box::new(read_patch(file)?)));
    }
    let nodes = [
        (&arguments.active, Fate::Active),
        (&arguments.node_lost, Fate::Lost),
        (&arguments.node_stopped, Fate::Stopped),
        (&arguments.standby, Fate::Standby),
        (&arguments.maintenance, Fate::Maintenance),
    ];
    for (names, fate) in nodes {
        changes.extend(names.iter().map(|name| Change::Node { name: name.clone(), fate }));
    }
    for (names, granted) in [(&arguments.grant, true), (&arguments.revoke, false)] {
        changes.extend(names.iter().map(|name| Change::Ticket { name: name.clone(), granted }));
    }
    changes.extend(arguments.quorum.map(Change::Quorum));
    for (task, list) in [("stop", &arguments.fail_stop), ("start", &arguments.fail_start)] {
        for text in list {
            let (resource, node, rc) = specification(text, 1)?;
            changes.push(Change::ActionFails { task, resource, node, rc });
        }
    }
    for text in &arguments.fail {
        let (resource, node, rc) = specification(text, 7)?;
        changes.push(Change::Fails { resource, node, rc });
    }
    Ok(changes)
}

/// `RSC[@NODE][=RC]`
fn specification(text: &str, default: i32) -> Result<(String, Option<String>, i32), Failure> {
    let (rest, rc) = match text.rsplit_once('=') {
        Some((rest, rc)) => {
            let rc = rc.parse().map_err(|_| {
                (format!("\"{text}\": after = a result is expected, a number like 7"), exit::USAGE)
            })?;
            (rest, rc)
        }
        None => (text, default),
    };
    Ok(match rest.split_once('@') {
        Some((resource, node)) => (resource.to_owned(), Some(node.to_owned()), rc),
        None => (rest.to_owned(), None, rc),
    })
}

fn read_patch(file: &Path) -> Result<Element, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file).map_err(|error| (format!("{place}: {error}"), exit::NOSUCH))?;
    Element::parse(&text).map_err(|error| (format!("{place}:{error}"), exit::DATA))
}
