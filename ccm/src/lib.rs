//! Everbeat ccm: heartbeat media, reliable messaging, membership, DC and the replicated CIB.

pub mod bus;
pub mod codec;
pub mod config;
pub mod election;
pub mod group;
pub mod link;
pub mod membership;
pub mod replication;
pub mod seam;
pub mod wire;
