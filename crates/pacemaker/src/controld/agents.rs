//! Agents' meta-data, fetched by a helper thread: agents are programs, and the controller's loop
//! waits for none.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};

use agents::{AgentName, Places};

/// One agent to be asked.
struct Job {
    key: String,
    agent: AgentName,
}

/// The thread and the way to it.
pub(super) struct MetadataReader {
    jobs: Sender<Job>,
    done: Receiver<(String, Option<String>)>,
    wake: OwnedFd,
}

impl MetadataReader {
    /// Starts the thread.
    pub(super) fn start() -> std::io::Result<MetadataReader> {
        let (wake, ring) = rustix::pipe::pipe_with(
            rustix::pipe::PipeFlags::CLOEXEC | rustix::pipe::PipeFlags::NONBLOCK,
        )?;
        let (jobs, todo) = channel::<Job>();
        let (finished, done) = channel();
        std::thread::Builder::new().name("metadata".to_owned()).spawn(move || {
            let places = Places::system();
            while let Ok(job) = todo.recv() {
                let text = agents::run::metadata_text(&job.agent, &places)
                    .inspect_err(|error| base::debug!("Meta-data of {}: {error}", job.key))
                    .ok()
                    .map(|text| agents::meta::without_doctype(&text));
                if finished.send((job.key, text)).is_err() {
                    return;
                }
                // A full pipe has woken the loop already.
                let _ = rustix::io::write(&ring, &[1]);
            }
        })?;
        Ok(MetadataReader { jobs, done, wake })
    }

    /// Readable when an answer is there.
    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    /// Asks for an agent's meta-data.
    pub(super) fn ask(&self, key: String, agent: AgentName) {
        if self.jobs.send(Job { key, agent }).is_err() {
            base::error!("The helper thread for meta-data is gone");
        }
    }

    /// The next answer.
    pub(super) fn next(&self) -> Option<(String, Option<String>)> {
        let mut bytes = [0; 64];
        // Only empties the pipe; the answers are in the channel.
        let _ = rustix::io::read(&self.wake, &mut bytes);
        self.done.try_recv().ok()
    }
}
