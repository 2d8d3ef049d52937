//! Under which names the document speaks of which top-level resource.

use cib::Element;
use rustc_hash::FxHashMap;

use super::Why;
use super::difference::OF_RESOURCES;

/// Number of a top-level resource, in the order of the document.
pub(super) type Top = u32;

/// A name without the number of an instance.
pub(super) fn plain(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((stem, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => stem,
        _ => name,
    }
}

/// The resources of one document.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// Every resource's id, at whatever depth.
    of: FxHashMap<String, Top>,
    /// The resources that are made from a template.
    by_template: FxHashMap<String, Vec<Top>>,
    pub tops: Vec<TopLevel>,
    /// Places of the templates in the list of resources.
    pub templates: Vec<usize>,
}

#[derive(Debug)]
pub(super) struct TopLevel {
    /// Place in the list of resources, comments counted.
    pub place: usize,
    /// Its id and those of all below, as histories may have them.
    pub names: Vec<String>,
}

impl Names {
    pub fn of(resources: Option<&Element>) -> Result<Names, Why> {
        let mut names = Names::default();
        let Some(resources) = resources else { return Ok(names) };
        for (place, e) in resources.nodes().enumerate() {
            match e.name() {
                "template" => {
                    names.templates.push(place);
                    let id = e.id().ok_or_else(|| Why::Unclear("a template without an id".to_owned()))?;
                    names.by_template.entry(id.to_owned()).or_default();
                }
                "primitive" | "group" | "clone" | "master" => names.top_level(place, e)?,
                _ if e.is_comment() => {}
                other => return Err(Why::Unclear(format!("<{other}>"))),
            }
        }
        Ok(names)
    }

    fn top_level(&mut self, place: usize, e: &Element) -> Result<(), Why> {
        let number = Top::try_from(self.tops.len()).unwrap_or(Top::MAX);
        let mut below = vec![e];
        let mut known = Vec::new();
        while let Some(e) = below.pop() {
            let id = e.id().ok_or_else(|| Why::Unclear("a resource without an id".to_owned()))?;
            if self.of.insert(id.to_owned(), number).is_some() || plain(id) != id {
                return Err(Why::Unclear(format!("the id {id}")));
            }
            known.push(id.to_owned());
            if let Some(template) = e.attr("template") {
                self.by_template.entry(template.to_owned()).or_default().push(number);
            }
            below.extend(
                e.children().filter(|e| matches!(e.name(), "primitive" | "group" | "clone" | "master")),
            );
        }
        self.tops.push(TopLevel { place, names: known });
        Ok(())
    }

    /// Whether a top-level resource, as it is now, goes by the names it had.
    pub fn same(&self, e: &Element) -> bool {
        let known = e.id().and_then(|id| self.of.get(id)).and_then(|top| self.tops.get(*top as usize));
        let now = with_inner(e);
        known.is_some_and(|known| {
            now.iter().map(|e| e.id()).eq(known.names.iter().map(|name| Some(name.as_str())))
                && now.iter().all(|e| e.attr("template").is_none())
        })
    }

    /// The top-level resource that a name belongs to.
    pub fn top(&self, name: &str) -> Option<Top> {
        self.of.get(name).or_else(|| self.of.get(plain(name))).copied()
    }

    /// The resources that a constraint means by a name: a resource, those of a template, or those of a tag. Whether all
    /// are known.
    pub fn meant(&self, name: &str, tags: Option<&Element>, into: &mut Vec<Top>) -> bool {
        let found = |name: &str, into: &mut Vec<Top>| {
            into.extend(self.top(name));
            let made = self.by_template.get(name);
            into.extend(made.into_iter().flatten());
            self.top(name).is_some() || made.is_some()
        };
        let mut known = found(name, into);
        let tagged = tags.into_iter().flat_map(|t| t.children_named("tag")).filter(|t| t.id() == Some(name));
        for (at, reference) in tagged.flat_map(|tag| tag.children_named("obj_ref")).enumerate() {
            // What is no resource now may be one that only a history knows.
            let there = found(reference.id().unwrap_or_default(), into);
            known = there && (known || at == 0);
        }
        known
    }
}

/// A resource and all below it, itself first.
fn with_inner(e: &Element) -> Vec<&Element> {
    let mut all = vec![e];
    let mut at = 0;
    while let Some(e) = all.get(at).copied() {
        all.extend(e.children().filter(|e| matches!(e.name(), "primitive" | "group" | "clone" | "master")));
        at += 1;
    }
    all
}

/// Whether time alone can change what an element of the configuration, with what is below it, says.
///
/// # Errors
/// It says something that joins resources in another way than by constraints.
pub(super) fn has_date(e: &Element) -> Result<bool, Why> {
    let unclear = |what: &str| Err(Why::Unclear(what.to_owned()));
    let mut dated = false;
    for e in std::iter::once(e).chain(e.descendants()) {
        match e.name() {
            "nvpair" if matches!(e.attr("name"), Some("container" | "remote-node" | "remote-addr")) => {
                return unclear("a container or guest node");
            }
            "nvpair"
                if matches!(e.attr("name"), Some("provides" | "requires"))
                    && e.attr("value") == Some("unfencing") =>
            {
                return unclear("unfencing");
            }
            "date_expression" => dated = true,
            "bundle" => return unclear("a bundle"),
            "expression"
                if e.attr("attribute").is_some_and(|a| OF_RESOURCES.iter().any(|p| a.starts_with(p))) =>
            {
                return unclear("a rule on a fail count or promotion score");
            }
            _ => {}
        }
        if e.attr("id-ref").is_some() {
            return unclear("a shared element (id-ref)");
        }
    }
    Ok(dated)
}
