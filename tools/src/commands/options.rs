//! `everbeat options`: the reference of the cluster options, from the table they are read by.

use std::ffi::OsString;
use std::fmt::Write as _;

use cib::model::{ClusterOption, OPTIONS};
use clap::Parser;

use crate::exit;
use crate::print::out;

/// The cluster options: what each is for, its default, its values.
#[derive(Parser)]
#[command(name = "everbeat options", disable_version_flag = true)]
struct Arguments {
    /// One option only, in full; an old name will do.
    name: Option<String>,
    /// As a manual page: everbeat options --man > everbeat-options.7
    #[arg(long, conflicts_with = "name")]
    man: bool,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let text = match &arguments.name {
        Some(name) => match cib::model::option(name) {
            Some(option) => in_full(option),
            None => {
                eprintln!("options: there is no cluster option {name:?}{}", alike(name));
                return exit::NOSUCH;
            }
        },
        None if arguments.man => man(),
        None => table(),
    };
    out(&text).err().unwrap_or(exit::OK)
}

/// What may have been meant: options whose name holds the text, or is held by it.
fn alike(name: &str) -> String {
    let text = name.to_ascii_lowercase().replace('_', "-");
    let near = OPTIONS.iter().map(|option| option.name);
    let near = near.filter(|option| !text.is_empty() && (option.contains(&text) || text.contains(option)));
    let near: Vec<_> = near.collect();
    if near.is_empty() { "; see everbeat options".into() } else { format!("; there is {}", near.join(", ")) }
}

fn default_of(option: &ClusterOption) -> &'static str {
    if option.default.is_empty() { "(none)" } else { option.default }
}

fn table() -> String {
    let width = OPTIONS.iter().map(|option| option.name.len()).max().unwrap_or(0);
    let mut text = format!("{:width$}  {:10}  {:9}  PURPOSE\n", "OPTION", "TYPE", "DEFAULT");
    for option in OPTIONS {
        let (kind, default) = (option.kind.name(), default_of(option));
        let note = if option.effective { "" } else { " (No effect.)" };
        // Writing to a text cannot fail.
        let _ = writeln!(text, "{:width$}  {kind:10}  {default:9}  {}{note}", option.name, option.help);
    }
    text
}

const NO_EFFECT: &str =
    "It has no effect in Everbeat; it is accepted so that existing configurations stay valid.";

/// What there is to say beside the sentence of help: label and text.
fn details(option: &ClusterOption) -> Vec<(&'static str, String)> {
    let mut details =
        vec![("Type", option.kind.name().to_owned()), ("Default", default_of(option).to_owned())];
    if !option.kind.words().is_empty() {
        details.push(("Values", option.kind.words().join(", ")));
    }
    if !option.kind.unit().is_empty() {
        details.push(("Written", option.kind.unit().to_owned()));
    }
    if !option.legacy.is_empty() {
        details.push(("Old name", option.legacy.join(", ")));
    }
    details
}

fn in_full(option: &ClusterOption) -> String {
    let mut text = format!("{}\n  {}\n", option.name, option.help);
    if !option.effective {
        let _ = writeln!(text, "  {NO_EFFECT}");
    }
    for (label, value) in details(option) {
        let _ = writeln!(text, "  {:9} {value}", format!("{label}:"));
    }
    text
}

/// A text in which roff finds no request and no escape.
fn roff(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

fn man() -> String {
    let mut text = format!(".TH EVERBEAT\\-OPTIONS 7 \"\" \"Everbeat {}\"\n", env!("CARGO_PKG_VERSION"));
    text += ".SH NAME\neverbeat\\-options \\- the cluster options\n.SH DESCRIPTION\n";
    text += "The options stand in the section crm_config of the configuration;\n";
    text += ".B crm_attribute \\-\\-type crm_config\nreads and changes them.\n";
    text += "A value that is not valid is reported and the default is used.\n.SH OPTIONS\n";
    for option in OPTIONS {
        let _ = write!(text, ".TP\n.B {}\n{}\n", roff(option.name), roff(option.help));
        if !option.effective {
            let _ = writeln!(text, "{}", roff(NO_EFFECT));
        }
        for (label, value) in details(option) {
            let _ = write!(text, ".br\n{label}: {}\n", roff(&value));
        }
    }
    text + ".SH SEE ALSO\n.BR crm_attribute (8),\n.BR cibadmin (8)\n"
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use cib::model::Part;

    use super::*;

    #[test]
    fn options_are_all_in_the_table_and_in_the_manual_page() {
        let (table, man) = (table(), man());
        assert_eq!(table.lines().count(), OPTIONS.len() + 1);
        assert_eq!(man.matches(".TP\n").count(), OPTIONS.len());
        for option in OPTIONS {
            assert!(table.contains(&format!("\n{} ", option.name)), "{}", option.name);
            assert!(man.contains(&format!(".B {}\n", roff(option.name))), "{}", option.name);
        }
    }

    #[test]
    fn options_are_told_in_full_by_old_names_too() {
        let text = cib::model::option("crmd-integration-timeout").map(in_full).unwrap();
        assert!(text.starts_with("join-integration-timeout\n") && text.contains("Default:  3min"), "{text}");
        assert_eq!(alike("Stonith_Max"), "; there is stonith-max-attempts");
        assert_eq!(run("options", vec!["nothing-such".into()]), exit::NOSUCH);
    }

    /// Pacemaker's daemons, where installed, print their options: the defaults are the same.
    #[test]
    fn options_have_the_defaults_of_the_peer() {
        let mut seen = 0;
        let mut parts = std::collections::BTreeMap::new();
        let daemons = [
            ("pacemaker-schedulerd", Part::Scheduler),
            ("pacemaker-controld", Part::Controller),
            ("pacemaker-based", Part::Cib),
        ];
        for (daemon, part) in daemons {
            let path = format!("/usr/lib/pacemaker/{daemon}");
            let output = Command::new(path).arg("metadata").stderr(Stdio::null()).output();
            let Ok(output) = output else {
                eprintln!("SKIPPED: {daemon} is not installed");
                continue;
            };
            let root = cib::Element::parse(&String::from_utf8_lossy(&output.stdout)).unwrap();
            for parameter in root.descendants().filter(|element| element.name() == "parameter") {
                let name = parameter.attr("name").unwrap();
                let option = cib::model::option(name).unwrap_or_else(|| panic!("{name} is missing"));
                let default = parameter.child("content").and_then(|content| content.attr("default"));
                assert_eq!(option.default, default.unwrap_or_default(), "{name}");
                // The first that lists it: the planner's are read by others too.
                let first = *parts.entry(option.name).or_insert(part);
                assert_eq!(option.part, first, "{name}");
                seen += 1;
            }
            assert!(seen > 0, "{daemon} says nothing");
        }
    }
}
