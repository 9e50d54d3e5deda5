//! Fence devices: what they are, which targets they can fence, how the answer is found out.
//!
//! Source: `spec/pacemaker-cluster.md` §15.5, `spec/agents.md` §5.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use agents::fence::{Abilities, host_map, targets};
use base::Time;
use xml::Element;

/// How long a list of targets from the agent is believed.
const LIST_LIFETIME: Duration = Duration::from_secs(60);

/// How it is found out whether a device can fence a target (`pcmk_host_check`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostCheck {
    /// By `pcmk_host_list` and `pcmk_host_map`.
    Static,
    /// By the agent's `list`.
    Dynamic,
    /// By the agent's `status` of the target.
    Status,
    /// It can fence everybody.
    Always,
}

/// An answer, or what has to be asked for one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Can {
    /// It can.
    Yes,
    /// It cannot.
    No,
    /// The agent has to be asked for its list.
    AskList,
    /// The agent has to be asked for the target's status.
    AskStatus,
}

/// A device of this node.
#[derive(Clone, Debug, PartialEq)]
pub struct Device {
    /// Its id (that of the resource).
    pub id: String,
    /// The agent.
    pub agent: String,
    /// Parameters.
    pub params: BTreeMap<String, String>,
    /// It is needed before a node may join (unfencing).
    pub provides_unfencing: bool,
    /// What the agent can do; `None` until its metadata was read.
    pub abilities: Option<Abilities>,
    /// Registered by a client.
    pub by_api: bool,
    /// Registered from the CIB.
    pub by_cib: bool,
    /// It answered well at least once.
    pub verified: bool,
    /// Order among devices of a node; higher first.
    pub priority: i64,
    listed: Option<(Time, BTreeSet<String>)>,
}

impl Device {
    /// A device nobody asked anything yet.
    pub fn new(id: &str, agent: &str, params: BTreeMap<String, String>) -> Device {
        Device {
            id: id.to_owned(),
            agent: agent.to_owned(),
            params,
            provides_unfencing: false,
            abilities: None,
            by_api: false,
            by_cib: false,
            verified: false,
            priority: 0,
            listed: None,
        }
    }

    /// Reads a registration.
    pub fn from_element(element: &Element) -> Option<Device> {
        let (id, agent) = (element.get("id")?, element.get("agent")?);
        if id.is_empty() || agent.is_empty() {
            return None;
        }
        let params = crate::execd::wire::params_of(element.child("attributes"));
        let mut device = Device::new(id, agent, params);
        device.provides_unfencing = element.get("rsc_provides") == Some("unfencing");
        Some(device)
    }

    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// What the device calls a target, by the map.
    pub fn alias(&self, target: &str) -> Option<String> {
        let map = host_map(self.param("pcmk_host_map")?);
        map.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(target)).map(|(_, alias)| alias)
    }

    /// How to find out whom it can fence.
    pub fn host_check(&self) -> HostCheck {
        match self.param("pcmk_host_check") {
            Some("static-list") => return HostCheck::Static,
            Some("dynamic-list") => return HostCheck::Dynamic,
            Some("status") => return HostCheck::Status,
            Some("none") => return HostCheck::Always,
            _ => {}
        }
        let abilities = self.abilities.unwrap_or_default();
        if self.param("pcmk_host_list").is_some() || self.param("pcmk_host_map").is_some() {
            HostCheck::Static
        } else if abilities.list {
            HostCheck::Dynamic
        } else if abilities.status {
            HostCheck::Status
        } else {
            HostCheck::Always
        }
    }

    /// Whether it can do an action to a target; `target` `None` asks for any.
    pub fn can(&self, now: Time, target: Option<&str>, action: &str) -> Can {
        let Some(abilities) = self.abilities else { return Can::No };
        if action == "on" && !abilities.on {
            return Can::No;
        }
        let Some(target) = target else { return Can::Yes };
        match self.host_check() {
            HostCheck::Always => Can::Yes,
            HostCheck::Status => Can::AskStatus,
            HostCheck::Static => {
                let listed = targets(self.param("pcmk_host_list").unwrap_or_default());
                let mapped = host_map(self.param("pcmk_host_map").unwrap_or_default());
                let mut names = listed.into_iter().chain(mapped.into_keys());
                let found = names.any(|name| name.eq_ignore_ascii_case(target));
                if found { Can::Yes } else { Can::No }
            }
            HostCheck::Dynamic => match &self.listed {
                Some((at, names)) if now.since(*at) < LIST_LIFETIME => {
                    let alias = self.alias(target);
                    let known = names.iter().any(|name| {
                        name.eq_ignore_ascii_case(target) || alias.as_deref() == Some(name)
                    });
                    if known { Can::Yes } else { Can::No }
                }
                _ => Can::AskList,
            },
        }
    }

    /// Takes in what the agent listed; `None` when it failed, which makes a configured-by-nobody
    /// device be asked for each target instead.
    pub fn set_listed(&mut self, now: Time, output: Option<&str>) {
        match output {
            Some(output) => {
                self.listed = Some((now, targets(output).into_iter().collect()));
            }
            None if self.param("pcmk_host_check").is_none() => {
                self.params.insert("pcmk_host_check".into(), "status".into());
            }
            None => self.listed = Some((now, BTreeSet::new())),
        }
    }

    /// How long an action may take: `pcmk_<action>_timeout`, else what is given.
    pub fn timeout(&self, action: &str, otherwise: Duration) -> Duration {
        let custom = self.custom_timeout_s(action);
        custom.map_or(otherwise, |seconds| Duration::from_secs(seconds.into()))
    }

    /// The configured timeout of an action in seconds.
    pub fn custom_timeout_s(&self, action: &str) -> Option<u32> {
        let text = self.param(&format!("pcmk_{action}_timeout"))?;
        let ms = base::interval::parse_ms(text).ok()?;
        Some(ms / 1000).filter(|seconds| *seconds > 0)
    }

    /// How often an action is tried in all.
    pub fn tries(&self, action: &str) -> u32 {
        let text = self.param(&format!("pcmk_{action}_retries"));
        text.and_then(|text| text.trim().parse().ok()).unwrap_or(2).max(1)
    }

    /// How many actions may run at once; `None` is without limit.
    pub fn action_limit(&self) -> Option<usize> {
        match self.param("pcmk_action_limit").and_then(|text| text.trim().parse::<i64>().ok()) {
            Some(-1) => None,
            Some(limit) => Some(usize::try_from(limit).unwrap_or(1).max(1)),
            None => Some(1),
        }
    }

    /// Its line in the answer to a query.
    pub fn describe(&self, action: Option<&str>, allowed: bool) -> Element {
        let abilities = self.abilities.unwrap_or_default();
        let mut element = Element::new("st_device_id")
            .with("id", self.id.as_str())
            .with("namespace", "redhat")
            .with("agent", self.agent.as_str())
            .with("st_monitor_verified", if self.verified { "1" } else { "0" })
            .with("st_device_support_flags", abilities.support_flags().to_string());
        let details = |element: &mut Element, action: &str| {
            if action == "on" && (abilities.automatic || self.provides_unfencing) {
                element.set("st_required", "1");
            }
            if let Some(seconds) = self.custom_timeout_s(action) {
                element.set("st_action_timeout", seconds.to_string());
            }
            if !allowed {
                element.set("st_action_disallowed", "1");
            }
        };
        if let Some(action) = action {
            details(&mut element, action);
            if action == "reboot" {
                for part in ["off", "on"] {
                    let mut child = Element::new("st_device_action").with("id", part);
                    details(&mut child, part);
                    element.push(child);
                }
            }
        }
        element
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(params: &[(&str, &str)], abilities: Abilities) -> Device {
        let params = params.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        Device { abilities: Some(abilities), ..Device::new("d", "fence_x", params) }
    }

    #[test]
    fn devices_know_their_targets() {
        let all =
            Abilities { list: true, status: true, reboot: true, on: true, ..Abilities::default() };
        let none = Abilities::default();
        let now = Time::from_millis(1000);
        for (params, abilities, target, action, want) in [
            (&[("pcmk_host_list", "a b")][..], all, "A", "off", Can::Yes),
            (&[("pcmk_host_list", "a b")][..], all, "c", "off", Can::No),
            (&[("pcmk_host_map", "a:1;b:2")][..], all, "b", "reboot", Can::Yes),
            (&[][..], all, "a", "off", Can::AskList),
            (&[("pcmk_host_check", "status")][..], all, "a", "off", Can::AskStatus),
            (&[("pcmk_host_check", "none")][..], none, "a", "off", Can::Yes),
            (&[][..], none, "a", "off", Can::Yes),
            (&[][..], none, "a", "on", Can::No),
        ] {
            assert_eq!(
                device(params, abilities).can(now, Some(target), action),
                want,
                "{params:?}"
            );
        }
        let mut listing = device(&[], all);
        listing.set_listed(now, Some("a,1\nb"));
        assert_eq!(listing.can(now, Some("b"), "off"), Can::Yes);
        assert_eq!(listing.can(now, Some("c"), "off"), Can::No);
        assert_eq!(listing.can(now + LIST_LIFETIME, Some("b"), "off"), Can::AskList);
        listing.set_listed(now, None);
        assert_eq!(listing.can(now, Some("b"), "off"), Can::AskStatus);
        let unknown = Device::new("d", "x", BTreeMap::new());
        assert_eq!(unknown.can(now, None, "off"), Can::No);
    }

    #[test]
    fn limits_are_read() {
        let of = |value: &str| device(&[("pcmk_action_limit", value)], Abilities::default());
        assert_eq!(of("3").action_limit(), Some(3));
        assert_eq!(of("0").action_limit(), Some(1));
        assert_eq!(of("-1").action_limit(), None);
        assert_eq!(of("x").action_limit(), Some(1));
        let slow =
            device(&[("pcmk_off_timeout", "90s"), ("pcmk_off_retries", "4")], Abilities::default());
        assert_eq!(
            (slow.custom_timeout_s("off"), slow.tries("off"), slow.tries("on")),
            (Some(90), 4, 2)
        );
    }
}
