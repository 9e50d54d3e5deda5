//! What can be configured: every option's name, type, default and description, once.
//!
//! The daemons' `metadata`, `crm_attribute --list-options`, `crm_resource --list-options`, the
//! shell's completion, validation and the documentation all read these tables. Start at
//! [`CLUSTER`]; [`Setting`] is a row.
//!
//! Source: `spec/cib.md` §15.

mod cluster;
mod fencing;
mod primitive;
mod render;

pub use cluster::CLUSTER;
pub use fencing::FENCING;
pub use primitive::{CLONE, GROUP, OPERATION, PRIMITIVE};
pub use render::{daemon_metadata, list_text, list_xml};

/// What a value looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    String,
    /// A version of the software.
    Version,
    /// A truth value.
    Boolean,
    /// A whole number.
    Integer,
    /// A whole number that is not negative.
    NonnegativeInteger,
    /// A port number.
    Port,
    /// A score: a whole number or ±INFINITY.
    Score,
    /// A number followed by `%`.
    Percentage,
    /// A length of time.
    Duration,
    /// A length of time; some options give a negative one a meaning.
    Timeout,
    /// One of these.
    Select(&'static [&'static str]),
}

impl Kind {
    /// The name the tools show.
    pub fn name(self) -> &'static str {
        match self {
            Kind::String => "string",
            Kind::Version => "version",
            Kind::Boolean => "boolean",
            Kind::Integer => "integer",
            Kind::NonnegativeInteger => "nonnegative_integer",
            Kind::Port => "port",
            Kind::Score => "score",
            Kind::Percentage => "percentage",
            Kind::Duration => "duration",
            Kind::Timeout => "timeout",
            Kind::Select(_) => "select",
        }
    }

    /// The name the daemons' metadata shows: OCF knows fewer.
    pub fn ocf_name(self) -> &'static str {
        match self {
            Kind::String | Kind::Version => "string",
            Kind::Boolean => "boolean",
            Kind::Integer | Kind::NonnegativeInteger | Kind::Port | Kind::Score => "integer",
            Kind::Percentage => "percentage",
            Kind::Duration | Kind::Timeout => "time",
            Kind::Select(_) => "select",
        }
    }

    /// The values to choose from; none when there is no list.
    pub fn values(self) -> &'static [&'static str] {
        match self {
            Kind::Select(values) => values,
            Kind::Boolean => &["true", "false"],
            Kind::String
            | Kind::Version
            | Kind::Integer
            | Kind::NonnegativeInteger
            | Kind::Port
            | Kind::Score
            | Kind::Percentage
            | Kind::Duration
            | Kind::Timeout => &[],
        }
    }
}

/// Who obeys a cluster option, and so lists it in its metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Daemon {
    /// The CIB manager.
    Based,
    /// The controller.
    Controld,
    /// The scheduler.
    Schedulerd,
}

/// One option.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name.
    pub name: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// What counts when it is not set.
    pub default: Option<&'static str>,
    /// What it is for, in a line.
    pub short: &'static str,
    /// What it is for, at length; [`SAME`] when the line says it all.
    long: &'static str,
    /// For experts only.
    pub advanced: bool,
    /// Set by the cluster itself.
    pub generated: bool,
    /// Will go.
    pub deprecated: bool,
    /// The name that replaced this one.
    pub replaced_with: Option<&'static str>,
    /// Whose metadata lists it.
    pub daemon: Option<Daemon>,
}

/// The long description of an option whose short one says it all.
const SAME: &str = "";

const fn setting(
    name: &'static str,
    kind: Kind,
    default: Option<&'static str>,
    short: &'static str,
    long: &'static str,
) -> Setting {
    Setting {
        name,
        kind,
        default,
        short,
        long,
        advanced: false,
        generated: false,
        deprecated: false,
        replaced_with: None,
        daemon: None,
    }
}

/// A former name of an option.
const fn former(name: &'static str, short: &'static str, now: &'static Setting) -> Setting {
    Setting { name, short, long: SAME, deprecated: true, replaced_with: Some(now.name), ..*now }
}

impl Setting {
    const fn advanced(self) -> Setting {
        Setting { advanced: true, ..self }
    }

    const fn generated(self) -> Setting {
        Setting { generated: true, ..self }
    }

    const fn deprecated(self) -> Setting {
        Setting { deprecated: true, ..self }
    }

    const fn of(self, daemon: Daemon) -> Setting {
        Setting { daemon: Some(daemon), ..self }
    }

    /// The long description.
    pub fn long(&self) -> &'static str {
        if self.long == SAME { self.short } else { self.long }
    }

    /// Whether a value is one that the option understands.
    pub fn accepts(&self, value: &str) -> bool {
        let number = |text: &str| {
            let digits = text.trim_start().trim_start_matches(['-', '+']);
            digits.starts_with(|c: char| c.is_ascii_digit())
        };
        let score =
            |text: &str| matches!(text, "INFINITY" | "+INFINITY" | "-INFINITY") || number(text);
        match self.kind {
            Kind::String | Kind::Version => true,
            Kind::Boolean => matches!(
                value.to_ascii_lowercase().as_str(),
                "true" | "on" | "yes" | "y" | "1" | "false" | "off" | "no" | "n" | "0"
            ),
            // Colours stand for scores.
            Kind::Score => {
                score(value)
                    || ["red", "yellow", "green"].iter().any(|c| value.eq_ignore_ascii_case(c))
            }
            Kind::Integer => score(value),
            Kind::NonnegativeInteger | Kind::Port => {
                number(value) && !value.trim_start().starts_with('-')
            }
            Kind::Percentage => number(value) && !value.trim_start().starts_with('-'),
            Kind::Duration => is_duration(value),
            Kind::Timeout => number(value) || is_duration(value),
            Kind::Select(values) => {
                values.iter().any(|choice| choice.eq_ignore_ascii_case(value))
                    // A former choice.
                    || values.contains(&"off") && value.eq_ignore_ascii_case("poweroff")
            }
        }
    }

    /// Whether there is more to say than the short description.
    pub fn has_long(&self) -> bool {
        self.long != SAME && self.long != self.short
    }
}

/// `10`, `10s`, `1min`, …, or an ISO 8601 duration.
fn is_duration(text: &str) -> bool {
    if text.starts_with('P') {
        return base::dates::Duration::parse(text).is_some();
    }
    let text = text.trim_start();
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    if unit.len() == text.len() {
        return false;
    }
    let unit = unit.trim_start().to_ascii_lowercase();
    unit.is_empty() || ["s", "ms", "us", "m", "h"].iter().any(|known| unit.starts_with(known))
}

/// The option of this name.
pub fn find(table: &'static [Setting], name: &str) -> Option<&'static Setting> {
    table.iter().find(|setting| setting.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_their_kind() {
        for (name, good, bad) in [
            ("no-quorum-policy", &["stop", "Freeze"][..], &["foo", ""][..]),
            ("fencing-enabled", &["true", "No", "1"], &["maybe"]),
            ("cluster-delay", &["60s", "1min", "PT1H", "5"], &["-1", "soon", "5x"]),
            ("batch-limit", &["0", "-1", "INFINITY"], &["x"]),
            ("node-health-red", &["-INFINITY", "red"], &["blue"]),
        ] {
            let setting = find(CLUSTER, name).unwrap();
            assert!(good.iter().all(|value| setting.accepts(value)), "{name}");
            assert!(bad.iter().all(|value| !setting.accepts(value)), "{name}");
        }
        assert!(CLUSTER.iter().all(|setting| setting.default.is_none_or(|d| setting.accepts(d))));
    }

    #[test]
    fn names_are_unique_and_choices_hold_their_default() {
        for table in [CLUSTER, FENCING, PRIMITIVE, GROUP, CLONE, OPERATION] {
            for (index, setting) in table.iter().enumerate() {
                assert!(table[..index].iter().all(|other| other.name != setting.name));
                if let (Kind::Select(values), Some(default)) = (setting.kind, setting.default) {
                    assert!(values.contains(&default), "{}", setting.name);
                }
                if let Some(now) = setting.replaced_with {
                    assert!(find(table, now).is_some_and(|now| now.default == setting.default));
                }
            }
        }
    }
}
