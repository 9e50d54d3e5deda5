//! What the kernel says about datagrams after the fact: refused by the network (ICMP), or larger
//! than the interface carries. Source: `spec/knet.md` §8.4.
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, BorrowedFd};

/// Room for control messages: the error and the address of who reports it.
type Control = [u64; 32];

/// One report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Report {
    /// Where the datagram was sent to.
    pub(super) to: Option<SocketAddr>,
    /// The error.
    pub(super) errno: i32,
    /// For `EMSGSIZE`, what would have fitted.
    pub(super) mtu: usize,
}

/// Asks for reports, for datagrams that are never cut by the network, for addresses that may come
/// later, and for a place at the front of queues.
pub(super) fn prepare(fd: BorrowedFd<'_>, is_ipv6: bool) -> io::Result<()> {
    let set = |level: i32, name: i32, value: i32| {
        // SAFETY: the option value is an int that lives through the call.
        let failed = unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                level,
                name,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            )
        };
        if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    // IPTOS_LOWDELAY: a wish that the network may ignore, and so may the kernel.
    if is_ipv6 {
        set(libc::SOL_IP, libc::IP_FREEBIND, 1)?;
        set(libc::SOL_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)?;
        set(libc::SOL_IPV6, libc::IPV6_RECVERR, 1)?;
        let _ = set(libc::SOL_IPV6, libc::IPV6_TCLASS, 0x10);
    } else {
        set(libc::SOL_IP, libc::IP_FREEBIND, 1)?;
        set(libc::SOL_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)?;
        set(libc::SOL_IP, libc::IP_RECVERR, 1)?;
        let _ = set(libc::SOL_IP, libc::IP_TOS, 0x10);
    }
    Ok(())
}

/// The next report, if there is one.
pub(super) fn next_report(fd: BorrowedFd<'_>) -> Option<Report> {
    let mut control: Control = [0; 32];
    // SAFETY: all-zero bytes are valid for these plain C structs.
    let (mut name, mut header): (libc::sockaddr_storage, libc::msghdr) =
        unsafe { (zeroed(), zeroed()) };
    let mut byte = [0u8; 1];
    let mut vector = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    header.msg_name = (&raw mut name).cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut vector;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of::<Control>() as _;
    // SAFETY: the header points to a name, a vector and control room that outlive the call and
    // have the sizes stated.
    let got = unsafe {
        libc::recvmsg(fd.as_raw_fd(), &raw mut header, libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT)
    };
    if got < 0 {
        return None;
    }
    let to = address_of(&name);
    let mut report = Report { to, errno: 0, mtu: 0 };
    // SAFETY: the kernel filled the header and its control room is alive; the macros stay within
    // what the kernel used, and the data of these messages is a sock_extended_err.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(&raw const header);
        while !message.is_null() {
            let kind = ((*message).cmsg_level, (*message).cmsg_type);
            if kind == (libc::SOL_IP, libc::IP_RECVERR)
                || kind == (libc::SOL_IPV6, libc::IPV6_RECVERR)
            {
                let error =
                    libc::CMSG_DATA(message).cast::<libc::sock_extended_err>().read_unaligned();
                report.errno = i32::try_from(error.ee_errno).unwrap_or(0);
                report.mtu = error.ee_info as usize;
            }
            message = libc::CMSG_NXTHDR(&raw const header, message);
        }
    }
    Some(report)
}

fn address_of(name: &libc::sockaddr_storage) -> Option<SocketAddr> {
    let at = (&raw const *name).cast::<libc::sockaddr>();
    match i32::from(name.ss_family) {
        libc::AF_INET => {
            // SAFETY: the storage is large enough and aligned for the family it names.
            let v4 = unsafe { &*at.cast::<libc::sockaddr_in>() };
            let ip = IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes());
            Some(SocketAddr::new(ip, u16::from_be(v4.sin_port)))
        }
        libc::AF_INET6 => {
            // SAFETY: as above.
            let v6 = unsafe { &*at.cast::<libc::sockaddr_in6>() };
            let ip = IpAddr::from(v6.sin6_addr.s6_addr);
            Some(SocketAddr::new(ip, u16::from_be(v6.sin6_port)))
        }
        _ => None,
    }
}
