//! What goes into the link machine and what comes out of it.

use std::net::SocketAddr;
use std::time::Duration;

use crate::seam::{Incarnation, LinkCommand, LinkEvent, NodeId};
use crate::wire::Keys;
use crate::wire::compress::Algorithm;
use crate::wire::envelope::Format;

/// One medium as the machine knows it: its index is its place in [`LinkConfig::media`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumInfo {
    /// The name in "Link X:NAME up.", usually that of the interface or line.
    pub name: String,
    /// Notation sent: netstring on networks, classic on serial lines, which strip the eighth bit.
    pub format: Format,
    /// Longest piece of a message put into one packet, bytes. 1200 keeps a packet with its fields
    /// within an Ethernet frame.
    pub piece: usize,
    /// Packets heard on it travel on over the other media that do so, `ttl` permitting (rings of
    /// serial lines).
    pub forward: bool,
    /// Every node of the cluster can be expected on it: one that stays away is a lost path.
    pub expected: bool,
    /// Bytes a second for reliable messages on this medium; heartbeats are not counted.
    pub rate: u64,
}

impl MediumInfo {
    /// A network medium with the usual sizes.
    pub fn network(name: &str) -> MediumInfo {
        MediumInfo {
            name: name.to_owned(),
            format: Format::Netstring,
            piece: 1100,
            forward: false,
            expected: true,
            rate: 50_000_000,
        }
    }
}

/// Which nodes may speak (`autojoin`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Autojoin {
    /// Those named in ha.cf.
    None,
    /// Anyone with the key.
    Any,
}

/// A ping node or group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingTarget {
    /// Name of the pseudo-member.
    pub name: String,
    /// How many addresses the driver has for it; any one that answers keeps it alive.
    pub hosts: usize,
}

/// What the link machine needs to know. Times as in ha.cf (specification §2).
#[derive(Debug, Clone)]
pub struct LinkConfig {
    pub id: NodeId,
    pub name: String,
    pub inc: Incarnation,
    /// Cluster name; frames of another cluster are counted and dropped (R2.1).
    pub cluster: String,
    pub keepalive: Duration,
    pub deadtime: Duration,
    /// Late heartbeats are warned of beyond this.
    pub warntime: Duration,
    pub initdead: Duration,
    pub deadping: Duration,
    /// Spacing of retransmission requests to and answers for real Heartbeats.
    pub max_rexmit_delay: Duration,
    pub keys: Keys,
    pub media: Vec<MediumInfo>,
    /// Nodes of ha.cf, this one included.
    pub nodes: Vec<String>,
    pub autojoin: Autojoin,
    pub ping: Vec<PingTarget>,
    /// Beyond the number of nodes, for `ttl`.
    pub hopfudge: u32,
    /// Algorithm, and the size in bytes beyond which it is used.
    pub compression: Option<(Algorithm, usize)>,
    /// Packets longer than that are compressed whole, as old Heartbeats do it (§7.6); else only what
    /// our own messages carry.
    pub traditional_compression: bool,
    /// Whether packets that fail authentication are worth a log line.
    pub log_badpack: bool,
    /// Unix time at the monotonic zero, seconds: only for the `ts` field.
    pub wall_at_zero: i64,
}

impl LinkConfig {
    /// A configuration with the defaults of ha.cf, for one medium and the nodes given.
    pub fn simple(id: NodeId, name: &str, inc: Incarnation, keys: Keys, nodes: &[&str]) -> LinkConfig {
        LinkConfig {
            id,
            name: name.to_owned(),
            inc,
            cluster: "linux-ha".to_owned(),
            keepalive: Duration::from_secs(1),
            deadtime: Duration::from_secs(30),
            warntime: Duration::from_secs(15),
            initdead: Duration::from_secs(30),
            deadping: Duration::from_secs(30),
            max_rexmit_delay: Duration::from_millis(250),
            keys,
            media: vec![MediumInfo::network("eth0")],
            nodes: nodes.iter().map(|&n| n.to_owned()).collect(),
            autojoin: Autojoin::None,
            ping: Vec::new(),
            hopfudge: 1,
            compression: Some((Algorithm::Zlib, 2048)),
            traditional_compression: false,
            log_badpack: true,
            wall_at_zero: 0,
        }
    }

    /// B, the beat actually used (protocol, notation).
    pub fn beat_interval(&self) -> Duration {
        self.keepalive.min(self.deadtime / 8).max(Duration::from_millis(1))
    }
}

/// Inputs of the machine.
#[derive(Debug, Clone)]
pub enum LinkInput {
    /// A datagram, with the address it came from where the medium has addresses.
    Packet { medium: usize, from: Option<SocketAddr>, bytes: Vec<u8> },
    /// From the core.
    Command(LinkCommand),
    /// The medium was opened.
    MediumUp { medium: usize },
    /// The medium failed or could not be opened.
    MediumDown { medium: usize, why: String },
    /// Packets cannot be sent on the medium for the time being; once for each beginning of it.
    Trouble { medium: usize, why: String },
    /// A message of this peer could not be handed to the core, which is not taking any.
    Overrun { peer: NodeId, inc: Incarnation },
    /// Whether the interface of the medium has carrier.
    Carrier { medium: usize, carrier: bool },
    /// An ICMP answer from a host of a ping node.
    Pong { target: usize, host: usize },
    /// New keys from a changed authkeys.
    Keys(Keys),
    /// Load average text for `ld`, and Unix time at the monotonic zero.
    Surroundings { load: String, wall_at_zero: i64 },
    /// Packets of other nodes than these are passed over from now on, as if they were never heard: a
    /// partition made on purpose (§25). None ends it.
    Allow(Option<Vec<String>>),
    /// [`super::Link::deadline`] has come.
    Wake,
}

/// Outputs, to be carried out in order.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkAction {
    /// Send on one medium; without address to everybody the medium reaches.
    Transmit { medium: usize, to: Option<SocketAddr>, bytes: Vec<u8> },
    /// Hand to the core.
    Event(LinkEvent),
    /// Send one ICMP echo to every host of the ping node.
    Ping { target: usize },
    /// A line for the log.
    Log(LogLine),
}

/// How serious a log line is; the words of the classic log (§22.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Crit,
}

/// One line for the log. The texts are those administrators search for (§11, §23).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub text: String,
}

/// What kind of node a report line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Speaks our frames.
    Normal,
    /// A real Heartbeat.
    Foreign,
    /// Ping node or group.
    Ping,
}

/// One node as `cl_status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeReport {
    pub name: String,
    pub kind: NodeKind,
    /// `init`, `up`, `active`, `dead`, `ping`.
    pub status: String,
    /// Name of each link, and whether it is up; media where it was never heard nor expected are absent.
    pub links: Vec<(String, bool)>,
}

/// State for `cl_status`, monitors and metrics.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LinkReport {
    pub nodes: Vec<NodeReport>,
    /// Media of this node: name, open, carrier.
    pub media: Vec<(String, bool, bool)>,
    /// Refused packets by source address and cause.
    pub refused: Vec<(String, String, u64)>,
}
