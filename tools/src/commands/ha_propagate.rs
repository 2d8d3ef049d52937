//! `ha_propagate`: copies ha.cf and authkeys to every other node of ha.cf.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ccm::config::{Config, Paths, local_node_name, read_authkeys, read_config};
use clap::Parser;

use super::config::{complain, paths};
use crate::exit;

/// Copy ha.cf and authkeys to every other node by scp, as root, and enable the service there.
///
/// The files are checked first: what does not parse is not spread. Exit status: 0 every node was
/// reached; 1 some were not; 6 or 4 the files of this node are not in order.
#[derive(Parser)]
#[command(name = "ha_propagate")]
struct Arguments {
    /// Say what would be done, and do nothing.
    #[arg(long)]
    dry_run: bool,
    /// Do not enable the service on the other nodes.
    #[arg(long)]
    no_enable: bool,
    /// Copy haresources and logd.cf, too, where they exist.
    #[arg(long)]
    all: bool,
    /// Only these nodes.
    #[arg(long, value_name = "NODE")]
    node: Vec<String>,
    /// Directory that stands for the root of this node's file system.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let paths = paths(arguments.root.clone());
    let config = match read_config(&paths.ha_cf()) {
        Ok(config) => config,
        Err(problems) => return refuse(&problems),
    };
    if let Err(problems) = read_authkeys(&paths.authkeys()) {
        return refuse(&problems);
    }
    let own = local_node_name(Some(&config), &paths);
    let targets = match targets(&config, &own, &arguments.node) {
        Ok(targets) => targets,
        Err(text) => {
            eprintln!("ha_propagate: {text}");
            return exit::NOSUCH;
        }
    };
    if targets.is_empty() {
        eprintln!("ha_propagate: ha.cf lists no node but this one ({own})");
        return exit::OK;
    }
    let files = files(&paths, arguments.all);
    let mut failed = 0;
    for node in &targets {
        match propagate(node, &files, &arguments) {
            Ok(()) if arguments.dry_run => {}
            Ok(()) => println!("{node}: done"),
            Err(why) => {
                println!("{node}: failed: {why}");
                failed += 1;
            }
        }
    }
    if failed > 0 {
        eprintln!("ha_propagate: {failed} of {} nodes not reached", targets.len());
        return exit::ERROR;
    }
    exit::OK
}

fn refuse(problems: &[ccm::config::ConfigProblem]) -> u8 {
    complain(problems);
    eprintln!("HA Linux not configured on this node.  Can not propagate.");
    ccm::config::exit_status(problems)
}

/// The nodes to copy to: those asked for, else all but this one.
fn targets(config: &Config, own: &str, asked: &[String]) -> Result<Vec<String>, String> {
    if let Some(stranger) = asked.iter().find(|n| !config.has_node(n)) {
        let nodes: Vec<&str> = config.nodes.iter().map(|n| n.value.as_str()).collect();
        return Err(format!("node \"{stranger}\" is not in ha.cf; it lists {}", nodes.join(" ")));
    }
    let wanted = |node: &str| asked.is_empty() || asked.iter().any(|a| a.eq_ignore_ascii_case(node));
    let nodes = config.nodes.iter().map(|n| n.value.clone());
    Ok(nodes.filter(|n| n != own && wanted(n)).collect())
}

/// Each file here and its place on the other nodes.
fn files(paths: &Paths, all: bool) -> Vec<(PathBuf, &'static str)> {
    let mut files = vec![(paths.ha_cf(), "/etc/ha.d/ha.cf"), (paths.authkeys(), "/etc/ha.d/authkeys")];
    if all {
        let more = [(paths.haresources(), "/etc/ha.d/haresources"), (paths.logd_cf(), "/etc/logd.cf")];
        files.extend(more.into_iter().filter(|(here, _)| here.exists()));
    }
    files
}

fn propagate(node: &str, files: &[(PathBuf, &'static str)], arguments: &Arguments) -> Result<(), String> {
    println!("Propagating HA configuration files to node {node}.");
    for (here, there) in files {
        copy(here, node, there, arguments.dry_run)?;
    }
    if !arguments.no_enable {
        println!("Setting HA startup configuration on node {node}.");
        let mut ssh = Command::new("ssh");
        // The remote shell gets three constant words.
        ssh.args(["-o", "ConnectTimeout=10", "--"]).arg(format!("root@{node}"));
        ssh.args(["systemctl", "enable", "heartbeat"]);
        act(&mut ssh, arguments.dry_run)?;
    }
    Ok(())
}

/// Node names come from a parsed ha.cf: letters, digits, dots, dashes and underscores, no leading
/// dash. The local path is made absolute, so that scp cannot take it for HOST:PATH or an option.
fn copy(here: &Path, node: &str, there: &str, dry_run: bool) -> Result<(), String> {
    let here = here.canonicalize().map_err(|e| format!("{}: {e}", here.display()))?;
    let mut scp = Command::new("scp");
    scp.args(["-p", "-q", "-o", "ConnectTimeout=10", "--"]).arg(here).arg(format!("root@{node}:{there}"));
    act(&mut scp, dry_run)
}

fn act(command: &mut Command, dry_run: bool) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    if dry_run {
        let words: Vec<String> = command.get_args().map(|a| a.to_string_lossy().into_owned()).collect();
        println!("would run: {program} {}", words.join(" "));
        return Ok(());
    }
    let status = command.stdin(Stdio::inherit()).status().map_err(|e| format!("{program}: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("{program} ended with {status}")) }
}
