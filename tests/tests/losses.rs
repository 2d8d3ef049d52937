//! A live cluster is parted by a file, and is one again when the file is empty.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::roots::Site;

const LIMIT: Duration = Duration::from_secs(120);

fn logged(site: &Site, node: &str, line: &str) {
    let end = Instant::now() + LIMIT;
    while !site.log(node).contains(line) {
        assert!(Instant::now() < end, "no \"{line}\" at {node}\n{}", site.report());
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_file_parts_a_cluster_and_heals_it() {
    let nodes = ["alpha", "beta"];
    let site = Site::new(&nodes).unwrap();
    let file = "etc/ha.d/OnlyForTesting";
    for node in nodes {
        // What is there from the beginning is looked at again and again.
        site.write(node, file, "", 0o644).unwrap();
    }
    let _daemons = nodes.map(|node| site.start(node).unwrap());
    let together = || {
        for node in nodes {
            site.wait_until(node, "crm_mon -1", LIMIT, |said| said.contains("Online: [ alpha beta ]"));
        }
    };
    together();
    for node in nodes {
        site.write(node, file, &format!("allownodes={node}\n"), 0o644).unwrap();
    }
    for (node, other) in [("alpha", "beta"), ("beta", "alpha")] {
        logged(&site, node, "packets are lost on purpose");
        logged(&site, node, &format!("node {other}: is dead"));
    }
    for node in nodes {
        site.write(node, file, "", 0o644).unwrap();
        logged(&site, node, "nothing is lost on purpose any more");
    }
    together();
}
