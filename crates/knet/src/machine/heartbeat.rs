//! Pings, pongs, and what follows when a link comes or goes.
//!
//! Upstream looks every 200 ms whether something is due; here everything has its own time.

use super::{Knet, LINKS, Output, Policy};
use crate::event::Event;
use crate::link::Pong;
use crate::wire::{self, Beat};
use base::Time;
use std::net::SocketAddr;

impl Knet {
    /// When to call [`Knet::handle_timeout`] at the latest. A time in the past means at once.
    pub fn next_deadline(&self) -> Option<Time> {
        let links = self.peers.values().flat_map(|peer| peer.links.iter().flatten());
        let exploring = self.run.as_ref().map(|run| run.deadline);
        links
            .flat_map(|link| {
                let explore = link.pmtud_at.filter(|_| self.run.is_none());
                [link.ping_deadline(), link.silence_deadline(), explore]
            })
            .chain([exploring])
            .flatten()
            .min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        let hosts: Vec<u16> = self.peers.keys().copied().collect();
        for host in hosts {
            for number in 0..LINKS {
                let Some(link) = self.peers.get(&host).and_then(|peer| peer.link(number)) else {
                    continue;
                };
                let (silent, ping) = (link.is_silent(now), link.ping_deadline());
                if silent {
                    self.take_down(now, host, number);
                }
                if ping.is_some_and(|at| at <= now) {
                    self.ping(now, host, number, true);
                }
            }
        }
        self.explore(now);
    }

    /// The network says that nobody is there (ICMP): a link need not wait for the silence.
    pub fn handle_unreachable(&mut self, now: Time, remote: SocketAddr) {
        let is_there = |at: Option<SocketAddr>| at == Some(remote);
        let found: Vec<(u16, u8)> = self
            .links()
            .filter(|(_, _, link)| link.connected && is_there(link.remote))
            .map(|(host, number, _)| (host, number))
            .collect();
        for (host, number) in found {
            self.take_down(now, host, number);
        }
    }

    /// Sends a ping.
    pub(super) fn ping(&mut self, now: Time, host: u16, number: u8, timed: bool) {
        let Some(to) = self.remote(host, number) else { return };
        let beat = Beat { link: number, time: wire::stamp(now), seq: self.seq, timed };
        let mut packet = Vec::with_capacity(96);
        wire::put_ping(&mut packet, self.config.me, &beat);
        let packet = self.wrap(packet);
        let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) else {
            return;
        };
        if timed {
            link.pinged(now);
        }
        link.stats.tx.ping.add(packet.as_ref().len());
        self.out.push_back(Output::Transmit { host, link: number, to, packet });
    }

    /// Takes a ping and answers it.
    pub(super) fn handle_ping(&mut self, host: u16, beat: &Beat, bytes: usize) {
        let number = beat.link % LINKS;
        let Some(peer) = self.peers.get_mut(&host) else { return };
        let Some(link) = peer.link_mut(number) else { return };
        link.stats.rx.ping.add(bytes);
        peer.note_seq(beat);
        let Some(to) = self.remote(host, number) else { return };
        let mut packet = Vec::with_capacity(96);
        wire::put_pong(&mut packet, self.config.me, beat);
        let packet = self.wrap(packet);
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) {
            link.stats.tx.pong.add(packet.as_ref().len());
        }
        self.out.push_back(Output::Transmit { host, link: number, to, packet });
    }

    /// Takes a pong.
    pub(super) fn handle_pong(&mut self, now: Time, host: u16, beat: &Beat, bytes: usize) {
        let number = beat.link % LINKS;
        let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) else {
            return;
        };
        link.stats.rx.pong.add(bytes);
        match link.pong(now, wire::unstamp(beat.time)) {
            Pong::Refreshed => {}
            Pong::Late => self.event(Event::PongLate { host, link: number }),
            Pong::Counted(count) => self.event(Event::Pong { host, link: number, count }),
            Pong::Up => {
                self.event(Event::LinkUp { host, link: number });
                self.event(Event::MtuReset { host, link: number });
                self.data_mtu = self.envelope().minimum();
                self.explore_link(now, host, number);
                self.refresh(host);
            }
        }
    }

    pub(super) fn take_down(&mut self, now: Time, host: u16, number: u8) {
        let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) else {
            return;
        };
        if link.down(now) {
            self.event(Event::LinkDown { host, link: number });
            if self.run.as_ref().is_some_and(|run| (run.host, run.link) == (host, number)) {
                self.run = None;
            }
            self.refresh(host);
            self.update_data_mtu();
        }
    }

    /// Decides anew which links to a peer carry data.
    pub(super) fn refresh(&mut self, host: u16) {
        let policy = self.config.policy;
        if host == self.config.me {
            return;
        }
        let Some(peer) = self.peers.get_mut(&host) else { return };
        let candidates: Vec<(u8, u8)> = peer
            .each_link()
            .filter(|(_, link)| link.carries_data())
            .map(|(number, link)| (number, link.priority))
            .collect();
        if policy == Policy::Passive {
            // The first of the highest priority.
            let best = candidates.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
            peer.active = best.iter().map(|(number, _)| *number).collect();
            peer.best = best.unwrap_or(peer.best);
        } else {
            peer.active = candidates.iter().map(|(number, _)| *number).collect();
        }
        let (count, best) = (peer.active.len(), peer.best);
        let was_reachable = std::mem::replace(&mut peer.is_reachable, count > 0);
        if count == 0 {
            peer.wipe(0);
        }
        if policy == Policy::Passive {
            self.event(Event::BestLink { host, link: best.0, priority: best.1 });
        } else if count > 0 {
            self.event(Event::ActiveLinks { host, count });
        }
        if count == 0 {
            self.event(Event::NoActiveLinks { host });
        }
        if was_reachable != (count > 0) {
            self.event(Event::Reachable { host, reachable: count > 0 });
        }
    }
}

impl super::peer::Peer {
    /// A ping says where the peer's numbers are: one that started anew begins at the beginning.
    fn note_seq(&mut self, beat: &Beat) {
        if beat.timed {
            if beat.seq != self.timed_seq {
                self.timed_seq = beat.seq;
                if beat.seq == 0 {
                    self.wipe(0);
                }
            }
        } else if beat.seq != self.untimed_seq {
            self.untimed_seq = beat.seq;
            if !std::mem::take(&mut self.got_data) {
                self.wipe(beat.seq);
            }
            if beat.seq != 0 {
                self.window.is_new(beat.seq, crate::dedupe::Ring::Delivered);
                self.defrag.expire(&self.window);
            }
        }
    }
}
