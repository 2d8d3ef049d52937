//! What a test needs and may not find: it says so and is left out, or fails where CI runs.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether the test runs where nothing may be left out.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

/// Says that `test` is left out because of `missing`.
///
/// # Panics
/// With `CI=true`, where a test that is left out is a failure.
pub fn left_out(test: &str, missing: &str) {
    assert!(!in_ci(), "{test} cannot run here: {missing}");
    eprintln!("LEFT OUT: {test}: {missing}");
}

/// True if the test runs as root with all `programs` on its path; else it has been reported.
pub fn root_and(test: &str, programs: &[&str]) -> bool {
    if !rustix::process::geteuid().is_root() {
        left_out(test, "it makes network namespaces and needs root");
        return false;
    }
    programs_are_there(test, programs)
}

/// True if all `programs` are found (on the path, or by absolute name); else it has been reported.
pub fn programs_are_there(test: &str, programs: &[&str]) -> bool {
    let missing: Vec<&str> = programs.iter().copied().filter(|program| !is_there(program)).collect();
    if missing.is_empty() {
        return true;
    }
    left_out(
        test,
        &format!("not installed: {} (cargo xtask test installs them as root)", missing.join(", ")),
    );
    false
}

fn is_there(program: &str) -> bool {
    if program.starts_with('/') {
        return Path::new(program).exists();
    }
    let path = std::env::var("PATH").unwrap_or_default();
    path.split(':').chain(["/usr/sbin", "/sbin"]).any(|dir| Path::new(dir).join(program).exists())
}

/// The folder of recorded cases: `EVERBEAT_CONFORMANCE`, else beside the checkout.
pub fn conformance(test: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance");
    let folder = std::env::var_os("EVERBEAT_CONFORMANCE").map_or(beside, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    left_out(test, &format!("no recorded cases at {}; set EVERBEAT_CONFORMANCE", folder.display()));
    None
}

/// A command's output as text, for messages; `Err` names the command, its status and what it said.
pub fn run(command: &mut Command) -> Result<String, String> {
    let name = format!("{command:?}");
    let output = command.output().map_err(|error| format!("{name}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(text);
    }
    Err(format!("{name}: {}: {text}{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
