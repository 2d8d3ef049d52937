//! Printing: the form of files, the compact form, and the form digests are made of.

use super::{Element, Node};

pub(super) fn formatted(element: &Element) -> String {
    let mut out = String::with_capacity(4096);
    write_formatted(element, 0, &mut out);
    out
}

pub(super) fn compact(element: &Element) -> String {
    let mut out = String::with_capacity(1024);
    write_compact(element, &mut out);
    out
}

fn write_formatted(element: &Element, depth: usize, out: &mut String) {
    let node = &*element.0;
    indent(depth, out);
    if write_comment(element, out) {
        out.push('\n');
        return;
    }
    open_tag(node, out);
    if node.nodes.is_empty() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for child in node.nodes.iter() {
        write_formatted(child, depth + 1, out);
    }
    indent(depth, out);
    close_tag(node, out);
    out.push('\n');
}

fn write_compact(element: &Element, out: &mut String) {
    let node = &*element.0;
    if write_comment(element, out) {
        return;
    }
    open_tag(node, out);
    if node.nodes.is_empty() {
        out.push_str("/>");
        return;
    }
    out.push('>');
    for child in node.nodes.iter() {
        write_compact(child, out);
    }
    close_tag(node, out);
}

fn indent(depth: usize, out: &mut String) {
    const SPACES: &str = "                                ";
    let mut left = depth * 2;
    while left > 0 {
        let piece = left.min(SPACES.len());
        out.push_str(&SPACES[..piece]);
        left -= piece;
    }
}

fn write_comment(element: &Element, out: &mut String) -> bool {
    match element.comment_text() {
        Some(text) => {
            out.push_str("<!--");
            out.push_str(text);
            out.push_str("-->");
            true
        }
        None => false,
    }
}

fn open_tag(node: &Node, out: &mut String) {
    out.push('<');
    out.push_str(node.shape.name.as_str());
    let names = &node.shape.attrs;
    for (name, value) in names.iter().zip(node.values.iter(names.len())) {
        out.push(' ');
        out.push_str(name.as_str());
        out.push_str("=\"");
        escape(value, out);
        out.push('"');
    }
}

fn close_tag(node: &Node, out: &mut String) {
    out.push_str("</");
    out.push_str(node.shape.name.as_str());
    out.push('>');
}

/// Escape an attribute value such that parsing gives the same value back: white space other than blanks as character
/// references (an XML parser would read it as blanks).
fn escape(value: &str, out: &mut String) {
    if !value.bytes().any(needs_escape) {
        out.push_str(value);
        return;
    }
    let mut plain = 0;
    for (at, byte) in value.bytes().enumerate() {
        if !needs_escape(byte) {
            continue;
        }
        out.push_str(value.get(plain..at).unwrap_or(""));
        plain = at + 1;
        match byte {
            b'<' => out.push_str("&lt;"),
            b'>' => out.push_str("&gt;"),
            b'"' => out.push_str("&quot;"),
            b'\'' => out.push_str("&apos;"),
            b'&' => out.push_str("&amp;"),
            b'\t' => out.push_str("&#9;"),
            b'\n' => out.push_str("&#10;"),
            b'\r' => out.push_str("&#13;"),
            // Not representable in XML 1.0 at all; a value set by a program may still hold it.
            _ => out.push('\u{fffd}'),
        }
    }
    out.push_str(value.get(plain..).unwrap_or(""));
}

fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'<' | b'>' | b'"' | b'\'' | b'&')
}

/// The bytes a digest is computed over: compact, attributes sorted on request and filtered, Pacemaker's own escapes
/// (tab as four blanks, `\n`, `\r`, other bytes as octal; nothing after two consecutive bytes above 0x7f).
///
/// `out` is given to `drain` whenever it has grown long, and is to be emptied by it.
///
/// Source: Pacemaker 2.1.5, observed through `cibadmin -5` and `-6`.
pub(super) fn digest_form(
    element: &Element,
    sorted: bool,
    filter: &dyn Fn(&str) -> bool,
    out: &mut Vec<u8>,
    drain: &mut dyn FnMut(&mut Vec<u8>),
) {
    if out.len() >= 1 << 16 {
        drain(out);
    }
    let node = &*element.0;
    if let Some(text) = element.comment_text() {
        out.extend_from_slice(b"<!--");
        out.extend_from_slice(text.as_bytes());
        out.extend_from_slice(b"-->");
        return;
    }
    out.push(b'<');
    out.extend_from_slice(node.shape.name.as_str().as_bytes());
    let mut write = |name: &str, value: &str| {
        if filter(name) {
            return;
        }
        digest_attribute(name, value, out);
    };
    if sorted {
        let mut attrs: Vec<_> = element.attrs().collect();
        attrs.sort_unstable();
        attrs.into_iter().for_each(|(name, value)| write(name, value));
    } else {
        element.attrs().for_each(|(name, value)| write(name, value));
    }
    if node.nodes.is_empty() {
        out.extend_from_slice(b"/>");
        return;
    }
    out.push(b'>');
    for child in node.nodes.iter() {
        digest_form(child, sorted, filter, out, drain);
    }
    out.extend_from_slice(b"</");
    out.extend_from_slice(node.shape.name.as_str().as_bytes());
    out.push(b'>');
}

/// An attribute in that form, with the blank before it.
pub(crate) fn digest_attribute(name: &str, value: &str, out: &mut Vec<u8>) {
    out.push(b' ');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"=\"");
    digest_escape(value, out);
    out.push(b'"');
}

fn digest_escape(value: &str, out: &mut Vec<u8>) {
    let bytes = value.as_bytes();
    if bytes.iter().all(|&byte| (0x20..0x7f).contains(&byte) && !needs_escape(byte)) {
        out.extend_from_slice(bytes);
        return;
    }
    let mut stopped = false;
    for (at, &byte) in bytes.iter().enumerate() {
        if !stopped && byte >= 0x80 && bytes.get(at + 1).is_some_and(|&next| next >= 0x80) {
            stopped = true;
        }
        if stopped {
            out.push(byte);
            continue;
        }
        match byte {
            b'<' => out.extend_from_slice(b"&lt;"),
            b'>' => out.extend_from_slice(b"&gt;"),
            b'"' => out.extend_from_slice(b"&quot;"),
            b'\'' => out.extend_from_slice(b"&apos;"),
            b'&' => out.extend_from_slice(b"&amp;"),
            b'\t' => out.extend_from_slice(b"    "),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            0x20..=0x7e => out.push(byte),
            _ => out.extend_from_slice(format!("\\{byte:03o}").as_bytes()),
        }
    }
}
