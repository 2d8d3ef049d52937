//! Is this document what its dialect allows: structure, unique ids, existing references.
//!
//! The grammars are `schemas/cib.rng` (every version of the modern language in one) and
//! `schemas/heartbeat-2.rng`. [`validate`] answers with a list of [`Complaint`]s, empty for a valid
//! document; each names the place, what was found and what would be right.

mod adapter;
mod complaint;
mod grammar;
pub(crate) mod incremental;
mod pattern;
mod references;
mod remedy;
mod words;

pub use complaint::{Complaint, Severity};
pub(crate) use grammar::dialect_of;
pub use grammar::{Dialect, KNOWN, SchemaError, SchemaVersion};

use crate::Element;

/// Checks a document against the grammar that it names itself (`validate-with`; a document in the
/// Heartbeat 2.x dialect names none and is recognised by its shape).
///
/// # Errors
/// The document names a schema that does not exist, or one that exists by name only.
pub fn validate(root: &Element) -> Result<Vec<Complaint>, SchemaError> {
    let dialect = grammar::dialect_of(root)?;
    validate_as(root, dialect)
}

/// Checks a document against the grammar of a given dialect, whatever it names itself.
///
/// # Errors
/// The grammar cannot be used: a defect of this program.
pub fn validate_as(root: &Element, dialect: Dialect) -> Result<Vec<Complaint>, SchemaError> {
    let mut complaints = match dialect {
        Dialect::None => Vec::new(),
        _ => adapter::structure(root, &*grammar::compiled(dialect)?)?,
    };
    if dialect != Dialect::None {
        complaints.extend(references::check(root, dialect));
    }
    complaints.sort_by_key(|complaint| complaint.position);
    Ok(complaints)
}
