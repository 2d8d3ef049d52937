//! Rules that a test can take out, to see that the simulator's checks can fail. Without the feature
//! `sabotage`, which nothing but the simulator turns on, every rule is in force by construction.

/// A rule of protocol.md that can be switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// R7.8: a promise ends acknowledging and committing in the old view.
    FreezeOnPromise = 1,
    /// R7.7: promises only grow.
    PromiseUpwards = 2,
    /// R4.3: what was promised survives a restart.
    CeilingSurvives = 3,
    /// R7.11: activation needs everybody.
    ActivateWithAll = 4,
    /// R9.6: views that were never active give no authority.
    Refutation = 5,
    /// R9.7.2: the exclusive side beats an isolated one.
    ExclusiveFirst = 6,
    /// R12.5: on disk before acknowledged.
    AckAfterPersist = 7,
    /// R12.6: committed when every member acknowledged.
    CommitWithAll = 8,
    /// R13.2: the request table.
    RequestTable = 9,
    /// R9.9: the loser keeps a backup.
    Backup = 10,
    /// R12.4: no gaps.
    GapCheck = 11,
    /// R9.7: the base is the best history, not the proposer's own.
    BestBase = 12,
    /// R15.7: wait for all.
    WaitForAll = 13,
    /// R13.3: a refused repetition leaves a Void entry.
    Void = 14,
    /// R15.2: half of the votes is no majority.
    MoreThanHalf = 15,
    /// R15.10: a disk that forgot does not vote.
    VerifiedVotes = 16,
    /// R12.8: what was inherited is acknowledged only where the view may write.
    InheritedWithQuorum = 17,
    /// R7.7: no promise while a Switch is on its way to the disk.
    NoPromiseWhileSwitching = 18,
    /// R7.10: an Install counts for the promised view only.
    InstallOfThePromised = 19,
}

/// All of them, for the command line of the simulator.
pub const ALL: [(Rule, &str); 19] = [
    (Rule::FreezeOnPromise, "freeze-on-promise"),
    (Rule::PromiseUpwards, "promise-upwards"),
    (Rule::CeilingSurvives, "ceiling-survives"),
    (Rule::ActivateWithAll, "activate-with-all"),
    (Rule::Refutation, "refutation"),
    (Rule::ExclusiveFirst, "exclusive-first"),
    (Rule::AckAfterPersist, "ack-after-persist"),
    (Rule::CommitWithAll, "commit-with-all"),
    (Rule::RequestTable, "request-table"),
    (Rule::Backup, "backup"),
    (Rule::GapCheck, "gap-check"),
    (Rule::BestBase, "best-base"),
    (Rule::WaitForAll, "wait-for-all"),
    (Rule::Void, "void"),
    (Rule::MoreThanHalf, "more-than-half"),
    (Rule::VerifiedVotes, "verified-votes"),
    (Rule::InheritedWithQuorum, "inherited-with-quorum"),
    (Rule::NoPromiseWhileSwitching, "no-promise-while-switching"),
    (Rule::InstallOfThePromised, "install-of-the-promised"),
];

#[cfg(feature = "sabotage")]
static OUT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

/// Takes one rule out of this process; 0 puts all back.
#[cfg(feature = "sabotage")]
pub fn take_out(rule: Option<Rule>) {
    OUT.store(rule.map_or(0, |r| r as u32), std::sync::atomic::Ordering::Relaxed);
}

/// Whether the rule was taken out.
#[cfg(feature = "sabotage")]
pub fn out(rule: Rule) -> bool {
    OUT.load(std::sync::atomic::Ordering::Relaxed) == rule as u32
}

/// Whether the rule was taken out: never.
#[cfg(not(feature = "sabotage"))]
#[inline]
pub const fn out(_: Rule) -> bool {
    false
}
