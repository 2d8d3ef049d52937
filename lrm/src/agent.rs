//! Names of agents: class, provider, type.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The standards of agents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Open Cluster Framework 1.0 and 1.1.
    Ocf,
    /// Init scripts of `/etc/init.d`.
    Lsb,
    /// Heartbeat v1 scripts of `/etc/ha.d/resource.d`.
    Heartbeat,
    /// Units of systemd.
    Systemd,
    /// Whichever of LSB and systemd has the name.
    Service,
    /// Fence agents and Linux-HA's `external/*` plugins.
    Stonith,
}

impl Class {
    /// Every class, in the order tools list them.
    pub const ALL: [Class; 6] =
        [Class::Ocf, Class::Lsb, Class::Service, Class::Systemd, Class::Heartbeat, Class::Stonith];

    /// The name used in the CIB and on command lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Class::Ocf => "ocf",
            Class::Lsb => "lsb",
            Class::Heartbeat => "heartbeat",
            Class::Systemd => "systemd",
            Class::Service => "service",
            Class::Stonith => "stonith",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Class {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<Class, AgentError> {
        Class::ALL
            .into_iter()
            .find(|c| c.as_str() == text)
            .ok_or_else(|| AgentError::Class { found: text.to_owned() })
    }
}

/// Why a name of an agent was refused. Nothing was run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AgentError {
    #[error("unknown class of agent \"{found}\" (known: ocf, lsb, service, systemd, heartbeat, stonith)")]
    Class { found: String },
    #[error(
        "{what} \"{found}\" of an agent may hold only letters, digits, '.', '_' and '-', and may not begin with '.'"
    )]
    Name { what: &'static str, found: String },
    #[error("agent \"{found}\" is not written CLASS:TYPE or ocf:PROVIDER:TYPE")]
    Syntax { found: String },
    #[error("class {class} has no providers, but \"{found}\" was given")]
    Provider { class: Class, found: String },
}

/// A valid name of an agent. Its parts are safe as names of files: `[A-Za-z0-9._-]+` without a leading
/// dot; units of systemd may also hold `@`, `:` and `\`, and plugins of Linux-HA are `external/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgentRef {
    class: Class,
    provider: Option<String>,
    kind: String,
}

impl AgentRef {
    /// `provider` is of class ocf only, and `heartbeat` when absent there, as Heartbeat took it
    /// (agents.md 1.1.5).
    ///
    /// # Errors
    /// [`AgentError`] if a part is not safe as the name of a file.
    pub fn new(class: Class, provider: Option<&str>, kind: &str) -> Result<AgentRef, AgentError> {
        let provider = match (class, provider.filter(|p| !p.is_empty())) {
            (Class::Ocf, found) => {
                let found = found.unwrap_or("heartbeat");
                if !is_name(found, "") {
                    return Err(AgentError::Name { what: "provider", found: found.to_owned() });
                }
                Some(found.to_owned())
            }
            (_, None) => None,
            // Heartbeat 2 wrote provider="heartbeat" for scripts of its own directory.
            (Class::Heartbeat | Class::Stonith | Class::Lsb, Some("heartbeat")) => None,
            (class, Some(found)) => {
                return Err(AgentError::Provider { class, found: found.to_owned() });
            }
        };
        let ok = match class {
            Class::Stonith => is_name(kind.strip_prefix("external/").unwrap_or(kind), ""),
            Class::Systemd | Class::Service => is_name(kind, "@:\\"),
            Class::Ocf | Class::Lsb | Class::Heartbeat => is_name(kind, ""),
        };
        if !ok {
            return Err(AgentError::Name { what: "type", found: kind.to_owned() });
        }
        Ok(AgentRef { class, provider, kind: kind.to_owned() })
    }

    /// [`AgentRef::new`] with the class as it stands in the CIB.
    ///
    /// # Errors
    /// [`AgentError`] for an unknown class or an unsafe name.
    pub fn from_cib(class: &str, provider: Option<&str>, kind: &str) -> Result<AgentRef, AgentError> {
        AgentRef::new(class.parse()?, provider, kind)
    }

    pub fn class(&self) -> Class {
        self.class
    }

    /// `Some` for class ocf, else `None`.
    pub fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }

    /// The type, without class and provider.
    pub fn kind(&self) -> &str {
        &self.kind
    }
}

/// `ocf:heartbeat:Dummy`, `lsb:nginx`, as Pacemaker 2.1 prints it.
impl fmt::Display for AgentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{}:{}:{}", self.class, provider, self.kind),
            None => write!(f, "{}:{}", self.class, self.kind),
        }
    }
}

/// Reads `ocf:PROVIDER:TYPE`, `ocf::PROVIDER:TYPE` (as Heartbeat displayed it), `ocf:TYPE` and
/// `CLASS:TYPE`.
impl FromStr for AgentRef {
    type Err = AgentError;

    fn from_str(text: &str) -> Result<AgentRef, AgentError> {
        let syntax = || AgentError::Syntax { found: text.to_owned() };
        let (class, rest) = text.split_once(':').ok_or_else(syntax)?;
        let class: Class = class.parse()?;
        if class != Class::Ocf {
            return AgentRef::new(class, None, rest);
        }
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        match rest.split_once(':') {
            Some((provider, kind)) => AgentRef::new(class, Some(provider), kind),
            None => AgentRef::new(class, None, rest),
        }
    }
}

/// Longest name accepted: a file name of Linux.
const NAME_MAX: usize = 255;

fn is_name(text: &str, also: &str) -> bool {
    !text.is_empty()
        && text.len() <= NAME_MAX
        && !text.starts_with('.')
        // Would be taken for an option by a program that gets it as an argument.
        && !text.starts_with('-')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c) || also.contains(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_that_would_leave_the_directory_of_agents_are_refused() {
        for bad in ["", ".", "..", ".hidden", "a/b", "../../bin/sh", "a b", "a\0", "-rf", "é"] {
            assert!(AgentRef::new(Class::Ocf, Some("heartbeat"), bad).is_err(), "type {bad:?}");
            assert!(AgentRef::new(Class::Lsb, None, bad).is_err(), "script {bad:?}");
            if !bad.is_empty() {
                assert!(AgentRef::new(Class::Ocf, Some(bad), "Dummy").is_err(), "provider {bad:?}");
            }
        }
        assert!(AgentRef::new(Class::Stonith, None, "external/../x").is_err());
        assert!(AgentRef::new(Class::Stonith, None, "external/ssh").is_ok());
        assert!(AgentRef::new(Class::Systemd, None, "getty@tty1").is_ok());
    }

    #[test]
    fn a_name_reads_back_as_it_prints() {
        for text in
            ["ocf:heartbeat:Dummy", "lsb:nginx", "systemd:a@b", "stonith:fence_dummy", "heartbeat:IPaddr"]
        {
            assert_eq!(text.parse::<AgentRef>().unwrap().to_string(), text);
        }
        assert_eq!("ocf:Dummy".parse::<AgentRef>().unwrap().to_string(), "ocf:heartbeat:Dummy");
        assert_eq!("ocf::heartbeat:Dummy".parse::<AgentRef>().unwrap().to_string(), "ocf:heartbeat:Dummy");
        assert!("Dummy".parse::<AgentRef>().is_err());
    }
}
