//! Result codes as they travel: 0, a negative errno, or one of Pacemaker's own negative numbers.
//!
//! They stand in `cib_rc` and its siblings on the wire; tools print their texts and turn them into
//! exit codes. Internally code uses [`Rc`] as error type of everything that answers requests.
//!
//! Source: `spec/pacemaker-ipc.md` §11.2, `spec/cli-pacemaker.md` §3.2.

use base::CrmExit;

/// A result code of the wire ("legacy rc"). As an error it is never [`Rc::OK`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rc(i32);

macro_rules! codes {
    ($($name:ident = $code:literal, $symbol:literal, $exit:ident, $text:literal;)+) => {
        impl Rc {
            $(#[doc = $text] pub const $name: Rc = Rc(-$code);)+

            /// The constant's name: `EACCES`, `pcmk_err_old_data`, ….
            pub fn symbol(self) -> &'static str {
                match -self.0 { 0 => "OK", $($code => $symbol,)+ _ => "Unknown" }
            }

            /// What tools print for it.
            pub fn description(self) -> String {
                match -self.0 {
                    0 => "OK".to_owned(),
                    $($code => $text.to_owned(),)+
                    other => format!("Unknown error {other}"),
                }
            }

            /// The exit code of a tool that ends with it.
            pub fn exit(self) -> CrmExit {
                match -self.0 { 0 => CrmExit::Ok, $($code => CrmExit::$exit,)+ _ => CrmExit::Error }
            }
        }
    };
}

codes! {
    EPERM = 1, "EPERM", Error, "Operation not permitted";
    ENOENT = 2, "ENOENT", Nosuch, "No such file or directory";
    EIO = 5, "EIO", Ioerr, "Input/output error";
    ENXIO = 6, "ENXIO", Nosuch, "No such device or address";
    EBADF = 9, "EBADF", Software, "Bad file descriptor";
    EAGAIN = 11, "EAGAIN", Unsatisfied, "Resource temporarily unavailable";
    ENOMEM = 12, "ENOMEM", Oserr, "Cannot allocate memory";
    EACCES = 13, "EACCES", InsufficientPriv, "Permission denied";
    EBUSY = 16, "EBUSY", Unsatisfied, "Device or resource busy";
    EEXIST = 17, "EEXIST", Exists, "File exists";
    ENODEV = 19, "ENODEV", Nosuch, "No such device";
    ENOTDIR = 20, "ENOTDIR", Error, "Not a directory";
    EINVAL = 22, "EINVAL", Software, "Invalid argument";
    ENOSPC = 28, "ENOSPC", Error, "No space left on device";
    EPIPE = 32, "EPIPE", Error, "Broken pipe";
    ENOSYS = 38, "ENOSYS", Software, "Function not implemented";
    ENOMSG = 42, "ENOMSG", Protocol, "No message of desired type";
    ENODATA = 61, "ENODATA", Error, "No data available";
    ETIME = 62, "ETIME", Timeout, "Timer expired";
    ECOMM = 70, "ECOMM", Oserr, "Communication error on send";
    EPROTO = 71, "EPROTO", Protocol, "Protocol error";
    EBADMSG = 74, "EBADMSG", Protocol, "Bad message";
    EOVERFLOW = 75, "EOVERFLOW", Software, "Value too large for defined data type";
    ENOTUNIQ = 76, "ENOTUNIQ", Multiple, "Name not unique on network";
    EMSGSIZE = 90, "EMSGSIZE", Protocol, "Message too long";
    EPROTONOSUPPORT = 93, "EPROTONOSUPPORT", Protocol, "Protocol not supported";
    EOPNOTSUPP = 95, "EOPNOTSUPP", UnimplementFeature, "Operation not supported";
    ECONNABORTED = 103, "ECONNABORTED", Disconnect, "Software caused connection abort";
    ECONNRESET = 104, "ECONNRESET", Disconnect, "Connection reset by peer";
    ENOTCONN = 107, "ENOTCONN", Disconnect, "Transport endpoint is not connected";
    ETIMEDOUT = 110, "ETIMEDOUT", Timeout, "Connection timed out";
    ECONNREFUSED = 111, "ECONNREFUSED", Disconnect, "Connection refused";
    EHOSTUNREACH = 113, "EHOSTUNREACH", Error, "No route to host";
    EALREADY = 114, "EALREADY", Error, "Operation already in progress";
    EINPROGRESS = 115, "EINPROGRESS", Error, "Operation now in progress";
    EREMOTEIO = 121, "EREMOTEIO", Error, "Remote I/O error";
    ECANCELED = 125, "ECANCELED", Error, "Operation canceled";
    GENERIC = 201, "pcmk_err_generic", Error, "Generic Pacemaker error";
    NO_QUORUM = 202, "pcmk_err_no_quorum", Quorum, "Operation requires quorum";
    SCHEMA_VALIDATION = 203, "pcmk_err_schema_validation", Config,
        "Update does not conform to the configured schema";
    TRANSFORM_FAILED = 204, "pcmk_err_transform_failed", Config, "Schema transform failed";
    OLD_DATA = 205, "pcmk_err_old_data", Old, "Update was older than existing configuration";
    DIFF_FAILED = 206, "pcmk_err_diff_failed", Dataerr, "Application of an update diff failed";
    DIFF_RESYNC = 207, "pcmk_err_diff_resync", Error,
        "Application of an update diff failed, requesting a full refresh";
    CIB_MODIFIED = 208, "pcmk_err_cib_modified", Error,
        "The on-disk configuration was manually modified";
    CIB_BACKUP = 209, "pcmk_err_cib_backup", Error,
        "Could not archive the previous configuration";
    CIB_SAVE = 210, "pcmk_err_cib_save", Error,
        "Could not save the new configuration to disk";
    SCHEMA_UNCHANGED = 211, "pcmk_err_schema_unchanged", Config,
        "Schema is already the latest available";
    CIB_CORRUPT = 212, "pcmk_err_cib_corrupt", Config, "Could not parse on-disk configuration";
    MULTIPLE = 213, "pcmk_err_multiple", Multiple, "Resource active on multiple nodes";
    NODE_UNKNOWN = 214, "pcmk_err_node_unknown", Nohost, "Node not found";
    ALREADY = 215, "pcmk_err_already", Exists, "Situation already as requested";
    BAD_NVPAIR = 216, "pcmk_err_bad_nvpair", InvalidParam, "Bad name/value pair given";
    UNKNOWN_FORMAT = 217, "pcmk_err_unknown_format", Nosuch, "Unknown output format";
}

impl Rc {
    /// No error.
    pub const OK: Rc = Rc(0);

    /// The code of a number from the wire; positive numbers are taken as their negation, as
    /// upstream does.
    pub const fn from_wire(code: i32) -> Rc {
        if code > 0 { Rc(-code) } else { Rc(code) }
    }

    /// The number on the wire: 0 or negative.
    pub const fn wire(self) -> i32 {
        self.0
    }

    /// True for no error.
    pub const fn is_ok(self) -> bool {
        self.0 == 0
    }

    /// As a `Result` without value.
    ///
    /// # Errors
    /// Itself, unless it is [`Rc::OK`].
    pub const fn ok(self) -> Result<(), Rc> {
        if self.0 == 0 { Ok(()) } else { Err(self) }
    }

    /// The code of an I/O error.
    pub fn of_io(error: &std::io::Error) -> Rc {
        error.raw_os_error().map_or(Rc::EIO, |errno| Rc(-errno))
    }
}

impl std::fmt::Display for Rc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.description())
    }
}

impl std::fmt::Debug for Rc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.symbol(), self.0)
    }
}

impl std::error::Error for Rc {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_texts_and_exit_codes() {
        let schema = Rc::from_wire(-203);
        assert_eq!(schema, Rc::SCHEMA_VALIDATION);
        assert_eq!(schema.to_string(), "Update does not conform to the configured schema");
        assert_eq!(schema.exit(), CrmExit::Config);
        assert_eq!(Rc::from_wire(6), Rc::ENXIO);
        assert_eq!(Rc::ENXIO.exit(), CrmExit::Nosuch);
        assert_eq!(Rc::from_wire(-9999).to_string(), "Unknown error 9999");
        assert!(Rc::OK.ok().is_ok() && Rc::EINVAL.ok() == Err(Rc::EINVAL));
    }
}
