//! The engine's core above the ring: services, synchronisation, the map. It takes memberships and
//! messages from the ring, requests from clients, and time; it puts out [`Output`]s. No socket,
//! file or clock.
//!
//! Reading order: [`context`] (what services get and what comes out), [`sync`], then
//! [`crate::services`].
//!
//! Source: `spec/corosync-services.md` §1–§4.

pub mod context;
mod follow;
mod old_names;
mod reload;
mod requests;
mod surroundings;
pub mod sync;
mod table;

use std::fmt;

use base::log::Priority;
use base::{NodeId, Time};

pub use crate::services::mon::Sample;
pub use context::{
    Counters, CryptoPhase, Ctx, GROUP_SERVICES, GROUP_SYNC, GROUP_YKD, Output, Watchdog, exec_id,
};
pub use requests::Admission;
pub use surroundings::{LinkStatus, NodeStatus, Surroundings};
use table::services_prefix;
pub use table::{SERVICES, ServiceId, ServiceInfo, info};

use crate::cmap::{Map, Value};
use crate::ring::RingId;
use crate::services::cfg::Cfg;
use crate::services::cmap::Cmap;
use crate::services::cpg::Cpg;
use crate::services::mon::Mon;
use crate::services::quorum::Quorum;
use crate::services::votequorum::Votequorum;
use crate::services::wd::Wd;
use crate::services::ykd::{self, Ykd};
use crate::wire::Fields;
use sync::{Step, Sync};

/// One client connection.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnId(pub u64);

impl fmt::Display for ConnId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A membership change from the ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The new ring.
    pub ring: RingId,
    /// Its members.
    pub members: Vec<NodeId>,
    /// Who left since the last regular one.
    pub left: Vec<NodeId>,
    /// Who joined.
    pub joined: Vec<NodeId>,
    /// Whether this is the transitional step: the members that come along from the old ring.
    pub is_transitional: bool,
}

/// Why a service could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Service engine '{service}' failed to load for reason '{reason}'")]
pub struct LoadError {
    /// The service.
    pub service: &'static str,
    /// The reason.
    pub reason: String,
}

/// The engine.
pub struct Engine {
    me: NodeId,
    map: Map,
    sync: Sync,
    is_syncing: bool,
    is_ipc_allowed: bool,
    counters: Counters,
    conns: std::collections::BTreeMap<ConnId, ServiceId>,
    out: Vec<Output>,
    cmap: Cmap,
    cfg: Cfg,
    cpg: Cpg,
    quorum: Quorum,
    votequorum: Option<Votequorum>,
    ykd: Option<Ykd>,
    mon: Mon,
    wd: Wd,
    is_reloading: bool,
    old_names_at: Option<Time>,
}

/// Builds the context of one call; a macro because it borrows single fields.
macro_rules! ctx {
    ($engine:expr, $now:expr) => {
        &mut Ctx {
            now: $now,
            me: $engine.me,
            map: &mut $engine.map,
            out: &mut $engine.out,
            counters: &mut $engine.counters,
        }
    };
}
pub(crate) use ctx;

impl Engine {
    /// An engine for this node with its configuration.
    pub fn new(me: NodeId, map: Map) -> Engine {
        Engine {
            me,
            map,
            sync: Sync::default(),
            is_syncing: true,
            is_ipc_allowed: false,
            counters: Counters::default(),
            conns: std::collections::BTreeMap::new(),
            out: Vec::new(),
            cmap: Cmap::default(),
            cfg: Cfg::default(),
            cpg: Cpg::default(),
            quorum: Quorum::new(false),
            votequorum: None,
            ykd: None,
            mon: Mon::default(),
            wd: Wd::default(),
            is_reloading: false,
            old_names_at: None,
        }
    }

    /// The map.
    pub fn map(&self) -> &Map {
        &self.map
    }

    /// Changes the map from outside; call [`Engine::handle_map_changed`] afterwards.
    pub fn map_mut(&mut self) -> &mut Map {
        &mut self.map
    }

    /// Takes what there is to do.
    pub fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// Whether clients may connect: from the first completed synchronisation on.
    pub fn is_ipc_allowed(&self) -> bool {
        self.is_ipc_allowed
    }

    /// Whether a synchronisation is running.
    pub fn is_syncing(&self) -> bool {
        self.is_syncing
    }

    /// Whether this partition may act.
    pub fn is_quorate(&self) -> bool {
        self.quorum.is_quorate()
    }

    /// The members of the current ring.
    pub fn members(&self) -> &[NodeId] {
        self.sync.members()
    }

    /// The stored value of `expected_votes_tracking`, when that is on.
    pub fn tracking_barrier(&self) -> Option<u32> {
        self.votequorum.as_ref()?.tracking_barrier()
    }

    /// Loads all services.
    ///
    /// # Errors
    /// The one that refuses; the engine is then of no use.
    pub fn load(&mut self, now: Time, tracking_barrier: u32) -> Result<(), LoadError> {
        for key in ["runtime.blackbox.dump_flight_data", "runtime.blackbox.dump_state"] {
            self.map.put(key, "no".into());
        }
        self.map.put("runtime.force_gather", "no".into());
        for id in [
            ServiceId::Cmap,
            ServiceId::Cfg,
            ServiceId::Cpg,
            ServiceId::Pload,
            ServiceId::Mon,
            ServiceId::Wd,
        ] {
            match id {
                ServiceId::Mon => self.mon.load(ctx!(self, now)),
                ServiceId::Wd => self.wd.load(ctx!(self, now)),
                _ => {}
            }
            self.announce(now, id);
        }
        self.load_quorum(now, tracking_barrier)?;
        self.settle(now);
        Ok(())
    }

    fn load_quorum(&mut self, now: Time, tracking_barrier: u32) -> Result<(), LoadError> {
        let refused = |service, reason: &str| LoadError { service, reason: reason.to_owned() };
        if let Some(provider) = self.map.get_text("quorum.provider").filter(|text| !text.is_empty())
        {
            ctx!(self, now).notice("QUORUM", format!("Using quorum provider {provider}"));
            if provider == "corosync_ykd" {
                self.quorum = Quorum::new(true);
                self.ykd = Some(Ykd::new(self.me));
                self.announce(now, ServiceId::Quorum);
                return Ok(());
            }
            if provider != "corosync_votequorum" {
                ctx!(self, now).log(Priority::Crit, "QUORUM", || {
                    format!("Quorum provider: {provider} failed to initialize.")
                });
                return Err(refused("corosync_quorum", "Invalid quorum provider"));
            }
            self.quorum = Quorum::new(true);
            let loaded = Votequorum::load(ctx!(self, now), tracking_barrier);
            let votequorum = loaded.map_err(|reason| refused("corosync_votequorum", &reason))?;
            self.votequorum = Some(votequorum);
            self.tell_quorum(now);
            self.announce(now, ServiceId::Votequorum);
        }
        self.announce(now, ServiceId::Quorum);
        Ok(())
    }

    fn announce(&mut self, now: Time, id: ServiceId) {
        let Some(info) = info(id) else { return };
        let number = id as usize;
        let base = format!("internal_configuration.service.{number}");
        self.map.put(&format!("{base}.name"), info.name.into());
        self.map.put(&format!("{base}.ver"), Value::U32(0));
        let base = services_prefix(info);
        self.map.put(&format!("{base}.service_id"), Value::U16(number as u16));
        for function in 0..info.functions {
            self.map.put(&format!("{base}.{function}.tx"), Value::U64(0));
            self.map.put(&format!("{base}.{function}.rx"), Value::U64(0));
        }
        let ctx = ctx!(self, now);
        ctx.notice("SERV", format!("Service engine loaded: {} [{number}]", info.title));
        ctx.out.push(Output::Loaded { service: id });
    }

    /// Whether a service is loaded.
    pub fn is_loaded(&self, id: ServiceId) -> bool {
        id != ServiceId::Votequorum || self.votequorum.is_some()
    }

    /// The loaded services, in the order they are unloaded.
    pub fn unload_order(&self) -> Vec<&'static ServiceInfo> {
        let mut order: Vec<&ServiceInfo> =
            SERVICES.iter().filter(|service| self.is_loaded(service.id)).collect();
        order.sort_by_key(|service| (service.id != ServiceId::Votequorum, service.id));
        order
    }

    // --- From the ring ---

    /// A membership change. `ip_text` gives a member's entry for `runtime.members`.
    pub fn handle_membership(
        &mut self,
        now: Time,
        change: &Membership,
        ip_text: &dyn Fn(NodeId) -> String,
    ) {
        self.is_syncing = true;
        for node in &change.left {
            self.map.put(&format!("runtime.members.{node}.status"), "left".into());
        }
        for node in &change.joined {
            self.member_joined(*node, ip_text);
        }
        if let Some(service) = self.sync.interrupt()
            && service == ServiceId::Cpg as u32
        {
            self.cpg.sync_abort();
        }
        if change.is_transitional {
            self.sync.set_transitional(&change.members);
        } else {
            self.start_sync(now, change);
        }
        self.settle(now);
    }

    fn member_joined(&mut self, node: NodeId, ip_text: &dyn Fn(NodeId) -> String) {
        let base = format!("runtime.members.{node}");
        let count = self.map.get_u32(&format!("{base}.join_count"));
        if count.is_none() {
            self.map.put(&format!("{base}.ip"), Value::text(ip_text(node)));
        }
        let count = count.unwrap_or(0).wrapping_add(1);
        self.map.put(&format!("{base}.join_count"), Value::U32(count));
        self.map.put(&format!("{base}.status"), "joined".into());
    }

    fn start_sync(&mut self, now: Time, change: &Membership) {
        let services: Vec<u32> = {
            let mut ids: Vec<u32> = SERVICES
                .iter()
                .filter(|service| service.syncs && self.is_loaded(service.id))
                .map(|service| service.id as u32)
                .collect();
            ids.sort_unstable();
            ids
        };
        if let Some(ykd) = &mut self.ykd {
            let state = ykd.configuration(&change.members);
            self.quorum.set_quorum(ctx!(self, now), &change.members, false, change.ring);
            self.out.push(Output::Mcast { group: GROUP_YKD, payload: state });
        }
        let build = self.sync.start(&change.members, change.ring, &services);
        self.out.push(Output::Mcast { group: GROUP_SYNC, payload: build });
        let trans = self.sync.transitional().to_vec();
        let (members, ring) = (&change.members, change.ring);
        self.cmap.sync_init(&self.map);
        self.cpg.sync_init(&trans, members, ring);
        self.quorum.sync_init(ctx!(self, now), &trans, members, ring);
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.sync_init(ctx!(self, now), members, ring);
        }
    }

    /// A message of a process group.
    pub fn handle_delivery(
        &mut self,
        now: Time,
        from: NodeId,
        group: &[u8],
        payload: &[u8],
        swapped: bool,
    ) {
        let message = Fields::from_peer(payload, swapped);
        if group == GROUP_SYNC {
            let steps = self.sync.receive(from, &message);
            self.walk(now, steps);
        } else if group == GROUP_SERVICES {
            self.deliver(now, from, &message);
        } else if group == GROUP_YKD {
            self.deliver_ykd(now, from, &message);
        }
        self.settle(now);
    }

    fn deliver_ykd(&mut self, now: Time, from: NodeId, message: &Fields<'_>) {
        let Some(ykd) = &mut self.ykd else { return };
        match ykd.receive(from, message) {
            Some(ykd::Verdict::Send(payload)) => {
                self.out.push(Output::Mcast { group: GROUP_YKD, payload });
            }
            Some(ykd::Verdict::Primary) => {
                let ctx = ctx!(self, now);
                ctx.notice("YKD", "This processor is within the primary component.");
                self.quorum.set_quorum(ctx, ykd.view(), true, self.sync.ring());
            }
            None => {}
        }
    }

    fn deliver(&mut self, now: Time, from: NodeId, message: &Fields<'_>) {
        let Some(id) = message.i32(0).and_then(|id| u32::try_from(id).ok()) else { return };
        let (service, function) = (id >> 16, (id & 0xffff) as u16);
        let Some(info) =
            SERVICES.iter().find(|info| info.id as u32 == service && self.is_loaded(info.id))
        else {
            return;
        };
        if function >= info.functions {
            let count = info.functions;
            ctx!(self, now).log(Priority::Warning, "SERV", || {
                format!(
                    "discarded unknown message {function} for service {service} (max id {count})"
                )
            });
            return;
        }
        if let Some(count) = self.counters.rx[service as usize].get_mut(usize::from(function)) {
            *count += 1;
        }
        match info.id {
            ServiceId::Cmap => self.cmap.deliver(ctx!(self, now), from, message),
            ServiceId::Cfg => self.cfg.deliver(ctx!(self, now), from, function, message),
            ServiceId::Cpg => self.cpg.deliver(ctx!(self, now), from, function, message),
            ServiceId::Votequorum => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.deliver(ctx!(self, now), from, function, message);
                }
            }
            // Messages of the load test are counted; another node that begins it is told of.
            ServiceId::Pload if function == 0 => self.decline_pload(now),
            ServiceId::Pload | ServiceId::Quorum | ServiceId::Mon | ServiceId::Wd => {}
        }
    }

    /// Does what the synchronisation asks for.
    fn walk(&mut self, now: Time, steps: Vec<Step>) {
        for step in steps {
            match step {
                Step::Process(service) => self.process(now, service),
                Step::Activate(service) => self.activate(now, service),
                Step::Complete => self.complete(now),
            }
        }
    }

    fn process(&mut self, now: Time, service: u32) {
        let done = match service {
            0 => {
                self.cmap.sync_process(ctx!(self, now));
                true
            }
            2 => {
                self.cpg.sync_process(ctx!(self, now));
                true
            }
            5 => match &mut self.votequorum {
                Some(votequorum) => votequorum.sync_process(ctx!(self, now)),
                None => true,
            },
            // Nothing to send, or a service that only other nodes have.
            _ => true,
        };
        if done {
            let barrier = self.sync.processed();
            self.out.push(Output::Mcast { group: GROUP_SYNC, payload: barrier });
        }
    }

    fn activate(&mut self, now: Time, service: u32) {
        match service {
            0 => {
                let trans = self.sync.transitional().to_vec();
                self.cmap.sync_activate(ctx!(self, now), &trans);
            }
            2 => self.cpg.sync_activate(ctx!(self, now)),
            3 => self.quorum.sync_activate(ctx!(self, now)),
            5 => {
                if let Some(votequorum) = &mut self.votequorum {
                    votequorum.sync_activate(ctx!(self, now));
                }
                self.tell_quorum(now);
            }
            _ => {}
        }
    }

    fn complete(&mut self, now: Time) {
        self.is_syncing = false;
        self.is_ipc_allowed = true;
        ctx!(self, now)
            .notice("MAIN", "Completed service synchronization, ready to provide service.");
        self.out.push(Output::SyncComplete);
    }

    fn tell_quorum(&mut self, now: Time) {
        let Some(votequorum) = &mut self.votequorum else { return };
        for verdict in votequorum.take_verdicts() {
            self.quorum.set_quorum(
                ctx!(self, now),
                &verdict.members,
                verdict.is_quorate,
                verdict.ring,
            );
        }
    }
}

#[cfg(test)]
#[path = "tests.rs"]
pub(crate) mod tests;
