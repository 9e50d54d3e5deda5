//! XPath expressions, on a small document that has something of everything.
#![no_main]

use libfuzzer_sys::fuzz_target;

const DOCUMENT: &str = "<cib epoch='1'><configuration><resources><primitive id='a' class='ocf'>\
    <!-- note --><op id='m' interval='10'/></primitive><group id='g'><primitive id='b'/>text</group>\
    </resources></configuration><status><node_state id='1' uname='n1'/></status></cib>";

fuzz_target!(|text: &str| {
    let Ok(path) = xml::XPath::parse(text) else { return };
    let Ok(document) = xml::parse(DOCUMENT) else { return };
    let _ = path.evaluate(&document);
    let _ = path.paths(&document);
});
