//! What a change of the document concerns.

use std::collections::BTreeSet;

use cib::Element;

use super::Why;
use super::names::plain;

/// Attributes of the document that say how it came to be, not what it is.
const HISTORY_OF_DOCUMENT: [&str; 9] = [
    "admin_epoch",
    "cib-last-written",
    "epoch",
    "execution-date",
    "num_updates",
    "update-client",
    "update-node",
    "update-origin",
    "update-user",
];

/// Names of node attributes that belong to a resource: what follows is its name, and perhaps `#` and an operation.
pub(super) const OF_RESOURCES: [&str; 3] = ["fail-count-", "last-failure-", "master-"];

/// Two documents compared: the resources that differ, by the names the difference has for them.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub names: BTreeSet<String>,
    /// Elements of the configuration that the later document has instead.
    pub come: Vec<Element>,
    /// Resources that one of the documents has.
    pub resources: Vec<Element>,
    /// Constraints that one of the documents has.
    pub constraints: Vec<Element>,
    /// The list of resources has others, or in another order.
    pub resources_moved: bool,
    pub constraints_changed: bool,
    /// Numbers of the `node_state` elements whose list of histories is another one.
    pub histories: Vec<usize>,
}

impl Difference {
    /// What `new` has changed, if it is nothing but resources, their constraints, histories and attributes.
    pub fn between(old: &Element, new: &Element) -> Result<Difference, Why> {
        let mut found = Difference::default();
        same_attributes(old, new, &HISTORY_OF_DOCUMENT, "the document")?;
        for (old, new) in changed_pairs(old, new, "the document")? {
            match old.name() {
                "configuration" => found.configuration(old, new)?,
                "status" => found.status(old, new)?,
                other => return Err(Why::Section(other.to_owned())),
            }
        }
        Ok(found)
    }

    fn configuration(&mut self, old: &Element, new: &Element) -> Result<(), Why> {
        same_attributes(old, new, &[], "the configuration")?;
        for (old, new) in changed_pairs(old, new, "the configuration")? {
            let section = old.name();
            same_attributes(old, new, &[], section)?;
            let changed = Changed::of(old, new);
            match section {
                "resources" => {
                    self.resources_moved |= changed.moved;
                    for e in changed.all() {
                        if e.name() == "template" {
                            return Err(Why::Section("a template".to_owned()));
                        }
                        self.names.extend(e.id().map(str::to_owned));
                    }
                    self.resources.extend(changed.all().cloned());
                }
                "constraints" => {
                    self.constraints_changed = true;
                    self.constraints.extend(changed.all().cloned());
                }
                other => return Err(Why::Section(other.to_owned())),
            }
            self.come.extend(changed.come.into_iter().cloned());
        }
        Ok(())
    }

    fn status(&mut self, old: &Element, new: &Element) -> Result<(), Why> {
        same_attributes(old, new, &[], "the status")?;
        let pairs = old.nodes().zip(new.nodes()).enumerate();
        if old.nodes().len() != new.nodes().len() {
            return Err(Why::Section("the list of nodes".to_owned()));
        }
        for (number, (old, new)) in pairs.filter(|(_, (old, new))| !old.ptr_eq(new)) {
            if old.name() != "node_state" || new.name() != "node_state" {
                if old == new {
                    continue;
                }
                return Err(Why::Section(old.name().to_owned()));
            }
            same_attributes(old, new, &["crm-debug-origin"], "a node's state")?;
            self.node_state(number, old, new)?;
        }
        Ok(())
    }

    fn node_state(&mut self, number: usize, old: &Element, new: &Element) -> Result<(), Why> {
        for one in [old, new] {
            for known in ["lrm", "transient_attributes"] {
                if one.children_named(known).count() > 1 {
                    return Err(Why::Section(format!("two <{known}>")));
                }
            }
            if let Some(other) = one.children().find(|e| !matches!(e.name(), "lrm" | "transient_attributes"))
            {
                return Err(Why::Section(other.name().to_owned()));
            }
        }
        let (histories, attributes) = (
            |e| list_in(e, "lrm", "lrm_resources"),
            |e| list_in(e, "transient_attributes", "instance_attributes"),
        );
        let (before, after): (Option<&Element>, Option<&Element>) = (histories(old)?, histories(new)?);
        let changed = Changed::between(before, after);
        if changed.moved {
            self.histories.push(number);
        }
        for e in changed.all() {
            let id = e.id().ok_or_else(|| Why::Section("a history without an id".to_owned()))?;
            self.names.insert(plain(id).to_owned());
        }
        for e in Changed::between(attributes(old)?, attributes(new)?).all() {
            let name = e.attr("name").unwrap_or_default();
            let resource = OF_RESOURCES.iter().find_map(|prefix| name.strip_prefix(prefix));
            let Some(resource) = resource.filter(|_| e.name() == "nvpair") else {
                return Err(Why::Section(format!("node attribute {name}")));
            };
            let resource = resource.split('#').next().unwrap_or_default();
            self.names.insert(plain(resource).to_owned());
        }
        Ok(())
    }
}

/// The list in the only element of this name; none where there is none.
fn list_in<'a>(state: &'a Element, outer: &str, inner: &str) -> Result<Option<&'a Element>, Why> {
    let Some(outer) = state.child(outer) else { return Ok(None) };
    let mut lists = outer.children();
    match (lists.next(), lists.next()) {
        (None, _) => Ok(None),
        (Some(list), None) if list.name() == inner => Ok(Some(list)),
        (Some(other), _) => Err(Why::Section(other.name().to_owned())),
    }
}

fn same_attributes(old: &Element, new: &Element, but: &[&str], what: &str) -> Result<(), Why> {
    let counts = |e: &Element| {
        let mut all: Vec<(String, String)> = e
            .attrs()
            .filter(|(name, _)| !but.contains(name))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        all.sort();
        all
    };
    if old.name() == new.name() && counts(old) == counts(new) {
        Ok(())
    } else {
        Err(Why::Section(what.to_owned()))
    }
}

/// Children of both, one for one, that are not the same.
fn changed_pairs<'a>(
    old: &'a Element,
    new: &'a Element,
    what: &str,
) -> Result<Vec<(&'a Element, &'a Element)>, Why> {
    let (one, two): (Vec<_>, Vec<_>) = (old.children().collect(), new.children().collect());
    if one.len() != two.len() || one.iter().zip(&two).any(|(a, b)| a.name() != b.name()) {
        return Err(Why::Section(what.to_owned()));
    }
    Ok(one.into_iter().zip(two).filter(|(a, b)| !a.ptr_eq(b)).collect())
}

/// What one list has and the other has not, by pairs where nothing has moved.
struct Changed<'a> {
    gone: Vec<&'a Element>,
    come: Vec<&'a Element>,
    /// Places of other elements, or what stands in some place, are no longer the same.
    moved: bool,
}

impl<'a> Changed<'a> {
    fn of(old: &'a Element, new: &'a Element) -> Changed<'a> {
        let (gone, come) = old.changed_nodes(new);
        if !old.same_places(new) {
            let elements = |list: Vec<&'a Element>| list.into_iter().filter(|e| !e.is_comment()).collect();
            return Changed { gone: elements(gone), come: elements(come), moved: true };
        }
        let (gone, come): (Vec<_>, Vec<_>) = gone.into_iter().zip(come).filter(|(a, b)| a != b).unzip();
        let name = |e: &Element| (e.name().to_owned(), e.id().map(str::to_owned));
        let moved = gone.iter().zip(&come).any(|(a, b)| name(a) != name(b));
        Changed { gone, come, moved }
    }

    fn between(old: Option<&'a Element>, new: Option<&'a Element>) -> Changed<'a> {
        match (old, new) {
            (Some(old), Some(new)) if old.ptr_eq(new) => {
                Changed { gone: Vec::new(), come: Vec::new(), moved: false }
            }
            (Some(old), Some(new)) => Changed::of(old, new),
            (old, new) => {
                let all = |list: Option<&'a Element>| list.into_iter().flat_map(Element::children).collect();
                Changed { gone: all(old), come: all(new), moved: true }
            }
        }
    }

    fn all(&self) -> impl Iterator<Item = &'a Element> + '_ {
        self.gone.iter().chain(&self.come).copied().filter(|e| !e.is_comment())
    }
}
