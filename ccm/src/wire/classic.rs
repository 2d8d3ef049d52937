//! The classic notation (§7.1): `>>>`, one `name=value` line per field, `<<<`, a NUL byte.

use super::{
    DecodeError, MAX_DEPTH, MAX_FIELDS, Packet, Value, base64, decode_list, encode_list, split_field, text_of,
};

/// First line.
pub const START: &[u8] = b">>>\n";
/// Last line.
pub const END: &[u8] = b"<<<\n";
/// What a newline inside a string value travels as.
const NEWLINE: u8 = 19;

/// What a newline of a nested message travels as, by nesting depth (§7.1).
fn nested_newline(depth: usize) -> Option<u8> {
    match depth {
        0..=11 => Some(20 + depth as u8),
        12..=15 => Some(15 + (depth - 12) as u8),
        _ => None,
    }
}

/// Appends every field as its line, with newline, except those named `skip`. This is the text that
/// an `auth` field signs (§7.3).
pub fn lines(packet: &Packet, skip: &str, out: &mut Vec<u8>) {
    lines_at(packet, skip, 0, out);
}

fn lines_at(packet: &Packet, skip: &str, depth: usize, out: &mut Vec<u8>) {
    for (name, value) in packet.fields() {
        if name == skip {
            continue;
        }
        if !matches!(value, Value::Text(_)) {
            out.extend_from_slice(&[b'(', b'0' + value.type_number(), b')']);
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        match value {
            Value::Text(text) => out.extend(text.bytes().map(|b| if b == b'\n' { NEWLINE } else { b })),
            Value::Binary(bytes) | Value::Compressed(bytes) => base64::encode(bytes, out),
            Value::List(items) => encode_list(items, out),
            // A message nested deeper than the notation can say is cut: such a packet cannot be
            // built by decoding, and nothing of ours nests.
            Value::Struct(inner) => {
                if let Some(byte) = nested_newline(depth) {
                    let mut text = START.to_vec();
                    lines_at(inner, "", depth + 1, &mut text);
                    text.extend_from_slice(END);
                    out.extend(text.iter().map(|&b| if b == b'\n' { byte } else { b }));
                }
            }
        }
        out.push(b'\n');
    }
}

/// Appends the complete packet with its terminating NUL.
pub fn encode(packet: &Packet, out: &mut Vec<u8>) {
    out.extend_from_slice(START);
    lines(packet, "", out);
    out.extend_from_slice(END);
    out.push(0);
}

/// The bytes between start and end mark. NUL bytes after the end are allowed.
///
/// # Errors
/// [`DecodeError::NotAPacket`], [`DecodeError::CutOff`].
pub fn body(mut bytes: &[u8]) -> Result<&[u8], DecodeError> {
    while let [rest @ .., 0] = bytes {
        bytes = rest;
    }
    let inner = bytes.strip_prefix(START).ok_or(DecodeError::NotAPacket)?;
    match inner.strip_suffix(END) {
        Some(lines) if lines.is_empty() || lines.ends_with(b"\n") => Ok(lines),
        _ => Err(DecodeError::CutOff),
    }
}

/// Decodes a complete packet.
///
/// # Errors
/// [`DecodeError`].
pub fn decode(bytes: &[u8]) -> Result<Packet, DecodeError> {
    decode_lines(body(bytes)?, 0, &mut { MAX_FIELDS })
}

fn decode_lines(lines: &[u8], depth: usize, budget: &mut usize) -> Result<Packet, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::Limits);
    }
    let mut packet = Packet::new();
    let Some(lines) = lines.strip_suffix(b"\n") else {
        return if lines.is_empty() { Ok(packet) } else { Err(DecodeError::CutOff) };
    };
    for line in lines.split(|&b| b == b'\n') {
        *budget = budget.checked_sub(1).ok_or(DecodeError::Limits)?;
        let (kind, name, value) = split_field(line, true)?;
        let value = match kind {
            0 => {
                let text: Vec<u8> = value.iter().map(|&b| if b == NEWLINE { b'\n' } else { b }).collect();
                Value::Text(String::from_utf8(text).map_err(|_| DecodeError::Utf8)?)
            }
            1 => Value::Binary(base64::decode(value)?),
            2 => {
                let byte = nested_newline(depth).ok_or(DecodeError::Limits)?;
                let text: Vec<u8> = value.iter().map(|&b| if b == byte { b'\n' } else { b }).collect();
                Value::Struct(decode_lines(body(&text)?, depth + 1, budget)?)
            }
            3 => Value::List(decode_list(value, budget)?),
            4 => Value::Compressed(base64::decode(value)?),
            _ => return Err(DecodeError::Field),
        };
        text_of(name.as_bytes())?;
        packet.push(name, value);
    }
    Ok(packet)
}
