//! Either process is killed: the other one sees it, and no files stay behind.

use super::*;
use std::process::{Child, Command, Stdio};

const HELPER: &str = "QB_TEST_HELPER";

/// This test program again, doing what the variable says instead of testing.
fn helper(what: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["ipc::tests::dead::be_a_helper", "--exact"])
        .env(HELPER, what)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn be_a_helper() {
    let Ok(what) = std::env::var(HELPER) else { return };
    let (role, name) = what.split_once(' ').unwrap();
    match role {
        "server" => {
            let mut server = Server::bind(ServerConfig::new(name)).unwrap();
            let lp = Loop::new().unwrap();
            lp.add(server.fd(), Token(1), Interest::READ).unwrap();
            loop {
                lp.wait(None, &mut vec![]).unwrap();
                while let Some(event) = server.next(&mut vec![]) {
                    if let ServerEvent::Connect { conn, .. } = event {
                        server.accept(conn);
                    }
                }
            }
        }
        _ => {
            let _client = Client::connect(name, 0).unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

fn directories(stem: &str) -> usize {
    let entries = std::fs::read_dir("/dev/shm").unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with(stem))
        .count()
}

fn eventually(what: impl Fn() -> bool) -> bool {
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        what()
    })
}

#[test]
fn a_killed_server_is_noticed_and_cleaned_up_after() {
    let name = format!("qb-test-{}-killed-server", std::process::id());
    let mut server = helper(&format!("server {name}"));
    let stem = format!("qb-{}-", server.id());
    assert!(eventually(|| Client::connect(&name, 0).is_ok()));
    let mut client = Client::connect(&name, 0).unwrap();
    // The first one has been cleaned up after, by the server.
    assert!(eventually(|| directories(&stem) == 1));
    server.kill().unwrap();
    server.wait().unwrap();
    let error = client.recv(&mut vec![], TIMEOUT).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
    let error = client.try_event(&mut vec![]).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
    drop(client);
    assert_eq!(directories(&stem), 0);
}

#[test]
fn a_killed_client_is_cleaned_up_after() {
    let name = format!("qb-test-{}-killed-client", std::process::id());
    let mut server = Server::bind(ServerConfig::new(&name)).unwrap();
    let mut client = helper(&format!("client {name}"));
    let stem = format!("qb-{}-{}-", std::process::id(), client.id());
    let lp = Loop::new().unwrap();
    lp.add(server.fd(), Token(1), Interest::READ).unwrap();
    let client_pid = client.id();
    let mut next = || loop {
        if let Some(event) = server.next(&mut vec![]) {
            if let ServerEvent::Connect { conn, credentials } = event {
                assert_eq!(credentials.pid, client_pid);
                server.accept(conn);
            }
            return event;
        }
        lp.wait(None, &mut vec![]).unwrap();
    };
    let ServerEvent::Connect { conn, .. } = next() else { panic!("nobody connects") };
    assert_eq!(directories(&stem), 1);
    client.kill().unwrap();
    assert_eq!(next(), ServerEvent::Disconnect { conn });
    assert_eq!(directories(&stem), 0);
    client.wait().unwrap();
}
