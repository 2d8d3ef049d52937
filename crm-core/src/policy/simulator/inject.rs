//! Changes that `crm_simulate` makes to its input before it plans.

use std::fmt;

use cib::{Cib, Element};

use super::version::{Counter, counted};
use crate::policy::record::{Entry, Places};
use crate::policy::simulate;
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

/// Finds what runs under a name: a primitive with its class, provider and type.
pub type Find<'a> = dyn Fn(&str) -> Option<Element> + 'a;

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

/// Makes the changes, tells each to `say`, and returns what was wrong with them. The version of the document counts
/// what was changed, as it does in the reference.
pub fn apply(
    cib: &mut Cib,
    injections: &Injections,
    now: i64,
    find: &Find<'_>,
    say: &mut impl FnMut(Change),
) -> String {
    let mut errors = String::new();
    let root = cib.root_mut();
    if let Some(quorum) = &injections.quorum {
        say(Change::Quorum(quorum.clone()));
        counted(root, Counter::Status, |root| root.set_attr("have-quorum", quorum.as_str()));
    }
    if let Some(watchdog) = &injections.watchdog {
        say(Change::Watchdog(watchdog.clone()));
        counted(root, Counter::Configuration, |root| set_option(root, "have-watchdog", watchdog));
    }
    for node in &injections.up {
        say(Change::NodeUp(node.clone()));
        counted(root, Counter::Configuration, |root| ensure_node(root, node));
        let uuid = node_id(root, node);
        set_membership(root, node, &uuid, ["true", "online", "member", "member"]);
    }
    for node in &injections.down {
        say(Change::NodeDown(node.clone()));
        let uuid = node_id(root, node);
        set_membership(root, node, &uuid, ["false", "offline", "down", "down"]);
        simulate::forget(root, node, Some(&uuid));
    }
    for node in &injections.fail {
        say(Change::NodeFail(node.clone()));
        let uuid = node_id(root, node);
        set_membership(root, node, &uuid, ["false", "online", "member", "member"]);
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
            counted(root, Counter::Status, |root| set_ticket(root, ticket, name, value));
        }
    }
    for spec in &injections.operations {
        say(Change::Operation(spec.clone()));
        counted(root, Counter::Status, |root| operation(root, spec, now, find, say, &mut errors));
    }
    errors
}

/// A node's state, made first if it is missing, with these values.
fn set_membership(root: &mut Element, node: &str, uuid: &str, values: [&str; 4]) {
    counted(root, Counter::Status, |root| {
        simulate::node_state(root, node, Some(uuid));
    });
    counted(root, Counter::Status, |root| membership(root, node, uuid, values));
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

fn ensure_node(root: &mut Element, name: &str) {
    let known = root.path(&["configuration", "nodes"]).is_some_and(|nodes| {
        nodes.children_named("node").any(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(name)))
    });
    if !known {
        let node = Element::new("node").with_attr("id", name).with_attr("uname", name);
        root.child_or_insert("configuration").child_or_insert("nodes").push(node);
    }
}

/// Sets a cluster option: where it stands, or in the set that the tools use.
pub(crate) fn set_option(root: &mut Element, name: &str, value: &str) {
    const SET: &str = "cib-bootstrap-options";
    let config = root.child_or_insert("configuration").child_or_insert("crm_config");
    let mut found = false;
    for set in config.children_mut().filter(|set| set.name() == "cluster_property_set") {
        for pair in set.children_mut().filter(|pair| pair.attr("name") == Some(name)) {
            pair.set_attr("value", value);
            found = true;
        }
    }
    if found {
        return;
    }
    let pair = Element::new("nvpair").with_attr("id", format!("{SET}-{name}"));
    let pair = pair.with_attr("name", name).with_attr("value", value);
    if !config.children().any(|set| set.id() == Some(SET)) {
        config.push(Element::new("cluster_property_set").with_attr("id", SET));
    }
    if let Some(set) = config.children_mut().find(|set| set.id() == Some(SET)) {
        set.push(pair);
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

/// What a specification says: key, node and result; or how many of them could be read. What stands behind the
/// result does not count.
fn fields(spec: &str) -> Result<(&str, &str, i32), usize> {
    let (key, rest) = spec.split_once('@').unwrap_or((spec, ""));
    if key.is_empty() {
        return Err(0);
    }
    let (node, rc) = rest.split_once('=').unwrap_or((rest, ""));
    if node.is_empty() {
        return Err(1);
    }
    let rc = rc.trim_start();
    let digits = rc.strip_prefix(['-', '+']).unwrap_or(rc);
    let end = rc.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = rc.get(..end).and_then(|number| number.parse().ok());
    number.map(|rc| (key, node, rc)).ok_or(2)
}

fn operation(
    root: &mut Element,
    spec: &str,
    now: i64,
    find: &Find<'_>,
    say: &mut impl FnMut(Change),
    errors: &mut String,
) {
    let (key, node, rc) = match fields(spec) {
        Ok(fields) => fields,
        Err(found) => {
            errors.push_str(&format!("Invalid operation spec: {spec}.  Only found {found} fields\n"));
            return;
        }
    };
    let Some((resource, task, interval_ms)) = parse_key(key) else {
        errors.push_str(&format!(
            "Invalid operation spec: {spec}.  Found {key}, expected RESOURCE_TASK_INTERVALMS\n"
        ));
        return;
    };
    let Some(agent) = find(resource) else {
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
        digest: None,
        now,
    };
    for (name, value) in simulate::failure_attributes(resource, &entry) {
        simulate::set_transient(root, node, &uuid, &name, &value);
        say(Change::Attribute { name, value, node: uuid.clone() });
    }
    let class = agent.attr("class").unwrap_or_default().to_owned();
    let provider = agent.attr("provider").map(str::to_owned);
    let kind = agent.attr("type").unwrap_or_default().to_owned();
    let agent = (class.as_str(), provider.as_deref(), kind.as_str());
    Places::default().record(root, (node, &uuid), &[resource], agent, &entry);
}
