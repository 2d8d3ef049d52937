//! Where everything is in a document, kept from one version of it to the next.

use std::collections::BTreeSet;
use std::sync::Arc;

use cib::{Cib, Element};

use super::Why;
use super::difference::Difference;
use super::excerpt::excerpt;
use super::histories::Histories;
use super::links::{Links, resources_of};
use super::names::{Names, Top, has_date, plain};
use crate::policy::Situation;
use crate::policy::placement::turns::{Placed, Rank, Turn, Turns};
use crate::policy::plan::{Plan, plan_turns};

/// The resources, constraints and histories of one version of the document. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Map {
    names: Arc<Names>,
    links: Arc<Links>,
    histories: Vec<Arc<Histories>>,
    /// Ids of the top-level resources about which something is said that ends, or begins, with a date.
    dated: Arc<BTreeSet<String>>,
}

fn section<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    root.path(&["configuration", name])
}

impl Map {
    /// Of a whole document.
    pub fn of(root: &Element) -> Result<Map, Why> {
        let names = Names::of(section(root, "resources"))?;
        let links = Links::of(&names, section(root, "constraints"), section(root, "tags"))?;
        let states = root.child("status").into_iter().flat_map(Element::nodes);
        let histories = states.map(|state| Arc::new(Histories::of(state))).collect();
        let mut map =
            Map { names: Arc::new(names), links: Arc::new(links), histories, dated: Arc::default() };
        for section in root.child("configuration").into_iter().flat_map(Element::children) {
            match section.name() {
                "resources" | "constraints" => map.read_dates(root, section.children())?,
                _ if has_date(section)? => {
                    return Err(Why::Unclear(format!("a date in <{}>", section.name())));
                }
                _ => {}
            }
        }
        Ok(map)
    }

    /// Of the version that a change led to.
    pub fn changed(&self, root: &Element, change: &Difference) -> Result<Map, Why> {
        let mut map = self.clone();
        // As they were and as they are: one that had a template is not what it was.
        let resources = change.resources_moved || !change.resources.iter().all(|e| self.names.same(e));
        if resources {
            map.names = Arc::new(Names::of(section(root, "resources"))?);
        }
        if resources || change.constraints_changed {
            let (constraints, tags) = (section(root, "constraints"), section(root, "tags"));
            map.links = Arc::new(Links::of(&map.names, constraints, tags)?);
        }
        for &number in &change.histories {
            let state = root.child("status").and_then(|status| status.node_at(number));
            if let (Some(known), Some(state)) = (map.histories.get_mut(number), state) {
                *known = Arc::new(Histories::of(state));
            }
        }
        map.read_dates(root, change.come.iter())?;
        Ok(map)
    }

    /// Notes whom dates concern in some resources and constraints.
    fn read_dates<'a>(&mut self, root: &Element, of: impl Iterator<Item = &'a Element>) -> Result<(), Why> {
        for e in of {
            if !has_date(e)? {
                continue;
            }
            let ids = match e.name() {
                "template" => return Err(Why::Unclear("a date in a template".to_owned())),
                "primitive" | "group" | "clone" | "master" => e.id().map(str::to_owned).into_iter().collect(),
                _ => self.ends(root, e)?,
            };
            Arc::make_mut(&mut self.dated).extend(ids);
        }
        Ok(())
    }

    /// Resources that time may concern without a word.
    pub fn dated(&self) -> &BTreeSet<String> {
        &self.dated
    }

    /// Ids of the top-level resources that a constraint of this version names.
    pub fn ends(&self, root: &Element, constraint: &Element) -> Result<Vec<String>, Why> {
        let tops = resources_of(&self.names, constraint, section(root, "tags"))?;
        Ok(tops.into_iter().filter_map(|top| self.id(top)).map(str::to_owned).collect())
    }

    /// A top-level resource's own id, and those of all below.
    pub fn names(&self, top: Top) -> &[String] {
        self.names.tops.get(top as usize).map_or(&[], |top| &top.names)
    }

    /// A top-level resource's own id.
    pub fn id(&self, top: Top) -> Option<&str> {
        self.names(top).first().map(String::as_str)
    }

    pub fn top(&self, name: &str) -> Option<Top> {
        self.names.top(plain(name))
    }

    pub fn count(&self) -> usize {
        self.names.tops.len()
    }

    /// When a turn comes in this version.
    pub fn rank(&self, turn: &Turn) -> Rank {
        Rank::new(turn.orphan, turn.priority, self.top(&turn.id).unwrap_or(Top::MAX))
    }

    /// When these turns come in this version.
    pub fn ranks(&self, turns: &[Arc<Turn>]) -> Arc<[Rank]> {
        turns.iter().map(|turn| self.rank(turn)).collect()
    }

    /// Whether both versions have the same resources in the same places.
    pub fn same_places(&self, other: &Map) -> bool {
        Arc::ptr_eq(&self.names, &other.names)
    }

    /// Adds to a set of names all that constraints join with them; whether there were any.
    pub fn join(&self, ids: &mut BTreeSet<String>) -> bool {
        let before = ids.len();
        let tops: BTreeSet<Top> = ids.iter().filter_map(|id| self.top(id)).collect();
        for top in tops {
            for other in self.links.with(top) {
                if let Some(id) = self.id(*other)
                    && !ids.contains(id)
                {
                    ids.insert(id.to_owned());
                }
            }
        }
        ids.len() > before
    }

    /// The document with these resources alone; names that are no resource's are looked for in histories.
    fn excerpt(&self, root: &Element, ids: &BTreeSet<String>) -> Element {
        let tops: BTreeSet<Top> = ids.iter().filter_map(|id| self.top(id)).collect();
        let strangers = ids.iter().filter(|id| self.top(id).is_none()).cloned().collect();
        excerpt(root, &self.names, &self.links, &self.histories, &tops, &strangers)
    }

    /// The plan of these resources among the turns of all others, with the document of the part edited before.
    pub fn plan(
        &self,
        root: &Element,
        ids: &BTreeSet<String>,
        others: Vec<Placed>,
        situation: &Situation,
        edit: impl FnOnce(&mut Element),
    ) -> Result<Plan, Why> {
        let mut document = self.excerpt(root, ids);
        edit(&mut document);
        let places = ids.iter().filter_map(|id| Some((id.clone(), self.top(id)?))).collect();
        let cib = Cib::from_root(document).map_err(|_| Why::Section("the document".to_owned()))?;
        Ok(plan_turns(&cib, situation, Turns::among(others, places)))
    }
}
