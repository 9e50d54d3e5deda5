//! 1.3 → 2.0: access control lists in their new words.
//!
//! Source: `spec/cib.md` §12.1.

use xml::Element;

/// The document with 2.0's access control.
pub(super) fn to_two(cib: &Element) -> Element {
    let mut cib = cib.clone();
    cib.set("validate-with", "pacemaker-2.0");
    let Some(acls) = cib.at_mut(&["configuration", "acls"]) else { return cib };
    let old: Vec<Element> = acls.children().cloned().collect();
    acls.retain_children(|_| false);
    for entry in old {
        match entry.name() {
            "acl_user" => user(&entry, acls),
            "acl_role" => {
                let mut role = without_children(&entry);
                entry.children().map(permission).for_each(|permission| role.push(permission));
                acls.push(role);
            }
            _ => acls.push(entry),
        }
    }
    cib
}

fn without_children(element: &Element) -> Element {
    let mut copy = element.clone();
    copy.clear_children();
    copy
}

fn user(entry: &Element, acls: &mut Element) {
    let id = entry.id().unwrap_or("").to_owned();
    let mut target = without_children(entry);
    target.rename("acl_target");
    let mut own = Element::new("acl_role").with("id", format!("auto-{id}"));
    for child in entry.children() {
        if child.name() == "role_ref" {
            let mut role = child.clone();
            role.rename("role");
            target.push(role);
        } else {
            own.push(permission(child));
        }
    }
    if own.is_leaf() {
        acls.push(target);
    } else {
        target.push(Element::new("role").with("id", format!("auto-{id}")));
        acls.push(target);
        acls.push(own);
    }
}

fn permission(old: &Element) -> Element {
    let mut new = Element::new("acl_permission");
    if let Some(id) = old.id() {
        new.set("id", id);
    }
    new.set("kind", old.name());
    if let Some(reference) = old.get("ref") {
        new.set("reference", reference);
    } else if let Some(tag) = old.get("tag") {
        new.set("object-type", tag);
        if let Some(attribute) = old.get("attribute") {
            new.set("attribute", attribute);
        }
    } else if let Some(xpath) = old.get("xpath") {
        match old.get("attribute") {
            Some(attribute) => new.set("xpath", format!("{xpath}[@{attribute}]")),
            None => new.set("xpath", xpath),
        }
    }
    new
}
