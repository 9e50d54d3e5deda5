//! Made-up constraints of every kind.

use xml::Element;

use super::{Maker, SCORES};

const ROLES: [&str; 4] = ["Started", "Promoted", "Unpromoted", "Stopped"];
const TASKS: [&str; 4] = ["start", "stop", "promote", "demote"];

impl Maker<'_, '_> {
    pub(super) fn constraints(&mut self) -> Element {
        let mut list = Element::new("constraints");
        if self.targets.is_empty() {
            return list;
        }
        for _ in 0..self.dice.roll(7) {
            if self.calm {
                self.forward().into_iter().for_each(|constraint| list.push(constraint));
                continue;
            }
            let constraint = match self.dice.roll(9) {
                0..=2 => self.location(),
                3 => self.colocation_set(),
                4 | 5 => self.colocation(),
                6 => self.order_set(),
                7 => self.ticket(),
                _ => self.order(),
            };
            list.push(constraint);
        }
        list
    }

    /// A constraint that cannot contradict the others: later resources follow earlier ones.
    fn forward(&mut self) -> Option<Element> {
        let then = self.dice.roll(self.targets.len());
        let first = self.dice.roll(then.max(1));
        if self.dice.once_in(3) {
            let mut location = Element::new("rsc_location").with("id", self.id("loc"));
            location.set("rsc", &self.targets[then]);
            location.set("node", self.node());
            location.set("score", self.dice.pick(&SCORES));
            return Some(location);
        }
        let order = self.dice.once_in(2);
        let kind = if order { "rsc_order" } else { "rsc_colocation" };
        let mut constraint = Element::new(kind).with("id", self.id("fwd"));
        let (first, then) = (self.targets.get(first)?, self.targets.get(then)?);
        if first == then {
            return None;
        }
        if order {
            constraint.set("first", first);
            constraint.set("then", then);
        } else {
            constraint.set("rsc", then);
            constraint.set("with-rsc", first);
            constraint.set("score", self.dice.pick(&SCORES));
        }
        Some(constraint)
    }

    fn location(&mut self) -> Element {
        let mut location = Element::new("rsc_location").with("id", self.id("loc"));
        if self.dice.once_in(8) {
            location.set("rsc-pattern", "^[pg]-");
        } else {
            location.set("rsc", self.target());
        }
        if self.dice.once_in(4) {
            location.set("resource-discovery", self.dice.pick(&["always", "never", "exclusive"]));
        }
        if !self.dice.once_in(3) {
            if self.dice.once_in(6) {
                location.set("role", self.dice.pick(&ROLES));
            }
            location.set("node", self.node());
            location.set("score", self.dice.pick(&SCORES));
            return location;
        }
        let mut rule = Element::new("rule").with("id", self.id("rule"));
        rule.set("score", self.dice.pick(&SCORES));
        rule.set("boolean-op", self.dice.pick(&["and", "or"]));
        for _ in 0..1 + self.dice.roll(2) {
            let id = self.id("expr");
            let mut expression = Element::new("expression").with("id", id);
            expression.set("attribute", self.dice.pick(&["#uname", "site", "#kind", "pingd"]));
            let operation = self.dice.pick(&["eq", "ne", "lt", "gte", "defined", "not_defined"]);
            expression.set("operation", operation);
            if !operation.ends_with("defined") {
                expression.set("value", self.dice.pick(&["a", "n1", "remote", "10"]));
            }
            rule.push(expression);
        }
        location.push(rule);
        location
    }

    fn colocation(&mut self) -> Element {
        let mut colocation = Element::new("rsc_colocation").with("id", self.id("col"));
        colocation.set("rsc", self.target());
        colocation.set("with-rsc", self.target());
        colocation.set("score", self.dice.pick(&SCORES));
        for role in ["rsc-role", "with-rsc-role"] {
            if self.dice.once_in(5) {
                colocation.set(role, self.dice.pick(&ROLES));
            }
        }
        if self.dice.once_in(8) {
            colocation.set("node-attribute", "site");
        }
        if self.dice.once_in(8) {
            colocation.set("influence", "false");
        }
        colocation
    }

    fn set(&mut self, offers: &[(&'static str, &[&'static str])]) -> Element {
        let mut set = Element::new("resource_set").with("id", self.id("set"));
        for (name, value) in self.some(offers, 3) {
            set.set(name, value);
        }
        for _ in 0..1 + self.dice.roll(3) {
            let target = self.target();
            if set.children().all(|known| known.id() != Some(&target)) {
                set.push(Element::new("resource_ref").with("id", target));
            }
        }
        set
    }

    fn colocation_set(&mut self) -> Element {
        let mut colocation = Element::new("rsc_colocation").with("id", self.id("col"));
        colocation.set("score", self.dice.pick(&SCORES));
        for _ in 0..1 + self.dice.roll(2) {
            let set = self.set(&[
                ("sequential", &["false", "true"]),
                ("role", &ROLES),
                ("ordering", &["group", "listed"]),
            ]);
            colocation.push(set);
        }
        colocation
    }

    fn order(&mut self) -> Element {
        let mut order = Element::new("rsc_order").with("id", self.id("ord"));
        // Never with itself: Pacemaker ends there, on purpose.
        let first = self.target();
        let then = self.target();
        if first == then {
            return self.location();
        }
        order.set("first", first);
        order.set("then", then);
        self.kind(&mut order);
        for task in ["first-action", "then-action"] {
            if self.dice.once_in(4) {
                order.set(task, self.dice.pick(&TASKS));
            }
        }
        if self.dice.once_in(6) {
            order.set("require-all", "false");
        }
        order
    }

    fn kind(&mut self, order: &mut Element) {
        if self.dice.once_in(2) {
            order.set("kind", self.dice.pick(&["Mandatory", "Optional", "Serialize"]));
        }
        if self.dice.once_in(5) {
            order.set("symmetrical", "false");
        }
    }

    fn order_set(&mut self) -> Element {
        let mut order = Element::new("rsc_order").with("id", self.id("ord"));
        self.kind(&mut order);
        for _ in 0..1 + self.dice.roll(3) {
            let set = self.set(&[
                ("sequential", &["false", "true"]),
                ("require-all", &["false", "true"]),
                ("action", &TASKS),
            ]);
            order.push(set);
        }
        order
    }

    fn ticket(&mut self) -> Element {
        let mut ticket = Element::new("rsc_ticket").with("id", self.id("tic"));
        ticket.set("rsc", self.target());
        ticket.set("ticket", "t1");
        if self.dice.once_in(2) {
            ticket.set("loss-policy", self.dice.pick(&["stop", "demote", "fence", "freeze"]));
        }
        if self.dice.once_in(3) {
            ticket.set("rsc-role", self.dice.pick(&ROLES));
        }
        ticket
    }
}
