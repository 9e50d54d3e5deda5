//! The continuous display: redrawn when the CIB changes, when the interval is over, on a key.
//!
//! A [`Terminal`] takes the screen over and gives it back whatever ends the program; the loop
//! waits for keys, signals, the CIB's notifications and the clock. Source:
//! `spec/cli-pacemaker.md` §6.10.

use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use base::CrmExit;
use qb::mainloop::Signals;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::Signal;
use rustix::termios::{self, OptionalActions, Termios};

use super::keys;
use crate::options::Parsed;
use crate::output::{Fail, print_best_effort};
use crate::rc::Rc;
use crate::source::{Source, Wish};
use crate::status::{Show, View, text};

/// Changes come in bursts: the screen is drawn at most this often.
const QUIET: Duration = Duration::from_millis(250);
/// How long to wait before a lost cluster is sought again.
pub(super) const RETRY: Duration = Duration::from_secs(2);

/// The terminal while the display has it: its own screen, keys without Enter, no echo.
struct Terminal {
    before: Termios,
}

impl Terminal {
    fn take() -> Result<Terminal, Rc> {
        let stdin = rustix::stdio::stdin();
        let before = termios::tcgetattr(stdin).map_err(|error| Rc(error.raw_os_error()))?;
        let mut raw = before.clone();
        raw.local_modes.remove(termios::LocalModes::ICANON | termios::LocalModes::ECHO);
        termios::tcsetattr(stdin, OptionalActions::Now, &raw)
            .map_err(|error| Rc(error.raw_os_error()))?;
        print_best_effort("\x1b[?1049h\x1b[?25l");
        Ok(Terminal { before })
    }

    /// Draws lines, those that are too long folded, as many as the window has.
    fn draw(&self, text: &str) {
        let (columns, rows) = match termios::tcgetwinsize(rustix::stdio::stdout()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            _ => (80, 24),
        };
        let mut out = String::from("\x1b[H");
        for (at, line) in folded(text, columns).take(rows).enumerate() {
            if at > 0 {
                out.push_str("\r\n");
            }
            out.push_str(&line);
            // Behind a full line this would take its last character away.
            if line.chars().count() < columns {
                out.push_str("\x1b[K");
            }
        }
        out.push_str("\x1b[J");
        print_best_effort(&out);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        print_best_effort("\x1b[?25h\x1b[?1049l");
        // Nothing is left to be done when the terminal is gone.
        let _ = termios::tcsetattr(rustix::stdio::stdin(), OptionalActions::Now, &self.before);
    }
}

/// The lines of a text, none longer than the window is wide.
fn folded(text: &str, columns: usize) -> impl Iterator<Item = String> {
    text.lines().flat_map(move |line| {
        let line: Vec<char> = expanded(line).chars().collect();
        let parts: Vec<String> = line.chunks(columns.max(1)).map(String::from_iter).collect();
        if parts.is_empty() { vec![String::new()] } else { parts }
    })
}

/// A line with its tabs as blanks: the terminal's own would not be counted.
fn expanded(line: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for c in line.chars() {
        if c == '\t' {
            let blanks = 8 - column % 8;
            out.extend(std::iter::repeat_n(' ', blanks));
            column += blanks;
        } else {
            out.push(c);
            column += 1;
        }
    }
    out
}

/// What is known at the moment.
pub(super) enum Known {
    Nothing(String),
    State(Box<View>, Box<Source>),
}

pub(super) fn connect() -> Known {
    let wish = Wish { tool: "crm_mon", user: None, writes: false };
    let opened = Source::open(&wish).and_then(|mut source| {
        let live = if source.is_local() { Some(super::ask_daemons()?) } else { None };
        if source.is_live() {
            source.subscribe()?;
        }
        let document = source.document()?;
        Ok((View::new(document, crate::clock::now(), live), source))
    });
    match opened {
        Ok((view, source)) => Known::State(Box::new(view), Box::new(source)),
        Err(Rc::ENOTCONN | Rc::ECONNREFUSED) => {
            Known::Nothing("Waiting until cluster is available on this node ...".to_owned())
        }
        Err(rc) => Known::Nothing(format!("Reconnecting... ({rc})")),
    }
}

/// Takes all notifications that are there; whether there were any. An error is a lost cluster.
fn changes(source: &mut Source) -> Result<bool, Rc> {
    let Some(connection) = source.connection() else { return Ok(false) };
    let mut any = false;
    while connection.try_event()?.is_some() {
        any = true;
    }
    Ok(any)
}

fn refreshed(view: &View, source: &mut Source, daemons_too: bool) -> Result<View, Rc> {
    let document = source.document()?;
    let live = match (source.is_local(), daemons_too) {
        (false, _) => None,
        (true, true) => Some(super::ask_daemons()?),
        (true, false) => view.live.clone(),
    };
    Ok(View::new(document, crate::clock::now(), live))
}

pub(super) fn wait(fds: &[BorrowedFd<'_>], timeout: Duration) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
    let timeout = Timespec {
        tv_sec: i64::try_from(timeout.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(timeout.subsec_nanos()),
    };
    // An interrupted wait is like one that ended early.
    let count = poll(&mut polled, Some(&timeout)).unwrap_or(0);
    polled.iter().map(|fd| count > 0 && !fd.revents().is_empty()).collect()
}

/// Shows the status until a signal or `q`. With `console` on a terminal it is redrawn in place
/// and keys change what is shown; otherwise one display follows the other.
pub(super) fn run(
    parsed: &Parsed,
    mut show: Show,
    interval: Duration,
    console: bool,
) -> Result<CrmExit, Fail> {
    let wanted =
        [Signal::INT, Signal::TERM, Signal::HUP, Signal::WINCH, Signal::QUIT].map(Signal::as_raw);
    let signals = Signals::new(&wanted)
        .map_err(|error| Fail::new(CrmExit::Oserr, format!("cannot receive signals: {error}")))?;
    let terminal = match console && termios::isatty(rustix::stdio::stdin()) {
        true => Some(
            Terminal::take()
                .map_err(|rc| Fail::new(rc.exit(), format!("cannot use the terminal: {rc}")))?,
        ),
        false => None,
    };
    let mut known = connect();
    let mut help = false;
    let mut next_poll = Instant::now() + interval;
    loop {
        draw(parsed, &mut known, &mut show, terminal.as_ref(), help);
        let drawn = Instant::now();
        // Wait for something to happen.
        let mut stale = false;
        loop {
            let until = match known {
                Known::Nothing(_) => drawn + RETRY,
                Known::State(..) => next_poll,
            };
            let left = until.saturating_duration_since(Instant::now());
            let cib = match &mut known {
                Known::State(_, source) => source.connection().map(|connection| connection.fd()),
                Known::Nothing(_) => None,
            };
            let stdin = rustix::stdio::stdin();
            let mut fds = vec![signals.as_fd()];
            fds.extend(terminal.as_ref().map(|_| stdin));
            fds.extend(cib);
            let (has_keys, has_cib) = (terminal.is_some(), cib.is_some());
            let ready = wait(&fds, left);
            if ready.first() == Some(&true)
                && let Some((number, _)) = signals.read()
            {
                if number == Signal::WINCH.as_raw() {
                    break;
                }
                return Ok(CrmExit::Ok);
            }
            if has_keys && ready.get(1) == Some(&true) {
                let mut byte = [0u8; 1];
                match rustix::io::read(stdin, &mut byte) {
                    Ok(1) => {}
                    // The terminal went away.
                    _ => return Ok(CrmExit::Ok),
                }
                match keys::press(char::from(byte[0]), &mut show, &mut help) {
                    keys::Press::Quit => return Ok(CrmExit::Ok),
                    keys::Press::Redraw => {
                        stale = !help;
                        break;
                    }
                }
            }
            if has_cib && ready.last() == Some(&true) {
                // Let the burst pass, then take it all at once.
                std::thread::sleep(QUIET);
                stale = true;
                break;
            }
            if Instant::now() >= until {
                stale = true;
                break;
            }
        }
        let due = Instant::now() >= next_poll;
        if due {
            next_poll = Instant::now() + interval;
        }
        if stale {
            known = again(known, due);
        }
    }
}

/// The state anew; a cluster that is lost is sought again.
pub(super) fn again(known: Known, due: bool) -> Known {
    let Known::State(view, mut source) = known else { return connect() };
    let renewed = changes(&mut source).and_then(|_| refreshed(&view, &mut source, due));
    match renewed {
        Ok(view) => Known::State(Box::new(view), source),
        Err(_) => Known::Nothing("Reconnecting...".to_owned()),
    }
}

fn draw(
    parsed: &Parsed,
    known: &mut Known,
    show: &mut Show,
    terminal: Option<&Terminal>,
    help: bool,
) {
    let page = match known {
        _ if help => keys::help(show),
        Known::Nothing(why) => format!("{why}\n"),
        Known::State(view, _) => {
            super::restrict(parsed, view, show);
            text::render(&view.blocks(show))
        }
    };
    match terminal {
        Some(terminal) => terminal.draw(&page),
        None => {
            print_best_effort(&page);
            let mut stdout = std::io::stdout();
            // A reader that went away ends the program by the signal of its next write.
            let flushed = stdout.flush();
            drop(flushed);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn tabs_reach_the_next_eighth_column() {
        assert_eq!(super::expanded("a\tb"), "a       b");
        assert_eq!(super::expanded("12345678\tx"), "12345678        x");
    }

    #[test]
    fn long_lines_are_folded() {
        let lines: Vec<String> = super::folded("abcdefg\n\nxyz\n1234\n", 3).collect();
        assert_eq!(lines, ["abc", "def", "g", "", "xyz", "123", "4"]);
        assert_eq!(super::folded("ab", 0).count(), 2);
    }
}
