//! `ocf:quorate:Web`: a very small web server that says which node it runs on.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{failed, instance, param, usage};
use crate::judge::ocf;

const PORT: u16 = 80;
const CONTENT: &str = "This page is served by %h.";
/// Connections served at once; more wait in the kernel's queue.
const CLIENTS_MAX: usize = 64;
/// How long a client may take to say what it wants.
const CLIENT_PATIENCE: Duration = Duration::from_secs(2);
/// How long the server may take to open its socket, or to go after SIGTERM.
const PATIENCE: Duration = Duration::from_secs(5);
const STEP: Duration = Duration::from_millis(10);

pub(super) const METADATA: &str = r#"<?xml version="1.0"?>
<resource-agent name="Web" version="1.0">
<version>1.1</version>
<longdesc lang="en">
A web server in a few lines that answers every request with one page, which by default names the node. For demonstrations and tests.
</longdesc>
<shortdesc lang="en">Tiny web server, built in</shortdesc>
<parameters>
<parameter name="port" unique-group="port">
<longdesc lang="en">TCP port to listen on, on all addresses.</longdesc>
<shortdesc lang="en">Port</shortdesc>
<content type="integer" default="80"/>
</parameter>
<parameter name="content">
<longdesc lang="en">Text of the page; %h stands for the node's name.</longdesc>
<shortdesc lang="en">Page</shortdesc>
<content type="string" default="This page is served by %h."/>
</parameter>
</parameters>
<actions>
<action name="start" timeout="20s"/>
<action name="stop" timeout="20s"/>
<action name="monitor" timeout="20s" interval="10s" depth="0"/>
<action name="validate-all" timeout="20s"/>
<action name="meta-data" timeout="5s"/>
</actions>
</resource-agent>
"#;

/// The agent.
pub(super) fn main(args: &[String]) -> i32 {
    let action = args.get(1).map(String::as_str);
    match action {
        Some("meta-data") => {
            print!("{METADATA}");
            return ocf::OK;
        }
        Some("start" | "stop" | "monitor" | "status" | "validate-all" | "serve") => {}
        other => return usage("Web", other),
    }
    let port = match param("port").map(|text| text.parse::<u16>()) {
        None => PORT,
        Some(Ok(port)) if port != 0 => port,
        Some(_) => return failed(ocf::NOT_CONFIGURED, "port must be a number from 1 to 65535"),
    };
    let pidfile = PathBuf::from(format!("/run/quorate-Web-{}.pid", instance()));
    match action {
        Some("start") => start(args, port, &pidfile),
        Some("stop") => stop(&pidfile),
        Some("validate-all") => ocf::OK,
        Some("serve") => match serve(port, &pidfile) {
            Ok(()) => ocf::OK,
            Err(error) => failed(ocf::UNKNOWN_ERROR, &format!("port {port}: {error}")),
        },
        _ => monitor(port, &pidfile),
    }
}

/// The server's process, if it runs.
fn running(pidfile: &Path) -> Option<Pid> {
    let pid: i32 = fs::read_to_string(pidfile).ok()?.trim().parse().ok()?;
    // A number may belong to somebody else by now.
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    words
        .split(|byte| *byte == 0)
        .any(|word| word == b"serve")
        .then(|| Pid::from_raw(pid))
        .flatten()
}

fn monitor(port: u16, pidfile: &Path) -> i32 {
    if running(pidfile).is_none() {
        return ocf::NOT_RUNNING;
    }
    let local = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpStream::connect_timeout(&local, CLIENT_PATIENCE) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused | io::ErrorKind::TimedOut
            ) =>
        {
            failed(ocf::UNKNOWN_ERROR, &format!("the server does not answer: {error}"))
        }
        // Without a loopback interface the process is all there is to look at.
        _ => ocf::OK,
    }
}

fn start(args: &[String], port: u16, pidfile: &Path) -> i32 {
    if running(pidfile).is_some() {
        return ocf::OK;
    }
    let _ = fs::remove_file(pidfile);
    let name = args.first().map_or("Web", String::as_str);
    // By its path, so that process lists show a name; the link works even after an upgrade.
    let exe = std::env::current_exe().ok().filter(|path| path.exists());
    let mut server = Command::new(exe.unwrap_or_else(|| PathBuf::from("/proc/self/exe")));
    server.arg0(name).arg("serve").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    crate::start::with_default_signals(&mut server);
    crate::start::in_own_session(&mut server);
    let mut child = match server.spawn() {
        Ok(child) => child,
        Err(error) => return failed(ocf::UNKNOWN_ERROR, &format!("cannot start: {error}")),
    };
    // It writes its process id once it listens.
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        if running(pidfile).is_some() {
            return ocf::OK;
        }
        if let Ok(Some(_)) = child.try_wait() {
            return failed(ocf::UNKNOWN_ERROR, &format!("cannot listen on port {port}"));
        }
        thread::sleep(STEP);
    }
    let _ = child.kill();
    failed(ocf::UNKNOWN_ERROR, "the server did not start to listen")
}

fn stop(pidfile: &Path) -> i32 {
    for signal in [Signal::TERM, Signal::KILL] {
        let Some(pid) = running(pidfile) else { break };
        // An error means that it is gone already, which the loop finds out.
        let _ = kill_process(pid, signal);
        let begun = Instant::now();
        while running(pidfile).is_some() && begun.elapsed() < PATIENCE {
            thread::sleep(STEP);
        }
    }
    if running(pidfile).is_some() {
        return failed(ocf::UNKNOWN_ERROR, "the server does not stop");
    }
    let _ = fs::remove_file(pidfile);
    ocf::OK
}

fn serve(port: u16, pidfile: &Path) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))
        .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)))?;
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let page = param("content").unwrap_or_else(|| CONTENT.to_owned()).replace("%h", &host);
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{page}\n",
        page.len() + 1
    );
    fs::write(pidfile, format!("{}\n", std::process::id()))?;
    let answer: Arc<str> = answer.into();
    let clients = Arc::new(AtomicUsize::new(0));
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            // Out of descriptors or the client gave up: the next one may have more luck.
            Err(_) => {
                thread::sleep(STEP);
                continue;
            }
        };
        while clients.load(Ordering::Relaxed) >= CLIENTS_MAX {
            thread::sleep(STEP);
        }
        clients.fetch_add(1, Ordering::Relaxed);
        let (answer, counter) = (answer.clone(), clients.clone());
        let spawned = thread::Builder::new().spawn(move || {
            // A client that goes away in the middle harms only itself.
            let _ = answer_client(stream, answer.as_bytes());
            counter.fetch_sub(1, Ordering::Relaxed);
        });
        if spawned.is_err() {
            clients.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

fn answer_client(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_read_timeout(Some(CLIENT_PATIENCE))?;
    stream.set_write_timeout(Some(CLIENT_PATIENCE))?;
    let (mut head, mut chunk) = (Vec::new(), [0; 1024]);
    // The request ends in an empty line; what it says does not matter.
    while head.len() < 8192 && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        head.extend_from_slice(&chunk[..read]);
    }
    if head.is_empty() {
        return Ok(());
    }
    stream.write_all(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_gets_its_page() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || answer_client(listener.accept().unwrap().0, b"page"));
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut got = String::new();
        client.read_to_string(&mut got).unwrap();
        assert_eq!(got, "page");
        server.join().unwrap().unwrap();
    }
}
