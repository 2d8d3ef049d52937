//! Nodes that were taken out, or never added, and run all the same (R15.8): their packets change nothing here, and they
//! are told so. Such a node holds an old list of the nodes, and would else take the others for dead.

use std::collections::BTreeMap;
use std::time::Duration;

use super::receive::Origin;
use super::send::Route;
use super::{Level, Link, LinkAction};
use crate::seam::LinkEvent;
use crate::wire::Packet;
use crate::wire::envelope::AuthField;
use crate::wire::frame::{Body, FIELD, RefuseWhy, Who};

/// Most nodes that are told at one time: as many as a cluster has.
const MOST: usize = 64;
/// A node that is told is told again for its log after this.
const SAID: Duration = Duration::from_secs(60);

/// Who was told what when.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    /// When each may be answered again.
    answered: BTreeMap<Who, Duration>,
    /// When a word of each may be logged again.
    logged: BTreeMap<Who, Duration>,
}

/// Whether something may be done for `who` again, and if so when next.
fn may(times: &mut BTreeMap<Who, Duration>, who: Who, now: Duration, pause: Duration) -> bool {
    times.retain(|_, at| *at > now);
    if times.len() >= MOST || times.contains_key(&who) {
        return false;
    }
    times.insert(who, now + pause);
    true
}

impl Link {
    /// Answers a node that is none of this cluster: at most so often that it never forgets (its own dead time may
    /// be half of this one's).
    pub(super) fn refuse_stranger(
        &mut self,
        now: Duration,
        origin: Origin,
        name: &str,
        who: Who,
        out: &mut Vec<LinkAction>,
    ) {
        if !may(&mut self.strangers.answered, who, now, self.config.beat_interval()) {
            return;
        }
        let frame = self.frame(Some(who), &Body::Refuse { why: RefuseWhy::NotANode, address: String::new() });
        let packet = Packet::new().with("t", "NS_everbeat").with("dest", name).with_binary(FIELD, frame);
        let packet = self.finish(now, packet);
        let route = Route::To(vec![(origin.medium, origin.from)]);
        self.transmit(&packet, AuthField::No, &route, out);
    }

    /// This node is told so.
    pub(super) fn taken_out(&mut self, now: Duration, by: Who, name: &str, out: &mut Vec<LinkAction>) {
        if may(&mut self.strangers.logged, by, now, SAID) {
            let me = &self.config.name;
            let text = format!(
                "node {name} does not take this one for a node of its cluster: \"hb_addnode {me}\" there lets it in; \
                 if it was taken out for good, stop the cluster software here"
            );
            self.log(Level::Error, text, out);
        }
        out.push(LinkAction::Event(LinkEvent::TakenOut { by: by.0, name: name.to_owned() }));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use super::super::{LinkConfig, LinkInput};
    use super::*;
    use crate::seam::{BeatBody, Incarnation, LinkCommand, NodeId};
    use crate::wire::{Keys, Method};

    fn link(n: u8, nodes: &[&str]) -> Link {
        let keys = Keys::single(Method::Sha1, b"secret").unwrap();
        let inc = Incarnation { generation: 1, boot: u64::from(n) };
        let mut config = LinkConfig::simple(NodeId([n; 16]), &format!("n{n}"), inc, keys, nodes);
        (config.keepalive, config.deadtime) = (Duration::from_millis(250), Duration::from_secs(2));
        Link::new(config, u64::from(n))
    }

    /// A node that was taken out and runs on hears so from each that drops its packets, for as long as it sends any,
    /// and says in its log what to do, once a minute. No session comes of it on either side.
    #[test]
    fn a_node_that_was_taken_out_is_told() {
        let mut links = [link(1, &["n1", "n3"]), link(2, &["n1", "n2", "n3"])];
        let address = |i: usize| SocketAddr::from(([10, 0, 0, i as u8 + 1], 694));
        let (mut told, mut lines, mut sessions) = (Vec::new(), 0, 0);
        let mut now = Duration::from_secs(5);
        let end = now + Duration::from_secs(30);
        for link in &mut links {
            link.handle(now, LinkInput::MediumUp { medium: 0 }, &mut Vec::new());
        }
        while now < end {
            for i in 0..2 {
                let mut out = Vec::new();
                let beat = LinkCommand::SetBeat(BeatBody(vec![1]));
                links[i].handle(now, LinkInput::Command(beat), &mut out);
                links[i].handle(now, LinkInput::Wake, &mut out);
                // Whatever is sent is answered at once, until nothing is sent any more.
                let mut from = i;
                while !out.is_empty() {
                    let mut answers = Vec::new();
                    for action in out {
                        match action {
                            LinkAction::Transmit { bytes, .. } => {
                                let packet =
                                    LinkInput::Packet { medium: 0, from: Some(address(from)), bytes };
                                links[1 - from].handle(now, packet, &mut answers);
                            }
                            LinkAction::Event(LinkEvent::TakenOut { by, name }) => {
                                assert_eq!((by, name.as_str()), (NodeId([1; 16]), "n1"));
                                told.push(now);
                            }
                            LinkAction::Event(LinkEvent::SessionUp { .. }) => sessions += 1,
                            LinkAction::Log(line) if line.text.contains("hb_addnode n2") => lines += 1,
                            _ => {}
                        }
                    }
                    (out, from) = (answers, 1 - from);
                }
            }
            now += Duration::from_millis(50);
        }
        assert_eq!((lines, sessions), (1, 0));
        let longest = told.windows(2).map(|w| w[1] - w[0]).max().unwrap();
        assert!(longest <= Duration::from_millis(600), "{longest:?}");
        assert!(told.len() < 300, "{} answers in 30 s", told.len());
    }
}
