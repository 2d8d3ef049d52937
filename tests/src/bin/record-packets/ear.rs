//! Who hears packets: on UDP, in ICMP echo requests, and on the serial cable.

use std::collections::BTreeMap;
use std::io;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ccm::wire::envelope;
use ccm::wire::{Keys, Packet};
use everbeat_tests::hosts::{Inside, LabError};

/// The field whose value makes packets of one type packets of different kinds.
const WITHIN: [(&str, &str); 4] =
    [("ask_resources", "info"), ("hbapi-clstat", "st"), ("resource", "rsc_hold"), ("NS_st", "st")];

/// The first packet of each kind and notation, as it was heard.
pub struct Shelf {
    keys: Keys,
    kept: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Shelf {
    pub fn new(keys: Keys) -> Arc<Shelf> {
        Arc::new(Shelf { keys, kept: Mutex::default() })
    }

    fn kept(&self) -> MutexGuard<'_, BTreeMap<String, Vec<u8>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what is the first of its kind.
    fn hear(&self, bytes: &[u8]) {
        let name = match envelope::open(bytes, &self.keys) {
            Ok(opened) => name_of(&opened.packet, bytes),
            Err(refusal) => {
                eprintln!("not understood: {refusal}: {}", bytes.escape_ascii());
                return;
            }
        };
        self.kept().entry(name).or_insert_with(|| bytes.to_vec());
    }

    /// Whether a packet of that kind was heard, in either notation.
    pub fn has(&self, kind: &str) -> bool {
        self.kept().keys().any(|name| name.rsplit_once('-').is_some_and(|(k, _)| k == kind))
    }

    /// Writes each to a file of its own.
    pub fn store(&self, dir: &PathBuf) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        for (name, bytes) in &*self.kept() {
            std::fs::write(dir.join(format!("{name}.packet")), bytes)?;
            println!("{name}: {} bytes", bytes.len());
        }
        Ok(())
    }
}

/// `KIND-NOTATION` or `KIND.DETAIL-NOTATION`; packets compressed as a whole end in the algorithm.
fn name_of(packet: &Packet, bytes: &[u8]) -> String {
    let kind = packet.text("t").unwrap_or("nothing");
    let field = WITHIN.iter().find(|(k, _)| *k == kind).and_then(|(_, field)| packet.text(field));
    let detail = field.map_or_else(String::new, |detail| format!(".{detail}"));
    let has = |word: &[u8]| bytes.windows(word.len()).any(|w| w == word);
    let notation = match (has(b"_compressed_payload="), bytes.starts_with(b"###")) {
        (true, _) if has(b"_compression_algorithm=bz2") => "bz2",
        (true, _) => "zlib",
        (false, true) => "netstring",
        (false, false) => "classic",
    };
    format!("{kind}{detail}-{notation}")
}

/// Listens until dropped.
pub struct Ears {
    stop: Arc<AtomicBool>,
}

impl Ears {
    /// Puts ears into that network: on UDP port 694, and on ICMP echo requests.
    pub fn new(network: Inside, shelf: &Arc<Shelf>) -> Result<Ears, LabError> {
        let stop = Arc::new(AtomicBool::new(false));
        let open_udp = || UdpSocket::bind("0.0.0.0:694");
        // Behind the IP header of 20 bytes and the ICMP header of 8.
        listen(network, shelf, &stop, open_udp, 0)?;
        listen(network, shelf, &stop, open_icmp, 28)?;
        Ok(Ears { stop })
    }
}

impl Drop for Ears {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn open_icmp() -> io::Result<UdpSocket> {
    use rustix::net::{AddressFamily, SocketType, ipproto, socket};
    Ok(UdpSocket::from(socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP))?))
}

fn listen(
    network: Inside,
    shelf: &Arc<Shelf>,
    stop: &Arc<AtomicBool>,
    open: impl FnOnce() -> io::Result<UdpSocket> + Send + 'static,
    skip: usize,
) -> Result<(), LabError> {
    let (shelf, stop) = (Arc::clone(shelf), Arc::clone(stop));
    let (ready, is_ready) = std::sync::mpsc::channel();
    network.in_network(move || {
        let socket = open().and_then(|socket| {
            socket.set_read_timeout(Some(Duration::from_millis(200)))?;
            Ok(socket)
        });
        let (socket, said) = match socket {
            Ok(socket) => (Some(socket), Ok(())),
            Err(error) => (None, Err(error)),
        };
        // The receiver waits below.
        let _ = ready.send(said);
        let Some(socket) = socket else { return };
        let mut buffer = vec![0; 65536];
        while !stop.load(Ordering::Relaxed) {
            let Ok(n) = socket.recv(&mut buffer) else { continue };
            let bytes = buffer.get(skip..n).unwrap_or_default();
            // An echo request is type 8; its answer from here would be the same text again.
            if skip == 0 || buffer.get(20) == Some(&8) {
                shelf.hear(bytes);
            }
        }
    })?;
    is_ready.recv().map_err(|_| LabError::Network("an ear ended".into()))?.map_err(LabError::Io)
}

/// Takes what went over a serial cable apart into packets.
pub fn hear_serial(said: &[u8], shelf: &Shelf) {
    let mut rest = said;
    let find = |text: &[u8], word: &[u8]| text.windows(word.len()).position(|w| w == word);
    while let Some(start) = find(rest, b">>>\n") {
        rest = rest.get(start..).unwrap_or_default();
        let Some(end) = find(rest, b"\n<<<\n") else { return };
        // A start inside: the packet before it was cut off.
        let Some((packet, after)) = rest.split_at_checked(end + 5) else { return };
        match packet.get(1..).and_then(|inner| find(inner, b"\n>>>\n")) {
            Some(again) => rest = rest.get(again + 2..).unwrap_or_default(),
            None => {
                shelf.hear(packet);
                rest = after;
            }
        }
    }
}
