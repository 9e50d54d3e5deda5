//! How fast requests go round and events arrive: `cargo bench -p qb`.
//!
//! A server thread and a client thread of one process, in both transports. One line each:
//! round trips a second, one-way requests a second, events a second.

#![allow(clippy::unwrap_used)]

use qb::ipc::{Client, Server, ServerConfig, ServerEvent, Transport, wire};
use qb::mainloop::{Interest, Loop, Token};
use std::time::{Duration, Instant};

const ECHO: i32 = 1;
const SINK: i32 = 2;
const EVENTS: i32 = 3;
const STOP: i32 = 4;

fn serve(mut server: Server) {
    let lp = Loop::new().unwrap();
    lp.add(server.fd(), Token(1), Interest::READ).unwrap();
    let (mut ready, mut request) = (vec![], vec![]);
    loop {
        lp.wait(None, &mut ready).unwrap();
        while let Some(event) = server.next(&mut request) {
            match event {
                ServerEvent::Connect { conn, .. } => server.accept(conn),
                ServerEvent::Request { conn } => match wire::id(&request) {
                    Some(ECHO) => {
                        server.respond(conn, &request);
                    }
                    Some(EVENTS) => {
                        let count = wire::get_u32(&request, 16).unwrap();
                        let size = wire::get_u32(&request, 20).unwrap() as usize;
                        let event = wire::response(9, 1, size);
                        for _ in 0..count {
                            server.event(conn, &event);
                        }
                    }
                    Some(STOP) => return,
                    _ => {}
                },
                ServerEvent::Disconnect { .. } => {}
            }
        }
    }
}

fn rate(count: u32, work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn main() {
    let timeout = Some(Duration::from_secs(60));
    for transport in [Transport::Shm, Transport::Socket] {
        let name = format!("qb-bench-{}-{transport:?}", std::process::id());
        let server = Server::bind(ServerConfig { transport, ..ServerConfig::new(&name) }).unwrap();
        let thread = std::thread::spawn(move || serve(server));
        let mut client = Client::connect(&name, 1 << 20).unwrap();
        let mut buffer = vec![];
        for size in [64usize, 1_024, 16_384, 131_072] {
            // Event queues have no limit: keep them small enough to measure the transport.
            let count = (32 << 20) / size as u32;
            let count = count.min(50_000);
            let mut echo = wire::request(ECHO, size);
            let round_trips = rate(count, || {
                for _ in 0..count {
                    client.call(&[&echo], &mut buffer, timeout).unwrap();
                }
            });
            let sink = wire::request(SINK, size);
            let one_way = rate(count, || {
                for _ in 0..count {
                    while client.send(&[&sink]).is_err() {
                        std::thread::yield_now();
                    }
                }
                wire::put_i32(&mut echo, 0, ECHO);
                while client.send(&[&echo]).is_err() {
                    std::thread::yield_now();
                }
                client.recv(&mut buffer, timeout).unwrap();
            });
            let mut ask = wire::request(EVENTS, 24);
            wire::put_u32(&mut ask, 16, count);
            wire::put_u32(&mut ask, 20, size as u32);
            let events = rate(count, || {
                client.send(&[&ask]).unwrap();
                for _ in 0..count {
                    client.event(&mut buffer, timeout).unwrap();
                }
            });
            println!(
                "{transport:?} {size:>7} B: {round_trips:>9.0} round trips/s {one_way:>9.0} requests/s {events:>9.0} events/s"
            );
        }
        client.send(&[&wire::request(STOP, 16)]).unwrap();
        thread.join().unwrap();
    }
}
