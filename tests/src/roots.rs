//! Nodes below directories of their own, on loopback addresses: real processes that need no root.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::binary;

/// Counts the sites of one test process, so that each has a loopback network of its own.
static SITES: AtomicU32 = AtomicU32::new(0);
/// UDP port of the heartbeats; the addresses are what tells tests apart.
const PORT: u16 = 17_694;

/// Machines of one test: a directory each, and a network `127.X.Y.0/24`.
pub struct Site {
    dir: tempfile::TempDir,
    net: (u8, u8),
    /// Holds the network against other test processes.
    _held: UdpSocket,
    nodes: Vec<&'static str>,
}

impl Site {
    /// Prepares nodes of these names with good files. Nothing runs yet.
    pub fn new(nodes: &[&'static str]) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("everbeat-site-").tempdir()?;
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let (net, held) = free_network()?;
        let site = Self { dir, net, _held: held, nodes: nodes.to_vec() };
        for name in nodes {
            site.write(name, "etc/ha.d/ha.cf", &site.ha_cf(name), 0o644)?;
            site.write(name, "etc/ha.d/authkeys", "auth 1\n1 sha1 a-key-for-tests\n", 0o600)?;
        }
        Ok(site)
    }

    /// Where a node's files are.
    pub fn root(&self, node: &str) -> PathBuf {
        self.dir.path().join(node)
    }

    /// A node's loopback address: of its heartbeats, and of its read-only status.
    pub fn address(&self, node: &str) -> String {
        let number = self.nodes.iter().position(|name| *name == node).unwrap_or(0) + 1;
        format!("127.{}.{}.{number}", self.net.0, self.net.1)
    }

    /// A good `ha.cf` for this node. Line 1 is `keepalive`, the last is `logfacility none`.
    pub fn ha_cf(&self, node: &str) -> String {
        let mut text = format!(
            "keepalive 100ms\ndeadtime 1\ninitdead 2\nudpport {PORT}\nbindaddr {}\nnodename {node}\n",
            self.address(node)
        );
        for name in &self.nodes {
            if *name != node {
                text += &format!("ucast lo {}\n", self.address(name));
            }
            text += &format!("node {name}\n");
        }
        if self.nodes.len() == 1 {
            // A node alone needs a medium all the same; nobody is there.
            text += &format!("ucast lo 127.{}.{}.200\n", self.net.0, self.net.1);
        }
        text + "crm respawn\nrealtime off\nlogfile /ha-log\nlogfacility none\n"
    }

    /// Writes a file of a node.
    pub fn write(&self, node: &str, path: &str, text: &str, mode: u32) -> io::Result<PathBuf> {
        let path = self.root(node).join(path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir)?;
        }
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
        Ok(path)
    }

    /// Starts a node; it is killed when the value is dropped.
    pub fn start(&self, node: &str) -> io::Result<Daemon> {
        self.start_with(node, &["--status-port", "0"])
    }

    /// Starts a node with these further arguments.
    pub fn start_with(&self, node: &str, arguments: &[&str]) -> io::Result<Daemon> {
        let said = self.dir.path().join(format!("{node}.said"));
        let file = fs::File::create(&said)?;
        let child = Command::new(binary::everbeat())
            .args(["start", "--core-as-root", "--root"])
            .arg(self.root(node))
            .args(arguments)
            .env("EVERBEAT_NO_REBOOT", "1")
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .process_group(0)
            .spawn()?;
        Ok(Daemon { child, said, root: self.root(node), off: false })
    }

    /// Runs a command against a node; what it printed and its status.
    pub fn everbeat(&self, node: &str, arguments: &str) -> io::Result<Output> {
        let mut command = Command::new(binary::everbeat());
        command.args(arguments.split_whitespace()).env("EVERBEAT_ROOT", self.root(node));
        command.stdin(Stdio::null()).output()
    }

    /// A command's standard output, waited for until it is as wanted.
    ///
    /// # Panics
    /// If it is not within the limit; the message has what was said last, and the node's log.
    pub fn wait_until(
        &self,
        node: &str,
        arguments: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> String {
        let end = Instant::now() + limit;
        loop {
            let text = match self.everbeat(node, arguments) {
                Ok(output) => {
                    let text = String::from_utf8_lossy(&output.stdout).into_owned();
                    text + &String::from_utf8_lossy(&output.stderr)
                }
                Err(error) => error.to_string(),
            };
            if wanted(&text) {
                return text;
            }
            assert!(
                Instant::now() < end,
                "{node}: {arguments}: not as wanted within {limit:?}:\n{text}\n{}",
                self.report()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// A node's log.
    pub fn log(&self, node: &str) -> String {
        fs::read_to_string(self.root(node).join("ha-log")).unwrap_or_default()
    }

    /// What a failing test should show.
    pub fn report(&self) -> String {
        let read = |node: &&str| {
            let said = fs::read_to_string(self.dir.path().join(format!("{node}.said"))).unwrap_or_default();
            format!("== {node} said\n{said}== {node} log\n{}", self.log(node))
        };
        self.nodes.iter().map(read).collect()
    }
}

/// The first loopback network from here that no other test holds. Whoever runs beside this process begins
/// elsewhere, and finds the one taken that it meets.
fn free_network() -> io::Result<((u8, u8), UdpSocket)> {
    let first = std::process::id().wrapping_mul(16).wrapping_add(SITES.fetch_add(1, Ordering::Relaxed));
    let mut refused = io::Error::from(io::ErrorKind::AddrInUse);
    for at in 0..1024 {
        let [.., high, low] = first.wrapping_add(at).to_be_bytes();
        let net = (64 + high % 128, low);
        match UdpSocket::bind((Ipv4Addr::new(127, net.0, net.1, 254), PORT)) {
            Ok(held) => return Ok((net, held)),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// A running node.
pub struct Daemon {
    child: Child,
    said: PathBuf,
    root: PathBuf,
    off: bool,
}

impl Daemon {
    /// Waits for its end.
    ///
    /// # Panics
    /// If it does not end within the limit.
    pub fn status(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(10)),
                other => panic!("it runs on: {other:?}\n{}", self.said()),
            }
        }
    }

    /// Whether it has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it printed.
    pub fn said(&self) -> String {
        fs::read_to_string(&self.said).unwrap_or_default()
    }

    /// Process id of the executor.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Process id of the core, the executor's first child.
    pub fn core(&self) -> Option<u32> {
        let pid = self.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        children.split_whitespace().find_map(|word| {
            let line = fs::read(format!("/proc/{word}/cmdline")).ok()?;
            let is_core = line.split(|byte| *byte == 0).nth(1) == Some(b"core".as_slice());
            is_core.then(|| word.parse().ok()).flatten()
        })
    }

    /// Kills all its processes at once, as a power failure does.
    pub fn power_off(&mut self) {
        self.off = true;
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = processes_naming(&self.root);
            if left.is_empty() || Instant::now() > end {
                break;
            }
            for pid in left {
                let pid = nix::unistd::Pid::from_raw(pid);
                // It may have ended meanwhile.
                let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
            }
            let _ = self.child.try_wait();
            std::thread::sleep(Duration::from_millis(2));
        }
        let _ = self.child.wait();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Its successor may run already.
        if !self.off {
            self.power_off();
        }
    }
}

/// Processes in whose arguments or environment a directory is named, but this one.
pub fn processes_naming(dir: &Path) -> Vec<i32> {
    let needle = dir.display().to_string().into_bytes();
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let named = |file: PathBuf| {
        fs::read(file).is_ok_and(|bytes| {
            let ends =
                |at: usize| matches!(bytes.get(at + needle.len()), None | Some(b'/' | 0 | b' ' | b':'));
            bytes.windows(needle.len()).enumerate().any(|(at, window)| window == needle && ends(at))
        })
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| {
            let process = Path::new("/proc").join(pid.to_string());
            named(process.join("cmdline")) || named(process.join("environ"))
        })
        .collect()
}

/// Everything below a directory: mode, owner, and for files their bytes.
pub type Listing = BTreeMap<PathBuf, (u32, u32, u32, Option<Vec<u8>>)>;

/// Lists a directory and what is below it.
pub fn listing(dir: &Path) -> io::Result<Listing> {
    let mut list = Listing::new();
    let mut left = vec![dir.to_owned()];
    while let Some(path) = left.pop() {
        let data = fs::symlink_metadata(&path)?;
        let bytes = if data.is_file() { Some(fs::read(&path)?) } else { None };
        if data.is_dir() {
            for entry in fs::read_dir(&path)? {
                left.push(entry?.path());
            }
        }
        list.insert(path, (data.mode(), data.uid(), data.gid(), bytes));
    }
    Ok(list)
}
