//! Buffers that a CPG client shares with us instead of copying its messages through the request
//! ring. They are files in memory: reading them through the descriptor sees what the client
//! wrote, so they are not even mapped here, and a client that truncates its file hurts only
//! itself.
//!
//! Source: `spec/corosync-services.md` §5.7.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::engine::ConnId;
use crate::wire::{CsError, Fields};

/// The buffer's own header in front of the message.
const HEADER: u64 = 16;
/// Where in it our name for the buffer goes.
const ADDRESS_AT: u64 = 8;
/// Largest buffer.
const SIZE_MAX: u64 = 64 << 20;
/// Buffers of one client.
const PER_CLIENT_MAX: usize = 64;

/// Requests about such buffers.
pub(super) const ALLOC: i32 = 9;
pub(super) const FREE: i32 = 10;
pub(super) const EXECUTE: i32 = 11;

#[derive(Debug)]
struct Buffer {
    file: File,
    size: u64,
}

/// All buffers, by connection and our name for them.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    buffers: BTreeMap<(ConnId, u64), Buffer>,
    next: u64,
}

impl Buffers {
    /// ZC_ALLOC.
    pub(super) fn alloc(&mut self, conn: ConnId, message: &Fields<'_>) -> CsError {
        let (Some(size), Some(path)) = (message.u64(16), message.c_string(24, 128)) else {
            return CsError::InvalidParam;
        };
        let count = self.buffers.range((conn, 0)..=(conn, u64::MAX)).count();
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        // Only files that libcpg makes: a client must not have us unlink anything else.
        let is_ours =
            path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"corosync_zerocopy-"));
        if size <= HEADER || size > SIZE_MAX || count >= PER_CLIENT_MAX || !is_ours {
            return CsError::InvalidParam;
        }
        let opened = OpenOptions::new().read(true).write(true).open(path);
        let Ok(file) = opened else { return CsError::InvalidParam };
        // The client holds it by its own descriptor; the name has done its work.
        let _ = fs::remove_file(path);
        self.next += 1;
        let named = file
            .set_len(size)
            .and_then(|()| file.write_all_at(&self.next.to_ne_bytes(), ADDRESS_AT));
        if named.is_err() {
            return CsError::InvalidParam;
        }
        self.buffers.insert((conn, self.next), Buffer { file, size });
        CsError::Ok
    }

    /// ZC_FREE.
    pub(super) fn free(&mut self, conn: ConnId, message: &Fields<'_>) -> CsError {
        match message.u64(24).and_then(|name| self.buffers.remove(&(conn, name))) {
            Some(_) => CsError::Ok,
            None => CsError::InvalidParam,
        }
    }

    /// The MCAST request in the buffer that a ZC_EXECUTE names.
    pub(super) fn read(&self, conn: ConnId, message: &Fields<'_>) -> Option<Vec<u8>> {
        let buffer = self.buffers.get(&(conn, message.u64(16)?))?;
        let mut head = [0; 40];
        buffer.file.read_exact_at(&mut head, HEADER).ok()?;
        let len = u64::from(Fields::new(&head).u32(32)?);
        if 40 + len > buffer.size.checked_sub(HEADER)? {
            return None;
        }
        let mut request = vec![0; usize::try_from(40 + len).ok()?];
        buffer.file.read_exact_at(&mut request, HEADER).ok()?;
        Some(request)
    }

    /// A client is gone.
    pub(super) fn disconnect(&mut self, conn: ConnId) {
        self.buffers.retain(|(owner, _), _| *owner != conn);
    }
}
