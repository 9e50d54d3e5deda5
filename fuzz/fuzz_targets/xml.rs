//! The XML parser; what was read can be written and read again.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(element) = xml::parse(text) else { return };
    assert_eq!(xml::parse(&element.to_text()).as_ref(), Ok(&element));
    let _ = element.to_pretty();
});
