//! Evaluation on a flat list of the document's nodes.

use std::cmp::Ordering;

use super::functions;
use super::tree::{Arithmetic, Axis, Comparison, Expr, Step, Test};
use super::{Match, VISITS_MAX};
use crate::Element;

/// What an expression evaluates to.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Nodes(Vec<Match<'a>>),
    Boolean(bool),
    Number(f64),
    String(String),
}

pub(super) fn evaluate<'a>(expr: &Expr, root: &'a Element) -> Result<Value<'a>, String> {
    let mut document = Document { nodes: Vec::new(), visits: 0 };
    document.load(root);
    let context = Context { node: Node::DOCUMENT, position: 1, size: 1 };
    Ok(match document.eval(expr, context)? {
        Val::Nodes(nodes) => {
            Value::Nodes(nodes.into_iter().filter_map(|node| document.found(node)).collect())
        }
        Val::Boolean(value) => Value::Boolean(value),
        Val::Number(value) => Value::Number(value),
        Val::String(value) => Value::String(value),
    })
}

/// A node: its index in document order, and which attribute of it (0: the node itself). Sorts in document order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Node {
    index: u32,
    attribute: u32,
}

impl Node {
    const DOCUMENT: Node = Node { index: 0, attribute: 0 };

    fn element(index: u32) -> Node {
        Node { index, attribute: 0 }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Val {
    Nodes(Vec<Node>),
    Boolean(bool),
    Number(f64),
    String(String),
}

#[derive(Clone, Copy)]
pub(super) struct Context {
    pub node: Node,
    pub position: usize,
    pub size: usize,
}

struct Entry<'a> {
    /// Absent for the document node, which is entry 0.
    element: Option<&'a Element>,
    parent: u32,
    /// The entry after the last one below this.
    end: u32,
    /// Index among the nodes of the parent.
    index: u32,
}

pub(super) struct Document<'a> {
    nodes: Vec<Entry<'a>>,
    visits: u64,
}

impl<'a> Document<'a> {
    fn load(&mut self, root: &'a Element) {
        self.nodes.push(Entry { element: None, parent: 0, end: 0, index: 0 });
        self.add(root, 0, 0);
        let end = self.nodes.len() as u32;
        if let Some(document) = self.nodes.first_mut() {
            document.end = end;
        }
    }

    fn add(&mut self, element: &'a Element, parent: u32, index: u32) {
        let own = self.nodes.len();
        self.nodes.push(Entry { element: Some(element), parent, end: 0, index });
        for (index, child) in element.nodes().enumerate() {
            self.add(child, own as u32, index as u32);
        }
        let end = self.nodes.len() as u32;
        if let Some(entry) = self.nodes.get_mut(own) {
            entry.end = end;
        }
    }

    fn entry(&self, node: Node) -> Option<&Entry<'a>> {
        self.nodes.get(node.index as usize)
    }

    pub(super) fn element_of(&self, node: Node) -> Option<&'a Element> {
        self.entry(node)?.element
    }

    fn attribute(&self, node: Node) -> Option<(&'a str, &'a str)> {
        let index = (node.attribute as usize).checked_sub(1)?;
        self.element_of(node)?.attrs().nth(index)
    }

    fn found(&self, node: Node) -> Option<Match<'a>> {
        let element = self.element_of(node)?;
        let mut path = Vec::new();
        let mut entry = self.entry(node)?;
        // The parent of the root element is the document node, entry 0, which has no element.
        while entry.parent != 0 {
            path.push(entry.index as usize);
            entry = self.nodes.get(entry.parent as usize)?;
        }
        path.reverse();
        Some(Match { element, path, attribute: self.attribute(node).map(|(name, _)| name) })
    }

    fn visit(&mut self) -> Result<(), String> {
        self.visits += 1;
        if self.visits > VISITS_MAX {
            return Err(format!("it looks at more than {VISITS_MAX} nodes"));
        }
        Ok(())
    }

    pub(super) fn eval(&mut self, expr: &Expr, context: Context) -> Result<Val, String> {
        Ok(match expr {
            Expr::Or(a, b) => Val::Boolean(self.truth(a, context)? || self.truth(b, context)?),
            Expr::And(a, b) => Val::Boolean(self.truth(a, context)? && self.truth(b, context)?),
            Expr::Compare(kind, a, b) => {
                let (a, b) = (self.eval(a, context)?, self.eval(b, context)?);
                Val::Boolean(self.compare(*kind, &a, &b)?)
            }
            Expr::Arithmetic(kind, a, b) => {
                let (a, b) = (self.eval(a, context)?, self.eval(b, context)?);
                let (a, b) = (self.number(&a), self.number(&b));
                Val::Number(match kind {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Modulo => a % b,
                })
            }
            Expr::Negate(a) => {
                let value = self.eval(a, context)?;
                Val::Number(-self.number(&value))
            }
            Expr::Union(a, b) => {
                let mut nodes = self.node_set(a, context)?;
                nodes.extend(self.node_set(b, context)?);
                nodes.sort_unstable();
                nodes.dedup();
                Val::Nodes(nodes)
            }
            Expr::Literal(text) => Val::String(text.clone()),
            Expr::Number(number) => Val::Number(*number),
            Expr::Call(function, arguments) => functions::call(self, *function, arguments, context)?,
            Expr::Path { absolute, steps } => {
                let start = if *absolute { Node::DOCUMENT } else { context.node };
                Val::Nodes(self.walk(vec![start], steps)?)
            }
            Expr::Filter { primary, predicates, steps } => {
                let mut nodes = self.node_set(primary, context)?;
                for predicate in predicates {
                    nodes = self.filter(nodes, predicate)?;
                }
                Val::Nodes(self.walk(nodes, steps)?)
            }
        })
    }

    pub(super) fn node_set(&mut self, expr: &Expr, context: Context) -> Result<Vec<Node>, String> {
        match self.eval(expr, context)? {
            Val::Nodes(nodes) => Ok(nodes),
            _ => Err("a value stands where a set of nodes is needed".to_string()),
        }
    }

    pub(super) fn truth(&mut self, expr: &Expr, context: Context) -> Result<bool, String> {
        let value = self.eval(expr, context)?;
        Ok(boolean(&value))
    }

    fn walk(&mut self, mut nodes: Vec<Node>, steps: &[Step]) -> Result<Vec<Node>, String> {
        for step in steps {
            let mut next = Vec::new();
            let single = nodes.len() <= 1;
            for node in nodes {
                let mut reached = self.axis(node, step)?;
                for predicate in &step.predicates {
                    reached = self.filter(reached, predicate)?;
                }
                next.extend(reached);
            }
            if !single || step.axis.is_reverse() {
                next.sort_unstable();
                next.dedup();
            }
            nodes = next;
        }
        Ok(nodes)
    }

    /// Keep the nodes for which the predicate holds; their order is that of the axis.
    fn filter(&mut self, nodes: Vec<Node>, predicate: &Expr) -> Result<Vec<Node>, String> {
        let size = nodes.len();
        let mut kept = Vec::new();
        for (index, node) in nodes.into_iter().enumerate() {
            let position = index + 1;
            let keep = match self.eval(predicate, Context { node, position, size })? {
                Val::Number(number) => number == position as f64,
                value => boolean(&value),
            };
            if keep {
                kept.push(node);
            }
        }
        Ok(kept)
    }

    /// The nodes of the step's axis that pass its test, nearest first.
    fn axis(&mut self, node: Node, step: &Step) -> Result<Vec<Node>, String> {
        let mut out = Vec::new();
        let is_attribute = node.attribute != 0;
        let (parent, end) = match self.entry(node) {
            Some(entry) => (entry.parent, entry.end),
            None => return Ok(out),
        };
        match step.axis {
            Axis::Itself => self.offer(node, step, &mut out)?,
            Axis::Parent if is_attribute => self.offer(Node::element(node.index), step, &mut out)?,
            Axis::Parent if node.index != 0 => self.offer(Node::element(parent), step, &mut out)?,
            Axis::Parent => {}
            Axis::Ancestor | Axis::AncestorOrSelf => {
                if step.axis == Axis::AncestorOrSelf {
                    self.offer(node, step, &mut out)?;
                }
                let mut at =
                    if is_attribute { Some(node.index) } else { (node.index != 0).then_some(parent) };
                while let Some(index) = at {
                    self.offer(Node::element(index), step, &mut out)?;
                    at = (index != 0)
                        .then(|| self.entry(Node::element(index)).map_or(0, |entry| entry.parent));
                }
            }
            Axis::Attribute if !is_attribute => {
                if let Some(element) = self.element_of(node) {
                    for (index, (name, _)) in element.attrs().enumerate() {
                        self.visit()?;
                        let fits = match &step.test {
                            Test::Any | Test::Node => true,
                            Test::Name(wanted) => wanted == name,
                            Test::Text | Test::Comment | Test::ProcessingInstruction => false,
                        };
                        if fits {
                            out.push(Node { index: node.index, attribute: index as u32 + 1 });
                        }
                    }
                }
            }
            Axis::Child if !is_attribute => {
                let mut index = node.index + 1;
                while index < end {
                    self.offer(Node::element(index), step, &mut out)?;
                    index = self.end(index);
                }
            }
            Axis::Descendant | Axis::DescendantOrSelf => {
                if step.axis == Axis::DescendantOrSelf {
                    self.offer(node, step, &mut out)?;
                }
                if !is_attribute {
                    for index in node.index + 1..end {
                        self.offer(Node::element(index), step, &mut out)?;
                    }
                }
            }
            Axis::Following => {
                let from = if is_attribute { node.index + 1 } else { end };
                for index in from..self.nodes.len() as u32 {
                    self.offer(Node::element(index), step, &mut out)?;
                }
            }
            Axis::FollowingSibling if !is_attribute && node.index != 0 => {
                let limit = self.end(parent);
                let mut index = end;
                while index < limit {
                    self.offer(Node::element(index), step, &mut out)?;
                    index = self.end(index);
                }
            }
            Axis::Preceding => {
                for index in (1..node.index).rev() {
                    // Not the ancestors.
                    if self.end(index) <= node.index {
                        self.offer(Node::element(index), step, &mut out)?;
                    } else {
                        self.visit()?;
                    }
                }
            }
            Axis::PrecedingSibling if !is_attribute && node.index != 0 => {
                let mut index = parent + 1;
                while index < node.index {
                    self.offer(Node::element(index), step, &mut out)?;
                    index = self.end(index);
                }
                out.reverse();
            }
            Axis::Attribute | Axis::Child | Axis::FollowingSibling | Axis::PrecedingSibling => {}
        }
        Ok(out)
    }

    /// The entry after the last one below `index`; always further on.
    fn end(&self, index: u32) -> u32 {
        self.nodes.get(index as usize).map_or(u32::MAX, |entry| entry.end.max(index + 1))
    }

    fn offer(&mut self, node: Node, step: &Step, out: &mut Vec<Node>) -> Result<(), String> {
        self.visit()?;
        // A name or `*` tests for elements on every axis this is called for.
        let element = if node.attribute == 0 { self.element_of(node) } else { None };
        let fits = match &step.test {
            Test::Node => true,
            Test::Any => element.is_some_and(|element| !element.is_comment()),
            Test::Name(name) => element.is_some_and(|element| element.name() == name),
            Test::Comment => element.is_some_and(Element::is_comment),
            Test::Text | Test::ProcessingInstruction => false,
        };
        if fits {
            out.push(node);
        }
        Ok(())
    }

    /// The string-value of a node. Text is not kept, so an element's is empty.
    pub(super) fn text(&self, node: Node) -> &'a str {
        if node.attribute != 0 {
            return self.attribute(node).map_or("", |(_, value)| value);
        }
        self.element_of(node).and_then(Element::comment_text).unwrap_or("")
    }

    /// The name of a node: empty for comments and the document.
    pub(super) fn node_name(&self, node: Node) -> &'a str {
        if node.attribute != 0 {
            return self.attribute(node).map_or("", |(name, _)| name);
        }
        match self.element_of(node) {
            Some(element) if !element.is_comment() => element.name(),
            _ => "",
        }
    }

    /// Elements with an attribute `name` of this value, on the way from `node` to the root: for `lang()`.
    pub(super) fn inherited(&self, node: Node, name: &str) -> Option<&'a str> {
        let mut index = node.index;
        while index != 0 {
            let entry = self.nodes.get(index as usize)?;
            if let Some(value) = entry.element.and_then(|element| element.attr(name)) {
                return Some(value);
            }
            index = entry.parent;
        }
        None
    }

    pub(super) fn with_xml_id(&self, wanted: &[&str]) -> Vec<Node> {
        let fits = |entry: &Entry<'_>| {
            entry.element.and_then(|e| e.attr("xml:id")).is_some_and(|id| wanted.contains(&id))
        };
        (0u32..)
            .zip(&self.nodes)
            .filter(|(_, entry)| fits(entry))
            .map(|(index, _)| Node::element(index))
            .collect()
    }

    pub(super) fn string(&self, value: &Val) -> String {
        match value {
            Val::Nodes(nodes) => nodes.first().map_or(String::new(), |&node| self.text(node).to_string()),
            Val::Boolean(value) => value.to_string(),
            Val::Number(number) => number_text(*number),
            Val::String(text) => text.clone(),
        }
    }

    pub(super) fn number(&self, value: &Val) -> f64 {
        match value {
            Val::Boolean(value) => f64::from(u8::from(*value)),
            Val::Number(number) => *number,
            Val::String(text) => text_number(text),
            Val::Nodes(_) => text_number(&self.string(value)),
        }
    }

    fn compare(&mut self, kind: Comparison, a: &Val, b: &Val) -> Result<bool, String> {
        Ok(match (a, b) {
            (Val::Nodes(_), Val::Boolean(_)) | (Val::Boolean(_), Val::Nodes(_)) => {
                compare_plain(kind, &Val::Boolean(boolean(a)), &Val::Boolean(boolean(b)))
            }
            (Val::Nodes(left), Val::Nodes(right)) => {
                for &x in left {
                    for &y in right {
                        self.visit()?;
                        if compare_text(kind, self.text(x), self.text(y)) {
                            return Ok(true);
                        }
                    }
                }
                false
            }
            (Val::Nodes(nodes), other) => {
                nodes.iter().any(|&node| compare_with(kind, self.text(node), other))
            }
            (other, Val::Nodes(nodes)) => {
                let kind = mirrored(kind);
                nodes.iter().any(|&node| compare_with(kind, self.text(node), other))
            }
            (a, b) => compare_plain(kind, a, b),
        })
    }
}

pub(super) fn boolean(value: &Val) -> bool {
    match value {
        Val::Nodes(nodes) => !nodes.is_empty(),
        Val::Boolean(value) => *value,
        Val::Number(number) => *number != 0.0 && !number.is_nan(),
        Val::String(text) => !text.is_empty(),
    }
}

fn compare_text(kind: Comparison, a: &str, b: &str) -> bool {
    match kind {
        Comparison::Equal => a == b,
        Comparison::NotEqual => a != b,
        _ => compare_numbers(kind, text_number(a), text_number(b)),
    }
}

/// A node's text against a number or a string.
fn compare_with(kind: Comparison, text: &str, other: &Val) -> bool {
    match other {
        Val::Number(number) => compare_numbers(kind, text_number(text), *number),
        Val::String(other) => compare_text(kind, text, other),
        Val::Boolean(_) | Val::Nodes(_) => false,
    }
}

fn compare_plain(kind: Comparison, a: &Val, b: &Val) -> bool {
    let number = |value: &Val| match value {
        Val::Boolean(value) => f64::from(u8::from(*value)),
        Val::Number(number) => *number,
        Val::String(text) => text_number(text),
        Val::Nodes(_) => f64::NAN,
    };
    let equality = matches!(kind, Comparison::Equal | Comparison::NotEqual);
    match (a, b) {
        (Val::Boolean(_), _) | (_, Val::Boolean(_)) if equality => {
            (boolean(a) == boolean(b)) == (kind == Comparison::Equal)
        }
        (Val::String(a), Val::String(b)) => compare_text(kind, a, b),
        _ => compare_numbers(kind, number(a), number(b)),
    }
}

fn compare_numbers(kind: Comparison, a: f64, b: f64) -> bool {
    let order = a.partial_cmp(&b);
    match kind {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => order == Some(Ordering::Less),
        Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        Comparison::Greater => order == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
    }
}

fn mirrored(kind: Comparison) -> Comparison {
    match kind {
        Comparison::Equal | Comparison::NotEqual => kind,
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
    }
}

/// XPath 1.0 §4.4: an optional minus, digits, an optional point; all else is not a number.
pub(super) fn text_number(text: &str) -> f64 {
    let text = text.trim_matches([' ', '\t', '\n', '\r']);
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    if plain && digits.bytes().any(|byte| byte.is_ascii_digit()) {
        text.parse().unwrap_or(f64::NAN)
    } else {
        f64::NAN
    }
}

fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_string()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".to_string() } else { "-Infinity".to_string() }
    } else if number == 0.0 {
        // Both zeros.
        "0".to_string()
    } else {
        format!("{number}")
    }
}
