//! Validation and upgrade of documents of every schema.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(document) = xml::parse(text) else { return };
    let _ = cib::schema::validate(&document);
    let _ = cib::upgrade::upgrade(&document, None);
});
