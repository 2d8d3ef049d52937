//! `crm_shadow`: a copy of the configuration to try changes on.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use cib::patch::{self, Format, Making};
use cib::{Cib, Operation, Request};
use clap::Parser;

use crate::source::{Source, replace_file, shadow_file};
use crate::{exit, offline, print};

const COMMANDS: [&str; 11] = [
    "which",
    "display",
    "edit",
    "diff",
    "file",
    "create",
    "create_empty",
    "commit",
    "delete",
    "reset",
    "switch",
];

/// Try changes on a copy of the configuration before they reach the cluster.
#[derive(Parser)]
#[command(name = "crm_shadow", disable_help_flag = true, disable_version_flag = true, infer_long_args = true)]
struct Arguments {
    /// Show this text.
    #[arg(short = '?', long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Show the version.
    #[arg(short = '$', long)]
    version: bool,
    /// Accepted; details are always in the error.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,

    /// Show the name of the active copy.
    #[arg(short = 'w', long, overrides_with_all = COMMANDS)]
    which: bool,
    /// Show the content of the active copy.
    #[arg(short = 'p', long, overrides_with_all = COMMANDS)]
    display: bool,
    /// Edit the active copy with EDITOR.
    #[arg(short = 'E', long, overrides_with_all = COMMANDS)]
    edit: bool,
    /// Show what the active copy changes.
    #[arg(short = 'd', long, overrides_with_all = COMMANDS)]
    diff: bool,
    /// Show the file of the active copy.
    #[arg(short = 'F', long, overrides_with_all = COMMANDS)]
    file: bool,

    /// Create a copy of the configuration under this name.
    #[arg(short = 'c', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    create: Option<String>,
    /// Create an empty configuration under this name.
    #[arg(short = 'e', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    create_empty: Option<String>,
    /// Make the copy of this name the configuration of the cluster.
    #[arg(short = 'C', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    commit: Option<String>,
    /// Delete the copy of this name.
    #[arg(short = 'D', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    delete: Option<String>,
    /// Make the copy of this name anew from the configuration.
    #[arg(short = 'r', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    reset: Option<String>,
    /// Say how to switch to the copy of this name.
    #[arg(short = 's', long, value_name = "NAME", overrides_with_all = COMMANDS)]
    switch: Option<String>,

    /// Do what is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    /// Start no shell.
    #[arg(short = 'b', long)]
    batch: bool,
    /// With --commit: the status too.
    #[arg(short = 'a', long)]
    all: bool,
    /// With --create-empty: the schema.
    #[arg(short = 'v', long, value_name = "SCHEMA")]
    validate_with: Option<String>,
}

const FORCE_NEEDED: &str =
    "To prevent accidental destruction of the cluster, the --force flag is required in order to proceed.";

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    perform(&arguments).unwrap_or_else(|status| status)
}

fn perform(arguments: &Arguments) -> Result<u8, u8> {
    if arguments.version {
        print::out(&format!("crm_shadow (everbeat) {}\n", env!("CARGO_PKG_VERSION")))?;
    } else if let Some(name) = &arguments.create {
        check_free(arguments, name)?;
        write_shadow(name, &configuration()?)?;
        return start_shell(arguments, name, "A new shadow instance was created.");
    } else if let Some(name) = &arguments.create_empty {
        check_free(arguments, name)?;
        let mut cib = Cib::empty();
        if let Some(schema) = &arguments.validate_with {
            cib.root_mut().set_attr("validate-with", schema.as_str());
        }
        eprintln!("Created new {} configuration", cib.validate_with());
        write_shadow(name, &cib)?;
        return start_shell(arguments, name, "A new shadow instance was created.");
    } else if let Some(name) = &arguments.reset {
        // Only an existing copy can be made anew.
        read_shadow(name)?;
        write_shadow(name, &configuration()?)?;
        return start_shell(arguments, name, "The shadow instance was reset.");
    } else if let Some(name) = &arguments.switch {
        read_shadow(name)?;
        return start_shell(
            arguments,
            name,
            "To switch to the named shadow instance, paste the following into your shell:",
        );
    } else if let Some(name) = &arguments.commit {
        check_force(arguments)?;
        commit(name, arguments.all)?;
    } else if let Some(name) = &arguments.delete {
        check_force(arguments)?;
        delete(name)?;
    } else {
        return query(arguments);
    }
    Ok(exit::OK)
}

fn query(arguments: &Arguments) -> Result<u8, u8> {
    if !(arguments.which || arguments.display || arguments.diff || arguments.file || arguments.edit) {
        eprintln!("crm_shadow: no command given; see crm_shadow --help");
        return Err(exit::USAGE);
    }
    let Some(name) = std::env::var("CIB_shadow").ok().filter(|name| !name.is_empty()) else {
        eprintln!("No active shadow configuration defined");
        return Err(exit::NOSUCH);
    };
    let file = path_of(&name)?;
    if arguments.which {
        print::out(&format!("{name}\n"))?;
    } else if arguments.file {
        print::out(&format!("{}\n", file.display()))?;
    } else if arguments.display {
        print::out(&read_shadow(&name)?.root().to_xml())?;
    } else if arguments.diff {
        let (old, new) = (configuration()?, read_shadow(&name)?);
        let making = Making { format: Format::Two, versions: true, digest: false, exact: false };
        if let Some(patch) = patch::make(old.root(), new.root(), making) {
            print::out(&patch.to_xml())?;
            return Ok(exit::ERROR);
        }
    } else {
        edit(&file)?;
    }
    Ok(exit::OK)
}

fn edit(file: &Path) -> Result<(), u8> {
    let Some(editor) = std::env::var_os("EDITOR").filter(|editor| !editor.is_empty()) else {
        eprintln!("No value for EDITOR defined");
        return Err(exit::CONFIG);
    };
    match Command::new(&editor).arg(file).status() {
        Ok(_) => Ok(()),
        Err(error) => {
            eprintln!("Could not invoke EDITOR ({} {}): {error}", editor.to_string_lossy(), file.display());
            Err(exit::OSFILE)
        }
    }
}

/// The configuration that shadows are of: `CIB_file` or the cluster's, never another shadow.
fn configuration() -> Result<Cib, u8> {
    if let Some(file) = std::env::var_os("CIB_file").filter(|file| !file.is_empty()) {
        return offline::load(Path::new(&file)).map_err(|error| {
            eprintln!("crm_shadow: {error}");
            eprintln!("Could not connect to CIB: {}", error.classic());
            error.exit()
        });
    }
    let found = Source::open_live("crm_shadow").and_then(|mut source| source.cib());
    found.map_err(|error| {
        eprintln!("crm_shadow: {error}");
        eprintln!("Could not connect to CIB: Transport endpoint is not connected");
        error.exit()
    })
}

fn commit(name: &str, all: bool) -> Result<(), u8> {
    let shadow = read_shadow(name)?;
    let mut request = Request::new(Operation::Replace);
    if all {
        request.input = Some(shadow.into_root());
    } else {
        let Some(configuration) = shadow.configuration() else {
            eprintln!("The shadow instance '{name}' has no configuration");
            return Err(exit::BAD_CONFIG);
        };
        request.section = Some("configuration".to_string());
        request.input = Some(configuration.clone());
    }
    let failed = |text: &str| eprintln!("Could not commit shadow instance '{name}' to the CIB: {text}");
    if let Some(file) = std::env::var_os("CIB_file").filter(|file| !file.is_empty()) {
        let before = configuration()?;
        let applied = cib::apply(&before, &request).map_err(|error| {
            failed(&error.to_string());
            error.code.exit()
        })?;
        return offline::save(Path::new(&file), &applied.cib).map_err(|error| {
            failed(&error.to_string());
            error.exit()
        });
    }
    let done = Source::open_live("crm_shadow").and_then(|mut source| source.apply(&request, true));
    done.map(|_| ()).map_err(|error| {
        failed(&error.to_string());
        error.exit()
    })
}

fn delete(name: &str) -> Result<(), u8> {
    match fs::remove_file(path_of(name)?) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            eprintln!("Could not remove shadow instance '{name}': {error}");
            return Err(exit::ERROR);
        }
        _ => {}
    }
    if std::env::var("CIB_shadow").is_ok_and(|active| active == name) && in_shadow_shell(name) {
        return print::out("Now type Ctrl-D to exit the crm_shadow shell\n");
    }
    print::out(
        "Please remember to unset the CIB_shadow variable by pasting the following into your shell:\n  unset CIB_shadow\n",
    )
}

fn check_force(arguments: &Arguments) -> Result<(), u8> {
    if arguments.force {
        return Ok(());
    }
    eprintln!("The supplied command is considered dangerous.  {FORCE_NEEDED}");
    Err(exit::USAGE)
}

fn check_free(arguments: &Arguments, name: &str) -> Result<(), u8> {
    if arguments.force || !path_of(name)?.exists() {
        return Ok(());
    }
    eprintln!("A shadow instance '{name}' already exists.");
    eprintln!("  {FORCE_NEEDED}");
    Err(exit::CANTCREATE)
}

/// A name is part of a file name; one with a slash would leave the directory of shadows.
fn path_of(name: &str) -> Result<PathBuf, u8> {
    if name.is_empty() || name.contains('/') {
        eprintln!("crm_shadow: '{name}' cannot name a shadow instance");
        return Err(exit::USAGE);
    }
    Ok(shadow_file(name))
}

fn read_shadow(name: &str) -> Result<Cib, u8> {
    let path = path_of(name)?;
    if let Err(error) = fs::metadata(&path) {
        let text = match error.kind() {
            io::ErrorKind::NotFound => "No such file or directory".to_string(),
            _ => error.to_string(),
        };
        eprintln!("Could not access shadow instance '{name}': {text}");
        return Err(exit::NOSUCH);
    }
    offline::load(&path).map_err(|error| {
        eprintln!("crm_shadow: {error}");
        error.exit()
    })
}

fn write_shadow(name: &str, cib: &Cib) -> Result<(), u8> {
    let path = path_of(name)?;
    let write = || -> io::Result<()> {
        if let Some(directory) = path.parent()
            && !directory.exists()
        {
            fs::create_dir_all(directory)?;
            fs::set_permissions(directory, fs::Permissions::from_mode(0o700))?;
        }
        replace_file(&path, cib.root().to_xml().as_bytes())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640))
    };
    write().map_err(|error| {
        eprintln!("Could not create the shadow instance '{name}': {}: {error}", path.display());
        exit::CANTCREATE
    })
}

fn in_shadow_shell(name: &str) -> bool {
    std::env::var("PS1").is_ok_and(|prompt| prompt.starts_with(&format!("shadow[{name}]")))
}

/// Start a shell in which the copy is active, or say how to make it so.
fn start_shell(arguments: &Arguments, name: &str, text: &str) -> Result<u8, u8> {
    let switching = arguments.switch.is_some();
    if arguments.batch || switching {
        let invitation =
            if switching { "" } else { "  To begin using it paste the following into your shell:" };
        print::out(&format!("{text}{invitation}\n  CIB_shadow={name} ; export CIB_shadow\n"))?;
        return Ok(exit::OK);
    }
    print::out("Setting up shadow instance\nType Ctrl-D to exit the crm_shadow shell\n")?;
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let mut command = Command::new(&shell);
    command.env("CIB_shadow", name).env("PS1", format!("shadow[{name}] # ")).env_remove("CIB_file");
    if Path::new(&shell).file_name().is_some_and(|name| name == "bash") {
        command.args(["--norc", "--noprofile"]);
    }
    match command.status() {
        Ok(_) => Ok(exit::OK),
        Err(error) => {
            eprintln!("Could not start {}: {error}", shell.to_string_lossy());
            Err(exit::OSERR)
        }
    }
}
