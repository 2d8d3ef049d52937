//! `cibadmin`: query and edit the configuration, live or in a file.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use cib::acl;
use cib::{Applied, Cib, Code, Element, OpError, Operation, Request, Version, digest};
use clap::{ArgAction, Parser};

use crate::api::client::ClientError;
use crate::api::proto::ClusterState;
use crate::offline::{self, OfflineError};
use crate::show_access::{self, Style};
use crate::source::{Source, SourceError, file_from_environment};
use crate::{exit, groups, print};

const COMMANDS: [&str; 18] = [
    "upgrade",
    "query",
    "erase",
    "bump",
    "create",
    "modify",
    "patch",
    "replace",
    "delete",
    "delete_all",
    "empty",
    "md5_sum",
    "md5_sum_versioned",
    "update",
    "cib_sync",
    "cib_master",
    "cib_slave",
    "cib_ismaster",
];

/// Query and edit the configuration of the cluster, or of the file named by CIB_file or CIB_shadow.
#[derive(Parser)]
#[command(name = "cibadmin", disable_help_flag = true, disable_version_flag = true, infer_long_args = true)]
struct Arguments {
    /// Show this text.
    #[arg(short = '?', long, action = ArgAction::Help)]
    help: Option<bool>,
    /// Show the version.
    #[arg(short = '$', long)]
    version: bool,
    /// Accepted; details are always in the error.
    #[arg(short = 'V', long, action = ArgAction::Count)]
    verbose: u8,

    /// Upgrade the configuration to the newest schema.
    #[arg(short = 'u', long, overrides_with_all = COMMANDS)]
    upgrade: bool,
    /// Show the configuration or a part of it.
    #[arg(short = 'Q', long, alias = "cib_query", overrides_with_all = COMMANDS)]
    query: bool,
    /// Erase the configuration and the status.
    #[arg(short = 'E', long, alias = "cib_erase", overrides_with_all = COMMANDS)]
    erase: bool,
    /// Raise the configuration's epoch by 1.
    #[arg(short = 'B', long, alias = "cib_bump", overrides_with_all = COMMANDS)]
    bump: bool,
    /// Create an object; fails if it exists.
    #[arg(short = 'C', long, alias = "cib_create", overrides_with_all = COMMANDS)]
    create: bool,
    /// Update an object; fails if it does not exist, unless --allow-create is given.
    #[arg(short = 'M', long, alias = "cib_modify", overrides_with_all = COMMANDS)]
    modify: bool,
    /// The same under Heartbeat's name; -U without a name does it too.
    #[arg(long = "cib_update", id = "update", overrides_with_all = COMMANDS, hide = true)]
    update: bool,
    /// Apply a patch (see crm_diff).
    #[arg(short = 'P', long, overrides_with_all = COMMANDS)]
    patch: bool,
    /// Replace an object, or the whole configuration.
    #[arg(short = 'R', long, alias = "cib_replace", overrides_with_all = COMMANDS)]
    replace: bool,
    /// Delete the first object with that name and those attributes.
    #[arg(short = 'D', long, alias = "cib_delete", overrides_with_all = COMMANDS)]
    delete: bool,
    /// With --xpath: delete everything that matches.
    #[arg(short = 'd', long, alias = "cib_delete_alt", overrides_with_all = COMMANDS)]
    delete_all: bool,
    /// Show an empty configuration (an operand names its schema).
    #[arg(short = 'a', long, overrides_with_all = COMMANDS)]
    empty: bool,
    /// Show the digest of a file on disk.
    #[arg(short = '5', long, overrides_with_all = COMMANDS)]
    md5_sum: bool,
    /// Show the digest of content as nodes compare it.
    #[arg(short = '6', long, overrides_with_all = COMMANDS)]
    md5_sum_versioned: bool,

    /// Heartbeat: give every node this node's copy. Here every copy is the same; says whether the cluster answers.
    #[arg(long = "cib_sync", overrides_with_all = COMMANDS)]
    cib_sync: bool,
    /// Heartbeat: make this node's copy the leading one. Refused: the cluster elects its coordinator.
    #[arg(short = 'w', long = "cib_master", overrides_with_all = COMMANDS, hide = true)]
    cib_master: bool,
    /// Heartbeat: make this node's copy a following one. Refused likewise.
    #[arg(short = 'r', long = "cib_slave", overrides_with_all = COMMANDS, hide = true)]
    cib_slave: bool,
    /// Whether changes are decided on this node, the coordinator; exit status 0 or 1.
    #[arg(short = 'm', long = "cib_ismaster", overrides_with_all = COMMANDS)]
    cib_ismaster: bool,

    /// With --query and --user: show what that user may do to each part: color, text, namespace or auto.
    #[arg(short = 'S', long, value_name = "STYLE", num_args = 0..=1, require_equals = true)]
    show_access: Option<Option<String>>,

    /// Do what is dangerous.
    #[arg(short = 'f', long)]
    force: bool,
    /// Give up after this many seconds.
    #[arg(short = 't', long, value_name = "SECONDS")]
    timeout: Option<String>,
    /// Run with the permissions of this user.
    #[arg(short = 'U', long, value_name = "NAME", num_args = 0..=1)]
    user: Option<Option<String>>,
    /// Accepted: every call waits for its answer.
    #[arg(short = 's', long)]
    sync_call: bool,
    /// With --query: what this node has, however old, also while it is out of touch with the others.
    #[arg(short = 'l', long)]
    local: bool,
    /// With --query: as of now; every change acknowledged before is in the answer.
    #[arg(long, conflicts_with = "local")]
    confirmed: bool,
    /// With --modify: create the object if it does not exist.
    #[arg(short = 'c', long)]
    allow_create: bool,
    /// With --query: without what the object contains.
    #[arg(short = 'n', long)]
    no_children: bool,
    /// Accepted: every node gives the same answer.
    #[arg(short = 'N', long, value_name = "NODE", short_alias = 'h', alias = "host")]
    node: Option<String>,
    /// Accepted, and ignored: a change is made everywhere or nowhere.
    #[arg(short = 'b', long, hide = true)]
    no_bcast: bool,
    /// Say whether it would work, change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Refuse unless the configuration has exactly this version (ADMIN_EPOCH.EPOCH.NUM_UPDATES).
    #[arg(long, value_name = "VERSION")]
    if_version: Option<String>,

    /// The object as XML.
    #[arg(short = 'X', long, value_name = "XML", alias = "crm_xml", allow_hyphen_values = true)]
    xml_text: Option<String>,
    /// The object from a file.
    #[arg(short = 'x', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// The object from standard input.
    #[arg(short = 'p', long)]
    xml_pipe: bool,
    /// Only this section: configuration, crm_config, nodes, resources, constraints, rsc_defaults, op_defaults, acls,
    /// fencing-topology, tags, alerts, status.
    #[arg(short = 'o', long, value_name = "SECTION", aliases = ["obj_type", "section"])]
    scope: Option<String>,
    /// Only what this XPath selects.
    #[arg(short = 'A', long, value_name = "XPATH")]
    xpath: Option<String>,
    /// With --query --xpath: show the paths of what matches.
    #[arg(short = 'e', long)]
    node_path: bool,

    #[arg(hide = true)]
    operands: Vec<String>,
}

/// What to do, of the commands of the library or our own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Operation(Operation),
    Empty,
    FileDigest,
    ContentDigest,
    Sync,
    Lead,
    IsMaster,
}

impl Arguments {
    fn task(&self) -> Option<Task> {
        let bare_user = matches!(self.user, Some(None)) && self.has_input();
        let given = [
            (self.upgrade, Task::Operation(Operation::Upgrade)),
            (self.query, Task::Operation(Operation::Query)),
            (self.erase, Task::Operation(Operation::Erase)),
            (self.bump, Task::Operation(Operation::Bump)),
            (self.create, Task::Operation(Operation::Create)),
            (self.modify, Task::Operation(Operation::Modify)),
            (self.patch, Task::Operation(Operation::Patch)),
            (self.replace, Task::Operation(Operation::Replace)),
            (self.delete, Task::Operation(Operation::Delete)),
            (self.delete_all, Task::Operation(Operation::DeleteAll)),
            (self.empty, Task::Empty),
            (self.md5_sum, Task::FileDigest),
            (self.md5_sum_versioned, Task::ContentDigest),
            (self.cib_sync, Task::Sync),
            (self.cib_master || self.cib_slave, Task::Lead),
            (self.cib_ismaster, Task::IsMaster),
            (self.update || bare_user, Task::Operation(Operation::Modify)),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, task)| task)
    }

    fn has_input(&self) -> bool {
        self.xml_text.is_some() || self.xml_file.is_some() || self.xml_pipe
    }

    /// The object given, if one was. `Err` is the exit status; it has been explained.
    fn input(&self) -> Result<Option<Element>, u8> {
        let (bytes, name) = if let Some(text) = &self.xml_text {
            (Ok(text.clone().into_bytes()), "input string".to_string())
        } else if let Some(file) = &self.xml_file {
            (offline::read(file), file.display().to_string())
        } else if self.xml_pipe {
            (offline::read(std::path::Path::new("-")), "STDIN".to_string())
        } else {
            return Ok(None);
        };
        let refuse = |error: String| {
            eprintln!("cibadmin: {name}: {error}");
            eprintln!("Couldn't parse input from {name}.");
            exit::BAD_CONFIG
        };
        let bytes = bytes.map_err(|error| refuse(error.to_string()))?;
        Element::parse_bytes(&bytes).map(Some).map_err(|error| refuse(error.to_string()))
    }
}

const DANGEROUS: &str = "The supplied command is considered dangerous.  To prevent accidental destruction of the \
                         cluster, the --force flag is required in order to proceed.";

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match perform(&arguments) {
        Ok(()) => exit::OK,
        Err(status) => status,
    }
}

fn perform(arguments: &Arguments) -> Result<(), u8> {
    if arguments.version {
        return print::out(&format!("cibadmin (everbeat) {}\n", env!("CARGO_PKG_VERSION")));
    }
    let task = arguments.task();
    if task != Some(Task::Empty) && !arguments.operands.is_empty() {
        eprintln!("non-option ARGV-elements: {}", arguments.operands.join(" "));
        eprintln!("cibadmin: see cibadmin --help");
        return Err(exit::USAGE);
    }
    let Some(task) = task else {
        eprintln!("cibadmin: no command given; see cibadmin --help");
        return Err(exit::USAGE);
    };
    use Operation::{DeleteAll, Erase, Upgrade};
    let dangerous = matches!(task, Task::Operation(Upgrade | Erase | DeleteAll)) || arguments.no_bcast;
    if dangerous && !arguments.force {
        eprintln!("{DANGEROUS}");
        return Err(exit::UNSAFE);
    }
    let input = arguments.input()?;
    match task {
        Task::Empty => empty(arguments.operands.first()),
        Task::FileDigest => show_digest(input, "Digest: ", digest::file),
        Task::ContentDigest => {
            show_digest(input, &format!("Versioned ({}) digest: ", cib::FEATURE_SET), digest::versioned)
        }
        Task::Sync | Task::IsMaster if file_from_environment().is_some() => {
            eprintln!("cibadmin: CIB_file or CIB_shadow is set, and a file has no nodes");
            Err(exit::PROTOCOL)
        }
        Task::Sync => live_state(arguments).map(|_| ()),
        Task::IsMaster => is_master(arguments),
        Task::Lead => {
            eprintln!(
                "cibadmin: the node that decides on changes is the one the cluster elects (crmadmin -D); \
                 a node is taken out of service with crm_standby"
            );
            Err(exit::UNIMPLEMENTED)
        }
        Task::Operation(operation) => operate(arguments, operation, input),
    }
}

/// What a command of Heartbeat asks its daemon, answered by the cluster's state.
fn live_state(arguments: &Arguments) -> Result<ClusterState, u8> {
    let state = open(arguments)?.state().map_err(|error| {
        eprintln!("cibadmin: {error}");
        error.exit()
    })?;
    state.ok_or(exit::DISCONNECT)
}

fn is_master(arguments: &Arguments) -> Result<(), u8> {
    let state = live_state(arguments)?;
    if state.dc == state.node {
        eprintln!("CIB on {} _is_ the master instance", state.node);
        return Ok(());
    }
    eprintln!("CIB on {} is _not_ the master instance", state.node);
    Err(exit::ERROR)
}

/// The cluster, with the time it may take to answer.
fn open(arguments: &Arguments) -> Result<Source, u8> {
    let limit = timeout(arguments)?;
    let opened = Source::open("cibadmin").map(|mut source| {
        if let Some(client) = source.client() {
            client.set_timeout(limit);
        }
        if let Some(Some(name)) = &arguments.user {
            source.act_for(name);
        }
        source
    });
    opened.map_err(|error| {
        eprintln!("cibadmin: {error}");
        eprintln!("Could not connect to the CIB: Transport endpoint is not connected");
        eprintln!("Init failed, could not perform requested operations");
        error.exit()
    })
}

/// The time of `--timeout`; none, and 0, is no limit.
fn timeout(arguments: &Arguments) -> Result<Option<Duration>, u8> {
    let Some(text) = &arguments.timeout else { return Ok(None) };
    let Some(limit) = cib::model::parse_time(text) else {
        eprintln!(
            "cibadmin: --timeout: \"{text}\" is no time: expected seconds, or a number with ms, s, min or h"
        );
        return Err(exit::USAGE);
    };
    Ok(Some(limit).filter(|limit| !limit.is_zero()))
}

fn empty(schema: Option<&String>) -> Result<(), u8> {
    let mut root = Cib::empty().into_root();
    root.set_attr("epoch", "1");
    if let Some(schema) = schema {
        root.set_attr("validate-with", schema.as_str());
    }
    print::out(&root.to_xml())
}

fn show_digest(input: Option<Element>, label: &str, digest: fn(&Element) -> String) -> Result<(), u8> {
    let Some(input) = input else {
        eprintln!("Please supply XML to process with -X, -x or -p");
        return Err(exit::USAGE);
    };
    eprint!("{label}");
    let _ = io::stderr().flush();
    print::out(&format!("{}\n", digest(&input)))
}

fn operate(arguments: &Arguments, operation: Operation, input: Option<Element>) -> Result<(), u8> {
    let mut request = Request::new(operation);
    request.input = input;
    request.xpath = arguments.xpath.clone();
    request.section = arguments.scope.clone().filter(|_| arguments.xpath.is_none());
    request.options.allow_create = arguments.allow_create;
    request.options.no_children = arguments.no_children;
    request.options.node_path = arguments.node_path;
    request.options.multiple = operation == Operation::DeleteAll;
    request.options.dry_run = arguments.dry_run;
    if let Some(text) = &arguments.if_version {
        let version: Version = text.parse().map_err(|error| {
            eprintln!("cibadmin: {error}");
            exit::USAGE
        })?;
        request.if_version = Some(version);
    }
    // Paths and "without children" together: the ids alone.
    if let Some(style) = &arguments.show_access {
        return show(arguments, style.as_deref());
    }
    let ids_only = arguments.node_path && arguments.no_children && operation == Operation::Query;
    request.options.node_path &= !ids_only;
    let output = match file_from_environment() {
        Some(path) => in_file(arguments, &path, &request)?,
        None => in_cluster(arguments, &request)?,
    };
    match output {
        None if operation == Operation::Upgrade && file_from_environment().is_none() => {
            eprintln!("Upgrade unnecessary: Schema is already the latest available");
            Ok(())
        }
        None => Ok(()),
        Some(output) if ids_only => {
            let found =
                if output.name() == "xpath-query" { output.children().collect() } else { vec![&output] };
            let ids: String =
                found.iter().filter_map(|found| found.id()).map(|id| format!("{id}\n")).collect();
            print::out(&ids)
        }
        Some(output) if request.options.node_path && request.xpath.is_some() => {
            let paths = output.children().filter_map(Element::id);
            print::out(&paths.map(|path| format!("{path}\n")).collect::<String>())
        }
        Some(report) if operation == Operation::Upgrade => {
            let name = |attribute| report.attr(attribute).unwrap_or("");
            eprintln!("cibadmin: upgraded from {} to {}", name("from"), name("to"));
            for change in report.children() {
                eprintln!("cibadmin: {}", change.attr("text").unwrap_or(""));
            }
            Ok(())
        }
        Some(output) => print::out(&output.to_xml()),
    }
}

/// The whole configuration with the access of the user named.
fn show(arguments: &Arguments, style: Option<&str>) -> Result<(), u8> {
    let Some(Some(name)) = &arguments.user else {
        eprintln!("The supplied command requires -U user specified.");
        return Err(exit::USAGE);
    };
    let Some(style) = Style::from_word(style) else {
        eprintln!("Unrecognized value for --show-access: \"{}\"", style.unwrap_or(""));
        return Err(exit::USAGE);
    };
    let cib = match file_from_environment() {
        Some(path) => offline::load(&path).map_err(|error| {
            eprintln!("cibadmin: {error}");
            error.exit()
        })?,
        None => open(arguments)?.cib().map_err(|error| {
            eprintln!("cibadmin: {error}");
            error.exit()
        })?,
    };
    let groups = groups::of_user(name);
    print::out(&show_access::render(&cib, acl::User { name, groups: &groups }, style))
}

fn in_file(arguments: &Arguments, path: &std::path::Path, request: &Request) -> Result<Option<Element>, u8> {
    let no_connection = |error: &OfflineError| {
        eprintln!("cibadmin: {error}");
        eprintln!("Could not connect to the CIB: {}", error.classic());
        eprintln!("Init failed, could not perform requested operations");
        error.exit()
    };
    let before = offline::load(path).map_err(|error| no_connection(&error))?;
    let user = Asking::from(arguments);
    let denied = |error: acl::Denied| refused(&OpError::new(Code::Denied, error.to_string()));
    let seen = match request.op {
        Operation::Query => acl::filter(&before, user.user()).map_err(denied)?,
        _ => before.clone(),
    };
    let Applied { cib, output, changed } = cib::apply(&seen, request).map_err(|error| refused(&error))?;
    if changed && request.op != Operation::Query {
        acl::check(&before, &cib, user.user()).map_err(denied)?;
    }
    if changed && !request.options.dry_run {
        offline::save(path, &cib).map_err(|error| {
            eprintln!("cibadmin: {error}");
            error.exit()
        })?;
    }
    Ok(output)
}

/// Who asks: the user of `-U`, else of `CIB_user`; nobody in particular otherwise, who may do everything to a file he
/// can write.
struct Asking {
    name: String,
    groups: Vec<String>,
}

impl Asking {
    fn from(arguments: &Arguments) -> Asking {
        let given = arguments.user.clone().flatten().or_else(|| std::env::var("CIB_user").ok());
        let name = given.unwrap_or_default();
        let groups = groups::of_user(&name);
        Asking { name, groups }
    }

    fn user(&self) -> acl::User<'_> {
        acl::User { name: &self.name, groups: &self.groups }
    }
}

/// Tell of a refusal in the words administrators know; its exit status.
fn refused(error: &OpError) -> u8 {
    match (error.code, &error.output) {
        (Code::Schema, _) => {
            for line in error.text.lines() {
                eprintln!("cibadmin: {line}");
            }
            eprintln!("Call failed: {}", error.code.text());
        }
        (_, output) => {
            if let Some(output) = output {
                let _ = print::out(&output.to_xml());
            }
            eprintln!("Call failed: {error}");
        }
    }
    error.code.exit()
}

fn in_cluster(arguments: &Arguments, request: &Request) -> Result<Option<Element>, u8> {
    let mut source = open(arguments)?;
    if arguments.local {
        source.set_freshness("local");
    } else if arguments.confirmed {
        source.set_freshness("confirmed");
    }
    source.apply(request, arguments.force).map_err(|error| {
        match &error {
            SourceError::Refused { code, text } => {
                match classic(*code).filter(|words| !text.starts_with(words)) {
                    Some(words) => eprintln!("Call failed: {words}: {text}"),
                    None => eprintln!("Call failed: {text}"),
                }
            }
            SourceError::Client(ClientError::Timeout(_)) => eprintln!("{error}"),
            other => eprintln!("Call {} failed: {other}", request.op.name()),
        }
        error.exit()
    })
}

/// The words administrators know for an exit status, where there is one cause of it.
fn classic(status: u8) -> Option<&'static str> {
    let codes = [
        Code::Exists,
        Code::NotFound,
        Code::Denied,
        Code::NoQuorum,
        Code::OldData,
        Code::Schema,
        Code::Protocol,
    ];
    codes.into_iter().find(|code| code.exit() == status).map(Code::text)
}
