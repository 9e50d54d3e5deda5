//! The configuration map: typed values under dotted names, shared by configuration, statistics
//! and run-time state. A core: changes are recorded and drained by the engine, which tells
//! trackers and services.
//!
//! Source: `spec/corosync-services.md` §7.2, `spec/corosync-conf-and-tools.md` §8.2.

mod value;

use std::collections::BTreeMap;
use std::ops::Bound;

pub use value::Value;

use crate::wire::CsError;

/// Shortest key.
pub const KEY_MIN: usize = 3;
/// Longest key.
pub const KEY_MAX: usize = 255;
/// Longest value.
pub const VALUE_MAX: usize = 16_384;

/// Prefixes that clients cannot change.
const READ_ONLY_PREFIXES: &[&str] = &[
    "internal_configuration.",
    "runtime.services.",
    "runtime.config.",
    "runtime.totem.",
    "uidgid.config.",
    "system.",
    "nodelist.",
];

/// Keys that clients cannot change.
const READ_ONLY_KEYS: &[&str] = &[
    "totem.crypto_cipher",
    "totem.crypto_hash",
    "totem.crypto_model",
    "totem.keyfile",
    "totem.key",
    "totem.secauth",
    "totem.ip_version",
    "totem.rrp_mode",
    "totem.transport",
    "totem.cluster_name",
    "totem.netmtu",
    "totem.threads",
    "totem.version",
    "totem.nodeid",
    "totem.clear_node_high_bit",
    "config.reload_in_progress",
    "config.totemconfig_reload_in_progress",
];

/// One change of the map, as trackers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The key.
    pub key: String,
    /// The former value; `None` when the key is new.
    pub old: Option<Value>,
    /// The new value; `None` when the key was deleted.
    pub new: Option<Value>,
}

/// The map.
#[derive(Clone, Default, Debug)]
pub struct Map {
    entries: BTreeMap<String, Value>,
    extra_read_only: Vec<&'static str>,
    changes: Vec<Change>,
}

/// Whether all characters of a key are allowed and its length fits.
pub fn is_valid_key(key: &[u8]) -> bool {
    (KEY_MIN..=KEY_MAX).contains(&key.len())
        && key
            .iter()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-' | b'/' | b':'))
}

impl Map {
    /// An empty map.
    pub fn new() -> Map {
        Map::default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.get(key)
    }

    /// The text of a key, if it is text.
    pub fn get_text(&self, key: &str) -> Option<String> {
        self.get(key)?.as_text().map(std::borrow::Cow::into_owned)
    }

    /// The number of a key, if it is a u32.
    pub fn get_u32(&self, key: &str) -> Option<u32> {
        match self.get(key)? {
            Value::U32(v) => Some(*v),
            _ => None,
        }
    }

    /// The number of a key, if it is a u8.
    pub fn get_u8(&self, key: &str) -> Option<u8> {
        match self.get(key)? {
            Value::U8(v) => Some(*v),
            _ => None,
        }
    }

    /// The number of a key, if it is a u64.
    pub fn get_u64(&self, key: &str) -> Option<u64> {
        match self.get(key)? {
            Value::U64(v) => Some(*v),
            _ => None,
        }
    }

    /// Sets a key. Setting an equal value changes nothing and tells nobody.
    ///
    /// # Errors
    /// `NameTooLong` for an illegal new key, `InvalidParam` for a value beyond [`VALUE_MAX`].
    pub fn set(&mut self, key: &str, value: Value) -> Result<(), CsError> {
        let old = self.entries.get(key);
        if old == Some(&value) {
            return Ok(());
        }
        if old.is_none() && !is_valid_key(key.as_bytes()) {
            return Err(CsError::NameTooLong);
        }
        let len = match &value {
            // Its NUL does not count.
            Value::Str(text) => text.len(),
            Value::Bin(bytes) => bytes.len(),
            _ => 0,
        };
        if len > VALUE_MAX {
            return Err(CsError::InvalidParam);
        }
        let old = self.entries.insert(key.to_owned(), value.clone());
        self.changes.push(Change { key: key.to_owned(), old, new: Some(value) });
        Ok(())
    }

    /// Sets a key whose name and value the program itself chose, so they are known to be legal.
    pub fn put(&mut self, key: &str, value: Value) {
        let done = self.set(key, value);
        debug_assert!(done.is_ok(), "the program's own key `{key}` is illegal");
    }

    /// Deletes a key.
    ///
    /// # Errors
    /// `NotExist`.
    pub fn delete(&mut self, key: &str) -> Result<(), CsError> {
        let old = self.entries.remove(key).ok_or(CsError::NotExist)?;
        self.changes.push(Change { key: key.to_owned(), old: Some(old), new: None });
        Ok(())
    }

    /// Adds `step` to an integer.
    ///
    /// # Errors
    /// `NotExist`; `InvalidParam` when the value is no integer.
    pub fn adjust(&mut self, key: &str, step: i32) -> Result<(), CsError> {
        let new = self.get(key).ok_or(CsError::NotExist)?.adjusted(step);
        self.set(key, new.ok_or(CsError::InvalidParam)?)
    }

    /// Whether clients may not change this key.
    pub fn is_read_only(&self, key: &str) -> bool {
        READ_ONLY_KEYS.contains(&key)
            || self.extra_read_only.contains(&key)
            || READ_ONLY_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
    }

    /// Closes one more key for clients.
    pub fn make_read_only(&mut self, key: &'static str) {
        if !self.extra_read_only.contains(&key) {
            self.extra_read_only.push(key);
        }
    }

    /// Entries whose key starts with a prefix, ascending.
    pub fn iter<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.entries
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(move |(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// The entry after `last` (or the first one) among those with a prefix. Iterations of clients
    /// go on from the last key, so the map may change meanwhile.
    pub fn next_after(&self, prefix: &str, last: Option<&str>) -> Option<(&str, &Value)> {
        let start = match last {
            Some(last) => Bound::Excluded(last),
            None => Bound::Included(prefix),
        };
        self.entries
            .range::<str, _>((start, Bound::Unbounded))
            .next()
            .filter(|(key, _)| key.starts_with(prefix))
            .map(|(key, value)| (key.as_str(), value))
    }

    /// Takes the changes since the last call.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Whether changes wait to be taken.
    pub fn has_changes(&self) -> bool {
        !self.changes.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_make_no_change() {
        let mut map = Map::new();
        map.put("totem.token", Value::U32(1));
        map.put("totem.token", Value::U32(1));
        assert_eq!(map.take_changes().len(), 1);
        map.put("totem.token", Value::text("1"));
        assert_eq!(map.take_changes()[0].old, Some(Value::U32(1)));
        assert!(map.delete("totem.token").is_ok());
        assert_eq!(map.take_changes()[0].new, None);
        assert_eq!(map.delete("totem.token"), Err(CsError::NotExist));
    }

    #[test]
    fn keys_have_limits() {
        let mut map = Map::new();
        for (key, fine) in [("ab", false), ("abc", true), ("a b", false), ("a/b:c-d_e.f", true)] {
            assert_eq!(map.set(key, Value::U8(1)).is_ok(), fine, "{key}");
        }
        assert_eq!(map.set(&"k".repeat(256), Value::U8(1)), Err(CsError::NameTooLong));
        let long = Value::Bin(vec![0; VALUE_MAX + 1]);
        assert_eq!(map.set("abc", long), Err(CsError::InvalidParam));
    }

    #[test]
    fn iteration_is_bytewise_and_survives_deletion() {
        let mut map = Map::new();
        for key in ["node.10.a", "node.2.a", "nodes", "node.1.a"] {
            map.put(key, Value::U8(0));
        }
        let keys: Vec<&str> = map.iter("node.").map(|(key, _)| key).collect();
        assert_eq!(keys, ["node.1.a", "node.10.a", "node.2.a"]);
        assert!(map.delete("node.1.a").is_ok());
        assert_eq!(map.next_after("node.", Some("node.1.a")).map(|e| e.0), Some("node.10.a"));
        assert_eq!(map.next_after("node.", Some("node.2.a")), None);
    }

    #[test]
    fn read_only_rules_cover_keys_and_prefixes() {
        let mut map = Map::new();
        assert!(map.is_read_only("nodelist.node.0.nodeid"));
        assert!(map.is_read_only("totem.version"));
        assert!(!map.is_read_only("totem.token"));
        assert!(!map.is_read_only("quorum.wait_for_all"));
        map.make_read_only("quorum.wait_for_all");
        assert!(map.is_read_only("quorum.wait_for_all"));
    }
}
