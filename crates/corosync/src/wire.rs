//! Fields at offsets: how the fixed C structs of IPC and cluster messages are read and written.
//!
//! The tables of the specification give every member's offset; code that uses [`Fields`] and
//! [`Message`] repeats exactly those numbers, so the two can be compared side by side. Integers
//! are in host order; a cluster message of a node of the other byte order is read with `swapped`
//! set. Nothing here panics: reading past the end gives `None`.
//!
//! Source: `spec/corosync-services.md` §2.4, `spec/libqb-ipc.md` §2.

/// Size of a request header.
pub const REQUEST_HEADER: usize = 16;
/// Size of a response or event header.
pub const RESPONSE_HEADER: usize = 24;

/// A received message.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    swapped: bool,
}

macro_rules! read_int {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)+) => {$(
        $(#[$doc])*
        pub fn $name(&self, offset: usize) -> Option<$type> {
            let end = offset.checked_add(size_of::<$type>())?;
            let raw = <$type>::from_ne_bytes(self.bytes.get(offset..end)?.try_into().ok()?);
            Some(if self.swapped { raw.swap_bytes() } else { raw })
        }
    )+};
}

impl<'a> Fields<'a> {
    /// A message in this host's byte order.
    pub fn new(bytes: &'a [u8]) -> Fields<'a> {
        Fields { bytes, swapped: false }
    }

    /// A message whose sender may have the other byte order.
    pub fn from_peer(bytes: &'a [u8], swapped: bool) -> Fields<'a> {
        Fields { bytes, swapped }
    }

    /// Whether the sender has the other byte order.
    pub fn is_swapped(&self) -> bool {
        self.swapped
    }

    /// The whole message.
    pub fn all(&self) -> &'a [u8] {
        self.bytes
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    read_int! {
        /// Unsigned 8 bits at an offset.
        u8: u8;
        /// Unsigned 16 bits at an offset.
        u16: u16;
        /// Unsigned 32 bits at an offset.
        u32: u32;
        /// Unsigned 64 bits at an offset.
        u64: u64;
        /// Signed 32 bits at an offset.
        i32: i32;
    }

    /// `len` bytes at an offset.
    pub fn slice(&self, offset: usize, len: usize) -> Option<&'a [u8]> {
        self.bytes.get(offset..offset.checked_add(len)?)
    }

    /// Everything from an offset on.
    pub fn tail(&self, offset: usize) -> Option<&'a [u8]> {
        self.bytes.get(offset..)
    }

    /// A `mar_name_t`: u16 length, then up to 256 bytes from offset 8.
    pub fn name(&self, offset: usize) -> Option<&'a [u8]> {
        let len = usize::from(self.u16(offset)?);
        if len > 256 {
            return None;
        }
        self.slice(offset.checked_add(8)?, len)
    }

    /// A C string in a fixed field: up to its NUL or the field's end.
    pub fn c_string(&self, offset: usize, size: usize) -> Option<&'a [u8]> {
        let field = self.slice(offset, size)?;
        Some(&field[..field.iter().position(|byte| *byte == 0).unwrap_or(size)])
    }
}

/// A message being written: zeros of a fixed size, filled at offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// A request-shaped message: `id` at 0, `size` at 8.
    pub fn request(id: i32, size: usize) -> Message {
        let mut message = Message(vec![0; size.max(REQUEST_HEADER)]);
        message.put(0, &id.to_ne_bytes());
        message.put(8, &i32::try_from(size).unwrap_or(i32::MAX).to_ne_bytes());
        message
    }

    /// A response- or event-shaped message: `id` at 0, `size` at 8, `error` at 16.
    pub fn response(id: i32, size: usize, error: CsError) -> Message {
        let mut message = Message(vec![0; size.max(RESPONSE_HEADER)]);
        message.put(0, &id.to_ne_bytes());
        message.put(8, &i32::try_from(size).unwrap_or(i32::MAX).to_ne_bytes());
        message.put(16, &(error as i32).to_ne_bytes());
        message
    }

    /// Writes bytes at an offset. What would lie beyond the message's end is cut off: sizes are
    /// computed by the caller from the same numbers, so that would be a mistake a test shows.
    pub fn put(&mut self, offset: usize, bytes: &[u8]) {
        debug_assert!(offset + bytes.len() <= self.0.len(), "field beyond the message's end");
        if let Some(field) = self.0.get_mut(offset..) {
            let len = bytes.len().min(field.len());
            field[..len].copy_from_slice(&bytes[..len]);
        }
    }

    /// Writes an unsigned 8-bit field.
    pub fn put_u8(&mut self, offset: usize, value: u8) {
        self.put(offset, &[value]);
    }

    /// Writes an unsigned 16-bit field.
    pub fn put_u16(&mut self, offset: usize, value: u16) {
        self.put(offset, &value.to_ne_bytes());
    }

    /// Writes an unsigned 32-bit field.
    pub fn put_u32(&mut self, offset: usize, value: u32) {
        self.put(offset, &value.to_ne_bytes());
    }

    /// Writes an unsigned 64-bit field.
    pub fn put_u64(&mut self, offset: usize, value: u64) {
        self.put(offset, &value.to_ne_bytes());
    }

    /// Writes a `mar_name_t`; what is longer than 256 bytes is cut.
    pub fn put_name(&mut self, offset: usize, name: &[u8]) {
        let name = &name[..name.len().min(256)];
        self.put_u16(offset, name.len() as u16);
        self.put(offset + 8, name);
    }

    /// The finished bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// What a library call answers. Source: `spec/corosync-services.md` §2.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum CsError {
    /// Fine.
    Ok = 1,
    /// Timed out.
    Timeout = 5,
    /// Not now.
    TryAgain = 6,
    /// An argument is wrong.
    InvalidParam = 7,
    /// No such handle.
    BadHandle = 9,
    /// In use.
    Busy = 10,
    /// Not permitted.
    Access = 11,
    /// No such thing.
    NotExist = 12,
    /// A name is too long or has illegal characters.
    NameTooLong = 13,
    /// Is there already.
    Exist = 14,
    /// Interrupted by a membership change.
    Interrupt = 16,
    /// No such name.
    NameNotFound = 17,
    /// Could not be sent.
    NoResources = 18,
    /// Not offered.
    NotSupported = 19,
    /// Did not work.
    FailedOperation = 21,
    /// Belongs to another ring.
    MessageError = 22,
    /// End of an iteration.
    NoSections = 27,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_what_a_message_wrote_and_stop_at_its_end() {
        let mut message = Message::response(7, 40, CsError::TryAgain);
        message.put_u64(24, 0x1122_3344_5566_7788);
        message.put_u16(32, 9);
        let bytes = message.into_bytes();
        let fields = Fields::new(&bytes);
        assert_eq!(fields.i32(0), Some(7));
        assert_eq!(fields.i32(8), Some(40));
        assert_eq!(fields.i32(16), Some(6));
        assert_eq!(fields.u64(24), Some(0x1122_3344_5566_7788));
        assert_eq!(fields.u16(32), Some(9));
        assert_eq!(fields.u32(37), None);
        assert_eq!(fields.u32(usize::MAX), None);
        assert_eq!(Fields::from_peer(&bytes, true).u16(32), Some(9u16.swap_bytes()));
    }

    #[test]
    fn names_longer_than_their_field_are_refused() {
        let mut bytes = vec![0; 264];
        bytes[..2].copy_from_slice(&300u16.to_ne_bytes());
        assert_eq!(Fields::new(&bytes).name(0), None);
        bytes[..2].copy_from_slice(&2u16.to_ne_bytes());
        bytes[8..10].copy_from_slice(b"ab");
        assert_eq!(Fields::new(&bytes).name(0), Some(&b"ab"[..]));
    }
}
