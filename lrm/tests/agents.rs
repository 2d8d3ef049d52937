//! Agents as distributions ship them, run through the queue and real processes: `ocf:heartbeat:Dummy`,
//! `ocf:heartbeat:IPaddr2` in a network of its own, the init script of nginx, `fence_dummy`; and agents
//! that hang, talk without end, or leave children behind.
//!
//! Needs Debian's resource-agents, fence-agents, iproute2, nginx-light and root; without them it prints
//! what is left out, and with CI=true fails.
#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use lrm::exec::{Processes, Settings};
use lrm::listing;
use lrm::metadata::Metadata;
use lrm::{Action, AgentRef, Class, Event, Now, OpRequest, OpResult, OpStatus, Queue, Roots};

/// Writes a program by another process: a descriptor of ours that is open for writing would be inherited
/// by a process another test starts at that moment, and the kernel runs no file that somebody writes
/// ("Text file busy").
fn program(path: &Path, text: &str) {
    let mut shell = std::process::Command::new("sh")
        .args(["-c", "cat >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
    assert!(shell.wait().unwrap().success());
}

/// A queue and its processes: what a node's driver does, in one thread.
struct Node {
    queue: Queue,
    processes: Processes,
    start: Instant,
    reports: Vec<OpResult>,
}

impl Node {
    fn new(roots: Roots) -> Node {
        Node::with(roots, Settings::default())
    }

    fn with(roots: Roots, settings: Settings) -> Node {
        Node {
            queue: Queue::new(roots, 4, 1),
            processes: Processes::new(settings),
            start: Instant::now(),
            reports: Vec::new(),
        }
    }

    fn event(&mut self, event: Event) {
        let mut out = Vec::new();
        self.queue.handle(Now { mono: self.start.elapsed(), wall_s: 1 }, event, &mut out);
        for action in out {
            match action {
                Action::Spawn { exec, command, .. } => {
                    let _pid = self.processes.spawn(exec, &command, Instant::now());
                }
                Action::Kill { exec } => self.processes.kill(exec, Instant::now()),
                Action::Report(r) => self.reports.push(r),
                _ => {}
            }
        }
    }

    /// Runs until there is a report.
    fn report(&mut self) -> OpResult {
        loop {
            if !self.reports.is_empty() {
                return self.reports.remove(0);
            }
            let mut fds = Vec::new();
            self.processes.poll_fds(&mut fds);
            rustix::event::poll(&mut fds, Some(&rustix::event::Timespec { tv_sec: 0, tv_nsec: 20_000_000 }))
                .unwrap();
            drop(fds);
            self.processes.tick(Instant::now());
            while let Some((exec, outcome)) = self.processes.take_ended() {
                self.event(Event::Exited { exec, outcome });
            }
            self.event(Event::Wake);
        }
    }

    fn op(&mut self, agent: &str, action: &str, params: &[(&str, &str)], timeout_ms: u64) -> OpResult {
        self.event(Event::Submit(request(agent, action, params, timeout_ms)));
        self.report()
    }

    /// The return codes of a row of operations.
    fn rcs<const N: usize>(&mut self, agent: &str, actions: [&str; N], params: &[(&str, &str)]) -> [i32; N] {
        actions.map(|action| {
            let r = self.op(agent, action, params, 20_000);
            if r.rc != 0 && r.rc != 7 {
                eprintln!("{agent} {action}: {} {} {}", r.rc, r.reason, r.output);
            }
            r.rc
        })
    }
}

fn request(agent: &str, action: &str, params: &[(&str, &str)], timeout_ms: u64) -> OpRequest {
    OpRequest {
        rsc: "test".into(),
        agent: agent.parse::<AgentRef>().unwrap(),
        action: action.into(),
        interval_ms: 0,
        timeout_ms,
        start_delay_ms: 0,
        params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
        key: String::new(),
        expected_rc: 0,
    }
}

/// Whether all that a test needs is there; says what is not, and fails in CI.
fn have(test: &str, needs: &[(&str, bool)]) -> bool {
    let missing: Vec<&str> = needs.iter().filter(|(_, there)| !there).map(|(what, _)| *what).collect();
    if missing.is_empty() {
        return true;
    }
    let text = format!("{test} left out: needs {}", missing.join(", "));
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{text}");
    eprintln!("{text}");
    false
}

fn root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn there(path: &str) -> bool {
    Path::new(path).exists()
}

/// A root directory with agents of our own making, and state below it.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("run/resource-agents")).unwrap();
        Place { dir }
    }

    fn agent(&self, name: &str, script: &str) {
        let dir = self.dir.path().join("usr/lib/ocf/resource.d/test");
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(name);
        program(&path, &format!("#!/bin/sh\n{script}\n"));
    }

    fn roots(&self) -> Roots {
        Roots::below(self.dir.path())
    }

    fn node(&self) -> Node {
        Node::new(self.roots())
    }
}

/// Runs a test on a machine of its own: network, mounts, a fresh /run. Namespaces belong to a thread.
fn on_own_machine(test: impl FnOnce() + Send + 'static) {
    use nix::mount::{MsFlags, mount};
    use nix::sched::{CloneFlags, unshare};
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        mount(Some("tmpfs"), "/run", Some("tmpfs"), MsFlags::empty(), Some("mode=755")).unwrap();
        std::fs::create_dir("/run/resource-agents").unwrap();
        std::fs::create_dir("/run/lock").unwrap();
        ip("link set lo up");
        test();
    };
    if let Err(panic) = std::thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

fn ip(args: &str) -> String {
    let out = std::process::Command::new("ip").args(args.split(' ')).output().unwrap();
    assert!(out.status.success(), "ip {args}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn dummy_goes_through_its_life() {
    let needs = [("resource-agents", there("/usr/lib/ocf/resource.d/heartbeat/Dummy"))];
    if !have("ocf:heartbeat:Dummy", &needs) {
        return;
    }
    let place = Place::new();
    let mut node = place.node();
    let actions =
        ["monitor", "start", "start", "monitor", "stop", "stop", "monitor", "validate-all", "nonsense"];
    assert_eq!(node.rcs("ocf:heartbeat:Dummy", actions, &[]), [7, 0, 0, 0, 0, 0, 7, 0, 3]);
}

#[test]
fn ipaddr2_takes_an_address_and_gives_it_back() {
    let needs = [
        ("root", root()),
        ("resource-agents", there("/usr/lib/ocf/resource.d/heartbeat/IPaddr2")),
        ("iproute2", there("/sbin/ip") || there("/usr/sbin/ip") || there("/bin/ip")),
    ];
    if !have("ocf:heartbeat:IPaddr2", &needs) {
        return;
    }
    on_own_machine(|| {
        ip("link add veth0 type veth peer name veth1");
        ip("addr add 192.168.228.1/24 dev veth0");
        ip("link set veth0 up");
        ip("link set veth1 up");
        let mut node = Node::new(Roots::system());
        let params = [("ip", "192.168.228.235"), ("cidr_netmask", "24"), ("nic", "veth0")];
        let begun = Instant::now();
        assert_eq!(node.rcs("ocf:heartbeat:IPaddr2", ["monitor", "start", "monitor"], &params), [7, 0, 0]);
        eprintln!("IPaddr2: probe, start and monitor took {:?}", begun.elapsed());
        assert!(ip("addr show veth0").contains("192.168.228.235/24"));
        // The configuration has changed since the start: the address that was taken must go.
        let changed = [("ip", "192.168.228.240"), ("cidr_netmask", "24"), ("nic", "veth0")];
        assert_eq!(node.rcs("ocf:heartbeat:IPaddr2", ["stop"], &changed), [0]);
        assert!(!ip("addr show veth0").contains("192.168.228.235"));
        assert_eq!(node.rcs("ocf:heartbeat:IPaddr2", ["monitor"], &params), [7]);
        let bad = node.op("ocf:heartbeat:IPaddr2", "start", &[("ip", "not-an-address")], 20_000);
        assert_eq!(bad.rc, 6, "{bad:?}");
        assert!(!bad.reason.is_empty(), "the agent's own words are kept: {bad:?}");
    });
}

#[test]
fn the_init_script_of_nginx_starts_and_stops_a_server() {
    let needs =
        [("root", root()), ("nginx-light", there("/etc/init.d/nginx")), ("iproute2", there("/sbin/ip"))];
    if !have("lsb:nginx", &needs) {
        return;
    }
    on_own_machine(|| {
        let answers = || {
            std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], 80).into(), Duration::from_secs(1)).is_ok()
        };
        let mut node = Node::new(Roots::system());
        assert_eq!(node.rcs("lsb:nginx", ["monitor", "start", "monitor"], &[]), [7, 0, 0]);
        assert!(answers());
        assert_eq!(node.rcs("service:nginx", ["monitor"], &[]), [0]);
        assert_eq!(node.rcs("lsb:nginx", ["stop", "monitor", "stop"], &[]), [0, 7, 0]);
        assert!(!answers());
    });
}

#[test]
fn a_v1_script_gets_its_arguments_in_order() {
    let place = Place::new();
    let dir = place.dir.path().join("etc/ha.d/resource.d");
    std::fs::create_dir_all(&dir).unwrap();
    let script = format!(
        "#!/bin/sh\nf={}/state\ncase \"$3\" in start) echo \"$1 $2\" >$f;; stop) rm -f $f;; status) [ -f $f ] && echo running || echo stopped;; esac\n",
        place.dir.path().display()
    );
    program(&dir.join("old"), &script);
    let params = [("1", "10.0.0.5"), ("2", "eth0")];
    let mut node = place.node();
    assert_eq!(node.rcs("heartbeat:old", ["monitor", "start", "monitor"], &params), [7, 0, 0]);
    assert_eq!(std::fs::read_to_string(place.dir.path().join("state")).unwrap(), "10.0.0.5 eth0\n");
    assert_eq!(node.rcs("heartbeat:old", ["stop", "monitor"], &params), [0, 7]);
}

#[test]
fn a_fence_agent_is_asked_through_its_standard_input() {
    if !have("stonith:fence_dummy", &[("fence-agents", there("/usr/sbin/fence_dummy"))]) {
        return;
    }
    let place = Place::new();
    let file = place.dir.path().join("status");
    std::fs::write(&file, "on").unwrap();
    let params = [("status_file", file.to_str().unwrap()), ("type", "file")];
    let mut node = place.node();
    assert_eq!(node.rcs("stonith:fence_dummy", ["monitor", "start", "stop"], &params), [7, 0, 0]);

    use lrm::class::stonith::{FenceAction, FenceCall, FenceTarget, fence};
    let agent: AgentRef = "stonith:fence_dummy".parse().unwrap();
    let params: BTreeMap<String, String> =
        params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let target = FenceTarget { node: "n1", argument: Some("port"), plug: "n1" };
    let call = FenceCall {
        agent: &agent,
        action: FenceAction::Off,
        params: &params,
        target: Some(target),
        timeout: Some(Duration::from_secs(20)),
    };
    let outcome = lrm::exec::run(&fence(&call, &place.roots()).unwrap(), Settings::default());
    assert_eq!(outcome.end, lrm::End::Code(0), "{}", outcome.output());
    assert_eq!(std::fs::read_to_string(&file).unwrap().trim(), "off");
}

/// The plugins of cluster-glue: a script's parameters are variables, a library's go through `stonith`.
#[test]
fn plugins_of_linux_ha_are_called_as_they_expect() {
    let place = Place::new();
    let dir = place.dir.path().join("usr/lib/stonith/plugins/external");
    std::fs::create_dir_all(&dir).unwrap();
    let script = "#!/bin/sh\necho \"$* $hostlist $HA_LOGTAG\" >>\"$log\"\ncase $1 in gethosts) echo $hostlist;; getinfo-xml) echo '<parameters><parameter name=\"hostlist\"/></parameters>';; esac\n";
    program(&dir.join("mine"), script);
    let log = place.dir.path().join("log");
    let params = [("hostlist", "n1 n2"), ("log", log.to_str().unwrap())];
    let mut node = place.node();
    assert_eq!(node.rcs("stonith:external/mine", ["start", "monitor", "stop"], &params), [0, 0, 0]);
    let said = std::fs::read_to_string(&log).unwrap();
    assert_eq!(said, "status n1 n2 external/mine\nstatus n1 n2 external/mine\n");
    let agent: AgentRef = "stonith:external/mine".parse().unwrap();
    let text = listing::describe(&place.roots(), &agent, Settings::default()).unwrap();
    assert!(Metadata::parse(&agent, &text).unwrap().parameter("hostlist").is_some());
    assert!(listing::agents(&place.roots(), Class::Stonith, None).contains(&"external/mine".to_owned()));

    if have("stonith:null", &[("cluster-glue", there("/usr/sbin/stonith"))]) {
        let mut node = Node::new(Roots::system());
        let params = [("hostlist", "n1 n2")];
        assert_eq!(node.rcs("stonith:null", ["monitor", "start", "monitor", "stop"], &params), [7, 0, 0, 0]);
    }
}

#[test]
fn a_hanging_agent_and_its_children_are_ended() {
    let place = Place::new();
    let pids = place.dir.path().join("pids");
    place.agent(
        "Hang",
        &format!(
            "trap '' TERM; (trap '' TERM; while :; do sleep 1; done) & echo $$ $! >{}; while :; do sleep 1; done",
            pids.display()
        ),
    );
    place.agent("Polite", "trap 'echo asked >&2; exit 3' TERM; while :; do sleep 0.05; done");
    let settings = Settings { grace: Duration::from_millis(300), ..Settings::default() };
    let mut node = Node::with(place.roots(), settings);
    let begun = Instant::now();
    let r = node.op("ocf:test:Hang", "start", &[], 500);
    assert_eq!((r.rc, r.status), (1, OpStatus::Timeout));
    assert_eq!(r.reason, "Resource agent did not complete within 500ms");
    let took = begun.elapsed();
    assert!(took >= Duration::from_millis(800) && took < Duration::from_secs(60), "{took:?}");
    for pid in std::fs::read_to_string(&pids).unwrap().split_whitespace() {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // A killed child of a dead agent may still wait to be reaped by init.
        assert!(state.is_empty() || state.contains(") Z "), "{pid} still runs: {state}");
    }
    let r = node.op("ocf:test:Polite", "start", &[], 300);
    assert_eq!((r.rc, r.status), (1, OpStatus::Timeout));
    assert!(r.output.ends_with("asked\n"), "{}", r.output);
    assert!(r.exec_ms < 600, "an agent that ends when asked is not waited for: {} ms", r.exec_ms);
}

#[test]
fn output_without_end_is_cut_and_the_reason_at_its_end_is_kept() {
    let place = Place::new();
    place.agent("Talk", "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo 'ocf-exit-reason:said it all' >&2; exit 2");
    let r = place.node().op("ocf:test:Talk", "start", &[], 20_000);
    assert_eq!((r.rc, r.reason.as_str()), (2, "said it all"));
    assert!(r.output.len() < 70_000 && r.output.contains("bytes left out"), "{}", r.output.len());
}

#[test]
fn a_daemon_that_keeps_the_output_open_does_not_hold_up_its_start() {
    let place = Place::new();
    place.agent("Daemon", "sleep 120 & echo started");
    let begun = Instant::now();
    let r = place.node().op("ocf:test:Daemon", "start", &[], 20_000);
    assert_eq!((r.rc, r.output.as_str()), (0, "started\n"));
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn an_agent_has_three_descriptors_a_group_of_its_own_and_no_inherited_environment() {
    let place = Place::new();
    place.agent(
        "Look",
        "ls /proc/self/fd | tr '\\n' ' '; read x; echo \"[$x]\"; echo \"$HOME|$CARGO|$LC_ALL\"; pwd; [ \"$(ps -o pgid= -p $$ | tr -d ' ')\" = $$ ] && echo leader",
    );
    lrm::exec::close_inherited();
    // A descriptor like those of the executor's sockets.
    let _open = std::fs::File::open("/dev/null").unwrap();
    let r = place.node().op("ocf:test:Look", "start", &[], 20_000);
    // `ls` has one more, for the directory it reads.
    assert_eq!(r.output, "0 1 2 3 []\n||C\n/\nleader\n");
}

#[test]
fn signals_and_missing_or_unsafe_files_are_told_apart() {
    let place = Place::new();
    place.agent("Dies", "kill -KILL $$");
    place.agent("Loose", "exit 0");
    place.agent("Plain", "exit 0");
    let dir = place.dir.path().join("usr/lib/ocf/resource.d/test");
    std::fs::set_permissions(dir.join("Loose"), PermissionsExt::from_mode(0o757)).unwrap();
    std::fs::set_permissions(dir.join("Plain"), PermissionsExt::from_mode(0o644)).unwrap();
    program(&dir.join("Binary"), "\x7fELF nonsense");
    let mut node = place.node();
    let mut of = |kind: &str| {
        let r = node.op(&format!("ocf:test:{kind}"), "start", &[], 20_000);
        (r.rc, r.status, r.reason)
    };
    assert_eq!(of("Dies"), (1, OpStatus::Error, "Resource agent interrupted by SIGKILL signal".to_owned()));
    let (rc, status, reason) = of("Missing");
    assert_eq!((rc, status), (5, OpStatus::NotInstalled));
    assert!(reason.contains("No such file or directory"), "{reason}");
    let (rc, status, reason) = of("Loose");
    assert_eq!((rc, status), (4, OpStatus::Error));
    assert!(reason.contains("written by everybody"), "{reason}");
    assert_eq!(of("Plain").0, 4);
    assert_eq!((of("Binary").0, of("Binary").1), (5, OpStatus::NotInstalled));
}

#[test]
fn every_agent_of_this_machine_describes_itself() {
    if !have("meta-data of all agents", &[("resource-agents", there("/usr/lib/ocf/resource.d/heartbeat"))]) {
        return;
    }
    let roots = Roots::system();
    assert!(listing::ocf_providers(&roots).contains(&"heartbeat".to_owned()));
    assert!(listing::ocf_alternatives(&roots, "Dummy").contains(&"heartbeat".to_owned()));
    let kinds = listing::agents(&roots, Class::Ocf, Some("heartbeat"));
    assert!(kinds.len() > 50, "{}", kinds.len());
    let mut unreadable = Vec::new();
    for kind in &kinds {
        let agent = AgentRef::new(Class::Ocf, Some("heartbeat"), kind).unwrap();
        let text = match listing::describe(&roots, &agent, Settings::default()) {
            Ok(text) => text,
            Err(e) => {
                unreadable.push(e.to_string());
                continue;
            }
        };
        match Metadata::parse(&agent, &text) {
            Ok(m) if m.has_action("start") && m.has_action("monitor") => {}
            Ok(m) => unreadable.push(format!("{agent}: actions {:?}", m.actions())),
            Err(e) => unreadable.push(e.to_string()),
        }
    }
    eprintln!("{} agents, {} not understood: {unreadable:#?}", kinds.len(), unreadable.len());
    assert!(unreadable.len() * 20 <= kinds.len(), "more than one in twenty is not understood");
}

#[test]
fn the_agents_that_ship_with_us_run_a_server_without_root() {
    let place = Place::new();
    let own = place.dir.path().join("own");
    lrm::bundled::install(&own).unwrap();
    lrm::bundled::install(&own).unwrap();
    // In the place of the program: what it does is tested beside its code.
    let binary = place.dir.path().join("everbeat");
    program(&binary, "#!/bin/sh\necho listening >&2\nwhile :; do sleep 0.05; done\n");
    let mut settings = Settings::default();
    settings.env.insert("EVERBEAT_BINARY".into(), binary.to_str().unwrap().into());
    let mut node = Node::with(place.roots().with_ocf_dir(own), settings);
    let params = [("port", "8088")];
    let actions =
        ["monitor", "start", "start", "monitor", "stop", "monitor", "stop", "validate-all", "promote"];
    assert_eq!(node.rcs("ocf:everbeat:Web", actions, &params), [7, 0, 0, 0, 0, 7, 0, 0, 3]);
    let bad = node.op("ocf:everbeat:Web", "start", &[("port", "x")], 20_000);
    assert_eq!((bad.rc, bad.reason.as_str()), (6, "port \"x\" is no number"));
    let text = node.op("ocf:everbeat:Web", "meta-data", &[], 20_000).output;
    let m = Metadata::parse(&"ocf:everbeat:Web".parse().unwrap(), &text).unwrap();
    assert!(m.is_1_1() && m.parameter("port").is_some());
    assert!(
        PathBuf::from(&place.dir.path()).join("run/resource-agents").read_dir().unwrap().next().is_none()
    );
}
