//! Checks over a whole `ha.cf` (heartbeat.md §5), and those that need the machine it is read on.

use std::path::Path;
use std::time::Duration;

use super::problem::{ConfigProblem, Problems, Severity};
use super::types::*;
use super::value::show_time;
use crate::membership::quorum::{ChainError, Policy};

/// Checks that need nothing but the file.
pub(super) fn whole_file(config: &Config, problems: &mut Problems) {
    media_and_nodes(config, problems);
    times(config, problems);
    logging(config, problems);
    without_effect(config, problems);
    quorum(config, problems);
    if *config.autojoin != AutoJoin::None && !config.crm.is_on() {
        problems.error(
            "autojoin-without-crm",
            config.autojoin.line.unwrap_or(0),
            "R1 style resource management conflicts with autojoin set",
            config.autojoin.word(),
            "\"crm yes\", or \"autojoin none\"",
        );
    }
    if *config.auto_failback == AutoFailback::Legacy && !config.crm.is_on() {
        let line = config.auto_failback.line;
        problems.push(
            Severity::Warning,
            "legacy-failback",
            line,
            "Deprecated 'legacy' auto_failback option selected; say \"auto_failback on\" or \"auto_failback off\"",
            "",
            "",
        );
    }
    for weight in &config.weight {
        if *config.autojoin == AutoJoin::None && !config.has_node(&weight.value.0) {
            let what = format!("weight of \"{}\", which is no node of this file", weight.value.0);
            problems.warn("unknown-node", weight.line.unwrap_or(0), what);
        }
    }
    for stonith in &config.stonith {
        if stonith.node != "*" && *config.autojoin == AutoJoin::None && !config.has_node(&stonith.node) {
            let what = format!("stonith_host for \"{}\", which is no node of this file", stonith.node);
            problems.warn("unknown-node", stonith.line, what);
        }
    }
}

/// A rule that is not known, or not there, must not become another one: it decides who may write.
fn quorum(config: &Config, problems: &mut Problems) {
    let line = config.env.iter().rev().find(|e| e.value.0 == "quorum").and_then(|e| e.line);
    match config.quorum_rules() {
        Err(error) => {
            let found = config.quorum_chain();
            let what = format!("env quorum: {error}");
            problems.error("quorum-rule", line.unwrap_or(0), what, found, error.expected());
        }
        Ok(rules) => {
            for rule in rules {
                if let Policy::TieNode(name) = rule
                    && *config.autojoin == AutoJoin::None
                    && !config.has_node(&name)
                {
                    let what = format!("tie-node of \"{name}\", which is no node of this file");
                    problems.warn("unknown-node", line.unwrap_or(0), what);
                }
            }
        }
    }
}

/// Values whose directive works, but which mean nothing here.
fn without_effect(config: &Config, problems: &mut Problems) {
    let mut note = |line: Option<u32>, what: &str, why: &str| {
        problems.note("no-effect", line.unwrap_or(0), format!("\"{what}\" has no effect here: {why}"));
    };
    if *config.uuidfrom == UuidFrom::Nodename {
        note(config.uuidfrom.line, "uuidfrom nodename", "the node's UUID is made once and kept in hb_uuid");
    }
    if *config.hbgenmethod == GenerationFrom::Time {
        note(
            config.hbgenmethod.line,
            "hbgenmethod time",
            "the generation begins with the time and is kept on disk",
        );
    }
    if let Some(first) = config.stonith.first().filter(|_| config.crm.is_on()) {
        let why =
            "crm is on, and fencing devices are resources of the CIB; haresources2cib converts these lines";
        note(Some(first.line), "stonith", why);
    }
}

fn media_and_nodes(config: &Config, problems: &mut Problems) {
    if config.media.is_empty() {
        problems.push(
            Severity::Error,
            "no-media",
            None,
            "No heartbeat media defined",
            "",
            "at least one bcast, mcast, ucast or serial line",
        );
    }
    if config.nodes.is_empty() && *config.autojoin != AutoJoin::Any {
        problems.push(
            Severity::Error,
            "no-nodes",
            None,
            "no nodes defined",
            "",
            "a node line for every member, or \"autojoin any\"",
        );
    }
}

fn times(config: &Config, problems: &mut Problems) {
    let ms = |d: Duration| d.as_millis();
    let least = config.keepalive.value * 2;
    if config.deadtime.value <= least {
        // Their spelling: people search for it.
        problems.error(
            "deadtime-too-small",
            config.deadtime.line.or(config.keepalive.line).unwrap_or(0),
            format!(
                "Dead time [{}] is too small compared to keeplive [{}]",
                ms(config.deadtime.value),
                ms(config.keepalive.value)
            ),
            "",
            format!("more than {}, twice keepalive", show_time(least)),
        );
    }
    if config.deadping.is_set() && config.deadping.value <= least {
        problems.error(
            "deadping-too-small",
            config.deadping.line.unwrap_or(0),
            format!(
                "Ping dead time [{}] is too small compared to keeplive [{}]",
                ms(config.deadping.value),
                ms(config.keepalive.value)
            ),
            "",
            format!("more than {}, twice keepalive", show_time(least)),
        );
    }
    if config.initdead.value < config.deadtime.value {
        problems.error(
            "initdead-too-small",
            config.initdead.line.unwrap_or(0),
            format!(
                "Initial dead time [{}] is smaller than deadtime [{}]",
                ms(config.initdead.value),
                ms(config.deadtime.value)
            ),
            "",
            format!("at least {}", show_time(config.deadtime.value)),
        );
    } else if config.initdead.is_set() && config.initdead.value < Duration::from_secs(10) {
        let what = format!("Initial dead time [{}] may be too small!", ms(config.initdead.value));
        problems.warn("initdead-small", config.initdead.line.unwrap_or(0), what);
    }
    if config.warntime.is_set() && config.warntime.value >= config.deadtime.value {
        let what = format!(
            "warntime {} is not below deadtime {}: a late heartbeat is never announced",
            show_time(config.warntime.value),
            show_time(config.deadtime.value)
        );
        problems.warn("warntime-late", config.warntime.line.unwrap_or(0), what);
    }
}

fn logging(config: &Config, problems: &mut Problems) {
    let facility = config.logfacility.as_ref();
    let direct = [
        config.logfile.as_ref().and_then(|s| s.line),
        config.debugfile.as_ref().and_then(|s| s.line),
        facility.and_then(|s| s.line),
    ];
    let direct = direct.into_iter().flatten().min();
    match (config.use_logd.as_ref(), direct) {
        (Some(logd), None) if !logd.value => problems.error(
            "no-log",
            logd.line.unwrap_or(0),
            "no way to log: use_logd is off and there is no logfile, debugfile or logfacility",
            "",
            "\"logfacility daemon\", or \"use_logd yes\"",
        ),
        (Some(logd), Some(line)) if logd.value => problems.warn(
            "logd-and-files",
            line,
            "logd is enabled but logfile/debugfile/logfacility is still configured in ha.cf",
        ),
        (None, Some(line)) => problems.note(
            "no-logd",
            line,
            "Logging daemon is disabled --enabling logging daemon is recommended",
        ),
        _ => {}
    }
}

/// What a check asks of the machine.
pub trait Machine {
    /// Whether a user of this name or number exists.
    fn has_user(&self, name: &str) -> bool;
    /// Whether a group of this name or number exists.
    fn has_group(&self, name: &str) -> bool;
    /// Whether this is a regular file that may be executed.
    fn is_executable(&self, path: &Path) -> bool;
    /// Whether a network interface of this name exists.
    fn has_interface(&self, name: &str) -> bool;
    /// Whether this is a character device.
    fn is_character_device(&self, path: &Path) -> bool;
    /// Whether a regular file is there and can be read.
    fn is_readable(&self, path: &Path) -> bool;
}

/// The client name of `apiauth` that decides who may administer the cluster.
pub const API_CLIENT: &str = "everbeat";

impl Config {
    /// Whether `name` (any case) is listed.
    pub fn has_node(&self, name: &str) -> bool {
        self.nodes.iter().any(|n| n.value.eq_ignore_ascii_case(name))
    }

    /// The last value written for a parameter, as `cl_status hbparameter` shows it.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().rev().find(|p| p.name == name).map(|p| p.value.as_str())
    }

    /// Votes of a node for quorum; 1 unless a `weight` line says otherwise.
    pub fn votes(&self, node: &str) -> u32 {
        self.weight.iter().find(|w| w.value.0.eq_ignore_ascii_case(node)).map_or(1, |w| w.value.1)
    }

    /// A variable of an `env` line; the last line wins.
    pub fn env(&self, name: &str) -> Option<&str> {
        self.env.iter().rev().find(|e| e.value.0 == name).map(|e| e.value.1.as_str())
    }

    /// The chain of quorum policies, from `env quorum=...`; default `majority:twonodes`.
    pub fn quorum_chain(&self) -> &str {
        self.env("quorum").unwrap_or("majority:twonodes")
    }

    /// The rules of that chain.
    pub fn quorum_rules(&self) -> Result<Vec<Policy>, ChainError> {
        Policy::chain(self.quorum_chain(), !self.ping.is_empty())
    }

    /// The rule that decides who may connect as `client`: its own line, else the built-in rule, else
    /// the line `default`. `None`: nobody but root.
    ///
    /// [`API_CLIENT`] is Everbeat's own name for whoever administers the cluster through the daemon's
    /// socket; without a line it is the group haclient, and root and hacluster always may. The other
    /// names are those of programs that are built in or that no longer connect.
    ///
    /// Source: heartbeat.md §4.2 and §3.2.
    pub fn api_auth(&self, client: &str) -> Option<ApiAuth> {
        let written = |name: &str| self.apiauth.iter().find(|a| a.client == name).cloned();
        let rule = |uids: &[&str], gids: &[&str]| {
            let own = |names: &[&str]| names.iter().map(|n| (*n).to_string()).collect();
            Some(ApiAuth { client: client.to_string(), uids: own(uids), gids: own(gids), line: None })
        };
        written(client)
            .or_else(|| match client {
                "ipfail" | "ccm" => rule(&["hacluster"], &[]),
                "ping" => rule(&[], &["haclient"]),
                "lha-snmpagent" => rule(&["root"], &[]),
                "anon" => rule(&["root"], &["haclient"]),
                API_CLIENT => rule(&[], &["haclient"]),
                "cib" | "attrd" | "crmd" if self.crm.is_on() => rule(&["hacluster"], &[]),
                "stonithd" | "stonith-ng" | "mgmtd" | "pingd" if self.crm.is_on() => rule(&["root"], &[]),
                _ => None,
            })
            .or_else(|| written("default"))
    }

    /// Whether the local node is a member by this file.
    pub fn check_local_node(&self, local: &str) -> Option<ConfigProblem> {
        if self.has_node(local) || *self.autojoin == AutoJoin::Any {
            return None;
        }
        let listed: Vec<&str> = self.nodes.iter().map(|n| n.value.as_str()).collect();
        let near = super::problem::nearest(local, listed.iter().copied());
        let hint = near.map(|n| format!(" (is \"{n}\" this node?)")).unwrap_or_default();
        let mut problems = Problems::new(&self.file);
        problems.push(
            Severity::Error,
            "not-a-member",
            self.nodes.first().and_then(|n| n.line),
            format!("Current node [{local}] not in configuration!"),
            listed.join(" "),
            format!("a line \"node {local}\", as uname -n says{hint}"),
        );
        problems.list.pop()
    }

    /// Checks that need the machine: users, groups, programs, interfaces, devices.
    pub fn check_machine(&self, machine: &dyn Machine) -> Vec<ConfigProblem> {
        let mut problems = Problems::new(&self.file);
        for medium in &self.media {
            match &medium.spec {
                MediumSpec::Serial { device, .. } => {
                    if !machine.is_character_device(device) {
                        problems.error(
                            "no-device",
                            medium.line,
                            "no such character device",
                            device.display().to_string(),
                            "a serial line such as /dev/ttyS0",
                        );
                    }
                }
                MediumSpec::Bcast { iface, .. }
                | MediumSpec::Mcast { iface, .. }
                | MediumSpec::Ucast { iface, .. } => {
                    if !machine.has_interface(iface) {
                        // Packets to an address find their way without the interface's name.
                        let ucast = matches!(medium.spec, MediumSpec::Ucast { .. });
                        let severity = if ucast { Severity::Warning } else { Severity::Error };
                        problems.push(
                            severity,
                            "no-interface",
                            Some(medium.line),
                            "no such network interface",
                            iface,
                            "an interface that \"ip link\" lists",
                        );
                    }
                }
            }
        }
        for client in self.clients.iter().filter(|c| c.builtin.is_none()) {
            let name = if client.failfast { "failfast" } else { "respawn" };
            if !machine.has_user(&client.user) {
                problems.error(
                    "no-user",
                    client.line,
                    format!("no such user in \"{name}\""),
                    &client.user,
                    "a user of this machine",
                );
            }
            if !machine.is_executable(&client.command) {
                let command = client.command.display().to_string();
                problems.error(
                    "no-program",
                    client.line,
                    format!("\"{name}\" names no executable file"),
                    command,
                    "the full path of a program",
                );
            }
        }
        for auth in &self.apiauth {
            let line = auth.line.unwrap_or(0);
            for user in auth.uids.iter().filter(|u| !is_number(u) && !machine.has_user(u)) {
                problems.error(
                    "no-user",
                    line,
                    format!("no such user in apiauth of \"{}\"", auth.client),
                    user,
                    "a user of this machine",
                );
            }
            for group in auth.gids.iter().filter(|g| !is_number(g) && !machine.has_group(g)) {
                problems.error(
                    "no-group",
                    line,
                    format!("no such group in apiauth of \"{}\"", auth.client),
                    group,
                    "a group of this machine",
                );
            }
        }
        if let Some(watchdog) = &self.watchdog
            && !machine.is_character_device(watchdog)
        {
            let device = watchdog.display().to_string();
            problems.push(
                Severity::Warning,
                "no-device",
                watchdog.line,
                "no such watchdog device; the node runs without one",
                device,
                "a character device; \"modprobe softdog\" makes /dev/watchdog",
            );
        }
        for stonith in &self.stonith {
            if let StonithParameters::File(file) = &stonith.parameters
                && !machine.is_readable(file)
            {
                problems.error(
                    "no-file",
                    stonith.line,
                    format!("Invalid Stonith config file [{}]", file.display()),
                    "",
                    "a readable file",
                );
            }
        }
        problems.list
    }
}

/// A user or group given by number need not have a name.
fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
