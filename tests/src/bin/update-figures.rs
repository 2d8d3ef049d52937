//! Changes of the configuration per second on three hosts, one client and sixteen, by the command `cibadmin`:
//! ours, and Debian's on corosync and Pacemaker, both clusters up at once and measured in turn.
//!
//! A change is one process that ends with status 0. Ours ends when the change is on disk at all three members;
//! Pacemaker's when the DC has applied it, its copies on disk follow. Afterwards every member of either cluster
//! is asked for the last value each client was told was set.
//!
//! `cargo build --release -p tools && sudo EVERBEAT_BIN=target/release/everbeat
//! cargo run --release -p everbeat-tests --bin update-figures [SECONDS ROUNDS [everbeat]]` (`everbeat`: without the peer)
//! (the peer: `apt-get install corosync pacemaker pacemaker-cli-utils`)

use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use everbeat_tests::binary;
use everbeat_tests::fleet::Fleet;
use everbeat_tests::hosts::{Inside, Lab, LabError};
use everbeat_tests::need;

const NAMES: [&str; 3] = ["n1", "n2", "n3"];
const LIMIT: Duration = Duration::from_secs(120);
const PROGRAMS: &[&str] = &[
    "ip",
    "unshare",
    "nsenter",
    "setpriv",
    "/usr/sbin/corosync",
    "/usr/sbin/pacemakerd",
    "/usr/sbin/cibadmin",
    "/usr/sbin/crm_node",
];

fn main() -> Result<(), LabError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, first, clients, seconds, program @ ..] = words.as_slice()
        && mode == "--client"
    {
        let number = |word: &str| word.parse::<u64>().unwrap_or(1);
        return clients_here(number(first), number(clients), Duration::from_secs(number(seconds)), program);
    }
    let alone = words.get(2).is_some_and(|word| word == "everbeat");
    let programs = if alone { &PROGRAMS[..4] } else { PROGRAMS };
    if !need::root_and("update-figures", programs) {
        return Ok(());
    }
    let number = |at: usize, default: u64| words.get(at).and_then(|w| w.parse().ok()).unwrap_or(default);
    measure(number(0, 10), number(1, 3), alone)
}

/// Both clusters, in turn, several times.
fn measure(seconds: u64, rounds: u64, alone: bool) -> Result<(), LabError> {
    let fleet = Fleet::start(&NAMES, "keepalive 200ms\ndeadtime 3\ninitdead 20")?;
    let everbeat = binary::everbeat().display().to_string();
    let peer = if alone { None } else { Some(Peer::start()?) };
    let mut sides =
        vec![Side { name: "everbeat", hosts: insides(&fleet.lab)?, prefix: format!("{everbeat} ") }];
    if let Some(peer) = &peer {
        sides.push(Side { name: "pacemaker", hosts: insides(&peer.lab)?, prefix: String::new() });
    }
    for side in &sides {
        side.ready()?;
    }
    let mut figures: Vec<(String, Vec<Figure>)> = Vec::new();
    for round in 1..=rounds {
        for clients in [1, 16] {
            for side in &sides {
                let figure = side.run(clients, seconds)?;
                let what = format!("{}, {clients} client{}", side.name, if clients == 1 { "" } else { "s" });
                println!("round {round}: {what}: {figure}");
                match figures.iter_mut().find(|(name, _)| *name == what) {
                    Some((_, list)) => list.push(figure),
                    None => figures.push((what, vec![figure])),
                }
            }
        }
    }
    println!("medians of {rounds} rounds of {seconds} s:");
    let mut rates = Vec::new();
    for (what, list) in &mut figures {
        list.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        if let Some(figure) = list.get(list.len() / 2) {
            println!("  {what}: {figure}");
            rates.push(figure.rate);
        }
    }
    if let [our_one, peer_one, our_many, peer_many] = rates.as_slice() {
        println!("  ratio: {:.1} with one client, {:.1} with 16", our_one / peer_one, our_many / peer_many);
    }
    Ok(())
}

/// What one run gave; times of the whole command in milliseconds.
struct Figure {
    rate: f64,
    median: f64,
    late: f64,
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.0}/s, median {:.1} ms, p99 {:.1} ms", self.rate, self.median, self.late)
    }
}

fn insides(lab: &Lab) -> Result<Vec<(&'static str, Inside)>, LabError> {
    NAMES.iter().map(|name| Ok((*name, lab.inside(name)?))).collect()
}

/// A cluster of three that answers `cibadmin`.
struct Side {
    name: &'static str,
    hosts: Vec<(&'static str, Inside)>,
    /// What stands before a command's name.
    prefix: String,
}

impl Side {
    fn sh(&self, host: &str, line: &str) -> Result<String, LabError> {
        let found = self.hosts.iter().find(|(name, _)| *name == host);
        let (_, inside) = found.ok_or_else(|| LabError::NoHost(host.to_owned()))?;
        // Pacemaker's crmadmin waits for ever where there is no DC yet.
        inside.sh(&format!("timeout 20 {}{line}", self.prefix))
    }

    fn wait(&self, host: &str, line: &str, wanted: impl Fn(&str) -> bool) -> Result<String, LabError> {
        let end = Instant::now() + LIMIT;
        loop {
            let said = self.sh(host, line).unwrap_or_else(|error| error.to_string());
            if wanted(&said) {
                return Ok(said);
            }
            if Instant::now() > end {
                return Err(LabError::Command { command: line.into(), status: self.name.into(), said });
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn dc(&self) -> Result<&'static str, LabError> {
        let said =
            self.wait("n1", "crmadmin -D 2>&1", |text| NAMES.iter().any(|name| text.contains(name)))?;
        Ok(NAMES.iter().find(|name| said.contains(**name)).copied().unwrap_or("n1"))
    }

    /// All three are members, nothing has to be fenced, and no transition runs.
    fn ready(&self) -> Result<(), LabError> {
        for host in NAMES {
            self.wait(host, "crm_node -p", |text| text.split_whitespace().count() == NAMES.len())?;
        }
        self.sh("n1", "crm_attribute -t crm_config -n stonith-enabled -v false")?;
        self.idle()
    }

    fn idle(&self) -> Result<(), LabError> {
        let dc = self.dc()?;
        self.wait(dc, &format!("crmadmin -S {dc} 2>&1"), |text| text.contains("S_IDLE")).map(drop)
    }

    /// Clients on the DC and the two others in turn, for so many seconds.
    fn run(&self, clients: usize, seconds: u64) -> Result<Figure, LabError> {
        let dc = self.dc()?;
        let mut hosts = vec![dc];
        hosts.extend(NAMES.iter().copied().filter(|name| *name != dc));
        let mut drivers = Vec::new();
        for (at, host) in hosts.iter().enumerate().take(clients) {
            let share = (clients - at).div_ceil(hosts.len());
            drivers.push((*host, self.driver(host, at * 100, share, seconds)?));
        }
        let (mut took, mut last) = (Vec::new(), Vec::new());
        for (host, driver) in drivers {
            let output = driver.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if !output.status.success() {
                let command = format!("clients on {host}");
                return Err(LabError::Command { command, status: output.status.to_string(), said });
            }
            for line in said.lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                match words.as_slice() {
                    ["took", microseconds] => took.push(microseconds.parse::<f64>().unwrap_or(0.0) / 1000.0),
                    ["last", name, value] => last.push(format!("name=\"{name}\" value=\"{value}\"")),
                    _ => {}
                }
            }
        }
        self.idle()?;
        for host in NAMES {
            let held = self.wait(host, "cibadmin -Q", |text| last.iter().all(|pair| text.contains(pair)));
            held.map_err(|_| LabError::Command {
                command: "cibadmin -Q".into(),
                status: self.name.into(),
                said: format!("{host} lacks one of {last:?}"),
            })?;
        }
        took.sort_by(f64::total_cmp);
        let at = |share: usize| took.get(took.len() * share / 100).copied().unwrap_or_default();
        Ok(Figure { rate: took.len() as f64 / seconds as f64, median: at(50), late: at(99) })
    }

    /// This program again, inside a host.
    fn driver(&self, host: &str, first: usize, clients: usize, seconds: u64) -> Result<Child, LabError> {
        let found = self.hosts.iter().find(|(name, _)| *name == host);
        let (_, inside) = found.ok_or_else(|| LabError::NoHost(host.to_owned()))?;
        let own = std::env::current_exe()?.display().to_string();
        let mut command = inside.command(&own);
        command.arg("--client").args([first.to_string(), clients.to_string(), seconds.to_string()]);
        command.args(self.prefix.split_whitespace()).arg("cibadmin");
        Ok(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
    }
}

/// Clients on this host: each changes a pair of its own, one process after the other. Prints what each change
/// took in microseconds, and the last value that each was told was set.
fn clients_here(first: u64, clients: u64, limit: Duration, program: &[String]) -> Result<(), LabError> {
    let end = Instant::now() + limit;
    let threads: Vec<_> = (first..first + clients)
        .map(|client| {
            let program = program.to_vec();
            std::thread::spawn(move || one_client(client, end, &program))
        })
        .collect();
    for thread in threads {
        match thread.join() {
            Ok(Ok(text)) => print!("{text}"),
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(LabError::Network("a client's thread ended".into())),
        }
    }
    Ok(())
}

fn one_client(client: u64, end: Instant, program: &[String]) -> Result<String, LabError> {
    let (mut text, mut value) = (String::new(), 0u64);
    let name = format!("bench-{client}");
    // Values of an earlier run are not met again.
    let run =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos();
    while Instant::now() < end {
        value += 1;
        let xml = format!(
            "<cluster_property_set id=\"bench\"><nvpair id=\"{name}\" name=\"{name}\" value=\"{run}-{value}\"/></cluster_property_set>"
        );
        let begun = Instant::now();
        let [file, before @ ..] = program else { break };
        let output = Command::new(file)
            .args(before)
            .args(["--modify", "--allow-create", "--scope", "crm_config", "--xml-text", &xml])
            .stdin(Stdio::null())
            .output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(LabError::Command { command: name, status: output.status.to_string(), said });
        }
        // What ends after the time belongs to no second that is counted.
        if Instant::now() < end {
            let _ = writeln!(text, "took {}", begun.elapsed().as_micros());
        }
    }
    let _ = writeln!(text, "last {name} {run}-{value}");
    Ok(text)
}

/// corosync and Pacemaker as Debian delivers them, on hosts of their own.
struct Peer {
    lab: Lab,
    daemons: Vec<Child>,
}

impl Peer {
    fn start() -> Result<Self, LabError> {
        let mut peer = Self { lab: Lab::new(&NAMES, 1)?, daemons: Vec::new() };
        let mut nodes = String::new();
        for (name, number) in NAMES.iter().zip(1..) {
            let address = peer.lab.address(name, 0)?;
            let _ = writeln!(
                nodes,
                "    node {{\n        name: {name}\n        nodeid: {number}\n        ring0_addr: {address}\n    }}"
            );
        }
        let file = format!(
            "totem {{\n    version: 2\n    cluster_name: bench\n    transport: knet\n    crypto_cipher: none\n    crypto_hash: none\n}}\n\
             nodelist {{\n{nodes}}}\nquorum {{\n    provider: corosync_votequorum\n}}\n\
             logging {{\n    to_stderr: no\n    to_logfile: yes\n    logfile: /var/log/corosync/corosync.log\n    to_syslog: no\n}}\n"
        );
        for name in NAMES {
            let inside = peer.lab.inside(name)?;
            inside.write("/etc/corosync/corosync.conf", &file, 0o644)?;
            let log = std::fs::File::create(peer.lab.state().join(format!("{name}.start.log")))?;
            let mut command = inside.command("sh");
            command.args(["-c", "corosync && exec pacemakerd"]).stdin(Stdio::null());
            peer.daemons.push(command.stdout(log.try_clone()?).stderr(log).spawn()?);
        }
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        for child in &mut self.daemons {
            // nsenter's end; the daemons go with their host.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
