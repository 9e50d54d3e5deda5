//! Doing what the cores ask for: their outputs become packets, answers, files and log lines.

use std::cell::RefCell;

use base::{NodeId, Time};
use qb::log::blackbox;
use totem::{ConfigKind, QueueLevel};

use super::daemon::{Daemon, members, ring_config};
use super::files::{self, strerror};
use super::host::Machine;
use super::{logs, process, status};
use crate::cmap::Map;
use crate::config::host::Running;
use crate::config::logging;
use crate::config::timing::Timing;
use crate::config::totem::{self as config, TotemConfig};
use crate::engine::{
    Admission, GROUP_SERVICES, GROUP_SYNC, GROUP_YKD, Membership, Output, ServiceId, info,
};

impl Daemon {
    pub(super) fn pump(&mut self, now: Time) {
        // A packet can bring dozens of messages: each client is woken once for all of them.
        self.ipc.put_off_wakeups();
        loop {
            let mut busy = self.drain_ring(now);
            busy |= self.drain_engine(now);
            if !busy {
                break;
            }
        }
        self.refill(now);
        self.flush_ring();
        self.ipc.pay_wakeups();
        self.srp.set_brake(self.ipc.brake(now));
        if self.ipc.take_spare_memory() {
            process::give_back_memory();
        }
        self.follow_changes(now);
        let closed = self.engine.is_syncing()
            || !self.overflow.is_empty()
            || self.srp.queue_level() == QueueLevel::Critical;
        self.ipc.set_closed(closed);
    }

    /// Hands what the ring sends to the kernel.
    fn flush_ring(&mut self) {
        if self.transport.is_flushed() {
            return;
        }
        let failed = self.transport.flush();
        self.send_failures =
            if failed == 0 { 0 } else { self.send_failures.saturating_add(failed as u32) };
    }

    pub(super) fn drain_ring(&mut self, now: Time) -> bool {
        let mut busy = false;
        while let Some(output) = self.srp.poll_output() {
            busy = true;
            match output {
                totem::Output::Multicast(packet) => self.transport.send_mcast(packet),
                totem::Output::Unicast { to, packet } => self.transport.send_token(to, packet),
                totem::Output::Persist { ring_seq } => self.persist(ring_seq),
                totem::Output::Deliver(delivery) => {
                    // The token goes on while we are busy with what it brought.
                    self.flush_ring();
                    for group in [GROUP_SERVICES, GROUP_SYNC, GROUP_YKD] {
                        if delivery.groups.contains(group) {
                            let swapped = delivery.foreign_order;
                            let payload = &delivery.payload;
                            self.engine.handle_delivery(
                                now,
                                delivery.from,
                                group,
                                payload,
                                swapped,
                            );
                        }
                    }
                }
                totem::Output::Config(change) => self.membership(now, change),
                totem::Output::TokenSent => {}
                totem::Output::Processors(count) => self.is_alone = count <= 1,
                totem::Output::CheckInterface => self.check_interface(now),
                totem::Output::Event(event) => {
                    base::log!(event.priority(), sub: "TOTEM", "{event}");
                }
                other => base::debug!(sub: "TOTEM", "nothing to do for {other:?}"),
            }
            // Deliveries can be many; what the engine says about them must not pile up.
            self.drain_engine(now);
        }
        busy
    }

    fn persist(&mut self, ring_seq: u64) {
        if let Err(error) = files::store_ring_seq(&self.state_dir, self.config.node_id, ring_seq) {
            base::error!(sub: "TOTEM", "Couldn't store new ring id {ring_seq:x} to stable storage: {}", strerror(&error));
            self.exit = Some(status::RING_ID);
        }
    }

    fn membership(&mut self, now: Time, change: totem::ConfigChange) {
        let change = Membership {
            ring: change.ring_id,
            members: change.members,
            left: change.left,
            joined: change.joined,
            is_transitional: change.kind == ConfigKind::Transitional,
        };
        let config = &self.config;
        let ip_text = |node: NodeId| {
            let all = config.addresses_of(node);
            if all.is_empty() {
                return format!("r(0) ip({node}) ");
            }
            all.iter().map(|(number, ip)| format!("r({number}) ip({ip}) ")).collect()
        };
        self.engine.handle_membership(now, &change, &ip_text);
    }

    pub(super) fn drain_engine(&mut self, now: Time) -> bool {
        let mut busy = false;
        loop {
            let outputs = self.engine.take_outputs();
            if outputs.is_empty() {
                return busy;
            }
            busy = true;
            for output in outputs {
                self.perform(now, output);
            }
        }
    }

    pub(super) fn perform(&mut self, now: Time, output: Output) {
        match output {
            Output::Mcast { group, payload } => self.multicast(now, group, payload),
            Output::Reply { conn, bytes } => self.ipc.respond(conn, &bytes),
            Output::Event { conn, bytes } => self.ipc.event(conn, &bytes),
            Output::SyncComplete => {
                self.srp.trans_ack(now);
                process::notify_ready();
            }
            Output::Loaded { service } => self.open_socket(service),
            Output::Log { priority, subsys, text } => base::log!(priority, sub: subsys, "{text}"),
            Output::ReadConfig => self.reload(now),
            Output::Crypto(phase) => self.change_crypto(phase),
            Output::LogConfigChanged => self.log_changed = true,
            Output::TotemConfigChanged => self.totem_changed = true,
            Output::ReopenLogs { conn } => {
                let errors = self.logger.reopen();
                for error in &errors {
                    base::error!(sub: "MAIN", "{error}");
                }
                self.engine.handle_logs_reopened(now, conn, errors.is_empty());
            }
            Output::ForceGather => self.srp.interface_changed(now),
            Output::DumpBlackbox => self.dump_recorder(),
            Output::DumpState => self.log_state(),
            Output::Watchdog(command) => self.watchdog.perform(now, &command),
            Output::Shutdown => self.shut_down(),
            Output::Die { status } => self.exit = Some(status),
        }
    }

    /// Writes the flight recorder beside the other state.
    fn dump_recorder(&self) {
        let Some(recorder) = self.logger.recorder() else {
            base::warning!(sub: "MAIN", "The flight recorder is off (logging.blackbox)");
            return;
        };
        let path = blackbox::file_name(&self.state_dir);
        let done = recorder.dump(&path).and_then(|()| blackbox::point_to(&self.state_dir, &path));
        if let Err(error) = done {
            base::error!(
                sub: "MAIN",
                "Can't write flight data to {}: {}", path.display(), strerror(&error)
            );
        }
    }

    fn open_socket(&mut self, service: ServiceId) {
        let Some(name) = info(service).and_then(|info| info.ipc) else { return };
        if let Err(error) = self.ipc.open(&self.lp, service, name) {
            base::error!(sub: "QB", "Can't open the socket of {name}: {}", strerror(&error));
            self.exit = Some(status::FATAL);
        }
    }

    fn multicast(&mut self, now: Time, group: &'static [u8], payload: Vec<u8>) {
        if !self.overflow.is_empty() || !self.send(now, group, &payload) {
            self.overflow.push_back((group, payload));
        }
    }

    /// False when the ring's queue is full.
    fn send(&mut self, now: Time, group: &[u8], payload: &[u8]) -> bool {
        let sent = self.srp.multicast(now, totem::Guarantee::Agreed, group, &[payload]);
        match sent {
            totem::Admission::Room(_) => true,
            totem::Admission::Full => false,
            totem::Admission::TooBig => {
                let size = payload.len();
                base::error!(sub: "TOTEM", "a message of {size} bytes is too big for the ring");
                true
            }
        }
    }

    /// Sends what had found no room.
    fn refill(&mut self, now: Time) {
        while let Some((group, payload)) = self.overflow.pop_front() {
            if !self.send(now, group, &payload) {
                self.overflow.push_front((group, payload));
                return;
            }
        }
        if self.parked.is_empty() || self.engine.is_syncing() {
            return;
        }
        while let Some((conn, bytes)) = self.parked.pop_front() {
            if self.admission(bytes.len()) == Admission::Full {
                self.parked.push_front((conn, bytes));
                return;
            }
            self.hand_over(now, conn, &bytes);
            self.drain_engine(now);
        }
        self.ipc.release_held();
    }

    /// Things that need doing once, however often they were asked for.
    fn follow_changes(&mut self, now: Time) {
        if std::mem::take(&mut self.log_changed) {
            match logging::read(self.engine.map()) {
                Ok(settings) => {
                    self.logger.set_recording(settings.blackbox);
                    for error in self.logger.configure(logs::config(&settings, false)) {
                        base::error!(sub: "MAIN", "{error}");
                    }
                }
                Err(text) => base::error!(sub: "MAIN", "parse error in config: {text}."),
            }
        }
        if std::mem::take(&mut self.totem_changed) {
            let timing = Timing::read(self.engine.map(), self.config.nodes.len());
            if let Err(text) = timing.validate() {
                base::error!(sub: "MAIN", "parse error in config: {text}");
            }
            timing.publish(self.engine.map_mut());
            self.engine.handle_map_changed(now);
            self.drain_engine(now);
            self.config.timing = timing;
            self.srp.set_config(ring_config(&self.config));
            self.tune_links(now);
        }
        if let Some(votes) = self.engine.tracking_barrier()
            && votes != self.barrier
        {
            self.barrier = votes;
            if let Err(error) = files::store_barrier(&self.state_dir, votes) {
                base::warning!(
                    sub: "VOTEQ",
                    "Unable to update ev_tracking_barrier on disk data!!! {}", strerror(&error)
                );
            }
        }
    }

    fn reload(&mut self, now: Time) {
        let read = files::read_config(&self.config_path);
        if let Ok(parsed) = &read {
            for warning in &parsed.warnings {
                base::warning!(sub: "MAIN", "{warning}");
            }
        }
        let fresh: RefCell<Option<TotemConfig>> = RefCell::new(None);
        let current = &self.config;
        let machine = Running { host: Machine, own: current.node_id };
        let check = |map: &mut Map| {
            let mut warnings = Vec::new();
            let read = config::read(map, &machine, &mut warnings)?;
            for warning in warnings {
                base::warning!(sub: "MAIN", "{warning}");
            }
            if read.node_id != current.node_id || read.bind != current.bind {
                return Err("The local node's id and address cannot be changed at run-time".into());
            }
            super::knet::check_change(current, &read)?;
            if current.knet.is_none() {
                check_addresses(current, &read)?;
            }
            logging::read(map)?;
            *fresh.borrow_mut() = Some(read);
            Ok(())
        };
        self.engine.handle_reload(now, read, &check);
        if let Some(new) = fresh.into_inner() {
            self.config.nodes = new.nodes;
            self.config.timing = new.timing;
            self.transport.set_members(&members(&self.config));
            self.srp.set_config(ring_config(&self.config));
            if let Some(knet) = new.knet {
                self.change_links(now, knet);
            }
        }
    }
}

/// A node that stays keeps its address: it goes in one reload and comes in another.
fn check_addresses(current: &TotemConfig, new: &TotemConfig) -> Result<(), String> {
    let moved = current.nodes.iter().find_map(|old| {
        let same = new.nodes.iter().find(|node| node.id == old.id && node.addr != old.addr)?;
        Some((old.addr, same.addr))
    });
    let Some((old, new)) = moved else { return Ok(()) };
    base::error!(
        sub: "TOTEM",
        "new config has different address for link 0 (addr changed from {old} to {new}). Internal \
         value was NOT changed."
    );
    Err("To reconfigure an interface it must be deleted and recreated. A working interface needs \
         to be available to corosync at all times"
        .into())
}
