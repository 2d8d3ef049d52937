//! One thing that is so: a sentence for people, a code and fields for programs.

use super::tree::Tree;

/// One reason, one finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Stable word for programs: `location`, `threshold`, `node-standby`, …
    pub code: &'static str,
    /// A clause without a full stop.
    pub text: String,
    /// Ids and numbers in the sentence: `constraint`, `resource`, `node`, `score`, …
    pub fields: Vec<(&'static str, Tree)>,
}

impl Fact {
    pub fn new(code: &'static str, text: impl Into<String>) -> Fact {
        Fact { code, text: text.into(), fields: Vec::new() }
    }

    /// With one more field.
    pub fn with(mut self, name: &'static str, value: impl Into<Tree>) -> Fact {
        self.fields.push((name, value.into()));
        self
    }

    pub fn tree(&self) -> Tree {
        let mut tree = Tree::map().with("code", self.code);
        for (name, value) in &self.fields {
            tree = tree.with(name, value.clone());
        }
        tree.with("text", &self.text)
    }
}

/// A sentence: the first letter as it is, a full stop at the end.
pub fn sentence(text: &str) -> String {
    match text.chars().last() {
        Some('.' | ':' | '!' | '?') | None => text.to_owned(),
        _ => format!("{text}."),
    }
}
