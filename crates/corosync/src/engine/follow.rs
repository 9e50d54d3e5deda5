//! What follows from an input, and from time: verdicts are told, changes of the map are followed
//! up, a synchronisation that waits goes on.

use base::Time;
use base::log::Priority;

use super::{Ctx, Engine, Output, Sample, Surroundings, ctx};
use crate::cmap::{Change, Value};
use crate::services::votequorum::Votequorum;

impl Engine {
    // --- Time ---

    /// When to call [`Engine::handle_timeout`].
    pub fn next_deadline(&self) -> Option<Time> {
        let votes = self.votequorum.as_ref().and_then(Votequorum::deadline);
        [self.cfg.deadline(), votes, self.wd.deadline()].into_iter().flatten().min()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Time) {
        self.cfg.handle_timeout(ctx!(self, now));
        self.wd.handle_timeout(ctx!(self, now));
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.handle_timeout(ctx!(self, now));
        }
        self.settle(now);
    }

    /// When to call [`Engine::poll_stats`].
    pub fn stats_deadline(&self) -> Option<Time> {
        self.cmap.stats_deadline()
    }

    /// Tells those who track single statistics what changed.
    pub fn poll_stats(&mut self, now: Time, around: &dyn Surroundings) {
        self.cmap.poll_stats(ctx!(self, now), around);
    }

    /// When the machine is to be looked at for `mon`.
    pub fn sample_deadline(&self) -> Option<Time> {
        self.mon.deadline()
    }

    /// The machine was looked at.
    pub fn handle_sample(&mut self, now: Time, sample: &Sample) {
        self.mon.take(ctx!(self, now), sample);
        self.settle(now);
    }

    /// The shell changed the map ([`Engine::map_mut`]): those who track it are told.
    pub fn handle_map_changed(&mut self, now: Time) {
        self.settle(now);
    }

    /// The node is about to leave in order.
    pub fn handle_exit(&mut self, now: Time) {
        self.is_ipc_allowed = false;
        if let Some(votequorum) = &mut self.votequorum {
            votequorum.exit(ctx!(self, now));
        }
    }

    // --- What follows from every input ---

    /// Follows up an input: verdicts, changes of the map, a synchronisation that waits.
    pub(super) fn settle(&mut self, now: Time) {
        self.tell_quorum(now);
        // A reaction may change the map again; each round handles what the last one did.
        while self.map.has_changes() {
            for change in self.map.take_changes() {
                self.cmap.notify(ctx!(self, now), &change);
                self.react(now, &change);
            }
        }
        if let Some(service) = self.sync.unfinished() {
            self.process(now, service);
        }
        self.tell_quorum(now);
    }

    /// The load test that kills the engines of all nodes is left to upstream.
    pub(super) fn decline_pload(&mut self, now: Time) {
        ctx!(self, now).log(Priority::Warning, "PLOAD", || {
            "The load test that ends with the engine's death is not done here; `quorate cpg-load` \
             measures a living one"
                .into()
        });
    }

    fn react(&mut self, now: Time, change: &Change) {
        let key = change.key.as_str();
        if key.starts_with("logging.") && !self.is_reloading {
            self.out.push(Output::LogConfigChanged);
        } else if key == "totem.config_version" {
            self.cmap.version_changed(ctx!(self, now));
        } else if key.starts_with("totem.") && !key.starts_with("totem.interface.") {
            if !self.is_reloading {
                self.out.push(Output::TotemConfigChanged);
            }
        } else if key.starts_with("quorum.") || key.starts_with("nodelist.") {
            // A key that goes changes nothing until another one is set, as with upstream.
            if !self.is_reloading
                && change.new.is_some()
                && let Some(votequorum) = &mut self.votequorum
            {
                votequorum.config_changed(ctx!(self, now), false);
            }
        } else if key == "runtime.force_gather" {
            if change.new.as_ref().is_some_and(|value| *value != "no".into()) {
                ctx!(self, now).log(Priority::Error, "MAIN", || "Forcing into GATHER state".into());
                self.map.put("runtime.force_gather", "no".into());
                self.out.push(Output::ForceGather);
            }
        } else if key == "pload.start"
            && change.new.as_ref().and_then(Value::as_text).as_deref() == Some(PLOAD_START)
        {
            self.decline_pload(now);
        } else if key.starts_with("resources.") {
            self.mon.changed(ctx!(self, now), change);
            self.wd.changed(ctx!(self, now), change);
        } else if key == "runtime.blackbox.dump_flight_data" && is_request(change) {
            self.out.push(Output::DumpBlackbox);
        } else if key == "runtime.blackbox.dump_state" && is_request(change) {
            self.out.push(Output::DumpState);
        }
    }
}

/// A key that asks for something by getting any value but "no".
/// What `pload.start` has to be for the load test that ends all engines.
const PLOAD_START: &str =
    "i_totally_understand_pload_will_crash_my_cluster_and_kill_corosync_on_exit";

fn is_request(change: &Change) -> bool {
    change.new.as_ref().is_some_and(|value| *value != "no".into())
}
