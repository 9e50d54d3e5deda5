//! The one executable. `argv[0]` (or, for `quorate NAME …`, the first argument) selects the applet.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::exit;

use base::{Applet, CrmExit};

fn applets() -> Vec<Applet> {
    [
        corosync::applets(),
        pacemaker::applets(),
        tools::applets(),
        crm::applets(),
        lab::applets(),
        sim::applets(),
        doctor::applets(),
    ]
    .concat()
}

/// Arguments as text. Bytes that are no UTF-8 are kept as replacement characters: every command
/// refuses such a word by name instead of dying on it.
fn text(arg: OsString) -> String {
    String::from_utf8(arg.into_vec())
        .unwrap_or_else(|bad| String::from_utf8_lossy(bad.as_bytes()).into_owned())
}

/// Exit status of a command whose reader went away, as a shell reports death by SIGPIPE.
const READER_GONE: i32 = 141;

/// `crm_mon -1 | head -1` must end as quietly as a C program does: Rust ignores SIGPIPE, and
/// `println!` panics instead.
fn end_quietly_when_nobody_reads() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let text = info.payload_as_str().unwrap_or("");
        if text.starts_with("failed printing to std") && text.contains("Broken pipe") {
            exit(READER_GONE);
        }
        usual(info);
    }));
}

fn main() {
    end_quietly_when_nobody_reads();
    let mut args: Vec<String> = std::env::args_os().map(text).collect();
    if args.is_empty() {
        args.push("quorate".into());
    }
    let applets = applets();
    let name_of = |arg: &str| {
        Path::new(arg).file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned()
    };
    if name_of(&args[0]) == "quorate" {
        match args.get(1).map(String::as_str) {
            None | Some("--help" | "-h" | "help") => exit(usage(&applets)),
            Some("--version" | "-V") => {
                println!("Quorate {}", env!("CARGO_PKG_VERSION"));
                exit(0);
            }
            // `make install` reads this: one applet a line, its directory and its name.
            Some("--list-applets") => {
                for applet in applets.iter().filter(|applet| !applet.dir.is_empty()) {
                    println!("{}\t{}", applet.dir, applet.name);
                }
                exit(0);
            }
            Some(_) => {
                args.remove(0);
            }
        }
    }
    let name = name_of(&args[0]);
    match applets.iter().find(|applet| applet.name == name) {
        Some(applet) => exit((applet.run)(&args)),
        None => {
            eprintln!("quorate: no command `{name}`; `quorate --help` lists the commands");
            exit(CrmExit::Usage.code());
        }
    }
}

fn usage(applets: &[Applet]) -> i32 {
    println!("Usage: quorate COMMAND [ARGUMENTS]");
    println!();
    println!("Questions that only Quorate answers (see `quorate COMMAND --help`):");
    println!("  explain   why a resource, an action or a node is as it is");
    println!("  whatif    what the cluster would do if something happened");
    println!("  survive   which failures of nodes the cluster survives");
    println!();
    println!("Commands of Quorate's own:");
    for applet in applets.iter().filter(|applet| applet.dir.is_empty()) {
        println!("  {}", applet.name);
    }
    println!();
    println!("Drop-in commands, each also reached by a link of its own name:");
    for applet in applets.iter().filter(|applet| !applet.dir.is_empty()) {
        println!("  {}", applet.name);
    }
    CrmExit::Ok.code()
}
