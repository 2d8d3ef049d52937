//! The namespace hosts themselves: everything else stands on them.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::hosts::{Lab, probe::Probe};
use everbeat_tests::need;

#[test]
fn hosts_talk_lose_power_and_come_back_with_their_disk() {
    let name = "hosts_talk_lose_power_and_come_back_with_their_disk";
    if !need::root_and(name, &["ip", "bridge", "unshare", "nsenter", "setpriv", "ping", "python3"]) {
        return;
    }
    let mut lab = Lab::new(&["alpha", "beta"], 2).unwrap();
    let alpha = lab.inside("alpha").unwrap();
    assert_eq!(alpha.sh("hostname").unwrap().trim(), "alpha");
    alpha.sh(&format!("ping -c5 -i0.2 -W10 {}", lab.address("beta", 1).unwrap())).unwrap();

    alpha.write("/var/lib/kept", "kept\n", 0o600).unwrap();
    alpha.sh("echo lost > /run/lost").unwrap();
    alpha.sh("cd /tmp && mkdir -p /var/www && echo hello from alpha > /var/www/index.html && cd /var/www && (python3 -m http.server 8080 >/dev/null 2>&1 &)").unwrap();
    let address = format!("{}:8080", lab.address("alpha", 0).unwrap()).parse().unwrap();
    let probe = Probe::start(lab.inside("client").unwrap(), address).unwrap();
    let begun = Instant::now();
    let answer = probe.wait_for(begun, Duration::from_secs(60), |_| true).expect("the service answers");
    assert_eq!(answer.text, "hello from alpha");

    lab.power_off("alpha").unwrap();
    assert!(lab.inside("alpha").is_err());
    let off = Instant::now();
    assert!(probe.wait_for(off, Duration::from_millis(300), |_| true).is_none(), "a dead host answers");
    lab.power_on("alpha").unwrap();
    let alpha = lab.inside("alpha").unwrap();
    assert_eq!(alpha.sh("cat /var/lib/kept").unwrap(), "kept\n");
    assert!(alpha.sh("cat /run/lost").is_err(), "/run survives a power failure");
    alpha.sh(&format!("ping -c5 -i0.2 -W10 {}", lab.address("beta", 0).unwrap())).unwrap();
    lab.pull_cables("beta").unwrap();
    assert!(alpha.sh(&format!("ping -c1 -W1 {}", lab.address("beta", 0).unwrap())).is_err());
}
