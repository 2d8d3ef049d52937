//! A [`Config`] written out again: every value in force, in the syntax of `ha.cf`, with its origin.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use super::types::*;
use super::value::Setting;

/// One line of `everbeat config show`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLine {
    pub name: &'static str,
    pub value: String,
    /// Line of the file; `None` is the built-in default.
    pub line: Option<u32>,
}

impl fmt::Display for ShownLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.value)
    }
}

impl Config {
    /// Every value in force, in an order in which `ha.cf` can be read again. Parameters of fencing
    /// devices are shown as `***`: which of them is a password cannot be told.
    pub fn show(&self) -> Vec<ShownLine> {
        let mut out = Shown(Vec::new());
        out.optional("nodename", self.nodename.as_ref());
        out.setting("cluster", &self.cluster);
        for (name, setting) in [
            ("keepalive", &self.keepalive),
            ("warntime", &self.warntime),
            ("deadtime", &self.deadtime),
            ("initdead", &self.initdead),
            ("deadping", &self.deadping),
        ] {
            out.line(name, time(setting.value), setting.line);
        }
        out.setting("hopfudge", &self.hopfudge);
        self.show_media(&mut out);
        for node in &self.nodes {
            out.setting("node", node);
        }
        out.setting("autojoin", &self.autojoin);
        for weight in &self.weight {
            out.line("weight", format!("{}={}", weight.value.0, weight.value.1), weight.line);
        }
        out.setting("uuidfrom", &self.uuidfrom);
        self.show_ping(&mut out);
        out.setting("auto_failback", &self.auto_failback);
        out.setting("crm", &self.crm);
        self.show_lines(&mut out);
        self.show_logging(&mut out);
        out.flag("coredumps", &self.coredumps);
        out.line("coreroot", self.coreroot.value.display().to_string(), self.coreroot.line);
        if let Some(watchdog) = &self.watchdog {
            out.line("watchdog", watchdog.value.display().to_string(), watchdog.line);
        }
        out.optional("rtprio", self.rtprio.as_ref());
        out.flag("realtime", &self.realtime);
        out.setting("compression", &self.compression);
        out.setting("compression_threshold", &self.compression_threshold);
        out.flag("traditional_compression", &self.traditional_compression);
        let delay = &self.max_rexmit_delay;
        out.line("max_rexmit_delay", delay.value.as_millis().to_string(), delay.line);
        out.setting("hbgenmethod", &self.hbgenmethod);
        out.flag("log_badpack", &self.log_badpack);
        out.setting("msgfmt", &self.msgfmt);
        out.optional("quorum_server", self.quorum_server.as_ref());
        for env in &self.env {
            out.line("env", format!("{}={}", env.value.0, env.value.1), env.line);
        }
        out.0
    }

    /// Media, each after the port, address and speed that hold for it.
    fn show_media(&self, out: &mut Shown) {
        let (mut port, mut bind, mut baud): (Option<u16>, Option<IpAddr>, bool) = (None, None, false);
        for medium in &self.media {
            let line = Some(medium.line);
            if let MediumSpec::Bcast { port: p, bind: b, .. } | MediumSpec::Ucast { port: p, bind: b, .. } =
                &medium.spec
            {
                if port != Some(*p) {
                    let from = if self.udpport.value == *p { self.udpport.line } else { line };
                    out.line("udpport", p.to_string(), from);
                    port = Some(*p);
                }
                if bind != *b {
                    out.line("bindaddr", b.map_or("any".to_string(), |a| a.to_string()), line);
                    bind = *b;
                }
            }
            match &medium.spec {
                MediumSpec::Bcast { iface, .. } => out.line("bcast", iface.clone(), line),
                MediumSpec::Ucast { iface, peer, v6, .. } => {
                    out.line(if *v6 { "ucast6" } else { "ucast" }, format!("{iface} {peer}"), line);
                }
                MediumSpec::Mcast { iface, group, port, ttl, loopback } => {
                    let name = if group.is_ipv6() { "mcast6" } else { "mcast" };
                    let value = format!("{iface} {group} {port} {ttl} {}", u8::from(*loopback));
                    out.line(name, value, line);
                }
                MediumSpec::Serial { device, .. } => {
                    if !std::mem::replace(&mut baud, true) {
                        out.setting("baud", &self.baud);
                    }
                    out.line("serial", device.display().to_string(), line);
                }
            }
        }
    }

    fn show_ping(&self, out: &mut Shown) {
        for node in &self.ping {
            let hosts: Vec<String> = node.hosts.iter().map(ToString::to_string).collect();
            let (name, value) = match (node.group, node.v6) {
                (true, _) => ("ping_group", format!("{} {}", node.name, hosts.join(" "))),
                (false, true) => ("ping6", hosts.join(" ")),
                (false, false) => ("ping", hosts.join(" ")),
            };
            out.line(name, value, Some(node.line));
        }
    }

    fn show_lines(&self, out: &mut Shown) {
        for stonith in &self.stonith {
            let (name, value) = match &stonith.parameters {
                StonithParameters::File(file) => ("stonith", format!("{} {}", stonith.kind, file.display())),
                StonithParameters::Inline(words) => (
                    "stonith_host",
                    format!("{} {}{}", stonith.node, stonith.kind, " ***".repeat(words.len())),
                ),
            };
            out.line(name, value, Some(stonith.line));
        }
        for auth in &self.apiauth {
            let mut value = auth.client.clone();
            for (list, names) in [(" uid=", &auth.uids), (" gid=", &auth.gids)] {
                if !names.is_empty() {
                    value.push_str(list);
                    value.push_str(&names.join(","));
                }
            }
            out.line("apiauth", value, auth.line);
        }
        for client in &self.clients {
            let name = if client.failfast { "failfast" } else { "respawn" };
            let mut value = format!("{} {}", client.user, client.command.display());
            for argument in &client.arguments {
                value.push(' ');
                value.push_str(argument);
            }
            out.line(name, value, Some(client.line));
        }
    }

    fn show_logging(&self, out: &mut Shown) {
        if let Some(logd) = &self.use_logd {
            out.flag("use_logd", logd);
        }
        out.line("conn_logd_time", time(self.conn_logd_time.value), self.conn_logd_time.line);
        for (name, file) in [("logfile", &self.logfile), ("debugfile", &self.debugfile)] {
            if let Some(file) = file {
                out.line(name, file.value.display().to_string(), file.line);
            }
        }
        if let Some(facility) = &self.logfacility {
            out.line("logfacility", facility.value.clone().unwrap_or_else(|| "none".into()), facility.line);
        }
        out.flag("syslogmsgfmt", &self.syslogmsgfmt);
        out.setting("debug", &self.debug);
    }

    /// The lines people look for at a start (heartbeat.md §3 and §23), warnings first.
    ///
    /// `haresources`: whether that file exists and under which name. `version`: of this program.
    pub fn start_lines(&self, haresources: Option<&str>, version: &str) -> Vec<(super::Severity, String)> {
        use super::Severity::{Note, Warning};
        let mut lines = Vec::new();
        if self.crm.is_on() {
            lines.push((
                Note,
                format!(
                    "Version 2 support: {}",
                    self.parameter("crm").or(self.parameter("pacemaker")).unwrap_or("on")
                ),
            ));
            if let Some(file) = haresources {
                lines.push((Warning, format!("File {file} exists.")));
                lines.push((Warning, "This file is not used because crm is enabled".to_string()));
            }
        }
        lines.extend(self.warnings.iter().map(|p| (p.severity, p.log_line())));
        lines.push((Note, "**************************".to_string()));
        lines.push((Note, format!("Configuration validated. Starting heartbeat {version}")));
        lines
    }
}

struct Shown(Vec<ShownLine>);

impl Shown {
    fn line(&mut self, name: &'static str, value: String, line: Option<u32>) {
        self.0.push(ShownLine { name, value, line });
    }

    fn setting<T: fmt::Display>(&mut self, name: &'static str, setting: &Setting<T>) {
        self.line(name, setting.value.to_string(), setting.line);
    }

    fn optional<T: fmt::Display>(&mut self, name: &'static str, setting: Option<&Setting<T>>) {
        if let Some(setting) = setting {
            self.setting(name, setting);
        }
    }

    fn flag(&mut self, name: &'static str, setting: &Setting<bool>) {
        self.line(name, if setting.value { "on" } else { "off" }.to_string(), setting.line);
    }
}

/// A time as `ha.cf` writes it: whole seconds without a unit, else milliseconds.
fn time(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1000) { (ms / 1000).to_string() } else { format!("{ms}ms") }
}
