//! `hb_addnode` and `hb_delnode`: the nodes of the cluster while it runs.

use std::ffi::OsString;

use cib::{Element, Operation, Request};
use clap::Parser;

use crate::api::proto::ChangeNodesRequest;
use crate::exit;
use crate::source::Source;

/// Add nodes to the running cluster: they may join from now on, and have a vote.
#[derive(Parser)]
#[command(name = "hb_addnode", disable_version_flag = true)]
struct Add {
    /// Names of the nodes, as `uname -n` says them there.
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
    /// Votes of each.
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    votes: u32,
}

/// Take nodes out of the cluster. They must have left it.
#[derive(Parser)]
#[command(name = "hb_delnode", disable_version_flag = true)]
struct Remove {
    /// Names of the nodes.
    #[arg(required = true, value_name = "NODE")]
    nodes: Vec<String>,
}

pub fn run_add(name: &str, arguments: Vec<OsString>) -> u8 {
    match super::parse::<Add>(name, arguments) {
        Ok(asked) => change(name, &asked.nodes, false, asked.votes),
        Err(status) => status,
    }
}

pub fn run_remove(name: &str, arguments: Vec<OsString>) -> u8 {
    match super::parse::<Remove>(name, arguments) {
        Ok(asked) => change(name, &asked.nodes, true, 0),
        Err(status) => status,
    }
}

/// One after the other; the first that is refused ends it.
fn change(command: &str, nodes: &[String], remove: bool, votes: u32) -> u8 {
    for node in nodes {
        if let Err((text, status)) = change_one(command, node, remove, votes) {
            eprintln!("{command}: {node}: {text}");
            return status;
        }
    }
    exit::OK
}

fn change_one(command: &str, node: &str, remove: bool, votes: u32) -> Result<(), (String, u8)> {
    let mut source = Source::open_live(command).map_err(|error| (error.to_string(), error.exit()))?;
    let client = source.client().ok_or_else(|| ("no cluster".to_owned(), exit::DISCONNECT))?;
    let request = ChangeNodesRequest { name: node.to_owned(), remove, votes };
    let reply = client.change_nodes(request).map_err(|error| (error.to_string(), error.exit()))?;
    if reply.code != 0 {
        return Err((reply.error, u8::try_from(reply.code).unwrap_or(exit::ERROR)));
    }
    if remove { forget(&mut source, node) } else { Ok(()) }
}

/// What the configuration and the status section hold about a node that is gone for good.
fn forget(source: &mut Source, node: &str) -> Result<(), (String, u8)> {
    let cib = source.cib().map_err(|error| (error.to_string(), error.exit()))?;
    let Some(id) = crate::attribute::node_id(&cib, node) else { return Ok(()) };
    for (section, element) in [("nodes", "node"), ("status", "node_state")] {
        let what = Element::new(element).with_attr("id", id.as_str());
        let request = Request::new(Operation::Delete).section(section).input(what);
        source.apply(&request, false).map_err(|error| (error.to_string(), error.exit()))?;
    }
    Ok(())
}
