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
    // An existing link could lead anywhere; a log is a file.
    if std::fs::symlink_metadata(file).is_ok_and(|data| data.file_type().is_symlink()) {
        return Ok(());
    }
    OpenOptions::new().create(true).append(true).mode(0o640).open(file)?;
    match user {
        Some(user) if nix::unistd::Uid::effective().is_root() => chown(file, Some(user.uid), Some(user.gid)),
        _ => Ok(()),
    }
}

/// Logging as the files ask for it: `logd.cf` where `use_logd` is on, else `ha.cf`, else syslog and
/// `/var/log/ha-log`.
pub(super) fn targets(config: &Config, paths: &Paths) -> Targets {
    let mut targets = Targets { debug: config.debug.value > 0, ..Targets::default() };
    let logd = config.use_logd.as_ref().is_some_and(|setting| setting.value);
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
