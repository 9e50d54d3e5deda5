//! As much of D-Bus as it takes to talk to systemd: messages of a few types, and a blocking
//! connection to a bus.
//!
//! Source: the D-Bus specification (dbus.freedesktop.org), "Message Protocol" and "Authentication".

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

/// The largest message read; replies of systemd's are a few hundred bytes.
const MESSAGE_MAX: usize = 1 << 20;
/// Where the system bus is unless `DBUS_SYSTEM_BUS_ADDRESS` says.
const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// A value in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `s`.
    Str(String),
    /// `o`.
    Path(String),
    /// `u`, and what else is a number of at most 32 bits.
    U32(u32),
    /// `x`, `t`, `d`: 64 bits, as they are.
    U64(u64),
    /// `g`.
    Signature(String),
    /// `v`.
    Variant(Box<Value>),
    /// `a…`.
    Array(Vec<Value>),
    /// `(…)` and `{…}`.
    Struct(Vec<Value>),
}

impl Value {
    /// The text of a string or path, also inside of a variant.
    pub fn text(&self) -> Option<&str> {
        match self {
            Value::Str(text) | Value::Path(text) | Value::Signature(text) => Some(text),
            Value::Variant(inner) => inner.text(),
            _ => None,
        }
    }

    fn signature(&self) -> String {
        match self {
            Value::Str(_) => "s".into(),
            Value::Path(_) => "o".into(),
            Value::U32(_) => "u".into(),
            Value::U64(_) => "t".into(),
            Value::Signature(_) => "g".into(),
            Value::Variant(_) => "v".into(),
            Value::Array(items) => {
                format!("a{}", items.first().map_or_else(|| "s".into(), Value::signature))
            }
            Value::Struct(items) => {
                format!("({})", items.iter().map(Value::signature).collect::<String>())
            }
        }
    }
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method is called.
    Call,
    /// It returned.
    Return,
    /// It failed.
    Error,
    /// Something happened.
    Signal,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// The sender's number of it.
    pub serial: u32,
    /// The object.
    pub path: String,
    /// The interface.
    pub interface: String,
    /// The method or signal.
    pub member: String,
    /// The error's name.
    pub error: String,
    /// What it answers.
    pub reply_to: u32,
    /// For whom it is.
    pub destination: String,
    /// Whose it is.
    pub sender: String,
    /// Arguments.
    pub body: Vec<Value>,
}

impl Message {
    /// An empty message.
    pub fn new(kind: Kind) -> Message {
        Message {
            kind,
            serial: 1,
            path: String::new(),
            interface: String::new(),
            member: String::new(),
            error: String::new(),
            reply_to: 0,
            destination: String::new(),
            sender: String::new(),
            body: Vec::new(),
        }
    }

    /// The bytes of it.
    pub fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        for value in &self.body {
            write_value(&mut body, value);
        }
        let kind = match self.kind {
            Kind::Call => 1,
            Kind::Return => 2,
            Kind::Error => 3,
            Kind::Signal => 4,
        };
        let mut bytes = vec![b'l', kind, 0, 1];
        write_u32(&mut bytes, body.len() as u32);
        write_u32(&mut bytes, self.serial);
        let signature: String = self.body.iter().map(Value::signature).collect();
        let mut fields = Vec::new();
        for (code, value, wanted) in [
            (1, Value::Path(self.path.clone()), !self.path.is_empty()),
            (2, Value::Str(self.interface.clone()), !self.interface.is_empty()),
            (3, Value::Str(self.member.clone()), !self.member.is_empty()),
            (4, Value::Str(self.error.clone()), !self.error.is_empty()),
            (5, Value::U32(self.reply_to), self.reply_to != 0),
            (6, Value::Str(self.destination.clone()), !self.destination.is_empty()),
            (7, Value::Str(self.sender.clone()), !self.sender.is_empty()),
            (8, Value::Signature(signature.clone()), !signature.is_empty()),
        ] {
            if wanted {
                // Offsets count from the array's beginning, which is a multiple of 8.
                pad(&mut fields, 8);
                fields.push(code);
                write_value(&mut fields, &Value::Variant(Box::new(value)));
            }
        }
        write_u32(&mut bytes, fields.len() as u32);
        bytes.extend(fields);
        pad(&mut bytes, 8);
        bytes.extend(body);
        bytes
    }

    /// How many bytes the message has that begins with these 16; `None`: it is none.
    pub fn length(head: &[u8; 16]) -> Option<usize> {
        let big = match head[0] {
            b'l' => false,
            b'B' => true,
            _ => return None,
        };
        let number = |at: usize| {
            let word = [head[at], head[at + 1], head[at + 2], head[at + 3]];
            if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }
        };
        let (body, fields) = (number(4) as usize, number(12) as usize);
        let total = 16usize.checked_add(fields)?.next_multiple_of(8).checked_add(body)?;
        (head[3] == 1 && total <= MESSAGE_MAX).then_some(total)
    }

    /// Reads a whole message.
    pub fn decode(bytes: &[u8]) -> Option<Message> {
        let kind = match bytes.get(1)? {
            1 => Kind::Call,
            2 => Kind::Return,
            3 => Kind::Error,
            4 => Kind::Signal,
            _ => return None,
        };
        let mut reader = Reader { bytes, at: 4, big: *bytes.first()? == b'B' };
        reader.u32()?;
        let mut message = Message { serial: reader.u32()?, ..Message::new(kind) };
        let Value::Array(fields) = reader.value(&mut Types(b"a(yv)"), 0)? else { return None };
        let mut signature = String::new();
        for field in fields {
            let Value::Struct(pair) = field else { return None };
            let [Value::U32(code), Value::Variant(value)] = pair.as_slice() else { return None };
            let text = value.text().unwrap_or_default().to_owned();
            match code {
                1 => message.path = text,
                2 => message.interface = text,
                3 => message.member = text,
                4 => message.error = text,
                5 => {
                    if let Value::U32(serial) = **value {
                        message.reply_to = serial;
                    }
                }
                6 => message.destination = text,
                7 => message.sender = text,
                8 => signature = text,
                _ => {}
            }
        }
        reader.align(8)?;
        // Offsets of the body count from its own beginning, which is a multiple of 8, too.
        let mut types = Types(signature.as_bytes());
        while !types.0.is_empty() {
            message.body.push(reader.value(&mut types, 0)?);
        }
        Some(message)
    }
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

fn write_u32(bytes: &mut Vec<u8>, number: u32) {
    pad(bytes, 4);
    bytes.extend(number.to_le_bytes());
}

fn write_value(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Str(text) | Value::Path(text) => {
            write_u32(bytes, text.len() as u32);
            bytes.extend(text.bytes());
            bytes.push(0);
        }
        Value::U32(number) => write_u32(bytes, *number),
        Value::U64(number) => {
            pad(bytes, 8);
            bytes.extend(number.to_le_bytes());
        }
        Value::Signature(text) => {
            bytes.push(text.len() as u8);
            bytes.extend(text.bytes());
            bytes.push(0);
        }
        Value::Variant(inner) => {
            write_value(bytes, &Value::Signature(inner.signature()));
            write_value(bytes, inner);
        }
        Value::Array(items) => {
            write_u32(bytes, 0);
            let length_at = bytes.len() - 4;
            if matches!(items.first(), Some(Value::Struct(_) | Value::U64(_))) {
                pad(bytes, 8);
            }
            let begin = bytes.len();
            for item in items {
                write_value(bytes, item);
            }
            let length = (bytes.len() - begin) as u32;
            bytes[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
        }
        Value::Struct(items) => {
            pad(bytes, 8);
            for item in items {
                write_value(bytes, item);
            }
        }
    }
}

/// Types still to be read.
struct Types<'a>(&'a [u8]);

impl Types<'_> {
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    big: bool,
}

/// How deep values may be nested.
const DEPTH_MAX: usize = 32;

impl Reader<'_> {
    fn align(&mut self, to: usize) -> Option<()> {
        self.at = self.at.next_multiple_of(to);
        (self.at <= self.bytes.len()).then_some(())
    }

    fn take(&mut self, n: usize) -> Option<&[u8]> {
        let end = self.at.checked_add(n)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        self.align(4)?;
        let big = self.big;
        let word: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
    }

    fn text(&mut self, n: usize) -> Option<String> {
        let text = std::str::from_utf8(self.take(n)?).ok()?.to_owned();
        self.take(1)?;
        Some(text)
    }

    fn value(&mut self, types: &mut Types<'_>, depth: usize) -> Option<Value> {
        if depth > DEPTH_MAX {
            return None;
        }
        Some(match types.next()? {
            b's' => {
                let n = self.u32()? as usize;
                Value::Str(self.text(n)?)
            }
            b'o' => {
                let n = self.u32()? as usize;
                Value::Path(self.text(n)?)
            }
            b'g' => {
                let n = usize::from(*self.take(1)?.first()?);
                Value::Signature(self.text(n)?)
            }
            b'y' => Value::U32(u32::from(*self.take(1)?.first()?)),
            b'n' | b'q' => {
                self.align(2)?;
                let big = self.big;
                let word: [u8; 2] = self.take(2)?.try_into().ok()?;
                let number = if big { u16::from_be_bytes(word) } else { u16::from_le_bytes(word) };
                Value::U32(u32::from(number))
            }
            b'b' | b'i' | b'u' | b'h' => Value::U32(self.u32()?),
            b'x' | b't' | b'd' => {
                self.align(8)?;
                let big = self.big;
                let word: [u8; 8] = self.take(8)?.try_into().ok()?;
                Value::U64(if big { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) })
            }
            b'v' => {
                let n = usize::from(*self.take(1)?.first()?);
                let signature = self.text(n)?;
                let inner = self.value(&mut Types(signature.as_bytes()), depth + 1)?;
                Value::Variant(Box::new(inner))
            }
            b'a' => {
                let n = self.u32()? as usize;
                if matches!(types.0.first()?, b'(' | b'{' | b'x' | b't' | b'd') {
                    self.align(8)?;
                }
                let end = self.at.checked_add(n).filter(|end| *end <= self.bytes.len())?;
                let mut items = Vec::new();
                let element = types.0;
                skip_type(types, depth + 1)?;
                while self.at < end {
                    let before = self.at;
                    items.push(self.value(&mut Types(element), depth + 1)?);
                    if self.at == before {
                        return None;
                    }
                }
                Value::Array(items)
            }
            open @ (b'(' | b'{') => {
                self.align(8)?;
                let close = if open == b'(' { b')' } else { b'}' };
                let mut items = Vec::new();
                while *types.0.first()? != close {
                    items.push(self.value(types, depth + 1)?);
                }
                types.next()?;
                Value::Struct(items)
            }
            _ => return None,
        })
    }
}

fn skip_type(types: &mut Types<'_>, depth: usize) -> Option<()> {
    if depth > DEPTH_MAX {
        return None;
    }
    match types.next()? {
        b'a' => skip_type(types, depth + 1),
        open @ (b'(' | b'{') => {
            let close = if open == b'(' { b')' } else { b'}' };
            while *types.0.first()? != close {
                skip_type(types, depth + 1)?;
            }
            types.next().map(|_| ())
        }
        _ => Some(()),
    }
}

/// Reads the next message of a stream; `None` at its end.
///
/// # Errors
/// The stream's own; bytes that are no message.
pub fn read_message(stream: &mut impl Read) -> io::Result<Option<Message>> {
    let mut head = [0u8; 16];
    match stream.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let odd = || io::Error::new(io::ErrorKind::InvalidData, "no D-Bus message");
    let length = Message::length(&head).ok_or_else(odd)?;
    let mut bytes = head.to_vec();
    bytes.resize(length, 0);
    stream.read_exact(&mut bytes[head.len()..])?;
    Message::decode(&bytes).map(Some).ok_or_else(odd)
}

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The bus went, or there is none.
    #[error("No DBus connection: {0}")]
    Io(#[from] io::Error),
    /// The other side says no: the error's name, and its words.
    #[error("{1} ({0})")]
    Refused(String, String),
}

/// A connection to a bus.
#[derive(Debug)]
pub struct Bus {
    stream: UnixStream,
    serial: u32,
    /// Signals that came while a reply was awaited.
    signals: Vec<Message>,
}

impl Bus {
    /// Connects to the system's bus.
    ///
    /// # Errors
    /// There is none, or it does not let us in.
    pub fn system() -> Result<Bus, CallError> {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS");
        Bus::connect(address.as_deref().unwrap_or(SYSTEM_BUS))
    }

    fn connect(addresses: &str) -> Result<Bus, CallError> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "no address that can be used");
        for address in addresses.split(';') {
            match open(address) {
                Ok(stream) => {
                    let mut bus = Bus { stream, serial: 0, signals: Vec::new() };
                    bus.authenticate()?;
                    bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", None, "Hello", &[])?;
                    return Ok(bus);
                }
                Err(error) => last = error,
            }
        }
        Err(last.into())
    }

    fn authenticate(&mut self) -> io::Result<()> {
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        self.stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") && line.len() < 512 {
            let mut byte = [0];
            self.stream.read_exact(&mut byte)?;
            line.extend(byte);
        }
        if !line.starts_with(b"OK ") {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "the bus refused us"));
        }
        self.stream.write_all(b"BEGIN\r\n")
    }

    /// Calls a method and waits for its answer.
    ///
    /// # Errors
    /// The bus went; the method failed.
    pub fn call(
        &mut self,
        to: &str,
        path: &str,
        interface: Option<&str>,
        method: &str,
        args: &[Value],
    ) -> Result<Vec<Value>, CallError> {
        self.serial += 1;
        let message = Message {
            serial: self.serial,
            path: path.to_owned(),
            interface: interface.unwrap_or(to).to_owned(),
            member: method.to_owned(),
            destination: to.to_owned(),
            body: args.to_vec(),
            ..Message::new(Kind::Call)
        };
        self.stream.write_all(&message.encode())?;
        loop {
            let answer = self.read()?;
            match answer.kind {
                Kind::Signal => self.signals.push(answer),
                Kind::Return if answer.reply_to == self.serial => return Ok(answer.body),
                Kind::Error if answer.reply_to == self.serial => {
                    let words = answer.body.first().and_then(Value::text).unwrap_or_default();
                    return Err(CallError::Refused(answer.error, words.to_owned()));
                }
                _ => {}
            }
        }
    }

    /// Waits for the next signal.
    ///
    /// # Errors
    /// The bus went.
    pub fn signal(&mut self) -> io::Result<Message> {
        if !self.signals.is_empty() {
            return Ok(self.signals.remove(0));
        }
        loop {
            let message = self.read()?;
            if message.kind == Kind::Signal {
                return Ok(message);
            }
        }
    }

    fn read(&mut self) -> io::Result<Message> {
        read_message(&mut self.stream)?
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotConnected, "the bus has gone"))
    }
}

fn open(address: &str) -> io::Result<UnixStream> {
    let unusable = || io::Error::new(io::ErrorKind::Unsupported, address.to_owned());
    let keys = address.strip_prefix("unix:").ok_or_else(unusable)?;
    for key in keys.split(',') {
        if let Some(path) = key.strip_prefix("path=") {
            return UnixStream::connect(path);
        }
        if let Some(name) = key.strip_prefix("abstract=") {
            return UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?);
        }
    }
    Err(unusable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_wire() {
        let message = Message {
            serial: 7,
            path: "/a/b".into(),
            interface: "x.y".into(),
            member: "M".into(),
            destination: ":1.2".into(),
            body: vec![
                Value::U32(3),
                Value::Str("text".into()),
                Value::Variant(Box::new(Value::Path("/p".into()))),
                Value::Array(vec![Value::Struct(vec![Value::U64(1), Value::Str("é".into())])]),
                Value::Array(vec![Value::Str("a".into()), Value::Str("bc".into())]),
                Value::U32(9),
            ],
            ..Message::new(Kind::Signal)
        };
        let bytes = message.encode();
        let head: [u8; 16] = bytes[..16].try_into().unwrap();
        assert_eq!(Message::length(&head), Some(bytes.len()));
        assert_eq!(Message::decode(&bytes).as_ref(), Some(&message));
        assert_eq!(read_message(&mut bytes.as_slice()).unwrap(), Some(message));
    }

    #[test]
    fn damaged_messages_never_panic() {
        let good = Message {
            member: "M".into(),
            body: vec![Value::Array(vec![Value::Struct(vec![Value::Variant(Box::new(
                Value::Str("x".into()),
            ))])])],
            ..Message::new(Kind::Return)
        }
        .encode();
        let mut seed = 1u32;
        for _ in 0..20_000 {
            let mut bytes = good.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bytes.len();
                bytes[at] = (seed >> 24) as u8;
            }
            bytes.truncate(1 + (seed >> 4) as usize % bytes.len());
            let _ = Message::decode(&bytes);
            let _ = read_message(&mut bytes.as_slice());
        }
    }
}
