//! The system calls the standard library lacks: many datagrams at once, and the list of interface
//! addresses.
#![allow(unsafe_code)]

use super::{BATCH, InterfaceAddr, MAX_DATAGRAM};
use socket2::{SockAddr, SockAddrStorage};
use std::ffi::CStr;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

/// Room for control messages of one datagram, aligned as the kernel wants it.
type Control = [u64; 4];

/// Where a datagram lies in the buffer, and who sent it.
#[derive(Clone, Copy, Debug)]
struct Place {
    start: usize,
    len: usize,
    from: Option<IpAddr>,
}

/// Room for a batch of datagrams. Rows of equal ones from one sender may come in one piece
/// (`UDP_GRO`) and are taken apart here.
#[derive(Debug)]
pub(super) struct RecvBatch {
    buffer: Vec<u8>,
    got: Vec<Place>,
    is_full: bool,
    is_failed: bool,
}

impl RecvBatch {
    pub(super) fn new() -> RecvBatch {
        let got = Vec::with_capacity(BATCH);
        RecvBatch { buffer: vec![0; BATCH * MAX_DATAGRAM], got, is_full: false, is_failed: false }
    }

    /// Fills the batch from a nonblocking socket; 0 when nothing is there (or the socket has an
    /// error pending, which reading has now cleared).
    pub(super) fn fill(&mut self, fd: BorrowedFd<'_>) -> usize {
        self.got.clear();
        let mut controls: [Control; BATCH] = [[0; 4]; BATCH];
        // SAFETY: all-zero bytes are valid for these plain C structs.
        let mut names: [libc::sockaddr_storage; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut vectors: [libc::iovec; BATCH] = unsafe { zeroed() };
        // SAFETY: as above.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
        for (index, chunk) in self.buffer.chunks_exact_mut(MAX_DATAGRAM).take(BATCH).enumerate() {
            vectors[index] =
                libc::iovec { iov_base: chunk.as_mut_ptr().cast(), iov_len: MAX_DATAGRAM };
            let header = &mut headers[index].msg_hdr;
            header.msg_name = (&raw mut names[index]).cast();
            header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_iov = &raw mut vectors[index];
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut controls[index]).cast();
            header.msg_controllen = size_of::<Control>() as _;
        }
        // SAFETY: each header points to its own name, vector, control room and buffer, all of
        // which outlive the call and have the sizes stated; no timeout is passed.
        let count = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        self.is_failed =
            count < 0 && io::Error::last_os_error().kind() != io::ErrorKind::WouldBlock;
        let count = usize::try_from(count).unwrap_or(0);
        self.is_full = count == BATCH;
        for index in 0..count {
            let total = (headers[index].msg_len as usize).min(MAX_DATAGRAM);
            let from = ip_of(&names[index]);
            // SAFETY: the kernel filled this header, and its control room is still there.
            let segment = unsafe { segment_size(&headers[index].msg_hdr) }.unwrap_or(total).max(1);
            let base = index * MAX_DATAGRAM;
            let mut at = 0;
            loop {
                let len = segment.min(total - at);
                self.got.push(Place { start: base + at, len, from });
                at += len;
                if at >= total {
                    break;
                }
            }
        }
        self.got.len()
    }

    /// Whether the last fill may have left something in the socket.
    pub(super) fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the last fill got an error instead of datagrams.
    pub(super) fn is_failed(&self) -> bool {
        self.is_failed
    }

    /// A datagram of the last fill and its sender.
    pub(super) fn get(&self, index: usize) -> Option<(&[u8], IpAddr)> {
        let place = self.got.get(index)?;
        Some((self.buffer.get(place.start..place.start + place.len)?, place.from?))
    }
}

/// The size of the datagrams in a row that came as one; `None` for an ordinary one.
///
/// # Safety
/// `header` was filled by the kernel and its control room is alive.
unsafe fn segment_size(header: &libc::msghdr) -> Option<usize> {
    // SAFETY: by the caller's promise; the macros stay within the room the kernel used.
    unsafe {
        let mut message = libc::CMSG_FIRSTHDR(header);
        while !message.is_null() {
            if (*message).cmsg_level == libc::SOL_UDP && (*message).cmsg_type == libc::UDP_GRO {
                let size = libc::CMSG_DATA(message).cast::<libc::c_int>().read_unaligned();
                return usize::try_from(size).ok().filter(|size| *size > 0);
            }
            message = libc::CMSG_NXTHDR(header, message);
        }
    }
    None
}

/// Asks for rows of datagrams in one piece. Kernels without this deliver them one by one.
pub(super) fn accept_rows(fd: BorrowedFd<'_>) {
    let on: libc::c_int = 1;
    // SAFETY: the option value is an int that lives through the call.
    unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_UDP,
            libc::UDP_GRO,
            (&raw const on).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        );
    }
}

fn ip_of(storage: &libc::sockaddr_storage) -> Option<IpAddr> {
    let mut copy = SockAddrStorage::zeroed();
    let len = copy.size_of();
    // SAFETY: both are the platform's sockaddr_storage; the source is initialised, and its family
    // field says how to read it.
    let addr = unsafe {
        *copy.view_as::<libc::sockaddr_storage>() = *storage;
        SockAddr::new(copy, len)
    };
    addr.as_socket().map(|socket| socket.ip())
}

/// Datagrams to one address that one kernel call may carry: a single one, or several of which all
/// but the last have the same size (the kernel cuts them apart again, `UDP_SEGMENT`).
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) to: &'a SockAddr,
    pub(super) packets: Vec<&'a [u8]>,
}

/// Sends runs in order, nonblocking; returns how many the kernel took.
pub(super) fn send_runs(fd: BorrowedFd<'_>, runs: &[Run<'_>]) -> io::Result<usize> {
    let runs = &runs[..runs.len().min(BATCH)];
    let mut vectors: Vec<libc::iovec> = runs
        .iter()
        .flat_map(|run| &run.packets)
        .map(|data| libc::iovec { iov_base: data.as_ptr().cast_mut().cast(), iov_len: data.len() })
        .collect();
    let mut controls: [Control; BATCH] = [[0; 4]; BATCH];
    // SAFETY: all-zero bytes are valid for this plain C struct.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { zeroed() };
    let mut rest = vectors.as_mut_slice();
    for ((run, header), control) in runs.iter().zip(&mut headers).zip(&mut controls) {
        let (own, others) = rest.split_at_mut(run.packets.len());
        rest = others;
        let header = &mut header.msg_hdr;
        header.msg_name = run.to.as_ptr().cast_mut().cast();
        header.msg_namelen = run.to.len();
        header.msg_iov = own.as_mut_ptr();
        header.msg_iovlen = own.len() as _;
        if run.packets.len() > 1 {
            let size = u16::try_from(run.packets[0].len()).unwrap_or(u16::MAX);
            header.msg_control = control.as_mut_ptr().cast();
            // SAFETY: these only compute sizes; the first header lies in `control`, which is
            // large enough for one u16 and zeroed, and stays until after the call.
            unsafe {
                header.msg_controllen = libc::CMSG_SPACE(size_of::<u16>() as u32) as _;
                let message = libc::CMSG_FIRSTHDR(header);
                (*message).cmsg_level = libc::SOL_UDP;
                (*message).cmsg_type = libc::UDP_SEGMENT;
                (*message).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
                libc::CMSG_DATA(message).cast::<u16>().write_unaligned(size);
            }
        }
    }
    // SAFETY: the headers point to addresses, vectors and data borrowed for the call; sending
    // only reads them.
    let sent = unsafe {
        libc::sendmmsg(
            fd.as_raw_fd(),
            headers.as_mut_ptr(),
            runs.len() as libc::c_uint,
            libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
        )
    };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

/// Sets a buffer size beyond the limit for ordinary users, where we may.
pub(super) fn force_buffers(fd: BorrowedFd<'_>, bytes: usize) {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    for option in [libc::SO_RCVBUFFORCE, libc::SO_SNDBUFFORCE] {
        // SAFETY: the option value is an int that lives through the call. Failure (no privilege)
        // leaves the size the ordinary option reached.
        unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                (&raw const value).cast(),
                size_of::<libc::c_int>() as libc::socklen_t,
            );
        }
    }
}

/// All addresses of all interfaces, in the kernel's order.
pub(super) fn interfaces() -> io::Result<Vec<InterfaceAddr>> {
    let mut head = MaybeUninit::<*mut libc::ifaddrs>::uninit();
    // SAFETY: getifaddrs writes the list's head where told.
    if unsafe { libc::getifaddrs(head.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so the head is written.
    let head = unsafe { head.assume_init() };
    let mut found = Vec::new();
    let mut next = head;
    while !next.is_null() {
        // SAFETY: a non-null entry of a list that is freed only below.
        let entry = unsafe { &*next };
        next = entry.ifa_next;
        if entry.ifa_name.is_null() {
            continue;
        }
        // SAFETY: the name is a C string owned by the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) };
        // SAFETY: the pointers are null or socket addresses owned by the list.
        let (addr, netmask) = unsafe { (ip_at(entry.ifa_addr), ip_at(entry.ifa_netmask)) };
        if let (Some(addr), Some(netmask)) = (addr, netmask) {
            // SAFETY: the name is a valid C string.
            let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
            let up = entry.ifa_flags & libc::IFF_UP as libc::c_uint != 0;
            let name = name.to_string_lossy().into_owned();
            found.push(InterfaceAddr { name, index, addr, netmask, up });
        }
    }
    // SAFETY: the list came from getifaddrs and nothing refers to it any more.
    unsafe { libc::freeifaddrs(head) };
    Ok(found)
}

/// # Safety
/// `addr` is null or points to a socket address as long as its family demands.
unsafe fn ip_at(addr: *const libc::sockaddr) -> Option<IpAddr> {
    if addr.is_null() {
        return None;
    }
    // SAFETY: by the caller's promise, for each family read.
    unsafe {
        match i32::from((*addr).sa_family) {
            libc::AF_INET => {
                let v4 = &*addr.cast::<libc::sockaddr_in>();
                Some(IpAddr::from(v4.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                let v6 = &*addr.cast::<libc::sockaddr_in6>();
                Some(IpAddr::from(v6.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}
