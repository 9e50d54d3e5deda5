//! Files mapped into memory and shared with a process that may be hostile.
//!
//! A [`Mapping`] hands out atomics and copies bytes in and out; it never lends a plain reference,
//! because the other side may write at any time. The owner of a file can truncate it under the
//! mapping, after which touching it raises SIGBUS: a handler then puts zero pages in the
//! mapping's place and marks it, and [`Mapping::is_lost`] tells.
//!
//! Source: `spec/libqb-ipc.md` §5.2, §7 (force close).
#![allow(unsafe_code)]

use rustix::fd::AsFd;
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::ptr::NonNull;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// A shared, writable mapping of the beginning of a file.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    len: usize,
    slot: usize,
}

// SAFETY: the mapping belongs to this value alone (nothing is bound to the mapping thread), and
// all access is by atomics or raw copies of memory that foreign processes change anyway.
unsafe impl Send for Mapping {}

impl Mapping {
    /// Maps `len` bytes of a file. Bytes beyond its end may be touched only within its last page.
    pub(crate) fn new(file: impl AsFd, len: usize) -> Result<Mapping, Errno> {
        install_handler();
        let slot = Slot::claim().ok_or(Errno::NOMEM)?;
        // SAFETY: no fixed address is asked for, so no other mapping is harmed.
        let mapped = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file,
                0,
            )
        };
        let start = match mapped.map(|start| NonNull::new(start.cast::<u8>())) {
            Ok(Some(start)) => start,
            Ok(None) => {
                SLOTS[slot].release();
                return Err(Errno::NOMEM);
            }
            Err(error) => {
                SLOTS[slot].release();
                return Err(error);
            }
        };
        SLOTS[slot].guard(start.as_ptr() as usize, len);
        Ok(Mapping { start, len, slot })
    }

    /// Whether the file was truncated under us: what is read now are zeros nobody wrote.
    pub(crate) fn is_lost(&self) -> bool {
        SLOTS[self.slot].lost.load(Ordering::Relaxed)
    }

    /// The u32 at an offset (a multiple of 4 within the mapping; both are the caller's constants
    /// or checked indices).
    pub(crate) fn u32_at(&self, at: usize) -> &AtomicU32 {
        assert!(at.is_multiple_of(4) && at + 4 <= self.len);
        // SAFETY: inside the mapping, aligned, and alive as long as `self`.
        unsafe { AtomicU32::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// The u64 at an offset; conditions as above, with 8.
    pub(crate) fn u64_at(&self, at: usize) -> &AtomicU64 {
        assert!(at.is_multiple_of(8) && at + 8 <= self.len);
        // SAFETY: inside the mapping, aligned, and alive as long as `self`.
        unsafe { AtomicU64::from_ptr(self.start.as_ptr().add(at).cast()) }
    }

    /// Copies bytes into the mapping.
    pub(crate) fn write(&self, at: usize, bytes: &[u8]) {
        assert!(at.checked_add(bytes.len()).is_some_and(|end| end <= self.len));
        // SAFETY: the target lies inside the mapping and cannot overlap a Rust slice.
        unsafe {
            let target = self.start.as_ptr().add(at);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len());
        }
    }

    /// Appends `len` bytes of the mapping to a buffer.
    pub(crate) fn read_to(&self, at: usize, len: usize, buffer: &mut Vec<u8>) {
        assert!(at.checked_add(len).is_some_and(|end| end <= self.len));
        buffer.reserve(len);
        // SAFETY: source inside the mapping, target in the reserved room, which is then
        // initialised. A concurrent writer can make the copied bytes arbitrary, which any byte is.
        unsafe {
            let source = self.start.as_ptr().add(at);
            let target = buffer.as_mut_ptr().add(buffer.len());
            std::ptr::copy_nonoverlapping(source, target, len);
            buffer.set_len(buffer.len() + len);
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        SLOTS[self.slot].release();
        // SAFETY: unmaps exactly what was mapped; references into it have ended with `self`.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.len) };
        debug_assert!(unmapped.is_ok());
    }
}

/// What the signal handler needs to know of one mapping.
struct Slot {
    taken: AtomicBool,
    start: AtomicUsize,
    len: AtomicUsize,
    lost: AtomicBool,
}

/// Six mappings a connection: room for some 2700 connections, more than descriptors allow.
const SLOTS_MAX: usize = 16384;
static SLOTS: [Slot; SLOTS_MAX] = [const {
    Slot {
        taken: AtomicBool::new(false),
        start: AtomicUsize::new(0),
        len: AtomicUsize::new(0),
        lost: AtomicBool::new(false),
    }
}; SLOTS_MAX];

impl Slot {
    fn claim() -> Option<usize> {
        SLOTS.iter().position(|slot| !slot.taken.swap(true, Ordering::AcqRel))
    }

    fn guard(&self, start: usize, len: usize) {
        self.lost.store(false, Ordering::Relaxed);
        self.start.store(start, Ordering::Relaxed);
        self.len.store(len, Ordering::Release);
    }

    fn release(&self) {
        self.len.store(0, Ordering::Release);
        self.taken.store(false, Ordering::Release);
    }
}

fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler is async-signal-safe (atomics and one mmap); the struct is
        // initialised before use.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            action.sa_sigaction = on_bus_error as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &action, std::ptr::null_mut());
        }
    });
}

extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid siginfo with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    for slot in &SLOTS {
        let (len, start) = (slot.len.load(Ordering::Acquire), slot.start.load(Ordering::Relaxed));
        if len > 0 && address >= start && address - start < len {
            slot.lost.store(true, Ordering::Relaxed);
            // SAFETY: replaces exactly one of our own mappings by zero pages, which keeps every
            // reference into it valid. errno may change; the interrupted code is a memory access.
            let mapped = unsafe {
                libc::mmap(
                    start as *mut libc::c_void,
                    len,
                    libc::PROT_READ | libc::PROT_WRITE,
                    libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                    -1,
                    0,
                )
            };
            if mapped != libc::MAP_FAILED {
                return;
            }
        }
    }
    // Not ours: die of it, as without a handler.
    // SAFETY: restoring the default action is async-signal-safe.
    unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truncated_file_costs_the_mapping_not_the_process() {
        let path = std::env::temp_dir().join(format!("qb-map-{}", std::process::id()));
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(8192).unwrap();
        let map = Mapping::new(&file, 8192).unwrap();
        map.u32_at(4096).store(7, Ordering::Relaxed);
        let mut bytes = vec![];
        map.read_to(4094, 4, &mut bytes);
        assert_eq!(bytes, [0, 0, 7, 0]);
        assert!(!map.is_lost());
        file.set_len(0).unwrap();
        assert_eq!(map.u32_at(4096).load(Ordering::Relaxed), 0);
        assert!(map.is_lost());
        map.write(0, &[1; 8192]);
    }
}
