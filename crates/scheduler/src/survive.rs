//! What survives? Every set of nodes up to a size fails, and the cluster is played to its end.
//!
//! A study first lets the state come to rest (what is to be started is started), so that failures
//! hit a cluster that does what it should. What runs then should run after every failure, apart
//! from what is exempt ([`Exempt`]). Trying a set ([`Trial::try_set`]) is a pure function, so
//! callers can try many sets at once on as many threads as they like.
//!
//! Quorum is counted as votequorum does it: a vote for each cluster node, more than half of them
//! needed. In a cluster of two nodes one is enough, as `two_node` has it.

use std::collections::BTreeMap;
use std::sync::Arc;

use ecow::EcoString;
use xml::Element;

use crate::explain::list;
use crate::ids::{NodeIx, RscIx};
use crate::model::{NodeKind, Role, Sched};
use crate::options::NoQuorum;
use crate::whatif::{Events, Placement, Play, Settled, apply, settle};
use crate::{Input, PlanOptions, schedule, status};

/// Why a resource need not run after a failure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exempt {
    /// People disabled it.
    Disabled,
    /// It is not managed: the cluster may not touch it.
    Unmanaged,
    /// It is no longer configured.
    Removed,
    /// It does not run even without a failure.
    NotRunning,
}

impl Exempt {
    /// For people.
    pub fn text(self) -> &'static str {
        match self {
            Exempt::Disabled => "it is disabled (target-role)",
            Exempt::Unmanaged => "the cluster does not manage it",
            Exempt::Removed => "it is no longer configured",
            Exempt::NotRunning => "it does not run even without a failure",
        }
    }

    /// For programs.
    pub fn word(self) -> &'static str {
        match self {
            Exempt::Disabled => "disabled",
            Exempt::Unmanaged => "unmanaged",
            Exempt::Removed => "removed",
            Exempt::NotRunning => "not-running",
        }
    }
}

/// How quorum is found out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Quorum {
    /// By counting votes.
    #[default]
    Count,
    /// It is never lost.
    Always,
}

/// A cluster at rest, ready to be hit.
pub struct Study {
    input: Input,
    quorum: Quorum,
    /// The document at rest.
    pub cib: Arc<Element>,
    /// What holds for the whole cluster.
    pub notes: Vec<String>,
    /// Whether it has quorum.
    pub quorate: bool,
    /// Cluster nodes that can fail: members that are there.
    pub nodes: Vec<NodeIx>,
    /// Votes that are expected.
    members: usize,
    /// Where everything runs.
    pub placement: Placement,
    /// False if the cluster does not come to rest.
    pub stable: bool,
    /// What need not survive, and why.
    pub exempt: BTreeMap<EcoString, Exempt>,
    /// Why what does not run even without a failure does not.
    pub idle: BTreeMap<EcoString, String>,
    /// What is cloned: it survives while one instance does.
    pub cloned: Vec<EcoString>,
}

/// Tries sets of one study; each thread has one of its own.
pub struct Trial<'a> {
    study: &'a Study,
    sched: Sched,
}

/// A resource that should run and does not, or not as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// The resource.
    pub resource: EcoString,
    /// Where it ran.
    pub was: Vec<EcoString>,
    /// Why it does not run.
    pub why: String,
    /// It runs, but nothing of it is promoted any more.
    pub demoted: bool,
}

/// What came of a failure.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The nodes that failed.
    pub failed: Vec<EcoString>,
    /// Whether the rest has quorum.
    pub quorate: bool,
    /// Nodes that were fenced.
    pub fenced: Vec<EcoString>,
    /// Operations until the cluster was at rest again.
    pub operations: usize,
    /// False if it did not come to rest.
    pub stable: bool,
    /// Where everything runs then.
    pub placement: Placement,
    /// Resources that run somewhere else.
    pub moved: usize,
    /// Clones with fewer instances than before: exempt while one is left.
    pub degraded: Vec<EcoString>,
    /// What should run and does not.
    pub lost: Vec<Loss>,
}

impl Study {
    /// Lets a state come to rest.
    pub fn new(cib: &Arc<Element>, input: Input, quorum: Quorum) -> Study {
        let Settled { cib, sched, stable, .. } = settle(cib, Play { input, ..Play::default() });
        let is_member = |node: &NodeIx| sched.nodes[*node].kind == NodeKind::Cluster;
        let is_up = |node: &NodeIx| sched.nodes[*node].online && !sched.nodes[*node].unclean;
        let members: Vec<NodeIx> = sched.node_order.iter().copied().filter(is_member).collect();
        let mut study = Study {
            input,
            quorum,
            notes: sched.cluster_notes(),
            quorate: sched.quorate,
            members: members.len(),
            nodes: members.into_iter().filter(is_up).collect(),
            placement: sched.placement(),
            cib,
            stable,
            exempt: BTreeMap::new(),
            idle: BTreeMap::new(),
            cloned: Vec::new(),
        };
        study.sort_out(&sched);
        study
    }

    /// Finds out what need not survive.
    fn sort_out(&mut self, sched: &Sched) {
        // Spare instances of a clone say nothing about the others.
        let mut units: BTreeMap<EcoString, Option<Exempt>> = BTreeMap::new();
        for rsc in sched.primitives() {
            let unit = sched.unit(rsc);
            if sched.instance_of(rsc).is_some() && !self.cloned.contains(&unit) {
                self.cloned.push(unit.clone());
            }
            let why = sched.exempt(rsc);
            units.entry(unit).and_modify(|known| *known = known.and(why)).or_insert(why);
        }
        let mut idle = Vec::new();
        for (unit, why) in units {
            if let Some(why) = why {
                self.exempt.insert(unit, why);
            } else if self.placement.of(&unit).is_empty() {
                self.exempt.insert(unit.clone(), Exempt::NotRunning);
                idle.push(unit);
            }
        }
        self.idle = reasons(&self.cib, self.input, &idle);
    }

    /// Begins to try sets.
    pub fn trial(&self) -> Trial<'_> {
        Trial { study: self, sched: status(&self.cib, self.input) }
    }

    /// All sets of up to `failures` nodes that leave a node, the small ones first.
    pub fn sets(&self, failures: usize) -> Vec<Vec<NodeIx>> {
        let nodes = &self.nodes;
        let mut all: Vec<Vec<NodeIx>> = Vec::new();
        let mut last: Vec<Vec<NodeIx>> = vec![Vec::new()];
        for _ in 0..failures.min(nodes.len().saturating_sub(1)) {
            let mut next = Vec::new();
            for set in &last {
                let from = set.last().and_then(|last| nodes.iter().position(|n| n == last));
                for node in &nodes[from.map_or(0, |at| at + 1)..] {
                    let mut longer = set.clone();
                    longer.push(*node);
                    next.push(longer);
                }
            }
            all.extend(next.iter().cloned());
            last = next;
        }
        all
    }

    fn has_quorum_without(&self, failed: &[NodeIx]) -> bool {
        if self.quorum == Quorum::Always || !self.quorate {
            return self.quorate;
        }
        let left = self.nodes.iter().filter(|node| !failed.contains(node)).count();
        if self.members == 2 { left > 0 } else { left * 2 > self.members }
    }

    fn judge(&self, verdict: &mut Verdict, cib: &Arc<Element>) {
        let mut missing = Vec::new();
        for (unit, before) in &self.placement.0 {
            if self.exempt.contains_key(unit) {
                continue;
            }
            let after = verdict.placement.of(unit);
            let promoted = |places: &[(EcoString, Role)]| {
                places.iter().any(|(_, role)| *role == Role::Promoted)
            };
            let demoted = promoted(before) && !promoted(after);
            if after.is_empty() || demoted {
                missing.push(unit.clone());
                verdict.lost.push(Loss {
                    resource: unit.clone(),
                    was: before.iter().map(|(node, _)| node.clone()).collect(),
                    why: String::new(),
                    demoted: !after.is_empty(),
                });
                continue;
            }
            if after.len() < before.len() {
                verdict.degraded.push(unit.clone());
            }
            let elsewhere = |(node, _): &&(EcoString, Role)| !before.iter().any(|(n, _)| n == node);
            verdict.moved += after.iter().filter(elsewhere).count();
        }
        if missing.is_empty() {
            return;
        }
        let reasons = reasons(cib, self.input, &missing);
        for loss in &mut verdict.lost {
            if let Some(why) = reasons.get(&loss.resource) {
                loss.why.clone_from(why);
            }
        }
    }
}

impl Trial<'_> {
    /// Lets nodes fail at once, and the rest of the cluster do what it can.
    pub fn try_set(&self, failed: &[NodeIx]) -> Verdict {
        let study = self.study;
        let names: Vec<EcoString> =
            failed.iter().map(|node| self.sched.nodes[*node].name.clone()).collect();
        let quorate = study.has_quorum_without(failed);
        let mut cib = study.cib.clone();
        let events = Events {
            node_fail: names.iter().map(ToString::to_string).collect(),
            quorum: (quorate != study.quorate).then_some(quorate),
            ..Events::default()
        };
        let applied = apply(&mut cib, &events, &self.sched, study.input.now);
        debug_assert!(applied.is_ok(), "the nodes are out of the state itself");
        self.elect(&mut cib, failed);
        let end = settle(&cib, Play { input: study.input, brief: true, ..Play::default() });
        let mut verdict = Verdict {
            failed: names,
            quorate,
            placement: end.placement(),
            fenced: end.fenced,
            operations: end.operations,
            stable: end.stable,
            moved: 0,
            degraded: Vec::new(),
            lost: Vec::new(),
        };
        study.judge(&mut verdict, &end.cib);
        verdict
    }

    /// If the DC is among the failed, another node takes over.
    fn elect(&self, cib: &mut Arc<Element>, failed: &[NodeIx]) {
        let lost = self.sched.dc.is_some_and(|dc| failed.contains(&dc));
        let next = self.study.nodes.iter().find(|node| !failed.contains(node));
        if let Some(next) = next.filter(|_| lost) {
            let id = self.sched.nodes[*next].id.clone();
            Arc::make_mut(cib).set("dc-uuid", id);
        }
    }
}

/// Why resources do not run in a state, each in a sentence.
pub(crate) fn reasons(
    cib: &Arc<Element>,
    input: Input,
    units: &[EcoString],
) -> BTreeMap<EcoString, String> {
    if units.is_empty() {
        return BTreeMap::new();
    }
    let input = Input { trace: true, ..input };
    let plan = schedule(cib, PlanOptions { input, ..PlanOptions::default() });
    let sched = &plan.sched;
    let mut found: BTreeMap<EcoString, String> = BTreeMap::new();
    for rsc in sched.primitives() {
        let unit = sched.unit(rsc);
        if units.contains(&unit) && !found.contains_key(&unit) {
            let why = sched.why_not_running(rsc);
            found.insert(unit, why);
        }
    }
    found
}

impl Sched {
    /// Why the cluster need not run a resource.
    pub(crate) fn exempt(&self, rsc: RscIx) -> Option<Exempt> {
        let r = &self.rscs[rsc];
        if r.removed {
            Some(Exempt::Removed)
        } else if self.is_disabled_above(rsc) {
            Some(Exempt::Disabled)
        } else if !r.managed {
            Some(Exempt::Unmanaged)
        } else {
            None
        }
    }

    /// Why a resource does not run (or, running, is not promoted), in a sentence.
    pub fn why_not_running(&self, rsc: RscIx) -> String {
        let quorate = self.quorate || self.options.no_quorum == NoQuorum::Ignore;
        if !quorate && self.rscs[rsc].managed && self.rscs[rsc].assigned.is_some() {
            return "This partition has no quorum (no-quorum-policy).".into();
        }
        let lost: Vec<String> = self.rscs[rsc]
            .active
            .iter()
            .filter(|node| self.nodes[**node].unclean)
            .map(|node| self.node_name(*node))
            .collect();
        if !lost.is_empty() && self.rscs[rsc].managed {
            let why = if quorate { "cannot be fenced" } else { "may not be fenced without quorum" };
            return format!(
                "It may still run on {}, which {why}, so it cannot be started elsewhere.",
                list(&lost)
            );
        }
        match self.rscs[rsc].assigned {
            _ if !self.rscs[rsc].managed => {
                format!("The cluster leaves it alone: {}.", self.why_unmanaged(rsc))
            }
            None => self.nowhere(rsc),
            Some(placed) => match self.blocked_start(rsc, placed.node) {
                Some(why) => {
                    let node = &self.nodes[placed.node].name;
                    format!("It should start on {node}, but cannot: {why}.")
                }
                None => self.why_not_promoted(rsc),
            },
        }
    }

    fn why_not_promoted(&self, rsc: RscIx) -> String {
        let outcome = self.trace.as_ref().and_then(|trace| {
            let own = |p: &&crate::trace::Promotion| self.is_ancestor(p.rsc, rsc);
            trace.promoted.iter().rev().find(own)
        });
        match outcome {
            Some(outcome) => {
                let report = self.explain_resource(outcome.rsc, None);
                report
                    .promotion
                    .map_or_else(String::new, |p| format!("It is not promoted: {}.", p.text))
            }
            None => "It would be started in the next transition.".into(),
        }
    }
}
