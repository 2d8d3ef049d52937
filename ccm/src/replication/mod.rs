//! The replicated CIB: histories, updates within a view, transfer between views (protocol §9–14).

pub mod delta;
