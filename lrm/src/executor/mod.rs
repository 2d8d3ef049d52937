//! The executor: the small privileged process of a node, and the core's side of talking to it.
//!
//! ```text
//!   everbeat start ── executor (root) ──── agents, each in its own group
//!                        │ socket pair
//!                        └─ core (hacluster): network, CIB, policy
//! ```
//!
//! The executor reads no network and parses no document. It makes the run-time directories, starts the
//! core and starts it again when it dies, runs what the core asks for and keeps what came of it until the
//! core has confirmed it, and opens what the core may not open itself. It outlives the core, so that no
//! agent is lost with it.
//!
//! [`run`] is the executor. [`connect`] is the core's end. [`wire`] is what they say.
//!
//! # A core's duties
//!
//! 1. Say [`wire::Request::Hello`] (done by [`connect`]); the first reply is [`wire::Reply::Welcome`].
//! 2. Adopt every run named there (`lrm::Event::Adopt`) before asking for anything; the ends of those that
//!    have ended already follow as [`wire::Reply::Exited`].
//! 3. Confirm every `Exited`.
//! 4. On [`wire::Reply::Stop`]: stop the resources, say `Bye` with the exit status,
//!    [`Client::flush`], exit with it.
//! 5. When the replies end, the executor is gone: stop at once, without it nothing can be run.

mod alone;
mod children;
mod client;
mod core;
pub mod dirs;
mod open;
mod power;
mod rights;
mod server;
mod signals;
mod users;
pub mod wire;

pub use children::{ClientOptions, ClientSpec};
pub use client::{Client, ExecutorGone, OpenError, Replies, connect, connect_stdin};
pub use power::{Power, SystemPower};
pub use rights::take_on;
pub use server::{CoreCommand, Options, run};
pub use users::{NoUser, User};

/// Exit statuses of the core that say what to do with it (Heartbeat's own numbers). After all but
/// [`status::AGAIN`] and an end without farewell it is of no use to start it again.
pub mod status {
    pub const OK: i32 = 0;
    pub const ERROR: i32 = 1;
    /// The command line was wrong.
    pub const USAGE: i32 = 64;
    /// A file has the wrong owner or mode, or a privilege is missing.
    pub const PERMISSION: i32 = 4;
    /// The configuration is wrong.
    pub const CONFIGURATION: i32 = 6;
    /// The core ends in order to be started anew.
    pub const AGAIN: i32 = 75;
    /// The node was fenced, or put out for good: it stays down until somebody starts it.
    pub const STAY_DOWN: i32 = 100;
}
