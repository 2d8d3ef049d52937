#![allow(clippy::unwrap_used)]

use super::*;

fn round(text: &str) {
    assert_eq!(Element::parse(text).unwrap().to_xml(), text);
}

fn refused(text: &str, place: (u32, u32), sentence: &str) {
    let error = Element::parse(text).unwrap_err();
    assert_eq!((error.line, error.column), place, "{error}");
    assert!(error.text.contains(sentence), "{error}");
}

#[test]
fn what_we_print_parses_to_the_same_text() {
    round("<cib/>\n");
    round("<cib z=\"1\" a=\"2\">\n  <!-- why: a < b -->\n  <b/>\n  <c>\n    <d id=\"x\"/>\n  </c>\n</cib>\n");
    round("<a v=\"&lt;&gt;&quot;&apos;&amp;&#9;&#10;&#13; ä €\"/>\n");
}

#[test]
fn values_are_normalised_as_xml_says() {
    let element = Element::parse("<?xml version='1.0'?>\n<a b = 'x\ny\tz' c='&#65;&#x42;&lt;'/>").unwrap();
    assert_eq!(element.attr("b"), Some("x y z"));
    assert_eq!(element.attr("c"), Some("AB<"));
}

#[test]
fn refusals_name_the_place() {
    refused("<a>\n  <b c=\"&x;\"/></a>", (2, 9), "unknown entity");
    refused("<!DOCTYPE a SYSTEM \"http://x/\"><a/>", (1, 1), "external");
    refused("<!DOCTYPE a [<!ENTITY x \"y\">]><a/>", (1, 1), "external");
    refused("<a>&x;</a>", (1, 4), "unknown entity");
    refused("<a b='1' b='2'/>", (1, 13), "twice");
    refused("<a b/>", (1, 4), "no value");
    refused("<a b='<'/>", (1, 7), "<");
    refused("<a/><b/>", (1, 5), "second root");
    refused("", (1, 1), "no root");
    refused("<a>\n<b>", (2, 4), "not closed");
    refused("<a><#comment/></a>", (1, 5), "not a name");
    let many: String = (0..=ATTRIBUTES_MAX).map(|number| format!(" a{number}=''")).collect();
    assert!(Element::parse(&format!("<a{many}/>")).unwrap_err().text.contains("more than 512"));
    assert!(Element::parse("<a></b>").is_err());
    assert!(Element::parse("<a b='1'c='2'/>").is_err());
    assert_eq!(Element::parse_bytes(b"<a>\n\xff</a>").unwrap_err().line, 2);
    assert!(Element::parse("<!DOCTYPE cib><cib/>").is_ok());
}

#[test]
fn nesting_has_a_limit() {
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    assert!(Element::parse(&deep(DEPTH_MAX)).is_ok());
    assert!(Element::parse(&deep(DEPTH_MAX + 1)).unwrap_err().text.contains("deeper"));
    assert!(Element::parse(&"<a>".repeat(2_000_000)).is_err());
}

#[test]
fn positions_count_lines_and_characters() {
    let root = Element::parse("<a ä='ö'>\n  <b/><c/>\n</a>").unwrap();
    let places: Vec<_> = root.children().map(|child| child.position().unwrap()).collect();
    assert_eq!(places, [Position { line: 2, column: 3 }, Position { line: 2, column: 7 }]);
    assert_eq!(Element::new("x").position(), None);
}

#[test]
fn attributes_keep_their_order() {
    let mut element = Element::new("a").with_attr("x", "1").with_attr("y", "22").with_attr("z", "333");
    element.set_attr("y", "4444");
    assert_eq!(element.attrs().collect::<Vec<_>>(), [("x", "1"), ("y", "4444"), ("z", "333")]);
    element.remove_attr("x");
    element.remove_attr("none");
    element.set_attr("w", "");
    assert_eq!(element.to_xml_compact(), "<a y=\"4444\" z=\"333\" w=\"\"/>");
}

#[test]
fn a_snapshot_does_not_see_later_writes_and_shares_the_rest() {
    let mut root = Element::parse("<a><b><x/></b><c/></a>").unwrap();
    let before = root.clone();
    root.child_mut("c").unwrap().set_attr("id", "1");
    assert_eq!(before.to_xml_compact(), "<a><b><x/></b><c/></a>");
    assert!(before.child("b").unwrap().ptr_eq(root.child("b").unwrap()));
    assert_ne!(before, root);
    root.child_mut("c").unwrap().remove_attr("id");
    assert_eq!(before, root);
}

#[test]
fn comments_stay_through_edits() {
    let mut root = Element::parse("<a><!--one--><b/><c/></a>").unwrap();
    root.retain_children(|child| child.name() == "c");
    assert_eq!(root.to_xml_compact(), "<a><!--one--><c/></a>");
    assert_eq!(root.children().count(), 1);
    assert_eq!(root.nodes().count(), 2);
}
