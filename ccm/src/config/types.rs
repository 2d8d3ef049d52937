//! The types a parsed `ha.cf` consists of.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::problem::ConfigProblem;
use super::value::Setting;

/// A whole `ha.cf`, every value with the line that set it.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file, as the caller named it.
    pub file: String,
    /// Interval between heartbeats; default 1 s.
    pub keepalive: Setting<Duration>,
    /// Silence after which "Late heartbeat" is logged; default half of `deadtime`.
    pub warntime: Setting<Duration>,
    /// Silence after which a node is dead; default 30 s; more than twice `keepalive`.
    pub deadtime: Setting<Duration>,
    /// Dead time of nodes not heard since the start; at least `deadtime`; default: `deadtime` above
    /// 10 s, 12 s below 6 s, else twice `deadtime`.
    pub initdead: Setting<Duration>,
    /// Dead time of ping nodes; default `deadtime`.
    pub deadping: Setting<Duration>,
    /// Packets live `nodes + hopfudge` hops; default 1.
    pub hopfudge: Setting<u8>,
    /// The port after the last line; each medium carries its own.
    pub udpport: Setting<u16>,
    /// Serial speed after the last line; each serial medium carries its own.
    pub baud: Setting<u32>,
    /// Media in file order.
    pub media: Vec<Medium>,
    /// Configured members in file order, lower case, without repetitions.
    pub nodes: Vec<Setting<String>>,
    pub autojoin: Setting<AutoJoin>,
    pub uuidfrom: Setting<UuidFrom>,
    /// Name of the cluster; default `linux-ha`.
    pub cluster: Setting<String>,
    pub ping: Vec<PingNode>,
    pub auto_failback: Setting<AutoFailback>,
    /// `stonith` and `stonith_host` lines. Heartbeat kept the last; all are kept here.
    pub stonith: Vec<StonithLine>,
    /// `respawn` and `failfast` lines in start order.
    pub clients: Vec<ClientLine>,
    /// `apiauth` lines as written; see [`Config::api_auth`] for what holds.
    pub apiauth: Vec<ApiAuth>,
    pub watchdog: Option<Setting<PathBuf>>,
    pub use_logd: Option<Setting<bool>>,
    /// Default 60 s.
    pub conn_logd_time: Setting<Duration>,
    pub logfile: Option<Setting<PathBuf>>,
    pub debugfile: Option<Setting<PathBuf>>,
    /// Syslog facility; the inner `None` is the word `none`.
    pub logfacility: Option<Setting<Option<String>>>,
    /// Default true, as in 3.0.6.
    pub syslogmsgfmt: Setting<bool>,
    pub debug: Setting<u8>,
    pub coredumps: Setting<bool>,
    pub coreroot: Setting<PathBuf>,
    pub crm: Setting<CrmMode>,
    pub compression: Setting<Compression>,
    /// Compress only messages larger than this many KB; default 2.
    pub compression_threshold: Setting<u32>,
    pub traditional_compression: Setting<bool>,
    /// 1..99; unset is the highest allowed.
    pub rtprio: Option<Setting<u8>>,
    pub realtime: Setting<bool>,
    /// Default 250 ms.
    pub max_rexmit_delay: Setting<Duration>,
    pub hbgenmethod: Setting<GenerationFrom>,
    pub log_badpack: Setting<bool>,
    pub msgfmt: Setting<MessageFormat>,
    /// `env NAME=VALUE` in file order; the later of two equal names wins.
    pub env: Vec<Setting<(String, String)>>,
    pub quorum_server: Option<Setting<String>>,
    /// Everbeat's `nodename`: the node's own name, lower case.
    pub nodename: Option<Setting<String>>,
    /// Everbeat's `weight`: votes by node name.
    pub weight: Vec<Setting<(String, u32)>>,
    /// Every accepted parameter as written: name, raw text, line (`cl_status hbparameter`, `HA_*`).
    pub parameters: Vec<Parameter>,
    /// What was accepted and is worth a line in the log, in file order.
    pub warnings: Vec<ConfigProblem>,
}

/// A parameter as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: &'static str,
    pub value: String,
    pub line: u32,
}

/// A heartbeat medium and the line that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    pub spec: MediumSpec,
    pub line: u32,
}

/// A heartbeat medium. Port, speed and own address are those in force at its line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum MediumSpec {
    /// To the interface's broadcast address.
    Bcast { iface: String, port: u16, bind: Option<IpAddr> },
    /// To a multicast group, IPv4 (`mcast`) or IPv6 (`mcast6`). `ttl` 0..=4.
    Mcast { iface: String, group: IpAddr, port: u16, ttl: u8, loopback: bool },
    /// To one peer, `ucast` or `ucast6`. `bind` is the own address, from `bindaddr`: the socket is
    /// bound to it and packets leave from it; `None` binds to every address.
    Ucast { iface: String, peer: Host, port: u16, v6: bool, bind: Option<IpAddr> },
    /// Serial line: 8N1, raw, hardware flow control.
    Serial { device: PathBuf, baud: u32 },
}

impl MediumSpec {
    /// Interface or device, as link states name it (`eth0`, `/dev/ttyS0`).
    pub fn link_name(&self) -> String {
        match self {
            MediumSpec::Bcast { iface, .. }
            | MediumSpec::Mcast { iface, .. }
            | MediumSpec::Ucast { iface, .. } => iface.clone(),
            MediumSpec::Serial { device, .. } => device.display().to_string(),
        }
    }
}

impl fmt::Display for MediumSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = |bind: &Option<IpAddr>| bind.map(|b| format!(" from {b}")).unwrap_or_default();
        match self {
            MediumSpec::Bcast { iface, port, bind } => {
                write!(f, "bcast {iface} port {port}{}", from(bind))
            }
            MediumSpec::Mcast { iface, group, port, ttl, loopback } => {
                let name = if group.is_ipv6() { "mcast6" } else { "mcast" };
                write!(f, "{name} {iface} {group} port {port} ttl {ttl} loop {}", u8::from(*loopback))
            }
            MediumSpec::Ucast { iface, peer, port, v6, bind } => {
                let name = if *v6 { "ucast6" } else { "ucast" };
                write!(f, "{name} {iface} {peer} port {port}{}", from(bind))
            }
            MediumSpec::Serial { device, baud } => write!(f, "serial {} {baud} baud", device.display()),
        }
    }
}

/// A host as written: an address, or a name to be resolved at start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    Address(IpAddr),
    Name(String),
}

impl Host {
    /// Reads an address, else takes the text as a name.
    pub fn new(text: &str) -> Host {
        text.parse().map(Host::Address).unwrap_or_else(|_| Host::Name(text.to_string()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Address(address) => write!(f, "{address}"),
            Host::Name(name) => f.write_str(name),
        }
    }
}

/// A ping pseudo-member: alive while any of its hosts answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PingNode {
    /// The host as written, or the name of the group.
    pub name: String,
    /// At least one.
    pub hosts: Vec<Host>,
    /// By ICMPv6 (`ping6`).
    pub v6: bool,
    /// A `ping_group`.
    pub group: bool,
    pub line: u32,
}

/// `stonith` or `stonith_host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StonithLine {
    /// Node that uses the device (lower case), or `*`; `stonith` lines have `*`.
    pub node: String,
    /// Plugin type, such as `external/ssh`.
    pub kind: String,
    pub parameters: StonithParameters,
    pub line: u32,
}

/// Where a device's parameters are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StonithParameters {
    /// `stonith`: the first line of this file that is no comment.
    File(PathBuf),
    /// `stonith_host`: on the line itself.
    Inline(Vec<String>),
}

/// `respawn` or `failfast`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientLine {
    /// The node goes down when the client fails.
    pub failfast: bool,
    pub user: String,
    pub command: PathBuf,
    pub arguments: Vec<String>,
    /// Set when the program is part of Everbeat: it is not run, whether or not it exists.
    pub builtin: Option<&'static str>,
    pub line: u32,
}

/// Who may connect as a client: a process passes if its uid **or** its gid is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiAuth {
    pub client: String,
    /// User names or numbers.
    pub uids: Vec<String>,
    /// Group names or numbers.
    pub gids: Vec<String>,
    /// `None` for a built-in rule.
    pub line: Option<u32>,
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }
        impl $name {
            /// Every word of this vocabulary.
            pub const WORDS: &'static [&'static str] = &[$($word),+];
            /// The word of the configuration file.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.word()) }
        }
    };
}

words!(
    /// Who may join without being listed.
    AutoJoin {
        /// Nobody.
        None = "none",
        /// Others; the local node must be listed.
        Other = "other",
        /// Nothing need be listed.
        Any = "any",
    }
);
words!(
    /// Where the node's UUID comes from.
    UuidFrom {
        /// `hb_uuid`, made at the first start.
        File = "file",
        /// A hash of the node's name.
        Nodename = "nodename",
    }
);
words!(
    /// What happens when the preferred node returns (heartbeat.md §20.6).
    AutoFailback {
        /// Resources go back.
        On = "on",
        /// Resources stay.
        Off = "off",
        /// As on, by the oldest protocol.
        Legacy = "legacy",
    }
);
words!(
    /// The `crm` directive (heartbeat.md §3).
    CrmMode {
        /// haresources.
        Off = "off",
        On = "on",
        Manual = "manual",
        Minimal = "minimal",
        /// As on, and no failure of a part restarts the machine.
        Respawn = "respawn",
        /// Membership only.
        CcmOnly = "ccm-only",
        /// As on.
        Valgrind = "valgrind",
    }
);
words!(
    /// How large messages are compressed.
    Compression {
        Zlib = "zlib",
        Bz2 = "bz2",
    }
);
words!(
    /// Where a start's generation comes from.
    GenerationFrom {
        File = "file",
        Time = "time",
    }
);
words!(
    /// Packet format sent to old peers.
    MessageFormat {
        Classic = "classic",
        Netstring = "netstring",
    }
);

impl CrmMode {
    /// Whether Everbeat's resource management by the CIB was asked for.
    pub fn is_on(self) -> bool {
        self != CrmMode::Off
    }

    /// Whether the failure of a part of the stack is allowed to restart the machine: everything
    /// but `respawn` and `off` asked for it.
    pub fn may_reboot(self) -> bool {
        !matches!(self, CrmMode::Off | CrmMode::Respawn)
    }
}
