//! Buffers of messages that everybody has, kept for the next ones: at a hundred thousand frames a
//! second the allocator would otherwise be the busiest part of the ring.

use crate::Bytes;

/// Most buffers kept: a few rotations' worth.
const KEPT: usize = 256;
/// A buffer larger than this is not worth its memory while idle.
const LARGEST: usize = 4096;

/// Spare buffers.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u8>>,
}

impl Pool {
    /// An empty buffer.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.free.pop().unwrap_or_default()
    }

    /// A copy of `data` in a used buffer.
    pub(crate) fn copy_of(&mut self, data: &[u8]) -> Bytes {
        let mut buffer = self.take();
        buffer.extend_from_slice(data);
        Bytes::from(buffer)
    }

    /// Takes a buffer back, if nobody else looks at it.
    pub(crate) fn give(&mut self, bytes: Bytes) {
        if self.free.len() < KEPT
            && let Some(mut buffer) = bytes.reclaim()
            && buffer.capacity() <= LARGEST
        {
            buffer.clear();
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unshared_buffers_come_back() {
        let mut pool = Pool::default();
        let bytes = pool.copy_of(b"frame");
        let other = bytes.clone();
        pool.give(bytes);
        assert!(pool.free.is_empty());
        pool.give(other);
        assert_eq!(pool.free.len(), 1);
        assert_eq!(&*pool.copy_of(b"next"), b"next");
        assert!(pool.free.is_empty());
        pool.give(Bytes::copy_of(&[0; LARGEST + 1]));
        assert!(pool.free.is_empty());
    }
}
