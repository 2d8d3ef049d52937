//! What the group wants, tells and delivers, and what is asked of it.

use ccm::bus::BusAddress;
use ccm::group::{GroupAction, GroupEvent, GroupInput, Level, Outcome as ChangeOutcome, ReadAnswer};
use ccm::seam::{DuplicateWhat, NodeId};

use super::{Core, CoreAction, EXIT_AGAIN, Owner, Step};
use crate::controller::{Asker, ControllerEvent};
use crate::fencing::{FencingEvent, Members};
use crate::message::{Ask, Message};
use crate::now::Now;

const CCM: &str = "ccm";

impl Core {
    pub(super) fn group_action(&mut self, now: Now, action: GroupAction, out: &mut Vec<CoreAction>) {
        match action {
            GroupAction::Link(command) => out.push(CoreAction::Link(command)),
            GroupAction::Persist { token, record } => out.push(CoreAction::Persist { token, record }),
            GroupAction::Event(event) => self.group_event(now, event, out),
            GroupAction::Reply { token, outcome } => self.replied(token, outcome, out),
            GroupAction::Read { token, answer } => self.read(token, answer, out),
            GroupAction::Visible(visible) => {
                self.changed = true;
                self.steps.push_back(Step::Fencing(FencingEvent::Visible(visible.cib.clone())));
                self.steps.push_back(Step::Controller(ControllerEvent::Visible(Box::new(visible))));
            }
            GroupAction::Log { level, text } => out.push(CoreAction::Log { level, target: CCM, text }),
            GroupAction::Left => {
                self.exited = true;
                out.push(CoreAction::Exit { code: 0, reason: String::new() });
            }
        }
    }

    pub(super) fn group_event(&mut self, now: Now, event: GroupEvent, out: &mut Vec<CoreAction>) {
        self.changed = true;
        let event = match event {
            GroupEvent::Frozen => {
                self.steps.push_back(Step::Fencing(FencingEvent::View(None)));
                ControllerEvent::Frozen
            }
            GroupEvent::Suspended => {
                self.steps.push_back(Step::Fencing(FencingEvent::Suspended(true)));
                let members: Vec<String> = self
                    .controller
                    .view()
                    .map(|v| v.members.iter().map(|m| m.name.clone()).collect())
                    .unwrap_or_default();
                let configured = self.group.config().nodes.len();
                let risk = self.peers.quorum_at_risk(now.mono, configured, &members);
                self.steps.push_back(Step::Controller(ControllerEvent::QuorumAtRisk(risk)));
                ControllerEvent::Suspended(true)
            }
            GroupEvent::Resumed => {
                self.steps.push_back(Step::Fencing(FencingEvent::Suspended(false)));
                self.steps.push_back(Step::Controller(ControllerEvent::QuorumAtRisk(false)));
                ControllerEvent::Suspended(false)
            }
            GroupEvent::ViewChanged(view) => {
                self.peers.enter(now.mono, &view);
                let nodes = view.members.iter().map(|m| (m.name.clone(), m.id)).collect();
                let incs = view.members.iter().map(|m| (m.name.clone(), m.inc)).collect();
                let members = Members { nodes, incs, dc: view.dc };
                self.steps.push_back(Step::Fencing(FencingEvent::View(Some(members))));
                // What was ordered in an earlier view is void (G11), wherever it still waits for its turn.
                self.steps.push_back(Step::Queue(lrm::Event::Void));
                ControllerEvent::View(Box::new(view))
            }
            GroupEvent::StatusComplete { view } => ControllerEvent::StatusComplete(view),
            GroupEvent::Deliver { from, payload } => return self.deliver(from, &payload, out),
            GroupEvent::Dropped { payload, .. } => return self.dropped(&payload, out),
            GroupEvent::Evicted { reason } => {
                let text = format!("put out of the membership by the others: {reason}");
                out.push(CoreAction::Log { level: Level::Error, target: CCM, text });
                ControllerEvent::Evicted
            }
            GroupEvent::Silent { id, inc } => ControllerEvent::Silent { id, inc },
            GroupEvent::StorageLost { error } => ControllerEvent::StorageLost { error },
            GroupEvent::Duplicate { what, name, addresses: [first, second] } => {
                let text = match what {
                    DuplicateWhat::Uuid => format!(
                        "two machines with the same hb_uuid: {name}, at {first} and at {second}; one is a copy of \
                         the other: stop that one and remove its hb_uuid, it gets its own at the next start"
                    ),
                    DuplicateWhat::Name => format!(
                        "two machines with the same name: {name}, at {first} and at {second}; give one of them \
                         another (if one has just lost its hb_uuid, it is let in after the dead time)"
                    ),
                };
                out.push(CoreAction::Log { level: Level::Error, target: CCM, text });
                return;
            }
            GroupEvent::Foreign { name, alive } => return self.foreign(name, alive),
        };
        self.steps.push_back(Step::Controller(event));
    }

    /// The others know a later start of this node: its disk went back in time (R3.2).
    pub(super) fn set_back(&mut self, known: u64, out: &mut Vec<CoreAction>) {
        let reason = format!("the others know generation {known} of this node, which is higher");
        self.exited = true;
        out.push(CoreAction::RaiseGeneration { known });
        out.push(CoreAction::Exit { code: EXIT_AGAIN, reason });
    }

    pub(super) fn foreign(&mut self, name: String, alive: bool) {
        let was = !self.foreign.is_empty();
        if alive {
            self.foreign.insert(name);
        } else {
            self.foreign.remove(&name);
        }
        let is = !self.foreign.is_empty();
        if was != is {
            self.changed = true;
            let names = self.foreign.iter().cloned().collect();
            self.steps.push_back(Step::Controller(ControllerEvent::Foreign(names)));
        }
    }

    pub(super) fn deliver(&mut self, from: NodeId, payload: &[u8], out: &mut Vec<CoreAction>) {
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                let text = format!("a message of {from} is ignored: {error}");
                out.push(CoreAction::Log { level: Level::Warning, target: "crm_core", text });
                return;
            }
        };
        match message {
            Message::Answer { id, reply } => self.answered(id, Ok(reply), out),
            message if message.is_fencing() => {
                self.changed = true;
                self.steps.push_back(Step::Fencing(FencingEvent::Message { from, message }));
            }
            Message::Ask { id, ask: ask @ (Ask::Fence { .. } | Ask::ConfirmFenced { .. }) } => {
                self.asked_to_fence(Asker::Node(from, id), ask);
            }
            message => self.steps.push_back(Step::Controller(ControllerEvent::Message { from, message })),
        }
    }

    pub(super) fn dropped(&mut self, payload: &[u8], out: &mut Vec<CoreAction>) {
        match Message::decode(payload) {
            Ok(Message::Ask { id, .. }) => {
                self.answered(id, Err("the membership changed before the node answered"), out);
            }
            Ok(message) if message.is_fencing() => {
                self.steps.push_back(Step::Fencing(FencingEvent::Dropped { message }));
            }
            Ok(message) => self.steps.push_back(Step::Controller(ControllerEvent::Dropped { message })),
            Err(_) => {}
        }
    }
    pub(super) fn send(&mut self, to: BusAddress, message: &Message) {
        self.steps.push_back(Step::Group(GroupInput::Bus { to, payload: message.encode() }));
    }

    pub(super) fn token(&mut self, owner: Owner) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.owners.insert(token, owner);
        token
    }

    pub(super) fn ask_group(
        &mut self,
        owner: Owner,
        change: ccm::group::Change,
        options: ccm::group::RequestOptions,
    ) {
        let token = self.token(owner);
        self.steps.push_back(Step::Group(GroupInput::Request { token, change, options }));
    }

    pub(super) fn replied(&mut self, token: u64, outcome: ChangeOutcome, out: &mut Vec<CoreAction>) {
        match self.owners.remove(&token) {
            Some(Owner::Controller(token)) => {
                self.steps.push_back(Step::Controller(ControllerEvent::Changed { token, outcome }));
            }
            Some(Owner::Client { id, what }) => self.client_outcome(id, what, outcome, out),
            Some(Owner::Nobody) | None => {}
        }
    }

    pub(super) fn read(&mut self, token: u64, answer: ReadAnswer, out: &mut Vec<CoreAction>) {
        if let Some(Owner::Client { id, what }) = self.owners.remove(&token) {
            self.client_read(id, what, answer, out);
        }
    }
}
