//! Hosts made of Linux namespaces, joined by bridges in one further namespace.
//!
//! A [`Lab`] has N hosts, each with network, mount, UTS, IPC and PID namespaces of its own: `/etc`,
//! `/usr` and `/var` are overlays whose upper layer survives a power failure, `/run` is fresh at each
//! start. [`Lab::power_off`] kills the host's first process, and with it everything in the host.
//! Nothing is named in `/run/netns` and no traffic leaves the namespaces; all of it goes when the
//! `Lab` is dropped, or when the test process dies.

mod cable;
mod lab;
pub mod probe;
mod process;

pub use cable::Cable;
pub use lab::{Lab, LabError};
pub use process::Inside;
