#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::super::sign::Method;
use super::*;

const UUID: [u8; 16] =
    [0xd0, 0x8f, 0x73, 0x70, 0xe9, 0x32, 0x41, 0x49, 0x89, 0x5a, 0x2b, 0x41, 0x89, 0x2d, 0xa7, 0x6f];

/// The status packet recorded from Heartbeat 3.0.6 (§8).
fn captured() -> Vec<u8> {
    let mut bytes =
        b"###\n11:(0)t=status,10:(0)st=init,10:(0)dt=1b58,13:(0)protocol=1,9:(0)src=n2,27:(1)srcuuid="
            .to_vec();
    bytes.extend_from_slice(&UUID);
    bytes.extend_from_slice(
        b",8:(0)seq=1,14:(0)hg=6b005899,14:(0)ts=6b005898,29:(0)ld=1.58 0.53 0.20 8/124 19,8:(0)ttl=3,50:(0)auth=1 7f35a981e8a57ea657c08259058cea19171a154b,%%%\n42:1 9c82ea360b97eaec7faa18d3e78585b194f2814d,",
    );
    bytes
}

fn keys() -> Keys {
    Keys::single(Method::Sha1, b"secretkey").unwrap()
}

#[test]
fn captured_status_packet_opens_and_is_written_byte_for_byte() {
    let opened = open(&captured(), &keys()).unwrap();
    assert_eq!(opened.key, 1);
    let mut packet = opened.packet;
    assert_eq!(packet.text("t"), Some("status"));
    assert_eq!(packet.text("st"), Some("init"));
    assert_eq!(packet.hex("dt"), Some(7000));
    assert_eq!(packet.binary("srcuuid"), Some(&UUID[..]));
    assert_eq!(packet.text("auth"), Some("1 7f35a981e8a57ea657c08259058cea19171a154b"));
    packet.remove("auth");
    assert_eq!(encode(&packet, Format::Netstring, AuthField::Yes, &keys()), captured());
}

#[test]
fn classic_packet_accepted_by_the_reference_opens_here() {
    let bytes = b">>>\nt=NS_hello\nsrc=n2\nhg=6b005899\nts=6b0059b0\nttl=3\nauth=1 48fab54ac33c1b40a3628191b20eaf8a9faac677\n<<<\n\0";
    let opened = open(bytes, &keys()).unwrap();
    assert_eq!(opened.packet.text("t"), Some("NS_hello"));
    let mut packet = opened.packet;
    packet.remove("auth");
    assert_eq!(encode(&packet, Format::Classic, AuthField::Yes, &keys()), bytes);
}

#[test]
fn one_changed_byte_is_refused_before_parsing() {
    let good = captured();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x20;
        let refusal = open(&bad, &keys()).unwrap_err();
        assert!(!matches!(refusal, Refusal::Malformed(_)), "parsed an unsigned packet at {at}: {refusal}");
    }
}

#[test]
fn refusals_name_their_cause() {
    let other = Keys::single(Method::Sha1, b"another").unwrap();
    assert_eq!(open(&captured(), &other), Err(Refusal::WrongSignature(1)));
    let two =
        Keys::new(&[super::super::Key { number: 2, method: Method::Crc, secret: Vec::new() }], 2).unwrap();
    assert_eq!(open(&captured(), &two), Err(Refusal::UnknownKey(1)));
    assert_eq!(open(b"hello", &keys()), Err(Refusal::NotAPacket));
    assert_eq!(open(b"###\n%%%\n", &keys()), Err(Refusal::NoSignature));
    assert_eq!(open(b">>>\nt=x\n<<<\n", &keys()), Err(Refusal::NoSignature));
    assert_eq!(open(&vec![b'#'; MAX_PACKET + 1], &keys()), Err(Refusal::TooLong));
}

#[test]
fn compressed_whole_message_is_unpacked() {
    let packet = Packet::new().with("t", "status").with("text", "abc ".repeat(2000));
    for algorithm in [Algorithm::Zlib, Algorithm::Bz2] {
        let packed = pack(&packet, algorithm, 2048).unwrap();
        assert!(packed.binary("_compressed_payload").is_some());
        for format in [Format::Classic, Format::Netstring] {
            let bytes = encode(&packed, format, AuthField::Yes, &keys());
            let mut opened = open(&bytes, &keys()).unwrap().packet;
            opened.remove("auth");
            assert_eq!(opened, packet);
        }
    }
    assert_eq!(pack(&packet, Algorithm::Zlib, 100_000), None);
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        // 0x13 is what a newline travels as, so the notation cannot carry it as itself.
        "[^\\x00\\x0f-\\x1f]{0,20}\n?[a-z]{0,3}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Binary),
        prop::collection::vec("[a-z,:]{0,6}", 0..4).prop_map(Value::List),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Compressed),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop::collection::vec(("[a-z_]{1,6}", inner), 0..4).prop_map(|fields| {
            let mut packet = Packet::new();
            for (name, value) in fields {
                packet.push(&name, value);
            }
            Value::Struct(packet)
        })
    })
}

proptest! {
    #[test]
    fn both_notations_round_trip(fields in prop::collection::vec(("[b-z]{1,8}", value()), 0..8)) {
        let mut packet = Packet::new();
        for (name, value) in fields {
            packet.push(&name, value);
        }
        for method in [Method::Crc, Method::Md5, Method::Sha1, Method::Sha256] {
            let secret: &[u8] = if method == Method::Crc { b"" } else { b"key" };
            let keys = Keys::single(method, secret).unwrap();
            for format in [Format::Classic, Format::Netstring] {
                let bytes = encode(&packet, format, AuthField::No, &keys);
                let mut opened = open(&bytes, &keys).unwrap().packet;
                opened.remove("auth");
                prop_assert_eq!(&opened, &packet);
            }
        }
    }

    /// Decoders answer anything with a value or an error, never a panic.
    #[test]
    fn decoders_survive_anything(mut bytes in prop::collection::vec(any::<u8>(), 0..300), cut in 0usize..400, flip in 0usize..400) {
        let _ = netstring::decode(&bytes);
        let _ = classic::decode(&bytes);
        let mut mutated = captured();
        if let Some(b) = mutated.get_mut(flip) { *b = b.wrapping_add(1); }
        mutated.truncate(cut);
        let _ = netstring::decode(&mutated);
        let _ = open(&mutated, &keys());
        bytes.splice(0..0, b">>>\n".iter().copied());
        let _ = classic::decode(&bytes);
        bytes.splice(0..4, b"###\n".iter().copied());
        let _ = netstring::decode(&bytes);
    }
}
