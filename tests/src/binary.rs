//! Where the `everbeat` binary under test lies.

use std::path::PathBuf;

/// `EVERBEAT_BIN`, else the binary that cargo built beside the running test or program.
///
/// # Panics
/// If there is none: the message says how to build it.
pub fn everbeat() -> PathBuf {
    if let Some(path) = std::env::var_os("EVERBEAT_BIN") {
        // Programs of other hosts run in a directory of their own.
        return std::path::absolute(&path).unwrap_or_else(|_| PathBuf::from(path));
    }
    let program = std::env::current_exe().unwrap_or_default();
    // Of target/PROFILE/deps/TEST, and of target/PROFILE/PROGRAM: target/PROFILE/everbeat
    let beside = |steps| program.ancestors().nth(steps).map(|profile| profile.join("everbeat"));
    let steps = if program.parent().is_some_and(|directory| directory.ends_with("deps")) { 2 } else { 1 };
    let built = beside(steps).unwrap_or_default();
    assert!(
        built.is_file(),
        "no binary at {}: build it with `cargo build -p tools` in the same profile, or set EVERBEAT_BIN",
        built.display()
    );
    built
}
