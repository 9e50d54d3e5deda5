//! Resource agents: how they are found, described, called and judged.
//!
//! Agents come in classes ([`Class`]): OCF scripts, init scripts, systemd units, fence agents.
//! [`Places`] knows where each class lives and lists what is there; [`meta`] gets and reads an
//! agent's description; [`call`] turns "run this action with these parameters" into a plan of
//! processes; [`judge`] turns how those ended into an OCF exit code; [`process`] runs one of them
//! without blocking (for the executor's event loop), [`run`] a whole plan while the caller waits
//! (for tools). systemd is spoken to by [`unit`], over [`dbus`]. Everything but [`process`] and [`run`] (and the reading of directories) is pure.
//!
//! Source: `spec/agents.md`.

pub mod builtin;
pub mod call;
pub mod class;
pub mod dbus;
pub mod fence;
pub mod find;
pub mod judge;
pub mod lsb;
pub mod meta;
pub mod process;
pub mod run;
pub mod start;
pub mod systemd;
pub mod unit;

pub use call::{Call, Plan};
pub use class::{AgentName, Class};
pub use find::Places;
pub use judge::{Ended, ExecStatus, Outcome};
pub use meta::Metadata;
