//! A configuration being edited: the document as it was read, the document as it is to be, and the
//! rules of changing one object without leaving dangling ends (`spec/crmsh.md` §5.1, §7).

use std::collections::BTreeSet;

use xml::Element;

use crate::grammar::{DefaultsKind, Definition, FencingLevel, World};
use crate::ids;
use crate::show;

/// Something the user should hear of, in the order it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Printed as `INFO: …`.
    Info(String),
    /// Printed as `WARNING: …`.
    Warning(String),
}

/// Why an edit was refused. The session is as it was before.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The id is taken.
    #[error("Cannot create {kind} with ID '{id}': Found existing {existing} with same ID.")]
    Exists {
        /// What was to be created.
        kind: String,
        /// Its id.
        id: String,
        /// What has it.
        existing: String,
    },
    /// There is no such object.
    #[error("object {0} does not exist")]
    NoSuchObject(String),
    /// A container names a resource that is not there.
    #[error("{container} refers to missing object {member}")]
    MissingMember {
        /// The container.
        container: String,
        /// The name.
        member: String,
    },
    /// A resource can be in one container only.
    #[error("Cannot create {kind}:{id}: Child {member_kind}:{member} already in {parent}")]
    TakenMember {
        /// Kind of the container.
        kind: String,
        /// Its id.
        id: String,
        /// Kind of the member.
        member_kind: String,
        /// The member.
        member: String,
        /// `kind:id` of the container it is in.
        parent: String,
    },
    /// The document lacks its configuration section.
    #[error("the CIB has no configuration section")]
    NoConfiguration,
}

/// The section of the configuration that an element of this name belongs to.
pub fn section_of(name: &str) -> Option<&'static str> {
    Some(match name {
        "node" => "nodes",
        "primitive" | "group" | "clone" | "master" | "bundle" | "template" => "resources",
        "rsc_location" | "rsc_colocation" | "rsc_order" | "rsc_ticket" => "constraints",
        "cluster_property_set" => "crm_config",
        "tag" => "tags",
        "alert" => "alerts",
        "acl_role" | "acl_target" | "acl_group" | "acl_user" => "acls",
        "fencing-level" => "fencing-topology",
        _ => return None,
    })
}

/// The language's word for an element name.
pub fn keyword_of(name: &str) -> &str {
    match name {
        "template" => "rsc_template",
        "master" => "ms",
        "rsc_location" => "location",
        "rsc_colocation" => "colocation",
        "rsc_order" => "order",
        "acl_role" => "role",
        "cluster_property_set" => "property",
        other => other,
    }
}

/// The configuration under edit.
#[derive(Debug, Clone)]
pub struct Session {
    original: Element,
    cib: Element,
    notes: Vec<Note>,
}

impl Session {
    /// Begins with the document as it is now (the `cib` element).
    pub fn new(cib: Element) -> Session {
        Session { original: cib.clone(), cib, notes: Vec::new() }
    }

    /// The document as it is to be.
    pub fn cib(&self) -> &Element {
        &self.cib
    }

    /// The document as it was read.
    pub fn original(&self) -> &Element {
        &self.original
    }

    /// Whether anything differs.
    pub fn is_changed(&self) -> bool {
        self.original != self.cib
    }

    /// What there is to tell since the last call.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// The `configuration` element.
    pub fn configuration(&self) -> Option<&Element> {
        self.cib.child("configuration")
    }

    /// Names of the nodes.
    pub fn node_names(&self) -> Vec<&str> {
        self.cib
            .at(&["configuration", "nodes"])
            .into_iter()
            .flat_map(|nodes| nodes.children_named("node"))
            .filter_map(|node| node.get("uname"))
            .collect()
    }

    /// The object (anything the language defines) with that id; nodes also by name.
    pub fn object(&self, id: &str) -> Option<&Element> {
        let configuration = self.configuration()?;
        configuration.descendants().find(|element| {
            (section_of(element.name()).is_some() || is_default_set(element.name(), id))
                && (element.id() == Some(id)
                    || element.name() == "node" && element.get("uname") == Some(id))
        })
    }

    /// Ids of all objects, for completion.
    pub fn object_ids(&self) -> Vec<String> {
        let all = self.configuration().into_iter().flat_map(Element::descendants);
        all.filter(|element| section_of(element.name()).is_some())
            .filter_map(
                |element| {
                    if element.name() == "node" { element.get("uname") } else { element.id() }
                },
            )
            .map(str::to_owned)
            .collect()
    }

    /// The resource with that id, wherever it is.
    pub fn resource(&self, id: &str) -> Option<&Element> {
        self.cib
            .at(&["configuration", "resources"])?
            .descendants()
            .find(|element| show::is_resource(element.name()) && element.id() == Some(id))
    }

    /// The container a resource is in.
    fn parent_of(&self, id: &str) -> Option<&Element> {
        let resources = self.cib.at(&["configuration", "resources"])?;
        resources.descendants().skip(1).find(|element| {
            element.children().any(|c| show::is_resource(c.name()) && c.id() == Some(id))
        })
    }

    fn section_mut(&mut self, name: &str) -> Result<&mut Element, EditError> {
        let configuration =
            self.cib.child_mut("configuration").ok_or(EditError::NoConfiguration)?;
        Ok(configuration.child_or_new(name))
    }

    /// Adds what a line defined.
    pub fn define(&mut self, definition: Definition) -> Result<(), EditError> {
        match definition {
            Definition::Object { element, members } => self.create(element, &members),
            Definition::Defaults { kind, set } => self.merge_defaults(kind, set),
            Definition::Fencing { levels } => self.set_fencing(&levels),
            Definition::Monitor { resource, op } => self.add_operation(&resource, op),
        }
    }

    fn create(&mut self, mut element: Element, members: &[String]) -> Result<(), EditError> {
        let id = element.id().unwrap_or("").to_owned();
        let kind = keyword_of(element.name()).to_owned();
        if element.name() == "node" {
            return self.put_node(element);
        }
        if let Some(existing) = self.object(&id) {
            let existing = keyword_of(existing.name()).to_owned();
            return Err(EditError::Exists { kind, id, existing });
        }
        for member in members {
            let Some(found) = self.resource(member) else {
                return Err(EditError::MissingMember { container: id, member: member.clone() });
            };
            if let Some(parent) = self.parent_of(member) {
                return Err(EditError::TakenMember {
                    kind,
                    id,
                    member_kind: keyword_of(found.name()).to_owned(),
                    member: member.clone(),
                    parent: format!("{}:{}", keyword_of(parent.name()), parent.id().unwrap_or("")),
                });
            }
        }
        ids::fill(&mut element, &mut ids::taken(&self.cib));
        for member in members {
            if let Some(resource) = self.take_top_resource(member) {
                element.push(resource);
                self.redirect_constraints(member, &id);
            }
        }
        let section = section_of(element.name()).unwrap_or("resources");
        self.section_mut(section)?.push(element);
        Ok(())
    }

    fn put_node(&mut self, mut element: Element) -> Result<(), EditError> {
        let uname = element.get("uname").unwrap_or("").to_owned();
        let old = self.object(&uname).filter(|old| old.name() == "node").cloned();
        if let Some(old) = &old {
            if element.id() == Some(uname.as_str())
                && let Some(id) = old.id()
            {
                element.set("id", id);
            }
            // The sets of the node that are there keep their ids.
            for set in element.children_mut() {
                if !set.has("id")
                    && let Some(id) = old.child(set.name()).and_then(Element::id)
                {
                    set.set("id", id);
                }
            }
        }
        let nodes = self.section_mut("nodes")?;
        nodes.retain_children(|node| node.get("uname") != Some(uname.as_str()));
        ids::fill(&mut element, &mut ids::taken(&self.cib));
        self.section_mut("nodes")?.push(element);
        Ok(())
    }

    fn take_top_resource(&mut self, id: &str) -> Option<Element> {
        let resources = self.cib.at_mut(&["configuration", "resources"])?;
        let taken = resources
            .children()
            .find(|e| e.id() == Some(id) && show::is_resource(e.name()))
            .cloned()?;
        resources.retain_children(|e| !(e.id() == Some(id) && show::is_resource(e.name())));
        Some(taken)
    }

    /// Constraints on a resource that moved into a container mean the container from now on.
    fn redirect_constraints(&mut self, from: &str, to: &str) {
        let mut notes = Vec::new();
        if let Some(constraints) = self.cib.at_mut(&["configuration", "constraints"]) {
            for constraint in constraints.children_mut() {
                let mut touched = false;
                for name in ["rsc", "with-rsc", "first", "then"] {
                    if constraint.get(name) == Some(from) {
                        constraint.set(name, to);
                        touched = true;
                    }
                }
                for set in constraint.children_mut().filter(|c| c.name() == "resource_set") {
                    for reference in set.children_mut() {
                        if reference.id() == Some(from) {
                            reference.set("id", to);
                            touched = true;
                        }
                    }
                }
                if touched {
                    notes.push(Note::Info(format!(
                        "modified {}:{} from {from} to {to}",
                        keyword_of(constraint.name()),
                        constraint.id().unwrap_or("")
                    )));
                }
            }
        }
        self.notes.extend(notes);
    }

    fn merge_defaults(&mut self, kind: DefaultsKind, mut set: Element) -> Result<(), EditError> {
        if kind == DefaultsKind::Property {
            self.move_old_default(&mut set)?;
            if set.is_leaf() {
                return Ok(());
            }
        }
        let id = set.id().unwrap_or(kind.default_id()).to_owned();
        let mut taken = ids::taken(&self.cib);
        let section = self.section_mut(kind.section())?;
        match section.child_with_id_mut(kind.set_name(), &id) {
            None => {
                ids::fill(&mut set, &mut taken);
                section.push(set);
            }
            Some(existing) => {
                let rules: Vec<Element> = set.children_named("rule").cloned().collect();
                if !rules.is_empty() {
                    existing.retain_children(|child| child.name() != "rule");
                    let nodes = existing.nodes_mut();
                    for (at, rule) in rules.into_iter().enumerate() {
                        nodes.insert(at, xml::Node::Element(rule.into()));
                    }
                }
                for pair in set.children_named("nvpair") {
                    set_pair(existing, pair);
                }
                ids::fill(existing, &mut taken);
            }
        }
        Ok(())
    }

    /// `default-resource-stickiness` was a cluster option until schema 1.x; today it is the
    /// resource default `resource-stickiness`, and the old spelling would be refused.
    fn move_old_default(&mut self, set: &mut Element) -> Result<(), EditError> {
        const OLD: &str = "default-resource-stickiness";
        let value = set
            .children_named("nvpair")
            .find(|pair| pair.get("name") == Some(OLD))
            .map(|pair| pair.get("value").unwrap_or("").to_owned());
        let Some(value) = value else { return Ok(()) };
        set.retain_children(|pair| pair.get("name") != Some(OLD));
        self.notes.push(Note::Warning(format!(
            "property {OLD} is deprecated, please use 'rsc_defaults resource-stickiness={value}'"
        )));
        self.notes.push(Note::Info(format!(
            "\"{OLD}={value}\" is accepted as \"rsc_defaults resource-stickiness={value}\""
        )));
        let pair = Element::new("nvpair").with("name", "resource-stickiness").with("value", value);
        let kind = DefaultsKind::Resources;
        let defaults = Element::new(kind.set_name()).with("id", kind.default_id()).with_child(pair);
        self.merge_defaults(kind, defaults)
    }

    fn set_fencing(&mut self, levels: &[FencingLevel]) -> Result<(), EditError> {
        let nodes: Vec<String> = self.node_names().into_iter().map(str::to_owned).collect();
        let mut topology = Element::new("fencing-topology");
        let add = |topology: &mut Element, level: &FencingLevel, target: &[(String, String)]| {
            let mut element = Element::new("fencing-level");
            for (name, value) in target {
                element.set(name, value.as_str());
            }
            element.set("index", level.index.to_string());
            element.set("devices", level.devices.as_str());
            topology.push(element);
        };
        if levels.iter().all(|level| level.target.is_empty()) {
            for node in &nodes {
                for level in levels {
                    add(&mut topology, level, &[("target".into(), node.clone())]);
                }
            }
        } else {
            for level in levels {
                add(&mut topology, level, &level.target);
            }
        }
        *self.section_mut("fencing-topology")? = Element::new("fencing-topology");
        ids::fill(&mut topology, &mut ids::taken(&self.cib));
        *self.section_mut("fencing-topology")? = topology;
        Ok(())
    }

    fn add_operation(&mut self, resource: &str, op: Element) -> Result<(), EditError> {
        let mut taken = ids::taken(&self.cib);
        let primitive = self
            .resource_mut(resource)
            .ok_or_else(|| EditError::NoSuchObject(resource.to_owned()))?;
        primitive.child_or_new("operations").push(op);
        ids::fill(primitive, &mut taken);
        Ok(())
    }

    fn resource_mut(&mut self, id: &str) -> Option<&mut Element> {
        fn find<'a>(parent: &'a mut Element, id: &str) -> Option<&'a mut Element> {
            parent.children_mut().filter(|c| show::is_resource(c.name())).find_map(|child| {
                if child.id() == Some(id) { Some(child) } else { find(child, id) }
            })
        }
        find(self.cib.at_mut(&["configuration", "resources"])?, id)
    }

    /// Sets a meta-attribute of a resource.
    pub fn set_meta(&mut self, resource: &str, name: &str, value: &str) -> Result<(), EditError> {
        let mut taken = ids::taken(&self.cib);
        let element = self
            .resource_mut(resource)
            .ok_or_else(|| EditError::NoSuchObject(resource.to_owned()))?;
        if element.child("meta_attributes").is_none() {
            // In front of the members, where the schema and readers expect it.
            let at = element
                .nodes()
                .iter()
                .position(|node| {
                    matches!(node, xml::Node::Element(e)
                        if show::is_resource(e.name()) || e.name() == "operations")
                })
                .unwrap_or(element.nodes().len());
            let set = xml::Node::Element(Element::new("meta_attributes").into());
            element.nodes_mut().insert(at, set);
        }
        let set = element.child_or_new("meta_attributes");
        set_pair(set, &Element::new("nvpair").with("name", name).with("value", value));
        ids::fill(element, &mut taken);
        Ok(())
    }

    /// Sets an attribute of a node (`standby`, …), in the configuration.
    pub fn set_node_attribute(
        &mut self,
        node: &str,
        name: &str,
        value: &str,
    ) -> Result<(), EditError> {
        let missing = || EditError::NoSuchObject(node.to_owned());
        let mut element =
            self.object(node).filter(|e| e.name() == "node").cloned().ok_or_else(missing)?;
        let set = element.child_or_new("instance_attributes");
        set_pair(set, &Element::new("nvpair").with("name", name).with("value", value));
        ids::fill(&mut element, &mut ids::taken(&self.cib));
        let nodes = self.section_mut("nodes")?;
        for child in nodes.children_mut().filter(|child| child.id() == element.id()) {
            *child = element.clone();
        }
        Ok(())
    }

    /// Removes objects, with the constraints that would dangle. Members of a removed container go
    /// back to the top level.
    pub fn delete(&mut self, names: &[String]) -> Result<(), EditError> {
        if let Some(missing) = names.iter().find(|id| self.object(id).is_none()) {
            return Err(EditError::NoSuchObject(missing.clone()));
        }
        for id in names {
            self.delete_one(id)?;
        }
        Ok(())
    }

    fn delete_one(&mut self, id: &str) -> Result<(), EditError> {
        // An earlier deletion of the same command may have taken this one along.
        let Some(object) = self.object(id).cloned() else { return Ok(()) };
        if !show::is_resource(object.name()) {
            let configuration =
                self.cib.child_mut("configuration").ok_or(EditError::NoConfiguration)?;
            for section in configuration.children_mut() {
                section.retain_children(|child| {
                    !(child.name() == object.name() && child.id() == object.id())
                });
            }
            self.drop_empty_sections()?;
            return Ok(());
        }
        let parent = self.parent_of(id).map(|p| p.id().unwrap_or("").to_owned());
        let members: Vec<Element> =
            object.children().filter(|c| show::is_resource(c.name())).cloned().collect();
        let heir = members.first().and_then(Element::id).map(str::to_owned);
        match parent {
            None => {
                let resources = self.section_mut("resources")?;
                resources.retain_children(|c| c.id() != Some(id));
                members.into_iter().for_each(|member| resources.push(member));
                if let Some(heir) = heir {
                    self.redirect_constraints(id, &heir);
                } else {
                    self.drop_references(id);
                }
            }
            Some(parent) => {
                let mut left = 0;
                if let Some(container) = self.resource_mut(&parent) {
                    container
                        .retain_children(|c| c.id() != Some(id) || !show::is_resource(c.name()));
                    members.into_iter().for_each(|member| container.push(member));
                    left = container.children().filter(|c| show::is_resource(c.name())).count();
                }
                match heir {
                    Some(heir) => self.redirect_constraints(id, &heir),
                    None => self.drop_references(id),
                }
                // A group without members, a clone without its resource: gone as well.
                if left == 0 {
                    self.delete_one(&parent)?;
                }
            }
        }
        Ok(())
    }

    /// Removes what refers to a resource that is gone.
    fn drop_references(&mut self, id: &str) {
        let mut notes = Vec::new();
        let mut orphans: BTreeSet<String> = BTreeSet::new();
        if let Some(constraints) = self.cib.at_mut(&["configuration", "constraints"]) {
            for constraint in constraints.children_mut() {
                let own = constraint.id().unwrap_or("").to_owned();
                let keyword = keyword_of(constraint.name()).to_owned();
                let points_here = ["rsc", "with-rsc", "first", "then"]
                    .iter()
                    .any(|name| constraint.get(name) == Some(id));
                let mut touched = false;
                for set in constraint.children_mut() {
                    let before = set.children().count();
                    set.retain_children(|r| !(r.name() == "resource_ref" && r.id() == Some(id)));
                    touched |= before != set.children().count();
                }
                constraint.retain_children(|c| c.name() != "resource_set" || !c.is_leaf());
                let has_sets = constraint.child("resource_set").is_some();
                if points_here || (touched && !has_sets) {
                    notes.push(Note::Info(format!("hanging {keyword}:{own} deleted")));
                    orphans.insert(own);
                } else if touched {
                    notes.push(Note::Info(format!("constraint {keyword}:{own} updated")));
                }
            }
            constraints.retain_children(|c| !c.id().is_some_and(|id| orphans.contains(id)));
        }
        if let Some(tags) = self.cib.at_mut(&["configuration", "tags"]) {
            for tag in tags.children_mut() {
                tag.retain_children(|reference| reference.id() != Some(id));
            }
            tags.retain_children(|tag| !tag.is_leaf());
        }
        self.notes.extend(notes);
    }

    /// Optional sections that became empty are removed again.
    fn drop_empty_sections(&mut self) -> Result<(), EditError> {
        let configuration =
            self.cib.child_mut("configuration").ok_or(EditError::NoConfiguration)?;
        configuration.retain_children(|section| {
            let required = ["crm_config", "nodes", "resources", "constraints"];
            required.contains(&section.name()) || !section.is_leaf()
        });
        Ok(())
    }

    /// Gives an object another id and follows the references to it.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<(), EditError> {
        let Some(object) = self.object(old) else {
            return Err(EditError::NoSuchObject(old.to_owned()));
        };
        let kind = keyword_of(object.name()).to_owned();
        if let Some(existing) = self.object(new) {
            let existing = keyword_of(existing.name()).to_owned();
            return Err(EditError::Exists { kind, id: new.to_owned(), existing });
        }
        let configuration =
            self.cib.child_mut("configuration").ok_or(EditError::NoConfiguration)?;
        let own_prefix = format!("{old}-");
        configuration.for_each_mut(&mut |element| {
            for name in ["id", "rsc", "with-rsc", "first", "then", "template", "id-ref"] {
                let Some(value) = element.get(name) else { continue };
                let renamed = if value == old {
                    new.to_owned()
                } else if let (true, Some(rest)) =
                    (matches!(name, "id" | "id-ref"), value.strip_prefix(&own_prefix))
                {
                    let is_generated =
                        ["instance_attributes", "meta_attributes", "utilization", "rule"]
                            .iter()
                            .any(|part| rest.starts_with(part))
                            || element.name() == "op";
                    if !is_generated {
                        continue;
                    }
                    format!("{new}-{rest}")
                } else {
                    continue;
                };
                element.set(name, renamed);
            }
        });
        Ok(())
    }

    /// Replaces the objects `old` by the definitions that an editor or a file gave.
    pub fn replace(&mut self, old: &[String], new: Vec<Definition>) -> Result<(), EditError> {
        let mut copy = self.clone();
        let mut removed = Vec::new();
        // Containers last, so that their members are still there to be moved into the new ones.
        for id in old {
            if let Some(object) = copy.object(id) {
                removed.push((id.clone(), object.clone()));
            }
        }
        copy.swap_in(&removed, new)?;
        *self = copy;
        Ok(())
    }

    fn swap_in(
        &mut self,
        removed: &[(String, Element)],
        new: Vec<Definition>,
    ) -> Result<(), EditError> {
        for definition in new {
            let Definition::Object { element, members } = &definition else {
                if let Definition::Defaults { kind, set } = &definition {
                    // An edited set says all of it: what is missing was deleted.
                    let id = set.id().unwrap_or(kind.default_id()).to_owned();
                    self.section_mut(kind.section())?.retain_children(|s| s.id() != Some(&id));
                }
                self.define(definition)?;
                continue;
            };
            let id = element.id().unwrap_or("").to_owned();
            let Some((_, old)) = removed.iter().find(|(old, _)| *old == id) else {
                self.create(element.clone(), members)?;
                continue;
            };
            if element.name() == "node" || old.name() != element.name() {
                self.delete_one(&id)?;
                self.create(element.clone(), members)?;
            } else {
                self.overwrite(element.clone(), members)?;
            }
        }
        Ok(())
    }

    /// Puts an edited object where the old one is. Members that left go to the top level.
    fn overwrite(&mut self, mut element: Element, members: &[String]) -> Result<(), EditError> {
        let id = element.id().unwrap_or("").to_owned();
        let Some(old) = self.object(&id).cloned() else { return self.create(element, members) };
        let old_members: Vec<Element> =
            old.children().filter(|c| show::is_resource(c.name())).cloned().collect();
        let mut inside = Vec::new();
        for member in members {
            let kept = old_members.iter().find(|m| m.id() == Some(member)).cloned();
            let found = match kept {
                Some(member) => Some(member),
                None => self.take_top_resource(member),
            };
            inside.push(found.ok_or_else(|| EditError::MissingMember {
                container: id.clone(),
                member: member.clone(),
            })?);
        }
        inside.into_iter().for_each(|member| element.push(member));
        let left: Vec<Element> = old_members
            .into_iter()
            .filter(|m| !members.iter().any(|id| m.id() == Some(id)))
            .collect();
        let taken_without = {
            let mut taken = ids::taken(&self.cib);
            for own in old.descendants().filter_map(Element::id) {
                taken.remove(own);
            }
            taken
        };
        let mut taken = taken_without;
        ids::fill(&mut element, &mut taken);
        let configuration =
            self.cib.child_mut("configuration").ok_or(EditError::NoConfiguration)?;
        put(configuration, &id, &element);
        let resources = self.section_mut("resources")?;
        left.into_iter().for_each(|member| resources.push(member));
        Ok(())
    }

    /// Takes a whole configuration section instead of the one there is.
    pub fn set_configuration(&mut self, configuration: Element) {
        *self.cib.child_or_new("configuration") = configuration;
    }

    /// Takes the edited document as the new starting point (after a commit).
    pub fn settle(&mut self, cib: Element) {
        self.original = cib.clone();
        self.cib = cib;
    }
}

/// Replaces the object with that id, wherever it is; `false` when it is nowhere.
fn put(parent: &mut Element, id: &str, object: &Element) -> bool {
    let here = parent.children().any(|c| c.name() == object.name() && c.id() == Some(id));
    if here {
        if let Some(child) = parent.child_with_id_mut(object.name(), id) {
            *child = object.clone();
        }
        return true;
    }
    parent.children_mut().any(|child| put(child, id, object))
}

fn is_default_set(name: &str, id: &str) -> bool {
    name == "meta_attributes" && matches!(id, "rsc-options" | "op-options")
}

/// Sets one pair of a set: the value of the pair with that name, or a new one.
fn set_pair(set: &mut Element, pair: &Element) {
    let name = pair.get("name").unwrap_or("");
    let existing = set.children_mut().find(|p| p.name() == "nvpair" && p.get("name") == Some(name));
    match existing {
        Some(existing) => existing.set("value", pair.get("value").unwrap_or("")),
        None => set.push(pair.clone()),
    }
}

/// Renders the whole configuration, or the objects named, as `show` does.
pub fn render(
    session: &Session,
    wanted: &[String],
    world: &dyn World,
) -> Result<String, EditError> {
    let configuration = session.configuration().ok_or(EditError::NoConfiguration)?;
    let mut lines: Vec<String> = Vec::new();
    let is_wanted = |id: &str| wanted.is_empty() || wanted.iter().any(|w| w == id);
    for object in show::in_order(configuration) {
        let names = [object.id(), object.get("uname").filter(|_| object.name() == "node")];
        if names.into_iter().flatten().any(is_wanted) {
            lines.push(show::object(object, world));
        }
    }
    if let Some(topology) = configuration.child("fencing-topology").filter(|t| !t.is_leaf())
        && (wanted.is_empty() || wanted.iter().any(|w| w == "fencing_topology"))
    {
        lines.push(show::fencing(topology, &session.node_names()));
    }
    for kind in [DefaultsKind::Property, DefaultsKind::Resources, DefaultsKind::Operations] {
        let sets = configuration.child(kind.section()).into_iter().flat_map(Element::children);
        for set in sets.filter(|set| set.name() == kind.set_name() && !set.is_leaf()) {
            if set.id().is_some_and(is_wanted) || wanted.iter().any(|w| w == kind.keyword()) {
                lines.push(show::defaults(set, kind.keyword()));
            }
        }
    }
    if let Some(acls) = configuration.child("acls") {
        for object in acls.children().filter(|e| e.id().is_some_and(is_wanted)) {
            lines.push(show::object(object, world));
        }
    }
    if let Some(alerts) = configuration.child("alerts") {
        for object in alerts.children().filter(|e| e.id().is_some_and(is_wanted)) {
            lines.push(show::object(object, world));
        }
    }
    let mut text = lines.join("\n");
    if !text.is_empty() {
        text.push('\n');
    }
    Ok(text)
}
