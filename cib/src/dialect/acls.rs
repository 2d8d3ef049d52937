//! pacemaker-1.3 → pacemaker-2.0: access control lists.

use super::change::{Change, Level, place};
use super::names::renamed;
use crate::Element;

pub(super) fn upgrade(root: &mut Element, changes: &mut Vec<Change>) {
    let Some(acls) = root.child_mut("configuration").and_then(|c| c.child_mut("acls")) else { return };
    let old = acls.clone();
    acls.clear_nodes();
    for entry in old.children() {
        match entry.name() {
            "acl_user" => user(entry, changes).into_iter().for_each(|new| acls.push(new)),
            "acl_role" => acls.push(role(entry, entry.id().unwrap_or_default(), changes)),
            _ => acls.push(entry.clone()),
        }
    }
}

fn user(old: &Element, changes: &mut Vec<Change>) -> Vec<Element> {
    let id = old.id().unwrap_or_default();
    let mut target = Element::new("acl_target").with_attr("id", id);
    changes.push(Change {
        level: Level::Info,
        place: place(old),
        text: "renaming acl_user as acl_target".into(),
    });
    let mut references = old.children_named("role_ref").peekable();
    if references.peek().is_some() {
        references.for_each(|reference| target.push(renamed(reference, "role")));
        return vec![target];
    }
    if old.children().next().is_none() {
        return vec![target];
    }
    let own = format!("auto-{id}");
    target.push(Element::new("role").with_attr("id", own.as_str()));
    vec![target, role(old, &own, changes)]
}

fn role(old: &Element, id: &str, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("acl_role").with_attr("id", id);
    for permission in old.children() {
        new.push(modern(permission, changes));
    }
    new
}

fn modern(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("acl_permission").with_attr("id", old.id().unwrap_or_default());
    new.set_attr("kind", old.name());
    let attribute = old.attr("attribute");
    match (old.attr("xpath"), old.attr("ref"), old.attr("tag")) {
        (Some(xpath), _, _) => {
            new.set_attr(
                "xpath",
                attribute.map_or_else(|| xpath.to_owned(), |name| format!("{xpath}[@{name}]")),
            );
        }
        (None, Some(reference), tag) => {
            new.set_attr("reference", reference);
            if attribute.is_some() || tag.is_some() {
                let text = "dropping attribute and tag: a reference stands alone".to_owned();
                changes.push(Change { level: Level::Warning, place: place(old), text });
            }
        }
        (None, None, Some(tag)) => {
            new.set_attr("object-type", tag);
            if let Some(name) = attribute {
                new.set_attr("attribute", name);
            }
        }
        (None, None, None) => {}
    }
    new
}
