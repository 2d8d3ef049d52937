//! From configuration files to a running node.

use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};

use ccm::config::{AuthKeys, Config, Host, Paths, PingNode};
use ccm::group::{ConfiguredNode, GroupConfig};
use ccm::link::LinkConfig;
use ccm::medium::{DirectOpener, Opener, endpoints};
use ccm::runtime::{Realtime, Setup, random_seed};
use tokio::sync::watch;

use super::agents::{self, Agents, Executor};
use super::run::{Input, Run};
use super::{NodeEnd, NodeHandle, Say, by_hand, disk, identity};
use crate::core::{Core, CoreConfig, CoreEvent};

/// Why a node could not be started. Nothing runs.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The files are at fault; each problem names file, line and cure.
    #[error("{0}")]
    Configuration(String),
    #[error(transparent)]
    Identity(#[from] identity::IdentityError),
    #[error("the configuration on disk: {0}")]
    Disk(#[from] cib::disk::DiskError),
    #[error("{what}: {source}")]
    Io { what: &'static str, source: io::Error },
}

impl StartError {
    /// Exit status as Heartbeat's: 6 for a wrong configuration, 4 for a missing permission, else 1.
    pub fn exit_code(&self) -> i32 {
        let of_io = |error: &io::Error| if error.kind() == io::ErrorKind::PermissionDenied { 4 } else { 1 };
        match self {
            StartError::Configuration(_) => 6,
            StartError::Identity(identity::IdentityError::Uuid { .. }) => 6,
            StartError::Identity(identity::IdentityError::Io { source, .. }) => of_io(source),
            StartError::Disk(cib::disk::DiskError::Io { source, .. }) => of_io(source),
            StartError::Disk(_) => 1,
            StartError::Io { source, .. } => of_io(source),
        }
    }
}

/// A node to be started. Made by [`super::Node::builder`].
pub struct NodeBuilder {
    config: Config,
    keys: AuthKeys,
    name: String,
    paths: Paths,
    executor: Executor,
    roots: Option<lrm::Roots>,
    opener: Option<Box<dyn Opener>>,
    operations: Option<usize>,
    new_keys: Option<watch::Receiver<AuthKeys>>,
}

impl NodeBuilder {
    pub(super) fn new(config: Config, keys: AuthKeys) -> Self {
        Self {
            name: ccm::config::local_node_name(Some(&config), &Paths::default()),
            config,
            keys,
            paths: Paths::default(),
            executor: Executor::Thread(Box::default()),
            roots: None,
            opener: None,
            operations: None,
            new_keys: None,
        }
    }

    /// Keys that take the place of the present ones whenever they change; sessions go on. Keys that are
    /// to be changed must be known to every node before one signs with them.
    #[must_use]
    pub fn new_keys(mut self, keys: watch::Receiver<AuthKeys>) -> Self {
        self.new_keys = Some(keys);
        self
    }

    /// This node's name in `ha.cf`; default: what the machine is called.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = name.to_owned();
        self
    }

    /// Everything of the node lies below this directory; default: the machine itself.
    #[must_use]
    pub fn root(mut self, root: Option<PathBuf>) -> Self {
        self.paths = Paths::new(root.clone());
        if self.roots.is_none() {
            self.roots = root.map(|root| lrm::Roots::below(&root));
        }
        self
    }

    /// Who runs agents; default: a thread of this process.
    #[must_use]
    pub fn executor(mut self, executor: Executor) -> Self {
        self.executor = executor;
        self
    }

    /// Where agents are looked for; default: where the system keeps them, or below the root.
    #[must_use]
    pub fn agents(mut self, roots: lrm::Roots) -> Self {
        self.roots = Some(roots);
        self
    }

    /// Who opens media; default: this process, and the executor where it may not.
    #[must_use]
    pub fn opener(mut self, opener: Box<dyn Opener>) -> Self {
        self.opener = Some(opener);
        self
    }

    /// Operations at one time; default: two for each processor, and never fewer than four.
    #[must_use]
    pub fn operations(mut self, operations: usize) -> Self {
        self.operations = Some(operations);
        self
    }

    /// Starts the node. Must be called in a tokio runtime, which serves the executor's connection.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub async fn spawn(self) -> Result<NodeHandle, StartError> {
        let nodes: Vec<String> = self.config.nodes.iter().map(|n| n.value.clone()).collect();
        if let Some(problem) = self.config.check_local_node(&self.name) {
            return Err(StartError::Configuration(problem.to_string()));
        }
        let keys = ccm::link::keys(&self.keys).map_err(|e| StartError::Configuration(e.to_string()))?;
        let mut media = endpoints(&self.config.media);
        for endpoint in &mut media {
            endpoint
                .resolve()
                .map_err(|source| StartError::Io { what: "resolving a peer's name", source })?;
        }
        let state = self.paths.join("/var/lib/heartbeat");
        std::fs::create_dir_all(&state)
            .map_err(|source| StartError::Io { what: "making /var/lib/heartbeat", source })?;
        let seconds =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let identity = identity::start(&state, seconds, [random_seed(), random_seed(), random_seed()])?;
        for report in &identity.reports {
            tracing::info!(target: "heartbeat", "{report}");
        }

        let (inputs, received) = channel::<Input>();
        let say: Say = {
            let inputs = inputs.clone();
            Arc::new(move |event: CoreEvent| {
                // Without the core nobody needs the event.
                let _ = inputs.send(Input::Event(Box::new(event)));
            })
        };
        let opened = disk::open(&state, identity.regressed, Arc::clone(&say))?;
        for report in &opened.reports {
            tracing::warn!(target: "crm_core::disk", "{}: {report}", state.join("crm").display());
        }
        let (agents, welcome) = agents::connect(self.executor, Arc::clone(&say))
            .await
            .map_err(|source| StartError::Io { what: "connecting to the executor", source })?;

        let link_config =
            LinkConfig::from_files(&self.config, keys, &media, (identity.id, &self.name, identity.inc));
        let opener: Box<dyn Opener> = match (self.opener, &agents) {
            (Some(opener), _) => opener,
            (None, Agents::Process(client)) => {
                let opener = super::opener::ExecutorOpener::new(client.clone());
                opener.prepare(&media).await;
                Box::new(opener)
            }
            (None, Agents::Thread { .. }) => Box::new(DirectOpener),
        };
        let pings = ping_hosts(&self.config.ping)?;
        let icmp = icmp_sockets(&self.config.ping, &agents).await;
        let signal = {
            let inputs = Mutex::new(inputs.clone());
            move || {
                let inputs = inputs.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = inputs.send(Input::Link);
            }
        };
        let realtime = self
            .config
            .realtime
            .value
            .then(|| Realtime { priority: self.config.rtprio.as_ref().map(|p| p.value) });
        let link = ccm::runtime::start(Setup {
            ping_hosts: pings,
            icmp,
            realtime,
            // Looked at again and again only where it is there from the beginning: the heartbeat thread
            // must not wait for a disk.
            faults: Some(self.paths.join("/etc/ha.d/OnlyForTesting")).filter(|file| file.exists()),
            notify: Box::new(signal),
            ..Setup::new(link_config, media, opener)
        })
        .map_err(|source| StartError::Io { what: "starting the heartbeat thread", source })?;

        let mut core = Core::new(CoreConfig {
            group: group_config(&self.config, &identity, &self.name, &nodes)?,
            loaded: opened.loaded,
            roots: self.roots.unwrap_or_else(lrm::Roots::system),
            operations: self.operations.unwrap_or_else(default_operations),
            life: welcome.life,
            seed: random_seed(),
        });
        if let Some(how) = self.config.connectivity() {
            core.keep_connectivity(how);
        }
        let (status_out, status) = watch::channel(Arc::new(core.status()));
        let (ended_out, ended) = watch::channel::<Option<NodeEnd>>(None);
        let run = Run {
            core,
            link,
            disk: opened.disk,
            agents,
            inputs: inputs.clone(),
            received,
            status: status_out,
            planner: Default::default(),
            state,
            warned: Default::default(),
            links_shown: 0,
        };
        std::thread::Builder::new()
            .name("core".to_owned())
            .spawn(move || {
                let end = run.run(welcome.adopted);
                let _ = ended_out.send(Some(end));
            })
            .map_err(|source| StartError::Io { what: "starting the core's thread", source })?;
        if let Some(mut new_keys) = self.new_keys {
            let inputs = inputs.clone();
            tokio::spawn(async move {
                while new_keys.changed().await.is_ok() {
                    let keys = ccm::link::keys(&new_keys.borrow_and_update());
                    match keys {
                        Ok(keys) => _ = inputs.send(Input::Keys(keys)),
                        Err(error) => {
                            tracing::error!(target: "heartbeat", "the new keys are not used: {error}")
                        }
                    }
                }
            });
        }
        let requests = Mutex::new(inputs);
        let node = NodeHandle::new(
            Arc::new(move |request, answer| {
                let inputs = requests.lock().unwrap_or_else(PoisonError::into_inner);
                inputs.send(Input::Client(Box::new(request), answer)).is_ok()
            }),
            status,
            ended,
        );
        if let Some(file) = opened.by_hand {
            tokio::spawn(by_hand::honour(node.clone(), file));
        }
        Ok(node)
    }
}

fn group_config(
    config: &Config,
    identity: &identity::Identity,
    name: &str,
    nodes: &[String],
) -> Result<GroupConfig, StartError> {
    let names: Vec<&str> = nodes.iter().map(String::as_str).collect();
    let mut group = GroupConfig::new(identity.id, name, identity.inc, &names);
    group.nodes = nodes.iter().map(|n| ConfiguredNode { name: n.clone(), votes: config.votes(n) }).collect();
    group.autojoin = !matches!(config.autojoin.value, ccm::config::AutoJoin::None);
    group.keepalive = config.keepalive.value;
    group.deadtime = config.deadtime.value;
    group.initdead = config.initdead.value.max(config.deadtime.value);
    group.pings = config.ping.iter().map(|p| p.name.clone()).collect();
    group.quorum = config.quorum_rules().map_err(|error| {
        StartError::Configuration(format!("env quorum: {error}; expected {}", error.expected()))
    })?;
    group.feature = cib::FEATURE_SET.to_owned();
    Ok(group)
}

fn ping_hosts(pings: &[PingNode]) -> Result<Vec<Vec<IpAddr>>, StartError> {
    let resolve = |host: &Host, v6: bool| -> io::Result<IpAddr> {
        match host {
            Host::Address(address) => Ok(*address),
            Host::Name(name) => (name.as_str(), 0)
                .to_socket_addrs()?
                .map(|a| a.ip())
                .find(|a| a.is_ipv6() == v6)
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("{name} has no address"))),
        }
    };
    pings
        .iter()
        .map(|ping| ping.hosts.iter().map(|host| resolve(host, ping.v6)).collect())
        .collect::<io::Result<_>>()
        .map_err(|source| StartError::Io { what: "resolving a ping node's name", source })
}

/// ICMP sockets that the executor opens, where ping nodes need them.
async fn icmp_sockets(pings: &[PingNode], agents: &Agents) -> [Option<std::os::fd::OwnedFd>; 2] {
    let mut sockets = [None, None];
    let Agents::Process(client) = agents else { return sockets };
    for (slot, v6) in sockets.iter_mut().zip([false, true]) {
        if pings.iter().any(|p| p.v6 == v6) {
            let what = lrm::executor::wire::Open::Icmp { v6, device: None };
            match client.open(what).await {
                Ok(fd) => *slot = fd,
                Err(error) => tracing::warn!(target: "heartbeat", "no ICMP socket: {error}"),
            }
        }
    }
    sockets
}

/// Two for each processor (Pacemaker 2.1.5 behaviour of `node-action-limit` 0), and never fewer than four (cluster-glue's).
fn default_operations() -> usize {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (processors * 2).max(4)
}
