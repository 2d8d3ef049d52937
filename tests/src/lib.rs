//! What tests that span crates share: hosts made of namespaces, the binary under test, and one way to
//! say that something a test needs is not there.
//!
//! Start with [`hosts::Lab`] for a real cluster on one machine.

pub mod alone;
pub mod binary;
pub mod cluster;
pub mod differ;
pub mod drift;
pub mod fleet;
pub mod hosts;
pub mod need;
pub mod roots;
pub mod sim;
pub mod spent;
