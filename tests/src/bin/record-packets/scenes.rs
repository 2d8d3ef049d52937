//! The scenes: what happens to the hosts so that they say what is to be heard.

use std::sync::Arc;

use everbeat_tests::hosts::LabError;

use super::ear::Shelf;
use super::stage::{Done, HEARTBEAT, Stage};

type Scene = fn(&Arc<Shelf>) -> Done;

const SCENES: [(&str, Scene); 6] = [
    ("pair", pair),
    ("legacy", legacy),
    ("lost", lost),
    ("packed", packed),
    ("members", members),
    ("unrest", unrest),
];
const PAIR: &[&str] = &["n1", "n2"];
const THREE: &[&str] = &["n1", "n2", "n3"];

pub fn names() -> Vec<&'static str> {
    SCENES.iter().map(|(name, _)| *name).collect()
}

/// A resource of each.
const RESOURCES: &str = "n1 dummy::a\nn2 dummy::b\n";

/// Plays the scenes of these names, or all.
pub fn play(wanted: &[String], shelf: &Arc<Shelf>) -> Result<(), LabError> {
    for (name, scene) in SCENES {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            eprintln!("scene {name}");
            scene(shelf)?;
        }
    }
    Ok(())
}

/// A pair with resources and ipfail: start, status of a client, standby, takeover, a ping node lost by one
/// side, the death of a node, a shutdown.
fn pair(shelf: &Arc<Shelf>) -> Done {
    let ha_cf = "keepalive 500ms\ndeadtime 5\nauto_failback on\nping 192.168.228.153\n\
                 respawn hacluster /usr/libexec/heartbeat/ipfail\napiauth ipfail uid=hacluster";
    let stage = Stage::new(PAIR, ha_cf, RESOURCES, shelf)?;
    for host in PAIR {
        stage.boot(host)?;
    }
    for host in PAIR {
        stage.logged(host, "Initial resource acquisition complete")?;
    }
    stage.logged("n1", "remote resource transition completed")?;
    stage.try_run("n1", "cl_status clientstatus n2 ipfail 5000")?;
    stage.heard("respond-cstatus")?;
    stage.try_run("n1", "/usr/share/heartbeat/hb_standby all")?;
    stage.logged("n2", "all HA resource acquisition completed (standby)")?;
    stage.pause(5)?;
    stage.try_run("n1", "/usr/share/heartbeat/hb_takeover all")?;
    stage.heard("hb_takeover")?;
    stage.pause(10)?;
    // n1 no longer reaches the ping node.
    stage.run("n1", "nft add table ip quiet; nft 'add chain ip quiet out { type filter hook output priority 0; }'; nft add rule ip quiet out icmp type echo-request drop")?;
    stage.logged("n1", "192.168.228.153: is dead")?;
    stage.pause(15)?;
    stage.run("n1", "nft delete table ip quiet")?;
    stage.pause(10)?;
    stage.try_run("n1", "killall -9 heartbeat ipfail")?;
    stage.logged("n2", "mach_down takeover complete")?;
    stage.boot("n1")?;
    stage.pause(20)?;
    stage.try_run("n2", &format!("{HEARTBEAT} -k"))?;
    stage.heard("shutdone")?;
    stage.pause(5)?;
    Ok(())
}

/// A pair of the old protocol: who comes back asks for its resources.
fn legacy(shelf: &Arc<Shelf>) -> Done {
    let stage = Stage::new(PAIR, "keepalive 500ms\ndeadtime 5\nauto_failback legacy", RESOURCES, shelf)?;
    stage.boot("n1")?;
    stage.logged("n1", "mach_down takeover complete")?;
    stage.boot("n2")?;
    stage.heard("ip-request")?;
    stage.pause(10)
}

/// One packet of n1 does not arrive, and no request for it, until n1 has sent so many more that it no longer
/// has it.
fn lost(shelf: &Arc<Shelf>) -> Done {
    let stage = Stage::new(PAIR, "keepalive 500ms\ndeadtime 60\ninitdead 60\nauto_failback off", "", shelf)?;
    for host in PAIR {
        stage.boot(host)?;
    }
    for host in PAIR {
        stage.logged(host, "Local status now set to: 'active'")?;
    }
    stage.pause(3)?;
    stage.cut(&[("n1", "n2"), ("n2", "n1")])?;
    stage.pause(2)?;
    stage.cut(&[("n2", "n1")])?;
    stage.heard("NS_rexmit")?;
    say(&stage, "n1", 600, "t=anything")?;
    stage.pause(5)?;
    stage.cut(&[])?;
    stage.heard("NS_nak_rexmit")?;
    stage.pause(2)
}

/// Long packets compressed as a whole, by each algorithm.
fn packed(shelf: &Arc<Shelf>) -> Done {
    // The pipe takes lines of a kilobyte at most.
    let pads: Vec<String> = (0..9).map(|i| format!("pad{i}={}", "x".repeat(300))).collect();
    for algorithm in ["zlib", "bz2"] {
        let ha_cf = format!(
            "keepalive 500ms\ndeadtime 5\nauto_failback off\ncompression {algorithm}\n\
             compression_threshold 1\ntraditional_compression yes"
        );
        let stage = Stage::new(PAIR, &ha_cf, "", shelf)?;
        stage.boot("n1")?;
        stage.logged("n1", "Local status now set to: 'active'")?;
        say(&stage, "n1", 1, &format!("t=anything\n{}", pads.join("\n")))?;
        stage.pause(3)?;
    }
    Ok(())
}

/// Membership without resource management: three nodes, one of which dies, is taken out and put in again.
fn members(shelf: &Arc<Shelf>) -> Done {
    let ha_cf = "keepalive 500ms\ndeadtime 5\ncrm ccm-only\nautojoin other";
    let stage = Stage::new(THREE, ha_cf, "", shelf)?;
    for host in THREE {
        stage.boot(host)?;
    }
    for host in THREE {
        stage.logged(host, "Local status now set to: 'active'")?;
    }
    stage.pause(15)?;
    for line in ["hb_setweight n2 50", "hb_setsite n2 elsewhere"] {
        stage.try_run("n1", &format!("/usr/share/heartbeat/{line}"))?;
    }
    stage.try_run("n3", "killall -9 heartbeat ccm")?;
    stage.logged("n1", "node n3: is dead")?;
    stage.pause(10)?;
    stage.try_run("n1", "/usr/share/heartbeat/hb_delnode n3")?;
    stage.heard("delnode")?;
    stage.pause(5)?;
    stage.try_run("n1", "/usr/share/heartbeat/hb_addnode n3")?;
    stage.heard("addnode")?;
    stage.boot("n3")?;
    stage.pause(20)?;
    // Each part forms a membership of its own; then there are two that find each other.
    stage.cut(&[("n1", "n2"), ("n2", "n1"), ("n1", "n3"), ("n3", "n1")])?;
    stage.pause(15)?;
    stage.cut(&[])?;
    stage.pause(20)?;
    stage.try_run("n3", &format!("{HEARTBEAT} -k"))?;
    stage.pause(10)
}

/// Memberships that form while nodes leave and come: negotiations are broken off.
fn unrest(shelf: &Arc<Shelf>) -> Done {
    let stage = Stage::new(THREE, "keepalive 200ms\ndeadtime 2\nwarntime 1\ncrm ccm-only", "", shelf)?;
    for host in THREE {
        stage.boot(host)?;
    }
    for host in THREE {
        stage.logged(host, "Local status now set to: 'active'")?;
    }
    for pause in [1, 2, 3, 4, 5, 6, 7, 8] {
        stage.try_run("n3", &format!("{HEARTBEAT} -k"))?;
        stage.boot("n3")?;
        stage.pause(pause)?;
        stage.cut(&[("n1", "n2"), ("n2", "n1")])?;
        stage.pause(4)?;
        stage.cut(&[])?;
        stage.pause(pause)?;
    }
    Ok(())
}

/// Has the host's Heartbeat send a message of these fields so many times, through its command pipe.
fn say(stage: &Stage, host: &str, times: usize, fields: &str) -> Done {
    let line = format!(
        "for i in $(seq {times}); do cat >/var/lib/heartbeat/fifo <<'end'\n>>>\n{fields}\n<<<\nend\ndone"
    );
    stage.run(host, &line)
}
