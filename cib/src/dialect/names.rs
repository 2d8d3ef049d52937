//! Names and values of the older dialects in their modern form.

use crate::Element;

/// `resource_stickiness` → `resource-stickiness`.
pub(super) fn hyphens(name: &str) -> String {
    name.replace('_', "-")
}

/// Cluster options whose only change is `_` to `-`.
const OPTIONS: &[&str] = &[
    "no_quorum_policy",
    "symmetric_cluster",
    "stonith_enabled",
    "stonith_action",
    "default_resource_stickiness",
    "default_resource_failure_stickiness",
    "default_migration_threshold",
    "default_action_timeout",
    "is_managed_default",
    "stop_orphan_resources",
    "stop_orphan_actions",
    "remove_after_stop",
    "dc_deadtime",
    "election_timeout",
    "shutdown_escalation",
    "cluster_recheck_interval",
    "cluster_delay",
    "startup_fencing",
    "start_failure_is_fatal",
    "batch_limit",
    "crmd_integration_timeout",
    "crmd_finalization_timeout",
    "pe_error_series_max",
    "pe_warn_series_max",
    "pe_input_series_max",
];

/// The modern name of a cluster option, if it has another one.
pub(super) fn option(name: &str) -> Option<String> {
    if name == "transition_idle_timeout" || name == "transition-idle-timeout" {
        return Some("cluster-delay".into());
    }
    OPTIONS.contains(&name).then(|| hyphens(name))
}

/// `started` → `Started`; `None` for "default", which means that nothing is set.
pub(super) fn role(word: &str) -> Option<String> {
    if matches!(word, "#default" | "default") {
        return None;
    }
    Some(capital(word))
}

/// First letter upper, rest lower.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters.map(|c| c.to_ascii_lowercase())).collect()
}

/// A score without fraction, in upper case.
pub(super) fn score(text: &str) -> String {
    let text = text.trim();
    let whole = text.split('.').next().unwrap_or_default().to_ascii_uppercase();
    if matches!(whole.as_str(), "" | "-" | "+") { "0".into() } else { whole }
}

/// A time of an operation: without a unit the old dialect meant milliseconds, the modern one means
/// seconds.
pub(super) fn milliseconds(text: &str) -> String {
    let text = text.trim();
    if !text.is_empty() && text != "0" && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return format!("{text}ms");
    }
    text.to_owned()
}

/// The same element under another name.
pub(super) fn renamed(element: &Element, name: &str) -> Element {
    let mut new = Element::new(name);
    for (name, value) in element.attrs() {
        new.set_attr(name, value);
    }
    for node in element.nodes() {
        new.push_node(node.clone());
    }
    new
}

/// The same element with attributes as `pick` gives them (name and value; `None` drops one) and
/// without its children.
pub(super) fn attributes_only(
    element: &Element,
    name: &str,
    mut pick: impl FnMut(&str, &str) -> Option<(String, String)>,
) -> Element {
    let mut new = Element::new(name);
    for (name, value) in element.attrs() {
        if let Some((name, value)) = pick(name, value) {
            new.set_attr(&name, value);
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_take_their_modern_form() {
        assert_eq!(score("-infinity"), "-INFINITY");
        assert_eq!(score("12.7"), "12");
        assert_eq!(milliseconds("30000"), "30000ms");
        assert_eq!(milliseconds("30s"), "30s");
        assert_eq!(milliseconds("0"), "0");
        assert_eq!(role("#default"), None);
        assert_eq!(role("slave").as_deref(), Some("Slave"));
        assert_eq!(option("transition_idle_timeout").as_deref(), Some("cluster-delay"));
    }
}
