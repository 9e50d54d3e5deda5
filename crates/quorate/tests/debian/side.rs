//! Running a command of each side on its own copy of a document, and judging the difference.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Random numbers that are the same in every run (xorshift).
pub struct Dice(pub u64);

impl Dice {
    /// A number below the bound.
    pub fn roll(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    /// One of several.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.roll(from.len())]
    }
}

/// How a command ended.
#[derive(Clone, Debug)]
pub struct End {
    pub code: i32,
    pub out: String,
    pub err: String,
    /// The document afterwards.
    pub file: String,
}

/// A reason for a difference and the words of `docs/differences.md` that tell it.
pub type Reason = &'static str;

/// Where commands are run.
pub struct Sides {
    folder: PathBuf,
    debian: PathBuf,
    ran: usize,
    refused: usize,
    wrong: Vec<String>,
    explained: BTreeMap<Reason, usize>,
}

impl Sides {
    pub fn new(name: &str) -> Sides {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        for side in ["ours", "debian"] {
            fs::create_dir_all(folder.join(side)).unwrap();
        }
        let debian = std::env::var_os("QUORATE_DEBIAN").map_or("/usr/sbin".into(), PathBuf::from);
        Sides { folder, debian, ran: 0, refused: 0, wrong: Vec::new(), explained: BTreeMap::new() }
    }

    fn run(&self, is_ours: bool, document: &str, line: &[String]) -> End {
        let folder = self.folder.join(if is_ours { "ours" } else { "debian" });
        let file = folder.join("cib.work");
        let _ = fs::remove_file(&file);
        if !document.is_empty() {
            fs::write(&file, document).unwrap();
        }
        let mut command = if is_ours {
            let mut command = Command::new(env!("CARGO_BIN_EXE_quorate"));
            command.args(line);
            command
        } else {
            let mut command = Command::new(self.debian.join(&line[0]));
            command.args(&line[1..]);
            command
        };
        let output = command
            .current_dir(&folder)
            .env("CIB_file", "cib.work")
            .env("TZ", "UTC")
            .env("LC_ALL", "C")
            .env_remove("CIB_shadow")
            .env_remove("CIB_user")
            .stdin(Stdio::null())
            .output()
            .expect("Debian's commands (pacemaker-cli-utils) run");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        End {
            code: output.status.code().unwrap_or(-1),
            out: text(&output.stdout),
            err: text(&output.stderr),
            file: fs::read_to_string(&file).unwrap_or_default(),
        }
    }

    /// Runs a command line on both sides; `judge` says what differs, or why it may.
    pub fn compare(
        &mut self,
        document: &str,
        line: &[String],
        judge: impl Fn(&End, &End) -> Verdict,
    ) {
        let theirs = self.run(false, document, line);
        let ours = self.run(true, document, line);
        self.ran += 1;
        self.refused += usize::from(theirs.code != 0);
        let shows = std::env::var_os("QUORATE_SHOW").is_some();
        let said = || {
            format!(
                "{line:?}\n  debian {}: {}| {}\n  ours   {}: {}| {}",
                theirs.code,
                short(&theirs.out),
                short(&theirs.err),
                ours.code,
                short(&ours.out),
                short(&ours.err)
            )
        };
        match judge(&theirs, &ours) {
            Verdict::Same => {}
            Verdict::Explained(reason) => {
                *self.explained.entry(reason).or_default() += 1;
                if shows {
                    println!("({reason}) {}", said());
                }
            }
            Verdict::Wrong(what) => self.wrong.push(format!("{what}: {}", said())),
        }
    }

    /// Fails if anything differed that is not explained.
    pub fn finish(self, least: usize, least_refused: usize) {
        let Sides { ran, refused, wrong, explained, .. } = self;
        println!("{ran} command lines, {refused} refused; explained: {explained:?}");
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/differences.md");
        let docs = fs::read_to_string(docs).unwrap();
        for reason in explained.keys() {
            assert!(docs.contains(reason), "docs/differences.md does not tell: {reason}");
        }
        let all = std::env::var_os("QUORATE_SHOW").is_some();
        let shown = if all { wrong.len() } else { 10 };
        let text: Vec<&str> = wrong.iter().take(shown).map(String::as_str).collect();
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), text.join("\n"));
        assert!(ran >= least && refused >= least_refused, "too few: {ran}, {refused} refused");
    }
}

/// What is to be thought of two ends.
pub enum Verdict {
    Same,
    Explained(Reason),
    Wrong(String),
}

fn short(text: &str) -> String {
    let text: String = text.chars().take(300).collect();
    text.replace('\n', "⏎")
}
