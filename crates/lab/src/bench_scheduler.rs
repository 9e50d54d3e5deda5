//! `quorate bench scheduler`: our `crm_simulate` and Debian's on the same made-up clusters, as a
//! table in Markdown (see `docs/performance.md`).
//!
//! User seconds and peak memory are those of the whole process as the kernel counts them; the
//! library call is the scheduler alone on a document that is read already. The kernel counts what
//! a process held when it started another as that one's peak, too; so this process stays small, and
//! documents are made up and the library is called in a process of their own (`--child`).

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use scheduler::synthetic::{State, big};

const DEBIAN: &str = "/usr/sbin/crm_simulate";
/// Debian's program is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(60);
const STATES: [(State, &str); 3] = [
    (State::Start, "first start"),
    (State::Running, "nothing to do"),
    (State::Failed, "one node lost"),
];

/// What one run took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    user: f64,
    pub(crate) peak_mb: f64,
}

/// The word that makes this program the child that makes a document and calls the library.
const CHILD: &str = "--child";

/// Measures all sizes, or those whose numbers of resources and nodes (`1000x16`) are in `args`.
pub(crate) fn run(args: &[String]) -> i32 {
    if let [word, resources, nodes, state, file] = args
        && word == CHILD
    {
        return match child(resources, nodes, state, Path::new(file)) {
            Ok(seconds) => {
                println!("{seconds}");
                0
            }
            Err(error) => {
                eprintln!("quorate bench scheduler: {error}");
                1
            }
        };
    }
    let is_size = |word: &String| {
        word.split_once('x').is_some_and(|(resources, nodes)| {
            resources.parse::<usize>().is_ok() && nodes.parse::<usize>().is_ok()
        })
    };
    if let Some(word) = args.iter().find(|word| !is_size(word)) {
        let is_help = matches!(word.as_str(), "--help" | "-h");
        println!("Usage: quorate bench scheduler [RESOURCESxNODES...], as 1000x16");
        return if is_help { 0 } else { base::CrmExit::Usage.code() };
    }
    let wanted: Vec<(usize, usize)> = args
        .iter()
        .filter_map(|size| size.split_once('x'))
        .filter_map(|(resources, nodes)| Some((resources.parse().ok()?, nodes.parse().ok()?)))
        .collect();
    let sizes: Vec<(usize, usize)> = if wanted.is_empty() {
        [100, 1000, 5000, 10_000].iter().flat_map(|r| [3, 16, 32].map(|n| (*r, n))).collect()
    } else {
        wanted
    };
    match measure(&sizes) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("quorate bench scheduler: {error}");
            1
        }
    }
}

fn measure(sizes: &[(usize, usize)]) -> io::Result<()> {
    if !Path::new(DEBIAN).exists() {
        println!("{DEBIAN} is not installed: only ours is measured.");
    }
    println!(
        "| resources × nodes | state | library s | ours s | Debian s | faster | ours MB | Debian MB | memory |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let file = std::env::temp_dir().join(format!("quorate-bench-{}.xml", std::process::id()));
    for (resources, nodes) in sizes {
        for (_, name) in STATES {
            let own = std::env::current_exe()?;
            let library = in_a_child(&own, *resources, *nodes, name, &file)?;
            let ours = best_of(3, &own, &file)?;
            let is_there = Path::new(DEBIAN).exists();
            let debian = if is_there { one_run(Path::new(DEBIAN), &file)? } else { None };
            let ours_text = ours.map_or(("–".into(), "–".into()), show);
            let debian_text = debian.map_or_else(
                || (if is_there { "> 60" } else { "–" }.to_owned(), "–".to_owned()),
                show,
            );
            let ratio = |get: fn(Cost) -> f64| match (ours, debian) {
                // A time below the clock's grain says nothing.
                (Some(ours), Some(_)) if get(ours) <= 0.0 => "–".to_owned(),
                (Some(ours), Some(debian)) => format!("{:.0} ×", get(debian) / get(ours)),
                _ => "–".to_owned(),
            };
            println!(
                "| {resources} × {nodes} | {name} | {library:.3} | {} | {} | {} | {} | {} | {} |",
                ours_text.0,
                debian_text.0,
                ratio(|cost| cost.user),
                ours_text.1,
                debian_text.1,
                match (ours, debian) {
                    (Some(ours), Some(debian)) => format!("1/{:.0}", debian.peak_mb / ours.peak_mb),
                    _ => "–".to_owned(),
                },
            );
        }
    }
    std::fs::remove_file(&file)
}

fn show(cost: Cost) -> (String, String) {
    (format!("{:.3}", cost.user), format!("{:.0}", cost.peak_mb))
}

/// Has a document made up and written, and the library called; seconds of the latter.
fn in_a_child(
    own: &Path,
    resources: usize,
    nodes: usize,
    state: &str,
    file: &Path,
) -> io::Result<f64> {
    let mut command = Command::new(own);
    command.arg0("quorate").args(["bench", "scheduler", CHILD]);
    command.args([&resources.to_string(), &nodes.to_string(), state]).arg(file);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    let seconds = String::from_utf8_lossy(&output.stdout).trim().parse();
    seconds.map_err(|error| io::Error::other(format!("the child: {}: {error}", output.status)))
}

fn child(resources: &str, nodes: &str, state: &str, file: &Path) -> io::Result<f64> {
    let number = |text: &str| text.parse::<usize>().map_err(io::Error::other);
    let (state, _) = STATES
        .into_iter()
        .find(|(_, name)| *name == state)
        .ok_or_else(|| io::Error::other(format!("no state `{state}`")))?;
    let text = big(number(nodes)?, number(resources)?, state);
    std::fs::write(file, &text)?;
    library_call(&text)
}

/// Seconds of the scheduler alone, the best of three.
fn library_call(text: &str) -> io::Result<f64> {
    let invalid = |error: xml::ParseError| io::Error::new(io::ErrorKind::InvalidData, error);
    let cib = Arc::new(xml::parse(text).map_err(invalid)?);
    let input = scheduler::Input { now: 1_700_000_100, ..Default::default() };
    let options = scheduler::PlanOptions { input, transition_id: 1, compat_2_1: true };
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = Instant::now();
        let plan = scheduler::schedule(&cib, options);
        best = best.min(start.elapsed().as_secs_f64());
        drop(plan);
    }
    Ok(best)
}

fn best_of(times: usize, program: &Path, file: &Path) -> io::Result<Option<Cost>> {
    let mut best: Option<Cost> = None;
    for _ in 0..times {
        let Some(cost) = one_run(program, file)? else { return Ok(None) };
        if best.is_none_or(|best| cost.user < best.user) {
            best = Some(cost);
        }
    }
    Ok(best)
}

/// `crm_simulate --run` on a file; `None` if it took too long or failed.
fn one_run(program: &Path, file: &Path) -> io::Result<Option<Cost>> {
    let mut command = Command::new(program);
    command.arg0("crm_simulate").arg("-R").arg("-x").arg(file);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let start = Instant::now();
    loop {
        if let Some((ok, cost)) = kernel::reap(&child)? {
            return Ok(ok.then_some(cost));
        }
        if start.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// What the standard library does not tell of a child.
#[allow(unsafe_code)]
pub(crate) mod kernel {
    use std::io;
    use std::process::Child;

    use super::Cost;

    /// If the child has ended: whether well, and what it took.
    pub(super) fn reap(child: &Child) -> io::Result<Option<(bool, Cost)>> {
        wait4(child, libc::WNOHANG)
    }

    /// Waits for the child's end: whether well, and what it took.
    pub(crate) fn wait(child: &Child) -> io::Result<(bool, Cost)> {
        wait4(child, 0)?.ok_or_else(|| io::Error::other("the kernel did not wait for a child"))
    }

    fn wait4(child: &Child, options: i32) -> io::Result<Option<(bool, Cost)>> {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        let mut status = 0;
        // SAFETY: all zeroes are a valid `rusage`, which is plain numbers.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both pointers are to live locals, and the child is ours and was not waited for.
        let ended = unsafe { libc::wait4(pid, &raw mut status, options, &raw mut usage) };
        match ended {
            0 => Ok(None),
            -1 => Err(io::Error::last_os_error()),
            _ => {
                let user = usage.ru_utime.tv_sec as f64 + usage.ru_utime.tv_usec as f64 / 1e6;
                let peak_mb = usage.ru_maxrss as f64 / 1024.0;
                Ok(Some((status == 0, Cost { user, peak_mb })))
            }
        }
    }
}
