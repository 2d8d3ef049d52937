//! What runs where, and who was fenced: S1, S4's second half, S5 and L1 of design.md, as seen from
//! outside of every node.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ccm::group::View;
use cib::Element;

use super::chance::Chance;
use super::checks::Violation;
use super::document::KEYS;
use super::machine::{Machine, id};
use super::net::Net;
use super::{DEADTIME, Settings, World};

/// What is active on how many nodes, where all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    One,
    Everywhere,
    /// Everywhere, promoted on one.
    Promotable,
}

/// The configuration of a run, and what it promises.
pub struct Resources {
    world: World,
    nodes: usize,
    fencing: bool,
    policy: &'static str,
    /// Whether the language of the document is checked: slow, and not for every seed.
    checked: bool,
    /// The fencing device does nothing until then.
    pub fencing_down: Duration,
    kinds: BTreeMap<&'static str, Kind>,
    /// Nodes that an administrator has ordered to be fenced.
    ordered: BTreeMap<usize, Duration>,
    /// Nodes whose power was taken since they were last in a view.
    powerless: BTreeSet<usize>,
    /// The last view of each node, and when it ended.
    views: BTreeMap<usize, (View, Option<Duration>)>,
    /// What a node began to stop in its present view, and what it began to demote.
    stopped: BTreeSet<(usize, String)>,
    demoted: BTreeSet<(usize, String)>,
}

/// What a start and a stop may take.
const AGENT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longer than this is nobody's fault that is still the reason for anything: what happened before has
/// been noticed, and acted upon, and is over. In dead times.
const FORGOTTEN: u32 = 12;

impl Resources {
    pub fn draw(chance: &mut Chance, settings: Settings) -> Self {
        let policies = ["stop", "stop", "stop", "freeze", "demote"];
        let kinds = [
            ("a", Kind::One),
            ("b", Kind::One),
            ("g1", Kind::One),
            ("g2", Kind::One),
            ("c", Kind::Everywhere),
            ("m", Kind::Promotable),
        ];
        Self {
            world: settings.world,
            nodes: settings.nodes,
            fencing: !chance.percent(15),
            policy: policies.get(chance.index(policies.len())).copied().unwrap_or("stop"),
            checked: settings.world == World::Agreement && chance.percent(3),
            fencing_down: Duration::ZERO,
            kinds: kinds.into(),
            ordered: BTreeMap::new(),
            powerless: BTreeSet::new(),
            views: BTreeMap::new(),
            stopped: BTreeSet::new(),
            demoted: BTreeSet::new(),
        }
    }

    /// After so long every operation that was under way has ended.
    pub fn longest_agent(&self) -> Duration {
        AGENT_TIMEOUT + Duration::from_secs(1)
    }

    /// The longest that an agent or a fence may take.
    pub fn longest(&self) -> Duration {
        Duration::from_secs(10) + DEADTIME * 4
    }

    /// The document that an administrator wrote before the first start.
    pub fn document(&self) -> Element {
        let language = if self.checked { "validate-with='pacemaker-3.9'" } else { "" };
        let text = match self.world {
            World::Agreement => format!(
                "<cib crm_feature_set='3.19.0' {language} epoch='1' num_updates='0' admin_epoch='0'><configuration>\
                 <crm_config><cluster_property_set id='{KEYS}'><nvpair id='sum' name='sum' value='0'/>\
                 </cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>"
            ),
            World::Whole => self.whole(),
        };
        cib::Cib::parse(&text).map_or_else(|_| Element::new("cib"), cib::Cib::into_root)
    }

    fn whole(&self) -> String {
        let hosts: Vec<String> = (0..self.nodes).map(|i| format!("n{}", i + 1)).collect();
        let limit = AGENT_TIMEOUT.as_secs();
        let op = |id: &str, extra: &str| {
            format!(
                "<operations><op id='{id}-m' name='monitor' interval='3s' timeout='4s'/>{extra}\
                 <op id='{id}-s' name='start' interval='0' timeout='{limit}s'/>\
                 <op id='{id}-p' name='stop' interval='0' timeout='{limit}s'/></operations>"
            )
        };
        let plain = |id: &str| {
            format!(
                "<primitive id='{id}' class='ocf' provider='heartbeat' type='Dummy'>{}</primitive>",
                op(id, "")
            )
        };
        let promoted = "<op id='m-mp' name='monitor' role='Promoted' interval='2s' timeout='4s'/>";
        format!(
            "<cib crm_feature_set='3.19.0' epoch='1' num_updates='0' admin_epoch='0'><configuration>\
             <crm_config><cluster_property_set id='{KEYS}'><nvpair id='sum' name='sum' value='0'/>\
             </cluster_property_set><cluster_property_set id='cib-bootstrap-options'>\
             <nvpair id='o1' name='stonith-enabled' value='{}'/>\
             <nvpair id='o2' name='no-quorum-policy' value='{}'/>\
             <nvpair id='o3' name='stonith-timeout' value='8s'/></cluster_property_set></crm_config><nodes/>\
             <resources><primitive id='f' class='stonith' type='fence_dummy'>\
             <instance_attributes id='fi'><nvpair id='fi1' name='pcmk_host_list' value='{}'/></instance_attributes>\
             </primitive>{}{}<group id='g'>{}{}</group><clone id='cc'>{}</clone>\
             <clone id='mm'><meta_attributes id='mma'><nvpair id='mma1' name='promotable' value='true'/>\
             </meta_attributes><primitive id='m' class='ocf' provider='pacemaker' type='Stateful'>{}</primitive>\
             </clone></resources><constraints>\
             <rsc_location id='l1' rsc='a' node='n1' score='50'/>\
             <rsc_location id='l2' rsc='mm' rsc-discovery='always'><rule id='l2r' role='Promoted' score='10'>\
             <expression id='l2e' attribute='#uname' operation='defined'/></rule></rsc_location>\
             <rsc_colocation id='k1' rsc='b' with-rsc='a' score='-INFINITY'/>\
             <rsc_order id='r1' first='a' then='g'/>\
             </constraints><rsc_defaults><meta_attributes id='d'>\
             <nvpair id='d1' name='resource-stickiness' value='100'/></meta_attributes></rsc_defaults>\
             </configuration><status/></cib>",
            self.fencing,
            self.policy,
            hosts.join(" "),
            plain("a"),
            plain("b"),
            plain("g1"),
            plain("g2"),
            plain("c"),
            op("m", promoted),
        )
    }

    /// S1: nothing is active on more nodes than it may be.
    ///
    /// # Errors
    /// Something is.
    pub fn once(&self, machines: &[Machine]) -> Result<(), Violation> {
        if !self.fencing {
            return Ok(());
        }
        for (name, kind) in &self.kinds {
            let active = |m: &&Machine| match kind {
                Kind::One => m.agents.active.contains_key(*name),
                Kind::Everywhere => false,
                Kind::Promotable => m.agents.active.get(*name) == Some(&true),
            };
            let there: Vec<&str> = machines.iter().filter(active).map(Machine::name).collect();
            if there.len() > 1 {
                let what = if *kind == Kind::Promotable { "promoted" } else { "active" };
                return Err(Violation::new("S1", format!("{name} is {what} on {}", there.join(" and "))));
            }
        }
        Ok(())
    }

    /// S4: an operation begins on machine `i`. Without quorum nothing is started or promoted, but for
    /// what the node has and may recover there, by stopping and starting it.
    /// `had`: whether it was active there before, and promoted.
    ///
    /// # Errors
    /// It was.
    pub fn begins(
        &mut self,
        now: Duration,
        machines: &[Machine],
        i: usize,
        (rsc, action): (&str, &str),
        had: Option<bool>,
    ) -> Result<(), Violation> {
        let this = (i, rsc.to_owned());
        match action {
            "stop" => drop(self.stopped.insert(this.clone())),
            "demote" => drop(self.demoted.insert(this.clone())),
            _ => {}
        }
        if rsc == "f" || !matches!(action, "start" | "promote") {
            return Ok(());
        }
        let again = if action == "start" {
            self.stopped.remove(&this) || had.is_some()
        } else {
            self.demoted.remove(&this) || had == Some(true)
        };
        let again = again || self.moved(i, rsc, action);
        match self.view_of(now, i) {
            Some(view) if view.writable || (view.tie && self.has_fenced_enough(machines, i, view)) => Ok(()),
            Some(_) if again && self.may_recover(rsc, action) => Ok(()),
            Some(view) => Err(Violation::new(
                "S4",
                format!(
                    "n{} begins to {action} {rsc} in view {} without quorum ({}; it had it: {})",
                    i + 1,
                    view.id.epoch,
                    self.policy,
                    had.is_some()
                ),
            )),
            None => Err(Violation::new("S4", format!("n{} begins to {action} {rsc} in no view", i + 1))),
        }
    }

    /// What is begun in the very step that ends a view is begun in it.
    fn view_of(&self, now: Duration, i: usize) -> Option<&View> {
        self.views.get(&i).filter(|(_, ended)| ended.is_none_or(|at| at == now)).map(|(view, _)| view)
    }

    /// Whether the policy without quorum lets a node go on with what it has: `freeze` with anything, promoted or not,
    /// `demote` with what can be promoted, unpromoted (Pacemaker 2.1.5 behaviour). To go on is to recover what failed
    /// there, and to start once more what was about to start there when the view ended: a start whose result nobody
    /// has seen is begun again on the same node (Pacemaker 2.1.5 behaviour).
    fn may_recover(&self, rsc: &str, action: &str) -> bool {
        match self.policy {
            "freeze" => true,
            "demote" => action == "start" && matches!(self.kinds.get(rsc), Some(Kind::Promotable)),
            _ => false,
        }
    }

    /// Whether what begins here was ended at another member of the same view, by its power if not otherwise: a side that
    /// may go on with what it runs may move it too, off a node that leaves for example (Pacemaker 2.1.5 behaviour).
    fn moved(&mut self, to: usize, rsc: &str, action: &str) -> bool {
        if !self.may_recover(rsc, action) {
            return false;
        }
        let here = self.views.get(&to).map(|(view, _)| view.id);
        let ended = if action == "start" { &mut self.stopped } else { &mut self.demoted };
        let same_view = |i: &usize| self.views.get(i).map(|(view, _)| view.id) == here;
        let from = ended.iter().find(|(i, name)| name == rsc && same_view(i)).cloned();
        from.is_some_and(|from| ended.remove(&from))
    }

    /// Half of the votes that has fenced more of them has quorum; the view that says so comes next.
    fn has_fenced_enough(&self, machines: &[Machine], i: usize, view: &View) -> bool {
        let Some(group) = machines.get(i).and_then(Machine::group) else { return false };
        let electorate = &group.history().electorate;
        let theirs = |j: &usize| view.member(id(*j)).is_some() || self.powerless.contains(j);
        let votes: u64 = (0..self.nodes)
            .filter(theirs)
            .filter_map(|j| electorate.voter(id(j), &format!("n{}", j + 1)))
            .map(|v| v.votes)
            .sum();
        self.fencing && votes * 2 > electorate.votes()
    }

    /// The fencing device took the power of a machine that ran this, some of it promoted.
    pub fn power_taken(&mut self, target: usize, ran: BTreeMap<String, bool>) {
        self.powerless.insert(target);
        self.ordered.remove(&target);
        for (rsc, promoted) in ran {
            if promoted {
                self.demoted.insert((target, rsc.clone()));
            }
            self.stopped.insert((target, rsc));
        }
    }

    /// A view began at a node.
    pub fn entered(&mut self, i: usize, view: &View) {
        self.powerless.retain(|i| view.member(id(*i)).is_none());
        self.stopped.retain(|(j, _)| *j != i);
        self.demoted.retain(|(j, _)| *j != i);
        self.views.insert(i, (view.clone(), None));
    }

    /// The last view of a node is over.
    pub fn left(&mut self, now: Duration, i: usize) {
        if let Some((_, ended)) = self.views.get_mut(&i) {
            ended.get_or_insert(now);
        }
    }

    /// An administrator wants it off: one attempt after the other, until it is or the order has timed out.
    pub fn ordered(&mut self, now: Duration, target: usize) {
        self.ordered.insert(target, now);
    }

    /// S5: a fence agent on machine `by` begins to take the power of `target`.
    ///
    /// # Errors
    /// It was healthy, and every member of the fencing view heard it and was heard.
    pub fn fenced(
        &mut self,
        now: Duration,
        net: &Net,
        machines: &[Machine],
        by: usize,
        target: usize,
    ) -> Result<(), Violation> {
        if self.ordered.get(&target).is_some_and(|at| now <= *at + self.longest()) {
            return Ok(());
        }
        let Some(victim) = machines.get(target).filter(|m| m.running()) else { return Ok(()) };
        let Some(view) = self.view_of(now, by) else {
            return Err(Violation::new("S4", format!("n{} fences in no view", by + 1)));
        };
        if victim.agents.stop_failed || victim.paused(now) {
            return Ok(());
        }
        let before = now.saturating_sub(DEADTIME * FORGOTTEN);
        let well = |since: Option<Duration>| since.is_some_and(|t| t < before);
        let members = (0..machines.len()).filter(|i| *i != target && view.member(id(*i)).is_some());
        let reached = members
            .into_iter()
            .all(|i| well(net.good_since(i, target)) && machines.get(i).is_some_and(|m| well(m.well_since)));
        if well(victim.well_since) && reached {
            return Err(Violation::new(
                "S5",
                format!(
                    "n{} fences n{}, which is well and heard by all of view {}",
                    by + 1,
                    target + 1,
                    view.id.epoch
                ),
            ));
        }
        Ok(())
    }

    /// Why not everything is where it should be, if so.
    pub fn unsettled(&self, machines: &[Machine]) -> Option<String> {
        let idle = machines.iter().filter_map(Machine::core).any(|c| c.controller().state() == "S_IDLE");
        if !idle {
            return Some("the DC is not idle".to_owned());
        }
        if machines.iter().any(|m| m.agents.fencing()) {
            return Some("a fence agent is at work".to_owned());
        }
        for (name, kind) in &self.kinds {
            let active = machines.iter().filter(|m| m.agents.active.contains_key(*name)).count();
            let promoted = machines.iter().filter(|m| m.agents.active.get(*name) == Some(&true)).count();
            let right = match kind {
                Kind::One => active == 1,
                Kind::Everywhere => active == self.nodes,
                Kind::Promotable => active == self.nodes && promoted == 1,
            };
            if !right {
                return Some(format!("{name} is active on {active} nodes, promoted on {promoted}"));
            }
        }
        None
    }
}
