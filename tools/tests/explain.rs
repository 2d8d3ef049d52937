//! `everbeat explain`, `constraints` and `what-if` as commands: the session of README.md is what they print,
//! their forms parse, their exit statuses are those of their help, and nothing is touched.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn everbeat(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_everbeat"))
        .args(words)
        .current_dir(top())
        .env("TZ", "UTC")
        .env("CIB_file", "examples/clusters/three-nodes/cib.xml")
        .env_remove("CIB_shadow")
        .output()
        .unwrap()
}

fn text(words: &[&str]) -> String {
    let output = everbeat(words);
    assert_eq!(output.status.code(), Some(0), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_session_in_the_readme_is_what_the_commands_print() {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    for line in ["explain shop", "constraints shop", "what-if --active gamma --node-lost beta"] {
        let words: Vec<&str> = line.split(' ').collect();
        let session = format!("$ everbeat {line}\n{}", text(&words));
        assert!(readme.contains(&session), "README.md lacks\n{session}");
    }
}

#[test]
fn the_same_answer_as_json_and_as_xml() {
    for words in [vec!["explain", "shop"], vec!["constraints"], vec!["what-if", "-l", "beta"]] {
        let form = |form: &str| {
            let mut all = words.clone();
            all.extend(["--output-as", form]);
            text(&all)
        };
        let json: serde_json::Value = serde_json::from_str(&form("json")).unwrap();
        assert!(json.is_array() || json.is_object());
        let xml = cib::Element::parse(&form("xml")).unwrap();
        assert_eq!(xml.name(), "pacemaker-result");
        assert_eq!(xml.path(&["status"]).and_then(|s| s.attr("code")), Some("0"));
    }
    let json: serde_json::Value =
        serde_json::from_str(&text(&["explain", "shop", "--output-as", "json"])).unwrap();
    assert_eq!(json[0]["resource"], "shop");
    assert_eq!(json[0]["running"], false);
    assert_eq!(json[0]["remedy"]["suggestions"][0]["codes"][0], "cleanup");
}

#[test]
fn exit_statuses_are_those_of_the_help() {
    let status = |words: &[&str]| everbeat(words).status.code();
    assert_eq!(status(&["explain", "nothing"]), Some(105));
    assert_eq!(status(&["explain", "shop", "--node", "nowhere"]), Some(105));
    assert_eq!(status(&["explain", "-x", "/nothing/there"]), Some(105));
    assert_eq!(status(&["explain", "--wrong"]), Some(64));
    assert_eq!(status(&["constraints", "nothing"]), Some(105));
    assert_eq!(status(&["constraints", "--check"]), Some(1), "a ban is left over");
    assert_eq!(status(&["what-if"]), Some(64));
    assert_eq!(status(&["what-if", "--node-lost", "nobody"]), Some(105));
    assert_eq!(status(&["what-if", "--fail", "shop"]), Some(1), "what does not run cannot fail");
    assert_eq!(status(&["what-if", "--fail", "web=x"]), Some(64));
}

#[test]
fn crm_resource_says_the_classic_line_first() {
    let why = text(&["crm_resource", "--why", "-r", "shop"]);
    assert!(why.starts_with("Resource shop is not running\n\nshop runs nowhere.\n"), "{why}");
    let why = text(&["crm_resource", "--why", "-r", "web", "-N", "beta"]);
    assert!(why.starts_with("Resource web is running on host beta\n"), "{why}");
    let constraints = text(&["crm_resource", "--constraints", "-r", "web"]);
    let classic = "Locations:\n  * Node beta (score=50, id=web-likes-beta, rsc=web)\nResources web is colocated \
                   with:\n  * shop (score=200, id=web-near-shop)\n";
    assert!(constraints.starts_with(classic), "{constraints}");
}

#[test]
fn nothing_is_touched() {
    let file = top().join("examples/clusters/three-nodes/cib.xml");
    let before = std::fs::read(&file).unwrap();
    text(&["what-if", "-l", "beta", "-s", "alpha", "--revoke", "t", "--fail", "web"]);
    text(&["explain"]);
    assert_eq!(std::fs::read(&file).unwrap(), before);
}
