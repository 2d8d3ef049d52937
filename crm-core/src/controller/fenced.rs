//! The DC hears how a fencing ended.

use ccm::bus::BusAddress;

use super::{Controller, ControllerAction};
use crate::message::{Ask, FenceRecord, Message, NOBODY};
use crate::now::Now;
use crate::policy::graph::ActionId;
use crate::transition::{Outcome, TransitionEvent};

impl Controller {
    pub(super) fn fenced(
        &mut self,
        now: Now,
        action: Option<ActionId>,
        record: FenceRecord,
        out: &mut Vec<ControllerAction>,
    ) {
        let ok = record.rc == 0;
        if ok {
            self.duty.fence_failures.remove(&record.target);
            if self.is_dc() && record.action != "on" {
                self.record_fenced(&record.target, out);
            } else if self.is_dc()
                && let Some(action) = action
            {
                self.record_unfenced(now, action, &record.target, out);
            }
        } else {
            let count = self.duty.fence_failures.entry(record.target.clone()).or_default();
            *count = count.saturating_add(1);
        }
        match action {
            Some(id) if self.duty.transition.as_ref().is_some_and(|t| t.is_pending(id)) => {
                let outcome = if ok { Outcome::Ok } else { Outcome::Failed };
                self.transition_step(now, TransitionEvent::Result { action: id, outcome }, out);
            }
            _ => self.abort(now, format!("External fencing of {}", record.target), out),
        }
    }

    /// What the plan looks for on a node that has access again: when, and by which definition of the devices.
    fn record_unfenced(&mut self, now: Now, action: ActionId, target: &str, out: &mut Vec<ControllerAction>) {
        let Some(action) = self.duty.transition.as_ref().and_then(|t| t.action(action)) else { return };
        let digests = |name: &str| action.attribute(name).unwrap_or_default().to_owned();
        let values = [
            ("#digests-all", digests("CRM_meta_digests_all")),
            ("#digests-secure", digests("CRM_meta_digests_secure")),
            ("#node-unfenced", now.seconds().to_string()),
        ];
        let member = self.view().and_then(|v| v.members.iter().find(|m| m.name == target)).map(|m| m.id);
        for (name, value) in values {
            match member {
                Some(id) if id == self.config.id => self.set_attribute(now, name, Some(value), None, out),
                Some(id) => {
                    let (name, value) = (name.to_owned(), Some(value));
                    let ask = Ask::SetAttribute { name, value, set: None, delay_ms: None };
                    // Nobody waits for the answer: a plan that misses the attribute asks for the action again.
                    let message = Message::Ask { id: NOBODY, ask };
                    out.push(ControllerAction::Send { to: BusAddress::Node(id), message });
                }
                None => {}
            }
        }
    }

    pub(super) fn fence_attempts_exhausted(&self, target: &str) -> bool {
        let limit = self.settings.stonith_max_attempts;
        self.duty.fence_failures.get(target).is_some_and(|count| i64::from(*count) >= limit)
    }
}
