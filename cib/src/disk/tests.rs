#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Version, digest};

/// xorshift: enough chance for tests, repeatable by its seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

fn document(epoch: u64) -> Element {
    let mut cib = Cib::empty();
    cib.set_version(Version::new(0, epoch, 7));
    cib.into_root()
}

fn entry(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// What the disk ought to hold.
#[derive(Clone, Debug, PartialEq)]
struct Truth {
    epoch: u64,
    meta: Vec<u8>,
    entries: Vec<Vec<u8>>,
}

impl Truth {
    fn of(loaded: &Loaded) -> Truth {
        let epoch = Version::of(&loaded.document).epoch;
        Truth { epoch, meta: loaded.meta.clone(), entries: loaded.entries.clone() }
    }
}

/// One step of a fixed history that uses every kind of write.
fn step(store: &mut CibStore<MemoryStore>, number: usize, truth: &Truth) -> (Truth, Result<(), DiskError>) {
    let mut next = truth.clone();
    let text = format!("entry {number} {}", "x".repeat(number * 7 % 50));
    let result = match number % 6 {
        0 => {
            next = Truth { epoch: truth.epoch + 1, meta: entry(&text), entries: Vec::new() };
            let old = document(truth.epoch);
            let backup = number.is_multiple_of(12).then_some(Backup { document: &old, why: "it lost" });
            store.switch(&document(next.epoch), &next.meta, backup)
        }
        1 | 4 => {
            next.entries.push(entry(&text));
            store.append(&[entry(&text)])
        }
        2 => {
            next.meta = entry(&text);
            store.meta(&next.meta)
        }
        3 => {
            next.entries.extend([entry(&text), entry(""), entry("third")]);
            next.meta = entry("with");
            store.append_with_meta(&[entry(&text), entry(""), entry("third")], b"with")
        }
        _ => store.checkpoint(&document(truth.epoch)).map(|_| ()),
    };
    (next, result)
}

const STEPS: usize = 26;

#[test]
fn every_call_failing_in_turn_leaves_the_truth_before_or_after() {
    let whole = MemoryStore::new();
    let (mut store, _) = CibStore::open(whole.clone()).unwrap();
    let mut truth = Truth { epoch: 0, meta: Vec::new(), entries: Vec::new() };
    for number in 0..STEPS {
        let (next, result) = step(&mut store, number, &truth);
        result.unwrap();
        truth = next;
    }
    let calls = whole.counts().calls;
    assert!(calls > 60, "the history uses many calls: {calls}");
    for call in 0..calls {
        for (seed, failure) in
            [Failure::Before, Failure::Torn, Failure::After].into_iter().cycle().take(9).enumerate()
        {
            fail_at(call, failure, seed as u64 * 7919 + call + 1);
        }
    }
}

/// Run the history with one failing call, lose power right there, and look.
fn fail_at(call: u64, failure: Failure, seed: u64) {
    let disk = MemoryStore::new();
    disk.fail_at(call, failure);
    let mut chance = Chance(seed);
    let mut truth = Truth { epoch: 0, meta: Vec::new(), entries: Vec::new() };
    let mut allowed = vec![truth.clone()];
    if let Ok((mut store, _)) = CibStore::open(disk.clone()) {
        for number in 0..STEPS {
            let (next, result) = step(&mut store, number, &truth);
            match result {
                Ok(()) => {
                    truth = next;
                    allowed = vec![truth.clone()];
                }
                Err(_) => {
                    allowed = vec![truth.clone(), next.clone()];
                    // Of several records written together any whole ones at the beginning may be there.
                    for kept in truth.entries.len()..next.entries.len() {
                        let entries = next.entries.iter().take(kept + 1).cloned().collect();
                        allowed.push(Truth { entries, meta: truth.meta.clone(), ..next.clone() });
                    }
                    if number % 6 != 5 {
                        assert!(store.append(&[entry("late")]).is_err(), "a failed store must refuse");
                    }
                    break;
                }
            }
        }
    }
    disk.crash(|limit| chance.below(limit));
    let (mut store, loaded) = CibStore::open(disk.clone()).unwrap();
    let found = Truth::of(&loaded);
    let what = format!("call {call} {failure:?} seed {seed}: {found:?} is none of {allowed:?}");
    assert!(allowed.contains(&found), "{what}");
    assert!(!loaded.regressed, "{what}");
    assert!(loaded.import.is_none(), "{what}: an interrupted checkpoint is not an edit");
    assert!(!loaded.reports.iter().any(|report| report.contains("by hand")), "{:?}", loaded.reports);
    // And it goes on from there, also through a crash with everything synced.
    store.switch(&document(100), b"m", None).unwrap();
    store.append(&[entry("on")]).unwrap();
    store.checkpoint(&document(100)).unwrap();
    disk.crash(|limit| chance.below(limit));
    let (_, loaded) = CibStore::open(disk).unwrap();
    assert_eq!(Truth::of(&loaded), Truth { epoch: 100, meta: entry("m"), entries: vec![entry("on")] });
    assert_eq!(loaded.reports, Vec::<String>::new());
}

#[test]
fn crashes_at_any_time_lose_nothing_acknowledged() {
    for seed in 1..400 {
        let disk = MemoryStore::new();
        let mut chance = Chance(seed);
        let mut truth = Truth { epoch: 0, meta: Vec::new(), entries: Vec::new() };
        for _ in 0..6 {
            let (mut store, loaded) = CibStore::open(disk.clone()).unwrap();
            assert_eq!(Truth::of(&loaded), truth, "seed {seed}");
            let mut number = 0;
            for _ in 0..chance.below(12) {
                let (next, result) = step(&mut store, number, &truth);
                result.unwrap();
                truth = next;
                number += 1 + chance.below(3);
            }
            disk.crash(|limit| chance.below(limit));
        }
    }
}

#[test]
fn a_batch_costs_one_sync_and_no_rewrite() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.switch(&document(1), b"", None).unwrap();
    let before = disk.counts();
    store.append(&vec![entry("a small change"); 100]).unwrap();
    let after = disk.counts();
    assert_eq!((after.syncs - before.syncs, after.calls - before.calls), (1, 2));
    assert_eq!(after.bytes - before.bytes, 100 * (9 + 14));
}

#[test]
fn room_is_reserved_ahead_and_the_log_stays_as_long_as_what_is_in_it() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.switch(&document(1), b"", None).unwrap();
    assert_eq!(disk.counts().reservations, 1, "with the log");
    for _ in 0..20 {
        store.append(&[vec![b'x'; 100_000]]).unwrap();
    }
    assert_eq!(disk.counts().reservations, 2, "two million bytes are within two steps");
    let directory = tempfile::tempdir().unwrap();
    let (mut store, _) = CibStore::open(DirStore::new(directory.path()).unwrap()).unwrap();
    store.switch(&document(1), b"", None).unwrap();
    store.append(&[vec![b'x'; 100]]).unwrap();
    let data = std::fs::metadata(directory.path().join("cib.log.1")).unwrap();
    assert_eq!(data.len(), 20 + 9 + 100);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&data);
    // A file system without this keeps what is written, one with it a mebibyte.
    assert!(blocks * 512 >= 1 << 20 || blocks * 512 <= 8192, "{blocks} blocks");
}

#[test]
fn a_directory_has_one_store_at_a_time() {
    fn alone<S: Store + std::fmt::Debug>(open: impl Fn() -> S) {
        let (mut first, _) = CibStore::open(open()).unwrap();
        first.switch(&document(1), b"", None).unwrap();
        let refused = CibStore::open(open()).unwrap_err();
        assert!(matches!(refused, DiskError::Locked), "{refused}");
        // Who was refused has left no trace, and checkpoints need no lock.
        first.append(&[entry("still mine")]).unwrap();
        checkpoint(&mut open(), &document(1), 3).unwrap();
        drop(first);
        assert_eq!(CibStore::open(open()).unwrap().1.entries, [entry("still mine")]);
    }
    let disk = MemoryStore::new();
    alone(|| disk.clone());
    let directory = tempfile::tempdir().unwrap();
    alone(|| DirStore::new(directory.path()).unwrap());
}

#[test]
fn damage_is_put_aside_and_reported() {
    let make = || {
        let disk = MemoryStore::new();
        let (mut store, _) = CibStore::open(disk.clone()).unwrap();
        store.switch(&document(1), b"one", None).unwrap();
        store.switch(&document(2), b"two", None).unwrap();
        store.append(&[entry("first"), entry("second")]).unwrap();
        disk
    };
    let disk = make();
    assert!(disk.damage("cib.base.2", 150));
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert!(loaded.regressed);
    assert_eq!(Version::of(&loaded.document).epoch, 1);
    assert!(loaded.reports.iter().any(|text| text.contains("cib.base.2 is damaged")), "{:?}", loaded.reports);
    let names = disk.clone().list().unwrap();
    assert!(
        names.contains(&"cib.base.2.auto.1".to_string()) && names.contains(&"cib.log.2.auto.1".to_string())
    );
    // The number of a damaged generation is not used again.
    let (mut store, _) = CibStore::open(disk).unwrap();
    store.switch(&document(3), b"", None).unwrap();
    let disk = make();
    let length = disk.clone().read("cib.log.2").unwrap().len();
    assert!(disk.damage("cib.log.2", length - 1));
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!(loaded.entries, [entry("first")]);
    assert!(loaded.reports.iter().any(|text| text.contains("after record 1")), "{:?}", loaded.reports);
    let (_, loaded) = CibStore::open(disk).unwrap();
    assert_eq!((loaded.entries, loaded.reports), (vec![entry("first")], Vec::new()));
    let disk = make();
    assert!(disk.damage("cib.log.2", 3));
    let (_, loaded) = CibStore::open(disk).unwrap();
    assert!(loaded.regressed && loaded.entries.is_empty());
}

/// Put a file there as an administrator would.
fn put(disk: &MemoryStore, name: &str, text: &str) {
    let mut disk = disk.clone();
    disk.write(name, text.as_bytes()).unwrap();
    disk.sync(name).unwrap();
    disk.sync_names().unwrap();
}

#[test]
fn a_first_start_takes_what_is_there() {
    let text = "<cib admin_epoch=\"1\" epoch=\"4\" num_updates=\"9\" dc-uuid=\"x\"><configuration/><status><node_state id=\"1\"/></status></cib>";
    let root = Element::parse(text).unwrap();
    let disk = MemoryStore::new();
    put(&disk, "cib.xml", text);
    put(&disk, "cib.xml.sig", &digest::file(&root));
    let (store, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!((loaded.origin, loaded.reports.len(), store.generation()), (Origin::File, 0, None));
    drop(store);
    assert_eq!(
        loaded.document.to_xml_compact(),
        "<cib admin_epoch=\"1\" epoch=\"4\" num_updates=\"9\"><configuration/><status/></cib>"
    );
    // The digest Heartbeat wrote counts as well.
    put(&disk, "cib.xml.sig", &digest::heartbeat_file(&root));
    assert_eq!(CibStore::open(disk.clone()).unwrap().1.origin, Origin::File);
    // Without a digest it is taken with a word about it.
    disk.clone().remove("cib.xml.sig").unwrap();
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!((loaded.origin, loaded.reports.len()), (Origin::File, 1));
    // With a wrong one it is not; the newest good backup is.
    put(&disk, "cib.xml.sig", "0123");
    for (number, epoch) in [(0, 10), (1, 11), (98, 8), (99, 9)] {
        put(&disk, &format!("cib-{number}.raw"), &document(epoch).to_xml());
    }
    put(&disk, "cib-1.raw.sig", "wrong");
    put(&disk, "cib.last", "2");
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!(loaded.origin, Origin::Backup("cib-0.raw".to_string()), "{:?}", loaded.reports);
    assert_eq!(disk.clone().read("cib.xml.auto.1").unwrap(), text.as_bytes());
    // One damaged file and nothing else: an empty configuration, and the file is kept.
    let disk = MemoryStore::new();
    put(&disk, "cib.xml", "<cib");
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!((loaded.origin, loaded.reports.len()), (Origin::Empty, 2));
    assert!(disk.clone().read("cib.xml.auto.1").is_ok());
}

#[test]
fn a_file_put_there_by_hand_is_offered_and_an_edited_one_put_aside() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.switch(&document(5), b"", None).unwrap();
    store.checkpoint(&document(5)).unwrap();
    drop(store);
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!((loaded.import, loaded.reports.len()), (None, 0));
    put(&disk, "cib.xml", &document(50).to_xml());
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!(Version::of(&loaded.document).epoch, 5);
    assert!(loaded.reports.iter().any(|text| text.contains("changed by hand")), "{:?}", loaded.reports);
    assert!(disk.clone().read("cib.xml.auto.1").is_ok());
    put(&disk, "cib.xml", &document(50).to_xml());
    let (mut store, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!(loaded.import.map(|root| Version::of(&root).epoch), Some(50));
    // Not taken: the next checkpoint puts it aside.
    let reports = store.checkpoint(&document(6)).unwrap();
    assert!(reports.iter().any(|text| text.contains("cib.xml.auto.2")), "{reports:?}");
}

#[test]
fn a_document_is_placed_only_where_no_node_runs_and_the_next_start_sees_it() {
    let disk = MemoryStore::new();
    // Before the first start: with a digest, taken as it is.
    place(&mut disk.clone(), &document(3)).unwrap();
    place(&mut disk.clone(), &document(4)).unwrap();
    assert!(disk.clone().read("cib-0.raw.sig").is_ok());
    let (mut store, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!((loaded.origin, Version::of(&loaded.document).epoch), (Origin::File, 4));
    store.switch(&document(4), b"", None).unwrap();
    store.checkpoint(&document(4)).unwrap();
    assert!(matches!(place(&mut disk.clone(), &document(5)), Err(DiskError::Locked)));
    drop(store);
    place(&mut disk.clone(), &document(6)).unwrap();
    let (_, loaded) = CibStore::open(disk.clone()).unwrap();
    assert_eq!(Version::of(&loaded.document).epoch, 4);
    assert_eq!(loaded.import.map(|root| Version::of(&root).epoch), Some(6));
    assert!(disk.clone().read("cib-1.raw").is_ok());
}

#[test]
fn a_file_edited_while_the_store_is_open_is_kept_by_the_checkpoint() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.checkpoint(&document(5)).unwrap();
    let edited = document(50).to_xml();
    put(&disk, "cib.xml", &edited);
    let reports = store.checkpoint(&document(6)).unwrap();
    assert!(reports.iter().any(|text| text.contains("by hand while the cluster was active")), "{reports:?}");
    assert_eq!(disk.clone().read("cib.xml.auto.1").unwrap(), edited.as_bytes());
}

#[test]
fn a_record_of_another_place_or_log_is_none() {
    let records = |generation, number| {
        let mut bytes = frame::log_header(3);
        frame::record(generation, number, Kind::Entry, b"x", &mut bytes);
        frame::read_log(&bytes, 3).unwrap().records.len()
    };
    assert_eq!((records(3, 0), records(3, 1), records(2, 0)), (1, 0, 0));
}

#[test]
fn checkpoints_keep_numbered_backups() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.set_backups_max(3);
    for epoch in 0..6 {
        store.checkpoint(&document(epoch)).unwrap();
        store.checkpoint(&document(epoch)).unwrap();
    }
    let mut disk = disk;
    let epoch = |disk: &mut MemoryStore, name: &str| {
        let root = Element::parse_bytes(&disk.read(name).unwrap()).unwrap();
        assert_eq!(disk.read(&format!("{name}.sig")).unwrap(), digest::file(&root).into_bytes());
        assert_eq!((root.attr("num_updates"), root.child("status")), (Some("0"), None));
        Version::of(&root).epoch
    };
    let found: Vec<u64> =
        ["cib-0.raw", "cib-1.raw", "cib-2.raw", "cib.xml"].map(|name| epoch(&mut disk, name)).to_vec();
    assert_eq!(found, [3, 4, 2, 5]);
    assert_eq!(disk.read("cib.last").unwrap(), b"2");
}

#[test]
fn the_conflict_backup_is_kept_with_the_switch_only() {
    let disk = MemoryStore::new();
    let (mut store, _) = CibStore::open(disk.clone()).unwrap();
    store.switch(&document(1), b"", None).unwrap();
    let old = document(1);
    store.switch(&document(2), b"", Some(Backup { document: &old, why: "older" })).unwrap();
    assert!(disk.clone().read("cib-conflict-2.raw").is_ok());
    assert_eq!(disk.clone().read("cib-conflict-2.raw.why").unwrap(), b"older");
    disk.fail_at(disk.counts().calls + 5, Failure::Before);
    store.switch(&document(3), b"", Some(Backup { document: &old, why: "older" })).unwrap_err();
    assert!(disk.clone().list().unwrap().contains(&"cib-conflict-3.raw".to_string()));
    drop(store);
    CibStore::open(disk.clone()).unwrap();
    let names = disk.clone().list().unwrap();
    assert!(!names.iter().any(|name| name.contains("conflict-3") || name.ends_with(".3")), "{names:?}");
}

#[test]
fn a_real_directory_behaves_like_the_one_in_memory() {
    let directory = tempfile::tempdir().unwrap();
    let open = || CibStore::open(DirStore::new(directory.path()).unwrap()).unwrap();
    let (mut store, loaded) = open();
    assert_eq!(loaded.origin, Origin::Empty);
    assert!(matches!(store.append(&[entry("x")]), Err(DiskError::NoBase)));
    store.switch(&document(1), b"one", None).unwrap();
    store.append(&[entry("a"), entry("b")]).unwrap();
    store.checkpoint(&document(1)).unwrap();
    store.append(&[entry("c")]).unwrap();
    store.checkpoint(&document(2)).unwrap();
    drop(store);
    let (mut store, loaded) = open();
    assert_eq!(
        (loaded.entries.len(), loaded.meta.as_slice(), loaded.reports.len()),
        (3, b"one".as_slice(), 0)
    );
    store.meta(b"two").unwrap();
    store.append(&[entry("d")]).unwrap();
    drop(store);
    let (_, loaded) = open();
    assert_eq!((loaded.entries.len(), loaded.meta.as_slice()), (4, b"two".as_slice()));
}

/// Whatever stands in the files, opening ends with a document and no file is lost without a word.
#[test]
fn any_content_of_any_file_is_survived() {
    let mut chance = Chance(99);
    for round in 0..400 {
        let disk = MemoryStore::new();
        let (mut store, _) = CibStore::open(disk.clone()).unwrap();
        store.switch(&document(1), b"one", None).unwrap();
        store.checkpoint(&document(1)).unwrap();
        store.switch(&document(2), b"two", None).unwrap();
        store.checkpoint(&document(2)).unwrap();
        store.append(&[entry("first"), entry("second")]).unwrap();
        drop(store);
        let names = disk.clone().list().unwrap();
        for _ in 0..=chance.below(3) {
            let name = &names[chance.below(names.len())];
            let mut bytes = disk.clone().read(name).unwrap();
            match chance.below(4) {
                0 => bytes.clear(),
                1 => bytes.truncate(chance.below(bytes.len() + 1)),
                2 => bytes = (0..chance.below(200)).map(|_| chance.below(256) as u8).collect(),
                _ => (0..8).for_each(|_| {
                    let at = chance.below(bytes.len().max(1));
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = chance.below(256) as u8;
                    }
                }),
            }
            disk.clone().write(name, &bytes).unwrap();
        }
        let (mut store, loaded) = CibStore::open(disk.clone()).unwrap();
        let epoch = Version::of(&loaded.document).epoch;
        assert!(epoch == 2 || loaded.regressed || !loaded.reports.is_empty(), "round {round}: {loaded:?}");
        store.switch(&document(9), b"", None).unwrap();
        store.append(&[entry("on")]).unwrap();
        store.checkpoint(&document(9)).unwrap();
        drop(store);
        let (_, loaded) = CibStore::open(disk).unwrap();
        assert_eq!((Version::of(&loaded.document).epoch, loaded.entries.len()), (9, 1), "round {round}");
    }
}

/// A start that finds a torn log repairs it; when the power fails in the middle of that, too, nothing that was
/// acknowledged is lost.
#[test]
fn a_crash_while_a_torn_log_is_repaired_loses_nothing() {
    for failure in [Failure::Before, Failure::Torn, Failure::After] {
        for ahead in 0..12 {
            for seed in 1..20 {
                let disk = MemoryStore::new();
                let mut chance = Chance(seed);
                let (mut store, _) = CibStore::open(disk.clone()).unwrap();
                store.switch(&document(1), b"m", None).unwrap();
                store.append(&[entry("kept")]).unwrap();
                disk.fail_at(disk.counts().calls, Failure::Torn);
                assert!(store.append(&[entry("torn")]).is_err());
                disk.heal();
                disk.crash(|limit| chance.below(limit));
                disk.fail_at(disk.counts().calls + ahead, failure);
                let _ = CibStore::open(disk.clone());
                disk.heal();
                disk.crash(|limit| chance.below(limit));
                let (_, loaded) = CibStore::open(disk).unwrap();
                let what = format!("call {ahead} {failure:?} seed {seed}: {:?}", loaded.reports);
                assert!(!loaded.regressed, "{what}");
                assert_eq!(loaded.entries.first(), Some(&entry("kept")), "{what}");
            }
        }
    }
}
