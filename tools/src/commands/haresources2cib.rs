//! `haresources2cib`: writes the CIB that a v1 `haresources` means.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use ccm::config::{Paths, read_config, read_text};
use cib::convert::{self, Converted, Dialect, Found, Input, Options, Severity};
use clap::{Parser, ValueEnum};

use super::config::{complain, paths, print};
use super::stonith_names::parameter_names;
use crate::exit;

const CIB_DIRECTORY: &str = "/var/lib/heartbeat/crm";
const EXIT_USAGE: u8 = 1;
const EXIT_EXISTS: u8 = 2;
const EXIT_REFUSED: u8 = 3;

/// Convert haresources into a CIB.
///
/// Exit status: 0 converted, warnings included; 1 wrong usage or the file cannot be written; 2 there is
/// a CIB already; 3 ha.cf or haresources cannot be converted.
#[derive(Parser)]
#[command(name = "haresources2cib")]
struct Arguments {
    /// Never use class ocf: every resource is a v1 or init script with positional parameters.
    #[arg(long)]
    no_ocf: bool,
    /// Print the CIB instead of writing /var/lib/heartbeat/crm/cib.xml.
    #[arg(long)]
    stdout: bool,
    /// Write no operations.
    #[arg(long)]
    no_monitor: bool,
    /// The ha.cf to read.
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Write a script that is nowhere as class lsb, and a fencing device that is not installed with
    /// parameters param1, param2, ...; both with a warning.
    #[arg(long)]
    force: bool,
    /// Language of the CIB.
    #[arg(long, value_enum, default_value_t = Language::Modern)]
    dialect: Language,
    /// Convert only if this is the first start of a node whose ha.cf does not switch crm on.
    #[arg(long, hide = true)]
    first_start: bool,
    /// Directory that stands for the root of the file system.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The haresources file; the last of several counts.
    resourcefile: Vec<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    /// The newest schema.
    Modern,
    /// As the converter of Heartbeat 2 printed it, without its defects.
    #[value(name = "heartbeat-2")]
    Heartbeat2,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(0) => return 0,
        Err(_) => return EXIT_USAGE,
    };
    let paths = paths(arguments.root.clone());
    if arguments.first_start {
        return at_first_start(&paths).err().unwrap_or(0);
    }
    let converted = match converted(&arguments, &paths) {
        Ok(converted) => converted,
        Err(status) => return status,
    };
    let text = converted.to_text();
    if arguments.stdout {
        print(&text);
        if matches!(arguments.dialect, Language::Heartbeat2) {
            print("\n");
        }
        return 0;
    }
    write(&paths, &text)
}

/// What a first start of a node with v1 files does: ha.cf without crm, a haresources, no CIB. The
/// resources are converted, the same on every node; from then on the CIB is what counts.
///
/// # Errors
/// Exit status 6, and it has been said why: haresources holds what cannot be honoured.
pub(super) fn at_first_start(paths: &Paths) -> Result<(), u8> {
    let dir = paths.join(CIB_DIRECTORY);
    let haresources = paths.haresources();
    let wrong = |config: &ccm::config::Config| config.crm.is_on() || !haresources.exists() || has_cib(&dir);
    match read_config(&paths.ha_cf()) {
        // The core says what is wrong with an ha.cf.
        Err(_) => return Ok(()),
        Ok(config) if wrong(&config) => return Ok(()),
        Ok(_) => {}
    }
    let arguments = Arguments {
        no_ocf: false,
        stdout: false,
        no_monitor: false,
        config: None,
        force: false,
        dialect: Language::Modern,
        first_start: false,
        root: None,
        resourcefile: Vec::new(),
    };
    let refused = |_| {
        eprintln!(
            "{} cannot be honoured as it is; haresources2cib --help says how to convert it",
            haresources.display()
        );
        exit::CONFIG
    };
    let text = converted(&arguments, paths).map_err(refused)?.to_text();
    if write(paths, &text) != 0 {
        return Err(exit::ERROR);
    }
    eprintln!("{} converted into {}/cib.xml", haresources.display(), dir.display());
    Ok(())
}

/// What a conversion of this node's haresources would complain about; nothing is written or printed.
/// Files that cannot be read complain by themselves, elsewhere.
pub(super) fn complaints(paths: &Paths) -> Vec<convert::Problem> {
    let Ok(config) = read_config(&paths.ha_cf()) else { return Vec::new() };
    let Ok(text) = read_text(&paths.haresources()) else { return Vec::new() };
    let read = |path: &Path| fs::read_to_string(paths.join(path)).map_err(|e| e.to_string());
    let (ha_cf, _) = config.for_conversion(&read);
    let input = Input {
        text: &text,
        file: &paths.haresources().display().to_string(),
        ha_cf: &ha_cf,
        options: Options::default(),
        lookup: &|kind| find_script(paths, kind),
        stonith_names: &parameter_names,
    };
    convert::convert(&input).map_or_else(|problems| problems, |converted| converted.problems)
}

fn converted(arguments: &Arguments, paths: &Paths) -> Result<Converted, u8> {
    let refused = |problems: Vec<ccm::config::ConfigProblem>| {
        complain(&problems);
        EXIT_REFUSED
    };
    let ha_cf = arguments.config.clone().unwrap_or_else(|| paths.ha_cf());
    let haresources = arguments.resourcefile.last().cloned().unwrap_or_else(|| paths.haresources());
    let config = read_config(&ha_cf).map_err(refused)?;
    let text = read_text(&haresources).map_err(refused)?;
    let read = |path: &Path| fs::read_to_string(paths.join(path)).map_err(|e| e.to_string());
    let (ha_cf, problems) = config.for_conversion(&read);
    if !problems.is_empty() {
        return Err(refused(problems));
    }
    let options = Options {
        dialect: match arguments.dialect {
            Language::Modern => Dialect::Modern,
            Language::Heartbeat2 => Dialect::Heartbeat2,
        },
        ocf: !arguments.no_ocf,
        monitor: !arguments.no_monitor,
        force: arguments.force,
    };
    let input = Input {
        text: &text,
        file: &haresources.display().to_string(),
        ha_cf: &ha_cf,
        options,
        lookup: &|kind| find_script(paths, kind),
        stonith_names: &parameter_names,
    };
    match convert::convert(&input) {
        Ok(converted) => {
            for problem in &converted.problems {
                eprintln!("{problem}");
            }
            Ok(converted)
        }
        Err(problems) => {
            for problem in &problems {
                eprintln!("{problem}");
            }
            let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
            eprintln!("haresources2cib: {errors} errors, nothing written");
            Err(EXIT_REFUSED)
        }
    }
}

/// Where the v1 script `kind` is: below the root, and then on the machine itself.
pub(super) fn find_script(paths: &Paths, kind: &str) -> Found {
    let v1 = Path::new("/etc/ha.d/resource.d").join(kind);
    let init = Path::new("/etc/init.d").join(kind);
    let mut places = Vec::new();
    for (path, found) in [(&v1, Found::ResourceD), (&init, Found::InitD)] {
        for place in [paths.join(path), path.clone()] {
            if is_program(&place) {
                return found;
            }
            let place = place.display().to_string();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    Found::Nowhere(places)
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

fn write(paths: &Paths, text: &str) -> u8 {
    let dir = paths.join(CIB_DIRECTORY);
    let file = dir.join("cib.xml");
    if has_cib(&dir) {
        eprintln!("cib.xml or cib.xml.sig exist in {}/", dir.display());
        eprintln!("please remove them before generating new cib.xml");
        return EXIT_EXISTS;
    }
    let written =
        super::files::replace(&file, text.as_bytes(), 0o600).and_then(|()| give_to_hacluster(&dir, &file));
    match written {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("haresources2cib: {}: {error}", file.display());
            EXIT_USAGE
        }
    }
}

fn has_cib(dir: &Path) -> bool {
    // cib.xml, its signature, the log that continues it, and what a crash left of them.
    let is_part = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with("cib.");
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(is_part))
}

/// The daemon's core runs as hacluster; a root that writes for it gives the file away.
fn give_to_hacluster(dir: &Path, file: &Path) -> io::Result<()> {
    if !nix::unistd::geteuid().is_root() {
        return Ok(());
    }
    let user = nix::unistd::User::from_name("hacluster")?;
    let group = nix::unistd::Group::from_name("haclient")?;
    let (Some(user), Some(group)) = (user, group) else {
        eprintln!(
            "haresources2cib: there is no user hacluster or no group haclient; {} stays root's",
            file.display()
        );
        return Ok(());
    };
    for path in [dir, file] {
        nix::unistd::chown(path, Some(user.uid), Some(group.gid))?;
    }
    Ok(())
}
