//! The recorded cases, as inputs of commands that stand beside Pacemaker's own.

use std::path::{Path, PathBuf};

/// The inputs in order of their names, if the cases lie beside the checkout.
pub fn inputs() -> Option<Vec<PathBuf>> {
    let folder = std::env::var_os("EVERBEAT_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let folder = folder.join("scheduler/xml");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    Some(files)
}

/// Says loudly what is missing; on the build machine that is a failure.
pub fn missing(what: &str, left_out: &str) {
    let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
    assert!(!strict, "{what} is missing, and CI=true");
    eprintln!("SKIPPED: {what} is missing; {left_out}");
}
