//! Administration: state of the links and nodes, orderly shutdown by agreement, killing a node,
//! reloading the configuration.
//!
//! Source: `spec/corosync-services.md` §6.

use std::net::IpAddr;
use std::time::Duration;

use base::log::Priority;
use base::{NodeId, Time};

use crate::engine::{ConnId, CryptoPhase, Ctx, Output, ServiceId, Surroundings, exec_id};
use crate::wire::{CsError, Fields, Message};

const SUBSYS: &str = "CFG";
/// Longest wait for votes about a shutdown.
const SHUTDOWN_TIMEOUT_MS: u32 = 5000;
/// Exit status of a killed node.
const STATUS_FATAL: i32 = 15;

mod function {
    pub(super) const KILLNODE: u16 = 1;
    pub(super) const SHUTDOWN: u16 = 2;
    pub(super) const RELOAD_CONFIG: u16 = 3;
    pub(super) const CRYPTO_RECONFIG: u16 = 4;
}

/// Steps of changing the key.
const PHASE_ACTIVATE: u32 = 1;
const PHASE_CLEANUP: u32 = 2;

const FLAG_REGARDLESS: u32 = 1;
const FLAG_IMMEDIATE: u32 = 2;

/// A vote about shutting this node down.
#[derive(Debug)]
struct Vote {
    requester: ConnId,
    flags: u32,
    expected: usize,
    yes: usize,
    no: usize,
    deadline: Time,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ballot {
    None,
    Yes,
    No,
}

#[derive(Debug)]
struct Tracker {
    conn: ConnId,
    ballot: Ballot,
}

/// The service.
#[derive(Debug, Default)]
pub struct Cfg {
    trackers: Vec<Tracker>,
    vote: Option<Vote>,
    /// Who waits for the end of a reload on this node.
    reloading: Option<ConnId>,
}

impl Cfg {
    /// A client is gone.
    pub fn disconnect(&mut self, ctx: &mut Ctx<'_>, conn: ConnId) {
        if self.vote.as_ref().is_some_and(|vote| vote.requester == conn) {
            self.vote = None;
        }
        if self.reloading == Some(conn) {
            self.reloading = None;
        }
        self.remove_tracker(ctx, conn);
    }

    /// When the running vote ends.
    pub fn deadline(&self) -> Option<Time> {
        self.vote.as_ref().map(|vote| vote.deadline)
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, ctx: &mut Ctx<'_>) {
        let Some(vote) = &mut self.vote else { return };
        if ctx.now < vote.deadline {
            return;
        }
        vote.no = vote.expected;
        self.evaluate(ctx);
    }

    /// A request of a client.
    pub fn request(
        &mut self,
        ctx: &mut Ctx<'_>,
        around: &dyn Surroundings,
        conn: ConnId,
        message: &Fields<'_>,
    ) {
        let done = match message.i32(0) {
            Some(0) => {
                let answer = ring_status(around);
                ctx.reply(conn, answer);
                Some(())
            }
            Some(1) => {
                ctx.reply_status(conn, 1, CsError::NotSupported);
                Some(())
            }
            Some(2) => self.kill_node(ctx, conn, message),
            Some(3) => self.try_shutdown(ctx, conn, message),
            Some(4) => self.reply_to_shutdown(ctx, conn, message),
            Some(5) => self.node_addresses(ctx, around, conn, message),
            Some(6) => {
                let mut answer = Message::response(12, 32, CsError::Ok);
                answer.put_u32(24, ctx.me.0);
                ctx.reply(conn, answer);
                Some(())
            }
            Some(7) => {
                let mut request =
                    Message::request(exec_id(ServiceId::Cfg, function::RELOAD_CONFIG), 32);
                request.put_u32(16, ctx.me.0);
                request.put_u64(24, conn.0);
                ctx.mcast(ServiceId::Cfg, function::RELOAD_CONFIG, request.into_bytes());
                Some(())
            }
            Some(8) => {
                ctx.out.push(Output::ReopenLogs { conn });
                Some(())
            }
            Some(9) => self.node_status(ctx, around, conn, message),
            Some(10) => {
                self.add_tracker(ctx, conn);
                ctx.reply_status(conn, 2, CsError::Ok);
                Some(())
            }
            Some(11) => {
                self.remove_tracker(ctx, conn);
                ctx.reply_status(conn, 3, CsError::Ok);
                Some(())
            }
            _ => None,
        };
        if done.is_none() {
            ctx.reply_status(conn, 0, CsError::InvalidParam);
        }
    }

    /// The log files were opened again, or not.
    pub fn logs_reopened(&self, ctx: &mut Ctx<'_>, conn: ConnId, worked: bool) {
        let error = if worked { CsError::Ok } else { CsError::FailedOperation };
        ctx.reply_status(conn, 15, error);
    }

    /// A new key was loaded: from the place in the order where this comes back, it is used.
    pub fn crypto_loaded(&self, ctx: &mut Ctx<'_>) {
        announce_crypto(ctx, PHASE_ACTIVATE);
    }

    /// The reload on this node ended.
    pub fn reloaded(&mut self, ctx: &mut Ctx<'_>, error: CsError) {
        if let Some(conn) = self.reloading.take() {
            ctx.reply_status(conn, 14, error);
        }
    }

    fn kill_node(&self, ctx: &mut Ctx<'_>, conn: ConnId, message: &Fields<'_>) -> Option<()> {
        let node = message.u32(16)?;
        let len = usize::from(message.u16(24)?).min(256);
        let reason = message.slice(26, len)?;
        let status = ctx.map.get_text(&format!("runtime.members.{node}.status"));
        let error = if status.as_deref() == Some("joined") {
            let mut request = Message::request(exec_id(ServiceId::Cfg, function::KILLNODE), 288);
            request.put_u32(16, node);
            request.put_name(24, reason);
            ctx.mcast(ServiceId::Cfg, function::KILLNODE, request.into_bytes());
            CsError::Ok
        } else {
            CsError::NotExist
        };
        ctx.reply_status(conn, 8, error);
        Some(())
    }

    fn try_shutdown(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let flags = message.u32(16)?;
        if flags == FLAG_IMMEDIATE {
            send_shutdown(ctx);
            ctx.reply_status(conn, 9, CsError::Ok);
            return Some(());
        }
        if self.vote.is_some() {
            ctx.reply_status(conn, 9, CsError::Exist);
            return Some(());
        }
        let voters = self.trackers.iter().filter(|tracker| tracker.conn != conn).count();
        if voters == 0 {
            ctx.reply_status(conn, 9, CsError::Ok);
            send_shutdown(ctx);
            return Some(());
        }
        let timeout = ctx.map.get_u32("cfg.shutdown_timeout").unwrap_or(SHUTDOWN_TIMEOUT_MS);
        self.vote = Some(Vote {
            requester: conn,
            flags,
            expected: voters,
            yes: 0,
            no: 0,
            deadline: ctx.now + Duration::from_millis(timeout.into()),
        });
        for tracker in self.trackers.iter_mut().filter(|tracker| tracker.conn != conn) {
            tracker.ballot = Ballot::None;
            ctx.event(tracker.conn, test_shutdown(CsError::Ok, flags));
        }
        Some(())
    }

    fn reply_to_shutdown(
        &mut self,
        ctx: &mut Ctx<'_>,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let yes = message.u32(16)? != 0;
        let Some(vote) = &mut self.vote else {
            ctx.reply_status(conn, 13, CsError::Access);
            return Some(());
        };
        if let Some(tracker) = self.trackers.iter_mut().find(|tracker| tracker.conn == conn) {
            tracker.ballot = if yes { Ballot::Yes } else { Ballot::No };
        }
        if yes {
            vote.yes += 1;
        } else {
            vote.no += 1;
        }
        self.evaluate(ctx);
        ctx.reply_status(conn, 13, CsError::Ok);
        Some(())
    }

    fn evaluate(&mut self, ctx: &mut Ctx<'_>) {
        let Some(vote) = &self.vote else { return };
        if vote.yes + vote.no < vote.expected {
            return;
        }
        let (yes, no, flags, requester) = (vote.yes, vote.no, vote.flags, vote.requester);
        let agreed = yes >= vote.expected || flags == FLAG_REGARDLESS;
        self.vote = None;
        ctx.log(Priority::Debug, SUBSYS, || {
            format!("shutdown decision is: (yes count: {yes}, no count: {no}) flags={flags:x}")
        });
        if agreed {
            ctx.reply_status(requester, 9, CsError::Ok);
            send_shutdown(ctx);
        } else {
            ctx.reply_status(requester, 9, CsError::Busy);
        }
    }

    fn add_tracker(&mut self, ctx: &mut Ctx<'_>, conn: ConnId) {
        if self.trackers.iter().any(|tracker| tracker.conn == conn) {
            return;
        }
        self.trackers.push(Tracker { conn, ballot: Ballot::None });
        if let Some(vote) = &mut self.vote {
            vote.expected += 1;
            ctx.event(conn, test_shutdown(CsError::Ok, vote.flags));
        }
    }

    /// One that stops listening does not stand in the way.
    fn remove_tracker(&mut self, ctx: &mut Ctx<'_>, conn: ConnId) {
        let Some(at) = self.trackers.iter().position(|tracker| tracker.conn == conn) else {
            return;
        };
        let tracker = self.trackers.remove(at);
        let Some(vote) = &mut self.vote else { return };
        if vote.requester == conn {
            return;
        }
        match tracker.ballot {
            Ballot::Yes => vote.yes = vote.yes.saturating_sub(1),
            Ballot::No => vote.no = vote.no.saturating_sub(1),
            Ballot::None => {}
        }
        vote.yes += 1;
        self.evaluate(ctx);
    }

    fn node_addresses(
        &self,
        ctx: &mut Ctx<'_>,
        around: &dyn Surroundings,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let node = NodeId::from_wire(message.u32(16)?).unwrap_or(ctx.me);
        let addresses = around.addresses(node);
        let Some(first) = addresses.first() else {
            ctx.reply(conn, Message::response(11, 32, CsError::NotExist));
            return Some(());
        };
        let family = if first.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let mut answer = Message::response(11, 32 + 16 * addresses.len(), CsError::Ok);
        answer.put_u32(24, family as u32);
        answer.put_u32(28, addresses.len() as u32);
        for (nth, address) in addresses.iter().enumerate() {
            match address {
                IpAddr::V4(v4) => answer.put(32 + 16 * nth, &v4.octets()),
                IpAddr::V6(v6) => answer.put(32 + 16 * nth, &v6.octets()),
            }
        }
        ctx.reply(conn, answer);
        Some(())
    }

    fn node_status(
        &self,
        ctx: &mut Ctx<'_>,
        around: &dyn Surroundings,
        conn: ConnId,
        message: &Fields<'_>,
    ) -> Option<()> {
        let (node, version) = (message.u32(16)?, message.u32(24)?);
        let refused = |error| {
            let mut answer = Message::response(16, 32, error);
            answer.put_u32(24, version);
            answer
        };
        let answer = if version != 1 {
            refused(CsError::NotSupported)
        } else if let Some(status) = around.node_status(NodeId(node)) {
            let mut answer = Message::response(16, 4200, CsError::Ok);
            answer.put_u32(24, 1);
            answer.put_u32(28, node);
            answer.put_u8(32, u8::from(status.is_reachable));
            for link in status.links.iter().filter(|link| link.number < 8) {
                let at = 24 + 16 + 520 * usize::from(link.number);
                answer.put_u8(at, u8::from(link.is_enabled));
                answer.put_u8(at + 1, u8::from(link.is_connected));
                answer.put_u32(at + 4, link.mtu);
                answer.put(at + 8, cut(&link.source));
                answer.put(at + 264, cut(&link.destination));
            }
            answer
        } else {
            refused(CsError::FailedOperation)
        };
        ctx.reply(conn, answer);
        Some(())
    }

    /// A cluster message.
    pub fn deliver(
        &mut self,
        ctx: &mut Ctx<'_>,
        from: NodeId,
        function: u16,
        message: &Fields<'_>,
    ) {
        match function {
            function::KILLNODE => {
                let (Some(node), Some(reason)) = (message.u32(16), message.name(24)) else {
                    return;
                };
                let me = ctx.me;
                ctx.log(Priority::Debug, SUBSYS, || {
                    format!("request to kill node {node} (us={me})")
                });
                if node == me.0 {
                    let text = reason.split(|byte| *byte == 0).next().unwrap_or(reason);
                    let reason = String::from_utf8_lossy(text).into_owned();
                    ctx.notice(SUBSYS, format!("Killed by node {from} : {reason}"));
                    ctx.out.push(Output::Die { status: STATUS_FATAL });
                }
            }
            function::SHUTDOWN => {
                ctx.notice(SUBSYS, format!("Node {from} was shut down by sysadmin"));
                if from == ctx.me {
                    ctx.out.push(Output::Shutdown);
                }
            }
            function::RELOAD_CONFIG => {
                ctx.notice(SUBSYS, format!("Config reload requested by node {from}"));
                if message.u32(16) == Some(ctx.me.0) {
                    self.reloading = message.u64(24).map(ConnId);
                }
                ctx.out.push(Output::ReadConfig);
            }
            // Each node follows its own announcements: they come behind what it sent before.
            function::CRYPTO_RECONFIG if from == ctx.me => {
                let phase = message.u32(16).unwrap_or(0);
                ctx.log(Priority::Debug, SUBSYS, || {
                    format!("Crypto reconfiguration phase {phase}")
                });
                let phase = match phase {
                    PHASE_ACTIVATE => CryptoPhase::Activate,
                    PHASE_CLEANUP => CryptoPhase::CleanUp,
                    _ => return,
                };
                ctx.out.push(Output::Crypto(phase));
                if phase == CryptoPhase::Activate {
                    announce_crypto(ctx, PHASE_CLEANUP);
                }
            }
            _ => {}
        }
    }
}

/// What fits a 256-byte C string.
fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(255)]
}

fn announce_crypto(ctx: &mut Ctx<'_>, phase: u32) {
    let id = exec_id(ServiceId::Cfg, function::CRYPTO_RECONFIG);
    let mut request = Message::request(id, 24);
    request.put_u32(16, phase);
    ctx.mcast(ServiceId::Cfg, function::CRYPTO_RECONFIG, request.into_bytes());
}

fn send_shutdown(ctx: &mut Ctx<'_>) {
    let request = Message::request(exec_id(ServiceId::Cfg, function::SHUTDOWN), 16);
    ctx.mcast(ServiceId::Cfg, function::SHUTDOWN, request.into_bytes());
}

fn test_shutdown(error: CsError, flags: u32) -> Message {
    let mut event = Message::response(10, 32, error);
    event.put_u32(24, flags);
    event
}

fn ring_status(around: &dyn Surroundings) -> Message {
    let mut answer = Message::response(0, 10_272, CsError::Ok);
    let links = around.links();
    answer.put_u32(24, links.len().min(16) as u32);
    for (nth, (name, status)) in links.iter().take(16).enumerate() {
        answer.put(32 + 128 * nth, &name.as_bytes()[..name.len().min(127)]);
        answer.put(2080 + 512 * nth, &status.as_bytes()[..status.len().min(511)]);
    }
    answer
}

#[cfg(test)]
#[path = "cfg_tests.rs"]
mod tests;
