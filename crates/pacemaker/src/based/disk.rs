//! Writing the document beside the daemon's work: a disk may take seconds, requests may not.
//!
//! One thread writes the newest document it was given and skips those that were overtaken. What it
//! cannot write it says once; after that only a hand-made repair and a restart help, as upstream,
//! because writing over a file that somebody else changed would destroy his work.
//!
//! Source: `spec/cib.md` §8.2.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use cib::store::Store;
use xml::Element;

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
    let mut disabled = false;
    while let Ok(first) = documents.recv() {
        let document = documents.try_iter().last().unwrap_or(first);
        if disabled {
            continue;
        }
        match store.write(&document, &super::shell::date()) {
            Ok(()) => base::info!(
                "Wrote version {} of the CIB to disk (digest: {})",
                cib::CibVersion::of(&document),
                cib::digest::v2(&document),
            ),
            Err(rc) => {
                disabled = true;
                base::crit!(
                    "Disabling disk writes after a failure to write {}: {rc}",
                    store.path().display()
                );
            }
        }
    }
}
