//! Class systemd: units, through `systemctl` (agents.md 4.2).
//!
//! `systemctl start` and `stop` return when the job is done, and `show` prints states in a stable form,
//! so nothing here needs to speak D-Bus.

use std::time::Duration;

use super::{Prepared, Reading, Roots, base_env, unless_exited};
use crate::op::rc;
use crate::{Command, OpRequest, OpStatus, Outcome, Program, Verdict};

/// Between two looks at a unit that is on its way.
const POLL: Duration = Duration::from_secs(2);

/// `systemctl`'s exit for a unit that is not there.
const NO_SUCH_UNIT: i32 = 5;

/// The unit a name stands for.
pub(crate) fn unit(name: &str) -> String {
    let known = [".service", ".socket", ".mount", ".timer", ".path"];
    if known.iter().any(|suffix| name.ends_with(suffix)) {
        name.to_owned()
    } else {
        format!("{name}.service")
    }
}

pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Prepared {
    match programs(op, roots) {
        Some(programs) => Prepared::Run(Command {
            programs,
            env: base_env(roots),
            stdin: Vec::new(),
            timeout: op.limit(),
            output_limit: Command::OUTPUT,
            secrets: None,
        }),
        None => Prepared::Answer(Verdict::new(
            rc::UNIMPLEMENTED,
            OpStatus::Done,
            format!("units of systemd have no operation \"{}\"", op.action),
        )),
    }
}

/// The calls for an operation; `None` for one that units do not have.
pub(super) fn programs(op: &OpRequest, roots: &Roots) -> Option<Vec<Program>> {
    let unit = unit(op.agent.kind());
    let args: Vec<String> = match op.action.as_str() {
        "monitor" | "status" => {
            vec!["show".into(), "--property=LoadState".into(), "--property=ActiveState".into(), unit]
        }
        "meta-data" => vec!["show".into(), "--property=Description".into(), unit],
        verb @ ("start" | "stop" | "restart") => {
            vec!["--no-ask-password".into(), verb.into(), unit]
        }
        _ => return None,
    };
    Some(
        roots
            .systemctl
            .iter()
            .map(|path| Program { path: path.clone(), argv0: None, args: args.clone() })
            .collect(),
    )
}

pub(super) fn read(op: &OpRequest, outcome: &Outcome) -> Reading {
    Reading::Final(match unless_exited(op, outcome, "Resource agent") {
        Ok(verdict) => verdict,
        Err(code) => match (op.action.as_str(), code) {
            ("monitor" | "status", 0) => {
                return state(op, &String::from_utf8_lossy(&outcome.stdout));
            }
            ("stop", NO_SUCH_UNIT) => Verdict::done(rc::OK),
            (_, NO_SUCH_UNIT) => missing(),
            (_, 0) => Verdict::done(rc::OK),
            (_, _) => {
                let text = outcome.output();
                Verdict::new(rc::ERROR, OpStatus::Done, text.lines().next().unwrap_or("").trim())
            }
        },
    })
}

fn missing() -> Verdict {
    Verdict::new(rc::NOT_INSTALLED, OpStatus::NotInstalled, "systemd knows no such unit")
}

fn state(op: &OpRequest, show: &str) -> Reading {
    let value = |name: &str| {
        show.lines()
            .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
            .unwrap_or("")
    };
    let active = value("ActiveState");
    Reading::Final(match (value("LoadState"), active) {
        (_, "active" | "reloading") => Verdict::done(rc::OK),
        (_, "activating" | "deactivating") => return Reading::Again(poll(op.limit())),
        // A probe of a unit that is not there: it does not run, and cannot be started here.
        ("not-found" | "bad-setting" | "error", _) => missing(),
        (_, _) => Verdict::new(rc::NOT_RUNNING, OpStatus::Done, active),
    })
}

/// At most a tenth of the operation's limit.
fn poll(limit: Option<Duration>) -> Duration {
    limit.map_or(POLL, |limit| POLL.min(limit / 10)).max(Duration::from_millis(20))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{exited, op, run, verdict};
    use super::*;

    #[test]
    fn states_of_units_become_return_codes() {
        let op = op("systemd:nginx", "monitor", &[]);
        let show = |load: &str, active: &str| format!("LoadState={load}\nActiveState={active}\n");
        let of = |load, active| verdict(&op, &exited(0, &show(load, active), "")).rc;
        assert_eq!(of("loaded", "active"), 0);
        assert_eq!(of("loaded", "reloading"), 0);
        assert_eq!(of("loaded", "failed"), 7);
        assert_eq!(of("loaded", "inactive"), 7);
        assert_eq!(of("not-found", "inactive"), 5);
        assert_eq!(
            super::super::read(&op, &Roots::system(), &exited(0, &show("loaded", "activating"), "")),
            Reading::Again(Duration::from_secs(2))
        );
    }

    #[test]
    fn stopping_what_is_not_there_is_done_and_starting_it_is_not() {
        assert_eq!(verdict(&op("systemd:x", "stop", &[]), &exited(5, "", "")).rc, 0);
        assert_eq!(verdict(&op("systemd:x", "start", &[]), &exited(5, "", "")).rc, 5);
        assert_eq!(
            verdict(&op("systemd:x", "start", &[]), &exited(1, "", "Job failed\n")).reason,
            "Job failed"
        );
    }

    #[test]
    fn the_unit_is_named_in_full() {
        let command = run(&op("systemd:a@b", "start", &[]), &Roots::system());
        assert_eq!(command.programs[0].args, ["--no-ask-password", "start", "a@b.service"]);
        assert_eq!(unit("x.socket"), "x.socket");
    }
}
