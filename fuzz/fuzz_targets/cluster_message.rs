//! Messages that daemons of the resource manager get from their peers.
#![no_main]

use base::NodeId;
use libfuzzer_sys::fuzz_target;
use pacemaker::cluster::message::decode;

fuzz_target!(|data: &[u8]| {
    let _ = decode(data, NodeId(1), NodeId(2), "n2");
});
