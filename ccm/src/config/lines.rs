//! Media, ping nodes and the whole-line directives of `ha.cf`.

use std::net::IpAddr;
use std::path::PathBuf;

use super::parse::{MEDIA_MAX, Parser};
use super::set::small;
use super::types::*;
use super::value::is_node_name;

/// Programs that used to be separate and are part of Everbeat.
const BUILT_IN: &[&str] = &[
    "ipfail", "mgmtd", "ccm", "pingd", "apphbd", "cib", "stonithd", "lrmd", "attrd", "crmd", "pengine",
    "tengine", "ha_logd", "logd",
];

impl Parser {
    pub(super) fn ping(&mut self, name: &str, value: &str, line: u32) -> bool {
        let host = Host::new(value);
        let v6 = name == "ping6";
        if let Host::Address(address) = &host
            && address.is_ipv6() != v6
        {
            let expected = if v6 {
                "an IPv6 address or a host name"
            } else {
                "an IPv4 address or a host name (ping6 for IPv6)"
            };
            return self.bad(name, value, line, expected);
        }
        if matches!(host, Host::Name(_)) && !is_host_name(value) {
            return self.bad(name, value, line, "an address or a host name");
        }
        let node = PingNode { name: value.to_string(), hosts: vec![host], v6, group: false, line };
        self.ping_node(node)
    }

    fn ping_node(&mut self, node: PingNode) -> bool {
        if let Some(other) = self.config.ping.iter().find(|p| p.name == node.name) {
            let what = format!("ping node \"{}\" is already listed on line {}", node.name, other.line);
            self.problems.warn("repeated-medium", node.line, what);
            return true;
        }
        if self.config.ping.len() + self.config.media.len() >= MEDIA_MAX {
            self.problems.error(
                "too-many",
                node.line,
                "too many media",
                node.name,
                format!("at most {MEDIA_MAX} with ping nodes"),
            );
            return false;
        }
        self.config.ping.push(node);
        true
    }

    /// Words after the last one that is read.
    fn ignored(&mut self, name: &str, rest: &[&str], line: u32) {
        if !rest.is_empty() {
            let what = format!("\"{}\" at the end of the {name} line is ignored", rest.join(" "));
            self.problems.warn("rest-ignored", line, what);
        }
    }

    pub(super) fn udp_medium(&mut self, name: &str, iface: &str, spec: MediumSpec, line: u32) -> bool {
        if !is_interface(iface) {
            return self.bad(name, iface, line, "an interface name, such as eth0");
        }
        self.udp_media_line.get_or_insert(line);
        self.medium(spec, line)
    }

    pub(super) fn medium(&mut self, spec: MediumSpec, line: u32) -> bool {
        if let Some(other) = self.config.media.iter().find(|m| m.spec == spec) {
            let what = format!("medium \"{spec}\" is already listed on line {}", other.line);
            self.problems.warn("repeated-medium", line, what);
            return true;
        }
        if self.config.ping.len() + self.config.media.len() >= MEDIA_MAX {
            self.problems.error(
                "too-many",
                line,
                "too many media",
                spec.to_string(),
                format!("at most {MEDIA_MAX} with ping nodes"),
            );
            return false;
        }
        self.config.media.push(Medium { spec, line });
        true
    }

    /// One whole-line directive; false when it was refused.
    pub(super) fn whole_line(&mut self, name: &'static str, syntax: &str, rest: &str, line: u32) -> bool {
        let words: Vec<&str> = rest.split_ascii_whitespace().collect();
        match (name, words.as_slice()) {
            ("mcast" | "mcast6", [iface, group, port, ttl, loopback, rest @ ..]) => {
                self.ignored(name, rest, line);
                let v6 = name == "mcast6";
                let group: IpAddr = match group.parse() {
                    Ok(IpAddr::V4(a)) if a.is_multicast() && !v6 => IpAddr::V4(a),
                    Ok(IpAddr::V6(a)) if a.is_multicast() && v6 => IpAddr::V6(a),
                    _ => {
                        let range = if v6 {
                            "an IPv6 multicast group (ff00::/8)"
                        } else {
                            "a multicast group (224.0.0.0 to 239.255.255.255)"
                        };
                        return self.bad(name, group, line, range);
                    }
                };
                let port = self
                    .number("port of multicast", port, line, 1, 65535)
                    .and_then(|n| u16::try_from(n).ok());
                let ttl = self.number("ttl of multicast", ttl, line, 0, 4).and_then(small);
                let loopback = self.number("loop of multicast", loopback, line, 0, 1);
                let (Some(port), Some(ttl), Some(loopback)) = (port, ttl, loopback) else { return false };
                let spec = MediumSpec::Mcast {
                    iface: (*iface).to_string(),
                    group,
                    port,
                    ttl,
                    loopback: loopback == 1,
                };
                self.udp_medium(name, iface, spec, line)
            }
            ("ucast" | "ucast6", [iface, peer, rest @ ..]) => {
                self.ignored(name, rest, line);
                let v6 = name == "ucast6";
                let host = Host::new(peer);
                let fits = match &host {
                    Host::Address(a) => a.is_ipv6() == v6,
                    Host::Name(n) => is_host_name(n),
                };
                if !fits {
                    let family = if v6 { "an IPv6 address" } else { "an IPv4 address" };
                    return self.bad(name, peer, line, format!("{family} or a host name"));
                }
                if self.bind.is_some_and(|b| b.is_ipv6() != v6) {
                    return self.bad(name, peer, line, "a peer of the same address family as bindaddr");
                }
                let spec = MediumSpec::Ucast {
                    iface: (*iface).to_string(),
                    peer: host,
                    port: self.udpport,
                    v6,
                    bind: self.bind,
                };
                self.udp_medium(name, iface, spec, line)
            }
            ("ping_group", [group, hosts @ ..]) if !hosts.is_empty() => {
                if !is_node_name(group) {
                    return self.bad(name, group, line, "a name");
                }
                if let Some(bad) =
                    hosts.iter().find(|h| matches!(Host::new(h), Host::Name(n) if !is_host_name(&n)))
                {
                    return self.bad(name, bad, line, "addresses or host names");
                }
                let hosts = hosts.iter().map(|h| Host::new(h)).collect();
                self.ping_node(PingNode { name: (*group).to_string(), hosts, v6: false, group: true, line })
            }
            ("stonith", [kind, file]) => {
                if !file.starts_with('/') {
                    return self.bad(name, file, line, "the full path of the device's configuration file");
                }
                let parameters = StonithParameters::File(PathBuf::from(file));
                self.stonith("*", kind, parameters, line)
            }
            ("stonith_host", [node, kind, parameters @ ..]) => {
                let parameters = parameters.iter().map(|p| (*p).to_string()).collect();
                self.stonith(node, kind, StonithParameters::Inline(parameters), line)
            }
            ("respawn" | "failfast", [user, command, arguments @ ..]) => {
                self.client(name == "failfast", user, command, arguments, line)
            }
            ("apiauth", [client, lists @ ..]) => self.api_auth(client, lists, line),
            ("rds", _) => true,
            _ => {
                self.problems.error(
                    "bad-line",
                    line,
                    format!("bad \"{name}\" line"),
                    rest,
                    format!("{name} {syntax}"),
                );
                false
            }
        }
    }

    fn stonith(&mut self, node: &str, kind: &str, parameters: StonithParameters, line: u32) -> bool {
        let node = if node == "*" {
            "*".to_string()
        } else {
            let Some(name) = self.node_name("stonith_host", node, line) else { return false };
            name
        };
        let bad_part = |part: &str| part.is_empty() || part.starts_with('.') || !is_interface(part);
        if kind.split('/').any(bad_part) {
            return self.bad("stonith", kind, line, "a device type, such as external/ssh");
        }
        self.config.stonith.push(StonithLine { node, kind: kind.to_string(), parameters, line });
        true
    }

    fn client(&mut self, failfast: bool, user: &str, command: &str, arguments: &[&str], line: u32) -> bool {
        let name = if failfast { "failfast" } else { "respawn" };
        let base = command.rsplit('/').next().unwrap_or(command);
        let builtin = BUILT_IN.iter().copied().find(|b| *b == base);
        if builtin.is_none() && !command.starts_with('/') {
            return self.bad(name, command, line, "the full path of a program");
        }
        if let Some(builtin) = builtin {
            self.problems.note("built-in", line, format!("\"{builtin}\" is built in; {command} is not run"));
        }
        self.config.clients.push(ClientLine {
            failfast,
            user: user.to_string(),
            command: PathBuf::from(command),
            arguments: arguments.iter().map(|a| (*a).to_string()).collect(),
            builtin,
            line,
        });
        true
    }

    fn api_auth(&mut self, client: &str, lists: &[&str], line: u32) -> bool {
        const SYNTAX: &str = "apiauth CLIENT [uid=NAME,...] [gid=NAME,...], at least one list";
        let mut auth =
            ApiAuth { client: client.to_string(), uids: Vec::new(), gids: Vec::new(), line: Some(line) };
        for list in lists {
            let target = match list.split_once('=') {
                Some(("uid", names)) => Some((&mut auth.uids, names)),
                Some(("gid", names)) => Some((&mut auth.gids, names)),
                _ => None,
            };
            let Some((target, names)) = target else {
                self.problems.error(
                    "bad-apiauth",
                    line,
                    format!("bad list in apiauth of \"{client}\""),
                    *list,
                    SYNTAX,
                );
                return false;
            };
            if !target.is_empty() {
                self.problems.error(
                    "bad-apiauth",
                    line,
                    format!("the same list twice in apiauth of \"{client}\""),
                    *list,
                    SYNTAX,
                );
                return false;
            }
            target.extend(names.split(',').filter(|n| !n.is_empty()).map(str::to_string));
            if target.is_empty() {
                let what =
                    format!("the list \"{list}\" in apiauth of \"{client}\" is empty: nobody is in it");
                self.problems.warn("empty-list", line, what);
            }
        }
        if lists.is_empty() {
            self.problems.error(
                "bad-apiauth",
                line,
                format!("apiauth of \"{client}\" without a list"),
                "",
                SYNTAX,
            );
            return false;
        }
        if let Some(index) = self.config.apiauth.iter().position(|a| a.client == client) {
            let first = self.config.apiauth.get(index).and_then(|a| a.line).unwrap_or(0);
            if !BUILT_IN.contains(&client) {
                self.problems.error(
                    "repeated",
                    line,
                    format!("apiauth of \"{client}\" is already given on line {first}"),
                    lists.join(" "),
                    "one apiauth line a client",
                );
                return false;
            }
            // Copied from many a tutorial; the program is built in, so nothing is lost by it.
            self.problems.warn(
                "repeated-apiauth",
                line,
                format!("apiauth of \"{client}\" is already given on line {first}; this one holds"),
            );
            self.config.apiauth.remove(index);
        }
        if client != super::check::API_CLIENT {
            let why = if BUILT_IN.contains(&client) {
                "it is built in"
            } else {
                "no program connects by that name"
            };
            let what = format!(
                "apiauth of \"{client}\" has no effect here: {why}; \"apiauth everbeat\" decides who may administer"
            );
            self.problems.note("no-effect", line, what);
        }
        self.config.apiauth.push(auth);
        true
    }
}

/// Whether `name` can be an interface: at most 15 bytes with Linux, but aliases and words of other
/// lists are longer, so only the characters are looked at.
fn is_interface(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 64
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'@' | b'+'))
}

/// Whether a word can be the name of a host: a mistyped address (10.0.0.256) is none.
fn is_host_name(name: &str) -> bool {
    is_node_name(name) && !name.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}
