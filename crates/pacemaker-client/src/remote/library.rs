//! Shared libraries of the host, loaded while the program runs.
//!
//! The executable is linked with the C library only, so that it starts everywhere; what few need
//! (GnuTLS, PAM) is looked for when it is needed, and missed with a message that says so.
#![allow(unsafe_code)]

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

/// A library is missing, or is another one than expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LoadError(pub String);

/// A loaded library. It stays loaded until the process ends.
#[derive(Debug)]
pub struct Library {
    handle: NonNull<c_void>,
    name: &'static CStr,
}

impl Library {
    /// Loads a library by the name that the dynamic linker knows it by.
    ///
    /// # Safety
    /// The library's initialisers run: it must be one whose name stands for what is expected.
    ///
    /// # Errors
    /// It is not installed, or cannot be loaded.
    pub unsafe fn load(name: &'static CStr) -> Result<Library, LoadError> {
        // SAFETY: `name` is NUL-terminated; the caller vouches for the library itself.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        match NonNull::new(handle) {
            Some(handle) => Ok(Library { handle, name }),
            None => Err(LoadError(last_error(name))),
        }
    }

    /// A function of the library, as a function pointer type.
    ///
    /// # Safety
    /// `F` must be an `extern "C"` function pointer type that fits the function of that name.
    ///
    /// # Errors
    /// There is no such symbol: the library is too old.
    pub unsafe fn function<F: Copy>(&self, name: &CStr) -> Result<F, LoadError> {
        // A pointer's size is checked, so that nothing but a pointer can be made of the address.
        if size_of::<F>() != size_of::<*mut c_void>() {
            return Err(LoadError(format!(
                "{}: not a function pointer type",
                name.to_string_lossy()
            )));
        }
        // SAFETY: the handle came from dlopen and is never closed; `name` is NUL-terminated.
        let address = unsafe { libc::dlsym(self.handle.as_ptr(), name.as_ptr()) };
        if address.is_null() {
            return Err(LoadError(format!(
                "{} has no function {}",
                self.name.to_string_lossy(),
                name.to_string_lossy()
            )));
        }
        // SAFETY: the sizes are equal, the address is not null, and the caller vouches that `F`
        // is the type of the function at that address.
        Ok(unsafe { std::mem::transmute_copy::<*mut c_void, F>(&address) })
    }
}

fn last_error(name: &CStr) -> String {
    // SAFETY: dlerror returns null or a NUL-terminated text that is valid until the next call of
    // a dl function by this thread; it is copied at once.
    let text = unsafe {
        let text = libc::dlerror();
        (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
    };
    text.unwrap_or_else(|| format!("{}: cannot be loaded", name.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_or_missed_by_name() {
        // SAFETY: the C library, which is loaded anyway.
        let library = unsafe { Library::load(c"libc.so.6") }.unwrap();
        // SAFETY: the type of getpid(2).
        let getpid = unsafe { library.function::<unsafe extern "C" fn() -> i32>(c"getpid") };
        // SAFETY: getpid has no preconditions.
        assert_eq!(unsafe { getpid.unwrap()() }.cast_unsigned(), std::process::id());
        // SAFETY: never called.
        let none = unsafe { library.function::<unsafe extern "C" fn()>(c"no_such_function") };
        assert!(none.unwrap_err().to_string().contains("no_such_function"));
        // SAFETY: there is no such library, so nothing runs.
        let missing = unsafe { Library::load(c"libquorate-is-not-here.so.1") };
        assert!(missing.unwrap_err().to_string().contains("libquorate-is-not-here"));
    }
}
