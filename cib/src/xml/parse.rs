//! Parsing on top of quick-xml, with our own attribute reading, positions and refusals.

use std::collections::HashMap;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::Event;

use super::shape::{Shape, Values};
use super::{Element, Name, Node, is_xml_name};

/// What documents of Heartbeat 2.x call their DTD.
const HEARTBEAT_DTDS: &[&str] = &["crm.dtd", "crm-1.0.dtd", "/usr/share/heartbeat/crm.dtd"];

/// Deepest nesting accepted, elements from the root. The deepest real CIB has about twelve levels, nested rules aside.
pub const DEPTH_MAX: usize = 256;

/// Most attributes of one element accepted: each is compared with those before it. Real elements have fewer than forty.
pub const ATTRIBUTES_MAX: usize = 512;

/// Longest document accepted, bytes: attribute values are addressed by 32 bits.
const TEXT_MAX: usize = u32::MAX as usize / 2;

/// Why a text is not a document. Nothing was changed; the fault is the text's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line} column {column}: {text}")]
pub struct XmlError {
    /// From 1.
    pub line: u32,
    /// In characters, from 1.
    pub column: u32,
    /// A sentence without place and full stop.
    pub text: String,
}

pub(super) fn parse_bytes(bytes: &[u8]) -> Result<Element, XmlError> {
    match std::str::from_utf8(bytes) {
        Ok(text) => parse(text),
        Err(error) => {
            let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
            let valid = std::str::from_utf8(valid).unwrap_or("");
            let mut place = Place::default();
            place.advance(valid, valid.len());
            Err(XmlError { line: place.line, column: place.column, text: "not UTF-8 from here".to_string() })
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Element, XmlError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parser = Parser { text, place: Place::default(), names: HashMap::new(), read: Read::default() };
    if text.len() > TEXT_MAX {
        return Err(parser.error(0, "the document is longer than 2 GiB"));
    }
    parser.document()
}

/// A place in the text that only moves forward, so that a document costs one pass.
#[derive(Clone, Debug)]
struct Place {
    offset: usize,
    line: u32,
    column: u32,
}

impl Default for Place {
    fn default() -> Self {
        Place { offset: 0, line: 1, column: 1 }
    }
}

impl Place {
    fn advance(&mut self, text: &str, to: usize) {
        let Some(passed) = text.as_bytes().get(self.offset..to) else {
            return;
        };
        let mut line = passed;
        for (at, &byte) in passed.iter().enumerate() {
            if byte == b'\n' {
                self.line = self.line.saturating_add(1);
                self.column = 1;
                line = passed.get(at + 1..).unwrap_or_default();
            }
        }
        let columns = line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count();
        self.column = self.column.saturating_add(columns as u32);
        self.offset = to;
    }
}

struct Parser<'a> {
    text: &'a str,
    place: Place,
    /// Names outside the vocabulary, shared within the document.
    names: HashMap<&'a str, Name>,
    read: Read,
}

/// The attributes of the element that is being read.
#[derive(Default)]
struct Read {
    names: Vec<Name>,
    /// Their values, one after the other, and where each ends.
    values: String,
    ends: Vec<u32>,
}

impl<'a> Parser<'a> {
    fn document(&mut self) -> Result<Element, XmlError> {
        let mut reader = Reader::from_str(self.text);
        let config = reader.config_mut();
        config.check_comments = true;
        let mut open: Vec<Node> = Vec::new();
        let mut root: Option<Element> = None;
        loop {
            let at = reader.buffer_position() as usize;
            let event = match reader.read_event() {
                Ok(event) => event,
                Err(error) => {
                    return Err(self.error(reader.error_position() as usize, &error.to_string()));
                }
            };
            let (done, tag) = match event {
                Event::Start(_) | Event::Empty(_) if root.is_some() => {
                    return Err(self.error(at, "there is a second root element"));
                }
                Event::Start(tag) => {
                    if open.len() >= DEPTH_MAX {
                        return Err(self.error(at, &format!("elements are nested deeper than {DEPTH_MAX}")));
                    }
                    (false, tag)
                }
                Event::Empty(tag) => (true, tag),
                Event::End(_) => {
                    let Some(mut node) = open.pop() else {
                        return Err(self.error(at, "an element is closed that was never opened"));
                    };
                    node.nodes.shrink_to_fit();
                    attach(Element(Arc::new(node)), &mut open, &mut root);
                    continue;
                }
                Event::Comment(comment) => {
                    if let Some(parent) = open.last_mut() {
                        parent.nodes.push(Element::comment(&comment));
                    }
                    continue;
                }
                Event::Text(content) => {
                    self.text(at, &content, open.is_empty())?;
                    continue;
                }
                Event::CData(_) => {
                    if open.is_empty() {
                        return Err(self.error(at, "text outside the root element"));
                    }
                    continue;
                }
                Event::GeneralRef(reference) => {
                    let known = matches!(&*reference, "lt" | "gt" | "amp" | "quot" | "apos");
                    if !known && char_reference(&reference).is_none() {
                        return Err(self.error(at, &format!("unknown entity \"&{};\"", &*reference)));
                    }
                    continue;
                }
                Event::DocType(doctype) => {
                    self.doctype(at, &doctype)?;
                    continue;
                }
                Event::Decl(_) | Event::PI(_) => continue,
                Event::Eof => break,
            };
            let (start, length) = (at + 1, tag.name().as_ref().len());
            let node = self.element(at, start, length, &tag)?;
            if done {
                attach(Element(Arc::new(node)), &mut open, &mut root);
            } else {
                open.push(node);
            }
        }
        if let Some(node) = open.last() {
            let name = node.shape.name.as_str();
            let text = format!("the element \"{name}\" of line {} is not closed", node.line);
            return Err(self.error(self.text.len(), &text));
        }
        root.ok_or_else(|| self.error(self.text.len(), "there is no root element"))
    }

    fn element(&mut self, at: usize, start: usize, length: usize, tag: &str) -> Result<Node, XmlError> {
        self.place.advance(self.text, at);
        let (line, column) = (self.place.line, self.place.column);
        let name = self.name(start, start + length)?;
        // `tag` is the text from the name to before the closing `>` or `/>`.
        self.attributes(start + length, start + tag.len())?;
        let values = Values::joined(&self.read.values, &self.read.ends);
        let node = Node::new(Shape::of(&name, &self.read.names), values);
        Ok(Node { line, column, ..node })
    }

    fn name(&mut self, start: usize, end: usize) -> Result<Name, XmlError> {
        let text = self.text.get(start..end).unwrap_or("");
        if let Some(name) = Name::known(text) {
            // `#comment` is in the vocabulary, but no name of XML.
            if text.starts_with('#') {
                return Err(self.error(start, &format!("\"{text}\" is not a name")));
            }
            return Ok(name);
        }
        if let Some(name) = self.names.get(text) {
            return Ok(name.clone());
        }
        if !is_xml_name(text) {
            return Err(self.error(start, &format!("\"{text}\" is not a name")));
        }
        let name = Name::new(text);
        self.names.insert(text, name.clone());
        Ok(name)
    }

    /// Read `name="value"` pairs of the text from `at` to `end`.
    fn attributes(&mut self, mut at: usize, end: usize) -> Result<(), XmlError> {
        let bytes = self.text.as_bytes().get(..end).unwrap_or_default();
        let space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t' | b'\n' | b'\r'));
        self.read.names.clear();
        self.read.values.clear();
        self.read.ends.clear();
        loop {
            let before = at;
            while space(bytes.get(at)) {
                at += 1;
            }
            if at >= bytes.len() {
                break;
            }
            if before == at {
                return Err(self.error(at, "a blank is missing before the attribute"));
            }
            let start = at;
            while at < bytes.len() && bytes.get(at) != Some(&b'=') && !space(bytes.get(at)) {
                at += 1;
            }
            let name = self.name(start, at)?;
            while space(bytes.get(at)) {
                at += 1;
            }
            if bytes.get(at) != Some(&b'=') {
                return Err(self.error(start, &format!("the attribute \"{}\" has no value", name.as_str())));
            }
            at += 1;
            while space(bytes.get(at)) {
                at += 1;
            }
            let quote = match bytes.get(at) {
                Some(&quote @ (b'"' | b'\'')) => quote,
                _ => {
                    return Err(self.error(at, &format!("the value of \"{}\" is not quoted", name.as_str())));
                }
            };
            at += 1;
            let (start, mut plain) = (at, true);
            loop {
                match bytes.get(at) {
                    None => {
                        return Err(
                            self.error(start, &format!("the value of \"{}\" is not closed", name.as_str()))
                        );
                    }
                    Some(&byte) if byte == quote => break,
                    Some(b'<') => return Err(self.error(at, "\"<\" within an attribute value")),
                    Some(&byte) => plain &= byte >= 0x20 && byte != b'&',
                }
                at += 1;
            }
            if self.read.names.contains(&name) {
                return Err(self.error(start, &format!("the attribute \"{}\" stands twice", name.as_str())));
            }
            if self.read.names.len() >= ATTRIBUTES_MAX {
                return Err(
                    self.error(start, &format!("an element with more than {ATTRIBUTES_MAX} attributes"))
                );
            }
            if plain {
                self.read.values.push_str(self.text.get(start..at).unwrap_or(""));
            } else {
                self.unescape(start, at)?;
            }
            self.read.names.push(name);
            self.read.ends.push(self.read.values.len() as u32);
            at += 1;
        }
        Ok(())
    }

    /// Append the value of the text from `start` to `end` to the scratch buffer: references resolved, white space made
    /// blanks, as XML 1.0 §3.3.3 wants for attributes.
    fn unescape(&mut self, start: usize, end: usize) -> Result<(), XmlError> {
        let raw = self.text.get(start..end).unwrap_or("");
        let mut at = 0;
        while let Some(rest) = raw.get(at..) {
            let Some(c) = rest.chars().next() else { break };
            match c {
                '&' => {
                    let Some(length) = rest.find(';') else {
                        return Err(self.error(start + at, "\"&\" without the end of a reference"));
                    };
                    let entity = rest.get(1..length).unwrap_or("");
                    let c = match entity {
                        "lt" => '<',
                        "gt" => '>',
                        "amp" => '&',
                        "quot" => '"',
                        "apos" => '\'',
                        _ => match char_reference(entity) {
                            Some(c) => c,
                            None => {
                                return Err(self.error(start + at, &format!("unknown entity \"&{entity};\"")));
                            }
                        },
                    };
                    self.read.values.push(c);
                    at += length + 1;
                }
                '\r' => {
                    self.read.values.push(' ');
                    at += if rest.as_bytes().get(1) == Some(&b'\n') { 2 } else { 1 };
                }
                '\t' | '\n' => {
                    self.read.values.push(' ');
                    at += 1;
                }
                c if c < ' ' => {
                    return Err(self.error(start + at, "a control character within a value"));
                }
                c => {
                    self.read.values.push(c);
                    at += c.len_utf8();
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, at: usize, content: &str, outside: bool) -> Result<(), XmlError> {
        let Some(first) = content.find(|c: char| !matches!(c, ' ' | '\t' | '\n' | '\r')) else {
            return Ok(());
        };
        if outside {
            return Err(self.error(at + first, "text outside the root element"));
        }
        Ok(())
    }

    /// A bare name is harmless. So is the line that Heartbeat 2.x documents begin with, which names its
    /// own DTD: nothing is ever fetched.
    fn doctype(&mut self, at: usize, doctype: &str) -> Result<(), XmlError> {
        let words: Vec<&str> = doctype.split_ascii_whitespace().collect();
        match words.as_slice() {
            [name] if is_xml_name(name) => return Ok(()),
            ["cib", "SYSTEM", dtd] if HEARTBEAT_DTDS.contains(&dtd.trim_matches(['"', '\''])) => {
                return Ok(());
            }
            _ => {}
        }
        Err(self
            .error(at, "document type declarations with external references or entities are not accepted"))
    }

    fn error(&mut self, at: usize, text: &str) -> XmlError {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let mut place = if at >= self.place.offset { self.place.clone() } else { Place::default() };
        place.advance(self.text, at);
        XmlError { line: place.line, column: place.column, text: text.to_string() }
    }
}

fn attach(element: Element, open: &mut [Node], root: &mut Option<Element>) {
    match open.last_mut() {
        Some(parent) => parent.nodes.push(element),
        None => *root = Some(element),
    }
}

/// The character of `#NN` or `#xHH`, if XML 1.0 allows it.
fn char_reference(entity: &str) -> Option<char> {
    let digits = entity.strip_prefix('#')?;
    let code = match digits.strip_prefix('x') {
        Some(hex) if hex.bytes().all(|byte| byte.is_ascii_hexdigit()) => u32::from_str_radix(hex, 16).ok()?,
        None if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
        _ => return None,
    };
    let c = char::from_u32(code)?;
    let allowed = matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    allowed.then_some(c)
}
