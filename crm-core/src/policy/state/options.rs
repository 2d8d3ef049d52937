//! Cluster options, as the planner uses them.

/// What happens without quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum QuorumPolicy {
    #[default]
    Stop,
    Freeze,
    Ignore,
    Demote,
    Suicide,
}

/// How capacities and load count in placement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Placement {
    #[default]
    Default,
    Utilization,
    Minimal,
    Balanced,
}

/// What `#health…` attributes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HealthStrategy {
    #[default]
    None,
    MigrateOnRed,
    OnlyGreen,
    Progressive,
    Custom,
}

impl HealthStrategy {
    pub fn word(self) -> &'static str {
        match self {
            HealthStrategy::None => "none",
            HealthStrategy::MigrateOnRed => "migrate-on-red",
            HealthStrategy::OnlyGreen => "only-green",
            HealthStrategy::Progressive => "progressive",
            HealthStrategy::Custom => "custom",
        }
    }
}

/// The scheduler's options with their defaults filled in (§2 of the state page).
#[derive(Debug, Clone)]
pub struct Options {
    pub no_quorum_policy: QuorumPolicy,
    pub symmetric: bool,
    pub maintenance_mode: bool,
    pub start_failure_fatal: bool,
    pub startup_probes: bool,
    pub shutdown_lock: bool,
    /// Seconds, 0 for no limit.
    pub shutdown_lock_limit: i64,
    pub stonith_enabled: bool,
    /// `reboot` or `off`.
    pub stonith_action: &'static str,
    /// As written: goes into the graph.
    pub stonith_timeout: String,
    pub have_watchdog: bool,
    pub concurrent_fencing: bool,
    /// In effect: only with fencing enabled.
    pub startup_fencing: bool,
    /// Seconds.
    pub priority_fencing_delay: i64,
    /// As written.
    pub cluster_delay: String,
    /// As written.
    pub batch_limit: String,
    pub migration_limit: String,
    pub stop_all_resources: bool,
    pub stop_orphan_resources: bool,
    pub stop_orphan_actions: bool,
    pub remove_after_stop: bool,
    pub health_strategy: HealthStrategy,
    pub health_base: i32,
    pub health: crate::policy::values::HealthScores,
    pub placement: Placement,
    pub cluster_name: Option<String>,
    /// Every property as written, first value of a name.
    pub raw: super::Table,
}
