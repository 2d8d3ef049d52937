//! XPath 1.0 on our own tree: all axes but `namespace`, all core functions, no variables and no namespace prefixes.
//!
//! An [`Expression`] is parsed once and evaluated on any tree. Both are bounded: the length and nesting of the
//! expression, and the number of nodes one evaluation may look at, so that a hostile expression costs an error and not
//! the node.

mod eval;
mod functions;
mod parse;
mod tree;

use crate::Element;

pub use eval::Value;

/// Longest expression, bytes.
pub const LENGTH_MAX: usize = 16 * 1024;

/// Nodes one evaluation may visit. Fifty times the largest document foreseen (10 000 resources with status).
pub const VISITS_MAX: u64 = 20_000_000;

/// A parsed expression.
#[derive(Clone, Debug)]
pub struct Expression {
    text: String,
    expr: tree::Expr,
}

/// What an expression selected: an element, or an attribute of it.
#[derive(Clone, Debug)]
pub struct Match<'a> {
    /// The element, or the one that bears the attribute.
    pub element: &'a Element,
    /// The way from the root: at each level the index among the nodes, comments counted; see [`Element::at`].
    pub path: Vec<usize>,
    /// The attribute, if one was selected.
    pub attribute: Option<&'a str>,
}

/// Why an expression was refused or gave up. The fault is the expression's; nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("XPath \"{expression}\", column {column}: {text}")]
pub struct XPathError {
    pub expression: String,
    /// From 1, in bytes; 0 when it concerns the evaluation.
    pub column: usize,
    pub text: String,
}

impl Expression {
    /// # Errors
    /// The column and a sentence.
    pub fn parse(text: &str) -> Result<Expression, XPathError> {
        let expr = parse::parse(text).map_err(|fault| XPathError {
            expression: text.chars().take(200).collect(),
            column: fault.at + 1,
            text: fault.text,
        })?;
        Ok(Expression { text: text.to_string(), expr })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value for the document with this root element, evaluated at the document node.
    ///
    /// # Errors
    /// More nodes visited than [`VISITS_MAX`], or a value that is no node-set where one is needed.
    pub fn evaluate<'a>(&self, root: &'a Element) -> Result<Value<'a>, XPathError> {
        eval::evaluate(&self.expr, root).map_err(|text| self.fault(text))
    }

    /// The elements and attributes selected, in document order.
    ///
    /// # Errors
    /// As [`Expression::evaluate`]; also when the value is a number, a string or a boolean.
    pub fn select<'a>(&self, root: &'a Element) -> Result<Vec<Match<'a>>, XPathError> {
        match self.evaluate(root)? {
            Value::Nodes(matches) => Ok(matches),
            _ => Err(self.fault("it selects no elements, it computes a value".to_string())),
        }
    }

    fn fault(&self, text: String) -> XPathError {
        XPathError { expression: self.text.chars().take(200).collect(), column: 0, text }
    }
}

/// Parse and select in one.
///
/// # Errors
/// As [`Expression::parse`] and [`Expression::select`].
pub fn select<'a>(root: &'a Element, expression: &str) -> Result<Vec<Match<'a>>, XPathError> {
    Expression::parse(expression)?.select(root)
}

/// The address of the element at `path` below `root`: `/cib/configuration/resources/group[@id='g']`.
///
/// Ids are given where an element has one. `None` when nothing is there.
pub fn address(root: &Element, path: &[usize]) -> Option<String> {
    let mut out = String::new();
    let mut element = root;
    push_address(element, &mut out);
    for &index in path {
        element = element.node_at(index)?;
        push_address(element, &mut out);
    }
    Some(out)
}

fn push_address(element: &Element, out: &mut String) {
    out.push('/');
    out.push_str(element.name());
    if let Some(id) = element.id() {
        // An id with an apostrophe cannot come from a valid document; the other quote serves it.
        let quote = if id.contains('\'') { '"' } else { '\'' };
        out.push_str("[@id=");
        out.push(quote);
        out.push_str(id);
        out.push(quote);
        out.push(']');
    }
}

#[cfg(test)]
mod tests;
