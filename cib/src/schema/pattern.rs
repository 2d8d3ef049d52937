//! A grammar as a small tree with text, which the document's own tree does not keep.

use std::fmt::Write as _;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, escape};

/// One element of a grammar.
#[derive(Debug, Clone, Default)]
pub(super) struct Pattern {
    pub(super) name: String,
    pub(super) attributes: Vec<(String, String)>,
    pub(super) text: String,
    pub(super) children: Vec<Pattern>,
}

impl Pattern {
    /// Reads one of our own grammars.
    pub(super) fn parse(text: &str) -> Result<Pattern, String> {
        let mut reader = Reader::from_str(text);
        let mut open = vec![Pattern::default()];
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => open.push(Pattern::begin(&start)?),
                Event::Empty(start) => close(&mut open, Pattern::begin(&start)?),
                Event::End(_) => {
                    let done = open.pop().unwrap_or_default();
                    close(&mut open, done);
                }
                Event::Text(text) => {
                    if let Some(pattern) = open.last_mut() {
                        pattern.text.push_str(text.as_ref().trim());
                    }
                }
                Event::Eof => break,
                _ => {}
            }
        }
        open.pop().and_then(|mut outer| outer.children.pop()).ok_or_else(|| "no element".into())
    }

    fn begin(start: &BytesStart<'_>) -> Result<Pattern, String> {
        let name = start.name().as_ref().to_owned();
        let mut attributes = Vec::new();
        for attribute in start.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = escape::unescape(&attribute.value).map_err(|error| error.to_string())?.into_owned();
            attributes.push((attribute.key.as_ref().to_owned(), value));
        }
        Ok(Pattern { name, attributes, ..Pattern::default() })
    }

    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The grammar's text again.
    pub(super) fn print(&self, into: &mut String) {
        let _ = write!(into, "<{}", self.name);
        for (name, value) in &self.attributes {
            let _ = write!(into, " {name}=\"{}\"", escape::escape(value));
        }
        let _ = write!(into, ">{}", escape::escape(&self.text));
        for child in &self.children {
            child.print(into);
        }
        let _ = write!(into, "</{}>", self.name);
    }

    /// This pattern and all below it.
    pub(super) fn walk<'a>(&'a self, each: &mut dyn FnMut(&'a Pattern)) {
        each(self);
        for child in &self.children {
            child.walk(each);
        }
    }
}

fn close(open: &mut [Pattern], done: Pattern) {
    if let Some(parent) = open.last_mut() {
        parent.children.push(done);
    }
}
