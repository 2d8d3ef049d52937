//! crm_shadow beside Pacemaker's: the same session, the same exit statuses and the same files.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use cib::Element;

#[path = "peer_table/rows.rs"]
#[allow(dead_code)] // the documents are used here, the operations elsewhere
mod rows;

/// What is done: the program, its arguments, whether the shadow is active.
const SESSION: &[(&str, &[&str], bool)] = &[
    ("crm_shadow", &["-w"], false),
    ("crm_shadow", &["-p"], false),
    ("crm_shadow", &["-d"], false),
    ("crm_shadow", &["-F"], false),
    ("crm_shadow", &["-b", "-c", "try"], false),
    ("crm_shadow", &["-b", "-c", "try"], false),
    ("crm_shadow", &["-b", "-f", "-c", "try"], false),
    ("crm_shadow", &["-b", "-s", "try"], false),
    ("crm_shadow", &["-b", "-s", "nope"], false),
    ("crm_shadow", &["-w"], true),
    ("crm_shadow", &["-F"], true),
    ("crm_shadow", &["-p"], true),
    ("crm_shadow", &["-d"], true),
    ("cibadmin", &["-D", "-X", "<rsc_location id=\"loc2\"/>"], true),
    ("crm_shadow", &["-d"], true),
    ("cibadmin", &["-Q", "-o", "constraints"], true),
    ("crm_shadow", &["-C", "try"], false),
    ("crm_shadow", &["-C", "nope", "-f"], false),
    ("crm_shadow", &["-b", "-r", "try"], false),
    ("crm_shadow", &["-b", "-r", "nope"], false),
    ("crm_shadow", &["-d"], true),
    ("cibadmin", &["-D", "-X", "<rsc_location id=\"loc1\"/>"], true),
    ("crm_shadow", &["-C", "try", "-f"], false),
    ("crm_shadow", &["-b", "-e", "void"], false),
    ("crm_shadow", &["-b", "-e", "void"], false),
    ("crm_shadow", &["-b", "-f", "-e", "void", "-v", "pacemaker-3.0"], false),
    ("crm_shadow", &["-D", "void"], false),
    ("crm_shadow", &["-D", "void", "-f"], false),
    ("crm_shadow", &["-D", "void", "-f"], false),
    ("crm_shadow", &["-D", "try", "-f"], false),
    ("crm_shadow", &["--bogus"], false),
];

fn canonical(text: &str) -> String {
    Element::parse(text).map_or_else(|_| text.to_string(), |root| root.to_xml())
}

fn session(ours: bool) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cib.xml");
    std::fs::write(&file, rows::BASE).unwrap();
    let mut steps = Vec::new();
    let mut committed = false;
    for (program, arguments, active) in SESSION {
        let mut command = if ours {
            let mut command = Command::new(env!("CARGO_BIN_EXE_everbeat"));
            command.arg(program);
            command
        } else {
            Command::new(Path::new("/usr/sbin").join(program))
        };
        command
            .args(*arguments)
            .env("CIB_file", &file)
            .env("CIB_shadow_dir", directory.path())
            .env("SHELL", "/bin/true");
        if *active {
            command.env("CIB_shadow", "try");
        }
        let done = command.output().unwrap();
        // The peer says that it has committed to the file, and has not; from then on the file is ours alone.
        committed |= *arguments == ["-C", "try", "-f"];
        let contents = |name: &str| {
            std::fs::read_to_string(directory.path().join(name))
                .map_or("absent".to_string(), |text| canonical(&text))
        };
        let output =
            String::from_utf8_lossy(&done.stdout).replace(&directory.path().display().to_string(), "DIR");
        let xml = Element::parse(&output).is_ok();
        assert!(!(ours && committed && contents("cib.xml").contains("loc1")), "the commit reaches the file");
        steps.push(format!(
            "{program} {arguments:?}: exit {:?}\noutput {}\ncib {}\ntry {}\nvoid {}",
            done.status.code(),
            // Differences are printed in a form of each one's own.
            if xml && *arguments != ["-d"] { canonical(&output) } else { String::new() },
            if committed { String::new() } else { contents("cib.xml") },
            contents("shadow.try"),
            contents("shadow.void"),
        ));
    }
    steps
}

#[test]
fn a_session_goes_as_with_the_peer() {
    if !Path::new("/usr/sbin/crm_shadow").exists() {
        eprintln!("SKIPPED: no /usr/sbin/crm_shadow (package pacemaker-cli-utils) to compare with");
        return;
    }
    for (ours, peer) in session(true).into_iter().zip(session(false)) {
        assert_eq!(ours, peer);
    }
}
