//! Class heartbeat: v1 scripts, positional arguments, state told in words (agents.md 3).

use super::{Roots, base_env, in_dirs, unless_exited};
use crate::op::rc;
use crate::{Command, OpRequest, Outcome, Verdict};

/// Most positional arguments a script gets.
const POSITIONS: usize = 37;
/// Bytes of the first line of output that count for the state.
const LINE: usize = 79;

pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Command {
    let mut args: Vec<&str> = (1..=op.params.len())
        .filter_map(|i| op.params.get(&i.to_string()))
        .take(POSITIONS)
        .map(String::as_str)
        .collect();
    args.push(super::lsb::verb(&op.action));
    let mut programs = in_dirs(&roots.heartbeat, op.agent.kind(), &args);
    for program in &mut programs {
        program.argv0 = Some(op.agent.kind().to_owned());
    }
    Command {
        programs,
        env: base_env(roots),
        stdin: Vec::new(),
        timeout: op.limit(),
        output_limit: Command::OUTPUT,
        secrets: None,
    }
}

pub(super) fn read(op: &OpRequest, outcome: &Outcome) -> Verdict {
    match unless_exited(op, outcome, "Resource agent") {
        Ok(verdict) => verdict,
        Err(5) => Verdict::done(rc::NOT_INSTALLED),
        Err(_) if super::lsb::verb(&op.action) == "status" => Verdict::done(state(&outcome.stdout)),
        Err(code) => Verdict::done(if (0..=255).contains(&code) { code } else { rc::ERROR }),
    }
}

/// The state a v1 script tells in the first line of its output; its exit code says nothing.
fn state(stdout: &[u8]) -> i32 {
    let line = stdout.split(|b| *b == b'\n').next().unwrap_or(&[]);
    let line = String::from_utf8_lossy(line.get(..LINE).unwrap_or(line)).into_owned();
    let lower = line.to_ascii_lowercase();
    let not_running =
        lower.find("not").is_some_and(|at| lower.get(at + 3..).unwrap_or("").contains("running"));
    if lower.contains("stopped") || not_running {
        rc::NOT_RUNNING
    } else if lower.contains("running") || line.contains("OK") {
        rc::OK
    } else {
        rc::NOT_RUNNING
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{exited, op, run, verdict};
    use super::*;

    #[test]
    fn numbered_parameters_are_positional_and_the_action_is_last() {
        let op = op("heartbeat:IPaddr", "start", &[("1", "10.0.0.5"), ("2", "eth0"), ("name", "x")]);
        let command = run(&op, &Roots::system());
        let [program] = command.programs.as_slice() else { panic!("one place") };
        assert_eq!(program.args, ["10.0.0.5", "eth0", "start"]);
        assert_eq!(program.argv0.as_deref(), Some("IPaddr"));
        assert_eq!(program.path.to_string_lossy(), "/etc/ha.d/resource.d/IPaddr");
    }

    #[test]
    fn the_state_is_told_by_the_first_line_whatever_the_exit() {
        let op = op("heartbeat:x", "monitor", &[]);
        let of = |text: &str| verdict(&op, &exited(1, text, "")).rc;
        assert_eq!(of("running\n"), 0);
        assert_eq!(of("OK\n"), 0);
        assert_eq!(of("ok\n"), 7);
        assert_eq!(of("x is not at all running"), 7);
        assert_eq!(of("Stopped\nrunning"), 7);
        assert_eq!(of("\nrunning"), 7);
        assert_eq!(of(""), 7);
        assert_eq!(of(&format!("{}running", " ".repeat(75))), 7);
        assert_eq!(verdict(&op, &exited(5, "running", "")).rc, 5);
    }
}
