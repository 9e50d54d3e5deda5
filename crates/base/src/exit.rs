//! Exit codes of Pacemaker's programs (`spec/cli-pacemaker.md` §3.1).

macro_rules! exit_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $symbol:literal, $text:literal;)+) => {
        /// How a program ended, as scripts see it.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(i32)]
        pub enum CrmExit {
            $(#[doc = $text] $name = $code,)+
        }

        impl CrmExit {
            /// All codes, ascending.
            pub const ALL: &'static [CrmExit] = &[$(CrmExit::$name,)+];

            /// The exit status.
            pub const fn code(self) -> i32 {
                self as i32
            }

            /// Upstream's constant, e.g. `CRM_EX_OK`.
            pub const fn symbol(self) -> &'static str {
                match self { $(CrmExit::$name => concat!("CRM_EX_", $symbol),)+ }
            }

            /// What `crm_error -X` prints for it.
            pub const fn description(self) -> &'static str {
                match self { $(CrmExit::$name => $text,)+ }
            }

            /// The code of an exit status, if it is one of these.
            pub fn from_code(code: i32) -> Option<CrmExit> {
                match code { $($code => Some(CrmExit::$name),)+ _ => None }
            }
        }
    };
}

exit_codes! {
    Ok = 0, "OK", "OK";
    Error = 1, "ERROR", "Error occurred";
    InvalidParam = 2, "INVALID_PARAM", "Invalid parameter";
    UnimplementFeature = 3, "UNIMPLEMENT_FEATURE", "Unimplemented";
    InsufficientPriv = 4, "INSUFFICIENT_PRIV", "Insufficient privileges";
    NotInstalled = 5, "NOT_INSTALLED", "Not installed";
    NotConfigured = 6, "NOT_CONFIGURED", "Not configured";
    NotRunning = 7, "NOT_RUNNING", "Not running";
    Promoted = 8, "PROMOTED", "Promoted";
    FailedPromoted = 9, "FAILED_PROMOTED", "Failed in promoted role";
    Usage = 64, "USAGE", "Incorrect usage";
    Dataerr = 65, "DATAERR", "Invalid data given";
    Noinput = 66, "NOINPUT", "Input file not available";
    Nouser = 67, "NOUSER", "User does not exist";
    Nohost = 68, "NOHOST", "Host does not exist";
    Unavailable = 69, "UNAVAILABLE", "Necessary service unavailable";
    Software = 70, "SOFTWARE", "Internal software bug";
    Oserr = 71, "OSERR", "Operating system error occurred";
    Osfile = 72, "OSFILE", "System file not available";
    Cantcreat = 73, "CANTCREAT", "Cannot create output file";
    Ioerr = 74, "IOERR", "I/O error occurred";
    Tempfail = 75, "TEMPFAIL", "Temporary failure, try again";
    Protocol = 76, "PROTOCOL", "Protocol violated";
    Noperm = 77, "NOPERM", "Insufficient privileges";
    Config = 78, "CONFIG", "Invalid configuration";
    Fatal = 100, "FATAL", "Fatal error occurred, will not respawn";
    Panic = 101, "PANIC", "System panic required";
    Disconnect = 102, "DISCONNECT", "Not connected";
    Old = 103, "OLD", "Update was older than existing configuration";
    Digest = 104, "DIGEST", "Digest mismatch";
    Nosuch = 105, "NOSUCH", "No such object";
    Quorum = 106, "QUORUM", "Quorum required";
    Unsafe = 107, "UNSAFE", "Operation not safe";
    Exists = 108, "EXISTS", "Requested item already exists";
    Multiple = 109, "MULTIPLE", "Multiple items match request";
    Expired = 110, "EXPIRED", "Requested item has expired";
    NotYetInEffect = 111, "NOT_YET_IN_EFFECT", "Requested item is not yet in effect";
    Indeterminate = 112, "INDETERMINATE", "Could not determine status";
    Unsatisfied = 113, "UNSATISFIED", "Not applicable under current conditions";
    NoDc = 114, "NO_DC", "DC is not yet elected";
    Timeout = 124, "TIMEOUT", "Timeout occurred";
    Degraded = 190, "DEGRADED", "Service is active but might fail soon";
    DegradedPromoted = 191, "DEGRADED_PROMOTED", "Service is promoted but might fail soon";
    NoStatus = 193, "NONE", "No exit status available";
}

impl std::fmt::Display for CrmExit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.description())
    }
}

/// The word of Pacemaker 2.1 for what an agent returned, as logs and events have it.
pub fn agent_word(rc: i32) -> &'static str {
    match rc {
        0 => "ok",
        1 => "error",
        2 => "invalid parameter",
        3 => "unimplemented feature",
        4 => "insufficient privileges",
        5 => "not installed",
        6 => "not configured",
        7 => "not running",
        8 => "promoted",
        9 => "promoted (failed)",
        124 => "OCF_TIMEOUT",
        189 => "OCF_CONNECTION_DIED",
        190 => "OCF_DEGRADED",
        191 => "promoted (degraded)",
        193 => "pending",
        _ => "unknown",
    }
}
