//! Where a tool's CIB comes from: the cluster, `CIB_file`, or a shadow copy.
//!
//! One call shape for all of them (that of the CIB manager's IPC), so that tools do not care.
//! Source: `spec/cli-pacemaker.md` §4, `spec/pacemaker-ipc.md` §4.

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use xml::Element;

use crate::file_cib::FileCib;
use crate::ipc::Connection;
use crate::rc::Rc;

pub use cib::FEATURE_SET;
pub use cib::options::call;

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
    Live { connection: Box<Connection>, client_id: String, next_call: u32 },
    File(FileCib),
}

/// An open CIB.
pub struct Source {
    inner: Inner,
    user: Option<String>,
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
        Source::open_live(wish, user)
    }

    /// Opens as [`open`](Self::open), but never a shadow copy.
    pub fn open_real(wish: &Wish) -> Result<Source, Rc> {
        let user = wish.user.clone().or_else(|| variable("CIB_user"));
        match variable("CIB_file") {
            Some(path) => Source::open_file(&path, user),
            None => Source::open_live(wish, user),
        }
    }

    /// Opens a file.
    pub fn open_file(path: &str, user: Option<String>) -> Result<Source, Rc> {
        Ok(Source { inner: Inner::File(FileCib::open(path)?), user })
    }

    /// Opens the cluster's CIB, whatever the environment says.
    pub fn open_live(wish: &Wish, user: Option<String>) -> Result<Source, Rc> {
        let service = if wish.writes { "cib_rw" } else { "cib_ro" };
        let mut connection = Connection::open_patiently(service, Duration::from_secs(5))
            .map_err(|_| Rc::ENOTCONN)?;
        let register = Element::new("cib_command")
            .with("t", "cib")
            .with("cib_op", "register")
            .with("cib_clientname", wish.tool)
            .with("cib_callopt", call::SYNC.to_string());
        let reply = connection.request(&register, TIMEOUT)?;
        let Some(client_id) = reply.get("cib_clientid") else { return Err(Rc(71)) };
        let client_id = client_id.to_owned();
        Ok(Source {
            inner: Inner::Live { connection: Box::new(connection), client_id, next_call: 2 },
            user,
        })
    }

    /// Whether this is the cluster's CIB.
    pub fn is_live(&self) -> bool {
        matches!(self.inner, Inner::Live { .. })
    }

    /// Performs an operation.
    ///
    /// # Errors
    /// Only what kept the operation from being answered; its own result is in the [`Answer`].
    pub fn call(&mut self, call: &Call<'_>) -> Result<Answer, Rc> {
        match &mut self.inner {
            Inner::File(file) => file.call(call, self.user.as_deref()),
            Inner::Live { connection, client_id, next_call } => {
                let mut message = Element::new("cib_command")
                    .with("__name__", "cib_command")
                    .with("t", "cib")
                    .with("cib_async_id", client_id.as_str())
                    .with("cib_op", call.op);
                if let Some(host) = call.host {
                    message.set("cib_host", host);
                }
                if let Some(section) = call.section {
                    message.set("cib_section", section);
                }
                message.set("cib_callid", next_call.to_string());
                *next_call = next_call.wrapping_add(1);
                if let Some(user) = &self.user {
                    message.set("cib_user", user.as_str());
                }
                message.set("cib_callopt", (call.options | call::SYNC).to_string());
                if let Some(data) = call.data {
                    message.push(Element::new("cib_calldata").with_child(data.clone()));
                }
                let reply = connection.request(&message, TIMEOUT)?;
                let code = reply.get("cib_rc").and_then(|rc| rc.parse().ok()).unwrap_or(-71);
                let output = reply
                    .child("cib_calldata")
                    .and_then(|wrapper| wrapper.children().next())
                    .cloned();
                // A resync is the manager's own affair: the change is in, or comes.
                let rc = if code == -207 { Rc::OK } else { Rc::from_legacy(code) };
                Ok(Answer { rc, output })
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
        let Inner::Live { connection, .. } = &mut self.inner else { return Err(Rc::EOPNOTSUPP) };
        let message = Element::new("cib-callback")
            .with("cib_op", "cib_notify")
            .with("cib_notify_type", "cib_diff_notify")
            .with("cib_notify_activate", "1");
        let ack = connection.request(&message, TIMEOUT)?;
        match crate::ipc::ack_status(&ack) {
            Some(0) | None => Ok(()),
            Some(_) => Err(Rc::EOPNOTSUPP),
        }
    }

    /// The connection to the cluster.
    pub fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.inner {
            Inner::Live { connection, .. } => Some(connection),
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
