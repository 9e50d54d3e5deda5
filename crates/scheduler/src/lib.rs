//! From the state of a cluster to a transition: a function of a CIB and the time.
//!
//! The pipeline, one module (or folder) a stage:
//!
//! 1. [`upgrade`]: old syntax becomes new syntax.
//! 2. [`unpack`], [`resource`], [`bundle`], [`options`]: the configuration becomes the [`model`].
//! 3. [`state`], [`history`], [`operation`], [`failcount`]: the status section says what runs where.
//! 4. [`constraints`]: what resources want of nodes and of each other.
//! 5. [`placement`]: every resource gets a node (or none) and a role.
//! 6. [`actions`] on top of [`obtain`]: what has to be done to get there.
//! 7. [`orderings`]: what has to wait for what, and what that makes impossible or necessary.
//! 8. [`graph`]: the transition as XML and as dot; [`summary`] says it to people.
//!
//! [`present`] shows a state, [`simulate`] executes a transition on paper. [`trace`] records why,
//! [`explain`] says it in words; [`whatif`] and [`survive`] try things out. Ids are small integers
//! ([`ids`]); nothing here does I/O or looks at a clock. The rules are those of
//! `spec/scheduler*.md`, to the letter: action ids, their order and the order of inputs are part of
//! the result. A first change you could make here: another line in [`present`].

pub mod action;
pub mod constraints;
pub mod digest;
pub mod explain;
pub mod ids;
pub mod model;
pub mod options;
pub mod present;
pub mod rules;
pub mod score;
pub mod scores;
pub mod simulate;
pub mod survive;
pub mod synthetic;
pub mod text;
pub mod trace;
pub mod upgrade;
pub mod whatif;

mod actions;
mod attrs;
mod bundle;
mod failcount;
mod graph;
mod history;
mod obtain;
mod operation;
mod orderings;
mod placement;
mod resource;
mod state;
pub mod summary;
mod unpack;

use std::sync::Arc;

use trace::Origin;
use xml::Element;

pub use graph::Graph;
pub use model::Sched;
pub(crate) use orderings::base_task as orderings_base_task;

/// How to look at an input.
#[derive(Clone, Copy, Debug, Default)]
pub struct Input {
    /// Effective time, seconds since the epoch.
    pub now: i64,
    /// Seconds east of UTC, for times without offset.
    pub local_offset: i32,
    /// The input comes from a file whose secrets may be masked.
    pub sanitized: bool,
    /// Collect score lines.
    pub show_scores: bool,
    /// Collect utilization lines.
    pub show_utilization: bool,
    /// Record why (see [`trace`]).
    pub trace: bool,
}

/// The highest feature set whose inputs are understood.
pub const FEATURE_SET: &str = "3.20.5";

/// The feature set that graphs for Pacemaker 2.1 claim.
pub const FEATURE_SET_2_1: &str = "3.16.1";

/// Reads a CIB: configuration and status, up to and including the state of every resource. This is
/// what status displays need.
pub fn status(cib: &Arc<Element>, input: Input) -> Sched {
    let mut sched = Sched {
        cib: upgrade::upgrade(cib),
        now: input.now,
        local_offset: input.local_offset,
        sanitized: input.sanitized,
        show_scores: input.show_scores,
        show_utilization: input.show_utilization,
        trace: input.trace.then(Box::default),
        ..Sched::default()
    };
    let feature_set = cib.get("crm_feature_set").unwrap_or("");
    if text::compare_versions(FEATURE_SET, feature_set).is_lt() {
        let text = format!(
            "Can't process CIB with feature set '{feature_set}' greater than our own '{FEATURE_SET}'"
        );
        sched.say(model::Severity::ConfigError, "cluster_status", text);
        return sched;
    }
    sched.unpack_configuration();
    sched.unpack_status();
    sched.count_instances();
    sched.have_status = true;
    sched
}

impl Sched {
    /// Places everything: stages C to H of the pipeline (`spec/scheduler.md` §3).
    pub(crate) fn place(&mut self) {
        self.apply_node_health();
        self.unpack_constraints();
        self.apply_node_criteria();
        for rsc in self.top.clone() {
            self.internal_constraints(rsc);
        }
        self.because(|| Origin::Config, Sched::handle_config_changes);
        self.assign_resources();
    }

    /// Everything behind placement: stages I to N.
    pub(crate) fn plan(&mut self, transition_id: u32, compat_2_1: bool) {
        self.create_all_actions();
        self.because(|| Origin::Remote, Sched::order_remote_connections);
        self.because(|| Origin::Fencing, Sched::schedule_fencing_and_shutdowns);
        self.apply_orderings();
        self.summary = self.transition_summary();
        self.create_graph(transition_id, compat_2_1)
    }

    fn count_instances(&mut self) {
        let (mut instances, mut disabled, mut blocked) = (0, 0, 0);
        for top in &self.top {
            for leaf in self.leaves(*top) {
                let r = &self.rscs[leaf];
                if r.removed && r.orig_role == model::Role::Stopped {
                    continue;
                }
                instances += 1;
                disabled += usize::from(self.is_disabled(leaf));
                blocked += usize::from(r.blocked);
            }
        }
        (self.instances, self.disabled, self.blocked) = (instances, disabled, blocked);
    }
}

/// A transition, and what led to it.
pub struct Plan {
    /// The transition in words, one line an item.
    pub summary: Vec<present::Line>,
    /// The same as facts.
    pub changes: Vec<summary::Item>,
    /// Everything else: the graph, messages, score lines, actions.
    pub sched: Sched,
}

/// What to plan for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlanOptions {
    /// How to look at the input.
    pub input: Input,
    /// `transition_id` of the graph.
    pub transition_id: u32,
    /// Names of options as Pacemaker 2.1 writes them into the graph.
    pub compat_2_1: bool,
}

/// Plans a transition: what has to be done to bring a cluster into the state it should be in.
pub fn schedule(cib: &Arc<Element>, options: PlanOptions) -> Plan {
    with_room(|| plan_from(status(cib, options.input), options))
}

/// [`schedule`] for a state that [`status`] has just read, for the same input: who has looked at
/// the state need not have it read again. (A trace begins with reading.)
pub fn schedule_status(mut sched: Sched, options: PlanOptions) -> Plan {
    sched.show_scores = options.input.show_scores;
    sched.show_utilization = options.input.show_utilization;
    with_room(|| plan_from(sched, options))
}

/// Address space, not memory: only what is used costs.
const STACK: usize = 1 << 30;

/// Runs on a thread of its own, because what spreads along relations recurses as deep as the
/// longest chain of them.
fn with_room<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    // Where threads are short, the stack at hand has to do.
    let mut work = Some(work);
    let mut run = || work.take().map(|work| work());
    let thread = std::thread::Builder::new().name("schedule".into()).stack_size(STACK);
    let done = std::thread::scope(|scope| match thread.spawn_scoped(scope, &mut run) {
        Ok(running) => match running.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        },
        Err(_) => None,
    });
    done.or_else(run).expect("the work was either done on the thread or is done here")
}

fn plan_from(mut sched: Sched, options: PlanOptions) -> Plan {
    sched.compat_2_1 = options.compat_2_1;
    sched.place();
    sched.plan(options.transition_id, options.compat_2_1);
    let changes = std::mem::take(&mut sched.summary);
    let summary = summary::lines(&changes, 1);
    Plan { summary, changes, sched }
}
