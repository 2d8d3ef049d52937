//! Reads `crm_config` into [`Options`].

use super::nvpairs::{self, Mode};
use super::options::{HealthStrategy, Options, Placement, QuorumPolicy};
use super::rules::{Input, Notes};
use super::{Complaints, Table};
use crate::policy::values::{self, HealthScores, INFINITY, parse_score};
use cib::Element;

/// One property table with the complaints its values earn.
struct Reader<'a> {
    raw: &'a Table,
    complaints: &'a mut Complaints,
}

impl Reader<'_> {
    fn invalid(&mut self, name: &'static str, value: &str) {
        self.complaints.error(
            "option-invalid",
            name,
            format!("Using default value for cluster option '{name}' because '{value}' is invalid"),
        );
    }

    /// The text of an option if it is there and valid.
    fn valid(&mut self, name: &'static str, valid: impl Fn(&str) -> bool) -> Option<String> {
        let value = self.raw.get(name)?;
        if valid(value) {
            return Some(value.clone());
        }
        let value = value.clone();
        self.invalid(name, &value);
        None
    }

    fn boolean(&mut self, name: &'static str, default: bool) -> bool {
        self.valid(name, |v| values::parse_bool(v).is_some())
            .as_deref()
            .and_then(values::parse_bool)
            .unwrap_or(default)
    }

    fn time(&mut self, name: &'static str, default: &str) -> String {
        self.valid(name, |v| values::parse_duration_ms(v).is_some()).unwrap_or_else(|| default.to_owned())
    }

    fn number(&mut self, name: &'static str, default: &str) -> String {
        let valid = |v: &str| {
            matches!(v, "INFINITY" | "+INFINITY" | "-INFINITY")
                || matches!(values::scan(v), values::Scan::Clean(_) | values::Scan::Rest(..))
        };
        self.valid(name, valid).unwrap_or_else(|| default.to_owned())
    }

    /// One of some words (any case), as its position.
    fn choice(&mut self, name: &'static str, words: &[&str]) -> Option<usize> {
        let position = |v: &str| words.iter().position(|w| w.eq_ignore_ascii_case(v));
        self.valid(name, |v| position(v).is_some()).as_deref().and_then(position)
    }
}

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
    let mut raw = Table::new();
    let none = HealthScores::default();
    if let Some(config) = crm_config {
        let mode = Mode::KeepFrom("cib-bootstrap-options");
        nvpairs::unpack(config, "cluster_property_set", input, &none, mode, &mut raw, notes);
    }
    let mut r = Reader { raw: &raw, complaints };

    let stonith_enabled = r.boolean("stonith-enabled", true);
    let have_watchdog = r.boolean("have-watchdog", false);
    let stonith_timeout = r.time("stonith-timeout", "60s");
    let stonith_action = match r
        .valid("stonith-action", |v| matches!(v, "reboot" | "off" | "poweroff"))
        .as_deref()
    {
        Some("off") => "off",
        Some("poweroff") => {
            r.complaints.warning_once(
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
    let concurrent_fencing = r.boolean("concurrent-fencing", false);
    let delay = r.time("priority-fencing-delay", "0");
    let start_failure_fatal = r.boolean("start-failure-is-fatal", true);
    let mut startup_fencing = false;
    if stonith_enabled {
        startup_fencing = r.boolean("startup-fencing", true);
    }
    if !startup_fencing {
        r.complaints.log_warning(
            "blind-faith",
            "startup-fencing",
            "Blind faith: not fencing unseen nodes".to_owned(),
        );
    }
    let policies = ["stop", "freeze", "ignore", "demote", "suicide"];
    let no_quorum_policy = match r.choice("no-quorum-policy", &policies) {
        Some(1) => QuorumPolicy::Freeze,
        Some(2) => QuorumPolicy::Ignore,
        Some(3) => QuorumPolicy::Demote,
        Some(4) if !stonith_enabled => {
            r.complaints.error(
                "suicide-without-fencing",
                "no-quorum-policy",
                "Resetting no-quorum-policy to 'stop' because fencing is disabled".to_owned(),
            );
            QuorumPolicy::Stop
        }
        Some(4) if panic || quorum => QuorumPolicy::Suicide,
        Some(4) => {
            r.complaints.notice(
                "suicide-never-quorate",
                "no-quorum-policy",
                "Resetting no-quorum-policy to 'stop' because cluster has never had quorum".to_owned(),
            );
            QuorumPolicy::Stop
        }
        _ => QuorumPolicy::Stop,
    };
    let shutdown_lock = r.boolean("shutdown-lock", false);
    let shutdown_lock_limit = if shutdown_lock {
        i64::from(values::interval_ms(Some(&r.time("shutdown-lock-limit", "0")))) / 1000
    } else {
        0
    };
    let remove_after_stop = r.boolean("remove-after-stop", false);
    if remove_after_stop {
        r.complaints.warning_once(
            "remove-after-stop",
            "remove-after-stop",
            "Support for the remove-after-stop cluster property is deprecated and will be removed in a future release"
                .to_owned(),
        );
    }
    let strategies = ["none", "migrate-on-red", "only-green", "progressive", "custom"];
    let health_strategy = match r.choice("node-health-strategy", &strategies) {
        Some(1) => HealthStrategy::MigrateOnRed,
        Some(2) => HealthStrategy::OnlyGreen,
        Some(3) => HealthStrategy::Progressive,
        Some(4) => HealthStrategy::Custom,
        _ => HealthStrategy::None,
    };
    let score = |text: String| parse_score(Some(&text), &none);
    let health_base = score(r.number("node-health-base", "0"));
    let green = score(r.number("node-health-green", "0"));
    let yellow = score(r.number("node-health-yellow", "0"));
    let red = score(r.number("node-health-red", "-INFINITY"));
    let health = match health_strategy {
        HealthStrategy::None => none,
        HealthStrategy::MigrateOnRed => HealthScores { red: -INFINITY, yellow: 0, green: 0 },
        HealthStrategy::OnlyGreen => HealthScores { red: -INFINITY, yellow: -INFINITY, green: 0 },
        HealthStrategy::Progressive | HealthStrategy::Custom => HealthScores { red, yellow, green },
    };
    let placement = match r.choice("placement-strategy", &["default", "utilization", "minimal", "balanced"]) {
        Some(1) => Placement::Utilization,
        Some(2) => Placement::Minimal,
        Some(3) => Placement::Balanced,
        _ => Placement::Default,
    };
    Options {
        no_quorum_policy,
        symmetric: r.boolean("symmetric-cluster", true),
        maintenance_mode: r.boolean("maintenance-mode", false),
        start_failure_fatal,
        startup_probes: r.boolean("enable-startup-probes", true),
        shutdown_lock,
        shutdown_lock_limit,
        stonith_enabled,
        stonith_action,
        stonith_timeout,
        have_watchdog,
        concurrent_fencing,
        startup_fencing,
        priority_fencing_delay: i64::from(values::interval_ms(Some(&delay))) / 1000,
        cluster_delay: r.time("cluster-delay", "60s"),
        batch_limit: r.number("batch-limit", "0"),
        migration_limit: r.number("migration-limit", "-1"),
        stop_all_resources: r.boolean("stop-all-resources", false),
        stop_orphan_resources: r.boolean("stop-orphan-resources", true),
        stop_orphan_actions: r.boolean("stop-orphan-actions", true),
        remove_after_stop,
        health_strategy,
        health_base,
        health,
        placement,
        cluster_name: raw.get("cluster-name").cloned(),
        raw,
    }
}
