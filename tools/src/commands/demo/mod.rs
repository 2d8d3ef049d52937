//! `everbeat demo`: a real cluster of three nodes on loopback addresses, and a takeover to watch.
//!
//! Needs no root and no configuration. Every node has its own two processes, root directory, sockets,
//! key and CIB; the service is a small HTTP server on an address of its own, run by an agent that ships
//! with us. Nothing leaves the machine, and everything goes when the demo ends.

mod node;
mod story;
mod watch;

use std::ffi::OsString;

use clap::Parser;

use crate::exit;

/// Start a cluster of three nodes on this machine, kill the one that runs the service, watch.
#[derive(Parser)]
#[command(name = "everbeat demo", disable_version_flag = true)]
struct Arguments {
    /// End after the takeover, with status 0; with another status if it fails.
    #[arg(long)]
    once: bool,
    /// Keep the nodes' files, and say where they are.
    #[arg(long)]
    keep: bool,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match story::tell(arguments.once, arguments.keep) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("everbeat demo: {error}");
            exit::ERROR
        }
    }
}
