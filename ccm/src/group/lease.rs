//! The lease: knowing that one may have been left behind (protocol §6).

use std::time::Duration;

use super::{Group, GroupEvent, Phase};

impl Group {
    /// R6: the lease of the active view at this moment.
    pub(super) fn check_lease(&mut self) {
        let me = self.config.id;
        let Some(view) = &self.view else { return };
        if !matches!(
            self.phase,
            Phase::Active | Phase::Proposing(_) | Phase::Promised { .. } | Phase::Installing(_)
        ) {
            return;
        }
        let leased = view
            .members
            .iter()
            .filter(|m| m.id != me)
            .all(|m| self.edges.lease_until(m.id).is_some_and(|t| self.now < t));
        if !leased {
            self.suspend();
        } else if view.suspended && view.broken.is_none() && !view.frozen {
            if let Some(view) = &mut self.view {
                view.suspended = false;
            }
            self.event(GroupEvent::Resumed);
            self.dirty = true;
        }
    }

    pub(super) fn suspend(&mut self) {
        if let Some(view) = &mut self.view
            && !view.suspended
        {
            view.suspended = true;
            self.event(GroupEvent::Suspended);
        }
    }

    pub(super) fn lease_deadline(&self) -> Option<Duration> {
        let view = self.view.as_ref().filter(|v| !v.suspended)?;
        view.members.iter().filter_map(|m| self.edges.lease_until(m.id)).min()
    }
}
