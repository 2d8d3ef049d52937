//! What an agent says about itself: the document that its action `meta-data` prints (agents.md 1.9), and
//! the documents made for classes whose scripts print none.
//!
//! The agent is run like any other operation, through a [`Command`](crate::Command) of
//! [`class::prepare`](crate::class::prepare); only the text comes here.

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use crate::AgentRef;

/// An agent's description of itself. Times are as the agent writes them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename = "resource-agent")]
pub struct Metadata {
    #[serde(rename = "@name", default)]
    pub name: String,
    /// The agent's own version.
    #[serde(rename = "@version", default)]
    pub agent_version: String,
    /// The version of the standard it follows; older agents put their own here. Empty means 1.0.
    #[serde(default)]
    pub version: Vec<String>,
    #[serde(default)]
    pub longdesc: Vec<Text>,
    #[serde(default)]
    pub shortdesc: Vec<Text>,
    /// Fence agents give their short description here.
    #[serde(rename = "@shortdesc", default)]
    pub short_attribute: String,
    #[serde(default)]
    parameters: Parameters,
    #[serde(default)]
    actions: Actions,
    #[serde(default)]
    pub special: Vec<Special>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Parameters {
    #[serde(default)]
    parameter: Vec<Parameter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Actions {
    #[serde(default)]
    action: Vec<AgentAction>,
}

/// A text in one language.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Text {
    #[serde(rename = "@lang", default)]
    pub lang: String,
    #[serde(rename = "#text", default)]
    pub text: String,
}

/// One parameter of an agent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Parameter {
    #[serde(rename = "@name", default)]
    pub name: String,
    #[serde(rename = "@unique", default)]
    unique: String,
    #[serde(rename = "@unique-group", default)]
    pub unique_group: String,
    #[serde(rename = "@required", default)]
    required: String,
    #[serde(rename = "@reloadable", default)]
    reloadable: String,
    #[serde(rename = "@private", default)]
    private: String,
    #[serde(rename = "@obsoletes", default)]
    pub obsoletes: String,
    #[serde(rename = "@deprecated", default)]
    deprecated_attribute: String,
    #[serde(default)]
    deprecated: Option<Deprecated>,
    #[serde(default)]
    pub content: Vec<Content>,
    #[serde(default)]
    pub longdesc: Vec<Text>,
    #[serde(default)]
    pub shortdesc: Vec<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct Deprecated {}

/// What values a parameter takes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Content {
    /// `string`, `integer`, `boolean`, `select`; others are seen.
    #[serde(rename = "@type", default)]
    pub kind: String,
    #[serde(rename = "@default", default)]
    pub default: Option<String>,
    /// The values of a `select`.
    #[serde(default)]
    option: Vec<ContentOption>,
}

impl Content {
    pub fn options(&self) -> impl Iterator<Item = &str> {
        self.option.iter().map(|o| o.value.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
struct ContentOption {
    #[serde(rename = "@value", default)]
    value: String,
}

/// An action with the times the agent advises. The cluster never uses them by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct AgentAction {
    #[serde(rename = "@name", default)]
    pub name: String,
    #[serde(rename = "@timeout", default)]
    pub timeout: Option<String>,
    #[serde(rename = "@interval", default)]
    pub interval: Option<String>,
    #[serde(rename = "@start-delay", default)]
    pub start_delay: Option<String>,
    #[serde(rename = "@depth", default)]
    pub depth: Option<String>,
    #[serde(rename = "@role", default)]
    pub role: Option<String>,
    /// Fence agents: `on` is needed to let a node use what it shares.
    #[serde(rename = "@automatic", default)]
    automatic: String,
    #[serde(rename = "@on_target", default)]
    on_target: String,
}

/// A mark of who made the description.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Special {
    #[serde(rename = "@tag", default)]
    pub tag: String,
}

/// The text is not a description of an agent. Nothing of it is used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the meta-data of {agent} cannot be read: {why}")]
pub struct BadMetadata {
    agent: String,
    why: String,
}

impl Metadata {
    /// Reads the document. What is unknown in it is passed over, as is a DOCTYPE.
    ///
    /// # Errors
    /// [`BadMetadata`] if it is no well-formed document with the root `resource-agent`.
    pub fn parse(agent: &AgentRef, text: &str) -> Result<Metadata, BadMetadata> {
        let bad = |why: String| BadMetadata { agent: agent.to_string(), why };
        // Some agents print a word or two before the document.
        let start = text.find('<').ok_or_else(|| bad("there is no document in it".to_owned()))?;
        let text = text.get(start..).unwrap_or("");
        if !text.contains("<resource-agent") {
            return Err(bad("its root is not resource-agent".to_owned()));
        }
        serde_xml_rs::SerdeXml::new()
            .overlapping_sequences(true)
            .from_str(text)
            .map_err(|e| bad(e.to_string()))
    }

    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters.parameter
    }

    pub fn parameter(&self, name: &str) -> Option<&Parameter> {
        self.parameters.parameter.iter().find(|p| p.name == name)
    }

    pub fn actions(&self) -> &[AgentAction] {
        &self.actions.action
    }

    pub fn has_action(&self, name: &str) -> bool {
        self.actions.action.iter().any(|a| a.name == name)
    }

    /// Whether it follows version 1.1 of the standard, or a later one.
    pub fn is_1_1(&self) -> bool {
        let text = self.version.first().map_or("1.0", String::as_str);
        let mut parts = text.trim().split('.').map(|p| p.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(1), parts.next().unwrap_or(0)) >= (1, 1)
    }

    /// How changed parameters reach a running resource, and which ones cannot (agents.md 1.10).
    pub fn reload(&self) -> Reload {
        let names = |f: fn(&Parameter) -> bool| {
            self.parameters.parameter.iter().filter(|p| f(p)).map(|p| p.name.clone()).collect()
        };
        if self.is_1_1() && self.has_action("reload-agent") {
            Reload::By { action: "reload-agent", not_for: names(|p| !p.reloadable()) }
        } else if !self.is_1_1() && self.has_action("reload") {
            Reload::By { action: "reload", not_for: names(Parameter::unique) }
        } else {
            Reload::Never
        }
    }

    /// Names of parameters whose values are secret: those marked so, else the usual names.
    pub fn private(&self) -> Vec<&str> {
        let marked: Vec<&str> =
            self.parameters.parameter.iter().filter(|p| p.private()).map(|p| p.name.as_str()).collect();
        if !marked.is_empty() {
            return marked;
        }
        let usual = ["password", "passwd", "user"];
        self.parameters.parameter.iter().map(|p| p.name.as_str()).filter(|n| usual.contains(n)).collect()
    }
}

/// How parameters of a running resource can be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reload {
    /// Only by a restart.
    Never,
    /// By this action, except these parameters, which need a restart.
    By { action: &'static str, not_for: Vec<String> },
}

fn yes(text: &str) -> bool {
    matches!(text.trim().to_ascii_lowercase().as_str(), "1" | "true" | "yes" | "y" | "on")
}

impl Parameter {
    pub fn unique(&self) -> bool {
        yes(&self.unique)
    }

    pub fn required(&self) -> bool {
        yes(&self.required)
    }

    pub fn reloadable(&self) -> bool {
        yes(&self.reloadable)
    }

    pub fn private(&self) -> bool {
        yes(&self.private)
    }

    pub fn deprecated(&self) -> bool {
        self.deprecated.is_some() || yes(&self.deprecated_attribute)
    }
}

impl AgentAction {
    pub fn automatic(&self) -> bool {
        yes(&self.automatic)
    }

    pub fn on_target(&self) -> bool {
        yes(&self.on_target)
    }
}

/// What tells one state of an agent's file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId {
    pub device: u64,
    pub inode: u64,
    pub size: u64,
    /// Nanoseconds since the epoch.
    pub changed_ns: i128,
}

/// Descriptions by agent, valid as long as the agent's file is the same.
#[derive(Debug, Default)]
pub struct Cache {
    known: BTreeMap<AgentRef, (FileId, Metadata)>,
}

impl Cache {
    /// The description, if the file has not changed since it was put here.
    pub fn get(&self, agent: &AgentRef, file: FileId) -> Option<&Metadata> {
        self.known.get(agent).filter(|(known, _)| *known == file).map(|(_, metadata)| metadata)
    }

    /// The description as of whatever file it was read from.
    pub fn latest(&self, agent: &AgentRef) -> Option<&Metadata> {
        self.known.get(agent).map(|(_, metadata)| metadata)
    }

    pub fn put(&mut self, agent: AgentRef, file: FileId, metadata: Metadata) {
        self.known.insert(agent, (file, metadata));
    }
}

/// The document for an init script, from the comment lines at its top (agents.md 2.3).
pub fn of_lsb(name: &str, script: &str) -> String {
    const KEYS: [&str; 9] = [
        "Provides",
        "Required-Start",
        "Required-Stop",
        "Should-Start",
        "Should-Stop",
        "Default-Start",
        "Default-Stop",
        "Short-Description",
        "Description",
    ];
    let mut values: BTreeMap<&str, String> = BTreeMap::new();
    let mut in_description = false;
    let header = script
        .lines()
        .skip_while(|line| !line.starts_with("### BEGIN INIT INFO"))
        .skip(1)
        .take_while(|line| !line.starts_with("### END INIT INFO"));
    for line in header {
        let key = KEYS.iter().find_map(|key| {
            let rest = line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(':')?;
            Some((*key, rest.trim()))
        });
        match key {
            Some((key, value)) => {
                in_description = key == "Description";
                values.insert(key, value.to_owned());
            }
            None if in_description && (line.starts_with("#  ") || line.starts_with("#\t")) => {
                let text = values.entry("Description").or_default();
                text.push('\n');
                text.push_str(line.trim_start_matches('#').trim());
            }
            None => in_description = false,
        }
    }
    let value = |key: &str| escape(values.get(key).map_or("", String::as_str));
    let special: String =
        KEYS[..7].iter().map(|key| format!("    <{key}>{}</{key}>\n", value(key))).collect();
    document(
        name,
        "0.1",
        &value("Description"),
        &value("Short-Description"),
        "",
        &["start", "stop", "status", "restart", "force-reload"],
        "15",
        "",
        &format!("  <special tag=\"LSB\">\n{special}  </special>\n"),
    )
}

/// The document for a Heartbeat v1 script (agents.md 3.3).
pub fn of_heartbeat(name: &str) -> String {
    let parameters: String = (1..=5)
        .map(|i| {
            format!(
                "    <parameter name=\"{i}\" unique=\"0\" required=\"0\">\n      <longdesc lang=\"en\">positional argument {i} of the script</longdesc>\n      <shortdesc lang=\"en\">argument {i}</shortdesc>\n      <content type=\"string\"/>\n    </parameter>\n"
            )
        })
        .collect();
    let text = escape(&format!("{name}: a Heartbeat v1 script"));
    document(
        name,
        "0.1",
        &text,
        &text,
        &parameters,
        &["start", "stop", "status"],
        "15",
        " start-delay=\"15\"",
        "",
    )
}

/// The document for a unit of systemd with this description (agents.md 4.2).
pub fn of_systemd(name: &str, description: &str) -> String {
    let text = escape(description);
    document(
        name,
        "1.1",
        &text,
        &text,
        "",
        &["start", "stop", "status"],
        "100",
        "",
        "  <special tag=\"systemd\"/>\n",
    )
    .replace(
        "<action name=\"monitor\" timeout=\"100\" interval=\"15\"/>",
        "<action name=\"monitor\" timeout=\"100\" interval=\"60\"/>",
    )
}

#[allow(clippy::too_many_arguments)] // the blanks of one form, all of them text
fn document(
    name: &str,
    version: &str,
    long: &str,
    short: &str,
    parameters: &str,
    actions: &[&str],
    timeout: &str,
    monitor: &str,
    special: &str,
) -> String {
    let parameters = if parameters.is_empty() {
        "  <parameters/>\n".to_owned()
    } else {
        format!("  <parameters>\n{parameters}  </parameters>\n")
    };
    let actions: String =
        actions.iter().map(|a| format!("    <action name=\"{a}\" timeout=\"{timeout}\"/>\n")).collect();
    format!(
        "<?xml version=\"1.0\"?>\n<resource-agent name=\"{}\" version=\"{version}\">\n  <version>1.0</version>\n  <longdesc lang=\"en\">{long}</longdesc>\n  <shortdesc lang=\"en\">{short}</shortdesc>\n{parameters}  <actions>\n    <action name=\"meta-data\" timeout=\"5\"/>\n{actions}    <action name=\"monitor\" timeout=\"{timeout}\" interval=\"15\"{monitor}/>\n  </actions>\n{special}</resource-agent>\n",
        escape(name)
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn agent() -> AgentRef {
        "ocf:heartbeat:X".parse().unwrap()
    }

    const OLD: &str = r#"<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="X" version="0.9">
<version>1.0</version>
<longdesc lang="en">Long &amp; wide
text</longdesc>
<shortdesc lang="en">Short</shortdesc>
<parameters>
 <parameter name="ip" unique="1" required="1"><longdesc lang="en">a</longdesc>
  <longdesc lang="de">b</longdesc><content type="string" default="" /></parameter>
 <parameter name="mode"><content type="select" default="a"><option value="a"/><option value="b"/></content></parameter>
 <parameter name="password"><shortdesc lang="en">p</shortdesc><content type="string"/></parameter>
</parameters>
<actions>
 <action name="start" timeout="20s" /><action name="reload" timeout="20s" />
 <action name="monitor" depth="0" timeout="20s" interval="10s" />
</actions>
<unknown><thing/></unknown>
</resource-agent>
"#;

    #[test]
    fn an_agent_of_the_old_standard_is_understood() {
        let m = Metadata::parse(&agent(), OLD).unwrap();
        assert_eq!((m.name.as_str(), m.agent_version.as_str(), m.is_1_1()), ("X", "0.9", false));
        assert_eq!(m.longdesc[0].text, "Long & wide\ntext");
        let ip = m.parameter("ip").unwrap();
        assert!(ip.unique() && ip.required() && !ip.reloadable());
        assert_eq!(ip.longdesc.len(), 2);
        assert_eq!(m.parameter("mode").unwrap().content[0].options().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(m.reload(), Reload::By { action: "reload", not_for: vec!["ip".into()] });
        assert_eq!(m.private(), ["password"]);
        assert_eq!(m.actions()[2].interval.as_deref(), Some("10s"));
    }

    #[test]
    fn an_agent_of_the_new_standard_reloads_what_it_says_it_can() {
        let text = OLD.replace("<version>1.0", "<version>1.1").replace("\"reload\"", "\"reload-agent\"");
        let text = text.replace("name=\"mode\"", "name=\"mode\" reloadable=\"1\" private=\"true\"");
        let m = Metadata::parse(&agent(), &text).unwrap();
        assert_eq!(
            m.reload(),
            Reload::By { action: "reload-agent", not_for: vec!["ip".into(), "password".into()] }
        );
        assert_eq!(m.private(), ["mode"]);
    }

    #[test]
    fn what_is_no_description_is_refused_with_the_agents_name() {
        for text in ["", "usage: x", "<a/>", "<resource-agent", "<resource-agent><x></resource-agent>"] {
            let e = Metadata::parse(&agent(), text).unwrap_err().to_string();
            assert!(e.starts_with("the meta-data of ocf:heartbeat:X cannot be read"), "{text:?}: {e}");
        }
    }

    #[test]
    fn the_documents_made_for_scripts_can_be_read_back() {
        let script = "#!/bin/sh\n### BEGIN INIT INFO\n# Provides: web <x>\n# Required-Start: $network\n# Short-Description: a\n# Description: b\n#  c\n### END INIT INFO\n# Description: not this\n";
        let text = of_lsb("web", script);
        let m = Metadata::parse(&agent(), &text).unwrap();
        assert_eq!((m.longdesc[0].text.as_str(), m.shortdesc[0].text.as_str()), ("b\nc", "a"));
        assert!(m.has_action("force-reload") && m.special[0].tag == "LSB");
        assert!(text.contains("<Provides>web &lt;x&gt;</Provides>"));
        let m = Metadata::parse(&agent(), &of_heartbeat("IPaddr")).unwrap();
        assert_eq!(m.parameters().len(), 5);
        let m = Metadata::parse(&agent(), &of_systemd("x", "y & z")).unwrap();
        assert_eq!(m.actions().last().unwrap().interval.as_deref(), Some("60"));
    }

    #[test]
    fn a_changed_file_makes_what_was_known_of_it_old() {
        let mut cache = Cache::default();
        let file = FileId { device: 1, inode: 2, size: 3, changed_ns: 4 };
        cache.put(agent(), file, Metadata::parse(&agent(), OLD).unwrap());
        assert!(cache.get(&agent(), file).is_some());
        assert!(cache.get(&agent(), FileId { changed_ns: 5, ..file }).is_none());
        assert!(cache.latest(&agent()).is_some());
    }
}
