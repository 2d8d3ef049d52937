//! `cl_status`: heartbeat's view of nodes and links, in its words and with its exit statuses.
//!
//! Texts and statuses as observed with Heartbeat 3.0.6 in a cluster with one of our nodes.

use std::ffi::OsString;
use std::fmt::Write;

use ccm::config::Config;

use crate::api::proto::{ClusterState, LinkState, Peer};
use crate::source::Source;

const OK: u8 = 0;
const FAILURE: u8 = 1;
const PARAMETER: u8 = 11;
const UNKNOWN: u8 = 13;

const HELP: &str = "\
Usage: cl_status SUB-COMMAND [OPTION...] [PARAMETER...]

Sub-commands:
  hbstatus [-v]                      whether the cluster software runs here
  listnodes [-n | -p] [-v]           the nodes; -n without ping nodes, -p ping nodes only
  nodestatus NODE                    init, up, active, dead, ping
  nodetype NODE                      normal or ping
  nodeweight NODE                    votes
  nodesite NODE                      empty: nodes have no sites
  listhblinks [-v] NODE              media on which the node is heard
  hblinkstatus NODE LINK             up or dead
  clientstatus NODE CLIENT [MS]      whether a part of the cluster software runs there
  rscstatus                          none, local, foreign, all or transition
  hbparameter -p NAME                a parameter of ha.cf as it is written

Option of all: -m, a sentence instead of a word.
";

/// Parts of the cluster software that clients of Heartbeat ask for by these names; they are all in one
/// process here.
const PARTS: [&str; 8] = ["ccm", "cib", "crmd", "pengine", "lrmd", "stonithd", "attrd", "pingd"];

/// What a sub-command says and how it ends.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    out: String,
    err: String,
    status: u8,
}

impl Answer {
    fn says(out: impl Into<String>, status: u8) -> Answer {
        Answer { out: out.into(), err: String::new(), status }
    }

    fn fails(err: impl Into<String>, status: u8) -> Answer {
        Answer { out: String::new(), err: err.into(), status }
    }

    fn no_node() -> Answer {
        Answer::fails("Error. May be due to incorrect node name\n", PARAMETER)
    }
}

pub fn run(_name: &str, arguments: Vec<OsString>) -> u8 {
    let words: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let answer = ask(&words, || {
        let state = Source::open_live("cl_status").and_then(|mut source| source.state()).ok().flatten()?;
        let paths = super::config::paths(None);
        Some((state, ccm::config::read_config(&paths.ha_cf()).ok()))
    });
    super::config::print(&answer.out);
    for line in answer.err.lines() {
        match line.strip_prefix(LOGGED) {
            Some(text) => eprintln!("{}{text}", prefix()),
            None => eprintln!("{line}"),
        }
    }
    answer.status
}

/// Begins an error that the reference says in the form of a log line.
const LOGGED: &str = "log: ";

fn prefix() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    let now = jiff::Zoned::now().strftime("%b %d %H:%M:%S").to_string();
    format!("{now} {host} cl_status: [{}]: ERROR: ", std::process::id())
}

/// The answer to a command line; `state` is asked for when it is needed, and none is a stopped node.
fn ask(words: &[String], state: impl FnOnce() -> Option<(ClusterState, Option<Config>)>) -> Answer {
    let Some((command, rest)) = words.split_first() else { return Answer::says(HELP, OK) };
    if command == "--help" || command == "-h" {
        return Answer::says(HELP, OK);
    }
    if !COMMANDS.contains(&command.as_str()) {
        return Answer::fails(format!("{LOGGED}{command}: invalid sub-command.\n"), PARAMETER);
    }
    let state = state();
    if command == "hbstatus" {
        return hbstatus(rest, state.as_ref());
    }
    // The reference signs on before it looks at the rest.
    let Some((state, config)) = state else {
        let why = format!("{LOGGED}Cannot signon with heartbeat\n{LOGGED}REASON: {NO_SIGNON}\n");
        return Answer::fails(why, FAILURE);
    };
    match Asked::parse(command, rest) {
        Ok(asked) => asked.answer(&state, config.as_ref()),
        Err(answer) => answer,
    }
}

const NO_SIGNON: &str = "hb_api_signon: Can't initiate connection to heartbeat";

/// Whether the software runs; a wrong option is complained about and changes nothing.
fn hbstatus(options: &[String], state: Option<&(ClusterState, Option<Config>)>) -> Answer {
    let mut err = String::new();
    let mut verbose = false;
    for letter in options.iter().filter_map(|o| o.strip_prefix('-')).flat_map(str::chars) {
        match letter {
            'v' => verbose = true,
            'm' => {}
            other => _ = writeln!(err, "hbstatus: invalid option -- '{other}'"),
        }
    }
    let Some((state, config)) = state else {
        let mut out = "Heartbeat is stopped on this machine.\n".to_owned();
        if verbose {
            _ = writeln!(out, "({NO_SIGNON})");
        }
        return Answer { out, err, status: FAILURE };
    };
    let mut out = "Heartbeat is running on this machine.\n".to_owned();
    if verbose {
        out = format!(
            "version:\t{}\nmanaged by:\teverbeat\t(DC {})\n{}",
            env!("CARGO_PKG_VERSION"),
            if state.dc.is_empty() { "none" } else { &state.dc },
            Nodes { state, config: config.as_ref() }.verbose(|_| true)
        );
    }
    Answer { out, err, status: OK }
}

const COMMANDS: [&str; 11] = [
    "hbstatus",
    "listnodes",
    "nodestatus",
    "nodetype",
    "nodeweight",
    "nodesite",
    "listhblinks",
    "hblinkstatus",
    "clientstatus",
    "rscstatus",
    "hbparameter",
];

/// A sub-command with its options.
#[derive(Debug)]
struct Asked {
    command: String,
    sentence: bool,
    normal: bool,
    ping: bool,
    verbose: bool,
    parameter: Option<String>,
    rest: Vec<String>,
}

impl Asked {
    fn parse(command: &str, words: &[String]) -> Result<Asked, Answer> {
        let mut asked = Asked {
            command: command.to_owned(),
            sentence: false,
            normal: false,
            ping: false,
            verbose: false,
            parameter: None,
            rest: Vec::new(),
        };
        let wrong = |what: &str| {
            // The reference's own slip of the pen, in two forms.
            let code =
                if matches!(command, "listnodes" | "hbparameter") { "character code" } else { "character" };
            let text = format!("{command}: {what}\n{LOGGED}Error: getopt returned{code} ?.\n");
            Answer::fails(text, PARAMETER)
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let letters = word.strip_prefix('-').filter(|l| !l.is_empty());
            let Some(letters) = letters else {
                asked.rest.push(word.clone());
                continue;
            };
            let mut letters = letters.chars();
            while let Some(letter) = letters.next() {
                match (letter, command) {
                    ('m', _) => asked.sentence = true,
                    ('p', "hbparameter") => {
                        let joined = letters.as_str().to_owned();
                        letters = "".chars();
                        let value = if joined.is_empty() { words.next().cloned() } else { Some(joined) };
                        let missing = || wrong("option requires an argument -- 'p'");
                        asked.parameter = Some(value.ok_or_else(missing)?);
                    }
                    ('p', "listnodes") => asked.ping = true,
                    ('n', "listnodes") => asked.normal = true,
                    ('v', "listnodes" | "listhblinks") => asked.verbose = true,
                    (other, _) => return Err(wrong(&format!("invalid option -- '{other}'"))),
                }
            }
        }
        let few = |text: &str| Err(Answer::fails(text, PARAMETER));
        match (command, asked.rest.len()) {
            ("nodestatus" | "nodeweight" | "nodesite", 0) => few("Not enough parameters.\n"),
            ("nodetype" | "listhblinks", 0) | ("hblinkstatus" | "clientstatus", 0 | 1) => {
                few("No enough parameter.\n")
            }
            ("hbparameter", _) if asked.parameter.is_none() => {
                few(&format!("{LOGGED}parameter name required\n"))
            }
            _ => Ok(asked),
        }
    }

    fn answer(&self, state: &ClusterState, config: Option<&Config>) -> Answer {
        let nodes = Nodes { state, config };
        let argument = |i: usize| self.rest.get(i).map_or("", String::as_str);
        let name = argument(0);
        let peer = nodes.find(name);
        match (self.command.as_str(), peer) {
            ("listnodes", _) => {
                let wanted = |p: &Peer| {
                    let ping = nodes.kind(p) == "ping";
                    self.normal == self.ping || self.ping == ping
                };
                if self.verbose {
                    return Answer::says(nodes.verbose(wanted), OK);
                }
                let head = if self.sentence { "The nodes are as follow:\n" } else { "" };
                let names = nodes.all().into_iter().filter(wanted).map(|p| format!("{}\n", p.name));
                Answer::says(head.to_owned() + &names.collect::<String>(), OK)
            }
            ("rscstatus", _) => {
                let word = resources(state);
                let sentence = format!("This node is holding {word} resources.");
                Answer::says(self.say(word, &sentence), OK)
            }
            ("hbparameter", _) => self.parameter(config),
            ("hblinkstatus", peer) => {
                let wanted = argument(1);
                let link = peer.as_ref().and_then(|p| p.links.iter().find(|l| l.name == wanted));
                match link {
                    None => logged("Cannot get heartbeat link status", "", UNKNOWN),
                    Some(link) => {
                        let word = if link.up { "up" } else { "dead" };
                        let sentence = format!("The node {name}'s heartbeat link {wanted} is {word}");
                        Answer::says(self.say(word, &sentence), if link.up { OK } else { FAILURE })
                    }
                }
            }
            ("listhblinks", None) => logged("Cannot start heartbeat link interface walk.", "EINVAL", UNKNOWN),
            ("clientstatus", None) => {
                let what = format!("Cannot get heartbeat client {}'s status", argument(1));
                logged(&what, "No timely response.", UNKNOWN)
            }
            ("nodeweight", None) => Answer::fails("Error. Maybe due to incorrect node name.\n", PARAMETER),
            (_, None) => Answer::no_node(),
            ("nodestatus", Some(p)) => {
                let word = nodes.status(&p);
                let sentence = format!("The cluster node {name} is {word}");
                Answer::says(self.say(word, &sentence), if word == "dead" { FAILURE } else { OK })
            }
            ("nodetype", Some(p)) => {
                let word = nodes.kind(&p);
                Answer::says(self.say(word, &format!("The node {name}'s type: {word}")), OK)
            }
            ("nodeweight", Some(_)) => {
                let votes = config.map_or(100, |c| {
                    let said = c.weight.iter().any(|w| w.value.0.eq_ignore_ascii_case(name));
                    if said { c.votes(name) } else { 100 }
                });
                let word = votes.to_string();
                let sentence = format!("The weight of the cluster node {name} is {votes}");
                Answer::says(self.say(&word, &sentence), OK)
            }
            ("nodesite", Some(_)) => {
                Answer::says(self.say("", &format!("The site of the cluster node {name} is ")), OK)
            }
            ("listhblinks", Some(p)) => {
                let mut out = String::new();
                if self.sentence {
                    out.push_str("\tthis node has the following heartbeat links:\n");
                }
                out.push_str(&links(&p, self.verbose));
                Answer::says(out, OK)
            }
            ("clientstatus", Some(p)) => {
                let here = ["active", "up"].contains(&nodes.status(&p)) && p.state != "foreign";
                let online = here && PARTS.contains(&argument(1));
                let word = if online { "online" } else { "offline" };
                Answer::says(format!("{word}\n"), u8::from(!online))
            }
            (_, Some(_)) => {
                Answer::fails(format!("{LOGGED}{}: invalid sub-command.\n", self.command), PARAMETER)
            }
        }
    }

    fn say(&self, word: &str, sentence: &str) -> String {
        format!("{}\n", if self.sentence { sentence } else { word })
    }

    fn parameter(&self, config: Option<&Config>) -> Answer {
        let name = self.parameter.as_deref().unwrap_or_default();
        match config.and_then(|c| c.parameter(name)) {
            Some(value) => {
                let sentence = format!("Heartbeat parameter {name}'s value: {value}");
                Answer::says(self.say(value, &sentence), OK)
            }
            None => logged(&format!("Cannot get parameter {name}'s value"), "", FAILURE),
        }
    }
}

/// An error in two lines of a log.
fn logged(what: &str, reason: &str, status: u8) -> Answer {
    Answer::fails(format!("{LOGGED}{what}\n{LOGGED}REASON: {reason}\n"), status)
}

fn links(peer: &Peer, verbose: bool) -> String {
    let mut out = String::new();
    for link in &peer.links {
        let state = if link.up { "up" } else { "dead" };
        // Writing to a string does not fail.
        let _ = if verbose {
            writeln!(out, "\t{}\t{state}", link.name)
        } else {
            writeln!(out, "\t{}", link.name)
        };
    }
    out
}

/// Nodes in Heartbeat's words.
struct Nodes<'a> {
    state: &'a ClusterState,
    config: Option<&'a Config>,
}

impl Nodes<'_> {
    /// All nodes; this one too before it is in a view.
    fn all(&self) -> Vec<Peer> {
        let mut all = self.state.peers.clone();
        if !all.iter().any(|p| p.name.eq_ignore_ascii_case(&self.state.node)) {
            all.push(Peer {
                name: self.state.node.clone(),
                id: self.state.node_id.clone(),
                state: "active".to_owned(),
                ..Peer::default()
            });
        }
        for peer in &mut all {
            self.complete(peer);
        }
        // The last in ha.cf comes first, as in the reference's list.
        all.sort_by_key(|p| std::cmp::Reverse(self.place(&p.name)));
        all
    }

    /// Where `ha.cf` names it: members before ping nodes.
    fn place(&self, name: &str) -> usize {
        let Some(config) = self.config else { return 0 };
        let members = config.nodes.iter().map(|n| &n.value);
        let named =
            members.chain(config.ping.iter().map(|p| &p.name)).position(|n| n.eq_ignore_ascii_case(name));
        named.map_or(0, |at| at + 1)
    }

    /// Every medium is a link of every member, one not heard on is dead; a ping node is its own link.
    fn complete(&self, peer: &mut Peer) {
        let own = peer.name.eq_ignore_ascii_case(&self.state.node);
        if self.kind(peer) == "ping" {
            if peer.links.is_empty() {
                peer.links.push(LinkState { name: peer.name.clone(), up: peer.state == "ping" });
            }
            return;
        }
        for endpoint in self.config.map(|c| ccm::medium::endpoints(&c.media)).unwrap_or_default() {
            let name = endpoint.name();
            if !peer.links.iter().any(|l| l.name == name) {
                peer.links.push(LinkState { name, up: own });
            }
        }
    }

    fn find(&self, name: &str) -> Option<Peer> {
        self.all().into_iter().find(|p| p.name.eq_ignore_ascii_case(name))
    }

    fn kind(&self, peer: &Peer) -> &'static str {
        let configured = self.config.is_some_and(|c| c.ping.iter().any(|p| p.name == peer.name));
        if configured || peer.state == "ping" { "ping" } else { "normal" }
    }

    fn status(&self, peer: &Peer) -> &'static str {
        if peer.name.eq_ignore_ascii_case(&self.state.node) {
            return "active";
        }
        match peer.state.as_str() {
            "active" | "foreign" => "active",
            "ping" => "ping",
            "unseen" => "init",
            _ => "dead",
        }
    }

    fn verbose(&self, wanted: impl Fn(&Peer) -> bool) -> String {
        let mut out = String::new();
        for peer in self.all().iter().filter(|p| wanted(p)) {
            let (status, kind) = (self.status(peer), self.kind(peer));
            // Writing to a string does not fail.
            let _ = write!(out, "\n{}\t{status}\t(nodetype: {kind})\n{}", peer.name, links(peer, true));
        }
        out
    }
}

/// Which resources are active: on this node, on others, on both, or on the move.
fn resources(state: &ClusterState) -> &'static str {
    if !state.idle {
        return "transition";
    }
    let Ok(cib) = cib::Cib::parse(&state.cib) else { return "none" };
    let view = crate::view::View::new(&cib);
    let (mut local, mut foreign) = (false, false);
    for id in view.leaves() {
        let Some(resource) = view.resource(&id) else { continue };
        for (node, _) in view.active(resource) {
            let here = node.eq_ignore_ascii_case(&state.node);
            local |= here;
            foreign |= !here;
        }
    }
    match (local, foreign) {
        (true, true) => "all",
        (true, false) => "local",
        (false, true) => "foreign",
        (false, false) => "none",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The cluster of the record: this node, one that was never heard, a ping node that does not answer.
    fn recorded() -> (ClusterState, Option<Config>) {
        let peer =
            |name: &str, state: &str| Peer { name: name.into(), state: state.into(), ..Peer::default() };
        let state = ClusterState {
            node: "n1".into(),
            idle: true,
            peers: vec![peer("10.99.0.9", "dead"), peer("n1", "active"), peer("n2", "dead")],
            ..ClusterState::default()
        };
        let text = "keepalive 200ms\ndeadtime 3\nwarntime 1\ninitdead 5\nudpport 694\nbcast eth0\n\
                    auto_failback off\nnode n1\nnode n2\nping 10.99.0.9\nlogfile /var/log/ha-log\n";
        (state, Some(Config::parse(text, "ha.cf").unwrap()))
    }

    /// In the form of the record.
    fn shown(command: &str, answer: &Answer) -> String {
        let mut text = format!("$ {command}\n");
        for line in answer.out.lines() {
            text += &format!("out: {line}\n");
        }
        for line in answer.err.lines() {
            let head = if line.starts_with(LOGGED) { "" } else { "err: " };
            text += &format!("{head}{line}\n");
        }
        text + &format!("rc: {}\n", answer.status)
    }

    /// Every sub-command, option and mistake of the record is answered as Heartbeat 3.0.6 does. In a
    /// cluster without resources it says "all", and we say that none is held.
    #[test]
    fn answers_are_those_of_heartbeat() {
        let golden = include_str!("../../golden/cl_status.answers");
        let commands = include_str!("../../golden/cl_status.commands");
        let all = |running: bool| -> String {
            let answer = |command: &str| {
                let words: Vec<String> = command.split_whitespace().map(str::to_owned).collect();
                shown(command, &ask(&words, || running.then(recorded)))
            };
            commands.lines().map(answer).collect()
        };
        let found = format!("# stopped\n{}# running\n{}", all(false), all(true));
        let wanted = golden
            .replace("$ rscstatus\nout: all\n", "$ rscstatus\nout: none\n")
            .replace("This node is holding all resources.", "This node is holding none resources.");
        for (wanted, found) in wanted.split("$ ").zip(found.split("$ ")) {
            assert_eq!(wanted, found);
        }
        assert_eq!(wanted.len(), found.len());
    }

    fn state() -> ClusterState {
        let link = |name: &str, up| LinkState { name: name.into(), up };
        let peer = |name: &str, state: &str, links: Vec<LinkState>| Peer {
            name: name.into(),
            state: state.into(),
            links,
            ..Peer::default()
        };
        ClusterState {
            node: "n1".into(),
            idle: true,
            peers: vec![
                peer("10.0.0.254", "ping", vec![]),
                peer("n1", "active", vec![link("eth0", true)]),
                peer("n2", "active", vec![link("eth0", true), link("eth1", false)]),
                peer("n3", "dead", vec![]),
            ],
            ..ClusterState::default()
        }
    }

    /// Command line, standard output, status.
    #[track_caller]
    fn check(line: &str, out: &str, status: u8) {
        let config = Config::parse(
            "keepalive 200ms\nbcast eth0 eth1\nnode n1 n2 n3\nping 10.0.0.254\nweight n2=3\n",
            "ha.cf",
        )
        .unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let answer = ask(&words, || Some((state(), Some(config))));
        assert_eq!((answer.out.as_str(), answer.status), (out, status), "{line}: {}", answer.err);
        assert_eq!(answer.out.is_empty(), !answer.err.is_empty(), "{line}");
    }

    #[test]
    fn a_cluster_of_members_links_and_ping_nodes() {
        check("listnodes", "10.0.0.254\nn3\nn2\nn1\n", 0);
        check("listnodes -n", "n3\nn2\nn1\n", 0);
        check("listnodes -p -v", "\n10.0.0.254\tping\t(nodetype: ping)\n\t10.0.0.254\tup\n", 0);
        check("nodestatus n2", "active\n", 0);
        check("nodestatus 10.0.0.254", "ping\n", 0);
        check("nodeweight -m n2", "The weight of the cluster node n2 is 3\n", 0);
        check("listhblinks -v n2", "\teth0\tup\n\teth1\tdead\n", 0);
        check("listhblinks -v n3", "\teth0\tdead\n\teth1\tdead\n", 0);
        check("hblinkstatus n2 eth0", "up\n", 0);
        check("hblinkstatus n2 eth1", "dead\n", 1);
        check("hblinkstatus -m n2 eth1", "The node n2's heartbeat link eth1 is dead\n", 1);
        check("clientstatus n2 crmd", "online\n", 0);
        check("clientstatus n2 nonsense", "offline\n", 1);
        check("clientstatus n3 crmd 1000", "offline\n", 1);
        check("", HELP, 0);
    }
}
