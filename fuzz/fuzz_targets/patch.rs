//! Patches of both formats: any text as a patch of any document, and between made-up documents,
//! where what was compared must come out.
#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use scheduler::synthetic::{Dice, random};

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Some((cib, patch)) = text.split_once('\0')
        && let (Ok(cib), Ok(patch)) = (xml::parse(cib), xml::parse(patch))
    {
        let _ = cib::patch::apply(&cib, &patch);
        let _ = cib::patch::versions(&patch);
        let _ = cib::patch::changes(&patch).count();
        return;
    }
    let (first, second) = data.split_at(data.len() / 2);
    let (old, mut new) = (random(&mut Dice::of(first)), random(&mut Dice::of(second)));
    new.set("epoch", "2");
    if let Some(patch) = cib::diff::diff(&old, &new) {
        let _ = Arc::new(&patch);
        let result = cib::patch::apply(&old, &patch);
        assert!(result.as_ref().is_ok_and(|result| cib::diff::same(result, &new)), "{result:?}");
    }
});
