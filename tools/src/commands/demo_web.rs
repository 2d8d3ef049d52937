//! `everbeat demo-web ADDRESS PORT [TEXT]`: the server behind the agent `ocf:everbeat:Web`.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;

use crate::exit;

/// Answer HTTP requests on one address and port with one line of text, until killed.
#[derive(Parser)]
#[command(name = "everbeat demo-web")]
struct Arguments {
    /// Address to listen on.
    address: IpAddr,
    /// TCP port to listen on.
    port: u16,
    /// What to answer; the name of this machine if it is empty or absent.
    text: Option<String>,
}

/// Requests answered at once; more wait in the kernel's queue.
const AT_ONCE: usize = 64;
/// A client has this long to send its request.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest request read, in bytes.
const REQUEST: usize = 8192;

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match serve(&arguments) {
        Ok(()) => exit::OK,
        Err(error) => {
            eprintln!("cannot listen on {} port {}: {error}", arguments.address, arguments.port);
            exit::ERROR
        }
    }
}

fn serve(arguments: &Arguments) -> io::Result<()> {
    let listener = TcpListener::bind((arguments.address, arguments.port))?;
    let text = arguments.text.clone().filter(|text| !text.is_empty()).unwrap_or_else(host_name);
    let answer: Arc<str> = answer(&text).into();
    // The agent waits for this line.
    eprintln!("listening on {}", listener.local_addr()?);
    let busy = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        // A client that has gone away before its turn is no failure of ours.
        let Ok(stream) = stream else { continue };
        while busy.load(Ordering::Acquire) >= AT_ONCE {
            std::thread::sleep(Duration::from_millis(1));
        }
        let (answer, counter) = (Arc::clone(&answer), Arc::clone(&busy));
        busy.fetch_add(1, Ordering::AcqRel);
        let thread = std::thread::Builder::new().name("request".to_owned()).spawn(move || {
            // Nor is one that does not speak HTTP, or stops in the middle.
            let _ = respond(stream, &answer);
            counter.fetch_sub(1, Ordering::AcqRel);
        });
        if thread.is_err() {
            busy.fetch_sub(1, Ordering::AcqRel);
        }
    }
    Ok(())
}

/// The whole response: the connection is closed after it.
fn answer(text: &str) -> String {
    format!(
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n{text}\n",
        text.len() + 1
    )
}

fn respond(mut stream: TcpStream, answer: &str) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let begun = Instant::now();
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !ends(&request) && request.len() < REQUEST && begun.elapsed() < PATIENCE {
        match stream.read(&mut buffer)? {
            0 => break,
            n => request.extend_from_slice(buffer.get(..n).unwrap_or_default()),
        }
    }
    if ends(&request) {
        stream.write_all(answer.as_bytes())?;
    }
    Ok(())
}

fn ends(request: &[u8]) -> bool {
    request.windows(4).any(|w| w == b"\r\n\r\n") || request.windows(2).any(|w| w == b"\n\n")
}

fn host_name() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map_or_else(|_| "unknown".to_owned(), |n| n.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A request gets the text, and whoever says nothing is let go without an answer.
    #[test]
    fn a_request_is_answered_and_the_connection_closed() {
        for (request, answered) in [("GET / HTTP/1.0\r\n\r\n", true), ("GET /\n\n", true), ("GET", false)] {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            client.write_all(request.as_bytes()).unwrap();
            client.shutdown(std::net::Shutdown::Write).unwrap();
            respond(listener.accept().unwrap().0, &answer("node1")).unwrap();
            let text = io::read_to_string(client).unwrap();
            assert_eq!(text.ends_with("Connection: close\r\n\r\nnode1\n"), answered, "{request:?}: {text:?}");
        }
    }
}
