//! Client of the scheduler daemon: a document in, a transition graph out.
//!
//! Source: `spec/pacemaker-ipc.md` §7.4.

use std::os::fd::BorrowedFd;

use xml::Element;

use crate::client::{Client, ClientError};
use crate::envelope;

/// The buffer asked for: whole documents travel.
const BUFFER: usize = 5 * 1024 * 1024;

/// An answer of the scheduler.
#[derive(Debug, Clone)]
pub struct Calculated {
    /// The reference of the request it answers.
    pub reference: String,
    /// Where the input was saved, if it was.
    pub input_file: Option<String>,
    /// Whether processing the input found errors.
    pub has_errors: bool,
    /// The graph.
    pub graph: Element,
}

/// A connection to the local scheduler.
#[derive(Debug)]
pub struct Schedulerd {
    client: Client,
    sender: String,
}

impl Schedulerd {
    /// Connects; `system` is who asks (`crmd`).
    ///
    /// # Errors
    /// The scheduler does not run.
    pub fn connect(system: &str) -> Result<Schedulerd, ClientError> {
        let client = Client::connect_with("pengine", BUFFER)?;
        Ok(Schedulerd { client, sender: system.to_owned() })
    }

    /// Readable when an answer came or the scheduler went.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.client.fd()
    }

    /// Sends a document to be scheduled and returns the reference its answer will carry.
    ///
    /// # Errors
    /// The scheduler went.
    pub fn calculate(&mut self, cib: Element) -> Result<String, ClientError> {
        let request = envelope::request("pe_calc", Some("pengine"), &self.sender, None, Some(cib));
        self.client.send(&request, 0)?;
        Ok(request.get("reference").unwrap_or("").to_owned())
    }

    /// The next answer that is there.
    ///
    /// # Errors
    /// The scheduler went.
    pub fn try_answer(&mut self) -> Result<Option<Calculated>, ClientError> {
        while let Some(reply) = self.client.try_event()? {
            let is_answer =
                reply.get("crm_task") == Some("pe_calc") && reply.get("subt") == Some("response");
            let Some(graph) = envelope::data(&reply).filter(|_| is_answer) else { continue };
            return Ok(Some(Calculated {
                reference: reply.get("reference").unwrap_or("").to_owned(),
                input_file: reply.get("crm-tgraph-in").map(str::to_owned),
                has_errors: ["graph-errors", "config-errors"]
                    .iter()
                    .any(|name| reply.get(name).is_some_and(|count| count != "0")),
                graph: graph.clone(),
            }));
        }
        Ok(None)
    }
}
