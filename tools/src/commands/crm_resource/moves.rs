//! `--move`, `--ban` and `--clear`: location constraints that administrators make in a hurry.

use cib::{Element, Operation, Request};
use crm_core::policy::ix::ResourceIx;
use crm_core::policy::state::Role;

use super::{Arguments, Failure, unknown, wanted};
use crate::exit;
use crate::source::Source;
use crate::view::View;

/// Makes a preference for a node, or a ban.
pub(super) fn place(source: &mut Source, view: &View, arguments: &Arguments) -> Result<(), Failure> {
    let id = wanted(arguments)?;
    let found = view.resource(id).ok_or_else(|| unknown(id))?;
    if id.contains(':') && view.state[found].config_id() != id {
        return Err(Failure::new(2, format!("Cannot operate on clone resource instance '{id}'")));
    }
    let target = view.constrained(found);
    let name = view.state[target].config_id().to_owned();
    if name != id && !arguments.quiet {
        println!("Using parent '{name}' for move instead of '{id}'.");
    }
    if let Some(node) = &arguments.node
        && view.node(node).is_none()
    {
        return Err(Failure::new(
            exit::NOSUCH,
            format!("Node '{node}' not found\nError performing operation: No such object"),
        ));
    }
    let role = if arguments.promoted { "Promoted" } else { "Started" };
    let until = arguments.lifetime.as_deref().map(end_of).transpose()?;
    if let Some(until) = &until
        && !arguments.quiet
    {
        println!("Migration will take effect until: {until}");
    }
    match (&arguments.node, arguments.r#move) {
        (Some(node), true) => prefer(source, view, target, &name, node, role, until.as_deref(), arguments),
        (Some(node), false) => ban(source, &name, node, role, until.as_deref(), arguments),
        (None, _) => {
            let node = present(view, target, id, arguments.promoted)?;
            ban(source, &name, &node, role, until.as_deref(), arguments)
        }
    }
}

/// The one node that the resource would be moved away from.
fn present(view: &View, target: ResourceIx, id: &str, promoted: bool) -> Result<String, Failure> {
    let mut active = view.active(target);
    let places = active.len();
    active.retain(|(_, role)| !promoted || *role == Role::Promoted);
    match active.as_slice() {
        [(node, _)] => Ok(node.clone()),
        _ => Err(Failure::new(
            exit::USAGE,
            format!(
                "Resource '{id}' not moved: active in {places} locations.\n\
                 To prevent '{id}' from running on a specific location, specify a node."
            ),
        )),
    }
}

#[allow(clippy::too_many_arguments)] // one constraint, spelled out
fn prefer(
    source: &mut Source,
    view: &View,
    target: ResourceIx,
    name: &str,
    node: &str,
    role: &str,
    until: Option<&str>,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let active = view.active(target);
    let there = matches!(active.as_slice(), [(only, _)] if only.eq_ignore_ascii_case(node));
    if there && !arguments.force {
        return Err(Failure::new(
            exit::EXISTS,
            format!(
                "{name} is already active on {node}\nError performing operation: Requested item already exists"
            ),
        ));
    }
    remove(source, &format!("cli-prefer-{name}"))?;
    remove(source, &format!("cli-ban-{name}-on-{node}"))?;
    if arguments.force
        && let [(present, _)] = active.as_slice()
        && !there
    {
        ban(source, name, present, role, until, arguments)?;
    }
    let id = format!("cli-prefer-{name}");
    let ids = RuleIds {
        rule: format!("cli-prefer-rule-{name}"),
        expression: format!("cli-prefer-expr-{name}"),
        end: format!("cli-prefer-lifetime-end-{name}"),
    };
    create(source, location(&id, name, role, node, "INFINITY", until, &ids), arguments.force)
}

fn ban(
    source: &mut Source,
    name: &str,
    node: &str,
    role: &str,
    until: Option<&str>,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let id = format!("cli-ban-{name}-on-{node}");
    if !arguments.quiet {
        let promoted = if role == "Promoted" { "being promoted" } else { "running" };
        eprintln!(
            "WARNING: Creating rsc_location constraint '{id}' with a score of -INFINITY for resource {name} on {node}.\n\
             \tThis will prevent {name} from {promoted} on {node} until the constraint is removed using the clear \
             option or by editing the CIB with an appropriate tool\n\
             \tThis will be the case even if {node} is the last node in the cluster"
        );
    }
    remove(source, &id)?;
    remove(source, &format!("cli-prefer-{name}"))?;
    let ids = RuleIds {
        rule: format!("{id}-rule"),
        expression: format!("{id}-expr"),
        end: format!("{id}-lifetime"),
    };
    create(source, location(&id, name, role, node, "-INFINITY", until, &ids), arguments.force)
}

struct RuleIds {
    rule: String,
    expression: String,
    end: String,
}

fn location(
    id: &str,
    name: &str,
    role: &str,
    node: &str,
    score: &str,
    until: Option<&str>,
    ids: &RuleIds,
) -> Element {
    let constraint =
        Element::new("rsc_location").with_attr("id", id).with_attr("rsc", name).with_attr("role", role);
    let Some(until) = until else {
        return constraint.with_attr("node", node).with_attr("score", score);
    };
    let place = Element::new("expression")
        .with_attr("id", ids.expression.as_str())
        .with_attr("attribute", "#uname")
        .with_attr("operation", "eq")
        .with_attr("value", node)
        .with_attr("type", "string");
    let end = Element::new("date_expression")
        .with_attr("id", ids.end.as_str())
        .with_attr("operation", "lt")
        .with_attr("end", until);
    let rule = Element::new("rule")
        .with_attr("id", ids.rule.as_str())
        .with_attr("score", score)
        .with_attr("boolean-op", "and");
    constraint.with_child(rule.with_child(place).with_child(end))
}

fn create(source: &mut Source, constraint: Element, force: bool) -> Result<(), Failure> {
    let input = Element::new("constraints").with_child(constraint);
    let request = Request::new(Operation::Modify).section("constraints").input(input).allow_create();
    source.apply(&request, force)?;
    Ok(())
}

fn remove(source: &mut Source, id: &str) -> Result<(), Failure> {
    let element = Element::new("rsc_location").with_attr("id", id);
    source.apply(&Request::new(Operation::Delete).section("constraints").input(element), false)?;
    Ok(())
}

/// The moment a duration from now, as the reference writes it: `2026-11-20 15:40:56Z`.
fn end_of(period: &str) -> Result<String, Failure> {
    let bad = |why: String| {
        Failure::new(exit::USAGE, format!("\"{period}\" is no duration like PT1H or P1D: {why}"))
    };
    let span: jiff::Span = period.parse().map_err(|error: jiff::Error| bad(error.to_string()))?;
    let now = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC);
    let end = now.checked_add(span).map_err(|error| bad(error.to_string()))?;
    Ok(end.strftime("%Y-%m-%d %H:%M:%SZ").to_string())
}

/// Removes what moves and bans have left.
pub(super) fn clear(source: &mut Source, view: &View, arguments: &Arguments) -> Result<(), Failure> {
    let id = wanted(arguments)?;
    let found = view.resource(id).ok_or_else(|| unknown(id))?;
    let name = view.state[view.constrained(found)].config_id().to_owned();
    let constraints = view.cib.root().path(&["configuration", "constraints"]);
    let made: Vec<&Element> = constraints
        .into_iter()
        .flat_map(|constraints| constraints.children_named("rsc_location"))
        .filter(|constraint| is_ours(constraint, &name, arguments.node.as_deref()))
        .filter(|constraint| !arguments.expired || has_expired(constraint))
        .collect();
    for constraint in made {
        let id = constraint.id().unwrap_or_default();
        remove(source, id)?;
        if !arguments.quiet {
            println!("Removing constraint: {id}");
        }
    }
    Ok(())
}

/// Whether a constraint was made by a move or a ban of this resource (for this node).
fn is_ours(constraint: &Element, name: &str, node: Option<&str>) -> bool {
    let id = constraint.id().unwrap_or_default();
    let Some(node) = node else {
        return id == format!("cli-prefer-{name}")
            || id == format!("cli-standby-{name}")
            || id.strip_prefix(&format!("cli-ban-{name}-on-")).is_some_and(|rest| !rest.is_empty());
    };
    let named = constraint.attr("node").map(str::to_owned).or_else(|| {
        let expression = constraint.path(&["rule", "expression"])?;
        expression.attr("value").map(str::to_owned)
    });
    id == format!("cli-ban-{name}-on-{node}")
        || (id == format!("cli-prefer-{name}") && named.is_some_and(|named| named.eq_ignore_ascii_case(node)))
}

fn has_expired(constraint: &Element) -> bool {
    let end = constraint.path(&["rule", "date_expression"]).and_then(|date| date.attr("end"));
    let Some(end) = end else { return false };
    let end: Result<jiff::Timestamp, _> = end.replacen(' ', "T", 1).parse();
    end.is_ok_and(|end| end < jiff::Timestamp::now())
}
