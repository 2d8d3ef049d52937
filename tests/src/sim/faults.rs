//! What a fault of the plan does to a cluster in progress.

use ccm::group::Change;
use crm_core::client::ClientRequest;

use super::DEADTIME;
use super::brain::Task;
use super::checks::Violation;
use super::machine::Machine;
use super::plan::Fault;
use super::play::Sim;

impl Sim {
    pub(super) fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.reach(fault.name());
        self.note(|| format!("FAULT {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Crash(i) => self.crash(i)?,
            Fault::CrashAll => {
                for i in 0..self.machines.len() {
                    self.crash(i)?;
                }
            }
            Fault::Restart(i) => {
                if self.machines.get(i).is_some_and(|m| !m.running()) {
                    self.crash(i)?;
                    self.start(i)?;
                }
            }
            Fault::Leave(i) => self.feed(i, |m, now| m.task(now, Task::Leave))?,
            Fault::PauseCore(i, span) => self.feed(i, |m, now| m.pause_core(now + span))?,
            Fault::PauseAll(i, span) => self.feed(i, |m, now| m.pause_all(now + span))?,
            Fault::Freeze(i, span) => self.feed(i, |m, now| m.freeze(now, now + span))?,
            Fault::Drift(i, rate) => self.feed(i, |m, now| m.drift(now, rate))?,
            Fault::WallJump(i, by) => self.feed(i, |m, now| m.wall_jump(now, by))?,
            Fault::SlowDisk(i, delay) => self.feed(i, |m, now| m.slow(now, delay))?,
            Fault::FailDisk(i) => self.feed(i, |m, _| m.fail_disk(false))?,
            Fault::FullDisk(i) => self.feed(i, |m, _| m.fail_disk(true))?,
            Fault::Image(i) => self.feed(i, |m, _| m.take_image())?,
            Fault::SetBack(i) => {
                self.forget(i, Machine::set_back, ("reached: a disk was set back", false))?
            }
            Fault::Wipe(i) => self.forget(i, |m| m.wipe(now), ("reached: a disk was wiped", true))?,
            Fault::ReadError(i, at) => {
                self.forget(i, |m| m.damage(at), ("reached: a disk was damaged", false))?
            }
            Fault::Cut { from, to } => self.net.cut(from, to),
            Fault::Split(side) => self.net.split(side, self.settings.nodes),
            Fault::Unplug(i) => {
                self.net.unplug(i);
                self.feed(i, |m, now| m.carrier(now, false))?;
            }
            Fault::Plug(i) => {
                self.net.plug(i);
                self.feed(i, |m, now| m.carrier(now, true))?;
            }
            Fault::Clog { from, to, delay } => self.net.clog(from, to, delay),
            Fault::ClogAll(delay) => {
                for a in 0..self.settings.nodes {
                    for b in 0..self.settings.nodes {
                        let part = u32::try_from(self.chance.below(1000)).unwrap_or(0);
                        self.net.clog(a, b, delay * part / 1000);
                    }
                }
            }
            Fault::Loss(percent) => self.net.lose(Some(percent)),
            Fault::Quiet => self.net.lose(None),
            Fault::HealLinks => self.net.heal(),
            Fault::HealOne => {
                if let Some(what) = self.net.heal_one(&mut self.chance) {
                    self.reach(what);
                }
            }
            Fault::PingLost(i) => self.feed(i, |m, _| m.ping = false)?,
            Fault::PingBack(i) => self.feed(i, |m, _| m.ping = true)?,
            Fault::AddNode(n) => self.electorate(Change::AddNode { name: format!("g{n}"), votes: 1 })?,
            Fault::RemoveNode(n) => {
                // A machine may run all the while, cut off from those that take it out; it stays out until it is
                // added again (R15.8), at the latest before the view that everything ends in.
                let name = match n.checked_sub(self.machines.len()) {
                    Some(ghost) => format!("g{ghost}"),
                    None => {
                        self.reach("fault: machine taken out");
                        format!("n{}", n + 1)
                    }
                };
                self.electorate(Change::RemoveNode { name })?;
            }
            Fault::Votes(i, votes) => {
                self.electorate(Change::AddNode { name: format!("n{}", i + 1), votes })?
            }
            Fault::Burst(i, count) => {
                for _ in 0..count {
                    self.change(i)?;
                }
            }
            Fault::Orphan(i) => self.orphan(i)?,
            Fault::Ill(i, ill) => self.feed(i, |m, _| {
                m.agents.ill.insert(ill);
            })?,
            Fault::Dies(i, which) => self.feed(i, |m, _| {
                let at = usize::try_from(which % m.agents.active.len().max(1) as u64).unwrap_or(0);
                if let Some(name) = m.agents.active.keys().nth(at).cloned() {
                    m.agents.active.remove(&name);
                }
            })?,
            Fault::FencingDown(span) => self.resources.fencing_down = now + span,
            Fault::AskFence(i, j) => {
                self.resources.ordered(self.now, j);
                let (id, target) = (self.requests + 1, format!("n{}", j + 1));
                self.requests = id;
                let request = ClientRequest::Fence { target, action: "reboot".into(), timeout: DEADTIME * 4 };
                self.feed(i, |m, now| m.task(now, Task::Client(id, Box::new(request))))?;
            }
        }
        Ok(())
    }

    fn electorate(&mut self, change: Change) -> Result<(), Violation> {
        let i = self.chance.index(self.machines.len());
        self.ask(i, change)
    }

    pub(super) fn crash(&mut self, i: usize) -> Result<(), Violation> {
        self.boots.retain(|(_, b)| *b != i);
        self.resources.left(self.now, i);
        self.feed(i, Machine::crash)?;
        self.checks.crashed(i, self.machines.get(i))
    }

    /// A crash after which the disk is not what it was; whether the next start is sure to notice.
    fn forget<T: Into<Forgot>>(
        &mut self,
        i: usize,
        how: impl FnOnce(&mut Machine) -> T,
        (what, noticed): (&'static str, bool),
    ) -> Result<(), Violation> {
        self.crash(i)?;
        let done: Option<Forgot> = self.machines.get_mut(i).map(|m| how(m).into());
        if done.is_some_and(|d| d.0) {
            self.reach(what);
            let inc = self.machines.get(i).map(|m| m.inc).unwrap_or_default();
            self.checks.forgot(i, inc, noticed);
        }
        self.boots.push((self.now + DEADTIME / 2, i));
        Ok(())
    }

    /// Somebody comes for a machine with a failed disk, after a while.
    pub(super) fn broken(&mut self, i: usize) {
        for (after, fault) in [(DEADTIME * 4, Fault::Crash(i)), (DEADTIME * 5, Fault::Restart(i))] {
            let at = self.now + after;
            let place = self.plan.iter().position(|(t, _)| *t > at).unwrap_or(self.plan.len());
            self.plan.insert(place, (at, fault));
        }
    }
}

/// Whether a disk has forgotten something.
struct Forgot(bool);

impl From<bool> for Forgot {
    fn from(done: bool) -> Self {
        Self(done)
    }
}

impl From<()> for Forgot {
    fn from((): ()) -> Self {
        Self(true)
    }
}
