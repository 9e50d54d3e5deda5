//! Which link is explored when, and the size that fits all of them.
//!
//! Source: `spec/knet.md` §5.3.

use super::{Knet, LINKS, Output};
use crate::event::Event;
use crate::mtu::ip_overhead;
use crate::pmtud::{Run, Step};
use crate::wire;
use base::Time;
use std::time::Duration;

/// How long an answer to a probe is waited for, at most, on top of the round trips.
const ANSWER_WAIT: Duration = Duration::from_millis(500);
/// When a failed exploration is tried again.
const RETRY: Duration = Duration::from_secs(2);

impl Knet {
    /// The kernel did not take a probe; `mtu` is what it says it would.
    pub fn handle_refused(&mut self, now: Time, host: u16, link: u8, mtu: Option<usize>) {
        let Some(mut run) = self.run.take() else { return };
        if (run.host, run.link) != (host, link) {
            self.run = Some(run);
            return;
        }
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(link)) {
            link.stats.tx.pmtu.take_back(run.probe_bytes);
        }
        let step = run.refused(now, mtu);
        self.step(now, run, step);
    }

    /// Data was too large for an interface: its path changed.
    pub fn handle_too_big(&mut self, now: Time, host: u16, link: u8) {
        let is_running = self.run.as_ref().is_some_and(|run| (run.host, run.link) == (host, link));
        if !is_running {
            self.explore_link(now, host, link);
        }
    }

    /// A probe's answer.
    pub(super) fn handle_probe_reply(
        &mut self,
        now: Time,
        host: u16,
        link: u8,
        size: [u8; 2],
        bytes: usize,
    ) {
        let number = link % LINKS;
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) {
            link.stats.rx.pmtu.add(bytes);
        }
        let Some(mut run) = self.run.take() else { return };
        let step = if (run.host, run.link) == (host, number) { run.reply(now, size) } else { None };
        match step {
            Some(step) => self.step(now, run, step),
            None => self.run = Some(run),
        }
    }

    /// Answers a probe.
    pub(super) fn handle_probe(&mut self, host: u16, link: u8, size: [u8; 2], bytes: usize) {
        let number = link % LINKS;
        let Some(to) = self.remote(host, number) else { return };
        let mut packet = Vec::with_capacity(96);
        wire::put_probe_reply(&mut packet, self.config.me, link, size);
        let packet = self.wrap(packet);
        if let Some(link) = self.peers.get_mut(&host).and_then(|peer| peer.link_mut(number)) {
            link.stats.rx.pmtu.add(bytes);
            link.stats.tx.pmtu.add(packet.as_ref().len());
        }
        self.out.push_back(Output::Transmit { host, link: number, to, packet });
    }

    /// Explores a link as soon as possible.
    pub(super) fn explore_link(&mut self, now: Time, host: u16, number: u8) {
        let peer = self.peers.get_mut(&host);
        if let Some(link) = peer.and_then(|peer| peer.link_mut(number))
            && link.connected
            && link.remote.is_some()
        {
            link.pmtud_at = Some(now);
        }
    }

    pub(super) fn explore_all(&mut self, now: Time) {
        self.run = None;
        let all: Vec<(u16, u8)> = self.links().map(|(host, link, _)| (host, link)).collect();
        for (host, link) in all {
            self.explore_link(now, host, link);
        }
    }

    /// Goes on with the exploration that runs, or begins the next.
    pub(super) fn explore(&mut self, now: Time) {
        if let Some(mut run) = self.run.take_if(|run| run.deadline <= now) {
            let step = run.timeout(now);
            if let Some(mtu) = run.is_misconfigured.take() {
                let (host, link) = (run.host, run.link);
                self.event(Event::MtuMisconfigured { host, link, mtu });
            }
            self.step(now, run, step);
        }
        while self.run.is_none() {
            let due = self.peers.iter().find_map(|(host, peer)| {
                let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
                let (number, link) = peer.each_link().find(|(_, link)| is_due(link.pmtud_at))?;
                Some((*host, number, link.remote?, link.patience(now), link.latency()))
            });
            let Some((host, number, remote, patience, latency)) = due else { return };
            let overhead = ip_overhead(remote.ip());
            self.event(Event::PmtudStarted { host, link: number });
            if self.config.manual_mtu != 0 {
                let payload = (self.config.manual_mtu as usize).saturating_sub(overhead);
                self.explored(now, host, number, Some(self.envelope().max_data(payload)));
                continue;
            }
            let wait = patience.min(ANSWER_WAIT + latency * 4);
            let mut run = Run::new(host, number, self.envelope(), overhead, wait);
            let step = run.probe(now);
            self.step(now, run, step);
        }
    }

    fn step(&mut self, now: Time, mut run: Run, step: Step) {
        let (host, number) = (run.host, run.link);
        match step {
            Step::Done(mtu) => self.explored(now, host, number, Some(mtu)),
            Step::Failed => self.explored(now, host, number, None),
            Step::Send(probe) => {
                let Some(to) = self.remote(host, number) else { return };
                let mut packet = Vec::with_capacity(probe.clear + 128);
                wire::put_probe(&mut packet, self.config.me, number, probe.size, probe.clear);
                let packet = self.wrap(packet);
                run.probe_bytes = packet.as_ref().len();
                let peer = self.peers.get_mut(&host);
                if let Some(link) = peer.and_then(|peer| peer.link_mut(number)) {
                    link.stats.tx.pmtu.add(packet.as_ref().len());
                }
                self.run = Some(run);
                self.out.push_back(Output::Probe { host, link: number, to, packet });
            }
        }
    }

    /// The end of an exploration.
    fn explored(&mut self, now: Time, host: u16, number: u8, found: Option<usize>) {
        let interval = self.config.pmtud_interval;
        let peer = self.peers.get_mut(&host);
        let Some(link) = peer.and_then(|peer| peer.link_mut(number)) else { return };
        let was_valid = link.has_valid_mtu;
        let from = link.mtu;
        link.has_valid_mtu = found.is_some();
        link.pmtud_at = Some(now + if found.is_some() { interval } else { interval.min(RETRY) });
        match found {
            Some(mtu) => {
                link.mtu = mtu;
                if from != mtu {
                    self.event(Event::PmtudChanged { host, link: number, from, to: mtu });
                }
                self.event(Event::PmtudDone { host, link: number, mtu });
            }
            None if was_valid => self.event(Event::PmtudFailed { host, link: number }),
            None => {}
        }
        if was_valid != found.is_some() {
            self.refresh(host);
        }
        // While others wait for their turn, messages stay small enough for them.
        let mut others = self.peers.values().flat_map(|peer| peer.links.iter().flatten());
        if !others.any(|link| link.pmtud_at.is_some_and(|at| at <= now)) {
            self.update_data_mtu();
        }
    }

    /// The size that fits all links.
    pub(super) fn update_data_mtu(&mut self) {
        let links = self.peers.values().flat_map(|peer| peer.links.iter().flatten());
        let fits = links
            .filter(|link| link.remote.is_some() && link.carries_data())
            .map(|link| link.mtu)
            .min();
        let mtu = fits.unwrap_or_else(|| self.envelope().minimum());
        if mtu != self.data_mtu {
            self.data_mtu = mtu;
            self.event(Event::GlobalMtu { mtu });
        }
    }
}
