//! The XML tree: persistent elements, shared between versions of a document and copied when written to.
//!
//! An [`Element`] is a pointer: cloning it is O(1) and takes a snapshot. Writing through `&mut Element` copies that one
//! element if somebody else holds it, never what lies below. Attribute order and comments are kept. White space between
//! elements, other text and processing instructions are not: they mean nothing in a CIB and nothing prints them.

mod name;
mod nodes;
mod parse;
mod print;
mod shape;
mod text;

use std::fmt;
use std::sync::Arc;

use nodes::Nodes;
use shape::{Shape, Values};

use name::COMMENT;
pub use name::Word;
pub(crate) use name::{Name, is_xml_name};
pub use parse::{ATTRIBUTES_MAX, DEPTH_MAX, XmlError};
pub(crate) use print::digest_attribute;
pub use text::Text;

/// Where an element began in the text it was parsed from; both count from 1, columns in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// An element of the tree (or, inside this crate, a comment).
///
/// Equality compares names, attributes in order, comments and children, not positions.
#[derive(Clone)]
pub struct Element(Arc<Node>);

#[derive(Clone)]
struct Node {
    shape: Arc<Shape>,
    values: Values,
    nodes: Nodes,
    /// 0: not parsed from a text.
    line: u32,
    column: u32,
}

impl Node {
    fn new(shape: Arc<Shape>, values: Values) -> Node {
        Node { shape, values, nodes: Nodes::new(), line: 0, column: 0 }
    }

    #[inline]
    fn find(&self, name: &str) -> Option<usize> {
        self.shape.attrs.iter().position(|attr| attr.is(name))
    }

    #[inline]
    fn value(&self, index: usize) -> Option<&str> {
        self.values.get(index, self.shape.attrs.len())
    }
}

impl Element {
    /// An element without attributes and children.
    pub fn new(name: &str) -> Element {
        Element(Arc::new(Node::new(Shape::of(&Name::new(name), &[]), Values::default())))
    }

    /// An element with these attributes, each name once.
    pub fn of(name: &str, attrs: &[(&str, &str)]) -> Element {
        let names: Vec<Name> = attrs.iter().map(|(name, _)| Name::new(name)).collect();
        debug_assert!((1..names.len()).all(|at| !names[..at].contains(&names[at])), "a name is given twice");
        let values = Values::of(attrs.iter().map(|(_, value)| *value));
        Element(Arc::new(Node::new(Shape::of(&Name::new(name), &names), values)))
    }

    /// A comment, to be given to [`Element::push_node`].
    pub fn comment(text: &str) -> Element {
        Element(Arc::new(Node::new(Shape::of(&Name::new(COMMENT), &[]), Values::plain(text))))
    }

    pub fn name(&self) -> &str {
        self.0.shape.name.as_str()
    }

    /// Whether this is a comment; only [`Element::nodes`] and its like ever show one.
    pub fn is_comment(&self) -> bool {
        self.0.shape.name.is_comment()
    }

    /// The text of a comment.
    pub fn comment_text(&self) -> Option<&str> {
        self.is_comment().then_some(self.0.values.text())
    }

    /// The value of an attribute.
    #[inline]
    pub fn attr(&self, name: &str) -> Option<&str> {
        self.0.value(self.0.find(name)?)
    }

    /// The value of an attribute whose name is in the vocabulary.
    #[inline]
    pub fn value(&self, name: Word) -> Option<&str> {
        self.0.value(self.0.shape.find(name)?)
    }

    /// The value of an attribute, to be kept.
    pub fn attr_text(&self, name: &str) -> Option<Text> {
        Some(self.text_at(self.0.find(name)?))
    }

    /// [`Element::value`], to be kept.
    pub fn value_text(&self, name: Word) -> Option<Text> {
        Some(self.text_at(self.0.shape.find(name)?))
    }

    fn text_at(&self, index: usize) -> Text {
        let (start, end) = self.0.values.place(index, self.0.shape.attrs.len());
        Text::value(self, start as u32, end as u32)
    }

    /// [`Element::attrs`], to be kept.
    pub fn attr_texts(&self) -> impl Iterator<Item = (Text, Text)> {
        let names = self.0.shape.attrs.iter().enumerate();
        names.map(|(index, name)| (name.text(), self.text_at(index)))
    }

    /// Attributes in document order.
    pub fn attrs(&self) -> impl Iterator<Item = (&str, &str)> {
        let names = &self.0.shape.attrs;
        names.iter().map(Name::as_str).zip(self.0.values.iter(names.len()))
    }

    /// How many attributes there are.
    pub fn attr_count(&self) -> usize {
        self.0.shape.attrs.len()
    }

    /// Whether the element has this name.
    #[inline]
    pub fn is(&self, name: Word) -> bool {
        self.0.shape.name.is_word(name)
    }

    /// [`Element::children_named`] for a name of the vocabulary.
    pub fn children_of(&self, name: Word) -> impl Iterator<Item = &Element> {
        self.0.nodes.iter().filter(move |node| node.is(name))
    }

    /// The attribute `id`.
    #[inline]
    pub fn id(&self) -> Option<&str> {
        self.attr("id")
    }

    /// Child elements, without comments.
    pub fn children(&self) -> impl DoubleEndedIterator<Item = &Element> {
        self.0.nodes.iter().filter(|node| !node.is_comment())
    }

    /// Children with comments: what a patch counts as positions.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = &Element> + ExactSizeIterator {
        self.0.nodes.iter()
    }

    /// The first child of that name.
    pub fn child(&self, name: &str) -> Option<&Element> {
        self.0.nodes.iter().find(|node| node.0.shape.name.is(name))
    }

    pub fn children_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Element> {
        self.0.nodes.iter().filter(move |node| node.0.shape.name.is(name))
    }

    /// Whether there is no child element.
    pub fn is_leaf(&self) -> bool {
        self.children().next().is_none()
    }

    /// The first child of the first name, its first child of the second, and so on; the element itself for no name.
    pub fn path(&self, names: &[&str]) -> Option<&Element> {
        names.iter().try_fold(self, |element, name| element.child(name))
    }

    /// The first element called `name` with this id, here or below, in document order.
    pub fn find(&self, name: &str, id: &str) -> Option<&Element> {
        self.descendants().find(|element| element.name() == name && element.id() == Some(id))
    }

    /// This element and all below it, in document order, without comments.
    pub fn descendants(&self) -> impl Iterator<Item = &Element> {
        let mut stack = vec![self];
        std::iter::from_fn(move || {
            let next = stack.pop()?;
            stack.extend(next.children().rev());
            Some(next)
        })
    }

    #[must_use]
    pub fn with_attr(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.set_attr(name, value);
        self
    }

    #[must_use]
    pub fn with_child(mut self, child: Element) -> Self {
        self.push(child);
        self
    }

    /// Set an attribute: in its place when present, else behind the others.
    pub fn set_attr(&mut self, name: &str, value: impl AsRef<str>) {
        let value = value.as_ref();
        let (found, count) = (self.0.find(name), self.attr_count());
        match found {
            Some(index) if self.0.value(index) == Some(value) => {}
            Some(index) => {
                let node = self.node_mut();
                node.values = node.values.with(index, count, value);
            }
            None => {
                let node = self.node_mut();
                node.values = node.values.with(count, count, value);
                node.shape = node.shape.with(Name::new(name));
            }
        }
    }

    /// Remove an attribute; absent is fine.
    pub fn remove_attr(&mut self, name: &str) {
        let count = self.attr_count();
        if let Some(index) = self.0.find(name) {
            let node = self.node_mut();
            node.values = node.values.without(index, count);
            node.shape = node.shape.without(index);
        }
    }

    /// Remove every attribute.
    pub fn clear_attrs(&mut self) {
        if self.attr_count() > 0 {
            let node = self.node_mut();
            node.values = Values::default();
            node.shape = Shape::of(&node.shape.name, &[]);
        }
    }

    /// Append a child.
    pub fn push(&mut self, child: Element) {
        self.node_mut().nodes.push(child);
    }

    /// Append a child or comment.
    pub fn push_node(&mut self, node: Element) {
        self.push(node);
    }

    /// The element reached by these indices (counting comments), the element itself for none.
    pub fn at(&self, path: &[usize]) -> Option<&Element> {
        path.iter().try_fold(self, |element, &index| element.node_at(index))
    }

    /// As [`Element::at`], for writing.
    pub fn at_mut(&mut self, path: &[usize]) -> Option<&mut Element> {
        path.iter().try_fold(self, |element, &index| element.node_at_mut(index))
    }

    /// The child or comment at `index`, counting comments.
    pub fn node_at(&self, index: usize) -> Option<&Element> {
        self.0.nodes.get(index)
    }

    pub fn node_at_mut(&mut self, index: usize) -> Option<&mut Element> {
        if index >= self.0.nodes.len() {
            return None;
        }
        self.node_mut().nodes.get_mut(index)
    }

    /// Put a child or comment before the one at `index` (counting comments), at the end when there is none.
    pub fn insert_node(&mut self, index: usize, node: Element) {
        self.node_mut().nodes.insert(index, node);
    }

    /// Take the child or comment at `index` (counting comments) out.
    pub fn remove_node(&mut self, index: usize) -> Option<Element> {
        if index >= self.0.nodes.len() {
            return None;
        }
        self.node_mut().nodes.remove(index)
    }

    pub fn child_mut(&mut self, name: &str) -> Option<&mut Element> {
        let index = self.0.nodes.iter().position(|node| node.name() == name)?;
        self.node_mut().nodes.get_mut(index)
    }

    /// The first child of that name, appended empty when there is none.
    pub fn child_or_insert(&mut self, name: &str) -> &mut Element {
        let found = self.0.nodes.iter().position(|node| node.name() == name);
        let nodes = &mut self.node_mut().nodes;
        let index = found.unwrap_or_else(|| {
            nodes.push(Element::new(name));
            nodes.len() - 1
        });
        nodes.get_mut(index).expect("the index was just found or made")
    }

    /// Child elements for writing. Each is copied only when it is written to.
    pub fn children_mut(&mut self) -> impl Iterator<Item = &mut Element> {
        self.node_mut().nodes.iter_mut().filter(|node| !node.is_comment())
    }

    /// Keep the child elements for which `keep` says so; comments stay.
    pub fn retain_children(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        self.retain_nodes(|node| node.is_comment() || keep(node));
    }

    /// Keep the children and comments for which `keep` says so.
    pub fn retain_nodes(&mut self, mut keep: impl FnMut(&Element) -> bool) {
        let kept: Vec<bool> = self.0.nodes.iter().map(&mut keep).collect();
        if kept.iter().all(|&kept| kept) {
            return;
        }
        let mut kept = kept.into_iter();
        self.node_mut().nodes.retain(|_| kept.next().unwrap_or(true));
    }

    /// Remove children and comments.
    pub fn clear_nodes(&mut self) {
        if !self.0.nodes.is_empty() {
            self.node_mut().nodes.clear();
        }
    }

    /// Nodes of this element that `other` has not, and nodes that `other` has instead, by identity; what both share at the
    /// beginning and at the end is left out without being looked at.
    pub fn changed_nodes<'a>(&'a self, other: &'a Element) -> (Vec<&'a Element>, Vec<&'a Element>) {
        self.0.nodes.difference(&other.0.nodes)
    }

    /// Whether the two lists of [`Element::changed_nodes`] stand in the same places, one for one: nothing was put in,
    /// taken out or moved.
    pub fn same_places(&self, other: &Element) -> bool {
        self.0.nodes.same_places(&other.0.nodes)
    }

    /// Where it began in the text it was parsed from.
    pub fn position(&self) -> Option<Position> {
        (self.0.line > 0).then_some(Position { line: self.0.line, column: self.0.column })
    }

    /// Whether both are the very same element: equal without looking at it.
    pub fn ptr_eq(&self, other: &Element) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Parse a document.
    ///
    /// Refused besides text that is not well formed: entities other than the five of XML and character references, a
    /// document type with an external or internal subset, nesting deeper than [`DEPTH_MAX`].
    ///
    /// # Errors
    /// The place (line and column) and a sentence.
    pub fn parse(text: &str) -> Result<Element, XmlError> {
        parse::parse(text)
    }

    /// Parse bytes that ought to be UTF-8.
    ///
    /// # Errors
    /// As [`Element::parse`]; also the place where the text stops being UTF-8.
    pub fn parse_bytes(bytes: &[u8]) -> Result<Element, XmlError> {
        parse::parse_bytes(bytes)
    }

    /// The printed form of files and of `cibadmin`: an element a line, two spaces a level, a line end after the last.
    pub fn to_xml(&self) -> String {
        print::formatted(self)
    }

    /// The same without white space between elements.
    pub fn to_xml_compact(&self) -> String {
        print::compact(self)
    }

    /// The form digests are made of: compact, with Pacemaker's escapes (cib.md §6.4), in parts. `drain` takes each part
    /// but the last, which is left in `out`.
    pub(crate) fn write_digest_form(
        &self,
        sorted: bool,
        filter: &dyn Fn(&str) -> bool,
        out: &mut Vec<u8>,
        drain: &mut dyn FnMut(&mut Vec<u8>),
    ) {
        print::digest_form(self, sorted, filter, out, drain);
    }

    fn node_mut(&mut self) -> &mut Node {
        Arc::make_mut(&mut self.0)
    }
}

impl PartialEq for Element {
    fn eq(&self, other: &Self) -> bool {
        if self.ptr_eq(other) {
            return true;
        }
        let (a, b) = (&*self.0, &*other.0);
        (Arc::ptr_eq(&a.shape, &b.shape) || a.shape == b.shape) && a.values == b.values && a.nodes == b.nodes
    }
}

impl Eq for Element {}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xml_compact())
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_xml_compact())
    }
}

impl std::str::FromStr for Element {
    type Err = XmlError;

    fn from_str(text: &str) -> Result<Element, XmlError> {
        Element::parse(text)
    }
}

#[cfg(test)]
mod tests;
