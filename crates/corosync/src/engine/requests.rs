//! Clients: which requests are let in, and where they go.
//!
//! Source: `spec/corosync-services.md` §2.1, `spec/libqb-ipc.md` §9.

use std::time::Duration;

use base::Time;
use base::log::Priority;

use super::table::services_prefix;
use super::{ConnId, Ctx, Engine, Output, SERVICES, ServiceId, Surroundings, ctx, old_names};
use crate::cmap::{Change, Value};
use crate::wire::{CsError, Fields, REQUEST_HEADER};

/// Whether the ring can take what a request may multicast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// There is room.
    Room,
    /// Not now.
    Full,
    /// Never: it is bigger than the ring's queue.
    TooBig,
}

/// How old the copies under old names may get.
const OLD_NAMES_AGE: Duration = Duration::from_millis(100);

/// CPG's multicast, the one request without an answer.
const CPG_MCAST: i32 = 2;

/// How many requests each service has, and which of them need no room in the ring.
fn requests_of(service: ServiceId) -> (i32, &'static [i32]) {
    match service {
        ServiceId::Cmap => (10, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ServiceId::Cfg => (12, &[5, 6, 8, 9]),
        ServiceId::Cpg => (13, &[3, 4, 5, 6, 7]),
        ServiceId::Quorum => (5, &[0, 1, 2, 3, 4]),
        ServiceId::Votequorum => (10, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ServiceId::Pload | ServiceId::Mon | ServiceId::Wd => (0, &[]),
    }
}

impl Engine {
    /// Whether credentials may connect.
    pub fn is_permitted(&self, uid: u32, gid: u32) -> bool {
        let allows = |key: String| self.map.get_u8(&key) == Some(1);
        uid == 0
            || gid == 0
            || allows(format!("uidgid.uid.{uid}"))
            || allows(format!("uidgid.config.uid.{uid}"))
            || allows(format!("uidgid.gid.{gid}"))
            || allows(format!("uidgid.config.gid.{gid}"))
    }

    /// A client connected; the shell has checked [`Engine::is_permitted`] and
    /// [`Engine::is_ipc_allowed`].
    pub fn handle_connect(&mut self, conn: ConnId, service: ServiceId) {
        self.conns.insert(conn, service);
        match service {
            ServiceId::Cpg => self.cpg.connect(conn),
            ServiceId::Quorum => self.quorum.connect(conn),
            _ => {}
        }
    }

    /// A client is gone.
    pub fn handle_disconnect(&mut self, now: Time, conn: ConnId) {
        match self.conns.remove(&conn) {
            Some(ServiceId::Cmap) => self.cmap.disconnect(conn),
            Some(ServiceId::Cfg) => self.cfg.disconnect(ctx!(self, now), conn),
            Some(ServiceId::Cpg) => self.cpg.disconnect(ctx!(self, now), conn),
            Some(ServiceId::Quorum) => self.quorum.disconnect(conn),
            Some(ServiceId::Votequorum) => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.disconnect(conn);
                }
            }
            Some(ServiceId::Pload | ServiceId::Mon | ServiceId::Wd) | None => {}
        }
        self.settle(now);
    }

    /// A request. `admission` is the ring's answer for a message of this size.
    pub fn handle_request(
        &mut self,
        now: Time,
        around: &dyn Surroundings,
        conn: ConnId,
        bytes: &[u8],
        admission: Admission,
    ) {
        let Some(service) = self.conns.get(&conn).copied() else { return };
        if let Err((error, text)) = self.admit(service, bytes, admission) {
            self.refuse(now, service, conn, bytes, error, text);
            return;
        }
        let message = Fields::new(bytes);
        let before = self.out.len();
        match service {
            ServiceId::Cmap => {
                self.publish_counters(now, around);
                self.cmap.request(ctx!(self, now), around, conn, &message);
            }
            ServiceId::Cfg => self.cfg.request(ctx!(self, now), around, conn, &message),
            ServiceId::Cpg => self.cpg.request(ctx!(self, now), conn, &message),
            ServiceId::Quorum => self.quorum.request(ctx!(self, now), conn, &message),
            ServiceId::Votequorum => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.request(ctx!(self, now), conn, &message);
                }
            }
            ServiceId::Pload | ServiceId::Mon | ServiceId::Wd => {}
        }
        if self.map.has_changes() {
            // Trackers hear of a change before the one who made it gets its answer.
            let answers = self.out.split_off(before);
            self.settle(now);
            self.out.extend(answers);
        }
        self.settle(now);
    }

    /// A multicast whose message lies in memory shared with the client.
    pub fn handle_zero_copy(
        &mut self,
        now: Time,
        conn: ConnId,
        bytes: &[u8],
        admission: Admission,
    ) {
        let error = match admission {
            Admission::Room if !self.is_syncing => {
                self.cpg.mcast(ctx!(self, now), conn, &Fields::new(bytes))
            }
            Admission::Room | Admission::Full => CsError::TryAgain,
            Admission::TooBig => CsError::InvalidParam,
        };
        ctx!(self, now).reply_status(conn, 2, error);
        self.settle(now);
    }

    fn admit(
        &self,
        service: ServiceId,
        bytes: &[u8],
        admission: Admission,
    ) -> Result<(), (CsError, &'static str)> {
        let invalid = Err((CsError::InvalidParam, "Invalid argument"));
        if bytes.len() < REQUEST_HEADER {
            return invalid;
        }
        let id = Fields::new(bytes).i32(0).unwrap_or(-1);
        let (count, free) = requests_of(service);
        if !(0..count).contains(&id) || admission == Admission::TooBig {
            return invalid;
        }
        if free.contains(&id) {
            Ok(())
        } else if admission == Admission::Full {
            Err((CsError::TryAgain, "No buffer space available"))
        } else if self.is_syncing {
            Err((CsError::TryAgain, "Operation now in progress"))
        } else {
            Ok(())
        }
    }

    fn refuse(
        &mut self,
        now: Time,
        service: ServiceId,
        conn: ConnId,
        bytes: &[u8],
        error: CsError,
        text: &'static str,
    ) {
        let id = Fields::new(bytes).i32(0).unwrap_or(-1);
        if service == ServiceId::Cpg && id == CPG_MCAST {
            ctx!(self, now).log(Priority::Warning, "MAIN", || {
                format!("*** cs_ipcs_msg_process() ({}:{id} - 1) {text}!", service as usize)
            });
        } else {
            ctx!(self, now).reply_status(conn, 0, error);
        }
    }

    /// A key of the statistics map came or went with a client.
    pub fn handle_stats_key(&mut self, now: Time, key: &str, value: &Value, is_new: bool) {
        let (old, new) = (Some(value.clone()), Some(value.clone()));
        let change = Change {
            key: key.to_owned(),
            old: old.filter(|_| !is_new),
            new: new.filter(|_| is_new),
        };
        self.cmap.notify_stats(ctx!(self, now), &change);
    }

    /// The logs were opened again, or not.
    pub fn handle_logs_reopened(&mut self, now: Time, conn: ConnId, worked: bool) {
        let ctx: &mut Ctx<'_> = ctx!(self, now);
        self.cfg.logs_reopened(ctx, conn, worked);
    }

    /// Brings the message counters into the map. They change with every message, the map's
    /// readers are rare: so it is done when one of them asks.
    fn publish_counters(&mut self, now: Time, around: &dyn Surroundings) {
        let tracked = self.cmap.is_tracked("runtime.");
        let loaded: Vec<_> = SERVICES.iter().filter(|info| self.is_loaded(info.id)).collect();
        for info in loaded {
            let base = services_prefix(info);
            for function in 0..usize::from(info.functions) {
                for (word, counts) in [("tx", &self.counters.tx), ("rx", &self.counters.rx)] {
                    let count = counts[info.id as usize].get(function).copied().unwrap_or(0);
                    self.map.put(&format!("{base}.{function}.{word}"), Value::U64(count));
                }
            }
        }
        let is_listed = self.map.get("nodelist.local_node_pos").is_some();
        let is_fresh = self.old_names_at.is_some_and(|at| now.since(at) < OLD_NAMES_AGE);
        if !is_listed && !is_fresh {
            self.old_names_at = Some(now);
            old_names::publish(&mut self.map, &around.stats());
        }
        if !tracked {
            // Nobody tracks these keys; other changes cannot be pending between two inputs.
            self.map.take_changes();
        }
    }
}

impl Engine {
    /// The shell's own answer to a request it handled itself (zero copy buffers).
    pub fn answer(conn: ConnId, id: i32, error: CsError) -> Output {
        let message = crate::wire::Message::response(id, crate::wire::RESPONSE_HEADER, error);
        Output::Reply { conn, bytes: message.into_bytes() }
    }
}
