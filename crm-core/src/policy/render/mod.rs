//! The planner's values as the text that administrators know.

pub mod actions;
pub mod graph;
pub mod list;
pub mod scores;
pub mod status;
pub mod xml;

pub use list::{Form, List};
