//! What comes in: link events, beats, messages; and what makes a view broken (R7.2).

use std::time::Duration;

use super::beat::relevant;
use super::*;
use crate::election::compare_features;

impl Group {
    pub(super) fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::SessionUp { peer, inc, name, .. } => {
                let fresh = self.edges.session_up(peer, &name, inc);
                self.parts.forget(peer);
                if fresh {
                    self.stop_serving(peer);
                }
                if fresh {
                    self.fenced.remove(&peer);
                    self.held_down.remove(&peer);
                    self.break_view_if_member(peer, inc, "restarted");
                }
                self.dirty = true;
            }
            LinkEvent::SessionLost { peer, inc, why } => {
                self.edges.session_lost(peer, inc);
                self.parts.forget(peer);
                self.stop_serving(peer);
                // R2.6: a lost FIFO may have swallowed an update.
                if self.view.as_ref().is_some_and(|v| v.is_member(peer, inc)) {
                    self.break_view(format!("the session with {} ended: {why}", self.name_of(peer)));
                }
                self.dirty = true;
            }
            LinkEvent::Beat { at, beat } => self.on_beat(at, &beat),
            LinkEvent::Message { from, inc, payload } => {
                if self.edges.peer(from).is_none_or(|p| p.inc != inc) {
                    return;
                }
                match Message::decode(&payload) {
                    Ok(message) => self.on_message(from, message),
                    Err(error) => {
                        // R17.2: counted, dropped.
                        self.dropped_messages += 1;
                        self.log(
                            Level::Warning,
                            format!("message of {} dropped: {error}", self.name_of(from)),
                        );
                    }
                }
            }
            LinkEvent::Foreign { name, alive } => {
                if alive {
                    self.foreign.insert(name.clone());
                } else {
                    self.foreign.remove(&name);
                }
                self.event(GroupEvent::Foreign { name, alive });
            }
            LinkEvent::PingNode { name, reachable } => {
                self.dirty |= self.witnesses.set_ping(name, reachable, self.now, self.config.deadtime);
            }
            LinkEvent::Carrier { any } => {
                self.dirty |= self.witnesses.set_carrier(any, self.now, self.config.deadtime);
            }
            LinkEvent::OldGeneration { .. } => {
                self.log(
                    Level::Error,
                    "another node remembers a later start of this one: its disk was set back",
                );
                self.record.regressed = true;
                self.record.verified = false;
            }
            LinkEvent::Left { peer, inc } => self.on_bye(peer, inc, "left"),
            LinkEvent::TakenOut { by, name } => self.on_taken_out(by, &name),
            LinkEvent::Duplicate { what, name, addresses } => {
                self.event(GroupEvent::Duplicate { what, name, addresses });
            }
        }
    }

    /// R15.8: what is held here says who voted once. While one of those that know better is there, this node neither
    /// writes past it nor fences it.
    fn on_taken_out(&mut self, by: NodeId, name: &str) {
        let until = self.now + self.config.deadtime;
        if self.taken_out_by.insert(by, until).is_some() {
            return;
        }
        self.dirty = true;
        // What the view was given on the word that nobody else is there.
        let alone = self.view.as_ref().is_some_and(|v| !v.exclusive && v.members.iter().all(|m| m.id != by));
        if alone {
            self.break_view(format!("{name} does not take this node for one of its cluster"));
        }
    }

    pub(super) fn on_bye(&mut self, peer: NodeId, inc: Incarnation, why: &str) {
        self.edges.left(peer, inc);
        self.break_view_if_member(peer, inc, why);
        self.dirty = true;
    }

    pub(super) fn on_beat(&mut self, at: Duration, beat: &Beat) {
        let Ok(info) = BeatInfo::from_record(BEAT_VERSION, &beat.body.0) else {
            self.dropped_messages += 1;
            return;
        };
        let before = self.edges.peer(beat.id).map(|p| p.info.clone());
        if !self.edges.on_beat(at, beat, info.clone()) {
            return;
        }
        self.seen = self.seen.max(info.view.epoch).max(info.promised.epoch).max(info.seen); // R7.1
        if before.is_none_or(|b| relevant(&b) != relevant(&info)) {
            self.dirty = true;
        }
        // R11.3: said once in the life of this start.
        let old = compare_features(&self.config.feature, &info.floor) == std::cmp::Ordering::Less;
        if old && !self.told_old {
            self.told_old = true;
            let text = format!(
                "this node speaks feature set {}, the cluster {} or later: upgrade the software here",
                self.config.feature, info.floor
            );
            self.log(Level::Error, text);
        }
        if info.phase == PhaseName::Active && self.heard_active.is_none() {
            self.heard_active = Some(self.now);
        }
        self.compare_with_view(beat.id, &info);
    }

    /// R7.2 and R6.6: what a member's beat says about the view.
    pub(super) fn compare_with_view(&mut self, from: NodeId, info: &BeatInfo) {
        let me = self.me();
        let Some(view) = &self.view else { return };
        if !view.members.iter().any(|m| m.id == from) {
            return;
        }
        let excluded = info.phase == PhaseName::Active && info.view > view.id && !info.members.contains(&me);
        // Also while a next view is sought: what runs here is the others' soon (R7.18).
        let stays = !matches!(self.phase, Phase::Leaving { .. } | Phase::Gone | Phase::DiskFailed);
        if excluded && stays && self.evicted_from != Some(view.id) {
            self.evicted_from = Some(view.id);
            let reason = format!("{} and others went on without this node", self.name_of(from));
            self.event(GroupEvent::Evicted { reason });
        }
        let Some(view) = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active)) else { return };
        let reason = if excluded {
            Some(format!("{} is active in a later view without this node", self.name_of(from)))
        } else if info.view > view.id || info.promised > view.id {
            Some(format!("{} has moved on to another view", self.name_of(from)))
        } else if info.view == view.id && info.phase == PhaseName::Active {
            let lost = view
                .members
                .iter()
                .find(|m| m.id != from && m.id != me && !info.edges.contains(&m.id))
                .map(|m| m.name.clone());
            lost.map(|name| format!("{} lost {name}", self.name_of(from)))
        } else {
            None
        };
        if let Some(reason) = reason {
            self.break_view(reason);
        }
        if excluded {
            self.suspend();
        }
    }

    pub(super) fn on_message(&mut self, from: NodeId, message: Message) {
        match message {
            Message::Propose(m) => self.on_propose(from, m),
            Message::Promise(m) => self.on_promise(from, *m),
            Message::Refuse { p, why, seen, promised } => self.on_refuse(from, p, why, seen, promised),
            Message::Install(m) => self.on_install(from, *m),
            Message::Release { p } => self.on_release(p),
            Message::Installed { p, digest } => self.on_installed(from, p, digest),
            Message::Activate { p } => self.on_activate(from, p),
            Message::Bye { reason } => {
                let inc = self.edges.peer(from).map(|p| p.inc);
                match inc {
                    Some(inc) if reason == BYE_LEFT => self.on_bye(from, inc, &reason),
                    // R16.7: it takes part in nothing more, but what runs there runs on.
                    Some(inc) => self.break_view_if_member(from, inc, &reason),
                    None => {}
                }
            }
            Message::Request { view, request } => self.on_request(from, view, *request),
            Message::Update { entry, commit } => self.on_update(from, *entry, commit),
            Message::Ack { view, upto } => self.on_ack(from, view, upto),
            Message::Commit { view, n } => self.on_commit(from, view, n),
            Message::Reply { rid, answer } => self.on_answer(rid, answer),
            Message::Bus { view, seq, payload } => {
                let out = self.bus.receive(view, from, seq, payload);
                self.on_bus_out(out);
            }
            Message::BusAck { view, upto } => self.bus.acknowledged(view, from, upto),
            Message::Fetch { p, what, have, have_h } => self.on_fetch(from, p, what, have, have_h),
            Message::Chunk { p, what, index, last, bytes } => {
                self.on_chunk(from, p, what, index, last, &bytes)
            }
            Message::ChunkAck { p, what, index } => self.on_chunk_ack(from, p, what, index),
            Message::Probe { view, k } => self.on_probe(from, view, k),
            Message::ProbeOk { view, k } => self.on_probe_ok(from, view, k),
            Message::Digest { view, n, digest } => self.on_digest(from, view, n, digest),
            Message::Part { of, index, last, bytes } => self.on_part(from, of, index, last, &bytes),
            Message::PartAck { of, index } => self.on_part_ack(from, of, index),
            Message::Whole { of } => self.on_whole(from, of),
        }
    }

    pub(super) fn on_bus_out(&mut self, out: BusOut) {
        let view = self.view.as_ref().map(|v| v.id).unwrap_or_default();
        for m in out.send {
            self.send(m.to, Message::Bus { view, seq: m.seq, payload: m.payload });
        }
        for (from, payload) in out.deliver {
            self.event(GroupEvent::Deliver { from, payload });
        }
        for (to, payload) in out.dropped {
            self.event(GroupEvent::Dropped { to, payload });
        }
        for (sender, upto) in out.acks {
            self.send(sender, Message::BusAck { view, upto });
        }
    }

    pub(super) fn poll_edges(&mut self) {
        for change in self.edges.poll(self.now) {
            self.dirty = true;
            self.beat_now = true;
            match change {
                EdgeChange::Up(peer) => {
                    self.log(Level::Info, format!("{} is heard both ways", self.name_of(peer)))
                }
                EdgeChange::Down(peer) => {
                    self.log(
                        Level::Warning,
                        format!("{} is not heard both ways any more", self.name_of(peer)),
                    );
                    if self.view.as_ref().is_some_and(|v| v.members.iter().any(|m| m.id == peer)) {
                        self.break_view(format!("{} is not heard", self.name_of(peer)));
                    }
                }
            }
        }
    }

    /// R7.18: an excluded node that no member hears any more is as silent as one that died. The members' edges to a
    /// node that died fall one after the other, and the first makes the view.
    pub(super) fn poll_excluded(&mut self) {
        let Some(view) = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active)) else { return };
        let heard = self.edges.heard(self.now);
        let reached = |gone: NodeId| {
            self.edges.up(gone)
                || heard.contains(&gone)
                || view
                    .members
                    .iter()
                    .filter_map(|m| self.edges.peer(m.id))
                    .any(|p| p.info.edges.contains(&gone) || p.info.facts.heard.contains(&gone))
        };
        let (still, silent) = self.excluded.iter().copied().partition(|(gone, _)| reached(*gone));
        self.excluded = still;
        let silent: Vec<(NodeId, Incarnation)> = silent;
        for (id, inc) in silent {
            self.event(GroupEvent::Silent { id, inc });
        }
    }

    pub(super) fn break_view_if_member(&mut self, peer: NodeId, inc: Incarnation, why: &str) {
        let member = self.view.as_ref().and_then(|v| v.members.iter().find(|m| m.id == peer));
        if member.is_some_and(|m| m.inc != inc || why != "restarted") {
            self.break_view(format!("{} {why}", self.name_of(peer)));
        }
    }

    /// R7.2: sticky; only a new view cures it.
    pub(super) fn break_view(&mut self, why: String) {
        let Some(view) = &mut self.view else { return };
        if view.broken.is_none() && matches!(self.phase, Phase::Active | Phase::Leaving { .. }) {
            view.broken = Some(why.clone());
            self.dirty = true;
            self.log(Level::Info, format!("view is broken: {why}"));
        }
    }
}
