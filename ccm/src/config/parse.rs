//! Reads `ha.cf`: text in, [`Config`] and every problem of the file out. Nothing outside the text is
//! looked at; what needs the machine is in [`super::check`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::directives::{DIRECTIVES, Effect, Kind, NOT_DIRECTIVES, directive};
use super::problem::{ConfigProblem, Problems, nearest};
use super::types::*;
use super::value::{BOOL_SYNTAX, Setting, TIME_SYNTAX, is_node_name, parse_bool, parse_number, parse_time};

/// Longest line Heartbeat reads, in bytes.
const LINE_MAX: usize = 5120;
/// Limits of Heartbeat.
const MEDIA_MAX: usize = 64;
const NODES_MAX: usize = 100;
/// Highest number of votes of one node; sums of 100 nodes stay far from overflow.
const VOTES_MAX: u32 = 1000;

/// Syslog facilities by the names `ha.cf` knows.
pub(super) const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user",
    "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

const BAUD_RATES: &[u32] = &[9600, 19200, 38400, 57600, 115_200, 230_400, 460_800];

/// Programs that used to be separate and are part of Everbeat.
const BUILT_IN: &[&str] = &[
    "ipfail", "mgmtd", "ccm", "pingd", "apphbd", "cib", "stonithd", "lrmd", "attrd", "crmd", "pengine",
    "tengine", "ha_logd", "logd",
];

impl Config {
    /// Reads the text of an `ha.cf`; `file` is its name for messages.
    ///
    /// # Errors
    /// Every problem of the file, errors and warnings, in file order, when at least one is an error.
    pub fn parse(text: &str, file: &str) -> Result<Config, Vec<ConfigProblem>> {
        let (mut config, mut problems) = Config::parse_lenient(text, file);
        if problems.iter().any(|p| p.severity == super::Severity::Error) {
            return Err(problems);
        }
        config.warnings.append(&mut problems);
        Ok(config)
    }

    /// Reads what can be read, beside every problem: for tools that go on with a broken file.
    pub fn parse_lenient(text: &str, file: &str) -> (Config, Vec<ConfigProblem>) {
        let mut parser = Parser {
            config: Config::defaults(file),
            problems: Problems::new(file),
            udpport: 694,
            baud: 19200,
            bind: None,
            udp_media_line: None,
            serial_line: None,
        };
        parser.file(text);
        parser.derive_times();
        super::check::whole_file(&parser.config, &mut parser.problems);
        // Problems of lines in file order, those of the whole file last.
        parser.problems.list.sort_by_key(|p| p.line.unwrap_or(u32::MAX));
        (parser.config, parser.problems.list)
    }

    /// What an empty file means.
    pub fn defaults(file: &str) -> Config {
        Config {
            file: file.to_string(),
            keepalive: Setting::default_of(Duration::from_secs(1)),
            warntime: Setting::default_of(Duration::from_secs(15)),
            deadtime: Setting::default_of(Duration::from_secs(30)),
            initdead: Setting::default_of(Duration::from_secs(30)),
            deadping: Setting::default_of(Duration::from_secs(30)),
            hopfudge: Setting::default_of(1),
            udpport: Setting::default_of(694),
            baud: Setting::default_of(19200),
            media: Vec::new(),
            nodes: Vec::new(),
            autojoin: Setting::default_of(AutoJoin::None),
            uuidfrom: Setting::default_of(UuidFrom::File),
            cluster: Setting::default_of("linux-ha".to_string()),
            ping: Vec::new(),
            auto_failback: Setting::default_of(AutoFailback::Legacy),
            stonith: Vec::new(),
            clients: Vec::new(),
            apiauth: Vec::new(),
            watchdog: None,
            use_logd: None,
            conn_logd_time: Setting::default_of(Duration::from_secs(60)),
            logfile: None,
            debugfile: None,
            logfacility: None,
            syslogmsgfmt: Setting::default_of(true),
            debug: Setting::default_of(0),
            coredumps: Setting::default_of(true),
            coreroot: Setting::default_of(PathBuf::from("/var/lib/heartbeat/cores")),
            crm: Setting::default_of(CrmMode::Off),
            compression: Setting::default_of(Compression::Zlib),
            compression_threshold: Setting::default_of(2),
            traditional_compression: Setting::default_of(false),
            rtprio: None,
            realtime: Setting::default_of(true),
            max_rexmit_delay: Setting::default_of(Duration::from_millis(250)),
            hbgenmethod: Setting::default_of(GenerationFrom::File),
            log_badpack: Setting::default_of(true),
            msgfmt: Setting::default_of(MessageFormat::Classic),
            env: Vec::new(),
            quorum_server: None,
            nodename: None,
            weight: Vec::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

struct Parser {
    config: Config,
    problems: Problems,
    udpport: u16,
    baud: u32,
    bind: Option<IpAddr>,
    /// Line of the first UDP medium: a later `udpport` or `bindaddr` does not touch it.
    udp_media_line: Option<u32>,
    serial_line: Option<u32>,
}

impl Parser {
    fn file(&mut self, text: &str) {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, raw) in text.split('\n').enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            if raw.len() > LINE_MAX {
                self.problems.error(
                    "line-too-long",
                    line,
                    "line is too long",
                    format!("{} bytes", raw.len()),
                    format!("at most {LINE_MAX} bytes"),
                );
                continue;
            }
            let body = raw.split('#').next().unwrap_or("").trim_matches([' ', '\t', '\r', '\x0b', '\x0c']);
            if body.is_empty() {
                continue;
            }
            if let Some(c) = body.chars().find(|c| c.is_control() && *c != '\t') {
                self.problems.error(
                    "control-character",
                    line,
                    "line holds a control character",
                    format!("character {:#04x}", u32::from(c)),
                    "text",
                );
                continue;
            }
            self.line(body, line);
        }
    }

    fn line(&mut self, body: &str, line: u32) {
        let (word, rest) = body.split_once([' ', '\t']).unwrap_or((body, ""));
        let rest = rest.trim_matches([' ', '\t']);
        let Some(entry) = directive(word) else {
            self.unknown(word, line);
            return;
        };
        if let Effect::Nothing(why) = entry.effect {
            self.problems.note("no-effect", line, format!("\"{word}\" has no effect here: {why}"));
        }
        match entry.kind {
            Kind::Whole => {
                if rest.is_empty() {
                    self.no_value(entry.name, entry.syntax, line);
                    return;
                }
                if self.whole_line(entry.name, entry.syntax, rest, line) {
                    self.record(entry.name, rest, line);
                }
            }
            Kind::Values => {
                let values: Vec<&str> = rest.split([' ', '\t', ',']).filter(|v| !v.is_empty()).collect();
                if values.is_empty() {
                    self.no_value(entry.name, entry.syntax, line);
                }
                for value in values {
                    if self.value(entry.name, value, line) {
                        self.record(entry.name, value, line);
                    }
                }
            }
        }
    }

    fn unknown(&mut self, word: &str, line: u32) {
        let what = "Illegal directive";
        let advice =
            NOT_DIRECTIVES.iter().find(|(w, _)| *w == word).map(|(_, instead)| (*instead).to_string());
        let expected = advice
            .or_else(|| nearest(word, DIRECTIVES.iter().map(|d| d.name)).map(|n| format!("\"{n}\"?")))
            .unwrap_or_else(|| "a directive of ha.cf".to_string());
        self.problems.error("unknown-directive", line, what, word, expected);
    }

    fn no_value(&mut self, name: &str, syntax: &str, line: u32) {
        self.problems.error(
            "no-value",
            line,
            format!("\"{name}\" without a value"),
            "",
            format!("{name} {syntax}"),
        );
    }

    fn record(&mut self, name: &'static str, value: &str, line: u32) {
        self.config.parameters.push(Parameter { name, value: value.to_string(), line });
    }

    fn bad(&mut self, name: &str, value: &str, line: u32, expected: impl Into<String>) -> bool {
        self.problems.error("bad-value", line, format!("bad value of \"{name}\""), value, expected);
        false
    }

    /// A time for `name`, or a problem.
    fn time(&mut self, name: &str, value: &str, line: u32, zero: bool) -> Option<Setting<Duration>> {
        match parse_time(value) {
            Some(time) if zero || !time.is_zero() => Some(Setting::at(time, line)),
            Some(_) => {
                self.bad(name, value, line, "a time greater than 0");
                None
            }
            None => {
                self.bad(name, value, line, TIME_SYNTAX);
                None
            }
        }
    }

    fn boolean(&mut self, name: &str, value: &str, line: u32) -> Option<Setting<bool>> {
        let parsed = parse_bool(value);
        if parsed.is_none() {
            self.bad(name, value, line, BOOL_SYNTAX);
        }
        parsed.map(|b| Setting::at(b, line))
    }

    fn number(&mut self, name: &str, value: &str, line: u32, low: u32, high: u32) -> Option<u32> {
        match parse_number(value) {
            Some(n) if (low..=high).contains(&n) => Some(n),
            _ => {
                self.bad(name, value, line, format!("a whole number from {low} to {high}"));
                None
            }
        }
    }

    fn path(&mut self, name: &str, value: &str, line: u32) -> Option<Setting<PathBuf>> {
        if value.starts_with('/') {
            Some(Setting::at(PathBuf::from(value), line))
        } else {
            self.bad(name, value, line, "a path from the root (/...)");
            None
        }
    }

    /// Sets one value of an option directive; false when it was refused.
    fn value(&mut self, name: &'static str, value: &str, line: u32) -> bool {
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
                match value.to_ascii_lowercase().as_str() {
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
                    self.udpport = port;
                    self.config.udpport = Setting::at(port, line);
                    self.late(name, self.udp_media_line, line);
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
                    self.baud = baud;
                    self.config.baud = Setting::at(baud, line);
                    self.late(name, self.serial_line, line);
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
            "autojoin" => word!(autojoin, AutoJoin, None, Other, Any),
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
                    self.number(name, value, line, 1, 64).map(|n| Setting::at(n, line))
                );
            }
            "rtprio" => {
                let Some(priority) = self.number(name, value, line, 1, 99).and_then(small) else {
                    return false;
                };
                self.config.rtprio = Some(Setting::at(priority, line));
            }
            "max_rexmit_delay" => {
                let Some(ms) = self.number(name, value, line, 1, 600_000) else { return false };
                self.config.max_rexmit_delay = Setting::at(Duration::from_millis(u64::from(ms)), line);
            }
            "hbgenmethod" => word!(hbgenmethod, GenerationFrom, File, Time),
            "msgfmt" => word!(msgfmt, MessageFormat, Classic, Netstring),
            "env" => match value.split_once('=') {
                Some((variable, text)) if is_variable(variable) => {
                    self.config.env.push(Setting::at((variable.to_string(), text.to_string()), line));
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

    fn node_name(&mut self, directive: &str, name: &str, line: u32) -> Option<String> {
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

    fn ping(&mut self, name: &str, value: &str, line: u32) -> bool {
        let host = Host::new(value);
        let v6 = name == "ping6";
        if let Host::Address(address) = &host
            && address.is_ipv6() != v6
        {
            let expected = if v6 {
                "an IPv6 address or a host name"
            } else {
                "an IPv4 address or a host name (ping6 for IPv6)"
            };
            return self.bad(name, value, line, expected);
        }
        if matches!(host, Host::Name(_)) && !is_node_name(value) {
            return self.bad(name, value, line, "an address or a host name");
        }
        let node = PingNode { name: value.to_string(), hosts: vec![host], v6, group: false, line };
        self.ping_node(node)
    }

    fn ping_node(&mut self, node: PingNode) -> bool {
        if let Some(other) = self.config.ping.iter().find(|p| p.name == node.name) {
            let what = format!("ping node \"{}\" is already listed on line {}", node.name, other.line);
            self.problems.warn("repeated-medium", node.line, what);
            return true;
        }
        if self.config.ping.len() + self.config.media.len() >= MEDIA_MAX {
            self.problems.error(
                "too-many",
                node.line,
                "too many media",
                node.name,
                format!("at most {MEDIA_MAX} with ping nodes"),
            );
            return false;
        }
        self.config.ping.push(node);
        true
    }

    fn udp_medium(&mut self, name: &str, iface: &str, spec: MediumSpec, line: u32) -> bool {
        if !is_interface(iface) {
            return self.bad(name, iface, line, "an interface name, such as eth0");
        }
        self.udp_media_line.get_or_insert(line);
        self.medium(spec, line)
    }

    fn medium(&mut self, spec: MediumSpec, line: u32) -> bool {
        if let Some(other) = self.config.media.iter().find(|m| m.spec == spec) {
            let what = format!("medium \"{spec}\" is already listed on line {}", other.line);
            self.problems.warn("repeated-medium", line, what);
            return true;
        }
        if self.config.ping.len() + self.config.media.len() >= MEDIA_MAX {
            self.problems.error(
                "too-many",
                line,
                "too many media",
                spec.to_string(),
                format!("at most {MEDIA_MAX} with ping nodes"),
            );
            return false;
        }
        self.config.media.push(Medium { spec, line });
        true
    }

    /// One whole-line directive; false when it was refused.
    fn whole_line(&mut self, name: &'static str, syntax: &str, rest: &str, line: u32) -> bool {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        match (name, words.as_slice()) {
            ("mcast" | "mcast6", [iface, group, port, ttl, loopback]) => {
                let v6 = name == "mcast6";
                let group: IpAddr = match group.parse() {
                    Ok(IpAddr::V4(a)) if a.is_multicast() && !v6 => IpAddr::V4(a),
                    Ok(IpAddr::V6(a)) if a.is_multicast() && v6 => IpAddr::V6(a),
                    _ => {
                        let range = if v6 {
                            "an IPv6 multicast group (ff00::/8)"
                        } else {
                            "a multicast group (224.0.0.0 to 239.255.255.255)"
                        };
                        return self.bad(name, group, line, range);
                    }
                };
                let port = self
                    .number("port of multicast", port, line, 1, 65535)
                    .and_then(|n| u16::try_from(n).ok());
                let ttl = self.number("ttl of multicast", ttl, line, 0, 4).and_then(small);
                let loopback = self.number("loop of multicast", loopback, line, 0, 1);
                let (Some(port), Some(ttl), Some(loopback)) = (port, ttl, loopback) else { return false };
                let spec = MediumSpec::Mcast {
                    iface: (*iface).to_string(),
                    group,
                    port,
                    ttl,
                    loopback: loopback == 1,
                };
                self.udp_medium(name, iface, spec, line)
            }
            ("ucast" | "ucast6", [iface, peer]) => {
                let v6 = name == "ucast6";
                let host = Host::new(peer);
                let fits = match &host {
                    Host::Address(a) => a.is_ipv6() == v6,
                    Host::Name(n) => is_node_name(n),
                };
                if !fits {
                    let family = if v6 { "an IPv6 address" } else { "an IPv4 address" };
                    return self.bad(name, peer, line, format!("{family} or a host name"));
                }
                if self.bind.is_some_and(|b| b.is_ipv6() != v6) {
                    return self.bad(name, peer, line, "a peer of the same address family as bindaddr");
                }
                let spec = MediumSpec::Ucast {
                    iface: (*iface).to_string(),
                    peer: host,
                    port: self.udpport,
                    v6,
                    bind: self.bind,
                };
                self.udp_medium(name, iface, spec, line)
            }
            ("ping_group", [group, hosts @ ..]) if !hosts.is_empty() => {
                if !is_node_name(group) {
                    return self.bad(name, group, line, "a name");
                }
                if let Some(bad) =
                    hosts.iter().find(|h| matches!(Host::new(h), Host::Name(n) if !is_node_name(&n)))
                {
                    return self.bad(name, bad, line, "addresses or host names");
                }
                let hosts = hosts.iter().map(|h| Host::new(h)).collect();
                self.ping_node(PingNode { name: (*group).to_string(), hosts, v6: false, group: true, line })
            }
            ("stonith", [kind, file]) => {
                if !file.starts_with('/') {
                    return self.bad(name, file, line, "the full path of the device's configuration file");
                }
                let parameters = StonithParameters::File(PathBuf::from(file));
                self.stonith("*", kind, parameters, line)
            }
            ("stonith_host", [node, kind, parameters @ ..]) => {
                let parameters = parameters.iter().map(|p| (*p).to_string()).collect();
                self.stonith(node, kind, StonithParameters::Inline(parameters), line)
            }
            ("respawn" | "failfast", [user, command, arguments @ ..]) => {
                self.client(name == "failfast", user, command, arguments, line)
            }
            ("apiauth", [client, lists @ ..]) => self.api_auth(client, lists, line),
            ("rds", _) => true,
            _ => {
                self.problems.error(
                    "bad-line",
                    line,
                    format!("bad \"{name}\" line"),
                    rest,
                    format!("{name} {syntax}"),
                );
                false
            }
        }
    }

    fn stonith(&mut self, node: &str, kind: &str, parameters: StonithParameters, line: u32) -> bool {
        let node = if node == "*" {
            "*".to_string()
        } else {
            let Some(name) = self.node_name("stonith_host", node, line) else { return false };
            name
        };
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || !is_interface(part);
        if kind.split('/').any(bad_part) {
            return self.bad("stonith", kind, line, "a device type, such as external/ssh");
        }
        self.config.stonith.push(StonithLine { node, kind: kind.to_string(), parameters, line });
        true
    }

    fn client(&mut self, failfast: bool, user: &str, command: &str, arguments: &[&str], line: u32) -> bool {
        let name = if failfast { "failfast" } else { "respawn" };
        let base = command.rsplit('/').next().unwrap_or(command);
        let builtin = BUILT_IN.iter().copied().find(|b| *b == base);
        if builtin.is_none() && !command.starts_with('/') {
            return self.bad(name, command, line, "the full path of a program");
        }
        if let Some(builtin) = builtin {
            self.problems.note("built-in", line, format!("\"{builtin}\" is built in; {command} is not run"));
        }
        self.config.clients.push(ClientLine {
            failfast,
            user: user.to_string(),
            command: PathBuf::from(command),
            arguments: arguments.iter().map(|a| (*a).to_string()).collect(),
            builtin,
            line,
        });
        true
    }

    fn api_auth(&mut self, client: &str, lists: &[&str], line: u32) -> bool {
        const SYNTAX: &str = "apiauth CLIENT [uid=NAME,...] [gid=NAME,...], at least one list";
        let mut auth =
            ApiAuth { client: client.to_string(), uids: Vec::new(), gids: Vec::new(), line: Some(line) };
        for list in lists {
            let target = match list.split_once('=') {
                Some(("uid", names)) => Some((&mut auth.uids, names)),
                Some(("gid", names)) => Some((&mut auth.gids, names)),
                _ => None,
            };
            let Some((target, names)) = target else {
                self.problems.error(
                    "bad-apiauth",
                    line,
                    format!("bad list in apiauth of \"{client}\""),
                    *list,
                    SYNTAX,
                );
                return false;
            };
            if !target.is_empty() {
                self.problems.error(
                    "bad-apiauth",
                    line,
                    format!("the same list twice in apiauth of \"{client}\""),
                    *list,
                    SYNTAX,
                );
                return false;
            }
            target.extend(names.split(',').filter(|n| !n.is_empty()).map(str::to_string));
            if target.is_empty() {
                self.problems.error(
                    "bad-apiauth",
                    line,
                    format!("empty list in apiauth of \"{client}\""),
                    *list,
                    SYNTAX,
                );
                return false;
            }
        }
        if auth.uids.is_empty() && auth.gids.is_empty() {
            self.problems.error(
                "bad-apiauth",
                line,
                format!("apiauth of \"{client}\" without a list"),
                "",
                SYNTAX,
            );
            return false;
        }
        if let Some(index) = self.config.apiauth.iter().position(|a| a.client == client) {
            let first = self.config.apiauth.get(index).and_then(|a| a.line).unwrap_or(0);
            if !BUILT_IN.contains(&client) {
                self.problems.error(
                    "repeated",
                    line,
                    format!("apiauth of \"{client}\" is already given on line {first}"),
                    lists.join(" "),
                    "one apiauth line a client",
                );
                return false;
            }
            // Copied from many a tutorial; the program is built in, so nothing is lost by it.
            self.problems.warn(
                "repeated-apiauth",
                line,
                format!("apiauth of \"{client}\" is already given on line {first}; this one holds"),
            );
            self.config.apiauth.remove(index);
        }
        self.config.apiauth.push(auth);
        true
    }

    /// The times that follow from others when the file is silent.
    fn derive_times(&mut self) {
        let config = &mut self.config;
        let dead = config.deadtime.value;
        if !config.warntime.is_set() {
            config.warntime.value = dead / 2;
        }
        if !config.deadping.is_set() {
            config.deadping.value = dead;
        }
        if !config.initdead.is_set() {
            config.initdead.value = if dead > Duration::from_secs(10) {
                dead
            } else if dead < Duration::from_secs(6) {
                Duration::from_secs(12)
            } else {
                dead * 2
            };
        }
    }
}

fn small(n: u32) -> Option<u8> {
    u8::try_from(n).ok()
}

fn one_of(words: &[&str]) -> String {
    words.join(" or ")
}

/// Whether `name` can be an interface: at most 15 bytes with Linux, but aliases and words of other
/// lists are longer, so only the characters are looked at.
fn is_interface(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'@' | b'+'))
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}
