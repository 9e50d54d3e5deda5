//! Who this node is: its entry in the nodelist, its id, its address; and the multicast group that
//! a cluster's name stands for.
//!
//! Source: `spec/corosync-conf-and-tools.md` §4; for files without a nodelist, corosync 1.x/2.x:
//! the interface whose network is `bindnetaddr`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base::NodeId;

use super::host::{Host, LocalAddress, same_network};

/// A node's entry as far as it matters for finding the local one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Position in the file, from 0.
    pub pos: u32,
    /// `name`.
    pub name: Option<String>,
    /// `ring0_addr`.
    pub addr: Option<String>,
    /// `nodeid`.
    pub id: Option<u32>,
}

/// The position of the local node's entry.
///
/// A running engine is not held up by a name server that does not answer: who has neither its
/// name nor its address nor its id any more, in a list where all have ids, is not in the list.
pub fn find_local(entries: &[Entry], host: &dyn Host) -> Option<u32> {
    find_written(entries, host).or_else(|| match host.own_id() {
        None => find_resolved(entries, host),
        Some(own) => match entries.iter().find(|entry| entry.id == Some(own.0)) {
            Some(entry) => Some(entry.pos),
            None if entries.iter().all(|entry| entry.id.is_some()) => None,
            None => find_resolved(entries, host),
        },
    })
}

/// Names and addresses of the nodes' entries, with the entries' positions.
fn words(entries: &[Entry]) -> Vec<(u32, &str)> {
    // Candidates in key order of the map: node 10 before node 2, name before address.
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by_key(|entry| entry.pos.to_string());
    sorted
        .iter()
        .flat_map(|entry| {
            [entry.name.as_deref(), entry.addr.as_deref()].map(|word| (entry.pos, word))
        })
        .filter_map(|(pos, word)| word.map(|word| (pos, word)))
        .collect()
}

fn exact(words: &[(u32, &str)], wanted: &str) -> Option<u32> {
    words.iter().find(|(_, word)| *word == wanted).map(|(pos, _)| *pos)
}

/// What stands before the first dot.
fn head(word: &str) -> &str {
    word.split('.').next().unwrap_or("")
}

/// By what is written in the entry: this node's name, or an address of it.
fn find_written(entries: &[Entry], host: &dyn Host) -> Option<u32> {
    let words = words(entries);

    let nodename = host.nodename();
    let mut shorter = nodename.as_str();
    loop {
        if let Some(pos) = exact(&words, shorter) {
            return Some(pos);
        }
        match shorter.rfind('.') {
            Some(dot) => shorter = &shorter[..dot],
            None => break,
        }
    }
    // An address such as 10.0.0.1 has a first label too, but it is no host name.
    let is_address = |word: &str| word.parse::<IpAddr>().is_ok();
    if let Some((pos, _)) =
        words.iter().find(|(_, word)| !is_address(word) && head(word) == shorter)
    {
        return Some(*pos);
    }
    // Numeric first: it is the common case, and it needs no name server.
    host.addresses().iter().find_map(|address| exact(&words, &address.ip.to_string()))
}

/// By what names and addresses stand for.
fn find_resolved(entries: &[Entry], host: &dyn Host) -> Option<u32> {
    let words = words(entries);
    let local = host.addresses();
    for address in local.iter().filter(|address| !address.ip.is_loopback()) {
        if let Some(name) = host.reverse(address.ip)
            && let Some(pos) = exact(&words, &name).or_else(|| exact(&words, head(&name)))
        {
            return Some(pos);
        }
    }
    words
        .iter()
        .find(|(_, word)| {
            host.resolve(word).iter().any(|ip| local.iter().any(|address| address.ip == *ip))
        })
        .map(|(pos, _)| *pos)
}

/// The id generated from an IPv4 address; IPv6 has none.
pub fn node_id_of(ip: IpAddr, clear_high_bit: bool) -> Option<NodeId> {
    let IpAddr::V4(v4) = ip else { return None };
    let mask = if clear_high_bit { 0x7fff_ffff } else { u32::MAX };
    NodeId::from_wire(v4.to_bits() & mask)
}

/// The address an id was generated from, for rings whose members are not listed. A cleared high
/// bit is set again when that gives an address of the local network.
pub fn address_of(id: NodeId, local: IpAddr, netmask: IpAddr) -> Option<IpAddr> {
    if !local.is_ipv4() {
        return None;
    }
    let plain = IpAddr::V4(Ipv4Addr::from_bits(id.0));
    let high = IpAddr::V4(Ipv4Addr::from_bits(id.0 | 0x8000_0000));
    Some(if same_network(high, local, netmask) { high } else { plain })
}

/// The local address for `bindnetaddr`: the address itself, else the first of its network.
pub fn bind_address(wanted: IpAddr, local: &[LocalAddress]) -> Option<&LocalAddress> {
    local
        .iter()
        .find(|address| address.ip == wanted)
        .or_else(|| local.iter().find(|address| same_network(address.ip, wanted, address.netmask)))
}

/// The multicast address of a cluster's name.
pub fn multicast_address(cluster_name: &[u8], link: u16, ipv6: bool) -> IpAddr {
    let mut id: i32 = 0;
    for byte in cluster_name {
        id = id.wrapping_mul(2).wrapping_add(i32::from(*byte as i8));
    }
    let id = ((id & 0xffff) as u16).wrapping_add(link);
    if ipv6 {
        IpAddr::V6(Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 0, id))
    } else {
        IpAddr::V4(Ipv4Addr::new(239, 192, (id >> 8) as u8, (id % 255) as u8))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::host::Running;
    use super::*;

    /// A machine for tests.
    pub(in crate::config) struct Machine {
        pub(in crate::config) name: &'static str,
        pub(in crate::config) ips: &'static [&'static str],
    }

    impl Host for Machine {
        fn nodename(&self) -> String {
            self.name.into()
        }
        fn addresses(&self) -> Vec<LocalAddress> {
            let all = ["127.0.0.1"].iter().chain(self.ips);
            all.map(|ip| LocalAddress {
                interface: "eth0".into(),
                index: 2,
                ip: ip.parse().unwrap(),
                netmask: "255.255.255.0".parse().unwrap(),
                is_up: true,
            })
            .collect()
        }
        fn resolve(&self, name: &str) -> Vec<IpAddr> {
            match name {
                "one.example" => vec!["192.168.100.10".parse().unwrap()],
                _ => name.parse().into_iter().collect(),
            }
        }
        fn read_file(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
            if path.ends_with("authkey") {
                Ok((0..=255).collect())
            } else {
                Err(std::io::Error::from_raw_os_error(2))
            }
        }
        fn reverse(&self, ip: IpAddr) -> Option<String> {
            (ip.to_string() == "192.168.100.12").then(|| "three.example.org".into())
        }
    }

    fn entry(pos: u32, name: &str, addr: &str) -> Entry {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        Entry { pos, name: some(name), addr: some(addr), id: None }
    }

    #[test]
    fn the_local_entry_is_found_by_name_address_or_resolution() {
        let ip10: &[&str] = &["192.168.100.10"];
        let cases: &[(
            &str,
            &'static str,
            &'static [&'static str],
            &[(&str, &str)],
            Option<u32>,
        )] = &[
            ("by name", "b", ip10, &[("a", "10.0.0.1"), ("b", "10.0.0.2")], Some(1)),
            ("domain removed", "b.x.y", ip10, &[("a", "1.1.1.1"), ("b", "2.2.2.2")], Some(1)),
            ("domain in the list", "b", ip10, &[("a.x", "1.1.1.1"), ("b.x", "2.2.2.2")], Some(1)),
            ("by address", "z", ip10, &[("", "10.0.0.1"), ("", "192.168.100.10")], Some(1)),
            ("by reverse", "z", &["192.168.100.12"], &[("three", "4.4.4.4")], Some(0)),
            ("by resolution", "z", ip10, &[("", "9.9.9.9"), ("", "one.example")], Some(1)),
            ("not at all", "z", ip10, &[("", "9.9.9.9")], None),
        ];
        for (what, name, ips, list, wanted) in cases {
            let entries: Vec<Entry> =
                list.iter().enumerate().map(|(i, (n, a))| entry(i as u32, n, a)).collect();
            assert_eq!(find_local(&entries, &Machine { name, ips }), *wanted, "{what}");
        }
    }

    /// A machine whose name server must not be asked.
    struct Deaf;

    impl Host for Deaf {
        fn nodename(&self) -> String {
            "z".into()
        }
        fn addresses(&self) -> Vec<LocalAddress> {
            Machine { name: "z", ips: &["192.168.100.10"] }.addresses()
        }
        fn resolve(&self, name: &str) -> Vec<IpAddr> {
            panic!("asked for {name}")
        }
        fn read_file(&self, _: &std::path::Path) -> std::io::Result<Vec<u8>> {
            Err(std::io::Error::from(std::io::ErrorKind::NotFound))
        }
        fn reverse(&self, ip: IpAddr) -> Option<String> {
            panic!("asked for {ip}")
        }
    }

    #[test]
    fn a_running_engine_knows_who_it_is() {
        let host = Running { host: Deaf, own: NodeId(7) };
        let id = |pos: u32, id: u32| Entry { id: Some(id), ..entry(pos, "n", "1.1.1.1") };
        assert_eq!(find_local(&[id(0, 3), id(1, 7)], &host), Some(1));
        assert_eq!(find_local(&[id(0, 3), id(1, 4)], &host), None);
        let by_address = Entry { id: Some(4), ..entry(1, "n", "192.168.100.10") };
        assert_eq!(find_local(&[id(0, 3), by_address], &host), Some(1));
    }

    #[test]
    fn ids_come_from_addresses_and_lead_back() {
        let ip: IpAddr = "192.168.100.10".parse().unwrap();
        let mask: IpAddr = "255.255.255.0".parse().unwrap();
        assert_eq!(node_id_of(ip, true), Some(NodeId(1_084_777_482)));
        assert_eq!(node_id_of(ip, false), Some(NodeId(0xc0a8_640a)));
        for clear in [false, true] {
            let id = node_id_of(ip, clear).unwrap();
            assert_eq!(address_of(id, "192.168.100.12".parse().unwrap(), mask), Some(ip));
        }
        let low: IpAddr = "10.90.0.1".parse().unwrap();
        assert_eq!(address_of(node_id_of(low, true).unwrap(), low, mask), Some(low));
    }

    #[test]
    fn a_cluster_name_stands_for_a_group() {
        assert_eq!(multicast_address(b"hello", 0, false).to_string(), "239.192.12.171");
        assert_eq!(multicast_address(b"hello", 0, true).to_string(), "ff15::c9f");
    }
}
