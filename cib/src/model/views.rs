//! Borrowed views of the sections. Each is a reference or two: copying is free and walking allocates nothing.

use super::values::parse_integer;
use crate::{Cib, Element};

/// The set that comes before all others, whatever their scores.
const BOOTSTRAP: &str = "cib-bootstrap-options";

/// The cluster's properties (`crm_config`).
#[derive(Clone, Copy, Debug)]
pub struct Properties<'a> {
    root: &'a Element,
    section: Option<&'a Element>,
}

impl<'a> Properties<'a> {
    pub fn of(cib: &'a Cib) -> Self {
        Self { root: cib.root(), section: cib.crm_config() }
    }

    /// The value of a property: from the set `cib-bootstrap-options`, else from the set with the greatest
    /// score, among equals from the first. A set with a rule holds at some times only; it is left out here,
    /// the policy engine judges rules. Documents of Heartbeat 2 (`attributes` wrappers, pairs without a set)
    /// are read as well.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let section = self.section?;
        let mut best: Option<((bool, i64), &'a str)> = None;
        for set in section.children_named("cluster_property_set") {
            let set = match set.attr("id-ref") {
                None => set,
                Some(id) => match self.root.find("cluster_property_set", id) {
                    Some(set) => set,
                    None => continue,
                },
            };
            if set.child("rule").is_some() {
                continue;
            }
            let Some(value) = value_in(set, name) else { continue };
            let bootstrap = set.id().is_some_and(|id| id.eq_ignore_ascii_case(BOOTSTRAP));
            let rank = (bootstrap, set.attr("score").and_then(parse_integer).unwrap_or(0));
            if best.is_none_or(|(other, _)| rank > other) {
                best = Some((rank, value));
            }
        }
        best.map(|(_, value)| value).or_else(|| value_in(section, name))
    }
}

/// The value of the first pair of that name directly below, or in an `attributes` wrapper.
fn value_in<'a>(set: &'a Element, name: &str) -> Option<&'a str> {
    let wrapped = set.children_named("attributes").flat_map(Element::children);
    let mut pairs = set.children().chain(wrapped).filter(|pair| pair.name() == "nvpair");
    pairs.find(|pair| pair.attr("name") == Some(name)).and_then(|pair| pair.attr("value"))
}

/// The configured nodes.
#[derive(Clone, Copy, Debug)]
pub struct Nodes<'a>(Option<&'a Element>);

/// One `node`.
#[derive(Clone, Copy, Debug)]
pub struct Node<'a>(pub &'a Element);

impl<'a> Nodes<'a> {
    pub fn of(cib: &'a Cib) -> Self {
        Self(cib.nodes())
    }

    /// In document order.
    pub fn iter(&self) -> impl Iterator<Item = Node<'a>> + use<'a> {
        self.0.into_iter().flat_map(|section| section.children_named("node")).map(Node)
    }

    /// The node of that name (any case) or id.
    pub fn find(&self, name: &str) -> Option<Node<'a>> {
        self.iter().find(|node| node.name().eq_ignore_ascii_case(name) || node.id() == name)
    }
}

impl<'a> Node<'a> {
    pub fn id(&self) -> &'a str {
        self.0.id().unwrap_or_default()
    }

    /// `uname`.
    pub fn name(&self) -> &'a str {
        self.0.attr("uname").unwrap_or_default()
    }

    /// Whether it is a remote node, not a member of the cluster.
    pub fn is_remote(&self) -> bool {
        self.0.attr("type") == Some("remote")
    }

    /// The value of a permanent attribute; sets with a rule are left out.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let sets = self.0.children_named("instance_attributes");
        sets.filter(|set| set.child("rule").is_none()).find_map(|set| value_in(set, name))
    }
}

/// What a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceKind {
    Primitive,
    Group,
    Clone,
    /// `master`, and `master_slave` of Heartbeat 2; a clone with the meta attribute is a [`Self::Clone`].
    Promotable,
    Bundle,
}

/// The configured resources; templates are none.
#[derive(Clone, Copy, Debug)]
pub struct Resources<'a>(Option<&'a Element>);

/// One resource.
#[derive(Clone, Copy, Debug)]
pub struct Resource<'a> {
    pub element: &'a Element,
    pub kind: ResourceKind,
}

fn resources_in<'a>(parent: &'a Element) -> impl Iterator<Item = Resource<'a>> + use<'a> {
    parent.children().filter_map(Resource::of)
}

impl<'a> Resources<'a> {
    pub fn of(cib: &'a Cib) -> Self {
        Self(cib.resources())
    }

    /// Those at the top, in document order.
    pub fn iter(&self) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        self.0.into_iter().flat_map(resources_in)
    }

    /// All of them, each before its members. A clone holds a group, and that primitives: nothing is deeper.
    pub fn walk(&self) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        let below = |resource: Resource<'a>| {
            std::iter::once(resource)
                .chain(resource.members().flat_map(|member| std::iter::once(member).chain(member.members())))
        };
        self.iter().flat_map(below)
    }

    pub fn find(&self, id: &str) -> Option<Resource<'a>> {
        self.walk().find(|resource| resource.id() == id)
    }
}

impl<'a> Resource<'a> {
    /// The element as a resource, if it is one.
    pub fn of(element: &'a Element) -> Option<Self> {
        let kind = match element.name() {
            "primitive" => ResourceKind::Primitive,
            "group" => ResourceKind::Group,
            "clone" => ResourceKind::Clone,
            "master" | "master_slave" => ResourceKind::Promotable,
            "bundle" => ResourceKind::Bundle,
            _ => return None,
        };
        Some(Self { element, kind })
    }

    pub fn id(&self) -> &'a str {
        self.element.id().unwrap_or_default()
    }

    /// The resources directly inside.
    pub fn members(&self) -> impl Iterator<Item = Resource<'a>> + use<'a> {
        resources_in(self.element)
    }

    /// The value of a meta attribute of its own; sets with a rule are left out.
    pub fn meta(&self, name: &str) -> Option<&'a str> {
        let sets = self.element.children_named("meta_attributes");
        sets.filter(|set| set.child("rule").is_none()).find_map(|set| value_in(set, name))
    }
}

/// What a constraint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintKind {
    Location,
    Colocation,
    Order,
    Ticket,
}

/// The configured constraints.
#[derive(Clone, Copy, Debug)]
pub struct Constraints<'a>(Option<&'a Element>);

/// One constraint.
#[derive(Clone, Copy, Debug)]
pub struct Constraint<'a> {
    pub element: &'a Element,
    pub kind: ConstraintKind,
}

impl<'a> Constraints<'a> {
    pub fn of(cib: &'a Cib) -> Self {
        Self(cib.constraints())
    }

    /// In document order.
    pub fn iter(&self) -> impl Iterator<Item = Constraint<'a>> + use<'a> {
        self.0.into_iter().flat_map(Element::children).filter_map(|element| {
            let kind = match element.name() {
                "rsc_location" => ConstraintKind::Location,
                "rsc_colocation" => ConstraintKind::Colocation,
                "rsc_order" => ConstraintKind::Order,
                "rsc_ticket" => ConstraintKind::Ticket,
                _ => return None,
            };
            Some(Constraint { element, kind })
        })
    }

    /// Those that name the resource.
    pub fn naming(&self, resource: &str) -> impl Iterator<Item = Constraint<'a>> {
        self.iter().filter(move |constraint| constraint.names(resource))
    }
}

impl Constraint<'_> {
    /// Whether it names the resource by its id, itself or in a set. A pattern names nobody.
    pub fn names(&self, resource: &str) -> bool {
        let attributes = ["rsc", "with-rsc", "first", "then", "from", "to"];
        attributes.iter().any(|name| self.element.attr(name) == Some(resource))
            || self.element.children_named("resource_set").any(|set| {
                set.children_named("resource_ref").any(|reference| reference.id() == Some(resource))
            })
    }
}

/// The status section.
#[derive(Clone, Copy, Debug)]
pub struct StatusView<'a>(Option<&'a Element>);

/// One `node_state`.
#[derive(Clone, Copy, Debug)]
pub struct NodeState<'a>(pub &'a Element);

/// One `lrm_rsc_op`, with the id of the resource whose history it stands in.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'a> {
    pub resource: &'a str,
    pub element: &'a Element,
}

impl<'a> StatusView<'a> {
    pub fn of(cib: &'a Cib) -> Self {
        Self(cib.status())
    }

    /// In document order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeState<'a>> + use<'a> {
        self.0.into_iter().flat_map(|section| section.children_named("node_state")).map(NodeState)
    }

    /// The state of the node with this name (any case) or id.
    pub fn node(&self, name: &str) -> Option<NodeState<'a>> {
        self.nodes().find(|node| node.name().eq_ignore_ascii_case(name) || node.id() == name)
    }
}

impl<'a> NodeState<'a> {
    pub fn id(&self) -> &'a str {
        self.0.id().unwrap_or_default()
    }

    /// `uname`.
    pub fn name(&self) -> &'a str {
        self.0.attr("uname").unwrap_or_default()
    }

    /// The history of all its resources, in document order.
    pub fn operations(&self) -> impl Iterator<Item = Operation<'a>> + use<'a> {
        let resources = self.0.path(&["lrm", "lrm_resources"]);
        resources.into_iter().flat_map(|all| all.children_named("lrm_resource")).flat_map(|resource| {
            let id = resource.id().unwrap_or_default();
            let operations = resource.children_named("lrm_rsc_op");
            operations.map(move |element| Operation { resource: id, element })
        })
    }

    /// The value of an attribute that lasts until the node restarts.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        let holder = self.0.child("transient_attributes")?;
        holder.children_named("instance_attributes").find_map(|set| value_in(set, name))
    }
}

impl<'a> Operation<'a> {
    /// What was done: `monitor`, `start`…
    pub fn name(&self) -> &'a str {
        self.element.attr("operation").unwrap_or_default()
    }

    /// The agent's result, an OCF code.
    pub fn rc(&self) -> Option<i32> {
        self.element.attr("rc-code")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TEXT: &str = r#"<cib><configuration>
      <crm_config>
        <cluster_property_set id="low"><nvpair id="a" name="x" value="low"/><nvpair id="b" name="y" value="y"/></cluster_property_set>
        <cluster_property_set id="ruled" score="INFINITY"><rule id="r"/><nvpair id="c" name="x" value="ruled"/></cluster_property_set>
        <cluster_property_set id="high" score="9"><attributes><nvpair id="d" name="x" value="high"/><nvpair id="e" name="z" value="z9"/></attributes></cluster_property_set>
        <cluster_property_set id="CIB-bootstrap-options" score="-1"><nvpair id="f" name="x" value="first"/></cluster_property_set>
        <nvpair id="g" name="bare" value="old"/>
      </crm_config>
      <nodes><node id="u1" uname="One"><instance_attributes id="i"><nvpair id="n" name="standby" value="on"/></instance_attributes></node>
        <node id="u2" uname="two" type="remote"/></nodes>
      <resources><template id="t"/><primitive id="p"><meta_attributes id="m"><nvpair id="mp" name="priority" value="5"/></meta_attributes></primitive>
        <clone id="c1"><group id="g1"><primitive id="p1"/><primitive id="p2"/></group></clone>
        <bundle id="b1"><primitive id="p3"/></bundle><master id="m1"><primitive id="p4"/></master></resources>
      <constraints><rsc_location id="l1" rsc="p"/><rsc_order id="o1"><resource_set id="s"><resource_ref id="p"/></resource_set></rsc_order>
        <rsc_colocation id="k1" rsc="c1" with-rsc="b1"/><rsc_ticket id="t1" rsc="m1"/></constraints></configuration>
      <status><node_state id="u1" uname="One"><transient_attributes id="u1"><instance_attributes id="ti"><nvpair id="tn" name="ping" value="100"/></instance_attributes></transient_attributes>
        <lrm id="u1"><lrm_resources><lrm_resource id="p"><lrm_rsc_op id="p_last_0" operation="start" rc-code="0"/><lrm_rsc_op id="p_m" operation="monitor" rc-code="7"/></lrm_resource></lrm_resources></lrm></node_state></status></cib>"#;

    #[test]
    fn properties_come_from_the_set_that_ranks_first() {
        let cib = Cib::parse(TEXT).unwrap();
        let properties = Properties::of(&cib);
        let got = ["x", "y", "z", "bare", "none"].map(|name| properties.get(name));
        assert_eq!(got, [Some("first"), Some("y"), Some("z9"), Some("old"), None]);
    }

    #[test]
    fn nodes_and_status_are_found_by_name_and_id() {
        let cib = Cib::parse(TEXT).unwrap();
        let nodes = Nodes::of(&cib);
        assert_eq!(nodes.find("ONE").unwrap().id(), "u1");
        assert_eq!(nodes.find("One").unwrap().attribute("standby"), Some("on"));
        assert!(nodes.find("u2").unwrap().is_remote() && nodes.find("three").is_none());
        let state = StatusView::of(&cib).node("u1").unwrap();
        assert_eq!(state.attribute("ping"), Some("100"));
        let operations: Vec<_> = state.operations().map(|op| (op.resource, op.name(), op.rc())).collect();
        assert_eq!(operations, [("p", "start", Some(0)), ("p", "monitor", Some(7))]);
    }

    #[test]
    fn resources_are_walked_in_document_order() {
        let cib = Cib::parse(TEXT).unwrap();
        let resources = Resources::of(&cib);
        let all: Vec<_> = resources.walk().map(|resource| resource.id()).collect();
        assert_eq!(all, ["p", "c1", "g1", "p1", "p2", "b1", "p3", "m1", "p4"]);
        assert_eq!(resources.find("m1").unwrap().kind, ResourceKind::Promotable);
        assert_eq!(resources.find("p").unwrap().meta("priority"), Some("5"));
        assert!(resources.find("t").is_none());
    }

    #[test]
    fn constraints_are_found_by_the_resource_they_name() {
        let cib = Cib::parse(TEXT).unwrap();
        let constraints = Constraints::of(&cib);
        let of = |id| constraints.naming(id).map(|constraint| constraint.kind).collect::<Vec<_>>();
        assert_eq!(of("p"), [ConstraintKind::Location, ConstraintKind::Order]);
        assert_eq!((of("b1"), of("m1")), (vec![ConstraintKind::Colocation], vec![ConstraintKind::Ticket]));
        assert!(of("nobody").is_empty());
        assert_eq!(Constraints::of(&Cib::parse("<cib/>").unwrap()).iter().count(), 0);
    }
}
