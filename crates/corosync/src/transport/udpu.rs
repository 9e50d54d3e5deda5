//! UDP unicast: a multicast is one datagram for each node. One socket does everything, so that a
//! token never overtakes the multicasts sent before it.
//!
//! Source: `spec/totem.md` §10.2.

use super::outbox::Outbox;
use super::sockets::{socket_addr, udp_socket};
use super::sys::RecvBatch;
use super::{Link, Member, find_interface, interfaces};
use base::NodeId;
use socket2::{SockAddr, Socket};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use totem::Bytes;

/// What the transport needs to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UdpuConfig {
    /// This node.
    pub me: NodeId,
    /// Own address, or the network it is in.
    pub bindnet: IpAddr,
    /// The port of all nodes (`mcastport`).
    pub port: u16,
    /// The nodes.
    pub members: Vec<Member>,
    /// Whether packets of strangers are dropped unread.
    pub block_unlisted_ips: bool,
}

/// The transport.
#[derive(Debug)]
pub struct Udpu {
    config: UdpuConfig,
    link: Link,
    socket: Option<Socket>,
    index: u32,
    targets: BTreeMap<NodeId, SockAddr>,
    outbox: Outbox,
    batch: RecvBatch,
    /// Positions in `batch` of what passed the source filter.
    accepted: Vec<usize>,
    rejected: u64,
}

impl Udpu {
    /// Binds to the interface `bindnet` means. If there is none the link is down, and
    /// [`check_interface`](Self::check_interface) will find it later.
    pub fn new(mut config: UdpuConfig) -> io::Result<Udpu> {
        let members = std::mem::take(&mut config.members);
        let mut udpu = Udpu {
            config,
            link: Link::Down,
            socket: None,
            index: 0,
            targets: BTreeMap::new(),
            outbox: Outbox::default(),
            batch: RecvBatch::new(),
            accepted: Vec::new(),
            rejected: 0,
        };
        udpu.check_interface()?;
        udpu.set_members(&members);
        Ok(udpu)
    }

    pub(super) fn check_interface(&mut self) -> io::Result<Option<Link>> {
        let list = interfaces()?;
        let found = find_interface(&list, self.config.bindnet).filter(|i| i.up);
        let link = found.map_or(Link::Down, |i| Link::Up(i.addr));
        if link == self.link {
            return Ok(None);
        }
        self.socket = None;
        self.outbox.clear();
        self.accepted.clear();
        self.link = Link::Down;
        if let Some(found) = found {
            self.index = found.index;
            let local = socket_addr(found.addr, self.config.port, found.index);
            self.socket = Some(udp_socket(&local, false)?);
            self.link = link;
        }
        self.link.announce();
        self.aim();
        Ok(Some(self.link))
    }

    pub(super) fn set_members(&mut self, members: &[Member]) {
        for member in members.iter().filter(|member| !self.config.members.contains(member)) {
            base::notice!(sub: "TOTEM", "adding new UDPU member {{{}}}", member.addr);
        }
        for member in self.config.members.iter().filter(|member| !members.contains(member)) {
            base::notice!(sub: "TOTEM", "removing UDPU member {{{}}}", member.addr);
        }
        self.config.members = members.to_vec();
        self.aim();
    }

    /// Works out where the others are, seen from the present interface.
    fn aim(&mut self) {
        let (port, index, me) = (self.config.port, self.index, self.config.me);
        let others = self.config.members.iter().filter(|member| member.node != me);
        self.targets =
            others.map(|member| (member.node, socket_addr(member.addr, port, index))).collect();
    }

    pub(super) fn send_mcast(&mut self, packet: Bytes) {
        for to in self.targets.values() {
            self.outbox.push(to.clone(), packet.clone());
        }
    }

    pub(super) fn send_token(&mut self, to: NodeId, packet: Bytes) {
        if let Some(to) = self.targets.get(&to) {
            self.outbox.push(to.clone(), packet);
        }
    }

    pub(super) fn flush(&mut self) -> usize {
        match &self.socket {
            Some(socket) => self.outbox.flush(socket),
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
        self.accepted.clear();
        let Some(socket) = &self.socket else { return 0 };
        loop {
            let count = self.batch.fill(socket.as_fd());
            for index in 0..count {
                let Some((_, from)) = self.batch.get(index) else { continue };
                let listed = self.config.members.iter().any(|member| member.addr == from);
                if listed || !self.config.block_unlisted_ips {
                    self.accepted.push(index);
                } else {
                    self.rejected += 1;
                    base::debug!(sub: "TOTEM", "Packet rejected from {from}");
                }
            }
            // A batch of strangers only must not look like an empty socket.
            if count == 0 || !self.accepted.is_empty() {
                return self.accepted.len();
            }
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        !self.batch.is_full()
    }

    pub(super) fn packet(&self, index: usize) -> (&[u8], IpAddr) {
        let found = self.accepted.get(index).and_then(|at| self.batch.get(*at));
        found.unwrap_or((&[], self.config.bindnet))
    }

    pub(super) fn fds(&self) -> Vec<RawFd> {
        self.socket.iter().map(AsRawFd::as_raw_fd).collect()
    }

    pub(super) fn link(&self) -> Link {
        self.link
    }

    pub(super) fn rejected(&self) -> u64 {
        self.rejected
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Node 2" lives at our own address and port: what we send to it comes back.
    fn to_ourselves(port: u16, listed: bool) -> Udpu {
        let localhost: IpAddr = "127.0.0.1".parse().unwrap();
        let member = Member { node: NodeId(2), addr: localhost };
        let mut udpu = Udpu::new(UdpuConfig {
            me: NodeId(1),
            bindnet: localhost,
            port,
            members: vec![member],
            block_unlisted_ips: true,
        })
        .unwrap();
        if !listed {
            udpu.config.members.clear();
        }
        udpu
    }

    #[test]
    fn datagrams_arrive_in_order_and_in_batches() {
        let mut udpu = to_ourselves(45_405, true);
        assert!(matches!(udpu.link(), Link::Up(_)));
        assert_eq!(udpu.fds().len(), 1);
        assert_eq!(udpu.recv_batch(), 0);
        for n in 0..100u8 {
            udpu.send_mcast(Bytes::copy_of(&vec![n; 1000]));
        }
        udpu.send_token(NodeId(2), Bytes::copy_of(b"token"));
        udpu.send_token(NodeId(9), Bytes::copy_of(b"nowhere"));
        assert_eq!(udpu.flush(), 0);
        let mut got = Vec::new();
        loop {
            let count = udpu.recv_batch();
            if count == 0 {
                break;
            }
            got.extend((0..count).map(|index| udpu.packet(index).0.to_vec()));
        }
        assert_eq!(got.len(), 101);
        assert!((0..100).all(|n| got[n] == vec![n as u8; 1000]));
        assert_eq!(got[100], b"token");
    }

    #[test]
    fn strangers_are_not_read() {
        let mut udpu = to_ourselves(45_406, false);
        udpu.send_mcast(Bytes::copy_of(b"knock"));
        udpu.flush();
        assert_eq!((udpu.recv_batch(), udpu.rejected()), (0, 1));
    }

    #[test]
    fn without_an_interface_the_link_is_down() {
        let mut udpu = Udpu::new(UdpuConfig {
            me: NodeId(1),
            bindnet: "203.0.113.7".parse().unwrap(),
            port: 45_407,
            members: Vec::new(),
            block_unlisted_ips: true,
        })
        .unwrap();
        assert_eq!(udpu.link(), Link::Down);
        assert_eq!(udpu.check_interface().unwrap(), None);
        udpu.send_mcast(Bytes::copy_of(b"void"));
        assert_eq!((udpu.flush(), udpu.recv_batch(), udpu.fds().len()), (0, 0, 0));
    }
}
