//! Class service: the init script of the name if there is one, else the unit of systemd (agents.md 4.1).

use super::{Prepared, Reading, Roots, base_env, in_dirs, lsb, systemd};
use crate::{Command, End, OpRequest, Outcome};

pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Prepared {
    let mut programs = in_dirs(&roots.lsb, op.agent.kind(), &[lsb::verb(&op.action)]);
    programs.extend(systemd::programs(op, roots).unwrap_or_default());
    Prepared::Run(Command {
        programs,
        env: base_env(roots),
        stdin: Vec::new(),
        timeout: op.limit(),
        output_limit: Command::OUTPUT,
        secrets: None,
    })
}

pub(super) fn read(op: &OpRequest, roots: &Roots, outcome: &Outcome) -> Reading {
    if outcome.program < roots.lsb.len() || matches!(outcome.end, End::Failed(_)) {
        Reading::Final(lsb::read(op, outcome))
    } else {
        systemd::read(op, outcome)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{exited, op, run};
    use super::*;
    use crate::Verdict;

    #[test]
    fn an_exit_is_read_by_the_rules_of_the_program_that_ran() {
        let roots = Roots::system();
        let op = op("service:nginx", "monitor", &[]);
        let command = run(&op, &roots);
        assert_eq!(command.programs[0].args, ["status"]);
        assert_eq!(command.programs[1].args[0], "show");
        assert_eq!(read(&op, &roots, &exited(3, "", "")), Reading::Final(Verdict::done(7)));
        let unit = Outcome { program: 1, ..exited(0, "LoadState=loaded\nActiveState=active\n", "") };
        assert_eq!(read(&op, &roots, &unit), Reading::Final(Verdict::done(0)));
    }
}
