//! Reading, setting and deleting parameters, meta attributes and utilization of one resource.

use cib::{Element, Operation, Request};

use super::{Arguments, Failure, unknown, wanted};
use crate::exit;
use crate::source::Source;
use crate::view::View;

pub(super) fn act(source: &mut Source, view: &View, arguments: &Arguments) -> Result<(), Failure> {
    let id = wanted(arguments)?;
    let base = id.split_once(':').map_or(id, |(base, _)| base);
    let element = view.element(base).ok_or_else(|| unknown(id))?;
    let kind = match (arguments.meta, arguments.utilization) {
        (true, _) => "meta_attributes",
        (_, true) => "utilization",
        _ => "instance_attributes",
    };
    if let Some(name) = &arguments.get_parameter {
        return get(view, id, element, kind, name);
    }
    if let Some(name) = &arguments.delete_parameter {
        return delete(source, base, element, kind, name, arguments);
    }
    let name = arguments.set_parameter.as_deref().unwrap_or_default();
    set(source, base, element, kind, name, arguments)
}

struct Pair {
    id: String,
    set: String,
    value: String,
}

fn find(element: &Element, kind: &str, name: &str, arguments: &Arguments) -> Vec<Pair> {
    let sets = element.children_named(kind);
    let sets = sets.filter(|set| arguments.set_name.as_deref().is_none_or(|wanted| set.id() == Some(wanted)));
    sets.flat_map(|set| {
        let pairs = set.children_named("nvpair").filter(|pair| {
            pair.attr("name") == Some(name)
                && arguments.nvpair.as_deref().is_none_or(|wanted| pair.id() == Some(wanted))
        });
        pairs.map(|pair| Pair {
            id: pair.id().unwrap_or_default().to_owned(),
            set: set.id().unwrap_or_default().to_owned(),
            value: pair.attr("value").unwrap_or_default().to_owned(),
        })
    })
    .collect()
}

fn get(view: &View, id: &str, element: &Element, kind: &str, name: &str) -> Result<(), Failure> {
    // Parameters and options are what the engine makes of templates, rules and defaults.
    let evaluated = view.resource(id).and_then(|r| match kind {
        "meta_attributes" => view.state[r].meta(name).map(str::to_owned),
        "utilization" => view.state[r].utilization.get(name).map(ToString::to_string),
        _ => view.state[r].parameters.get(name).map(ToString::to_string),
    });
    let written = || {
        let pairs = element.children_named(kind).flat_map(|set| set.children_named("nvpair"));
        pairs
            .filter(|pair| pair.attr("name") == Some(name))
            .find_map(|pair| pair.attr("value").map(str::to_owned))
    };
    match evaluated.or_else(written) {
        Some(value) => println!("{value}"),
        None => eprintln!("Attribute '{name}' not found for '{id}'"),
    }
    Ok(())
}

fn several(name: &str, found: &[Pair]) -> Failure {
    let lines: String =
        found.iter().map(|pair| format!("\n  Value: {} \t(id={})", pair.value, pair.id)).collect();
    Failure::new(exit::MULTIPLE, format!("Multiple attributes match name={name}{lines}"))
}

fn set(
    source: &mut Source,
    id: &str,
    element: &Element,
    kind: &str,
    name: &str,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let value = arguments
        .parameter_value
        .as_deref()
        .ok_or_else(|| Failure::new(exit::USAGE, "You need to supply a value with the -v option"))?;
    if kind == "instance_attributes"
        && !arguments.force
        && let [pair, ..] = find(element, "meta_attributes", name, arguments).as_slice()
    {
        return Err(Failure::new(
            exit::MULTIPLE,
            format!(
                "WARNING: There is already a meta attribute for '{id}' called '{name}' (id={})\n         \
                 Delete '{}' first or use the force option to override",
                pair.id, pair.id
            ),
        ));
    }
    let found = find(element, kind, name, arguments);
    if found.len() > 1 {
        return Err(several(name, &found));
    }
    let set = match (found.first(), &arguments.set_name) {
        (Some(pair), _) => pair.set.clone(),
        (None, Some(set)) => set.clone(),
        (None, None) => format!("{id}-{kind}"),
    };
    let pair_id = match (found.first(), &arguments.nvpair) {
        (Some(pair), _) => pair.id.clone(),
        (None, Some(id)) => id.clone(),
        (None, None) => format!("{set}-{name}"),
    };
    let pair = Element::new("nvpair")
        .with_attr("id", pair_id.as_str())
        .with_attr("name", name)
        .with_attr("value", value);
    let sets = Element::new(kind).with_attr("id", set.as_str()).with_child(pair);
    let input = Element::new(element.name()).with_attr("id", id).with_child(sets);
    source.apply(
        &Request::new(Operation::Modify).section("resources").input(input).allow_create(),
        arguments.force,
    )?;
    let new = if found.is_empty() { format!(" set={set}") } else { String::new() };
    if !arguments.quiet {
        println!("Set '{id}' option: id={pair_id}{new} name={name} value={value}");
    }
    Ok(())
}

fn delete(
    source: &mut Source,
    id: &str,
    element: &Element,
    kind: &str,
    name: &str,
    arguments: &Arguments,
) -> Result<(), Failure> {
    let found = find(element, kind, name, arguments);
    let pair = match found.as_slice() {
        [] => return Ok(()),
        [pair] => pair,
        _ => return Err(several(name, &found)),
    };
    let input = Element::new("nvpair").with_attr("id", pair.id.as_str()).with_attr("name", name);
    source.apply(&Request::new(Operation::Delete).section("resources").input(input), arguments.force)?;
    if !arguments.quiet {
        println!("Deleted '{id}' option: id={} name={name}", pair.id);
    }
    Ok(())
}
