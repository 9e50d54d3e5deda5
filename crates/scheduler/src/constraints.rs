//! Constraints between resources and nodes, and how they are read.
//! Source: `spec/scheduler-constraints.md`.

mod colocation;
mod internal;
mod location;
mod order;
mod ticket;

use ecow::EcoString;
use xml::Element;

use crate::ids::{NodeIx, ProbeMode, RscIx};
use crate::model::{Attrs, Role, Sched};
use crate::trace::Origin;

/// Where a resource should (not) run.
#[derive(Clone, Debug)]
pub struct Location {
    /// The constraint's id.
    pub id: EcoString,
    /// The resource.
    pub rsc: RscIx,
    /// Nodes with scores.
    pub nodes: Vec<(NodeIx, i32)>,
    /// The role it is about; `Unknown` for any.
    pub role: Role,
    /// `resource-discovery`
    pub probe_mode: ProbeMode,
    /// Node health says so; the id is that of the strategy.
    pub health: bool,
}

/// Which resources should (not) run together.
#[derive(Clone, Debug)]
pub struct Colocation {
    /// The constraint's id.
    pub id: EcoString,
    /// Follows.
    pub dependent: RscIx,
    /// Leads.
    pub primary: RscIx,
    /// How much.
    pub score: i32,
    /// The dependent's role; `Unknown` for any.
    pub dependent_role: Role,
    /// The primary's role; `Unknown` for any.
    pub primary_role: Role,
    /// The node attribute whose value must be equal.
    pub node_attribute: EcoString,
    /// People wrote it (rather than a group implying it).
    pub explicit: bool,
    /// The dependent's wishes count for the primary.
    pub influence: bool,
}

/// What is known of a ticket.
#[derive(Clone, Debug, Default)]
pub struct Ticket {
    /// Held by this cluster.
    pub granted: bool,
    /// Held, but not to be used.
    pub standby: bool,
    /// Epoch.
    pub last_granted: Option<i64>,
    /// Other attributes.
    pub state: Attrs,
}

/// What to do with a resource when its ticket is lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)] // named as the values of loss-policy
pub enum LossPolicy {
    Stop,
    Demote,
    Fence,
    Freeze,
}

/// A resource that needs a ticket.
#[derive(Clone, Debug)]
pub struct TicketConstraint {
    /// The ticket.
    pub ticket: EcoString,
    /// The role it is needed for; `Unknown` for any.
    pub role: Role,
    /// What happens without it.
    pub loss: LossPolicy,
}

/// What an id in a constraint stands for.
pub(crate) enum Target {
    /// A resource.
    Resource(RscIx),
    /// Members of a tag or of a template.
    Several(Vec<EcoString>),
    /// Nothing.
    Missing,
}

impl Sched {
    /// Reads all constraints in document order.
    pub(crate) fn unpack_constraints(&mut self) {
        let cib = self.cib.clone();
        let Some(constraints) = cib.at(&["configuration", "constraints"]) else { return };
        for xml in constraints.children() {
            if xml.id().is_none() {
                continue;
            }
            match xml.name() {
                "rsc_location" => self.unpack_location(xml),
                "rsc_colocation" => self.unpack_colocation(xml),
                "rsc_order" => {
                    let origin = || Origin::Constraint(xml.id().unwrap_or("").into());
                    self.because(origin, |sched| sched.unpack_order(xml));
                }
                "rsc_ticket" => self.unpack_ticket(xml),
                _ => {}
            }
        }
    }

    /// The resource that a constraint means by an id.
    pub(crate) fn constraint_rsc(&self, id: &str) -> Option<RscIx> {
        if let Some(rsc) = self.find_resource(id) {
            return Some(rsc);
        }
        Some(self.uber(self.find_by_history_id(id)?))
    }

    pub(crate) fn constraint_target(&self, id: &str) -> Target {
        if let Some(rsc) = self.constraint_rsc(id) {
            return Target::Resource(rsc);
        }
        match self.tagged(id) {
            Some(members) => Target::Several(members),
            None => Target::Missing,
        }
    }

    /// Members of a template or tag.
    pub(crate) fn tagged(&self, id: &str) -> Option<Vec<EcoString>> {
        if let Some(members) = self.templates.get(id) {
            return (!members.is_empty()).then(|| members.clone());
        }
        self.tags.get(id).cloned()
    }

    /// A constraint's sets with tags replaced by their members.
    pub(crate) fn expanded_sets(&self, xml: &Element) -> Vec<Element> {
        xml.children_named("resource_set")
            .map(|set| {
                let mut expanded = set.clone();
                expanded.clear_children();
                for reference in set.children_named("resource_ref") {
                    let id = reference.id().unwrap_or("");
                    let members = match self.constraint_rsc(id) {
                        Some(_) => None,
                        None => self.tagged(id),
                    };
                    match members {
                        Some(members) => members.into_iter().for_each(|member| {
                            expanded.push(Element::new("resource_ref").with("id", member));
                        }),
                        None => expanded.push(reference.clone()),
                    }
                }
                expanded
            })
            .collect()
    }

    /// A set standing for one attribute of a constraint.
    pub(crate) fn set_of(id: &str, members: &[EcoString], sequential: bool) -> Element {
        let mut set = Element::new("resource_set").with("id", id);
        if !sequential {
            set.set("sequential", "false");
        }
        for member in members {
            set.push(Element::new("resource_ref").with("id", member.clone()));
        }
        set
    }

    /// The resources a set names; those that do not exist are `None`.
    pub(crate) fn set_members(&self, set: &Element) -> Vec<Option<RscIx>> {
        set.children_named("resource_ref")
            .map(|reference| reference.id().and_then(|id| self.constraint_rsc(id)))
            .collect()
    }
}

/// A role in a constraint: `Unknown` when it does not restrict, `None` when it is no role.
pub(crate) fn constraint_role(text: Option<&str>) -> Option<Role> {
    match text {
        None => Some(Role::Unknown),
        Some(text) => match Role::parse(text)? {
            Role::Started => Some(Role::Unknown),
            role => Some(role),
        },
    }
}
