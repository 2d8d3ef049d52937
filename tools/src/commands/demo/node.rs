//! One node of the demo: its files, its processes, and its power switch.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Names of the nodes; number i has the address 127.0.0.(11 + i).
pub const NAMES: [&str; 3] = ["alpha", "beta", "gamma"];

/// Times of the demo's ha.cf: quick to watch, and still far above what a busy machine delays.
const TIMES: &str = "keepalive 200ms\nwarntime 1\ndeadtime 2\ninitdead 4\n";

/// Where the whole demo lives.
pub struct Place {
    pub dir: PathBuf,
    /// UDP port of the heartbeats.
    pub heartbeat_port: u16,
    /// Address and port of the service.
    pub service: (Ipv4Addr, u16),
    key: String,
}

impl Place {
    /// Finds free ports and makes a key.
    pub fn new(dir: PathBuf) -> io::Result<Self> {
        let heartbeat = UdpSocket::bind((address(0), 0))?.local_addr()?.port();
        let service_address = Ipv4Addr::new(127, 0, 0, 100);
        let service = TcpListener::bind((service_address, 0))?.local_addr()?.port();
        let key = format!("{:016x}{:016x}", ccm::runtime::random_seed(), ccm::runtime::random_seed());
        Ok(Self { dir, heartbeat_port: heartbeat, service: (service_address, service), key })
    }

    fn ha_cf(&self, index: usize) -> String {
        let name = NAMES.get(index).copied().unwrap_or_default();
        let mut text =
            format!("# made by everbeat demo\n{TIMES}udpport {}\nnodename {name}\n", self.heartbeat_port);
        text += &format!("bindaddr {}\n", address(index));
        for peer in (0..NAMES.len()).filter(|peer| *peer != index) {
            text += &format!("ucast lo {}\n", address(peer));
        }
        for name in NAMES {
            text += &format!("node {name}\n");
        }
        text += "crm respawn\nrealtime off\nlogfile /ha-log\ndebugfile /ha-debug\nlogfacility none\n";
        text
    }
}

/// The heartbeat address of a node.
pub fn address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, 11u8.saturating_add(u8::try_from(index).unwrap_or(0)))
}

/// A node that runs, or was killed.
pub struct DemoNode {
    pub name: &'static str,
    pub root: PathBuf,
    child: Option<Child>,
}

impl DemoNode {
    /// Writes the node's files.
    pub fn prepare(place: &Place, index: usize) -> io::Result<Self> {
        let name = NAMES.get(index).copied().unwrap_or_default();
        let root = place.dir.join(name);
        let etc = root.join("etc/ha.d");
        fs::create_dir_all(&etc)?;
        // Agents keep nothing outside; a node below a root directory is nobody else's business.
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755))?;
        fs::write(etc.join("ha.cf"), place.ha_cf(index))?;
        let mut keys = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(etc.join("authkeys"))?;
        io::Write::write_all(&mut keys, format!("auth 1\n1 hmac-sha256 {}\n", place.key).as_bytes())?;
        Ok(Self { name, root, child: None })
    }

    /// Starts both of its processes.
    pub fn start(&mut self) -> io::Result<()> {
        let said = fs::File::create(self.root.join("said"))?;
        let child = Command::new(std::env::current_exe()?)
            .args(["start", "--core-as-root", "--status-port", "0", "--root"])
            .arg(&self.root)
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            // Ctrl-C at the terminal is for the demo, which then stops the nodes in order.
            .process_group(0)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// Pulls the plug: every process of this node, agents' servers too, is killed at once.
    pub fn power_off(&mut self) -> io::Result<()> {
        let end = Instant::now() + Duration::from_secs(5);
        loop {
            let left = processes_of(&self.root)?;
            if left.is_empty() || Instant::now() > end {
                break;
            }
            for pid in left {
                // It may have ended meanwhile.
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            if let Some(child) = &mut self.child {
                let _ = child.try_wait();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        self.child = None;
        Ok(())
    }

    /// Asks for a clean stop.
    pub fn ask_to_stop(&mut self) {
        if let Some(child) = &self.child
            && let Ok(pid) = i32::try_from(child.id())
        {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }

    /// Waits for the end of a clean stop, at most until then; then pulls the plug.
    pub fn wait_for_stop(&mut self, until: Instant) -> io::Result<()> {
        while let Some(child) = &mut self.child {
            if child.try_wait()?.is_some() || Instant::now() > until {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.power_off()
    }

    /// The end of what the node has said and logged, for a demo that failed.
    pub fn last_words(&self) -> String {
        let tail = |file: &str| {
            let text = fs::read_to_string(self.root.join(file)).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n")
        };
        format!("== {}\n{}\n{}\n", self.name, tail("said"), tail("ha-log"))
    }
}

impl Drop for DemoNode {
    fn drop(&mut self) {
        let _ = self.power_off();
    }
}

/// The processes that belong to the node below this directory: its path stands in their arguments or
/// in their environment. Nobody else's process names a directory that was just made.
fn processes_of(root: &Path) -> io::Result<Vec<i32>> {
    let own = i32::try_from(std::process::id()).unwrap_or(0);
    let needle = format!("{}", root.display()).into_bytes();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // What is not ours to read is not ours to kill.
        let names =
            |file: &str| fs::read(entry.path().join(file)).is_ok_and(|bytes| contains(&bytes, &needle));
        if pid != own && (names("cmdline") || names("environ")) {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Whether the path stands in the bytes as a whole name: followed by `/`, the end of a word, or nothing.
fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    let ends = |at: usize| matches!(bytes.get(at + needle.len()), None | Some(b'/' | 0 | b' ' | b':'));
    bytes.windows(needle.len()).enumerate().any(|(at, window)| window == needle && ends(at))
}

#[cfg(test)]
mod tests {
    use super::contains;

    #[test]
    fn a_path_is_found_as_a_whole_name() {
        assert!(contains(b"A=1\0HA_RSCTMP=/tmp/x/alpha/run\0", b"/tmp/x/alpha"));
        assert!(!contains(b"HA_RSCTMP=/tmp/x/alpha2\0", b"/tmp/x/alpha"));
    }
}
