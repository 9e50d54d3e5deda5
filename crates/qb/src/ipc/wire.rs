//! The headers of all messages, and the two handshake messages.
//!
//! Integers are in host byte order: IPC never leaves the host. The helpers [`put_u32`],
//! [`get_u32`] and their kin are what services use to lay out their bodies by the offsets the
//! specification gives; reads beyond the end give `None`.
//!
//! Source: `spec/libqb-ipc.md` §2, §4.

/// Size of a request's header.
pub const REQUEST_HEADER: usize = 16;
/// Size of a response's or event's header.
pub const RESPONSE_HEADER: usize = 24;
/// Id of both handshake messages.
pub const ID_AUTHENTICATE: i32 = -1;
/// Id of a request that asks the server to close the connection.
pub const ID_DISCONNECT: i32 = -3;
/// Size of the handshake's request.
pub const CONNECT_REQUEST: usize = 24;
/// Size of the handshake's answer, also of a denial. No connection's message limit is asked for
/// below it.
pub const CONNECT_RESPONSE: usize = 12328;
const PATH_FIELD: usize = 4096;

/// Reads an i32 at an offset.
pub fn get_i32(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Reads a u32 at an offset.
pub fn get_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Reads a u64 at an offset.
pub fn get_u64(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// Writes bytes at an offset, growing the message with zeros as needed.
pub fn put(message: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let end = at + bytes.len();
    if message.len() < end {
        message.resize(end, 0);
    }
    message[at..end].copy_from_slice(bytes);
}

/// Writes an i32 at an offset, growing the message with zeros as needed.
pub fn put_i32(message: &mut Vec<u8>, at: usize, value: i32) {
    put(message, at, &value.to_ne_bytes());
}

/// Writes a u32 at an offset, growing the message with zeros as needed.
pub fn put_u32(message: &mut Vec<u8>, at: usize, value: u32) {
    put(message, at, &value.to_ne_bytes());
}

/// Writes a u64 at an offset, growing the message with zeros as needed.
pub fn put_u64(message: &mut Vec<u8>, at: usize, value: u64) {
    put(message, at, &value.to_ne_bytes());
}

/// A request of `size` zero bytes whose header is filled in.
pub fn request(id: i32, size: usize) -> Vec<u8> {
    let mut message = vec![0; size.max(REQUEST_HEADER)];
    put_i32(&mut message, 0, id);
    let size = i32::try_from(message.len()).unwrap_or(i32::MAX);
    put_i32(&mut message, 8, size);
    message
}

/// A response or event of `size` zero bytes whose header is filled in.
pub fn response(id: i32, error: i32, size: usize) -> Vec<u8> {
    let mut message = request(id, size.max(RESPONSE_HEADER));
    put_i32(&mut message, 16, error);
    message
}

/// The id of a message.
pub fn id(message: &[u8]) -> Option<i32> {
    get_i32(message, 0)
}

/// The size a message's header gives.
pub fn size(message: &[u8]) -> Option<i32> {
    get_i32(message, 8)
}

/// The error of a response or event.
pub fn error(message: &[u8]) -> Option<i32> {
    get_i32(message, 16)
}

/// Corrects the size in the header after the message grew.
pub fn set_size(message: &mut Vec<u8>) {
    let size = i32::try_from(message.len()).unwrap_or(i32::MAX);
    put_i32(message, 8, size);
}

/// What a client asks for first: the wanted message limit. `None`: not a handshake.
pub(crate) fn parse_connect_request(message: &[u8]) -> Option<u32> {
    (message.len() == CONNECT_REQUEST && id(message)? == ID_AUTHENTICATE)
        .then(|| get_u32(message, 16))?
}

pub(crate) fn connect_request(max_msg_size: u32) -> Vec<u8> {
    let mut message = request(ID_AUTHENTICATE, CONNECT_REQUEST);
    put_u32(&mut message, 16, max_msg_size);
    message
}

/// The handshake's positive answer.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(crate) struct ConnectResponse {
    pub(crate) connection_type: i32,
    pub(crate) max_msg_size: u32,
    pub(crate) connection: u64,
    pub(crate) request: Vec<u8>,
    pub(crate) response: Vec<u8>,
    pub(crate) event: Vec<u8>,
}

impl ConnectResponse {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut message = response(ID_AUTHENTICATE, 0, CONNECT_RESPONSE);
        put_i32(&mut message, 24, self.connection_type);
        put_u32(&mut message, 28, self.max_msg_size);
        put_u64(&mut message, 32, self.connection);
        for (field, path) in [&self.request, &self.response, &self.event].into_iter().enumerate() {
            // One byte stays for the NUL.
            let path = &path[..path.len().min(PATH_FIELD - 1)];
            put(&mut message, 40 + field * PATH_FIELD, path);
        }
        message
    }

    /// Err: the errno of a denial, or EBADMSG when the answer is none.
    pub(crate) fn parse(message: &[u8]) -> Result<ConnectResponse, i32> {
        if message.len() != CONNECT_RESPONSE || id(message) != Some(ID_AUTHENTICATE) {
            return Err(libc::EBADMSG);
        }
        match error(message) {
            Some(0) => {}
            Some(error) if error < 0 && error > i32::MIN => return Err(-error),
            _ => return Err(libc::EBADMSG),
        }
        let path = |field: usize| {
            let at = 40 + field * PATH_FIELD;
            let bytes = &message[at..at + PATH_FIELD];
            bytes.split(|byte| *byte == 0).next().unwrap_or_default().to_vec()
        };
        Ok(ConnectResponse {
            connection_type: get_i32(message, 24).ok_or(libc::EBADMSG)?,
            max_msg_size: get_u32(message, 28).ok_or(libc::EBADMSG)?,
            connection: get_u64(message, 32).ok_or(libc::EBADMSG)?,
            request: path(0),
            response: path(1),
            event: path(2),
        })
    }
}

/// A denial with an errno.
pub(crate) fn connect_denial(errno: i32) -> Vec<u8> {
    response(ID_AUTHENTICATE, -errno, CONNECT_RESPONSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handshake_bytes_are_upstreams() {
        // The captured vector of spec/libqb-ipc.md §14.
        let request: Vec<u8> = [u32::MAX, 0, 0x18, 0, 0x10_0000, 0]
            .iter()
            .flat_map(|word| word.to_le_bytes())
            .collect();
        assert_eq!(connect_request(0x10_0000), request);
        assert_eq!(parse_connect_request(&request), Some(0x10_0000));
        let answer = ConnectResponse {
            connection_type: 1,
            max_msg_size: 0x10_0000,
            connection: 7,
            request: b"/dev/shm/x/qb-request-cmap".to_vec(),
            response: b"/dev/shm/x/qb-response-cmap".to_vec(),
            event: b"/dev/shm/x/qb-event-cmap".to_vec(),
        };
        let bytes = answer.encode();
        assert_eq!(bytes.len(), 12328);
        assert_eq!(&bytes[..4], [0xff; 4]);
        assert_eq!(&bytes[8..12], 0x3028u32.to_le_bytes());
        assert_eq!(&bytes[24..32], [1, 0, 0, 0, 0, 0, 0x10, 0]);
        assert_eq!(&bytes[40..49], b"/dev/shm/");
        assert_eq!(&bytes[4136..4145], b"/dev/shm/");
        assert_eq!(&bytes[8232..8241], b"/dev/shm/");
        assert_eq!(ConnectResponse::parse(&bytes), Ok(answer));
        assert_eq!(ConnectResponse::parse(&connect_denial(libc::EACCES)), Err(libc::EACCES));
    }

    #[test]
    fn reads_beyond_the_end_are_none() {
        assert_eq!(get_u64(&[0; 8], 1), None);
        assert_eq!(get_u32(&[], usize::MAX), None);
        assert_eq!(parse_connect_request(&[0xff; 23]), None);
        assert_eq!(ConnectResponse::parse(&[0xff; 12]), Err(libc::EBADMSG));
    }
}
