//! What the commands use to speak to the daemon.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use super::proto::management_client::ManagementClient;
use super::proto::status_client::StatusClient;
use super::proto::{self, ActionReply, CibReply, CibRequest, ClusterState};
use super::server::MESSAGE_LIMIT;

/// Why the daemon could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens: the cluster software does not run here.
    #[error("no cluster software is running here ({path}: {error}); start it with: everbeat start")]
    NotRunning { path: PathBuf, error: io::Error },
    /// We may not ask.
    #[error("{0}")]
    Denied(String),
    /// It did not answer within the time set with [`Client::set_timeout`].
    #[error("No messages received in {} seconds.. aborting", .0.as_secs_f64())]
    Timeout(Duration),
    /// The daemon answered with an error of the transport, or went away.
    #[error("the daemon did not answer: {0}")]
    Transport(String),
}

impl ClientError {
    /// Exit status of a command that ends with this error.
    pub fn exit(&self) -> u8 {
        match self {
            Self::NotRunning { .. } => crate::exit::DISCONNECT,
            Self::Denied(_) => crate::exit::PERMISSION,
            Self::Timeout(_) => crate::exit::TIMEOUT,
            Self::Transport(_) => crate::exit::DISCONNECT,
        }
    }
}

impl From<tonic::Status> for ClientError {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            tonic::Code::PermissionDenied | tonic::Code::Unauthenticated => {
                Self::Denied(status.message().to_owned())
            }
            _ => Self::Transport(status.message().to_owned()),
        }
    }
}

/// A connection to the daemon, for code that is not asynchronous.
pub struct Client {
    runtime: tokio::runtime::Runtime,
    management: ManagementClient<Channel>,
    status: StatusClient<Channel>,
    timeout: Option<Duration>,
}

impl Client {
    /// Connects to the daemon whose files lie below `root`.
    pub fn connect(root: &Path) -> Result<Self, ClientError> {
        let path = super::socket_path(root);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| ClientError::NotRunning { path: path.clone(), error })?;
        // Made here, the first connection shows plainly whether anybody is there.
        let first = std::os::unix::net::UnixStream::connect(&path)
            .and_then(|stream| stream.set_nonblocking(true).map(|()| stream))
            .map_err(|error| ClientError::NotRunning { path: path.clone(), error })?;
        let channel = runtime.block_on(connect_channel(path, first))?;
        let management = ManagementClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT)
            .max_encoding_message_size(MESSAGE_LIMIT);
        Ok(Self { runtime, management, status: StatusClient::new(channel), timeout: None })
    }

    /// How long an operation on the CIB, or the state of the cluster, may take.
    pub fn set_timeout(&mut self, timeout: Option<Duration>) {
        self.timeout = timeout;
    }

    /// One operation on the cluster's CIB.
    pub fn cib(&mut self, request: CibRequest) -> Result<CibReply, ClientError> {
        let reply = within(self.timeout, self.management.cib(request));
        Ok(self.runtime.block_on(reply)??.into_inner())
    }

    /// The node's present view of the cluster.
    pub fn state(&mut self) -> Result<ClusterState, ClientError> {
        let management = &mut self.management;
        let first = async {
            let mut states = management.watch(proto::WatchRequest { once: true }).await?.into_inner();
            states.message().await
        };
        let found = self.runtime.block_on(within(self.timeout, first))??;
        found.ok_or_else(|| ClientError::Transport("it ended without a state".into()))
    }

    /// Calls `each` with the state now and after every change, until it returns false.
    pub fn watch(
        &mut self,
        once: bool,
        mut each: impl FnMut(ClusterState) -> bool,
    ) -> Result<(), ClientError> {
        let management = &mut self.management;
        self.runtime.block_on(async {
            let mut states = management.watch(proto::WatchRequest { once }).await?.into_inner();
            while let Some(state) = states.message().await? {
                if !each(state) {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Forgets history so that resources are probed again.
    pub fn cleanup(&mut self, request: proto::CleanupRequest) -> Result<ActionReply, ClientError> {
        Ok(self.runtime.block_on(self.management.cleanup(request))?.into_inner())
    }

    /// Records a failure.
    pub fn fail(&mut self, request: proto::FailRequest) -> Result<ActionReply, ClientError> {
        Ok(self.runtime.block_on(self.management.fail(request))?.into_inner())
    }

    /// Sets or deletes a node attribute.
    pub fn set_attribute(&mut self, request: proto::SetAttributeRequest) -> Result<ActionReply, ClientError> {
        Ok(self.runtime.block_on(self.management.set_attribute(request))?.into_inner())
    }

    /// Adds a node, or takes one out.
    pub fn change_nodes(&mut self, request: proto::ChangeNodesRequest) -> Result<ActionReply, ClientError> {
        Ok(self.runtime.block_on(self.management.change_nodes(request))?.into_inner())
    }

    /// Dismisses one conflict, or all.
    pub fn dismiss_conflicts(&mut self, name: &str) -> Result<ActionReply, ClientError> {
        let request = proto::DismissConflictsRequest { name: name.to_owned() };
        Ok(self.runtime.block_on(self.management.dismiss_conflicts(request))?.into_inner())
    }

    /// Fences a node, or vouches that it is down.
    pub fn fence(&mut self, request: proto::FenceRequest) -> Result<ActionReply, ClientError> {
        let reply = within(self.timeout, self.management.fence(request));
        Ok(self.runtime.block_on(reply)??.into_inner())
    }

    /// The state of a member's controller.
    pub fn controller_state(&mut self, node: &str) -> Result<ActionReply, ClientError> {
        let request = proto::ControllerStateRequest { node: node.to_owned() };
        Ok(self.runtime.block_on(self.management.controller_state(request))?.into_inner())
    }

    /// Stops a member cleanly; with an empty name this node.
    pub fn shutdown(&mut self, node: &str) -> Result<ActionReply, ClientError> {
        let request = proto::ShutdownRequest { node: node.to_owned() };
        Ok(self.runtime.block_on(self.management.shutdown(request))?.into_inner())
    }

    /// Calls `each` with the redacted status now and after every change, until it returns false.
    pub fn watch_status(
        &mut self,
        mut each: impl FnMut(proto::StatusReply) -> bool,
    ) -> Result<(), ClientError> {
        let status = &mut self.status;
        self.runtime.block_on(async {
            let mut replies = status.watch(proto::StatusRequest {}).await?.into_inner();
            while let Some(reply) = replies.message().await? {
                if !each(reply) {
                    return Ok(());
                }
            }
            Err(ClientError::Transport("it ended".into()))
        })
    }
}

/// The work's result, or word that it took too long.
async fn within<T>(timeout: Option<Duration>, work: impl Future<Output = T>) -> Result<T, ClientError> {
    match timeout {
        None => Ok(work.await),
        Some(limit) => tokio::time::timeout(limit, work).await.map_err(|_| ClientError::Timeout(limit)),
    }
}

async fn connect_channel(
    path: PathBuf,
    first: std::os::unix::net::UnixStream,
) -> Result<Channel, ClientError> {
    let shown = path.clone();
    let mut first = Some(first);
    let connector = tower::service_fn(move |_: Uri| {
        let (path, ready) = (path.clone(), first.take());
        async move {
            let stream = match ready {
                Some(stream) => UnixStream::from_std(stream)?,
                None => UnixStream::connect(path).await?,
            };
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    // The address is never used: the connector goes to the socket.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
        .map_err(|error| ClientError::NotRunning { path: shown, error: io::Error::other(error.to_string()) })
}
