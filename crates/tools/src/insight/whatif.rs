//! `quorate whatif`: what would happen, and where everything would run in the end.

use base::{CrmExit, Json};
use ecow::EcoString;
use scheduler::explain::{json, list};
use scheduler::model::Role;
use scheduler::simulate::OpSpec;
use scheduler::whatif::{Change, EventError, Events, Placement, Play, Settled, apply, settle};
use xml::Element;

use super::{FILE, JSON, State, read_document};
use crate::crm_simulate::events;
use crate::options::{Arg, Parsed, Table, flag, old, value};
use crate::output::{self, Fail, Out};

const TABLE: Table = Table {
    tool: "quorate whatif",
    summary: "say what the cluster would do if something happened",
    usage: "EVENT…",
    groups: &[],
    options: &[
        events::NODE_DOWN,
        events::NODE_FAIL,
        value("standby", 's', "NODE", "", "The node is put into standby"),
        value("online", 'u', "NODE", "", "The node comes back, and out of standby"),
        value(
            "resource-fail",
            'r',
            "RSC[@NODE]",
            "",
            "The resource fails: its monitor finds it not running (where it runs, or on NODE)",
        ),
        events::OP_FAIL,
        value(
            "cib",
            'c',
            "FILE",
            "",
            "The configuration becomes that of this file; what runs now stays known",
        ),
        value("quorum", 'q', "yes|no", "", "The partition gains or loses quorum"),
        events::TICKET_GRANT,
        value("ticket-revoke", ' ', "TICKET", "", "The ticket is revoked"),
        old("node-up", ' ', "online", Arg::Yes("")),
        flag("all", 'a', "", "List where everything runs in the end, not only what changes"),
        FILE,
        JSON,
    ],
    formats: &[],
    notes: "",
};

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn typed_events(parsed: &Parsed) -> Result<Events, Fail> {
    let list = |name: &'static str| parsed.values(name).map(str::to_owned).collect();
    let quorum = match parsed.value("quorum") {
        None => None,
        Some(word) => Some(
            scheduler::text::parse_bool(word)
                .ok_or_else(|| Fail::usage(format!("`{word}` is neither yes nor no (--quorum)")))?,
        ),
    };
    let resource_fail = parsed
        .values("resource-fail")
        .map(|word| match word.split_once('@') {
            Some((rsc, node)) => (rsc.to_owned(), Some(node.to_owned())),
            None => (word.to_owned(), None),
        })
        .collect();
    let configuration = parsed
        .value("cib")
        .map(|path| -> Result<Element, Fail> {
            let document = read_document(path)?;
            Ok(match document.name() {
                "cib" => document,
                "configuration" => Element::new("cib").with_child(document),
                other => {
                    let message = format!("{path}: the root element is <{other}>, not <cib>");
                    return Err(Fail::new(CrmExit::Dataerr, message));
                }
            })
        })
        .transpose()?;
    Ok(Events {
        node_down: list("node-down"),
        node_fail: list("node-fail"),
        standby: list("standby"),
        online: list("online"),
        resource_fail,
        quorum,
        ticket_grant: list("ticket-grant"),
        ticket_revoke: list("ticket-revoke"),
        configuration: configuration.map(Into::into),
    })
}

fn impossible(error: EventError) -> Fail {
    let exit = match error {
        EventError::NoNode(_) | EventError::NoResource(_) => CrmExit::Nosuch,
        EventError::NotRunning(_) | EventError::Collective(_) => CrmExit::Usage,
    };
    Fail::new(exit, error.to_string())
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if let Some(word) = parsed.rest.first() {
        return Err(Fail::usage(format!("what about `{word}`? Events are options: --node-fail …")));
    }
    let events = typed_events(parsed)?;
    let op_fail = parsed
        .values("op-fail")
        .map(OpSpec::parse)
        .collect::<Result<Vec<_>, _>>()
        .map_err(Fail::usage)?;
    let mut state = State::read("whatif", parsed)?;
    let before = scheduler::status(&state.cib, state.input());
    let happens = apply(&mut state.cib, &events, &before, state.now).map_err(impossible)?;
    let end = settle(&state.cib, Play { input: state.input(), op_fail: &op_fail, brief: false });
    let (was, is) = (before.placement(), end.placement());
    let report = Report {
        events: happens,
        changes: was.changes(&is),
        stopped: is_missing(&before, &was, &end, &is),
        placement: is,
        end,
    };
    if parsed.has("json") {
        out.line(&report.json().to_string());
    } else {
        out.text(&report.text(parsed.has("all")));
    }
    let all_well = report.end.stable && report.stopped.is_empty();
    Ok(if all_well { CrmExit::Ok } else { CrmExit::Error })
}

/// What ran before, should still run, and does not.
fn is_missing(
    before: &scheduler::Sched,
    was: &Placement,
    end: &Settled,
    is: &Placement,
) -> Vec<(EcoString, String)> {
    let missing: Vec<EcoString> = was
        .0
        .iter()
        .filter(|(unit, places)| !places.is_empty() && is.of(unit).is_empty())
        .filter(|(unit, _)| end.sched.is_wanted(unit) && before.is_wanted(unit))
        .map(|(unit, _)| unit.clone())
        .collect();
    end.reasons(&missing).into_iter().collect()
}

struct Report {
    events: Vec<String>,
    changes: Vec<Change>,
    stopped: Vec<(EcoString, String)>,
    placement: Placement,
    end: Settled,
}

/// "alpha", "alpha (Promoted)"
fn places(places: &[(EcoString, Role)]) -> String {
    let words: Vec<String> = places
        .iter()
        .map(|(node, role)| match role {
            Role::Promoted => format!("{node} (Promoted)"),
            _ => node.to_string(),
        })
        .collect();
    if words.is_empty() { "nowhere".into() } else { list(&words) }
}

pub(super) fn places_json(places: &[(EcoString, Role)]) -> Json {
    let place = |(node, role): &(EcoString, Role)| {
        Json::Object(vec![("node", node.as_str().into()), ("role", role.name().into())])
    };
    Json::List(places.iter().map(place).collect())
}

impl Report {
    fn text(&self, all: bool) -> String {
        let mut lines: Vec<String> = Vec::new();
        if !self.events.is_empty() {
            lines.push("If this happens:".into());
            lines.extend(self.events.iter().map(|event| format!("  {event}")));
            lines.push(String::new());
        }
        if self.end.transitions.is_empty() {
            lines.push("The cluster has nothing to do.".into());
        }
        for (n, summary) in self.end.transitions.iter().enumerate() {
            lines.push(if n == 0 {
                "the cluster does this:".into()
            } else {
                "and then:".to_owned()
            });
            lines.extend(summary.iter().map(|line| format!("  {}", line.text)));
            if summary.is_empty() {
                lines.push("  (only checks and monitors)".into());
            }
        }
        lines.push(String::new());
        if self.changes.is_empty() {
            lines.push("Everything runs where it runs now.".into());
        } else {
            lines.push("In the end:".into());
            for change in &self.changes {
                let Change { resource, what, from, to } = change;
                lines.push(match *what {
                    "starts" => format!("  {resource} starts on {}", places(to)),
                    "stops" => format!("  {resource} no longer runs (was on {})", places(from)),
                    "moves" => {
                        format!("  {resource} moves from {} to {}", places(from), places(to))
                    }
                    "promotes" | "demotes" => format!("  {resource} is on {}", places(to)),
                    _ => format!("  {resource} was on {}, is on {}", places(from), places(to)),
                });
            }
        }
        if !self.end.restarted.is_empty() {
            let names: Vec<String> = self.end.restarted.iter().map(ToString::to_string).collect();
            lines.push(format!("Restarted where they are: {}", list(&names)));
        }
        if !self.end.fenced.is_empty() {
            let names: Vec<String> = self.end.fenced.iter().map(ToString::to_string).collect();
            lines.push(format!("Fenced: {}", list(&names)));
        }
        if !self.stopped.is_empty() {
            lines.push(String::new());
            lines.push("These should run and do not:".into());
            lines.extend(self.stopped.iter().map(|(rsc, why)| format!("  {rsc}: {why}")));
        }
        if !self.end.stable {
            lines.push(String::new());
            lines.push("The cluster does not come to rest: a transition cannot be completed, or there is always another.".into());
        }
        if all {
            lines.push(String::new());
            lines.push("Where everything runs then:".into());
            for (rsc, at) in &self.placement.0 {
                lines.push(format!("  {rsc}: {}", places(at)));
            }
        }
        lines.push(String::new());
        lines.join("\n")
    }

    fn json(&self) -> Json {
        let change = |change: &Change| {
            Json::Object(vec![
                ("resource", change.resource.as_str().into()),
                ("what", change.what.into()),
                ("from", places_json(&change.from)),
                ("to", places_json(&change.to)),
            ])
        };
        let texts = |words: &[EcoString]| {
            Json::List(words.iter().map(|word| word.as_str().into()).collect())
        };
        let transitions = self.end.transitions.iter().map(|summary| {
            Json::List(summary.iter().map(|line| line.text.as_str().into()).collect())
        });
        let stopped = self.stopped.iter().map(|(rsc, why)| {
            Json::Object(vec![("resource", rsc.as_str().into()), ("why", why.as_str().into())])
        });
        json::document(
            "whatif",
            self.end.sched.cluster_notes(),
            vec![
                ("events", self.events.clone().into()),
                ("transitions", Json::List(transitions.collect())),
                ("changes", Json::List(self.changes.iter().map(change).collect())),
                ("restarted", texts(&self.end.restarted)),
                ("fenced", texts(&self.end.fenced)),
                ("operations", self.end.operations.into()),
                ("stable", self.end.stable.into()),
                ("not_running", Json::List(stopped.collect())),
                ("placement", super::placement_json(&self.placement)),
            ],
        )
    }
}
