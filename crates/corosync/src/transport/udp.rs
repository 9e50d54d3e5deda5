//! UDP multicast: one datagram reaches everybody; tokens go by unicast.
//!
//! Three sockets as upstream has them: one receives multicasts, one sends everything (source port
//! one below the configured one), one receives tokens. Tokens and multicasts arrive on different
//! sockets, so before a token is handed up the multicast socket is read until it is empty: what
//! was sent before the token is seen before it.
//!
//! Rings without a node list (configurations of the first generation) have no addresses for their
//! node ids; these are learnt from the packets that each node sends by itself.
//!
//! Source: `spec/totem.md` §10.1.

use super::outbox::Outbox;
use super::sockets::{socket_addr, udp_socket};
use super::sys::RecvBatch;
use super::{InterfaceAddr, Link, Member, find_interface, interfaces};
use base::NodeId;
use socket2::{SockAddr, Socket};
use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use totem::Bytes;
use totem::wire::{Header, Kind};

/// What the transport needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpConfig {
    /// This node.
    pub me: NodeId,
    /// Own address, or the network it is in.
    pub bindnet: IpAddr,
    /// The multicast group; 255.255.255.255 for broadcast.
    pub mcastaddr: IpAddr,
    /// The port of group and tokens.
    pub port: u16,
    /// Hops a multicast may take.
    pub ttl: u32,
    /// The nodes, where known.
    pub members: Vec<Member>,
}

#[derive(Debug)]
struct Sockets {
    mcast_recv: Socket,
    send: Socket,
    token: Socket,
    group: SockAddr,
    index: u32,
}

/// The transport.
#[derive(Debug)]
pub struct Udp {
    config: UdpConfig,
    link: Link,
    sockets: Option<Sockets>,
    learnt: BTreeMap<NodeId, IpAddr>,
    outbox: Outbox,
    mcasts: RecvBatch,
    mcast_count: usize,
    tokens: RecvBatch,
    /// Tokens read but not yet handed up.
    token_count: usize,
}

impl Udp {
    /// Binds to the interface `bindnet` means. If there is none the link is down, and
    /// [`check_interface`](Self::check_interface) will find it later.
    pub fn new(config: UdpConfig) -> io::Result<Udp> {
        let mut udp = Udp {
            config,
            link: Link::Down,
            sockets: None,
            learnt: BTreeMap::new(),
            outbox: Outbox::default(),
            mcasts: RecvBatch::new(),
            mcast_count: 0,
            tokens: RecvBatch::new(),
            token_count: 0,
        };
        udp.check_interface()?;
        Ok(udp)
    }

    fn open(&self, found: &InterfaceAddr) -> io::Result<Sockets> {
        let port = self.config.port;
        let index = found.index;
        let group = socket_addr(self.config.mcastaddr, port, index);
        let mcast_recv = udp_socket(&group, true)?;
        let below = socket_addr(found.addr, port.wrapping_sub(1), index);
        let send = udp_socket(&below, true)?;
        let token = udp_socket(&socket_addr(found.addr, port, index), true)?;
        match (self.config.mcastaddr, found.addr) {
            (IpAddr::V4(group), _) if group == Ipv4Addr::BROADCAST => {
                mcast_recv.set_broadcast(true)?;
                send.set_broadcast(true)?;
            }
            (IpAddr::V4(group), IpAddr::V4(own)) => {
                mcast_recv.join_multicast_v4(&group, &own)?;
                mcast_recv.set_multicast_if_v4(&own)?;
                send.set_multicast_if_v4(&own)?;
                send.set_multicast_loop_v4(false)?;
                send.set_multicast_ttl_v4(self.config.ttl)?;
            }
            (IpAddr::V6(group), _) => {
                mcast_recv.join_multicast_v6(&group, index)?;
                mcast_recv.set_multicast_if_v6(index)?;
                send.set_multicast_if_v6(index)?;
                send.set_multicast_loop_v6(false)?;
                send.set_multicast_hops_v6(self.config.ttl)?;
            }
            (IpAddr::V4(_), IpAddr::V6(_)) => {
                let text = "mcastaddr and bindnetaddr are of different families";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
        }
        Ok(Sockets { mcast_recv, send, token, group, index })
    }

    pub(super) fn check_interface(&mut self) -> io::Result<Option<Link>> {
        let list = interfaces()?;
        let found = find_interface(&list, self.config.bindnet).filter(|i| i.up);
        let link = found.map_or(Link::Down, |i| Link::Up(i.addr));
        if link == self.link {
            return Ok(None);
        }
        self.sockets = None;
        self.outbox.clear();
        (self.mcast_count, self.token_count) = (0, 0);
        self.link = Link::Down;
        if let Some(found) = found {
            self.sockets = Some(self.open(found)?);
            self.link = link;
        }
        self.link.announce();
        Ok(Some(self.link))
    }

    pub(super) fn set_members(&mut self, members: &[Member]) {
        self.config.members = members.to_vec();
    }

    pub(super) fn send_mcast(&mut self, packet: Bytes) {
        if let Some(sockets) = &self.sockets {
            self.outbox.push(sockets.group.clone(), packet);
        }
    }

    pub(super) fn send_token(&mut self, to: NodeId, packet: Bytes) {
        let listed = self.config.members.iter().find(|m| m.node == to).map(|m| m.addr);
        let addr = listed.or_else(|| self.learnt.get(&to).copied());
        if let (Some(addr), Some(sockets)) = (addr, &self.sockets) {
            self.outbox.push(socket_addr(addr, self.config.port, sockets.index), packet);
        }
    }

    pub(super) fn flush(&mut self) -> usize {
        match &self.sockets {
            Some(sockets) => self.outbox.flush(&sockets.send),
            None => {
                self.outbox.clear();
                0
            }
        }
    }

    pub(super) fn is_flushed(&self) -> bool {
        self.outbox.is_empty()
    }

    pub(super) fn recv_batch(&mut self) -> usize {
        let Some(sockets) = &self.sockets else { return 0 };
        if !self.mcasts.is_full() {
            // The batch before this one emptied the multicast socket: its tokens are handed up.
            self.token_count = 0;
        }
        if self.token_count == 0 {
            self.token_count = self.tokens.fill(sockets.token.as_fd());
        }
        self.mcast_count = self.mcasts.fill(sockets.mcast_recv.as_fd());
        self.learn();
        self.batch_len()
    }

    /// A full batch of multicasts may not be all: tokens wait for the rest.
    fn batch_len(&self) -> usize {
        let tokens = if self.mcasts.is_full() { 0 } else { self.token_count };
        self.mcast_count + tokens
    }

    fn learn(&mut self) {
        for index in 0..self.batch_len() {
            let (data, from) = self.packet(index);
            let Ok(header) = Header::decode(data) else { continue };
            // Multicasts may be sent again by others; these kinds come from who they say.
            if matches!(header.kind, Kind::Join | Kind::MergeDetect | Kind::Token | Kind::Commit)
                && header.nodeid != 0
                && header.nodeid != self.config.me.0
            {
                self.learnt.insert(NodeId(header.nodeid), from);
            }
        }
    }

    pub(super) fn packet(&self, index: usize) -> (&[u8], IpAddr) {
        let found = if index < self.mcast_count {
            self.mcasts.get(index)
        } else {
            self.tokens.get(index - self.mcast_count)
        };
        found.unwrap_or((&[], self.config.bindnet))
    }

    pub(super) fn fds(&self) -> Vec<RawFd> {
        let all = self.sockets.iter().flat_map(|s| [&s.mcast_recv, &s.token]);
        all.map(AsRawFd::as_raw_fd).collect()
    }

    pub(super) fn link(&self) -> Link {
        self.link
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_after_the_multicasts_sent_before_them() {
        let localhost: IpAddr = "127.0.0.1".parse().unwrap();
        let mut udp = Udp::new(UdpConfig {
            me: NodeId(1),
            bindnet: localhost,
            mcastaddr: "239.255.1.1".parse().unwrap(),
            port: 45_409,
            ttl: 1,
            members: vec![Member { node: NodeId(2), addr: localhost }],
        })
        .unwrap();
        // Own multicasts are not looped back, so another socket plays the other node.
        let other = udp_socket(&socket_addr(localhost, 45_411, 0), false).unwrap();
        other.set_multicast_if_v4(&Ipv4Addr::LOCALHOST).unwrap();
        for n in 0..80u8 {
            let group: SockAddr = udp.sockets.as_ref().unwrap().group.clone();
            other.send_to(&[n], &group).unwrap();
        }
        udp.send_token(NodeId(2), Bytes::copy_of(b"token"));
        assert_eq!(udp.flush(), 0);
        let mut got = Vec::new();
        loop {
            let count = udp.recv_batch();
            if count == 0 {
                break;
            }
            got.extend((0..count).map(|index| udp.packet(index).0.to_vec()));
        }
        assert_eq!(got.len(), 81);
        assert_eq!(got[80], b"token");
    }
}
