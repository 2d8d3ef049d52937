//! What was done with resources, node by node (`-o`), with the times of it (`-t`).

use cib::Element;

use super::extras::{failing_there, has_history};
use super::failures::long_time;
use super::nodes::node_name;
use super::resource::printable_id;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::render::List;
use crate::policy::state::{State, build, history_op};
use crate::policy::values;

/// What was done with one resource on one node.
pub(in crate::policy::render) struct History {
    /// The name that history has for it.
    pub name: String,
    pub orphan: bool,
    /// `migration-threshold=3 fail-count=1 last-failure='…'`, as far as there is something to say.
    pub threshold: i32,
    pub failed: Option<super::extras::Failing>,
    pub operations: Vec<Operation>,
}

/// One recorded operation.
pub(in crate::policy::render) struct Operation {
    pub call: i64,
    pub task: String,
    /// 0 for what happens once.
    pub interval_ms: u32,
    pub rc: i64,
    /// When its result changed last, in local time.
    pub changed: Option<String>,
    /// Milliseconds, as recorded.
    pub exec: Option<String>,
    pub queued: Option<String>,
}

impl Operation {
    fn read(st: &State, op: &Element) -> Self {
        let interval_ms = values::history_ms(op.attr("interval"));
        let task = match op.attr("operation").unwrap_or_default() {
            "monitor" if interval_ms == 0 => "probe",
            task => task,
        };
        let number =
            |name: &str, otherwise| op.attr(name).map_or(otherwise, |t| values::scan_or(t, otherwise));
        let at = number("last-rc-change", 0);
        Operation {
            call: number("call-id", 0),
            task: task.to_owned(),
            interval_ms,
            // What is pending has no result yet; the reference shows 0.
            rc: number("rc-code", 0).max(0),
            changed: (at > 0).then(|| long_time(at, st.utc_offset)),
            exec: op.attr("exec-time").map(str::to_owned),
            queued: op.attr("queue-time").map(str::to_owned),
        }
    }

    /// A probe that found nothing is no news, nor is a notification.
    fn is_shown(&self) -> bool {
        !(self.task == "probe" && self.rc == 7 || self.task == "notify")
    }

    fn line(&self, times: bool) -> String {
        let mut details = String::new();
        if self.interval_ms > 0 {
            details.push_str(&format!(" interval=\"{}ms\"", self.interval_ms));
        }
        if times {
            for (name, value, unit) in [
                ("last-rc-change", &self.changed, ""),
                ("exec-time", &self.exec, "ms"),
                ("queue-time", &self.queued, "ms"),
            ] {
                if let Some(value) = value {
                    details.push_str(&format!(" {name}=\"{value}{unit}\""));
                }
            }
            details.push_str(&format!(" rc={} ({})", self.rc, history_op::rc_text(self.rc)));
        }
        let colon = if details.is_empty() { "" } else { ":" };
        format!("({}) {}{colon}{details}", self.call, self.task)
    }
}

/// Resources with operations, by node, both in the order of the status section; of nodes that are online.
pub(in crate::policy::render) fn histories(st: &State) -> Vec<(NodeIx, Vec<History>)> {
    // Asking for a fail count notes what is odd about it; that was said when the state was read.
    let mut counting = st.clone();
    let mut nodes = Vec::new();
    let Some(status) = build::unique(&st.root, "status") else { return nodes };
    for state in status.children_named("node_state") {
        let Some(n) = state.id().and_then(|id| st.node_by_id(id)).filter(|n| st[*n].online) else { continue };
        let resources = state.path(&["lrm", "lrm_resources"]).into_iter();
        let resources = resources.flat_map(|list| list.children_named("lrm_resource"));
        let own: Vec<History> = resources.filter_map(|history| read(st, &mut counting, n, history)).collect();
        if !own.is_empty() {
            nodes.push((n, own));
        }
    }
    nodes
}

fn read(st: &State, counting: &mut State, n: NodeIx, history: &Element) -> Option<History> {
    let name = history.id()?;
    let r: ResourceIx = st.find(name).filter(|r| st[*r].is_primitive())?;
    let mut operations: Vec<Operation> =
        history.children_named("lrm_rsc_op").map(|op| Operation::read(st, op)).collect();
    // What has no number yet comes last.
    operations.sort_by_key(|op| (op.call < 0, op.call));
    operations.retain(Operation::is_shown);
    (!operations.is_empty()).then(|| History {
        name: printable_id(st, r).to_owned(),
        orphan: st[r].flags.orphan,
        threshold: st[r].migration_threshold,
        failed: failing_there(counting, n, name),
        operations,
    })
}

/// Writes the operations, if there is anything to say: some node is online.
pub fn operations(
    list: &mut List,
    st: &State,
    times: bool,
    detail: bool,
    wanted: &dyn Fn(NodeIx) -> bool,
) -> bool {
    if !has_history(st) {
        return false;
    }
    list.begin("Operations");
    for (n, histories) in histories(st).iter().filter(|(n, _)| wanted(*n)) {
        list.begin(&format!("Node: {}", node_name(st, *n, detail)));
        for history in histories {
            let mut title = format!("{}: migration-threshold={}", history.name, history.threshold);
            if let Some(failed) = &history.failed {
                title.push_str(&failed.count_and_last());
            }
            list.begin(&title);
            history.operations.iter().for_each(|op| list.item(&op.line(times)));
            list.end();
        }
        list.end();
    }
    list.end();
    true
}
