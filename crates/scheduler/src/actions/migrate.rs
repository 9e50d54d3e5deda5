//! Live migration. Source: `spec/scheduler-actions.md` §7.3.

use crate::action::{flag, rel};
use crate::ids::{NodeIx, RscIx};
use crate::model::Sched;

impl Sched {
    pub(crate) fn can_migrate(&self, rsc: RscIx, current: Option<NodeIx>) -> bool {
        let r = &self.rscs[rsc];
        let clean = current.is_some_and(|n| self.nodes[n].online && !self.nodes[n].unclean);
        r.migratable
            && r.managed
            && !r.failed
            && !r.start_pending
            && clean
            && r.assigned.is_some_and(|placed| !self.nodes[placed.node].unclean)
    }

    pub(crate) fn create_migration(&mut self, rsc: RscIx, source: NodeIx, target: NodeIx) {
        let start = self.task_action(rsc, "start", Some(target), true);
        let stop = self.stop_action(rsc, source, true);
        let continuing = self.rscs[rsc].partial_target.is_some();
        let migrate_to = if continuing {
            None
        } else {
            Some(self.task_action(rsc, "migrate_to", Some(source), true))
        };
        let migrate_from = self.task_action(rsc, "migrate_from", Some(target), true);
        self.actions[start].flags |= flag::MIGRATABLE | flag::PSEUDO;
        self.actions[stop].flags |= flag::MIGRATABLE;
        self.actions[migrate_from].flags |= flag::MIGRATABLE;
        let strict = rel::ORDERED | rel::UNMIGRATABLE_THEN_BLOCKS;
        if let Some(migrate_to) = migrate_to {
            self.actions[migrate_to].flags |= flag::MIGRATABLE;
            self.actions[migrate_to].needs = self.actions[start].needs;
            self.order_tasks(rsc, "monitor", rsc, "migrate_to", rel::ORDERED);
            self.order_tasks(rsc, "migrate_to", rsc, "migrate_from", strict);
        } else {
            self.actions[migrate_from].needs = self.actions[start].needs;
            self.order_tasks(rsc, "monitor", rsc, "migrate_from", rel::ORDERED);
        }
        self.order_tasks(rsc, "migrate_from", rsc, "stop", strict);
        self.order_tasks(rsc, "migrate_from", rsc, "start", strict | rel::FIRST_ELSE_THEN);
        let source_name = self.nodes[source].name.clone();
        let target_name = self.nodes[target].name.clone();
        let connection = self.rscs[rsc].is_connection;
        for action in [migrate_to, Some(migrate_from)].into_iter().flatten() {
            let meta = &mut self.actions[action].meta;
            meta.insert("migrate_source".into(), source_name.clone());
            meta.insert("migrate_target".into(), target_name.clone());
        }
        if let Some(migrate_to) = migrate_to
            && !connection
        {
            self.actions[migrate_to].meta.insert("record-pending".into(), "true".into());
        }
    }
}
