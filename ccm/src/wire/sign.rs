//! Keys and signatures (§6): `N HEX`, the number of the key and the digest.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// How a key signs. `Crc` proves nothing but that the line did not garble the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    Crc,
    Md5,
    Sha1,
    /// Our own: HMAC-SHA256, 64 lower-case hexadecimal digits.
    Sha256,
}

/// One line of `authkeys`.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// 0 to 15.
    pub number: u8,
    pub method: Method,
    /// Empty for `Crc`.
    pub secret: Vec<u8>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({} {:?} ***)", self.number, self.method)
    }
}

/// A set of keys that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("auth key {0} not found in keyfile")]
    NoSigningKey(u8),
    #[error("auth key number {0} is not in 0..15")]
    Number(u8),
    #[error("auth method of key {0} requires a key")]
    Empty(u8),
}

#[derive(Clone)]
enum Primed {
    Crc,
    Md5(Hmac<Md5>),
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
}

#[derive(Clone)]
struct Slot {
    number: u8,
    method: Method,
    primed: Primed,
    /// Basis of the encryption keys; none for `Crc`.
    seal: Option<[u8; 32]>,
}

/// The keys of a cluster: all verify, one signs (§6.5).
#[derive(Clone)]
pub struct Keys {
    slots: Vec<Slot>,
    signing: u8,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({} of {})", self.signing, self.slots.len())
    }
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadSignature {
    /// Not of the form `N HEX`.
    Malformed,
    /// A key number that is not in our file.
    UnknownKey(u8),
    /// The digest is another one.
    Wrong(u8),
}

impl Keys {
    /// Keys as `authkeys` has them; `signing` is the number after `auth`.
    ///
    /// # Errors
    /// [`KeyError`]: the user's file is at fault.
    pub fn new(keys: &[Key], signing: u8) -> Result<Keys, KeyError> {
        let mut slots = Vec::new();
        for key in keys {
            if key.number > 15 {
                return Err(KeyError::Number(key.number));
            }
            if key.method != Method::Crc && key.secret.is_empty() {
                return Err(KeyError::Empty(key.number));
            }
            let mac = |e: hmac::digest::InvalidLength| -> KeyError {
                let _ = e;
                KeyError::Empty(key.number)
            };
            let primed = match key.method {
                Method::Crc => Primed::Crc,
                Method::Md5 => Primed::Md5(Hmac::new_from_slice(&key.secret).map_err(mac)?),
                Method::Sha1 => Primed::Sha1(Hmac::new_from_slice(&key.secret).map_err(mac)?),
                Method::Sha256 => Primed::Sha256(Hmac::new_from_slice(&key.secret).map_err(mac)?),
            };
            let seal = (key.method != Method::Crc).then(|| {
                let mut hash = Sha256::new();
                hash.update(b"everbeat seal basis 1\0");
                hash.update([key.method as u8]);
                hash.update(&key.secret);
                hash.finalize().into()
            });
            slots.push(Slot { number: key.number, method: key.method, primed, seal });
        }
        if !slots.iter().any(|s| s.number == signing) {
            return Err(KeyError::NoSigningKey(signing));
        }
        Ok(Keys { slots, signing })
    }

    /// One key that signs and verifies; for tests and the demonstration.
    ///
    /// # Errors
    /// [`KeyError::Empty`].
    pub fn single(method: Method, secret: &[u8]) -> Result<Keys, KeyError> {
        Keys::new(&[Key { number: 1, method, secret: secret.to_vec() }], 1)
    }

    /// Method of the signing key.
    pub fn method(&self) -> Method {
        self.slot(self.signing).map_or(Method::Crc, |s| s.method)
    }

    /// Number of the signing key.
    pub fn signing(&self) -> u8 {
        self.signing
    }

    /// Basis of the encryption under key `number`; none for `crc` or an unknown key.
    pub(crate) fn seal_basis(&self, number: u8) -> Option<&[u8; 32]> {
        self.slot(number)?.seal.as_ref()
    }

    fn slot(&self, number: u8) -> Option<&Slot> {
        self.slots.iter().find(|s| s.number == number)
    }

    /// `N HEX` over the parts in order, as one text.
    pub fn sign(&self, parts: &[&[u8]]) -> String {
        let mut text = String::with_capacity(68);
        text.push_str(&self.signing.to_string());
        text.push(' ');
        if let Some(slot) = self.slot(self.signing) {
            text.push_str(slot.digest(parts).as_str());
        }
        text
    }

    /// Checks `N HEX`; answers the key's number.
    ///
    /// # Errors
    /// [`BadSignature`].
    pub fn verify(&self, signature: &[u8], parts: &[&[u8]]) -> Result<u8, BadSignature> {
        let space = signature.iter().take(4).position(|&b| b == b' ').ok_or(BadSignature::Malformed)?;
        let (number, digest) = signature.split_at(space);
        let digest = digest.get(1..).unwrap_or_default();
        let number: u8 =
            std::str::from_utf8(number).ok().and_then(|n| n.parse().ok()).ok_or(BadSignature::Malformed)?;
        let slot = self.slot(number).ok_or(BadSignature::UnknownKey(number))?;
        let mine = slot.digest(parts);
        let same: bool = mine.as_str().as_bytes().ct_eq(digest).into();
        if same { Ok(number) } else { Err(BadSignature::Wrong(number)) }
    }
}

/// A digest as text, without allocation.
struct Hex {
    text: [u8; 64],
    len: usize,
}

impl Hex {
    fn of(bytes: &[u8]) -> Hex {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = Hex { text: [0; 64], len: 0 };
        for (pair, byte) in hex.text.chunks_exact_mut(2).zip(bytes) {
            pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            hex.len += 2;
        }
        hex
    }

    fn of_number(n: u32) -> Hex {
        let text = format!("{n:x}");
        let mut hex = Hex { text: [0; 64], len: text.len() };
        for (slot, byte) in hex.text.iter_mut().zip(text.bytes()) {
            *slot = byte;
        }
        hex
    }

    fn as_str(&self) -> &str {
        self.text.get(..self.len).and_then(|t| std::str::from_utf8(t).ok()).unwrap_or("")
    }
}

impl Slot {
    fn digest(&self, parts: &[&[u8]]) -> Hex {
        fn run<M: Mac + Clone>(mac: &M, parts: &[&[u8]]) -> Hex {
            let mut mac = mac.clone();
            for part in parts {
                mac.update(part);
            }
            Hex::of(&mac.finalize().into_bytes())
        }
        match &self.primed {
            Primed::Crc => Hex::of_number(crc(parts)),
            Primed::Md5(mac) => run(mac, parts),
            Primed::Sha1(mac) => run(mac, parts),
            Primed::Sha256(mac) => run(mac, parts),
        }
    }
}

/// CRC-32, polynomial 0x04C11DB7, most significant bit first, initial 0, final complement; POSIX
/// `cksum` without the length bytes (§6.6).
fn crc(parts: &[&[u8]]) -> u32 {
    let mut crc = 0u32;
    for part in parts {
        let (eights, rest) = part.as_chunks::<8>();
        for &[a, b, c, d, e, f, g, h] in eights {
            let [i, j, k, l] = (crc ^ u32::from_be_bytes([a, b, c, d])).to_be_bytes();
            let [t0, t1, t2, t3, t4, t5, t6, t7] = &CRC_TABLES;
            let at = |table: &[u32; 256], byte: u8| table[usize::from(byte)];
            crc =
                at(t7, i) ^ at(t6, j) ^ at(t5, k) ^ at(t4, l) ^ at(t3, e) ^ at(t2, f) ^ at(t1, g) ^ at(t0, h);
        }
        for &byte in rest {
            crc = (crc << 8) ^ CRC_TABLES[0][usize::from((crc >> 24) as u8 ^ byte)];
        }
    }
    !crc
}

/// What a byte does to the remainder, and what it does that many bytes further on: eight at a time.
const CRC_TABLES: [[u32; 256]; 8] = {
    let mut tables = [[0u32; 256]; 8];
    let mut i = 0;
    while i < 256 {
        let mut c = (i as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            c = if c & 0x8000_0000 != 0 { (c << 1) ^ 0x04C1_1DB7 } else { c << 1 };
            bit += 1;
        }
        tables[0][i] = c;
        i += 1;
    }
    let mut n = 1;
    while n < 8 {
        let mut i = 0;
        while i < 256 {
            let before = tables[n - 1][i];
            tables[n][i] = (before << 8) ^ tables[0][(before >> 24) as usize];
            i += 1;
        }
        n += 1;
    }
    tables
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The text of the captured status packet (§8) and its recorded digest.
    #[test]
    fn captured_signature() {
        let keys = Keys::single(Method::Sha1, b"secretkey").unwrap();
        let text = b"t=status\nst=init\ndt=1b58\nprotocol=1\nsrc=n2\n(1)srcuuid=0I9zcOkyQUmJWitBiS2nbw==\nseq=1\nhg=6b005899\nts=6b005898\nld=1.58 0.53 0.20 8/124 19\nttl=3\n";
        assert_eq!(keys.sign(&[text]), "1 7f35a981e8a57ea657c08259058cea19171a154b");
    }

    #[test]
    fn crc_is_cksum_without_length() {
        // `printf 123456789 | cksum` is 930766865 with the length byte; without it the published
        // check value of CRC-32/POSIX fed nine bytes and no length is 0x765E7680.
        assert_eq!(crc(&[b"1234", b"56789"]), 0x765E_7680);
        let mut with_length: &[u8] = &[9];
        assert_eq!(crc(&[b"123456789", with_length]), 930_766_865);
        with_length = b"";
        assert_eq!(Keys::single(Method::Crc, b"").unwrap().sign(&[b"", with_length]), "1 ffffffff");
    }

    #[test]
    fn every_key_verifies_and_one_signs() {
        let one = Key { number: 1, method: Method::Md5, secret: b"old".to_vec() };
        let two = Key { number: 2, method: Method::Sha256, secret: b"new".to_vec() };
        let before = Keys::new(std::slice::from_ref(&one), 1).unwrap();
        let during = Keys::new(&[one, two.clone()], 2).unwrap();
        let after = Keys::new(&[two], 2).unwrap();
        let old = before.sign(&[b"text"]);
        let new = during.sign(&[b"te", b"xt"]);
        assert_eq!(during.verify(old.as_bytes(), &[b"text"]), Ok(1));
        assert_eq!(after.verify(new.as_bytes(), &[b"text"]), Ok(2));
        assert_eq!(after.verify(old.as_bytes(), &[b"text"]), Err(BadSignature::UnknownKey(1)));
        assert_eq!(after.verify(new.as_bytes(), &[b"texd"]), Err(BadSignature::Wrong(2)));
        assert_eq!(after.verify(b"", &[b"text"]), Err(BadSignature::Malformed));
        assert_eq!(after.verify(b"2", &[b"text"]), Err(BadSignature::Malformed));
        assert_eq!(after.verify(b"2 ", &[b"text"]), Err(BadSignature::Wrong(2)));
    }
}
