//! What the shell tells its user. Keywords are coloured only on a terminal.

use std::io::{IsTerminal, Write};

fn line(keyword: &str, colour: &str, text: &str) {
    let mut stderr = std::io::stderr().lock();
    // There is nobody to tell when standard error is gone.
    let _ = if stderr.is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        writeln!(stderr, "\x1b[{colour}m{keyword}\x1b[0m: {text}")
    } else {
        writeln!(stderr, "{keyword}: {text}")
    };
}

/// `ERROR: …` on standard error.
pub fn error(text: &str) {
    line("ERROR", "31", text);
}

/// `WARNING: …` on standard error.
pub fn warning(text: &str) {
    line("WARNING", "33", text);
}

/// `INFO: …` on standard error.
pub fn info(text: &str) {
    line("INFO", "32", text);
}

/// Text on standard output; a closed pipe ends the program quietly, as for `crm … | head`.
pub fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).is_err() {
        std::process::exit(0);
    }
}

/// Asks a question that is answered with y or n. `default` is the answer when nobody can be asked.
pub fn ask(question: &str, default: bool) -> bool {
    if !std::io::stdin().is_terminal() {
        return default;
    }
    loop {
        out(&format!("{question} (y/n)? "));
        let mut answer = String::new();
        match std::io::stdin().read_line(&mut answer) {
            Ok(0) | Err(_) => return default,
            Ok(_) => match answer.trim().to_ascii_lowercase().as_str() {
                "y" | "yes" => return true,
                "n" | "no" => return false,
                _ => {}
            },
        }
    }
}
