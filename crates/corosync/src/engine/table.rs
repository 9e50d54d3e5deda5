//! The services: numbers, names, what each takes part in.
//!
//! Source: `spec/corosync-services.md` §1.

/// The services, by their numbers on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(usize)]
pub enum ServiceId {
    /// The configuration map.
    Cmap = 0,
    /// Administration.
    Cfg = 1,
    /// Process groups.
    Cpg = 2,
    /// Quorum.
    Quorum = 3,
    /// Load test.
    Pload = 4,
    /// Votes.
    Votequorum = 5,
    /// Resource monitoring.
    Mon = 6,
    /// Watchdog.
    Wd = 7,
}

/// Facts about a service.
#[derive(Debug)]
pub struct ServiceInfo {
    /// Which.
    pub id: ServiceId,
    /// Its name in the map.
    pub name: &'static str,
    /// Its name in the log.
    pub title: &'static str,
    /// Its socket, if it has clients.
    pub ipc: Option<&'static str>,
    /// How many cluster messages it has.
    pub functions: u16,
    /// Whether it takes part in synchronisations.
    pub syncs: bool,
}

/// All services, in the order they are loaded.
pub const SERVICES: &[ServiceInfo] = &[
    ServiceInfo {
        id: ServiceId::Cmap,
        name: "corosync_cmap",
        title: "corosync configuration map access",
        ipc: Some("cmap"),
        functions: 1,
        syncs: true,
    },
    ServiceInfo {
        id: ServiceId::Cfg,
        name: "corosync_cfg",
        title: "corosync configuration service",
        ipc: Some("cfg"),
        functions: 5,
        syncs: false,
    },
    ServiceInfo {
        id: ServiceId::Cpg,
        name: "corosync_cpg",
        title: "corosync cluster closed process group service v1.01",
        ipc: Some("cpg"),
        functions: 7,
        syncs: true,
    },
    ServiceInfo {
        id: ServiceId::Pload,
        name: "corosync_pload",
        title: "corosync profile loading service",
        ipc: None,
        functions: 2,
        syncs: false,
    },
    ServiceInfo {
        id: ServiceId::Mon,
        name: "corosync_mon",
        title: "corosync resource monitoring service",
        ipc: None,
        functions: 0,
        syncs: false,
    },
    ServiceInfo {
        id: ServiceId::Wd,
        name: "corosync_wd",
        title: "corosync watchdog service",
        ipc: None,
        functions: 0,
        syncs: false,
    },
    ServiceInfo {
        id: ServiceId::Votequorum,
        name: "corosync_votequorum",
        title: "corosync vote quorum service v1.0",
        ipc: Some("votequorum"),
        functions: 4,
        syncs: true,
    },
    ServiceInfo {
        id: ServiceId::Quorum,
        name: "corosync_quorum",
        title: "corosync cluster quorum service v0.1",
        ipc: Some("quorum"),
        functions: 0,
        syncs: true,
    },
];

/// The facts about one service.
pub fn info(id: ServiceId) -> Option<&'static ServiceInfo> {
    SERVICES.iter().find(|service| service.id == id)
}

/// `runtime.services.` and what follows the last `_` of the service's name.
pub(super) fn services_prefix(info: &ServiceInfo) -> String {
    let suffix = info.name.rsplit('_').next().unwrap_or(info.name);
    format!("runtime.services.{suffix}")
}
