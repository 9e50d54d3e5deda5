//! `crm_simulate --profile`: how long planning takes.

use std::sync::Arc;
use std::time::Instant;

use base::CrmExit;
use scheduler::{Input, PlanOptions};
use xml::Element;

use crate::clock;
use crate::output::{Fail, Out};
use crate::source;

pub(super) fn profile(dir: &str, repeat: Option<&str>, out: &mut Out) -> Result<CrmExit, Fail> {
    let repeat = match repeat {
        None => 1,
        Some(text) => match text.parse::<u32>() {
            Ok(n) if n > 0 => n,
            _ => return Err(Fail::usage(format!("`{text}` is no number of repetitions"))),
        },
    };
    let unreadable = |error: std::io::Error| Fail::new(CrmExit::Noinput, format!("{dir}: {error}"));
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "xml") {
            files.push(path);
        }
    }
    files.sort();
    out.line("Timings:");
    let mut timings = Element::new("timings");
    for file in files {
        let name = file.to_string_lossy();
        let Some(cib) = source::read_file(&name).ok().and_then(|text| xml::parse(&text).ok())
        else {
            out.err(&format!("{name}: not a CIB"));
            continue;
        };
        let now = cib
            .get("execution-date")
            .and_then(scheduler::text::scan_int)
            .unwrap_or_else(clock::now);
        let cib = Arc::new(cib);
        let input = Input { now, sanitized: true, ..Input::default() };
        let start = Instant::now();
        for _ in 0..repeat {
            let plan = scheduler::schedule(&cib, PlanOptions { input, ..PlanOptions::default() });
            drop(plan);
        }
        let seconds = start.elapsed().as_secs_f64();
        out.line(&format!("  * Testing {name} ... {seconds:.2} secs"));
        let timing = Element::new("timing").with("file", name.as_ref());
        timings.push(timing.with("duration", format!("{seconds:.6}")));
    }
    out.xml(|| timings);
    Ok(CrmExit::Ok)
}
