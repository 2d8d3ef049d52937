//! The executor as a process of its own, with cores that do what a real one does: ask, crash, come back,
//! refuse to run, stop. This test program is executor and core as well: it runs itself again with
//! `LRM_TEST_ROLE` set.
#![cfg(feature = "runtime")]
#![allow(clippy::unwrap_used)]

use std::io::Write;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};

use lrm::executor::wire::{Multicast, Open, Reply, Request, Udp};
use lrm::executor::{Client, CoreCommand, Options, Power, Replies, User, connect_stdin, run};
use lrm::{Command, ExecId, Program};

/// Not a test of its own: what this program does when it is run as executor or core.
#[test]
fn role() {
    let Ok(role) = std::env::var("LRM_TEST_ROLE") else { return };
    let dir = PathBuf::from(std::env::var("LRM_TEST_DIR").unwrap());
    match role.as_str() {
        "executor" => std::process::exit(executor(&dir)),
        core => {
            let status = tokio::runtime::Runtime::new().unwrap().block_on(play(core, &dir));
            std::process::exit(status);
        }
    }
}

fn executor(dir: &Path) -> i32 {
    let core = CoreCommand {
        becomes: false,
        program: std::env::var_os("LRM_TEST_PROGRAM")
            .map_or_else(|| std::env::current_exe().unwrap(), PathBuf::from),
        args: ["--exact", "role", "--nocapture"].map(String::from).into(),
        env: vec![("LRM_TEST_ROLE".into(), std::env::var("LRM_TEST_CORE").unwrap())],
        user: std::env::var_os("LRM_TEST_DROP").map(|_| User { name: "test".into(), uid: 65533, gid: 65532 }),
    };
    let mut options = Options::new(core, Some(dir.to_owned()));
    options.pause.0 = Duration::from_millis(20);
    options.power = Some(Box::new(Paper(dir.to_owned())));
    run(options)
}

/// Restarts nothing: writes down that it was asked to.
struct Paper(PathBuf);

impl Power for Paper {
    fn reboot(&mut self, reason: &str) {
        say(&self.0, &format!("reboot: {reason}"));
    }
}

/// The story of a test run: appended to by all its processes.
fn say(dir: &Path, line: &str) {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(dir.join("story")).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn shell(script: &str) -> Command {
    Command {
        programs: vec![Program {
            path: "/bin/sh".into(),
            argv0: None,
            args: vec!["-c".into(), script.into()],
        }],
        env: [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into(),
        stdin: Vec::new(),
        timeout: Some(Duration::from_secs(10)),
        output_limit: Command::OUTPUT,
        secrets: None,
    }
}

async fn welcome(may_reboot: bool) -> (Client, Replies, u32, Vec<(ExecId, Vec<u8>)>) {
    let (client, mut replies) = connect_stdin(may_reboot).unwrap();
    match replies.recv().await.unwrap() {
        Reply::Welcome { generation, runs, .. } => (client, replies, generation, runs),
        other => panic!("{other:?}"),
    }
}

async fn play(core: &str, dir: &Path) -> i32 {
    match core {
        "crasher" => {
            let (client, mut replies, generation, runs) = welcome(false).await;
            if generation == 1 {
                let command = shell("echo begun; sleep 0.5; echo ended");
                client
                    .send(Request::Spawn { exec: ExecId(7), note: b"note".to_vec(), command, until: None })
                    .unwrap();
                assert!(matches!(replies.recv().await, Some(Reply::Started { exec: ExecId(7), .. })));
                std::process::abort();
            }
            say(dir, &format!("runs {runs:?}"));
            match replies.recv().await {
                Some(Reply::Exited { exec, outcome }) => {
                    say(dir, &format!("{exec:?} {:?} {:?}", outcome.end, String::from_utf8(outcome.stdout)));
                    client.send(Request::Confirm { exec }).unwrap();
                }
                other => panic!("{other:?}"),
            }
            client.send(Request::Bye { status: 0 }).unwrap();
            client.flush().await.unwrap();
            0
        }
        "late" => {
            let (client, mut replies, generation, runs) = welcome(false).await;
            if generation == 1 {
                client
                    .send(Request::Spawn {
                        exec: ExecId(1),
                        note: vec![],
                        command: shell("exit 7"),
                        until: None,
                    })
                    .unwrap();
                while !matches!(replies.recv().await, Some(Reply::Exited { .. })) {}
                // Dies with a result in its hands that it has not confirmed.
                std::process::abort();
            }
            let Some(Reply::Exited { outcome, .. }) = replies.recv().await else { panic!() };
            say(dir, &format!("{} kept, {:?}", runs.len(), outcome.end));
            6
        }
        "misconfigured" => {
            say(dir, "core ran");
            6
        }
        "stopper" => {
            let (client, mut replies, _, _) = welcome(false).await;
            say(dir, "ready");
            while !matches!(replies.recv().await, Some(Reply::Stop)) {}
            say(dir, "stopping");
            client.send(Request::Bye { status: 0 }).unwrap();
            client.flush().await.unwrap();
            0
        }
        "opener" => {
            let (client, _replies, _, _) = welcome(false).await;
            say(dir, &format!("user {}", rustix_ids()));
            let udp = Udp {
                bind: "127.0.0.1:0".parse().unwrap(),
                device: None,
                broadcast: true,
                reuse: true,
                multicast: None,
            };
            let fd = client.open(Open::Udp(udp.clone())).await.unwrap().unwrap();
            say(dir, &format!("udp {}", std::net::UdpSocket::from(fd).local_addr().unwrap().ip()));
            let group = Multicast {
                group: "239.1.2.3".parse().unwrap(),
                device: "lo".into(),
                ttl: 1,
                loopback: true,
            };
            let multicast = Udp { bind: "0.0.0.0:0".parse().unwrap(), multicast: Some(group), ..udp };
            match client.open(Open::Udp(multicast)).await {
                Ok(_) => say(dir, "multicast"),
                Err(e) => say(dir, &format!("multicast: {e}")),
            }
            let fd = client.open(Open::Config { name: "authkeys".into() }).await.unwrap().unwrap();
            say(dir, &std::io::read_to_string(std::fs::File::from(fd)).unwrap());
            let e = client.open(Open::Config { name: "nothing".into() }).await.unwrap_err();
            say(dir, &e.to_string());
            let e =
                client.open(Open::Watchdog { path: "/etc/shadow".into(), timeout_s: 9 }).await.unwrap_err();
            say(dir, &e.to_string());
            client.send(Request::Bye { status: 0 }).unwrap();
            client.flush().await.unwrap();
            0
        }
        "busy" => {
            let (client, mut replies, _, _) = welcome(false).await;
            let begun = Instant::now();
            let mut times = Vec::new();
            for n in 1..=RUNS {
                let sent = Instant::now();
                let command = Command {
                    programs: vec![Program { path: "/bin/true".into(), argv0: None, args: vec![] }],
                    ..shell("")
                };
                client
                    .send(Request::Spawn { exec: ExecId(n), note: vec![0; 300], command, until: None })
                    .unwrap();
                while !matches!(replies.recv().await, Some(Reply::Exited { .. })) {}
                client.send(Request::Confirm { exec: ExecId(n) }).unwrap();
                times.push(sent.elapsed());
            }
            times.sort();
            say(
                dir,
                &format!(
                    "{:?} {:?} {:?}",
                    times[times.len() / 2],
                    times[times.len() * 99 / 100],
                    begun.elapsed()
                ),
            );
            client.send(Request::Bye { status: 0 }).unwrap();
            client.flush().await.unwrap();
            0
        }
        "talker" => {
            let (client, mut replies, _, _) = welcome(false).await;
            let command = Command { stdin: vec![b'x'; 2 << 20], ..shell("true") };
            client.send(Request::Spawn { exec: ExecId(1), note: vec![], command, until: None }).unwrap();
            let Some(Reply::Exited { outcome, .. }) = replies.recv().await else { panic!() };
            say(dir, &format!("{:?}", outcome.end));
            // Two outputs of the largest size still arrive, and so does what is said after them.
            let mut command = shell("head -c 9000000 /dev/zero; head -c 9000000 /dev/zero >&2");
            command.output_limit = usize::MAX;
            client.send(Request::Spawn { exec: ExecId(2), note: vec![], command, until: None }).unwrap();
            client
                .send(Request::Spawn { exec: ExecId(2), note: vec![], command: shell("true"), until: None })
                .unwrap();
            for _ in 0..2 {
                let outcome = loop {
                    if let Some(Reply::Exited { outcome, .. }) = replies.recv().await {
                        break outcome;
                    }
                };
                let sizes = [outcome.stdout.len(), outcome.stderr.len()].map(|n| n / 1000);
                say(dir, &format!("{:?} {sizes:?}", outcome.end));
            }
            4
        }
        "rebooter" => {
            let (client, mut replies, generation, _) = welcome(generation_may_reboot(dir)).await;
            client.send(Request::Reboot { reason: format!("generation {generation}") }).unwrap();
            client
                .send(Request::Spawn {
                    exec: ExecId(u64::from(generation)),
                    note: vec![],
                    command: shell("true"),
                    until: None,
                })
                .unwrap();
            client.flush().await.unwrap();
            let own = ExecId(u64::from(generation));
            while !matches!(replies.recv().await, Some(Reply::Exited { exec, .. }) if exec == own) {}
            if generation == 1 { std::process::abort() } else { 6 }
        }
        "failer" => {
            let (client, _replies, generation, _) = welcome(true).await;
            say(dir, &format!("generation {generation}"));
            match generation {
                1 => std::process::abort(),
                2 => client.send(Request::Bye { status: 75 }).unwrap(),
                3 => client.send(Request::Bye { status: 1 }).unwrap(),
                _ => panic!("one more"),
            }
            client.flush().await.unwrap();
            if generation == 2 { 75 } else { 1 }
        }
        "worker" => {
            let (client, mut replies, generation, _) = welcome(false).await;
            say(dir, &format!("generation {generation}"));
            let status = match generation {
                1 => {
                    let spawn =
                        Request::Spawn { exec: ExecId(1), note: vec![], command: shell("true"), until: None };
                    client.send(spawn).unwrap();
                    while !matches!(replies.recv().await, Some(Reply::Exited { .. })) {}
                    client.send(Request::Confirm { exec: ExecId(1) }).unwrap();
                    1
                }
                _ => 0,
            };
            client.send(Request::Bye { status }).unwrap();
            client.flush().await.unwrap();
            status
        }
        other => panic!("no core {other}"),
    }
}

/// Only the second core comes with `crm yes`.
fn generation_may_reboot(dir: &Path) -> bool {
    let second = dir.join("second").exists();
    std::fs::write(dir.join("second"), "").unwrap();
    second
}

fn rustix_ids() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_whitespace().skip(1).collect::<Vec<_>>().join(",")
    };
    format!("{} groups [{}]", line("Uid:"), line("Groups:"))
}

struct Run {
    dir: tempfile::TempDir,
    child: Child,
}

impl Run {
    fn new(core: &str, drop: bool) -> Run {
        Run::with(core, drop, &[])
    }

    fn with(core: &str, drop: bool, env: &[(&str, &Path)]) -> Run {
        let dir = tempfile::tempdir().unwrap();
        // The core that drops privilege writes its story here.
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        std::fs::create_dir_all(dir.path().join("etc/ha.d")).unwrap();
        let keys = dir.path().join("etc/ha.d/authkeys");
        std::fs::write(&keys, "auth 1\n1 crc").unwrap();
        std::fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut command = Process::new(std::env::current_exe().unwrap());
        command.args(["--exact", "role", "--nocapture"]).env("LRM_TEST_ROLE", "executor");
        command.env("LRM_TEST_CORE", core).env("LRM_TEST_DIR", dir.path());
        if drop {
            command.env("LRM_TEST_DROP", "1");
        }
        command.envs(env.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        Run { dir, child }
    }

    fn status(&mut self) -> Option<i32> {
        let deadline = Instant::now() + Duration::from_secs(120);
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        panic!("the executor did not end; story so far: {:?}", self.story());
    }

    fn story(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.dir.path().join("story")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

#[test]
fn what_is_too_long_to_say_has_an_end_and_breaks_nothing() {
    let mut run = Run::new("talker", false);
    assert_eq!(run.status(), Some(4));
    let story = run.story();
    assert!(story[0].contains("more than 1048576"), "{story:?}");
    assert!(story[1].contains("run number 2 exists already"), "{story:?}");
    assert_eq!(story[2], "Code(0) [262, 262]");
}

/// Processes run one after the other for the figures.
const RUNS: u64 = 500;

/// What a run costs beyond the agent: from the core's request over the executor's start of `/bin/true` to
/// its end at the core. Prints median, 99th percentile and the sum of all.
#[test]
#[ignore = "figures, to be run alone"]
fn figures() {
    let mut run = Run::new("busy", false);
    assert_eq!(run.status(), Some(0));
    eprintln!("{RUNS} runs of /bin/true (median, 99 %, all): {}", run.story()[0]);
}

#[test]
fn what_runs_survives_the_core_and_its_result_reaches_the_next_one() {
    let mut run = Run::new("crasher", false);
    assert_eq!(run.status(), Some(0));
    assert_eq!(
        run.story(),
        ["runs [(ExecId(7), [110, 111, 116, 101])]", "ExecId(7) Code(0) Ok(\"begun\\nended\\n\")"]
    );
}

#[test]
fn a_result_is_kept_until_it_is_confirmed() {
    let mut run = Run::new("late", false);
    assert_eq!(run.status(), Some(6));
    assert_eq!(run.story(), ["1 kept, Code(7)"]);
}

#[test]
fn a_core_that_cannot_use_its_configuration_is_not_started_again() {
    let mut run = Run::new("misconfigured", false);
    assert_eq!(run.status(), Some(6));
    assert_eq!(run.story(), ["core ran"]);
    assert!(run.dir.path().join("var/run/heartbeat/crm").is_dir(), "directories are made at the start");
}

#[test]
fn a_signal_lets_the_core_stop_in_order() {
    let mut run = Run::new("stopper", false);
    let deadline = Instant::now() + Duration::from_secs(120);
    while run.story().is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = i32::try_from(run.child.id()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).unwrap();
    assert_eq!(run.status(), Some(0));
    assert_eq!(run.story(), ["ready", "stopping"]);
}

#[test]
fn the_executor_opens_what_it_may_and_the_core_has_no_privilege() {
    let root = nix::unistd::geteuid().is_root();
    if !root {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "dropping privilege needs root");
        eprintln!("left out: dropping privilege needs root; the rest runs as this user");
    }
    let mut run = Run::new("opener", root);
    assert_eq!(run.status(), Some(0));
    let mut story = run.story();
    let user = story.remove(0);
    if root {
        assert_eq!(user, "user 65533,65533,65533,65533 groups []");
    }
    assert_eq!(
        story,
        [
            "udp 127.0.0.1",
            "multicast",
            "auth 1",
            "1 crc",
            "configuration file nothing: No such file or directory (os error 2)",
            "watchdog /etc/shadow: is not below /dev",
        ]
    );
}

#[test]
fn a_program_the_core_may_not_run_is_an_error_and_not_tried_for_ever() {
    if !nix::unistd::geteuid().is_root() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "dropping privilege needs root");
        eprintln!("left out: dropping privilege needs root");
        return;
    }
    let private = tempfile::tempdir().unwrap();
    std::fs::set_permissions(private.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let program = private.path().join("everbeat");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut run = Run::with("misconfigured", true, &[("LRM_TEST_PROGRAM", &program)]);
    assert_eq!(run.status(), Some(4));
    assert!(run.story().is_empty());
}

#[test]
fn a_machine_is_restarted_only_for_a_core_whose_configuration_says_so() {
    let mut run = Run::new("rebooter", false);
    assert_eq!(run.status(), Some(6));
    assert_eq!(run.story(), ["reboot: generation 2"]);
}

/// With `crm yes` a core that fails has the machine restarted; one that wants to begin anew is just started.
#[test]
fn a_machine_is_restarted_when_its_core_fails_and_the_configuration_says_so() {
    let mut run = Run::new("failer", false);
    assert_eq!(run.status(), Some(1));
    assert_eq!(
        run.story(),
        [
            "generation 1",
            "reboot: the core was killed by signal 6, and ha.cf says crm yes",
            "generation 2",
            "generation 3",
            "reboot: the core ended with status 1, and ha.cf says crm yes",
        ]
    );
}

/// What an earlier core started must not be left to nobody, however politely the core failed.
#[test]
fn a_core_that_fails_after_it_has_worked_is_started_again() {
    let mut run = Run::new("worker", false);
    assert_eq!(run.status(), Some(0));
    assert_eq!(run.story(), ["generation 1", "generation 2"]);
}

#[test]
fn the_standard_input_of_this_test_is_no_socket_and_that_is_said() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _guard = runtime.enter();
    let file = tempfile::tempfile().unwrap();
    assert!(lrm::executor::connect(file.as_fd().try_clone_to_owned().unwrap(), false).is_err());
}
