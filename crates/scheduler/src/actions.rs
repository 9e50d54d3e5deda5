//! What has to be done: configuration changes, probes, the steps between roles, recurring
//! operations, migration, fencing and notifications. Source: `spec/scheduler-actions.md` §4–10, §12.

mod collective;
mod config;
mod fencing;
mod migrate;
mod notify;
mod primitive;
mod probe;
mod recurring;
mod remote;

use crate::ids::RscIx;
use crate::model::{Sched, Variant};
use crate::trace::Origin;

impl Sched {
    /// Creates the actions of a resource as its variant demands.
    pub(crate) fn create_actions(&mut self, rsc: RscIx) {
        match self.rscs[rsc].variant {
            Variant::Primitive => self.create_primitive(rsc),
            Variant::Group => self.create_group(rsc),
            Variant::Clone => self.create_clone(rsc),
            Variant::Bundle => self.create_bundle(rsc),
        }
    }

    /// Stage I of the pipeline (`spec/scheduler.md` §3).
    pub(crate) fn create_all_actions(&mut self) {
        self.check_deferred_params();
        if self.options.startup_probes {
            self.because(|| Origin::Probe, Sched::schedule_probes);
        }
        self.clear_failcounts_of_removed();
        for rsc in self.top.clone() {
            self.create_actions(rsc);
        }
    }

    fn clear_failcounts_of_removed(&mut self) {
        use crate::action::{End, rel};
        for rsc in self.top.clone() {
            if !self.rscs[rsc].removed {
                continue;
            }
            for node in self.node_order.clone() {
                if !self.nodes[node].online || self.failcount(rsc, node, true).0 == 0 {
                    continue;
                }
                let clear = self.clear_failcount_action(rsc, node);
                let stop = crate::text::op_key(&self.rscs[rsc].id, "stop", 0);
                let first = End { action: Some(clear), ..End::default() };
                self.order(first, End::key(rsc, stop), rel::ORDERED);
            }
        }
    }
}
