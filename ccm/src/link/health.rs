//! Nodes and links as the classic log and `cl_status` show them (specification §11): who was heard, on
//! which medium, and for how long not. Views are not decided here: membership goes by beats and ticks.

use std::collections::BTreeMap;
use std::time::Duration;

use super::types::{Level, LogLine, NodeKind};

/// Most names kept, whatever a holder of the key calls itself.
const MOST_NODES: usize = 256;

#[derive(Debug)]
struct LinkHealth {
    last: Duration,
    up: bool,
}

#[derive(Debug)]
struct NodeHealth {
    kind: NodeKind,
    status: String,
    /// Last status packet; before the first, the start of waiting.
    last: Duration,
    heard: bool,
    deadtime: Duration,
    links: BTreeMap<usize, LinkHealth>,
    /// When links on which it was never heard count as dead.
    links_due: Option<Duration>,
    /// Declared dead and not admitted again since: its status may be better before its session is.
    died: bool,
}

/// The table.
#[derive(Debug)]
pub struct Health {
    nodes: BTreeMap<String, NodeHealth>,
    /// Names, and whether every node is expected there.
    media: Vec<(String, bool)>,
    deadtime: Duration,
    warntime: Duration,
}

/// A node that died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Death {
    pub name: String,
    pub kind: NodeKind,
}

fn line(level: Level, text: String) -> LogLine {
    LogLine { level, text }
}

fn name_of(media: &[(String, bool)], medium: usize) -> &str {
    media.get(medium).map_or("?", |(name, _)| name)
}

impl Health {
    /// `expected` are the other nodes of ha.cf: declared dead if not heard within `initdead`.
    pub fn new(
        media: Vec<(String, bool)>,
        expected: &[String],
        ping: &[(String, Duration)],
        [deadtime, warntime, initdead]: [Duration; 3],
    ) -> Health {
        let mut nodes = BTreeMap::new();
        let waiting = |kind, deadtime| NodeHealth {
            kind,
            status: "init".to_owned(),
            last: Duration::ZERO,
            heard: false,
            deadtime,
            links: BTreeMap::new(),
            links_due: None,
            died: false,
        };
        for name in expected {
            nodes.insert(name.clone(), waiting(NodeKind::Normal, initdead));
        }
        for (name, deadping) in ping {
            nodes.insert(name.clone(), waiting(NodeKind::Ping, initdead.max(*deadping)));
        }
        Health { nodes, media, deadtime, warntime }
    }

    /// Begins the count of `initdead`.
    pub fn start(&mut self, now: Duration) {
        for node in self.nodes.values_mut() {
            node.last = now;
        }
    }

    /// A packet newer than all before it on that medium came from the node.
    pub fn heard_on(&mut self, now: Duration, name: &str, medium: usize, log: &mut Vec<LogLine>) {
        let Some(node) = self.nodes.get_mut(name) else { return };
        let link = node.links.entry(medium).or_insert(LinkHealth { last: now, up: false });
        link.last = now;
        if !link.up {
            link.up = true;
            let medium = name_of(&self.media, medium);
            log.push(line(Level::Info, format!("Link {name}:{medium} up.")));
        }
    }

    /// Whether the node was declared dead since it was last asked about.
    pub fn take_died(&mut self, name: &str) -> bool {
        self.nodes.get_mut(name).is_some_and(|node| std::mem::take(&mut node.died))
    }

    /// A status packet: `status` is the sender's word for itself, `deadtime` what it announces.
    pub fn status(
        &mut self,
        now: Duration,
        name: &str,
        kind: NodeKind,
        status: &str,
        deadtime: Duration,
        log: &mut Vec<LogLine>,
    ) {
        if self.nodes.len() >= MOST_NODES && !self.nodes.contains_key(name) {
            return;
        }
        let node = self.nodes.entry(name.to_owned()).or_insert_with(|| NodeHealth {
            kind,
            status: "init".to_owned(),
            last: now,
            heard: false,
            deadtime,
            links: BTreeMap::new(),
            links_due: None,
            died: false,
        });
        let interval = now.saturating_sub(node.last);
        if node.heard && node.status != "dead" && kind != NodeKind::Ping && interval > self.warntime {
            let ms = interval.as_millis();
            // Longer than a dead time: it was this node that did not look.
            let (level, more) =
                if interval > node.deadtime { (Level::Crit, " (> deadtime)") } else { (Level::Warn, "") };
            log.push(line(level, format!("Late heartbeat: Node {name}: interval {ms} ms{more}")));
        }
        if !node.heard && kind != NodeKind::Ping {
            node.links_due = Some(now + self.deadtime);
        }
        node.kind = kind;
        node.last = now;
        node.heard = true;
        node.deadtime = deadtime;
        if node.status != status {
            let status: String = status.chars().filter(|c| c.is_alphanumeric()).take(16).collect();
            if node.status != status {
                log.push(line(Level::Info, format!("Status update for node {name}: status {status}")));
                node.status = status;
            }
        }
    }

    /// The node said it leaves: dead without a warning.
    pub fn left(&mut self, name: &str, log: &mut Vec<LogLine>) {
        if let Some(node) = self.nodes.get_mut(name)
            && node.status != "dead"
        {
            node.status = "dead".to_owned();
            log.push(line(Level::Info, format!("Status update for node {name}: status dead")));
        }
    }

    /// Declares dead what has been silent long enough.
    pub fn wake(&mut self, now: Duration, log: &mut Vec<LogLine>) -> Vec<Death> {
        let mut deaths = Vec::new();
        for (name, node) in &mut self.nodes {
            for (medium, link) in &mut node.links {
                if link.up && link.last + self.deadtime <= now {
                    link.up = false;
                    let medium = name_of(&self.media, *medium);
                    log.push(line(Level::Info, format!("Link {name}:{medium} dead.")));
                }
            }
            if node.links_due.is_some_and(|at| at <= now) {
                node.links_due = None;
                let absent = |m: &usize| !node.links.contains_key(m);
                let expected = |(m, info): (usize, &(String, bool))| info.1.then_some(m);
                let silent: Vec<usize> =
                    self.media.iter().enumerate().filter_map(expected).filter(absent).collect();
                for medium in silent {
                    node.links.insert(medium, LinkHealth { last: now, up: false });
                    let medium = name_of(&self.media, medium);
                    let text = format!("Link {name}:{medium} dead: nothing was ever heard there.");
                    log.push(line(Level::Warn, text));
                }
            }
            if node.status != "dead" && node.last + node.deadtime <= now {
                node.status = "dead".to_owned();
                node.died = true;
                log.push(line(Level::Warn, format!("node {name}: is dead")));
                deaths.push(Death { name: name.clone(), kind: node.kind });
            }
        }
        deaths
    }

    /// When [`Health::wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let nodes = self.nodes.values().filter(|n| n.status != "dead").map(|n| n.last + n.deadtime);
        let links = self.nodes.values().flat_map(|n| n.links.values()).filter(|l| l.up);
        let due = self.nodes.values().filter_map(|n| n.links_due);
        nodes.chain(links.map(|l| l.last + self.deadtime)).chain(due).min()
    }

    /// Whether every node waited for was heard or given up.
    pub fn all_known(&self) -> bool {
        self.nodes.values().all(|n| n.heard || n.status == "dead" || n.kind == NodeKind::Ping)
    }

    /// Status word of a node.
    pub fn status_of(&self, name: &str) -> Option<&str> {
        self.nodes.get(name).map(|n| n.status.as_str())
    }

    /// Name, kind, status, and for each link its medium and whether it is up.
    pub fn list(&self) -> impl Iterator<Item = (&str, NodeKind, &str, Vec<(usize, bool)>)> {
        self.nodes.iter().map(|(name, n)| {
            let links = n.links.iter().map(|(m, l)| (*m, l.up)).collect();
            (name.as_str(), n.kind, n.status.as_str(), links)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A silence beyond `warntime` is late; one beyond the dead time that nobody looked at in time is more.
    #[test]
    fn late_heartbeats_are_said() {
        let second = Duration::from_secs;
        let mut health = Health::new(Vec::new(), &[], &[], [second(5), second(2), second(10)]);
        let said = |at, health: &mut Health| {
            let mut log = Vec::new();
            health.status(second(at), "n2", NodeKind::Normal, "active", second(5), &mut log);
            log.into_iter().map(|l| (l.level, l.text)).next()
        };
        assert_eq!(
            said(10, &mut health),
            Some((Level::Info, "Status update for node n2: status active".into()))
        );
        assert_eq!(said(12, &mut health), None);
        let late = "Late heartbeat: Node n2: interval 3000 ms";
        assert_eq!(said(15, &mut health), Some((Level::Warn, late.into())));
        let late = "Late heartbeat: Node n2: interval 6000 ms (> deadtime)";
        assert_eq!(said(21, &mut health), Some((Level::Crit, late.into())));
    }
}
