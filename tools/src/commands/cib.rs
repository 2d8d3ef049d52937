//! `everbeat cib`: documents that lost a merge, and putting a document in force.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use cib::patch::{self, Format, Making};
use cib::{Cib, Element};
use clap::{Parser, Subcommand};

use crate::api::proto::Conflict;
use crate::api::{self, client::Client};
use crate::source::Source;
use crate::{exit, print};

/// The cluster's configuration as a whole.
#[derive(Parser)]
#[command(name = "everbeat cib", disable_version_flag = true)]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Histories that lost a merge: their documents are kept until they are dismissed.
    Conflicts {
        #[command(subcommand)]
        what: Option<Conflicts>,
    },
    /// Put a document in force at the next start of this node, against what the cluster has now.
    Import {
        /// The document; "-" reads standard input.
        file: PathBuf,
        /// Yes, in place of the present configuration.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Subcommand)]
enum Conflicts {
    /// All of them, one line each.
    List,
    /// The document that lost; on the node that keeps it.
    Show { name: String },
    /// What it would change in the present configuration; on the node that keeps it.
    Diff { name: String },
    /// It has been read. Without a name: all.
    Dismiss { name: Option<String> },
}

type Failed = (String, u8);

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let done = match arguments.what {
        What::Conflicts { what: None | Some(Conflicts::List) } => list(),
        What::Conflicts { what: Some(Conflicts::Show { name }) } => show(&name),
        What::Conflicts { what: Some(Conflicts::Diff { name }) } => diff(&name),
        What::Conflicts { what: Some(Conflicts::Dismiss { name }) } => dismiss(name.as_deref()),
        What::Import { file, force } => import(&file, force),
    };
    match done {
        Ok(text) => print::out(&text).map_or_else(|status| status, |()| exit::OK),
        Err((text, status)) => {
            eprintln!("everbeat cib: {text}");
            status
        }
    }
}

fn directory() -> PathBuf {
    api::root_from_environment().join("var/lib/heartbeat/crm")
}

fn reports() -> Result<Vec<Conflict>, Failed> {
    let mut source = Source::open_live("everbeat").map_err(|error| (error.to_string(), error.exit()))?;
    let state = source.state().map_err(|error| (error.to_string(), error.exit()))?;
    Ok(state.map(|state| state.conflicts).unwrap_or_default())
}

fn list() -> Result<String, Failed> {
    let reports = reports()?;
    if reports.is_empty() {
        return Ok("no conflicts\n".into());
    }
    let line = |c: &Conflict| {
        format!(
            "{}  {} changes after {} lost against {}; kept on {}{}\n",
            c.name,
            c.changes,
            c.branch,
            c.winner,
            c.holder,
            kept(&c.name).map(|path| format!(" in {}", path.display())).unwrap_or_default()
        )
    };
    Ok(reports.iter().map(line).collect())
}

/// The file of a conflict, when it is kept on this node: the one whose story names it.
fn kept(name: &str) -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory())
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name().is_some_and(|file| {
                let file = file.to_string_lossy();
                file.starts_with("cib-conflict-") && file.ends_with(".raw.why")
            })
        })
        .filter(|path| {
            let story = fs::read_to_string(path).unwrap_or_default();
            story.lines().next().is_some_and(|line| line.contains(&format!("last change {name},")))
        })
        .collect();
    found.sort();
    found.pop().map(|path| path.with_extension(""))
}

fn document(name: &str) -> Result<(PathBuf, String), Failed> {
    let path = kept(name).ok_or_else(|| {
        let text = match reports() {
            Ok(reports) => reports.iter().find(|c| c.name == name).map_or_else(
                || format!("no conflict is called {name}"),
                |c| format!("the document of {name} is kept on {}: run this there", c.holder),
            ),
            Err((text, _)) => format!("the document of {name} is not kept here; {text}"),
        };
        (text, exit::NOSUCH)
    })?;
    let text =
        fs::read_to_string(&path).map_err(|error| (format!("{}: {error}", path.display()), exit::NOINPUT))?;
    Ok((path, text))
}

fn show(name: &str) -> Result<String, Failed> {
    let (path, text) = document(name)?;
    let mut story = path.clone().into_os_string();
    story.push(".why");
    let story = fs::read_to_string(&story).unwrap_or_default();
    // As a comment, so that the output is a document still.
    let story = story.replace("--", "- -");
    Ok(format!("<!-- {} -->\n{text}\n", story.trim_end()))
}

/// The present configuration against the one that lost, without what is only counted.
fn diff(name: &str) -> Result<String, Failed> {
    let (path, text) = document(name)?;
    let broken = |error: String| (format!("{}: {error}", path.display()), exit::DATA);
    let lost = Element::parse(&text).map_err(|error| broken(error.to_string()))?;
    let mut source = Source::open_live("everbeat").map_err(|error| (error.to_string(), error.exit()))?;
    let present = source.cib().map_err(|error| (error.to_string(), error.exit()))?;
    let bare = |root: &Element| {
        let mut bare = Element::new("cib");
        if let Some(configuration) = root.child("configuration") {
            bare.push(configuration.clone());
        }
        bare
    };
    let making = Making { format: Format::Two, versions: false, digest: false, exact: false };
    Ok(match patch::make(&bare(present.root()), &bare(&lost), making) {
        None => "the configurations are equal\n".into(),
        Some(patch) => patch.to_xml(),
    })
}

fn dismiss(name: Option<&str>) -> Result<String, Failed> {
    let mut client =
        Client::connect(&api::root_from_environment()).map_err(|error| (error.to_string(), error.exit()))?;
    let reply = client
        .dismiss_conflicts(name.unwrap_or_default())
        .map_err(|error| (error.to_string(), error.exit()))?;
    if reply.code != 0 {
        return Err((reply.error, u8::try_from(reply.code).unwrap_or(exit::ERROR)));
    }
    Ok(String::new())
}

/// R9.10 of the protocol: the order lies beside the store until the node starts.
fn import(file: &Path, force: bool) -> Result<String, Failed> {
    if !force {
        let text = "this puts the document in force in place of what the cluster has; other nodes keep theirs as a \
                    backup. Say --force if that is what you want; to change a running cluster use cibadmin --replace";
        return Err((text.into(), exit::UNSAFE));
    }
    if Client::connect(&api::root_from_environment()).is_ok() {
        let text = "the cluster software runs on this node: use cibadmin --replace, or stop it first";
        return Err((text.into(), exit::UNSAFE));
    }
    let bytes = crate::offline::read(file)
        .map_err(|error| (format!("{}: {error}", file.display()), exit::NOINPUT))?;
    let bad = |error: String| (format!("{}: {error}", file.display()), exit::DATA);
    let root = Element::parse_bytes(&bytes).map_err(|error| bad(error.to_string()))?;
    let cib = Cib::from_root(root).map_err(|error| bad(error.to_string()))?;
    let directory = directory();
    let io = |error: std::io::Error| (format!("{}: {error}", directory.display()), exit::CANTCREATE);
    fs::create_dir_all(&directory).map_err(io)?;
    let (new, order) = (directory.join("cib.import.tmp"), directory.join("cib.import"));
    fs::write(&new, cib.root().to_xml()).and_then(|()| fs::rename(&new, &order)).map_err(io)?;
    Ok("this document is put in force when the cluster software starts here\n".into())
}
