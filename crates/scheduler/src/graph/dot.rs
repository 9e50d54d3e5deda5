//! The graph for graphviz. Source: `spec/scheduler-graph.md` §3.

use std::fmt::Write;

use crate::action::{flag, rel};
use crate::ids::{ActIx, Id};
use crate::model::Sched;
use crate::text::notify_key;

impl Sched {
    fn dot_name(&self, ix: ActIx, verbose: bool) -> String {
        let action = &self.actions[ix];
        let host = match action.node {
            Some(node) => Some(self.nodes[node].name.as_str()),
            None if action.not(flag::PSEUDO) => Some("<none>"),
            None => None,
        };
        let prefix =
            if action.cancel_task.is_some() && action.task == "cancel" { "Cancel " } else { "" };
        let history = action.rsc.and_then(|r| self.rscs[r].history_id.as_ref());
        let mut name = if let Some(history) = history {
            let key = if matches!(action.task.as_str(), "notify" | "notified") {
                let field = |name: &str| action.meta.get(name).map_or("", |v| v.as_str());
                notify_key(history, field("notify_key_type"), field("notify_key_operation"))
            } else {
                self.history_key(ix).map_or_else(String::new, |key| key.to_string())
            };
            match host {
                Some(host) => format!("{prefix}{key} {host}"),
                None => format!("{prefix}{key}"),
            }
        } else if action.task == "stonith" {
            let op = action.meta.get("stonith_action").map_or("", |v| v.as_str());
            format!("stonith '{op}' {}", host.unwrap_or(""))
        } else {
            match (action.rsc, host) {
                (Some(_), Some(host)) => format!("{prefix}{} {host}", action.key),
                (None, Some(host)) => format!("{} {host}", action.task),
                (_, None) => action.key.to_string(),
            }
        };
        if verbose {
            let _ = write!(name, " ({})", ix.index() + 1);
        }
        name
    }

    /// Writes the graph. With `all_actions` also what is optional.
    pub fn to_dot(&mut self, all_actions: bool, verbose: bool) -> String {
        let mut out = String::from(" digraph \"g\" {\n");
        let all: Vec<ActIx> = self.actions.ids().rev().collect();
        for ix in &all {
            let action = &self.actions[*ix];
            let mut font = if action.is(flag::PSEUDO) { "orange" } else { "black" };
            let (style, color) = if action.is(flag::ADDED) {
                ("bold", "green")
            } else if action.rsc.is_some_and(|r| !self.rscs[r].managed) {
                if !all_actions {
                    continue;
                }
                font = "purple";
                ("dashed", "red")
            } else if action.is(flag::OPTIONAL) {
                if !all_actions {
                    continue;
                }
                ("dashed", "blue")
            } else {
                ("dashed", "red")
            };
            let name = self.dot_name(*ix, verbose);
            let _ =
                writeln!(out, "\"{name}\" [ style={style} color=\"{color}\" fontcolor=\"{font}\"]");
            self.actions[*ix].flags |= flag::DOT_SHOWN | flag::ADDED;
        }
        for ix in &all {
            for relation in &self.actions[*ix].before {
                let before = &self.actions[relation.action];
                let style = if relation.graphed {
                    "bold"
                } else if relation.flags == rel::NONE {
                    continue;
                } else if self.actions[*ix].is(flag::ADDED)
                    && before.is(flag::ADDED)
                    && relation.flags != rel::IF_ON_SAME_NODE_OR_TARGET
                    || all_actions
                {
                    "dashed"
                } else {
                    continue;
                };
                let (first, then) =
                    (self.dot_name(relation.action, verbose), self.dot_name(*ix, verbose));
                let _ = writeln!(out, "\"{first}\" -> \"{then}\" [ style = {style}]");
            }
        }
        out.push_str("}\n");
        out
    }
}
