//! The daemon's gRPC interface (`schemas/management.proto`) and its client.
//!
//! [`server`] listens on a Unix socket, where the peer's credentials decide, and on TCP of the
//! loopback, where only health, reflection, the redacted status and [`metrics`] are answered. [`client`]
//! is what the commands use.

pub mod client;
pub mod management;
pub mod metrics;
pub mod peer;
mod peer_groups;
pub mod server;
pub mod status;

use std::path::{Path, PathBuf};

/// The messages and services, generated from `schemas/management.proto`.
#[allow(clippy::all, clippy::unwrap_used, missing_docs)]
pub mod proto {
    tonic::include_proto!("everbeat.v1");
    /// The file itself, for reflection.
    pub const DESCRIPTOR: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/management.bin"));
}

/// TCP port of the read-only status, on the loopback address.
pub const STATUS_PORT: u16 = 5560;

/// The socket of the daemon whose files lie below `root` (`/` on a machine of its own).
pub fn socket_path(root: &Path) -> PathBuf {
    root.join("var/run/heartbeat/everbeat.sock")
}

/// Root of the node a command speaks to: `EVERBEAT_ROOT`, else `/`.
pub fn root_from_environment() -> PathBuf {
    std::env::var_os("EVERBEAT_ROOT").map_or_else(|| PathBuf::from("/"), PathBuf::from)
}
