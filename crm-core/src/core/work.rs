//! What controller, fencing and the queue want done: routed to each other, or turned into processes.

use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{GroupInput, Level};
use lrm::OpRequest;
use lrm::class::stonith::{FenceCall, FenceTarget};

use super::{Core, CoreAction, EXIT_STAY_DOWN, Owner, Step};
use crate::controller::agents::AgentFacts;
use crate::controller::{Asker, ControllerAction, ControllerEvent};
use crate::fencing::{self, FencingAction, FencingEvent, Requester};
use crate::message::{Ask, Message, Reply};

/// How long an agent may take to describe itself (specification `agents.md` §1.9.5).
const METADATA: Duration = Duration::from_secs(5);

pub(super) fn read_facts(agent: &lrm::AgentRef, outcome: &lrm::Outcome) -> Result<AgentFacts, String> {
    match &outcome.end {
        lrm::End::Code(0) => AgentFacts::read(agent, &String::from_utf8_lossy(&outcome.stdout)),
        lrm::End::Code(code) => Err(format!("it exits with status {code}")),
        lrm::End::Timeout => Err(format!("it takes longer than {} s", METADATA.as_secs())),
        lrm::End::Signal(signal) => Err(format!("it was ended by signal {signal}")),
        lrm::End::Killed => Err("it was ended".to_owned()),
        lrm::End::Failed(error) => Err(error.text().to_owned()),
    }
}

impl Core {
    pub(super) fn controller_action(&mut self, action: ControllerAction, out: &mut Vec<CoreAction>) {
        match action {
            ControllerAction::Change { token, request, announce, this_view } => {
                let options = ccm::group::RequestOptions {
                    announce,
                    this_view,
                    ..ccm::group::RequestOptions::default()
                };
                let change = ccm::group::Change::Cib(request);
                self.ask_group(Owner::Controller(token), change, options);
            }
            ControllerAction::Send { to, message } => self.send(to, &message),
            ControllerAction::Submit(request) => {
                self.steps.push_back(Step::Queue(lrm::Event::Submit(request)))
            }
            ControllerAction::Cancel { rsc, action, interval_ms } => {
                self.steps.push_back(Step::Queue(lrm::Event::Cancel { rsc, action, interval_ms }));
            }
            ControllerAction::Describe(agent) => self.describe(agent, out),
            ControllerAction::Flush { rsc } => self.steps.push_back(Step::Queue(lrm::Event::Flush { rsc })),
            ControllerAction::Plan { token, cib, situation } => {
                out.push(CoreAction::Plan { token, cib, situation });
            }
            ControllerAction::Fence { action, target, operation, timeout, delay } => {
                let requester = Requester::Plan(action);
                self.steps.push_back(Step::Fencing(FencingEvent::Fence {
                    requester,
                    target,
                    action: operation,
                    timeout,
                    delay,
                }));
            }
            ControllerAction::Fencing(enabled) => {
                self.steps.push_back(Step::Group(GroupInput::Fencing { enabled }));
            }
            ControllerAction::Answer { asker, reply } => match asker {
                Asker::Local(id) => self.answered(id, Ok(reply), out),
                Asker::Node(node, id) => self.send(BusAddress::Node(node), &Message::Answer { id, reply }),
            },
            ControllerAction::Leave => self.steps.push_back(Step::Group(GroupInput::Leave)),
            ControllerAction::Log { level, target, text } => {
                out.push(CoreAction::Log { level, target, text })
            }
        }
    }

    pub(super) fn fencing_action(&mut self, action: FencingAction, out: &mut Vec<CoreAction>) {
        match action {
            FencingAction::Send { to, message } => self.send(to, &message),
            FencingAction::Run { job, call } => self.run_fence_agent(job, &call, out),
            FencingAction::Ended { requester, record } => {
                let action = match requester {
                    Requester::Plan(action) => Some(action),
                    Requester::Client(asker) => {
                        let reply = match record.rc {
                            0 => Reply::default(),
                            code => Reply::refused(code, record.reason.clone()),
                        };
                        self.controller_action(ControllerAction::Answer { asker, reply }, out);
                        None
                    }
                };
                self.steps.push_back(Step::Controller(ControllerEvent::Fenced { action, record }));
            }
            FencingAction::Down { target } => {
                if let Some((node, inc)) = self.controller.identity(&target) {
                    self.steps.push_back(Step::Group(GroupInput::FenceConfirmed { node, inc }));
                }
            }
            FencingAction::FencedMyself { by } => {
                let reason = format!("We were allegedly just fenced by {by}!");
                out.push(CoreAction::Log {
                    level: Level::Error,
                    target: "crm_core::fencing",
                    text: reason.clone(),
                });
                self.exited = true;
                out.push(CoreAction::Exit { code: EXIT_STAY_DOWN, reason });
            }
            FencingAction::Log { level, text } => {
                out.push(CoreAction::Log { level, target: "crm_core::fencing", text });
            }
        }
    }

    pub(super) fn run_fence_agent(&mut self, job: u64, call: &fencing::Call, out: &mut Vec<CoreAction>) {
        let target = call.target.as_ref().map(|(node, argument, plug)| FenceTarget {
            node,
            argument: argument.as_deref(),
            plug,
        });
        let fence = FenceCall {
            agent: &call.agent,
            action: call.action,
            params: &call.params,
            target,
            timeout: Some(call.timeout),
        };
        match lrm::class::stonith::fence(&fence, self.queue.roots()) {
            Ok(command) => {
                let exec = self.queue.next_exec();
                self.fence_runs.insert(exec, job);
                let until = self.group.leased_until();
                out.push(CoreAction::Spawn { exec, op: None, command: Box::new(command), until });
            }
            Err(error) => {
                let end = lrm::End::Failed(lrm::SpawnError::Other(error.to_string()));
                let outcome = lrm::Outcome::of(end, Duration::ZERO);
                self.steps.push_back(Step::Fencing(FencingEvent::Exited { job, outcome }));
            }
        }
    }

    /// Has an agent print its meta-data.
    pub(super) fn describe(&mut self, agent: lrm::AgentRef, out: &mut Vec<CoreAction>) {
        match lrm::class::prepare(&OpRequest::meta_data(&agent, METADATA), self.queue.roots()) {
            lrm::class::Prepared::Run(command) => {
                let exec = self.queue.next_exec();
                self.descriptions.insert(exec, agent);
                let command = Box::new(command);
                out.push(CoreAction::Spawn { exec, op: None, command, until: None });
            }
            lrm::class::Prepared::Answer(_) => {
                let facts = Err("its class knows no meta-data".to_owned());
                self.steps.push_back(Step::Controller(ControllerEvent::Described { agent, facts }));
            }
        }
    }

    /// A client of this node or another wants a node fenced, or vouches that it is down.
    pub(super) fn asked_to_fence(&mut self, asker: Asker, ask: Ask) {
        let event = match ask {
            Ask::Fence { target, action, timeout_ms } => FencingEvent::Fence {
                requester: Requester::Client(asker),
                target,
                action,
                timeout: Duration::from_millis(timeout_ms),
                delay: Duration::ZERO,
            },
            Ask::ConfirmFenced { target } => FencingEvent::Confirm { asker, target },
            Ask::SetAttribute { .. }
            | Ask::Cleanup { .. }
            | Ask::Fail { .. }
            | Ask::State
            | Ask::Shutdown => return,
        };
        self.steps.push_back(Step::Fencing(event));
    }

    pub(super) fn queue_action(&mut self, action: lrm::Action, out: &mut Vec<CoreAction>) {
        match action {
            lrm::Action::Spawn { exec, op, command } => {
                let until = if op.is_harmless() { None } else { self.group.leased_until() };
                let (op, command) = (Some(Box::new(op)), Box::new(command));
                out.push(CoreAction::Spawn { exec, op, command, until });
            }
            lrm::Action::Kill { exec } => out.push(CoreAction::Kill { exec }),
            lrm::Action::Confirm(exec) => out.push(CoreAction::Confirm { exec }),
            lrm::Action::Report(result) => {
                self.steps.push_back(Step::Controller(ControllerEvent::Reported(result)));
            }
            lrm::Action::NotCancelled { rsc, action, interval_ms, why } => {
                let gone = why == lrm::Refusal::Unknown;
                self.steps.push_back(Step::Controller(ControllerEvent::NotCancelled {
                    rsc,
                    action,
                    interval_ms,
                    gone,
                }));
            }
            lrm::Action::Flushed { .. } => {}
        }
    }
}
