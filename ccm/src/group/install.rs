//! From Install to Active: get the base, Switch, report, activate (R7.10–7.12, R9.9, R9.12).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cib::Element;
use sha2::{Digest, Sha256};

use super::disk::{Job, SwitchJob};
use super::message::{Install, Message, What};
use super::record::{CEILING_STEP, ViewRecord};
use super::round::Held;
use super::update::Active;
use super::{Conflict, Group, GroupAction, GroupEvent, Level, Out, OutReason, Phase, View, Visible};
use crate::codec::{Reader, Writer};
use crate::election::lowest_feature;
use crate::membership::info::PhaseName;
use crate::replication::entry::{Durable, State};
use crate::replication::lineage::Hash;
use crate::replication::merge::{Exclusive, LIST_LIMIT};
use crate::sabotage::{self, Rule};
use crate::seam::{NodeId, Stamp, ViewId};

/// A view being installed.
#[derive(Debug, Clone)]
pub struct Installing {
    pub install: Install,
    /// What the base is fetched on top of: the history here, or what was learned before.
    pub ground: Durable,
    /// Obtained so far; `None` while it is fetched.
    pub durable: Option<Durable>,
    pub status: Option<StatusPart>,
    /// The Switch was asked for.
    pub switching: bool,
    /// Without progress until then: give up (R7.12).
    pub until: Duration,
}

/// The volatile half a new view starts with.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StatusPart {
    /// As the source held it.
    pub bytes: Vec<u8>,
}

/// What a DC collects before it activates (R7.11).
#[derive(Debug, Clone)]
pub struct Activation {
    pub p: ViewId,
    pub digests: BTreeMap<NodeId, Hash>,
}

/// Documents of lost merges kept on a disk, unread (R9.9).
pub const BACKUP_LIMIT: usize = if cfg!(test) { 3 } else { 32 };

/// Views led that are remembered (R9.8): older ones are committed, or end in a backup.
const LED_LIMIT: usize = 64;
/// Views for which early `Installed` are kept (R7.11).
const EARLY_VIEWS: usize = 64;

impl Group {
    /// R7.10: only for the promised view, only with this incarnation in it.
    pub(super) fn on_install(&mut self, from: NodeId, install: Install) {
        let p = install.p;
        self.seen = self.seen.max(p.epoch);
        let listed =
            install.members.iter().any(|m| m.id == self.config.id && m.inc == self.config.incarnation);
        let promised = self.promised == p
            && matches!(&self.phase, Phase::Promised { p: mine, .. } if *mine == p)
            || sabotage::out(Rule::InstallOfThePromised);
        if !promised || !listed || p.proposer != from {
            return;
        }
        let until = self.now + self.config.deadtime;
        // R7.11, R10.6: a document that was found to differ is not built upon.
        let whole = install.full.contains(&self.config.id) && install.source != self.config.id;
        let base = install.base();
        let is_base = |d: &Durable| (d.lineage.head(), d.lineage.h()) == base;
        let ground = match self.learning.staged.as_deref() {
            Some(staged) if !is_base(&self.state.durable) && install.lineage.contains(&staged.lineage) => {
                staged
            }
            _ => &self.state.durable,
        };
        let ground = ground.clone();
        let have_base = is_base(&ground) && !whole;
        let have_status = match install.status.source {
            None => true,
            Some(source) => {
                source == self.config.id
                    || (self.view.as_ref().is_some_and(|v| v.id == install.status.view)
                        && self.state.last == install.status.head)
            }
        };
        let status = have_status.then(|| match install.status.source {
            None => StatusPart::default(),
            Some(_) => StatusPart { bytes: status_bytes(&self.state) },
        });
        let durable = have_base.then(|| ground.clone());
        if durable.is_none() {
            // The suffix suffices when what is here is part of the base.
            let fits = install.lineage.contains(&ground.lineage) && !whole;
            let (have, have_h) =
                if fits { (ground.lineage.head(), ground.lineage.h()) } else { Default::default() };
            let source = install.source;
            self.send(source, Message::Fetch { p, what: What::Base, have, have_h });
        }
        if let (None, Some(source)) = (&status, install.status.source) {
            let (have, have_h) = Default::default();
            self.send(source, Message::Fetch { p, what: What::Status, have, have_h });
        }
        self.phase = Phase::Installing(Box::new(Installing {
            install,
            ground,
            durable,
            status,
            switching: false,
            until,
        }));
        self.try_switch();
    }

    /// When everything is here: one Switch for all of it (R4.2).
    pub(super) fn try_switch(&mut self) {
        let Phase::Installing(i) = &mut self.phase else { return };
        let (Some(durable), Some(status), false) = (&i.durable, &i.status, i.switching) else { return };
        let (install, durable, status) = (i.install.clone(), durable.clone(), status.clone());
        i.switching = true;
        let backup = self.backup_for(&install);
        if backup.is_some() && self.record.kept.len() >= BACKUP_LIMIT {
            // R9.9: what nobody has read yet is not thrown away for something else.
            let error = format!(
                "{BACKUP_LIMIT} documents that lost a merge are kept here and unread; dismiss them (everbeat cib \
                 conflicts) and start this node again"
            );
            self.report = None;
            self.lose_storage(&error);
            return;
        }
        let members = install.members.iter().map(|m| (m.id, m.inc)).collect();
        let mut switched = self.record.switched.clone();
        if install.exclusive {
            let ids = install.members.iter().map(|m| m.id).collect();
            switched.push(Exclusive { view: install.p, members: ids });
        }
        let cut = self.record.cut || switched.len() > LIST_LIMIT || install.lq.len() > LIST_LIMIT;
        let mut lq = install.lq.clone();
        shorten(&mut lq);
        shorten(&mut switched);
        let commit =
            if durable.lineage.has(self.record.commit) { self.record.commit } else { Default::default() };
        let record = ViewRecord {
            view: install.p,
            members,
            exclusive: install.exclusive,
            writable: install.writable,
            lq,
            switched,
            cut,
            // R15.10: a base adopted without quorum does not verify a disk.
            verified: self.record.verified || install.exclusive,
            regressed: self.record.regressed && !install.exclusive,
            clean: false,
            was_alone: self.record.was_alone,
            commit,
            admin_epoch: self.record.admin_epoch,
            ceiling: self.record.ceiling.max(install.p.epoch + CEILING_STEP),
            rest: Vec::new(),
            kept: self.record.kept.clone(),
            padding: Vec::new(),
        };
        // The volatile half stays that of the last active view until this one is active: should it
        // never be, the next round must find what that view left.
        let state = State { durable, ..self.state.clone() };
        self.pending_status = Some((install.p, status));
        self.disk.push(Job::Switch(Box::new(SwitchJob { state, record, backup, install: Some(install) })));
    }

    /// R9.9: the document here, when the new base does not contain it, unless all that is lost was
    /// this node's own and never acknowledged (R9.8).
    fn backup_for(&mut self, install: &Install) -> Option<(Element, String)> {
        let mine = &self.state.durable;
        if install.lineage.contains(&mine.lineage) {
            let differs =
                install.full.contains(&self.config.id) && self.suspects.contains_key(&self.config.id);
            return differs.then(|| {
                let text = format!("the document of {} differed from that of the others\n", self.config.name);
                (self.state.cib().into_root(), text)
            });
        }
        let branch = install.lineage.branch(&mine.lineage);
        let tip = mine.lineage.head();
        // Everything after the branch point is of views that it led since its start, and it committed nothing
        // of that: then nobody did.
        let base = &install.lineage;
        let mut tail =
            mine.lineage.segments().iter().filter(|s| !base.has(Stamp { view: s.view, n: s.last }));
        if self.record.commit <= branch && tail.all(|s| self.led.contains(&s.view)) {
            let text = format!(
                "changes after {} {} were never acknowledged and are taken back",
                branch.view.epoch, branch.n
            );
            self.log(Level::Info, text);
            return None;
        }
        if sabotage::out(Rule::Backup) {
            return None;
        }
        let winner = install.lineage.head();
        let lost: u64 = mine
            .lineage
            .segments()
            .iter()
            .filter(|s| s.view >= branch.view)
            .map(|s| if s.view == branch.view { s.last - branch.n.min(s.last) } else { s.last })
            .sum();
        let name = |s: crate::seam::Stamp| format!("{}.{}/{}", s.view.epoch, s.view.boot, s.n);
        let text = format!(
            "losing history of {}: last change {}, in common up to {}, winner {}\nmembers: {}\nchanges: {lost}\n",
            self.config.name,
            name(tip),
            name(branch),
            name(winner),
            self.record.members.iter().map(|(id, _)| id.to_string()).collect::<Vec<_>>().join(" "),
        );
        self.report = Some(Conflict {
            tip,
            branch,
            winner,
            holder: self.config.id,
            holder_name: self.config.name.clone(),
            changes: lost,
        });
        Some((self.state.cib().into_root(), text))
    }

    /// The Switch is on disk: the new base is this node's history from now on.
    pub(super) fn on_switched(&mut self, state: State, install: Install) {
        let p = install.p;
        self.transfers.switched(&state.durable.lineage);
        self.forget_lessons();
        // Dismissed while this node was away.
        let tips = |s: &State| s.durable.conflicts.iter().map(|c| c.tip).collect::<BTreeSet<_>>();
        let (old, new) = (tips(&self.state), tips(&state));
        self.record.kept.retain(|tip| new.contains(tip) || !old.contains(tip));
        self.state = state;
        self.installed = Some(install.clone());
        if let Phase::Installing(i) = &mut self.phase
            && i.install.p == p
        {
            i.until = self.now + self.config.deadtime;
        }
        if install.dc == self.config.id {
            let digests = self.early.remove(&p).unwrap_or_default();
            self.activation = Some(Activation { p, digests });
        }
        let digest = self.installed_digest(p);
        self.send(install.dc, Message::Installed { p, digest });
    }

    fn installed_digest(&self, p: ViewId) -> Hash {
        let mut hash = Sha256::new();
        hash.update(self.state.durable.digest());
        if let Some((of, status)) = &self.pending_status
            && *of == p
        {
            hash.update(&status.bytes);
        }
        hash.finalize().into()
    }

    pub(super) fn on_installed(&mut self, from: NodeId, p: ViewId, digest: Hash) {
        let Some(activation) = self.activation.as_mut().filter(|a| a.p == p) else {
            if p > self.view.as_ref().map(|v| v.id).unwrap_or_default() {
                self.early.entry(p).or_default().insert(from, digest);
                if self.early.len() > EARLY_VIEWS {
                    self.early.pop_first();
                }
            }
            return;
        };
        activation.digests.insert(from, digest);
        self.try_activate();
    }

    /// R7.11: all of them, with one digest.
    fn try_activate(&mut self) {
        let (Some(install), Some(activation)) = (&self.installed, &self.activation) else { return };
        if install.p != activation.p || self.promised != install.p {
            return;
        }
        let needed = install.members.iter().filter(|m| !activation.digests.contains_key(&m.id)).count();
        let enough =
            needed == 0 || (sabotage::out(Rule::ActivateWithAll) && needed * 2 < install.members.len());
        if !enough {
            return;
        }
        let digests = activation.digests.clone();
        let p = install.p;
        if digests.values().any(|d| Some(d) != digests.values().next()) {
            self.documents_differ(&digests);
            self.activation = None;
            self.phase = Phase::Seeking;
            self.dirty = true;
            return;
        }
        let members: Vec<NodeId> = install.members.iter().map(|m| m.id).collect();
        for id in members {
            self.send(id, Message::Activate { p });
        }
    }

    /// R7.11: also when a timer moved this node on, as long as it promised nothing later.
    pub(super) fn on_activate(&mut self, from: NodeId, p: ViewId) {
        if self.promised != p || self.record.view != p {
            return;
        }
        if !self.installed.as_ref().is_some_and(|i| i.p == p && i.dc == from) {
            return;
        }
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Gone | Phase::DiskFailed) {
            return;
        }
        if let Some(install) = self.installed.take() {
            self.activate(install);
        }
    }

    fn activate(&mut self, install: Install) {
        let p = install.p;
        self.take_status(&install);
        let before = self.view.take();
        if self.born == ViewId::default() {
            self.born = p;
        }
        // R16.6: all members keep the hold-down, or the next in turn would invite at once.
        for (id, why) in &install.ejected {
            let held = Held { until: self.now + self.config.deadtime, times: 0, why: why.clone() };
            self.held_down.entry(*id).or_insert(held);
        }
        self.held_down.retain(|_, h| self.now < h.until + self.config.deadtime * 16);
        self.together.extend(install.members.iter().map(|m| m.id).filter(|id| *id != self.config.id));
        if install.exclusive {
            // R9.6: known active: nothing older matters any more.
            let ids: Vec<NodeId> = install.members.iter().map(|m| m.id).collect();
            self.record.lq = vec![Exclusive { view: p, members: ids.clone() }];
            self.record.switched = vec![Exclusive { view: p, members: ids }];
            self.record.cut = false;
        }
        if install.writable {
            self.record.commit = self.state.durable.lineage.head(); // R9.5
            self.record.admin_epoch = self.state.cib().version().admin_epoch;
            self.record.was_alone = false; // that survivor's word is in the history now
        }
        if install.dc == self.config.id {
            self.led.insert(p);
            if self.led.len() > LED_LIMIT {
                self.led.pop_first();
            }
        }
        self.suspects.retain(|id, _| !install.members.iter().any(|m| m.id == *id));
        self.active_since = self.now;
        self.digest_at = Duration::ZERO;
        let view = self.make_view(&install, before.as_ref());
        let excluded = |o: &&Out| o.reason == OutReason::Excluded;
        self.excluded = view.out.iter().filter(excluded).map(|o| (o.id, o.inc)).collect();
        let was_suspended = before.as_ref().is_some_and(|v| v.suspended);
        self.view = Some(Active::new(&install, self.now, self.electorate().into_owned()));
        self.phase = Phase::Active;
        self.activation = None;
        self.early = self.early.split_off(&p);
        self.early.remove(&p);
        self.failures = 0;
        self.backoff_until = self.now;
        self.want = None;
        self.dirty = true;
        self.beat_now = true;
        self.transfers.thaw();
        if was_suspended {
            self.event(GroupEvent::Resumed);
        }
        self.log(
            Level::Info,
            format!(
                "view {} of {} ({}): {}",
                p.epoch,
                install.members.iter().map(|m| m.name.as_str()).collect::<Vec<_>>().join(", "),
                if install.writable { "may write" } else { "may not write" },
                install.why
            ),
        );
        if self.last_dc_logged != Some(install.dc) {
            self.last_dc_logged = Some(install.dc);
            self.log(Level::Info, format!("Set DC to {} ({})", self.name_of_member(&install), view.feature));
        }
        self.show_base();
        self.event(GroupEvent::ViewChanged(view));
        let members: Vec<NodeId> = install.members.iter().map(|m| m.id).collect();
        let out = self.bus.open(p, &members);
        self.on_bus_out(out);
        self.after_activation();
    }

    fn name_of_member(&self, install: &Install) -> String {
        install.members.iter().find(|m| m.id == install.dc).map(|m| m.name.clone()).unwrap_or_default()
    }

    /// The volatile half of the new view, the same at all members: as its source held it, without
    /// the states of members that it cannot know, with the facts of the view on the root.
    fn take_status(&mut self, install: &Install) {
        let status = match self.pending_status.take() {
            Some((of, status)) if of == install.p => status,
            _ => StatusPart::default(),
        };
        let mut fresh = State { durable: self.state.durable.clone(), ..State::default() };
        if !status.bytes.is_empty() && fresh.read_status(&mut Reader::new(&status.bytes)).is_err() {
            self.log(Level::Error, "the status section of the new view is not readable: starting with none");
        }
        let gone: BTreeSet<String> = install
            .members
            .iter()
            .filter(|m| install.status.not_carried.contains(&m.id))
            .flat_map(|m| [m.id.to_string(), m.name.clone()])
            .collect();
        fresh.status.retain_children(|c| {
            c.name() != "node_state"
                || !(c.id().is_some_and(|id| gone.contains(id))
                    || c.attr("uname").is_some_and(|name| gone.contains(name)))
        });
        let number = |text: Option<&str>| text.and_then(|t| t.parse::<u64>().ok()).unwrap_or(0);
        let live = fresh.root.iter().find(|(k, _)| k == "num_updates").map(|(_, v)| v.as_str());
        let updates = number(live).max(number(fresh.durable.document.attr("num_updates")));
        fresh.root = vec![
            ("num_updates".to_owned(), updates.to_string()),
            ("have-quorum".to_owned(), if install.writable { "1" } else { "0" }.to_owned()), // R15.4
            ("dc-uuid".to_owned(), install.dc.to_string()),
        ];
        fresh.last = crate::seam::Stamp { view: install.p, n: 0 };
        self.state = fresh;
    }

    /// The whole base is visible at once.
    fn show_base(&mut self) {
        let cib = self.state.cib();
        let before = std::mem::replace(&mut self.visible, cib.clone());
        self.visible_at = self.state.last;
        self.out.push(GroupAction::Visible(Visible {
            cib,
            before,
            at: self.visible_at,
            by_entry: false,
            by: None,
            durable: true,
        }));
    }

    fn make_view(&self, install: &Install, before: Option<&Active>) -> View {
        let was = before.map(|v| v.members.as_slice()).unwrap_or_default();
        let joined = install
            .members
            .iter()
            .filter(|m| !was.iter().any(|w| w.id == m.id && w.inc == m.inc))
            .map(|m| m.id)
            .collect();
        let out = was
            .iter()
            .filter(|w| !install.members.iter().any(|m| m.id == w.id && m.inc == w.inc))
            .map(|w| {
                let peer = self.edges.peer(w.id);
                let failed = peer.is_some_and(|p| p.inc == w.inc && p.info.phase == PhaseName::DiskFailed);
                let ejected = failed || install.ejected.iter().any(|(id, _)| *id == w.id);
                // By this node, or by another member: it is well, and has to find out and let go.
                let with = |m: NodeId| self.edges.peer(m).is_some_and(|p| p.info.edges.contains(&w.id));
                let heard = self.edges.heard(self.now).contains(&w.id)
                    || install.members.iter().any(|m| m.id != w.id && with(m.id));
                let (reason, settled) = if self.fenced.get(&w.id) == Some(&w.inc) {
                    (OutReason::Fenced, self.now)
                } else if peer.is_some_and(|p| p.inc == w.inc && p.left) {
                    (OutReason::Left, self.now)
                } else if peer.is_some_and(|p| p.inc != w.inc)
                    || install.members.iter().any(|m| m.id == w.id && m.inc != w.inc)
                {
                    (OutReason::Restarted, self.now)
                } else if ejected {
                    (OutReason::Ejected, self.now + self.config.deadtime)
                } else if heard {
                    (OutReason::Excluded, self.now + self.config.deadtime) // R7.18
                } else {
                    (OutReason::Silent, self.now)
                };
                Out { id: w.id, name: w.name.clone(), inc: w.inc, reason, settled_at: settled }
            })
            .collect();
        View {
            id: install.p,
            members: install.members.clone(),
            joined,
            out,
            dc: install.dc,
            exclusive: install.exclusive,
            writable: install.writable,
            tie: install.tie,
            why: install.why.clone(),
            feature: lowest_feature(install.members.iter()).to_owned(),
            announce: install.status.not_carried.contains(&self.config.id),
            conflicts: self.state.durable.conflicts.clone(),
        }
    }

    /// R7.12.
    pub(super) fn poll_phase(&mut self) {
        let now = self.now;
        self.poll_round();
        match &mut self.phase {
            Phase::Promised { until, .. } if now >= *until => {
                self.phase = Phase::Seeking;
                self.failures = self.failures.saturating_add(1);
                self.dirty = true;
            }
            Phase::Installing(i) => {
                // A member that vanished will not install: no reason to wait for the timer.
                let lost = i.install.members.iter().any(|m| {
                    m.id != self.config.id
                        && !self.edges.peer(m.id).is_some_and(|p| p.inc == m.inc && self.edges.up(m.id))
                });
                if now >= i.until || lost {
                    self.phase = Phase::Seeking;
                    self.dirty = true;
                }
            }
            Phase::Leaving { until, .. } => {
                if now >= *until {
                    self.finish_leaving();
                } else {
                    self.poll_leaving();
                }
            }
            Phase::Boot { .. }
            | Phase::Seeking
            | Phase::Proposing(_)
            | Phase::Promised { .. }
            | Phase::Active
            | Phase::Gone
            | Phase::DiskFailed => {}
        }
    }

    pub(super) fn phase_deadline(&self) -> Option<Duration> {
        match &self.phase {
            Phase::Promised { until, .. } | Phase::Leaving { until, .. } => Some(*until),
            Phase::Installing(i) => Some(i.until),
            Phase::Boot { until } => Some(*until),
            Phase::Proposing(_) => self.round_deadline(),
            Phase::Seeking | Phase::Active | Phase::Gone | Phase::DiskFailed => None,
        }
    }
}

/// The volatile half as it travels.
pub fn status_bytes(state: &State) -> Vec<u8> {
    let mut w = Writer::new();
    state.write_status(&mut w);
    w.finish()
}

/// R9.6: an overlong list keeps its first and last elements.
fn shorten(list: &mut Vec<Exclusive>) {
    while list.len() > LIST_LIMIT {
        list.remove(1);
    }
}
