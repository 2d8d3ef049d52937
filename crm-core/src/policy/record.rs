//! Writes the results of operations into the status section, as the reference's simulator does.

use std::collections::HashMap;

use cib::{Element, Text};

use super::simulate::{first_child, node_state_at};
use super::twins;

/// One operation to be recorded.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub task: &'a str,
    pub interval_ms: u32,
    pub target_rc: i32,
    pub rc: i32,
    pub exit_reason: Option<&'a str>,
    /// Kind and operation of a notification.
    pub notify: Option<(&'a str, &'a str)>,
    /// Source and target of a migration.
    pub migrate: Option<(&'a str, &'a str)>,
    pub key: &'a str,
    /// Of the parameters that the operation had; none for a result that was put in.
    pub digest: Option<String>,
    pub now: i64,
}

/// Where histories are in a status section, so that a result finds its place without a walk through all of
/// them. Valid as long as nobody else takes elements out or puts histories in.
#[derive(Debug, Default)]
pub struct Places {
    /// By the name of a node, for each uuid it was given, the place of its `node_state`.
    nodes: HashMap<String, Vec<(String, usize)>>,
    /// By the place of a `node_state`.
    histories: HashMap<usize, Histories>,
    /// By the same: whether it has elements of one name and id.
    twins: HashMap<usize, bool>,
}

/// The histories of one node, each id once.
#[derive(Debug, Default)]
struct Histories {
    by_id: HashMap<String, usize>,
}

impl Histories {
    fn read(list: &Element) -> Self {
        let all = list.nodes().enumerate().filter(|(_, history)| !history.is_comment());
        Histories { by_id: all.filter_map(|(at, history)| Some((history.id()?.to_owned(), at))).collect() }
    }
}

impl Places {
    /// Histories of the node at this place of the status section went.
    pub(super) fn forget(&mut self, node_state: usize) {
        self.histories.remove(&node_state);
    }

    /// Records the result of an operation in the history of a resource on a node.
    ///
    /// The history is the one under the first of `names` that has exactly one, made under the last name if
    /// there is none. The reference does so in a copy of the node's state, and writes the copy back over it; that
    /// makes a difference if the state has twins.
    pub fn record(
        &mut self,
        root: &mut Element,
        (node, uuid): (&str, &str),
        names: &[&str],
        agent: (&str, Option<&str>, &str),
        entry: &Entry<'_>,
    ) {
        let status = root.child_or_insert("status");
        let known = self.nodes.get(node).and_then(|list| list.iter().find(|(id, _)| id == uuid));
        let at = match known {
            Some((_, at)) => *at,
            None => {
                let at = node_state_at(status, node, Some(uuid));
                self.nodes.entry(node.to_owned()).or_default().push((uuid.to_owned(), at));
                at
            }
        };
        let Some(state) = status.node_at_mut(at) else { return };
        // Results add none.
        if *self.twins.entry(at).or_insert_with(|| twins::has_twins(state)) {
            record_beside_twins(state, uuid, names, agent, entry);
            return;
        }
        let list = histories_of(state, uuid);
        let histories = self.histories.entry(at).or_insert_with(|| Histories::read(list));
        let known = names.iter().copied().find(|name| histories.by_id.contains_key(*name));
        let name = known.or(names.last().copied()).unwrap_or_default();
        let place = match histories.by_id.get(name) {
            Some(place) => *place,
            None => {
                list.push(new_history(name, agent));
                let place = list.nodes().len() - 1;
                histories.by_id.insert(name.to_owned(), place);
                place
            }
        };
        let Some(history) = list.node_at_mut(place) else { return };
        let call = if known.is_some() { 1 + last_call(history) } else { 1 };
        add_result(history, names.last().copied().unwrap_or(name), call, entry);
    }
}

/// The list of histories in the state of a node.
fn histories_of<'a>(state: &'a mut Element, uuid: &str) -> &'a mut Element {
    let lrm = state.child_or_insert("lrm");
    if lrm.id().is_none() {
        lrm.set_attr("id", uuid);
    }
    lrm.child_or_insert("lrm_resources")
}

fn new_history(name: &str, agent: (&str, Option<&str>, &str)) -> Element {
    let (class, provider, kind) = agent;
    match provider {
        Some(provider) => Element::of(
            "lrm_resource",
            &[("id", name), ("class", class), ("provider", provider), ("type", kind)],
        ),
        None => Element::of("lrm_resource", &[("id", name), ("class", class), ("type", kind)]),
    }
}

/// [`Places::record`] where elements of one name and id stand side by side.
fn record_beside_twins(
    state: &mut Element,
    uuid: &str,
    names: &[&str],
    agent: (&str, Option<&str>, &str),
    entry: &Entry<'_>,
) {
    let before = state.clone();
    let list = histories_of(state, uuid);
    let count = |list: &Element, name: &str| list.children().filter(|e| e.id() == Some(name)).count();
    let known = names.iter().copied().find(|name| count(list, name) == 1);
    let name = known.or(names.last().copied()).unwrap_or_default();
    if known.is_none() {
        list.push(new_history(name, agent));
    }
    if let Some(history) = list.children_mut().filter(|e| e.id() == Some(name)).last() {
        let call = if known.is_some() { 1 + last_call(history) } else { 1 };
        add_result(history, names.last().copied().unwrap_or(name), call, entry);
    }
    let update = std::mem::replace(state, before);
    twins::merge(state, &update);
}

/// The highest number of a call in a history, 0 if there is none.
fn last_call(history: &Element) -> i64 {
    let calls = history.children_named("lrm_rsc_op").filter_map(|op| op.attr("call-id")?.parse().ok());
    calls.max().unwrap_or(0).max(0)
}

fn add_result(resource: &mut Element, name: &str, call: i64, entry: &Entry<'_>) {
    let mut task = entry.task;
    let mut interval = entry.interval_ms;
    let (mut rc, failed) = (entry.rc, entry.rc != entry.target_rc);
    if matches!(task, "reload" | "reload-agent") {
        task = if failed { "monitor" } else { "start" };
    }
    let key = match entry.notify {
        Some((kind, op)) if task == "notify" => format!("{name}_{kind}_notify_{op}_0"),
        _ => format!("{name}_{task}_{interval}"),
    };
    let mut ids = Vec::new();
    if task == "notify" {
        ids.push(key.clone());
        rc = 0;
    } else if matches!(task, "migrate_to" | "migrate_from") {
        ids.push(key.clone());
    } else if failed {
        ids.push(format!("{name}_last_failure_0"));
        if interval == 0 {
            ids.push(format!("{name}_last_0"));
        }
    } else if interval > 0 {
        ids.push(key.clone());
    } else {
        ids.push(format!("{name}_last_0"));
    }
    if task == "notify" {
        interval = 0;
    }
    let key = if task == "notify" { format!("{name}_notify_0") } else { key };
    let uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let transition = format!("{call}:-1:{}:{uuid}", entry.target_rc);
    let magic = format!("0:{rc};{transition}");
    let number = |number: i64| Text::from(number);
    let (call, rc) = (number(call), number(i64::from(rc)));
    let (interval, now) = (number(i64::from(interval)), number(entry.now));
    let mut attrs = vec![
        ("id", ""),
        ("operation_key", key.as_str()),
        ("operation", task),
        ("crm-debug-origin", "crm_simulate"),
        ("crm_feature_set", cib::FEATURE_SET),
        ("transition-key", transition.as_str()),
        ("transition-magic", magic.as_str()),
        ("exit-reason", entry.exit_reason.filter(|_| failed).unwrap_or("")),
        ("call-id", &call),
        ("rc-code", &rc),
        ("op-status", "0"),
        ("interval", &interval),
        ("last-rc-change", &now),
        ("exec-time", "0"),
        ("queue-time", "0"),
    ];
    if let (Some((source, target)), true) = (entry.migrate, matches!(task, "migrate_to" | "migrate_from")) {
        attrs.extend([("migrate_source", source), ("migrate_target", target)]);
    }
    attrs.extend(entry.digest.as_ref().map(|digest| ("op-digest", digest.as_str())));
    for id in &ids {
        if let Some(first) = attrs.first_mut() {
            first.1 = id;
        }
        let op = Element::of("lrm_rsc_op", &attrs);
        // What an earlier entry of this name had besides stays, and so does its place.
        match first_child(resource, |e| e.id() == Some(id.as_str())) {
            Some(old) => op.attrs().for_each(|(name, value)| old.set_attr(name, value)),
            None => resource.push(op),
        }
    }
}
