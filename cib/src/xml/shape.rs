//! What alike elements share, and the values that each has for itself.
//!
//! A status section holds hundred thousands of results with the same fifteen names: the names of an element and of its
//! attributes are one [`Shape`] that all of them point to, and the values are one text.

use std::cell::RefCell;
use std::sync::Arc;

use super::{Name, Word};

/// The name of an element, and those of its attributes in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) name: Name,
    pub(super) attrs: Box<[Name]>,
    /// By the last bits of a word, from where on it may be among the attributes, counted from 1; 0 if it is not.
    first: [u8; SLOTS],
}

const SLOTS: usize = 64;

/// Shapes that are remembered; a CIB has some fifty.
const REMEMBERED: usize = 128;

thread_local! {
    /// The shapes made last, each in the place that its names choose.
    static SHAPES: RefCell<[Option<Arc<Shape>>; REMEMBERED]> = const { RefCell::new([const { None }; REMEMBERED]) };
}

impl Shape {
    /// The shape of these names: one that this thread has made before, if it is remembered.
    pub(super) fn of(name: &Name, attrs: &[Name]) -> Arc<Shape> {
        let sum = attrs.iter().fold(name.number(), |sum, attr| {
            sum.wrapping_add(attr.number()).wrapping_mul(0x9e37_79b9).rotate_left(7)
        });
        SHAPES.with_borrow_mut(|shapes| match shapes.get_mut((sum >> 8) as usize % REMEMBERED) {
            Some(Some(known)) if known.name == *name && *known.attrs == *attrs => Arc::clone(known),
            Some(place) => Arc::clone(place.insert(Shape::made(name, attrs))),
            None => Shape::made(name, attrs),
        })
    }

    fn made(name: &Name, attrs: &[Name]) -> Arc<Shape> {
        let mut first = [0; SLOTS];
        for (attr, at) in attrs.iter().zip(1u8..=u8::MAX) {
            if let Some(slot) = first.get_mut(attr.number() as usize % SLOTS)
                && *slot == 0
            {
                *slot = at;
            }
        }
        // Those behind are looked for from the last that has a number.
        if attrs.len() > usize::from(u8::MAX) {
            first.iter_mut().filter(|slot| **slot == 0).for_each(|slot| *slot = u8::MAX);
        }
        Arc::new(Shape { name: name.clone(), attrs: attrs.into(), first })
    }

    /// The place of a word among the attributes.
    #[inline]
    pub(super) fn find(&self, word: Word) -> Option<usize> {
        let first = *self.first.get(word.number() as usize % SLOTS)?;
        let from = usize::from(first.checked_sub(1)?);
        let found = self.attrs.get(from..)?.iter().position(|attr| attr.is_word(word))?;
        Some(from + found)
    }

    /// The shape with one more attribute.
    pub(super) fn with(&self, attr: Name) -> Arc<Shape> {
        let mut attrs = self.attrs.to_vec();
        attrs.push(attr);
        Shape::of(&self.name, &attrs)
    }

    /// The shape without the attribute in this place.
    pub(super) fn without(&self, index: usize) -> Arc<Shape> {
        let mut attrs = self.attrs.to_vec();
        if index < attrs.len() {
            attrs.remove(index);
        }
        Shape::of(&self.name, &attrs)
    }
}

/// The values of an element's attributes in one text: first where each of them ends, in digits of seven bits, which are
/// characters, then the values, one after the other. Of a comment, its text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Values(Box<str>);

/// Digits of an end where the whole text is shorter than [`SHORT`], and where it is not.
const FEW: usize = 2;
const MANY: usize = 5;

const SHORT: usize = 1 << (7 * FEW);

impl Values {
    /// A text that is no value.
    pub(super) fn plain(text: &str) -> Values {
        Values(text.into())
    }

    pub(super) fn of<'a>(values: impl Iterator<Item = &'a str> + Clone) -> Values {
        let (mut count, mut bytes) = (0, 0);
        for value in values.clone() {
            count += 1;
            bytes += value.len();
        }
        let mut text = String::with_capacity(count * digits_for(count, bytes) + bytes);
        write_ends(&mut text, count, bytes, values.clone().map(str::len));
        values.for_each(|value| text.push_str(value));
        Values(text.into_boxed_str())
    }

    /// Values that stand one after the other in a text, and where in it each ends.
    pub(super) fn joined(joined: &str, ends: &[u32]) -> Values {
        let (count, bytes) = (ends.len(), joined.len());
        let mut text = String::with_capacity(count * digits_for(count, bytes) + bytes);
        let mut before = 0;
        let lengths = ends.iter().map(|&end| end as usize - std::mem::replace(&mut before, end as usize));
        write_ends(&mut text, count, bytes, lengths);
        text.push_str(joined);
        Values(text.into_boxed_str())
    }

    /// The whole text; places in it are what [`Values::place`] gives.
    pub(super) fn text(&self) -> &str {
        &self.0
    }

    /// Where the value in this place, one of so many, begins and ends.
    #[inline]
    pub(super) fn place(&self, index: usize, count: usize) -> (usize, usize) {
        let bytes = self.0.as_bytes();
        if bytes.len() >= SHORT {
            return self.far_place(index, count);
        }
        let end = |at: usize| match bytes.get(FEW * at..FEW * at + FEW) {
            Some(&[high, low]) => usize::from(high) << 7 | usize::from(low),
            _ => 0,
        };
        let start = if index == 0 { FEW * count } else { end(index - 1) };
        (start, end(index))
    }

    #[cold]
    fn far_place(&self, index: usize, count: usize) -> (usize, usize) {
        let end = |at: usize| {
            let number = self.0.as_bytes().get(MANY * at..MANY * at + MANY).unwrap_or_default();
            number.iter().fold(0, |end, digit| end << 7 | usize::from(*digit))
        };
        (if index == 0 { MANY * count } else { end(index - 1) }, end(index))
    }

    /// The value in this place, one of so many.
    #[inline]
    pub(super) fn get(&self, index: usize, count: usize) -> Option<&str> {
        let (start, end) = self.place(index, count);
        self.0.get(start..end)
    }

    /// The values of an element with so many.
    pub(super) fn iter(&self, count: usize) -> impl Iterator<Item = &str> + Clone {
        (0..count).map(move |index| self.get(index, count).unwrap_or(""))
    }

    /// The same with another value in one place, one of `count` or the next.
    pub(super) fn with(&self, index: usize, count: usize, value: &str) -> Values {
        let (before, after) = (self.iter(count).take(index), self.iter(count).skip(index + 1));
        Values::of(before.chain([value]).chain(after))
    }

    /// The same without the value in one place.
    pub(super) fn without(&self, index: usize, count: usize) -> Values {
        Values::of(self.iter(count).take(index).chain(self.iter(count).skip(index + 1)))
    }
}

/// Digits of an end among so many values of so many bytes together.
fn digits_for(count: usize, bytes: usize) -> usize {
    if count * FEW + bytes < SHORT { FEW } else { MANY }
}

fn write_ends(text: &mut String, count: usize, bytes: usize, lengths: impl Iterator<Item = usize>) {
    let digits = digits_for(count, bytes);
    let mut end = count * digits;
    for length in lengths {
        end += length;
        for digit in (0..digits).rev() {
            // Seven bits are one byte of text.
            text.push(char::from((end >> (7 * digit)) as u8 & 0x7f));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handful of values, all together shorter and longer than where ends get more digits.
    #[test]
    fn values_are_what_they_were_made_of() {
        for long in [0, 1, 127, 128, SHORT - 30, SHORT - 15, SHORT - 14, SHORT, SHORT + 1, 3_000_000] {
            let long = "x".repeat(long);
            let mut list = vec!["", "ä", long.as_str(), "", "last"];
            let mut values = Values::of(list.iter().copied());
            let mut ends = Vec::new();
            list.iter().fold(0, |end, value| {
                ends.push((end + value.len()) as u32);
                end + value.len()
            });
            assert_eq!(Values::joined(&list.concat(), &ends), values);
            assert_eq!(values.iter(5).collect::<Vec<_>>(), list);
            for (index, value) in [(1, "other"), (2, "short again"), (5, "one more")] {
                values = values.with(index, list.len(), value);
                list.truncate(list.len().max(index));
                match list.get_mut(index) {
                    Some(old) => *old = value,
                    None => list.push(value),
                }
                assert_eq!(values.iter(list.len()).collect::<Vec<_>>(), list);
            }
            values = values.without(0, 6);
            assert_eq!(values.iter(5).collect::<Vec<_>>(), list.split_off(1));
        }
        assert_eq!(Values::of([].into_iter()), Values::plain(""));
    }

    #[test]
    fn alike_elements_have_one_shape() {
        let names = |texts: &[&str]| texts.iter().map(|text| Name::new(text)).collect::<Vec<_>>();
        let one = Shape::of(&Name::new("op"), &names(&["id", "strange"]));
        assert!(Arc::ptr_eq(&one, &Shape::of(&Name::new("op"), &names(&["id", "strange"]))));
        let two = one.with(Name::new("name"));
        assert_eq!(*two.attrs, *names(&["id", "strange", "name"]));
        assert_eq!(*two.without(2), *one);
        assert_ne!(*Shape::of(&Name::new("op"), &names(&["strange", "id"])), *one);
        assert_ne!(*Shape::of(&Name::new("nvpair"), &names(&["id", "strange"])), *one);
        for word in ["id", "name", "op", "uname"] {
            let place = ["id", "strange", "name"].iter().position(|name| *name == word);
            assert_eq!(two.find(Word::of(word)), place, "{word}");
        }
        let many: Vec<String> = (0..300).map(|number| format!("other-{number}")).collect();
        let mut many: Vec<&str> = many.iter().map(String::as_str).collect();
        many.extend(["value", "id"]);
        let long = Shape::of(&Name::new("op"), &names(&many));
        let places = ["value", "id", "uname"].map(|word| long.find(Word::of(word)));
        assert_eq!(places, [Some(300), Some(301), None]);
        // However many there are, a shape is what was asked for.
        for number in 0..3 * REMEMBERED {
            let other = format!("other-{number}");
            assert_eq!(Shape::of(&Name::new(&other), &names(&["id"])).name.as_str(), other);
        }
    }
}
