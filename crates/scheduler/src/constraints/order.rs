//! Order constraints. Source: `spec/scheduler-constraints.md` §5 and §8.

use ecow::{EcoString, eco_format};
use xml::Element;

use super::Target;
use crate::action::{End, Ordering, rel};
use crate::ids::{ActIx, RscIx};
use crate::model::{Sched, Severity, Variant};
use crate::score;
use crate::text::{op_key, parse_bool, parse_op_key};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Mandatory,
    Optional,
    Serialize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    Symmetric,
    Asymmetric,
    Inverse,
}

fn inverse(task: &str) -> Option<&'static str> {
    Some(match task {
        "start" => "stop",
        "stop" => "start",
        "promote" => "demote",
        "demote" => "promote",
        "promoted" => "demoted",
        "demoted" => "promoted",
        "running" => "stopped",
        "stopped" => "running",
        _ => return None,
    })
}

fn flags_for(kind: Kind, task: &str, symmetry: Symmetry) -> u32 {
    let mut flags = match kind {
        Kind::Optional => return rel::ORDERED,
        Kind::Serialize => return rel::SERIALIZE,
        Kind::Mandatory => rel::ORDERED,
    };
    match symmetry {
        Symmetry::Asymmetric => flags |= rel::ASYMMETRIC,
        Symmetry::Symmetric => {
            flags |= rel::FIT;
            if matches!(task, "start" | "promote" | "migrate_from") {
                flags |= rel::UFB;
            }
        }
        Symmetry::Inverse => flags |= rel::TIF,
    }
    flags
}

impl Sched {
    /// Adds an ordering (and, for resources that migrate, its companions).
    pub(crate) fn order(&mut self, first: End, then: End, flags: u32) {
        if (first.action.is_none() && first.rsc.is_none())
            || (then.action.is_none() && then.rsc.is_none())
        {
            return;
        }
        let rsc_of = |sched: &Sched, end: &End| {
            end.rsc.or_else(|| end.action.and_then(|a| sched.actions[a].rsc))
        };
        let (first_rsc, then_rsc) = (rsc_of(self, &first), rsc_of(self, &then));
        let first = End { rsc: first_rsc, ..first };
        let then = End { rsc: then_rsc, ..then };
        self.orderings.push(Ordering { flags, first: first.clone(), then: then.clone() });
        self.note_ordering();
        if let (Some(a), Some(b)) = (first_rsc, then_rsc)
            && a != b
            && !self.is_ancestor(a, b)
            && !self.is_ancestor(b, a)
        {
            self.order_migration(a, b, &first, &then);
        }
    }

    fn task_of(&self, end: &End) -> Option<EcoString> {
        match (end.action, &end.key) {
            (Some(action), _) => Some(self.actions[action].task.clone()),
            (None, Some(key)) => parse_op_key(key).map(|(_, task, _)| task.into()),
            (None, None) => None,
        }
    }

    /// What an ordering means when one of its resources migrates. Source: §8.
    fn order_migration(&mut self, a: RscIx, b: RscIx, first: &End, then: &End) {
        let (first_moves, then_moves) = (self.rscs[a].migratable, self.rscs[b].migratable);
        if !first_moves && !then_moves {
            return;
        }
        let (Some(first_task), Some(then_task)) = (self.task_of(first), self.task_of(then)) else {
            return;
        };
        let optional =
            if first_moves { rel::ORDERED | rel::IF_FIRST_UNMIGRATABLE } else { rel::ORDERED };
        let partial = self.rscs[b].partial_target.is_some();
        match (first_task.as_str(), then_task.as_str()) {
            ("start", "start") => {
                if first_moves && then_moves {
                    self.order_tasks(a, "migrate_from", b, "migrate_to", rel::ORDERED);
                }
                if then_moves {
                    self.order_tasks(a, "start", b, "migrate_to", optional);
                }
            }
            ("stop", "stop") if then_moves => {
                self.order_tasks(a, "stop", b, "migrate_to", optional);
                if partial {
                    self.order_tasks(a, "stop", b, "migrate_from", optional);
                }
            }
            ("promote", "start") if then_moves => {
                self.order_tasks(a, "promote", b, "migrate_to", rel::ORDERED);
            }
            ("demote", "stop") if then_moves => {
                self.order_tasks(a, "demote", b, "migrate_to", rel::ORDERED);
                if partial {
                    self.order_tasks(a, "demote", b, "migrate_from", rel::ORDERED);
                }
            }
            _ => {}
        }
    }

    /// Orders two tasks of two resources.
    pub(crate) fn order_tasks(
        &mut self,
        first: RscIx,
        first_task: &str,
        then: RscIx,
        then_task: &str,
        flags: u32,
    ) {
        let first_key = op_key(&self.rscs[first].id, first_task, 0);
        let then_key = op_key(&self.rscs[then].id, then_task, 0);
        self.order(End::key(first, first_key), End::key(then, then_key), flags);
    }

    fn order_action_to_task(&mut self, first: ActIx, then: RscIx, task: &str, flags: u32) {
        let key = op_key(&self.rscs[then].id, task, 0);
        let end = End { action: Some(first), ..End::default() };
        self.order(end, End::key(then, key), flags);
    }

    fn order_task_to_action(&mut self, first: RscIx, task: &str, then: ActIx, flags: u32) {
        let key = op_key(&self.rscs[first].id, task, 0);
        let end = End { action: Some(then), ..End::default() };
        self.order(End::key(first, key), end, flags);
    }

    fn order_kind(&self, xml: &Element) -> Kind {
        match xml.get("kind") {
            Some("Optional") => Kind::Optional,
            Some("Serialize") => Kind::Serialize,
            Some(_) => Kind::Mandatory,
            None => match xml.get("score").and_then(|s| score::parse(s, self.options.health)) {
                Some(0) => Kind::Optional,
                _ => Kind::Mandatory,
            },
        }
    }

    fn symmetry(xml: &Element, kind: Kind) -> Symmetry {
        match xml.get("symmetrical").and_then(parse_bool) {
            Some(true) if kind != Kind::Serialize => Symmetry::Symmetric,
            None if kind != Kind::Serialize => Symmetry::Symmetric,
            _ => Symmetry::Asymmetric,
        }
    }

    pub(super) fn unpack_order(&mut self, xml: &Element) {
        let id: EcoString = xml.id().unwrap_or("").into();
        let kind = self.order_kind(xml);
        let symmetry = Sched::symmetry(xml, kind);
        let sets = self.expanded_sets(xml);
        if !sets.is_empty() {
            self.order_sets(&id, &sets, kind, symmetry);
            return;
        }
        let (Some(first), Some(then)) = (xml.get("first"), xml.get("then")) else { return };
        let targets = (self.constraint_target(first), self.constraint_target(then));
        let (first_members, then_members) = match targets {
            (Target::Resource(a), Target::Resource(b)) => {
                self.simple_order(xml, &id, a, b, kind, symmetry);
                return;
            }
            (Target::Missing, _) | (_, Target::Missing) => {
                let missing = if self.constraint_rsc(first).is_some() { then } else { first };
                let text = format!(
                    "Ignoring constraint '{id}' because resource '{missing}' does not exist"
                );
                self.say(Severity::ConfigWarning, "get_ordering_resource", text);
                return;
            }
            (a, b) => (a, b),
        };
        let side = |target: Target, plain: &str, suffix: &str| match target {
            Target::Several(members) => Sched::set_of(&format!("{id}-{suffix}"), &members, false),
            _ => Sched::set_of(&format!("{id}-{suffix}"), &[plain.into()], true),
        };
        let mut first_set = side(first_members, first, "first");
        let mut then_set = side(then_members, then, "then");
        if let Some(action) = xml.get("first-action") {
            first_set.set("action", action);
        }
        if let Some(action) = xml.get("then-action") {
            then_set.set("action", action);
        }
        self.order_sets(&id, &[first_set, then_set], kind, symmetry);
    }

    fn simple_order(
        &mut self,
        xml: &Element,
        id: &str,
        first: RscIx,
        then: RscIx,
        kind: Kind,
        symmetry: Symmetry,
    ) {
        let first_task = xml.get("first-action").unwrap_or("start");
        let then_task = xml.get("then-action").unwrap_or(first_task);
        let instance = |attr: &str| xml.has(attr);
        if instance("first-instance") || instance("then-instance") {
            return;
        }
        let flags = flags_for(kind, first_task, symmetry);
        let min = self.clone_min(first, xml);
        if min > 0 {
            self.order_clone_min(id, first, first_task, then, then_task, flags, min);
        } else {
            self.order_tasks(first, first_task, then, then_task, flags);
        }
        if symmetry == Symmetry::Symmetric
            && let (Some(a), Some(b)) = (self.inverse_of(then_task), self.inverse_of(first_task))
        {
            let flags = flags_for(kind, first_task, Symmetry::Inverse);
            self.order_tasks(then, a, first, b, flags);
        }
    }

    /// What undoes a task; a word of warning if nothing does.
    fn inverse_of(&mut self, task: &str) -> Option<&'static str> {
        let found = inverse(task);
        if found.is_none() {
            self.say(
                Severity::ConfigWarning,
                "invert_action",
                format!("Unknown action '{task}' specified in order constraint"),
            );
        }
        found
    }

    fn clone_min(&self, rsc: RscIx, xml: &Element) -> i32 {
        if self.rscs[rsc].variant != Variant::Clone {
            return 0;
        }
        if let Some(min) = self.meta_int(rsc, "clone-min") {
            return min;
        }
        i32::from(xml.get("require-all").and_then(parse_bool) == Some(false))
    }

    fn order_clone_min(
        &mut self,
        id: &str,
        first: RscIx,
        first_task: &str,
        then: RscIx,
        then_task: &str,
        flags: u32,
        min: i32,
    ) {
        let gate = self.pseudo_op(&format!("clone-one-or-more:{id}"));
        self.actions[gate].required_runnable_before = min;
        for child in self.rscs[first].children.clone() {
            self.order_task_to_action(child, first_task, gate, rel::MIN_RUNNABLE | rel::FITG);
        }
        self.order_action_to_task(gate, then, then_task, flags | rel::UFB);
    }

    fn order_sets(&mut self, _id: &str, sets: &[Element], kind: Kind, symmetry: Symmetry) {
        for (n, set) in sets.iter().enumerate() {
            self.order_within(set, kind, symmetry);
            if n == 0 {
                continue;
            }
            let previous = &sets[n - 1];
            self.order_between(previous, set, kind, symmetry);
            if symmetry == Symmetry::Symmetric {
                self.order_between(set, previous, kind, Symmetry::Inverse);
            }
        }
    }

    fn order_within(&mut self, set: &Element, kind: Kind, symmetry: Symmetry) {
        let task = set.get("action").unwrap_or("start");
        let kind = match set.get("kind") {
            Some(_) => self.order_kind(set),
            None => kind,
        };
        let sequential = set.get("sequential").and_then(parse_bool).unwrap_or(true);
        let members: Vec<RscIx> = self.set_members(set).into_iter().flatten().collect();
        if members.len() < 2 {
            return;
        }
        let flags = flags_for(kind, task, symmetry);
        if kind == Kind::Serialize {
            for (n, first) in members.iter().enumerate() {
                for then in &members[n + 1..] {
                    self.order_tasks(*first, task, *then, task, flags);
                }
            }
            return;
        }
        if !sequential {
            return;
        }
        for pair in members.windows(2) {
            self.order_tasks(pair[0], task, pair[1], task, flags);
        }
        if symmetry != Symmetry::Symmetric {
            return;
        }
        let Some(back) = self.inverse_of(task) else { return };
        let flags = flags_for(kind, back, Symmetry::Inverse);
        for pair in members.windows(2) {
            self.order_tasks(pair[1], back, pair[0], back, flags);
        }
    }

    fn order_between(&mut self, set1: &Element, set2: &Element, kind: Kind, symmetry: Symmetry) {
        let inverted = symmetry == Symmetry::Inverse;
        let mut task = |set: &Element| -> Option<EcoString> {
            let task = set.get("action").unwrap_or("start");
            if inverted { self.inverse_of(task).map(EcoString::from) } else { Some(task.into()) }
        };
        let (Some(task1), Some(task2)) = (task(set1), task(set2)) else { return };
        let flags = flags_for(kind, &task1, symmetry);
        let (from, to) = (self.set_members(set1), self.set_members(set2));
        let require_all = set1.get("require-all").and_then(parse_bool).unwrap_or(true);
        if !require_all && task1 != "stop" && task1 != "demote" {
            let gate = self.pseudo_op(&eco_format!("one-or-more:{}", set1.id().unwrap_or("")));
            self.actions[gate].required_runnable_before = 1;
            for first in from.into_iter().flatten() {
                self.order_task_to_action(first, &task1, gate, rel::MIN_RUNNABLE | rel::FITG);
            }
            for then in to.into_iter().flatten() {
                self.order_action_to_task(gate, then, &task2, flags | rel::UFB);
            }
            return;
        }
        let explicit = |set: &Element| set.get("sequential").and_then(parse_bool) == Some(true);
        let ends =
            |members: Vec<Option<RscIx>>, set: &Element, first: bool| -> Vec<Option<RscIx>> {
                if !explicit(set) {
                    return members;
                }
                let end = if first { members.first() } else { members.last() };
                end.copied().into_iter().collect()
            };
        let from = ends(from, set1, inverted);
        let to = ends(to, set2, !inverted);
        for first in from.into_iter().flatten() {
            for then in to.iter().copied().flatten() {
                self.order_tasks(first, &task1, then, &task2, flags);
            }
        }
    }
}
