//! What services get to work with, and what comes out of the engine.

use base::log::Priority;
use base::{NodeId, Time};

use super::{ConnId, ServiceId};
use crate::cmap::Map;
use crate::wire::{CsError, Message};

/// Process group of the services' messages.
pub const GROUP_SERVICES: &[u8] = b"a";
/// Process group of the synchronisation.
pub const GROUP_SYNC: &[u8] = b"sync";

/// Process group of the quorum provider `corosync_ykd`.
pub const GROUP_YKD: &[u8] = b"ykd";

/// A step of changing the key of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CryptoPhase {
    /// Send with the new key.
    Activate,
    /// Forget the old key.
    CleanUp,
}

/// Something the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Send to all nodes, in total order.
    Mcast {
        /// The process group.
        group: &'static [u8],
        /// The message.
        payload: Vec<u8>,
    },
    /// Answer a request.
    Reply {
        /// To whom.
        conn: ConnId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// Tell a client something it did not ask for just now.
    Event {
        /// To whom.
        conn: ConnId,
        /// The message.
        bytes: Vec<u8>,
    },
    /// All services agree on the new membership: the ring may carry application messages again,
    /// clients may connect.
    SyncComplete,
    /// A service is loaded: its socket, if it has one, can be made.
    Loaded {
        /// Which.
        service: ServiceId,
    },
    /// A line for the log.
    Log {
        /// Its priority.
        priority: Priority,
        /// Its subsystem.
        subsys: &'static str,
        /// Its text.
        text: String,
    },
    /// Read the configuration files again and call `Engine::handle_reload`.
    ReadConfig,
    /// Go on with changing the transport's key.
    Crypto(CryptoPhase),
    /// The keys of `logging.` changed.
    LogConfigChanged,
    /// The keys of `totem.` changed.
    TotemConfigChanged,
    /// Close and open the log files, then call `Engine::handle_logs_reopened`.
    ReopenLogs {
        /// Who asked.
        conn: ConnId,
    },
    /// Give up the ring and gather (a debugging aid).
    ForceGather,
    /// Write the flight recorder to disk.
    DumpBlackbox,
    /// Write the services' state to the log.
    DumpState,
    /// Something about the hardware watchdog.
    Watchdog(Watchdog),
    /// Leave the ring in order and end.
    Shutdown,
    /// End now with this status.
    Die {
        /// The exit status.
        status: i32,
    },
}

/// What the watchdog service wants done to the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Watchdog {
    /// Open the device and feed it from now on.
    Open {
        /// Its path.
        device: String,
        /// Seconds without food after which it bites.
        timeout: u32,
    },
    /// Another time, if the device is open.
    SetTimeout {
        /// In seconds.
        timeout: u32,
    },
    /// Feed it no more.
    Starve,
    /// Restart the machine at once.
    Reboot,
    /// Switch the machine off.
    PowerOff,
}

/// Counters of cluster messages, per service and function.
#[derive(Debug, Default)]
pub struct Counters {
    /// Multicast by this node.
    pub tx: [[u64; 8]; 8],
    /// Delivered.
    pub rx: [[u64; 8]; 8],
}

/// The engine's parts that every service may use.
pub struct Ctx<'a> {
    /// The time.
    pub now: Time,
    /// This node.
    pub me: NodeId,
    /// The map.
    pub map: &'a mut Map,
    /// What to do.
    pub out: &'a mut Vec<Output>,
    /// Message counters.
    pub counters: &'a mut Counters,
}

impl Ctx<'_> {
    /// Multicasts a service's message; the function is in the message's header.
    pub fn mcast(&mut self, service: ServiceId, function: u16, payload: Vec<u8>) {
        if let Some(count) = self.counters.tx[service as usize].get_mut(usize::from(function)) {
            *count += 1;
        }
        self.out.push(Output::Mcast { group: GROUP_SERVICES, payload });
    }

    /// Answers a request.
    pub fn reply(&mut self, conn: ConnId, message: Message) {
        self.out.push(Output::Reply { conn, bytes: message.into_bytes() });
    }

    /// Answers a request with nothing but a header.
    pub fn reply_status(&mut self, conn: ConnId, id: i32, error: CsError) {
        self.reply(conn, Message::response(id, crate::wire::RESPONSE_HEADER, error));
    }

    /// Sends an event.
    pub fn event(&mut self, conn: ConnId, message: Message) {
        self.out.push(Output::Event { conn, bytes: message.into_bytes() });
    }

    /// Logs a line. The text is only worded when somebody will read it.
    pub fn log(&mut self, priority: Priority, subsys: &'static str, text: impl FnOnce() -> String) {
        if priority <= Priority::Info || base::log::enabled(priority, subsys) {
            self.out.push(Output::Log { priority, subsys, text: text() });
        }
    }

    /// Logs what administrators should see.
    pub fn notice(&mut self, subsys: &'static str, text: impl Into<String>) {
        self.log(Priority::Notice, subsys, || text.into());
    }
}

/// The number in the header of a service's cluster message.
pub fn exec_id(service: ServiceId, function: u16) -> i32 {
    ((service as i32) << 16) | i32::from(function)
}
