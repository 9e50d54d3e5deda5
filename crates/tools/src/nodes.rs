//! Names and ids of nodes, as tools need them.

use std::time::Duration;

use xml::Element;

use pacemaker_client::controld::Controld;

use crate::rc::Rc;
use crate::source::{Call, PATIENCE, Source};

/// How long the controller may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What kind of member a node is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Runs the cluster's daemons.
    Cluster,
    /// A resource's inside.
    Guest,
    /// Runs only the remote executor.
    Remote,
}

/// A node the configuration or the status knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Node {
    /// Its kind.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its id: the ring's number for cluster nodes, the name for others.
    pub id: String,
}

/// The local node's name: what an agent's environment says, else what the controller says.
pub fn local_name() -> Result<String, Rc> {
    for variable in ["OCF_RESKEY_CRM_meta_on_node", "OCF_RESKEY_CRM_meta_on_node_uuid"] {
        if let Ok(name) = std::env::var(variable)
            && !name.is_empty()
        {
            return Ok(name);
        }
    }
    let info = Controld::connect_patiently("crm_node", PATIENCE)?.node_info(None, None, TIMEOUT)?;
    info.uname.ok_or(Rc::ENXIO)
}

/// All nodes of a document: cluster nodes in its order, then guests, then remotes.
pub fn all(cib: &Element) -> Vec<Node> {
    let mut nodes: Vec<Node> = Vec::new();
    let mut add = |kind, name: &str, id: &str| {
        if !name.is_empty() && !nodes.iter().any(|node| node.name == name) {
            nodes.push(Node { kind, name: name.to_owned(), id: id.to_owned() });
        }
    };
    for node in cib.at(&["configuration", "nodes"]).into_iter().flat_map(Element::children) {
        if node.get("type") != Some("remote") {
            add(Kind::Cluster, node.get("uname").unwrap_or(""), node.id().unwrap_or(""));
        }
    }
    let resources = cib.at(&["configuration", "resources"]);
    for nvpair in
        resources.into_iter().flat_map(Element::descendants).filter(|e| e.name() == "nvpair")
    {
        if nvpair.get("name") == Some("remote-node") {
            let name = nvpair.get("value").unwrap_or("");
            add(Kind::Guest, name, name);
        }
    }
    for primitive in
        resources.into_iter().flat_map(Element::descendants).filter(|e| e.name() == "primitive")
    {
        let is = |attr, value| primitive.get(attr) == Some(value);
        if is("class", "ocf") && is("provider", "pacemaker") && is("type", "remote") {
            add(Kind::Remote, primitive.id().unwrap_or(""), primitive.id().unwrap_or(""));
        }
    }
    for state in cib.child("status").into_iter().flat_map(Element::children) {
        if state.get("remote_node") == Some("true") {
            let name = state.get("uname").or(state.id()).unwrap_or("");
            add(Kind::Guest, name, state.id().unwrap_or(name));
        }
    }
    nodes
}

/// A node by its name (in any case of letters), or the node whose id it is.
pub fn find<'a>(nodes: &'a [Node], name: &str) -> Option<&'a Node> {
    let named = nodes.iter().find(|node| node.name.eq_ignore_ascii_case(name));
    named.or_else(|| nodes.iter().find(|node| node.id == name))
}

/// A node of the CIB by its name or id, see [`find`].
pub fn of_name(source: &mut Source, name: &str) -> Result<Option<Node>, Rc> {
    let answer = source.call(&Call { op: "cib_query", ..Call::default() })?;
    if answer.rc != Rc::OK {
        return Err(answer.rc);
    }
    let Some(cib) = answer.output else { return Ok(None) };
    Ok(find(&all(&cib), name).cloned())
}
