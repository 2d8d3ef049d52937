//! `crm_attribute`: cluster options, defaults and node attributes; `crm_standby` is a face of it.

use std::ffi::OsString;

use clap::Parser;

use crate::api::proto::SetAttributeRequest;
use crate::attribute::{self, Found, Scope, Selection};
use crate::exit;
use crate::source::{Source, SourceError};

/// Query and change cluster options and node attributes.
#[derive(Parser, Default)]
#[command(name = "crm_attribute", disable_version_flag = true)]
struct Arguments {
    /// Name of the attribute.
    #[arg(short = 'n', long)]
    name: Option<String>,
    /// Id of the attribute.
    #[arg(short = 'i', long = "attr-id", visible_alias = "id")]
    id: Option<String>,
    /// Id of the attribute set.
    #[arg(short = 's', long)]
    set_name: Option<String>,
    /// Print the value (the default).
    #[arg(short = 'G', long)]
    query: bool,
    /// Set this value; X++ and X+=N count on from the present one.
    #[arg(short = 'v', long, value_name = "VALUE", allow_hyphen_values = true)]
    update: Option<String>,
    /// Delete the attribute.
    #[arg(short = 'D', long)]
    delete: bool,
    /// An attribute of this node.
    #[arg(short = 'N', long, visible_aliases = ["uname", "node-uuid"], short_aliases = ['U', 'u'])]
    node: Option<String>,
    /// Kept until the node restarts (reboot) or for ever (forever).
    #[arg(short = 'l', long, value_name = "reboot|forever")]
    lifetime: Option<String>,
    /// Which part: crm_config, rsc_defaults, op_defaults, nodes, status.
    #[arg(short = 't', long = "type", value_name = "SECTION")]
    section: Option<String>,
    /// A utilization attribute of the node.
    #[arg(short = 'z', long)]
    utilization: bool,
    /// Print this if there is no such attribute.
    #[arg(short = 'd', long)]
    default: Option<String>,
    /// Print the value only.
    #[arg(short = 'q', long, visible_alias = "quiet", short_alias = 'Q')]
    quiet: bool,
    /// Accepted; details are always in the error.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// Put a node in standby, or end that.
#[derive(Parser)]
#[command(name = "crm_standby", disable_version_flag = true)]
struct Standby {
    /// Print the present value (the default).
    #[arg(short = 'G', long)]
    query: bool,
    /// on or off (true and false are understood).
    #[arg(short = 'v', long, value_name = "on|off")]
    update: Option<String>,
    /// Remove the attribute: the node is active.
    #[arg(short = 'D', long)]
    delete: bool,
    /// The node; this one if absent.
    #[arg(short = 'N', long, visible_aliases = ["uname"], short_aliases = ['U', 'u'])]
    node: Option<String>,
    /// Until the node restarts (reboot) or for ever (forever, the default).
    #[arg(short = 'l', long)]
    lifetime: Option<String>,
    /// Id of the attribute.
    #[arg(short = 'i', long)]
    id: Option<String>,
    /// Print the value only.
    #[arg(short = 'q', long, short_alias = 'Q')]
    quiet: bool,
}

/// Why the command failed: the message and the exit status.
type Failure = (String, u8);

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => finish(name, &attribute(name, &arguments)),
        Err(status) => status,
    }
}

pub fn run_standby(name: &str, arguments: Vec<OsString>) -> u8 {
    let asked = match super::parse::<Standby>(name, arguments) {
        Ok(asked) => asked,
        Err(status) => return status,
    };
    finish(name, &standby(name, asked))
}

fn finish(name: &str, result: &Result<(), Failure>) -> u8 {
    match result {
        Ok(()) => exit::OK,
        Err((text, status)) => {
            eprintln!("{name}: {text}");
            *status
        }
    }
}

fn failed(error: &SourceError) -> Failure {
    (error.to_string(), error.exit())
}

fn standby(name: &str, asked: Standby) -> Result<(), Failure> {
    let mut source = Source::open(name).map_err(|error| failed(&error))?;
    let value = asked.update.map(|value| match value.as_str() {
        "true" | "yes" | "1" => "on".to_owned(),
        "false" | "no" | "0" => "off".to_owned(),
        _ => value,
    });
    if let Some(value) = &value
        && !matches!(value.as_str(), "on" | "off")
    {
        return Err((format!("\"{value}\" is no value for -v: expected on or off"), exit::USAGE));
    }
    let node = match asked.node {
        Some(node) => node,
        None => own_name(&mut source)?,
    };
    let query = value.is_none() && !asked.delete;
    let arguments = |lifetime: &str, default: Option<&str>| Arguments {
        name: Some("standby".into()),
        id: asked.id.clone(),
        update: value.clone(),
        delete: asked.delete,
        node: Some(node.clone()),
        lifetime: Some(lifetime.to_owned()),
        default: default.map(str::to_owned),
        quiet: asked.quiet,
        ..Arguments::default()
    };
    if query && asked.lifetime.is_none() {
        let forever = arguments("forever", None);
        let scope = scope_of(&mut source, &forever)?;
        let cib = source.cib().map_err(|error| failed(&error))?;
        if !attribute::find(&cib, &scope, &selection(&forever)).is_empty() {
            return act(&mut source, &scope, &forever);
        }
        let reboot = arguments("reboot", Some("off"));
        let scope = scope_of(&mut source, &reboot)?;
        return act(&mut source, &scope, &reboot);
    }
    let lifetime = asked.lifetime.as_deref().unwrap_or("forever");
    let arguments = arguments(lifetime, Some("off"));
    let scope = scope_of(&mut source, &arguments)?;
    act(&mut source, &scope, &arguments)
}

/// The name of the node that this machine is.
pub(super) fn own_name(source: &mut Source) -> Result<String, Failure> {
    match source.state().map_err(|error| failed(&error))? {
        Some(state) => Ok(state.node),
        None => nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .map_err(|error| (format!("this machine's name is not known: {error}"), exit::OSERR)),
    }
}

fn attribute(name: &str, arguments: &Arguments) -> Result<(), Failure> {
    let mut source = Source::open(name).map_err(|error| failed(&error))?;
    let scope = scope_of(&mut source, arguments)?;
    act(&mut source, &scope, arguments)
}

fn selection(arguments: &Arguments) -> Selection {
    Selection { name: arguments.name.clone(), id: arguments.id.clone(), set: arguments.set_name.clone() }
}

fn scope_of(source: &mut Source, arguments: &Arguments) -> Result<Scope, Failure> {
    let lifetime = arguments.lifetime.as_deref();
    if !matches!(lifetime, None | Some("reboot" | "forever")) {
        return Err(("the lifetime is reboot or forever".into(), exit::USAGE));
    }
    let section = arguments.section.as_deref();
    let of_node =
        arguments.node.is_some() || matches!(section, Some("nodes" | "status")) || lifetime.is_some();
    if of_node {
        let cib = source.cib().map_err(|error| failed(&error))?;
        let name = match &arguments.node {
            Some(name) => name.clone(),
            None => own_name(source)?,
        };
        let id = attribute::node_id(&cib, &name)
            .ok_or_else(|| (format!("Could not map name={name} to a UUID"), exit::NOSUCH))?;
        if lifetime == Some("reboot") || section == Some("status") {
            return Ok(Scope::Status { id });
        }
        return Ok(Scope::Node { id, utilization: arguments.utilization });
    }
    match section {
        None | Some("crm_config") => Ok(Scope::CrmConfig),
        Some("rsc_defaults") => Ok(Scope::RscDefaults),
        Some("op_defaults") => Ok(Scope::OpDefaults),
        Some("tickets") => {
            let id = arguments.name.clone().unwrap_or_default();
            Ok(Scope::Ticket { id })
        }
        Some(other) => Err((
            format!(
                "\"{other}\" is no section for -t: expected crm_config, rsc_defaults, op_defaults, nodes, status"
            ),
            exit::USAGE,
        )),
    }
}

fn act(source: &mut Source, scope: &Scope, arguments: &Arguments) -> Result<(), Failure> {
    let cib = source.cib().map_err(|error| failed(&error))?;
    let selection = selection(arguments);
    let found = attribute::find(&cib, scope, &selection);
    if let Some(value) = &arguments.update {
        return update(source, scope, &selection, &found, value, arguments);
    }
    if arguments.delete {
        return delete(source, scope, &found, arguments);
    }
    query(scope, &selection, &found, arguments)
}

fn query(
    scope: &Scope,
    selection: &Selection,
    found: &[Found],
    arguments: &Arguments,
) -> Result<(), Failure> {
    let print = |name: &str, value: &str| {
        if arguments.quiet {
            println!("{value}");
        } else {
            println!("scope={}  name={name} value={value}", scope.word());
        }
    };
    if found.is_empty() {
        let name = selection.name.as_deref().unwrap_or_default();
        let Some(default) = &arguments.default else {
            return Err(("Error performing operation: No such device or address".into(), exit::NOSUCH));
        };
        print(name, default);
    }
    for found in found {
        print(&found.name, &found.value);
    }
    Ok(())
}

fn several(found: &[Found]) -> String {
    let name = found.first().map(|found| found.name.as_str()).unwrap_or_default();
    let lines = found.iter().map(|found| format!("\n  Value: {} \t(id={})", found.value, found.id));
    format!("Multiple attributes match name={name}{}", lines.collect::<String>())
}

fn update(
    source: &mut Source,
    scope: &Scope,
    selection: &Selection,
    found: &[Found],
    value: &str,
    arguments: &Arguments,
) -> Result<(), Failure> {
    if selection.name.is_none() && selection.id.is_none() {
        return Err(("an update needs the attribute's name (-n)".into(), exit::USAGE));
    }
    if found.len() > 1 {
        let text = several(found);
        let advice = "Please choose from one of the matches below and supply the 'id' with --attr-id";
        return Err((format!("{text}\n{advice}"), exit::MULTIPLE));
    }
    let present = found.first().map_or("", |found| found.value.as_str());
    let value = count_on(value, selection.name.as_deref().unwrap_or_default(), present);
    if let Some(request) = transient(scope, selection, arguments, Some(value.clone()))
        && let Some(client) = source.client()
    {
        return answered(client.set_attribute(request));
    }
    let request = attribute::set(scope, selection, found.first(), &value);
    source.apply(&request, false).map(drop).map_err(|error| failed(&error))
}

fn delete(source: &mut Source, scope: &Scope, found: &[Found], arguments: &Arguments) -> Result<(), Failure> {
    let found = match found {
        [] => return Ok(()),
        [one] => one,
        _ => {
            println!("{}", several(found));
            return Ok(());
        }
    };
    let selection = Selection { name: Some(found.name.clone()), ..Selection::default() };
    if let Some(request) = transient(scope, &selection, arguments, None)
        && let Some(client) = source.client()
    {
        return answered(client.set_attribute(request));
    }
    source.apply(&attribute::delete(scope, found), false).map_err(|error| failed(&error))?;
    if !arguments.quiet {
        let what =
            if matches!(scope, Scope::Node { .. } | Scope::Status { .. }) { "attribute" } else { "option" };
        println!("Deleted {} {what}: id={} name={}", scope.word(), found.id, found.name);
    }
    Ok(())
}

/// A live node's transient attributes are its own to set.
fn transient(
    scope: &Scope,
    selection: &Selection,
    arguments: &Arguments,
    value: Option<String>,
) -> Option<SetAttributeRequest> {
    let Scope::Status { id } = scope else { return None };
    Some(SetAttributeRequest {
        node: arguments.node.clone().unwrap_or_else(|| id.clone()),
        name: selection.name.clone()?,
        value,
        transient: true,
        user: std::env::var("CIB_user").unwrap_or_default(),
        client: "crm_attribute".to_owned(),
    })
}

fn answered(
    reply: Result<crate::api::proto::ActionReply, crate::api::client::ClientError>,
) -> Result<(), Failure> {
    let reply = reply.map_err(|error| (error.to_string(), error.exit()))?;
    if reply.code == 0 {
        return Ok(());
    }
    Err((reply.error, u8::try_from(reply.code).unwrap_or(exit::ERROR)))
}

/// `X++` and `X+=N` against the present value, where X is the attribute's own name.
fn count_on(value: &str, name: &str, present: &str) -> String {
    let number = || present.parse::<i64>().unwrap_or(0);
    if let Some(rest) = value.strip_prefix(name) {
        if rest == "++" {
            return number().saturating_add(1).to_string();
        }
        if let Some(step) = rest.strip_prefix("+=").and_then(|step| step.parse::<i64>().ok()) {
            return number().saturating_add(step).to_string();
        }
    }
    value.to_owned()
}

#[cfg(test)]
mod tests {
    use super::count_on;

    #[test]
    fn counting_goes_on_from_the_present_value() {
        assert_eq!(count_on("x++", "x", "4"), "5");
        assert_eq!(count_on("x+=3", "x", "4"), "7");
        assert_eq!(count_on("x++", "y", "4"), "x++");
        assert_eq!(count_on("-INFINITY", "x", ""), "-INFINITY");
    }
}
