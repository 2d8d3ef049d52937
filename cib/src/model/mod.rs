//! The document as typed values: cluster options with their defaults, and borrowed views of the sections.
//!
//! [`Options`] is one struct made of the table [`OPTIONS`], which is also the option reference
//! (`everbeat options`). The views borrow the document and allocate nothing; they take a document as it
//! is, so a missing section is an empty one.

mod options;
mod values;
mod views;

pub use options::{ClusterOption, Kind, OPTIONS, OptionProblem, Options, Part, option};
pub use values::{parse_bool, parse_integer, parse_msec, parse_percentage, parse_time};
pub use views::{
    Constraint, ConstraintKind, Constraints, Node, NodeState, Nodes, Operation, Properties, Resource,
    ResourceKind, Resources, StatusView,
};
