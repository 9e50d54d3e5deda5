//! Writing a directory as a tar archive (POSIX ustar), compressed with bzip2.
//!
//! Only what a report consists of: directories and plain files. Names too long for the header's
//! two fields (100 and 155 bytes) are refused, not cut.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

const BLOCK: usize = 512;

/// Writes `dir` with all below it to `archive`; names in it begin with `top`.
pub fn pack(dir: &Path, top: &str, archive: &Path) -> io::Result<()> {
    // Only for the one who asked: masked or not, it is about the inside of a cluster.
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(archive)?;
    let mut out = bzip2::write::BzEncoder::new(file, bzip2::Compression::best());
    tree(&mut out, dir, top)?;
    out.write_all(&[0; 2 * BLOCK])?;
    out.finish()?.sync_all()
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
}
