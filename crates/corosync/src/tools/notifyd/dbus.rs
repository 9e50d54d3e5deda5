//! Signals on the system's D-Bus: connect, say hello, send. No library is needed for so little.
//!
//! Source: the D-Bus specification (wire protocol, EXTERNAL authentication);
//! `spec/corosync-conf-and-tools.md` §6.6.

use std::io::{self, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Duration;

use super::event::{Event, link_word, quorum_word};

const DEFAULT_ADDRESS: &str = "unix:path=/run/dbus/system_bus_socket";
const CALL: u8 = 1;
const SIGNAL: u8 = 4;

/// A connection to the bus.
#[derive(Debug)]
pub(super) struct Bus {
    stream: UnixStream,
    serial: u32,
}

/// A value in a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Arg {
    Text(String),
    Number(u32),
}

impl Bus {
    /// Connects to the system bus.
    pub(super) fn connect() -> io::Result<Bus> {
        let address = std::env::var("DBUS_SYSTEM_BUS_ADDRESS");
        let address = address.unwrap_or_else(|_| DEFAULT_ADDRESS.to_owned());
        let mut last = io::Error::other("no usable bus address");
        for one in address.split(';') {
            match open(one) {
                Ok(stream) => return Bus::greet(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn greet(mut stream: UnixStream) -> io::Result<Bus> {
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.set_write_timeout(Some(Duration::from_secs(5)))?;
        let uid = rustix::process::geteuid().as_raw().to_string();
        let hex: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
        stream.write_all(format!("\0AUTH EXTERNAL {hex}\r\n").as_bytes())?;
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\r\n") && answer.len() < 512 {
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
        }
        if !answer.starts_with(b"OK ") {
            return Err(io::Error::other("the bus does not let us in"));
        }
        stream.write_all(b"BEGIN\r\n")?;
        let mut bus = Bus { stream, serial: 0 };
        let hello = header(
            CALL,
            bus.next(),
            &[
                (1, 'o', "/org/freedesktop/DBus"),
                (2, 's', "org.freedesktop.DBus"),
                (3, 's', "Hello"),
                (6, 's', "org.freedesktop.DBus"),
            ],
            &[],
        );
        bus.stream.write_all(&hello)?;
        Ok(bus)
    }

    fn next(&mut self) -> u32 {
        self.serial = self.serial.wrapping_add(1).max(1);
        self.serial
    }

    /// Sends the signal of an event.
    pub(super) fn send(&mut self, event: &Event, host: &str, me: u32) -> io::Result<()> {
        let (member, args) = signal(event, host, me);
        let serial = self.next();
        let bytes = message(serial, member, &args);
        self.stream.write_all(&bytes)?;
        // What the bus answers is of no interest, but must not pile up.
        self.stream.set_nonblocking(true)?;
        let mut unread = [0; 4096];
        while matches!(self.stream.read(&mut unread), Ok(count) if count > 0) {}
        self.stream.set_nonblocking(false)
    }
}

fn open(address: &str) -> io::Result<UnixStream> {
    let unsupported = || io::Error::other(format!("bus address `{address}` is not supported"));
    let options = address.strip_prefix("unix:").ok_or_else(unsupported)?;
    let option = |name: &str| {
        options.split(',').find_map(|pair| pair.split_once('=').filter(|(key, _)| *key == name))
    };
    if let Some((_, path)) = option("path") {
        UnixStream::connect(path)
    } else if let Some((_, name)) = option("abstract") {
        UnixStream::connect_addr(&SocketAddr::from_abstract_name(name)?)
    } else {
        Err(unsupported())
    }
}

/// The signal that tells of an event.
fn signal(event: &Event, host: &str, me: u32) -> (&'static str, Vec<Arg>) {
    let text = |value: &str| Arg::Text(value.to_owned());
    match event {
        Event::Node { name, id, ip, state } => {
            ("NodeStateChange", vec![text(name), Arg::Number(*id), text(ip), text(state)])
        }
        Event::Quorum { is_quorate } => {
            ("QuorumStateChange", vec![text(host), Arg::Number(me), text(quorum_word(*is_quorate))])
        }
        Event::Application { name, is_connected } => {
            let word = if *is_connected { "connected" } else { "disconnected" };
            ("ConnectionStateChange", vec![text(host), Arg::Number(me), text(name), text(word)])
        }
        // Under this name, as the original does.
        Event::Link { id, link, is_connected } => (
            "QuorumStateChange",
            vec![
                text(host),
                Arg::Number(me),
                Arg::Number(*id),
                Arg::Number(*link),
                text(link_word(*is_connected)),
            ],
        ),
    }
}

fn message(serial: u32, member: &str, args: &[Arg]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut signature = String::new();
    for arg in args {
        match arg {
            Arg::Text(text) => {
                signature.push('s');
                put_text(&mut body, text);
            }
            Arg::Number(number) => {
                signature.push('u');
                pad(&mut body, 4);
                body.extend(number.to_le_bytes());
            }
        }
    }
    let fields = [
        (1, 'o', "/org/corosync"),
        (2, 's', "org.corosync"),
        (3, 's', member),
        (8, 'g', &signature),
    ];
    let mut bytes = header(SIGNAL, serial, &fields, &body);
    bytes.extend(body);
    bytes
}

fn header(kind: u8, serial: u32, fields: &[(u8, char, &str)], body: &[u8]) -> Vec<u8> {
    let mut list = Vec::new();
    for (code, kind, value) in fields {
        pad(&mut list, 8);
        list.extend([*code, 1, *kind as u8, 0]);
        if *kind == 'g' {
            list.push(value.len() as u8);
            list.extend(value.as_bytes());
            list.push(0);
        } else {
            put_text(&mut list, value);
        }
    }
    let mut bytes = vec![b'l', kind, 0, 1];
    bytes.extend((body.len() as u32).to_le_bytes());
    bytes.extend(serial.to_le_bytes());
    bytes.extend((list.len() as u32).to_le_bytes());
    bytes.extend(list);
    pad(&mut bytes, 8);
    bytes
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    // A NUL would end it for the reader.
    let text = text.replace('\0', "");
    pad(bytes, 4);
    bytes.extend((text.len() as u32).to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.push(0);
}

fn pad(bytes: &mut Vec<u8>, to: usize) {
    bytes.resize(bytes.len().next_multiple_of(to), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_aligned_and_complete() {
        let quorum = Event::Quorum { is_quorate: true };
        let (member, args) = signal(&quorum, "node", 7);
        let bytes = message(2, member, &args);
        assert_eq!(&bytes[..4], [b'l', SIGNAL, 0, 1]);
        let body = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let fields = u32::from_le_bytes(bytes[12..16].try_into().unwrap()) as usize;
        assert_eq!(bytes.len(), (16 + fields).next_multiple_of(8) + body);
        let tail = &bytes[bytes.len() - body..];
        assert_eq!(tail, b"\x04\0\0\0node\0\0\0\0\x07\0\0\0\x07\0\0\0quorate\0");
    }

    #[test]
    fn addresses_of_other_kinds_are_refused() {
        assert!(open("tcp:host=x").is_err());
        assert!(open("unix:guid=1").is_err());
        assert!(open("unix:path=/nonexistent/bus").is_err());
    }
}
