//! `everbeat config show|check`: what the configuration files of this node say, and whether it can
//! start with them.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ccm::config::{
    Config, ConfigProblem, DIRECTIVES, Effect, LogdConfig, Paths, Severity, ShownLine, System, exit_status,
    local_node_name, nearest, read_authkeys, read_config, read_text,
};
use cib::convert::Haresources;
use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::exit;

/// Show and check the configuration files of this node.
#[derive(Parser)]
#[command(name = "everbeat config")]
struct Arguments {
    /// Directory that stands for the root of the file system.
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The ha.cf to read instead of /etc/ha.d/ha.cf.
    #[arg(short, long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Print every value in force, as an ha.cf.
    Show {
        /// Say beside each value which line set it.
        #[arg(long)]
        origin: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say everything that is wrong with ha.cf, authkeys, haresources and logd.cf.
    Check {
        /// Do not ask the machine (users, interfaces, devices, node name).
        #[arg(long)]
        offline: bool,
    },
    /// Explain the directives of ha.cf: syntax, default, meaning.
    Directives {
        /// Only this one.
        name: Option<String>,
    },
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let paths = paths(arguments.root);
    let ha_cf = arguments.config.unwrap_or_else(|| paths.ha_cf());
    match arguments.command {
        Action::Show { origin, json } => show(&ha_cf, origin, json),
        Action::Check { offline } => check(&paths, &ha_cf, offline),
        Action::Directives { name } => directives(name.as_deref()),
    }
}

/// The manual of ha.cf, from the table that the parser reads.
fn directives(name: Option<&str>) -> u8 {
    let mut out = String::new();
    for entry in DIRECTIVES.iter().filter(|d| name.is_none_or(|n| n == d.name)) {
        out.push_str(&format!("{} {}\n    {}", entry.name, entry.syntax, entry.about));
        if entry.default != "none" {
            out.push_str(&format!("; default {}", entry.default));
        }
        out.push_str(match entry.effect {
            Effect::Works => "\n",
            Effect::Nothing(_) => " (accepted, without effect)\n",
            Effect::Ours => " (Everbeat's own: a Heartbeat refuses it)\n",
        });
    }
    if out.is_empty() {
        let word = name.unwrap_or_default();
        let near = nearest(word, DIRECTIVES.iter().map(|d| d.name));
        let hint = near.map(|n| format!(" (did you mean {n}?)")).unwrap_or_default();
        eprintln!("everbeat config: \"{word}\" is no directive of ha.cf{hint}");
        return exit::NOSUCH;
    }
    print(&out);
    exit::OK
}

/// The paths below `--root`, else below `EVERBEAT_ROOT`, else of the machine.
pub(super) fn paths(root: Option<PathBuf>) -> Paths {
    Paths::new(root.or_else(|| Some(crate::api::root_from_environment())))
}

/// Prints lines to standard output; a reader that went away is no failure.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints problems to standard error, one a line.
pub(super) fn complain(problems: &[ConfigProblem]) {
    for problem in problems {
        eprintln!("{problem}");
    }
}

#[derive(Serialize)]
struct Row<'a> {
    name: &'a str,
    value: &'a str,
    /// `null`: the built-in default.
    line: Option<u32>,
}

fn show(ha_cf: &Path, origin: bool, json: bool) -> u8 {
    let config = match read_config(ha_cf) {
        Ok(config) => config,
        Err(problems) => {
            complain(&problems);
            return exit_status(&problems);
        }
    };
    let lines = config.show();
    if json {
        let rows: Vec<Row> =
            lines.iter().map(|l| Row { name: l.name, value: &l.value, line: l.line }).collect();
        match serde_json::to_string_pretty(&rows) {
            Ok(text) => print(&(text + "\n")),
            Err(error) => {
                eprintln!("everbeat config: {error}");
                return exit::ERROR;
            }
        }
    } else {
        print(&show_text(&lines, &config.file, origin));
    }
    exit::OK
}

fn show_text(lines: &[ShownLine], file: &str, origin: bool) -> String {
    let mut out = String::new();
    for line in lines {
        let text = line.to_string();
        match (origin, line.line) {
            (false, _) => out.push_str(&text),
            (true, Some(number)) => out.push_str(&format!("{text:40} # {file}:{number}")),
            (true, None) => out.push_str(&format!("{text:40} # default")),
        }
        out.push('\n');
    }
    out
}

fn check(paths: &Paths, ha_cf: &Path, offline: bool) -> u8 {
    let (_, problems) = check_all(paths, ha_cf, offline);
    complain(&problems);
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    if errors == 0 {
        let warnings = problems.iter().filter(|p| p.severity == Severity::Warning).count();
        print(&format!("{}: good, {warnings} warnings\n", ha_cf.display()));
        return exit::OK;
    }
    eprintln!("Heartbeat not started: configuration error.");
    exit_status(&problems)
}

/// Every check a start makes, over all configuration files: what could be read, and all problems.
pub(super) fn check_all(paths: &Paths, ha_cf: &Path, offline: bool) -> (Option<Config>, Vec<ConfigProblem>) {
    let mut problems = Vec::new();
    let config = match read_config(ha_cf) {
        Ok(mut config) => {
            problems.append(&mut config.warnings);
            Some(config)
        }
        Err(mut found) => {
            problems.append(&mut found);
            None
        }
    };
    if let Some(config) = &config {
        if !offline {
            problems.extend(config.check_local_node(&local_node_name(Some(config), paths)));
            problems.extend(config.check_machine(&System::new(paths.clone())));
        }
        if !config.crm.is_on() {
            problems.extend(check_haresources(config, &paths.haresources()));
        }
    }
    match read_authkeys(&paths.authkeys()) {
        Ok(mut keys) => problems.append(&mut keys.warnings),
        Err(mut found) => problems.append(&mut found),
    }
    if paths.logd_cf().exists() {
        let parsed = read_text(&paths.logd_cf())
            .and_then(|text| LogdConfig::parse(&text, &paths.logd_cf().display().to_string()));
        match parsed {
            Ok(mut logd) => problems.append(&mut logd.warnings),
            Err(mut found) => problems.append(&mut found),
        }
    }
    (config, problems)
}

/// Without crm the resources come from `haresources`: it must be there, readable, and name members.
pub(super) fn check_haresources(config: &Config, path: &Path) -> Vec<ConfigProblem> {
    let file = path.display().to_string();
    let text = match read_text(path) {
        Ok(text) => text,
        Err(problems) => return problems,
    };
    let parsed = Haresources::parse(&text, &file);
    let nodes: Vec<String> = config.nodes.iter().map(|n| n.value.clone()).collect();
    let mut problems: Vec<ConfigProblem> = parsed
        .problems
        .iter()
        .map(|p| ConfigProblem {
            severity: match p.severity {
                cib::convert::Severity::Note => Severity::Note,
                cib::convert::Severity::Warning => Severity::Warning,
                cib::convert::Severity::Error => Severity::Error,
            },
            code: p.code,
            file: p.file.clone(),
            line: p.line,
            what: p.text.clone(),
            found: String::new(),
            expected: String::new(),
        })
        .collect();
    problems.extend(parsed.unknown_nodes(&nodes).map(|(line, node)| ConfigProblem {
        severity: Severity::Error,
        code: "bad-nodename",
        file: file.clone(),
        line: Some(line),
        what: format!("Bad nodename in {file} [{node}]"),
        found: String::new(),
        expected: format!("a node of {}: {}", config.file, nodes.join(" ")),
    }));
    problems
}
