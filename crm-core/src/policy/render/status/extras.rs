//! What is shown on request: node attributes, and how often resources failed where.

use crate::policy::ix::NodeIx;
use crate::policy::render::List;
use crate::policy::state::{ResourceIx, State};
use crate::policy::values;
use cib::Text;

use super::failures::long_time;
use super::nodes::node_name;

/// Node attributes that are the cluster's own business, by the beginning of their names.
fn hidden(name: &str) -> bool {
    ["#", "fail-count", "last-failure", "shutdown", "terminate", "standby"]
        .iter()
        .any(|p| name.starts_with(p))
}

/// A node attribute that may be shown.
pub(in crate::policy::render) struct Shown<'a> {
    pub name: &'a str,
    pub value: &'a str,
    /// What a ping resource that runs there would set it to if every host answered.
    pub expected: Option<i32>,
}

/// Attributes of a node by name; none for a node that is not online.
pub(in crate::policy::render) fn shown_attributes(st: &State, n: NodeIx) -> Vec<Shown<'_>> {
    if !st[n].online {
        return Vec::new();
    }
    let mut own: Vec<(&Text, &Text)> = st[n].attributes.iter().filter(|(name, _)| !hidden(name)).collect();
    own.sort();
    own.into_iter().map(|(name, value)| Shown { name, value, expected: expected(st, n, name) }).collect()
}

/// The value of a ping attribute when every host answers: the number of hosts times the multiplier of the
/// first ping resource on the node that sets this attribute.
fn expected(st: &State, n: NodeIx, attribute: &str) -> Option<i32> {
    for &r in &st[n].running {
        if !["ping", "pingd"].iter().any(|agent| st[r].agent().eq_ignore_ascii_case(agent)) {
            continue;
        }
        let parameters = st.parameters(r, Some(n));
        let name = parameters.get("name").map_or("pingd", Text::as_str);
        if !name.eq_ignore_ascii_case(attribute) {
            continue;
        }
        // The agents separate hosts by one blank, and so does the reference: two make an empty host.
        let hosts = parameters.get("host_list").filter(|list| !list.is_empty());
        let hosts = hosts.map_or(0, |list| list.split(' ').count());
        let multiplier = match parameters.get("multiplier").map(|text| values::scan_or(text, 1)) {
            None => 1,
            Some(number) if number > i64::from(i32::MAX) => 1,
            Some(number) => i32::try_from(number).unwrap_or(i32::MIN),
        };
        return Some(multiplier.wrapping_mul(i32::try_from(hosts).unwrap_or(i32::MAX)));
    }
    None
}

/// Writes the attributes of the nodes that have any and are wanted.
pub fn attributes(list: &mut List, st: &State, detail: bool, wanted: &dyn Fn(NodeIx) -> bool) {
    let mut open = false;
    for n in st.node_order.iter().copied().filter(|&n| wanted(n)) {
        let own = shown_attributes(st, n);
        if own.is_empty() {
            continue;
        }
        if !open {
            open = true;
            list.blank();
            list.begin("Node Attributes");
        }
        list.begin(&format!("Node: {}", node_name(st, n, detail)));
        for Shown { name, value, expected } in own {
            let connectivity = match expected {
                Some(_) if values::scan_or(value, 0) <= 0 => "\t: Connectivity is lost".to_owned(),
                Some(expected) if values::scan_or(value, 0) < i64::from(expected) => {
                    format!("\t: Connectivity is degraded (Expected={expected})")
                }
                _ => String::new(),
            };
            list.item(&format!("{name:<32}\t: {value:<10}{connectivity}"));
        }
        list.end();
    }
    if open {
        list.end();
    }
}

/// How often a resource failed on a node.
pub(in crate::policy::render) struct Failing {
    /// The name that history has for it.
    pub name: String,
    pub threshold: i32,
    pub count: i32,
    /// Of the latest failure, in local time.
    pub last: Option<String>,
}

impl Failing {
    /// ` fail-count=2 last-failure='…'`.
    pub fn count_and_last(&self) -> String {
        let last = self.last.as_ref().map_or_else(String::new, |last| format!(" last-failure='{last}'"));
        format!(" fail-count={}{last}", self.count)
    }
}

/// Resources with failures, by node, both in the order of the status section: whatever has history on a
/// node that is online.
pub(in crate::policy::render) fn failing(st: &State) -> Vec<(NodeIx, Vec<Failing>)> {
    // Asking for a fail count notes what is odd about it; that was said when the state was read.
    let mut st = st.clone();
    let mut nodes = Vec::new();
    let Some(status) = crate::policy::state::build::unique(&st.root, "status").cloned() else { return nodes };
    for state in status.children_named("node_state") {
        let Some(n) = state.id().and_then(|id| st.node_by_id(id)).filter(|n| st[*n].online) else { continue };
        let histories = state.path(&["lrm", "lrm_resources"]);
        let histories = histories.into_iter().flat_map(|list| list.children_named("lrm_resource"));
        let own: Vec<Failing> =
            histories.filter_map(|history| failing_there(&mut st, n, history.id()?)).collect();
        if !own.is_empty() {
            nodes.push((n, own));
        }
    }
    nodes
}

pub(super) fn failing_there(st: &mut State, n: NodeIx, name: &str) -> Option<Failing> {
    let r: ResourceIx = st.find(name).filter(|r| st[*r].is_primitive())?;
    let count = st.fail_count(n, r, false, false, None);
    (count.count > 0).then(|| Failing {
        name: name.to_owned(),
        threshold: st[r].migration_threshold,
        count: count.count,
        last: (count.last > 0).then(|| long_time(count.last, st.utc_offset)),
    })
}

/// Whether there is anything to say about failures: some node is online.
pub(in crate::policy::render) fn has_history(st: &State) -> bool {
    st.nodes.iter().any(|node| node.online && node.state_xml.is_some())
}

/// Writes the resources with failures.
pub fn fail_counts(list: &mut List, st: &State, detail: bool, wanted: &dyn Fn(NodeIx) -> bool) {
    if !has_history(st) {
        return;
    }
    list.blank();
    list.begin("Migration Summary");
    for (n, own) in failing(st).into_iter().filter(|(n, _)| wanted(*n)) {
        list.begin(&format!("Node: {}", node_name(st, n, detail)));
        for own in own {
            list.item(&format!(
                "{}: migration-threshold={}{}",
                own.name,
                own.threshold,
                own.count_and_last()
            ));
        }
        list.end();
    }
    list.end();
}
