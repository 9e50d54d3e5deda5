//! The attributes themselves: a name, what it is kept under in the CIB, and a value per node.
//!
//! Source: `spec/pacemaker-cluster.md` §13.1.

use std::collections::BTreeMap;
use std::time::Duration;

use base::Time;

/// Value of one attribute on one node.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Value {
    /// The node's name as it was written first (look-ups ignore letter case).
    pub host: String,
    /// The value everybody agreed on; `None` once deleted.
    pub current: Option<String>,
    /// The value last handed to the CIB.
    pub requested: Option<String>,
    /// The node's cluster id, 0 if nobody said.
    pub node_id: u32,
    /// A Pacemaker Remote node.
    pub is_remote: bool,
    /// Part of the writer's synchronisation that is being applied.
    pub seen: bool,
}

/// One attribute.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Id of the attribute set in the CIB; `None` for the default one.
    pub set: Option<String>,
    /// Id of the nvpair; `None` for the default one.
    pub key: Option<String>,
    /// The ACL user who created it.
    pub user: Option<String>,
    /// Never written to the CIB.
    pub is_private: bool,
    /// How long to wait for further changes before writing.
    pub dampening: Duration,
    /// When the wait (dampening or retry) ends.
    pub timer: Option<Time>,
    /// Some value is not in the CIB yet.
    pub changed: bool,
    /// Write even though nothing changed.
    pub force_write: bool,
    /// A value waits for its node's id.
    pub unknown_peer: bool,
    /// The CIB update in flight.
    pub in_flight: Option<u64>,
    /// Values by node name in lower case.
    pub values: BTreeMap<String, Value>,
}

impl Attribute {
    /// The value on a node.
    pub fn value(&self, host: &str) -> Option<&str> {
        self.values.get(&host.to_ascii_lowercase())?.current.as_deref()
    }

    /// The entry of a node, made if needed.
    pub fn entry(&mut self, host: &str) -> &mut Value {
        self.values
            .entry(host.to_ascii_lowercase())
            .or_insert_with(|| Value { host: host.to_owned(), ..Value::default() })
    }
}

/// `value++` and `value+=N`, literally: adds to what is there, as scores. Anything else is taken
/// as it stands.
///
/// Source: `spec/pacemaker-ipc.md` §5, processing of update, 6.
pub fn expand(text: &str, current: Option<&str>) -> String {
    let bytes = text.as_bytes();
    if bytes.len() < 7 || bytes[5] != b'+' || !matches!(bytes[6], b'+' | b'=') {
        return text.to_owned();
    }
    let current = score(current.unwrap_or("0"));
    let offset = if bytes[6] == b'+' { 1 } else { score(text.get(7..).unwrap_or("")) };
    current.saturating_add(offset).min(1_000_000).to_string()
}

fn score(text: &str) -> i64 {
    match text.trim() {
        "INFINITY" | "+INFINITY" => 1_000_000,
        "-INFINITY" => -1_000_000,
        number => {
            let end = number
                .char_indices()
                .find(|(at, c)| !(c.is_ascii_digit() || *at == 0 && matches!(c, '+' | '-')))
                .map_or(number.len(), |(at, _)| at);
            number[..end].parse::<i64>().unwrap_or(0).clamp(-1_000_000, 1_000_000)
        }
    }
}

/// Makes a text usable as an XML id: what may not stand in one becomes a dot.
pub fn sanitize_id(text: &str) -> String {
    text.chars()
        .enumerate()
        .map(|(at, c)| match c {
            'a'..='z' | 'A'..='Z' | '_' => c,
            '0'..='9' | '-' | '.' if at > 0 => c,
            _ if !c.is_ascii() => c,
            _ => '.',
        })
        .collect()
}

/// Which attributes a clear-failure request means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FailureFilter {
    resource: Option<String>,
    operation: Option<String>,
}

impl FailureFilter {
    /// A filter of the given resource and operation (with its interval in milliseconds).
    pub fn new(resource: Option<&str>, operation: Option<(&str, u32)>) -> FailureFilter {
        FailureFilter {
            resource: resource.map(str::to_owned),
            operation: operation.map(|(name, interval)| format!("{name}_{interval}")),
        }
    }

    /// Whether an attribute is a failure record that the filter means.
    pub fn matches(&self, attribute: &str) -> bool {
        let Some(rest) = attribute
            .strip_prefix("fail-count-")
            .or_else(|| attribute.strip_prefix("last-failure-"))
        else {
            return false;
        };
        let Some(resource) = &self.resource else { return true };
        let Some(rest) = rest.strip_prefix(resource.as_str()) else { return false };
        match (&self.operation, rest.strip_prefix('#')) {
            (_, None) => rest.is_empty(),
            (Some(wanted), Some(operation)) => wanted == operation,
            (None, Some(operation)) => {
                operation.rsplit_once('_').is_some_and(|(name, interval)| {
                    !name.is_empty()
                        && !interval.is_empty()
                        && interval.bytes().all(|byte| byte.is_ascii_digit())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn increments_are_expanded() {
        for (text, current, want) in [
            ("value++", None, "1"),
            ("value++", Some("2"), "3"),
            ("value+=5", Some("2"), "7"),
            ("value++", Some("INFINITY"), "1000000"),
            ("value+=INFINITY", None, "1000000"),
            ("5", Some("2"), "5"),
            ("++", Some("2"), "++"),
            ("äää+", None, "äää+"),
        ] {
            assert_eq!(expand(text, current), want, "{text}");
        }
    }

    #[test]
    fn failures_are_matched_as_upstreams_expressions_do() {
        let all = FailureFilter::new(None, None);
        let rsc = FailureFilter::new(Some("D"), None);
        let op = FailureFilter::new(Some("D"), Some(("monitor", 10000)));
        for (name, want) in [
            ("fail-count-D#monitor_10000", [true, true, true]),
            ("last-failure-D#start_0", [true, true, false]),
            ("fail-count-D", [true, true, true]),
            ("fail-count-D2#start_0", [true, false, false]),
            ("fail-count-D#x", [true, false, false]),
            ("pingd", [false, false, false]),
        ] {
            assert_eq!([all.matches(name), rsc.matches(name), op.matches(name)], want, "{name}");
        }
    }

    #[test]
    fn ids_are_made_legal() {
        assert_eq!(sanitize_id("fail-count-D#start_0"), "fail-count-D.start_0");
        assert_eq!(sanitize_id("#feature-set"), ".feature-set");
        assert_eq!(sanitize_id("1"), ".");
    }
}
