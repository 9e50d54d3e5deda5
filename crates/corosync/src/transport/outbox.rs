//! Datagrams on their way out: queued in order, handed to the kernel in few calls.

use super::{BATCH, sys};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::AsFd;
use totem::Bytes;

/// How long to wait for room in a full socket buffer before giving the rest up.
const FULL_WAIT_MS: i64 = 1;

/// A queue of datagrams for one socket.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queue: Vec<(SockAddr, Bytes)>,
}

impl Outbox {
    pub(super) fn push(&mut self, to: SockAddr, packet: Bytes) {
        self.queue.push((to, packet));
    }

    /// Sends all; returns how many were not taken. One refused datagram (say, `EPERM` of a
    /// firewall or `ENETUNREACH`) does not hold up the others.
    pub(super) fn flush(&mut self, socket: &Socket) -> usize {
        let mut failures = 0;
        let mut waited = false;
        let mut from = 0;
        while from < self.queue.len() {
            let mut batch: [(&SockAddr, &[u8]); BATCH] = {
                let (to, packet) = &self.queue[from];
                [(to, packet); BATCH]
            };
            let mut count = 0;
            for (slot, (to, packet)) in batch.iter_mut().zip(&self.queue[from..]) {
                *slot = (to, packet);
                count += 1;
            }
            match sys::send_many(socket.as_fd(), &batch[..count]) {
                Ok(sent) => from += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {
                    waited = true;
                    wait_writable(socket);
                }
                Err(_) => {
                    failures += 1;
                    from += 1;
                }
            }
        }
        self.queue.clear();
        failures
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }
}

fn wait_writable(socket: &Socket) {
    let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: FULL_WAIT_MS * 1_000_000 };
    // Whether it became writable or not: the next attempt tells.
    let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&limit));
}
