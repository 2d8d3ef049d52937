//! One line for a monitoring system (`-s`).

use std::fmt::Write as _;

use crm_core::policy::state::NodeKind;

use super::page::instances;
use crate::api::proto::ClusterState;
use crate::exit;
use crate::view::View;

/// The line for a monitoring system, and its exit status.
pub fn simple(view: &View, live: Option<&ClusterState>) -> (String, u8) {
    let st = &view.state;
    let mut problems = Vec::new();
    let dc = live.map_or(st.dc.is_some(), |live| !live.dc.is_empty());
    if !dc {
        problems.push("No DC".to_owned());
    }
    let members = || st.nodes.iter().filter(|node| node.kind != NodeKind::Ping);
    let offline: Vec<String> =
        members().filter(|node| !node.online).map(|node| format!("offline node: {}", node.name)).collect();
    if !offline.is_empty() {
        problems.push(offline.join(" "));
    }
    if !problems.is_empty() {
        return (format!("CLUSTER WARN: {}", problems.join(", ")), 1);
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let standby = members().filter(|node| node.standby).count();
    let maintenance = members().filter(|node| node.maintenance && !node.standby).count();
    let online = members().count() - standby - maintenance;
    let mut text = format!("CLUSTER OK: {online} node{} online", plural(online));
    if standby > 0 {
        let _ = write!(text, ", {standby} standby node{}", plural(standby));
    }
    if maintenance > 0 {
        let _ = write!(text, ", {maintenance} maintenance node{}", plural(maintenance));
    }
    let _ = write!(text, ", {}", instances(st));
    (text, exit::OK)
}
