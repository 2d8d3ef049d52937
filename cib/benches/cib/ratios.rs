//! The ratios that the design promises, measured in one run.
#![allow(unsafe_code)] // a counting allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cib::disk::{CibStore, MemoryStore};
use cib::patch::{self, Format};
use cib::{Cib, apply, schema};

use crate::{generate, modify};

/// Counts bytes allocated and not yet freed.
pub struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// CPU time of this thread: what others on the machine do does not count.
fn thread_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    Duration::from_nanos(stat.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0))
}

/// The least CPU time of several runs.
fn best(runs: usize, mut work: impl FnMut()) -> Duration {
    (0..runs)
        .map(|_| {
            // The kernel brings the number up to date when the thread gives way.
            std::thread::yield_now();
            let start = thread_cpu();
            work();
            std::thread::yield_now();
            thread_cpu() - start
        })
        .min()
        .unwrap_or_default()
}

/// CPU time of children so far, from `/proc/self/stat` (fields cutime and cstime, in ticks of 10 ms).
fn children_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after = stat.rsplit(')').next().unwrap_or("");
    let ticks: u64 =
        after.split_whitespace().skip(13).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

fn process_cpu(program: &str, arguments: &[&str], file: &Path, runs: u32) -> Duration {
    let before = children_cpu();
    for _ in 0..runs {
        let status = Command::new(program)
            .args(arguments)
            .env("CIB_file", file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("the program starts");
        assert!(status.success(), "{program} ended with {status}");
    }
    (children_cpu() - before) / runs
}

/// What a change costs the disk before it is acknowledged: a patch of it in the log, one sync.
fn acknowledged(before: &Cib, after: &Cib) {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).expect("a disk in memory");
    store.switch(before.root(), b"", None).expect("it has room");
    let entry = patch::diff(before, after, Format::Two).to_xml_compact().into_bytes();
    let start = disk.counts();
    store.append(&[entry]).expect("it has room");
    let end = disk.counts();
    let (syncs, bytes) = (end.syncs - start.syncs, end.bytes - start.bytes);
    assert_eq!(syncs, 1);
    println!("  one acknowledged change on disk             {syncs} fdatasync, {bytes} bytes");
}

/// `target/release/everbeat`, beside the directory this runs from; `EVERBEAT` names another one.
fn our_binary() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("EVERBEAT") {
        return Some(named.into());
    }
    let found = std::env::current_exe().ok()?.parent()?.parent()?.join("everbeat");
    found.is_file().then_some(found)
}

pub fn print() {
    let ratio = |a: Duration, b: Duration| a.as_secs_f64() / b.as_secs_f64();
    let mut modify_times = Vec::new();
    for resources in [1000, 10_000] {
        let text = generate::cib(resources);
        println!("\n{resources} resources, 8 nodes, {:.1} MB:", text.len() as f64 / 1e6);
        let before = LIVE.load(Ordering::Relaxed);
        let document = Cib::parse(&text).expect("what we generate parses");
        let memory = LIVE.load(Ordering::Relaxed) - before;
        println!("  memory of the document / size of the text   {:.2}", memory as f64 / text.len() as f64);
        let plain = best(5, || {
            let parsed = Cib::parse(&text).expect("parses");
            assert_eq!(parsed.root().to_xml().len(), text.len());
        });
        let checked = best(3, || {
            let parsed = Cib::parse(&text).expect("parses");
            assert!(schema::validate(parsed.root()).expect("a known schema").is_empty());
            parsed.root().to_xml();
        });
        println!("  parse and print                             {plain:?}");
        println!("  the same with full validation               {checked:?}");
        let mut current = document.clone();
        let mut value = 0;
        // The first change fills what is remembered about a document between changes.
        current = apply(&current, &modify(3, 1)).expect("is there").cib;
        let rounds = 3000;
        let one = best(5, || {
            for _ in 0..rounds {
                value += 1;
                current = apply(&current, &modify(resources / 2, value)).expect("is there").cib;
            }
        }) / rounds;
        println!("  modify one by id, validated                 {one:?}  (CPU time, as all here)");
        modify_times.push(one);
        acknowledged(&document, &current);
        let peer = "/usr/sbin/cibadmin";
        if Path::new(peer).exists() {
            let directory = tempfile::tempdir().expect("a directory for the file");
            let file = directory.path().join("cib.xml");
            std::fs::write(&file, &text).expect("room for the file");
            let cpu = process_cpu(peer, &["-Q"], &file, 3);
            println!("  cibadmin -Q of Pacemaker, CPU time          {cpu:?}");
            println!("  peer / parse and print                      {:.1}", ratio(cpu, plain));
            println!("  peer / with full validation                 {:.1}", ratio(cpu, checked));
            match our_binary() {
                Some(ours) => {
                    // It validates what it reads.
                    let own = process_cpu(&ours.to_string_lossy(), &["cibadmin", "-Q"], &file, 3);
                    println!("  our cibadmin -Q, whole process, validating  {own:?}");
                    println!("  peer / our whole process                    {:.1}", ratio(cpu, own));
                }
                None => println!("  our cibadmin: not built (cargo build --release -p tools)"),
            }
        } else {
            println!("  no {peer}: nothing to compare with");
        }
    }
    if let [small, large] = modify_times.as_slice() {
        println!("\nmodify by id, 10 000 resources / 1000 resources  {:.2}", ratio(*large, *small));
    }
}
