//! Client of the CIB manager: query and change the document, follow its changes.
//!
//! [`Cib::open`] is what tools use: it honours `CIB_file` and `CIB_shadow` and talks to the live
//! cluster otherwise. Daemons use [`Live`], which never blocks once it is connected.
//!
//! Source: `spec/pacemaker-ipc.md` §4, `spec/cib.md` §8.5.

mod live;

pub use ::cib::options::{Op, call};
pub use live::{Event, Live};

use std::time::Duration;

use ::cib::Rc;
use xml::Element;

/// How long a synchronous call waits; the library's own default.
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

/// A document to work on: the live cluster's.
#[derive(Debug)]
pub struct Cib {
    live: Live,
}

impl Cib {
    /// Opens what the environment says.
    ///
    /// # Errors
    /// [`Rc::ENOTCONN`] if the manager does not run.
    pub fn open(name: &str) -> Result<Cib, Rc> {
        Ok(Cib { live: Live::connect("cib_rw", name).map_err(|error| error.rc())? })
    }

    /// The connection to the live cluster, to subscribe and follow events.
    pub fn live(&mut self) -> Option<&mut Live> {
        Some(&mut self.live)
    }

    /// Performs an operation and waits for its end.
    ///
    /// # Errors
    /// Whatever the operation ends with.
    pub fn perform(&mut self, op: Op, request: &Request<'_>) -> Result<Option<Element>, Failure> {
        self.live.call(op, request, CALL_TIMEOUT)
    }

    /// The document, or a section of it.
    ///
    /// # Errors
    /// [`Rc::ENXIO`] if there is no such section.
    pub fn query(&mut self, section: Option<&str>) -> Result<Element, Rc> {
        let request = Request { section, options: call::SCOPE_LOCAL, ..Request::default() };
        match self.perform(Op::Query, &request) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Rc::ENXIO),
            Err(failure) => Err(failure.rc),
        }
    }

    /// Elements that an XPath matches: one comes as it is, several inside `<xpath-query>`.
    ///
    /// # Errors
    /// [`Rc::ENXIO`] if nothing matches.
    pub fn query_xpath(&mut self, xpath: &str) -> Result<Element, Rc> {
        let options = call::SCOPE_LOCAL | call::XPATH;
        let request = Request { section: Some(xpath), options, ..Request::default() };
        match self.perform(Op::Query, &request) {
            Ok(Some(found)) => Ok(found),
            Ok(None) => Err(Rc::ENXIO),
            Err(failure) => Err(failure.rc),
        }
    }

    fn change(
        &mut self,
        op: Op,
        section: Option<&str>,
        data: Element,
        options: u32,
    ) -> Result<(), Rc> {
        let request = Request { section, data: Some(data), options, ..Request::default() };
        self.perform(op, &request).map(|_| ()).map_err(|failure| failure.rc)
    }

    /// Adds new objects to a section.
    ///
    /// # Errors
    /// [`Rc::EEXIST`], [`Rc::SCHEMA_VALIDATION`], ….
    pub fn create(&mut self, section: &str, data: Element) -> Result<(), Rc> {
        self.change(Op::Create, Some(section), data, 0)
    }

    /// Merges into the element of its name and id; with `can_create` appends it otherwise.
    ///
    /// # Errors
    /// [`Rc::ENXIO`], [`Rc::SCHEMA_VALIDATION`], ….
    pub fn modify(
        &mut self,
        section: Option<&str>,
        data: Element,
        can_create: bool,
    ) -> Result<(), Rc> {
        self.change(Op::Modify, section, data, if can_create { call::CAN_CREATE } else { 0 })
    }

    /// Replaces an element, a section or the document.
    ///
    /// # Errors
    /// [`Rc::ENXIO`], [`Rc::OLD_DATA`], [`Rc::SCHEMA_VALIDATION`], ….
    pub fn replace(&mut self, section: Option<&str>, data: Element) -> Result<(), Rc> {
        self.change(Op::Replace, section, data, 0)
    }

    /// Removes the first element that has the pattern's name, id and attributes.
    ///
    /// # Errors
    /// [`Rc::SCHEMA_VALIDATION`], ….
    pub fn delete(&mut self, section: Option<&str>, pattern: Element) -> Result<(), Rc> {
        self.change(Op::Delete, section, pattern, 0)
    }

    /// Removes what an XPath matches: the first, or all.
    ///
    /// # Errors
    /// [`Rc::EINVAL`], [`Rc::SCHEMA_VALIDATION`], ….
    pub fn delete_xpath(&mut self, xpath: &str, all: bool) -> Result<(), Rc> {
        let options = call::XPATH | if all { call::MULTIPLE } else { 0 };
        let request = Request { section: Some(xpath), options, ..Request::default() };
        self.perform(Op::Delete, &request).map(|_| ()).map_err(|failure| failure.rc)
    }

    /// Applies a patch.
    ///
    /// # Errors
    /// [`Rc::OLD_DATA`], [`Rc::DIFF_FAILED`], [`Rc::SCHEMA_VALIDATION`], ….
    pub fn patch(&mut self, diff: Element) -> Result<(), Rc> {
        self.change(Op::Patch, None, diff, 0)
    }

    /// Ends the work.
    ///
    /// # Errors
    /// None for a live cluster.
    pub fn close(self) -> Result<(), Rc> {
        Ok(())
    }
}
