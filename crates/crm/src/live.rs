//! The CIB the shell works on: read it, check an edited one, write the difference.

use xml::Element;

use crate::programs::{self, Output};
use crate::say;
use crate::session::{Note, Session};

/// Reads the CIB in use (live, shadow or file). `Err` is a sentence for the user.
pub fn read() -> Result<Element, String> {
    let output = programs::capture("cibadmin", &["-Q", "-l"], None);
    if !output.is_ok() {
        return Err(format!("cannot read the CIB: {}", output.complaint()));
    }
    xml::parse(&output.stdout).map_err(|error| format!("cannot read the CIB: {error}"))
}

/// Whether the CIB in use is the cluster's own, not a file or a shadow.
pub fn is_live() -> bool {
    std::env::var_os("CIB_file").is_none() && programs::shadow().is_none()
}

/// Prints what the session has to tell.
pub fn tell(session: &mut Session) {
    for note in session.take_notes() {
        match note {
            Note::Info(text) => say::info(&text),
            Note::Warning(text) => say::warning(&text),
        }
    }
}

/// Checks an edited configuration with `crm_verify` and prints what it finds. `true` when it is
/// acceptable (warnings are).
pub fn verify(cib: &Element) -> bool {
    let output = programs::capture("crm_verify", &["-VV", "-p"], Some(&cib.to_pretty()));
    relay(&output);
    output.is_ok()
}

/// As [`verify`], before a commit: speaks only when there is something that speaks against it.
pub fn acceptable(cib: &Element) -> bool {
    let output = programs::capture("crm_verify", &["-VV", "-p"], Some(&cib.to_pretty()));
    if !output.is_ok() {
        relay(&output);
    }
    output.is_ok()
}

/// Prints a program's complaints as ours.
fn relay(output: &Output) {
    for text in output.stderr.lines().filter(|text| !text.trim().is_empty()) {
        let text = text.trim();
        if text.contains("error:") || text.contains("not valid") {
            say::error(text);
        } else if text.contains("warning:") {
            say::warning(text);
        } else if !output.is_ok() {
            say::error(text);
        }
    }
}

/// Why a commit failed; the session is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Somebody else was faster.
    #[error("CIB changed in the meantime: won't touch it!")]
    ChangedMeanwhile,
    /// The CIB manager refused.
    #[error("could not commit the changes: {0}")]
    Refused(String),
}

/// Writes the session's changes: the configuration section, provided that nobody else changed it
/// since it was read (unless forced), or with `replace` the whole document.
///
/// # Errors
/// Nothing was changed then.
pub fn commit(session: &mut Session, force: bool, replace: bool) -> Result<(), CommitError> {
    if replace {
        let text = session.cib().to_pretty();
        let args = if force { vec!["-p", "-R", "--force"] } else { vec!["-p", "-R"] };
        let output = programs::capture("cibadmin", &args, Some(&text));
        if !output.is_ok() {
            return Err(CommitError::Refused(output.complaint().to_owned()));
        }
    } else {
        let base = read().map_err(CommitError::Refused)?;
        if !force && !same_configuration(&base, session.original()) {
            return Err(CommitError::ChangedMeanwhile);
        }
        if session.is_changed() {
            write_configuration(session.cib())?;
        }
    }
    match read() {
        Ok(cib) => session.settle(cib),
        // The change itself was accepted; the next command reads again and says what is wrong.
        Err(_) => session.settle(session.cib().clone()),
    }
    Ok(())
}

fn same_configuration(a: &Element, b: &Element) -> bool {
    a.get("epoch") == b.get("epoch")
        && a.get("admin_epoch") == b.get("admin_epoch")
        && a.child("configuration") == b.child("configuration")
}

/// Replaces the configuration section: the rest of the document is not ours.
fn write_configuration(wanted: &Element) -> Result<(), CommitError> {
    let Some(configuration) = wanted.child("configuration") else {
        return Err(CommitError::Refused("the CIB has no configuration section".into()));
    };
    let args = ["-p", "-R", "-o", "configuration"];
    let output = programs::capture("cibadmin", &args, Some(&configuration.to_pretty()));
    if output.is_ok() {
        return Ok(());
    }
    Err(CommitError::Refused(output.complaint().to_owned()))
}
