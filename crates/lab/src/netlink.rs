//! The little of rtnetlink a lab needs: bridges, veth pairs, addresses, up and down. A machine
//! without `iproute2` can run the demo all the same.
//!
//! A netlink socket belongs to the network namespace it was opened in, for good: open it there,
//! use it from anywhere. Source: rtnetlink(7), `linux/rtnetlink.h`, `linux/if_link.h`.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_SETLINK: u16 = 19;
const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_NET_NS_FD: u16 = 28;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;
const IFLA_BR_FORWARD_DELAY: u16 = 1;
const IFLA_BR_STP_STATE: u16 = 5;
const IFLA_BR_MCAST_SNOOPING: u16 = 23;
const VETH_INFO_PEER: u16 = 1;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_BROADCAST: u16 = 4;
const RTA_GATEWAY: u16 = 5;
const IFF_UP: u32 = 1;

/// A socket that changes the network namespace it was opened in.
#[derive(Debug)]
pub struct Netlink {
    socket: OwnedFd,
    sequence: u32,
}

/// A message under construction. Attributes nest by remembering where their length goes.
struct Message {
    bytes: Vec<u8>,
}

impl Message {
    fn new(kind: u16, flags: u16) -> Message {
        let mut bytes = vec![0; 16];
        bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
        bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        Message { bytes }
    }

    /// `struct ifinfomsg`.
    fn link(mut self, index: u32, flags: u32, change: u32) -> Message {
        self.bytes.extend([0; 4]);
        self.bytes.extend(index.to_ne_bytes());
        self.bytes.extend(flags.to_ne_bytes());
        self.bytes.extend(change.to_ne_bytes());
        self
    }

    fn attr(&mut self, kind: u16, value: &[u8]) {
        let length = 4 + value.len() as u16;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend(value);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    fn text(&mut self, kind: u16, value: &str) {
        let mut bytes = value.as_bytes().to_vec();
        bytes.push(0);
        self.attr(kind, &bytes);
    }

    fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Message)) {
        let start = self.bytes.len();
        self.bytes.extend([0, 0]);
        self.bytes.extend(kind.to_ne_bytes());
        fill(self);
        let length = (self.bytes.len() - start) as u16;
        self.bytes[start..start + 2].copy_from_slice(&length.to_ne_bytes());
    }
}

impl Netlink {
    /// Opens a socket in the network namespace of the calling thread.
    pub fn open() -> io::Result<Netlink> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // Protocol 0 of this family is NETLINK_ROUTE.
            None,
        )?;
        rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, 0))?;
        Ok(Netlink { socket, sequence: 0 })
    }

    fn send(&mut self, mut message: Message) -> io::Result<()> {
        self.sequence += 1;
        let length = message.bytes.len() as u32;
        message.bytes[0..4].copy_from_slice(&length.to_ne_bytes());
        message.bytes[8..12].copy_from_slice(&self.sequence.to_ne_bytes());
        rustix::net::send(&self.socket, &message.bytes, SendFlags::empty())?;
        let mut answer = [0u8; 4096];
        loop {
            let (length, _) = rustix::net::recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
            let answer = &answer[..length];
            let field = |at: usize| -> Option<u32> {
                Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?))
            };
            let kind = answer.get(4..6).map(|b| u16::from_ne_bytes([b[0], b[1]]));
            if field(8) != Some(self.sequence) || kind != Some(NLMSG_ERROR) {
                continue;
            }
            return match field(16).map(|raw| raw as i32) {
                Some(0) => Ok(()),
                Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
                None => Err(io::Error::other("netlink: short acknowledgement")),
            };
        }
    }

    /// Makes a bridge without delays, without spanning tree, and without multicast snooping
    /// (which ends multicast where there is no querier), and takes it up.
    pub fn add_bridge(&mut self, name: &str) -> io::Result<()> {
        let mut message =
            Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL).link(0, IFF_UP, IFF_UP);
        message.text(IFLA_IFNAME, name);
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "bridge");
            info.nest(IFLA_INFO_DATA, |data| {
                data.attr(IFLA_BR_FORWARD_DELAY, &0u32.to_ne_bytes());
                data.attr(IFLA_BR_STP_STATE, &0u32.to_ne_bytes());
                data.attr(IFLA_BR_MCAST_SNOOPING, &[0]);
            });
        });
        self.send(message)
    }

    /// Makes a cable: `name` here, `peer` with the hardware address `mac` in the namespace `there`.
    pub fn add_veth(
        &mut self,
        name: &str,
        peer: &str,
        mac: [u8; 6],
        there: BorrowedFd<'_>,
    ) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let mut message =
            Message::new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL).link(0, IFF_UP, IFF_UP);
        message.text(IFLA_IFNAME, name);
        message.nest(IFLA_LINKINFO, |info| {
            info.text(IFLA_INFO_KIND, "veth");
            info.nest(IFLA_INFO_DATA, |data| {
                data.nest(VETH_INFO_PEER, |inner| {
                    inner.bytes.extend([0; 16]);
                    inner.text(IFLA_IFNAME, peer);
                    inner.attr(IFLA_ADDRESS, &mac);
                    inner.attr(IFLA_NET_NS_FD, &there.as_fd().as_raw_fd().to_ne_bytes());
                });
            });
        });
        self.send(message)
    }

    /// Plugs an interface into a bridge.
    pub fn set_master(&mut self, index: u32, bridge: u32) -> io::Result<()> {
        let mut message = Message::new(RTM_SETLINK, 0).link(index, 0, 0);
        message.attr(IFLA_MASTER, &bridge.to_ne_bytes());
        self.send(message)
    }

    /// Takes an interface out, with the other end of its cable.
    pub fn remove(&mut self, index: u32) -> io::Result<()> {
        self.send(Message::new(RTM_DELLINK, 0).link(index, 0, 0))
    }

    /// Takes an interface up or down.
    pub fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        self.send(Message::new(RTM_NEWLINK, 0).link(index, u32::from(up), IFF_UP))
    }

    /// Gives an interface an address.
    pub fn add_address(&mut self, index: u32, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL);
        // struct ifaddrmsg: family, prefix length, flags, scope, interface
        message.bytes.extend([2, prefix, 0, 0]);
        message.bytes.extend(index.to_ne_bytes());
        let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
        let broadcast = Ipv4Addr::from(u32::from(address) | !mask);
        message.attr(IFA_LOCAL, &address.octets());
        message.attr(IFA_ADDRESS, &address.octets());
        message.attr(IFA_BROADCAST, &broadcast.octets());
        self.send(message)
    }

    /// Sets the way to everywhere else.
    pub fn add_default_route(&mut self, gateway: Ipv4Addr) -> io::Result<()> {
        let mut message = Message::new(RTM_NEWROUTE, NLM_F_CREATE);
        // struct rtmsg: family, lengths, tos, table main, protocol static, scope universe, unicast
        message.bytes.extend([2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
        message.attr(RTA_GATEWAY, &gateway.octets());
        self.send(message)
    }

    /// The index of an interface of this socket's namespace.
    pub fn index(&self, name: &str) -> io::Result<u32> {
        rustix::net::netdevice::name_to_index(&self.socket, name).map_err(io::Error::from)
    }
}
