//! The results that tell a story: what the history of a resource on a node has.

use cib::Element;

use super::draw::{Draw, Leaf, NOW, Recurring, Shape, el};
use super::history::{Plot, Story};

/// The history of a story; a migration is from or to `peer`.
pub(super) fn history(d: &mut Draw, leaf: &Leaf, story: &Story, peer: Option<String>) -> Element {
    Writer { d, leaf, story, peer, call: 0 }.history()
}

struct Writer<'a> {
    d: &'a mut Draw,
    leaf: &'a Leaf,
    story: &'a Story,
    peer: Option<String>,
    call: u64,
}

/// One result.
struct Result {
    id: String,
    task: &'static str,
    ms: u64,
    rc: i32,
    expected: i32,
    status: i32,
    timeout_ms: u64,
}

impl Writer<'_> {
    fn history(mut self) -> Element {
        let mut e = el("lrm_resource", &[("id", &self.story.name)]);
        let changed = self.d.themes.changes && self.d.percent(4);
        e.set_attr("class", if changed { "lsb" } else { &self.leaf.class });
        if let (Some(provider), false) = (&self.leaf.provider, changed) {
            e.set_attr("provider", provider.as_str());
        }
        e.set_attr("type", self.leaf.agent.as_str());
        if self.d.themes.locks && self.d.percent(20) {
            let at = self.d.one_of(&[20, 400, 9000]).unwrap_or(20);
            e.set_attr("shutdown-lock", (NOW - at).to_string());
        }
        if self.story.name.starts_with("gone") && self.d.percent(25) {
            let hosts: Vec<String> = self.d.leaves.iter().map(|l| l.id.clone()).collect();
            if let Some(host) = self.d.one_of(&hosts) {
                e.set_attr("container", host);
            }
        }
        self.call = self.d.between(1, 40);
        let mut ops = self.operations();
        if self.d.themes.notify && self.leaf.shape != Shape::Single && self.d.percent(8) {
            let key = format!("{}_post_notify_start_0", self.story.name);
            let mut op = self.result(Result::new(key.clone(), "notify", 0, 0, 0));
            op.set_attr("operation_key", key);
            ops.push(op);
        }
        // A result takes the place of the one before it that has its id.
        let ids: Vec<String> = ops.iter().map(|op| op.id().unwrap_or_default().to_owned()).collect();
        let mut at = 0;
        ops.retain(|_| {
            at += 1;
            !ids.iter().skip(at).any(|later| Some(later) == ids.get(at - 1))
        });
        if self.d.percent(10) {
            ops.reverse();
        }
        ops.into_iter().for_each(|op| e.push(op));
        e
    }

    fn operations(&mut self) -> Vec<Element> {
        match self.story.plot {
            Plot::Probed => vec![self.last("monitor", 7, 7)],
            Plot::Found => {
                let mut list = vec![self.last("monitor", 0, 7)];
                list.extend(self.monitors(None));
                list
            }
            Plot::FoundPromoted => vec![self.last("monitor", 8, 7)],
            Plot::Running => {
                let mut list = vec![self.last("start", 0, 0)];
                list.extend(self.monitors(Some("Unpromoted")));
                list
            }
            Plot::Promoted => {
                let mut list = vec![self.last("promote", 0, 0)];
                list.extend(self.monitors(Some("Promoted")));
                list
            }
            Plot::Stopped => {
                let mut list = if self.d.percent(40) { self.monitors(None) } else { Vec::new() };
                list.push(self.last("stop", 0, 0));
                list
            }
            Plot::Demoted => {
                let mut list = vec![self.last("demote", 0, 0)];
                list.extend(self.monitors(Some("Unpromoted")));
                list
            }
            Plot::MonitorFailed => self.monitor_failed(),
            Plot::StartFailed => {
                let rc = self.d.one_of(&[1, 1, 1, 5, 2, 6, 3, 4]).unwrap_or(1);
                self.failed("start", rc)
            }
            Plot::StopFailed => {
                let rc = self.d.one_of(&[1, 1, 5, 6]).unwrap_or(1);
                self.failed("stop", rc)
            }
            Plot::PromoteFailed => {
                let rc = self.d.one_of(&[1, 1, 9, 5]).unwrap_or(1);
                self.failed("promote", rc)
            }
            Plot::DemoteFailed => {
                let rc = self.d.one_of(&[1, 1, 7, 9]).unwrap_or(1);
                self.failed("demote", rc)
            }
            Plot::ProbeFailed => {
                let rc = self.d.one_of(&[1, 5, 2, 6, 3, 4, 9]).unwrap_or(1);
                let status = self.d.one_of(&[0, 0, 0, 4, 7]).unwrap_or(0);
                let id = if self.d.percent(50) { "last_failure_0" } else { "last_0" };
                vec![self.result(Result::new(format!("{}_{id}", self.story.name), "monitor", rc, 7, status))]
            }
            Plot::Pending => self.pending(),
            Plot::OldOperation => {
                let mut list = vec![self.last("start", 0, 0)];
                let mut old = Result::new(format!("{}_monitor_7000", self.story.name), "monitor", 0, 0, 0);
                old.ms = 7000;
                list.push(self.result(old));
                list
            }
            Plot::Degraded => {
                let promoted = self.leaf.promotable && self.d.percent(50);
                let mut list = vec![self.last(if promoted { "promote" } else { "start" }, 0, 0)];
                let (rc, expected) = if promoted { (191, 8) } else { (190, 0) };
                let id = format!("{}_monitor_10000", self.story.name);
                let mut result = Result::new(id, "monitor", rc, expected, 0);
                result.ms = 10_000;
                list.push(self.result(result));
                list
            }
            Plot::Reported => {
                let status = self.d.one_of(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).unwrap_or(2);
                let id = format!("{}_last_failure_0", self.story.name);
                let task = self.d.one_of(&["start", "monitor", "stop"]).unwrap_or("start");
                vec![self.result(Result::new(id, task, 1, 0, status))]
            }
            Plot::Cancelled => {
                let mut list = vec![self.last("start", 0, 0)];
                let id = format!("{}_monitor_10000", self.story.name);
                let mut result = Result::new(id, "monitor", 0, 0, 1);
                result.ms = 10_000;
                list.push(self.result(result));
                list
            }
            Plot::MigratedFrom | Plot::MigratingFrom | Plot::MigrateToFailed => self.source(),
            Plot::MigratedTo | Plot::MigrateFromFailed => self.target(),
        }
    }

    fn last(&mut self, task: &'static str, rc: i32, expected: i32) -> Element {
        self.result(Result::new(format!("{}_last_0", self.story.name), task, rc, expected, 0))
    }

    fn failed(&mut self, task: &'static str, rc: i32) -> Vec<Element> {
        let status = self.d.one_of(&[0, 0, 0, 2, 4]).unwrap_or(0);
        let mut list = Vec::new();
        if self.d.percent(30) && task != "start" {
            list.extend(self.monitors(None));
        }
        self.call += 1;
        let call = self.call;
        for id in ["last_failure_0", "last_0"] {
            if id == "last_0" && self.d.percent(30) {
                continue;
            }
            self.call = call - 1;
            list.push(self.result(Result::new(format!("{}_{id}", self.story.name), task, rc, 0, status)));
        }
        list
    }

    fn monitor_failed(&mut self) -> Vec<Element> {
        let promoted = self.leaf.promotable && (self.d.themes.demotes || self.d.percent(50));
        let mut list = vec![self.last(if promoted { "promote" } else { "start" }, 0, 0)];
        let expected = if promoted { 8 } else { 0 };
        let rc = self.d.one_of(&[1, 7, 7, 7, 5, 9, 8, 0, 6]).unwrap_or(1);
        let status = self.d.one_of(&[0, 0, 0, 2, 4]).unwrap_or(0);
        let of_role = |r: &&Recurring| promoted == matches!(r.role.as_deref(), Some("Promoted" | "Master"));
        let failed = self.leaf.recurring.iter().find(of_role).or(self.leaf.recurring.first());
        let (ms, timeout_ms) = failed.map_or((10_000, 20_000), |r| (r.ms, r.timeout_ms));
        let key = format!("{}_monitor_{ms}", self.story.name);
        if self.d.percent(75) {
            list.push(self.recurring("monitor", ms, expected, timeout_ms));
        }
        let id = if self.d.percent(80) { format!("{}_last_failure_0", self.story.name) } else { key };
        let mut result = Result::new(id, "monitor", rc, expected, status);
        result.ms = ms;
        result.timeout_ms = timeout_ms;
        list.push(self.result(result));
        list
    }

    fn pending(&mut self) -> Vec<Element> {
        let task = self
            .d
            .one_of(&["start", "start", "stop", "monitor", "promote", "demote", "migrate_to"])
            .unwrap_or("start");
        let promotes = matches!(task, "promote" | "demote");
        if promotes && !self.leaf.promotable {
            return vec![self.last("start", 0, 0)];
        }
        let mut list = Vec::new();
        if task != "start" && self.d.percent(60) {
            list.extend(self.monitors(None));
        }
        let expected = if task == "monitor" { 7 } else { 0 };
        let (id, ms) = match task {
            "monitor" if self.d.percent(40) => (format!("{}_monitor_10000", self.story.name), 10_000),
            "migrate_to" => (format!("{}_migrate_to_0", self.story.name), 0),
            _ => (format!("{}_last_0", self.story.name), 0),
        };
        let mut result = Result::new(id, task, 193, expected, -1);
        result.ms = ms;
        let mut op = self.result(result);
        op.set_attr("call-id", "-1");
        if task == "migrate_to" {
            let target = self.peer.clone().unwrap_or_else(|| "n1".into());
            op.set_attr("migrate_source", self.story.node.as_str());
            op.set_attr("migrate_target", target);
        }
        list.push(op);
        list
    }

    fn migration(&mut self, task: &'static str, source: &str, target: &str, rc: i32) -> Element {
        let id = format!("{}_{task}_0", self.story.name);
        let mut op = self.result(Result::new(id, task, rc, 0, 0));
        op.set_attr("migrate_source", source);
        op.set_attr("migrate_target", target);
        op
    }

    fn source(&mut self) -> Vec<Element> {
        let (here, there) = (self.story.node.clone(), self.peer.clone().unwrap_or_default());
        let mut list = if self.d.percent(70) { self.monitors(None) } else { Vec::new() };
        if self.d.percent(40) {
            list.insert(0, self.last("start", 0, 0));
        }
        let rc = i32::from(self.story.plot == Plot::MigrateToFailed);
        list.push(self.migration("migrate_to", &here, &there, rc));
        if self.story.plot == Plot::MigratedFrom && self.d.percent(50) {
            list.push(self.last("stop", 0, 0));
        }
        list
    }

    fn target(&mut self) -> Vec<Element> {
        let (here, there) = (self.story.node.clone(), self.peer.clone().unwrap_or_default());
        self.call += 30;
        let rc = i32::from(self.story.plot == Plot::MigrateFromFailed);
        let mut list = vec![self.migration("migrate_from", &there, &here, rc)];
        if rc == 0 {
            list.extend(self.monitors(None));
        }
        list
    }

    /// Results of the configured monitors that run in a role.
    fn monitors(&mut self, role: Option<&str>) -> Vec<Element> {
        let mut list = Vec::new();
        let configured: Vec<Recurring> = self.leaf.recurring.clone();
        for recurring in configured {
            let promoted = matches!(recurring.role.as_deref(), Some("Promoted" | "Master"));
            if recurring.role.as_deref() == Some("Stopped")
                || promoted != (role == Some("Promoted")) && recurring.role.is_some()
            {
                continue;
            }
            if self.d.percent(8) {
                continue;
            }
            let expected = if promoted { 8 } else { 0 };
            let op = self.recurring("monitor", recurring.ms, expected, recurring.timeout_ms);
            list.push(op);
        }
        list
    }

    fn recurring(&mut self, task: &'static str, ms: u64, rc: i32, timeout_ms: u64) -> Element {
        let mut result = Result::new(format!("{}_{task}_{ms}", self.story.name), task, rc, rc, 0);
        result.ms = ms;
        result.timeout_ms = timeout_ms;
        self.result(result)
    }

    fn result(&mut self, result: Result) -> Element {
        self.call += 1;
        let d = &mut *self.d;
        let key = format!("{}_{}_{}", self.story.name, result.task, result.ms);
        let transition = format!(
            "{}:{}:{}:0a5e8a3c-6d1b-4f4e-9d57-2f6b1c3d4e5f",
            self.call,
            d.between(1, 3),
            result.expected
        );
        let ago = d.one_of(&[5, 20, 300, 4000, 100_000]).unwrap_or(20);
        let mut op =
            el("lrm_rsc_op", &[("id", &result.id), ("operation_key", &key), ("operation", result.task)]);
        op.set_attr("crm_feature_set", "3.16.1");
        op.set_attr("transition-key", transition.as_str());
        op.set_attr("transition-magic", format!("{}:{};{transition}", result.status, result.rc));
        op.set_attr("call-id", self.call.to_string());
        op.set_attr("rc-code", result.rc.to_string());
        op.set_attr("op-status", result.status.to_string());
        op.set_attr("interval", result.ms.to_string());
        if d.percent(90) {
            op.set_attr("on_node", self.story.node.as_str());
        }
        if d.percent(96) {
            op.set_attr("last-rc-change", (NOW - ago - 50 + self.call).to_string());
        }
        op.set_attr("exec-time", "15");
        op.set_attr("queue-time", "0");
        if d.percent(10) {
            op.set_attr("exit-reason", "it said so");
        }
        self.digests(&mut op, &result);
        op
    }

    fn digests(&mut self, op: &mut Element, result: &Result) {
        let changes = self.d.themes.changes;
        if self.d.percent(if changes { 10 } else { 2 }) {
            return;
        }
        let mut parameters = Element::new("parameters");
        for (name, value) in &self.leaf.parameters {
            parameters.set_attr(name, value.as_str());
        }
        if result.ms > 0 {
            parameters.set_attr("CRM_meta_timeout", result.timeout_ms.to_string());
        }
        if changes && self.d.percent(15) {
            parameters.set_attr("state", "/run/other");
        }
        op.set_attr("op-digest", cib::digest::parameters(&parameters));
        if changes && self.d.percent(20) {
            op.set_attr("op-force-restart", self.d.pick(&[" state ", " fake ", ""]));
            let mut some = Element::new("parameters");
            for (name, value) in parameters.attrs() {
                if op.attr("op-force-restart").is_some_and(|l| l.contains(&format!(" {name} "))) {
                    some.set_attr(name, value);
                }
            }
            op.set_attr("op-restart-digest", cib::digest::parameters(&some));
        }
        if changes && self.d.percent(20) {
            op.set_attr("op-secure-params", " passwd ");
            parameters.remove_attr("passwd");
            op.set_attr("op-secure-digest", cib::digest::parameters(&parameters));
        }
    }
}

impl Result {
    fn new(id: String, task: &'static str, rc: i32, expected: i32, status: i32) -> Self {
        Self { id, task, ms: 0, rc, expected, status, timeout_ms: 20_000 }
    }
}
