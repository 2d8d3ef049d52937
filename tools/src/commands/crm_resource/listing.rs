//! What there is and where.

use crm_core::policy::render::{Form, List, status};
use crm_core::policy::state::Role;

use super::{Failure, unknown};
use crate::exit;
use crate::view::View;

/// One id a line, leaves only.
pub(super) fn raw(view: &View) -> Result<(), Failure> {
    let leaves = view.leaves();
    if leaves.is_empty() {
        return Err(Failure::new(exit::NOSUCH, "NO resources configured"));
    }
    leaves.iter().for_each(|id| println!("{id}"));
    Ok(())
}

/// Where a resource is active.
pub(super) fn locate(view: &View, id: &str, quiet: bool) -> Result<(), Failure> {
    let found = view.resource(id).ok_or_else(|| unknown(id))?;
    let found = if view.state[found].config_id() == id && view.state[found].id != id {
        view.constrained(found)
    } else {
        found
    };
    let active = view.active(found);
    if active.is_empty() && !quiet {
        println!("resource {id} is NOT running");
    }
    for (node, role) in active {
        let promoted = if role == Role::Promoted { " Promoted" } else { "" };
        if quiet {
            println!("{node}");
        } else {
            println!("resource {id} is running on: {node}{promoted}");
        }
    }
    Ok(())
}

/// The element of a resource.
pub(super) fn xml(view: &View, id: &str, expanded: bool) -> Result<(), Failure> {
    let found = view.resource(id);
    let raw = view.element(id).ok_or_else(|| unknown(id))?;
    let element = match found {
        Some(r) if expanded => view.state[r].xml.clone(),
        _ => raw.clone(),
    };
    if let Some(r) = found {
        let places: Vec<String> = view.active(r).into_iter().map(|(node, _)| node).collect();
        if places.is_empty() {
            println!("{id}: Stopped");
        } else {
            println!("{id}: active on {}", places.join(" "));
        }
    }
    print!("Resource XML:\n{}", element.to_xml());
    Ok(())
}

/// Every resource with its state.
pub(super) fn all(view: &View) -> Result<(), Failure> {
    let leaves = view.leaves();
    if leaves.is_empty() {
        println!("No resources");
        return Ok(());
    }
    let mut list = List::new(Form::Fancy);
    status::resources(&mut list, &view.state, status::Show::default());
    print!("{}", list.into_text());
    Ok(())
}
