//! Syslog's local socket, without ever waiting for it.

use super::wallclock::WallClock;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, PoisonError};

const SOCKET: &str = "/dev/log";

/// A syslog facility.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facility(u8);

impl Facility {
    /// What daemons use by default.
    pub const DAEMON: Facility = Facility(3);

    /// The facility of a configured word: `daemon`, `local0`, …, in any letter case.
    pub fn parse(word: &str) -> Option<Facility> {
        const NAMES: [(&str, u8); 20] = [
            ("kern", 0),
            ("user", 1),
            ("mail", 2),
            ("daemon", 3),
            ("auth", 4),
            ("syslog", 5),
            ("lpr", 6),
            ("news", 7),
            ("uucp", 8),
            ("cron", 9),
            ("authpriv", 10),
            ("ftp", 11),
            ("local0", 16),
            ("local1", 17),
            ("local2", 18),
            ("local3", 19),
            ("local4", 20),
            ("local5", 21),
            ("local6", 22),
            ("local7", 23),
        ];
        NAMES
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(word))
            .map(|(_, code)| Facility(*code))
    }
}

/// The connection to the log daemon, made when first needed and again when it broke.
pub(crate) struct Syslog {
    socket: Mutex<Option<UnixDatagram>>,
}

impl Syslog {
    pub(crate) fn new() -> Syslog {
        Syslog { socket: Mutex::new(None) }
    }

    /// Sends one line. It is lost when nobody listens or the listener is behind: a cluster does
    /// not wait for its log.
    pub(crate) fn send(
        &self,
        facility: Facility,
        severity: u8,
        ident: &str,
        now: WallClock,
        text: &str,
    ) {
        let priority = u32::from(facility.0) * 8 + u32::from(severity);
        let pid = std::process::id();
        let line = format!("<{priority}>{} {ident}[{pid}]: {text}", now.syslog());
        let mut socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..2 {
            if socket.is_none() {
                *socket = connect();
            }
            let Some(connected) = &*socket else { return };
            match connected.send(line.as_bytes()) {
                Ok(_) => return,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                // The log daemon was restarted.
                Err(_) => *socket = None,
            }
        }
    }
}

fn connect() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.connect(SOCKET).ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// Single lines to syslog under a name of their own, for programs that log nothing else.
pub struct SyslogLine {
    ident: String,
    facility: Facility,
    syslog: Syslog,
}

impl SyslogLine {
    /// Lines of this program under this facility.
    pub fn new(ident: &str, facility: Facility) -> SyslogLine {
        SyslogLine { ident: ident.to_owned(), facility, syslog: Syslog::new() }
    }

    /// Sends one line. It is lost when nobody listens.
    pub fn send(&self, priority: base::log::Priority, text: &str) {
        // Syslog has nothing below debug.
        let severity = (priority as u8).min(7);
        self.syslog.send(self.facility, severity, &self.ident, super::wallclock::now(), text);
    }
}
