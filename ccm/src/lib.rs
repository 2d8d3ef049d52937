//! Everbeat ccm: heartbeat media, reliable messaging, membership, DC and the replicated CIB.

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
