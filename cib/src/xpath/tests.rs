#![allow(clippy::unwrap_used)]

use super::*;

const DOCUMENT: &str = "<cib epoch='7'><!--note--><configuration><resources><primitive id='a' class='ocf'><meta_attributes \
     id='a-m'><nvpair id='a-m-t' name='target-role' value='Stopped'/></meta_attributes></primitive><group id='g'><primitive \
     id='b' class='ocf'/><primitive id='c' class='lsb'/><!--end--></group></resources></configuration><status/></cib>";

fn show(root: &Element, found: &Match<'_>) -> String {
    let address = address(root, &found.path).unwrap();
    found.attribute.map_or(address.clone(), |name| format!("{address}/@{name}"))
}

fn check(expression: &str, expect: &str) {
    let root = Element::parse(DOCUMENT).unwrap();
    let got = match Expression::parse(expression).and_then(|parsed| parsed.evaluate(&root)) {
        Ok(Value::Nodes(nodes)) => nodes.iter().map(|found| show(&root, found)).collect::<Vec<_>>().join(" "),
        Ok(Value::Boolean(value)) => value.to_string(),
        Ok(Value::Number(value)) => format!("{value}"),
        Ok(Value::String(value)) => format!("\"{value}\""),
        Err(error) => format!("error {}: {}", error.column, error.text),
    };
    assert_eq!(got, expect, "{expression}");
}

#[test]
fn paths() {
    let group = "/cib/configuration/resources/group[@id='g']";
    check("/cib", "/cib");
    check("//group", group);
    check("//primitive[@class='lsb']", &format!("{group}/primitive[@id='c']"));
    check("//group/primitive[2]", &format!("{group}/primitive[@id='c']"));
    check(
        "//primitive[1]",
        &format!("/cib/configuration/resources/primitive[@id='a'] {group}/primitive[@id='b']"),
    );
    check("(//primitive)[2]", &format!("{group}/primitive[@id='b']"));
    check(
        "//primitive[last()]/@id",
        &format!("/cib/configuration/resources/primitive[@id='a']/@id {group}/primitive[@id='c']/@id"),
    );
    check("//nvpair/../..", "/cib/configuration/resources/primitive[@id='a']");
    check("//primitive[@id='c']/preceding-sibling::*[1]/@id", &format!("{group}/primitive[@id='b']/@id"));
    check("//primitive[@id='b']/following::*", &format!("{group}/primitive[@id='c'] /cib/status"));
    check("//nvpair/ancestor::*[2]/@id", "/cib/configuration/resources/primitive[@id='a']/@id");
    check("//status | //group", &format!("{group} /cib/status"));
    check("//*[@id='b' or @id='g']", &format!("{group} {group}/primitive[@id='b']"));
    check("/cib/comment()", "/cib/#comment");
    check("//nothing", "");
    check("/", "");
    check("id('a')", "");
}

#[test]
fn values() {
    check("count(//primitive)", "3");
    check("count(//@id)", "6");
    check("string(/cib/@epoch)", "\"7\"");
    check("/cib/@epoch + 1 = 8", "true");
    check("7 mod 3 - -2 * 4 div 2", "5");
    check("concat(name(//*[@id='g']), '-', local-name(//@class))", "\"group-class\"");
    check("substring('12345', 1.5, 2.6)", "\"234\"");
    check("substring('12345', 0 div 0)", "\"\"");
    check("translate('bar', 'abc', 'AB')", "\"BAr\"");
    check("normalize-space('  a  b ')", "\"a b\"");
    check("substring-before('a=b','=')", "\"a\"");
    check("round(-2.5) = -2", "true");
    check("//@class = 'lsb'", "true");
    check("//@class != 'lsb'", "true");
    check("not(//@class = 'none')", "true");
    check("string(1 div 0)", "\"Infinity\"");
    check("boolean('') or starts-with('abc','ab')", "true");
    check("sum(/cib/@epoch)", "7");
    check("string(.5)", "\"0.5\"");
}

#[test]
fn refusals_name_the_column() {
    check("///[", "error 3: a name is missing before \"/\"");
    check("//a[", "error 5: a name is missing before the end");
    check("//a[@id='x", "error 9: the string is not closed");
    check("foo()", "error 1: unknown function \"foo\"");
    check("count()", "error 8: count() has 0 arguments too many or too few");
    check("x:y", "error 1: the namespace prefix of \"x:y\" is unknown");
    check("$a", "error 1: there are no variables here");
    check("sideways::a", "error 1: unknown axis \"sideways\"");
    check("", "error 1: a name is missing before the end");
    check("1 2", "error 3: unexpected a number");
    check("a b", "error 3: unexpected \"b\"");
    check("count(1)", "error 0: a value stands where a set of nodes is needed");
    assert!(Expression::parse(&"(".repeat(10_000)).is_err());
    assert!(Expression::parse(&format!("1{}", "+1".repeat(5000))).is_err());
    assert!(select(&Element::parse(DOCUMENT).unwrap(), "1+1").is_err());
}

#[test]
fn a_hostile_expression_ends_in_an_error() {
    let mut root = Element::new("cib");
    for index in 0..2000 {
        root.push(Element::new("x").with_attr("id", index.to_string()));
    }
    let error = select(&root, "//*[count(//*[count(//*) > 0]) > 0]").unwrap_err();
    assert!(error.text.contains("looks at more than"), "{error}");
}
