//! How each class of agents is called, and what its exits mean. Pure: where agents lie comes in as
//! [`Roots`], and which of several places holds one is found out by whoever runs the [`Command`].

pub mod heartbeat;
pub mod lsb;
pub mod ocf;
pub mod service;
pub mod stonith;
pub mod systemd;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::op::rc;
use crate::{Class, Command, End, OpRequest, OpStatus, Outcome, Program, Secrets, SpawnError, Verdict};

/// Where agents are looked for, each list in order, and what all of them find in their environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roots {
    /// Directories that hold `PROVIDER/TYPE`.
    pub ocf: Vec<PathBuf>,
    /// Directories of init scripts.
    pub lsb: Vec<PathBuf>,
    /// Directories of Heartbeat v1 scripts.
    pub heartbeat: Vec<PathBuf>,
    /// Directories of `fence_*` programs.
    pub fence: Vec<PathBuf>,
    /// Directories of Linux-HA's `external/*` plugins.
    pub external: Vec<PathBuf>,
    /// The `stonith` program of cluster-glue, for its other plugins.
    pub stonith: Vec<PathBuf>,
    /// The `systemctl` program.
    pub systemctl: Vec<PathBuf>,
    /// `OCF_ROOT`: where agents find their shell libraries.
    pub ocf_root: PathBuf,
    /// Variables for every agent, beside those that are always set.
    pub env: BTreeMap<String, String>,
}

impl Roots {
    /// The directories of a usual system (agents.md 1.1.1, 2, 3, 6.1.3, 6.2).
    pub fn system() -> Roots {
        let list = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        Roots {
            ocf: list(&["/usr/lib/ocf/resource.d"]),
            lsb: list(&["/etc/init.d"]),
            heartbeat: list(&["/etc/ha.d/resource.d"]),
            fence: list(&["/usr/sbin", "/sbin"]),
            external: list(&["/usr/lib/stonith/plugins/external"]),
            stonith: list(&["/usr/sbin/stonith", "/sbin/stonith"]),
            systemctl: list(&["/usr/bin/systemctl", "/bin/systemctl"]),
            ocf_root: PathBuf::from("/usr/lib/ocf"),
            env: BTreeMap::new(),
        }
    }

    /// The directories of a node that lives below `root`: those below it first, then the system's own
    /// for agents only. The v1 scripts of the system's `/etc/ha.d` belong to another node and are left
    /// out. What agents keep while they run (`HA_RSCTMP` and the like) is below `root` too, so that two
    /// nodes of one machine do not take each other's state for their own, and the cluster's tools that
    /// agents call are looked for in its `usr/sbin` (`everbeat install-links` puts them there).
    pub fn below(root: &Path) -> Roots {
        let mut roots = Roots::system();
        let under = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        for list in [&mut roots.ocf, &mut roots.lsb, &mut roots.fence, &mut roots.external] {
            let own: Vec<PathBuf> = list.iter().map(|p| under(p)).collect();
            list.splice(0..0, own);
        }
        roots.heartbeat = roots.heartbeat.iter().map(|p| under(p)).collect();
        for (name, path) in [
            ("HA_RSCTMP", "/run/resource-agents"),
            ("HA_VARRUN", "/var/run"),
            ("HA_VARLIB", "/var/lib/heartbeat"),
            ("HA_DIR", "/etc/ha.d"),
            ("HA_CF", "/etc/ha.d/ha.cf"),
        ] {
            roots.env.insert(name.to_owned(), under(Path::new(path)).to_string_lossy().into_owned());
        }
        // An agent that calls crm_master must not reach the tools of another cluster.
        let sbin = under(Path::new("/usr/sbin")).to_string_lossy().into_owned();
        roots.env.insert("PATH".to_owned(), format!("{sbin}:{PATH}"));
        roots.env.insert("HA_SBIN_DIR".to_owned(), sbin);
        roots.env.insert("EVERBEAT_ROOT".to_owned(), root.to_string_lossy().into_owned());
        roots
    }

    /// Adds a directory of OCF agents before all others: for agents that ship with the program.
    pub fn with_ocf_dir(mut self, dir: impl Into<PathBuf>) -> Roots {
        self.ocf.insert(0, dir.into());
        self
    }
}

/// The search path of agents.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What an operation amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prepared {
    Run(Command),
    /// Nothing has to run to know the result.
    Answer(Verdict),
}

/// What an exit amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    Final(Verdict),
    /// Not settled yet: run the same command again after this time, within the operation's limit.
    Again(Duration),
}

/// The command for `op`, or its result if none is needed.
pub fn prepare(op: &OpRequest, roots: &Roots) -> Prepared {
    if let Some(answer) = unusable(op) {
        return Prepared::Answer(answer);
    }
    let mut prepared = match op.agent.class() {
        Class::Ocf => Prepared::Run(ocf::prepare(op, roots)),
        Class::Lsb => Prepared::Run(lsb::prepare(op, roots)),
        Class::Heartbeat => Prepared::Run(heartbeat::prepare(op, roots)),
        Class::Systemd => systemd::prepare(op, roots),
        Class::Service => service::prepare(op, roots),
        Class::Stonith => stonith::prepare(op, roots),
    };
    if let Prepared::Run(command) = &mut prepared
        && op.params.values().any(|value| value == Secrets::MARK)
    {
        command.secrets = Some(Secrets { rsc: without_instance(&op.rsc), optional: op.action == "stop" });
    }
    prepared
}

/// `db` of `db:0`.
fn without_instance(rsc: &str) -> String {
    match rsc.rsplit_once(':') {
        Some((id, number)) if number.bytes().all(|b| b.is_ascii_digit()) => id.to_owned(),
        _ => rsc.to_owned(),
    }
}

/// What the end of the command for `op` means.
pub fn read(op: &OpRequest, roots: &Roots, outcome: &Outcome) -> Reading {
    match op.agent.class() {
        Class::Ocf => Reading::Final(ocf::read(op, outcome)),
        Class::Lsb => Reading::Final(lsb::read(op, outcome)),
        Class::Heartbeat => Reading::Final(heartbeat::read(op, outcome)),
        Class::Systemd => systemd::read(op, outcome),
        Class::Service => service::read(op, roots, outcome),
        Class::Stonith => Reading::Final(stonith::read(op, outcome)),
    }
}

/// Parameters that no process could be given are refused before anything runs.
fn unusable(op: &OpRequest) -> Option<Verdict> {
    let bad = |text: &str| text.contains('\0');
    let broken = op
        .params
        .iter()
        .find(|(name, value)| name.is_empty() || name.contains('=') || bad(name) || bad(value))
        .map(|(name, _)| name);
    let reason = if let Some(name) = broken {
        format!("parameter {name:?} cannot be passed to an agent")
    } else if op.action.is_empty() || op.action.starts_with('-') || bad(&op.action) || bad(&op.rsc) {
        format!("operation {:?} cannot be passed to an agent", op.action)
    } else {
        return None;
    };
    Some(Verdict::new(rc::NOT_CONFIGURED, OpStatus::Error, reason))
}

/// The environment of every agent: fixed search path and language, then what [`Roots::env`] says.
/// `HA_…` are what Heartbeat's agents log by (agents.md 1.5.1); the node's driver overrides them with the
/// facility of ha.cf.
pub(crate) fn base_env(roots: &Roots) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> = [
        ("PATH", PATH),
        ("LC_ALL", "C"),
        ("HA_debug", "0"),
        ("HA_use_logd", "no"),
        ("HA_LOGD", "no"),
        ("HA_logfacility", "none"),
        ("HA_LOGFACILITY", "none"),
        ("PCMK_logfacility", "none"),
    ]
    .into_iter()
    .map(|(n, v)| (n.to_owned(), v.to_owned()))
    .collect();
    env.extend(roots.env.iter().map(|(n, v)| (n.clone(), v.clone())));
    env
}

/// A command that is one file of one of `dirs`, called with `args`.
pub(crate) fn in_dirs(dirs: &[PathBuf], file: &str, args: &[&str]) -> Vec<Program> {
    dirs.iter()
        .map(|dir| Program {
            path: dir.join(file),
            argv0: None,
            args: args.iter().map(|a| (*a).to_owned()).collect(),
        })
        .collect()
}

/// The verdict of an end that is no exit code, the same for every class (agents.md 1.7.2). `Err` holds
/// the exit code of an ordinary end.
pub(crate) fn unless_exited(op: &OpRequest, outcome: &Outcome, who: &str) -> Result<Verdict, i32> {
    Ok(match &outcome.end {
        End::Code(code) => return Err(*code),
        End::Signal(n) => Verdict::new(
            rc::ERROR,
            OpStatus::Error,
            format!("{who} interrupted by {} signal", signal_name(*n)),
        ),
        End::Timeout => Verdict::new(
            rc::ERROR,
            OpStatus::Timeout,
            match op.limit() {
                Some(limit) => format!("{who} did not complete within {}", readable(limit)),
                None => format!("{who} did not complete in time"),
            },
        ),
        End::Killed => Verdict::new(rc::OK, OpStatus::Cancelled, ""),
        End::Failed(SpawnError::NotFound(text)) => {
            Verdict::new(rc::NOT_INSTALLED, OpStatus::NotInstalled, text.as_str())
        }
        End::Failed(SpawnError::Permission(text)) => {
            Verdict::new(rc::PERMISSION, OpStatus::Error, text.as_str())
        }
        End::Failed(SpawnError::Secrets(text)) => Verdict::new(rc::ARGS, OpStatus::NoSecrets, text.as_str()),
        // Nothing was tried: this is no failure of the resource.
        End::Failed(SpawnError::Late(text)) => Verdict::new(rc::ERROR, OpStatus::Invalid, text.as_str()),
        End::Failed(SpawnError::Other(text)) => Verdict::new(rc::ERROR, OpStatus::Error, text.as_str()),
    })
}

/// `20s`, `1m`, `500ms`: as the reference prints a limit in an exit reason.
pub(crate) fn readable(time: Duration) -> String {
    let ms = time.as_millis();
    match ms {
        ms if ms % 1000 != 0 => format!("{ms}ms"),
        ms if ms != 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms != 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms > 60_000 => format!("{}m{}s", ms / 60_000, ms % 60_000 / 1000),
        ms => format!("{}s", ms / 1000),
    }
}

fn signal_name(n: i32) -> String {
    let name = match n {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        n => return format!("number {n}"),
    };
    name.to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::AgentRef;

    pub fn op(agent: &str, action: &str, params: &[(&str, &str)]) -> OpRequest {
        OpRequest {
            rsc: "r".into(),
            agent: agent.parse::<AgentRef>().unwrap(),
            action: action.into(),
            interval_ms: 0,
            timeout_ms: 20_000,
            start_delay_ms: 0,
            params: params.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            key: String::new(),
            expected_rc: 0,
        }
    }

    pub fn exited(code: i32, stdout: &str, stderr: &str) -> Outcome {
        Outcome {
            stdout: stdout.into(),
            stderr: stderr.into(),
            ..Outcome::of(End::Code(code), Duration::ZERO)
        }
    }

    pub fn run(op: &OpRequest, roots: &Roots) -> Command {
        match prepare(op, roots) {
            Prepared::Run(command) => command,
            Prepared::Answer(v) => panic!("answered without running: {v:?}"),
        }
    }

    pub fn verdict(op: &OpRequest, outcome: &Outcome) -> Verdict {
        match read(op, &Roots::system(), outcome) {
            Reading::Final(v) => v,
            Reading::Again(d) => panic!("not settled: {d:?}"),
        }
    }

    #[test]
    fn ends_without_an_exit_code_mean_the_same_for_every_class() {
        for agent in ["ocf:heartbeat:Dummy", "lsb:x", "heartbeat:x", "systemd:x", "service:x"] {
            let op = op(agent, "start", &[]);
            let of = |end| verdict(&op, &Outcome::of(end, Duration::ZERO));
            let v = of(End::Timeout);
            assert_eq!((v.rc, v.status), (1, OpStatus::Timeout));
            assert_eq!(v.reason, "Resource agent did not complete within 20s");
            let v = of(End::Failed(SpawnError::NotFound("No such file or directory".into())));
            assert_eq!((v.rc, v.status), (5, OpStatus::NotInstalled));
            let v = of(End::Failed(SpawnError::Permission("x".into())));
            assert_eq!((v.rc, v.status), (4, OpStatus::Error));
            let v = of(End::Failed(SpawnError::Secrets("x".into())));
            assert_eq!((v.rc, v.status), (2, OpStatus::NoSecrets));
            let v = of(End::Signal(9));
            assert_eq!((v.rc, v.status), (1, OpStatus::Error));
            assert_eq!(v.reason, "Resource agent interrupted by SIGKILL signal");
        }
    }

    #[test]
    fn a_parameter_no_process_can_have_is_an_error_of_the_configuration() {
        for params in [[("a=b", "c")], [("", "c")], [("a", "b\0")]] {
            match prepare(&op("ocf:heartbeat:Dummy", "start", &params), &Roots::system()) {
                Prepared::Answer(v) => assert_eq!((v.rc, v.status), (6, OpStatus::Error)),
                Prepared::Run(_) => panic!("{params:?} was run"),
            }
        }
    }

    #[test]
    fn a_secret_is_asked_for_by_the_resource_without_its_instance() {
        let secrets = |rsc: &str, action: &str, value: &str| {
            let mut op = op("ocf:heartbeat:pgsql", action, &[("password", value)]);
            op.rsc = rsc.into();
            run(&op, &Roots::system()).secrets
        };
        let of = |rsc: &str, optional| Some(Secrets { rsc: rsc.into(), optional });
        assert_eq!(secrets("db:1", "start", "lrm://"), of("db", false));
        assert_eq!(secrets("db:x", "stop", "lrm://"), of("db:x", true));
        assert_eq!(secrets("db", "start", "plain"), None);
    }

    #[test]
    fn limits_read_as_the_reference_prints_them() {
        let of = |ms| readable(Duration::from_millis(ms));
        assert_eq!(
            [of(20_000), of(60_000), of(500), of(90_000), of(3_600_000)],
            ["20s", "1m", "500ms", "1m30s", "1h"]
        );
    }

    #[test]
    fn below_a_root_the_nodes_own_directories_come_first_and_state_stays_there() {
        let roots = Roots::below(Path::new("/tmp/n1")).with_ocf_dir("/tmp/own");
        assert_eq!(
            roots.ocf,
            ["/tmp/own", "/tmp/n1/usr/lib/ocf/resource.d", "/usr/lib/ocf/resource.d"].map(PathBuf::from)
        );
        assert_eq!(roots.heartbeat, [PathBuf::from("/tmp/n1/etc/ha.d/resource.d")]);
        let command = run(&op("ocf:heartbeat:Dummy", "start", &[]), &roots);
        assert_eq!(command.env["HA_RSCTMP"], "/tmp/n1/run/resource-agents");
        assert_eq!(command.env["OCF_ROOT"], "/usr/lib/ocf");
    }
}
