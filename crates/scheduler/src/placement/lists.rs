//! Which colocations count for a resource, with those it inherits from its ancestors.
//! Source: `spec/scheduler-placement.md` §5.1 and §5.2.

use crate::ids::{ColIx, RscIx};
use crate::model::{Sched, Variant};
use crate::score::INFINITY;

/// Which side of a colocation the resource is on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// It is the dependent.
    ThisWith,
    /// It is the primary.
    WithThis,
}

impl Sched {
    /// Colocations in which the resource is the dependent.
    pub(crate) fn this_with(&self, rsc: RscIx) -> Vec<ColIx> {
        let mut list = Vec::new();
        self.collect_colocations(rsc, rsc, Side::ThisWith, &mut list);
        list
    }

    /// Colocations in which the resource is the primary.
    pub(crate) fn with_this(&self, rsc: RscIx) -> Vec<ColIx> {
        let mut list = Vec::new();
        self.collect_colocations(rsc, rsc, Side::WithThis, &mut list);
        list
    }

    fn own_colocations(&self, rsc: RscIx, side: Side) -> &[ColIx] {
        match side {
            Side::ThisWith => &self.rscs[rsc].this_with,
            Side::WithThis => &self.rscs[rsc].with_this,
        }
    }

    fn insert_one(&self, list: &mut Vec<ColIx>, ix: ColIx, side: Side) {
        match side {
            Side::ThisWith => self.insert_this_with(list, ix),
            Side::WithThis => self.insert_with_this(list, ix),
        }
    }

    /// An empty list becomes a copy. To any other, upstream adds only the first of the addition,
    /// as often as the addition has elements.
    fn insert_all(&self, list: &mut Vec<ColIx>, addition: &[ColIx], side: Side) {
        if list.is_empty() {
            list.extend_from_slice(addition);
        } else if let Some(first) = addition.first() {
            for _ in addition {
                self.insert_one(list, *first, side);
            }
        }
    }

    fn collect_colocations(&self, rsc: RscIx, orig: RscIx, side: Side, list: &mut Vec<ColIx>) {
        let r = &self.rscs[rsc];
        let own = self.own_colocations(rsc, side);
        let parents = |list: &mut Vec<ColIx>| {
            if let Some(parent) = r.parent {
                self.collect_colocations(parent, orig, side, list);
            }
        };
        match r.variant {
            Variant::Primitive => {
                if rsc == orig {
                    self.insert_all(list, own, side);
                    parents(list);
                } else {
                    for ix in own {
                        if self.colocations[*ix].explicit {
                            self.insert_one(list, *ix, side);
                        }
                    }
                }
            }
            Variant::Group => self.collect_of_group(rsc, orig, side, list),
            Variant::Clone => {
                self.insert_all(list, own, side);
                parents(list);
            }
            Variant::Bundle => {
                if self.bundle_colocations_apply(rsc, orig) {
                    self.insert_all(list, own, side);
                }
            }
        }
    }

    fn collect_of_group(&self, group: RscIx, orig: RscIx, side: Side, list: &mut Vec<ColIx>) {
        let r = &self.rscs[group];
        let own = self.own_colocations(group, side);
        let end = match side {
            Side::ThisWith => r.children.first(),
            Side::WithThis => r.children.last(),
        };
        if orig == group || end == Some(&orig) {
            self.insert_all(list, own, side);
            if let Some(parent) = r.parent {
                self.collect_colocations(parent, orig, side, list);
            }
            if r.colocated {
                for member in &r.children {
                    if *member != orig {
                        self.collect_colocations(*member, orig, side, list);
                    }
                }
            }
            return;
        }
        if side == Side::WithThis {
            return;
        }
        // A member behind an unmanaged one has to keep to the group's constraints itself.
        for member in &r.children {
            if *member == orig {
                break;
            }
            if !self.rscs[*member].managed {
                for ix in own {
                    if self.colocations[*ix].score >= INFINITY {
                        self.insert_one(list, *ix, side);
                    }
                }
                break;
            }
        }
    }

    fn bundle_colocations_apply(&self, bundle: RscIx, orig: RscIx) -> bool {
        let data = &self.rscs[bundle].bundle;
        if orig == bundle || data.replicas.iter().any(|r| r.container == orig) {
            return true;
        }
        let uber = self.uber(orig);
        if data.inner != Some(uber) || !self.rscs[uber].promotable {
            return false;
        }
        if orig == uber {
            self.rscs[uber].clone.promotion_constrained
        } else {
            !self.rscs[orig].unassigned
        }
    }
}
