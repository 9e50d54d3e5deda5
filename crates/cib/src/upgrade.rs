//! Upgrading a document to a newer schema.
//!
//! From version to version nothing changes but the name, except where a new major version dropped
//! constructs: 1.3 → 2.0 (access control), 2.10 → 3.0 (old names of options) and 3.10 → 4.0 (many
//! things that nobody should use any more). Those steps rewrite the document only if it is not valid in the new version as it is.
//!
//! Source: `spec/cib.md` §11.4, §12.

use xml::Element;

use crate::rc::Rc;
use crate::schema::{self, VERSIONS, Version};

mod acls;
mod four;
mod message;
mod names;
mod operations;
mod references;

pub use message::{Level, Message};

use message::Log;

/// A transformation that an upgrade needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The version it leads out of.
    pub from: Version,
    /// The version it leads to.
    pub to: Version,
    /// What it told.
    pub messages: Vec<Message>,
}

/// What an upgrade did.
#[derive(Debug, Clone, PartialEq)]
pub struct Upgraded {
    /// The document, with `validate-with` naming the schema it reached.
    pub document: Element,
    /// The transformations that were needed.
    pub steps: Vec<Step>,
    /// True if the schema is a newer one than before.
    pub raised: bool,
}

/// The document in the newest schema it can be brought to, at most `max` (without it: the newest
/// that Pacemaker 2.1.5 knows, because peers of that version must be able to read the result).
///
/// # Errors
/// [`Rc::SCHEMA_VALIDATION`] if it is valid in no schema.
pub fn upgrade(cib: &Element, max: Option<&str>) -> Result<Element, Rc> {
    let max = max.and_then(schema::version_of).unwrap_or(schema::LATEST);
    upgrade_to(cib, max).map(|upgraded| upgraded.document)
}

/// As [`upgrade`], telling what was done.
///
/// # Errors
/// [`Rc::SCHEMA_VALIDATION`] if it is valid in no schema.
pub fn upgrade_to(cib: &Element, max: Version) -> Result<Upgraded, Rc> {
    let mut done = Upgraded { document: cib.clone(), steps: Vec::new(), raised: false };
    let name = cib.get("validate-with").unwrap_or("");
    if name.eq_ignore_ascii_case("none") {
        return Ok(done);
    }
    let start = schema::version_of(name).unwrap_or(0);
    let mut best: Option<Version> = None;
    let mut at = VERSIONS.iter().position(|version| *version >= start).unwrap_or(VERSIONS.len());
    // What is known to be valid without looking again.
    let mut known_valid: Option<Version> = None;
    while let Some(version) = VERSIONS.get(at).copied() {
        if known_valid != Some(version) && !schema::is_valid_as(&done.document, version) {
            if best.is_some() {
                break;
            }
            at += 1;
            continue;
        }
        best = Some(version);
        let Some(next) = VERSIONS.get(at + 1).copied() else { break };
        if version == max || next > max {
            break;
        }
        if schema::is_valid_as(&done.document, next) {
            known_valid = Some(next);
        } else if let Some(new) = transform(&done.document, version)
            && schema::is_valid_as(&new.document, next)
        {
            done.document = new.document;
            done.steps.push(Step { from: version, to: next, messages: new.messages });
            best = Some(next);
            known_valid = Some(next);
        }
        at += 1;
    }
    let best = best.ok_or(Rc::SCHEMA_VALIDATION)?;
    if best > start {
        done.document.set("validate-with", schema::name_of(best));
        done.raised = true;
    }
    Ok(done)
}

/// A document after a transformation, and what is to be said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct Transformed {
    /// The document.
    pub document: Element,
    /// What was done, in the order it was done.
    pub messages: Vec<Message>,
}

/// The rewriting that leads out of a version, if it has one, whether it is needed or not.
pub fn transform(cib: &Element, from: Version) -> Option<Transformed> {
    let mut log = Log::default();
    let document = match from {
        103 => acls::to_two(cib),
        310 => four::to_four(cib, &mut log),
        210 => names::to_three(cib, &mut log)?,
        _ => return None,
    };
    Some(Transformed { document, messages: log.0 })
}

#[cfg(test)]
mod tests;
