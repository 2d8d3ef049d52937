//! What an external program is told (`-E`): each operation that ended, and with `-W` each fencing.
//!
//! Source: "Pacemaker Explained", notifications by ClusterMon; specification `tools.md` §2.1.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use cib::{Cib, Element};
use crm_core::transition::Key;
use lrm::rc::{NOT_RUNNING, text};

use super::follow::Seen;
use crate::fenced::{Entry, Fate, entries};

/// Programs that run at the same time at most; further news wait for none of them and are lost.
const AT_ONCE: usize = 64;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    node: String,
    /// None for fencing.
    resource: Option<String>,
    task: String,
    description: String,
    code: String,
    expected: String,
    status: String,
}

/// What ended between two states.
pub fn changes(before: &Seen, now: &Seen) -> Vec<Notice> {
    let known = operations(&before.cib);
    let operations = operations(&now.cib);
    let mut notices: Vec<Notice> = operations
        .iter()
        .filter(|(key, op)| known.get(*key).is_none_or(|old| call(old) != call(op)))
        .filter_map(|((node, resource, _), op)| notice(node, resource, op))
        .collect();
    if let (Some(before), Some(now)) = (&before.live, &now.live) {
        // Not by place: old entries fall out of the history, and news of earlier ones come in between.
        let new = |entry: &Entry| entry.fate != Fate::Pending && !before.fencing.contains(entry.fenced);
        notices.extend(entries(now, false).into_iter().rev().filter(new).map(|entry| Notice {
            node: entry.fenced.target.clone(),
            resource: None,
            task: "st_notify_fence".into(),
            description: entry.line(false),
            code: entry.fenced.code.to_string(),
            expected: "0".into(),
            status: "0".into(),
        }));
    }
    notices
}

/// By node, resource and entry of the history.
type Operations<'a> = BTreeMap<(&'a str, &'a str, &'a str), &'a Element>;

fn operations(cib: &Cib) -> Operations<'_> {
    let mut found = BTreeMap::new();
    let states = cib.status().into_iter().flat_map(|status| status.children_named("node_state"));
    for state in states {
        let Some(node) = state.attr("uname") else { continue };
        let resources = state.path(&["lrm", "lrm_resources"]);
        for resource in resources.into_iter().flat_map(|list| list.children_named("lrm_resource")) {
            for op in resource.children_named("lrm_rsc_op") {
                if let (Some(name), Some(entry)) = (resource.id(), op.id()) {
                    found.insert((node, name, entry), op);
                }
            }
        }
    }
    found
}

/// What tells one result from the next.
fn call(op: &Element) -> [Option<&str>; 4] {
    ["call-id", "rc-code", "op-status", "last-rc-change"].map(|name| op.attr(name))
}

/// Nothing for what has not ended, and for a probe that found what was expected.
fn notice(node: &str, resource: &str, op: &Element) -> Option<Notice> {
    let field = |name: &str| op.attr(name).unwrap_or_default();
    let status: i32 = field("op-status").parse().ok()?;
    let code: i32 = field("rc-code").parse().ok()?;
    let expected = field("transition-key").parse::<Key>().map_or(0, |key| key.expected);
    if status < 0 || status == 0 && code == expected && code == NOT_RUNNING {
        return None;
    }
    let description = match lrm::OpStatus::of(status) {
        Some(status) if status != lrm::OpStatus::Done => status.text(),
        _ => text(code),
    };
    Some(Notice {
        node: node.to_owned(),
        resource: Some(resource.to_owned()),
        task: field("operation").to_owned(),
        description: description.to_owned(),
        code: code.to_string(),
        expected: expected.to_string(),
        status: status.to_string(),
    })
}

/// The program.
pub struct Agent {
    program: PathBuf,
    recipient: Option<String>,
    fencing: bool,
    running: Vec<Child>,
}

impl Agent {
    pub fn new(program: PathBuf, recipient: Option<String>, fencing: bool) -> Self {
        Self { program, recipient, fencing, running: Vec::new() }
    }

    /// Runs it once for each notice, and waits for none: a program that hangs delays no other.
    pub fn tell(&mut self, notices: &[Notice]) {
        self.running.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        for notice in notices.iter().filter(|notice| self.fencing || notice.resource.is_some()) {
            if self.running.len() >= AT_ONCE {
                eprintln!("crm_mon: {} programs are running: {notice:?} is not told", self.running.len());
                continue;
            }
            match self.command(notice).spawn() {
                Ok(child) => self.running.push(child),
                Err(error) => eprintln!("crm_mon: {}: {error}", self.program.display()),
            }
        }
    }

    fn command(&self, notice: &Notice) -> Command {
        let mut command = Command::new(&self.program);
        let values = [
            ("CRM_notify_recipient", self.recipient.as_ref()),
            ("CRM_notify_node", Some(&notice.node)),
            ("CRM_notify_rsc", notice.resource.as_ref()),
            ("CRM_notify_task", Some(&notice.task)),
            ("CRM_notify_desc", Some(&notice.description)),
            ("CRM_notify_rc", Some(&notice.code)),
            ("CRM_notify_target_rc", Some(&notice.expected)),
            ("CRM_notify_status", Some(&notice.status)),
        ];
        for (name, value) in values {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.stdin(Stdio::null());
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::proto::{ClusterState, Fenced};

    fn seen(ops: &str) -> Seen {
        let text = format!(
            "<cib><configuration/><status><node_state uname='n1'><lrm><lrm_resources>\
             <lrm_resource id='ip'>{ops}</lrm_resource></lrm_resources></lrm></node_state></status></cib>"
        );
        Seen { cib: Cib::parse(&text).unwrap(), live: None }
    }

    fn op(id: &str, operation: &str, call: u32, rc: i32, status: i32, expected: i32) -> String {
        format!(
            "<lrm_rsc_op id='{id}' operation='{operation}' call-id='{call}' rc-code='{rc}' op-status='{status}' \
             transition-key='1:2:{expected}:11111111-2222-3333-4444-555555555555'/>"
        )
    }

    #[test]
    fn what_ended_since_is_told_once() {
        let before = seen(&op("ip_last_0", "start", 5, 0, 0, 0));
        let monitor = op("ip_monitor_10000", "monitor", 6, 0, 0, 0);
        let now = seen(&format!("{}{monitor}", op("ip_last_0", "start", 5, 0, 0, 0)));
        let notices = changes(&before, &now);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert_eq!((notices[0].task.as_str(), notices[0].description.as_str()), ("monitor", "ok"));
        assert!(changes(&now, &now).is_empty());
        let failed = seen(&op("ip_monitor_10000", "monitor", 6, 7, 0, 0));
        assert_eq!(changes(&now, &failed)[0].description, "not running");
        let late = seen(&op("ip_last_0", "stop", 7, 1, 2, 0));
        assert_eq!(changes(&now, &late)[0].description, "Timed Out");
    }

    #[test]
    fn fencing_is_told_once_wherever_it_stands_in_the_history() {
        let fenced =
            |target: &str, completed| Fenced { target: target.into(), completed, ..Fenced::default() };
        let live = |fencing: Vec<Fenced>| {
            let state =
                ClusterState { fencing, fencing_pending: vec![fenced("n9", 0)], ..Default::default() };
            Seen { live: Some(state), ..seen("") }
        };
        let before = live(vec![fenced("n1", 10), fenced("n2", 20)]);
        // The oldest fell out, one in the middle was learned late, one is new.
        let now = live(vec![fenced("n3", 15), fenced("n2", 20), fenced("n1", 30)]);
        let told: Vec<String> = changes(&before, &now).into_iter().map(|notice| notice.node).collect();
        assert_eq!(told, ["n3", "n1"]);
    }

    #[test]
    fn probes_that_found_nothing_and_what_is_pending_are_not_told() {
        let empty = seen("");
        assert!(changes(&empty, &seen(&op("ip_last_0", "monitor", 2, 7, 0, 7))).is_empty());
        assert!(changes(&empty, &seen(&op("ip_last_0", "start", 2, 193, -1, 0))).is_empty());
        assert_eq!(changes(&empty, &seen(&op("ip_last_0", "monitor", 2, 0, 0, 7))).len(), 1);
    }
}
