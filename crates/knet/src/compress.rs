//! Compression of whole messages, before they are cut up and encrypted.
//!
//! A receiver takes any model, whatever it is itself configured to send. What comes out is bounded:
//! a small packet must not become a large memory.
//!
//! Source: `spec/knet.md` §7.

use crate::wire::MESSAGE_MAX;
use std::io::{Read, Write};

/// Largest result: a message and what a header may add.
const OUTPUT_MAX: usize = MESSAGE_MAX + 1024;
/// Messages up to this length go as they are when nothing else is said.
pub const THRESHOLD_DEFAULT: usize = 100;
/// Memory (KiB) that an xz stream may ask for: enough for the largest of its presets.
const XZ_MEMORY_KIB: u32 = 96 * 1024;

/// How messages are compressed; the numbers are those on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum Model {
    /// Not at all.
    #[default]
    None = 0,
    /// A zlib stream.
    Zlib = 1,
    /// A raw LZ4 block.
    Lz4 = 2,
    /// The same format, made with more patience.
    Lz4hc = 3,
    /// A raw LZO1X stream.
    Lzo2 = 4,
    /// An xz stream.
    Lzma = 5,
    /// A bzip2 stream.
    Bzip2 = 6,
    /// A zstd frame.
    Zstd = 7,
}

const MODELS: [(Model, &str); 8] = [
    (Model::None, "none"),
    (Model::Zlib, "zlib"),
    (Model::Lz4, "lz4"),
    (Model::Lz4hc, "lz4hc"),
    (Model::Lzo2, "lzo2"),
    (Model::Lzma, "lzma"),
    (Model::Bzip2, "bzip2"),
    (Model::Zstd, "zstd"),
];

impl Model {
    /// The word in `corosync.conf`.
    pub fn as_str(self) -> &'static str {
        MODELS.iter().find(|(model, _)| *model == self).map_or("none", |(_, word)| word)
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Model> {
        MODELS.iter().find(|(_, known)| *known == word).map(|(model, _)| *model)
    }

    /// Reads the number in a packet.
    pub fn from_wire(number: u8) -> Option<Model> {
        MODELS.iter().find(|(model, _)| *model as u8 == number).map(|(model, _)| *model)
    }
}

/// What to do with messages.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Compression {
    /// The model.
    pub model: Model,
    /// Messages longer than this are compressed; 0 means the default.
    pub threshold: usize,
    /// The model's own number for effort; one it does not know means its default.
    pub level: i32,
}

impl Compression {
    /// The threshold in effect.
    pub fn threshold(&self) -> usize {
        if self.threshold == 0 { THRESHOLD_DEFAULT } else { self.threshold }
    }

    /// A message made smaller; `None` when it is short, or would not become smaller.
    pub fn compress(&self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() <= self.threshold() {
            return None;
        }
        let made = self.run(message)?;
        (made.len() < message.len()).then_some(made)
    }

    fn run(&self, message: &[u8]) -> Option<Vec<u8>> {
        let effort = |default: u32, max: u32| {
            u32::try_from(self.level).ok().filter(|n| (1..=max).contains(n)).unwrap_or(default)
        };
        match self.model {
            Model::None => None,
            Model::Lzo2 => Some(crate::lzo::compress(message)),
            Model::Zlib => {
                let level = flate2::Compression::new(effort(6, 9));
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(message).ok()?;
                encoder.finish().ok()
            }
            // One format: the peer cannot tell them apart.
            Model::Lz4 | Model::Lz4hc => Some(lz4_flex::block::compress(message)),
            Model::Lzma => {
                let mut options = lzma_rust2::XzOptions::with_preset(effort(6, 9));
                // A dictionary larger than the message only costs memory on both sides.
                options.lzma_options.dict_size = MESSAGE_MAX as u32;
                options.set_check_sum_type(lzma_rust2::CheckType::None);
                let mut encoder = lzma_rust2::XzWriter::new(Vec::new(), options).ok()?;
                encoder.write_all(message).ok()?;
                encoder.finish().ok()
            }
            Model::Bzip2 => {
                let level = bzip2::Compression::new(effort(9, 9));
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), level);
                encoder.write_all(message).ok()?;
                encoder.finish().ok()
            }
            Model::Zstd => {
                let level = i32::try_from(effort(3, 22)).unwrap_or(3);
                zstd::bulk::compress(message, level).ok()
            }
        }
    }
}

/// Reads to the end, unless that is too far.
fn bounded(reader: impl Read) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(OUTPUT_MAX as u64 + 1).read_to_end(&mut out).ok()?;
    (out.len() <= OUTPUT_MAX).then_some(out)
}

/// A peer's message as it was before. `None` for what is damaged, too large, or of a model that
/// is not known here.
pub fn decompress(model: u8, data: &[u8]) -> Option<Vec<u8>> {
    match Model::from_wire(model)? {
        Model::None => None,
        Model::Lzo2 => crate::lzo::decompress(data, OUTPUT_MAX),
        Model::Zlib => bounded(flate2::read::ZlibDecoder::new(data)),
        Model::Lz4 | Model::Lz4hc => {
            let mut out = vec![0; OUTPUT_MAX];
            let len = lz4_flex::block::decompress_into(data, &mut out).ok()?;
            out.truncate(len);
            Some(out)
        }
        Model::Lzma => bounded(lzma_rust2::XzReader::new_mem_limit(data, false, XZ_MEMORY_KIB)),
        Model::Bzip2 => bounded(bzip2::read::BzDecoder::new(data)),
        Model::Zstd => zstd::bulk::decompress(data, OUTPUT_MAX).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Model; 7] = [
        Model::Zlib,
        Model::Lz4,
        Model::Lz4hc,
        Model::Lzo2,
        Model::Lzma,
        Model::Bzip2,
        Model::Zstd,
    ];

    fn text(len: usize) -> Vec<u8> {
        b"the token goes round and round. ".iter().copied().cycle().take(len).collect()
    }

    #[test]
    fn every_model_returns_the_message() {
        for model in ALL {
            for len in [101, 5_000, MESSAGE_MAX] {
                for level in [0, 1, 9, -7, 1000] {
                    let how = Compression { model, threshold: 0, level };
                    let Some(small) = how.compress(&text(len)) else {
                        assert!(len == 101, "{model:?} {len}");
                        continue;
                    };
                    assert!(small.len() < len);
                    assert_eq!(decompress(model as u8, &small), Some(text(len)), "{model:?} {len}");
                }
            }
        }
    }

    #[test]
    fn streams_begin_as_upstreams_do() {
        for (model, start) in [
            (Model::Zlib, &[0x78][..]),
            (Model::Lzma, &[0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]),
            (Model::Bzip2, b"BZh9"),
            (Model::Zstd, &[0x28, 0xb5, 0x2f, 0xfd]),
        ] {
            let how = Compression { model, ..Compression::default() };
            let small = how.compress(&text(5000)).unwrap();
            assert!(small.starts_with(start), "{model:?}");
        }
    }

    #[test]
    fn bytes_behind_a_stream_do_not_matter() {
        for model in ALL.into_iter().filter(|m| matches!(m, Model::Zlib | Model::Bzip2)) {
            let mut small =
                Compression { model, threshold: 0, level: 0 }.compress(&text(3000)).unwrap();
            small.extend_from_slice(&[0; 71]);
            assert_eq!(decompress(model as u8, &small), Some(text(3000)), "{model:?}");
        }
    }

    #[test]
    fn short_and_incompressible_messages_go_as_they_are() {
        let how = Compression { model: Model::Zlib, threshold: 2000, level: 0 };
        assert_eq!(how.compress(&text(2000)), None);
        let noise: Vec<u8> =
            (0..3000u32).map(|n| (n.wrapping_mul(n).wrapping_mul(2_654_435) >> 7) as u8).collect();
        let how = Compression { model: Model::Lz4, ..how };
        assert!(how.compress(&noise).is_none_or(|small| small.len() < noise.len()));
    }

    #[test]
    fn bombs_and_rubbish_are_dropped() {
        for model in ALL {
            let how = Compression { model, threshold: 1, level: 9 };
            let bomb = how.run(&vec![0; 4 << 20]).unwrap();
            assert_eq!(decompress(model as u8, &bomb), None, "{model:?}");
            assert_eq!(decompress(model as u8, &bomb[..bomb.len() / 2]), None, "{model:?}");
            assert_eq!(decompress(model as u8, b"no such stream at all"), None, "{model:?}");
        }
        assert_eq!(decompress(0, b"x"), None);
        assert_eq!(decompress(200, b"x"), None);
    }
}
