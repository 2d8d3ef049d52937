//! Scripts and agents that haresources or the CIB name, and fencing.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cib::convert::{Entry, Found, Haresources, known_agent};

use super::Report;
use super::patient::Patient;
use crate::commands::haresources2cib::find_script;

const OCF: &str = "/usr/lib/ocf/resource.d";
const UNIT_DIRECTORIES: &[&str] =
    &["/etc/systemd/system", "/run/systemd/system", "/lib/systemd/system", "/usr/lib/systemd/system"];

pub(super) fn agents(patient: &Patient, report: &mut Report) {
    let mut count = 0;
    if patient.config.as_ref().is_some_and(|c| !c.crm.is_on()) {
        count += scripts(patient, report);
    }
    if let Some(problem) = &patient.cib_problem {
        report.error(
            problem.clone(),
            "crm_verify names every fault; older versions lie beside it as cib-N.raw",
        );
    }
    let mut seen = BTreeSet::new();
    for primitive in patient.cib.iter().flat_map(|c| c.descendants()).filter(|e| e.name() == "primitive") {
        let (Some(class), Some(kind)) = (primitive.attr("class"), primitive.attr("type")) else { continue };
        let provider = primitive.attr("provider").unwrap_or("heartbeat");
        count += 1;
        if !seen.insert((class.to_string(), provider.to_string(), kind.to_string())) {
            continue;
        }
        let places = agent_places(patient, class, provider, kind);
        let id = primitive.id().unwrap_or("?");
        if !places.is_empty() && !places.iter().any(|p| is_agent(p, class)) {
            let name =
                if class == "ocf" { format!("ocf:{provider}:{kind}") } else { format!("{class}:{kind}") };
            let first = places.first().map(|p| p.display().to_string()).unwrap_or_default();
            report.error(
                format!("resource {id}: agent {name} is not installed ({first})"),
                "install its package on every node that may run the resource",
            );
        }
    }
    if report.is_silent() {
        report.good(format!("{count} resources, every agent is there"));
    }
}

/// The scripts haresources names; the number of resources.
fn scripts(patient: &Patient, report: &mut Report) -> usize {
    let file = patient.paths.haresources();
    let Ok(text) = fs::read_to_string(&file) else { return 0 };
    let parsed = Haresources::parse(&text, &file.display().to_string());
    let mut count = 0;
    for entry in &parsed.entries {
        let (Entry::Resources { words, .. } | Entry::Clone { words, .. }) = entry else { continue };
        for word in words {
            count += 1;
            let kind = word.text.split("::").next().unwrap_or_default();
            let address = kind.split('/').next().is_some_and(|a| a.parse::<std::net::IpAddr>().is_ok());
            // Addresses are converted to IPaddr2.
            let kind = if address || kind == "IPaddr" { "IPaddr2" } else { kind };
            let place = format!("{}:{}", file.display(), word.line);
            if known_agent(kind).is_some() {
                let ocf = Path::new(OCF).join("heartbeat").join(kind);
                if !patient.places(&ocf).iter().any(|p| is_agent(p, "ocf")) {
                    let text =
                        format!("{place}: agent ocf:heartbeat:{kind} is not installed ({})", ocf.display());
                    report.error(text, "install the package resource-agents");
                }
            } else if let Found::Nowhere(places) = find_script(&patient.paths, kind) {
                let text = format!("{place}: Cannot locate resource script {kind} ({})", places.join(", "));
                report.error(text, "install it, with the execute permission");
            }
        }
    }
    count
}

/// Where an agent may be; empty for classes nobody can look up in files.
fn agent_places(patient: &Patient, class: &str, provider: &str, kind: &str) -> Vec<PathBuf> {
    let good = |s: &str| {
        !s.starts_with('.')
            && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@'))
    };
    if !good(provider) || !kind.split('/').all(good) {
        return vec![PathBuf::from(format!("{provider}:{kind} is no agent name"))];
    }
    let init = || patient.places(&Path::new("/etc/init.d").join(kind));
    let unit = || -> Vec<PathBuf> {
        // An instance (name@x) has the unit of its template.
        let base = kind.trim_end_matches(".service");
        let template = base.split_once('@').map(|(name, _)| format!("{name}@.service"));
        let names = std::iter::once(format!("{base}.service")).chain(template);
        names.flat_map(|n| UNIT_DIRECTORIES.iter().map(move |d| Path::new(d).join(&n))).collect()
    };
    match class {
        "ocf" => patient.places(&Path::new(OCF).join(provider).join(kind)),
        "lsb" => init(),
        "heartbeat" => patient.places(&Path::new("/etc/ha.d/resource.d").join(kind)),
        "systemd" => unit(),
        "service" => init().into_iter().chain(unit()).collect(),
        "stonith" => vec![
            Path::new("/usr/sbin").join(kind),
            Path::new("/usr/lib/stonith/plugins").join(kind),
            Path::new("/usr/lib/stonith/plugins/stonith2").join(format!("{kind}.so")),
        ],
        _ => Vec::new(),
    }
}

fn is_agent(path: &Path, class: &str) -> bool {
    let unit = path.extension().is_some_and(|e| e == "service" || e == "so");
    fs::metadata(path)
        .is_ok_and(|m| m.is_file() && (unit || class == "systemd" || m.permissions().mode() & 0o111 != 0))
}

pub(super) fn fencing(patient: &Patient, report: &mut Report) {
    let Some(config) = &patient.config else { return };
    let devices = patient
        .cib
        .iter()
        .flat_map(|c| c.descendants())
        .filter(|e| e.name() == "primitive" && e.attr("class") == Some("stonith"))
        .count();
    let enabled = patient
        .cib
        .iter()
        .flat_map(|c| c.descendants())
        .filter(|e| {
            e.name() == "nvpair" && matches!(e.attr("name"), Some("stonith-enabled" | "stonith_enabled"))
        })
        .filter_map(|e| e.attr("value"))
        .all(|v| matches!(v, "true" | "1" | "yes" | "on"));
    let fencing = !config.stonith.is_empty() || (devices > 0 && enabled);
    if devices > 0 && !enabled {
        report.warn(
            format!("{devices} fencing devices, but stonith-enabled is false"),
            "crm_attribute --name stonith-enabled --update true",
        );
    }
    match (config.nodes.len(), fencing, config.ping.is_empty()) {
        (2, false, true) => report.warn(
            "two nodes without fencing or ping node: if they lose sight of each other, both may run the resources",
            "configure a fencing device; a ping node at least tells a node that its own network is gone",
        ),
        (n, false, _) if n >= 2 => {
            report.warn("no fencing device: shared data is not protected", "configure a fencing device");
        }
        _ => {}
    }
    if report.is_silent() {
        report.good(if fencing { "a fencing device is configured" } else { "one node, nothing to fence" });
    }
}
