//! Writing the document beside the daemon's work: a disk may take seconds, requests may not.
//!
//! One thread writes the newest document it was given and skips those that were overtaken. A disk
//! that is full or out of order is tried again until it takes the document. A file that somebody
//! else changed is left alone from then on, until a hand-made repair and a restart, as upstream:
//! writing over it would destroy his work.
//!
//! Source: `spec/cib.md` §8.2.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cib::Rc;
use cib::store::Store;
use xml::Element;

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(10);

/// The writer.
#[derive(Debug)]
pub struct Disk {
    queue: Option<Sender<Arc<Element>>>,
    thread: Option<JoinHandle<()>>,
}

impl Disk {
    /// A writer for that store.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn new(store: Store) -> std::io::Result<Disk> {
        let (queue, documents) = channel();
        let thread = std::thread::Builder::new()
            .name("disk".into())
            .spawn(move || write(&store, &documents))?;
        Ok(Disk { queue: Some(queue), thread: Some(thread) })
    }

    /// Has a document written some time soon.
    pub fn write(&self, document: Arc<Element>) {
        if let Some(queue) = &self.queue
            && queue.send(document).is_err()
        {
            base::error!("The CIB is not written to disk any more");
        }
    }
}

impl Drop for Disk {
    /// Waits until the last document is written.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            base::error!("The writer of the CIB ended badly");
        }
    }
}

fn write(store: &Store, documents: &Receiver<Arc<Element>>) {
    // Somebody else's changes are not written over any more.
    let mut disabled = false;
    // What a disk that is full or out of order has not taken yet.
    let mut pending: Option<Arc<Element>> = None;
    loop {
        let next = match &pending {
            None => documents.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => documents.recv_timeout(RETRY),
        };
        // At the end, too, what is pending is tried once more.
        let ends = next == Err(RecvTimeoutError::Disconnected);
        let document = match (next, pending.take()) {
            (Ok(first), _) => documents.try_iter().last().unwrap_or(first),
            (Err(_), Some(document)) => document,
            (Err(_), None) => return,
        };
        if disabled {
            continue;
        }
        match store.write(&document, &super::shell::date()) {
            Ok(()) => base::info!(
                "Wrote version {} of the CIB to disk (digest: {})",
                cib::CibVersion::of(&document),
                cib::digest::v2(&document),
            ),
            Err(Rc::CIB_MODIFIED) => {
                disabled = true;
                base::crit!(
                    "Disabling disk writes after a failure to write {}: {}",
                    store.path().display(),
                    Rc::CIB_MODIFIED
                );
            }
            Err(rc) => {
                base::crit!(
                    "Cannot write {}: {rc}; the configuration is in memory only, trying again in \
                     {} seconds",
                    store.path().display(),
                    RETRY.as_secs()
                );
                pending = Some(document);
            }
        }
        if ends {
            return;
        }
    }
}
