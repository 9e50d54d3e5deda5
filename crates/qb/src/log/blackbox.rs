//! The flight recorder: the last records of every priority, kept in memory whatever the targets
//! say, and written to a file on request or when the process crashes.
//!
//! In memory records already have the file's form (chunks of libqb's ring buffer), so that a dump
//! is a header and two writes, without allocating: a signal handler may do it. The file is what
//! `qb-blackbox` reads; [`decode`] reads files of either side.
//!
//! Source: `spec/corosync-conf-and-tools.md` §7, `spec/libqb-ipc.md` §5.4; tags as Debian's
//! corosync was seen to write them.

use base::log::{Priority, Record};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, TryLockError};
use std::time::Duration;

/// What the recorder keeps, in bytes. Memory is only used as far as there is something to keep.
const CAPACITY: usize = 2 << 20;
/// Longest record.
const RECORD_MAX: usize = 4096;
const MAGIC: u32 = 0xa1a1_a1a1;
const MARKER: [u32; 5] = [0, 0xccbb_ccbb, 0xbbcc_bbcc, 2, 0];
const HEADER: usize = 40;
/// A record without name and text: line, tag, priority, two lengths, time.
const FIXED: usize = 33;

/// The numbers of subsystems in files.
const TAGS: &[(u32, &str)] = &[
    (1, "QUORUM"),
    (2, "SYNC"),
    (3, "CFG"),
    (4, "CMAP"),
    (5, "CPG"),
    (6, "PLOAD"),
    (7, "VOTEQ"),
    (8, "MAIN"),
    (9, "QB"),
    (10, "YKD"),
    (11, "APIDEF"),
    (12, "SERV"),
    (13, "MON"),
    (14, "WD"),
    (15, "TOTEM"),
    (16, "KNET"),
    (17, "STATS"),
];

/// libqb's own records carry this bit instead of a number.
const LIBQB: u32 = 0x8000_0000;

/// The subsystem behind a number in a file.
pub fn subsystem(tag: u32) -> Option<&'static str> {
    if tag & LIBQB != 0 {
        return Some("QB");
    }
    TAGS.iter().find(|(number, _)| *number == tag).map(|(_, name)| *name)
}

fn tag_of(subsys: &str) -> u32 {
    TAGS.iter().find(|(_, name)| *name == subsys).map_or(0, |(number, _)| *number)
}

/// The recorder.
#[derive(Debug, Default)]
pub struct Recorder {
    ring: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    /// Chunks, each padded to words; the oldest first.
    chunks: std::collections::VecDeque<u8>,
}

impl Ring {
    fn push(&mut self, payload: &[u8]) {
        let size = 8 + payload.len().next_multiple_of(4);
        while self.chunks.len() + size > CAPACITY {
            self.drop_oldest();
        }
        self.chunks.extend((payload.len() as u32).to_ne_bytes());
        self.chunks.extend(MAGIC.to_ne_bytes());
        self.chunks.extend(payload);
        let padding = size - 8 - payload.len();
        self.chunks.extend(std::iter::repeat_n(0, padding));
    }

    fn drop_oldest(&mut self) {
        let mut length = [0; 4];
        for (byte, from) in length.iter_mut().zip(&self.chunks) {
            *byte = *from;
        }
        let size = 8 + (u32::from_ne_bytes(length) as usize).next_multiple_of(4);
        self.chunks.drain(..size.min(self.chunks.len()));
    }

    /// Writes the file's content; allocates nothing.
    fn write(&self, file: &mut impl Write) -> io::Result<()> {
        let used = (self.chunks.len() / 4) as u32;
        // One word stays free, as in every ring.
        let words = used + 1;
        let mut header = [0; HEADER];
        let numbers = MARKER.into_iter().chain([words, used, 0, 1, words + used + 1]);
        for (place, number) in header.chunks_exact_mut(4).zip(numbers) {
            place.copy_from_slice(&number.to_ne_bytes());
        }
        file.write_all(&header)?;
        let (first, second) = self.chunks.as_slices();
        file.write_all(first)?;
        file.write_all(second)?;
        file.write_all(&[0; 4])
    }
}

impl Recorder {
    /// Keeps a record.
    pub(crate) fn record(&self, record: &Record<'_>, message: &str, time: Duration) {
        let mut payload = Vec::with_capacity(FIXED + 64 + message.len());
        let word = |payload: &mut Vec<u8>, value: u32| payload.extend(value.to_ne_bytes());
        word(&mut payload, record.line);
        word(&mut payload, tag_of(record.subsys));
        payload.push(record.priority as u8);
        word(&mut payload, record.function.len() as u32 + 1);
        payload.extend(record.function.as_bytes());
        payload.push(0);
        payload.extend((time.as_secs() as i64).to_ne_bytes());
        payload.extend(i64::from(time.subsec_nanos()).to_ne_bytes());
        // A format and its argument; the text is never read as a format.
        let room = RECORD_MAX.saturating_sub(payload.len() + 8);
        let text: Vec<u8> = message.bytes().filter(|byte| *byte != 0).take(room).collect();
        word(&mut payload, text.len() as u32 + 4);
        payload.extend(b"%s\0");
        payload.extend(text);
        payload.push(0);
        let mut ring = self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ring.push(&payload);
    }

    /// Writes the records to a file, mode 0700 as upstream's.
    ///
    /// # Errors
    /// What the file system says; `WouldBlock` when the crash happened in the recorder itself.
    pub fn dump(&self, path: &Path) -> io::Result<()> {
        let mut file = open(path)?;
        match self.ring.try_lock() {
            Ok(ring) => ring.write(&mut file),
            Err(TryLockError::Poisoned(ring)) => ring.into_inner().write(&mut file),
            Err(TryLockError::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// Forgets everything.
    pub(crate) fn clear(&self) {
        let mut ring = self.ring.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        ring.chunks = std::collections::VecDeque::new();
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o700).open(path)
}

/// `fdata-<local time>-<pid>` in a directory.
pub fn file_name(dir: &Path) -> PathBuf {
    let time = super::wallclock::now().file_name();
    dir.join(format!("fdata-{time}-{}", std::process::id()))
}

/// Has `dir/fdata` point to a dump.
///
/// # Errors
/// What the file system says.
pub fn point_to(dir: &Path, dump: &Path) -> io::Result<()> {
    let link = dir.join("fdata");
    let fresh = dir.join(format!(".fdata-{}", std::process::id()));
    // Left behind by a crash.
    let _ = std::fs::remove_file(&fresh);
    std::os::unix::fs::symlink(dump, &fresh)?;
    std::fs::rename(&fresh, &link)
}

/// A record of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Since 1970.
    pub time: Duration,
    /// How important it was.
    pub priority: Priority,
    /// The subsystem's number; see [`subsystem`].
    pub tag: u32,
    /// The function that logged.
    pub function: String,
    /// Its line in the source.
    pub line: u32,
    /// The text.
    pub message: String,
}

/// Why a file cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not a flight recorder's file.
    #[error("this is no flight data of libqb's format")]
    Header,
    /// A crash before anything was recorded leaves such files.
    #[error("there are no records in it")]
    Empty,
}

/// Reads a file, oldest record first. A record that makes no sense ends the reading.
///
/// # Errors
/// When it is not such a file.
pub fn decode(bytes: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let number = |at: usize| Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if (0..3).any(|nth| number(4 * nth) != Some(MARKER[nth])) {
        return Err(DecodeError::Header);
    }
    if bytes.len() < HEADER {
        return Err(DecodeError::Empty);
    }
    let field = |nth: usize| number(4 * nth).unwrap_or(0);
    let (words, end, start, hash) = (field(5), field(6), field(7), field(9));
    let sum = words.wrapping_add(end).wrapping_add(start).wrapping_add(1);
    let data = &bytes[HEADER..];
    if hash != sum || words == 0 || data.len() / 4 < words as usize || end >= words {
        return Err(DecodeError::Header);
    }
    let word = |index: u32| -> u32 {
        let at = 4 * (index % words) as usize;
        data.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_ne_bytes)
    };
    let (mut entries, mut at, mut seen) = (Vec::new(), start % words, 0);
    while at != end && seen < words {
        let length = word(at);
        if word(at.wrapping_add(1)) != MAGIC || length / 4 >= words {
            break;
        }
        let size = length.div_ceil(4);
        let payload: Vec<u8> = (0..size)
            .flat_map(|nth| word(at % words + 2 + nth).to_ne_bytes())
            .take(length as usize)
            .collect();
        let Some(entry) = decode_record(&payload) else { break };
        entries.push(entry);
        seen += size + 2;
        at = (at + 2 + size) % words;
    }
    Ok(entries)
}

fn decode_record(payload: &[u8]) -> Option<Entry> {
    let word = |at: usize| Some(u32::from_ne_bytes(payload.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(i64::from_ne_bytes(payload.get(at..at + 8)?.try_into().ok()?));
    let name_len = word(9)? as usize;
    let name = payload.get(13..13usize.checked_add(name_len)?)?;
    let after = 13 + name_len;
    let (seconds, nanos) = (long(after)?, long(after + 8)?);
    let text_len = word(after + 16)? as usize;
    let text = payload.get(after + 20..(after + 20).checked_add(text_len)?)?;
    let function = name.split(|byte| *byte == 0).next().unwrap_or(name);
    Some(Entry {
        time: Duration::new(
            u64::try_from(seconds).unwrap_or(0),
            u32::try_from(nanos).unwrap_or(0).min(999_999_999),
        ),
        priority: priority(*payload.get(8)?),
        tag: word(4)?,
        function: String::from_utf8_lossy(function).into_owned(),
        line: word(0)?,
        message: super::printf::expand(text),
    })
}

fn priority(number: u8) -> Priority {
    match number {
        0 => Priority::Emerg,
        1 => Priority::Alert,
        2 => Priority::Crit,
        3 => Priority::Error,
        4 => Priority::Warning,
        5 => Priority::Notice,
        6 => Priority::Info,
        7 => Priority::Debug,
        _ => Priority::Trace,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(recorder: &Recorder, subsys: &str, text: &str, seconds: u64) {
        let record = Record {
            priority: Priority::Notice,
            subsys,
            file: "here.rs",
            line: 7,
            function: "speak",
            message: format_args!("{text}"),
        };
        recorder.record(&record, text, Duration::new(seconds, 5));
    }

    fn dumped(recorder: &Recorder) -> Vec<u8> {
        let mut bytes = Vec::new();
        recorder.ring.lock().unwrap().write(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn what_is_recorded_can_be_read() {
        let recorder = Recorder::default();
        for (nth, text) in ["one", "100 % of %s", "with a \0 in it", ""].iter().enumerate() {
            record(&recorder, "TOTEM", text, nth as u64);
        }
        let entries = decode(&dumped(&recorder)).unwrap();
        let texts: Vec<&str> = entries.iter().map(|entry| entry.message.as_str()).collect();
        assert_eq!(texts, ["one", "100 % of %s", "with a  in it", ""]);
        assert_eq!(subsystem(entries[0].tag), Some("TOTEM"));
        assert_eq!((entries[1].function.as_str(), entries[1].line), ("speak", 7));
        assert_eq!(entries[3].time, Duration::new(3, 5));
    }

    #[test]
    fn the_oldest_records_make_room() {
        let recorder = Recorder::default();
        let text = "x".repeat(1000);
        for nth in 0..5000 {
            record(&recorder, "MAIN", &text, nth);
        }
        let bytes = dumped(&recorder);
        assert!(bytes.len() <= CAPACITY + HEADER + 4);
        let entries = decode(&bytes).unwrap();
        assert!(entries.len() > 1500, "{}", entries.len());
        assert_eq!(entries.last().map(|entry| entry.time.as_secs()), Some(4999));
        record(&recorder, "MAIN", &"y".repeat(100_000), 0);
        assert!(decode(&dumped(&recorder)).unwrap().last().unwrap().message.len() < RECORD_MAX);
    }

    #[test]
    fn damaged_files_are_refused_or_cut_short() {
        let recorder = Recorder::default();
        record(&recorder, "MAIN", "fine", 1);
        record(&recorder, "MAIN", "as well", 2);
        let good = dumped(&recorder);
        assert_eq!(decode(&good[..20]), Err(DecodeError::Empty));
        assert_eq!(decode(b"no"), Err(DecodeError::Header));
        let mut seed = 1u32;
        for _ in 0..20_000 {
            let mut bad = good.clone();
            for _ in 0..3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % bad.len();
                bad[at] = (seed >> 3) as u8;
            }
            let cut = (seed >> 16) as usize % (bad.len() + 1);
            let _ = decode(&bad[..cut]);
            let _ = decode(&bad);
        }
    }
}
