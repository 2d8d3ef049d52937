//! The one structure behind JSON and XML: what an answer says, as names and values.

use std::fmt::Write as _;

use crate::policy::render::xml::Tag;

/// A value of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Text(String),
    Number(i64),
    Flag(bool),
    /// Values of one kind; the name is that of one of them in XML.
    List(&'static str, Vec<Tree>),
    /// Names and values in the order in which they are shown.
    Map(Vec<(&'static str, Tree)>),
}

impl Tree {
    /// An empty map.
    pub fn map() -> Tree {
        Tree::Map(Vec::new())
    }

    /// A list of texts.
    pub fn texts<S: AsRef<str>>(name: &'static str, texts: impl IntoIterator<Item = S>) -> Tree {
        Tree::List(name, texts.into_iter().map(|t| Tree::Text(t.as_ref().to_owned())).collect())
    }

    /// With one more entry (of a map).
    pub fn with(mut self, name: &'static str, value: impl Into<Tree>) -> Tree {
        if let Tree::Map(entries) = &mut self {
            entries.push((name, value.into()));
        }
        self
    }

    /// With one more entry, if there is a value.
    pub fn with_some(self, name: &'static str, value: Option<impl Into<Tree>>) -> Tree {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// With a list, unless it is empty.
    pub fn with_list(self, name: &'static str, item: &'static str, list: Vec<Tree>) -> Tree {
        if list.is_empty() { self } else { self.with(name, Tree::List(item, list)) }
    }

    /// The value as JSON, two spaces for each level, with a final newline.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.json(&mut out, 0);
        out.push('\n');
        out
    }

    fn json(&self, out: &mut String, depth: usize) {
        let mut many = |open: char, close: char, entries: Vec<(Option<&str>, &Tree)>| {
            if entries.is_empty() {
                out.push(open);
                out.push(close);
                return;
            }
            out.push(open);
            for (at, (name, value)) in entries.iter().enumerate() {
                out.push_str(if at == 0 { "\n" } else { ",\n" });
                let _ = write!(out, "{:indent$}", "", indent = 2 * (depth + 1));
                if let Some(name) = name {
                    let _ = write!(out, "\"{name}\": ");
                }
                value.json(out, depth + 1);
            }
            let _ = write!(out, "\n{:indent$}{close}", "", indent = 2 * depth);
        };
        match self {
            Tree::Text(text) => quote(out, text),
            Tree::Number(number) => {
                let _ = write!(out, "{number}");
            }
            Tree::Flag(flag) => {
                let _ = write!(out, "{flag}");
            }
            Tree::List(_, values) => many('[', ']', values.iter().map(|v| (None, v)).collect()),
            Tree::Map(entries) => {
                many('{', '}', entries.iter().map(|(name, value)| (Some(*name), value)).collect());
            }
        }
    }

    /// The value as an element: plain values are attributes, lists and maps are children.
    pub fn to_tag(&self, name: &str) -> Tag {
        let mut tag = Tag::new(name);
        match self {
            Tree::Map(entries) => {
                for (name, value) in entries {
                    match value.plain() {
                        Some(text) => tag = tag.with(name, text),
                        None => tag.push(value.to_tag(name)),
                    }
                }
            }
            Tree::List(item, values) => {
                for value in values {
                    tag.push(value.to_tag(item));
                }
            }
            plain => tag = tag.with_text(&plain.plain().unwrap_or_default()),
        }
        tag
    }

    fn plain(&self) -> Option<String> {
        match self {
            Tree::Text(text) => Some(text.clone()),
            Tree::Number(number) => Some(number.to_string()),
            Tree::Flag(flag) => Some(flag.to_string()),
            _ => None,
        }
    }
}

impl From<&str> for Tree {
    fn from(text: &str) -> Tree {
        Tree::Text(text.to_owned())
    }
}

impl From<String> for Tree {
    fn from(text: String) -> Tree {
        Tree::Text(text)
    }
}

impl From<&String> for Tree {
    fn from(text: &String) -> Tree {
        Tree::Text(text.clone())
    }
}

impl From<i32> for Tree {
    fn from(number: i32) -> Tree {
        Tree::Number(i64::from(number))
    }
}

impl From<i64> for Tree {
    fn from(number: i64) -> Tree {
        Tree::Number(number)
    }
}

impl From<usize> for Tree {
    fn from(number: usize) -> Tree {
        Tree::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Tree {
    fn from(flag: bool) -> Tree {
        Tree::Flag(flag)
    }
}

fn quote(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_as_json_and_as_xml() {
        let tree = Tree::map()
            .with("name", "a \"b\"\n")
            .with("score", -5)
            .with("nodes", Tree::texts("node", ["n1", "n2"]))
            .with_list("none", "x", Vec::new());
        assert_eq!(
            tree.to_json(),
            "{\n  \"name\": \"a \\\"b\\\"\\n\",\n  \"score\": -5,\n  \"nodes\": [\n    \"n1\",\n    \"n2\"\n  ]\n}\n"
        );
        assert_eq!(
            tree.to_tag("answer").to_xml(),
            "<answer name=\"a &quot;b&quot;&#10;\" score=\"-5\">\n  <nodes>\n    <node>n1</node>\n    \
             <node>n2</node>\n  </nodes>\n</answer>\n"
        );
    }
}
