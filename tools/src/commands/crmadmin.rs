//! `crmadmin`: who is the DC, what is the controller doing, which nodes are there.

use std::ffi::OsString;

use clap::Parser;

use crate::api::client::{Client, ClientError};
use crate::api::proto::{ActionReply, ClusterState};
use crate::exit;
use crate::source::Source;

/// Ask the cluster's controller.
#[derive(Parser)]
#[command(name = "crmadmin", disable_version_flag = true)]
struct Arguments {
    /// The state of the controller on a node.
    #[arg(short = 'S', long, value_name = "NODE")]
    status: Option<String>,
    /// The name of the DC.
    #[arg(short = 'D', long = "dc_lookup")]
    dc_lookup: bool,
    /// The nodes of the configuration; all, cluster, guest or remote ones.
    #[arg(short = 'N', long, value_name = "KIND", num_args = 0..=1, default_missing_value = "all")]
    nodes: Option<String>,
    /// Nodes as shell assignments.
    #[arg(short = 'B', long)]
    bash_export: bool,
    /// Ask for a new choice of the DC. (It follows from the view alone: this reports who it is.)
    #[arg(short = 'E', long)]
    election: bool,
    /// Stop the cluster software on a node, resources first.
    #[arg(short = 'K', long, value_name = "NODE")]
    kill: Option<String>,
    /// Print the answer only.
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Accepted.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Accepted: the answer comes at once or not at all.
    #[arg(short = 't', long)]
    timeout: Option<String>,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match answer(&arguments) {
        Ok(text) => {
            print!("{text}");
            exit::OK
        }
        Err((text, status)) => {
            eprintln!("crmadmin: {text}");
            status
        }
    }
}

fn answer(arguments: &Arguments) -> Result<String, (String, u8)> {
    let mut source = Source::open("crmadmin").map_err(|error| (error.to_string(), error.exit()))?;
    if arguments.nodes.is_some() {
        let cib = source.cib().map_err(|error| (error.to_string(), error.exit()))?;
        return nodes(&cib, arguments);
    }
    let state = source.state().map_err(|error| (error.to_string(), error.exit()))?;
    let state =
        state.ok_or_else(|| ("this needs the running cluster, not a file".to_owned(), exit::USAGE))?;
    if let Some(node) = &arguments.kill {
        return kill(&mut source, &state, node);
    }
    if arguments.dc_lookup || arguments.election {
        return Ok(dc(&state, arguments.quiet));
    }
    if let Some(node) = &arguments.status {
        return status(&mut source, &state, node, arguments.quiet);
    }
    Err(("nothing asked: see --help".into(), exit::USAGE))
}

fn dc(state: &ClusterState, quiet: bool) -> String {
    match (state.dc.as_str(), quiet) {
        ("", true) => String::new(),
        ("", false) => "Designated Controller is: not yet elected\n".into(),
        (name, true) => format!("{name}\n"),
        (name, false) => format!("Designated Controller is: {name}\n"),
    }
}

/// The state of a controller, by its own word; of this node also while it is in no view.
fn status(
    source: &mut Source,
    state: &ClusterState,
    node: &str,
    quiet: bool,
) -> Result<String, (String, u8)> {
    let word = if node.eq_ignore_ascii_case(&state.node) {
        state.state.clone()
    } else {
        known_member(state, node)?;
        asked(source, |client| client.controller_state(node))?
    };
    Ok(if quiet { format!("{word}\n") } else { format!("Controller on {node} in state {word}: ok\n") })
}

fn kill(source: &mut Source, state: &ClusterState, node: &str) -> Result<String, (String, u8)> {
    let here = node.eq_ignore_ascii_case(&state.node);
    if !here {
        known_member(state, node)?;
    }
    asked(source, |client| client.shutdown(if here { "" } else { node })).map(|_| String::new())
}

fn known_member(state: &ClusterState, node: &str) -> Result<(), (String, u8)> {
    match state.peers.iter().find(|peer| peer.name.eq_ignore_ascii_case(node)) {
        None => Err((format!("there is no node {node}"), exit::NOSUCH)),
        Some(peer) if !peer.member => Err((format!("{node} is {}, no member", peer.state), exit::NOHOST)),
        Some(_) => Ok(()),
    }
}

/// What a member answered.
fn asked(
    source: &mut Source,
    ask: impl FnOnce(&mut Client) -> Result<ActionReply, ClientError>,
) -> Result<String, (String, u8)> {
    let client = source.client().ok_or_else(|| ("no cluster".to_owned(), exit::DISCONNECT))?;
    let reply = ask(client).map_err(|error| (error.to_string(), error.exit()))?;
    match reply.code {
        0 => Ok(reply.said),
        code => Err((reply.error, u8::try_from(code).unwrap_or(exit::ERROR))),
    }
}

fn nodes(cib: &cib::Cib, arguments: &Arguments) -> Result<String, (String, u8)> {
    let mut text = String::new();
    for node in cib::model::Nodes::of(cib).iter() {
        let (id, name) = (node.id(), node.name());
        let kind = if node.is_remote() { "remote" } else { "cluster" };
        if !matches!(arguments.nodes.as_deref(), Some("all")) && arguments.nodes.as_deref() != Some(kind) {
            continue;
        }
        text += &match (arguments.bash_export, arguments.quiet) {
            (true, _) => format!("export {name}={id}\n"),
            (_, true) => format!("{name}\n"),
            _ => format!("{kind} node: {name} ({id})\n"),
        };
    }
    Ok(if text.is_empty() { "No nodes configured\n".into() } else { text })
}
