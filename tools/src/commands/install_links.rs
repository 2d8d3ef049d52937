//! `everbeat install-links DIR`: links to this binary under the classic names.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::COMMANDS;
use crate::exit;

/// Make links to this binary under the classic command names.
#[derive(Parser)]
#[command(name = "everbeat install-links")]
struct Arguments {
    /// The directory that gets the links; it is made if absent.
    #[arg(required_unless_present = "classic")]
    dir: Option<PathBuf>,
    /// Make the classic paths: /usr/lib/heartbeat with every command, and the init script.
    #[arg(long)]
    classic: bool,
    /// Directory that stands for the root of the file system, for --classic.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Replace what is already there under these names.
    #[arg(long)]
    force: bool,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match install(&arguments) {
        Ok(done) => {
            done.iter().for_each(|line| println!("{line}"));
            exit::OK
        }
        Err(error) => {
            eprintln!("everbeat install-links: {error}");
            exit::ERROR
        }
    }
}

fn install(arguments: &Arguments) -> io::Result<Vec<String>> {
    let binary = std::env::current_exe()?;
    let mut done = Vec::new();
    if let Some(dir) = &arguments.dir {
        done.push(format!("{} links in {}", make_links(&binary, dir, arguments.force)?, dir.display()));
    }
    if arguments.classic {
        let paths = super::config::paths(arguments.root.clone());
        done.extend(super::classic_paths::install(&binary, &paths, arguments.force)?);
    }
    Ok(done)
}

/// A link for every classic command; the number of links.
pub(super) fn make_links(binary: &Path, dir: &Path, force: bool) -> io::Result<usize> {
    fs::create_dir_all(dir)?;
    let mut count = 0;
    for command in COMMANDS.iter().filter(|c| c.classic) {
        make_link(binary, &dir.join(command.name), force)?;
        count += 1;
    }
    Ok(count)
}

/// One link; an equal one is left alone, a different file is only replaced by order.
pub(super) fn make_link(binary: &Path, link: &Path, force: bool) -> io::Result<()> {
    match fs::read_link(link) {
        Ok(target) if target == binary => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ if force => fs::remove_file(link)?,
        _ => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} is there already and is not this binary (--force replaces it)", link.display()),
            ));
        }
    }
    symlink(binary, link)
}
