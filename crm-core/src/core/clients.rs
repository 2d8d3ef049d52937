//! What clients ask, and their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{Change, Outcome as ChangeOutcome, ReadAnswer, ReadMode, RequestOptions as GroupOptions};
use ccm::seam::NodeId;
use cib::{Cib, Element, Operation, Request, Stamp};

use super::{Core, CoreAction, GroupInput, Owner, Step};
use crate::client::{
    AttributeChange, Cleanup, ClientRequest, Freshness, Lifetime, Outcome, RequestError, RequestOptions,
};
use crate::controller::{Asker, ControllerEvent};
use crate::message::{Ask, Message, Reply};
use crate::now::Now;

/// How long another node may take to answer.
const ANSWER: Duration = Duration::from_secs(60);

/// What a client waits for.
#[derive(Debug)]
pub(super) enum Waiting {
    /// A query, to be carried out on the document that comes.
    Query(Box<Request>),
    /// A change, and what there is to say when it is made.
    Change { output: Option<Element> },
}

/// A client whose request other nodes carry out.
#[derive(Debug)]
pub(super) struct Pending {
    /// Number of the client's request.
    client: u64,
    due: Duration,
}

/// When the first of them has waited long enough.
pub(super) fn deadline(asks: &BTreeMap<u64, Pending>) -> Option<Duration> {
    asks.values().map(|p| p.due).min()
}

/// The answers of several nodes to one request.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) open: usize,
    pub(super) done: u32,
    pub(super) said: String,
    pub(super) errors: Vec<RequestError>,
}

impl Core {
    pub(super) fn client(&mut self, now: Now, id: u64, request: ClientRequest, out: &mut Vec<CoreAction>) {
        match request {
            ClientRequest::Cib { request, options } => self.client_cib(now, id, *request, &options, out),
            ClientRequest::SetAttribute(change) => self.client_attribute(now, id, change, out),
            ClientRequest::Cleanup(what) => self.client_cleanup(now, id, &what, out),
            ClientRequest::Fail { resource, node } => {
                self.ask_nodes(now, id, vec![(node, Ask::Fail { resource })], out);
            }
            ClientRequest::Fence { target, action, timeout } => {
                let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
                self.ask_dc(now, id, Ask::Fence { target, action, timeout_ms }, out);
            }
            ClientRequest::ConfirmFenced { target } => {
                self.ask_dc(now, id, Ask::ConfirmFenced { target }, out);
            }
            ClientRequest::Outcome { token } => {
                let token_of_ours = self.token(Owner::Client { id, what: Waiting::Change { output: None } });
                self.steps.push_back(Step::Group(GroupInput::Outcome { token: token_of_ours, ident: token }));
            }
            ClientRequest::AddNode { name, votes } => {
                self.client_change(id, Change::AddNode { name, votes }, GroupOptions::default());
            }
            ClientRequest::RemoveNode { name } => {
                self.client_change(id, Change::RemoveNode { name }, GroupOptions::default());
            }
            ClientRequest::DismissConflicts { tip } => {
                self.client_change(id, Change::DismissConflict { tip }, GroupOptions::default());
            }
            ClientRequest::StateOf { node } => self.ask_nodes(now, id, vec![(node, Ask::State)], out),
            ClientRequest::ShutdownOf { node } => self.ask_nodes(now, id, vec![(node, Ask::Shutdown)], out),
            ClientRequest::Shutdown => {
                self.steps.push_back(Step::Controller(ControllerEvent::Shutdown));
                self.reply(id, Ok(self.outcome(None)), out);
            }
        }
    }

    fn client_change(&mut self, id: u64, change: Change, options: GroupOptions) {
        self.ask_group(Owner::Client { id, what: Waiting::Change { output: None } }, change, options);
    }

    fn client_cib(
        &mut self,
        now: Now,
        id: u64,
        mut request: Request,
        options: &RequestOptions,
        out: &mut Vec<CoreAction>,
    ) {
        let mode = match options.freshness {
            Freshness::Local => ReadMode::Local,
            Freshness::Leased => ReadMode::Leased,
            Freshness::Confirmed => ReadMode::Confirmed,
        };
        request.stamp = Some(Stamp {
            written: written(now),
            origin: self.name.clone(),
            client: options.client.clone().unwrap_or_default(),
            user: options.user.clone().unwrap_or_default(),
            groups: options.groups.clone(),
        });
        if !request.op.modifies() {
            if mode == ReadMode::Local {
                let result = self.query(&self.cib(), &request);
                self.reply(id, result, out);
            } else {
                let token = self.token(Owner::Client { id, what: Waiting::Query(Box::new(request)) });
                self.steps.push_back(Step::Group(GroupInput::Read { token, mode }));
            }
            return;
        }
        if request.options.dry_run {
            let result = self.query(&self.cib(), &request);
            self.reply(id, result, out);
            return;
        }
        if let Some(input) = &mut request.input
            && input.name() == "cib"
        {
            // Marks of the present view, which were never part of the document.
            input.remove_attr("have-quorum");
            input.remove_attr("dc-uuid");
        }
        let options = GroupOptions {
            force: options.force,
            ident: options.token,
            patience: options.patience,
            ..GroupOptions::default()
        };
        // What an upgrade changes follows from the document; each node would say the same of it.
        let output = match request.op {
            Operation::Upgrade => cib::apply(&self.cib(), &request).ok().and_then(|applied| applied.output),
            _ => None,
        };
        self.ask_group(Owner::Client { id, what: Waiting::Change { output } }, Change::Cib(request), options);
    }

    fn query(&self, cib: &Cib, request: &Request) -> Result<Outcome, RequestError> {
        match cib::apply(cib, request) {
            Ok(applied) => Ok(Outcome { output: applied.output, ..self.outcome(Some(cib.clone())) }),
            Err(error) => {
                Err(RequestError::Rejected { code: i32::from(error.code.exit()), text: error.text })
            }
        }
    }

    fn outcome(&self, cib: Option<Cib>) -> Outcome {
        let cib = cib.unwrap_or_else(|| self.cib());
        let version = cib.version();
        Outcome { output: None, cib, version, without_quorum: false, count: 0, said: String::new() }
    }

    pub(super) fn client_outcome(
        &mut self,
        id: u64,
        what: Waiting,
        outcome: ChangeOutcome,
        out: &mut Vec<CoreAction>,
    ) {
        let output = match what {
            Waiting::Change { output } => output,
            Waiting::Query(_) => None,
        };
        let result = match outcome {
            ChangeOutcome::Done { version, without_quorum, .. } => {
                Ok(Outcome { output, version, without_quorum, count: 1, ..self.outcome(None) })
            }
            ChangeOutcome::Rejected { code, text } => Err(RequestError::Rejected { code, text }),
            ChangeOutcome::Busy => Err(RequestError::Busy),
            ChangeOutcome::NoQuorum { why } => Err(RequestError::NoQuorum { why }),
            ChangeOutcome::Unknown => {
                Err(RequestError::Unknown("the cluster did not answer in time".to_owned()))
            }
        };
        self.reply(id, result, out);
    }

    pub(super) fn client_read(
        &mut self,
        id: u64,
        what: Waiting,
        answer: ReadAnswer,
        out: &mut Vec<CoreAction>,
    ) {
        let result = match (answer, what) {
            (ReadAnswer::Unavailable { why }, _) => Err(RequestError::Unavailable(why.to_owned())),
            // The document with the marks of the view is the one that the group means.
            (ReadAnswer::Is { .. }, Waiting::Query(request)) => self.query(&self.cib(), &request),
            (ReadAnswer::Is { .. }, Waiting::Change { .. }) => Ok(self.outcome(None)),
        };
        self.reply(id, result, out);
    }

    fn reply(&mut self, id: u64, result: Result<Outcome, RequestError>, out: &mut Vec<CoreAction>) {
        out.push(CoreAction::Reply { id, result: Box::new(result) });
    }

    // --- attributes ----------------------------------------------------------------------------

    fn client_attribute(&mut self, now: Now, id: u64, change: AttributeChange, out: &mut Vec<CoreAction>) {
        if change.lifetime == Lifetime::Reboot {
            if let Err(error) = self.may_set(now, &change) {
                self.reply(id, Err(error), out);
                return;
            }
            let delay_ms = change.delay.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX));
            let ask = Ask::SetAttribute { name: change.name, value: change.value, set: change.set, delay_ms };
            self.ask_nodes(now, id, vec![(change.node, ask)], out);
            return;
        }
        match permanent_attribute(&self.cib(), &change) {
            Ok(request) => {
                let options = RequestOptions {
                    user: change.user,
                    groups: change.groups,
                    client: change.client,
                    ..RequestOptions::default()
                };
                self.client_cib(now, id, request, &options, out);
            }
            Err(error) => self.reply(id, Err(error), out),
        }
    }

    /// Whether the access lists let the user of a transient attribute write it. The node it is of writes it into the
    /// status section in its own name, so the question is put to the document here.
    fn may_set(&self, now: Now, change: &AttributeChange) -> Result<(), RequestError> {
        let cib = self.cib();
        let user = change.user.as_deref().unwrap_or_default();
        if !cib::acl::applies(&cib, cib::acl::User { name: user, groups: &change.groups }) {
            return Ok(());
        }
        let mut request = transient_attribute(&cib, change);
        request.options.dry_run = true;
        request.stamp = Some(Stamp {
            written: written(now),
            origin: self.name.clone(),
            client: change.client.clone().unwrap_or_default(),
            user: user.to_owned(),
            groups: change.groups.clone(),
        });
        self.query(&cib, &request).map(|_| ())
    }

    // --- what other nodes do -------------------------------------------------------------------

    fn member(&self, name: &str) -> Option<NodeId> {
        let view = self.controller.view()?;
        view.members.iter().find(|m| m.name.eq_ignore_ascii_case(name)).map(|m| m.id)
    }

    fn ask_dc(&mut self, now: Now, id: u64, ask: Ask, out: &mut Vec<CoreAction>) {
        match self.controller.dc().map(str::to_owned) {
            Some(dc) => self.ask_nodes(now, id, vec![(dc, ask)], out),
            None => self.reply(id, Err(RequestError::Unavailable("there is no DC now".into())), out),
        }
    }

    /// Asks members; the client is answered when all have answered.
    fn ask_nodes(&mut self, now: Now, id: u64, asks: Vec<(String, Ask)>, out: &mut Vec<CoreAction>) {
        let mut sends = Vec::new();
        for (name, ask) in asks {
            match self.member(&name) {
                Some(node) => sends.push((node, ask)),
                None => {
                    let text = format!("node {name} is not a member of the cluster now");
                    self.reply(id, Err(RequestError::NotFound(text)), out);
                    return;
                }
            }
        }
        if sends.is_empty() {
            self.reply(id, Ok(self.outcome(None)), out);
            return;
        }
        self.collected.insert(id, Collected { open: sends.len(), ..Collected::default() });
        for (node, ask) in sends {
            let number = self.next_ask;
            self.next_ask += 1;
            // A fencing operation may use all of its time, and a fifth more (agents.md §6.3.5.7).
            let own = match &ask {
                Ask::Fence { timeout_ms, .. } => Duration::from_millis(timeout_ms.saturating_mul(6) / 5),
                _ => Duration::ZERO,
            };
            let due = now.mono.saturating_add(own).saturating_add(ANSWER);
            self.asks.insert(number, Pending { client: id, due });
            if node == self.id && matches!(ask, Ask::Fence { .. } | Ask::ConfirmFenced { .. }) {
                self.asked_to_fence(Asker::Local(number), ask);
            } else if node == self.id {
                self.steps
                    .push_back(Step::Controller(ControllerEvent::Asked { asker: Asker::Local(number), ask }));
            } else {
                self.send(BusAddress::Node(node), &Message::Ask { id: number, ask });
            }
        }
    }

    /// An answer, or why none will come.
    pub(super) fn answered(&mut self, number: u64, reply: Result<Reply, &str>, out: &mut Vec<CoreAction>) {
        let Some(pending) = self.asks.remove(&number) else { return };
        let Some(collected) = self.collected.get_mut(&pending.client) else { return };
        collected.open = collected.open.saturating_sub(1);
        match reply {
            Ok(reply) if reply.code == 0 => {
                collected.done += 1;
                collected.said.push_str(&reply.text);
            }
            Ok(reply) => {
                collected.errors.push(RequestError::Rejected { code: reply.code, text: reply.text });
            }
            Err(why) => collected.errors.push(RequestError::Unknown(why.to_owned())),
        }
        if collected.open > 0 {
            return;
        }
        let Some(collected) = self.collected.remove(&pending.client) else { return };
        let result = match collected.errors.into_iter().next() {
            None => Ok(Outcome { count: collected.done, said: collected.said, ..self.outcome(None) }),
            Some(error) => Err(error),
        };
        self.reply(pending.client, result, out);
    }

    pub(super) fn expire_asks(&mut self, now: Now, out: &mut Vec<CoreAction>) {
        let late: Vec<u64> = self.asks.iter().filter(|(_, p)| p.due <= now.mono).map(|(n, _)| *n).collect();
        for number in late {
            self.answered(number, Err("no answer in time"), out);
        }
    }

    fn client_cleanup(&mut self, now: Now, id: u64, what: &Cleanup, out: &mut Vec<CoreAction>) {
        let cib = self.cib();
        let wanted = match &what.resource {
            None => None,
            Some(name) => match primitives(&cib, name) {
                Some(found) => Some(found),
                None => {
                    let text = format!("resource \"{name}\" not found");
                    self.reply(id, Err(RequestError::NotFound(text)), out);
                    return;
                }
            },
        };
        if let Some(node) = &what.node
            && self.member(node).is_none()
            && !states(&cib).any(|s| s.attr("uname") == Some(node))
        {
            let text = format!("node \"{node}\" not found");
            self.reply(id, Err(RequestError::NotFound(text)), out);
            return;
        }
        let interval_ms = what.interval.map(|i| u64::try_from(i.as_millis()).unwrap_or(u64::MAX));
        let mut asks = Vec::new();
        let mut removed = 0;
        for state in states(&cib) {
            let node = state.attr("uname").unwrap_or_default().to_owned();
            if what.node.as_ref().is_some_and(|wanted| !wanted.eq_ignore_ascii_case(&node)) {
                continue;
            }
            for (resource, failed) in histories(state) {
                let base = resource.split(':').next().unwrap_or(&resource);
                let chosen =
                    wanted.as_ref().is_none_or(|list| list.contains(base) || list.contains(&resource));
                if !chosen || (what.only_failed && !failed) {
                    continue;
                }
                if self.member(&node).is_some() {
                    let ask = Ask::Cleanup { resource, operation: what.operation.clone(), interval_ms };
                    asks.push((node.clone(), ask));
                } else if let Some(request) = forget(state, &resource) {
                    // Nobody is there to do it; nobody waits for it either.
                    removed += 1;
                    self.ask_group(Owner::Nobody, Change::Cib(request), GroupOptions::default());
                }
            }
        }
        if asks.is_empty() {
            self.reply(id, Ok(Outcome { count: removed, ..self.outcome(None) }), out);
        } else {
            self.ask_nodes(now, id, asks, out);
        }
    }
}

fn states(cib: &Cib) -> impl Iterator<Item = &Element> {
    cib.status().into_iter().flat_map(|s| s.children()).filter(|e| e.name() == "node_state")
}

/// Resources with a history on a node, and whether something of theirs failed.
fn histories(state: &Element) -> Vec<(String, bool)> {
    let Some(list) = state.path(&["lrm", "lrm_resources"]) else { return Vec::new() };
    list.children_named("lrm_resource")
        .filter_map(|resource| {
            let id = resource.id()?.to_owned();
            let failure = format!("{id}_last_failure_0");
            let failed = resource.children_named("lrm_rsc_op").any(|op| op.id() == Some(failure.as_str()))
                || state
                    .children_named("transient_attributes")
                    .flat_map(Element::descendants)
                    .filter_map(|e| e.attr("name"))
                    .any(|n| {
                        n.strip_prefix("fail-count-").and_then(|n| n.split('#').next()) == Some(id.as_str())
                    });
            Some((id, failed))
        })
        .collect()
}

fn forget(state: &Element, resource: &str) -> Option<Request> {
    let id = state.id()?;
    if id.contains('\'') || resource.contains('\'') {
        return None;
    }
    let path = format!("/cib/status/node_state[@id='{id}']/lrm/lrm_resources/lrm_resource[@id='{resource}']");
    Some(Request::new(Operation::Delete).xpath(&path))
}

/// The primitives a name of the configuration stands for, itself included; also that of an orphan.
fn primitives(cib: &Cib, name: &str) -> Option<BTreeSet<String>> {
    let base = name.split(':').next().unwrap_or(name);
    let found = cib
        .resources()
        .into_iter()
        .flat_map(Element::descendants)
        .find(|e| e.id() == Some(name) || e.id() == Some(base));
    match found {
        Some(element) => Some(
            element
                .descendants()
                .filter(|e| e.name() == "primitive")
                .filter_map(Element::id)
                .map(str::to_owned)
                .collect(),
        ),
        None => {
            let orphan = states(cib)
                .flat_map(histories)
                .any(|(id, _)| id == name || id.split(':').next() == Some(name));
            orphan.then(|| BTreeSet::from([name.to_owned()]))
        }
    }
}

/// The change of the configuration that sets or removes a permanent attribute of a node.
fn permanent_attribute(cib: &Cib, change: &AttributeChange) -> Result<Request, RequestError> {
    let node = cib
        .nodes()
        .and_then(|nodes| {
            nodes
                .children_named("node")
                .find(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(&change.node)))
        })
        .ok_or_else(|| RequestError::NotFound(format!("node \"{}\" not found", change.node)))?;
    let node_id = node.id().unwrap_or_default();
    let sets = || node.children_named("instance_attributes");
    let existing = sets().find_map(|set| {
        let pair =
            set.descendants().find(|e| e.name() == "nvpair" && e.attr("name") == Some(&change.name))?;
        Some((set.id()?.to_owned(), pair.id()?.to_owned()))
    });
    let Some(value) = &change.value else {
        let Some((_, pair)) = existing else {
            // Not there: removed already. A delete that fits nothing succeeds.
            let spec = Element::new("nvpair").with_attr("id", format!("nodes-{node_id}-{}", change.name));
            return Ok(Request::new(Operation::Delete).section("nodes").input(spec));
        };
        let spec = Element::new("nvpair").with_attr("id", pair);
        return Ok(Request::new(Operation::Delete).section("nodes").input(spec));
    };
    let (set, pair) = existing.unwrap_or_else(|| {
        let set = change.set.clone().unwrap_or_else(|| format!("nodes-{node_id}"));
        let pair = format!("{set}-{}", change.name);
        (set, pair)
    });
    let nvpair = Element::new("nvpair")
        .with_attr("id", pair)
        .with_attr("name", change.name.as_str())
        .with_attr("value", value.as_str());
    let input = Element::new("node")
        .with_attr("id", node_id)
        .with_child(Element::new("instance_attributes").with_attr("id", set).with_child(nvpair));
    Ok(Request::new(Operation::Modify).section("nodes").input(input).allow_create())
}

/// The change of the status that sets or removes a transient attribute, as far as access to it is concerned.
fn transient_attribute(cib: &Cib, change: &AttributeChange) -> Request {
    let state = cib.status().and_then(|status| {
        let mut states = status.children_named("node_state");
        states.find(|state| state.attr("uname").is_some_and(|name| name.eq_ignore_ascii_case(&change.node)))
    });
    let existing = state.and_then(|state| {
        let mut pairs = state.child("transient_attributes")?.descendants().filter(|e| e.name() == "nvpair");
        pairs.find(|pair| pair.attr("name") == Some(&change.name))
    });
    let node = state.and_then(Element::id).unwrap_or(&change.node);
    let set = existing_or(change.set.as_deref(), || format!("status-{node}"));
    let pair = existing_or(existing.and_then(Element::id), || format!("{set}-{}", change.name));
    let nvpair = Element::new("nvpair").with_attr("id", pair);
    let Some(value) = &change.value else {
        return Request::new(Operation::Delete).section("status").input(nvpair);
    };
    let nvpair = nvpair.with_attr("name", change.name.as_str()).with_attr("value", value.as_str());
    let set = Element::new("instance_attributes").with_attr("id", set).with_child(nvpair);
    let input = Element::new("node_state")
        .with_attr("id", node)
        .with_child(Element::new("transient_attributes").with_attr("id", node).with_child(set));
    Request::new(Operation::Modify).section("status").input(input).allow_create()
}

fn existing_or(existing: Option<&str>, other: impl Fn() -> String) -> String {
    existing.map_or_else(other, str::to_owned)
}

/// `Www Mon dd hh:mm:ss yyyy` in local time, as `cib-last-written` has it.
fn written(now: Now) -> String {
    let Ok(offset) = jiff::tz::Offset::from_seconds(now.utc_offset) else { return String::new() };
    let Ok(time) = jiff::Timestamp::from_second(now.seconds()) else { return String::new() };
    time.to_zoned(offset.to_time_zone()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}
