//! Client of the CIB manager: query and change the document, follow its changes.
//!
//! [`Live`] performs operations synchronously ([`Live::call`]) or not ([`Live::send`], whose end
//! comes as an [`Event`]); the manager may be one on another host ([`remote`]). Working on a file
//! instead is the business of the tools.
//!
//! Source: `spec/pacemaker-ipc.md` §4.

pub mod calls;
mod live;
pub mod remote;

pub use ::cib::options::{Op, call};
pub use calls::Event;
pub use live::Live;

use std::time::Duration;

use ::cib::Rc;
use xml::Element;

/// How long a synchronous call may wait; the library's own default.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(120);

/// A failed operation, with what the manager sent along (the refused document, the objects that
/// exist).
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{rc}")]
pub struct Failure {
    /// Why.
    pub rc: Rc,
    /// The answer's data.
    pub output: Option<Element>,
}

impl From<Rc> for Failure {
    fn from(rc: Rc) -> Failure {
        Failure { rc, output: None }
    }
}

/// One operation, to be filled as needed.
#[derive(Debug, Clone, Default)]
pub struct Request<'a> {
    /// Section name, or XPath with [`call::XPATH`].
    pub section: Option<&'a str>,
    /// The operation's data.
    pub data: Option<Element>,
    /// Bits of [`call`].
    pub options: u32,
    /// Whose permissions apply (only root and hacluster may ask for others).
    pub user: Option<&'a str>,
    /// Node that is to do it.
    pub host: Option<&'a str>,
}
