//! `everbeat`: one binary, every command.
//!
//! Called by its own name it takes the command as first word (`everbeat crm_mon -1`); called through
//! a link of a command's name (`everbeat install-links DIR` makes them) it is that command. Each
//! command is one file below [`commands`]: it parses arguments, calls a library or the API, prints.

mod api;
mod attribute;
mod commands;
mod exit;
mod fenced;
mod groups;
mod logging;
mod offline;
mod planned;
mod print;
mod request;
mod show_access;
mod source;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    crm_core::policy::keep_memory();
    let mut words = std::env::args_os();
    let called_as = words.next().unwrap_or_default();
    let arguments: Vec<OsString> = words.collect();
    ExitCode::from(commands::dispatch(&called_as, arguments))
}
