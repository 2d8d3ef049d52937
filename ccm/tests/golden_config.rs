#![allow(clippy::unwrap_used)]
//! Configuration files that exist in the world, and broken ones.
//!
//! `golden/config/CASE/`: `ha.cf`, `authkeys`, `haresources` and `scripts` (which v1 and init scripts
//! the machine has) go in; `show` (every value with its origin), `messages`, `cib.xml` and
//! `cib-heartbeat-2.xml` must come out. A modern CIB must also be valid by our grammar, be accepted by
//! Debian's `crm_verify` and planned by its `crm_simulate`, where they are installed.
//!
//! `golden/bad/PARSER`: after `>>>` the lines of a file (`|` between them; in `ha.cf`, three good lines
//! follow unless it begins with `!`), below it the messages that must come.
//!
//! `EVERBEAT_REWRITE_GOLDEN=1` writes what comes out instead of comparing it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use ccm::config::{AuthKeys, Config, ConfigProblem, LogdConfig};
use cib::convert::{self, Dialect, Found, HaCf, Input, Options, Problem};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Compares `text` with the file, or writes it; an empty text is no file.
fn expect(file: &Path, text: &str, wrong: &mut String) {
    let recorded = std::fs::read_to_string(file).unwrap_or_default();
    if recorded == text {
        return;
    }
    if std::env::var_os("EVERBEAT_REWRITE_GOLDEN").is_some() {
        if text.is_empty() {
            std::fs::remove_file(file).unwrap();
        } else {
            std::fs::write(file, text).unwrap();
        }
        return;
    }
    let line = recorded.lines().zip(text.lines()).take_while(|(a, b)| a == b).count();
    let at = |t: &str| t.lines().nth(line).unwrap_or("(the end)").to_string();
    writeln!(
        wrong,
        "{}:{}:\n  recorded {}\n  now      {}",
        file.display(),
        line + 1,
        at(&recorded),
        at(text)
    )
    .unwrap();
}

fn lines<T: std::fmt::Display>(problems: &[T]) -> String {
    problems.iter().map(|p| format!("{p}\n")).collect()
}

fn stonith_names(kind: &str) -> Option<Vec<String>> {
    let names: &[&str] = match kind {
        "external/ssh" | "null" => &["hostlist"],
        "apcmaster" => &["ipaddr", "login", "password"],
        _ => return None,
    };
    Some(names.iter().map(|n| n.to_string()).collect())
}

fn lookup(scripts: &str, kind: &str) -> Found {
    let place = |line: &&str| line.split_whitespace().next() == Some(kind);
    match scripts.lines().find(place).and_then(|l| l.split_whitespace().nth(1)) {
        Some("v1") => Found::ResourceD,
        Some(_) => Found::InitD,
        None => Found::Nowhere(vec![format!("/etc/ha.d/resource.d/{kind}"), format!("/etc/init.d/{kind}")]),
    }
}

fn run_convert(
    text: &str,
    ha_cf: &HaCf,
    dialect: Dialect,
    scripts: &str,
) -> Result<(String, Vec<Problem>), Vec<Problem>> {
    let input = Input {
        text,
        file: "haresources",
        ha_cf,
        options: Options { dialect, ..Options::default() },
        lookup: &|kind| lookup(scripts, kind),
        stonith_names: &stonith_names,
    };
    convert::convert(&input).map(|c| (c.to_text(), c.problems))
}

fn case(dir: &Path, wrong: &mut String) {
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap_or_default();
    let mut show = String::new();
    let mut messages;
    let (mut modern, mut old) = (String::new(), String::new());
    match Config::parse(&read("ha.cf"), "ha.cf") {
        Ok(config) => {
            messages = lines(&config.warnings);
            for line in config.show() {
                let from = line.line.map_or("default".to_string(), |l| format!("line {l}"));
                writeln!(show, "{:45} # {from}", line.to_string()).unwrap();
            }
            shown_again(&config, dir, wrong);
            let (ha_cf, problems) = config.for_conversion(&|_| Err("not there".into()));
            messages += &lines(&problems);
            let scripts = read("scripts");
            match run_convert(&read("haresources"), &ha_cf, Dialect::Modern, &scripts) {
                Ok((text, problems)) => {
                    messages += &lines(&problems);
                    modern = text;
                    old = run_convert(&read("haresources"), &ha_cf, Dialect::Heartbeat2, &scripts).unwrap().0;
                }
                Err(problems) => messages += &lines(&problems),
            }
        }
        Err(problems) => messages = lines(&problems),
    }
    if dir.join("authkeys").exists() {
        match AuthKeys::parse(&read("authkeys"), "authkeys") {
            Ok(keys) => {
                messages += &lines(&keys.warnings);
                let key = keys.active_key().unwrap();
                writeln!(
                    show,
                    "authkeys: {} keys, key {} ({}) signs",
                    keys.keys.len(),
                    keys.active,
                    key.method
                )
                .unwrap();
            }
            Err(problems) => messages += &lines(&problems),
        }
    }
    expect(&dir.join("show"), &show, wrong);
    expect(&dir.join("messages"), &messages, wrong);
    expect(&dir.join("cib.xml"), &modern, wrong);
    expect(&dir.join("cib-heartbeat-2.xml"), &old, wrong);
}

/// What `show` prints is an ha.cf again, with the same values.
fn shown_again(config: &Config, dir: &Path, wrong: &mut String) {
    let shown = |c: &Config| c.show().iter().map(|l| format!("{l}\n")).collect::<String>();
    let text = shown(config);
    match Config::parse(&text, "shown") {
        Ok(again) if shown(&again) == text => {}
        Ok(again) => {
            writeln!(wrong, "{}: shown twice, it differs:\n{text}\n{}", dir.display(), shown(&again)).unwrap()
        }
        Err(problems) => {
            writeln!(wrong, "{}: what is shown is refused:\n{}", dir.display(), lines(&problems)).unwrap()
        }
    }
}

fn cases() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(golden().join("config")).unwrap();
    let mut dirs: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    dirs.sort();
    dirs
}

#[test]
fn real_files() {
    let mut wrong = String::new();
    let cases = cases();
    assert!(cases.len() >= 14);
    for dir in cases {
        case(&dir, &mut wrong);
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn converted_documents_are_valid() {
    for dir in cases() {
        for name in ["cib.xml", "cib-heartbeat-2.xml"] {
            let Ok(text) = std::fs::read_to_string(dir.join(name)) else { continue };
            let root = cib::Element::parse(&text).unwrap();
            let complaints = cib::schema::validate(&root).unwrap();
            assert!(complaints.is_empty(), "{}/{name}: {complaints:#?}", dir.display());
        }
    }
}

#[test]
fn converted_documents_please_pacemaker() {
    if !Path::new("/usr/sbin/crm_verify").exists() || !Path::new("/usr/sbin/crm_simulate").exists() {
        eprintln!("SKIPPED: needs Debian's package pacemaker-cli-utils");
        return;
    }
    for dir in cases() {
        let file = dir.join("cib.xml");
        if !file.exists() {
            continue;
        }
        let verify = Command::new("/usr/sbin/crm_verify").arg("-VVx").arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&verify.stderr);
        assert!(verify.status.success(), "{}: crm_verify: {said}", dir.display());
        // A file without nodes has no quorum and nobody to fence; nothing else may be said.
        let rest: Vec<&str> =
            said.lines().filter(|l| !l.contains("Blind faith") && !l.contains("lack of quorum")).collect();
        assert!(rest.is_empty(), "{}: crm_verify: {rest:?}", dir.display());

        let config = Config::parse(&std::fs::read_to_string(dir.join("ha.cf")).unwrap(), "ha.cf").unwrap();
        let text = std::fs::read_to_string(dir.join("haresources")).unwrap();
        let mut simulate = Command::new("/usr/sbin/crm_simulate");
        simulate.arg("-x").arg(&file).args(["-S", "--quorum", "true"]);
        let mut nodes: Vec<String> = config.nodes.iter().map(|n| n.value.clone()).collect();
        let first = text.lines().find(|l| !l.starts_with('#')).unwrap().split_whitespace().next().unwrap();
        if !nodes.iter().any(|n| n.eq_ignore_ascii_case(first)) {
            nodes.push(first.to_string());
        }
        for node in &nodes {
            simulate.arg("--node-up").arg(node);
        }
        let output = simulate.output().unwrap();
        let plan = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: crm_simulate: {plan}", dir.display());
        let home = format!("{} )", first.to_ascii_lowercase());
        let starts = plan.lines().filter(|l| l.contains("* Start ") && l.ends_with(&home)).count();
        let resources = text.lines().find(|l| !l.starts_with('#')).unwrap().split_whitespace().count() - 1;
        assert!(starts >= resources.min(2), "{}: {starts} starts {home}: {plan}", dir.display());
        assert!(!plan.contains("FAILED"), "{}: {plan}", dir.display());
    }
}

fn complain(parser: &str, text: &str) -> String {
    let own = |result: Result<Vec<ConfigProblem>, Vec<ConfigProblem>>| match result {
        Ok(warnings) => lines(&warnings),
        Err(problems) => lines(&problems),
    };
    match parser {
        "ha.cf" => own(Config::parse(text, parser).map(|c| c.warnings)),
        "authkeys" => own(AuthKeys::parse(text, parser).map(|k| k.warnings)),
        "logd.cf" => own(LogdConfig::parse(text, parser).map(|l| l.warnings)),
        _ => {
            let ha_cf = HaCf {
                file: "ha.cf".into(),
                nodes: vec!["n1".into()],
                failback: convert::Failback::Back,
                ..HaCf::default()
            };
            let result = run_convert(text, &ha_cf, Dialect::Modern, "httpd init\n");
            result.map(|(_, problems)| problems).map_or_else(|p| lines(&p), |p| lines(&p))
        }
    }
}

#[test]
fn bad_files() {
    let mut wrong = String::new();
    let mut count = 0;
    for parser in ["ha.cf", "authkeys", "haresources", "logd.cf"] {
        let file = golden().join("bad").join(parser);
        let recorded = std::fs::read_to_string(&file).unwrap();
        let mut now = String::new();
        for case in recorded.lines().filter_map(|l| l.strip_prefix(">>> ")) {
            count += 1;
            let text = match (parser, case.strip_prefix('!')) {
                ("ha.cf", Some(whole)) => whole.to_string(),
                ("ha.cf", None) => format!("{case}|bcast eth0|node n1 n2|crm yes"),
                _ => case.to_string(),
            };
            // `crm yes` after a case about crm itself would be a second one.
            let text = if case.contains("crm ") {
                text.replace("|bcast eth0|node n1 n2|crm yes", "|bcast eth0|node n1 n2")
            } else {
                text
            };
            let said = complain(parser, &(text.replace('|', "\n") + "\n"));
            if said.is_empty() {
                writeln!(wrong, "{parser}: nothing is said about: {case}").unwrap();
            }
            write!(now, ">>> {case}\n{said}").unwrap();
        }
        expect(&file, &now, &mut wrong);
    }
    assert!(count >= 60, "{count} cases");
    assert!(wrong.is_empty(), "{wrong}");
}
