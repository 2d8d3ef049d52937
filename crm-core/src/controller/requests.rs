//! What this node itself writes to the CIB: its own state, in parts or as a whole.

use std::time::Duration;

use ccm::group::{Level, Outcome as ChangeOutcome};
use cib::{Element, Operation, Request};

use super::{CRMD, Controller, ControllerAction, Purpose, options};
use crate::attributes::{AttributeAction, AttributeEvent, nvpair, nvpair_id};
use crate::message::{Ask, Message, Reply};
use crate::now::Now;
use ccm::bus::BusAddress;

/// How long after a failed write of our state the whole is written again.
const REPAIR: Duration = Duration::from_millis(500);

/// What the cluster knows of a node that is a member and runs our program.
pub(super) fn member_state(id: &str, name: &str) -> Element {
    Element::new("node_state")
        .with_attr("id", id)
        .with_attr("uname", name)
        .with_attr("in_ccm", "true")
        .with_attr("crmd", "online")
        .with_attr("crm-debug-origin", "controller")
        .with_attr("join", "member")
        .with_attr("expected", "member")
}

impl Controller {
    /// Under which id this node stands in the CIB.
    pub(super) fn own_id(&self) -> String {
        options::node_id(&self.cib, &self.config.name, &self.config.id.to_string())
    }

    pub(super) fn change(
        &mut self,
        purpose: Purpose,
        request: Request,
        announce: bool,
        out: &mut Vec<ControllerAction>,
    ) {
        let token = self.next_token;
        self.next_token += 1;
        let this_view = purpose == Purpose::Members;
        if purpose == Purpose::Announce {
            self.owe(token);
        }
        self.pending.insert(token, purpose);
        out.push(ControllerAction::Change { token, request, announce, this_view });
    }

    /// Writes everything this node knows about itself in the place of what the CIB says of it.
    pub(super) fn announce(&mut self, first: bool, out: &mut Vec<ControllerAction>) {
        self.repair = None;
        let id = self.own_id();
        let state = member_state(&id, &self.config.name)
            .with_child(self.history.element(&id))
            .with_child(self.attributes.element(&id));
        self.change(Purpose::Announce, replace_state(state), first, out);
    }

    /// Adds to what the CIB says of this node: history of a resource, attributes.
    pub(super) fn write_status(
        &mut self,
        resource: Option<Element>,
        attributes: &[(String, String)],
        out: &mut Vec<ControllerAction>,
    ) {
        if resource.is_none() && attributes.is_empty() {
            return;
        }
        let id = self.own_id();
        let mut state = Element::new("node_state")
            .with_attr("id", id.as_str())
            .with_attr("uname", self.config.name.as_str());
        if let Some(resource) = resource {
            let list = Element::new("lrm_resources").with_child(resource);
            state.push(Element::new("lrm").with_attr("id", id.as_str()).with_child(list));
        }
        if !attributes.is_empty() {
            let mut set = Element::new("instance_attributes").with_attr("id", format!("status-{id}"));
            for (name, value) in attributes {
                set.push(nvpair(&id, name, value));
            }
            state.push(Element::new("transient_attributes").with_attr("id", id.as_str()).with_child(set));
        }
        self.change(Purpose::Status, modify_status(state), false, out);
    }

    /// Removes an element below this node's state.
    pub(super) fn delete_status(&mut self, path: &str, out: &mut Vec<ControllerAction>) {
        let id = self.own_id();
        let xpath = format!("/cib/status/node_state[@id='{id}']{path}");
        self.change(Purpose::Status, delete_path(xpath), false, out);
    }

    /// Removes history entries of a resource of this node.
    pub(super) fn delete_ops(&mut self, resource: &str, ids: &[String], out: &mut Vec<ControllerAction>) {
        for op in ids {
            if safe(resource) && safe(op) {
                self.delete_status(
                    &format!("/lrm/lrm_resources/lrm_resource[@id='{resource}']/lrm_rsc_op[@id='{op}']"),
                    out,
                );
            }
        }
    }

    /// An own change has an outcome.
    pub(super) fn changed(
        &mut self,
        now: Now,
        token: u64,
        outcome: ChangeOutcome,
        out: &mut Vec<ControllerAction>,
    ) {
        let Some(purpose) = self.pending.remove(&token) else { return };
        self.owes_no_more(token);
        match outcome {
            ChangeOutcome::Done { .. } => {}
            // What is to be deleted is not there: that is what was wanted.
            ChangeOutcome::Rejected { code, .. } if code == NOT_FOUND && purpose == Purpose::Status => {}
            ChangeOutcome::Rejected { code, text } => {
                self.log(
                    Level::Error,
                    CRMD,
                    format!("own change of the CIB ({purpose:?}) was refused: {text} ({code})"),
                    out,
                );
                if purpose == Purpose::Status {
                    self.repair = Some(now.mono + REPAIR);
                }
            }
            ChangeOutcome::Busy | ChangeOutcome::Unknown | ChangeOutcome::NoQuorum { .. } => match purpose {
                Purpose::Announce | Purpose::Status => self.repair = Some(now.mono + REPAIR),
                Purpose::Records | Purpose::Members => {}
            },
        }
    }

    // --- attributes ----------------------------------------------------------------------------

    /// Sets a transient attribute of this node.
    pub(super) fn set_attribute(
        &mut self,
        now: Now,
        name: &str,
        value: Option<String>,
        delay: Option<Duration>,
        out: &mut Vec<ControllerAction>,
    ) {
        self.attribute_step(now, AttributeEvent::Set { name: name.to_owned(), value, delay }, out);
    }

    pub(super) fn attribute_step(
        &mut self,
        now: Now,
        event: AttributeEvent,
        out: &mut Vec<ControllerAction>,
    ) {
        let writes = self.attribute_writes(now, event, out);
        let (set, gone): (Vec<_>, Vec<_>) = writes.into_iter().partition(|(_, v)| v.is_some());
        let set: Vec<(String, String)> = set.into_iter().filter_map(|(n, v)| v.map(|v| (n, v))).collect();
        self.write_status(None, &set, out);
        for (name, _) in gone {
            self.delete_attribute(&name, out);
        }
    }

    /// What the attributes machine wants written; announcements go out at once.
    pub(super) fn attribute_writes(
        &mut self,
        now: Now,
        event: AttributeEvent,
        out: &mut Vec<ControllerAction>,
    ) -> Vec<(String, Option<String>)> {
        let mut actions = Vec::new();
        self.attributes.handle(now.mono, event, &mut actions);
        let mut writes = Vec::new();
        for action in actions {
            match action {
                AttributeAction::Write { name, value } => writes.push((name, value)),
                AttributeAction::Announce { name } => {
                    out.push(ControllerAction::Send {
                        to: BusAddress::All,
                        message: Message::Flush { name },
                    });
                }
            }
        }
        writes
    }

    fn delete_attribute(&mut self, name: &str, out: &mut Vec<ControllerAction>) {
        let nvpair = nvpair_id(&self.own_id(), name);
        if safe(&nvpair) {
            self.delete_status(
                &format!("/transient_attributes/instance_attributes/nvpair[@id='{nvpair}']"),
                out,
            );
        }
    }

    /// Removes the fail counts of a resource: all, or of one operation.
    pub(super) fn clear_failures(
        &mut self,
        now: Now,
        resource: &str,
        operation: Option<&str>,
        interval_ms: Option<u64>,
        out: &mut Vec<ControllerAction>,
    ) {
        let names: Vec<String> = self
            .attributes
            .names()
            .filter(|name| {
                let Some(rest) =
                    name.strip_prefix("fail-count-").or_else(|| name.strip_prefix("last-failure-"))
                else {
                    return false;
                };
                let (rsc, op) = rest.split_once('#').unwrap_or((rest, ""));
                let base = rsc.split(':').next().unwrap_or(rsc);
                let (name_of_op, interval) = op.rsplit_once('_').unwrap_or((op, ""));
                (rsc == resource || base == resource)
                    && operation.is_none_or(|wanted| wanted == name_of_op)
                    && interval_ms.is_none_or(|wanted| interval == wanted.to_string())
            })
            .map(str::to_owned)
            .collect();
        for name in names {
            self.set_attribute(now, &name, None, None, out);
        }
    }

    // --- requests of clients and other nodes ---------------------------------------------------

    pub(super) fn asked(&mut self, now: Now, asker: super::Asker, ask: Ask, out: &mut Vec<ControllerAction>) {
        let reply = match ask {
            Ask::SetAttribute { name, value, delay_ms, .. } => {
                self.set_attribute(now, &name, value, delay_ms.map(Duration::from_millis), out);
                Reply::default()
            }
            Ask::Cleanup { resource, operation, interval_ms } => {
                self.cleanup(now, &resource, operation.as_deref(), interval_ms, out);
                Reply::default()
            }
            Ask::Fail { resource } => {
                if self.fail(now, &resource, out) {
                    Reply::default()
                } else {
                    Reply::refused(1, format!("resource {resource} has no history on {}", self.config.name))
                }
            }
            // Fencing has its own machine.
            Ask::Fence { .. } | Ask::ConfirmFenced { .. } => Reply::refused(1, "not for the controller"),
            Ask::State => Reply::done(self.state),
            Ask::Shutdown => {
                self.shut_down(now, out);
                Reply::default()
            }
        };
        out.push(ControllerAction::Answer { asker, reply });
    }
}

/// The code of an operation on something that is not there (ENXIO).
pub(super) const NOT_FOUND: i32 = 105;

/// Whether a text may stand between quotes in an XPath.
pub(super) fn safe(text: &str) -> bool {
    !text.contains(['\'', '"', '<', '&'])
}

pub(super) fn modify_status(state: Element) -> Request {
    let mut request = Request::new(Operation::Modify);
    request.section = Some("status".into());
    request.input = Some(state);
    request.options.allow_create = true;
    request
}

pub(super) fn replace_state(state: Element) -> Request {
    let mut request = Request::new(Operation::Replace);
    request.section = Some("status".into());
    request.input = Some(state);
    request.options.allow_create = true;
    request
}

pub(super) fn delete_path(xpath: String) -> Request {
    let mut request = Request::new(Operation::Delete);
    request.xpath = Some(xpath);
    request
}
