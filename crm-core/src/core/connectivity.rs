//! The score of reached ping nodes, kept as an attribute of this node (what `pingd` gave).

use ccm::config::Connectivity;
use ccm::link::ipfail;
use cib::Element;

use super::{Core, Step};
use crate::controller::ControllerEvent;

impl Core {
    /// From now on the score is kept; to be called before the first event.
    pub fn keep_connectivity(&mut self, how: Connectivity) {
        self.connectivity = Some(how);
    }

    /// A ping node answers, or does not any more. Where a resource of the cluster keeps the same
    /// attribute, the score is left to it: two writers with two multipliers would move resources.
    pub(super) fn ping_changed(&mut self) {
        let Some(how) = &self.connectivity else { return };
        if kept_by_a_resource(self.controller.cib().root(), &how.name) {
            return;
        }
        let reached = how.pings.iter().filter(|name| self.peers.reaches(name)).count();
        let value = ipfail::connectivity(reached, how.multiplier).to_string();
        self.steps.push_back(Step::Controller(ControllerEvent::Attribute {
            name: how.name.clone(),
            value: Some(value),
            delay: Some(how.dampening),
        }));
    }
}

/// Whether a `ping` or `pingd` resource writes this attribute (parameter `name`, by default `pingd`).
fn kept_by_a_resource(cib: &Element, attribute: &str) -> bool {
    let mut waiting = vec![cib];
    while let Some(element) = waiting.pop() {
        if element.name() == "status" {
            continue;
        }
        if element.name() == "primitive" && matches!(element.attr("type"), Some("ping" | "pingd")) {
            let name = element
                .children_named("instance_attributes")
                .flat_map(|set| set.children_named("nvpair"))
                .find(|pair| pair.attr("name") == Some("name"))
                .and_then(|pair| pair.attr("value"));
            if name.unwrap_or("pingd") == attribute {
                return true;
            }
        }
        waiting.extend(element.children());
    }
    false
}
