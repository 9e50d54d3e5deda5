//! Signs of life: connecting to a daemon's IPC service, in a thread of its own because a hung
//! daemon may keep whoever connects waiting.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use pacemaker_client::account;
use qb::ipc;
use rustix::event::EventfdFlags;

use super::Daemon;
use super::core::Look;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who answers for a daemon.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// A process that may: its id.
    Own(u32),
    /// A process that must not.
    Impostor,
    /// Nobody.
    Nobody,
}

/// Connects to a daemon's service and looks who answers. May block for long.
pub fn ask(service: &str) -> Answer {
    let Ok(client) = ipc::Client::connect(service, 0) else { return Answer::Nobody };
    let server = client.server();
    if account::is_trusted_server(server.uid, server.gid) {
        Answer::Own(server.pid)
    } else {
        Answer::Impostor
    }
}

/// The thread that asks.
#[derive(Debug)]
pub struct Prober {
    requests: Sender<Daemon>,
    answers: Receiver<(Daemon, Answer)>,
    wake: OwnedFd,
    /// Who is being asked, and since when.
    asking: Option<(Daemon, Instant)>,
    /// Patience ran out for that one at least once.
    overdue: bool,
}

impl Prober {
    /// Starts the thread.
    pub fn new() -> io::Result<Prober> {
        let wake = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let waker = wake.try_clone()?;
        let (requests, asked) = channel::<Daemon>();
        let (answered, answers) = channel();
        std::thread::Builder::new().name("probe".into()).spawn(move || {
            // Ends with the sender's end: when pacemakerd drops the prober.
            for daemon in asked {
                if answered.send((daemon, ask(daemon.service()))).is_err() {
                    return;
                }
                // The counter cannot overflow: the reader takes all at once.
                let _ = rustix::io::write(&waker, &1u64.to_ne_bytes());
            }
        })?;
        Ok(Prober { requests, answers, wake, asking: None, overdue: false })
    }

    /// Asks for a daemon. If an earlier answer is long overdue, the one asked then is found mute.
    pub fn look(&mut self, daemon: Daemon) -> Option<(Daemon, Look)> {
        if let Some((slow, since)) = &mut self.asking {
            if since.elapsed() < PATIENCE {
                return None;
            }
            // Counted once for each time that patience ran out.
            *since = Instant::now();
            self.overdue = true;
            return Some((*slow, Look::Mute));
        }
        self.overdue = false;
        if self.requests.send(daemon).is_ok() {
            self.asking = Some((daemon, Instant::now()));
        }
        None
    }

    /// Takes the answers that came.
    pub fn take(&mut self) -> Vec<(Daemon, Look)> {
        let mut count = [0; 8];
        let _ = rustix::io::read(&self.wake, &mut count);
        let mut looks = Vec::new();
        while let Ok((daemon, answer)) = self.answers.try_recv() {
            let late = self.overdue;
            self.asking = None;
            let look = match answer {
                Answer::Own(_) if late => Look::Mute,
                Answer::Own(_) => Look::Well,
                Answer::Impostor => Look::Impostor,
                Answer::Nobody => Look::Mute,
            };
            looks.push((daemon, look));
        }
        looks
    }
}

impl AsFd for Prober {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
