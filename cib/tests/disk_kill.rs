//! A process that writes is killed at random points: every change it acknowledged is there afterwards, in order.
#![cfg(feature = "disk")]
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use cib::disk::{CibStore, DirStore};
use cib::{Cib, Element, Version};

const DIRECTORY: &str = "CIB_KILL_TEST_DIRECTORY";

fn document(epoch: u64) -> Element {
    let mut cib = Cib::empty();
    cib.set_version(Version::new(0, epoch, 0));
    cib.into_root()
}

/// Not a test of its own: what the killed process runs. It writes numbered changes and says each number once the store
/// has acknowledged it.
#[test]
fn writer() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let (mut store, loaded) = CibStore::open(DirStore::new(directory).unwrap()).unwrap();
    let mut number = last_number(&loaded);
    if store.generation().is_none() {
        store.switch(&document(0), b"", None).unwrap();
    }
    let mut out = std::io::stdout();
    loop {
        let batch: Vec<Vec<u8>> =
            (1..=number % 4 + 1).map(|more| (number + more).to_string().into_bytes()).collect();
        number += batch.len() as u64;
        if number % 50 < 4 {
            // The base takes over what the log held.
            store.switch(&document(number), b"", None).unwrap();
        } else {
            store.append(&batch).unwrap();
        }
        if number % 20 < 4 {
            store.checkpoint(&document(number)).unwrap();
        }
        writeln!(out, "{number}").unwrap();
    }
}

fn last_number(loaded: &cib::disk::Loaded) -> u64 {
    let base = Version::of(&loaded.document).epoch;
    let numbers: Vec<u64> =
        loaded.entries.iter().map(|entry| String::from_utf8_lossy(entry).parse().unwrap()).collect();
    // What is there is without a gap.
    for (index, number) in numbers.iter().enumerate() {
        assert_eq!(*number, base + 1 + index as u64, "{numbers:?} after base {base}");
    }
    numbers.last().copied().unwrap_or(base)
}

#[test]
fn acknowledged_changes_survive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = 0;
    let mut rounds_with_progress = 0;
    for round in 0..25u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--nocapture"])
            .env(DIRECTORY, directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            lines.filter_map(|line| line.trim().parse::<u64>().ok()).last()
        });
        std::thread::sleep(Duration::from_micros(20_000 + round * round * 137 % 60_000));
        child.kill().unwrap();
        child.wait().unwrap();
        let last = reader.join().unwrap();
        rounds_with_progress += u32::from(last.is_some());
        acknowledged = last.unwrap_or(acknowledged);
        let (_, loaded) = CibStore::open(DirStore::new(directory.path()).unwrap()).unwrap();
        let found = last_number(&loaded);
        assert!(found >= acknowledged, "round {round}: {found} is on disk, {acknowledged} was acknowledged");
        assert!(!loaded.regressed, "round {round}: {:?}", loaded.reports);
        assert!(loaded.import.is_none() && !loaded.reports.iter().any(|text| text.contains("by hand")));
    }
    assert!(rounds_with_progress > 5, "the writer got to write in {rounds_with_progress} rounds");
}
