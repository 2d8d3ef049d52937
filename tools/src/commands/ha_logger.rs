//! `ha_logger`: lines of scripts and agents in the cluster's log.
//!
//! What ha_logd did is part of the node, and this command writes where the node writes, whether it
//! runs or not. Texts and statuses as observed with cluster-glue 1.0.12.

use std::ffi::OsString;

use super::log_files;
use crate::exit;
use crate::logging::write_once;

const USAGE: &str = "usage: ha_logger [-t tag] [-D <ha-log/ha-debug>] [message]\n";

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
struct Asked {
    tag: String,
    debug: bool,
    /// One line for each word, as the reference has it.
    lines: Vec<String>,
}

impl Asked {
    /// Answers what is wrong, for the line above the usage; empty for the usage alone.
    fn parse(words: Vec<String>) -> Result<Asked, String> {
        let mut asked = Asked { tag: "cluster".to_owned(), debug: false, lines: Vec::new() };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let option = word.strip_prefix('-').filter(|rest| !rest.is_empty() && rest != &"-");
            let Some(option) = option else {
                asked.lines.extend((word != "--").then_some(word));
                asked.lines.extend(words);
                break;
            };
            let (letter, joined) = option.split_at(option.chars().next().map_or(0, char::len_utf8));
            if letter == "h" {
                return Err(String::new());
            }
            if letter != "t" && letter != "D" {
                return Err(format!("ha_logger: invalid option -- '{letter}'\n"));
            }
            let value = if joined.is_empty() { words.next() } else { Some(joined.to_owned()) };
            let value =
                value.ok_or_else(|| format!("ha_logger: option requires an argument -- '{letter}'\n"))?;
            match (letter, value.as_str()) {
                ("t", _) => asked.tag = value,
                (_, "ha-log") => asked.debug = false,
                (_, "ha-debug") => asked.debug = true,
                _ => return Err(String::new()),
            }
        }
        Ok(asked)
    }
}

pub fn run(_name: &str, arguments: Vec<OsString>) -> u8 {
    let words = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let asked = match Asked::parse(words) {
        Ok(asked) => asked,
        Err(why) => {
            eprint!("{why}");
            super::config::print(USAGE);
            return exit::ERROR;
        }
    };
    let lines: Vec<String> =
        asked.lines.iter().flat_map(|l| l.lines().map(str::to_owned).collect::<Vec<_>>()).collect();
    if lines.is_empty() {
        return exit::OK;
    }
    let targets = log_files::of_this_node(&super::config::paths(None));
    let results = write_once(&targets, &asked.tag, &lines, asked.debug);
    // One that has the line is enough; a plain user may not write the files.
    if results.iter().any(|(_, result)| result.is_ok()) {
        return exit::OK;
    }
    for (target, result) in &results {
        if let Err(error) = result {
            eprintln!("ha_logger: {target}: {error}");
        }
    }
    exit::ERROR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Asked, String> {
        Asked::parse(line.split_whitespace().map(str::to_owned).collect())
    }

    #[test]
    fn words_are_read_as_cluster_glue_does() {
        let asked = |tag: &str, debug, lines: &[&str]| {
            Ok(Asked { tag: tag.into(), debug, lines: lines.iter().map(|l| (*l).to_owned()).collect() })
        };
        assert_eq!(parse("-t x hello there"), asked("x", false, &["hello", "there"]));
        assert_eq!(parse("-tx -D ha-log hi"), asked("x", false, &["hi"]));
        assert_eq!(parse("-D ha-debug -t x -- -dbg"), asked("x", true, &["-dbg"]));
        assert_eq!(parse("plain"), asked("cluster", false, &["plain"]));
        assert_eq!(parse(""), asked("cluster", false, &[]));
        assert_eq!(parse("-t x -D bogus hello"), Err(String::new()));
        assert_eq!(parse("-h"), Err(String::new()));
        assert_eq!(parse("-t"), Err("ha_logger: option requires an argument -- 't'\n".into()));
        assert_eq!(parse("-x hi"), Err("ha_logger: invalid option -- 'x'\n".into()));
    }
}
