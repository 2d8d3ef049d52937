//! A client that polls a service over HTTP and remembers when it answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Inside, LabError};

/// One poll that got a good answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub at: Instant,
    /// The body's first line.
    pub text: String,
}

/// Polls until dropped.
pub struct Probe {
    answers: Arc<Mutex<Vec<Answer>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Probe {
    /// Polls `http://ADDRESS/` from the place given, a new connection each time, every 2 ms at most.
    pub fn start(from: Inside, address: SocketAddr) -> Result<Self, LabError> {
        let answers = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (kept, ended) = (Arc::clone(&answers), Arc::clone(&stop));
        let thread = from.in_network(move || {
            while !ended.load(Ordering::Relaxed) {
                if let Some(text) = get(address, Duration::from_millis(40))
                    && let Ok(mut kept) = kept.lock()
                {
                    kept.push(Answer { at: Instant::now(), text });
                }
                thread::sleep(Duration::from_millis(2));
            }
        })?;
        Ok(Self { answers, stop, thread: Some(thread) })
    }

    /// The answers so far.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.lock().map(|answers| answers.clone()).unwrap_or_default()
    }

    /// The first answer after a moment that satisfies the test, waited for.
    pub fn wait_for(&self, after: Instant, limit: Duration, wanted: impl Fn(&str) -> bool) -> Option<Answer> {
        let end = Instant::now() + limit;
        loop {
            let found = self.answers().into_iter().find(|answer| answer.at > after && wanted(&answer.text));
            if found.is_some() || Instant::now() > end {
                return found;
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the poller has been printed.
            let _ = thread.join();
        }
    }
}

/// One request; the first line of the body of a 200 answer.
fn get(address: SocketAddr, limit: Duration) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, limit).ok()?;
    stream.set_read_timeout(Some(limit)).ok()?;
    stream.write_all(b"GET / HTTP/1.0\r\nHost: service\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.take(65_536).read_to_string(&mut text).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    head.lines().next()?.contains(" 200 ").then(|| body.lines().next().unwrap_or_default().to_owned())
}
