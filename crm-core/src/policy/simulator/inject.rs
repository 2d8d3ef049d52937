//! Changes that `crm_simulate` makes to its input before it plans.

use std::fmt;

use cib::{Cib, Element};

use crate::policy::simulate::{self, Entry};
use crate::policy::state::operation::parse_key;

/// What is to be changed.
#[derive(Debug, Clone, Default)]
pub struct Injections {
    pub quorum: Option<String>,
    pub watchdog: Option<String>,
    pub up: Vec<String>,
    pub down: Vec<String>,
    pub fail: Vec<String>,
    pub grant: Vec<String>,
    pub revoke: Vec<String>,
    pub standby: Vec<String>,
    pub activate: Vec<String>,
    /// `RSC_TASK_INTERVAL@NODE=RC`
    pub operations: Vec<String>,
}

/// One change that was made, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Quorum(String),
    Watchdog(String),
    NodeUp(String),
    NodeDown(String),
    NodeFail(String),
    TicketGrant(String),
    TicketRevoke(String),
    TicketStandby(String),
    TicketActivate(String),
    /// The specification of an operation's result.
    Operation(String),
    /// A node attribute that follows from a result: name, value, node id.
    Attribute {
        name: String,
        value: String,
        node: String,
    },
}

/// Makes the change out of the ticket's name.
type OfTicket = fn(String) -> Change;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Quorum(value) => write!(f, "Setting quorum: {value}"),
            Change::Watchdog(value) => write!(f, "Setting watchdog: {value}"),
            Change::NodeUp(node) => write!(f, "Bringing node {node} online"),
            Change::NodeDown(node) => write!(f, "Taking node {node} offline"),
            Change::NodeFail(node) => write!(f, "Failing node {node}"),
            Change::TicketGrant(ticket) => write!(f, "Granting ticket {ticket}"),
            Change::TicketRevoke(ticket) => write!(f, "Revoking ticket {ticket}"),
            Change::TicketStandby(ticket) => write!(f, "Making ticket {ticket} standby"),
            Change::TicketActivate(ticket) => write!(f, "Activating ticket {ticket}"),
            Change::Operation(spec) => write!(f, "Injecting {spec} into the configuration"),
            Change::Attribute { name, value, node } => {
                write!(f, "Injecting attribute {name}={value} into /node_state '{node}'")
            }
        }
    }
}

impl Injections {
    /// Something but quorum is to be changed; quorum alone is not acted upon.
    pub fn any(&self) -> bool {
        self.watchdog.is_some()
            || [
                &self.up,
                &self.down,
                &self.fail,
                &self.grant,
                &self.revoke,
                &self.standby,
                &self.activate,
                &self.operations,
            ]
            .iter()
            .any(|list| !list.is_empty())
    }
}

/// Makes the changes, tells each to `say`, and returns what was wrong with them.
pub fn apply(cib: &mut Cib, injections: &Injections, now: i64, say: &mut impl FnMut(Change)) -> String {
    let mut errors = String::new();
    if let Some(quorum) = &injections.quorum {
        say(Change::Quorum(quorum.clone()));
        cib.root_mut().set_attr("have-quorum", quorum.as_str());
    }
    if let Some(watchdog) = &injections.watchdog {
        say(Change::Watchdog(watchdog.clone()));
        set_option(cib.root_mut(), "have-watchdog", watchdog);
    }
    for node in &injections.up {
        say(Change::NodeUp(node.clone()));
        let uuid = ensure_node(cib.root_mut(), node);
        membership(cib.root_mut(), node, &uuid, ["true", "online", "member", "member"]);
    }
    for node in &injections.down {
        say(Change::NodeDown(node.clone()));
        let uuid = node_id(cib.root(), node);
        membership(cib.root_mut(), node, &uuid, ["false", "offline", "down", "down"]);
        if let Some(state) = simulate::node_state(cib.root_mut(), node, Some(&uuid)) {
            state.retain_children(|child| child.name() != "lrm" && child.name() != "transient_attributes");
        }
    }
    for node in &injections.fail {
        say(Change::NodeFail(node.clone()));
        let uuid = node_id(cib.root(), node);
        membership(cib.root_mut(), node, &uuid, ["false", "online", "member", "member"]);
    }
    let kinds: [(_, OfTicket, _, _); 4] = [
        (&injections.grant, Change::TicketGrant, "granted", "true"),
        (&injections.revoke, Change::TicketRevoke, "granted", "false"),
        (&injections.standby, Change::TicketStandby, "standby", "true"),
        (&injections.activate, Change::TicketActivate, "standby", "false"),
    ];
    for (list, change, name, value) in kinds {
        for ticket in list {
            say(change(ticket.clone()));
            set_ticket(cib.root_mut(), ticket, name, value);
        }
    }
    for spec in &injections.operations {
        say(Change::Operation(spec.clone()));
        operation(cib.root_mut(), spec, now, say, &mut errors);
    }
    errors
}

pub(crate) fn membership(root: &mut Element, node: &str, uuid: &str, values: [&str; 4]) {
    let Some(state) = simulate::node_state(root, node, Some(uuid)) else { return };
    for (name, value) in ["in_ccm", "crmd", "join", "expected"].iter().zip(values) {
        state.set_attr(name, value);
    }
    state.set_attr("crm-debug-origin", "crm_simulate");
}

pub(crate) fn node_id(root: &Element, name: &str) -> String {
    let nodes = root.path(&["configuration", "nodes"]);
    let found = nodes.and_then(|nodes| {
        nodes.children_named("node").find(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(name)))
    });
    found.and_then(Element::id).unwrap_or(name).to_owned()
}

fn ensure_node(root: &mut Element, name: &str) -> String {
    let known = root.path(&["configuration", "nodes"]).is_some_and(|nodes| {
        nodes.children_named("node").any(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(name)))
    });
    if !known {
        let node = Element::new("node").with_attr("id", name).with_attr("uname", name);
        root.child_or_insert("configuration").child_or_insert("nodes").push(node);
    }
    node_id(root, name)
}

pub(crate) fn set_option(root: &mut Element, name: &str, value: &str) {
    let config = root.child_or_insert("configuration").child_or_insert("crm_config");
    let set = config.child_or_insert("cluster_property_set");
    if set.id().is_none() {
        set.set_attr("id", "cib-bootstrap-options");
    }
    let mut found = false;
    for pair in set.children_mut() {
        if pair.attr("name") == Some(name) {
            pair.set_attr("value", value);
            found = true;
        }
    }
    if !found {
        let id = format!("cib-bootstrap-options-{name}");
        set.push(
            Element::new("nvpair").with_attr("id", id).with_attr("name", name).with_attr("value", value),
        );
    }
}

pub(crate) fn set_ticket(root: &mut Element, ticket: &str, name: &str, value: &str) {
    let tickets = root.child_or_insert("status").child_or_insert("tickets");
    let mut found = false;
    for state in tickets.children_mut() {
        if state.id() == Some(ticket) {
            state.set_attr(name, value);
            found = true;
        }
    }
    if !found {
        tickets.push(Element::new("ticket_state").with_attr("id", ticket).with_attr(name, value));
    }
}

/// Finds a primitive anywhere in the resources; instance numbers count for nothing.
fn primitive<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    fn below<'a>(e: &'a Element, name: &str) -> Option<&'a Element> {
        if e.name() == "primitive" && e.id() == Some(name) {
            return Some(e);
        }
        e.children().find_map(|child| below(child, name))
    }
    let resources = root.path(&["configuration", "resources"])?;
    below(resources, name).or_else(|| {
        let (base, _) = name.rsplit_once(':')?;
        below(resources, base)
    })
}

fn operation(root: &mut Element, spec: &str, now: i64, say: &mut impl FnMut(Change), errors: &mut String) {
    let fields = spec.split_once('@').and_then(|(key, rest)| {
        let (node, rc) = rest.rsplit_once('=')?;
        Some((key, node, rc.trim().parse::<i32>().ok()?))
    });
    let Some((key, node, rc)) = fields else {
        let found = spec.split(['@', '=']).filter(|part| !part.is_empty()).count();
        errors.push_str(&format!(
            "Invalid operation spec: {spec}.  Only found {} fields\n",
            if spec.contains('@') { found } else { 0 }
        ));
        return;
    };
    let Some((resource, task, interval_ms)) = parse_key(key) else {
        errors.push_str(&format!("Invalid operation spec: {spec}.  Only found 0 fields\n"));
        return;
    };
    let Some(agent) = primitive(root, resource).cloned() else {
        errors.push_str(&format!("Invalid resource name: {resource}\n"));
        return;
    };
    let uuid = node_id(root, node);
    let entry = Entry {
        task,
        interval_ms,
        target_rc: 0,
        rc,
        exit_reason: Some("Simulated action result"),
        notify: None,
        migrate: None,
        key,
        now,
    };
    for (name, value) in simulate::failure_attributes(resource, &entry) {
        simulate::set_transient(root, node, &uuid, &name, &value);
        say(Change::Attribute { name, value, node: uuid.clone() });
    }
    let class = agent.attr("class").unwrap_or_default().to_owned();
    let provider = agent.attr("provider").map(str::to_owned);
    let kind = agent.attr("type").unwrap_or_default().to_owned();
    let names = [resource, agent.id().unwrap_or(resource)];
    simulate::record(root, (node, &uuid), &names, (&class, provider.as_deref(), &kind), &entry);
}
