//! How totem packets travel: redundant, encrypted links ([`Knet`]), UDP multicast ([`Udp`]) and
//! UDP unicast ([`Udpu`]).
//!
//! A transport is a thin shell around sockets. It takes plain structs, knows nothing of
//! configuration files, and never looks into packets beyond their sender. The engine queues what
//! the ring puts out, calls [`Transport::flush`], and polls the descriptors.
//!
//! Packets to oneself are not its business: the ring hears itself ([`totem::Output::Multicast`]).
//!
//! Source: `spec/totem.md` §10.

mod interface;
mod knet;
mod node_id;
mod outbox;
mod sockets;
mod sys;
mod sys_errors;
mod udp;
mod udpu;

pub use self::knet::{Knet, KnetLink};
pub use interface::{InterfaceAddr, find_interface, interfaces};
pub use node_id::node_id_from_address;
pub use udp::{Udp, UdpConfig};
pub use udpu::{Udpu, UdpuConfig};

use base::{NodeId, Time};
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use totem::Bytes;

/// Largest datagram accepted.
pub(crate) const MAX_DATAGRAM: usize = 65536;
/// Datagrams taken from the kernel in one call.
pub(crate) const BATCH: usize = 32;
/// Receive and send buffers asked for: upstream's 16 × 136192 bytes.
pub(crate) const SOCKET_BUFFER: usize = 16 * 136_192;

/// A node of the ring and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its id.
    pub node: NodeId,
    /// Its address.
    pub addr: IpAddr,
}

/// Whether the local interface can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// The address is configured on an interface that is up.
    Up(IpAddr),
    /// It is not: the node is alone until it comes back.
    Down,
}

impl Link {
    fn announce(self) {
        match self {
            Link::Up(addr) => {
                base::notice!(sub: "TOTEM", "The network interface [{addr}] is now up.");
            }
            Link::Down => base::notice!(sub: "TOTEM", "The network interface is down."),
        }
    }
}

/// One of the transports.
// There is one of it in a process, and it is not moved about.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub enum Transport {
    /// Links.
    Knet(Knet),
    /// UDP multicast.
    Udp(Udp),
    /// UDP unicast.
    Udpu(Udpu),
}

impl Transport {
    /// Queues a packet to all other nodes.
    pub fn send_mcast(&mut self, packet: Bytes) {
        match self {
            Transport::Knet(knet) => knet.send_mcast(&packet),
            Transport::Udp(udp) => udp.send_mcast(packet),
            Transport::Udpu(udpu) => udpu.send_mcast(packet),
        }
    }

    /// Queues a packet to one node. Without an address for it nothing is sent; the ring's timers
    /// notice.
    pub fn send_token(&mut self, to: NodeId, packet: Bytes) {
        match self {
            Transport::Knet(knet) => knet.send_token(to, &packet),
            Transport::Udp(udp) => udp.send_token(to, packet),
            Transport::Udpu(udpu) => udpu.send_token(to, packet),
        }
    }

    /// Hands everything queued to the kernel, in order. Returns how many datagrams it refused:
    /// they are lost, as the network might have lost them.
    pub fn flush(&mut self) -> usize {
        match self {
            Transport::Knet(knet) => knet.flush(),
            Transport::Udp(udp) => udp.flush(),
            Transport::Udpu(udpu) => udpu.flush(),
        }
    }

    /// Whether nothing is queued.
    pub fn is_flushed(&self) -> bool {
        match self {
            Transport::Knet(knet) => knet.is_flushed(),
            Transport::Udp(udp) => udp.is_flushed(),
            Transport::Udpu(udpu) => udpu.is_flushed(),
        }
    }

    /// Takes a batch of datagrams from the kernel, without blocking; then [`packet`](Self::packet)
    /// gives each. Call until it returns 0.
    pub fn recv_batch(&mut self) -> usize {
        match self {
            Transport::Knet(knet) => knet.recv_batch(),
            Transport::Udp(udp) => udp.recv_batch(),
            Transport::Udpu(udpu) => udpu.recv_batch(),
        }
    }

    /// Whether the last batch was all there was. What came since makes the descriptors readable.
    pub fn is_drained(&self) -> bool {
        match self {
            Transport::Knet(knet) => knet.is_drained(),
            // Two sockets, in a certain order: seen only by asking again.
            Transport::Udp(_) => false,
            Transport::Udpu(udpu) => udpu.is_drained(),
        }
    }

    /// A datagram of the last batch and the address it came from.
    pub fn packet(&self, index: usize) -> (&[u8], IpAddr) {
        match self {
            Transport::Knet(knet) => knet.packet(index),
            Transport::Udp(udp) => udp.packet(index),
            Transport::Udpu(udpu) => udpu.packet(index),
        }
    }

    /// The descriptors to poll for input. They change when [`check_interface`](Self::check_interface)
    /// returns a change.
    pub fn fds(&self) -> Vec<RawFd> {
        match self {
            Transport::Knet(knet) => knet.fds(),
            Transport::Udp(udp) => udp.fds(),
            Transport::Udpu(udpu) => udpu.fds(),
        }
    }

    /// Looks whether the interface came or went, and follows. Call it every `downcheck`
    /// milliseconds while alone or down, and when the token is lost. On `Some`, poll the new
    /// [`fds`](Self::fds) and tell the ring (`interface_changed`).
    pub fn check_interface(&mut self) -> io::Result<Option<Link>> {
        match self {
            // Links watch themselves, and addresses may come late.
            Transport::Knet(_) => Ok(None),
            Transport::Udp(udp) => udp.check_interface(),
            Transport::Udpu(udpu) => udpu.check_interface(),
        }
    }

    /// The state of the interface as last seen.
    pub fn link(&self) -> Link {
        match self {
            Transport::Knet(knet) => knet.link(),
            Transport::Udp(udp) => udp.link(),
            Transport::Udpu(udpu) => udpu.link(),
        }
    }

    /// Replaces the list of nodes (own one included or not). Links are set one by one instead:
    /// [`Knet::set_links`].
    pub fn set_members(&mut self, members: &[Member]) {
        match self {
            Transport::Knet(_) => {}
            Transport::Udp(udp) => udp.set_members(members),
            Transport::Udpu(udpu) => udpu.set_members(members),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn next_deadline(&self) -> Option<Time> {
        match self {
            Transport::Knet(knet) => knet.next_deadline(),
            Transport::Udp(_) | Transport::Udpu(_) => None,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        match self {
            Transport::Knet(knet) => knet.handle_timeout(now),
            Transport::Udp(_) | Transport::Udpu(_) => {}
        }
    }

    /// The links, if that is what it is.
    pub fn knet(&self) -> Option<&Knet> {
        match self {
            Transport::Knet(knet) => Some(knet),
            Transport::Udp(_) | Transport::Udpu(_) => None,
        }
    }

    /// The links, to be changed.
    pub fn knet_mut(&mut self) -> Option<&mut Knet> {
        match self {
            Transport::Knet(knet) => Some(knet),
            Transport::Udp(_) | Transport::Udpu(_) => None,
        }
    }

    /// Datagrams rejected because their sender is not listed (`block_unlisted_ips`).
    pub fn rejected(&self) -> u64 {
        match self {
            Transport::Udp(_) | Transport::Knet(_) => 0,
            Transport::Udpu(udpu) => udpu.rejected(),
        }
    }
}
