//! A stand-in for ssh between hosts of a lab, for the commands that reach other nodes with it.
//!
//! `quorate lab-sshd` runs what it is told to, in a host of a lab and nowhere else: it looks at who
//! its first process is. `quorate lab-ssh` takes ssh's command line, `quorate lab-scp` scp's.
//! A connection carries the command line and its input in one direction, and blocks of output in
//! the other: one byte (1 stdout, 2 stderr, 0 the end), four of length, and the bytes. No host is
//! asked who it is: a lab's network is closed.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

const PORT: u16 = 22;
/// No command line is longer.
const LINE_MAX: u32 = 1 << 20;
/// No block is larger.
const BLOCK: usize = 1 << 16;

/// What ssh and scp say when they cannot get there.
const UNREACHABLE: i32 = 255;

/// The options of ssh and scp that have an argument.
const WITH_ARGUMENT: &str = "oplicFbEJDLRSWPm";

fn ended(what: &str, result: io::Result<i32>) -> i32 {
    result.unwrap_or_else(|error| {
        eprintln!("{what}: {error}");
        UNREACHABLE
    })
}

/// `quorate lab-sshd`: serves until it is killed.
pub(crate) fn server(_: &[String]) -> i32 {
    ended("lab-sshd", serve())
}

fn serve() -> io::Result<i32> {
    let first = std::fs::read("/proc/1/cmdline")?;
    if !first.starts_with(b"quorate\0lab-init\0") {
        return Err(io::Error::other("this is no host of a lab"));
    }
    let listener = TcpListener::bind(("0.0.0.0", PORT))?;
    loop {
        let (stream, from) = listener.accept()?;
        thread::spawn(move || {
            if let Err(error) = session(&stream) {
                eprintln!("lab-sshd: {from}: {error}");
            }
        });
    }
}

fn session(stream: &TcpStream) -> io::Result<()> {
    let mut from = stream;
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = u32::from_be_bytes(length);
    if length > LINE_MAX {
        return Err(io::Error::other("the command line is too long"));
    }
    let mut line = vec![0; length as usize];
    from.read_exact(&mut line)?;
    let line = String::from_utf8(line).map_err(io::Error::other)?;
    let mut child = Command::new("/bin/sh")
        .args(["-c", &line])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        let mut input = stream.try_clone()?;
        // It ends with the connection. A command need not read what it is given.
        thread::spawn(move || drop(io::copy(&mut input, &mut stdin)));
    }
    let to = Arc::new(Mutex::new(stream.try_clone()?));
    let out = child.stdout.take().map(|pipe| relay(pipe, 1, Arc::clone(&to)));
    let err = child.stderr.take().map(|pipe| relay(pipe, 2, Arc::clone(&to)));
    for thread in [out, err].into_iter().flatten() {
        thread.join().map_err(|_| io::Error::other("a relay ended early"))??;
    }
    let status = code(child.wait()?);
    send(&to, 0, &status.to_be_bytes())?;
    stream.shutdown(Shutdown::Both)
}

fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or(UNREACHABLE)
}

fn relay(
    mut from: impl Read + Send + 'static,
    kind: u8,
    to: Arc<Mutex<TcpStream>>,
) -> thread::JoinHandle<io::Result<()>> {
    thread::spawn(move || {
        let mut block = vec![0; BLOCK];
        loop {
            match from.read(&mut block)? {
                0 => return Ok(()),
                n => send(&to, kind, &block[..n])?,
            }
        }
    })
}

fn send(to: &Mutex<TcpStream>, kind: u8, block: &[u8]) -> io::Result<()> {
    let length = u32::try_from(block.len()).map_err(io::Error::other)?;
    let mut message = vec![kind];
    message.extend(length.to_be_bytes());
    message.extend(block);
    to.lock().unwrap_or_else(PoisonError::into_inner).write_all(&message)
}

/// The words of a command line that are no options.
fn operands(words: &[String]) -> Vec<&str> {
    let mut found = Vec::new();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word.strip_prefix('-') {
            // Behind the host everything belongs to the command.
            _ if !found.is_empty() => found.push(word),
            Some("-") => {}
            Some(option) => {
                let mut letters = option.chars();
                let last = letters.next_back();
                if option.len() == 1 && last.is_some_and(|c| WITH_ARGUMENT.contains(c)) {
                    words.next();
                }
            }
            None => found.push(word),
        }
    }
    if found.get(1) == Some(&"--") {
        found.remove(1);
    }
    found
}

/// `quorate lab-ssh [options] HOST [--] COMMAND…`.
pub(crate) fn ssh(args: &[String]) -> i32 {
    let words = operands(args.get(1..).unwrap_or_default());
    let Some((host, command)) = words.split_first() else {
        eprintln!("usage: quorate lab-ssh [options] HOST COMMAND...");
        return UNREACHABLE;
    };
    ended(&format!("ssh: connect to host {host}"), call(host, &command.join(" "), io::stdin()))
}

/// Runs a command on a host with this input; its output is ours.
fn call(host: &str, line: &str, mut input: impl Read + Send + 'static) -> io::Result<i32> {
    let name = host.rsplit_once('@').map_or(host, |(_, name)| name);
    let mut stream = TcpStream::connect((name, PORT))?;
    let length = u32::try_from(line.len()).map_err(io::Error::other)?;
    stream.write_all(&length.to_be_bytes())?;
    stream.write_all(line.as_bytes())?;
    let mut to = stream.try_clone()?;
    thread::spawn(move || {
        // A command that ends without reading closes this under our hands.
        drop(io::copy(&mut input, &mut to));
        drop(to.shutdown(Shutdown::Write));
    });
    loop {
        let mut head = [0; 5];
        stream.read_exact(&mut head)?;
        let [kind, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        if length > BLOCK {
            return Err(io::Error::other("a block is too large"));
        }
        let mut block = vec![0; length];
        stream.read_exact(&mut block)?;
        match (kind, <[u8; 4]>::try_from(block.as_slice())) {
            (0, Ok(status)) => return Ok(i32::from_be_bytes(status)),
            (1, _) => io::stdout().lock().write_all(&block)?,
            (2, _) => io::stderr().lock().write_all(&block)?,
            _ => return Err(io::Error::other("a block of no known kind")),
        }
        io::stdout().lock().flush()?;
    }
}

/// `quorate lab-scp [options] FILE… HOST:DIRECTORY`, by tar.
pub(crate) fn scp(args: &[String]) -> i32 {
    let words = operands(args.get(1..).unwrap_or_default());
    let parts = words.split_last().and_then(|(to, files)| Some((files, to.split_once(':')?)));
    let Some((files, (host, dir))) = parts.filter(|(files, _)| !files.is_empty()) else {
        eprintln!("usage: quorate lab-scp [options] FILE... HOST:DIRECTORY");
        return UNREACHABLE;
    };
    ended(&format!("scp: {host}"), copy(files, host, dir))
}

fn copy(files: &[&str], host: &str, dir: &str) -> io::Result<i32> {
    let mut tar = Command::new("tar");
    tar.args(["-c", "-f", "-"]).stdout(Stdio::piped());
    for file in files {
        let path = std::path::absolute(file)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::other(format!("{file} cannot be copied")));
        };
        tar.arg("-C").arg(parent).arg(name);
    }
    let mut child = tar.spawn()?;
    let Some(archive) = child.stdout.take() else { return Err(io::Error::other("no archive")) };
    let there = call(host, &format!("tar -x -p -f - -C '{dir}'"), archive)?;
    Ok(if there == 0 { code(child.wait()?) } else { there })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines() {
        for (line, want) in [
            ("-T -l root n2 -- a -b", vec!["n2", "a", "-b"]),
            ("-o X=y n2 mkdir -p /d", vec!["n2", "mkdir", "-p", "/d"]),
            ("-pqr -o X=y /a /b n2:/d", vec!["/a", "/b", "n2:/d"]),
            ("-T", vec![]),
            ("-l", vec![]),
            ("", vec![]),
        ] {
            let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
            assert_eq!(operands(&words), want, "{line}");
        }
    }

    #[test]
    fn only_hosts_of_a_lab_serve() {
        assert!(serve().is_err());
    }

    #[test]
    fn a_session_there_and_back() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || session(&listener.accept().unwrap().0));
        let mut stream = TcpStream::connect(address).unwrap();
        let line = b"cat; echo oops >&2; exit 3";
        stream.write_all(&(line.len() as u32).to_be_bytes()).unwrap();
        stream.write_all(line).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        server.join().unwrap().unwrap();
        let has = |kind: u8, text: &[u8]| {
            let message = [&[kind, 0, 0, 0, text.len() as u8], text].concat();
            all.windows(message.len()).any(|part| part == message)
        };
        assert!(has(1, b"hello") && has(2, b"oops\n"), "{all:?}");
        assert!(all.ends_with(&[0, 0, 0, 0, 4, 0, 0, 0, 3]), "{all:?}");
    }
}
