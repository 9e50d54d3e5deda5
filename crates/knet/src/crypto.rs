//! The envelope of encryption: authenticate always, encrypt when there is a cipher.
//!
//! ```text
//! cipher and hash:  salt(16, the IV) | AES-CBC(packet, padded as PKCS#7) | HMAC(salt and ciphertext)
//! hash alone:       packet | HMAC(packet)
//! ```
//!
//! The cipher's key is the beginning of the shared key, the code's key is all of it. Which library
//! upstream was told to use (`nss`, `openssl`) makes no difference to the bytes. Key schedules are
//! computed once; the AES of the processor is used where there is one.
//!
//! Source: `spec/knet.md` §6.

use crate::mtu::Envelope;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockModeDecrypt, BlockModeEncrypt, InnerIvInit};
use aes::{Aes128, Aes192, Aes256};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Sha256, Sha384, Sha512};
use std::fmt;

/// Shortest and longest shared key.
pub const KEY_MIN: usize = 128;
/// See [`KEY_MIN`].
pub const KEY_MAX: usize = 4096;
const BLOCK: usize = 16;

/// The cipher.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cipher {
    /// Packets are readable.
    #[default]
    None,
    /// AES, 128-bit key.
    Aes128,
    /// AES, 192-bit key.
    Aes192,
    /// AES, 256-bit key.
    Aes256,
}

impl Cipher {
    /// The word in `corosync.conf`.
    pub fn as_str(self) -> &'static str {
        match self {
            Cipher::None => "none",
            Cipher::Aes128 => "aes128",
            Cipher::Aes192 => "aes192",
            Cipher::Aes256 => "aes256",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Cipher> {
        let all = [Cipher::None, Cipher::Aes128, Cipher::Aes192, Cipher::Aes256];
        all.into_iter().find(|cipher| cipher.as_str() == word)
    }
}

/// The hash of the authentication code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Hash {
    /// Packets are not authenticated.
    #[default]
    None,
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// The word in `corosync.conf`.
    pub fn as_str(self) -> &'static str {
        match self {
            Hash::None => "none",
            Hash::Md5 => "md5",
            Hash::Sha1 => "sha1",
            Hash::Sha256 => "sha256",
            Hash::Sha384 => "sha384",
            Hash::Sha512 => "sha512",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Hash> {
        let all = [Hash::None, Hash::Md5, Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512];
        all.into_iter().find(|hash| hash.as_str() == word)
    }

    /// Size of the code.
    pub fn size(self) -> usize {
        match self {
            Hash::None => 0,
            Hash::Md5 => 16,
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }
}

/// Why a setting is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CryptoError {
    /// A cipher alone would not notice tampering.
    #[error("crypto communication requires hash specified")]
    NoHash,
    /// The key is shorter than 128 bytes or longer than 4096.
    #[error("private key of {0} bytes: it must have {KEY_MIN} to {KEY_MAX}")]
    KeySize(usize),
}

#[derive(Clone)]
enum Schedule {
    None,
    Aes128(Box<Aes128>),
    Aes192(Box<Aes192>),
    Aes256(Box<Aes256>),
}

#[derive(Clone)]
enum Code {
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
    Sha512(Hmac<Sha512>),
}

/// One setting of encryption, its keys prepared.
#[derive(Clone)]
pub struct Crypto {
    schedule: Schedule,
    code: Code,
    cipher: Cipher,
    hash: Hash,
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Crypto({}/{}, ***)", self.cipher.as_str(), self.hash.as_str())
    }
}

/// Applies `$body` to the code inside, whatever its hash.
macro_rules! with_code {
    ($code:expr, $mac:ident => $body:expr) => {
        match $code {
            Code::Md5($mac) => $body,
            Code::Sha1($mac) => $body,
            Code::Sha256($mac) => $body,
            Code::Sha384($mac) => $body,
            Code::Sha512($mac) => $body,
        }
    };
}

impl Crypto {
    /// Prepares the keys. `None` when neither cipher nor hash is wanted.
    ///
    /// # Errors
    /// A cipher without a hash, or a key of the wrong size.
    pub fn new(cipher: Cipher, hash: Hash, key: &[u8]) -> Result<Option<Crypto>, CryptoError> {
        if cipher == Cipher::None && hash == Hash::None {
            return Ok(None);
        }
        let size = CryptoError::KeySize(key.len());
        if !(KEY_MIN..=KEY_MAX).contains(&key.len()) {
            return Err(size);
        }
        let code = match hash {
            Hash::None => return Err(CryptoError::NoHash),
            Hash::Md5 => Code::Md5(Hmac::new_from_slice(key).map_err(|_| size)?),
            Hash::Sha1 => Code::Sha1(Hmac::new_from_slice(key).map_err(|_| size)?),
            Hash::Sha256 => Code::Sha256(Hmac::new_from_slice(key).map_err(|_| size)?),
            Hash::Sha384 => Code::Sha384(Hmac::new_from_slice(key).map_err(|_| size)?),
            Hash::Sha512 => Code::Sha512(Hmac::new_from_slice(key).map_err(|_| size)?),
        };
        let schedule = match cipher {
            Cipher::None => Schedule::None,
            Cipher::Aes128 => {
                Schedule::Aes128(Box::new(Aes128::new_from_slice(&key[..16]).map_err(|_| size)?))
            }
            Cipher::Aes192 => {
                Schedule::Aes192(Box::new(Aes192::new_from_slice(&key[..24]).map_err(|_| size)?))
            }
            Cipher::Aes256 => {
                Schedule::Aes256(Box::new(Aes256::new_from_slice(&key[..32]).map_err(|_| size)?))
            }
        };
        Ok(Some(Crypto { schedule, code, cipher, hash }))
    }

    /// What it adds to packets.
    pub fn envelope(&self) -> Envelope {
        Envelope { cipher: self.cipher != Cipher::None, hash: self.hash.size() }
    }

    /// Turns a clear packet into what goes on the wire, in place. `salt` must never repeat and
    /// must not be guessable.
    pub fn seal(&self, salt: [u8; 16], packet: &mut Vec<u8>) {
        if self.cipher != Cipher::None {
            let clear = packet.len();
            packet.resize((clear / BLOCK + 2) * BLOCK, 0);
            packet.copy_within(..clear, BLOCK);
            packet[..BLOCK].copy_from_slice(&salt);
            let (_, inner) = packet.split_at_mut(BLOCK);
            let iv = &salt.into();
            // The room holds the packet and one to sixteen bytes of padding: it always fits.
            let fits = match &self.schedule {
                Schedule::None => true,
                Schedule::Aes128(aes) => cbc::Encryptor::<&Aes128>::inner_iv_init(aes, iv)
                    .encrypt_padded::<Pkcs7>(inner, clear)
                    .is_ok(),
                Schedule::Aes192(aes) => cbc::Encryptor::<&Aes192>::inner_iv_init(aes, iv)
                    .encrypt_padded::<Pkcs7>(inner, clear)
                    .is_ok(),
                Schedule::Aes256(aes) => cbc::Encryptor::<&Aes256>::inner_iv_init(aes, iv)
                    .encrypt_padded::<Pkcs7>(inner, clear)
                    .is_ok(),
            };
            debug_assert!(fits);
        }
        with_code!(&self.code, mac => {
            let mut mac = mac.clone();
            mac.update(packet);
            packet.extend_from_slice(&mac.finalize().into_bytes());
        });
    }

    /// Checks a packet and writes what it says to `clear`. False for what this key did not make;
    /// `clear` then holds nothing of use.
    pub fn open(&self, wire: &[u8], clear: &mut Vec<u8>) -> bool {
        clear.clear();
        let Some(at) = wire.len().checked_sub(self.hash.size()) else { return false };
        let (body, claimed) = wire.split_at(at);
        let genuine = with_code!(&self.code, mac => {
            let mut mac = mac.clone();
            mac.update(body);
            // Compares in constant time.
            mac.verify_slice(claimed).is_ok()
        });
        if !genuine {
            return false;
        }
        if self.cipher == Cipher::None {
            clear.extend_from_slice(body);
            return true;
        }
        let Some((salt, inner)) = body.split_first_chunk::<BLOCK>() else { return false };
        clear.extend_from_slice(inner);
        let iv = &(*salt).into();
        let len = match &self.schedule {
            Schedule::None => Some(inner.len()),
            Schedule::Aes128(aes) => cbc::Decryptor::<&Aes128>::inner_iv_init(aes, iv)
                .decrypt_padded::<Pkcs7>(clear)
                .ok()
                .map(<[u8]>::len),
            Schedule::Aes192(aes) => cbc::Decryptor::<&Aes192>::inner_iv_init(aes, iv)
                .decrypt_padded::<Pkcs7>(clear)
                .ok()
                .map(<[u8]>::len),
            Schedule::Aes256(aes) => cbc::Decryptor::<&Aes256>::inner_iv_init(aes, iv)
                .decrypt_padded::<Pkcs7>(clear)
                .ok()
                .map(<[u8]>::len),
        };
        match len {
            Some(len) => {
                clear.truncate(len);
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn key() -> Vec<u8> {
        (0..=255).collect()
    }

    /// The PING of node 2 that the vectors of the specification encrypt.
    fn ping() -> Vec<u8> {
        let beat = crate::wire::Beat {
            link: 0,
            time: [0x39, 0x0d, 0, 0, 0, 0, 0, 0, 0x2b, 0x6c, 0x48, 0x12, 0, 0, 0, 0],
            seq: 0,
            timed: true,
        };
        let mut packet = Vec::new();
        crate::wire::put_ping(&mut packet, 2, &beat);
        packet
    }

    #[test]
    fn vectors_of_the_specification() {
        for (cipher, hash, wanted) in [
            (
                Cipher::Aes256,
                Hash::Sha256,
                "1111111111111111111111111111111148ca3d4f5a52618a23a3511c3948fc8596e42340579d96ffb38bd51a0182004ca3965e52ff7255e34cc8537ce64120cebf519737efebc3d6e1b3f7b149b05578",
            ),
            (
                Cipher::Aes128,
                Hash::Sha1,
                "1111111111111111111111111111111107203c7a3e4746a2aba3fee3d78cbeb77578424c4519de2a7e2f9214a4471f6b4e52c98ff8753ce31a5d719c3b77ccdc17da3b82",
            ),
            (
                Cipher::Aes192,
                Hash::Md5,
                "11111111111111111111111111111111949e50a149fdb73910fb8be8481c960782c17627cc268c34731b5e10c1890ecded03e2d7d8b754eec6caf0ac2552becd",
            ),
            (
                Cipher::None,
                Hash::Sha512,
                "01810002000000390d0000000000002b6c4812000000000000017065b9090fe2a381f9dbe19fcbabf6239c4c5bf5d02e5b4b009240fcc33e03cca430210a83d0d8ea3286a6852f417568dda49ba7c50c3ee1b1b104bf1f6c4150",
            ),
        ] {
            let crypto = Crypto::new(cipher, hash, &key()).unwrap().unwrap();
            let mut packet = ping();
            crypto.seal([0x11; 16], &mut packet);
            assert_eq!(hex(&packet), wanted, "{crypto:?}");
            assert_eq!(packet.len(), crypto.envelope().out_len(26));
            let mut clear = Vec::new();
            assert!(crypto.open(&packet, &mut clear));
            assert_eq!(clear, ping());
        }
    }

    #[test]
    fn nothing_changed_or_cut_or_of_another_key_gets_in() {
        for hash in [Hash::Md5, Hash::Sha1, Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            for cipher in [Cipher::None, Cipher::Aes128, Cipher::Aes192, Cipher::Aes256] {
                let crypto = Crypto::new(cipher, hash, &key()).unwrap().unwrap();
                let mut packet = ping();
                crypto.seal([7; 16], &mut packet);
                let mut clear = Vec::new();
                for len in 0..packet.len() {
                    assert!(!crypto.open(&packet[..len], &mut clear));
                }
                for at in 0..packet.len() {
                    packet[at] ^= 0x40;
                    assert!(!crypto.open(&packet, &mut clear));
                    packet[at] ^= 0x40;
                }
                let mut other = key();
                other[200] ^= 1;
                let other = Crypto::new(cipher, hash, &other).unwrap().unwrap();
                assert!(!other.open(&packet, &mut clear));
                assert!(crypto.open(&packet, &mut clear));
            }
        }
    }

    #[test]
    fn unsafe_settings_are_refused() {
        assert_eq!(
            Crypto::new(Cipher::Aes256, Hash::None, &key()).unwrap_err(),
            CryptoError::NoHash
        );
        let short = Crypto::new(Cipher::Aes256, Hash::Sha256, &key()[..127]);
        assert_eq!(short.unwrap_err(), CryptoError::KeySize(127));
        assert!(Crypto::new(Cipher::None, Hash::None, &[]).unwrap().is_none());
    }
}
