//! `cib.xml`, its digest and its numbered backups: what people and older software read.
//!
//! They are a view of the store, written behind it. A file that is not what we wrote is put aside, never overwritten.

use std::io;

use super::store::Store;
use crate::{Cib, Element, digest};

pub(super) const LIVE: &str = "cib.xml";
pub(super) const SIGNATURE: &str = "cib.xml.sig";
const LIVE_NEW: &str = "cib.xml.tmp";
/// The digest of the `cib.xml` that is about to be renamed into place: tells an interrupted checkpoint from an edit.
const SIGNATURE_NEXT: &str = "cib.xml.sig.next";
const NEXT_BACKUP: &str = "cib.last";

/// What a configuration file on disk is.
#[derive(Debug)]
pub(super) enum Found {
    Missing,
    /// Not readable as a configuration.
    Unusable(String),
    /// As its digest says.
    Signed(Box<Cib>),
    /// Without a digest: somebody put it there.
    Unsigned(Box<Cib>),
    /// Not what its digest says: somebody edited it.
    Edited,
}

pub(super) fn find(store: &mut dyn Store, name: &str, signature: &str) -> io::Result<Found> {
    let Some(bytes) = read_optional(store, name)? else { return Ok(Found::Missing) };
    let parsed = Element::parse_bytes(&bytes).map_err(|error| error.to_string());
    let parsed = parsed.and_then(|root| Cib::from_root(root).map_err(|error| error.to_string()));
    let cib = match parsed {
        Ok(cib) => Box::new(cib),
        Err(error) => return Ok(Found::Unusable(error)),
    };
    let Some(signed) = read_optional(store, signature)? else { return Ok(Found::Unsigned(cib)) };
    let signed = String::from_utf8_lossy(&signed);
    let signed = signed.trim();
    let fits = signed == digest::file(cib.root()) || signed == digest::heartbeat_file(cib.root());
    Ok(if fits { Found::Signed(cib) } else { Found::Edited })
}

pub(super) fn read_optional(store: &mut dyn Store, name: &str) -> io::Result<Option<Vec<u8>>> {
    match store.read(name) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Finish a checkpoint that was interrupted between its two renamings.
pub(super) fn complete(store: &mut dyn Store) -> io::Result<()> {
    let Some(_) = read_optional(store, SIGNATURE_NEXT)? else { return Ok(()) };
    match find(store, LIVE, SIGNATURE_NEXT)? {
        Found::Signed(_) => store.rename(SIGNATURE_NEXT, SIGNATURE)?,
        _ => store.remove(SIGNATURE_NEXT)?,
    }
    store.sync_names()
}

/// Move a file out of the way under the first free `NAME.auto.N`; the new name.
pub(super) fn put_aside(store: &mut dyn Store, name: &str) -> io::Result<String> {
    let free = free_name(store, name)?;
    store.rename(name, &free)?;
    store.sync_names()?;
    Ok(free)
}

/// Keep the content of a file that is about to be replaced under such a name. The file itself stays where it
/// is: should the power fail before it is replaced, what is good in it is still found.
pub(super) fn keep_aside(store: &mut dyn Store, name: &str) -> io::Result<String> {
    let free = free_name(store, name)?;
    store.link(name, &free)?;
    Ok(free)
}

fn free_name(store: &mut dyn Store, name: &str) -> io::Result<String> {
    let names = store.list()?;
    let free = (1u64..).map(|number| format!("{name}.auto.{number}")).find(|free| !names.contains(free));
    free.ok_or_else(|| io::Error::other("no free name"))
}

/// The backups, the newest first: by the number that will be written next, going backwards around the circle.
pub(super) fn backups(store: &mut dyn Store) -> io::Result<Vec<String>> {
    let next = next_backup(store)?;
    let mut numbers: Vec<u64> = store.list()?.iter().filter_map(|name| backup_number(name)).collect();
    numbers.sort_unstable_by_key(
        |&number| if number < next { next - number } else { u64::MAX - (number - next) },
    );
    Ok(numbers.into_iter().map(backup_name).collect())
}

fn next_backup(store: &mut dyn Store) -> io::Result<u64> {
    let bytes = read_optional(store, NEXT_BACKUP)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).trim().parse().unwrap_or(0))
}

fn backup_name(number: u64) -> String {
    format!("cib-{number}.raw")
}

pub(super) fn backup_signature(name: &str) -> String {
    format!("{name}.sig")
}

fn backup_number(name: &str) -> Option<u64> {
    name.strip_prefix("cib-")?.strip_suffix(".raw")?.parse().ok()
}

/// The tree a checkpoint writes: without status, `num_updates` 0.
pub(super) fn stored_form(document: &Element) -> Element {
    let mut stored = document.clone();
    stored.retain_children(|child| child.name() != "status");
    stored.set_attr("num_updates", "0");
    stored
}

/// Write `cib.xml` with digest and keep the one before as a backup. Reports what was put aside.
///
/// Each step leaves either the old pair or the new pair, or the new file with its digest waiting under
/// [`SIGNATURE_NEXT`].
pub(super) fn checkpoint(
    store: &mut dyn Store,
    document: &Element,
    backups_max: u64,
) -> io::Result<Vec<String>> {
    let mut reports = Vec::new();
    complete(store)?;
    let stored = stored_form(document);
    match find(store, LIVE, SIGNATURE)? {
        Found::Signed(cib) if *cib.root() == stored => return Ok(reports),
        Found::Signed(_) => back_up(store, backups_max)?,
        Found::Missing => {}
        Found::Unusable(error) => {
            let aside = put_aside(store, LIVE)?;
            reports.push(format!("{LIVE} was not readable ({error}); kept as {aside}"));
        }
        Found::Unsigned(_) => {
            let aside = put_aside(store, LIVE)?;
            reports
                .push(format!("{LIVE} had no digest and gives way to what the cluster has; kept as {aside}"));
        }
        Found::Edited => {
            let aside = put_aside(store, LIVE)?;
            reports.push(format!("{LIVE} was changed by hand while the cluster was active; kept as {aside}"));
        }
    }
    store.write(LIVE_NEW, stored.to_xml().as_bytes())?;
    store.sync(LIVE_NEW)?;
    store.write(SIGNATURE_NEXT, digest::file(&stored).as_bytes())?;
    store.sync(SIGNATURE_NEXT)?;
    store.sync_names()?;
    store.rename(LIVE_NEW, LIVE)?;
    store.sync_names()?;
    store.rename(SIGNATURE_NEXT, SIGNATURE)?;
    store.sync_names()?;
    Ok(reports)
}

fn back_up(store: &mut dyn Store, backups_max: u64) -> io::Result<()> {
    if backups_max == 0 {
        return Ok(());
    }
    let number = next_backup(store)?;
    let number = if number >= backups_max { 0 } else { number };
    let name = backup_name(number);
    let names = store.list()?;
    for (from, to) in [(LIVE, name.clone()), (SIGNATURE, backup_signature(&name))] {
        if names.contains(&to) {
            store.remove(&to)?;
        }
        store.link(from, &to)?;
    }
    let next = format!("{NEXT_BACKUP}.tmp");
    store.write(&next, (number + 1).to_string().as_bytes())?;
    store.sync(&next)?;
    store.rename(&next, NEXT_BACKUP)?;
    store.sync_names()
}
