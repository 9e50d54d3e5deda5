//! Asking PAM whether a password is right.
//!
//! `libpam` is loaded when it is needed. This runs in a process of its own ([`super::login`]) and
//! may wait as long as the modules do.
//!
//! Source: `pam(3)`, `pam_start(3)`, `pam_conv(3)`, `pam_authenticate(3)`, `pam_acct_mgmt(3)`;
//! numbers from Linux-PAM's interface.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

use pacemaker_client::remote::library::{Library, LoadError};

const PAM_SUCCESS: c_int = 0;
const PAM_BUF_ERR: c_int = 5;
const PAM_CONV_ERR: c_int = 19;
const PAM_PROMPT_ECHO_OFF: c_int = 1;
const PAM_PROMPT_ECHO_ON: c_int = 2;
const PAM_MAX_NUM_MSG: c_int = 32;

/// `struct pam_message` of pam_conv(3).
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// `struct pam_response` of pam_conv(3).
#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

type Conversation =
    unsafe extern "C" fn(c_int, *const *const Message, *mut *mut Response, *mut c_void) -> c_int;

/// `struct pam_conv` of pam_conv(3).
#[repr(C)]
struct Conv {
    call: Conversation,
    data: *mut c_void,
}

struct Functions {
    start:
        unsafe extern "C" fn(*const c_char, *const c_char, *const Conv, *mut *mut c_void) -> c_int,
    authenticate: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    account: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    end: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    strerror: unsafe extern "C" fn(*mut c_void, c_int) -> *const c_char,
}

fn load() -> Result<Functions, LoadError> {
    // SAFETY: the soname of Linux-PAM's interface, unchanged for decades.
    let library = unsafe { Library::load(c"libpam.so.0") }?;
    // SAFETY: the fields' types are the prototypes of the manual pages, with the handle as an
    // untyped pointer.
    unsafe {
        Ok(Functions {
            start: library.function(c"pam_start")?,
            authenticate: library.function(c"pam_authenticate")?,
            account: library.function(c"pam_acct_mgmt")?,
            end: library.function(c"pam_end")?,
            strerror: library.function(c"pam_strerror")?,
        })
    }
}

/// Answers the modules' questions: the password to what is not to be shown, the user's name to
/// what may be, nothing to what is no question.
///
/// # Safety
/// As pam_conv(3) promises: `messages` points to `n` pointers to messages, `responses` to room
/// for a pointer, `data` is what was given to pam_start, here an [`Answers`].
unsafe extern "C" fn converse(
    n: c_int,
    messages: *const *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    let count = usize::try_from(n).unwrap_or(0);
    if n <= 0 || n > PAM_MAX_NUM_MSG || messages.is_null() || responses.is_null() || data.is_null()
    {
        return PAM_CONV_ERR;
    }
    // SAFETY: `data` is the `Answers` of `check`, which outlives the PAM transaction.
    let answers = unsafe { &*data.cast::<Answers>() };
    // SAFETY: plain allocation of zeroed memory, which PAM frees, as the texts in it.
    let room = unsafe { libc::calloc(count, size_of::<Response>()) }.cast::<Response>();
    if room.is_null() {
        return PAM_BUF_ERR;
    }
    for at in 0..count {
        // SAFETY: Linux-PAM passes an array of `n` pointers to messages.
        let message = unsafe { *messages.add(at) };
        if message.is_null() {
            continue;
        }
        // SAFETY: not null, so a message.
        let answer = match unsafe { (*message).style } {
            PAM_PROMPT_ECHO_OFF => &answers.password,
            PAM_PROMPT_ECHO_ON => &answers.user,
            _ => continue,
        };
        // SAFETY: a NUL-terminated text is copied into memory of malloc; `at` is within `room`.
        // If there is none the field stays null, which modules take as no answer.
        unsafe { (*room.add(at)).text = libc::strdup(answer.as_ptr()) };
    }
    // SAFETY: `responses` points to room for a pointer; PAM owns `room` from here on.
    unsafe { *responses = room };
    PAM_SUCCESS
}

struct Answers {
    user: CString,
    password: CString,
}

/// Why there is no yes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PamError {
    /// PAM is not there, or does not work.
    #[error("cannot ask PAM: {0}")]
    Unable(String),
    /// PAM says no, with these words.
    #[error("{0}")]
    Refused(String),
}

/// Whether the password is the user's and the account may be used, by this PAM service.
///
/// # Errors
/// It is not, or nobody could be asked.
pub fn check(service: &str, user: &str, password: &str) -> Result<(), PamError> {
    let text = |text: &str| {
        CString::new(text).map_err(|_| PamError::Refused("a NUL in a name or password".to_owned()))
    };
    let f = load().map_err(|error| PamError::Unable(error.to_string()))?;
    let service = text(service)?;
    let answers = Answers { user: text(user)?, password: text(password)? };
    let conv = Conv { call: converse, data: ptr::from_ref(&answers).cast_mut().cast() };
    let mut handle = ptr::null_mut();
    // SAFETY: texts are NUL-terminated; `conv`, the answers it points to and `handle` are locals
    // that live until pam_end; `converse` only reads the answers.
    let started = unsafe { (f.start)(service.as_ptr(), answers.user.as_ptr(), &conv, &mut handle) };
    if started != PAM_SUCCESS || handle.is_null() {
        return Err(PamError::Unable(format!("pam_start gives {started}")));
    }
    // SAFETY: the handle of a started transaction.
    let mut result = unsafe { (f.authenticate)(handle, 0) };
    if result == PAM_SUCCESS {
        // SAFETY: as above.
        result = unsafe { (f.account)(handle, 0) };
    }
    // SAFETY: pam_strerror gives a static text or null for any number.
    let words = unsafe {
        let words = (f.strerror)(handle, result);
        if words.is_null() {
            result.to_string()
        } else {
            CStr::from_ptr(words).to_string_lossy().into_owned()
        }
    };
    // SAFETY: the transaction is ended once, after its last use.
    unsafe { (f.end)(handle, result) };
    if result == PAM_SUCCESS { Ok(()) } else { Err(PamError::Refused(words)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_are_answered_and_nothing_else() {
        let answers = Answers { user: c"ann".into(), password: c"geheim".into() };
        let data = ptr::from_ref(&answers).cast_mut().cast::<c_void>();
        let ask = |styles: &[c_int]| {
            let messages: Vec<Message> =
                styles.iter().map(|style| Message { style: *style, text: c"?".as_ptr() }).collect();
            let pointers: Vec<*const Message> = messages.iter().map(ptr::from_ref).collect();
            let mut room = ptr::null_mut();
            let n = c_int::try_from(styles.len()).unwrap();
            // SAFETY: as PAM calls it; what it allocates is read and freed here.
            unsafe {
                assert_eq!(converse(n, pointers.as_ptr(), &mut room, data), PAM_SUCCESS);
                let texts: Vec<Option<String>> = (0..styles.len())
                    .map(|at| {
                        let text = (*room.add(at)).text;
                        let copy = (!text.is_null())
                            .then(|| CStr::from_ptr(text).to_string_lossy().into_owned());
                        libc::free(text.cast());
                        copy
                    })
                    .collect();
                libc::free(room.cast());
                texts
            }
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(ask(&[PAM_PROMPT_ECHO_OFF]), [some("geheim")]);
        assert_eq!(
            ask(&[PAM_PROMPT_ECHO_ON, 3, 4, PAM_PROMPT_ECHO_OFF]),
            [some("ann"), None, None, some("geheim")]
        );
        let mut room = ptr::null_mut();
        for n in [-1, 0, 33] {
            // SAFETY: refused before anything is looked at.
            let refused = unsafe { converse(n, ptr::null(), &mut room, data) };
            assert_eq!(refused, PAM_CONV_ERR);
        }
    }
}
