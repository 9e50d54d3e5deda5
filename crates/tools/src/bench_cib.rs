//! `quorate bench cib`: what the document and the commands that work on it cost, beside Debian's
//! commands in the same run, as a table in Markdown (`docs/performance.md`).
//!
//! Ours are run as `quorate NAME …`, Debian's from `/usr/sbin`; they take turns on the same files
//! and the best of the rounds counts, because machines are shared. Calls have no counterpart that
//! could be called from outside; what a change costs in Debian's library is what `cibadmin -M`
//! takes beyond `cibadmin -Q -n` (both read the document; the former also writes it, and so does
//! what is shown for ours in the rows of whole commands).

use std::fs;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base::CrmExit;
use cib::request::{Request, perform};
use cib::{Op, sample};
use xml::Element;

const SIZES: [(&str, usize); 3] = [("100 KB", 100_000), ("1 MB", 1_000_000), ("10 MB", 10_000_000)];

/// The applet.
pub fn main(args: &[String]) -> i32 {
    let rounds = match args.get(1).map(|rounds| rounds.parse::<usize>()) {
        None => 5,
        Some(Ok(rounds)) if rounds > 0 => rounds,
        Some(_) => {
            eprintln!("Usage: quorate bench cib [ROUNDS]");
            return CrmExit::Usage.code();
        }
    };
    match run(rounds) {
        Ok(()) => CrmExit::Ok.code(),
        Err(error) => {
            eprintln!("quorate bench cib: {error}");
            CrmExit::Error.code()
        }
    }
}

fn run(rounds: usize) -> io::Result<()> {
    let folder = std::env::temp_dir().join(format!("quorate-bench-cib.{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let measured = calls().and_then(|()| commands(&folder, rounds));
    fs::remove_dir_all(&folder)?;
    measured
}

// --- calls ------------------------------------------------------------------------------------

fn best<T>(mut run: impl FnMut() -> T) -> Duration {
    let (mut best, begin) = (Duration::MAX, Instant::now());
    let mut rounds = 0;
    while rounds < 3 || (begin.elapsed() < Duration::from_millis(500) && rounds < 200) {
        let start = Instant::now();
        black_box(run());
        best = best.min(start.elapsed());
        rounds += 1;
    }
    best
}

/// A name and what is to be measured.
type Call = (&'static str, fn(&Arc<Element>) -> Duration);

fn calls() -> io::Result<()> {
    let documents = SIZES.map(|(_, bytes)| Arc::new(sample::of_size(bytes)));
    println!("| call, ms | {} |", SIZES.map(|(name, _)| name).join(" | "));
    println!("|---|---|---|---|");
    let rows: [Call; 9] = [
        ("parse", |cib| {
            let text = cib.to_text();
            best(|| xml::parse(&text))
        }),
        ("canonical text", |cib| best(|| cib.to_text())),
        ("formatted text", |cib| best(|| cib.to_pretty())),
        ("digest", |cib| best(|| cib::digest::v2(cib))),
        ("validate", |cib| best(|| cib::schema::validate(cib))),
        ("diff of one attribute, shared trees", |cib| {
            let new = changed(cib);
            best(|| cib::diff::diff(cib, &new))
        }),
        ("diff of one attribute, separate trees", |cib| {
            let new = xml::parse(&changed(cib).to_text());
            best(|| new.as_ref().map(|new| cib::diff::diff(cib, new)))
        }),
        ("apply a patch of one attribute", |cib| {
            let patch = cib::diff::diff(cib, &changed(cib));
            best(|| patch.as_ref().map(|patch| cib::patch::apply(cib, patch)))
        }),
        ("change one attribute: find, change, diff, validate", change_one),
    ];
    for (name, measure) in rows {
        let times = documents.each_ref().map(|cib| milliseconds(measure(cib)));
        println!("| {name} | {} |", times.join(" | "));
    }
    println!();
    Ok(())
}

fn changed(cib: &Element) -> Element {
    let mut new = cib.clone();
    let resources = new.at_mut(&["configuration", "resources"]);
    if let Some(rsc) = resources.and_then(|all| all.child_with_id_mut("primitive", "rsc5")) {
        rsc.set("description", "changed");
    }
    new
}

fn change_one(cib: &Arc<Element>) -> Duration {
    let mut current = Arc::clone(cib);
    let mut number = 0;
    best(|| {
        number += 1;
        let update =
            Element::new("primitive").with("id", "rsc5").with("description", number.to_string());
        let request = Request {
            section: "resources",
            input: Some(&update),
            now: "Sat Nov 21 06:00:00 2026",
            ..Request::default()
        };
        let outcome = perform(&current, Op::Modify, &request);
        current = outcome.document.unwrap_or_else(|| Arc::clone(&current));
    })
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1e3;
    match milliseconds {
        m if m >= 100.0 => format!("{m:.0}"),
        m if m >= 1.0 => format!("{m:.1}"),
        m => format!("{m:.4}"),
    }
}

// --- commands ---------------------------------------------------------------------------------

fn commands(folder: &Path, rounds: usize) -> io::Result<()> {
    println!("| command, ms | document | ours | Debian | Debian / ours |");
    println!("|---|---|---|---|---|");
    for (name, bytes) in SIZES {
        let cib = sample::of_size(bytes);
        let files = Files::write(folder, &cib)?;
        let mut change = None;
        let mut read = None;
        for (label, arguments) in files.commands() {
            let pair = both(&files, &arguments, rounds)?;
            print_row(&label, name, &pair);
            match label.as_str() {
                "cibadmin -M" => change = Some(pair),
                "cibadmin -Q -n" => read = Some(pair),
                _ => {}
            }
        }
        // The library's share of a change, for the comparison with the call above.
        if let (Some((_, Some(change))), Some((_, Some(read)))) = (change, read) {
            let call = change_one(&Arc::new(cib));
            print_row("one attribute, the call", name, &(call, Some(change.saturating_sub(read))));
        }
    }
    let cib = sample::document(1_000, 16);
    let files = Files::write(folder, &cib)?;
    for (label, arguments) in files.commands() {
        if matches!(label.as_str(), "crm_mon -1" | "crm_verify -x") {
            let pair = both(&files, &arguments, rounds)?;
            print_row(&label, "1,000 resources × 16 nodes", &pair);
        }
    }
    Ok(())
}

fn print_row(label: &str, document: &str, (ours, debian): &(Duration, Option<Duration>)) {
    let (theirs, ratio) = match debian {
        Some(debian) => (
            milliseconds(*debian),
            format!("{:.1}", debian.as_secs_f64() / ours.as_secs_f64().max(1e-9)),
        ),
        None => ("–".to_owned(), "–".to_owned()),
    };
    println!("| {label} | {document} | {} | {theirs} | {ratio} |", milliseconds(*ours));
}

struct Files {
    old: PathBuf,
    new: PathBuf,
    patch: PathBuf,
    work: PathBuf,
}

impl Files {
    fn write(folder: &Path, cib: &Element) -> io::Result<Files> {
        let path = |name: &str| folder.join(name);
        let files = Files {
            old: path("old.xml"),
            new: path("new.xml"),
            patch: path("patch.xml"),
            work: path("work.xml"),
        };
        let mut new = changed(cib);
        new.set("epoch", "6");
        let patch = cib::diff::diff(cib, &new).unwrap_or_default();
        fs::write(&files.old, cib.to_pretty())?;
        fs::write(&files.new, new.to_pretty())?;
        fs::write(&files.patch, patch.to_pretty())?;
        Ok(files)
    }

    /// Labels and command lines.
    fn commands(&self) -> Vec<(String, Vec<String>)> {
        let update = "<primitive id='rsc5' description='x'/>";
        let file = |path: &Path| path.to_string_lossy().into_owned();
        let (old, new, patch) = (file(&self.old), file(&self.new), file(&self.patch));
        let lines: [(&str, Vec<&str>); 9] = [
            ("cibadmin -Q -n", vec!["cibadmin", "-Q", "-n"]),
            ("cibadmin -Q", vec!["cibadmin", "-Q"]),
            ("cibadmin -M", vec!["cibadmin", "-M", "-o", "resources", "-X", update]),
            ("cibadmin -P", vec!["cibadmin", "-P", "-x", &patch]),
            ("cibadmin -5", vec!["cibadmin", "-5", "-x", &old]),
            ("crm_diff -o -n", vec!["crm_diff", "-o", &old, "-n", &new]),
            ("crm_diff -p", vec!["crm_diff", "-o", &old, "-p", &patch]),
            ("crm_verify -x", vec!["crm_verify", "-x", &old]),
            ("crm_mon -1", vec!["crm_mon", "-1"]),
        ];
        let owned = |line: Vec<&str>| line.into_iter().map(str::to_owned).collect();
        lines.into_iter().map(|(label, line)| (label.to_owned(), owned(line))).collect()
    }
}

/// The best times of both sides, in turn.
fn both(files: &Files, line: &[String], rounds: usize) -> io::Result<(Duration, Option<Duration>)> {
    let own = std::env::current_exe()?;
    let debian = Path::new("/usr/sbin").join(&line[0]);
    // Where our tree lies over /usr there is nothing to compare with.
    let has_debian = debian.is_file() && !fs::canonicalize(&debian)?.ends_with("quorate");
    let (mut ours, mut theirs) = (Duration::MAX, None);
    for _ in 0..rounds {
        let mut command = Command::new(&own);
        command.args(line);
        ours = ours.min(time(files, command)?);
        if has_debian {
            let mut command = Command::new(&debian);
            command.args(&line[1..]);
            let time = time(files, command)?;
            theirs = Some(theirs.map_or(time, |best: Duration| best.min(time)));
        }
    }
    Ok((ours, theirs))
}

fn time(files: &Files, mut command: Command) -> io::Result<Duration> {
    fs::copy(&files.old, &files.work)?;
    command.env("CIB_file", &files.work).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let status = command.status()?;
    let time = start.elapsed();
    // crm_diff says with 1 that there are differences.
    match status.code() {
        Some(0 | 1) => Ok(time),
        _ => Err(io::Error::other(format!("{command:?} ended with {status}"))),
    }
}
