//! Asking the controllers: who is DC, which nodes are there, what state are you in.
//!
//! Source: `spec/pacemaker-ipc.md` §7.

use std::time::{Duration, Instant};

use xml::Element;

use crate::ipc::{Connection, Envelope, payload};
use crate::rc::Rc;

/// A session with the local controller.
pub struct Controller {
    connection: Connection,
    tool: &'static str,
}

/// What a controller says of a node.
#[derive(Clone, Debug, Default)]
pub struct NodeInfo {
    /// Whether its partition has quorum.
    pub quorum: bool,
    /// The node's id.
    pub id: Option<String>,
    /// The node's name.
    pub name: Option<String>,
    /// `member` or `lost`.
    pub state: Option<String>,
}

impl Controller {
    /// Connects and says hello.
    pub fn open(tool: &'static str) -> Result<Controller, Rc> {
        let mut connection = Connection::open_patiently("crmd", Duration::from_secs(5))?;
        let pid = std::process::id().to_string();
        let options = Element::new("options")
            .with("major_version", "1")
            .with("minor_version", "0")
            .with("client_name", tool)
            .with("client_uuid", pid);
        let from =
            Envelope { task: "hello", to: "", host: None, tool, data: Some(options), attrs: &[] };
        let (mut hello, _) = from.build();
        hello.unset("crm_sys_to");
        connection.send(&hello)?;
        Ok(Controller { connection, tool })
    }

    /// Sends a request; the answer comes as an event with the same reference.
    pub fn send(
        &mut self,
        task: &str,
        to: &str,
        host: Option<&str>,
        data: Option<Element>,
        attrs: &[(&str, &str)],
    ) -> Result<String, Rc> {
        let (message, reference) =
            Envelope { task, to, host, tool: self.tool, data, attrs }.build();
        self.connection.send(&message)?;
        Ok(reference)
    }

    /// The next message from a controller; `None` when the time is up.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Element>, Rc> {
        self.connection.event(timeout)
    }

    /// Sends a request and waits for its answer.
    ///
    /// # Errors
    /// `ETIMEDOUT` when none comes in time.
    pub fn ask(
        &mut self,
        task: &str,
        to: &str,
        host: Option<&str>,
        attrs: &[(&str, &str)],
        timeout: Duration,
    ) -> Result<Element, Rc> {
        let reference = self.send(task, to, host, None, attrs)?;
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(answer) = self.next(left)? else { return Err(Rc::ETIMEDOUT) };
            if answer.get("reference") == Some(reference.as_str()) {
                return Ok(answer);
            }
        }
    }

    /// Asks about a node by `id` or `uname` (attributes of the request); the local one by neither.
    pub fn node_info(&mut self, of: &[(&str, &str)]) -> Result<NodeInfo, Rc> {
        let answer = self.ask("node-info", "crmd", None, of, Duration::from_secs(30))?;
        let Some(node) = payload(&answer) else { return Err(Rc(71)) };
        let text = |name: &str| node.get(name).map(str::to_owned);
        Ok(NodeInfo {
            quorum: node.get("have-quorum") == Some("true") || node.get("have-quorum") == Some("1"),
            id: text("id"),
            name: text("uname"),
            state: text("crmd"),
        })
    }

    /// All nodes that the local controller knows: id, name, `member` or `lost`.
    pub fn nodes(&mut self) -> Result<Vec<(String, String, String)>, Rc> {
        let answer = self.ask("list-nodes", "crmd", None, &[], Duration::from_secs(30))?;
        let Some(nodes) = payload(&answer) else { return Err(Rc(71)) };
        let text = |node: &Element, name: &str| node.get(name).unwrap_or("").to_owned();
        Ok(nodes
            .children()
            .map(|node| (text(node, "id"), text(node, "uname"), text(node, "in_ccm")))
            .collect())
    }
}
