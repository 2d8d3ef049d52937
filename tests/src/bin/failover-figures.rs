//! Failover figures on namespace hosts: the tutorial's files, a power failure, medians of five.
//!
//! `cargo build --release -p tools && sudo EVERBEAT_BIN=target/release/everbeat
//! cargo run --release -p everbeat-tests --bin failover-figures [RUNS]`

use std::time::{Duration, Instant, SystemTime};

use everbeat_tests::cluster::{Cluster, SHORT};
use everbeat_tests::fleet::{seconds_of_day, time_of};
use everbeat_tests::hosts::LabError;
use everbeat_tests::need;

fn main() -> Result<(), LabError> {
    if !need::root_and("failover-figures", &["ip", "unshare", "nsenter", "setpriv", "/etc/init.d/nginx"]) {
        return Ok(());
    }
    let runs = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(5);
    let mut all: Vec<Figures> = Vec::new();
    for run in 1..=runs {
        let figures = measure()?;
        println!("run {run}: {figures:?}");
        all.push(figures);
    }
    println!("medians of {runs}, deadtime {} s:", SHORT.deadtime);
    let line = |what: &str, pick: fn(&Figures) -> Duration| {
        let mut values: Vec<Duration> = all.iter().map(pick).collect();
        values.sort();
        println!("  {what}: {:?}", values.get(values.len() / 2).copied().unwrap_or_default());
    };
    line("power failure → membership gives the node up", |f| f.given_up);
    line("power failure → \"node hatest3: is dead\"", |f| f.dead);
    line("given up → first good HTTP answer", |f| f.answer);
    line("  of it the agents", |f| f.agents);
    line("  of it ours", |f| f.answer.saturating_sub(f.agents));
    Ok(())
}

#[derive(Debug)]
struct Figures {
    given_up: Duration,
    dead: Duration,
    answer: Duration,
    agents: Duration,
}

fn measure() -> Result<Figures, LabError> {
    let mut cluster = Cluster::start(SHORT, "off")?;
    cluster.served_by("hatest3", Instant::now(), Duration::from_secs(30))?;
    cluster.wait_until("hatest4", "crm_mon -1", Duration::from_secs(20), |text| {
        text.contains("Online: [ hatest3 hatest4 ]")
    })?;
    std::thread::sleep(Duration::from_secs(1));
    let off_wall = seconds_of_day(SystemTime::now());
    let off = cluster.lab.power_off("hatest3")?;
    let answer = cluster.served_by("hatest4", off, Duration::from_secs(20))?;
    // "is dead" follows the takeover where the main loop's tick was what went stale first.
    std::thread::sleep(Duration::from_millis(500));
    let log = cluster.log("hatest4");
    let lines: Vec<&str> = log.lines().collect();
    let after = |from: f64, words: &str| {
        let found = lines.iter().filter(|line| line.contains(words)).filter_map(|line| time_of(line));
        found.into_iter().find(|at| *at >= from).ok_or_else(|| LabError::Command {
            command: words.into(),
            status: "not in the log".into(),
            said: log.clone(),
        })
    };
    let given_up = after(off_wall, "hatest3 is not heard both ways any more")?;
    let dead = after(off_wall, "node hatest3: is dead")?;
    let mut agents = 0.0;
    for resource in ["IPaddr_192_168_228_235", "httpd_2"] {
        let begun =
            after(given_up, &format!("Requesting local execution of start operation for {resource}"))?;
        let ended = after(begun, &format!("Result of start operation for {resource}"))?;
        agents += ended - begun;
    }
    let answered = off_wall + (answer.at - off).as_secs_f64();
    Ok(Figures {
        given_up: Duration::from_secs_f64((given_up - off_wall).max(0.0)),
        dead: Duration::from_secs_f64((dead - off_wall).max(0.0)),
        answer: Duration::from_secs_f64((answered - given_up).max(0.0)),
        agents: Duration::from_secs_f64(agents.max(0.0)),
    })
}
