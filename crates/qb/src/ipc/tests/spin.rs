//! A client that waits sleeps, whatever state the server leaves it in.

use super::*;
use crate::ipc::ring::Ring;
use crate::ipc::wire::ConnectResponse;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::time::{ClockId, clock_gettime};
use std::path::PathBuf;
use std::time::Instant;

/// What the server does after it let a client in.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Nothing,
    /// Wakeup bytes without events.
    Bytes(usize),
    /// No byte, but an event.
    EventWithoutByte,
    /// Shuts down what it sends, or both ways, or closes.
    ShutdownWrite,
    ShutdownBoth,
    Close,
    /// Closes with a request of the client's unread, which resets the stream.
    Reset,
    /// An event, and its byte, and the end.
    LastWords,
    /// Answers the handshake halfway, or not at all.
    HalfAnswer,
    NoAnswer,
    Refusal,
}

/// A server of one client, by hand: it can do what no server of ours would.
fn serve(name: &str, then: Then) -> std::thread::JoinHandle<()> {
    let flags = SocketFlags::CLOEXEC;
    let listener = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let listener = listener.unwrap();
    rustix::net::bind(&listener, &address::service_address(name, None).unwrap()).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let base = format!("/dev/shm/{name}");
    std::thread::spawn(move || {
        let stream = rustix::net::accept(&listener).unwrap();
        let send = |bytes: &[u8]| {
            let _ = rustix::net::send(&stream, bytes, SendFlags::NOSIGNAL);
        };
        rustix::net::recv(&stream, &mut [0u8; 24][..], RecvFlags::WAITALL).unwrap();
        let paths =
            ["request", "response", "event"].map(|what| PathBuf::from(format!("{base}-{what}")));
        let mut rings = paths.clone().map(|path| Ring::create(&path, 12_328, &|_| Ok(())).unwrap());
        let name_of = |at: usize| paths[at].as_os_str().as_encoded_bytes().to_vec();
        let answer = ConnectResponse {
            connection_type: 1,
            max_msg_size: 12_328,
            connection: 1,
            request: name_of(0),
            response: name_of(1),
            event: name_of(2),
        }
        .encode();
        match then {
            Then::NoAnswer => {}
            Then::HalfAnswer => send(&answer[..100]),
            Then::Refusal => send(&wire::connect_denial(libc::EACCES)),
            _ => {
                send(&answer);
                // Until the client has mapped the rings.
                while rings[2].ref_count().load(Ordering::Acquire) < 2 {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        let event = wire::response(9, 1, 24);
        let pause = Duration::from_millis(300);
        match then {
            Then::Bytes(count) => send(&vec![0; count]),
            Then::EventWithoutByte => rings[2].write(&[&event]).unwrap(),
            Then::ShutdownWrite => {
                rustix::net::shutdown(&stream, rustix::net::Shutdown::Write).unwrap();
            }
            Then::ShutdownBoth => {
                rustix::net::shutdown(&stream, rustix::net::Shutdown::Both).unwrap();
            }
            Then::LastWords => {
                rings[2].write(&[&event]).unwrap();
                send(&[0]);
            }
            Then::Reset => std::thread::sleep(Duration::from_millis(50)),
            _ => {}
        }
        let stays = matches!(
            then,
            Then::Nothing
                | Then::Bytes(_)
                | Then::EventWithoutByte
                | Then::ShutdownWrite
                | Then::ShutdownBoth
        );
        if stays {
            std::thread::sleep(3 * pause);
        }
        drop(stream);
        for path in paths.iter().flat_map(|path| Ring::files(path)) {
            let _ = std::fs::remove_file(path);
        }
    })
}

fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

#[test]
fn a_waiting_client_sleeps_whatever_the_server_does() {
    let cases = [
        (Then::Nothing, true, false),
        (Then::Bytes(1), true, false),
        (Then::Bytes(500), true, false),
        (Then::EventWithoutByte, false, true),
        (Then::ShutdownWrite, false, false),
        (Then::ShutdownBoth, false, false),
        (Then::Close, false, false),
        (Then::Reset, false, false),
        (Then::LastWords, false, true),
        (Then::HalfAnswer, false, false),
        (Then::NoAnswer, false, false),
        (Then::Refusal, false, false),
    ];
    for (at, (then, waits_in_vain, gets_event)) in cases.into_iter().enumerate() {
        let name = format!("qb-spin-{}-{at}", std::process::id());
        let server = serve(&name, then);
        let (began, before) = (Instant::now(), cpu());
        let Ok(mut client) = Client::connect(&name, 0) else {
            let expected = matches!(then, Then::HalfAnswer | Then::NoAnswer | Then::Refusal);
            assert!(expected, "{then:?}");
            server.join().unwrap();
            continue;
        };
        if then == Then::Reset {
            let _ = client.send(&[&message(b"unread")]);
        }
        let mut event = vec![];
        let wait = Some(Duration::from_millis(200));
        let got = client.event(&mut event, wait);
        assert_eq!(matches!(got, Ok(true)), gets_event, "{then:?} {got:?}");
        assert_eq!(matches!(got, Ok(false)), waits_in_vain, "{then:?} {got:?}");
        if waits_in_vain {
            // What woke it is consumed: a loop around the descriptor sleeps, too.
            let deadline = Some(Instant::now() + Duration::from_millis(50));
            assert!(!client.wait_readable(deadline).unwrap(), "{then:?}");
            let error = client.recv(&mut event, wait).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT), "{then:?}");
        } else {
            let error = client.recv(&mut event, TIMEOUT).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN), "{then:?}");
            let error = client.event(&mut event, TIMEOUT).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTCONN), "{then:?}");
        }
        assert!(cpu() - before < Duration::from_millis(60), "{then:?} used {:?}", cpu() - before);
        assert!(began.elapsed() < Duration::from_secs(5), "{then:?}");
        drop(client);
        server.join().unwrap();
    }
}
