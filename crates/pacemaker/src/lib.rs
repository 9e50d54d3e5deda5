//! the resource manager's daemons.

pub mod alerts;
pub mod attrd;
pub mod based;
pub mod cluster;
pub mod controld;
pub mod daemon;
pub mod execd;
pub mod fenced;
mod logging;
pub mod pacemakerd;
pub mod schedulerd;
pub mod service;
pub mod watchdog;

use base::Applet;

/// The commands this crate contributes to the `quorate` executable.
pub fn applets() -> Vec<Applet> {
    let daemon = |name, run| Applet { name, dir: "lib/pacemaker", run };
    let mut applets = vec![
        daemon("pacemaker-based", based::shell::main),
        daemon("cib", based::shell::main),
        daemon("pacemaker-attrd", attrd::shell::main),
        daemon("attrd", attrd::shell::main),
        daemon("pacemaker-controld", controld::shell::main),
        daemon("crmd", controld::shell::main),
        daemon("pacemaker-execd", execd::shell::main),
        daemon("pacemaker-fenced", fenced::shell::main),
        daemon("pacemaker-schedulerd", schedulerd::shell::main),
        daemon("pengine", schedulerd::shell::main),
        Applet { name: "pacemakerd", dir: "sbin", run: pacemakerd::shell::main },
    ];
    applets.extend(agents::builtin::applets());
    applets
}
