//! From decisions about roles and nodes to a graph of actions.

pub mod arena;
pub mod flags;
pub mod task;
