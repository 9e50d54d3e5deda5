//! `quorate ipc-storm`: random bytes at the IPC sockets of running daemons, on purpose.
//!
//! It plays clients that are wrong in every way a client can be: garbage instead of a handshake,
//! requests with random fields and lengths, broken frames and documents, garbage written into the
//! shared rings, files truncated under the server, connections dropped at any point. Between the
//! storms it looks whether the server still answers a handshake. For laboratories only: the
//! requests are random, and what they do when they happen to be right is done.
//!
//! Exit status: 0 all services survived, 1 one did not, 64 usage.

use super::{complain, getopt, say};
use qb::ipc::{Client, wire};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: quorate ipc-storm [-d SECONDS] [-s SEED] SERVICE...

Random bytes at IPC services (cpg, cmap, cfg, quorum, votequorum, cib_rw, crmd, ...). Only for
clusters that may break. Default: 10 seconds, seed 1.
";

const MESSAGE_MAX: u32 = 1 << 20;

/// Runs `ipc-storm`.
pub(super) fn run(args: &[String]) -> i32 {
    let program = args.first().map_or("ipc-storm", String::as_str);
    let known = [getopt::short('d', true), getopt::short('s', true), getopt::short('h', false)];
    let parsed = getopt::parse(args.get(1..).unwrap_or_default(), &known);
    let (mut seconds, mut seed) = (10u64, 1u64);
    let mut bad = parsed.complain(program) || parsed.words.is_empty();
    for (letter, value) in &parsed.options {
        let value = value.as_deref().unwrap_or_default();
        match letter {
            'd' => bad |= value.parse().map(|n| seconds = n).is_err(),
            's' => bad |= value.parse().map(|n| seed = n).is_err(),
            _ => bad = true,
        }
    }
    if bad {
        complain(USAGE);
        return 64;
    }
    let mut storm = Storm { random: Random(seed.max(1)), connections: 0, requests: 0 };
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        for service in &parsed.words {
            storm.gust(service);
            if !is_alive(service) {
                complain(format_args!(
                    "ipc-storm: {service} does not answer any more (seed {seed}, after {} \
                     connections and {} requests)",
                    storm.connections, storm.requests
                ));
                return 1;
            }
        }
    }
    say(&format!(
        "{} connections, {} requests: all services still answer\n",
        storm.connections, storm.requests
    ));
    0
}

/// Whether the service lets somebody in. A busy one gets some time.
fn is_alive(service: &str) -> bool {
    (0..100).any(|attempt| {
        if attempt > 0 {
            std::thread::sleep(Duration::from_millis(100));
        }
        Client::connect(service, 0).is_ok()
    })
}

/// xorshift: the same storm for the same seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    fn bytes(&mut self, length: u64) -> Vec<u8> {
        (0..length).map(|_| self.next() as u8).collect()
    }

    /// Words that mean something, among others.
    fn word(&mut self) -> u32 {
        match self.below(8) {
            0 => 0,
            1 => 0xA1A1_A1A1,
            2 => u32::MAX,
            3 => i32::MAX as u32,
            4 => self.below(16) as u32,
            5 => self.below(300) as u32,
            6 => 1 << self.below(32),
            _ => self.next() as u32,
        }
    }
}

struct Storm {
    random: Random,
    connections: u64,
    requests: u64,
}

impl Storm {
    fn gust(&mut self, service: &str) {
        self.connections += 1;
        match self.random.below(8) {
            0 => self.bad_handshake(service),
            1 => self.bad_rings(service),
            _ => self.bad_requests(service),
        }
    }

    fn bad_handshake(&mut self, service: &str) {
        use std::io::Write;
        use std::os::linux::net::SocketAddrExt;
        let mut name = [0u8; 107];
        let length = service.len().min(106);
        name[..length].copy_from_slice(&service.as_bytes()[..length]);
        let Ok(address) = std::os::unix::net::SocketAddr::from_abstract_name(name) else { return };
        let Ok(mut stream) = UnixStream::connect_addr(&address) else { return };
        let length = self.random.below(64);
        let mut bytes = self.random.bytes(length);
        if self.random.below(2) == 0 {
            bytes = wire::request(-1, 24);
            wire::put_u32(&mut bytes, 16, self.random.word() & 0x3f_ffff);
            bytes.truncate(self.random.below(25) as usize);
        }
        // The server may hang up meanwhile.
        let _ = stream.write_all(&bytes);
    }

    fn bad_requests(&mut self, service: &str) {
        let Ok(mut client) = Client::connect(service, MESSAGE_MAX) else { return };
        let (mut response, mut event) = (Vec::new(), Vec::new());
        for _ in 0..self.random.below(40) {
            let request = self.request(service);
            self.requests += 1;
            if client.send(&[&request]).is_err() && !client.is_connected() {
                return;
            }
            let patience = Some(Duration::from_millis(self.random.below(3)));
            let _ = client.recv(&mut response, patience);
            while let Ok(true) = client.try_event(&mut event) {}
        }
    }

    /// A request that gets past the transport: a true size and an id, and nonsense inside.
    fn request(&mut self, service: &str) -> Vec<u8> {
        let is_engine = ["cpg", "cmap", "cfg", "quorum", "votequorum"].contains(&service);
        if !is_engine {
            return self.framed();
        }
        let length = match self.random.below(20) {
            0 => self.random.below(u64::from(MESSAGE_MAX)),
            _ => 16 + self.random.below(600),
        };
        let id = loop {
            let id = self.random.below(14) as i32;
            // Killing and stopping nodes on request is right, and would end the storm.
            if service != "cfg" || ![2, 3].contains(&id) {
                break id;
            }
        };
        let mut request = wire::request(id, length as usize);
        for at in (16..request.len().saturating_sub(4)).step_by(4).take(200) {
            if self.random.below(2) == 0 {
                let word = self.random.word();
                wire::put_u32(&mut request, at, word);
            }
        }
        // A plausible name where names are.
        if self.random.below(2) == 0 && request.len() > 60 {
            let length = 3 + self.random.below(30) as u32;
            wire::put_u32(&mut request, 16, length);
            wire::put_u32(&mut request, 20, 0);
            wire::put(&mut request, 24, &b"storm.key-0123456789abcdefghijklm"[..length as usize]);
        }
        wire::set_size(&mut request);
        request
    }

    /// A request of pacemaker's clients: their header, and a document with some bytes wrong.
    fn framed(&mut self) -> Vec<u8> {
        const DOCUMENTS: [&str; 6] = [
            r#"<cib_command t="cib" cib_op="cib_query" cib_callid="1" cib_callopt="256"/>"#,
            r#"<cib_command t="cib" cib_op="cib_apply_diff" cib_callid="2" cib_callopt="0"><cib_calldata><diff format="2"><version><source admin_epoch="0" epoch="1" num_updates="0"/><target admin_epoch="0" epoch="2" num_updates="0"/></version><change operation="create" path="/cib" position="0"><x id="y"/></change></diff></cib_calldata></cib_command>"#,
            r#"<create_request_adv origin="storm" t="crmd" version="3.16" subt="request" reference="x" crm_task="ping" crm_sys_to="crmd" crm_sys_from="1_storm"/>"#,
            r#"<attrd_op t="attrd" src="storm" task="update" attr_name="a" attr_value="b"/>"#,
            r#"<lrmd_command lrmd_clientid="x" lrmd_op="lrmd_rsc_register" lrmd_callid="3" lrmd_callopt="0"><lrmd_calldata/></lrmd_command>"#,
            r#"<stonith_command t="stonith-ng" st_op="st_query" st_callid="4" st_callopt="0"/>"#,
        ];
        let which = self.random.below(DOCUMENTS.len() as u64) as usize;
        let mut body = DOCUMENTS[which].as_bytes().to_vec();
        for _ in 0..self.random.below(4) {
            let at = self.random.below(body.len() as u64) as usize;
            match self.random.below(4) {
                0 => body[at] = self.random.next() as u8,
                1 => body.truncate(at.max(1)),
                2 => body.splice(at..at, b"<a><b/>".iter().copied()).for_each(drop),
                _ => {
                    let repeated = body[at..].to_vec();
                    body.extend_from_slice(&repeated);
                }
            }
        }
        body.push(0);
        let mut request = wire::request(1, 40);
        wire::put_u32(&mut request, 24, body.len() as u32);
        wire::put_u32(&mut request, 32, 0x200);
        wire::put(&mut request, 36, &[1]);
        if self.random.below(6) == 0 {
            let at = 16 + 4 * self.random.below(6) as usize;
            let word = self.random.word();
            wire::put_u32(&mut request, at, word);
        }
        request.extend_from_slice(&body);
        wire::set_size(&mut request);
        request
    }

    /// Writes garbage into the files of a connection of ours and rings the bell.
    fn bad_rings(&mut self, service: &str) {
        let Ok(mut client) = Client::connect(service, MESSAGE_MAX) else { return };
        let stem = format!("qb-{}-{}-", client.server().pid, std::process::id());
        let Ok(directories) = std::fs::read_dir("/dev/shm") else { return };
        let own = directories
            .flatten()
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&stem));
        for file in own.filter_map(|entry| std::fs::read_dir(entry.path()).ok()).flatten() {
            let Ok(file) = file else { continue };
            let is_header = file.file_name().to_string_lossy().ends_with("-header");
            let opened = std::fs::File::options().read(true).write(true).open(file.path());
            let Ok(opened) = opened else { continue };
            for _ in 0..self.random.below(20) {
                let at = if is_header {
                    [0, 4, 8, 8204, 8208, 8212, 8240][self.random.below(7) as usize]
                } else {
                    4 * self.random.below(64)
                };
                let word = self.random.word();
                // Best effort: this is a storm.
                let _ = opened.write_all_at(&word.to_ne_bytes(), at);
            }
            if self.random.below(10) == 0 {
                let _ = opened.set_len(self.random.below(9000));
            }
        }
        // The mapping may be gone under us, too; the library survives that.
        for _ in 0..self.random.below(5) {
            let request = self.request(service);
            let _ = client.send(&[&request]);
        }
    }
}
