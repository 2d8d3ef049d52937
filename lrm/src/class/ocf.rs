//! Class ocf: `DIR/PROVIDER/TYPE ACTION`, parameters in the environment (agents.md 1).

use super::{Roots, base_env, in_dirs, unless_exited};
use crate::op::{cut, rc};
use crate::{Command, OpRequest, OpStatus, Outcome, Verdict};

/// Marks the agent's own explanation in its standard error.
const REASON_PREFIX: &str = "ocf-exit-reason:";

pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Command {
    let provider = op.agent.provider().unwrap_or("heartbeat");
    let mut env = base_env(roots);
    let mut set = |name: &str, value: &str| env.insert(name.to_owned(), value.to_owned());
    set("OCF_ROOT", &roots.ocf_root.to_string_lossy());
    set("OCF_RA_VERSION_MAJOR", "1");
    set("OCF_RA_VERSION_MINOR", "1");
    set("OCF_RESOURCE_INSTANCE", &op.rsc);
    set("OCF_RESOURCE_TYPE", op.agent.kind());
    set("OCF_RESOURCE_PROVIDER", provider);
    set("OCF_EXIT_REASON_PREFIX", REASON_PREFIX);
    for (name, value) in &op.params {
        match name.strip_prefix("CRM_meta_") {
            // For the one who asks, not for the agent.
            Some("op_target_rc") => continue,
            Some(meta) => set(&format!("OCF_RESKEY_CRM_meta_{}", meta.replace('-', "_")), value),
            None => set(&format!("OCF_RESKEY_{name}"), value),
        };
        if name == "OCF_CHECK_LEVEL" {
            set(name, value);
        }
    }
    // The agents' shell library tells a probe from a recurring monitor by the interval, and many agents
    // compute their own limits from the time-out (agents.md 1.5.3).
    if op.interval_ms > 0 {
        set("OCF_RESKEY_CRM_meta_interval", &op.interval_ms.to_string());
    }
    if op.timeout_ms > 0 {
        set("OCF_RESKEY_CRM_meta_timeout", &op.timeout_ms.to_string());
    }
    let file = format!("{provider}/{}", op.agent.kind());
    Command {
        programs: in_dirs(&roots.ocf, &file, &[&op.action]),
        env,
        stdin: Vec::new(),
        timeout: op.limit(),
        output_limit: if op.action == "meta-data" { Command::OUTPUT_METADATA } else { Command::OUTPUT },
        secrets: None,
    }
}

pub(super) fn read(op: &OpRequest, outcome: &Outcome) -> Verdict {
    match unless_exited(op, outcome, "Resource agent") {
        Ok(verdict) => verdict,
        Err(code) => {
            let rc = match code {
                0..=9 | rc::DEGRADED | rc::DEGRADED_PROMOTED => code,
                _ => rc::ERROR,
            };
            Verdict { rc, status: OpStatus::Done, reason: exit_reason(&outcome.stderr) }
        }
    }
}

/// The rest of the line after the last marker; empty if there is none.
fn exit_reason(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let Some(at) = text.rfind(REASON_PREFIX) else {
        return String::new();
    };
    let rest = text.get(at + REASON_PREFIX.len()..).unwrap_or("");
    let mut reason = rest.lines().next().unwrap_or("").trim().to_owned();
    cut(&mut reason, crate::op::REASON_MAX);
    reason
}

#[cfg(test)]
mod tests {
    use super::super::tests::{exited, op, run, verdict};
    use super::*;

    #[test]
    fn an_agent_sees_what_the_standard_promises() {
        let mut op = op(
            "ocf:heartbeat:IPaddr2",
            "monitor",
            &[
                ("ip", "10.0.0.1"),
                ("OCF_CHECK_LEVEL", "10"),
                ("CRM_meta_on-fail", "block"),
                ("CRM_meta_op_target_rc", "7"),
                ("crm_feature_set", "3.16.1"),
            ],
        );
        op.interval_ms = 10_000;
        let command = run(&op, &Roots::system());
        let [program] = command.programs.as_slice() else { panic!("one place") };
        assert_eq!(program.path.to_string_lossy(), "/usr/lib/ocf/resource.d/heartbeat/IPaddr2");
        assert_eq!(program.args, ["monitor"]);
        let ours: Vec<String> = command
            .env
            .iter()
            .filter(|(n, _)| n.starts_with("OCF"))
            .map(|(n, v)| format!("{n}={v}"))
            .collect();
        assert_eq!(
            ours,
            [
                "OCF_CHECK_LEVEL=10",
                "OCF_EXIT_REASON_PREFIX=ocf-exit-reason:",
                "OCF_RA_VERSION_MAJOR=1",
                "OCF_RA_VERSION_MINOR=1",
                "OCF_RESKEY_CRM_meta_interval=10000",
                "OCF_RESKEY_CRM_meta_on_fail=block",
                "OCF_RESKEY_CRM_meta_timeout=20000",
                "OCF_RESKEY_OCF_CHECK_LEVEL=10",
                "OCF_RESKEY_crm_feature_set=3.16.1",
                "OCF_RESKEY_ip=10.0.0.1",
                "OCF_RESOURCE_INSTANCE=r",
                "OCF_RESOURCE_PROVIDER=heartbeat",
                "OCF_RESOURCE_TYPE=IPaddr2",
                "OCF_ROOT=/usr/lib/ocf",
            ]
        );
    }

    #[test]
    fn codes_outside_the_standard_are_a_generic_error() {
        let op = op("ocf:heartbeat:Dummy", "monitor", &[]);
        let rcs: Vec<i32> = [0, 7, 8, 9, 10, 127, 190, 191, 255]
            .iter()
            .map(|c| verdict(&op, &exited(*c, "", "")).rc)
            .collect();
        assert_eq!(rcs, [0, 7, 8, 9, 1, 1, 190, 191, 1]);
    }

    #[test]
    fn the_last_reason_an_agent_gives_is_kept_and_bounded() {
        let op = op("ocf:heartbeat:Dummy", "start", &[]);
        let text = "ocf-exit-reason:first\nnoise\nocf-exit-reason:no such disk\nmore\n";
        assert_eq!(verdict(&op, &exited(1, "", text)).reason, "no such disk");
        let long = format!("ocf-exit-reason:{}", "ü".repeat(500));
        assert_eq!(verdict(&op, &exited(1, "", &long)).reason.len(), 128);
        assert_eq!(verdict(&op, &exited(1, "ocf-exit-reason:on stdout", "")).reason, "");
    }
}
