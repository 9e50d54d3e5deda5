//! Shared, immutable bytes: a frame is kept for retransmission, sent, and delivered in pieces,
//! without being copied for each.

use std::fmt;
use std::ops::{Deref, Range};
use std::sync::Arc;

/// A cheap handle on a range of an immutable buffer.
#[derive(Clone, Default)]
pub struct Bytes {
    buf: Arc<Vec<u8>>,
    start: usize,
    end: usize,
}

impl Bytes {
    /// Copies a slice.
    pub fn copy_of(data: &[u8]) -> Bytes {
        Bytes::from(data.to_vec())
    }

    /// The buffer, for reuse, if this is the last handle on it.
    pub fn reclaim(self) -> Option<Vec<u8>> {
        Arc::try_unwrap(self.buf).ok()
    }

    /// A handle on a part of this one; `range` counts from this handle's start and is cut to
    /// what there is.
    pub fn slice(&self, range: Range<usize>) -> Bytes {
        let end = range.end.min(self.len());
        let start = range.start.min(end);
        Bytes { buf: Arc::clone(&self.buf), start: self.start + start, end: self.start + end }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(data: Vec<u8>) -> Bytes {
        let end = data.len();
        Bytes { buf: Arc::new(data), start: 0, end }
    }
}

impl Deref for Bytes {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Bytes) -> bool {
        **self == **other
    }
}

impl Eq for Bytes {}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes[{}]", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::Bytes;

    #[test]
    fn slices_share_and_never_overrun() {
        let all = Bytes::copy_of(b"hello world");
        let world = all.slice(6..99);
        assert_eq!(&*world, b"world");
        assert_eq!(&*world.slice(1..3), b"or");
        assert!(world.slice(7..9).is_empty());
        assert_eq!(all.reclaim(), None);
        assert_eq!(world.reclaim().as_deref(), Some(b"hello world".as_slice()));
    }
}
