//! Which local address a ring uses. Source: `spec/totem.md` §10.2.

use super::sys;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address of a local interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceAddr {
    /// The interface's name.
    pub name: String,
    /// Its index.
    pub index: u32,
    /// The address.
    pub addr: IpAddr,
    /// Its network mask, of the same family.
    pub netmask: IpAddr,
    /// Whether the interface is up.
    pub up: bool,
}

/// All addresses of this host.
pub fn interfaces() -> io::Result<Vec<InterfaceAddr>> {
    sys::interfaces()
}

fn masked(addr: IpAddr, mask: IpAddr) -> Option<IpAddr> {
    match (addr, mask) {
        (IpAddr::V4(a), IpAddr::V4(m)) => {
            Some(IpAddr::V4(Ipv4Addr::from(u32::from(a) & u32::from(m))))
        }
        (IpAddr::V6(a), IpAddr::V6(m)) => {
            Some(IpAddr::V6(Ipv6Addr::from(u128::from(a) & u128::from(m))))
        }
        _ => None,
    }
}

/// The local address that `bindnet` means: that very address if an interface has it, otherwise
/// the first one in the same network.
pub fn find_interface(list: &[InterfaceAddr], bindnet: IpAddr) -> Option<&InterfaceAddr> {
    let exact = list.iter().find(|i| i.addr == bindnet);
    exact.or_else(|| {
        list.iter().find(|i| {
            let own = masked(i.addr, i.netmask);
            own.is_some() && own == masked(bindnet, i.netmask)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn iface(name: &str, addr: &str, mask: &str) -> InterfaceAddr {
        let parse = |s: &str| s.parse().unwrap();
        InterfaceAddr {
            name: name.into(),
            index: 1,
            addr: parse(addr),
            netmask: parse(mask),
            up: true,
        }
    }

    #[test]
    fn exact_beats_network() {
        let list = [
            iface("lo", "127.0.0.1", "255.0.0.0"),
            iface("eth0", "192.168.100.10", "255.255.255.0"),
            iface("eth0", "192.168.100.11", "255.255.255.0"),
            iface("eth1", "fd00::1", "ffff:ffff:ffff:ffff::"),
        ];
        for (bindnet, expected) in [
            ("192.168.100.0", Some("192.168.100.10")),
            ("192.168.100.11", Some("192.168.100.11")),
            ("192.168.100.77", Some("192.168.100.10")),
            ("192.168.101.0", None),
            ("fd00::", Some("fd00::1")),
            ("fd01::", None),
        ] {
            let found = find_interface(&list, bindnet.parse().unwrap()).map(|i| i.addr.to_string());
            assert_eq!(found.as_deref(), expected, "{bindnet}");
        }
    }

    #[test]
    fn this_host_has_a_loopback() {
        let list = interfaces().unwrap();
        assert!(list.iter().any(|i| i.addr.is_loopback()));
    }
}
