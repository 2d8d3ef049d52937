//! Tickets (`crm_mon -c`).

use super::failures::long_time;
use crate::policy::render::List;
use crate::policy::state::State;

/// Writes the tickets that constraints or the status section name, if there are any.
pub fn tickets(list: &mut List, st: &State) -> bool {
    if st.tickets.is_empty() {
        return false;
    }
    list.begin("Tickets");
    for (name, ticket) in &st.tickets {
        let granted = if ticket.granted { "granted" } else { "revoked" };
        let standby = if ticket.standby { " [standby]" } else { "" };
        let last = if ticket.last_granted > -1 {
            format!(" last-granted=\"{}\"", long_time(ticket.last_granted, st.utc_offset))
        } else {
            String::new()
        };
        list.item(&format!("{name}: {granted}{standby}{last}"));
    }
    list.end();
    true
}
