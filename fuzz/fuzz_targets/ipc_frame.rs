//! Frames of the resource manager's IPC.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = pacemaker_client::frame::decode(data);
});
