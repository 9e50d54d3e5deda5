//! Gratuitous ARP: tells the neighbours at once where an address lives now, so that they need not
//! find out by waiting for an answer that never comes.
#![allow(unsafe_code)]

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType};

const BROADCAST: [u8; 6] = [0xff; 6];
const ETHERTYPE_ARP: u16 = 0x0806;

/// An Ethernet frame that announces an address; `operation` 1 asks for it, 2 answers.
fn frame(address: Ipv4Addr, mac: [u8; 6], operation: u16) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend_from_slice(&BROADCAST);
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&ETHERTYPE_ARP.to_be_bytes());
    // Ethernet, IPv4, lengths 6 and 4.
    frame.extend_from_slice(&[0, 1, 8, 0, 6, 4]);
    frame.extend_from_slice(&operation.to_be_bytes());
    frame.extend_from_slice(&mac);
    frame.extend_from_slice(&address.octets());
    frame.extend_from_slice(if operation == 2 { &BROADCAST } else { &[0; 6] });
    frame.extend_from_slice(&address.octets());
    frame
}

/// Announces an address on an interface, in both forms that neighbours listen to.
pub(super) fn announce(interface: u32, mac: [u8; 6], address: Ipv4Addr) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    // Protocol 0: this socket only sends.
    let socket =
        rustix::net::socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None::<Protocol>)?;
    for operation in [1, 2] {
        let frame = frame(address, mac, operation);
        // SAFETY: the zeroed structure is a valid sockaddr_ll; both pointers are to live locals
        // and carry their own lengths.
        let sent = unsafe {
            let mut to = std::mem::zeroed::<libc::sockaddr_ll>();
            to.sll_family = libc::AF_PACKET as u16;
            to.sll_protocol = ETHERTYPE_ARP.to_be();
            to.sll_ifindex = interface as i32;
            to.sll_halen = 6;
            to.sll_addr[..6].copy_from_slice(&BROADCAST);
            libc::sendto(
                socket.as_raw_fd(),
                frame.as_ptr().cast(),
                frame.len(),
                0,
                std::ptr::from_ref(&to).cast(),
                size_of::<libc::sockaddr_ll>() as u32,
            )
        };
        if sent < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_announces_the_address_twice() {
        let frame = frame(Ipv4Addr::new(10, 0, 0, 9), [2, 0, 0, 0, 0, 1], 2);
        assert_eq!(frame.len(), 42);
        assert_eq!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 2]);
        assert_eq!(frame[28..32], frame[38..42]);
    }
}
