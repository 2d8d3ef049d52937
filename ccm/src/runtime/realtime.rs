//! What keeps the heartbeat thread on time: priority and memory that is not paged out.

/// Gives the calling thread SCHED_RR.
///
/// `priority` as `rtprio` of ha.cf; none is the highest. Children it might make do not inherit it.
///
/// # Errors
/// Usually not permitted: the thread then runs as any other.
pub fn priority(priority: Option<u8>) -> std::io::Result<()> {
    use nix::libc;
    let highest = 99;
    let priority = libc::c_int::from(priority.unwrap_or(highest).clamp(1, highest));
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: the call reads one initialised structure that outlives it and changes only the
    // scheduling of the calling thread (pid 0).
    #[allow(unsafe_code)]
    let result =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &parameters) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

/// Keeps the process's pages in memory once they have been touched.
///
/// Not done where a limit on locked memory would make later allocations fail: without CAP_IPC_LOCK, for
/// any limit.
///
/// # Errors
/// Not permitted, or limited.
pub fn lock_memory() -> std::io::Result<()> {
    use rustix::mm::MlockAllFlags;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
    let exempt = rustix::thread::capabilities(None)
        .is_ok_and(|sets| sets.effective.contains(rustix::thread::CapabilitySet::IPC_LOCK));
    if limit.is_some() && !exempt {
        return Err(std::io::Error::other("the limit on locked memory is too low"));
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    rustix::mm::mlockall(flags).map_err(Into::into)
}
