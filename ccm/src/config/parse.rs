//! Reads `ha.cf`: text in, [`Config`] and every problem of the file out. Nothing outside the text is
//! looked at; what needs the machine is in [`super::check`].

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::directives::{DIRECTIVES, Effect, Kind, NOT_DIRECTIVES, directive};
use super::problem::{ConfigProblem, Problems, nearest};
use super::types::*;
use super::value::{BOOL_SYNTAX, Setting, TIME_SYNTAX, parse_bool, parse_number, parse_time};

/// Longest line Heartbeat reads, in bytes.
const LINE_MAX: usize = 5120;
/// Limits of Heartbeat.
pub(super) const MEDIA_MAX: usize = 64;
pub(super) const NODES_MAX: usize = 100;

/// Syslog facilities by the names `ha.cf` knows.
pub(super) const FACILITIES: &[&str] = &[
    "auth", "authpriv", "cron", "daemon", "ftp", "kern", "lpr", "mail", "news", "security", "syslog", "user",
    "uucp", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
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
            msgfmt: Setting::default_of(MessageFormat::Netstring),
            env: Vec::new(),
            quorum_server: None,
            nodename: None,
            weight: Vec::new(),
            parameters: Vec::new(),
            warnings: Vec::new(),
        }
    }
}

pub(super) struct Parser {
    pub(super) config: Config,
    pub(super) problems: Problems,
    pub(super) udpport: u16,
    pub(super) baud: u32,
    pub(super) bind: Option<IpAddr>,
    /// Line of the first UDP medium: a later `udpport` or `bindaddr` does not touch it.
    pub(super) udp_media_line: Option<u32>,
    pub(super) serial_line: Option<u32>,
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
                    // Heartbeat 3.0.6 takes such a line as said zero times.
                    let what =
                        format!("\"{word}\" without a value sets nothing; expected {word} {}", entry.syntax);
                    self.problems.warn("no-value", line, what);
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

    pub(super) fn no_value(&mut self, name: &str, syntax: &str, line: u32) {
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

    pub(super) fn bad(&mut self, name: &str, value: &str, line: u32, expected: impl Into<String>) -> bool {
        self.problems.error("bad-value", line, format!("bad value of \"{name}\""), value, expected);
        false
    }

    /// A time for `name`, or a problem.
    pub(super) fn time(
        &mut self,
        name: &str,
        value: &str,
        line: u32,
        zero: bool,
    ) -> Option<Setting<Duration>> {
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

    pub(super) fn boolean(&mut self, name: &str, value: &str, line: u32) -> Option<Setting<bool>> {
        let parsed = parse_bool(value);
        if parsed.is_none() {
            self.bad(name, value, line, BOOL_SYNTAX);
        }
        parsed.map(|b| Setting::at(b, line))
    }

    pub(super) fn number(&mut self, name: &str, value: &str, line: u32, low: u32, high: u32) -> Option<u32> {
        match parse_number(value) {
            Some(n) if (low..=high).contains(&n) => Some(n),
            _ => {
                self.bad(name, value, line, format!("a whole number from {low} to {high}"));
                None
            }
        }
    }

    pub(super) fn path(&mut self, name: &str, value: &str, line: u32) -> Option<Setting<PathBuf>> {
        if value.starts_with('/') {
            Some(Setting::at(PathBuf::from(value), line))
        } else {
            self.bad(name, value, line, "a path from the root (/...)");
            None
        }
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
