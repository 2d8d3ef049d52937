//! What this node has done with each resource: kept in memory, written to the status section as
//! `lrm_rsc_op` entries, and announced as a whole when a view asks for it.
//!
//! Source: specification `agents.md` §5.9, `scheduler-1-state.md` §9.6.

use std::collections::BTreeMap;

use cib::Element;
use indexmap::IndexMap;
use lrm::{AgentRef, OpRequest, OpResult, OpStatus, rc};

use super::agents::AgentFacts;
use crate::transition::{Key, Magic};

/// The operation history of one node.
#[derive(Debug, Clone, Default)]
pub struct History {
    resources: IndexMap<String, Resource>,
    /// Counts activations, so that everything can be stopped in the opposite order.
    activations: u64,
}

#[derive(Debug, Clone)]
struct Resource {
    agent: AgentRef,
    container: Option<String>,
    last: Option<Element>,
    failed: Option<Element>,
    migrations: BTreeMap<String, Element>,
    /// Newest first.
    recurring: Vec<Element>,
    /// Set while the resource may be active here, with the number of its activation.
    active: Option<u64>,
    /// What `last` and `active` were before the operation that has begun.
    before: Option<(Option<Element>, Option<u64>)>,
    /// Instance parameters and meta values of the last operation that made or found it active.
    params: BTreeMap<String, String>,
}

/// What a result means for the status section.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// The `lrm_resource` with the entries to write, if any.
    pub update: Option<Element>,
    /// Ids of entries to delete.
    pub removed: Vec<String>,
    /// Whether this result counts as a failure of the resource.
    pub failed: bool,
}

impl Recorded {
    const NOTHING: Self = Self { update: None, removed: Vec::new(), failed: false };
}

/// A resource that may be active here.
#[derive(Debug, Clone, PartialEq)]
pub struct Active {
    pub id: String,
    pub agent: AgentRef,
    /// What the operation that started it was given, `CRM_meta_…` included.
    pub params: BTreeMap<String, String>,
}

impl History {
    /// The entry that says that an operation has begun. `None` for operations that are not recorded.
    pub fn pending(&mut self, node: &str, request: &OpRequest, now_s: i64) -> Option<Element> {
        if !is_recorded(&request.action) {
            return None;
        }
        let key: Key = request.key.parse().ok()?;
        let magic = Magic { status: OpStatus::Pending.code(), rc: rc::PENDING, key };
        let entry = Entry {
            id: self.id_of(&request.rsc, &request.action, request.interval_ms),
            operation_key: request.operation_key(),
            operation: request.action.clone(),
            magic,
            reason: String::new(),
            node,
            call: -1,
            interval_ms: request.interval_ms,
            changed_s: now_s,
            exec_ms: 0,
            queue_ms: 0,
            params: &request.params,
        };
        let op = entry.element();
        let resource = self.resource(&request.rsc, &request.agent);
        resource.before = Some((resource.last.clone(), resource.active));
        if matches!(request.action.as_str(), "start" | "promote" | "migrate_from")
            && resource.active.is_none()
        {
            // From here on it may be active, whatever becomes of the operation.
            self.activations += 1;
            let number = self.activations;
            let resource = self.resource(&request.rsc, &request.agent);
            resource.active = Some(number);
            resource.params = request.params.clone();
        }
        let resource = self.resource(&request.rsc, &request.agent);
        if request.interval_ms == 0 && !matches!(request.action.as_str(), "migrate_to" | "migrate_from") {
            resource.last = Some(op.clone());
        }
        Some(resource.shell(&request.rsc).with_child(op))
    }

    /// Takes back that an operation has begun: it has not.
    pub fn withdraw(&mut self, rsc: &str) -> Recorded {
        let Some(resource) = self.resources.get_mut(rsc) else { return Recorded::NOTHING };
        let Some((last, active)) = resource.before.take() else { return Recorded::NOTHING };
        resource.active = active;
        resource.last = last;
        match &resource.last {
            Some(last) => {
                Recorded { update: Some(resource.shell(rsc).with_child(last.clone())), ..Recorded::NOTHING }
            }
            None => Recorded { removed: vec![format!("{rsc}_last_0")], ..Recorded::NOTHING },
        }
    }

    /// Takes the result of an operation.
    /// `facts`: what the agent says of itself, where that is known.
    pub fn record(&mut self, node: &str, result: &OpResult, facts: Option<&AgentFacts>) -> Recorded {
        if result.status == OpStatus::Cancelled {
            let id = self.id_of(&result.rsc, &result.action, result.interval_ms);
            if let Some(resource) = self.resources.get_mut(&result.rsc) {
                resource.recurring.retain(|op| op.id() != Some(id.as_str()));
            }
            let removed = if result.interval_ms > 0 { vec![id] } else { Vec::new() };
            return Recorded { removed, ..Recorded::NOTHING };
        }
        if !is_recorded(&result.action) {
            return Recorded::NOTHING;
        }
        let key: Key =
            result.key.parse().unwrap_or_else(|_| Key::unplanned(call_number(result), result.expected_rc));
        let failed = is_failure(result.status, result.rc, key.expected);
        let operation = match result.action.as_str() {
            "reload" | "reload-agent" if !failed => "start".to_owned(),
            "reload" | "reload-agent" => "monitor".to_owned(),
            other => other.to_owned(),
        };
        let base = Entry {
            id: String::new(),
            operation_key: result.operation_key(),
            operation: operation.clone(),
            magic: Magic { status: result.status.code(), rc: result.rc, key },
            reason: result.reason.clone(),
            node,
            call: call_number(result),
            interval_ms: result.interval_ms,
            changed_s: if result.interval_ms > 0 { result.changed_wall_s } else { result.started_wall_s },
            exec_ms: result.exec_ms,
            queue_ms: result.queue_ms,
            params: &result.params,
        };
        let main_id = self.id_of(&result.rsc, &operation, result.interval_ms);
        let mut ids = Vec::new();
        if failed && !matches!(operation.as_str(), "migrate_to" | "migrate_from") {
            ids.push(format!("{}_last_failure_0", result.rsc));
            if result.interval_ms == 0 {
                ids.push(main_id);
            }
        } else {
            ids.push(main_id);
        }
        let further = facts.filter(|_| result.interval_ms == 0 && operation != "stop");
        let make = |id| match further {
            Some(facts) => facts.add_digests(Entry { id, ..base.clone() }.element(), &result.params),
            None => Entry { id, ..base.clone() }.element(),
        };
        let ops: Vec<Element> = ids.into_iter().map(make).collect();

        let activation = self.activations + 1;
        let resource = self.resource(&result.rsc, &result.agent);
        resource.before = None;
        for op in &ops {
            resource.keep(&operation, result.interval_ms, op);
        }
        if result.interval_ms == 0 && operation != "monitor" {
            resource.recurring.clear();
        }
        let mut used_number = false;
        match activity(&operation, result.status, result.rc) {
            Some(true) => {
                if resource.active.is_none() {
                    resource.active = Some(activation);
                    used_number = true;
                }
                if result.interval_ms == 0 {
                    resource.params = result.params.clone();
                }
            }
            Some(false) => resource.active = None,
            None => {}
        }
        let mut update = resource.shell(&result.rsc);
        for op in ops {
            update.push(op);
        }
        if used_number {
            self.activations = activation;
        }
        Recorded { update: Some(update), removed: Vec::new(), failed }
    }

    /// Forgets a resource (`None`: its failures only are not enough, everything goes). Returns whether
    /// it was known.
    pub fn forget(&mut self, rsc: &str) -> bool {
        self.resources.shift_remove(rsc).is_some()
    }

    /// Everything, as it is announced: the `lrm` element of a `node_state`.
    pub fn element(&self, node_id: &str) -> Element {
        let mut list = Element::new("lrm_resources");
        for (id, resource) in &self.resources {
            let mut element = resource.shell(id);
            let ops = resource
                .failed
                .iter()
                .chain(&resource.last)
                .chain(resource.migrations.values())
                .chain(&resource.recurring);
            let mut some = false;
            for op in ops {
                element.push(op.clone());
                some = true;
            }
            if some {
                list.push(element);
            }
        }
        Element::new("lrm").with_attr("id", node_id).with_child(list)
    }

    /// What may be active here, the last started first.
    pub fn active(&self) -> Vec<Active> {
        let mut found: Vec<(u64, Active)> = self
            .resources
            .iter()
            .filter_map(|(id, r)| {
                r.active.map(|number| {
                    let active = Active { id: id.clone(), agent: r.agent.clone(), params: r.params.clone() };
                    (number, active)
                })
            })
            .collect();
        found.sort_by_key(|(number, _)| std::cmp::Reverse(*number));
        found.into_iter().map(|(_, active)| active).collect()
    }

    /// The agent of a resource this node knows.
    pub fn agent(&self, rsc: &str) -> Option<&AgentRef> {
        self.resources.get(rsc).map(|r| &r.agent)
    }

    /// Names of all resources with a history here.
    pub fn known(&self) -> impl Iterator<Item = &str> {
        self.resources.keys().map(String::as_str)
    }

    fn resource(&mut self, rsc: &str, agent: &AgentRef) -> &mut Resource {
        let entry = self.resources.entry(rsc.to_owned()).or_insert_with(|| Resource::new(agent));
        if entry.agent != *agent {
            *entry = Resource {
                active: entry.active,
                params: std::mem::take(&mut entry.params),
                ..Resource::new(agent)
            };
        }
        entry
    }

    fn id_of(&self, rsc: &str, operation: &str, interval_ms: u64) -> String {
        match operation {
            "migrate_to" | "migrate_from" => format!("{rsc}_{operation}_0"),
            _ if interval_ms > 0 => format!("{rsc}_{operation}_{interval_ms}"),
            _ => format!("{rsc}_last_0"),
        }
    }
}

impl Resource {
    fn new(agent: &AgentRef) -> Self {
        Self {
            agent: agent.clone(),
            container: None,
            last: None,
            failed: None,
            migrations: BTreeMap::new(),
            recurring: Vec::new(),
            active: None,
            before: None,
            params: BTreeMap::new(),
        }
    }

    /// The `lrm_resource` element without entries.
    fn shell(&self, id: &str) -> Element {
        let mut element =
            Element::new("lrm_resource").with_attr("id", id).with_attr("class", self.agent.class().as_str());
        if let Some(provider) = self.agent.provider() {
            element.set_attr("provider", provider);
        }
        element.set_attr("type", self.agent.kind());
        if let Some(container) = &self.container {
            element.set_attr("container", container.as_str());
        }
        element
    }

    fn keep(&mut self, operation: &str, interval_ms: u64, op: &Element) {
        let id = op.id().unwrap_or_default();
        if id.ends_with("_last_failure_0") {
            self.failed = Some(op.clone());
        } else if matches!(operation, "migrate_to" | "migrate_from") {
            self.migrations.insert(id.to_owned(), op.clone());
        } else if interval_ms > 0 {
            self.recurring.retain(|old| old.id() != op.id());
            self.recurring.insert(0, op.clone());
        } else {
            self.last = Some(op.clone());
        }
    }
}

#[derive(Clone)]
struct Entry<'a> {
    id: String,
    operation_key: String,
    operation: String,
    magic: Magic,
    reason: String,
    node: &'a str,
    call: i64,
    interval_ms: u64,
    changed_s: i64,
    exec_ms: u64,
    queue_ms: u64,
    params: &'a BTreeMap<String, String>,
}

impl Entry<'_> {
    fn element(self) -> Element {
        let mut op = Element::new("lrm_rsc_op")
            .with_attr("id", self.id)
            .with_attr("operation_key", self.operation_key)
            .with_attr("operation", self.operation)
            .with_attr("crm-debug-origin", "controller")
            .with_attr("crm_feature_set", cib::FEATURE_SET)
            .with_attr("transition-key", self.magic.key.to_string())
            .with_attr("transition-magic", self.magic.to_string())
            .with_attr("exit-reason", self.reason)
            .with_attr("on_node", self.node)
            .with_attr("call-id", self.call.to_string())
            .with_attr("rc-code", self.magic.rc.to_string())
            .with_attr("op-status", self.magic.status.to_string())
            .with_attr("interval", self.interval_ms.to_string())
            .with_attr("last-rc-change", self.changed_s.to_string())
            .with_attr("exec-time", self.exec_ms.to_string())
            .with_attr("queue-time", self.queue_ms.to_string());
        for name in ["migrate_source", "migrate_target"] {
            if let Some(value) = self.params.get(&format!("CRM_meta_{name}")) {
                op.set_attr(name, value.as_str());
            }
        }
        op.with_attr("op-digest", digest(self.params, self.interval_ms))
    }
}

/// The digest of the parameters of an operation: all but what the cluster itself adds; the time-out of
/// a recurring operation counts as a parameter (specification `scheduler-1-state.md` §9.2).
pub fn digest(params: &BTreeMap<String, String>, interval_ms: u64) -> String {
    digest_of(params, interval_ms, |_| true)
}

/// As [`digest`], over some of the parameters.
pub(super) fn digest_of(
    params: &BTreeMap<String, String>,
    interval_ms: u64,
    kept: impl Fn(&str) -> bool,
) -> String {
    const NOT_PARAMETERS: [&str; 6] =
        ["id", "crm_feature_set", "op-digest", "on_node", "on_node_uuid", "pcmk_external_ip"];
    let mut element = Element::new("parameters");
    for (name, value) in params {
        let counts = if name.starts_with("CRM_meta_") {
            interval_ms > 0 && name == "CRM_meta_timeout"
        } else {
            !NOT_PARAMETERS.contains(&name.as_str())
        };
        if counts && kept(name) {
            element.set_attr(name, value.as_str());
        }
    }
    cib::digest::parameters(&element)
}

/// Whether an operation leaves a trace in the history at all (specification `agents.md` §5.9.3).
pub fn is_recorded(operation: &str) -> bool {
    !matches!(operation, "cancel" | "delete" | "meta-data" | "notify" | "validate-all")
}

/// Whether a result is a failure, given what was expected (−1: not known).
pub fn is_failure(status: OpStatus, rc: i32, expected: i32) -> bool {
    match status {
        OpStatus::Pending | OpStatus::Cancelled => false,
        OpStatus::Timeout
        | OpStatus::NotSupported
        | OpStatus::Error
        | OpStatus::NotConnected
        | OpStatus::NoFenceDevice
        | OpStatus::NoSecrets
        | OpStatus::Invalid => true,
        OpStatus::Done | OpStatus::ErrorHard | OpStatus::ErrorFatal | OpStatus::NotInstalled => {
            expected >= 0 && rc != expected
        }
    }
}

/// What a result says about the resource being active: `None` says nothing.
fn activity(operation: &str, status: OpStatus, code: i32) -> Option<bool> {
    if status == OpStatus::NotInstalled {
        return Some(false);
    }
    if status != OpStatus::Done {
        // A start, a promotion or a stop that timed out may have done half of its work.
        return matches!(operation, "start" | "stop" | "promote" | "demote" | "migrate_from").then_some(true);
    }
    match (operation, code) {
        ("stop", rc::OK) => Some(false),
        ("migrate_to", rc::OK) => Some(false),
        ("monitor", rc::NOT_RUNNING) => Some(false),
        ("monitor", rc::NOT_INSTALLED | rc::UNIMPLEMENTED) => None,
        (_, rc::NOT_INSTALLED | rc::NOT_CONFIGURED | rc::ARGS | rc::PERMISSION) if operation == "start" => {
            Some(false)
        }
        ("migrate_to" | "notify", _) => None,
        _ => Some(true),
    }
}

fn call_number(result: &OpResult) -> i64 {
    i64::try_from(result.call_id.0).unwrap_or(i64::MAX)
}
