//! The policy engine against recorded decisions of Pacemaker 2.1.5, and its commands against the installed ones.
//!
//! `conformance/scheduler.passing` lists what agrees, one `CASE LEVEL` a line; it only grows. The cases
//! lie beside the checkout, or where `EVERBEAT_CONFORMANCE` says.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cib::Cib;
use crm_core::policy::simulator::{self, Options};
use everbeat_tests::need;

/// Deep orderings make deep calls.
const STACK: usize = 64 << 20;
/// 2026-11-20T12:00:00Z, for cases without a time of their own.
const NOW: i64 = 1_795_176_000;

fn cases() -> Option<PathBuf> {
    let folder = std::env::var_os("EVERBEAT_CONFORMANCE").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/conformance"),
        PathBuf::from,
    );
    let folder = folder.join("scheduler");
    folder.join("xml").is_dir().then_some(folder)
}

/// The levels of each case that must agree.
fn wanted() -> BTreeMap<String, BTreeSet<String>> {
    let list = include_str!("../conformance/scheduler.passing");
    let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in list.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let (name, level) = line.split_once(' ').unwrap();
        wanted.entry(name.to_owned()).or_default().insert(level.to_owned());
    }
    wanted
}

/// The time that a case is planned at, from the list of cases (its only kind of argument is `-t TIME`).
fn dates(folder: &Path) -> BTreeMap<String, String> {
    let text = std::fs::read_to_string(folder.join("tests.json")).unwrap();
    let mut dates = BTreeMap::new();
    for case in text.split("{\"name\": \"").skip(1) {
        let (name, rest) = case.split_once('"').unwrap();
        let strings: Vec<&str> = rest.split('"').skip(3).step_by(2).collect();
        if let ["-t", date, ..] = strings.as_slice() {
            dates.insert(name.to_owned(), (*date).to_owned());
        }
    }
    dates
}

/// The recorded text has other words for promoted roles.
fn modern(text: &str) -> String {
    let text = text.replace("ocf::", "ocf:").replace("Masters:", "Promoted:");
    let text = text.replace("Slaves:", "Unpromoted:").replace(" Slave ", " Unpromoted ");
    let mut out = String::new();
    for line in text.split_inclusive('\n') {
        let ends = line.strip_suffix(" Master\n").map(|head| format!("{head} Promoted\n"));
        let line = ends.unwrap_or_else(|| line.to_owned());
        out.push_str(&line.replace(" Master ", " Promoted ").replace(" Master[", " Promoted["));
    }
    out
}

fn sorted_graph(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    match lines.as_slice() {
        [first, middle @ .., last] => {
            let middle: BTreeSet<&str> = middle.iter().copied().collect();
            let middle: Vec<&str> = middle.into_iter().collect();
            format!("{first}\n{}\n{last}\n", middle.join("\n"))
        }
        _ => text.to_owned(),
    }
}

fn sorted_lines(text: &str) -> String {
    let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.sort_unstable();
    lines.concat()
}

/// The levels of one case that do not agree.
fn differing(folder: &Path, name: &str, date: Option<&String>) -> Vec<&'static str> {
    let file = |kind: &str| {
        let path = folder.join(kind).join(format!("{name}.{kind}"));
        std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let cib = Cib::parse(&file("xml")).unwrap();
    let mut differing = Vec::new();

    let options = Options { simulate: true, ..Options::default() };
    let out = simulator::run(&cib, &options, NOW, 0);
    if modern(&format!("{}{}{}", out.notes, out.stdout, out.stderr)) != file("summary") {
        differing.push("summary");
    }
    let options = Options {
        simulate: true,
        scores: true,
        quiet: true,
        dot: true,
        date: date.cloned(),
        ..Options::default()
    };
    let out = simulator::run(&cib, &options, NOW, 0);
    if sorted_graph(&out.dot.unwrap_or_default()) != sorted_graph(&file("dot")) {
        differing.push("graph");
    }
    if sorted_lines(&out.stdout) != sorted_lines(&file("scores")) {
        differing.push("scores");
    }
    differing
}

#[test]
fn the_policy_engine_decides_what_is_recorded() {
    let Some(folder) = cases() else {
        need::left_out(
            "the_policy_engine_decides_what_is_recorded",
            "the recorded cases are not beside the checkout; EVERBEAT_CONFORMANCE names their folder",
        );
        return;
    };
    let wanted: Vec<(String, BTreeSet<String>)> = wanted().into_iter().collect();
    assert!(wanted.len() > 500, "the list of passing cases is short: {}", wanted.len());
    let dates = dates(&folder);
    let next = AtomicUsize::new(0);
    let broken = Mutex::new(Vec::new());
    let work = || {
        while let Some((name, levels)) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            let differing = differing(&folder, name, dates.get(name));
            for level in differing.into_iter().filter(|level| levels.contains(*level)) {
                broken.lock().unwrap().push(format!("{name} {level}"));
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, work).unwrap();
        }
    });
    let mut broken = broken.into_inner().unwrap();
    broken.sort();
    let mut text = String::new();
    for line in &broken {
        let _ = writeln!(text, "{line}");
    }
    assert!(broken.is_empty(), "agreed before and differ now:\n{text}");
}

/// Verdict and exit status of a configuration check.
fn verdict(program: &Path, words: &[&str], file: &Path) -> (&'static str, Option<i32>) {
    let out = std::process::Command::new(program).args(words).arg("-x").arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    let verdict = if said.contains("Errors found") {
        "error"
    } else if said.contains("Warnings found") {
        "warning"
    } else {
        "clean"
    };
    (verdict, out.status.code())
}

/// What a command prints, and its exit status; the envelope of XML quotes the command line, which differs.
fn printed(program: &Path, words: &[&str], file: &Path) -> (String, Option<i32>) {
    let mut command = std::process::Command::new(program);
    command.args(words).arg("-x").arg(file).env("LC_ALL", "C").env("TZ", "UTC");
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    let quotes = |line: &&str| !line.contains("<pacemaker-result") && !line.contains("last-failure-");
    // The reference escapes an exit reason twice in XML: DIFFERENCES.md.
    let text: String = text.split_inclusive('\n').filter(quotes).collect();
    (text.replace("&amp;", "&"), out.status.code())
}

/// Asks both programs about every file, on all processors; what differs.
fn compare(files: &[PathBuf], ask: &(impl Fn(&Path) -> Option<String> + Sync)) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let differ = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(text) = ask(file) {
                        differ.lock().unwrap().push(format!("{}: {text}", file.display()));
                    }
                }
            });
        }
    });
    let mut differ = differ.into_inner().unwrap();
    differ.sort();
    differ
}

fn inputs(test: &str) -> Option<Vec<PathBuf>> {
    if !need::programs_are_there(test, &["/usr/sbin/crm_verify", "/usr/sbin/crm_simulate"]) {
        return None;
    }
    let folder = need::conformance(test)?.join("scheduler/xml");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    Some(files)
}

#[test]
fn crm_verify_judges_every_input_as_the_peer_does() {
    let Some(files) = inputs("crm_verify_judges_every_input_as_the_peer_does") else { return };
    let binary = everbeat_tests::binary::everbeat();
    let differ = compare(&files, &|file| {
        let ours = verdict(&binary, &["crm_verify"], file);
        let peer = verdict(Path::new("/usr/sbin/crm_verify"), &[], file);
        (ours != peer).then(|| format!("{ours:?}, the peer {peer:?}"))
    });
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn crm_simulate_prints_what_the_peer_prints() {
    let Some(files) = inputs("crm_simulate_prints_what_the_peer_prints") else { return };
    let binary = everbeat_tests::binary::everbeat();
    let forms: [&[&str]; 3] = [&["-S", "--output-as=xml"], &["-S"], &["-A"]];
    // Each input in one form; together every form meets every third input.
    let form = |file: &Path| {
        let at = files.iter().position(|f| f == file).unwrap();
        *forms.get(at % forms.len()).unwrap()
    };
    let differ = compare(&files, &|file| {
        let words = form(file);
        let ours = printed(&binary, &[&["crm_simulate"], words].concat(), file);
        let peer = printed(Path::new("/usr/sbin/crm_simulate"), words, file);
        (ours != peer).then(|| format!("{words:?}: ours\n{}\nthe peer\n{}", ours.0, peer.0))
    });
    assert!(differ.is_empty(), "{} differ, the first:\n{}", differ.len(), differ.first().unwrap());
}
