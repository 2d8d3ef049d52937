#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Element {
    Element::parse(text).unwrap()
}

fn making(format: Format) -> Making {
    Making { format, versions: true, digest: true, exact: true }
}

fn round(old: &str, new: &str, expect: &str) {
    let (old, new) = (parse(old), parse(new));
    let patch = make(&old, &new, Making { digest: false, ..making(Format::Two) }).unwrap();
    let body: String = patch.children().skip(1).map(Element::to_xml_compact).collect();
    assert_eq!(body, expect);
    assert_eq!(v2::apply(&old, &patch).unwrap(), new);
}

#[test]
fn format_two_says_what_crm_diff_says() {
    round(
        "<cib><a id='1'/><a id='2'/><a id='3'/></cib>",
        "<cib><a id='1' x='1'><y/></a><b/><a id='3'/></cib>",
        "<change operation=\"delete\" path=\"/cib/a[@id=&apos;2&apos;]\"/>\
         <change operation=\"modify\" path=\"/cib/a[@id=&apos;1&apos;]\"><change-list><change-attr name=\"x\" \
         operation=\"set\" value=\"1\"/></change-list><change-result><a id=\"1\" x=\"1\"/></change-result></change>\
         <change operation=\"create\" path=\"/cib/a[@id=&apos;1&apos;]\" position=\"0\"><y/></change>\
         <change operation=\"create\" path=\"/cib\" position=\"1\"><b/></change>",
    );
    round(
        "<cib><!--one--><a id='1'/><!--two--></cib>",
        "<cib><a id='1'/><!--two--><!--three--></cib>",
        "<change operation=\"delete\" path=\"/cib/comment\" position=\"0\"/>\
         <change operation=\"create\" path=\"/cib\" position=\"2\"><!--three--></change>",
    );
}

#[test]
fn what_an_address_cannot_tell_apart_is_made_anew() {
    let (old, new) =
        (parse("<cib><a/><a x='1'/><a/><b id='1'/></cib>"), parse("<cib><b id='1'/><a/><a x='2'/></cib>"));
    let patch = make(&old, &new, making(Format::Two)).unwrap();
    let cib = Cib::from_root(old.clone()).unwrap();
    assert_eq!(apply(&cib, &patch).unwrap_err().code, Code::OldData, "no progress in versions");
    let patch = make(&old, &new, Making { versions: false, ..making(Format::Two) }).unwrap();
    assert_eq!(apply_to(&old, &patch).unwrap(), new);
}

#[test]
fn versions_decide_whether_a_patch_fits() {
    let cib = |epoch: u64| {
        let mut cib = Cib::empty();
        cib.set_version(Version::new(0, epoch, 0));
        cib
    };
    for format in [Format::One, Format::Two] {
        let patch = diff(&cib(5), &cib(6), format);
        assert_eq!(apply(&cib(5), &patch).unwrap(), cib(6));
        assert_eq!(apply(&cib(4), &patch).unwrap_err().code, Code::DiffResync);
        assert_eq!(apply(&cib(7), &patch).unwrap_err().code, Code::OldData);
        let broken = patch.clone().with_attr("digest", "00");
        assert_eq!(apply(&cib(5), &broken).unwrap_err().code, Code::DiffFailed);
    }
}

#[test]
fn what_does_not_fit_is_named() {
    let root = parse("<cib><a id='1'/></cib>");
    let refused = |patch: &str, code: Code, sentence: &str| {
        let error = apply_to(&root, &parse(patch)).unwrap_err();
        assert_eq!(error.code, code, "{error}");
        assert!(error.text.contains(sentence), "{error}");
    };
    refused("<cib/>", Code::Invalid, "begins with <diff>");
    refused("<diff format='3'/>", Code::Invalid, "format \"3\"");
    let change = |text: &str| format!("<diff format='2'><change {text}</diff>");
    refused(&change("operation='modify' path='/cib/b'/>"), Code::NoMessage, "without a result");
    let result = "<change-result><b/></change-result></change>";
    refused(
        &change(&format!("operation='modify' path='/cib/b'>{result}")),
        Code::DiffFailed,
        "modify of \"/cib/b\"",
    );
    refused(&change("operation='move' path='/cib/b' position='0'/>"), Code::DiffFailed, "move of \"/cib/b\"");
    refused(
        &change("operation='create' path='/cib/b' position='0'><c/></change>"),
        Code::DiffFailed,
        "no /cib/b",
    );
    refused(&change("operation='fold' path='/cib/b'/>"), Code::DiffFailed, "unknown operation \"fold\"");
    refused(&change("operation='move' path='x'/>"), Code::DiffFailed, "no address");
    refused(
        "<diff><diff-removed><cib><a id='9' __crm_diff_marker__='removed:top'/></cib></diff-removed></diff>",
        Code::DiffFailed,
        "no <a> \"9\"",
    );
}

/// Trees with ids, without, comments, and few enough names that collisions are common.
fn tree() -> impl Strategy<Value = Element> {
    let leaf = (0..4u8, proptest::option::of(0..6u8), 0..3u8).prop_map(|(name, id, x)| {
        let mut element = Element::new(["a", "b", "c", "d"][name as usize]);
        if let Some(id) = id {
            element.set_attr("id", ["1", "2", "3", "4", "it's", "\"'"][id as usize]);
        }
        if x > 0 {
            element.set_attr("x", x.to_string());
        }
        element
    });
    let node =
        prop_oneof![9 => leaf, 1 => (0..3u8).prop_map(|text| Element::comment(&format!("note {text}")))];
    node.prop_recursive(4, 40, 8, |inner| {
        (0..4u8, proptest::collection::vec(inner, 0..8)).prop_map(|(name, nodes)| {
            let mut element = Element::new(["a", "b", "c", "d"][name as usize]);
            for node in nodes {
                element.push_node(node);
            }
            element
        })
    })
    .prop_map(|element| {
        let mut root = Element::new("cib");
        for node in element.nodes() {
            root.push_node(node.clone());
        }
        root
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// The exact patch between any two trees leads from the one to the other.
    #[test]
    fn patch_of_difference_is_identity(old in tree(), new in tree()) {
        match make(&old, &new, Making { versions: false, ..making(Format::Two) }) {
            None => prop_assert_eq!(&old, &new),
            Some(patch) => {
                let printed = parse(&patch.to_xml());
                prop_assert_eq!(apply_to(&old, &printed).map_err(|e| e.to_string()), Ok(new));
            }
        }
    }
}
