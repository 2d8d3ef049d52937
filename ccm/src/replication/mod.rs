//! The replicated CIB: histories, updates within a view, transfer between views (protocol §9–14).

pub mod delta;
pub mod entry;
pub mod lineage;
pub mod merge;
pub mod table;
