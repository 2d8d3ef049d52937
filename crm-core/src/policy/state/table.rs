//! Names and values: what meta-attributes, parameters and node attributes are read into.

use cib::Text;
use indexmap::IndexMap;
use rustc_hash::FxBuildHasher;

/// Entries that are found by looking at each: most tables have fewer, and a hash costs more than that.
const FEW: usize = 16;

/// Names and values in the order in which they were found, each name once.
#[derive(Debug, Clone)]
pub struct Table(Entries);

#[derive(Debug, Clone)]
enum Entries {
    Few(Vec<(Text, Text)>),
    Many(IndexMap<Text, Text, FxBuildHasher>),
}

impl Default for Table {
    fn default() -> Self {
        Table(Entries::Few(Vec::new()))
    }
}

impl Table {
    pub fn len(&self) -> usize {
        match &self.0 {
            Entries::Few(list) => list.len(),
            Entries::Many(map) => map.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, name: &str) -> Option<&Text> {
        match &self.0 {
            Entries::Few(list) => list.iter().find(|(n, _)| n.as_str() == name).map(|(_, value)| value),
            Entries::Many(map) => map.get(name),
        }
    }

    pub fn contains_key(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The entry at this place.
    pub fn get_index(&self, at: usize) -> Option<(&Text, &Text)> {
        match &self.0 {
            Entries::Few(list) => list.get(at).map(|(name, value)| (name, value)),
            Entries::Many(map) => map.get_index(at),
        }
    }

    /// Sets a value: in its place when the name is there, else behind the others.
    pub fn insert(&mut self, name: impl Into<Text>, value: impl Into<Text>) {
        let (name, value) = (name.into(), value.into());
        match &mut self.0 {
            Entries::Few(list) => match list.iter_mut().find(|(n, _)| *n == name) {
                Some(entry) => entry.1 = value,
                None => self.push(name, value),
            },
            Entries::Many(map) => {
                map.insert(name, value);
            }
        }
    }

    /// Sets a value where the name has none yet.
    pub fn insert_new(&mut self, name: impl Into<Text> + AsRef<str>, value: impl Into<Text>) {
        if !self.contains_key(name.as_ref()) {
            self.push(name.into(), value.into());
        }
    }

    /// Adds a name that is not there.
    fn push(&mut self, name: Text, value: Text) {
        match &mut self.0 {
            Entries::Few(list) if list.len() < FEW => list.push((name, value)),
            Entries::Few(list) => {
                let mut map: IndexMap<_, _, _> = std::mem::take(list).into_iter().collect();
                map.insert(name, value);
                self.0 = Entries::Many(map);
            }
            Entries::Many(map) => {
                map.insert(name, value);
            }
        }
    }

    /// Takes an entry out; those behind it move up.
    pub fn shift_remove(&mut self, name: &str) {
        match &mut self.0 {
            Entries::Few(list) => {
                if let Some(at) = list.iter().position(|(n, _)| n.as_str() == name) {
                    list.remove(at);
                }
            }
            Entries::Many(map) => {
                map.shift_remove(name);
            }
        }
    }

    /// Room for so many more entries.
    pub fn reserve(&mut self, more: usize) {
        match &mut self.0 {
            Entries::Few(list) => list.reserve(more.min(FEW)),
            Entries::Many(map) => map.reserve(more),
        }
    }

    pub fn iter(&self) -> Iter<'_> {
        Iter { table: self, at: 0 }
    }

    pub fn keys(&self) -> impl Iterator<Item = &Text> {
        self.iter().map(|(name, _)| name)
    }

    pub fn values(&self) -> impl Iterator<Item = &Text> {
        self.iter().map(|(_, value)| value)
    }
}

/// Names and values of a [`Table`], in its order.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    table: &'a Table,
    at: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a Text, &'a Text);

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.table.get_index(self.at)?;
        self.at += 1;
        Some(entry)
    }
}

impl<'a> IntoIterator for &'a Table {
    type Item = (&'a Text, &'a Text);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl FromIterator<(Text, Text)> for Table {
    fn from_iter<I: IntoIterator<Item = (Text, Text)>>(pairs: I) -> Self {
        let mut table = Table::default();
        for (name, value) in pairs {
            table.insert(name, value);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_values_do_not_depend_on_size() {
        for size in [3, FEW, FEW + 1, 5 * FEW] {
            let mut table = Table::default();
            for n in 0..size {
                table.insert(format!("n{n}"), "old");
            }
            table.insert("n1", "new");
            table.insert_new("n1", "newer");
            table.insert_new("last", "x");
            table.shift_remove("n0");
            table.shift_remove("absent");
            let names: Vec<String> = (1..size).map(|n| format!("n{n}")).chain(["last".to_owned()]).collect();
            assert_eq!(table.keys().map(Text::to_string).collect::<Vec<_>>(), names);
            assert_eq!(table.get("n1").map(Text::as_str), Some("new"));
            assert_eq!(table.get("n2").map(Text::as_str), Some("old"));
            assert_eq!((table.len(), table.contains_key("n0")), (size, false));
            assert_eq!(table.get_index(0).map(|(name, _)| name.as_str()), Some("n1"));
        }
    }
}
