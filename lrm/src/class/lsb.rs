//! Class lsb: `DIR/NAME ACTION`, no parameters; `monitor` is `status` (agents.md 2).

use super::{Roots, base_env, in_dirs, unless_exited};
use crate::op::rc;
use crate::{Command, OpRequest, Outcome, Verdict};

/// What the script is asked for.
pub(super) fn verb(action: &str) -> &str {
    if action == "monitor" { "status" } else { action }
}

pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Command {
    Command {
        programs: in_dirs(&roots.lsb, op.agent.kind(), &[verb(&op.action)]),
        env: base_env(roots),
        stdin: Vec::new(),
        timeout: op.limit(),
        output_limit: Command::OUTPUT,
        secrets: None,
    }
}

/// Pacemaker's mapping (agents.md 2.1): the codes of `status` have a meaning of their own.
pub(super) fn read(op: &OpRequest, outcome: &Outcome) -> Verdict {
    match unless_exited(op, outcome, "Resource agent") {
        Ok(verdict) => verdict,
        Err(code) => Verdict::done(match (verb(&op.action), code) {
            ("status", 0) => rc::OK,
            ("status", 1..=3) => rc::NOT_RUNNING,
            ("status", 150) => rc::NOT_INSTALLED,
            ("status", 151) => rc::PERMISSION,
            ("status", _) => rc::ERROR,
            (_, 0..=7) => code,
            (_, _) => rc::ERROR,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{exited, op, run, verdict};
    use super::*;

    #[test]
    fn a_script_gets_its_verb_and_nothing_of_ocf() {
        let command = run(&op("lsb:nginx", "monitor", &[("ip", "1")]), &Roots::system());
        let [program] = command.programs.as_slice() else { panic!("one place") };
        assert_eq!(program.path.to_string_lossy(), "/etc/init.d/nginx");
        assert_eq!(program.args, ["status"]);
        assert!(!command.env.keys().any(|n| n.starts_with("OCF")));
    }

    #[test]
    fn exits_are_mapped_as_pacemaker_maps_them() {
        let codes = [0, 1, 2, 3, 4, 5, 6, 7, 150, 151, 200];
        let map = |action| codes.map(|c| verdict(&op("lsb:x", action, &[]), &exited(c, "", "")).rc);
        assert_eq!(map("monitor"), [0, 7, 7, 7, 1, 1, 1, 1, 5, 4, 1]);
        assert_eq!(map("stop"), [0, 1, 2, 3, 4, 5, 6, 7, 1, 1, 1]);
    }
}
