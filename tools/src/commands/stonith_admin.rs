//! `stonith_admin`: fence a node by hand, and see what can and what did.
//!
//! Devices and topology are configured in the CIB, as resources of class stonith; what 2.1.5 can register
//! beside it lives in the memory of one daemon and is refused here with that word.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::{ArgAction, Parser};
use crm_core::fencing::{Check, Registry};
use lrm::class::Roots;

use crate::api::proto::{ClusterState, FenceRequest};
use crate::exit;
use crate::fenced::{Entry, Fate, entries, time};
use crate::source::Source;

/// Default of --timeout.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Fence nodes by hand; show fencing devices and what they did.
#[derive(Parser)]
#[command(name = "stonith_admin", disable_help_flag = true, disable_version_flag = true)]
struct Arguments {
    /// Show this text.
    #[arg(short = '?', long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Devices that may be able to fence this node.
    #[arg(short = 'l', long, value_name = "NODE")]
    list: Option<String>,
    /// The configured devices.
    #[arg(short = 'L', long)]
    list_registered: bool,
    /// The fence agents that are installed on this machine.
    #[arg(short = 'I', long)]
    list_installed: bool,
    /// The nodes that a device is configured to fence.
    #[arg(short = 's', long, value_name = "DEVICE")]
    list_targets: Option<String>,
    /// What an agent says about itself (with --agent).
    #[arg(short = 'M', long)]
    metadata: bool,
    /// A fence agent, such as fence_ipmilan.
    #[arg(short = 'a', long, value_name = "AGENT")]
    agent: Option<String>,
    /// What was done to a node, or to all ("*").
    #[arg(short = 'H', long, value_name = "NODE")]
    history: Option<String>,
    /// When a node was last fenced.
    #[arg(short = 'h', long, value_name = "NODE")]
    last: Option<String>,
    /// Turn a node off.
    #[arg(short = 'F', long, value_name = "NODE")]
    fence: Option<String>,
    /// Turn a node on, or give it access again.
    #[arg(short = 'U', long, value_name = "NODE")]
    unfence: Option<String>,
    /// Reboot a node.
    #[arg(short = 'B', long, value_name = "NODE")]
    reboot: Option<String>,
    /// Vouch that a node is down. The cluster believes it: what ran there is started elsewhere.
    #[arg(short = 'C', long, value_name = "NODE")]
    confirm: Option<String>,
    /// How long the operation may take; default 120 s.
    #[arg(short = 't', long, value_name = "TIME")]
    timeout: Option<String>,
    /// Less text; of a history only the times.
    #[arg(short = 'q', long)]
    quiet: bool,
    /// Accepted: a history is whole.
    #[arg(short = 'V', long, action = ArgAction::Count)]
    verbose: u8,
    #[arg(short = 'R', long, value_name = "DEVICE", hide = true)]
    register: Option<String>,
    #[arg(short = 'D', long, value_name = "DEVICE", hide = true)]
    deregister: Option<String>,
    #[arg(short = 'r', long, value_name = "NODE", hide = true)]
    register_level: Option<String>,
    #[arg(short = 'd', long, value_name = "NODE", hide = true)]
    deregister_level: Option<String>,
    #[arg(short = 'c', long, hide = true)]
    cleanup: bool,
}

/// What went wrong, and the exit status.
type Failed = (String, u8);

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match perform(&arguments) {
        Ok(text) => match crate::print::out(&text) {
            Ok(()) => exit::OK,
            Err(status) => status,
        },
        Err((text, status)) => {
            eprintln!("stonith_admin: {text}");
            status
        }
    }
}

fn perform(asked: &Arguments) -> Result<String, Failed> {
    let orders = [
        (&asked.fence, "off"),
        (&asked.reboot, "reboot"),
        (&asked.unfence, "on"),
        (&asked.confirm, "confirm"),
    ];
    if let Some((target, action)) = orders.iter().find_map(|(node, action)| Some((node.as_ref()?, *action))) {
        return order(asked, target, action);
    }
    if asked.register.is_some() || asked.deregister.is_some() {
        let text = "fencing devices are resources of class stonith in the configuration: create or delete them \
                    with cibadmin or crm_resource";
        return Err((text.into(), exit::UNIMPLEMENTED));
    }
    if asked.register_level.is_some() || asked.deregister_level.is_some() {
        let text =
            "levels are in the section fencing-topology of the configuration: change them with cibadmin";
        return Err((text.into(), exit::UNIMPLEMENTED));
    }
    if asked.cleanup {
        return Err(("the history of fencing is kept; it cannot be cleared".into(), exit::UNIMPLEMENTED));
    }
    if asked.list_installed {
        return Ok(listed(&installed(&roots()), "fence device"));
    }
    if asked.metadata {
        return metadata(asked.agent.as_deref());
    }
    if let Some(node) = asked.history.as_ref().or(asked.last.as_ref()) {
        let state = source()?.state().map_err(|error| (error.to_string(), error.exit()))?;
        let state = state.ok_or_else(|| ("a file has no history of fencing".to_owned(), exit::USAGE))?;
        return Ok(if asked.last.is_some() {
            last(&state, node)
        } else {
            history(&state, node, asked.quiet)
        });
    }
    if asked.list_registered || asked.list.is_some() || asked.list_targets.is_some() {
        let cib = source()?.cib().map_err(|error| (error.to_string(), error.exit()))?;
        return devices(asked, &cib);
    }
    Err(("nothing asked: see --help".into(), exit::USAGE))
}

fn source() -> Result<Source, Failed> {
    Source::open("stonith_admin").map_err(|error| (error.to_string(), error.exit()))
}

/// Has a node fenced, or vouches for it. Silent when it succeeds.
fn order(asked: &Arguments, target: &str, action: &str) -> Result<String, Failed> {
    let timeout = match &asked.timeout {
        None => TIMEOUT,
        Some(text) => {
            crm_core::policy::values::parse_duration_ms(text).map(Duration::from_millis).ok_or_else(|| {
                (format!("--timeout: \"{text}\" is no time: expected 30, 30s or 2min"), exit::USAGE)
            })?
        }
    };
    let mut source = Source::open_live("stonith_admin").map_err(|error| (error.to_string(), error.exit()))?;
    let state = source.state().map_err(|error| (error.to_string(), error.exit()))?.unwrap_or_default();
    // A node that nobody knows is a typing error, and a word about it would be believed.
    if !state.peers.iter().any(|peer| peer.name.eq_ignore_ascii_case(target)) {
        let known: Vec<&str> = state.peers.iter().map(|peer| peer.name.as_str()).collect();
        return Err((format!("there is no node {target}; there are: {}", known.join(" ")), exit::NOSUCH));
    }
    let client = source.client().ok_or_else(|| ("no cluster".to_owned(), exit::DISCONNECT))?;
    let confirm = action == "confirm";
    let request = FenceRequest {
        target: target.to_owned(),
        action: if confirm { "off" } else { action }.to_owned(),
        timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        confirm,
    };
    let reply = client.fence(request).map_err(|error| (error.to_string(), error.exit()))?;
    match u8::try_from(reply.code).unwrap_or(exit::ERROR) {
        exit::OK => Ok(String::new()),
        code => Err((format!("Couldn't fence {target}: {}", reply.error), code)),
    }
}

/// Lines and their number: `1 fence device found`, `2 fence devices found`.
fn listed<S: AsRef<str>>(lines: &[S], what: &str) -> String {
    let mut text: String = lines.iter().map(|line| format!(" {}\n", line.as_ref())).collect();
    let plural = if lines.len() == 1 { "" } else { "s" };
    let _ = writeln!(text, "{} {what}{plural} found", lines.len());
    text
}

fn devices(asked: &Arguments, cib: &cib::Cib) -> Result<String, Failed> {
    let registry = Registry::read(cib);
    if let Some(device) = &asked.list_targets {
        let found = registry
            .device(device)
            .ok_or_else(|| (format!("no fencing device is called {device}"), exit::NOSUCH))?;
        let nodes = cib::model::Nodes::of(cib);
        let able = |name: &str| found.check(name) == Check::Static(true);
        if nodes.iter().any(|node| !matches!(found.check(node.name()), Check::Static(_))) {
            let text = format!("{device} finds out by its agent whom it can fence, when it has to");
            return Err((text, exit::UNIMPLEMENTED));
        }
        let names: Vec<&str> = nodes.iter().map(|node| node.name()).filter(|name| able(name)).collect();
        return Ok(listed(&names, "fence target"));
    }
    let ids: Vec<String> = match &asked.list {
        None => registry.ids().map(str::to_owned).collect(),
        Some(node) => {
            let (_, ways) = registry.ways(node, "off");
            let mut seen = BTreeSet::new();
            ways.into_iter().flatten().filter(|id| seen.insert(id.clone())).collect()
        }
    };
    Ok(listed(&ids, "fence device"))
}

fn roots() -> Roots {
    match crate::api::root_from_environment() {
        root if root == Path::new("/") => Roots::system(),
        root => Roots::below(&root),
    }
}

/// `fence_*` programs, and plugins of Linux-HA as `external/NAME`.
fn installed(roots: &Roots) -> Vec<String> {
    let mut names = BTreeSet::new();
    for (dirs, prefix, begins) in [(&roots.fence, "", "fence_"), (&roots.external, "external/", "")] {
        for entry in dirs.iter().filter_map(|dir| std::fs::read_dir(dir).ok()).flatten().flatten() {
            let runs =
                entry.path().metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0);
            match entry.file_name().to_str() {
                Some(name) if runs && name.starts_with(begins) && !name.starts_with('.') => {
                    names.insert(format!("{prefix}{name}"));
                }
                _ => {}
            }
        }
    }
    names.into_iter().collect()
}

fn metadata(agent: Option<&str>) -> Result<String, Failed> {
    let agent = agent.ok_or_else(|| ("--metadata needs --agent AGENT".to_owned(), exit::USAGE))?;
    let unknown = || ("Can't get fence agent meta-data: No such device".to_owned(), exit::NOSUCH);
    // A name, never a path: the file is looked for where fence agents are.
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    if !agent.starts_with("fence_") || !agent.chars().all(plain) {
        return Err(unknown());
    }
    let path =
        roots().fence.iter().map(|dir| dir.join(agent)).find(|path| path.is_file()).ok_or_else(unknown)?;
    let output = Command::new(path).args(["-o", "metadata"]).stdin(Stdio::null()).output();
    let output = output.map_err(|error| (format!("{agent}: {error}"), exit::ERROR))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err((
            format!("{agent} has no meta-data ({}): {}", output.status, said.trim_end()),
            exit::ERROR,
        ));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Newest first.
fn of<'a>(state: &'a ClusterState, node: &'a str) -> impl Iterator<Item = Entry<'a>> {
    let wanted = move |entry: &Entry| node == "*" || entry.fenced.target.eq_ignore_ascii_case(node);
    entries(state, false).into_iter().filter(wanted)
}

fn history(state: &ClusterState, node: &str, quiet: bool) -> String {
    let events: Vec<Entry> = of(state, node).collect();
    if quiet {
        let ended = events.iter().filter(|event| event.fate != Fate::Pending);
        return ended.map(|event| format!("{}\n", event.fenced.completed)).collect();
    }
    let mut text: String = events.iter().map(|event| format!("{}\n", event.line(false))).collect();
    let _ = writeln!(text, "{} event{} found", events.len(), if events.len() == 1 { "" } else { "s" });
    text
}

fn last(state: &ClusterState, node: &str) -> String {
    match of(state, node).find(|event| event.fate == Fate::Succeeded && event.fenced.action != "on") {
        Some(event) => format!("Node {node} last fenced at: {}\n", time(event.fenced.completed)),
        None => format!("Node {node} has never been fenced\n"),
    }
}
