//! Addresses in patches: `/cib/configuration/nodes/node[@id='1']`.

use crate::Element;

/// One level of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Level<'a> {
    pub name: &'a str,
    pub id: Option<&'a str>,
}

/// The levels of an address; `None` for what is none.
pub(super) fn parse(address: &str) -> Option<Vec<Level<'_>>> {
    let mut levels = Vec::new();
    let mut rest = address;
    while !rest.is_empty() {
        rest = rest.strip_prefix('/')?;
        let end = rest.find(['/', '[']).unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| !name.is_empty())?;
        rest = rest.get(end..)?;
        let mut id = None;
        if let Some(predicate) = rest.strip_prefix("[@id=") {
            let quote = predicate.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
            let value = predicate.get(1..)?;
            let end = value.find(quote)?;
            id = value.get(..end);
            rest = value.get(end + 1..)?.strip_prefix(']')?;
        }
        levels.push(Level { name, id });
    }
    (!levels.is_empty()).then_some(levels)
}

/// The indices of the first element with this address.
pub(super) fn locate(root: &Element, levels: &[Level<'_>]) -> Option<Vec<usize>> {
    let (first, below) = levels.split_first()?;
    if !fits(root, first) {
        return None;
    }
    let mut path = Vec::with_capacity(below.len());
    let mut element = root;
    for level in below {
        let index = element.nodes().position(|node| fits(node, level))?;
        path.push(index);
        element = element.node_at(index)?;
    }
    Some(path)
}

fn fits(element: &Element, level: &Level<'_>) -> bool {
    element.name() == level.name && level.id.is_none_or(|id| element.id() == Some(id))
}

/// Whether the element has an id that an address can hold: one with both quotes cannot be written.
pub(super) fn has_id(element: &Element) -> bool {
    element.id().is_some_and(|id| !(id.contains('\'') && id.contains('"')))
}

/// `address` with one more level for `element`.
pub(super) fn extend(address: &str, element: &Element) -> String {
    let mut out = format!("{address}/{}", element.name());
    if let Some(id) = element.id().filter(|_| has_id(element)) {
        let quote = if id.contains('\'') { '"' } else { '\'' };
        out.push_str("[@id=");
        out.push(quote);
        out.push_str(id);
        out.push(quote);
        out.push(']');
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn addresses() {
        let levels = parse("/cib/a[@id='x/y]']/b").unwrap();
        assert_eq!(levels[1], Level { name: "a", id: Some("x/y]") });
        assert_eq!(levels.len(), 3);
        for bad in ["", "cib", "/cib/", "/cib/a[1]", "/cib/a[@id='x", "/cib/a[@id=x]", "//a"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
