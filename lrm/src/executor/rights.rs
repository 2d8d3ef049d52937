//! Real-time priority and locked memory for a core that is not root.
//!
//! Where the executor may raise limits (CAP_SYS_RESOURCE), the core gets RLIMIT_RTPRIO and RLIMIT_MEMLOCK
//! and no capability. Where it may not, as in containers, the core starts as root, and before anything
//! else becomes its user, keeping the two capabilities that those limits stand for.

use std::io;

use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_keep_capabilities};

/// What real-time priority and locked memory need.
const KEPT: CapabilitySet = CapabilitySet::SYS_NICE.union(CapabilitySet::IPC_LOCK);

/// Whether limits can be raised for another process.
pub(super) fn may_raise_limits() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_RESOURCE))
}

/// Becomes the user `UID:GID` for good, with CAP_SYS_NICE and CAP_IPC_LOCK as far as they are there.
/// To be called before any other thread exists: capabilities belong to threads.
///
/// # Errors
/// The text is no such pair, or the change is not permitted: the process must end.
pub fn take_on(user: &str) -> io::Result<()> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "a user is given as UID:GID");
    let (uid, gid) = user.split_once(':').ok_or_else(invalid)?;
    let uid: u32 = uid.parse().map_err(|_| invalid())?;
    let gid: u32 = gid.parse().map_err(|_| invalid())?;
    let kept = capabilities(None)?.permitted.intersection(KEPT);
    set_keep_capabilities(true)?;
    setgroups(&[])?;
    setgid(Gid::from_raw(gid))?;
    setuid(Uid::from_raw(uid))?;
    set_keep_capabilities(false)?;
    let sets = CapabilitySets { effective: kept, permitted: kept, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets)?;
    // What changed its user is closed to its own /proc otherwise.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::Dumpable)?;
    if uid != 0 && setuid(Uid::from_raw(0)).is_ok() {
        return Err(io::Error::other("root was not given up"));
    }
    Ok(())
}
