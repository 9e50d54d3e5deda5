//! 3.10 → 4.0: constructs that 4.0 no longer has are rewritten, or dropped with a warning.
//!
//! The steps run one after the other over the whole configuration, as upstream's do, because
//! their messages come in that order: references copied out ([`copies`]), values ([`values`]),
//! constructs that have a successor ([`successors`]), lifetimes ([`lifetimes`]), what is gone
//! ([`gone`]), references put back.
//!
//! Source: `spec/cib.md` §12.5.

use xml::Element;

use super::message::Log;

mod copies;
mod gone;
mod lifetimes;
mod successors;
mod values;

/// What ids begin with that the upgrade makes.
const PREFIX: &str = "pcmk__3_10_upgrade-";

/// The document in 4.0's words.
pub(super) fn to_four(cib: &Element, log: &mut Log) -> Element {
    let mut cib = cib.clone();
    cib.set("validate-with", "pacemaker-4.0");
    let Some(configuration) = cib.child_mut("configuration") else { return cib };
    copies::make(configuration);
    let before = configuration.clone();
    values::rewrite(configuration, log);
    successors::rewrite(configuration);
    lifetimes::fold(configuration, log);
    gone::remove(configuration, log);
    let changed = *configuration != before;
    copies::collapse(configuration);
    access(configuration, changed, log);
    cib
}

/// Permissions that name what is gone match nothing; those by XPath deserve a second look.
fn access(configuration: &mut Element, changed: bool, log: &mut Log) {
    let ids: std::collections::BTreeSet<String> =
        configuration.descendants().filter_map(|e| e.id().map(str::to_owned)).collect();
    let Some(acls) = configuration.child_mut("acls") else { return };
    let mut by_xpath = false;
    acls.for_each_mut(&mut |entry| {
        if entry.name() != "acl_permission" {
            return;
        }
        if entry.get("reference").is_some_and(|id| !ids.contains(id)) {
            entry.unset("reference");
            entry.set("xpath", "/*[false()]");
        }
        by_xpath |= entry.has("xpath");
    });
    if by_xpath && changed {
        log.warn(
            "CIB syntax changes may invalidate ACLs that use \"xpath\". It is strongly \
             recommended to run \"cibadmin --upgrade\" and then examine the updated CIB carefully \
             to ensure ACLs still match the desired intent."
                .to_owned(),
        );
    }
}

/// Puts several children in the place of each, or none.
fn replace_children(parent: &mut Element, mut by: impl FnMut(Element) -> Vec<Element>) {
    let nodes = std::mem::take(parent.nodes_mut());
    for node in nodes {
        match node {
            xml::Node::Element(child) => {
                for new in by(std::sync::Arc::unwrap_or_clone(child)) {
                    parent.push(new);
                }
            }
            other => parent.nodes_mut().push(other),
        }
    }
}
