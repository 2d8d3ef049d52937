//! A node of the cluster, embedded in a program of yours: the driver of the pure [`crate::core::Core`].
//!
//! [`Node::builder`] takes a configuration and starts everything: the heartbeat thread with the link
//! machine, the disk, the planner, the way to the executor, and the core's own thread. What comes back
//! is a [`NodeHandle`]: watch the status, change the configuration, stop.

mod agents;
mod builder;
mod by_hand;
mod disk;
pub mod identity;
mod opener;
mod run;

use std::sync::Arc;
use std::time::Duration;

use ccm::config::{AuthKeys, Config};

use tokio::sync::{oneshot, watch};

use crate::client::{
    AttributeChange, Cleanup, ClientRequest, Lifetime, Outcome, RequestError, RequestOptions,
};
use crate::status::NodeStatus;

pub use agents::Executor;
pub use builder::{NodeBuilder, StartError};

/// The door to a node of one's own.
pub struct Node;

impl Node {
    /// A node by the classic files: `ha.cf` and `authkeys`, read with [`ccm::config`].
    pub fn builder(config: Config, keys: AuthKeys) -> NodeBuilder {
        NodeBuilder::new(config, keys)
    }
}

/// Hands an event to the core's thread.
type Say = Arc<dyn Fn(crate::core::CoreEvent) + Send + Sync>;

/// A running node. Clones speak to the same node; the node runs on when all are dropped.
#[derive(Clone)]
pub struct NodeHandle {
    requests: Requests,
    status: watch::Receiver<Arc<NodeStatus>>,
    ended: watch::Receiver<Option<NodeEnd>>,
}

/// How a node ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeEnd {
    /// Exit status for the process: 0 after a clean stop; 100 when a restart would not help.
    pub code: i32,
    /// Why, in one sentence; empty after a clean stop that was asked for.
    pub reason: String,
}

/// How requests reach the core's thread.
pub type Requests =
    Arc<dyn Fn(ClientRequest, oneshot::Sender<Result<Outcome, RequestError>>) -> bool + Send + Sync>;

impl NodeHandle {
    /// A handle on any driver of a core: `requests` hands a request over and says whether it could.
    pub fn new(
        requests: Requests,
        status: watch::Receiver<Arc<NodeStatus>>,
        ended: watch::Receiver<Option<NodeEnd>>,
    ) -> Self {
        Self { requests, status, ended }
    }

    /// The status now, and notice of every change. Changes that follow quickly are merged.
    pub fn watch(&self) -> watch::Receiver<Arc<NodeStatus>> {
        self.status.clone()
    }

    /// The status now.
    pub fn status(&self) -> Arc<NodeStatus> {
        self.status.borrow().clone()
    }

    /// Any request.
    ///
    /// # Errors
    /// See [`RequestError`]; only [`RequestError::Unknown`] leaves open whether something changed.
    pub async fn ask(&self, request: ClientRequest) -> Result<Outcome, RequestError> {
        let (answer, answered) = oneshot::channel();
        if !(self.requests)(request, answer) {
            return Err(RequestError::Stopped);
        }
        answered.await.unwrap_or(Err(RequestError::Stopped))
    }

    /// An operation on the CIB. A change is acknowledged when every member has it on disk.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn request(
        &self,
        request: cib::Request,
        options: RequestOptions,
    ) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::Cib { request: Box::new(request), options }).await
    }

    /// Forgets histories and fail counts, so that resources are probed again.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn cleanup(&self, what: Cleanup) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::Cleanup(what)).await
    }

    /// Forgets the whole history of a resource (all with `None`), failed or not.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn refresh(&self, resource: Option<&str>, node: Option<&str>) -> Result<Outcome, RequestError> {
        self.cleanup(Cleanup {
            resource: resource.map(str::to_owned),
            node: node.map(str::to_owned),
            ..Cleanup::default()
        })
        .await
    }

    /// Sets or removes an attribute of a node.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn set_attribute(
        &self,
        node: &str,
        name: &str,
        value: Option<&str>,
        lifetime: Lifetime,
    ) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::SetAttribute(AttributeChange {
            node: node.to_owned(),
            name: name.to_owned(),
            value: value.map(str::to_owned),
            lifetime,
            set: None,
            delay: None,
            user: None,
            groups: Vec::new(),
            client: None,
        }))
        .await
    }

    /// Records that a resource failed on a node.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn fail(&self, resource: &str, node: &str) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::Fail { resource: resource.to_owned(), node: node.to_owned() }).await
    }

    /// Fences a node.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn fence(
        &self,
        target: &str,
        action: &str,
        timeout: Duration,
    ) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::Fence { target: target.to_owned(), action: action.to_owned(), timeout }).await
    }

    /// Vouches that a node is down. **A lie here corrupts data.**
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn confirm_fenced(&self, target: &str) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::ConfirmFenced { target: target.to_owned() }).await
    }

    /// Begins a clean stop: resources first. Wait for the end with [`NodeHandle::ended`].
    ///
    /// # Errors
    /// [`RequestError::Stopped`] if it has already ended.
    pub async fn shutdown(&self) -> Result<Outcome, RequestError> {
        self.ask(ClientRequest::Shutdown).await
    }

    /// Waits until the node has ended, and says how.
    pub async fn ended(&self) -> NodeEnd {
        let mut ended = self.ended.clone();
        loop {
            if let Some(end) = ended.borrow_and_update().clone() {
                return end;
            }
            if ended.changed().await.is_err() {
                return NodeEnd { code: 1, reason: "the core's thread has ended unexpectedly".to_owned() };
            }
        }
    }
}
