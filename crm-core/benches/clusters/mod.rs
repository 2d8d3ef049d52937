//! Clusters of a chosen size for benchmarks, with their status: the same text for the same request.
//!
//! Their histories are what a live cluster keeps: a start and a recurring monitor with the digests of their
//! parameters where a resource runs, a probe that said "not running" where it does not. Nothing is to be
//! done in a cluster that runs undisturbed.

// Each program that includes this uses its part of it.
#![allow(dead_code)]

use std::fmt::Write as _;

use cib::Element;

/// What the resources are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Stand-alone primitives, a location constraint for each fourth.
    Primitives,
    /// Three fifths in groups of three, some clones over all nodes, stand-alone ones; a tenth as many each of
    /// colocations, orderings and location constraints as there are primitives.
    Mixed,
}

/// What the nodes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// All nodes have just come up; nothing is known, so everything has to be probed everywhere.
    Fresh,
    /// Everything runs where it should.
    Running,
    /// The same, but the last node is gone without a word.
    NodeLost,
}

#[derive(Debug, Clone, Copy)]
pub struct Cluster {
    pub nodes: usize,
    pub resources: usize,
    pub kind: Kind,
    pub status: Status,
    /// Histories hold the probes of nodes where a resource does not run.
    pub probed: bool,
    pub seed: u64,
}

const WHEN: usize = 1_700_000_000;
const UUID: &str = "5b1c7a52-0f3e-4d8a-9a53-8c1e2d4f6a70";

/// A primitive and how it is to be placed.
struct Primitive {
    id: String,
    value: u64,
    /// The node it runs on; none: on all.
    node: Option<usize>,
}

/// A stand-alone primitive or a group: what constraints speak of.
struct Unit {
    id: String,
    node: usize,
}

struct Writer {
    cluster: Cluster,
    dice: u64,
    out: String,
    primitives: Vec<Primitive>,
    units: Vec<Unit>,
    clones: Vec<String>,
}

/// The CIB of a cluster.
pub fn cib(cluster: Cluster) -> String {
    let dice = cluster.seed ^ (cluster.nodes as u64) << 32 ^ cluster.resources as u64;
    let mut writer = Writer {
        cluster,
        dice,
        out: String::new(),
        primitives: Vec::new(),
        units: Vec::new(),
        clones: Vec::new(),
    };
    writer.head();
    writer.resources();
    writer.constraints();
    writer.status();
    writer.out
}

macro_rules! put {
    ($writer:expr, $($arguments:tt)*) => { let _ = writeln!($writer.out, $($arguments)*); };
}

impl Writer {
    /// A number below `below`, by xorshift over a Weyl sequence.
    fn draw(&mut self, below: usize) -> usize {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.dice;
        x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ x >> 31) % below.max(1) as u64) as usize
    }

    fn head(&mut self) {
        put!(
            self,
            "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"10\" num_updates=\"5\" \
             admin_epoch=\"0\" have-quorum=\"1\" dc-uuid=\"1\"><configuration><crm_config>\
             <cluster_property_set id=\"o\">"
        );
        // Lost work must not hide behind a limit of actions in flight.
        for (name, value) in [("stonith-enabled", "true"), ("no-quorum-policy", "stop"), ("batch-limit", "0")]
        {
            put!(self, "<nvpair id=\"o-{name}\" name=\"{name}\" value=\"{value}\"/>");
        }
        if !self.cluster.probed && self.cluster.status != Status::Fresh {
            put!(self, "<nvpair id=\"o-p\" name=\"enable-startup-probes\" value=\"false\"/>");
        }
        put!(self, "</cluster_property_set></crm_config><nodes>");
        for n in 1..=self.cluster.nodes {
            put!(
                self,
                "<node id=\"{n}\" uname=\"n{n}\"><instance_attributes id=\"n{n}-a\"><nvpair id=\"n{n}-z\" \
                 name=\"zone\" value=\"z{}\"/></instance_attributes></node>",
                n % 3
            );
        }
        put!(self, "</nodes>");
    }

    fn resources(&mut self) {
        put!(self, "<resources>");
        self.primitives.push(Primitive { id: "fencing".to_owned(), value: 0, node: Some(0) });
        put!(
            self,
            "<primitive id=\"fencing\" class=\"stonith\" type=\"fence_xvm\"><operations><op id=\"fencing-m\" \
             name=\"monitor\" interval=\"3600s\" timeout=\"60s\"/></operations></primitive>"
        );
        let count = self.cluster.resources;
        let (clones, groups) = match self.cluster.kind {
            Kind::Primitives => (0, 0),
            Kind::Mixed => ((count / 100).max(1), count / 5),
        };
        for c in 0..clones {
            let id = format!("c{c}");
            put!(
                self,
                "<clone id=\"{id}-clone\"><meta_attributes id=\"{id}-m\"><nvpair id=\"{id}-i\" \
                 name=\"interleave\" value=\"true\"/></meta_attributes>"
            );
            self.primitive(&id, None);
            put!(self, "</clone>");
            self.clones.push(id);
        }
        for g in 0..groups {
            let node = g % self.cluster.nodes;
            put!(self, "<group id=\"g{g}\">");
            for member in 0..3 {
                self.primitive(&format!("g{g}m{member}"), Some(node));
            }
            put!(self, "</group>");
            self.units.push(Unit { id: format!("g{g}"), node });
        }
        for p in 0..count.saturating_sub(clones + 3 * groups) {
            let node = (groups + p) % self.cluster.nodes;
            self.primitive(&format!("p{p}"), Some(node));
            self.units.push(Unit { id: format!("p{p}"), node });
        }
        put!(self, "</resources>");
    }

    fn primitive(&mut self, id: &str, node: Option<usize>) {
        let value = self.draw(1000) as u64;
        put!(
            self,
            "<primitive id=\"{id}\" class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"><instance_attributes \
             id=\"{id}-a\"><nvpair id=\"{id}-s\" name=\"state\" value=\"/run/{id}.state\"/><nvpair \
             id=\"{id}-f\" name=\"fake\" value=\"v{value}\"/></instance_attributes><operations><op \
             id=\"{id}-o\" name=\"monitor\" interval=\"10s\" timeout=\"20s\"/></operations></primitive>"
        );
        self.primitives.push(Primitive { id: id.to_owned(), value, node });
    }

    fn constraints(&mut self) {
        put!(self, "<constraints>");
        let mixed = self.cluster.kind == Kind::Mixed;
        let count = self.cluster.resources / if mixed { 10 } else { 4 };
        for l in 0..count.min(self.units.len()) {
            let at = self.draw(self.units.len());
            let unit = &self.units[at];
            let (id, node) = (&unit.id, unit.node + 1);
            match l % 3 {
                0 => {
                    put!(self, "<rsc_location id=\"l{l}\" rsc=\"{id}\" node=\"n{node}\" score=\"100\"/>");
                }
                1 => {
                    put!(
                        self,
                        "<rsc_location id=\"l{l}\" rsc=\"{id}\"><rule id=\"l{l}-r\" score=\"50\"><expression \
                         id=\"l{l}-e\" attribute=\"#uname\" operation=\"eq\" value=\"n{node}\"/></rule>\
                         </rsc_location>"
                    );
                }
                _ => {
                    put!(
                        self,
                        "<rsc_location id=\"l{l}\" rsc=\"{id}\"><rule id=\"l{l}-r\" score=\"-INFINITY\">\
                         <expression id=\"l{l}-e\" attribute=\"zone\" operation=\"ne\" value=\"z{}\"/></rule>\
                         </rsc_location>",
                        node % 3
                    );
                }
            }
        }
        if mixed {
            self.pairs(count);
        }
        put!(
            self,
            "</constraints><rsc_defaults><meta_attributes id=\"d\"><nvpair id=\"d-s\" \
             name=\"resource-stickiness\" value=\"1000\"/></meta_attributes></rsc_defaults></configuration>"
        );
    }

    /// Colocations and orderings between units of the same node, never in a circle: the later needs the
    /// earlier.
    fn pairs(&mut self, count: usize) {
        for c in 0..count {
            let mut at = self.draw(self.units.len());
            if at < self.cluster.nodes {
                at += self.cluster.nodes;
            }
            let Some(then) = self.units.get(at) else { continue };
            let earlier = (0..at).rev().find(|before| self.units[*before].node == then.node);
            let Some(first) = earlier.and_then(|before| self.units.get(before)) else { continue };
            let (first, then) = (&first.id, &then.id);
            let score = if c % 2 == 0 { "500" } else { "INFINITY" };
            let kind = if c % 3 == 2 { "Optional" } else { "Mandatory" };
            put!(
                self,
                "<rsc_colocation id=\"w{c}\" rsc=\"{then}\" with-rsc=\"{first}\" score=\"{score}\"/>\
                 <rsc_order id=\"b{c}\" first=\"{first}\" then=\"{then}\" kind=\"{kind}\"/>"
            );
        }
        for pair in self.clones.chunks_exact(2) {
            put!(
                self,
                "<rsc_order id=\"b-{0}\" first=\"{0}-clone\" then=\"{1}-clone\" kind=\"Mandatory\"/>",
                pair[0],
                pair[1]
            );
        }
    }

    fn status(&mut self) {
        put!(self, "<status>");
        let status = self.cluster.status;
        for n in 0..self.cluster.nodes {
            let id = n + 1;
            let lost = status == Status::NodeLost && id == self.cluster.nodes;
            let [ccm, crmd, join] = match lost {
                true => ["false", "offline", "down"],
                false => ["true", "online", "member"],
            };
            put!(
                self,
                "<node_state id=\"{id}\" uname=\"n{id}\" in_ccm=\"{ccm}\" crmd=\"{crmd}\" join=\"{join}\" \
                 expected=\"member\" crm-debug-origin=\"do_state_transition\"><lrm id=\"{id}\"><lrm_resources>"
            );
            if status != Status::Fresh {
                self.histories(n);
            }
            put!(self, "</lrm_resources></lrm></node_state>");
        }
        put!(self, "</status></cib>");
    }

    fn histories(&mut self, n: usize) {
        let mut call = 0;
        for at in 0..self.primitives.len() {
            let Primitive { id, value, node } = &self.primitives[at];
            let here = node.is_none_or(|node| node == n);
            if !here && !self.cluster.probed {
                continue;
            }
            let (id, value, device) = (id.clone(), *value, id == "fencing");
            let agent = match device {
                true => "class=\"stonith\" type=\"fence_xvm\"",
                false => "class=\"ocf\" provider=\"pacemaker\" type=\"Dummy\"",
            };
            put!(self, "<lrm_resource id=\"{id}\" {agent}>");
            call += 1;
            if here {
                self.result(&id, value, ("start", 0, 0), (n, call));
                call += 1;
                let every = if device { 3_600_000 } else { 10_000 };
                self.result(&id, value, ("monitor", every, 0), (n, call));
            } else {
                self.result(&id, value, ("monitor", 0, 7), (n, call));
            }
            put!(self, "</lrm_resource>");
        }
    }

    fn result(&mut self, id: &str, value: u64, what: (&str, u32, i32), (n, call): (usize, usize)) {
        let (task, interval, rc) = what;
        let mut parameters = Element::new("parameters");
        if id != "fencing" {
            parameters.set_attr("fake", format!("v{value}"));
            parameters.set_attr("state", format!("/run/{id}.state"));
        }
        if interval > 0 {
            parameters.set_attr("CRM_meta_timeout", if id == "fencing" { "60000" } else { "20000" });
        }
        let digest = cib::digest::parameters(&parameters);
        let entry = match interval {
            0 => format!("{id}_last_0"),
            _ => format!("{id}_{task}_{interval}"),
        };
        let key = format!("{call}:1:{rc}:{UUID}");
        put!(
            self,
            "<lrm_rsc_op id=\"{entry}\" operation_key=\"{id}_{task}_{interval}\" operation=\"{task}\" \
             crm-debug-origin=\"do_update_resource\" crm_feature_set=\"3.16.1\" transition-key=\"{key}\" \
             transition-magic=\"0:{rc};{key}\" exit-reason=\"\" on_node=\"n{}\" call-id=\"{call}\" \
             rc-code=\"{rc}\" op-status=\"0\" interval=\"{interval}\" last-rc-change=\"{}\" exec-time=\"15\" \
             queue-time=\"0\" op-digest=\"{digest}\"/>",
            n + 1,
            WHEN + call
        );
    }
}
