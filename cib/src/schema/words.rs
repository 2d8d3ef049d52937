//! Values that a grammar cannot tell apart.
//!
//! The validator remembers what an attribute with a value does to a pattern, so a value seen before costs little. Ten
//! thousand ids are ten thousand values, although to the grammar each is just a name: here is decided which values may
//! stand for each other, from the grammar alone.

use std::collections::{HashMap, HashSet};

use super::pattern::Pattern;

/// What stands for every other value.
const WORD: &str = "x";
/// What stands for every number that counts something.
const NUMBER: &str = "1";
/// Digits of a number that is one in every type of number.
const DIGITS_MAX: usize = 18;

/// Attribute names whose values are free but for some literals.
#[derive(Debug, Default)]
pub(super) struct Words {
    free: HashMap<String, Free>,
}

#[derive(Debug, Default)]
struct Free {
    /// The values that are told from all others.
    literals: HashSet<String>,
    /// Somewhere only the name of an element will do.
    identifier: bool,
    /// Somewhere only a number will do, negative or not: all that count something are alike.
    number: bool,
    /// Other numbers, patterns: values are told apart by what they look like.
    bound: bool,
}

impl Words {
    /// What holds in every place of a grammar that has an attribute.
    pub(super) fn of(grammar: &Pattern) -> Words {
        let mut definitions: HashMap<&str, Vec<&Pattern>> = HashMap::new();
        grammar.walk(&mut |pattern| {
            if pattern.name == "define"
                && let Some(name) = pattern.attribute("name")
            {
                definitions.entry(name).or_default().push(pattern);
            }
        });
        let mut free: HashMap<String, Free> = HashMap::new();
        let mut unnamed = Free::default();
        grammar.walk(&mut |pattern| {
            if pattern.name != "attribute" {
                return;
            }
            // Without that attribute the names are an element, the first of those inside.
            let (entry, content) = match pattern.attribute("name") {
                Some(name) => (free.entry(name.to_owned()).or_default(), pattern.children.as_slice()),
                None => (&mut unnamed, pattern.children.get(1..).unwrap_or_default()),
            };
            content.iter().for_each(|inner| entry.read(inner, &definitions, 0));
        });
        if unnamed.bound || unnamed.identifier || unnamed.number || !unnamed.literals.is_empty() {
            return Words::default();
        }
        free.retain(|_, entry| {
            let stand_in = if entry.number { NUMBER } else { WORD };
            !entry.bound && !entry.literals.contains(stand_in)
        });
        Words { free }
    }

    /// A value that every pattern takes for this one.
    pub(super) fn stand_in<'v>(&self, name: &str, value: &'v str) -> &'v str {
        let Some(free) = self.free.get(name) else { return value };
        if free.literals.contains(value) {
            return value;
        }
        match (free.number, free.identifier) {
            (true, _) if is_number(value) => NUMBER,
            (true, _) => value,
            (false, true) if is_word(value) => WORD,
            (false, false) if is_plain(value) => WORD,
            (false, _) => value,
        }
    }
}

impl Free {
    fn read(&mut self, pattern: &Pattern, definitions: &HashMap<&str, Vec<&Pattern>>, depth: u32) {
        match pattern.name.as_str() {
            "text" | "empty" | "notAllowed" => {}
            "choice" | "optional" | "group" | "except" | "define" => {
                pattern.children.iter().for_each(|inner| self.read(inner, definitions, depth));
            }
            "value" => {
                self.literals.insert(pattern.text.clone());
                self.bound |= !matches!(pattern.attribute("type"), None | Some("string" | "token"));
            }
            "data" => {
                match pattern.attribute("type") {
                    Some("string" | "token") => {}
                    Some("ID" | "IDREF" | "NCName") => self.identifier = true,
                    Some("integer" | "nonNegativeInteger" | "positiveInteger") => self.number = true,
                    _ => self.bound = true,
                }
                self.bound |= pattern.children.iter().any(|inner| inner.name == "param");
                pattern.children.iter().for_each(|inner| self.read(inner, definitions, depth));
            }
            "ref" if depth < 16 => match pattern.attribute("name").and_then(|name| definitions.get(name)) {
                Some(all) => all.iter().for_each(|inner| self.read(inner, definitions, depth + 1)),
                None => self.bound = true,
            },
            _ => self.bound = true,
        }
    }
}

/// Not empty, and nothing that counts as white space in any type.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic())
}

/// Not nought, which is not positive, nor anything that a type of number might take for another.
fn is_number(value: &str) -> bool {
    value.len() <= DIGITS_MAX
        && value.bytes().all(|byte| byte.is_ascii_digit())
        && value.bytes().next().is_some_and(|byte| byte != b'0')
}

/// A name of XML without a colon; not every such name.
fn is_word(value: &str) -> bool {
    value.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_what_no_place_tells_apart_is_replaced() {
        let grammar = Pattern::parse(
            "<grammar><define name='n'><data type='decimal'/></define><define name='i'><attribute name='id'><data \
             type='ID'/></attribute></define><define name='e'><attribute name='kind'><choice><value>a</value><text/>\
             </choice></attribute><attribute name='size'><ref name='n'/></attribute><attribute name='size'><text/>\
             </attribute><attribute name='count'><choice><data type='nonNegativeInteger'/><value>7</value></choice>\
             </attribute><attribute name='one'><choice><data type='integer'/><value>1</value></choice></attribute>\
             <attribute name='form'><data type='string'><param name='pattern'>a+</param></data>\
             </attribute><attribute><anyName/><text/></attribute></define></grammar>",
        );
        let words = Words::of(&grammar.unwrap());
        for (name, value, seen) in [
            ("id", "g1-m.0", WORD),
            ("id", "1", "1"),
            ("id", "a:b", "a:b"),
            ("id", "", ""),
            ("kind", "a", "a"),
            ("kind", "b/c", WORD),
            ("kind", "b c", "b c"),
            ("kind", " a", " a"),
            ("size", "big", "big"),
            ("size", "12", "12"),
            ("count", "12", NUMBER),
            ("count", "0", "0"),
            ("count", "012", "012"),
            ("count", "-3", "-3"),
            ("count", "7", "7"),
            ("count", "x", "x"),
            ("count", "1234567890123456789", "1234567890123456789"),
            ("one", "12", "12"),
            ("form", "aa", "aa"),
            ("other", "any", "any"),
        ] {
            assert_eq!(words.stand_in(name, value), seen, "{name}={value}");
        }
        let bound = "<grammar><attribute><anyName/><value>a</value></attribute><attribute name='b'><text/></attribute>\
                     </grammar>";
        assert_eq!(Words::of(&Pattern::parse(bound).unwrap()).stand_in("b", "c"), "c");
    }
}
