//! One pass over what is ready: new clients, handshakes, requests, messages that waited.
//!
//! The counting of wakeup bytes is the delicate part: a client writes a request, posts the
//! semaphore, and then sends one byte. A pass takes at most as many bytes as it takes requests,
//! or it empties the ring; either way every request that remains has a byte that remains, and the
//! level-triggered epoll wakes us for it.

use super::{
    Conn, ConnId, HANDSHAKES_MAX, KICK, LISTENER, REQUESTS_PER_TURN, RETRY_MAX_NANOS,
    RETRY_MIN_NANOS, Server, ServerEvent, State, TIMER, reserve_descriptor,
};
use crate::ipc::{peer, wire};
use crate::mainloop::{Event, Interest, Token};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketFlags};
use rustix::time::{Itimerspec, TimerfdTimerFlags, Timespec};

/// What looking for a request gave.
pub(super) enum Took {
    Request,
    Nothing,
    End,
}

impl Server {
    /// Looks at all descriptors once.
    pub(super) fn poll(&mut self) {
        let mut events = std::mem::take(&mut self.events);
        // Fails only for a bad descriptor, which ours is not.
        let _ = self.epoll.wait(Some(base::Time::ZERO), &mut events);
        for event in &events {
            match event.token.0 {
                LISTENER => self.accept_streams(),
                TIMER => self.flush_all(),
                KICK => {
                    let mut count = [0; 8];
                    let _ = rustix::io::read(&self.kick, &mut count);
                }
                token => self.stream_event(token / 2, token % 2 == 1, event),
            }
        }
        self.events = events;
    }

    pub(super) fn accept_streams(&mut self) {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        loop {
            let stream = match rustix::net::accept_with(&self.listener, flags) {
                Ok(stream) => stream,
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(Errno::MFILE | Errno::NFILE) => {
                    // The client stays in the backlog and would wake us for ever: with the
                    // descriptor kept for this it can be sent away.
                    self.reserve = None;
                    let refused = rustix::net::accept_with(&self.listener, flags);
                    let more = refused.is_ok();
                    drop(refused);
                    self.reserve = reserve_descriptor();
                    if more && self.reserve.is_some() {
                        continue;
                    }
                    return;
                }
                Err(_) => return,
            };
            let Ok(credentials) = peer::credentials(&stream) else { continue };
            self.limit_handshakes(credentials.uid);
            let id = self.next_id;
            self.next_id += 1;
            if self.epoll.add(&stream, Token(id * 2), Interest::READ).is_err() {
                continue;
            }
            let state = State::Handshake(Vec::new());
            let interest = Interest::READ;
            let conn = Conn { stream, credentials, state, interest, turn: 0, hung_up: false };
            self.conns.insert(id, conn);
            // Most clients have sent their request by now.
            self.handshake(id);
        }
    }

    /// Makes room for one more client of a user by giving up the one that has dawdled longest.
    fn limit_handshakes(&mut self, uid: u32) {
        let waiting = self.conns.iter().filter(|(_, conn)| {
            conn.credentials.uid == uid && matches!(conn.state, State::Handshake(_))
        });
        let ids: Vec<u64> = waiting.map(|(id, _)| *id).collect();
        if let (Some(oldest), true) = (ids.first(), ids.len() >= HANDSHAKES_MAX) {
            self.conns.remove(oldest);
        }
    }

    pub(super) fn stream_event(&mut self, id: u64, is_datagram: bool, event: &Event) {
        // A pass that was broken off left it in its turn: the bytes of those requests are taken, and
        // no more may be before the turn is over.
        let in_turn = self.ready.contains(&id);
        let Some(conn) = self.conns.get_mut(&id) else { return };
        match &mut conn.state {
            State::Handshake(_) => self.handshake(id),
            // It must wait for the answer; if it does not, it is gone.
            State::Asking(_) => {
                if event.hangup || event.error {
                    self.conns.remove(&id);
                }
            }
            State::Open(open) => {
                if event.writable && open.pay_bytes(&conn.stream).is_err() {
                    conn.hung_up = true;
                }
                if event.readable && !is_datagram && !in_turn {
                    // No more bytes than requests are taken in a turn, so that a byte remains for
                    // every request that remains (each is written before its byte).
                    let mut bytes = [0u8; REQUESTS_PER_TURN];
                    let reading = !open.is_stopped();
                    if reading {
                        match rustix::net::recv(&conn.stream, &mut bytes, RecvFlags::DONTWAIT) {
                            Ok((0, _)) => conn.hung_up = true,
                            Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {}
                            Err(_) => conn.hung_up = true,
                        }
                    }
                }
                conn.hung_up |= event.hangup || event.error;
                if !in_turn {
                    self.ready.push_back(id);
                    conn.turn = REQUESTS_PER_TURN;
                }
                if conn.wants_write() != conn.interest.write {
                    self.update_interest(id);
                }
            }
        }
    }

    pub(super) fn handshake(&mut self, id: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let State::Handshake(so_far) = &mut conn.state else { return };
        let mut bytes = [0u8; wire::CONNECT_REQUEST];
        let missing = wire::CONNECT_REQUEST - so_far.len();
        match rustix::net::recv(&conn.stream, &mut bytes[..missing], RecvFlags::DONTWAIT) {
            Ok((0, _)) => {
                self.conns.remove(&id);
                return;
            }
            Ok((got, _)) => so_far.extend_from_slice(&bytes[..got.min(missing)]),
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => {
                self.conns.remove(&id);
                return;
            }
        }
        if so_far.len() < wire::CONNECT_REQUEST {
            return;
        }
        match wire::parse_connect_request(so_far) {
            Some(wanted) => {
                conn.state = State::Asking(wanted);
                let credentials = conn.credentials;
                self.outbox.push_back(ServerEvent::Connect { conn: ConnId(id), credentials });
            }
            None => {
                self.conns.remove(&id);
            }
        }
    }

    pub(super) fn take_request(&mut self, id: u64, request: &mut Vec<u8>) -> Took {
        let Some(conn) = self.conns.get_mut(&id) else { return Took::Nothing };
        let State::Open(open) = &mut conn.state else { return Took::Nothing };
        let stopped = open.is_stopped();
        if (stopped && !conn.hung_up) || conn.turn == 0 {
            return Took::Nothing;
        }
        conn.turn -= 1;
        match open.recv_request(request) {
            Ok(true) => {
                // Neither the chunk's length nor the header's word is trusted.
                let size = wire::size(request).and_then(|size| usize::try_from(size).ok());
                match size {
                    Some(size)
                        if (wire::REQUEST_HEADER..=request.len()).contains(&size)
                            && request.len() <= open.max_msg_size as usize =>
                    {
                        request.truncate(size);
                    }
                    _ => return Took::End,
                }
                if wire::id(request) == Some(wire::ID_DISCONNECT) {
                    return Took::End;
                }
                open.stats.requests += 1;
                Took::Request
            }
            Ok(false) if conn.hung_up => Took::End,
            Ok(false) => {
                if conn.turn == REQUESTS_PER_TURN - 1 {
                    open.stats.recv_retries += 1;
                }
                Took::Nothing
            }
            Err(_) => Took::End,
        }
    }

    /// Ends an accepted connection.
    pub(super) fn end(&mut self, id: u64) {
        if let Some(conn) = self.conns.remove(&id) {
            let _ = rustix::net::shutdown(&conn.stream, rustix::net::Shutdown::Both);
            if matches!(conn.state, State::Open(_)) {
                self.closed += 1;
                self.outbox.push_back(ServerEvent::Disconnect { conn: ConnId(id) });
            }
        }
    }

    /// Has a connection's requests looked at although no byte came.
    pub(super) fn wake(&mut self, id: u64) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.turn = REQUESTS_PER_TURN;
            self.ready.push_back(id);
            self.kick();
        }
    }

    /// Makes our descriptor readable, unless the daemon is already asking.
    pub(super) fn kick(&self) {
        if !self.in_pass {
            // The counter can only overflow after 2^64 kicks.
            let _ = rustix::io::write(&self.kick, &1u64.to_ne_bytes());
        }
    }

    /// At the end of a pass: what was left to do in it has been done, or is known to epoll.
    pub(super) fn settle(&mut self) {
        if !self.outbox.is_empty() || !self.ready.is_empty() {
            self.kick();
        }
    }

    pub(super) fn flush_all(&mut self) {
        let mut expirations = [0; 8];
        let _ = rustix::io::read(&self.timer, &mut expirations);
        let (mut backlog, mut progress) = (false, false);
        let (mut broken, mut freed) = (Vec::new(), Vec::new());
        for (id, conn) in &mut self.conns {
            if let State::Open(open) = &mut conn.state
                && open.has_backlog()
            {
                let before = open.stats.events + open.stats.responses;
                let was_stopped = open.is_stopped();
                if open.flush(&conn.stream).is_err() {
                    broken.push(*id);
                } else if was_stopped && !open.is_stopped() {
                    freed.push(*id);
                }
                progress |= open.stats.events + open.stats.responses > before;
                backlog |= open.has_backlog();
            }
        }
        for id in broken {
            self.end(id);
        }
        for id in freed {
            self.update_interest(id);
            self.wake(id);
        }
        self.set_timer(match (backlog, progress) {
            (false, _) => 0,
            (true, true) => RETRY_MIN_NANOS,
            (true, false) => (self.retry_nanos * 2).clamp(RETRY_MIN_NANOS, RETRY_MAX_NANOS),
        });
        let owing: Vec<u64> =
            self.conns.iter().filter(|(_, c)| c.wants_write()).map(|(id, _)| *id).collect();
        for id in owing {
            self.update_interest(id);
        }
    }

    /// Has the timer run out once, after so long; 0 stops it.
    pub(super) fn set_timer(&mut self, nanos: i64) {
        let never = Timespec { tv_sec: 0, tv_nsec: 0 };
        let spec =
            Itimerspec { it_interval: never, it_value: Timespec { tv_sec: 0, tv_nsec: nanos } };
        let flags = TimerfdTimerFlags::empty();
        let set = rustix::time::timerfd_settime(&self.timer, flags, &spec);
        self.retry_nanos = if set.is_ok() { nanos } else { 0 };
    }

    pub(super) fn update_interest(&mut self, id: u64) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        let State::Open(open) = &conn.state else { return };
        let read = !open.is_stopped();
        let wanted = Interest { read, write: conn.wants_write() };
        if wanted == conn.interest {
            return;
        }
        // Fail only for descriptors that are not in the set, which these are.
        let _ = self.epoll.modify(&conn.stream, Token(id * 2), wanted);
        if let Some(datagrams) = open.datagrams() {
            let interest = Interest { read, write: false };
            let _ = self.epoll.modify(datagrams.calls_fd(), Token(id * 2 + 1), interest);
        }
        conn.interest = wanted;
    }
}
