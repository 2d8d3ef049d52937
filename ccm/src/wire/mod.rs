//! Packets of the Linux-HA format: an ordered list of typed, named fields.
//!
//! Reading order: [`Packet`] (the value), [`sign`] (keys and signatures), [`envelope`] (bytes to
//! packet and back; the only way in from the network), [`classic`] and [`netstring`] (the two
//! notations), [`frame`] (what our own nodes say to each other inside one binary field), [`seal`]
//! (its encryption), [`compress`].
//!
//! Source: specification of the messaging layer §6–§9 (Heartbeat 2.1.3 and 3.0.6 on the wire).

pub mod base64;
pub mod classic;
pub mod compress;
pub mod envelope;
pub mod frame;
pub mod netstring;
pub mod seal;
pub mod sign;

pub use envelope::{Opened, Refusal};
pub use sign::{Key, KeyError, Keys, Method};

/// Longest packet accepted or sent, bytes (§7.5).
pub const MAX_PACKET: usize = 256 * 1024;
/// Longest text a compressed packet may unpack to, bytes (§7.5).
pub const MAX_UNPACKED: usize = 2 * 1024 * 1024;
/// Deepest nesting of messages in messages (§7.1).
pub const MAX_DEPTH: usize = 16;
/// Most fields of one packet, nested ones included. Real packets have fewer than 40.
pub const MAX_FIELDS: usize = 4096;

/// One field's value (§7: type numbers 0 to 4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Type 0.
    Text(String),
    /// Type 1.
    Binary(Vec<u8>),
    /// Type 2: a message in a message.
    Struct(Packet),
    /// Type 3.
    List(Vec<String>),
    /// Type 4: a compressed message, as it travels.
    Compressed(Vec<u8>),
}

impl Value {
    /// The number written in parentheses before the name.
    pub fn type_number(&self) -> u8 {
        match self {
            Value::Text(_) => 0,
            Value::Binary(_) => 1,
            Value::Struct(_) => 2,
            Value::List(_) => 3,
            Value::Compressed(_) => 4,
        }
    }
}

/// An ordered list of named fields. Names may repeat; lookups answer the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Packet {
    fields: Vec<(String, Value)>,
}

impl Packet {
    /// An empty packet.
    pub fn new() -> Packet {
        Packet::default()
    }

    /// Appends a string field (builder).
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Packet {
        self.push(name, Value::Text(value.into()));
        self
    }

    /// Appends a binary field (builder).
    pub fn with_binary(mut self, name: &str, value: Vec<u8>) -> Packet {
        self.push(name, Value::Binary(value));
        self
    }

    /// Appends a field.
    pub fn push(&mut self, name: &str, value: Value) {
        self.fields.push((name.to_owned(), value));
    }

    /// First field of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// First field of that name, if it is a string.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.get(name)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// First field of that name, if it is binary.
    pub fn binary(&self, name: &str) -> Option<&[u8]> {
        match self.get(name)? {
            Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// A string field read as a hexadecimal number (every number but the retransmission range, §9).
    pub fn hex(&self, name: &str) -> Option<u64> {
        u64::from_str_radix(self.text(name)?, 16).ok()
    }

    /// All fields in order.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(n, v)| (n.as_str(), v))
    }

    /// Gives the first field of that name another value; appends it if there is none.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = Value::Text(value.into());
        match self.fields.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => self.fields.push((name.to_owned(), value)),
        }
    }

    /// Removes every field of that name.
    pub fn remove(&mut self, name: &str) {
        self.fields.retain(|(n, _)| n != name);
    }

    /// Number of fields.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }
}

/// Why a text is no packet. Nothing is kept of such a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DecodeError {
    /// Neither notation begins like this.
    #[error("not a packet")]
    NotAPacket,
    /// The text ends inside a field or without its end mark.
    #[error("cut off")]
    CutOff,
    /// A field without name or `=`, or of an unknown type.
    #[error("malformed field")]
    Field,
    /// A length that is no number, too long, or points outside.
    #[error("malformed length")]
    Length,
    /// A string that is not UTF-8.
    #[error("text is not UTF-8")]
    Utf8,
    /// Binary that is not base64.
    #[error("malformed base64")]
    Base64,
    /// More fields or nesting than [`MAX_FIELDS`] and [`MAX_DEPTH`].
    #[error("too many fields or too deep nesting")]
    Limits,
    /// A compressed message that does not unpack within [`MAX_UNPACKED`].
    #[error("compressed part does not unpack within the limit")]
    Compressed,
}

/// Splits a list value, a concatenation of `LEN:item,`.
fn decode_list(mut bytes: &[u8], budget: &mut usize) -> Result<Vec<String>, DecodeError> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (item, rest) = netstring::take(bytes)?;
        *budget = budget.checked_sub(1).ok_or(DecodeError::Limits)?;
        items.push(text_of(item)?);
        bytes = rest;
    }
    Ok(items)
}

/// The list notation of [`decode_list`].
fn encode_list(items: &[String], out: &mut Vec<u8>) {
    for item in items {
        netstring::put(item.as_bytes(), out);
    }
}

fn text_of(bytes: &[u8]) -> Result<String, DecodeError> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| DecodeError::Utf8)
}

/// Splits `(T)name=value` or, where allowed, `name=value`.
fn split_field(field: &[u8], bare_allowed: bool) -> Result<(u8, &str, &[u8]), DecodeError> {
    let (kind, rest) = match field {
        [b'(', kind @ b'0'..=b'9', b')', rest @ ..] => (kind - b'0', rest),
        _ if bare_allowed => (0, field),
        _ => return Err(DecodeError::Field),
    };
    let eq = rest.iter().position(|&b| b == b'=').ok_or(DecodeError::Field)?;
    let (name, value) = rest.split_at(eq);
    if name.is_empty() || name.len() > 255 {
        return Err(DecodeError::Field);
    }
    let name = std::str::from_utf8(name).map_err(|_| DecodeError::Utf8)?;
    Ok((kind, name, value.get(1..).unwrap_or_default()))
}
