//! The user the core runs as.

use thiserror::Error;

/// Heartbeat's name of the user that holds everything that meets outside input.
const USER: &str = "hacluster";
/// Heartbeat's name of the group of those who may manage the cluster.
const GROUP: &str = "haclient";

/// A user to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub uid: u32,
    pub gid: u32,
}

/// The user is not there.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "there is no user {USER} with group {GROUP}, as which the part that meets outside input should run; make them: groupadd --system {GROUP}; useradd --system --gid {GROUP} --home-dir /var/lib/heartbeat --no-create-home --shell /usr/sbin/nologin {USER}"
)]
pub struct NoUser;

impl User {
    /// User `hacluster` with group `haclient`.
    ///
    /// # Errors
    /// [`NoUser`] says how to make what is missing.
    pub fn hacluster() -> Result<User, NoUser> {
        let user = nix::unistd::User::from_name(USER).ok().flatten().ok_or(NoUser)?;
        let group = nix::unistd::Group::from_name(GROUP).ok().flatten().ok_or(NoUser)?;
        Ok(User { name: user.name, uid: user.uid.as_raw(), gid: group.gid.as_raw() })
    }
}
