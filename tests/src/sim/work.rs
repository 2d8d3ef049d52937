//! What the clients of a simulated cluster ask for.

use ccm::group::Change;
use cib::{Element, Operation, Request};

use super::DEADTIME;
use super::brain::Task;
use super::checks::{Violation, bus_message};
use super::document::{KEYS, counted};
use super::plan::Fault;
use super::play::Sim;

impl Sim {
    pub(super) fn bus_message(&mut self, i: usize) -> Result<(), Violation> {
        self.bus += 1;
        let boot = self.machines.get(i).map_or(0, |m| m.inc.boot);
        let payload = bus_message(boot, self.bus);
        self.feed(i, |m, now| m.task(now, Task::Bus(payload)))
    }

    /// One change of the document: an object of its own, a pair of the set that counts, sometimes on
    /// condition of a version, sometimes the volatile state of the node.
    pub(super) fn change(&mut self, i: usize) -> Result<(), Violation> {
        let kind = if self.healed { 0 } else { self.chance.below(11) };
        self.ask_for(i, kind)
    }

    fn ask_for(&mut self, i: usize, kind: u64) -> Result<(), Violation> {
        let Some(machine) = self.machines.get(i) else { return Ok(()) };
        let Some(group) = machine.group() else { return Ok(()) };
        let (version, set) = (group.visible().version(), counted(group.visible().root()).is_some());
        self.requests += 1;
        let token = self.requests;
        let (change, what) = match kind {
            _ if !set => (first_set(), "the set"),
            0..=2 => (object(token), "an object"),
            3 | 4 => (pair(token), "a pair"),
            5 | 6 => (pair(token).if_version(version), "a pair, if the version is still the same"),
            7 => (object(token).if_version(version), "an object, if the version is still the same"),
            8 => match self.last_object {
                Some(other) => (addition(other, token), "an addition to the last object"),
                None => (object(token), "an object"),
            },
            _ => (state(i, token), "its status"),
        };
        if set && matches!(kind, 0..=2 | 7) {
            self.last_object = Some(token);
        }
        self.checks.asked(token, set && kind < 9);
        self.note(|| format!("n{} asks for change {token}: {what}", i + 1));
        self.feed(i, |m, now| m.task(now, Task::Change(token, Change::Cib(change))))
    }

    /// The DC is not heard any more and does not know it yet: it still hears the others, and what it takes
    /// on nobody else learns. Among that is a change which depends on another one. Then there is silence,
    /// until the others have gone on and heard it again: what they refused must not come back with it.
    pub(super) fn orphan(&mut self, o: usize) -> Result<(), Violation> {
        let dc = self.machines.iter().position(|m| m.group().is_some_and(ccm::group::Group::is_dc));
        let Some(dc) = dc.filter(|dc| *dc != o) else { return Ok(()) };
        self.reach("reached: a DC that is not heard");
        for other in (0..self.machines.len()).filter(|i| *i != dc) {
            self.net.cut(dc, other);
        }
        self.ask_for(dc, 0)?;
        self.ask_for(o, 8)?;
        self.next_request = self.now + DEADTIME * 6;
        let at = self.now + DEADTIME * 4;
        let place = self.plan.iter().position(|(t, _)| *t > at).unwrap_or(self.plan.len());
        self.plan.insert(place, (at, Fault::HealLinks));
        Ok(())
    }

    /// A request whose outcome no check follows.
    pub(super) fn ask(&mut self, i: usize, change: Change) -> Result<(), Violation> {
        self.requests += 1;
        let token = self.requests;
        self.feed(i, |m, now| m.task(now, Task::Change(token, change)))
    }
}

fn nvpair(id: &str, value: &str) -> Element {
    Element::new("nvpair").with_attr("id", id).with_attr("name", id).with_attr("value", value)
}

/// The set that counts, where there is none yet.
fn first_set() -> Request {
    let set = Element::new("cluster_property_set").with_attr("id", KEYS).with_child(nvpair("sum", "0"));
    Request::new(Operation::Create).section("crm_config").input(set)
}

/// An object that nobody else makes, and that can be made only once.
fn object(token: u64) -> Request {
    let set = Element::new("cluster_property_set").with_attr("id", format!("c-{token}"));
    Request::new(Operation::Create).section("crm_config").input(set)
}

/// A pair of the set that counts: made twice, the sum is wrong.
fn pair(token: u64) -> Request {
    let set = Element::new("cluster_property_set")
        .with_attr("id", KEYS)
        .with_child(nvpair(&format!("k-{token}"), "1"))
        .with_child(Element::new("nvpair").with_attr("id", "sum").with_attr("value", "value++"));
    Request::new(Operation::Modify).section("crm_config").input(set)
}

/// A pair in the object of another request, which is refused where that object is not.
fn addition(other: u64, token: u64) -> Request {
    let set = Element::new("cluster_property_set")
        .with_attr("id", format!("c-{other}"))
        .with_child(nvpair(&format!("k-{token}"), "1"));
    Request::new(Operation::Modify).section("crm_config").input(set)
}

fn state(i: usize, token: u64) -> Request {
    let state = Element::new("node_state")
        .with_attr("id", format!("x{}", i + 1))
        .with_attr("uname", format!("x{}", i + 1))
        .with_attr("crmd", token.to_string());
    Request::new(Operation::Modify)
        .section("status")
        .input(Element::new("status").with_child(state))
        .allow_create()
}
