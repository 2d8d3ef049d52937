//! Standard base64 with padding, as classic packets carry binary fields (§7.1).

use super::DecodeError;

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Appends the base64 text of `bytes`.
pub fn encode(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |n: u32| ALPHABET[(n & 63) as usize];
    for chunk in bytes.chunks(3) {
        let b = |i: usize| u32::from(chunk.get(i).copied().unwrap_or(0));
        let n = (b(0) << 16) | (b(1) << 8) | b(2);
        out.push(digit(n >> 18));
        out.push(digit(n >> 12));
        out.push(if chunk.len() > 1 { digit(n >> 6) } else { b'=' });
        out.push(if chunk.len() > 2 { digit(n) } else { b'=' });
    }
}

fn value(byte: u8) -> Option<u32> {
    let v = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(u32::from(v))
}

/// Decodes padded base64.
///
/// # Errors
/// [`DecodeError::Base64`] for a foreign character, missing padding or padding inside.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, DecodeError> {
    if !text.len().is_multiple_of(4) {
        return Err(DecodeError::Base64);
    }
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let groups = text.len() / 4;
    for (i, group) in text.chunks_exact(4).enumerate() {
        let padding = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 1,
            _ => 0,
        };
        if padding > 0 && i + 1 != groups {
            return Err(DecodeError::Base64);
        }
        let mut n = 0;
        for &byte in group.iter().take(4 - padding) {
            n = (n << 6) | value(byte).ok_or(DecodeError::Base64)?;
        }
        n <<= 6 * padding;
        let bytes = n.to_be_bytes();
        out.extend_from_slice(bytes.get(1..4 - padding).unwrap_or_default());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn uuid_of_the_captured_packet() {
        let uuid =
            [0xd0, 0x8f, 0x73, 0x70, 0xe9, 0x32, 0x41, 0x49, 0x89, 0x5a, 0x2b, 0x41, 0x89, 0x2d, 0xa7, 0x6f];
        let mut text = Vec::new();
        encode(&uuid, &mut text);
        assert_eq!(text, b"0I9zcOkyQUmJWitBiS2nbw==");
        assert_eq!(decode(&text).unwrap(), uuid);
    }

    #[test]
    fn round_trip_of_every_length_and_refusal_of_nonsense() {
        for len in 0..50u8 {
            let bytes: Vec<u8> = (0..len).map(|i| i.wrapping_mul(37)).collect();
            let mut text = Vec::new();
            encode(&bytes, &mut text);
            assert_eq!(decode(&text).unwrap(), bytes);
        }
        for bad in ["A", "AB==CD==", "A===", "AB\n=", "****"] {
            assert_eq!(decode(bad.as_bytes()), Err(DecodeError::Base64), "{bad}");
        }
    }
}
