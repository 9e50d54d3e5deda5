//! Changing the set of links and the settings, at the start and while everything runs.

use super::{Knet, LINKS, Policy, Slot};
use crate::compress::Compression;
use crate::crypto::Crypto;
use crate::event::Event;
use crate::link::{Heartbeat, Link, LinkConfig};
use base::Time;
use std::time::Duration;

impl Knet {
    /// Adds a link to a peer, or replaces it. It is pinged from now on.
    pub fn add_link(&mut self, now: Time, host: u16, number: u8, config: &LinkConfig) {
        if number >= LINKS || host == self.config.me {
            return;
        }
        self.remove_link(now, host, number);
        let link = Link::new(now, config, self.envelope());
        self.peers.entry(host).or_default().links[usize::from(number)] = Some(link);
        self.event(Event::LinkEnabled { host, link: number });
        self.refresh(host);
    }

    /// Adds the link to oneself.
    pub fn add_loopback(&mut self, now: Time) {
        let me = self.config.me;
        let peer = self.peers.entry(me).or_default();
        peer.links[0] = Some(Link::to_oneself(now));
        peer.is_reachable = true;
    }

    /// Removes a link, and the peer with its last one.
    pub fn remove_link(&mut self, now: Time, host: u16, number: u8) {
        let Some(peer) = self.peers.get_mut(&host) else { return };
        let Some(slot) = peer.links.get_mut(usize::from(number)) else { return };
        let Some(mut link) = slot.take() else { return };
        if link.down(now) {
            self.event(Event::LinkDown { host, link: number });
        }
        self.event(Event::LinkDisabled { host, link: number });
        if self.run.as_ref().is_some_and(|run| (run.host, run.link) == (host, number)) {
            self.run = None;
        }
        self.refresh(host);
        if self.peers.get(&host).is_some_and(|peer| peer.each_link().next().is_none()) {
            self.peers.remove(&host);
        }
        self.update_data_mtu();
    }

    /// Sets a link's timers.
    pub fn set_heartbeat(&mut self, host: u16, number: u8, heartbeat: Heartbeat) {
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) {
            link.heartbeat = heartbeat;
        }
    }

    /// Sets a link's rank.
    pub fn set_priority(&mut self, host: u16, number: u8, priority: u8) {
        let link = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number));
        if let Some(link) = link.filter(|link| link.priority != priority) {
            link.priority = priority;
            self.refresh(host);
        }
    }

    /// Sets how several links are used.
    pub fn set_policy(&mut self, policy: Policy) {
        if self.config.policy != policy {
            self.config.policy = policy;
            let hosts: Vec<u16> = self.peers.keys().copied().collect();
            for host in hosts {
                self.refresh(host);
            }
        }
    }

    /// Sets how messages are compressed.
    pub fn set_compression(&mut self, compression: Compression) {
        if self.config.compression != compression {
            self.config.compression = compression;
            self.tell_compression();
        }
    }

    pub(super) fn tell_compression(&mut self) {
        let Compression { model, threshold, level } = self.config.compression;
        self.event(Event::Compression { model: model.as_str(), level, threshold });
    }

    /// Sets whether packets from unlisted addresses are dropped.
    pub fn set_access_lists(&mut self, on: bool) {
        self.config.access_lists = on;
    }

    /// Sets how often paths are explored.
    pub fn set_pmtud_interval(&mut self, interval: Duration) {
        self.config.pmtud_interval = interval;
    }

    /// Sets the size of packets, or 0 to explore.
    pub fn set_manual_mtu(&mut self, now: Time, mtu: u32) {
        if self.config.manual_mtu != mtu {
            self.config.manual_mtu = mtu;
            self.event(Event::ManualMtu { mtu });
            self.explore_all(now);
        }
    }

    /// Fills or empties an encryption setting. It serves for receiving at once.
    pub fn set_crypto(&mut self, now: Time, slot: Slot, crypto: Option<Crypto>) {
        self.crypto[slot as usize] = crypto;
        if self.in_use == Some(slot) {
            if self.crypto[slot as usize].is_none() {
                self.in_use = None;
            }
            self.reset_mtu(now);
        }
    }

    /// Sets the setting to send with; `None` (or an empty one) sends clear packets.
    pub fn use_crypto(&mut self, now: Time, slot: Option<Slot>) {
        let slot = slot.filter(|slot| self.crypto[*slot as usize].is_some());
        if self.in_use != slot {
            self.in_use = slot;
            self.reset_mtu(now);
        }
    }

    /// Sets whether clear packets are taken although there is a key.
    pub fn allow_clear(&mut self, allowed: bool) {
        self.is_clear_allowed = allowed;
        self.event(Event::ClearTraffic { allowed });
    }

    /// Packets grow or shrink: nothing known about sizes holds any longer.
    fn reset_mtu(&mut self, now: Time) {
        self.data_mtu = self.envelope().minimum();
        self.event(Event::PmtudReset);
        self.explore_all(now);
    }
}
