#![allow(clippy::unwrap_used)]
//! The commands around the configuration files, as a user calls them, on nodes made below a directory.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

const HA_CF: &str = "nodename n1\nkeepalive 2\ndeadtime 30\ninitdead 30\nudpport 16941\nbindaddr 127.0.0.1\n\
    ucast lo 127.0.0.2\nauto_failback off\nnode n1 n2\nuse_logd yes\nping 127.0.0.1\n";

struct Node(TempDir);

impl Node {
    /// A node with which nothing is wrong.
    fn healthy() -> Node {
        let node = Node(tempfile::tempdir().unwrap());
        node.write("etc/ha.d/ha.cf", HA_CF, 0o644);
        node.write("etc/ha.d/authkeys", "auth 1\n1 hmac-sha256 0123456789abcdef0123456789abcdef\n", 0o600);
        node.write("etc/ha.d/haresources", "n1 127.0.0.9 web\n", 0o644);
        node.write("etc/init.d/web", "#!/bin/sh\n", 0o755);
        node.write("usr/lib/ocf/resource.d/heartbeat/IPaddr2", "#!/bin/sh\n", 0o755);
        node.write("var/lib/heartbeat/hb_uuid", "0123456789abcdef", 0o600);
        fs::create_dir_all(node.path("var/log")).unwrap();
        node
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    fn write(&self, path: &str, text: &str, mode: u32) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        // By a process of its own: a descriptor open for writing here would be inherited by what other
        // tests start at that moment, and such a file cannot be run ("Text file busy").
        let mut shell = Command::new("sh")
            .args(["-c", "cat >\"$0\" && chmod \"$1\" \"$0\""])
            .arg(&path)
            .arg(format!("{mode:o}"))
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut shell.stdin.take().unwrap(), text.as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    fn run(&self, words: &[&str]) -> Answer {
        self.run_with_path(words, None)
    }

    fn run_with_path(&self, words: &[&str], first: Option<&Path>) -> Answer {
        let mut command = Command::new(env!("CARGO_BIN_EXE_everbeat"));
        command.args(words).env("EVERBEAT_ROOT", self.0.path());
        if let Some(first) = first {
            command.env("PATH", format!("{}:{}", first.display(), std::env::var("PATH").unwrap()));
        }
        Answer::of(command.output().unwrap())
    }
}

struct Answer {
    status: i32,
    out: String,
    err: String,
}

impl Answer {
    fn of(output: Output) -> Answer {
        Answer {
            status: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    #[track_caller]
    fn is(&self, status: i32, expect: &[&str]) {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.status, status, "{all}");
        for part in expect {
            assert!(all.contains(part), "{part:?} is not in:\n{all}");
        }
    }
}

#[test]
fn doctor_finds_nothing_on_a_healthy_node() {
    // No fencing device is the one thing this node lacks, and a device needs hardware.
    let node = Node::healthy();
    node.write("etc/ha.d/ha.cf", &format!("{HA_CF}stonith_host * null n1 n2\n"), 0o644);
    let answer = node.run(&["doctor"]);
    answer.is(0, &["fingerprint", "30313233-3435-3637-3839-616263646566"]);
    assert!(!answer.out.contains("ERROR") && !answer.out.contains("warning"), "{}", answer.out);
    node.run(&["doctor", "--output-as", "json"]).is(0, &["\"status\": \"good\""]);
    node.run(&["doctor", "--output-as", "xml"])
        .is(0, &["<everbeat-result request=\"doctor\">", "<status code=\"0\""]);
    assert_eq!(node.run(&["doctor", "--quiet"]).out, "");
}

/// A breakage, and the words that must name it.
type Breakage = (&'static str, fn(&Node), &'static [&'static str]);

const BREAKAGES: &[Breakage] = &[
    ("ha.cf lost", |n| fs::remove_file(n.path("etc/ha.d/ha.cf")).unwrap(), &["ha.cf", "not there"]),
    (
        "misspelt directive",
        |n| n.write("etc/ha.d/ha.cf", &format!("{HA_CF}deadtiem 3\n"), 0o644),
        &["ha.cf:12", "deadtiem", "\"deadtime\"?"],
    ),
    (
        "keys readable by others",
        |n| fs::set_permissions(n.path("etc/ha.d/authkeys"), fs::Permissions::from_mode(0o644)).unwrap(),
        &["Bad permissions on keyfile", "chmod 600"],
    ),
    (
        "keys lost",
        |n| fs::remove_file(n.path("etc/ha.d/authkeys")).unwrap(),
        &["authkeys", "everbeat keygen"],
    ),
    (
        "an interface that is not there",
        |n| n.write("etc/ha.d/ha.cf", &format!("{HA_CF}bcast nosuch0\n"), 0o644),
        &["ha.cf:12", "no interface nosuch0", "name one of: "],
    ),
    (
        "a serial device that is not there",
        |n| n.write("etc/ha.d/ha.cf", &format!("{HA_CF}serial /dev/nosuchtty\n"), 0o644),
        &["/dev/nosuchtty is no serial device"],
    ),
    (
        "another node's name",
        |n| n.write("etc/ha.d/ha.cf", &HA_CF.replace("nodename n1", "nodename n3"), 0o644),
        &["Current node [n3] not in configuration!", "node n3"],
    ),
    (
        "a cut uuid",
        |n| n.write("var/lib/heartbeat/hb_uuid", "0123", 0o600),
        &["hb_uuid is malformed: 4 bytes"],
    ),
    (
        "a script that is not there",
        |n| fs::remove_file(n.path("etc/init.d/web")).unwrap(),
        &["haresources:1", "Cannot locate resource script web"],
    ),
    (
        "a broken CIB",
        |n| n.write("var/lib/heartbeat/crm/cib.xml", "<cib><configuration>", 0o600),
        &["cib.xml:", "crm_verify"],
    ),
    (
        "an agent of the CIB that is not there",
        |n| {
            n.write("etc/ha.d/ha.cf", &format!("{HA_CF}crm yes\n"), 0o644);
            fs::remove_file(n.path("etc/ha.d/haresources")).unwrap();
            n.write(
                "var/lib/heartbeat/crm/cib.xml",
                "<cib><configuration><resources><primitive id=\"db\" class=\"ocf\" provider=\"vendor\" type=\"Db\"/>\
                 </resources></configuration></cib>",
                0o600,
            );
        },
        &["resource db: agent ocf:vendor:Db is not installed"],
    ),
    (
        "a directory that everybody may write",
        |n| {
            fs::create_dir_all(n.path("var/lib/heartbeat/crm")).unwrap();
            fs::set_permissions(n.path("var/lib/heartbeat"), fs::Permissions::from_mode(0o777)).unwrap();
        },
        &["may be written by everybody", "chmod o-w"],
    ),
    (
        "haresources for a stranger",
        |n| n.write("etc/ha.d/haresources", "n7 127.0.0.9\n", 0o644),
        &["haresources:1", "Bad nodename", "n7"],
    ),
    (
        "an address that is none",
        |n| n.write("etc/ha.d/haresources", "n1 127.0.0.900\n", 0o644),
        &["haresources:1", "\"127.0.0.900\" is no IP address"],
    ),
    (
        "a wrong logd.cf",
        |n| n.write("etc/logd.cf", "logfil /x\n", 0o644),
        &["logd.cf:1", "logfil", "\"logfile\"?"],
    ),
];

#[test]
fn doctor_names_every_breakage() {
    assert!(BREAKAGES.len() >= 10);
    for (what, break_it, expect) in BREAKAGES {
        let node = Node::healthy();
        break_it(&node);
        let answer = node.run(&["doctor", "--quiet"]);
        assert_eq!(answer.status, 2, "{what}: {}{}", answer.out, answer.err);
        for part in *expect {
            assert!(answer.out.contains(part), "{what}: {part:?} is not in:\n{}", answer.out);
        }
        let errors = answer.out.lines().filter(|l| l.contains(" ERROR "));
        for line in errors {
            assert!(line.contains("; remedy: "), "{what}: no remedy in: {line}");
        }
    }
}

#[test]
fn doctor_sees_a_port_in_use_and_two_nodes_without_anything() {
    let node = Node::healthy();
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let ha_cf = HA_CF.replace("udpport 16941", &format!("udpport {port}")).replace("ping 127.0.0.1\n", "");
    node.write("etc/ha.d/ha.cf", &ha_cf, 0o644);
    let answer = node.run(&["doctor"]);
    answer.is(2, &[&format!("UDP port {port} is in use"), "two nodes without fencing or ping node"]);
}

#[test]
fn files_of_a_dead_user_are_found() {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: needs root to give a file away");
        return;
    }
    let node = Node::healthy();
    let file = node.path("var/lib/heartbeat/hb_uuid");
    std::os::unix::fs::chown(&file, Some(64_999), None).unwrap();
    node.run(&["doctor"]).is(2, &["belong to uid 64999, which nobody has", "chown -R --from=64999"]);
    let crm = node.path("var/lib/heartbeat/crm");
    fs::create_dir_all(&crm).unwrap();
    std::os::unix::fs::chown(&crm, Some(1), None).unwrap();
    node.run(&["doctor"]).is(2, &["var/lib/heartbeat/crm belongs to "]);
}

#[test]
fn config_check_and_show() {
    let node = Node::healthy();
    node.run(&["config", "check"]).is(0, &["good, 0 warnings"]);
    node.run(&["config", "show", "--origin"]).is(0, &["keepalive 2 ", "ha.cf:2", "hopfudge 1 ", "# default"]);
    node.run(&["config", "show", "--json"]).is(0, &["\"name\": \"deadtime\""]);
    node.run(&["config", "directives"]).is(0, &["keepalive TIME", "; default 1s", "Everbeat's own"]);
    node.run(&["config", "directives", "deadtiem"]).is(105, &["did you mean deadtime?"]);
    node.write("etc/ha.d/authkeys", "auth 1\n1 crc\n", 0o640);
    node.run(&["config", "check"]).is(4, &["600 recommended"]);
    node.write("etc/ha.d/authkeys", "auth 1\n", 0o600);
    node.run(&["config", "check"])
        .is(6, &["Auth Key [1] not found", "Heartbeat not started: configuration error."]);
    node.write("etc/ha.d/ha.cf", "keepalive 2s\nfoo\n", 0o644);
    node.run(&["config", "check"]).is(6, &["ha.cf:1: error", "ha.cf:2: error: Illegal directive"]);
    node.run(&["heartbeat"]).is(6, &["Configuration error, heartbeat not started."]);
    node.run(&["heartbeat", "-s"]).is(3, &["heartbeat is stopped. No process"]);
}

#[test]
fn keys_are_made_added_and_exchanged() {
    let node = Node::healthy();
    let file = node.path("etc/ha.d/authkeys");
    let printed = node.run(&["keygen"]);
    printed.is(0, &["auth 1\n1 hmac-sha256 "]);
    assert_ne!(printed.out, node.run(&["keygen"]).out);
    node.run(&["keygen", "--write"]).is(1, &["is there already"]);
    node.run(&["keygen", "--add", "--method", "sha1"]).is(0, &["key 2 added; key 1 still signs"]);
    node.run(&["keygen", "--activate", "3"]).is(6, &["key 3 is not in the file"]);
    node.run(&["keygen", "--activate", "2"]).is(0, &["key 2 signs now"]);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("auth 2\n1 hmac-sha256 0123"), "{text}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    node.run(&["keygen", "--add"]).is(4, &["is unchanged"]);
    fs::remove_file(&file).unwrap();
    node.run(&["keygen", "--write"]).is(0, &[]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn haresources_is_converted_once() {
    let node = Node::healthy();
    node.run(&["haresources2cib", "--stdout"]).is(0, &["type=\"IPaddr2\"", "no fencing device"]);
    node.run(&["haresources2cib", "--stdout", "--dialect", "heartbeat-2"])
        .is(0, &["type=\"IPaddr\">", "<attributes>"]);
    node.run(&["haresources2cib", "--nonsense"]).is(1, &["--nonsense"]);
    node.run(&["haresources2cib", "/nosuch/haresources"]).is(3, &["/nosuch/haresources: error"]);
    node.run(&["haresources2cib"]).is(0, &[]);
    let cib = node.path("var/lib/heartbeat/crm/cib.xml");
    assert!(fs::read_to_string(&cib).unwrap().contains("validate-with"));
    node.run(&["haresources2cib"]).is(2, &["please remove them before generating new cib.xml"]);
    node.write("etc/ha.d/haresources", "n1 nosuch\n", 0o644);
    fs::remove_file(&cib).unwrap();
    node.run(&["haresources2cib"])
        .is(3, &["haresources:1: error: nosuch is an unknown Resource Agent", "/etc/init.d/nosuch"]);
    assert!(!cib.exists());
    node.run(&["haresources2cib", "--force", "--stdout"]).is(0, &["class=\"lsb\" type=\"nosuch\""]);
}

#[test]
fn propagation_reports_node_by_node() {
    let node = Node::healthy();
    node.write("etc/ha.d/ha.cf", &HA_CF.replace("node n1 n2", "node n1 n2\nnode n3"), 0o644);
    // Programs that write down how they were called; n3 is down.
    let bin = node.path("bin");
    for name in ["scp", "ssh"] {
        let script = format!(
            "#!/bin/sh\necho \"{name} $*\" >> {}/calls\ncase \"$*\" in *@n3*) exit 1;; esac\n",
            bin.display()
        );
        node.write(&format!("bin/{name}"), &script, 0o755);
    }
    let dry = node.run_with_path(&["ha_propagate", "--dry-run"], Some(&bin));
    dry.is(0, &["would run: scp", "root@n2:/etc/ha.d/ha.cf", "root@n3:/etc/ha.d/authkeys"]);
    assert!(!bin.join("calls").exists() && !dry.out.contains("root@n1"));
    let answer = node.run_with_path(&["ha_propagate"], Some(&bin));
    answer.is(
        1,
        &[
            "Propagating HA configuration files to node n2.",
            "n2: done",
            "n3: failed: scp ended",
            "1 of 2 nodes",
        ],
    );
    let calls = fs::read_to_string(bin.join("calls")).unwrap();
    assert!(calls.contains("etc/ha.d/authkeys root@n2:/etc/ha.d/authkeys\n"), "{calls}");
    assert!(calls.contains("ssh -o ConnectTimeout=10 -- root@n2 systemctl enable heartbeat\n"), "{calls}");
    node.run_with_path(&["ha_propagate", "--node", "n9"], Some(&bin)).is(105, &["\"n9\" is not in ha.cf"]);
    node.write("etc/ha.d/ha.cf", "foo\n", 0o644);
    node.run_with_path(&["ha_propagate"], Some(&bin)).is(6, &["Can not propagate."]);
}

#[test]
fn classic_paths_lead_to_the_binary() {
    let node = Node::healthy();
    node.run(&["install-links", "--classic"]).is(0, &["usr/lib/heartbeat", "init script"]);
    node.run(&["install-links", "--classic"]).is(0, &[]);
    let script = node.path("etc/init.d/heartbeat");
    let call = |program: PathBuf, words: &[&str]| {
        Answer::of(Command::new(program).args(words).env("EVERBEAT_ROOT", node.0.path()).output().unwrap())
    };
    call(script.clone(), &["status"]).is(3, &["heartbeat is stopped. No process"]);
    call(script.clone(), &["nonsense"]).is(2, &["Usage:"]);
    let python = node.path("usr/lib/heartbeat/haresources2cib.py");
    call(python, &["--stdout"]).is(0, &["<cib "]);
    fs::write(&script, "#!/bin/sh\n").unwrap();
    node.run(&["install-links", "--classic"]).is(1, &["is there already"]);
    node.run(&["install-links", "--classic", "--force"]).is(0, &[]);
}
