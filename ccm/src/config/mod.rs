//! Configuration files of Heartbeat: `ha.cf`, `authkeys`, `logd.cf`.
//!
//! Reading is pure: text and a file name in, a typed value with the line of every setting, and all
//! problems of the file, out. What needs the machine (users, interfaces, programs, the mode of the
//! key file) is asked of it in separate steps, through [`Machine`] or with plain arguments.
//!
//! Start with [`Config::parse`] and [`AuthKeys::parse`]; [`DIRECTIVES`] is the reference manual.
//!
//! Three directives are Everbeat's own, a Heartbeat refuses them: `nodename NAME` (this node's name),
//! `bindaddr ADDRESS` (own address of the UDP media that follow) and `weight NODE=VOTES`. With the
//! first two, several nodes live on one machine: each with its own root directory, its own loopback
//! address, and one port for all:
//!
//! ```text
//! nodename hatest3
//! bindaddr 127.0.0.11
//! ucast lo 127.0.0.11
//! ucast lo 127.0.0.12
//! ```
//!
//! Deliberate differences from Heartbeat 3.0.6: `stonith_host` lines are all kept (it kept the last);
//! a repeated `apiauth` of a program that is built in is a warning; a program that is built in need
//! not exist; `auth N` may follow its key.

mod authkeys;
mod check;
mod connectivity;
mod conversion;
mod directives;
mod environment;
mod lines;
mod logd;
mod parse;
mod problem;
#[cfg(feature = "runtime")]
mod read;
mod set;
mod show;
#[cfg(feature = "runtime")]
mod system;
mod types;
mod value;

pub use authkeys::{AuthKey, AuthKeys, AuthMethod, Secret, exit_status};
pub use check::{API_CLIENT, Machine};
pub use connectivity::Connectivity;
pub use directives::{DIRECTIVES, Directive, Effect, Kind, directive};
pub use logd::LogdConfig;
pub use problem::{ConfigProblem, Severity, nearest};
#[cfg(feature = "runtime")]
pub use read::{Paths, local_node_name, read_authkeys, read_config, read_text};
pub use show::ShownLine;
#[cfg(feature = "runtime")]
pub use system::System;
pub use types::*;
pub use value::{Setting, is_node_name, parse_bool, parse_time, show_time};

/// Exit status of a daemon that refuses its configuration (LSB "not configured").
pub const EXIT_CONFIGURATION: u8 = 6;
/// Exit status of a daemon that may not read its configuration, or finds it readable by others.
pub const EXIT_PERMISSION: u8 = 4;

#[cfg(test)]
mod tests;
