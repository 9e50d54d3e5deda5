//! The command line tools of pacemaker.
//!
//! A tool is an applet: it reads its command line by a table of options ([`options`]), asks the
//! cluster (or works on `CIB_file`), and says what it found in the format it was asked for
//! ([`output`]). Start reading at a small one, [`crm_error`].

use base::Applet;

pub mod crm_error;
pub mod logging;
pub mod options;
pub mod output;
pub mod rc;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    let sbin = |name, run| Applet { name, dir: "sbin", run };
    vec![sbin("crm_error", crm_error::main)]
}
