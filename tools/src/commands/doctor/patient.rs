//! What the checks look at: the node's files, read once.

use std::path::{Path, PathBuf};

use ccm::config::{Config, ConfigProblem, Paths, local_node_name, read_text};
use nix::unistd::{Gid, Group, Uid, User};

/// A node under examination.
pub(in crate::commands) struct Patient {
    pub paths: Paths,
    /// What could be read of ha.cf, broken lines left out; `None` if there is no file.
    pub config: Option<Config>,
    pub config_problems: Vec<ConfigProblem>,
    /// The node's name, by `nodename`, nodeinfo or uname -n.
    pub own_name: String,
    /// The CIB on disk, if there is one that parses.
    pub cib: Option<cib::Element>,
    pub cib_problem: Option<String>,
    /// Who the daemon's files must belong to: hacluster and haclient when examined by root, else
    /// whoever runs this.
    pub uid: Uid,
    pub gid: Gid,
}

impl Patient {
    pub(super) fn examine(paths: Paths) -> Patient {
        let (config, config_problems) = match read_text(&paths.ha_cf()) {
            Ok(text) => {
                let (config, problems) = Config::parse_lenient(&text, &paths.ha_cf().display().to_string());
                (Some(config), problems)
            }
            Err(problems) => (None, problems),
        };
        let own_name = local_node_name(config.as_ref(), &paths);
        let file = paths.join("/var/lib/heartbeat/crm/cib.xml");
        let (cib, cib_problem) = match std::fs::read_to_string(&file) {
            Ok(text) => match cib::Element::parse(&text) {
                Ok(root) => (Some(root), None),
                Err(error) => (None, Some(format!("{}: {error}", file.display()))),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (None, None),
            Err(error) => (None, Some(format!("{}: {error}", file.display()))),
        };
        let root = nix::unistd::geteuid().is_root();
        let user = User::from_name("hacluster").ok().flatten().filter(|_| root);
        let group = Group::from_name("haclient").ok().flatten().filter(|_| root);
        Patient {
            paths,
            config,
            config_problems,
            own_name,
            cib,
            cib_problem,
            uid: user.map_or_else(nix::unistd::geteuid, |u| u.uid),
            gid: group.map_or_else(nix::unistd::getegid, |g| g.gid),
        }
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.paths.join(path)
    }

    /// `USER:GROUP` that the daemon's files belong to.
    pub(super) fn owner(&self) -> String {
        format!("{}:{}", user_name(self.uid), group_name(self.gid))
    }

    /// Places where a file of the machine may be: below the root, and on the machine.
    pub(super) fn places(&self, path: &Path) -> Vec<PathBuf> {
        let mut places = vec![self.paths.join(path)];
        if places.first().is_some_and(|p| p != path) {
            places.push(path.to_path_buf());
        }
        places
    }
}

/// Name of a user, or the number if nobody has it.
pub(super) fn user_name(uid: Uid) -> String {
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |u| u.name)
}

pub(super) fn group_name(gid: Gid) -> String {
    Group::from_gid(gid).ok().flatten().map_or_else(|| gid.to_string(), |g| g.name)
}

/// Whether any account has this uid.
pub(super) fn is_alive(uid: Uid) -> bool {
    matches!(User::from_uid(uid), Ok(Some(_)))
}
