//! When a view is complete: the state of every member is in the status section, and so is all that each of them
//! learned of itself while there was no view.
//!
//! The group carries the status of members that come from the same view over to the next one (R9.12). What such a
//! member did meanwhile it may not have been able to write: an operation that had just begun, or ended. A plan that
//! does not know of it could start elsewhere what has just been started there. So every member says when what it had
//! to write at its entry is written, and the DC plans when it has heard that from all, or a dead time has passed.

use std::collections::BTreeSet;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::NodeId;

use super::{CRMD, Controller, ControllerAction, Purpose};
use crate::message::Message;
use crate::now::Now;

/// What the present view waits for, at a member and at the DC.
#[derive(Debug, Default)]
pub(super) struct Completion {
    /// The group has the state of all members.
    pub(super) carried: bool,
    /// What was ordered in an earlier view and had not begun is void, and taken back.
    pub(super) voided: bool,
    /// Own changes of the CIB from before this view, or in the place of such, that have no outcome yet.
    owed: BTreeSet<u64>,
    /// The DC knows that nothing is owed.
    said: bool,
    /// Members that owe nothing.
    written: BTreeSet<NodeId>,
    /// The DC waits no longer than until then.
    pub(super) until: Option<Duration>,
}

impl Completion {
    /// A view begins, with these own changes under way.
    pub(super) fn new(owed: impl Iterator<Item = u64>, until: Duration) -> Self {
        Self { owed: owed.collect(), until: Some(until), ..Self::default() }
    }
}

impl Controller {
    /// Tokens of own changes under way that say what this node is like.
    pub(super) fn owed(&self) -> impl Iterator<Item = u64> + use<'_> {
        let own = |p: &Purpose| matches!(p, Purpose::Announce | Purpose::Status);
        self.pending.iter().filter(move |(_, purpose)| own(purpose)).map(|(token, _)| *token)
    }

    /// A change that repeats what could not be written is owed in its place.
    pub(super) fn owe(&mut self, token: u64) {
        if !self.completion.said {
            self.completion.owed.insert(token);
        }
    }

    /// An own change has an outcome; if it failed, a repair is due.
    pub(super) fn owes_no_more(&mut self, token: u64) {
        self.completion.owed.remove(&token);
    }

    /// A member owes nothing.
    pub(super) fn written_by(&mut self, member: NodeId) {
        self.completion.written.insert(member);
    }

    /// Tells the DC, once in a view, that everything is written; and as DC, begins when all have said so.
    pub(super) fn advance_completion(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        let Some(view) = self.view() else { return };
        let (dc, id) = (view.dc, self.config.id);
        let all: Vec<(NodeId, String)> = view.members.iter().map(|m| (m.id, m.name.clone())).collect();
        let state = &mut self.completion;
        if !state.said && state.voided && state.owed.is_empty() && self.repair.is_none() {
            state.said = true;
            if dc == id {
                state.written.insert(id);
            } else {
                out.push(ControllerAction::Send { to: BusAddress::Node(dc), message: Message::Written });
            }
        }
        if self.complete || !self.completion.carried {
            return;
        }
        if dc == id {
            let missing = all.iter().filter(|(id, _)| !self.completion.written.contains(id));
            let missing: Vec<&str> = missing.map(|(_, name)| name.as_str()).collect();
            let late = self.completion.until.is_none_or(|at| at <= now.mono);
            if !missing.is_empty() && !late {
                return;
            }
            if !missing.is_empty() {
                let text =
                    format!("{} may know more than is written: not waiting longer", missing.join(", "));
                self.log(Level::Warning, CRMD, text, out);
            }
        }
        self.complete = true;
        self.completion.until = None;
        if dc == id {
            let text = format!("All {} cluster nodes are eligible to run resources.", all.len());
            self.log(Level::Info, CRMD, text, out);
            self.record_nodes(false, out);
            self.want_plan("All cluster nodes are eligible to run resources");
        }
    }

    /// When the DC stops waiting.
    pub(super) fn completion_deadline(&self) -> Option<Duration> {
        self.completion.until.filter(|_| self.is_dc() && !self.complete && self.completion.carried)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ccm::group::{Out, OutReason, Outcome, View, Visible};
    use cib::Cib;

    use super::super::ControllerEvent;
    use super::super::testing::{DEADTIME, DONE, One, STAMP, gone, id, view};
    use super::*;

    /// What a member began or ended while there was no view is written before anything is planned: else the
    /// plan could start elsewhere what it has just started.
    #[test]
    fn the_dc_plans_when_every_member_has_written_what_it_did_between_views() {
        let mut dc = One::new(1);
        dc.view();
        dc.answer(&DONE);
        assert_eq!((dc.plans(), dc.controller.state()), (0, "S_INTEGRATION"));
        dc.give(ControllerEvent::Message { from: id(2), message: Message::Written });
        dc.answer(&DONE);
        assert_eq!(dc.plans(), 1);
    }

    /// A member that never says so is not waited for longer than a dead time.
    #[test]
    fn the_dc_does_not_wait_for_ever() {
        let mut dc = One::new(1);
        dc.view();
        dc.answer(&DONE);
        assert_eq!(dc.controller.deadline(), Some(dc.now + DEADTIME));
        dc.now += DEADTIME;
        dc.give(ControllerEvent::Wake);
        dc.answer(&DONE);
        assert_eq!(dc.plans(), 1);
        assert!(dc.controller.deadline().is_none_or(|at| at > dc.now));
    }

    /// A member says so when its own results have an outcome, and at once when there are none.
    #[test]
    fn a_member_says_when_its_results_are_written() {
        let mut idle = One::new(2);
        idle.view();
        assert_eq!(idle.said(), 1);

        let mut busy = One::new(2);
        busy.give(ControllerEvent::Frozen);
        busy.result();
        busy.view();
        assert_eq!(busy.said(), 0);
        // What it does in this view is news like any other.
        busy.result();
        let first = *busy.controller.pending.keys().next().unwrap();
        busy.give(ControllerEvent::Changed { token: first, outcome: DONE });
        assert_eq!(busy.said(), 1);
        busy.answer(&DONE);
        assert_eq!(busy.said(), 1);
    }

    /// A result that could not be written is announced with everything else first.
    #[test]
    fn a_member_whose_result_was_not_taken_announces_itself_first() {
        let mut member = One::new(2);
        member.give(ControllerEvent::Frozen);
        member.result();
        member.answer(&Outcome::Unknown);
        member.view();
        assert_eq!(member.said(), 0);
        let announced = |a: &&ControllerAction| match a {
            ControllerAction::Change { request, .. } => request.op == cib::Operation::Replace,
            _ => false,
        };
        assert_eq!(member.done.iter().filter(announced).count(), 1);
        member.answer(&DONE);
        assert_eq!(member.said(), 1);
        let visible = Visible {
            cib: Cib::empty(),
            before: Cib::empty(),
            at: STAMP,
            by_entry: true,
            by: None,
            durable: false,
        };
        member.give(ControllerEvent::Visible(Box::new(visible)));
        assert_eq!(member.said(), 1);
    }

    /// The DC alone, entering this view, has written what it had to write.
    fn alone(view: View) -> One {
        let mut dc = One::new(1);
        dc.enter(View { members: view.members[..1].to_vec(), ..view });
        dc.answer(&DONE);
        dc
    }

    /// Who was left out while somebody heard it has a dead time to let go, unless it falls silent.
    #[test]
    fn an_excluded_node_is_waited_for_until_it_is_silent() {
        let excluded = gone(2, OutReason::Excluded, Duration::from_secs(14));
        let Out { id, inc, .. } = excluded;
        let mut dc = alone(View { out: vec![excluded], ..view() });
        assert_eq!((dc.plans(), dc.controller.deadline()), (0, Some(Duration::from_secs(14))));
        dc.now += Duration::from_millis(100);
        dc.give(ControllerEvent::Silent { id, inc });
        assert_eq!(dc.plans(), 1);
    }

    /// Half of the votes fences the other half where it lost it, and lets it come where it did not.
    #[test]
    fn half_of_the_votes_waits_for_who_was_not_lost() {
        let tied = || View { exclusive: false, writable: false, tie: true, ..view() };
        let mut dc = alone(tied());
        assert_eq!(dc.plans(), 0);
        dc.now += DEADTIME;
        dc.give(ControllerEvent::Wake);
        assert_eq!(dc.plans(), 1);

        let dc = alone(View { out: vec![gone(2, OutReason::Silent, Duration::from_secs(10))], ..tied() });
        assert_eq!(dc.plans(), 1);
    }
}
