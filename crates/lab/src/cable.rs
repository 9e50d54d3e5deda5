//! A bad cable: a thread that carries frames between two network interfaces, loses some and holds
//! others back. It needs no traffic control in the kernel, which few sandboxes have.
//!
//! Packet sockets with the virtio header on: what a sender's stack left to the card (checksums,
//! segments) goes over as it is. Source: packet(7), `linux/virtio_net.h`.
#![allow(unsafe_code)]

use std::collections::BTreeMap;
use std::io;
use std::mem::size_of;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Frames with all segments in one, and their header.
const FRAME_MAX: usize = 70_000;
/// Bytes that may lie in the socket when the thread does not get to run.
const BUFFER: libc::c_int = 16 << 20;
/// Frames that may wait; what comes then is lost, as in any switch.
const WAITING_MAX: usize = 20_000;

/// What a cable does to frames. Shared with the thread; changes count at once.
#[derive(Debug, Default)]
pub struct Weather {
    /// Of a thousand frames so many are lost.
    loss: AtomicU32,
    /// Each frame takes up to so many microseconds, so that they overtake each other.
    delay: AtomicU32,
}

impl Weather {
    /// Loses `loss` of a thousand frames, holds each back for up to `delay`.
    pub fn set(&self, loss: u32, delay: Duration) {
        self.loss.store(loss, Ordering::Relaxed);
        self.delay.store(u32::try_from(delay.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }
}

/// Lays a cable between two interfaces of the caller's network namespace. It lasts until one of
/// them goes.
pub fn lay(one: u32, other: u32, weather: Arc<Weather>, seed: u64) -> io::Result<()> {
    let ends = [open(one)?, open(other)?];
    std::thread::Builder::new().name("cable".into()).spawn(move || carry(&ends, &weather, seed))?;
    Ok(())
}

fn open(interface: u32) -> io::Result<OwnedFd> {
    let every = u16::to_be(libc::ETH_P_ALL as u16);
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: plain system call; the descriptor is new and ours.
    let socket = unsafe {
        let raw = libc::socket(libc::AF_PACKET, kind, i32::from(every));
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        OwnedFd::from_raw_fd(raw)
    };
    // What we send ourselves is not to come back.
    set(&socket, libc::SOL_PACKET, libc::PACKET_VNET_HDR, 1)?;
    set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, 1)?;
    // A cable holds more than a socket usually does. Without privileges it holds what it may.
    set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER)
        .or_else(|_| set(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER))?;
    // SAFETY: all zeros is a value of this structure of integers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = every;
    address.sll_ifindex =
        i32::try_from(interface).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    // SAFETY: the pointer is to a live sockaddr_ll of the size that is given.
    let result = unsafe {
        libc::bind(
            socket.as_raw_fd(),
            (&raw const address).cast(),
            size_of::<libc::sockaddr_ll>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(socket) }
}

fn set(socket: &OwnedFd, level: i32, option: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer is to a live integer of the size that is given.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<libc::c_int>() as libc::socklen_t,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Frames that wait, by their time; the number keeps those of one time apart.
type Waiting = BTreeMap<(Instant, u64), (usize, Vec<u8>)>;

fn carry(ends: &[OwnedFd; 2], weather: &Weather, seed: u64) {
    let mut state = seed | 1;
    let mut dice = move |sides: u32| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 32) as u32) % sides.max(1)
    };
    let mut waiting = Waiting::new();
    let mut frames = 0u64;
    let mut buffer = vec![0u8; FRAME_MAX];
    loop {
        let patience =
            waiting.keys().next().map(|(due, _)| due.saturating_duration_since(Instant::now()));
        if !wait(ends, patience) {
            return;
        }
        for (from, end) in ends.iter().enumerate() {
            loop {
                let length = match rustix::io::read(end, &mut buffer[..]) {
                    Ok(length) => length,
                    // The other one goes too, when its host is switched off or taken out.
                    Err(rustix::io::Errno::NODEV | rustix::io::Errno::NXIO) => return,
                    Err(_) => break,
                };
                let is_lost = dice(1000) < weather.loss.load(Ordering::Relaxed);
                if is_lost || waiting.len() >= WAITING_MAX {
                    continue;
                }
                let delay = u64::from(dice(weather.delay.load(Ordering::Relaxed) + 1));
                let due = Instant::now() + Duration::from_micros(delay);
                frames += 1;
                waiting.insert((due, frames), (1 - from, buffer[..length].to_vec()));
            }
        }
        let now = Instant::now();
        while let Some(entry) = waiting.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (to, frame) = entry.remove();
            // A full queue or an interface that is down: the frame is lost, as on a cable.
            let _ = rustix::io::write(&ends[to], &frame);
        }
    }
}

/// Until one end is readable or the time has come; `false` when an interface is gone.
fn wait(ends: &[OwnedFd; 2], patience: Option<Duration>) -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let mut polled = [PollFd::new(&ends[0], PollFlags::IN), PollFd::new(&ends[1], PollFlags::IN)];
    let patience = patience.unwrap_or(Duration::from_secs(1));
    let timeout = Timespec {
        tv_sec: patience.as_secs().try_into().unwrap_or(1),
        tv_nsec: patience.subsec_nanos().into(),
    };
    if poll(&mut polled, Some(&timeout)).is_err() {
        return true;
    }
    // A socket whose interface went has an error that reads as ENETDOWN; then it stays silent.
    polled.iter().all(|end| !end.revents().contains(PollFlags::NVAL)) && ends.iter().all(is_there)
}

/// Whether the socket still has its interface.
fn is_there(end: &OwnedFd) -> bool {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: both pointers are to live values, the length is that of the address.
    let result =
        unsafe { libc::getsockname(end.as_raw_fd(), (&raw mut address).cast(), &raw mut length) };
    // The kernel binds it to nothing (-1) when the interface goes.
    result == 0 && address.sll_ifindex > 0
}
