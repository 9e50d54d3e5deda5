//! Saved inputs: rows of numbered files that people and tools replay.
//! Source: `spec/pacemaker-ipc.md` §7.4, side effect 3.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bzip2::Compression;
use bzip2::write::BzEncoder;
use xml::Element;

use super::Series;

/// Where inputs are kept.
pub(super) const DIR: &str = "/var/lib/pacemaker/pengine";

/// The number of the next file of a row.
fn next_number(dir: &Path, series: Series) -> i64 {
    fs::read_to_string(dir.join(format!("{}.last", series.name())))
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .filter(|number| *number >= 0)
        .unwrap_or(0)
}

/// Writes an input; returns the file.
pub(super) fn save(
    dir: &Path,
    series: Series,
    wrap: i64,
    cib: &Element,
    now: i64,
) -> io::Result<PathBuf> {
    // A row that was made shorter still gets the file that was due.
    let number = next_number(dir, series);
    let file = dir.join(format!("{}-{number}.bz2", series.name()));
    let mut input = cib.clone();
    input.set("execution-date", now.to_string());
    // A reader never finds half a file.
    let temporary = dir.join(format!(".{}-{number}.new", series.name()));
    let mut encoder = BzEncoder::new(fs::File::create(&temporary)?, Compression::new(5));
    encoder.write_all(input.to_pretty().as_bytes())?;
    encoder.finish()?;
    fs::rename(&temporary, &file)?;
    let mut next = number.saturating_add(1);
    if wrap > 0 && next >= wrap {
        next = 0;
    }
    fs::write(dir.join(format!("{}.last", series.name())), next.to_string())?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn rows_wrap() {
        let dir = std::env::temp_dir().join(format!("quorate-pengine-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let cib = Element::new("cib");
        let names: Vec<String> = (0..3)
            .map(|n| {
                let file = save(&dir, Series::Warn, 2, &cib, n).unwrap();
                file.file_name().unwrap().to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(names, ["pe-warn-0.bz2", "pe-warn-1.bz2", "pe-warn-0.bz2"]);
        let mut text = String::new();
        bzip2::read::BzDecoder::new(fs::File::open(dir.join("pe-warn-0.bz2")).unwrap())
            .read_to_string(&mut text)
            .unwrap();
        assert_eq!(text, "<cib execution-date=\"2\"/>\n");
        assert_eq!(fs::read_to_string(dir.join("pe-warn.last")).unwrap(), "1");
        fs::remove_dir_all(&dir).unwrap();
    }
}
