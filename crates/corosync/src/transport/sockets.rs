//! Making sockets with the options both transports share.

use super::{SOCKET_BUFFER, sys};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::AsFd;

/// Priority of the ring's packets in the queues of this host.
const PRIORITY: u32 = 6;

fn is_link_local(addr: Ipv6Addr) -> bool {
    addr.segments()[0] & 0xffc0 == 0xfe80 || addr.is_multicast()
}

/// An address with a port; link-local ones get the interface's index.
pub(super) fn socket_addr(addr: IpAddr, port: u16, index: u32) -> SockAddr {
    SockAddr::from(match addr {
        IpAddr::V6(v6) if is_link_local(v6) => {
            SocketAddr::V6(SocketAddrV6::new(v6, port, 0, index))
        }
        _ => SocketAddr::new(addr, port),
    })
}

/// A nonblocking UDP socket bound to `addr`, with large buffers and high priority.
pub(super) fn udp_socket(addr: &SockAddr, reuse: bool) -> io::Result<Socket> {
    udp_socket_with(addr, reuse, SOCKET_BUFFER, |_| Ok(()))
}

/// The same, with buffers of a given size and options of one's own.
pub(super) fn udp_socket_with(
    addr: &SockAddr,
    reuse: bool,
    buffer: usize,
    prepare: impl FnOnce(&Socket) -> io::Result<()>,
) -> io::Result<Socket> {
    let domain = Domain::from(i32::from(addr.family()));
    let socket = Socket::new(domain, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_reuse_address(reuse)?;
    if domain == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    // The kernel caps these silently; more is only for the privileged.
    socket.set_recv_buffer_size(buffer)?;
    socket.set_send_buffer_size(buffer)?;
    sys::force_buffers(socket.as_fd(), buffer);
    sys::accept_rows(socket.as_fd());
    // Not permitted in every container, and only an optimisation.
    let _ = socket.set_priority(PRIORITY);
    prepare(&socket)?;
    socket.bind(addr)?;
    Ok(socket)
}
