//! Operations on what an XPath selects.

use super::edit::{modify_below, remove};
use super::{Code, OpError, Operation, Options, Request, no_input, without_children};
use crate::{Element, xpath};

pub(super) fn query(root: &Element, expression: &str, options: Options) -> Result<Element, OpError> {
    let paths = select(root, expression)?;
    let elements: Vec<&Element> = paths.iter().filter_map(|path| root.at(path)).collect();
    if elements.is_empty() {
        return Err(nothing(expression));
    }
    if options.node_path {
        let mut list = Element::new("xpath-query");
        for path in &paths {
            let address = xpath::address(root, path).unwrap_or_default();
            list.push(Element::new("xpath-query-path").with_attr("id", address));
        }
        return Ok(list);
    }
    let shown =
        |element: &Element| if options.no_children { without_children(element) } else { element.clone() };
    if let [only] = elements.as_slice() {
        return Ok(shown(only));
    }
    let mut list = Element::new("xpath-query");
    for element in elements {
        list.push(shown(element));
    }
    Ok(list)
}

pub(super) fn edit(root: &mut Element, expression: &str, request: &Request) -> Result<(), OpError> {
    let paths = select(root, expression)?;
    let delete = matches!(request.op, Operation::Delete | Operation::DeleteAll);
    if paths.is_empty() {
        return if delete { Ok(()) } else { Err(nothing(expression)) };
    }
    let all = request.options.multiple || request.op == Operation::DeleteAll;
    if delete {
        return delete_matches(root, paths, all);
    }
    let input = request.input.as_ref().ok_or_else(no_input)?;
    let count = if all { paths.len() } else { 1 };
    // Later matches first: what is appended within one does not move the way to those before it.
    for path in paths.iter().take(count).rev() {
        match request.op {
            Operation::Create => {
                if let Some(parent) = root.at_mut(path) {
                    parent.push(input.clone());
                }
            }
            Operation::Modify => modify_below(root, path, input, request.options.allow_create)?,
            _ => {
                if path.is_empty() && input.name() != "cib" {
                    return Err(root_refused());
                }
                if let Some(target) = root.at_mut(path) {
                    *target = input.clone();
                }
            }
        }
    }
    Ok(())
}

fn delete_matches(root: &mut Element, mut paths: Vec<Vec<usize>>, all: bool) -> Result<(), OpError> {
    // Document order puts an element before what lies in it.
    let mut kept: Vec<Vec<usize>> = Vec::new();
    for path in paths.drain(..) {
        if !kept.last().is_some_and(|outer| path.starts_with(outer)) {
            kept.push(path);
        }
    }
    if !all {
        kept.truncate(1);
    }
    if kept.iter().any(Vec::is_empty) {
        return Err(root_refused());
    }
    for path in kept.iter().rev() {
        remove(root, path);
    }
    Ok(())
}

/// The ways to the elements selected, in document order; an attribute stands for its element.
fn select(root: &Element, expression: &str) -> Result<Vec<Vec<usize>>, OpError> {
    let matches =
        xpath::select(root, expression).map_err(|error| OpError::new(Code::Usage, error.to_string()))?;
    let mut paths: Vec<Vec<usize>> = Vec::with_capacity(matches.len());
    for found in matches {
        if !found.element.is_comment() && paths.last() != Some(&found.path) {
            paths.push(found.path);
        }
    }
    Ok(paths)
}

fn nothing(expression: &str) -> OpError {
    OpError::new(Code::NotFound, format!("\"{expression}\" selects nothing"))
}

fn root_refused() -> OpError {
    OpError::new(
        Code::Invalid,
        "the root of the document cannot be removed or become something else".to_string(),
    )
}
