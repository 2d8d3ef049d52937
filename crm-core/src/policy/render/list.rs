//! Nested lists as text: bulleted and indented, or plain.

use std::fmt::Write as _;

/// Text that is built from lists within lists.
#[derive(Debug, Clone)]
pub struct List {
    text: String,
    depth: usize,
    fancy: bool,
}

impl List {
    /// `fancy`: with titles, bullets and indentation; else the items alone.
    pub fn new(fancy: bool) -> Self {
        List { text: String::new(), depth: 0, fancy }
    }

    /// Opens a list under a title; the title is an item of the list around it.
    pub fn begin(&mut self, title: &str) {
        if self.fancy {
            if self.depth == 0 {
                let _ = writeln!(self.text, "{title}:");
            } else {
                self.item(&format!("{title}:"));
            }
        }
        self.depth += 1;
    }

    pub fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }

    pub fn item(&mut self, text: &str) {
        if self.fancy && self.depth > 0 {
            let _ = writeln!(self.text, "{:indent$}* {text}", "", indent = 2 * self.depth);
        } else {
            let _ = writeln!(self.text, "{text}");
        }
    }

    /// `Label: text`; the label (of a list of nodes) only in fancy lists.
    pub fn labelled(&mut self, label: &str, text: &str) {
        if self.fancy {
            self.item(&format!("{label}: {text}"));
        } else {
            self.item(text);
        }
    }

    /// A line of its own, never indented.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    pub fn into_text(self) -> String {
        self.text
    }
}
