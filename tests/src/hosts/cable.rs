//! A null-modem cable of two pseudo-terminals.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Passes on what either end says; with a directory to record in, end N's words are kept in `said-N`, and
/// while `cut-N` exists there nothing of end N arrives.
const RELAY: &str = "
import os, pty, select, sys, tty
(a, sa), (b, sb) = pty.openpty(), pty.openpty()
tty.setraw(sa); tty.setraw(sb)
print(os.ttyname(sa), os.ttyname(sb), flush=True)
record = sys.argv[1] if len(sys.argv) > 1 else None
other, number = {a: b, b: a}, {a: 0, b: 1}
said = {n: open(f'{record}/said-{n}', 'ab', 0) for n in (0, 1)} if record else {}
while True:
    for end in select.select([a, b], [], [])[0]:
        text, n = os.read(end, 4096), number[end]
        if record:
            said[n].write(text)
        if not (record and os.path.exists(f'{record}/cut-{n}')):
            os.write(other[end], text)
";

/// Ends when dropped.
pub struct Cable {
    helper: Child,
    /// The terminals' names, the same on every host.
    pub ends: [String; 2],
    record: Option<PathBuf>,
}

impl Cable {
    /// Lays one; `record` is a directory for what goes over it. Needs `python3`.
    ///
    /// # Errors
    /// No helper, or it says nothing.
    pub fn new(record: Option<&Path>) -> io::Result<Cable> {
        let mut helper = Command::new("python3")
            .args(["-c", RELAY])
            .args(record)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        if let Some(said) = helper.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let (a, b) = line.trim().split_once(' ').ok_or_else(|| io::Error::other("no terminals"))?;
        let ends = [a.to_owned(), b.to_owned()];
        Ok(Cable { helper, ends, record: record.map(Path::to_owned) })
    }

    /// What the end has said since the cable was laid; empty without a record.
    ///
    /// # Errors
    /// Of reading the record.
    pub fn said(&self, end: usize) -> io::Result<Vec<u8>> {
        self.record.as_ref().map_or(Ok(Vec::new()), |dir| std::fs::read(dir.join(format!("said-{end}"))))
    }

    /// From now on the other end hears nothing of this one, or everything again. Only of a recorded cable.
    ///
    /// # Errors
    /// Of the directory.
    pub fn cut(&self, end: usize, cut: bool) -> io::Result<()> {
        let Some(dir) = &self.record else { return Ok(()) };
        let mark = dir.join(format!("cut-{end}"));
        match std::fs::remove_file(&mark) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        if cut { std::fs::write(mark, "") } else { Ok(()) }
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        // Both fail only for a helper that has ended.
        let _ = self.helper.kill();
        let _ = self.helper.wait();
    }
}
