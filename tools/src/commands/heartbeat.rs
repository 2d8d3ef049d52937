//! `heartbeat`: the classic daemon's command line. Without options it checks the configuration,
//! starts the node in the background and waits until it answers.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use ccm::config::{Paths, Severity, exit_status, local_node_name, read_config};
use clap::Parser;
use nix::unistd::Pid;

use super::config::{check_all, complain};
use crate::api;
use crate::exit;

/// How long a start may take until the node answers commands.
const PATIENCE: Duration = Duration::from_secs(60);
/// "Program is not running", as LSB and heartbeat 3.0.6 have it.
const EXIT_STOPPED: u8 = 3;

/// Start the node in the background; or stop it, or say whether it runs.
#[derive(Parser)]
#[command(name = "heartbeat", disable_version_flag = true)]
struct Arguments {
    /// Stop the node, resources first.
    #[arg(short = 'k', long = "kill", conflicts_with_all = ["status", "reload"])]
    kill: bool,
    /// Say whether the node runs: exit status 0 if it does, 3 if not.
    #[arg(short = 's', long = "status", conflicts_with = "reload")]
    status: bool,
    /// Check the files. A running node reads changed keys by itself, ha.cf at its start only.
    #[arg(short = 'r', long = "reload")]
    reload: bool,
    /// Print the version.
    #[arg(short = 'V', long)]
    version: bool,
    /// Accepted; the verbosity is `debug` in ha.cf.
    #[arg(short = 'd', action = clap::ArgAction::Count, hide = true)]
    debug: u8,
    /// Where the node's files are.
    #[arg(long, env = "EVERBEAT_ROOT", value_name = "DIR")]
    root: Option<PathBuf>,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    if arguments.version {
        println!("{}", env!("CARGO_PKG_VERSION"));
        exit::OK
    } else if arguments.kill {
        super::stop::run("stop", vec!["--root".into(), root.into()])
    } else if arguments.status {
        status(&root)
    } else if arguments.reload {
        reload(&root)
    } else {
        start(&root)
    }
}

/// Process that serves the node's socket, if somebody does.
fn core_of(root: &Path) -> Option<Pid> {
    let stream = UnixStream::connect(api::socket_path(root)).ok()?;
    let peer = nix::sys::socket::getsockopt(&stream, nix::sys::socket::sockopt::PeerCredentials).ok()?;
    Some(Pid::from_raw(peer.pid()))
}

fn status(root: &Path) -> u8 {
    let Some(pid) = core_of(root) else {
        println!("heartbeat is stopped. No process");
        return EXIT_STOPPED;
    };
    let paths = Paths::new(Some(root.to_path_buf()));
    let config = read_config(&paths.ha_cf()).ok();
    let node = local_node_name(config.as_ref(), &paths);
    println!("heartbeat OK [pid {pid} et al] is running on {node} [{node}]...");
    exit::OK
}

/// Says whether the files would do; a running node has read its own at its start.
fn reload(root: &Path) -> u8 {
    let paths = Paths::new(Some(root.to_path_buf()));
    let (_, problems) = check_all(&paths, &paths.ha_cf(), false);
    complain(&problems);
    if problems.iter().any(|p| p.severity == Severity::Error) {
        eprintln!("heartbeat: the running configuration is kept");
        return exit_status(&problems);
    }
    if core_of(root).is_none() {
        eprintln!("heartbeat: it is not running");
        return EXIT_STOPPED;
    }
    eprintln!(
        "heartbeat: the files are good; changed keys are in use within seconds, but ha.cf is read at a start only: \
         heartbeat -k, then heartbeat"
    );
    exit::ERROR
}

fn start(root: &Path) -> u8 {
    if core_of(root).is_some() {
        println!("heartbeat is already running");
        return exit::OK;
    }
    let paths = Paths::new(Some(root.to_path_buf()));
    let (config, problems) = check_all(&paths, &paths.ha_cf(), false);
    complain(&problems);
    if config.is_none() || problems.iter().any(|p| p.severity == Severity::Error) {
        eprintln!("Heartbeat not started: configuration error.");
        eprintln!("Configuration error, heartbeat not started.");
        return exit_status(&problems);
    }
    if let Err(status) = super::haresources2cib::at_first_start(&paths) {
        eprintln!("Configuration error, heartbeat not started.");
        return status;
    }
    println!("Configuration validated. Starting heartbeat {}", env!("CARGO_PKG_VERSION"));
    let log = paths.join("/var/log/heartbeat-start.log");
    let result = spawn(root, &log).and_then(|child| wait(child, root));
    match result {
        Ok(None) => exit::OK,
        Ok(Some(status)) => {
            eprintln!("heartbeat: it ended again with {status}; {} says why", log.display());
            u8::try_from(status.code().unwrap_or(1)).unwrap_or(exit::ERROR)
        }
        Err(error) => {
            eprintln!("heartbeat: {error}");
            exit::ERROR
        }
    }
}

/// `everbeat start` in a process group of its own, its output in a file that each start begins anew.
fn spawn(root: &Path, log: &Path) -> io::Result<Child> {
    if let Some(dir) = log.parent() {
        std::fs::create_dir_all(dir)?;
    }
    let log: File = OpenOptions::new().create(true).write(true).truncate(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("start");
    if root != Path::new("/") {
        command.arg("--root").arg(root);
    }
    command
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .current_dir("/")
        .process_group(0)
        .spawn()
}

/// Waits until the node answers; `Some` when it ended instead.
fn wait(mut child: Child, root: &Path) -> io::Result<Option<std::process::ExitStatus>> {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if core_of(root).is_some() {
            return Ok(None);
        }
        if Instant::now() > end {
            eprintln!("heartbeat: started, and does not answer commands yet");
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
