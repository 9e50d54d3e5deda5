//! The authentication key of this node.

use crate::facts::Facts;
use crate::finding::Finding;

const CHECK: &str = "key";
/// What `corosync-keygen` writes at least; the engine takes no less than 1024 bits.
const LEAST: u64 = 128;

/// Whether the configuration wants packets to be authenticated.
pub(crate) fn is_secure(facts: &Facts) -> bool {
    let on = |key: &str| facts.text(key).is_some_and(|value| value != "none");
    facts.text("totem.secauth").is_some_and(|value| value == "on")
        || on("totem.crypto_cipher")
        || on("totem.crypto_hash")
}

pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let mut found = Vec::new();
    if facts.map().is_none() {
        return found;
    }
    let Some(key) = &facts.key else {
        if !is_secure(facts) {
            found.push(Finding::good(CHECK, "packets are not authenticated, no key is needed"));
        }
        return found;
    };
    let path = &key.path;
    match &key.size {
        Err(why) => found.push(Finding::problem(
            CHECK,
            format!("the key {path} cannot be read: {why}"),
            "copy it from another node, or make one with corosync-keygen and copy it to all nodes",
        )),
        Ok(size) if *size < LEAST => found.push(Finding::problem(
            CHECK,
            format!("the key {path} has {size} bytes, at least {LEAST} are needed"),
            "make a new one with corosync-keygen and copy it to all nodes",
        )),
        Ok(_) if key.mode & 0o077 != 0 => found.push(Finding::problem(
            CHECK,
            format!("the key {path} has mode {:04o}: others than root can read it", key.mode),
            format!("chmod 0400 {path}; if strangers had accounts here, make a new key"),
        )),
        Ok(size) => found.push(Finding::good(CHECK, format!("{path}: {size} bytes, private"))),
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::tests::{conf, facts, said};
    use crate::facts::KeyFile;

    #[test]
    fn keys() {
        let text = conf(3, "").replace("udpu", "knet\ncrypto_cipher: aes256\ncrypto_hash: sha256");
        let mut facts = facts(&text);
        assert!(is_secure(&facts));
        for (size, mode, expected) in [
            (Ok(256), 0o400, None),
            (Ok(256), 0o644, Some("has mode 0644: others than root can read it")),
            (Ok(16), 0o400, Some("has 16 bytes, at least 128 are needed")),
            (Err("gone".to_owned()), 0, Some("cannot be read: gone")),
        ] {
            facts.key = Some(KeyFile { path: "authkey".into(), size, mode });
            let said = said(&check(&facts));
            assert_eq!(!said.is_empty(), expected.is_some());
            assert!(expected.is_none_or(|text| said[0].ends_with(text)), "{said:?}");
        }
    }
}
