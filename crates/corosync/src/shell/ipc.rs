//! The servers of the services, and the numbers of their clients.
//!
//! Source: `spec/libqb-ipc.md` §9, §11; `spec/corosync-services.md` §2.1.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::time::Duration;

use base::Time;

use qb::ipc::{Server, ServerConfig, Transport};
use qb::mainloop::{Interest, Loop, Token};

use super::descriptors::Descriptors;
use crate::engine::{ConnId, ServiceId};

/// Bits of the engine's connection number that are the server's own number.
const SERVER_SHIFT: u32 = 48;
/// Flow control: stop requests altogether / stop multicasts only.
const WORD_OPEN: u32 = 0;
const WORD_OFF: u32 = 2;
/// A client of process groups for which so many bytes wait may not multicast: it could fill its
/// own queue and be disconnected. It may again when so many are left.
const LAGGING: usize = 12 << 20;
const CAUGHT_UP: usize = 4 << 20;
/// From so many bytes on the whole ring is slowed down for it, as others send, too; with so many
/// as much as possible.
const BRAKE_FROM: usize = 16 << 20;
const BRAKE_FULL: usize = 48 << 20;
/// A client that took nothing for so long is not slow but stuck: the ring does not wait for it.
const STUCK: Duration = Duration::from_secs(2);
/// The longest the ring is stopped at a time.
const BRAKE_MAX: Duration = Duration::from_millis(500);

/// One service's server.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) service: ServiceId,
    pub(super) server: Server,
}

/// Counters of one client that libqb's server does not keep.
#[derive(Debug, Default, Clone)]
pub(super) struct ClientStats {
    pub(super) pid: u32,
    pub(super) invalid_request: u64,
    pub(super) overload: u64,
    pub(super) procname: String,
}

/// All servers.
#[derive(Debug)]
pub(super) struct Ipc {
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) clients: BTreeMap<ConnId, ClientStats>,
    transport: Transport,
    first_token: u64,
    is_closed: bool,
    /// Clients stopped because one of their messages waits for room.
    pub(super) held: BTreeSet<ConnId>,
    /// Clients that do not keep up with their events.
    lagging: BTreeMap<ConnId, Progress>,
    /// Clients that have sent the first part of a message and not the last.
    mid_message: BTreeSet<ConnId>,
    /// The last client that lagged has caught up: much memory is free.
    has_spare_memory: bool,
    pub(super) descriptors: Descriptors,
}

/// How far a client that lags has come.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    /// Events it has been given, and when that number changed.
    events: u64,
    at: Option<Time>,
}

impl Ipc {
    pub(super) fn new(qb_ipc_type: Option<&str>, first_token: u64) -> Ipc {
        let transport = match qb_ipc_type {
            Some("socket") => Transport::Socket,
            _ => Transport::Shm,
        };
        Ipc {
            endpoints: Vec::new(),
            clients: BTreeMap::new(),
            transport,
            first_token,
            is_closed: false,
            held: BTreeSet::new(),
            descriptors: Descriptors::default(),
            lagging: BTreeMap::new(),
            mid_message: BTreeSet::new(),
            has_spare_memory: false,
        }
    }

    /// Opens a service's socket.
    pub(super) fn open(
        &mut self,
        lp: &Loop,
        service: ServiceId,
        name: &'static str,
    ) -> io::Result<()> {
        let config = ServerConfig { transport: self.transport, ..ServerConfig::new(name) };
        let server = Server::bind(config)?;
        let token = Token(self.first_token + self.endpoints.len() as u64);
        lp.add(server.fd(), token, Interest::READ)?;
        self.endpoints.push(Endpoint { service, server });
        Ok(())
    }

    /// Which endpoint a token of the loop belongs to.
    pub(super) fn index_of(&self, token: Token) -> Option<usize> {
        let index = usize::try_from(token.0.checked_sub(self.first_token)?).ok()?;
        (index < self.endpoints.len()).then_some(index)
    }

    /// The engine's number of a client.
    pub(super) fn conn(index: usize, conn: qb::ipc::ConnId) -> ConnId {
        ConnId(((index as u64) << SERVER_SHIFT) | conn.0)
    }

    fn split(&mut self, conn: ConnId) -> Option<(&mut Endpoint, qb::ipc::ConnId)> {
        let index = usize::try_from(conn.0 >> SERVER_SHIFT).ok()?;
        let own = qb::ipc::ConnId(conn.0 & ((1 << SERVER_SHIFT) - 1));
        Some((self.endpoints.get_mut(index)?, own))
    }

    /// Sends an answer.
    pub(super) fn respond(&mut self, conn: ConnId, bytes: &[u8]) {
        if let Some((endpoint, own)) = self.split(conn) {
            // False means the client is gone; its disconnection will be reported.
            endpoint.server.respond(own, bytes);
        }
    }

    /// Sends an event.
    pub(super) fn event(&mut self, conn: ConnId, bytes: &[u8]) {
        let is_busy = self.mid_message.contains(&conn);
        let Some((endpoint, own)) = self.split(conn) else { return };
        endpoint.server.event(own, bytes);
        if endpoint.service == ServiceId::Cpg && endpoint.server.queued_bytes(own) > LAGGING {
            if !is_busy {
                endpoint.server.advise_flow_control(own, WORD_OFF);
            }
            self.lagging.entry(conn).or_default();
        }
    }

    /// Lets clients multicast again that have caught up with their events.
    fn welcome_back(&mut self) {
        if self.lagging.is_empty() {
            return;
        }
        let (held, word) = (&self.held, if self.is_closed { WORD_OFF } else { WORD_OPEN });
        let endpoints = &mut self.endpoints;
        self.lagging.retain(|conn, _| {
            let index = usize::try_from(conn.0 >> SERVER_SHIFT).unwrap_or(usize::MAX);
            let own = qb::ipc::ConnId(conn.0 & ((1 << SERVER_SHIFT) - 1));
            let Some(endpoint) = endpoints.get_mut(index) else { return false };
            let lags = endpoint.server.queued_bytes(own) > CAUGHT_UP;
            if !lags && !held.contains(conn) {
                endpoint.server.set_flow_control(own, word);
            }
            lags
        });
        self.has_spare_memory |= self.lagging.is_empty();
    }

    /// Whether clients that lagged have caught up since this was last asked.
    pub(super) fn take_spare_memory(&mut self) -> bool {
        std::mem::take(&mut self.has_spare_memory)
    }

    /// A part of a message came. Once begun it must be finished before its client reads again, so
    /// one that lags is not stopped in its midst.
    pub(super) fn note_part(&mut self, conn: ConnId, is_last: bool) {
        if is_last {
            self.mid_message.remove(&conn);
        } else {
            self.mid_message.insert(conn);
        }
        if !self.lagging.contains_key(&conn) || self.held.contains(&conn) {
            return;
        }
        let word = if self.is_closed { WORD_OFF } else { WORD_OPEN };
        if let Some((endpoint, own)) = self.split(conn) {
            if is_last {
                endpoint.server.advise_flow_control(own, WORD_OFF);
            } else {
                endpoint.server.set_flow_control(own, word);
            }
        }
    }

    /// A client is gone.
    pub(super) fn forget(&mut self, conn: ConnId) {
        self.clients.remove(&conn);
        self.held.remove(&conn);
        self.mid_message.remove(&conn);
    }

    /// How long the ring should stop at every round for the client that lags most.
    pub(super) fn brake(&mut self, now: Time) -> Duration {
        let mut most = 0;
        for (conn, progress) in &mut self.lagging {
            let index = usize::try_from(conn.0 >> SERVER_SHIFT).unwrap_or(usize::MAX);
            let own = qb::ipc::ConnId(conn.0 & ((1 << SERVER_SHIFT) - 1));
            let Some(endpoint) = self.endpoints.get(index) else { continue };
            let Some(stats) = endpoint.server.stats(own) else { continue };
            if progress.at.is_none() || progress.events != stats.events {
                *progress = Progress { events: stats.events, at: Some(now) };
            }
            if progress.at.is_some_and(|at| now.since(at) < STUCK) {
                most = most.max(stats.queued_bytes);
            }
        }
        brake_for(most)
    }

    /// Events that follow wake their clients only at [`pay_wakeups`](Self::pay_wakeups).
    pub(super) fn put_off_wakeups(&mut self) {
        for endpoint in &mut self.endpoints {
            endpoint.server.put_off_wakeups();
        }
    }

    /// Wakes the clients that got events.
    pub(super) fn pay_wakeups(&mut self) {
        self.welcome_back();
        for endpoint in &mut self.endpoints {
            endpoint.server.pay_wakeups();
        }
    }

    /// Where a client's statistics are: `stats.ipcs.serviceN.PID.CONN`.
    pub(super) fn stats_base(&self, conn: ConnId) -> Option<String> {
        let index = usize::try_from(conn.0 >> SERVER_SHIFT).ok()?;
        let service = self.endpoints.get(index)?.service as usize;
        let pid = self.clients.get(&conn)?.pid;
        Some(format!("stats.ipcs.service{service}.{pid}.{conn}"))
    }

    /// Stops or lets go the multicasts of all clients of process groups.
    pub(super) fn set_closed(&mut self, closed: bool) {
        if self.is_closed == closed {
            return;
        }
        self.is_closed = closed;
        self.apply_flow();
    }

    /// Stops one client until its message found room.
    pub(super) fn hold(&mut self, conn: ConnId) {
        self.held.insert(conn);
        if let Some((endpoint, own)) = self.split(conn) {
            endpoint.server.set_flow_control(own, WORD_OFF);
        }
    }

    /// Lets the stopped clients go, as far as the ring's state allows.
    pub(super) fn release_held(&mut self) {
        self.held.clear();
        self.apply_flow();
    }

    fn apply_flow(&mut self) {
        let word = if self.is_closed { WORD_OFF } else { WORD_OPEN };
        for (index, endpoint) in self.endpoints.iter_mut().enumerate() {
            if endpoint.service != ServiceId::Cpg {
                continue;
            }
            let conns: Vec<qb::ipc::ConnId> = endpoint.server.connections().collect();
            for own in conns {
                let conn = Self::conn(index, own);
                if self.held.contains(&conn) {
                    continue;
                }
                endpoint.server.set_flow_control(own, word);
                if self.lagging.contains_key(&conn) && !self.mid_message.contains(&conn) {
                    endpoint.server.advise_flow_control(own, WORD_OFF);
                }
            }
        }
    }

    /// The flow control of a client that just connected.
    pub(super) fn welcome(&mut self, conn: ConnId, pid: u32) {
        let stats = ClientStats { pid, procname: process_name(pid), ..ClientStats::default() };
        self.clients.insert(conn, stats);
        if !self.is_closed {
            return;
        }
        if let Some((endpoint, own)) = self.split(conn)
            && endpoint.service == ServiceId::Cpg
        {
            endpoint.server.set_flow_control(own, WORD_OFF);
        }
    }
}

/// The more waits, the longer.
fn brake_for(bytes: usize) -> Duration {
    let share = bytes.saturating_sub(BRAKE_FROM) as f64 / (BRAKE_FULL - BRAKE_FROM) as f64;
    BRAKE_MAX.mul_f64(share.min(1.0).powi(2))
}

/// A process's name, as `ps` shows it.
fn process_name(pid: u32) -> String {
    let name = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().chars().take(15).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_brake_grows_with_what_waits() {
        let brakes = [0, 8, 16, 28, 48, 64].map(|mib| brake_for(mib << 20).as_millis());
        assert_eq!(brakes, [0, 0, 0, 70, 500, 500]);
    }
}
