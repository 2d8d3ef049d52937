//! The compact binary form of what the group machines say to each other and write to disk.
//!
//! Little endian, lengths before contents, every length checked against what is left before
//! anything is allocated. A record starts with a version byte of its own; what cannot be read is an
//! error value, never a panic: the bytes come from the network or from a disk.

use crate::seam::{Incarnation, NodeId, RequestId, Stamp, ViewId};

/// Why bytes could not be read. The reader's state is of no use afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("record ends early")]
    Short,
    #[error("record is longer than it says")]
    Trailing,
    #[error("unknown kind {0} in a record")]
    Kind(u8),
    #[error("record version {0} is not known here")]
    Version(u8),
    #[error("text in a record is not UTF-8")]
    Text,
    #[error("a list in a record is longer than allowed")]
    Bound,
    #[error("a document in a record does not parse")]
    Document,
}

/// Writes one record.
#[derive(Debug, Default, Clone)]
pub struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    pub fn new() -> Self {
        Self::default()
    }

    /// The finished record.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }

    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// A length or a count; what does not fit 32 bits is cut off by the reader's bounds anyway.
    pub fn count(&mut self, value: usize) -> &mut Self {
        self.u32(u32::try_from(value).unwrap_or(u32::MAX))
    }

    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.count(value.len());
        self.bytes.extend_from_slice(value);
        self
    }

    pub fn fixed(&mut self, value: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(value);
        self
    }

    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    pub fn put<T: Wire>(&mut self, value: &T) -> &mut Self {
        value.write(self);
        self
    }
}

/// Reads one record.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
}

/// Longest list a record may carry, unless the list has a tighter bound of its own (R18.1).
pub const LIST_LIMIT: usize = 65_536;

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// # Errors
    /// [`CodecError::Trailing`] when something is left.
    pub fn finish(&self) -> Result<(), CodecError> {
        if self.bytes.is_empty() { Ok(()) } else { Err(CodecError::Trailing) }
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// # Errors
    /// [`CodecError::Short`] when fewer bytes are left; so do all methods below.
    pub fn take(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (head, rest) = self.bytes.split_at_checked(len).ok_or(CodecError::Short)?;
        self.bytes = rest;
        Ok(head)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        self.take(N)?.try_into().map_err(|_| CodecError::Short)
    }

    pub fn u8(&mut self) -> Result<u8, CodecError> {
        Ok(self.array::<1>()?[0])
    }

    pub fn bool(&mut self) -> Result<bool, CodecError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(CodecError::Kind(other)),
        }
    }

    pub fn u32(&mut self) -> Result<u32, CodecError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, CodecError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count of things of at least one byte each: never more than bytes are left.
    pub fn count(&mut self) -> Result<usize, CodecError> {
        let count = usize::try_from(self.u32()?).map_err(|_| CodecError::Bound)?;
        if count > self.bytes.len() {
            return Err(CodecError::Short);
        }
        Ok(count)
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.count()?;
        self.take(len)
    }

    pub fn text(&mut self) -> Result<String, CodecError> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| CodecError::Text)
    }

    pub fn get<T: Wire>(&mut self) -> Result<T, CodecError> {
        T::read(self)
    }
}

/// Something with a place in a record.
pub trait Wire: Sized {
    fn write(&self, w: &mut Writer);
    /// # Errors
    /// Any [`CodecError`]; nothing is assumed about the bytes.
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError>;

    /// This value alone as a record of `version`.
    fn record(&self, version: u8) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(version).put(self);
        w.finish()
    }

    /// Reads a record written by [`Wire::record`].
    /// # Errors
    /// Another version, or anything else wrong with the bytes.
    fn from_record(version: u8, bytes: &[u8]) -> Result<Self, CodecError> {
        let mut r = Reader::new(bytes);
        match r.u8()? {
            v if v == version => {}
            other => return Err(CodecError::Version(other)),
        }
        let value = r.get()?;
        r.finish()?;
        Ok(value)
    }
}

impl Wire for NodeId {
    fn write(&self, w: &mut Writer) {
        w.fixed(&self.0);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self(r.array()?))
    }
}

impl Wire for Incarnation {
    fn write(&self, w: &mut Writer) {
        w.u64(self.generation).u64(self.boot);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { generation: r.u64()?, boot: r.u64()? })
    }
}

impl Wire for ViewId {
    fn write(&self, w: &mut Writer) {
        w.u64(self.epoch).put(&self.proposer).u64(self.boot);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { epoch: r.u64()?, proposer: r.get()?, boot: r.u64()? })
    }
}

impl Wire for Stamp {
    fn write(&self, w: &mut Writer) {
        w.put(&self.view).u64(self.n);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { view: r.get()?, n: r.u64()? })
    }
}

impl Wire for RequestId {
    fn write(&self, w: &mut Writer) {
        w.put(&self.origin).u64(self.boot).u64(self.seq);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { origin: r.get()?, boot: r.u64()?, seq: r.u64()? })
    }
}

impl Wire for u64 {
    fn write(&self, w: &mut Writer) {
        w.u64(*self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        r.u64()
    }
}

impl Wire for bool {
    fn write(&self, w: &mut Writer) {
        w.bool(*self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        r.bool()
    }
}

impl Wire for String {
    fn write(&self, w: &mut Writer) {
        w.text(self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        r.text()
    }
}

impl<const N: usize> Wire for [u8; N] {
    fn write(&self, w: &mut Writer) {
        w.fixed(self);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        r.array()
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn write(&self, w: &mut Writer) {
        w.put(&self.0).put(&self.1);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok((r.get()?, r.get()?))
    }
}

impl<T: Wire> Wire for Option<T> {
    fn write(&self, w: &mut Writer) {
        match self {
            None => w.u8(0),
            Some(value) => w.u8(1).put(value),
        };
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(if r.bool()? { Some(r.get()?) } else { None })
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn write(&self, w: &mut Writer) {
        w.count(self.len());
        for value in self {
            w.put(value);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let count = r.count()?;
        if count > LIST_LIMIT {
            return Err(CodecError::Bound);
        }
        (0..count).map(|_| r.get()).collect()
    }
}

/// Implements [`Wire`] for a struct, field by field in the order given.
macro_rules! wire_struct {
    ($type:ty { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Wire for $type {
            fn write(&self, w: &mut $crate::codec::Writer) {
                $( w.put(&self.$field); )*
            }
            fn read(
                r: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::CodecError> {
                Ok(Self { $( $field: r.get()?, )* })
            }
        }
    };
}
pub(crate) use wire_struct;

/// Implements [`Wire`] for an enum without data: one byte each.
macro_rules! wire_enum {
    ($type:ty { $($variant:ident = $code:literal),* $(,)? }) => {
        impl $crate::codec::Wire for $type {
            fn write(&self, w: &mut $crate::codec::Writer) {
                w.u8(match self { $( <$type>::$variant => $code, )* });
            }
            fn read(
                r: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::CodecError> {
                match r.u8()? {
                    $( $code => Ok(<$type>::$variant), )*
                    other => Err($crate::codec::CodecError::Kind(other)),
                }
            }
        }
    };
}
pub(crate) use wire_enum;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// A length beyond the end is refused before it is allocated.
    #[test]
    fn lengths_are_checked_before_allocation() {
        let mut w = Writer::new();
        w.u32(u32::MAX);
        let bytes = w.finish();
        assert_eq!(Reader::new(&bytes).bytes(), Err(CodecError::Short));
        assert_eq!(Reader::new(&bytes).get::<Vec<u64>>(), Err(CodecError::Short));
    }

    /// What is written reads back, and a changed version or a trailing byte is refused.
    #[test]
    fn records_read_back() {
        let value = vec![(7_u64, Some("a".to_owned())), (8, None)];
        let bytes = value.record(3);
        assert_eq!(Vec::<(u64, Option<String>)>::from_record(3, &bytes).unwrap(), value);
        assert_eq!(Vec::<(u64, Option<String>)>::from_record(4, &bytes), Err(CodecError::Version(3)));
        let mut long = bytes.clone();
        long.push(0);
        assert_eq!(Vec::<(u64, Option<String>)>::from_record(3, &long), Err(CodecError::Trailing));
    }
}
