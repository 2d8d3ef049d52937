//! The version of a document that a simulation changes.

use cib::Element;

/// Which part was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// The status section, or an attribute of the root.
    Status,
    Configuration,
}

/// Makes a change and counts it, unless nothing was different afterwards.
pub(crate) fn counted<T>(root: &mut Element, counter: Counter, change: impl FnOnce(&mut Element) -> T) -> T {
    let before = root.clone();
    let out = change(root);
    if *root != before {
        count(root, counter);
    }
    out
}

/// Counts a change: in `num_updates`, or in `epoch`, after which `num_updates` starts anew.
pub(crate) fn count(root: &mut Element, counter: Counter) {
    let name = match counter {
        Counter::Status => "num_updates",
        Counter::Configuration => "epoch",
    };
    let now: u64 = root.attr(name).and_then(|value| value.parse().ok()).unwrap_or(0);
    root.set_attr(name, now.saturating_add(1).to_string());
    if counter == Counter::Configuration {
        root.set_attr("num_updates", "0");
    }
}
