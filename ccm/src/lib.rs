//! Everbeat ccm: heartbeat media, reliable messaging, membership, DC and the replicated CIB.
//!
//! Two machines share the work. [`link::Link`] speaks on the wires: packets ([`wire`]), media
//! ([`medium`]), heartbeats, sessions, reliable messages. [`group::Group`] decides who is a member and
//! what the CIB is. They meet at [`seam`]. Both are pure: time, bytes and seeds come in, actions go out.
//! The link machine runs in a thread of its own ([`runtime`]), so that a busy core never makes a healthy
//! node look dead; the group machine runs in the core of the node.
//!
//! Not here: resources, agents, fencing decisions, and any file or socket in the machines.

pub mod bus;
pub mod codec;
pub mod config;
pub mod election;
pub mod group;
pub mod link;
pub mod medium;
pub mod membership;
pub mod replication;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod sabotage;
pub mod seam;
pub mod wire;
