//! A CIB in a file: the same operations as the daemon's, on a document on disk.
//!
//! Source: `spec/cli-pacemaker.md` §4.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cib::options::{Op, call};
use cib::request::{self, Request};
use pacemaker_client::account;
use xml::Element;

use crate::rc::Rc;
use crate::source::{self, Answer, Call};

/// An open file.
pub struct FileCib {
    /// None: the document came on stdin and is not written back.
    path: Option<PathBuf>,
    document: Arc<Element>,
}

impl FileCib {
    /// Reads the document. `-` is stdin.
    ///
    /// # Errors
    /// `ENXIO` when there is no such file, a code of schema trouble when it holds no CIB.
    pub fn open(path: &str) -> Result<FileCib, Rc> {
        let (text, path) = if path == "-" {
            (source::read_stdin().map_err(|_| Rc::EIO)?, None)
        } else {
            (source::read_file(path).map_err(|_| Rc::ENXIO)?, Some(PathBuf::from(path)))
        };
        let mut document = xml::parse(&text).map_err(|_| Rc::SCHEMA_VALIDATION)?;
        if document.name() != "cib" {
            return Err(Rc::SCHEMA_VALIDATION);
        }
        // A file may leave its status out; operations on the status need the section.
        document.child_or_new("status");
        Ok(FileCib { path, document: Arc::new(document) })
    }

    /// Performs an operation and writes the file back when it changed.
    ///
    /// # Errors
    /// The file cannot be written; what the operation itself came to is in the answer.
    pub fn call(&mut self, call: &Call<'_>, user: Option<&str>) -> Result<Answer, Rc> {
        let Some(op) = Op::parse(call.op) else { return Err(Rc::EOPNOTSUPP) };
        let user = user.unwrap_or("");
        let groups = if user.is_empty() { Vec::new() } else { account::groups_of_user(user) };
        // Only the daemon says who wrote when.
        let request = Request {
            section: call.section.unwrap_or(""),
            input: call.data,
            options: call.options | call::NO_MTIME,
            user,
            groups: &groups,
            ..Request::default()
        };
        let outcome = request::perform(&self.document, op, &request);
        let rc = Rc::from_legacy(outcome.rc.wire());
        if rc == Rc::OK
            && let Some(mut document) = outcome.document
            && call.options & call::DRYRUN == 0
        {
            if op == Op::Upgrade {
                crate::logging::schema_upgrade(&outcome.upgrade_steps, &document);
            }
            if op == Op::Erase {
                source::order_counters(Arc::make_mut(&mut document));
            }
            if let Some(path) = &self.path {
                save(path, &document)?;
            }
            self.document = document;
        }
        Ok(Answer { rc, output: outcome.output.map(|output| (*output).clone()) })
    }
}

/// Writes the document so that either the old or the new one is there, whatever happens. A file
/// called `cib.xml` has a digest beside it, as the daemon's own.
pub fn save(path: &Path, document: &Element) -> Result<(), Rc> {
    let write = |path: &Path, text: &str| -> std::io::Result<()> {
        let mut name = path.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".{}", std::process::id()));
        let temporary = path.with_file_name(name);
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        if let Ok(old) = std::fs::metadata(path) {
            file.set_permissions(old.permissions())?;
        }
        std::fs::rename(&temporary, path)
    };
    let failed = |error: std::io::Error| Rc(error.raw_os_error().unwrap_or(5));
    if path.file_name().is_some_and(|name| name == "cib.xml") {
        let mut signature = path.as_os_str().to_owned();
        signature.push(".sig");
        write(Path::new(&signature), &cib::digest::v1(document)).map_err(failed)?;
    }
    write(path, &document.to_pretty()).map_err(failed)
}
