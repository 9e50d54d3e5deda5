//! Client of the fencer: devices, levels, fencing, history, notifications.
//!
//! Source: `spec/pacemaker-ipc.md` §9.

use std::collections::BTreeMap;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use ::cib::Rc;
use xml::Element;

use crate::client::{Client, ClientError};
use crate::execd::attributes;

/// Bits of `st_callopt`.
pub mod options {
    /// The target may be the node that does the fencing.
    pub const ALLOW_SELF: u32 = 0x2;
    /// An administrator confirms that the node is off.
    pub const MANUAL_ACK: u32 = 0x8;
    /// The target is a node id.
    pub const TARGET_IS_ID: u32 = 0x200;
    /// The answer is the response of the request.
    pub const SYNC: u32 = 0x1000;
    /// Delete history instead of reading it.
    pub const CLEANUP: u32 = 0x8_0000;
    /// On all nodes.
    pub const BROADCAST: u32 = 0x10_0000;
}

/// How an operation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Execution status; 0 is done.
    pub status: i32,
    /// Exit status of the agent or of the daemon's decision.
    pub rc: i32,
    /// Why.
    pub reason: Option<String>,
    /// What the agent printed.
    pub output: Option<String>,
    /// The legacy code.
    pub legacy: Rc,
    /// Data of the answer.
    pub data: Option<Element>,
}

impl Outcome {
    /// Reads a reply.
    pub fn of(reply: &Element) -> Outcome {
        let number = |name: &str| reply.get(name).and_then(|text| text.parse::<i32>().ok());
        let legacy = number("st_rc").map_or(Rc::OK, Rc::from_wire);
        let failed = i32::from(!legacy.is_ok());
        Outcome {
            status: number("op-status").unwrap_or(if legacy.is_ok() { 0 } else { 4 }),
            rc: number("rc-code").unwrap_or(failed),
            reason: reply.get("exit-reason").map(str::to_owned),
            output: reply.get("st_output").map(str::to_owned),
            legacy,
            data: reply.child("st_calldata").and_then(|wrapper| wrapper.children().next()).cloned(),
        }
    }

    /// Done, and with success.
    pub fn is_ok(&self) -> bool {
        self.status == 0 && self.rc == 0
    }
}

/// A fencing request.
#[derive(Debug, Clone, Copy)]
pub struct Fence<'a> {
    /// The node.
    pub target: &'a str,
    /// `off`, `reboot` or `on`.
    pub action: &'a str,
    /// Seconds it may take.
    pub timeout: u32,
    /// Seconds back in which the same fencing by anyone counts as this one.
    pub tolerance: u32,
    /// Seconds to wait before; -1 disables all delays.
    pub delay: i32,
    /// More bits of [`options`].
    pub options: u32,
}

/// A connection to the local fencer.
#[derive(Debug)]
pub struct Fenced {
    client: Client,
    token: String,
    next_call: u32,
}

impl Fenced {
    /// Connects and registers under a name.
    ///
    /// # Errors
    /// The fencer does not run.
    pub fn connect(name: &str) -> Result<Fenced, ClientError> {
        let mut client = Client::connect("stonith-ng")?;
        let hello = Element::new("stonith_command")
            .with("t", "stonith-ng")
            .with("st_op", "register")
            .with("st_clientname", name);
        let reply = client.call(&hello, Duration::from_secs(30))?;
        let token = match (reply.get("st_op"), reply.get("st_clientid")) {
            (Some("register"), Some(token)) if !token.is_empty() => token.to_owned(),
            _ => return Err(ClientError::Protocol("no registration".into())),
        };
        Ok(Fenced { client, token, next_call: 2 })
    }

    /// Readable when an event came or the fencer went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    fn command_element(
        &mut self,
        op: &str,
        data: Option<Element>,
        options: u32,
        timeout: u32,
        delay: Option<i32>,
    ) -> (u32, Element) {
        let call = self.next_call;
        self.next_call = self.next_call.wrapping_add(1).max(1);
        let mut command = Element::new("stonith_command")
            .with("__name__", "stonith_command")
            .with("t", "stonith-ng")
            .with("st_async_id", self.token.as_str())
            .with("st_op", op)
            .with("st_callid", call.to_string())
            .with("st_callopt", options.to_string())
            .with("st_timeout", timeout.to_string());
        if let Some(delay) = delay {
            command.set("st_delay", delay.to_string());
        }
        if let Some(data) = data {
            command.push(Element::new("st_calldata").with_child(data));
        }
        (call, command)
    }

    /// Sends a command and waits for its reply. `timeout` is in seconds; a minute is added.
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn command(
        &mut self,
        op: &str,
        data: Option<Element>,
        options: u32,
        timeout: u32,
    ) -> Result<Outcome, ClientError> {
        let (_, command) = self.command_element(op, data, options | options::SYNC, timeout, None);
        let reply = self.client.call(&command, Duration::from_secs(u64::from(timeout) + 60))?;
        Ok(Outcome::of(&reply))
    }

    /// Sends a command whose reply comes as an event with the returned call number.
    ///
    /// # Errors
    /// The fencer went.
    pub fn send(
        &mut self,
        op: &str,
        data: Option<Element>,
        options: u32,
        timeout: u32,
        delay: Option<i32>,
    ) -> Result<u32, ClientError> {
        let options = options & !options::SYNC;
        let (call, command) = self.command_element(op, data, options, timeout, delay);
        self.client.send(&command, 0)?;
        Ok(call)
    }

    fn fence_data(fence: &Fence<'_>) -> Element {
        Element::new("st_fence")
            .with("st_target", fence.target)
            .with("st_device_action", fence.action)
            .with("st_timeout", fence.timeout.to_string())
            .with("st_tolerance", fence.tolerance.to_string())
            .with("st_delay", fence.delay.to_string())
    }

    /// Fences a node and waits for the end.
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn fence(&mut self, fence: &Fence<'_>) -> Result<Outcome, ClientError> {
        let data = Fenced::fence_data(fence);
        let options = fence.options | options::SYNC;
        let (_, command) =
            self.command_element("st_fence", Some(data), options, fence.timeout, Some(fence.delay));
        let patience = Duration::from_secs(u64::from(fence.timeout) + 60);
        let reply = self.client.call(&command, patience)?;
        Ok(Outcome::of(&reply))
    }

    /// Fences a node; the result comes as an event with the returned call number.
    ///
    /// # Errors
    /// The fencer went.
    pub fn start_fence(&mut self, fence: &Fence<'_>) -> Result<u32, ClientError> {
        let data = Fenced::fence_data(fence);
        self.send("st_fence", Some(data), fence.options, fence.timeout, Some(fence.delay))
    }

    /// Ids of the devices that can do something to a node (of all devices without one).
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn devices(
        &mut self,
        target: Option<&str>,
        timeout: u32,
    ) -> Result<Vec<String>, ClientError> {
        let mut data = Element::new("st_device_id").with("st_origin", "stonith_api_query");
        if let Some(target) = target {
            data.set("st_target", target);
        }
        data.set("st_device_action", "off");
        let outcome = self.command("st_query", Some(data), 0, timeout)?;
        let devices = outcome.data.iter().flat_map(Element::descendants);
        Ok(devices
            .filter(|element| element.has("agent"))
            .filter_map(|device| device.id().map(str::to_owned))
            .collect())
    }

    /// Registers a device (beside those of the CIB).
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn register_device(
        &mut self,
        id: &str,
        namespace: Option<&str>,
        agent: &str,
        params: &BTreeMap<String, String>,
    ) -> Result<Outcome, ClientError> {
        let mut data = Element::new("st_device_id")
            .with("id", id)
            .with("st_origin", "create_device_registration_xml")
            .with("agent", agent);
        if let Some(namespace) = namespace {
            data.set("namespace", namespace);
        }
        data.push(attributes(params));
        self.command("st_device_register", Some(data), 0, 60)
    }

    /// Removes a device registered by [`register_device`](Self::register_device).
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn remove_device(&mut self, id: &str) -> Result<Outcome, ClientError> {
        let data = Element::new("st_device_id")
            .with("st_origin", "stonith_api_remove_device")
            .with("id", id);
        self.command("st_device_remove", Some(data), 0, 60)
    }

    /// The fencing history, of a node or of all, as `st_execute` elements.
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn history(
        &mut self,
        target: Option<&str>,
        timeout: u32,
    ) -> Result<Vec<Element>, ClientError> {
        let mut data = Element::new("st_fence_history").with("st_origin", "stonith_api_history");
        if let Some(target) = target {
            data.set("st_target", target);
        }
        let outcome = self.command("st_fence_history", Some(data), 0, timeout)?;
        let entries = outcome.data.iter().flat_map(Element::descendants);
        Ok(entries.filter(|element| element.name() == "st_execute").cloned().collect())
    }

    /// Deletes history, of a node or all.
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn clean_history(&mut self, target: Option<&str>) -> Result<Outcome, ClientError> {
        let mut data = Element::new("st_fence_history").with("st_origin", "stonith_api_history");
        if let Some(target) = target {
            data.set("st_target", target);
        }
        self.command("st_fence_history", Some(data), options::CLEANUP, 60)
    }

    /// Subscribes to a kind of notification (`st_notify_fence`, `st_notify_history`, …).
    ///
    /// # Errors
    /// The fencer went or does not answer.
    pub fn subscribe(&mut self, kind: &str) -> Result<(), ClientError> {
        let (_, mut command) = self.command_element("st_notify", None, options::SYNC, 60, None);
        command.set("st_notify_activate", kind);
        self.client.call(&command, Duration::from_secs(60)).map(|_| ())
    }

    /// The next event that is there: `<notify subt="KIND">` or `<st-reply st_callid="N">`.
    ///
    /// # Errors
    /// The fencer went.
    pub fn try_event(&mut self) -> Result<Option<Element>, ClientError> {
        self.client.try_event()
    }

    /// Waits for an event.
    ///
    /// # Errors
    /// The fencer went.
    pub fn event(&mut self, timeout: Duration) -> Result<Option<Element>, ClientError> {
        self.client.event(timeout)
    }

    /// Has all fencers forget a node (a crm envelope, without answer).
    ///
    /// # Errors
    /// The fencer went.
    pub fn forget_node(&mut self, request: &Element) -> Result<(), ClientError> {
        self.client.send(request, 0).map(|_| ())
    }
}
