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
    dir: PathBuf,
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
        Ok(count) => {
            println!("{count} links in {}", arguments.dir.display());
            exit::OK
        }
        Err(error) => {
            eprintln!("everbeat install-links: {error}");
            exit::ERROR
        }
    }
}

fn install(arguments: &Arguments) -> io::Result<usize> {
    let binary = std::env::current_exe()?;
    fs::create_dir_all(&arguments.dir)?;
    let mut count = 0;
    for command in COMMANDS.iter().filter(|c| c.classic) {
        make_link(&binary, &arguments.dir.join(command.name), arguments.force)?;
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
