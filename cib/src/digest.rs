//! Digests of documents: MD5 over a canonical form, in three kinds.
//!
//! They tell whether two nodes hold the same document and whether a file was changed by hand. They prove nothing against
//! an adversary; what needs proof is authenticated elsewhere.
//!
//! Source: Pacemaker 2.1.5, `cibadmin -5` (file) and `-6` (content), cib.md §6.4.

use md5::{Digest, Md5};

use crate::Element;

/// Attributes that say who wrote a document and when, left out where two documents are compared for content.
pub const BOOKKEEPING: [&str; 5] =
    ["crm-debug-origin", "cib-last-written", "update-origin", "update-client", "update-user"];

/// The digest of a file (`cib.xml.sig`) and of patches of format 1: everything, attributes in document order.
pub fn file(element: &Element) -> String {
    digest(element, Frame::File, false, &|_| false)
}

/// The digest of content, used with patches of format 2: without [`BOOKKEEPING`] attributes.
pub fn content(element: &Element) -> String {
    digest(element, Frame::Bare, false, &|name| BOOKKEEPING.contains(&name))
}

/// The digest patches carry and `cibadmin -6` shows: [`content()`] for documents of a feature set from 3.0.5 on, [`file()`]
/// for older ones and those that do not say.
pub fn versioned(element: &Element) -> String {
    let set: Vec<u32> = element
        .attr("crm_feature_set")
        .unwrap_or("")
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect();
    if set >= vec![3, 0, 5] { content(element) } else { file(element) }
}

/// The digest of operation parameters: as [`file()`], attributes sorted by name.
pub fn parameters(element: &Element) -> String {
    digest(element, Frame::File, true, &|_| false)
}

/// A digest that needs no memory of its own: its sixteen bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum([u8; 16]);

impl Sum {
    /// Whether a text is this digest in lower-case hexadecimal digits.
    pub fn is(&self, text: &str) -> bool {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&pair_of(byte));
        }
        text.as_bytes() == digits
    }
}

impl std::fmt::Display for Sum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

/// [`parameters`] of an element that need not be made: these names and values, sorted by name.
pub fn sorted_parameters<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> Sum {
    sorted_parameters_in(pairs, &mut Vec::with_capacity(256))
}

/// [`sorted_parameters`], in memory that was used before: what it holds does not matter.
pub fn sorted_parameters_in<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>, bytes: &mut Vec<u8>) -> Sum {
    bytes.clear();
    bytes.extend_from_slice(b" <parameters");
    for (name, value) in pairs {
        crate::xml::digest_attribute(name, value, bytes);
    }
    bytes.extend_from_slice(b"/>\n");
    Sum(Md5::digest(&bytes).into())
}

/// The digest Heartbeat 2.1.3 wrote beside its `cib.xml`: over indented lines, nothing escaped.
pub fn heartbeat_file(element: &Element) -> String {
    let mut bytes = Vec::new();
    heartbeat_lines(element, 0, &mut bytes);
    hex(&Md5::digest(&bytes))
}

fn heartbeat_lines(element: &Element, depth: usize, out: &mut Vec<u8>) {
    if element.is_comment() {
        return;
    }
    let indent = |out: &mut Vec<u8>| out.extend(std::iter::repeat_n(b' ', 1 + 2 * depth));
    indent(out);
    out.extend_from_slice(format!("<{}", element.name()).as_bytes());
    for (name, value) in element.attrs() {
        out.extend_from_slice(format!(" {name}=\"{value}\"").as_bytes());
    }
    if element.is_leaf() {
        out.extend_from_slice(b"/>\n");
        return;
    }
    out.extend_from_slice(b">\n");
    for child in element.children() {
        heartbeat_lines(child, depth + 1, out);
    }
    indent(out);
    out.extend_from_slice(format!("</{}>\n", element.name()).as_bytes());
}

/// What stands around the form.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Frame {
    Bare,
    /// A blank before it, a line end behind it.
    File,
}

/// The form is hashed as it is made: the memory needed does not grow with the document.
fn digest(element: &Element, frame: Frame, sorted: bool, filter: &dyn Fn(&str) -> bool) -> String {
    let mut hasher = Md5::new();
    let mut bytes = Vec::new();
    if frame == Frame::File {
        bytes.push(b' ');
    }
    element.write_digest_form(sorted, filter, &mut bytes, &mut |part| {
        hasher.update(&part);
        part.clear();
    });
    if frame == Frame::File {
        bytes.push(b'\n');
    }
    hasher.update(&bytes);
    hex(&hasher.finalize())
}

/// The two digits of a byte.
fn pair_of(byte: u8) -> [u8; 2] {
    let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
    [digit(byte >> 4), digit(byte & 15)]
}

fn hex(sum: &[u8]) -> String {
    let mut digits = Vec::with_capacity(2 * sum.len());
    for byte in sum {
        digits.extend_from_slice(&pair_of(*byte));
    }
    String::from_utf8(digits).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_recorded_digests() {
        let text = "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"10\" num_updates=\"0\" \
            admin_epoch=\"0\"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>";
        let element = Element::parse(text).unwrap();
        assert_eq!(file(&element), "fbc47363f48e456272c31afa4a0d7263");
        assert_eq!(content(&element), "74e4a535acd65bd64d58a1860fbd7f6a");
    }

    #[test]
    fn parameters_without_an_element() {
        let pairs = [("CRM_meta_timeout", "20000"), ("a", "1"), ("b", "<\"&\u{e4}>")];
        let mut element = Element::new("parameters");
        pairs.iter().rev().for_each(|(name, value)| element.set_attr(name, *value));
        let sum = sorted_parameters(pairs.into_iter());
        assert_eq!(sum.to_string(), parameters(&element));
        assert!(sum.is(&parameters(&element)) && !sum.is(&parameters(&element).to_uppercase()));
        let none = sorted_parameters_in([].into_iter(), &mut b"left over".to_vec());
        assert!(none.is(&parameters(&Element::new("parameters"))));
        assert!(!none.is("") && none != sum);
    }

    #[test]
    fn a_document_hashed_in_parts_has_the_digest_of_the_whole() {
        let text = format!("<cib>{}</cib>", "<nvpair id=\"a\" name=\"b\" value=\"c\"/>".repeat(5000));
        let whole = Md5::digest(format!(" {text}\n").as_bytes());
        assert_eq!(file(&Element::parse(&text).unwrap()), hex(&whole));
        assert_eq!(content(&Element::parse(&text).unwrap()), hex(&Md5::digest(text.as_bytes())));
    }
}
