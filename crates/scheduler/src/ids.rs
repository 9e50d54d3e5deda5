//! Small integer ids and the tables keyed by them.
//!
//! Everything the scheduler knows lives in arenas owned by [`Sched`](crate::model::Sched): a node,
//! a resource or an action is a `u32` into one of them. Ids are handed out in creation order and
//! never reused, so comparing two ids compares their age.

use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(u32);

        impl Id for $name {
            fn from_index(index: usize) -> $name {
                // More than four billion of anything does not fit in memory.
                $name(u32::try_from(index).unwrap_or(u32::MAX))
            }
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

/// What an arena needs of its id type.
pub trait Id: Copy {
    /// The id of the item at that place.
    fn from_index(index: usize) -> Self;
    /// The place of the item.
    fn index(self) -> usize;
}

id_type! {
    /// A node of the cluster (cluster, remote or guest node).
    NodeIx
}
id_type! {
    /// A resource: primitive, group, clone, bundle, or an instance of one.
    RscIx
}
id_type! {
    /// An action of the transition. Its number in the graph is its index plus one.
    ActIx
}
id_type! {
    /// A location constraint.
    LocIx
}
id_type! {
    /// A colocation constraint.
    ColIx
}

/// A vector indexed by one id type only.
#[derive(Clone, Debug)]
pub struct Arena<I, T> {
    items: Vec<T>,
    _id: PhantomData<fn() -> I>,
}

impl<I, T> Default for Arena<I, T> {
    fn default() -> Self {
        Arena { items: Vec::new(), _id: PhantomData }
    }
}

impl<I: Id, T> Arena<I, T> {
    /// Adds an item and returns its id.
    pub fn push(&mut self, item: T) -> I {
        self.items.push(item);
        I::from_index(self.items.len() - 1)
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// True without items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// All ids, oldest first.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = I> + ExactSizeIterator + use<I, T> {
        (0..self.items.len()).map(I::from_index)
    }

    /// All items, oldest first.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.items.iter()
    }
}

impl<I: Id, T> Index<I> for Arena<I, T> {
    type Output = T;
    fn index(&self, id: I) -> &T {
        &self.items[id.index()]
    }
}

impl<I: Id, T> IndexMut<I> for Arena<I, T> {
    fn index_mut(&mut self, id: I) -> &mut T {
        &mut self.items[id.index()]
    }
}

/// Whether and how resources are probed on a node (`resource-discovery`). The order counts: a
/// later constraint can only raise it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum ProbeMode {
    /// Probe (the default).
    #[default]
    Always,
    /// Never probe.
    Never,
    /// Probe only on nodes marked exclusive.
    Exclusive,
}

/// What a resource thinks about one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Allowed {
    /// Preference; a plain integer because propagation parks a sentinel below −INFINITY in it.
    pub score: i32,
    /// Probe mode.
    pub probe_mode: ProbeMode,
    /// Instances of a clone placed there.
    pub count: i32,
}

/// A table keyed by node: a resource's allowed nodes with its own scores.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct NodeTable(Vec<Option<Allowed>>);

impl NodeTable {
    /// The entry of a node.
    pub fn get(&self, node: NodeIx) -> Option<&Allowed> {
        self.0.get(node.index()).and_then(Option::as_ref)
    }

    /// The entry of a node, to edit.
    pub fn get_mut(&mut self, node: NodeIx) -> Option<&mut Allowed> {
        self.0.get_mut(node.index()).and_then(Option::as_mut)
    }

    /// Sets the entry of a node.
    pub fn insert(&mut self, node: NodeIx, entry: Allowed) {
        if self.0.len() <= node.index() {
            self.0.resize(node.index() + 1, None);
        }
        self.0[node.index()] = Some(entry);
    }

    /// Forgets a node.
    pub fn remove(&mut self, node: NodeIx) {
        if let Some(slot) = self.0.get_mut(node.index()) {
            *slot = None;
        }
    }

    /// True without entries.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    /// Entries by age of the node.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIx, &Allowed)> {
        self.0
            .iter()
            .enumerate()
            .filter_map(|(i, e)| e.as_ref().map(|e| (NodeIx::from_index(i), e)))
    }

    /// Entries to edit.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Allowed> {
        self.0.iter_mut().filter_map(Option::as_mut)
    }

    /// Nodes with an entry, by age.
    pub fn keys(&self) -> impl Iterator<Item = NodeIx> {
        self.iter().map(|(node, _)| node)
    }
}
