//! `crm_resource`: where resources are, and moving, cleaning and changing them.

mod agents;
mod listing;
mod moves;
mod parameters;
mod why;

use std::ffi::OsString;

use clap::Parser;

use crate::api::proto::{CleanupRequest, FailRequest};
use crate::exit;
use crate::source::{Source, SourceError};
use crate::view::View;

/// Query and manage resources.
#[derive(Parser)]
#[command(name = "crm_resource", disable_version_flag = true)]
pub(super) struct Arguments {
    /// List all resources with their state (the default).
    #[arg(short = 'L', long)]
    list: bool,
    /// List the ids of all resources, instances too.
    #[arg(short = 'l', long)]
    list_raw: bool,
    /// Where the resource runs.
    #[arg(short = 'W', long)]
    locate: bool,
    /// Its element, after what it takes from a template.
    #[arg(short = 'q', long, short_alias = 'x')]
    query_xml: bool,
    /// Its element as it is written.
    #[arg(short = 'w', long)]
    query_xml_raw: bool,
    /// Why it runs where it does, or nowhere, and the smallest change that would let it run; on a node with -N.
    #[arg(short = 'Y', long)]
    why: bool,
    /// Its location and colocation constraints, and what each means.
    #[arg(short = 'a', long)]
    constraints: bool,
    /// The same, following colocations from resource to resource.
    #[arg(short = 'A', long)]
    stack: bool,
    /// With --constraints: as --stack.
    #[arg(long)]
    recursive: bool,
    /// For --why and --constraints: text, json or xml.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_as: String,
    /// Print a parameter.
    #[arg(short = 'g', long, value_name = "NAME")]
    get_parameter: Option<String>,
    /// Set a parameter, to -v.
    #[arg(short = 'p', long, value_name = "NAME")]
    set_parameter: Option<String>,
    /// Delete a parameter.
    #[arg(short = 'd', long, value_name = "NAME")]
    delete_parameter: Option<String>,
    /// Prefer a node (-N), or leave the present one.
    #[arg(short = 'M', long, visible_aliases = ["migrate"])]
    r#move: bool,
    /// Keep the resource from a node (-N, else the present one).
    #[arg(short = 'B', long)]
    ban: bool,
    /// Remove what --move and --ban made.
    #[arg(short = 'U', long, visible_aliases = ["un-move", "un-migrate"])]
    clear: bool,
    /// With --clear: only what has expired.
    #[arg(short = 'e', long)]
    expired: bool,
    /// For --move and --ban: only for this long (ISO 8601 duration, like PT1H).
    #[arg(short = 'u', long)]
    lifetime: Option<String>,
    /// For --move and --ban: the promoted role only.
    #[arg(long, visible_alias = "master")]
    promoted: bool,
    /// Forget failures, so that the resource is tried again.
    #[arg(short = 'C', long)]
    cleanup: bool,
    /// Forget the whole history, so that the resource is probed again.
    #[arg(short = 'R', long, short_alias = 'P', visible_alias = "reprobe")]
    refresh: bool,
    /// Record a failure of the resource on a node (-N).
    #[arg(short = 'F', long)]
    fail: bool,
    /// Delete the resource from the configuration (-t: primitive, group, clone, …).
    #[arg(short = 'D', long)]
    delete: bool,
    /// The classes of agents of this machine.
    #[arg(long)]
    list_standards: bool,
    /// The providers of OCF agents.
    #[arg(long)]
    list_ocf_providers: bool,
    /// The providers that have this OCF agent.
    #[arg(long, value_name = "TYPE")]
    list_ocf_alternatives: Option<String>,
    /// The agents of a class, for ocf also of one provider.
    #[arg(long, value_name = "CLASS[:PROVIDER]")]
    list_agents: Option<String>,
    /// What an agent says about itself.
    #[arg(long, value_name = "CLASS[:PROVIDER]:TYPE")]
    show_metadata: Option<String>,
    /// The resource.
    #[arg(short = 'r', long, value_name = "ID")]
    resource: Option<String>,
    /// The node.
    #[arg(short = 'N', long, visible_aliases = ["host-uname"], short_alias = 'H')]
    node: Option<String>,
    /// Meta attributes instead of parameters.
    #[arg(short = 'm', long)]
    meta: bool,
    /// Utilization attributes instead of parameters.
    #[arg(short = 'z', long)]
    utilization: bool,
    /// Value for --set-parameter.
    #[arg(short = 'v', long, allow_hyphen_values = true, value_name = "VALUE")]
    parameter_value: Option<String>,
    /// Id of the attribute set.
    #[arg(short = 's', long)]
    set_name: Option<String>,
    /// Id of the attribute.
    #[arg(short = 'i', long)]
    nvpair: Option<String>,
    /// Kind of element for --delete.
    #[arg(short = 't', long)]
    resource_type: Option<String>,
    /// For --cleanup: only failures of this operation.
    #[arg(short = 'n', long)]
    operation: Option<String>,
    /// For --cleanup: of this interval.
    #[arg(short = 'I', long)]
    interval: Option<String>,
    /// Do it although there is a reason not to.
    #[arg(short = 'f', long)]
    force: bool,
    /// Print the answer only.
    #[arg(short = 'Q', long)]
    quiet: bool,
    /// Accepted.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Why a command failed: what to print, and the exit status.
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) status: u8,
}

impl Failure {
    pub(super) fn new(status: u8, text: impl Into<String>) -> Self {
        Self { text: text.into(), status }
    }
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self { status: error.exit(), text: error.to_string() }
    }
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    match act(&arguments) {
        Ok(()) => exit::OK,
        Err(failure) => {
            for line in failure.text.lines() {
                // The sentence of the exit status stands by itself, as in the reference.
                let name = if line.starts_with("Error performing operation") { "" } else { "crm_resource: " };
                eprintln!("{name}{line}");
            }
            failure.status
        }
    }
}

fn act(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(result) = agents::act(arguments) {
        return result;
    }
    let mut source = Source::open("crm_resource")?;
    if arguments.cleanup || arguments.refresh {
        return cleanup(&mut source, arguments);
    }
    if arguments.fail {
        return fail(&mut source, arguments);
    }
    let cib = source.cib()?;
    let view = View::new(&cib);
    if arguments.list_raw {
        return listing::raw(&view);
    }
    if arguments.why || arguments.constraints || arguments.stack {
        let form = match arguments.output_as.as_str() {
            "text" => why::Form::Text,
            "json" => why::Form::Json,
            "xml" => why::Form::Xml,
            other => {
                let text = format!("\"{other}\" is no output format here: expected text, json or xml");
                return Err(Failure::new(exit::NOSUCH, text));
            }
        };
        if arguments.why {
            return why::why(&view, arguments, form);
        }
        let recursive = arguments.stack || arguments.recursive;
        return why::constraints(&view, wanted(arguments)?, recursive, form);
    }
    if arguments.locate {
        return listing::locate(&view, wanted(arguments)?, arguments.quiet);
    }
    if arguments.query_xml || arguments.query_xml_raw {
        return listing::xml(&view, wanted(arguments)?, arguments.query_xml);
    }
    if arguments.r#move || arguments.ban {
        return moves::place(&mut source, &view, arguments);
    }
    if arguments.clear {
        return moves::clear(&mut source, &view, arguments);
    }
    if arguments.get_parameter.is_some()
        || arguments.set_parameter.is_some()
        || arguments.delete_parameter.is_some()
    {
        return parameters::act(&mut source, &view, arguments);
    }
    if arguments.delete {
        return delete(&mut source, arguments);
    }
    listing::all(&view)
}

/// The resource that most commands need.
pub(super) fn wanted(arguments: &Arguments) -> Result<&str, Failure> {
    arguments
        .resource
        .as_deref()
        .ok_or_else(|| Failure::new(exit::USAGE, "Must supply a resource id with -r"))
}

/// The failure for an id that no resource has.
pub(super) fn unknown(id: &str) -> Failure {
    Failure::new(
        exit::NOSUCH,
        format!("Resource '{id}' not found\nError performing operation: No such object"),
    )
}

fn cleanup(source: &mut Source, arguments: &Arguments) -> Result<(), Failure> {
    let Some(client) = source.client() else {
        println!("Dry run: skipping clean-up due to CIB_file");
        return Ok(());
    };
    let interval = arguments.interval.as_deref().and_then(crm_core::policy::values::parse_duration_ms);
    let reply = client
        .cleanup(CleanupRequest {
            resource: arguments.resource.clone().unwrap_or_default(),
            node: arguments.node.clone().unwrap_or_default(),
            only_failed: arguments.cleanup,
            operation: arguments.operation.clone().unwrap_or_default(),
            interval_ms: interval.unwrap_or_default(),
        })
        .map_err(SourceError::from)?;
    answered(reply.code, reply.error)?;
    let what = arguments.resource.as_deref().unwrap_or("all resources");
    let place = arguments.node.as_deref().unwrap_or("all nodes");
    if !arguments.quiet {
        println!("Cleaned up {what} on {place}");
    }
    Ok(())
}

fn fail(source: &mut Source, arguments: &Arguments) -> Result<(), Failure> {
    let resource = wanted(arguments)?.to_owned();
    let node =
        arguments.node.clone().ok_or_else(|| Failure::new(exit::USAGE, "Must supply a node with -N"))?;
    let client =
        source.client().ok_or_else(|| Failure::new(exit::USAGE, "this needs the running cluster"))?;
    let reply = client.fail(FailRequest { resource, node }).map_err(SourceError::from)?;
    answered(reply.code, reply.error)
}

fn answered(code: u32, error: String) -> Result<(), Failure> {
    if code == 0 {
        return Ok(());
    }
    Err(Failure::new(u8::try_from(code).unwrap_or(exit::ERROR), error))
}

fn delete(source: &mut Source, arguments: &Arguments) -> Result<(), Failure> {
    let resource = wanted(arguments)?;
    let kind = arguments
        .resource_type
        .as_deref()
        .ok_or_else(|| Failure::new(exit::USAGE, "You need to specify a resource type with -t"))?;
    let element = cib::Element::new(kind).with_attr("id", resource);
    let request = cib::Request::new(cib::Operation::Delete).section("resources").input(element);
    source.apply(&request, arguments.force)?;
    Ok(())
}
