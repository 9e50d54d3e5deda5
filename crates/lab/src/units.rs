//! A stand-in for systemd in a host: a bus with one object on it, the manager of units.
//!
//! `quorate lab-systemd` listens where the system bus does and knows what the executor asks of
//! systemd: LoadUnit, StartUnit, StopUnit, RestartUnit, Reload, Subscribe, a unit's ActiveState,
//! and the JobRemoved signal. A unit is a file in `/etc/systemd/system`; starting it runs the
//! first `ExecStart=` in a shell. Every request is one line on standard output.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use agents::dbus::{Kind, Message, Value, read_message};

const SOCKET: &str = "/run/dbus/system_bus_socket";
const UNITS: &str = "/etc/systemd/system";
const PREFIX: &str = "/org/freedesktop/systemd1/unit/";

/// The units that were ever started, with their processes.
#[derive(Debug, Default)]
struct Units {
    running: BTreeMap<String, Child>,
    jobs: u32,
}

impl Units {
    fn exists(unit: &str) -> bool {
        !unit.contains('/') && Path::new(UNITS).join(unit).is_file()
    }

    fn state(&mut self, unit: &str) -> &'static str {
        match self.running.get_mut(unit).map(Child::try_wait) {
            None => "inactive",
            Some(Ok(None)) => "active",
            Some(_) => "failed",
        }
    }

    fn start(&mut self, unit: &str) -> io::Result<()> {
        if self.state(unit) == "active" {
            return Ok(());
        }
        let text = std::fs::read_to_string(Path::new(UNITS).join(unit))?;
        let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="));
        let line = line.ok_or_else(|| io::Error::other("nothing to execute"))?;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("exec {line}")]).process_group(0);
        shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.running.insert(unit.to_owned(), shell.spawn()?);
        Ok(())
    }

    fn stop(&mut self, unit: &str) -> io::Result<()> {
        let Some(mut process) = self.running.remove(unit) else { return Ok(()) };
        process.kill()?;
        process.wait().map(drop)
    }
}

/// The command.
pub fn main(_args: &[String]) -> i32 {
    match serve() {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("lab-systemd: {error}");
            1
        }
    }
}

fn serve() -> io::Result<()> {
    if let Some(dir) = Path::new(SOCKET).parent() {
        std::fs::create_dir_all(dir)?;
    }
    let _ = std::fs::remove_file(SOCKET);
    let listener = UnixListener::bind(SOCKET)?;
    let units = Arc::new(Mutex::new(Units::default()));
    for stream in listener.incoming() {
        let (stream, units) = (stream?, Arc::clone(&units));
        std::thread::spawn(move || {
            if let Err(error) = attend(stream, &units) {
                println!("a client was lost: {error}");
            }
        });
    }
    Ok(())
}

fn attend(stream: UnixStream, units: &Mutex<Units>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(());
        }
        if line.starts_with(b"BEGIN") {
            break;
        }
        writer.write_all(b"OK 0123456789abcdef0123456789abcdef\r\n")?;
    }
    let mut serial = 0;
    while let Some(call) = read_message(&mut reader)? {
        let arg = |at: usize| call.body.get(at).and_then(Value::text).unwrap_or("");
        println!("{} {}", call.member, arg(0));
        let (answer, after) = {
            let mut units = units.lock().unwrap_or_else(PoisonError::into_inner);
            answer(&call, &mut units)
        };
        for mut message in [answer].into_iter().chain(after) {
            serial += 1;
            message.serial = serial;
            writer.write_all(&message.encode())?;
        }
    }
    Ok(())
}

/// The answer to a call, and the signal that follows it.
fn answer(call: &Message, units: &mut Units) -> (Message, Option<Message>) {
    let arg = call.body.first().and_then(Value::text).unwrap_or("").to_owned();
    let returned =
        |body: Vec<Value>| Message { reply_to: call.serial, body, ..Message::new(Kind::Return) };
    let refused = |name: &str, words: &str| Message {
        reply_to: call.serial,
        error: name.to_owned(),
        body: vec![Value::Str(words.to_owned())],
        ..Message::new(Kind::Error)
    };
    match call.member.as_str() {
        "Hello" => (returned(vec![Value::Str(":1.1".into())]), None),
        "AddMatch" | "Subscribe" | "Reload" => (returned(vec![]), None),
        // As systemd does, a unit without a file can be loaded; it is just never active.
        "LoadUnit" => (returned(vec![Value::Path(format!("{PREFIX}{}", escaped(&arg)))]), None),
        "Get" => {
            let object = call.path.strip_prefix(PREFIX).unwrap_or("").to_owned();
            let unit = unescaped(&object);
            let state = Value::Str(units.state(&unit).to_owned());
            (returned(vec![Value::Variant(Box::new(state))]), None)
        }
        "StartUnit" | "StopUnit" | "RestartUnit" if !Units::exists(&arg) => {
            let words = format!("Unit {arg} not found.");
            (refused("org.freedesktop.systemd1.NoSuchUnit", &words), None)
        }
        method @ ("StartUnit" | "StopUnit" | "RestartUnit") => {
            let stopped = if method == "StartUnit" { Ok(()) } else { units.stop(&arg) };
            let done = match method {
                "StopUnit" => stopped,
                _ => stopped.and_then(|()| units.start(&arg)),
            };
            units.jobs += 1;
            let job = format!("/org/freedesktop/systemd1/job/{}", units.jobs);
            let result = if done.is_ok() { "done" } else { "failed" };
            let removed = Message {
                path: "/org/freedesktop/systemd1".into(),
                interface: "org.freedesktop.systemd1.Manager".into(),
                member: "JobRemoved".into(),
                body: vec![
                    Value::U32(units.jobs),
                    Value::Path(job.clone()),
                    Value::Str(arg),
                    Value::Str(result.into()),
                ],
                ..Message::new(Kind::Signal)
            };
            (returned(vec![Value::Path(job)]), Some(removed))
        }
        other => (refused("org.freedesktop.DBus.Error.UnknownMethod", other), None),
    }
}

/// A unit's name as part of an object's path: what is no letter or digit as `_` and two digits.
fn escaped(unit: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    unit.bytes()
        .map(|byte| if plain(byte) { char::from(byte).into() } else { format!("_{byte:02x}") })
        .collect()
}

fn unescaped(path: &str) -> String {
    let mut unit = String::new();
    let mut rest = path;
    while let Some(at) = rest.find('_') {
        unit.push_str(&rest[..at]);
        let code = rest.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        unit.push(code.map_or('_', char::from));
        rest = rest.get(at + 3..).unwrap_or("");
    }
    unit + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_paths() {
        for unit in ["a.service", "x-y@1.service", "_"] {
            assert_eq!(unescaped(&escaped(unit)), unit);
        }
        assert_eq!(escaped("a.service"), "a_2eservice");
    }
}
