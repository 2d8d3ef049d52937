//! `cl_status`: heartbeat's view of nodes and links, in its words and with its exit statuses.
//!
//! Texts and statuses as observed with Heartbeat 3.0.6 in a cluster with one of our nodes.

use std::ffi::OsString;
use std::fmt::Write;

use ccm::config::Config;

use crate::api::proto::{ClusterState, Peer};
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
    let answer = match Asked::parse(&words) {
        Err(answer) => answer,
        Ok(asked) => match Source::open_live("cl_status").and_then(|mut source| source.state()) {
            Ok(Some(state)) => {
                let paths = super::config::paths(None);
                let config = ccm::config::read_config(&paths.ha_cf()).ok();
                asked.answer(&state, config.as_ref())
            }
            Ok(None) | Err(_) if asked.command == "hbstatus" => {
                Answer::says("Heartbeat is stopped on this machine.\n", FAILURE)
            }
            Ok(None) => Answer::fails("Cannot signon with heartbeat\n", FAILURE),
            Err(error) => {
                let text = format!("Cannot signon with heartbeat\nREASON: {error}\n");
                Answer::fails(text, FAILURE)
            }
        },
    };
    super::config::print(&answer.out);
    eprint!("{}", answer.err);
    answer.status
}

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
    fn parse(words: &[String]) -> Result<Asked, Answer> {
        let Some((command, words)) = words.split_first() else { return Err(Answer::says(HELP, OK)) };
        let known = [
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
        if command == "--help" || command == "-h" {
            return Err(Answer::says(HELP, OK));
        }
        if !known.contains(&command.as_str()) {
            return Err(Answer::fails(format!("{command}: invalid sub-command.\n"), PARAMETER));
        }
        let mut asked = Asked {
            command: command.clone(),
            sentence: false,
            normal: false,
            ping: false,
            verbose: false,
            parameter: None,
            rest: Vec::new(),
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match (word.as_str(), command.as_str()) {
                ("-m", _) => asked.sentence = true,
                ("-p", "hbparameter") => asked.parameter = words.next().cloned(),
                ("-p", "listnodes") => asked.ping = true,
                ("-n", "listnodes") => asked.normal = true,
                ("-v", "listnodes" | "listhblinks" | "hbstatus") => asked.verbose = true,
                (option, _) if option.len() > 1 && option.starts_with('-') => {
                    return Err(Answer::fails(
                        format!("{command}: invalid option -- '{option}'\n"),
                        PARAMETER,
                    ));
                }
                (word, _) => asked.rest.push(word.to_owned()),
            }
        }
        let needed = match command.as_str() {
            "nodestatus" | "nodetype" | "nodeweight" | "nodesite" | "listhblinks" => 1,
            "hblinkstatus" | "clientstatus" => 2,
            _ => 0,
        };
        if asked.rest.len() < needed {
            return Err(Answer::fails("Not enough parameters.\n", PARAMETER));
        }
        if command == "hbparameter" && asked.parameter.is_none() {
            return Err(Answer::fails("ERROR: parameter name required\n", PARAMETER));
        }
        Ok(asked)
    }

    fn answer(&self, state: &ClusterState, config: Option<&Config>) -> Answer {
        let nodes = Nodes { state, config };
        let argument = |i: usize| self.rest.get(i).map_or("", String::as_str);
        let name = argument(0);
        let peer = nodes.find(name);
        match (self.command.as_str(), peer) {
            ("hbstatus", _) => {
                let mut out = "Heartbeat is running on this machine.\n".to_owned();
                if self.verbose {
                    out = format!(
                        "version:\t{}\nmanaged by:\teverbeat\t(DC {})\n{}",
                        env!("CARGO_PKG_VERSION"),
                        if state.dc.is_empty() { "none" } else { &state.dc },
                        nodes.verbose(|_| true)
                    );
                }
                Answer::says(out, OK)
            }
            ("listnodes", _) => {
                let wanted = |p: &Peer| {
                    let ping = nodes.kind(p) == "ping";
                    !(self.normal && ping || self.ping && !ping)
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
                    None => Answer::fails("ERROR: Cannot get heartbeat link status\n", UNKNOWN),
                    Some(link) => {
                        let word = if link.up { "up" } else { "dead" };
                        let sentence = format!("The node {name}'s heartbeat link {wanted} is {word}");
                        Answer::says(self.say(word, &sentence), if link.up { OK } else { FAILURE })
                    }
                }
            }
            ("listhblinks", None) => {
                Answer::fails("ERROR: Cannot start heartbeat link interface walk.\n", UNKNOWN)
            }
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
            (_, Some(_)) => Answer::fails(format!("{}: invalid sub-command.\n", self.command), PARAMETER),
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
            None => Answer::fails(format!("ERROR: Cannot get parameter {name}'s value\n"), FAILURE),
        }
    }
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
        all.sort_by_key(|p| self.kind(p) == "ping");
        all
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
    use crate::api::proto::LinkState;

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

    /// Command line, standard output, status; the texts are those observed.
    #[track_caller]
    fn check(line: &str, out: &str, status: u8) {
        let config = Config::parse(
            "keepalive 200ms\nbcast eth0\nnode n1 n2 n3\nping 10.0.0.254\nweight n2=3\n",
            "ha.cf",
        )
        .unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let answer = Asked::parse(&words).map_or_else(|a| a, |a| a.answer(&state(), Some(&config)));
        assert_eq!((answer.out.as_str(), answer.status), (out, status), "{line}: {}", answer.err);
        assert_eq!(answer.out.is_empty(), !answer.err.is_empty(), "{line}");
    }

    #[test]
    fn words_and_statuses_are_those_of_heartbeat() {
        check("hbstatus", "Heartbeat is running on this machine.\n", 0);
        check("listnodes", "n1\nn2\nn3\n10.0.0.254\n", 0);
        check("listnodes -n", "n1\nn2\nn3\n", 0);
        check("listnodes -p", "10.0.0.254\n", 0);
        check("listnodes -m -p", "The nodes are as follow:\n10.0.0.254\n", 0);
        check("listnodes -p -v", "\n10.0.0.254\tping\t(nodetype: ping)\n", 0);
        check("nodestatus n2", "active\n", 0);
        check("nodestatus -m n2", "The cluster node n2 is active\n", 0);
        check("nodestatus n3", "dead\n", 1);
        check("nodestatus 10.0.0.254", "ping\n", 0);
        check("nodestatus nobody", "", 11);
        check("nodestatus", "", 11);
        check("nodestatus -x n2", "", 11);
        check("nodetype n2", "normal\n", 0);
        check("nodetype -m 10.0.0.254", "The node 10.0.0.254's type: ping\n", 0);
        check("nodeweight n1", "100\n", 0);
        check("nodeweight -m n2", "The weight of the cluster node n2 is 3\n", 0);
        check("nodesite n2", "\n", 0);
        check("listhblinks n2", "\teth0\n\teth1\n", 0);
        check("listhblinks nobody", "", 13);
        check("hblinkstatus n2 eth0", "up\n", 0);
        check("hblinkstatus n2 eth1", "dead\n", 1);
        check("hblinkstatus -m n2 eth0", "The node n2's heartbeat link eth0 is up\n", 0);
        check("hblinkstatus n2 eth9", "", 13);
        check("hblinkstatus n2", "", 11);
        check("clientstatus n2 crmd", "online\n", 0);
        check("clientstatus n2 nonsense", "offline\n", 1);
        check("clientstatus n3 crmd 1000", "offline\n", 1);
        check("rscstatus", "none\n", 0);
        check("rscstatus -m", "This node is holding none resources.\n", 0);
        check("hbparameter -p keepalive", "200ms\n", 0);
        check("hbparameter -m -p keepalive", "Heartbeat parameter keepalive's value: 200ms\n", 0);
        check("hbparameter -p nonsense", "", 1);
        check("hbparameter keepalive", "", 11);
        check("bogus", "", 11);
        check("", HELP, 0);
    }
}
