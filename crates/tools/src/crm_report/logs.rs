//! Logs: which there are, those of before they were rotated too, and the journal.

use std::fs;
use std::io::{self, Read, Seek};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Logs of a cluster, where they usually are; those of the cluster itself first.
const USUAL: [&str; 5] = [
    "var/log/pacemaker/pacemaker.log",
    "var/log/pacemaker.log",
    "var/log/cluster/corosync.log",
    "var/log/messages",
    "var/log/syslog",
];

/// Of larger logs only the end is read, of packed ones the beginning.
const MAX: u64 = 256 << 20;

/// The logs of a host: the usual ones and those its configuration names, each once.
pub(super) fn of_host(root: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = Vec::new();
    let mut add = |path: &str| {
        let path = root.join(path.trim_start_matches('/'));
        if path.is_file() && !paths.contains(&path) {
            paths.push(path);
        }
    };
    for file in ["etc/default/pacemaker", "etc/sysconfig/pacemaker"] {
        let text = fs::read_to_string(root.join(file)).unwrap_or_default();
        settings(&text, '=').filter(|(key, _)| *key == "PCMK_logfile").for_each(|(_, path)| {
            add(path.trim_matches(['"', '\'']));
        });
    }
    let conf = fs::read_to_string(root.join("etc/corosync/corosync.conf")).unwrap_or_default();
    settings(&conf, ':').filter(|(key, _)| *key == "logfile").for_each(|(_, path)| add(path));
    USUAL.into_iter().for_each(add);
    paths
}

fn settings(text: &str, mark: char) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(move |line| {
        let (key, value) = line.split_once(mark)?;
        Some((key.trim(), value.trim()))
    })
}

/// The files a log was rotated into that were written to at `from` or later, oldest first, and the
/// log itself: `NAME.1`, `NAME-20261121`, each also packed.
pub(super) fn with_rotated(path: &Path, from: i64) -> Vec<PathBuf> {
    let mut found: Vec<(i64, PathBuf)> = Vec::new();
    if let (Some(dir), Some(name)) = (path.parent(), path.file_name()) {
        let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
        let name = name.to_string_lossy();
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let other = entry.file_name();
            let Some(suffix) = other.to_str().and_then(|other| other.strip_prefix(&*name)) else {
                continue;
            };
            let Ok(meta) = entry.path().metadata() else { continue };
            if is_rotation(suffix) && meta.is_file() && meta.mtime() >= from {
                found.push((meta.mtime(), entry.path()));
            }
        }
    }
    found.sort();
    let mut paths: Vec<PathBuf> = found.into_iter().map(|(_, path)| path).collect();
    paths.push(path.to_owned());
    paths
}

/// Whether a name's end is what rotation adds.
fn is_rotation(suffix: &str) -> bool {
    let packed = [".gz", ".bz2", ".xz", ".zst"];
    let plain = packed.iter().find_map(|end| suffix.strip_suffix(end)).unwrap_or(suffix);
    let digits = plain.strip_prefix(['.', '-']).unwrap_or_default();
    !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '-')
}

/// Reads a log, unpacking it when its name says that it is packed.
pub(super) fn read(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut bytes = Vec::new();
    match path.extension().and_then(|end| end.to_str()) {
        Some("gz") => flate2::read::MultiGzDecoder::new(file).take(MAX).read_to_end(&mut bytes)?,
        Some("bz2") => bzip2::read::MultiBzDecoder::new(file).take(MAX).read_to_end(&mut bytes)?,
        Some("xz") => lzma_rust2::XzReader::new(file, true).take(MAX).read_to_end(&mut bytes)?,
        Some("zst") => zstd::Decoder::new(file)?.take(MAX).read_to_end(&mut bytes)?,
        _ => {
            let size = file.metadata()?.len();
            if size > MAX {
                file.seek(io::SeekFrom::Start(size - MAX))?;
            }
            file.take(MAX).read_to_end(&mut bytes)?
        }
    };
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What tells of the cluster's life among all a log says.
pub(super) fn is_event(line: &str) -> bool {
    // Words of Pacemaker's and Corosync's messages for members, roles, fencing and decisions.
    const WORDS: [&str; 12] = [
        "State transition",
        "A new membership",
        "Quorum acquired",
        "Quorum lost",
        "Quorum retained",
        "Starting Pacemaker",
        "Shutting down Pacemaker",
        "Calculated transition",
        "Initiating ",
        "was terminated",
        "Requesting fencing",
        "A processor failed",
    ];
    WORDS.iter().any(|word| line.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_rotation_makes_of_a_name() {
        for (suffix, want) in [
            (".1", true),
            (".12.gz", true),
            ("-20261121", true),
            ("-20261121.xz", true),
            ("-2026-11-21.zst", true),
            ("", false),
            (".gz", false),
            (".old", false),
            ("-x.1", false),
        ] {
            assert_eq!(is_rotation(suffix), want, "{suffix}");
        }
    }

    #[test]
    fn rotated_and_packed_logs_are_read() {
        let dir = std::env::temp_dir().join(format!("report-logs-{}", std::process::id()));
        fs::create_dir_all(dir.join("etc/corosync")).unwrap();
        fs::create_dir_all(dir.join("etc/default")).unwrap();
        fs::create_dir_all(dir.join("var/log")).unwrap();
        fs::write(dir.join("etc/corosync/corosync.conf"), "logging {\n logfile: /var/log/c.log\n}")
            .unwrap();
        fs::write(dir.join("etc/default/pacemaker"), "#X\nPCMK_logfile=\"/var/log/p.log\"\n")
            .unwrap();
        let log = dir.join("var/log/p.log");
        fs::write(&log, "new\n").unwrap();
        fs::write(dir.join("var/log/c.log"), "").unwrap();
        assert_eq!(of_host(&dir), [log.clone(), dir.join("var/log/c.log")]);

        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(b"oldest\n").unwrap();
        let age = |name: &str, bytes: &[u8], seconds: u64| {
            let path = dir.join("var/log").join(name);
            fs::write(&path, bytes).unwrap();
            let file = fs::File::options().write(true).open(&path).unwrap();
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
            file.set_modified(at).unwrap();
        };
        age("p.log.2.gz", &packed.finish().unwrap(), 2_000);
        age("p.log.1", b"older\n", 3_000);
        age("p.log.3", b"too old\n", 1_000);
        age("p.log.txt", b"other\n", 3_000);
        let texts: Vec<String> =
            with_rotated(&log, 1_500).iter().map(|path| read(path).unwrap()).collect();
        assert_eq!(texts, ["oldest\n", "older\n", "new\n"]);
        fs::remove_dir_all(dir).unwrap();
    }
}
