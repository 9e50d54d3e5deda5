//! TLS by the host's GnuTLS: a session over a non-blocking TCP connection.
//!
//! Only what the protocols need: anonymous Diffie-Hellman (what upstream's daemons of release 2
//! speak on `remote-tls-port`: TLS 1.2, `DH_ANON_AES_256_GCM_SHA384`, found by experiment) and
//! certificates (release 3). The library is loaded at the first use; a host without it gets
//! [`available`]'s message. Anonymous TLS hides what is said from who listens, but not from who
//! sits in between: certificates do.
//!
//! Source: `gnutls/gnutls.h` of GnuTLS 3.7 (types, constants), its manual.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;

use super::library::{Library, LoadError};

const SERVER: c_uint = 1;
const CLIENT: c_uint = 1 << 1;
const NONBLOCK: c_uint = 1 << 3;
const NO_SIGNAL: c_uint = 1 << 6;
const CRD_CERTIFICATE: c_int = 1;
const CRD_ANON: c_int = 2;
const SEC_PARAM_MEDIUM: c_int = 35;
const SEC_PARAM_HIGH: c_int = 40;
const X509_PEM: c_int = 1;
const CERT_REQUIRE: c_int = 2;
const SHUT_WR: c_int = 1;
const E_SUCCESS: c_int = 0;
const E_AGAIN: c_int = -28;
const E_WARNING_ALERT: c_int = -16;
const E_INTERRUPTED: c_int = -52;
const E_PREMATURE_TERMINATION: c_int = -110;

/// Records of nothing but warnings that are skipped in one go.
const WARNINGS_MAX: usize = 16;

/// The functions used, with the types of gnutls.h; handles are pointers to what nobody looks at.
struct Functions {
    init: unsafe extern "C" fn(*mut *mut c_void, c_uint) -> c_int,
    deinit: unsafe extern "C" fn(*mut c_void),
    priority: unsafe extern "C" fn(*mut c_void, *const c_char, *mut *const c_char) -> c_int,
    credentials_set: unsafe extern "C" fn(*mut c_void, c_int, *mut c_void) -> c_int,
    transport: unsafe extern "C" fn(*mut c_void, c_int, c_int),
    handshake: unsafe extern "C" fn(*mut c_void) -> c_int,
    direction: unsafe extern "C" fn(*mut c_void) -> c_int,
    send: unsafe extern "C" fn(*mut c_void, *const c_void, usize) -> isize,
    recv: unsafe extern "C" fn(*mut c_void, *mut c_void, usize) -> isize,
    bye: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    strerror: unsafe extern "C" fn(c_int) -> *const c_char,
    is_fatal: unsafe extern "C" fn(c_int) -> c_int,
    anon_client_new: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    anon_client_free: unsafe extern "C" fn(*mut c_void),
    anon_server_new: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    anon_server_free: unsafe extern "C" fn(*mut c_void),
    anon_server_dh: unsafe extern "C" fn(*mut c_void, c_int) -> c_int,
    cert_new: unsafe extern "C" fn(*mut *mut c_void) -> c_int,
    cert_free: unsafe extern "C" fn(*mut c_void),
    cert_trust: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> c_int,
    cert_crl: unsafe extern "C" fn(*mut c_void, *const c_char, c_int) -> c_int,
    cert_key: unsafe extern "C" fn(*mut c_void, *const c_char, *const c_char, c_int) -> c_int,
    request_cert: unsafe extern "C" fn(*mut c_void, c_int),
    verify_cert: unsafe extern "C" fn(*mut c_void, *const c_char, c_uint),
}

fn functions() -> Result<&'static Functions, LoadError> {
    static FUNCTIONS: OnceLock<Result<Functions, LoadError>> = OnceLock::new();
    FUNCTIONS.get_or_init(load).as_ref().map_err(Clone::clone)
}

fn load() -> Result<Functions, LoadError> {
    // SAFETY: this soname is GnuTLS's since 3.4; its interface has been the same since. Loading
    // initialises it.
    let library = unsafe { Library::load(c"libgnutls.so.30") }
        .map_err(|error| LoadError(format!("TLS needs GnuTLS (package libgnutls30): {error}")))?;
    // SAFETY: the field's types are the prototypes of gnutls.h (handles as untyped pointers, enums
    // as int, ssize_t as isize), under the names given here.
    unsafe {
        Ok(Functions {
            init: library.function(c"gnutls_init")?,
            deinit: library.function(c"gnutls_deinit")?,
            priority: library.function(c"gnutls_priority_set_direct")?,
            credentials_set: library.function(c"gnutls_credentials_set")?,
            transport: library.function(c"gnutls_transport_set_int2")?,
            handshake: library.function(c"gnutls_handshake")?,
            direction: library.function(c"gnutls_record_get_direction")?,
            send: library.function(c"gnutls_record_send")?,
            recv: library.function(c"gnutls_record_recv")?,
            bye: library.function(c"gnutls_bye")?,
            strerror: library.function(c"gnutls_strerror")?,
            is_fatal: library.function(c"gnutls_error_is_fatal")?,
            anon_client_new: library.function(c"gnutls_anon_allocate_client_credentials")?,
            anon_client_free: library.function(c"gnutls_anon_free_client_credentials")?,
            anon_server_new: library.function(c"gnutls_anon_allocate_server_credentials")?,
            anon_server_free: library.function(c"gnutls_anon_free_server_credentials")?,
            anon_server_dh: library.function(c"gnutls_anon_set_server_known_dh_params")?,
            cert_new: library.function(c"gnutls_certificate_allocate_credentials")?,
            cert_free: library.function(c"gnutls_certificate_free_credentials")?,
            cert_trust: library.function(c"gnutls_certificate_set_x509_trust_file")?,
            cert_crl: library.function(c"gnutls_certificate_set_x509_crl_file")?,
            cert_key: library.function(c"gnutls_certificate_set_x509_key_file")?,
            request_cert: library.function(c"gnutls_certificate_server_set_request")?,
            verify_cert: library.function(c"gnutls_session_set_verify_cert")?,
        })
    }
}

/// Whether TLS can be had on this host.
///
/// # Errors
/// GnuTLS is not installed; the text says how to mend that.
pub fn available() -> Result<(), LoadError> {
    functions().map(|_| ())
}

/// A failed call of the library.
fn failure(f: &Functions, code: c_int) -> io::Error {
    // SAFETY: gnutls_strerror returns a static NUL-terminated text for every number.
    let text = unsafe {
        let text = (f.strerror)(code);
        if text.is_null() { None } else { Some(CStr::from_ptr(text).to_string_lossy()) }
    };
    io::Error::other(format!("TLS: {}", text.as_deref().unwrap_or("unknown error")))
}

fn check(f: &Functions, code: c_int) -> io::Result<()> {
    if code < E_SUCCESS { Err(failure(f, code)) } else { Ok(()) }
}

/// The files of release 3's certificates (`PCMK_ca_file`, …, `CIB_ca_file`, …).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// Whom to believe.
    pub ca: String,
    /// Our own certificate.
    pub cert: String,
    /// Its key.
    pub key: String,
    /// What was revoked.
    pub crl: Option<String>,
}

impl Files {
    /// The files that variables with this prefix (`PCMK`, `CIB`) name; `None` unless the three
    /// that are needed are given.
    pub fn from_environment(prefix: &str, get: impl Fn(&str) -> Option<String>) -> Option<Files> {
        let file =
            |name: &str| get(&format!("{prefix}_{name}_file")).filter(|path| !path.is_empty());
        Some(Files { ca: file("ca")?, cert: file("cert")?, key: file("key")?, crl: file("crl") })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    AnonClient,
    AnonServer,
    Certificate,
}

/// What sessions are set up with. Shared by them, because the library only points to it.
pub struct Credentials {
    f: &'static Functions,
    handle: *mut c_void,
    kind: Kind,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Credentials")
    }
}

impl Credentials {
    fn new(kind: Kind) -> io::Result<Credentials> {
        let f = functions().map_err(|error| io::Error::new(io::ErrorKind::Unsupported, error))?;
        let allocate = match kind {
            Kind::AnonClient => f.anon_client_new,
            Kind::AnonServer => f.anon_server_new,
            Kind::Certificate => f.cert_new,
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the function stores a new handle at the address of a live local.
        check(f, unsafe { allocate(&mut handle) })?;
        if handle.is_null() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        Ok(Credentials { f, handle, kind })
    }

    /// A client without a name, for a server without one.
    ///
    /// # Errors
    /// The library is missing or out of memory.
    pub fn anonymous_client() -> io::Result<Rc<Credentials>> {
        Credentials::new(Kind::AnonClient).map(Rc::new)
    }

    /// A server without a name. Its Diffie-Hellman group has 2048 bits, or 3072 if at least
    /// `min_bits` are more (`PCMK_dh_min_bits`).
    ///
    /// # Errors
    /// The library is missing or out of memory.
    pub fn anonymous_server(min_bits: u32) -> io::Result<Rc<Credentials>> {
        let new = Credentials::new(Kind::AnonServer)?;
        let level = if min_bits > 2048 { SEC_PARAM_HIGH } else { SEC_PARAM_MEDIUM };
        // SAFETY: the handle is of the kind that this function takes, and lives.
        check(new.f, unsafe { (new.f.anon_server_dh)(new.handle, level) })?;
        Ok(Rc::new(new))
    }

    /// A party with a certificate, which believes the others that its authority signed.
    ///
    /// # Errors
    /// The library is missing, or a file cannot be read or is none of its kind.
    pub fn certificate(files: &Files) -> io::Result<Rc<Credentials>> {
        let new = Credentials::new(Kind::Certificate)?;
        let text = |path: &str| CString::new(path).map_err(io::Error::other);
        let told = |path: &str, result: io::Result<()>| {
            result.map_err(|error| io::Error::other(format!("{path}: {error}")))
        };
        let (ca, cert, key) = (text(&files.ca)?, text(&files.cert)?, text(&files.key)?);
        // SAFETY: a live certificate handle; NUL-terminated paths that outlive the calls.
        let trusted = unsafe { (new.f.cert_trust)(new.handle, ca.as_ptr(), X509_PEM) };
        told(&files.ca, check(new.f, trusted))?;
        if trusted == 0 {
            return Err(io::Error::other(format!("{}: no certificate in it", files.ca)));
        }
        if let Some(path) = &files.crl {
            let crl = text(path)?;
            // SAFETY: as above.
            told(
                path,
                check(new.f, unsafe { (new.f.cert_crl)(new.handle, crl.as_ptr(), X509_PEM) }),
            )?;
        }
        // SAFETY: as above.
        let keyed = unsafe { (new.f.cert_key)(new.handle, cert.as_ptr(), key.as_ptr(), X509_PEM) };
        told(&files.cert, check(new.f, keyed))?;
        Ok(Rc::new(new))
    }

    /// What is offered: `PCMK_tls_priorities` or `NORMAL`, and what these credentials are for.
    fn priorities(&self) -> io::Result<CString> {
        let base = std::env::var("PCMK_tls_priorities").ok().filter(|text| !text.is_empty());
        let base = base.as_deref().unwrap_or("NORMAL");
        CString::new(match self.kind {
            Kind::Certificate => base.to_owned(),
            Kind::AnonClient | Kind::AnonServer => format!("{base}:+ANON-DH"),
        })
        .map_err(io::Error::other)
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let free = match self.kind {
            Kind::AnonClient => self.f.anon_client_free,
            Kind::AnonServer => self.f.anon_server_free,
            Kind::Certificate => self.f.cert_free,
        };
        // SAFETY: the handle is of this kind, is ours alone, and every session that points to it
        // held a share of this value, so none lives any more.
        unsafe { free(self.handle) };
    }
}

/// Which side of a connection we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// We were connected to.
    Server,
    /// We connected.
    Client,
}

/// A TLS session over a TCP connection, which it owns. Nothing here waits: what cannot go on
/// gives [`io::ErrorKind::WouldBlock`].
pub struct Session {
    f: &'static Functions,
    handle: *mut c_void,
    /// A record was handed over and not yet taken by the kernel wholly: its bytes of payload.
    unsent: bool,
    stream: TcpStream,
    /// Kept because the library points to it.
    _credentials: Rc<Credentials>,
}

impl fmt::Debug for Session {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Session").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Session {
    /// Prepares a session; [`handshake`](Self::handshake) comes next.
    ///
    /// # Errors
    /// The priorities are nonsense, or memory is short.
    pub fn new(
        side: Side,
        stream: TcpStream,
        credentials: &Rc<Credentials>,
    ) -> io::Result<Session> {
        stream.set_nonblocking(true)?;
        let f = credentials.f;
        let flags = match side {
            Side::Server => SERVER,
            Side::Client => CLIENT,
        };
        let mut handle = ptr::null_mut();
        // SAFETY: the function stores a new handle at the address of a live local.
        check(f, unsafe { (f.init)(&mut handle, flags | NONBLOCK | NO_SIGNAL) })?;
        if handle.is_null() {
            return Err(io::Error::from(io::ErrorKind::OutOfMemory));
        }
        let session =
            Session { f, handle, unsent: false, stream, _credentials: Rc::clone(credentials) };
        let priorities = credentials.priorities()?;
        let kind = match credentials.kind {
            Kind::Certificate => CRD_CERTIFICATE,
            Kind::AnonClient | Kind::AnonServer => CRD_ANON,
        };
        let fd = session.stream.as_raw_fd();
        // SAFETY: the session's handle lives; the text is NUL-terminated and only read during the
        // call; a null error position is allowed; the credentials fit their type and live as long
        // as the session, which holds a share; so does the descriptor, which the session owns.
        unsafe {
            check(f, (f.priority)(handle, priorities.as_ptr(), ptr::null_mut()))?;
            check(f, (f.credentials_set)(handle, kind, credentials.handle))?;
            (f.transport)(handle, fd, fd);
            if credentials.kind == Kind::Certificate {
                if side == Side::Server {
                    (f.request_cert)(handle, CERT_REQUIRE);
                }
                // The other one must be signed by our authority. No host name is compared: a
                // cluster's certificates are its own, and nodes are reached by many names.
                (f.verify_cert)(handle, ptr::null(), 0);
            }
        }
        Ok(session)
    }

    /// The connection below.
    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Goes on with the handshake.
    ///
    /// # Errors
    /// `WouldBlock` until it is done (for which direction: [`wants_write`](Self::wants_write));
    /// anything else ends the connection.
    pub fn handshake(&mut self) -> io::Result<()> {
        for _ in 0..WARNINGS_MAX {
            // SAFETY: the handle lives, its descriptor is open.
            match unsafe { (self.f.handshake)(self.handle) } {
                E_SUCCESS => return Ok(()),
                E_AGAIN => return Err(io::ErrorKind::WouldBlock.into()),
                E_INTERRUPTED => {}
                // SAFETY: looks the number up in a table.
                code if unsafe { (self.f.is_fatal)(code) } == 0 => {}
                code => return Err(failure(self.f, code)),
            }
        }
        Err(io::Error::other("TLS: the peer sends nothing but warnings"))
    }

    /// After `WouldBlock`: whether it waits for room to write rather than for something to read.
    pub fn wants_write(&self) -> bool {
        // SAFETY: the handle lives.
        unsafe { (self.f.direction)(self.handle) == 1 }
    }

    /// Reads what came; 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` if there is nothing now; the connection broke.
    pub fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for _ in 0..WARNINGS_MAX {
            // SAFETY: the handle lives; the library writes at most `len` bytes into the buffer.
            let got =
                unsafe { (self.f.recv)(self.handle, buffer.as_mut_ptr().cast(), buffer.len()) };
            if let Ok(len) = usize::try_from(got) {
                return Ok(len.min(buffer.len()));
            }
            match c_int::try_from(got).unwrap_or(c_int::MIN) {
                E_AGAIN => return Err(io::ErrorKind::WouldBlock.into()),
                E_INTERRUPTED | E_WARNING_ALERT => {}
                // Many end a connection without saying goodbye; messages have their own lengths.
                E_PREMATURE_TERMINATION => return Ok(0),
                code => return Err(failure(self.f, code)),
            }
        }
        Err(io::Error::other("TLS: the peer sends nothing but warnings"))
    }

    /// Writes some of the bytes and says how many. After `WouldBlock` the next call must offer
    /// the same bytes (more may follow them).
    ///
    /// # Errors
    /// `WouldBlock` if there is no room now; the connection broke.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            // A record that was handed over is finished by a call with nothing.
            let (from, len) =
                if self.unsent { (ptr::null(), 0) } else { (bytes.as_ptr().cast(), bytes.len()) };
            // SAFETY: the handle lives; the library reads `len` bytes of the live slice, or
            // finishes the record it copied before, for which it wants a null pointer.
            let sent = unsafe { (self.f.send)(self.handle, from, len) };
            if let Ok(len) = usize::try_from(sent) {
                self.unsent = false;
                return Ok(len.min(bytes.len()));
            }
            match c_int::try_from(sent).unwrap_or(c_int::MIN) {
                E_AGAIN => {
                    self.unsent = true;
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                E_INTERRUPTED => self.unsent = true,
                code => return Err(failure(self.f, code)),
            }
        }
    }

    /// Says goodbye, if there is room for that.
    pub fn bye(&mut self) {
        if !self.unsent {
            // SAFETY: the handle lives, its descriptor is open and does not block. That the peer
            // does not hear it is no loss.
            unsafe { (self.f.bye)(self.handle, SHUT_WR) };
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the handle is ours alone; its credentials and descriptor are dropped after it.
        unsafe { (self.f.deinit)(self.handle) };
    }
}

#[cfg(test)]
mod tests;
