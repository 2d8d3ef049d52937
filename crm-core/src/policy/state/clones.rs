//! Clones and their instances.

use super::build::Builder;
use super::{ResourceIx, Variant};
use crate::policy::ledger::Ledger;
use crate::policy::values::{self, scan_min_int};
use cib::{Element, Text};

/// Instances a clone, or replicas a bundle, can have: far above any real one, and low enough to be planned.
pub const MAX_INSTANCES: i32 = 10_000;

impl<L: Ledger> Builder<'_, L> {
    /// Reads a clone's settings and makes its instances.
    pub fn clone_content(&mut self, r: ResourceIx) -> bool {
        let xml = self.s[r].xml.clone();
        let id = self.s[r].id.clone();
        let content = xml.children().find(|e| matches!(e.name(), "primitive" | "group")).cloned();
        let Some(content) = content else {
            self.s.complaints.error("clone-empty", &id, format!("{id} has nothing to clone"));
            return false;
        };
        let nodes = i32::try_from(self.s.nodes.len()).unwrap_or(i32::MAX);
        let rsc = &self.s[r];
        let promotable = rsc.flags.promotable;
        let unique = rsc.flags.unique;
        let meta = |n: &str| rsc.meta(n);
        let max = match meta("clone-max") {
            Some(v) => scan_min_int(Some(v), 0),
            None => nodes.max(1),
        };
        let wanted = max;
        let max = max.min(MAX_INSTANCES);
        let mut node_max = match meta("clone-node-max") {
            Some(v) => scan_min_int(Some(v), 0),
            None => 1,
        };
        let setting = |name: &str, old: &str| -> i32 {
            if !promotable {
                return 0;
            }
            match meta(name).or_else(|| meta(old)) {
                Some(v) => scan_min_int(Some(v), 0),
                None => 1,
            }
        };
        let promoted_max = setting("promoted-max", "master-max");
        let promoted_node_max = setting("promoted-node-max", "master-node-max");
        let interleave = values::is_true(meta("interleave"));
        let ordered = values::is_true(meta("ordered"));
        let has_stickiness = meta("resource-stickiness").is_some();
        if wanted > max {
            self.s.complaints.error(
                "clone-max",
                &id,
                format!(
                    "Using {max} for clone-max of {id} instead of {wanted}, which is more than can be planned"
                ),
            );
        }
        if node_max > 1 && !unique {
            self.s.complaints.error(
                "clone-node-max",
                &id,
                format!(
                    "Ignoring promoted-max for {id} because anonymous clones support only one instance per node"
                ),
            );
            node_max = 1;
        }
        if let Some(c) = self.s[r].clone_info_mut() {
            c.max = max;
            c.node_max = node_max;
            c.promoted_max = promoted_max;
            c.promoted_node_max = promoted_node_max;
            c.ordered = ordered;
            c.interleave = interleave;
            c.template = Some(content);
        }
        let word = if unique { "true" } else { "false" };
        let rsc = &mut self.s[r];
        rsc.meta.insert(Text::fixed("globally-unique"), Text::fixed(word));
        if !has_stickiness {
            rsc.meta.insert(Text::fixed("resource-stickiness"), Text::fixed("1"));
        }
        if max <= 0 {
            return self.new_instance(r).is_some();
        }
        let mut made = 0;
        while self.s[r].clone_info().is_some_and(|c| made < c.max) {
            if self.new_instance(r).is_none() {
                return false;
            }
            made += 1;
        }
        true
    }

    /// One more instance of a clone, under the next number; an orphan beyond the clone's limit.
    pub fn new_instance(&mut self, clone: ResourceIx) -> Option<ResourceIx> {
        let info = self.s[clone].clone_info()?;
        let (number, max) = (info.total, info.max);
        let xml: Element = info.template.clone()?.with_attr("clone", number.to_string());
        let instance = self.resource(&xml, Some(clone))?;
        if let Some(c) = self.s[clone].clone_info_mut() {
            c.total += 1;
        }
        self.s[clone].children.push(instance);
        self.s[instance].meta.insert(Text::fixed("clone-max"), i64::from(max));
        if number >= max {
            self.mark_orphan(instance);
        }
        Some(instance)
    }

    fn mark_orphan(&mut self, r: ResourceIx) {
        self.s[r].flags.orphan = true;
        for i in 0..self.s[r].children.len() {
            let c = self.s[r].children[i];
            self.mark_orphan(c);
        }
    }

    /// As many instances as the cluster has nodes.
    pub fn is_universal(&self, clone: ResourceIx) -> bool {
        self.s[clone]
            .clone_info()
            .is_some_and(|c| usize::try_from(c.max).is_ok_and(|m| m == self.s.nodes.len()))
    }

    /// The clone whose interchangeable instance this is (or is a member of), if it is one.
    pub fn anonymous_clone_of(&self, r: ResourceIx) -> Option<ResourceIx> {
        let top = self.s.top_of(r);
        (self.s[top].variant() == Variant::Clone && !self.s[top].flags.unique).then_some(top)
    }
}
