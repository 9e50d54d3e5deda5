//! What a report holds of a node, and where it comes from.

use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;
use regex_lite::Regex;

use super::mask::Masker;
use super::{logs, times};
use crate::source::{Source, Wish};

/// How long one program may take.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How long the journal may take: there may be much of it.
const JOURNAL_TIMEOUT: Duration = Duration::from_secs(120);
/// Secrets that are kept out of the CIB.
const SECRETS: &str = "var/lib/pacemaker/lrm/secrets";

/// Programs asked, and the file their answer goes to; those of ours first.
const PROGRAMS: &[(&str, &[&str], &str)] = &[
    ("crm_mon", &["-1", "-A", "-f", "-r", "-n", "-o", "-t"], "crm_mon.txt"),
    ("crm_verify", &["-L", "-V"], "crm_verify.txt"),
    ("corosync-cmapctl", &[], "corosync.dump"),
    ("corosync-quorumtool", &["-s"], "corosync.quorum"),
    ("corosync-cfgtool", &["-s"], "corosync.cfg"),
    ("corosync-blackbox", &[], "corosync-blackbox-live.txt"),
    ("crm", &["configure", "show"], "cib.txt"),
    ("pacemakerd", &["--features"], "sysinfo.txt"),
    ("corosync", &["-v"], "sysinfo.txt"),
];
const HOST_PROGRAMS: &[(&str, &[&str], &str)] = &[
    ("uname", &["-srm"], "sysinfo.txt"),
    ("cat", &["/etc/os-release"], "sysinfo.txt"),
    ("ip", &["addr"], "sysstats.txt"),
    ("ps", &["axf"], "sysstats.txt"),
    ("df", &["-h"], "sysstats.txt"),
    ("uptime", &[], "sysstats.txt"),
];

/// The regular expressions that are looked for in logs.
pub(super) fn problems<'a>(more: impl Iterator<Item = &'a str>) -> Result<Vec<Regex>, String> {
    ["CRIT:", "ERROR:"]
        .into_iter()
        .chain(more)
        .map(|text| Regex::new(text).map_err(|error| format!("pattern \"{text}\": {error}")))
        .collect()
}

/// This host's name.
pub(super) fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Collects one node.
pub(super) struct Collector {
    /// The name of the node here.
    pub(super) node: String,
    /// Where the host's files are: `/`, but in tests.
    pub(super) root: PathBuf,
    pub(super) dest: PathBuf,
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) now: i64,
    pub(super) zone: TimeZone,
    pub(super) masker: Masker,
    pub(super) problems: Vec<Regex>,
    pub(super) extra_logs: Vec<PathBuf>,
    /// Whether the usual logs and the journal are looked for.
    pub(super) search: bool,
    /// The nodes, where the user said it.
    pub(super) members: Vec<String>,
    /// What could not be had, for the user.
    pub(super) notes: Vec<String>,
}

impl Collector {
    /// Collects; returns the cluster's members.
    ///
    /// # Errors
    /// Only when the report cannot be written. What cannot be read becomes a note.
    pub(super) fn run(&mut self) -> io::Result<Vec<String>> {
        let dir = self.dest.join(&self.node);
        fs::create_dir(&dir)?;
        self.learn_secrets();
        let mut members = self.configuration(&dir)?;
        if members.is_empty() {
            members = self.members_of_the_ring();
        }
        if !self.members.is_empty() {
            members.clone_from(&self.members);
        }
        self.write(&dir.join("members.txt"), &format!("{}\n", members.join(" ")))?;
        self.programs(&dir)?;
        self.corosync_conf(&dir)?;
        self.scheduler_inputs(&dir)?;
        self.logs(&dir)?;
        self.permissions(&dir)?;
        let mut report = format!(
            "crm_report of {}\nfrom {}\nto   {}\n",
            self.node,
            crate::clock::iso_local(self.from),
            crate::clock::iso_local(self.to)
        );
        self.notes.iter().for_each(|note| report.push_str(&format!("{note}\n")));
        self.write(&dir.join("report.out"), &report)?;
        Ok(members)
    }

    /// Learns what was kept out of the CIB: an agent may have written it to a log.
    fn learn_secrets(&mut self) {
        let mut dirs = vec![self.root.join(SECRETS)];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.is_dir() {
                    dirs.push(path);
                } else if path.extension().is_none_or(|end| end != "sign")
                    && let Ok(text) = fs::read_to_string(&path)
                {
                    text.lines().for_each(|line| self.masker.remember(line.trim()));
                }
            }
        }
    }

    /// The names in the engine's list of nodes, where there is no CIB.
    fn members_of_the_ring(&self) -> Vec<String> {
        let path = self.root.join("etc/corosync/corosync.conf");
        let text = fs::read_to_string(path).unwrap_or_default();
        let pairs = text.lines().filter_map(|line| line.split_once(':'));
        pairs
            .filter(|(key, _)| key.trim() == "name")
            .map(|(_, name)| name.trim().to_owned())
            .collect()
    }

    /// Writes a text, without secrets.
    fn write(&self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
        file.write_all(self.masker.mask(text).as_bytes())
    }

    /// The CIB: live, of `CIB_file`, or what is on disk. Its secrets are masked everywhere.
    fn configuration(&mut self, dir: &Path) -> io::Result<Vec<String>> {
        let wish = Wish { tool: "crm_report", user: None, writes: false };
        let live = Source::open_real(&wish).and_then(|mut source| source.document());
        let (text, state) = match live {
            Ok(document) => (document.to_pretty(), "RUNNING"),
            Err(rc) => {
                self.notes.push(format!("no live CIB ({rc}); taken from disk"));
                let path = self.root.join("var/lib/pacemaker/cib/cib.xml");
                (self.read(&path).unwrap_or_default(), "STOPPED")
            }
        };
        self.write(&dir.join(state), "")?;
        if text.is_empty() {
            return Ok(Vec::new());
        }
        self.masker.learn(&text);
        self.write(&dir.join("cib.xml"), &text)?;
        match xml::parse(&text) {
            Ok(document) => {
                let nodes = crate::nodes::all(&document);
                Ok(nodes.into_iter().map(|node| node.name).collect())
            }
            Err(error) => {
                self.notes.push(format!("the CIB cannot be parsed: {error}"));
                Ok(Vec::new())
            }
        }
    }

    fn read(&mut self, path: &Path) -> Option<String> {
        match fs::read(path) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                self.notes.push(format!("{}: {error}", path.display()));
                None
            }
        }
    }

    fn programs(&mut self, dir: &Path) -> io::Result<()> {
        let own = std::env::current_exe().ok();
        let of = |list: &'static [_], program: Option<&PathBuf>| {
            let program = program.cloned();
            list.iter().map(move |row| (row, program.clone()))
        };
        for ((name, args, file), program) in
            of(PROGRAMS, own.as_ref()).chain(of(HOST_PROGRAMS, None))
        {
            let mut command = Command::new(program.unwrap_or_else(|| name.into()));
            command.arg0(name).args(*args);
            match ask(&mut command, dir, TIMEOUT) {
                Ok(text) => {
                    self.write(&dir.join(file), &format!("$ {name} {}\n{text}\n", args.join(" ")))?;
                }
                Err(error) => self.notes.push(format!("{name}: {error}")),
            }
        }
        Ok(())
    }

    /// `corosync.conf`, whose `key` is a secret of its own.
    fn corosync_conf(&mut self, dir: &Path) -> io::Result<()> {
        let Some(text) = self.read(&self.root.join("etc/corosync/corosync.conf")) else {
            return Ok(());
        };
        let mut out = String::new();
        for line in text.lines() {
            match line.split_once(':') {
                Some((key, _)) if key.trim() == "key" => {
                    out.push_str(&format!("{key}: {}\n", super::mask::MASK));
                }
                _ => out.push_str(&format!("{line}\n")),
            }
        }
        self.write(&dir.join("corosync.conf"), &out)
    }

    /// The scheduler's inputs of the time, unpacked, masked, packed again.
    fn scheduler_inputs(&mut self, dir: &Path) -> io::Result<()> {
        let Ok(entries) = fs::read_dir(self.root.join("var/lib/pacemaker/pengine")) else {
            self.notes.push("no scheduler inputs".into());
            return Ok(());
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.ends_with(".bz2") || !self.is_of_the_time(&path) {
                continue;
            }
            let text = match crate::source::read_file(&path.to_string_lossy()) {
                Ok(text) => text,
                Err(error) => {
                    self.notes.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            // An old input may hold a secret that the CIB of today does not.
            self.masker.learn(&text);
            fs::create_dir_all(dir.join("pengine"))?;
            let file = fs::File::create(dir.join("pengine").join(name))?;
            let mut out = bzip2::write::BzEncoder::new(file, bzip2::Compression::best());
            out.write_all(self.masker.mask(&text).as_bytes())?;
            out.finish()?;
        }
        Ok(())
    }

    fn is_of_the_time(&self, path: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        fs::metadata(path).is_ok_and(|meta| (self.from..=self.to).contains(&meta.mtime()))
    }

    /// The part of each log that is of the time, rotated ones with it, and of the journal; beside
    /// them the lines that tell of problems, and those that tell of the cluster's life.
    fn logs(&mut self, dir: &Path) -> io::Result<()> {
        let mut paths = self.extra_logs.clone();
        if self.search {
            paths.extend(logs::of_host(&self.root));
        }
        let (mut analysis, mut events) = (String::new(), String::new());
        let mut parts: Vec<(String, String)> = Vec::new();
        for path in paths {
            let mut part = String::new();
            for file in logs::with_rotated(&path, self.from) {
                match logs::read(&file) {
                    Ok(log) => {
                        part.push_str(&times::cut(&log, self.from, self.to, self.now, &self.zone));
                    }
                    Err(error) => self.notes.push(format!("{}: {error}", file.display())),
                }
            }
            let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            name.push_str(".extract.txt");
            while parts.iter().any(|(other, _)| *other == name) {
                name.insert_str(0, "other-");
            }
            parts.push((name, part));
        }
        if self.search {
            let (since, until) = (format!("@{}", self.from), format!("@{}", self.to));
            let words = ["--no-pager", "-q", "-o", "short-iso", "--since", &since, "--until"];
            let mut command = Command::new("journalctl");
            command.args(words).arg(&until);
            match ask(&mut command, dir, JOURNAL_TIMEOUT) {
                Ok(text) => parts.push(("journal.log".into(), text)),
                Err(error) => self.notes.push(format!("journalctl: {error}")),
            }
        }
        for (name, part) in parts {
            self.write(&dir.join(&name), &part)?;
            for line in part.lines() {
                if self.problems.iter().any(|pattern| pattern.is_match(line)) {
                    analysis.push_str(&format!("{name}: {line}\n"));
                }
                if logs::is_event(line) {
                    events.push_str(&format!("{line}\n"));
                }
            }
        }
        self.write(&dir.join("events.txt"), &events)?;
        self.write(&dir.join("analysis.txt"), &analysis)
    }

    /// Whether the cluster's directories belong to whom they should.
    fn permissions(&mut self, dir: &Path) -> io::Result<()> {
        use std::os::unix::fs::MetadataExt;
        let mut text = String::new();
        for place in ["var/lib/pacemaker", "var/lib/pacemaker/cib", "var/lib/pacemaker/pengine"] {
            let path = self.root.join(place);
            let line = match fs::metadata(&path) {
                Ok(meta) => {
                    let user = crate::source::user_name(meta.uid());
                    let user = user.unwrap_or_else(|| meta.uid().to_string());
                    format!("{} {:o} {user}\n", path.display(), meta.mode() & 0o7777)
                }
                Err(error) => format!("{}: {error}\n", path.display()),
            };
            text.push_str(&line);
        }
        self.write(&dir.join("permissions.txt"), &text)
    }
}

/// Runs a program and returns what it says. Its output goes through a file, so that a program that
/// says much never waits for us, nor we for one that hangs.
fn ask(command: &mut Command, dir: &Path, limit: Duration) -> io::Result<String> {
    let path = dir.join(".output");
    let file = fs::File::create(&path)?;
    command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    let outcome = wait(command, limit);
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    fs::remove_file(&path)?;
    outcome.map(|()| text)
}

fn wait(command: &mut Command, limit: Duration) -> io::Result<()> {
    let mut child = command.spawn()?;
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
