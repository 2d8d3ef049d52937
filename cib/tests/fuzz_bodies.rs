//! The bodies of the fuzz targets (`fuzz/`), over their corpus and seeded mutations of it, with the memory they use
//! counted.
//!
//! `CIB_FUZZ_ROUNDS` sets how many mutations each body sees (default 3000); `CIB_FUZZ_SEED` where they begin.
#![allow(clippy::unwrap_used, unsafe_code)] // a counting allocator

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

use cib::{Cib, Element, Operation, Request, apply, schema};

/// Counts what each thread has in use, and the most it had.
struct Peak;

thread_local! {
    static LIVE: Cell<usize> = const { Cell::new(0) };
    static PEAK: Cell<usize> = const { Cell::new(0) };
}

/// What other threads free is not taken off; each of these tests keeps to its own.
fn count(change: impl Fn(usize) -> usize) {
    // A thread that is ending counts no more.
    let _ = LIVE.try_with(|live| {
        live.set(change(live.get()));
        let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live.get())));
    });
}

unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(|live| live.saturating_add(layout.size()));
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(|live| live.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Peak = Peak;

/// Measures a piece of work, and keeps the most that one of its name used of what it may.
#[derive(Default)]
struct Meters(std::cell::RefCell<std::collections::BTreeMap<String, f64>>);

impl Meters {
    fn measure(&self, name: &str, allowed: usize, work: &mut dyn FnMut()) {
        let before = LIVE.get();
        PEAK.set(before);
        work();
        let used = PEAK.get().saturating_sub(before);
        let share = used as f64 / allowed as f64;
        let mut most = self.0.borrow_mut();
        let most = most.entry(name.to_string()).or_default();
        *most = most.max(share);
        assert!(used <= allowed, "{name}: {used} bytes used, {allowed} allowed");
    }

    fn say(&self) {
        for (name, share) in self.0.borrow().iter() {
            println!("{name}: at most {:.0} % of the memory it may use", share * 100.0);
        }
    }
}

/// The inputs kept for a target, in the order of their names.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What mutations are stitched from, besides bytes.
const PIECES: [&str; 22] = [
    "<",
    ">",
    "/>",
    "</",
    "&",
    "&lt;",
    "&#0;",
    "&#x110000;",
    "&x;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [",
    "<?",
    "'",
    "\"",
    "=",
    "\u{0}",
    "[",
    "(",
    "//",
];

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn pick<'a, T: ?Sized>(&mut self, list: &[&'a T]) -> &'a T {
        list[self.below(list.len())]
    }

    /// One to six edits: bytes changed, parts removed, doubled, moved in from elsewhere.
    fn mutate(&mut self, text: &[u8], others: &[&[u8]]) -> Vec<u8> {
        let mut bytes = text.to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let piece = self.pick(&PIECES);
                    bytes.splice(at..at, piece.bytes());
                }
                4 => {
                    let end = (at + self.below(60)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let times = 1 + self.below(30);
                    bytes.splice(at..at, part.repeat(times));
                }
                _ => {
                    let other = self.pick(others);
                    let from = self.below(other.len());
                    let to = (from + self.below(80)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        bytes
    }
}

fn rounds() -> (Chance, usize) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("CIB_FUZZ_SEED", 1);
    println!("CIB_FUZZ_SEED={seed}");
    (Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), number("CIB_FUZZ_ROUNDS", 3000) as usize)
}

/// Runs a body over the corpus of a target and over mutations of it; how many of these it took.
fn run(target: &str, share: usize, body: impl Fn(&[u8], bodies::Meter<'_>) -> bool) -> (usize, usize) {
    let (mut chance, rounds) = rounds();
    let inputs = corpus(target);
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let unmeasured = |_: &str, _: usize, work: &mut dyn FnMut()| work();
    for input in &inputs {
        // What is made once and kept, such as a grammar, is no use of memory by an input.
        body(input, &unmeasured);
    }
    let meters = Meters::default();
    let meter = |name: &str, allowed: usize, work: &mut dyn FnMut()| meters.measure(name, allowed, work);
    for input in &inputs {
        body(input, &meter);
    }
    let rounds = rounds / share;
    let mut taken = 0;
    for _ in 0..rounds {
        let input = chance.pick(&inputs);
        taken += usize::from(body(&chance.mutate(input, &inputs), &meter));
    }
    meters.say();
    (taken, rounds)
}

#[test]
fn parse() {
    let (taken, rounds) = run("parse", 1, |bytes, meter| bodies::parse(bytes, meter).is_some());
    assert!(taken > rounds / 100, "{taken} of {rounds} mutations parse: they no longer reach the printer");
}

#[test]
fn patches() {
    let (taken, rounds) = run("patch", 1, bodies::patch);
    assert!(taken > rounds / 100, "{taken} of {rounds} mutations were applied");
}

#[test]
fn expressions() {
    let (taken, rounds) = run("xpath", 1, bodies::xpath);
    assert!(taken > rounds / 100, "{taken} of {rounds} mutations are expressions");
}

#[test]
fn upgrades_and_validation() {
    let (taken, rounds) = run("upgrade", 4, bodies::upgrade);
    // Few mutations of a valid document are valid.
    assert!(taken > rounds / 500, "{taken} of {rounds} mutations were upgraded");
}

/// Operations with mutated input never break the document: what they return is valid or refused.
#[test]
fn operations() {
    let (mut chance, rounds) = rounds();
    let document =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/parse/modern.xml"))
            .unwrap();
    let cib = Cib::parse(&document).unwrap();
    let expressions = corpus("xpath");
    let inputs: [&str; 3] = [
        "<primitive id=\"a\" class=\"lsb\" type=\"x\"/>",
        "<nodes><node id=\"1\" uname=\"n\"/></nodes>",
        &document,
    ];
    for _ in 0..rounds / 4 {
        let bytes = inputs.map(str::as_bytes);
        let text = chance.pick(&bytes);
        let Ok(input) = Element::parse_bytes(&chance.mutate(text, &bytes)) else { continue };
        let mut request = Request::new(Operation::ALL[chance.below(Operation::ALL.len())]).input(input);
        request.options.allow_create = chance.below(2) == 0;
        match chance.below(3) {
            0 => request.section = Some(chance.pick(&cib::ops::SECTIONS).to_string()),
            1 => {
                let expression = &expressions[chance.below(expressions.len())];
                request.xpath = Some(String::from_utf8_lossy(expression).into_owned());
            }
            _ => {}
        }
        let validated = request.section.as_deref() != Some("status");
        if let Ok(applied) = apply(&cib, &request)
            && applied.changed
            && validated
            && applied.cib.root().attr("validate-with").is_some()
        {
            let complaints = schema::validate(applied.cib.root()).unwrap();
            assert!(
                complaints.iter().all(|complaint| complaint.severity != schema::Severity::Error),
                "{request:?} made {:?}",
                complaints.first()
            );
        }
    }
}

/// The texts that need most memory for their length; the worst is `<a/>`, four bytes that become an element with its
/// bookkeeping.
#[test]
fn the_worst_texts_stay_within_the_bound() {
    let many = |piece: &str| format!("<cib>{}</cib>", piece.repeat(100_000 / piece.len()));
    let names: String = (0..10_000).map(|number| format!("<n{number} a{number}=''/>")).collect();
    let attributes: String = (0..500).map(|number| format!(" a{number}=''")).collect();
    let attributes = format!("<a{attributes}/>").repeat(100);
    let texts = [
        ("empty elements", many("<a/>")),
        ("an attribute each", many("<a b=''/>")),
        ("comments", many("<!---->")),
        ("references", many("<a b='&lt;&#65;'/>")),
        ("names of their own", format!("<cib>{names}</cib>")),
        ("attributes", format!("<cib>{attributes}</cib>")),
        ("nesting", "<a>".repeat(100_000)),
        ("nesting in turns", many("<a><a><a><a></a></a></a></a>")),
        ("a long value", format!("<cib a='{}'/>", "&amp;".repeat(100_000))),
        ("broken at the end", many("<a/>").replace("</cib>", "<")),
    ];
    let meters = Meters::default();
    for (what, text) in texts {
        meters.measure(what, bodies::PARSE * text.len() + bodies::FREE, &mut || {
            let _ = Element::parse(&text);
        });
    }
    meters.say();
}
