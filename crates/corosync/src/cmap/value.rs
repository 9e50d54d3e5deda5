//! The twelve value types of the configuration map.
//!
//! Source: `spec/corosync-services.md` §7.1.

use std::borrow::Cow;
use std::fmt;

/// A value of the map.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Signed 8 bits.
    I8(i8),
    /// Unsigned 8 bits.
    U8(u8),
    /// Signed 16 bits.
    I16(i16),
    /// Unsigned 16 bits.
    U16(u16),
    /// Signed 32 bits.
    I32(i32),
    /// Unsigned 32 bits.
    U32(u32),
    /// Signed 64 bits.
    I64(i64),
    /// Unsigned 64 bits.
    U64(u64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// Text without its NUL. Not necessarily UTF-8: it is whatever the file or a client says.
    Str(Vec<u8>),
    /// Any bytes.
    Bin(Vec<u8>),
}

impl Value {
    /// The type's number on the wire, 1 to 12.
    pub fn type_code(&self) -> u8 {
        match self {
            Value::I8(_) => 1,
            Value::U8(_) => 2,
            Value::I16(_) => 3,
            Value::U16(_) => 4,
            Value::I32(_) => 5,
            Value::U32(_) => 6,
            Value::I64(_) => 7,
            Value::U64(_) => 8,
            Value::F32(_) => 9,
            Value::F64(_) => 10,
            Value::Str(_) => 11,
            Value::Bin(_) => 12,
        }
    }

    /// The bytes as clients see them; text ends in a NUL.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Value::I8(v) => v.to_ne_bytes().to_vec(),
            Value::U8(v) => v.to_ne_bytes().to_vec(),
            Value::I16(v) => v.to_ne_bytes().to_vec(),
            Value::U16(v) => v.to_ne_bytes().to_vec(),
            Value::I32(v) => v.to_ne_bytes().to_vec(),
            Value::U32(v) => v.to_ne_bytes().to_vec(),
            Value::I64(v) => v.to_ne_bytes().to_vec(),
            Value::U64(v) => v.to_ne_bytes().to_vec(),
            Value::F32(v) => v.to_ne_bytes().to_vec(),
            Value::F64(v) => v.to_ne_bytes().to_vec(),
            Value::Str(text) => {
                let mut bytes = text.clone();
                bytes.push(0);
                bytes
            }
            Value::Bin(bytes) => bytes.clone(),
        }
    }

    /// Reads a value as a client sends it: fixed-size types have exactly their length, text may
    /// lack its NUL. `None` when type and length do not fit.
    pub fn from_bytes(type_code: u8, bytes: &[u8]) -> Option<Value> {
        macro_rules! int {
            ($variant:ident, $type:ty) => {
                Value::$variant(<$type>::from_ne_bytes(bytes.try_into().ok()?))
            };
        }
        Some(match type_code {
            1 => int!(I8, i8),
            2 => int!(U8, u8),
            3 => int!(I16, i16),
            4 => int!(U16, u16),
            5 => int!(I32, i32),
            6 => int!(U32, u32),
            7 => int!(I64, i64),
            8 => int!(U64, u64),
            9 => int!(F32, f32),
            10 => int!(F64, f64),
            11 => {
                let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
                // A length beyond the text and its NUL is a mistake of the client.
                if bytes.len() > end + 1 {
                    return None;
                }
                Value::Str(bytes[..end].to_vec())
            }
            12 => Value::Bin(bytes.to_vec()),
            _ => return None,
        })
    }

    /// Text from a `&str`.
    pub fn text(text: impl Into<String>) -> Value {
        Value::Str(text.into().into_bytes())
    }

    /// The text of a `Str`, with replacement characters where it is no UTF-8.
    pub fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Str(text) => Some(String::from_utf8_lossy(text)),
            _ => None,
        }
    }

    /// The number of an unsigned integer type.
    pub fn as_unsigned(&self) -> Option<u64> {
        match self {
            Value::U8(v) => Some(u64::from(*v)),
            Value::U16(v) => Some(u64::from(*v)),
            Value::U32(v) => Some(u64::from(*v)),
            Value::U64(v) => Some(*v),
            _ => None,
        }
    }

    /// This integer plus `step`, wrapping around in its own width; `None` for other types.
    pub fn adjusted(&self, step: i32) -> Option<Value> {
        // Truncating casts are the wrap-around wanted here.
        Some(match self {
            Value::I8(v) => Value::I8(v.wrapping_add(step as i8)),
            Value::U8(v) => Value::U8(v.wrapping_add(step as u8)),
            Value::I16(v) => Value::I16(v.wrapping_add(step as i16)),
            Value::U16(v) => Value::U16(v.wrapping_add(step as u16)),
            Value::I32(v) => Value::I32(v.wrapping_add(step)),
            Value::U32(v) => Value::U32(v.wrapping_add(step as u32)),
            Value::I64(v) => Value::I64(v.wrapping_add(i64::from(step))),
            Value::U64(v) => Value::U64(v.wrapping_add(i64::from(step) as u64)),
            Value::F32(_) | Value::F64(_) | Value::Str(_) | Value::Bin(_) => return None,
        })
    }
}

/// Text as it is, numbers in decimal, other bytes in hexadecimal.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::I8(v) => v.fmt(f),
            Value::U8(v) => v.fmt(f),
            Value::I16(v) => v.fmt(f),
            Value::U16(v) => v.fmt(f),
            Value::I32(v) => v.fmt(f),
            Value::U32(v) => v.fmt(f),
            Value::I64(v) => v.fmt(f),
            Value::U64(v) => v.fmt(f),
            Value::F32(v) => v.fmt(f),
            Value::F64(v) => v.fmt(f),
            Value::Str(_) => f.write_str(&self.as_text().unwrap_or_default()),
            Value::Bin(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::text(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_survives_its_bytes() {
        for value in [
            Value::I8(-3),
            Value::U8(3),
            Value::I16(-300),
            Value::U16(300),
            Value::I32(-70_000),
            Value::U32(70_000),
            Value::I64(-5_000_000_000),
            Value::U64(5_000_000_000),
            Value::F32(1.5),
            Value::F64(-2.25),
            Value::text("on"),
            Value::Bin(vec![0, 1, 0]),
        ] {
            assert_eq!(Value::from_bytes(value.type_code(), &value.to_bytes()), Some(value));
        }
    }

    #[test]
    fn wrong_lengths_are_refused() {
        assert_eq!(Value::from_bytes(6, &[0; 3]), None);
        assert_eq!(Value::from_bytes(0, &[]), None);
        assert_eq!(Value::from_bytes(13, &[]), None);
        assert_eq!(Value::from_bytes(11, b"ab\0cd"), None);
        assert_eq!(Value::from_bytes(11, b"ab"), Some(Value::text("ab")));
    }

    #[test]
    fn adjusting_wraps_around() {
        assert_eq!(Value::U8(255).adjusted(2), Some(Value::U8(1)));
        assert_eq!(Value::U32(0).adjusted(-1), Some(Value::U32(u32::MAX)));
        assert_eq!(Value::text("1").adjusted(1), None);
    }
}
