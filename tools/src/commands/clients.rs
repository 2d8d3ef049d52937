//! The `respawn` and `failfast` lines of ha.cf, made ready for the executor.

use std::path::Path;

use ccm::config::{Config, Paths, local_node_name, read_config};
use lrm::executor::{ClientOptions, ClientSpec, Power, SystemPower, User};

/// What the executor keeps running on the node below `root`. `None` without such lines, and with an
/// ha.cf that is wrong: the core says what is wrong with it and does not start.
pub(super) fn options(root: Option<&Path>) -> Option<ClientOptions> {
    let paths = Paths::new(root.map(Path::to_path_buf));
    let config = read_config(&paths.ha_cf()).ok()?;
    let clients: Vec<ClientSpec> = specs(&config);
    if clients.is_empty() {
        return None;
    }
    let node = local_node_name(Some(&config), &paths);
    let config_dir = paths.join("/etc/ha.d");
    // Only a node that owns its machine may restart it, and only if `crm` does not say otherwise.
    let may_reboot = root.is_none() && config.crm.may_reboot();
    let power = SystemPower::of_this_machine().filter(|_| may_reboot);
    Some(ClientOptions {
        clients,
        env: config.child_environment(&node, &config_dir),
        power: power.map(|p| Box::new(p) as Box<dyn Power + Send>),
    })
}

/// Programs that are part of this one are not run beside it.
fn specs(config: &Config) -> Vec<ClientSpec> {
    let root = nix::unistd::geteuid().is_root();
    let mut specs = Vec::new();
    for line in config.clients.iter().filter(|c| c.builtin.is_none()) {
        let user = nix::unistd::User::from_name(&line.user).ok().flatten();
        let Some(user) = user else {
            tracing::error!(
                "{}:{}: there is no user {}; {} is not run",
                config.file,
                line.line,
                line.user,
                line.command.display()
            );
            continue;
        };
        let own = user.uid == nix::unistd::geteuid();
        if !root && !own {
            tracing::error!("{}:{}: only root can run a program as {}", config.file, line.line, line.user);
            continue;
        }
        let user = (!own).then(|| User { name: user.name, uid: user.uid.as_raw(), gid: user.gid.as_raw() });
        specs.push(ClientSpec {
            user,
            command: line.command.clone(),
            arguments: line.arguments.clone(),
            failfast: line.failfast,
        });
    }
    specs
}
