//! `cargo xtask test`: what must hold before a change lands.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use super::{cargo, packages, step};

pub fn run(arguments: &[String]) -> Result<(), String> {
    packages::install_missing()?;
    if !packages::is_root() {
        println!("not root: tests that build hosts from network namespaces are left out, and say so");
    }
    let cargo = cargo();
    step(&cargo, &["fmt", "--all", "--check"], &[])?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--quiet", "--", "-D", "warnings"];
    step(&cargo, &clippy, &[])?;
    let pure = ["check", "--package", "crm-core", "--no-default-features", "--locked", "--quiet"];
    step(&cargo, &pure, &[])?;
    step(&cargo, &["build", "--package", "tools", "--profile", "ci", "--locked"], &[])?;
    let mut words = TESTS.to_vec();
    words.push("--no-fail-fast");
    words.extend(arguments.iter().map(String::as_str));
    match tests(&cargo, &words) {
        Ok(()) => {}
        Err(error) if error.targets.is_empty() || !arguments.is_empty() => return Err(error.what),
        Err(error) => again(&cargo, &error.targets)?,
    }
    if arguments.is_empty() { step(&cargo, &SABOTAGE, &[]) } else { Ok(()) }
}

/// The one test of a protocol with rules taken out: built by itself, so that they can be taken out of
/// nothing else.
const SABOTAGE: [&str; 11] = [
    "test",
    "--package",
    "everbeat-tests",
    "--features",
    "sabotage",
    "--profile",
    "ci",
    "--locked",
    "--test",
    "sabotage",
    "--quiet",
];

const TESTS: [&str; 5] = ["test", "--workspace", "--profile", "ci", "--locked"];

/// How a run of the tests failed.
struct Failed {
    what: String,
    /// The selections of targets that failed, as `--test agents`.
    targets: BTreeSet<String>,
}

/// Clusters of real processes share two cores with everything else: a target that fails gets one more
/// run by itself. What fails again fails; what passes only then is named as unsteady, so that somebody
/// looks for its cause.
fn again(cargo: &str, targets: &BTreeSet<String>) -> Result<(), String> {
    for target in targets {
        println!("── once more, by itself: {target}");
        let mut words = TESTS.to_vec();
        words.extend(target.split_whitespace());
        tests(cargo, &words).map_err(|error| error.what)?;
    }
    for target in targets {
        println!("── UNSTEADY: {target} failed in the first run and passed in the second");
    }
    Ok(())
}

/// Runs `cargo test`, with its output shown, and reads from its last words which targets failed.
fn tests(cargo: &str, words: &[&str]) -> Result<(), Failed> {
    let line = format!("{cargo} {}", words.join(" "));
    println!("── {line}");
    let failed = |what: String| Failed { what, targets: BTreeSet::new() };
    let mut child = super::command(cargo, words)
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(format!("{line}: {error}")))?;
    let mut targets = BTreeSet::new();
    if let Some(stderr) = child.stderr.take() {
        for text in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
            let mut shown = std::io::stderr().lock();
            let _ = shown.write_all(&text).and_then(|()| shown.write_all(b"\n"));
            targets.extend(failed_target(&String::from_utf8_lossy(&text)));
        }
    }
    match child.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failed { what: format!("{line}: {status}"), targets }),
        Err(error) => Err(failed(format!("{line}: {error}"))),
    }
}

/// Of a line as cargo ends with, ``    `-p lrm --test agents` ``, the target without its package: the
/// whole workspace stays selected, so that nothing is built with other features.
fn failed_target(line: &str) -> Option<String> {
    let words = line.strip_prefix("    `-p ")?.strip_suffix('`')?;
    let (_package, target) = words.split_once(' ')?;
    target.starts_with("--").then(|| target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::failed_target;

    #[test]
    fn failed_targets_are_read_from_the_last_words_of_cargo() {
        assert_eq!(failed_target("    `-p lrm --test agents`").as_deref(), Some("--test agents"));
        assert_eq!(failed_target("    `-p ccm --lib`").as_deref(), Some("--lib"));
        assert_eq!(failed_target("     Running tests/agents.rs"), None);
        assert_eq!(failed_target("error: test failed, to rerun pass `-p lrm --test agents`"), None);
    }
}
