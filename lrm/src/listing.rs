//! Which agents this machine has, and what they say about themselves: for tools, which run them as
//! whoever calls the tool.

use std::collections::BTreeSet;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use crate::class::{self, Prepared, Reading};
use crate::exec::{self, Settings};
use crate::metadata::{self, FileId};
use crate::{AgentRef, Class, Command, End, OpRequest, OpStatus, Program, Roots, rc};

/// Why an agent's description could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DescribeError {
    #[error("{agent} is not installed here: {reason}")]
    NotInstalled { agent: String, reason: String },
    #[error("{agent} did not print its meta-data: {reason}")]
    Failed { agent: String, reason: String },
}

/// The classes this machine has agents of, in the order of the reference: systemd only where it runs.
pub fn classes() -> Vec<Class> {
    let systemd = Path::new("/run/systemd/system").is_dir();
    Class::ALL.into_iter().filter(|class| *class != Class::Systemd || systemd).collect()
}

/// The providers of OCF agents, sorted (agents.md 1.1.3).
pub fn ocf_providers(roots: &Roots) -> Vec<String> {
    let mut found = BTreeSet::new();
    for dir in &roots.ocf {
        found.extend(names(dir, |meta| meta.is_dir()));
    }
    found.into_iter().collect()
}

/// The providers that have an OCF agent of this type, sorted.
pub fn ocf_alternatives(roots: &Roots, kind: &str) -> Vec<String> {
    let has = |provider: &String| {
        AgentRef::new(Class::Ocf, Some(provider), kind).is_ok_and(|agent| find(roots, &agent).is_some())
    };
    ocf_providers(roots).into_iter().filter(has).collect()
}

/// The types of a class, in the order of the reference: sorted; of class ocf without a provider those of
/// one provider after the other, with the names that several have; of class stonith the plugins of
/// Linux-HA before the `fence_*` agents.
///
/// Units of systemd are not listed here: only systemd knows them (`systemctl list-unit-files`).
pub fn agents(roots: &Roots, class: Class, provider: Option<&str>) -> Vec<String> {
    let in_all = |dirs: &[PathBuf]| dirs.iter().flat_map(|dir| names(dir, is_agent)).collect::<BTreeSet<_>>();
    match class {
        Class::Ocf => {
            let providers = provider.map_or_else(|| ocf_providers(roots), |p| vec![p.to_owned()]);
            let safe = providers.iter().filter(|p| AgentRef::new(Class::Ocf, Some(p), "x").is_ok());
            safe.flat_map(|p| in_all(&roots.ocf.iter().map(|dir| dir.join(p)).collect::<Vec<_>>())).collect()
        }
        Class::Lsb | Class::Service => in_all(&roots.lsb).into_iter().collect(),
        Class::Heartbeat => in_all(&roots.heartbeat).into_iter().collect(),
        Class::Systemd => Vec::new(),
        Class::Stonith => {
            let mut plugins: BTreeSet<String> =
                in_all(&roots.external).into_iter().map(|n| format!("external/{n}")).collect();
            plugins.extend(linux_ha_types(roots));
            let fence = in_all(&roots.fence).into_iter().filter(|n| n.starts_with("fence_"));
            plugins.into_iter().chain(fence).collect()
        }
    }
}

/// The file of an agent; `None` if it is not there, or is no file of its own (units of systemd, the
/// library plugins of Linux-HA).
pub fn find(roots: &Roots, agent: &AgentRef) -> Option<PathBuf> {
    let (dirs, file) = match agent.class() {
        Class::Ocf => (&roots.ocf, format!("{}/{}", agent.provider().unwrap_or("heartbeat"), agent.kind())),
        Class::Lsb | Class::Service => (&roots.lsb, agent.kind().to_owned()),
        Class::Heartbeat => (&roots.heartbeat, agent.kind().to_owned()),
        Class::Systemd => return None,
        Class::Stonith => match agent.kind().strip_prefix("external/") {
            Some(name) => (&roots.external, name.to_owned()),
            None => (&roots.fence, agent.kind().to_owned()),
        },
    };
    dirs.iter().map(|dir| dir.join(&file)).find(|path| std::fs::metadata(path).is_ok_and(|m| is_agent(&m)))
}

/// What tells this state of an agent's file from another, for [`metadata::Cache`].
pub fn file_id(path: &Path) -> Option<FileId> {
    let meta = std::fs::metadata(path).ok()?;
    let changed_ns = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
    Some(FileId { device: meta.dev(), inode: meta.ino(), size: meta.size(), changed_ns })
}

/// Asks an agent for its meta-data, or makes it from its script; runs it in the calling thread, for at
/// most 30 s (agents.md 1.9).
///
/// # Errors
/// [`DescribeError`] if it is not there or does not answer.
pub fn describe(roots: &Roots, agent: &AgentRef, settings: Settings) -> Result<String, DescribeError> {
    let not_installed =
        |reason: &str| DescribeError::NotInstalled { agent: agent.to_string(), reason: reason.to_owned() };
    match agent.class() {
        Class::Lsb | Class::Heartbeat | Class::Service => {
            if let Some(path) = find(roots, agent) {
                return if agent.class() == Class::Heartbeat {
                    Ok(metadata::of_heartbeat(agent.kind()))
                } else {
                    let bytes = std::fs::read(&path).map_err(|e| not_installed(&e.to_string()))?;
                    Ok(metadata::of_lsb(agent.kind(), &String::from_utf8_lossy(&bytes)))
                };
            }
            if agent.class() != Class::Service {
                return Err(not_installed("No such file or directory"));
            }
        }
        Class::Ocf | Class::Systemd | Class::Stonith => {}
    }
    let text = ask(roots, agent, settings)?;
    Ok(match agent.class() {
        Class::Systemd | Class::Service => {
            let description = text.trim().strip_prefix("Description=").unwrap_or("").to_owned();
            metadata::of_systemd(agent.kind(), &description)
        }
        // A plugin of Linux-HA prints its parameters only.
        Class::Stonith if !text.contains("<resource-agent") => format!(
            "<?xml version=\"1.0\"?>\n<resource-agent name=\"{}\" version=\"1.0\">\n  <version>1.0</version>\n{}\n  <actions>\n    <action name=\"start\" timeout=\"20\"/>\n    <action name=\"stop\" timeout=\"15\"/>\n    <action name=\"status\" timeout=\"20\"/>\n    <action name=\"monitor\" timeout=\"20\" interval=\"3600\"/>\n    <action name=\"meta-data\" timeout=\"15\"/>\n  </actions>\n  <special tag=\"heartbeat\">\n    <version>2.0</version>\n  </special>\n</resource-agent>\n",
            agent.kind(),
            text.trim()
        ),
        _ => text,
    })
}

fn ask(roots: &Roots, agent: &AgentRef, settings: Settings) -> Result<String, DescribeError> {
    let op = OpRequest {
        rsc: "DUMMY_INSTANCE".to_owned(),
        agent: agent.clone(),
        action: "meta-data".to_owned(),
        interval_ms: 0,
        timeout_ms: 30_000,
        start_delay_ms: 0,
        params: Default::default(),
        key: String::new(),
        expected_rc: 0,
    };
    let failed = |reason: String| DescribeError::Failed { agent: agent.to_string(), reason };
    let command = match class::prepare(&op, roots) {
        Prepared::Run(command) => command,
        Prepared::Answer(v) => return Err(failed(v.reason)),
    };
    let outcome = exec::run(&command, settings);
    let verdict = match class::read(&op, roots, &outcome) {
        Reading::Final(verdict) => verdict,
        Reading::Again(_) => return Err(failed("it is on its way to another state".to_owned())),
    };
    match (verdict.rc, verdict.status) {
        (rc::OK, OpStatus::Done) => Ok(String::from_utf8_lossy(&outcome.stdout).into_owned()),
        (rc::NOT_INSTALLED, OpStatus::NotInstalled) => {
            Err(DescribeError::NotInstalled { agent: agent.to_string(), reason: verdict.reason })
        }
        (rc, status) => {
            let text = if verdict.reason.is_empty() { outcome.output() } else { verdict.reason };
            Err(failed(format!("{} ({status}) {}", rc::text(rc), text.trim())))
        }
    }
}

/// The device types of cluster-glue, as its own program lists them; none if it is not there.
fn linux_ha_types(roots: &Roots) -> Vec<String> {
    let programs = roots.stonith.iter().map(|path| Program {
        path: path.clone(),
        argv0: None,
        args: vec!["-L".to_owned()],
    });
    let command = Command {
        programs: programs.collect(),
        env: class::base_env(roots),
        stdin: Vec::new(),
        timeout: Some(Duration::from_secs(10)),
        output_limit: Command::OUTPUT,
        secrets: None,
    };
    let outcome = exec::run(&command, Settings::default());
    if outcome.end != End::Code(0) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&outcome.stdout).into_owned();
    text.lines()
        .map(str::trim)
        .filter(|name| AgentRef::new(Class::Stonith, None, name).is_ok())
        .map(str::to_owned)
        .collect()
}

fn is_agent(meta: &std::fs::Metadata) -> bool {
    meta.is_file() && meta.permissions().mode() & 0o111 != 0
}

/// Names in a directory, links followed, that are safe and of the right kind.
fn names(dir: &Path, right: impl Fn(&std::fs::Metadata) -> bool) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| AgentRef::new(Class::Lsb, None, name).is_ok())
        .filter(|name| std::fs::metadata(dir.join(name)).is_ok_and(|meta| right(&meta)))
        .collect()
}
