//! The bodies of the fuzz targets, over a corpus and seeded mutations of it: no input makes them panic, use memory out of
//! proportion, or refuse without saying where.
//!
//! `CIB_FUZZ_ROUNDS` sets how many mutations each body sees (default 3000); `CIB_FUZZ_SEED` where they begin.
#![allow(clippy::unwrap_used)]

use cib::{Cib, Element, Operation, Request, apply, dialect, patch, schema, xpath};

const DOCUMENTS: [&str; 4] = [
    "<cib admin_epoch=\"0\" epoch=\"5\" num_updates=\"1\" validate-with=\"pacemaker-3.9\"><configuration><crm_config><cluster_property_set id=\"o\"><nvpair id=\"o1\" name=\"stonith-enabled\" value=\"false\"/></cluster_property_set></crm_config><nodes><node id=\"1\" uname=\"n1\"/></nodes><!-- here --><resources><primitive id=\"a\" class=\"ocf\" provider=\"p\" type=\"t\"><operations><op id=\"m\" name=\"monitor\" interval=\"10s\"/></operations></primitive><group id=\"g\"><primitive id=\"b\" class=\"lsb\" type=\"t\"/></group></resources><constraints><rsc_location id=\"l\" rsc=\"a\" node=\"n1\" score=\"1\"/></constraints></configuration><status/></cib>",
    "<cib have_quorum=\"true\" admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\"><configuration><crm_config/><nodes/><resources><primitive id=\"r\" class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr\"><instance_attributes id=\"i\"><attributes><nvpair id=\"n\" name=\"ip\" value=\"1.2.3.4\"/></attributes></instance_attributes></primitive></resources><constraints><rsc_order id=\"x\" from=\"r\" to=\"r\"/></constraints></configuration><status/></cib>",
    "<?xml version=\"1.0\"?>\n<!DOCTYPE cib>\n<cib a='&lt;&#65;&quot;' b=\"\u{e4}\u{20ac}\">\n\t<!--x--><a><b><c d='1'/></b></a>\n</cib>",
    "<cib crm_feature_set=\"3.0.7\" validate-with=\"pacemaker-2.3\" admin_epoch=\"0\" epoch=\"1\" num_updates=\"0\"><configuration><crm_config><cluster_property_set id=\"o\"><nvpair id=\"o1\" name=\"default-resource-stickiness\" value=\"5\"/></cluster_property_set></crm_config><nodes/><resources/><constraints/></configuration><status/></cib>",
];

const PATCHES: [&str; 2] = [
    "<diff format=\"2\"><version><source admin_epoch=\"0\" epoch=\"5\" num_updates=\"1\"/><target admin_epoch=\"0\" epoch=\"6\" num_updates=\"0\"/></version><change operation=\"delete\" path=\"/cib/configuration/constraints/rsc_location[@id='l']\"/><change operation=\"delete\" path=\"/cib/configuration/comment\" position=\"2\"/><change operation=\"modify\" path=\"/cib\"><change-list><change-attr name=\"epoch\" operation=\"set\" value=\"6\"/></change-list><change-result><cib epoch=\"6\" admin_epoch=\"0\" num_updates=\"0\"/></change-result></change><change operation=\"create\" path=\"/cib/configuration/nodes\" position=\"0\"><node id=\"2\" uname=\"n2\"/></change><change operation=\"move\" path=\"/cib/configuration/resources/group[@id='g']\" position=\"0\"/></diff>",
    "<diff><diff-removed admin_epoch=\"0\" epoch=\"5\" num_updates=\"1\"><cib><configuration><nodes><node id=\"1\" uname=\"n1\" __crm_diff_marker__=\"removed:top\"/></nodes></configuration></cib></diff-removed><diff-added admin_epoch=\"0\" epoch=\"6\" num_updates=\"1\"><cib><configuration><nodes><node id=\"9\" __crm_diff_marker__=\"added:top\"/></nodes></configuration></cib></diff-added></diff>",
];

const EXPRESSIONS: [&str; 6] = [
    "//primitive[@id='a']/operations/op[position() < last() or @name=\"monitor\"]",
    "/cib/configuration/*[not(self::nodes)] | //comment()",
    "count(//*[@id]) + sum(//@score) * 2 div 3 mod 4 - -1",
    "string(translate(substring(concat(name(//*[1]), 'x'), 2, 3), 'a', 'b'))",
    "//*[preceding-sibling::*[1][following::node()]]/ancestor-or-self::*/@*",
    "(//a | //b)[1]/..//c[. = 'x' and contains(@y, normalize-space(' z '))]",
];

/// What mutations are stitched from, besides bytes.
const PIECES: [&str; 22] = [
    "<",
    ">",
    "/>",
    "</",
    "&",
    "&lt;",
    "&#0;",
    "&#x110000;",
    "&x;",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a [",
    "<?",
    "'",
    "\"",
    "=",
    "\u{0}",
    "[",
    "(",
    "//",
];

struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    /// One to six edits: bytes changed, parts removed, doubled, moved in from elsewhere.
    fn mutate(&mut self, text: &str, others: &[&str]) -> Vec<u8> {
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..=self.below(6) {
            let at = self.below(bytes.len() + 1);
            match self.below(6) {
                0 if at < bytes.len() => bytes[at] = self.below(256) as u8,
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let piece = self.pick(&PIECES);
                    bytes.splice(at..at, piece.bytes());
                }
                4 => {
                    let end = (at + self.below(60)).min(bytes.len());
                    let part = bytes[at..end].to_vec();
                    let times = 1 + self.below(30);
                    bytes.splice(at..at, part.repeat(times));
                }
                _ => {
                    let other = self.pick(others).as_bytes();
                    let from = self.below(other.len());
                    let to = (from + self.below(80)).min(other.len());
                    bytes.splice(at..at, other[from..to].iter().copied());
                }
            }
        }
        bytes
    }
}

fn rounds() -> (Chance, usize) {
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let seed = number("CIB_FUZZ_SEED", 1);
    println!("CIB_FUZZ_SEED={seed}");
    (Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1), number("CIB_FUZZ_ROUNDS", 3000) as usize)
}

/// Whatever parses prints to something that parses to the same; whatever does not names a place within the text.
fn parse_body(bytes: &[u8]) -> Option<Element> {
    match Element::parse_bytes(bytes) {
        Ok(root) => {
            let printed = root.to_xml();
            assert_eq!(Element::parse(&printed).as_ref(), Ok(&root), "{printed}");
            assert_eq!(Element::parse(&root.to_xml_compact()).as_ref(), Ok(&root));
            cib::digest::content(&root);
            cib::digest::file(&root);
            Some(root)
        }
        Err(error) => {
            let lines = 1 + bytes.iter().filter(|&&byte| byte == b'\n').count();
            assert!(error.line >= 1 && error.line as usize <= lines, "{error}");
            assert!(error.column >= 1 && error.column as usize <= bytes.len() + 1, "{error}");
            assert!(!error.text.is_empty());
            None
        }
    }
}

#[test]
fn parse() {
    let (mut chance, rounds) = rounds();
    let mut accepted = 0;
    for _ in 0..rounds {
        let text = chance.pick(&DOCUMENTS);
        let bytes = chance.mutate(text, &DOCUMENTS);
        accepted += usize::from(parse_body(&bytes).is_some());
    }
    assert!(
        accepted > rounds / 100,
        "{accepted} of {rounds} mutations parse: they no longer reach the printer"
    );
}

#[test]
fn patches() {
    let (mut chance, rounds) = rounds();
    let cib = Cib::parse(DOCUMENTS[0]).unwrap();
    let before = cib.root().to_xml();
    let mut applied = 0;
    for _ in 0..rounds {
        let text = chance.pick(&PATCHES);
        let Some(change) = parse_body(&chance.mutate(text, &PATCHES)) else { continue };
        match patch::apply(&cib, &change) {
            Ok(after) => {
                applied += 1;
                // And back again.
                let back = patch::make(
                    after.root(),
                    cib.root(),
                    patch::Making { format: patch::Format::Two, versions: false, digest: true, exact: true },
                );
                if let Some(back) = back {
                    let mut returned = patch::apply_to(after.root(), &back).unwrap();
                    // Without versions the patch keeps those of the document it starts from.
                    for name in ["admin_epoch", "epoch", "num_updates"] {
                        match cib.root().attr(name) {
                            Some(value) => returned.set_attr(name, value),
                            None => returned.remove_attr(name),
                        }
                    }
                    assert_eq!(returned.child("configuration"), cib.configuration());
                }
            }
            Err(error) => assert!(!error.text.is_empty()),
        }
        assert_eq!(cib.root().to_xml(), before, "a patch leaves the document it is applied to alone");
    }
    assert!(applied > 0, "no mutation was applied");
}

#[test]
fn expressions() {
    let (mut chance, rounds) = rounds();
    let root = Element::parse(DOCUMENTS[0]).unwrap();
    let mut evaluated = 0;
    for _ in 0..rounds {
        let text = chance.pick(&EXPRESSIONS);
        let bytes = chance.mutate(text, &EXPRESSIONS);
        let text = String::from_utf8_lossy(&bytes);
        match xpath::Expression::parse(&text) {
            Ok(expression) => {
                evaluated += 1;
                let _ = expression.evaluate(&root);
            }
            Err(error) => assert!(error.column >= 1 && error.column <= text.len() + 1, "{error}"),
        }
    }
    assert!(evaluated > rounds / 100, "{evaluated} of {rounds} mutations are expressions");
}

#[test]
fn upgrades_and_validation() {
    let (mut chance, rounds) = rounds();
    let mut upgraded = 0;
    for _ in 0..rounds / 4 {
        let text = chance.pick(&DOCUMENTS);
        let Some(root) = parse_body(&chance.mutate(text, &DOCUMENTS)) else { continue };
        if let Ok(complaints) = schema::validate(&root) {
            assert!(complaints.iter().all(|complaint| !complaint.text.is_empty()));
        }
        upgraded += usize::from(dialect::upgrade(&root).is_ok());
    }
    assert!(upgraded > 0, "no mutation was upgraded");
}

/// Operations with mutated input never break the document: what they return is valid or refused.
#[test]
fn operations() {
    let (mut chance, rounds) = rounds();
    let cib = Cib::parse(DOCUMENTS[0]).unwrap();
    let inputs = [
        "<primitive id=\"a\" class=\"lsb\" type=\"x\"/>",
        "<nodes><node id=\"1\" uname=\"n\"/></nodes>",
        DOCUMENTS[0],
    ];
    for _ in 0..rounds / 4 {
        let text = chance.pick(&inputs);
        let Some(input) = parse_body(&chance.mutate(text, &inputs)) else { continue };
        let mut request = Request::new(Operation::ALL[chance.below(Operation::ALL.len())]).input(input);
        request.options.allow_create = chance.below(2) == 0;
        match chance.below(3) {
            0 => request.section = Some(chance.pick(&cib::ops::SECTIONS).to_string()),
            1 => request.xpath = Some(chance.pick(&EXPRESSIONS).to_string()),
            _ => {}
        }
        let validated = request.section.as_deref() != Some("status");
        if let Ok(applied) = apply(&cib, &request)
            && applied.changed
            && validated
            && applied.cib.root().attr("validate-with").is_some()
        {
            let complaints = schema::validate(applied.cib.root()).unwrap();
            assert!(
                complaints.iter().all(|complaint| complaint.severity != schema::Severity::Error),
                "{request:?} made {:?}",
                complaints.first()
            );
        }
    }
}
