//! What a resource thinks of each node, and whether an instance is promoted.

use super::words::unusable;
use super::{NodeView, PromotionView, Term};
use crate::ids::{NodeIx, RscIx};
use crate::model::Sched;
use crate::score::{self, INFINITY};
use crate::trace::{Candidate, Decision, PromotionSource, Source, TieBreak, Verdict};

impl Sched {
    // --- node by node -------------------------------------------------------------------------

    pub(super) fn node_views(&self, rsc: RscIx, on: Option<NodeIx>) -> Vec<NodeView> {
        let decision = self.trace.as_ref().and_then(|trace| trace.decision(rsc));
        let mut order: Vec<NodeIx> =
            decision.map(|d| d.candidates.iter().map(|c| c.node).collect()).unwrap_or_default();
        // The winner leads even where a tie was broken against the order.
        if let Some(chosen) = decision.and_then(|d| d.chosen)
            && let Some(at) = order.iter().position(|node| *node == chosen)
        {
            order[..=at].rotate_right(1);
        }
        for node in &self.node_order {
            if !order.contains(node) {
                order.push(*node);
            }
        }
        order
            .into_iter()
            .filter(|node| match on {
                Some(on) => on == *node,
                // Guests are no places for most resources: tell only of those that were looked at.
                None => {
                    !self.is_remote_kind(*node)
                        || self.rscs[rsc].allowed.get(*node).is_some_and(|e| e.score > -INFINITY)
                }
            })
            .map(|node| self.node_view(rsc, node, decision))
            .collect()
    }

    fn node_view(&self, rsc: RscIx, node: NodeIx, decision: Option<&Decision>) -> NodeView {
        let candidate =
            decision.and_then(|d| d.candidates.iter().find(|c| c.node == node)).cloned();
        let chosen = self.rscs[rsc].assigned.map(|placed| placed.node);
        let table = self.rscs[rsc].allowed.get(node).map(|entry| entry.score);
        let candidate = candidate.or_else(|| {
            table.map(|score| Candidate {
                node,
                score,
                unusable: self.nodes[node].unusable(),
                load: self.nodes[node].num_resources,
                lost_by: None,
            })
        });
        let terms = self.terms(rsc, node);
        let (verdict, text) = match &candidate {
            _ if chosen == Some(node) => ("chosen", "chosen".to_owned()),
            None if self.options.symmetric => {
                ("not-considered", "not considered for this resource".to_owned())
            }
            None => (
                "not-considered",
                "no location constraint allows it (symmetric-cluster=false)".to_owned(),
            ),
            Some(Candidate { unusable: Some(why), .. }) => {
                ("unusable", format!("the node {}", unusable(*why)))
            }
            Some(candidate) if candidate.score <= -INFINITY => ("banned", "not allowed".to_owned()),
            Some(candidate) if candidate.score < 0 => {
                ("banned", "not allowed, because the score is negative".to_owned())
            }
            Some(candidate) => ("possible", self.lost(candidate, chosen, decision)),
        };
        NodeView {
            node: self.node_name(node),
            score: candidate.map(|c| c.score),
            verdict,
            text,
            terms,
        }
    }

    fn lost(
        &self,
        candidate: &Candidate,
        chosen: Option<NodeIx>,
        decision: Option<&Decision>,
    ) -> String {
        let Some(winner) = chosen else { return "possible, but not chosen".into() };
        let name = &self.nodes[winner].name;
        let best = decision.and_then(|d| d.candidates.iter().find(|c| c.node == winner));
        match (candidate.lost_by, best) {
            (Some(TieBreak::Score), Some(best)) => format!(
                "possible, but {name} is better ({} against {})",
                score::text(best.score),
                score::text(candidate.score)
            ),
            (Some(TieBreak::Load), Some(best)) => format!(
                "as good, but {name} has fewer resources ({} against {})",
                best.load, candidate.load
            ),
            (Some(TieBreak::Capacity), _) => format!("as good, but {name} has more room"),
            (Some(TieBreak::Running), _) => format!("as good, but it runs on {name} already"),
            (Some(TieBreak::Asked), _) => format!("as good, but {name} is its place"),
            (Some(TieBreak::Name), _) => format!("as good, but the name {name} comes first"),
            _ => format!("possible, but {name} was chosen"),
        }
    }

    fn terms(&self, rsc: RscIx, node: NodeIx) -> Vec<Term> {
        let Some(trace) = &self.trace else { return Vec::new() };
        trace
            .contributions(rsc, node)
            .filter(|c| c.source != Source::Base || c.after != Some(0))
            .map(|c| self.term(c))
            .collect()
    }

    // --- promotion ----------------------------------------------------------------------------

    pub(super) fn promotion_view(&self, rsc: RscIx) -> Option<PromotionView> {
        let trace = self.trace.as_ref()?;
        let outcome = trace.promoted.iter().rev().find(|p| p.rsc == rsc)?;
        let clone = self.rscs[rsc].parent?;
        let clone_id = &self.rscs[clone].id;
        let text = match outcome.verdict {
            Verdict::Promoted => format!("it is one of the {} best", outcome.max),
            Verdict::Negative => "its promotion score is negative".into(),
            Verdict::Max => format!(
                "others of {clone_id} come first, and only {} may be promoted (promoted-max)",
                outcome.max
            ),
            Verdict::Frozen => "there is no quorum (no-quorum-policy=freeze)".into(),
            Verdict::NoPlace => "it runs nowhere, or its node is not fit for it".into(),
        };
        let steps = trace.promotion.iter().filter(|step| step.rsc == rsc);
        let terms = steps
            .map(|step| {
                let (source, id, text) = match &step.source {
                    PromotionSource::Attribute => (
                        "promotion-score",
                        None,
                        "promotion score of the node (its agent sets it)".into(),
                    ),
                    PromotionSource::NoAttribute => (
                        "no-promotion-score",
                        None,
                        "its agent has set no promotion score for the node".into(),
                    ),
                    PromotionSource::Role => {
                        ("target-role", None, "it is not to be promoted (target-role)".into())
                    }
                    PromotionSource::Location(ix) => {
                        let id = self.locations[*ix].id.to_string();
                        let text = format!("location constraint {id} for the promoted role");
                        ("location", Some(id), text)
                    }
                    PromotionSource::Colocation(ix) => {
                        let id = self.colocations[*ix].id.to_string();
                        let text = format!("colocation constraint {id} for the promoted role");
                        ("colocation", Some(id), text)
                    }
                    PromotionSource::Clone => (
                        "clone",
                        None,
                        "with the clone's scores for the node and what depends on the promoted \
                         instance"
                            .into(),
                    ),
                };
                Term { source, id, with: None, change: None, score: Some(step.after), text }
            })
            .collect();
        Some(PromotionView {
            score: outcome.score,
            promoted: outcome.verdict == Verdict::Promoted,
            text,
            terms,
        })
    }
}

impl NodeView {
    /// Why not there, as short as can be.
    pub fn short(&self) -> String {
        if self.verdict != "banned" {
            return self.text.clone();
        }
        let decisive = self.terms.iter().find(|term| {
            term.score.is_some_and(|score| score < 0) && term.change.is_none_or(|c| c < 0)
        });
        decisive.map_or_else(|| self.text.clone(), |term| term.text.clone())
    }
}
