//! Writing a directory as a tar archive (POSIX ustar), compressed with bzip2, and reading it back.
//!
//! Only what a report consists of: directories and plain files. Names too long for the header's
//! two fields (100 and 155 bytes) are refused, not cut. What is read comes from another node and
//! is not trusted: it can only make directories and new files below the place it was given.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

const BLOCK: usize = 512;
/// No node's part is larger than this, unpacked.
const ALL_MAX: u64 = 8 << 30;

/// Writes `dir` with all below it to `archive`; names in it begin with `top`.
pub fn pack(dir: &Path, top: &str, archive: &Path) -> io::Result<()> {
    // Only for the one who asked: masked or not, it is about the inside of a cluster.
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(archive)?;
    pack_to(dir, top, file)?.sync_all()
}

/// Writes `dir` with all below it to anything; returns that.
pub fn pack_to<W: Write>(dir: &Path, top: &str, out: W) -> io::Result<W> {
    let mut out = bzip2::write::BzEncoder::new(out, bzip2::Compression::best());
    tree(&mut out, dir, top)?;
    out.write_all(&[0; 2 * BLOCK])?;
    out.finish()
}

/// Reads an archive whose names begin with `top` into `dest`; returns how many entries it had.
pub fn unpack(archive: impl Read, top: &str, dest: &Path) -> io::Result<usize> {
    let mut archive = bzip2::read::BzDecoder::new(archive).take(ALL_MAX);
    let mut count = 0;
    loop {
        let mut block = [0; BLOCK];
        archive.read_exact(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            // The rest is read too, so that the other end does not see a closed pipe.
            io::copy(&mut archive, &mut io::sink())?;
            return Ok(count);
        }
        let entry = parse(&block, top)?;
        let path = dest.join(&entry.name);
        if entry.is_dir {
            fs::DirBuilder::new().mode(0o700).create(path)?;
        } else {
            let mut options = fs::OpenOptions::new();
            let mut file = options.write(true).create_new(true).mode(0o600).open(path)?;
            let copied = io::copy(&mut archive.by_ref().take(entry.size), &mut file)?;
            let padding = entry.size.next_multiple_of(BLOCK as u64) - entry.size;
            io::copy(&mut archive.by_ref().take(padding), &mut io::sink())?;
            if copied < entry.size {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        count += 1;
    }
}

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    size: u64,
    is_dir: bool,
}

fn parse(block: &[u8; BLOCK], top: &str) -> io::Result<Entry> {
    let bad = |why: &str| io::Error::new(io::ErrorKind::InvalidData, why.to_owned());
    let text = |from: usize, to: usize| {
        let field = &block[from..to];
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        std::str::from_utf8(&field[..end]).map_err(|_| bad("a name is no text"))
    };
    let octal = |from: usize, to: usize| {
        u64::from_str_radix(text(from, to)?.trim(), 8).map_err(|_| bad("a number is none"))
    };
    let sum: u64 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| match at {
            148..156 => u64::from(b' '),
            _ => u64::from(*byte),
        })
        .sum();
    if octal(148, 156)? != sum {
        return Err(bad("this is no archive"));
    }
    let (prefix, name) = (text(345, 500)?, text(0, 100)?);
    let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    let name = name.trim_end_matches('/').to_owned();
    let mut parts = name.split('/');
    if parts.next() != Some(top) || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(bad("a name leads elsewhere"));
    }
    let is_dir = match block[156] {
        b'5' => true,
        b'0' => false,
        _ => return Err(bad("neither directory nor file")),
    };
    Ok(Entry { name, size: if is_dir { 0 } else { octal(124, 136)? }, is_dir })
}

fn tree(out: &mut impl Write, path: &Path, name: &str) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        out.write_all(&header(&format!("{name}/"), 0, meta.mtime(), true)?)?;
        let mut entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            tree(out, &entry.path(), &format!("{name}/{}", entry.file_name().to_string_lossy()))?;
        }
    } else if meta.is_file() {
        let content = fs::read(path)?;
        out.write_all(&header(name, content.len(), meta.mtime(), false)?)?;
        out.write_all(&content)?;
        out.write_all(&vec![0; content.len().next_multiple_of(BLOCK) - content.len()])?;
    }
    Ok(())
}

fn header(name: &str, size: usize, mtime: i64, dir: bool) -> io::Result<[u8; BLOCK]> {
    let too_long = || io::Error::new(io::ErrorKind::InvalidFilename, format!("{name}: too long"));
    let (prefix, name) = if name.len() <= 100 {
        ("", name)
    } else {
        name.match_indices('/')
            .map(|(at, _)| (&name[..at], &name[at + 1..]))
            .find(|(prefix, rest)| prefix.len() <= 155 && rest.len() <= 100 && !rest.is_empty())
            .ok_or_else(too_long)?
    };
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, if dir { b"0000700\0" } else { b"0000600\0" });
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    if size >= 1 << 33 {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, name.to_owned()));
    }
    put(124, format!("{size:011o}\0").as_bytes());
    put(136, format!("{:011o}\0", mtime.clamp(0, (1 << 33) - 1)).as_bytes());
    put(148, b"        ");
    put(156, if dir { b"5" } else { b"0" });
    put(257, b"ustar\x0000");
    put(265, b"root");
    put(297, b"root");
    put(345, prefix.as_bytes());
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    Ok(block)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_have_the_right_shape() {
        let block = header("a/b", 10, 1, false).unwrap();
        assert_eq!(&block[257..265], b"ustar\x0000");
        assert_eq!(&block[124..136], b"00000000012\0");
        let long = format!("{}/{}", "d".repeat(120), "f".repeat(90));
        let block = header(&long, 0, -5, false).unwrap();
        assert_eq!(&block[345..465], "d".repeat(120).as_bytes());
        assert!(header(&"x".repeat(101), 0, 0, false).is_err());
    }

    #[test]
    fn what_is_packed_can_be_unpacked() {
        let dir = std::env::temp_dir().join(format!("report-tar-{}", std::process::id()));
        fs::create_dir_all(dir.join("in/sub")).unwrap();
        fs::create_dir_all(dir.join("out")).unwrap();
        let long = format!("sub/{}", "f".repeat(90));
        for (name, content) in [("a", vec![7; 1000]), ("empty", Vec::new()), (&long, vec![1; 512])]
        {
            fs::write(dir.join("in").join(name), content).unwrap();
        }
        let packed = pack_to(&dir.join("in"), "n1", Vec::new()).unwrap();
        assert_eq!(unpack(packed.as_slice(), "n1", &dir.join("out")).unwrap(), 5);
        for name in ["a", "empty", &long] {
            let read = |top: &str| fs::read(dir.join(top).join(name)).unwrap();
            assert_eq!(read("in"), read("out/n1"), "{name}");
        }
        // Nothing is overwritten, no other top is taken, nothing is made of half an archive.
        assert!(unpack(packed.as_slice(), "n1", &dir.join("out")).is_err());
        assert!(unpack(packed.as_slice(), "n2", &dir.join("out")).is_err());
        assert!(unpack(&packed[..packed.len() / 2], "n1", &dir.join("in")).is_err());
        fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn headers_of_others_are_not_trusted() {
        let good = header("n1/a", 10, 1, false).unwrap();
        let want = Entry { name: "n1/a".into(), size: 10, is_dir: false };
        assert_eq!(parse(&good, "n1").unwrap(), want);
        for name in ["n1/../a", "../n1", "/n1/a", "n1//a", "n2/a", "n1/./a"] {
            assert!(parse(&header(name, 0, 0, false).unwrap(), "n1").is_err(), "{name}");
        }
        let mut seed: u32 = 3;
        for _ in 0..5_000 {
            let mut block = good;
            for _ in 0..4 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                block[(seed >> 16) as usize % BLOCK] = (seed >> 8) as u8;
            }
            if let Ok(entry) = parse(&block, "n1") {
                assert!(entry.name.starts_with("n1") && !entry.name.contains(".."));
            }
        }
    }
}
