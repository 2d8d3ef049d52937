//! What a result is checked against: its schema.

use super::{Code, OpError};
use crate::Element;
use crate::schema::{self, Severity};

/// Complaints told in one refusal.
const COMPLAINTS_SHOWN: usize = 20;

/// The schema check of a result. A document that names no schema is not checked, as Heartbeat did not.
pub(super) fn validate(_before: &Element, after: &Element) -> Result<(), String> {
    if after.attr("validate-with").is_none() {
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
        return Ok(());
    }
    let more = errors.len().saturating_sub(COMPLAINTS_SHOWN);
    let mut text = errors.iter().take(COMPLAINTS_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    if more > 0 {
        text.push_str(&format!("\nand {more} more"));
    }
    Err(text)
}

/// The root brought to the newest schema it can reach; unchanged when it is there or names none.
pub(super) fn upgraded(root: &Element) -> Result<Element, OpError> {
    let Some(now) = root.attr("validate-with") else { return Ok(root.clone()) };
    let Some(from) = schema::KNOWN.iter().position(|known| *known == now) else { return Ok(root.clone()) };
    // `pacemaker-next` is never upgraded to, and it is the last.
    let newer =
        schema::KNOWN.iter().enumerate().skip(from + 1).take_while(|(_, name)| **name != "pacemaker-next");
    for (_, name) in newer.collect::<Vec<_>>().into_iter().rev() {
        let candidate = root.clone().with_attr("validate-with", *name);
        if validate(root, &candidate).is_ok() {
            return Ok(candidate);
        }
    }
    validate(root, root).map_err(|text| OpError::new(Code::Schema, text))?;
    Ok(root.clone())
}
