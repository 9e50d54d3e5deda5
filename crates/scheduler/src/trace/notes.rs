//! How the stages of the pipeline leave notes. Every function does nothing, and allocates nothing,
//! while the trace is off.

use super::{
    Candidate, Contribution, Decision, How, Origin, Promotion, PromotionSource, PromotionStep,
    Restart, Source, TieBreak, Trace, Unusable, Verdict,
};
use crate::action::flag;
use crate::ids::{ActIx, Id, NodeIx, NodeTable, RscIx};
use crate::model::{Role, Sched};

impl Sched {
    /// Puts what changed in a resource's scores down to a source.
    #[inline]
    pub(crate) fn note(&mut self, rsc: RscIx, source: impl FnOnce(&Sched) -> Source) {
        if self.trace.is_some() {
            let source = source(self);
            self.note_changes(rsc, &source);
        }
    }

    fn note_changes(&mut self, rsc: RscIx, source: &Source) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        let table = &self.rscs[rsc].allowed;
        if trace.shadow.len() <= rsc.index() {
            trace.shadow.resize_with(rsc.index() + 1, NodeTable::default);
            trace.scores.resize_with(rsc.index() + 1, Vec::new);
        }
        let shadow = &mut trace.shadow[rsc.index()];
        for node in self.nodes.ids() {
            let before = shadow.get(node).map(|entry| entry.score);
            let after = table.get(node).map(|entry| entry.score);
            if before != after {
                trace.scores[rsc.index()].push(Contribution {
                    rsc,
                    node,
                    source: source.clone(),
                    before,
                    after,
                    added: None,
                });
            }
        }
        *shadow = table.clone();
    }

    /// Notes an addition, even one that had no effect.
    #[inline]
    pub(crate) fn note_added(
        &mut self,
        rsc: RscIx,
        node: NodeIx,
        added: i32,
        source: impl FnOnce(&Sched) -> Source,
    ) {
        if self.trace.is_none() {
            return;
        }
        let source = source(self);
        let noted = |trace: &Trace| trace.scores.get(rsc.index()).map_or(0, Vec::len);
        let from = self.trace.as_deref().map_or(0, noted);
        self.note_changes(rsc, &source);
        let score = self.rscs[rsc].allowed.get(node).map(|entry| entry.score);
        let Some(trace) = self.trace.as_deref_mut() else { return };
        let Some(scores) = trace.scores.get_mut(rsc.index()) else { return };
        match scores.get_mut(from) {
            Some(c) if c.node == node => c.added = Some(added),
            // Nothing to tell of a nought that changes nothing.
            _ if added == 0 => {}
            _ => scores.push(Contribution {
                rsc,
                node,
                source,
                before: score,
                after: score,
                added: Some(added),
            }),
        }
    }

    /// A place to come back to with [`note_forget`](Self::note_forget).
    pub(crate) fn note_mark(&self, rscs: &[RscIx]) -> Vec<usize> {
        let Some(trace) = &self.trace else { return Vec::new() };
        rscs.iter().map(|rsc| trace.scores.get(rsc.index()).map_or(0, Vec::len)).collect()
    }

    /// Forgets what was noted of these resources since the mark: it was a trial.
    pub(crate) fn note_forget(&mut self, mark: &[usize], rscs: &[RscIx]) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        for (rsc, mark) in rscs.iter().zip(mark) {
            if let Some(scores) = trace.scores.get_mut(rsc.index()) {
                scores.truncate(*mark);
            }
            if let Some(shadow) = trace.shadow.get_mut(rsc.index()) {
                *shadow = self.rscs[*rsc].allowed.clone();
            }
        }
    }

    // --- decisions ----------------------------------------------------------------------------

    /// Notes how a node is about to be chosen among `nodes` (in order of preference).
    pub(crate) fn note_decision(
        &mut self,
        rsc: RscIx,
        how: How,
        nodes: &[NodeIx],
        chosen: Option<NodeIx>,
        active: Option<NodeIx>,
    ) {
        if self.trace.is_none() {
            return;
        }
        self.note_changes(rsc, &Source::Unknown);
        let table = &self.rscs[rsc].allowed;
        let candidates = nodes
            .iter()
            .map(|node| Candidate {
                node: *node,
                score: table.get(*node).map_or(-crate::score::INFINITY, |entry| entry.score),
                unusable: self.nodes[*node].unusable(),
                load: self.nodes[*node].num_resources,
                lost_by: chosen
                    .filter(|winner| winner != node)
                    .map(|winner| self.lost_by(table, winner, *node, active, how)),
            })
            .collect();
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.decisions.push(Decision { rsc, how, candidates, chosen });
        }
    }

    /// The first rule of the order of preference that sets two nodes apart.
    fn lost_by(
        &self,
        table: &NodeTable,
        winner: NodeIx,
        other: NodeIx,
        active: Option<NodeIx>,
        how: How,
    ) -> TieBreak {
        use crate::options::Placement;
        let score = |node| table.get(node).map_or(-crate::score::INFINITY, |entry| entry.score);
        if self.nodes[other].unusable().is_some_and(|why| why != Unusable::Pending) {
            return TieBreak::Unusable;
        }
        if score(other) < 0 {
            return TieBreak::Banned;
        }
        if score(other) != score(winner) {
            return TieBreak::Score;
        }
        match how {
            How::Asked => return TieBreak::Asked,
            How::Stays => return TieBreak::Running,
            _ => {}
        }
        let strategy = self.options.placement;
        if strategy == Placement::Balanced && self.compare_capacity(winner, other).is_ne() {
            return TieBreak::Capacity;
        }
        if strategy != Placement::Minimal
            && self.nodes[winner].num_resources != self.nodes[other].num_resources
        {
            return TieBreak::Load;
        }
        if active == Some(winner) { TieBreak::Running } else { TieBreak::Name }
    }

    /// Notes where a resource was really put.
    pub(crate) fn note_placed(&mut self, rsc: RscIx, node: Option<NodeIx>) {
        let Some(trace) = self.trace.as_deref_mut() else { return };
        if let Some(decision) = trace.decisions.iter_mut().rev().find(|d| d.rsc == rsc) {
            decision.chosen = node;
        }
    }

    // --- promotion ----------------------------------------------------------------------------

    /// Notes a change of an instance's promotion score.
    pub(crate) fn note_promotion(&mut self, rsc: RscIx, source: PromotionSource, after: i32) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.promotion.push(PromotionStep { rsc, source, after });
        }
    }

    /// Notes what became of an instance.
    pub(crate) fn note_verdict(&mut self, clone: RscIx, rsc: RscIx, promoted: i32, done: bool) {
        if self.trace.is_none() {
            return;
        }
        let score = self.rscs[rsc].promotion_priority;
        let max = self.rscs[clone].clone.promoted_max;
        let verdict = if done {
            Verdict::Promoted
        } else if score < 0 {
            Verdict::Negative
        } else if promoted >= max {
            Verdict::Max
        } else if !self.quorate
            && self.options.no_quorum == crate::options::NoQuorum::Freeze
            && self.role(rsc, true) < Role::Promoted
        {
            Verdict::Frozen
        } else {
            Verdict::NoPlace
        };
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.promoted.push(Promotion { rsc, score, verdict, max });
        }
    }

    // --- orderings ----------------------------------------------------------------------------

    /// Does something, with all orderings made by it put down to an origin.
    pub(crate) fn because<R>(
        &mut self,
        origin: impl FnOnce() -> Origin,
        work: impl FnOnce(&mut Sched) -> R,
    ) -> R {
        let Some(trace) = self.trace.as_deref_mut() else { return work(self) };
        let saved = trace.origin.replace(origin());
        let result = work(self);
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.origin = saved;
        }
        result
    }

    /// Notes that an ordering was added.
    pub(crate) fn note_ordering(&mut self) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.ordering_origins.push(trace.origin.clone());
        }
    }

    /// Says which ordering is being applied.
    pub(crate) fn note_applying(&mut self, ordering: Option<usize>) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.origin =
                ordering.and_then(|at| trace.ordering_origins.get(at).cloned()).flatten();
        }
    }

    /// Notes that two actions were related.
    pub(crate) fn note_relation(&mut self, first: ActIx, then: ActIx) {
        if let Some(trace) = self.trace.as_deref_mut()
            && let Some(origin) = trace.origin.clone()
        {
            let known = trace.relations.entry((first, then)).or_default();
            if !known.contains(&origin) {
                known.push(origin);
            }
        }
    }

    /// Notes that a relation was replaced by one with the completion of a collective's action,
    /// or of instances.
    pub(crate) fn note_relation_moved(&mut self, old: (ActIx, ActIx), new: (ActIx, ActIx)) {
        if let Some(trace) = self.trace.as_deref_mut()
            && let Some(origins) = trace.relations.get(&old).cloned()
        {
            let known = trace.relations.entry(new).or_default();
            for origin in origins {
                if !known.contains(&origin) {
                    known.push(origin);
                }
            }
        }
    }

    /// Notes that an action lost a flag because of another.
    pub(crate) fn note_cleared(&mut self, action: ActIx, which: u32, cause: ActIx) {
        if let Some(trace) = self.trace.as_deref_mut() {
            match which {
                flag::OPTIONAL => {
                    trace.required_by.entry(action).or_insert(cause);
                }
                flag::RUNNABLE => {
                    trace.blocked_by.entry(action).or_insert(cause);
                }
                _ => {}
            }
        }
    }

    /// Notes why a resource has to be stopped and started.
    pub(crate) fn note_restart(&mut self, rsc: RscIx, why: Restart) {
        if let Some(trace) = self.trace.as_deref_mut() {
            trace.restarts.entry(rsc).or_insert(why);
        }
    }
}
