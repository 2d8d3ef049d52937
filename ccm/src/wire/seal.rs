//! Encryption between our own nodes: ChaCha20-Poly1305 with a key per sender incarnation.
//!
//! key = HMAC-SHA256(basis of the authkey, sender id, generation, boot); nonce = the frame's counter.
//! No nonce can repeat under one key: the counter only grows within an incarnation, and a restart is
//! another incarnation (generation on disk before the first frame, boot random), hence another key.
//! The head of the frame and the sender's id are authenticated with it. A packet proves that its
//! sender has the cluster's key, not which node it is: keys are shared.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::Keys;
use super::frame::Who;

/// Most derived keys kept; a flood of made-up incarnations (by a key holder) only costs time.
const CACHE: usize = 256;

/// Ciphers derived so far.
#[derive(Default)]
pub struct Sealer {
    ciphers: BTreeMap<(u8, Who), ChaCha20Poly1305>,
}

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealer({})", self.ciphers.len())
    }
}

impl Sealer {
    /// Forgets all ciphers; to be called when the keys change.
    pub fn clear(&mut self) {
        self.ciphers.clear();
    }

    fn cipher(&mut self, keys: &Keys, number: u8, who: Who) -> Option<&ChaCha20Poly1305> {
        let basis = keys.seal_basis(number)?;
        if self.ciphers.len() >= CACHE && !self.ciphers.contains_key(&(number, who)) {
            self.ciphers.clear();
        }
        match self.ciphers.entry((number, who)) {
            Entry::Occupied(found) => Some(found.into_mut()),
            Entry::Vacant(free) => Some(free.insert(derive(basis, who)?)),
        }
    }

    /// Encrypts with the signing key; `None` if that key does not encrypt (`crc`).
    pub fn seal(&mut self, keys: &Keys, from: Who, counter: u64, aad: &[u8], text: &[u8]) -> Option<Vec<u8>> {
        let cipher = self.cipher(keys, keys.signing(), from)?;
        cipher.encrypt(&nonce(counter), Payload { msg: text, aad }).ok()
    }

    /// Decrypts what key `number` encrypted; `None` if it was not that key, sender or head.
    pub fn open(
        &mut self,
        keys: &Keys,
        number: u8,
        from: Who,
        counter: u64,
        aad: &[u8],
        text: &[u8],
    ) -> Option<Vec<u8>> {
        let cipher = self.cipher(keys, number, from)?;
        cipher.decrypt(&nonce(counter), Payload { msg: text, aad }).ok()
    }
}

fn derive(basis: &[u8; 32], who: Who) -> Option<ChaCha20Poly1305> {
    let mut mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(basis).ok()?;
    mac.update(b"everbeat frame 1\0");
    mac.update(&who.0.0);
    mac.update(&who.1.generation.to_le_bytes());
    mac.update(&who.1.boot.to_le_bytes());
    Some(ChaCha20Poly1305::new(&mac.finalize().into_bytes()))
}

fn nonce(counter: u64) -> Nonce {
    let mut bytes = [0u8; 12];
    for (slot, byte) in bytes.iter_mut().zip(counter.to_le_bytes()) {
        *slot = byte;
    }
    Nonce::from(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::Method;
    use super::*;
    use crate::seam::{Incarnation, NodeId};

    #[test]
    fn opens_only_as_sealed() {
        let keys = Keys::single(Method::Sha1, b"secretkey").unwrap();
        let who = (NodeId([1; 16]), Incarnation { generation: 1, boot: 2 });
        let restarted = (who.0, Incarnation { generation: 2, boot: 2 });
        let mut sealer = Sealer::default();
        let sealed = sealer.seal(&keys, who, 7, b"head", b"text").unwrap();
        assert_eq!(sealer.open(&keys, 1, who, 7, b"head", &sealed).unwrap(), b"text");
        assert_eq!(sealer.open(&keys, 1, who, 8, b"head", &sealed), None);
        assert_eq!(sealer.open(&keys, 1, restarted, 7, b"head", &sealed), None);
        assert_eq!(sealer.open(&keys, 1, who, 7, b"heaD", &sealed), None);
        assert_eq!(sealer.open(&keys, 2, who, 7, b"head", &sealed), None);
        assert_ne!(sealer.seal(&keys, restarted, 7, b"head", b"text").unwrap(), sealed);
        let crc = Keys::single(Method::Crc, b"").unwrap();
        assert_eq!(sealer.seal(&crc, who, 7, b"head", b"text"), None);
    }
}
