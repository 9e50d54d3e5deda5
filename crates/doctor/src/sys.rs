//! Two questions to the kernel that no library asks.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::AsRawFd;

/// Lets a socket send only what goes in one piece all the way, whatever was learnt of the path.
pub(crate) fn never_fragment(socket: &impl AsRawFd, v6: bool) -> io::Result<()> {
    let value: libc::c_int = if v6 { libc::IPV6_PMTUDISC_PROBE } else { libc::IP_PMTUDISC_PROBE };
    let (level, option) = if v6 {
        (libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER)
    } else {
        (libc::IPPROTO_IP, libc::IP_MTU_DISCOVER)
    };
    // SAFETY: the descriptor is open for the life of `socket`; the value is a live int of the
    // length given.
    let failed = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if failed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the kernel holds its clock for synchronised; `None` when it does not say.
pub(crate) fn clock_synchronised() -> Option<bool> {
    // SAFETY: all zeros is a valid `timex`, and asks for nothing to be changed (`modes` is 0).
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the struct is live and writable.
    let state = unsafe { libc::adjtimex(&raw mut timex) };
    (state >= 0).then_some(timex.status & libc::STA_UNSYNC == 0)
}
