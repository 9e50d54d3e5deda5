//! Clients that do not read: what waits for them is bounded, and nobody else waits.

use super::*;

/// What a client sends without reading.
const REQUESTS: usize = 180;

/// A service whose events may queue up to this many bytes.
const QUEUE_MAX: usize = 40_000;

fn service(transport: Transport) -> (Server, Loop, String) {
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = format!("qb-stalled-{}-{number}", std::process::id());
    let config =
        ServerConfig { transport, queued_bytes_max: QUEUE_MAX, ..ServerConfig::new(&name) };
    let server = Server::bind(config).unwrap();
    let lp = Loop::new().unwrap();
    lp.add(server.fd(), Token(1), Interest::READ).unwrap();
    (server, lp, name)
}

/// Serves until `enough` says so; gives the requests taken.
fn serve(server: &mut Server, lp: &Loop, mut enough: impl FnMut(&ServerEvent) -> bool) -> usize {
    let (mut events, mut request, mut taken) = (vec![], vec![], 0);
    for _ in 0..200 {
        let soon = crate::mainloop::now() + Duration::from_millis(10);
        lp.wait(Some(soon), &mut events).unwrap();
        while let Some(event) = server.next(&mut request) {
            match event {
                ServerEvent::Connect { conn, .. } => server.accept(conn),
                ServerEvent::Request { conn } => {
                    taken += 1;
                    let mut answer = wire::response(3, 0, 24);
                    answer.resize(4000, 0);
                    wire::set_size(&mut answer);
                    server.respond(conn, &answer);
                }
                ServerEvent::Disconnect { .. } => {}
            }
            if enough(&event) {
                return taken;
            }
        }
    }
    taken
}

#[test]
fn a_client_that_reads_no_events_is_disconnected_when_its_queue_is_full() {
    for transport in [Transport::Shm, Transport::Socket] {
        let (mut server, lp, name) = service(transport);
        let join = std::thread::spawn(move || Client::connect(&name, 12_328).unwrap());
        let mut connected = None;
        serve(&mut server, &lp, |event| {
            connected = match event {
                ServerEvent::Connect { conn, .. } => Some(*conn),
                _ => connected,
            };
            connected.is_some()
        });
        let conn = connected.unwrap();
        let stalled = join.join().unwrap();
        let mut event = wire::response(9, 1, 24);
        event.resize(1000, 0);
        wire::set_size(&mut event);
        let mut sent = 0;
        while server.event(conn, &event) {
            sent += 1;
            assert!(server.queued_bytes(conn) <= QUEUE_MAX);
            assert!(sent < 100_000, "no end for {transport:?}");
        }
        // The ring or the socket took some, the queue its share.
        assert!(sent >= QUEUE_MAX / 1048, "{transport:?}: {sent}");
        assert!(server.stats(conn).is_none(), "{transport:?}");
        let mut ended = false;
        serve(&mut server, &lp, |event| {
            ended |= matches!(event, ServerEvent::Disconnect { conn: who } if *who == conn);
            ended
        });
        assert!(ended, "{transport:?}: the daemon was not told");
        drop(stalled);
    }
}

#[test]
fn a_client_that_reads_no_answers_gets_no_more_of_them() {
    let (mut server, lp, name) = service(Transport::Shm);
    let join = std::thread::spawn(move || {
        let mut client = Client::connect(&name, 60_000).unwrap();
        let request = message(b"more");
        let mut sent = 0;
        // Fewer than the socket holds wakeups that nobody reads (about 270): the client must not
        // wait for the server, which waits for the client.
        for _ in 0..REQUESTS {
            sent += usize::from(client.send(&[&request]).is_ok());
        }
        (client, sent)
    });
    let taken = serve(&mut server, &lp, |_| false);
    let (mut client, sent) = join.join().unwrap();
    assert!(sent == REQUESTS && taken < 100, "{taken} of {sent} answered");
    // Once it reads, all are answered.
    let reader = std::thread::spawn(move || {
        let mut answer = vec![];
        (0..sent).filter(|_| client.recv(&mut answer, TIMEOUT).is_ok()).count()
    });
    let mut total = taken;
    for _ in 0..100 {
        if total == sent {
            break;
        }
        let mut left = sent - total;
        total += serve(&mut server, &lp, |event| {
            left -= usize::from(matches!(event, ServerEvent::Request { .. }));
            left == 0
        });
    }
    let (events, mut request) = (&mut vec![], vec![]);
    while !reader.is_finished() {
        lp.wait(Some(crate::mainloop::now() + Duration::from_millis(5)), events).unwrap();
        while server.next(&mut request).is_some() {}
    }
    assert_eq!((total, reader.join().unwrap()), (sent, sent));
}

/// Takes requests without answering them until there are no more or `enough` were taken; then the
/// pass is broken off.
fn take(server: &mut Server, lp: &Loop, enough: usize) -> usize {
    let (mut events, mut request, mut taken) = (vec![], vec![], 0);
    for _ in 0..20 {
        let soon = crate::mainloop::now() + Duration::from_millis(10);
        lp.wait(Some(soon), &mut events).unwrap();
        if events.is_empty() {
            continue;
        }
        while let Some(event) = server.next(&mut request) {
            match event {
                ServerEvent::Connect { conn, .. } => server.accept(conn),
                ServerEvent::Request { .. } => taken += 1,
                ServerEvent::Disconnect { .. } => {}
            }
            if taken == enough {
                server.break_off();
                return taken;
            }
        }
    }
    taken
}

#[test]
fn a_pass_that_is_broken_off_forgets_nobody() {
    let (mut server, lp, name) = service(Transport::Shm);
    let (sent, has_sent) = std::sync::mpsc::channel();
    let (go_on, going_on) = std::sync::mpsc::channel();
    let sender = std::thread::spawn(move || {
        let mut client = Client::connect(&name, 60_000).unwrap();
        let request = message(b"more");
        // Together more than a turn; each less than the socket holds wakeups.
        for count in [150, 200] {
            going_on.recv().unwrap();
            for _ in 0..count {
                client.send(&[&request]).unwrap();
            }
            sent.send(()).unwrap();
        }
        client
    });
    let mut taken = 0;
    for enough in [usize::MAX, 3, usize::MAX] {
        taken += take(&mut server, &lp, enough);
        if taken < 350 {
            go_on.send(()).unwrap();
            has_sent.recv().unwrap();
        }
    }
    assert_eq!(taken, 350);
    drop(sender.join().unwrap());
}
