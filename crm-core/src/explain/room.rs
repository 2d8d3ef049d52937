//! Changes that make room: a node allowed, a capacity raised, a preference.

use cib::Element;

use super::candidates::List;
use super::edit;
use super::outcome;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::Placement;
use crate::policy::values;

impl List<'_> {
    /// In an opt-in cluster: one more node allowed.
    pub(super) fn opt_in(&mut self, r: ResourceIx, node: Option<NodeIx>) {
        let st = self.scene.st();
        if st.options.symmetric {
            return;
        }
        let mut outer = r;
        while let Some(p) = st[outer].parent {
            outer = p;
        }
        let id = st[outer].config_id().to_owned();
        for n in st.node_order.iter().copied().filter(|n| node.is_none_or(|x| x == *n) && st[*n].available())
        {
            let name = st[n].name.clone();
            let constraint = Element::new("rsc_location")
                .with_attr("id", format!("allow-{id}-{name}"))
                .with_attr("rsc", id.as_str())
                .with_attr("node", name.as_str())
                .with_attr("score", "0");
            let xml = constraint.to_xml_compact();
            self.add(
                4,
                "allow-node",
                &format!("{id} on {name}"),
                format!("allow {id} on {name} with a location constraint (score 0)"),
                Some(format!("cibadmin --create -o constraints --xml-text '{xml}'")),
                move |root| {
                    edit::add_constraint(root, constraint.clone());
                    true
                },
            );
        }
    }

    pub(super) fn capacities(&mut self, related: &[ResourceIx], node: Option<NodeIx>) {
        let st = self.scene.st();
        if st.options.placement == Placement::Default {
            return;
        }
        let number = |t: Option<&str>| t.map_or(0, |t| values::scan_or(t, 0));
        let own =
            |r: ResourceIx| st[r].is_primitive() && st[r].assigned.is_none() && !st[r].utilization.is_empty();
        let needy: Vec<ResourceIx> = related.iter().copied().filter(|r| own(*r)).collect();
        // All that waits together has to fit.
        let mut needs: std::collections::BTreeMap<String, i64> = std::collections::BTreeMap::new();
        for r in &needy {
            for (name, need) in &st[*r].utilization {
                *needs.entry(name.to_string()).or_default() += number(Some(need));
            }
        }
        for n in st.node_order.iter().copied().filter(|n| node.is_none_or(|x| x == *n) && st[*n].available())
        {
            let mut new = Vec::new();
            for (name, need) in &needs {
                let left = number(st[n].utilization.get(name).map(|t| t.as_str()));
                let configured = self.scene.cib.root().path(&["configuration", "nodes"]).and_then(|nodes| {
                    let entry = nodes
                        .children_named("node")
                        .find(|e| e.attr("uname") == Some(st[n].name.as_str()))?;
                    let pairs = entry.children_named("utilization").flat_map(|s| s.children_named("nvpair"));
                    pairs
                        .filter(|p| p.attr("name") == Some(name))
                        .find_map(|p| p.attr("value"))
                        .map(str::to_owned)
                });
                let configured = number(configured.as_deref());
                if *need > left {
                    new.push((name.clone(), configured, configured + need - left));
                }
            }
            if new.is_empty() {
                continue;
            }
            let at = st[n].name.clone();
            let texts: Vec<String> = new
                .iter()
                .map(|(name, old, value)| format!("{name} of {at} from {old} to {value}"))
                .collect();
            let command = match new.as_slice() {
                [(name, _, value)] => Some(format!("crm_attribute -z -N {at} -n {name} -v {value}")),
                _ => None,
            };
            self.add(
                5,
                "capacity",
                &at.clone(),
                format!("raise the capacity {}", texts.join(" and ")),
                command,
                move |root| {
                    edit::node_mut(root, &at).is_some_and(|e| {
                        for (name, _, value) in &new {
                            edit::set_pair(e, "utilization", name, &value.to_string());
                        }
                        true
                    })
                },
            );
        }
        for r in needy {
            let id = st[r].config_id().to_owned();
            for (name, need) in &st[r].utilization {
                let need = number(Some(need));
                let most = st
                    .node_order
                    .iter()
                    .filter(|n| st[**n].available())
                    .map(|n| number(st[*n].utilization.get(name).map(|t| t.as_str())))
                    .max();
                let Some(most) = most.filter(|m| *m < need && *m >= 0) else { continue };
                let (owner, name) = (id.clone(), name.to_string());
                self.add(
                    6,
                    "need",
                    &format!("{id} {name}"),
                    format!("lower the {name} that {id} needs from {need} to {most}"),
                    Some(format!("crm_resource -r {id} -z -p {name} -v {most}")),
                    move |root| {
                        edit::resource_mut(root, &owner).is_some_and(|e| {
                            edit::set_pair(e, "utilization", &name, &most.to_string());
                            true
                        })
                    },
                );
            }
        }
    }

    /// For a node that was asked about: a preference for it, less stickiness elsewhere.
    pub(super) fn wishes(&mut self, r: ResourceIx, node: Option<NodeIx>) {
        let Some(n) = node else { return };
        let st = self.scene.st();
        let mut outer = r;
        while let Some(p) = st[outer].parent {
            outer = p;
        }
        let id = st[outer].config_id().to_owned();
        let name = st[n].name.clone();
        let constraint = Element::new("rsc_location")
            .with_attr("id", format!("cli-prefer-{id}"))
            .with_attr("rsc", id.as_str())
            .with_attr("role", "Started")
            .with_attr("node", name.as_str())
            .with_attr("score", "INFINITY");
        self.add(
            6,
            "move",
            &format!("{id} preference"),
            format!(
                "move {id} to {name}, which leaves the constraint cli-prefer-{id} behind until it is cleared"
            ),
            Some(format!("crm_resource --move -r {id} -N {name}")),
            move |root| {
                edit::add_constraint(root, constraint.clone());
                true
            },
        );
        let leaf_sticks = outcome::leaves(st, r).iter().any(|l| st[*l].stickiness > 0);
        if leaf_sticks {
            self.meta(6, "stickiness", &id, "resource-stickiness", "0".to_owned());
        }
    }
}
