//! The grammars, cut to the version a document names, and compiled once.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use relax_ng::{ResolveError, Schema, SchemaResolver, SchemaSource, SchemaSyntax};

use super::pattern::Pattern;
use super::words::Words;
use crate::Element;

pub(super) const MODERN: &str = include_str!("../../../schemas/cib.rng");
const HEARTBEAT_2: &str = include_str!("../../../schemas/heartbeat-2.rng");

/// A version of the modern language; `pacemaker-next` is after all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchemaVersion(pub u16, pub u16);

const NEXT: SchemaVersion = SchemaVersion(u16::MAX, 0);

/// The language a document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dialect {
    /// `validate-with="none"`: nothing is checked.
    None,
    /// Heartbeat 2.x.
    Heartbeat2,
    /// Pacemaker's, in one of its versions.
    Modern(SchemaVersion),
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Dialect::None => f.write_str("none"),
            Dialect::Heartbeat2 => f.write_str("heartbeat-2"),
            Dialect::Modern(version) if *version == NEXT => f.write_str("pacemaker-next"),
            Dialect::Modern(SchemaVersion(major, minor)) => write!(f, "pacemaker-{major}.{minor}"),
        }
    }
}

/// Names of the schemas that exist, oldest first ("Pacemaker 2.1.5").
pub const KNOWN: &[&str] = &[
    "pacemaker-1.0",
    "pacemaker-1.2",
    "pacemaker-1.3",
    "pacemaker-2.0",
    "pacemaker-2.1",
    "pacemaker-2.2",
    "pacemaker-2.3",
    "pacemaker-2.4",
    "pacemaker-2.5",
    "pacemaker-2.6",
    "pacemaker-2.7",
    "pacemaker-2.8",
    "pacemaker-2.9",
    "pacemaker-2.10",
    "pacemaker-3.0",
    "pacemaker-3.1",
    "pacemaker-3.2",
    "pacemaker-3.3",
    "pacemaker-3.4",
    "pacemaker-3.5",
    "pacemaker-3.6",
    "pacemaker-3.7",
    "pacemaker-3.8",
    "pacemaker-3.9",
    "pacemaker-next",
];

/// Why a document cannot be checked at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// The document names a schema that we do not have: the user's fault.
    #[error(
        "validate-with=\"{0}\" names no schema known here: expected none, or pacemaker-1.0 to pacemaker-3.9"
    )]
    Unknown(String),
    /// The grammar does not compile: ours.
    #[error("the grammar of {dialect} cannot be used: {why}")]
    Grammar { dialect: String, why: String },
}

/// The language a document says it is written in.
pub(crate) fn dialect_of(root: &Element) -> Result<Dialect, SchemaError> {
    match root.attr("validate-with") {
        Some("none") => Ok(Dialect::None),
        Some(name) if KNOWN.contains(&name) => parse_version(name.trim_start_matches("pacemaker-"))
            .map(Dialect::Modern)
            .ok_or_else(|| SchemaError::Unknown(name.to_owned())),
        Some(name) => Err(SchemaError::Unknown(name.to_owned())),
        None => Ok(Dialect::Heartbeat2),
    }
}

fn parse_version(text: &str) -> Option<SchemaVersion> {
    if text == "next" {
        return Some(NEXT);
    }
    let (major, minor) = text.split_once('.')?;
    Some(SchemaVersion(major.parse().ok()?, minor.parse().ok()?))
}

/// A compiled grammar.
pub(super) struct Grammar {
    pub(super) schema: Schema,
    pub(super) words: Words,
    /// Parts of documents that were found right.
    pub(super) fitting: Forms,
}

/// Forms remembered: those of some hundreds of kinds of changes.
const FORMS_KEPT: usize = 256;

/// The last parts of documents that were found right, as the grammar sees them.
#[derive(Debug, Default)]
pub(super) struct Forms(Mutex<VecDeque<String>>);

impl Forms {
    pub(super) fn contains(&self, form: &str) -> bool {
        self.kept().iter().any(|kept| kept == form)
    }

    pub(super) fn add(&self, form: String) {
        let mut kept = self.kept();
        if kept.len() >= FORMS_KEPT {
            kept.pop_front();
        }
        kept.push_back(form);
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The compiled grammar, made at its first use.
pub(super) fn compiled(dialect: Dialect) -> Result<Arc<Grammar>, SchemaError> {
    static CACHE: OnceLock<Mutex<BTreeMap<Dialect, Arc<Grammar>>>> = OnceLock::new();
    let cache = CACHE.get_or_init(Mutex::default);
    let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(schema) = cache.get(&dialect) {
        return Ok(Arc::clone(schema));
    }
    let schema = Arc::new(compile(dialect)?);
    cache.insert(dialect, Arc::clone(&schema));
    Ok(schema)
}

fn compile(dialect: Dialect) -> Result<Grammar, SchemaError> {
    let fail = |why: String| SchemaError::Grammar { dialect: dialect.to_string(), why };
    let mut words = Words::default();
    let text = match dialect {
        Dialect::Modern(version) => {
            let mut grammar = Pattern::parse(MODERN).map_err(fail)?;
            cut(&mut grammar, version);
            words = Words::of(&grammar);
            let mut text = String::new();
            grammar.print(&mut text);
            text
        }
        Dialect::Heartbeat2 | Dialect::None => HEARTBEAT_2.to_owned(),
    };
    let source = SchemaSource::new(text, "memory:/cib.rng", SchemaSyntax::Xml);
    let schema = Schema::compile(&source, &Nothing).map_err(|error| fail(error.to_string()))?;
    Ok(Grammar { schema, words, fitting: Forms::default() })
}

/// Takes out what exists in other versions only.
fn cut(pattern: &mut Pattern, version: SchemaVersion) {
    pattern.attributes.retain(|(name, _)| name != SINCE && name != UNTIL);
    pattern.children.retain(|child| exists_in(child, version));
    for child in &mut pattern.children {
        cut(child, version);
    }
}

const SINCE: &str = "v:since";
const UNTIL: &str = "v:until";

fn exists_in(pattern: &Pattern, version: SchemaVersion) -> bool {
    let bound = |name: &str| pattern.attribute(name).and_then(parse_version);
    bound(SINCE).is_none_or(|since| version >= since) && bound(UNTIL).is_none_or(|until| version <= until)
}

/// The grammars refer to nothing outside themselves.
struct Nothing;

impl SchemaResolver for Nothing {
    fn resolve(&self, href: &str, _: &str) -> Result<SchemaSource, ResolveError> {
        Err(ResolveError::new(format!("{href} is outside the grammar")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_version_compiles() {
        for name in KNOWN {
            let root = Element::new("cib").with_attr("validate-with", *name);
            compiled(dialect_of(&root).unwrap()).unwrap();
        }
        compiled(Dialect::Heartbeat2).unwrap();
    }
}
