//! Where a tool's CIB comes from: the cluster (this host's, or with `CIB_port` another one's),
//! `CIB_file`, or a shadow copy.
//!
//! One call shape for all of them (that of the CIB manager's IPC), so that tools do not care.
//! Source: `spec/cli-pacemaker.md` §4, `spec/pacemaker-ipc.md` §4.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use pacemaker_client::cib::remote::Target;
use pacemaker_client::cib::{Live, Op, Request};
use xml::Element;

use crate::file_cib::FileCib;
use crate::rc::Rc;

pub use cib::FEATURE_SET;
pub use cib::options::call;

/// How long a daemon that only starts is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// How long the CIB manager may take to answer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// What a tool wants of a CIB.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The tool, which the CIB records as the client of a change.
    pub tool: &'static str,
    /// The user to act as.
    pub user: Option<String>,
    /// Whether it will change anything.
    pub writes: bool,
}

/// One operation.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call<'a> {
    /// `cib_query`, `cib_modify`, ….
    pub op: &'a str,
    /// A section, or an XPath when the option says so.
    pub section: Option<&'a str>,
    /// What belongs to the operation.
    pub data: Option<&'a Element>,
    /// See [`call`].
    pub options: u32,
    /// The node that shall do it.
    pub host: Option<&'a str>,
}

/// How an operation ended.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The result.
    pub rc: Rc,
    /// What was asked for, or what explains a failure.
    pub output: Option<Element>,
}

enum Inner {
    Live(Box<Live>),
    Remote(Box<Live>),
    File(FileCib),
}

/// An open CIB.
pub struct Source {
    inner: Inner,
    user: Option<String>,
    timeout: Duration,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Where shadow copies live: `CIB_shadow_dir`, else root's and hacluster's place, else the user's.
pub fn shadow_dir() -> PathBuf {
    if let Some(dir) = variable("CIB_shadow_dir") {
        return dir.into();
    }
    let uid = rustix::process::geteuid().as_raw();
    if uid == 0 || user_name(uid).as_deref() == Some("hacluster") {
        return "/var/lib/pacemaker/cib".into();
    }
    match variable("HOME") {
        Some(home) => PathBuf::from(home).join(".cib"),
        None => variable("TMPDIR").map_or_else(|| "/tmp".into(), PathBuf::from),
    }
}

/// The file of the shadow copy of this name.
pub fn shadow_file(name: &str) -> PathBuf {
    shadow_dir().join(format!("shadow.{name}"))
}

/// The file of the shadow copy that commands work on, if they do.
pub fn active_shadow() -> Option<PathBuf> {
    variable("CIB_shadow").map(|name| shadow_file(&name))
}

/// The other host's cluster that commands work on, if they do: `CIB_port` and its companions.
pub fn remote_target() -> Option<Target> {
    Target::from_environment(|name| std::env::var(name).ok())
}

/// The login name of a user.
pub fn user_name(uid: u32) -> Option<String> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    })
}

impl Source {
    /// Opens what the environment says: a shadow copy, a file, or the cluster.
    ///
    /// # Errors
    /// `ENXIO` when the file is not there, `ENOTCONN` when the cluster is not.
    pub fn open(wish: &Wish) -> Result<Source, Rc> {
        let user = wish.user.clone().or_else(|| variable("CIB_user"));
        if let Some(name) = variable("CIB_shadow") {
            return Source::open_file(&shadow_file(&name).to_string_lossy(), user);
        }
        if let Some(path) = variable("CIB_file") {
            return Source::open_file(&path, user);
        }
        match remote_target() {
            Some(target) => Source::open_remote(wish, target, user),
            None => Source::open_live(wish, user),
        }
    }

    /// Opens as [`open`](Self::open), but never a shadow copy.
    pub fn open_real(wish: &Wish) -> Result<Source, Rc> {
        let user = wish.user.clone().or_else(|| variable("CIB_user"));
        match (variable("CIB_file"), remote_target()) {
            (Some(path), _) => Source::open_file(&path, user),
            (None, Some(target)) => Source::open_remote(wish, target, user),
            (None, None) => Source::open_live(wish, user),
        }
    }

    /// Opens a file.
    pub fn open_file(path: &str, user: Option<String>) -> Result<Source, Rc> {
        Ok(Source { inner: Inner::File(FileCib::open(path)?), user, timeout: TIMEOUT })
    }

    /// Opens the cluster's CIB, whatever the environment says.
    pub fn open_live(wish: &Wish, user: Option<String>) -> Result<Source, Rc> {
        let service = if wish.writes { "cib_rw" } else { "cib_ro" };
        let live =
            Live::connect_patiently(service, wish.tool, PATIENCE).map_err(|_| Rc::ENOTCONN)?;
        Ok(Source { inner: Inner::Live(Box::new(live)), user, timeout: TIMEOUT })
    }

    /// Opens the CIB of another host's cluster. Asks for the password if nobody gave it.
    ///
    /// # Errors
    /// `ENOTCONN` when nobody answers, `EPERM` when TLS fails, `EPROTO` when the login is refused.
    pub fn open_remote(
        wish: &Wish,
        mut target: Target,
        user: Option<String>,
    ) -> Result<Source, Rc> {
        if target.password.is_none() {
            target.password = crate::password::ask();
        }
        match Live::connect_to(&target, wish.tool) {
            Ok(live) => Ok(Source { inner: Inner::Remote(Box::new(live)), user, timeout: TIMEOUT }),
            Err(error) => {
                let port = target.port.map_or_else(|| "?".to_owned(), |port| port.to_string());
                eprintln!(
                    "No access to the CIB at {}:{port} as user {}: {error}. Check CIB_server, \
                     CIB_port, CIB_user, CIB_passwd and CIB_encrypted, and the cluster's \
                     remote-tls-port and remote-clear-port",
                    target.host, target.user
                );
                Err(Rc::from_legacy(error.rc().wire()))
            }
        }
    }

    /// How long an operation may take from now on.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Whether this is a cluster's CIB, this host's or another one's.
    pub fn is_live(&self) -> bool {
        matches!(self.inner, Inner::Live(_) | Inner::Remote(_))
    }

    /// Whether this is the CIB of the cluster that this host is in.
    pub fn is_local(&self) -> bool {
        matches!(self.inner, Inner::Live(_))
    }

    /// Performs an operation.
    ///
    /// # Errors
    /// Only what kept the operation from being answered; its own result is in the [`Answer`].
    pub fn call(&mut self, call: &Call<'_>) -> Result<Answer, Rc> {
        match &mut self.inner {
            Inner::File(file) => file.call(call, self.user.as_deref()),
            Inner::Live(live) | Inner::Remote(live) => {
                let Some(op) = Op::parse(call.op) else { return Err(Rc::EOPNOTSUPP) };
                let request = Request {
                    section: call.section,
                    data: call.data.cloned(),
                    options: call.options,
                    user: self.user.as_deref(),
                    host: call.host,
                };
                Ok(match live.call(op, &request, self.timeout) {
                    Ok(output) => Answer { rc: Rc::OK, output },
                    Err(failure) => {
                        Answer { rc: Rc::from_legacy(failure.rc.wire()), output: failure.output }
                    }
                })
            }
        }
    }

    /// The whole document.
    pub fn document(&mut self) -> Result<Element, Rc> {
        let answer = self.call(&Call { op: "cib_query", ..Call::default() })?;
        match (answer.rc, answer.output) {
            (Rc::OK, Some(document)) => Ok(document),
            (Rc::OK, None) => Err(Rc::ENOENT),
            (rc, _) => Err(rc),
        }
    }

    /// Asks for notifications of changes; they come as events of [`connection`](Self::connection).
    pub fn subscribe(&mut self) -> Result<(), Rc> {
        let Some(live) = self.connection() else { return Err(Rc::EOPNOTSUPP) };
        live.subscribe().map_err(Rc::from)
    }

    /// The connection to the cluster.
    pub fn connection(&mut self) -> Option<&mut Live> {
        match &mut self.inner {
            Inner::Live(live) | Inner::Remote(live) => Some(live),
            Inner::File(_) => None,
        }
    }
}

/// A new document with nothing in it; `None` when there is no such schema.
pub fn empty_cib(schema: Option<&str>) -> Option<Element> {
    let mut document = cib::empty(1);
    order_counters(&mut document);
    document.set("crm_feature_set", cib::NEWEST_FEATURE_SET);
    let schema = match schema {
        None => cib::schema::name_of(cib::schema::NEWEST),
        Some("none") => "none".into(),
        Some(name) => {
            cib::schema::version_of(name)?;
            name.into()
        }
    };
    document.set("validate-with", schema);
    Some(document)
}

/// Puts a new document's counters into the order newer versions write.
pub fn order_counters(document: &mut Element) {
    for counter in ["admin_epoch", "epoch", "num_updates"] {
        let value = document.unset(counter).unwrap_or_else(|| "0".into());
        document.set(counter, value);
    }
}

/// Reads a text file; one whose name ends in `.bz2` is unpacked.
pub fn read_file(path: &str) -> std::io::Result<String> {
    let bytes = std::fs::read(path)?;
    let bytes = if path.ends_with(".bz2") {
        let mut plain = Vec::new();
        bzip2::read::MultiBzDecoder::new(bytes.as_slice()).read_to_end(&mut plain)?;
        plain
    } else {
        bytes
    };
    String::from_utf8(bytes)
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "not UTF-8"))
}

/// Reads all of stdin.
pub fn read_stdin() -> std::io::Result<String> {
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text)?;
    Ok(text)
}
