//! `--list-options` of the tools: the option tables of [`cib::settings`], with their headings.
//!
//! Source: `spec/cli-pacemaker.md` §7.2, §8.1.

use base::CrmExit;
use cib::settings::{self, Setting};

use crate::output::Out;

/// One list.
#[derive(Debug)]
pub struct List {
    name: &'static str,
    title: &'static str,
    description: &'static str,
    table: &'static [Setting],
}

/// The cluster's options.
pub static CLUSTER: List = List {
    name: "cluster-options",
    title: "Pacemaker cluster options",
    description: "Also known as properties, these are options that affect behavior across the \
                  entire cluster. They are configured within cluster_property_set elements inside \
                  the crm_config subsection of the CIB configuration section.",
    table: settings::CLUSTER,
};

/// Meta-attributes of primitives.
pub static PRIMITIVE: List = List {
    name: "primitive-meta",
    title: "Primitive meta-attributes",
    description: "Meta-attributes applicable to primitive resources",
    table: settings::PRIMITIVE,
};

/// Parameters of all fencing resources.
pub static FENCING: List = List {
    name: "fence-attributes",
    title: "Fencing resource common parameters",
    description: "Special parameters that are available for all fencing resources, regardless of \
                  type. They are processed by Pacemaker, rather than by the fence agent or the \
                  fencing library.",
    table: settings::FENCING,
};

/// Shows a list; `all` adds what is for experts or will go.
pub fn show(list: &List, all: bool, out: &mut Out) -> CrmExit {
    out.text(&settings::list_text(list.title, list.description, list.table, all));
    out.xml(|| {
        let version = crate::options::VERSION;
        settings::list_xml(list.name, version, list.title, list.description, list.table)
    });
    CrmExit::Ok
}
