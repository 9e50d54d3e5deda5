//! A peer: its links, which of them carry data, and what of its messages is known.

use crate::dedupe::Window;
use crate::defrag::Defrag;
use crate::link::Link;
use std::net::IpAddr;

use super::LINKS;

#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) links: [Option<Link>; LINKS as usize],
    /// The links that carry data, in the order they are used.
    pub(super) active: Vec<u8>,
    pub(super) is_reachable: bool,
    pub(super) window: Window,
    pub(super) defrag: Defrag,
    /// The last numbers in its pings, by the timer and for the wrap.
    pub(super) timed_seq: u16,
    pub(super) untimed_seq: u16,
    /// Data came since the last ping for the wrap.
    pub(super) got_data: bool,
    /// The link last named as the best.
    pub(super) best: (u8, u8),
}

impl Peer {
    pub(super) fn link(&self, number: u8) -> Option<&Link> {
        self.links.get(usize::from(number))?.as_ref()
    }

    pub(super) fn link_mut(&mut self, number: u8) -> Option<&mut Link> {
        self.links.get_mut(usize::from(number))?.as_mut()
    }

    pub(super) fn each_link(&self) -> impl Iterator<Item = (u8, &Link)> {
        (0..LINKS).filter_map(|number| Some((number, self.link(number)?)))
    }

    /// The link whose other end has this address.
    pub(super) fn link_from(&self, ip: IpAddr) -> Option<u8> {
        self.each_link().find(|(_, link)| link.is_at(ip)).map(|(number, _)| number)
    }

    /// Forgets what it sent: it started anew, or is out of reach.
    pub(super) fn wipe(&mut self, seq: u16) {
        self.window.wipe(seq);
        self.defrag.clear();
    }
}

impl Link {
    pub(super) fn is_at(&self, ip: IpAddr) -> bool {
        self.remote.is_some_and(|remote| remote.ip() == ip)
    }
}
