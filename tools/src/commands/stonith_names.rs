//! Parameter names of Linux-HA fencing device types, in the order of `stonith -n -t TYPE`.

use std::io::Read as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long a plugin may take to say its names.
const PATIENCE: Duration = Duration::from_secs(20);

const PLUGINS: &str = "/usr/lib/stonith/plugins/external";

/// Types everybody has used, so that they convert on a machine without the plugins, too.
const KNOWN: &[(&str, &[&str])] = &[
    ("apcmaster", &["ipaddr", "login", "password"]),
    ("external/ssh", &["hostlist"]),
    ("meatware", &["hostlist"]),
    ("null", &["hostlist"]),
    ("ssh", &["hostlist"]),
    ("suicide", &[]),
];

/// The names, from the table, from the external plugin itself, or from the `stonith` command.
pub(super) fn parameter_names(kind: &str) -> Option<Vec<String>> {
    if let Some((_, names)) = KNOWN.iter().find(|(known, _)| *known == kind) {
        return Some(names.iter().map(|n| (*n).to_string()).collect());
    }
    if let Some(name) = kind.strip_prefix("external/") {
        let plugin = Path::new(PLUGINS).join(name);
        if name.contains('/') || !is_trusted(&plugin) {
            return None;
        }
        return first_words(Command::new(plugin).arg("getconfignames"), false);
    }
    let stonith = PathBuf::from("/usr/sbin/stonith");
    if !is_trusted(&stonith) {
        return None;
    }
    first_words(Command::new(stonith).args(["-n", "-t", kind]), true)
}

/// A regular executable file that only its owner may write.
fn is_trusted(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|m| {
        let mode = m.permissions().mode();
        m.is_file() && mode & 0o111 != 0 && mode & 0o022 == 0
    })
}

/// Runs a program and returns the words it prints; `first`: of its first line only.
fn first_words(command: &mut Command, first: bool) -> Option<Vec<String>> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().ok()?;
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        match child.try_wait().ok()? {
            Some(status) => break status,
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(20)),
            None => {
                // It hangs; what it would say is not worth more.
                let _ = child.kill();
                let _ = child.wait();
                return None;
            }
        }
    };
    let mut text = String::new();
    child.stdout.take()?.take(64 * 1024).read_to_string(&mut text).ok()?;
    if !status.success() {
        return None;
    }
    let text = if first { text.lines().next().unwrap_or("") } else { &text };
    Some(text.split_ascii_whitespace().map(str::to_string).collect())
}
