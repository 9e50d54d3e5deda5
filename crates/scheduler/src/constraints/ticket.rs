//! Tickets: resources that may only run where a site holds a right.
//! Source: `spec/scheduler-constraints.md` §6.

use ecow::EcoString;
use xml::Element;

use super::{LossPolicy, Target, TicketConstraint, constraint_role};
use crate::ids::RscIx;
use crate::model::{Role, Sched, Variant};
use crate::trace::Source;

impl Sched {
    pub(super) fn unpack_ticket(&mut self, xml: &Element) {
        let Some(ticket) = xml.get("ticket").map(EcoString::from) else { return };
        self.tickets.entry(ticket.clone()).or_default();
        let loss = xml.get("loss-policy");
        if let Some(rsc) = xml.get("rsc") {
            let Some(role) = constraint_role(xml.get("rsc-role")) else { return };
            match self.constraint_target(rsc) {
                Target::Resource(rsc) => self.new_ticket(rsc, &ticket, role, loss),
                Target::Several(members) => {
                    for member in members {
                        if let Some(rsc) = self.constraint_rsc(&member) {
                            self.new_ticket(rsc, &ticket, role, loss);
                        }
                    }
                }
                Target::Missing => {}
            }
            return;
        }
        for set in self.expanded_sets(xml) {
            let Some(role) = constraint_role(set.get("role")) else { continue };
            for rsc in self.set_members(&set).into_iter().flatten() {
                self.new_ticket(rsc, &ticket, role, loss);
            }
        }
    }

    fn new_ticket(&mut self, rsc: RscIx, ticket: &EcoString, role: Role, loss: Option<&str>) {
        let loss = match loss.map(str::to_ascii_lowercase).as_deref() {
            Some("fence") if self.options.fencing => LossPolicy::Fence,
            Some("fence") => LossPolicy::Stop,
            Some("freeze") => LossPolicy::Freeze,
            Some("demote") => LossPolicy::Demote,
            Some("stop") => LossPolicy::Stop,
            _ if role == Role::Promoted => LossPolicy::Demote,
            _ => LossPolicy::Stop,
        };
        let constraint = TicketConstraint { ticket: ticket.clone(), role, loss };
        self.rscs[rsc].tickets.push(constraint.clone());
        let (granted, standby) = self
            .tickets
            .get(ticket)
            .map_or((false, false), |ticket| (ticket.granted, ticket.standby));
        if !granted || standby {
            self.apply_ticket(rsc, &constraint, granted, standby);
        }
    }

    fn apply_ticket(
        &mut self,
        rsc: RscIx,
        constraint: &TicketConstraint,
        granted: bool,
        standby: bool,
    ) {
        if self.rscs[rsc].variant != Variant::Primitive {
            for child in self.rscs[rsc].children.clone() {
                self.apply_ticket(child, constraint, granted, standby);
            }
            return;
        }
        let source = Source::Ticket(constraint.ticket.clone());
        let role_fits =
            constraint.role == Role::Unknown || constraint.role == self.rscs[rsc].orig_role;
        let active = !self.rscs[rsc].active.is_empty();
        if !granted && active {
            match constraint.loss {
                LossPolicy::Stop => self.ban_everywhere(rsc, &source),
                LossPolicy::Demote => {
                    if constraint.role != Role::Promoted {
                        self.ban_everywhere(rsc, &source);
                    }
                }
                LossPolicy::Fence => {
                    if !role_fits {
                        return;
                    }
                    self.ban_everywhere(rsc, &source);
                    for node in self.rscs[rsc].active.clone() {
                        self.fence_node(node, "deadman ticket was lost", false);
                    }
                }
                LossPolicy::Freeze => {
                    if role_fits {
                        self.rscs[rsc].managed = false;
                        self.rscs[rsc].blocked = true;
                    }
                }
            }
        } else if (!granted || standby)
            && (constraint.role != Role::Promoted || constraint.loss == LossPolicy::Stop)
        {
            self.ban_everywhere(rsc, &source);
        }
    }
}
