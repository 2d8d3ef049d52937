//! The option directives of `ha.cf`: each value sets one field of [`super::Config`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::parse::{FACILITIES, NODES_MAX, Parser};
use super::problem::nearest;
use super::types::*;
use super::value::{BOOL_SYNTAX, Setting, is_node_name, parse_bool, parse_number};

/// Highest number of votes of one node; sums of 100 nodes stay far from overflow.
const VOTES_MAX: u32 = 1000;

const BAUD_RATES: &[u32] = &[9600, 19200, 38400, 57600, 115_200, 230_400, 460_800];

impl Parser {
    /// Sets one value of an option directive; false when it was refused.
    pub(super) fn value(&mut self, name: &'static str, value: &str, line: u32) -> bool {
        macro_rules! set {
            ($field:ident, $parsed:expr) => {
                match $parsed {
                    Some(setting) => self.config.$field = setting,
                    None => return false,
                }
            };
        }
        macro_rules! word {
            ($field:ident, $kind:ident, $($variant:ident),+) => {
                match value {
                    $(w if w == $kind::$variant.word() => self.config.$field = Setting::at($kind::$variant, line),)+
                    _ => return self.bad(name, value, line, one_of($kind::WORDS)),
                }
            };
        }
        match name {
            "keepalive" => set!(keepalive, self.time(name, value, line, false)),
            "warntime" => set!(warntime, self.time(name, value, line, false)),
            "deadtime" => set!(deadtime, self.time(name, value, line, false)),
            "initdead" => set!(initdead, self.time(name, value, line, false)),
            "deadping" => set!(deadping, self.time(name, value, line, false)),
            "conn_logd_time" => set!(conn_logd_time, self.time(name, value, line, false)),
            "hopfudge" => set!(
                hopfudge,
                self.number(name, value, line, 0, 255).and_then(small).map(|n| Setting::at(n, line))
            ),
            "debug" => set!(
                debug,
                self.number(name, value, line, 0, 255).and_then(small).map(|n| Setting::at(n, line))
            ),
            "udpport" => match self.number(name, value, line, 1, 65535).and_then(|n| u16::try_from(n).ok()) {
                Some(port) => {
                    self.config.udpport = Setting::at(port, line);
                    if std::mem::replace(&mut self.udpport, port) != port {
                        self.late(name, self.udp_media_line, line);
                    }
                }
                None => return false,
            },
            "baud" => match parse_number(value).filter(|n| BAUD_RATES.contains(n)) {
                Some(baud) => {
                    if let Some(first) = self.config.baud.line {
                        self.problems.error(
                            "repeated",
                            line,
                            format!("\"baud\" is already set on line {first}"),
                            value,
                            "one baud line",
                        );
                        return false;
                    }
                    self.config.baud = Setting::at(baud, line);
                    if std::mem::replace(&mut self.baud, baud) != baud {
                        self.late(name, self.serial_line, line);
                    }
                }
                None => {
                    return self.bad(
                        name,
                        value,
                        line,
                        "9600, 19200, 38400, 57600, 115200, 230400 or 460800",
                    );
                }
            },
            "bindaddr" => {
                self.bind = match (value, value.parse::<IpAddr>()) {
                    ("any", _) => None,
                    (_, Ok(address)) => Some(address),
                    _ => return self.bad(name, value, line, "a local IP address, or any"),
                };
                self.late(name, self.udp_media_line, line);
            }
            "serial" => {
                if !value.starts_with('/') {
                    return self.bad(
                        name,
                        value,
                        line,
                        "the full path of a character device, such as /dev/ttyS0",
                    );
                }
                self.serial_line.get_or_insert(line);
                let spec = MediumSpec::Serial { device: PathBuf::from(value), baud: self.baud };
                return self.medium(spec, line);
            }
            "bcast" | "udp" => {
                if name == "udp" {
                    self.problems.warn("replaced", line, "directive 'udp' replaced by 'bcast'");
                }
                let spec =
                    MediumSpec::Bcast { iface: value.to_string(), port: self.udpport, bind: self.bind };
                return self.udp_medium(name, value, spec, line);
            }
            "node" => return self.node(value, line),
            "autojoin" => match AutoJoin::WORDS.iter().position(|w| w.eq_ignore_ascii_case(value)) {
                Some(0) => self.config.autojoin = Setting::at(AutoJoin::None, line),
                Some(1) => self.config.autojoin = Setting::at(AutoJoin::Other, line),
                Some(_) => self.config.autojoin = Setting::at(AutoJoin::Any, line),
                None => return self.bad(name, value, line, one_of(AutoJoin::WORDS)),
            },
            "uuidfrom" => word!(uuidfrom, UuidFrom, File, Nodename),
            "cluster" => self.config.cluster = Setting::at(value.to_string(), line),
            "ping" | "ping6" => return self.ping(name, value, line),
            "auto_failback" => {
                let mode = match (parse_bool(value), value.eq_ignore_ascii_case("legacy")) {
                    (Some(true), _) => AutoFailback::On,
                    (Some(false), _) => AutoFailback::Off,
                    (None, true) => AutoFailback::Legacy,
                    (None, false) => return self.bad(name, value, line, format!("{BOOL_SYNTAX}, or legacy")),
                };
                self.config.auto_failback = Setting::at(mode, line);
            }
            "nice_failback" => {
                let Some(on) = self.boolean(name, value, line) else { return false };
                let mode = if on.value { AutoFailback::Off } else { AutoFailback::Legacy };
                self.problems.warn(
                    "replaced",
                    line,
                    format!("\"nice_failback {value}\" is obsolete; it means \"auto_failback {mode}\""),
                );
                self.config.auto_failback = Setting::at(mode, line);
            }
            "watchdog" => {
                if let Some(first) = &self.config.watchdog {
                    let what = format!(
                        "Watchdog device multiply specified; the first is on line {}",
                        first.line.unwrap_or(0)
                    );
                    self.problems.error("repeated", line, what, value, "one watchdog line");
                    return false;
                }
                let Some(path) = self.path(name, value, line) else { return false };
                self.config.watchdog = Some(path);
            }
            "use_logd" => {
                let Some(on) = self.boolean(name, value, line) else { return false };
                self.config.use_logd = Some(on);
            }
            "logfile" | "debugfile" => {
                let Some(path) = self.path(name, value, line) else { return false };
                if name == "logfile" {
                    self.config.logfile = Some(path);
                } else {
                    self.config.debugfile = Some(path);
                }
            }
            "logfacility" => {
                let facility = match value {
                    "none" => None,
                    f if FACILITIES.contains(&f) => Some(f.to_string()),
                    _ => {
                        let near = nearest(value, FACILITIES.iter().copied());
                        let hint = near.map(|n| format!("\"{n}\"? Or ")).unwrap_or_default();
                        return self.bad(name, value, line, format!("{hint}none, {}", FACILITIES.join(", ")));
                    }
                };
                self.config.logfacility = Some(Setting::at(facility, line));
            }
            "syslogmsgfmt" => set!(syslogmsgfmt, self.boolean(name, value, line)),
            "coredumps" => set!(coredumps, self.boolean(name, value, line)),
            "realtime" => set!(realtime, self.boolean(name, value, line)),
            "log_badpack" => set!(log_badpack, self.boolean(name, value, line)),
            "traditional_compression" => set!(traditional_compression, self.boolean(name, value, line)),
            "coreroot" => set!(coreroot, self.path(name, value, line)),
            "crm" | "pacemaker" => return self.crm(name, value, line),
            "compression" => word!(compression, Compression, Zlib, Bz2),
            "compression_threshold" => {
                set!(
                    compression_threshold,
                    self.number(name, value, line, 1, 1_000_000).map(|n| Setting::at(n, line))
                );
            }
            "rtprio" => {
                let Some(priority) = self.number(name, value, line, 1, 99).and_then(small) else {
                    return false;
                };
                self.config.rtprio = Some(Setting::at(priority, line));
            }
            "max_rexmit_delay" => {
                let digits = value.strip_suffix("ms").unwrap_or(value);
                let Some(ms) = self.number(name, digits, line, 1, 999_999_999) else { return false };
                self.config.max_rexmit_delay = Setting::at(Duration::from_millis(u64::from(ms)), line);
            }
            "hbgenmethod" => word!(hbgenmethod, GenerationFrom, File, Time),
            "msgfmt" => word!(msgfmt, MessageFormat, Classic, Netstring),
            "env" => match value.split_once('=') {
                Some((variable, text)) if is_variable(variable) => {
                    self.config.env.push(Setting::at((variable.to_string(), text.to_string()), line));
                }
                None if is_variable(value) => {
                    self.problems.warn("no-value", line, format!("\"env {value}\" sets {value} to nothing"));
                    self.config.env.push(Setting::at((value.to_string(), String::new()), line));
                }
                _ => {
                    return self.bad(
                        name,
                        value,
                        line,
                        "NAME=VALUE, NAME of letters, digits and underscores",
                    );
                }
            },
            "quorum_server" => self.config.quorum_server = Some(Setting::at(value.to_string(), line)),
            "nodename" => {
                let Some(node) = self.node_name(name, value, line) else { return false };
                self.config.nodename = Some(Setting::at(node, line));
            }
            "weight" => return self.weight(name, value, line),
            // Without effect, but their syntax is checked all the same.
            "memreserve" => return self.number(name, value, line, 1, 999_999_999).is_some(),
            "crm_daemon_dir" => return self.path(name, value, line).is_some(),
            "crmd_spawns_pengine"
            | "normalpoll"
            | "use_apphbd"
            | "record_config_changes"
            | "record_pengine_inputs"
            | "enable_config_writes" => {
                return self.boolean(name, value, line).is_some();
            }
            _ => {}
        }
        true
    }

    /// Warns that a setting does not touch the media already listed.
    fn late(&mut self, name: &str, media: Option<u32>, line: u32) {
        if let Some(medium) = media {
            self.problems.warn(
                "late-setting",
                line,
                format!("\"{name}\" does not apply to the media above it (the first is on line {medium}); put it before them"),
            );
        }
    }

    fn crm(&mut self, name: &str, value: &str, line: u32) -> bool {
        if let Some(first) = self.config.crm.line {
            self.problems.error(
                "repeated",
                line,
                format!("pacemaker/crm directive used multiple times; the first is on line {first}"),
                value,
                "one crm line",
            );
            return false;
        }
        let mode = match (parse_bool(value), value.to_ascii_lowercase().as_str()) {
            (Some(true), _) => CrmMode::On,
            (Some(false), _) => CrmMode::Off,
            (_, "manual") => CrmMode::Manual,
            (_, "minimal") => CrmMode::Minimal,
            (_, "respawn") => CrmMode::Respawn,
            (_, "ccm-only") => CrmMode::CcmOnly,
            (_, "valgrind") => CrmMode::Valgrind,
            _ => {
                let expected = format!("{BOOL_SYNTAX}, manual, minimal, respawn, ccm-only or valgrind");
                return self.bad(name, value, line, expected);
            }
        };
        self.config.crm = Setting::at(mode, line);
        true
    }

    pub(super) fn node_name(&mut self, directive: &str, name: &str, line: u32) -> Option<String> {
        if is_node_name(name) {
            return Some(name.to_ascii_lowercase());
        }
        self.problems.error(
            "bad-node-name",
            line,
            format!("bad node name in \"{directive}\""),
            name,
            "letters, digits, dots, dashes and underscores, as uname -n prints them",
        );
        None
    }

    fn node(&mut self, value: &str, line: u32) -> bool {
        let Some(name) = self.node_name("node", value, line) else { return false };
        if let Some(first) = self.config.nodes.iter().find(|n| n.value == name) {
            let what = format!("node \"{name}\" is already listed on line {}", first.line.unwrap_or(0));
            self.problems.warn("repeated-node", line, what);
        } else if self.config.nodes.len() >= NODES_MAX {
            self.problems.error("too-many", line, "too many nodes", name, format!("at most {NODES_MAX}"));
            return false;
        } else {
            self.config.nodes.push(Setting::at(name, line));
        }
        true
    }

    fn weight(&mut self, name: &str, value: &str, line: u32) -> bool {
        let parsed = value.split_once('=').and_then(|(node, votes)| {
            let votes = parse_number(votes).filter(|v| *v <= VOTES_MAX)?;
            is_node_name(node).then(|| (node.to_ascii_lowercase(), votes))
        });
        match parsed {
            Some(pair) => {
                self.config.weight.retain(|w| w.value.0 != pair.0);
                self.config.weight.push(Setting::at(pair, line));
                true
            }
            None => self.bad(name, value, line, format!("NODE=VOTES, VOTES from 0 to {VOTES_MAX}")),
        }
    }
}

pub(super) fn small(n: u32) -> Option<u8> {
    u8::try_from(n).ok()
}

fn one_of(words: &[&str]) -> String {
    words.join(" or ")
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
