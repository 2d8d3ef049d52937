//! Our tree as the validator sees it, and its findings in our words.

use std::fmt::Write as _;

use relax_ng::{Content, DatatypeRegistry, Element as Seen, ExpandedName, ValidationErrorKind};

use super::complaint::{Complaint, Severity};
use super::grammar::Grammar;
use super::words::Words;
use super::{SchemaError, remedy};
use crate::Element;

/// Bytes of a form that is remembered: more is a document, not a change of one.
const FORM_LIMIT: usize = 1 << 16;

/// Whether a part of a document has no structural complaints. One that looks the same to the grammar as one that had
/// none has none: changes of a running cluster are much alike.
pub(super) fn fits(root: &Element, grammar: &Grammar) -> bool {
    let mut form = String::new();
    View::of(root, grammar).form(&mut form);
    if grammar.fitting.contains(&form) {
        return true;
    }
    let fits = structure(root, grammar).is_ok_and(|complaints| complaints.is_empty());
    if fits && form.len() <= FORM_LIMIT {
        grammar.fitting.add(form);
    }
    fits
}

/// The structural complaints about a document.
pub(super) fn structure(root: &Element, grammar: &Grammar) -> Result<Vec<Complaint>, SchemaError> {
    let registry = DatatypeRegistry::new();
    let seen = View::of(root, grammar);
    let found = grammar
        .schema
        .validate(&registry, &seen)
        .map_err(|error| SchemaError::Grammar { dialect: "cib".into(), why: error.to_string() })?;
    Ok(found.iter().map(|error| complaint(error.kind(), error.location())).collect())
}

/// An element with the id of its nearest ancestor that has one.
struct View<'a> {
    element: &'a Element,
    id: Option<&'a str>,
    /// Name of the element it is in; none for the root.
    above: Option<&'a str>,
    words: &'a Words,
}

impl<'a> View<'a> {
    fn of(root: &'a Element, grammar: &'a Grammar) -> Self {
        View { element: root, id: None, above: None, words: &grammar.words }
    }

    /// Everything the validator asks for, with lengths, so that different answers are different texts.
    fn form(&self, into: &mut String) {
        let mut say = |text: &str| {
            let _ = write!(into, "{}:{text}", text.len());
        };
        say(&self.name().local);
        for (name, value) in self.attributes() {
            say(&name.local);
            say(&value);
        }
        into.push('(');
        for child in self.children() {
            match child {
                Content::Element(child) => child.form(into),
                // Our tree holds none; it would have to be told from an element.
                Content::Text(text) => {
                    let _ = write!(into, "#{}:{text}", text.len());
                }
            }
        }
        into.push(')');
    }
}

/// Where something is wrong: the element, the id to name it by, the name of the element it is in.
type Place<'a> = (&'a Element, Option<&'a str>, Option<&'a str>);

impl<'a> Seen for View<'a> {
    type Location = Place<'a>;

    fn name(&self) -> ExpandedName {
        local(self.element.name())
    }

    fn attributes(&self) -> impl Iterator<Item = (ExpandedName, String)> {
        let attributes =
            self.element.attrs().filter(|(name, _)| *name != "xmlns" && !name.starts_with("xmlns:"));
        attributes.map(|(name, value)| (local(name), self.words.stand_in(name, value).to_owned()))
    }

    fn children(&self) -> impl Iterator<Item = Content<Self>> {
        // Anything is allowed below status: it is not looked at.
        let hide = self.element.name() == "status" && self.above.is_some();
        let id = self.element.id().or(self.id);
        let children = self.element.children().filter(move |_| !hide);
        let (above, words) = (Some(self.element.name()), self.words);
        children.map(move |element| Content::Element(View { element, id, above, words }))
    }

    fn location(&self) -> Option<Self::Location> {
        Some((self.element, self.element.id().or(self.id), self.above))
    }
}

fn local(name: &str) -> ExpandedName {
    ExpandedName::new(None::<String>, name)
}

fn complaint(kind: &ValidationErrorKind, place: Option<&Place<'_>>) -> Complaint {
    let element = place.map_or("cib", |(element, ..)| element.name());
    let (code, text, remedy) = match kind {
        ValidationErrorKind::UnexpectedElement(name) => (
            "unexpected-element",
            format!("element <{}> is not allowed here", name.local),
            remedy::element(&name.local, place.and_then(|(_, _, above)| *above)),
        ),
        ValidationErrorKind::UnexpectedText => {
            ("unexpected-text", "text is not allowed here".to_owned(), "remove the text".to_owned())
        }
        ValidationErrorKind::UnexpectedAttribute(name) => (
            "unexpected-attribute",
            format!("attribute \"{}\" is not allowed here", name.local),
            remedy::attribute(&name.local, element),
        ),
        ValidationErrorKind::InvalidAttributeValue(name, seen) => {
            // What it was shown may stand for what is there.
            let value = place.and_then(|(element, ..)| element.attr(&name.local)).unwrap_or(seen);
            (
                "invalid-value",
                format!("attribute {}=\"{value}\" has no valid value", name.local),
                remedy::value(&name.local, value, element),
            )
        }
        ValidationErrorKind::MissingContent => (
            "missing-content",
            "something that must be there is missing".to_owned(),
            remedy::missing(element),
        ),
    };
    Complaint {
        code,
        severity: Severity::Error,
        position: place.and_then(|(element, ..)| element.position()),
        element: element.to_owned(),
        id: place.and_then(|(_, id, _)| id.map(str::to_owned)),
        text,
        remedy,
    }
}
