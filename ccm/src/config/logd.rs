//! `/etc/logd.cf`: the logging daemon's own file (heartbeat.md §22).

use std::path::PathBuf;

use super::parse::FACILITIES;
use super::problem::{ConfigProblem, Problems, nearest};
use super::value::{BOOL_SYNTAX, Setting, parse_bool, parse_number};

const WORDS: &[&str] =
    &["debugfile", "logfile", "logfacility", "entity", "useapphbd", "sendqlen", "recvqlen", "syslogmsgfmt"];

/// A whole `logd.cf`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogdConfig {
    pub file: String,
    pub debugfile: Option<Setting<PathBuf>>,
    pub logfile: Option<Setting<PathBuf>>,
    /// The inner `None` is the word `none`.
    pub logfacility: Option<Setting<Option<String>>>,
    /// Name in log lines; default `logd`.
    pub entity: Setting<String>,
    /// Messages queued towards the writer; default 256.
    pub sendqlen: Setting<u32>,
    /// Messages queued from clients; default 256.
    pub recvqlen: Setting<u32>,
    pub syslogmsgfmt: Setting<bool>,
    pub warnings: Vec<ConfigProblem>,
}

impl LogdConfig {
    /// Reads the text of a `logd.cf`.
    ///
    /// # Errors
    /// Every problem of the file when at least one is an error.
    pub fn parse(text: &str, file: &str) -> Result<LogdConfig, Vec<ConfigProblem>> {
        let mut problems = Problems::new(file);
        let mut config = LogdConfig {
            file: file.to_string(),
            debugfile: None,
            logfile: None,
            logfacility: None,
            entity: Setting::default_of("logd".to_string()),
            sendqlen: Setting::default_of(256),
            recvqlen: Setting::default_of(256),
            syslogmsgfmt: Setting::default_of(true),
            warnings: Vec::new(),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        for (index, raw) in text.split('\n').enumerate() {
            let line = u32::try_from(index + 1).unwrap_or(u32::MAX);
            let body = raw.split('#').next().unwrap_or("").trim();
            let mut words = body.split_ascii_whitespace();
            let Some(name) = words.next() else { continue };
            if !WORDS.contains(&name) {
                let near = nearest(name, WORDS.iter().copied());
                let expected = near.map_or_else(|| WORDS.join(", "), |n| format!("\"{n}\"?"));
                problems.error("unknown-directive", line, "Illegal directive", name, expected);
                continue;
            }
            let Some(value) = words.next() else {
                problems.error(
                    "no-value",
                    line,
                    format!("\"{name}\" without a value"),
                    "",
                    format!("{name} VALUE"),
                );
                continue;
            };
            if words.next().is_some() {
                problems.warn(
                    "rest-ignored",
                    line,
                    format!("\"{name}\" takes one value; the rest is ignored"),
                );
            }
            config.set(name, value, line, &mut problems);
        }
        if problems.any_error() {
            return Err(problems.list);
        }
        config.warnings = problems.list;
        Ok(config)
    }

    fn set(&mut self, name: &str, value: &str, line: u32, problems: &mut Problems) {
        let mut bad = |expected: String| {
            problems.error("bad-value", line, format!("bad value of \"{name}\""), value, expected);
        };
        match name {
            "debugfile" | "logfile" => {
                if !value.starts_with('/') {
                    return bad("a path from the root (/...)".to_string());
                }
                let path = Some(Setting::at(PathBuf::from(value), line));
                if name == "logfile" { self.logfile = path } else { self.debugfile = path }
            }
            "logfacility" => match value {
                "none" => self.logfacility = Some(Setting::at(None, line)),
                f if FACILITIES.contains(&f) => {
                    self.logfacility = Some(Setting::at(Some(f.to_string()), line));
                }
                _ => bad(format!("none, {}", FACILITIES.join(", "))),
            },
            "entity" => self.entity = Setting::at(value.to_string(), line),
            "sendqlen" | "recvqlen" => match parse_number(value).filter(|n| (1..=1_000_000).contains(n)) {
                Some(n) if name == "sendqlen" => self.sendqlen = Setting::at(n, line),
                Some(n) => self.recvqlen = Setting::at(n, line),
                None => bad("a whole number from 1 to 1000000".to_string()),
            },
            "syslogmsgfmt" => match parse_bool(value) {
                Some(on) => self.syslogmsgfmt = Setting::at(on, line),
                None => bad(BOOL_SYNTAX.to_string()),
            },
            // useapphbd
            _ => match parse_bool(value) {
                Some(_) => problems.note(
                    "no-effect",
                    line,
                    format!("\"{name}\" has no effect here: application heartbeats are built in"),
                ),
                None => bad(BOOL_SYNTAX.to_string()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn good_and_bad() {
        let text = "# logd\ndebugfile /var/log/ha-debug\nlogfacility\tdaemon\nentity logd\nuseapphbd no\nsendqlen 256\n";
        let config = LogdConfig::parse(text, "logd.cf").unwrap();
        assert_eq!(config.logfacility.unwrap().value.as_deref(), Some("daemon"));
        assert_eq!(config.warnings.len(), 1);
        let problems = LogdConfig::parse("logfil /x\nsendqlen 0\nlogfile x\n", "logd.cf").unwrap_err();
        let lines: Vec<_> = problems.iter().map(|p| p.line.unwrap()).collect();
        assert_eq!(lines, [1, 2, 3]);
        assert!(problems[0].to_string().contains("\"logfile\"?"), "{}", problems[0]);
    }
}
