//! Sections of the document by name.

use crate::Element;

/// Names a request may give as its section; `cib` and `all` are the whole document.
pub const SECTIONS: [&str; 14] = [
    "cib",
    "all",
    "status",
    "configuration",
    "crm_config",
    "nodes",
    "resources",
    "constraints",
    "op_defaults",
    "rsc_defaults",
    "acls",
    "fencing-topology",
    "tags",
    "alerts",
];

/// The way from the root to a section; `None` for what is no section.
pub fn section_path(section: &str) -> Option<&'static [&'static str]> {
    Some(match section {
        "cib" | "all" => &[],
        "status" => &["status"],
        "configuration" => &["configuration"],
        "crm_config" => &["configuration", "crm_config"],
        "nodes" => &["configuration", "nodes"],
        "resources" => &["configuration", "resources"],
        "constraints" => &["configuration", "constraints"],
        "op_defaults" => &["configuration", "op_defaults"],
        "rsc_defaults" => &["configuration", "rsc_defaults"],
        "acls" => &["configuration", "acls"],
        "fencing-topology" => &["configuration", "fencing-topology"],
        "tags" => &["configuration", "tags"],
        "alerts" => &["configuration", "alerts"],
        _ => return None,
    })
}

/// The indices of the section below `root`, if it is there.
pub(super) fn locate(root: &Element, section: &str) -> Option<Vec<usize>> {
    let mut element = root;
    let mut path = Vec::new();
    for name in section_path(section)? {
        let index = element.nodes().position(|node| node.name() == *name)?;
        path.push(index);
        element = element.node_at(index)?;
    }
    Some(path)
}

/// What of an input concerns the section: from a whole `cib` the section is taken out.
pub(super) fn of_input(input: &Element, section: Option<&str>) -> Option<Element> {
    match section {
        Some(section) if input.name() == "cib" => input.path(section_path(section)?).cloned(),
        _ => Some(input.clone()),
    }
}
