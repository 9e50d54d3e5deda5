//! The commands: `demo`, `acceptance`, `lab`, and the steps a lab starts this executable for.
#![allow(unsafe_code)]

use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rustix::process::Signal;

use crate::root::{Plan, become_host};
use crate::{acceptance as walk, demo as demonstration, sandbox as cage};

/// The line with which a director says that it stays: what follows is not for the terminal.
const KEPT: &str = "(lab kept)";

fn complain(what: &str, error: &io::Error) -> i32 {
    eprintln!("quorate {what}: {error}");
    1
}

/// The installed tree this executable belongs to: it is `TREE/usr/bin/quorate`.
fn own_tree() -> io::Result<PathBuf> {
    let exe = fs::read_link("/proc/self/exe")?;
    let tree = exe.ancestors().nth(3).map(Path::to_owned);
    match tree {
        Some(tree) if exe == tree.join("usr/bin/quorate") => Ok(tree),
        _ => Err(io::Error::other(format!(
            "expected to be run as TREE/usr/bin/quorate of an installed tree, found {}; \
             `make install DESTDIR=TREE` lays one out",
            exe.display()
        ))),
    }
}

/// `quorate demo [--keep]`.
pub(crate) fn demo(args: &[String]) -> i32 {
    let keep = args.iter().any(|arg| arg == "--keep");
    if let Some(other) = args[1..].iter().find(|arg| *arg != "--keep") {
        eprintln!("quorate demo: expected nothing or --keep, found `{other}`");
        return 64;
    }
    run_sandboxed("demo", &[], keep)
}

/// `quorate acceptance [SCENARIO…]`.
pub(crate) fn acceptance(args: &[String]) -> i32 {
    run_sandboxed("acceptance", &args[1..], false)
}

const BENCH_USAGE: &str = "\
Usage: quorate bench [ROUNDS [cluster]]    engine and whole stack beside Debian's, in namespaces;
                                           `cluster`: the whole stack alone
       quorate bench engine [full] [ROUNDS]
                                           the engine alone, in depth: all transports, sizes and
                                           numbers of nodes
       quorate bench cib [ROUNDS]          the document and the commands on it
       quorate bench tools [ROUNDS]        starting each command
       quorate bench scheduler [...]       plans, beside Debian's crm_simulate
";

/// `quorate bench …`.
pub(crate) fn bench(args: &[String]) -> i32 {
    let is_known =
        |word: &String| word == "cluster" || word.parse::<usize>().is_ok_and(|rounds| rounds > 0);
    match args.get(1).map(String::as_str) {
        Some("--help" | "-h" | "help") => {
            print!("{BENCH_USAGE}");
            return 0;
        }
        Some("cib" | "scheduler" | "tools") => {}
        Some("engine") => {
            let is_known = |word: &String| {
                word == "full" || word.parse::<usize>().is_ok_and(|rounds| rounds > 0)
            };
            if let Some(bad) = args[2..].iter().find(|word| !is_known(word)) {
                eprintln!("quorate bench engine: `{bad}` is no number of rounds and not `full`");
                eprint!("{BENCH_USAGE}");
                return base::CrmExit::Usage.code();
            }
        }
        _ => {
            if let Some(bad) = args[1..].iter().find(|word| !is_known(word)) {
                eprintln!("quorate bench: `{bad}` is no number of rounds and no measurement");
                eprint!("{BENCH_USAGE}");
                return base::CrmExit::Usage.code();
            }
        }
    }
    // Measurements without hosts are a command of their own.
    if args.get(1).is_some_and(|what| what == "cib") {
        let run = cage::again("bench-cib").args(&args[2..]).status();
        return match run {
            Ok(status) => status.code().unwrap_or(1),
            Err(error) => complain("bench", &error),
        };
    }
    if args.get(1).is_some_and(|what| what == "tools") {
        return crate::bench_tools::run(&args[2..]);
    }
    if args.get(1).is_some_and(|what| what == "scheduler") {
        return crate::bench_scheduler::run(&args[2..]);
    }
    run_sandboxed("bench", &args[1..], false)
}

/// Starts a director in a sandbox and shows what it says, until it ends or says that it stays.
fn run_sandboxed(what: &str, args: &[String], keep: bool) -> i32 {
    let tree = match own_tree() {
        Ok(tree) => tree,
        Err(error) => return complain(what, &error),
    };
    let mut command = cage::again("lab-sandbox");
    command.arg(what).arg(&tree).arg(if keep { "keep" } else { "end" }).args(args);
    command.stdout(Stdio::piped()).stdin(Stdio::null());
    if keep {
        command.process_group(0);
    } else {
        // SAFETY: one system call between fork and exec, no allocation.
        unsafe {
            command.pre_exec(|| {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
                    .map_err(io::Error::from)
            });
        }
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return complain(what, &error),
    };
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if line == KEPT {
                println!("The cluster stays up. Enter a host:  quorate lab enter pacemaker01");
                println!("Ask for the page from the client:    quorate lab enter client");
                println!("End it all:                          quorate lab stop");
                println!(
                    "(quorate is {} here; as the user who started the demo)",
                    tree.join("usr/bin/quorate").display()
                );
                return 0;
            }
            println!("{line}");
        }
    }
    match child.wait() {
        Ok(status) => status.code().unwrap_or(1),
        Err(error) => complain(what, &error),
    }
}

/// `lab-sandbox WHAT TREE keep|end ARGS…`.
pub(crate) fn sandbox(args: &[String]) -> i32 {
    match cage::hold(&args[1..]) {
        Ok(status) => status.code().unwrap_or(1),
        Err(error) => complain("lab-sandbox", &error),
    }
}

/// `lab-director WHAT TREE keep|end ARGS…`: the first process of a sandbox.
pub(crate) fn director(args: &[String]) -> i32 {
    let [_, what, tree, stay, rest @ ..] = args else {
        return complain("lab-director", &io::Error::other("expected WHAT TREE keep|end"));
    };
    let tree = Path::new(tree);
    // The sandbox's own /proc, so that process ids mean what we see.
    if let Err(error) = own_proc() {
        return complain(what, &error);
    }
    let result = match what.as_str() {
        "demo" => demonstration::run(tree).map(|()| true),
        "up" => up(tree, rest).map(|()| true),
        "bench" if rest.first().is_some_and(|word| word == "engine") => {
            crate::bench_engine::run(tree, &rest[1..])
        }
        "bench" => crate::bench::run(tree, rest),
        _ => walk::run(tree, rest),
    };
    let code = match &result {
        Ok(well) => i32::from(!well),
        Err(error) => complain(what, error),
    };
    if stay == "keep" && code == 0 {
        println!("{KEPT}");
        loop {
            if !cage::reap(true) {
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        }
    }
    code
}

/// A lab of N hosts with all daemons started; their engine's configuration may be a file.
fn up(tree: &Path, args: &[String]) -> io::Result<()> {
    let n = args.first().and_then(|word| word.parse().ok()).unwrap_or(3);
    let conf = match args.get(1) {
        Some(file) => fs::read_to_string(file)?,
        None => demonstration::engine_conf(n),
    };
    let mut lab = crate::lab::Lab::new(n, tree, &conf)?;
    for i in 1..=n {
        lab.power_on(i)?;
        lab.start_cluster(i)?;
        println!("{}  {}", lab.host(i).name(), lab.host(i).address());
    }
    Ok(())
}

fn own_proc() -> io::Result<()> {
    use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    mount("proc", "/proc", "proc", MountFlags::empty(), None)?;
    Ok(())
}

/// `lab-host NAME DISK TREE SHARED hide|show`.
pub(crate) fn host(args: &[String]) -> i32 {
    match cage::make_host(&args[1..]) {
        Ok(()) => 0,
        Err(error) => complain("lab-host", &error),
    }
}

/// `lab-init NAME DISK TREE SHARED hide|show`: the first process of a host. It reaps orphans, no more.
pub(crate) fn init(args: &[String]) -> i32 {
    let [_, name, disk, tree, shared, hide] = args else {
        return complain("lab-init", &io::Error::other("expected NAME DISK TREE SHARED hide|show"));
    };
    let plan = Plan {
        name: name.clone(),
        disk: disk.into(),
        tree: tree.into(),
        shared: shared.into(),
        hide: hide == "hide",
    };
    if let Err(error) = come_up(&plan) {
        return complain(&format!("lab-init: {name}"), &error);
    }
    loop {
        if !cage::reap(true) {
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}

fn come_up(plan: &Plan) -> io::Result<()> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    // Held open: the path leads nowhere once the host has a root of its own.
    let disk = openat(CWD, &plan.disk, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    become_host(plan)?;
    // The director's pipe would otherwise stay open for as long as the host lives.
    let null = openat(CWD, "/dev/null", OFlags::RDWR, Mode::empty())?;
    rustix::stdio::dup2_stdin(&null)?;
    rustix::stdio::dup2_stdout(&null)?;
    openat(&disk, "ready", OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR)?;
    Ok(())
}

/// `lab-exec PID COMMAND…`.
pub(crate) fn exec(args: &[String]) -> i32 {
    let Some((pid, command)) = args.get(1).and_then(|pid| pid.parse().ok()).zip(args.get(2..))
    else {
        return complain("lab-exec", &io::Error::other("expected PID COMMAND"));
    };
    match cage::enter(pid, command) {
        Ok(status) => status.code().unwrap_or(255),
        Err(error) => complain("lab-exec", &error),
    }
}

/// `quorate lab up [N [CONF]] | hosts | enter HOST [COMMAND…] | stop`: a lab that was kept.
pub(crate) fn lab(args: &[String]) -> i32 {
    let words: Vec<&str> = args[1..].iter().map(String::as_str).collect();
    match words[..] {
        ["up"] => run_sandboxed("up", &["3".to_owned()], true),
        ["up", number, ref rest @ ..]
            if number.parse().is_ok_and(|n: usize| (1..=99).contains(&n)) =>
        {
            let rest: Vec<String> = rest.iter().map(|word| (*word).to_owned()).collect();
            run_sandboxed("up", &[&[number.to_owned()][..], &rest].concat(), true)
        }
        ["hosts"] => {
            for (pid, name) in kept_hosts() {
                println!("{name}\t{pid}");
            }
            0
        }
        ["enter", host, ref command @ ..] => {
            let found = match host {
                "client" => kept("lab-director").into_iter().next().map(|(pid, _)| pid),
                _ => kept_hosts().into_iter().find(|(_, name)| name == host).map(|(pid, _)| pid),
            };
            let Some(pid) = found else {
                eprintln!("quorate lab: no host `{host}` here; `quorate lab hosts` lists them");
                return 1;
            };
            let mut command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            if command.is_empty() {
                command.push("/bin/sh".into());
            }
            exec(&[&["lab-exec".to_owned(), pid.to_string()][..], &command[..]].concat())
        }
        ["stop"] => {
            let directors = kept("lab-director");
            for (pid, _) in &directors {
                let killed = cage::pidfd(*pid).and_then(|process| {
                    Ok(rustix::process::pidfd_send_signal(&process, Signal::KILL)?)
                });
                if let Err(error) = killed {
                    return complain("lab stop", &error);
                }
            }
            println!("{} lab(s) ended", directors.len());
            0
        }
        _ => {
            eprintln!(
                "usage: quorate lab up [N [CONF]] | hosts | enter HOST|client [COMMAND…] | stop"
            );
            64
        }
    }
}

fn kept_hosts() -> Vec<(u32, String)> {
    kept("lab-init")
}

/// Processes of kept labs, by the word they were started under, and the word behind it.
fn kept(word: &str) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let words: Vec<&str> =
            line.split(|b| *b == 0).filter_map(|word| std::str::from_utf8(word).ok()).collect();
        if let ["quorate", first, second, ..] = words[..]
            && first == word
        {
            found.push((pid, second.to_owned()));
        }
    }
    found.sort();
    found
}
