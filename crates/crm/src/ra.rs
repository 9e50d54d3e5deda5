//! The level `ra`: which agents there are and what they say about themselves.

use agents::class::{AgentName, Class};
use agents::find::Places;
use agents::meta::{Metadata, Parameter};

use crate::grammar::World;
use crate::say;

/// The agents installed on this host.
#[derive(Debug)]
pub struct Installed {
    places: Places,
}

impl Installed {
    /// The host's usual places.
    pub fn system() -> Installed {
        Installed { places: Places::system() }
    }

    /// The places, for listing.
    pub fn places(&self) -> &Places {
        &self.places
    }

    /// Reads `[class:[provider:]]type` as a full name; missing parts are looked up.
    pub fn name(&self, agent: &str) -> Option<AgentName> {
        let parts: Vec<&str> = agent.split(':').collect();
        match parts[..] {
            [class, provider, kind] => {
                Some(AgentName::new(Class::parse(class)?, Some(provider), kind))
            }
            [class, kind] if !class.eq_ignore_ascii_case("ocf") => {
                Some(AgentName::new(Class::parse(class)?, None, kind))
            }
            [_, kind] | [kind] => self.find(kind, parts.len() == 1),
            _ => None,
        }
    }

    /// OCF agents go first, `heartbeat` before other providers, then the other classes.
    fn find(&self, kind: &str, any_class: bool) -> Option<AgentName> {
        let providers = self.places.providers_of(kind);
        let provider = providers.iter().find(|p| *p == "heartbeat").or(providers.first());
        if let Some(provider) = provider {
            return Some(AgentName::new(Class::Ocf, Some(provider), kind));
        }
        let classes = [Class::Stonith, Class::Lsb, Class::Systemd];
        classes
            .into_iter()
            .filter(|_| any_class)
            .map(|class| AgentName::new(class, None, kind))
            .find(|name| self.places.exists(name))
    }

    /// What an agent says about itself; `None` after telling the user that there is nothing.
    pub fn metadata(&self, name: &AgentName) -> Option<Metadata> {
        match agents::run::metadata(name, &self.places) {
            Ok(metadata) => Some(metadata),
            Err(error) => {
                say::error(&format!("{name}: got no meta-data, does this RA exist?"));
                base::debug!("{name}: {error}");
                None
            }
        }
    }
}

impl World for Installed {
    fn resolve_agent(&self, agent: &str) -> Option<(String, Option<String>, String)> {
        let name = self.name(agent)?;
        Some((name.class.to_string(), name.provider, name.kind))
    }
}

/// `ra classes`: one class a line, OCF with its providers.
pub fn classes(installed: &Installed) -> String {
    let mut classes = installed.places.classes();
    classes.sort_by_key(|class| class.as_str());
    let mut text = String::new();
    for class in classes {
        text.push_str(class.as_str());
        if class == Class::Ocf {
            text.push_str(" / ");
            text.push_str(&installed.places.providers().join(" "));
        }
        text.push('\n');
    }
    text
}

/// Words in as many columns as fit, row by row.
pub fn columns(words: &[String], width: usize) -> String {
    let longest = words.iter().map(|word| word.chars().count()).max().unwrap_or(0);
    let count = (width / (longest + 2)).max(1);
    let cell = width / count;
    let mut text = String::new();
    for row in words.chunks(count) {
        let line: String = row.iter().map(|word| format!("{word:<cell$}")).collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Actions whose times are advice to the administrator.
fn is_advised(action: &str) -> bool {
    !matches!(action, "meta-data" | "metadata" | "validate-all" | "usage" | "help" | "methods")
}

/// `ra info`: an agent's own words, laid out for reading.
pub fn info(metadata: &Metadata, name: &AgentName) -> String {
    let mut text = String::new();
    if metadata.shortdesc.is_empty() {
        text.push_str(&format!("{name}\n"));
    } else {
        text.push_str(&format!("{} ({name})\n", metadata.shortdesc.trim()));
    }
    let long = metadata.longdesc.trim();
    if !long.is_empty() {
        text.push_str(&format!("\n{long}\n"));
    }
    if !metadata.parameters.is_empty() {
        text.push_str("\nParameters (*: required, []: default):\n");
        for parameter in &metadata.parameters {
            text.push('\n');
            text.push_str(&parameter_text(parameter));
        }
    }
    let advised: Vec<_> = metadata.actions.iter().filter(|a| is_advised(&a.name)).collect();
    if !advised.is_empty() {
        text.push_str("\nOperations' defaults (advisory minimum):\n\n");
        for action in advised {
            let mut line = format!("    {:<13}", action.name);
            let mut add = |key: &str, value: &Option<String>| {
                if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                    line.push_str(&format!(" {key}={value}"));
                }
            };
            add("depth", &action.depth);
            add("role", &action.role);
            add("timeout", &action.timeout);
            add("interval", &action.interval);
            add("start-delay", &action.start_delay);
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }
    text
}

fn parameter_text(parameter: &Parameter) -> String {
    let mark = if parameter.required { "*" } else { "" };
    let mut kind = parameter.content_type.clone();
    if kind.is_empty() {
        kind.push_str("string");
    }
    let default = match parameter.default.as_deref() {
        Some(default) if !default.is_empty() => format!(", [{default}]"),
        _ => String::new(),
    };
    let short = match parameter.shortdesc.trim() {
        "" => String::new(),
        short => format!(": {short}"),
    };
    let mut text = format!("{}{mark} ({kind}{default}){short}\n", parameter.name);
    let long = parameter.longdesc.trim();
    if !long.is_empty() && long != parameter.shortdesc.trim() {
        for line in long.lines() {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_share_the_width() {
        let words: Vec<String> =
            ["AoEtarget", "AudibleAlarm", "CTDB", "openstack-cinder-volume"].map(Into::into).into();
        assert_eq!(
            columns(&words, 80),
            "AoEtarget                 AudibleAlarm              CTDB\nopenstack-cinder-volume\n"
        );
        assert_eq!(columns(&[], 80), "");
    }

    #[test]
    fn info_has_the_layout_of_the_handbook() {
        let metadata = Metadata::parse(
            "<resource-agent name='X'><shortdesc lang='en'>Does X</shortdesc>\
             <longdesc lang='en'>Line one.\nLine two.</longdesc><parameters>\
             <parameter name='ip' required='1'><shortdesc>IP</shortdesc>\
             <longdesc>The address\nto manage</longdesc><content type='string' default=''/></parameter>\
             <parameter name='n'><shortdesc>N</shortdesc><content type='integer' default='5'/></parameter>\
             </parameters><actions><action name='start' timeout='20s'/>\
             <action name='monitor' depth='0' timeout='20s' interval='10s'/>\
             <action name='meta-data' timeout='5s'/></actions></resource-agent>",
        )
        .unwrap();
        let name = AgentName::new(Class::Ocf, Some("t"), "X");
        assert_eq!(
            info(&metadata, &name),
            "Does X (ocf:t:X)\n\nLine one.\nLine two.\n\nParameters (*: required, []: default):\n\n\
             ip* (string): IP\n    The address\n    to manage\n\nn (integer, [5]): N\n\n\
             Operations' defaults (advisory minimum):\n\n    start         timeout=20s\n    \
             monitor       depth=0 timeout=20s interval=10s\n"
        );
    }
}
