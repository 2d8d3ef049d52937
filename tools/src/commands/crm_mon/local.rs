//! What this node knows beyond the CIB.

use crm_core::policy::render::List;

use crate::api::proto::{ClusterState, Peer};

/// What this node knows beyond the CIB: foreign peers, links, warnings.
pub fn of_this_node(list: &mut List, live: &ClusterState, links: bool) {
    let foreign: Vec<&str> =
        live.peers.iter().filter(|peer| peer.state == "foreign").map(|peer| peer.name.as_str()).collect();
    let down = |peer: &&Peer| peer.member && peer.links.iter().any(|link| !link.up);
    let any_down = live.peers.iter().any(|peer| down(&peer));
    if links || any_down {
        list.blank();
        list.begin(&format!("Links of {}", live.node));
        for peer in live.peers.iter().filter(|peer| links || down(peer)) {
            for link in &peer.links {
                list.item(&format!(
                    "{} on {}: {}",
                    peer.name,
                    link.name,
                    if link.up { "up" } else { "dead" }
                ));
            }
        }
        list.end();
    }
    if !foreign.is_empty() || !live.warnings.is_empty() || !live.refused.is_empty() {
        list.blank();
        list.begin(&format!("Warnings of {}", live.node));
        for name in foreign {
            list.item(&format!(
                "{name} is foreign: it speaks Heartbeat but no views; no resource is started while it is there"
            ));
        }
        live.warnings.iter().for_each(|warning| list.item(warning));
        let mut refused: Vec<_> = live.refused.iter().collect();
        refused.sort();
        for (cause, count) in refused {
            list.item(&format!("{count} packets refused: {cause}"));
        }
        list.end();
    }
}
