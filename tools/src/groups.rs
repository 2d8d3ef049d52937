//! The groups of a user of this system, for the access lists of the CIB.

use std::ffi::CString;

use nix::unistd::{Group, User, getgrouplist};

/// Names of the groups; none for a user that the system does not know.
pub fn of_user(name: &str) -> Vec<String> {
    let Some(user) = User::from_name(name).ok().flatten() else { return Vec::new() };
    let Ok(name) = CString::new(name) else { return Vec::new() };
    let ids = getgrouplist(&name, user.gid).unwrap_or_default();
    ids.into_iter().filter_map(|id| Group::from_gid(id).ok().flatten()).map(|group| group.name).collect()
}
