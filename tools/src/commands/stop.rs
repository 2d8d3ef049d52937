//! `everbeat stop`: a clean stop of this node, resources first.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;

use crate::api;
use crate::api::client::{Client, ClientError};
use crate::exit;

/// Stop the cluster software on this node: its resources move or stop first.
#[derive(Parser)]
#[command(name = "everbeat stop", disable_version_flag = true)]
struct Arguments {
    /// Where the node's files are.
    #[arg(long, env = "EVERBEAT_ROOT", value_name = "DIR")]
    root: Option<PathBuf>,
    /// Wait at most this many seconds for the end.
    #[arg(long, default_value_t = 1200)]
    timeout: u64,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let root = arguments.root.unwrap_or_else(|| PathBuf::from("/"));
    let mut client = match Client::connect(&root) {
        Ok(client) => client,
        // Stopped already is what was asked for.
        Err(ClientError::NotRunning { .. }) => return exit::OK,
        Err(error) => {
            eprintln!("everbeat stop: {error}");
            return error.exit();
        }
    };
    // A node with nothing to stop may be gone before it has answered.
    if let Err(error) = client.shutdown("")
        && !is_gone_within(&root, Duration::from_secs(2))
    {
        eprintln!("everbeat stop: {error}");
        return error.exit();
    }
    let end = Instant::now() + Duration::from_secs(arguments.timeout);
    while std::os::unix::net::UnixStream::connect(api::socket_path(&root)).is_ok() {
        if Instant::now() > end {
            eprintln!(
                "everbeat stop: still stopping after {} s; crm_mon shows what it waits for",
                arguments.timeout
            );
            return exit::TIMEOUT;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    exit::OK
}

/// Whether the daemon's socket is closed, now or within `limit`.
fn is_gone_within(root: &std::path::Path, limit: Duration) -> bool {
    let end = Instant::now() + limit;
    while std::os::unix::net::UnixStream::connect(api::socket_path(root)).is_ok() {
        if Instant::now() > end {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}
