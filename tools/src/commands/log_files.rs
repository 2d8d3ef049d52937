//! Which files the log goes to, and making them for a core that may not make them itself.
//!
//! The core runs as hacluster, which may not write to `/var/log`. `everbeat prepare-log`, run once by
//! `everbeat start` before the core, makes the files with the right owner and ends.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};

use ccm::config::{Config, LogdConfig, Paths, read_config, read_text};
use clap::Parser;
use lrm::executor::User;

use crate::exit;
use crate::logging::Targets;

/// Make the log files that ha.cf and logd.cf name, for the user that writes them.
#[derive(Parser)]
#[command(name = "everbeat prepare-log")]
struct Arguments {
    /// Where the node's files are.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let paths = Paths::new(arguments.root);
    // A wrong file is explained by the core.
    let Ok(config) = read_config(&paths.ha_cf()) else { return exit::OK };
    let targets = targets(&config, &paths);
    let user = User::hacluster().ok();
    for file in targets.logfile.iter().chain(&targets.debugfile) {
        if let Err(error) = make(file, user.as_ref()) {
            eprintln!("everbeat: no log at {}: {error}", file.display());
        }
    }
    exit::OK
}

fn make(file: &Path, user: Option<&User>) -> std::io::Result<()> {
    if let Some(dir) = file.parent() {
        std::fs::create_dir_all(dir)?;
    }
    // An existing link could lead anywhere, and a pipe might hold us up; only a file is ours to make.
    if std::fs::symlink_metadata(file).is_ok_and(|data| !data.is_file()) {
        return Ok(());
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(file)?;
    match user {
        Some(user) if nix::unistd::Uid::effective().is_root() => chown(file, Some(user.uid), Some(user.gid)),
        _ => Ok(()),
    }
}

/// Where the node writes; what its files do not say, or say wrongly, is as if unsaid.
pub(super) fn of_this_node(paths: &Paths) -> Targets {
    match read_config(&paths.ha_cf()).or_else(|_| Config::parse("", "ha.cf")) {
        Ok(config) => targets(&config, paths),
        Err(_) => Targets { logfile: Some(paths.join("/var/log/ha-log")), ..Targets::default() },
    }
}

/// Logging as the files ask for it: `logd.cf` where `use_logd` is on, or unset while `ha.cf` names no
/// log either (§5.6); else `ha.cf`; else syslog and `/var/log/ha-log`.
pub(super) fn targets(config: &Config, paths: &Paths) -> Targets {
    let mut targets = Targets { debug: config.debug.value > 0, ..Targets::default() };
    let said = config.logfile.is_some() || config.debugfile.is_some() || config.logfacility.is_some();
    let logd = config.use_logd.as_ref().map_or(!said, |setting| setting.value);
    let file = paths.logd_cf();
    let read = || LogdConfig::parse(&read_text(&file).ok()?, &file.display().to_string()).ok();
    let logd = logd.then(read).flatten();
    let (logfile, debugfile, facility) = match &logd {
        Some(logd) => (&logd.logfile, &logd.debugfile, &logd.logfacility),
        None => (&config.logfile, &config.debugfile, &config.logfacility),
    };
    targets.logfile = logfile.as_ref().map(|setting| paths.join(&setting.value));
    targets.debugfile = debugfile.as_ref().map(|setting| paths.join(&setting.value));
    targets.facility = match facility {
        Some(setting) => setting.value.clone(),
        None if targets.logfile.is_none() => Some("daemon".into()),
        None => None,
    };
    if targets.logfile.is_none() && targets.debugfile.is_none() {
        targets.logfile = Some(paths.join("/var/log/ha-log"));
    }
    targets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// What `ha.cf` and `logd.cf` lead to: logfile, debugfile, facility.
    #[track_caller]
    fn check(ha_cf: &str, logd_cf: &str, wanted: [Option<&str>; 3]) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc")).unwrap();
        std::fs::write(dir.path().join("etc/logd.cf"), logd_cf).unwrap();
        let paths = Paths::new(Some(dir.path().into()));
        let config = Config::parse(&format!("bcast eth0\nnode a\n{ha_cf}"), "ha.cf").unwrap();
        let targets = targets(&config, &paths);
        let below = |path: Option<PathBuf>| {
            path.map(|p| format!("/{}", p.strip_prefix(dir.path()).unwrap().display()))
        };
        let found = [below(targets.logfile), below(targets.debugfile), targets.facility];
        assert_eq!(found, wanted.map(|w| w.map(str::to_owned)));
    }

    #[test]
    fn each_directive_leads_where_it_says() {
        let logd = "logfile /l\ndebugfile /d\nlogfacility local5\n";
        check("logfile /a\n", logd, [Some("/a"), None, None]);
        check("debugfile /b\n", logd, [None, Some("/b"), Some("daemon")]);
        check("logfacility local3\n", logd, [Some("/var/log/ha-log"), None, Some("local3")]);
        check("logfile /a\nlogfacility none\n", logd, [Some("/a"), None, None]);
        check("use_logd yes\nlogfile /a\n", logd, [Some("/l"), Some("/d"), Some("local5")]);
        check("use_logd no\nlogfile /a\ndebugfile /b\n", logd, [Some("/a"), Some("/b"), None]);
        check("", logd, [Some("/l"), Some("/d"), Some("local5")]);
        check("", "", [Some("/var/log/ha-log"), None, Some("daemon")]);
    }
}
