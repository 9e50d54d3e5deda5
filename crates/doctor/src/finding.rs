//! What a check says, and how a list of that is shown.

use base::json::Json;
use std::fmt::Write as _;

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Level {
    /// Looked at and found right.
    Good,
    /// Could not be looked at, or is merely worth knowing.
    Note,
    /// Works today; will hurt on a bad day.
    Warning,
    /// The cluster cannot work, or loses data, like this.
    Problem,
}

impl Level {
    /// The word in both outputs.
    pub fn word(self) -> &'static str {
        match self {
            Level::Good => "ok",
            Level::Note => "note",
            Level::Warning => "warning",
            Level::Problem => "PROBLEM",
        }
    }
}

/// One result of one check.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was looked at: `configuration`, `names`, `votes`, …
    pub check: &'static str,
    /// What was found, a sentence.
    pub what: String,
    /// What to do; empty when nothing.
    pub advice: String,
}

impl Finding {
    /// Nothing to do.
    pub fn good(check: &'static str, what: impl Into<String>) -> Finding {
        Finding { level: Level::Good, check, what: what.into(), advice: String::new() }
    }

    /// Worth knowing.
    pub fn note(check: &'static str, what: impl Into<String>) -> Finding {
        Finding { level: Level::Note, ..Finding::good(check, what) }
    }

    /// Something to mend soon.
    pub fn warning(
        check: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Warning, advice: advice.into(), ..Finding::good(check, what) }
    }

    /// Something to mend now.
    pub fn problem(
        check: &'static str,
        what: impl Into<String>,
        advice: impl Into<String>,
    ) -> Finding {
        Finding { level: Level::Problem, ..Finding::warning(check, what, advice) }
    }
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings.iter().filter(|finding| finding.level == level).count()
}

/// For people: a line each, with the advice below it, and a sum.
pub fn text(findings: &[Finding], verbose: bool) -> String {
    let mut out = String::new();
    for finding in findings.iter().filter(|finding| verbose || finding.level > Level::Good) {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{:8} {}: {}", finding.level.word(), finding.check, finding.what);
        if !finding.advice.is_empty() {
            let _ = writeln!(out, "         -> {}", finding.advice);
        }
    }
    let plural = |number: usize, word: &str| {
        format!("{number} {word}{}", if number == 1 { "" } else { "s" })
    };
    let _ = writeln!(
        out,
        "{}, {}, {} looked at and found right",
        plural(count(findings, Level::Problem), "problem"),
        plural(count(findings, Level::Warning), "warning"),
        plural(count(findings, Level::Good), "thing"),
    );
    out
}

/// For programs: `{"format": "quorate-doctor", "version": 1, "node", "findings": [{"level",
/// "check", "what", "advice"}]}`.
pub fn json(node: &str, findings: &[Finding]) -> Json {
    let text = |text: &str| Json::from(text);
    let one = |finding: &Finding| {
        Json::Object(vec![
            ("level", text(&finding.level.word().to_lowercase())),
            ("check", text(finding.check)),
            ("what", text(&finding.what)),
            ("advice", text(&finding.advice)),
        ])
    };
    Json::Object(vec![
        ("format", text("quorate-doctor")),
        ("version", Json::from(1)),
        ("node", text(node)),
        ("findings", Json::List(findings.iter().map(one).collect())),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_text() {
        let findings = [
            Finding::good("key", "right"),
            Finding::warning("votes", "even", "add one"),
            Finding::problem("names", "gone", "write it"),
        ];
        let expected = "warning  votes: even\n         -> add one\nPROBLEM  names: gone\n         \
                        -> write it\n1 problem, 1 warning, 1 thing looked at and found right\n";
        assert_eq!(text(&findings, false), expected);
        assert!(text(&findings, true).starts_with("ok       key: right\n"));
    }
}
