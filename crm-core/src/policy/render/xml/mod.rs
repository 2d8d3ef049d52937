//! The planner's values as the elements of `crm_simulate --output-as=xml`.
//!
//! Names, attributes and their order are those that Pacemaker 2.1.5 prints (schema version 2.25 of its
//! output).

pub mod actions;
pub mod status;

use std::fmt::Write as _;

/// The version of the output that `api-version` announces.
pub const API_VERSION: &str = "2.25";

/// An element that is only ever printed; unlike the CIB's elements it can hold text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tag {
    name: String,
    attributes: Vec<(&'static str, String)>,
    text: Option<String>,
    children: Vec<Tag>,
}

impl Tag {
    pub fn new(name: &str) -> Self {
        Tag { name: name.to_owned(), ..Tag::default() }
    }

    /// With one more attribute; each name is given once.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.attributes.push((name, value.into()));
        self
    }

    /// With one more attribute, if there is a value.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<String>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With `true` or `false`.
    pub fn with_flag(self, name: &'static str, value: bool) -> Self {
        self.with(name, if value { "true" } else { "false" })
    }

    pub fn with_text(mut self, text: &str) -> Self {
        self.text = Some(text.to_owned());
        self
    }

    pub fn with_child(mut self, child: Tag) -> Self {
        self.push(child);
        self
    }

    pub fn with_children(mut self, children: impl IntoIterator<Item = Tag>) -> Self {
        self.children.extend(children);
        self
    }

    pub fn push(&mut self, child: Tag) {
        self.children.push(child);
    }

    /// Whether it holds neither elements nor text.
    pub fn is_empty(&self) -> bool {
        self.children.is_empty() && self.text.is_none()
    }

    /// The element as a document: two spaces for each level, no declaration.
    pub fn to_xml(&self) -> String {
        let mut out = String::new();
        self.write(&mut out, 0);
        out
    }

    fn write(&self, out: &mut String, depth: usize) {
        let _ = write!(out, "{:indent$}<{}", "", self.name, indent = 2 * depth);
        for (name, value) in &self.attributes {
            let _ = write!(out, " {name}=\"");
            escape(out, value);
            out.push('"');
        }
        if let Some(text) = &self.text {
            out.push('>');
            escape(out, text);
            let _ = writeln!(out, "</{}>", self.name);
        } else if self.children.is_empty() {
            out.push_str("/>\n");
        } else {
            out.push_str(">\n");
            for child in &self.children {
                child.write(out, depth + 1);
            }
            let _ = writeln!(out, "{:indent$}</{}>", "", self.name, indent = 2 * depth);
        }
    }
}

/// Text that can stand in an attribute or between tags.
fn escape(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            // Not allowed in XML in any form.
            c if c < ' ' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
}

/// A whole answer: the sections within the envelope that all commands share.
///
/// `request` is the command line as it was typed; `code` the exit status and `message` its text; `errors`
/// is what text mode writes to standard error, a line each.
pub fn document(request: &str, sections: Vec<Tag>, code: i32, message: &str, errors: &str) -> String {
    let mut status = Tag::new("status").with("code", code.to_string()).with("message", message);
    let errors: Vec<Tag> =
        errors.lines().filter(|l| !l.is_empty()).map(|l| Tag::new("error").with_text(l)).collect();
    if !errors.is_empty() {
        status.push(Tag::new("errors").with_children(errors));
    }
    Tag::new("pacemaker-result")
        .with("api-version", API_VERSION)
        .with("request", request)
        .with_children(sections)
        .with_child(status)
        .to_xml()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped() {
        let text =
            document("crm_simulate -x \"<&>\"", vec![Tag::new("cpu").with_text("<")], 1, "Error", "a\n\nb\n");
        assert_eq!(
            text,
            "<pacemaker-result api-version=\"2.25\" request=\"crm_simulate -x &quot;&lt;&amp;&gt;&quot;\">\n  \
             <cpu>&lt;</cpu>\n  <status code=\"1\" message=\"Error\">\n    <errors>\n      \
             <error>a</error>\n      <error>b</error>\n    </errors>\n  </status>\n</pacemaker-result>\n"
        );
    }
}
