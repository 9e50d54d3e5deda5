//! Node ids made from addresses. Source: `spec/corosync-conf-and-tools.md` §4.2.

use base::NodeId;
use std::net::IpAddr;

/// The id of a node without a configured one: its IPv4 address as a number, on request without
/// the highest bit (for programs that read it as signed). IPv6 addresses give none.
pub fn node_id_from_address(addr: IpAddr, clear_high_bit: bool) -> Option<NodeId> {
    let IpAddr::V4(v4) = addr else { return None };
    let number = u32::from(v4);
    NodeId::from_wire(if clear_high_bit { number & 0x7FFF_FFFF } else { number })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_equal_those_in_the_field() {
        for (addr, clear, id) in [
            ("192.168.100.10", true, Some(1084777482)),
            ("192.168.100.10", false, Some(3232261130)),
            ("10.90.0.1", false, Some(173670401)),
            ("::1", false, None),
            ("0.0.0.0", true, None),
        ] {
            let addr = addr.parse().unwrap();
            assert_eq!(node_id_from_address(addr, clear), id.map(NodeId), "{addr}");
        }
    }
}
