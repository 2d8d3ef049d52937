//! What controller, fencing and attributes talk over: messages to one member or to all, in order
//! per sender, delivered within the view they were sent in, dropped and reported at its end.
//!
//! ```text
//! send ─▶ numbered, kept until acknowledged ─▶ link (FIFO per pair) ─▶ receiver of the same view ─▶ Deliver
//!                      │ end of the view                                   │ not yet active: kept for that view
//!                      ▼                                                   ▼ another view: dropped
//!                   Dropped (to the sender: may not have been delivered)
//! ```

use std::collections::{BTreeMap, VecDeque};

use crate::seam::{NodeId, ViewId};

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum BusAddress {
    /// Every member of the view, the sender included.
    All,
    Node(NodeId),
}

/// Unacknowledged messages a sender keeps; beyond, new ones are dropped and reported at once.
pub const UNACKED_LIMIT: usize = 4096;
/// Messages kept for a view that is being installed, in all.
pub const EARLY_LIMIT: usize = 4096;

/// A numbered message on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub to: NodeId,
    pub seq: u64,
    pub payload: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Kept {
    seq: u64,
    address: BusAddress,
    payload: Vec<u8>,
}

/// The bus of one node.
#[derive(Debug, Clone, Default)]
pub struct Bus {
    view: Option<ViewId>,
    me: NodeId,
    /// Per receiver: last number given, and what it has not acknowledged.
    out: BTreeMap<NodeId, (u64, VecDeque<Kept>)>,
    /// Per sender: last number delivered.
    delivered: BTreeMap<NodeId, u64>,
    /// Messages of a view in which this node is not yet active.
    early: VecDeque<(ViewId, NodeId, u64, Vec<u8>)>,
}

/// What the bus wants done after a step.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BusOut {
    pub send: Vec<Outgoing>,
    pub deliver: Vec<(NodeId, Vec<u8>)>,
    pub dropped: Vec<(BusAddress, Vec<u8>)>,
    /// Cumulative acknowledgements to send: sender, number.
    pub acks: Vec<(NodeId, u64)>,
}

impl Bus {
    pub fn new(me: NodeId) -> Self {
        Self { me, ..Self::default() }
    }

    /// A view is active: what came early for it is delivered, in the order of arrival.
    pub fn open(&mut self, view: ViewId, members: &[NodeId]) -> BusOut {
        let mut out = BusOut::default();
        self.view = Some(view);
        self.out = members.iter().filter(|m| **m != self.me).map(|m| (*m, Default::default())).collect();
        self.delivered = members.iter().map(|m| (*m, 0)).collect();
        let early = std::mem::take(&mut self.early);
        let mut acks: BTreeMap<NodeId, u64> = BTreeMap::new();
        for (of, from, seq, payload) in early {
            if of == view {
                let got = self.receive(of, from, seq, payload);
                out.deliver.extend(got.deliver);
                acks.extend(got.acks);
            } else if of > view {
                self.early.push_back((of, from, seq, payload));
            }
        }
        out.acks = acks.into_iter().collect();
        out
    }

    /// The view decides nothing any more: what was not acknowledged is reported to its sender.
    pub fn close(&mut self) -> BusOut {
        let mut out = BusOut::default();
        if self.view.take().is_some() {
            let mut seen_all: Vec<Vec<u8>> = Vec::new();
            for (to, (_, kept)) in std::mem::take(&mut self.out) {
                for k in kept {
                    match k.address {
                        BusAddress::Node(_) => out.dropped.push((BusAddress::Node(to), k.payload)),
                        // A broadcast is reported once, however many did not acknowledge it.
                        BusAddress::All => {
                            if !seen_all.contains(&k.payload) {
                                seen_all.push(k.payload.clone());
                                out.dropped.push((BusAddress::All, k.payload));
                            }
                        }
                    }
                }
            }
        }
        out
    }

    pub fn send(&mut self, address: BusAddress, payload: Vec<u8>) -> BusOut {
        let mut out = BusOut::default();
        if self.view.is_none() {
            out.dropped.push((address, payload));
            return out;
        }
        let targets: Vec<NodeId> = match address {
            BusAddress::All => self.out.keys().copied().collect(),
            BusAddress::Node(n) if n == self.me => Vec::new(),
            BusAddress::Node(n) if self.out.contains_key(&n) => vec![n],
            BusAddress::Node(_) => {
                out.dropped.push((address, payload));
                return out;
            }
        };
        if targets.iter().any(|t| self.out.get(t).is_some_and(|(_, k)| k.len() >= UNACKED_LIMIT)) {
            out.dropped.push((address, payload));
            return out;
        }
        for to in targets {
            if let Some((last, kept)) = self.out.get_mut(&to) {
                *last += 1;
                kept.push_back(Kept { seq: *last, address, payload: payload.clone() });
                out.send.push(Outgoing { to, seq: *last, payload: payload.clone() });
            }
        }
        if matches!(address, BusAddress::All) || address == BusAddress::Node(self.me) {
            out.deliver.push((self.me, payload));
        }
        out
    }

    /// A message of `from`, sent in `view`.
    pub fn receive(&mut self, view: ViewId, from: NodeId, seq: u64, payload: Vec<u8>) -> BusOut {
        let mut out = BusOut::default();
        match self.view {
            Some(mine) if mine == view => {
                if let Some(last) = self.delivered.get_mut(&from) {
                    // The link is FIFO exactly-once; a gap means a session ended between, and with
                    // it the view (R2.6): what follows the gap is not delivered.
                    if seq == *last + 1 {
                        *last = seq;
                        out.deliver.push((from, payload));
                        if from != self.me {
                            out.acks.push((from, seq));
                        }
                    }
                }
            }
            Some(mine) if mine > view => {}
            Some(_) | None => {
                if self.early.len() >= EARLY_LIMIT {
                    self.early.pop_front();
                }
                self.early.push_back((view, from, seq, payload));
            }
        }
        out
    }

    pub fn acknowledged(&mut self, view: ViewId, by: NodeId, upto: u64) {
        if self.view == Some(view)
            && let Some((_, kept)) = self.out.get_mut(&by)
        {
            while kept.front().is_some_and(|k| k.seq <= upto) {
                kept.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(epoch: u64) -> ViewId {
        ViewId { epoch, ..ViewId::default() }
    }

    /// Messages are delivered in the view they were sent in, and reported when it ends first.
    #[test]
    fn unacknowledged_messages_are_reported_at_the_end_of_the_view() {
        let (a, b) = (NodeId([1; 16]), NodeId([2; 16]));
        let mut bus = Bus::new(a);
        assert_eq!(bus.send(BusAddress::All, vec![0]).dropped.len(), 1);
        bus.open(view(1), &[a, b]);
        assert_eq!(bus.send(BusAddress::All, vec![1]).send.len(), 1);
        bus.send(BusAddress::Node(b), vec![2]);
        bus.acknowledged(view(1), b, 1);
        assert_eq!(bus.close().dropped, vec![(BusAddress::Node(b), vec![2])]);
    }

    /// A message that overtakes the activation waits for it; one of a past view never arrives.
    #[test]
    fn early_messages_wait_and_late_ones_are_dropped() {
        let (a, b) = (NodeId([1; 16]), NodeId([2; 16]));
        let mut bus = Bus::new(b);
        assert!(bus.receive(view(2), a, 1, vec![1]).deliver.is_empty());
        assert_eq!(bus.open(view(2), &[a, b]).deliver, vec![(a, vec![1])]);
        assert!(bus.receive(view(1), a, 2, vec![9]).deliver.is_empty());
    }
}
