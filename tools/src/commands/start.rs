//! `everbeat start`: the executor, which starts the core and everything else.
//!
//! Runs in the foreground: a service manager, an init script or the shell's `&` puts it behind.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use lrm::executor::{CoreCommand, Options, Power, SystemPower, User};

use crate::exit;
use crate::logging::{self, Targets};

/// Start the cluster software on this node. SIGTERM or SIGINT stops it, resources first.
#[derive(Parser)]
#[command(name = "everbeat start", disable_version_flag = true)]
struct Arguments {
    /// Where the node's files are: /etc/ha.d, /var/lib/heartbeat and /var/run/heartbeat below it.
    #[arg(long, env = "EVERBEAT_ROOT", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Let the part that meets the network run as root, where there is no user hacluster.
    #[arg(long)]
    core_as_root: bool,
    /// TCP port of the read-only status on the loopback address; 0 for none.
    #[arg(long, value_name = "PORT")]
    status_port: Option<u16>,
    /// Loopback address of the read-only status.
    #[arg(long, value_name = "ADDRESS")]
    status_address: Option<std::net::Ipv4Addr>,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let _log = logging::start(Targets { stderr: true, ..Targets::default() });
    let user = match core_user(arguments.core_as_root) {
        Ok(user) => user,
        Err(text) => {
            eprintln!("everbeat start: {text}");
            return exit::PERMISSION;
        }
    };
    let program = match std::env::current_exe() {
        Ok(program) => program,
        Err(error) => {
            eprintln!("everbeat start: this binary cannot be found again: {error}");
            return exit::OSERR;
        }
    };
    prepare_log(&program, arguments.root.as_deref());
    if let Err(status) = convert_haresources(&program, arguments.root.as_deref()) {
        return status;
    }
    let core =
        CoreCommand { program, args: core_arguments(&arguments), env: Vec::new(), user, becomes: true };
    let mut options = Options::new(core, arguments.root.clone());
    // Only a node that owns its machine may ever restart it; one below a root directory does not.
    if arguments.root.is_none() {
        options.power = SystemPower::of_this_machine().map(|power| Box::new(power) as Box<dyn Power>);
    }
    options.clients = super::clients::options(arguments.root.as_deref());
    let status = lrm::executor::run(options);
    u8::try_from(status).unwrap_or(exit::ERROR)
}

/// Makes the log files in a process of its own: this one parses no files.
fn prepare_log(program: &std::path::Path, root: Option<&std::path::Path>) {
    let mut command = std::process::Command::new(program);
    command.arg("prepare-log");
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    if let Err(error) = command.status() {
        eprintln!("everbeat start: no log files are made: {error}");
    }
}

/// The first start of a node with v1 files: its haresources becomes a CIB, in a process of its own.
fn convert_haresources(program: &std::path::Path, root: Option<&std::path::Path>) -> Result<(), u8> {
    let mut command = std::process::Command::new(program);
    command.args(["haresources2cib", "--first-start"]);
    if let Some(root) = root {
        command.arg("--root").arg(root);
    }
    match command.status().map(|status| status.code()) {
        Ok(Some(0)) => Ok(()),
        Ok(code) => Err(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::ERROR)),
        Err(error) => {
            eprintln!("everbeat start: haresources is not looked at: {error}");
            Err(exit::OSERR)
        }
    }
}

/// As whom the core runs: hacluster when we are root, else as ourselves.
fn core_user(as_root: bool) -> Result<Option<User>, String> {
    if !nix::unistd::Uid::effective().is_root() || as_root {
        return Ok(None);
    }
    User::hacluster()
        .map(Some)
        .map_err(|error| format!("{error}; or, if it must be: everbeat start --core-as-root"))
}

fn core_arguments(arguments: &Arguments) -> Vec<String> {
    let mut words = vec!["core".to_owned(), "--fd".to_owned(), "0".to_owned()];
    if let Some(root) = &arguments.root {
        words.extend(["--root".to_owned(), root.display().to_string()]);
    }
    if let Some(port) = arguments.status_port {
        words.extend(["--status-port".to_owned(), port.to_string()]);
    }
    if let Some(address) = arguments.status_address {
        words.extend(["--status-address".to_owned(), address.to_string()]);
    }
    words
}
