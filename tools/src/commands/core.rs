//! `everbeat core`: the part that meets the network; started by the executor, never by hand.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use ccm::config::{
    AuthKeys, Config, ConfigProblem, CrmMode, Paths, Severity, System, exit_status, local_node_name,
    read_authkeys, read_config,
};
use clap::Parser;
use crm_core::node::{Executor, Node, NodeHandle};
use lrm::executor::wire::{Open, Request};
use lrm::executor::{Client, connect_stdin};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::api::management::Management;
use crate::api::server::{bind_unix, serve_tcp, serve_unix, status_address};
use crate::api::status::StatusService;
use crate::api::{STATUS_PORT, socket_path};
use crate::exit;
use crate::logging::{self, LogGuard};

/// The part of a node that meets the network. The executor starts it.
#[derive(Parser)]
#[command(name = "everbeat core", disable_version_flag = true)]
struct Arguments {
    /// The descriptor of the executor's socket; always 0.
    #[arg(long)]
    fd: u32,
    /// Become this user before anything else, keeping the right to real-time priority.
    #[arg(long, value_name = "UID:GID")]
    r#become: Option<String>,
    /// Where the node's files are.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// TCP port of the read-only status; 0 for none.
    #[arg(long, value_name = "PORT", default_value_t = STATUS_PORT)]
    status_port: u16,
    /// Loopback address of the read-only status.
    #[arg(long, value_name = "ADDRESS", default_value_t = Ipv4Addr::LOCALHOST)]
    status_address: Ipv4Addr,
}

/// Why the core ends before it has begun: the exit status; what is wrong has been said.
struct Refused(u8);

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if let Some(user) = &arguments.r#become
        && let Err(error) = lrm::executor::take_on(user)
    {
        eprintln!("everbeat core: becoming {user}: {error}");
        return exit::PERMISSION;
    }
    if arguments.fd != 0 || !arguments.status_address.is_loopback() {
        eprintln!("everbeat core: --fd is 0 and --status-address a loopback address; see everbeat start");
        return exit::USAGE;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(live(&arguments)).unwrap_or_else(|Refused(status)| status),
        Err(error) => {
            eprintln!("everbeat core: {error}");
            exit::OSERR
        }
    }
}

/// The whole life of a core.
async fn live(arguments: &Arguments) -> Result<u8, Refused> {
    let paths = Paths::new(arguments.root.clone());
    let config = read_config(&paths.ha_cf()).map_err(refuse)?;
    let _log = start_log(&config, &paths);
    crate::api::peer::admit_by(&config);
    let reboot = config.crm.value == CrmMode::On;
    let (client, replies) = connect_stdin(reboot).map_err(|error| fail("the executor's socket", &error))?;
    let result = serve(arguments, &paths, config, client.clone(), replies).await;
    let status = match &result {
        Ok(status) | Err(Refused(status)) => *status,
    };
    // An executor that has gone away needs no farewell.
    let _ = client.send(Request::Bye { status: i32::from(status) });
    let _ = client.flush().await;
    result
}

async fn serve(
    arguments: &Arguments,
    paths: &Paths,
    config: Config,
    client: Client,
    replies: lrm::executor::Replies,
) -> Result<u8, Refused> {
    let keys = keys(paths, &client).await.map_err(refuse)?;
    let machine = config.check_machine(&System::new(paths.clone()));
    if machine.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(refuse(machine));
    }
    for problem in machine {
        tracing::warn!("{}", problem.log_line());
    }
    let haresources = paths.haresources();
    let shown = haresources.exists().then(|| haresources.display().to_string());
    for (severity, line) in config.start_lines(shown.as_deref(), env!("CARGO_PKG_VERSION")) {
        match severity {
            Severity::Error => tracing::error!("{line}"),
            Severity::Warning => tracing::warn!("{line}"),
            Severity::Note => tracing::info!("{line}"),
        }
    }
    let name = local_node_name(Some(&config), paths);
    let config_watchdog = config.watchdog.as_ref().map(|watchdog| watchdog.value.display().to_string());
    let root = arguments.root.clone();
    // As Heartbeat sets it: the dead time, rounded up to whole seconds (§14.1).
    let timeout_s = config.deadtime.value.as_millis().saturating_add(10).div_ceil(1000);
    let timeout_s = u32::try_from(timeout_s).unwrap_or(u32::MAX);
    watchdog(config_watchdog, timeout_s, arguments, &client).await;
    let new_keys = watch_keys(paths, keys.clone(), client.clone());
    let mut builder = Node::builder(config, keys)
        .name(&name)
        .root(root.clone())
        .new_keys(new_keys)
        .executor(Executor::Process(client, replies));
    if let Some(root) = &root {
        builder = builder.agents(agents_below(root)?);
    }
    let node = builder.spawn().await.map_err(|error| {
        tracing::error!("{error}");
        eprintln!("everbeat: {error}");
        Refused(u8::try_from(error.exit_code()).unwrap_or(exit::ERROR))
    })?;
    listen(arguments, &node)?;
    let end = node.ended().await;
    if !end.reason.is_empty() {
        tracing::error!("{}", end.reason);
    }
    tracing::info!("{name} Heartbeat shutdown complete.");
    // The socket's file would make a command wait for nobody.
    let _ = std::fs::remove_file(socket_path(root.as_deref().unwrap_or(std::path::Path::new("/"))));
    Ok(u8::try_from(end.code).unwrap_or(exit::ERROR))
}

/// Has the executor open the watchdog; from then on a core that stands still resets the machine. A
/// node that shares its machine with others leaves it alone.
async fn watchdog(path: Option<String>, timeout_s: u32, arguments: &Arguments, client: &Client) {
    let Some(path) = path.filter(|_| arguments.root.is_none()) else { return };
    match client.open(Open::Watchdog { path: path.clone(), timeout_s }).await {
        Ok(_) => tracing::info!("watchdog {path} is open"),
        Err(error) => tracing::error!("watchdog {path}: {error}; the node runs without one"),
    }
}

/// Agents of a node below a root directory: its own, ours, and the system's.
fn agents_below(root: &std::path::Path) -> Result<lrm::Roots, Refused> {
    let own = root.join("usr/lib/ocf/resource.d");
    lrm::bundled::install(&own).map_err(|error| fail("writing the agents that ship with us", &error))?;
    let mut roots = lrm::Roots::below(root).with_ocf_dir(&own);
    if let Ok(program) = std::env::current_exe() {
        roots.env.insert("EVERBEAT_BINARY".into(), program.display().to_string());
    }
    Ok(roots)
}

/// Opens the sockets of the interface.
fn listen(arguments: &Arguments, node: &NodeHandle) -> Result<(), Refused> {
    let root = arguments.root.clone().unwrap_or_else(|| PathBuf::from("/"));
    let path = socket_path(&root);
    let listener = bind_unix(&path).map_err(|error| fail(&path.display().to_string(), &error))?;
    let (management, status) = (Management::new(node.clone()), StatusService::new(node.clone()));
    let stop = ended(node.clone());
    tokio::spawn(async move {
        if let Err(error) = serve_unix(listener, management, status, stop).await {
            tracing::error!("the management interface has failed: {error}");
        }
    });
    if arguments.status_port == 0 {
        return Ok(());
    }
    let address = status_address(arguments.status_address, arguments.status_port);
    let (status, stop) = (StatusService::new(node.clone()), ended(node.clone()));
    let shown = node.clone();
    let metrics = move || crate::api::metrics::of(&shown);
    tokio::spawn(async move {
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => {
                tracing::warn!(
                    "no read-only status on {address}: {error}; --status-port chooses another port"
                );
                return;
            }
        };
        if let Err(error) = serve_tcp(listener, status, metrics, stop).await {
            tracing::error!("the read-only status has failed: {error}");
        }
    });
    Ok(())
}

async fn ended(node: NodeHandle) {
    node.ended().await;
}

fn fail(what: &str, error: &std::io::Error) -> Refused {
    tracing::error!("{what}: {error}");
    eprintln!("everbeat: {what}: {error}");
    let denied = error.kind() == std::io::ErrorKind::PermissionDenied;
    Refused(if denied { exit::PERMISSION } else { exit::ERROR })
}

/// Says every problem of a file, where it is logged and where whoever started us sees it.
fn refuse(problems: Vec<ConfigProblem>) -> Refused {
    for problem in &problems {
        eprintln!("everbeat: {problem}");
        tracing::error!("{problem}");
    }
    Refused(exit_status(&problems))
}

/// Reads `authkeys` again whenever the file has changed and is a second old. A wrong file is said and
/// changes nothing.
fn watch_keys(paths: &Paths, present: AuthKeys, client: Client) -> watch::Receiver<AuthKeys> {
    let (sender, receiver) = watch::channel(present);
    let paths = paths.clone();
    tokio::spawn(async move {
        let look = || {
            let data = std::fs::metadata(paths.authkeys()).ok()?;
            Some((data.ino(), data.len(), data.mtime(), data.mtime_nsec()))
        };
        let (mut used, mut before) = (look(), look());
        while !sender.is_closed() {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            let found = look();
            if found != used && found == before && found.is_some() {
                used = found;
                match keys(&paths, &client).await {
                    Ok(keys) => {
                        tracing::info!(target: "heartbeat", "Rereading authentication file.");
                        if sender.send(keys).is_err() {
                            return;
                        }
                    }
                    Err(problems) => {
                        for problem in problems {
                            tracing::error!(target: "heartbeat", "{problem}; the keys in use are kept");
                        }
                    }
                }
            }
            before = found;
        }
    });
    receiver
}

/// The keys. They are root's alone: where this process may not read them, the executor opens the file.
async fn keys(paths: &Paths, client: &Client) -> Result<AuthKeys, Vec<ConfigProblem>> {
    let path = paths.authkeys();
    match read_authkeys(&path) {
        Err(problems) if problems.iter().any(|problem| problem.code == "not-readable") => {
            let opened = client.open(Open::Config { name: "authkeys".into() }).await;
            match opened {
                Ok(Some(fd)) => keys_from(fd, &path.display().to_string()),
                _ => Err(problems),
            }
        }
        result => result,
    }
}

fn keys_from(fd: OwnedFd, name: &str) -> Result<AuthKeys, Vec<ConfigProblem>> {
    let file = File::from(fd);
    let data = file.metadata().ok();
    if let Some(data) = data
        && let Some(problem) = AuthKeys::check_permissions(name, data.mode() & 0o7777, data.uid(), 0)
    {
        return Err(vec![problem]);
    }
    let mut text = String::new();
    // What is no text is no key file either: the parser says so.
    let _ = file.take(1 << 20).read_to_string(&mut text);
    AuthKeys::parse(&text, name)
}

fn start_log(config: &Config, paths: &Paths) -> LogGuard {
    logging::start(super::log_files::targets(config, paths))
}
