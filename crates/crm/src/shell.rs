//! The shell itself: a stack of levels, one line after the other, interactively, from a file, or a
//! single command (`spec/crmsh.md` §1, §2).

use crate::configure;
use crate::help;
use crate::levels::{self, Found, Level};
use crate::live;
use crate::ra::Installed;
use crate::say;
use crate::session::Session;
use crate::words;
use crate::{node, resource, status};

/// What the options of the command line set.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// `-F`: no questions, semantic errors are only warnings.
    pub force: bool,
    /// `-w`: after a change wait until the cluster has settled.
    pub wait: bool,
    /// `-n`: the answer to every question is no.
    pub never: bool,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Well.
    Done,
    /// Badly, and the user was told why.
    Failed,
    /// The shell is to end.
    Quit,
}

impl Verdict {
    /// Done if `ok`.
    pub fn of(ok: bool) -> Verdict {
        if ok { Verdict::Done } else { Verdict::Failed }
    }
}

/// The shell's state.
#[derive(Debug)]
pub struct Shell {
    /// What the command line said.
    pub options: Options,
    /// Whether someone sits at a terminal.
    pub interactive: bool,
    /// The agents of this host.
    pub agents: Installed,
    /// The level we are in; the root is below it.
    level: &'static Level,
    /// The configuration under edit, once the level `configure` has been entered.
    session: Option<Session>,
}

impl Shell {
    /// A shell at the root level.
    pub fn new(options: Options, interactive: bool) -> Shell {
        Shell {
            options,
            interactive,
            agents: Installed::system(),
            level: &levels::ROOT,
            session: None,
        }
    }

    /// The level the next line is read in.
    pub fn level(&self) -> &'static Level {
        self.level
    }

    /// The prompt, `crm(live/node1)configure# `.
    pub fn prompt(&self) -> String {
        let cib = crate::programs::shadow()
            .or_else(|| std::env::var("CIB_file").ok())
            .unwrap_or_else(|| "live".into());
        format!("crm({cib}/{}){}# ", crate::local_node(), self.level.name)
    }

    /// The configuration under edit; read when it is first wanted. `None` after telling why not.
    pub fn session(&mut self) -> Option<&mut Session> {
        if self.session.is_none() {
            match live::read() {
                Ok(cib) => self.session = Some(Session::new(cib)),
                Err(why) => {
                    say::error(&why);
                    return None;
                }
            }
        }
        self.session.as_mut()
    }

    /// Whether there are edits that were not committed.
    pub fn has_pending_changes(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_changed)
    }

    /// Forgets the configuration under edit, so that it is read anew when next wanted.
    pub fn forget_session(&mut self) {
        self.session = None;
    }

    /// The session together with the agents, for commands that need both.
    pub fn session_and_agents(&mut self) -> Option<(&mut Session, &Installed)> {
        self.session()?;
        self.session.as_mut().map(|session| (session, &self.agents))
    }

    /// Runs one line in the current level.
    pub fn line(&mut self, line: &str) -> Verdict {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Verdict::Done;
        }
        // Raw XML keeps its quotes: it is not ours to split.
        let is_raw =
            |head: &str| head.eq_ignore_ascii_case("xml") && self.level.name == "configure";
        let split = match trimmed.split_once(char::is_whitespace) {
            Some((head, rest)) if is_raw(head) => Ok(vec![head.to_owned(), rest.trim().to_owned()]),
            _ => words::split(trimmed),
        };
        match split {
            Ok(words) => self.words(&words),
            Err(error) => {
                say::error(&format!("{error} in `{trimmed}`"));
                Verdict::Failed
            }
        }
    }

    /// Runs words as one line: they may go down levels; afterwards we are back where we were,
    /// unless the line only named a level.
    pub fn words(&mut self, words: &[String]) -> Verdict {
        let here = self.level;
        let mut rest = words;
        loop {
            let Some(word) = rest.first() else { return Verdict::Done };
            let found = levels::find(self.level, word);
            match found {
                Some(Found::Level(below)) => {
                    self.level = below;
                    rest = &rest[1..];
                    if rest.is_empty() {
                        return self.enter();
                    }
                }
                Some(Found::Command(command, old)) => {
                    if let Some(old) = old {
                        say::warning(&format!(
                            "This command '{old}' is deprecated, please use '{}'",
                            command.name
                        ));
                        say::info(&format!("\"{old}\" is accepted as \"{}\"", command.name));
                    }
                    let level = self.level;
                    let verdict = self.run(level, command.name, rest);
                    if self.level.name == level.name && here.name != level.name {
                        let left = self.leave();
                        self.level = here;
                        if verdict == Verdict::Done {
                            return left;
                        }
                    }
                    return verdict;
                }
                None => {
                    let path = match self.level.name {
                        "" => word.clone(),
                        level => format!("{level}.{word}"),
                    };
                    say::error(&format!("{path}: No such command"));
                    self.level = here;
                    return Verdict::Failed;
                }
            }
        }
    }

    /// Entering `configure` by itself reads the CIB at once: a cluster that is down is noticed
    /// before anything is typed.
    fn enter(&mut self) -> Verdict {
        if self.level.name == "configure" && self.session().is_none() {
            self.level = &levels::ROOT;
            return Verdict::Failed;
        }
        Verdict::Done
    }

    /// Leaving `configure` commits what is pending, after asking when somebody can be asked.
    pub fn leave(&mut self) -> Verdict {
        if self.level.name != "configure" {
            return Verdict::Done;
        }
        let mut verdict = Verdict::Done;
        if self.has_pending_changes() {
            let question = "There are changes pending. Do you want to commit them";
            let wanted = !self.interactive
                || self.options.force
                || (!self.options.never && say::ask(question, true));
            if wanted {
                verdict = configure::commit(self, self.options.force, false);
            }
        }
        self.forget_session();
        verdict
    }

    fn run(&mut self, level: &'static Level, name: &'static str, words: &[String]) -> Verdict {
        let args = &words[1..];
        match name {
            "quit" => {
                self.leave();
                return Verdict::Quit;
            }
            "up" => {
                let verdict = self.leave();
                self.level = &levels::ROOT;
                return verdict;
            }
            "cd" => return self.cd(args),
            "ls" => {
                say::out(&help::listing(level));
                return Verdict::Done;
            }
            "help" => {
                return match help::topic(level, args) {
                    Some(text) => {
                        say::out(&text);
                        Verdict::Done
                    }
                    None => {
                        say::error(&format!("no help for `{}`", args.join(" ")));
                        Verdict::Failed
                    }
                };
            }
            _ => {}
        }
        match level.name {
            "" => status::run(name, args),
            "configure" => configure::run(self, name, words),
            "node" => node::run(self, name, args),
            "ra" => crate::ra_commands::run(self, name, args),
            "resource" => resource::run(self, name, args),
            // Every level of the table is above.
            _ => Verdict::Failed,
        }
    }

    fn cd(&mut self, args: &[String]) -> Verdict {
        let target = args.first().map_or("", String::as_str).trim_matches('/');
        let wanted = match target {
            "" | ".." => Some(&levels::ROOT),
            name => levels::level(name),
        };
        let Some(level) = wanted else {
            say::error(&format!("cd: no level `{target}`"));
            return Verdict::Failed;
        };
        let verdict = self.leave();
        self.level = level;
        if verdict == Verdict::Done { self.enter() } else { verdict }
    }

    /// Runs lines of a file or a pipe to the end; one failure makes the whole a failure.
    pub fn script(&mut self, lines: impl Iterator<Item = String>) -> bool {
        let mut all_well = true;
        let mut pending = String::new();
        for line in lines {
            if let Some(head) = line.trim_end().strip_suffix('\\') {
                pending.push_str(head);
                pending.push(' ');
                continue;
            }
            let whole = std::mem::take(&mut pending) + &line;
            match self.line(&whole) {
                Verdict::Done => {}
                Verdict::Failed => all_well = false,
                Verdict::Quit => return all_well,
            }
        }
        if !pending.is_empty() && self.line(&pending) == Verdict::Failed {
            all_well = false;
        }
        all_well & (self.leave() != Verdict::Failed)
    }
}
