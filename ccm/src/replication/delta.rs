//! The difference of two documents, exact and in order: what an entry of the history carries.
//!
//! Applying the delta of (old, new) to old gives new, node by node, comments and order included, so
//! that members which hold equal documents still do afterwards (R12.4). Documents share what is
//! equal, so making one costs what changed, not what there is. The patch formats of the CIB are for
//! people and tools; they check versions, which a history must not depend on.

use cib::Element;

use crate::codec::{CodecError, Reader, Wire, Writer};

/// Deepest tree a delta from outside may describe.
const DEPTH_LIMIT: usize = 256;

/// A difference: see the module.
#[derive(Debug, Clone, PartialEq)]
pub enum Delta {
    /// Everything as it was.
    Same,
    /// Another element altogether.
    Replace(Element),
    /// The same element with other attributes or other nodes in it.
    Edit { attrs: Option<Vec<(String, String)>>, nodes: Option<Vec<Part>> },
}

/// Where the nodes of an edited element come from, in their new order.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// `count` nodes of the old element from `from` on.
    Keep {
        from: u32,
        count: u32,
    },
    /// One node of the old element, changed.
    Change {
        from: u32,
        delta: Delta,
    },
    New(Element),
}

/// Why a delta could not be applied: it was made for another document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("change does not fit the document")]
pub struct DeltaError;

impl Delta {
    /// The difference that leads from `old` to `new`.
    pub fn between(old: &Element, new: &Element) -> Self {
        if old.ptr_eq(new) {
            return Self::Same;
        }
        if old.is_comment() || new.is_comment() || old.name() != new.name() {
            return if old == new { Self::Same } else { Self::Replace(new.clone()) };
        }
        let attrs = (!old.attrs().eq(new.attrs()))
            .then(|| new.attrs().map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
        let nodes = Self::nodes_between(old, new);
        match (attrs, nodes) {
            (None, None) => Self::Same,
            (attrs, nodes) => Self::Edit { attrs, nodes },
        }
    }

    fn nodes_between(old: &Element, new: &Element) -> Option<Vec<Part>> {
        let olds: Vec<&Element> = old.nodes().collect();
        let mut used = vec![false; olds.len()];
        let mut parts: Vec<Part> = Vec::new();
        let mut changed = olds.len() != new.nodes().len();
        // Nodes keep their order nearly always: look at the place after the last match first.
        let mut next = 0;
        for node in new.nodes() {
            let free = |i: usize, used: &[bool]| !used.get(i).copied().unwrap_or(true);
            let same = |i: usize| olds.get(i).is_some_and(|o| o.ptr_eq(node));
            let akin = |i: usize| {
                olds.get(i).is_some_and(|o| {
                    !o.is_comment() && !node.is_comment() && o.name() == node.name() && o.id() == node.id()
                })
            };
            let wanted = if free(next, &used) && same(next) {
                Some(next)
            } else {
                (0..olds.len())
                    .find(|&i| free(i, &used) && same(i))
                    .or_else(|| (free(next, &used) && akin(next)).then_some(next))
                    .or_else(|| (0..olds.len()).find(|&i| free(i, &used) && akin(i)))
            };
            let Some((from, source)) = wanted.and_then(|i| olds.get(i).map(|o| (i, *o))) else {
                parts.push(Part::New(node.clone()));
                changed = true;
                continue;
            };
            if let Some(mark) = used.get_mut(from) {
                *mark = true;
            }
            changed |= from != next;
            next = from + 1;
            let from = u32::try_from(from).unwrap_or(u32::MAX);
            match Self::between(source, node) {
                Self::Same => match parts.last_mut() {
                    Some(Part::Keep { from: start, count }) if *start + *count == from => *count += 1,
                    _ => parts.push(Part::Keep { from, count: 1 }),
                },
                delta => {
                    changed = true;
                    parts.push(Part::Change { from, delta });
                }
            }
        }
        changed.then_some(parts)
    }

    /// The document this delta leads to from `old`.
    /// # Errors
    /// [`DeltaError`] when it was made for a document of another shape; `old` is untouched.
    pub fn apply(&self, old: &Element) -> Result<Element, DeltaError> {
        match self {
            Self::Same => Ok(old.clone()),
            Self::Replace(new) => Ok(new.clone()),
            Self::Edit { attrs, nodes } => {
                let mut new = old.clone();
                if let Some(attrs) = attrs {
                    new.clear_attrs();
                    for (name, value) in attrs {
                        new.set_attr(name, value.as_str());
                    }
                }
                // The common case, some nodes changed in their places, touches only those.
                if let Some(parts) = nodes
                    && !Self::apply_in_place(parts, old, &mut new)?
                {
                    new.clear_nodes();
                    for part in parts {
                        match part {
                            Part::New(node) => new.push_node(node.clone()),
                            Part::Change { from, delta } => {
                                new.push_node(delta.apply(node(old, *from)?)?);
                            }
                            Part::Keep { from, count } => {
                                for i in 0..*count {
                                    let at = from.checked_add(i).ok_or(DeltaError)?;
                                    new.push_node(node(old, at)?.clone());
                                }
                            }
                        }
                    }
                }
                Ok(new)
            }
        }
    }

    fn apply_in_place(parts: &[Part], old: &Element, new: &mut Element) -> Result<bool, DeltaError> {
        let mut at: u32 = 0;
        for part in parts {
            match part {
                Part::Keep { from, count } if *from == at => at = at.checked_add(*count).ok_or(DeltaError)?,
                Part::Change { from, .. } if *from == at => at = at.checked_add(1).ok_or(DeltaError)?,
                _ => return Ok(false),
            }
        }
        if usize::try_from(at) != Ok(old.nodes().len()) {
            return Ok(false);
        }
        for part in parts {
            if let Part::Change { from, delta } = part {
                let index = usize::try_from(*from).map_err(|_| DeltaError)?;
                let changed = delta.apply(node(old, *from)?)?;
                *new.node_at_mut(index).ok_or(DeltaError)? = changed;
            }
        }
        Ok(true)
    }

    fn read_at(r: &mut Reader<'_>, depth: usize) -> Result<Self, CodecError> {
        if depth > DEPTH_LIMIT {
            return Err(CodecError::Bound);
        }
        Ok(match r.u8()? {
            0 => Self::Same,
            1 => Self::Replace(read_node(r)?),
            2 => {
                let attrs = r.get()?;
                let nodes = if r.bool()? {
                    let count = r.count()?;
                    let mut parts = Vec::new();
                    for _ in 0..count {
                        parts.push(match r.u8()? {
                            0 => Part::Keep { from: r.u32()?, count: r.u32()? },
                            1 => Part::Change { from: r.u32()?, delta: Self::read_at(r, depth + 1)? },
                            2 => Part::New(read_node(r)?),
                            other => return Err(CodecError::Kind(other)),
                        });
                    }
                    Some(parts)
                } else {
                    None
                };
                Self::Edit { attrs, nodes }
            }
            other => return Err(CodecError::Kind(other)),
        })
    }
}

fn node(of: &Element, at: u32) -> Result<&Element, DeltaError> {
    usize::try_from(at).ok().and_then(|i| of.node_at(i)).ok_or(DeltaError)
}

/// Writes an element or a comment as text.
pub fn write_node(w: &mut Writer, node: &Element) {
    match node.comment_text() {
        Some(text) => w.u8(1).text(text),
        None => w.u8(0).text(&node.to_xml_compact()),
    };
}

/// Reads what [`write_node`] wrote.
/// # Errors
/// Any [`CodecError`].
pub fn read_node(r: &mut Reader<'_>) -> Result<Element, CodecError> {
    Ok(match r.u8()? {
        0 => Element::parse(&r.text()?).map_err(|_| CodecError::Document)?,
        1 => Element::comment(&r.text()?),
        other => return Err(CodecError::Kind(other)),
    })
}

impl Wire for Delta {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Same => {
                w.u8(0);
            }
            Self::Replace(node) => {
                w.u8(1);
                write_node(w, node);
            }
            Self::Edit { attrs, nodes } => {
                w.u8(2).put(attrs);
                w.bool(nodes.is_some());
                if let Some(parts) = nodes {
                    w.count(parts.len());
                    for part in parts {
                        match part {
                            Part::Keep { from, count } => {
                                w.u8(0).u32(*from).u32(*count);
                            }
                            Part::Change { from, delta } => {
                                w.u8(1).u32(*from).put(delta);
                            }
                            Part::New(node) => {
                                w.u8(2);
                                write_node(w, node);
                            }
                        }
                    }
                }
            }
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Self::read_at(r, 0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn check(old: &str, new: &str) {
        let (old, new) = (Element::parse(old).unwrap(), Element::parse(new).unwrap());
        for (a, b) in [(&old, &new), (&new, &old), (&old, &old)] {
            let delta = Delta::between(a, b);
            assert_eq!(&delta.apply(a).unwrap(), b);
            let read = Delta::from_record(1, &delta.record(1)).unwrap();
            assert_eq!(read.apply(a).unwrap().to_xml(), b.to_xml());
        }
    }

    /// Attributes, order, insertions, removals and comments survive both ways.
    #[test]
    fn leads_from_old_to_new() {
        check("<a/>", "<b/>");
        check("<a x='1' y='2'/>", "<a y='2' x='1'/>");
        check("<a><b id='1'/><b id='2'/><c/></a>", "<a><b id='2' v='1'/><b id='1'/></a>");
        check("<a><b id='1'/><!-- one --><c/></a>", "<a><!-- two --><c/><b id='1'/></a>");
        check(
            "<a><b><c><d id='1'/><d id='2'/></c></b></a>",
            "<a><b><c><d id='1'/><d id='2' x='&lt;&#10;'/></c></b></a>",
        );
        check("<a/>", "<a><b/><b/><b/></a>");
    }

    /// A delta that was made for another document is refused, not guessed at.
    #[test]
    fn a_foreign_delta_is_refused() {
        let old = Element::parse("<a><b id='1'/><b id='2'/></a>").unwrap();
        let new = Element::parse("<a><b id='2'/></a>").unwrap();
        let delta = Delta::between(&old, &new);
        assert_eq!(delta.apply(&Element::new("a")), Err(DeltaError));
    }

    /// Nesting without end in bytes from outside is an error, not a full stack.
    #[test]
    fn depth_is_bounded() {
        let mut w = Writer::new();
        for _ in 0..100_000 {
            w.u8(2).u8(0).bool(true).count(1).u8(1).u32(0);
        }
        assert!(Delta::read(&mut Reader::new(&w.finish())).is_err());
    }
}
