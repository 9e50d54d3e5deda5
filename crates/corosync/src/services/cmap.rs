//! Access to the configuration map for clients, and the agreement on one version of the
//! configuration among the nodes.
//!
//! Source: `spec/corosync-services.md` §7.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use base::log::Priority;
use base::{NodeId, Time};

use crate::cmap::{Change, Map, Value};
use crate::engine::{ConnId, Ctx, Output, ServiceId, Surroundings, exec_id};
use crate::wire::{CsError, Fields, Message};

const SUBSYS: &str = "CMAP";
const VERSION_KEY: &str = "totem.config_version";
/// How old the snapshot of the statistics may get.
const STATS_AGE_MS: u64 = 100;
/// How often single statistics that somebody tracks are looked at.
const STATS_POLL: Duration = Duration::from_millis(1500);
/// What of the statistics can be cleared, by writing to keys that are not listed.
const CLEARABLE: &[&str] = &["knet", "ipc", "totem", "schedmiss", "all"];

const TRACK_DELETE: i32 = 1;
const TRACK_MODIFY: i32 = 2;
const TRACK_ADD: i32 = 4;
const TRACK_PREFIX: i32 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    Config,
    Stats,
}

#[derive(Debug)]
struct Iterator {
    conn: ConnId,
    map: Which,
    prefix: String,
    last: Option<String>,
}

#[derive(Debug)]
struct Tracker {
    conn: ConnId,
    map: Which,
    key: String,
    kind: i32,
    instance: u64,
    /// The value of a single statistic when it was last looked at.
    seen: Option<Value>,
}

impl Tracker {
    /// Whether it must be asked for a change: statistics change without telling.
    fn is_polled(&self) -> bool {
        self.map == Which::Stats && self.kind & TRACK_PREFIX == 0 && self.kind & TRACK_MODIFY != 0
    }

    fn wants(&self, map: Which, change: &Change) -> bool {
        let event = event_of(change);
        let matches = if self.kind & TRACK_PREFIX != 0 || self.key.is_empty() {
            change.key.starts_with(&self.key)
        } else {
            change.key == self.key
        };
        self.map == map && matches && self.kind & event != 0
    }
}

fn event_of(change: &Change) -> i32 {
    match (&change.old, &change.new) {
        (_, None) => TRACK_DELETE,
        (None, Some(_)) => TRACK_ADD,
        (Some(_), Some(_)) => TRACK_MODIFY,
    }
}

/// The service.
#[derive(Debug, Default)]
pub struct Cmap {
    on_stats: Vec<ConnId>,
    iterators: BTreeMap<u64, Iterator>,
    trackers: BTreeMap<u64, Tracker>,
    next_handle: u64,
    stats: Map,
    stats_at: Option<Time>,
    polled_at: Time,
    my_version: u64,
    highest_version: u64,
    synced_once: bool,
}

impl Cmap {
    /// A client is gone.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.on_stats.retain(|other| *other != conn);
        self.iterators.retain(|_, iterator| iterator.conn != conn);
        self.trackers.retain(|_, tracker| tracker.conn != conn);
    }

    /// Whether somebody tracks keys below this prefix.
    pub fn is_tracked(&self, prefix: &str) -> bool {
        self.trackers.values().any(|t| t.key.starts_with(prefix) || prefix.starts_with(&t.key))
    }

    /// A change of the map: tells those who track it.
    pub fn notify(&self, ctx: &mut Ctx<'_>, change: &Change) {
        self.tell(ctx, Which::Config, change);
    }

    /// A key of the statistics came or went.
    pub fn notify_stats(&self, ctx: &mut Ctx<'_>, change: &Change) {
        self.tell(ctx, Which::Stats, change);
    }

    fn tell(&self, ctx: &mut Ctx<'_>, map: Which, change: &Change) {
        let mut told: Vec<(&u64, &Tracker)> =
            self.trackers.iter().filter(|(_, tracker)| tracker.wants(map, change)).collect();
        // The longest key first; trackers of one key: exact ones from the newest to the oldest,
        // then those of the prefix from the oldest to the newest.
        told.sort_by_key(|(handle, tracker)| {
            let is_prefix = tracker.kind & TRACK_PREFIX != 0;
            let age = if is_prefix { **handle } else { u64::MAX - **handle };
            (Reverse(tracker.key.len()), is_prefix, age)
        });
        for (_, tracker) in told {
            ctx.event(tracker.conn, notification(tracker.instance, change));
        }
    }

    /// A request of a client.
    pub fn request(
        &mut self,
        ctx: &mut Ctx<'_>,
        around: &dyn Surroundings,
        conn: ConnId,
        message: &Fields<'_>,
    ) {
        let id = message.i32(0).unwrap_or(-1);
        if self.which(conn) == Which::Stats {
            self.refresh_stats(ctx.now, around);
        }
        let answer = match id {
            0 => self.set(ctx, around, conn, message),
            1 => self.delete(ctx, conn, message),
            2 => self.get(ctx, conn, message),
            3 => self.adjust(ctx, conn, message),
            4 => self.iter_init(conn, message),
            5 => self.iter_next(ctx, conn, message),
            6 => self.iter_finalize(conn, message),
            7 => self.track_add(ctx.now, conn, message),
            8 => self.track_delete(conn, message),
            9 => self.select_map(conn, message),
            _ => None,
        };
        let failed = || Message::response(answer_id(id), answer_size(id), CsError::InvalidParam);
        ctx.reply(conn, answer.unwrap_or_else(failed));
    }

    /// When tracked statistics are to be looked at ([`Cmap::poll_stats`]).
    pub fn stats_deadline(&self) -> Option<Time> {
        let polls = self.trackers.values().any(Tracker::is_polled);
        polls.then(|| self.polled_at + STATS_POLL)
    }

    /// Looks whether tracked statistics changed. The event has the new value for both: the old
    /// one is not kept by upstream either.
    pub fn poll_stats(&mut self, ctx: &mut Ctx<'_>, around: &dyn Surroundings) {
        self.polled_at = ctx.now;
        self.refresh_stats(ctx.now, around);
        for tracker in self.trackers.values_mut().filter(|tracker| tracker.is_polled()) {
            let Some(now) = self.stats.get(&tracker.key) else { continue };
            if tracker.seen.as_ref() == Some(now) {
                continue;
            }
            tracker.seen = Some(now.clone());
            let value = Some(now.clone());
            let change = Change { key: tracker.key.clone(), old: value.clone(), new: value };
            ctx.event(tracker.conn, notification(tracker.instance, &change));
        }
    }

    fn which(&self, conn: ConnId) -> Which {
        if self.on_stats.contains(&conn) { Which::Stats } else { Which::Config }
    }

    fn refresh_stats(&mut self, now: Time, around: &dyn Surroundings) {
        let fresh = self.stats_at.is_some_and(|at| now.since(at).as_millis() < STATS_AGE_MS.into());
        if fresh {
            return;
        }
        self.stats_at = Some(now);
        self.stats = Map::new();
        for (key, value) in around.stats() {
            self.stats.put(&key, value);
        }
        self.stats.take_changes();
    }

    fn set(
        &mut self,
        ctx: &mut Ctx<'_>,
        around: &dyn Surroundings,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<Message> {
        let key = key_at(message, 16)?;
        let len = usize::try_from(message.u64(280)?).ok()?;
        let kind = message.u8(288)?;
        // The end of the message is the end of a text.
        let available = message.tail(296)?;
        let bytes =
            if kind == 11 && len > available.len() { available } else { available.get(..len)? };
        let error = if self.which(conn) == Which::Stats {
            match key.strip_prefix("stats.clear.") {
                Some(what) if CLEARABLE.iter().any(|known| what.starts_with(known)) => {
                    around.clear_stats(what);
                    self.stats_at = None;
                    CsError::Ok
                }
                Some(_) => CsError::NotSupported,
                None => CsError::Access,
            }
        } else if ctx.map.is_read_only(&key) {
            CsError::Access
        } else {
            match Value::from_bytes(kind, bytes) {
                Some(value) => ctx.map.set(&key, value).err().unwrap_or(CsError::Ok),
                None => CsError::InvalidParam,
            }
        };
        Some(status(0, error))
    }

    fn delete(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let key = key_at(message, 16)?;
        let error = if self.which(conn) == Which::Stats || ctx.map.is_read_only(&key) {
            CsError::Access
        } else {
            ctx.map.delete(&key).err().unwrap_or(CsError::Ok)
        };
        Some(status(1, error))
    }

    fn get(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let key = key_at(message, 16)?;
        let room = usize::try_from(message.u64(280)?).ok()?;
        let map: &Map = if self.which(conn) == Which::Stats { &self.stats } else { ctx.map };
        let Some(value) = map.get(&key) else {
            return Some(Message::response(2, 40, CsError::NotExist));
        };
        let bytes = value.to_bytes();
        if room != 0 && room < bytes.len() {
            return Some(Message::response(2, 40, CsError::InvalidParam));
        }
        // A client may claim any buffer; what it gets is bounded by what a value can be.
        let room = room.min(crate::cmap::VALUE_MAX + 1);
        let mut answer = Message::response(2, 40 + room, CsError::Ok);
        answer.put_u64(24, bytes.len() as u64);
        answer.put_u8(32, value.type_code());
        if room > 0 {
            answer.put(40, &bytes);
        }
        Some(answer)
    }

    fn adjust(&mut self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let key = key_at(message, 16)?;
        let step = message.i32(280)?;
        let error = if self.which(conn) == Which::Stats || ctx.map.is_read_only(&key) {
            CsError::Access
        } else {
            ctx.map.adjust(&key, step).err().unwrap_or(CsError::Ok)
        };
        Some(status(3, error))
    }

    fn handle(&mut self) -> u64 {
        self.next_handle += 1;
        self.next_handle
    }

    fn iter_init(&mut self, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let prefix = key_at(message, 16)?;
        let handle = self.handle();
        let map = self.which(conn);
        self.iterators.insert(handle, Iterator { conn, map, prefix, last: None });
        let mut answer = Message::response(4, 32, CsError::Ok);
        answer.put_u64(24, handle);
        Some(answer)
    }

    fn iter_next(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<Message> {
        let handle = message.u64(16)?;
        let Some(iterator) = self.iterators.get_mut(&handle).filter(|found| found.conn == conn)
        else {
            return Some(Message::response(5, 304, CsError::BadHandle));
        };
        let map: &Map = if iterator.map == Which::Stats { &self.stats } else { ctx.map };
        let Some((key, value)) = map.next_after(&iterator.prefix, iterator.last.as_deref()) else {
            return Some(Message::response(5, 304, CsError::NoSections));
        };
        let mut answer = Message::response(5, 304, CsError::Ok);
        answer.put_name(24, key.as_bytes());
        answer.put_u64(288, value.to_bytes().len() as u64);
        answer.put_u8(296, value.type_code());
        iterator.last = Some(key.to_owned());
        Some(answer)
    }

    fn iter_finalize(&mut self, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let handle = message.u64(16)?;
        let own = self.iterators.get(&handle).is_some_and(|found| found.conn == conn);
        if own {
            self.iterators.remove(&handle);
        }
        Some(status(6, if own { CsError::Ok } else { CsError::BadHandle }))
    }

    fn track_add(&mut self, now: Time, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let key = key_at(message, 16)?;
        let kind = message.i32(280)?;
        let instance = message.u64(288)?;
        let map = self.which(conn);
        if kind & !0xf != 0 {
            return Some(Message::response(7, 32, CsError::InvalidParam));
        }
        let both = TRACK_ADD | TRACK_DELETE;
        if map == Which::Stats && kind & TRACK_PREFIX != 0 && kind & both != both {
            return Some(Message::response(7, 32, CsError::NotSupported));
        }
        let handle = self.handle();
        let seen = (map == Which::Stats).then(|| self.stats.get(&key).cloned()).flatten();
        if self.stats_deadline().is_none() {
            self.polled_at = now;
        }
        self.trackers.insert(handle, Tracker { conn, map, key, kind, instance, seen });
        let mut answer = Message::response(7, 32, CsError::Ok);
        answer.put_u64(24, handle);
        Some(answer)
    }

    fn track_delete(&mut self, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let handle = message.u64(16)?;
        let own = self.trackers.get(&handle).is_some_and(|found| found.conn == conn);
        if !own {
            return Some(Message::response(8, 32, CsError::BadHandle));
        }
        let instance = self.trackers.remove(&handle)?.instance;
        let mut answer = Message::response(8, 32, CsError::Ok);
        answer.put_u64(24, instance);
        Some(answer)
    }

    fn select_map(&mut self, conn: ConnId, message: &Fields<'_>) -> Option<Message> {
        let busy = self.iterators.values().any(|found| found.conn == conn)
            || self.trackers.values().any(|found| found.conn == conn);
        let error = match message.i32(16)? {
            _ if busy => CsError::Busy,
            0 => {
                self.on_stats.retain(|other| *other != conn);
                CsError::Ok
            }
            1 => {
                self.on_stats.retain(|other| *other != conn);
                self.on_stats.push(conn);
                CsError::Ok
            }
            _ => CsError::NotExist,
        };
        Some(status(10, error))
    }

    // --- The agreement on the configuration's version ---

    /// A synchronisation begins.
    pub fn sync_init(&mut self, map: &Map) {
        self.my_version = map.get_u64(VERSION_KEY).unwrap_or(0);
        self.highest_version = self.my_version;
    }

    /// Tells the others the own version.
    pub fn sync_process(&mut self, ctx: &mut Ctx<'_>) {
        self.send_version(ctx, 0);
    }

    /// The own version changed at run time.
    pub fn version_changed(&mut self, ctx: &mut Ctx<'_>) {
        self.send_version(ctx, 1);
    }

    fn send_version(&self, ctx: &mut Ctx<'_>, reason: u8) {
        let version = ctx.map.get_u64(VERSION_KEY);
        let size = if version.is_some() { 336 } else { 328 };
        let mut message = Message::request(exec_id(ServiceId::Cmap, 0), size);
        message.put_u8(16, reason);
        message.put_u8(24, 1);
        message.put_name(48, VERSION_KEY.as_bytes());
        if let Some(version) = version {
            message.put_u8(48 + 264, 8);
            message.put_u64(48 + 272, 8);
            message.put_u64(48 + 280, version);
        }
        ctx.mcast(ServiceId::Cmap, 0, message.into_bytes());
    }

    /// A node's version arrived.
    pub fn deliver(&mut self, ctx: &mut Ctx<'_>, from: NodeId, message: &Fields<'_>) {
        let Some(version) = version_in(message) else { return };
        ctx.map.put(&format!("runtime.members.{from}.config_version"), Value::U64(version));
        if from != ctx.me && version > self.highest_version {
            self.highest_version = version;
        }
    }

    /// Everybody has sent: a node whose version is not the newest must not go on.
    pub fn sync_activate(&mut self, ctx: &mut Ctx<'_>, trans: &[NodeId]) {
        let debug = |ctx: &mut Ctx<'_>, text: &str| {
            ctx.log(Priority::Debug, SUBSYS, || text.to_owned());
        };
        if trans.is_empty() {
            return debug(ctx, "Single node sync -> no action");
        }
        if self.synced_once {
            return debug(ctx, "Not first sync -> no action");
        }
        self.synced_once = true;
        if self.my_version == 0 {
            return debug(ctx, "My config version is 0 -> no action");
        }
        if self.highest_version != self.my_version {
            let (highest, mine) = (self.highest_version, self.my_version);
            ctx.log(Priority::Error, SUBSYS, || {
                format!(
                    "Received config version ({highest}) is different than my config version \
                     ({mine})! Exiting"
                )
            });
            ctx.out.push(Output::Shutdown);
        }
    }
}

/// The version in a cluster message: 0 when the sender has none.
fn version_in(message: &Fields<'_>) -> Option<u64> {
    let items = message.u8(24)?.min(32);
    let mut at = 48;
    for _ in 0..items {
        let len = usize::try_from(message.u64(at + 272)?).ok()?;
        if message.name(at)? == VERSION_KEY.as_bytes() {
            return Some(match message.u8(at + 264)? {
                8 => message.u64(at + 280)?,
                _ => 0,
            });
        }
        at = at.checked_add(280)?.checked_add(len.checked_next_multiple_of(8)?)?;
    }
    None
}

fn notification(instance: u64, change: &Change) -> Message {
    let bytes = |value: &Option<Value>| value.as_ref().map_or(Vec::new(), Value::to_bytes);
    let (new, old) = (bytes(&change.new), bytes(&change.old));
    let mut event = Message::response(9, 336 + new.len() + old.len(), CsError::Ok);
    event.put_u64(24, instance);
    event.put_name(32, change.key.as_bytes());
    event.put_u32(296, event_of(change) as u32);
    event.put_u8(304, change.new.as_ref().map_or(0, Value::type_code));
    event.put_u8(312, change.old.as_ref().map_or(0, Value::type_code));
    event.put_u64(320, new.len() as u64);
    event.put_u64(328, old.len() as u64);
    event.put(336, &new);
    event.put(336 + new.len(), &old);
    event
}

/// A key in a request, without the NULs a client may count in.
fn key_at(message: &Fields<'_>, offset: usize) -> Option<String> {
    let name = message.name(offset)?;
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    Some(String::from_utf8_lossy(&name[..end]).into_owned())
}

fn status(id: i32, error: CsError) -> Message {
    Message::response(id, crate::wire::RESPONSE_HEADER, error)
}

fn answer_id(request: i32) -> i32 {
    if request == 9 { 10 } else { request.max(0) }
}

fn answer_size(request: i32) -> usize {
    match request {
        2 => 40,
        4 | 7 | 8 => 32,
        5 => 304,
        _ => 24,
    }
}

#[cfg(test)]
#[path = "cmap_tests.rs"]
mod tests;
