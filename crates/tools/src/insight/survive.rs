//! `quorate survive`: which failures of nodes does the cluster survive, and what does not run then?

use std::io::{IsTerminal, Write};
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use base::{CrmExit, Json};
use ecow::EcoString;
use scheduler::explain::{json, list};
use scheduler::ids::NodeIx;
use scheduler::survive::{Quorum, Study, Verdict};

use super::{FILE, JSON, State, placement_json};
use crate::options::{Parsed, Table, flag, value};
use crate::output::{self, Fail, Out};

const TABLE: Table = Table {
    tool: "quorate survive",
    summary: "try every failure of nodes and say what would not run any more",
    usage: "[OPTION…]",
    groups: &[],
    options: &[
        value("failures", 'k', "K", "", "Up to so many nodes fail at once (1 or 2; default 1)"),
        flag(
            "keep-quorum",
            ' ',
            "",
            "Suppose that quorum is never lost (a quorum device, no-quorum-policy=ignore)",
        ),
        value("threads", ' ', "N", "", "Work on so many threads (default: one for each CPU)"),
        FILE,
        JSON,
    ],
    formats: &[],
    notes: "",
};

/// More at once would take too long to try, and is no sensible question.
const FAILURES_MAX: usize = 2;

/// The applet.
pub fn main(args: &[String]) -> i32 {
    output::run(&TABLE, args, work)
}

fn number(
    parsed: &Parsed,
    name: &'static str,
    range: std::ops::RangeInclusive<usize>,
) -> Result<Option<usize>, Fail> {
    let Some(text) = parsed.value(name) else { return Ok(None) };
    match text.parse() {
        Ok(n) if range.contains(&n) => Ok(Some(n)),
        _ => Err(Fail::usage(format!(
            "`{text}` is no number from {} to {} (--{name})",
            range.start(),
            range.end()
        ))),
    }
}

fn work(parsed: &Parsed, out: &mut Out) -> Result<CrmExit, Fail> {
    if let Some(word) = parsed.rest.first() {
        return Err(Fail::usage(format!("what about `{word}`? There are only options")));
    }
    let failures = number(parsed, "failures", 1..=FAILURES_MAX)?.unwrap_or(1);
    let threads = number(parsed, "threads", 1..=1024)?
        .or_else(|| std::thread::available_parallelism().ok().map(NonZero::get))
        .unwrap_or(1);
    let state = State::read("survive", parsed)?;
    let quorum = if parsed.has("keep-quorum") { Quorum::Always } else { Quorum::Count };
    let study = Study::new(&state.cib, state.input(), quorum);
    let sets = study.sets(failures);
    let verdicts = try_all(&study, &sets, threads, out.quiet);
    if parsed.has("json") {
        out.line(&as_json(&study, failures, &verdicts).to_string());
    } else {
        out.text(&as_text(&study, &verdicts, parsed.has("verbose")));
    }
    let all_well = study.stable && verdicts.iter().all(|v| v.lost.is_empty() && v.stable);
    Ok(if all_well { CrmExit::Ok } else { CrmExit::Error })
}

/// Tries all sets on several threads; the verdicts come in the order of the sets.
fn try_all(study: &Study, sets: &[Vec<NodeIx>], threads: usize, quiet: bool) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts: Mutex<Vec<(usize, Verdict)>> = Mutex::new(Vec::new());
    let progress = Progress::new(sets.len(), quiet);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(sets.len()) {
            scope.spawn(|| {
                let trial = study.trial();
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(set) = sets.get(at) else { return };
                    let verdict = trial.try_set(set);
                    // A thread that panicked has left nothing half done in the list.
                    let mut all = verdicts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                    all.push((at, verdict));
                    progress.show(all.len());
                }
            });
        }
    });
    progress.end();
    let mut all = verdicts.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(_, verdict)| verdict).collect()
}

/// How far it is, on stderr: a line that is overwritten, or in a log a line for every tenth.
struct Progress {
    total: usize,
    quiet: bool,
    terminal: bool,
}

impl Progress {
    fn new(total: usize, quiet: bool) -> Progress {
        Progress { total, quiet, terminal: std::io::stderr().is_terminal() }
    }

    fn show(&self, done: usize) {
        let tenth = self.total.div_ceil(10).max(1);
        if self.quiet || (!self.terminal && (!done.is_multiple_of(tenth) || self.total < 20)) {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        let (start, end) = if self.terminal { ("\r", "") } else { ("", "\n") };
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(stderr, "{start}survive: {done} of {} failures tried{end}", self.total);
        let _ = stderr.flush();
    }

    fn end(&self) {
        if self.terminal && !self.quiet && self.total > 0 {
            eprint!("\r{:60}\r", "");
        }
    }
}

fn words(names: &[EcoString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

fn as_text(study: &Study, verdicts: &[Verdict], detail: bool) -> String {
    let mut lines: Vec<String> = study.notes.clone();
    let running = study.placement.0.values().filter(|places| !places.is_empty()).count();
    lines.push(format!(
        "{} nodes, {running} of {} resources run when the cluster is at rest.",
        study.nodes.len(),
        study.placement.0.len()
    ));
    if !study.stable {
        lines.push("The cluster does not come to rest even without a failure.".into());
    }
    for (rsc, why) in &study.exempt {
        lines.push(format!("  {rsc} is exempt: {}", why.text()));
        if let Some(idle) = study.idle.get(rsc) {
            lines.push(format!("    {idle}"));
        }
    }
    lines.push(String::new());
    for verdict in verdicts {
        verdict_lines(study, verdict, detail, &mut lines);
    }
    let bad: Vec<&Verdict> = verdicts.iter().filter(|v| !v.lost.is_empty() || !v.stable).collect();
    lines.push(String::new());
    if verdicts.is_empty() {
        lines.push("There is no failure to try: none would leave a node.".into());
    } else if bad.is_empty() {
        lines.push(format!(
            "All {} failures are survived: everything that should run runs.",
            verdicts.len()
        ));
    } else {
        lines.push(format!("{} of {} failures are not survived.", bad.len(), verdicts.len()));
        let mut counts: Vec<(EcoString, usize)> = Vec::new();
        for loss in bad.iter().flat_map(|v| &v.lost) {
            match counts.iter_mut().find(|(rsc, _)| *rsc == loss.resource) {
                Some((_, count)) => *count += 1,
                None => counts.push((loss.resource.clone(), 1)),
            }
        }
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        for (rsc, count) in counts.iter().take(WORST_SHOWN) {
            lines.push(format!("  {rsc} is lost in {count} of them"));
        }
        if counts.len() > WORST_SHOWN {
            lines.push(format!("  and {} more resources", counts.len() - WORST_SHOWN));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

/// So many of the resources that are lost most often are listed at the end.
const WORST_SHOWN: usize = 10;

/// So many resources that are lost for one reason are named, unless all are wanted.
const LOSSES_SHOWN: usize = 5;

fn verdict_lines(study: &Study, verdict: &Verdict, detail: bool, lines: &mut Vec<String>) {
    let failed = list(&words(&verdict.failed));
    let mut facts = Vec::new();
    if !verdict.quorate && study.quorate {
        facts.push("quorum is lost".to_owned());
    }
    if !verdict.fenced.is_empty() {
        facts.push(format!("{} fenced", list(&words(&verdict.fenced))));
    }
    if verdict.moved > 0 {
        facts.push(format!("{} moved", verdict.moved));
    }
    if !verdict.degraded.is_empty() {
        let names = list(&words(&verdict.degraded));
        facts.push(format!("fewer instances of {names}"));
    }
    if !verdict.stable {
        facts.push("does not come to rest".into());
    }
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    if verdict.lost.is_empty() {
        lines.push(format!("ok    {failed}{facts}"));
    } else {
        lines.push(format!("LOST  {failed}{facts}: {} lost", verdict.lost.len()));
    }
    let mut causes: Vec<(bool, &str, Vec<String>)> = Vec::new();
    for loss in &verdict.lost {
        let was = list(&words(&loss.was));
        let name = format!("{} (was on {was})", loss.resource);
        match causes
            .iter_mut()
            .find(|(demoted, why, _)| (*demoted, *why) == (loss.demoted, &loss.why))
        {
            Some((.., names)) => names.push(name),
            None => causes.push((loss.demoted, &loss.why, vec![name])),
        }
    }
    let shown = if detail { usize::MAX } else { LOSSES_SHOWN };
    for (demoted, why, mut names) in causes {
        let more = names.len().saturating_sub(shown);
        names.truncate(shown);
        if more > 0 {
            names.push(format!("{more} more"));
        }
        let how = if demoted { "no longer promoted anywhere" } else { "not running" };
        lines.push(format!("        {how}: {}. {why}", list(&names)));
    }
    if detail {
        for change in study.placement.changes(&verdict.placement) {
            let to: Vec<String> = change.to.iter().map(|(node, _)| node.to_string()).collect();
            if !to.is_empty() {
                lines.push(format!("        {} on {}", change.resource, list(&to)));
            }
        }
    }
}

fn as_json(study: &Study, failures: usize, verdicts: &[Verdict]) -> Json {
    let texts = |names: &[EcoString]| Json::from(words(names));
    let exempt = study.exempt.iter().map(|(rsc, why)| {
        Json::Object(vec![
            ("resource", rsc.as_str().into()),
            ("reason", why.word().into()),
            ("text", study.idle.get(rsc).map_or(why.text(), String::as_str).into()),
        ])
    });
    let verdict = |v: &Verdict| {
        let lost = v.lost.iter().map(|loss| {
            Json::Object(vec![
                ("resource", loss.resource.as_str().into()),
                ("was_on", texts(&loss.was)),
                ("demoted", loss.demoted.into()),
                ("why", loss.why.as_str().into()),
            ])
        });
        Json::Object(vec![
            ("failed", texts(&v.failed)),
            ("survived", (v.lost.is_empty() && v.stable).into()),
            ("quorum", v.quorate.into()),
            ("fenced", texts(&v.fenced)),
            ("operations", v.operations.into()),
            ("stable", v.stable.into()),
            ("moved", v.moved.into()),
            ("degraded", texts(&v.degraded)),
            ("lost", Json::List(lost.collect())),
            ("placement", placement_json(&v.placement)),
        ])
    };
    json::document(
        "survive",
        study.notes.clone(),
        vec![
            ("failures", failures.into()),
            ("survived", verdicts.iter().all(|v| v.lost.is_empty() && v.stable).into()),
            ("exempt", Json::List(exempt.collect())),
            ("cloned", texts(&study.cloned)),
            ("placement", placement_json(&study.placement)),
            ("sets", Json::List(verdicts.iter().map(verdict).collect())),
        ],
    )
}
