//! Classes of agents, and names such as `ocf:heartbeat:IPaddr2`.
//!
//! Source: `spec/agents.md` §1.

use std::fmt;
use std::str::FromStr;

/// The standard an agent follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Open Cluster Framework: parameters in the environment, metadata from the agent.
    Ocf,
    /// Init scripts in `/etc/init.d`.
    Lsb,
    /// systemd units.
    Systemd,
    /// Whichever of LSB and systemd has the name.
    Service,
    /// Fence agents.
    Stonith,
    /// Upstart jobs: known by name, never runnable here.
    Upstart,
    /// Nagios plugins: known by name, never runnable here.
    Nagios,
    /// Heartbeat 1 scripts: accepted by the schema, never runnable.
    Heartbeat,
}

impl Class {
    /// The word in configurations.
    pub const fn as_str(self) -> &'static str {
        match self {
            Class::Ocf => "ocf",
            Class::Lsb => "lsb",
            Class::Systemd => "systemd",
            Class::Service => "service",
            Class::Stonith => "stonith",
            Class::Upstart => "upstart",
            Class::Nagios => "nagios",
            Class::Heartbeat => "heartbeat",
        }
    }

    /// Reads the word, in any letter case.
    pub fn parse(word: &str) -> Option<Class> {
        [
            Class::Ocf,
            Class::Lsb,
            Class::Systemd,
            Class::Service,
            Class::Stonith,
            Class::Upstart,
            Class::Nagios,
            Class::Heartbeat,
        ]
        .into_iter()
        .find(|class| class.as_str().eq_ignore_ascii_case(word))
    }

    /// Whether agents of the class have a provider (a vendor's directory).
    pub const fn has_provider(self) -> bool {
        matches!(self, Class::Ocf)
    }

    /// Whether agents of the class take parameters.
    pub const fn has_parameters(self) -> bool {
        matches!(self, Class::Ocf | Class::Stonith | Class::Nagios)
    }

    /// Whether agents of the class may be promotable.
    pub const fn is_promotable(self) -> bool {
        matches!(self, Class::Ocf)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An agent's full name: `class[:provider]:type`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct AgentName {
    /// The standard it follows.
    pub class: Class,
    /// The vendor; only with OCF.
    pub provider: Option<String>,
    /// The agent itself (`type` in configurations).
    pub kind: String,
}

/// Why a text names no agent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgentNameError {
    /// The class is none we know.
    #[error("`{0}` is no class of agents (ocf, lsb, systemd, service, stonith)")]
    Class(String),
    /// Something is missing.
    #[error("expected class:type or ocf:provider:type, found `{0}`")]
    Shape(String),
}

impl AgentName {
    /// From the attributes of a primitive.
    pub fn new(class: Class, provider: Option<&str>, kind: &str) -> AgentName {
        let provider = if class.has_provider() { provider } else { None };
        AgentName { class, provider: provider.map(str::to_owned), kind: kind.to_owned() }
    }
}

impl FromStr for AgentName {
    type Err = AgentNameError;

    fn from_str(text: &str) -> Result<AgentName, AgentNameError> {
        let shape = || AgentNameError::Shape(text.to_owned());
        let (class, rest) = text.split_once(':').ok_or_else(shape)?;
        let class = Class::parse(class).ok_or_else(|| AgentNameError::Class(class.to_owned()))?;
        // `ocf::heartbeat:X` is how status output writes it; it is accepted back.
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        let (provider, kind) = if class.has_provider() {
            let (provider, kind) = rest.split_once(':').ok_or_else(shape)?;
            if provider.is_empty() {
                return Err(shape());
            }
            (Some(provider), kind)
        } else {
            (None, rest)
        };
        if kind.is_empty() {
            return Err(shape());
        }
        Ok(AgentName::new(class, provider, kind))
    }
}

impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.provider {
            Some(provider) => write!(f, "{}:{provider}:{}", self.class, self.kind),
            None => write!(f, "{}:{}", self.class, self.kind),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for (text, want) in [
            ("ocf:heartbeat:IPaddr2", Some("ocf:heartbeat:IPaddr2")),
            ("ocf::pacemaker:Dummy", Some("ocf:pacemaker:Dummy")),
            ("lsb:apache2", Some("lsb:apache2")),
            ("systemd:foo@a:b", Some("systemd:foo@a:b")),
            ("stonith:external/ssh", Some("stonith:external/ssh")),
            ("ocf:Dummy", None),
            ("ocf::Dummy", None),
            ("weird:x", None),
            ("lsb:", None),
            ("lsb", None),
            ("", None),
        ] {
            let got = text.parse::<AgentName>().ok().map(|name| name.to_string());
            assert_eq!(got.as_deref(), want, "{text:?}");
        }
    }
}
