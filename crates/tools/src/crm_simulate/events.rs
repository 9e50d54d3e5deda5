//! Options for events that can be made to happen, as `crm_simulate` and `quorate whatif` both take
//! them.

use crate::options::{Opt, value};

/// A node leaves.
pub(crate) const NODE_DOWN: Opt =
    value("node-down", 'd', "NODE", "", "Simulate taking a node offline");

/// A node fails.
pub(crate) const NODE_FAIL: Opt = value("node-fail", 'f', "NODE", "", "Simulate a node failing");

/// An operation fails when it is executed.
pub(crate) const OP_FAIL: Opt = value(
    "op-fail",
    'F',
    "OPSPEC",
    "",
    "If the specified task occurs during the simulation, have it fail with return code ${rc}",
);

/// A ticket is granted.
pub(crate) const TICKET_GRANT: Opt =
    value("ticket-grant", 'g', "TICKET", "", "Simulate granting a ticket");
