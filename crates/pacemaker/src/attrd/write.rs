//! How the writer puts attributes into the CIB.
//!
//! Source: `spec/pacemaker-cluster.md` §13.6.

use base::log::Priority;
use xml::Element;

use crate::alerts::{Alerts, Event};

use super::core::{Attrd, Ctx, Output, WRITE_RETRY};
use super::values::sanitize_id;

/// Call options: obsolete but always sent.
const QUORUM_OVERRIDE: u32 = 0x0010_0000;
/// Call options of an update that deletes values.
const MIXED_UPDATE_LOCAL: u32 = 0x0010_0180;

impl Attrd {
    /// Writes every attribute; `force` also those that did not change.
    pub(super) fn write_all(&mut self, ctx: Ctx<'_>, force: bool) {
        let names: Vec<String> = self
            .attributes
            .values()
            .filter(|attribute| force || attribute.changed || attribute.unknown_peer)
            .map(|attribute| attribute.name.clone())
            .collect();
        for name in names {
            self.write(ctx, &name, force);
        }
    }

    /// Writes the attributes that waited for a node's id.
    pub(super) fn write_unknown(&mut self, ctx: Ctx<'_>) {
        let names: Vec<String> = self
            .attributes
            .values()
            .filter(|attribute| attribute.unknown_peer)
            .map(|attribute| attribute.name.clone())
            .collect();
        for name in names {
            self.write(ctx, &name, false);
        }
    }

    /// Writes one attribute unless it is private, on its way already or still waits for more
    /// changes (`ignore_delay` ends that wait).
    pub(super) fn write(&mut self, ctx: Ctx<'_>, name: &str, ignore_delay: bool) {
        let Some(attribute) = self.attributes.get(name) else { return };
        if attribute.is_private || attribute.in_flight.is_some() {
            return;
        }
        if attribute.timer.is_some() && !ignore_delay {
            return;
        }
        let mut status = Element::new("status");
        let mut unknown_peer = false;
        let mut deletes = false;
        let mut written = Vec::new();
        for (key, value) in &attribute.values {
            let Some(uuid) = self.uuid_of(ctx, value) else {
                unknown_peer = true;
                continue;
            };
            let set = match &attribute.set {
                Some(set) => set.clone(),
                None => format!("status-{uuid}"),
            };
            let set = sanitize_id(&set);
            let id = match &attribute.key {
                Some(key) => key.clone(),
                None => format!("{set}-{name}"),
            };
            let mut nvpair = Element::new("nvpair")
                .with("id", sanitize_id(&id))
                .with("name", name)
                .with("value", value.current.as_deref().unwrap_or(""));
            if value.current.is_none() {
                nvpair.set("__delete__", "value");
                deletes = true;
            }
            written.push(key.clone());
            status.push(Element::new("node_state").with("id", uuid.as_str()).with_child(
                Element::new("transient_attributes").with("id", uuid.as_str()).with_child(
                    Element::new("instance_attributes").with("id", set).with_child(nvpair),
                ),
            ));
        }
        let tag = self.next_tag;
        let user = attribute.user.clone();
        if !written.is_empty() {
            self.tell_written(ctx, name, &written);
        }
        let Some(attribute) = self.attributes.get_mut(name) else { return };
        attribute.unknown_peer = unknown_peer;
        attribute.changed = false;
        attribute.force_write = false;
        attribute.timer = None;
        if written.is_empty() {
            return;
        }
        attribute.in_flight = Some(tag);
        for key in &written {
            if let Some(value) = attribute.values.get_mut(key) {
                value.requested = value.current.clone();
            }
        }
        self.next_tag += 1;
        let options = if deletes { MIXED_UPDATE_LOCAL } else { QUORUM_OVERRIDE };
        let text = format!("Sent CIB request {tag} with {} values for {name}", written.len());
        self.note(Priority::Info, text);
        self.outputs.push_back(Output::Write { tag, options, user, status });
    }

    /// Tells the alerts of the values that are being written.
    fn tell_written(&mut self, ctx: Ctx<'_>, name: &str, written: &[String]) {
        let Some(attribute) = self.attributes.get(name).filter(|_| !self.alerts.is_empty()) else {
            return;
        };
        let mut calls = Vec::new();
        for value in written.iter().filter_map(|key| attribute.values.get(key)) {
            let Some(id) = self.uuid_of(ctx, value) else { continue };
            calls.extend(self.alerts.calls(&Event::Attribute {
                node: &value.host,
                id: &id,
                name,
                value: value.current.as_deref().unwrap_or(""),
            }));
        }
        self.outputs.extend(calls.into_iter().map(Output::Alert));
    }

    /// The alerts that are configured now: an element of the CIB that has them in it, if any.
    pub fn configured(&mut self, ctx: Ctx<'_>, found: Option<&Element>) {
        let now = i64::try_from(ctx.epoch).unwrap_or(i64::MAX);
        self.alerts = found.map(|found| Alerts::read(found, now)).unwrap_or_default();
    }

    /// The CIB answered a write.
    pub fn written(&mut self, ctx: Ctx<'_>, tag: u64, rc: i32) {
        let Some(attribute) =
            self.attributes.values_mut().find(|attribute| attribute.in_flight == Some(tag))
        else {
            return;
        };
        attribute.in_flight = None;
        let name = attribute.name.clone();
        if rc != 0 {
            attribute.changed = true;
        }
        let again = attribute.changed;
        let dampening = attribute.dampening;
        if rc != 0 {
            let text = format!("CIB update {tag} for {name}: error {rc}");
            self.note(Priority::Warning, text);
        }
        if again && self.is_writer() {
            if rc == 0 {
                self.write(ctx, &name, false);
            } else if let Some(attribute) = self.attributes.get_mut(&name) {
                let wait = if dampening.is_zero() { WRITE_RETRY } else { dampening };
                attribute.timer = Some(ctx.now + wait);
            }
        }
    }

    /// Somebody erased a node's attributes from the CIB. That is right when the node left; but when
    /// only its controller died (the new DC cannot tell), its attributes are as true as before and
    /// nobody else would write them again.
    pub fn erased(&mut self, ctx: Ctx<'_>, node: &str) {
        let leaving = |host: &str| {
            self.attributes
                .get("shutdown")
                .and_then(|attribute| attribute.value(host))
                .is_some_and(|value| !value.is_empty() && value != "0")
        };
        let host = ctx.peers.iter().find(|peer| peer.uuid() == node && peer.is_active());
        let Some(host) = host.and_then(|peer| peer.name.clone()) else { return };
        if leaving(&host) || !self.is_writer() {
            return;
        }
        let mut names = Vec::new();
        for attribute in self.attributes.values_mut() {
            if !attribute.is_private && attribute.value(&host).is_some() {
                attribute.changed = true;
                names.push(attribute.name.clone());
            }
        }
        for name in names {
            self.write(ctx, &name, true);
        }
    }

    /// The connection to the CIB is gone: nothing in flight will be answered.
    pub fn cib_lost(&mut self) {
        for attribute in self.attributes.values_mut() {
            if attribute.in_flight.take().is_some() {
                attribute.changed = true;
            }
        }
    }
}
