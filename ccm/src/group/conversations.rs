//! Conversations as text: what is done to a cluster, and the transcript of what it says. One file a
//! rule, in `ccm/tests/conversations`; `EVERBEAT_REWRITE=1` writes the transcripts anew, for a person to
//! read before they are committed.
//!
//! ```text
//! nodes N [fencing] [ping] [pings] [ignore] [autojoin] [alone] [strangers] [lists]   before anything else
//! start I… | crash I… | wipe I… | leave I…                 I: number of a node, or all
//! form I…                                        runs until exactly these are active together
//! run SECONDS
//! cut I… | oneway I J | heal                     links: these from the rest; from I to J only
//! set I NAME=VALUE | force I NAME=VALUE | state I VALUE | ask I NAME=VALUE    ask does not wait
//! change I NAME=VALUE                            as ask, and refused where there is no option of that name
//! burst I COUNT                                  so many changes of one option, of which none is waited for
//! flight I                                       what the DC I has sequenced and not committed, what waits there
//! add I NAME[:VOTES] | remove I NAME | dismiss I
//! carrier I on|off | ping I on|off | fenced I J | slow I SECONDS | fail I
//! bus I TEXT
//! session I J                                    it ends and is opened anew
//! stuck I | goes I                               its core stands still, its beats go out; it runs again
//! dies I KIND COUNT                              loses power once it has sent so many messages of that kind
//! token I T NAME=VALUE | outcome I T             a change with a token; what became of it
//! if I VERSION NAME=VALUE                        a change on condition of a version
//! feature I SET | corrupt I | big I NAME BYTES | rate I BYTES | import I NAME=VALUE
//! watch                                          then `show` says how long nobody could work
//! show | backups | read I | local I
//! ```

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use super::harness::{Net, Watch, node_state, option, value};
use super::*;
use crate::bus::BusAddress;

struct Talk {
    net: Net,
    out: String,
    /// Actions already written, per node.
    shown: Vec<usize>,
    /// Requests of bursts: their outcomes are counted.
    bursts: BTreeSet<u64>,
}

fn fencing(c: &mut GroupConfig) {
    c.fencing = true;
}

fn ping(c: &mut GroupConfig) {
    c.pings = vec!["router".into()];
}

/// Ping nodes decide between halves of any size.
fn pings(c: &mut GroupConfig) {
    ping(c);
    c.quorum = Policy::chain("majority:twonodes", true).unwrap();
}

fn ignore(c: &mut GroupConfig) {
    c.quorum = vec![Policy::Majority, Policy::Ignore];
}

fn alone(c: &mut GroupConfig) {
    c.nodes.truncate(if c.name == "n1" { 1 } else { 2 });
}

/// Every node knows of itself only, and lets everybody in.
fn strangers(c: &mut GroupConfig) {
    c.autojoin = true;
    let name = c.name.clone();
    c.nodes.retain(|n| n.name == name);
}

/// The first node was not told of the third.
fn lists(c: &mut GroupConfig) {
    if c.name == "n1" {
        c.nodes.truncate(2);
    }
}

fn autojoin(c: &mut GroupConfig) {
    c.autojoin = true;
    c.nodes.truncate(2);
}

impl Talk {
    fn number(word: &str) -> usize {
        word.parse::<usize>().unwrap() - 1
    }

    fn numbers(&self, words: &[&str]) -> Vec<usize> {
        if words == ["all"] {
            return (0..self.net.nodes.len()).collect();
        }
        words.iter().map(|w| Self::number(w)).collect()
    }

    fn say(&mut self, text: impl AsRef<str>) {
        writeln!(self.out, "{:8.3} {}", self.net.now.as_secs_f64(), text.as_ref()).unwrap();
    }

    fn wait(&mut self, i: usize, token: u64) {
        self.net.run_until(Duration::from_secs(70), |n| n.outcome(i, token).is_some());
    }

    fn command(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (verb, rest) = words.split_first().unwrap();
        writeln!(self.out, "> {line}").unwrap();
        let seconds = |w: &str| Duration::from_secs_f64(w.parse().unwrap());
        match *verb {
            "start" => self.numbers(rest).into_iter().for_each(|i| self.net.start(i)),
            "crash" => self.numbers(rest).into_iter().for_each(|i| self.net.crash(i)),
            "wipe" => self.numbers(rest).into_iter().for_each(|i| self.net.wipe(i)),
            "leave" => self.numbers(rest).into_iter().for_each(|i| self.net.input(i, GroupInput::Leave)),
            "form" => {
                let members = self.numbers(rest);
                if !self.net.run_until(Duration::from_secs(600), |n| n.together(&members)) {
                    self.say("no such view");
                }
            }
            "run" => self.net.run(seconds(rest[0])),
            "cut" => {
                let side = self.numbers(rest);
                self.net.cut_off(&side);
            }
            "oneway" => {
                self.net.cut.insert((Self::number(rest[0]), Self::number(rest[1])));
            }
            "heal" => self.net.heal(),
            "set" | "ask" | "force" => {
                let i = Self::number(rest[0]);
                let (name, value) = rest[1].split_once('=').unwrap();
                let options = RequestOptions { force: *verb == "force", ..RequestOptions::default() };
                let token = self.net.request_with(i, option(name, value), options);
                if *verb != "ask" {
                    self.wait(i, token);
                }
            }
            "change" => {
                let (name, value) = rest[1].split_once('=').unwrap();
                let pair = cib::Element::new("nvpair")
                    .with_attr("id", format!("opt-{name}"))
                    .with_attr("value", value);
                let request = cib::Request::new(cib::Operation::Modify).section("crm_config").input(pair);
                self.net.request(Self::number(rest[0]), Change::Cib(request));
            }
            "burst" => {
                let (i, count) = (Self::number(rest[0]), rest[1].parse::<usize>().unwrap());
                for n in 1..=count {
                    let token = self.net.request(i, option("burst", &n.to_string()));
                    self.bursts.insert(token);
                }
            }
            "flight" => {
                let view =
                    self.net.nodes[Self::number(rest[0])].group.as_ref().unwrap().view.as_ref().unwrap();
                let waiting: Vec<String> = view.queue.values().map(|q| q.len().to_string()).collect();
                let text = format!("{} in flight, waiting {}", view.tentative.len(), waiting.join(" "));
                self.say(text);
            }
            "state" => {
                let i = Self::number(rest[0]);
                let token = self.net.request(i, node_state(i, rest[1]));
                self.wait(i, token);
            }
            "add" | "remove" | "dismiss" => {
                let i = Self::number(rest[0]);
                let change = match *verb {
                    "add" => {
                        let (name, votes) = rest[1].split_once(':').unwrap_or((rest[1], "1"));
                        Change::AddNode { name: name.into(), votes: votes.parse().unwrap() }
                    }
                    "remove" => Change::RemoveNode { name: rest[1].into() },
                    _ => Change::DismissConflict { tip: None },
                };
                let token = self.net.request(i, change);
                self.wait(i, token);
            }
            "carrier" => {
                let any = rest[1] == "on";
                self.net.input(Self::number(rest[0]), GroupInput::Link(LinkEvent::Carrier { any }));
            }
            "ping" => {
                let event = LinkEvent::PingNode { name: "router".into(), reachable: rest[1] == "on" };
                self.net.input(Self::number(rest[0]), GroupInput::Link(event));
            }
            "fenced" => {
                let dead = &self.net.nodes[Self::number(rest[1])];
                let input = GroupInput::FenceConfirmed { node: dead.id, inc: dead.inc };
                self.net.input(Self::number(rest[0]), input);
            }
            "slow" => self.net.nodes[Self::number(rest[0])].write_time = seconds(rest[1]),
            "fail" => self.net.nodes[Self::number(rest[0])].disk_fails = true,
            "bus" => {
                let payload = rest[1].as_bytes().to_vec();
                self.net.input(Self::number(rest[0]), GroupInput::Bus { to: BusAddress::All, payload });
            }
            "read" => {
                let i = Self::number(rest[0]);
                self.net.input(i, GroupInput::Read { token: 0, mode: ReadMode::Confirmed });
            }
            "feature" => self.net.nodes[Self::number(rest[0])].feature = Some(rest[1].into()),
            "corrupt" => self.net.corrupt(Self::number(rest[0])),
            "big" => {
                let i = Self::number(rest[0]);
                let token = self.net.request(i, option(rest[1], &"x".repeat(rest[2].parse().unwrap())));
                self.wait(i, token);
            }
            "rate" => {
                self.net.rate.insert(Self::number(rest[0]), rest[1].parse().unwrap());
            }
            "import" => {
                let (name, value) = rest[1].split_once('=').unwrap();
                self.net.edit(Self::number(rest[0]), name, value);
            }
            "session" => self.net.new_session(Self::number(rest[0]), Self::number(rest[1])),
            "stuck" => self.net.stick(Self::number(rest[0])),
            "goes" => self.net.unstick(Self::number(rest[0])),
            "dies" => {
                let count = rest[2].parse().unwrap();
                self.net.nodes[Self::number(rest[0])].dies = Some((rest[1].into(), count));
            }
            "token" => {
                let (i, (name, value)) = (Self::number(rest[0]), rest[2].split_once('=').unwrap());
                let ident = Some(ident(rest[1]));
                let options = RequestOptions { ident, ..RequestOptions::default() };
                self.net.request_with(i, option(name, value), options);
            }
            "outcome" => {
                let input = GroupInput::Outcome { token: 0, ident: ident(rest[1]) };
                self.net.input(Self::number(rest[0]), input);
            }
            "if" => {
                let (i, (name, value)) = (Self::number(rest[0]), rest[2].split_once('=').unwrap());
                let Change::Cib(request) = option(name, value) else { panic!("an option is a change") };
                let token = self.net.request(i, Change::Cib(request.if_version(rest[1].parse().unwrap())));
                self.wait(i, token);
            }
            "watch" => self.net.watch = Some(Watch::default()),
            "local" => {
                let i = Self::number(rest[0]);
                self.net.input(i, GroupInput::Read { token: 0, mode: ReadMode::Local });
            }
            "show" => self.show(),
            "backups" => {
                let lines: Vec<String> = self
                    .net
                    .nodes
                    .iter()
                    .flat_map(|n| n.disk.backups.iter().map(|(_, why)| format!("{}: {}", n.name, first(why))))
                    .collect();
                self.say(format!("{} backups", lines.len()));
                lines.iter().for_each(|l| self.say(l));
            }
            other => panic!("no command is called {other}"),
        }
        self.spoken();
    }

    fn show(&mut self) {
        let lines: Vec<String> = self
            .net
            .nodes
            .iter()
            .map(|n| match &n.group {
                None => format!("{}: down", n.name),
                Some(g) => {
                    let set = g.visible().crm_config().and_then(|c| c.children().next().cloned());
                    let options: Vec<String> = set
                        .iter()
                        .flat_map(|s| s.children())
                        .filter_map(|p| p.attr("name"))
                        .map(|name| {
                            let text = value(g.visible(), name).unwrap_or_default();
                            let long = text.len() > 40;
                            format!("{name}={}", if long { format!("({} bytes)", text.len()) } else { text })
                        })
                        .collect();
                    let states = g.visible().status().map_or(0, |s| s.children().count());
                    format!("{}: {:?}, {}, {states} states", n.name, g.info().phase, options.join(" "))
                }
            })
            .collect();
        lines.iter().for_each(|l| self.say(l));
        if let Some(watch) = &self.net.watch {
            self.say(format!("longest without a view {:.3} s", watch.longest.as_secs_f64()));
        }
    }

    /// Writes what the nodes said since the last command, without what is only for debugging.
    fn spoken(&mut self) {
        for i in 0..self.net.nodes.len() {
            let name = self.net.nodes[i].name.clone();
            let fresh: Vec<GroupAction> = self.net.nodes[i].seen[self.shown[i]..].to_vec();
            self.shown[i] = self.net.nodes[i].seen.len();
            let mut counted: BTreeMap<String, usize> = BTreeMap::new();
            for action in fresh {
                if let GroupAction::Reply { token, outcome } = &action
                    && self.bursts.contains(token)
                {
                    let what = match outcome {
                        Outcome::Done { .. } => "done".to_owned(),
                        other => format!("{other:?}").to_lowercase(),
                    };
                    *counted.entry(what).or_default() += 1;
                    continue;
                }
                let text = match action {
                    GroupAction::Event(GroupEvent::ViewChanged(v)) => describe(&v),
                    GroupAction::Event(GroupEvent::Deliver { from, payload }) => {
                        let sender = self.net.nodes.iter().find(|n| n.id == from).unwrap();
                        format!("from {}: {}", sender.name, String::from_utf8_lossy(&payload))
                    }
                    GroupAction::Event(GroupEvent::Dropped { payload, .. }) => {
                        format!("dropped: {}", String::from_utf8_lossy(&payload))
                    }
                    GroupAction::Event(GroupEvent::Frozen | GroupEvent::Duplicate { .. }) => continue,
                    GroupAction::Event(GroupEvent::Silent { id, .. }) => {
                        let silent = self.net.nodes.iter().find(|n| n.id == id).unwrap();
                        format!("{} is silent", silent.name)
                    }
                    GroupAction::Event(GroupEvent::StatusComplete { view }) => {
                        format!("status of view {} complete", view.epoch)
                    }
                    GroupAction::Event(event) => format!("{event:?}"),
                    GroupAction::Reply { outcome, .. } => match outcome {
                        Outcome::Done { version, without_quorum, .. } => {
                            format!("done {version}{}", if without_quorum { " without quorum" } else { "" })
                        }
                        Outcome::Rejected { text, .. } => format!("rejected: {text}"),
                        Outcome::NoQuorum { why } => format!("no quorum: {why}"),
                        Outcome::Busy => "busy".into(),
                        Outcome::Unknown => "unknown".into(),
                    },
                    GroupAction::Read { answer: ReadAnswer::Is { at, .. }, .. } => {
                        format!("read at {}/{}", at.view.epoch, at.n)
                    }
                    GroupAction::Read { answer: ReadAnswer::Unavailable { why }, .. } => {
                        format!("read unavailable: {why}")
                    }
                    GroupAction::Left => "gone".into(),
                    GroupAction::Log { level, text } if level >= Level::Error => format!("error: {text}"),
                    GroupAction::Log { text, .. } if std::env::var_os("EVERBEAT_LOG").is_some() => text,
                    _ => continue,
                };
                writeln!(self.out, "         {name} {text}").unwrap();
            }
            for (what, n) in counted {
                writeln!(self.out, "         {name} {n} of the burst: {what}").unwrap();
            }
        }
    }
}

/// A client's token from a short word.
fn ident(word: &str) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(word.bytes()).for_each(|(to, from)| *to = from);
    bytes
}

fn first(text: &str) -> &str {
    // Identities of incarnations are the same in every run, but of no interest.
    text.lines().next().unwrap_or_default().split(',').next().unwrap_or_default()
}

fn describe(v: &View) -> String {
    let names: Vec<&str> = v.members.iter().map(|m| m.name.as_str()).collect();
    let mut text = format!("view {}: {}, DC {}", v.id.epoch, names.join(" "), v.member(v.dc).unwrap().name);
    text += match (v.exclusive, v.writable, v.tie) {
        (true, ..) => ", quorum",
        (false, true, _) => ", may write",
        (false, false, true) => ", tie",
        (false, false, false) => ", no quorum",
    };
    for out in &v.out {
        write!(text, ", without {} ({:?})", out.name, out.reason).unwrap();
    }
    if v.announce {
        text += ", announce";
    }
    if !v.conflicts.is_empty() {
        write!(text, ", {} conflicts", v.conflicts.len()).unwrap();
    }
    format!("{text} [{}]", v.why)
}

fn play(script: &str) -> String {
    let mut talk: Option<Talk> = None;
    for line in script.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        match &mut talk {
            None => {
                let words: Vec<&str> = line.split_whitespace().collect();
                assert_eq!(words[0], "nodes", "a conversation begins with nodes N");
                let n: usize = words[1].parse().unwrap();
                let tune: fn(&mut GroupConfig) = match words.get(2) {
                    Some(&"fencing") => fencing,
                    Some(&"ping") => ping,
                    Some(&"ignore") => ignore,
                    Some(&"autojoin") => autojoin,
                    Some(&"alone") => alone,
                    Some(&"pings") => pings,
                    Some(&"strangers") => strangers,
                    Some(&"lists") => lists,
                    _ => |_| {},
                };
                talk = Some(Talk {
                    net: Net::tuned(n, tune),
                    out: String::new(),
                    shown: vec![0; n],
                    bursts: BTreeSet::new(),
                });
            }
            Some(talk) => talk.command(line),
        }
    }
    talk.unwrap().out
}

/// Every conversation goes as written down.
#[test]
fn conversations() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conversations");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    let rewrite = std::env::var_os("EVERBEAT_REWRITE").is_some();
    let mut differ = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (script, expected) = text.split_once("----\n").unwrap_or((&text, ""));
        let got = play(script);
        if rewrite {
            std::fs::write(&file, format!("{}\n----\n{got}", script.trim_end())).unwrap();
        } else if got != expected {
            let at = got.lines().zip(expected.lines()).position(|(a, b)| a != b).unwrap_or(0);
            differ.push(format!(
                "{}: line {}\n   got  {}\n   want {}",
                file.display(),
                at + 1,
                got.lines().nth(at).unwrap_or("nothing"),
                expected.lines().nth(at).unwrap_or("nothing")
            ));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
}
