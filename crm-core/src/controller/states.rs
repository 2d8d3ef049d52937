//! Records the DC keeps of nodes: who is gone, who was fenced, which node belongs to the cluster.

use ccm::group::{Level, OutReason};
use cib::{Element, Operation, Request};

use super::requests::{delete_path, modify_status, replace_state, safe};
use super::{CRMD, Controller, ControllerAction, Leaving, Purpose, options};
use crate::now::Now;
use crate::policy::graph::GraphAction;
use crate::transition::{Key, Magic};

/// What the cluster knows of a node that is not there: `expected` tells whether that is as it should be.
fn absent_state(id: &str, name: &str, expected: &str) -> Element {
    Element::new("node_state")
        .with_attr("id", id)
        .with_attr("uname", name)
        .with_attr("in_ccm", "false")
        .with_attr("crmd", "offline")
        .with_attr("crm-debug-origin", "controller")
        .with_attr("join", "down")
        .with_attr("expected", expected)
}

impl Controller {
    /// Writes who is gone and which members the configuration does not know yet.
    /// `say`: for the first time in this view, so that it is news.
    pub(super) fn record_nodes(&mut self, say: bool, out: &mut Vec<ControllerAction>) {
        let Some(view) = self.view.clone() else { return };
        let is_member = |name: &str| view.members.iter().any(|m| m.name.eq_ignore_ascii_case(name));

        let states: Vec<Element> =
            self.cib.status().map(|s| s.children_named("node_state").cloned().collect()).unwrap_or_default();
        for state in states {
            let name = state.attr("uname").unwrap_or_default();
            let remote = state.attr("remote_node").is_some();
            if remote || is_member(name) || !is_up(&state) {
                continue;
            }
            let reason = view.out.iter().find(|o| o.name == name).map(|o| o.reason);
            let id = state.id().unwrap_or_default();
            let clean = matches!(reason, Some(OutReason::Left | OutReason::Fenced))
                || state.attr("expected") == Some("down");
            if say {
                self.log(
                    Level::Info,
                    CRMD,
                    match reason {
                        Some(OutReason::Left) => format!("node {name} has left the cluster"),
                        Some(OutReason::Fenced) => format!("node {name} was fenced"),
                        Some(reason) => format!("node {name} is gone ({reason:?})"),
                        None => format!("node {name} is not a member"),
                    },
                    out,
                );
            }
            // Nothing of a node that left in order, or was fenced, runs any more.
            let request = if clean {
                replace_state(absent_state(id, name, "down"))
            } else {
                modify_status(absent_state(id, name, "member"))
            };
            self.change(Purpose::Members, request, false, out);
        }

        if !view.writable {
            return;
        }
        let mut missing = Element::new("nodes");
        for member in &view.members {
            let known = self.cib.nodes().is_some_and(|nodes| {
                nodes
                    .children_named("node")
                    .any(|n| n.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(&member.name)))
            });
            if !known {
                missing.push(
                    Element::new("node")
                        .with_attr("id", member.id.to_string())
                        .with_attr("uname", member.name.as_str()),
                );
            }
        }
        if !missing.is_leaf() {
            let mut request = Request::new(Operation::Modify);
            request.section = Some("nodes".into());
            request.input = Some(missing);
            request.options.allow_create = true;
            self.change(Purpose::Records, request, false, out);
        }
    }

    /// Whether the CIB takes this member for one that is gone: said in another view, or of another start, and
    /// arrived late. Nobody else knows better, and what runs here would be started elsewhere.
    pub(super) fn is_taken_for_gone(&self) -> bool {
        let id = self.own_id();
        let own = |s: &&Element| s.id() == Some(id.as_str());
        self.view().is_some()
            && self.leaving == Leaving::No
            && !self.pending.values().any(|p| *p == Purpose::Announce)
            && self
                .cib
                .status()
                .and_then(|s| s.children_named("node_state").find(own))
                .is_some_and(|state| !is_up(state))
    }

    /// A fenced node runs nothing: its history and its transient attributes are gone.
    pub(super) fn record_fenced(&mut self, target: &str, out: &mut Vec<ControllerAction>) {
        let identity = self.identity(target).map(|(id, _)| id.to_string()).unwrap_or_default();
        let id = options::node_id(&self.cib, target, &identity);
        if id.is_empty() {
            return;
        }
        self.change(Purpose::Records, replace_state(absent_state(&id, target, "down")), false, out);
    }

    /// A node has nothing left and is about to leave: its going will not be a surprise.
    pub(super) fn record_expected_down(&mut self, node: &str, out: &mut Vec<ControllerAction>) {
        let identity = self.identity(node).map(|(id, _)| id.to_string()).unwrap_or_default();
        let id = options::node_id(&self.cib, node, &identity);
        if id.is_empty() {
            return;
        }
        let state = Element::new("node_state")
            .with_attr("id", id)
            .with_attr("uname", node)
            .with_attr("expected", "down");
        self.change(Purpose::Records, modify_status(state), false, out);
    }

    /// The synthetic result of an action that nobody answered for: timed out, of unknown effect.
    pub(super) fn record_lost(&mut self, now: Now, action: &GraphAction, out: &mut Vec<ControllerAction>) {
        let (Some(rsc), Some(node)) = (&action.resource, &action.on_node) else { return };
        if !super::history::is_recorded(&action.operation) {
            return;
        }
        let identity = self.identity(node).map(|(id, _)| id.to_string()).unwrap_or_default();
        let id = options::node_id(&self.cib, node, &identity);
        let interval: u64 =
            action.attribute("CRM_meta_interval").and_then(|v| v.parse().ok()).unwrap_or_default();
        let key = Key {
            action: i64::from(action.id.0),
            transition: -1,
            expected: super::duty::expected_rc(action),
            uuid: self.uuid.clone(),
        };
        let magic = Magic { status: lrm::OpStatus::Timeout.code(), rc: lrm::rc::ERROR, key };
        let mut resource = Element::new("lrm_resource")
            .with_attr("id", rsc.id.as_str())
            .with_attr("class", rsc.class.as_str());
        if let Some(provider) = &rsc.provider {
            resource.set_attr("provider", provider.as_str());
        }
        resource.set_attr("type", rsc.agent.as_str());
        for suffix in ["last_failure_0", "last_0"] {
            resource.push(
                Element::new("lrm_rsc_op")
                    .with_attr("id", format!("{}_{suffix}", rsc.id))
                    .with_attr("operation_key", action.operation_key.as_str())
                    .with_attr("operation", action.operation.as_str())
                    .with_attr("crm-debug-origin", "controller-lost")
                    .with_attr("crm_feature_set", cib::FEATURE_SET)
                    .with_attr("transition-key", magic.key.to_string())
                    .with_attr("transition-magic", magic.to_string())
                    .with_attr("exit-reason", "no answer within the timeout and the cluster delay")
                    .with_attr("on_node", node.as_str())
                    .with_attr("call-id", "-1")
                    .with_attr("rc-code", magic.rc.to_string())
                    .with_attr("op-status", magic.status.to_string())
                    .with_attr("interval", interval.to_string())
                    .with_attr("last-rc-change", now.seconds().to_string())
                    .with_attr("exec-time", "0")
                    .with_attr("queue-time", "0"),
            );
        }
        let list = Element::new("lrm_resources").with_child(resource);
        let state = Element::new("node_state")
            .with_attr("id", id.as_str())
            .with_attr("uname", node.as_str())
            .with_child(Element::new("lrm").with_attr("id", id.as_str()).with_child(list));
        self.change(Purpose::Records, modify_status(state), false, out);
    }

    /// Removes the history of a resource on a node that is not there to do it itself.
    pub(super) fn forget_for(&mut self, node: &str, resource: &str, out: &mut Vec<ControllerAction>) {
        let identity = self.identity(node).map(|(id, _)| id.to_string()).unwrap_or_default();
        let id = options::node_id(&self.cib, node, &identity);
        if safe(&id) && safe(resource) {
            let xpath = format!(
                "/cib/status/node_state[@id='{id}']/lrm/lrm_resources/lrm_resource[@id='{resource}']"
            );
            self.change(Purpose::Status, delete_path(xpath), false, out);
        }
    }
}

/// Whether the record of a node still says that it is there.
fn is_up(state: &Element) -> bool {
    state.attr("in_ccm") == Some("true")
        || state.attr("crmd") == Some("online")
        || state.attr("join").is_some_and(|j| j != "down")
}
