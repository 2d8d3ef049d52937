//! Patches: the difference of two documents as an element `diff`, in the two formats of Pacemaker.
//!
//! Format 2 is exact: applied to the old document it gives the new one, order of elements and comments included.
//! Format 1 knows neither order nor comments; it is read and written for the sake of older peers and files.
//! A patch that does not fit leaves the document alone and says where it failed.
//!
//! Source: Pacemaker 2.1.5, observed through `crm_diff`, cib.md §6.

mod address;
mod v1;
mod v2;

use crate::ops::{Code, OpError};
use crate::{Cib, Element, Version, digest};

/// Which form a patch has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `diff-removed` and `diff-added`.
    One,
    /// A list of changes.
    Two,
}

/// How to make a patch.
#[derive(Clone, Copy, Debug)]
pub struct Making {
    pub format: Format,
    /// Carry the versions of both documents; without them it fits any version.
    pub versions: bool,
    /// Carry the digest of the result.
    pub digest: bool,
    /// Format 2: represent a changed order of attributes too, which means nothing but is part of digests.
    pub exact: bool,
}

/// The patch that turns `old` into `new`, exact, with versions. It costs what has changed, and so carries no digest, which
/// is over the whole document however small the change: [`make`] adds one where a reader may hold another document.
pub fn diff(old: &Cib, new: &Cib, format: Format) -> Element {
    let making = Making { format, versions: true, digest: false, exact: true };
    make(old.root(), new.root(), making).unwrap_or_else(|| empty(old.root(), new.root(), making))
}

/// The patch that turns `old` into `new`; `None` when there is nothing to say.
pub fn make(old: &Element, new: &Element, making: Making) -> Option<Element> {
    let mut new = new.clone();
    if !making.versions {
        // The new document is taken to have the version of the old one.
        for name in ["admin_epoch", "epoch", "num_updates"] {
            match old.attr(name) {
                Some(value) => new.set_attr(name, value),
                None => new.remove_attr(name),
            }
        }
    }
    let changes = match making.format {
        Format::One => v1::changes(old, &new, making.versions),
        Format::Two => v2::changes(old, &new, making.exact),
    }?;
    let mut patch = empty(old, &new, making);
    for change in changes {
        patch.push(change);
    }
    // Format 1 cannot say where something goes; where that matters the result has the same content and another digest.
    if making.format == Format::One && making.digest && apply_to(old, &patch).is_err() {
        patch.remove_attr("digest");
    }
    Some(patch)
}

fn empty(old: &Element, new: &Element, making: Making) -> Element {
    let mut patch = Element::new("diff");
    match making.format {
        Format::One => {
            patch.set_attr("crm_feature_set", crate::FEATURE_SET);
            patch.set_attr("format", "1");
            if making.digest {
                patch.set_attr("digest", digest::versioned(new));
            }
        }
        Format::Two => {
            patch.set_attr("format", "2");
            if making.digest {
                patch.set_attr("digest", digest::versioned(new));
            }
            if making.versions {
                let stored = |name, element| {
                    let mut stored = Element::new(name);
                    Version::of(element).store(&mut stored);
                    stored
                };
                let version = Element::new("version").with_child(stored("source", old));
                patch.push(version.with_child(stored("target", new)));
            }
        }
    }
    patch
}

/// The versions a patch leads from and to, if it says.
pub fn versions(patch: &Element) -> Option<(Version, Version)> {
    let (from, to) = match patch.child("version") {
        Some(version) => (version.child("source")?, version.child("target")?),
        None => (patch.child("diff-removed")?, patch.child("diff-added")?),
    };
    let given = |element: &Element| {
        ["admin_epoch", "epoch", "num_updates"].iter().any(|name| element.attr(name).is_some())
    };
    (given(from) || given(to)).then(|| (Version::of(from), Version::of(to)))
}

/// Apply a patch: check its versions, make the changes, verify the digest if it carries one.
///
/// # Errors
/// [`Code::DiffResync`] when the document is older than the patch needs, [`Code::OldData`] when it is newer,
/// [`Code::DiffFailed`] when a change does not fit or the digest differs, [`Code::Invalid`] for what is no patch.
pub fn apply(cib: &Cib, patch: &Element) -> Result<Cib, OpError> {
    format_of(patch)?;
    if let Some((from, to)) = versions(patch) {
        check_source(cib.version(), from, to)?;
        if !counters(to).iter().zip(&counters(from)).any(|(to, from)| to > from) {
            let text = format!("the patch leads from {from} to {to}, which is no progress");
            return Err(OpError::new(Code::OldData, text));
        }
    }
    let root = apply_to(cib.root(), patch)?;
    Cib::from_root(root).map_err(|error| OpError::new(Code::DiffFailed, error.to_string()))
}

/// As [`apply`] for any tree, and without asking that the patch raise the version.
///
/// # Errors
/// As [`apply`].
pub fn apply_to(root: &Element, patch: &Element) -> Result<Element, OpError> {
    let format = format_of(patch)?;
    if let Some((from, to)) = versions(patch) {
        check_source(Version::of(root), from, to)?;
    }
    let result = match format {
        Format::One => v1::apply(root, patch)?,
        Format::Two => v2::apply(root, patch)?,
    };
    if let Some(wanted) = patch.attr("digest") {
        let found = digest::versioned(&result);
        if found != wanted {
            return Err(failed(format!("the result has digest {found}, the patch says {wanted}")));
        }
    }
    Ok(result)
}

fn format_of(patch: &Element) -> Result<Format, OpError> {
    let invalid = |text: String| Err(OpError::new(Code::Invalid, text));
    if patch.name() != "diff" {
        return invalid(format!("a patch begins with <diff>, not with <{}>", patch.name()));
    }
    match patch.attr("format") {
        None | Some("1") => Ok(Format::One),
        Some("2") => Ok(Format::Two),
        Some(other) => invalid(format!("unknown patch format \"{other}\"")),
    }
}

fn check_source(current: Version, from: Version, to: Version) -> Result<(), OpError> {
    let newer =
        |code, text: &str| Err(OpError::new(code, format!("the patch leads from {from} to {to}, {text}")));
    let (current, source) = (counters(current), counters(from));
    if let Some((have, need)) = current.iter().zip(&source).find(|(have, need)| have != need) {
        return if have < need {
            newer(Code::DiffResync, "the configuration is older")
        } else {
            newer(Code::OldData, "the configuration is newer")
        };
    }
    Ok(())
}

fn counters(version: Version) -> [u64; 3] {
    [version.admin_epoch, version.epoch, version.num_updates]
}

fn failed(text: String) -> OpError {
    OpError::new(Code::DiffFailed, text)
}

#[cfg(test)]
mod tests;
