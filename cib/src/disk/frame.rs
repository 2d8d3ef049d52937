//! Bytes of the base and of the log, and how to tell whole ones from torn ones.

use sha2::{Digest, Sha256};

use crate::{Cib, Element};

/// Longest record accepted, bytes. A whole document of 10 000 resources with status is a tenth of it.
pub(super) const RECORD_MAX: usize = 256 << 20;

const LOG_MAGIC: &[u8; 8] = b"cib.log1";
pub(super) const LOG_HEADER: usize = 20;
const RECORD_HEADER: usize = 9;
const BASE_MAGIC: &str = "cib.base1";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entry,
    Meta,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Kind::Entry => b'E',
            Kind::Meta => b'M',
        }
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        [Kind::Entry, Kind::Meta].into_iter().find(|kind| kind.byte() == byte)
    }
}

pub(super) fn log_header(generation: u64) -> Vec<u8> {
    let mut bytes = LOG_MAGIC.to_vec();
    bytes.extend_from_slice(&generation.to_le_bytes());
    let sum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    bytes
}

/// Append one record. Its checksum covers the generation and its number, so that a record of another log or place, left
/// over on the medium, is not taken for one.
pub(super) fn record(generation: u64, number: u64, kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    let length = payload.len() as u32;
    out.push(kind.byte());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum(generation, number, kind, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn checksum(generation: u64, number: u64, kind: Kind, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&generation.to_le_bytes());
    hasher.update(&number.to_le_bytes());
    hasher.update(&[kind.byte()]);
    hasher.update(&(payload.len() as u32).to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// What a log holds.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub records: Vec<(Kind, Vec<u8>)>,
    /// Bytes up to the end of the last whole record.
    pub valid: usize,
}

/// Read a log as far as it is whole; `None` when not even its header is, or it is of another generation.
pub(super) fn read_log(bytes: &[u8], generation: u64) -> Option<Log> {
    if bytes.get(..LOG_HEADER)? != log_header(generation) {
        return None;
    }
    let mut log = Log { records: Vec::new(), valid: LOG_HEADER };
    while let Some((kind, payload)) = read_record(bytes, log.valid, generation, log.records.len() as u64) {
        log.valid += RECORD_HEADER + payload.len();
        log.records.push((kind, payload.to_vec()));
    }
    Some(log)
}

fn read_record(bytes: &[u8], at: usize, generation: u64, number: u64) -> Option<(Kind, &[u8])> {
    let header = bytes.get(at..at.checked_add(RECORD_HEADER)?)?;
    let kind = Kind::from_byte(*header.first()?)?;
    let length = u32::from_le_bytes(header.get(1..5)?.try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(header.get(5..9)?.try_into().ok()?);
    if length > RECORD_MAX {
        return None;
    }
    let start = at + RECORD_HEADER;
    let payload = bytes.get(start..start.checked_add(length)?)?;
    (checksum(generation, number, kind, payload) == sum).then_some((kind, payload))
}

/// A base: one line with lengths and a SHA-256, the driver's bytes, the document.
pub(super) fn base(generation: u64, document: &Element, meta: &[u8]) -> Vec<u8> {
    let text = document.to_xml_compact();
    let sum = base_sum(generation, meta, text.as_bytes());
    let mut bytes = format!("{BASE_MAGIC} {generation} {} {} {sum}\n", meta.len(), text.len()).into_bytes();
    bytes.extend_from_slice(meta);
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

fn base_sum(generation: u64, meta: &[u8], text: &[u8]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(generation.to_le_bytes());
    hasher.update((meta.len() as u64).to_le_bytes());
    hasher.update(meta);
    hasher.update(text);
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The document and the driver's bytes of a base, if it is whole and of this generation.
pub(super) fn read_base(bytes: &[u8], generation: u64) -> Option<(Cib, Vec<u8>)> {
    let end = bytes.iter().take(256).position(|&byte| byte == b'\n')?;
    let header = std::str::from_utf8(bytes.get(..end)?).ok()?;
    let mut words = header.split(' ');
    if words.next()? != BASE_MAGIC || words.next()?.parse() != Ok(generation) {
        return None;
    }
    let meta_length: usize = words.next()?.parse().ok()?;
    let text_length: usize = words.next()?.parse().ok()?;
    let sum = words.next()?;
    let meta_end = (end + 1).checked_add(meta_length)?;
    let text_end = meta_end.checked_add(text_length)?;
    let (meta, text) = (bytes.get(end + 1..meta_end)?, bytes.get(meta_end..text_end)?);
    if bytes.len() != text_end || base_sum(generation, meta, text) != sum {
        return None;
    }
    let cib = Cib::parse(std::str::from_utf8(text).ok()?).ok()?;
    Some((cib, meta.to_vec()))
}
