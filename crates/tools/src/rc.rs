//! Result codes of Pacemaker's library calls: positive errno values, and its own negative ones.
//!
//! A tool's work ends in an [`Rc`]; its text goes into the message, its exit code to the shell.
//! Source: `spec/cli-pacemaker.md` §3.2 and §3.3.

use base::CrmExit;
use pacemaker_client::client::ClientError;

/// The result of an operation as Pacemaker's library counts it: 0, an errno, or one of the
/// library's own codes below -1000.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rc(pub i32);

/// Pacemaker's own codes: number, name, text; ascending.
pub const PCMK: &[(i32, &str, &str)] = &[
    (-1043, "pcmk_rc_digest_mismatch", "Digest does not match expected value"),
    (-1042, "pcmk_rc_cs_internal", "Internal corosync error"),
    (-1041, "pcmk_rc_ipc_more", "More IPC message fragments to send"),
    (-1040, "pcmk_rc_no_dc", "DC is not yet elected"),
    (-1039, "pcmk_rc_compression", "Compression/decompression error"),
    (-1038, "pcmk_rc_ns_resolution", "Nameserver resolution error"),
    (-1037, "pcmk_rc_no_transaction", "No active transaction found"),
    (-1036, "pcmk_rc_bad_xml_patch", "Bad XML patch format"),
    (-1035, "pcmk_rc_bad_input", "Bad input value provided"),
    (-1034, "pcmk_rc_disabled", "Disabled"),
    (-1033, "pcmk_rc_duplicate_id", "Two or more XML elements have the same ID"),
    (-1032, "pcmk_rc_unpack_error", "Unable to parse CIB XML"),
    (-1031, "pcmk_rc_invalid_transition", "Cluster simulation produced invalid transition"),
    (-1030, "pcmk_rc_graph_error", "Error writing graph file"),
    (-1029, "pcmk_rc_dot_error", "Error writing dot(1) file"),
    (-1028, "pcmk_rc_underflow", "Value too small to be stored in data type"),
    (-1027, "pcmk_rc_no_input", "Input file not available"),
    (-1026, "pcmk_rc_no_output", "Output message produced no output"),
    (-1025, "pcmk_rc_after_range", "Result occurs after given range"),
    (-1024, "pcmk_rc_within_range", "Result occurs within given range"),
    (-1023, "pcmk_rc_before_range", "Result occurs before given range"),
    (-1022, "pcmk_rc_undetermined", "Result undetermined"),
    (-1021, "pcmk_rc_op_unsatisfied", "Not applicable under current conditions"),
    (-1020, "pcmk_rc_ipc_pid_only", "IPC server process is active but not accepting connections"),
    (-1019, "pcmk_rc_ipc_unresponsive", "IPC server is unresponsive"),
    (-1018, "pcmk_rc_ipc_unauthorized", "IPC server is blocked by unauthorized process"),
    (-1017, "pcmk_rc_no_quorum", "Operation requires quorum"),
    (-1016, "pcmk_rc_schema_validation", "Update does not conform to the configured schema"),
    (-1015, "pcmk_rc_schema_unchanged", "Schema is already the latest available"),
    (-1014, "pcmk_rc_transform_failed", "Schema transform failed"),
    (-1013, "pcmk_rc_old_data", "Update was older than existing configuration"),
    (-1012, "pcmk_rc_diff_failed", "Application of update diff failed"),
    (-1011, "pcmk_rc_diff_resync", "Application of update diff failed, requesting full refresh"),
    (-1010, "pcmk_rc_cib_modified", "On-disk configuration was manually modified"),
    (-1009, "pcmk_rc_cib_backup", "Could not archive previous configuration"),
    (-1008, "pcmk_rc_cib_save", "Could not save new configuration to disk"),
    (-1007, "pcmk_rc_cib_corrupt", "Could not parse on-disk configuration"),
    (-1006, "pcmk_rc_multiple", "Resource active on multiple nodes"),
    (-1005, "pcmk_rc_node_unknown", "Node not found"),
    (-1004, "pcmk_rc_already", "Already in requested state"),
    (-1003, "pcmk_rc_bad_nvpair", "Bad name/value pair given"),
    (-1002, "pcmk_rc_unknown_format", "Unknown output format"),
    (-1001, "pcmk_rc_error", "Error"),
];

/// System error numbers of Linux: number, name, text; ascending.
pub const ERRNO: &[(i32, &str, &str)] = &[
    (1, "EPERM", "Operation not permitted"),
    (2, "ENOENT", "No such file or directory"),
    (3, "ESRCH", "No such process"),
    (4, "EINTR", "Interrupted system call"),
    (5, "EIO", "Input/output error"),
    (6, "ENXIO", "No such device or address"),
    (7, "E2BIG", "Argument list too long"),
    (8, "ENOEXEC", "Exec format error"),
    (9, "EBADF", "Bad file descriptor"),
    (10, "ECHILD", "No child processes"),
    (11, "EAGAIN", "Resource temporarily unavailable"),
    (12, "ENOMEM", "Cannot allocate memory"),
    (13, "EACCES", "Permission denied"),
    (14, "EFAULT", "Bad address"),
    (15, "ENOTBLK", "Block device required"),
    (16, "EBUSY", "Device or resource busy"),
    (17, "EEXIST", "File exists"),
    (18, "EXDEV", "Invalid cross-device link"),
    (19, "ENODEV", "No such device"),
    (20, "ENOTDIR", "Not a directory"),
    (21, "EISDIR", "Is a directory"),
    (22, "EINVAL", "Invalid argument"),
    (23, "ENFILE", "Too many open files in system"),
    (24, "EMFILE", "Too many open files"),
    (25, "ENOTTY", "Inappropriate ioctl for device"),
    (26, "ETXTBSY", "Text file busy"),
    (27, "EFBIG", "File too large"),
    (28, "ENOSPC", "No space left on device"),
    (29, "ESPIPE", "Illegal seek"),
    (30, "EROFS", "Read-only file system"),
    (31, "EMLINK", "Too many links"),
    (32, "EPIPE", "Broken pipe"),
    (33, "EDOM", "Numerical argument out of domain"),
    (34, "ERANGE", "Numerical result out of range"),
    (35, "EDEADLOCK", "Resource deadlock avoided"),
    (36, "ENAMETOOLONG", "File name too long"),
    (37, "ENOLCK", "No locks available"),
    (38, "ENOSYS", "Function not implemented"),
    (39, "ENOTEMPTY", "Directory not empty"),
    (40, "ELOOP", "Too many levels of symbolic links"),
    (42, "ENOMSG", "No message of desired type"),
    (43, "EIDRM", "Identifier removed"),
    (44, "ECHRNG", "Channel number out of range"),
    (45, "EL2NSYNC", "Level 2 not synchronized"),
    (46, "EL3HLT", "Level 3 halted"),
    (47, "EL3RST", "Level 3 reset"),
    (49, "EUNATCH", "Protocol driver not attached"),
    (51, "EL2HLT", "Level 2 halted"),
    (52, "EBADE", "Invalid exchange"),
    (53, "EBADR", "Invalid request descriptor"),
    (54, "EXFULL", "Exchange full"),
    (56, "EBADRQC", "Invalid request code"),
    (57, "EBADSLT", "Invalid slot"),
    (60, "ENOSTR", "Device not a stream"),
    (61, "ENODATA", "No data available"),
    (62, "ETIME", "Timer expired"),
    (63, "ENOSR", "Out of streams resources"),
    (64, "ENONET", "Machine is not on the network"),
    (65, "ENOPKG", "Package not installed"),
    (66, "EREMOTE", "Object is remote"),
    (67, "ENOLINK", "Link has been severed"),
    (70, "ECOMM", "Communication error on send"),
    (71, "EPROTO", "Protocol error"),
    (72, "EMULTIHOP", "Multihop attempted"),
    (74, "EBADMSG", "Bad message"),
    (75, "EOVERFLOW", "Value too large for defined data type"),
    (76, "ENOTUNIQ", "Name not unique on network"),
    (77, "EBADFD", "File descriptor in bad state"),
    (78, "EREMCHG", "Remote address changed"),
    (79, "ELIBACC", "Can not access a needed shared library"),
    (80, "ELIBBAD", "Accessing a corrupted shared library"),
    (81, "ELIBSCN", ".lib section in a.out corrupted"),
    (82, "ELIBMAX", "Attempting to link in too many shared libraries"),
    (83, "ELIBEXEC", "Cannot exec a shared library directly"),
    (84, "EILSEQ", "Invalid or incomplete multibyte or wide character"),
    (85, "ERESTART", "Interrupted system call should be restarted"),
    (86, "ESTRPIPE", "Streams pipe error"),
    (87, "EUSERS", "Too many users"),
    (88, "ENOTSOCK", "Socket operation on non-socket"),
    (89, "EDESTADDRREQ", "Destination address required"),
    (90, "EMSGSIZE", "Message too long"),
    (91, "EPROTOTYPE", "Protocol wrong type for socket"),
    (92, "ENOPROTOOPT", "Protocol not available"),
    (93, "EPROTONOSUPPORT", "Protocol not supported"),
    (94, "ESOCKTNOSUPPORT", "Socket type not supported"),
    (95, "EOPNOTSUPP", "Operation not supported"),
    (96, "EPFNOSUPPORT", "Protocol family not supported"),
    (97, "EAFNOSUPPORT", "Address family not supported by protocol"),
    (98, "EADDRINUSE", "Address already in use"),
    (99, "EADDRNOTAVAIL", "Cannot assign requested address"),
    (100, "ENETDOWN", "Network is down"),
    (101, "ENETUNREACH", "Network is unreachable"),
    (102, "ENETRESET", "Network dropped connection on reset"),
    (103, "ECONNABORTED", "Software caused connection abort"),
    (104, "ECONNRESET", "Connection reset by peer"),
    (105, "ENOBUFS", "No buffer space available"),
    (106, "EISCONN", "Transport endpoint is already connected"),
    (107, "ENOTCONN", "Transport endpoint is not connected"),
    (108, "ESHUTDOWN", "Cannot send after transport endpoint shutdown"),
    (110, "ETIMEDOUT", "Connection timed out"),
    (111, "ECONNREFUSED", "Connection refused"),
    (112, "EHOSTDOWN", "Host is down"),
    (113, "EHOSTUNREACH", "No route to host"),
    (114, "EALREADY", "Operation already in progress"),
    (115, "EINPROGRESS", "Operation now in progress"),
    (116, "ESTALE", "Stale file handle"),
    (117, "EUCLEAN", "Structure needs cleaning"),
    (120, "EISNAM", "Is a named type file"),
    (121, "EREMOTEIO", "Remote I/O error"),
    (122, "EDQUOT", "Disk quota exceeded"),
    (123, "ENOMEDIUM", "No medium found"),
    (124, "EMEDIUMTYPE", "Wrong medium type"),
    (125, "ECANCELED", "Operation canceled"),
    (126, "ENOKEY", "Required key not available"),
    (127, "EKEYEXPIRED", "Key has expired"),
    (128, "EKEYREVOKED", "Key has been revoked"),
    (129, "EKEYREJECTED", "Key was rejected by service"),
];

/// The codes that the CIB's operations answer with (negated on the wire): number, name, text.
pub const LEGACY: &[(i32, &str, &str)] = &[
    (201, "pcmk_err_generic", "Error"),
    (202, "pcmk_err_no_quorum", "Operation requires quorum"),
    (203, "pcmk_err_schema_validation", "Update does not conform to the configured schema"),
    (204, "pcmk_err_transform_failed", "Schema transform failed"),
    (205, "pcmk_err_old_data", "Update was older than existing configuration"),
    (206, "pcmk_err_diff_failed", "Application of update diff failed"),
    (207, "pcmk_err_diff_resync", "Application of update diff failed, requesting full refresh"),
    (208, "pcmk_err_cib_modified", "On-disk configuration was manually modified"),
    (209, "pcmk_err_cib_backup", "Could not archive previous configuration"),
    (210, "pcmk_err_cib_save", "Could not save new configuration to disk"),
    (212, "pcmk_err_cib_corrupt", "Could not parse on-disk configuration"),
    (213, "pcmk_err_multiple", "Resource active on multiple nodes"),
    (214, "pcmk_err_node_unknown", "Node not found"),
    (215, "pcmk_err_already", "Already in requested state"),
    (216, "pcmk_err_bad_nvpair", "Bad name/value pair given"),
    (217, "pcmk_err_unknown_format", "Unknown output format"),
];

/// Named codes that tools speak of.
#[allow(missing_docs, reason = "the names are those of the tables above")]
impl Rc {
    pub const OK: Rc = Rc(0);
    pub const ERROR: Rc = Rc(-1001);
    pub const BAD_NVPAIR: Rc = Rc(-1003);
    pub const ALREADY: Rc = Rc(-1004);
    pub const NODE_UNKNOWN: Rc = Rc(-1005);
    pub const MULTIPLE: Rc = Rc(-1006);
    pub const CIB_CORRUPT: Rc = Rc(-1007);
    pub const DIFF_FAILED: Rc = Rc(-1012);
    pub const OLD_DATA: Rc = Rc(-1013);
    pub const SCHEMA_UNCHANGED: Rc = Rc(-1015);
    pub const SCHEMA_VALIDATION: Rc = Rc(-1016);
    pub const NO_QUORUM: Rc = Rc(-1017);
    pub const OP_UNSATISFIED: Rc = Rc(-1021);
    pub const UNDETERMINED: Rc = Rc(-1022);
    pub const BEFORE_RANGE: Rc = Rc(-1023);
    pub const AFTER_RANGE: Rc = Rc(-1025);
    pub const NO_OUTPUT: Rc = Rc(-1026);
    pub const NO_INPUT: Rc = Rc(-1027);
    pub const UNPACK_ERROR: Rc = Rc(-1032);
    pub const DUPLICATE_ID: Rc = Rc(-1033);
    pub const BAD_INPUT: Rc = Rc(-1035);
    pub const NO_DC: Rc = Rc(-1040);
    pub const ENOENT: Rc = Rc(2);
    pub const EIO: Rc = Rc(5);
    pub const ENXIO: Rc = Rc(6);
    pub const EAGAIN: Rc = Rc(11);
    pub const EACCES: Rc = Rc(13);
    pub const EEXIST: Rc = Rc(17);
    pub const ENODEV: Rc = Rc(19);
    pub const EINVAL: Rc = Rc(22);
    pub const ETIME: Rc = Rc(62);
    pub const ENOTUNIQ: Rc = Rc(76);
    pub const EOPNOTSUPP: Rc = Rc(95);
    pub const ENOTCONN: Rc = Rc(107);
    pub const ETIMEDOUT: Rc = Rc(110);
    pub const ECONNREFUSED: Rc = Rc(111);
}

fn find(
    table: &[(i32, &'static str, &'static str)],
    code: i32,
) -> Option<(&'static str, &'static str)> {
    table.iter().find(|row| row.0 == code).map(|row| (row.1, row.2))
}

impl Rc {
    /// From what a CIB operation answered: 0, a negative errno, or a negative code of [`LEGACY`].
    pub fn from_legacy(code: i32) -> Rc {
        Rc(match -code {
            0 => 0,
            201 => -1001,
            202 => -1017,
            203 => -1016,
            204 => -1014,
            205 => -1013,
            206 => -1012,
            207 => -1011,
            208 => -1010,
            209 => -1009,
            210 => -1008,
            211 => -1015,
            212 => -1007,
            213 => -1006,
            214 => -1005,
            215 => -1004,
            216 => -1003,
            217 => -1002,
            other if other > 0 => other,
            _ => -1001,
        })
    }

    /// Upstream's name, `Unknown` when there is none.
    pub fn name(self) -> &'static str {
        if self.0 == 0 {
            return "pcmk_rc_ok";
        }
        find(PCMK, self.0).or_else(|| find(ERRNO, self.0)).map_or("Unknown", |row| row.0)
    }

    /// The text that messages show.
    pub fn text(self) -> String {
        if self.0 == 0 {
            return "OK".to_owned();
        }
        match find(PCMK, self.0).or_else(|| find(ERRNO, self.0)) {
            Some((_, text)) => text.to_owned(),
            None if self.0 > 0 => format!("Unknown error {}", self.0),
            None => "Error".to_owned(),
        }
    }

    /// The exit code it becomes (`spec/cli-pacemaker.md` §3.2).
    pub fn exit(self) -> CrmExit {
        match self.0 {
            0 | -1026 => CrmExit::Ok,
            -1017 => CrmExit::Quorum,
            -1013 => CrmExit::Old,
            -1007 | -1016 | -1015 | -1014 | -1032 => CrmExit::Config,
            -1003 => CrmExit::InvalidParam,
            13 => CrmExit::InsufficientPriv,
            9 | 14 | 22 | 38 | 75 => CrmExit::Software,
            42 | 71 | 74 | 90 | 91 | 92 | 93 => CrmExit::Protocol,
            12 | 70 => CrmExit::Oserr,
            103 | 104 | 107 | 111 => CrmExit::Disconnect,
            17 | -1004 => CrmExit::Exists,
            5 | -1029 | -1030 => CrmExit::Ioerr,
            95 => CrmExit::UnimplementFeature,
            76 | -1006 | -1033 => CrmExit::Multiple,
            2 | 6 | 19 | -1002 => CrmExit::Nosuch,
            -1005 | -1038 => CrmExit::Nohost,
            62 | 110 => CrmExit::Timeout,
            11 | 16 | -1021 => CrmExit::Unsatisfied,
            -1023 => CrmExit::NotYetInEffect,
            -1025 => CrmExit::Expired,
            -1022 => CrmExit::Indeterminate,
            -1027 => CrmExit::Noinput,
            -1035 | -1036 => CrmExit::Dataerr,
            -1040 => CrmExit::NoDc,
            -1043 => CrmExit::Digest,
            _ => CrmExit::Error,
        }
    }
}

impl From<ClientError> for Rc {
    fn from(error: ClientError) -> Rc {
        match &error {
            // A daemon that is not there has no socket: to its clients that is a refused
            // connection.
            ClientError::Io(io) if io.kind() == std::io::ErrorKind::NotFound => Rc::ECONNREFUSED,
            _ => Rc::from_legacy(error.rc().wire()),
        }
    }
}

impl std::fmt::Display for Rc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_have_texts_and_exits() {
        for (rc, text, exit) in [
            (Rc(6), "No such device or address", CrmExit::Nosuch),
            (Rc(-1013), "Update was older than existing configuration", CrmExit::Old),
            (
                Rc::from_legacy(-203),
                "Update does not conform to the configured schema",
                CrmExit::Config,
            ),
            (Rc(-9999), "Error", CrmExit::Error),
            (Rc(0), "OK", CrmExit::Ok),
        ] {
            assert_eq!((rc.text().as_str(), rc.exit()), (text, exit));
        }
    }

    #[test]
    fn tables_ascend_and_are_unique() {
        for table in [PCMK, ERRNO, LEGACY] {
            assert!(table.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }
}
