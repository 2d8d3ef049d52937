//! Reads `crm_config` into [`Options`].

use std::time::Duration;

use super::nvpairs::{self, Mode};
use super::options::{HealthStrategy, Options, Placement, QuorumPolicy};
use super::rules::{Input, Notes};
use super::{Complaints, Table};
use crate::policy::values::{HealthScores, INFINITY};
use crate::policy::words;
use cib::model::{self, Part};
use cib::{Element, Text};

/// The options of a document. `quorum` and `panic` (`cib/@no-quorum-panic`) decide whether the suicide
/// policy stands.
pub fn unpack(
    crm_config: Option<&Element>,
    quorum: bool,
    panic: bool,
    input: &Input<'_>,
    notes: &mut Notes,
    complaints: &mut Complaints,
) -> Options {
    let mut raw = Table::default();
    let none = HealthScores::default();
    if let Some(config) = crm_config {
        let mode = Mode::KeepFrom("cib-bootstrap-options");
        nvpairs::unpack(config, words::CLUSTER_PROPERTY_SET, input, &none, mode, &mut raw, notes);
    }
    let set = |name: &str| raw.get(name).map(Text::as_str);
    let (read, problems) = model::Options::of(&set);
    for problem in &problems {
        if let model::OptionProblem::Invalid { name, .. } = problem
            && model::option(name).is_some_and(|option| option.part == Part::Scheduler)
        {
            complaints.error("option-invalid", name, problem.to_string());
        }
    }
    // The graph carries these as they are written.
    let written = |name: &str| model::option(name).map_or("", |option| option.text(set(name))).to_owned();

    let stonith_enabled = read.stonith_enabled;
    let stonith_action = match read.stonith_action {
        "off" => "off",
        "poweroff" => {
            complaints.warning_once(
                "stonith-action-poweroff",
                "stonith-action",
                "Support for stonith-action of 'poweroff' is deprecated and will be removed in a future release \
                 (use 'off' instead)"
                    .to_owned(),
            );
            "off"
        }
        _ => "reboot",
    };
    let startup_fencing = stonith_enabled && read.startup_fencing;
    if !startup_fencing {
        complaints.log_warning(
            "blind-faith",
            "startup-fencing",
            "Blind faith: not fencing unseen nodes".to_owned(),
        );
    }
    let no_quorum_policy = match read.no_quorum_policy {
        "freeze" => QuorumPolicy::Freeze,
        "ignore" => QuorumPolicy::Ignore,
        "demote" => QuorumPolicy::Demote,
        "suicide" if !stonith_enabled => {
            complaints.error(
                "suicide-without-fencing",
                "no-quorum-policy",
                "Resetting no-quorum-policy to 'stop' because fencing is disabled".to_owned(),
            );
            QuorumPolicy::Stop
        }
        "suicide" if panic || quorum => QuorumPolicy::Suicide,
        "suicide" => {
            complaints.notice(
                "suicide-never-quorate",
                "no-quorum-policy",
                "Resetting no-quorum-policy to 'stop' because cluster has never had quorum".to_owned(),
            );
            QuorumPolicy::Stop
        }
        _ => QuorumPolicy::Stop,
    };
    let shutdown_lock_limit = if read.shutdown_lock { seconds(read.shutdown_lock_limit) } else { 0 };
    if read.remove_after_stop {
        complaints.warning_once(
            "remove-after-stop",
            "remove-after-stop",
            "Support for the remove-after-stop cluster property is deprecated and will be removed in a future release"
                .to_owned(),
        );
    }
    let health_strategy = match read.node_health_strategy {
        "migrate-on-red" => HealthStrategy::MigrateOnRed,
        "only-green" => HealthStrategy::OnlyGreen,
        "progressive" => HealthStrategy::Progressive,
        "custom" => HealthStrategy::Custom,
        _ => HealthStrategy::None,
    };
    let [red, yellow, green] =
        [read.node_health_red, read.node_health_yellow, read.node_health_green].map(score);
    let health = match health_strategy {
        HealthStrategy::None => none,
        HealthStrategy::MigrateOnRed => HealthScores { red: -INFINITY, yellow: 0, green: 0 },
        HealthStrategy::OnlyGreen => HealthScores { red: -INFINITY, yellow: -INFINITY, green: 0 },
        HealthStrategy::Progressive | HealthStrategy::Custom => HealthScores { red, yellow, green },
    };
    let placement = match read.placement_strategy {
        "utilization" => Placement::Utilization,
        "minimal" => Placement::Minimal,
        "balanced" => Placement::Balanced,
        _ => Placement::Default,
    };
    Options {
        no_quorum_policy,
        symmetric: read.symmetric_cluster,
        maintenance_mode: read.maintenance_mode,
        start_failure_fatal: read.start_failure_is_fatal,
        startup_probes: read.enable_startup_probes,
        shutdown_lock: read.shutdown_lock,
        shutdown_lock_limit,
        stonith_enabled,
        stonith_action,
        stonith_timeout: written("stonith-timeout"),
        have_watchdog: read.have_watchdog,
        concurrent_fencing: read.concurrent_fencing,
        startup_fencing,
        priority_fencing_delay: seconds(read.priority_fencing_delay),
        cluster_delay: written("cluster-delay"),
        batch_limit: written("batch-limit"),
        migration_limit: written("migration-limit"),
        stop_all_resources: read.stop_all_resources,
        stop_orphan_resources: read.stop_orphan_resources,
        stop_orphan_actions: read.stop_orphan_actions,
        remove_after_stop: read.remove_after_stop,
        health_strategy,
        health_base: score(read.node_health_base),
        health,
        placement,
        cluster_name: set("cluster-name").map(str::to_owned),
        raw,
    }
}

fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

/// The table's scores are within the limits already.
fn score(value: i64) -> i32 {
    i32::try_from(value).unwrap_or(0)
}
