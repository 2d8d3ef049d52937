//! A heartbeat medium that is not part of Everbeat: packets as files in a shared directory.
//!
//! A medium is an implementation of [`Medium`] (a descriptor to wait on, `send`, `receive`) and an
//! [`Opener`] that makes one. This one needs nothing but a directory that both nodes see, and is slow.
//! Run it: `cargo run -p everbeat-examples --example own_medium`. Two nodes find each other, exchange a
//! message, and the program ends.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ccm::link::{LinkConfig, MediumInfo};
use ccm::medium::{Endpoint, Medium, Opener};
use ccm::runtime::{self, LinkHandle, Setup};
use ccm::seam::{BeatBody, Incarnation, Lane, LinkCommand, LinkEvent, NodeId};
use ccm::wire::{Keys, Method};

/// One node's view of the directory. A thread looks for new files every few milliseconds and pushes
/// them through a socket pair, because a directory is nothing to wait on.
struct Folder {
    dir: PathBuf,
    name: String,
    sent: u64,
    inbox: UnixDatagram,
}

impl Folder {
    fn open(dir: &Path, name: &str) -> io::Result<Folder> {
        let (inbox, outbox) = UnixDatagram::pair()?;
        inbox.set_nonblocking(true)?;
        let (watched, own) = (dir.to_owned(), name.to_owned());
        std::thread::spawn(move || {
            let mut seen = BTreeSet::new();
            // Ends when the medium is closed and nobody takes packets any more.
            loop {
                for entry in std::fs::read_dir(&watched).into_iter().flatten().flatten() {
                    let file = entry.file_name().to_string_lossy().into_owned();
                    let foreign = !file.starts_with(&own) && file.ends_with(".packet");
                    if foreign && seen.insert(file) {
                        let bytes = std::fs::read(entry.path()).unwrap_or_default();
                        if outbox.send(&bytes).is_err() {
                            return;
                        }
                    }
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(Folder { dir: dir.to_owned(), name: name.to_owned(), sent: 0, inbox })
    }
}

impl Medium for Folder {
    fn fd(&self) -> BorrowedFd<'_> {
        self.inbox.as_fd()
    }

    fn send(&mut self, _to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        self.sent += 1;
        let path = self.dir.join(format!("{}-{}", self.name, self.sent));
        std::fs::write(&path, bytes)?;
        std::fs::rename(&path, path.with_extension("packet"))
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        self.inbox.recv(buffer).map(|n| (n, None))
    }
}

struct FolderOpener(PathBuf, String);

impl Opener for FolderOpener {
    fn open(&mut self, _index: usize, _endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(Folder::open(&self.0, &self.1)?))
    }
}

fn node(dir: &Path, number: u8) -> Result<(LinkHandle, NodeId, Incarnation), Box<dyn std::error::Error>> {
    let name = format!("node{number}");
    let (id, inc) = (NodeId([number; 16]), Incarnation { generation: 1, boot: runtime::random_seed() });
    let keys = Keys::single(Method::Sha256, b"a key for the example")?;
    let mut link = LinkConfig::simple(id, &name, inc, keys, &["node1", "node2"]);
    link.keepalive = Duration::from_millis(100);
    link.media = vec![MediumInfo::network("folder")];
    // The endpoint only names the medium: our opener does not look at it.
    let endpoint = Endpoint::Serial { device: "folder".into(), baud: 9600 };
    let mut setup = Setup::new(link, vec![endpoint], Box::new(FolderOpener(dir.to_owned(), name.clone())));
    setup.log = Box::new(move |line| println!("{name}: {}", line.text));
    Ok((runtime::start(setup)?, id, inc))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let dir = std::env::temp_dir().join(format!("everbeat-folder-{}", std::process::id()));
    std::fs::create_dir_all(&dir)?;
    let (one, ..) = node(&dir, 1)?;
    let (two, id, inc) = node(&dir, 2)?;
    let end = Instant::now() + Duration::from_secs(20);
    let mut arrived = false;
    while !arrived && Instant::now() < end {
        for handle in [&one, &two] {
            handle.command(LinkCommand::SetBeat(BeatBody::default()))?;
        }
        while let Some(event) = one.next_event() {
            if let LinkEvent::SessionUp { name, .. } = event {
                println!("node1: session with {name}");
                let payload = b"hello through a folder".to_vec();
                one.command(LinkCommand::Send { to: id, inc, lane: Lane::Talk, payload })?;
            }
        }
        while let Some(event) = two.next_event() {
            if let LinkEvent::Message { payload, .. } = event {
                println!("node2: received \"{}\"", String::from_utf8_lossy(&payload));
                arrived = true;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    one.stop();
    two.stop();
    std::fs::remove_dir_all(&dir)?;
    if arrived { Ok(()) } else { Err("the message did not arrive".into()) }
}

#[cfg(test)]
mod tests {
    #[test]
    fn two_nodes_talk_over_a_medium_of_this_crate() {
        super::main().expect("the message arrives");
    }
}
