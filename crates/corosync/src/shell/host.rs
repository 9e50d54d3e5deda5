//! This machine, as the configuration asks about it: names, addresses, accounts.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString};
use std::net::{IpAddr, ToSocketAddrs};

use crate::config::host::{Host, LocalAddress};
use crate::config::parse::Accounts;
use crate::transport;

/// The real machine.
#[derive(Clone, Copy, Debug)]
pub struct Machine;

impl Host for Machine {
    fn nodename(&self) -> String {
        qb::log::host_name()
    }

    fn addresses(&self) -> Vec<LocalAddress> {
        let list = transport::interfaces().unwrap_or_default();
        list.into_iter()
            .map(|found| LocalAddress {
                interface: found.name,
                index: found.index,
                ip: found.addr,
                netmask: found.netmask,
                is_up: found.up,
            })
            .collect()
    }

    fn resolve(&self, name: &str) -> Vec<IpAddr> {
        if let Ok(ip) = name.parse() {
            return vec![ip];
        }
        match (name, 0).to_socket_addrs() {
            Ok(found) => {
                let mut ips: Vec<IpAddr> = found.map(|address| address.ip()).collect();
                ips.dedup();
                ips
            }
            Err(_) => Vec::new(),
        }
    }

    fn read_file(&self, path: &std::path::Path) -> std::io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn reverse(&self, ip: IpAddr) -> Option<String> {
        let address = socket2::SockAddr::from(std::net::SocketAddr::new(ip, 0));
        let mut name = [0u8; 1025];
        // SAFETY: the address is a valid sockaddr of the given length for the duration of the
        // call, `name` is writable for its whole length, and no service name is asked for.
        let failed = unsafe {
            libc::getnameinfo(
                address.as_ptr().cast(),
                address.len(),
                name.as_mut_ptr().cast(),
                name.len() as libc::socklen_t,
                std::ptr::null_mut(),
                0,
                libc::NI_NAMEREQD,
            )
        };
        if failed != 0 {
            return None;
        }
        CStr::from_bytes_until_nul(&name).ok()?.to_str().ok().map(str::to_owned)
    }
}

impl Accounts for Machine {
    fn uid(&self, name: &str) -> Option<u32> {
        let name = CString::new(name).ok()?;
        // SAFETY: the argument is a C string; the result points to static storage that is read at
        // once, and this process has one thread.
        unsafe { libc::getpwnam(name.as_ptr()).as_ref().map(|entry| entry.pw_uid) }
    }

    fn gid(&self, name: &str) -> Option<u32> {
        let name = CString::new(name).ok()?;
        // SAFETY: as above.
        unsafe { libc::getgrnam(name.as_ptr()).as_ref().map(|entry| entry.gr_gid) }
    }
}
