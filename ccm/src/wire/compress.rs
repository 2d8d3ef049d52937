//! zlib and bzip2, bounded (§7.6).

use std::io::{Read, Write};

use super::{DecodeError, MAX_UNPACKED};

/// `compression` of ha.cf.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    Zlib,
    Bz2,
}

impl Algorithm {
    /// The name in ha.cf and in `_compression_algorithm`.
    pub fn name(self) -> &'static str {
        match self {
            Algorithm::Zlib => "zlib",
            Algorithm::Bz2 => "bz2",
        }
    }

    /// The algorithm of that name.
    pub fn named(name: &str) -> Option<Algorithm> {
        match name {
            "zlib" => Some(Algorithm::Zlib),
            "bz2" => Some(Algorithm::Bz2),
            _ => None,
        }
    }

    /// Packs; `None` if that fails or does not make it smaller.
    pub fn pack(self, bytes: &[u8]) -> Option<Vec<u8>> {
        let packed = match self {
            Algorithm::Zlib => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()?
            }
            Algorithm::Bz2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
                encoder.write_all(bytes).ok()?;
                encoder.finish().ok()?
            }
        };
        (packed.len() < bytes.len()).then_some(packed)
    }

    /// Unpacks at most `limit` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Compressed`] for garbage or more than the limit.
    pub fn unpack(self, bytes: &[u8], limit: usize) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::new();
        let most = limit.min(MAX_UNPACKED * 8) as u64;
        let read = match self {
            Algorithm::Zlib => flate2::read::ZlibDecoder::new(bytes).take(most + 1).read_to_end(&mut out),
            Algorithm::Bz2 => bzip2::read::BzDecoder::new(bytes).take(most + 1).read_to_end(&mut out),
        };
        match read {
            Ok(n) if n as u64 <= most => Ok(out),
            Ok(_) | Err(_) => Err(DecodeError::Compressed),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn round_trip_and_bombs() {
        for algorithm in [Algorithm::Zlib, Algorithm::Bz2] {
            let text = b"abcdefgh".repeat(1000);
            let packed = algorithm.pack(&text).unwrap();
            assert!(packed.len() < 500);
            assert_eq!(algorithm.unpack(&packed, 8000).unwrap(), text);
            assert_eq!(algorithm.unpack(&packed, 7999), Err(DecodeError::Compressed));
            assert_eq!(algorithm.unpack(b"nonsense", 100), Err(DecodeError::Compressed));
            let bomb = algorithm.pack(&vec![0; MAX_UNPACKED + 1]).unwrap();
            assert_eq!(algorithm.unpack(&bomb, MAX_UNPACKED), Err(DecodeError::Compressed));
        }
    }
}
