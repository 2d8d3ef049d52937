//! Debian's `crm_simulate` 2.1.5 as a process.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cib::Element;

/// Where Debian installs it.
pub const PROGRAM: &str = "/usr/sbin/crm_simulate";

/// A plan takes milliseconds of a processor; some bundles on bundles keep the reference busy for ever.
const LIMIT: Duration = Duration::from_secs(5);
/// And this long, on a machine that has other work, it may take by the clock.
const PATIENCE: Duration = Duration::from_secs(120);

/// The exit status for a document that is not valid.
const INVALID: i32 = 78;

/// What the reference made of a CIB.
#[derive(Debug, Clone)]
pub enum Answer {
    Planned(Planned),
    /// The document does not follow the language: the generator (or the shrinker) is to blame.
    Invalid(String),
    /// It was killed by a signal, mostly by an assertion of its own.
    Died(String),
    /// It was stopped after the limit.
    Slow,
}

#[derive(Debug, Clone, Default)]
pub struct Planned {
    pub code: i32,
    pub stdout: String,
    pub dot: String,
    pub graph: String,
}

/// A folder of its own for each thread that asks.
#[derive(Debug)]
pub struct Reference {
    folder: tempfile::TempDir,
}

impl Reference {
    /// # Errors
    /// If there can be no scratch folder.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self { folder: tempfile::tempdir()? })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Plans and executes on paper, with scores and utilization.
    ///
    /// # Errors
    /// If files cannot be written or the program cannot be run.
    pub fn ask(&self, cib: &Element) -> std::io::Result<Answer> {
        let [xml, dot, graph] = ["cib.xml", "graph.dot", "graph.xml"].map(|name| self.path(name));
        std::fs::write(&xml, cib.to_xml())?;
        for old in [&dot, &graph] {
            if old.exists() {
                std::fs::remove_file(old)?;
            }
        }
        let mut command = Command::new(PROGRAM);
        command.arg("-x").arg(&xml).args(["-S", "-s", "-U", "-D"]).arg(&dot).arg("-G").arg(&graph);
        let Some((status, stdout, stderr)) = run(command, &self.path("stderr"))? else {
            return Ok(Answer::Slow);
        };
        let Some(code) = status.code() else { return Ok(Answer::Died(stderr)) };
        // Words of the library's own, by which an assertion is told from an answer.
        if code == INVALID || code > 1 {
            return Ok(Answer::Invalid(format!("exit {code}: {stderr}")));
        }
        let (dot, graph) = (read(&dot), read(&graph));
        Ok(Answer::Planned(Planned { code, stdout, dot, graph }))
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// What a process has used of a processor, from `/proc` (in hundredths of a second, as Linux shows it to programs).
fn processor_time(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may have blanks: user and system time are the 12th and 13th after it.
    let (_, rest) = stat.rsplit_once(") ")?;
    let ticks: Vec<u64> = rest.split(' ').skip(11).take(2).filter_map(|text| text.parse().ok()).collect();
    match ticks.as_slice() {
        [user, system] => Some(Duration::from_millis((user + system) * 10)),
        _ => None,
    }
}

/// Runs a command to its end or to the limit.
fn run(mut command: Command, errors: &Path) -> std::io::Result<Option<(ExitStatus, String, String)>> {
    let stderr = std::fs::File::create(errors)?;
    command.env("LC_ALL", "C").env("TZ", "UTC").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
    let mut child = command.spawn()?;
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stdout) = &mut stdout {
            // What was read until then is compared.
            let _ = stdout.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    });
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        let waited = began.elapsed();
        if waited > PATIENCE || waited > LIMIT && processor_time(child.id()).is_none_or(|used| used > LIMIT) {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    };
    let stdout = reader.join().unwrap_or_default();
    Ok(Some((status, stdout, read(errors))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_time_of_a_processor_counts() {
        let began = processor_time(std::process::id()).unwrap();
        let mut sum = 0_u64;
        while processor_time(std::process::id()).unwrap() < began + Duration::from_millis(50) {
            sum = std::hint::black_box(sum.wrapping_mul(3).wrapping_add(1));
        }
        assert!(processor_time(u32::MAX).is_none());
    }
}
