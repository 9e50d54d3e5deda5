//! What the configuration needs to know about this machine: a trait, so that tests and the
//! simulator can pretend. The real one is `shell::host`.

use std::net::IpAddr;

use base::NodeId;

/// One address of one local network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalAddress {
    /// The interface's name.
    pub interface: String,
    /// Its kernel index.
    pub index: u32,
    /// The address.
    pub ip: IpAddr,
    /// The netmask.
    pub netmask: IpAddr,
    /// Whether the interface is up.
    pub is_up: bool,
}

/// Which addresses a name may stand for (`totem.ip_version`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// Only IPv4.
    V4,
    /// Only IPv6.
    V6,
    /// IPv6, and if there is none IPv4.
    V6Then4,
    /// IPv4, and if there is none IPv6.
    V4Then6,
}

impl IpVersion {
    /// Reads the configuration's word.
    pub fn parse(word: &str) -> Option<IpVersion> {
        Some(match word {
            "ipv4" => IpVersion::V4,
            "ipv6" => IpVersion::V6,
            "ipv6-4" => IpVersion::V6Then4,
            "ipv4-6" => IpVersion::V4Then6,
            _ => return None,
        })
    }

    /// The address to use among those a name resolves to.
    pub fn choose(self, found: &[IpAddr]) -> Option<IpAddr> {
        let v4 = found.iter().find(|ip| ip.is_ipv4()).copied();
        let v6 = found.iter().find(|ip| ip.is_ipv6()).copied();
        match self {
            IpVersion::V4 => v4,
            IpVersion::V6 => v6,
            IpVersion::V6Then4 => v6.or(v4),
            IpVersion::V4Then6 => v4.or(v6),
        }
    }
}

/// The machine.
pub trait Host {
    /// `uname -n`.
    fn nodename(&self) -> String;
    /// All addresses of all interfaces, in the kernel's order.
    fn addresses(&self) -> Vec<LocalAddress>;
    /// What a name or a numeric address resolves to.
    fn resolve(&self, name: &str) -> Vec<IpAddr>;
    /// The content of a file (the shared key).
    ///
    /// # Errors
    /// The system's.
    fn read_file(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>>;
    /// The name of an address.
    fn reverse(&self, ip: IpAddr) -> Option<String>;
    /// Who this node is already, when a running engine reads its file again.
    fn own_id(&self) -> Option<NodeId> {
        None
    }
}

/// A machine on which the engine runs: it knows who it is and asks no name server for that.
#[derive(Debug)]
pub struct Running<H> {
    /// The machine.
    pub host: H,
    /// This node.
    pub own: NodeId,
}

impl<H: Host> Host for Running<H> {
    fn nodename(&self) -> String {
        self.host.nodename()
    }

    fn addresses(&self) -> Vec<LocalAddress> {
        self.host.addresses()
    }

    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        self.host.resolve(name)
    }

    fn read_file(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
        self.host.read_file(path)
    }

    fn reverse(&self, ip: IpAddr) -> Option<String> {
        self.host.reverse(ip)
    }

    fn own_id(&self) -> Option<NodeId> {
        Some(self.own)
    }
}

/// Whether two addresses are in one network.
pub fn same_network(a: IpAddr, b: IpAddr, netmask: IpAddr) -> bool {
    match (a, b, netmask) {
        (IpAddr::V4(a), IpAddr::V4(b), IpAddr::V4(mask)) => {
            let mask = mask.to_bits();
            a.to_bits() & mask == b.to_bits() & mask
        }
        (IpAddr::V6(a), IpAddr::V6(b), IpAddr::V6(mask)) => {
            let mask = mask.to_bits();
            a.to_bits() & mask == b.to_bits() & mask
        }
        _ => false,
    }
}
