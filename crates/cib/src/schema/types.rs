//! What values of attributes may look like.
//!
//! Source: `spec/cib.md` §2.

use super::Type;

pub(super) const ROLES_OLD: &[&str] = &["Stopped", "Started", "Master", "Slave"];
pub(super) const ROLES_NEW: &[&str] =
    &["Stopped", "Started", "Promoted", "Unpromoted", "Master", "Slave"];
pub(super) const ACTIONS: &[&str] = &["start", "promote", "demote", "stop"];

/// Checks a value; the error says what is expected.
pub(super) fn check(ty: Type, value: &str) -> Result<(), String> {
    let expect = |ok: bool, what: &str| if ok { Ok(()) } else { Err(what.to_owned()) };
    let trimmed = value.trim();
    match ty {
        Type::Text => Ok(()),
        Type::Id | Type::IdRef => expect(
            is_ncname(trimmed),
            "a name of letters, digits, `.`, `-` and `_` that starts with a letter or `_`",
        ),
        Type::Boolean => {
            expect(matches!(trimmed, "true" | "false" | "1" | "0"), "true, false, 1 or 0")
        }
        Type::Integer => expect(is_integer(trimmed), "an integer"),
        Type::NonNegative => {
            let negative =
                trimmed.starts_with('-') && trimmed.bytes().any(|b| matches!(b, b'1'..=b'9'));
            expect(is_integer(trimmed) && !negative, "an integer that is not negative")
        }
        Type::Positive => expect(is_positive(trimmed), "a positive integer"),
        Type::UpToNine => expect(
            is_positive(trimmed) && trimmed.trim_start_matches(['+', '0']).len() == 1,
            "an integer from 1 to 9",
        ),
        Type::Score => expect(
            is_integer(trimmed) || matches!(trimmed, "INFINITY" | "+INFINITY" | "-INFINITY"),
            "an integer, INFINITY or -INFINITY",
        ),
        Type::RoleOld => one_of(ROLES_OLD, trimmed),
        Type::RoleNew => one_of(ROLES_NEW, trimmed),
        Type::Action => one_of(ACTIONS, trimmed),
        Type::DeviceList => {
            let is_device = |name: &str| {
                !name.is_empty()
                    && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
            };
            expect(value.split(',').all(is_device), "device ids separated by commas")
        }
        Type::PortRange => expect(
            !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit() || b == b'-'),
            "digits and `-`",
        ),
        Type::OneOf(values) => one_of(values, trimmed),
    }
}

fn one_of(values: &[&str], value: &str) -> Result<(), String> {
    if values.contains(&value) {
        return Ok(());
    }
    Err(match values.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => values.concat(),
    })
}

/// An XML name without colon.
fn is_ncname(text: &str) -> bool {
    let starts = |c: char| c.is_alphabetic() || c == '_';
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '\u{b7}');
    text.chars().next().is_some_and(starts) && text.chars().all(goes_on)
}

fn is_integer(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

fn is_positive(text: &str) -> bool {
    is_integer(text) && !text.starts_with('-') && text.bytes().any(|b| matches!(b, b'1'..=b'9'))
}
