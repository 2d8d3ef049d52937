//! Everbeat crm-core: the policy engine, transitions, fencing, the controller and the embeddable node.
//!
//! * [`policy`] decides: a pure function from a CIB to a plan.
//! * [`transition`] executes a plan; [`fencing`] fences; [`attributes`] keeps this node's transient attributes;
//!   [`controller`] is one node's life and, where it is the DC, its duties. Machines all:
//!   `handle(now, event, &mut actions)`, `deadline()`, no clock, file, socket or thread.
//! * [`core`] wires the machines of one node, with those of `ccm` and `lrm`, into one.
//! * [`node`] embeds a node in a program (feature `runtime`).

pub mod attributes;
pub mod client;
pub mod controller;
pub mod core;
pub mod explain;
pub mod fencing;
pub mod message;
pub mod now;
pub mod policy;
pub mod status;
pub mod transition;

#[cfg(feature = "runtime")]
pub mod node;
