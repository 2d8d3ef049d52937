//! Class stonith: `fence_*` agents by key=value lines on the standard input, Linux-HA's `external/*` by
//! variables and a verb, its other plugins through `stonith` (agents.md 6.1.3, 6.2).
//!
//! As a resource, a device is started by testing it and stopped by forgetting it: what fences with it is
//! another machine, which calls [`fence`].

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use super::{Prepared, Roots, base_env, in_dirs, unless_exited};
use crate::op::{is_instance_param, rc};
use crate::{AgentRef, Command, OpRequest, OpStatus, Outcome, Program, Verdict};

/// What a device is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FenceAction {
    Reboot,
    Off,
    On,
    /// Is this node on?
    Status,
    /// Which nodes or plugs are there?
    List,
    /// Does the device itself answer?
    Monitor,
    Metadata,
    ValidateAll,
}

impl FenceAction {
    /// The value of `action=`.
    pub fn as_str(self) -> &'static str {
        match self {
            FenceAction::Reboot => "reboot",
            FenceAction::Off => "off",
            FenceAction::On => "on",
            FenceAction::Status => "status",
            FenceAction::List => "list",
            FenceAction::Monitor => "monitor",
            FenceAction::Metadata => "metadata",
            FenceAction::ValidateAll => "validate-all",
        }
    }
}

/// One call of a fence agent.
#[derive(Debug, Clone)]
pub struct FenceCall<'a> {
    /// Of class stonith.
    pub agent: &'a AgentRef,
    pub action: FenceAction,
    /// The device's parameters as configured; those that are not the agent's own are left out here.
    pub params: &'a BTreeMap<String, String>,
    /// The node that is meant, and under which key and name the device knows it (`pcmk_host_argument`,
    /// `pcmk_host_map`).
    pub target: Option<FenceTarget<'a>>,
    /// `None`: without limit.
    pub timeout: Option<Duration>,
}

/// Whom a call is about.
#[derive(Debug, Clone, Copy)]
pub struct FenceTarget<'a> {
    pub node: &'a str,
    /// The key that carries the plug, usually `port` or `plug`; `None` to send none.
    pub argument: Option<&'a str>,
    /// The device's name of the node.
    pub plug: &'a str,
}

/// Why no call was made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FenceError {
    #[error(
        "parameter {name:?} of a fence agent holds a line break or a NUL, which the agent would take for another parameter"
    )]
    Parameter { name: String },
    #[error("{agent} cannot do \"{action}\"")]
    Action { agent: String, action: &'static str },
    #[error("node name {node:?} may not be passed to a fence agent")]
    Target { node: String },
}

/// The command for one call.
///
/// # Errors
/// [`FenceError`] if a parameter would break out of its line, or the kind of plugin lacks the action.
pub fn fence(call: &FenceCall<'_>, roots: &Roots) -> Result<Command, FenceError> {
    let kept = call.params.iter().filter(|(name, _)| is_agent_param(name));
    let mut keys: BTreeMap<String, String> = kept.map(|(n, v)| (n.clone(), v.clone())).collect();
    // pcmk_ACTION_action puts another word in the place of an action the agent calls differently.
    let word = call.params.get(&format!("pcmk_{}_action", call.action.as_str()));
    let word = word.map_or(call.action.as_str(), String::as_str);
    keys.remove("action");
    if let Some(target) = call.target {
        if target.node.starts_with('-') {
            return Err(FenceError::Target { node: target.node.to_owned() });
        }
        keys.insert("nodename".to_owned(), target.node.to_owned());
        if let Some(argument) = target.argument {
            // A plug that is configured is kept, unless it says to find it out (agents.md 6.3.2).
            let kept = keys.get(argument).is_some_and(|v| v != "dynamic");
            if !kept {
                keys.insert(argument.to_owned(), target.plug.to_owned());
            }
        }
    }
    let broken = |text: &str| text.contains(['\n', '\r', '\0']);
    if let Some((name, _)) =
        keys.iter().find(|(n, v)| broken(n) || broken(v) || n.is_empty() || n.contains('='))
    {
        return Err(FenceError::Parameter { name: name.clone() });
    }
    if broken(word) {
        return Err(FenceError::Parameter { name: format!("pcmk_{}_action", call.action.as_str()) });
    }
    let mut env = base_env(roots);
    env.insert("PCMK_service".to_owned(), "pacemaker-fenced".to_owned());
    let kind = call.agent.kind();
    let limit = Command {
        programs: Vec::new(),
        env,
        stdin: Vec::new(),
        timeout: call.timeout,
        output_limit: Command::OUTPUT,
        secrets: None,
    };
    if let Some(name) = kind.strip_prefix("external/") {
        external(call, name, keys, roots, limit)
    } else if kind.starts_with("fence_") {
        let mut stdin: String = keys.iter().map(|(n, v)| format!("{n}={v}\n")).collect();
        stdin.push_str(&format!("action={word}\n"));
        let output_limit =
            if call.action == FenceAction::Metadata { Command::OUTPUT_METADATA } else { Command::OUTPUT };
        Ok(Command {
            programs: in_dirs(&roots.fence, kind, &[]),
            stdin: stdin.into_bytes(),
            output_limit,
            ..limit
        })
    } else {
        legacy(call, kind, keys, roots, limit)
    }
}

/// A plugin of Linux-HA that is a script: its parameters are plain variables.
fn external(
    call: &FenceCall<'_>,
    name: &str,
    keys: BTreeMap<String, String>,
    roots: &Roots,
    command: Command,
) -> Result<Command, FenceError> {
    let host = call.target.map(|t| t.node.to_lowercase());
    let args: Vec<&str> = match (call.action, host.as_deref()) {
        (FenceAction::Reboot, Some(host)) => vec!["reset", host],
        (FenceAction::Off, Some(host)) => vec!["off", host],
        (FenceAction::On, Some(host)) => vec!["on", host],
        (FenceAction::List, _) => vec!["gethosts"],
        (FenceAction::Monitor | FenceAction::Status, _) => vec!["status"],
        (FenceAction::Metadata, _) => vec!["getinfo-xml"],
        (action, _) => return Err(lacks(call, action)),
    };
    let mut env = command.env;
    // The environment decides what runs: a parameter must not take the place of these.
    let reserved = ["PATH", "IFS", "ENV", "BASH_ENV", "SHELLOPTS", "LC_ALL"];
    env.extend(keys.into_iter().filter(|(n, _)| !reserved.contains(&n.as_str()) && !n.starts_with("LD_")));
    env.insert("HA_LOGTAG".to_owned(), format!("external/{name}"));
    // Their helpers, ha_log.sh among them, lie in a directory of glue's own.
    let path = env.get("PATH").cloned().unwrap_or_default();
    env.insert("PATH".to_owned(), format!("/usr/share/cluster-glue:/usr/lib/heartbeat:{path}"));
    Ok(Command { programs: in_dirs(&roots.external, name, &args), env, ..command })
}

/// A plugin of Linux-HA that is a library: through glue's own program, parameters in the environment.
fn legacy(
    call: &FenceCall<'_>,
    kind: &str,
    keys: BTreeMap<String, String>,
    roots: &Roots,
    command: Command,
) -> Result<Command, FenceError> {
    let host = call.target.map(|t| t.node.to_lowercase());
    let tail: Vec<&str> = match (call.action, host.as_deref()) {
        (FenceAction::Reboot, Some(host)) => vec!["-T", "reset", host],
        (FenceAction::Off, Some(host)) => vec!["-T", "off", host],
        (FenceAction::On, Some(host)) => vec!["-T", "on", host],
        (FenceAction::List, _) => vec!["-l"],
        (FenceAction::Monitor | FenceAction::Status, _) => vec!["-S"],
        (FenceAction::Metadata, _) => vec!["-m"],
        (action, _) => return Err(lacks(call, action)),
    };
    let args: Vec<String> = ["-t", kind, "-E"].iter().chain(&tail).map(|a| (*a).to_owned()).collect();
    let mut env = command.env;
    env.extend(keys.into_iter().filter(|(n, _)| n != "PATH" && n != "LC_ALL" && !n.starts_with("LD_")));
    let programs = roots
        .stonith
        .iter()
        .map(|path| Program { path: path.clone(), argv0: None, args: args.clone() })
        .collect();
    Ok(Command { programs, env, ..command })
}

fn lacks(call: &FenceCall<'_>, action: FenceAction) -> FenceError {
    FenceError::Action { agent: call.agent.to_string(), action: action.as_str() }
}

/// Parameters for the fencer and not for the agent (agents.md 6.3.2).
fn is_agent_param(name: &str) -> bool {
    is_instance_param(name) && !name.starts_with("pcmk_") && name != "provides" && name != "stonith-timeout"
}

/// `start` and recurring monitors test the device; `stop` needs nothing. A probe is answered by the
/// queue, which knows whether the device was started here.
pub(super) fn prepare(op: &OpRequest, roots: &Roots) -> Prepared {
    let action = match op.action.as_str() {
        "start" | "monitor" | "status" => FenceAction::Monitor,
        "stop" | "notify" => return Prepared::Answer(Verdict::done(rc::OK)),
        "meta-data" => FenceAction::Metadata,
        "validate-all" => FenceAction::ValidateAll,
        _ => return Prepared::Answer(Verdict::done(rc::UNIMPLEMENTED)),
    };
    let call = FenceCall { agent: &op.agent, action, params: &op.params, target: None, timeout: op.limit() };
    match fence(&call, roots) {
        Ok(command) => Prepared::Run(command),
        Err(e) => Prepared::Answer(Verdict::new(rc::NOT_CONFIGURED, OpStatus::Error, e.to_string())),
    }
}

pub(super) fn read(op: &OpRequest, outcome: &Outcome) -> Verdict {
    match unless_exited(op, outcome, "Fence agent") {
        Ok(verdict) => verdict,
        Err(0) => Verdict::done(rc::OK),
        Err(_) => {
            let text = outcome.output();
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
            Verdict::new(rc::ERROR, OpStatus::Done, last.trim())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::tests::{exited, op, run, verdict};
    use super::*;

    fn params(list: &[(&str, &str)]) -> BTreeMap<String, String> {
        list.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
    }

    fn call<'a>(agent: &'a AgentRef, params: &'a BTreeMap<String, String>) -> FenceCall<'a> {
        let target = FenceTarget { node: "N1", argument: Some("port"), plug: "7" };
        FenceCall { agent, action: FenceAction::Off, params, target: Some(target), timeout: None }
    }

    #[test]
    fn a_fence_agent_gets_its_keys_on_the_standard_input_only() {
        let agent: AgentRef = "stonith:fence_ipmilan".parse().unwrap();
        let params = params(&[
            ("ip", "10.0.0.9"),
            ("password", "secret"),
            ("pcmk_host_list", "n1"),
            ("pcmk_off_action", "cycle"),
            ("action", "reboot"),
            ("CRM_meta_timeout", "1"),
            ("crm_feature_set", "3.16.1"),
        ]);
        let command = fence(&call(&agent, &params), &Roots::system()).unwrap();
        let stdin = String::from_utf8(command.stdin).unwrap();
        assert_eq!(stdin, "ip=10.0.0.9\nnodename=N1\npassword=secret\nport=7\naction=cycle\n");
        assert!(command.programs.iter().all(|p| p.args.is_empty()));
        assert!(command.env.values().all(|v| !v.contains("secret")));
        assert_eq!(command.env["PCMK_service"], "pacemaker-fenced");
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_key() {
        let agent: AgentRef = "stonith:fence_ipmilan".parse().unwrap();
        let params = params(&[("ip", "1\naction=on")]);
        assert!(matches!(fence(&call(&agent, &params), &Roots::system()), Err(FenceError::Parameter { .. })));
    }

    #[test]
    fn a_configured_plug_is_kept_unless_it_is_dynamic() {
        let agent: AgentRef = "stonith:fence_x".parse().unwrap();
        for (configured, sent) in [("3", "port=3\n"), ("dynamic", "port=7\n")] {
            let params = params(&[("port", configured)]);
            let command = fence(&call(&agent, &params), &Roots::system()).unwrap();
            assert!(String::from_utf8(command.stdin).unwrap().contains(sent));
        }
    }

    #[test]
    fn an_external_plugin_gets_variables_and_a_verb() {
        let agent: AgentRef = "stonith:external/ssh".parse().unwrap();
        let params = params(&[("hostlist", "n1 n2"), ("PATH", "/evil"), ("LD_PRELOAD", "/evil.so")]);
        let command = fence(&call(&agent, &params), &Roots::system()).unwrap();
        assert_eq!(command.programs[0].path.to_string_lossy(), "/usr/lib/stonith/plugins/external/ssh");
        assert_eq!(command.programs[0].args, ["off", "n1"]);
        assert_eq!(command.env["hostlist"], "n1 n2");
        assert_eq!(command.env["HA_LOGTAG"], "external/ssh");
        assert!(!command.env["PATH"].contains("evil") && !command.env.contains_key("LD_PRELOAD"));
    }

    #[test]
    fn a_device_is_started_by_testing_it_and_stopped_by_nothing() {
        let start = op("stonith:fence_dummy", "start", &[]);
        assert!(
            String::from_utf8(run(&start, &Roots::system()).stdin).unwrap().ends_with("action=monitor\n")
        );
        assert_eq!(
            super::super::prepare(&op("stonith:fence_dummy", "stop", &[]), &Roots::system()),
            Prepared::Answer(Verdict::done(0))
        );
        let failed = verdict(&start, &exited(1, "", "connecting\nunable to log in\n"));
        assert_eq!((failed.rc, failed.reason.as_str()), (1, "unable to log in"));
    }
}
