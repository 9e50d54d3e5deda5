//! The gate: who comes in, what is asked of them, and how much of everything there may be.
//!
//! Bytes and the time go in; what is to be written, asked, closed or logged comes out. Requests of
//! those inside are handed out one at a time ([`Gate::next_request`]), and not while a client
//! leaves its answers unread, so that nobody can make the daemon pile them up.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use base::Time;
use base::log::Priority;
use pacemaker_client::cib::remote::Password;
use pacemaker_client::remote::frame::{Decoder, HEADER_LEN, encode};
use xml::Element;

/// The largest message of a stranger: a login with the longest name and password there are.
const LOGIN_LEN_MAX: usize = 4096;
/// How long a stranger may take to log in.
const LOGIN_TIME: Duration = Duration::from_secs(10);
/// How long the judgement of a password may take. Systems delay the refusal of a wrong one.
const CHECK_TIME: Duration = Duration::from_secs(30);
/// Strangers at a time, and how many of them from one address.
const STRANGERS_MAX: usize = 64;
const STRANGERS_OF_ADDRESS_MAX: usize = 16;
/// Passwords judged at a time.
const CHECKS_MAX: usize = 4;
/// Clients at a time.
const CLIENTS_MAX: usize = 500;
/// Strangers that may come at once, and how many more each second. An agreement on TLS costs the
/// daemon milliseconds that its other clients want.
const ARRIVALS_AT_ONCE: u32 = 64;
const ARRIVALS_PER_SECOND: u32 = 32;
/// Lines about strangers that are logged at once, and how many more each second: they are what a
/// flood is made of.
const LINES_AT_ONCE: u32 = 100;
const LINES_PER_SECOND: u32 = 2;
/// Unread bytes from which on a client's requests have to wait.
const UNREAD_HIGH: usize = 1024 * 1024;
/// Unread bytes with which a client is sent away: it follows changes and does not read of them.
const UNREAD_MAX: usize = 64 * 1024 * 1024;

/// What the gate wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Find out whether the password is right, and call [`Gate::checked`].
    Check {
        /// The connection.
        conn: u64,
        /// The user it wants to be.
        user: String,
        /// What it gave as the password.
        password: Password,
    },
    /// A stranger became a client.
    Admitted {
        /// The connection.
        conn: u64,
        /// The token it is known by from now on.
        uuid: String,
        /// The user it is.
        user: String,
    },
    /// Close the connection; if it was a client, it is gone.
    Close {
        /// The connection.
        conn: u64,
        /// Whether it had been let in.
        was_client: bool,
    },
    /// Something to log.
    Note(Priority, String),
}

/// How the judgement of a password ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is right, and the account may be used.
    Right,
    /// It is not.
    Wrong,
    /// Nobody could be asked.
    Unable,
}

#[derive(Debug)]
enum State {
    /// TLS is agreed on, or the login is being sent.
    Stranger,
    /// The login waits until others were judged.
    Waiting { user: String, password: Password },
    /// The password is being judged.
    Checking { user: String },
    /// Inside.
    Client,
}

#[derive(Debug)]
struct Conn {
    uuid: String,
    address: IpAddr,
    state: State,
    deadline: Option<Time>,
    decoder: Decoder,
    /// Bytes came since the decoder last had nothing to give.
    fresh: bool,
    /// What is to be written; a header and its body are pieces of their own, because upstream's
    /// clients want them in TLS records of their own.
    out: VecDeque<Vec<u8>>,
    /// Bytes of the first piece that are written.
    written: usize,
    unread: usize,
    sent: u64,
}

impl Conn {
    /// Whether a request of it may be looked for.
    fn is_ready(&self) -> bool {
        matches!(self.state, State::Client) && self.fresh && self.unread < UNREAD_HIGH
    }
}

/// Something that may happen so often at once, and so much more often each second.
#[derive(Debug)]
struct Budget {
    most: u32,
    per_second: u32,
    /// How much is left, in thousandths.
    left: u64,
    /// When that was.
    then: Option<Time>,
}

impl Budget {
    fn new(most: u32, per_second: u32) -> Budget {
        Budget { most, per_second, left: u64::from(most) * 1000, then: None }
    }

    /// Whether it may happen now; then it does.
    fn take(&mut self, now: Time) -> bool {
        // Whole milliseconds only, so that many small steps do not lose what they are worth.
        let millis = self.then.map_or(0, |then| now.since(then).as_millis());
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        if millis > 0 || self.then.is_none() {
            let gained = millis.saturating_mul(u64::from(self.per_second));
            self.left = self.left.saturating_add(gained).min(u64::from(self.most) * 1000);
            self.then = Some(now);
        }
        match self.left.checked_sub(1000) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}

/// All connections.
#[derive(Debug)]
pub struct Gate {
    conns: BTreeMap<u64, Conn>,
    /// Whether a user may administer the cluster at all.
    may_enter: fn(&str) -> bool,
    waiting: VecDeque<u64>,
    /// The connection whose request was handed out last; the others are before it.
    last_served: u64,
    arrivals: Budget,
    lines: Budget,
    n_untold: u64,
    out: VecDeque<Output>,
}

/// A stranger's words, fit for a log.
fn printable(text: &str) -> String {
    text.chars().take(64).flat_map(char::escape_debug).collect()
}

impl Gate {
    /// A gate without anybody. `may_enter` says which users may come in with their password.
    pub fn new(may_enter: fn(&str) -> bool) -> Gate {
        Gate {
            conns: BTreeMap::new(),
            may_enter,
            waiting: VecDeque::new(),
            last_served: 0,
            arrivals: Budget::new(ARRIVALS_AT_ONCE, ARRIVALS_PER_SECOND),
            lines: Budget::new(LINES_AT_ONCE, LINES_PER_SECOND),
            n_untold: 0,
            out: VecDeque::new(),
        }
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    fn note(&mut self, priority: Priority, text: String) {
        self.out.push_back(Output::Note(priority, text));
    }

    /// Logs something about a stranger, unless there was too much of that.
    fn tell(&mut self, now: Time, priority: Priority, text: String) {
        if !self.lines.take(now) {
            self.n_untold += 1;
            return;
        }
        let n_untold = std::mem::take(&mut self.n_untold);
        if n_untold > 0 {
            self.note(Priority::Warning, format!("{n_untold} lines like the next were left out"));
        }
        self.note(priority, text);
    }

    /// Somebody connected. False: there are too many already, close it.
    pub fn accept(&mut self, now: Time, conn: u64, uuid: String, address: IpAddr) -> bool {
        let strangers = || self.conns.values().filter(|conn| !matches!(conn.state, State::Client));
        let n_strangers = strangers().count();
        let n_from_there = strangers().filter(|other| other.address == address).count();
        let n_clients = self.conns.len() - n_strangers;
        if n_strangers >= STRANGERS_MAX
            || n_from_there >= STRANGERS_OF_ADDRESS_MAX
            || n_clients >= CLIENTS_MAX
            || !self.arrivals.take(now)
        {
            let text = format!(
                "Refusing remote CIB client from {address}: there are {n_clients}, and \
                 {n_strangers} pending authentication ({n_from_there} from there)"
            );
            self.tell(now, Priority::Warning, text);
            return false;
        }
        let text = format!("Remote CIB client pending authentication | {address} id: {uuid}");
        self.tell(now, Priority::Info, text);
        let state = Conn {
            uuid,
            address,
            state: State::Stranger,
            deadline: Some(now + LOGIN_TIME),
            decoder: Decoder::strict(LOGIN_LEN_MAX),
            fresh: false,
            out: VecDeque::new(),
            written: 0,
            unread: 0,
            sent: 0,
        };
        self.conns.insert(conn, state);
        true
    }

    /// Whether more bytes of this connection are welcome.
    pub fn wants_bytes(&self, conn: u64) -> bool {
        self.conns.get(&conn).is_some_and(|conn| match conn.state {
            State::Stranger => true,
            State::Waiting { .. } | State::Checking { .. } => false,
            // What is held already comes first.
            State::Client => conn.unread < UNREAD_HIGH && !conn.fresh,
        })
    }

    /// Bytes came.
    pub fn bytes(&mut self, now: Time, number: u64, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        conn.decoder.push(bytes);
        conn.fresh = true;
        if matches!(conn.state, State::Stranger) {
            self.listen_to_stranger(now, number);
        }
    }

    fn listen_to_stranger(&mut self, now: Time, number: u64) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        let text = match conn.decoder.next() {
            Ok(Some(text)) => text,
            Ok(None) => {
                conn.fresh = false;
                return;
            }
            Err(error) => {
                return self.failed(now, number, &error.to_string());
            }
        };
        let login = xml::parse(&text).ok().filter(|login| {
            login.name() == "cib_command" && login.get("op") == Some("authenticate")
        });
        let given = |name: &str| {
            let value = login.as_ref()?.get(name)?;
            (!value.is_empty() && !value.contains('\0')).then(|| value.to_owned())
        };
        let (Some(user), Some(password)) = (given("user"), given("password")) else {
            return self.failed(now, number, "missing auth credentials");
        };
        if !(self.may_enter)(&user) {
            let why = format!("user '{}' is not in the group haclient", printable(&user));
            return self.failed(now, number, &why);
        }
        conn.state = State::Waiting { user, password: Password::new(password) };
        conn.deadline = Some(now + CHECK_TIME);
        self.waiting.push_back(number);
        self.judge_next(now);
    }

    /// Has as many passwords judged as may be at a time.
    fn judge_next(&mut self, now: Time) {
        let judged =
            self.conns.values().filter(|conn| matches!(conn.state, State::Checking { .. }));
        let mut free = CHECKS_MAX.saturating_sub(judged.count());
        while free > 0
            && let Some(number) = self.waiting.pop_front()
        {
            let Some(conn) = self.conns.get_mut(&number) else { continue };
            if let State::Waiting { user, password } = &conn.state {
                let (user, password) = (user.clone(), password.clone());
                conn.state = State::Checking { user: user.clone() };
                conn.deadline = Some(now + CHECK_TIME);
                self.out.push_back(Output::Check { conn: number, user, password });
                free -= 1;
            }
        }
    }

    /// A password was judged.
    pub fn checked(&mut self, now: Time, number: u64, verdict: Verdict) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        let State::Checking { user } = &conn.state else { return };
        let (user, address, uuid) = (user.clone(), conn.address, conn.uuid.clone());
        match verdict {
            Verdict::Right => {
                conn.state = State::Client;
                conn.deadline = None;
                conn.decoder.trust();
                let welcome = Element::new("cib_result")
                    .with("cib_op", "register")
                    .with("cib_clientid", uuid.as_str());
                self.note(
                    Priority::Notice,
                    format!(
                        "Remote CIB client connection accepted | {address} user: {} id: {uuid}",
                        printable(&user)
                    ),
                );
                self.out.push_back(Output::Admitted { conn: number, uuid, user });
                self.send(number, &welcome);
            }
            Verdict::Wrong | Verdict::Unable => {
                let why = format!("authentication of user '{}' failed", printable(&user));
                self.failed(now, number, &why);
            }
        }
        self.judge_next(now);
    }

    /// Whether [`next_request`](Self::next_request) has something to look at.
    pub fn has_request(&self) -> bool {
        self.conns.values().any(Conn::is_ready)
    }

    /// The next request of a client, in turn.
    pub fn next_request(&mut self) -> Option<(u64, Element)> {
        loop {
            let after = self.conns.range(self.last_served.saturating_add(1)..);
            let number = *after.chain(&self.conns).find(|(_, conn)| conn.is_ready())?.0;
            self.last_served = number;
            let conn = self.conns.get_mut(&number)?;
            let problem = match conn.decoder.next() {
                Ok(Some(text)) => match xml::parse(&text) {
                    Ok(request) => return Some((number, request)),
                    Err(error) => error.to_string(),
                },
                Ok(None) => {
                    conn.fresh = false;
                    continue;
                }
                Err(error) => error.to_string(),
            };
            let uuid = conn.uuid.clone();
            self.note(Priority::Warning, format!("Remote CIB client {uuid}: {problem}"));
            self.close(number);
        }
    }

    /// Something for a client.
    pub fn send(&mut self, number: u64, message: &Element) {
        let Some(conn) = self.conns.get_mut(&number) else { return };
        conn.sent += 1;
        let mut header = encode(conn.sent, &message.to_text());
        let body = header.split_off(HEADER_LEN.min(header.len()));
        conn.unread += header.len() + body.len();
        conn.out.extend([header, body]);
        // One answer may be as large as the document is; a heap of anything may not.
        if conn.unread > UNREAD_MAX && conn.out.len() > 2 {
            let text = format!(
                "Evicting remote CIB client {} due to {} bytes that it did not read",
                conn.uuid, conn.unread
            );
            self.note(Priority::Warning, text);
            self.close(number);
        }
    }

    /// What is to be written next on this connection.
    pub fn to_write(&self, conn: u64) -> Option<&[u8]> {
        let conn = self.conns.get(&conn)?;
        conn.out.front()?.get(conn.written..)
    }

    /// That much of it was.
    pub fn wrote(&mut self, conn: u64, n: usize) {
        let Some(conn) = self.conns.get_mut(&conn) else { return };
        conn.written += n;
        conn.unread = conn.unread.saturating_sub(n);
        if conn.out.front().is_some_and(|piece| piece.len() <= conn.written) {
            conn.out.pop_front();
            conn.written = 0;
        }
    }

    /// Ends a connection.
    pub fn close(&mut self, number: u64) {
        if let Some(conn) = self.conns.remove(&number) {
            let was_client = matches!(conn.state, State::Client);
            self.out.push_back(Output::Close { conn: number, was_client });
        }
    }

    /// A connection cannot go on.
    pub fn failed(&mut self, now: Time, number: u64, why: &str) {
        if let Some(conn) = self.conns.get(&number) {
            let text = format!("Remote CIB client from {}: {why}", conn.address);
            match conn.state {
                // That tools break off is everyday life.
                State::Client => self.note(Priority::Info, text),
                _ => self.tell(now, Priority::Error, text),
            }
        }
        self.lost(now, number);
    }

    /// The peer is gone.
    pub fn lost(&mut self, now: Time, number: u64) {
        self.close(number);
        self.judge_next(now);
    }

    /// When [`timed_out`](Self::timed_out) is to be called.
    pub fn next_deadline(&self) -> Option<Time> {
        self.conns.values().filter_map(|conn| conn.deadline).min()
    }

    /// Sends those away whose time is over.
    pub fn timed_out(&mut self, now: Time) {
        let late: Vec<(u64, IpAddr)> = self
            .conns
            .iter()
            .filter(|(_, conn)| conn.deadline.is_some_and(|deadline| deadline <= now))
            .map(|(number, conn)| (*number, conn.address))
            .collect();
        for (number, address) in &late {
            let text = format!("Remote client authentication timed out | {address}");
            self.tell(now, Priority::Error, text);
            self.lost(now, *number);
        }
    }
}
