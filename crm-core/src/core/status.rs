//! What the core knows of the other nodes, and the status as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use ccm::group::{GroupConfig, OutReason, View};
use ccm::seam::{LinkEvent, NodeId};

use super::Core;
use crate::status::{NodeStatus, Peer, PeerState, Phase, ViewStatus};

/// The nodes this one knows of, by name.
#[derive(Debug, Default)]
pub(super) struct Peers {
    me: String,
    nodes: BTreeMap<String, Known>,
    pings: BTreeMap<String, bool>,
    carrier: Option<bool>,
}

#[derive(Debug, Clone)]
struct Known {
    id: Option<NodeId>,
    state: PeerState,
    address: Option<String>,
    /// When it was heard last, and its dead time.
    heard: Option<(Duration, Duration)>,
}

impl Known {
    const UNSEEN: Self = Self { id: None, state: PeerState::Unseen, address: None, heard: None };
}

impl Peers {
    pub(super) fn new(config: &GroupConfig) -> Self {
        let mut nodes: BTreeMap<String, Known> =
            config.nodes.iter().map(|n| (n.name.clone(), Known::UNSEEN)).collect();
        nodes.insert(
            config.name.clone(),
            Known { id: Some(config.id), state: PeerState::Active, ..Known::UNSEEN },
        );
        let pings = config.pings.iter().map(|p| (p.clone(), false)).collect();
        Self { me: config.name.clone(), nodes, pings, carrier: None }
    }

    /// Takes note; whether something changed that is shown.
    pub(super) fn observe(&mut self, now: Duration, event: &LinkEvent) -> bool {
        match event {
            LinkEvent::Beat { beat, .. } => {
                if beat.name == self.me {
                    return false;
                }
                let known = self.nodes.entry(beat.name.clone()).or_insert(Known::UNSEEN);
                let changed = known.state != PeerState::Active || known.id != Some(beat.id);
                known.id = Some(beat.id);
                known.heard = Some((now, beat.deadtime));
                if changed {
                    known.state = PeerState::Active;
                }
                changed
            }
            LinkEvent::SessionUp { peer, name, address, .. } => {
                let known = self.nodes.entry(name.clone()).or_insert(Known::UNSEEN);
                let changed = known.address.as_ref() != Some(address) || known.id != Some(*peer);
                known.id = Some(*peer);
                known.address = Some(address.clone());
                changed
            }
            LinkEvent::Left { peer, .. } => {
                for known in self.nodes.values_mut() {
                    if known.id == Some(*peer) && known.state != PeerState::Left {
                        known.state = PeerState::Left;
                        known.heard = None;
                        return true;
                    }
                }
                false
            }
            LinkEvent::Foreign { name, alive } => {
                let state = if *alive { PeerState::Foreign } else { PeerState::Dead };
                let known = self.nodes.entry(name.clone()).or_insert(Known::UNSEEN);
                let changed = known.state != state;
                known.state = state;
                changed
            }
            LinkEvent::PingNode { name, reachable } => {
                self.pings.insert(name.clone(), *reachable) != Some(*reachable)
            }
            LinkEvent::Carrier { any } => self.carrier.replace(*any) != Some(*any),
            LinkEvent::SessionLost { .. }
            | LinkEvent::Message { .. }
            | LinkEvent::OldGeneration { .. }
            | LinkEvent::TakenOut { .. }
            | LinkEvent::Duplicate { .. } => false,
        }
    }

    /// Whether this ping node answers.
    pub(super) fn reaches(&self, ping: &str) -> bool {
        self.pings.get(ping) == Some(&true)
    }

    pub(super) fn enter(&mut self, now: Duration, view: &View) {
        for member in &view.members {
            let known = self.nodes.entry(member.name.clone()).or_insert(Known::UNSEEN);
            known.id = Some(member.id);
            if known.state != PeerState::Active {
                known.state = PeerState::Active;
                known.heard.get_or_insert((now, Duration::from_secs(3600)));
            }
        }
        for gone in &view.out {
            if gone.reason == OutReason::Left
                && let Some(known) = self.nodes.get_mut(&gone.name)
            {
                known.state = PeerState::Left;
                known.heard = None;
            }
        }
    }

    /// Whether the members heard within half of their dead time are too few for quorum, as far as the
    /// configured nodes, carrier and ping nodes tell; rules that only the group knows (fencing, a tie
    /// node) are left out, which errs on the side of letting go.
    pub(super) fn quorum_at_risk(&self, now: Duration, configured: usize, members: &[String]) -> bool {
        let heard = members
            .iter()
            .filter(|name| {
                **name == self.me
                    || self
                        .nodes
                        .get(*name)
                        .and_then(|k| k.heard)
                        .is_some_and(|(at, dead)| now < at + dead / 2)
            })
            .count();
        let pings = self.pings.values().any(|reached| *reached);
        match (heard * 2).cmp(&configured) {
            std::cmp::Ordering::Greater => false,
            std::cmp::Ordering::Less => true,
            std::cmp::Ordering::Equal if configured == 2 => {
                (!self.pings.is_empty() && !pings) || self.carrier == Some(false)
            }
            std::cmp::Ordering::Equal => !pings,
        }
    }

    pub(super) fn deadline(&self) -> Option<Duration> {
        self.nodes
            .values()
            .filter(|k| k.state == PeerState::Active)
            .filter_map(|k| k.heard.map(|(at, dead)| at + dead))
            .min()
    }

    pub(super) fn expire(&mut self, now: Duration) -> bool {
        let mut changed = false;
        for known in self.nodes.values_mut() {
            if known.state == PeerState::Active && known.heard.is_some_and(|(at, dead)| at + dead <= now) {
                known.state = PeerState::Dead;
                known.heard = None;
                changed = true;
            }
        }
        changed
    }
}

impl Core {
    /// What this node knows now. Links and refused packets are the driver's to add.
    pub fn status(&self) -> NodeStatus {
        let controller = &self.controller;
        let view = controller.view();
        let members: Vec<String> =
            view.map(|v| v.members.iter().map(|m| m.name.clone()).collect()).unwrap_or_default();
        let mut warnings = controller.warnings();
        if !self.foreign.is_empty() {
            let names: Vec<&str> = self.foreign.iter().map(String::as_str).collect();
            warnings.push(format!(
                "{} speaks Heartbeat but not this program's protocol: no resources are started while it is there",
                names.join(", ")
            ));
        }
        let conflicts = self.group.history().conflicts.clone();
        for conflict in &conflicts {
            warnings.push(format!(
                "a merge left {} changes of another history behind; node {} keeps them in a numbered backup",
                conflict.changes, conflict.holder_name
            ));
        }
        NodeStatus {
            name: self.name.clone(),
            id: self.id,
            phase: self.phase(),
            state: controller.state(),
            dc: controller.dc().map(str::to_owned),
            quorate: view.is_some_and(|v| v.writable),
            suspended: controller.is_suspended(),
            feature_set: view.map(|v| v.feature.clone()).unwrap_or_default(),
            view: view.map(|v| ViewStatus {
                id: v.id,
                members: members.clone(),
                writable: v.writable,
                exclusive: v.exclusive,
                why: v.why.clone(),
                complete: controller.is_complete(),
            }),
            peers: self.peer_list(&members),
            cib: controller.cib(),
            transition: controller.transition_status(),
            fencing: self.fencing.history(),
            fencing_pending: self.fencing.pending(),
            conflicts,
            carrier: self.peers.carrier.unwrap_or(true),
            pings: self.peers.pings.clone(),
            warnings,
            refused: BTreeMap::new(),
        }
    }

    fn phase(&self) -> Phase {
        if self.exited {
            return Phase::Gone;
        }
        match self.controller.state() {
            "S_TERMINATE" => Phase::Leaving,
            _ if self.controller.is_storage_lost() => Phase::DiskFailed,
            _ if self.controller.is_leaving() => Phase::Leaving,
            "S_STARTING" => Phase::Boot,
            "S_PENDING" => Phase::Seeking,
            _ => Phase::Active,
        }
    }

    fn peer_list(&self, members: &[String]) -> Vec<Peer> {
        let mut list: Vec<Peer> = self
            .peers
            .nodes
            .iter()
            .map(|(name, known)| Peer {
                name: name.clone(),
                id: known.id,
                member: members.contains(name),
                state: known.state,
                links: Vec::new(),
                address: known.address.clone(),
            })
            .collect();
        list.extend(self.peers.pings.iter().map(|(name, reachable)| Peer {
            name: name.clone(),
            id: None,
            member: false,
            state: if *reachable { PeerState::Ping } else { PeerState::Dead },
            links: Vec::new(),
            address: None,
        }));
        list
    }
}
