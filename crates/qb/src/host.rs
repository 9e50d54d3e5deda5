//! Small questions to the C library that Rust's does not ask: names of addresses, the local time
//! as `ctime` writes it.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::net::{IpAddr, SocketAddr};

/// The name of an address by reverse look-up (files and DNS as the host is set up), or `None`.
pub fn name_of(address: IpAddr) -> Option<String> {
    let mut name = [0 as libc::c_char; 1025];
    let lookup =
        |socket_address: *const libc::sockaddr, length: usize, name: &mut [libc::c_char]| {
            // SAFETY: the address is a live struct of that length, the buffer is as long as said;
            // no service is asked for.
            unsafe {
                libc::getnameinfo(
                    socket_address,
                    length as libc::socklen_t,
                    name.as_mut_ptr(),
                    name.len() as libc::socklen_t,
                    std::ptr::null_mut(),
                    0,
                    libc::NI_NAMEREQD,
                )
            }
        };
    let failed = match SocketAddr::new(address, 0) {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: libc::AF_INET as libc::sa_family_t,
                sin_port: 0,
                sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(v4.ip().octets()) },
                sin_zero: [0; 8],
            };
            lookup((&raw const raw).cast(), size_of_val(&raw), &mut name)
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: libc::AF_INET6 as libc::sa_family_t,
                sin6_port: 0,
                sin6_flowinfo: 0,
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: 0,
            };
            lookup((&raw const raw).cast(), size_of_val(&raw), &mut name)
        }
    };
    if failed != 0 {
        return None;
    }
    // SAFETY: on success the buffer holds a NUL-terminated name.
    let name = unsafe { CStr::from_ptr(name.as_ptr()) };
    Some(name.to_string_lossy().into_owned())
}

/// The local time now: `Sat Nov 21 00:43:09 2026`.
pub fn ctime() -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = rustix::time::clock_gettime(rustix::time::ClockId::Realtime).tv_sec;
    // SAFETY: both pointers are to live locals; the struct is plain data, valid as zeros.
    let tm = unsafe {
        let mut tm = std::mem::zeroed::<libc::tm>();
        libc::localtime_r(&seconds, &mut tm);
        tm
    };
    format!(
        "{} {} {:2} {:02}:{:02}:{:02} {}",
        DAYS[tm.tm_wday.unsigned_abs() as usize % 7],
        MONTHS[tm.tm_mon.unsigned_abs() as usize % 12],
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        i64::from(tm.tm_year) + 1900
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_nameless_address_has_no_name() {
        // From the block reserved for documentation.
        assert_eq!(super::name_of([192, 0, 2, 1].into()), None);
        assert_eq!(super::ctime().len(), "Sat Nov 21 00:43:09 2026".len());
    }
}
