//! Datagrams on their way out: queued in order, handed to the kernel in few calls.
//!
//! Frames of one token visit are mostly of one size, and on udpu go to each node: they are sorted
//! by destination, and each row of equal ones is handed over as a whole for the kernel to cut
//! apart. A destination sees its datagrams in the order they were queued. The destination whose
//! last datagram was queued last (the token's) comes last.

use super::sys::{self, Run};
use rustix::event::{PollFd, PollFlags, poll};
use socket2::{SockAddr, Socket};
use std::io;
use std::os::fd::AsFd;
use totem::Bytes;

/// How long to wait for room in a full socket buffer before giving the rest up.
const FULL_WAIT_MS: i64 = 1;
/// Most datagrams the kernel cuts from one row, and most bytes.
const ROW_PACKETS: usize = 60;
const ROW_BYTES: usize = 60_000;
/// Rows refused before it is believed that the kernel or the device does not cut.
const REFUSALS: u32 = 3;

/// How often an error may turn out to be about an earlier datagram, in one flush.
const EXCUSES: u32 = 16;

/// A queue of datagrams for one socket.
#[derive(Debug)]
pub(super) struct Outbox<P = Bytes> {
    queue: Vec<(SockAddr, P)>,
    refused_rows: u32,
    /// Whose datagrams the last flush could not send, one entry for each.
    lost: Vec<SockAddr>,
}

impl<P> Default for Outbox<P> {
    fn default() -> Outbox<P> {
        Outbox { queue: Vec::new(), refused_rows: 0, lost: Vec::new() }
    }
}

impl<P: AsRef<[u8]>> Outbox<P> {
    pub(super) fn push(&mut self, to: SockAddr, packet: P) {
        self.queue.push((to, packet));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whose datagrams the last flush could not send.
    pub(super) fn lost(&self) -> &[SockAddr] {
        &self.lost
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    /// Sends all; returns how many were not taken. One refused datagram (say, `EPERM` of a
    /// firewall or `ENETUNREACH`) does not hold up the others.
    pub(super) fn flush(&mut self, socket: &Socket) -> usize {
        self.flush_with(socket, &mut || false)
    }

    /// The same for a socket that keeps reports about earlier datagrams: `reported` takes them,
    /// and says whether the error may have been one of those.
    pub(super) fn flush_with(
        &mut self,
        socket: &Socket,
        reported: &mut dyn FnMut() -> bool,
    ) -> usize {
        let rows = self.refused_rows < REFUSALS;
        let mut runs = rows_of(&self.queue, rows);
        let mut failures = 0;
        let mut waited = false;
        let mut excuses = EXCUSES;
        let mut from = 0;
        self.lost.clear();
        while from < runs.len() {
            match sys::send_runs(socket.as_fd(), &runs[from..]) {
                Ok(sent) => from += sent.max(1),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && !waited => {
                    waited = true;
                    wait_writable(socket);
                }
                Err(error) if runs[from].packets.len() > 1 && refuses_rows(&error) => {
                    // Larger than the path's MTU, or no such thing here: one by one, then.
                    self.refused_rows += 1;
                    let row = runs.remove(from);
                    let single = |packet| Run { to: row.to, packets: vec![packet] };
                    runs.splice(from..from, row.packets.iter().copied().map(single));
                }
                Err(_) if excuses > 0 && reported() => excuses -= 1,
                Err(_) => {
                    let count = runs[from].packets.len();
                    failures += count;
                    self.lost.extend(std::iter::repeat_n(runs[from].to.clone(), count));
                    from += 1;
                }
            }
        }
        self.queue.clear();
        failures
    }
}

/// The queue as runs; every datagram is one of its own unless `rows`.
fn rows_of<P: AsRef<[u8]>>(queue: &[(SockAddr, P)], rows: bool) -> Vec<Run<'_>> {
    let mut destinations: Vec<&SockAddr> = Vec::new();
    for (to, _) in queue.iter().rev() {
        if !destinations.contains(&to) {
            destinations.push(to);
        }
    }
    let mut runs: Vec<Run<'_>> = Vec::new();
    for destination in destinations.into_iter().rev() {
        let mut row: Option<(usize, usize)> = None;
        for (to, packet) in queue.iter().filter(|(to, _)| to == destination) {
            let packet = packet.as_ref();
            // A row goes on while each is as long as the first; a shorter one ends it.
            let fits = |(size, bytes): &(usize, usize)| {
                packet.len() <= *size && bytes + packet.len() <= ROW_BYTES
            };
            match (row.as_mut().filter(|row| rows && fits(row)), runs.last_mut()) {
                (Some((size, bytes)), Some(run)) if run.packets.len() < ROW_PACKETS => {
                    run.packets.push(packet);
                    *bytes += packet.len();
                    if packet.len() < *size {
                        row = None;
                    }
                }
                _ => {
                    runs.push(Run { to, packets: vec![packet] });
                    row = Some((packet.len(), packet.len()));
                }
            }
        }
    }
    runs
}

/// Whether an error is about the row and not about its datagrams.
fn refuses_rows(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::EINVAL | libc::EIO | libc::EOPNOTSUPP | libc::EMSGSIZE | libc::ENOPROTOOPT)
    )
}

fn wait_writable(socket: &Socket) {
    let limit = rustix::event::Timespec { tv_sec: 0, tv_nsec: FULL_WAIT_MS * 1_000_000 };
    // Whether it became writable or not: the next attempt tells.
    let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], Some(&limit));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    #[test]
    fn rows_are_of_one_size_and_the_token_is_last() {
        let addr = |port| SockAddr::from(SocketAddr::from(([127, 0, 0, 1], port)));
        let (a, b) = (addr(1), addr(2));
        let mut queue = Vec::new();
        for len in [1400, 1400, 900, 1400] {
            for to in [&a, &b] {
                queue.push((to.clone(), Bytes::from(vec![0; len])));
            }
        }
        queue.push((a.clone(), Bytes::from(vec![0; 57])));
        let shape = |rows| {
            let runs = rows_of(&queue, rows);
            let lens = |run: &Run<'_>| run.packets.iter().map(|p| p.len()).collect::<Vec<_>>();
            runs.iter().map(|run| (*run.to == a, lens(run))).collect::<Vec<_>>()
        };
        assert_eq!(
            shape(true),
            [
                (false, vec![1400, 1400, 900]),
                (false, vec![1400]),
                (true, vec![1400, 1400, 900]),
                (true, vec![1400, 57]),
            ]
        );
        assert_eq!(shape(false).len(), 9);
    }
}
