//! One operation of the DC: which device is tried next, by which node, and when it has failed.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::NodeId;
use cib::{Cib, Element};

use super::{FAILED, Fencing, FencingAction, LEFT_BEHIND, NO_DEVICE, Requester};
use crate::message::{FenceRecord, Message};
use crate::now::Now;

/// An operation this DC has decided on.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) requesters: Vec<Requester>,
    pub(super) target: String,
    /// As it was asked for; `reboot` with several devices is done as `off`, then `on`.
    pub(super) action: String,
    pub(super) timeout: Duration,
    pub(super) delay: Duration,
    pub(super) deadline: Duration,
    pub(super) ways: VecDeque<Vec<String>>,
    /// The devices of the present way that are still to be used, with their actions.
    pub(super) steps: VecDeque<Step>,
    /// Nodes that were asked for the present step.
    pub(super) tried: BTreeSet<String>,
    pub(super) asked: Option<String>,
    pub(super) delegate: String,
    pub(super) reason: String,
    pub(super) rc: i32,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) device: String,
    pub(super) action: String,
    /// Errors of the second half of a reboot do not count.
    pub(super) must: bool,
}

impl Operation {
    /// Whether what comes next is against the target: its access is given back, and the second of its power supplies
    /// is switched on, wherever it is.
    pub(super) fn takes_power(&self) -> bool {
        self.steps.front().map_or(self.action.as_str(), |step| &step.action) != "on"
    }

    /// As it stands while it is under way.
    pub(super) fn record(&self, origin: &str) -> FenceRecord {
        let client = match self.requesters.first() {
            Some(Requester::Client(_)) => "stonith_admin",
            _ => "controller",
        };
        FenceRecord {
            inc: None,
            target: self.target.clone(),
            action: self.action.clone(),
            delegate: self.delegate.clone(),
            origin: origin.to_owned(),
            client: client.to_owned(),
            rc: 0,
            reason: String::new(),
            completed: 0,
        }
    }
}

impl Fencing {
    #[allow(clippy::too_many_arguments)] // one request, taken apart by its only caller
    pub(super) fn begin(
        &mut self,
        now: Now,
        requester: Requester,
        target: String,
        action: String,
        timeout: Duration,
        delay: Duration,
        out: &mut Vec<FencingAction>,
    ) {
        let action = if action == "poweroff" { "off".to_owned() } else { action };
        let client = match requester {
            Requester::Plan(_) => "controller",
            Requester::Client(_) => "stonith_admin",
        };
        let text = format!("Client {client} wants to fence ({action}) {target} using any device");
        out.push(FencingAction::Log { level: Level::Info, text });
        // The same against the same node is under way already: one result for both.
        if let Some(same) = self.operations.values_mut().find(|o| o.target == target && o.action == action) {
            same.requesters.push(requester);
            return;
        }
        let (topology, ways) = self.registry.ways(&target, &action);
        let id = self.next;
        self.next += 1;
        self.operations.insert(
            id,
            Operation {
                requesters: vec![requester],
                deadline: now.mono + delay + self.longest(&ways, &target, &action, timeout),
                target: target.clone(),
                action: action.clone(),
                timeout,
                delay,
                ways: ways.into(),
                steps: VecDeque::new(),
                tried: BTreeSet::new(),
                asked: None,
                delegate: String::new(),
                reason: "no fence device can fence it".into(),
                rc: NO_DEVICE,
            },
        );
        let how = if topology { " by topology" } else { "" };
        let text = format!("Requesting peer fencing ({action}) targeting {target}{how}");
        out.push(FencingAction::Log { level: Level::Info, text });
        self.next_way(now, id, out);
    }

    /// How long all ways together may take, with a fifth for what is between the calls.
    fn longest(&self, ways: &[Vec<String>], target: &str, action: &str, timeout: Duration) -> Duration {
        let of = |device: &String| {
            let known = self.registry.device(device);
            known.map_or(Duration::ZERO, |d| d.longest(target, action, timeout))
        };
        let way = |devices: &Vec<String>| {
            // Several devices are turned off first and on again later.
            let halves = if action == "reboot" && devices.len() > 1 { 2 } else { 1 };
            devices.iter().map(of).sum::<Duration>() * halves
        };
        ways.iter().map(way).sum::<Duration>().max(timeout).mul_f64(1.2)
    }

    /// Goes on with the next set of devices.
    fn next_way(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        let Some(devices) = operation.ways.pop_front() else {
            self.finish(now, id, out);
            return;
        };
        let step = |device: &String, action: &str, must: bool| Step {
            device: device.clone(),
            action: action.to_owned(),
            must,
        };
        operation.steps = if operation.action == "reboot" && devices.len() > 1 {
            let off = devices.iter().map(|d| step(d, "off", true));
            off.chain(devices.iter().map(|d| step(d, "on", false))).collect()
        } else {
            devices.iter().map(|d| step(d, &operation.action, true)).collect()
        };
        operation.tried.clear();
        self.next_step(now, id, out);
    }

    /// Asks a node for the first step that is left.
    fn next_step(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get(&id) else { return };
        let Some(step) = operation.steps.front().cloned() else {
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.rc = 0;
                operation.reason = String::new();
                operation.ways.clear();
            }
            self.finish(now, id, out);
            return;
        };
        if self.suspended {
            // The others may have gone on without this node: it is not the one to give orders (R6.3).
            if let Some(operation) = self.operations.get_mut(&id) {
                (operation.rc, operation.reason) = (FAILED, LEFT_BEHIND.to_owned());
            }
            self.finish(now, id, out);
            return;
        }
        let node = self.choose(&step, &operation.target, &operation.tried);
        let Some((name, node)) = node else {
            if step.must {
                self.next_way(now, id, out);
            } else {
                self.step_done(now, id, out);
            }
            return;
        };
        let timeout = operation.timeout;
        let delay = operation.delay;
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.tried.insert(name.clone());
        operation.asked = Some(name.clone());
        operation.delegate.clone_from(&name);
        // A requested delay is for the first device alone.
        operation.delay = Duration::ZERO;
        let text = format!(
            "Requesting that {name} perform '{}' action targeting {} using {}",
            step.action, operation.target, step.device
        );
        out.push(FencingAction::Log { level: Level::Info, text });
        out.push(FencingAction::Send {
            to: BusAddress::Node(node),
            message: Message::Fence {
                id,
                device: step.device,
                target: operation.target.clone(),
                action: step.action,
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            },
        });
    }

    /// Who uses a device: where it is running, else this node, else the first by name; never the
    /// target itself, except that a node registers its own key with what it is given access to.
    fn choose(&self, step: &Step, target: &str, tried: &BTreeSet<String>) -> Option<(String, NodeId)> {
        let members = self.members.as_ref()?;
        let device = step.device.as_str();
        let known = self.registry.device(device)?;
        if step.action == "on"
            && known.unfences
            && known.may_run_on(target)
            && !tried.contains(target)
            && let Some(id) = members.nodes.get(target)
        {
            return Some((target.to_owned(), *id));
        }
        let mut able: Vec<(&String, &NodeId)> = members
            .nodes
            .iter()
            .filter(|(name, _)| *name != target && !tried.contains(*name) && known.may_run_on(name))
            .collect();
        able.sort_by_key(|(name, _)| (!is_running(&self.cib, device, name), **name != self.name));
        able.first().map(|(name, id)| ((*name).clone(), **id))
    }

    pub(super) fn result(&mut self, now: Now, id: u64, rc: i32, reason: &str, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        let Some(node) = operation.asked.take() else { return };
        if rc == 0 {
            self.step_done(now, id, out);
            return;
        }
        operation.rc = rc;
        operation.reason = format!("{node}: {reason}");
        let text = format!("fencing {} by {node} failed: {reason}", operation.target);
        out.push(FencingAction::Log { level: Level::Warning, text });
        self.next_step(now, id, out);
    }

    fn step_done(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.steps.pop_front();
            operation.tried.clear();
        }
        self.next_step(now, id, out);
    }

    pub(super) fn finish(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.remove(&id) else { return };
        if operation.rc == NO_DEVICE {
            let text = format!(
                "Couldn't find anyone to fence ({}) {} using any device",
                operation.action, operation.target
            );
            out.push(FencingAction::Log { level: Level::Warning, text });
        }
        let record = FenceRecord {
            inc: self.known.get(&operation.target).copied(),
            rc: operation.rc,
            reason: operation.reason.clone(),
            completed: now.wall,
            ..operation.record(&self.name)
        };
        self.conclude(operation.requesters, record, out);
    }
}

/// Whether the history says that a device is running on a node: it was tested there.
fn is_running(cib: &Cib, device: &str, node: &str) -> bool {
    let Some(status) = cib.status() else { return false };
    let state = status.children_named("node_state").find(|s| s.attr("uname") == Some(node));
    let resource = state
        .and_then(|s| s.path(&["lrm", "lrm_resources"]))
        .and_then(|l| l.children_named("lrm_resource").find(|r| r.id() == Some(device)));
    let last = resource.and_then(|r: &Element| r.find("lrm_rsc_op", &format!("{device}_last_0")));
    last.is_some_and(|op| op.attr("rc-code") == Some("0") && op.attr("operation") != Some("stop"))
}
