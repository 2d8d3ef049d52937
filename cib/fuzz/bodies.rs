//! What the fuzz targets do with an input; shared with the test `fuzz_bodies`, which runs in CI.
//!
//! No input makes them panic, use memory out of proportion, or refuse without saying where.

use cib::patch::{self, Format, Making};
use cib::{Cib, Element, dialect, schema, xpath};

/// Bytes that each of them may use per byte of its input and of the document it works on, besides [`FREE`].
pub const PARSE: usize = 48;
pub const PATCH: usize = 48;
pub const XPATH: usize = 256;
pub const UPGRADE: usize = 48;

/// Bytes that cost nothing, whatever the input.
pub const FREE: usize = 1 << 16;

/// What the validator remembers of a grammar while it reads with it comes on top.
const VALIDATE_FREE: usize = 2 << 20;

/// Runs the work, which may use so many bytes, and measures it if it can. The text names it.
pub type Meter<'a> = &'a dyn Fn(&str, usize, &mut dyn FnMut());

/// What patches are applied to and expressions look at.
const DOCUMENT: &str = include_str!("corpus/parse/modern.xml");

/// As `work` gives it, measured.
fn within<T>(meter: Meter<'_>, name: &str, allowed: usize, mut work: impl FnMut() -> T) -> T {
    let mut result = None;
    meter(name, allowed + FREE, &mut || result = Some(work()));
    result.expect("a meter runs the work")
}

fn document() -> Cib {
    Cib::parse(DOCUMENT).expect("the document of the corpus")
}

/// Whatever parses prints to something that parses to the same; whatever does not names a place within the text.
/// The document, if it is one.
pub fn parse(bytes: &[u8], meter: Meter<'_>) -> Option<Element> {
    match within(meter, "parse", PARSE * bytes.len(), || Element::parse_bytes(bytes)) {
        Ok(root) => {
            let printed = root.to_xml();
            assert_eq!(Element::parse(&printed).as_ref(), Ok(&root), "{printed}");
            assert_eq!(Element::parse(&root.to_xml_compact()).as_ref(), Ok(&root));
            cib::digest::content(&root);
            cib::digest::file(&root);
            Some(root)
        }
        Err(error) => {
            let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
            assert!(error.line >= 1 && error.line as usize <= lines, "{error}");
            assert!(error.column >= 1 && error.column as usize <= bytes.len() + 1, "{error}");
            assert!(!error.text.is_empty());
            None
        }
    }
}

/// A patch is applied and can be taken back, or refused with a sentence; the document it is applied to stays what it was.
/// Whether it was applied.
pub fn patch(bytes: &[u8], meter: Meter<'_>) -> bool {
    let Some(change) = parse(bytes, meter) else { return false };
    let cib = document();
    let allowed = PATCH * (bytes.len() + DOCUMENT.len());
    let applied = within(meter, "patch", allowed, || patch::apply(&cib, &change));
    assert_eq!(cib, document(), "a patch leaves the document it is applied to alone");
    match applied {
        Ok(after) => {
            let making = Making { format: Format::Two, versions: false, digest: true, exact: true };
            if let Some(back) = patch::make(after.root(), cib.root(), making) {
                let returned = patch::apply_to(after.root(), &back).expect("our own patch fits");
                // Without versions the patch keeps those of the document it starts from.
                assert_eq!(returned.child("configuration"), cib.configuration());
            }
            true
        }
        Err(error) => {
            assert!(!error.text.is_empty());
            false
        }
    }
}

/// An expression is evaluated or refused; what cannot be read is refused with a column within it. Whether it could be.
pub fn xpath(bytes: &[u8], meter: Meter<'_>) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let cib = document();
    let parsed = within(meter, "expression", XPATH * text.len(), || xpath::Expression::parse(&text));
    match parsed {
        Ok(expression) => {
            let allowed = XPATH * (text.len() + DOCUMENT.len());
            // A computed text has a limit of its own.
            let result = within(meter, "evaluation", allowed + (4 << 20), || expression.evaluate(cib.root()));
            assert!(result.err().is_none_or(|error| !error.to_string().is_empty()));
            true
        }
        Err(error) => {
            assert!(error.column >= 1 && error.column <= text.len() + 1, "{error}");
            false
        }
    }
}

/// A document of an older language becomes a valid one of the newest, or is refused with complaints that have a text.
/// Whether it was upgraded.
pub fn upgrade(bytes: &[u8], meter: Meter<'_>) -> bool {
    let Some(root) = parse(bytes, meter) else { return false };
    let allowed = UPGRADE * bytes.len();
    let valid = |root: &Element| {
        schema::validate(root).is_ok_and(|complaints| {
            assert!(complaints.iter().all(|complaint| !complaint.text.is_empty()));
            complaints.iter().all(|complaint| complaint.severity != schema::Severity::Error)
        })
    };
    let allowed = allowed + VALIDATE_FREE;
    within(meter, "validation", allowed, || valid(&root));
    match within(meter, "upgrade", allowed, || dialect::upgrade(&root)) {
        Ok(done) => {
            let kept = done.root == root;
            assert!(kept || valid(&done.root), "{}", done.root);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}
