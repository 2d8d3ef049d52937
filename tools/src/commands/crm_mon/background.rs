//! `crm_mon -d`: a process of its own, without a terminal, that keeps a file current or tells a program.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Arguments;
use crate::exit;

/// Set for the process in the background.
const MARK: &str = "EVERBEAT_CRM_MON_BACKGROUND";

/// Whether this is the process in the background; it then leaves its terminal.
pub fn is_it() -> bool {
    let marked = std::env::var_os(MARK).is_some();
    if marked {
        // Fails only where it leads a session already, which is what is wanted.
        let _ = nix::unistd::setsid();
    }
    marked
}

/// Starts it, with the same words, and writes down its number.
pub fn start(arguments: &Arguments, words: &[String]) -> u8 {
    if arguments.output().is_none() && arguments.external_agent.is_none() {
        eprintln!("crm_mon: --daemonize requires at least one of --output-to and --external-agent");
        return exit::USAGE;
    }
    if let Some((file, pid)) = arguments.pid_file.as_deref().and_then(|file| Some((file, running(file)?))) {
        eprintln!("crm_mon: {}: process {pid} is a crm_mon that is running", file.display());
        return exit::ERROR;
    }
    match spawn(arguments, words) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("crm_mon: {error}");
            exit::IO
        }
    }
}

fn spawn(arguments: &Arguments, words: &[String]) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("own program: {error}"))?;
    let mut child = Command::new(&program)
        .arg("crm_mon")
        .args(words)
        .env(MARK, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("{}: {error}", program.display()))?;
    let Some(file) = &arguments.pid_file else { return Ok(()) };
    fs::write(file, format!("{}\n", child.id())).map_err(|error| {
        // Nobody could end what nobody knows of.
        let _ = child.kill();
        let _ = child.wait();
        format!("{}: {error}", file.display())
    })
}

/// The number in a file, if that is a crm_mon that runs.
fn running(file: &Path) -> Option<u32> {
    let pid: u32 = fs::read_to_string(file).ok()?.trim().parse().ok()?;
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let named = |word: &[u8]| word.ends_with(b"crm_mon");
    line.split(|byte| *byte == 0).take(2).any(named).then_some(pid)
}
