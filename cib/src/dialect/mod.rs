//! Older languages, turned into the newest: Heartbeat 2.x, Pacemaker 1.x and 2.x.
//!
//! [`upgrade`] does the whole way and reports each change it made. Within one major version every
//! schema is accepted by the next, so only its name changes; between major versions a transform is
//! needed ([`acls`](self) from 1 to 2, options and resources from 2 to 3), and the Heartbeat 2.x
//! dialect has one of its own.
//!
//! Source: Pacemaker 2.1.5, "upgrade-1.3" and "upgrade-2.10"; the Heartbeat 2.x rules keep ids and
//! meanings that the classic style sheet lost (unitless times are milliseconds, several rules in one
//! set, `symmetrical` colocations).

mod acceptable;
mod acls;
mod change;
mod constraints;
mod heartbeat2;
mod ids;
mod major3;
mod names;
mod resources;

pub use acceptable::{UNCHECKED, Unacceptable, acceptable, is_older, is_unchecked, modern};
pub use change::{Change, Level};

use crate::Element;
use crate::schema::{self, Complaint, Dialect, SchemaError, SchemaVersion, Severity};

/// A document in the newest language it can be in.
#[derive(Debug, Clone)]
pub struct Upgraded {
    pub root: Element,
    /// What was changed, in order; empty if only the schema's name changed.
    pub changes: Vec<Change>,
    pub from: Dialect,
    pub to: Dialect,
}

/// Why a document could not be upgraded. Nothing was changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UpgradeError {
    /// It is not valid in the language it says it is in.
    #[error("the document does not conform to {dialect}: {}", first(.complaints))]
    Invalid { dialect: String, complaints: Vec<Complaint> },
    /// What came out of a transform is not valid: a defect of ours, or a document beyond repair.
    #[error("the document cannot be brought to {dialect}: {}", first(.complaints))]
    Transform { dialect: String, complaints: Vec<Complaint> },
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

fn first(complaints: &[Complaint]) -> String {
    complaints.first().map(ToString::to_string).unwrap_or_default()
}

const NEWEST: SchemaVersion = SchemaVersion(3, 9);
/// The last version of each major one before the newest.
const LAST: &[(u16, u16)] = &[(1, 3), (2, 10)];

/// Whether this is a document of the Heartbeat 2.x dialect: it has that dialect's marks, or names no
/// schema.
pub fn is_heartbeat_2(root: &Element) -> bool {
    if root.attr("validate-with").is_some_and(|name| name != "none") {
        return false;
    }
    let marks =
        ["ignore_dtd", "have_quorum", "dc_uuid", "cib_feature_revision", "num_peers", "ccm_transition"];
    let on_root = marks.iter().any(|mark| root.attr(mark).is_some());
    let Some(configuration) = root.child("configuration") else { return on_root };
    let inside = configuration.descendants().any(|element| match element.name() {
        "attributes" | "master_slave" => true,
        "rsc_order" | "rsc_colocation" => element.attr("from").is_some(),
        "op" => element.attr("on_fail").is_some() || element.attr("prereq").is_some(),
        _ => false,
    });
    on_root || inside || root.attr("validate-with").is_none()
}

/// Brings a document to the newest language. `validate-with="none"` and `pacemaker-next` stay as
/// they are.
///
/// # Errors
/// See [`UpgradeError`].
pub fn upgrade(root: &Element) -> Result<Upgraded, UpgradeError> {
    if is_heartbeat_2(root) {
        check(root, Dialect::Heartbeat2, true)?;
        let mut changes = Vec::new();
        let modern = heartbeat2::convert(root, &mut changes);
        let mut done = upgrade_modern(&modern, SchemaVersion(1, 0), false)?;
        changes.append(&mut done.changes);
        return Ok(Upgraded { changes, from: Dialect::Heartbeat2, ..done });
    }
    match schema::dialect_of(root)? {
        Dialect::Modern(version) if version < NEWEST => upgrade_modern(root, version, true),
        dialect => Ok(Upgraded { root: root.clone(), changes: Vec::new(), from: dialect, to: dialect }),
    }
}

fn upgrade_modern(root: &Element, from: SchemaVersion, as_given: bool) -> Result<Upgraded, UpgradeError> {
    check(root, Dialect::Modern(from), as_given)?;
    let mut root = root.clone();
    let mut changes = Vec::new();
    for (major, minor) in LAST {
        if from.0 > *major {
            continue;
        }
        name(&mut root, SchemaVersion(*major, *minor));
        check(&root, Dialect::Modern(SchemaVersion(*major, *minor)), false)?;
        match major {
            1 => acls::upgrade(&mut root, &mut changes),
            _ => major3::upgrade(&mut root, &mut changes),
        }
    }
    name(&mut root, NEWEST);
    check(&root, Dialect::Modern(NEWEST), false)?;
    Ok(Upgraded { root, changes, from: Dialect::Modern(from), to: Dialect::Modern(NEWEST) })
}

fn name(root: &mut Element, version: SchemaVersion) {
    root.set_attr("validate-with", Dialect::Modern(version).to_string());
}

fn check(root: &Element, dialect: Dialect, as_given: bool) -> Result<(), UpgradeError> {
    let mut complaints = schema::validate_as(root, dialect)?;
    complaints.retain(|complaint| complaint.severity == Severity::Error);
    if complaints.is_empty() {
        return Ok(());
    }
    let dialect = dialect.to_string();
    Err(if as_given {
        UpgradeError::Invalid { dialect, complaints }
    } else {
        UpgradeError::Transform { dialect, complaints }
    })
}
