//! Clients that send garbage, write garbage into the shared rings, truncate the files under the
//! server, or vanish at the worst time. The server must go on serving the others.

use super::*;
use crate::ipc::address;
use crate::ipc::client::receive_answer;
use crate::ipc::wire::ConnectResponse;
use rustix::fd::OwnedFd;
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

/// xorshift: the same garbage every time.
struct Garbage(u64);

impl Garbage {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Words that mean something to the other side, among others.
    fn word(&mut self) -> u32 {
        match self.below(6) {
            0 => 0xA1A1_A1A1,
            1 => 16,
            2 => u32::MAX,
            3 => self.below(64) as u32,
            4 => self.below(4000) as u32,
            _ => self.next() as u32,
        }
    }
}

fn stream(name: &str) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let stream = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let stream = stream.unwrap();
    let address = address::service_address(name, None).unwrap();
    rustix::net::connect(&stream, &address).unwrap();
    stream
}

fn send(stream: &OwnedFd, bytes: &[u8]) {
    // The server may have hung up on us, as it should.
    let _ = rustix::net::send(stream, bytes, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

fn still_serves(echo: &Echo) {
    let mut client = Client::connect(&echo.name, 0).unwrap();
    let (request, mut response) = (message(b"still there?"), vec![]);
    client.call(&[&request], &mut response, TIMEOUT).unwrap();
    assert_eq!(response, request);
}

#[test]
fn garbage_instead_of_a_handshake() {
    let mut garbage = Garbage(1);
    let echo = Echo::start(Transport::Shm);
    let mut half_open = vec![];
    for _ in 0..200 {
        let stream = stream(&echo.name);
        let mut bytes = match garbage.below(3) {
            0 => wire::connect_request(garbage.below(1 << 20) as u32),
            _ => {
                let length = garbage.below(64);
                garbage.bytes(length)
            }
        };
        let length = garbage.below(bytes.len() as u64 + 1) as usize;
        bytes.truncate(length);
        send(&stream, &bytes);
        if garbage.below(4) == 0 {
            half_open.push(stream);
        }
    }
    still_serves(&echo);
    drop(half_open);
    still_serves(&echo);
    echo.finish();
}

/// The files of a fresh connection, whose rings nobody follows.
fn raw_connection(name: &str) -> (OwnedFd, Vec<PathBuf>) {
    let stream = stream(name);
    send(&stream, &wire::connect_request(20_000));
    let answer = ConnectResponse::parse(&receive_answer(&stream).unwrap()).unwrap();
    let files = [&answer.request, &answer.response, &answer.event]
        .into_iter()
        .flat_map(|base| ring::Ring::files(address::path_of(base)))
        .collect();
    (stream, files)
}

#[test]
fn garbage_in_the_rings() {
    let mut garbage = Garbage(2);
    let echo = Echo::start(Transport::Shm);
    for round in 0..150 {
        let (stream, paths) = raw_connection(&echo.name);
        for path in &paths {
            let Ok(file) = std::fs::File::options().write(true).read(true).open(path) else {
                continue;
            };
            let is_header = path.to_string_lossy().ends_with("-header");
            let length = file.metadata().unwrap().len();
            match garbage.below(8) {
                0 => file.set_len(0).unwrap(),
                1 => file.set_len(garbage.below(length)).unwrap(),
                // The server may have been quicker.
                2 => drop(std::fs::remove_file(path)),
                _ => {}
            }
            for _ in 0..garbage.below(40) {
                let at = if is_header {
                    // The indices, the sizes, the semaphore, the flow-control word.
                    [0, 4, 8, 8204, 8208, 8212, 8216, 8240][garbage.below(8) as usize]
                } else {
                    garbage.below(64) * 4
                };
                file.write_all_at(&garbage.word().to_ne_bytes(), at).unwrap();
            }
            send(&stream, &[0; 8]);
        }
        send(&stream, &vec![0; garbage.below(300) as usize]);
        if round % 10 == 0 {
            still_serves(&echo);
        }
    }
    still_serves(&echo);
    echo.finish();
}

#[test]
fn a_chunk_that_lies_about_its_size_ends_the_connection() {
    let echo = Echo::start(Transport::Shm);
    for (chunk, size) in [(15u32, 15i32), (16, 17), (16, 15), (24, -1), (20_001, 16), (16, 16)] {
        let (stream, paths) = raw_connection(&echo.name);
        let file = |index: usize| std::fs::File::options().write(true).open(&paths[index]).unwrap();
        let (header, data) = (file(0), file(1));
        for (at, word) in [(0, chunk), (4, 0xA1A1_A1A1), (8, 3), (16, size as u32)] {
            data.write_all_at(&word.to_ne_bytes(), at).unwrap();
        }
        header.write_all_at(&1u32.to_ne_bytes(), 8208).unwrap();
        send(&stream, &[0]);
        let mut end = [0; 1];
        let is_honest = chunk == 16 && size == 16;
        if is_honest {
            // Answered; the connection stays.
            std::thread::sleep(Duration::from_millis(50));
            let mut semaphore = [0; 4];
            let response = std::fs::File::open(&paths[2]).unwrap();
            response.read_exact_at(&mut semaphore, 8208).unwrap();
            assert_eq!(u32::from_ne_bytes(semaphore), 1);
        } else {
            // Reset instead of end when our byte was not read any more.
            let end = rustix::net::recv(&stream, &mut end, rustix::net::RecvFlags::empty());
            let ended = matches!(end, Ok((0, _)) | Err(rustix::io::Errno::CONNRESET));
            assert!(ended, "chunk {chunk} size {size}: {end:?}");
        }
    }
    echo.finish();
}

#[test]
fn garbage_datagrams() {
    let mut garbage = Garbage(3);
    let echo = Echo::start(Transport::Socket);
    let stranger = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for round in 0..40 {
        let stream = stream(&echo.name);
        send(&stream, &wire::connect_request(20_000));
        let answer = ConnectResponse::parse(&receive_answer(&stream).unwrap()).unwrap();
        let names = address::DatagramNames::new(&answer.response).unwrap();
        let flags = SocketFlags::CLOEXEC;
        let own = rustix::net::socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None);
        let own = own.unwrap();
        if round % 2 == 0 {
            rustix::net::bind(&own, &names.response).unwrap();
        }
        for _ in 0..8 {
            let length = garbage.below(64);
            let mut bytes = garbage.bytes(length);
            if garbage.below(2) == 0 {
                bytes.splice(..bytes.len().min(12), wire::request(1, 16)[..12].to_vec());
            }
            let flags = SendFlags::DONTWAIT;
            let _ = rustix::net::sendto(&own, &bytes, flags, &names.request);
            let _ = rustix::net::sendto(&stranger, &bytes, flags, &names.request);
        }
    }
    still_serves(&echo);
    echo.finish();
}

#[test]
fn an_event_flood_to_a_client_that_does_not_read_does_not_block_the_others() {
    for transport in [Transport::Shm, Transport::Socket] {
        let echo = Echo::start(transport);
        let mut deaf = Client::connect(&echo.name, 0).unwrap();
        let mut request = message(b"e...");
        wire::put_u32(&mut request, 20, 5_000);
        wire::set_size(&mut request);
        deaf.send(&[&request]).unwrap();
        still_serves(&echo);
        drop(deaf);
        still_serves(&echo);
        echo.finish();
    }
}

#[test]
fn half_open_connections_make_room_for_others() {
    let echo = Echo::start(Transport::Shm);
    let half_open: Vec<OwnedFd> = (0..200).map(|_| stream(&echo.name)).collect();
    still_serves(&echo);
    let ended = |stream: &&OwnedFd| {
        let flags = rustix::net::RecvFlags::DONTWAIT;
        matches!(rustix::net::recv(stream, &mut [0u8; 1], flags), Ok((0, _)))
    };
    // 128 may wait; the one that was served came last.
    assert_eq!(half_open.iter().filter(ended).count(), 200 - 128 + 1);
    assert!(ended(&&half_open[0]) && !ended(&&half_open[199]));
    echo.finish();
}
