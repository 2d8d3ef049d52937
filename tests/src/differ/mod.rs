//! Differential testing of the policy engine: seeded CIBs with status, planned by ours in this process and
//! by Debian's `crm_simulate` 2.1.5, compared in what is printed, in the graph and in the scores.
//!
//! [`generate()`] makes the CIB of a seed; [`compare::compare`] runs both; [`shrink::shrink`] makes a CIB
//! that still differs as small as it gets; [`coverage`] says what was reached. Start with
//! [`session::Session`], which does all of it over a range of seeds.

pub mod collections;
pub mod compare;
pub mod constraints;
pub mod coverage;
pub mod draw;
pub mod history;
pub mod known;
pub mod nodes;
pub mod options;
pub mod reference;
pub mod resources;
mod results;
pub mod rules;
pub mod session;
pub mod shrink;
pub mod status;

use cib::Element;

use draw::{Draw, NOW, el};

/// The CIB of a seed.
pub fn generate(seed: u64) -> Element {
    generate_by(Draw::new(seed))
}

/// The CIB of a seed without what joins resources in other ways than by constraints: no nodes within resources, no
/// utilization, nobody to fence, no sets that are shared.
pub fn generate_plain(seed: u64) -> Element {
    let mut d = Draw::new(seed);
    let themes = &mut d.themes;
    for off in [
        &mut themes.remotes,
        &mut themes.guests,
        &mut themes.bundles,
        &mut themes.utilization,
        &mut themes.unfencing,
        &mut themes.node_trouble,
        &mut themes.meta,
    ] {
        *off = false;
    }
    let mut root = generate_by(d);
    without_references(&mut root);
    root
}

fn without_references(e: &mut Element) {
    e.retain_children(|e| e.attr("id-ref").is_none());
    e.children_mut().for_each(without_references);
}

fn generate_by(mut d: Draw) -> Element {
    let mut root = el(
        "cib",
        &[
            ("crm_feature_set", "3.16.1"),
            ("validate-with", "pacemaker-3.9"),
            ("epoch", "10"),
            ("num_updates", "5"),
            ("admin_epoch", "0"),
        ],
    );
    root.set_attr("execution-date", NOW.to_string());
    d.quorum = d.percent(83);
    root.set_attr("have-quorum", if d.quorum { "1" } else { "0" });
    if d.percent(5) {
        root.set_attr("no-quorum-panic", "1");
    }
    let config = options::config(&mut d);
    let nodes = nodes::nodes(&mut d);
    if let Some(first) = d.nodes.first() {
        let id = first.id.clone();
        if d.percent(90) {
            root.set_attr("dc-uuid", id);
        }
    }
    let resources = resources::resources(&mut d);
    let tags = options::tags(&mut d);
    let constraints = constraints::constraints(&mut d);
    let mut configuration = Element::new("configuration")
        .with_child(config)
        .with_child(remote_entries(&mut d, nodes))
        .with_child(resources)
        .with_child(constraints);
    options::defaults(&mut d).into_iter().for_each(|section| configuration.push(section));
    tags.into_iter().for_each(|section| configuration.push(section));
    root.push(configuration);
    let status = status::status(&mut d);
    root.push(status);
    root
}

/// Remote and guest nodes sometimes have an entry of their own, made when an attribute is set.
fn remote_entries(d: &mut Draw, mut section: Element) -> Element {
    for node in d.nodes.clone() {
        if matches!(node.kind, draw::NodeKind::Remote | draw::NodeKind::Guest) && d.percent(25) {
            let remote = draw::Node { kind: draw::NodeKind::Remote, ..node };
            let entry = nodes::node_element(d, &remote);
            section.push(entry);
        }
    }
    section
}
