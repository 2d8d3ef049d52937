//! Nested lists as text: bulleted and indented, plain, or HTML.

use std::fmt::Write as _;

/// How lists are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The items alone.
    Plain,
    /// With titles, bullets and indentation.
    Fancy,
    /// Headings and `<ul>`.
    Html,
}

/// Text that is built from lists within lists.
#[derive(Debug, Clone)]
pub struct List {
    text: String,
    depth: usize,
    form: Form,
}

impl List {
    pub fn new(form: Form) -> Self {
        List { text: String::new(), depth: 0, form }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Opens a list under a title; the title is an item of the list around it.
    pub fn begin(&mut self, title: &str) {
        match (self.form, self.depth) {
            (Form::Plain, _) => {}
            (Form::Fancy, 0) => self.line(&format!("{title}:")),
            (Form::Fancy, _) => self.item(&format!("{title}:")),
            (Form::Html, 0) => self.line(&format!("<h2>{}</h2>\n<ul>", html(title))),
            (Form::Html, _) => self.line(&format!("<li>\n<h3>{}</h3>\n<ul>", html(title))),
        }
        self.depth += 1;
    }

    /// [`List::begin`] below another list, without the colon.
    pub fn begin_plain(&mut self, title: &str) {
        match self.form {
            Form::Fancy => {
                self.item(title);
                self.depth += 1;
            }
            _ => self.begin(title),
        }
    }

    /// Opens a list without a title.
    pub fn nest(&mut self) {
        if self.form == Form::Html {
            self.line("<li>\n<ul>");
        }
        self.depth += 1;
    }

    pub fn end(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        match (self.form, self.depth) {
            (Form::Html, 0) => self.line("</ul>"),
            (Form::Html, _) => self.line("</ul>\n</li>"),
            _ => {}
        }
    }

    pub fn item(&mut self, text: &str) {
        match self.form {
            Form::Fancy if self.depth > 0 => {
                let _ = writeln!(self.text, "{:indent$}* {text}", "", indent = 2 * self.depth);
            }
            Form::Fancy | Form::Plain => self.line(text),
            Form::Html => self.line(&format!("<li>{}</li>", html(text))),
        }
    }

    /// An item that HTML shows in a colour of its own.
    pub fn item_as(&mut self, class: &str, text: &str) {
        match self.form {
            Form::Html => self.line(&format!("<li><span class=\"{class}\">{}</span></li>", html(text))),
            _ => self.item(text),
        }
    }

    /// `Label: text`; the label is bold in HTML, and the text of the class, if there is one.
    pub fn pair(&mut self, label: &str, class: Option<&str>, text: &str) {
        match self.form {
            Form::Html => {
                let class = class.map(|class| format!(" class=\"{class}\"")).unwrap_or_default();
                let (label, text) = (html(label), html(text));
                self.line(&format!(
                    "<li><span class=\"bold\">{label}: </span><span{class}>{text}</span></li>"
                ));
            }
            _ => self.item(&format!("{label}: {text}")),
        }
    }

    /// `Label: text`; the label (of a list of nodes) only where there are titles.
    pub fn labelled(&mut self, label: &str, text: &str) {
        if self.form == Form::Plain { self.item(text) } else { self.pair(label, None, text) }
    }

    /// A line of its own, never indented.
    pub fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    /// A blank line between sections of text.
    pub fn blank(&mut self) {
        if self.form != Form::Html {
            self.text.push('\n');
        }
    }

    pub fn into_text(self) -> String {
        self.text
    }
}

/// Text that can stand between tags.
pub fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
