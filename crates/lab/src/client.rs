//! A client outside of the cluster that asks for the page ten times a second.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long one request may take before it counts as failed.
const PATIENCE: Duration = Duration::from_millis(300);
/// Time from one request to the next.
const PACE: Duration = Duration::from_millis(100);

/// One request and what came of it.
#[derive(Debug, Clone)]
pub struct Sample {
    /// When it was answered, or given up.
    pub at: Instant,
    /// The page's text, if there was an answer.
    pub page: Option<String>,
}

/// Asks once for `/` and gives the body of a good answer.
pub fn get(address: Ipv4Addr, port: u16) -> io::Result<String> {
    let target = SocketAddr::from((address, port));
    let mut stream = TcpStream::connect_timeout(&target, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET / HTTP/1.0\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(64 * 1024).read_to_string(&mut answer)?;
    let (head, body) =
        answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("the answer has no body"))?;
    if head.split_whitespace().nth(1) != Some("200") {
        let status = head.lines().next().unwrap_or("");
        return Err(io::Error::other(format!("the answer is `{status}`")));
    }
    Ok(body.to_owned())
}

/// Asks in the background until it is stopped.
#[derive(Debug)]
pub struct Client {
    samples: Arc<Mutex<Vec<Sample>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Client {
    /// Begins to ask.
    pub fn start(address: Ipv4Addr, port: u16) -> Client {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (theirs, flag) = (Arc::clone(&samples), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !flag.load(Ordering::Relaxed) {
                let begun = Instant::now();
                let page = get(address, port).ok();
                let sample = Sample { at: Instant::now(), page };
                if let Ok(mut samples) = theirs.lock() {
                    samples.push(sample);
                }
                std::thread::sleep(PACE.saturating_sub(begun.elapsed()));
            }
        });
        Client { samples, stop, thread: Some(thread) }
    }

    /// All answers so far.
    pub fn samples(&self) -> Vec<Sample> {
        self.samples.lock().map(|samples| samples.clone()).unwrap_or_default()
    }

    /// The first good answer after a moment.
    pub fn first_good_after(&self, moment: Instant) -> Option<Sample> {
        self.samples().into_iter().find(|sample| sample.at > moment && sample.page.is_some())
    }

    /// Time from the last good answer before `moment` to the first good one after the first
    /// failure that follows it; zero when no request failed.
    pub fn outage_after(&self, moment: Instant) -> Option<Duration> {
        let samples = self.samples();
        let last_good = samples.iter().rfind(|s| s.at <= moment && s.page.is_some())?;
        let mut later = samples.iter().filter(|s| s.at > moment);
        let Some(failed) = later.find(|s| s.page.is_none()) else { return Some(Duration::ZERO) };
        let again = samples.iter().find(|s| s.at > failed.at && s.page.is_some())?;
        Some(again.at - last_good.at)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to report; a panic there would already have been printed.
            let _ = thread.join();
        }
    }
}
