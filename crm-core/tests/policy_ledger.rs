//! The addends that a ledger is told of make up the scores of the plan: at the end, and at every moment at
//! which a score is printed; in every recorded case, in every situation of the explain goldens, and in
//! generated ones.

#![allow(clippy::unwrap_used)]

use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::ledger::{Book, Change, Ledger, Reason, Source, Step};
use crm_core::policy::plan::{plan, plan_with};
use crm_core::policy::{NoLedger, Situation};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

/// A book that compares itself with what is printed, when it is printed.
#[derive(Default)]
struct Watched {
    book: Book,
    wrong: Vec<(ResourceIx, NodeIx, i32)>,
    printed: usize,
}

impl Ledger for Watched {
    const KEEPS: bool = true;
    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>) {
        self.book.note(resource, node, change, source);
    }
    fn shown(&mut self, resource: ResourceIx, node: NodeIx, score: i32) {
        self.printed += 1;
        if self.book.score(resource, node) != Some(score) {
            self.wrong.push((resource, node, score));
        }
    }
    fn choice(&mut self, resource: ResourceIx, chosen: NodeIx, other: NodeIx, step: Step) {
        self.book.choice(resource, chosen, other, step);
    }
}

/// Checks one document; the number of scores that were compared.
fn check(name: &str, cib: &cib::Cib) -> usize {
    let now = cib.root().attr("execution-date").map_or(1_700_000_000, |t| t.parse().unwrap());
    let situation = Situation { now, scores: true, ..Situation::default() };
    let mut told = Watched::default();
    let plan_told = plan_with(cib, &situation, &mut told);
    let state = &plan_told.state;
    if let Some((r, n, score)) = told.wrong.first() {
        let addends = told.book.addends(*r, *n);
        panic!("{name}: {} on {} printed {score}, but {addends:?}", state[*r].id, state[*n].name);
    }
    let constraints: BTreeSet<&str> = cib
        .root()
        .path(&["configuration", "constraints"])
        .into_iter()
        .flat_map(|c| c.children().filter_map(cib::Element::id))
        .collect();
    let mut compared = told.printed;
    for r in (0..state.resources.len()).map(ResourceIx::new) {
        for (n, entry) in state[r].table.iter() {
            let addends = told.book.addends(r, n);
            let sum = told.book.score(r, n);
            assert_eq!(sum, Some(entry.score), "{name}: {} on {}: {addends:?}", state[r].id, state[n].name);
            compared += 1;
            for addend in addends {
                let id = addend.reason.id();
                assert!(!id.is_empty(), "{name}: an addend of {} without a source", state[r].id);
                let by_constraint = matches!(addend.reason, Reason::Location { .. } | Reason::Ticket { .. });
                let by_colocation =
                    matches!(addend.reason, Reason::ColocatedWith { .. } | Reason::ColocationWish { .. });
                let known = constraints.contains(id);
                let internal = crm_core::explain::is_internal(id);
                assert!(!by_constraint || known, "{name}: {id} is no constraint");
                assert!(!by_colocation || known || internal, "{name}: {id} is no constraint");
            }
        }
    }
    let untold = plan(cib, &situation);
    assert_eq!(plan_told.scores, untold.scores, "{name}: the ledger changed the plan");
    assert_eq!(plan_told.graph, untold.graph, "{name}: the ledger changed the plan");
    compared
}

fn files(dir: PathBuf) -> Vec<PathBuf> {
    let Ok(list) = std::fs::read_dir(&dir) else {
        eprintln!("SKIPPED: no cases at {} (set EVERBEAT_CONFORMANCE)", dir.display());
        return Vec::new();
    };
    let mut files: Vec<PathBuf> =
        list.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "xml")).collect();
    files.sort();
    files
}

#[test]
fn addends_make_up_the_scores_of_recorded_cases() {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let recorded = std::env::var_os("EVERBEAT_CONFORMANCE")
        .map_or_else(|| here.join("../../shared/conformance"), PathBuf::from);
    let mut compared = 0;
    for file in files(recorded.join("scheduler/xml")).into_iter().chain(files(here.join("tests/explain"))) {
        let cib = cib::Cib::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
        compared += check(&file.display().to_string(), &cib);
    }
    println!("{compared} scores compared");
    assert_eq!(size_of::<NoLedger>(), 0, "a plan without a ledger carries none");
}

/// A small generator of its own: numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn score(&mut self) -> &'static str {
        ["INFINITY", "-INFINITY", "100", "-100", "7", "-1", "500000", "0"]
            [usize::try_from(self.below(8)).unwrap()]
    }
}

/// A cluster with nodes, primitives, groups and clones, constraints among them, history and failures.
fn generated(seed: u64) -> String {
    let mut r = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let (nodes, resources) = (2 + r.below(4), 3 + r.below(6));
    let strategy = ["default", "utilization", "minimal", "balanced"][usize::try_from(r.below(4)).unwrap()];
    let mut x = format!(
        "<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"1\" num_updates=\"0\" \
         admin_epoch=\"0\" have-quorum=\"1\" dc-uuid=\"1\"><configuration><crm_config><cluster_property_set id=\"o\">\
         <nvpair id=\"o1\" name=\"stonith-enabled\" value=\"false\"/>\
         <nvpair id=\"o2\" name=\"placement-strategy\" value=\"{strategy}\"/>\
         <nvpair id=\"o3\" name=\"symmetric-cluster\" value=\"{}\"/>\
         <nvpair id=\"o4\" name=\"node-health-strategy\" value=\"progressive\"/></cluster_property_set></crm_config><nodes>",
        r.below(5) != 0
    );
    for n in 1..=nodes {
        let _ = write!(
            x,
            "<node id=\"{n}\" uname=\"n{n}\"><utilization id=\"u{n}\"><nvpair id=\"u{n}c\" name=\"cpu\" value=\"{}\"/>\
             </utilization></node>",
            2 + r.below(5)
        );
    }
    x.push_str("</nodes><resources>");
    let primitive = |id: &str, r: &mut Random| {
        format!(
            "<primitive id=\"{id}\" class=\"ocf\" provider=\"pacemaker\" type=\"Stateful\"><meta_attributes id=\"{id}m\">\
             <nvpair id=\"{id}m1\" name=\"resource-stickiness\" value=\"{}\"/>\
             <nvpair id=\"{id}m2\" name=\"migration-threshold\" value=\"{}\"/>\
             <nvpair id=\"{id}m3\" name=\"priority\" value=\"{}\"/></meta_attributes><utilization id=\"{id}u\">\
             <nvpair id=\"{id}u1\" name=\"cpu\" value=\"{}\"/></utilization></primitive>",
            [0, 1, 100, 1_000_000][usize::try_from(r.below(4)).unwrap()],
            1 + r.below(3),
            r.below(3),
            r.below(3)
        )
    };
    let mut ids = Vec::new();
    let mut leaves = Vec::new();
    for i in 0..resources {
        let id = format!("r{i}");
        match r.below(6) {
            0 => {
                let _ = write!(x, "<group id=\"{id}\">");
                for m in 0..2 + r.below(2) {
                    let member = format!("{id}m{m}");
                    x.push_str(&primitive(&member, &mut r));
                    leaves.push(member);
                }
                x.push_str("</group>");
            }
            1 => {
                let promotable = r.below(2) == 0;
                let _ = write!(
                    x,
                    "<clone id=\"{id}\"><meta_attributes id=\"{id}cm\"><nvpair id=\"{id}cm1\" name=\"promotable\" \
                     value=\"{promotable}\"/><nvpair id=\"{id}cm2\" name=\"clone-max\" value=\"{}\"/></meta_attributes>{}</clone>",
                    1 + r.below(nodes),
                    primitive(&format!("{id}p"), &mut r)
                );
                leaves.push(format!("{id}p"));
            }
            _ => {
                x.push_str(&primitive(&id, &mut r));
                leaves.push(id.clone());
            }
        }
        ids.push(id);
    }
    x.push_str("</resources><constraints>");
    let any = |r: &mut Random| ids[usize::try_from(r.below(ids.len() as u64)).unwrap()].clone();
    for c in 0..3 + r.below(8) {
        let (a, b, score) = (any(&mut r), any(&mut r), r.score());
        let _ = match r.below(5) {
            0..=1 => write!(
                x,
                "<rsc_location id=\"c{c}\" rsc=\"{a}\" node=\"n{}\" score=\"{score}\"/>",
                1 + r.below(nodes)
            ),
            2 => write!(
                x,
                "<rsc_location id=\"c{c}\" rsc=\"{a}\"><rule id=\"c{c}r\" score=\"{score}\" boolean-op=\"or\">\
                 <expression id=\"c{c}e\" attribute=\"#uname\" operation=\"ne\" value=\"n{}\"/></rule></rsc_location>",
                1 + r.below(nodes)
            ),
            3 if r.below(4) == 0 => {
                write!(x, "<rsc_ticket id=\"c{c}\" rsc=\"{a}\" ticket=\"t\" loss-policy=\"stop\"/>")
            }
            _ if a != b => {
                write!(x, "<rsc_colocation id=\"c{c}\" rsc=\"{a}\" with-rsc=\"{b}\" score=\"{score}\"/>")
            }
            _ => Ok(()),
        };
    }
    x.push_str("</constraints></configuration><status>");
    for n in 1..=nodes {
        let up = r.below(6) != 0;
        let (member, crmd) = if up { ("true", "online") } else { ("false", "offline") };
        let _ = write!(
            x,
            "<node_state id=\"{n}\" uname=\"n{n}\" in_ccm=\"{member}\" crmd=\"{crmd}\" join=\"member\" \
             expected=\"member\"><transient_attributes id=\"{n}\"><instance_attributes id=\"s{n}\">"
        );
        if r.below(3) == 0 {
            let _ = write!(
                x,
                "<nvpair id=\"s{n}h\" name=\"#health-x\" value=\"{}\"/>",
                ["red", "yellow"][usize::from(n > 1)]
            );
        }
        for leaf in &leaves {
            if r.below(6) == 0 {
                let _ = write!(
                    x,
                    "<nvpair id=\"s{n}f{leaf}\" name=\"fail-count-{leaf}#monitor_10000\" value=\"{}\"/>",
                    1 + r.below(3)
                );
            }
            if r.below(4) == 0 {
                let _ = write!(
                    x,
                    "<nvpair id=\"s{n}p{leaf}\" name=\"master-{leaf}\" value=\"{}\"/>",
                    r.below(20)
                );
            }
        }
        let _ = write!(x, "</instance_attributes></transient_attributes><lrm id=\"{n}\"><lrm_resources>");
        for leaf in &leaves {
            let (task, rc) = match r.below(4) {
                0 => ("start", 0),
                1 => ("stop", 0),
                2 => ("monitor", 7),
                _ => continue,
            };
            let key = format!("1:1:{rc}:00000000-0000-0000-0000-000000000000");
            let _ = write!(
                x,
                "<lrm_resource id=\"{leaf}\" class=\"ocf\" provider=\"pacemaker\" type=\"Stateful\"><lrm_rsc_op \
                 id=\"{leaf}_last_0\" operation_key=\"{leaf}_{task}_0\" operation=\"{task}\" transition-key=\"{key}\" \
                 transition-magic=\"0:{rc};{key}\" call-id=\"1\" rc-code=\"{rc}\" op-status=\"0\" interval=\"0\"/></lrm_resource>"
            );
        }
        x.push_str("</lrm_resources></lrm></node_state>");
    }
    x.push_str("</status></cib>");
    x
}

#[test]
fn addends_make_up_the_scores_of_generated_cases() {
    let base = std::env::var("EVERBEAT_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(1u64);
    let mut compared = 0;
    for seed in base..base + 400 {
        let xml = generated(seed);
        let cib = cib::Cib::parse(&xml).unwrap();
        let name = format!("seed {seed} (EVERBEAT_SEED={seed} cargo test -p crm-core --test policy_ledger)");
        compared += check(&name, &cib);
    }
    println!("{compared} scores compared");
    assert!(compared > 10_000, "only {compared} scores");
}
