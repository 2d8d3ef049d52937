//! Configuration files, directories, owners, disk.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use ccm::config::{
    ConfigProblem, LogdConfig, Machine, Severity, System, exit_status, read_authkeys, read_text,
};
use nix::unistd::{Group, Uid, User};

use super::Report;
use super::patient::{Patient, group_name, is_alive, user_name};

/// Free space below which a log or the CIB may soon not be written, in bytes.
const DISK_LOW: u64 = 100 << 20;
const DISK_FULL: u64 = 10 << 20;
/// Files looked at below a state directory; there are never so many.
const WALK_MAX: usize = 10_000;

/// Reports problems of a file, notes left out.
fn problems(list: &[ConfigProblem], report: &mut Report) {
    for problem in list {
        let place = match problem.line {
            Some(line) => format!("{}:{line}", problem.file),
            None => problem.file.clone(),
        };
        let mut text = format!("{place}: {}", problem.what);
        if !problem.found.is_empty() {
            text.push_str(&format!(": found \"{}\"", problem.found));
        }
        let remedy = if problem.expected.is_empty() {
            String::new()
        } else {
            format!("expected {}", problem.expected)
        };
        match problem.severity {
            Severity::Error => report.error(text, remedy),
            Severity::Warning => report.warn(text, remedy),
            Severity::Note => {}
        }
    }
}

pub(super) fn ha_cf(patient: &Patient, report: &mut Report) {
    problems(&patient.config_problems, report);
    let Some(config) = &patient.config else { return };
    let system = System::new(patient.paths.clone());
    let machine = config.check_machine(&system);
    // Interfaces and devices belong to the check of the media.
    let rest: Vec<ConfigProblem> =
        machine.into_iter().filter(|p| !matches!(p.code, "no-interface" | "no-device")).collect();
    problems(&rest, report);
    if let Some(watchdog) = config.watchdog.as_ref().filter(|w| !system.is_character_device(w)) {
        report.error(
            format!("watchdog device {} is not there", watchdog.display()),
            "modprobe softdog, or the driver of the hardware",
        );
    }
    if report.is_silent() {
        report.good(format!("{}: every line is understood", config.file));
    }
}

pub(super) fn authkeys(patient: &Patient, report: &mut Report) {
    match read_authkeys(&patient.paths.authkeys()) {
        Ok(keys) => {
            problems(&keys.warnings, report);
            if let Some(key) = keys.active_key() {
                report.good(format!(
                    "key {} ({}) signs; fingerprint {}, the same on every node",
                    keys.active,
                    key.method,
                    key.fingerprint()
                ));
            }
        }
        Err(list) => {
            let only_permission = exit_status(&list) == ccm::config::EXIT_PERMISSION;
            problems(&list, report);
            if !only_permission && list.iter().any(|p| p.code == "no-file") {
                report.error("no key to sign packets with", "everbeat keygen --write, then ha_propagate");
            }
        }
    }
}

pub(super) fn haresources(patient: &Patient, report: &mut Report) {
    let file = patient.paths.haresources();
    let crm = patient.config.as_ref().is_some_and(|c| c.crm.is_on());
    match (file.exists(), crm) {
        (true, true) => report.warn(
            format!("File {} exists. This file is not used because crm is enabled", file.display()),
            "convert it once with haresources2cib, then move it away",
        ),
        (false, true) => report.good("not there, and not needed: crm is on"),
        (false, false) => report.error(
            format!("{} is not there, and crm is off", file.display()),
            "write it, or say \"crm yes\" in ha.cf",
        ),
        (true, false) => {
            if let Some(config) = &patient.config {
                problems(&super::super::config::check_haresources(config, &file), report);
            }
            // Agents, nodes and fencing are looked at by checks of their own.
            let elsewhere = ["unknown-agent", "unknown-node", "no-fencing", "no-failback", "connectivity"];
            for problem in crate::commands::haresources2cib::complaints(&patient.paths) {
                let place = problem.line.map_or_else(String::new, |line| format!(":{line}"));
                let text = format!("{}{place}: {}", problem.file, problem.text);
                let said = report.says(&problem.text);
                match problem.severity {
                    cib::convert::Severity::Error if !said && !elsewhere.contains(&problem.code) => {
                        report.error(text, "correct the line; haresources2cib --stdout tries it");
                    }
                    cib::convert::Severity::Warning if !said && !elsewhere.contains(&problem.code) => {
                        report.warn(text, "haresources2cib --stdout shows what becomes of it");
                    }
                    _ => {}
                }
            }
            if report.is_silent() {
                report.good(format!("{}: every line is understood", file.display()));
            }
        }
    }
}

pub(super) fn logd_cf(patient: &Patient, report: &mut Report) {
    let file = patient.paths.logd_cf();
    if !file.exists() {
        return report.good("not there; logging is as ha.cf says");
    }
    match read_text(&file).and_then(|text| LogdConfig::parse(&text, &file.display().to_string())) {
        Ok(logd) => {
            problems(&logd.warnings, report);
            if report.is_silent() {
                report.good(format!("{}: every line is understood", file.display()));
            }
        }
        Err(list) => problems(&list, report),
    }
}

pub(super) fn accounts(_: &Patient, report: &mut Report) {
    if !matches!(User::from_name("hacluster"), Ok(Some(_))) {
        report.warn(
            "there is no user hacluster: started by root, everything would run as root",
            "useradd --system --gid haclient --home-dir /var/lib/heartbeat/cores/hacluster hacluster",
        );
    }
    if !matches!(Group::from_name("haclient"), Ok(Some(_))) {
        report.warn(
            "there is no group haclient: only root and hacluster may administer the cluster",
            "groupadd --system haclient",
        );
    }
    if report.is_silent() {
        report.good("user hacluster and group haclient exist");
    }
}

/// Directories the daemon makes at every start, and whether the core writes in them.
const DIRECTORIES: &[(&str, bool)] = &[
    ("/var/lib/heartbeat", false),
    ("/var/lib/heartbeat/crm", true),
    ("/var/run/heartbeat", false),
    ("/var/run/heartbeat/crm", true),
    ("/var/run/heartbeat/ccm", true),
];

pub(super) fn directories(patient: &Patient, report: &mut Report) {
    for (name, ours) in DIRECTORIES {
        let path = patient.path(name);
        let shown = path.display();
        let Ok(meta) = fs::metadata(&path) else {
            // Run-time directories vanish at every boot; that they come back is the daemon's duty.
            continue;
        };
        if !meta.is_dir() {
            report.error(
                format!("{shown} is no directory"),
                format!("rm {shown}; it is made at the next start"),
            );
            continue;
        }
        let (uid, gid) = (Uid::from_raw(meta.uid()), nix::unistd::Gid::from_raw(meta.gid()));
        if *ours && uid != patient.uid {
            report.error(
                format!("{shown} belongs to {}:{}, not {}", user_name(uid), group_name(gid), patient.owner()),
                format!("chown -R {} {shown}", patient.owner()),
            );
        }
        if meta.mode() & 0o002 != 0 && meta.mode() & 0o1000 == 0 {
            report.error(
                format!("{shown} may be written by everybody (mode {:04o})", meta.mode() & 0o7777),
                format!("chmod o-w {shown}"),
            );
        }
    }
    if report.is_silent() {
        report.good("run-time directories are in order, or are made at the next start");
    }
}

pub(super) fn owners(patient: &Patient, report: &mut Report) {
    for name in ["/etc/ha.d", "/var/lib/heartbeat", "/var/run/heartbeat"] {
        let mut dead: Vec<(PathBuf, u32)> = Vec::new();
        let mut budget = WALK_MAX;
        walk(&patient.path(name), &mut budget, &mut |path, meta| {
            if !is_alive(Uid::from_raw(meta.uid())) {
                dead.push((path.to_path_buf(), meta.uid()));
            }
        });
        if let Some((path, uid)) = dead.first() {
            let more = if dead.len() > 1 { format!(" and {} more", dead.len() - 1) } else { String::new() };
            let owner = if name == "/etc/ha.d" { "root:root".to_string() } else { patient.owner() };
            report.error(
                format!(
                    "{}{more} belong to uid {uid}, which nobody has (hacluster's former one?)",
                    path.display()
                ),
                format!("chown -R --from={uid} {owner} {}", patient.path(name).display()),
            );
        }
    }
    if report.is_silent() {
        report.good("every file belongs to somebody");
    }
}

/// Visits `path` and what is below it, without following links.
fn walk(path: &Path, budget: &mut usize, visit: &mut dyn FnMut(&Path, &fs::Metadata)) {
    let Ok(meta) = fs::symlink_metadata(path) else { return };
    let Some(left) = budget.checked_sub(1) else { return };
    *budget = left;
    visit(path, &meta);
    if meta.is_dir()
        && let Ok(entries) = fs::read_dir(path)
    {
        let mut paths: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
        paths.sort();
        for path in paths {
            walk(&path, budget, visit);
        }
    }
}

pub(super) fn hb_uuid(patient: &Patient, report: &mut Report) {
    let path = patient.path("/var/lib/heartbeat/hb_uuid");
    let shown = path.display();
    let remedy = format!(
        "rm {shown}: the node makes a new one and is a new member; the old one is removed with hb_delnode"
    );
    match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let state = patient.path("/var/lib/heartbeat/hb_generation").exists() || patient.cib.is_some();
            if state {
                report.error(
                    format!("{shown} is lost, though this node has run before"),
                    "restore it from a backup; without it the node comes back as a new member",
                );
            } else {
                report.good("not there yet; it is made at the first start");
            }
        }
        Err(error) => report.error(format!("{shown}: {error}"), "run the doctor as root"),
        Ok(bytes) if bytes.len() != 16 => {
            report.error(format!("{shown} is malformed: {} bytes, not 16", bytes.len()), remedy);
        }
        Ok(bytes) if bytes.iter().all(|b| *b == 0) => report.error(format!("{shown} is all zero"), remedy),
        Ok(bytes) => {
            let mut id = String::new();
            for (i, byte) in bytes.iter().enumerate() {
                let dash = if matches!(i, 4 | 6 | 8 | 10) { "-" } else { "" };
                id.push_str(&format!("{dash}{byte:02x}"));
            }
            report.good(format!("{id}; no other node may have it (a cloned disk brings it along)"));
        }
    }
}

pub(super) fn disk(patient: &Patient, report: &mut Report) {
    for name in ["/var/lib/heartbeat", "/var/log"] {
        let mut path = patient.path(name);
        while !path.exists() && path.pop() {}
        let Ok(stat) = nix::sys::statvfs::statvfs(&path) else { continue };
        let free = stat.blocks_available().saturating_mul(stat.fragment_size());
        let text = format!("{}: {} MB free", path.display(), free >> 20);
        match free {
            f if f < DISK_FULL => report.error(text, "make room: configuration changes need the disk"),
            f if f < DISK_LOW => report.warn(text, "make room"),
            _ => report.good(text),
        }
        if stat.files_available() == 0 && stat.files() > 0 {
            report.error(format!("{}: no inode free", path.display()), "remove files");
        }
    }
}
