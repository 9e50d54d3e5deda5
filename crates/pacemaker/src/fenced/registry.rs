//! What the fencer has: devices, by clients and by the CIB, and topology levels.
//!
//! Source: `spec/pacemaker-ipc.md` §9.3, `spec/pacemaker-cluster.md` §15.4, §15.6.

use std::collections::BTreeMap;
use std::time::Duration;

use agents::Outcome;
use agents::fence::Abilities;
use base::log::Priority;
use xml::Element;

use super::config::{Config, Level, Selector};
use super::core::{Core, Now, Output, ReplyTo};
use super::device::Device;
use super::wire;

impl Core {
    pub(super) fn on_register(&mut self, to: &ReplyTo, request: &Element) {
        let data = wire::with_attr(request, "agent").and_then(Device::from_element);
        let Some(mut device) = data else {
            let outcome = wire::invalid(2, "Device registration has no id or agent");
            return self.answer(to, request, &outcome, None);
        };
        device.by_api = true;
        let (id, agent) = (device.id.clone(), device.agent.clone());
        self.insert_device(device);
        if self.abilities.contains_key(&agent) {
            self.device_changed("st_device_register", &id, &wire::done());
            self.answer(to, request, &wire::done(), None);
        } else {
            self.registering.push((id, to.clone(), request.clone()));
        }
    }

    /// Puts a device in place of what was there under its id, keeping who else registered it.
    fn insert_device(&mut self, mut device: Device) {
        device.abilities = self.abilities.get(&device.agent).copied();
        if let Some(known) = self.devices.get(&device.id) {
            device.by_api |= known.by_api;
            device.by_cib |= known.by_cib;
            device.verified |= known.verified && known.params == device.params;
        }
        if device.abilities.is_none() {
            let agent = device.agent.clone();
            self.learn(&agent);
        }
        self.devices.insert(device.id.clone(), device);
    }

    pub(super) fn remove_device(&mut self, id: &str, by_api: bool) -> Outcome {
        let Some(device) = self.devices.get_mut(id) else { return wire::done() };
        if by_api {
            device.by_api = false;
        } else {
            device.by_cib = false;
        }
        if !device.by_api && !device.by_cib {
            self.devices.remove(id);
        }
        wire::done()
    }

    pub(super) fn device_changed(&mut self, kind: &str, id: &str, outcome: &Outcome) {
        let data = Element::new(kind)
            .with("st_device_id", id)
            .with("st_active", self.devices.len().to_string());
        self.tell(kind, outcome, Some(data));
    }

    pub(super) fn learn(&mut self, agent: &str) {
        if self.learning.insert(agent.to_owned()) {
            self.outputs.push_back(Output::Learn { agent: agent.to_owned() });
        }
    }

    pub(super) fn on_learned(&mut self, now: Now, agent: &str, abilities: Option<Abilities>) {
        self.learning.remove(agent);
        match abilities {
            Some(abilities) => {
                self.relearn.remove(agent);
                self.abilities.insert(agent.to_owned(), abilities);
                for device in self.devices.values_mut().filter(|device| device.agent == agent) {
                    device.abilities = Some(abilities);
                }
            }
            None => {
                // Tried again later, ever less often.
                let wait =
                    self.relearn.get(agent).map_or(Duration::from_secs(10), |(_, last)| *last);
                let next = (wait * 2).min(Duration::from_secs(160));
                self.relearn.insert(agent.to_owned(), (now.mono + wait, next));
                self.note(
                    Priority::Warning,
                    format!("Could not get metadata of fence agent {agent}"),
                );
            }
        }
        let (ready, waiting) = std::mem::take(&mut self.registering)
            .into_iter()
            .partition(|(id, ..)| self.devices.get(id).is_none_or(|device| device.agent == agent));
        self.registering = waiting;
        let ready: Vec<(String, ReplyTo, Element)> = ready;
        for (id, to, request) in ready {
            // Without metadata the device is there, only it cannot be used yet.
            self.device_changed("st_device_register", &id, &wire::done());
            self.answer(&to, &request, &wire::done(), None);
        }
        self.searches_learned(now);
    }

    pub(super) fn on_config(&mut self, config: Config) {
        self.cib_levels = config.levels;
        self.node_attributes = config.node_attributes;
        let gone: Vec<String> = self
            .devices
            .values()
            .filter(|device| device.by_cib && !config.devices.contains_key(&device.id))
            .map(|device| device.id.clone())
            .collect();
        for id in gone {
            self.remove_device(&id, false);
            self.note(Priority::Info, format!("Removed '{id}' from device list"));
        }
        for (id, device) in config.devices {
            let same = self.devices.get(&id).is_some_and(|known| {
                known.by_cib && known.agent == device.agent && known.params == device.params
            });
            if !same {
                self.note(Priority::Info, format!("Added '{id}' to device list"));
                self.insert_device(device);
            }
        }
    }

    // --- levels -----------------------------------------------------------------------------

    pub(super) fn change_levels(&mut self, request: &Element, add: bool) -> Outcome {
        let Some(element) = wire::with_attr(request, "index") else {
            return wire::invalid(2, "Fencing level has no index");
        };
        let index = element.get("index").and_then(|text| text.trim().parse::<i64>().ok());
        let Some(selector) = Selector::from_element(element) else {
            return wire::invalid(2, "Fencing level has no target");
        };
        let valid = match index {
            Some(index) if add => (1..=9).contains(&index),
            Some(index) => (0..=9).contains(&index),
            None => false,
        };
        if !valid {
            return wire::invalid(2, "Fencing level index must be 1 to 9");
        }
        let index = index.and_then(|index| u32::try_from(index).ok()).unwrap_or(0);
        if add {
            let Some(level) = Level::from_element(element) else {
                return wire::invalid(2, "Fencing level cannot be read");
            };
            self.api_levels.push(level);
        } else {
            self.api_levels
                .retain(|level| level.selector != selector || (index != 0 && level.index != index));
        }
        let kind = if add { "st_level_add" } else { "st_level_remove" };
        let data = Element::new(kind)
            .with("st_device_id", format!("{}[{index}]", selector.describe()))
            .with("st_active", self.api_levels.len().to_string());
        self.tell(kind, &wire::done(), Some(data));
        wire::done()
    }

    /// The levels for a target, by index; empty without topology.
    pub(super) fn levels_of(&self, target: &str) -> BTreeMap<u32, Vec<String>> {
        let mut levels: BTreeMap<u32, Vec<String>> = BTreeMap::new();
        let all = || self.cib_levels.iter().chain(&self.api_levels);
        let matching = all().filter(|level| level.selector.selects(target, &self.node_attributes));
        // By name goes before by pattern goes before by attribute; one of them decides.
        let Some(first) = matching.map(|level| &level.selector).min() else { return levels };
        for level in all().filter(|level| level.selector == *first) {
            levels.entry(level.index).or_default().extend(level.devices.iter().cloned());
        }
        levels.retain(|_, devices| !devices.is_empty());
        levels
    }

    /// A number below `limit`, not the same on all nodes.
    pub(super) fn roll(&mut self, limit: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        if limit == 0 { 0 } else { self.random % limit }
    }
}
