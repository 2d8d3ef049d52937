//! `crm_node`: members, quorum, ids and names.

use std::ffi::OsString;

use cib::{Element, Operation, Request};
use clap::Parser;

use crate::api::proto::ClusterState;
use crate::exit;
use crate::source::{Source, SourceError};

/// Ask about the nodes of the cluster.
#[derive(Parser)]
#[command(name = "crm_node", disable_version_flag = true)]
struct Arguments {
    /// This node's id.
    #[arg(short = 'i', long)]
    cluster_id: bool,
    /// All nodes with id, name and whether they are members.
    #[arg(short = 'l', long)]
    list: bool,
    /// This node's name.
    #[arg(short = 'n', long)]
    name: bool,
    /// The names of the members.
    #[arg(short = 'p', long)]
    partition: bool,
    /// 1 if this part of the cluster has quorum, else 0.
    #[arg(short = 'q', long)]
    quorum: bool,
    /// Number of the present view.
    #[arg(short = 'e', long)]
    epoch: bool,
    /// The name of the node with this id.
    #[arg(short = 'N', long, value_name = "ID")]
    name_for_id: Option<String>,
    /// Remove a node that has left for good from the configuration.
    #[arg(short = 'R', long, value_name = "NAME")]
    remove: Option<String>,
    /// Do what is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    /// Accepted.
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Accepted.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

const DANGEROUS: &str = "The supplied command is considered dangerous.  To prevent accidental destruction of the \
                         cluster, the --force flag is required in order to proceed.";

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if arguments.remove.is_some() && !arguments.force {
        eprintln!("{DANGEROUS}");
        return exit::USAGE;
    }
    match answer(&arguments) {
        Ok(text) => {
            print!("{text}");
            exit::OK
        }
        Err((text, status)) => {
            eprintln!("crm_node: {text}");
            status
        }
    }
}

fn failed(error: &SourceError) -> (String, u8) {
    (error.to_string(), error.exit())
}

fn answer(arguments: &Arguments) -> Result<String, (String, u8)> {
    let mut source = Source::open("crm_node").map_err(|error| failed(&error))?;
    if let Some(node) = &arguments.remove {
        return remove(&mut source, node);
    }
    let state = source.state().map_err(|error| failed(&error))?;
    let state =
        state.ok_or_else(|| ("this needs the running cluster, not a file".to_owned(), exit::USAGE))?;
    if arguments.cluster_id {
        return Ok(format!("{}\n", state.node_id));
    }
    if arguments.name {
        return Ok(format!("{}\n", state.node));
    }
    if arguments.quorum {
        return Ok(format!("{}\n", u8::from(state.quorate)));
    }
    if arguments.epoch {
        return Ok(format!("{}\n", state.view_epoch));
    }
    if arguments.partition {
        return Ok(partition(&state));
    }
    if let Some(id) = &arguments.name_for_id {
        let found = state.peers.iter().find(|peer| peer.id == *id);
        return found
            .map(|peer| format!("{}\n", peer.name))
            .ok_or_else(|| (format!("no node has the id {id}"), exit::NOSUCH));
    }
    if arguments.list {
        return Ok(list(&state));
    }
    Err(("nothing asked: see --help".into(), exit::USAGE))
}

fn partition(state: &ClusterState) -> String {
    let names = state.peers.iter().filter(|peer| peer.member).map(|peer| format!("{} ", peer.name));
    names.collect::<String>() + "\n"
}

fn list(state: &ClusterState) -> String {
    let nodes = state.peers.iter().filter(|peer| peer.state != "ping");
    let word = |member: bool| if member { "member" } else { "lost" };
    nodes.map(|peer| format!("{} {} {}\n", peer.id, peer.name, word(peer.member))).collect()
}

/// Takes a node out of the configuration and its status out of the document.
fn remove(source: &mut Source, name: &str) -> Result<String, (String, u8)> {
    if let Some(state) = source.state().map_err(|error| failed(&error))?
        && state.peers.iter().any(|peer| peer.member && peer.name.eq_ignore_ascii_case(name))
    {
        return Err((format!("{name} is a member now: stop the cluster software there first"), exit::UNSAFE));
    }
    let cib = source.cib().map_err(|error| failed(&error))?;
    let id = crate::attribute::node_id(&cib, name)
        .ok_or_else(|| (format!("there is no node {name}"), exit::NOSUCH))?;
    for (section, element) in [("nodes", "node"), ("status", "node_state")] {
        let what = Element::new(element).with_attr("id", id.as_str());
        let request = Request::new(Operation::Delete).section(section).input(what);
        source.apply(&request, false).map_err(|error| failed(&error))?;
    }
    Ok(String::new())
}
