//! The table of `ha.cf` directives: the one place that knows every name, its syntax, its default and
//! what it means. The parser, `everbeat config show`, misspelling hints and the manual read it.

/// How the arguments of a directive are cut (heartbeat.md §1, kinds of directives).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Values split at blanks and commas; each one is set in turn.
    Values,
    /// The rest of the line as it is.
    Whole,
}

/// Whether a directive does something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what it did.
    Works,
    /// Accepted, checked and without effect; the text says why.
    Nothing(&'static str),
    /// Everbeat's own; a Heartbeat refuses it.
    Ours,
}

/// One directive.
#[derive(Debug, Clone, Copy)]
pub struct Directive {
    pub name: &'static str,
    pub kind: Kind,
    pub syntax: &'static str,
    /// The default in words.
    pub default: &'static str,
    pub effect: Effect,
    pub about: &'static str,
}

const fn values(
    name: &'static str,
    syntax: &'static str,
    default: &'static str,
    about: &'static str,
) -> Directive {
    Directive { name, kind: Kind::Values, syntax, default, effect: Effect::Works, about }
}

const fn whole(name: &'static str, syntax: &'static str, about: &'static str) -> Directive {
    Directive { name, kind: Kind::Whole, syntax, default: "none", effect: Effect::Works, about }
}

const fn idle(
    name: &'static str,
    syntax: &'static str,
    default: &'static str,
    why: &'static str,
) -> Directive {
    Directive { name, kind: Kind::Values, syntax, default, effect: Effect::Nothing(why), about: why }
}

const fn ours(name: &'static str, syntax: &'static str, about: &'static str) -> Directive {
    Directive { name, kind: Kind::Values, syntax, default: "none", effect: Effect::Ours, about }
}

/// Every directive, in the order of the manual.
pub const DIRECTIVES: &[Directive] = &[
    values("keepalive", "TIME", "1s", "interval between heartbeats; greater than 0"),
    values("warntime", "TIME", "deadtime/2", "silence after which \"Late heartbeat\" is logged"),
    values("deadtime", "TIME", "30s", "silence after which a node is dead; more than twice keepalive"),
    values(
        "initdead",
        "TIME",
        "deadtime if above 10s, 12s if deadtime is below 6s, else twice deadtime",
        "dead time of nodes not heard since the start; at least deadtime",
    ),
    values("deadping", "TIME", "deadtime", "silence after which a ping node is dead"),
    values("hopfudge", "0..255", "1", "packets live for as many hops as there are nodes, plus this"),
    values("udpport", "1..65535", "694", "UDP port of the media lines that follow"),
    values(
        "baud",
        "9600|19200|38400|57600|115200|230400|460800",
        "19200",
        "speed of the serial lines that follow",
    ),
    values("serial", "DEVICE...", "none", "serial medium on each device, a full path"),
    values("bcast", "INTERFACE...", "none", "UDP broadcast medium on each interface"),
    values("udp", "INTERFACE...", "none", "old name of bcast"),
    whole("mcast", "INTERFACE GROUP PORT TTL LOOP", "IPv4 multicast medium; TTL 0..4, LOOP 0 or 1"),
    whole("ucast", "INTERFACE ADDRESS", "UDP unicast medium to one peer"),
    whole("mcast6", "INTERFACE GROUP PORT HOPS LOOP", "IPv6 multicast medium; HOPS 0..4, LOOP 0 or 1"),
    whole("ucast6", "INTERFACE ADDRESS", "UDP unicast medium to one IPv6 peer"),
    Directive {
        name: "rds",
        kind: Kind::Whole,
        syntax: "INTERFACE ADDRESS",
        default: "none",
        effect: Effect::Nothing("medium RDS is not there; use ucast over the same addresses"),
        about: "Reliable Datagram Sockets medium",
    },
    idle("tipc", "NAME", "none", "medium TIPC is not there; use mcast or ucast"),
    idle("openais", "NAME", "none", "medium OpenAIS is not there; use mcast or ucast"),
    values("node", "NAME...", "none", "members of the cluster, by uname -n"),
    values("autojoin", "none|other|any", "none", "who may join without being listed"),
    values("uuidfrom", "file|nodename", "file", "where the node's UUID comes from"),
    values("cluster", "NAME", "linux-ha", "name of the cluster"),
    values("ping", "HOST...", "none", "pseudo-members watched by ICMP echo"),
    values("ping6", "HOST...", "none", "pseudo-members watched by ICMPv6 echo"),
    whole("ping_group", "NAME HOST...", "one pseudo-member, alive while any of its hosts answers"),
    idle(
        "hbaping",
        "WWN...",
        "none",
        "Fibre Channel adapters are not pinged; watch the storage with a resource agent",
    ),
    values(
        "auto_failback",
        "on|off|legacy",
        "legacy",
        "whether resources go back to their preferred node when it returns",
    ),
    values("nice_failback", "BOOLEAN", "none", "old form: on is auto_failback off, off is legacy"),
    whole("stonith", "TYPE FILE", "fencing device with its parameters in FILE"),
    whole("stonith_host", "NODE|* TYPE PARAMETER...", "fencing device used by NODE, or by every node"),
    whole("respawn", "USER COMMAND ARGUMENT...", "child process kept running"),
    whole("failfast", "USER COMMAND ARGUMENT...", "child process whose failure takes the node down"),
    whole("apiauth", "CLIENT [uid=LIST] [gid=LIST]", "who may connect as CLIENT"),
    values("watchdog", "DEVICE", "none", "watchdog device that resets a hung node"),
    values("use_logd", "BOOLEAN", "unset", "log through the logging daemon"),
    idle("conn_logd_time", "TIME", "60s", "the node writes its log itself"),
    values("logfile", "FILE", "none", "log file without debug messages"),
    values("debugfile", "FILE", "none", "log file with debug messages"),
    values("logfacility", "FACILITY|none", "none", "syslog facility"),
    idle("syslogmsgfmt", "BOOLEAN", "true", "log files have one format, the classic one"),
    values("debug", "0..255", "0", "verbosity"),
    idle("coredumps", "BOOLEAN", "true", "core files are the system's business (ulimit -c, core_pattern)"),
    idle(
        "coreroot",
        "DIRECTORY",
        "/var/lib/heartbeat/cores",
        "core files are the system's business (core_pattern)",
    ),
    values(
        "crm",
        "BOOLEAN|manual|minimal|respawn|ccm-only|valgrind",
        "false",
        "cluster resource manager on; haresources is not used then",
    ),
    values("pacemaker", "like crm", "false", "newer name of crm"),
    idle("crm_daemon_dir", "DIRECTORY", "built in", "the daemons are part of this program"),
    idle("crmd_spawns_pengine", "BOOLEAN", "unset", "the policy engine is part of this program"),
    values("compression", "zlib|bz2", "zlib", "how large messages are compressed"),
    values("compression_threshold", "KB", "2", "compress only what is larger"),
    values("traditional_compression", "BOOLEAN", "no", "whole packets are compressed, not what is in them"),
    values("rtprio", "1..99", "highest", "real-time priority of the heartbeat thread"),
    values("realtime", "BOOLEAN", "true", "real-time scheduling and locked memory"),
    idle("memreserve", "KB", "6500", "memory is locked, not set aside"),
    values("max_rexmit_delay", "MILLISECONDS", "250", "longest wait before a retransmission request"),
    values("hbgenmethod", "file|time", "file", "where a start's generation comes from"),
    values("log_badpack", "BOOLEAN", "true", "a log line for refused packets; they are counted always"),
    values("msgfmt", "classic|netstring", "netstring", "notation of packets on networks; both are read"),
    idle("normalpoll", "BOOLEAN", "unset", "a debugging aid of another event loop"),
    idle("use_apphbd", "BOOLEAN", "no", "application heartbeats are built in"),
    values("env", "NAME=VALUE...", "none", "exported to children as HA_NAME"),
    idle("record_config_changes", "BOOLEAN", "on", "configuration changes are always recorded"),
    idle("record_pengine_inputs", "BOOLEAN", "on", "see the pe-input-series-max cluster option"),
    idle("enable_config_writes", "BOOLEAN", "on", "acknowledged changes are always on disk"),
    idle(
        "quorum_server",
        "HOST",
        "none",
        "no quorum server is asked, so it has no say in who may write; env quorum decides",
    ),
    ours(
        "nodename",
        "NAME",
        "this node's own name, instead of /etc/ha.d/nodeinfo and uname -n: several nodes on one machine",
    ),
    ours(
        "bindaddr",
        "ADDRESS|any",
        "local address of the udp media lines that follow: several nodes on one port of one machine",
    ),
    ours("weight", "NODE=VOTES...", "votes of nodes for quorum; 1 each by default"),
];

/// The directive called `name`.
pub fn directive(name: &str) -> Option<&'static Directive> {
    DIRECTIVES.iter().find(|d| d.name == name)
}

/// Words that look like directives and never were, with what to write instead.
pub(super) const NOT_DIRECTIVES: &[(&str, &str)] = &[
    ("quorum", "\"env quorum=majority:twonodes\""),
    ("tiebreaker", "\"env quorum=majority:tie-node:NAME\""),
    ("release2", "\"crm yes\""),
    ("deadpingtime", "\"deadping\""),
    ("initial_dead", "\"initdead\""),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique() {
        let names: BTreeSet<_> = DIRECTIVES.iter().map(|d| d.name).collect();
        assert_eq!(names.len(), DIRECTIVES.len());
    }
}
