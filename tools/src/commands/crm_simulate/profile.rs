//! `--profile`: every document of a directory, timed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crm_core::policy::render::xml::{self, Tag};
use crm_core::policy::simulator::{self, Options};

use super::{Arguments, Failure, input};
use crate::exit;

/// Plans every document of a directory, the last name first, and says how long each took: reading, checking, and
/// planning as often as asked for. One that cannot be planned is named on standard error and left out.
pub(super) fn run(arguments: &Arguments, dir: &Path, request: &str) -> Result<u8, Failure> {
    let mut timings = Vec::new();
    for file in files(dir)?.into_iter().rev() {
        match time(&file, arguments.repeat) {
            Ok(taken) => timings.push((file, taken)),
            Err(failure) => failure.tell("crm_simulate"),
        }
    }
    let mut text = String::from("Timings:\n");
    let mut section = Tag::new("timings");
    for (file, taken) in timings {
        let seconds = taken.as_secs_f64();
        let _ = writeln!(text, "  * Testing {} ... {seconds:.2} secs", file.display());
        let tag = Tag::new("timing").with("file", file.display().to_string());
        section.push(tag.with("duration", format!("{seconds:.6}")));
    }
    match arguments.output_as.as_str() {
        "none" => {}
        "xml" => super::print(arguments, &xml::document(request, vec![section], 0, "OK", ""))?,
        _ => super::print(arguments, &text)?,
    }
    Ok(exit::OK)
}

fn files(dir: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::new(exit::NOINPUT, format!("{}: {error}", dir.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "xml") && !hidden {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn time(file: &Path, repeat: u32) -> Result<Duration, Failure> {
    let situation = crate::view::situation();
    let options = Options { run: true, quiet: true, ..Options::default() };
    let began = Instant::now();
    let cib = input::from_file(file)?;
    for _ in 0..repeat {
        simulator::run(&cib, &options, situation.now, situation.utc_offset);
    }
    Ok(began.elapsed())
}
