//! Clients: who may connect, what they ask, and what waits until the ring has room.

use std::cell::RefCell;

use base::Time;
use qb::ipc::ServerEvent;
use qb::mainloop::now;

use super::daemon::Daemon;
use super::ipc::Ipc;
use super::stats::View;
use super::zero_copy;
use crate::cmap::Value;
use crate::engine::{Admission, ConnId, Engine, ServiceId};
use crate::wire::{CsError, Fields};

/// CPG's multicast request.
const CPG_MCAST: i32 = 2;
/// Its request with a part of a large message; where the kind of part is, and that of the last.
const CPG_PART: i32 = 12;
const PART_KIND: usize = 48;
const PART_LAST: u32 = 3;

impl Daemon {
    /// Takes the requests of a service's clients; with `hurry` only as many as the ring can take
    /// at once.
    pub(super) fn serve(&mut self, index: usize, hurry: bool) {
        let mut request = std::mem::take(&mut self.request);
        while let Some(endpoint) = self.ipc.endpoints.get_mut(index) {
            let service = endpoint.service;
            let Some(event) = endpoint.server.next(&mut request) else { break };
            match event {
                ServerEvent::Connect { conn, credentials } => {
                    self.connect(index, service, conn, credentials);
                }
                ServerEvent::Request { conn } => {
                    self.request(service, Ipc::conn(index, conn), &request);
                    if hurry
                        && self.srp.has_worthwhile_backlog()
                        && let Some(endpoint) = self.ipc.endpoints.get_mut(index)
                    {
                        endpoint.server.break_off();
                        break;
                    }
                }
                ServerEvent::Disconnect { conn } => self.disconnect(Ipc::conn(index, conn)),
            }
        }
        request.clear();
        // One big message must not hold its memory for ever.
        request.shrink_to(64 * 1024);
        self.request = request;
    }

    fn connect(
        &mut self,
        index: usize,
        service: ServiceId,
        own: qb::ipc::ConnId,
        credentials: qb::ipc::Credentials,
    ) {
        let errno = if !self.engine.is_ipc_allowed() {
            libc::EAGAIN
        } else if !self.ipc.descriptors.admit(std::io::stderr()) {
            libc::EMFILE
        } else if !self.engine.is_permitted(credentials.uid, credentials.gid) {
            base::error!(
                sub: "MAIN",
                "Denied connection attempt from {}:{}", credentials.uid, credentials.gid
            );
            libc::EACCES
        } else {
            0
        };
        let Some(endpoint) = self.ipc.endpoints.get_mut(index) else { return };
        if errno != 0 {
            endpoint.server.reject(own, errno);
            return;
        }
        endpoint.server.accept(own);
        let conn = Ipc::conn(index, own);
        self.ipc.welcome(conn, credentials.pid);
        self.engine.handle_connect(conn, service);
        self.tell_stats(conn, true);
    }

    /// Tells those who watch the statistics that a client came or is about to go.
    fn tell_stats(&mut self, conn: ConnId, is_new: bool) {
        let Some(base) = self.ipc.stats_base(conn) else { return };
        let Some(client) = self.ipc.clients.get(&conn) else { return };
        let name = Value::text(client.procname.clone());
        let now = now();
        self.engine.handle_stats_key(now, &format!("{base}.procname"), &name, is_new);
        self.drain_engine(now);
    }

    fn disconnect(&mut self, conn: ConnId) {
        let now = now();
        self.parked.retain(|(owner, _)| *owner != conn);
        self.buffers.disconnect(conn);
        self.tell_stats(conn, false);
        self.ipc.forget(conn);
        self.engine.handle_disconnect(now, conn);
        self.drain_engine(now);
        if self.ipc.descriptors.is_short() {
            self.ipc.descriptors.admit(std::io::stderr());
        }
    }

    pub(super) fn admission(&self, size: usize) -> Admission {
        match self.srp.admit(size) {
            totem::Admission::Room(_) if self.overflow.is_empty() => Admission::Room,
            totem::Admission::Room(_) | totem::Admission::Full => Admission::Full,
            totem::Admission::TooBig => Admission::TooBig,
        }
    }

    fn request(&mut self, service: ServiceId, conn: ConnId, bytes: &[u8]) {
        let now = now();
        let id = Fields::new(bytes).i32(0).unwrap_or(-1);
        if service == ServiceId::Cpg && id == CPG_MCAST {
            let full = self.admission(bytes.len()) == Admission::Full;
            if full || self.engine.is_syncing() || !self.parked.is_empty() {
                // There is no answer that could say "later": it waits here, and its client stops.
                self.parked.push_back((conn, bytes.to_vec()));
                self.ipc.hold(conn);
                return;
            }
        }
        if service == ServiceId::Cpg && id == CPG_PART {
            let is_last = Fields::new(bytes).u32(PART_KIND) == Some(PART_LAST);
            self.ipc.note_part(conn, is_last);
        }
        if service == ServiceId::Cpg && (zero_copy::ALLOC..=zero_copy::EXECUTE).contains(&id) {
            self.zero_copy(now, conn, id, bytes);
        } else {
            self.hand_over(now, conn, bytes);
        }
        self.drain_engine(now);
    }

    pub(super) fn hand_over(&mut self, now: Time, conn: ConnId, bytes: &[u8]) {
        let admission = self.admission(bytes.len());
        if let Some(client) = self.ipc.clients.get_mut(&conn) {
            match admission {
                Admission::Room => {}
                Admission::Full => client.overload += 1,
                Admission::TooBig => client.invalid_request += 1,
            }
        }
        self.with_view(now, |engine, view| {
            engine.handle_request(now, view, conn, bytes, admission);
        });
    }

    /// Looks at the statistics that clients track.
    pub(super) fn poll_stats(&mut self, now: Time) {
        self.with_view(now, |engine, view| engine.poll_stats(now, view));
    }

    /// Lets the engine do something with the statistics before it; clears what it wants cleared.
    fn with_view(&mut self, now: Time, act: impl FnOnce(&mut Engine, &View<'_>)) {
        let view = View {
            now,
            srp: &self.srp,
            config: &self.config,
            transport: &self.transport,
            ipc: &self.ipc,
            send_failures: self.send_failures,
            sched_misses: &self.sched_misses,
            cleared: RefCell::new(Vec::new()),
        };
        act(&mut self.engine, &view);
        for what in view.cleared.into_inner() {
            let is_all = what == "all";
            if what == "totem" || is_all {
                self.srp.clear_stats();
            }
            if what == "schedmiss" || is_all {
                self.sched_misses.clear();
            }
            if (what == "knet" || is_all)
                && let Some(knet) = self.transport.knet_mut()
            {
                knet.core_mut().clear_stats();
            }
        }
    }

    fn zero_copy(&mut self, now: Time, conn: ConnId, id: i32, bytes: &[u8]) {
        let message = Fields::new(bytes);
        let answer = match id {
            zero_copy::ALLOC => Engine::answer(conn, 0, self.buffers.alloc(conn, &message)),
            zero_copy::FREE => Engine::answer(conn, 0, self.buffers.free(conn, &message)),
            _ => match self.buffers.read(conn, &message) {
                Some(request) => {
                    let admission = self.admission(request.len());
                    self.engine.handle_zero_copy(now, conn, &request, admission);
                    return;
                }
                None => Engine::answer(conn, 2, CsError::InvalidParam),
            },
        };
        self.perform(now, answer);
    }
}
