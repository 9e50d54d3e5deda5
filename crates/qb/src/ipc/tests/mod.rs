//! Server and client over the real kernel, in both transports.

use super::*;
use crate::mainloop::{Interest, Loop, Token};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

mod dead;
mod hostile;
mod spin;
mod stalled;

static COUNTER: AtomicU32 = AtomicU32::new(0);

/// A service of its own name that answers requests in a thread: request bytes come back as the
/// response; a first payload byte `e` sends as many events as the next u32 says, `d` disconnects.
struct Echo {
    name: String,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<Vec<ServerEvent>>>,
}

impl Echo {
    fn start(transport: Transport) -> Echo {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qb-test-{}-{number}", std::process::id());
        let stop = Arc::new(AtomicBool::new(false));
        let config = ServerConfig { transport, ..ServerConfig::new(&name) };
        let mut server = Server::bind(config).unwrap();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let lp = Loop::new().unwrap();
            lp.add(server.fd(), Token(1), Interest::READ).unwrap();
            let (mut events, mut request, mut seen) = (vec![], vec![], vec![]);
            while !stopping.load(Ordering::Relaxed) {
                let soon = crate::mainloop::now() + Duration::from_millis(5);
                lp.wait(Some(soon), &mut events).unwrap();
                if events.is_empty() {
                    continue;
                }
                while let Some(event) = server.next(&mut request) {
                    seen.push(event);
                    match event {
                        ServerEvent::Connect { conn, credentials } => {
                            assert_eq!(credentials.pid, std::process::id());
                            server.accept(conn);
                        }
                        ServerEvent::Request { conn } => {
                            assert_eq!(wire::size(&request), Some(request.len() as i32));
                            match request.get(16) {
                                Some(b'e') => {
                                    let count = wire::get_u32(&request, 20).unwrap();
                                    for number in 0..count {
                                        let mut event = wire::response(9, 1, 24);
                                        wire::put_u32(&mut event, 24, number);
                                        event.resize(1000, 0);
                                        wire::set_size(&mut event);
                                        assert!(server.event(conn, &event));
                                    }
                                }
                                Some(b'd') => server.disconnect(conn),
                                _ => assert!(server.respond(conn, &request)),
                            }
                        }
                        ServerEvent::Disconnect { .. } => {}
                    }
                }
            }
            seen
        });
        Echo { name, stop, thread: Some(thread) }
    }

    fn finish(mut self) -> Vec<ServerEvent> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn message(payload: &[u8]) -> Vec<u8> {
    let mut request = wire::request(3, 16);
    request.extend_from_slice(payload);
    wire::set_size(&mut request);
    request
}

const TIMEOUT: Option<Duration> = Some(Duration::from_secs(10));

#[test]
fn requests_are_answered_and_sizes_wrap_around_the_ring() {
    for transport in [Transport::Shm, Transport::Socket] {
        let echo = Echo::start(transport);
        let mut client = Client::connect(&echo.name, 60_000).unwrap();
        assert_eq!(client.max_msg_size(), 60_000);
        let mut response = vec![];
        for size in (0..200).chain([5_000, 59_000, 59_984, 31_001, 59_983]) {
            let payload: Vec<u8> = (0..size).map(|n| (n * 7 + size) as u8 & 0x3f).collect();
            let request = message(&payload);
            // In two parts, as vectored sends do.
            client.call(&[&request[..16], &request[16..]], &mut response, TIMEOUT).unwrap();
            assert_eq!(response, request, "{transport:?} {size}");
        }
        let too_big = message(&[0; 60_000]);
        let error = client.send(&[&too_big]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        drop(client);
        let seen = echo.finish();
        assert!(matches!(seen[0], ServerEvent::Connect { .. }));
    }
}

#[test]
fn events_beyond_the_ring_wait_in_order() {
    for transport in [Transport::Shm, Transport::Socket] {
        let echo = Echo::start(transport);
        let mut client = Client::connect(&echo.name, 12_328).unwrap();
        let mut request = message(b"e...");
        wire::put_u32(&mut request, 20, 500);
        wire::set_size(&mut request);
        client.send(&[&request]).unwrap();
        let mut event = vec![];
        for number in 0..500 {
            assert!(client.event(&mut event, TIMEOUT).unwrap(), "{transport:?} {number}");
            assert_eq!(wire::get_u32(&event, 24), Some(number));
            assert_eq!(event.len(), 1000);
        }
        assert!(!client.try_event(&mut event).unwrap());
        echo.finish();
    }
}

#[test]
fn either_side_sees_the_others_end_and_nothing_stays_behind() {
    let left_behind = || {
        let stem = format!("qb-{}-", std::process::id());
        std::fs::read_dir("/dev/shm")
            .unwrap()
            .filter(|entry| {
                let name = entry.as_ref().unwrap().file_name();
                name.to_string_lossy().starts_with(&stem)
            })
            .count()
    };
    for transport in [Transport::Shm, Transport::Socket] {
        let echo = Echo::start(transport);
        let client = Client::connect(&echo.name, 0).unwrap();
        drop(client);
        let mut client = Client::connect(&echo.name, 0).unwrap();
        assert!(client.is_connected());
        client.send(&[&message(b"d")]).unwrap();
        let error = client.recv(&mut vec![], TIMEOUT).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN));
        assert!(!client.is_connected());
        let seen = echo.finish();
        let ends = seen.iter().filter(|e| matches!(e, ServerEvent::Disconnect { .. })).count();
        assert_eq!(ends, 2, "{transport:?}");
    }
    // Other tests run beside this one; theirs come and go, too.
    let calm = (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        left_behind() == 0
    });
    assert!(calm);
}

#[test]
fn a_denied_client_gets_the_errno() {
    let name = format!("qb-test-{}-deny", std::process::id());
    let mut server = Server::bind(ServerConfig::new(&name)).unwrap();
    let client = std::thread::spawn(move || Client::connect(&name, 0).map(|_| ()));
    let lp = Loop::new().unwrap();
    lp.add(server.fd(), Token(1), Interest::READ).unwrap();
    let mut denied = false;
    while !denied {
        lp.wait(None, &mut vec![]).unwrap();
        while let Some(event) = server.next(&mut vec![]) {
            if let ServerEvent::Connect { conn, .. } = event {
                server.reject(conn, libc::EACCES);
                denied = true;
            }
        }
    }
    let error = client.join().unwrap().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EACCES));
    let missing = Client::connect("qb-test-nobody-is-here", 0).unwrap_err();
    assert_eq!(missing.raw_os_error(), Some(libc::ECONNREFUSED));
}
