//! One direction of a connection: chunks in a ring of words, and a semaphore that counts them.
//!
//! Two files: a header with the indices and the semaphore, and the data. One process writes, one
//! reads. Each side keeps its own index privately and only publishes it; the other side's index
//! is read and checked. Upstream maps the data twice so that chunks run over the end; here the
//! copy wraps instead, which gives the same image.
//!
//! Source: `spec/libqb-ipc.md` §5.2–§5.4.

use super::map::Mapping;
use super::semaphore::Semaphore;
use rustix::io::Errno;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const MAGIC: u32 = 0xA1A1_A1A1;
const MAGIC_ALLOC: u32 = 0xA110_CED0;
const MAGIC_DEAD: u32 = 0xD0D0_D0D0;

const WRITE_PT: usize = 0;
const READ_PT: usize = 4;
const WORD_SIZE: usize = 8;
const HDR_PATH: usize = 12;
const DATA_PATH: usize = 4108;
const REF_COUNT: usize = 8204;
const SEMAPHORE: usize = 8208;
const USER_DATA: usize = 8240;
/// What everybody maps of a header.
const HEADER_SIZE: usize = 8248;
/// What the server makes a header file: the header and four bytes of user data.
const HEADER_FILE: usize = HEADER_SIZE + 4;
const PATH_MAX: usize = 4096;
/// Two words before the payload and one that stays free.
const CHUNK_MARGIN: usize = 12;

/// Length of the data file for a message limit. Both sides compute it.
pub(crate) fn data_length(max_msg_size: u32) -> usize {
    (max_msg_size as usize + CHUNK_MARGIN + 1).next_multiple_of(rustix::param::page_size())
}

/// Why nothing was written or read.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum RingError {
    /// No room for this message now.
    Full,
    /// No room for this message ever.
    TooBig,
    /// The peer's indices, magics or lengths make no sense, or the file was truncated.
    Corrupt,
}

#[derive(Debug)]
pub(crate) struct Ring {
    header: Mapping,
    data: Mapping,
    /// Words in the data file.
    words: u32,
    /// Our own position: the writer's next chunk or the reader's.
    mine: u32,
}

impl Ring {
    /// Makes the two files `<base>-header` and `<base>-data` and maps them.
    /// `prepare` may set their owner and mode.
    pub(crate) fn create(
        base: &Path,
        max_msg_size: u32,
        prepare: &dyn Fn(&File) -> Result<(), Errno>,
    ) -> Result<Ring, Errno> {
        let (header_path, data_path) = paths(base);
        let length = data_length(max_msg_size);
        let make = |path: &Path, length: usize| {
            let file = super::shm::create_file(path, length)?;
            prepare(&file)?;
            Ok::<File, Errno>(file)
        };
        let header = Mapping::new(make(&header_path, HEADER_FILE)?, HEADER_SIZE)?;
        let data = Mapping::new(make(&data_path, length)?, length)?;
        let words = u32::try_from(length / 4).map_err(|_| Errno::INVAL)?;
        header.u32_at(WORD_SIZE).store(words, Ordering::Relaxed);
        for (at, path) in [(HDR_PATH, &header_path), (DATA_PATH, &data_path)] {
            let path = path.as_os_str().as_encoded_bytes();
            if path.len() >= PATH_MAX {
                return Err(Errno::NAMETOOLONG);
            }
            header.write(at, path);
        }
        Semaphore::new(&header, SEMAPHORE).init();
        header.u32_at(REF_COUNT).store(1, Ordering::Release);
        // Upstream leaves this mark at the word after the end, which is the first one.
        data.u32_at(0).store(5, Ordering::Relaxed);
        Ok(Ring { header, data, words, mine: 0 })
    }

    /// Maps the files a server made. `write`: whether this side is the writer.
    pub(crate) fn open(base: &Path, write: bool) -> Result<Ring, Errno> {
        let (header_path, _) = paths(base);
        let header_file = super::shm::open_file(&header_path)?;
        if super::shm::length(&header_file)? < HEADER_SIZE as u64 {
            return Err(Errno::INVAL);
        }
        let header = Mapping::new(&header_file, HEADER_SIZE)?;
        let mut data_path = Vec::new();
        header.read_to(DATA_PATH, PATH_MAX, &mut data_path);
        let data_path = data_path.split(|byte| *byte == 0).next().unwrap_or_default();
        let data_file = super::shm::open_file(super::address::path_of(data_path))?;
        let words = header.u32_at(WORD_SIZE).load(Ordering::Relaxed);
        let length = words as usize * 4;
        if words < 4 || super::shm::length(&data_file)? < length as u64 {
            return Err(Errno::INVAL);
        }
        let data = Mapping::new(&data_file, length)?;
        let mine = header.u32_at(if write { WRITE_PT } else { READ_PT }).load(Ordering::Acquire);
        if mine >= words {
            return Err(Errno::INVAL);
        }
        header.u32_at(REF_COUNT).fetch_add(1, Ordering::AcqRel);
        Ok(Ring { header, data, words, mine })
    }

    /// The files of a base path.
    pub(crate) fn files(base: &Path) -> [PathBuf; 2] {
        let (header, data) = paths(base);
        [header, data]
    }

    /// How many processes have it mapped, as far as they keep to the rules.
    pub(crate) fn ref_count(&self) -> &AtomicU32 {
        self.header.u32_at(REF_COUNT)
    }

    /// The flow-control word (of a request ring).
    pub(crate) fn flow_control(&self) -> &AtomicU32 {
        self.header.u32_at(USER_DATA)
    }

    /// Chunks written and not read yet.
    pub(crate) fn chunks(&self) -> u32 {
        Semaphore::new(&self.header, SEMAPHORE).value()
    }

    fn word(&self, index: u32) -> &AtomicU32 {
        self.data.u32_at(index as usize * 4)
    }

    fn wrap(&self, index: u64) -> u32 {
        (index % u64::from(self.words)) as u32
    }

    fn is_lost(&self) -> bool {
        self.header.is_lost() || self.data.is_lost()
    }

    /// Appends one chunk made of several parts.
    pub(crate) fn write(&mut self, parts: &[&[u8]]) -> Result<(), RingError> {
        if self.is_lost() {
            return Err(RingError::Corrupt);
        }
        let length: usize = parts.iter().map(|part| part.len()).sum();
        let needed = length + CHUNK_MARGIN;
        if needed > self.words as usize * 4 {
            return Err(RingError::TooBig);
        }
        let read = self.header.u32_at(READ_PT).load(Ordering::Acquire);
        if read >= self.words {
            return Err(RingError::Corrupt);
        }
        if self.free_words(self.mine, read) as usize * 4 < needed {
            return Err(RingError::Full);
        }
        let magic_at = self.wrap(u64::from(self.mine) + 1);
        self.word(self.mine).store(0, Ordering::Relaxed);
        self.word(magic_at).store(MAGIC_ALLOC, Ordering::Release);
        let mut at = self.wrap(u64::from(self.mine) + 2) as usize * 4;
        let end = self.words as usize * 4;
        for part in parts {
            let (before, after) = part.split_at(part.len().min(end - at));
            self.data.write(at, before);
            self.data.write(0, after);
            at = (at + part.len()) % end;
        }
        self.word(self.mine).store(length as u32, Ordering::Relaxed);
        self.mine = self.wrap(u64::from(self.mine) + 2 + length.div_ceil(4) as u64);
        self.header.u32_at(WRITE_PT).store(self.mine, Ordering::Release);
        self.word(magic_at).store(MAGIC, Ordering::Release);
        Semaphore::new(&self.header, SEMAPHORE).post();
        Ok(())
    }

    fn free_words(&self, write: u32, read: u32) -> u32 {
        match write.cmp(&read) {
            std::cmp::Ordering::Greater => self.words - (write - read) - 1,
            std::cmp::Ordering::Less => read - write - 1,
            std::cmp::Ordering::Equal if self.chunks() > 0 => 0,
            std::cmp::Ordering::Equal => self.words,
        }
    }

    /// Takes the next chunk, replacing the buffer's content. `Ok(false)`: there is none.
    pub(crate) fn read(&mut self, buffer: &mut Vec<u8>) -> Result<bool, RingError> {
        if !Semaphore::new(&self.header, SEMAPHORE).try_wait() {
            return if self.is_lost() { Err(RingError::Corrupt) } else { Ok(false) };
        }
        self.take(buffer).map(|()| true)
    }

    /// As [`read`](Self::read), waiting up to `timeout` for a chunk.
    pub(crate) fn read_wait(
        &mut self,
        buffer: &mut Vec<u8>,
        timeout: Duration,
    ) -> Result<bool, RingError> {
        if !Semaphore::new(&self.header, SEMAPHORE).wait(timeout) {
            return if self.is_lost() { Err(RingError::Corrupt) } else { Ok(false) };
        }
        self.take(buffer).map(|()| true)
    }

    /// Takes the chunk the semaphore promised.
    fn take(&mut self, buffer: &mut Vec<u8>) -> Result<(), RingError> {
        let magic_at = self.wrap(u64::from(self.mine) + 1);
        if self.word(magic_at).load(Ordering::Acquire) != MAGIC {
            return Err(RingError::Corrupt);
        }
        let bytes = self.word(self.mine).load(Ordering::Relaxed) as usize;
        let end = self.words as usize * 4;
        if bytes + CHUNK_MARGIN > end || self.is_lost() {
            return Err(RingError::Corrupt);
        }
        let at = self.wrap(u64::from(self.mine) + 2) as usize * 4;
        let before = bytes.min(end - at);
        buffer.clear();
        self.data.read_to(at, before, buffer);
        self.data.read_to(0, bytes - before, buffer);
        self.word(self.mine).store(0, Ordering::Relaxed);
        self.word(magic_at).store(MAGIC_DEAD, Ordering::Release);
        self.mine = self.wrap(u64::from(self.mine) + 2 + bytes.div_ceil(4) as u64);
        self.header.u32_at(READ_PT).store(self.mine, Ordering::Release);
        Ok(())
    }
}

fn paths(base: &Path) -> (PathBuf, PathBuf) {
    let with = |suffix: &str| {
        let mut path = base.as_os_str().to_owned();
        path.push(suffix);
        PathBuf::from(path)
    };
    (with("-header"), with("-data"))
}
