//! What strangers, and those who logged in, send to the ports for remote administration.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use base::Time;
use libfuzzer_sys::fuzz_target;
use pacemaker::based::remote::gate::{Gate, Output, Verdict};
use pacemaker_client::remote::frame::encode;

/// The first byte says how large the pieces are that the rest comes in, and its lowest bit whether
/// a login came first.
fuzz_target!(|data: &[u8]| {
    let Some((first, bytes)) = data.split_first() else { return };
    let now = Time::from_millis(1);
    let mut gate = Gate::new(|user| user == "u");
    assert!(gate.accept(now, 1, "id".into(), IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let is_client = first & 1 == 1;
    if is_client {
        let login = "<cib_command op='authenticate' user='u' password='p'/>";
        gate.bytes(now, 1, &encode(1, login));
        gate.checked(now, 1, Verdict::Right);
    }
    for piece in bytes.chunks(1 + usize::from(first >> 1)) {
        gate.bytes(now, 1, piece);
        while gate.next_request().is_some() {
            assert!(is_client, "a stranger's request was heard");
        }
        while let Some(output) = gate.poll_output() {
            let is_let_in = matches!(output, Output::Admitted { .. });
            assert!(is_client || !is_let_in, "nobody judged the password");
        }
    }
});
