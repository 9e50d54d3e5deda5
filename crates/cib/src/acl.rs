//! Access control: which users it applies to, what they may see, what they may change.
//!
//! Source: `spec/cib.md` §10.

mod access;

use std::collections::{BTreeMap, VecDeque};

use xml::{Element, Node, NodePath, XPath};

use crate::diff::same;
use crate::document::cluster_option;
use crate::rc::Rc;

pub use access::{Access, AccessMap};

/// What an entry grants or takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Read,
    Write,
    Deny,
}

/// Marks of an element: what entries matched it.
#[derive(Clone, Copy, Default, Debug)]
struct Marks {
    read: bool,
    write: bool,
    deny: bool,
}

type MarkedPaths = BTreeMap<NodePath, Marks>;

/// Whether entries can say anything about a user: root and the cluster's own user may do all.
pub fn is_subject(user: &str) -> bool {
    !matches!(user, "" | "root" | "hacluster")
}

/// Whether access control applies: the option `enable-acl` is on and the user is an ordinary one.
pub fn applies(cib: &Element, user: &str) -> bool {
    is_subject(user)
        && cluster_option(cib, "enable-acl").is_some_and(|value| {
            matches!(value.to_ascii_lowercase().as_str(), "true" | "on" | "yes" | "y" | "1")
        })
}

/// The entries of a user, in document order (§10.2).
fn entries(cib: &Element, user: &str, groups: &[String]) -> Vec<(Kind, String)> {
    let mut found = Vec::new();
    let Some(acls) = cib.descendants().find(|element| element.name() == "acls") else {
        return found;
    };
    for subject in acls.children() {
        let name = subject.get("name").or_else(|| subject.id()).unwrap_or("");
        let fits = match subject.name() {
            "acl_target" | "acl_user" => name == user,
            "acl_group" => groups.iter().any(|group| group == name),
            _ => false,
        };
        if fits {
            add_entries(acls, subject, 0, &mut found);
        }
    }
    found
}

fn add_entries(acls: &Element, of: &Element, depth: usize, found: &mut Vec<(Kind, String)>) {
    // Roles may name roles; a circle ends here.
    if depth > 8 {
        return;
    }
    for entry in of.children() {
        let kind = match entry.name() {
            "role" | "role_ref" => {
                let role = entry.id().and_then(|id| acls.child_with_id("acl_role", id));
                if let Some(role) = role {
                    add_entries(acls, role, depth + 1, found);
                }
                continue;
            }
            "acl_permission" => match entry.get("kind") {
                Some("read") => Kind::Read,
                Some("write") => Kind::Write,
                Some("deny") => Kind::Deny,
                _ => continue,
            },
            "read" => Kind::Read,
            "write" => Kind::Write,
            "deny" => Kind::Deny,
            _ => continue,
        };
        if let Some(xpath) = entry_xpath(entry) {
            found.push((kind, xpath));
        }
    }
}

fn entry_xpath(entry: &Element) -> Option<String> {
    if let Some(xpath) = entry.get("xpath") {
        return Some(xpath.to_owned());
    }
    let tag = entry.get("object-type").or_else(|| entry.get("tag"));
    let reference = entry.get("reference").or_else(|| entry.get("ref"));
    let attribute = entry.get("attribute");
    if tag.is_none() && reference.is_none() && attribute.is_none() {
        return None;
    }
    let tag = tag.unwrap_or("*");
    Some(match (reference, attribute) {
        (Some(id), Some(attribute)) => format!("//{tag}[@id='{id}' and @{attribute}]"),
        (Some(id), None) => format!("//{tag}[@id='{id}']"),
        (None, Some(attribute)) => format!("//{tag}[@{attribute}]"),
        (None, None) => format!("//{tag}"),
    })
}

fn marks(cib: &Element, entries: &[(Kind, String)]) -> MarkedPaths {
    let mut marked = MarkedPaths::new();
    for (kind, xpath) in entries {
        // An entry that is no XPath matches nothing: access stays closed.
        let Ok(paths) = XPath::parse(xpath).and_then(|xpath| xpath.targets(cib)) else { continue };
        for path in paths {
            let marks = marked.entry(path).or_default();
            match kind {
                Kind::Read => marks.read = true,
                Kind::Write => marks.write = true,
                Kind::Deny => marks.deny = true,
            }
        }
    }
    marked
}

/// The part of the document that a user may read; `None` if that is nothing (§10.4).
pub fn readable(cib: &Element, user: &str, groups: &[String]) -> Option<Element> {
    let entries = entries(cib, user, groups);
    if entries.is_empty() {
        return None;
    }
    let marked = marks(cib, &entries);
    // Denied elements are judged with their own marks even below readable ones.
    let kept = copy_readable(cib, &NodePath::root(), &marked, false)?;
    Some(kept)
}

fn copy_readable(
    element: &Element,
    path: &NodePath,
    marked: &MarkedPaths,
    inherited: bool,
) -> Option<Element> {
    let own = marked.get(path).copied().unwrap_or_default();
    let granted = !own.deny && (own.read || own.write || inherited);
    let has_marks_below = marked
        .range(path.clone()..)
        .nth(usize::from(marked.contains_key(path)))
        .is_some_and(|(below, _)| below.is_within(path));
    if granted && !has_marks_below {
        return Some(element.clone());
    }
    if !granted && !has_marks_below {
        return None;
    }
    let mut copy = element.clone();
    if !granted {
        copy.retain_attrs(|name, _| name == "id");
    }
    let mut nodes = Vec::new();
    let mut any = granted;
    for (position, node) in element.nodes().iter().enumerate() {
        match node {
            Node::Element(child) => {
                if let Some(child) = copy_readable(child, &path.child(position), marked, granted) {
                    any = true;
                    nodes.push(Node::Element(child.into()));
                }
            }
            other if granted => nodes.push(other.clone()),
            _ => {}
        }
    }
    *copy.nodes_mut() = nodes;
    any.then_some(copy)
}

/// Refuses changes a user may not make (§10.5). Every element whose attributes changed or that was
/// removed needs write permission by the rules on the old document, every created one by the rules
/// on the new document.
///
/// # Errors
/// [`Rc::EACCES`].
pub fn check_change(old: &Element, new: &Element, user: &str, groups: &[String]) -> Result<(), Rc> {
    let entries = entries(old, user, groups);
    if entries.is_empty() {
        return Err(Rc::EACCES);
    }
    let (old_marks, new_marks) = (marks(old, &entries), marks(new, &entries));
    let root = NodePath::root();
    let check = Check { old_marks: &old_marks, new_marks: &new_marks };
    if check.element((old, &root), (new, &root), false) { Ok(()) } else { Err(Rc::EACCES) }
}

struct Check<'a> {
    old_marks: &'a MarkedPaths,
    new_marks: &'a MarkedPaths,
}

/// The nearest element at or above the address with a decision wins.
fn may_write(marked: &MarkedPaths, path: &NodePath) -> bool {
    let mut at = path.clone();
    loop {
        let own = marked.get(&at).copied().unwrap_or_default();
        if own.deny {
            return false;
        }
        if own.write {
            return true;
        }
        if !at.pop() {
            return false;
        }
    }
}

impl Check<'_> {
    /// `in_acls` says whether the element is below `acls`: nothing is created there for free.
    fn element(
        &self,
        (old, old_at): (&Element, &NodePath),
        (new, new_at): (&Element, &NodePath),
        in_acls: bool,
    ) -> bool {
        if same(old, new) {
            return true;
        }
        // The root's counters are attributes as all others: what the manager adds to them comes
        // after this.
        let attrs_equal = old.attrs().eq(new.attrs());
        if !attrs_equal && !may_write(self.old_marks, old_at) {
            return false;
        }
        let key = |element: &Element| (element.name().to_owned(), element.id().map(str::to_owned));
        // Siblings of one name and id (or none) are compared in their order.
        let mut before: BTreeMap<_, VecDeque<(usize, &Element)>> = BTreeMap::new();
        for (position, node) in old.nodes().iter().enumerate() {
            if let Node::Element(child) = node {
                before.entry(key(child)).or_default().push_back((position, child));
            }
        }
        let below_acls = in_acls || old.name() == "acls";
        for (position, node) in new.nodes().iter().enumerate() {
            let Node::Element(child) = node else { continue };
            let child_at = new_at.child(position);
            let allowed = match before.get_mut(&key(child)).and_then(VecDeque::pop_front) {
                Some((was_at, was)) => {
                    self.element((was, &old_at.child(was_at)), (child, &child_at), below_acls)
                }
                None => self.created(child, &child_at, below_acls),
            };
            if !allowed {
                return false;
            }
        }
        let mut gone = before.into_values().flatten();
        gone.all(|(was_at, _)| may_write(self.old_marks, &old_at.child(was_at)))
    }

    fn created(&self, element: &Element, at: &NodePath, in_acls: bool) -> bool {
        let plain = !in_acls && element.attrs().all(|(name, _)| name == "id");
        (plain || may_write(self.new_marks, at))
            && element.nodes().iter().enumerate().all(|(position, node)| match node {
                Node::Element(child) => {
                    let in_acls = in_acls || element.name() == "acls";
                    self.created(child, &at.child(position), in_acls)
                }
                _ => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = "<cib epoch='1'><configuration><crm_config><cluster_property_set id='o'>\
        <nvpair id='e' name='enable-acl' value='true'/></cluster_property_set></crm_config>\
        <nodes/><resources><primitive id='secret' class='x'/><primitive id='open' class='y'/>\
        </resources><constraints/><acls><acl_target id='ann'><role id='r'/></acl_target>\
        <acl_target id='bob'/><acl_role id='r'><acl_permission id='p1' kind='read' xpath='/cib'/>\
        <acl_permission id='p2' kind='deny' xpath=\"//primitive[@id='secret']\"/>\
        <acl_permission id='p3' kind='write' object-type='constraints'/></acl_role></acls>\
        </configuration><status/></cib>";

    #[test]
    fn users_see_what_they_may() {
        let cib = xml::parse(DOC).unwrap();
        assert!(applies(&cib, "ann") && !applies(&cib, "root") && !applies(&cib, ""));
        let seen = readable(&cib, "ann", &[]).unwrap();
        assert!(seen.find_id("open").is_some() && seen.find_id("secret").is_none());
        assert_eq!(seen.get("epoch"), Some("1"));
        assert!(readable(&cib, "bob", &[]).is_none());
        assert!(readable(&cib, "eve", &[]).is_none());
    }

    #[test]
    fn users_change_what_they_may() {
        let cib = xml::parse(DOC).unwrap();
        let attempt = |path: &[&str], child: &str| {
            let mut new = cib.clone();
            new.at_mut(path).unwrap().push(xml::parse(child).unwrap());
            check_change(&cib, &new, "ann", &[])
        };
        let location = "<rsc_location id='l' rsc='open' node='n' score='1'/>";
        assert_eq!(attempt(&["configuration", "constraints"], location), Ok(()));
        assert_eq!(
            attempt(&["configuration", "resources"], "<primitive id='n' class='z'/>"),
            Err(Rc::EACCES)
        );
        let mut new = cib.clone();
        new.set("dc-uuid", "2");
        assert_eq!(check_change(&cib, &new, "ann", &[]), Err(Rc::EACCES));
        // Nor the version: it decides whose document wins.
        for counter in ["admin_epoch", "epoch", "num_updates"] {
            let mut new = cib.clone();
            new.set(counter, "7");
            assert_eq!(check_change(&cib, &new, "ann", &[]), Err(Rc::EACCES), "{counter}");
        }
        let mut new = cib.clone();
        new.at_mut(&["configuration", "resources"]).unwrap().clear_children();
        assert_eq!(check_change(&cib, &new, "ann", &[]), Err(Rc::EACCES));
        assert_eq!(check_change(&cib, &cib.clone(), "eve", &[]), Err(Rc::EACCES));
    }

    #[test]
    fn nothing_is_created_for_free_below_acls_nor_removed_beside_its_like() {
        let text = DOC.replace("object-type='constraints'", "xpath=\"//rsc_location[@id='l']\"");
        let text = text.replace(
            "<constraints/>",
            "<constraints><rsc_location id='l'><rule x='1'/><rule x='2'/></rsc_location>\
             <rsc_order><o x='1'/><o x='2'/></rsc_order></constraints>",
        );
        let cib = xml::parse(&text).unwrap();
        let attempt = |edit: &dyn Fn(&mut Element)| {
            let mut new = cib.clone();
            edit(new.child_mut("configuration").unwrap());
            check_change(&cib, &new, "ann", &[])
        };
        let plain = Element::new("acl_target").with("id", "bob");
        assert_eq!(attempt(&|c| c.child_mut("acls").unwrap().push(plain.clone())), Err(Rc::EACCES));
        assert_eq!(attempt(&|c| c.child_mut("resources").unwrap().push(plain.clone())), Ok(()));
        // Of two that only their place tells apart the first goes.
        let first_goes = |place: &'static str| {
            attempt(&move |c| {
                let constraint = c.at_mut(&["constraints", place]).unwrap();
                constraint.nodes_mut().remove(0);
            })
        };
        assert_eq!(first_goes("rsc_location"), Ok(()));
        assert_eq!(first_goes("rsc_order"), Err(Rc::EACCES));
    }
}
