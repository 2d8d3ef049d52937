//! Who runs where.

pub mod lines;
