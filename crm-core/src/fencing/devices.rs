//! Fence devices and topology as the CIB configures them.
//!
//! Source: specification `agents.md` §6.3.1–§6.3.3, §6.3.6.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cib::{Cib, Element};
use lrm::AgentRef;

use crate::policy::values;

/// Default of `pcmk_ACTION_timeout` and `stonith-timeout`.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Default of `pcmk_ACTION_retries`: attempts in all.
const ATTEMPTS: u32 = 2;
/// Levels beyond are rejected.
const LEVELS: std::ops::RangeInclusive<u32> = 1..=9;

/// What the CIB says about fencing.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    devices: BTreeMap<String, Device>,
    levels: Vec<Level>,
    /// Permanent attributes of nodes, for topology by attribute.
    attributes: BTreeMap<String, BTreeMap<String, String>>,
}

/// A device.
#[derive(Debug, Clone, PartialEq)]
pub struct Device {
    pub id: String,
    pub agent: AgentRef,
    pub params: BTreeMap<String, String>,
    /// Nodes that may not use it.
    banned: BTreeSet<String>,
    /// Higher is tried first.
    pub priority: i32,
    /// A node needs it before it may use what the device guards (`provides=unfencing`).
    pub unfences: bool,
}

/// How it is found out whether a device can fence a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// By the configuration: yes or no.
    Static(bool),
    /// The agent's `list` must name it.
    List,
    /// The agent's `status` for the node must answer.
    Status,
}

#[derive(Debug, Clone, PartialEq)]
struct Level {
    target: Target,
    index: u32,
    devices: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
enum Target {
    Name(String),
    /// The text between the stars of a simple pattern; full expressions are matched piecewise.
    Pattern(String),
    Attribute(String, String),
}

impl Registry {
    /// Reads devices and topology. What is malformed is left out: the schema and the policy engine
    /// complain about it.
    pub fn read(cib: &Cib) -> Self {
        let mut registry = Self::default();
        let Some(resources) = cib.resources() else { return registry };
        let bans = bans(cib);
        for primitive in resources.descendants().filter(|e| e.name() == "primitive") {
            if primitive.attr("class") != Some("stonith") || is_stopped(primitive) {
                continue;
            }
            let (Some(id), Some(kind)) = (primitive.id(), primitive.attr("type")) else { continue };
            let Ok(agent) = AgentRef::from_cib("stonith", primitive.attr("provider"), kind) else { continue };
            let params = pairs(primitive, "instance_attributes");
            let priority = params.get("priority").and_then(|p| p.trim().parse().ok()).unwrap_or(0);
            let banned = bans.get(id).cloned().unwrap_or_default();
            let provides = pairs(primitive, "meta_attributes");
            let unfences =
                provides.get("provides").is_some_and(|what| what.eq_ignore_ascii_case("unfencing"));
            let device = Device { id: id.to_owned(), agent, params, banned, priority, unfences };
            registry.devices.insert(id.to_owned(), device);
        }
        let topology = cib.configuration().and_then(|c| c.child("fencing-topology"));
        for element in topology.into_iter().flat_map(|t| t.children_named("fencing-level")) {
            registry.levels.extend(level(element));
        }
        registry.levels.sort_by_key(|l| l.index);
        for node in cib.nodes().into_iter().flat_map(|n| n.children_named("node")) {
            if let Some(name) = node.attr("uname") {
                registry.attributes.insert(name.to_owned(), pairs(node, "instance_attributes"));
            }
        }
        registry
    }

    pub fn device(&self, id: &str) -> Option<&Device> {
        self.devices.get(id)
    }

    /// The devices, by name.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.devices.keys().map(String::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// What to try against a target, in order: each entry is a set of devices that must all succeed.
    /// The flag says whether that is a configured topology. A node that is given access again needs it of
    /// every device that withholds it (agents.md §6.3.4, §6.3.7).
    pub fn ways(&self, target: &str, action: &str) -> (bool, Vec<Vec<String>>) {
        if action == "on" {
            let all = self.devices.values().filter(|d| d.unfences && d.check(target) != Check::Static(false));
            let all: Vec<String> = all.map(|d| d.id.clone()).collect();
            if !all.is_empty() {
                return (false, vec![all]);
            }
        }
        let matching: [&dyn Fn(&Target) -> bool; 3] = [
            &|t| matches!(t, Target::Name(name) if name.eq_ignore_ascii_case(target)),
            &|t| matches!(t, Target::Pattern(pattern) if matches_pattern(pattern, target)),
            &|t| {
                matches!(t, Target::Attribute(name, value)
                    if self.attributes.get(target).and_then(|a| a.get(name)) == Some(value))
            },
        ];
        for fits in matching {
            let Some(first) = self.levels.iter().find(|l| fits(&l.target)) else { continue };
            let ways = self.levels.iter().filter(|l| l.target == first.target).map(|l| l.devices.clone());
            return (true, ways.collect());
        }
        let mut able: Vec<&Device> =
            self.devices.values().filter(|d| d.check(target) != Check::Static(false)).collect();
        able.sort_by(|a, b| b.priority.cmp(&a.priority).then_with(|| a.id.cmp(&b.id)));
        (false, able.into_iter().map(|d| vec![d.id.clone()]).collect())
    }
}

impl Device {
    pub fn may_run_on(&self, node: &str) -> bool {
        !self.banned.contains(node)
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// How to find out whether it can fence a node.
    pub fn check(&self, target: &str) -> Check {
        let host_list = self.param("pcmk_host_list");
        let host_map = self.param("pcmk_host_map");
        let word = self.param("pcmk_host_check").unwrap_or(if host_list.is_some() || host_map.is_some() {
            "static-list"
        } else {
            "dynamic-list"
        });
        match word {
            "none" => Check::Static(true),
            "static-list" => {
                let listed =
                    host_list.is_some_and(|list| names(list).iter().any(|n| n.eq_ignore_ascii_case(target)));
                Check::Static(listed || self.mapped(target).is_some())
            }
            "status" => Check::Status,
            _ => Check::List,
        }
    }

    fn mapped(&self, target: &str) -> Option<String> {
        let map = host_map(self.param("pcmk_host_map")?);
        map.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(target)).map(|(_, plug)| plug)
    }

    /// What the device calls the node.
    pub fn plug(&self, target: &str) -> String {
        self.mapped(target).unwrap_or_else(|| target.to_owned())
    }

    /// The key that carries the plug; `None` to send none.
    pub fn argument(&self) -> Option<&str> {
        match self.param("pcmk_host_argument") {
            Some("none") => None,
            Some(argument) => Some(argument),
            None => Some("port"),
        }
    }

    /// How long an action of the device may take: its own setting, else what was asked for.
    pub fn timeout(&self, action: &str, asked: Duration) -> Duration {
        self.param(&format!("pcmk_{action}_timeout"))
            .and_then(values::parse_duration_ms)
            .map(Duration::from_millis)
            .unwrap_or(if asked.is_zero() { TIMEOUT } else { asked })
    }

    /// Attempts in all.
    pub fn attempts(&self, action: &str) -> u32 {
        self.param(&format!("pcmk_{action}_retries"))
            .and_then(|v| v.trim().parse().ok())
            .unwrap_or(ATTEMPTS)
            .max(1)
    }

    /// What is run for an action (`reboot` may be configured to be `off`).
    pub fn mapped_action<'a>(&'a self, action: &'a str) -> &'a str {
        self.param(&format!("pcmk_{action}_action")).unwrap_or(action)
    }

    /// Whether the agent may be asked about a node where its `list` failed: nothing says how to find out, and
    /// an agent need not have one.
    pub fn may_ask_instead(&self) -> bool {
        self.param("pcmk_host_check").is_none()
    }

    /// Commands at the same time (`pcmk_action_limit`); none: as many as there are.
    pub fn parallel(&self) -> Option<usize> {
        match self.param("pcmk_action_limit").map_or(Ok(1), |text| text.trim().parse::<i64>()) {
            Ok(-1) => None,
            Ok(limit @ 1..) => usize::try_from(limit).ok(),
            Ok(_) | Err(_) => Some(1),
        }
    }

    /// The fixed and the longest delay before a node is shot: against nodes that shoot each other at the same
    /// time.
    fn delays(&self, target: &str, action: &str) -> (Duration, Duration) {
        if action == "on" {
            return (Duration::ZERO, Duration::ZERO);
        }
        let time = |text: &str| values::parse_duration_ms(text).map_or(Duration::ZERO, Duration::from_millis);
        let base = self.param("pcmk_delay_base").map_or(Duration::ZERO, |text| {
            let own = host_map(text).into_iter().find(|(n, _)| n.eq_ignore_ascii_case(target));
            time(own.as_ref().map_or(text, |(_, own)| own))
        });
        match self.param("pcmk_delay_max").map(time) {
            // The upper limit holds, as for the reference.
            Some(longest) if !longest.is_zero() => (base.min(longest), longest),
            _ => (base, base),
        }
    }

    /// The delay before a node is shot; `chance` decides about the part that is random (`pcmk_delay_max`).
    pub fn delay(&self, target: &str, action: &str, chance: u64) -> Duration {
        let (base, longest) = self.delays(target, action);
        let span = u64::try_from((longest - base).as_millis()).unwrap_or(u64::MAX);
        base + chance.checked_rem(span).map_or(Duration::ZERO, Duration::from_millis)
    }

    /// How long a node that was told to use the device may take: each call and the longest delay.
    pub fn longest(&self, target: &str, action: &str, asked: Duration) -> Duration {
        let calls = match self.check(target) {
            Check::Static(_) => 1,
            Check::Status => 2,
            Check::List => 3,
        };
        self.delays(target, action).1 + self.timeout(action, asked) * calls
    }
}

/// Node names of a list: separated by blanks, commas, semicolons or line breaks.
pub fn names(text: &str) -> Vec<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)))
        .filter(|n| !n.is_empty())
        .collect()
}

/// Whether the output of an agent's `list` names a plug.
pub fn lists(output: &str, plug: &str) -> bool {
    output
        .lines()
        .filter(|line| !line.contains("invalid") && !line.contains("variable"))
        .flat_map(names)
        .filter(|token| !token.eq_ignore_ascii_case("on") && !token.eq_ignore_ascii_case("off"))
        .any(|token| token.eq_ignore_ascii_case(plug))
}

/// `NODE:PLUG` pairs: separated by `;`, blanks or tabs; `\` takes the next character as it is.
fn host_map(text: &str) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    let (mut name, mut value, mut in_value) = (String::new(), String::new(), false);
    let mut characters = text.chars();
    loop {
        let next = characters.next();
        match next {
            None | Some(';' | ' ' | '\t' | '\n') => {
                if in_value && !name.is_empty() && !value.is_empty() {
                    pairs.push((std::mem::take(&mut name), std::mem::take(&mut value)));
                }
                name.clear();
                value.clear();
                in_value = false;
                if next.is_none() {
                    return pairs;
                }
            }
            Some(':' | '=') if !in_value => in_value = true,
            Some(c) => {
                let c = if c == '\\' { characters.next().unwrap_or(c) } else { c };
                if in_value { value.push(c) } else { name.push(c) }
            }
        }
    }
}

fn pairs(element: &Element, set: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for pair in element.children_named(set).flat_map(Element::descendants).filter(|e| e.name() == "nvpair") {
        if let (Some(name), Some(value)) = (pair.attr("name"), pair.attr("value")) {
            found.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        }
    }
    found
}

fn is_stopped(primitive: &Element) -> bool {
    pairs(primitive, "meta_attributes").get("target-role").is_some_and(|r| r.eq_ignore_ascii_case("stopped"))
}

/// Nodes on which a resource may not run by a plain location constraint.
fn bans(cib: &Cib) -> BTreeMap<String, BTreeSet<String>> {
    let mut bans: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for location in cib.constraints().into_iter().flat_map(|c| c.children_named("rsc_location")) {
        if let (Some(rsc), Some(node), Some("-INFINITY")) =
            (location.attr("rsc"), location.attr("node"), location.attr("score"))
        {
            bans.entry(rsc.to_owned()).or_default().insert(node.to_owned());
        }
    }
    bans
}

fn level(element: &Element) -> Option<Level> {
    let index: u32 = element.attr("index")?.trim().parse().ok()?;
    if !LEVELS.contains(&index) {
        return None;
    }
    let target = match (element.attr("target"), element.attr("target-pattern")) {
        (Some(name), _) => Target::Name(name.to_owned()),
        (None, Some(pattern)) => Target::Pattern(pattern.to_owned()),
        (None, None) => Target::Attribute(
            element.attr("target-attribute")?.to_owned(),
            element.attr("target-value")?.to_owned(),
        ),
    };
    let devices: Vec<String> = element.attr("devices")?.split(',').map(|d| d.trim().to_owned()).collect();
    Some(Level { target, index, devices })
}

/// The expressions that topologies use: literals with `.`, `*`, `^`, `$`, classes like `[0-9]`.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.to_ascii_lowercase().chars().collect();
    match pattern.split_first() {
        Some(('^', rest)) => matches_here(rest, &text),
        _ => (0..=text.len()).any(|start| matches_here(&pattern, text.get(start..).unwrap_or_default())),
    }
}

fn matches_here(pattern: &[char], text: &[char]) -> bool {
    match pattern {
        [] => true,
        ['$'] => text.is_empty(),
        _ => {
            let (unit, rest) = unit(pattern);
            let one = |c: char| unit_fits(unit, c);
            match rest.split_first() {
                Some((repeat @ ('*' | '+' | '?'), rest)) => {
                    let least = usize::from(*repeat == '+');
                    let most = if *repeat == '?' { 1 } else { text.len() };
                    let run = text.iter().take_while(|c| one(**c)).count().min(most);
                    (least..=run).rev().any(|n| matches_here(rest, text.get(n..).unwrap_or_default()))
                }
                _ => text.split_first().is_some_and(|(c, tail)| one(*c) && matches_here(rest, tail)),
            }
        }
    }
}

/// The first unit of a pattern: a class in brackets, an escaped character, or one character.
fn unit(pattern: &[char]) -> (&[char], &[char]) {
    let length = match pattern.first() {
        Some('[') => pattern.iter().skip(1).position(|c| *c == ']').map_or(1, |p| p + 2),
        Some('\\') => 2,
        _ => 1,
    };
    pattern.split_at(length.min(pattern.len()))
}

fn unit_fits(unit: &[char], c: char) -> bool {
    match unit {
        ['.'] => true,
        ['\\', literal] => literal.eq_ignore_ascii_case(&c),
        ['[', inner @ .., ']'] => {
            let (negated, inner) = match inner.split_first() {
                Some(('^', rest)) => (true, rest),
                _ => (false, inner),
            };
            let mut fits = false;
            let mut rest = inner;
            while let Some((first, tail)) = rest.split_first() {
                match tail {
                    ['-', last, after @ ..] => {
                        fits |= (first.to_ascii_lowercase()..=last.to_ascii_lowercase()).contains(&c);
                        rest = after;
                    }
                    _ => {
                        fits |= first.eq_ignore_ascii_case(&c);
                        rest = tail;
                    }
                }
            }
            fits != negated
        }
        [literal] => literal.eq_ignore_ascii_case(&c),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn registry(resources: &str, topology: &str) -> Registry {
        Registry::read(
            &Cib::parse(&format!(
                "<cib><configuration><nodes/><resources>{resources}</resources><constraints/>\
                 <fencing-topology>{topology}</fencing-topology></configuration></cib>"
            ))
            .unwrap(),
        )
    }

    fn device(id: &str, params: &str) -> String {
        let pairs: String = params
            .split_whitespace()
            .filter_map(|p| p.split_once('='))
            .map(|(n, v)| format!("<nvpair id='{id}-{n}' name='{n}' value='{v}'/>"))
            .collect();
        format!(
            "<primitive id='{id}' class='stonith' type='fence_dummy'><instance_attributes id='{id}-i'>{pairs}\
             </instance_attributes></primitive>"
        )
    }

    #[test]
    fn a_host_list_or_map_says_whom_a_device_can_fence() {
        let r = registry(
            &(device("a", "pcmk_host_list=n1,n2") + &device("b", "pcmk_host_map=n3:7;n4=x\\:1")),
            "",
        );
        assert_eq!(r.device("a").unwrap().check("N1"), Check::Static(true));
        assert_eq!(r.device("a").unwrap().check("n3"), Check::Static(false));
        assert_eq!(r.device("b").unwrap().plug("n3"), "7");
        assert_eq!(r.device("b").unwrap().plug("n4"), "x:1");
        assert_eq!(r.ways("n2", "off"), (false, vec![vec!["a".to_owned()]]));
        assert_eq!(r.ways("n9", "off"), (false, vec![]));
    }

    #[test]
    fn delays_are_fixed_by_node_or_random_up_to_a_limit() {
        let secs = Duration::from_secs;
        let of = |params: &str| registry(&device("a", params), "").device("a").unwrap().clone();
        let own = of("pcmk_delay_base=n1:1s;n2:5");
        let delays = |d: &Device, n: &str| [0, 700, u64::MAX].map(|chance| d.delay(n, "off", chance));
        assert_eq!(delays(&own, "N2"), [secs(5); 3]);
        assert_eq!(own.delay("n2", "on", 3), Duration::ZERO);
        let random = of("pcmk_delay_base=2s pcmk_delay_max=3s");
        assert_eq!(delays(&random, "n1")[..2], [secs(2), Duration::from_millis(2700)]);
        assert!(delays(&random, "n1")[2] < secs(3));
        // A base beyond the limit is the limit.
        assert_eq!(delays(&of("pcmk_delay_base=9s pcmk_delay_max=3s"), "n1"), [secs(3); 3]);
        assert_eq!(random.longest("n1", "off", secs(10)), secs(3) + 3 * secs(10));
    }

    #[test]
    fn a_device_does_one_thing_at_a_time_unless_it_says_otherwise() {
        for (params, limit) in [
            ("", Some(1)),
            ("pcmk_action_limit=0", Some(1)),
            ("pcmk_action_limit=many", Some(1)),
            ("pcmk_action_limit=3", Some(3)),
            ("pcmk_action_limit=-1", None),
        ] {
            let registry = registry(&device("a", params), "");
            assert_eq!(registry.device("a").unwrap().parallel(), limit, "{params}");
        }
    }

    #[test]
    fn every_device_that_withholds_access_gives_it_back() {
        let meta = |id: &str| {
            device(id, "pcmk_host_list=n1").replace(
                "</primitive>",
                &format!(
                    "<meta_attributes id='{id}-m'><nvpair id='{id}-p' name='provides' value='unfencing'/>\
                     </meta_attributes></primitive>"
                ),
            )
        };
        let topology = "<fencing-level id='1' target='n1' index='1' devices='power'/>";
        let r = registry(&(meta("a") + &meta("b") + &device("power", "pcmk_host_list=n1,n2")), topology);
        assert_eq!(r.ways("n1", "on"), (false, vec![vec!["a".to_owned(), "b".to_owned()]]));
        assert_eq!(r.ways("n1", "off"), (true, vec![vec!["power".to_owned()]]));
        assert_eq!(r.ways("n2", "on"), (false, vec![vec!["power".to_owned()]]));
    }

    #[test]
    fn topology_goes_by_name_then_pattern_and_levels_by_number() {
        let r = registry(
            &(device("a", "") + &device("b", "")),
            "<fencing-level id='2' target='n1' index='2' devices='b'/>\
             <fencing-level id='1' target='n1' index='1' devices='a, b'/>\
             <fencing-level id='3' target-pattern='^n[2-9]+$' index='1' devices='b'/>\
             <fencing-level id='4' target='n1' index='10' devices='b'/>",
        );
        assert_eq!(
            r.ways("N1", "off"),
            (true, vec![vec!["a".to_owned(), "b".to_owned()], vec!["b".to_owned()]])
        );
        assert_eq!(r.ways("n23", "off"), (true, vec![vec!["b".to_owned()]]));
        assert!(!r.ways("m1", "off").0);
    }

    #[test]
    fn patterns_match_as_expressions_do() {
        for (pattern, text, expected) in [
            ("node.*", "node12", true),
            ("^node$", "node1", false),
            ("no?de", "nde", true),
            ("[^a-c]x", "ax", false),
            ("a\\.b", "a.b", true),
            ("a\\.b", "axb", false),
            ("[", "x", false),
            ("", "x", true),
        ] {
            assert_eq!(matches_pattern(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn the_list_of_an_agent_is_read_as_words() {
        assert!(lists("p1,n1\np2,n2\n", "n2"));
        assert!(!lists("n1 invalid\non off", "n1"));
        assert!(!lists("n1 on", "on"));
    }
}
