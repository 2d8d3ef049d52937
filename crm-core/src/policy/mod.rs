//! The policy engine: which resource runs where, and what has to be done for it.

pub mod ix;
pub mod transition;
