//! Restarting the machine, behind a trait, so that only a program that asks for the real thing can.

/// What a core that may (`crm yes`) can ask for.
pub trait Power {
    /// Restarts the machine at once, without stopping anything: what runs on it must not run on.
    fn reboot(&mut self, reason: &str);
}

/// The machine itself. Nothing in this crate makes one.
#[derive(Debug)]
pub struct SystemPower(());

/// Set, to anything, where no machine may be restarted: test runs, demonstrations.
const NEVER: &str = "EVERBEAT_NO_REBOOT";

impl SystemPower {
    /// `None` if this process is not root's, or `EVERBEAT_NO_REBOOT` is set.
    pub fn of_this_machine() -> Option<SystemPower> {
        let allowed =
            rustix::process::geteuid().is_root() && std::env::var_os(NEVER).is_none() && !cfg!(test);
        allowed.then_some(SystemPower(()))
    }
}

impl Power for SystemPower {
    fn reboot(&mut self, reason: &str) {
        tracing::error!("restarting this machine: {reason}");
        // What was logged should be on disk if that is quick; the machine must go down in any case.
        std::thread::spawn(rustix::fs::sync);
        std::thread::sleep(std::time::Duration::from_millis(100));
        match nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_AUTOBOOT) {
            Ok(never) => match never {},
            Err(e) => tracing::error!("this machine could not be restarted: {e}"),
        }
    }
}
