//! Upgrading a document to a newer schema.
//!
//! From version to version nothing changes but the name, except where a new major version dropped
//! constructs: 1.3 → 2.0 (access control) and 2.10 → 3.0 (old names of options). Those steps
//! rewrite the document only if it is not valid in the new version as it is.
//!
//! Source: `spec/cib.md` §11.4, §12.

use xml::Element;

use crate::rc::Rc;
use crate::schema::{self, KNOWN, Version};

mod acls;
mod names;
mod references;

/// The document in the newest schema it can be brought to, at most `max`.
///
/// # Errors
/// [`Rc::SCHEMA_VALIDATION`] if it is valid in no schema.
pub fn upgrade(cib: &Element, max: Option<&str>) -> Result<Element, Rc> {
    let name = cib.get("validate-with").unwrap_or("");
    if name.eq_ignore_ascii_case("none") {
        return Ok(cib.clone());
    }
    let max = max.and_then(schema::version_of).unwrap_or(schema::LATEST);
    let start = schema::version_of(name).unwrap_or(0);
    let versions: Vec<Version> = KNOWN.iter().filter_map(|name| schema::version_of(name)).collect();
    let mut current = cib.clone();
    let mut best: Option<Version> = None;
    let mut at = versions.iter().position(|version| *version >= start).unwrap_or(versions.len());
    while let Some(version) = versions.get(at).copied() {
        if schema::validate_as(&current, version).is_err() {
            if best.is_some() {
                break;
            }
            at += 1;
            continue;
        }
        best = Some(version);
        let Some(next) = versions.get(at + 1).copied() else { break };
        if version == max || next > max {
            break;
        }
        if schema::validate_as(&current, next).is_err()
            && let Some(transformed) = transform(&current, version)
            && schema::validate_as(&transformed, next).is_ok()
        {
            current = transformed;
            best = Some(next);
        }
        at += 1;
    }
    let best = best.ok_or(Rc::SCHEMA_VALIDATION)?;
    if best > start {
        current.set("validate-with", schema::name_of(best));
    }
    Ok(current)
}

/// The rewriting that leads out of a version, if it has one, whether it is needed or not.
pub fn transform(cib: &Element, from: Version) -> Option<Element> {
    match from {
        103 => Some(acls::to_two(cib)),
        210 => names::to_three(cib),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
