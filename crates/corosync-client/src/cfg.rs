//! Control of the engine: status of links and nodes, reload, shutdown.
//!
//! Source: `spec/corosync-services.md` §6.

use crate::CsError;
use crate::call::{Connection, Fields, client_methods};
use base::NodeId;
use qb::ipc::wire;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const RING_STATUS_GET: i32 = 0;
const KILL_NODE: i32 = 2;
const TRY_SHUTDOWN: i32 = 3;
const REPLY_TO_SHUTDOWN: i32 = 4;
const GET_NODE_ADDRS: i32 = 5;
const LOCAL_GET: i32 = 6;
const RELOAD_CONFIG: i32 = 7;
const REOPEN_LOG_FILES: i32 = 8;
const NODE_STATUS_GET: i32 = 9;
const TRACK_START: i32 = 10;
const TRACK_STOP: i32 = 11;
const EVENT_TEST_SHUTDOWN: i32 = 10;

const LINKS_MAX: usize = 8;
const STATUS_VERSION: u32 = 1;

/// A link of this node, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RingStatus {
    /// `<link> <address>`.
    pub name: String,
    /// The transport's status text.
    pub status: String,
}

/// A link to a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkStatus {
    /// It is configured.
    pub enabled: bool,
    /// It works.
    pub connected: bool,
    /// The other side's address was learned.
    pub dynconnected: bool,
    /// The path's message size.
    pub mtu: u32,
    /// Our address.
    pub source: String,
    /// The node's address.
    pub destination: String,
}

/// What this node knows of another one (or itself).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeStatus {
    /// Which one.
    pub node: NodeId,
    /// At least one link works.
    pub reachable: bool,
    /// Reached through another node.
    pub remote: bool,
    /// Not a member by configuration.
    pub external: bool,
    /// Link 0 to 7.
    pub links: Vec<LinkStatus>,
}

/// How to shut down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shutdown {
    /// Ask everybody who tracks shutdowns.
    Request = 0,
    /// Tell everybody, whatever they answer.
    Regardless = 1,
    /// At once.
    Immediate = 2,
}

/// Somebody wants this node's engine to stop, or gave up wanting it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TestShutdown {
    /// True: answer with [`Cfg::reply_to_shutdown`]. False: the vote timed out.
    pub asking: bool,
    /// The request's flags ([`Shutdown`]).
    pub flags: u32,
}

/// A connection to the control service.
#[derive(Debug)]
pub struct Cfg {
    connection: Connection,
}

impl Cfg {
    /// Connects to the engine of this host.
    pub fn connect() -> Result<Cfg, CsError> {
        Ok(Cfg { connection: Connection::connect("cfg")? })
    }

    client_methods!();

    fn simple(&mut self, id: i32, size: usize, at_16: u32) -> Result<(), CsError> {
        let mut request = wire::request(id, size);
        if size > 16 {
            wire::put_u32(&mut request, 16, at_16);
        }
        self.connection.call(&[&request]).map(|_| ())
    }

    /// This node's id.
    pub fn local_get(&mut self) -> Result<NodeId, CsError> {
        let request = wire::request(LOCAL_GET, 16);
        Ok(NodeId(Fields(self.connection.call(&[&request])?).u32(24)?))
    }

    /// The links of this node.
    pub fn ring_status(&mut self) -> Result<Vec<RingStatus>, CsError> {
        let request = wire::request(RING_STATUS_GET, 16);
        let response = Fields(self.connection.call(&[&request])?);
        let count = (response.u32(24)? as usize).min(16);
        (0..count)
            .map(|link| {
                Ok(RingStatus {
                    name: response.text(32 + link * 128, 128)?,
                    status: response.text(2080 + link * 512, 512)?,
                })
            })
            .collect()
    }

    /// The addresses of a node (0: this one), one a link.
    pub fn node_addrs(&mut self, node: NodeId) -> Result<Vec<IpAddr>, CsError> {
        let mut request = wire::request(GET_NODE_ADDRS, 24);
        wire::put_u32(&mut request, 16, node.0);
        let response = Fields(self.connection.call(&[&request])?);
        let family = response.u32(24)?;
        let count = response.u32(28)?.min(LINKS_MAX as u32) as usize;
        (0..count)
            .map(|link| {
                let bytes = response.bytes(32 + link * 16, 16)?;
                let mut v6 = [0; 16];
                v6.copy_from_slice(bytes);
                Ok(match family {
                    family if family == libc::AF_INET6 as u32 => {
                        IpAddr::V6(Ipv6Addr::from_octets(v6))
                    }
                    _ => IpAddr::V4(Ipv4Addr::new(v6[0], v6[1], v6[2], v6[3])),
                })
            })
            .collect()
    }

    /// What this node knows of a node.
    pub fn node_status(&mut self, node: NodeId) -> Result<NodeStatus, CsError> {
        const AT: usize = 24;
        const LINK: usize = 520;
        let mut request = wire::request(NODE_STATUS_GET, 32);
        wire::put_u32(&mut request, 16, node.0);
        wire::put_u32(&mut request, 24, STATUS_VERSION);
        let response = Fields(self.connection.call(&[&request])?);
        if response.u32(AT)? != STATUS_VERSION {
            return Err(CsError::LIBRARY);
        }
        let links = (0..LINKS_MAX)
            .map(|link| {
                let at = AT + 16 + link * LINK;
                Ok(LinkStatus {
                    enabled: response.u8(at)? != 0,
                    connected: response.u8(at + 1)? != 0,
                    dynconnected: response.u8(at + 2)? != 0,
                    mtu: response.u32(at + 4)?,
                    source: response.text(at + 8, 256)?,
                    destination: response.text(at + 264, 256)?,
                })
            })
            .collect::<Result<_, CsError>>()?;
        Ok(NodeStatus {
            node: NodeId(response.u32(AT + 4)?),
            reachable: response.u8(AT + 8)? != 0,
            remote: response.u8(AT + 9)? != 0,
            external: response.u8(AT + 10)? != 0,
            links,
        })
    }

    /// Has all nodes read their configuration files again. Returns when this one has.
    pub fn reload(&mut self) -> Result<(), CsError> {
        self.simple(RELOAD_CONFIG, 16, 0)
    }

    /// Has this node's engine open its log files again.
    pub fn reopen_log_files(&mut self) -> Result<(), CsError> {
        self.simple(REOPEN_LOG_FILES, 16, 0)
    }

    /// Kills the engine of a node.
    pub fn kill_node(&mut self, node: NodeId, reason: &str) -> Result<(), CsError> {
        let mut request = wire::request(KILL_NODE, 288);
        wire::put_u32(&mut request, 16, node.0);
        let reason = &reason.as_bytes()[..reason.len().min(255)];
        wire::put(&mut request, 24, &(reason.len() as u16).to_ne_bytes());
        wire::put(&mut request, 26, reason);
        self.connection.call(&[&request]).map(|_| ())
    }

    /// Asks this node's engine to stop. Returns when it was decided.
    pub fn try_shutdown(&mut self, how: Shutdown) -> Result<(), CsError> {
        self.simple(TRY_SHUTDOWN, 24, how as u32)
    }

    /// Answers a [`TestShutdown`].
    pub fn reply_to_shutdown(&mut self, agreed: bool) -> Result<(), CsError> {
        self.simple(REPLY_TO_SHUTDOWN, 24, u32::from(agreed))
    }

    /// Wants to be asked before a shutdown.
    pub fn track_start(&mut self) -> Result<(), CsError> {
        self.simple(TRACK_START, 24, 0)
    }

    /// Does not want to be asked any more.
    pub fn track_stop(&mut self) -> Result<(), CsError> {
        self.simple(TRACK_STOP, 16, 0)
    }

    /// The next event, if one is there.
    pub fn dispatch(&mut self) -> Result<Option<TestShutdown>, CsError> {
        let Some(bytes) = self.connection.event()? else { return Ok(None) };
        if wire::id(bytes) != Some(EVENT_TEST_SHUTDOWN) {
            return Err(CsError::LIBRARY);
        }
        let flags = Fields(bytes).u32(24)?;
        Ok(Some(TestShutdown { asking: wire::error(bytes) == Some(1), flags }))
    }
}
