//! The interactive shell: line editing, history, completion.

use std::path::PathBuf;

use rustyline::completion::{Completer, Pair};
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{CompletionType, Config, Context, Editor, Helper};

use crate::complete;
use crate::levels::Level;
use crate::say;
use crate::shell::{Shell, Verdict};

/// At most this many lines are kept.
const HISTORY_MAX: usize = 100;

/// What rustyline asks: completions for the level and the objects as they were when the prompt
/// was printed.
struct Assistant {
    level: &'static Level,
    names: complete::Names,
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        at: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let line = &line[..at];
        let start = line.rfind(char::is_whitespace).map_or(0, |blank| blank + 1);
        let pairs = complete::candidates(self.level, line, &self.names)
            .into_iter()
            .map(|word| Pair { display: word.clone(), replacement: word })
            .collect();
        Ok((start, pairs))
    }
}

impl Hinter for Assistant {
    type Hint = String;
}

impl Highlighter for Assistant {}

impl Validator for Assistant {
    /// A line that ends in a backslash goes on.
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let goes_on = context.input().trim_end_matches(' ').ends_with('\\');
        Ok(if goes_on { ValidationResult::Incomplete } else { ValidationResult::Valid(None) })
    }
}

impl Helper for Assistant {}

fn history_file() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    let dir = cache.join("crm");
    std::fs::create_dir_all(&dir).ok()?;
    Some(dir.join("history"))
}

/// Reads and runs lines until the user leaves. `true` when the last command succeeded.
pub(crate) fn run(shell: &mut Shell) -> bool {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .max_history_size(HISTORY_MAX)
        .map(rustyline::config::Builder::build);
    let editor = config.and_then(Editor::<Assistant, _>::with_config);
    let mut editor = match editor {
        Ok(editor) => editor,
        Err(error) => {
            say::error(&format!("cannot use the terminal: {error}"));
            return false;
        }
    };
    let history = history_file();
    if let Some(file) = &history {
        // The first time there is none.
        let _ = editor.load_history(file);
    }
    let mut well = true;
    loop {
        editor.set_helper(Some(Assistant {
            level: shell.level(),
            names: complete::Names::of(shell),
        }));
        match editor.readline(&shell.prompt()) {
            Ok(line) => {
                let line = line.replace("\\\n", " ");
                if !line.trim().is_empty() {
                    // A full or unwritable history is no reason to refuse work.
                    let _ = editor.add_history_entry(line.as_str());
                }
                match shell.line(&line) {
                    Verdict::Done => well = true,
                    Verdict::Failed => well = false,
                    Verdict::Quit => break,
                }
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => {
                shell.leave();
                break;
            }
            Err(error) => {
                say::error(&format!("cannot read from the terminal: {error}"));
                shell.leave();
                well = false;
                break;
            }
        }
    }
    if let Some(file) = &history {
        let _ = editor.save_history(file);
    }
    say::out("bye\n");
    well
}
