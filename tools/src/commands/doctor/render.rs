//! The report as text, XML and JSON.

use cib::Element;

use super::{Finding, Status, status_code};

fn word(status: Status) -> &'static str {
    match status {
        Status::Good => "good",
        Status::Warning => "warning",
        Status::Error => "ERROR",
    }
}

pub(super) fn text(findings: &[Finding]) -> String {
    let mut out = String::new();
    for finding in findings {
        out.push_str(&format!("{:11} {:8} {}", finding.check, word(finding.status), finding.text));
        if !finding.remedy.is_empty() {
            out.push_str(&format!("; remedy: {}", finding.remedy));
        }
        out.push('\n');
    }
    out
}

pub(super) fn xml(findings: &[Finding], worst: Status) -> String {
    let mut root = Element::new("everbeat-result").with_attr("request", "doctor");
    for finding in findings {
        let mut element = Element::new("finding")
            .with_attr("check", finding.check)
            .with_attr("status", word(finding.status).to_ascii_lowercase())
            .with_attr("text", finding.text.clone());
        if !finding.remedy.is_empty() {
            element.set_attr("remedy", finding.remedy.clone());
        }
        root.push(element);
    }
    let status = Element::new("status")
        .with_attr("code", status_code(worst).to_string())
        .with_attr("message", word(worst).to_ascii_lowercase());
    format!("<?xml version=\"1.0\"?>\n{}", root.with_child(status).to_xml())
}

#[derive(serde::Serialize)]
struct Json<'a> {
    status: Status,
    findings: &'a [Finding],
}

pub(super) fn json(findings: &[Finding], worst: Status) -> String {
    // Plain strings and a unit enum: there is nothing that could not be written.
    serde_json::to_string_pretty(&Json { status: worst, findings }).map(|t| t + "\n").unwrap_or_default()
}
