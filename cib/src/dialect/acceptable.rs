//! What a planner takes: documents of the newest major version, and older ones brought there in memory.

use super::{LAST, UpgradeError, Upgraded, is_heartbeat_2, upgrade, upgrade_modern};
use crate::Element;
use crate::schema::{self, Complaint, Dialect, KNOWN, SchemaError, SchemaVersion, Severity};

/// The oldest version that is used as it is.
const ACCEPTABLE: SchemaVersion = SchemaVersion(3, 0);
const OLDEST: SchemaVersion = SchemaVersion(1, 0);

/// Why a document can be used neither as it is nor upgraded. The sentences are those of Pacemaker 2.1.5.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Unacceptable {
    /// It is not valid in the language it says it is in.
    #[error("the document does not conform to {dialect}")]
    Invalid { dialect: String, complaints: Vec<Complaint> },
    /// It is older, and no version fits.
    #[error(
        "Cannot upgrade configuration (claiming schema {claimed}) to at least {} because it does not validate \
         with any schema from {from} to {}",
        Dialect::Modern(ACCEPTABLE),
        Dialect::Modern(super::NEWEST)
    )]
    NoSchema { claimed: String, from: String, complaints: Vec<Complaint> },
    /// It is older, and a step on the way does not succeed.
    #[error(
        "Cannot upgrade configuration (claiming schema {claimed}) to at least {} because it would not upgrade \
         past {past}",
        Dialect::Modern(ACCEPTABLE)
    )]
    Stuck { claimed: String, past: String, complaints: Vec<Complaint> },
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl Unacceptable {
    /// What is wrong with the document, in detail.
    pub fn complaints(&self) -> &[Complaint] {
        match self {
            Unacceptable::Invalid { complaints, .. }
            | Unacceptable::NoSchema { complaints, .. }
            | Unacceptable::Stuck { complaints, .. } => complaints,
            Unacceptable::Schema(_) => &[],
        }
    }
}

/// Whether nothing checks this document: it says so, or names no schema.
pub fn is_unchecked(root: &Element) -> bool {
    root.attr("validate-with").is_none_or(|name| name.eq_ignore_ascii_case("none"))
}

/// What a tool says about such a document (Pacemaker 2.1.5's sentence).
pub const UNCHECKED: &str = "Schema validation of configuration is disabled (enabling is encouraged and prevents common \
                             misconfigurations)";

/// Whether a planner should not take this document as it is: it is in an older language.
pub fn is_older(root: &Element) -> bool {
    is_heartbeat_2(root) || !is_unchecked(root) && claimed(root).1 < ACCEPTABLE
}

/// The name a document gives its schema, and the version that is; the oldest for a name that is not known.
fn claimed(root: &Element) -> (&str, SchemaVersion) {
    let name = root.attr("validate-with").unwrap_or_default();
    let known = KNOWN.iter().find(|known| known.eq_ignore_ascii_case(name));
    let mut named = Element::new("cib");
    named.set_attr("validate-with", known.copied().unwrap_or("pacemaker-1.0"));
    match schema::dialect_of(&named) {
        Ok(Dialect::Modern(version)) => (name, version),
        _ => (name, OLDEST),
    }
}

/// Checks a document for planning. An older one comes back in the newest language; `None` is for one that can be
/// planned as it is: valid in a version from 3.0 on, or not to be checked.
///
/// A document of the Heartbeat 2.x dialect is upgraded where that is possible, and taken as it is otherwise; it names
/// no schema, so nothing says that it has to be valid.
///
/// # Errors
/// See [`Unacceptable`].
pub fn acceptable(root: &Element) -> Result<Option<Upgraded>, Unacceptable> {
    if is_heartbeat_2(root) {
        return Ok(upgrade(root).ok());
    }
    if is_unchecked(root) {
        return Ok(None);
    }
    let (name, version) = claimed(root);
    if version >= ACCEPTABLE {
        let dialect = Dialect::Modern(version);
        let complaints = errors(root, dialect)?;
        return match complaints.is_empty() {
            true => Ok(None),
            false => Err(Unacceptable::Invalid { dialect: dialect.to_string(), complaints }),
        };
    }
    let from = first_fit(root, name, version)?;
    if from >= ACCEPTABLE {
        let mut root = root.clone();
        super::name(&mut root, super::NEWEST);
        let dialect = Dialect::Modern(from);
        return Ok(Some(Upgraded {
            root,
            changes: Vec::new(),
            from: dialect,
            to: Dialect::Modern(super::NEWEST),
        }));
    }
    upgrade_modern(root, from, true).map(Some).map_err(|error| match error {
        UpgradeError::Schema(error) => Unacceptable::Schema(error),
        UpgradeError::Invalid { dialect, complaints } => Unacceptable::Invalid { dialect, complaints },
        UpgradeError::Transform { dialect, complaints } => {
            let steps = std::iter::once(from)
                .chain(LAST.iter().map(|(major, minor)| SchemaVersion(*major, *minor)))
                .map(|version| Dialect::Modern(version).to_string());
            let past = steps.take_while(|step| *step != dialect).last();
            let past = past.unwrap_or_else(|| Dialect::Modern(from).to_string());
            Unacceptable::Stuck { claimed: name.to_owned(), past, complaints }
        }
    })
}

/// The document as a planner takes it, where it was checked when it came in: `None` for one that is planned as it is,
/// else the newest language, as [`acceptable`] makes it.
///
/// # Errors
/// See [`Unacceptable`]: it is in an older language and cannot be brought to the newest.
pub fn modern(root: &Element) -> Result<Option<Element>, Unacceptable> {
    if !is_older(root) {
        return Ok(None);
    }
    Ok(acceptable(root)?.map(|done| done.root))
}

/// The first version from the claimed one on in which a document is valid.
fn first_fit(root: &Element, name: &str, version: SchemaVersion) -> Result<SchemaVersion, Unacceptable> {
    let known = KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
    let mut first = None;
    for candidate in KNOWN.iter().filter(|name| **name != "pacemaker-next") {
        let mut named = Element::new("cib");
        named.set_attr("validate-with", *candidate);
        let Dialect::Modern(tried) = schema::dialect_of(&named)? else { continue };
        if tried < version {
            continue;
        }
        let complaints = errors(root, Dialect::Modern(tried))?;
        if complaints.is_empty() {
            return Ok(tried);
        }
        first.get_or_insert(complaints);
    }
    let (claimed, complaints) = (name.to_owned(), first.unwrap_or_default());
    // The reference takes the oldest version for one that was reached.
    Err(if known && version == OLDEST {
        Unacceptable::Stuck { past: claimed.clone(), claimed, complaints }
    } else {
        let from = if known { name.to_owned() } else { "unknown".to_owned() };
        Unacceptable::NoSchema { claimed, from, complaints }
    })
}

fn errors(root: &Element, dialect: Dialect) -> Result<Vec<Complaint>, SchemaError> {
    let mut complaints = schema::validate_as(root, dialect)?;
    complaints.retain(|complaint| complaint.severity == Severity::Error);
    Ok(complaints)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn document(schema: Option<&str>, constraint: &str) -> Element {
        let schema = schema.map_or_else(String::new, |name| format!("validate-with='{name}'"));
        Element::parse(&format!(
            "<cib {schema} admin_epoch='0' epoch='1' num_updates='0'><configuration><crm_config/><nodes/>\
             <resources><primitive id='r' class='ocf' provider='heartbeat' type='Dummy'/></resources>\
             <constraints>{constraint}</constraints></configuration><status/></cib>"
        ))
        .unwrap()
    }

    const TICKET: &str = "<rsc_ticket id='t' rsc='r' ticket='a'/>";

    #[test]
    fn older_documents_come_back_in_the_newest_language_and_others_as_they_are() {
        let named = |name: &str, constraint: &str| {
            let done = acceptable(&document(Some(name), constraint)).unwrap();
            done.map(|done| done.root.attr("validate-with").unwrap().to_owned())
        };
        for name in ["pacemaker-1.0", "pacemaker-1.2", "pacemaker-2.10", "pacemaker-0.6", "transitional-0.6"]
        {
            assert_eq!(named(name, "").as_deref(), Some("pacemaker-3.9"), "{name}");
        }
        // Tickets came with 1.2; the next version in which a document is valid counts.
        assert_eq!(named("pacemaker-1.0", TICKET).as_deref(), Some("pacemaker-3.9"));
        for name in ["pacemaker-3.0", "pacemaker-3.9", "pacemaker-next", "none", "NONE"] {
            assert_eq!(named(name, TICKET), None, "{name}");
        }
    }

    #[test]
    fn what_fits_nowhere_is_refused_with_the_peers_sentence() {
        let refused = |name: &str, constraint: &str| {
            acceptable(&document(Some(name), constraint)).unwrap_err().to_string()
        };
        let sentence = |claimed: &str, why: &str| {
            format!(
                "Cannot upgrade configuration (claiming schema {claimed}) to at least pacemaker-3.0 because it {why}"
            )
        };
        let from = |from: &str| format!("does not validate with any schema from {from} to pacemaker-3.9");
        assert_eq!(refused("pacemaker-1.2", "<x/>"), sentence("pacemaker-1.2", &from("pacemaker-1.2")));
        assert_eq!(refused("pacemaker-9.9", ""), sentence("pacemaker-9.9", &from("unknown")));
        assert_eq!(
            refused("pacemaker-1.0", "<x/>"),
            sentence("pacemaker-1.0", "would not upgrade past pacemaker-1.0")
        );
        assert_eq!(refused("pacemaker-3.1", "<x/>"), "the document does not conform to pacemaker-3.1");
        let complaints = acceptable(&document(Some("pacemaker-3.1"), "<x/>")).unwrap_err();
        assert!(complaints.complaints().iter().any(|complaint| complaint.to_string().contains("<x>")));
    }

    #[test]
    fn what_names_no_schema_is_never_refused() {
        assert_eq!(acceptable(&document(None, "<x/>")).unwrap().map(|done| done.to), None);
        assert!(acceptable(&document(None, "")).unwrap().is_none_or(|done| done.from == Dialect::Heartbeat2));
    }
}
