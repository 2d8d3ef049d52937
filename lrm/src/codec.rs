//! The bytes of notes and of the executor's messages: little-endian integers, and strings and lists with
//! a 32-bit length in front. Nothing is allocated before its length is known to be present.

use std::collections::BTreeMap;

use thiserror::Error;

/// The bytes end before the value does, or a text is not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("bytes end early or hold no text where text is expected")]
pub struct Truncated;

#[derive(Debug, Default)]
pub(crate) struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Writer {
        Writer::default()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn u8(&mut self, v: u8) {
        self.bytes.push(v);
    }

    pub fn u32(&mut self, v: u32) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }

    pub fn i32(&mut self, v: i32) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }

    pub fn u64(&mut self, v: u64) {
        self.bytes.extend_from_slice(&v.to_le_bytes());
    }

    /// Longer than 4 GiB cannot be: values come from messages that are bounded far below.
    pub fn len(&mut self, v: usize) {
        self.u32(u32::try_from(v).unwrap_or(u32::MAX));
    }

    pub fn bytes(&mut self, v: &[u8]) {
        self.len(v.len());
        self.bytes.extend_from_slice(v);
    }

    pub fn str(&mut self, v: &str) {
        self.bytes(v.as_bytes());
    }

    pub fn pairs(&mut self, v: &BTreeMap<String, String>) {
        self.len(v.len());
        for (name, value) in v {
            self.str(name);
            self.str(value);
        }
    }

    #[cfg(feature = "runtime")]
    pub fn option<T>(&mut self, v: Option<T>, write: impl FnOnce(&mut Writer, T)) {
        self.u8(u8::from(v.is_some()));
        if let Some(v) = v {
            write(self, v);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    #[cfg(feature = "runtime")]
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Truncated> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    pub fn u8(&mut self) -> Result<u8, Truncated> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Truncated> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, Truncated> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Truncated> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things of at least one byte each, so never more than what is left.
    pub fn len(&mut self) -> Result<usize, Truncated> {
        let n = usize::try_from(self.u32()?).map_err(|_| Truncated)?;
        if n > self.rest.len() { Err(Truncated) } else { Ok(n) }
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], Truncated> {
        let n = self.len()?;
        let (head, tail) = self.rest.split_at_checked(n).ok_or(Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    pub fn str(&mut self) -> Result<String, Truncated> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| Truncated)
    }

    pub fn pairs(&mut self) -> Result<BTreeMap<String, String>, Truncated> {
        let n = self.len()?;
        let mut out = BTreeMap::new();
        for _ in 0..n {
            let name = self.str()?;
            out.insert(name, self.str()?);
        }
        Ok(out)
    }

    #[cfg(feature = "runtime")]
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Reader<'a>) -> Result<T, Truncated>,
    ) -> Result<Option<T>, Truncated> {
        match self.u8()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(Truncated),
        }
    }
}
