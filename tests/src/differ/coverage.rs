//! Which features and decisions a run reached.

use std::collections::{BTreeMap, BTreeSet};

use cib::Element;
use crm_core::policy::simulator::Output;

/// How often each thing was there.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    seen: BTreeMap<String, u64>,
}

/// Features of the input that a run must have had: `ELEMENT`, `ELEMENT@ATTRIBUTE`,
/// `ELEMENT@ATTRIBUTE=VALUE`, `nv NAME` or `nv NAME=VALUE`, `history TASK RC STATUS`.
pub const FEATURES: &[&str] = &[
    "cib@have-quorum=0",
    "cib@no-quorum-panic",
    "nv no-quorum-policy=stop",
    "nv no-quorum-policy=freeze",
    "nv no-quorum-policy=ignore",
    "nv no-quorum-policy=demote",
    "nv no-quorum-policy=suicide",
    "nv symmetric-cluster=false",
    "nv maintenance-mode=true",
    "nv start-failure-is-fatal=false",
    "nv enable-startup-probes=false",
    "nv stonith-enabled=true",
    "nv stonith-enabled=false",
    "nv stonith-action=off",
    "nv stonith-action=poweroff",
    "nv have-watchdog=true",
    "nv concurrent-fencing=true",
    "nv startup-fencing=false",
    "nv priority-fencing-delay=10s",
    "nv stop-all-resources=true",
    "nv stop-orphan-resources=false",
    "nv stop-orphan-actions=false",
    "nv remove-after-stop=true",
    "nv migration-limit=1",
    "nv cluster-name",
    "nv shutdown-lock",
    "nv shutdown-lock-limit=5min",
    "nv placement-strategy=utilization",
    "nv placement-strategy=minimal",
    "nv placement-strategy=balanced",
    "nv node-health-strategy=migrate-on-red",
    "nv node-health-strategy=only-green",
    "nv node-health-strategy=progressive",
    "nv node-health-strategy=custom",
    "node@type=ping",
    "node@type=remote",
    "node@score",
    "nv standby",
    "nv maintenance",
    "nv site-name",
    "nv #health-smart=red",
    "nv shutdown",
    "nv terminate",
    "nv probe_complete=false",
    "nv #node-unfenced",
    "nv #digests-all",
    "nv resource-discovery-enabled=false",
    "node_state@node_fenced",
    "node_state@node_in_maintenance",
    "node_state@in_ccm=false",
    "node_state@crmd=offline",
    "node_state@join=banned",
    "node_state@join=pending",
    "node_state@expected=down",
    "nv node-health-base",
    "nv node-health-green",
    "nv node-health-yellow",
    "nv node-health-red",
    "nv stonith-timeout",
    "nv cluster-delay",
    "nv batch-limit",
    "nv resource-stickiness=#default",
    "nvpair@id-ref",
    "meta_attributes@id-ref",
    "meta_attributes@score",
    "instance_attributes@id-ref",
    "utilization@id-ref",
    "cluster_property_set@score",
    "utilization",
    "primitive@class=service",
    "primitive@class=lsb",
    "primitive@class=systemd",
    "primitive@class=stonith",
    "primitive@template",
    "template",
    "group",
    "clone",
    "master",
    "bundle",
    "docker",
    "podman",
    "rkt",
    "network@ip-range-start",
    "network@control-port",
    "network@add-host=false",
    "port-mapping",
    "storage-mapping@source-dir-root",
    "nv remote-node",
    "nv remote-addr",
    "nv remote-port",
    "nv remote-connect-timeout",
    "nv remote-allow-migrate",
    "nv container",
    "nv container-attribute-target=host",
    "network@host-netmask",
    "network@host-interface",
    "storage-mapping@source-dir",
    "storage-mapping@options",
    "podman@network",
    "podman@options",
    "podman@run-command",
    "podman@promoted-max",
    "podman@replicas-per-host",
    "nv reconnect_interval",
    "nv provides=unfencing",
    "nv requires=unfencing",
    "nv requires=nothing",
    "nv requires=quorum",
    "nv requires=fencing",
    "nv clone-max",
    "nv clone-node-max",
    "nv clone-min",
    "nv globally-unique=true",
    "nv ordered=true",
    "nv ordered=false",
    "nv collocated=false",
    "nv interleave=true",
    "nv notify=true",
    "nv promotable=true",
    "nv promoted-max",
    "nv master-max",
    "nv promoted-node-max",
    "nv master-node-max",
    "nv maintenance=true",
    "nv multiple-active",
    "nv target-role=Slave",
    "nv target-role=Master",
    "nv pcmk_monitor_timeout",
    "nv priority",
    "nv resource-stickiness",
    "nv target-role=Stopped",
    "nv target-role=Unpromoted",
    "nv target-role=Promoted",
    "nv is-managed=false",
    "nv migration-threshold",
    "nv failure-timeout",
    "nv multiple-active=block",
    "nv multiple-active=stop_only",
    "nv multiple-active=stop_start",
    "nv multiple-active=stop_unexpected",
    "nv critical=false",
    "nv allow-unhealthy-nodes=true",
    "nv restart-type=restart",
    "nv allow-migrate=true",
    "op@on-fail=ignore",
    "op@on-fail=block",
    "op@on-fail=stop",
    "op@on-fail=restart",
    "op@on-fail=standby",
    "op@on-fail=fence",
    "op@on-fail=demote",
    "op@on-fail=restart-container",
    "op@enabled=false",
    "op@interval-origin",
    "op@start-delay",
    "op@record-pending",
    "op@name=backup",
    "op@name=notify",
    "op@name=migrate_to",
    "op@role=Started",
    "operations@id-ref",
    "op@role=Stopped",
    "op@role=Promoted",
    "op@role=Unpromoted",
    "rsc_defaults",
    "op_defaults",
    "rsc_location@node",
    "rsc_location@rsc-pattern",
    "rsc_location@role=Promoted",
    "rsc_location@resource-discovery=never",
    "rsc_location@resource-discovery=exclusive",
    "rule@score-attribute",
    "rule@id-ref",
    "rule@role=Promoted",
    "rule@boolean-op=or",
    "expression@operation=defined",
    "expression@operation=not_defined",
    "expression@operation=lt",
    "expression@operation=gte",
    "expression@operation=gt",
    "expression@operation=lte",
    "expression@operation=eq",
    "expression@operation=ne",
    "expression@type=string",
    "expression@value-source=literal",
    "expression@type=number",
    "expression@type=integer",
    "expression@type=version",
    "expression@value-source=param",
    "expression@value-source=meta",
    "date_expression@operation=gt",
    "date_expression@operation=lt",
    "date_expression@operation=in_range",
    "date_expression@operation=date_spec",
    "duration",
    "duration@years",
    "duration@months",
    "duration@weeks",
    "duration@days",
    "duration@hours",
    "duration@minutes",
    "duration@seconds",
    "date_spec@years",
    "date_spec@months",
    "date_spec@monthdays",
    "date_spec@hours",
    "date_spec@minutes",
    "date_spec@seconds",
    "date_spec@yeardays",
    "date_spec@weekyears",
    "date_spec@weeks",
    "date_spec@weekdays",
    "date_spec@moon",
    "rsc_expression",
    "op_expression",
    "lifetime",
    "rsc_colocation@node-attribute",
    "rsc_colocation@influence=false",
    "rsc_colocation@rsc-role=Promoted",
    "rsc_colocation@with-rsc-role=Promoted",
    "rsc_colocation@with-rsc-role=Unpromoted",
    "resource_set@sequential=false",
    "resource_set@sequential=true",
    "resource_set@require-all=false",
    "resource_set@ordering=listed",
    "resource_set@action=promote",
    "resource_set@role=Promoted",
    "resource_set@kind",
    "resource_set@score",
    "resource_set@id-ref",
    "rsc_order@kind=Optional",
    "rsc_order@kind=Serialize",
    "rsc_order@symmetrical=false",
    "rsc_order@first-action=promote",
    "rsc_order@first-action=stop",
    "rsc_order@require-all=false",
    "rsc_order@score",
    "rsc_ticket@loss-policy=stop",
    "rsc_ticket@loss-policy=demote",
    "rsc_ticket@loss-policy=fence",
    "rsc_ticket@loss-policy=freeze",
    "rsc_ticket@rsc-role=Promoted",
    "ticket_state@granted=true",
    "ticket_state@granted=false",
    "ticket_state@standby=true",
    "tag",
    "nv fail-count-",
    "nv last-failure-",
    "nv master-",
    "lrm_resource@shutdown-lock",
    "lrm_resource@container",
    "lrm_rsc_op@on_node",
    "history notify rc 0 status 0",
    "lrm_rsc_op@op-restart-digest",
    "lrm_rsc_op@op-secure-digest",
    "history monitor rc 7 status 0",
    "history monitor rc 0 status 0",
    "history monitor rc 8 status 0",
    "history monitor rc 5 status 0",
    "history monitor recurring rc 7 status 0",
    "history monitor recurring rc 190 status 0",
    "history monitor recurring rc 0 status 1",
    "history start rc 1 status 0",
    "history start rc 5 status 0",
    "history start rc 6 status 0",
    "history start rc 1 status 2",
    "history stop rc 1 status 0",
    "history promote rc 1 status 0",
    "history demote rc 1 status 0",
    "history start rc 193 status -1",
    "history stop rc 193 status -1",
    "history promote rc 193 status -1",
    "history migrate_to rc 0 status 0",
    "history migrate_to rc 193 status -1",
    "history migrate_to rc 1 status 0",
    "history migrate_from rc 0 status 0",
    "history migrate_from rc 1 status 0",
];

/// Seeds that a run has to have before a thing it never met counts as missed.
pub const ENOUGH: u64 = 5000;

/// Decisions: words that one line of the output must have had, all of them.
pub const DECISIONS: &[&[&str]] = &[
    &["Start ", "( "],
    &["Stop ", "( "],
    &["Move ", "->"],
    &["Migrate ", "->"],
    &["Recover ", "( "],
    &["Restart ", "( "],
    &["Reload ", "( "],
    &["Promote ", "->"],
    &["Demote ", "->"],
    &["Re-promote", "( "],
    &["Fence (reboot)"],
    &["Fence (off)"],
    &["Fence (on)"],
    &["due to node availability"],
    &["due to no quorum"],
    &["due to quorum freeze"],
    &["due to required ", "start"],
    &["due to unrunnable ", "start"],
    &["due to colocation with"],
    &["due to being multiply active"],
    &["due to resource definition change"],
    &["(blocked)"],
    &["peer is no longer part of the cluster"],
    &["peer process is no longer available"],
    &["termination was requested"],
    &["cluster does not have quorum"],
    &["is thought to be active there"],
    &["failed there"],
    &["deadman ticket was lost"],
    &["remote connection is unrecoverable"],
    &["stop is unrunnable"],
    &["promotion score on"],
    &["capacity:"],
    &["-INFINITY"],
    &["promotion score on none"],
    &["operation=\"stonith\""],
    &["operation=\"do_shutdown\""],
    &["operation=\"clear_failcount\""],
    &["operation=\"lrm_delete\""],
    &["operation=\"delete\""],
    &["operation=\"cancel\""],
    &["operation=\"notify\""],
    &["operation=\"migrate_to\""],
    &["operation=\"migrate_from\""],
    &["operation=\"reload-agent\""],
    &["operation=\"probe_again\""],
    &["load_stopped_"],
    &["one-or-more:"],
    &["clone-one-or-more:"],
    &["post_notify_stonith"],
    &["router_node="],
    &["recheck-by="],
    &["CRM_meta_op_target_rc=\"7\""],
    &["CRM_meta_op_target_rc=\"8\""],
    &["priority_fencing_delay"],
    &["FAILED"],
    &["FAILED Promoted"],
    &["(blocked)"],
    &["UNCLEAN (offline)"],
    &["UNCLEAN (online)"],
    &[": pending"],
    &["standby (on-fail)"],
    &[": maintenance"],
    &["ORPHANED"],
    &["LOCKED"],
    &["unmanaged"],
    &["disabled"],
    &["Starting"],
    &["Stopping"],
    &["Promoting"],
    &["Migrating"],
    &["Monitoring"],
    &["failure ignored"],
    &["(not installed)"],
    &["health is RED"],
    &["health is YELLOW"],
    &["DISABLED"],
    &["Resource management is DISABLED"],
];

impl Coverage {
    pub fn add(&mut self, other: &Coverage) {
        for (what, n) in &other.seen {
            *self.seen.entry(what.clone()).or_default() += n;
        }
    }

    /// Counts what a CIB has and what was decided for it.
    pub fn note(&mut self, root: &Element, output: &Output) {
        for feature in features(root) {
            *self.seen.entry(feature).or_default() += 1;
        }
        let graph = output.graph.as_deref().unwrap_or_default();
        for words in DECISIONS {
            let has = |line: &str| words.iter().all(|word| line.contains(word));
            if output.stdout.lines().any(has) || graph.lines().any(has) {
                *self.seen.entry(decision(words)).or_default() += 1;
            }
        }
    }

    /// What was counted, for a summary: each wanted thing with its number of CIBs.
    pub fn counts(&self) -> Vec<(String, u64)> {
        wanted()
            .map(|what| {
                let n = self.seen.get(&what).copied().unwrap_or(0);
                (what, n)
            })
            .collect()
    }

    /// What a run should have had and had not.
    pub fn missing(&self) -> Vec<String> {
        self.counts().into_iter().filter(|(_, n)| *n == 0).map(|(what, _)| what).collect()
    }

    /// Everything that was seen in inputs, wanted or not.
    pub fn seen(&self) -> impl Iterator<Item = (&str, u64)> {
        self.seen.iter().map(|(what, n)| (what.as_str(), *n))
    }
}

fn decision(words: &[&str]) -> String {
    format!("decided: {}", words.join(" … "))
}

fn wanted() -> impl Iterator<Item = String> {
    let features = FEATURES.iter().map(|what| (*what).to_owned());
    features.chain(DECISIONS.iter().map(|words| decision(words)))
}

/// Attributes whose values are a small choice.
const CHOICES: &[&str] = &[
    "name",
    "operation",
    "type",
    "value-source",
    "boolean-op",
    "role",
    "rsc-role",
    "with-rsc-role",
    "kind",
    "action",
    "first-action",
    "then-action",
    "symmetrical",
    "sequential",
    "require-all",
    "ordering",
    "influence",
    "loss-policy",
    "resource-discovery",
    "on-fail",
    "class",
    "crmd",
    "join",
    "expected",
    "in_ccm",
    "granted",
    "standby",
    "have-quorum",
    "enabled",
    "network",
    "add-host",
];

fn features(root: &Element) -> BTreeSet<String> {
    let mut set = BTreeSet::new();
    for e in root.descendants() {
        let name = e.name();
        if name == "nvpair" {
            let (name, value) = (e.attr("name").unwrap_or_default(), e.attr("value").unwrap_or_default());
            let limit = matches!(name, "master-max" | "master-node-max");
            let stem = ["fail-count-", "last-failure-", "master-"]
                .iter()
                .find(|stem| !limit && name.starts_with(**stem));
            let name = stem.map_or(name, |stem| *stem);
            if e.attr("id-ref").is_some() {
                set.insert("nvpair@id-ref".to_owned());
                continue;
            }
            set.insert(format!("nv {name}"));
            if stem.is_none() {
                set.insert(format!("nv {name}={value}"));
            }
            continue;
        }
        if name == "lrm_rsc_op" {
            let attr = |name| e.attr(name).unwrap_or_default();
            let recurring = if attr("interval") == "0" { "" } else { " recurring" };
            set.insert(format!(
                "history {}{recurring} rc {} status {}",
                attr("operation"),
                attr("rc-code"),
                attr("op-status")
            ));
        }
        set.insert(name.to_owned());
        for (attribute, value) in e.attrs() {
            set.insert(format!("{name}@{attribute}"));
            if CHOICES.contains(&attribute) && name != "lrm_rsc_op" && name != "lrm_resource" {
                set.insert(format!("{name}@{attribute}={value}"));
            }
        }
    }
    set
}
