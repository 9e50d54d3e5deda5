//! The configuration file: `KEY=value` lines of shell, as far as they are plain.
//!
//! Source: `spec/cli-pacemaker.md` §5.

use std::collections::BTreeMap;
use std::fs;

/// Where the file may be, by distribution.
pub const FILES: [&str; 2] = ["/etc/default/pacemaker", "/etc/sysconfig/pacemaker"];

/// Reads assignments. Lines that are none (comments, other shell) are skipped; `export` in front,
/// quotes around, and a comment behind a value are understood.
pub fn parse(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
        let Some((name, value)) = line.split_once('=') else { continue };
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if is_name {
            found.insert(name.to_owned(), value_of(value).to_owned());
        }
    }
    found
}

fn value_of(text: &str) -> &str {
    let text = text.trim();
    for quote in ['"', '\''] {
        if let Some(rest) = text.strip_prefix(quote) {
            return rest.split(quote).next().unwrap_or(rest);
        }
    }
    text.split([' ', '\t']).next().unwrap_or(text)
}

/// The environment of the daemons-to-be: what this process has, and the file's assignments for
/// what it lacks.
pub fn load() -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    for file in FILES {
        let Ok(bytes) = fs::read(file) else { continue };
        for (name, value) in parse(&String::from_utf8_lossy(&bytes)) {
            env.entry(name).or_insert(value);
        }
    }
    env
}

/// Sets an option under both of its spellings.
pub fn set_option(env: &mut BTreeMap<String, String>, name: &str, value: &str) {
    env.insert(format!("PCMK_{name}"), value.to_owned());
    env.insert(format!("HA_{name}"), value.to_owned());
}

/// An option under either of its spellings.
pub fn option<'a>(env: &'a BTreeMap<String, String>, name: &str) -> Option<&'a str> {
    let found = env.get(&format!("PCMK_{name}")).or_else(|| env.get(&format!("HA_{name}")));
    found.map(String::as_str)
}

/// Whether a word means yes.
pub fn is_true(word: &str) -> bool {
    ["true", "on", "yes", "y", "1"].iter().any(|yes| yes.eq_ignore_ascii_case(word.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assignments_are_read() {
        let text = "# PCMK_a=1\nPCMK_b=2 # two\n export PCMK_c='x y'\nPCMK_d=\"z\" \nbad line\n\
                    9x=1\n=3\nPCMK_e=\nPCMK_f=\"open\n";
        let got = parse(text);
        let want = [
            ("PCMK_b", "2"),
            ("PCMK_c", "x y"),
            ("PCMK_d", "z"),
            ("PCMK_e", ""),
            ("PCMK_f", "open"),
        ];
        assert_eq!(got, want.map(|(k, v)| (k.to_owned(), v.to_owned())).into());
        for text in ["", "=", "'", "\"", "a='"] {
            parse(text);
        }
    }
}
