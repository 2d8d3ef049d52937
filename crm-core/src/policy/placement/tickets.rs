//! Ticket constraints.

use super::Placer;
use super::lookup::{Named, any_role};
use crate::policy::ix::ResourceIx;
use crate::policy::ledger::{Ledger, Source};
use crate::policy::state::{Role, Ticket, TicketUse};
use crate::policy::values::INFINITY;
use cib::Element;

/// What happens to a resource that loses its ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    Stop,
    Demote,
    Freeze,
    Fence,
}

impl<L: Ledger> Placer<'_, L> {
    /// One `rsc_ticket`.
    pub fn ticket(&mut self, e: &Element) {
        let id = e.id().unwrap_or("").to_owned();
        let Some(ticket) = e.attr("ticket").filter(|t| !t.is_empty()).map(str::to_owned) else {
            self.s.complaints.error(
                "ticket-missing",
                &id,
                format!("Ignoring constraint '{id}' without ticket specified"),
            );
            return;
        };
        self.s
            .tickets
            .entry(ticket.clone())
            .or_insert_with(|| Ticket { last_granted: -1, ..Ticket::default() });
        let policy = e.attr("loss-policy");
        if let Some(name) = e.attr("rsc") {
            let role = e.attr("rsc-role");
            match self.s.named(name) {
                Named::Resource(r) => self.ticket_of(&id, &ticket, r, any_role(role), policy),
                Named::Many(names) => {
                    for r in self.s.members_of(name, &names) {
                        self.ticket_of(&id, &ticket, r, any_role(role), policy);
                    }
                }
                Named::Nothing => self.s.unknown_name(&id, name),
            }
            return;
        }
        if e.child("resource_set").is_none() {
            self.s.complaints.error(
                "ticket-without-resource",
                &id,
                format!("Ignoring constraint '{id}' without resource"),
            );
            return;
        }
        for set in self.s.resource_sets(e) {
            let role = any_role(set.role.as_deref());
            for r in self.s.members_or_complaint(&set) {
                self.ticket_of(&id, &ticket, r, role, policy);
            }
            if set.missing().is_some() {
                return;
            }
        }
    }

    fn ticket_of(&mut self, id: &str, ticket: &str, r: ResourceIx, role: Role, policy: Option<&str>) {
        let is = |w: &str| policy.is_some_and(|p| p.eq_ignore_ascii_case(w));
        let loss = if is("fence") {
            if self.s.options.stonith_enabled {
                Loss::Fence
            } else {
                self.s.complaints.error(
                    "ticket-fence",
                    ticket,
                    format!("Resetting 'loss-policy' for ticket '{ticket}' to 'stop' because fencing is not configured"),
                );
                Loss::Stop
            }
        } else if is("freeze") {
            Loss::Freeze
        } else if is("demote") {
            Loss::Demote
        } else if is("stop") {
            Loss::Stop
        } else if role == Role::Promoted {
            Loss::Demote
        } else {
            Loss::Stop
        };
        self.s.ticket_uses.push(TicketUse {
            constraint: id.to_owned(),
            ticket: ticket.to_owned(),
            resource: r,
            role,
        });
        let Some(t) = self.s.tickets.get(ticket) else { return };
        let (granted, standby) = (t.granted, t.standby);
        if !granted || standby {
            self.without_ticket(id, ticket, r, role, loss, granted);
        }
    }

    fn without_ticket(
        &mut self,
        id: &str,
        ticket: &str,
        r: ResourceIx,
        role: Role,
        loss: Loss,
        granted: bool,
    ) {
        if !self.s[r].children.is_empty() {
            for c in self.s[r].children.clone() {
                self.without_ticket(id, ticket, c, role, loss, granted);
            }
            return;
        }
        let source = Source::Ticket { ticket, constraint: id };
        let active = !self.s[r].running_on.is_empty();
        if granted || !active {
            if role != Role::Promoted || loss == Loss::Stop {
                self.s.nudge_all(self.ledger, r, -INFINITY, source);
            }
            return;
        }
        let concerns = role == Role::Unknown || role == self.s[r].role;
        match loss {
            Loss::Stop => self.s.nudge_all(self.ledger, r, -INFINITY, source),
            Loss::Demote => {
                if role != Role::Promoted {
                    self.s.nudge_all(self.ledger, r, -INFINITY, source);
                }
            }
            Loss::Fence => {
                if concerns {
                    self.s.nudge_all(self.ledger, r, -INFINITY, source);
                    for n in self.s[r].running_on.clone() {
                        self.s.fence_node(n, "deadman ticket was lost", false);
                    }
                }
            }
            Loss::Freeze => {
                if concerns {
                    self.s[r].flags.managed = false;
                    self.s[r].flags.blocked = true;
                }
            }
        }
    }
}
