//! Finding, setting and deleting one attribute somewhere in the CIB: what `crm_attribute` and its
//! relatives do.

use cib::model::Nodes;
use cib::{Cib, Element, Operation, Request};

/// Where an attribute lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// Cluster options.
    CrmConfig,
    RscDefaults,
    OpDefaults,
    /// A node's own, kept for ever; the node's id.
    Node {
        id: String,
        utilization: bool,
    },
    /// A node's own, until it restarts.
    Status {
        id: String,
    },
    /// A ticket.
    Ticket {
        id: String,
    },
}

impl Scope {
    /// The word in `scope=…` of the output.
    pub fn word(&self) -> &'static str {
        match self {
            Scope::CrmConfig => "crm_config",
            Scope::RscDefaults => "rsc_defaults",
            Scope::OpDefaults => "op_defaults",
            Scope::Node { .. } => "nodes",
            Scope::Status { .. } => "status",
            Scope::Ticket { .. } => "tickets",
        }
    }

    /// Id of the set that a new attribute goes into ("Pacemaker 2.1.5 behaviour").
    fn default_set(&self) -> String {
        match self {
            Scope::CrmConfig => "cib-bootstrap-options".into(),
            Scope::RscDefaults => "rsc_defaults-options".into(),
            Scope::OpDefaults => "op_defaults-options".into(),
            Scope::Node { id, utilization: false } => format!("nodes-{id}"),
            Scope::Node { id, utilization: true } => format!("nodes-{id}-utilization"),
            Scope::Status { id } => format!("status-{id}"),
            Scope::Ticket { id } => id.clone(),
        }
    }

    fn set_name(&self) -> &'static str {
        match self {
            Scope::CrmConfig => "cluster_property_set",
            Scope::RscDefaults | Scope::OpDefaults => "meta_attributes",
            Scope::Node { utilization: true, .. } => "utilization",
            _ => "instance_attributes",
        }
    }

    fn section(&self) -> &'static str {
        match self {
            Scope::CrmConfig => "crm_config",
            Scope::RscDefaults => "rsc_defaults",
            Scope::OpDefaults => "op_defaults",
            Scope::Node { .. } => "nodes",
            Scope::Status { .. } | Scope::Ticket { .. } => "status",
        }
    }

    /// The element that holds the sets, where it exists.
    fn holder<'a>(&self, cib: &'a Cib) -> Option<&'a Element> {
        let configuration = cib.root().child("configuration")?;
        match self {
            Scope::CrmConfig => configuration.child("crm_config"),
            Scope::RscDefaults => configuration.child("rsc_defaults"),
            Scope::OpDefaults => configuration.child("op_defaults"),
            Scope::Node { id, .. } => configuration.child("nodes")?.find("node", id),
            Scope::Status { id } => {
                cib.root().child("status")?.find("node_state", id)?.child("transient_attributes")
            }
            Scope::Ticket { id } => cib.root().path(&["status", "tickets"])?.find("ticket_state", id),
        }
    }
}

/// What to look for.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    pub name: Option<String>,
    /// Id of the nvpair.
    pub id: Option<String>,
    /// Id of the set.
    pub set: Option<String>,
}

/// One attribute that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub id: String,
    pub name: String,
    pub value: String,
    pub set: String,
}

/// The attributes that fit, in document order.
pub fn find(cib: &Cib, scope: &Scope, selection: &Selection) -> Vec<Found> {
    let Some(holder) = scope.holder(cib) else { return Vec::new() };
    let sets = holder.children().filter(|set| set.name() == scope.set_name());
    let sets = sets.filter(|set| selection.set.as_deref().is_none_or(|wanted| set.id() == Some(wanted)));
    let mut found = Vec::new();
    for set in sets {
        // Documents of the older dialect wrap the pairs.
        let pairs = set.children().flat_map(|child| {
            let wrapped = child.name() == "attributes";
            let inner = wrapped.then(|| child.children()).into_iter().flatten();
            inner.chain((!wrapped).then_some(child))
        });
        for pair in pairs.filter(|pair| pair.name() == "nvpair") {
            let name_fits = selection.name.as_deref().is_none_or(|name| pair.attr("name") == Some(name));
            let id_fits = selection.id.as_deref().is_none_or(|id| pair.id() == Some(id));
            if name_fits && id_fits {
                let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
                found.push(Found {
                    id: text(pair.id()),
                    name: text(pair.attr("name")),
                    value: text(pair.attr("value")),
                    set: text(set.id()),
                });
            }
        }
    }
    found
}

/// The request that sets an attribute: the one found, or a new one under the ids that the reference
/// gives (`SET-NAME` in the default set of the scope).
pub fn set(scope: &Scope, selection: &Selection, existing: Option<&Found>, value: &str) -> Request {
    let name =
        selection.name.clone().or_else(|| existing.map(|found| found.name.clone())).unwrap_or_default();
    let set = existing.map(|found| found.set.clone()).or_else(|| selection.set.clone());
    let set = set.unwrap_or_else(|| scope.default_set());
    let id = existing.map(|found| found.id.clone()).or_else(|| selection.id.clone());
    let id = id.unwrap_or_else(|| sane_id(&format!("{set}-{name}")));
    let pair = Element::new("nvpair").with_attr("id", id).with_attr("name", name).with_attr("value", value);
    let sets = Element::new(scope.set_name()).with_attr("id", set).with_child(pair);
    Request::new(Operation::Modify).section(scope.section()).input(wrap(scope, sets)).allow_create()
}

/// The request that deletes the attribute found.
pub fn delete(scope: &Scope, found: &Found) -> Request {
    let pair =
        Element::new("nvpair").with_attr("id", found.id.as_str()).with_attr("name", found.name.as_str());
    Request::new(Operation::Delete).section(scope.section()).input(pair)
}

fn wrap(scope: &Scope, set: Element) -> Element {
    match scope {
        Scope::CrmConfig | Scope::RscDefaults | Scope::OpDefaults => {
            Element::new(scope.section()).with_child(set)
        }
        Scope::Node { id, .. } => Element::new("node").with_attr("id", id.as_str()).with_child(set),
        Scope::Status { id } => {
            let attributes =
                Element::new("transient_attributes").with_attr("id", id.as_str()).with_child(set);
            Element::new("node_state").with_attr("id", id.as_str()).with_child(attributes)
        }
        Scope::Ticket { id } => Element::new("tickets")
            .with_child(Element::new("ticket_state").with_attr("id", id.as_str()).with_child(set)),
    }
}

/// An id in which what an XML id cannot hold is replaced.
pub fn sane_id(text: &str) -> String {
    text.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '.' }).collect()
}

/// The id of a node by its name (or by the id itself).
pub fn node_id(cib: &Cib, name: &str) -> Option<String> {
    Nodes::of(cib).find(name).map(|node| node.id().to_owned()).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"<cib validate-with="pacemaker-3.9" admin_epoch="0" epoch="1" num_updates="0">
        <configuration><crm_config/><nodes><node id="u1" uname="hatest3"/></nodes><resources/><constraints/>
        </configuration><status/></cib>"#;

    #[test]
    fn a_new_attribute_gets_the_ids_of_the_reference() {
        let cib = Cib::parse(TEXT).unwrap();
        let scope = Scope::Node { id: node_id(&cib, "HATEST3").unwrap(), utilization: false };
        let selection = Selection { name: Some("standby".into()), ..Selection::default() };
        let after = cib::apply(&cib, &set(&scope, &selection, None, "on")).unwrap().cib;
        let found = find(&after, &scope, &selection);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].id.as_str(), found[0].set.as_str()), ("nodes-u1-standby", "nodes-u1"));
        let gone = cib::apply(&after, &delete(&scope, &found[0])).unwrap().cib;
        assert!(find(&gone, &scope, &selection).is_empty());
    }

    #[test]
    fn an_existing_option_is_changed_in_place() {
        let cib = Cib::parse(TEXT).unwrap();
        let selection = Selection { name: Some("stonith-enabled".into()), ..Selection::default() };
        let once = cib::apply(&cib, &set(&Scope::CrmConfig, &selection, None, "false")).unwrap().cib;
        let found = find(&once, &Scope::CrmConfig, &selection);
        let twice =
            cib::apply(&once, &set(&Scope::CrmConfig, &selection, found.first(), "true")).unwrap().cib;
        let found = find(&twice, &Scope::CrmConfig, &selection);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value, "true");
        assert_eq!(found[0].id, "cib-bootstrap-options-stonith-enabled");
    }
}
