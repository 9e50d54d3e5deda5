//! Client of the controller: who is DC, which nodes there are, failing and forgetting operations.
//!
//! Source: `spec/pacemaker-ipc.md` §7.

use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use xml::Element;

use crate::client::{Client, ClientError};
use crate::envelope;

/// A resource as requests name it.
#[derive(Debug, Clone, Default)]
pub struct ResourceName<'a> {
    /// Id in the executor (with instance number for clones).
    pub id: &'a str,
    /// Longer name of an instance, if it differs.
    pub long_id: Option<&'a str>,
    /// Agent class.
    pub class: &'a str,
    /// Agent provider, for the classes that have one.
    pub provider: Option<&'a str>,
    /// Agent type.
    pub agent: &'a str,
}

/// What a controller says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// Node that answered.
    pub node: String,
    /// `crmd` or `dc`.
    pub subsystem: String,
    /// State of its machine: `S_IDLE`, ….
    pub state: String,
    /// `ok`.
    pub result: String,
}

/// What the controller knows of a node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeInfo {
    /// Cluster id, if the node is known.
    pub id: Option<String>,
    /// Name.
    pub uname: Option<String>,
    /// `member` or `lost`.
    pub state: Option<String>,
    /// Whether it is a remote node.
    pub is_remote: bool,
    /// Whether the partition has quorum.
    pub has_quorum: bool,
}

/// A connection to the local controller.
#[derive(Debug)]
pub struct Controld {
    client: Client,
    sender: String,
}

impl Controld {
    /// Connects and says hello.
    ///
    /// # Errors
    /// The controller is not there.
    pub fn connect(program: &str) -> Result<Controld, ClientError> {
        Controld::hello(Client::connect("crmd")?, program)
    }

    /// As [`connect`](Self::connect), with patience for a controller that only starts.
    ///
    /// # Errors
    /// The controller is not there.
    pub fn connect_patiently(program: &str, patience: Duration) -> Result<Controld, ClientError> {
        Controld::hello(Client::connect_patiently("crmd", 0, patience)?, program)
    }

    fn hello(client: Client, program: &str) -> Result<Controld, ClientError> {
        let sender = envelope::sender(program);
        let mut controld = Controld { client, sender };
        let options = Element::new("options")
            .with("major_version", "1")
            .with("minor_version", "0")
            .with("client_name", program)
            .with("client_uuid", std::process::id().to_string());
        let hello = envelope::request("hello", None, &controld.sender, None, Some(options));
        controld.client.send(&hello, 0)?;
        Ok(controld)
    }

    /// Readable when a reply came or the controller went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Sends a request and returns its reference, which the reply carries.
    ///
    /// # Errors
    /// The controller went.
    pub fn send(
        &mut self,
        task: &str,
        sys_to: &str,
        host: Option<&str>,
        data: Option<Element>,
    ) -> Result<String, ClientError> {
        let request = envelope::request(task, Some(sys_to), &self.sender, host, data);
        self.client.send(&request, 0)?;
        Ok(request.get("reference").unwrap_or("").to_owned())
    }

    /// The next reply that is there.
    ///
    /// # Errors
    /// The controller went.
    pub fn try_reply(&mut self) -> Result<Option<Element>, ClientError> {
        self.client.try_event()
    }

    /// Waits for the next reply; `None` if there was none in time.
    ///
    /// # Errors
    /// The controller went.
    pub fn next_reply(&mut self, timeout: Duration) -> Result<Option<Element>, ClientError> {
        self.client.event(timeout)
    }

    /// Waits for the reply with that reference; others are dropped.
    ///
    /// # Errors
    /// The controller went, or no reply in time (`ETIMEDOUT`).
    pub fn reply(&mut self, reference: &str, timeout: Duration) -> Result<Element, ClientError> {
        let deadline = Instant::now() + timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.client.event(left)? {
                Some(reply) if reply.get("reference") == Some(reference) => return Ok(reply),
                Some(_) => {}
                None => return Err(ClientError::Rc(::cib::Rc::ETIMEDOUT)),
            }
        }
    }

    fn call(
        &mut self,
        task: &str,
        sys_to: &str,
        host: Option<&str>,
        data: Option<Element>,
        timeout: Duration,
    ) -> Result<Element, ClientError> {
        let reference = self.send(task, sys_to, host, data)?;
        self.reply(&reference, timeout)
    }

    /// Pings a node's controller, or with `None` the DC wherever it is.
    ///
    /// # Errors
    /// No answer in time: there is no such node, or no DC.
    pub fn ping(&mut self, node: Option<&str>, timeout: Duration) -> Result<Ping, ClientError> {
        let sys_to = if node.is_some() { "crmd" } else { "dc" };
        let reply = self.call("ping", sys_to, node, None, timeout)?;
        let data = envelope::data(&reply)
            .ok_or_else(|| ClientError::Protocol("ping reply without data".into()))?;
        let get = |name: &str| data.get(name).unwrap_or("").to_owned();
        Ok(Ping {
            node: reply.get("src").unwrap_or("").to_owned(),
            subsystem: get("crm_subsystem"),
            state: get("crmd_state"),
            result: get("result"),
        })
    }

    /// What the controller knows of a node, given by id or name; of its own with neither.
    ///
    /// # Errors
    /// No answer in time.
    pub fn node_info(
        &mut self,
        id: Option<u32>,
        name: Option<&str>,
        timeout: Duration,
    ) -> Result<NodeInfo, ClientError> {
        let mut request = envelope::request("node-info", Some("crmd"), &self.sender, None, None);
        if let Some(id) = id {
            request.set("id", id.to_string());
        }
        if let Some(name) = name {
            request.set("uname", name);
        }
        self.client.send(&request, 0)?;
        let reply = self.reply(request.get("reference").unwrap_or(""), timeout)?;
        let data = envelope::data(&reply)
            .ok_or_else(|| ClientError::Protocol("node-info reply without data".into()))?;
        let own = |name: &str| data.get(name).map(str::to_owned);
        let truth = |name: &str| matches!(data.get(name), Some("true" | "1"));
        Ok(NodeInfo {
            id: own("id").filter(|id| id != "0"),
            uname: own("uname"),
            state: own("crmd"),
            is_remote: truth("remote_node"),
            has_quorum: truth("have-quorum"),
        })
    }

    /// `(id, name, state)` of all nodes the controller knows.
    ///
    /// # Errors
    /// No answer in time.
    pub fn list_nodes(
        &mut self,
        timeout: Duration,
    ) -> Result<Vec<(String, String, String)>, ClientError> {
        let reply = self.call("list-nodes", "crmd", None, None, timeout)?;
        let nodes = envelope::data(&reply).into_iter().flat_map(Element::children);
        Ok(nodes
            .map(|node| {
                let get = |name: &str| node.get(name).unwrap_or("").to_owned();
                (get("id"), get("uname"), get("in_ccm"))
            })
            .collect())
    }

    /// Tells the executor part of a node to forget a resource's history (`lrm_delete`). With
    /// `offline` the history is only erased from the CIB. Returns the reference of the reply.
    ///
    /// # Errors
    /// The controller went.
    pub fn refresh(
        &mut self,
        target: &str,
        router: &str,
        offline: bool,
        resource: &ResourceName<'_>,
    ) -> Result<String, ClientError> {
        self.resource_task("lrm_delete", target, router, offline, resource)
    }

    /// Pretends that a resource failed on a node (`lrm_fail`).
    ///
    /// # Errors
    /// The controller went.
    pub fn fail(
        &mut self,
        target: &str,
        router: &str,
        resource: &ResourceName<'_>,
    ) -> Result<String, ClientError> {
        self.resource_task("lrm_fail", target, router, false, resource)
    }

    fn resource_task(
        &mut self,
        task: &str,
        target: &str,
        router: &str,
        offline: bool,
        resource: &ResourceName<'_>,
    ) -> Result<String, ClientError> {
        let key = format!("0:{}:0:xxxxxxxx-xrsc-opxx-xcrm-resourcexxxx", std::process::id());
        let mut data = Element::new("rsc_op").with("transition-key", key).with("on_node", target);
        if router != target {
            data.set("router_node", router);
        }
        if offline {
            data.set("mode", "cib");
        }
        let mut primitive = Element::new("primitive").with("id", resource.id);
        if let Some(long_id) = resource.long_id {
            primitive.set("long-id", long_id);
        }
        primitive.set("class", resource.class);
        if let Some(provider) = resource.provider {
            primitive.set("provider", provider);
        }
        primitive.set("type", resource.agent);
        data.push(primitive);
        data.push(
            Element::new("attributes")
                .with("crm_feature_set", ::cib::FEATURE_SET)
                .with("CRM_meta_timeout", "60000"),
        );
        self.send(task, "lrmd", Some(router), Some(data))
    }

    /// Has all resources of a node (of all nodes with `None`) probed again.
    ///
    /// # Errors
    /// The controller went.
    pub fn reprobe(
        &mut self,
        target: Option<&str>,
        router: Option<&str>,
    ) -> Result<String, ClientError> {
        let mut data = Element::new("data_for_probe_again");
        if let Some(target) = target {
            data.set("on_node", target);
            if let Some(router) = router.filter(|router| *router != target) {
                data.set("router_node", router);
            }
        }
        self.send("probe_again", "crmd", router.or(target), Some(data))
    }

    /// Has all controllers forget a node. There is no reply.
    ///
    /// # Errors
    /// The controller went.
    pub fn forget_node(&mut self, id: Option<u32>, name: Option<&str>) -> Result<(), ClientError> {
        let mut request =
            envelope::request("rm_node_cache", Some("crmd"), &self.sender, None, None);
        if let Some(id) = id {
            request.set("id", id.to_string());
        }
        if let Some(name) = name {
            request.set("uname", name);
        }
        self.client.send(&request, 0)?;
        Ok(())
    }
}
