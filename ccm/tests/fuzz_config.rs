#![allow(clippy::unwrap_used)]
//! The four parsers on anything at all: they answer, they do not panic, and what they say holds.
//!
//! Each body takes bytes, so that a fuzzer can call it as it is; here random bytes, word soup and
//! damaged real files are given to it.

use ccm::config::{AuthKeys, Config, ConfigProblem, DIRECTIVES, LogdConfig, Severity};
use cib::convert::{self, Dialect, Found, HaCf, Haresources, Input, Options};
use proptest::prelude::*;

/// Problems name lines that exist; a refusal has an error; the answer is the same twice.
fn check_answer(text: &str, answer: Result<&[ConfigProblem], &[ConfigProblem]>) {
    let count = text.split('\n').count();
    let (problems, refused) = match answer {
        Ok(problems) => (problems, false),
        Err(problems) => (problems, true),
    };
    assert_eq!(problems.iter().any(|p| p.severity == Severity::Error), refused);
    for problem in problems {
        assert!(problem.line.is_none_or(|l| l >= 1 && l as usize <= count), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem:?}");
    }
}

fn fuzz_ha_cf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let answer = Config::parse(&text, "f");
    check_answer(&text, answer.as_ref().map(|c| c.warnings.as_slice()).map_err(Vec::as_slice));
    assert_eq!(answer, Config::parse(&text, "f"));
    if let Ok(config) = answer {
        assert!(config.deadtime.value > config.keepalive.value * 2);
        assert!(config.initdead.value >= config.deadtime.value);
        assert!(!config.media.is_empty());
        if config.stonith.is_empty() {
            let shown = |c: &Config| c.show().iter().map(|l| format!("{l}\n")).collect::<String>();
            let text = shown(&config);
            let again = Config::parse(&text, "f").unwrap_or_else(|p| panic!("{text}\n{p:#?}"));
            assert_eq!(shown(&again), text);
        }
        let (ha_cf, _) = config.for_conversion(&|_| Ok("a b".into()));
        fuzz_convert("a Dummy\nb 10.0.0.1\n", &ha_cf);
    }
}

fn fuzz_authkeys(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let answer = AuthKeys::parse(&text, "f");
    check_answer(&text, answer.as_ref().map(|c| c.warnings.as_slice()).map_err(Vec::as_slice));
    if let Ok(keys) = answer {
        assert!(keys.active_key().is_some());
        assert!(keys.keys.keys().all(|n| *n <= 15));
    }
}

fn fuzz_logd_cf(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let answer = LogdConfig::parse(&text, "f");
    check_answer(&text, answer.as_ref().map(|c| c.warnings.as_slice()).map_err(Vec::as_slice));
}

fn fuzz_haresources(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let parsed = Haresources::parse(&text, "f");
    let count = text.split('\n').count();
    assert!(parsed.problems.iter().all(|p| p.line.is_none_or(|l| l >= 1 && l as usize <= count)));
    let ha_cf = HaCf { nodes: vec!["a".into(), "b".into()], ..HaCf::default() };
    fuzz_convert(&text, &ha_cf);
}

/// Whatever is converted is a valid document in its dialect.
fn fuzz_convert(text: &str, ha_cf: &HaCf) {
    for dialect in [Dialect::Modern, Dialect::Heartbeat2] {
        let input = Input {
            text,
            file: "f",
            ha_cf,
            options: Options { dialect, force: true, ..Options::default() },
            lookup: &|kind| {
                if kind.len() % 2 == 0 { Found::InitD } else { Found::Nowhere(vec![kind.into()]) }
            },
            stonith_names: &|kind| (kind.len() % 2 == 0).then(|| vec!["hostlist".into()]),
        };
        if let Ok(converted) = convert::convert(&input) {
            let printed = converted.to_text();
            let again = cib::Element::parse(&printed).unwrap_or_else(|e| panic!("{e}\n{printed}"));
            let complaints = cib::schema::validate(&again).unwrap();
            assert!(complaints.is_empty(), "{text:?}\n{printed}\n{complaints:#?}");
        }
    }
}

/// Words of all four files and values at the edges.
fn word() -> impl Strategy<Value = String> {
    let mut words: Vec<String> = DIRECTIVES.iter().map(|d| d.name.to_string()).collect();
    for word in [
        "2",
        "0",
        "30",
        "500ms",
        ".",
        "99999999999999999999",
        "eth0",
        "lo",
        "a",
        "b",
        "n1",
        "/dev/ttyS0",
        "yes",
        "legacy",
        "225.0.0.1",
        "694",
        "1",
        "10.0.0.1",
        "::1",
        "fe80::1/64/eth0",
        "*",
        "null",
        "root",
        "uid=root",
        "gid=",
        "x=y",
        "a=2",
        "auth",
        "crc",
        "sha1",
        "md5",
        "hmac-sha256",
        "15",
        "16",
        "secret",
        "#",
        "#web",
        "#clone:",
        "#clone:c",
        "#rsc_order",
        "#rsc_colocation",
        "before",
        "after",
        "start",
        "INFINITY",
        "Dummy",
        "Dummy::x",
        "IPaddr::",
        "IPaddr::1.2.3.4/24/eth0:1",
        "1.2.3.4/255.255.255.0/eth0/1.2.3.255",
        "Filesystem::a::b::c::d::e::f::g",
        "Evmsd",
        "pingd::",
        "::",
        "\\",
        "httpd",
        "web",
        "any",
        "logfile",
        "/x",
        "local0",
        "sendqlen",
    ] {
        words.push(word.to_string());
    }
    prop_oneof![8 => proptest::sample::select(words), 1 => "\\PC{0,12}", 1 => "[ -~]{0,40}"]
}

fn soup() -> impl Strategy<Value = String> {
    let line = proptest::collection::vec(word(), 0..7).prop_map(|words| words.join(" "));
    proptest::collection::vec(line, 0..14).prop_map(|lines| lines.join("\n"))
}

const REAL: &[&str] = &[
    "keepalive 2\ndeadtime 30\nudpport 694\nbcast eth0 eth1 # Linux\nauto_failback off\nnode a b\nping 10.0.0.9\n\
     respawn hacluster /usr/lib/heartbeat/ipfail\napiauth ipfail gid=haclient uid=hacluster\nstonith_host * null a b\n",
    "auth 2\n1 crc\n2 sha1 HI!\n3 md5 Hello!\n",
    "a 10.0.0.1/24/eth0 Filesystem::/dev/sda1::/data::ext2 \\\n httpd #web\nb Dummy #clone:c\n#rsc_order web start after c\n",
    "logfile /var/log/ha-log\nlogfacility daemon\nsendqlen 256\n",
];

/// A real file with bytes changed, removed and doubled.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let edits = proptest::collection::vec((any::<u16>(), any::<u8>(), 0..3u8), 0..8);
    (proptest::sample::select(REAL), edits).prop_map(|(text, edits)| {
        let mut bytes = text.as_bytes().to_vec();
        for (at, value, kind) in edits {
            let at = usize::from(at) % bytes.len().max(1);
            match kind {
                0 if at < bytes.len() => bytes[at] = value,
                1 if at < bytes.len() => {
                    bytes.remove(at);
                }
                _ => bytes.insert(at, value),
            }
        }
        bytes
    })
}

fn all(data: &[u8]) {
    fuzz_ha_cf(data);
    fuzz_authkeys(data);
    fuzz_logd_cf(data);
    fuzz_haresources(data);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes(data in proptest::collection::vec(any::<u8>(), 0..400)) {
        all(&data);
    }

    #[test]
    fn word_soup(text in soup()) {
        all(text.as_bytes());
        // With what a start needs, so that more of it is reached.
        fuzz_ha_cf(format!("{text}\nbcast eth9\nnode a b\n").as_bytes());
    }

    #[test]
    fn damaged_files(data in damaged()) {
        all(&data);
    }
}
