//! The flight recorder's last words: its file is written when the process crashes.
//!
//! Source: `spec/corosync-conf-and-tools.md` §2.3 (signals), §7.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use qb::log::{Logger, blackbox};

struct Prepared {
    logger: Logger,
    path: PathBuf,
    /// For the symbolic link, in the form the system calls want.
    target: CString,
    link: CString,
}

/// Made beforehand: a crashing process should not allocate.
static PREPARED: OnceLock<Prepared> = OnceLock::new();

/// From now on a crash leaves flight data in this directory.
pub(super) fn prepare(logger: &Logger, dir: &Path) {
    let path = blackbox::file_name(dir);
    let c_string = |path: &Path| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    let (target, link) = (c_string(&path), c_string(&dir.join("fdata")));
    if PREPARED.set(Prepared { logger: logger.clone(), path, target, link }).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        base::crit!(sub: "MAIN", "This is a defect of the program: {panic}");
        std::process::abort();
    }));
    for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGABRT, libc::SIGFPE, libc::SIGILL] {
        // SAFETY: the handler is a function of the right type that lives for ever; the structure
        // is plain data, valid as zeros. With SA_RESETHAND the second signal ends the process.
        unsafe {
            let mut action = std::mem::zeroed::<libc::sigaction>();
            action.sa_sigaction = last_words as *const () as usize;
            action.sa_flags = libc::SA_RESETHAND | libc::SA_NODEFER | libc::SA_ONSTACK;
            libc::sigaction(signal, &raw const action, std::ptr::null_mut());
        }
    }
}

extern "C" fn last_words(signal: libc::c_int) {
    if let Some(prepared) = PREPARED.get()
        && let Some(recorder) = prepared.logger.recorder()
        && recorder.dump(&prepared.path).is_ok()
    {
        // SAFETY: both are NUL-terminated strings that live for ever.
        unsafe {
            libc::unlink(prepared.link.as_ptr());
            libc::symlink(prepared.target.as_ptr(), prepared.link.as_ptr());
        }
    }
    // SAFETY: the handler was reset when it was called; the default action ends the process.
    unsafe {
        libc::raise(signal);
    }
}
