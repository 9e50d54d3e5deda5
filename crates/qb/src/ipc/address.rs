//! Names of sockets.
//!
//! Abstract names are padded with NULs to the full length of the address: a name bound shorter is
//! a different one. When `/etc/libqb/force-filesystem-sockets` exists, services listen (and are
//! looked for) in the file system instead.
//!
//! Source: `spec/libqb-ipc.md` §3, §6.1.

use rustix::io::Errno;
use rustix::net::SocketAddrUnix;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

const NAME_MAX: usize = 107;
const FORCE_FILE: &str = "/etc/libqb/force-filesystem-sockets";
/// Where Debian's libqb puts file-system sockets.
const SOCKET_DIR: &str = "/tmp";

/// The abstract address of a name, of full length. Longer names are cut to 106 bytes, as upstream
/// does for the datagram sockets.
pub(crate) fn abstract_address(name: &[u8]) -> Result<SocketAddrUnix, Errno> {
    let mut padded = [0u8; NAME_MAX];
    let length = name.len().min(NAME_MAX - 1);
    padded[..length].copy_from_slice(&name[..length]);
    SocketAddrUnix::new_abstract_name(&padded)
}

/// The directory of file-system sockets, when this host wants them.
pub(crate) fn forced_socket_dir() -> Option<PathBuf> {
    Path::new(FORCE_FILE).exists().then(|| PathBuf::from(SOCKET_DIR))
}

/// The address a service is found at.
pub(crate) fn service_address(
    service: &str,
    socket_dir: Option<&Path>,
) -> Result<SocketAddrUnix, Errno> {
    match socket_dir {
        Some(dir) => SocketAddrUnix::new(dir.join(service)),
        None => abstract_address(service.as_bytes()),
    }
}

/// The datagram sockets' names of a connection, all from one base.
pub(crate) struct DatagramNames {
    /// The server's end for requests and responses.
    pub(crate) request: SocketAddrUnix,
    /// The client's end for requests and responses.
    pub(crate) response: SocketAddrUnix,
    /// The client's end for events.
    pub(crate) event: SocketAddrUnix,
    /// The server's end for events.
    pub(crate) event_tx: SocketAddrUnix,
}

impl DatagramNames {
    pub(crate) fn new(base: &[u8]) -> Result<DatagramNames, Errno> {
        let name = |suffix: &str| abstract_address(&[base, suffix.as_bytes()].concat());
        Ok(DatagramNames {
            request: name("-request")?,
            response: name("-response")?,
            event: name("-event")?,
            event_tx: name("-event-tx")?,
        })
    }
}

/// Bytes from a message as a path.
pub(crate) fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}
