//! Texts that many hold: the value of an attribute where it stands, a constant, or a text of its own.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use super::Element;

/// The longest text that needs no memory of its own.
const SHORT: usize = 22;

/// A text that is cloned without its bytes: what thousands of tables take over from a document stays there.
///
/// The value of an attribute keeps its element; writing to the document copies the element, as with every other snapshot,
/// and changes nothing here.
#[derive(Clone)]
pub struct Text(Repr);

#[derive(Clone)]
enum Repr {
    Fixed(&'static str),
    Own(Arc<str>),
    /// As many bytes as fit beside the other kinds: numbers mostly.
    Short {
        length: u8,
        bytes: [u8; SHORT],
    },
    /// Bytes of the texts of an element.
    Value {
        element: Element,
        start: u32,
        end: u32,
    },
}

impl Text {
    /// A constant.
    pub const fn fixed(text: &'static str) -> Text {
        Text(Repr::Fixed(text))
    }

    pub(super) fn shared(text: Arc<str>) -> Text {
        Text(Repr::Own(text))
    }

    pub(super) fn value(element: &Element, start: u32, end: u32) -> Text {
        Text(Repr::Value { element: element.clone(), start, end })
    }

    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Fixed(text) => text,
            Repr::Own(text) => text,
            Repr::Short { length, bytes } => {
                let bytes = bytes.get(..usize::from(*length)).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
            Repr::Value { element, start, end } => {
                element.0.values.text().get(*start as usize..*end as usize).unwrap_or("")
            }
        }
    }
}

impl Default for Text {
    fn default() -> Self {
        Text::fixed("")
    }
}

impl Deref for Text {
    type Target = str;

    #[inline]
    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Text(Repr::Short { length, bytes })
            }
            _ => Text(Repr::Own(Arc::from(text))),
        }
    }
}

impl From<i64> for Text {
    /// The number in decimal digits.
    fn from(number: i64) -> Self {
        let mut bytes = [0; SHORT];
        let mut left = number.unsigned_abs();
        let mut at = SHORT;
        loop {
            at -= 1;
            if let Some(place) = bytes.get_mut(at) {
                *place = b'0' + (left % 10) as u8;
            }
            left /= 10;
            if left == 0 {
                break;
            }
        }
        if number < 0 {
            at -= 1;
            if let Some(place) = bytes.get_mut(at) {
                *place = b'-';
            }
        }
        bytes.copy_within(at.., 0);
        Text(Repr::Short { length: (SHORT - at) as u8, bytes })
    }
}

impl From<&Text> for Text {
    fn from(text: &Text) -> Self {
        text.clone()
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Text(Repr::Own(text))
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Text::from(text.as_str())
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Text {}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

/// As the text itself is hashed.
impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outlives_changes_of_its_document() {
        let mut element = Element::new("nvpair").with_attr("name", "a").with_attr("value", "first");
        let [name, value] = ["name", "value"].map(|name| element.attr_text(name).unwrap_or_default());
        element.set_attr("value", "second");
        assert_eq!((name.as_str(), value.as_str()), ("a", "first"));
        assert_eq!(element.attr_text("value").as_deref(), Some("second"));
        assert!(element.attr_text("other").is_none());
    }

    #[test]
    fn texts_of_every_length_and_numbers_are_what_they_were_made_of() {
        let long = "ä234567890123456789012345";
        for end in (0..=long.len()).filter(|end| long.is_char_boundary(*end)) {
            let text = &long[..end];
            assert_eq!(Text::from(text), *text);
        }
        for number in [0, 7, -1, 20_000, i64::MIN, i64::MAX] {
            assert_eq!(Text::from(number), *number.to_string());
        }
        assert_eq!(size_of::<Text>(), 24);
    }

    #[test]
    fn names_and_values_come_in_order_and_compare_as_their_texts() {
        let element = Element::new("op").with_attr("name", "start").with_attr("not-of-a-cib", "1");
        let all: Vec<(Text, Text)> = element.attr_texts().collect();
        assert_eq!(
            all,
            [("name".into(), "start".into()), (Text::fixed("not-of-a-cib"), String::from("1").into())]
        );
    }
}
