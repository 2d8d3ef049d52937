//! Packets recorded from Heartbeat 3.0.6 (Debian 12), one of each kind heard on a network and on a
//! serial line, key 1 sha1 "secretkey": each opens, and is written again byte for byte. They were
//! recorded by the interoperation tests with `EVERBEAT_CAPTURE` set. Those named after an algorithm are
//! packets compressed as a whole (`traditional_compression yes`, threshold 1 KB): nine fields of 300
//! characters given to the command pipe, heard on the network.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use ccm::wire::compress::Algorithm;
use ccm::wire::envelope::{self, AuthField, Format};
use ccm::wire::{Keys, Method};

/// The names of a netstring packet's fields, without what is in them.
fn shape(bytes: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let names = ["(1)_compressed_payload=", "(0)_compression_algorithm=", "(0)auth=", ",%%%\n42:1 "];
    names.into_iter().filter(|name| text.contains(name)).collect()
}

#[test]
fn recorded_packets_open_and_are_written_alike() {
    let keys = Keys::single(Method::Sha1, b"secretkey").unwrap();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut kinds = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = std::fs::read(&path).unwrap();
        let mut packet = envelope::open(&bytes, &keys).unwrap_or_else(|e| panic!("{name}: {e}")).packet;
        let (kind, form) = name.split_once('-').unwrap();
        assert_eq!(packet.text("t"), Some(kind));
        if let Some(algorithm) = [Algorithm::Zlib, Algorithm::Bz2].into_iter().find(|a| a.name() == form) {
            assert!(bytes.len() < 500 && !String::from_utf8_lossy(&bytes).contains("pad8"), "{name}");
            for pad in 0..9 {
                assert_eq!(packet.text(&format!("pad{pad}")), Some(&*"x".repeat(300)), "{name}");
            }
            // Compressors differ in their bytes; what comes out must not.
            let ours = envelope::pack(&packet, algorithm, 1024).unwrap();
            let ours = envelope::encode(&ours, Format::Netstring, AuthField::Yes, &keys);
            assert_eq!(shape(&ours), shape(&bytes), "{name}");
            assert_eq!(envelope::open(&ours, &keys).unwrap().packet, packet, "{name}");
            kinds.push(name);
            continue;
        }
        assert!(packet.text("src").is_some() && packet.hex("hg").is_some(), "{name}");
        assert_eq!(packet.hex("seq").is_none(), kind.starts_with("NS_"), "{name}");
        packet.remove("auth");
        let format = if form == "classic" { Format::Classic } else { Format::Netstring };
        let mut again = envelope::encode(&packet, format, AuthField::Yes, &keys);
        if format == Format::Classic && bytes.last() != Some(&0) {
            again.pop();
        }
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bytes), "{name}");
        kinds.push(name);
    }
    assert!(kinds.len() >= 13, "{kinds:?}");
}
