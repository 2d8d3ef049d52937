//! The Debian packages that the tests run beside ours: peers, agents, network tools.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Package, and a file that shows it is there.
const WANTED: &[(&str, &str)] = &[
    ("iproute2", "/sbin/ip"),
    ("iputils-ping", "/bin/ping"),
    ("iputils-arping", "/usr/bin/arping"),
    ("nftables", "/usr/sbin/nft"),
    ("procps", "/usr/bin/pgrep"),
    ("psmisc", "/usr/bin/fuser"),
    ("util-linux", "/usr/bin/setpriv"),
    ("python3", "/usr/bin/python3"),
    ("resource-agents", "/usr/lib/ocf/resource.d/heartbeat/IPaddr2"),
    ("fence-agents", "/usr/sbin/fence_dummy"),
    ("pacemaker-cli-utils", "/usr/sbin/crm_simulate"),
    ("strace", "/usr/bin/strace"),
    ("libxml2-utils", "/usr/bin/xmllint"),
    ("heartbeat", "/usr/lib/heartbeat/heartbeat"),
    ("cluster-glue", "/usr/sbin/stonith"),
    ("nginx-light", "/usr/sbin/nginx"),
];

const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what is missing if this is root on Debian; else says what the tests will leave out.
pub fn install_missing() -> Result<(), String> {
    let missing: Vec<&str> =
        WANTED.iter().filter(|(_, file)| !Path::new(file).exists()).map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        println!("not installed: {names}. Tests that need them say so and are left out.");
        println!("(as root on Debian this command installs them: apt-get install {names})");
        return Ok(());
    }
    let kept_quiet = keep_services_quiet()?;
    let result = apt(&["update", "-q"]).and_then(|()| {
        let mut words = vec!["install", "-y", "-q", "--no-install-recommends"];
        words.extend(&missing);
        apt(&words)
    });
    if kept_quiet {
        let _ = fs::remove_file(POLICY);
    }
    result
}

fn apt(words: &[&str]) -> Result<(), String> {
    super::step("apt-get", words, &[("DEBIAN_FRONTEND", "noninteractive")])
}

/// Debian starts a service when it is installed unless this file forbids it: the base system's own
/// decision is respected, and ours is taken back.
fn keep_services_quiet() -> Result<bool, String> {
    if Path::new(POLICY).exists() {
        return Ok(false);
    }
    fs::write(POLICY, "#!/bin/sh\nexit 101\n").map_err(|error| format!("{POLICY}: {error}"))?;
    super::step("chmod", &["755", POLICY], &[])?;
    Ok(true)
}

/// Whether the effective user is root.
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
