//! The trace in plain words: why a resource is where it is, why an action is done and what it
//! waits for, what is the matter with a node.
//!
//! The functions return reports: plain data, names instead of ids, sentences ready to be read.
//! [`text`] prints them for people, [`json`] for programs (`docs/explain.md` documents that
//! format). They want a plan made with [`Input::trace`](crate::Input::trace); without a trace the
//! reports are true but say little. A first change you could make here: better words for a
//! [`Source`](crate::trace::Source), in `explain/words.rs`.

mod action;
mod choice;
pub mod json;
mod node;
mod resource;
pub mod text;
mod words;

use crate::action::flag;
use crate::ids::{ActIx, Id, NodeIx, RscIx};
use crate::model::Sched;
use crate::options::NoQuorum;

pub use words::list;

/// One thing that counts for or against a node.
#[derive(Clone, Debug)]
pub struct Term {
    /// What kind of thing, a word that programs can rely on.
    pub source: &'static str,
    /// The id of the constraint, operation or ticket.
    pub id: Option<String>,
    /// The other resource of a colocation, the resource that failed.
    pub with: Option<String>,
    /// What it adds; `None` where it sets the score.
    pub change: Option<i32>,
    /// The score after it; `None` if the node is not considered.
    pub score: Option<i32>,
    /// The same in words.
    pub text: String,
}

/// What a resource thinks of a node.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// The node's name.
    pub node: String,
    /// The score when the choice was made; `None` if the node was not considered.
    pub score: Option<i32>,
    /// `chosen`, `possible`, `banned`, `unusable`, `not-considered` or `promotion`.
    pub verdict: &'static str,
    /// The same in words.
    pub text: String,
    /// What led to the score, in the order in which it was counted.
    pub terms: Vec<Term>,
}

/// Why an instance is promoted or not.
#[derive(Clone, Debug)]
pub struct PromotionView {
    /// The final promotion score.
    pub score: i32,
    /// True if it is promoted.
    pub promoted: bool,
    /// Why (not).
    pub text: String,
    /// What led to the score.
    pub terms: Vec<Term>,
}

/// A resource explained.
#[derive(Clone, Debug)]
pub struct ResourceReport {
    /// The resource's id.
    pub id: String,
    /// `primitive`, `group`, `clone` or `bundle`.
    pub kind: &'static str,
    /// The agent of a primitive.
    pub agent: Option<String>,
    /// Where it runs now.
    pub running_on: Vec<String>,
    /// What it does now.
    pub role: &'static str,
    /// Where it should run.
    pub next_node: Option<String>,
    /// What it should do.
    pub next_role: &'static str,
    /// False if the cluster leaves it alone.
    pub managed: bool,
    /// The answer, most important first.
    pub summary: Vec<String>,
    /// Nodes in order of preference.
    pub nodes: Vec<NodeView>,
    /// For an instance of a promotable clone.
    pub promotion: Option<PromotionView>,
    /// What will be done with it.
    pub actions: Vec<ActionReport>,
    /// Members, instances, replicas.
    pub members: Vec<ResourceReport>,
}

/// Why one action waits for another.
#[derive(Clone, Debug)]
pub struct Because {
    /// What kind of thing, a word that programs can rely on.
    pub source: &'static str,
    /// The id of the constraint, or of the resource that implies it.
    pub id: Option<String>,
    /// The same in words.
    pub text: String,
}

/// Something an action waits for.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Number of the other action in the graph.
    pub number: usize,
    /// Its key.
    pub key: String,
    /// The node it is done on.
    pub node: Option<String>,
    /// What says so.
    pub because: Vec<Because>,
}

/// An action explained.
#[derive(Clone, Debug)]
pub struct ActionReport {
    /// Its number in the graph.
    pub number: usize,
    /// Its key, e.g. `vip_start_0`.
    pub key: String,
    /// What is done, in words.
    pub what: String,
    /// The task.
    pub task: String,
    /// Where.
    pub node: Option<String>,
    /// The resource.
    pub resource: Option<String>,
    /// `planned` (in the transition), `blocked` (needed, but cannot be done) or `not-needed`.
    pub state: &'static str,
    /// Nothing is executed, it only marks a point of the transition.
    pub marker: bool,
    /// Why it is needed, or what is in the way.
    pub why: Vec<String>,
    /// What has to be done before it.
    pub waits_for: Vec<Wait>,
}

/// What becomes of a resource on a node.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// The resource.
    pub resource: String,
    /// What it does there now.
    pub role: &'static str,
    /// What becomes of it.
    pub fate: String,
}

/// A node explained.
#[derive(Clone, Debug)]
pub struct NodeReport {
    /// Its name.
    pub name: String,
    /// `member`, `remote` or `guest`.
    pub kind: &'static str,
    /// Its state in a word.
    pub status: String,
    /// Whether resources may run there.
    pub usable: bool,
    /// What is the matter with it.
    pub summary: Vec<String>,
    /// What runs there, and what becomes of it.
    pub tenants: Vec<Tenant>,
    /// What comes there.
    pub arriving: Vec<String>,
    /// Actions that concern the node itself: fencing, shutdown.
    pub actions: Vec<ActionReport>,
}

/// What a word of an administrator means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Subject {
    /// A resource.
    Resource(RscIx),
    /// A node.
    Node(NodeIx),
    /// An action.
    Action(ActIx),
}

impl Sched {
    /// What a word means: a resource, a node, an action's key or `#` and its number in the graph,
    /// in that order. `resource:`, `node:` and `action:` before it leave no doubt. With `on`,
    /// actions of other nodes are passed over.
    pub fn subject(&self, word: &str, on: Option<NodeIx>) -> Option<Subject> {
        let resource = |word: &str| {
            self.find_resource(word)
                .or_else(|| self.constraint_rsc(word))
                .or_else(|| {
                    // What a clone is made of stands for the clone.
                    let found = self.rscs.ids().find(|r| self.rscs[*r].xml.id() == Some(word))?;
                    Some(self.rscs[found].parent.unwrap_or(found))
                })
                .map(Subject::Resource)
        };
        let node = |word: &str| self.find_node(Some(word), Some(word)).map(Subject::Node);
        let action = |word: &str| self.action_named(word, on).map(Subject::Action);
        match word.split_once(':') {
            Some(("resource", rest)) => resource(rest),
            Some(("node", rest)) => node(rest),
            Some(("action", rest)) => action(rest),
            _ => resource(word).or_else(|| node(word)).or_else(|| action(word)),
        }
    }

    /// An action by key or number; of several, one that will be done, else one that is needed.
    fn action_named(&self, word: &str, on: Option<NodeIx>) -> Option<ActIx> {
        if let Some(number) = word.strip_prefix('#') {
            let index = number.parse::<usize>().ok()?.checked_sub(1)?;
            return (index < self.actions.len()).then(|| ActIx::from_index(index));
        }
        let worth = |ix: &ActIx| {
            let action = &self.actions[*ix];
            (action.is(flag::ADDED), action.not(flag::OPTIONAL))
        };
        self.actions
            .ids()
            .filter(|ix| self.actions[*ix].key.eq_ignore_ascii_case(word))
            .filter(|ix| on.is_none() || self.actions[*ix].node == on)
            .max_by_key(worth)
    }

    /// What holds for the whole cluster and explains more than any score.
    pub fn cluster_notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.options.maintenance {
            notes.push(
                "The cluster is in maintenance mode (maintenance-mode=true): nothing is started, \
                 stopped or moved."
                    .to_owned(),
            );
        }
        if self.options.stop_all {
            notes.push("All resources are to be stopped (stop-all-resources=true).".to_owned());
        }
        if self.options.fencing && !self.have_fencing {
            notes.push(
                "Fencing is enabled (stonith-enabled), but no fence device is configured: the \
                 cluster starts and moves nothing."
                    .to_owned(),
            );
        }
        if !self.quorate {
            let consequence = match self.options.no_quorum {
                NoQuorum::Ignore => "carries on regardless (no-quorum-policy=ignore)",
                NoQuorum::Freeze => {
                    "keeps what runs and starts nothing else (no-quorum-policy=freeze)"
                }
                NoQuorum::Stop => "stops everything (no-quorum-policy=stop)",
                NoQuorum::Demote => {
                    "demotes what is promoted and stops the rest (no-quorum-policy=demote)"
                }
                NoQuorum::Fence => "fences its own nodes (no-quorum-policy=fence)",
            };
            notes.push(format!("This partition of the cluster has no quorum: it {consequence}."));
        }
        notes
    }

    pub(crate) fn node_name(&self, node: NodeIx) -> String {
        self.nodes[node].name.to_string()
    }

    pub(crate) fn rsc_name(&self, rsc: RscIx) -> String {
        self.rscs[rsc].id.to_string()
    }

    pub(crate) fn names(&self, nodes: &[NodeIx]) -> Vec<String> {
        nodes.iter().map(|node| self.node_name(*node)).collect()
    }
}
