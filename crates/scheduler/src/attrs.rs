//! A small sorted map of names to values.
//!
//! Resources, actions and nodes carry meta attributes and parameters: mostly two to ten each, and
//! there is one such map for every action of a big transition. A sorted vector is a fraction of
//! the size of a tree, and finds faster at this size.

use ecow::EcoString;

/// Names and values as the configuration has them, in the order of names.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attrs(Vec<(EcoString, EcoString)>);

impl Attrs {
    /// An empty map.
    pub fn new() -> Attrs {
        Attrs::default()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(name))
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&EcoString> {
        self.place(name).ok().map(|at| &self.0[at].1)
    }

    /// True if there is a value for the name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// Sets a value; returns the one before.
    pub fn insert(&mut self, name: EcoString, value: EcoString) -> Option<EcoString> {
        match self.place(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.0[at].1, value)),
            Err(at) => {
                if self.0.is_empty() {
                    self.0.reserve_exact(2);
                }
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// Sets a value unless there is one.
    pub fn insert_new(&mut self, name: EcoString, value: EcoString) {
        if let Err(at) = self.place(&name) {
            self.0.insert(at, (name, value));
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, name: &str) -> Option<EcoString> {
        self.place(name).ok().map(|at| self.0.remove(at).1)
    }

    /// Keeps what `keep(name, value)` wants.
    pub fn retain(&mut self, mut keep: impl FnMut(&EcoString, &mut EcoString) -> bool) {
        self.0.retain_mut(|(name, value)| keep(name, value));
    }

    /// Names and values in the order of names.
    pub fn iter(&self) -> Iter<'_> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Names in order.
    pub fn keys(&self) -> impl Iterator<Item = &EcoString> {
        self.iter().map(|(name, _)| name)
    }

    /// Number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True without names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// See [`Attrs::iter`].
pub type Iter<'a> = std::iter::Map<
    std::slice::Iter<'a, (EcoString, EcoString)>,
    fn(&'a (EcoString, EcoString)) -> (&'a EcoString, &'a EcoString),
>;

impl<'a> IntoIterator for &'a Attrs {
    type Item = (&'a EcoString, &'a EcoString);
    type IntoIter = Iter<'a>;
    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl IntoIterator for Attrs {
    type Item = (EcoString, EcoString);
    type IntoIter = std::vec::IntoIter<(EcoString, EcoString)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Extend<(EcoString, EcoString)> for Attrs {
    fn extend<T: IntoIterator<Item = (EcoString, EcoString)>>(&mut self, pairs: T) {
        for (name, value) in pairs {
            self.insert(name, value);
        }
    }
}

impl FromIterator<(EcoString, EcoString)> for Attrs {
    fn from_iter<T: IntoIterator<Item = (EcoString, EcoString)>>(pairs: T) -> Attrs {
        let mut attrs = Attrs::new();
        attrs.extend(pairs);
        attrs
    }
}

impl<const N: usize> From<[(EcoString, EcoString); N]> for Attrs {
    fn from(pairs: [(EcoString, EcoString); N]) -> Attrs {
        pairs.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_sorted_and_unique() {
        let mut attrs = Attrs::new();
        for (name, value) in [("b", "1"), ("a", "2"), ("c", "3"), ("b", "4")] {
            attrs.insert(name.into(), value.into());
        }
        attrs.insert_new("a".into(), "5".into());
        attrs.insert_new("aa".into(), "6".into());
        let text: Vec<String> = attrs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        assert_eq!(text, ["a=2", "aa=6", "b=4", "c=3"]);
        assert_eq!(attrs.remove("b").as_deref(), Some("4"));
        assert_eq!(attrs.remove("b"), None);
        assert!(attrs.contains_key("c") && !attrs.contains_key("d"));
        attrs.retain(|name, _| name != "c");
        assert_eq!(attrs.len(), 2);
    }
}
