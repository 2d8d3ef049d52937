//! Bytes of a datagram to a [`Packet`] and back: the only way in from the network.
//!
//! The signature is checked before anything else is looked at. For the netstring notation it is a
//! trailer found from the end; for the classic one it is the `auth` line, found by a scan for line
//! ends which keeps nothing.

use super::compress::Algorithm;
use super::sign::BadSignature;
use super::{DecodeError, Keys, MAX_PACKET, MAX_UNPACKED, Packet, Value, classic, netstring};

/// Which notation to write (§7.4). Reading goes by the first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Classic,
    Netstring,
}

/// The field of a packet that is another one, compressed as a whole.
const PAYLOAD: &str = "_compressed_payload";

/// Whether a netstring packet also carries the classic `auth` field, as real Heartbeat's do (§7.3) unless
/// they hold another message or are compressed as a whole (3.0.6, recorded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthField {
    Yes,
    No,
}

/// Why a packet was not let in. No state changes because of such a packet but the counter of its cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Refusal {
    #[error("not a packet of Heartbeat")]
    NotAPacket,
    #[error("longer than 256 KiB")]
    TooLong,
    #[error("no signature")]
    NoSignature,
    #[error("signed with key number {0}, which is not in authkeys here")]
    UnknownKey(u8),
    #[error("failed authentication: the signature of key {0} does not match")]
    WrongSignature(u8),
    #[error("signed, but malformed: {0}")]
    Malformed(#[from] DecodeError),
}

/// A packet whose signature was right.
#[derive(Debug, Clone, PartialEq)]
pub struct Opened {
    pub packet: Packet,
    /// The key that signed it.
    pub key: u8,
}

/// Encodes and signs.
pub fn encode(packet: &Packet, format: Format, auth: AuthField, keys: &Keys) -> Vec<u8> {
    let mut packet = std::borrow::Cow::Borrowed(packet);
    let plain = packet.get(PAYLOAD).is_none()
        && !packet.fields().any(|(_, v)| matches!(v, Value::Struct(_) | Value::Compressed(_)));
    let mut out = Vec::with_capacity(1536);
    if format == Format::Classic || (auth == AuthField::Yes && plain) {
        classic::lines(&packet, "auth", &mut out);
        let signature = keys.sign(&[&out]);
        out.clear();
        let owned = packet.to_mut();
        owned.remove("auth");
        owned.push("auth", Value::Text(signature));
    }
    match format {
        Format::Classic => classic::encode(&packet, &mut out),
        Format::Netstring => {
            netstring::encode(&packet, &mut out);
            let signature = keys.sign(&[&out]);
            netstring::put(signature.as_bytes(), &mut out);
        }
    }
    out
}

/// Checks the signature, then decodes, then unpacks a whole-message compression (§7.6).
///
/// # Errors
/// [`Refusal`].
pub fn open(bytes: &[u8], keys: &Keys) -> Result<Opened, Refusal> {
    if bytes.len() > MAX_PACKET {
        return Err(Refusal::TooLong);
    }
    let (packet, key) = if bytes.starts_with(netstring::START) {
        let (text, signature) = split_netstring(bytes)?;
        let key = check(keys, signature, &[text])?;
        (netstring::decode(text)?, key)
    } else if bytes.starts_with(classic::START) {
        let body = classic::body(bytes).map_err(|_| Refusal::NotAPacket)?;
        let [before, signature, after] = split_classic(body)?;
        let key = check(keys, signature, &[before, after])?;
        (classic::decode(bytes)?, key)
    } else {
        return Err(Refusal::NotAPacket);
    };
    Ok(Opened { packet: unpack(packet)?, key })
}

fn check(keys: &Keys, signature: &[u8], parts: &[&[u8]]) -> Result<u8, Refusal> {
    keys.verify(signature, parts).map_err(|bad| match bad {
        BadSignature::Malformed => Refusal::NoSignature,
        BadSignature::UnknownKey(n) => Refusal::UnknownKey(n),
        BadSignature::Wrong(n) => Refusal::WrongSignature(n),
    })
}

/// Text up to and with the end mark, and the signature behind it. The mark is looked for in the
/// last bytes only: a signature is at most 67 bytes long.
fn split_netstring(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let mut trimmed = bytes;
    while let [rest @ .., 0] = trimmed {
        trimmed = rest;
    }
    let from = trimmed.len().saturating_sub(96);
    let tail = trimmed.get(from..).unwrap_or_default();
    let at =
        tail.windows(netstring::END.len()).rposition(|w| w == netstring::END).ok_or(Refusal::NoSignature)?;
    let (text, trailer) = trimmed.split_at(from + at + netstring::END.len());
    match netstring::take(trailer) {
        Ok((signature, [])) => Ok((text, signature)),
        _ => Err(Refusal::NoSignature),
    }
}

/// Bytes before the `auth` line, its value, bytes after it.
fn split_classic(body: &[u8]) -> Result<[&[u8]; 3], Refusal> {
    let mut found = None;
    let mut start = 0;
    for line in body.split_inclusive(|&b| b == b'\n') {
        if line.starts_with(b"auth=") || line.starts_with(b"(0)auth=") {
            if found.is_some() {
                return Err(Refusal::NoSignature);
            }
            found = Some((start, line));
        }
        start += line.len();
    }
    let (at, line) = found.ok_or(Refusal::NoSignature)?;
    let before = body.get(..at).unwrap_or_default();
    let after = body.get(at + line.len()..).unwrap_or_default();
    let eq = line.iter().position(|&b| b == b'=').unwrap_or(0) + 1;
    let value = line.get(eq..).unwrap_or_default();
    Ok([before, value.strip_suffix(b"\n").unwrap_or(value), after])
}

/// Undoes compression of the whole message. The packet inside is whole; the sequence fields of the
/// envelope win where it has them.
fn unpack(packet: Packet) -> Result<Packet, DecodeError> {
    let Some(payload) = packet.binary(PAYLOAD) else { return Ok(packet) };
    let name = packet.text("_compression_algorithm").ok_or(DecodeError::Compressed)?;
    let algorithm = Algorithm::named(name).ok_or(DecodeError::Compressed)?;
    let text = algorithm.unpack(payload, MAX_UNPACKED)?;
    let inner = if text.starts_with(netstring::START) {
        match split_netstring(&text) {
            Ok((body, _)) => netstring::decode(body)?,
            Err(_) => netstring::decode(&text)?,
        }
    } else {
        classic::decode(&text)?
    };
    let mut merged = inner;
    for (name, value) in packet.fields() {
        if name != PAYLOAD && name != "_compression_algorithm" && merged.get(name).is_none() {
            merged.push(name, value.clone());
        }
    }
    Ok(merged)
}

/// The compressed form of a packet, if its text is longer than `threshold` bytes and packing helps
/// (`traditional_compression`, §7.6).
pub fn pack(packet: &Packet, algorithm: Algorithm, threshold: usize) -> Option<Packet> {
    let mut text = Vec::new();
    netstring::encode(packet, &mut text);
    let packed = (text.len() > threshold).then(|| algorithm.pack(&text)).flatten()?;
    let packed = Packet::new().with_binary(PAYLOAD, packed).with("_compression_algorithm", algorithm.name());
    Some(packed)
}

#[cfg(test)]
#[path = "envelope_tests.rs"]
mod tests;
