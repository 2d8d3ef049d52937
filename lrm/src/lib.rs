//! Runs agents: OCF, LSB, heartbeat, systemd and fence agents.
//!
//! Two halves, with a border that a process boundary runs along:
//!
//! * **What to run and what it meant** is pure: [`Queue`] keeps one operation at a time per resource,
//!   [`class`] turns an operation into a [`Command`] and an [`Outcome`] into a return code, [`metadata`]
//!   reads what an agent says about itself. No file, process or clock.
//! * **Running it** (feature `runtime`): `exec` owns processes, and `executor` is the small privileged
//!   process that starts agents and the core for the rest of the program, which holds no privilege.
//!
//! Start with [`OpRequest`], [`OpResult`] and [`Queue`].
//!
//! # Duties of a driver
//!
//! 1. [`Action::Spawn`]: hand the command to an executor under its [`ExecId`]; answer with
//!    [`Event::Exited`] exactly once, whatever happens. The executor, not the queue, enforces
//!    [`Command::timeout`].
//! 2. [`Action::Kill`]: end the process group; the `Exited` of that id still follows.
//! 3. [`Action::Report`]: give the result to whoever keeps the history.
//! 4. [`Action::Confirm`]: after the reports before it, let the executor forget the result.
//! 5. Feed [`Event::Wake`] at [`Queue::deadline`].
//! 6. After a restart of the core: an [`Event::Adopt`] for every operation the executor still runs or
//!    holds the result of, before the first [`Event::Submit`]; then the `Exited` of those results.

mod agent;
pub mod bundled;
pub mod class;
pub mod clients;
mod codec;
mod command;
#[cfg(feature = "runtime")]
pub mod exec;
#[cfg(feature = "runtime")]
pub mod executor;
#[cfg(feature = "runtime")]
pub mod listing;
pub mod metadata;
mod op;
mod queue;

pub use agent::{AgentError, AgentRef, Class};
pub use class::Roots;
pub use command::{Command, End, Outcome, Program, Secrets, SpawnError};
pub use op::{BadNote, CallId, ExecId, Now, OpRequest, OpResult, OpStatus, Verdict, rc};
pub use queue::{Action, Event, Queue, Refusal};
