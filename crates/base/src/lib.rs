//! The words everyone speaks: ids, scores, intervals, exit codes, monotonic time and the logging
//! facade. No policy, no I/O; every other crate may use this one, and it uses none of them.

pub mod applet;
pub mod dates;
pub mod exit;
pub mod interval;
pub mod json;
pub mod log;
pub mod node_id;
pub mod score;
pub mod time;

pub use applet::Applet;
pub use exit::{CrmExit, agent_word};
pub use json::Json;
pub use node_id::NodeId;
pub use score::Score;
pub use time::Time;
