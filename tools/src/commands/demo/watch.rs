//! What the demo sees: the nodes' status as it changes, and the service from a client's side.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use crate::api::client::Client;
use crate::api::proto::StatusReply;

/// Something the demo should know.
pub enum Sight {
    /// A node's status has changed.
    Status(&'static str, StatusReply),
    /// A node no longer answers.
    Silent(&'static str),
    /// The service was answered, by the node of this name.
    Answer(String, Instant),
    /// The user wants to end.
    Interrupt,
}

/// Follows a node's status for as long as the demo runs.
pub fn follow(name: &'static str, root: PathBuf, sights: Sender<Sight>) {
    thread::spawn(move || {
        loop {
            if let Ok(mut client) = Client::connect(&root) {
                let gone = client.watch_status(|reply| sights.send(Sight::Status(name, reply)).is_ok());
                if gone.is_err() && sights.send(Sight::Silent(name)).is_err() {
                    return;
                }
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
}

/// Polls the service as a client would.
pub fn poll(service: (Ipv4Addr, u16), sights: Sender<Sight>) {
    thread::spawn(move || {
        loop {
            if let Some(text) = get(SocketAddr::from(service))
                && sights.send(Sight::Answer(text, Instant::now())).is_err()
            {
                return;
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
}

/// One request; the body's first line.
fn get(address: SocketAddr) -> Option<String> {
    let limit = Duration::from_millis(200);
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.take(65_536).read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.lines().next().unwrap_or_default().trim().to_owned())
}

/// The status in two lines, the same for the same state.
pub fn picture(reply: &StatusReply) -> String {
    let online: Vec<&str> =
        reply.nodes.iter().filter(|node| node.online).map(|node| node.name.as_str()).collect();
    let offline: Vec<&str> =
        reply.nodes.iter().filter(|node| !node.online).map(|node| node.name.as_str()).collect();
    let mut text = format!("DC {}, online: {}", or_none(&reply.dc), or_none(&online.join(" ")));
    if !offline.is_empty() {
        text += &format!(", offline: {}", offline.join(" "));
    }
    if !reply.quorate {
        text += ", WITHOUT quorum";
    }
    for resource in &reply.resources {
        text += &format!("; {} {} on {}", resource.id, resource.role, or_none(&resource.nodes.join(" ")));
    }
    text
}

fn or_none(text: &str) -> &str {
    if text.is_empty() { "nobody" } else { text }
}

/// The latest status of each node that answers.
pub type Known = BTreeMap<&'static str, StatusReply>;
