//! The configuration with what a user may do to each part of it, for `cibadmin --show-access`.

use std::fmt::Write;
use std::io::{self, IsTerminal};

use cib::acl::{self, Access, User};
use cib::{Cib, Element};

/// How access is marked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Green can be written, blue read, red neither.
    Color,
    /// A line before each element whose access is not that of what it lies in.
    Text,
    /// A prefix of its name.
    Namespace,
}

impl Style {
    /// The style of a word; `auto` and none look at standard output. `None`: no such style.
    pub fn from_word(word: Option<&str>) -> Option<Style> {
        match word {
            None | Some("auto") if io::stdout().is_terminal() => Some(Style::Color),
            None | Some("auto" | "text") => Some(Style::Text),
            Some("color") => Some(Style::Color),
            Some("namespace") => Some(Style::Namespace),
            Some(_) => None,
        }
    }
}

/// The whole document, marked.
pub fn render(cib: &Cib, user: User<'_>, style: Style) -> String {
    let mut out = format!("<!-- ACLs as evaluated for user {} -->\n", user.name);
    let access = acl::access(cib, user);
    let mut painter = Painter { access: &access, style, out: &mut out };
    painter.element(cib.root(), &mut Vec::new(), None);
    out
}

struct Painter<'a> {
    access: &'a dyn Fn(&[usize]) -> Access,
    style: Style,
    out: &'a mut String,
}

impl Painter<'_> {
    fn element(&mut self, element: &Element, path: &mut Vec<usize>, above: Option<Access>) {
        let indent = "  ".repeat(path.len());
        if element.is_comment() {
            let _ = writeln!(self.out, "{indent}{}", element.to_xml_compact());
            return;
        }
        let access = (self.access)(path);
        let differs = above != Some(access);
        let mut bare = element.clone();
        bare.clear_nodes();
        if self.style == Style::Namespace && path.is_empty() {
            for name in ["writable", "readable", "denied"] {
                bare.set_attr(
                    &format!("xmlns:pcmk-access-{name}"),
                    format!("http://clusterlabs.org/ns/pacemaker/access/{name}"),
                );
            }
        }
        let prefix = match self.style {
            Style::Namespace if differs => format!("pcmk-access-{}:", word(access)),
            _ => String::new(),
        };
        let (before, after) = match self.style {
            Style::Color => (color(access), "\u{1b}[0m"),
            Style::Text | Style::Namespace => ("", ""),
        };
        if self.style == Style::Text && differs {
            if above.is_some() {
                let _ = writeln!(self.out, "{indent}");
            }
            let _ = writeln!(self.out, "{indent}vvv---[ {} ]---vvv", note(access));
        }
        // `<name attributes/>` with the prefix before the name.
        let mut tag = bare.to_xml_compact();
        if self.style != Style::Namespace {
            // For people; an apostrophe needs no escape between quotes.
            tag = tag.replace("&apos;", "'");
        }
        let tag = tag.strip_prefix('<').unwrap_or(&tag);
        if element.nodes().len() == 0 {
            let _ = writeln!(self.out, "{indent}{before}<{prefix}{tag}{after}");
            return;
        }
        let open = tag.strip_suffix("/>").unwrap_or(tag);
        let _ = writeln!(self.out, "{indent}{before}<{prefix}{open}>");
        for (index, node) in element.nodes().enumerate() {
            path.push(index);
            self.element(node, path, Some(access));
            path.pop();
        }
        let _ = writeln!(self.out, "{indent}{before}</{prefix}{}>{after}", element.name());
    }
}

fn word(access: Access) -> &'static str {
    match access {
        Access::Write => "writable",
        Access::Read => "readable",
        Access::Denied => "denied",
    }
}

fn note(access: Access) -> &'static str {
    match access {
        Access::Write => "WRITABLE",
        Access::Read => "READABLE",
        Access::Denied => "~DENIED~",
    }
}

fn color(access: Access) -> &'static str {
    match access {
        Access::Write => "\u{1b}[32m",
        Access::Read => "\u{1b}[34m",
        Access::Denied => "\u{1b}[31m",
    }
}
