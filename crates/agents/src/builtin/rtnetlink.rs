//! The little of rtnetlink an address needs: list, add, remove.
//!
//! Source: rtnetlink(7), `linux/rtnetlink.h`, `linux/if_addr.h`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_GETADDR: u16 = 22;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CREATE_EXCL: u16 = 0x600;
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_LABEL: u16 = 3;
const IFA_BROADCAST: u16 = 4;
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
/// `IFA_F_NODAD`: an address that moves must be usable at once.
const IFA_F_NODAD: u8 = 2;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) index: u32,
    pub(super) name: String,
    /// Its Ethernet address, if it has one.
    pub(super) mac: Option<[u8; 6]>,
}

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) interface: u32,
    pub(super) address: IpAddr,
    pub(super) prefix: u8,
}

impl Address {
    /// Whether another address is in the same network.
    pub(super) fn network_has(&self, other: IpAddr) -> bool {
        fn same(a: u128, b: u128, width: u32, prefix: u8) -> bool {
            let host_bits = width.saturating_sub(prefix.into());
            a.checked_shr(host_bits) == b.checked_shr(host_bits)
        }
        match (self.address, other) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                same(u32::from(a).into(), u32::from(b).into(), 32, self.prefix)
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => same(a.into(), b.into(), 128, self.prefix),
            _ => false,
        }
    }
}

/// A routing socket.
pub(super) struct Rtnetlink {
    socket: OwnedFd,
    sequence: u32,
}

impl Rtnetlink {
    pub(super) fn open() -> io::Result<Rtnetlink> {
        let socket = rustix::net::socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            // Protocol 0 of netlink is routing.
            None,
        )?;
        Ok(Rtnetlink { socket, sequence: 0 })
    }

    pub(super) fn interfaces(&mut self) -> io::Result<Vec<Interface>> {
        let body = [0; 16];
        let answers = self.request(RTM_GETLINK, NLM_F_DUMP, &body)?;
        Ok(answers.iter().filter_map(|(kind, body)| link(*kind, body)).collect())
    }

    pub(super) fn addresses(&mut self) -> io::Result<Vec<Address>> {
        let body = [0; 8];
        let answers = self.request(RTM_GETADDR, NLM_F_DUMP, &body)?;
        Ok(answers.iter().filter_map(|(kind, body)| address(*kind, body)).collect())
    }

    pub(super) fn add(&mut self, address: &Address, label: Option<&str>) -> io::Result<()> {
        let body = address_body(address, label);
        self.request(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE_EXCL, &body).map(drop)
    }

    pub(super) fn remove(&mut self, address: &Address) -> io::Result<()> {
        let body = address_body(address, None);
        self.request(RTM_DELADDR, NLM_F_ACK, &body).map(drop)
    }

    /// Sends a request and collects its answers until the kernel says that it is done.
    fn request(&mut self, kind: u16, flags: u16, body: &[u8]) -> io::Result<Vec<(u16, Vec<u8>)>> {
        self.sequence += 1;
        let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
        let mut message = Vec::with_capacity(16 + body.len());
        message.extend_from_slice(&length.to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
        message.extend_from_slice(&self.sequence.to_ne_bytes());
        message.extend_from_slice(&[0; 4]);
        message.extend_from_slice(body);
        rustix::net::send(&self.socket, &message, SendFlags::empty())?;
        let mut answers = Vec::new();
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let (read, _) = rustix::net::recv(&self.socket, &mut buffer[..], RecvFlags::empty())?;
            let mut rest = &buffer[..read];
            while let Some((kind, sequence, body, after)) = next_message(rest) {
                rest = after;
                if sequence != self.sequence {
                    continue;
                }
                match kind {
                    NLMSG_DONE => return Ok(answers),
                    NLMSG_ERROR => {
                        return match i32_at(body, 0) {
                            Some(0) => Ok(answers),
                            Some(errno) => Err(io::Error::from_raw_os_error(errno.wrapping_neg())),
                            None => Err(io::Error::from(io::ErrorKind::InvalidData)),
                        };
                    }
                    kind => answers.push((kind, body.to_vec())),
                }
            }
        }
    }
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..at + 4)?.try_into().ok().map(i32::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_ne_bytes)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_ne_bytes)
}

/// Kind, sequence and body of the first message, and what follows it.
fn next_message(bytes: &[u8]) -> Option<(u16, u32, &[u8], &[u8])> {
    let length = u32_at(bytes, 0)? as usize;
    let body = bytes.get(16..length)?;
    let after = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    Some((u16_at(bytes, 4)?, u32_at(bytes, 8)?, body, after))
}

/// The attributes behind a message's fixed part.
fn attributes(mut bytes: &[u8]) -> Vec<(u16, &[u8])> {
    let mut found = Vec::new();
    while let (Some(length), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
        let length = usize::from(length);
        let Some(value) = bytes.get(4..length) else { break };
        found.push((kind, value));
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or(&[]);
    }
    found
}

fn link(kind: u16, body: &[u8]) -> Option<Interface> {
    if kind != RTM_NEWLINK {
        return None;
    }
    let mut interface = Interface { index: u32_at(body, 4)?, name: String::new(), mac: None };
    for (kind, value) in attributes(body.get(16..)?) {
        match kind {
            IFLA_IFNAME => {
                let text = value.split(|byte| *byte == 0).next().unwrap_or_default();
                interface.name = String::from_utf8_lossy(text).into_owned();
            }
            IFLA_ADDRESS => interface.mac = value.try_into().ok(),
            _ => {}
        }
    }
    Some(interface)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(|b| IpAddr::V4(Ipv4Addr::from(b))),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|b| IpAddr::V6(Ipv6Addr::from(b))),
        _ => None,
    }
}

fn address(kind: u16, body: &[u8]) -> Option<Address> {
    if kind != RTM_NEWADDR {
        return None;
    }
    let attributes = attributes(body.get(8..)?);
    // IFA_LOCAL is the address itself; on point-to-point links IFA_ADDRESS is the other end.
    let value = |wanted: u16| {
        attributes.iter().find(|(kind, _)| *kind == wanted).and_then(|(_, value)| ip(value))
    };
    let address = value(IFA_LOCAL).or_else(|| value(IFA_ADDRESS))?;
    Some(Address { interface: u32_at(body, 4)?, address, prefix: *body.get(1)? })
}

fn address_body(address: &Address, label: Option<&str>) -> Vec<u8> {
    let (family, bytes) = match address.address {
        IpAddr::V4(v4) => (AF_INET, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, v6.octets().to_vec()),
    };
    let flags = if family == AF_INET6 { IFA_F_NODAD } else { 0 };
    let mut body = vec![family, address.prefix, flags, 0];
    body.extend_from_slice(&address.interface.to_ne_bytes());
    let mut attribute = |kind: u16, value: &[u8]| {
        let length = u16::try_from(4 + value.len()).unwrap_or(u16::MAX);
        body.extend_from_slice(&length.to_ne_bytes());
        body.extend_from_slice(&kind.to_ne_bytes());
        body.extend_from_slice(value);
        body.resize(body.len().next_multiple_of(4), 0);
    };
    attribute(IFA_LOCAL, &bytes);
    attribute(IFA_ADDRESS, &bytes);
    if let (IpAddr::V4(v4), true) = (address.address, address.prefix < 31) {
        let hosts = u32::MAX.checked_shr(address.prefix.into()).unwrap_or(0);
        attribute(IFA_BROADCAST, &(u32::from(v4) | hosts).to_be_bytes());
        if let Some(label) = label {
            attribute(IFA_LABEL, &[label.as_bytes(), &[0]].concat());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_contain_their_addresses() {
        let of = |address: &str, prefix| Address {
            interface: 1,
            address: address.parse().unwrap(),
            prefix,
        };
        for (address, prefix, other, want) in [
            ("192.168.1.5", 24, "192.168.1.100", true),
            ("192.168.1.5", 24, "192.168.2.100", false),
            ("10.0.0.1", 0, "192.168.2.100", true),
            ("10.0.0.1", 32, "10.0.0.1", true),
            ("10.0.0.1", 32, "10.0.0.2", false),
            ("fd00::1", 64, "fd00::2", true),
            ("fd00::1", 64, "10.0.0.2", false),
        ] {
            let got = of(address, prefix).network_has(other.parse().unwrap());
            assert_eq!(got, want, "{address}/{prefix} {other}");
        }
    }

    #[test]
    fn the_kernel_lists_what_this_host_has() {
        let mut socket = Rtnetlink::open().unwrap();
        let interfaces = socket.interfaces().unwrap();
        assert!(interfaces.iter().any(|interface| interface.name == "lo"), "{interfaces:?}");
        for address in socket.addresses().unwrap() {
            assert!(interfaces.iter().any(|interface| interface.index == address.interface));
        }
    }

    #[test]
    fn nonsense_is_survived() {
        let mut state = 7u64;
        for length in 0..200 {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    (state >> 56) as u8 & 0x1f
                })
                .collect();
            let _ = next_message(&bytes);
            let _ = attributes(&bytes);
            let _ = link(RTM_NEWLINK, &bytes);
            let _ = address(RTM_NEWADDR, &bytes);
        }
    }
}
