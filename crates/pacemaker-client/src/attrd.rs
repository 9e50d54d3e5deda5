//! Client of the attribute manager: set, delete and read transient node attributes.
//!
//! Source: `spec/pacemaker-ipc.md` §5.

use std::time::Duration;

use xml::Element;

use crate::client::{Client, ClientError, DEFAULT_TIMEOUT};
use crate::envelope;

/// How long an update that waits for other nodes may take.
const SYNC_TIMEOUT: Duration = Duration::from_secs(30);

/// Which attributes an update is for.
#[derive(Debug, Clone, Copy)]
pub enum Which<'a> {
    /// The one of that name.
    Name(&'a str),
    /// All whose names match a POSIX extended regular expression.
    Regex(&'a str),
}

/// What is to be done, besides to which attribute.
#[derive(Debug, Clone, Copy, Default)]
pub struct Update<'a> {
    /// The new value; `None` deletes. `value++` and `value+=N` count.
    pub value: Option<&'a str>,
    /// Delay before the CIB is written, as interval (`5s`).
    pub dampening: Option<&'a str>,
    /// Node; `None` is the local one.
    pub node: Option<&'a str>,
    /// Id of the set to write to.
    pub set: Option<&'a str>,
    /// Not written to the CIB at all.
    pub is_private: bool,
    /// The node is a Pacemaker Remote node.
    pub is_remote: bool,
    /// It is utilization.
    pub is_utilization: bool,
    /// Until when the answer is to wait: `local` or `cluster`.
    pub sync_point: Option<&'a str>,
    /// Whose permissions apply in the CIB.
    pub user: Option<&'a str>,
}

/// A connection to the local attribute manager.
#[derive(Debug)]
pub struct Attrd {
    client: Client,
    program: String,
}

impl Attrd {
    /// Connects.
    ///
    /// # Errors
    /// The attribute manager does not run.
    pub fn connect(program: &str) -> Result<Attrd, ClientError> {
        Ok(Attrd { client: Client::connect("attrd")?, program: program.to_owned() })
    }

    /// As [`connect`](Self::connect), with patience for a manager that only starts.
    ///
    /// # Errors
    /// The attribute manager does not run.
    pub fn connect_patiently(program: &str, patience: Duration) -> Result<Attrd, ClientError> {
        let client = Client::connect_patiently("attrd", 0, patience)?;
        Ok(Attrd { client, program: program.to_owned() })
    }

    fn op(&self) -> Element {
        Element::new("create_attrd_op").with("t", "attrd").with("src", self.program.as_str())
    }

    fn call(&mut self, request: &Element) -> Result<Element, ClientError> {
        self.client.call(request, DEFAULT_TIMEOUT)
    }

    fn updated(
        &mut self,
        task: &str,
        which: Which<'_>,
        update: &Update<'_>,
    ) -> Result<(), ClientError> {
        let mut op = self.op();
        match which {
            Which::Name(name) => op.set("attr_name", name),
            Which::Regex(pattern) => op.set("attr_regex", pattern),
        }
        op.set("task", task);
        let optional = [
            ("attr_value", update.value),
            ("attr_dampening", update.dampening),
            ("attr_host", update.node),
            ("attr_set", update.set),
            ("attr_user", update.user),
            ("attr_sync_point", update.sync_point),
        ];
        for (name, value) in optional {
            if let Some(value) = value {
                op.set(name, value);
            }
        }
        if update.is_utilization {
            op.set("attr_set_type", "utilization");
        }
        op.set("attr_is_remote", if update.is_remote { "1" } else { "0" });
        op.set("attr_is_private", if update.is_private { "1" } else { "0" });
        // Waiting for other nodes takes its time.
        let timeout = if update.sync_point.is_some() { SYNC_TIMEOUT } else { DEFAULT_TIMEOUT };
        let answer = self.client.call(&op, timeout)?;
        match envelope::ack_status(&answer) {
            Some(0 | 112) | None => Ok(()),
            Some(status) => Err(ClientError::Protocol(format!("refused: {status}"))),
        }
    }

    /// Sets or deletes an attribute. The answer only says that the request was taken.
    ///
    /// # Errors
    /// The attribute manager went or does not answer.
    pub fn update(&mut self, which: Which<'_>, update: &Update<'_>) -> Result<(), ClientError> {
        self.updated("update", which, update)
    }

    /// Sets value and dampening together.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_both(
        &mut self,
        which: Which<'_>,
        update: &Update<'_>,
    ) -> Result<(), ClientError> {
        self.updated("update-both", which, update)
    }

    /// Changes only the dampening of a known attribute.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn update_delay(
        &mut self,
        which: Which<'_>,
        update: &Update<'_>,
    ) -> Result<(), ClientError> {
        self.updated("update-delay", which, update)
    }

    /// `(node, value)` of an attribute: of one node (`localhost` is the local one) or of all.
    /// `None` if there is no such attribute.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn query(
        &mut self,
        name: &str,
        node: Option<&str>,
    ) -> Result<Option<Vec<(String, Option<String>)>>, ClientError> {
        let mut op = self.op().with("attr_name", name).with("task", "query");
        if let Some(node) = node {
            op.set("attr_host", node);
        }
        let reply = self.call(&op)?;
        if reply.get("attr_name").is_none() {
            return Ok(None);
        }
        let values = reply.children_named("node").map(|node| {
            let value = node.get("attr_value").map(str::to_owned);
            (node.get("attr_host").unwrap_or("").to_owned(), value)
        });
        Ok(Some(values.collect()))
    }

    /// Forgets failures: of a resource or all, of an operation or all, on a node or all.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn clear_failures(
        &mut self,
        node: Option<&str>,
        resource: Option<&str>,
        operation: Option<(&str, Option<&str>)>,
        user: Option<&str>,
        is_remote: bool,
    ) -> Result<(), ClientError> {
        let mut op = self.op().with("task", "clear-failure");
        if let Some(user) = user {
            op.set("attr_user", user);
        }
        if let Some(node) = node {
            op.set("attr_host", node);
        }
        if let Some(resource) = resource {
            op.set("attr_resource", resource);
        }
        if let Some((name, interval)) = operation {
            op.set("attr_clear_operation", name);
            if let Some(interval) = interval {
                op.set("attr_clear_interval", interval);
            }
        }
        op.set("attr_is_remote", if is_remote { "1" } else { "0" });
        self.call(&op).map(|_| ())
    }

    /// Writes all attributes to the CIB now.
    ///
    /// # Errors
    /// As [`update`](Self::update).
    pub fn refresh(&mut self) -> Result<(), ClientError> {
        let op = self.op().with("task", "refresh");
        self.call(&op).map(|_| ())
    }

    /// Forgets all attributes of a node, everywhere.
    ///
    /// # Errors
    /// The attribute manager went.
    pub fn remove_node(&mut self, name: Option<&str>, id: Option<u32>) -> Result<(), ClientError> {
        let mut op = self.op().with("task", "peer-remove");
        if let Some(id) = id {
            op.set("attr_host_id", id.to_string());
        }
        if let Some(name) = name {
            op.set("attr_host", name);
        }
        // Upstream's clients do not wait for an answer here, so servers may send none.
        self.client.send(&op, 0).map(|_| ())
    }

    /// Waits until all requests sent so far were taken, by asking something small.
    ///
    /// # Errors
    /// No answer in time.
    pub fn settle(&mut self, timeout: Duration) -> Result<(), ClientError> {
        let op = self.op().with("attr_name", "#attrd-protocol").with("task", "query");
        self.client.call(&op, timeout).map(|_| ())
    }
}
