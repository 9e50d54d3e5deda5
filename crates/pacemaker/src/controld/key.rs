//! Transition keys and magics: how an operation's record says which action of which graph it is
//! the result of.
//!
//! Source: `spec/pacemaker-cluster.md` §6.6.

/// The UUID in keys of operations that no graph asked for.
pub const NO_UUID: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

/// A decoded key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Key {
    /// Number of the action in its graph.
    pub action: i32,
    /// Number of the graph; −1 for an event nobody asked for.
    pub transition: i32,
    /// The result that was expected.
    pub target_rc: i32,
    /// Which transition engine asked.
    pub uuid: String,
}

impl Key {
    /// Reads `ACTION:TRANSITION:RC:UUID`.
    pub fn parse(text: &str) -> Option<Key> {
        let mut parts = text.splitn(4, ':');
        let mut number = || parts.next()?.trim().parse::<i32>().ok();
        let (action, transition, target_rc) = (number()?, number()?, number()?);
        let uuid: String =
            parts.next()?.chars().take_while(|c| !c.is_whitespace()).take(36).collect();
        (!uuid.is_empty()).then_some(Key { action, transition, target_rc, uuid })
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{:<36}", self.action, self.transition, self.target_rc, self.uuid)
    }
}

/// Splits a magic `STATUS:RC;KEY`.
pub fn parse_magic(text: &str) -> Option<(i32, i32, Key)> {
    let (result, key) = text.split_once(';')?;
    let (status, rc) = result.split_once(':')?;
    Some((status.trim().parse().ok()?, rc.trim().parse().ok()?, Key::parse(key)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_captured_magic_is_read() {
        let text = "0:7;3:2:7:6786b6a2-3f80-428f-b0a3-a1a9af40dbae";
        let (status, rc, key) = parse_magic(text).unwrap();
        assert_eq!((status, rc), (0, 7));
        assert_eq!(format!("{status}:{rc};{key}"), text);
        assert_eq!((key.action, key.transition, key.target_rc), (3, 2, 7));
    }

    #[test]
    fn nonsense_is_no_key() {
        for text in ["", "1:2:3", "1:2:3:", "a:2:3:u", ":::", "1:2:3: u"] {
            assert_eq!(Key::parse(text), None, "{text:?}");
        }
        assert_eq!(parse_magic("0:7"), None);
    }
}
