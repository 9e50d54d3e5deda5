//! Colocation constraints. Source: `spec/scheduler-constraints.md` §4.

use std::cmp::Ordering;

use ecow::EcoString;
use xml::Element;

use super::{Colocation, Target, constraint_role};
use crate::action::{End, rel};
use crate::ids::{ColIx, RscIx};
use crate::model::{Role, Sched, Severity};
use crate::score::{self, INFINITY};
use crate::text::{op_key, parse_bool};

impl Sched {
    /// Creates a colocation and files it with both resources.
    pub(crate) fn new_colocation(&mut self, colocation: Colocation) {
        if colocation.score == 0 || colocation.dependent == colocation.primary {
            return;
        }
        let Colocation { dependent, primary, score, dependent_role, primary_role, .. } = colocation;
        let ix = self.colocations.push(colocation);
        let mut list = std::mem::take(&mut self.rscs[dependent].this_with);
        self.insert_this_with(&mut list, ix);
        self.rscs[dependent].this_with = list;
        let mut list = std::mem::take(&mut self.rscs[primary].with_this);
        self.insert_with_this(&mut list, ix);
        self.rscs[primary].with_this = list;
        if score <= -INFINITY {
            self.anti_colocation_order(dependent, dependent_role, primary, primary_role);
            self.anti_colocation_order(primary, primary_role, dependent, dependent_role);
        }
    }

    /// Sorted by the primary.
    pub(crate) fn insert_this_with(&self, list: &mut Vec<ColIx>, ix: ColIx) {
        let key = |c: ColIx| self.colocations[c].primary;
        let at = list.iter().position(|c| self.cmp_colocated(key(ix), key(*c)).is_le());
        list.insert(at.unwrap_or(list.len()), ix);
    }

    /// Sorted by the dependent.
    pub(crate) fn insert_with_this(&self, list: &mut Vec<ColIx>, ix: ColIx) {
        let key = |c: ColIx| self.colocations[c].dependent;
        let at = list.iter().position(|c| self.cmp_colocated(key(ix), key(*c)).is_le());
        list.insert(at.unwrap_or(list.len()), ix);
    }

    fn cmp_colocated(&self, a: RscIx, b: RscIx) -> Ordering {
        let (a, b) = (&self.rscs[a], &self.rscs[b]);
        b.priority
            .cmp(&a.priority)
            .then(b.variant.cmp(&a.variant))
            .then_with(|| {
                if a.variant == crate::model::Variant::Clone {
                    b.promotable.cmp(&a.promotable)
                } else {
                    Ordering::Equal
                }
            })
            .then_with(|| a.id.as_bytes().cmp(b.id.as_bytes()))
    }

    fn anti_colocation_order(
        &mut self,
        first: RscIx,
        first_role: Role,
        then: RscIx,
        then_role: Role,
    ) {
        let firsts: &[&str] = match first_role {
            Role::Promoted => &["demote"],
            Role::Unpromoted => &["stop", "promote"],
            _ => &["stop"],
        };
        let thens: &[&str] = match then_role {
            Role::Promoted => &["promote"],
            Role::Unpromoted => &["start", "demote"],
            _ => &["start"],
        };
        for first_task in firsts {
            for then_task in thens {
                self.order(
                    End::key(first, op_key(&self.rscs[first].id, first_task, 0)),
                    End::key(then, op_key(&self.rscs[then].id, then_task, 0)),
                    rel::IF_REQUIRED_ON_SAME_NODE,
                );
            }
        }
    }

    pub(super) fn unpack_colocation(&mut self, xml: &Element) {
        let id: EcoString = xml.id().unwrap_or("").into();
        let sets = self.expanded_sets(xml);
        if !sets.is_empty() {
            self.colocation_sets(xml, &sets);
            return;
        }
        let (Some(dependent), Some(primary)) = (xml.get("rsc"), xml.get("with-rsc")) else {
            return;
        };
        let targets = (self.constraint_target(dependent), self.constraint_target(primary));
        match targets {
            (Target::Resource(dependent), Target::Resource(primary)) => {
                self.simple_colocation(xml, &id, dependent, primary);
            }
            (Target::Several(members), Target::Resource(_)) => {
                let mut first = Sched::set_of(&format!("{id}-rsc"), &members, false);
                copy(xml, "rsc-role", &mut first, "role");
                let mut second = Sched::set_of(&format!("{id}-with"), &[primary.into()], true);
                copy(xml, "with-rsc-role", &mut second, "role");
                self.colocation_sets(xml, &[first, second]);
            }
            (Target::Resource(_), Target::Several(members)) => {
                let mut first = Sched::set_of(&format!("{id}-rsc"), &[dependent.into()], true);
                copy(xml, "rsc-role", &mut first, "role");
                let mut second = Sched::set_of(&format!("{id}-with"), &members, false);
                copy(xml, "with-rsc-role", &mut second, "role");
                self.colocation_sets(xml, &[first, second]);
            }
            (Target::Several(_), Target::Several(_)) => {}
            (Target::Missing, _) | (_, Target::Missing) => {
                let missing =
                    if self.constraint_rsc(dependent).is_some() { primary } else { dependent };
                let text = format!(
                    "Ignoring constraint '{id}' because resource '{missing}' does not exist"
                );
                self.say(Severity::ConfigWarning, "unpack_simple_colocation", text);
            }
        }
    }

    fn simple_colocation(&mut self, xml: &Element, id: &str, dependent: RscIx, primary: RscIx) {
        let (Some(dependent_role), Some(primary_role)) =
            (constraint_role(xml.get("rsc-role")), constraint_role(xml.get("with-rsc-role")))
        else {
            return;
        };
        let Some(score) = self.constraint_score(xml.get("score")) else { return };
        let influence = self.influence(xml.get("influence"), dependent);
        let colocation = Colocation {
            id: id.into(),
            dependent,
            primary,
            score,
            dependent_role,
            primary_role,
            node_attribute: xml.get("node-attribute").unwrap_or("#uname").into(),
            explicit: true,
            influence,
        };
        self.new_colocation(colocation);
    }

    fn constraint_score(&self, text: Option<&str>) -> Option<i32> {
        match text {
            None => Some(0),
            Some(text) => score::parse(text, self.options.health),
        }
    }

    fn influence(&self, explicit: Option<&str>, rsc: RscIx) -> bool {
        explicit.and_then(parse_bool).unwrap_or(self.rscs[rsc].critical)
    }

    fn colocation_sets(&mut self, xml: &Element, sets: &[Element]) {
        let id = xml.id().unwrap_or("");
        let Some(score) = self.constraint_score(xml.get("score")) else { return };
        let influence = xml.get("influence");
        for (n, set) in sets.iter().enumerate() {
            self.colocate_set(id, set, score, influence);
            if n > 0 {
                self.colocate_pair(id, &sets[n - 1], set, score, influence);
            }
        }
    }

    fn pair(
        &mut self,
        id: &str,
        dependent: RscIx,
        primary: RscIx,
        score: i32,
        roles: (Role, Role),
        influence: bool,
    ) {
        self.new_colocation(Colocation {
            id: id.into(),
            dependent,
            primary,
            score,
            dependent_role: roles.0,
            primary_role: roles.1,
            node_attribute: "#uname".into(),
            explicit: true,
            influence,
        });
    }

    fn colocate_set(&mut self, id: &str, set: &Element, score: i32, influence: Option<&str>) {
        let score = match set.get("score") {
            Some(text) => match score::parse(text, self.options.health) {
                Some(score) => score,
                None => return,
            },
            None => score,
        };
        let sequential = set.get("sequential").and_then(parse_bool).unwrap_or(true);
        let Some(role) = constraint_role(set.get("role")) else { return };
        if score == 0 || !sequential {
            return;
        }
        // Stop at the first that does not exist.
        let members: Vec<RscIx> =
            self.set_members(set).into_iter().map_while(|member| member).collect();
        if score > 0 {
            let with_last = set.get("ordering").is_none_or(|o| o.eq_ignore_ascii_case("group"));
            for pair in members.windows(2) {
                let (previous, this) = (pair[0], pair[1]);
                let (dependent, primary) =
                    if with_last { (this, previous) } else { (previous, this) };
                let influence = self.influence(influence, dependent);
                self.pair(id, dependent, primary, score, (role, role), influence);
            }
        } else {
            for (n, this) in members.iter().enumerate() {
                let influence = self.influence(influence, *this);
                for earlier in &members[..n] {
                    self.pair(id, *this, *earlier, score, (role, role), influence);
                }
            }
        }
    }

    fn colocate_pair(
        &mut self,
        id: &str,
        dependents: &Element,
        primaries: &Element,
        score: i32,
        influence: Option<&str>,
    ) {
        let (Some(dependent_role), Some(primary_role)) =
            (constraint_role(dependents.get("role")), constraint_role(primaries.get("role")))
        else {
            return;
        };
        if score == 0 {
            return;
        }
        let sequential = |set: &Element| set.get("sequential").and_then(parse_bool).unwrap_or(true);
        let mut from = self.set_members(dependents);
        let mut to = self.set_members(primaries);
        if sequential(dependents) {
            from.truncate(1);
            if from.first().is_none_or(Option::is_none) {
                return;
            }
        }
        if sequential(primaries) {
            let last = to.pop().flatten();
            if last.is_none() {
                return;
            }
            to = vec![last];
        }
        for dependent in from.into_iter().flatten() {
            let influence = self.influence(influence, dependent);
            for primary in to.iter().copied().flatten() {
                self.pair(id, dependent, primary, score, (dependent_role, primary_role), influence);
            }
        }
    }

    /// May the dependent's wishes move the primary? `rsc` is the one that would be moved.
    pub(crate) fn has_influence(&self, ix: ColIx, rsc: Option<RscIx>) -> bool {
        let colocation = &self.colocations[ix];
        let rsc = rsc.unwrap_or(colocation.primary);
        let dependent = &self.rscs[colocation.dependent];
        if dependent.remote_nesting_allowed
            && !self.rscs[rsc].failed
            && self.rscs[rsc].active.len() == 1
        {
            return false;
        }
        colocation.influence || self.rscs[rsc].active.is_empty()
    }
}

fn copy(from: &Element, name: &str, to: &mut Element, as_name: &str) {
    if let Some(value) = from.get(name) {
        to.set(as_name, value);
    }
}
