//! Who is at the other end of a stream socket.
//!
//! Asked of the kernel by hand: the process id is 0 when the peer lives in a process namespace we
//! cannot see, which `rustix`'s type for it has no room for.
#![allow(unsafe_code)]

use super::server::Credentials;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// The peer's credentials at the time it connected.
pub(crate) fn credentials(stream: impl AsFd) -> Result<Credentials, Errno> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into the local, for which any bytes are
    // valid.
    let done = unsafe {
        libc::getsockopt(
            stream.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &mut length,
        )
    };
    if done != 0 {
        return Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL));
    }
    Ok(Credentials { pid: peer.pid.max(0).unsigned_abs(), uid: peer.uid, gid: peer.gid })
}
