//! What would be right: the sentence at the end of a complaint.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use super::grammar::MODERN;
use super::pattern::Pattern;

/// What the grammar knows of an element name: its attributes, and the elements that may be in it.
#[derive(Default)]
struct Known {
    attributes: BTreeSet<String>,
    children: BTreeSet<String>,
}

/// The grammar's definitions by name.
fn defines() -> &'static BTreeMap<String, Pattern> {
    static DEFINES: OnceLock<BTreeMap<String, Pattern>> = OnceLock::new();
    DEFINES.get_or_init(|| {
        let grammar = Pattern::parse(MODERN).unwrap_or_default();
        let named = |define: Pattern| Some((define.attribute("name")?.to_owned(), define));
        grammar.children.into_iter().filter_map(named).collect()
    })
}

/// Read off the grammar itself, so that advice and verdict cannot disagree.
fn known() -> &'static BTreeMap<String, Known> {
    static KNOWN: OnceLock<BTreeMap<String, Known>> = OnceLock::new();
    KNOWN.get_or_init(|| {
        let mut known: BTreeMap<String, Known> = BTreeMap::new();
        for define in defines().values() {
            define.walk(&mut |pattern| {
                if let ("element", Some(name)) = (pattern.name.as_str(), pattern.attribute("name")) {
                    let entry = known.entry(name.to_owned()).or_default();
                    pattern.children.iter().for_each(|child| gather(child, entry, 0));
                }
            });
        }
        known
    })
}

/// Collects attributes and child elements of a pattern, through references but not into elements.
fn gather(pattern: &Pattern, known: &mut Known, depth: u8) {
    if depth > 16 {
        return;
    }
    match (pattern.name.as_str(), pattern.attribute("name")) {
        ("attribute", Some(name)) => drop(known.attributes.insert(name.to_owned())),
        ("element", Some(name)) => drop(known.children.insert(name.to_owned())),
        ("ref", Some(name)) => {
            let children = defines().get(name).map(|define| define.children.as_slice()).unwrap_or_default();
            children.iter().for_each(|child| gather(child, known, depth + 1));
        }
        _ => pattern.children.iter().for_each(|child| gather(child, known, depth + 1)),
    }
}

/// For an element that is not allowed inside `parent`, or as the root.
pub(super) fn element(found: &str, parent: Option<&str>) -> String {
    let Some(parent) = parent else { return "expected <cib>".into() };
    let Some(known) = known().get(parent).filter(|known| !known.children.is_empty()) else {
        return format!("<{parent}> has no elements inside");
    };
    if known.children.contains(found) {
        return format!("<{found}> stands too often, beside something it excludes, or not in this version");
    }
    match nearest(found, known.children.iter().map(String::as_str)) {
        Some(near) => format!("did you mean <{near}>?"),
        None => format!("expected {}", list(&known.children, "<", ">")),
    }
}

/// For an attribute that is not allowed on `element`.
pub(super) fn attribute(found: &str, element: &str) -> String {
    let Some(known) = known().get(element) else { return String::new() };
    if known.attributes.contains(found) {
        return format!(
            "\"{found}\" excludes another attribute here, or is not in this version of the language"
        );
    }
    match nearest(found, known.attributes.iter().map(String::as_str)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("expected {}", list(&known.attributes, "\"", "\"")),
    }
}

/// For a value that an attribute cannot have.
pub(super) fn value(attribute: &str, value: &str, element: &str) -> String {
    match (attribute, element) {
        ("id", _) => format!(
            "an id begins with a letter or \"_\" and holds letters, digits, \"-\", \"_\" and \".\"{}",
            id_suggestion(value)
        ),
        ("admin_epoch" | "epoch" | "num_updates", _) => "expected a number, 0 or greater".into(),
        ("score", _) => "expected a whole number, INFINITY or -INFINITY".into(),
        (
            "symmetrical" | "sequential" | "require-all" | "enabled" | "record-pending" | "have-quorum"
            | "add-host",
            _,
        ) => "expected true or false".into(),
        _ => {
            let words = words_of(attribute, element);
            match nearest(value, words.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None if words.is_empty() => String::new(),
                None => format!("expected {}", list(&words, "\"", "\"")),
            }
        }
    }
}

fn id_suggestion(value: &str) -> String {
    let mut fixed: String = value
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    if !fixed.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        fixed.insert(0, '_');
    }
    if fixed == value || fixed == "_" { String::new() } else { format!(", for instance \"{fixed}\"") }
}

/// The words an attribute may have on an element, as far as the grammar lists them.
fn words_of(attribute: &str, element: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for define in defines().values() {
        define.walk(&mut |pattern| {
            if pattern.name == "element" && pattern.attribute("name") == Some(element) {
                collect_words(pattern, attribute, false, &mut words, 0);
            }
        });
    }
    words
}

fn collect_words(pattern: &Pattern, attribute: &str, inside: bool, words: &mut BTreeSet<String>, depth: u8) {
    if depth > 16 {
        return;
    }
    for child in &pattern.children {
        let name = child.attribute("name");
        match child.name.as_str() {
            "attribute" if name == Some(attribute) => collect_words(child, attribute, true, words, depth + 1),
            "element" | "attribute" | "except" => {}
            "ref" => {
                if let Some(define) = name.and_then(|name| defines().get(name)) {
                    collect_words(define, attribute, inside, words, depth + 1);
                }
            }
            "value" if inside => drop(words.insert(child.text.clone())),
            _ => collect_words(child, attribute, inside, words, depth + 1),
        }
    }
}

/// For an element whose content is not complete.
pub(super) fn missing(element: &str) -> String {
    match element {
        "cib" => "a cib has the attributes admin_epoch, epoch and num_updates, and a <configuration>".into(),
        "configuration" => "it holds <crm_config>, <nodes>, <resources> and <constraints>".into(),
        "primitive" | "template" => {
            "it has an id, a type, and a class (with a provider if that is ocf) or a template".into()
        }
        "group" => "a group holds at least one <primitive>".into(),
        "clone" | "master" => format!("a {element} holds one <primitive> or one <group>"),
        "op" => "an op has an id, a name and an interval".into(),
        "nvpair" => "an nvpair has an id and a name".into(),
        "rsc_location" => {
            "it has an id, a resource (rsc, rsc-pattern or <resource_set>), and a node with a score or a <rule>".into()
        }
        "rsc_colocation" => "it has an id, and rsc with with-rsc or a <resource_set>".into(),
        "rsc_order" => "it has an id, and first with then or a <resource_set>".into(),
        _ => match known().get(element) {
            Some(known) if !known.attributes.is_empty() => {
                format!("<{element}> can have {}", list(&known.attributes, "\"", "\""))
            }
            _ => String::new(),
        },
    }
}

/// For a reference that leads nowhere.
pub(super) fn reference(value: &str, ids: &BTreeSet<&str>) -> String {
    match nearest(value, ids.iter().copied()) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "define it, or remove what refers to it".into(),
    }
}

fn list(words: &BTreeSet<String>, open: &str, close: &str) -> String {
    words.iter().map(|word| format!("{open}{word}{close}")).collect::<Vec<_>>().join(", ")
}

/// The known word that a misspelt one is nearest to, if it is near enough.
fn nearest<'a>(found: &str, words: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + found.chars().count() / 4;
    words
        .map(|word| (distance(found, word), word))
        .filter(|(distance, _)| *distance > 0 && *distance <= limit)
        .min()
        .map(|(_, word)| word)
}

/// Edit distance; case, `-` and `_` cost nothing, but are no equality.
fn distance(a: &str, b: &str) -> usize {
    let plain = |text: &str| -> Vec<char> {
        text.chars().map(|c| if c == '_' { '-' } else { c.to_ascii_lowercase() }).take(64).collect()
    };
    let (x, y) = (plain(a), plain(b));
    let mut row: Vec<usize> = (0..=y.len()).collect();
    for (i, left) in x.iter().enumerate() {
        let mut diagonal = i;
        let mut before = i + 1;
        let mut next = vec![before];
        for (right, above) in y.iter().zip(row.iter().skip(1)) {
            let cost = diagonal + usize::from(left != right);
            diagonal = *above;
            before = cost.min(*above + 1).min(before + 1);
            next.push(before);
        }
        row = next;
    }
    let edits = row.last().copied().unwrap_or(0);
    if edits == 0 && a != b { 1 } else { edits }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_words_find_their_neighbour() {
        assert_eq!(attribute("with_rsc", "rsc_colocation"), "did you mean \"with-rsc\"?");
        assert_eq!(element("primitve", Some("group")), "did you mean <primitive>?");
        assert_eq!(value("on-fail", "blok", "op"), "did you mean \"block\"?");
        assert!(value("id", "1 a", "primitive").ends_with("for instance \"_1-a\""));
    }
}
