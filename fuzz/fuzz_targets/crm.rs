//! Lines of the crm language: words, definitions, and the configuration they make.
#![no_main]

use crm::grammar::{World, parse};
use crm::session::{Session, render};
use libfuzzer_sys::fuzz_target;

struct Heartbeat;

impl World for Heartbeat {
    fn resolve_agent(&self, agent: &str) -> Option<(String, Option<String>, String)> {
        Some(("ocf".to_owned(), Some("heartbeat".to_owned()), agent.to_owned()))
    }
}

fuzz_target!(|text: &str| {
    let Ok(cib) = xml::parse(
        "<cib><configuration><crm_config/><nodes><node id='1' uname='n1'/></nodes><resources/>\
         <constraints/></configuration><status/></cib>",
    ) else {
        return;
    };
    let mut session = Session::new(cib);
    for line in text.lines() {
        let Ok(words) = crm::words::split(line) else { continue };
        if let Ok(definition) = parse(&words, &Heartbeat) {
            let _ = session.define(definition);
        }
    }
    let _ = render(&session, &[], &Heartbeat);
});
