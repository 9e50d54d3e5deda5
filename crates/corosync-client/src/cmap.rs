//! The engine's map of typed values: configuration, run-time state, statistics.
//!
//! Source: `spec/corosync-services.md` §7.

use crate::CsError;
use crate::call::{Connection, Fields, client_methods};
use qb::ipc::wire;

const SET: i32 = 0;
const DELETE: i32 = 1;
const GET: i32 = 2;
const ADJUST_INT: i32 = 3;
const ITER_INIT: i32 = 4;
const ITER_NEXT: i32 = 5;
const ITER_FINALIZE: i32 = 6;
const TRACK_ADD: i32 = 7;
const TRACK_DELETE: i32 = 8;
const SET_CURRENT_MAP: i32 = 9;
const EVENT_NOTIFY: i32 = 9;

const KEY_MAX: usize = 255;

/// Track deletions.
pub const TRACK_DELETE_EVENTS: u32 = 1;
/// Track changes of values.
pub const TRACK_MODIFY_EVENTS: u32 = 2;
/// Track new keys.
pub const TRACK_ADD_EVENTS: u32 = 4;
/// The key is a prefix.
pub const TRACK_PREFIX: u32 = 8;

/// Which map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Map {
    /// Configuration and state.
    Icmap,
    /// Statistics.
    Stats,
}

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    I8 = 1,
    U8 = 2,
    I16 = 3,
    U16 = 4,
    I32 = 5,
    U32 = 6,
    I64 = 7,
    U64 = 8,
    Float = 9,
    Double = 10,
    Str = 11,
    Bin = 12,
}

impl ValueType {
    const ALL: [ValueType; 12] = [
        ValueType::I8,
        ValueType::U8,
        ValueType::I16,
        ValueType::U16,
        ValueType::I32,
        ValueType::U32,
        ValueType::I64,
        ValueType::U64,
        ValueType::Float,
        ValueType::Double,
        ValueType::Str,
        ValueType::Bin,
    ];

    /// The type of a wire number.
    pub fn from_wire(raw: u8) -> Option<ValueType> {
        ValueType::ALL.get(usize::from(raw).checked_sub(1)?).copied()
    }

    /// Its short name in tools: `u32`, `str`, ….
    pub fn as_str(self) -> &'static str {
        ["i8", "u8", "i16", "u16", "i32", "u32", "i64", "u64", "flt", "dbl", "str", "bin"]
            [self as usize - 1]
    }

    /// The type of a short name.
    pub fn parse(word: &str) -> Option<ValueType> {
        ValueType::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A value of the map.
#[derive(Clone, PartialEq, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    I8(i8),
    U8(u8),
    I16(i16),
    U16(u16),
    I32(i32),
    U32(u32),
    I64(i64),
    U64(u64),
    Float(f32),
    Double(f64),
    Str(String),
    Bin(Vec<u8>),
}

impl Value {
    /// Its type.
    pub fn kind(&self) -> ValueType {
        match self {
            Value::I8(_) => ValueType::I8,
            Value::U8(_) => ValueType::U8,
            Value::I16(_) => ValueType::I16,
            Value::U16(_) => ValueType::U16,
            Value::I32(_) => ValueType::I32,
            Value::U32(_) => ValueType::U32,
            Value::I64(_) => ValueType::I64,
            Value::U64(_) => ValueType::U64,
            Value::Float(_) => ValueType::Float,
            Value::Double(_) => ValueType::Double,
            Value::Str(_) => ValueType::Str,
            Value::Bin(_) => ValueType::Bin,
        }
    }

    /// Its bytes in a SET request (strings without their NUL).
    fn encode(&self) -> Vec<u8> {
        match self {
            Value::I8(v) => v.to_ne_bytes().to_vec(),
            Value::U8(v) => v.to_ne_bytes().to_vec(),
            Value::I16(v) => v.to_ne_bytes().to_vec(),
            Value::U16(v) => v.to_ne_bytes().to_vec(),
            Value::I32(v) => v.to_ne_bytes().to_vec(),
            Value::U32(v) => v.to_ne_bytes().to_vec(),
            Value::I64(v) => v.to_ne_bytes().to_vec(),
            Value::U64(v) => v.to_ne_bytes().to_vec(),
            Value::Float(v) => v.to_ne_bytes().to_vec(),
            Value::Double(v) => v.to_ne_bytes().to_vec(),
            Value::Str(v) => v.as_bytes().to_vec(),
            Value::Bin(v) => v.clone(),
        }
    }

    fn decode(kind: ValueType, bytes: &[u8]) -> Option<Value> {
        Some(match kind {
            ValueType::I8 => Value::I8(i8::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::U8 => Value::U8(u8::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::I16 => Value::I16(i16::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::U16 => Value::U16(u16::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::I32 => Value::I32(i32::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::U32 => Value::U32(u32::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::I64 => Value::I64(i64::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::U64 => Value::U64(u64::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::Float => Value::Float(f32::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::Double => Value::Double(f64::from_ne_bytes(bytes.try_into().ok()?)),
            ValueType::Str => {
                let text = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                Value::Str(String::from_utf8_lossy(text).into_owned())
            }
            ValueType::Bin => Value::Bin(bytes.to_vec()),
        })
    }

    /// The number, for the integer types.
    pub fn as_i128(&self) -> Option<i128> {
        Some(match self {
            Value::I8(v) => i128::from(*v),
            Value::U8(v) => i128::from(*v),
            Value::I16(v) => i128::from(*v),
            Value::U16(v) => i128::from(*v),
            Value::I32(v) => i128::from(*v),
            Value::U32(v) => i128::from(*v),
            Value::I64(v) => i128::from(*v),
            Value::U64(v) => i128::from(*v),
            Value::Float(_) | Value::Double(_) | Value::Str(_) | Value::Bin(_) => return None,
        })
    }

    /// The text, for strings.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }
}

/// A tracker of this connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TrackId {
    handle: u64,
    instance: u64,
}

/// What happened to a tracked key.
#[derive(Clone, PartialEq, Debug)]
pub struct Notification {
    /// The tracker's number: see [`Cmap::track`].
    pub instance: u64,
    /// The key.
    pub key: String,
    /// One of [`TRACK_DELETE_EVENTS`], [`TRACK_MODIFY_EVENTS`], [`TRACK_ADD_EVENTS`].
    pub event: u32,
    /// The value now.
    pub new: Option<Value>,
    /// The value before.
    pub old: Option<Value>,
}

/// A connection to the map service.
#[derive(Debug)]
pub struct Cmap {
    connection: Connection,
    next_instance: u64,
}

fn put_key(message: &mut Vec<u8>, at: usize, key: &str) -> Result<(), CsError> {
    let length = u16::try_from(key.len()).ok().filter(|length| usize::from(*length) <= KEY_MAX);
    wire::put(message, at, &length.ok_or(CsError::NAME_TOO_LONG)?.to_ne_bytes());
    wire::put(message, at + 8, key.as_bytes());
    Ok(())
}

fn key(fields: &Fields<'_>, at: usize) -> Result<String, CsError> {
    let length = u16::from_ne_bytes([fields.u8(at)?, fields.u8(at + 1)?]);
    let bytes = fields.bytes(at + 8, usize::from(length).min(KEY_MAX + 1))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

impl Cmap {
    /// Connects to the engine's main map.
    pub fn connect() -> Result<Cmap, CsError> {
        Cmap::connect_to(Map::Icmap)
    }

    /// Connects to a map.
    pub fn connect_to(map: Map) -> Result<Cmap, CsError> {
        let mut connection = Connection::connect("cmap")?;
        let mut request = wire::request(SET_CURRENT_MAP, 24);
        wire::put_u32(&mut request, 16, u32::from(map == Map::Stats));
        connection.call(&[&request])?;
        Ok(Cmap { connection, next_instance: 1 })
    }

    client_methods!();

    /// The value of a key.
    pub fn get(&mut self, key: &str) -> Result<Value, CsError> {
        // The value may grow between asking for its size and asking for it.
        let mut last = CsError::LIBRARY;
        for _ in 0..5 {
            let (length, _) = self.get_sized(key, 0)?;
            match self.get_sized(key, length) {
                Ok((_, Some(value))) => return Ok(value),
                Ok((_, None)) => return Err(CsError::LIBRARY),
                Err(error) => last = error,
            }
            if last != CsError::INVALID_PARAM {
                break;
            }
        }
        Err(last)
    }

    /// The value of a key whose size is known, or only its size when 0 is asked for.
    fn get_sized(&mut self, key: &str, size: u64) -> Result<(u64, Option<Value>), CsError> {
        let mut request = wire::request(GET, 288);
        put_key(&mut request, 16, key)?;
        wire::put_u64(&mut request, 280, size);
        let response = Fields(self.connection.call(&[&request])?);
        let length = response.u64(24)?;
        let kind = ValueType::from_wire(response.u8(32)?).ok_or(CsError::LIBRARY)?;
        if size == 0 && length != 0 {
            return Ok((length, None));
        }
        let bytes = response.bytes(40, usize::try_from(length).map_err(|_| CsError::LIBRARY)?)?;
        Ok((length, Some(Value::decode(kind, bytes).ok_or(CsError::LIBRARY)?)))
    }

    /// A string, `None` when the key does not exist or is no string.
    pub fn get_str(&mut self, key: &str) -> Result<Option<String>, CsError> {
        match self.get(key) {
            Ok(Value::Str(text)) => Ok(Some(text)),
            Ok(_) | Err(CsError::NOT_EXIST) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A u32, `None` when the key does not exist or is no u32.
    pub fn get_u32(&mut self, key: &str) -> Result<Option<u32>, CsError> {
        match self.get(key) {
            Ok(Value::U32(number)) => Ok(Some(number)),
            Ok(_) | Err(CsError::NOT_EXIST) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Sets a key, making it if need be.
    pub fn set(&mut self, key: &str, value: &Value) -> Result<(), CsError> {
        let bytes = value.encode();
        let mut request = wire::request(SET, 296);
        put_key(&mut request, 16, key)?;
        wire::put_u64(&mut request, 280, bytes.len() as u64);
        request[288] = value.kind() as u8;
        request.extend_from_slice(&bytes);
        wire::set_size(&mut request);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &str) -> Result<(), CsError> {
        let mut request = wire::request(DELETE, 280);
        put_key(&mut request, 16, key)?;
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Adds to an integer.
    pub fn adjust(&mut self, key: &str, step: i32) -> Result<(), CsError> {
        let mut request = wire::request(ADJUST_INT, 288);
        put_key(&mut request, 16, key)?;
        wire::put_i32(&mut request, 280, step);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// The keys with a prefix (empty: all), in the map's order, with their types.
    pub fn keys(&mut self, prefix: &str) -> Result<Vec<(String, ValueType)>, CsError> {
        Ok(self.keys_sized(prefix)?.into_iter().map(|(key, kind, _)| (key, kind)).collect())
    }

    fn keys_sized(&mut self, prefix: &str) -> Result<Vec<(String, ValueType, u64)>, CsError> {
        let mut request = wire::request(ITER_INIT, 280);
        put_key(&mut request, 16, prefix)?;
        let handle = Fields(self.connection.call(&[&request])?).u64(24)?;
        let mut keys = Vec::new();
        let end = loop {
            let mut request = wire::request(ITER_NEXT, 24);
            wire::put_u64(&mut request, 16, handle);
            match self.connection.call(&[&request]) {
                Ok(response) => {
                    let response = Fields(response);
                    let kind = ValueType::from_wire(response.u8(296)?).ok_or(CsError::LIBRARY)?;
                    keys.push((key(&response, 24)?, kind, response.u64(288)?));
                }
                Err(error) => break error,
            }
        };
        let mut request = wire::request(ITER_FINALIZE, 24);
        wire::put_u64(&mut request, 16, handle);
        self.connection.call(&[&request])?;
        if end == CsError::NO_SECTIONS { Ok(keys) } else { Err(end) }
    }

    /// The keys with a prefix (empty: all) and their values. Keys that vanish meanwhile are
    /// left out.
    pub fn entries(&mut self, prefix: &str) -> Result<Vec<(String, Value)>, CsError> {
        let mut entries = Vec::new();
        for (key, _, length) in self.keys_sized(prefix)? {
            let value = match self.get_sized(&key, length) {
                Ok((_, Some(value))) => Ok(value),
                Ok((_, None)) | Err(CsError::INVALID_PARAM) => self.get(&key),
                Err(error) => Err(error),
            };
            match value {
                Ok(value) => entries.push((key, value)),
                Err(CsError::NOT_EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(entries)
    }

    /// Asks for notifications: `track` is a sum of `TRACK_*` bits. The result's instance is what
    /// [`Notification::instance`] says.
    pub fn track(&mut self, key: &str, track: u32) -> Result<TrackId, CsError> {
        let instance = self.next_instance;
        self.next_instance += 1;
        let mut request = wire::request(TRACK_ADD, 296);
        put_key(&mut request, 16, key)?;
        wire::put_u32(&mut request, 280, track);
        wire::put_u64(&mut request, 288, instance);
        let handle = Fields(self.connection.call(&[&request])?).u64(24)?;
        Ok(TrackId { handle, instance })
    }

    /// Ends a tracker. Notifications on their way may still come.
    pub fn untrack(&mut self, track: TrackId) -> Result<(), CsError> {
        let mut request = wire::request(TRACK_DELETE, 24);
        wire::put_u64(&mut request, 16, track.handle);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// The next notification, if one is there.
    pub fn dispatch(&mut self) -> Result<Option<Notification>, CsError> {
        match self.connection.event()? {
            Some(bytes) => parse(bytes).map(Some),
            None => Ok(None),
        }
    }
}

impl TrackId {
    /// The number in its notifications.
    pub fn instance(self) -> u64 {
        self.instance
    }
}

fn parse(bytes: &[u8]) -> Result<Notification, CsError> {
    if wire::id(bytes) != Some(EVENT_NOTIFY) {
        return Err(CsError::LIBRARY);
    }
    let event = Fields(bytes);
    let length = |at| Ok::<_, CsError>(usize::try_from(event.u64(at)?).unwrap_or(usize::MAX));
    let (new_length, old_length) = (length(320)?, length(328)?);
    let value = |kind: u8, at: usize, length: usize| -> Result<Option<Value>, CsError> {
        let bytes = event.bytes(at, length)?;
        // Type 0: there is none; a counter's old value may be left out.
        Ok(ValueType::from_wire(kind).and_then(|kind| Value::decode(kind, bytes)))
    };
    let new = value(event.u8(304)?, 336, new_length)?;
    Ok(Notification {
        instance: event.u64(24)?,
        key: key(&event, 32)?,
        event: event.u32(296)?,
        new,
        old: value(event.u8(312)?, 336 + new_length, old_length)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notifications_are_read_and_short_ones_refused() {
        let mut bytes = wire::response(EVENT_NOTIFY, 1, 336);
        wire::put_u64(&mut bytes, 24, 5);
        put_key(&mut bytes, 32, "a.b").unwrap();
        wire::put_u32(&mut bytes, 296, TRACK_MODIFY_EVENTS);
        bytes[304] = ValueType::Str as u8;
        bytes[312] = ValueType::U16 as u8;
        wire::put_u64(&mut bytes, 320, 3);
        wire::put_u64(&mut bytes, 328, 2);
        bytes.extend_from_slice(b"hi\0\x01\x02");
        let expected = Notification {
            instance: 5,
            key: "a.b".to_owned(),
            event: 2,
            new: Some(Value::Str("hi".to_owned())),
            old: Some(Value::U16(0x0201)),
        };
        assert_eq!(parse(&bytes), Ok(expected));
        for length in 0..bytes.len() {
            assert!(parse(&bytes[..length]).is_err());
        }
        wire::put_u64(&mut bytes, 320, u64::MAX);
        assert!(parse(&bytes).is_err());
    }

    #[test]
    fn every_type_has_a_name_and_a_number() {
        for number in 1..=12 {
            let kind = ValueType::from_wire(number).unwrap();
            assert_eq!(kind as u8, number);
            assert_eq!(ValueType::parse(kind.as_str()), Some(kind));
        }
        assert_eq!((ValueType::from_wire(0), ValueType::from_wire(13)), (None, None));
    }
}
