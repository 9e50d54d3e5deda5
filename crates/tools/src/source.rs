//! Where a tool's CIB comes from: the cluster, `CIB_file`, or a shadow copy.
//!
//! One call shape for all of them (that of the CIB manager's IPC), so that tools do not care.
//! Source: `spec/cli-pacemaker.md` §4, `spec/pacemaker-ipc.md` §4.

use std::io::Read;

use xml::Element;

use crate::rc::Rc;

/// Call options of CIB operations (`spec/pacemaker-ipc.md` §4.2).
#[allow(missing_docs, reason = "named as in the table of the specification")]
pub mod call {
    pub const VERBOSE: u32 = 0x1;
    pub const XPATH: u32 = 0x2;
    pub const MULTIPLE: u32 = 0x4;
    pub const CAN_CREATE: u32 = 0x8;
    pub const NO_CHILDREN: u32 = 0x20;
    pub const XPATH_ADDRESS: u32 = 0x40;
    pub const SCOPE_LOCAL: u32 = 0x100;
    pub const DRYRUN: u32 = 0x200;
    pub const SCORE_UPDATE: u32 = 0x800;
    pub const SYNC: u32 = 0x1000;
}
