//! The cluster options: one table, and the struct made of it.

use std::time::Duration;

use super::values::{parse_bool, parse_integer, parse_percentage, parse_time};
use super::views::Properties;
use crate::Cib;

/// What values an option takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    /// A length of time.
    Time,
    /// A length of time; negative leaves it to the cluster.
    TimeOrAuto,
    Integer,
    /// An integer from `-INFINITY` to `INFINITY`, which is 1000000.
    Score,
    Percentage,
    Text,
    /// One of these words, in any case.
    Select(&'static [&'static str]),
    /// One of these words, written so.
    SelectExact(&'static [&'static str]),
}

impl Kind {
    /// The kind in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Boolean => "boolean",
            Kind::Time | Kind::TimeOrAuto => "time",
            Kind::Integer => "integer",
            Kind::Score => "score",
            Kind::Percentage => "percentage",
            Kind::Text => "text",
            Kind::Select(_) | Kind::SelectExact(_) => "select",
        }
    }

    /// The words it is limited to, none where it is not.
    pub fn words(&self) -> &'static [&'static str] {
        match self {
            Kind::Boolean => &["true", "false"],
            Kind::Select(words) | Kind::SelectExact(words) => words,
            _ => &[],
        }
    }

    /// How a value is written and in what unit, where that is not plain.
    pub fn unit(&self) -> &'static str {
        match self {
            Kind::Time => "seconds, or with one of the units ms, s, min, h",
            Kind::TimeOrAuto => {
                "seconds, or with one of the units ms, s, min, h; negative: chosen by the cluster"
            }
            Kind::Score => "an integer, INFINITY or -INFINITY",
            Kind::Percentage => "a number followed by %",
            _ => "",
        }
    }
}

/// Which part of the cluster an option is for, in the reference's division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The planner: it complains of values that are none.
    Scheduler,
    Controller,
    /// The store of the CIB.
    Cib,
}

/// One option: a row of the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClusterOption {
    /// The name of the property.
    pub name: &'static str,
    pub part: Part,
    pub kind: Kind,
    /// The value where none is set, as it would be written; empty where there is none.
    pub default: &'static str,
    /// Names it had, read where the name itself is absent.
    pub legacy: &'static [&'static str],
    /// Whether it has an effect; if not, it is accepted so that existing configurations stay valid.
    pub effective: bool,
    /// One sentence: what it is for.
    pub help: &'static str,
}

/// A value that was set and is not used, or a name that has had its day.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionProblem {
    /// The words are the reference's.
    #[error("Using default value for cluster option '{name}' because '{value}' is invalid")]
    Invalid { name: &'static str, value: String },
    #[error("the cluster option '{legacy}' is now called '{name}'; its value is used")]
    Renamed { name: &'static str, legacy: &'static str },
}

/// A type that option values are read into.
trait Value<'a>: Default {
    fn read(kind: Kind, text: &'a str) -> Option<Self>;
}

impl Value<'_> for bool {
    fn read(_: Kind, text: &str) -> Option<Self> {
        parse_bool(text)
    }
}

impl Value<'_> for Duration {
    fn read(_: Kind, text: &str) -> Option<Self> {
        parse_time(text)
    }
}

/// `None` is "chosen by the cluster".
impl Value<'_> for Option<Duration> {
    fn read(_: Kind, text: &str) -> Option<Self> {
        match text.trim_start().strip_prefix('-') {
            Some(rest) => parse_time(rest).map(|_| None),
            None => parse_time(text).map(Some),
        }
    }
}

impl Value<'_> for i64 {
    fn read(kind: Kind, text: &str) -> Option<Self> {
        let limit = super::values::INFINITY;
        let number = parse_integer(text)?;
        Some(if kind == Kind::Score { number.clamp(-limit, limit) } else { number })
    }
}

impl Value<'_> for u32 {
    fn read(_: Kind, text: &str) -> Option<Self> {
        parse_percentage(text)
    }
}

/// Of a choice, the table's own spelling.
impl<'a> Value<'a> for &'a str {
    fn read(kind: Kind, text: &'a str) -> Option<Self> {
        match kind {
            Kind::Select(words) => words.iter().copied().find(|word| word.eq_ignore_ascii_case(text)),
            Kind::SelectExact(words) => words.iter().copied().find(|word| *word == text),
            _ => Some(text),
        }
    }
}

impl<'a> Value<'a> for Option<&'a str> {
    fn read(_: Kind, text: &'a str) -> Option<Self> {
        Some(Some(text).filter(|text| !text.is_empty()))
    }
}

/// What is set under a name.
type Lookup<'a, 'l> = &'l dyn Fn(&str) -> Option<&'a str>;

fn value<'a, V: Value<'a>>(
    option: &ClusterOption,
    lookup: Lookup<'a, '_>,
    legacy: bool,
    problems: &mut Vec<OptionProblem>,
) -> V {
    let mut set = lookup(option.name);
    for legacy in option.legacy.iter().filter(|_| legacy) {
        if set.is_none() {
            set = lookup(legacy);
            problems.extend(set.map(|_| OptionProblem::Renamed { name: option.name, legacy }));
        }
    }
    if let Some(text) = set {
        if let Some(value) = V::read(option.kind, text) {
            return value;
        }
        problems.push(OptionProblem::Invalid { name: option.name, value: text.to_owned() });
    }
    V::read(option.kind, option.default).unwrap_or_default()
}

impl ClusterOption {
    /// Whether a text is a value of the option.
    pub fn accepts(&self, text: &str) -> bool {
        match self.kind {
            Kind::Boolean => bool::read(self.kind, text).is_some(),
            Kind::Time => Duration::read(self.kind, text).is_some(),
            Kind::TimeOrAuto => Option::<Duration>::read(self.kind, text).is_some(),
            Kind::Integer | Kind::Score => i64::read(self.kind, text).is_some(),
            Kind::Percentage => u32::read(self.kind, text).is_some(),
            Kind::Text | Kind::Select(_) | Kind::SelectExact(_) => <&str>::read(self.kind, text).is_some(),
        }
    }

    /// The value in force as it is written: what is set where that is a value, else the default.
    pub fn text<'a>(&self, set: Option<&'a str>) -> &'a str {
        set.filter(|text| self.accepts(text)).unwrap_or(self.default)
    }
}

/// Makes the table and the struct of the same lines:
/// `field: type = name, part, kind, default, [legacy names], effective, help;`
macro_rules! options {
    ($($field:ident: $type:ty = $name:literal, $part:ident, $kind:expr, $default:literal, [$($legacy:literal),*],
        $effective:literal, $help:literal;)*) => {
        /// Every cluster option.
        pub static OPTIONS: &[ClusterOption] = &[$(ClusterOption {
            name: $name,
            part: Part::$part,
            kind: $kind,
            default: $default,
            legacy: &[$($legacy),*],
            effective: $effective,
            help: $help,
        }),*];

        /// The cluster options of a document, each with its value or its default. Texts are borrowed from
        /// the document.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct Options<'a> {
            $(
                #[doc = $help]
                #[doc = concat!("\n\n`", $name, "`, default `", $default, "`.")]
                pub $field: $type,
            )*
        }

        impl<'a> Options<'a> {
            /// Reads the options of a document, and what is wrong with them. A value that is none is not
            /// used. Sets with a rule are left out (see [`Properties::get`]), unknown names are nobody's
            /// concern. The defaults are those of today, also for a document of Heartbeat 2.
            pub fn read(cib: &'a Cib) -> (Self, Vec<OptionProblem>) {
                let properties = Properties::of(cib);
                Self::collect(&|name| properties.get(name), true)
            }

            /// As [`Options::read`] from properties that somebody else has put together, say by rules; by
            /// their present names only.
            pub fn of(lookup: &dyn Fn(&str) -> Option<&'a str>) -> (Self, Vec<OptionProblem>) {
                Self::collect(lookup, false)
            }

            fn collect(lookup: Lookup<'a, '_>, legacy: bool) -> (Self, Vec<OptionProblem>) {
                let mut problems = Vec::new();
                let mut rows = OPTIONS.iter();
                // The rows stand in the order of the fields: both are made of the same lines.
                let options = Self {
                    $($field: rows.next().map(|row| value(row, lookup, legacy, &mut problems)).unwrap_or_default(),)*
                };
                (options, problems)
            }
        }
    };
}

#[rustfmt::skip]
options! {
    no_quorum_policy: &'a str = "no-quorum-policy", Scheduler, Kind::Select(&["stop", "freeze", "ignore", "demote", "suicide"]), "stop", ["no_quorum_policy"], true,
        "What a partition without quorum does with the resources it runs.";
    symmetric_cluster: bool = "symmetric-cluster", Scheduler, Kind::Boolean, "true", ["symmetric_cluster"], true,
        "Whether resources may run on any node unless a constraint forbids it; if not, only where one allows it.";
    maintenance_mode: bool = "maintenance-mode", Scheduler, Kind::Boolean, "false", [], true,
        "Leave all resources alone and cancel their monitors.";
    start_failure_is_fatal: bool = "start-failure-is-fatal", Scheduler, Kind::Boolean, "true", [], true,
        "Whether one failed start bans a resource from the node; if not, it counts as one failure towards migration-threshold.";
    enable_startup_probes: bool = "enable-startup-probes", Scheduler, Kind::Boolean, "true", [], true,
        "Whether to look for resources that already run on a node that joins.";
    shutdown_lock: bool = "shutdown-lock", Scheduler, Kind::Boolean, "false", [], true,
        "Whether resources wait for a node that was shut down cleanly instead of moving elsewhere.";
    shutdown_lock_limit: Duration = "shutdown-lock-limit", Scheduler, Kind::Time, "0", [], true,
        "How long shutdown-lock holds; 0 is for ever.";
    stonith_enabled: bool = "stonith-enabled", Scheduler, Kind::Boolean, "true", ["stonith_enabled"], true,
        "Whether nodes that fail or vanish are fenced before their resources are started elsewhere.";
    stonith_action: &'a str = "stonith-action", Scheduler, Kind::SelectExact(&["reboot", "off", "poweroff"]), "reboot", ["stonith_action"], true,
        "What fencing does to a node; poweroff is an old word for off.";
    stonith_timeout: Duration = "stonith-timeout", Scheduler, Kind::Time, "60s", [], true,
        "How long a fencing action may take.";
    have_watchdog: bool = "have-watchdog", Scheduler, Kind::Boolean, "false", [], true,
        "Whether a watchdog counts as a fencing device; not to be set by hand.";
    concurrent_fencing: bool = "concurrent-fencing", Scheduler, Kind::Boolean, "false", [], true,
        "Whether several nodes may be fenced at the same time.";
    startup_fencing: bool = "startup-fencing", Scheduler, Kind::Boolean, "true", ["startup_fencing"], true,
        "Whether nodes never seen since the cluster started are fenced; without it their resources may run twice.";
    priority_fencing_delay: Duration = "priority-fencing-delay", Scheduler, Kind::Time, "0", [], true,
        "Head start in fencing for the node whose resources have the greater total priority.";
    cluster_delay: Duration = "cluster-delay", Scheduler, Kind::Time, "60s", ["transition_idle_timeout"], true,
        "Time allowed for messages to cross the network, beyond the time an action may take.";
    batch_limit: i64 = "batch-limit", Scheduler, Kind::Integer, "0", [], true,
        "Greatest number of actions the cluster carries out at a time; 0 leaves it to the cluster.";
    migration_limit: i64 = "migration-limit", Scheduler, Kind::Integer, "-1", [], true,
        "Greatest number of live migrations at a time on a node; -1 is no limit.";
    node_action_limit: i64 = "node-action-limit", Controller, Kind::Integer, "0", [], true,
        "Greatest number of actions at a time on a node; 0 is twice its processors.";
    stop_all_resources: bool = "stop-all-resources", Scheduler, Kind::Boolean, "false", [], true,
        "Stop every resource.";
    stop_orphan_resources: bool = "stop-orphan-resources", Scheduler, Kind::Boolean, "true", ["stop_orphan_resources"], true,
        "Whether resources that run but are no longer configured are stopped.";
    stop_orphan_actions: bool = "stop-orphan-actions", Scheduler, Kind::Boolean, "true", ["stop_orphan_actions"], true,
        "Whether monitors that are no longer configured are cancelled.";
    remove_after_stop: bool = "remove-after-stop", Scheduler, Kind::Boolean, "false", ["remove_after_stop"], true,
        "Forget a resource's history after stopping it; deprecated.";
    pe_error_series_max: i64 = "pe-error-series-max", Scheduler, Kind::Integer, "-1", [], false,
        "Greatest number of kept planning inputs that had errors; -1 is no limit.";
    pe_warn_series_max: i64 = "pe-warn-series-max", Scheduler, Kind::Integer, "5000", [], false,
        "Greatest number of kept planning inputs that had warnings; -1 is no limit.";
    pe_input_series_max: i64 = "pe-input-series-max", Scheduler, Kind::Integer, "4000", [], false,
        "Greatest number of kept planning inputs without either; -1 is no limit.";
    node_health_strategy: &'a str = "node-health-strategy", Scheduler, Kind::Select(&["none", "migrate-on-red", "only-green", "progressive", "custom"]), "none", [], true,
        "How node attributes that begin with #health move resources.";
    node_health_base: i64 = "node-health-base", Scheduler, Kind::Score, "0", [], true,
        "Score every node begins with under the strategy progressive.";
    node_health_green: i64 = "node-health-green", Scheduler, Kind::Score, "0", [], true,
        "Score that the health value green stands for.";
    node_health_yellow: i64 = "node-health-yellow", Scheduler, Kind::Score, "0", [], true,
        "Score that the health value yellow stands for.";
    node_health_red: i64 = "node-health-red", Scheduler, Kind::Score, "-INFINITY", [], true,
        "Score that the health value red stands for.";
    placement_strategy: &'a str = "placement-strategy", Scheduler, Kind::Select(&["default", "utilization", "minimal", "balanced"]), "default", [], true,
        "Whether the capacity of nodes and the needs of resources decide where these run.";
    dc_version: &'a str = "dc-version", Controller, Kind::Text, "none", [], true,
        "Version of the software on the coordinating node; shown by crm_mon for a saved configuration.";
    cluster_infrastructure: &'a str = "cluster-infrastructure", Controller, Kind::Text, "corosync", [], true,
        "What carries the cluster's messages; shown by crm_mon for a saved configuration.";
    cluster_name: Option<&'a str> = "cluster-name", Controller, Kind::Text, "", [], true,
        "Name of the cluster, which rules may test as #cluster-name.";
    dc_deadtime: Duration = "dc-deadtime", Controller, Kind::Time, "20s", ["dc_deadtime"], false,
        "How long a starting node waits for answers of the others.";
    cluster_recheck_interval: Duration = "cluster-recheck-interval", Controller, Kind::Time, "15min", ["cluster_recheck_interval"], true,
        "How often to plan again when nothing happens, for what depends on time; 0 is never.";
    load_threshold: u32 = "load-threshold", Controller, Kind::Percentage, "80%", [], false,
        "Load of a node above which fewer actions are given to it.";
    fence_reaction: &'a str = "fence-reaction", Controller, Kind::Select(&["stop", "panic"]), "stop", [], false,
        "What a node does that learns of its own fencing.";
    election_timeout: Duration = "election-timeout", Controller, Kind::Time, "2min", ["election_timeout"], false,
        "How long choosing the coordinating node may take.";
    shutdown_escalation: Duration = "shutdown-escalation", Controller, Kind::Time, "20min", ["shutdown_escalation"], true,
        "How long a clean shutdown of a node may take before it goes regardless.";
    join_integration_timeout: Duration = "join-integration-timeout", Controller, Kind::Time, "3min", ["crmd-integration-timeout"], false,
        "How long a node may take to join.";
    join_finalization_timeout: Duration = "join-finalization-timeout", Controller, Kind::Time, "30min", ["crmd-finalization-timeout"], false,
        "How long the end of joining may take.";
    transition_delay: Duration = "transition-delay", Controller, Kind::Time, "0s", ["crmd-transition-delay"], false,
        "How long to wait for more changes before acting on one.";
    stonith_watchdog_timeout: Option<Duration> = "stonith-watchdog-timeout", Controller, Kind::TimeOrAuto, "0", [], false,
        "How long a lost node with a watchdog takes to reset itself; 0 is not to rely on that.";
    stonith_max_attempts: i64 = "stonith-max-attempts", Controller, Kind::Integer, "10", [], true,
        "How often fencing a node may fail in a row before the cluster waits for something to change.";
    enable_acl: bool = "enable-acl", Cib, Kind::Boolean, "false", [], true,
        "Whether access control lists restrict users other than the administrators.";
    cluster_ipc_limit: i64 = "cluster-ipc-limit", Cib, Kind::Integer, "500", [], false,
        "Greatest number of messages waiting for one client of the cluster.";
}

/// The option of that name, or that once had it.
pub fn option(name: &str) -> Option<&'static ClusterOption> {
    let find = |fits: &dyn Fn(&ClusterOption) -> bool| OPTIONS.iter().find(|option| fits(option));
    find(&|option| option.name == name).or_else(|| find(&|option| option.legacy.contains(&name)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn with(pairs: &str) -> Cib {
        let set =
            format!(r#"<cluster_property_set id="cib-bootstrap-options">{pairs}</cluster_property_set>"#);
        Cib::parse(&format!("<cib><configuration><crm_config>{set}</crm_config></configuration></cib>"))
            .unwrap()
    }

    #[test]
    fn an_empty_configuration_has_the_defaults() {
        let cib = Cib::empty();
        let (options, problems) = Options::read(&cib);
        assert_eq!(problems, []);
        assert!(options.stonith_enabled && options.symmetric_cluster && !options.maintenance_mode);
        assert_eq!((options.no_quorum_policy, options.stonith_action), ("stop", "reboot"));
        assert_eq!(options.cluster_recheck_interval, Duration::from_secs(900));
        assert_eq!((options.node_health_red, options.load_threshold), (-1_000_000, 80));
        assert_eq!((options.cluster_name, options.stonith_watchdog_timeout), (None, Some(Duration::ZERO)));
    }

    #[test]
    fn options_that_are_set_are_read_and_wrong_ones_are_named() {
        let cib = with(
            r#"<nvpair id="a" name="no-quorum-policy" value="FREEZE"/><nvpair id="b" name="stonith-action" value="Off"/>
               <nvpair id="c" name="crmd-integration-timeout" value="7min"/><nvpair id="d" name="batch-limit" value="many"/>
               <nvpair id="e" name="stonith-watchdog-timeout" value="-1"/><nvpair id="f" name="cluster-name" value="düne"/>
               <nvpair id="g" name="node-health-red" value="-5000000"/><nvpair id="h" name="stonith-enabled" value="false"/>
               <nvpair id="i" name="stonith_enabled" value="true"/><nvpair id="j" name="whatever" value="1"/>"#,
        );
        let (options, problems) = Options::read(&cib);
        assert_eq!(
            (options.no_quorum_policy, options.stonith_action, options.batch_limit),
            ("freeze", "reboot", 0)
        );
        assert_eq!(options.join_integration_timeout, Duration::from_secs(420));
        assert_eq!((options.stonith_watchdog_timeout, options.cluster_name), (None, Some("düne")));
        assert_eq!((options.node_health_red, options.stonith_enabled), (-1_000_000, false));
        let said: Vec<_> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "Using default value for cluster option 'stonith-action' because 'Off' is invalid",
                "Using default value for cluster option 'batch-limit' because 'many' is invalid",
                "the cluster option 'crmd-integration-timeout' is now called 'join-integration-timeout'; \
                 its value is used",
            ]
        );
    }

    #[test]
    fn every_default_of_the_table_is_a_valid_value_and_names_are_unique() {
        let mut names = std::collections::BTreeSet::new();
        for row in OPTIONS {
            let pair = format!(r#"<nvpair id="x" name="{}" value="{}"/>"#, row.name, row.default);
            let cib = with(&pair);
            assert_eq!(Options::read(&cib), Options::read(&Cib::empty()), "{}", row.name);
            assert!(row.help.ends_with('.') && !row.help.contains("  "), "{}", row.name);
            for name in row.legacy.iter().chain([&row.name]) {
                assert!(names.insert(*name), "{name} twice");
                assert_eq!(option(name), Some(row));
            }
            assert!(row.accepts(row.default), "{}", row.name);
            assert_eq!((row.text(None), row.text(Some(row.default))), (row.default, row.default));
            if row.kind != Kind::Text {
                assert_eq!(row.text(Some("no such value")), row.default, "{}", row.name);
            }
        }
        assert_eq!(option("nothing-such"), None);
    }
}
