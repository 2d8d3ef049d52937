//! What a result is checked against: its schema.

use super::{Code, OpError};
use crate::Element;
use crate::dialect::{self, UpgradeError};
use crate::schema::{self, Severity, incremental};

/// Complaints told in one refusal.
const COMPLAINTS_SHOWN: usize = 20;

/// The schema check of a result. A document that names no schema is not checked, as Heartbeat did not.
pub(super) fn validate(before: &Element, after: &Element) -> Result<(), String> {
    if after.attr("validate-with").is_none() || incremental::accepts(before, after) {
        return Ok(());
    }
    let complaints = schema::validate(after).map_err(|error| error.to_string())?;
    let errors: Vec<String> = complaints
        .iter()
        .filter(|complaint| complaint.severity == Severity::Error)
        .map(|complaint| {
            // The place in a text that nobody has seen is of no use.
            let mut complaint = complaint.clone();
            complaint.position = None;
            complaint.to_string()
        })
        .collect();
    if errors.is_empty() {
        incremental::remember(after);
        return Ok(());
    }
    let more = errors.len().saturating_sub(COMPLAINTS_SHOWN);
    let mut text = errors.iter().take(COMPLAINTS_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    Err(text)
}

/// The root brought to the newest schema, and what was changed for it; unchanged when it is there.
pub(super) fn upgraded(root: &Element) -> Result<(Element, Element), OpError> {
    let done = dialect::upgrade(root).map_err(|error| {
        let code = match error {
            UpgradeError::Transform { .. } => Code::Transform,
            UpgradeError::Invalid { .. } | UpgradeError::Schema(_) => Code::Schema,
        };
        OpError::new(code, error.to_string())
    })?;
    let mut report =
        Element::new("upgrade").with_attr("from", done.from.to_string()).with_attr("to", done.to.to_string());
    for change in &done.changes {
        report.push(Element::new("change").with_attr("text", change.to_string()));
    }
    Ok((done.root, report))
}
