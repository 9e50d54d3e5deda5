//! Corosync's error numbers, as responses carry them and tools print them.

use std::fmt;

/// A `cs_error_t` other than OK.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CsError(pub i32);

macro_rules! errors {
    ($($name:ident = $code:literal;)+) => {
        impl CsError {
            $(#[doc = concat!("`CS_ERR_", stringify!($name), "`")]
            pub const $name: CsError = CsError($code);)+

            /// Upstream's identifier, or `unknown error`.
            pub const fn as_str(self) -> &'static str {
                match self.0 {
                    1 => "CS_OK",
                    $($code => concat!("CS_ERR_", stringify!($name)),)+
                    _ => "unknown error",
                }
            }
        }
    };
}

errors! {
    LIBRARY = 2;
    VERSION = 3;
    INIT = 4;
    TIMEOUT = 5;
    TRY_AGAIN = 6;
    INVALID_PARAM = 7;
    NO_MEMORY = 8;
    BAD_HANDLE = 9;
    BUSY = 10;
    ACCESS = 11;
    NOT_EXIST = 12;
    NAME_TOO_LONG = 13;
    EXIST = 14;
    NO_SPACE = 15;
    INTERRUPT = 16;
    NAME_NOT_FOUND = 17;
    NO_RESOURCES = 18;
    NOT_SUPPORTED = 19;
    BAD_OPERATION = 20;
    FAILED_OPERATION = 21;
    MESSAGE_ERROR = 22;
    QUEUE_FULL = 23;
    QUEUE_NOT_AVAILABLE = 24;
    BAD_FLAGS = 25;
    TOO_BIG = 26;
    NO_SECTIONS = 27;
    CONTEXT_NOT_FOUND = 28;
    TOO_MANY_GROUPS = 30;
    SECURITY = 100;
}

impl CsError {
    /// The number, which some tools use as their exit status.
    pub const fn code(self) -> i32 {
        self.0
    }

    /// What clients make of an errno of the transport. Source: `spec/libqb-ipc.md` §10.
    pub fn from_errno(errno: i32) -> CsError {
        match errno {
            libc::EBADF => CsError::BAD_HANDLE,
            libc::ENOMEM => CsError::NO_MEMORY,
            libc::EAGAIN | libc::ETIMEDOUT | libc::ENOMSG | libc::ENOBUFS => CsError::TRY_AGAIN,
            libc::EBADE => CsError::FAILED_OPERATION,
            libc::ETIME => CsError::TIMEOUT,
            libc::EINVAL => CsError::INVALID_PARAM,
            libc::EBUSY => CsError::BUSY,
            libc::EACCES => CsError::ACCESS,
            libc::ENOENT | libc::ENODEV => CsError::NOT_EXIST,
            libc::EOVERFLOW => CsError::NAME_TOO_LONG,
            libc::EEXIST => CsError::EXIST,
            libc::ENOSPC => CsError::NO_SPACE,
            libc::EINTR => CsError::INTERRUPT,
            libc::ENOSYS | libc::EOPNOTSUPP => CsError::NOT_SUPPORTED,
            libc::EBADMSG => CsError::MESSAGE_ERROR,
            libc::EMSGSIZE | libc::E2BIG => CsError::TOO_BIG,
            _ => CsError::LIBRARY,
        }
    }
}

impl From<std::io::Error> for CsError {
    fn from(error: std::io::Error) -> CsError {
        CsError::from_errno(error.raw_os_error().unwrap_or(0))
    }
}

impl fmt::Display for CsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for CsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.as_str(), self.0)
    }
}

impl std::error::Error for CsError {}
