//! The rights a user has to each element, for those who want to see them (`cibadmin
//! --show-access`).
//!
//! Source: `spec/cib.md` §10.

use xml::{Element, Node, NodePath};

use super::{MarkedPaths, entries, marks};

/// What a user may do with an element.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Nothing.
    Denied,
    /// Read it.
    Readable,
    /// Read and change it.
    Writable,
}

/// The rights of one user in one document.
#[derive(Debug)]
pub struct AccessMap {
    marked: MarkedPaths,
}

impl AccessMap {
    /// Evaluates the document's entries for a user.
    pub fn new(cib: &Element, user: &str, groups: &[String]) -> AccessMap {
        AccessMap { marked: marks(cib, &entries(cib, user, groups)) }
    }

    /// The right to an element whose parent has the right `above`.
    pub fn below(&self, above: Access, path: &NodePath) -> Access {
        let own = self.marked.get(path).copied().unwrap_or_default();
        if own.deny {
            Access::Denied
        } else if own.write {
            Access::Writable
        } else if own.read && above == Access::Denied {
            Access::Readable
        } else {
            above
        }
    }

    /// The right to an element.
    pub fn at(&self, path: &NodePath) -> Access {
        let mut here = NodePath::root();
        let mut access = self.below(Access::Denied, &here);
        for step in path.steps() {
            here.push(step);
            access = self.below(access, &here);
        }
        access
    }

    /// The children of an element that is at `path` and to which the user has the right `access`:
    /// where they are, and the right to each.
    pub fn children<'a>(
        &'a self,
        element: &'a Element,
        path: &'a NodePath,
        access: Access,
    ) -> impl Iterator<Item = (&'a Element, NodePath, Access)> {
        element.nodes().iter().enumerate().filter_map(move |(position, node)| match node {
            Node::Element(child) => {
                let at = path.child(position);
                let access = self.below(access, &at);
                Some((&**child, at, access))
            }
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_decision_counts_and_write_includes_read() {
        let cib = xml::parse(
            "<cib><configuration><resources><a id='a'><b id='b'/></a></resources><acls>\
             <acl_target id='ann'><acl_permission id='1' kind='read' xpath='/cib'/>\
             <acl_permission id='2' kind='write' xpath='//a'/>\
             <acl_permission id='3' kind='read' xpath='//b'/>\
             <acl_permission id='4' kind='deny' xpath='//acls'/></acl_target></acls>\
             </configuration></cib>",
        )
        .unwrap();
        let map = AccessMap::new(&cib, "ann", &[]);
        let at = |steps: &[usize]| {
            let mut path = NodePath::root();
            steps.iter().for_each(|step| path.push(*step));
            map.at(&path)
        };
        assert_eq!(at(&[]), Access::Readable);
        assert_eq!(at(&[0, 0]), Access::Readable);
        assert_eq!(at(&[0, 0, 0]), Access::Writable);
        assert_eq!(at(&[0, 0, 0, 0]), Access::Writable);
        assert_eq!(at(&[0, 1, 0]), Access::Denied);
        assert_eq!(AccessMap::new(&cib, "eve", &[]).at(&NodePath::root()), Access::Denied);
    }
}
