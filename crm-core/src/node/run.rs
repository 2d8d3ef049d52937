//! The core's own thread: one loop that hands events to the core and carries its actions out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ccm::group::Level;
use ccm::runtime::{LinkHandle, now as mono};
use ccm::seam::LinkCommand;
use lrm::{ExecId, OpRequest};
use tokio::sync::{oneshot, watch};

use super::agents::Agents;
use super::disk::Disk;
use super::{NodeEnd, identity};
use crate::client::{ClientRequest, Outcome, RequestError};
use crate::core::{Core, CoreAction, CoreEvent, PlanMaker};
use crate::now::Now;
use crate::status::{NodeStatus, PeerLink};

/// The answer to a client's request.
pub(super) type Answer = oneshot::Sender<Result<Outcome, RequestError>>;

/// What wakes the core's thread.
pub(super) enum Input {
    /// The heartbeat thread has queued events.
    Link,
    Event(Box<CoreEvent>),
    /// `authkeys` was read again.
    Keys(ccm::wire::Keys),
    Client(Box<ClientRequest>, Answer),
}

/// How long the loop waits when the core names no time.
const LONGEST: Duration = Duration::from_secs(1);
/// Link events taken before anything else has its turn.
const BATCH: usize = 256;

/// A step that takes longer is told: a core without progress for a dead time stops this node's heartbeats.
const LONG: Duration = Duration::from_millis(250);

/// Everything the thread owns.
pub(super) struct Run {
    pub core: Core,
    pub link: LinkHandle,
    pub disk: Disk,
    pub agents: Agents,
    pub inputs: Sender<Input>,
    pub received: Receiver<Input>,
    pub status: watch::Sender<Arc<NodeStatus>>,
    /// Goes on from its last plan.
    pub planner: Arc<Mutex<PlanMaker>>,
    /// Where `hb_generation` lies.
    pub state: PathBuf,
    pub warned: BTreeSet<String>,
    /// The state of the links that was published last.
    pub links_shown: u64,
}

/// The time now, on both clocks.
pub(super) fn clock() -> Now {
    let wall = match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    };
    let utc_offset = jiff::Timestamp::from_nanosecond(i128::from(wall))
        .map(|t| jiff::tz::TimeZone::system().to_offset(t).seconds())
        .unwrap_or(0);
    Now { mono: mono(), wall, utc_offset }
}

impl Run {
    /// Runs until the node has ended.
    pub(super) fn run(mut self, adopted: Vec<(ExecId, OpRequest)>) -> NodeEnd {
        let mut clients: BTreeMap<u64, Answer> = BTreeMap::new();
        let mut next_client = 1;
        let mut end = None;
        for (exec, op) in adopted {
            self.step(CoreEvent::Adopted { exec, op }, &mut clients, &mut end);
        }
        self.step(CoreEvent::Wake, &mut clients, &mut end);
        while end.is_none() {
            let wait = self.core.deadline().map_or(LONGEST, |at| at.saturating_sub(mono()).min(LONGEST));
            match self.received.recv_timeout(wait) {
                Ok(Input::Link) => self.take_link(&mut clients, &mut end),
                // Without the thread the next command ends this node.
                Ok(Input::Keys(keys)) => _ = self.link.keys(keys),
                Ok(Input::Event(event)) => self.step(*event, &mut clients, &mut end),
                Ok(Input::Client(request, answer)) => {
                    let id = next_client;
                    next_client += 1;
                    clients.insert(id, answer);
                    self.step(CoreEvent::Client { id, request: *request }, &mut clients, &mut end);
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The thread holds a sender itself.
                Err(RecvTimeoutError::Disconnected) => {}
            }
            if self.link.report_changes() != self.links_shown {
                self.publish();
            }
            if end.is_none() && self.core.deadline().is_some_and(|at| at <= mono()) {
                self.step(CoreEvent::Wake, &mut clients, &mut end);
                // A machine that names a time in the past again must not take the processor.
                if self.core.deadline().is_some_and(|at| at + Duration::from_millis(1) <= mono()) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        let end = end.unwrap_or(NodeEnd { code: 1, reason: String::new() });
        for (_, answer) in clients {
            let _ = answer.send(Err(RequestError::Stopped));
        }
        self.publish();
        self.link.stop();
        self.disk.close();
        end
    }

    fn take_link(&mut self, clients: &mut BTreeMap<u64, Answer>, end: &mut Option<NodeEnd>) {
        for _ in 0..BATCH {
            if end.is_some() {
                return;
            }
            match self.link.next_event() {
                Some(event) => self.step(CoreEvent::Link(event), clients, end),
                None => return,
            }
        }
        // There may be more; others have their turn first.
        let _ = self.inputs.send(Input::Link);
    }

    fn step(&mut self, event: CoreEvent, clients: &mut BTreeMap<u64, Answer>, end: &mut Option<NodeEnd>) {
        let now = clock();
        let name = event.name();
        if matches!(event, CoreEvent::Stop | CoreEvent::Client { request: ClientRequest::Shutdown, .. }) {
            let text = format!("Heartbeat shutdown in progress. ({})", std::process::id());
            log(Level::Info, "heartbeat", &text);
        }
        let mut actions = Vec::new();
        self.core.handle(now, event, &mut actions);
        let mut changed = false;
        for action in actions {
            match action {
                CoreAction::Link(command) => {
                    if matches!(command, LinkCommand::SetBeat(_)) && !self.core.is_suspended() {
                        self.agents.tickle();
                    }
                    if self.link.command(command).is_err() {
                        let reason = "the heartbeat thread has ended".to_owned();
                        end.get_or_insert(NodeEnd { code: 1, reason });
                    }
                }
                CoreAction::Persist { token, record } => self.disk.persist(token, record),
                CoreAction::Spawn { exec, op, command, until } => {
                    self.agents.spawn(exec, op.as_deref(), *command, until);
                }
                CoreAction::Kill { exec } => self.agents.kill(exec),
                CoreAction::Confirm { exec } => self.agents.confirm(exec),
                CoreAction::Plan { token, cib, situation } => self.plan(token, cib, situation),
                CoreAction::Reply { id, result } => {
                    if let Some(answer) = clients.remove(&id) {
                        // The client may have gone; the request went on all the same.
                        let _ = answer.send(*result);
                    }
                }
                CoreAction::Status => changed = true,
                CoreAction::Log { level, target, text } => log(level, target, &text),
                CoreAction::RaiseGeneration { known } => {
                    if let Err(error) = identity::raise_above(&self.state, known) {
                        log(Level::Error, "heartbeat", &error.to_string());
                    }
                }
                CoreAction::Exit { code, reason } => {
                    end.get_or_insert(NodeEnd { code, reason });
                }
            }
        }
        if changed {
            self.publish();
        }
        let took = mono().saturating_sub(now.mono);
        if took >= LONG {
            let text = format!("one step of the core took {} ms (event: {name})", took.as_millis());
            log(Level::Info, "crm_core", &text);
        }
    }

    fn plan(&self, token: u64, cib: cib::Cib, situation: crate::policy::Situation) {
        let inputs = self.inputs.clone();
        let planner = Arc::clone(&self.planner);
        let spawned = std::thread::Builder::new().name("planner".to_owned()).spawn(move || {
            let mut planner = planner.lock().unwrap_or_else(PoisonError::into_inner);
            let plan = planner.make(&cib, &situation);
            let _ = inputs.send(Input::Event(Box::new(CoreEvent::Planned { token, plan })));
            planner.prepare();
        });
        if let Err(error) = spawned {
            let plan = crate::core::Planned {
                graph: Err(format!("no thread for the planner: {error}")),
                complaints: Vec::new(),
            };
            let _ = self.inputs.send(Input::Event(Box::new(CoreEvent::Planned { token, plan })));
        }
    }

    fn publish(&mut self) {
        let mut status = self.core.status();
        self.links_shown = self.link.report_changes();
        let report = self.link.report();
        for peer in &mut status.peers {
            if peer.name == status.name {
                // The node hears itself where its media are open and have carrier.
                let up = |(name, open, carrier): &(String, bool, bool)| PeerLink {
                    medium: name.clone(),
                    up: *open && *carrier,
                };
                peer.links = report.media.iter().map(up).collect();
            } else if let Some(node) = report.nodes.iter().find(|n| n.name == peer.name) {
                peer.links = node
                    .links
                    .iter()
                    .map(|(medium, up)| PeerLink { medium: medium.clone(), up: *up })
                    .collect();
            }
        }
        for (from, cause, count) in report.refused {
            status.refused.insert(format!("{from}: {cause}"), count);
        }
        if status.dc.as_ref() != Some(&status.name)
            && let Ok(mut planner) = self.planner.try_lock()
        {
            planner.forget();
        }
        // Only what the cluster agreed on is shown on disk.
        if status.view.is_some() {
            self.disk.show(&status.cib);
        }
        for warning in &status.warnings {
            if self.warned.insert(warning.clone()) {
                log(Level::Warning, "crm_core", warning);
            }
        }
        self.warned.retain(|w| status.warnings.contains(w));
        self.status.send_replace(Arc::new(status));
    }
}

/// One line to `tracing`, under the name its machine gives.
fn log(level: Level, target: &'static str, text: &str) {
    macro_rules! at {
        ($target:literal) => {
            match level {
                Level::Debug => tracing::debug!(target: $target, "{text}"),
                Level::Info => tracing::info!(target: $target, "{text}"),
                Level::Warning => tracing::warn!(target: $target, "{text}"),
                Level::Error => tracing::error!(target: $target, "{text}"),
            }
        };
    }
    match target {
        "ccm" => at!("ccm"),
        "heartbeat" => at!("heartbeat"),
        "crm_core::transition" => at!("crm_core::transition"),
        "crm_core::policy" => at!("crm_core::policy"),
        "crm_core::fencing" => at!("crm_core::fencing"),
        "crm_core::lrm" => at!("crm_core::lrm"),
        _ => at!("crm_core"),
    }
}
