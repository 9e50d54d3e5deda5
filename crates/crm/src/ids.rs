//! Ids that nobody typed (`spec/crmsh.md` §5.2): every element below an object gets one that says
//! where it belongs.

use std::collections::BTreeSet;

use xml::Element;

/// All ids of a document.
pub fn taken(root: &Element) -> BTreeSet<String> {
    root.descendants()
        .filter(|element| !is_reference(element.name()))
        .filter_map(|element| element.id().map(str::to_owned))
        .collect()
}

/// Elements whose `id` names another element instead of themselves.
pub fn is_reference(name: &str) -> bool {
    matches!(name, "resource_ref" | "obj_ref" | "role_ref" | "role")
}

/// Gives ids to everything in `object` that lacks one, avoiding `taken` and adding to it.
pub fn fill(object: &mut Element, taken: &mut BTreeSet<String>) {
    // A node's sets carry its name: its id is a number that means nothing to a reader.
    let owner = match object.name() {
        "node" => object.get("uname").or(object.id()),
        _ => object.id(),
    };
    let owner = owner.unwrap_or("").to_owned();
    if object.name() == "fencing-topology" {
        fill_children(object, "fencing", taken);
        return;
    }
    fill_children(object, &owner, taken);
}

fn fill_children(parent: &mut Element, owner: &str, taken: &mut BTreeSet<String>) {
    let parent_name = parent.name().to_owned();
    let mut position = 0;
    for child in parent.children_mut() {
        if is_reference(child.name()) {
            continue;
        }
        let wants_id = !child.has("id")
            && !child.has("id-ref")
            && !matches!(child.name(), "operations" | "lifetime" | "select");
        if wants_id {
            let id = match child.name() {
                "resource_set" | "acl_permission" => numbered(owner, &mut position, taken),
                name => unique(&id_for(name, child, owner, &parent_name), taken),
            };
            taken.insert(id.clone());
            child.set("id", id);
        }
        let below = match child.name() {
            "operations" => owner.to_owned(),
            _ => child.id().unwrap_or(owner).to_owned(),
        };
        fill_children(child, &below, taken);
    }
}

fn id_for(name: &str, element: &Element, owner: &str, parent: &str) -> String {
    let raw = match name {
        "nvpair" => format!("{owner}-{}", element.get("name").unwrap_or("nvpair")),
        "op" => format!(
            "{owner}-{}-{}",
            element.get("name").unwrap_or("op"),
            element.get("interval").unwrap_or("0")
        ),
        "expression" | "date_expression" => format!("{owner}-expression"),
        "fencing-level" if parent == "fencing-topology" => "fencing".to_owned(),
        other => format!("{owner}-{other}"),
    };
    let mut id = raw.replace('#', ".");
    if id.starts_with(|c: char| c.is_ascii_digit()) {
        id.insert_str(0, "num-");
    }
    id
}

fn unique(wanted: &str, taken: &BTreeSet<String>) -> String {
    if !taken.contains(wanted) {
        return wanted.to_owned();
    }
    (0u32..)
        .map(|n| format!("{wanted}-{n}"))
        .find(|id| !taken.contains(id))
        .unwrap_or_else(|| wanted.to_owned())
}

fn numbered(owner: &str, position: &mut u32, taken: &BTreeSet<String>) -> String {
    loop {
        let id = format!("{owner}-{position}");
        *position += 1;
        if !taken.contains(&id) {
            return id;
        }
    }
}
