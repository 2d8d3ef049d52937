//! Keys change under a running cluster, one node after the other, and nobody notices but the log.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::roots::Site;

const LIMIT: Duration = Duration::from_secs(60);
const OLD: &str = "1 sha1 a-key-for-tests\n";
const NEW: &str = "2 hmac-sha256 another-key-of-some-length\n";

fn logged(site: &Site, node: &str, line: &str, times: usize) {
    let end = Instant::now() + LIMIT;
    while site.log(node).matches(line).count() < times {
        assert!(Instant::now() < end, "no \"{line}\" at {node}\n{}", site.report());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn keys_are_rolled_over_without_a_gap() {
    let nodes = ["alpha", "beta"];
    let site = Site::new(&nodes).unwrap();
    for node in nodes {
        // Far from what a busy machine could do to a heartbeat.
        let text = site.ha_cf(node).replace("deadtime 1\ninitdead 2\n", "deadtime 10\ninitdead 10\n");
        site.write(node, "etc/ha.d/ha.cf", &text, 0o644).unwrap();
    }
    let _daemons = nodes.map(|node| site.start(node).unwrap());
    for node in nodes {
        site.wait_until(node, "crm_mon -1", LIMIT, |said| said.contains("Online: [ alpha beta ]"));
    }
    let steps = [format!("auth 1\n{OLD}{NEW}"), format!("auth 2\n{OLD}{NEW}"), format!("auth 2\n{NEW}")];
    let mut read = 0;
    for text in &steps {
        read += 1;
        for node in nodes {
            site.write(node, "etc/ha.d/authkeys", text, 0o600).unwrap();
            logged(&site, node, "Rereading authentication file.", read);
        }
    }
    // A wrong file is refused with its place, and the keys stay.
    site.write("alpha", "etc/ha.d/authkeys", "auth 3\n3 sha9 x\n", 0o600).unwrap();
    logged(&site, "alpha", "the keys in use are kept", 1);
    let set = site.everbeat("beta", "crm_attribute -n x -v 1").unwrap();
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let value = |said: &str| said.contains("value=1");
    site.wait_until("alpha", "crm_attribute -n x -G", LIMIT, value);
    for node in nodes {
        let log = site.log(node);
        for bad in ["is dead", "failed authentication", "not in authkeys", "returning after partition"] {
            assert!(!log.contains(bad), "{bad} at {node}\n{}", site.report());
        }
    }
}
