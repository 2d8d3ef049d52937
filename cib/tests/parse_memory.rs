//! A parsed document takes at most [`MULTIPLE`] times the bytes of its text, whatever the text.
#![allow(clippy::unwrap_used, unsafe_code)] // a counting allocator

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use cib::Element;

/// The worst case is `<a/>`: four bytes that become an element with its bookkeeping.
const MULTIPLE: usize = 48;

struct Peak;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

unsafe impl GlobalAlloc for Peak {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK.fetch_max(live, Ordering::Relaxed);
        // SAFETY: the caller's promises are the system allocator's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Peak = Peak;

#[test]
fn memory_is_bounded_by_the_text() {
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
    for (what, text) in texts {
        let before = LIVE.load(Ordering::Relaxed);
        PEAK.store(before, Ordering::Relaxed);
        let parsed = Element::parse(&text);
        let used = PEAK.load(Ordering::Relaxed) - before;
        let multiple = used as f64 / text.len() as f64;
        println!("{what}: {multiple:.1}");
        assert!(used <= MULTIPLE * text.len() + 65_536, "{what}: {multiple:.1} times the text");
        drop(parsed);
    }
}
