//! The sections of the status display and the language that selects them (`--include`).

/// A set of sections.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sections(u32);

#[allow(missing_docs, reason = "named as the words of --include")]
impl Sections {
    pub const STACK: Sections = Sections(1);
    pub const DC: Sections = Sections(1 << 1);
    pub const TIMES: Sections = Sections(1 << 2);
    pub const COUNTS: Sections = Sections(1 << 3);
    pub const OPTIONS: Sections = Sections(1 << 4);
    pub const MAINT_MODE: Sections = Sections(1 << 5);
    pub const NODES: Sections = Sections(1 << 6);
    pub const RESOURCES: Sections = Sections(1 << 7);
    pub const ATTRIBUTES: Sections = Sections(1 << 8);
    pub const FAILCOUNTS: Sections = Sections(1 << 9);
    pub const OPERATIONS: Sections = Sections(1 << 10);
    pub const FAILURES: Sections = Sections(1 << 11);
    pub const FENCE_FAILED: Sections = Sections(1 << 12);
    pub const FENCE_PENDING: Sections = Sections(1 << 13);
    pub const FENCE_WORKED: Sections = Sections(1 << 14);
    pub const TICKETS: Sections = Sections(1 << 15);
    pub const BANS: Sections = Sections(1 << 16);

    pub const NONE: Sections = Sections(0);
    pub const ALL: Sections = Sections((1 << 17) - 1);
    pub const SUMMARY: Sections =
        Sections(Self::STACK.0 | Self::DC.0 | Self::TIMES.0 | Self::COUNTS.0 | Self::MAINT_MODE.0);
    pub const FENCING: Sections =
        Sections(Self::FENCE_FAILED.0 | Self::FENCE_PENDING.0 | Self::FENCE_WORKED.0);
    pub const DEFAULT: Sections = Sections(
        Self::SUMMARY.0
            | Self::NODES.0
            | Self::RESOURCES.0
            | Self::FAILURES.0
            | Self::FENCE_FAILED.0
            | Self::FENCE_PENDING.0,
    );
}

/// All words, in the order `--include=list` shows them.
const WORDS: &[(&str, Sections)] = &[
    ("attributes", Sections::ATTRIBUTES),
    ("bans", Sections::BANS),
    ("counts", Sections::COUNTS),
    ("dc", Sections::DC),
    ("failcounts", Sections::FAILCOUNTS),
    ("failures", Sections::FAILURES),
    ("fencing", Sections::FENCING),
    ("fencing-failed", Sections::FENCE_FAILED),
    ("fencing-pending", Sections::FENCE_PENDING),
    ("fencing-succeeded", Sections::FENCE_WORKED),
    ("maint-mode", Sections::MAINT_MODE),
    ("nodes", Sections::NODES),
    ("operations", Sections::OPERATIONS),
    ("options", Sections::OPTIONS),
    ("resources", Sections::RESOURCES),
    ("stack", Sections::STACK),
    ("summary", Sections::SUMMARY),
    ("tickets", Sections::TICKETS),
    ("times", Sections::TIMES),
];

impl Sections {
    /// Whether any of these is in the set.
    pub fn has(self, other: Sections) -> bool {
        self.0 & other.0 != 0
    }

    /// With these as well.
    pub fn with(self, other: Sections) -> Sections {
        Sections(self.0 | other.0)
    }

    /// Without these.
    pub fn without(self, other: Sections) -> Sections {
        Sections(self.0 & !other.0)
    }

    /// With these if they were not in it, without them if they were.
    pub fn toggled(self, other: Sections) -> Sections {
        if self.has(other) { self.without(other) } else { self.with(other) }
    }

    /// Applies the words of an `--include` (or `--exclude`) to the set; `bans:PREFIX` also says
    /// which bans.
    ///
    /// # Errors
    /// The message for an unknown word, which is also the answer to `list`.
    pub fn apply(
        self,
        option: &str,
        words: &str,
        default: Sections,
        ban_prefix: &mut String,
    ) -> Result<Sections, String> {
        let include = option == "--include";
        let mut set = self;
        for word in words.split(',').filter(|word| !word.is_empty()) {
            let (name, prefix) = word.split_once(':').unwrap_or((word, ""));
            let found =
                WORDS.iter().find(|(known, _)| *known == name).map(|(_, sections)| *sections);
            set = match (word, found) {
                ("all", _) => {
                    if include {
                        Sections::ALL
                    } else {
                        Sections::NONE
                    }
                }
                ("none", _) => {
                    if include {
                        Sections::NONE
                    } else {
                        Sections::ALL
                    }
                }
                ("default" | "defaults", _) if include => set.with(default),
                (_, Some(sections)) if prefix.is_empty() || name == "bans" => {
                    if name == "bans" {
                        *ban_prefix = prefix.to_owned();
                    }
                    if include { set.with(sections) } else { set.without(sections) }
                }
                _ => {
                    let mut names: Vec<&str> = vec!["all"];
                    names.extend(WORDS.iter().map(|(known, _)| match *known {
                        "bans" if include => "bans[:PREFIX]",
                        other => other,
                    }));
                    if include {
                        names.insert(
                            names.iter().position(|name| *name == "failcounts").unwrap_or(0),
                            "default",
                        );
                    }
                    names.insert(
                        names.iter().position(|name| *name == "operations").unwrap_or(0),
                        "none",
                    );
                    return Err(format!("{option} options: {}", names.join(", ")));
                }
            };
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_change_the_set_from_left_to_right() {
        let mut prefix = String::new();
        let mut apply =
            |set: Sections, option, words| set.apply(option, words, Sections::DEFAULT, &mut prefix);
        assert_eq!(apply(Sections::DEFAULT, "--include", "none,nodes"), Ok(Sections::NODES));
        assert_eq!(apply(Sections::NODES, "--exclude", "none"), Ok(Sections::ALL));
        assert!(
            !apply(Sections::ALL, "--exclude", "fencing").unwrap().has(Sections::FENCE_PENDING)
        );
        assert!(
            apply(Sections::ALL, "--include", "list")
                .unwrap_err()
                .starts_with("--include options: all, ")
        );
        assert!(apply(Sections::NONE, "--include", "bans:x").unwrap().has(Sections::BANS));
        assert_eq!(prefix, "x");
    }
}
