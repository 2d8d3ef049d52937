//! The netstring notation (§7.2): `###\n`, per field `LEN:(T)name=value,`, `%%%\n`.
//!
//! The trailing signature is not part of the text; [`super::envelope`] adds and checks it.

use super::{
    DecodeError, MAX_DEPTH, MAX_FIELDS, Packet, Value, decode_list, encode_list, split_field, text_of,
};

/// First bytes of the notation.
pub const START: &[u8] = b"###\n";
/// Last bytes before the signature.
pub const END: &[u8] = b"%%%\n";

/// Appends `LEN:bytes,`.
pub fn put(bytes: &[u8], out: &mut Vec<u8>) {
    put_number(bytes.len(), out);
    out.push(b':');
    out.extend_from_slice(bytes);
    out.push(b',');
}

fn put_number(mut n: usize, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut used = 0;
    for slot in &mut digits {
        *slot = b'0' + (n % 10) as u8;
        n /= 10;
        used += 1;
        if n == 0 {
            break;
        }
    }
    out.extend(digits.iter().take(used).rev());
}

/// Splits the first netstring off.
///
/// # Errors
/// [`DecodeError::Length`] or [`DecodeError::CutOff`].
pub fn take(bytes: &[u8]) -> Result<(&[u8], &[u8]), DecodeError> {
    let mut len = 0usize;
    let mut digits = 0;
    for &byte in bytes.iter().take(9) {
        match byte {
            b'0'..=b'9' => {
                len = len * 10 + usize::from(byte - b'0');
                digits += 1;
            }
            b':' if digits > 0 => break,
            _ => return Err(DecodeError::Length),
        }
    }
    let rest = bytes.get(digits..).unwrap_or_default();
    let Some((b':', rest)) = rest.split_first() else { return Err(DecodeError::Length) };
    let (item, rest) = rest.split_at_checked(len).ok_or(DecodeError::CutOff)?;
    match rest.split_first() {
        Some((b',', rest)) => Ok((item, rest)),
        Some(_) => Err(DecodeError::Length),
        None => Err(DecodeError::CutOff),
    }
}

/// Appends the packet from `###` to `%%%` and its newline.
pub fn encode(packet: &Packet, out: &mut Vec<u8>) {
    out.extend_from_slice(START);
    let mut scratch = Vec::new();
    for (name, value) in packet.fields() {
        let head = 4 + name.len();
        let raw: &[u8] = match value {
            Value::Text(text) => text.as_bytes(),
            Value::Binary(bytes) | Value::Compressed(bytes) => bytes,
            Value::Struct(inner) => {
                scratch.clear();
                encode(inner, &mut scratch);
                &scratch
            }
            Value::List(items) => {
                scratch.clear();
                encode_list(items, &mut scratch);
                &scratch
            }
        };
        put_number(head + raw.len(), out);
        out.extend_from_slice(b":(");
        out.push(b'0' + value.type_number());
        out.push(b')');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        out.extend_from_slice(raw);
        out.push(b',');
    }
    out.extend_from_slice(END);
}

/// Decodes a text that begins with `###` and ends with `%%%` and its newline.
///
/// # Errors
/// [`DecodeError`]; nothing after the end mark is allowed.
pub fn decode(bytes: &[u8]) -> Result<Packet, DecodeError> {
    decode_at(bytes, 0, &mut { MAX_FIELDS })
}

fn decode_at(bytes: &[u8], depth: usize, budget: &mut usize) -> Result<Packet, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::Limits);
    }
    let mut rest = bytes.strip_prefix(START).ok_or(DecodeError::NotAPacket)?;
    let mut packet = Packet { fields: Vec::with_capacity(16) };
    loop {
        if rest == END {
            return Ok(packet);
        }
        *budget = budget.checked_sub(1).ok_or(DecodeError::Limits)?;
        let (field, after) = take(rest)?;
        rest = after;
        let (kind, name, value) = split_field(field, false)?;
        let value = match kind {
            0 => Value::Text(text_of(value)?),
            1 => Value::Binary(value.to_vec()),
            2 => Value::Struct(decode_at(value, depth + 1, budget)?),
            3 => Value::List(decode_list(value, budget)?),
            4 => Value::Compressed(value.to_vec()),
            _ => return Err(DecodeError::Field),
        };
        packet.push(name, value);
    }
}
