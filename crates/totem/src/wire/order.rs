//! Reading and writing integers in a stated byte order.

use crate::RingId;
use base::NodeId;

/// A byte order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Least significant byte first (x86).
    Little,
    /// Most significant byte first.
    Big,
}

impl Order {
    /// This machine's.
    pub const NATIVE: Order =
        if cfg!(target_endian = "little") { Order::Little } else { Order::Big };

    /// Whether a reader on this machine must swap.
    pub fn is_foreign(self) -> bool {
        self != Order::NATIVE
    }

    /// Reads two bytes.
    pub fn get_u16(self, b: [u8; 2]) -> u16 {
        match self {
            Order::Little => u16::from_le_bytes(b),
            Order::Big => u16::from_be_bytes(b),
        }
    }

    /// Reads four bytes.
    pub fn get_u32(self, b: [u8; 4]) -> u32 {
        match self {
            Order::Little => u32::from_le_bytes(b),
            Order::Big => u32::from_be_bytes(b),
        }
    }

    /// Reads eight bytes.
    pub fn get_u64(self, b: [u8; 8]) -> u64 {
        match self {
            Order::Little => u64::from_le_bytes(b),
            Order::Big => u64::from_be_bytes(b),
        }
    }
}

/// Takes integers from the front of a slice; `None` when it is used up.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    data: &'a [u8],
    order: Order,
}

impl<'a> Reader<'a> {
    /// Reads `data` in this order.
    pub fn new(data: &'a [u8], order: Order) -> Reader<'a> {
        Reader { data, order }
    }

    /// What is left.
    pub fn rest(&self) -> &'a [u8] {
        self.data
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.data.split_first_chunk::<N>()?;
        self.data = rest;
        Some(*head)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take::<1>().map(|[b]| b)
    }

    /// Two bytes.
    pub fn u16(&mut self) -> Option<u16> {
        self.take().map(|b| self.order.get_u16(b))
    }

    /// Four bytes.
    pub fn u32(&mut self) -> Option<u32> {
        self.take().map(|b| self.order.get_u32(b))
    }

    /// Eight bytes.
    pub fn u64(&mut self) -> Option<u64> {
        self.take().map(|b| self.order.get_u64(b))
    }

    /// A ring id (12 bytes).
    pub fn ring_id(&mut self) -> Option<RingId> {
        let rep = NodeId(self.u32()?);
        Some(RingId { rep, seq: self.u64()? })
    }

    /// `count` node ids.
    pub fn nodes(&mut self, count: usize) -> Option<Vec<NodeId>> {
        if self.data.len() / 4 < count {
            return None;
        }
        (0..count).map(|_| self.u32().map(NodeId)).collect()
    }
}

/// Appends integers to a buffer.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    order: Order,
}

impl<'a> Writer<'a> {
    /// Appends to `out` in this order.
    pub fn new(out: &'a mut Vec<u8>, order: Order) -> Writer<'a> {
        Writer { out, order }
    }

    /// One byte.
    pub fn u8(&mut self, v: u8) {
        self.out.push(v);
    }

    /// Two bytes.
    pub fn u16(&mut self, v: u16) {
        self.out.extend_from_slice(&match self.order {
            Order::Little => v.to_le_bytes(),
            Order::Big => v.to_be_bytes(),
        });
    }

    /// Four bytes.
    pub fn u32(&mut self, v: u32) {
        self.out.extend_from_slice(&match self.order {
            Order::Little => v.to_le_bytes(),
            Order::Big => v.to_be_bytes(),
        });
    }

    /// Eight bytes.
    pub fn u64(&mut self, v: u64) {
        self.out.extend_from_slice(&match self.order {
            Order::Little => v.to_le_bytes(),
            Order::Big => v.to_be_bytes(),
        });
    }

    /// A length or count that fits 32 bits by construction.
    pub fn len(&mut self, v: usize) {
        self.u32(u32::try_from(v).unwrap_or(u32::MAX));
    }

    /// A ring id (12 bytes).
    pub fn ring_id(&mut self, v: RingId) {
        self.u32(v.rep.0);
        self.u64(v.seq);
    }

    /// Node ids, one after the other.
    pub fn nodes(&mut self, nodes: &[NodeId]) {
        for node in nodes {
            self.u32(node.0);
        }
    }
}
