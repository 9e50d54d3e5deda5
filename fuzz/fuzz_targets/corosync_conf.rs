//! The engine's configuration file, up to the settings of the ring.
#![no_main]

use corosync::config::parse::{Accounts, Parsed, parse};
use libfuzzer_sys::fuzz_target;

struct Nobody;

impl Accounts for Nobody {
    fn uid(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }
    fn gid(&self, name: &str) -> Option<u32> {
        (name == "root").then_some(0)
    }
}

fuzz_target!(|data: &[u8]| {
    let mut parsed = Parsed::default();
    let _ = parse("corosync.conf", data, &Nobody, &mut parsed);
});
