//! The cluster information base as a value: an XML document with versions, operations and patches.
//!
//! Start with [`Cib`], a document that is cheap to copy, and [`Element`], the tree it is made of. [`apply`] carries out
//! one request and [`patch`] tells two documents apart. Nothing here knows of clusters or networks, and without the
//! feature `disk` nothing touches a file.

pub mod acl;
pub mod convert;
pub mod dialect;
pub mod digest;
#[cfg(feature = "disk")]
pub mod disk;
mod document;
pub mod model;
pub mod ops;
pub mod patch;
pub mod schema;
mod version;
pub mod xml;
pub mod xpath;

pub use document::{Cib, CibError};
pub use ops::{Applied, Code, OpError, Operation, Options, Request, Stamp, apply};
pub use version::{FEATURE_SET, SCHEMA_NEWEST, Version, VersionError};
pub use xml::{Element, Position, Text, Word, XmlError};
