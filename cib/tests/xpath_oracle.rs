//! XPath beside xmllint: the same expressions on the same document give the same values.
#![allow(clippy::unwrap_used)]

use std::process::Command;

use cib::Element;
use cib::xpath::{Expression, Value};

const DOCUMENT: &str = "<cib epoch='7'><!--note--><configuration><resources><primitive id='a' class='ocf' n='3'>\
     <meta_attributes id='a-m'><nvpair id='a-m-t' name='target-role' value='Stopped'/></meta_attributes></primitive>\
     <group id='g'><primitive id='b' class='ocf' n='10'/><primitive id='c' class='lsb' n='-2.5'/><!--end--></group>\
     </resources><constraints><rsc_location id='l1' rsc='a' score='INFINITY'/><rsc_location id='l2' rsc='b' score='50'/>\
     </constraints></configuration><status/></cib>";

/// Each is evaluated as it is, wrapped in count(), and the ids of what it selects are joined.
const PATHS: [&str; 44] = [
    "/cib",
    "//primitive",
    "//primitive[2]",
    "(//primitive)[2]",
    "//primitive[last()]",
    "(//primitive)[last()-1]",
    "//group/*",
    "//group/*[1]/following-sibling::*",
    "//primitive[@id='c']/preceding-sibling::*",
    "//primitive[@id='c']/preceding::*",
    "//nvpair/ancestor::*",
    "//nvpair/ancestor::*[1]",
    "//nvpair/ancestor-or-self::*[2]",
    "//nvpair/..",
    "//nvpair/../..",
    "//*[@id]",
    "//*[not(@id)]",
    "//@id",
    "//@*",
    "//primitive/@*[1]",
    "//comment()",
    "//group/node()",
    "//group/comment()/preceding-sibling::*[1]",
    "//*[@n > 1]",
    "//*[@n < 0]",
    "//*[@n >= 3 and @n <= 10]",
    "//primitive[@class != 'ocf']",
    "//primitive[@class='ocf'][2]",
    "//primitive[position()=2]",
    "//primitive[position()<2]",
    "//*[starts-with(@id,'a')]",
    "//*[contains(@id,'-m')]",
    "//*[string-length(@id)=1]",
    "//*[name()='group']",
    "//*[count(*)=2]",
    "//*[*]",
    "//primitive | //group",
    "//group | //primitive[@id='a'] | //status",
    "//rsc_location[@rsc=//group/primitive/@id]",
    "//primitive[@id=//rsc_location/@rsc]",
    "descendant::primitive",
    "/descendant::primitive[3]",
    "/cib/*/*[2]",
    "//primitive[../@id='g']",
];

const VALUES: [&str; 40] = [
    "1 + 2 * 3",
    "7 mod 3",
    "-7 mod 3",
    "7 div 2",
    "1 div 0",
    "-1 div 0",
    "0 div 0",
    "1 = 1.0",
    "'a' = 'b'",
    "2 > 1 > 0",
    "not(1 = 2)",
    "true() and false()",
    "'' or 'x'",
    "string(//@n)",
    "number(//@n)",
    "sum(//@n)",
    "//@n = 10",
    "//@n != 10",
    "//@n < 0",
    "count(//@n)",
    "concat('a','b','c')",
    "substring('12345',2)",
    "substring('12345',2,3)",
    "substring('12345',1.5,2.6)",
    "substring('12345',0,3)",
    "substring-before('1999/04/01','/')",
    "substring-after('1999/04/01','/')",
    "translate('--aaa--','abc-','ABC')",
    "normalize-space('  a  b ')",
    "floor(-1.5)",
    "ceiling(-1.5)",
    "round(2.5)",
    "round(-2.5)",
    "string(0.5)",
    "string(100)",
    "string(true())",
    "number('x')",
    "boolean(//nothing)",
    "name(//*[3])",
    "local-name(//@class)",
];

fn xmllint(file: &std::path::Path, expression: &str) -> Option<String> {
    let done = Command::new("xmllint").arg("--xpath").arg(expression).arg(file).output().ok()?;
    let text = String::from_utf8_lossy(&done.stdout).trim_end().to_string();
    Some(if done.status.success() { text } else { format!("exit {:?}", done.status.code()) })
}

fn ours(root: &Element, expression: &str) -> String {
    match Expression::parse(expression).and_then(|parsed| parsed.evaluate(root)).unwrap() {
        Value::Boolean(value) => value.to_string(),
        Value::Number(value) if value.is_infinite() && value > 0.0 => "Infinity".to_string(),
        Value::Number(value) if value.is_infinite() => "-Infinity".to_string(),
        Value::Number(value) => value.to_string(),
        Value::String(value) => value,
        Value::Nodes(nodes) => format!("{} nodes", nodes.len()),
    }
}

#[test]
fn paths_and_values_are_those_of_xmllint() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("document.xml");
    std::fs::write(&file, DOCUMENT).unwrap();
    if xmllint(&file, "1").is_none() {
        eprintln!("SKIPPED: no xmllint to compare with");
        return;
    }
    let root = Element::parse(DOCUMENT).unwrap();
    let mut wrong = Vec::new();
    let mut compare = |expression: &str| {
        let (a, b) = (ours(&root, expression).trim_end().to_string(), xmllint(&file, expression).unwrap());
        if a != b {
            wrong.push(format!("{expression}: {a}, xmllint {b}"));
        }
    };
    for path in PATHS {
        compare(&format!("count({path})"));
        for nth in 1..=3 {
            compare(&format!(
                "concat(name(({path})[{nth}]), ' ', ({path})[{nth}]/@id, ' ', string(({path})[{nth}]))"
            ));
        }
    }
    for value in VALUES {
        compare(value);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
