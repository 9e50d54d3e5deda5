//! The scores and capacities that `crm_simulate -s` and `-U` show, in the order in which placement
//! comes by them. Source: `spec/scheduler.md` §4, `spec/cli-pacemaker.md` §9.

use std::fmt;

use ecow::EcoString;

use crate::score;

/// One line of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields are named as what is shown")]
pub enum ScoreLine {
    /// What a resource thinks of a node.
    Allocation { function: &'static str, rsc: EcoString, node: EcoString, score: i32 },
    /// How much an instance wants to be promoted, and where it is.
    Promotion { rsc: EcoString, node: Option<EcoString>, score: i32 },
    /// A resource takes its share of a node.
    Utilization {
        function: &'static str,
        rsc: EcoString,
        node: EcoString,
        values: Vec<(EcoString, i64)>,
    },
    /// What a node has to give, before (`Original`) and after (`Remaining`).
    Capacity { comment: &'static str, node: EcoString, values: Vec<(EcoString, i64)> },
    /// Something worth knowing that has no score.
    Info(String),
}

impl fmt::Display for ScoreLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ScoreLine::Allocation { function, rsc, node, score } => {
                let score = score::text(*score);
                write!(f, "{function}: {rsc} allocation score on {node}: {score}")
            }
            ScoreLine::Promotion { rsc, node: Some(node), score } => {
                write!(f, "{rsc} promotion score on {node}: {}", score::text(*score))
            }
            ScoreLine::Promotion { rsc, node: None, score } => {
                write!(f, "{rsc} promotion score (inactive): {}", score::text(*score))
            }
            ScoreLine::Utilization { function, rsc, node, values } => {
                write!(f, "{function}: {rsc} utilization on {node}:")?;
                listed(f, values)
            }
            ScoreLine::Capacity { comment, node, values } => {
                write!(f, "{comment}: {node} capacity:")?;
                listed(f, values)
            }
            ScoreLine::Info(text) => f.write_str(text),
        }
    }
}

fn listed(f: &mut fmt::Formatter<'_>, values: &[(EcoString, i64)]) -> fmt::Result {
    values.iter().try_for_each(|(name, value)| write!(f, " {name}={value}"))
}
